// SPDX-License-Identifier: MIT
// ../shared/attacks.md, section 6.5, every row, through mcpd with the official
// client: what the published attacks on git servers get from plugins/git, in words.
import fs from 'node:fs';
import path from 'node:path';
import zlib from 'node:zlib';
import crypto from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { assert, done, SCALE, sleep, SLOW_BINARY, test, until } from './lib/check.mjs';
import { Daemon, temporaryDirectory } from './lib/daemon.mjs';
import { rss } from './lib/proc.mjs';
import { git, makeRepository, put } from './lib/repository.mjs';

import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const base = fs.realpathSync(temporaryDirectory('mcpd-git-attacks'));
const allowed = path.join(base, 'allowed');
const outside = path.join(base, 'outside');
const SECRET = 'the secret that must not leak';
const repository = makeRepository(path.join(allowed, 'repo'));
makeRepository(outside);
put(outside, 'secret.txt', SECRET);
git(outside, 'add', '-A');
git(outside, '-c', 'user.name=x', '-c', 'user.email=x@y', 'commit', '-qm', SECRET);
makeRepository(path.join(base, 'allowed_too'));
put(base, 'outside.txt', SECRET);

const daemon = await Daemon.start({
    plugins: ['git'],
    config: { providers: { git: { plugin: 'git', config: { allowed_paths: [allowed], read_only: false, author_name: 'R', author_email: 'r@example.org' } } } },
});
const client = new ClientV1({ name: 'tests', version: '1.0.0' });
await client.connect(new TransportV1(new URL(`http://127.0.0.1:${daemon.port}/mcp`)));
const call = async (name, args) => {
    const result = await client.callTool({ name, arguments: args }, undefined, { timeout: 60_000 * SCALE });
    return { text: result.content[0].text, json: result.structuredContent, failed: result.isError === true };
};
const good = async (name, args) => {
    const result = await call(name, args);
    assert.ok(!result.failed, `${name} ${JSON.stringify(args)}: ${result.text}`);
    return result;
};
async function refused(name, args, words) {
    const { text, failed } = await call(name, args);
    assert.ok(failed, `${name} ${JSON.stringify(args)} was answered: ${text}`);
    assert.ok(!text.includes(SECRET), text);
    assert.match(text, words);
}
/** Every tool that reads refuses this repository. */
async function closed(directory, words) {
    for (const [name, args] of [['git_status', {}], ['git_log', {}], ['git_show', {}], ['git_diff_unstaged', {}], ['git_show_file', { path: 'README.md' }], ['git_branch', {}]])
        await refused(name, { repo_path: directory, ...args }, words);
}
const copies = [];
function copy(name) {
    const directory = path.join(allowed, name);
    fs.cpSync(repository, directory, { recursive: true, verbatimSymlinks: true });
    copies.push(directory);
    return directory;
}

// ---- Argument injection (CVE-2025-68144 and its family) ----------------------------

const evil = path.join(base, 'evil');
const DASH = /begins with "-"; options are not taken here/;
for (const [name, argument, values, rest = {}] of [
    ['git_diff', 'target', [`--output=${evil}`, '--help', '-p', '--ext-diff']],
    ['git_checkout', 'branch_name', ['--orphan=evil', '-f', '-b']],
    ['git_show', 'revision', [`--output=${evil}`, '--format=evil']],
    ['git_create_branch', 'branch_name', ['--track=evil', '-f']],
    ['git_create_branch', 'base_branch', ['--track=evil'], { branch_name: 'new' }],
    ['git_log', 'revision', ['--exec=evil', `--output=${evil}`]],
    ['git_log', 'start_timestamp', ['--exec=evil']],
    ['git_log', 'end_timestamp', ['--exec=evil']],
    ['git_log', 'author', ['--exec=evil']],
    ['git_log', 'path', ['--exec=evil']],
    ['git_branch', 'contains', ['--exec=evil']],
    ['git_branch', 'not_contains', ['--exec=evil']],
    ['git_blame', 'path', ['--contents=/etc/passwd']],
    ['git_blame', 'revision', ['--contents=/etc/passwd'], { path: 'README.md' }],
    ['git_show_file', 'revision', ['--output=x'], { path: 'README.md' }],
    ['git_search', 'revision', ['--open-files-in-pager=evil'], { query: 'x' }],
    ['git_add', 'files', [['-A'], ['--chmod=+x'], ['README.md', '-f']]],
]) {
    for (const value of values) {
        test(`${name} ${argument} ${value} is refused`, async () => {
            const before = git(repository, 'for-each-ref') + git(repository, 'status', '--short');
            await refused(name, { repo_path: repository, ...rest, [argument]: value }, DASH);
            assert.equal(git(repository, 'for-each-ref') + git(repository, 'status', '--short'), before);
            assert.ok(!fs.existsSync(evil));
        });
    }
}
test('a reference that exists and looks like an option is refused all the same', async () => {
    const directory = copy('refs');
    const head = git(directory, 'rev-parse', 'HEAD');
    fs.writeFileSync(path.join(directory, '.git/refs/heads/--output=evil.txt'), head);
    fs.writeFileSync(path.join(directory, '.git/refs/heads/--orphan=evil'), head);
    for (const revision of ['--output=evil.txt', '--orphan=evil']) {
        await refused('git_diff', { repo_path: directory, target: revision }, DASH);
        await refused('git_diff', { repo_path: directory, target: `HEAD..${revision}` }, /is not a range|begins with "-"/);
        await refused('git_checkout', { repo_path: directory, branch_name: revision }, DASH);
    }
    assert.ok(!fs.existsSync(path.join(directory, 'evil.txt')));
    assert.equal(git(directory, 'symbolic-ref', 'HEAD'), 'refs/heads/main\n');
});
test('revisions with control characters, patterns, and names that are none', async () => {
    for (const revision of ['HEAD\n--output=x', 'HEAD\u0000', '\u0007'])
        await refused('git_show', { repo_path: repository, revision }, /control character/);
    for (const revision of [':/First', 'HEAD^{/First}']) await refused('git_show', { repo_path: repository, revision }, /git_search/);
    for (const revision of ['refs/../../outside', '../../HEAD', 'a..b..c', '@{', 'HEAD^{', 'x'.repeat(2000)])
        await refused('git_log', { repo_path: repository, revision }, /no revision|not a range|longer than/);
    for (const name of ['a..b', 'a b', 'HEAD', 'x.lock', 'a~b', '/a', 'a/', '@{x'])
        await refused('git_create_branch', { repo_path: repository, branch_name: name }, /cannot be the name of a branch/);
});

