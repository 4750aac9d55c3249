// SPDX-License-Identifier: MIT
// The end of mcpd and its next life: what SIGTERM waits for and for how long, sockets
// that systemd holds, restarts under load that lose nobody, and the watchdog.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { assert, done, finallyDo, SCALE, SLOW_BINARY, sleep, test, until } from './lib/check.mjs';
import { Activated } from './lib/activated.mjs';
import { Daemon, temporaryDirectory, TOOLS } from './lib/daemon.mjs';
import { Connection, http, requestBytes } from './lib/http.mjs';
import { Load } from './lib/load.mjs';
import { alive } from './lib/proc.mjs';
import { Stdio } from './lib/stdio.mjs';
import { callTool, LEGACY, modernMessage, Session, textOf } from './lib/mcp.mjs';

// ---- What SIGTERM waits for -------------------------------------------------------------

test('a call whose client has closed its stream is waited for', async () => {
    const daemon = await Daemon.start({ plugins: ['probe'], config: { server: { shutdown_timeout_ms: 30_000 * SCALE } } });
    const session = await Session.open(daemon.port, LEGACY[0]);
    const response = await session.request('tools/call', { name: 'wait', arguments: { ms: 2500 * SCALE, label: 'left' } }, { ms: 10_000 });
    assert.equal(response.headers['content-type'], 'text/event-stream', 'it has waited long enough to be a stream');
    response.connection.destroy();
    await sleep(300);
    await daemon.stop();
    assert.match(daemon.logSince(0), /left finished/);
    assert.doesNotMatch(daemon.logSince(0), /left cancelled|still running/);
}, { timeout: 40_000 });

test('the same where nothing can be resumed: a session of 2025-06-18 that hung up', async () => {
    const daemon = await Daemon.start({ plugins: ['probe'] });
    const session = await Session.open(daemon.port, LEGACY[1]);
    const connection = await Connection.open(daemon.port);
    const asked = session.request('tools/call', { name: 'wait', arguments: { ms: 1500 * SCALE, label: 'gone' } }, { connection }).catch(() => {});
    await daemon.waitLog(/gone started/);
    connection.destroy();
    await sleep(200);
    await daemon.stop();
    assert.match(daemon.logSince(0), /gone finished/);
    await asked;
}, { timeout: 40_000 });

test('server.shutdown_timeout_ms is the limit, and counts from the last reload', async () => {
    const daemon = await Daemon.start({ plugins: ['probe'] });
    daemon.writeConfig({ server: { shutdown_timeout_ms: 700 } });
    daemon.reload();
    await daemon.waitLog(/configuration reloaded/);
    const call = callTool(daemon.port, 'wait', { ms: 50_000, label: 'long' });
    await daemon.waitLog(/long started/);
    const start = performance.now();
    await daemon.stop();
    const took = performance.now() - start;
    assert.match(textOf(await call), GIVEN_UP);
    assert.ok(took > 650 && took < 4000 * SCALE, `${took} ms`);
    assert.match(daemon.logSince(0), /still running after 0\.700 s \(server\.shutdown_timeout_ms\)/);
    assert.match(daemon.logSince(0), /long cancelled/);
}, { timeout: 60_000 });

test('an answer that is on its way when SIGTERM comes is the last of its connection, though it does not say so', async () => {
    const most = 32 << 20;
    const daemon = await Daemon.start({ plugins: ['echo'], config: { http: { max_body_bytes: most }, calls: { max_result_bytes: most } } });
    const socket = net.connect({ port: daemon.port, host: '127.0.0.1' });
    let answer = 0;
    socket.once('data', () => socket.pause());
    socket.on('data', (data) => { answer += data.length; });
    socket.on('error', () => {});
    const text = 'x'.repeat(15 << 20); // more than the sockets hold
    socket.write(requestBytes({ port: daemon.port, ...modernMessage('tools/call', { name: 'echo', arguments: { text } }) }));
    await until(() => answer > 0, 10_000, 'the answer to begin');
    await sleep(200);
    const start = performance.now();
    const stopped = daemon.stop();
    await sleep(300);
    assert.equal(daemon.exit, null, 'it is waited for');
    socket.resume();
    await stopped;
    const took = performance.now() - start;
    assert.ok(answer > text.length, `${answer} bytes`);
    assert.ok(took < 5000 * SCALE, `${took} ms`);
    assert.doesNotMatch(daemon.logSince(0), /still running/);
    socket.destroy();
}, { timeout: 60_000 });

