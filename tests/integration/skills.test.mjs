// SPDX-License-Identifier: MIT
// The skills extension with plugins/skills over real directories of skills.
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { assert, done, sleep, test, until } from './lib/check.mjs';
import { Daemon, ROOT, temporaryDirectory } from './lib/daemon.mjs';
import { LEGACY, Listener, META, MODERN, modern, Session } from './lib/mcp.mjs';
import { conformsMessage } from './lib/schema.mjs';
import { tap } from './lib/tap.mjs';

import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from '@modelcontextprotocol/client';

const base = temporaryDirectory('mcpd-skills');
const skills = path.join(base, 'skills'), more = path.join(base, 'more');
fs.cpSync(path.join(ROOT, 'tests/skills/good'), skills, { recursive: true });
fs.cpSync(path.join(ROOT, 'tests/skills/broken'), more, { recursive: true });
fs.mkdirSync(path.join(more, 'release-notes'));
fs.writeFileSync(path.join(more, 'release-notes/SKILL.md'), '---\nname: release-notes\ndescription: Another of this name.\n---\n');
fs.writeFileSync(path.join(base, 'secret.txt'), 'not for you');
fs.mkdirSync(path.join(more, 'link-out'));
fs.writeFileSync(path.join(more, 'link-out/SKILL.md'), '---\nname: link-out\ndescription: One file is a link.\n---\n');
fs.symlinkSync(path.join(base, 'secret.txt'), path.join(more, 'link-out/secret.txt'));

const daemon = await Daemon.start({
    plugins: ['skills'],
    config: {
        server: { page_size: 2, list_ttl_ms: 4321 },
        providers: {
            office: { plugin: 'skills', config: { directories: [skills] } },
            other: { plugin: 'skills', config: { directories: [more] } },
        },
    },
});
const { port } = daemon;
const url = new URL(`http://127.0.0.1:${await tap(port)}/mcp`);
const SKILLS = `${META}skills`;

async function ask(method, params = {}, options) {
    const response = await modern(port, method, params, options);
    const messages = await response.all();
    response.connection.destroy();
    for (const message of messages) conformsMessage(MODERN, message, method);
    return { status: response.status, ...messages.at(-1) };
}

/** Every page of a list. */
async function all(method, member, params = {}) {
    const items = [], pages = [];
    for (let cursor; ;) {
        const { result, error } = await ask(method, { ...params, ...(cursor ? { cursor } : {}) });
        if (cursor && error?.code === -32602) return all(method, member, params); // it has changed meanwhile
        items.push(...result[member]);
        pages.push(result[member].length);
        if (!(cursor = result.nextCursor)) return { items, pages };
    }
}
const listed = async () => (await all('skills/list', 'skills')).items;
const names = async () => (await listed()).map((skill) => skill.frontmatter.name);
const read = async (uri) => (await ask('resources/read', { uri })).result.contents[0];
const bytesOf = ({ text, blob }) => (blob === undefined ? Buffer.from(text) : Buffer.from(blob, 'base64'));

