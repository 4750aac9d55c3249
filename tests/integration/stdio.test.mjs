// SPDX-License-Identifier: MIT
// mcpd --stdio: both eras on one channel, what happens at its end, and whatever a
// client or a plugin may do wrong with it.
import fs from 'node:fs';
import { execFileSync, spawn } from 'node:child_process';
import path from 'node:path';
import { assert, done, SCALE, sleep, test, until } from './lib/check.mjs';
import { MCPD, pluginFile, temporaryDirectory } from './lib/daemon.mjs';
import { LEGACY, META, MODERN, textOf } from './lib/mcp.mjs';
import { conformsMessage } from './lib/schema.mjs';
import { Stdio } from './lib/stdio.mjs';
import { descriptorNames, descriptors } from './lib/proc.mjs';
import { stdioTap } from './lib/tap.mjs';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/stdio.js';
import { ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { Client as ClientV2 } from '@modelcontextprotocol/client';
import { StdioClientTransport as TransportV2 } from '@modelcontextprotocol/client/stdio';

const PLUGINS = ['echo', 'probe', 'wire'];
const start = (options = {}) => new Stdio({ plugins: PLUGINS, ...options });
const legacyTest = (name, fn, options) => {
    for (const version of LEGACY)
        test(`${version}: ${name}`, async () => {
            const stdio = start();
            const answer = await stdio.initialize(version);
            await fn(stdio, version, answer);
            await stdio.close();
        }, options);
};

// ---- Both eras -----------------------------------------------------------------

legacyTest('initialize, ping, tools/list, tools/call', async (stdio, version, answer) => {
    assert.equal(answer.result.protocolVersion, version);
    assert.equal(answer.result.serverInfo.name, 'mcpd');
    conformsMessage(version, answer, 'initialize');
    assert.deepEqual(await stdio.result(version, 'ping'), {});
    const { tools } = await stdio.result(version, 'tools/list');
    assert.ok(tools.some((tool) => tool.name === 'wait'));
    const result = await stdio.result(version, 'tools/call', { name: 'wait', arguments: { ms: 1 } });
    assert.equal(textOf(result), 'waited');
    for (const message of stdio.messages) conformsMessage(version, message);
});

test('2026-07-28: server/discover, tools/list, tools/call, with no header anywhere', async () => {
    const stdio = start();
    const found = await stdio.result(MODERN, 'server/discover');
    assert.ok(found.supportedVersions.includes(MODERN));
    const { tools } = await stdio.result(MODERN, 'tools/list');
    assert.ok(tools.length > 10);
    const result = await stdio.result(MODERN, 'tools/call', { name: 'wait', arguments: { ms: 1 } });
    assert.equal(textOf(result), 'waited');
    // Parameters that HTTP repeats in header fields have none to match here.
    const headers = await stdio.result(MODERN, 'tools/call', { name: 'headers', arguments: { region: 'eu', count: 3 } });
    assert.deepEqual(JSON.parse(textOf(headers)), { region: 'eu', count: 3 });
    for (const message of stdio.messages) conformsMessage(MODERN, message);
    await stdio.close();
});

test('2026-07-28: what is wrong with a request is told as everywhere', async () => {
    const stdio = start();
    const unsupported = await stdio.answer(stdio.modern('tools/list', {}, { meta: { [`${META}protocolVersion`]: '2031-01-01' } }));
    assert.equal(unsupported.error.code, -32022);
    assert.ok(unsupported.error.data.supported.includes(MODERN));
    const bare = await stdio.answer(stdio.request('tools/list', { _meta: { [`${META}protocolVersion`]: MODERN } }));
    assert.equal(bare.error.code, -32602);
    const unknown = await stdio.answer(stdio.modern('no/such'));
    assert.equal(unknown.error.code, -32601);
    const removed = await stdio.answer(stdio.modern('initialize', { protocolVersion: MODERN }));
    assert.equal(removed.error.code, -32601);
    await stdio.close();
});

test('before initialize only ping is answered; a second initialize is refused', async () => {
    const stdio = start();
    assert.deepEqual(await stdio.result('2025-11-25', 'ping'), {});
    const early = await stdio.answer(stdio.request('tools/list'));
    assert.equal(early.error.code, -32600);
    assert.match(early.error.message, /initialize/);
    stdio.send({ jsonrpc: '2.0', method: 'notifications/roots/list_changed' }); // not answered
    await stdio.initialize('2025-11-25');
    const again = await stdio.answer(stdio.request('initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'x', version: '1' } }));
    assert.equal(again.error.code, -32600);
    assert.deepEqual(await stdio.result('2025-11-25', 'ping'), {});
    assert.equal(stdio.messages.length, 5, JSON.stringify(stdio.messages));
    await stdio.close();
});

test('both eras at once', async () => {
    const stdio = start();
    await stdio.initialize('2025-06-18');
    const old = await stdio.result('2025-06-18', 'tools/call', { name: 'wait', arguments: { ms: 1 } });
    assert.ok(!('resultType' in old));
    const now = await stdio.result(MODERN, 'tools/call', { name: 'wait', arguments: { ms: 1 } });
    assert.equal(now.resultType, 'complete');
    await stdio.close();
});

test('calls run at the same time, and ids come back as they were', async () => {
    const stdio = start();
    const before = performance.now();
    const ids = ['a', '9007199254740993', 'ä"\\', -7, 0].map((id) => stdio.modern('tools/call', { name: 'wait', arguments: { ms: 300 } }, { id }));
    stdio.write(`{"jsonrpc":"2.0","id":9007199254740993,"method":"ping"}\n`);
    for (const id of ids) assert.equal(textOf((await stdio.answer(id)).result), 'waited');
    assert.ok(performance.now() - before < 1200 * SCALE);
    await stdio.close();
});

// ---- Messages on the way ---------------------------------------------------------

legacyTest('progress and log messages come before the result', async (stdio, version) => {
    await stdio.result(version, 'logging/setLevel', { level: 'info' });
    const from = stdio.messages.length;
    await stdio.result(version, 'tools/call', { name: 'progress', arguments: { steps: 3, ms: 20 }, _meta: { progressToken: 'p' } });
    await stdio.result(version, 'tools/call', { name: 'say', arguments: {} });
    const since = stdio.messages.slice(from);
    assert.deepEqual(since.map((m) => m.method ?? 'result'), [
        ...Array(3).fill('notifications/progress'), 'result', 'notifications/message', 'notifications/message', 'result']);
    assert.equal(since[0].params.progressToken, 'p');
    for (const message of since) conformsMessage(version, message, 'tools/call');
});

test('2026-07-28: progress and log messages are asked for in _meta', async () => {
    const stdio = start();
    await stdio.result(MODERN, 'tools/call', { name: 'progress', arguments: { steps: 2, ms: 20 } }, { meta: { progressToken: 7 } });
    await stdio.result(MODERN, 'tools/call', { name: 'say', arguments: {} }, { meta: { [`${META}logLevel`]: 'error' } });
    await stdio.result(MODERN, 'tools/call', { name: 'say', arguments: {} });
    assert.deepEqual(stdio.messages.map((m) => m.method ?? 'result'), [
        'notifications/progress', 'notifications/progress', 'result', 'notifications/message', 'result', 'result']);
    for (const message of stdio.messages) conformsMessage(MODERN, message, 'tools/call');
    await stdio.close();
});

test('text with line ends stays on one line', async () => {
    const stdio = start();
    const result = await stdio.result(MODERN, 'tools/call', { name: 'hostile', arguments: {} }, { meta: { progressToken: 1 } });
    assert.match(textOf(result), /\n\ndata: /);
    assert.equal(stdio.messages.length, 2);
    await stdio.close();
});

// ---- Changes and subscriptions ----------------------------------------------------

legacyTest('a change of the tools is told, unasked', async (stdio, version) => {
    await stdio.result(version, 'ping');
    stdio.daemon.install('many');
    const message = await until(() => stdio.messages.find((m) => m.method === 'notifications/tools/list_changed'), 5_000, 'list_changed');
    conformsMessage(version, message);
});

test('nothing of an old generation stays open although no request follows', async () => {
    const stdio = start({ plugins: ['echo'], config: { providers: { echo: { isolation: 'process' } } } });
    await stdio.result(MODERN, 'tools/list');
    const before = descriptors(stdio.pid), names = descriptorNames(stdio.pid);
    stdio.daemon.install('echo', Buffer.concat([fs.readFileSync(pluginFile('echo')), Buffer.from('another file, the same plugin')]));
    await until(() => /echo: .*replaced/.test(stdio.log), 5_000, 'the replacement');
    await until(() => descriptors(stdio.pid) <= before, 10_000, '').catch(() =>
        assert.fail(`descriptors: ${names.join(', ')} -> ${descriptorNames(stdio.pid).join(', ')}`));
    await stdio.close();
});

test('2026-07-28: subscriptions/listen: acknowledged, tagged, cancelled, and two at once', async () => {
    const stdio = start();
    const filter = { notifications: { toolsListChanged: true } };
    const ids = [stdio.modern('subscriptions/listen', filter, { id: 'first' }), stdio.modern('subscriptions/listen', filter, { id: 2 })];
    const tagged = (id, method) => stdio.messages.filter((m) => m.method === method && m.params?._meta?.[`${META}subscriptionId`] === id);
    for (const id of ids) await until(() => tagged(id, 'notifications/subscriptions/acknowledged').length === 1, 5_000, 'the acknowledgement');
    stdio.daemon.install('many');
    for (const id of ids) await until(() => tagged(id, 'notifications/tools/list_changed').length === 1, 5_000, 'list_changed');
    stdio.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'first' } });
    await stdio.result(MODERN, 'server/discover');
    stdio.daemon.remove('many');
    await until(() => tagged(2, 'notifications/tools/list_changed').length === 2, 5_000, 'list_changed');
    assert.equal(tagged('first', 'notifications/tools/list_changed').length, 1, 'a cancelled subscription is silent');
    await stdio.close();
    assert.equal(stdio.answerTo('first'), undefined, 'a cancelled request is not answered');
    const last = stdio.answerTo(2);
    assert.equal(last.result.resultType, 'complete', 'the end of the server ends the subscription gracefully');
    assert.equal(last.result._meta[`${META}subscriptionId`], 2);
    for (const message of stdio.messages) conformsMessage(MODERN, message);
});

