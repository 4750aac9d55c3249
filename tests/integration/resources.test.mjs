// SPDX-License-Identifier: MIT
// Resources, their templates and subscriptions, in every revision and with the
// official clients.
import fs from 'node:fs';
import { assert, done, SCALE, sleep, test, until } from './lib/check.mjs';
import { Daemon, pluginFile } from './lib/daemon.mjs';
import { callTool, LEGACY, Listener, META, MODERN, modern, Session } from './lib/mcp.mjs';
import { conformsMessage } from './lib/schema.mjs';
import { Stdio } from './lib/stdio.mjs';
import { tap } from './lib/tap.mjs';

import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ResourceUpdatedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from '@modelcontextprotocol/client';

const providers = { one: { plugin: 'resources' }, two: { plugin: 'resources', prefix: 'two_', config: { small: true } } };
const daemon = await Daemon.start({ plugins: ['resources'], config: { server: { page_size: 4 }, providers } });
const { port } = daemon;
const url = new URL(`http://127.0.0.1:${await tap(port)}/mcp`);
const SESSIONS = [...LEGACY, '2024-11-05'];
const ALL = [MODERN, ...SESSIONS];
const NAMES = ['text', 'blob', 'parts', 'json', 'gone', 'fail', 'broken', 'slow', 'counter'];
const URIS = [...NAMES, 'small'].map((name) => `test://${name}`);

/** Asks in the way of a revision; every message is checked against its schema. */
async function asker(version, session = null) {
    session ??= version === MODERN ? null : await Session.open(port, version);
    return async (method, params, options) => {
        const response = session ? await session.request(method, params, options) : await modern(port, method, params, options);
        const messages = await response.all();
        response.connection.destroy();
        for (const message of messages) conformsMessage(version, message, method);
        return { status: response.status, ...messages.at(-1) };
    };
}

async function listAll(ask, method, member) {
    const all = [], pages = [];
    for (let cursor; ;) {
        const { result, error } = await ask(method, cursor ? { cursor } : {});
        if (cursor && error?.code === -32602) return listAll(ask, method, member); // it has changed meanwhile
        all.push(...result[member]);
        pages.push(result[member].length);
        if (!(cursor = result.nextCursor)) return { all, pages };
    }
}
const resourceUris = async (ask) => (await listAll(ask, 'resources/list', 'resources')).all.map(({ uri }) => uri);

const update = (uri) => callTool(port, 'update', { uri });

test('illegal definitions are left out, each by its name; a URI of two providers is told of', async () => {
    const left = daemon.lines.filter((line) => /left out/.test(line));
    for (const words of [/one: left out: resource "no-scheme": "uri" must be an absolute URI/,
        /one: left out: resource "test:\/\/\u00fc": "uri" must be an absolute URI/, /one: left out: resource "test:\/\/nameless": "name" must be there/,
        /one: left out: resource "test:\/\/text": .*already/, /one: left out: resource "test:\/\/size": "size" must be a number/,
        /one: left out: resource template "\{\+anything\}": .*it would fit any URI/, /one: left out: resource template "test:\/\/open\/\{": at byte 13: a "\{" without a "\}"/,
        /two: its resource.* "?test:\/\/text"?.*(one has taken|left out)/])
        assert.ok(left.some((line) => words.test(line)), `${words} in\n${left.join('\n')}`);
    assert.equal(left.length, 8, left.join('\n'));
});

