// SPDX-License-Identifier: MIT
// MCP by hand: messages of both eras exactly as a test wants them.
import { assert } from './check.mjs';
import { Connection, http } from './http.mjs';

export const MODERN = '2026-07-28';
export const LEGACY = ['2025-11-25', '2025-06-18', '2025-03-26'];
export const META = 'io.modelcontextprotocol/';
export const BOTH = 'application/json, text/event-stream';

let counter = 1;
export const nextId = () => counter++;

export function modernMeta(extra = {}) {
    return {
        [`${META}protocolVersion`]: MODERN,
        [`${META}clientInfo`]: { name: 'mcpd-tests', version: '1.0.0' },
        [`${META}clientCapabilities`]: {},
        ...extra,
    };
}

/** The parameter that Mcp-Name repeats. */
const NAMED_BY = {
    'tools/call': 'name', 'prompts/get': 'name', 'resources/read': 'uri',
    'tasks/get': 'taskId', 'tasks/update': 'taskId', 'tasks/cancel': 'taskId',
};
/** A header's value: as it is where it can be, else in the Base64 form. */
const encoded = (value) =>
    /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(value) && !/^=\?base64\?/.test(value) ? value : `=?base64?${Buffer.from(String(value)).toString('base64')}?=`;

/** A modern message: {headers, body} of a POST. `meta` is added to _meta. */
export function modernMessage(method, params = {}, { id = nextId(), meta = {}, headers = {}, accept = BOTH } = {}) {
    const body = { jsonrpc: '2.0', id, method, params: { ...params, _meta: modernMeta(meta) } };
    if (id === null) delete body.id;
    const list = {
        'Content-Type': 'application/json',
        Accept: accept,
        'MCP-Protocol-Version': MODERN,
        'Mcp-Method': method,
        ...(NAMED_BY[method] && params[NAMED_BY[method]] !== undefined ? { 'Mcp-Name': encoded(params[NAMED_BY[method]]) } : {}),
        ...headers,
    };
    return { headers: list, body: JSON.stringify(body), id };
}

/** Sends a modern request; resolves with the response, unread. */
export async function modern(port, method, params, options = {}) {
    const { headers, body, id } = modernMessage(method, params, options);
    const response = await http(port, { headers, body, connection: options.connection, ms: options.ms });
    response.id = id;
    return response;
}

/** Sends a modern request and returns its `result`; throws on an error. */
export async function modernResult(port, method, params, options = {}) {
    const response = await modern(port, method, params, options);
    const message = await response.last(options.ms);
    if (!options.connection) response.connection.destroy();
    assert.equal(response.status, 200, JSON.stringify(message));
    assert.ok('result' in message, JSON.stringify(message));
    assert.equal(message.id, response.id);
    return message.result;
}

export const callTool = (port, name, args = {}, options = {}) =>
    modernResult(port, 'tools/call', { name, arguments: args }, options);

/** The text of the first text block. */
export const textOf = (result) => result.content.find((block) => block.type === 'text')?.text;

/** All tools, page by page. */
/** All pages of a list, from the start again when it changes in between. */
export async function allTools(page) {
    for (;;) {
        const tools = [];
        let cursor;
        try {
            do {
                const result = await page(cursor ? { cursor } : {});
                tools.push(...result.tools);
                cursor = result.nextCursor;
            } while (cursor !== undefined);
            return tools;
        } catch (error) {
            if (!cursor || !/this cursor is not of the current list/.test(error.message)) throw error;
        }
    }
}

export const listTools = (port) => allTools((params) => modernResult(port, 'tools/list', params));

export const toolNames = async (port) => (await listTools(port)).map((tool) => tool.name);

/** An open subscriptions/listen stream. */
export class Listener {
    messages = [];
    ended = false;

    static async open(port, filter = { toolsListChanged: true }, options = {}) {
        const response = await modern(port, 'subscriptions/listen', { notifications: filter }, options);
        assert.equal(response.status, 200);
        const listener = Listener.over(response);
        listener.id = response.id;
        await listener.wait(1);
        return listener;
    }

    /** Reads on a response that is an event stream. */
    static over(response) {
        const listener = new Listener();
        listener.response = response;
        listener.#read();
        return listener;
    }

    async #read() {
        try {
            for await (const message of this.response.messages(600_000)) {
                this.messages.push({ ...message, at: performance.now() });
                this.wake?.();
            }
            this.ended = true;
        } catch (error) {
            this.error = error;
        }
        this.wake?.();
    }

    /** Waits until there are `count` messages in all. */
    async wait(count, ms = 5_000) {
        const end = performance.now() + ms;
        while (this.messages.length < count) {
            const left = end - performance.now();
            if (left <= 0 || this.ended || this.error)
                throw new Error(`${this.messages.length} messages of ${count} on the stream ` +
                    `${this.error ?? (this.ended ? '(ended)' : `after ${ms} ms`)}: ${JSON.stringify(this.messages)}`);
            let timer;
            await new Promise((resolve) => {
                this.wake = resolve;
                timer = setTimeout(resolve, left);
            });
            clearTimeout(timer);
        }
        return this.messages[count - 1];
    }

    close() {
        this.response.connection.destroy();
    }
}

/** A legacy session. */
export class Session {
    constructor(port, version) {
        this.port = port;
        this.version = version;
    }

    static async open(port, version = LEGACY[0], { capabilities = {} } = {}) {
        const session = new Session(port, version);
        const response = await http(port, {
            headers: { 'Content-Type': 'application/json', Accept: BOTH },
            body: JSON.stringify({
                jsonrpc: '2.0', id: 0, method: 'initialize',
                params: { protocolVersion: version, capabilities, clientInfo: { name: 'mcpd-tests', version: '1' } },
            }),
        });
        session.initialize = await response.last();
        response.connection.destroy();
        assert.equal(response.status, 200, JSON.stringify(session.initialize));
        session.id = response.headers['mcp-session-id'];
        assert.ok(session.id, 'initialize gives a session id');
        const accepted = await session.post({ jsonrpc: '2.0', method: 'notifications/initialized' });
        assert.equal(accepted.status, 202);
        accepted.connection.destroy();
        return session;
    }

    headers(extra = {}) {
        return {
            'Content-Type': 'application/json',
            Accept: BOTH,
            'Mcp-Session-Id': this.id,
            ...(this.version === '2025-03-26' ? {} : { 'MCP-Protocol-Version': this.version }),
            ...extra,
        };
    }

    /** Posts any JSON; the answer is unread unless it has no body. */
    post(message, { headers = {}, connection, ms } = {}) {
        return http(this.port, { headers: this.headers(headers), body: JSON.stringify(message), connection, ms });
    }

    request(method, params, options = {}) {
        const id = options.id ?? nextId();
        return this.post({ jsonrpc: '2.0', id, method, ...(params ? { params } : {}) }, options);
    }

    async result(method, params, options = {}) {
        const response = await this.request(method, params, options);
        const message = await response.last(options.ms);
        response.connection.destroy();
        assert.equal(response.status, 200, JSON.stringify(message));
        assert.ok('result' in message, JSON.stringify(message));
        return message.result;
    }

    /** The GET stream. */
    async stream() {
        const response = await http(this.port, {
            method: 'GET', headers: { ...this.headers(), 'Content-Type': null, Accept: 'text/event-stream' },
        });
        assert.equal(response.status, 200);
        return Listener.over(response);
    }

    async delete() {
        const response = await http(this.port, { method: 'DELETE', headers: { ...this.headers(), 'Content-Type': null } });
        await response.text();
        response.connection.destroy();
        return response;
    }
}

export { Connection };
