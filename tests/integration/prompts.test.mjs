// SPDX-License-Identifier: MIT
// Prompts, completion, and the kinds of content, in every revision and with the
// official clients.
import { assert, done, test, until } from './lib/check.mjs';
import { Daemon } from './lib/daemon.mjs';
import { LEGACY, Listener, META, MODERN, modern, Session } from './lib/mcp.mjs';
import { conforms, conformsMessage } from './lib/schema.mjs';
import { tap } from './lib/tap.mjs';

import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from '@modelcontextprotocol/client';

const daemon = await Daemon.start({
    plugins: ['prompts'],
    config: {
        server: { page_size: 4 },
        providers: {
            one: { plugin: 'prompts' },
            two: { plugin: 'prompts', prefix: 'two_', config: { completes: false } },
        },
    },
});
const { port } = daemon;
const url = new URL(`http://127.0.0.1:${await tap(port)}/mcp`);
const ALL = [MODERN, ...LEGACY];
const NAMES = ['greet', 'pieces', 'refuse', 'fail', 'broken', 'plain'];

/** Asks in the way of a revision; every message is checked against its schema. */
async function asker(version) {
    const session = version === MODERN ? null : await Session.open(port, version);
    return async (method, params, options) => {
        const response = session ? await session.request(method, params, options) : await modern(port, method, params, options);
        const messages = await response.all();
        response.connection.destroy();
        for (const message of messages) conformsMessage(version, message, method);
        return { status: response.status, ...messages.at(-1) };
    };
}

async function listAll(ask) {
    const prompts = [], pages = [];
    for (let cursor; ;) {
        const { result } = await ask('prompts/list', cursor ? { cursor } : {});
        prompts.push(...result.prompts);
        pages.push(result.prompts.length);
        if (!(cursor = result.nextCursor)) return { prompts, pages };
    }
}

const GOOD = { name: 'Ada', time: 'morning' };

