// SPDX-License-Identifier: MIT
// 2026-07-28: discovery, lists, calls, streams, subscriptions, cancellation.
import { assert, done, SCALE, SLOW_BINARY, sleep, test, until } from './lib/check.mjs';
import { Daemon } from './lib/daemon.mjs';
import { Connection, requestBytes } from './lib/http.mjs';
import { callTool, Listener, listTools, META, MODERN, modern, modernMessage, modernResult, nextId, textOf, toolNames } from './lib/mcp.mjs';
import { conformsMessage, noSchema } from './lib/schema.mjs';

const daemon = await Daemon.start({
    plugins: ['echo', 'many', 'probe'],
    config: {
        server: { name: 'test-server', title: 'A Test Server', instructions: 'Use with care: "quotes", \\ and ünïcode.', list_ttl_ms: 12345, page_size: 7 },
        http: { keepalive_ms: 200 * SCALE },
        calls: { workers: 8, queue: 4, max_result_bytes: 1 << 20 },
        providers: {
            one: { plugin: 'echo', prefix: 'one_' },
            two: { plugin: 'echo', prefix: 'two_' },
        },
    },
});
const { port } = daemon;
const JSON_ONLY = 'application/json';
const STREAM_ONLY = 'text/event-stream';

/** A request whose every message is checked against the specification. */
async function checked(method, params, options) {
    const response = await modern(port, method, params, options);
    const list = await response.all(options?.ms);
    response.connection.destroy();
    for (const message of list) conformsMessage(MODERN, message, method);
    return { response, list, last: list.at(-1), result: list.at(-1).result };
}

test('the schemas of the specification are used', () => {}, { skip: noSchema(MODERN) });

// ---- Discovery and lists ---------------------------------------------------------

test('server/discover tells versions, capabilities, identity and how long it holds', async () => {
    const { result } = await checked('server/discover');
    assert.equal(result.resultType, 'complete');
    assert.deepEqual(result.supportedVersions, ['2026-07-28', '2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05']);
    assert.deepEqual(result.capabilities.tools, { listChanged: true });
    assert.ok(!('tasks' in result.capabilities));
    assert.equal(result.ttlMs, 12345);
    assert.equal(result.cacheScope, 'public');
    assert.equal(result.instructions, 'Use with care: "quotes", \\ and ünïcode.');
    const info = result._meta[`${META}serverInfo`];
    assert.equal(info.name, 'test-server');
    assert.equal(info.title, 'A Test Server');
    assert.match(info.version, /^\d+\.\d+\.\d+/);
});
test('tools/list: the whole definition, the provider in _meta, ttlMs and cacheScope', async () => {
    const tools = [];
    let cursor;
    do {
        const { result } = await checked('tools/list', cursor ? { cursor } : {});
        assert.equal(result.resultType, 'complete');
        assert.equal(result.ttlMs, 12345);
        assert.equal(result.cacheScope, 'public');
        assert.equal(result._meta[`${META}serverInfo`].name, 'test-server');
        tools.push(...result.tools);
        cursor = result.nextCursor;
    } while (cursor !== undefined);
    const structure = tools.find(({ name }) => name === 'structure');
    assert.equal(structure.title, 'Structure');
    assert.deepEqual(structure.outputSchema.required, ['number', 'twice']);
    assert.equal(structure.icons.length, 1);
    assert.deepEqual(structure._meta, { 'dev.mcpd/provider': 'probe', 'example.org/x': [1, 2] });
    const headers = tools.find(({ name }) => name === 'headers');
    assert.equal(headers.inputSchema.properties.region['x-mcp-header'], 'Region');
    assert.deepEqual(headers.annotations, { readOnlyHint: true });
    for (const id of ['one', 'two']) {
        const echo = tools.find(({ name }) => name === `${id}_echo`);
        assert.equal(echo._meta['dev.mcpd/provider'], id, 'two instances of one plugin');
    }
});
test('pages: seven at a time, in the same order as always, none twice', async () => {
    const first = await toolNames(port);
    assert.ok(first.length > 100, `${first.length} tools`);
    assert.equal(new Set(first).size, first.length);
    assert.deepEqual(await toolNames(port), first);
    assert.deepEqual(await toolNames(port), first);
    const page = await modernResult(port, 'tools/list');
    assert.equal(page.tools.length, 7);
    assert.deepEqual(page.tools.map(({ name }) => name), first.slice(0, 7));
    let cursor = page.nextCursor, pages = 1, last;
    while (cursor) {
        last = await modernResult(port, 'tools/list', { cursor });
        pages++;
        cursor = last.nextCursor;
    }
    assert.equal(pages, Math.ceil(first.length / 7));
    assert.ok(!('nextCursor' in last), 'the last page has none');
});
test('a cursor that was not given out: -32602', async () => {
    for (const cursor of ['', 'x', '7', 'AAAAAAAAAAAAAAAA', 'a'.repeat(10_000), '../..', 'AAAA\u0000', 7, null, {}, ['x']]) {
        const { last } = await checked('tools/list', { cursor });
        assert.equal(last.error?.code, -32602, `${JSON.stringify(cursor)}: ${JSON.stringify(last)}`);
    }
});
test('cursors belong to no connection', async () => {
    const { nextCursor } = await modernResult(port, 'tools/list');
    const one = await modernResult(port, 'tools/list', { cursor: nextCursor });
    const connection = await Connection.open(port);
    const two = await modernResult(port, 'tools/list', { cursor: nextCursor }, { connection });
    connection.destroy();
    assert.deepEqual(one, two);
});

