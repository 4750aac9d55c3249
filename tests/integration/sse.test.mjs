// SPDX-License-Identifier: MIT
// HTTP+SSE of 2024-11-05: /sse and /messages, what an older client is not given, and
// that everything ends with the stream.
import { assert, done, SCALE, sleep, test, until } from './lib/check.mjs';
import { Daemon } from './lib/daemon.mjs';
import { http } from './lib/http.mjs';
import { LEGACY, modernMeta, nextId, Session, textOf } from './lib/mcp.mjs';
import { conformsMessage } from './lib/schema.mjs';
import { tap } from './lib/tap.mjs';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';

const OLD = '2024-11-05';
const daemon = await Daemon.start({ plugins: ['echo', 'probe', 'wire', 'conformance'], config: { http: { keepalive_ms: 300 * SCALE } } });
const { port } = daemon;

/** A client of 2024-11-05. */
class Sse {
    messages = [];
    comments = 0;
    ended = false;

    static async open({ to = port, headers = {} } = {}) {
        const sse = new Sse();
        sse.port = to;
        sse.response = await http(to, { method: 'GET', path: '/sse', headers: { Accept: 'text/event-stream', ...headers } });
        assert.equal(sse.response.status, 200);
        assert.match(sse.response.headers['content-type'], /^text\/event-stream/);
        sse.#read();
        await until(() => sse.endpoint, 2_000, 'the endpoint event');
        return sse;
    }

    async #read() {
        try {
            for await (const event of this.response.events(600_000)) {
                if ('comment' in event) this.comments++;
                else if (event.event === 'endpoint') this.endpoint = event.data;
                else {
                    assert.equal(event.event, 'message');
                    this.messages.push(JSON.parse(event.data));
                }
            }
        } catch (error) {
            this.error = error;
        }
        this.ended = true;
    }

    async postRaw(body, { headers = {}, path = this.endpoint } = {}) {
        const response = await http(this.port, { path, headers: { 'Content-Type': 'application/json', ...headers }, body });
        response.body = await response.text();
        response.connection.destroy();
        return response;
    }

    async post(message) {
        const response = await this.postRaw(JSON.stringify(message));
        assert.equal(response.status, 202, response.body);
    }

    async send(method, params, id = nextId()) {
        await this.post({ jsonrpc: '2.0', id, method, ...(params ? { params } : {}) });
        return id;
    }

    answerTo(id) {
        return this.messages.find((message) => message.id === id && !('method' in message));
    }

    answer(id, ms = 5_000) {
        return until(() => this.answerTo(id), ms, `an answer to ${id}: ${JSON.stringify(this.messages)}`);
    }

    async result(method, params) {
        const answer = await this.answer(await this.send(method, params));
        assert.ok('result' in answer, JSON.stringify(answer));
        return answer.result;
    }

    async initialize(version = OLD, capabilities = {}) {
        const result = await this.result('initialize', { protocolVersion: version, capabilities, clientInfo: { name: 't', version: '1' } });
        await this.post({ jsonrpc: '2.0', method: 'notifications/initialized' });
        return result;
    }

    close() {
        this.response.connection.destroy();
    }
}

// ---- The transport ---------------------------------------------------------------

test('the first event names the place for messages, which nobody can guess', async () => {
    const [one, two] = [await Sse.open(), await Sse.open()];
    for (const sse of [one, two]) assert.match(sse.endpoint, /^\/messages\?sessionId=[A-Za-z0-9_-]{43}$/);
    assert.notEqual(one.endpoint, two.endpoint);
    one.close();
    two.close();
});

