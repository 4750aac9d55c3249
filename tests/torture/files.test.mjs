// SPDX-License-Identifier: MIT
// Files that cannot be written, read or opened: the store, the plugins, the
// configuration and the log. What was acknowledged survives; what cannot be taken is
// refused with a reason; when the fault is over, everything works again.
import path from 'node:path';
import { assert, done, SCALE, sleep, test, until } from '../integration/lib/check.mjs';
import { Daemon, pluginFile, temporaryDirectory } from '../integration/lib/daemon.mjs';
import { META, textOf } from '../integration/lib/mcp.mjs';
import { ask, callTool } from './lib/actions.mjs';
import { Injector, ON } from './lib/inject.mjs';

const LONG = process.env.LONG === '1';
const TASKS = { [`${META}clientCapabilities`]: { extensions: { 'io.modelcontextprotocol/tasks': {} } } };
const injector = new Injector({ log: false });
const scratch = temporaryDirectory('torture');
const state = path.join(scratch, 'state.db');
const PLUGINS = ['tasks', 'echo', 'versioned'];
const daemon = new Daemon({
    plugins: PLUGINS,
    config: { store: { url: `sqlite://${state}` }, providers: Object.fromEntries(PLUGINS.map((name) => [name, { isolation: 'inproc' }])) },
    env: injector.env,
});
await daemon.start();

const acknowledged = new Set();
const count = { made: 0, refused: 0, struck: 0 };
async function make() {
    const { outcome, message } = await callTool(daemon.port, 'job', { ms: 0 }, (r) => assert.equal(r.resultType, 'task'), TASKS);
    if (outcome === 'right') {
        acknowledged.add(message.result.taskId);
        count.made++;
    } else {
        assert.ok(message, 'a task that is refused is told why, not cut off');
        assert.match(message.error.message, /Server busy/);
        count.refused++;
    }
    return outcome;
}
const get = async (taskId) => (await ask(daemon.port, 'tasks/get', { taskId }, undefined, TASKS)).message?.result;
const echo = async () => {
    const { outcome } = await callTool(daemon.port, 'echo', { text: 'beside' }, (r) => assert.equal(textOf(r), 'beside'));
    assert.equal(outcome, 'right');
};
const restart = async (signal) => {
    injector.forget();
    daemon.signal(signal);
    await daemon.exited;
    daemon.exit = null;
    const mark = daemon.mark;
    await daemon.start();
    daemon.port = Number(/listening on .*:(\d+)/.exec(await daemon.waitLog(/listening on/, 10_000, mark))[1]);
};
async function allThere() {
    for (const taskId of acknowledged) {
        const task = await until(async () => {
            const now = await get(taskId).catch(() => null);
            return now && ['completed', 'failed'].includes(now.status) && now;
        }, 15_000, `the acknowledged task ${taskId}`, 20);
        /* What was interrupted by a death may fail, and says so. */
        if (task.status === 'failed') assert.match(task.error.message, /interrupted/);
        else assert.equal(textOf(task.result), 'worked');
    }
}

// ---- The store -------------------------------------------------------------------------

for (const [call, error] of [
    ['pwrite', 'ENOSPC'], ['pwrite', 'EIO'], ['pwrite', 'EINTR'], ['pwrite', 'short'],
])
    /* No signal comes for ever. */
    for (const how of error === 'EINTR' ? ['at times'] : ['always', 'at times'])
        test(`the store: ${call} fails with ${error}, ${how}`, async () => {
            const before = { ...count };
            injector.rule(0, { call, error, path: 'state.db', oneIn: how === 'always' ? 0 : 3 });
            for (let i = 0; i < (LONG ? 60 : 6); i++) {
                await make();
                await echo();
            }
            const struck = injector.struck(0);
            count.struck += struck;
            injector.disarm();
            assert.equal(daemon.exit, null);
            assert.equal(await make(), 'right', 'when the fault is over');
            await allThere();
            console.log(`      ${call} ${error} ${how}: struck ${struck} times; ${count.made - before.made} tasks made, ${count.refused - before.refused} refused with a reason`);
            assert.ok(struck > 0, 'no fault was injected');
        }, { timeout: 60_000 });

test('kill -9 while the store fails at times: no acknowledged task is lost', async () => {
    const rounds = LONG ? 30 : 4;
    for (let round = 0; round < rounds; round++) {
        injector.rule(0, { call: 'pwrite', error: 'EIO', path: 'state.db', oneIn: 5 });
        injector.rule(1, { call: 'pwrite', error: 'short', path: 'state.db', oneIn: 5 });
        const end = performance.now() + 50 + Math.random() * 150;
        while (performance.now() < end) await make();
        count.struck += injector.struck(0) + injector.struck(1);
        await restart('SIGKILL');
        await allThere();
    }
    console.log(`      ${rounds} kills, ${acknowledged.size} acknowledged tasks, all there; ${count.refused} refused; ${count.struck} faults`);
}, { timeout: 300_000 });

// ---- Plugins ------------------------------------------------------------------------------

