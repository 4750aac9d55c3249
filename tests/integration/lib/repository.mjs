// SPDX-License-Identifier: MIT
// A git repository with something of everything: merges, renames, tags, binary
// files, odd names, executables, symbolic links, an upstream.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

let clock = 1_700_000_000;
const ENVIRONMENT = {
    PATH: process.env.PATH, LC_ALL: 'C.UTF-8', HOME: '/nonexistent', GIT_CONFIG_NOSYSTEM: '1', GIT_PAGER: 'cat', TZ: 'UTC',
    GIT_COMMITTER_NAME: 'Grace Hopper', GIT_COMMITTER_EMAIL: 'grace@example.org',
};

/** What the git command prints. */
export function git(directory, ...args) {
    return execFileSync('git', ['-C', directory, ...args], { env: ENVIRONMENT, stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 1 << 28 }).toString();
}

function commit(directory, message, { author = 'Ada Lovelace <ada@example.org>', zone = '+0100' } = {}) {
    clock += 3600;
    const [, name, email] = /^(.*) <(.*)>$/.exec(author);
    const env = {
        ...ENVIRONMENT, GIT_AUTHOR_NAME: name, GIT_AUTHOR_EMAIL: email, GIT_AUTHOR_DATE: `${clock} ${zone}`,
        GIT_COMMITTER_DATE: `${clock} ${zone}`,
    };
    execFileSync('git', ['-C', directory, 'add', '-A'], { env });
    execFileSync('git', ['-C', directory, 'commit', '-q', '--allow-empty', '--allow-empty-message', '-m', message], { env });
}

export function merge(directory, branch, message) {
    clock += 3600;
    const date = `${clock} +0000`;
    execFileSync('git', ['-C', directory, 'merge', '-q', '--no-ff', '-m', message, branch], {
        env: { ...ENVIRONMENT, GIT_AUTHOR_NAME: 'Ada Lovelace', GIT_AUTHOR_EMAIL: 'ada@example.org', GIT_AUTHOR_DATE: date, GIT_COMMITTER_DATE: date },
    });
}

const lines = (count, word) => Array.from({ length: count }, (_, i) => `${word} ${i + 1}\n`).join('');

export function put(directory, name, content) {
    const file = path.join(directory, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, content);
}

