// SPDX-License-Identifier: MIT
// The clients of pressure.c as children.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { finallyDo, until } from './check.mjs';
import { temporaryDirectory, TOOLS } from './daemon.mjs';
import { rss } from './proc.mjs';

let files = 0;
const directory = temporaryDirectory('pressure');

function run(mode, port, numbers, bytes) {
    const file = path.join(directory, `request-${files++}`);
    fs.writeFileSync(file, bytes);
    const child = spawn(path.join(TOOLS, 'pressure'), [mode, port, ...numbers, file].map(String), { stdio: ['pipe', 'pipe', 'inherit'] });
    child.stdin.on('error', () => {});
    const output = { child, text: '' };
    child.stdout.on('data', (text) => (output.text += text));
    output.ended = new Promise((resolve) => child.on('close', resolve));
    finallyDo(() => child.exitCode === null && child.kill('SIGKILL'));
    return output;
}

/** Asks `rate` times a second, answered or not; settles with what came of it. */
export async function offer(port, { rate, seconds, connections, bytes }) {
    const output = run('offer', port, [rate, seconds, connections], bytes);
    await output.ended;
    return JSON.parse(output.text);
}

/** Clients that send ("mute": all of it, "half": half of it) and then do nothing. */
export class Idlers {
    static async open(mode, port, count, bytes) {
        const idlers = new Idlers();
        idlers.output = run(mode, port, [count], bytes);
        await until(() => /^open$/m.test(idlers.output.text) || idlers.output.child.exitCode !== null, 20_000, 'the clients to connect');
        return idlers;
    }

    get gone() {
        return /^gone/m.test(this.output.text);
    }

    /** Until mcpd has ended all of them: [first, last], in ms after they were open. */
    async waitGone(ms, what = 'mcpd to end all') {
        await until(() => this.gone, ms, what);
        const [, first, last] = /^gone (\d+) (\d+)$/m.exec(this.output.text);
        return [Number(first), Number(last)];
    }

    /** Hangs up; how many mcpd had not ended. */
    async close() {
        this.output.child.stdin.end();
        await this.output.ended;
        return Number(/^left (\d+)$/m.exec(this.output.text)?.[1] ?? 0);
    }
}

export async function reset(port, count, bytes) {
    const output = run('reset', port, [count], bytes);
    await output.ended;
    if (!/^done$/m.test(output.text)) throw new Error(`not all could be sent: ${output.text}`);
}

/** Looks at the resident memory of a process until stop(), which says the most it was. */
export function watchMemory(pid, step = 20) {
    let most = rss(pid);
    const timer = setInterval(() => (most = Math.max(most, rss(pid))), step);
    return { stop: () => (clearInterval(timer), Math.max(most, rss(pid))) };
}