// ---- Calls -------------------------------------------------------------------------

test('tools/call: text, resultType, server identity', async () => {
    const { result, response } = await checked('tools/call', { name: 'one_echo', arguments: { text: 'héllo "world"\n\u0000' } });
    assert.equal(result.resultType, 'complete');
    assert.equal(textOf(result), 'héllo "world"\n\u0000');
    assert.notEqual(result.isError, true);
    assert.equal(result._meta[`${META}serverInfo`].name, 'test-server');
    assert.match(response.headers['content-type'], /^application\/json/);
});
test('missing arguments mean {}', async () => {
    const result = await modernResult(port, 'tools/call', { name: 'what' });
    assert.deepEqual(JSON.parse(textOf(result)).arguments, {});
});
test('arguments that are no object: -32602', async () => {
    for (const args of [[], 'x', 5, null]) {
        const { last } = await checked('tools/call', { name: 'what', arguments: args });
        assert.equal(last.error?.code, -32602, JSON.stringify(last));
    }
});
test('arguments that break the schema: a result with isError that names them', async () => {
    const { result } = await checked('tools/call', { name: 'one_echo', arguments: { text: 5 } });
    assert.equal(result.isError, true);
    assert.equal(result.resultType, 'complete');
    assert.match(textOf(result), /text/);
    const missing = await checked('tools/call', { name: 'one_echo', arguments: {} });
    assert.equal(missing.result.isError, true);
    assert.match(textOf(missing.result), /text/);
});
test('arguments reach the plugin with every digit and every member', async () => {
    const body = '{"big":9007199254740993,"float":0.1000000000000000055511151231257827,"nested":{"a":[1,{"b":null}]},"text":"\\u20ac\\ud83d\\ude00"}';
    const connection = await Connection.open(port);
    const { modernMessage } = await import('./lib/mcp.mjs');
    const { requestBytes } = await import('./lib/http.mjs');
    const message = modernMessage('tools/call', { name: 'what', arguments: 'HERE' });
    await connection.write(requestBytes({ port, headers: message.headers, body: message.body.replace('"HERE"', body) }));
    const answer = await (await connection.response()).last();
    connection.destroy();
    assert.ok(textOf(answer.result).includes('9007199254740993'), textOf(answer.result));
    assert.ok(textOf(answer.result).includes('0.1000000000000000055511151231257827'));
    assert.equal(JSON.parse(textOf(answer.result)).arguments.text, '€😀');
});
test('structuredContent beside the text, digits exact', async () => {
    const response = await modern(port, 'tools/call', { name: 'structure', arguments: { n: 4 } });
    const text = await response.text();
    response.connection.destroy();
    assert.ok(text.includes('9007199254740993'), text);
    const { result } = JSON.parse(text);
    assert.equal(result.structuredContent.twice, 8);
    assert.equal(textOf(result), 'a number and its double');
});
test('a structured result that breaks the outputSchema is not passed on', async () => {
    const { last } = await checked('tools/call', { name: 'lie', arguments: {} });
    assert.ok(last.error || last.result.isError === true, JSON.stringify(last));
    assert.ok(!last.result?.structuredContent);
});
test('a whole result: several kinds of content and its own _meta', async () => {
    const { result } = await checked('tools/call', { name: 'rich', arguments: {} });
    assert.deepEqual(result.content.map(({ type }) => type), ['text', 'image', 'resource']);
    assert.equal(result._meta['example.org/note'], 1);
    assert.equal(result._meta[`${META}serverInfo`].name, 'test-server');
    assert.equal(result.resultType, 'complete');
});
test('a failure the model can read: isError', async () => {
    const { result } = await checked('tools/call', { name: 'fail', arguments: {} });
    assert.equal(result.isError, true);
    assert.equal(textOf(result), 'the model can read this');
});
test('a plugin that refuses, gives nonsense, or ends twice harms only its own call', async () => {
    for (const name of ['refuse', 'nonsense']) {
        const { last } = await checked('tools/call', { name, arguments: {} });
        assert.ok(last.error?.code === -32603 || last.result?.isError === true, `${name}: ${JSON.stringify(last)}`);
    }
    const mark = daemon.mark;
    const { result } = await checked('tools/call', { name: 'twice', arguments: {} });
    assert.equal(textOf(result), 'the first end counts');
    await daemon.waitLog(/probe.*(twice|already|ended)/i, 2000, mark);
});
test('a call that ends later, on a thread of the plugin', async () => {
    const { result } = await checked('tools/call', { name: 'later', arguments: { ms: 30 } });
    assert.equal(textOf(result), 'later, from another thread');
});
test('a result over the cap is an error that says so', async () => {
    const fits = await checked('tools/call', { name: 'big', arguments: { bytes: 1_000_000 } });
    assert.equal(textOf(fits.result).length, 1_000_000);
    const { last } = await checked('tools/call', { name: 'big', arguments: { bytes: 2_000_000 } });
    assert.ok(last.error || last.result.isError, JSON.stringify(last).slice(0, 300));
    assert.ok(JSON.stringify(last).length < 2000);
});
test('a call over its time: a result with isError, and the plugin is told', async () => {
    const mark = daemon.mark;
    const start = performance.now();
    const { last } = await checked('tools/call', { name: 'wait_at_most_300_ms', arguments: { ms: 20_000, label: 'late' } });
    const took = performance.now() - start;
    assert.ok(took > 250 && took < 1500 * SCALE, `${took} ms`);
    assert.ok(last.error || last.result.isError === true, JSON.stringify(last));
    await daemon.waitLog(/probe: late cancelled/, 2000, mark);
});
test('calls of a tool that is not thread-safe are made one after the other', async () => {
    const start = performance.now();
    await Promise.all(Array.from({ length: 4 }, () => callTool(port, 'serial', { ms: 60, label: 'serial' })));
    assert.ok(performance.now() - start >= 235, `${performance.now() - start} ms for 4 x 60`);
});
test('calls of thread-safe tools run at once, and a full queue says busy at once', async () => {
    const start = performance.now();
    const calls = Array.from({ length: 20 }, () => modern(port, 'tools/call', { name: 'wait', arguments: { ms: 700 * SCALE, label: 'crowd' } })
        .then(async (response) => ({ last: await response.last(), took: performance.now() - start, status: response.status })));
    const answers = await Promise.all(calls);
    const done_ = answers.filter(({ last }) => last.result && !last.result.isError);
    const busy = answers.filter((answer) => !done_.includes(answer));
    assert.equal(done_.length, 12, '8 workers and 4 places in the queue');
    assert.equal(busy.length, 8);
    for (const { took, last } of busy) {
        assert.ok(took < 500 * SCALE, `busy after ${took} ms`);
        assert.match(JSON.stringify(last), /busy|try again/i);
    }
});
test('an inline tool is answered while every worker is busy', async () => {
    const waits = Array.from({ length: 8 }, () => callTool(port, 'wait', { ms: 500, label: 'block' }));
    await until(() => daemon.lines.filter((line) => line.includes('block started')).length === 8, 5000, 'all to have begun');
    const start = performance.now();
    await callTool(port, 'one_echo', { text: 'x' });
    assert.ok(performance.now() - start < 300 * SCALE);
    await Promise.all(waits);
});