for (const version of ALL) {
    const is = (...versions) => versions.includes(version);
    const titles = !is('2025-03-26', '2024-11-05'), icons = is(MODERN, '2025-11-25');
    const modified = titles ? { lastModified: '2025-01-12T15:00:58Z' } : {}; // it came with them
    const v = (what, fn) => test(`${version}: ${what}`, async () => fn(await asker(version)));

    v('lists resources page by page, each URI once, with what the revision knows', async (ask) => {
        const { all, pages } = await listAll(ask, 'resources/list', 'resources');
        assert.deepEqual(pages, [4, 4, 2]);
        assert.deepEqual(all.map(({ uri }) => uri), URIS);
        assert.deepEqual(all[0], {
            uri: 'test://text', name: 'text', description: 'A text.', mimeType: 'text/plain', annotations: { audience: ['user'], priority: 0.5, ...modified }, size: 12,
            ...(titles ? { title: 'Text', _meta: { 'dev.mcpd/provider': 'one', 'example.org/a': 1 } } : {}),
            ...(icons ? { icons: [{ src: 'https://example.org/i.png' }] } : {}),
        });
        if (titles) assert.equal(all.at(-1)._meta['dev.mcpd/provider'], 'two');
        const { result } = await ask('resources/list');
        if (is(MODERN)) assert.deepEqual([result.resultType, result.ttlMs, result.cacheScope], ['complete', 300000, 'public']);
        else assert.deepEqual(Object.keys(result).sort(), ['nextCursor', 'resources']);
    });
    v('lists templates, which are no resources', async (ask) => {
        const { all } = await listAll(ask, 'resources/templates/list', 'resourceTemplates');
        assert.deepEqual(all.map(({ uriTemplate }) => uriTemplate), ['test://item/{id}{?verbose,tag*}', 'test://files/{+path}']);
        assert.deepEqual(all[0], {
            uriTemplate: 'test://item/{id}{?verbose,tag*}', name: 'item', description: 'An item.', mimeType: 'application/json', annotations: { priority: 1, ...modified },
            ...(titles ? { title: 'Item', _meta: { 'dev.mcpd/provider': 'one', 'example.org/b': 2 } } : {}),
            ...(icons ? { icons: [{ src: 'https://example.org/i.png' }] } : {}),
        });
    });
    v('reads a text under the URI asked for and the type of the definition', async (ask) => {
        const { status, result } = await ask('resources/read', { uri: 'test://text' });
        assert.equal(status, 200);
        assert.deepEqual(result.contents, [{ uri: 'test://text', mimeType: 'text/plain', text: '"Text" \\ \u00fc\n' }]);
        if (is(MODERN)) {
            assert.deepEqual([result.resultType, result.ttlMs, result.cacheScope], ['complete', 0, 'private']);
            assert.equal(result._meta[`${META}serverInfo`].name, 'mcpd');
        } else {
            assert.deepEqual(Object.keys(result), ['contents']);
        }
    });
    v('reads a blob, several parts, and what the plugin says of caching', async (ask) => {
        const { result } = await ask('resources/read', { uri: 'test://blob' });
        assert.deepEqual(result.contents, [{ uri: 'test://blob', mimeType: 'image/png', blob: 'iVBORw0KGgo=', ...(titles ? { _meta: { 'example.org/c': 3 } } : {}) }]);
        assert.equal(result._meta['example.org/d'], 4);
        assert.deepEqual([result.ttlMs, result.cacheScope], is(MODERN) ? [60000, 'public'] : [undefined, undefined]);
        const parts = (await ask('resources/read', { uri: 'test://parts' })).result;
        assert.deepEqual(parts.contents, [{ uri: 'test://parts/1', text: 'one' }, { uri: 'test://parts/2', blob: 'AA==' }]);
        assert.deepEqual([parts.ttlMs, parts.cacheScope, parts.unknown], is(MODERN) ? [0, 'private', undefined] : [undefined, undefined, undefined]);
    });
    v('reads through templates: the plugin gets the URI and the variables, decoded', async (ask) => {
        for (const [uri, variables] of [
            ['test://item/1', { id: '1' }],
            ['test://item/a%2Fb%22%C3%BC', { id: 'a/b"\u00fc' }],
            ['test://item/1?verbose=&tag=x&tag=y%26', { id: '1', verbose: '', tag: ['x', 'y&'] }],
            ['test://item/1?colour=red&size=2', { id: '1', tag: { colour: 'red', size: '2' } }],
            ['test://item/me@example.org', { id: 'me@example.org' }],
            ['test://files/a/b/../c.txt', { path: 'a/b/../c.txt' }],
        ]) {
            const { result, error } = await ask('resources/read', { uri });
            assert.ok(result, `${uri}: ${JSON.stringify(error)}`);
            const [{ text, ...rest }] = result.contents;
            assert.deepEqual(rest, { uri, ...(uri.includes('item') ? { mimeType: 'application/json' } : {}) });
            assert.equal(text.slice(0, text.indexOf(' ')), uri);
            assert.deepEqual(JSON.parse(text.slice(text.indexOf(' '))), variables);
        }
    });
    v('what there is not is an error of the era, and names the URI', async (ask) => {
        for (const uri of ['test://none', 'test://item/1/2', 'test://item/%zz', 'test://item/%FF', 'test:', '', 'x'.repeat(5000), 'TEST://text', 'test://te\u00fc"', 'test://gone',
            'test://item/\u00fc', 'test://item/a b', 'test://item/<1>', 'test://item/\u0001']) {
            const { status, error } = await ask('resources/read', { uri });
            assert.equal(status, 200);
            assert.equal(error?.code, is(MODERN) ? -32602 : -32002, uri);
            assert.deepEqual(error.data, { uri });
            assert.match(error.message, uri === 'test://gone' ? /^It has gone\.$/ : /^Resource not found: /);
            assert.ok(error.message.length < 400);
        }
        for (const params of [{}, { uri: 5 }, { uri: null }, { uri: ['test://text'] }]) {
            const { error } = await ask('resources/read', params, { headers: { 'Mcp-Name': null } });
            assert.equal(error?.code, -32602, JSON.stringify(params));
            assert.match(error.message, /uri must be a string/);
        }
    });
    v('what cannot be read is an error, for there is no model to read it', async (ask) => {
        for (const [name, words] of [['fail', /^The disk is on fire\.$/], ['broken', /one\/test:\/\/broken: .*"contents" must be there/], ['json', /only tools have structured results/], ['slow', /did not finish within 300 ms/]]) {
            const { status, error } = await ask('resources/read', { uri: `test://${name}` });
            assert.equal(status, 200);
            assert.equal(error?.code, -32603, name);
            assert.match(error.message, words);
        }
    });
}

