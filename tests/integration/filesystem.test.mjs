// SPDX-License-Identifier: MIT
// The same session against the reference server for files (npm's
// @modelcontextprotocol/server-filesystem) and plugins/filesystem through mcpd,
// each over a tree of its own of the same content: the answers are the same but
// for the differences that mcp-filesystem(7) lists. Then what only mcpd has.
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { assert, done, finallyDo, sleep, SLOW_BINARY, test, until } from './lib/check.mjs';
import { Daemon, ROOT, temporaryDirectory } from './lib/daemon.mjs';
import { rss } from './lib/proc.mjs';

import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { ResourceUpdatedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const base = fs.realpathSync(temporaryDirectory('mcpd-files'));
const PNG = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');
const code = Array.from({ length: 60 }, (_, i) => (i % 7 === 0 ? `void f${i}(void)\n{` : `    step(${i});`)).join('\n') + '\n';
function plant(name) {
    const root = path.join(base, name);
    for (const directory of ['src/deep/er', 'docs', 'empty', 'node_modules/left-pad', '.hidden']) fs.mkdirSync(path.join(root, directory), { recursive: true });
    const put = (file, content) => fs.writeFileSync(path.join(root, file), content);
    put('a.txt', 'hello\nworld\nthird line\n');
    put('noeol.txt', 'one\ntwo\nthree');
    put('empty.txt', '');
    put('ünïcode 日本.txt', 'grüße 🎉\n');
    put('src/main.c', code);
    put('src/util.h', '#pragma once\n');
    put('src/deep/er/x.js', 'export const x = 1;\n');
    put('src/deep/y.js', 'export const y = 2;\n');
    put('docs/notes.md', '# Notes\n\n```sh\nmake\n```\n');
    put('docs/crlf.txt', 'one\r\ntwo\r\nthree\r\n');
    put('node_modules/left-pad/index.js', 'module.exports = 1;\n');
    put('.hidden/secret.js', 'hidden();\n');
    put('pixel.png', PNG);
    put('sound.wav', Buffer.concat([Buffer.from('RIFF\x24\0\0\0WAVEfmt ', 'latin1'), Buffer.alloc(28)]));
    put('data.bin', Buffer.from([0, 1, 2, 255, 254]));
    put('big.txt', 'x'.repeat(3000) + '\n');
    fs.chmodSync(path.join(root, 'src/main.c'), 0o640);
    return root;
}
const theirs = { root: plant('theirs') }, ours = { root: plant('ours') };

const daemon = await Daemon.start({
    plugins: ['filesystem'],
    config: { providers: { files: { plugin: 'filesystem', config: { allowed_paths: [ours.root], read_only: false } } } },
});
ours.client = new ClientV1({ name: 'tests', version: '1.0.0' });
await ours.client.connect(new TransportV1(new URL(`http://127.0.0.1:${daemon.port}/mcp`)));
await ours.client.listTools(); // from here on the client checks results against outputSchema
theirs.client = new ClientV1({ name: 'tests', version: '1.0.0' });
await theirs.client.connect(new StdioClientTransport({
    command: process.execPath,
    args: [path.join(ROOT, 'tests/integration/node_modules/@modelcontextprotocol/server-filesystem/dist/index.js'), theirs.root],
    stderr: 'ignore',
}));
finallyDo(() => theirs.client.close());
await theirs.client.listTools();

/** The answer, with the root's name taken out. */
async function ask(side, name, args) {
    const within = JSON.parse(JSON.stringify(args).replaceAll('@', side.root));
    const result = await side.client.callTool({ name, arguments: within });
    const text = result.content.map((block) => block.text ?? '').join('').replaceAll(side.root, '@');
    return { text, blocks: result.content, failed: result.isError === true, json: result.structuredContent };
}

// ---- The session ------------------------------------------------------------------

const lines = (text) => text.split('\n').filter(Boolean).sort();
// How an answer is compared; "the same" where mcp-filesystem(7) lists no difference.
const same = (a) => a.text;
const unordered = (a) => lines(a.text);
const named = { // list_directory has columns here, and "[FILE] name" there
    theirs: (a) => lines(a.text).map((line) => line.replace('[DIR] ', 'directory ').replace('[FILE] ', 'file ')),
    ours: (a) => a.json.entries.map((entry) => `${entry.type} ${entry.name}`).sort(),
};
const sorted = (nodes) => nodes.map((node) => ({ ...node, ...(node.children && { children: sorted(node.children) }) })).sort((a, b) => (a.name < b.name ? -1 : 1));
const tree = (a) => sorted(JSON.parse(a.text));
const media = (a) => (a.blocks[0].type === 'resource' ? ['resource', a.blocks[0].resource.blob, a.blocks[0].resource.mimeType] : [a.blocks[0].type, a.blocks[0].data, a.blocks[0].mimeType]);
const info = (a) => Object.fromEntries(lines(a.text).map((line) => line.split(/: (.*)/)).filter(([key]) => ['size', 'isDirectory', 'isFile', 'permissions'].includes(key)));
const sizes = { theirs: (a) => lines(a.text), ours: (a) => lines(a.text) };
const ended = () => 'done'; // the words are others
const refusal = () => 'refused'; // likewise
const whole = (a) => a.text.replace(/ - [^\n]*/g, ' - ...'); // the sentences of what cannot be read are others

const session = [
    ['list_allowed_directories', {}, same],
    ['read_file', { path: '@/a.txt' }, same],
    ['read_file', { path: 'a.txt' }, same],
    ['read_file', { path: '@/empty.txt' }, same],
    ['read_file', { path: '@/ünïcode 日本.txt' }, same],
    ['read_file', { path: '@/src/../a.txt' }, same],
    ['read_file', { path: '@//src///main.c' }, same],
    ['read_file', { path: '@/missing' }, refusal],
    ['read_file', { path: '@/src' }, refusal],
    ['read_file', { path: '/etc/passwd' }, refusal],
    ['read_file', { path: '@/../outside' }, refusal],
    ['read_file', { path: '@2/x' }, refusal],
    ['read_text_file', { path: '@/src/main.c' }, same],
    ['read_text_file', { path: '@/docs/crlf.txt' }, same],
    ['read_text_file', { path: '@/a.txt', head: 1 }, same],
    ['read_text_file', { path: '@/a.txt', head: 2 }, same],
    ['read_text_file', { path: '@/noeol.txt', head: 3 }, same],
    ['read_text_file', { path: '@/noeol.txt', head: 50 }, same],
    ['read_text_file', { path: '@/noeol.txt', tail: 1 }, same],
    ['read_text_file', { path: '@/noeol.txt', tail: 2 }, same],
    ['read_text_file', { path: '@/noeol.txt', tail: 50 }, same],
    ['read_text_file', { path: '@/empty.txt', tail: 5 }, same],
    ['read_text_file', { path: '@/src/main.c', head: 5 }, same],
    // Theirs counts what is behind the last newline as a line.
    ['read_text_file', { path: '@/src/main.c', tail: 5 }, { theirs: () => code.split('\n').slice(-5).join('\n'), ours: same, differs: true, expect: code.trimEnd().split('\n').slice(-5).join('\n') }],
    ['read_text_file', { path: '@/a.txt', head: 1, tail: 1 }, refusal],
    ['read_media_file', { path: '@/pixel.png' }, media],
    ['read_media_file', { path: '@/sound.wav' }, media],
    ['read_media_file', { path: '@/data.bin' }, media],
    ['read_media_file', { path: '@/missing.png' }, refusal],
    ['read_multiple_files', { paths: ['@/a.txt', '@/noeol.txt'] }, same],
    ['read_multiple_files', { paths: ['@/a.txt', '@/missing', '/etc/passwd', '@/empty.txt'] }, whole],
    ['list_directory', { path: '@' }, named],
    ['list_directory', { path: '@/src' }, named],
    ['list_directory', { path: '@/empty' }, named],
    ['list_directory', { path: '@/a.txt' }, refusal],
    ['list_directory_with_sizes', { path: '@/src' }, same],
    ['list_directory_with_sizes', { path: '@', sortBy: 'size' }, sizes],
    ['list_directory_with_sizes', { path: '@/empty' }, same],
    ['directory_tree', { path: '@' }, tree],
    ['directory_tree', { path: '@/src' }, tree],
    ['directory_tree', { path: '@/empty' }, tree],
    ['directory_tree', { path: '@', excludePatterns: ['node_modules'] }, tree],
    ['directory_tree', { path: '@', excludePatterns: ['*.txt', '**/*.js'] }, tree],
    ['directory_tree', { path: '@', excludePatterns: ['deep', '.hidden'] }, tree],
    ['search_files', { path: '@', pattern: '**/*.js' }, unordered],
    ['search_files', { path: '@', pattern: '*.txt' }, unordered],
    ['search_files', { path: '@', pattern: '**' }, unordered],
    ['search_files', { path: '@', pattern: 'src/**' }, unordered],
    ['search_files', { path: '@', pattern: '**/deep/**' }, unordered],
    ['search_files', { path: '@', pattern: '*.{c,h,png}' }, unordered],
    ['search_files', { path: '@', pattern: '**/[x-y].js' }, unordered],
    ['search_files', { path: '@', pattern: '**/[!x].js' }, unordered],
    ['search_files', { path: '@', pattern: '?.txt' }, unordered],
    ['search_files', { path: '@/src', pattern: '**/*.js', excludePatterns: ['deep/er/**'] }, unordered],
    ['search_files', { path: '@', pattern: '**/*.js', excludePatterns: ['node_modules/**', '.hidden/**'] }, unordered],
    ['search_files', { path: '@', pattern: '**/*.none' }, same],
    ['get_file_info', { path: '@/src/main.c' }, info],
    ['get_file_info', { path: '@/src' }, { theirs: (a) => ({ ...info(a), size: 0 }), ours: (a) => ({ ...info(a), size: 0 }) }],
    ['get_file_info', { path: '@/missing' }, refusal],
    ['edit_file', { path: '@/src/main.c', edits: [{ oldText: 'step(3);', newText: 'leap(3);' }], dryRun: true }, same],
    ['edit_file', { path: '@/src/main.c', edits: [{ oldText: 'step(3);', newText: 'leap(3);' }, { oldText: 'step(50);\n', newText: 'step(50);\n    more();\n' }] }, same],
    ['read_text_file', { path: '@/src/main.c' }, same],
    ['edit_file', { path: '@/src/main.c', edits: [{ oldText: 'step(8);\n  step(9);', newText: 'first();\n  second();' }] }, same],
    ['edit_file', { path: '@/noeol.txt', edits: [{ oldText: 'three', newText: 'four' }] }, same],
    ['edit_file', { path: '@/docs/notes.md', edits: [{ oldText: 'make', newText: 'make check' }] }, same],
    ['edit_file', { path: '@/docs/notes.md', edits: [{ oldText: 'not there', newText: 'x' }] }, refusal],
    ['edit_file', { path: '@/docs/crlf.txt', edits: [{ oldText: 'two', newText: '2' }], dryRun: true }, same],
    ['edit_file', { path: '/etc/hostname', edits: [{ oldText: 'a', newText: 'b' }] }, refusal],
    ['get_file_info', { path: '@/src/main.c' }, info],
    ['write_file', { path: '@/new.txt', content: 'grüße\n' }, ended],
    ['write_file', { path: '@/new.txt', content: 'again\n' }, ended],
    ['read_file', { path: '@/new.txt' }, same],
    ['write_file', { path: '@/src', content: 'x' }, refusal],
    ['write_file', { path: '@/none/x.txt', content: 'x' }, refusal],
    ['create_directory', { path: '@/made/by/us' }, ended],
    ['create_directory', { path: '@/made' }, ended],
    ['create_directory', { path: '/tmp/../etc/made' }, refusal],
    ['move_file', { source: '@/new.txt', destination: '@/made/moved.txt' }, ended],
    ['move_file', { source: '@/made/moved.txt', destination: '@/a.txt' }, refusal],
    ['move_file', { source: '@/missing', destination: '@/elsewhere' }, refusal],
    ['move_file', { source: '@/made', destination: '@/kept' }, ended],
    ['move_file', { source: '@/a.txt', destination: '/tmp/a.txt' }, refusal],
    ['list_directory', { path: '@/kept' }, named],
    ['directory_tree', { path: '@' }, tree],
];
for (const [index, [name, args, how]] of session.entries())
    test(`call ${index + 1}: ${name} ${JSON.stringify(args)}`, async () => {
        const [their, our] = await Promise.all([ask(theirs, name, args), ask(ours, name, args)]);
        assert.equal(their.failed, how === refusal, `theirs: ${their.text}`);
        assert.equal(our.failed, how === refusal, `ours: ${our.text}`);
        if (how.differs) {
            assert.equal(their.text, how.theirs(their));
            assert.equal(our.text, how.expect);
        } else assert.deepEqual((how.ours ?? how)(our), (how.theirs ?? how)(their));
    });
test('that were at least 60 calls, and both trees are the same now', async () => {
    assert.ok(session.length >= 60);
    const all = (root) => fs.readdirSync(root, { recursive: true, withFileTypes: true })
        .map((entry) => path.join(entry.parentPath ?? entry.path, entry.name))
        .map((file) => [path.relative(root, file), fs.statSync(file).mode, fs.statSync(file).isFile() ? fs.readFileSync(file, 'latin1') : ''])
        .sort(([a], [b]) => (a < b ? -1 : 1));
    if (!process.env.ONLY) assert.deepEqual(all(ours.root), all(theirs.root));
});

// ---- The differences that mcp-filesystem(7) lists, and that a call can show ---------

test('difference: line ends of an edited file stay', async () => {
    for (const side of [theirs, ours]) await ask(side, 'edit_file', { path: '@/docs/crlf.txt', edits: [{ oldText: 'two\nthree', newText: '2\n3' }] });
    assert.equal(fs.readFileSync(path.join(theirs.root, 'docs/crlf.txt'), 'utf8'), 'one\n2\n3\n');
    assert.equal(fs.readFileSync(path.join(ours.root, 'docs/crlf.txt'), 'utf8'), 'one\r\n2\r\n3\r\n');
});
test('difference: what is no text is refused as text', async () => {
    assert.match((await ask(theirs, 'read_file', { path: '@/data.bin' })).text, /�/);
    assert.match((await ask(ours, 'read_file', { path: '@/data.bin' })).text, /is not UTF-8 text .* read it with the encoding "base64"/);
});
test('difference: symbolic links are told as such, and absolute ones are not followed', async () => {
    for (const side of [theirs, ours]) fs.symlinkSync(path.join(side.root, 'a.txt'), path.join(side.root, 'docs/link'));
    assert.match((await ask(theirs, 'directory_tree', { path: '@/docs' })).text, /"link",\s*"type": "file"/);
    assert.match((await ask(ours, 'directory_tree', { path: '@/docs' })).text, /"link",\s*"type": "symlink"/);
    assert.ok(!(await ask(theirs, 'read_file', { path: '@/docs/link' })).failed);
    assert.match((await ask(ours, 'read_file', { path: '@/docs/link' })).text, /symbolic links must be relative/);
});

// ---- What only mcpd has -------------------------------------------------------------

test('search_content finds texts and expressions, with lines', async () => {
    let found = await ask(ours, 'search_content', { path: '@', pattern: 'EXPORT const', ignoreCase: true });
    assert.deepEqual(found.json.matches, [
        { path: 'src/deep/er/x.js', line: 1, text: 'export const x = 1;' },
        { path: 'src/deep/y.js', line: 1, text: 'export const y = 2;' }]);
    assert.match(found.text, /^src\/deep\/er\/x\.js:1: export const x = 1;\n/);
    found = await ask(ours, 'search_content', { path: '@', pattern: '^t\\w+$', regex: true, filePatterns: ['*.txt'] });
    assert.deepEqual(found.json.matches.map((m) => `${m.path}:${m.line}`), ['noeol.txt:2']);
    found = await ask(ours, 'search_content', { path: '@', pattern: 'step', maxResults: 3 });
    assert.equal(found.json.matches.length, 3);
    assert.equal(found.json.truncated, true);
    assert.match(found.text, /\[Not complete: there are more matches/);
    assert.match((await ask(ours, 'search_content', { path: '@', pattern: '(', regex: true })).text, /pattern is wrong at 1: missing closing parenthesis/);
});
test('a regular expression that never ends is ended', async () => {
    fs.writeFileSync(path.join(ours.root, 'aaaa'), `${'a'.repeat(50_000)}b\n`.repeat(20));
    const found = await ask(ours, 'search_content', { path: '@', pattern: '(a+)+$', regex: true, filePatterns: ['aaaa'] });
    assert.match(found.text, /too many steps/);
    fs.rmSync(path.join(ours.root, 'aaaa'));
}, { timeout: 60_000 });

test('media by the first bytes, whatever the name says', async () => {
    fs.writeFileSync(path.join(ours.root, 'lies.txt'), PNG);
    fs.writeFileSync(path.join(ours.root, 'lies.png'), 'only text\n');
    assert.deepEqual([(await ask(ours, 'read_media_file', { path: '@/lies.txt' })).json.mimeType, (await ask(ours, 'read_media_file', { path: '@/lies.png' })).json.mimeType], ['image/png', 'text/plain']);
    for (const name of ['lies.txt', 'lies.png']) fs.rmSync(path.join(ours.root, name));
});
test('many edits of one file at once: none is lost', async () => {
    const file = path.join(ours.root, 'counted');
    fs.writeFileSync(file, Array.from({ length: 40 }, (_, i) => `line ${i} open\n`).join(''));
    const results = await Promise.all(Array.from({ length: 40 }, (_, i) => ask(ours, 'edit_file', { path: '@/counted', edits: [{ oldText: `line ${i} open`, newText: `line ${i} done` }] })));
    for (const { text, failed } of results) assert.ok(!failed, text);
    assert.equal(fs.readFileSync(file, 'utf8'), Array.from({ length: 40 }, (_, i) => `line ${i} done\n`).join(''));
    fs.rmSync(file);
});
test('the diff of an edit, given to patch(1), makes the same file', async () => {
    const before = Array.from({ length: 300 }, (_, i) => `${i % 13} ${i % 5 ? 'same' : i}\n`).join('');
    const edits = [{ oldText: '0 0\n', newText: 'first\n' }, { oldText: '5 70\n', newText: '' }, { oldText: '2 15\n', newText: '2 15\nmore\nand more\n' }, { oldText: '4 290\n', newText: 'x\ny\n' }];
    fs.writeFileSync(path.join(ours.root, 'patched'), before);
    const { json } = await ask(ours, 'edit_file', { path: '@/patched', edits });
    fs.writeFileSync(path.join(base, 'copy'), before);
    execFileSync('patch', ['-s', path.join(base, 'copy')], { input: json.diff });
    assert.equal(fs.readFileSync(path.join(base, 'copy'), 'utf8'), fs.readFileSync(path.join(ours.root, 'patched'), 'utf8'));
    fs.rmSync(path.join(ours.root, 'patched'));
}, { skip: spawnSync('patch', ['--version']).error ? 'no patch here' : null });

// ---- Resources ----------------------------------------------------------------------

const uriOf = (...names) => `file://${[ours.root, ...names].join('/').split('/').map(encodeURIComponent).join('/')}`;
test('files are resources: listed from the top, and read by their URI', async () => {
    const { resources } = await ours.client.listResources();
    const uris = resources.map((resource) => resource.uri);
    for (const uri of [uriOf('noeol.txt'), uriOf('ünïcode 日本.txt'), uriOf('src', 'deep', 'y.js')]) assert.ok(uris.includes(uri), `${uri} of ${uris}`);
    assert.ok(uris.indexOf(uriOf('noeol.txt')) < uris.indexOf(uriOf('src', 'util.h')));
    const { resourceTemplates } = await ours.client.listResourceTemplates();
    assert.deepEqual(resourceTemplates.map((template) => template.uriTemplate), [`${uriOf()}/{+path}`]);
    for (const [name, member] of [['noeol.txt', 'text'], ['ünïcode 日本.txt', 'text'], ['src/util.h', 'text'], ['pixel.png', 'blob'], ['data.bin', 'blob']]) {
        const { contents } = await ours.client.readResource({ uri: uriOf(...name.split('/')) });
        assert.deepEqual(Buffer.from(contents[0][member], member === 'blob' ? 'base64' : 'utf8'), fs.readFileSync(path.join(ours.root, name)));
        if (name === 'pixel.png') assert.equal(contents[0].mimeType, 'image/png');
    }
});
test('what is no file, or outside, is no resource; escapes are decoded once', async () => {
    const refused = (uri, words) => assert.rejects(ours.client.readResource({ uri }), (error) => {
        assert.match(error.message, words, uri);
        return true;
    });
    await refused(`${uriOf()}/none`, /There is no /);
    await refused(`${uriOf()}/src`, /is a directory/);
    await refused(`${uriOf()}/../theirs/data.bin`, /leads out|not found/i);
    await refused(`${uriOf()}/%2e%2e/theirs/data.bin`, /leads out|not found/i);
    await refused(`${uriOf()}/%252e%252e/x`, /There is no /);
    await refused(`${uriOf()}/a%00.txt`, /NUL|not found|percent/i);
    for (const uri of ['file:///etc/passwd', 'file://evil/etc/passwd', 'file:///etc%2fpasswd', `file://${theirs.root}/data.bin`]) await refused(uri, /not found|no such|unknown/i);
});
test('paths of the template are completed, and what is offered can be read', async () => {
    assert.ok(ours.client.getServerCapabilities().completions);
    const complete = async (value) => (await ours.client.complete({ ref: { type: 'ref/resource', uri: `${uriOf()}/{+path}` }, argument: { name: 'path', value } })).completion;
    assert.deepEqual(await complete('src/'), { values: ['src/deep/', 'src/main.c', 'src/util.h'], hasMore: false });
    assert.deepEqual((await complete('ün')).values, ['ünïcode 日本.txt']);
    const { contents } = await ours.client.readResource({ uri: `${uriOf()}/${encodeURI((await complete('src/u')).values[0])}` });
    assert.equal(contents[0].text, '#pragma once\n');
    for (const value of ['../', '../theirs/', '/etc/', '%2e%2e/theirs/', 'none/', 'src/none']) assert.deepEqual((await complete(value)).values, [], value);
    fs.mkdirSync(path.join(ours.root, 'hundreds'));
    for (let i = 0; i < 101; i++) fs.writeFileSync(path.join(ours.root, 'hundreds', `${1000 + i}`), '');
    const { values, hasMore } = await complete('hundreds/');
    assert.deepEqual([values.length, values[99], hasMore], [100, 'hundreds/1099', true]);
    fs.rmSync(path.join(ours.root, 'hundreds'), { recursive: true });
});
test('who subscribes to a file hears of each change, and of nothing else', async () => {
    const heard = [];
    ours.client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => void heard.push(params.uri));
    const file = path.join(ours.root, 'src/deep/y.js');
    await ours.client.subscribeResource({ uri: uriOf('src', 'deep', 'y.js') });
    await until(() => { // the watches come after the start
        fs.appendFileSync(file, '// changed\n');
        return heard.length > 0;
    }, 5_000, 'an update', 300);
    fs.writeFileSync(path.join(ours.root, 'src/deep/other.js'), 'x');
    for (const change of [
        () => fs.renameSync(file, `${file}.old`), () => fs.renameSync(`${file}.old`, file), () => fs.chmodSync(file, 0o600), () => fs.rmSync(file), () => fs.writeFileSync(file, 'new\n'),
        () => ask(ours, 'edit_file', { path: '@/src/deep/y.js', edits: [{ oldText: 'new', newText: 'newer' }] }),
    ]) {
        await sleep(250); // what went before has been told
        const before = heard.length;
        await change();
        await until(() => heard.length > before, 5_000, `an update after ${change}`);
    }
    assert.deepEqual([...new Set(heard)], [uriOf('src', 'deep', 'y.js')]);
    // A directory that is made, and one that is moved, are watched, too.
    fs.mkdirSync(path.join(ours.root, 'late'));
    fs.writeFileSync(path.join(ours.root, 'late/file'), '1');
    await sleep(400);
    fs.renameSync(path.join(ours.root, 'late'), path.join(ours.root, 'later'));
    await ours.client.subscribeResource({ uri: uriOf('later', 'file') });
    await sleep(400);
    fs.appendFileSync(path.join(ours.root, 'later/file'), '2');
    await until(() => heard.includes(uriOf('later', 'file')), 5_000, 'an update of what was moved');
}, { timeout: 60_000 });
test('no more directories are watched than max_watches, and the log says so', async () => {
    const other = await Daemon.start({ plugins: ['filesystem'], config: { providers: { files: { plugin: 'filesystem', config: { allowed_paths: [ours.root], max_watches: 2 } } } } });
    await other.waitLog(/not all directories are watched for those who subscribe to their files; raise max_watches/);
    await other.stop();
});

// ---- A file of one gigabyte ---------------------------------------------------------

test('a file of 1 GB: the cap, the mark, and little memory', async () => {
    const file = path.join(ours.root, 'giga.txt');
    const chunk = Buffer.from(`${'0123456789abcde\n'.repeat(65_536)}`);
    const fd = fs.openSync(file, 'w');
    for (let i = 0; i < 1024; i++) fs.writeSync(fd, chunk);
    fs.closeSync(fd);
    await ask(ours, 'read_file', { path: '@/src/main.c' });
    const idle = rss(daemon.pid);
    let most = 0;
    const timer = setInterval(() => (most = Math.max(most, rss(daemon.pid))), 2);
    let answer = await ask(ours, 'read_file', { path: '@/giga.txt' });
    assert.equal(answer.json.content.length, 1 << 20);
    assert.deepEqual([answer.json.eof, answer.json.size, answer.json.next_offset], [false, 2 ** 30, 1 << 20]);
    assert.match(answer.text, /\[Bytes 0 to 1048575 of 1073741824\. There is more: go on with offset 1048576\.\]$/);
    for (const args of [{}, { head: 100_000_000 }, { tail: 100_000_000 }]) {
        answer = await ask(ours, 'read_text_file', { path: '@/giga.txt', ...args });
        assert.ok(answer.json.truncated && answer.json.content.length <= 1 << 20);
        assert.match(answer.text, /\[Not complete: \d+ of 1073741824 bytes/);
    }
    answer = await ask(ours, 'read_multiple_files', { paths: ['@/giga.txt', '@/a.txt'] });
    assert.match(answer.text, /\[Not complete: /);
    answer = await ask(ours, 'read_text_file', { path: '@/giga.txt', tail: 2 });
    assert.equal(answer.text, '0123456789abcde\n0123456789abcde');
    for (const [name, args] of [['read_media_file', {}], ['edit_file', { edits: [{ oldText: 'a', newText: 'b' }] }]])
        assert.match((await ask(ours, name, { path: '@/giga.txt', ...args })).text, /has 1073741824 bytes, more than the 10485760 that are read at once/);
    answer = await ask(ours, 'search_content', { path: '@', pattern: 'nowhere', filePatterns: ['giga.txt'] });
    assert.equal(answer.json.matches.length, 0);
    clearInterval(timer);
    most = Math.max(most, rss(daemon.pid));
    fs.rmSync(file);
    console.log(`      resident: ${(idle / 2 ** 20).toFixed(1)} MB idle, at most ${((most - idle) / 2 ** 20).toFixed(1)} MB more`);
    if (!SLOW_BINARY) assert.ok(most - idle <= 20 * 2 ** 20, `${most - idle} bytes`);
}, { timeout: 120_000 });

await done();