test('a request that has begun to arrive is answered, and its connection ends with the answer', async () => {
    const daemon = await Daemon.start({ plugins: ['echo', 'probe'] });
    const busy = callTool(daemon.port, 'wait', { ms: 1200 * SCALE, label: 'holds' });
    await daemon.waitLog(/holds started/);
    const bytes = requestBytes({ port: daemon.port, ...modernMessage('tools/call', { name: 'echo', arguments: { text: 'half' } }) });
    const connection = await Connection.open(daemon.port);
    connection.write(bytes.subarray(0, bytes.length - 20));
    await sleep(100);
    const stopped = daemon.stop();
    await sleep(300);
    connection.write(bytes.subarray(bytes.length - 20));
    const response = await connection.response();
    assert.equal(response.status, 200);
    assert.equal(response.headers.connection, 'close');
    assert.match(await response.text(), /half/);
    assert.equal(textOf(await busy), 'waited');
    await stopped;
}, { timeout: 40_000 });

const GIVEN_UP = /^Given up: the server is ending, .*\(server\.shutdown_timeout_ms\)/;

for (const isolation of ['inproc', 'process'])
    test(`calls that are given up at the end are answered, ${isolation}: as JSON, on a stream, over stdio`, async () => {
        const options = { plugins: ['slow'], config: { server: { shutdown_timeout_ms: 300 }, providers: { slow: { isolation } } } };
        const names = ['sleep', 'ignore_cancel', 'async', 'sleep_serial', 'sleep_serial']; // of the last two, one waits for the other
        const daemon = await Daemon.start(options);
        const stdio = new Stdio(options);
        await stdio.answer(stdio.modern('tools/list'), 10_000 * SCALE); // it has started
        const call = (name, options) => callTool(daemon.port, name, { ms: 4000 }, options);
        const json = names.map((name) => call(name, { accept: 'application/json' }));
        const session = await Session.open(daemon.port, LEGACY[0]);
        const streamed = await session.request('tools/call', { name: 'ignore_cancel', arguments: { ms: 4000 } }, { ms: 10_000 });
        assert.equal(streamed.headers['content-type'], 'text/event-stream');
        const last = streamed.last();
        const asked = names.map((name) => stdio.modern('tools/call', { name, arguments: { ms: 4000 } }));
        await sleep(700);
        const stopped = daemon.stop({ ms: 30_000 });
        stdio.child.kill('SIGTERM');
        for (const result of await Promise.all(json)) {
            assert.match(textOf(result), GIVEN_UP);
            assert.equal(result.isError, true);
        }
        assert.match(textOf((await last).result), GIVEN_UP);
        for (const id of asked) {
            const { result } = await stdio.answer(id);
            assert.match(textOf(result), GIVEN_UP);
            assert.equal(result.isError, true);
        }
        await stopped;
        assert.deepEqual(await stdio.exited, { code: 0, signal: null });
    }, { timeout: 60_000 });

// ---- What a load balancer sees --------------------------------------------------------------

/** GET /readyz: [status, Connection]. */
async function ready(port, connection = null) {
    const response = await http(port, { method: 'GET', path: '/readyz', ...(connection ? { connection } : {}) });
    await response.text();
    if (!connection) response.connection.destroy();
    return [response.status, response.headers.connection?.toLowerCase()];
}

// Long enough for what is asked in it.
const DELAY_MS = 1500 * Math.min(SCALE, 4);
test('server.shutdown_delay_ms: /readyz says it on new and on kept connections, and all else goes on; then it ends', async () => {
    const daemon = await Daemon.start({ plugins: ['echo', 'probe'], config: { server: { shutdown_delay_ms: DELAY_MS } } });
    const kept = await Connection.open(daemon.port), used = await Connection.open(daemon.port);
    const echo = (text, options) => callTool(daemon.port, 'echo', { text }, options).then(textOf);
    assert.deepEqual((await ready(daemon.port, kept))[0], 200);
    assert.equal(await echo('before', { connection: used }), 'before');
    const call = callTool(daemon.port, 'wait', { ms: 1.5 * DELAY_MS, label: 'in flight' }, { ms: 20_000 });
    await daemon.waitLog(/in flight started/);
    const start = performance.now();
    const stopped = daemon.stop();
    await daemon.waitLog(/ending in .* s \(server\.shutdown_delay_ms\)/);
    assert.deepEqual(await ready(daemon.port, kept), [503, 'close']);
    assert.deepEqual(await ready(daemon.port), [503, 'close']);
    assert.equal((await http(daemon.port, { method: 'GET', path: '/livez' })).status, 200);
    assert.equal(await echo('new', {}), 'new');
    assert.equal(await echo('kept', { connection: used }), 'kept');
    assert.equal(await echo('and again', { connection: used }), 'and again');
    await daemon.waitLog(/ending: waiting for the calls in flight/, 10_000);
    assert.ok(performance.now() - start > DELAY_MS - 100);
    await until(() => Connection.open(daemon.port).then((connection) => connection.destroy(), () => true), 3000, 'new connections to be refused');
    await until(() => used.ended, 3000, 'the silent connection to be closed');
    assert.equal(textOf(await call), 'waited');
    await stopped;
}, { timeout: 40_000 });

