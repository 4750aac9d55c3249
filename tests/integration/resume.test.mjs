// SPDX-License-Identifier: MIT
// Streams that outlive their connection: event ids, the priming event, closing by
// the server, Last-Event-ID, and that no event is lost and none comes twice.
import { assert, done, SCALE, SLOW_BINARY, sleep, test, until } from './lib/check.mjs';
import { Cutter } from './lib/cutter.mjs';
import { Daemon } from './lib/daemon.mjs';
import { http } from './lib/http.mjs';
import { LEGACY, Listener, nextId, Session, textOf } from './lib/mcp.mjs';
import { conformsMessage } from './lib/schema.mjs';
import { tap } from './lib/tap.mjs';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from '@modelcontextprotocol/client';

const daemon = await Daemon.start({ plugins: ['echo', 'probe', 'wire', 'conformance'] });
const { port } = daemon;
const NEWEST = LEGACY[0];
const OLDER = LEGACY.slice(1);

/** All events of a response; what was cut short gives what there was. */
async function eventsOf(response, { max = Infinity, ms } = {}) {
    const list = [];
    try {
        for await (const event of response.events(ms)) {
            if (!('comment' in event)) list.push(event);
            if (list.length >= max) break;
        }
    } catch (error) {
        list.error = error;
    }
    response.connection.destroy();
    return list;
}

const resume = (session, id, { to = port } = {}) => http(to, {
    method: 'GET', headers: { ...session.headers(), 'Content-Type': null, Accept: 'text/event-stream', 'Last-Event-ID': id },
});
const call = (session, args, options) => session.request('tools/call', { name: 'count', arguments: args }, options);
const messagesOf = (events) => events.filter((event) => event.data).map((event) => JSON.parse(event.data));
/** What "count" has said, and its result as "end". */
const countsOf = (events) => messagesOf(events).map((m) => (m.method === 'notifications/message' ? m.params.data : textOf(m.result) && 'end'));
const upTo = (n, from = 1) => [...Array.from({ length: n - from + 1 }, (_, i) => i + from), 'end'];

// ---- The form ------------------------------------------------------------------

test(`${NEWEST}: a stream begins with an event that says how to come back`, async () => {
    const session = await Session.open(port, NEWEST);
    const response = await call(session, { to: 3 });
    const events = await eventsOf(response);
    assert.deepEqual(Object.keys(events[0]).sort(), ['data', 'id', 'retry']);
    assert.equal(events[0].data, '');
    assert.equal(events[0].retry, '500');
    assert.deepEqual(countsOf(events), upTo(3));
    const ids = events.map((event) => event.id);
    assert.ok(ids.every((id) => /^[\x21-\x7e]+$/.test(id)), ids);
    assert.equal(new Set(ids).size, 5);
    for (const message of messagesOf(events)) conformsMessage(NEWEST, message, 'tools/call');
    const other = (await eventsOf(await call(session, { to: 3 }))).map((event) => event.id);
    assert.equal(new Set([...ids, ...other]).size, 10, 'ids are unique in the session');
    const listening = (await eventsOf(await http(port, {
        method: 'GET', headers: { ...session.headers(), 'Content-Type': null, Accept: 'text/event-stream' } }), { max: 1 }));
    assert.equal(listening[0].data, '');
    assert.ok(!ids.includes(listening[0].id) && !other.includes(listening[0].id));
});

for (const version of OLDER)
    test(`${version}: events have ids, and none is empty`, async () => {
        const session = await Session.open(port, version);
        const events = await eventsOf(await call(session, { to: 3 }));
        assert.equal(events.length, 4);
        assert.ok(events.every((event) => event.id && event.data && !event.retry));
        const rest = await eventsOf(await resume(session, events[1].id));
        assert.deepEqual(countsOf(rest), upTo(3, 3));
    });

test('an answer that is there at once is JSON, without any of it', async () => {
    const session = await Session.open(port, NEWEST);
    const response = await session.request('tools/call', { name: 'wait', arguments: { ms: 1 } });
    assert.match(response.headers['content-type'], /^application\/json/);
    assert.equal(textOf((await response.last()).result), 'waited');
});

test(`${NEWEST}: a call that says nothing for a while becomes a stream, that it can be come back for`, async () => {
    const session = await Session.open(port, NEWEST);
    const response = await session.request('tools/call', { name: 'wait', arguments: { ms: 1500 * SCALE } });
    assert.match(response.headers['content-type'], /^text\/event-stream/);
    const [first] = await eventsOf(response, { max: 1 });
    assert.equal(first.data, '');
    const events = await eventsOf(await resume(session, first.id));
    assert.equal(textOf(messagesOf(events)[0].result), 'waited');
    for (const version of OLDER) {
        const old = await Session.open(port, version);
        const plain = await old.request('tools/call', { name: 'wait', arguments: { ms: 700 * SCALE } });
        assert.match(plain.headers['content-type'], /^application\/json/, version);
        await plain.last();
    }
});

