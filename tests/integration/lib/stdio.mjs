// SPDX-License-Identifier: MIT
// mcpd over its standard input and output: what is sent is exactly what the test
// says, and each line that comes back must be one JSON-RPC message.
import { spawn } from 'node:child_process';
import { assert, finallyDo, SCALE, until } from './check.mjs';
import { Daemon } from './daemon.mjs';
import { MODERN, modernMeta, nextId } from './mcp.mjs';
import { LineConversation } from './wire.mjs';

export class Stdio {
    messages = [];
    log = '';
    exit = null;
    #partial = '';
    #conversation = new LineConversation();

    /** Options as those of Daemon; `raw` sends nothing by itself. */
    constructor(options = {}) {
        this.daemon = new Daemon({ ...options, args: ['--stdio', ...(options.args ?? [])] });
        const [program, args] = this.daemon.command();
        this.command = { program, args };
        this.child = spawn(program, args, { cwd: this.daemon.directory, stdio: ['pipe', 'pipe', 'pipe'] });
        this.pid = this.child.pid;
        this.child.stdin.on('error', () => {});
        this.child.stdout.setEncoding('utf8').on('data', (text) => this.#read(text));
        this.child.stderr.setEncoding('utf8').on('data', (text) => {
            if (process.env.VERBOSE) process.stderr.write(text);
            this.log += text;
            this.daemon.lines.push(...text.split('\n'));
        });
        this.exited = new Promise((resolve) => this.child.on('close', (code, signal) => resolve((this.exit = { code, signal }))));
        finallyDo(async () => {
            if (!this.exit) await this.close();
            this.daemon.assertNoFault();
        });
    }

    #read(text) {
        this.#conversation.received(text);
        const parts = (this.#partial + text).split('\n');
        this.#partial = parts.pop();
        for (const part of parts) {
            const message = JSON.parse(part);
            for (const one of [message].flat()) assert.equal(one.jsonrpc, '2.0', part);
            this.messages.push(message);
        }
    }

    /** What has been written that is not a whole line. */
    get rest() {
        return this.#partial;
    }

    write(text) {
        this.#conversation.sent(text);
        this.child.stdin.write(text);
    }

    send(message) {
        this.write(`${JSON.stringify(message)}\n`);
    }

    request(method, params, id = nextId()) {
        this.send({ jsonrpc: '2.0', id, method, ...(params ? { params } : {}) });
        return id;
    }

    modern(method, params = {}, { id = nextId(), meta = {} } = {}) {
        return this.request(method, { ...params, _meta: modernMeta(meta) }, id);
    }

    answerTo(id) {
        return this.messages.find((message) => message.id === id && !('method' in message));
    }

    /** The answer to this request. */
    answer(id, ms = 5_000) {
        return until(() => {
            if (this.exit && !this.answerTo(id)) throw new Error(`mcpd has ended (${JSON.stringify(this.exit)}):\n${this.log}`);
            return this.answerTo(id);
        }, ms, `an answer to ${id}; there is ${JSON.stringify(this.messages)}\n${this.log}`);
    }

    async initialize(version, capabilities = {}) {
        const id = this.request('initialize', { protocolVersion: version, capabilities, clientInfo: { name: 'mcpd-tests', version: '1' } });
        const answer = await this.answer(id, 10_000);
        this.send({ jsonrpc: '2.0', method: 'notifications/initialized' });
        return answer;
    }

    /** Whatever the revision: the result of a request. */
    async result(version, method, params = {}, options = {}) {
        const id = version === MODERN ? this.modern(method, params, options) : this.request(method, params, options.id);
        const answer = await this.answer(id, options.ms);
        assert.ok('result' in answer, JSON.stringify(answer));
        return answer.result;
    }

    /** Ends it as clients do: by closing its input. It must end by itself, with 0. */
    async close({ ms = 15_000 } = {}) {
        this.child.stdin.end();
        await until(() => this.exit, ms, `mcpd to end when its input is closed; its log:\n${this.log}`);
        assert.deepEqual(this.exit, { code: 0, signal: null }, this.log);
        assert.equal(this.rest, '', 'the last line is whole');
        return this.exit;
    }
}

export { SCALE };
