// SPDX-License-Identifier: MIT
// Listens to what clients and mcpd say to each other and validates every message of
// mcpd's against the schema of its revision. Fed with bytes by who carries them:
// the raw helpers (http.mjs, stdio.mjs) and the taps before real clients (tap.mjs,
// stdio-tap.mjs). check.mjs turns what is found into failures and tells the counts.
import { messageFault, missingSchemas, NEWEST, REVISIONS } from './schema.mjs';

const META = 'io.modelcontextprotocol/';

/** How many messages of mcpd's were validated, by revision. */
const counts = Object.fromEntries(REVISIONS.map((revision) => [revision, 0]));
let found = [];

/** The violations since the last call: one text for each. */
export function takeViolations() {
    const list = found;
    found = [];
    return list;
}

/** What was counted elsewhere (by a tap that is a process of its own). */
export function addReport({ counted = {}, violations = [] }) {
    for (const [revision, count] of Object.entries(counted)) counts[revision] += count;
    found.push(...violations);
}
export const report = () => ({ counted: { ...counts }, violations: takeViolations() });

/** The line that a test file ends with. */
export function summary() {
    const said = REVISIONS.filter((revision) => counts[revision]).map((revision) => `${revision}: ${counts[revision]}`);
    if (missingSchemas.length === REVISIONS.length) return `what mcpd sent was NOT VALIDATED: ${missingSchemas[0]} and the others are not there`;
    const without = missingSchemas.length ? ` (NOT VALIDATED for want of ${missingSchemas.join(', ')})` : '';
    return said.length ? `messages of mcpd validated: ${said.join(', ')}${without}` : null;
}

function violation(revision, why, text) {
    found.push(`not ${revision}: ${why}\n${text.slice(0, 1500)}`);
}

/** Where no status says so: an error of this kind means the whole of what was sent. */
const refusal = (text) => /"code":-32(700|600)\b/.test(text);
const known = (revision) => (REVISIONS.includes(revision) ? revision : undefined);
const keyOf = (id) => JSON.stringify(id);

/** One conversation: a session, a standard input and output, or a single exchange. */
export class Channel {
    revision = undefined; // of the session
    #asked = new Map(); // id of a request: {method, asTask, revision}
    #modern = false; // requests of 2026-07-28 were among them

    /** blind: what is asked could not be read. */
    constructor({ blind = false } = {}) {
        this.blind = blind;
    }

    /** What a client sends: the text of a message. `header` is its MCP-Protocol-Version. */
    asks(text, header) {
        let message;
        try {
            message = JSON.parse(text);
        } catch {
            return;
        }
        for (const one of Array.isArray(message) ? message : [message]) {
            if (one === null || typeof one !== 'object' || !('id' in one) || 'result' in one || 'error' in one) continue;
            /* The header decides where there is one; else what the message says. */
            const meta = header === undefined ? known(one.params?._meta?.[`${META}protocolVersion`]) : header === NEWEST ? NEWEST : undefined;
            this.#modern ||= meta === NEWEST;
            this.#asked.set(keyOf(one.id), { method: one.method, asTask: one.params?.task !== undefined, revision: meta ?? this.revision ?? known(header) });
        }
    }

    /** What mcpd sends: the text of a message or of a batch. `refused`: as an answer to
     * what it could not accept as a whole, so that it need not know the id. */
    says(text, refused = false) {
        let message;
        try {
            message = JSON.parse(text);
        } catch (error) {
            violation('JSON', error.message, text);
            return;
        }
        if (!Array.isArray(message)) return this.#check(message, text, refused);
        const revision = this.revision ?? '2025-03-26';
        const why = message.length === 0 ? 'an empty batch' : messageFault(revision, message, undefined);
        if (why) violation(revision, why, text);
        for (const one of message) this.#check(one, JSON.stringify(one), refused);
    }

    #check(message, text, refused) {
        const asked = this.#asked.get(keyOf(message?.id));
        const answers = message !== null && typeof message === 'object' && !('method' in message);
        if (asked?.method === 'initialize' && message.result) this.revision = asked.revision = known(message.result.protocolVersion) ?? this.revision;
        if (answers && 'id' in message && !asked && !this.blind) violation('JSON-RPC', `an answer to ${message.id}, which was not asked`, text);
        if (answers && !('id' in message) && !refused) violation('JSON-RPC', 'an answer without an id', text);
        const revisions = this.#revisions(message, asked, answers);
        const faults = revisions.map((revision) => messageFault(revision, message, asked?.method, asked?.asTask));
        counts[revisions[0]]++;
        if (faults.every(Boolean)) violation(revisions[0], faults[0], text);
    }

    /** Of which a message may be; more than one where a channel carries both eras. */
    #revisions(message, asked, answers) {
        const { revision } = this;
        /* What could not be read is of no revision, and only the newest schemas know an
         * answer without an id, which JSON-RPC and the transport always had. */
        if (answers && !('id' in message)) return [NEWEST];
        /* Without a word about its revision a request is of the era of sessions. */
        if (answers) return [asked?.revision ?? revision ?? ('result' in message ? REVISIONS[1] : NEWEST)];
        if (message?.params?._meta?.[`${META}subscriptionId`] !== undefined) return [NEWEST];
        if (revision) return this.#modern ? [revision, NEWEST] : [revision];
        return [[...this.#asked.values()].map((one) => one.revision).find(Boolean) ?? NEWEST];
    }
}

