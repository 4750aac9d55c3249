// SPDX-License-Identifier: MIT
// Fails the Nth allocation of everything that mcpd does: for each action N = 1, 2, 3
// ... until it does no more, each once (the long form; the short one leaves some N
// out). After each the daemon lives, the answer was right or said what is wrong, and
// the next request is answered as if nothing had been.
import { spawn } from 'node:child_process';
import { assert, done, finallyDo, SCALE, sleep, test, until } from '../integration/lib/check.mjs';
import { Daemon, ENVIRONMENT } from '../integration/lib/daemon.mjs';
import { descriptorNames, descriptors } from '../integration/lib/proc.mjs';
import { actions, callTool } from './lib/actions.mjs';
import { Injector } from './lib/inject.mjs';
import { textOf } from '../integration/lib/mcp.mjs';

const LONG = process.env.LONG === '1';
const only = process.env.ACTION ? new RegExp(process.env.ACTION) : null;

/** The next N: each in the long form; else ever wider steps. */
const following = (n, slow) => (LONG ? n + 1 : n + Math.max(1, Math.floor(n / (slow ? 3 : 6))));

const PLUGINS = ['echo', 'slow', 'asks', 'resources', 'prompts', 'tasks', 'versioned'];
const OPTIONS = {
    plugins: PLUGINS,
    config: {
        tasks: { poll_interval_ms: 100 },
        providers: {
            ...Object.fromEntries(PLUGINS.map((name) => [name, { isolation: 'inproc' }])),
            w: { plugin: 'echo', prefix: 'w_', isolation: 'process' },
            w_versioned: { plugin: 'versioned', prefix: 'w_', isolation: 'process' },
        },
    },
};

async function ordinary(port) {
    const text = `fine ${Math.random()}`;
    const { outcome } = await callTool(port, 'echo', { text }, (result) => assert.equal(textOf(result), text));
    assert.equal(outcome, 'right', 'the next ordinary request');
}

/** One action with the Nth allocation failing; how it went, and whether one did fail. */
async function torture(daemon, injector, action, n) {
    const context = {};
    const mark = daemon.mark;
    await action.prepare?.(context);
    injector.allocations({ first: n });
    let how;
    try {
        how = await action.run(context);
    } catch (error) {
        const failed = injector.allocationsFailed;
        injector.disarm();
        throw new Error(`${action.name}, allocation ${n}${failed ? ` (at ${injector.where})` : ' (none failed)'}: ${error.message}\n${daemon.logSince(mark).slice(-1500)}`);
    }
    const failed = injector.allocationsFailed, { where } = injector;
    injector.disarm();
    assert.equal(daemon.exit, null, `mcpd has ended in ${action.name}, allocation ${n} (at ${where})`);
    try {
        await action.finish?.(context);
        await ordinary(daemon.port);
    } catch (error) {
        throw new Error(`after ${action.name}, allocation ${n} (at ${where}), ${how}: ${error.message}`);
    }
    return { how, failed, where };
}

const injector = new Injector();
const daemon = await Daemon.start({ ...OPTIONS, env: injector.env });
const sum = { actions: 0, failed: 0, rounds: 0 };
const list = actions(daemon).filter(({ name }) => !only || only.test(name));

for (const action of list)
    test(action.name, async () => {
        const counts = {}, errors = [];
        const warm = {};
        await action.prepare?.(warm);
        assert.equal(await action.run(warm), 'right', 'without faults');
        await action.finish?.(warm);
        await sleep(20);
        const before = descriptors(daemon.pid);
        let n = 1, failures = 0;
        for (let quiet = 0; quiet < 2; n = following(n, action.slow)) {
            try {
                const { how, failed, where } = await torture(daemon, injector, action, n);
                sum.rounds++;
                failures += failed;
                if (failed) counts[how] = (counts[how] ?? 0) + 1;
                if (failed && process.env.EXPLAIN) console.log(`      ${action.name} ${n} ${how} ${where}`);
                quiet = failed ? 0 : quiet + 1;
            } catch (error) {
                errors.push(error.message);
                if (daemon.exit || errors.length > 4) break;
            }
        }
        sum.actions++;
        sum.failed += failures;
        console.log(`      ${action.name}: ${failures} allocations failed, of about ${n}: ${Object.entries(counts).map(([how, count]) => `${count} ${how}`).join(', ')}`);
        if (errors.length) assert.fail(errors.join('\n'));
        assert.ok(failures > 0, 'no fault was injected');
        await until(() => descriptors(daemon.pid) <= before, 5_000, '').catch(() =>
            assert.fail(`descriptors: ${before}, now ${descriptors(daemon.pid)}: ${descriptorNames(daemon.pid).join(', ')}`));
    }, { timeout: 1_800_000 });

