// SPDX-License-Identifier: MIT
// mcp-remote, the bridge with which desktop clients that only know stdio reach a
// server by HTTP.
import { assert, done, test, until } from './lib/check.mjs';
import { Daemon } from './lib/daemon.mjs';
import { startInstalled } from './lib/installed.mjs';
import { modernMeta, MODERN, textOf } from './lib/mcp.mjs';
import { tap } from './lib/tap.mjs';

const daemon = await Daemon.start({ plugins: ['conformance'] });
const port = await tap(daemon.port);

class Bridge {
    messages = [];

    constructor(path, transport) {
        this.child = startInstalled('mcp-remote', [`http://127.0.0.1:${port}${path}`, '--transport', transport]);
        let rest = '';
        this.child.stdout.on('data', (text) => {
            const parts = (rest + text).split('\n');
            rest = parts.pop();
            for (const part of parts) if (part.trim()) this.messages.push(JSON.parse(part));
        });
    }

    send(message) {
        this.child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
    }

    async ask(id, method, params) {
        this.send({ id, method, ...(params ? { params } : {}) });
        const answer = await until(() => this.messages.find((message) => message.id === id && !message.method), 20_000, `an answer to ${method}; ${JSON.stringify(this.messages)}\n${this.child.errors}`);
        assert.ok('result' in answer, JSON.stringify(answer));
        return answer.result;
    }

    /** The end of its input is its end. */
    async close() {
        this.child.stdin.end();
        await until(() => this.child.exit, 10_000, `its end\n${this.child.errors}`);
    }
}

test('a client of 2025-11-25 through mcp-remote: tools, resources, prompts, progress, list_changed', async () => {
    const bridge = new Bridge('/mcp', 'http-only');
    const hello = await bridge.ask(0, 'initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'p', version: '1' } });
    assert.equal(hello.serverInfo.name, 'mcpd');
    bridge.send({ method: 'notifications/initialized' });
    assert.ok((await bridge.ask(1, 'tools/list')).tools.length > 10);
    assert.equal(textOf(await bridge.ask(2, 'tools/call', { name: 'greet', arguments: { name: 'Ada' } })), 'Hello, Ada!');
    await bridge.ask(3, 'tools/call', { name: 'test_tool_with_progress', arguments: {}, _meta: { progressToken: 'p' } });
    assert.ok(bridge.messages.some(({ method, params }) => method === 'notifications/progress' && params.progressToken === 'p'));
    const { contents } = await bridge.ask(4, 'resources/read', { uri: 'test://static-text' });
    assert.match(contents[0].text, /static text resource/);
    assert.ok((await bridge.ask(5, 'prompts/list')).prompts.length > 3);
    daemon.install('many');
    await until(() => bridge.messages.some(({ method }) => method === 'notifications/tools/list_changed'), 10_000, 'list_changed');
    daemon.remove('many');
    await bridge.close();
}, { timeout: 60_000 });
test('a client of 2025-11-25 through mcp-remote answers a question of a tool', async () => {
    const bridge = new Bridge('/mcp', 'http-only');
    await bridge.ask(0, 'initialize', { protocolVersion: '2025-11-25', capabilities: { elicitation: {} }, clientInfo: { name: 'p', version: '1' } });
    bridge.send({ method: 'notifications/initialized' });
    const asked = bridge.ask(1, 'tools/call', { name: 'test_elicitation', arguments: { message: 'Who?' } });
    const question = await until(() => bridge.messages.find(({ method }) => method === 'elicitation/create'), 10_000, 'the question');
    assert.ok(question.params.requestedSchema);
    bridge.send({ id: question.id, result: { action: 'decline' } });
    assert.match(textOf(await asked), /decline/);
    await bridge.close();
}, { timeout: 60_000 });
test('a client of 2026-07-28 through mcp-remote', async () => {
    const bridge = new Bridge('/mcp', 'http-only');
    const found = await bridge.ask(0, 'server/discover', { _meta: modernMeta() });
    assert.ok(found.supportedVersions.includes(MODERN));
    const result = await bridge.ask(1, 'tools/call', { name: 'greet', arguments: { name: 'Ada' }, _meta: modernMeta() });
    assert.equal(textOf(result), 'Hello, Ada!');
    await bridge.close();
}, { timeout: 60_000 });
test('a client of 2024-11-05 through mcp-remote and /sse', async () => {
    const bridge = new Bridge('/sse', 'sse-only');
    const hello = await bridge.ask(0, 'initialize', { protocolVersion: '2024-11-05', capabilities: {}, clientInfo: { name: 'p', version: '1' } });
    assert.equal(hello.protocolVersion, '2024-11-05');
    bridge.send({ method: 'notifications/initialized' });
    assert.equal(textOf(await bridge.ask(1, 'tools/call', { name: 'greet', arguments: { name: 'Ada' } })), 'Hello, Ada!');
    await bridge.close();
}, { timeout: 60_000 });
test('the end', () => daemon.stop());

await done();