const version = async () => {
    const { message } = await callTool(daemon.port, 'version', {}, (r) => assert.match(textOf(r), /^[12]$/));
    return textOf(message.result);
};
let wanted = 1;
for (const [call, error, rule] of [
    ['write', 'ENOSPC', { kinds: ON.files }], ['write', 'short', { kinds: ON.files }], ['write', 'EIO', { kinds: ON.files }], ['write', 'EINTR', { kinds: ON.files, count: 3 }],
    ['open', 'EMFILE', {}], ['open', 'EACCES', { path: 'versioned' }], ['read', 'EIO', { path: 'versioned' }],
    ['read', 'EINTR', { path: 'versioned', count: 3 }], ['stat', 'EIO', {}], ['memfd', 'EMFILE', {}], ['pipe', 'EMFILE', {}], ['spawn', 'EAGAIN', {}], ['dlopen', 'ENOMEM', {}],
])
    test(`a plugin is replaced while ${call} fails with ${error}${rule.count ? `, ${rule.count} times` : ''}: the old one serves or the new one does`, async () => {
        const old = await version();
        wanted = old === '1' ? 2 : 1;
        const mark = daemon.mark;
        injector.rule(0, { call, error, from: 1, ...rule });
        daemon.install('versioned', pluginFile(`versioned-${wanted}`));
        const end = performance.now() + 1_200 * SCALE;
        while (performance.now() < end && !/versioned: (keeps|serving|generation)/.test(daemon.logSince(mark)) && (await version()) === old) await sleep(10);
        const struck = injector.struck(0);
        count.struck += struck;
        injector.disarm();
        const said = (await version()) === old ? 'kept' : 'new';
        daemon.reload();
        await until(async () => (await version()) === String(wanted), 5_000, `version ${wanted} after the fault; the log:\n${daemon.logSince(mark)}`);
        assert.ok(struck > 0, 'no fault was injected');
        console.log(`      ${call} ${error}: struck ${struck} times; ${said}, then version ${wanted}`);
        assert.equal(daemon.exit, null);
    });

// ---- Configuration and log --------------------------------------------------------------------

for (const [call, error] of [['open', 'EMFILE'], ['open', 'EACCES'], ['open', 'EIO'], ['read', 'EIO']])
    test(`SIGHUP while the configuration cannot be read (${call}: ${error}): the old one stays in force`, async () => {
        const mark = daemon.mark;
        injector.rule(0, { call, error, path: 'mcpd.json' });
        daemon.reload();
        await daemon.waitLog(/the old one stays in force/, 5_000, mark);
        assert.ok(injector.struck(0) > 0);
        count.struck += injector.struck(0);
        injector.disarm();
        assert.match(daemon.logSince(mark), /mcpd\.json/);
        await echo();
        const again = daemon.mark;
        daemon.reload();
        await daemon.waitLog(/configuration reloaded/, 5_000, again);
    });

for (const error of ['ENOSPC', 'EIO', 'EAGAIN', 'EINTR', 'EPIPE', 'short'])
    test(`the log cannot be written (${error}): calls go on`, async () => {
        injector.rule(0, { call: 'write', error, kinds: ON.sockets | ON.pipes, count: error === 'EINTR' ? 3 : 1000 });
        daemon.reload(); // says something
        for (let i = 0; i < 5; i++) await echo();
        await until(() => injector.struck(0) > 0, 5_000, 'a fault');
        count.struck += injector.struck(0);
        injector.disarm();
        await echo();
    });

// ---- Sockets ----------------------------------------------------------------------------------

for (const [call, error, oneIn] of [
    ['accept', 'EMFILE', 2], ['accept', 'ECONNABORTED', 2], ['accept', 'EINTR', 2], ['recv', 'EINTR', 2], ['recv', 'ECONNRESET', 4], ['recv', 'short', 2],
    ['send', 'EINTR', 2], ['send', 'ECONNRESET', 4], ['epoll_wait', 'EINTR', 2], ['epoll_ctl', 'ENOSPC', 3], ['epoll_ctl', 'ENOMEM', 3],
])
    test(`${call} fails with ${error}, one in ${oneIn}: an answer or an end, and then as before`, async () => {
        const hows = {};
        injector.rule(0, { call, error, oneIn });
        for (let i = 0; i < (LONG ? 200 : 20); i++) {
            const text = `call ${i}`;
            const { outcome } = await callTool(daemon.port, 'echo', { text }, (r) => assert.equal(textOf(r), text));
            hows[outcome] = (hows[outcome] ?? 0) + 1;
        }
        const struck = injector.struck(0);
        count.struck += struck;
        injector.disarm();
        for (let i = 0; i < 5; i++) await echo();
        assert.ok(struck > 0, 'no fault was injected');
        console.log(`      ${call} ${error}: struck ${struck} times; ${JSON.stringify(hows)}`);
        assert.equal(daemon.exit, null);
        if (/EINTR|EMFILE|EAGAIN|short|ABORTED/.test(error)) assert.ok((hows.right ?? 0) >= (LONG ? 200 : 20) * 0.9, JSON.stringify(hows));
    }, { timeout: 60_000 });

test('the daemon ends in order', async () => {
    await daemon.stop({ ms: 30_000 });
    console.log(`      ${count.struck} faults of files and sockets; ${count.made} tasks acknowledged and found again, ${count.refused} refused`);
});

await done();
