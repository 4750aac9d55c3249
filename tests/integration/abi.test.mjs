// SPDX-License-Identifier: MIT
// Plugins that were built with the headers of earlier ABI minors (tests/abi), served by
// today's mcpd.
import path from 'node:path';
import { assert, done, test, until } from './lib/check.mjs';
import { Daemon, ROOT } from './lib/daemon.mjs';
import { callTool, Listener, META, modern, modernResult, Session, textOf, toolNames } from './lib/mcp.mjs';

const EXTENSION = 'io.modelcontextprotocol/tasks';
const daemon = new Daemon();
for (const name of ['frozen', 'frozen_1_1'])
    daemon.install(name, path.resolve(ROOT, process.env.B || 'build', 'tests/abi', `${name}.so`));
await daemon.start();
const { port } = daemon;
const can = (capabilities) => ({ meta: { [`${META}clientCapabilities`]: capabilities } });

test('what both offer is listed, and nothing is complained of', async () => {
    assert.deepEqual((await toolNames(port)).sort(), ['frozen_all', 'frozen_echo', 'frozen_later', 'new_all', 'new_ask', 'new_error', 'new_task']);
    assert.deepEqual(daemon.lines.filter((line) => /left out|frozen.*(refused|cannot|not served)/.test(line)), []);
});

// ---- 1.0 ---------------------------------------------------------------------------

test('1.0: a structured answer at once, and one from a thread of the plugin', async () => {
    const echo = await callTool(port, 'frozen_echo', { text: 'a "b"\n\u00fc' });
    assert.deepEqual(echo.structuredContent, { text: 'a "b"\n\u00fc', tag: 7 });
    assert.equal(textOf(await callTool(port, 'frozen_later', { ms: 20 })), 'later');
});
test('1.0: every function of the host and of the call is as it was', async () => {
    assert.deepEqual((await callTool(port, 'frozen_all')).structuredContent, { failed: [] });
    const session = await Session.open(port, '2025-11-25');
    const { result } = await (await session.request('tools/call', { name: 'frozen_all', arguments: {} })).last();
    assert.deepEqual(result.structuredContent, { failed: [] });
});

// ---- 1.1 ---------------------------------------------------------------------------

test('1.1: every new part of the call and of the host is as it was', async () => {
    const options = { meta: { [`${META}clientCapabilities`]: { elicitation: {} }, 'example.org/given': 7 } };
    const listener = await Listener.open(port, { resourceSubscriptions: ['frozen://text'] });
    assert.deepEqual((await callTool(port, 'new_all', { given: true }, options)).structuredContent, { failed: [] });
    const told = await listener.wait(2);
    listener.close();
    assert.deepEqual([told.method, told.params.uri], ['notifications/resources/updated', 'frozen://text']);
});
test('1.1: an error of the protocol', async () => {
    const response = await modern(port, 'tools/call', { name: 'new_error', arguments: {} });
    const { error } = await response.last();
    response.connection.destroy();
    assert.deepEqual(error, { code: -32602, message: 'Not so.', data: { frozen: true } });
});
test('1.1: a question, its answer with the state, which counts once', async () => {
    const ask = async (more) => {
        const response = await modern(port, 'tools/call', { name: 'new_ask', arguments: {}, ...more }, can({ elicitation: {} }));
        const message = await response.last();
        response.connection.destroy();
        return message;
    };
    const { requestState, inputRequests } = (await ask({})).result;
    assert.equal(inputRequests.who.params.message, 'Who?');
    const answered = { requestState, inputResponses: { who: { action: 'accept', content: { name: 'Ada' } } } };
    assert.equal(textOf((await ask(answered)).result), 'asked: Ada');
    assert.equal((await ask(answered)).error.code, -32602);
});
test('1.1: a call that becomes a task, where the client knows tasks', async () => {
    assert.equal(textOf(await callTool(port, 'new_task')), 'no task');
    const options = can({ extensions: { [EXTENSION]: {} } });
    const task = await callTool(port, 'new_task', {}, options);
    assert.equal(task.resultType, 'task');
    const ended = await until(async () => {
        const now = await modernResult(port, 'tasks/get', { taskId: task.taskId }, options);
        return now.status === 'completed' && now;
    });
    assert.equal(textOf(ended.result), 'a task');
});
test('1.1: resources, a template, a prompt, completion and a skill', async () => {
    const ask = (method, params) => modernResult(port, method, params);
    const read = async (uri) => (await ask('resources/read', { uri })).contents[0].text;
    assert.deepEqual((await ask('resources/list')).resources.map(({ uri }) => uri), ['skill://frozen/SKILL.md', 'frozen://text']);
    assert.deepEqual((await ask('resources/templates/list')).resourceTemplates.map(({ uriTemplate }) => uriTemplate), ['frozen://item/{id}']);
    assert.equal(await read('frozen://text'), '1 frozen://text {}');
    assert.equal(await read('frozen://item/a%20b'), '3 frozen://item/a%20b {"id":"a b"}');
    assert.deepEqual((await ask('prompts/list')).prompts.map(({ name }) => name), ['new_prompt']);
    const { messages } = await ask('prompts/get', { name: 'new_prompt', arguments: { name: 'x' } });
    assert.equal(messages[0].content.text, '4 new_prompt {"name":"x"}');
    const complete = async (ref, name) => (await ask('completion/complete', { ref, argument: { name, value: '' } })).completion.values;
    assert.deepEqual(await complete({ type: 'ref/prompt', name: 'new_prompt' }, 'name'), ['Ada']);
    assert.deepEqual(await complete({ type: 'ref/resource', uri: 'frozen://item/{id}' }, 'id'), ['1']);
    assert.deepEqual((await ask('skills/list')).skills.map(({ uri }) => uri), ['skill://frozen/SKILL.md']);
});

await done();
