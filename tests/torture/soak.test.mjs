// SPDX-License-Identifier: MIT
// Everything at once for SOAK_SECONDS: all kinds of requests in both eras, the
// official clients, stdio beside, streams that come and go, slow readers, plugins
// replaced in mcpd and in workers, workers killed, SIGHUP with changes. At the end:
// no unexpected error, and memory, descriptors, threads and processes as they were.
import { assert, done, SLOW_BINARY, sleep, test, until } from '../integration/lib/check.mjs';
import { Daemon, pluginFile } from '../integration/lib/daemon.mjs';
import { Connection, requestBytes } from '../integration/lib/http.mjs';
import { Listener, modernMessage, textOf } from '../integration/lib/mcp.mjs';
import { ClientV1, ClientV2, TransportV1, TransportV2 } from '../integration/lib/official.mjs';
import { descriptors, rss, threads } from '../integration/lib/proc.mjs';
import { Stdio } from '../integration/lib/stdio.mjs';
import { actions, callTool, LIMIT } from './lib/actions.mjs';
import { workers } from './lib/workers.mjs';

const SECONDS = Number(process.env.SOAK_SECONDS || 30);
const PLUGINS = ['echo', 'slow', 'asks', 'resources', 'prompts', 'tasks', 'versioned'];
const daemon = await Daemon.start({
    plugins: PLUGINS,
    config: {
        plugins: { max_worker_deaths: 64 },
        tasks: { poll_interval_ms: 100, ttl_ms: 3000 },
        http: { keepalive_ms: 500 },
        providers: {
            ...Object.fromEntries(PLUGINS.map((name) => [name, { isolation: 'inproc' }])),
            w: { plugin: 'echo', prefix: 'w_', isolation: 'process' },
            w_versioned: { plugin: 'versioned', prefix: 'w_', isolation: 'process' },
        },
    },
});
const { port } = daemon;
const url = new URL(`http://127.0.0.1:${port}/mcp`);

/** kind: {done, faults: {text: count}}; what a kind may meet besides is `may`. */
const table = new Map();
let running = true, kills = 0, swaps = 0, reloads = 0;
function note(kind, fault) {
    const row = table.get(kind) ?? { done: 0, excused: 0, faults: {} };
    table.set(kind, row);
    row.done++;
    if (!fault) return;
    if (/worker|w_echo|w_version/.test(kind) && /worker process/.test(fault)) row.excused++; // it has been killed
    else row.faults[fault.slice(0, 300)] = (row.faults[fault.slice(0, 300)] ?? 0) + 1;
}
async function go(kind, pause, fn) {
    while (running) {
        try {
            note(kind, await fn());
        } catch (error) {
            note(kind, error.message);
        }
        await sleep(pause);
    }
}

/** The actions of the torture, without faults: each must go right. */
const NOT_HERE = /SIGHUP|replaced/; // these have a loop of their own
const list = actions(daemon, LIMIT).filter(({ name }) => !NOT_HERE.test(name));
async function act(action) {
    const context = {};
    try {
        await action.prepare?.(context);
        const how = await action.run(context);
        if (how !== 'right') {
            const after = kills && /worker/.test(action.name) ? 'the worker process was killed' : `it was ${how}`;
            return after;
        }
    } finally {
        await action.finish?.(context);
    }
    return null;
}

const official = {
    'official client, 2025-11-25': () => [new ClientV1({ name: 'soak', version: '1' }), new TransportV1(url)],
    'official client, 2026-07-28': () => [new ClientV2({ name: 'soak', version: '1' }, { versionNegotiation: { mode: { pin: '2026-07-28' } } }), new TransportV2(url)],
};
const withClient = (make) => async () => {
    const [client, transport] = make();
    await client.connect(transport);
    try {
        for (let i = 0; i < 5; i++) {
            const text = `official ${i} ${Math.random()}`;
            const result = await client.callTool({ name: 'echo', arguments: { text } });
            if (textOf(result) !== text) return `wrong: ${JSON.stringify(result)}`;
        }
        if (!(await client.listTools()).tools.length) return 'no tools';
        await client.readResource({ uri: 'test://text' });
    } finally {
        await client.close();
    }
    return null;
};

async function stdio() {
    const other = new Stdio({ plugins: ['echo'], config: { providers: { echo: { isolation: 'inproc' } } } });
    for (let i = 0; i < 20; i++) {
        const text = `stdio ${i}`;
        if (textOf(await other.result('2026-07-28', 'tools/call', { name: 'echo', arguments: { text } }, { ms: 10_000 })) !== text) return 'wrong';
    }
    await other.close();
    return null;
}

/** A request whose answer is hardly read, and then left. */
async function slowReader() {
    const connection = await Connection.open(port);
    const { headers, body } = modernMessage('tools/call', { name: 'echo', arguments: { text: 'z'.repeat(400_000) } });
    connection.socket.pause();
    connection.write(requestBytes({ port, headers, body }));
    await sleep(300);
    connection.destroy();
    return null;
}
async function slowWriter() {
    const connection = await Connection.open(port);
    const { headers, body } = modernMessage('tools/call', { name: 'echo', arguments: { text: 'slow' } });
    const bytes = requestBytes({ port, headers, body });
    for (let at = 0; at < bytes.length; at += 50) {
        await connection.write(bytes.subarray(at, at + 50));
        await sleep(5);
    }
    const message = await (await connection.response()).last();
    connection.destroy();
    return textOf(message.result) === 'slow' ? null : JSON.stringify(message);
}
async function streams() {
    const all = await Promise.all(Array.from({ length: 8 }, () => Listener.open(port, { toolsListChanged: true, resourceSubscriptions: ['test://counter'] })));
    await sleep(200);
    for (const one of all) one.close();
    return null;
}

