// SPDX-License-Identifier: MIT
// 2025-11-25, 2025-06-18 and 2025-03-26: initialize, sessions, the GET stream,
// and what differs between the three.
import { assert, done, SCALE, SLOW_BINARY, sleep, test, until } from './lib/check.mjs';
import { Daemon } from './lib/daemon.mjs';
import { Connection, http } from './lib/http.mjs';
import { allTools, BOTH, LEGACY, nextId, Session, textOf } from './lib/mcp.mjs';
import { conforms, conformsMessage, haveSchema } from './lib/schema.mjs';

const daemon = await Daemon.start({
    plugins: ['echo', 'probe'],
    config: {
        server: { name: 'test-server', title: 'A Test Server', instructions: 'Be kind.', page_size: 5 },
        sessions: { max: 50, idle_timeout_ms: 60_000 },
        http: { keepalive_ms: 300 * SCALE },
    },
});
const { port } = daemon;

async function initialize(protocolVersion, { headers = {}, params = {} } = {}) {
    const response = await http(port, {
        headers: { 'Content-Type': 'application/json', Accept: BOTH, ...headers },
        body: JSON.stringify({
            jsonrpc: '2.0', id: 1, method: 'initialize',
            params: { protocolVersion, capabilities: {}, clientInfo: { name: 't', version: '1' }, ...params },
        }),
    });
    const answer = await response.last();
    response.connection.destroy();
    return { status: response.status, id: response.headers['mcp-session-id'], headers: response.headers, answer };
}

async function raw(session, message, options) {
    const response = await session.post(message, options);
    const text = await response.text();
    response.connection.destroy();
    return { status: response.status, answer: text === '' ? null : JSON.parse(text), headers: response.headers };
}

async function checked(session, method, params, options) {
    const response = await session.request(method, params, options);
    const list = await response.all();
    response.connection.destroy();
    if (haveSchema(session.version)) for (const message of list) conformsMessage(session.version, message, method);
    return { response, list, last: list.at(-1), result: list.at(-1).result };
}