test('server/discover declares skills, with directories, and no revision before does', async () => {
    const { result } = await ask('server/discover');
    assert.deepEqual(result.capabilities.extensions[SKILLS], { directoryRead: true });
    assert.ok(result.capabilities.resources);
    for (const version of LEGACY) {
        const session = await Session.open(port, version);
        assert.ok(!JSON.stringify(session.initialize.result.capabilities).includes('skills'));
        const response = await session.request('skills/list', {});
        assert.equal((await response.last()).error.code, -32601);
        response.connection.destroy();
    }
});
test('lists the skills page by page, each as it is in its file', async () => {
    const { items, pages } = await all('skills/list', 'skills');
    assert.deepEqual(pages, [2, 1]);
    assert.deepEqual(items.map((skill) => skill.uri), ['pdf-forms', 'release-notes', 'sql-review'].map((name) => `skill://${name}/SKILL.md`));
    assert.deepEqual(items.map((skill) => Object.keys(skill)), Array(3).fill(['uri', 'frontmatter', 'resources']));
    assert.deepEqual(items[0].frontmatter, {
        name: 'pdf-forms',
        description: 'Fills, flattens and checks PDF forms. Use when somebody wants values put into a form, or the values of a form as a table.',
        license: 'MIT', compatibility: 'Needs Python 3.9 or later and the package pypdf',
        metadata: { author: 'Example Office', version: '1.2' }, 'allowed-tools': 'Bash(python3:*) Read',
    });
    assert.equal(items[2].frontmatter.enabled, 'yes', 'YAML 1.2: yes is a text');
    assert.equal(items[2].frontmatter.metadata.limits.octal, 12);
    const { result } = await ask('skills/list');
    assert.deepEqual([result.resultType, result.ttlMs, result.cacheScope], ['complete', 4321, 'public']);
    assert.equal((await ask('skills/list', { cursor: 'AAAA' })).error.code, -32602);
});
test('every file that is listed can be read, and is what its digest says', async () => {
    let files = 0;
    for (const skill of await listed()) {
        for (const { uri, digest, size } of skill.resources) {
            const contents = await read(uri);
            const bytes = bytesOf(contents);
            assert.equal(contents.uri, uri);
            assert.equal(bytes.length, size, uri);
            assert.equal(`sha256:${crypto.createHash('sha256').update(bytes).digest('hex')}`, digest, uri);
            const file = decodeURIComponent(uri.slice('skill://'.length));
            assert.ok(bytes.equals(fs.readFileSync(path.join(skills, file))), file);
            files++;
        }
    }
    assert.equal(files, 4 + 1 + 3);
    assert.equal((await read('skill://pdf-forms/SKILL.md')).mimeType, 'text/markdown');
    const stamp = await read('skill://pdf-forms/assets/stamp.png');
    assert.deepEqual([stamp.mimeType, stamp.text], ['image/png', undefined]);
});
test('skills/get gives the entry of the list, and refuses what is none', async () => {
    for (const skill of await listed()) {
        const { result } = await ask('skills/get', { uri: skill.uri });
        assert.deepEqual(result.skill, skill);
        assert.deepEqual([result.resultType, result.ttlMs, result.cacheScope, 'nextCursor' in result], ['complete', 4321, 'public', false]);
    }
    for (const uri of ['skill://none/SKILL.md', 'skill://pdf-forms', 'skill://pdf-forms/references/FORMS.md', '']) {
        const { error } = await ask('skills/get', { uri });
        assert.equal(error.code, -32602);
        assert.deepEqual(error.data, { uri });
    }
    for (const params of [{}, { uri: 5 }, { uri: null }]) assert.equal((await ask('skills/get', params)).error.code, -32602);
});
test('directories, page by page', async () => {
    const of = async (uri) => (await all('resources/directory/read', 'resources', { uri })).items;
    const top = await all('resources/directory/read', 'resources', { uri: 'skill://pdf-forms' });
    assert.deepEqual(top.pages, [2, 2]);
    assert.deepEqual(top.items.map((r) => [r.uri, r.name, r.mimeType]), [
        ['skill://pdf-forms/SKILL.md', 'SKILL.md', 'text/markdown'],
        ['skill://pdf-forms/assets', 'assets', 'inode/directory'],
        ['skill://pdf-forms/references', 'references', 'inode/directory'],
        ['skill://pdf-forms/scripts', 'scripts', 'inode/directory'],
    ]);
    assert.deepEqual(await of('skill://pdf-forms/'), top.items);
    assert.deepEqual(await of('skill://sql-review/references'), [{ uri: 'skill://sql-review/references/dialects', name: 'dialects', mimeType: 'inode/directory' }]);
    const dialects = await of('skill://sql-review/references/dialects');
    assert.deepEqual(dialects.map((r) => r.name), ['SQLite (3.40).md', 'postgresql.md']);
    for (const { uri, size } of dialects) assert.equal(bytesOf(await read(uri)).length, size);
    for (const uri of ['skill://pdf-forms/SKILL.md', 'skill://none', 'skill://', 'skill://pdf-forms/re', '', 'x']) {
        const { error } = await ask('resources/directory/read', { uri });
        assert.equal(error?.code, -32602, uri);
        assert.deepEqual(error.data, { uri });
    }
    for (const params of [{}, { uri: 'skill://pdf-forms', cursor: 'AAAA' }, { uri: 'skill://pdf-forms', cursor: 5 }])
        assert.equal((await ask('resources/directory/read', params)).error?.code, -32602);
});
test('SKILL.md is a listed resource, for clients of every revision; the other files are behind a template', async () => {
    const { items } = await all('resources/list', 'resources');
    assert.deepEqual(items.map(({ name }) => name), ['pdf-forms', 'release-notes', 'sql-review']);
    assert.equal(items[1].description, (await listed())[1].frontmatter.description);
    const templates = (await all('resources/templates/list', 'resourceTemplates')).items;
    assert.deepEqual(templates.map((t) => t.uriTemplate), ['skill://pdf-forms/{+path}', 'skill://sql-review/{+path}']);
    const { result } = await ask('completion/complete', { ref: { type: 'ref/resource', uri: 'skill://sql-review/{+path}' }, argument: { name: 'path', value: 'references/' } });
    assert.deepEqual(result.completion.values, ['references/dialects/SQLite (3.40).md', 'references/dialects/postgresql.md']);
    for (const version of LEGACY) {
        const session = await Session.open(port, version);
        const { contents } = await session.result('resources/read', { uri: 'skill://sql-review/references/dialects/postgresql.md' });
        assert.match(contents[0].text, /BUFFERS/);
    }
});
test('what is broken is left out, with one clear sentence; a name of two providers goes to the first', async () => {
    const left = daemon.lines.filter((line) => /left out/.test(line));
    for (const words of [/more\/colon is left out: .*line 3: mapping values are not allowed.*needs quotes/, /more\/link-out is left out: secret\.txt is a symbolic link that leads out/,
        /more\/no-end is left out: .*does not end/, /more\/no-front-matter is left out: SKILL\.md must begin/, /more\/no-name is left out: "name" must be/,
        /more\/reserved is left out: "metadata"/, /more\/shouting is left out: "name"/, /other: its skill with the name of skill:\/\/release-notes\/SKILL\.md is left out: office comes before it/])
        assert.ok(left.some((line) => words.test(line)), `${words} in\n${left.join('\n')}`);
    assert.equal(left.filter((line) => /other: the skill in/.test(line)).length, 7, left.join('\n'));
});
test('nothing but files of skills is read', async () => {
    for (const uri of ['skill://link-out/secret.txt', 'skill://link-out/SKILL.md', 'skill://pdf-forms/../../secret.txt', 'skill://pdf-forms/%2e%2e/%2e%2e/secret.txt',
        'skill://pdf-forms/references', 'skill://pdf-forms/', `file://${base}/secret.txt`, 'skill://no-name/SKILL.md']) {
        const { error, result } = await ask('resources/read', { uri });
        assert.equal(error?.code, -32602, `${uri}: ${JSON.stringify(result)}`);
        assert.deepEqual(error.data, { uri });
    }
});

