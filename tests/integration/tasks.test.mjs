// SPDX-License-Identifier: MIT
// The tasks extension: calls that go on without their client, in the store.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { assert, done, SCALE, SLOW_BINARY, sleep, test, until } from './lib/check.mjs';
import { Daemon, ENVIRONMENT, temporaryDirectory } from './lib/daemon.mjs';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CallToolResultSchema } from '@modelcontextprotocol/sdk/types.js';
import { LEGACY, Listener, META, MODERN, modern, Session, textOf } from './lib/mcp.mjs';
import { conforms, conformsMessage } from './lib/schema.mjs';
import { tap } from './lib/tap.mjs';

const EXTENSION = 'io.modelcontextprotocol/tasks';
const TASKS = { extensions: { [EXTENSION]: {} } };
const ALL = { elicitation: {}, ...TASKS };
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** A request and the message that answers it, with the HTTP status beside. */
async function exchange(port, method, params, capabilities = ALL, options = {}) {
    const response = await modern(port, method, params, { meta: { [`${META}clientCapabilities`]: capabilities }, ...options });
    const message = await response.last(options.ms);
    response.connection.destroy();
    if (message.result?.resultType === 'input_required') conforms(MODERN, 'InputRequiredResult', message.result);
    else if (message.result?.resultType !== 'task') conformsMessage(MODERN, message, method);
    return { status: response.status, ...message };
}
const call = (port, name, args = {}, capabilities = ALL, more = {}) =>
    exchange(port, 'tools/call', { name, arguments: args, ...more }, capabilities);

/** The task that a call becomes. */
async function create(port, name, args) {
    const { result, error } = await call(port, name, args);
    assert.equal(result?.resultType, 'task', JSON.stringify(result ?? error));
    return result;
}
async function get(port, taskId) {
    const { result, error } = await exchange(port, 'tasks/get', { taskId });
    assert.ok(result, JSON.stringify(error));
    assert.equal(result.resultType, 'complete');
    assert.equal(result.taskId, taskId);
    return result;
}
const FINAL = ['completed', 'failed', 'cancelled'];
const settled = (port, taskId, statuses = FINAL, ms = 10_000) =>
    until(async () => {
        const task = await get(port, taskId);
        return statuses.includes(task.status) && task;
    }, ms, `task ${taskId} to be ${statuses}`);
const update = (port, taskId, inputResponses) => exchange(port, 'tasks/update', { taskId, inputResponses });
const accept = (content) => ({ action: 'accept', content });
const lines = (file) => (fs.existsSync(file) ? fs.readFileSync(file, 'utf8').split('\n').length - 1 : 0);
const scratch = temporaryDirectory('tasks');
let files = 0;
const newFile = () => path.join(scratch, `file${++files}`);

/** With the plugin in a worker process, too, it may write where the tests look. */
const startDaemon = ({ config, ...options }) =>
    Daemon.start({ config: { providers: { tasks: { sandbox: { write: [scratch] } } }, ...config }, ...options });
const daemon = await startDaemon({
    plugins: ['tasks', 'echo'],
    config: { store: { url: `sqlite://${newFile()}.db` }, tasks: { poll_interval_ms: 321, ttl_ms: 3_600_000, max_running: 6 } },
});
const { port } = daemon;

// ---- What is said of it --------------------------------------------------------

test('server/discover declares the extension, and no capability "tasks"', async () => {
    const { result } = await exchange(port, 'server/discover', {});
    assert.deepEqual(result.capabilities.extensions[EXTENSION], {});
    assert.ok(!('tasks' in result.capabilities));
});

// ---- Creation --------------------------------------------------------------------

test('a call becomes a task: flat, readable at once, and ends with its result', async () => {
    const task = await create(port, 'job', { ms: 150 });
    const { _meta, resultType, taskId, createdAt, lastUpdatedAt, ...rest } = task;
    assert.deepEqual(rest, { status: 'working', ttlMs: 3_600_000, pollIntervalMs: 321 });
    assert.match(taskId, /^[A-Za-z0-9_-]{43}$/);
    assert.match(createdAt, TIME);
    assert.match(lastUpdatedAt, TIME);
    const working = await get(port, taskId);
    assert.equal(working.status, 'working');
    for (const member of ['result', 'error', 'inputRequests', 'requestState', 'task']) assert.ok(!(member in working), member);
    const ended = await settled(port, taskId);
    assert.equal(ended.status, 'completed');
    assert.equal(textOf(ended.result), 'worked');
    assert.equal(ended.createdAt, createdAt);
    assert.ok(ended.lastUpdatedAt > createdAt);
    assert.ok(ended.ttlMs >= 3_600_000);
    assert.ok(!('error' in ended));
    assert.deepEqual(await get(port, taskId), ended, 'from memory or from the store: the same');
});
test('no two tasks have one id', async () => {
    const ids = await Promise.all(Array.from({ length: 40 }, async () => (await create(port, 'job', { ms: 0 })).taskId));
    assert.equal(new Set(ids).size, 40);
});
test('without the extension: OPTIONAL waits, REQUIRED is -32021', async () => {
    for (const capabilities of [{}, { extensions: {} }, { elicitation: {} }]) {
        const { result } = await call(port, 'job', { ms: 1 }, capabilities);
        assert.equal(result.resultType, 'complete');
        assert.equal(textOf(result), 'worked');
        for (const name of ['must', 'late']) {
            const refused = await call(port, name, {}, capabilities);
            assert.equal(refused.status, 400);
            assert.equal(refused.error.code, -32021);
            assert.deepEqual(refused.error.data, { requiredCapabilities: TASKS });
        }
    }
});
test('a tool without the flags is never a task; a "task" member of the old form is ignored', async () => {
    const { result } = await call(port, 'echo', { text: 'now' });
    assert.equal(result.resultType, 'complete');
    assert.equal(textOf(result), 'now');
    const old = await call(port, 'job', { ms: 1 }, {}, { task: { ttl: 1000 } });
    assert.equal(old.result.resultType, 'complete');
    const both = await call(port, 'job', { ms: 1 }, ALL, { task: { ttl: 1000 } });
    assert.equal(both.result.resultType, 'task');
});
test('what is wrong with the call is said at once, and makes no task', async () => {
    assert.equal((await call(port, 'no_such_tool')).error.code, -32602);
    const wrong = await call(port, 'job', { ms: 'soon' });
    assert.equal(wrong.result.resultType, 'complete');
    assert.equal(wrong.result.isError, true);
});