for (const version of LEGACY) {
    test(`${version}: initialize echoes the version and gives a session`, async () => {
        const { status, id, answer } = await initialize(version);
        assert.equal(status, 200);
        assert.match(id, /^[\x21-\x7e]{32,}$/);
        assert.equal(answer.result.protocolVersion, version);
        assert.deepEqual(answer.result.capabilities.tools, { listChanged: true });
        assert.ok('logging' in answer.result.capabilities);
        assert.equal(answer.result.serverInfo.name, 'test-server');
        assert.equal('title' in answer.result.serverInfo, version !== '2025-03-26');
        assert.equal(answer.result.instructions, 'Be kind.');
        for (const name of ['resultType', 'ttlMs', 'cacheScope', 'supportedVersions']) assert.ok(!(name in answer.result), name);
        conformsMessage(version, answer, 'initialize');
    });
    test(`${version}: tools/list has the members of its revision`, async () => {
        const session = await Session.open(port, version);
        const tools = [];
        let cursor;
        do {
            const { result } = await checked(session, 'tools/list', cursor ? { cursor } : undefined);
            tools.push(...result.tools);
            cursor = result.nextCursor;
            for (const name of ['resultType', 'ttlMs', 'cacheScope']) assert.ok(!(name in result), name);
        } while (cursor);
        const structure = tools.find(({ name }) => name === 'structure');
        assert.equal('outputSchema' in structure, version !== '2025-03-26');
        assert.equal('title' in structure, version !== '2025-03-26');
        assert.equal('icons' in structure, version === '2025-11-25');
        if (version !== '2025-03-26') assert.equal(structure._meta['dev.mcpd/provider'], 'probe');
        assert.deepEqual(tools.find(({ name }) => name === 'headers').annotations, { readOnlyHint: true });
        assert.ok(tools.length > 15);
        await session.delete();
    });
    test(`${version}: a call; structuredContent where the revision has it`, async () => {
        const session = await Session.open(port, version);
        const echo = await checked(session, 'tools/call', { name: 'echo', arguments: { text: 'hello' } });
        assert.equal(textOf(echo.result), 'hello');
        assert.ok(!('resultType' in echo.result));
        const structured = await checked(session, 'tools/call', { name: 'structure', arguments: { n: 3 } });
        if (version === '2025-03-26') assert.ok(!('structuredContent' in structured.result));
        else assert.equal(structured.result.structuredContent.twice, 6);
        assert.equal(textOf(structured.result), 'a number and its double');
        const rich = await checked(session, 'tools/call', { name: 'rich', arguments: {} });
        assert.deepEqual(rich.result.content.map(({ type }) => type), ['text', 'image', 'resource']);
        const fail = await checked(session, 'tools/call', { name: 'fail' });
        assert.equal(fail.result.isError, true);
        const illegal = await checked(session, 'tools/call', { name: 'echo', arguments: { text: 5 } });
        assert.equal(illegal.result.isError, true);
        await session.delete();
    });
    test(`${version}: unknown tools and methods are errors with status 200`, async () => {
        const session = await Session.open(port, version);
        for (const [method, params, code] of [['tools/call', { name: 'nope' }, -32602], ['no/such', {}, -32601], ['server/discover', {}, -32601],
            ['subscriptions/listen', { notifications: {} }, -32601]]) {
            const { response, last } = await checked(session, method, params, { id: 'x' });
            assert.equal(response.status, 200, method);
            assert.equal(last.error?.code, code, `${method}: ${JSON.stringify(last)}`);
            assert.equal(last.id, 'x');
        }
        await session.delete();
    });
    test(`${version}: ping and logging/setLevel answer {}`, async () => {
        const session = await Session.open(port, version);
        assert.deepEqual((await checked(session, 'ping')).result, {});
        assert.deepEqual((await checked(session, 'logging/setLevel', { level: 'error' })).result, {});
        const said = await checked(session, 'tools/call', { name: 'say' });
        assert.deepEqual(said.list.slice(0, -1).map(({ params }) => params.level), ['error']);
        assert.equal((await checked(session, 'logging/setLevel', { level: 'loud' })).last.error?.code, -32602);
        await session.delete();
    });
    test(`${version}: before logging/setLevel all messages are sent`, async () => {
        const session = await Session.open(port, version);
        const said = await checked(session, 'tools/call', { name: 'say' });
        assert.deepEqual(said.list.slice(0, -1).map(({ params }) => params.level), ['debug', 'info', 'error']);
        await session.delete();
    });
    test(`${version}: progress`, async () => {
        const session = await Session.open(port, version);
        const { response, list } = await checked(session, 'tools/call', { name: 'progress', arguments: { steps: 2, ms: 20 }, _meta: { progressToken: 'tok' } });
        assert.match(response.headers['content-type'], /^text\/event-stream/);
        assert.ok(list.length >= 2);
        for (const { method, params } of list.slice(0, -1)) {
            assert.equal(method, 'notifications/progress');
            assert.equal(params.progressToken, 'tok');
        }
        assert.equal(textOf(list.at(-1).result), 'all steps done');
        await session.delete();
    });
    test(`${version}: without a session 400, with a wrong one 404, for POST, GET and DELETE`, async () => {
        const bare = { 'Content-Type': 'application/json', Accept: BOTH, ...(version === '2025-03-26' ? {} : { 'MCP-Protocol-Version': version }) };
        const none = await http(port, { headers: bare, body: '{"jsonrpc":"2.0","id":1,"method":"tools/list"}' });
        assert.equal(none.status, 400);
        none.connection.destroy();
        for (const id of ['x', 'A'.repeat(43), 'A'.repeat(5000)])
            for (const [method, body] of [['POST', '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'], ['POST', '{"jsonrpc":"2.0","method":"notifications/initialized"}'], ['GET'], ['DELETE']]) {
                const response = await http(port, { method, headers: { ...bare, Accept: method === 'GET' ? 'text/event-stream' : BOTH, 'Mcp-Session-Id': id }, body });
                assert.equal(response.status, 404, `${method} ${id.slice(0, 50)}`);
                response.connection.destroy();
            }
    });
    test(`${version}: DELETE ends the session, its stream, and its id`, async () => {
        const session = await Session.open(port, version);
        const stream = await session.stream();
        const response = await session.delete();
        assert.ok([200, 204].includes(response.status));
        await until(() => stream.ended || stream.error, 3000, 'the stream to end');
        assert.equal((await raw(session, { jsonrpc: '2.0', id: 1, method: 'ping' })).status, 404);
        assert.equal((await session.delete()).status, 404);
    });
    test(`${version}: the GET stream hears of changes, once; nobody hears of none`, async () => {
        const session = await Session.open(port, version);
        const deaf = await Session.open(port, version);
        const stream = await session.stream();
        assert.match(stream.response.headers['content-type'], /^text\/event-stream/);
        daemon.install('stamp');
        const told = await stream.wait(1);
        delete told.at;
        conformsMessage(version, told);
        assert.equal(told.method, 'notifications/tools/list_changed');
        assert.ok(!JSON.stringify(told).includes('subscriptionId'));
        daemon.remove('stamp');
        await stream.wait(2);
        await sleep(200);
        assert.equal(stream.messages.length, 2);
        await deaf.delete();
        await session.delete();
    });
    test(`${version}: closing the connection does not cancel the call`, async () => {
        const session = await Session.open(port, version);
        const label = `left-${version}`;
        const mark = daemon.mark;
        const connection = await Connection.open(port);
        session.request('tools/call', { name: 'wait', arguments: { ms: 500, label } }, { connection }).catch(() => {});
        await daemon.waitLog(new RegExp(`${label} started`), 3000, mark);
        connection.destroy();
        await daemon.waitLog(new RegExp(`${label} finished`), 3000, mark);
        assert.doesNotMatch(daemon.logSince(mark), new RegExp(`${label} cancelled`));
        await session.delete();
    });
    test(`${version}: notifications/cancelled cancels the call, and only in its own session`, async () => {
        const session = await Session.open(port, version);
        const stranger = await Session.open(port, version);
        const label = `cancel-${version}`;
        const mark = daemon.mark;
        const id = nextId();
        const connection = await Connection.open(port);
        session.request('tools/call', { name: 'wait', arguments: { ms: 15_000, label } }, { id, connection }).then((r) => r.text()).catch(() => {});
        await daemon.waitLog(new RegExp(`${label} started`), 3000, mark);
        for (const message of [{ requestId: id + 100_000 }, { requestId: String(id) }])
            assert.equal((await raw(session, { jsonrpc: '2.0', method: 'notifications/cancelled', params: message })).status, 202);
        assert.equal((await raw(stranger, { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: id } })).status, 202);
        await sleep(200);
        assert.doesNotMatch(daemon.logSince(mark), new RegExp(`${label} cancelled`));
        const start = performance.now();
        assert.equal((await raw(session, { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: id, reason: 'test' } })).status, 202);
        await daemon.waitLog(new RegExp(`${label} cancelled`), 3000, mark);
        if (!SLOW_BINARY) assert.ok(performance.now() - start < 150);
        connection.destroy();
        await session.delete();
        await stranger.delete();
    });
    test(`${version}: deleting the session cancels its calls or lets them end; the answer comes or the stream closes`, async () => {
        const session = await Session.open(port, version);
        const connection = await Connection.open(port);
        const label = `deleted-${version}`;
        const answer = session.request('tools/call', { name: 'wait', arguments: { ms: 300, label } }, { connection }).then((r) => r.text()).catch((error) => error);
        await daemon.waitLog(new RegExp(`${label} started`));
        await session.delete();
        assert.doesNotMatch(String(await answer), /nothing arrived/);
        connection.destroy();
    });
    test(`${version}: ids are echoed digit for digit, and none is null`, async () => {
        const session = await Session.open(port, version);
        for (const id of ['123456789012345678901234567890', '"\\u0041\\n"', '0', '-5']) {
            const response = await http(port, { headers: session.headers(), body: `{"jsonrpc":"2.0","id":${id},"method":"ping"}` });
            const text = await response.text();
            assert.ok(text.includes(`"id":${id},`) || text.includes(`"id":${id}}`), text);
            response.connection.destroy();
        }
        const response = await http(port, { headers: session.headers(), body: '{"jsonrpc":"2.0","id":null,"method":"ping"}' });
        assert.equal(response.status, 400);
        response.connection.destroy();
        await session.delete();
    });
    test(`${version}: answers of a client are accepted with 202`, async () => {
        const session = await Session.open(port, version);
        for (const message of [{ jsonrpc: '2.0', id: 99, result: {} }, { jsonrpc: '2.0', id: 99, error: { code: -1, message: 'no' } }]) {
            const { status, answer } = await raw(session, message);
            assert.equal(status, 202);
            assert.equal(answer, null);
        }
        await session.delete();
    });
}