for (const [name, open] of Object.entries({
    v1: async () => {
        const client = new ClientV1({ name: 'tests-v1', version: '1.0.0' });
        const transport = new TransportV1(url);
        await client.connect(transport);
        return { client, close: async () => (await transport.terminateSession(), await client.close()) };
    },
    v2: async () => {
        const client = new ClientV2({ name: 'tests-v2', version: '1.0.0' }, { versionNegotiation: { mode: { pin: MODERN } } });
        await client.connect(new TransportV2(url));
        return { client, close: () => client.close() };
    },
})) {
    test(`the SDK client ${name} finds and reads skills as resources`, async () => {
        const { client, close } = await open();
        try {
            const page = await client.listResources();
            const skill = page.resources.find((resource) => resource.name === 'pdf-forms');
            const { contents } = await client.readResource({ uri: skill.uri });
            assert.equal(contents[0].text, fs.readFileSync(path.join(skills, 'pdf-forms/SKILL.md'), 'utf8'));
            const asset = await client.readResource({ uri: 'skill://pdf-forms/assets/stamp.png' });
            assert.ok(Buffer.from(asset.contents[0].blob, 'base64').equals(fs.readFileSync(path.join(skills, 'pdf-forms/assets/stamp.png'))));
            await assert.rejects(client.readResource({ uri: 'skill://pdf-forms/none' }), (error) => [-32602, -32002].includes(error.code));
        } finally {
            await close();
        }
    });
}

