// SPDX-License-Identifier: MIT
// Providers with "isolation": "process": the same plugins, each in a worker process,
// which may die in every way without anybody else noticing.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { assert, done, SANITIZED, SCALE, SLOW_BINARY, sleep, test, until } from './lib/check.mjs';
import { Daemon, pluginFile, WRAPPER } from './lib/daemon.mjs';
import { Load } from './lib/load.mjs';
import { callTool, modern, textOf, toolNames } from './lib/mcp.mjs';
import { descriptorNames, descriptors, rss, threads } from './lib/proc.mjs';

const APART = { isolation: 'process' };
const apart = (...names) => Object.fromEntries(names.map((name) => [name, { ...APART }]));
const RELOADS = Number(process.env.WORKER_RELOADS || (SLOW_BINARY ? 20 : 200));
const KILLS = Number(process.env.WORKER_KILLS || (SLOW_BINARY ? 10 : 60));

/** The workers of a daemon: [{pid, state}], zombies among them. */
function workers(daemon) {
    const list = [];
    for (const task of fs.readdirSync(`/proc/${daemon.pid}/task`)) {
        let children = '';
        try {
            children = fs.readFileSync(`/proc/${daemon.pid}/task/${task}/children`, 'utf8');
        } catch { /* the thread has gone */ }
        for (const pid of children.split(' ').filter(Boolean)) {
            try {
                const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
                list.push({ pid: Number(pid), state: stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3) });
            } catch { /* it has gone */ }
        }
    }
    return list;
}

/** The answer of a call that may fail: {text} or {error}. */
async function attempt(port, name, args = {}, ms = 30_000) {
    const response = await modern(port, 'tools/call', { name, arguments: args }, { ms });
    const message = await response.last(ms);
    response.connection.destroy();
    if (message.error) return { error: message.error.message };
    return message.result.isError ? { error: message.result.content[0].text } : { text: message.result.content[0].text };
}

const daemon = await Daemon.start({
    plugins: ['echo', 'faults', 'slow', 'resources', 'versioned', 'prompts', 'asks'],
    config: {
        plugins: { max_worker_deaths: 64 },
        providers: { ...apart('slow', 'resources', 'versioned', 'prompts', 'asks'), faults: { ...APART, memory_mib: 256 } },
    },
    args: ['--log-level', 'info'],
});
const { port } = daemon;
const faults = (kind, more = {}, ms) => attempt(port, 'faults', { kind, ...more }, ms);
const pidOf = async () => Number(/pid=(\d+)/.exec((await faults('tell')).text)[1]);

// ---- What a plugin finds there -----------------------------------------------------------

test('a plugin in a worker finds no variable and no descriptor of mcpd', async () => {
    const told = (await faults('tell')).text;
    assert.notEqual(Number(/pid=(\d+)/.exec(told)[1]), daemon.pid);
    const pid = /pid=(\d+)/.exec(told)[1];
    assert.deepEqual(fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(-3, -1), [String(daemon.pid), 'faults'], 'ps(1) says whose it is');
    // 0, 1, 2 and the socket.
    assert.match(told, SANITIZED ? /descriptors=\d+/ : /variables=0 descriptors=4/);
});
test('the log says in which process a provider is served', async () => {
    const line = daemon.lines.find((l) => /faults: serving faults/.test(l));
    assert.match(line, new RegExp(`from faults\\.so in worker process ${await pidOf()}$`));
});

test('tools, resources and prompts are those of the plugin', async () => {
    const names = await toolNames(port);
    for (const name of ['echo', 'sleep', 'faults', 'fine', 'version']) assert.ok(names.includes(name), name);
    const response = await modern(port, 'resources/read', { uri: 'test://text' });
    const message = await response.last();
    response.connection.destroy();
    assert.ok(message.result.contents.length > 0, JSON.stringify(message));
});
test('calls of one worker run side by side and end out of order', async () => {
    const order = [];
    const start = performance.now();
    await Promise.all([[600, 'c'], [300, 'b'], [10, 'a']].map(async ([ms, name]) => {
        assert.equal((await faults('', { ms })).text, 'survived');
        order.push(name);
    }));
    assert.deepEqual(order, ['a', 'b', 'c']);
    assert.ok(performance.now() - start < 1100 * SCALE);
});
test('an answer of some megabytes, there and back', async () => {
    const other = await Daemon.start({ plugins: ['echo'], config: { providers: apart('echo') } });
    for (const size of [1000, 65_536, 200_000, 3_000_000]) {
        const text = 'x'.repeat(size - 1) + 'é';
        assert.equal((await attempt(other.port, 'echo', { text })).text, text);
    }
    const texts = Array.from({ length: 8 }, (_, i) => String(i).repeat(500_000));
    const answers = await Promise.all(texts.map((text) => attempt(other.port, 'echo', { text })));
    answers.forEach((answer, i) => assert.ok(answer.text === texts[i], `answer ${i}`));
    await other.stop();
});