let version = 0;
async function swap() {
    version = (version % 2) + 1;
    daemon.install('versioned', pluginFile(`versioned-${version}`));
    for (const tool of ['version', 'w_version'])
        await until(async () => {
            const { outcome, message } = await callTool(port, tool, {}, (r) => assert.match(textOf(r), /^[12]$/));
            return outcome === 'right' && textOf(message.result) === String(version);
        }, 10_000, `${tool} ${version}`, 20);
    swaps++;
    return null;
}
async function hup() {
    const mark = daemon.mark;
    daemon.writeConfig({ ...daemon.config, server: { instructions: `round ${++reloads}` } });
    daemon.reload();
    await daemon.waitLog(/configuration reloaded/, 10_000, mark);
    return null;
}
async function kill() {
    const alive = workers(daemon.pid).filter(({ state }) => state !== 'Z');
    if (alive.length) {
        process.kill(alive[Math.floor(Math.random() * alive.length)].pid, 'SIGKILL');
        kills++;
    }
    return null;
}

const footprint = () => ({ descriptors: descriptors(daemon.pid), threads: threads(daemon.pid), processes: workers(daemon.pid).length });
const same = (now, before) => now.descriptors <= before.descriptors + 2 && now.threads <= before.threads + 1 && now.processes === before.processes;

/** MiB an hour by least squares. */
function slope(samples) {
    const n = samples.length, mean = (f) => samples.reduce((sum, one) => sum + f(one), 0) / n;
    const t = mean((s) => s.t), m = mean((s) => s.rss);
    const covariance = samples.reduce((sum, s) => sum + (s.t - t) * (s.rss - m), 0), variance = samples.reduce((sum, s) => sum + (s.t - t) ** 2, 0);
    return (covariance / variance) * 3600 / 2 ** 20;
}

test(`a soak of ${SECONDS} seconds`, async () => {
    for (const action of list) assert.equal(await act(action), null, action.name);
    await swap();
    /* The pool starts its threads when they are first needed. */
    await Promise.all(Array.from({ length: 40 }, () => callTool(port, 'sleep', { ms: 150 })));
    await sleep(500);
    const before = footprint(), samples = [], began = performance.now();
    let next = 0;
    const loops = [
        ...Array.from({ length: 4 }, () => go('actions', 5, async () => {
            const action = list[next++ % list.length];
            const fault = await act(action).catch((error) => error.message);
            note(action.name, fault);
            return null;
        })),
        ...Object.entries(official).map(([name, make]) => go(name, 300, withClient(make))),
        go('stdio', 1000, stdio), go('slow readers', 100, slowReader), go('slow writers', 100, slowWriter), go('streams', 100, streams),
        go('echo', 5, async () => (await callTool(port, 'echo', { text: 'one' }, (r) => assert.equal(textOf(r), 'one'))).outcome === 'right' ? null : 'not right'),
        go('plugins replaced', 2500, swap), go('SIGHUP', 4000, hup), go('workers killed', 3000, kill),
        go('memory', 250, async () => (samples.push({ t: (performance.now() - began) / 1000, rss: rss(daemon.pid) }), null)),
    ];
    await sleep(SECONDS * 1000);
    running = false;
    await Promise.all(loops);
    console.log(`      ${'what'.padEnd(46)}${'done'.padStart(8)}${'killed'.padStart(8)}${'faults'.padStart(8)}`);
    const faults = [];
    for (const [kind, row] of table) {
        const bad = Object.values(row.faults).reduce((a, b) => a + b, 0);
        if (kind !== 'actions' && kind !== 'memory') console.log(`      ${kind.padEnd(46)}${String(row.done).padStart(8)}${String(row.excused).padStart(8)}${String(bad).padStart(8)}`);
        for (const [text, number] of Object.entries(row.faults)) faults.push(`${kind}: ${number} times: ${text}`);
    }
    await until(() => same(footprint(), before), 20_000, 'x', 100).catch(() => assert.fail(`before ${JSON.stringify(before)}, now ${JSON.stringify(footprint())}`));
    const warm = samples.slice(Math.floor(samples.length / 2));
    const grown = (warm.at(-1).rss - warm[0].rss) / 2 ** 20;
    console.log(`      before ${JSON.stringify(before)}, after ${JSON.stringify(footprint())}; memory ${(warm[0].rss / 2 ** 20).toFixed(1)} MiB after the warm-up, ${(warm.at(-1).rss / 2 ** 20).toFixed(1)} at the end, slope ${slope(warm).toFixed(1)} MiB/h`);
    console.log(`      ${swaps} plugins replaced in mcpd and in a worker, ${reloads} reloads, ${kills} workers killed`);
    if (faults.length) assert.fail(faults.join('\n'));
    /* A short run tells little of a slope: what it grew by is bounded; a long one's slope too. */
    if (!SLOW_BINARY) {
        assert.ok(grown < 8, `${grown} MiB in the second half`);
        if (SECONDS >= 900) assert.ok(slope(warm) < 8, `${slope(warm)} MiB an hour`);
    }
}, { timeout: SECONDS * 1000 + 180_000 });
test('the daemon ends in order', () => daemon.stop({ ms: 30_000 }));

await done();