// ---- Cancelling -------------------------------------------------------------------

for (const version of [MODERN, ...LEGACY])
    test(`${version}: notifications/cancelled cancels, and nothing more is said`, async () => {
        const stdio = start();
        if (version !== MODERN) await stdio.initialize(version);
        const params = { name: 'wait', arguments: { ms: 20_000, label: 'it' } };
        const id = version === MODERN ? stdio.modern('tools/call', params) : stdio.request('tools/call', params);
        await until(() => /probe: it started/.test(stdio.log), 5_000, 'the call to start');
        for (const requestId of ['no such', null, id]) stdio.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId, reason: 'test' } });
        await until(() => /probe: it cancelled/.test(stdio.log), 5_000, 'the call to be cancelled');
        const other = version === MODERN ? stdio.modern('tools/list') : stdio.request('tools/list');
        await stdio.answer(other);
        assert.equal(stdio.answerTo(id), undefined);
        await stdio.close();
        assert.equal(stdio.answerTo(id), undefined);
    });

// ---- What is not legal --------------------------------------------------------------

test('what is no message gets an error, and the next line is read', async () => {
    const stdio = start();
    await stdio.initialize('2025-11-25');
    const cases = [
        ['{"jsonrpc":"2.0",', -32700], ['nonsense', -32700], ['{"jsonrpc":"2.0","id":1,"method":"ping"} x', -32700],
        [Buffer.from('7b226a736f6e727063223a22322e30222c226964223a312c226d6574686f64223a22ff227d', 'hex'), -32700],
        ['{"a":1,"a":2}', -32600], ['7', -32600], ['{"jsonrpc":"1.0","id":1,"method":"ping"}', -32600], ['{"jsonrpc":"2.0","id":1.5,"method":"ping"}', -32600],
        ['[{"jsonrpc":"2.0","id":1,"method":"ping"}]', -32600], ['\0', -32700],
    ];
    for (const [line, code] of cases) {
        const count = stdio.messages.length;
        stdio.write(line);
        stdio.write('\n');
        await until(() => stdio.messages.length > count, 5_000, `an error for ${line}`);
        assert.equal(stdio.messages[count].error.code, code, `${line}: ${JSON.stringify(stdio.messages[count])}`);
        assert.notEqual(stdio.messages[count].id, null);
    }
    const count = stdio.messages.length;
    stdio.write('\n  \r\n\t\n');
    assert.deepEqual(await stdio.result('2025-11-25', 'ping'), {});
    assert.equal(stdio.messages.length, count + 1, 'empty lines are not answered');
    await stdio.close();
});

