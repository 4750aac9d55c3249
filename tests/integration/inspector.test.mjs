// SPDX-License-Identifier: MIT
// The MCP Inspector's command line, as people check a server with it: over HTTP in
// both eras, over the transport of 2024-11-05 and over stdio.
import path from 'node:path';
import { assert, done, test } from './lib/check.mjs';
import { Daemon } from './lib/daemon.mjs';
import { runInstalled } from './lib/installed.mjs';
import { stdioTap, tap } from './lib/tap.mjs';

const daemon = await Daemon.start({ plugins: ['conformance'] });
const port = await tap(daemon.port);

const inspect = (target, ...args) => runInstalled('mcp-inspector', ['--cli', ...target, '--connect-timeout', '10000', ...args]);
const http = (era) => [`http://127.0.0.1:${port}/mcp`, '--transport', 'http', '--protocol-era', era];

/** Runs it; asserts the exit status and gives what it printed, read. */
async function expect(status, target, ...args) {
    const { code, output, errors } = await inspect(target, ...args);
    assert.equal(code, status, `${args.join(' ')}\n${output}${errors}`);
    return output.trim() ? JSON.parse(output) : JSON.parse(errors.trim().split('\n').at(-1));
}
const call = (status, target, name, ...args) => expect(status, target, '--method', 'tools/call', '--tool-name', name, ...args);
const textOf = (result) => result.content.map((block) => block.text ?? block.type).join('\n');

for (const era of ['legacy', 'auto', 'modern']) {
    const target = http(era), modern = era !== 'legacy';
    const with_ = (what, fn) => test(`${era}: ${what}`, fn, { timeout: 60_000 });

    with_('tools/list finds no fault with a schema', async () => {
        const { tools } = await expect(0, target, '--method', 'tools/list', '--strict');
        for (const name of ['test_simple_text', 'greet', 'test_reconnection']) assert.ok(tools.some((tool) => tool.name === name), name);
    });
    with_('tools/call: content of every kind, arguments, a mirrored header', async () => {
        assert.match(textOf(await call(0, target, 'test_simple_text')), /simple text/);
        const kinds = (await call(0, target, 'test_multiple_content_types')).content.map((block) => block.type);
        assert.deepEqual(kinds, ['text', 'image', 'resource']);
        assert.equal(textOf(await call(0, target, 'greet', '--tool-arg', 'name=Ada')), 'Hello, Ada!');
        /* 2026-07-28 refuses this without Mcp-Param-Region. */
        await call(0, target, 'test_x_mcp_header', '--tool-args-json', '{"region":"eu-west1"}');
    });
    if (era === 'auto') continue; // the same from here on
    with_('tools/call: a tool that fails is status 5, one that is not there 1 or 5', async () => {
        assert.equal((await call(5, target, 'test_error_handling')).isError, true);
        const { code, output, errors } = await inspect(target, '--method', 'tools/call', '--tool-name', 'no_such_tool');
        assert.ok([1, 5].includes(code), `${code}`);
        assert.match(output + errors, /no_such_tool/);
    });
    with_('tools/call: progress, and a stream that mcpd closes meanwhile', async () => {
        await call(0, target, 'test_tool_with_progress');
        assert.ok(textOf(await call(0, target, 'test_reconnection')).length > 0);
    });
    with_('resources: list, templates, read, read by a template, one that is not there', async () => {
        const { resources } = await expect(0, target, '--method', 'resources/list');
        assert.ok(resources.some(({ uri }) => uri === 'test://static-text'));
        const { resourceTemplates } = await expect(0, target, '--method', 'resources/templates/list');
        assert.deepEqual(resourceTemplates.map(({ uriTemplate }) => uriTemplate), ['test://template/{id}/data']);
        const read = async (uri) => (await expect(0, target, '--method', 'resources/read', '--uri', uri)).contents[0];
        assert.equal((await read('test://static-text')).text, 'This is the content of the static text resource.');
        assert.ok((await read('test://static-binary')).blob.length > 0);
        assert.equal(JSON.parse((await read('test://template/7/data')).text).id, '7');
        const { error } = await expect(1, target, '--method', 'resources/read', '--uri', 'test://none');
        assert.match(JSON.stringify(error), /not found|-32602|-32002/i);
    });
    with_('prompts: list, get with arguments', async () => {
        const { prompts } = await expect(0, target, '--method', 'prompts/list');
        assert.ok(prompts.some(({ name }) => name === 'test_prompt_with_arguments'));
        const { messages } = await expect(0, target, '--method', 'prompts/get', '--prompt-name', 'test_prompt_with_arguments', '--prompt-args', 'arg1=one', 'arg2=two');
        assert.equal(messages[0].content.text, "Prompt with arguments: arg1='one', arg2='two'");
    });
    with_('500 calls, ten at a time, without an error', async () => {
        const summary = await call(0, target, 'test_simple_text', '--load', '--load-requests', '500', '--load-concurrency', '10');
        assert.match(JSON.stringify(summary), /500/);
        const failed = JSON.stringify(summary).match(/"(?:errors|failed|failures|errorCount)":(\d+)/);
        assert.equal(failed?.[1], '0', JSON.stringify(summary));
    });
    if (!modern) continue;
    with_('tasks: followed to the result, to a failure of the tool, to an error', async () => {
        assert.ok(textOf(await call(0, target, 'slow_compute', '--tool-args-json', '{"seconds":1}')).length > 0);
        assert.equal((await call(5, target, 'failing_job')).isError, true);
        assert.match(JSON.stringify(await call(1, target, 'protocol_error_job')), /-32603|error/i);
    });
    with_('a tool that asks what this client cannot answer is refused', async () => {
        const { code, output, errors } = await inspect(target, '--method', 'tools/call', '--tool-name', 'test_input_required_result_elicitation');
        assert.equal(code, 1);
        assert.match(output + errors, /-32021|elicitation/);
    });
    with_('skills: verified with their digests, and their directories', async () => {
        const { code, output, errors } = await inspect(target, '--method', 'skills/list', '--verify', '--require-digests');
        assert.equal(code, 0, output + errors);
        assert.match(errors, /Verified 1 skill and 2 files: no conformance errors/);
        const { resources } = await expect(0, target, '--method', 'resources/directory/read', '--uri', 'skill://pdf-processing');
        assert.ok(resources.some(({ mimeType }) => mimeType === 'inode/directory'));
    });
}