test('Mcp-Name must repeat the URI', async () => {
    const uri = 'test://item/%C3%BC';
    const coded = `=?base64?${Buffer.from(uri).toString('base64')}?=`;
    for (const [header, status] of [[uri, 200], [coded, 200], [` ${coded} `, 200], ['test://item/1', 400], [null, 400]]) {
        const response = await modern(port, 'resources/read', { uri }, { headers: { 'Mcp-Name': header } });
        const message = await response.last();
        response.connection.destroy();
        assert.equal(response.status, status, header);
        assert.equal(message.error?.code, status === 200 ? undefined : -32020, header);
    }
});

// ---- Subscriptions ---------------------------------------------------------------

/** The messages of a stream without the time, checked against the schema. */
function heard(version, stream, from = 0) {
    const messages = stream.messages.slice(from).map(({ at, ...message }) => message);
    for (const message of messages) conformsMessage(version, message);
    return messages;
}
const updates = (version, stream, from) =>
    heard(version, stream, from).filter(({ method }) => method === 'notifications/resources/updated').map(({ params }) => params.uri);

for (const version of SESSIONS) {
    test(`${version}: subscribe and unsubscribe, told on the session's own stream`, async () => {
        const session = await Session.open(port, version);
        const other = await Session.open(port, version);
        const ask = await asker(version, session);
        const stream = await session.stream(), beside = await other.stream();
        for (const uri of ['test://counter', 'test://item/7', 'test://counter']) assert.deepEqual((await ask('resources/subscribe', { uri })).result, {});
        await update('test://counter');
        assert.deepEqual(await stream.wait(1).then(({ at, ...message }) => message),
            { jsonrpc: '2.0', method: 'notifications/resources/updated', params: { uri: 'test://counter' } });
        await update('test://text');
        await update('test://item/7');
        await stream.wait(2);
        assert.deepEqual((await ask('resources/unsubscribe', { uri: 'test://counter' })).result, {});
        assert.deepEqual((await ask('resources/unsubscribe', { uri: 'test://never' })).result, {});
        await update('test://counter');
        await update('test://item/7');
        await stream.wait(3);
        assert.deepEqual(updates(version, stream), ['test://counter', 'test://item/7', 'test://item/7']);
        assert.deepEqual(beside.messages, []);
        stream.close();
        beside.close();
        await session.delete();
        await update('test://item/7'); // to nobody
        await other.delete();
    });
}

