// SPDX-License-Identifier: MIT
// What a plugin can do wrong, all of it beside a provider that is called at a steady rate
// and must not notice; deadlines of calls that do not end; the circuit breaker, in mcpd
// and in a worker process.
import fs from 'node:fs';
import { assert, done, SANITIZED, SCALE, SLOW_BINARY, sleep, test, until } from './lib/check.mjs';
import { Daemon } from './lib/daemon.mjs';
import { Load } from './lib/load.mjs';
import { modern } from './lib/mcp.mjs';

/** How often a worker is made to crash; the long form is FAULT_CRASHES=250. */
const CRASHES = Number(process.env.FAULT_CRASHES || (SLOW_BINARY ? 10 : 50));
const LONG_LIFE_MS = 100; // a worker that lived so long has its successor at once

/** The answer of a call that may fail: {text} or {error}, and how long it took. */
async function attempt(port, name, args = {}, ms = 30_000 * SCALE) {
    const start = performance.now();
    const response = await modern(port, 'tools/call', { name, arguments: args }, { ms });
    const message = await response.last(ms);
    response.connection.destroy();
    const took = performance.now() - start;
    if (message.error) return { error: message.error.message, took };
    const [{ text }] = message.result.content;
    return message.result.isError ? { error: text, took } : { text, took };
}
const percentile = (sorted, part) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
const start = (isolation, { config = {}, provider = {}, plugins = ['faults', 'echo'] } = {}) =>
    Daemon.start({ plugins, config: { ...config, providers: { faults: { isolation, ...provider } } } });

// ---- Every fault, beside a provider that is called all the time ---------------------------

const daemon = await start('process', { config: { plugins: { max_worker_deaths: 0, start_timeout_ms: 2000 * SCALE }, calls: { timeout_ms: 2500 * SCALE } }, provider: { memory_mib: 256 } });
const { port } = daemon;
const steady = () => new Load(port, { echo: [{ text: 'beside' }, 'beside'] }, { connections: 4, pause: 5 });