test('names in the form of git describe are found, and what only looks like one is not', async () => {
    const head = git(repository, 'rev-parse', 'HEAD').trim();
    for (const revision of [`v1-3-g${head.slice(0, 10)}`, `any-thing-12-g${head}~0`])
        assert.match((await good('git_log', { repo_path: repository, revision, max_count: 1 })).text, new RegExp(head));
    for (const revision of ['x-gzz', 'v1-3-g00000000', 'x-g', '-1-g'.slice(1), 'x-y-gabcd'])
        await refused('git_log', { repo_path: repository, revision }, /There is no revision/);
});

// ---- Repository scope (CVE-2025-68145) ----------------------------------------------

test('repositories outside are refused, however they are named', async () => {
    fs.symlinkSync(outside, path.join(allowed, 'escape_link'));
    fs.symlinkSync('../outside', path.join(allowed, 'relative_link'));
    for (const directory of [outside, `${allowed}/../outside`, '../outside', 'repo/../../outside', path.join(allowed, 'escape_link'), 'relative_link', `${allowed}_too`, '/', '/proc/self/root', '..'])
        await closed(directory, /leads out of the allowed directory|is not in an allowed directory|cannot be followed/);
    await closed(`${repository}\u0000/../../outside`, /NUL character/);
    await closed('file:///etc', /is a URI/);
    await closed(`${allowed}/${'x/'.repeat(3000)}`, /longer than 4095/);
    await closed(path.join(repository, 'src'), /not a git repository/);
    await closed(allowed, /not a git repository/);
    fs.unlinkSync(path.join(allowed, 'escape_link'));
    fs.unlinkSync(path.join(allowed, 'relative_link'));
});
test('a symbolic link that stays inside is followed', async () => {
    fs.symlinkSync('repo', path.join(allowed, 'inside_link'));
    assert.equal((await good('git_log', { repo_path: 'inside_link', max_count: 1 })).json.commits.length, 1);
});
test('a .git that leads out is refused: file, symbolic link, commondir, work tree, alternates', async () => {
    const cases = {
        gitfile: (d) => { fs.rmSync(path.join(d, '.git'), { recursive: true }); fs.writeFileSync(path.join(d, '.git'), `gitdir: ${outside}/.git\n`); },
        gitfile_relative: (d) => { fs.rmSync(path.join(d, '.git'), { recursive: true }); fs.writeFileSync(path.join(d, '.git'), 'gitdir: ../../outside/.git\n'); },
        gitlink: (d) => { fs.rmSync(path.join(d, '.git'), { recursive: true }); fs.symlinkSync(path.join(outside, '.git'), path.join(d, '.git')); },
        commondir: (d) => fs.writeFileSync(path.join(d, '.git/commondir'), `${outside}/.git\n`),
        alternates: (d) => fs.writeFileSync(path.join(d, '.git/objects/info/alternates'), `${outside}/.git/objects\n`),
        alternates_relative: (d) => fs.writeFileSync(path.join(d, '.git/objects/info/alternates'), '../../../../outside/.git/objects\n'),
    };
    for (const [name, change] of Object.entries(cases)) {
        const directory = copy(name);
        change(directory);
        await closed(directory, /not beneath the allowed directory|leads out of the allowed directory/);
    }
    const worktree = copy('worktree');
    git(worktree, 'config', 'core.worktree', outside);
    await closed(worktree, /core\.worktree/);
});
test('symbolic links, FIFOs and includes in a git directory are refused, and nothing waits', async () => {
    const cases = {
        objects: [(d) => { fs.rmSync(path.join(d, '.git/objects'), { recursive: true }); fs.symlinkSync(path.join(outside, '.git/objects'), path.join(d, '.git/objects')); }, /objects is a symbolic link/],
        refs: [(d) => fs.symlinkSync(path.join(outside, '.git/refs/heads/main'), path.join(d, '.git/refs/heads/evil')), /evil is a symbolic link/],
        packed: [(d) => fs.symlinkSync(path.join(outside, 'secret.txt'), path.join(d, '.git/packed-refs')), /packed-refs is a symbolic link/],
        exclude: [(d) => { fs.rmSync(path.join(d, '.git/info/exclude'), { force: true }); fs.symlinkSync('/etc/passwd', path.join(d, '.git/info/exclude')); }, /exclude is a symbolic link/],
        fifo: [(d) => { fs.rmSync(path.join(d, '.git/index')); execFileSync('mkfifo', [path.join(d, '.git/index')]); }, /index is a FIFO/],
        remotes: [(d) => { fs.mkdirSync(path.join(d, '.git/refs/remotes/origin'), { recursive: true }); fs.writeFileSync(path.join(d, '.git/refs/remotes/origin/HEAD'), 'ref: refs/remotes/origin/main\n'); fs.symlinkSync(outside, path.join(d, '.git/refs/remotes/origin/hooks')); }, /hooks is a symbolic link/],
        include: [(d) => fs.appendFileSync(path.join(d, '.git/config'), `[include]\n\tpath = ${outside}/secret.txt\n`), /includes other files/],
        include_if: [(d) => fs.appendFileSync(path.join(d, '.git/config'), `[core] [ INCLUDEIF "gitdir:/"] path = ${outside}/secret.txt\n`), /includes other files/],
    };
    for (const [name, [change, words]] of Object.entries(cases)) {
        const directory = copy(name);
        change(directory);
        await closed(directory, words);
    }
});
test('.gitignore and the like that are links or FIFOs are refused where the work tree is read', async () => {
    for (const name of ['.gitignore', 'src/.gitattributes', '.gitmodules']) {
        const link = copy(`link_${path.basename(name)}`);
        fs.symlinkSync(path.join(outside, 'secret.txt'), path.join(link, name));
        await refused('git_status', { repo_path: link }, /is a symbolic link, not a file/);
        const fifo = copy(`fifo_${path.basename(name)}`);
        execFileSync('mkfifo', [path.join(fifo, name)]);
        await refused('git_diff_unstaged', { repo_path: fifo }, /is a FIFO, not a file/);
    }
    const modules = copy('modules');
    put(modules, '.gitmodules', `[include]\n\tpath = ${outside}/secret.txt\n`);
    await refused('git_status', { repo_path: modules }, /includes other files/);
});
test('a tracked file that became a FIFO does not block', async () => {
    const directory = copy('fifo_file');
    fs.rmSync(path.join(directory, 'README.md'));
    execFileSync('mkfifo', [path.join(directory, 'README.md'), path.join(directory, 'new-fifo')]);
    await good('git_status', { repo_path: directory });
    await good('git_diff_unstaged', { repo_path: directory });
    await good('git_diff', { repo_path: directory, target: 'HEAD' });
    await refused('git_add', { repo_path: directory, files: ['new-fifo'] }, /FIFO/);
});

