// SPDX-License-Identifier: MIT
// HTTP/1.1 over a plain socket: what is sent is exactly what the test says, and
// what comes back is read without any leniency that would hide a fault.
import net from 'node:net';
import { SCALE } from './check.mjs';
import { Conversation } from './wire.mjs';

const LIMIT = 10_000;

/** One connection, read as a stream of bytes. */
export class Connection {
    #chunks = [];
    #size = 0;
    #ended = false;
    #error = null;
    #wake = null;

    constructor(socket) {
        this.socket = socket;
        const conversation = new Conversation();
        const write = socket.write.bind(socket);
        socket.write = (data, ...rest) => {
            conversation.sent(data);
            return write(data, ...rest);
        };
        socket.setNoDelay(true);
        socket.on('data', (chunk) => {
            conversation.received(chunk);
            this.#chunks.push(chunk);
            this.#size += chunk.length;
            this.#notify();
        });
        socket.on('end', () => {
            conversation.closed();
            this.#ended = true;
            this.#notify();
        });
        socket.on('close', () => {
            this.#ended = true;
            this.#notify();
        });
        socket.on('error', (error) => {
            this.#error = error;
            this.#ended = true;
            this.#notify();
        });
    }

    static open(port, { host = '127.0.0.1', localAddress } = {}) {
        return new Promise((resolve, reject) => {
            const socket = net.connect({ port, host, localAddress, allowHalfOpen: true });
            socket.once('error', reject);
            socket.once('connect', () => {
                socket.removeListener('error', reject);
                resolve(new Connection(socket));
            });
        });
    }

