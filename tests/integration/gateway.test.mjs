// SPDX-License-Identifier: MIT
// plugins/http through mcpd, with the official client: real OpenAPI documents, every style
// of parameters, authentication, retries, limits.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import zlib from 'node:zlib';
import { Api } from './lib/api.mjs';
import { assert, done, finallyDo, SCALE, sleep, test, until } from './lib/check.mjs';
import { Daemon, ROOT, temporaryDirectory } from './lib/daemon.mjs';
import { listTools } from './lib/mcp.mjs';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import Ajv2020 from 'ajv/dist/2020.js';

const modules = path.join(ROOT, 'tests/integration/node_modules');
/** Public APIs as their owners describe them, out of npm packages. */
const DOCUMENTS = {
    // @blockfrost/openapi: Blockfrost (Cardano), OpenAPI 3.0.3 in YAML
    blockfrost: { file: '@blockfrost/openapi/openapi.yaml', operations: 129 },
    // @directus/specs: Directus, OpenAPI 3.0.1
    directus: { file: '@directus/specs/dist/openapi.json', operations: 136 },
    // @readme/oas-examples: ReadMe's own API, OpenAPI 3.1.0; the Star Trek API, 3.0.1; Train Travel, 3.1.0
    readme: { file: '@readme/oas-examples/3.1/json/readme.json', operations: 54 },
    stapi: { file: '@readme/oas-examples/3.0/json/star-trek.json', operations: 120 },
    train: { file: '@readme/oas-examples/3.1/json/train-travel.json', operations: 7 },
};

const base = temporaryDirectory('mcpd-gateway');
const SECRET = 's3cret/with+signs';
/** What JSON cannot hold without escapes, and what it may hold with some. */
const ODD = 'se/cr+et/"to\\ken"9';
const LONG = 'long-token'.repeat(7);
const file = (name, text) => {
    fs.writeFileSync(path.join(base, name), text, { mode: 0o600 });
    return path.join(base, name);
};
const api = await Api.start();
const other = await Api.start();
const open = { base_url: api.url, allowed_networks: ['127.0.0.1'] };
const secretFile = file('secret', `${SECRET}\n`);

const styles = file('styles.json', JSON.stringify({
    openapi: '3.0.3', info: { title: 't', version: '1' }, paths: {
        '/p/{v}/end': Object.fromEntries([['get', 'simple', false], ['put', 'label', false], ['post', 'matrix', false], ['delete', 'simple', true], ['patch', 'label', true], ['options', 'matrix', true]]
            .map(([method, style, explode]) => [method, { operationId: `${style}${explode ? '*' : ''}`, parameters: [{ name: 'v', in: 'path', required: true, style, explode, schema: {} }], responses: {} }])),
        '/q': { get: { operationId: 'query', responses: {}, parameters: [
            { name: 'form', in: 'query', schema: {} },
            { name: 'list', in: 'query', explode: false, schema: {} },
            { name: 'space', in: 'query', style: 'spaceDelimited', schema: {} },
            { name: 'pipe', in: 'query', style: 'pipeDelimited', schema: {} },
            { name: 'deep', in: 'query', style: 'deepObject', schema: {} },
            { name: 'json', in: 'query', content: { 'application/json': { schema: {} } } },
            { name: 'as is', in: 'query', allowReserved: true, schema: {} },
            { name: 'X-List', in: 'header', schema: {} },
            { name: 'Authorization', in: 'header', schema: {} },
            { name: 'crumb', in: 'cookie', schema: {} }] } },
        '/form': { post: { operationId: 'form', responses: {}, requestBody: { required: true, content: { 'application/x-www-form-urlencoded': { schema: { type: 'object', properties: { a: { type: 'string' }, list: { type: 'array', items: {} } } } } } } } },
        '/upload': { post: { operationId: 'upload', responses: {}, requestBody: { content: { 'multipart/form-data': {
            schema: { type: 'object', properties: { picture: { type: 'string', format: 'binary' }, about: { type: 'object' }, tag: { type: 'array', items: { type: 'string' } } } },
            encoding: { picture: { contentType: 'image/png' } } } } } } },
        '/text': { put: { operationId: 'text', responses: {}, requestBody: { content: { 'text/plain': {} } } } },
        '/bytes': { put: { operationId: 'bytes', responses: {}, requestBody: { content: { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } } } } },
        '/json': { patch: { operationId: 'json', summary: 'Change it', tags: ['beta'], responses: {}, requestBody: { content: { 'application/json': { schema: { $ref: '#/components/schemas/Node' } } } } } },
        '/broken': { get: { operationId: 'broken', parameters: [{ $ref: 'other.yaml#/x' }], responses: {} } },
    },
    components: { schemas: { Node: { type: 'object', required: ['id', 'name'], properties: {
        id: { type: 'integer', readOnly: true }, name: { type: 'string', nullable: true, example: 'n' }, kind: { type: 'string', enum: ['a'], nullable: true },
        size: { type: 'number', minimum: 0, exclusiveMinimum: true, maximum: 9, exclusiveMaximum: false },
        parent: { nullable: true, allOf: [{ $ref: '#/components/schemas/Node' }] }, children: { type: 'array', items: { $ref: '#/components/schemas/Node' } } } } } },
}));