// ---- Streams ---------------------------------------------------------------------------

test('progress makes the answer a stream: notifications with the token, then the result', async () => {
    for (const token of ['abc', 7, 0, '']) {
        const { response, list } = await checked('tools/call', { name: 'progress', arguments: { steps: 3, ms: 20 } }, { meta: { progressToken: token } });
        assert.match(response.headers['content-type'], /^text\/event-stream/);
        assert.match(response.headers['cache-control'], /no-cache/);
        assert.equal(response.headers['x-accel-buffering'], 'no');
        const progress = list.slice(0, -1);
        assert.ok(progress.length >= 1);
        let before = 0;
        for (const { method, params } of progress) {
            assert.equal(method, 'notifications/progress');
            assert.equal(params.progressToken, token);
            assert.equal(params.total, 3);
            assert.ok(params.progress > before);
            before = params.progress;
            assert.equal(params.message, `step ${params.progress}`);
        }
        assert.equal(textOf(list.at(-1).result), 'all steps done');
        assert.ok(response.complete, 'the stream ends with the result');
    }
});
test('progress arrives while the call runs', async () => {
    const start = performance.now();
    const response = await modern(port, 'tools/call', { name: 'progress', arguments: { steps: 2, ms: 400 } }, { meta: { progressToken: 1 } });
    const messages = response.messages();
    await messages.next();
    assert.ok(performance.now() - start < 350 * SCALE, 'the first one comes at once');
    response.connection.destroy();
});
test('without a token there is no progress, and one JSON answer', async () => {
    const { response, list } = await checked('tools/call', { name: 'progress', arguments: { steps: 3, ms: 1 } });
    assert.equal(list.length, 1);
    assert.match(response.headers['content-type'], /^application\/json/);
});
test('a client that takes no stream gets the result alone', async () => {
    const { response, list } = await checked('tools/call', { name: 'progress', arguments: { steps: 2, ms: 1 } }, { meta: { progressToken: 1 }, accept: JSON_ONLY });
    assert.equal(list.length, 1);
    assert.match(response.headers['content-type'], /^application\/json/);
});
test('a client that takes only a stream gets one', async () => {
    for (const [method, params] of [['tools/call', { name: 'one_echo', arguments: { text: 'x' } }], ['tools/list', {}], ['server/discover', {}]]) {
        const { response, list } = await checked(method, params, { accept: STREAM_ONLY });
        assert.match(response.headers['content-type'], /^text\/event-stream/, method);
        assert.equal(list.length, 1);
    }
});
test('log messages: none without logLevel, else that level and above', async () => {
    const said = async (level) => {
        const { list } = await checked('tools/call', { name: 'say', arguments: {} }, level ? { meta: { [`${META}logLevel`]: level } } : {});
        assert.equal(textOf(list.at(-1).result), 'said');
        return list.slice(0, -1).map(({ method, params }) => {
            assert.equal(method, 'notifications/message');
            return params.level;
        });
    };
    assert.deepEqual(await said(null), []);
    assert.deepEqual(await said('debug'), ['debug', 'info', 'error']);
    assert.deepEqual(await said('info'), ['info', 'error']);
    assert.deepEqual(await said('warning'), ['error']);
    assert.deepEqual(await said('emergency'), []);
});
test('an unknown logLevel: -32602', async () => {
    const { last } = await checked('tools/call', { name: 'say', arguments: {} }, { meta: { [`${META}logLevel`]: 'loud' } });
    assert.equal(last.error?.code, -32602, JSON.stringify(last));
});
test('text that looks like the end of an event cannot break out of it', async () => {
    const { list } = await checked('tools/call', { name: 'hostile', arguments: {} }, { meta: { progressToken: 't' }, accept: STREAM_ONLY });
    assert.ok(list.every(({ method }) => method !== 'evil'));
    assert.equal(list.length, 2);
    assert.ok(textOf(list[1].result).includes('"method":"evil"'));
});