// ---- Ends ------------------------------------------------------------------------

test('a failure for the model: completed with isError', async () => {
    const { taskId } = await create(port, 'must');
    const task = await settled(port, taskId);
    assert.equal(task.status, 'completed');
    assert.equal(task.result.isError, true);
    assert.equal(textOf(task.result), 'it must fail');
});
test('an error of the protocol: failed with the error, code and data', async () => {
    const { taskId } = await create(port, 'broken');
    const task = await settled(port, taskId);
    assert.equal(task.status, 'failed');
    assert.deepEqual(task.error, { code: -32603, message: 'broken inside', data: { detail: 7 } });
    assert.equal(task.statusMessage, 'broken inside');
    assert.ok(!('result' in task));
});
test('progress becomes the message of the task', async () => {
    const { taskId } = await create(port, 'job', { ms: 1500 });
    const task = await until(async () => {
        const now = await get(port, taskId);
        return now.statusMessage && now;
    }, 5_000, 'a statusMessage');
    assert.match(task.statusMessage, /^\d+ of 1500 ms$/);
    assert.equal(task.status, 'working');
    const ended = await settled(port, taskId);
    assert.ok(!('statusMessage' in ended));
});
test('tasks/cancel: an empty acknowledgement, the plugin notices, the task is cancelled', async () => {
    const file = newFile();
    const { taskId } = await create(port, 'job', { ms: 60_000, file });
    await until(() => lines(file) === 1, 5_000, 'the job to begin');
    const { status, result } = await exchange(port, 'tasks/cancel', { taskId });
    assert.equal(status, 200);
    assert.deepEqual(Object.keys(result).sort(), ['_meta', 'resultType']);
    assert.equal(result.resultType, 'complete');
    const task = await settled(port, taskId, ['cancelled'], 2_000);
    assert.ok(!('result' in task) && !('error' in task));
    const again = await exchange(port, 'tasks/cancel', { taskId });
    assert.deepEqual(Object.keys(again.result).sort(), ['_meta', 'resultType']);
    assert.equal((await get(port, taskId)).status, 'cancelled');
    const ended = await create(port, 'job', { ms: 0 });
    await settled(port, ended.taskId);
    assert.ok((await exchange(port, 'tasks/cancel', { taskId: ended.taskId })).result);
    assert.equal((await get(port, ended.taskId)).status, 'completed', 'what has ended stays as it is');
});
test('cancelled tasks give their places back', async () => {
    const ids = await Promise.all(Array.from({ length: 12 }, async () => (await create(port, 'job', { ms: 60_000 })).taskId));
    await Promise.all(ids.map((taskId) => exchange(port, 'tasks/cancel', { taskId })));
    const { taskId } = await create(port, 'job', { ms: 0 });
    assert.equal((await settled(port, taskId, FINAL, 5_000)).status, 'completed');
});

// ---- Input ------------------------------------------------------------------------