test('an unknown or missing version in initialize: the newest of that era', async () => {
    for (const version of ['2024-10-07', '2099-01-01', '1.0', '2026-07-28']) {
        const { status, answer } = await initialize(version);
        assert.equal(status, 200, `${version}: ${JSON.stringify(answer)}`);
        assert.equal(answer.result.protocolVersion, '2025-11-25', version);
    }
    const { status, answer } = await initialize(undefined);
    assert.ok(status === 200 ? answer.error?.code === -32602 || answer.result.protocolVersion === '2025-11-25' : status === 400, JSON.stringify(answer));
});
test('initialize with the headers newer clients send', async () => {
    const { status, answer } = await initialize('2025-11-25', { headers: { 'MCP-Protocol-Version': '2025-11-25', 'Mcp-Method': 'something/else' } });
    assert.equal(status, 200);
    assert.equal(answer.result.protocolVersion, '2025-11-25');
});
test('an unknown MCP-Protocol-Version inside a session: 400', async () => {
    const session = await Session.open(port);
    for (const version of ['1999-01-01', 'x', '']) {
        const { status } = await raw(session, { jsonrpc: '2.0', id: 1, method: 'ping' }, { headers: { 'MCP-Protocol-Version': version } });
        assert.equal(status, 400, version);
    }
    assert.equal((await raw(session, { jsonrpc: '2.0', id: 1, method: 'ping' }, { headers: { 'MCP-Protocol-Version': null } })).status, 200, 'it may be missing');
    await session.delete();
});
test('batches: in 2025-03-26 alone', async () => {
    const session = await Session.open(port, '2025-03-26');
    const batch = [
        { jsonrpc: '2.0', id: 1, method: 'ping' },
        { jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name: 'wait', arguments: { ms: 30, label: 'batch' } } },
        { jsonrpc: '2.0', method: 'notifications/initialized' },
        { jsonrpc: '2.0', id: 3, method: 'no/such' },
        { jsonrpc: '2.0', id: 4, method: 'tools/call', params: { name: 'echo', arguments: { text: 'four' } } },
    ];
    const response = await session.post(batch);
    assert.equal(response.status, 200);
    const answers = (await response.all()).flat();
    response.connection.destroy();
    assert.deepEqual(answers.map(({ id }) => id).sort(), [1, 2, 3, 4]);
    const by = Object.fromEntries(answers.map((answer) => [answer.id, answer]));
    assert.deepEqual(by[1].result, {});
    assert.equal(textOf(by[2].result), 'waited');
    assert.equal(by[3].error.code, -32601);
    assert.equal(textOf(by[4].result), 'four');
    if (haveSchema('2025-03-26')) for (const answer of answers) conforms('2025-03-26', 'error' in answer ? 'JSONRPCError' : 'JSONRPCResponse', answer);
    const notifications = await raw(session, [{ jsonrpc: '2.0', method: 'notifications/initialized' }]);
    assert.equal(notifications.status, 202);
    assert.equal((await raw(session, [])).status, 400);
    await session.delete();
    for (const version of ['2025-06-18', '2025-11-25']) {
        const other = await Session.open(port, version);
        const refused = await raw(other, batch);
        assert.equal(refused.status, 400, version);
        assert.equal(refused.answer.error.code, -32600);
        await other.delete();
    }
});
test('a thousand session ids: all different, without a common part', async () => {
    const ids = [];
    const count = SLOW_BINARY ? 60 : 1000;
    for (let i = 0; i < count; i++) {
        const session = await Session.open(port);
        ids.push(session.id);
        await session.delete();
    }
    assert.equal(new Set(ids).size, count);
    for (let position = 0; position < 32; position++)
        assert.ok(new Set(ids.map((id) => id[position])).size > 8, `position ${position} hardly varies`);
}, { timeout: 60_000 });
test('with too many sessions a new one is refused, and those that there are go on', async () => {
    const sessions = [];
    let refused = 0;
    for (let i = 0; i < 60; i++) {
        const { status, id, headers, answer } = await initialize('2025-11-25');
        if (status === 200 && answer.result) sessions.push(id);
        else {
            refused++;
            assert.equal(status, 503);
            assert.equal(headers['retry-after'], '1');
            assert.equal(answer.error.code, -32000);
        }
    }
    for (const id of sessions) {
        const response = await http(port, { headers: { 'Content-Type': 'application/json', Accept: BOTH, 'Mcp-Session-Id': id }, body: '{"jsonrpc":"2.0","id":1,"method":"ping"}' });
        assert.equal(response.status, 200);
        response.connection.destroy();
        await http(port, { method: 'DELETE', headers: { 'Mcp-Session-Id': id } }).then((r) => r.connection.destroy());
    }
    assert.ok(sessions.length > 20 && sessions.length <= 50 && refused >= 10, `${sessions.length} sessions, ${refused} refused`);
});
test('GET needs a client that takes a stream', async () => {
    const session = await Session.open(port);
    const response = await http(port, { method: 'GET', headers: { 'Mcp-Session-Id': session.id, Accept: 'application/json' } });
    assert.equal(response.status, 406);
    response.connection.destroy();
    await session.delete();
});
test('a second GET stream: the first ends or only one of them is told', async () => {
    const session = await Session.open(port);
    const one = await session.stream();
    const two = await session.stream();
    daemon.install('stamp');
    await until(() => one.messages.length + two.messages.length > 0, 5000, 'a message');
    await sleep(300);
    assert.equal(one.messages.length + two.messages.length, 1, 'a message goes to one stream');
    daemon.remove('stamp');
    await until(async () => !JSON.stringify(await all(session)).includes('stamp'), 5000, 'stamp gone');
    await session.delete();
});
test('a change while no stream is open is told when one is opened', async () => {
    const session = await Session.open(port);
    const other = await Session.open(port); // who has seen the newest list need not be told
    daemon.install('stamp');
    await until(async () => JSON.stringify(await all(session)).includes('stamp'), 5000, 'stamp listed');
    daemon.remove('stamp');
    await until(async () => !JSON.stringify(await all(other)).includes('stamp'), 5000, 'stamp gone');
    await other.delete();
    const stream = await session.stream();
    await stream.wait(1, 3000 * SCALE);
    assert.equal(stream.messages[0].method, 'notifications/tools/list_changed');
    await session.delete();
});
const all = (session) => allTools((params) => session.result('tools/list', params));
test('silent GET streams get comments', async () => {
    const session = await Session.open(port);
    const response = await http(port, { method: 'GET', headers: { 'Mcp-Session-Id': session.id, Accept: 'text/event-stream' } });
    let comments = 0;
    for await (const event of response.events(5000 * SCALE)) if ('comment' in event && ++comments === 2) break;
    response.connection.destroy();
    await session.delete();
});
test('the end', () => daemon.stop());

await done();