test('initialize, ping, tools/list, tools/call', async () => {
    const sse = await Sse.open();
    const result = await sse.initialize();
    assert.equal(result.protocolVersion, OLD);
    assert.deepEqual(result.capabilities, { tools: { listChanged: true }, resources: { listChanged: true, subscribe: true }, prompts: { listChanged: true }, logging: {} });
    assert.deepEqual(await sse.result('ping'), {});
    const { tools } = await sse.result('tools/list');
    for (const tool of tools) for (const key of Object.keys(tool)) assert.ok(['name', 'description', 'inputSchema'].includes(key), key);
    assert.equal(textOf(await sse.result('tools/call', { name: 'wait', arguments: { ms: 10 } })), 'waited');
    for (const message of sse.messages) conformsMessage(OLD, message);
    sse.close();
});

for (const version of LEGACY)
    test(`a client may speak ${version} here as well`, async () => {
        const sse = await Sse.open();
        const result = await sse.initialize(version);
        assert.equal(result.protocolVersion, version);
        assert.equal(textOf(await sse.result('tools/call', { name: 'wait', arguments: { ms: 10 } })), 'waited');
        sse.close();
    });

test('2026-07-28 is not spoken here: its requests are not understood', async () => {
    const sse = await Sse.open();
    const answer = await sse.answer(await sse.send('server/discover', { _meta: modernMeta() }));
    assert.equal(answer.error.code, -32600);
    const result = await sse.initialize('2026-07-28');
    assert.equal(result.protocolVersion, LEGACY[0]);
    sse.close();
});

test('progress without its text, log messages, and changes', async () => {
    const sse = await Sse.open();
    await sse.initialize();
    await sse.result('tools/call', { name: 'progress', arguments: { steps: 3, ms: 20 }, _meta: { progressToken: 't' } });
    const progress = sse.messages.filter((m) => m.method === 'notifications/progress');
    assert.equal(progress.length, 3);
    for (const { params } of progress) assert.deepEqual(Object.keys(params).sort(), ['progress', 'progressToken', 'total']);
    await sse.result('logging/setLevel', { level: 'error' });
    await sse.result('tools/call', { name: 'say', arguments: {} });
    assert.equal(sse.messages.filter((m) => m.method === 'notifications/message').length, 1);
    daemon.install('many');
    await until(() => sse.messages.some((m) => m.method === 'notifications/tools/list_changed'), 5_000, 'list_changed');
    daemon.remove('many');
    for (const message of sse.messages) conformsMessage(OLD, message);
    sse.close();
});

test('what 2024-11-05 cannot take becomes text', async () => {
    const sse = await Sse.open();
    await sse.initialize();
    const { content, ...rest } = await sse.result('tools/call', { name: 'test_audio_content', arguments: {} });
    assert.ok(content.every((block) => block.type === 'text'), JSON.stringify(content));
    assert.match(textOf({ content }), /audio/);
    assert.deepEqual(Object.keys(rest).filter((key) => key !== 'isError'), []);
    const structured = await sse.result('tools/call', { name: 'structure', arguments: { n: 1 } });
    assert.ok(!('structuredContent' in structured));
    for (const message of sse.messages) conformsMessage(OLD, message, message.result?.content && 'tools/call');
    sse.close();
});

test('questions to the client go out and come back', async () => {
    const sse = await Sse.open();
    await sse.initialize(OLD, { sampling: {} });
    const id = await sse.send('tools/call', { name: 'test_sampling', arguments: { prompt: 'Hi' } });
    const question = await until(() => sse.messages.find((m) => m.method === 'sampling/createMessage'), 5_000, 'the question');
    await sse.post({ jsonrpc: '2.0', id: question.id, result: { role: 'assistant', content: { type: 'text', text: 'Hello' }, model: 'm' } });
    assert.match(textOf((await sse.answer(id)).result), /Hello/);
    sse.close();
});

test('the stream is kept alive', async () => {
    const sse = await Sse.open();
    await until(() => sse.comments >= 2, 10_000, 'comments');
    sse.close();
});