// ---- No unrestricted init (CVE-2025-68143) -------------------------------------------

test('there is no git_init', async () => {
    const { tools } = await client.listTools();
    assert.ok(!tools.some((tool) => /init|clone|config|push|fetch|remote/.test(tool.name)));
    await assert.rejects(client.callTool({ name: 'git_init', arguments: { repo_path: path.join(base, '.ssh') } }), /git_init|[Uu]nknown tool/);
    assert.ok(!fs.existsSync(path.join(base, '.ssh')));
});

// ---- Staging outside the tree (CVE-2026-27735) ---------------------------------------

test('git_add stages nothing from outside the work tree', async () => {
    const directory = copy('stage');
    fs.symlinkSync(outside, path.join(directory, 'link_out'));
    fs.symlinkSync(path.join(outside, 'secret.txt'), path.join(directory, 'secret_link'));
    const before = git(directory, 'ls-files', '-s');
    for (const [file, words] of [
        ['../outside.txt', /climbs out/], ['../../outside.txt', /climbs out/], ['src/../../x', /climbs out/], ['../../../.kube/config', /climbs out/],
        [path.join(base, 'outside.txt'), /not in the repository/], ['/etc/passwd', /not in the repository/], [`${directory}/../../outside.txt`, /climbs out/],
        ['link_out/secret.txt', /symbolic link is on the way|There is no file/], ['.git/config', /git's own directory/], ['.GIT/config', /git's own directory/], ['a\u0000b', /NUL/],
        ['nothing-there', /There is no file/],
    ]) await refused('git_add', { repo_path: directory, files: [file] }, words);
    assert.equal(git(directory, 'ls-files', '-s'), before);
    // A link is staged as a link, with where it leads and not what is there.
    await good('git_add', { repo_path: directory, files: ['secret_link'] });
    assert.match(git(directory, 'ls-files', '-s', 'secret_link'), /^120000 /);
    assert.equal(git(directory, 'show', ':secret_link'), path.join(outside, 'secret.txt'));
    assert.ok(!fs.existsSync(path.join(directory, '.git/index.lock')) && !fs.existsSync(path.join(directory, '.git/index.new')));
});

