// SPDX-License-Identifier: MIT
// What a plugin is told that breaks a rule of <mcp/plugin.h>, or whose answer nobody waits
// for: the same in mcpd's own process and in a worker, and never mcpd's end.
import { assert, done, SCALE, sleep, test, until } from './lib/check.mjs';
import { Daemon } from './lib/daemon.mjs';
import { modern, modernMessage } from './lib/mcp.mjs';

/** The answer of a call that may fail: {text} or {error}. */
async function attempt(port, name, args = {}, options = {}) {
    const response = await modern(port, 'tools/call', { name, arguments: args }, options);
    const message = await response.last(30_000 * SCALE);
    response.connection.destroy();
    if (message.error) return { error: message.error.message, code: message.error.code, data: message.error.data };
    const [{ text }] = message.result.content;
    return message.result.isError ? { error: text } : { text };
}

for (const isolation of ['inproc', 'process']) {
    const daemon = await Daemon.start({
        plugins: ['misuse'],
        config: { providers: { misuse: { isolation, timeout_ms: 20_000 * SCALE } } },
    });
    const { port } = daemon;
    const lastIs = (code) => until(async () => (await attempt(port, 'misuse', { kind: 'last' })).text === code, 8000 * SCALE, code);

    // ---- Ends that nobody waits for ----------------------------------------------------

    test(`${isolation}: who ends a call whose client has gone is told MCP_ECANCELLED`, async () => {
        const { headers, body } = modernMessage('tools/call', { name: 'misuse', arguments: { kind: 'cancelled' } });
        const client = new AbortController();
        const answer = fetch(`http://127.0.0.1:${port}/mcp`, { method: 'POST', headers, body, signal: client.signal });
        answer.catch(() => {});
        await lastIs('running');
        client.abort();
        await lastIs('MCP_ECANCELLED');
    });
    test(`${isolation}: who ends one right after its deadline is waited for: MCP_OK`, async () => {
        assert.equal((await attempt(port, 'hasty', { kind: 'cancelled', ms: 0 })).text, 'the end');
        await lastIs('MCP_OK');
    });
    test(`${isolation}: who ends one after mcpd has answered for it is told MCP_ECANCELLED`, async () => {
        const { error } = await attempt(port, 'hasty', { kind: 'cancelled', ms: 600 * SCALE });
        assert.match(error, /did not finish within 300 ms/);
        await lastIs('MCP_ECANCELLED');
    });

    // ---- Ends that are not legal -------------------------------------------------------

    for (const [kind, code, said] of [
        ['missing', 'MCP_EINVAL', /misuse\/misuse: .* finish_error's data .*"requiredCapabilities"/],
        ['state', 'MCP_ENOMEM', /misuse\/misuse: .* finish_need_input a state that is too large/],
    ])
        test(`${isolation}: ${kind}: ${code}, the caller is told that the provider failed, and the log why`, async () => {
            const mark = daemon.mark;
            const answer = await attempt(port, 'misuse', { kind });
            assert.match(answer.error, said);
            assert.equal(answer.code, -32603);
            assert.match(await daemon.waitLog(said, 5000 * SCALE, mark), /warning/);
            await lastIs(code);
        });

    test(`${isolation}: mcpd is there to the end`, async () => {
        assert.deepEqual(await daemon.stop(), daemon.exit);
    });
}

await done();