const table = [
    { name: 'item', description: 'One item', path: '/items/{id}{?full,limit}', parameters: [{ name: 'id', type: 'string', description: 'Which' }, { name: 'limit', type: 'integer', minimum: 1 }] },
    { name: 'file', path: '/files/{+path}', parameters: [{ name: 'path', type: 'string' }] },
    { name: 'make', method: 'POST', path: '/items', body: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] } },
    { name: 'replace', method: 'PUT', path: '/items/{id}', body: {} },
    { name: 'remove', method: 'DELETE', path: '/items/{id}' },
    { name: 'head', method: 'HEAD', path: '/items' },
    { name: 'promised', path: '/promised', result: { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] } },
    { name: 'header', path: '/h', parameters: [{ name: 'X-Note', in: 'header', type: 'string' }] },
];
const oauth = { type: 'oauth2', token_url: `${api.url}/token`, client_id: 'me', client_secret: { file: secretFile }, scope: 'read write' };
const providers = {
    styles: { plugin: 'http', prefix: 'styles_', config: { ...open, openapi: styles } },
    chosen: { plugin: 'http', prefix: 'chosen_', config: { ...open, openapi: styles, include: { tags: ['beta'], paths: ['/p/*'], operations: ['up*'] }, exclude: { operations: ['label*'] }, methods: ['GET', 'POST', 'PATCH', 'PUT'] } },
    table: { plugin: 'http', prefix: '', config: { ...open, base_url: `${api.url}/v1/`, tools: table, headers: { 'X-Fixed': 'yes' } } },
    impatient: { plugin: 'http', prefix: 'impatient_', config: { ...open, tools: table, timeout_ms: 600, retries: 0, max_response_bytes: 65536 } },
    bearer: { plugin: 'http', prefix: 'bearer_', config: { ...open, tools: table, auth: { type: 'bearer', token: { file: secretFile } }, allowed_hosts: [`127.0.0.1:${other.port}`] } },
    basic: { plugin: 'http', prefix: 'basic_', isolation: 'inproc', config: { ...open, tools: table, auth: { type: 'basic', username: 'me', password: { environment: 'GATEWAY_PASSWORD' } } } },
    basicworker: { plugin: 'http', prefix: 'basicworker_', isolation: 'process', sandbox: { network: true }, config: { ...open, tools: table, auth: { type: 'basic', username: 'me', password: { environment: 'GATEWAY_PASSWORD' } } } },
    key: { plugin: 'http', prefix: 'key_', config: { ...open, tools: table, auth: [{ type: 'api_key', name: 'X-Key', key: { file: secretFile } }, { type: 'api_key', in: 'query', name: 'api_key', key: { file: secretFile } }, { type: 'api_key', in: 'cookie', name: 'sid', key: { file: file('plain', 'plain-cookie-key') } }] } },
    oauth: { plugin: 'http', prefix: 'oauth_', config: { ...open, tools: table, auth: oauth } },
    nobody: { plugin: 'http', prefix: 'nobody_', config: { ...open, tools: table, auth: { ...oauth, token_url: `${api.url}/no-token`, client_auth: 'body' } } },
    long: { plugin: 'http', prefix: 'long_', config: { ...open, tools: table, auth: { ...oauth, token_url: `${api.url}/no-token`, client_secret: { file: file('long', LONG) } } } },
    odd: { plugin: 'http', prefix: 'odd_', config: { ...open, tools: table, auth: { type: 'bearer', token: { file: file('odd', `${ODD}\n`) } } } },
    worker: { plugin: 'http', prefix: 'worker_', isolation: 'process', sandbox: { network: true }, config: { ...open, tools: table, auth: { type: 'bearer', token: { file: secretFile } } } },
};
execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', path.join(base, 'key.pem'), '-out', path.join(base, 'ca.pem')], { stdio: 'ignore' });
const safe = await Api.start({ tls: { key: fs.readFileSync(path.join(base, 'key.pem')), cert: fs.readFileSync(path.join(base, 'ca.pem')) } });
providers.tls = { plugin: 'http', prefix: 'tls_', config: { ...open, base_url: safe.url, tools: table, ca_file: path.join(base, 'ca.pem') } };
providers.untrusted = { plugin: 'http', prefix: 'untrusted_', config: { ...open, base_url: safe.url, tools: table } };
for (const [name, { file: at }] of Object.entries(DOCUMENTS))
    providers[name] = { plugin: 'http', prefix: `${name}_`, config: { ...open, openapi: path.join(modules, at), output_schemas: name !== 'blockfrost' } };

// Counts where they run in worker processes.
for (const provider of Object.values(providers)) if (provider.isolation !== 'inproc') provider.sandbox = { network: true };
const daemon = await Daemon.start({ plugins: ['http'], config: { providers }, env: { GATEWAY_PASSWORD: SECRET, http_proxy: 'http://127.0.0.1:1', HTTP_PROXY: 'http://127.0.0.1:1', ALL_PROXY: 'http://127.0.0.1:1' } });
const client = new Client({ name: 'gateway-test', version: '1' });
await client.connect(new StreamableHTTPClientTransport(new URL(`http://127.0.0.1:${daemon.port}/mcp`)));
finallyDo(() => client.close());
const tools = await listTools(daemon.port);
const tool = (name) => tools.find((one) => one.name === name);
const call = (name, args = {}, options) => client.callTool({ name, arguments: args }, options);
const text = (result) => result.content[0].text;
/** The request that a call made. */
async function asked(name, args) {
    const before = api.requests.length;
    const result = await call(name, args);
    assert.ok(!result.isError, text(result));
    assert.equal(api.requests.length, before + 1);
    return api.last;
}
async function failure(name, args, pattern) {
    const result = await call(name, args);
    assert.equal(result.isError, true, JSON.stringify(result).slice(0, 500));
    assert.match(text(result), pattern);
    assert.ok(!text(result).includes(SECRET), 'a secret is told');
    return text(result);
}
const handle = (handler) => { api.handler = handler; };
const plain = () => handle(null);

// ---- documents ----