test('there are no batches in 2024-11-05, and there are in 2025-03-26', async () => {
    const sse = await Sse.open();
    await sse.initialize();
    await sse.post([{ jsonrpc: '2.0', id: 'b', method: 'ping' }]);
    await until(() => sse.messages.some((m) => m.error?.code === -32600), 5_000, 'an error');
    sse.close();
    const newer = await Sse.open();
    await newer.initialize('2025-03-26');
    await newer.post([{ jsonrpc: '2.0', id: 'b', method: 'ping' }, { jsonrpc: '2.0', id: 'c', method: 'ping' }]);
    await until(() => newer.messages.some(Array.isArray), 5_000, 'a batch');
    newer.close();
});

// ---- Who may, and who may not ---------------------------------------------------------

test('a session that is not there is not found', async () => {
    const sse = await Sse.open();
    const ping = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' });
    for (const path of ['/messages', '/messages?', '/messages?sessionId=', `/messages?sessionId=${'A'.repeat(43)}`, `/messages?sessionId=${'A'.repeat(5000)}`,
        `${sse.endpoint}x`, sse.endpoint.slice(0, -1), sse.endpoint.replace('sessionId', 'sessionid'), `/messages?x=${sse.endpoint.split('=')[1]}`]) {
        const response = await sse.postRaw(ping, { path });
        assert.equal(response.status, 404, path);
    }
    assert.equal((await sse.postRaw(ping, { path: sse.endpoint.replace('?', '?a=b&') })).status, 202);
    assert.equal((await sse.postRaw(ping, { path: `${sse.endpoint}&c` })).status, 202);
    sse.close();
});

test('Host, Origin, Content-Type, method and syntax are looked at as everywhere', async () => {
    const sse = await Sse.open();
    const ping = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' });
    const status = async (options) => {
        const response = await http(port, { ...options, headers: { 'Content-Type': 'application/json', Accept: 'text/event-stream', ...options.headers } });
        response.connection.destroy();
        return response.status;
    };
    for (const headers of [{ Host: 'evil.example.com' }, { Origin: 'http://evil.example.com' }]) {
        assert.equal(await status({ method: 'GET', path: '/sse', headers }), 403);
        assert.equal(await status({ path: sse.endpoint, headers, body: ping }), 403);
    }
    assert.equal(await status({ path: '/sse', body: ping }), 405);
    assert.equal(await status({ method: 'DELETE', path: '/sse' }), 405);
    assert.equal(await status({ method: 'GET', path: sse.endpoint }), 405);
    assert.equal(await status({ method: 'GET', path: '/sse/' }), 404);
    assert.equal(await status({ method: 'GET', path: '/ssex' }), 404);
    assert.equal(await status({ method: 'GET', path: '/sse', headers: { Accept: 'application/json' } }), 406);
    assert.equal(await status({ path: sse.endpoint, headers: { 'Content-Type': 'text/plain' }, body: ping }), 415);
    assert.equal(await status({ path: sse.endpoint, body: '{"jsonrpc":' }), 400);
    sse.close();
});

test('there are no more than sessions.max of them', async () => {
    const small = await Daemon.start({ plugins: ['wire'], config: { sessions: { max: 3 } } });
    const open = [];
    for (let i = 0; i < 3; i++) open.push(await Sse.open({ to: small.port }));
    const refused = await http(small.port, { method: 'GET', path: '/sse', headers: { Accept: 'text/event-stream' } });
    assert.equal(refused.status, 503);
    refused.connection.destroy();
    open[0].close();
    await until(async () => {
        const response = await http(small.port, { method: 'GET', path: '/sse', headers: { Accept: 'text/event-stream' } });
        response.connection.destroy();
        return response.status === 200;
    }, 5_000, 'room for another');
    await small.stop();
});

// ---- The end ---------------------------------------------------------------------------