// ---- Cancellation ----------------------------------------------------------------------------

for (const [name, how] of [['closes', 'destroy'], ['resets', 'reset']])
    for (const token of [undefined, 'p'])
        test(`a client that ${name} the connection cancels its call within 100 ms${token ? ', on a stream' : ''}`, async () => {
            const label = `gone-${how}-${token ?? 'json'}`;
            const mark = daemon.mark;
            const promise = modern(port, 'tools/call', { name: 'wait', arguments: { ms: 20_000, label } },
                { meta: token ? { progressToken: token } : {}, connection: (globalThis.c = await Connection.open(port)) });
            promise.catch(() => {});
            await daemon.waitLog(new RegExp(`probe: ${label} started`), 5000, mark);
            const left = performance.now();
            globalThis.c[how]();
            await daemon.waitLog(new RegExp(`probe: ${label} cancelled .*is_cancelled 1`), 5000, mark);
            const took = performance.now() - left;
            if (!SLOW_BINARY) assert.ok(took < 100, `${took.toFixed(1)} ms`);
        });
test('a client that only shuts down its writing side: cancelled or answered, never stuck', async () => {
    const connection = await Connection.open(port);
    const promise = modern(port, 'tools/call', { name: 'wait', arguments: { ms: 300, label: 'half' } }, { connection });
    await daemon.waitLog(/half started/);
    connection.socket.end();
    await promise.then((response) => response.last()).catch(() => {});
    await sleep(400);
    await until(() => connection.ended, 3000, 'the connection to end');
    connection.destroy();
});
test('notifications/cancelled of another request does nothing in this era', async () => {
    const call = callTool(port, 'wait', { ms: 200, label: 'kept' }, { id: 4711 });
    await daemon.waitLog(/kept started/);
    const response = await modern(port, 'notifications/cancelled', { requestId: 4711 }, { id: null });
    assert.equal(response.status, 202);
    response.connection.destroy();
    assert.equal(textOf(await call), 'waited');
});
test('a thousand calls given up in every state leave nothing behind', async () => {
    const { descriptors, threads, threadNames } = await import('./lib/proc.mjs');
    // Every worker that there will be must have run before we count.
    await Promise.all(Array.from({ length: 8 }, () => callTool(port, 'wait', { ms: 50, label: 'warm' })));
    await sleep(100);
    const before = { fds: descriptors(daemon.pid), threads: threads(daemon.pid), names: threadNames(daemon.pid) };
    for (let round = 0; round < (SLOW_BINARY ? 5 : 50); round++) {
        await Promise.all(Array.from({ length: 20 }, async (_, i) => {
            const connection = await Connection.open(port);
            const name = ['wait', 'progress', 'one_echo', 'later'][i % 4];
            const promise = modern(port, 'tools/call', { name, arguments: name === 'one_echo' ? { text: 'x' } : { ms: 30 } },
                { connection, meta: { progressToken: i } });
            promise.catch(() => {});
            await sleep(Math.random() * 40);
            if (i % 2) connection.reset();
            else connection.destroy();
        }));
    }
    await until(() => descriptors(daemon.pid) <= before.fds + 1, 10_000, 'descriptors to be as before');
    await until(() => threads(daemon.pid) === before.threads, 5000, 'threads to be as before').catch((error) => {
        throw new Error(`${error.message}: ${before.names} -> ${threadNames(daemon.pid)}`);
    });
    assert.equal(textOf(await callTool(port, 'one_echo', { text: 'ok' })), 'ok');
});