for (const [name, { operations, file: at }] of Object.entries(DOCUMENTS)) {
    test(`${at}: each of its ${operations} operations is a valid tool or is listed with the reason`, async () => {
        const own = tools.filter((one) => one.name.startsWith(`${name}_`));
        const left = daemon.lines.filter((line) => line.includes(`${name}: no tool of`)).join('').match(/(GET|PUT|POST|DELETE|OPTIONS|HEAD|PATCH|TRACE) \/[^ ]* \(/g)?.length ?? 0;
        assert.equal(own.length + left, operations);
        assert.ok(own.length >= operations - 3, `${left} are none`);
        for (const one of own) {
            assert.match(one.name, /^[A-Za-z0-9_.-]{1,128}$/);
            assert.equal(one.inputSchema.type, 'object');
            for (const key of Object.keys(one.inputSchema.properties)) assert.match(key, /^[A-Za-z0-9_.-]{1,64}$/);
            const ajv = new Ajv2020({ strict: false, validateFormats: false });
            ajv.compile(one.inputSchema);
            if (one.outputSchema) ajv.compile(one.outputSchema);
        }
        assert.equal(new Set(own.map((one) => one.name)).size, own.length);
    });
}
test('calls of their tools reach the API as the documents say', async () => {
    plain();
    assert.equal((await asked('blockfrost_get_blocks_hash_or_number', { hash_or_number: '4/2' })).url, '/blocks/4%2F2');
    const search = tools.find((one) => one.name.startsWith('stapi_') && one.annotations.readOnlyHint === false && one.inputSchema.properties.body);
    handle((request, response) => api.json(response, { page: { pageNumber: 0 } }));
    const posted = await call(search.name, { pageNumber: 2, body: { title: 'Q & A' } });
    assert.ok(!posted.isError, text(posted));
    assert.equal(api.last.method, 'POST');
    assert.match(api.last.url, /\?pageNumber=2$/);
    assert.equal(api.last.headers['content-type'], 'application/x-www-form-urlencoded');
    assert.equal(String(api.last.body), 'title=Q%20%26%20A');
    handle((request, response) => api.json(response, { id: 'b1', links: { self: 'https://example.com/b1' } }));
    const booking = await call('train_create-booking', { body: { trip_id: '4f4e4e1c-8824-4d63-b37a-d8d698862f1d', passenger_name: 'Å', has_bicycle: true } });
    assert.deepEqual(booking.structuredContent, { id: 'b1', links: { self: 'https://example.com/b1' } });
    assert.deepEqual(JSON.parse(api.last.body), { trip_id: '4f4e4e1c-8824-4d63-b37a-d8d698862f1d', passenger_name: 'Å', has_bicycle: true });
    assert.equal(api.last.headers['content-type'], 'application/json');
});

// ---- schemas ----

test('schemas of 3.0 come as JSON Schema 2020-12; what is read-only is not asked for; recursion stays', () => {
    const { inputSchema, annotations, description } = tool('styles_json');
    assert.deepEqual(inputSchema.properties.body, { $ref: '#/$defs/Node' });
    const node = inputSchema.$defs.Node;
    assert.deepEqual(node.required, ['name']);
    assert.equal(node.properties.id, undefined);
    assert.deepEqual(node.properties.name, { type: ['string', 'null'], examples: ['n'] });
    assert.deepEqual(node.properties.kind.enum, ['a', null]);
    assert.deepEqual(node.properties.size, { type: 'number', maximum: 9, exclusiveMinimum: 0 });
    assert.deepEqual(node.properties.parent, { anyOf: [{ allOf: [{ $ref: '#/$defs/Node' }] }, { type: 'null' }] });
    assert.deepEqual(node.properties.children.items, { $ref: '#/$defs/Node' });
    assert.equal(description, 'Change it');
    assert.deepEqual(annotations, { title: 'Change it', readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: true });
    assert.equal(tool('styles_query').annotations.readOnlyHint, true);
    assert.equal(tool('remove').annotations.idempotentHint, true);
});
test('an operation that cannot be a tool is listed with the reason', () => {
    assert.equal(tool('styles_broken'), undefined);
    assert.ok(daemon.lines.some((line) => /styles: no tool of GET \/broken \(it refers to another document, which is not fetched: other\.yaml/.test(line)), daemon.lines.join('\n'));
});
test('tools are chosen by tag, path, operation and method', () => {
    assert.deepEqual(tools.filter((one) => one.name.startsWith('chosen_')).map((one) => one.name.slice(7)).sort(), ['json', 'matrix', 'simple', 'upload']);
});

// ---- requests ----

const LIST = ['a/b', 'c,d', 'é'], OBJECT = { x: 'a b', y: '1' };
for (const [name, value, expected] of [
    ['simple', 'a b/c', 'a%20b%2Fc'], ['simple', LIST, 'a%2Fb,c%2Cd,%C3%A9'], ['simple', OBJECT, 'x,a%20b,y,1'],
    ['simple_2', LIST, 'a%2Fb,c%2Cd,%C3%A9'], ['simple_2', OBJECT, 'x=a%20b,y=1'],
    ['label', 'v', '.v'], ['label', LIST, '.a%2Fb,c%2Cd,%C3%A9'], ['label_2', LIST, '.a%2Fb.c%2Cd.%C3%A9'], ['label_2', OBJECT, '.x=a%20b.y=1'],
    ['matrix', 'v', ';v=v'], ['matrix', LIST, ';v=a%2Fb,c%2Cd,%C3%A9'], ['matrix_2', LIST, ';v=a%2Fb;v=c%2Cd;v=%C3%A9'], ['matrix_2', OBJECT, ';x=a%20b;y=1'],
]) test(`path, ${name}: ${JSON.stringify(value)}`, async () => {
    plain();
    assert.equal((await asked(`styles_${name}`, { v: value })).url, `/p/${expected}/end`);
});
for (const [args, expected] of [
    [{ form: 'a&b=c#d' }, '?form=a%26b%3Dc%23d'], [{ form: ['1', '2'] }, '?form=1&form=2'], [{ form: OBJECT }, '?x=a%20b&y=1'], [{ form: [] }, ''],
    [{ list: ['1', '2,3'] }, '?list=1,2%2C3'], [{ list: OBJECT }, '?list=x,a%20b,y,1'],
    [{ space: ['1', '2'] }, '?space=1%202'], [{ pipe: ['1', '2'] }, '?pipe=1%7C2'],
    [{ deep: { a: { b: 1 }, c: [true, null] } }, '?deep[a][b]=1&deep[c]=true&deep[c]='],
    [{ json: { a: [1] } }, '?json=%7B%22a%22%3A%5B1%5D%7D'],
    [{ as_is: 'http://h/a?b&c#d' }, '?as%20is=http://h/a?b%26c%23d'],
    [{ form: 12345678901234567890n, list: 'x' }, '?form=12345678901234567890&list=x'],
]) test(`query: ${JSON.stringify(args, (_, v) => typeof v === 'bigint' ? String(v) : v)}`, async () => {
    plain();
    if (typeof args.form === 'bigint') args.form = String(args.form);
    assert.equal((await asked('styles_query', args)).url, `/q${expected}`);
});
test('headers and cookies; those that are ours are no arguments', async () => {
    plain();
    const { headers } = await asked('styles_query', { 'X-List': ['a', 'b'], crumb: 'x;y' });
    assert.equal(headers['x-list'], 'a,b');
    assert.equal(headers.cookie, 'crumb=x%3By');
    assert.equal(tool('styles_query').inputSchema.properties.Authorization, undefined);
    assert.match(headers['user-agent'], /^mcpd\//);
});
test('bodies: form, multipart, text, bytes, JSON with every digit', async () => {
    plain();
    const form = await asked('styles_form', { body: { a: 'x&y', list: [1, 2], none: null } });
    assert.equal(String(form.body), 'a=x%26y&list=1&list=2');
    const upload = await asked('styles_upload', { body: { picture: Buffer.from([0, 255, 13, 10]).toString('base64'), about: { n: 1 }, tag: ['a', 'b'] } });
    const boundary = /boundary=(\S+)/.exec(upload.headers['content-type'])[1];
    const parts = upload.body.toString('latin1').split(`--${boundary}`);
    assert.equal(parts.length, 6);
    assert.equal(parts[1], '\r\nContent-Disposition: form-data; name="picture"; filename="picture"\r\nContent-Type: image/png\r\n\r\n\x00\xff\r\n\r\n');
    assert.equal(parts[2], '\r\nContent-Disposition: form-data; name="about"\r\nContent-Type: application/json\r\n\r\n{"n":1}\r\n');
    assert.equal(parts[4], '\r\nContent-Disposition: form-data; name="tag"\r\n\r\nb\r\n');
    assert.equal(String((await asked('styles_text', { body: 'grüß' })).body), 'grüß');
    assert.deepEqual((await asked('styles_bytes', { body: 'AP8=' })).body, Buffer.from([0, 255]));
    await failure('styles_bytes', { body: 'not base64!' }, /must be bytes in Base64/);
    const session = await fetch(`http://127.0.0.1:${daemon.port}/mcp`, { method: 'POST', headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'styles_json' },
        body: '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"styles_json","arguments":{"body":{"name":"x","big":123456789012345678901234567890}},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}' });
    await session.text();
    assert.equal(String(api.last.body), '{"name":"x","big":123456789012345678901234567890}');
});
test('the table: templates, query, body, headers of the configuration, base URL with a path', async () => {
    plain();
    const item = await asked('item', { id: 'a b', limit: 3, full: true });
    assert.equal(item.url, '/v1/items/a%20b?limit=3&full=true');
    assert.equal(item.headers['x-fixed'], 'yes');
    assert.equal((await asked('file', { path: 'a/b c/d.txt' })).url, '/v1/files/a/b%20c/d.txt');
    assert.equal((await asked('file', { path: '...;/a;..;b/..c;' })).url, '/v1/files/...;/a;..;b/..c;');
    const made = await asked('make', { body: { name: 'n' } });
    assert.equal(made.method, 'POST');
    assert.equal(String(made.body), '{"name":"n"}');
    assert.equal((await asked('head')).method, 'HEAD');
    assert.equal((await asked('remove', { id: '1' })).headers['content-length'], undefined);
    assert.equal(tool('item').inputSchema.properties.id.description, 'Which');
});
// A server may take what is behind a ";" for parameters of the segment (RFC 3986, 3.3).
for (const value of ['..', '.', '../x', 'a/../../b', '..\\x', '%2e%2e/x', '%252e%252e%252fx', '..%2Fx', 'x/..', '..;', '..;x=y/b', 'a/.;/b', '..%3bx/b', 'a/%2e%2e%253B'])
    test(`a path parameter does not leave its place: ${value}`, async () => {
        const before = api.requests.length;
        await failure('item', { id: value }, /lead to another place/);
        await failure('file', { path: value }, /lead to another place/);
        assert.equal(api.requests.length, before);
    });
test('nor with control characters, or nothing; a header has one line', async () => {
    const before = api.requests.length;
    await failure('item', { id: 'a\r\nX-Evil: 1' }, /control character/);
    await failure('item', { id: 'a\u0000b' }, /control character/);
    await failure('item', { id: '' }, /must not be empty/);
    await failure('styles_label_2', { v: ['', ''] }, /lead to another place/);
    await failure('header', { 'X-Note': 'a\r\nX-Evil: 1' }, /line break/);
    await failure('header', { 'X-Note': 'a\nb' }, /line break/);
    await failure('header', { 'X-Note': 'a\u0000b' }, /line break/);
    assert.equal(api.requests.length, before);
    plain();
    assert.equal((await asked('item', { id: '//evil.example/@x:1?a#b' })).url, '/v1/items/%2F%2Fevil.example%2F%40x%3A1%3Fa%23b');
});

// ---- answers ----

test('answers: JSON, text, pictures, sounds, bytes, nothing', async () => {
    const send = (type, body, status = 200) => handle((request, response) => { response.writeHead(status, type ? { 'content-type': type } : {}); response.end(body); return true; });
    send('application/problem+json; charset=utf-8', '{"a":12345678901234567890}');
    assert.deepEqual((await call('head')).content, [{ type: 'text', text: 'HTTP 200 OK' }]);
    assert.equal(text(await call('item', { id: '1' })), '{"a":12345678901234567890}');
    send('application/json', '\ufeff[1,2]');
    const list = await call('item', { id: '1' });
    assert.equal(text(list), '[1,2]');
    send('application/json', '{"a":1,"a":2}');
    assert.equal((await call('item', { id: '1' })).structuredContent, undefined);
    send('text/html; charset=ISO-8859-1', Buffer.from([0x67, 0xfc]));
    assert.equal(text(await call('item', { id: '1' })), 'gü');
    send('text/plain', Buffer.from([0x67, 0xfc]));
    assert.equal(text(await call('item', { id: '1' })), 'g\ufffd');
    send('image/png', Buffer.from([1, 2, 3]));
    assert.deepEqual((await call('item', { id: '1' })).content, [{ type: 'image', data: 'AQID', mimeType: 'image/png' }]);
    send('audio/ogg', Buffer.from([1]));
    assert.equal((await call('item', { id: '1' })).content[0].type, 'audio');
    send('application/zip', Buffer.from([0, 1]));
    assert.deepEqual((await call('item', { id: '1', limit: 1 })).content[0].resource, { uri: `${api.url}/v1/items/1`, blob: 'AAE=', mimeType: 'application/zip' });
    send(null, '', 204);
    assert.equal(text(await call('remove', { id: '1' })), 'HTTP 204 No Content');
});
test('an error of the API is an error for the model, with its status and a bounded body', async () => {
    handle((request, response) => api.json(response, { message: 'no such item', padding: 'x'.repeat(20000) }, 404));
    const told = await failure('item', { id: '1' }, /^HTTP 404 Not Found: \{"message":"no such item"/);
    assert.ok(told.length < 4300 && told.endsWith('[...]'), String(told.length));
});
test('what the description promises and the API does not give is told as that', async () => {
    handle((request, response) => api.json(response, { n: 7 }));
    assert.deepEqual((await call('promised')).structuredContent, { n: 7 });
    handle((request, response) => { response.writeHead(200, { 'content-type': 'text/html' }); response.end('<h1>Log in</h1>'); return true; });
    await failure('promised', {}, /^HTTP 200 OK, but it is not the JSON object .*<h1>Log in/);
});
test('compressed answers are read; a bomb ends at the cap', async () => {
    handle((request, response) => { response.writeHead(200, { 'content-type': 'text/plain', 'content-encoding': 'gzip' }); response.end(zlib.gzipSync('hello')); return true; });
    assert.equal(text(await call('item', { id: '1' })), 'hello');
    const rss = () => Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${daemon.pid}/status`, 'utf8'))[1]);
    const before = rss();
    const bomb = zlib.gzipSync(Buffer.alloc(64 << 20));
    assert.ok(bomb.length < 80_000);
    handle((request, response) => { response.writeHead(200, { 'content-type': 'text/plain', 'content-encoding': 'gzip' }); response.end(bomb); return true; });
    await failure('item', { id: '1' }, /larger than the 1048576 bytes that "max_response_bytes" allows/);
    assert.ok(rss() - before < 30_000, `${rss() - before} KB more`);
});
test('an answer without end stops at the cap, or at the time', async () => {
    handle((request, response) => {
        response.writeHead(200, { 'content-type': 'text/plain' });
        const more = () => { while (!response.destroyed && response.write('x'.repeat(16384))); };
        response.on('drain', more);
        more();
        return true;
    });
    await failure('impatient_item', { id: '1' }, /larger than the 65536 bytes/);
    handle((request, response) => { response.writeHead(200); const drip = setInterval(() => response.write('.'), 50); response.on('close', () => clearInterval(drip)); return true; });
    const start = performance.now();
    await failure('impatient_item', { id: '1' }, /longer than the 600 ms/);
    assert.ok(performance.now() - start < 5000);
    handle((request, response) => { for (let i = 0; i < 40; i++) response.setHeader(`X-${i}`, 'y'.repeat(2000)); response.end(); return true; });
    await failure('item', { id: '1' }, /headers of the response are too large/);
});
test('a call that is cancelled ends its transfer at once', async () => {
    handle(() => true);
    const before = api.requests.length, abort = new AbortController();
    const calling = call('item', { id: 'slow' }, { signal: abort.signal }).catch((error) => error);
    await until(() => api.requests.length > before, 5000, 'the request');
    const start = performance.now();
    abort.abort();
    await until(() => api.last.closed, 5000, 'the connection to be closed');
    assert.ok(performance.now() - start < 1000);
    await calling;
});

// ---- again, and connections ----

test('connections are used again', async () => {
    plain();
    await call('item', { id: '1' });
    const before = api.connections;
    for (let i = 0; i < 20; i++) await call('item', { id: String(i) });
    assert.equal(api.connections, before);
});
test('what may be repeated is: 503 with Retry-After, then a broken connection, then an answer', async () => {
    let attempts = 0, start = performance.now();
    handle((request, response) => {
        attempts++;
        if (attempts === 1) { response.writeHead(503, { 'retry-after': '1' }); response.end(); return true; }
        if (attempts === 2) { request.socket.destroy(); return true; }
        return api.json(response, { attempts });
    });
    assert.deepEqual((await call('item', { id: '1' })).structuredContent, { attempts: 3 });
    assert.ok(performance.now() - start >= 1000);
    attempts = 0;
    await call('replace', { id: '1', body: 1 });
    assert.equal(attempts, 3);
});
test('it is given up after the configured retries, or when there is no time left for one', async () => {
    let attempts = 0;
    handle((request, response) => { attempts++; return api.json(response, {}, 502); });
    await failure('item', { id: '1' }, /^HTTP 502 Bad Gateway/);
    assert.equal(attempts, 3);
    handle((request, response) => { attempts++; response.writeHead(429, { 'retry-after': '3600' }); response.end('later'); return true; });
    attempts = 0;
    await failure('item', { id: '1' }, /^HTTP 429 Too Many Requests: later/);
    assert.equal(attempts, 1);
});
test('a POST is sent once, whatever happens to it', async () => {
    plain();
    await call('make', { body: { name: 'warm' } });
    let attempts = 0;
    handle((request) => { attempts++; request.socket.destroy(); return true; });
    await failure('make', { body: { name: 'n' } }, /./);
    assert.equal(attempts, 1);
    handle((request, response) => { attempts++; return api.json(response, {}, 503); });
    await failure('make', { body: { name: 'n' } }, /^HTTP 503/);
    assert.equal(attempts, 2);
});

// ---- authentication ----

test('bearer, basic, API keys', async () => {
    plain();
    assert.equal((await asked('bearer_item', { id: '1' })).headers.authorization, `Bearer ${SECRET}`);
    assert.equal((await asked('worker_item', { id: '1' })).headers.authorization, `Bearer ${SECRET}`);
    assert.equal((await asked('basic_item', { id: '1' })).headers.authorization, `Basic ${Buffer.from(`me:${SECRET}`).toString('base64')}`);
    assert.equal((await asked('basicworker_item', { id: '1' })).headers.authorization, `Basic ${Buffer.from(`me:${SECRET}`).toString('base64')}`);
    const key = await asked('key_item', { id: '1', limit: 2 });
    assert.equal(key.headers['x-key'], SECRET);
    assert.equal(key.url, `/items/1?limit=2&api_key=${encodeURIComponent(SECRET)}`);
    assert.equal(key.headers.cookie, 'sid=plain-cookie-key');
});
test('a token is got once for many calls, kept, got again when it expires or is refused', async () => {
    let tokens = 0, life = 1, wanted = null;
    handle((request, response, body) => {
        if (request.url === '/token') {
            assert.equal(request.headers.authorization, `Basic ${Buffer.from(`me:${encodeURIComponent(SECRET)}`).toString('base64')}`);
            assert.equal(String(body), 'grant_type=client_credentials&scope=read%20write');
            tokens++;
            return api.json(response, { access_token: `token-${tokens}-xyz`, token_type: 'Bearer', expires_in: life });
        }
        if (wanted && request.headers.authorization !== wanted) return api.json(response, {}, 401);
        return api.json(response, { seen: request.headers.authorization.length });
    });
    await Promise.all(Array.from({ length: 8 }, () => call('oauth_item', { id: '1' })));
    assert.equal(tokens, 1);
    assert.equal(api.last.headers.authorization, 'Bearer token-1-xyz');
    await sleep(700);
    life = 3600;
    await call('oauth_item', { id: '1' });
    await call('oauth_item', { id: '1' });
    assert.equal(tokens, 2);
    wanted = 'Bearer token-3-xyz';
    const made = await call('oauth_make', { body: { name: 'n' } });
    assert.ok(!made.isError, text(made));
    assert.equal(tokens, 3);
    wanted = 'Bearer never';
    await failure('oauth_item', { id: '1' }, /^HTTP 401/);
    handle((request, response) => api.json(response, { told: request.headers.authorization }));
    assert.match(text(await call('oauth_item', { id: '1' })), /"Bearer \*+"/);
});
test('a token that is refused is told without the secret', async () => {
    handle((request, response, body) => {
        assert.match(String(body), /client_id=me&client_secret=s3cret%2Fwith%2Bsigns/);
        return api.json(response, { error: 'invalid_client', error_description: SECRET }, 401);
    });
    await failure('nobody_item', { id: '1' }, /^No access token was got: the token server answered 401, invalid_client\.$/);
});
test('nor with a part of it, where what the token server says is cut', async () => {
    handle((request, response) => api.json(response, { error: LONG }, 400));
    await failure('long_item', { id: '1' }, /^No access token was got: the token server answered 400, \*{60}\.$/);
});
test('secrets are in no answer, error or log, in whatever form they come back', async () => {
    handle((request, response) => api.json(response, { headers: request.headers, url: request.url }));
    for (const name of ['bearer_item', 'basic_item', 'key_item'])
        assert.ok(!JSON.stringify(await call(name, { id: '1' })).match(/s3cret|czNjcmV0|plain-cookie-key/), name);
    handle((request, response) => { response.writeHead(500); response.end(`you sent ${request.headers.authorization} ${request.url}`); return true; });
    await failure('bearer_make', { body: { name: 'n' } }, /you sent Bearer \*+/);
    assert.ok(!daemon.lines.join('\n').match(/s3cret|czNjcmV0|plain-cookie-key|token-\d-xyz/));
});
/** As PHP escapes it; each character as \\uXXXX; as Python leaves a slash in a URL, and .NET has digits. */
const SPELLINGS = {
    'as it is': ODD,
    'in JSON': JSON.stringify(ODD).slice(1, -1),
    'in JSON, as PHP has it': JSON.stringify(ODD).slice(1, -1).replaceAll('/', '\\/'),
    'in \\u escapes': [...ODD].map((c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`).join(''),
    'percent-encoded': encodeURIComponent(ODD),
    'percent-encoded in lower case': encodeURIComponent(ODD).toLowerCase(),
    'percent-encoded but for slashes, in JSON': encodeURIComponent(ODD).replaceAll('%2F', '\\/'),
};
for (const [how, spelled] of Object.entries(SPELLINGS)) {
    const send = (type, status = 200) => handle((request, response) => { response.writeHead(status, { 'content-type': type }); response.end(`{"echo":"Bearer ${spelled}","${spelled}":["\\u0062\\/%2f"]}`); return true; });
    const hidden = (result) => {
        assert.match(text(result), /"Bearer \*{18,}","\*{18,}":/);
        assert.ok(text(result).includes('["\\u0062\\/%2f"]'), text(result));
    };
    test(`a secret that comes back ${how} is starred out: in JSON, text, an error`, async () => {
        send('application/json');
        const result = await call('odd_item', { id: '1' });
        hidden(result);
        if (how !== 'as it is') assert.deepEqual(Object.values(result.structuredContent), [`Bearer ${'*'.repeat(spelled.length)}`, ['b/%2f']]);
        send('text/plain');
        hidden(await call('odd_item', { id: '1' }));
        send('application/json', 400);
        hidden(await call('odd_item', { id: '1' }));
    });
}
test('a secret in the URL or the type of bytes is starred out', async () => {
    for (const spelled of [encodeURIComponent(ODD), encodeURI(ODD), encodeURIComponent(ODD).toLowerCase()]) {
        handle((request, response) => {
            if (!request.url.startsWith('/octet/')) response.writeHead(302, { location: `/octet/${spelled}` });
            else response.writeHead(200, { 'content-type': `application/${spelled}` });
            response.end('\xff\0');
            return true;
        });
        const { resource } = (await call('odd_item', { id: '1' })).content[0];
        assert.match(resource.uri, /\/octet\/\*+$/);
        assert.match(resource.mimeType, /^application\/\*+$/);
    }
});

test('https: the server is verified, by the certificates of ca_file where there is one', async () => {
    assert.equal((await call('tls_item', { id: '1' })).structuredContent.url, '/items/1');
    const before = safe.requests.length;
    await failure('untrusted_item', { id: '1' }, /certificate/i);
    assert.equal(safe.requests.length, before);
    safe.handler = (request, response) => { response.writeHead(302, { location: `${api.url}/x` }); response.end(); return true; };
    await failure('tls_item', { id: '1' }, /redirect from https to a URL that is not/);
});

// ---- redirects ----

const to = (url, status = 302) => handle((request, response) => {
    if (request.url.includes('/arrived')) return api.json(response, { method: request.method, key: request.headers.authorization ?? null });
    response.writeHead(status, { location: url });
    response.end();
    return true;
});
test('redirects on the same host keep authentication, and the method where it must stay', async () => {
    to('/arrived');
    assert.equal(JSON.parse(text(await call('bearer_item', { id: '1' }))).key.length, 7 + SECRET.length);
    assert.equal(JSON.parse(text(await call('bearer_make', { body: { name: 'n' } }))).method, 'GET');
    to('/arrived', 308);
    assert.equal(JSON.parse(text(await call('bearer_make', { body: { name: 'n' } }))).method, 'POST');
    assert.equal(String(api.last.body), '{"name":"n"}');
});
test('another host that is allowed gets no secrets; one that is not, no request', async () => {
    to(`${other.url}/arrived`);
    other.handler = (request, response) => other.json(response, request.headers);
    const { structuredContent } = await call('bearer_item', { id: '1' });
    assert.equal(structuredContent.authorization, undefined);
    const before = other.requests.length;
    await failure('item', { id: '1' }, /The host 127\.0\.0\.1, port \d+, is none of those that this provider may ask.*"allowed_hosts"/);
    assert.equal(other.requests.length, before);
});
test('ten redirects are too many', async () => {
    let hops = 0;
    handle((request, response) => { response.writeHead(302, { location: `/again${++hops}` }); response.end(); return true; });
    await failure('item', { id: '1' }, /more than 5 redirects/);
    assert.equal(hops, 6);
});
test('configurations that cannot work are told with their place', async () => {
    for (const [config, pattern] of [
        [{ ...open }, /neither "openapi" nor "tools"/],
        [{ tools: table }, /"base_url" is missing/],
        [{ ...open, base_url: 'http://user@127.0.0.1/', tools: table }, /base_url.*without user/],
        [{ ...open, tools: table, auth: { type: 'bearer', token: { file: '/nonexistent' } } }, /auth\.token\.file: \/nonexistent: No such file/],
        [{ ...open, tools: table, auth: { type: 'bearer' } }, /"token" is missing/],
        [{ ...open, tools: table, auth: { type: 'bearer', token: { environment: 'GATEWAY_UNSET' } } }, /variable GATEWAY_UNSET, which it names, is not set/],
        [{ ...open, tools: table, allowed_networks: ['10.0.0.0/33'] }, /allowed_networks\/0|expected addresses/],
        [{ ...open, openapi: path.join(modules, '@readme/oas-examples/2.0/json/petstore.json') }, /it is Swagger 2\.0: convert it to OpenAPI 3/],
        [{ ...open, openapi: file('bad.json', '{"openapi":"3.0.0",\n"paths":{}') }, /bad\.json, line 2: expected ',' or '}'/],
    ]) {
        const mark = daemon.mark;
        daemon.provider('wrong', { plugin: 'http', config });
        daemon.reload();
        await daemon.waitLog(pattern, 10_000, mark);
        daemon.provider('wrong', null);
    }
});
test('a document with thousands of operations of one name, and of schemas, is read at once', async () => {
    const numbers = Array.from({ length: 4000 }, (_, i) => i), operation = { operationId: 'op', responses: {} };
    const refer = (count, word) => ({ ...operation, requestBody: { content: { 'application/json': { schema: { allOf: numbers.slice(0, count).map((i) => ({ $ref: `#/x/${i}/${word}` })) } } } } });
    const word = 'w'.repeat(60);
    const many = file('many.json', JSON.stringify({
        openapi: '3.1.0', info: { title: 't', version: '1' }, x: numbers.map(() => ({ S: {}, [word]: {} })),
        paths: { ...Object.fromEntries(numbers.slice(0, 1998).map((i) => [`/${i}`, { get: operation }])), '/large': { put: refer(4000, word) }, '/short': { put: refer(3000, 'S') }, '/long': { put: refer(1000, word) } },
    }));
    daemon.provider('many', { plugin: 'http', sandbox: { network: true }, prefix: 'many_', config: { ...open, openapi: many } });
    daemon.reload();
    let own;
    await until(async () => (own = (await listTools(daemon.port)).filter((one) => one.name.startsWith('many_'))).length > 0, 15_000, 'many_op');
    daemon.provider('many', null);
    daemon.reload();
    assert.deepEqual(own.map((one) => one.name).sort(), numbers.slice(0, 2000).map((i) => i === 0 ? 'many_op' : `many_op_${i + 1}`).sort());
    const definitions = (name) => Object.keys(own.find((one) => one.name === name).inputSchema.$defs);
    assert.deepEqual(definitions('many_op_1999'), numbers.slice(0, 3000).map((i) => i === 0 ? 'S' : `S_${i + 1}`));
    assert.deepEqual(definitions('many_op_2000'), numbers.slice(0, 1000).map((i) => i === 0 ? word : `${word.slice(0, 56)}_${i + 1}`));
});
test('a document with tens of thousands of schemas, and tens of thousands of references to the last of them, is read at once', async () => {
    const schemas = 40_000, operations = 1000, place = (n, i) => schemas - 1 - ((n * 60 + i) % 2000);
    const refer = (n) => ({ operationId: 'op', responses: {}, requestBody: { content: { 'application/json': { schema: { oneOf: Array.from({ length: 60 }, (_, i) => ({ $ref: `#/components/schemas/a_schema_${place(n, i)}` })) } } } } });
    const large = file('large.json', JSON.stringify({
        openapi: '3.1.0', info: { title: 't', version: '1' },
        components: { schemas: Object.fromEntries(Array.from({ length: schemas }, (_, i) => [`a_schema_${i}`, { const: i }])) },
        paths: Object.fromEntries(Array.from({ length: operations }, (_, i) => [`/${i}`, { put: refer(i) }])),
    }));
    daemon.provider('large', { plugin: 'http', sandbox: { network: true }, prefix: 'large_', config: { ...open, openapi: large } });
    const start = performance.now();
    daemon.reload();
    let own;
    await until(async () => (own = (await listTools(daemon.port)).filter((one) => one.name.startsWith('large_'))).length > 0, 60_000, 'large_op');
    const took = performance.now() - start;
    daemon.provider('large', null);
    daemon.reload();
    assert.equal(own.length, operations);
    const last = own.find((one) => one.name === `large_op_${operations}`).inputSchema.$defs, at = place(operations - 1, 0);
    assert.deepEqual(last[`a_schema_${at}`], { const: at });
    console.log(`      after ${took.toFixed(0)} ms`);
    assert.ok(took < 8000 * SCALE, `${took} ms`);
});
test('nor does a schema that requires 200000 names hold it up', async () => {
    const schema = { type: 'object', required: Array.from({ length: 200_000 }, (_, i) => `a${i}`) };
    const names = file('names.json', JSON.stringify({ openapi: '3.1.0', info: { title: 't', version: '1' }, paths: { '/': { put: { operationId: 'op', responses: {}, requestBody: { content: { 'application/json': { schema } } } } } } }));
    daemon.provider('names', { plugin: 'http', sandbox: { network: true }, prefix: 'names_', config: { ...open, openapi: names } });
    daemon.reload();
    let own;
    await until(async () => (own = (await listTools(daemon.port)).find((one) => one.name === 'names_op')), 15_000, 'names_op');
    daemon.provider('names', null);
    daemon.reload();
    assert.deepEqual(own.inputSchema.properties.body, { type: 'object' });
});
test('a provider that goes while calls run leaves nobody waiting', async () => {
    handle(() => true);
    daemon.provider('short', { plugin: 'http', sandbox: { network: true }, prefix: 'short_', config: { ...open, tools: table } });
    daemon.reload();
    await until(async () => (await listTools(daemon.port)).some((one) => one.name === 'short_item'), 10_000, 'short_item');
    const calling = call('short_make', { body: { name: 'n' } }).catch((error) => ({ isError: true, error }));
    await until(() => api.last?.method === 'POST' && !api.last.closed, 5000, 'the request');
    daemon.provider('short', null);
    daemon.reload();
    await sleep(300);
    for (const socket of api.sockets) socket.destroy();
    assert.equal((await calling).isError, true);
});

await done();