for (const version of ALL) {
    const is = (...versions) => versions.includes(version);
    const v = (what, fn) => test(`${version}: ${what}`, async () => fn(await asker(version)));

    v('lists the prompts of both providers, page by page, with what the revision knows', async (ask) => {
        const { prompts, pages } = await listAll(ask);
        assert.deepEqual(pages, [4, 4, 4]);
        assert.deepEqual(prompts.map((prompt) => prompt.name), [...NAMES, ...NAMES.map((name) => `two_${name}`)]);
        const [greet] = prompts;
        const titles = !is('2025-03-26'), icons = is(MODERN, '2025-11-25');
        assert.deepEqual(greet, {
            name: 'greet', description: 'Greets.',
            arguments: [
                { name: 'name', ...(titles ? { title: 'Name' } : {}), description: 'Whom', required: true },
                { name: 'time', required: true },
                { name: 'style' },
            ],
            ...(titles ? { title: 'Greeting', _meta: { 'dev.mcpd/provider': 'one', 'example.org/a': 1 } } : {}),
            ...(icons ? { icons: [{ src: 'https://example.org/i.png' }] } : {}),
        });
        const { error } = await ask('prompts/list', { cursor: 'AAAA' });
        assert.equal(error.code, -32602);
    });
    v('gets a prompt by its name with the prefix, the plugin sees the one without', async (ask) => {
        for (const prefix of ['', 'two_']) {
            const { status, result } = await ask('prompts/get', { name: `${prefix}greet`, arguments: { ...GOOD, style: ' "\\\u00fc\n' } });
            assert.equal(status, 200);
            assert.deepEqual(result.messages, [{ role: 'user', content: { type: 'text', text: 'greet: good morning, Ada! "\\\u00fc\n' } }]);
            assert.equal(result.resultType, is(MODERN) ? 'complete' : undefined);
            assert.equal('_meta' in result, is(MODERN));
        }
    });
    v('refuses what is no call of a prompt, and says what is missing', async (ask) => {
        for (const [params, words] of [
            [{ name: 'greet' }, [/greet/, /\bname, time\b/]],
            [{ name: 'two_greet', arguments: { name: 'Ada' } }, [/two_greet/, /: time$/]],
            [{ name: 'greet', arguments: { ...GOOD, style: 5 } }, [/strings/]],
            [{ name: 'greet', arguments: [] }, [/object/]],
            [{ name: 'greet', arguments: 'x' }, [/object/]],
            [{ name: 'nobody' }, [/Unknown prompt: nobody/]],
            [{ name: 'two_nobody' }, [/two_nobody/]],
            [{ name: '' }, [/Unknown prompt/]],
            [{}, [/name must be a string/]],
        ]) {
            const { error } = await ask('prompts/get', params);
            assert.equal(error?.code, -32602, JSON.stringify([params, error]));
            for (const word of words) assert.match(error.message, word);
        }
    });
    v('an end that is no result is an error', async (ask) => {
        let { error } = await ask('prompts/get', { name: 'refuse' });
        assert.deepEqual(error, { code: -32602, message: 'Not today.', data: { day: 'Sunday' } });
        ({ error } = await ask('prompts/get', { name: 'fail' }));
        assert.deepEqual([error.code, error.message], [-32603, 'The archive is closed.']);
        ({ error } = await ask('prompts/get', { name: 'two_broken' }));
        assert.equal(error.code, -32603);
        assert.match(error.message, /role/);
    });
    v('every kind of content, as far as the revision knows it, in prompts and results of tools alike', async (ask) => {
        const got = (await ask('prompts/get', { name: 'pieces' })).result;
        assert.equal(got.description, 'All pieces');
        assert.equal(got._meta['example.org/d'], 4);
        assert.deepEqual(got.messages.map((message) => message.role), ['user', 'assistant', 'user', 'user', 'user']);
        const called = (await ask('tools/call', { name: 'content', arguments: {} })).result;
        assert.deepEqual(got.messages.map((message) => message.content), called.content);
        const old = is('2025-03-26');
        const notes = {
            annotations: { audience: ['user'], priority: 0.5, ...(old ? {} : { lastModified: '2025-01-12T15:00:58Z' }) },
            ...(old ? {} : { _meta: { 'example.org/b': 2 } }),
        };
        assert.deepEqual(called.content, [
            { type: 'text', text: 'one', ...notes },
            { type: 'image', data: 'iVBORw0KGgo=', mimeType: 'image/png', ...notes },
            { type: 'audio', data: 'UklGRg==', mimeType: 'audio/wav' },
            { type: 'resource', resource: { uri: 'test://x', mimeType: 'text/plain', text: 'inside', ...(old ? {} : { _meta: { 'example.org/c': 3 } }) }, ...notes },
            old
                ? { type: 'text', text: 'Resource far "one": test://far (text/html)\nFar away' }
                : {
                    type: 'resource_link', uri: 'test://far', name: 'far "one"', title: 'Far', description: 'Far away', mimeType: 'text/html', size: 7,
                    ...(is(MODERN, '2025-11-25') ? { icons: [{ src: 'https://example.org/l.png' }] } : {}), ...notes,
                },
        ]);
        if (!old) for (const block of called.content) conforms(version, 'ContentBlock', block);
    });
    v('completes an argument: what is typed and what was chosen before reach the plugin', async (ask) => {
        const argument = { name: 'style', value: 'for' };
        const ref = { type: 'ref/prompt', name: 'greet' };
        let { result } = await ask('completion/complete', { ref, argument, context: { arguments: { name: 'Ada' } } });
        assert.deepEqual(result.completion, { values: ['greet|for|Ada'] });
        assert.equal(result.resultType, is(MODERN) ? 'complete' : undefined);
        ({ result } = await ask('completion/complete', { ref, argument }));
        assert.deepEqual(result.completion, { values: ['greet|for|'] });
    });
    v('sends at most 100 values, and says how many there are', async (ask) => {
        const ref = { type: 'ref/prompt', name: 'plain' };
        let { result } = await ask('completion/complete', { ref, argument: { name: 'many', value: '' } });
        assert.equal(result.completion.values.length, 100);
        assert.equal(result.completion.values[99], 'value 99');
        assert.deepEqual([result.completion.total, result.completion.hasMore], [250, true]);
        ({ result } = await ask('completion/complete', { ref, argument: { name: 'few', value: '' } }));
        assert.deepEqual(result.completion, { values: ['a', 'b'], total: 7, hasMore: true });
        assert.equal(result._meta['example.org/e'], 5);
    });
    v('a provider that does not complete has nothing to suggest', async (ask) => {
        const { result } = await ask('completion/complete', { ref: { type: 'ref/prompt', name: 'two_greet' }, argument: { name: 'name', value: 'A' } });
        assert.deepEqual(result.completion, { values: [], total: 0, hasMore: false });
    });
    v('refuses to complete what there is not', async (ask) => {
        const ref = { type: 'ref/prompt', name: 'greet' }, argument = { name: 'style', value: '' };
        for (const [params, word] of [
            [{ ref: { type: 'ref/prompt', name: 'nobody' }, argument }, /unknown prompt: nobody/],
            [{ ref: { type: 'ref/prompt', name: 'two_greet' }, argument: { name: 'nothing', value: '' } }, /no such argument: nothing/],
            [{ ref: { type: 'ref/resource', uri: 'test://none/{x}' }, argument }, /unknown resource template/],
            [{ ref, argument: { name: 'nothing', value: '' } }, /no such argument: nothing/],
            [{ ref, argument: { name: 'style' } }, /argument must be/],
            [{ ref, argument: { value: '' } }, /argument must be/],
            [{ ref, argument: { name: 'style', value: 5 } }, /argument must be/],
            [{ ref }, /argument must be/],
            [{ ref, argument, context: 5 }, /context/],
            [{ ref, argument, context: { arguments: { name: 5 } } }, /context/],
            [{ ref: { type: 'ref/tool', name: 'greet' }, argument }, /ref must be/],
            [{ ref: { type: 'ref/prompt' }, argument }, /ref.name/],
            [{ ref: { type: 'ref/resource' }, argument }, /ref.uri/],
            [{ argument }, /ref must be/],
            [{}, /ref must be/],
        ]) {
            const { error } = await ask('completion/complete', params);
            assert.equal(error?.code, -32602, JSON.stringify([params, error]));
            assert.match(error.message, word);
        }
    });
}