test('a question on the way: input_required, tasks/update, and the answers arrive', async () => {
    const { taskId } = await create(port, 'confirm');
    const asking = await settled(port, taskId, ['input_required']);
    assert.deepEqual(Object.keys(asking.inputRequests), ['sure']);
    assert.equal(asking.inputRequests.sure.method, 'elicitation/create');
    assert.ok(!('requestState' in asking));
    const { result } = await update(port, taskId, { sure: accept({ confirm: true }) });
    assert.deepEqual(Object.keys(result).sort(), ['_meta', 'resultType']);
    const task = await settled(port, taskId);
    assert.equal(textOf(task.result), 'answered: {"sure":{"action":"accept","content":{"confirm":true}}}');
    assert.ok((await update(port, taskId, { sure: accept({}) })).result, 'late answers are ignored');
});
test('some of the answers: the rest stays outstanding; unknown keys are ignored', async () => {
    const { taskId } = await create(port, 'two');
    const asking = await settled(port, taskId, ['input_required']);
    const [first, second] = Object.keys(asking.inputRequests);
    await update(port, taskId, { [first]: accept({ name: 'x' }), never: accept({}) });
    const left = await get(port, taskId);
    assert.equal(left.status, 'input_required');
    assert.deepEqual(left.inputRequests, { [second]: asking.inputRequests[second] });
    await update(port, taskId, { [first]: accept({ name: 'another' }) });
    assert.equal((await get(port, taskId)).status, 'input_required');
    await update(port, taskId, { [second]: { action: 'decline' } });
    const task = await settled(port, taskId);
    assert.equal(textOf(task.result), 'answered: {"a":{"action":"accept","content":{"name":"x"}},"b:c":{"action":"decline"}}');
});
test('keys are unique over the life of a task', async () => {
    const { taskId } = await create(port, 'rounds');
    const seen = [];
    for (let i = 0; i < 3; i++) {
        const asking = await until(async () => {
            const task = await get(port, taskId);
            return task.status === 'input_required' && !seen.includes(Object.keys(task.inputRequests)[0]) && task;
        }, 5_000, 'the next question');
        const [key] = Object.keys(asking.inputRequests);
        seen.push(key);
        await update(port, taskId, { [key]: accept({ name: `${i}` }) });
    }
    const task = await settled(port, taskId);
    assert.equal(new Set(seen).size, 3);
    assert.equal(textOf(task.result), 'at last: {"again":{"action":"accept","content":{"name":"2"}}}');
});
test('answers that do not fit their question are refused, and change nothing', async () => {
    const { taskId } = await create(port, 'confirm');
    await settled(port, taskId, ['input_required']);
    for (const wrong of [{ sure: 7 }, { sure: null }, { sure: accept({ confirm: 'yes' }) }, { sure: { action: 'perhaps' } }]) {
        const { error } = await update(port, taskId, wrong);
        assert.equal(error?.code, -32602, JSON.stringify(wrong));
    }
    for (const wrong of [undefined, null, [], 'x']) {
        const { error } = await update(port, taskId, wrong);
        assert.equal(error?.code, -32602, JSON.stringify(wrong));
    }
    assert.equal((await get(port, taskId)).status, 'input_required');
    await update(port, taskId, { sure: { action: 'cancel' } });
    assert.equal((await settled(port, taskId)).status, 'completed');
});
test('what the client has not declared is not asked for: the task fails with -32021', async () => {
    const { taskId } = await create(port, 'sample');
    const task = await settled(port, taskId);
    assert.equal(task.status, 'failed');
    assert.equal(task.error.code, -32021);
    assert.deepEqual(task.error.data, { requiredCapabilities: { sampling: {} } });
    const { result } = await call(port, 'confirm', {}, TASKS);
    assert.equal((await settled(port, result.taskId)).error.code, -32021);
});
test('a task that asks can be cancelled', async () => {
    const { taskId } = await create(port, 'confirm');
    await settled(port, taskId, ['input_required']);
    await exchange(port, 'tasks/cancel', { taskId });
    const task = await get(port, taskId);
    assert.equal(task.status, 'cancelled');
    assert.ok(!('inputRequests' in task));
});

test('who has the handle may ask at once', async () => {
    const once = async () => {
        const { taskId } = await create(port, 'job', { ms: 0 });
        await get(port, taskId);
    };
    for (let i = 0; i < 40; i++) await Promise.all(Array.from({ length: 8 }, once));
});

// ---- Calls that become tasks late ---------------------------------------------------

test('questions first, as the answer of the call, then the task', async () => {
    const { result: asked } = await call(port, 'late', { ms: 100 });
    assert.equal(asked.resultType, 'input_required');
    assert.ok(!('taskId' in asked));
    const inputResponses = { name: accept({ name: 'Alice' }) };
    const { result: task } = await call(port, 'late', { ms: 100 }, ALL, { inputResponses, requestState: asked.requestState });
    assert.equal(task.resultType, 'task');
    assert.ok(!('requestState' in task) && !('inputRequests' in task));
    const ended = await settled(port, task.taskId);
    assert.equal(textOf(ended.result), 'late for {"name":{"action":"accept","content":{"name":"Alice"}}}');
});
test('start_task where the client does not know tasks: the call goes on', async () => {
    const { result } = await call(port, 'perhaps', { ms: 10 }, {});
    assert.equal(textOf(result), 'as a call');
});
test('a late task does not end with its connection, nor with the time of calls', async () => {
    const own = await startDaemon({ plugins: ['tasks'], config: { calls: { timeout_ms: 400 * SCALE } } });
    for (const name of ['perhaps', 'job']) {
        const { taskId } = await create(own.port, name, { ms: 1200 * SCALE });
        const task = await settled(own.port, taskId);
        assert.equal(textOf(task.result), name === 'job' ? 'worked' : 'as a task');
    }
    const other = await call(own.port, 'perhaps', { ms: 5_000 * SCALE }, {});
    assert.equal(textOf(other.result), 'cancelled', 'a call that is none is still ended in time');
    await own.stop();
});
test('a late task can be cancelled', async () => {
    const { taskId } = await create(port, 'perhaps', { ms: 60_000 });
    await exchange(port, 'tasks/cancel', { taskId });
    assert.equal((await get(port, taskId)).status, 'cancelled');
});

// ---- The methods ----------------------------------------------------------------------

