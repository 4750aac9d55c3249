// SPDX-License-Identifier: MIT
// What clients and operators do to an mcpd, each as an action that may go wrong:
// run() tells how it went ("right", "refused" with a reason, "cut" off) and throws
// when an answer is wrong or none comes.
import fs from 'node:fs';
import { assert, SCALE, sleep, until } from '../../integration/lib/check.mjs';
import { pluginFile } from '../../integration/lib/daemon.mjs';
import { Connection, http as plainHttp } from '../../integration/lib/http.mjs';
import { BOTH, META, modernMessage, nextId, Session, textOf } from '../../integration/lib/mcp.mjs';

export const LIMIT = 5_000 * SCALE;
const TASKS = 'io.modelcontextprotocol/tasks';
/** What an error of the server's own may be: internal, or one of its own range that
 * says that it cannot now. */
const OWN_FAULT = /memory|internal|overload|busy|too many|cannot|unavailable|lost|gave up|not be|failed|crashed|process ended|ENOMEM|session/i;
const ownError = ({ code, message }) => (code === -32603 || (code <= -32000 && code >= -32019)) && OWN_FAULT.test(message);

export class Wrong extends Error {}

/** As http(), but leaves no connection behind when no answer comes. */
async function http(port, options) {
    const connection = options.connection ?? (await Connection.open(port));
    try {
        return await plainHttp(port, { ...options, connection });
    } catch (error) {
        connection.destroy();
        throw error;
    }
}

/** The end of an exchange that began with `start`: {outcome, message}. */
async function outcome(start, verify) {
    let response, messages;
    try {
        response = await start();
        messages = response.bodyless || response.status === 202 || response.headers['content-length'] === '0' ? [] : await response.all(LIMIT);
    } catch (error) {
        response?.connection.destroy();
        /* What was cut off is known to be so; silence is a hang. */
        if (/nothing arrived/.test(error.message)) throw new Wrong(`no answer within ${LIMIT} ms`);
        if (/closed without|ended|ECONNRESET|EPIPE|illegal chunk size: null|cut/.test(error.message)) return { outcome: 'cut' };
        throw new Wrong(error.message);
    }
    response.connection.destroy();
    const message = messages.at(-1);
    if (message?.error) {
        if (response.status >= 500 || ownError(message.error)) return { outcome: 'refused', message };
        throw new Wrong(`status ${response.status}: ${JSON.stringify(message.error)}`);
    }
    if (response.status >= 500) return { outcome: 'refused', message };
    if (response.status >= 300) throw new Wrong(`status ${response.status}`);
    if (message?.result?.isError && OWN_FAULT.test(textOf(message.result) ?? '')) return { outcome: 'refused', message };
    try {
        verify?.(message?.result, messages, response);
    } catch (error) {
        throw new Wrong(`${error.message}: ${JSON.stringify(messages).slice(0, 600)}`);
    }
    return { outcome: 'right', message, response, messages };
}

/** A modern request. */
export const ask = (port, method, params, verify, meta = {}) =>
    outcome(() => {
        const { headers, body } = modernMessage(method, params, { meta });
        return http(port, { headers, body, ms: LIMIT });
    }, verify);
export const callTool = (port, name, args, verify, meta) => ask(port, 'tools/call', { name, arguments: args }, verify, meta);
const echoed = (text) => (result) => assert.equal(textOf(result), text);

/** A request of a session. */
const post = (session, message) => http(session.port, { headers: session.headers(), body: JSON.stringify(message), ms: LIMIT });
const request = (session, method, params) => post(session, { jsonrpc: '2.0', id: nextId(), method, params });
const inSession = (session, method, params, verify) => outcome(() => request(session, method, params), verify);

/** A stream that stays: what has come on it, and how it ended. */
class Stream {
    events = [];
    over = false;

    static async open(start) {
        const stream = new Stream();
        try {
            stream.response = await start();
        } catch (error) {
            if (/nothing arrived/.test(error.message)) throw new Wrong('no answer');
            stream.over = true;
            return stream;
        }
        if (stream.response.status !== 200) {
            const { status } = stream.response;
            const text = await stream.response.text(LIMIT).catch(() => '');
            stream.close();
            if (status < 500 && !/-32603/.test(text)) throw new Wrong(`status ${status}: ${text}`);
            stream.over = stream.refused = true;
            return stream;
        }
        stream.#read();
        return stream;
    }