test('the same of a socket that is passed: the next life answers 200 again', async () => {
    const held = await Activated.hold(['127.0.0.1:0'], { plugins: ['echo'], config: { ...LISTEN, server: { shutdown_delay_ms: DELAY_MS } } });
    await held.start();
    await held.waitLog(/listening on/);
    const [port] = held.ports;
    assert.equal((await ready(port))[0], 200);
    const ended = held.end();
    await held.waitLog(/ending in/);
    assert.deepEqual(await ready(port), [503, 'close']);
    assert.equal(await ended, 'ended 0');
    const early = ready(port);
    await held.start();
    assert.equal((await early)[0], 200);
    assert.equal(await held.end(), 'ended 0');
    held.release();
}, { timeout: 40_000 });

test('a second SIGTERM ends it at once in the delay, too', async () => {
    const daemon = await Daemon.start({ plugins: ['echo'], config: { server: { shutdown_delay_ms: 60_000 } } });
    daemon.stopped = true;
    daemon.signal('SIGTERM');
    await daemon.waitLog(/ending in 60\.000 s/);
    await sleep(700);
    daemon.signal('SIGTERM');
    await until(() => daemon.exit, 2000, 'mcpd to end');
    assert.deepEqual(daemon.exit, { code: 128 + 15, signal: null });
});

// ---- Told to end while plugins are loaded ---------------------------------------------

