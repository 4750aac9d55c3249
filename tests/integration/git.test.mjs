// SPDX-License-Identifier: MIT
// plugins/git through mcpd, asked by the official client: what the git command
// says of the same repository, word for word. The attacks are in git_attacks.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { assert, done, SANITIZED, sleep, test, until } from './lib/check.mjs';
import { Daemon, pluginFile, temporaryDirectory } from './lib/daemon.mjs';
import { git, makeClone, makeConflict, makeDirty, makeRepository, put } from './lib/repository.mjs';

import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const base = temporaryDirectory('mcpd-git');
const at = (name) => path.join(base, name);
const repository = makeRepository(at('project'));
const dirty = makeRepository(at('dirty'));
makeDirty(dirty);
const clone = makeClone(repository, at('clone'));
const conflict = makeConflict(at('conflict'));
const bare = at('bare.git');
git(base, 'clone', '-q', '--bare', repository, bare);
fs.mkdirSync(at('empty'));
git(at('empty'), 'init', '-q', '-b', 'trunk');

const daemon = await Daemon.start({
    plugins: ['git'],
    config: {
        providers: {
            git: { plugin: 'git', config: { allowed_paths: [base] } },
            rw: { plugin: 'git', prefix: 'rw_', config: { allowed_paths: [base], read_only: false, author_name: 'Robot', author_email: 'robot@example.org' } },
            small: { plugin: 'git', prefix: 'small_', config: { allowed_paths: [base], max_output: 1024, max_entries: 3, max_object_size: 4096 } },
        },
    },
});
const client = new ClientV1({ name: 'tests', version: '1.0.0' });
await client.connect(new TransportV1(new URL(`http://127.0.0.1:${daemon.port}/mcp`)));
await client.listTools(); // from here on the client checks results against outputSchema

async function call(name, args) {
    const result = await client.callTool({ name, arguments: args });
    return { text: result.content[0].text, json: result.structuredContent, failed: result.isError === true };
}
async function good(name, args) {
    const result = await call(name, args);
    assert.ok(!result.failed, `${name} ${JSON.stringify(args)}: ${result.text}`);
    return result;
}
async function refused(name, args, words) {
    const result = await call(name, args);
    assert.ok(result.failed, `${name} ${JSON.stringify(args)} was answered: ${result.text}`);
    assert.match(result.text, words);
    return result.text;
}

// ---- The same questions to git and to mcpd -----------------------------------------