test('a line may end with CR LF, come in pieces, and two may come at once', async () => {
    const stdio = start();
    await stdio.initialize('2025-06-18');
    stdio.write('{"jsonrpc":"2.0","id":"crlf","method":"ping"}\r\n');
    await stdio.answer('crlf');
    for (const c of '{"jsonrpc":"2.0","id":"slow ä","method":"ping"}\n') {
        stdio.write(c);
        await sleep(2);
    }
    await stdio.answer('slow ä');
    stdio.write('{"jsonrpc":"2.0","id":"one","method":"ping"}\n{"jsonrpc":"2.0","id":"two","method":"ping"}\n');
    await stdio.answer('one');
    await stdio.answer('two');
    await stdio.close();
});

test('a line that is too long is refused, and the next one is read', async () => {
    const stdio = start({ config: { http: { max_body_bytes: 100_000 } } });
    await stdio.initialize('2025-11-25');
    const count = stdio.messages.length;
    stdio.write(`{"jsonrpc":"2.0","id":1,"method":"${'x'.repeat(3_000_000)}"}\n`);
    const fits = `{"jsonrpc":"2.0","id":"fits","method":"ping","params":{"x":"`;
    stdio.write(`${fits}${'x'.repeat(100_000 - fits.length - 3)}"}}\n`);
    await stdio.answer('fits');
    assert.equal(stdio.messages[count].error.code, -32600);
    assert.match(stdio.messages[count].error.message, /too large/i);
    assert.equal(stdio.messages.length, count + 2);
    await stdio.close();
});