test('subscribing to what there is not, or to no URI, is an error', async () => {
    const ask = await asker('2025-11-25');
    const { error } = await ask('resources/subscribe', { uri: 'test://none' });
    assert.equal(error.code, -32002);
    assert.deepEqual(error.data, { uri: 'test://none' });
    for (const params of [{}, { uri: 5 }, { uri: `test://item/${'x'.repeat(3000)}` }])
        for (const method of ['resources/subscribe', 'resources/unsubscribe'])
            assert.equal((await ask(method, params)).error?.code, -32602, JSON.stringify(params));
});

test('a session without a stream is told what has changed when it opens one, once', async () => {
    const session = await Session.open(port);
    const ask = await asker('2025-11-25', session);
    for (const uri of ['test://counter', 'test://text', 'test://blob', 'test://json']) await ask('resources/subscribe', { uri });
    for (let i = 0; i < 5; i++) await update('test://counter');
    await update('test://blob');
    await update('test://json');
    await ask('resources/unsubscribe', { uri: 'test://blob' });
    assert.equal((await ask('resources/read', { uri: 'test://text' })).result.contents.length, 1);
    await sleep(200 * SCALE);
    const stream = await session.stream();
    await stream.wait(2);
    await sleep(200 * SCALE);
    assert.deepEqual(updates('2025-11-25', stream).sort(), ['test://counter', 'test://json']);
    // A second stream takes over, and nothing is told twice.
    const second = await session.stream();
    await until(() => stream.ended, 5000, 'the first stream to end');
    await update('test://text');
    await second.wait(1);
    assert.deepEqual(updates('2025-11-25', second), ['test://text']);
    assert.equal(stream.messages.length, 2);
    second.close();
    await session.delete();
});

test('a session may have 1000 subscriptions; one more is refused, and others go on', async () => {
    const session = await Session.open(port);
    const ask = await asker('2025-11-25', session);
    for (let i = 0; i < 1000; i++) assert.deepEqual((await ask('resources/subscribe', { uri: `test://item/${i}` })).result, {});
    const { error } = await ask('resources/subscribe', { uri: 'test://item/more' });
    assert.equal(error.code, -32602);
    assert.match(error.message, /a session may have 1000/);
    assert.deepEqual((await ask('resources/subscribe', { uri: 'test://item/5' })).result, {});
    await ask('resources/unsubscribe', { uri: 'test://item/5' });
    assert.deepEqual((await ask('resources/subscribe', { uri: 'test://item/more' })).result, {});
    const stream = await session.stream();
    await update('test://item/more');
    assert.equal((await stream.wait(1)).params.uri, 'test://item/more');
    stream.close();
    await session.delete();
}, { timeout: 120_000 });

test('listen: tells of the URIs of the filter and of no others, under the id of the stream', async () => {
    const both = await Listener.open(port, { resourceSubscriptions: ['test://counter', 'test://item/%22a', 'test://not-yet'] }, { id: 'both' });
    const one = await Listener.open(port, { resourceSubscriptions: ['test://text'] }, { id: 17 });
    const none = await Listener.open(port, { resourcesListChanged: true, toolsListChanged: true });
    assert.deepEqual(both.messages[0].params.notifications.resourceSubscriptions, ['test://counter', 'test://item/%22a', 'test://not-yet']);
    for (const uri of ['test://text', 'test://counter', 'test://blob', 'test://item/%22a', 'test://not-yet']) await update(uri);
    await both.wait(4);
    await one.wait(2);
    assert.deepEqual(updates(MODERN, both).sort(), ['test://counter', 'test://item/%22a', 'test://not-yet']);
    assert.deepEqual(updates(MODERN, one), ['test://text']);
    for (const [stream, id] of [[both, 'both'], [one, 17]])
        for (const message of heard(MODERN, stream)) assert.equal(message.params._meta[`${META}subscriptionId`], id);
    assert.equal(none.messages.length, 1);
    for (const stream of [both, one, none]) stream.close();
});

