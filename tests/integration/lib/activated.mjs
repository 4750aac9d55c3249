// SPDX-License-Identifier: MIT
// mcpd under a stand-in for systemd that holds its sockets (activate.c).
import { spawn } from 'node:child_process';
import path from 'node:path';
import { finallyDo, until } from './check.mjs';
import { Daemon, ENVIRONMENT, TOOLS } from './daemon.mjs';

export class Activated {
    lines = []; // of mcpd's log
    ports = [];
    #answers = [];

    /** `addresses`: "127.0.0.1:0" ...; the rest as for Daemon. */
    static async hold(addresses, options = {}) {
        const held = new Activated();
        const daemon = (held.daemon = new Daemon({ wrap: false, ...options }));
        const [program, args] = daemon.command();
        held.child = spawn(path.join(TOOLS, 'activate'), [...addresses, '--', program, ...args],
            { cwd: daemon.directory, env: { ...ENVIRONMENT, ...options.env }, stdio: ['pipe', 'pipe', 'pipe'] });
        finallyDo(() => held.release());
        const split = (stream, list) => {
            let rest = '';
            stream.setEncoding('utf8').on('data', (text) => {
                if (list === held.lines && process.env.VERBOSE) process.stderr.write(text);
                const parts = (rest + text).split('\n');
                rest = parts.pop();
                list.push(...parts);
            });
        };
        split(held.child.stdout, held.#answers);
        split(held.child.stderr, held.lines);
        for (let i = 0; i < addresses.length; i++) held.ports.push(Number(await held.#answer(/^listening (\d+)$/)));
        return held;
    }

    async #answer(pattern, ms = 60_000) {
        const line = await until(() => this.#answers.shift(), ms, `the holder to say ${pattern}`, 2);
        const match = pattern.exec(line);
        if (!match) throw new Error(`the holder said "${line}" and not ${pattern}; mcpd's log:\n${this.lines.slice(-20).join('\n')}`);
        return match[1];
    }

    /** Starts mcpd; does not wait for it. */
    async start() {
        this.child.stdin.write('start\n');
        return (this.pid = Number(await this.#answer(/^started (\d+)$/)));
    }

    /** Sends a signal and waits for the end: "ended 0", "killed 9". */
    async end(number = 15) {
        this.child.stdin.write(`end ${number}\n`);
        return this.#answer(/^((ended|killed) \d+)$/);
    }

    waitLog(pattern, ms = 10_000, from = 0) {
        return until(() => this.lines.slice(from).find((line) => pattern.test(line)), ms, `${pattern} in\n${this.lines.slice(-20).join('\n')}`);
    }

    release() {
        this.child.stdin.end();
    }
}