test('Mcp-Name must repeat the name of a prompt', async () => {
    for (const [header, status] of [['plain', 200], ['=?base64?cGxhaW4=?=', 200], ['  plain ', 200], ['Plain', 400], [null, 400], ['=?base64?cGxhaW4?=', 400]]) {
        const response = await modern(port, 'prompts/get', { name: 'plain' }, { headers: { 'Mcp-Name': header } });
        const message = await response.last();
        response.connection.destroy();
        assert.equal(response.status, status, header);
        assert.equal(message.error?.code, status === 200 ? undefined : -32020, header);
    }
});

// ---- The official clients ------------------------------------------------------

async function openV1() {
    const client = new ClientV1({ name: 'tests-v1', version: '1.0.0' });
    const transport = new TransportV1(url);
    await client.connect(transport);
    return { client, close: async () => (await transport.terminateSession(), await client.close()) };
}

async function openV2() {
    const client = new ClientV2({ name: 'tests-v2', version: '1.0.0' }, { versionNegotiation: { mode: { pin: MODERN } } });
    await client.connect(new TransportV2(url));
    return { client, close: () => client.close() };
}

for (const [name, open] of Object.entries({ v1: openV1, v2: openV2 })) {
    test(`the SDK client ${name} lists, gets and completes`, async () => {
        const { client, close } = await open();
        try {
            assert.deepEqual(client.getServerCapabilities().prompts, { listChanged: true });
            assert.ok(client.getServerCapabilities().completions);
            const names = [];
            for (let cursor; ;) {
                const page = await client.listPrompts(cursor ? { cursor } : undefined);
                names.push(...page.prompts.map((prompt) => prompt.name));
                if (!(cursor = page.nextCursor)) break;
            }
            for (const wanted of [...NAMES, 'two_greet']) assert.ok(names.includes(wanted), `${wanted} of ${names}`);
            const got = await client.getPrompt({ name: 'two_greet', arguments: GOOD });
            assert.equal(got.messages[0].content.text, 'greet: good morning, Ada!');
            const pieces = await client.getPrompt({ name: 'pieces' });
            assert.deepEqual(pieces.messages.map((message) => message.content.type), ['text', 'image', 'audio', 'resource', 'resource_link']);
            const completed = await client.complete({ ref: { type: 'ref/prompt', name: 'plain' }, argument: { name: 'many', value: 'v' } });
            assert.deepEqual([completed.completion.values.length, completed.completion.total, completed.completion.hasMore], [100, 250, true]);
            await assert.rejects(client.getPrompt({ name: 'greet' }), (error) => error.code === -32602 && /name, time/.test(error.message));
        } finally {
            await close();
        }
    });
}

// ---- Changes -------------------------------------------------------------------

test('a prompt more is told to who listens for prompts, in both eras, and not as tools', async () => {
    const listener = await Listener.open(port, { promptsListChanged: true });
    const session = await Session.open(port, '2025-11-25');
    const stream = await session.stream();
    const ask = await asker(MODERN);
    await ask('tools/call', { name: 'two_more', arguments: {} });
    const told = await listener.wait(2);
    assert.equal(told.method, 'notifications/prompts/list_changed');
    conforms(MODERN, 'PromptListChangedNotification', { jsonrpc: told.jsonrpc, method: told.method, params: told.params });
    assert.ok(told.params._meta[`${META}subscriptionId`] !== undefined);
    await until(() => stream.messages.length > 0, 5000, 'the notification in the session');
    assert.deepEqual(stream.messages.map((message) => message.method), ['notifications/prompts/list_changed']);
    const { prompts } = await listAll(ask);
    assert.equal(prompts.at(-1).name, 'two_more');
    assert.deepEqual((await ask('prompts/get', { name: 'two_more' })).result.messages[0].content.text, 'more');
    listener.close();
    stream.close();
});
test('a provider that goes takes its prompts with it, and clients are told', async () => {
    const listener = await Listener.open(port, { promptsListChanged: true });
    const ask = await asker(MODERN);
    daemon.writeConfig({ ...daemon.config, providers: { one: daemon.config.providers.one } });
    daemon.reload();
    assert.equal((await listener.wait(2)).method, 'notifications/prompts/list_changed');
    assert.deepEqual((await listAll(ask)).prompts.map((prompt) => prompt.name), NAMES);
    assert.equal((await ask('prompts/get', { name: 'two_plain' })).error.code, -32602);
    listener.close();
});
test('nothing was said of the server that it should not have', async () => {
    const complaints = daemon.lines.filter((line) => /warning|error/i.test(line) && !/broken/.test(line));
    assert.deepEqual(complaints, []);
    await daemon.stop();
});

await done();
