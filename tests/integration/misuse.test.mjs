// SPDX-License-Identifier: MIT
// What a plugin is told that breaks a rule of <mcp/plugin.h>, or whose answer nobody waits
// for: the same in mcpd's own process and in a worker, and never mcpd's end.
import { assert, done, SCALE, test, until } from './lib/check.mjs';
import { Daemon } from './lib/daemon.mjs';
import { META, modern, modernMessage } from './lib/mcp.mjs';

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
        config: { providers: { misuse: { isolation, timeout_ms: Math.min(20_000 * SCALE, 60_000) } } },
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
        const { error } = await attempt(port, 'hasty', { kind: 'cancelled', ms: 600 });
        assert.match(error, /did not finish within 300 ms/);
        await lastIs('MCP_ECANCELLED');
    });

    // ---- Ends that are not legal -------------------------------------------------------

    const nowhere = (name, argument) => new RegExp(`misuse/misuse: .* ${name} a ${argument} of 5 bytes at NULL`);
    for (const [kind, code, said] of [
        ['text-nowhere', 'MCP_EINVAL', nowhere('finish_text', 'text')],
        ['failure-nowhere', 'MCP_EINVAL', nowhere('finish_failure', 'text')],
        ['structured-nowhere', 'MCP_EINVAL', nowhere('finish_structured', 'json')],
        ['result-nowhere', 'MCP_EINVAL', nowhere('finish_result', 'json')],
        ['requests-nowhere', 'MCP_EINVAL', nowhere('finish_need_input', 'requests')],
        ['state-nowhere', 'MCP_EINVAL', nowhere('finish_need_input', 'state')],
        ['message-nowhere', 'MCP_EINVAL', nowhere('finish_error', 'message')],
        ['data-nowhere', 'MCP_EINVAL', nowhere('finish_error', 'data')],
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

    // ---- What is refused on the way: the call goes on ----------------------------------

    for (const [kind, said] of [
        ['progress-nan', /misuse\/misuse: the plugin called progress with a progress of -?nan/],
        ['progress-infinite', /progress with a progress of 1 and a total of inf/],
        ['progress-negative', /progress with a progress of -1 /],
        ['progress-nowhere', /progress with a message of 5 bytes at NULL/],
        ['log-9', /misuse\/misuse: the plugin called log with a level of 9/],
        ['log-nowhere', /log with data of 5 bytes at NULL/],
        ['argument-null', /argument with a pointer that is NULL/],
        ['read-9', /read with a part of 9/],
        ['read-null', /read with a value that is NULL/],
        ['extension-null', /get_extension with an id that is NULL/],
        ['host-log-9', /misuse: the plugin called host->log with a level of 9/],
        ['host-log-nowhere', /host->log with a text of 5 bytes at NULL/],
        ['host-fail-nowhere', /host->fail with a pointer at NULL/],
        ['host-notify-0', /host->notify with 0/],
        ['host-config-null', /host->config with a kind that is NULL/],
        ['host-updated-nowhere', /updated with a uri of 5 bytes/],
        ['nobodys', /(misuse|a plugin): finish_text was called with a call that is NULL/],
    ])
        test(`${isolation}: ${kind}: MCP_EINVAL, a word in the log, and the call goes on`, async () => {
            const mark = daemon.mark;
            const options = { meta: { progressToken: 'p', [`${META}logLevel`]: 'debug' } };
            const { headers, body } = modernMessage('tools/call', { name: 'misuse', arguments: { kind } }, options);
            const answer = await (await fetch(`http://127.0.0.1:${port}/mcp`, { method: 'POST', headers, body })).text();
            assert.match(answer, /"MCP_EINVAL"/);
            assert.doesNotMatch(answer, /notifications\//, 'nothing of it goes to the client');
            assert.match(await daemon.waitLog(said, 5000 * SCALE, mark), /warning/);
            const again = daemon.lines.slice(mark).filter((line) => said.test(line));
            if (!kind.startsWith('host')) assert.equal(again.length, 1, again.join('\n'));
        });

    test(`${isolation}: mcpd is there to the end`, async () => {
        assert.deepEqual(await daemon.stop(), daemon.exit);
    });
}

await done();
