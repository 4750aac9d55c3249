// SPDX-License-Identifier: MIT
// kill -9 at random moments under load, of workers and of mcpd itself: who waits is
// told at once, no answer is wrong, and everything is back afterwards.
import fs from 'node:fs';
import path from 'node:path';
import { assert, done, SCALE, SLOW_BINARY, sleep, test, until } from '../integration/lib/check.mjs';
import { Daemon, temporaryDirectory } from '../integration/lib/daemon.mjs';
import { META, textOf } from '../integration/lib/mcp.mjs';
import { descriptors, threads } from '../integration/lib/proc.mjs';
import { ask, callTool } from './lib/actions.mjs';
import { workers } from './lib/workers.mjs';

const LONG = process.env.LONG === '1';
const KILLS = Number(process.env.KILLS || (LONG ? 1000 : 30));
const DEATHS = Number(process.env.DEATHS || (LONG ? 200 : 8));
const TASKS = { [`${META}clientCapabilities`]: { extensions: { 'io.modelcontextprotocol/tasks': {} } } };

/** Calls without end; every answer is right, or says that a worker has died. */
function callers(number, port, tools, counts, isRunning) {
    return Array.from({ length: number }, async (_, i) => {
        for (let n = 0; isRunning(); n++) {
            const tool = tools[n % tools.length], text = `${tool} ${i} ${n}`;
            const started = performance.now();
            const { outcome, message } = await callTool(port(), tool, { text }, (r) => assert.equal(textOf(r), text)).catch((error) => ({ outcome: /ECONN|closed/.test(error.message) ? 'cut' : error.message }));
            const reason = message?.error?.message ?? '';
            const how = outcome === 'refused' ? (/worker process|out of service|unavailable/.test(reason) ? 'told of a death' : `refused: ${reason}`) : outcome;
            counts[how] = (counts[how] ?? 0) + 1;
            counts.longest = Math.max(counts.longest ?? 0, performance.now() - started);
            if (outcome !== 'right') await sleep(2);
        }
    });
}

test(`${KILLS} times kill -9 of a worker under load`, async () => {
    const daemon = await Daemon.start({
        plugins: ['echo', 'slow'],
        config: {
            plugins: { max_worker_deaths: 0 },
            providers: { echo: { isolation: 'inproc' }, w: { plugin: 'echo', prefix: 'w_', isolation: 'process' }, slow: { isolation: 'process' } },
        },
    });
    await callTool(daemon.port, 'w_echo', { text: 'warm' });
    await callTool(daemon.port, 'blocking_echo', { text: 'warm' });
    const before = { descriptors: descriptors(daemon.pid), threads: threads(daemon.pid), workers: workers(daemon.pid).length };
    const counts = {}, beside = {};
    let running = true, kills = 0;
    const all = [...callers(6, () => daemon.port, ['w_echo', 'blocking_echo'], counts, () => running), ...callers(2, () => daemon.port, ['echo'], beside, () => running)];
    while (kills < KILLS) {
        await sleep(Math.random() * 120 + 5);
        const alive = workers(daemon.pid).filter(({ state }) => state !== 'Z');
        if (!alive.length) continue;
        try {
            process.kill(alive[Math.floor(Math.random() * alive.length)].pid, 'SIGKILL');
            kills++;
        } catch { /* it has gone by itself */ }
    }
    running = false;
    await Promise.all(all);
    console.log(`      ${kills} kills: ${JSON.stringify(counts)}; beside: ${JSON.stringify(beside)}`);
    assert.deepEqual(Object.keys(counts).filter((how) => !['right', 'told of a death', 'longest'].includes(how)), []);
    assert.deepEqual(Object.keys(beside).filter((how) => !['right', 'longest'].includes(how)), []);
    for (const tool of ['w_echo', 'blocking_echo'])
        await until(async () => (await callTool(daemon.port, tool, { text: 'back' })).outcome === 'right', 15_000, `${tool} after the kills`, 50);
    await until(() => workers(daemon.pid).length === before.workers && descriptors(daemon.pid) <= before.descriptors + 1 && threads(daemon.pid) <= before.threads + 1, 15_000,
        `everything as before: ${JSON.stringify(before)}, now ${JSON.stringify([descriptors(daemon.pid), threads(daemon.pid), workers(daemon.pid).length])}`, 50);
    await daemon.stop();
}, { timeout: 900_000 });

test(`${DEATHS} times kill -9 of mcpd under load: it starts again, its tasks are there, its workers are gone`, async () => {
    const directory = temporaryDirectory('torture-kill');
    const daemon = new Daemon({
        plugins: ['echo', 'tasks'],
        config: { store: { url: `sqlite://${path.join(directory, 'state.db')}` }, providers: { echo: { isolation: 'inproc' }, w: { plugin: 'echo', prefix: 'w_', isolation: 'process' }, tasks: { isolation: 'inproc' } } },
    });
    await daemon.start();
    const counts = {}, acknowledged = new Set();
    for (let death = 0; death < DEATHS; death++) {
        let running = true;
        const all = callers(4, () => daemon.port, ['echo', 'w_echo'], counts, () => running);
        const maker = (async () => {
            while (running) {
                const { outcome, message } = await callTool(daemon.port, 'job', { ms: 1 }, undefined, TASKS).catch(() => ({}));
                if (outcome === 'right') acknowledged.add(message.result.taskId);
                else await sleep(5);
            }
        })();
        await sleep(Math.random() * 250 + 30);
        const orphans = workers(daemon.pid).map(({ pid }) => pid);
        daemon.signal('SIGKILL');
        running = false;
        await daemon.exited;
        await Promise.all([...all, maker]);
        await until(() => orphans.every((pid) => !fs.existsSync(`/proc/${pid}`)), 5_000, `the workers ${orphans} to end with their mcpd`);
        daemon.exit = null;
        const mark = daemon.mark;
        await daemon.start();
        daemon.port = Number(/listening on .*:(\d+)/.exec(await daemon.waitLog(/listening on/, 10_000, mark))[1]);
        await until(async () => (await callTool(daemon.port, 'w_echo', { text: 'back' }).catch(() => ({}))).outcome === 'right', 10_000, 'service');
        for (const taskId of acknowledged)
            await until(async () => {
                const { message } = await ask(daemon.port, 'tasks/get', { taskId }, undefined, TASKS);
                return ['completed', 'failed'].includes(message?.result?.status);
            }, 10_000, `the acknowledged task ${taskId}`, 20);
    }
    console.log(`      ${DEATHS} deaths of mcpd: ${acknowledged.size} acknowledged tasks, all there; ${JSON.stringify(counts)}`);
    assert.deepEqual(Object.keys(counts).filter((how) => !['right', 'cut', 'longest'].includes(how)), []);
    if (!SLOW_BINARY) assert.ok(counts.longest < 5_000 * SCALE);
    await daemon.stop();
}, { timeout: 1_800_000 });

await done();