    #notify() {
        const wake = this.#wake;
        this.#wake = null;
        wake?.();
    }

    /** The peer has closed, and all it sent has been read. */
    get ended() {
        return this.#ended && this.#size === 0;
    }

    /** The peer has closed, whatever is unread. */
    get over() {
        return this.#ended;
    }

    write(data) {
        return new Promise((resolve) => this.socket.write(data, () => resolve()));
    }

    /** Waits for more bytes; false at the end of the stream. */
    async #more(ms) {
        if (this.#ended) return false;
        const before = this.#size;
        let timer;
        await new Promise((resolve, reject) => {
            this.#wake = resolve;
            timer = setTimeout(() => {
                this.#wake = null;
                reject(new Error(`nothing arrived for ${ms} ms`));
            }, ms);
        }).finally(() => clearTimeout(timer));
        return this.#size > before || !this.#ended;
    }

    #joined() {
        if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks)];
        return this.#chunks[0] ?? Buffer.alloc(0);
    }

    #take(size) {
        const all = this.#joined();
        const taken = all.subarray(0, size);
        const rest = all.subarray(size);
        this.#chunks = rest.length ? [rest] : [];
        this.#size = rest.length;
        return taken;
    }

    /** Up to and without CRLF. null at the end of the stream. */
    async line(ms = LIMIT * SCALE) {
        for (;;) {
            const at = this.#joined().indexOf('\r\n');
            if (at >= 0) {
                const text = this.#take(at).toString('latin1');
                this.#take(2);
                return text;
            }
            if (!(await this.#more(ms))) {
                if (this.#size) throw new Error(`the stream ended inside a line: ${this.#joined()}`);
                return null;
            }
        }
    }

    async exactly(size, ms = LIMIT * SCALE) {
        while (this.#size < size)
            if (!(await this.#more(ms)))
                throw new Error(`the stream ended ${size - this.#size} bytes too early`);
        return this.#take(size);
    }

    /** Whatever is there, or comes next; null at the end. */
    async some(ms = LIMIT * SCALE) {
        while (!this.#size) if (!(await this.#more(ms))) return null;
        return this.#take(this.#size);
    }

    /** Resolves when the peer has closed; throws when it has not after `ms`. */
    async closed(ms = LIMIT * SCALE) {
        while (!this.#ended) await this.#more(ms);
        return true;
    }

    /** Whether bytes are left that nobody asked for. */
    get leftover() {
        return this.#joined().toString('latin1');
    }

    get error() {
        return this.#error;
    }

    /** Reads the head of one response. */
    async response({ head = false, ms = LIMIT * SCALE } = {}) {
        let line = await this.line(ms);
        if (line === null) throw new Error('the connection was closed without an answer');
        let match = /^HTTP\/1\.1 (\d{3}) (.*)$/.exec(line);
        if (!match) throw new Error(`no status line: ${JSON.stringify(line)}`);
        if (match[1] === '100') {
            while ((line = await this.line(ms)) !== '') if (line === null) throw new Error('cut');
            return this.response({ head, ms });
        }
        const headers = {};
        const list = [];
        while ((line = await this.line(ms)) !== '') {
            if (line === null) throw new Error('the stream ended inside the header');
            const colon = line.indexOf(':');
            const name = line.slice(0, colon).toLowerCase();
            if (colon < 1 || !/^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name))
                throw new Error(`illegal header line: ${JSON.stringify(line)}`);
            const value = line.slice(colon + 1).trim();
            if (name in headers) throw new Error(`header ${name} came twice`);
            headers[name] = value;
            list.push([name, value]);
        }
        return new Response(this, Number(match[1]), headers, head);
    }

    /** Closes our side and gives up the other: what a client does that leaves. */
    destroy() {
        this.socket.destroy();
    }

    /** Closes with a reset, as a crashed client does. */
    reset() {
        this.socket.resetAndDestroy();
    }
}

export class Response {
    constructor(connection, status, headers, head) {
        this.connection = connection;
        this.status = status;
        this.headers = headers;
        this.bodyless = head || status === 204 || status === 304;
        this.complete = false;
    }

    /** The body as it arrives. */
    async *chunks(ms = LIMIT * SCALE) {
        const { headers, connection } = this;
        if (this.bodyless) {
            this.complete = true;
            return;
        }
        if (headers['transfer-encoding'] === 'chunked') {
            if ('content-length' in headers) throw new Error('Content-Length beside chunked');
            for (;;) {
                const line = await connection.line(ms);
                if (line === null || !/^[0-9a-fA-F]+$/.test(line))
                    throw new Error(`illegal chunk size: ${JSON.stringify(line)}`);
                const size = parseInt(line, 16);
                if (size === 0) {
                    if ((await connection.line(ms)) !== '') throw new Error('illegal trailer');
                    break;
                }
                yield await connection.exactly(size, ms);
                if ((await connection.line(ms)) !== '') throw new Error('a chunk without its end');
            }
        } else if ('content-length' in headers) {
            const size = Number(headers['content-length']);
            if (size) yield await connection.exactly(size, ms);
        } else {
            for (let chunk; (chunk = await connection.some(ms)); ) yield chunk;
        }
        this.complete = true;
    }

    async text(ms) {
        const parts = [];
        for await (const chunk of this.chunks(ms)) parts.push(chunk);
        return Buffer.concat(parts).toString('utf8');
    }

    async json(ms) {
        const text = await this.text(ms);
        try {
            return JSON.parse(text);
        } catch {
            throw new Error(`status ${this.status}, and the body is no JSON: ${text.slice(0, 300)}`);
        }
    }

    /** The events of an event stream: {event, data, id, retry}, and comments as
     * {comment}. */
    async *events(ms) {
        if (!/^text\/event-stream\b/.test(this.headers['content-type'] ?? ''))
            throw new Error(`no event stream: ${this.status} ${this.headers['content-type']} ` +
                `${(await this.text()).slice(0, 300)}`);
        let rest = '';
        const decoder = new TextDecoder('utf-8', { fatal: true });
        for await (const chunk of this.chunks(ms)) {
            rest += decoder.decode(chunk, { stream: true });
            for (let at; (at = rest.indexOf('\n\n')) >= 0; ) {
                const block = rest.slice(0, at);
                rest = rest.slice(at + 2);
                yield parseEvent(block);
            }
        }
        if (rest) throw new Error(`the stream ended inside an event: ${JSON.stringify(rest)}`);
    }

    /** The JSON-RPC messages of an event stream. */
    async *messages(ms) {
        for await (const event of this.events(ms)) {
            if (event.data === undefined || event.data === '') continue;
            yield JSON.parse(event.data);
        }
    }

    /** All messages of the answer, whether JSON or event stream. */
    async all(ms) {
        if (/^text\/event-stream/.test(this.headers['content-type'] ?? '')) {
            const list = [];
            for await (const message of this.messages(ms)) list.push(message);
            return list;
        }
        return [await this.json(ms)];
    }

    /** The last message: the result or the error. */
    async last(ms) {
        return (await this.all(ms)).at(-1);
    }
}

function parseEvent(block) {
    const event = {};
    for (const line of block.split('\n')) {
        if (line.includes('\r')) throw new Error(`a CR in an event: ${JSON.stringify(line)}`);
        if (line.startsWith(':')) {
            event.comment = line.slice(1).trim();
            continue;
        }
        const match = /^(event|data|id|retry): ?(.*)$/.exec(line);
        if (!match) throw new Error(`illegal line in an event stream: ${JSON.stringify(line)}`);
        event[match[1]] = event[match[1]] === undefined ? match[2] : `${event[match[1]]}\n${match[2]}`;
    }
    return event;
}

/** The bytes of a request. `headers` is an object or a list of [name, value];
 * Host and Content-Length are added unless they are given (null: leave out). */
export function requestBytes({ method = 'POST', path = '/mcp', version = 'HTTP/1.1', port, headers = {}, body }) {
    const list = Array.isArray(headers) ? [...headers] : Object.entries(headers);
    const has = (name) => list.some(([n]) => n.toLowerCase() === name);
    const payload = body === undefined ? null : Buffer.isBuffer(body) ? body : Buffer.from(body);
    if (!has('host')) list.unshift(['Host', `127.0.0.1:${port}`]);
    if (payload && !has('content-length') && !has('transfer-encoding'))
        list.push(['Content-Length', String(payload.length)]);
    const text = list
        .filter(([, value]) => value !== null && value !== undefined)
        .map(([name, value]) => `${name}: ${value}\r\n`)
        .join('');
    const head = Buffer.from(`${method} ${path} ${version}\r\n${text}\r\n`, 'latin1');
    return payload ? Buffer.concat([head, payload]) : head;
}

/** One request on a connection of its own. The caller reads the answer; the
 * connection is the answer's `.connection`. */
export async function http(port, options = {}) {
    const connection = options.connection ?? (await Connection.open(port, options));
    await connection.write(requestBytes({ port, ...options }));
    return connection.response({ head: options.method === 'HEAD', ms: options.ms });
}

/** Sends bytes as they are and reads one response (null: closed without one). */
export async function raw(port, bytes, { ms } = {}) {
    const connection = await Connection.open(port);
    try {
        await connection.write(bytes);
        const response = await connection.response({ ms });
        response.body = await response.text(ms);
        return response;
    } finally {
        connection.destroy();
    }
}