// ---- HTTP ------------------------------------------------------------------------

/** Reads the HTTP/1.1 messages of one direction as their bytes come. Gives up at the
 * first that is not well-formed: its peer does, too. */
class HttpReader {
    #rest = Buffer.alloc(0);
    #state = 'head';
    #left = 0;

    /** head(start line, headers) returns whether a body may follow; body(bytes); end(). */
    constructor(on) {
        this.on = on;
    }

    push(bytes) {
        this.#rest = this.#rest.length ? Buffer.concat([this.#rest, bytes]) : bytes;
        while (this.#step());
    }

    /** The connection is closed. */
    finish() {
        if (this.#state === 'rest') this.#done();
    }

    #line(end) {
        const at = this.#rest.indexOf(end);
        if (at < 0) return null;
        const line = this.#rest.subarray(0, at).toString('latin1');
        this.#rest = this.#rest.subarray(at + end.length);
        return line;
    }

    #done() {
        this.#state = 'head';
        this.on.end();
    }

    #step() {
        switch (this.#state) {
        case 'head':
            return this.#head();
        case 'size': {
            const line = this.#line('\r\n');
            if (line === null) return false;
            this.#left = parseInt(line, 16);
            this.#state = !/^[0-9a-f]/i.test(line) ? 'lost' : this.#left === 0 ? 'trailer' : 'chunk';
            return true;
        }
        case 'trailer': {
            const line = this.#line('\r\n');
            if (line === '') this.#done();
            return line !== null;
        }
        case 'chunk end':
            if (this.#line('\r\n') === null) return false;
            this.#state = 'size';
            return true;
        case 'chunk':
        case 'fixed':
            return this.#counted();
        case 'rest':
            if (this.#rest.length) this.on.body(this.#rest);
        // falls through
        default:
            this.#rest = Buffer.alloc(0);
            return false;
        }
    }

    #head() {
        const text = this.#line('\r\n\r\n');
        if (text === null) return false;
        const [start, ...lines] = text.replace(/^(\r\n)+/, '').split('\r\n');
        const headers = {};
        for (const line of lines) {
            const colon = line.indexOf(':');
            if (colon > 0) headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
        }
        if (!/^(HTTP\/1\.[01] \d{3}( .*)?|\S+ \S+ HTTP\/1\.[01])$/.test(start)) {
            this.#state = 'lost';
            return true;
        }
        const hasBody = this.on.head(start, headers);
        const length = headers['content-length'];
        this.#left = Number(length ?? 0);
        if (!hasBody) this.#done();
        else if (/chunked/i.test(headers['transfer-encoding'] ?? '')) this.#state = 'size';
        else if (length === undefined && hasBody === 'until the end') this.#state = 'rest';
        else if (!/^\d+$/.test(length ?? '0')) this.#state = 'lost';
        else if (this.#left === 0) this.#done();
        else this.#state = 'fixed';
        return true;
    }

    #counted() {
        if (!this.#rest.length) return false;
        const part = this.#rest.subarray(0, this.#left);
        this.#rest = this.#rest.subarray(part.length);
        this.#left -= part.length;
        this.on.body(part);
        if (this.#left === 0) {
            if (this.#state === 'fixed') this.#done();
            else this.#state = 'chunk end';
        }
        return true;
    }
}

/** The data of the events of a stream, as it comes. */
class EventReader {
    #decoder = new TextDecoder();
    #rest = '';

    constructor(event) {
        this.event = event;
    }

    push(bytes) {
        this.#rest += this.#decoder.decode(bytes, { stream: true });
        const blocks = this.#rest.split(/\r?\n\r?\n/);
        this.#rest = blocks.pop();
        for (const block of blocks) {
            const lines = block.split(/\r?\n/);
            const values = (name) => lines.filter((line) => line.startsWith(`${name}:`)).map((line) => line.slice(name.length + 1).replace(/^ /, ''));
            this.event(values('event').at(-1) ?? 'message', values('data').join('\n'));
        }
    }
}

const sessions = new Map(); // Mcp-Session-Id: Channel
const endpoints = new Map(); // the same for 2024-11-05, where the endpoint has the id
const endpointId = (target) => /[?&]sessionId=([^&]+)/.exec(target)?.[1] ?? target;
const POSTED = /^\/(mcp|messages?)\b/;

/** One connection: bytes in both directions. */
export class Conversation {
    #requests = []; // whole or begun, not yet answered
    #current = null; // the request that is being sent
    #answer = null; // {request, channel, type, parts, events}

    #out = new HttpReader({
        head: (start, headers) => {
            const [method, target] = start.split(' ');
            this.#current = { method, path: target, headers, parts: [] };
            this.#requests.push(this.#current);
            return true;
        },
        body: (bytes) => this.#current.parts.push(bytes),
        end: () => (this.#current.channel = this.#ask(this.#current)),
    });

    #in = new HttpReader({
        head: (start, headers) => this.#begin(Number(start.split(' ')[1]), headers),
        body: (bytes) => (this.#answer.events ? this.#answer.events.push(bytes) : this.#answer.parts.push(bytes)),
        end: () => this.#end(),
    });