test('2024-11-05: over /sse', async () => {
    const target = [`http://127.0.0.1:${port}/sse`, '--transport', 'sse'];
    const { tools } = await expect(0, target, '--method', 'tools/list');
    assert.ok(tools.some((tool) => tool.name === 'greet'));
    assert.equal(textOf(await call(0, target, 'greet', '--tool-arg', 'name=Ada')), 'Hello, Ada!');
}, { timeout: 60_000 });

for (const era of ['legacy', 'modern'])
    test(`${era}: over stdio, from a file as desktop clients have it`, async () => {
        const own = new Daemon({ plugins: ['conformance'], args: ['--stdio'] }); // for its directory
        const [program, args] = own.command();
        const config = path.join(own.directory, 'clients.json');
        own.writeFile(config, JSON.stringify({ mcpServers: { mcpd: stdioTap(program, args) } }));
        const target = ['--config', config, '--server', 'mcpd', '--protocol-era', era];
        assert.equal(textOf(await call(0, target, 'greet', '--tool-arg', 'name=Ada')), 'Hello, Ada!');
        const { resources } = await expect(0, target, '--method', 'resources/list');
        assert.ok(resources.length > 0);
    }, { timeout: 60_000 });

/** mcpdo keeps a connection open between its commands, in a process of its own. */
for (const era of ['legacy', 'modern'])
    test(`${era}: a question of a tool, answered by hand with mcpdo`, async () => {
        const env = { MCP_INSPECTOR_SECRET_STORE: 'memory' };
        const mcpdo = async (...args) => {
            const { code, output, errors } = await runInstalled('mcpdo', args, { env });
            assert.equal(code, 0, `${args.join(' ')}\n${output}${errors}`);
            return output;
        };
        for (const [, name, value] of (await mcpdo('private')).matchAll(/^export (\w+)='([^']*)'$/gm)) env[name] = value;
        assert.ok(env.MCP_INSPECTOR_DAEMON_TOKEN);
        const tool = era === 'modern' ? ['test_input_required_result_elicitation'] : ['test_elicitation', 'message:=Who?'];
        try {
            await mcpdo('--connection', era, 'connect', `http://127.0.0.1:${port}/mcp`, '--era', era, '--format', 'json');
            const { elicitationPending } = JSON.parse(await mcpdo('--connection', era, 'tools/call', ...tool, '--format', 'json'));
            const fields = Object.keys(elicitationPending.requestedSchema.properties);
            const answer = await mcpdo('elicitation/respond', elicitationPending.elicitationId, ...fields.map((name) => `${name}:=${name === 'email' ? 'ada@example.org' : 'Ada'}`));
            assert.match(answer, /Ada/);
        } finally {
            await mcpdo('daemon', 'stop');
        }
    }, { timeout: 60_000 });

test('the end', () => daemon.stop());

await done();
