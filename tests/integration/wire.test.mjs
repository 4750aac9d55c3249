// SPDX-License-Identifier: MIT
// The listener that validates all that mcpd sends in the other tests: it must find
// what is wrong, whoever carries it, and must not complain of what is right.
import fs from 'node:fs';
import path from 'node:path';
import { assert, done, test } from './lib/check.mjs';
import { Daemon, ROOT } from './lib/daemon.mjs';
import { Connection } from './lib/http.mjs';
import { LEGACY, MODERN, modernMessage, modernMeta, modernResult, Session } from './lib/mcp.mjs';
import { messageFault, missingSchemas, NEWEST, noSchema, REVISIONS } from './lib/schema.mjs';
import { tap } from './lib/tap.mjs';
import { Conversation, LineConversation, report, takeViolations } from './lib/wire.mjs';

const skip = noSchema(MODERN);

test('the schemas of all revisions are there', () => {
    assert.deepEqual(missingSchemas, []);
}, { skip: missingSchemas.length === REVISIONS.length ? skip : null });

// ---- Messages ----------------------------------------------------------------------

const answer = (result) => ({ jsonrpc: '2.0', id: 1, result });
const complete = { resultType: 'complete' };
const task = { taskId: 't', status: 'working', createdAt: '2026-07-28T10:00:00Z', lastUpdatedAt: '2026-07-28T10:00:00Z', ttlMs: null };
const text = { content: [{ type: 'text', text: 'x' }] };
const cacheable = { ...complete, ttlMs: 0, cacheScope: 'public' };
const notification = (method, params) => ({ jsonrpc: '2.0', method, ...(params ? { params } : {}) });
const error = (code, data) => ({ jsonrpc: '2.0', id: 1, error: { code, message: 'x', ...(data ? { data } : {}) } });