/** Quiet times, before and after: how much the machine is disturbed by others. */
const quiet = [];
async function listenToTheQuiet() {
    const load = steady();
    await sleep(SLOW_BINARY ? 500 : 3000);
    const result = await load.stop();
    assert.equal(result.failed + result.wrong, 0, result.first_error);
    quiet.push(result.p99_ms);
}
test('the provider beside, while all is quiet', listenToTheQuiet);
let beside;
test('... and from now on, beside all that follows', () => {
    beside = steady();
});
for (const [kind, reason] of [
    ['crash', /crashed \(SIGSEGV/], ['thread', /crashed \(SIGSEGV/], ['abort', /crashed \(SIGABRT/],
    ['exit', SANITIZED ? /exit/ : /called exit\(7\) in call_tool/], ['heap', /crashed \(SIG/],
    ['loop', /did not finish within/], ['garbage', /sent a frame that is not legal/],
    ['forge', /ends a call that is not running/],
    ...(SANITIZED ? [] : [['eat', /crashed \(SIG|did not finish within/]]),
])
    test(`${kind}: its caller is told why`, async () => {
        assert.equal((await attempt(port, 'fine')).text, 'fine');
        await sleep(LONG_LIFE_MS * 1.5);
        const answer = await attempt(port, 'faults', { kind });
        assert.match(answer.error ?? answer.text, reason);
        const again = performance.now();
        await until(async () => (await attempt(port, 'fine')).text === 'fine', 5000, 'another worker', 1);
        console.log(`      told after ${answer.took.toFixed(1)} ms, in service ${(performance.now() - again).toFixed(1)} ms later`);
    });
test('a crash in a constructor: not served, and the log says why', async () => {
    const mark = daemon.mark;
    const providers = { faults: { isolation: 'process', memory_mib: 256 }, bad_constructor_crash: { isolation: 'process' } };
    daemon.writeConfig({ ...daemon.config, providers });
    daemon.reload();
    await daemon.waitLog(/bad_constructor_crash: not served/, 8000, mark); // it is known, and to be isolated
    const installed = daemon.mark;
    daemon.install('bad_constructor_crash');
    assert.match(await daemon.waitLog(/bad_constructor_crash: not served/, 8000, installed), /crashed \(SIG\w+.*in its constructors/);
    daemon.remove('bad_constructor_crash');
});
test('a flood of its log: cut, and the worker lives', async () => {
    const mark = daemon.mark;
    assert.equal((await attempt(port, 'faults', { kind: 'flood' })).text, 'survived');
    await sleep(200);
    assert.ok(daemon.mark - mark < 1000, `${daemon.mark - mark} lines`);
});
test(`${CRASHES} crashes: how long until the next call is answered`, async () => {
    const times = [];
    for (let i = 0; i < CRASHES; i++) {
        await sleep(LONG_LIFE_MS * 1.1);
        assert.match((await attempt(port, 'faults', { kind: 'crash' })).error, /crashed \(SIGSEGV/);
        const from = performance.now();
        for (;;) {
            const { text, error } = await attempt(port, 'fine');
            if (text === 'fine') break;
            assert.match(error, /worker process/);
            await sleep(1);
        }
        times.push(performance.now() - from);
    }
    times.sort((a, b) => a - b);
    console.log(`      from the word of the crash to the next answer: p50 ${percentile(times, 0.5).toFixed(1)} ms, p99 ${percentile(times, 0.99).toFixed(1)} ms, longest ${times.at(-1).toFixed(1)} ms`);
    if (!SLOW_BINARY) assert.ok(percentile(times, 0.5) < 50, `${percentile(times, 0.5)} ms`);
}, { timeout: 30_000 + CRASHES * 1000 });
test('the provider beside has not noticed', async () => {
    const result = await beside.stop();
    await listenToTheQuiet();
    const ratio = result.p99_ms / Math.max(...quiet);
    console.log(`      ${result.calls} calls, ${result.failed + result.wrong} failed; p50 ${result.p50_ms} ms; p99 ${result.p99_ms} ms, quiet before and after ${quiet.join(' and ')} ms: ${ratio.toFixed(2)} times the worse`);
    assert.equal(result.failed + result.wrong, 0, result.first_error);
    assert.ok(result.calls > 100);
    // What of this is mcpd's, and what the machine's, is for beside.test.mjs to say.
});

/** What a thread that never came back had, is a leak to a sanitizer. */
const untilOver = (isolation, then) =>
    SANITIZED && isolation === 'inproc' ? sleep(then - performance.now() + 500) : null;

// ---- Deadlines: of the tool, of the provider, of the server -------------------------------

for (const isolation of ['inproc', 'process']) {
    const limits = {
        tool: ['hasty', {}, 300],
        provider: ['faults', { provider: { timeout_ms: 400 } }, 400],
        server: ['faults', { config: { calls: { timeout_ms: 500 } } }, 500],
    };
    for (const [whose, [tool, more, limit]] of Object.entries(limits))
        test(`${isolation}: a call that ignores its cancellation is answered for at the limit of the ${whose}`, async () => {
            const other = await start(isolation, more);
            // It ends by itself some time: a thread of mcpd itself cannot be taken away.
            const ms = isolation === 'process' ? 20_000 * SCALE : 3000 * SCALE;
            const begun = performance.now();
            const answer = await attempt(other.port, tool, { ms });
            assert.match(answer.error, new RegExp(`^faults/${tool} did not finish within ${limit} ms$`));
            assert.ok(answer.took >= limit + 200 && answer.took < limit + 250 + 1000 * SCALE, `${answer.took} ms`);
            await other.waitLog(new RegExp(`warning: faults/${tool} did not finish within ${limit} ms$`));
            assert.equal((await attempt(other.port, 'fine')).text, 'fine');
            if (isolation === 'process') {
                await other.waitLog(/do not end although they were cancelled: it is replaced/, 8000);
                await other.waitLog(/which had been replaced, was killed/, 8000);
                assert.equal((await attempt(other.port, 'fine')).text, 'fine');
            }
            await untilOver(isolation, begun + ms);
            await other.stop();
        });
}

for (const isolation of ['inproc', 'process'])
    test(`${isolation}: an on_cancel that does not return holds up no deadline of others, and the log names it`, async () => {
        const other = await start(isolation, { plugins: ['faults', 'echo', 'slow'], config: { calls: { timeout_ms: 700 } } });
        const ms = 3000 * SCALE;
        const begun = performance.now();
        const stuck = attempt(other.port, 'hasty', { kind: 'block', ms });
        await sleep(350); // it has been cancelled
        const beside = await attempt(other.port, 'ignore_cancel', { ms: 1500 });
        assert.match(beside.error, /^slow\/ignore_cancel did not finish within 700 ms/);
        assert.ok(performance.now() - begun < ms, `told ${beside.took} ms after it began`);
        assert.match((await stuck).error, /^faults\/hasty did not finish within 300 ms$/);
        await other.waitLog(/error: faults\/hasty: its on_cancel function does not return: it must not block/, 8000);
        await sleep(begun + 300 + ms + 500 - performance.now());
        await other.stop();
    });

for (const isolation of ['inproc', 'process'])
    test(`${isolation}: what a call is told that waits for another of a tool that runs alone`, async () => {
        const ms = 2500 * SCALE;
        const begun = performance.now();
        const other = await start(isolation, { plugins: ['faults', 'slow'], config: { plugins: { drain_timeout_ms: 100 } }, provider: { timeout_ms: 500 } });
        const first = attempt(other.port, 'alone', { ms });
        await sleep(100);
        const late = await attempt(other.port, 'alone');
        assert.equal(late.error, 'faults/alone could not begin within 500 ms');
        assert.match((await first).error, /^faults\/alone did not finish within 500 ms$/);
        await sleep(begun + ms + 500 - performance.now());
        await other.stop();
        const replaced = await start(isolation, { plugins: ['faults', 'slow'], config: { plugins: { drain_timeout_ms: 100 } } });
        const began = performance.now();
        const running = attempt(replaced.port, 'alone', { ms });
        await sleep(100);
        const waiting = attempt(replaced.port, 'alone');
        await sleep(100);
        replaced.writeConfig({ ...replaced.config, providers: {} });
        replaced.remove('faults');
        replaced.reload();
        assert.equal((await waiting).error, 'faults/alone was cancelled before it began');
        await running;
        await sleep(began + ms + 500 - performance.now());
        await replaced.stop();
    }, { timeout: 60_000 * SCALE });

// ---- The circuit breaker --------------------------------------------------------------------

const OUT = /^faults\/\w+: the provider is out of service for \d+ s, (the next trial is in \d+ s|a trial is under way)$/;
const TRIAL_MS = 800 * SCALE;

for (const isolation of ['inproc', 'process']) {
    const limits = { plugins: { max_failed_calls: 3, max_worker_deaths: 3, trial_after_ms: TRIAL_MS } };
    for (const [what, failure] of [['refuses calls', { kind: 'refuse' }], ['ends them wrongly', { kind: 'invalid' }]])
        test(`${isolation}: a provider that ${what} is out of service, and a trial brings it back`, async () => {
            const other = await start(isolation, { config: limits });
            const call = (args, tool = 'faults') => attempt(other.port, tool, args);
            for (let i = 0; i < 2; i++) assert.doesNotMatch((await call(failure)).error, OUT);
            assert.equal((await call({}, 'fine')).text, 'fine'); // counting begins anew
            for (let i = 0; i < 10; i++) assert.equal((await call({ kind: 'failure' })).error, 'the arguments are no good');
            for (let i = 0; i < 3; i++) assert.doesNotMatch((await call(failure)).error, OUT);
            const from = performance.now();
            assert.match((await call({}, 'fine')).error, OUT);
            await other.waitLog(/faults: its calls fail.*out of service/);
            assert.equal((await attempt(other.port, 'echo', { text: 'x' })).text, 'x');
            // The first trial fails, the second does not: it comes after twice the time.
            await until(async () => !OUT.test((await call(failure)).error), 4000, 'a trial', 20);
            assert.ok(performance.now() - from > TRIAL_MS * 0.8);
            const second = performance.now();
            assert.match((await call({}, 'fine')).error, OUT);
            await until(async () => (await call({}, 'fine')).text === 'fine', 6000, 'service', 20);
            assert.ok(performance.now() - second > TRIAL_MS * 1.6, `${performance.now() - second} ms`);
            await other.waitLog(/a trial has gone well/);
            await other.stop();
        });
    test(`${isolation}: calls that do not end are counted, and SIGHUP brings the provider back at once`, async () => {
        const other = await start(isolation, { config: { plugins: { ...limits.plugins, trial_after_ms: 600_000 }, calls: { workers: 8 } } });
        const begun = performance.now();
        const late = await Promise.all([1, 2, 3].map(() => attempt(other.port, 'hasty', { ms: 2500 * SCALE })));
        for (const { error } of late) assert.match(error, /did not finish within 300 ms/);
        await other.waitLog(/faults: its calls fail.*; the last failure: faults\/hasty did not finish within 300 ms$/);
        assert.equal(other.lines.filter((line) => /warning: .*did not finish within/.test(line)).length, 1, 'one a second');
        const refused = await attempt(other.port, 'fine');
        assert.match(refused.error, OUT);
        assert.ok(refused.took < 500 * SCALE);
        other.reload();
        await until(async () => (await attempt(other.port, 'fine')).text === 'fine', 5000, 'service after SIGHUP');
        await untilOver(isolation, begun + 2500 * SCALE);
        await other.stop({ ms: 20_000 });
    });
}
test('process: too many deaths, no worker meanwhile, and a trial brings it back', async () => {
    const other = await start('process', { config: { plugins: { max_worker_deaths: 3, trial_after_ms: TRIAL_MS } } });
    const children = () => fs.readdirSync(`/proc/${other.pid}/task`)
        .flatMap((task) => fs.readFileSync(`/proc/${other.pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean));
    for (let i = 0; i < 3; i++) {
        await until(async () => /SIGSEGV/.test((await attempt(other.port, 'faults', { kind: 'crash' })).error), 5000, 'a crash');
        await sleep(50);
    }
    await other.waitLog(/death number 3 within a minute.*out of service/);
    assert.match((await attempt(other.port, 'fine')).error, OUT);
    assert.deepEqual(children(), []);
    // Whoever comes is refused by the breaker or is the trial: nobody meets the gap before
    // the trial's worker is there.
    await until(async () => {
        const { text, error } = await attempt(other.port, 'fine');
        if (error) assert.match(error, OUT);
        return text === 'fine';
    }, 6000, 'service', 1);
    await other.waitLog(/a trial has gone well/);
    assert.equal(children().length, 1);
    await other.stop();
});

test('the end', () => daemon.stop());
await done();