// ---- Closed by the server ---------------------------------------------------------

test(`${NEWEST}: a tool lets its client hang up; the answer is there when it comes back`, async () => {
    const session = await Session.open(port, NEWEST);
    const events = await eventsOf(await call(session, { to: 0, close_after: 0, then_ms: 300 }));
    assert.equal(events.error, undefined, 'the stream is ended, not cut');
    assert.equal(events.length, 1);
    const back = await eventsOf(await resume(session, events[0].id));
    assert.deepEqual(countsOf(back), ['end']);
    assert.deepEqual(countsOf(await eventsOf(await resume(session, events[0].id))), ['end'], 'and again');
});

test(`${NEWEST}: who comes back before the end hears the rest as it comes`, async () => {
    const session = await Session.open(port, NEWEST);
    const events = await eventsOf(await call(session, { to: 20, ms: 50, close_after: 2 }));
    assert.deepEqual(countsOf(events), [1, 2]);
    const back = await eventsOf(await resume(session, events.at(-1).id));
    assert.deepEqual(countsOf(back), upTo(20, 3));
});

for (const version of OLDER)
    test(`${version}: the stream is not closed before the answer`, async () => {
        const session = await Session.open(port, version);
        assert.deepEqual(countsOf(await eventsOf(await call(session, { to: 4, ms: 10, close_after: 2 }))), upTo(4));
    });

// ---- Broken by the network ---------------------------------------------------------

for (const version of LEGACY)
    test(`${version}: a broken connection cancels nothing and loses nothing`, async () => {
        const session = await Session.open(port, version);
        const events = await eventsOf(await call(session, { to: 30, ms: 20 }), { max: 5 });
        await sleep(200);
        const back = await eventsOf(await resume(session, events.at(-1).id), { max: 7 });
        const last = await eventsOf(await resume(session, back.at(-1).id));
        assert.deepEqual(countsOf([...events, ...back, ...last]), upTo(30));
    });

test('who comes back while his old connection still seems alive has the newer one', async () => {
    const session = await Session.open(port, NEWEST);
    const first = await call(session, { to: 30, ms: 20 });
    const seen = [];
    for await (const event of first.events()) if (seen.push(event) >= 4) break;
    const back = await eventsOf(await resume(session, seen.at(-1).id));
    assert.deepEqual(countsOf([...seen, ...back]), upTo(30));
    first.connection.destroy();
});

test('only what was said on that stream is said again', async () => {
    const session = await Session.open(port, NEWEST);
    const [one, two] = await Promise.all([{ to: 5, ms: 20 }, { to: 9, ms: 10 }].map(async (args) => eventsOf(await call(session, args))));
    assert.deepEqual(countsOf(await eventsOf(await resume(session, one[2].id))), upTo(5, 3));
    assert.deepEqual(countsOf(await eventsOf(await resume(session, two[2].id))), upTo(9, 3));
    assert.deepEqual(countsOf(await eventsOf(await resume(session, one.at(-1).id))), [], 'nothing came after the last');
});

test('a batch of 2025-03-26 is resumed as a whole', async () => {
    const session = await Session.open(port, '2025-03-26');
    const one = (id, args) => ({ jsonrpc: '2.0', id, method: 'tools/call', params: { name: 'count', arguments: args } });
    const response = await session.post([one('a', { to: 3, ms: 50 }), one('b', { to: 3, ms: 50 })]);
    const events = await eventsOf(response, { max: 2 });
    const back = await eventsOf(await resume(session, events.at(-1).id));
    const all = messagesOf([...events, ...back]);
    assert.equal(all.length, 7);
    assert.deepEqual(all.at(-1).map((m) => m.id).sort(), ['a', 'b']);
});

// ---- What is not known ----------------------------------------------------------------

test('an id that names nothing is refused, with a reason', async () => {
    const session = await Session.open(port, NEWEST);
    for (const id of ['p99-0', 'nonsense', '1', 'p', 'p1', 'p1-', 'p1-x', '-', 'p18446744073709551616-1', 'p-1-1', 'x1-1', `p${'1'.repeat(300)}-1`]) {
        const response = await resume(session, id);
        assert.equal(response.status, 400, id);
        const message = await response.last();
        assert.equal(message.error.code, -32600);
        assert.match(message.error.message, /Last-Event-ID/);
        response.connection.destroy();
    }
});