/** [revision, message, method, what is wrong (null: nothing), whether a task was asked for] */
const cases = [
    [MODERN, answer({ ...complete, ...text }), 'tools/call', null],
    [MODERN, answer(text), 'tools/call', /resultType/],
    [MODERN, answer({ resultType: 'finished', ...text }), 'tools/call', /finished/],
    [MODERN, answer({ ...complete, content: [{ type: 'text' }] }), 'tools/call', /content/],
    [MODERN, answer({ ...complete, content: [{ type: 'image', data: '*', mimeType: 'image/png' }] }), 'tools/call', /content/],
    [MODERN, answer({ resultType: 'input_required', requestState: 's' }), 'tools/call', null],
    [MODERN, answer({ resultType: 'input_required' }), 'tools/call', /neither/],
    [MODERN, answer({ resultType: 'input_required', inputRequests: { a: { method: 'tools/list' } } }), 'tools/call', /./],
    [MODERN, answer({ resultType: 'input_required', requestState: 's' }), 'tools/list', /cacheScope/],
    [MODERN, answer({ resultType: 'task', ...task }), 'tools/call', null],
    [MODERN, answer({ resultType: 'task', ...task, status: 'done' }), 'tools/call', /status/],
    [MODERN, answer({ resultType: 'task', ...task, createdAt: 'today' }), 'tools/call', /createdAt/],
    [MODERN, answer({ resultType: 'task', ...task }), 'prompts/get', /prompts\/get/],
    [MODERN, answer({ ...complete, ...task }), 'tasks/get', null],
    [MODERN, answer({ ...complete, ...task, status: 'completed' }), 'tasks/get', /./],
    [MODERN, answer({ ...complete, ...task, status: 'completed', result: { ...text } }), 'tasks/get', null],
    [MODERN, answer({ ...complete, ...task, status: 'failed', error: { code: -32603 } }), 'tasks/get', /message/],
    [MODERN, answer({ resultType: 'task', ...task }), 'tasks/get', /resultType/],
    [MODERN, answer({ ...cacheable, tools: [] }), 'tools/list', null],
    [MODERN, answer({ ...complete, tools: [] }), 'tools/list', /ttlMs|cacheScope/],
    [MODERN, answer(complete), 'ping', /ping/],
    [MODERN, answer({ ...cacheable, skills: [{ uri: 'skill://a/SKILL.md', frontmatter: { name: 'a', description: 'b' }, resources: 'dynamic' }] }), 'skills/list', null],
    [MODERN, answer({ ...cacheable, skills: [{ uri: 'skill://a/README.md', frontmatter: { name: 'a', description: 'b' }, resources: 'dynamic' }] }), 'skills/list', /uri/],
    [MODERN, notification('notifications/tools/list_changed'), undefined, null],
    [MODERN, notification('notifications/tasks', task), undefined, null],
    [MODERN, notification('notifications/tasks', {}), undefined, /taskId/],
    [MODERN, notification('notifications/progress', { progress: 1 }), undefined, /progressToken/],
    [MODERN, notification('notifications/made/up'), undefined, /made\/up/],
    [MODERN, { ...notification('roots/list'), id: 1 }, undefined, /no request roots\/list/],
    [MODERN, error(-32022, { supported: [], requested: '' }), 'tools/list', null],
    [MODERN, error(-32022), 'tools/list', /data/],
    [MODERN, error(-32021, {}), 'tools/list', /requiredCapabilities/],
    [MODERN, { ...error(-32700), id: undefined }, undefined, null],
    [MODERN, { ...error(-32700), id: null }, undefined, /id/],
    [MODERN, { jsonrpc: '2.0', id: 1 }, 'tools/list', /not one of/],
    ['2025-11-25', { ...notification('roots/list'), id: 1 }, undefined, null],
    ['2025-11-25', { ...notification('elicitation/create', { message: 'x' }), id: 1 }, undefined, /./],
    ['2024-11-05', { ...notification('elicitation/create', { message: 'x', requestedSchema: {} }), id: 1 }, undefined, /no request/],
    ['2025-11-25', answer({ task: { ...task, ttl: null } }), 'tools/call', null, true],
    ['2025-11-25', answer({ task: { ...task, ttl: null } }), 'tools/call', /content/],
    ['2025-11-25', answer({ task }), 'tools/call', /ttl/, true],
    ['2025-06-18', answer({ task: { ...task, ttl: null } }), 'tools/call', /content/, true],
    ['2025-11-25', error(-32042), 'tools/call', /data/],
    ['2025-11-25', answer({}), 'server/discover', /server\/discover/],
    ...LEGACY.map((revision) => [revision, answer({ protocolVersion: revision, capabilities: {}, serverInfo: { name: 'x', version: '1' } }), 'initialize', null]),
    ...LEGACY.map((revision) => [revision, answer({ protocolVersion: revision, capabilities: {} }), 'initialize', /serverInfo/]),
    ['2025-03-26', [answer({}), error(-32602)], undefined, null],
    ['2025-06-18', [answer({})], undefined, /./],
    ['2025-03-26', answer({ content: [{ type: 'resource_link', uri: 'a:b', name: 'x' }] }), 'tools/call', /./],
    ['2024-11-05', answer({ content: [{ type: 'audio', data: '', mimeType: 'audio/wav' }] }), 'tools/call', /./],
];
test('messages: what is right passes, what is wrong is told', () => {
    for (const [revision, message, method, wrong, asTask] of cases) {
        const sent = JSON.parse(JSON.stringify(message));
        const why = messageFault(revision, sent, method, asTask);
        const what = `${revision} ${method ?? ''} ${JSON.stringify(sent)}: ${why}`;
        if (wrong) assert.match(why ?? '', wrong, what);
        else assert.equal(why, null, what);
    }
}, { skip });
test("messages: the specification's own examples pass", () => {
    const examples = path.join(process.env.SPEC || path.resolve(ROOT, '../shared/spec'), NEWEST, 'examples');
    if (!fs.existsSync(examples)) return;
    let count = 0;
    for (const name of fs.readdirSync(examples)) {
        const method = { CallToolResultResponse: 'tools/call', DiscoverResultResponse: 'server/discover', ListToolsResultResponse: 'tools/list', GetPromptResultResponse: 'prompts/get' }[name];
        if (!method && !/^(ToolListChanged|Progress|LoggingMessage|ResourceUpdated)Notification$/.test(name)) continue;
        for (const file of fs.readdirSync(path.join(examples, name))) {
            const message = JSON.parse(fs.readFileSync(path.join(examples, name, file), 'utf8'));
            assert.equal(messageFault(NEWEST, message, method), null, `${name}/${file}`);
            count++;
        }
    }
    assert.ok(count > 5, `${count} examples`);
}, { skip });