test('listen: too many URIs, or what is no list of them, is refused with a reason', async () => {
    const uris = Array.from({ length: 1001 }, (_, i) => `test://item/${i}`);
    for (const [resourceSubscriptions, words] of [[uris, /a stream may have 1000/], ['test://text', /list of URIs/], [[5], /list of URIs/],
        [[`test://${'x'.repeat(3000)}`], /list of URIs/]]) {
        const response = await modern(port, 'subscriptions/listen', { notifications: { resourceSubscriptions } });
        const message = await response.last();
        response.connection.destroy();
        assert.equal(response.status, 400);
        conformsMessage(MODERN, message);
        assert.equal(message.error.code, -32602);
        assert.match(message.error.message, words);
    }
    const full = await Listener.open(port, { resourceSubscriptions: uris.slice(1) });
    assert.equal(full.messages[0].params.notifications.resourceSubscriptions.length, 1000);
    await update('test://item/1000');
    assert.equal((await full.wait(2)).params.uri, 'test://item/1000');
    full.close();
});

test('an update reaches all who listen, also when many come and go', async () => {
    const listeners = await Promise.all(Array.from({ length: 150 }, (_, i) => Listener.open(port, { resourceSubscriptions: ['test://counter', `test://item/${i}`] })));
    for (const listener of listeners.slice(0, 50)) listener.close();
    await update('test://counter');
    await Promise.all(listeners.slice(50).map((listener) => listener.wait(2, 5000 * SCALE)));
    await update('test://item/100');
    await listeners[100].wait(3);
    assert.ok(listeners.slice(50).every((listener, i) => listener.messages.length === (i === 50 ? 3 : 2)));
    for (const listener of listeners.slice(50)) listener.close();
});

test('resources/subscribe and resources/unsubscribe are not of 2026-07-28', async () => {
    for (const method of ['resources/subscribe', 'resources/unsubscribe']) {
        const response = await modern(port, method, { uri: 'test://text' });
        assert.equal((await response.last()).error.code, -32601);
        assert.equal(response.status, 404);
        response.connection.destroy();
    }
});

for (const version of [...LEGACY, MODERN]) {
    test(`${version}: subscriptions over standard input and output`, async () => {
        const stdio = new Stdio({ plugins: ['resources'] });
        const told = () => stdio.messages.filter(({ method }) => /^notifications\/resources/.test(method ?? ''));
        if (version === MODERN) {
            stdio.modern('subscriptions/listen', { notifications: { resourcesListChanged: true, resourceSubscriptions: ['test://counter'] } }, { id: 'L' });
            await until(() => stdio.messages.length > 0, 5000, 'the acknowledgement');
        } else {
            await stdio.initialize(version);
            assert.deepEqual(await stdio.result(version, 'resources/subscribe', { uri: 'test://counter' }), {});
        }
        for (const uri of ['test://text', 'test://counter']) await stdio.result(version, 'tools/call', { name: 'update', arguments: { uri } });
        await until(() => told().length > 0, 5000, 'the update');
        await stdio.result(version, 'tools/call', { name: 'more' });
        await until(() => told().length > 1, 5000, 'the change of the list');
        assert.deepEqual(told().map(({ method, params }) => [method, params?.uri]),
            [['notifications/resources/updated', 'test://counter'], ['notifications/resources/list_changed', undefined]]);
        for (const message of told()) {
            conformsMessage(version, message);
            assert.equal(message.params?._meta?.[`${META}subscriptionId`], version === MODERN ? 'L' : undefined);
        }
        assert.equal((await stdio.result(version, 'resources/read', { uri: 'test://more' })).contents.length, 1);
        await stdio.close();
    });
}

// ---- The official clients --------------------------------------------------------

