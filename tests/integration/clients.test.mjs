// SPDX-License-Identifier: MIT
// The official TypeScript clients, of both generations, with the bundled
// plugins over real files and a real database.
import fs from 'node:fs';
import path from 'node:path';
import { execFileSync } from 'node:child_process';
import { assert, done, sleep, test, until } from './lib/check.mjs';
import { Daemon, pluginFile, temporaryDirectory } from './lib/daemon.mjs';
import { tap } from './lib/tap.mjs';

import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from '@modelcontextprotocol/client';
import Ajv from 'ajv/dist/2020.js';

// ---- Real data ---------------------------------------------------------------

const data = temporaryDirectory('mcpd-data');
const files = path.join(data, 'files');
fs.mkdirSync(path.join(files, 'letters'), { recursive: true });
fs.writeFileSync(path.join(files, 'hello.txt'), 'Hello from a real file.\nÄ second line: €\n');
fs.writeFileSync(path.join(files, 'letters', 'one.txt'), 'Dear reader\n');
fs.writeFileSync(path.join(data, 'secret.txt'), 'not for you\n');
const database = path.join(data, 'shop.db');

/** SQLite's own tool where it is, else Python's module: both make a real file. */
function makeDatabase() {
    const sql = `CREATE TABLE customers(id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT);
        CREATE TABLE orders(id INTEGER PRIMARY KEY, customer INTEGER REFERENCES customers(id), cents INTEGER, note BLOB);
        INSERT INTO customers VALUES(1,'Ada','London'),(2,'Grace','New York'),(3,'Ünal',NULL);
        INSERT INTO orders VALUES(1,1,9007199254740993,NULL),(2,1,250,x'00ff10'),(3,2,-5,NULL);`;
    try {
        execFileSync('sqlite3', [database], { input: sql });
    } catch (error) {
        if (error.code !== 'ENOENT') throw error;
        execFileSync('python3', ['-c', 'import sqlite3,sys; c=sqlite3.connect(sys.argv[1]); c.executescript(sys.stdin.read()); c.commit()', database], { input: sql });
    }
}
makeDatabase();

const daemon = await Daemon.start({
    plugins: ['filesystem', 'database'],
    config: {
        server: { list_ttl_ms: 60_000 },
        providers: {
            files: { plugin: 'filesystem', config: { allowed_paths: [files] } },
        },
    },
    providersD: { shop: { plugin: 'database', prefix: 'shop_', config: { url: `sqlite://${database}`, read_only: true } } },
});
const url = new URL(`http://127.0.0.1:${await tap(daemon.port)}/mcp`);

// ---- The clients -----------------------------------------------------------------

async function openV1() {
    const client = new ClientV1({ name: 'tests-v1', version: '1.0.0' });
    const changes = [];
    client.setNotificationHandler(ToolListChangedNotificationSchema, () => changes.push(performance.now()));
    const transport = new TransportV1(url);
    await client.connect(transport);
    return {
        client, changes,
        version: () => transport.protocolVersion,
        tools: async () => {
            const tools = [];
            let cursor;
            do {
                const page = await client.listTools(cursor ? { cursor } : undefined);
                tools.push(...page.tools);
                cursor = page.nextCursor;
            } while (cursor);
            return tools;
        },
        call: (name, args) => client.callTool({ name, arguments: args }),
        close: async () => {
            await transport.terminateSession();
            await client.close();
        },
    };
}

async function openV2(mode) {
    const changes = [];
    const sent = [];
    const counting = (to, init) => {
        if (init?.body) sent.push(JSON.parse(init.body).method);
        return fetch(to, init);
    };
    const client = new ClientV2({ name: 'tests-v2', version: '1.0.0' }, {
        versionNegotiation: { mode },
        listChanged: { tools: { autoRefresh: false, debounceMs: 0, onChanged: () => changes.push(performance.now()) } },
    });
    await client.connect(new TransportV2(url, { fetch: counting }));
    return {
        client, changes, sent,
        version: () => client.getNegotiatedProtocolVersion?.(),
        tools: async (options = { cacheMode: 'refresh' }) => (await client.listTools(undefined, options)).tools,
        call: (name, args) => client.callTool({ name, arguments: args }),
        close: () => client.close(),
    };
}

const ajv = new Ajv({ strict: false });
function matchesOutput(tool, result) {
    assert.ok(tool.outputSchema, `${tool.name} has an outputSchema`);
    assert.ok(ajv.validate(tool.outputSchema, result.structuredContent), `${tool.name}: ${ajv.errorsText()}: ${JSON.stringify(result.structuredContent)}`);
}
const text = (result) => result.content.map((block) => block.text).join('\n');

const clients = {
    'v1 (2025-11-25)': [openV1, '2025-11-25'],
    'v2 (pinned to 2026-07-28)': [() => openV2({ pin: '2026-07-28' }), '2026-07-28'],
    'v2 (auto)': [() => openV2('auto'), '2026-07-28'],
};

