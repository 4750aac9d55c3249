// SPDX-License-Identifier: MIT
// The load generator (load.c) as a child.
import { spawn } from 'node:child_process';
import path from 'node:path';
import { TOOLS } from './daemon.mjs';
import { finallyDo } from './check.mjs';

export class Load {
    /** tools: {name: expected text of an answer, or [arguments, expected text]}. */
    constructor(port, tools, { connections = 4, pause = 1 } = {}) {
        this.child = spawn(path.join(TOOLS, 'load'),
            [port, connections, pause, ...Object.entries(tools).flatMap(([name, tool]) =>
                (Array.isArray(tool) ? [name, JSON.stringify(tool[0]), tool[1]] : [name, '{}', tool]))].map(String),
            { stdio: ['pipe', 'pipe', 'inherit'] });
        this.child.stdin.on('error', () => {});
        this.output = '';
        this.child.stdout.on('data', (text) => (this.output += text));
        this.ended = new Promise((resolve) => this.child.on('close', resolve));
        finallyDo(() => this.child.exitCode === null && this.child.kill('SIGKILL'));
    }

    tell(command, number) {
        this.child.stdin.write(`${command} ${number}\n`);
    }

    /** Ends the load; {calls, failed, wrong, p50_ms, p99_ms, max_ms, first_error}. */
    async stop() {
        this.child.stdin.end('stop\n');
        await this.ended;
        return JSON.parse(this.output);
    }
}