// ---- Bytes --------------------------------------------------------------------------

const request = (message, fields = '') => {
    const body = JSON.stringify(message);
    return `POST /mcp HTTP/1.1\r\nHost: x\r\n${fields}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
};
const response = (message, fields = 'Content-Type: application/json\r\n', status = 200) => {
    const body = typeof message === 'string' ? message : JSON.stringify(message);
    return `HTTP/1.1 ${status} X\r\n${fields}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
};
const modernCall = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'x', _meta: modernMeta() } };

/** Runs the bytes through a conversation, whole and one by one; what was found each time. */
function hear(make, sent, received) {
    const result = [];
    for (const step of [Infinity, 1]) {
        const conversation = make();
        for (const [side, data] of [['sent', sent], ['received', received]]) {
            const bytes = Buffer.from(data);
            for (let at = 0; at < bytes.length; at += step) conversation[side](bytes.subarray(at, Math.min(at + step, bytes.length)));
        }
        conversation.closed?.();
        result.push(takeViolations());
    }
    assert.deepEqual(result[0].length, result[1].length, JSON.stringify(result));
    return result[0];
}
const overHttp = (sent, received) => hear(() => new Conversation(), sent, received);
const events = (list, fields = '') => {
    const chunks = list.map((data) => `data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`).map((one) => `${Buffer.byteLength(one).toString(16)}\r\n${one}\r\n`);
    return `HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n${fields}Transfer-Encoding: chunked\r\n\r\n${chunks.join('')}0\r\n\r\n`;
};

test('bytes: a wrong message is found in a body, in an event, in the second of two answers', () => {
    const good = answer({ ...complete, ...text }), bad = answer(text);
    assert.deepEqual(overHttp(request(modernCall), response(good)), []);
    assert.match(overHttp(request(modernCall), response(bad))[0], /^not 2026-07-28: .*resultType/);
    const step = notification('notifications/progress', { progressToken: 1, progress: 1 });
    assert.deepEqual(overHttp(request(modernCall), events([step, good])), []);
    assert.equal(overHttp(request(modernCall), events([{ ...step, params: {} }, good])).length, 1);
    assert.equal(overHttp(request(modernCall), events([step, bad])).length, 1);
    assert.equal(overHttp(request(modernCall) + request(modernCall), response(good) + response(bad)).length, 1);
    assert.match(overHttp(request(modernCall), response('{"jsonrpc"'))[0], /^not JSON:/);
    assert.match(overHttp(request(modernCall), events(['nonsense']))[0], /^not JSON:/);
    const untilTheEnd = `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n${JSON.stringify(bad)}`;
    assert.equal(overHttp(request(modernCall), untilTheEnd).length, 1);
}, { skip });
test('bytes: an answer to what was not asked, or without its id', () => {
    assert.match(overHttp(request(modernCall), response({ ...answer({ ...complete, ...text }), id: 2 }))[0], /was not asked/);
    assert.match(overHttp(request(modernCall), response({ ...error(-32602), id: undefined }))[0], /without an id/);
    assert.deepEqual(overHttp(request('nonsense'), response({ ...error(-32700), id: undefined }, undefined, 400)), []);
    assert.deepEqual(overHttp('GARBAGE\r\n\r\n', response({ ...error(-32600), id: undefined }, undefined, 400)), []);
}, { skip });
for (const revision of LEGACY)
    test(`bytes: a session of ${revision} is held to that revision, on every connection`, () => {
        const session = `s-${revision}`;
        const initialize = { jsonrpc: '2.0', id: 0, method: 'initialize', params: { protocolVersion: revision, capabilities: {}, clientInfo: { name: 'x', version: '1' } } };
        const initialized = answer({ protocolVersion: revision, capabilities: {}, serverInfo: { name: 'x', version: '1' } });
        const fields = `Content-Type: application/json\r\nMcp-Session-Id: ${session}\r\n`;
        assert.deepEqual(overHttp(request(initialize), response({ ...initialized, id: 0 }, fields)), []);
        const inSession = (message) => request(message, `Mcp-Session-Id: ${session}\r\n`);
        const call = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'x' } };
        assert.deepEqual(overHttp(inSession(call), response(answer(text))), []);
        assert.match(overHttp(inSession(call), response(answer({})))[0], new RegExp(`^not ${revision}: .*content`));
        const stream = `GET /mcp HTTP/1.1\r\nMcp-Session-Id: ${session}\r\nAccept: text/event-stream\r\n\r\n`;
        assert.deepEqual(overHttp(stream, events([notification('notifications/tools/list_changed'), { ...notification('roots/list'), id: 5 }, answer(text)])), []);
        assert.match(overHttp(stream, events([notification('notifications/subscriptions/acknowledged')]))[0], new RegExp(`^not ${revision}`));
    }, { skip });