test('who does not declare the extension is refused before the id is looked at', async () => {
    const { taskId } = await create(port, 'job', { ms: 0 });
    for (const id of [taskId, 'unknown'])
        for (const [method, more] of [['tasks/get'], ['tasks/update', { inputResponses: {} }], ['tasks/cancel']]) {
            const { status, error } = await exchange(port, method, { taskId: id, ...more }, { elicitation: {} });
            assert.equal(status, 400);
            assert.equal(error.code, -32021);
            assert.deepEqual(error.data, { requiredCapabilities: TASKS });
        }
});
test('unknown ids: -32602', async () => {
    for (const taskId of ['', 'x', 'A'.repeat(43), 'é'.repeat(43), 'A'.repeat(5000), "' OR 1=1 --"])
        for (const [method, more] of [['tasks/get'], ['tasks/update', { inputResponses: {} }], ['tasks/cancel']]) {
            const { error } = await exchange(port, method, { taskId, ...more });
            assert.equal(error?.code, -32602, `${method} ${taskId}`);
        }
    for (const taskId of [7, null, {}]) {
        const { error } = await exchange(port, 'tasks/get', { taskId }, ALL, { headers: { 'Mcp-Name': null } });
        assert.equal(error?.code, -32602);
    }
});
test('Mcp-Name repeats the taskId', async () => {
    const { taskId } = await create(port, 'job', { ms: 0 });
    for (const header of [null, 'another']) {
        const { status, error } = await exchange(port, 'tasks/get', { taskId }, ALL, { headers: { 'Mcp-Name': header } });
        assert.equal(status, 400);
        assert.equal(error.code, -32020);
    }
});
test('tasks/result and tasks/list do not exist', async () => {
    for (const method of ['tasks/result', 'tasks/list']) {
        const { status, error } = await exchange(port, method, { taskId: 'x' });
        assert.equal(status, 404);
        assert.equal(error.code, -32601);
    }
});

// ---- Listening --------------------------------------------------------------------------

const listen = (taskIds, capabilities = ALL) =>
    Listener.open(port, { taskIds }, { meta: { [`${META}clientCapabilities`]: capabilities } });

test('subscriptions/listen with taskIds: the whole task at each change, as tasks/get would show it', async () => {
    const { taskId } = await create(port, 'two');
    const other = await create(port, 'job', { ms: 60_000 });
    const listener = await listen([taskId, 'unknown', 'A'.repeat(43)]);
    const [ack] = listener.messages;
    assert.equal(ack.method, 'notifications/subscriptions/acknowledged');
    assert.deepEqual(ack.params.notifications, { taskIds: [taskId] });
    const asking = await until(() => listener.messages.find(({ params }) => params.status === 'input_required'), 5_000, 'it to ask');
    const { resultType, _meta, ...task } = await get(port, taskId);
    const { _meta: tag, ...told } = asking.params;
    assert.equal(asking.method, 'notifications/tasks');
    assert.deepEqual(told, task);
    assert.deepEqual(tag, { [`${META}subscriptionId`]: listener.id });
    const keys = Object.keys(task.inputRequests);
    await update(port, taskId, { [keys[0]]: accept({ name: 'x' }) });
    await until(() => listener.messages.some(({ params }) => Object.keys(params.inputRequests ?? {}).length === 1), 5_000, 'one to be left');
    await update(port, taskId, { [keys[1]]: accept({ name: 'y' }) });
    const ended = await until(() => listener.messages.find(({ params }) => params.status === 'completed'), 5_000, 'the end');
    const final = await get(port, taskId);
    assert.deepEqual(ended.params.result, final.result);
    await exchange(port, 'tasks/cancel', { taskId: other.taskId });
    await sleep(100);
    assert.ok(listener.messages.every(({ params }) => !params.taskId || params.taskId === taskId), 'nothing of other tasks');
    assert.ok(listener.messages.slice(1).every(({ method }) => method === 'notifications/tasks'));
    listener.close();
});
test('a task that has just ended is told once, for a client that begins to listen too late', async () => {
    const { taskId } = await create(port, 'job', { ms: 0 });
    await settled(port, taskId);
    const listener = await listen([taskId]);
    const { params } = await listener.wait(2);
    assert.equal(params.status, 'completed');
    assert.equal(textOf(params.result), 'worked');
    listener.close();
});
test('taskIds without the extension: -32021; taskIds that are no list: -32602', async () => {
    const refused = await exchange(port, 'subscriptions/listen', { notifications: { taskIds: ['x'] } }, {});
    assert.equal(refused.status, 400);
    assert.equal(refused.error.code, -32021);
    assert.deepEqual(refused.error.data, { requiredCapabilities: TASKS });
    for (const taskIds of ['x', [7], {}])
        assert.equal((await exchange(port, 'subscriptions/listen', { notifications: { taskIds } })).error.code, -32602);
});
test('the name that a task is watched by is no URI that a client could watch', async () => {
    const { taskId } = await create(port, 'job', { ms: 300 });
    const listener = await Listener.open(port, { resourceSubscriptions: [`\n${taskId}`] });
    await settled(port, taskId);
    await sleep(100);
    assert.equal(listener.messages.length, 1, JSON.stringify(listener.messages));
    listener.close();
});

// ---- Sessions of 2025-11-25 ------------------------------------------------------------------

const session = await Session.open(port, '2025-11-25', { capabilities: { tasks: {}, elicitation: {} } });
/** The whole message that answers. */
async function ask(method, params, on = session) {
    const response = await on.request(method, params);
    const message = await response.last();
    response.connection.destroy();
    conformsMessage(on.version, message, 'result' in message && message.result.task ? undefined : method);
    return message;
}
const createOld = async (name, args, ttl) => {
    const { result, error } = await ask('tools/call', { name, arguments: args, task: ttl ? { ttl } : {} });
    assert.ok(result?.task, JSON.stringify(result ?? error));
    conforms('2025-11-25', 'CreateTaskResult', result);
    return result.task;
};
const RELATED = 'io.modelcontextprotocol/related-task';