test('the daemon ends in order', async () => {
    await daemon.stop({ ms: 30_000 });
    console.log(`      ${sum.actions} actions, ${sum.rounds} rounds, ${sum.failed} allocations failed`);
});

// ---- The start --------------------------------------------------------------------------

/** A provider may be missing, and the log says why; another look at the files brings it. */
async function ordinaryOrTold(port, child, log) {
    const asked = await callTool(port, 'echo', { text: 'now' }).catch((error) => ({ outcome: error.message }));
    if (asked.outcome === 'right') return;
    assert.match(log(), /echo: not served: .*(memory|Cannot allocate)|echo\.so: out of memory|cannot be listed: Cannot allocate|ended the process in its start/, `${asked.outcome}\n${log()}`);
    child.kill('SIGHUP');
    await until(async () => (await callTool(port, 'echo', { text: 'now' }).catch(() => ({}))).outcome === 'right', 5_000, `echo after SIGHUP:\n${log()}`);
}

/** One start with the Nth allocation failing: served, or ended with status 1 and a word. */
async function begin(n) {
    const own = new Injector();
    own.allocations({ first: n });
    const other = new Daemon({ ...OPTIONS, env: own.env });
    const [program, args] = other.command();
    const child = spawn(program, args, { cwd: other.directory, env: { ...ENVIRONMENT, ...own.env }, stdio: ['ignore', 'pipe', 'pipe'] });
    finallyDo(() => exit ?? child.kill('SIGKILL'));
    let log = '', exit = null;
    child.stderr.on('data', (text) => (log += text));
    const ended = new Promise((resolve) => child.on('close', (code, signal) => resolve((exit = { code, signal }))));
    await until(() => exit || /listening on/.test(log), 20_000, `mcpd to start or to end, allocation ${n}:\n${log}`);
    const served = exit === null;
    if (served) {
        own.disarm();
        await ordinaryOrTold(Number(/listening on .*:(\d+)/.exec(log)[1]), child, () => log);
        child.kill('SIGTERM');
    }
    await Promise.race([ended, sleep(20_000 * SCALE).then(() => child.kill('SIGKILL'))]);
    const said = log.replaceAll(/^inject:.*\n/gm, '');
    assert.doesNotMatch(said, /Sanitizer|runtime error/, `allocation ${n} (at ${own.where})`);
    assert.deepEqual(exit, { code: served ? 0 : 1, signal: null }, `allocation ${n} (at ${own.where}):\n${said}`);
    /* The last: a pattern could not be tried for want of memory. */
    if (!served) assert.match(said, /memory|Cannot allocate|not checked to the end/, `a start that fails says why, allocation ${n} (at ${own.where}):\n${said}`);
    return { served, failed: own.allocationsFailed };
}

test('the start: it serves, or ends with status 1 and says why', async () => {
    let served = 0, refused = 0;
    const errors = [];
    for (let n = 1, quiet = 0; quiet < 1; n = LONG ? n + 1 : n + Math.max(1, Math.floor(n / 3))) {
        try {
            const how = await begin(n);
            quiet = how.failed ? 0 : quiet + 1;
            if (how.failed && how.served) served++;
            else if (how.failed) refused++;
        } catch (error) {
            errors.push(error.message);
            if (errors.length > 4) break;
        }
    }
    console.log(`      ${served + refused} starts with a failed allocation: ${served} served, ${refused} ended with a reason`);
    if (errors.length) assert.fail(errors.join('\n'));
}, { timeout: 3_600_000 });

await done();