// ---- Every way to go wrong --------------------------------------------------------------

for (const [kind, reason] of [
    ['crash', /crashed \(SIGSEGV/], ['abort', /crashed \(SIGABRT/],
    ['exit', SANITIZED ? /exit/ : /called exit\(7\) in call_tool/],
    ['thread', /crashed \(SIGSEGV/], ['heap', /crashed \(SIG/], ['stack', /crashed \(SIGSEGV/],
    ['garbage', /sent a frame that is not legal/], ['forge', /ends a call that is not running/],
    ['close', /worker process (crashed|ended)/],
    ...(SANITIZED ? [] : [['eat', /crashed \(SIG/]]),
]) {
    test(`${kind}: the caller is told, the others are served, another worker takes over`, async () => {
        await faults('tell');
        const load = new Load(port, { echo: [{ text: 'beside' }, 'beside'] }, { connections: 4, pause: 2 });
        await sleep(100);
        const start = performance.now();
        const answer = await faults(kind);
        const told = performance.now() - start;
        assert.match(answer.error ?? answer.text, reason);
        const again = performance.now();
        assert.equal((await attempt(port, 'fine')).text, 'fine');
        const result = await load.stop();
        console.log(`      told after ${told.toFixed(1)} ms, served again after ${(performance.now() - again).toFixed(1)} ms more; beside: ${result.calls} calls, p99 ${result.p99_ms} ms`);
        assert.equal(result.failed, 0, result.first_error);
        assert.equal(result.wrong, 0, result.first_error);
    }, { timeout: 60_000 });
}
test('a flood on standard error is cut, and last words are in the log', async () => {
    const mark = daemon.mark;
    assert.equal((await faults('flood', {}, 60_000)).text, 'survived');
    await faults('words');
    await sleep(200);
    assert.ok(daemon.mark - mark < 1000, `${daemon.mark - mark} lines`);
});
test('a call that ignores its cancellation: answered at the deadline, and the worker is replaced', async () => {
    const other = await Daemon.start({ plugins: ['faults'], config: { calls: { timeout_ms: 500 * SCALE }, providers: apart('faults') } });
    const before = (await attempt(other.port, 'faults', { kind: 'tell' })).text;
    const start = performance.now();
    const answer = await attempt(other.port, 'faults', { kind: 'spin' });
    assert.match(answer.error, /did not finish within/);
    assert.ok(performance.now() - start < 2000 * SCALE);
    await other.waitLog(/it is replaced/, 8000);
    await until(() => workers(other).length === 1, 8000, 'the old worker to go');
    const after = (await attempt(other.port, 'faults', { kind: 'tell' })).text;
    assert.notEqual(before, after);
    await other.stop();
});

// ---- Death from outside -----------------------------------------------------------------

test('kill -9: back in under 50 ms, and a call in flight ends at once', async () => {
    const times = [];
    for (let i = 0; i < 20; i++) {
        const pid = await pidOf();
        await sleep(1050); // a worker that lived for a second has its successor at once
        const flight = faults('', { ms: 20_000 });
        await sleep(30);
        const start = performance.now();
        process.kill(pid, 'SIGKILL');
        const answer = await flight;
        assert.match(answer.error, /worker process crashed \(SIGKILL/);
        assert.equal((await attempt(port, 'fine')).text, 'fine');
        times.push(performance.now() - start);
    }
    times.sort((a, b) => a - b);
    console.log(`      kill to the next answer: median ${times[10].toFixed(1)} ms, worst ${times.at(-1).toFixed(1)} ms`);
    if (!SLOW_BINARY) assert.ok(times[10] < 50, `median ${times[10]} ms`);
}, { timeout: 90_000 });
test(`${KILLS} times kill -9 at random moments under load: nobody waits, nothing is left`, async () => {
    const other = await Daemon.start({ plugins: ['echo', 'faults'], config: { plugins: { max_worker_deaths: 64 }, providers: apart('faults') } });
    const { port: p } = other;
    const tell = async () => Number(/pid=(\d+)/.exec((await attempt(p, 'faults', { kind: 'tell' })).text ?? '')?.[1] ?? 0);
    await tell();
    const load = new Load(p, { echo: [{ text: 'beside' }, 'beside'] }, { connections: 4, pause: 2 });
    await sleep(200);
    const before = { fds: descriptors(other.pid), threads: threads(other.pid) };
    let running = true;
    const count = { answered: 0, failed: 0, other: [] };
    const callers = Array.from({ length: 8 }, async () => {
        while (running) {
            const answer = await attempt(p, 'faults', { ms: 5 }, 20_000);
            if (answer.text === 'survived') count.answered++;
            else if (/worker process/.test(answer.error)) count.failed++;
            else count.other.push(JSON.stringify(answer));
            if (answer.error) await sleep(2);
        }
    });
    let kills = 0;
    for (let i = 0; i < KILLS; i++) {
        await sleep(Math.random() * 150 + 20);
        const [worker] = workers(other).filter(({ state }) => state !== 'Z');
        if (worker === undefined) continue; // there is a pause
        process.kill(worker.pid, 'SIGKILL');
        kills++;
    }
    running = false;
    await Promise.all(callers);
    const result = await load.stop();
    console.log(`      ${kills} kills: ${count.answered} calls answered, ${count.failed} told of the death; beside: ${result.calls} calls, ${result.failed} failed, p99 ${result.p99_ms} ms`);
    assert.deepEqual(count.other, []);
    assert.ok(count.answered > kills && count.failed > 0);
    assert.equal(result.failed + result.wrong, 0, result.first_error);
    await until(async () => (await attempt(p, 'fine')).text === 'fine', 10_000, 'service');
    await until(() => workers(other).length === 1 && workers(other)[0].state !== 'Z', 5000, 'one worker and no zombie');
    await until(() => descriptors(other.pid) <= before.fds + 1, 10_000, 'the descriptors to be as before')
        .catch((error) => assert.fail(`${error.message}: ${before.fds} -> ${descriptorNames(other.pid).join(', ')}`));
    assert.ok(threads(other.pid) <= before.threads + 1);
    await other.stop();
}, { timeout: 120_000 });
test('a plugin that dies too often is out of service, the others are not, and SIGHUP forgives', async () => {
    const other = await Daemon.start({ plugins: ['echo', 'faults'], config: { plugins: { max_worker_deaths: 3 }, providers: apart('faults') } });
    for (let i = 0; i < 3; i++) {
        await until(async () => /crashed/.test((await attempt(other.port, 'faults', { kind: 'crash' })).error), 5000, 'a crash');
        await sleep(50);
    }
    await other.waitLog(/out of service for/);
    const start = performance.now();
    assert.match((await attempt(other.port, 'fine')).error, /out of service for \d+ s, the next trial is in \d+ s/);
    assert.ok(performance.now() - start < 200 * SCALE);
    assert.equal((await attempt(other.port, 'echo', { text: 'x' })).text, 'x');
    assert.equal(workers(other).length, 0);
    other.reload();
    await until(async () => (await attempt(other.port, 'fine')).text === 'fine', 5000, 'service after SIGHUP');
    await other.stop();
});

// ---- Generations -------------------------------------------------------------------------

test(`${RELOADS} replacements of an isolated plugin under load: no call fails, nothing is left`, async () => {
    const stampFile = fs.readFileSync(pluginFile('stamp'));
    const digits = stampFile.indexOf('stamp=000000000000') + 6;
    const version = (n) => {
        const copy = Buffer.from(stampFile);
        copy.write(String(n).padStart(12, '0'), digits, 'latin1');
        return copy;
    };
    const other = new Daemon({ config: { providers: apart('stamp') } });
    other.install('stamp', version(0));
    await other.start();
    const load = new Load(other.port, { stamp: 'stamp=', stamp_slow: 'stamp=' }, { connections: 16, pause: 4 });
    const replace = async (n) => {
        load.tell('ceiling', n);
        other.install('stamp', version(n));
        const wanted = `stamp=${String(n).padStart(12, '0')}`;
        await until(async () => textOf(await callTool(other.port, 'stamp')) === wanted, 20_000, `version ${n}; the log:\n${other.lines.slice(-5).join('\n')}`, 3);
        load.tell('floor', n);
    };
    const measure = async () => {
        await until(() => workers(other).length === 1, 10_000, 'one worker');
        return { fds: descriptors(other.pid), threads: threads(other.pid), rss: rss(other.pid) };
    };
    let n = 1;
    for (; n <= RELOADS / 4; n++) await replace(n);
    const before = await measure();
    for (; n <= RELOADS; n++) await replace(n);
    /* The process that was replaced last may take a moment to go. */
    await until(() => descriptors(other.pid) <= before.fds + 1 && threads(other.pid) <= before.threads + 1, 10_000,
        `${before.fds} descriptors and ${before.threads} threads, as before`);
    const after = await measure();
    const result = await load.stop();
    console.log(`      ${result.calls} calls, ${result.failed} failed, p99 ${result.p99_ms} ms; before ${JSON.stringify(before)}, after ${JSON.stringify(after)}`);
    assert.equal(result.failed, 0, result.first_error);
    assert.equal(result.wrong, 0, result.first_error);
    assert.ok(after.fds <= before.fds + 1, descriptorNames(other.pid).join(', '));
    assert.ok(after.threads <= before.threads + 1);
    if (!SLOW_BINARY) assert.ok(after.rss < before.rss * 1.05 + 1024 * 1024, `${before.rss} -> ${after.rss}`);
    await other.stop();
}, { timeout: 300_000 });
if (!SANITIZED) // nothing bounds the memory of those
    for (const [mib, thread] of [[4, 'mcpd-reader'], [12, 'mcpd-deadline']])
        test(`memory_mib of ${mib}: log, --check and /health name it, its value and the way out`, async () => {
            const other = await Daemon.start({ plugins: ['echo', 'slow'], config: { providers: { small: { ...APART, plugin: 'echo', memory_mib: mib } } } });
            assert.match(await other.waitLog(/small: not served/), new RegExp(`echo\\.so: cannot start the thread "${thread}": out of memory \\(providers\\.small\\.memory_mib is ${mib}: raise it\\)$`));
            const [program, args] = other.command(['--check']);
            const check = spawnSync(program, args, { encoding: 'utf8' });
            assert.equal(check.status, 1, check.stderr);
            assert.match(check.stderr, /providers\.small: .*providers\.small\.memory_mib is \d+: raise it/);
            const { providers } = await (await fetch(`http://127.0.0.1:${other.port}/health`)).json();
            assert.equal(providers.small.status, 'out of service');
            assert.match(providers.small.message, /it could not be loaded: .*providers\.small\.memory_mib is \d+: raise it/);
            await other.stop();
        });
test('what a plugin leaves behind goes with its process, and the log does not ask for a restart', async () => {
    const other = await Daemon.start({ plugins: ['echo', 'bad_thread'], config: { providers: apart('bad_thread') }, args: ['--log-level', 'info'] });
    other.remove('bad_thread');
    const line = await other.waitLog(/bad_thread: bad_thread\.so .* has left something to its worker process, with which it ends: .*thread/, 8000);
    assert.match(line, / info: /);
    await until(() => workers(other).length === 0, 8000, 'its process to end');
    assert.deepEqual(other.lines.filter((l) => /bad_thread: .*(stays in memory|restart)/.test(l)), []);
    await other.stop();
}, { skip: SANITIZED ? 'a sanitizer starts threads in the place of pthread_create' : null });
test('calls of a replaced generation that do not end: the log says that their process is killed, and it is', async () => {
    const other = await Daemon.start({ plugins: ['echo', 'faults'], config: { plugins: { drain_timeout_ms: 100 }, providers: { faults: { ...APART } } } });
    const call = attempt(other.port, 'faults', { kind: 'spin' });
    await sleep(200);
    other.remove('faults');
    await other.waitLog(/faults: 1 calls of generation \d+ do not end: its worker process is killed with them$/, 8000 * SCALE);
    assert.match((await call).error, /worker process was killed/);
    await until(() => workers(other).length === 0, 8000, 'its process to end');
    assert.deepEqual(other.lines.filter((l) => /stays loaded/.test(l)), []);
    await other.stop();
}, { timeout: 60_000 });
test('isolation is changed by a reload, there and back, and no call fails', async () => {
    const other = await Daemon.start({ plugins: ['echo'] });
    const load = new Load(other.port, { echo: [{ text: 'beside' }, 'beside'] }, { connections: 4, pause: 2 });
    for (const isolation of ['process', 'inproc', 'process']) {
        other.writeConfig({ providers: { echo: { isolation } } });
        const mark = other.mark;
        other.reload();
        await other.waitLog(/echo: replaced|echo: serving/, 5000, mark);
        await until(() => workers(other).length === (isolation === 'process' ? 1 : 0), 5000, `workers with ${isolation}`);
    }
    const result = await load.stop();
    assert.equal(result.failed + result.wrong, 0, result.first_error);
    await other.stop();
});
test('mcpd that is killed leaves no worker behind', async () => {
    const other = await Daemon.start({ plugins: ['echo'], config: { providers: apart('echo') } });
    const [{ pid }] = workers(other);
    other.stopped = other.mayCrash = true;
    process.kill(other.pid, 'SIGKILL');
    await until(() => !fs.existsSync(`/proc/${pid}`) || /^State:\s+Z/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8')), 3000, 'the worker to go');
}, { skip: WRAPPER.length ? 'it is the wrapper that would be killed' : null });
test('the end: no worker is left', async () => {
    const pids = workers(daemon).map(({ pid }) => pid);
    assert.ok(pids.length >= 6);
    await daemon.stop();
    for (const pid of pids) assert.ok(!fs.existsSync(`/proc/${pid}`), `worker ${pid}`);
});

await done();