test('2025-11-25: the capability, execution.taskSupport; earlier sessions know nothing of it', async () => {
    assert.deepEqual(session.initialize.result.capabilities.tasks, { cancel: {}, requests: { tools: { call: {} } } });
    const { result } = await ask('tools/list');
    const support = Object.fromEntries(result.tools.map((tool) => [tool.name, tool.execution?.taskSupport]));
    assert.equal(support.job, 'optional');
    assert.equal(support.must, 'required');
    assert.equal(support.echo, undefined);
    for (const version of LEGACY.filter((name) => name !== '2025-11-25')) {
        const old = await Session.open(port, version);
        assert.ok(!('tasks' in old.initialize.result.capabilities));
        const { tools } = await old.result('tools/list');
        assert.ok(tools.every((tool) => !('execution' in tool)));
        assert.equal((await ask('tasks/get', { taskId: 'x' }, old)).error.code, -32601);
        const sync = await ask('tools/call', { name: 'job', arguments: { ms: 0 }, task: {} }, old);
        assert.equal(textOf(sync.result), 'worked', 'the member means nothing to it');
    }
});
test('2025-11-25: a task, its state, its result, which is waited for', async () => {
    const task = await createOld('job', { ms: 300 }, 60_000);
    assert.equal(task.status, 'working');
    assert.equal(task.ttl, 60_000);
    assert.equal(task.pollInterval, 321);
    const { result: state } = await ask('tasks/get', { taskId: task.taskId });
    conforms('2025-11-25', 'GetTaskResult', state);
    assert.equal(state.status, 'working');
    const [one, two] = await Promise.all([ask('tasks/result', { taskId: task.taskId }), ask('tasks/result', { taskId: task.taskId })]);
    for (const { result } of [one, two, await ask('tasks/result', { taskId: task.taskId })]) {
        conforms('2025-11-25', 'CallToolResult', result);
        assert.equal(textOf(result), 'worked');
        assert.ok(!('resultType' in result));
        assert.deepEqual(result._meta[RELATED], { taskId: task.taskId });
    }
    assert.equal((await ask('tasks/get', { taskId: task.taskId })).result.status, 'completed');
});
test('2025-11-25: failures, cancellation, what is no task', async () => {
    const must = await createOld('must', {});
    assert.equal((await ask('tasks/result', { taskId: must.taskId })).result.isError, true);
    const broken = await createOld('broken', {});
    assert.deepEqual((await ask('tasks/result', { taskId: broken.taskId })).error, { code: -32603, message: 'broken inside', data: { detail: 7 } });
    const job = await createOld('job', { ms: 60_000 });
    const waiting = ask('tasks/result', { taskId: job.taskId });
    const { result } = await ask('tasks/cancel', { taskId: job.taskId });
    conforms('2025-11-25', 'CancelTaskResult', result);
    assert.equal(result.status, 'cancelled');
    assert.match((await waiting).error.message, /cancelled/);
    assert.equal((await ask('tasks/cancel', { taskId: job.taskId })).error.code, -32602);
    for (const method of ['tasks/get', 'tasks/result', 'tasks/cancel'])
        assert.equal((await ask(method, { taskId: 'A'.repeat(43) })).error.code, -32602);
    assert.equal((await ask('tasks/list')).error.code, -32601);
    assert.equal((await ask('tools/call', { name: 'must', arguments: {} })).error.code, -32601, 'required');
    assert.equal((await ask('tools/call', { name: 'echo', arguments: { text: 'x' }, task: {} })).error.code, -32601, 'forbidden');
    const asks = await createOld('confirm', {});
    assert.match(textOf((await ask('tasks/result', { taskId: asks.taskId })).result), /cannot be asked/);
});
test('2025-11-25: who waits for a result and goes away is forgotten, and the task goes on', async () => {
    const { taskId } = await createOld('job', { ms: 600 });
    for (let i = 0; i < 5; i++) {
        const response = session.request('tasks/result', { taskId });
        await sleep(20);
        (await Promise.race([response, sleep(20)]))?.connection?.destroy();
    }
    assert.equal(textOf((await ask('tasks/result', { taskId })).result), 'worked');
});
test('2025-11-25: the official client runs a tool as a task', async () => {
    const client = new Client({ name: 'mcpd-tests', version: '1' }, { capabilities: {} });
    await client.connect(new StreamableHTTPClientTransport(new URL(`http://127.0.0.1:${await tap(port)}/mcp`)));
    await client.listTools();
    const seen = [];
    for await (const message of client.experimental.tasks.callToolStream({ name: 'must', arguments: {} }, CallToolResultSchema, { task: { ttl: 60_000 } }))
        seen.push(message);
    assert.equal(seen[0].type, 'taskCreated');
    assert.equal(seen.at(-1).type, 'result', JSON.stringify(seen.at(-1)));
    assert.equal(textOf(seen.at(-1).result), 'it must fail');
    await client.close();
});

// ---- Limits ------------------------------------------------------------------------------