test("another session's stream is not to be had", async () => {
    const [mine, other] = [await Session.open(port, NEWEST), await Session.open(port, NEWEST)];
    const events = await eventsOf(await call(mine, { to: 3 }));
    const response = await resume(other, events[0].id);
    assert.equal(response.status, 400);
    response.connection.destroy();
});

test('with the session everything is gone', async () => {
    const session = await Session.open(port, NEWEST);
    const events = await eventsOf(await call(session, { to: 3 }));
    await session.delete();
    const response = await resume(session, events[0].id);
    assert.equal(response.status, 404);
    response.connection.destroy();
});

test('a session that ends while its call goes on and its client is away', async () => {
    const session = await Session.open(port, NEWEST);
    await eventsOf(await call(session, { to: 20, ms: 30, close_after: 1 }));
    await session.delete();
    await sleep(700);
});

// ---- The stream of a GET -----------------------------------------------------------------

for (const version of LEGACY)
    test(`${version}: a listener that was away hears what changed, once`, async () => {
        const session = await Session.open(port, version);
        const response = await http(port, { method: 'GET', headers: { ...session.headers(), 'Content-Type': null, Accept: 'text/event-stream' } });
        daemon.install('many');
        const event = (await eventsOf(response, { max: version === NEWEST ? 2 : 1 })).at(-1);
        assert.equal(JSON.parse(event.data).method, 'notifications/tools/list_changed');
        assert.ok(event.id.startsWith('g'), event.id);
        await sleep(300 * SCALE);
        daemon.remove('many');
        await sleep(500 * SCALE);
        const back = Listener.over(await resume(session, event.id));
        await back.wait(1, 5_000 * SCALE);
        daemon.install('many');
        await back.wait(2, 5_000 * SCALE);
        await sleep(300 * SCALE);
        assert.equal(back.messages.length, 2);
        back.close();
        daemon.remove('many');
        await sleep(300 * SCALE);
    });

test('a listener whose id is no longer known listens anew', async () => {
    const session = await Session.open(port, NEWEST);
    const response = await resume(session, 'g77-3');
    assert.equal(response.status, 200);
    const back = Listener.over(response);
    daemon.install('many');
    await back.wait(1, 5_000 * SCALE);
    daemon.remove('many');
    await back.wait(2, 5_000 * SCALE);
    back.close();
});

// ---- Bounds -----------------------------------------------------------------------------

test('what is kept is bounded in size; the answer stays', async () => {
    const small = await Daemon.start({ plugins: ['wire', 'probe'], config: { sessions: { replay_max_bytes: 2000 } } });
    const session = await Session.open(small.port, NEWEST);
    const events = await eventsOf(await call(session, { to: 200, close_after: 1, then_ms: 0 }), { max: 2 });
    await sleep(300 * SCALE);
    const back = countsOf(await eventsOf(await resume(session, events[1].id, { to: small.port })));
    assert.equal(back.at(-1), 'end');
    assert.ok(back.length > 5 && back.length < 60, `${back.length}`);
    assert.deepEqual(back, upTo(200, back[0]), 'what is left is the newest, in order');
    const big = await eventsOf(await session.request('tools/call', { name: 'big', arguments: { bytes: 6_000_000 }, _meta: { progressToken: 1 } }));
    if (big.length > 1) assert.equal(messagesOf(await eventsOf(await resume(session, big[0].id, { to: small.port }))).length, 1);
    await small.stop();
});

test('what is kept is bounded in age', async () => {
    const short = await Daemon.start({ plugins: ['wire'], config: { sessions: { replay_max_age_ms: 300 } } });
    const session = await Session.open(short.port, NEWEST);
    const events = await eventsOf(await call(session, { to: 3 }));
    await sleep(500);
    await eventsOf(await call(session, { to: 3 })); // looks at what is old
    const response = await resume(session, events[0].id, { to: short.port });
    assert.equal(response.status, 400);
    response.connection.destroy();
    await short.stop();
});

test('a session whose listener does not come back is idle', async () => {
    const brief = await Daemon.start({ plugins: ['wire'], config: { sessions: { idle_timeout_ms: 500, replay_max_age_ms: 500 } } });
    const session = await Session.open(brief.port, NEWEST);
    const listening = await session.stream();
    listening.close();
    await until(async () => {
        const response = await resume({ headers: () => ({ ...session.headers(), 'Mcp-Session-Id': `${session.id.slice(0, -1)}_` }) }, 'g1-0', { to: brief.port });
        response.connection.destroy();
        await sleep(11_000);
        const own = await session.request('ping');
        own.connection.destroy();
        return own.status === 404;
    }, 30_000, 'the session to be forgotten');
    await brief.stop();
}, { timeout: 45_000 });