    async #read() {
        try {
            for await (const event of this.response.events(600_000)) this.events.push(event);
        } catch { /* cut */ }
        this.over = true;
    }

    get messages() {
        return this.events.filter((event) => event.data?.startsWith('{')).map((event) => JSON.parse(event.data));
    }

    /** Whether `fits` is true of a message, in time; a stream that has ended says false. */
    async has(fits, ms = LIMIT) {
        const end = performance.now() + ms;
        while (performance.now() < end) {
            if (this.messages.some(fits)) return true;
            if (this.over) return false;
            await sleep(2);
        }
        return false;
    }

    close() {
        this.response?.connection.destroy();
    }
}

const listen = (port, filter, more = {}) =>
    Stream.open(() => {
        const { headers, body } = modernMessage('subscriptions/listen', { notifications: filter, ...more });
        return http(port, { headers, body, ms: LIMIT });
    });
const acknowledged = (message) => message.method === 'notifications/subscriptions/acknowledged';
const sse = (port) => Stream.open(() => http(port, { method: 'GET', path: '/sse', headers: { Accept: 'text/event-stream' }, ms: LIMIT }));

const capable = (capabilities) => ({ [`${META}clientCapabilities`]: capabilities });
const QUESTION = { q: { method: 'elicitation/create', params: { mode: 'form', message: 'Name?', requestedSchema: { type: 'object', properties: { name: { type: 'string' } } } } } };
const ANSWER = { q: { action: 'accept', content: { name: 'Alice' } } };

/** Requests that stand alone: [name, method, params, verify, capabilities]. */
const EXCHANGES = [
    ['server/discover', 'server/discover', {}, (r) => assert.ok(r.supportedVersions.includes('2026-07-28'))],
    ['tools/list', 'tools/list', {}, (r) => assert.ok(r.tools.length > 5)],
    ['resources/list', 'resources/list', {}, (r) => assert.ok(r.resources.length > 1)],
    ['resources/templates/list', 'resources/templates/list', {}, (r) => assert.ok(r.resourceTemplates.length > 0)],
    ['prompts/list', 'prompts/list', {}, (r) => assert.ok(r.prompts.length > 1)],
    ['tools/call inline', 'tools/call', { name: 'echo', arguments: { text: 'inline' } }, echoed('inline')],
    ['tools/call large', 'tools/call', { name: 'echo', arguments: { text: 'x'.repeat(300_000) } }, echoed('x'.repeat(300_000))],
    ['tools/call pooled', 'tools/call', { name: 'blocking_echo', arguments: { text: 'pooled' } }, echoed('pooled')],
    ['tools/call in a worker', 'tools/call', { name: 'w_echo', arguments: { text: 'apart' } }, echoed('apart')],
    ['tools/call in a worker, large', 'tools/call', { name: 'w_echo', arguments: { text: 'y'.repeat(300_000) } }, echoed('y'.repeat(300_000))],
    ['tools/call asynchronous', 'tools/call', { name: 'async', arguments: { ms: 3 } }, (r) => assert.ok(!r.isError)],
    ['tools/call refused by its schema', 'tools/call', { name: 'echo', arguments: { text: 7 } }, (r) => assert.equal(r.isError, true)],
    ['resources/read', 'resources/read', { uri: 'test://text' }, (r) => assert.equal(r.contents[0].uri, 'test://text')],
    ['resources/read by a template', 'resources/read', { uri: 'test://item/7?verbose=1' }, (r) => assert.equal(r.contents.length, 1)],
    ['resources/read in parts', 'resources/read', { uri: 'test://parts' }, (r) => assert.ok(r.contents.length > 1)],
    ['prompts/get', 'prompts/get', { name: 'greet', arguments: { name: 'Ada', time: 'now' } }, (r) => assert.ok(r.messages.length > 0)],
    ['completion/complete', 'completion/complete', { ref: { type: 'ref/prompt', name: 'plain' }, argument: { name: 'few', value: '' } }, (r) => assert.ok(Array.isArray(r.completion.values))],
];

/** All the actions on a daemon made by daemonOptions(). Each: {name, prepare, run, finish}.
 * `patience`: how long to wait for word of a change, which may be dropped without memory. */