test('2025-03-26: a batch is answered as one; others have none', async () => {
    const stdio = start();
    await stdio.initialize('2025-03-26');
    stdio.send([
        { jsonrpc: '2.0', id: 'a', method: 'ping' },
        { jsonrpc: '2.0', method: 'notifications/roots/list_changed' },
        { jsonrpc: '2.0', id: 'b', method: 'tools/call', params: { name: 'wait', arguments: { ms: 50 } } },
    ]);
    const batch = await until(() => stdio.messages.find(Array.isArray), 5_000, 'a batch');
    assert.deepEqual(batch.map((m) => m.id).sort(), ['a', 'b']);
    const count = stdio.messages.length;
    stdio.send([{ jsonrpc: '2.0', method: 'notifications/roots/list_changed' }]);
    await stdio.result('2025-03-26', 'ping');
    assert.equal(stdio.messages.length, count + 1, 'notifications alone are not answered');
    await stdio.close();
});

// ---- Standard output is the protocol's alone ----------------------------------------

test('what a plugin prints does not reach the client, and it cannot read', async () => {
    const stdio = start();
    const result = await stdio.result(MODERN, 'tools/call', { name: 'print', arguments: {} });
    assert.equal(textOf(result), 'printed; read 0 bytes');
    await until(() => /printed by a plugin/.test(stdio.log), 2_000, 'it on standard error');
    assert.equal(stdio.messages.length, 1);
    await stdio.close();
});