// ---- Stress ---------------------------------------------------------------------------------

test('connections cut at random: no event is lost and none comes twice', async () => {
    const proxy = await Cutter.start(port, () => 5 + Math.random() * 120 * Math.min(SCALE, 2));
    const sessions = await Promise.all(Array.from({ length: 4 }, () => Session.open(port, NEWEST)));
    const CALLS = SLOW_BINARY ? 8 : 40, EVENTS = 150;
    let resumed = 0;

    /** One call over the bad network, as a client of the specification would. */
    async function one(session) {
        const events = [];
        let id = null;
        for (let tries = 0; tries < 400; tries++) {
            try {
                const response = id === null
                    ? await http(proxy.port, { headers: session.headers(), ms: 5000,
                        body: JSON.stringify({ jsonrpc: '2.0', id: nextId(), method: 'tools/call', params: { name: 'count', arguments: { to: EVENTS, ms: 3 } } }) })
                    : await resume(session, id, { to: proxy.port });
                assert.equal(response.status, 200);
                const some = await eventsOf(response, { ms: 5000 });
                if (id !== null) resumed++;
                events.push(...some);
                if (some.length > 0) id = some.at(-1).id;
                if (countsOf(some).includes('end')) return countsOf(events);
            } catch (error) {
                if (error.code === 'ERR_ASSERTION') throw error;
                if (id === null) return null; // cut before the first event: nothing to come back for
            }
            await sleep(Math.random() * 20);
        }
        throw new Error(`not done: ${JSON.stringify(countsOf(events))}`);
    }
    let count = 0, wrong = 0, unborn = 0;
    for (let round = 0; round < CALLS / 8; round++)
        for (const counts of await Promise.all(Array.from({ length: 8 }, (_, i) => one(sessions[i % 4])))) {
            if (counts === null) unborn++;
            else if (JSON.stringify(counts) === JSON.stringify(upTo(EVENTS))) count++;
            else wrong++;
        }
    console.log(`      ${count} calls of ${EVENTS} events whole, ${wrong} not, ${unborn} cut before their first event; ` +
        `${proxy.cuts} connections cut, ${resumed} times resumed`);
    assert.equal(wrong, 0);
    assert.ok(count >= CALLS / 2, `${count}`);
    assert.ok(resumed > CALLS / 4, `${resumed}`);
    proxy.stop();
}, { timeout: 120_000 });

// ---- The official clients --------------------------------------------------------------------

test('the SDK client v1: a closed stream, and cut connections', async () => {
    const proxy = await Cutter.start(await tap(port));
    const client = new ClientV1({ name: 'v1', version: '1' });
    const changes = [];
    client.setNotificationHandler(ToolListChangedNotificationSchema, () => changes.push(1));
    const transport = new TransportV1(new URL(`http://127.0.0.1:${proxy.port}/mcp`), {
        reconnectionOptions: { initialReconnectionDelay: 50, maxReconnectionDelay: 200, reconnectionDelayGrowFactor: 1.2, maxRetries: 20 } });
    transport.onerror = () => {};
    await client.connect(transport);
    const reconnection = await client.callTool({ name: 'test_reconnection', arguments: {} });
    assert.ok(textOf(reconnection).length > 0);
    const steps = [];
    const result = client.callTool({ name: 'progress', arguments: { steps: 40, ms: 50 } }, undefined, { onprogress: (p) => steps.push(p.progress) });
    for (let i = 0; i < 3; i++) {
        await sleep(400);
        proxy.cutAll();
    }
    assert.equal(textOf(await result), 'all steps done');
    assert.ok(proxy.cuts >= 3, `${proxy.cuts}`);
    assert.deepEqual(steps, [...steps].sort((a, b) => a - b));
    assert.equal(new Set(steps).size, steps.length, 'no step came twice');
    assert.ok(steps.length >= 39, 'no step was lost (but the last, which the SDK forgets when the result comes with it)');
    const before = changes.length;
    proxy.cutAll();
    daemon.install('many');
    await until(() => changes.length > before, 5_000, 'the change that happened while nobody was connected');
    daemon.remove('many');
    await client.close();
});

test('the SDK client v2 with sessions: a closed stream', async () => {
    const client = new ClientV2({ name: 'v2', version: '1' });
    await client.connect(new TransportV2(new URL(`http://127.0.0.1:${await tap(port)}/mcp`)));
    const result = await client.callTool({ name: 'test_reconnection', arguments: {} });
    assert.ok(textOf(result).length > 0);
    await client.close();
});

await done();
