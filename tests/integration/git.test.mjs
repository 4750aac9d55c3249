// SPDX-License-Identifier: MIT
// plugins/git through mcpd, asked by the official client: what the git command
// says of the same repository, word for word. The attacks are in git_attacks.
import fs from 'node:fs';
import path from 'node:path';
import { assert, done, test } from './lib/check.mjs';
import { Daemon, temporaryDirectory } from './lib/daemon.mjs';
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

await done();