test('tasks.max_running run at once, the others wait', async () => {
    const own = await startDaemon({ plugins: ['tasks'], config: { tasks: { max_running: 2 } } });
    const all = newFile();
    const ids = [];
    for (let i = 0; i < 6; i++) ids.push((await create(own.port, 'job', { ms: 2000 * SCALE, file: all })).taskId);
    await until(() => lines(all) >= 2);
    await sleep(100 * SCALE);
    assert.equal(lines(all), 2, 'two have begun, of two seconds each');
    await exchange(own.port, 'tasks/cancel', { taskId: ids[5] });
    for (const id of ids.slice(0, 5)) assert.equal((await settled(own.port, id)).status, 'completed');
    assert.equal(lines(all), 5, 'one that was cancelled while it waited never begins');
    await own.stop();
});
test('tasks.max: further ones are refused, and say so', async () => {
    const own = await startDaemon({ plugins: ['tasks'], config: { tasks: { max: 3 } } });
    for (let i = 0; i < 3; i++) await create(own.port, 'job', { ms: 1 });
    const { error } = await call(own.port, 'job', { ms: 1 });
    assert.equal(error.code, -32000);
    assert.match(error.message, /3 tasks already/);
    await own.stop();
});
test('tasks.ttl_ms: what takes too long is given up, what has ended is forgotten', async () => {
    const own = await startDaemon({ plugins: ['tasks'], config: { tasks: { ttl_ms: 3000, max: 3 } } });
    const quick = await create(own.port, 'job', { ms: 0 });
    const slow = await create(own.port, 'job', { ms: 600_000 });
    const asks = await create(own.port, 'confirm');
    assert.equal((await settled(own.port, quick.taskId)).status, 'completed');
    for (const { taskId } of [slow, asks]) {
        const task = await settled(own.port, taskId, FINAL, 20_000);
        assert.equal(task.status, 'failed');
        assert.match(task.error.message, /took too long/);
    }
    await sleep(3100);
    assert.equal((await exchange(own.port, 'tasks/get', { taskId: quick.taskId })).error?.code, -32602);
    await until(async () => (await call(own.port, 'job', { ms: 0 })).result, 30_000, 'room for another task', 500);
    await own.stop();
}, { timeout: 90_000 });
test('a plugin that is replaced: what may be repeated begins again, what may not fails', async () => {
    const own = await startDaemon({ plugins: ['tasks'], config: { plugins: { drain_timeout_ms: 300 } } });
    const [once, twice] = [newFile(), newFile()];
    const job = await create(own.port, 'job', { ms: 3_000 * SCALE, file: once });
    const again = await create(own.port, 'again', { ms: 3_000 * SCALE, file: twice });
    await until(() => lines(once) + lines(twice) === 2, 5_000, 'both to begin');
    own.install('tasks', Buffer.concat([fs.readFileSync(own.path('tasks')), Buffer.from('\n')]));
    const failed = await settled(own.port, job.taskId, FINAL, 15_000);
    assert.equal(failed.status, 'failed');
    assert.match(failed.error.message, /provider was replaced/);
    const repeated = await settled(own.port, again.taskId, FINAL, 20_000);
    assert.equal(repeated.status, 'completed');
    assert.equal(lines(once), 1);
    assert.equal(lines(twice), 2);
    await own.stop();
}, { timeout: 60_000 });

// ---- Restarts --------------------------------------------------------------------------------

/** mcpd with this store; another life than the one before. */
const life = (file, config = {}) =>
    startDaemon({ plugins: ['tasks'],
        /* SIGTERM waits for tasks that cannot begin again: some here never end. */
        config: { server: { shutdown_timeout_ms: 8_000 }, store: { url: `sqlite://${file}` }, tasks: { max_running: 4 }, ...config } });

/** Ends it as a power cut would, as far as a process can be hit. */
async function killHard(victim) {
    victim.stopped = true;
    process.kill(victim.pid, 'SIGKILL');
    await victim.exited;
}

for (const [how, end] of [['SIGTERM', (d) => d.stop()], ['SIGKILL', killHard]])
    test(`after ${how}: ended tasks can be read, asking ones go on, working ones begin again or fail`, async () => {
        const store = newFile(), once = newFile(), twice = newFile();
        let own = await life(store);
        const completed = await create(own.port, 'job', { ms: 0 });
        const failed = await create(own.port, 'broken');
        const cancelled = await create(own.port, 'job', { ms: 60_000 });
        const asking = await create(own.port, 'two');
        const before = {};
        await exchange(own.port, 'tasks/cancel', { taskId: cancelled.taskId });
        for (const task of [completed, failed, cancelled]) before[task.taskId] = await settled(own.port, task.taskId);
        await settled(own.port, asking.taskId, ['input_required']);
        await update(own.port, asking.taskId, { a: accept({ name: 'first life' }) });
        const job = await create(own.port, 'job', { ms: 60_000, file: once });
        const again = await create(own.port, 'again', { ms: 1_000, file: twice });
        await until(() => lines(once) + lines(twice) === 2, 5_000, 'both to begin');
        await end(own);

        own = await life(store);
        for (const [taskId, task] of Object.entries(before)) assert.deepEqual(await get(own.port, taskId), task);
        const open = await get(own.port, asking.taskId);
        assert.equal(open.status, 'input_required');
        assert.deepEqual(Object.keys(open.inputRequests), ['1:b:c']);
        await update(own.port, asking.taskId, { '1:b:c': accept({ name: 'second life' }) });
        const answered = await settled(own.port, asking.taskId);
        assert.match(textOf(answered.result), /first life.*second life/);
        const interrupted = await settled(own.port, job.taskId);
        assert.equal(interrupted.status, 'failed');
        assert.match(interrupted.error.message, /mcpd was restarted/);
        assert.equal(lines(once), 1, 'it does not begin twice');
        assert.equal((await settled(own.port, again.taskId)).status, 'completed');
        /* SIGTERM waits for the job, and that is long enough for this one too. */
        assert.equal(lines(twice), how === 'SIGTERM' ? 1 : 2);
        await own.stop();
    }, { timeout: 90_000 });