const LOG = ['-c', 'log.showSignature=false', 'log'];
const questions = [
    // [what is asked of mcpd], [the git command], repository
    ['git_status', {}, ['status', '--short', '--branch'], repository],
    ['git_status', {}, ['status', '--short', '--branch'], dirty],
    ['git_status', {}, ['status', '--short', '--branch'], clone],
    ['git_status', {}, ['status', '--short', '--branch'], conflict],
    ['git_status', {}, ['status', '--short', '--branch'], at('empty')],
    ['git_diff_unstaged', {}, ['diff'], dirty],
    ['git_diff_unstaged', { context_lines: 0 }, ['diff', '-U0'], dirty],
    ['git_diff_unstaged', { path: 'src' }, ['diff', '--', 'src'], dirty],
    ['git_diff_staged', {}, ['diff', '--cached'], dirty],
    ['git_diff_staged', { format: 'name-status' }, ['diff', '--cached', '--name-status'], dirty],
    ['git_diff', { target: 'HEAD' }, ['diff', 'HEAD'], dirty],
    ['git_diff', { target: 'light..main' }, ['diff', 'light..main'], repository],
    ['git_diff', { target: 'main..light' }, ['diff', 'main..light'], repository],
    ['git_diff', { target: 'light...topic' }, ['diff', 'light...topic'], repository],
    ['git_diff', { target: 'v1.0..main', format: 'stat' }, ['diff', '--stat', 'v1.0..main'], repository],
    ['git_diff', { target: 'light..main', format: 'stat' }, ['diff', '--stat', 'light..main'], repository],
    ['git_diff', { target: 'light..main', format: 'name-status' }, ['diff', '--name-status', 'light..main'], repository],
    ['git_diff', { target: 'HEAD~3..HEAD', path: 'docs-notes.txt', context_lines: 10 }, ['diff', '-U10', 'HEAD~3..HEAD', '--', 'docs-notes.txt'], repository],
    ['git_log', { max_count: 100 }, [...LOG], repository],
    ['git_log', { max_count: 3 }, [...LOG, '-n', '3'], repository, true],
    ['git_log', { max_count: 2, skip: 4 }, [...LOG, '-n', '2', '--skip', '4'], repository, true],
    ['git_log', { revision: 'topic', max_count: 100 }, [...LOG, 'topic'], repository],
    ['git_log', { revision: 'light..main', max_count: 100 }, [...LOG, 'light..main'], repository],
    ['git_log', { revision: 'topic...main', max_count: 100 }, [...LOG, 'topic...main'], repository],
    ['git_log', { path: 'notes.txt', max_count: 100 }, [...LOG, '--', 'notes.txt'], repository],
    ['git_log', { path: 'src', max_count: 100 }, [...LOG, '--', 'src'], repository],
    ['git_log', { path: 'src/main.c', revision: 'light..main', max_count: 100 }, [...LOG, 'light..main', '--', 'src/main.c'], repository],
    ['git_log', { author: 'Grace', max_count: 100 }, [...LOG, '-F', '--author=Grace'], repository],
    ['git_log', { author: 'Ünal', max_count: 100 }, [...LOG, '-F', '--author=Ünal'], repository],
    ['git_log', { first_parent: true, max_count: 100 }, [...LOG, '--first-parent'], repository],
    ['git_log', { start_timestamp: '@1700014400', max_count: 100 }, [...LOG, '--since=@1700014400'], repository],
    ['git_log', { end_timestamp: '2023-11-15T02:00:00Z', max_count: 100 }, [...LOG, '--until=2023-11-15T02:00:00Z'], repository],
    ['git_log', { max_count: 100 }, [...LOG], bare],
    ['git_show', {}, ['show'], repository],
    ['git_show', { revision: 'light' }, ['show', 'light'], repository],
    ['git_show', { revision: 'main~8' }, ['show', 'main~8'], repository],
    ['git_show', { revision: 'v1.0' }, ['show', 'v1.0'], repository],
    ['git_show', { revision: 'HEAD~2', format: 'stat' }, ['show', '--stat', '--format=medium', 'HEAD~2'], repository],
    ['git_show', { revision: 'main^{/Rename}' }, null, repository],
    ['git_show', { revision: 'HEAD~4' }, ['show', '-m', '--first-parent', 'HEAD~4'], repository],
    ['git_show', { revision: 'HEAD:src' }, ['show', 'HEAD:src'], repository],
    ['git_show', { revision: 'HEAD@{1}' }, ['show', 'HEAD@{1}'], repository],
    ['git_show_file', { path: 'README.md' }, ['show', 'HEAD:README.md'], repository],
    ['git_show_file', { path: 'notes.txt', revision: 'light' }, ['show', 'light:notes.txt'], repository],
    ['git_show_file', { path: 'ünïcode/日本語.txt' }, ['show', 'HEAD:ünïcode/日本語.txt'], repository],
    ['git_show_file', { path: './-dash.txt', revision: 'main' }, ['show', 'main:-dash.txt'], repository],
    ['git_show_file', { path: 'noeol.txt' }, ['show', 'HEAD:noeol.txt'], repository],
    ['git_show_file', { path: 'link' }, ['show', 'HEAD:link'], repository],
    ['git_blame', { path: 'docs-notes.txt' }, ['blame', 'HEAD', '--', 'docs-notes.txt'], repository],
    ['git_blame', { path: 'src/main.c' }, ['blame', 'HEAD', '--', 'src/main.c'], repository],
    ['git_blame', { path: 'src/main.c', start_line: 10, end_line: 17, revision: 'HEAD~1' }, ['blame', '-L10,17', 'HEAD~1', '--', 'src/main.c'], repository],
    ['git_blame', { path: 'notes.txt', revision: 'topic' }, ['blame', 'topic', '--', 'notes.txt'], repository],
    ['git_blame', { path: 'noeol.txt' }, ['blame', 'HEAD', '--', 'noeol.txt'], repository],
    ['git_branch', {}, ['branch'], repository],
    ['git_branch', { branch_type: 'remote' }, ['branch', '-r'], clone],
    ['git_branch', { branch_type: 'all' }, ['branch', '-a'], clone],
    ['git_branch', { contains: 'v1.0' }, ['branch', '--contains', 'v1.0'], repository],
    ['git_branch', { not_contains: 'v1.0' }, ['branch', '--no-contains', 'v1.0'], repository],
    ['git_tags', {}, ['tag'], repository],
    ['git_search', { query: 'step' }, ['grep', '-n', '-F', 'step', 'HEAD'], repository],
    ['git_search', { query: 'NOTE', ignore_case: true, revision: 'light', max_count: 100 }, ['grep', '-n', '-F', '-i', 'NOTE', 'light'], repository],
    ['git_search', { query: 'int', path: 'src' }, ['grep', '-n', '-F', 'int', 'HEAD', '--', 'src'], repository],
    ['git_search', { query: 'Topic', in: 'messages' }, [...LOG, '-F', '--grep=Topic'], repository],
    ['git_search', { query: 'topic', in: 'messages', ignore_case: true }, [...LOG, '-i', '-F', '--grep=topic'], repository],
    ['git_search', { query: 'needle', in: 'changes' }, [...LOG, '-Sneedle'], repository],
    ['git_search', { query: 'note 20', in: 'changes' }, [...LOG, '-Snote 20'], repository],
];
let compared = 0;
for (const [name, args, command, where, cut] of questions) {
    if (command === null) continue;
    test(`${path.basename(where)}: git ${command.join(' ')}`, async () => {
        const { text } = await good(name, { repo_path: where, ...args });
        const mine = cut ? text.replace(/\n\[there are more[^\n]*\n$/, '') : text;
        assert.equal(mine, git(where, ...command));
        compared++;
    });
}
test('at least 30 questions had the same answer', () => {
    if (!process.env.ONLY) assert.ok(compared >= 30, `${compared}`);
});

// ---- Answers are bounded, and can be read on -----------------------------------------

test('a diff comes in parts that make up the whole', async () => {
    const whole = git(repository, 'diff', 'light..main');
    let text = '', offset = 0, parts = 0;
    for (; ;) {
        const { json } = await good('small_git_diff', { repo_path: repository, target: 'light..main', offset });
        assert.ok(Buffer.byteLength(json.text) <= 1024);
        text += json.text;
        parts++;
        if (!json.truncated) break;
        assert.ok(json.next_offset > offset);
        offset = json.next_offset;
    }
    assert.equal(text, whole);
    assert.ok(parts > 1);
});
test('history, branches, status, blame and files come page by page', async () => {
    const all = git(repository, 'log', '--format=%H').trim().split('\n');
    const shas = [];
    for (let skip = 0; skip !== undefined;) {
        const { json, text } = await good('small_git_log', { repo_path: repository, max_count: 3, skip });
        shas.push(...json.commits.map((commit) => commit.sha));
        if (json.truncated) assert.match(text, new RegExp(`"skip": ${json.next_skip}\\]`));
        skip = json.next_skip;
    }
    assert.deepEqual(shas, all);
    const status = [];
    for (let skip = 0; skip !== undefined;) {
        const { json } = await good('small_git_status', { repo_path: dirty, skip });
        assert.ok(json.entries.length <= 3);
        status.push(...json.entries.map((entry) => entry.path));
        skip = json.next_skip;
    }
    assert.deepEqual(status, (await good('git_status', { repo_path: dirty })).json.entries.map((entry) => entry.path));
    const blamed = [];
    for (let start_line = 1; start_line !== undefined;) {
        const { json } = await good('small_git_blame', { repo_path: repository, path: 'docs-notes.txt', start_line });
        for (const hunk of json.hunks) for (let i = 0; i < hunk.lines; i++) blamed.push(hunk.sha);
        start_line = json.next_line;
    }
    assert.deepEqual(blamed, git(repository, 'blame', '-s', '-l', 'HEAD', '--', 'docs-notes.txt').trim().split('\n').map((line) => git(repository, 'rev-parse', line.split(' ')[0].replace('^', '')).trim()));
    let content = '';
    for (let offset = 0; offset !== undefined;) {
        const { json } = await good('small_git_show_file', { repo_path: repository, path: 'src/main.c', offset, limit: 100 });
        content += json.content;
        offset = json.next_offset;
    }
    assert.equal(content, git(repository, 'show', 'HEAD:src/main.c'));
    assert.equal((await good('small_git_search', { repo_path: repository, query: 'step', max_count: 2 })).json.truncated, true);
});
test('binary files come in Base64, and are refused as text', async () => {
    const { json } = await good('git_show_file', { repo_path: repository, path: 'logo.bin', revision: 'light', encoding: 'base64' });
    assert.deepEqual([...Buffer.from(json.content, 'base64')], [0, 1, 2, 255, 254, 0, 10, 13]);
    await refused('git_show_file', { repo_path: repository, path: 'logo.bin', revision: 'light' }, /base64/);
});
test('structured content says what the text says', async () => {
    const { json } = await good('git_status', { repo_path: clone });
    assert.deepEqual([json.branch, json.upstream, json.ahead, json.behind, json.total], ['main', 'origin/main', 1, 0, 0]);
    const [commit] = (await good('git_log', { repo_path: repository, revision: 'light', max_count: 1 })).json.commits;
    assert.equal(JSON.stringify([commit.sha, commit.author.name, commit.author.date, commit.message]),
        JSON.stringify(git(repository, 'log', '-1', '--format=%H%x00%an%x00%aI%x00%s', 'light').trim().split('\0')));
    const renamed = (await good('git_diff', { repo_path: repository, target: 'light..main' })).json.files.find((file) => file.status === 'R');
    assert.deepEqual([renamed.old_path, renamed.path, renamed.similarity], ['notes.txt', 'docs-notes.txt', 88]);
    const tag = (await good('git_tags', { repo_path: repository })).json.tags.find((one) => one.name === 'v1.0');
    assert.deepEqual([tag.annotated, tag.message, tag.sha], [true, 'Version one\n\nThe first.\n', git(repository, 'rev-parse', 'v1.0^{}').trim()]);
});

// ---- Writing -------------------------------------------------------------------------

test('without read_only: false there are no tools that write, and remembered ones are refused', async () => {
    const { tools } = await client.listTools();
    const names = tools.map((tool) => tool.name);
    for (const name of ['git_add', 'git_reset', 'git_commit', 'git_create_branch', 'git_checkout']) {
        assert.ok(!names.includes(name) && names.includes(`rw_${name}`));
        await assert.rejects(client.callTool({ name, arguments: { repo_path: repository } }));
    }
});
test('add, commit, branch, checkout and reset do what git does', async () => {
    const mine = makeRepository(at('mine')), theirs = at('theirs');
    fs.cpSync(mine, theirs, { recursive: true, verbatimSymlinks: true });
    for (const directory of [mine, theirs]) {
        put(directory, '.gitattributes', 'crlf.txt text\n');
        put(directory, 'crlf.txt', 'one\r\ntwo\r\n');
        put(directory, 'deep/er/new.txt', 'new\n');
        put(directory, 'run.sh', '#!/bin/sh\necho changed\n');
        fs.rmSync(path.join(directory, 'noeol.txt'));
        put(directory, 'logs/x.log', 'log\n');
        put(directory, '.gitignore', '*.log\n');
    }
    const rw = (name, args = {}) => good(`rw_${name}`, { repo_path: mine, ...args });
    git(theirs, 'add', 'deep');
    await rw('git_add', { files: ['deep'] });
    assert.equal(git(mine, 'ls-files', '-s'), git(theirs, 'ls-files', '-s'));
    git(theirs, 'add', '.');
    const { json } = await rw('git_add', { files: ['.'] });
    assert.deepEqual(json.staged.toSorted(), ['.gitattributes', '.gitignore', 'crlf.txt', 'noeol.txt', 'run.sh']);
    assert.equal(git(mine, 'ls-files', '-s'), git(theirs, 'ls-files', '-s'));
    assert.equal(git(mine, 'status', '--short'), git(theirs, 'status', '--short'));
    git(mine, 'fsck', '--strict');
    await refused('rw_git_add', { repo_path: mine, files: ['logs/x.log'] }, /ignored/);
    const commit = await rw('git_commit', { message: 'By mcpd\n\nA body.\n\n\n' });
    assert.match(commit.text, /^\[main [0-9a-f]{7}\] By mcpd\n$/);
    assert.equal(git(mine, 'log', '-1', '--format=%H %an %ae %cn %ce %B').trim(), `${commit.json.sha} Robot robot@example.org Robot robot@example.org By mcpd\n\nA body.`);
    assert.equal(git(mine, 'write-tree'), git(theirs, 'write-tree'));
    assert.equal(git(mine, 'status', '--short'), '');
    assert.match(git(mine, 'reflog', '-1'), /HEAD@\{0\}: commit: By mcpd/);
    await refused('rw_git_commit', { repo_path: mine, message: 'again' }, /Nothing is staged/);
    await refused('rw_git_commit', { repo_path: mine, message: '  \n' }, /message is empty/);
    await rw('git_create_branch', { branch_name: 'feature/x', base_branch: 'light' });
    assert.equal(git(mine, 'rev-parse', 'feature/x'), git(mine, 'rev-parse', 'light'));
    await refused('rw_git_create_branch', { repo_path: mine, branch_name: 'feature/x' }, /already/);
    await rw('git_checkout', { branch_name: 'feature/x' });
    assert.equal(git(mine, 'status', '--short', '--branch'), '## feature/x\n?? logs/\n');
    put(mine, 'README.md', 'precious\n');
    await rw('git_add', { files: ['README.md'] });
    await rw('git_reset');
    assert.equal(git(mine, 'status', '--short'), ' M README.md\n?? logs/\n');
    put(mine, 'notes.txt', 'precious, too\n');
    await refused('rw_git_checkout', { repo_path: mine, branch_name: 'main' }, /would be overwritten.*notes\.txt/);
    assert.equal(fs.readFileSync(path.join(mine, 'notes.txt'), 'utf8'), 'precious, too\n');
    assert.equal(git(mine, 'symbolic-ref', 'HEAD'), 'refs/heads/feature/x\n');
    git(mine, 'checkout', '-q', '--', '.');
    assert.equal((await rw('git_checkout', { branch_name: 'v1.0' })).json.detached, true);
    assert.equal(git(mine, 'rev-parse', 'HEAD'), git(mine, 'rev-parse', 'v1.0^{}'));
    git(mine, 'fsck', '--strict');
});
test('the first commit of a repository', async () => {
    const directory = at('fresh');
    fs.mkdirSync(directory);
    git(directory, 'init', '-q', '-b', 'main');
    await refused('rw_git_commit', { repo_path: directory, message: 'x' }, /Nothing is staged/);
    put(directory, 'a.txt', 'a\n');
    await good('rw_git_add', { repo_path: directory, files: ['a.txt'] });
    assert.match((await good('rw_git_commit', { repo_path: directory, message: 'First' })).text, /^\[main \(root-commit\) /);
    assert.equal(git(directory, 'status', '--short', '--branch'), '## main\n');
});
test('the lock of the index is respected, and left as it was', async () => {
    const directory = makeRepository(at('locked'));
    const lock = path.join(directory, '.git/index.lock');
    put(directory, 'a.txt', 'a\n');
    fs.writeFileSync(lock, '');
    for (const [name, args] of [['rw_git_add', { files: ['a.txt'] }], ['rw_git_commit', { message: 'x' }], ['rw_git_reset', {}], ['rw_git_checkout', { branch_name: 'topic' }]])
        await refused(name, { repo_path: directory, ...args }, /another program is|lock/i);
    assert.ok(fs.existsSync(lock));
    fs.rmSync(lock);
    await good('rw_git_add', { repo_path: directory, files: ['a.txt'] });
    assert.ok(!fs.existsSync(lock));
});
test('many callers stage at once, and nothing is lost', async () => {
    const directory = makeRepository(at('many'));
    const names = Array.from({ length: 40 }, (_, i) => `many-${i}.txt`);
    for (const name of names) put(directory, name, `${name}\n`);
    const results = await Promise.all(names.map((name) => call('rw_git_add', { repo_path: directory, files: [name] })));
    assert.ok(results.every((result) => !result.failed), results.find((result) => result.failed)?.text);
    assert.deepEqual(git(directory, 'diff', '--cached', '--name-only').trim().split('\n').toSorted(), names.toSorted());
    git(directory, 'fsck', '--strict');
});
test('a merge that is under way is not committed, and bare repositories have no work tree', async () => {
    await refused('rw_git_commit', { repo_path: conflict, message: 'x' }, /under way/);
    for (const name of ['git_status', 'git_diff_unstaged']) await refused(name, { repo_path: bare }, /bare/);
});
test('linked work trees and submodules inside are served', async () => {
    const linked = at('linked');
    git(repository, 'worktree', 'add', '-q', linked, 'topic');
    assert.equal((await good('git_status', { repo_path: linked })).text, git(linked, 'status', '--short', '--branch'));
    assert.equal((await good('git_log', { repo_path: linked, max_count: 100 })).text, git(linked, 'log'));
    await refused('rw_git_checkout', { repo_path: repository, branch_name: 'topic' }, /another work tree/);
    git(repository, 'worktree', 'remove', linked);
});

// ---- Life ------------------------------------------------------------------------------

test('the plugin is replaced while it is asked; of its code at most the first copy stays', async () => {
    const file = pluginFile('git');
    const mapped = () => new Set(fs.readFileSync(`/proc/${daemon.pid}/maps`, 'utf8').match(/\S*git[^/\s]*\.so\S*/g)?.filter((name) => !name.includes('libgit2')));
    for (let round = 1; round <= 5; round++) {
        const from = daemon.lines.length;
        daemon.install('git', Buffer.concat([fs.readFileSync(file), Buffer.alloc(round)]));
        await until(async () => {
            await good('git_log', { repo_path: repository, max_count: 1 });
            return daemon.lines.slice(from).some((line) => /: replaced, now serving git /.test(line));
        }, 15_000, `round ${round}`).catch((error) => assert.fail(`${error.message}: ${daemon.lines.slice(from).join('\n')}`));
    }
    // One of each provider, and the one that brought libgit2, which is in use all the time (mcp-git(7), CAVEATS).
    await until(() => mapped().size <= 4, 10_000, 'four mappings at most');
    assert.ok(daemon.lines.filter((line) => line.includes('stays in memory')).length <= 1, daemon.lines.join('\n'));
}, { skip: process.env.TEST_ISOLATION || SANITIZED ? 'nothing is unmapped there' : null, timeout: 90_000 });

// ---- Long walks end when nobody waits -------------------------------------------------

test('a search through a long history ends when the caller goes', async () => {
    const directory = at('long');
    fs.mkdirSync(directory);
    git(directory, 'init', '-q', '-b', 'main');
    let stream = '';
    for (let i = 1; i <= 20_000; i++) {
        stream += `commit refs/heads/main\ncommitter A <a@b> ${1_600_000_000 + i} +0000\ndata 2\nx\nM 644 inline f${i % 50}\ndata 200\n${`${i} `.padEnd(200, 'y')}\n`;
    }
    execFileSync('git', ['-C', directory, 'fast-import', '--quiet'], { input: stream });
    const cpu = () => {
        const fields = fs.readFileSync(`/proc/${daemon.pid}/stat`, 'utf8').split(') ')[1].split(' ');
        return (Number(fields[11]) + Number(fields[12])) / 100; // seconds
    };
    const args = { repo_path: directory, query: 'never to be found', in: 'changes' };
    const before = cpu();
    assert.deepEqual((await good('git_search', args)).json.commits, []);
    const whole = cpu() - before;
    assert.ok(whole > 0.4, `the search is too short to be cut: ${whole} s`);
    const controller = new AbortController();
    const started = cpu();
    const running = client.callTool({ name: 'git_search', arguments: args }, undefined, { signal: controller.signal });
    setTimeout(() => controller.abort(), 20);
    await assert.rejects(running);
    await sleep(1000 * whole + 500);
    assert.ok(cpu() - started < whole / 2, `${cpu() - started} s of ${whole} s`);
}, { skip: process.env.TEST_ISOLATION ? 'the time is spent in a worker' : null, timeout: 60_000 });

await done();