    sent(bytes) {
        this.#out.push(Buffer.from(bytes));
    }

    received(bytes) {
        this.#in.push(bytes);
    }

    closed() {
        this.#in.finish();
    }

    /** The channel that a request belongs to; what it says is noted there. */
    #ask(request) {
        const text = Buffer.concat(request.parts).toString('utf8');
        const header = request.headers['mcp-protocol-version'];
        const modern = header === NEWEST || (header === undefined && text.includes(`"${META}protocolVersion"`));
        const channel = endpoints.get(endpointId(request.path)) ?? (modern ? undefined : sessions.get(request.headers['mcp-session-id'])) ?? new Channel();
        if (request.method === 'POST') channel.asks(text, header);
        else if (!channel.revision) channel.revision = known(header) === NEWEST ? undefined : known(header);
        return channel;
    }

    #begin(status, headers) {
        if (status < 200) return false;
        const request = this.#requests.shift() ?? { method: '', path: '', headers: {}, parts: [] };
        /* An answer may come before the whole request, or to one that is not well-formed. */
        const channel = request.channel ?? new Channel({ blind: true });
        this.#answer = { request, channel, refused: status >= 400, type: headers['content-type'] ?? '', parts: [] };
        if (headers['mcp-session-id'] && !sessions.has(headers['mcp-session-id'])) sessions.set(headers['mcp-session-id'], channel);
        if (/^text\/event-stream/.test(this.#answer.type)) this.#answer.events = new EventReader((event, data) => this.#event(channel, event, data));
        if (request.method === 'HEAD' || status === 204 || status === 304) return false;
        return 'content-length' in headers || 'transfer-encoding' in headers ? true : 'until the end';
    }

    #event(channel, event, data) {
        if (event === 'endpoint') {
            channel.revision ??= '2024-11-05';
            endpoints.set(endpointId(data), channel);
        } else if (data !== '') {
            channel.says(data, refusal(data));
        }
    }

    #end() {
        const { request, channel, refused, type, parts, events } = this.#answer ?? {};
        this.#answer = null;
        if (!parts?.length || events || !/^application\/json/.test(type)) return;
        const text = Buffer.concat(parts).toString('utf8');
        if (POSTED.test(request.path) || text.includes('"jsonrpc"')) channel.says(text, refused);
    }
}

// ---- Standard input and output -------------------------------------------------------

/** Calls `line` with each line of what is pushed. */
export class Lines {
    #parts = [];

    constructor(line) {
        this.line = line;
    }

    push(bytes) {
        let from = 0;
        for (let at; (at = bytes.indexOf(10, from)) >= 0; from = at + 1) {
            this.#parts.push(bytes.subarray(from, at));
            const text = Buffer.concat(this.#parts).toString('utf8').trim();
            this.#parts = [];
            if (text) this.line(text);
        }
        this.#parts.push(bytes.subarray(from));
    }

    /** The end: a last line may lack its newline. */
    finish() {
        this.push(Buffer.from('\n'));
    }
}

/** A client's conversation with mcpd --stdio. */
export class LineConversation {
    #channel = new Channel();
    #out = new Lines((text) => this.#channel.asks(text));
    #in = new Lines((text) => this.#channel.says(text, refusal(text)));

    sent(bytes) {
        this.#out.push(Buffer.from(bytes));
    }

    received(bytes) {
        this.#in.push(Buffer.from(bytes));
    }

    /** The client's end. */
    ended() {
        this.#out.finish();
    }
}