async function openV1() {
    const client = new ClientV1({ name: 'tests-v1', version: '1.0.0' });
    const transport = new TransportV1(url);
    const told = [];
    client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => void told.push(params.uri));
    await client.connect(transport);
    await sleep(200 * SCALE); // it opens its stream when it is connected
    return {
        client, told,
        subscribe: (uri) => client.subscribeResource({ uri }),
        close: async () => (await transport.terminateSession(), await client.close()),
    };
}

async function openV2() {
    const client = new ClientV2({ name: 'tests-v2', version: '1.0.0' }, { versionNegotiation: { mode: { pin: MODERN } } });
    const told = [];
    client.setNotificationHandler('notifications/resources/updated', ({ params }) => void told.push(params.uri));
    await client.connect(new TransportV2(url));
    return {
        client, told,
        subscribe: async (uri) => {
            const subscription = await client.listen({ resourceSubscriptions: [uri] });
            assert.deepEqual(subscription.honoredFilter, { resourceSubscriptions: [uri] });
        },
        close: () => client.close(),
    };
}

for (const [name, open] of Object.entries({ v1: openV1, v2: openV2 })) {
    test(`the SDK client ${name} lists, reads and is told of updates`, async () => {
        const { client, told, subscribe, close } = await open();
        try {
            assert.deepEqual(client.getServerCapabilities().resources, { listChanged: true, subscribe: true });
            const uris = [];
            for (let cursor; ;) {
                const page = await client.listResources(cursor ? { cursor } : undefined);
                uris.push(...page.resources.map(({ uri }) => uri));
                if (!(cursor = page.nextCursor)) break;
            }
            for (const uri of URIS) assert.ok(uris.includes(uri), `${uri} of ${uris}`);
            assert.equal((await client.listResourceTemplates()).resourceTemplates.length, 2);
            const text = await client.readResource({ uri: 'test://text' });
            assert.deepEqual(text.contents, [{ uri: 'test://text', mimeType: 'text/plain', text: '"Text" \\ \u00fc\n' }]);
            const blob = await client.readResource({ uri: 'test://blob' });
            assert.equal(Buffer.from(blob.contents[0].blob, 'base64').subarray(1, 4).toString(), 'PNG');
            const item = await client.readResource({ uri: 'test://item/1?verbose=yes' });
            assert.match(item.contents[0].text, /"verbose":"yes"/);
            await assert.rejects(client.readResource({ uri: 'test://none' }), (error) => error.code === (name === 'v1' ? -32002 : -32602) && error.data.uri === 'test://none');
            await subscribe('test://counter');
            const before = Number((await client.readResource({ uri: 'test://counter' })).contents[0].text);
            await update('test://text');
            await update('test://counter');
            await until(() => told.length > 0, 5000, 'the update');
            assert.deepEqual(told, ['test://counter']);
            assert.equal(Number((await client.readResource({ uri: 'test://counter' })).contents[0].text), before + 1);
        } finally {
            await close();
        }
    });
}

// ---- Changes of the lists --------------------------------------------------------

test('a resource that comes and goes is told in both eras, to those who want it', async () => {
    const listener = await Listener.open(port, { resourcesListChanged: true });
    const tools = await Listener.open(port, { toolsListChanged: true, promptsListChanged: true });
    const sessions = await Promise.all(LEGACY.map((version) => Session.open(port, version)));
    const streams = await Promise.all(sessions.map((session) => session.stream()));
    const ask = await asker(MODERN);
    for (const [i, tool] of ['more', 'less'].entries()) {
        await callTool(port, tool);
        const told = await listener.wait(2 + i);
        assert.equal(told.method, 'notifications/resources/list_changed');
        await Promise.all(streams.map((stream) => stream.wait(1 + i)));
        assert.equal((await resourceUris(ask)).includes('test://more'), tool === 'more');
        const { result, error } = await ask('resources/read', { uri: 'test://more' });
        assert.ok(tool === 'more' ? result : error);
        await callTool(port, tool); // nothing differs now
        await sleep(200 * SCALE);
        assert.equal(listener.messages.length, 2 + i);
    }
    heard(MODERN, listener);
    for (const [i, stream] of streams.entries())
        assert.deepEqual(heard(LEGACY[i], stream).map(({ method }) => method), Array(2).fill('notifications/resources/list_changed'));
    assert.equal(tools.messages.length, 1);
    for (const stream of [listener, tools, ...streams]) stream.close();
});