const FILES = ['read_file', 'write_file', 'list_directory', 'create_directory'];
const SHOP = ['shop_execute_query', 'shop_get_schema'];

for (const [name, [open, version]] of Object.entries(clients)) {
    const with_ = (what, fn, options) => test(`${name}: ${what}`, async () => {
        const handle = await open();
        try {
            await fn(handle);
        } finally {
            await handle.close();
        }
    }, options);

    with_('connects and learns who serves it', async ({ client, version: negotiated }) => {
        assert.equal(client.getServerVersion().name, 'mcpd');
        assert.match(client.getServerVersion().version, /^\d+\.\d+/);
        assert.deepEqual(client.getServerCapabilities().tools, { listChanged: true });
        assert.equal(negotiated(), version);
    });
    with_('lists the tools of both providers, each with its provider', async ({ tools }) => {
        const list = await tools();
        const names = list.map((tool) => tool.name);
        for (const tool of [...FILES.slice(0, 1), 'list_directory', ...SHOP]) assert.ok(names.includes(tool), `${tool} of ${names}`);
        for (const tool of list) {
            assert.equal(tool._meta['dev.mcpd/provider'], tool.name.startsWith('shop_') ? 'shop' : 'files');
            assert.equal(tool.inputSchema.type, 'object');
            assert.ok(tool.description.length > 10);
        }
    });
    with_('reads a real file', async ({ tools, call }) => {
        const tool = (await tools()).find((t) => t.name === 'read_file');
        const result = await call('read_file', { path: path.join(files, 'hello.txt') });
        assert.notEqual(result.isError, true, text(result));
        assert.ok(text(result).includes('Hello from a real file.\nÄ second line: €\n'), text(result));
        matchesOutput(tool, result);
        assert.ok(JSON.stringify(result.structuredContent).includes('Hello from a real file.'));
    });
    with_('lists a real directory', async ({ tools, call }) => {
        const tool = (await tools()).find((t) => t.name === 'list_directory');
        const result = await call('list_directory', { path: files });
        assert.notEqual(result.isError, true, text(result));
        for (const entry of ['hello.txt', 'letters']) assert.ok(JSON.stringify(result).includes(entry));
        matchesOutput(tool, result);
    });
    with_('is told what it can correct as a result', async ({ call }) => {
        for (const [tool, args] of [['read_file', { path: path.join(files, 'missing.txt') }], ['read_file', { path: path.join(data, 'secret.txt') }],
            ['read_file', { path: path.join(files, '../secret.txt') }], ['read_file', {}], ['shop_execute_query', { query: 'SELEC' }],
            ['shop_execute_query', { query: 'DELETE FROM customers' }]]) {
            const result = await call(tool, args);
            assert.equal(result.isError, true, `${tool} ${JSON.stringify(args)}: ${text(result)}`);
            assert.ok(!text(result).includes('not for you'));
            assert.ok(text(result).length > 10);
        }
    });
    with_('queries a real database, with bound parameters and exact values', async ({ tools, call }) => {
        const tool = (await tools()).find((t) => t.name === 'shop_execute_query');
        const parameter = Object.keys(tool.inputSchema.properties).find((key) => /param/i.test(key));
        const result = await call('shop_execute_query', {
            query: 'SELECT c.name, o.cents, o.note FROM orders o JOIN customers c ON c.id = o.customer WHERE c.name = ? ORDER BY o.id', [parameter]: ['Ada'],
        });
        assert.notEqual(result.isError, true, text(result));
        matchesOutput(tool, result);
        assert.ok(text(result).includes('9007199254740993'), text(result));
        assert.ok(text(result).includes('250'));
        assert.ok(!text(result).includes('Grace'));
        const injected = await call('shop_execute_query', { query: 'SELECT * FROM customers WHERE name = ?', [parameter]: ["x' OR 1=1 --"] });
        assert.notEqual(injected.isError, true);
        assert.ok(!text(injected).includes('Ada'));
    });
    with_('reads a real schema', async ({ tools, call }) => {
        const tool = (await tools()).find((t) => t.name === 'shop_get_schema');
        const result = await call('shop_get_schema', {});
        assert.notEqual(result.isError, true, text(result));
        matchesOutput(tool, result);
        for (const word of ['customers', 'orders', 'city', 'cents']) assert.ok(JSON.stringify(result).includes(word), word);
    });
    with_('an unknown tool is an error', async ({ call }) => {
        await assert.rejects(async () => {
            const result = await call('no_such_tool', {});
            if (result.isError) throw new Error('as a result');
        }, /no_such_tool|-32602|Invalid/i);
    });
    with_('is told of a .so that is dropped, replaced, removed, and of SIGHUP; and of nothing else', async ({ changes, tools }) => {
        const settle = 900;
        const expectChange = async (what, fn, check) => {
            const before = changes.length;
            fn();
            await until(() => changes.length > before, 6000, `list_changed after ${what}`);
            await until(async () => check((await tools()).map((tool) => tool.name)), 3000, `the new list after ${what}`);
            await sleep(200);
            assert.equal(changes.length, before + 1, `one notification after ${what}`);
        };
        const expectSilence = async (what, fn) => {
            const before = changes.length;
            fn();
            await sleep(settle);
            assert.equal(changes.length, before, `no notification after ${what}`);
        };
        const stamp = fs.readFileSync(pluginFile('stamp'));
        const patched = (from, to) => {
            const copy = Buffer.from(stamp);
            const at = copy.indexOf(from);
            assert.ok(at > 0);
            copy.write(to, at, 'latin1');
            return copy;
        };
        await sleep(300);
        await expectChange('a drop', () => daemon.install('stamp', stamp), (names) => names.includes('stamp') && !names.includes('stamp_extra'));
        await expectSilence('a touch', () => fs.utimesSync(daemon.path('stamp'), new Date(), new Date()));
        await expectSilence('an identical copy', () => daemon.install('stamp', stamp));
        await expectSilence('other bytes, the same tools', () => daemon.install('stamp', patched('stamp=0', 'stamp=7')));
        await expectChange('a replacement', () => daemon.install('stamp', patched('extra=n', 'extra=y')), (names) => names.includes('stamp_extra'));
        await expectChange('a replacement back', () => daemon.install('stamp', stamp), (names) => !names.includes('stamp_extra'));
        await expectSilence('SIGHUP without a change', () => daemon.reload());
        await expectChange('SIGHUP with a new provider', () => {
            daemon.provider('second', { plugin: 'stamp', prefix: 'second_' });
            daemon.reload();
        }, (names) => names.includes('second_stamp') && !names.includes('stamp'));
        await expectChange('SIGHUP with another prefix', () => {
            daemon.provider('second', { plugin: 'stamp', prefix: 'other_' });
            daemon.reload();
        }, (names) => names.includes('other_stamp') && !names.includes('second_stamp'));
        await expectSilence('a broken file', () => daemon.install('broken', Buffer.from('no shared object')));
        await expectSilence('the broken file removed', () => daemon.remove('broken'));
        await expectSilence('some other file', () => fs.writeFileSync(path.join(daemon.pluginDirectory, 'README'), 'x'));
        fs.rmSync(path.join(daemon.pluginDirectory, 'README'));
        await expectChange('SIGHUP without the provider', () => {
            daemon.provider('second', null);
            daemon.reload();
        }, (names) => names.includes('stamp') && !names.includes('other_stamp'));
        await expectChange('a removal', () => daemon.remove('stamp'), (names) => !names.some((n) => n.includes('stamp')));
    }, { timeout: 90_000 });
}