test('nothing is listened on', async () => {
    const stdio = start();
    await stdio.result(MODERN, 'server/discover');
    const inodes = new Set();
    for (const fd of fs.readdirSync(`/proc/${stdio.pid}/fd`)) {
        const match = /^socket:\[(\d+)\]$/.exec(fs.readlinkSync(`/proc/${stdio.pid}/fd/${fd}`));
        if (match) inodes.add(match[1]);
    }
    for (const file of ['tcp', 'tcp6'])
        for (const line of fs.readFileSync(`/proc/${stdio.pid}/net/${file}`, 'utf8').split('\n').slice(1)) {
            const fields = line.trim().split(/\s+/);
            assert.ok(!(fields[3] === '0A' && inodes.has(fields[9])), `it listens: ${line}`);
        }
    assert.doesNotMatch(stdio.log, /listening on/);
    await stdio.close();
});

test('--stdio does not go with --listen or --check', async () => {
    for (const other of [['--listen', '8080'], ['--check']]) {
        const child = spawn(MCPD, ['--stdio', ...other], { stdio: ['ignore', 'pipe', 'pipe'] });
        const code = await new Promise((resolve) => child.on('close', resolve));
        assert.equal(code, 2);
    }
});

// ---- The end -----------------------------------------------------------------------

test('at the end of input, calls in flight are finished and answered', async () => {
    const stdio = start();
    await stdio.result(MODERN, 'server/discover');
    const ids = [1, 2, 3].map(() => stdio.modern('tools/call', { name: 'wait', arguments: { ms: 500 } }));
    await stdio.close();
    for (const id of ids) assert.equal(textOf(stdio.answerTo(id).result), 'waited');
});

test('all of it may come at once, with the end of input and without a last newline', async () => {
    const directory = temporaryDirectory();
    for (const name of PLUGINS) fs.copyFileSync(pluginFile(name), path.join(directory, `${name}.so`));
    fs.writeFileSync(path.join(directory, 'mcpd.json'), '{}');
    const input = ['{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}',
        '{"jsonrpc":"2.0","method":"notifications/initialized"}', '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"wait","arguments":{"ms":100}}}',
        '{"jsonrpc":"2.0","id":3,"method":"ping"}'].join('\n');
    const output = execFileSync(MCPD, ['--stdio', '-c', path.join(directory, 'mcpd.json'), '--plugin-dir', directory], { input, encoding: 'utf8', stdio: ['pipe', 'pipe', 'ignore'] });
    assert.deepEqual(output.trim().split('\n').map((line) => JSON.parse(line).id).sort(), [1, 2, 3]);
});

test('SIGTERM ends it in the same way', async () => {
    const stdio = start();
    await stdio.result(MODERN, 'server/discover');
    const id = stdio.modern('tools/call', { name: 'wait', arguments: { ms: 300, label: 'last' } });
    await until(() => /probe: last started/.test(stdio.log), 5_000, 'the call to start');
    process.kill(stdio.pid, 'SIGTERM');
    await until(() => stdio.exit, 10_000, 'the end');
    assert.deepEqual(stdio.exit, { code: 0, signal: null });
    assert.equal(textOf(stdio.answerTo(id).result), 'waited');
});

test('SIGTERM and the end of input together are one end', async () => {
    for (let i = 0; i < 5; i++) {
        const stdio = start();
        await stdio.result(MODERN, 'server/discover');
        process.kill(stdio.pid, 'SIGTERM');
        stdio.child.stdin.end();
        await until(() => stdio.exit, 10_000, 'the end');
        assert.deepEqual(stdio.exit, { code: 0, signal: null }, stdio.log);
    }
});