/** A daemon that is not waited for, with the plugin dawdle, which does. */
function dawdling(settings, config = {}) {
    const daemon = new Daemon({ plugins: ['dawdle', 'echo'], wrap: false, config: { ...config, providers: { dawdle: settings, echo: { isolation: 'process' } } } });
    const listening = daemon.start().catch(() => null);
    return { daemon, listening };
}
const children = (pid) => fs.readdirSync(`/proc/${pid}/task`).flatMap((tid) => {
    try {
        return fs.readFileSync(`/proc/${pid}/task/${tid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
    } catch {
        return []; // the thread has ended
    }
});
const gone = (pids) => until(() => pids.every((pid) => !alive(pid)), 3000, `the processes ${pids} to go`);

for (const signal of ['SIGTERM', 'SIGINT'])
    for (const [where, isolation] of [['in a worker', 'process'], ['in its trial', 'inproc']])
        test(`${signal} while a plugin takes its time to start ${where}: ended in order, and soon`, async () => {
            const { daemon, listening } = dawdling({ isolation, config: { create: 60_000 } }, { plugins: { start_timeout_ms: 120_000 } });
            await until(() => daemon.pid && children(daemon.pid).length > 0, 5000, 'its process');
            if (isolation === 'process') await daemon.waitLog(/dawdle: dawdles/);
            else await sleep(300);
            const processes = children(daemon.pid);
            await daemon.stop({ signal, ms: 5000 });
            await listening;
            assert.match(daemon.logSince(0), /ending: told to before all plugins were loaded; .*: dawdle/);
            assert.doesNotMatch(daemon.logSince(0), /not served|at once|listening/);
            await gone(processes);
        });

test('a plugin that hangs in mcpd itself at the start: ended all the same, which the status tells', async () => {
    const { daemon, listening } = dawdling({ isolation: 'inproc', config: { from: path.join(temporaryDirectory(), 'mark') } });
    await daemon.waitLog(/dawdle: hangs/, 10_000);
    daemon.stopped = true; // it is no clean end
    daemon.signal('SIGTERM');
    await until(() => daemon.exit, 12_000, 'mcpd to end');
    await listening;
    assert.deepEqual(daemon.exit, { code: 128 + 15, signal: null });
    assert.match(daemon.logSince(0), /dawdle: its plugin does not return: ending at once/);
});

test('and a second signal ends it at once', async () => {
    const { daemon, listening } = dawdling({ isolation: 'inproc', config: { from: path.join(temporaryDirectory(), 'mark') } });
    await daemon.waitLog(/dawdle: hangs/, 10_000);
    daemon.stopped = true;
    daemon.signal('SIGTERM');
    await sleep(1000);
    assert.equal(daemon.exit, null);
    daemon.signal('SIGINT');
    await until(() => daemon.exit, 2000, 'mcpd to end');
    await listening;
    assert.deepEqual(daemon.exit, { code: 128 + 2, signal: null });
});

test('SIGTERM while a reload waits for a plugin: calls in flight are finished, then it ends', async () => {
    const settings = (reconfigure) => ({ providers: { dawdle: { isolation: 'process', config: { reconfigure } } }, plugins: { start_timeout_ms: 120_000 } });
    const daemon = await Daemon.start({ plugins: ['dawdle', 'probe'], config: settings(0) });
    daemon.writeConfig(settings(60_000));
    daemon.reload();
    await daemon.waitLog(/dawdle: dawdles/);
    const call = callTool(daemon.port, 'wait', { ms: 700, label: 'in flight' });
    await daemon.waitLog(/in flight started/);
    const processes = children(daemon.pid);
    assert.ok(processes.length > 0);
    await daemon.stop({ ms: 8000 });
    assert.equal(textOf(await call), 'waited');
    await gone(processes);
});

test('and while the plugin that it waits for hangs in mcpd itself', async () => {
    const mark = path.join(temporaryDirectory(), 'mark');
    const daemon = await Daemon.start({ plugins: ['dawdle', 'probe'], config: { providers: { dawdle: { enabled: false } } } });
    daemon.writeConfig({ providers: { dawdle: { isolation: 'inproc', config: { from: mark } } } });
    daemon.reload();
    await daemon.waitLog(/dawdle: hangs/, 10_000);
    const call = callTool(daemon.port, 'wait', { ms: 700, label: 'in flight' });
    await daemon.waitLog(/in flight started/);
    daemon.stopped = true;
    daemon.signal('SIGTERM');
    assert.equal(textOf(await call), 'waited');
    await until(() => daemon.exit, 12_000, 'mcpd to end');
    assert.deepEqual(daemon.exit, { code: 128 + 15, signal: null });
});

// ---- Sockets that are passed ------------------------------------------------------------

const LISTEN = { listen: [{ address: '127.0.0.1', port: 0 }] };

test('a passed socket is served, and not closed with mcpd', async () => {
    const held = await Activated.hold(['127.0.0.1:0', '127.0.0.1:0'], { plugins: ['echo'], config: LISTEN });
    await held.start();
    await held.waitLog(/listening on 127\.0\.0\.1:\d+ \(a socket of the service manager's\)/);
    for (const port of held.ports) assert.equal(textOf(await callTool(port, 'echo', { text: 'a' })), 'a');
    assert.equal(held.lines.filter((line) => /warning|"listen"/i.test(line)).length, 0, held.lines.join('\n'));
    assert.equal(await held.end(), 'ended 0');
    // Nobody serves; whoever connects now waits, and the next life answers.
    const early = callTool(held.ports[1], 'echo', { text: 'waited for you' }, { ms: 20_000 * SCALE });
    await sleep(300);
    await held.start();
    assert.equal(textOf(await early), 'waited for you');
    assert.equal(await held.end(), 'ended 0');
    held.release();
}, { timeout: 60_000 });

test('what is passed counts; a difference to "listen" is told', async () => {
    const held = await Activated.hold(['127.0.0.1:0'], { plugins: ['echo'], config: { listen: [{ address: '127.0.0.1', port: 1 }] } });
    await held.start();
    await held.waitLog(/listening on/);
    const log = held.lines.join('\n');
    assert.match(log, new RegExp(`passes a socket on 127\\.0\\.0\\.1:${held.ports[0]}, which "listen" does not name: it is served`));
    assert.match(log, /"listen" names 127\.0\.0\.1:1, but the service manager passes no such socket: mcpd does not listen there/);
    assert.equal(textOf(await callTool(held.ports[0], 'echo', { text: 'a' })), 'a');
    await held.end();
    held.release();
});

test('a passed socket that other machines can reach needs the same consent as "listen"', async () => {
    const held = await Activated.hold(['0.0.0.0:0'], { plugins: ['echo'], config: LISTEN });
    await held.start();
    await held.waitLog(/cannot start: the service manager passes a socket on 0\.0\.0\.0:\d+, which other machines can reach.*allow_remote/);
    assert.equal(await held.end(0), 'ended 1');
    held.release();
});

test('variables that are meant for another process are not taken', async () => {
    const daemon = await Daemon.start({ plugins: ['echo'], env: { LISTEN_FDS: '1', LISTEN_PID: '1', LISTEN_FDNAMES: 'x' } });
    assert.equal(textOf(await callTool(daemon.port, 'echo', { text: 'a' })), 'a');
    await daemon.stop();
});

// ---- Restarts under load -----------------------------------------------------------------

const RESTARTS = Number(process.env.RESTARTS || (SLOW_BINARY ? 5 : 20));

test(`${RESTARTS} restarts under load: no connection is refused, every call is answered`, async () => {
    const held = await Activated.hold(['127.0.0.1:0'], { plugins: ['echo', 'probe'], config: LISTEN });
    await held.start();
    await held.waitLog(/listening on/);
    const load = new Load(held.ports[0], {
        echo: [{ text: 'under load' }, 'under load'],
        deaf: [{ ms: 20 }, 'slept'],
    }, { connections: 16, pause: 2 });
    load.tell('retry', 1);
    await sleep(500);
    for (let i = 0; i < RESTARTS; i++) {
        const mark = held.lines.length;
        assert.equal(await held.end(), 'ended 0', held.lines.slice(mark).join('\n'));
        await held.start();
        await held.waitLog(/listening on/, 20_000, mark);
        await sleep(100);
    }
    const result = await load.stop();
    console.log(`      ${RESTARTS} restarts: ${result.calls} calls answered, ${result.failed} failed, ${result.retried} made again after a kept ` +
        `connection was closed, ${result.opened} connections opened; the longest wait ${result.max_ms} ms`);
    assert.equal(result.failed, 0, result.first_error);
    assert.equal(result.wrong, 0);
    assert.ok(result.calls > RESTARTS * 20, `${result.calls}`);
    assert.equal(await held.end(), 'ended 0');
    held.release();
}, { timeout: 120_000 });

// ---- The watchdog ------------------------------------------------------------------------

test('WATCHDOG=1 comes at half the limit, and stops while a thread does not come round', async () => {
    const LIMIT = 400 * SCALE; // ms
    const socket = path.join(temporaryDirectory(), 'notify');
    const sink = spawn(path.join(TOOLS, 'notify'), [socket], { stdio: ['ignore', 'pipe', 'inherit'] });
    finallyDo(() => sink.kill('SIGKILL'));
    const pings = [];
    let bound = false;
    sink.stdout.on('data', (text) => {
        bound ||= String(text).includes('bound');
        for (const _ of String(text).matchAll(/^WATCHDOG=1$/gm)) pings.push(performance.now());
    });
    await until(() => bound, 3000, 'the socket');
    const daemon = await Daemon.start({ plugins: ['echo', 'pressure'], env: { NOTIFY_SOCKET: socket, WATCHDOG_USEC: String(LIMIT * 1000) },
        config: { http: { threads: 2 }, providers: { pressure: { isolation: 'inproc' } } } });
    await until(() => pings.length >= 6, 10_000, 'six pings of an idle mcpd');
    const gaps = pings.slice(1).map((at, i) => at - pings[i]).sort((a, b) => a - b);
    console.log(`      limit ${LIMIT} ms: pings each ${gaps[gaps.length >> 1].toFixed(0)} ms at the median, ${gaps.at(-1).toFixed(0)} ms at the longest`);
    assert.ok(gaps[gaps.length >> 1] > LIMIT / 2 - 50 && gaps.at(-1) < LIMIT, gaps.join(' '));
    const held = callTool(daemon.port, 'hold', { ms: LIMIT * 5 }, { ms: LIMIT * 20 });
    await daemon.waitLog(/mcpd-io-\d has not come round for \d+ ms/);
    const stuck = pings.length;
    await sleep(LIMIT * 2);
    assert.equal(pings.length, stuck, 'no ping while a thread is stuck');
    assert.equal(textOf(await held), 'worked');
    await daemon.waitLog(/all threads come round again/);
    await until(() => pings.length > stuck + 1, 5000, 'pings again');
    await daemon.stop();
}, { timeout: 60_000 });

test('a watchdog that is meant for another process is not fed', async () => {
    const socket = path.join(temporaryDirectory(), 'notify');
    const sink = spawn(path.join(TOOLS, 'notify'), [socket], { stdio: ['ignore', 'pipe', 'inherit'] });
    finallyDo(() => sink.kill('SIGKILL'));
    let text = '';
    sink.stdout.on('data', (part) => (text += part));
    await until(() => text.includes('bound'), 3000, 'the socket');
    const daemon = await Daemon.start({ plugins: ['echo'], env: { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '100000', WATCHDOG_PID: '1' } });
    await until(() => text.includes('READY=1'), 3000, 'READY=1');
    await sleep(400 * SCALE);
    assert.doesNotMatch(text, /WATCHDOG=1/);
    await daemon.stop();
});

await done();