test('a session that reopens its stream is told of the lists that changed meanwhile, and of those alone', async () => {
    const session = await Session.open(port);
    const ask = await asker('2025-11-25', session);
    await callTool(port, 'more');
    await until(async () => (await ask('resources/read', { uri: 'test://more' })).result, 5000, 'one more');
    const stream = await session.stream();
    await stream.wait(1);
    await sleep(100 * SCALE);
    assert.deepEqual(heard('2025-11-25', stream).map(({ method }) => method), ['notifications/resources/list_changed']);
    stream.close();
    const again = await session.stream();
    await sleep(100 * SCALE);
    assert.deepEqual(again.messages, []);
    again.close();
    await callTool(port, 'less');
    await until(async () => (await ask('resources/read', { uri: 'test://more' })).error, 5000, 'one less');
    await ask('resources/list'); // and so it knows
    const third = await session.stream();
    await sleep(100 * SCALE);
    assert.deepEqual(third.messages, []);
    third.close();
    await session.delete();
});

/** The plugin with another description of the counter. */
function version(n) {
    const file = fs.readFileSync(pluginFile('resources'));
    const at = file.indexOf('version=0000');
    assert.ok(at > 0);
    file.write(String(n).padStart(4, '0'), at + 8, 'latin1');
    return file;
}

test('a plugin that is replaced, removed and dropped again is told once each; subscriptions stay', async () => {
    const listener = await Listener.open(port, { resourcesListChanged: true, resourceSubscriptions: ['test://counter'] });
    const ask = await asker(MODERN);
    let count = 1;
    const changed = async (what, fn, check) => {
        fn();
        const told = await listener.wait(++count, 10_000 * SCALE);
        assert.equal(told.method, 'notifications/resources/list_changed', what);
        await until(async () => check((await listAll(ask, 'resources/list', 'resources')).all), 3000, what);
        await sleep(300 * SCALE);
        assert.equal(listener.messages.length, count, what);
    };
    const counter = (all) => all.find(({ uri }) => uri === 'test://counter')?.description;
    await changed('a replacement', () => daemon.install('resources', version(2)), (all) => counter(all) === 'version=0002');
    daemon.install('resources', version(2));
    await sleep(700 * SCALE);
    assert.equal(listener.messages.length, count, 'the same again');
    await update('test://counter');
    assert.equal((await listener.wait(++count)).params.uri, 'test://counter');
    await changed('a removal', () => daemon.remove('resources'), (all) => all.length === 0);
    assert.equal((await ask('resources/read', { uri: 'test://text' })).error.code, -32602);
    await changed('a drop', () => daemon.install('resources', version(3)), (all) => counter(all) === 'version=0003');
    await update('test://counter');
    assert.equal((await listener.wait(++count)).params.uri, 'test://counter');
    listener.close();
});

test('when the provider that was first has gone, the clashing URI is the other\'s', async () => {
    const ask = await asker(MODERN);
    daemon.writeConfig({ ...daemon.config, providers: { two: providers.two } });
    daemon.reload();
    await until(async () => (await resourceUris(ask)).length === 2, 5000, 'one provider left');
    assert.deepEqual(await resourceUris(ask), ['test://small', 'test://text']);
    assert.deepEqual((await ask('resources/read', { uri: 'test://text' })).result.contents[0].mimeType, 'text/plain');
    assert.match((await ask('resources/read', { uri: 'test://small' })).result.contents[0].text, /^test:\/\/small \{\}$/);
});

test('nothing was said of the server that it should not have', async () => {
    const complaints = daemon.lines.filter((line) => /warning|error/i.test(line) && !/test:\/\/(broken|json)|left out|no such file|slow did not finish within/.test(line));
    assert.deepEqual(complaints, []);
    await daemon.stop();
});

await done();
