// SPDX-License-Identifier: MIT
// What a plugin that goes wrong in a worker process costs the callers of another one. The
// machine is shared by all of them: a loop on one of two processors is felt by whoever
// runs there. So each fault stands beside the same fault in a process that is none of
// mcpd's (hog.c), in the same run and in turn; what is left is mcpd's own part.
import { spawn } from 'node:child_process';
import path from 'node:path';
import { assert, done, finallyDo, SANITIZED, SCALE, SLOW_BINARY, sleep, test, until } from './lib/check.mjs';
import { Daemon, TOOLS } from './lib/daemon.mjs';
import { Load } from './lib/load.mjs';
import { modern } from './lib/mcp.mjs';

/** The long form is BESIDE_ROUNDS=25. */
const ROUNDS = Number(process.env.BESIDE_ROUNDS || (SLOW_BINARY ? 1 : 5));
const WINDOW_MS = 1000;
/** What a thread may have to wait for another one, whoever that belongs to. */
const TIME_SLICE_MS = 4;
const LOOPS = 2; // at once
const MEMORY_MIB = 256;
const LOOP_MS = 1500; // after this a call's time is over, and a little later the worker's

const daemon = await Daemon.start({
    plugins: ['faults', 'echo'],
    config: {
        plugins: { max_worker_deaths: 0, max_failed_calls: 0, start_timeout_ms: 2000 * SCALE },
        calls: { timeout_ms: LOOP_MS * SCALE },
        providers: { faults: { isolation: 'process', memory_mib: MEMORY_MIB } },
    },
});
const { port } = daemon;

async function call(name, args = {}) {
    const response = await modern(port, 'tools/call', { name, arguments: args }, { ms: 20_000 * SCALE });
    const message = await response.last(20_000 * SCALE);
    response.connection.destroy();
    return message;
}
const service = () => until(async () => (await call('fine')).result?.content[0].text === 'fine', 10_000 * SCALE, 'the worker', 5);

/** hog KIND, until it ends or is ended. */
function hog(kind) {
    const child = spawn(path.join(TOOLS, 'hog'), [kind, MEMORY_MIB], { stdio: 'ignore' });
    finallyDo(() => child.exitCode === null && child.signalCode === null && child.kill('SIGKILL'));
    const ended = new Promise((resolve) => child.on('close', resolve));
    return { ended, end: () => (child.kill('SIGKILL'), ended) };
}

/** What a steady caller of the other provider meets while `disturb` goes on. */
async function beside(disturb) {
    const load = new Load(port, { echo: [{ text: 'beside' }, 'beside'] }, { connections: 4, pause: 3 });
    await sleep(100);
    load.tell('record', 1);
    const from = performance.now();
    await disturb(() => performance.now() - from < WINDOW_MS);
    load.tell('record', 0);
    const result = await load.stop();
    assert.equal(result.failed + result.wrong, 0, result.first_error);
    return result;
}
const quiet = async (goesOn) => { while (goesOn()) await sleep(50); };

/** One fault after the other, each as soon as the worker before has lived for a moment. */
const often = (pause, one) => async (goesOn) => {
    while (goesOn()) {
        await one();
        await sleep(pause);
    }
};
const faults = {
    loop: {
        async worker(goesOn) {
            const answered = Array.from({ length: LOOPS }, () => call('faults', { kind: 'loop' }));
            while (goesOn()) await sleep(50);
            for (const { result, error } of await Promise.all(answered))
                assert.match(error?.message ?? result.content[0].text, /did not finish/);
        },
        async other(goesOn) {
            const loops = Array.from({ length: LOOPS }, () => hog('loop'));
            while (goesOn()) await sleep(50);
            await Promise.all(loops.map((loop) => loop.end()));
        },
    },
    crash: {
        worker: often(110, () => call('faults', { kind: 'crash' })),
        other: often(110, async () => { await Promise.all([call('fine'), hog('crash').ended]); }),
    },
    flood: {
        worker: often(50, () => call('faults', { kind: 'flood' })),
        other: often(50, async () => { await Promise.all([call('fine'), hog('flood').ended]); }),
    },
    ...(SANITIZED ? {} : {
        eat: {
            worker: often(110, () => call('faults', { kind: 'eat' })),
            other: often(110, async () => { await Promise.all([call('fine'), hog('eat').ended]); }),
        },
    }),
};
const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

for (const [kind, { worker, other }] of Object.entries(faults))
    test(`${kind}: no worse beside a worker than beside any other process that does it`, async () => {
        const rounds = [];
        for (let i = 0; i < ROUNDS; i++) {
            await service();
            rounds.push({ quiet: await beside(quiet), other: await beside(other), worker: await beside(worker) });
            // It spins on until mcpd has given it up.
            if (kind === 'loop') await daemon.waitLog(/which had been replaced, was killed/, 20_000 * SCALE, daemon.mark);
        }
        const p99 = (whose) => median(rounds.map((round) => round[whose].p99_ms));
        const ratio = p99('worker') / p99('other');
        const all = (whose) => `${whose} ${p99(whose).toFixed(2)} ms`;
        console.log(`      p99 beside: ${all('quiet')}, ${all('other')}, ${all('worker')}: ${ratio.toFixed(2)} times the other`);
        if (!SLOW_BINARY) assert.ok(p99('worker') <= 1.5 * p99('other') + TIME_SLICE_MS, `${ratio.toFixed(2)} times`);
    }, { timeout: ROUNDS * 30_000 * SCALE });

test('the end', () => daemon.stop());
await done();