test('a task is known from the moment that its maker is told of it', async () => {
    const own = await Daemon.start({ plugins: ['tasks'], config: { tasks: { max_running: 4 } } });
    const unknown = [];
    await Promise.all(Array.from({ length: 8 }, async () => {
        for (let i = 0; i < 150; i++) {
            const { taskId } = await create(own.port, 'job', { ms: 0 });
            try {
                await get(own.port, taskId);
            } catch (error) {
                unknown.push(error.message);
            }
        }
    }));
    assert.deepEqual(unknown, []);
    await own.stop();
});
test('SIGTERM waits for what could not begin again', async () => {
    const store = newFile(), file = newFile();
    let own = await life(store);
    const { taskId } = await create(own.port, 'job', { ms: 1_000, file });
    await until(() => lines(file) === 1, 5_000, 'the job to begin');
    await own.stop();
    own = await life(store);
    assert.equal((await get(own.port, taskId)).status, 'completed');
    await own.stop();
});
test('a task that waited for its place begins after a restart, whatever its tool says', async () => {
    const store = newFile(), file = newFile();
    let own = await life(store, { tasks: { max_running: 1 } });
    const first = await create(own.port, 'again', { ms: 60_000 });
    const { taskId } = await create(own.port, 'job', { ms: 0, file });
    await killHard(own);
    assert.equal(lines(file), 0);
    own = await life(store, { tasks: { max_running: 1 } });
    await exchange(own.port, 'tasks/cancel', { taskId: first.taskId });
    assert.equal((await settled(own.port, taskId)).status, 'completed');
    assert.equal(lines(file), 1);
    await own.stop();
});
test('a late task begins again with the answers it had', async () => {
    const store = newFile();
    let own = await life(store);
    const { result: asked } = await call(own.port, 'late', { ms: 1_500 });
    const inputResponses = { name: accept({ name: 'Bob' }) };
    const { result } = await call(own.port, 'late', { ms: 1_500 }, ALL, { inputResponses, requestState: asked.requestState });
    await killHard(own);
    own = await life(store);
    assert.match(textOf((await settled(own.port, result.taskId)).result), /late for .*Bob/);
    await own.stop();
});
test('killed at any moment: no task that was told is lost, none that may not runs twice', async () => {
    const store = newFile();
    const rounds = SLOW_BINARY ? 3 : 10;
    const told = new Map(); // taskId -> {name, file}
    const said = new Map(); // taskId -> the final status that a client has seen
    let own = await life(store);
    for (let round = 0; round < rounds; round++) {
        let over = false;
        const client = async () => {
            while (!over) {
                const file = newFile();
                const name = Math.random() < 0.5 ? 'job' : 'again';
                try {
                    const { result } = await call(own.port, name, { ms: Math.floor(Math.random() * 120), file });
                    if (result) told.set(result.taskId, { name, file });
                    const ids = [...told.keys()];
                    const id = ids[Math.floor(Math.random() * ids.length)];
                    const { result: task } = await exchange(own.port, 'tasks/get', { taskId: id });
                    if (FINAL.includes(task?.status)) said.set(id, task.status);
                    await sleep(5);
                } catch (error) {
                    if (!over && error instanceof assert.AssertionError) throw error;
                }
            }
        };
        const clients = [client(), client(), client(), client()];
        await sleep(50 + Math.random() * 400);
        over = true;
        await killHard(own);
        await Promise.all(clients);
        own = await life(store);
    }
    const count = { completed: 0, failed: 0 };
    for (const [taskId, { name, file }] of told) {
        const task = await settled(own.port, taskId, FINAL, 30_000);
        count[task.status]++;
        if (said.has(taskId)) assert.equal(task.status, said.get(taskId), 'what was said stays true');
        if (name === 'job') assert.ok(lines(file) <= 1, `a job ran ${lines(file)} times`);
        else assert.equal(task.status, 'completed', JSON.stringify(task.error));
        if (task.status === 'completed') assert.ok(lines(file) >= 1);
        if (task.status === 'failed') assert.match(task.error.message, /mcpd was restarted/);
    }
    console.log(`      ${rounds} kills: ${told.size} tasks told, none lost; ${count.completed} completed, ${count.failed} failed as interrupted`);
    assert.ok(told.size > rounds);
    await own.stop();
}, { timeout: 180_000 });

// ---- The store ----------------------------------------------------------------------------------

test('the file is nobody else\'s to read', async () => {
    const file = newFile();
    const own = await life(file);
    await create(own.port, 'job', { ms: 0 });
    for (const name of fs.readdirSync(scratch).filter((entry) => entry.startsWith(path.basename(file))))
        assert.equal(fs.statSync(path.join(scratch, name)).mode & 0o077, 0, name);
    await own.stop();
});