export function actions(daemon, patience = 300 * SCALE) {
    const { port } = daemon;
    const list = EXCHANGES.map(([name, method, params, verify, meta]) => ({ name, run: async () => (await ask(port, method, params, verify, meta)).outcome }));
    const add = (name, action) => list.push({ name, ...(typeof action === 'function' ? { run: action } : action) });

    add('progress on a stream', async () =>
        (await callTool(port, 'progress', { count: 3 }, (result) => assert.ok(!result.isError), { progressToken: 'p' })).outcome);
    add('an unknown method', async () => {
        const response = await http(port, { ...modernMessage('no/such', {}), ms: LIMIT }).catch(() => null);
        const message = await response?.last(LIMIT).catch(() => null);
        response?.connection.destroy();
        if (!message) return 'cut';
        if (message.error && ownError(message.error)) return 'refused';
        assert.equal(message.error?.code, -32601, JSON.stringify(message));
        return 'right';
    });
    add('a body that is no JSON', async () => {
        const response = await http(port, { headers: { 'Content-Type': 'application/json', Accept: BOTH }, body: '{"jsonrpc":', ms: LIMIT }).catch(() => null);
        const message = await response?.last(LIMIT).catch(() => null);
        response?.connection.destroy();
        if (!message) return 'cut';
        if (response.status >= 500) return 'refused';
        assert.equal(message.error?.code, -32700, JSON.stringify(message));
        return 'right';
    });
    add('input: asked, answered', async () => {
        const meta = capable({ elicitation: {} });
        const args = { requests: QUESTION };
        const first = await callTool(port, 'ask', args, (r) => assert.equal(r.resultType, 'input_required'), meta);
        if (first.outcome !== 'right') return first.outcome;
        const second = await ask(port, 'tools/call', { name: 'ask', arguments: args, inputResponses: ANSWER, requestState: first.message.result.requestState },
            (r) => assert.match(textOf(r), /Alice/), meta);
        return second.outcome;
    });
    add('subscriptions/listen, told of a change', async () => {
        const stream = await listen(port, { resourceSubscriptions: ['test://counter'] });
        try {
            if (!(await stream.has(acknowledged))) return stream.refused ? 'refused' : stream.over ? 'cut' : 'silent';
            const { outcome: how } = await callTool(port, 'update', { uri: 'test://counter' });
            if (how !== 'right') return how;
            return (await stream.has((m) => m.method === 'notifications/resources/updated', patience)) ? 'right' : stream.over ? 'cut' : 'untold';
        } finally {
            stream.close();
        }
    });
    add('a task: made, followed, ended', async () => {
        const meta = capable({ extensions: { [TASKS]: {} } });
        const made = await callTool(port, 'job', { ms: 1 }, (r) => assert.equal(r.resultType, 'task'), meta);
        if (made.outcome !== 'right') return made.outcome;
        const { taskId } = made.message.result;
        let last = 'right';
        await until(async () => {
            const seen = await ask(port, 'tasks/get', { taskId }, (r) => assert.equal(r.taskId, taskId), meta);
            last = seen.outcome;
            const { status, result, error } = seen.message?.result ?? {};
            if (status === 'completed') {
                if (result.isError) assert.match(textOf(result), OWN_FAULT);
                else assert.equal(textOf(result), 'worked');
            }
            if (status === 'failed') assert.ok(ownError(error) || OWN_FAULT.test(error.message), JSON.stringify(error));
            return ['completed', 'failed'].includes(status);
        }, LIMIT / SCALE, `the task ${taskId} to end (it was acknowledged)`, 2);
        return last;
    });
    add('a task that is cancelled', async () => {
        const meta = capable({ extensions: { [TASKS]: {} } });
        const made = await callTool(port, 'job', { ms: 3_000 }, (r) => assert.equal(r.resultType, 'task'), meta);
        if (made.outcome !== 'right') return made.outcome;
        const { taskId } = made.message.result;
        let how;
        for (let i = 0; i < 3; i++) {
            how = (await ask(port, 'tasks/cancel', { taskId }, undefined, meta)).outcome;
            if (how === 'right') break;
        }
        await until(async () => {
            const seen = await ask(port, 'tasks/get', { taskId }, undefined, meta);
            return ['cancelled', 'failed'].includes(seen.message?.result?.status);
        }, LIMIT / SCALE, 'the task to be cancelled', 2);
        return how;
    });
    add('a modern client leaves during its call', async () => {
        const { headers, body } = modernMessage('tools/call', { name: 'sleep', arguments: { ms: 200 } });
        const response = http(port, { headers, body, ms: 60 }).catch(() => null);
        await sleep(5);
        (await response)?.connection.destroy();
        return 'right';
    });

    // ---- Sessions -----------------------------------------------------------------

    const openSession = () => Session.open(port, '2025-11-25', { capabilities: { elicitation: {} } });
    const endSession = (session) => session?.delete().catch(() => {});
    add('initialize', {
        run: async (context) => {
            const done = await outcome(() => http(port, {
                headers: { 'Content-Type': 'application/json', Accept: BOTH }, ms: LIMIT,
                body: JSON.stringify({ jsonrpc: '2.0', id: nextId(), method: 'initialize', params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'torture', version: '1' } } }),
            }), (r, all, response) => {
                assert.equal(r.protocolVersion, '2025-11-25');
                context.session = new Session(port, '2025-11-25');
                context.session.id = response.headers['mcp-session-id'];
                assert.ok(context.session.id);
            });
            return done.outcome;
        },
        finish: ({ session }) => endSession(session),
    });
    const legacy = (name, method, params, verify) => add(name, {
        prepare: async (context) => (context.session = await openSession()),
        run: async ({ session }) => (await inSession(session, method, params, verify)).outcome,
        finish: ({ session }) => endSession(session),
    });
    legacy('a session: tools/call', 'tools/call', { name: 'echo', arguments: { text: 'old' } }, echoed('old'));
    legacy('a session: tools/list', 'tools/list', {}, (r) => assert.ok(r.tools.length > 5));
    legacy('a session: a call with a stream', 'tools/call', { name: 'progress', arguments: { count: 2 }, _meta: { progressToken: 1 } }, (r) => assert.ok(!r.isError));
    legacy('a session: resources/subscribe', 'resources/subscribe', { uri: 'test://counter' }, () => {});
    legacy('a session: logging/setLevel', 'logging/setLevel', { level: 'debug' }, () => {});
    legacy('a session: a task', 'tools/call', { name: 'job', arguments: { ms: 1 }, task: { ttl: 60_000 } }, (r) => assert.ok(r.task.taskId));
    add('a session: GET stream', {
        prepare: async (context) => (context.session = await openSession()),
        run: async (context) => {
            const { session } = context;
            context.stream = await Stream.open(() => http(port, { method: 'GET', ms: LIMIT, headers: { ...session.headers(), 'Content-Type': null, Accept: 'text/event-stream' } }));
            return context.stream.refused ? 'refused' : context.stream.over ? 'cut' : 'right';
        },
        finish: async ({ session, stream }) => {
            stream?.close();
            await endSession(session);
        },
    });
    add('a session: DELETE', {
        prepare: async (context) => (context.session = await openSession()),
        run: async (context) => {
            const done = await outcome(() => http(port, { method: 'DELETE', ms: LIMIT, headers: { ...context.session.headers(), 'Content-Type': null } })).catch((error) => {
                throw error;
            });
            if (done.outcome === 'right') context.session = null;
            return done.outcome;
        },
        finish: ({ session }) => endSession(session),
    });
    add('a session: asked over its stream', {
        prepare: async (context) => (context.session = await openSession()),
        run: async ({ session }) => {
            const stream = await Stream.open(() => request(session, 'tools/call', { name: 'ask', arguments: { requests: QUESTION } }));
            try {
                if (stream.response && stream.refused) return 'refused';
                const asked = (m) => m.method === 'elicitation/create';
                await stream.has((m) => asked(m) || 'result' in m || 'error' in m);
                const question = stream.messages.find(asked);
                if (question) {
                    const posted = await outcome(() => post(session, { jsonrpc: '2.0', id: question.id, result: ANSWER.q }));
                    if (posted.outcome !== 'right') await outcome(() => post(session, { jsonrpc: '2.0', id: question.id, result: ANSWER.q }));
                }
                await stream.has((m) => 'result' in m || 'error' in m);
                const end = stream.messages.find((m) => 'result' in m || 'error' in m);
                if (!end) {
                    if (stream.over) return 'cut';
                    throw new Wrong(`neither answer nor end; ${JSON.stringify(stream.messages)}`);
                }
                if (end.error) {
                    assert.ok(ownError(end.error), JSON.stringify(end));
                    return 'refused';
                }
                if (end.result.isError) return 'refused';
                assert.match(textOf(end.result), /Alice/);
                return 'right';
            } finally {
                stream.close();
            }
        },
        finish: ({ session }) => endSession(session),
    });
    add('2024-11-05: /sse, initialize, a call', async () => {
        const stream = await sse(port);
        try {
            await until(() => stream.over || stream.events.some((e) => e.event === 'endpoint'), LIMIT / SCALE, 'the endpoint', 2);
            const endpoint = stream.events.find((e) => e.event === 'endpoint')?.data;
            if (!endpoint) return stream.refused ? 'refused' : 'cut';
            const send = (message) => outcome(() => http(port, { path: endpoint, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ jsonrpc: '2.0', ...message }), ms: LIMIT }));
            for (const message of [
                { id: 1, method: 'initialize', params: { protocolVersion: '2024-11-05', capabilities: {}, clientInfo: { name: 't', version: '1' } } },
                { method: 'notifications/initialized' },
                { id: 2, method: 'tools/call', params: { name: 'echo', arguments: { text: 'oldest' } } },
            ]) {
                const posted = await send(message);
                if (posted.outcome !== 'right') return posted.outcome;
                if (!message.id) continue;
                if (!(await stream.has((m) => m.id === message.id))) {
                    if (stream.over) return 'cut';
                    throw new Wrong(`202, and then neither an answer to ${message.method} nor an end`);
                }
                const answer = stream.messages.find((m) => m.id === message.id);
                if (answer.error) {
                    assert.ok(ownError(answer.error), JSON.stringify(answer));
                    return 'refused';
                }
                if (message.id === 2 && !answer.result.isError) assert.equal(textOf(answer.result), 'oldest');
            }
            return 'right';
        } finally {
            stream.close();
        }
    });

    // ---- What the operator does ---------------------------------------------------------

    const hup = async () => {
        const mark = daemon.mark;
        daemon.reload();
        await daemon.waitLog(/configuration reloaded|the old one stays in force/, LIMIT / SCALE, mark);
        return /configuration reloaded/.test(daemon.logSince(mark)) ? 'right' : 'refused';
    };
    let rounds = 0;
    add('SIGHUP', { run: hup, slow: true });
    add('SIGHUP with another configuration', {
        slow: true,
        prepare: () => daemon.writeConfig({ ...daemon.config, server: { ...daemon.config.server, instructions: `round ${++rounds}` } }),
        run: hup,
    });
    add('SIGHUP with a mistake in the configuration', {
        slow: true,
        prepare: () => fs.writeFileSync(daemon.configFile, '{ "listen": [ { "port": "eighty" } ], "no_such": 1 }'),
        run: async () => {
            const mark = daemon.mark;
            daemon.reload();
            await daemon.waitLog(/the old one stays in force/, LIMIT / SCALE, mark);
            return 'right';
        },
        finish: () => daemon.writeConfig(),
    });
    /* A new generation comes, in mcpd and in a worker, or the old one goes on and the
     * log says why; afterwards another look at the files brings it. */
    const versions = () => Promise.all(['version', 'w_version'].map(async (tool) => {
        const { message, outcome: how } = await callTool(port, tool, {}, (r) => assert.match(textOf(r), /^[12]$/));
        return how === 'right' ? textOf(message.result) : how;
    }));
    const newest = async (version) => (await versions()).every((one) => one === version);
    add('a plugin is replaced, in mcpd and in a worker', {
        slow: true,
        prepare: (context) => (context.version = String((rounds++ % 2) + 1)),
        run: async ({ version }) => {
            const mark = daemon.mark;
            daemon.install('versioned', pluginFile(`versioned-${version}`));
            const end = performance.now() + 1_500 * SCALE;
            while (performance.now() < end) {
                if (await newest(version)) return 'right';
                if (/keeps generation|not served|out of memory|Cannot allocate/.test(daemon.logSince(mark).replaceAll(/^inject:.*/gm, ''))) return 'refused';
                await sleep(5);
            }
            return 'untold';
        },
        finish: async ({ version }) => {
            await sleep(20);
            daemon.reload();
            await until(() => newest(version), LIMIT / SCALE, `version ${version} after a reload without faults; its log:\n${daemon.lines.slice(-12).join('\n')}`, 10);
        },
    });
    return list;
}