/** Makes it; the work tree is clean. */
export function makeRepository(directory) {
    fs.mkdirSync(directory, { recursive: true });
    git(directory, 'init', '-q', '-b', 'main');
    put(directory, 'README.md', '# Project\n\nA project.\n');
    put(directory, 'src/main.c', `#include <stdio.h>\n\nint main(void)\n{\n${lines(30, '    step();')}    return 0;\n}\n`);
    put(directory, 'notes.txt', lines(40, 'note'));
    commit(directory, 'First commit\n\nWith a body of\ntwo lines.\n\n\tA tab, too.');
    put(directory, 'logo.bin', Buffer.from([0, 1, 2, 255, 254, 0, 10, 13]));
    put(directory, 'run.sh', '#!/bin/sh\necho hello\n');
    fs.chmodSync(path.join(directory, 'run.sh'), 0o755);
    fs.symlinkSync('README.md', path.join(directory, 'link'));
    commit(directory, 'Add a binary file, a script and a link', { author: 'Ünal Öz <unal@example.org>', zone: '-0730' });
    git(directory, 'tag', 'light');
    put(directory, 'with space.txt', 'space\n');
    put(directory, 'tab\there.txt', 'tab\n');
    put(directory, 'quote"d.txt', 'quote\n');
    put(directory, 'ünïcode/日本語.txt', 'unicode\n');
    put(directory, 'new\nline.txt', 'newline\n');
    put(directory, '-dash.txt', 'dash\n');
    put(directory, 'back\\slash.txt', 'backslash\n');
    commit(directory, 'Odd names');
    git(directory, 'checkout', '-q', '-b', 'topic');
    put(directory, 'src/topic.c', 'int topic;\n');
    put(directory, 'notes.txt', lines(40, 'note').replace('note 35\n', 'note thirty-five\n'));
    commit(directory, 'Topic: thirty-five', { author: 'Grace Hopper <grace@example.org>' });
    git(directory, 'checkout', '-q', 'main');
    put(directory, 'notes.txt', lines(40, 'note').replace('note 2\n', 'note two\n'));
    commit(directory, 'Main: two');
    merge(directory, 'topic', 'Merge topic into main');
    git(directory, 'mv', 'notes.txt', 'docs-notes.txt');
    put(directory, 'docs-notes.txt', fs.readFileSync(path.join(directory, 'docs-notes.txt'), 'utf8').replace('note 20\n', 'note twenty\n'));
    commit(directory, 'Rename the notes, and change one');
    put(directory, 'noeol.txt', 'no newline at the end');
    fs.rmSync(path.join(directory, 'tab\there.txt'));
    put(directory, 'logo.bin', Buffer.from([0, 9, 9, 9]));
    commit(directory, 'Delete, change a binary, no end of line');
    execFileSync('git', ['-C', directory, 'tag', '-a', 'v1.0', '-m', 'Version one\n\nThe first.'], { env: { ...ENVIRONMENT, GIT_COMMITTER_DATE: '1700100000 +0200' } });
    put(directory, 'src/main.c', fs.readFileSync(path.join(directory, 'src/main.c'), 'utf8').replace('step(); 12\n', 'step(); 12 /* needle */\n'));
    commit(directory, 'A needle in main.c');
    put(directory, 'src/main.c', fs.readFileSync(path.join(directory, 'src/main.c'), 'utf8').replace(' /* needle */', ''));
    commit(directory, '');
    return directory;
}

/** A clone that is ahead of and behind its upstream. */
export function makeClone(origin, directory) {
    git(path.dirname(directory), 'clone', '-q', origin, directory);
    put(directory, 'ahead.txt', 'ahead\n');
    commit(directory, 'Ahead');
    git(directory, 'branch', 'behind', 'v1.0');
    git(directory, 'branch', '-q', '--set-upstream-to=origin/main', 'behind');
    return directory;
}

/** Changes of every kind that are not committed. */
export function makeDirty(directory) {
    put(directory, 'README.md', '# Project\n\nA project that changed.\n');
    put(directory, 'staged new.txt', 'new\n');
    git(directory, 'add', 'staged new.txt');
    git(directory, 'mv', 'run.sh', 'start.sh');
    git(directory, 'rm', '-q', 'with space.txt');
    fs.rmSync(path.join(directory, 'back\\slash.txt'));
    put(directory, 'src/main.c', fs.readFileSync(path.join(directory, 'src/main.c'), 'utf8').replace('step(); 3\n', 'step(); three\n'));
    git(directory, 'add', 'src/main.c');
    put(directory, 'src/main.c', fs.readFileSync(path.join(directory, 'src/main.c'), 'utf8').replace('step(); 28\n', 'step(); twenty-eight\n'));
    put(directory, 'untracked/a.txt', 'a\n');
    put(directory, 'untracked ü.txt', 'u\n');
    put(directory, '.gitignore', '*.log\n');
    put(directory, 'x.log', 'ignored\n');
}

/** Two branches that both changed a line, merged: a conflict in the index. */
export function makeConflict(directory) {
    makeRepository(directory);
    git(directory, 'checkout', '-q', '-b', 'other');
    put(directory, 'README.md', 'theirs\n');
    commit(directory, 'Theirs');
    git(directory, 'checkout', '-q', 'main');
    put(directory, 'README.md', 'ours\n');
    commit(directory, 'Ours');
    try {
        merge(directory, 'other', 'Never');
    } catch {
        return directory;
    }
    throw new Error('there is no conflict');
}