test('a client that closes our output ends us, without a signal', async () => {
    const stdio = start();
    await stdio.result(MODERN, 'server/discover');
    stdio.child.stdout.destroy();
    for (let i = 0; i < 3 && !stdio.exit; i++) {
        stdio.modern('server/discover');
        await sleep(100);
    }
    await until(() => stdio.exit, 10_000, 'the end');
    assert.deepEqual(stdio.exit, { code: 0, signal: null }, stdio.log);
});

test('a client that does not read is waited for, and loses nothing', async () => {
    const stdio = start();
    await stdio.result(MODERN, 'server/discover');
    stdio.child.stdout.pause();
    const ids = [];
    for (let i = 0; i < 60; i++) ids.push(stdio.modern('tools/call', { name: 'big', arguments: { bytes: 500_000 } }));
    await sleep(500);
    stdio.child.stdout.resume();
    for (const id of ids) assert.ok((await stdio.answer(id, 20_000)).result);
    await stdio.close();
}, { timeout: 60_000 });

// ---- The official clients -------------------------------------------------------------

const command = () => {
    const stdio = new Stdio({ plugins: PLUGINS }); // only for its directory
    stdio.child.stdin.end();
    return { daemon: stdio.daemon, ...stdioTap(stdio.command.program, stdio.command.args), stderr: 'pipe' };
};

async function useClient(client, transport, daemon, version, changes) {
    await client.connect(transport);
    assert.equal(client.getServerVersion().name, 'mcpd');
    const { tools } = await client.listTools();
    assert.ok(tools.some((tool) => tool.name === 'wait'));
    const steps = [];
    const result = await client.callTool({ name: 'progress', arguments: { steps: 3, ms: 30 } }, ...version(client, steps));
    assert.equal(textOf(result), 'all steps done');
    assert.ok(steps.length >= 2, `${steps.length}`); // it forgets one that comes together with the result
    const many = await Promise.all(Array.from({ length: 50 }, (_, i) => client.callTool({ name: 'headers', arguments: { level: i } })));
    many.forEach((one, i) => assert.deepEqual(JSON.parse(textOf(one)), { level: i }));
    daemon.install('many');
    await until(() => changes.length > 0, 5_000, 'list_changed');
    const pid = transport.pid;
    const before = performance.now();
    await client.close();
    assert.ok(performance.now() - before < 1900 * SCALE, 'it ends by itself, before the client resorts to signals');
    await until(() => !fs.existsSync(`/proc/${pid}`), 2_000, 'the process to be gone');
}

test('the SDK client v1 over stdio', async () => {
    const { daemon, ...how } = command();
    const changes = [];
    const client = new ClientV1({ name: 'v1', version: '1' });
    client.setNotificationHandler(ToolListChangedNotificationSchema, () => changes.push(1));
    await useClient(client, new TransportV1(how), daemon, (_, steps) => [undefined, { onprogress: (p) => steps.push(p) }], changes);
});

for (const [name, mode] of [['auto', 'auto'], ['pinned to 2026-07-28', { pin: MODERN }], ['legacy', undefined]])
    test(`the SDK client v2 (${name}) over stdio`, async () => {
        const { daemon, ...how } = command();
        const changes = [];
        const client = new ClientV2({ name: 'v2', version: '1' }, {
            ...(mode ? { versionNegotiation: { mode } } : {}),
            listChanged: { tools: { autoRefresh: false, debounceMs: 0, onChanged: () => changes.push(1) } },
        });
        await useClient(client, new TransportV2(how), daemon, (_, steps) => [{ onprogress: (p) => steps.push(p) }], changes);
        if (mode) assert.equal(client.getNegotiatedProtocolVersion?.() ?? MODERN, MODERN);
    });

await done();
