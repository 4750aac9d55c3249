// SPDX-License-Identifier: MIT
// An HTTP API on loopback for tests of plugins/http: it writes down what it is asked, and
// answers as its handler says, or with what it was asked.
import http from 'node:http';
import https from 'node:https';
import { finallyDo } from './check.mjs';

export class Api {
    requests = [];
    sockets = new Set();
    /** (request, response, body) => true when it has answered. */
    handler = null;

    static async start({ host = '127.0.0.1', tls = null } = {}) {
        const api = new Api();
        const listener = (request, response) => api.#take(request, response);
        api.server = tls ? https.createServer(tls, listener) : http.createServer(listener);
        api.server.on('connection', (socket) => {
            api.sockets.add(socket);
            api.connections = (api.connections ?? 0) + 1;
            socket.on('close', () => api.sockets.delete(socket));
        });
        await new Promise((resolve, reject) => api.server.on('error', reject).listen(0, host, resolve));
        api.port = api.server.address().port;
        api.url = `${tls ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${api.port}`;
        finallyDo(() => api.stop());
        return api;
    }

    stop() {
        for (const socket of this.sockets) socket.destroy();
        return new Promise((resolve) => this.server.close(resolve));
    }

    get last() {
        return this.requests.at(-1);
    }

    #take(request, response) {
        const chunks = [];
        request.on('data', (chunk) => chunks.push(chunk));
        request.on('end', () => {
            const body = Buffer.concat(chunks);
            const entry = { method: request.method, url: request.url, headers: request.headers, raw: request.rawHeaders, body, closed: false };
            this.requests.push(entry);
            response.on('close', () => { entry.closed = !response.writableEnded; });
            if (this.handler?.(request, response, body)) return;
            this.json(response, { method: request.method, url: request.url, body: body.toString('utf8') });
        });
        request.on('error', () => {});
    }

    json(response, value, status = 200, headers = {}) {
        response.writeHead(status, { 'content-type': 'application/json', ...headers });
        response.end(JSON.stringify(value));
        return true;
    }
}