test('who closes the stream cancels his calls and ends his session', async () => {
    const sse = await Sse.open();
    await sse.initialize();
    const mark = daemon.mark;
    await sse.send('tools/call', { name: 'wait', arguments: { ms: 20_000, label: 'sse' } });
    await daemon.waitLog(/probe: sse started/, 5_000, mark);
    sse.close();
    await daemon.waitLog(/probe: sse cancelled/, 5_000, mark);
    const response = await sse.postRaw(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' }));
    assert.equal(response.status, 404);
});

test('notifications/cancelled cancels, and nothing more is said', async () => {
    const sse = await Sse.open();
    await sse.initialize();
    const mark = daemon.mark;
    const id = await sse.send('tools/call', { name: 'wait', arguments: { ms: 20_000, label: 'it' } });
    await daemon.waitLog(/probe: it started/, 5_000, mark);
    await sse.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: id } });
    await daemon.waitLog(/probe: it cancelled/, 5_000, mark);
    await sse.result('ping');
    assert.equal(sse.answerTo(id), undefined);
    sse.close();
});

test('mcpd ends when the calls in flight are answered, and then the streams', async () => {
    const other = await Daemon.start({ plugins: ['probe'] });
    const [busy, idle] = [await Sse.open({ to: other.port }), await Sse.open({ to: other.port })];
    await busy.initialize();
    await idle.initialize();
    const id = await busy.send('tools/call', { name: 'wait', arguments: { ms: 700, label: 'last' } });
    await other.waitLog(/probe: last started/);
    await other.stop();
    await until(() => busy.ended && idle.ended, 2_000, 'the ends');
    assert.equal(textOf(busy.answerTo(id).result), 'waited');
    assert.equal(busy.error, undefined, 'the stream is ended, not cut');
    assert.equal(idle.error, undefined);
});

test('many come and go at once, in the midst of calls', async () => {
    const before = daemon.mark;
    await Promise.all(Array.from({ length: 40 }, async (_, i) => {
        const sse = await Sse.open();
        await sse.initialize(i % 2 ? OLD : '2025-06-18');
        await sse.send('tools/call', { name: 'progress', arguments: { steps: 10, ms: 10 }, _meta: { progressToken: 1 } });
        await sse.send('tools/call', { name: 'wait', arguments: { ms: 50 } });
        await sleep(Math.random() * 150);
        if (i % 4 === 0) await Promise.allSettled([sse.postRaw('{"jsonrpc":"2.0","id":7,"method":"ping"}'), sse.close()]);
        else sse.close();
    }));
    assert.doesNotMatch(daemon.logSince(before), /error/i);
    const sse = await Sse.open();
    await sse.initialize();
    sse.close();
});

// ---- The same revision over /mcp, and the official client ------------------------------------

test('2024-11-05 over /mcp: initialize gives what was asked for', async () => {
    const session = await Session.open(port, OLD);
    assert.equal(session.initialize.result.protocolVersion, OLD);
    const result = await session.result('tools/call', { name: 'wait', arguments: { ms: 1 } });
    assert.equal(textOf(result), 'waited');
});

test("the SDK client v1's SSE transport", async () => {
    const client = new ClientV1({ name: 'v1', version: '1' });
    const changes = [];
    client.setNotificationHandler(ToolListChangedNotificationSchema, () => changes.push(1));
    await client.connect(new SSEClientTransport(new URL(`http://127.0.0.1:${await tap(port)}/sse`)));
    assert.equal(client.getServerVersion().name, 'mcpd');
    const { tools } = await client.listTools();
    assert.ok(tools.some((tool) => tool.name === 'wait'));
    const steps = [];
    const result = await client.callTool({ name: 'progress', arguments: { steps: 3, ms: 30 } }, undefined, { onprogress: (p) => steps.push(p) });
    assert.equal(textOf(result), 'all steps done');
    assert.ok(steps.length >= 2, `${steps.length}`); // it forgets one that comes together with the result
    await Promise.all(Array.from({ length: 30 }, (_, i) => client.callTool({ name: 'headers', arguments: { level: i } })
        .then((one) => assert.deepEqual(JSON.parse(textOf(one)), { level: i }))));
    daemon.install('many');
    await until(() => changes.length > 0, 5_000, 'list_changed');
    daemon.remove('many');
    await client.close();
});

await done();