test('v2 keeps a list as long as it may: no second request within ttlMs, a new one after list_changed', async () => {
    const handle = await openV2({ pin: '2026-07-28' });
    const lists = () => handle.sent.filter((method) => method === 'tools/list').length;
    const first = await handle.client.listTools();
    assert.ok(lists() > 0);
    const before = lists();
    const second = await handle.client.listTools();
    assert.deepEqual(second.tools, first.tools);
    assert.equal(lists(), before, 'the second list comes from the cache');
    daemon.install('stamp');
    await until(() => handle.changes.length > 0, 5000, 'list_changed');
    await until(async () => (await handle.client.listTools()).tools.some((tool) => tool.name === 'stamp'), 3000, 'the new list from a cache that was told');
    daemon.remove('stamp');
    await until(() => handle.changes.length > 1, 5000, 'list_changed');
    await handle.close();
});
test('writing and making directories, where the configuration allows it', async () => {
    const handle = await openV2({ pin: '2026-07-28' });
    const names = (await handle.tools()).map((tool) => tool.name);
    for (const name of ['write_file', 'create_directory']) assert.ok(!names.includes(name), 'read-only by default');
    await assert.rejects(handle.call('write_file', { path: path.join(files, 'new.txt'), content: 'x' }), /write_file/);
    assert.ok(!fs.existsSync(path.join(files, 'new.txt')));
    daemon.writeConfig({ ...daemon.config, providers: { files: { plugin: 'filesystem', config: { allowed_paths: [files], read_only: false } } } });
    daemon.reload();
    await until(async () => {
        const result = await handle.call('write_file', { path: path.join(files, 'new.txt'), content: 'written\n' }).catch(() => ({ isError: true }));
        return result.isError !== true;
    }, 5000, 'a write after the reload', 100);
    await until(() => handle.changes.length > 0, 3000, 'list_changed');
    assert.equal(fs.readFileSync(path.join(files, 'new.txt'), 'utf8'), 'written\n');
    const made = await handle.call('create_directory', { path: path.join(files, 'made') });
    assert.notEqual(made.isError, true, text(made));
    assert.ok(fs.statSync(path.join(files, 'made')).isDirectory());
    await handle.close();
});
test('the end', () => daemon.stop());

await done();