// ---- subscriptions/listen ------------------------------------------------------------------------

test('listen: the acknowledgement first, at once, with the id as it was sent', async () => {
    for (const id of [nextId(), 'a "string" id', 0]) {
        const start = performance.now();
        const listener = await Listener.open(port, { toolsListChanged: true }, { id });
        assert.ok(performance.now() - start < 500 * SCALE);
        const [ack] = listener.messages;
        delete ack.at;
        conformsMessage(MODERN, ack);
        assert.equal(ack.method, 'notifications/subscriptions/acknowledged');
        assert.equal(ack.params._meta[`${META}subscriptionId`], id);
        assert.deepEqual(ack.params.notifications, { toolsListChanged: true });
        assert.match(listener.response.headers['content-type'], /^text\/event-stream/);
        assert.equal(listener.response.headers['x-accel-buffering'], 'no');
        listener.close();
    }
});
test('listen: what is asked for is agreed on, and nothing else', async () => {
    for (const filter of [
        { toolsListChanged: true, promptsListChanged: true, resourcesListChanged: true, resourceSubscriptions: ['test://x', 'test://"\u00fc"'] },
        { promptsListChanged: true },
        { resourceSubscriptions: ['test://x'] },
        {},
    ]) {
        const listener = await Listener.open(port, filter);
        conformsMessage(MODERN, { ...listener.messages[0], at: undefined });
        assert.deepEqual(listener.messages[0].params.notifications, filter);
        listener.close();
    }
    const listener = await Listener.open(port, { toolsListChanged: false, unknown: true, resourcesListChanged: true });
    assert.deepEqual(listener.messages[0].params.notifications, { resourcesListChanged: true });
    listener.close();
});
test('listen: a filter that is missing or wrong: -32602', async () => {
    for (const params of [{}, { notifications: null }, { notifications: [] }, { notifications: true }, { notifications: { toolsListChanged: 'yes' } }]) {
        const response = await modern(port, 'subscriptions/listen', params);
        assert.match(response.headers['content-type'], /json/, `accepted: ${JSON.stringify(params)}`);
        const last = await response.last();
        response.connection.destroy();
        assert.equal(last.error?.code, -32602, JSON.stringify(last));
        assert.equal(last.id, response.id);
    }
});
test('listen: who leaves at once is forgotten', async () => {
    const { descriptors } = await import('./lib/proc.mjs');
    const before = descriptors(daemon.pid);
    const listen = requestBytes({ port, ...modernMessage('subscriptions/listen', { notifications: { toolsListChanged: true } }) });
    for (let round = 0; round < 40; round++)
        await Promise.all(Array.from({ length: 20 }, async () => {
            const connection = await Connection.open(port);
            connection.socket.on('error', () => {});
            await connection.write(listen);
            for (const end = performance.now() + Math.random() * 2; performance.now() < end; );
            connection.reset();
        }));
    await until(() => descriptors(daemon.pid) <= before + 1, 10_000, 'descriptors to be as before');
});
test('listen: a client that takes no stream is refused', async () => {
    const response = await modern(port, 'subscriptions/listen', { notifications: { toolsListChanged: true } }, { accept: JSON_ONLY });
    const last = await response.last();
    response.connection.destroy();
    assert.ok(response.status >= 400 && last.error, `${response.status} ${JSON.stringify(last)}`);
});
test('listen: silent streams get comments that keep them open', async () => {
    const response = await modern(port, 'subscriptions/listen', { notifications: { toolsListChanged: true } });
    let comments = 0;
    for await (const event of response.events(5000 * SCALE)) {
        if ('comment' in event) comments++;
        if (comments === 3) break;
    }
    response.connection.destroy();
});
test('listen: a change is told once, tagged, to those who asked and to no one else', async () => {
    const wants = await Listener.open(port);
    const also = await Listener.open(port, { toolsListChanged: true }, { id: 'second' });
    const other = await Listener.open(port, { promptsListChanged: true });
    const off = await Listener.open(port, { toolsListChanged: false });
    daemon.install('stamp');
    const told = await wants.wait(2);
    delete told.at;
    conformsMessage(MODERN, told);
    assert.equal(told.method, 'notifications/tools/list_changed');
    assert.equal(told.params._meta[`${META}subscriptionId`], wants.id);
    assert.equal((await also.wait(2)).params._meta[`${META}subscriptionId`], 'second');
    assert.ok((await toolNames(port)).includes('stamp'), 'who is told sees the new list');
    await sleep(300);
    assert.deepEqual([wants, also, other, off].map(({ messages }) => messages.length), [2, 2, 1, 1]);
    daemon.remove('stamp');
    await wants.wait(3);
    assert.ok(!(await toolNames(port)).includes('stamp'));
    for (const listener of [wants, also, other, off]) listener.close();
});
test('the provider of a tool is told with it, and its calls are answered', async () => {
    daemon.install('stamp');
    await until(async () => (await toolNames(port)).includes('stamp'), 5000, 'stamp');
    const stamp = (await listTools(port)).find(({ name }) => name === 'stamp');
    assert.equal(stamp._meta['dev.mcpd/provider'], 'stamp');
    assert.equal(textOf(await callTool(port, 'stamp')), 'stamp=000000000000');
    daemon.remove('stamp');
    await until(async () => !(await toolNames(port)).includes('stamp'), 5000, 'no stamp');
    const { last } = await checked('tools/call', { name: 'stamp', arguments: {} });
    assert.equal(last.error.code, -32602);
});
test('at shutdown a listener gets its result, and an open call its answer', async () => {
    const listener = await Listener.open(port);
    const call = callTool(port, 'wait', { ms: 400, label: 'last' });
    await daemon.waitLog(/last started/);
    const stopped = daemon.stop();
    assert.equal(textOf(await call), 'waited');
    await until(() => listener.ended || listener.error, 10_000, 'the stream to end');
    assert.equal(listener.error, undefined);
    const last = listener.messages.at(-1);
    delete last.at;
    assert.equal(last.id, listener.id, JSON.stringify(last));
    conformsMessage(MODERN, last, 'subscriptions/listen');
    await stopped;
});

test('a result of many megabytes goes over a stream as it goes as JSON', async () => {
    const large = await Daemon.start({ plugins: ['echo'], config: { http: { max_body_bytes: 16 << 20 } } });
    const text = 'x'.repeat(6 << 20);
    for (const accept of ['application/json', STREAM_ONLY]) {
        const result = await callTool(large.port, 'echo', { text }, { accept });
        assert.equal(result.content[0].text.length, text.length, accept);
    }
    await large.stop();
});

await done();