/** Starts mcpd with this store and returns its last words. */
async function refusedStart(url, more = {}) {
    const own = new Daemon({ plugins: ['tasks'], config: { store: { url, ...more } } });
    await assert.rejects(own.start());
    await own.exited;
    assert.equal(own.exit.code, 1);
    own.stopped = true;
    return own.lines.join('\n');
}
test('a second mcpd on the same file does not start', async () => {
    const file = newFile();
    const own = await life(file);
    const words = await refusedStart(`sqlite://${file}`);
    assert.match(words, /cannot start: .*: store\.url: .*file\d+ is in use by another process/);
    const { taskId } = await create(own.port, 'job', { ms: 0 });
    await settled(own.port, taskId);
    await own.stop();
});
test('a file that is no database, is damaged, is a directory, or has no directory: one clear sentence', async () => {
    const garbage = newFile();
    fs.writeFileSync(garbage, 'this is no database\n'.repeat(1000));
    assert.match(await refusedStart(`sqlite://${garbage}`), /store\.url: .* is damaged, or no database .*: move it away/);
    assert.equal(fs.readFileSync(garbage, 'utf8').length, 20_000, 'it is left as it was');
    const directory = newFile();
    fs.mkdirSync(directory);
    assert.match(await refusedStart(`sqlite://${directory}`), /store\.url: .* cannot be written: Is a directory/);
    assert.match(await refusedStart(`sqlite://${scratch}/none/state.db`), /cannot be written: No such file or directory/);
    const damaged = newFile();
    const own = await life(damaged);
    await create(own.port, 'job', { ms: 0 });
    await own.stop();
    const bytes = fs.readFileSync(damaged);
    bytes.fill(0xff, 100, 400);
    fs.writeFileSync(damaged, bytes);
    assert.match(await refusedStart(`sqlite://${damaged}`), /is damaged, or no database/);
});
test('a directory that cannot be written', async () => {
    const directory = newFile();
    fs.mkdirSync(directory, { mode: 0o555 });
    assert.match(await refusedStart(`sqlite://${directory}/state.db`), /cannot be written: Permission denied/);
}, { skip: process.getuid() === 0 ? 'root may write everywhere' : null });
test('a full store refuses new tasks, and goes on with the old ones', async () => {
    const own = await startDaemon({ plugins: ['tasks'], config: { store: { url: `sqlite://${newFile()}`, max_mib: 1 } } });
    const kept = [];
    const filler = 'x'.repeat(100_000);
    const refused = await until(async () => {
        const { result, error } = await call(own.port, 'confirm', { file: filler });
        if (result) kept.push(result.taskId);
        return error;
    }, 20_000, 'the store to be full');
    assert.equal(refused.code, -32000);
    assert.match(refused.message, /^Server busy: the task cannot be stored at the moment/);
    assert.ok(!refused.message.includes('/'), 'where the store is concerns no client');
    for (let i = 0; i < 20; i++) await call(own.port, 'confirm', { file: filler });
    const complaints = own.logSince(0).match(/error: .*stored.*/g);
    assert.equal(complaints.length, 1, complaints.join('\n'));
    assert.match(complaints[0], /is full: make room on its disk, or raise store\.max_mib$/);
    assert.ok(kept.length >= 5, `${kept.length}`);
    for (const id of kept) await settled(own.port, id, ['input_required']);
    await exchange(own.port, 'tasks/cancel', { taskId: kept[0] });
    await exchange(own.port, 'tasks/cancel', { taskId: kept[1] });
    assert.equal((await get(own.port, kept[0])).status, 'cancelled');
    await until(async () => (await call(own.port, 'confirm', { file: filler })).result, 10_000, 'there to be room again');
    assert.match(own.logSince(0), /notice: tasks are stored again/);
    await own.stop();
});
test('without store.url: in memory, and the log says so', async () => {
    const own = await startDaemon({ plugins: ['tasks'] });
    assert.match(own.logSince(0), /notice: tasks are kept in memory and do not survive a restart: set store\.url/);
    await own.stop();
    const asked = await startDaemon({ plugins: ['tasks'], config: { store: { url: 'memory:' } } });
    assert.ok(!/kept in memory/.test(asked.logSince(0)));
    await asked.stop();
});
test('a store that cannot be opened: mcpd does not start, and says which and where it is named', () => {
    const damaged = newFile();
    fs.writeFileSync(damaged, 'no database, but long enough to be looked at as one\n'.repeat(40));
    for (const [file, words] of [['/nonexistent/state.db', /cannot be written: No such file/], [damaged, /is damaged, or no database .*: move it away/]]) {
        const own = new Daemon({ config: { store: { url: `sqlite://${file}` } } });
        const [program, args] = own.command();
        const { status, stderr } = spawnSync(program, args, { cwd: own.directory, encoding: 'utf8', timeout: 20_000 * SCALE, env: ENVIRONMENT });
        assert.equal(status, 1, stderr);
        assert.ok(stderr.includes(`cannot start: ${own.configFile}:3:12: store.url: ${file} `), stderr);
        assert.match(stderr, words);
    }
});
test('STATE_DIRECTORY, as systemd gives it', async () => {
    const directory = newFile();
    fs.mkdirSync(directory);
    const own = await startDaemon({ plugins: ['tasks'], env: { STATE_DIRECTORY: `${directory}:/nowhere` } });
    await create(own.port, 'job', { ms: 0 });
    assert.ok(fs.existsSync(path.join(directory, 'state.db')));
    assert.ok(!/kept in memory/.test(own.logSince(0)));
    await own.stop();
});

await done();