test('a skill that is written, changed and removed is told of', async () => {
    const uri = 'skill://new-one/notes.txt';
    const listener = await Listener.open(port, { resourcesListChanged: true, resourceSubscriptions: [uri] });
    const told = (method) => listener.messages.filter((message) => message.method === `notifications/resources/${method}`).length;
    const directory = path.join(base, 'staging/new-one');
    fs.mkdirSync(directory, { recursive: true });
    fs.writeFileSync(path.join(directory, 'SKILL.md'), '---\nname: new-one\ndescription: Just written.\n---\n');
    fs.writeFileSync(path.join(directory, 'notes.txt'), 'first');
    fs.renameSync(directory, path.join(skills, 'new-one'));
    await until(() => told('list_changed') === 1, 5000, 'list_changed after a skill was put there');
    assert.deepEqual(await names(), ['new-one', 'pdf-forms', 'release-notes', 'sql-review']);
    assert.equal((await read(uri)).text, 'first');
    const before = (await listed())[0].resources[1].digest;

    fs.writeFileSync(path.join(skills, 'new-one/notes.txt'), 'other');
    await until(() => told('updated') === 1, 5000, 'updated after a file of it was written');
    await until(() => told('list_changed') === 2, 5000, 'list_changed, for the digest is another');
    await until(async () => (await listed())[0].resources[1].digest !== before, 5000, 'the new digest');
    assert.equal((await read(uri)).text, 'other');

    fs.writeFileSync(path.join(skills, 'new-one/SKILL.md'), '---\nname: new-one\n---\n');
    await daemon.waitLog(/office: the skill in .*new-one is left out: "description" must be/, 5000);
    await until(async () => !(await names()).includes('new-one'), 5000, 'a broken skill to go');
    assert.equal((await ask('resources/read', { uri })).error.code, -32602);

    fs.rmSync(path.join(skills, 'new-one'), { recursive: true });
    await sleep(600);
    assert.equal(told('list_changed'), 3, 'one for each difference');
    listener.close();
});
test('many changes at once are told of as few, and none is lost', async () => {
    const listener = await Listener.open(port, { resourcesListChanged: true });
    for (let i = 0; i < 30; i++) {
        fs.mkdirSync(path.join(skills, `bulk-${i}`));
        fs.writeFileSync(path.join(skills, `bulk-${i}/SKILL.md`), `---\nname: bulk-${i}\ndescription: Number ${i}.\n---\n`);
    }
    await until(async () => (await names()).length === 33, 10_000, 'all thirty');
    for (let i = 0; i < 30; i++) fs.rmSync(path.join(skills, `bulk-${i}`), { recursive: true });
    await until(async () => (await names()).length === 3, 10_000, 'none of the thirty');
    assert.ok(listener.messages.length - 1 <= 10, `${listener.messages.length - 1} notifications`);
    listener.close();
});
test('where the last skill goes, the extension is no longer declared', async () => {
    daemon.writeConfig({ ...daemon.config, providers: { office: { plugin: 'skills', config: { directories: [path.join(base, 'staging')] } } } });
    daemon.reload();
    await until(async () => !(SKILLS in ((await ask('server/discover')).result.capabilities.extensions ?? {})), 5000, 'no skills in discover');
    assert.deepEqual((await ask('skills/list')).result.skills, []);
    assert.equal((await ask('resources/directory/read', { uri: 'skill://pdf-forms' })).error.code, -32602);
    await daemon.stop();
});
test('a directory that is not there keeps the provider away, with the place in the configuration', async () => {
    const wrong = await Daemon.start({
        plugins: ['skills'],
        config: { providers: { office: { plugin: 'skills', config: { directories: ['/nowhere/at/all'] } } } },
    });
    await wrong.waitLog(/mcpd\.json:\d+:\d+.*cannot open the directory \/nowhere\/at\/all/, 5000);
    await wrong.stop();
});

await done();