// ---- Code execution through configuration and attributes ------------------------------

test('no hook, filter, diff driver, monitor or ssh command of a repository is run', async () => {
    const directory = copy('config');
    const mark = path.join(base, 'executed');
    const script = path.join(base, 'evil.sh');
    fs.writeFileSync(script, `#!/bin/sh\necho "$0 $*" >>${mark}\ncat\n`, { mode: 0o755 });
    for (const [key, value] of Object.entries({
        'core.fsmonitor': script, 'core.sshCommand': script, 'core.pager': script, 'core.editor': script, 'core.hooksPath': base, 'core.askPass': script,
        'filter.x.smudge': script, 'filter.x.clean': script, 'filter.x.process': script, 'filter.x.required': 'true', 'diff.external': script, 'diff.x.textconv': script, 'diff.x.command': script,
        'diff.x.xfuncname': '(a+)+$', 'merge.x.driver': script, 'gpg.program': script, 'commit.gpgsign': 'true', 'core.gitProxy': script, 'core.excludesFile': path.join(outside, 'secret.txt'), 'core.attributesFile': path.join(outside, 'secret.txt'),
    })) git(directory, 'config', key, value);
    for (const hook of ['pre-commit', 'post-commit', 'commit-msg', 'prepare-commit-msg', 'post-checkout', 'reference-transaction', 'post-index-change', 'fsmonitor-watchman']) {
        fs.mkdirSync(path.join(directory, '.git/hooks'), { recursive: true });
        fs.copyFileSync(script, path.join(directory, '.git/hooks', hook));
        fs.copyFileSync(script, path.join(base, hook));
    }
    put(directory, '.gitattributes', '*.txt filter=x diff=x merge=x\n*.c diff=x\n');
    put(directory, 'docs-notes.txt', 'changed\n');
    put(directory, 'src/main.c', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\n');
    const at = { repo_path: directory };
    for (const [name, args] of [
        ['git_status', {}], ['git_diff_unstaged', {}], ['git_diff', { target: 'HEAD' }], ['git_diff', { target: 'light..main' }], ['git_log', {}], ['git_show', {}], ['git_blame', { path: 'docs-notes.txt' }],
        ['git_show_file', { path: 'docs-notes.txt' }], ['git_search', { query: 'note' }], ['git_branch', {}], ['git_tags', {}], ['git_add', { files: ['src/main.c', '.gitattributes'] }], ['git_diff_staged', {}],
        ['git_commit', { message: 'Made by mcpd' }], ['git_create_branch', { branch_name: 'made' }], ['git_reset', {}], ['git_checkout', { branch_name: 'made' }],
    ]) await good(name, { ...at, ...args });
    await refused('git_add', { ...at, files: ['docs-notes.txt'] }, /has the filter "x".*mcpd runs no filters/);
    git(directory, '-c', 'core.fsmonitor=', '-c', 'core.hooksPath=/dev/null', '-c', 'filter.x.clean=cat', '-c', 'filter.x.process=', 'checkout-index', '-f', '--', 'README.md');
    fs.rmSync(mark, { force: true });
    await good('git_checkout', { ...at, branch_name: 'made' });
    assert.ok(!fs.existsSync(mark), fs.existsSync(mark) ? fs.readFileSync(mark, 'utf8') : '');
});
test('a hook or a filter is not run at a checkout that writes files, and links out are not written through', async () => {
    const directory = copy('checkout');
    const mark = path.join(base, 'executed-too');
    const script = path.join(base, 'evil2.sh');
    fs.writeFileSync(script, `#!/bin/sh\ntouch ${mark}\ncat\n`, { mode: 0o755 });
    git(directory, 'config', 'filter.x.smudge', script);
    put(directory, '.git/info/attributes', '* filter=x\n');
    fs.copyFileSync(script, path.join(directory, '.git/hooks/post-checkout'));
    await good('git_checkout', { repo_path: directory, branch_name: 'topic' });
    assert.ok(!fs.existsSync(mark));
    assert.equal(fs.readFileSync(path.join(directory, 'notes.txt'), 'utf8'), git(directory, 'show', 'topic:notes.txt'));
    // An untracked link where a directory shall be: refused, not followed.
    git(directory, '-c', 'filter.x.smudge=cat', 'checkout', '-q', 'light');
    fs.rmSync(path.join(directory, 'ünïcode'), { recursive: true, force: true });
    fs.symlinkSync(outside, path.join(directory, 'ünïcode'));
    await refused('git_checkout', { repo_path: directory, branch_name: 'main' }, /would be overwritten/);
    assert.ok(!fs.existsSync(path.join(outside, '日本語.txt')));
});
test('objects that would unpack to more than max_object_size are not unpacked', async () => {
    const directory = copy('bomb');
    const bomb = path.join(base, 'bomb.bin');
    fs.writeFileSync(bomb, Buffer.alloc(64 << 20));
    fs.copyFileSync(bomb, path.join(directory, 'bomb.bin'));
    git(directory, 'add', 'bomb.bin');
    git(directory, '-c', 'user.name=x', '-c', 'user.email=x@y', 'commit', '-qm', 'Bomb');
    await refused('git_show_file', { repo_path: directory, path: 'bomb.bin' }, /larger than the 33554432 bytes/);
    await refused('git_blame', { repo_path: directory, path: 'bomb.bin' }, /larger than/);
    assert.match((await good('git_show', { repo_path: directory })).text, /Binary files .*bomb\.bin differ/);
    await good('git_search', { repo_path: directory, query: 'step' });
});
// A pack and its index that say what no git would write. Of an object: its type in the
// pack, the size that is declared, what is deflated, the base that it is a difference to,
// and the id under which it is found.
const [TREE, BLOB, REF_DELTA] = [2, 3, 7];
const sha1 = (...parts) => parts.reduce((hash, part) => hash.update(part), crypto.createHash('sha1')).digest();
const idOf = (content) => sha1(`blob ${content.length}\0`, content);
function varint(number, bits = 7) {
    const bytes = [];
    for (let left = BigInt(number), first = bits; ; first = 7) {
        const low = Number(left & ((1n << BigInt(first)) - 1n));
        left >>= BigInt(first);
        bytes.push(low | (left > 0n ? 0x80 : 0));
        if (left === 0n) return Buffer.from(bytes);
    }
}
function writePack(directory, objects) {
    const u32 = (numbers) => Buffer.concat(numbers.map((number) => { const b = Buffer.alloc(4); b.writeUInt32BE(number); return b; }));
    const parts = [Buffer.from('PACK'), u32([2, objects.length])];
    let at = 12;
    for (const object of objects) {
        const head = varint(object.size, 4);
        head[0] = (head[0] & 0x80) | (object.type << 4) | (head[0] & 0x0f);
        const whole = Buffer.concat([head, object.base ?? Buffer.alloc(0), object.deflated ?? zlib.deflateSync(object.data)]);
        object.at = at;
        at += whole.length;
        parts.push(whole);
    }
    const pack = Buffer.concat(parts), sum = sha1(pack);
    const sorted = [...objects].sort((a, b) => Buffer.compare(a.id, b.id));
    const index = Buffer.concat([
        Buffer.from([0xff, 0x74, 0x4f, 0x63, 0, 0, 0, 2]), u32(Array.from({ length: 256 }, (_, i) => sorted.filter(({ id }) => id[0] <= i).length)),
        ...sorted.map(({ id }) => id), u32(sorted.map(() => 0)), u32(sorted.map((object) => object.at)), sum,
    ]);
    const stem = path.join(directory, '.git/objects/pack', `pack-${sum.toString('hex')}`);
    fs.mkdirSync(path.dirname(stem), { recursive: true });
    fs.writeFileSync(`${stem}.pack`, Buffer.concat([pack, sum]));
    fs.writeFileSync(`${stem}.idx`, Buffer.concat([index, sha1(index)]));
}
/** Copies the first bytes of a base of this size, and has nothing else in it. */
const firstBytes = (base, count) => Buffer.concat([varint(base), varint(count), Buffer.from([0x90, count])]);
/** A commit whose tree has the object, under the name "file". */
function commitOf(directory, id) {
    const tree = execFileSync('git', ['-C', directory, 'mktree', '--missing'], { input: `100644 blob ${id.toString('hex')}\tfile\n` }).toString().trim();
    return git(directory, '-c', 'user.name=x', '-c', 'user.email=x@y', 'commit-tree', '-m', 'Crafted', tree).trim();
}

test('a difference is read when its base is of a good size', async () => {
    const directory = copy('delta');
    const base = Buffer.alloc(1000, 'a'), small = Buffer.alloc(10, 'a');
    writePack(directory, [
        { id: idOf(base), type: BLOB, size: base.length, data: base },
        { id: idOf(small), type: REF_DELTA, base: idOf(base), size: firstBytes(1000, 10).length, data: firstBytes(1000, 10) },
    ]);
    const { json } = await good('git_show_file', { repo_path: directory, path: 'file', revision: commitOf(directory, idOf(small)) });
    assert.equal(json.content, 'aaaaaaaaaa');
});
test('a small object that is packed as the difference to a huge one is not unpacked', async () => {
    const directory = copy('delta_bomb');
    const huge = Buffer.alloc(64 << 20), small = Buffer.alloc(10);
    const delta = firstBytes(huge.length, 10);
    writePack(directory, [
        { id: idOf(huge), type: BLOB, size: huge.length, data: huge },
        { id: idOf(small), type: REF_DELTA, base: idOf(huge), size: delta.length, data: delta },
    ]);
    assert.ok(fs.readdirSync(path.join(directory, '.git/objects/pack')).every((name) => fs.statSync(path.join(directory, '.git/objects/pack', name)).size < 1 << 20));
    const revision = commitOf(directory, idOf(small));
    await refused('git_show_file', { repo_path: directory, path: 'file', revision }, /packed as the difference to one that is larger than the 33554432 bytes/);
    await refused('git_blame', { repo_path: directory, path: 'file', revision }, /larger than the 33554432 bytes/);
    // Of a commit that has it, the rest is read.
    await good('git_log', { repo_path: directory, revision });
    await good('git_search', { repo_path: directory, query: 'x', revision });
});
test('sizes that a pack only declares take no memory', async () => {
    const directory = copy('declared');
    const base = Buffer.alloc(1000, 'b');
    const objects = [{ id: idOf(base), type: BLOB, size: base.length, data: base }];
    const lying = (name, object) => objects.push({ id: sha1(name), size: object.data.length, ...object }) && sha1(name);
    const delta = (from, to) => Buffer.concat([varint(from), varint(to), Buffer.from([0x90, 10])]);
    const cases = [
        lying('a blob', { type: BLOB, size: 1n << 40n, data: base }),
        lying('a difference', { type: REF_DELTA, base: idOf(base), size: 1n << 40n, data: delta(1000, 10) }),
        lying('a result', { type: REF_DELTA, base: idOf(base), data: delta(1000, 1 << 30) }),
        lying('a base', { type: REF_DELTA, base: sha1('a blob'), data: delta(1n << 40n, 10) }),
    ];
    writePack(directory, objects);
    for (const id of cases) await refused('git_show_file', { repo_path: directory, path: 'file', revision: commitOf(directory, id) }, /larger than the 33554432 bytes/);
});
test('a difference that ends too early ends', async () => {
    // The last is a stored block of 65535 bytes, of which the pack has none.
    const whole = zlib.deflateSync(firstBytes(1000, 10));
    for (const [name, deflated] of [['short', whole.subarray(0, 4)], ['none', whole.subarray(0, 0)], ['stored', Buffer.from([0x78, 0x01, 0, 0xff, 0xff, 0, 0])]]) {
        const directory = copy(`cut_${name}`);
        const base = Buffer.alloc(1000, 'c');
        writePack(directory, [
            { id: idOf(base), type: BLOB, size: base.length, data: base },
            { id: sha1('cut'), type: REF_DELTA, base: idOf(base), size: 6, deflated },
        ]);
        await refused('git_show_file', { repo_path: directory, path: 'file', revision: commitOf(directory, sha1('cut')) }, /^Cannot read the file: /);
    }
});
test('files of a repository that say they are huge take no memory', async () => {
    for (const [name, words] of [['index', /has 314572800 bytes, more than the 256 MiB/], ['packed-refs', /has 314572800 bytes, more than the 256 MiB/], ['HEAD', /needs more than 256 MiB of memory at once/]]) {
        const directory = copy(`sparse_${path.basename(name)}`);
        fs.closeSync(fs.openSync(path.join(directory, '.git', name), 'a'));
        fs.truncateSync(path.join(directory, '.git', name), 300 << 20);
        await refused('git_show', { repo_path: directory }, words);
    }
});
// ---- Patterns: libgit2 1.5 loses 20 KB for each text that does not match one ----------

/** Has the daemon, with its workers, grown by less than this many MiB? */
async function staysSmall(mib, calls) {
    const before = rss(daemon.pid);
    await calls();
    if (!SLOW_BINARY) assert.ok(rss(daemon.pid) - before < mib << 20, `grew by ${(rss(daemon.pid) - before) >> 20} MiB`);
}
const MANY = SLOW_BINARY ? 50 : 1500;
const settings = Array.from({ length: MANY }, (_, i) => `[branch "b${i}"]\n\tremote = origin\n`).join('');

test('a configuration of many settings loses no memory when the upstream is looked for', async () => {
    const directory = copy('settings');
    git(directory, 'update-ref', 'refs/remotes/origin/main', 'HEAD');
    fs.appendFileSync(path.join(directory, '.git/config'), `[remote "origin"]\n\turl = x\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n[branch "main"]\n\tremote = origin\n\tmerge = refs/heads/main\n${settings}`);
    await staysSmall(24, async () => {
        for (let i = 0; i < 8; i++) assert.equal((await good('git_status', { repo_path: directory })).text, git(directory, 'status', '--short', '--branch'));
    });
});
test('so does one of the second format, whose extensions are looked for', async () => {
    const directory = copy('format');
    fs.appendFileSync(path.join(directory, '.git/config'), `[core]\n\trepositoryFormatVersion = 1\n${settings}`);
    await staysSmall(24, async () => {
        for (let i = 0; i < 8; i++) {
            const { text, failed } = await call('git_status', { repo_path: directory });
            // libgit2 1.6 loses nothing, and reads it.
            assert.match(text, failed ? /is of format 1 .*git config core.repositoryformatversion 0\.$/ : /^## main/);
        }
    });
});
test('so does a .gitmodules of many sections', async () => {
    const sections = Array.from({ length: MANY }, (_, i) => `[submodule "s${i}"]\n\turl = x\n`).join('');
    for (const [name, entry] of [['normal', '160000 %s 0\tsub'], ['conflict', '160000 %s 3\tsub'], ['backslash', '160000 %s 0\ta\\..\\b']]) {
        const directory = copy(`modules_${name}`);
        const head = git(directory, 'rev-parse', 'HEAD').trim();
        put(directory, '.gitmodules', sections);
        const line = entry.replace('%s', head);
        put(directory, `${line.split('\t')[1]}/file`, 'x');
        execFileSync('git', ['-C', directory, 'update-index', '--index-info'], { input: `${line}\n` });
        await staysSmall(24, async () => {
            for (let i = 0; i < 8; i++)
                for (const tool of ['git_status', 'git_diff_unstaged', 'git_diff_staged']) await good(tool, { repo_path: directory });
        });
    }
});
test('so does a submodule that a revision brings, under another name than its path', async () => {
    const directory = copy('modules_new');
    git(directory, 'checkout', '-qb', 'with');
    put(directory, '.gitmodules', `[submodule "another"]\n\tpath = sub\n\turl = x\n${'[submodule "s"]\n\turl = x\n'.repeat(MANY)}`);
    git(directory, 'add', '.gitmodules');
    git(directory, 'update-index', '--add', '--cacheinfo', `160000,${'5'.repeat(40)},sub`);
    git(directory, '-c', 'user.name=x', '-c', 'user.email=x@y', 'commit', '-qm', 'Submodule');
    git(directory, 'checkout', '-q', 'main');
    await staysSmall(24, async () => {
        for (let i = 0; i < 8; i++) for (const branch of ['with', 'main']) await good('git_checkout', { repo_path: directory, branch_name: branch });
    });
    await good('git_checkout', { repo_path: directory, branch_name: 'with' });
    assert.equal(git(directory, 'status', '--short'), '');
    assert.match(git(directory, 'ls-files', '--stage', 'sub'), /^160000 5{40} 0\tsub/);
});
test('a reference to an object that is not there is refused, and not kept', async () => {
    const directory = copy('broken');
    put(directory, '.git/refs/heads/broken', `${'5'.repeat(40)}\n`);
    for (const revision of ['broken', 'broken~1', 'refs/heads/broken']) await refused('git_log', { repo_path: directory, revision }, /broken/);
});
// ---- Trees: few objects that stand for very many paths, or for very deep ones -----------

/** Commits on main `levels` trees, each in the next, which names it `times` times. */
function commitTrees(directory, levels, times) {
    const data = Buffer.from('needle\n');
    const objects = [{ id: idOf(data), type: BLOB, size: data.length, data }];
    const add = (mode, names) => {
        const { id } = objects.at(-1);
        const tree = Buffer.concat(names.flatMap((name) => [Buffer.from(`${mode} ${name}\0`), id]));
        objects.push({ id: sha1(`tree ${tree.length}\0`, tree), type: TREE, size: tree.length, data: tree });
    };
    add(100644, ['file']);
    for (let i = 0; i < levels; i++) add(40000, Array.from({ length: times }, (_, name) => `${name}`));
    writePack(directory, objects);
    const commit = git(directory, '-c', 'user.name=x', '-c', 'user.email=x@y', 'commit-tree', '-m', 'Trees', '-p', 'HEAD', objects.at(-1).id.toString('hex')).trim();
    git(directory, 'update-ref', 'refs/heads/main', commit);
}
/** Every tool that goes through trees or the index. */
const THROUGH_TREES = [
    ['git_status', {}], ['git_diff_unstaged', {}], ['git_diff_staged', { format: 'name-status' }], ['git_show', {}],
    ['git_log', { path: '0/0' }], ['git_blame', { path: 'README.md', revision: 'HEAD~1' }],
    ['git_show_file', { path: `${'0/'.repeat(2000)}file` }], ['git_search', { query: 'needle', in: 'changes' }], ['git_checkout', { branch_name: 'main' }], ['git_reset', {}],
];
test('trees nested very deeply are read as far as there is room, and stop nothing', async () => {
    const directory = copy('deep');
    commitTrees(directory, 12_000, 1);
    const found = await good('git_search', { repo_path: directory, query: 'needle' });
    assert.equal(found.json.truncated, true);
    assert.match(found.json.left_out, /deeper than 512/);
    assert.match(found.text, /deeper than 512/);
    for (const [name, args] of THROUGH_TREES) {
        const { text, failed } = await call(name, { repo_path: directory, ...args });
        assert.ok(!failed || /nested too deeply|more than 256 MiB of memory|^There is no 0\//.test(text), `${name} ${JSON.stringify(args)}: ${text}`);
    }
    await refused('git_reset', { repo_path: directory }, /nested too deeply/);
}, { timeout: 120_000 });
test('trees that are not so deep are searched to their end', async () => {
    const directory = copy('less_deep');
    commitTrees(directory, 400, 1);
    const { json } = await good('git_search', { repo_path: directory, query: 'needle' });
    assert.deepEqual(json.matches.map(({ path: file, line }) => [file, line]), [[`${'0/'.repeat(400)}file`, 1]]);
    assert.equal(json.truncated, false);
    const { text } = await good('git_diff', { repo_path: directory, target: 'HEAD~1..HEAD', format: 'stat' });
    assert.equal(text, git(directory, 'diff', '--stat', 'HEAD~1..HEAD'));
});
test('the trees that an index says are in each other are bounded as well', async () => {
    const directory = copy('deep_index');
    const index = fs.readFileSync(path.join(directory, '.git/index'));
    const entries = Buffer.from(index.subarray(0, 12));
    entries.writeUInt32BE(0, 8);
    const trees = Buffer.concat([Buffer.from('\0-1 1\n'), Buffer.from('a\0-1 1\n'.repeat(100_000)), Buffer.from('a\0-1 0\n')]);
    const size = Buffer.alloc(4);
    size.writeUInt32BE(trees.length);
    const whole = Buffer.concat([entries, Buffer.from('TREE'), size, trees]);
    fs.writeFileSync(path.join(directory, '.git/index'), Buffer.concat([whole, sha1(whole)]));
    for (const name of ['git_status', 'git_diff_staged', 'git_reset']) await refused(name, { repo_path: directory }, /nested too deeply/);
});
test('a few trees that stand for 10,000 million files take no more memory than a call may', async () => {
    const directory = copy('tree_bomb');
    commitTrees(directory, 10, 10);
    const before = rss(daemon.pid), grown = () => (rss(daemon.pid) - before) >> 20;
    const tools = [['git_status', {}], ['git_diff_staged', {}], ['git_diff', { target: 'HEAD~1..HEAD' }], ['git_show', { format: 'stat' }], ['git_search', { query: 'x', in: 'changes' }], ['git_reset', {}], ['git_checkout', { branch_name: 'main' }]];
    for (const [name, args] of SLOW_BINARY ? tools.slice(0, 2) : tools) {
        const start = grown();
        let peak = start;
        const watch = setInterval(() => { peak = Math.max(peak, grown()); }, 20);
        try {
            await refused(name, { repo_path: directory, ...args }, /needs more than 256 MiB of memory at once/);
        } finally {
            clearInterval(watch);
        }
        // The answer comes before the memory goes; the C library keeps the end of a heap, up
        // to 64 MiB, for each thread or two.
        await sleep(500);
        await until(() => SLOW_BINARY || grown() < 200, 3000, `${name} gives its memory back`);
        console.log(`      ${name}: ${start} MiB more than at first, ${peak} at most, ${grown()} after`);
        assert.ok(SLOW_BINARY || peak - start < 320, `${name}: ${peak - start} MiB`);
    }
}, { timeout: 120_000 });
test('nothing of this has stopped mcpd', async () => {
    assert.equal((await good('git_status', { repo_path: repository })).text, git(repository, 'status', '--short', '--branch'));
});

await done();
