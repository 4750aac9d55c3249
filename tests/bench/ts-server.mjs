// SPDX-License-Identifier: MIT
// The TypeScript SDK's server with the tools of the bench: its low-level Server
// class behind its own HTTP handler, on node:http. Prints "listening on PORT".
//   node ts-server.mjs [PORT]
import http from 'node:http';
import { createMcpHandler, Server } from '@modelcontextprotocol/server';

const inputSchema = { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] };
const tools = [{ name: 'echo', description: 'Gives back its text.', inputSchema }];

function factory() {
    const server = new Server({ name: 'ts-server', version: '1.0.0' }, { capabilities: { tools: {} } });
    server.setRequestHandler('tools/list', () => ({ tools }));
    server.setRequestHandler('tools/call', ({ params }) => ({ content: [{ type: 'text', text: params.arguments.text }] }));
    return server;
}

const handler = createMcpHandler(factory, { responseMode: 'auto', keepAliveMs: 0 });

// Between node:http and the handler's web standard, as thin as it can be: the
// body is read and parsed once.
async function serve(request, response) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString('utf8');
    const headers = new Headers();
    for (const [name, value] of Object.entries(request.headers)) headers.set(name, value);
    const answer = await handler.fetch(
        new Request(`http://127.0.0.1${request.url}`, { method: request.method, headers, ...(text ? { body: text } : {}) }),
        text ? { parsedBody: JSON.parse(text) } : {});
    response.writeHead(answer.status, Object.fromEntries(answer.headers));
    if (/event-stream/.test(answer.headers.get('content-type') ?? '')) {
        for await (const chunk of answer.body) response.write(chunk);
        response.end();
    } else {
        response.end(await answer.text());
    }
}

const server = http.createServer((request, response) => {
    serve(request, response).catch((error) => {
        response.writeHead(500).end(String(error));
    });
});
server.keepAliveTimeout = 60_000;
server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', () => console.log(`listening on ${server.address().port}`));