test('bytes: 2024-11-05: the answers come on another stream', () => {
    const hello = { jsonrpc: '2.0', id: 0, method: 'initialize', params: { protocolVersion: '2024-11-05', capabilities: {}, clientInfo: { name: 'x', version: '1' } } };
    const sse = (list) => `HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n${list}`;
    const stream = new Conversation();
    stream.sent(Buffer.from('GET /sse HTTP/1.1\r\nHost: x\r\n\r\n'));
    stream.received(Buffer.from(sse('event: endpoint\ndata: /messages?sessionId=abc\n\n')));
    const posts = new Conversation();
    posts.sent(Buffer.from(request(hello).replace('/mcp', '/messages?sessionId=abc')));
    posts.received(Buffer.from('HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n'));
    const say = (message) => stream.received(Buffer.from(`event: message\ndata: ${JSON.stringify(message)}\n\n`));
    say({ ...answer({ protocolVersion: '2024-11-05', capabilities: {}, serverInfo: { name: 'x', version: '1' } }), id: 0 });
    assert.deepEqual(takeViolations(), []);
    say({ ...answer({ content: [] }), id: 77 });
    assert.match(takeViolations()[0], /was not asked/);
    say({ ...answer({}), id: 0 });
    assert.match(takeViolations()[0], /^not 2024-11-05/);
}, { skip });
test('bytes: standard output, line by line', () => {
    const overStdio = (sent, received) => hear(() => new LineConversation(), `${sent.map((one) => JSON.stringify(one)).join('\n')}\n`, `${received.map((one) => JSON.stringify(one)).join('\n')}\n`);
    assert.deepEqual(overStdio([modernCall], [answer({ ...complete, ...text })]), []);
    assert.equal(overStdio([modernCall], [answer(text)]).length, 1);
    assert.equal(overStdio([modernCall], [answer({ ...complete, ...text }), answer(text)]).length, 1);
    assert.match(hear(() => new LineConversation(), '', 'Hello!\n')[0], /^not JSON/);
}, { skip });

// ---- mcpd itself ----------------------------------------------------------------------

const daemon = await Daemon.start({ plugins: ['echo'] });

test('each message of mcpd is counted once, also of those that nobody reads', async () => {
    const counted = () => report().counted;
    const before = counted();
    await modernResult(daemon.port, 'tools/list');
    const connection = await Connection.open(daemon.port);
    const { headers, body } = modernMessage('tools/list');
    await connection.write(request(JSON.parse(body), Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')).replace('Host: x', `Host: 127.0.0.1:${daemon.port}`));
    await connection.response();
    connection.destroy();
    const session = await Session.open(daemon.port, '2025-06-18');
    await session.result('tools/list');
    await session.delete();
    const after = counted();
    assert.equal(after[MODERN] - before[MODERN], 2);
    assert.equal(after['2025-06-18'] - before['2025-06-18'], 2);
}, { skip });
test('a tap forwards the same bytes, and hears them', async () => {
    const port = await tap(daemon.port);
    const before = report().counted[MODERN];
    const result = await modernResult(port, 'tools/list');
    assert.ok(result.tools.length > 0);
    assert.equal(report().counted[MODERN] - before, 2, 'by the raw helper and by the tap');
}, { skip });
test('the end', () => daemon.stop());

await done();
