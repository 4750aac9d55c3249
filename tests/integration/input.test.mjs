// SPDX-License-Identifier: MIT
// Input from the client: what a provider asks on the way, in both eras.
import crypto from 'node:crypto';
import fs from 'node:fs';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CreateMessageRequestSchema, ElicitRequestSchema, ListRootsRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from '@modelcontextprotocol/client';
import { assert, done, sleep, test, until } from './lib/check.mjs';
import { Daemon, temporaryDirectory } from './lib/daemon.mjs';
import { Connection, http } from './lib/http.mjs';
import { BOTH, Listener, META, MODERN, modern, nextId, Session, textOf } from './lib/mcp.mjs';
import { conformsMessage } from './lib/schema.mjs';
import { Stdio } from './lib/stdio.mjs';
import { tap } from './lib/tap.mjs';

const FORM = { elicitation: {} };
const ALL = { elicitation: { form: {}, url: {} }, sampling: { tools: {} }, roots: {} };

const form = (properties, required = Object.keys(properties), message = 'Please') => ({
    method: 'elicitation/create',
    params: { message, requestedSchema: { type: 'object', properties, required } },
});
const ask = { user_name: form({ name: { type: 'string', minLength: 2 } }) };
const sampling = { method: 'sampling/createMessage', params: { messages: [{ role: 'user', content: { type: 'text', text: 'Hi' } }], maxTokens: 10 } };
const roots = { method: 'roots/list' };
const page = { method: 'elicitation/create', params: { mode: 'url', message: 'Sign in', url: 'https://example.org/in' } };

const can = (capabilities) => ({ meta: { [`${META}clientCapabilities`]: capabilities } });

/** The answer to a request: its HTTP status and the message. */
async function exchange(port, method, params, capabilities = ALL) {
    const response = await modern(port, method, params, can(capabilities));
    const message = await response.last();
    response.connection.destroy();
    conformsMessage(MODERN, message, method);
    return { status: response.status, ...message };
}
const call = (port, name, args, more = {}, capabilities = ALL) => exchange(port, 'tools/call', { name, arguments: args, ...more }, capabilities);

const daemon = await Daemon.start({ plugins: ['asks'] });
const { port } = daemon;

async function begin(args, name = 'ask') {
    const { result } = await call(port, name, args);
    assert.equal(result?.resultType, 'input_required', JSON.stringify(result));
    return result;
}

// ---- 2026-07-28 ---------------------------------------------------------------

test('a question without a state, and its answer', async () => {
    const first = await call(port, 'ask', { requests: ask });
    assert.equal(first.status, 200);
    assert.deepEqual(first.result.inputRequests, ask);
    assert.equal('requestState' in first.result, false);
    assert.ok(first.result._meta[`${META}serverInfo`].name);
    const inputResponses = { user_name: { action: 'accept', content: { name: 'Ada' } } };
    const second = await call(port, 'ask', { requests: ask }, { inputResponses });
    assert.deepEqual(JSON.parse(textOf(second.result)), { state: '', answers: inputResponses });
});

test('a state comes back as it was, and is sealed', async () => {
    const args = { requests: ask, state: 'seventeen' };
    const first = await begin(args);
    assert.equal(typeof first.requestState, 'string');
    assert.doesNotMatch(Buffer.from(first.requestState.split('.')[2], 'base64url').toString('latin1'), /seventeen/);
    const inputResponses = { user_name: { action: 'accept', content: { name: 'Ada' } }, more: { action: 'accept' } };
    const { result } = await call(port, 'ask', args, { inputResponses, requestState: first.requestState });
    assert.deepEqual(JSON.parse(textOf(result)), { state: 'seventeen', answers: { user_name: inputResponses.user_name } });
});


const accept = (content) => ({ action: 'accept', content });
const message = { role: 'assistant', model: 'test', content: { type: 'text', text: 'Paris' } };

/** Ends `args` of the tool with these answers; what the provider got. */
async function answer(first, args, inputResponses, { name = 'ask', at = port } = {}) {
    return call(at, name, args, { inputResponses, ...(first.requestState ? { requestState: first.requestState } : {}) });
}

test('every kind of question at once', async () => {
    const requests = { ...ask, page, sampling, roots };
    const args = { requests, state: 's' };
    const first = await begin(args);
    assert.deepEqual(first.inputRequests, requests);
    const answers = { user_name: accept({ name: 'Ada' }), page: { action: 'accept' }, sampling: message, roots: { roots: [{ uri: 'file:///home', name: 'Home' }] } };
    assert.deepEqual(JSON.parse(textOf((await answer(first, args, answers)).result)).answers, answers);
});

test('three rounds, each with a state of its own', async () => {
    const states = new Set();
    let more = {};
    for (let round = 1; round <= 3; round++) {
        const { result } = await call(port, 'steps', { count: 3 }, more);
        assert.deepEqual(Object.keys(result.inputRequests), [`step${round}`]);
        if (round > 1) states.add(result.requestState);
        more = { requestState: result.requestState, inputResponses: { [`step${round}`]: accept({ value: `v${round}` }) } };
    }
    const { result } = await call(port, 'steps', { count: 3 }, more);
    assert.equal(textOf(result), 'v1,v2,v3,');
    assert.equal(states.size, 2);
});

test('the same question twice gives two states', async () => {
    const args = { requests: ask, state: 'same' };
    assert.notEqual((await begin(args)).requestState, (await begin(args)).requestState);
});

test('an answer that is missing is asked for again; unknown ones are passed over', async () => {
    const { result } = await call(port, 'steps', { count: 1 }, { inputResponses: { wrong: accept({ value: 'x' }) } });
    assert.equal(result.resultType, 'input_required');
});

test('a prompt and a resource ask, too; a completion cannot', async () => {
    const responses = { context: accept({ text: 'cats' }) };
    for (const [method, params, text] of [
        ['prompts/get', { name: 'asks', arguments: { topic: 'x' } }, (result) => result.messages[0].content.text],
        ['resources/read', { uri: 'asks://form' }, (result) => result.contents[0].text],
    ]) {
        const first = await exchange(port, method, params);
        assert.equal(first.result?.resultType, 'input_required', JSON.stringify(first));
        const second = await exchange(port, method, { ...params, requestState: first.result.requestState, inputResponses: responses });
        assert.equal(text(second.result), 'About cats (asked)');
    }
    const { result } = await exchange(port, 'completion/complete', { ref: { type: 'ref/prompt', name: 'asks' }, argument: { name: 'topic', value: '' } });
    assert.deepEqual(result.completion.values, ['-5']);
});

test('a capability that is not declared: 400 and -32021, with what is missing', async () => {
    for (const [requests, capabilities, missing] of [
        [ask, {}, { elicitation: { form: {} } }],
        [ask, { elicitation: { url: {} } }, { elicitation: { form: {} } }],
        [{ page }, FORM, { elicitation: { url: {} } }],
        [{ ...ask, page }, { roots: {} }, { elicitation: { form: {}, url: {} } }],
        [{ sampling }, FORM, { sampling: {} }],
        [{ a: { ...sampling, params: { ...sampling.params, toolChoice: { mode: 'none' } } } }, { sampling: {} }, { sampling: { tools: {} } }],
        [{ roots, sampling }, FORM, { sampling: {}, roots: {} }],
    ]) {
        const { status, error } = await call(port, 'ask', { requests }, {}, capabilities);
        assert.equal(status, 400);
        assert.equal(error.code, -32021);
        assert.deepEqual(error.data.requiredCapabilities, missing);
    }
    assert.equal((await call(port, 'ask', { requests: ask }, {}, FORM)).result.resultType, 'input_required');
    assert.equal((await call(port, 'ask', { requests: ask }, {}, { elicitation: { form: {} } })).result.resultType, 'input_required');
});

test('answers that do not fit are refused, by key and place', async () => {
    const requests = {
        form: form({ name: { type: 'string', minLength: 2 }, age: { type: 'integer', minimum: 0 }, mail: { type: 'string', format: 'email' },
            pick: { type: 'array', items: { type: 'string', enum: ['a', 'b'] } } }, ['name']),
        page, sampling, roots,
    };
    const args = { requests, state: 's' };
    const first = await begin(args);
    const wrong = [
        [{ form: 5 }, /inputResponses\/form: expected an object/],
        [{ form: null }, /inputResponses\/form/],
        [{ form: {} }, /inputResponses\/form: action/],
        [{ form: { action: 'maybe' } }, /action/],
        [{ form: { action: 'accept' } }, /inputResponses\/form: content: missing member "name"/],
        [{ form: accept([]) }, /content: expected an object/],
        [{ form: accept({ name: 'A' }) }, /content\/name/],
        [{ form: accept({ name: 'Ada', age: -1 }) }, /content\/age/],
        [{ form: accept({ name: 'Ada', age: '1' }) }, /content\/age/],
        [{ form: accept({ name: 'Ada', mail: 'nowhere' }) }, /content\/mail/],
        [{ form: accept({ name: 'Ada', pick: ['c'] }) }, /content\/pick/],
        [{ form: accept({ name: 'Ada', more: {} }) }, /content\/more/],
        [{ form: accept({ name: 'Ada', more: [1] }) }, /content\/more/],
        [{ page: { action: 'accepted' } }, /inputResponses\/page: action/],
        [{ sampling: { ...message, role: 'system' } }, /inputResponses\/sampling: role/],
        [{ sampling: { ...message, model: undefined } }, /model/],
        [{ sampling: { ...message, content: { type: 'text' } } }, /content/],
        [{ sampling: { ...message, content: [{ type: 'none' }] } }, /content/],
        [{ roots: {} }, /inputResponses\/roots: roots: expected an array/],
        [{ roots: { roots: [{ uri: 'file:///a' }, { uri: 'https://example.org' }] } }, /roots\/1\/uri/],
        [{ roots: { roots: [{ uri: 'file:///a', name: 1 }] } }, /roots\/0\/name/],
        ['text', /inputResponses must be an object/],
        [null, /inputResponses must be an object/],
        [[], /inputResponses must be an object/],
    ];
    for (const [responses, pattern] of wrong) {
        const { error } = await answer(first, args, responses);
        assert.equal(error?.code, -32602, JSON.stringify(responses));
        assert.match(error.message, pattern, JSON.stringify(responses));
    }
    const right = [
        { form: { action: 'decline' } }, { form: { action: 'cancel', content: {} } },
        { form: accept({ name: 'Ada', age: 3, mail: 'a@example.org', pick: ['a', 'b'] }) },
        { page: { action: 'decline' } },
        { sampling: { ...message, content: [{ type: 'text', text: '' }, { type: 'tool_use', id: '1', name: 'x', input: {} }] } },
        { roots: { roots: [] } },
    ];
    for (const responses of right) {
        const { result, error } = await answer(first, args, responses);
        assert.deepEqual(result && JSON.parse(textOf(result)).answers, responses, JSON.stringify(error));
    }
});

test('answers without a state are checked for their form', async () => {
    for (const responses of [{ a: { action: 'x' } }, { a: { roots: 1 } }, { a: {} }, { a: accept({ b: {} }) }]) {
        const { error } = await call(port, 'ask', { requests: ask }, { inputResponses: responses });
        assert.equal(error?.code, -32602, JSON.stringify(responses));
    }
});

test('a state is good for the same request alone', async () => {
    const args = { requests: ask, state: 's', more: { b: [1, 2.50], a: 'x' } };
    const first = await begin(args);
    const responses = { user_name: accept({ name: 'Ada' }) };
    /* Another order, other white space, other spellings of the same numbers. */
    const respelt = JSON.stringify({ jsonrpc: '2.0', id: 9, method: 'tools/call', params: {
        arguments: { more: { a: 'x', b: ['@1', '@2'] }, state: 's', requests: { user_name: { params: { requestedSchema: {
            required: ['name'], properties: { name: { minLength: '@3', type: 'string' } }, type: 'object' }, message: 'Please' }, method: 'elicitation/create' } } },
        name: 'ask', requestState: first.requestState, inputResponses: responses,
        _meta: { [`${META}protocolVersion`]: '2026-07-28', [`${META}clientCapabilities`]: ALL },
    } }, null, 3).replace('"@1"', '1.0').replace('"@2"', '25e-1').replace('"@3"', '2');
    const response = await http(port, { body: respelt, headers: { 'Content-Type': 'application/json', Accept: BOTH,
        'MCP-Protocol-Version': '2026-07-28', 'Mcp-Method': 'tools/call', 'Mcp-Name': 'ask' } });
    const { result } = await response.last();
    response.connection.destroy();
    assert.equal(JSON.parse(textOf(result)).state, 's');

    const refused = async (promise, what) => {
        const { error } = await promise;
        assert.equal(error?.code, -32602, what);
        assert.match(error.message, /requestState/, what);
    };
    const more = { inputResponses: responses, requestState: first.requestState };
    await refused(call(port, 'ask', { ...args, state: 't' }, more), 'other arguments');
    await refused(call(port, 'ask', { ...args, more: { b: [2.5, 1], a: 'x' } }, more), 'another order of an array');
    await refused(call(port, 'ask', { requests: ask }, more), 'fewer arguments');
    await refused(call(port, 'ask_at_once', args, more), 'another tool');
    await refused(call(port, 'ask', args, { ...more, requestState: 5 }), 'no string');
    await refused(call(port, 'ask', args, { ...more, requestState: '' }), 'empty');
    await refused(call(port, 'ask', args, { ...more, requestState: `${first.requestState}-TAMPERED` }), 'a tail');
    await refused(call(port, 'ask', args, { ...more, requestState: first.requestState.slice(0, -1) }), 'cut');
    await refused(call(port, 'ask', args, { ...more, requestState: first.requestState.replace(/^s1\.[^.]*/, 's1.other') }), 'an unknown key');
    await refused(call(port, 'ask', args, { ...more, requestState: 'x'.repeat(100_000) }), 'too large');
    const prompt = await exchange(port, 'prompts/get', { name: 'asks' });
    await refused(exchange(port, 'resources/read', { uri: 'asks://form', requestState: prompt.result.requestState }), 'another method');
    assert.equal(JSON.parse(textOf((await call(port, 'ask', args, more)).result)).state, 's', 'and still good');
});

test('not one bit of a state may be another', async () => {
    const args = { requests: ask, state: 'bits' };
    const { requestState } = await begin(args);
    const [mark, key, sealed] = requestState.split('.');
    const bytes = Buffer.from(sealed, 'base64url');
    const connection = await Connection.open(port);
    let tried = 0;
    for (let i = 0; i < bytes.length; i++) {
        const other = Buffer.from(bytes);
        other[i] ^= 1 << (i % 8);
        const response = await modern(port, 'tools/call', { name: 'ask', arguments: args, inputResponses: {},
            requestState: `${mark}.${key}.${other.toString('base64url')}` }, { ...can(ALL), connection });
        const { error } = await response.last();
        assert.equal(error?.code, -32602, `byte ${i}`);
        tried++;
    }
    for (let i = 0; i < requestState.length; i++) {
        const other = requestState.slice(0, i) + (requestState[i] === 'A' ? 'B' : 'A') + requestState.slice(i + 1);
        const response = await modern(port, 'tools/call', { name: 'ask', arguments: args, inputResponses: {}, requestState: other }, { ...can(ALL), connection });
        const { error } = await response.last();
        assert.equal(error?.code, -32602, `character ${i}`);
    }
    connection.destroy();
    assert.ok(tried > 100, `${tried}`);
});

test('a state that counts once', async () => {
    const args = { requests: ask };
    const first = await begin(args, 'ask_once');
    assert.equal(typeof first.requestState, 'string', 'although the provider has none of its own');
    const responses = { user_name: accept({ name: 'Ada' }) };
    const none = await call(port, 'ask_once', args, { inputResponses: responses });
    assert.equal(none.error?.code, -32602);
    const wrong = await answer(first, args, { user_name: accept({ name: '' }) }, { name: 'ask_once' });
    assert.equal(wrong.error?.code, -32602, 'a wrong answer does not use it up');
    const both = await Promise.all([1, 2, 3].map(() => answer(first, args, responses, { name: 'ask_once' })));
    assert.equal(both.filter(({ result }) => result).length, 1, JSON.stringify(both));
    const again = await answer(first, args, responses, { name: 'ask_once' });
    assert.match(again.error.message, /has been used/);
});

test('a state that is too large, and questions that are wrong, are the provider\'s fault', async () => {
    const large = await call(port, 'ask', { requests: ask, state: 'x'.repeat(60_000) });
    assert.equal(large.error?.code, -32603);
    assert.match(large.error.message, /too large/);
    const almost = await begin({ requests: ask, state: 'x'.repeat(40_000) });
    assert.ok(almost.requestState.length < 65_536);
    const wrong = await call(port, 'ask', { requests: { a: { method: 'elicitation/create', params: { message: 'x' } } } });
    assert.equal(wrong.error?.code, -32603);
    assert.match(wrong.error.message, /requestedSchema/);
});

// ---- keys ---------------------------------------------------------------------

const keyLine = (id) => `${id} ${crypto.randomBytes(32).toString('base64')}\n`;

/** A daemon with a key file of its own name; `keys`: its text. */
async function withKeys(directory, name, keys, options = {}) {
    const file = path.join(directory, name);
    if (keys !== undefined) fs.writeFileSync(file, keys, { mode: 0o640 });
    return Daemon.start({ plugins: ['asks'], config: { request_state: { key_file: file } }, ...options });
}

test('exchanges spread over two processes that share a key file, while the keys rotate', async () => {
    const directory = temporaryDirectory('mcpd-keys');
    const keys = Array.from({ length: 4 }, (_, i) => keyLine(`key-${i}`));
    const both = [await withKeys(directory, 'shared', `# of two\n\n${keys[0]}`), await withKeys(directory, 'shared')];
    const stranger = await withKeys(directory, 'other', keyLine('key-0'));
    const used = [0, 0];
    let done = 0, changed = 0, busy = true;
    const one = () => {
        const i = crypto.randomInt(2);
        used[i]++;
        return both[i].port;
    };
    const client = async () => {
        while (busy) {
            let more = {};
            for (let round = 1; round <= 3; round++) {
                const at = one();
                const { result, error } = await call(at, 'steps', { count: 3 }, more);
                assert.equal(result?.resultType, 'input_required', JSON.stringify(error));
                if (round > 1 && crypto.randomInt(10) === 0)
                    assert.equal((await call(stranger.port, 'steps', { count: 3 }, { ...more, requestState: result.requestState })).error?.code, -32602);
                more = { inputResponses: { [`step${round}`]: accept({ value: `${round}` }) }, ...(result.requestState ? { requestState: result.requestState } : {}) };
            }
            const { result, error } = await call(one(), 'steps', { count: 3 }, more);
            assert.equal(result && textOf(result), '1,2,3,', JSON.stringify(error));
            done++;
        }
    };
    const reload = async (text) => {
        const marks = both.map((daemon) => daemon.mark);
        const file = path.join(directory, 'shared');
        fs.writeFileSync(`${file}.new`, text, { mode: 0o640 });
        fs.renameSync(`${file}.new`, file);
        for (const [i, daemon] of both.entries()) {
            daemon.reload();
            await daemon.waitLog(/configuration reloaded/, 5_000, marks[i]);
        }
        changed++;
    };
    const rotate = async () => {
        for (let i = 1; i < keys.length; i++) {
            const older = keys.slice(0, i - 1).join('');
            await reload(keys[i - 1] + keys[i] + older);
            await reload(keys[i] + keys[i - 1] + older);
            await sleep(200);
        }
        busy = false;
    };
    await Promise.all([rotate(), ...Array.from({ length: 8 }, client)]);
    assert.equal(changed, 6);
    assert.ok(done > 20, `${done} exchanges`);
    assert.ok(Math.min(...used) > 30, `${used}`);

    /* What was sealed under a key that has gone is refused. */
    const args = { requests: ask, state: 's' };
    const first = (await call(both[0].port, 'ask', args)).result;
    await reload(keyLine('new'));
    const { error } = await answer(first, args, { user_name: accept({ name: 'Ada' }) }, { at: both[1].port });
    assert.equal(error?.code, -32602);
    assert.match(error.message, /key/);
    for (const daemon of [...both, stranger]) await daemon.stop();
    console.log(`      ${done} exchanges, ${used.join(' and ')} requests, ${changed} changes of keys`);
});

test('without a key file a state is this process\'s own, and a key file comes beside it', async () => {
    const directory = temporaryDirectory('mcpd-keys');
    const other = await Daemon.start({ plugins: ['asks'] });
    const args = { requests: ask, state: 's' };
    const responses = { user_name: accept({ name: 'Ada' }) };
    const first = await begin(args);
    assert.equal((await answer(first, args, responses, { at: other.port })).error?.code, -32602);
    const here = (await call(other.port, 'ask', args)).result;
    const file = path.join(directory, 'keys');
    fs.writeFileSync(file, keyLine('k'), { mode: 0o600 });
    const mark = other.mark;
    other.writeConfig({ request_state: { key_file: file } });
    other.reload();
    await other.waitLog(/configuration reloaded/, 5_000, mark);
    assert.match((await call(other.port, 'ask', args)).result.requestState, /^s1\.k\./);
    assert.equal(JSON.parse(textOf((await answer(here, args, responses, { at: other.port })).result)).state, 's');
    await other.stop();
});

test('a state that has expired', async () => {
    const daemon = await Daemon.start({ plugins: ['asks'], config: { request_state: { lifetime_ms: 1000 } } });
    const args = { requests: ask, state: 's' };
    const first = (await call(daemon.port, 'ask', args)).result;
    const responses = { user_name: accept({ name: 'Ada' }) };
    assert.ok((await answer(first, args, responses, { at: daemon.port })).result);
    await sleep(1100);
    const { error } = await answer(first, args, responses, { at: daemon.port });
    assert.equal(error?.code, -32602);
    assert.match(error.message, /expired/);
    await daemon.stop();
});

test('key files that are wrong are refused, with the line and with who wants them', async () => {
    const WANTED = /\/mcpd\.json:3:17: request_state\.key_file: /;
    const directory = temporaryDirectory('mcpd-keys');
    const secret = crypto.randomBytes(32).toString('base64');
    const cases = [
        ['', /has no key/], ['# nothing\n', /has no key/],
        [`${keyLine('a')}b\n`, /:2: expected "ID KEY"/],
        [`a b/c ${secret}\n`, /:1: the key is not 32 bytes/],
        [`\n# x\na/b ${secret}\n`, /:3: the name of a key/],
        [`${'a'.repeat(33)} ${secret}\n`, /:1: the name of a key/],
        [`a ${secret.slice(0, 40)}\n`, /:1: the key is not 32 bytes/],
        [`a ${crypto.randomBytes(31).toString('base64')}\n`, /:1: the key is not 32 bytes/],
        [`${keyLine('a')}${keyLine('b')}${keyLine('a')}`, /:3: the name of this key is that of an earlier line/],
        [Array.from({ length: 65 }, (_, i) => keyLine(`k${i}`)).join(''), /:65: more than 64 keys/],
    ];
    const file = path.join(directory, 'keys');
    const daemon = new Daemon({ config: { request_state: { key_file: file } } });
    const check = () => {
        const [program, args] = daemon.command(['--check']);
        return spawnSync(program, args, { cwd: daemon.directory, encoding: 'utf8' });
    };
    for (const [text, pattern] of cases) {
        fs.writeFileSync(file, text, { mode: 0o600 });
        const { status, stderr } = check();
        assert.equal(status, 1, text);
        assert.match(stderr, pattern);
        assert.match(stderr, WANTED);
        assert.ok(!stderr.includes(secret.slice(0, 10)), 'no piece of a key is told');
    }
    fs.rmSync(file);
    assert.match(check().stderr, new RegExp(`${WANTED.source}${file}: cannot be read: No such file`));
    fs.mkdirSync(file);
    assert.match(check().stderr, new RegExp(`${WANTED.source}${file}: is not a regular file`));
    fs.rmdirSync(file);
    fs.writeFileSync(file, keyLine('a'), { mode: 0o600 });
    for (const mode of [0o604, 0o602, 0o644]) {
        fs.chmodSync(file, mode);
        const { status, stderr } = check();
        assert.equal(status, 1);
        assert.match(stderr, /everybody may read or write it: chmod o= /);
    }
    fs.chmodSync(file, 0o640);
    assert.equal(check().status, 0, check().stderr);
    fs.rmSync(file);
    assert.match(check().stderr, /keys: cannot be read: No such file/);
});

test('a key file that is broken when it is read again leaves the old keys in force', async () => {
    const directory = temporaryDirectory('mcpd-keys');
    const daemon = await withKeys(directory, 'keys', keyLine('old'));
    const mark = daemon.mark;
    fs.writeFileSync(path.join(directory, 'keys'), 'nonsense\n');
    daemon.reload();
    await daemon.waitLog(/the old one stays in force/, 5_000, mark);
    assert.match(daemon.logSince(mark), /keys:1: expected "ID KEY"/);
    assert.match((await call(daemon.port, 'ask', { requests: ask, state: 's' })).result.requestState, /^s1\.old\./);
    await daemon.stop();
});

// ---- sessions -----------------------------------------------------------------

/** A call in a session whose questions are answered by hand. */
class Asked {
    static async begin(session, name, args, { method = 'tools/call', params = { name, arguments: args } } = {}) {
        const asked = new Asked();
        asked.session = session;
        asked.method = method;
        asked.id = nextId();
        const response = await session.post({ jsonrpc: '2.0', id: asked.id, method, params });
        if (!/event-stream/.test(response.headers['content-type'])) {
            asked.answer = await response.last();
            response.connection.destroy();
            return asked;
        }
        asked.listener = Listener.over(response);
        return asked;
    }

    /** The questions: requests with ids of the server's. */
    async questions(count = 1) {
        await this.listener.wait(count);
        for (const message of this.listener.messages) conformsMessage(this.session.version, message, this.method);
        return this.listener.messages.slice(0, count);
    }

    /** The answer to the call. */
    async end(ms = 5_000) {
        if (this.answer) return this.answer;
        await until(() => this.listener.ended || this.listener.error, ms, 'the stream to end');
        for (const message of this.listener.messages) conformsMessage(this.session.version, message, this.method);
        const last = this.listener.messages.at(-1);
        assert.equal(last?.id, this.id, JSON.stringify(this.listener.messages));
        return last;
    }
}

const reply = async (session, id, result) => {
    const response = await session.post({ jsonrpc: '2.0', id, ...(result?.error ? result : { result }) });
    assert.equal(response.status, 202);
    response.connection.destroy();
};
const EVERYTHING = { elicitation: { form: {}, url: {} }, sampling: { tools: {} }, roots: { listChanged: true } };

for (const version of ['2025-11-25', '2025-06-18']) {
    test(`${version}: a form on the stream, its answer by POST`, async () => {
        const session = await Session.open(port, version, { capabilities: { elicitation: {} } });
        const asked = await Asked.begin(session, 'ask', { requests: ask, state: 'kept' });
        const [question] = await asked.questions();
        assert.equal(question.method, 'elicitation/create');
        assert.equal(typeof question.id, 'string');
        assert.deepEqual(question.params, ask.user_name.params);
        await reply(session, question.id, accept({ name: 'Ada' }));
        const { result } = await asked.end();
        assert.deepEqual(JSON.parse(textOf(result)), { state: 'kept', answers: { user_name: accept({ name: 'Ada' }) } });
        await session.delete();
    });
}

test('2025-11-25: everything at once, answered in another order', async () => {
    const session = await Session.open(port, '2025-11-25', { capabilities: EVERYTHING });
    const tools = { method: 'sampling/createMessage', params: { ...sampling.params, tools: [{ name: 'x', inputSchema: { type: 'object' } }], toolChoice: { mode: 'auto' } } };
    const asked = await Asked.begin(session, 'ask_at_once', { requests: { ...ask, page, tools, roots } });
    const questions = await asked.questions(4);
    const by = (method, mode) => questions.find((q) => q.method === method && q.params.mode === mode);
    assert.equal(new Set(questions.map(({ id }) => id)).size, 4);
    const url = by('elicitation/create', 'url');
    assert.equal(url.params.url, page.params.url);
    assert.ok(url.params.elicitationId.length >= 16);
    assert.deepEqual(by('sampling/createMessage').params, tools.params);
    assert.deepEqual(by('roots/list').params, {});
    await reply(session, by('roots/list').id, { roots: [] });
    await reply(session, url.id, { action: 'accept' });
    await reply(session, by('sampling/createMessage').id, message);
    await sleep(50);
    assert.equal(asked.listener.messages.length, 4, 'one answer is missing');
    await reply(session, by('elicitation/create').id, accept({ name: 'Ada' }));
    const { answers } = JSON.parse(textOf((await asked.end()).result));
    assert.deepEqual(answers, { user_name: accept({ name: 'Ada' }), page: { action: 'accept' }, tools: message, roots: { roots: [] } });
});

test('2025-03-26: sampling and roots, in its form', async () => {
    const session = await Session.open(port, '2025-03-26', { capabilities: { sampling: {}, roots: {} } });
    const many = { method: 'sampling/createMessage', params: { maxTokens: 5, messages: [
        { role: 'user', content: [{ type: 'text', text: 'a' }, { type: 'image', data: 'AAAA', mimeType: 'image/png' }] }, { role: 'assistant', content: { type: 'text', text: 'b' } }] } };
    const asked = await Asked.begin(session, 'ask', { requests: { many, roots } });
    const questions = await asked.questions(2);
    const question = questions.find(({ method }) => method === 'sampling/createMessage');
    assert.deepEqual(question.params.messages, [
        { role: 'user', content: { type: 'text', text: 'a' } }, { role: 'user', content: { type: 'image', data: 'AAAA', mimeType: 'image/png' } },
        { role: 'assistant', content: { type: 'text', text: 'b' } }]);
    await reply(session, question.id, message);
    await reply(session, questions.find(({ method }) => method === 'roots/list').id, { roots: [{ uri: 'file:///a' }] });
    assert.deepEqual(JSON.parse(textOf((await asked.end()).result)).answers, { many: message, roots: { roots: [{ uri: 'file:///a' }] } });
});

test('rounds, prompts and resources in a session', async () => {
    const session = await Session.open(port, '2025-11-25', { capabilities: EVERYTHING });
    const steps = await Asked.begin(session, 'steps', { count: 4 });
    for (let round = 1; round <= 4; round++) {
        const question = (await steps.questions(round)).at(-1);
        await reply(session, question.id, accept({ value: `${round}` }));
    }
    assert.equal(textOf((await steps.end()).result), '1,2,3,4,');
    for (const [method, params, text] of [
        ['prompts/get', { name: 'asks' }, (result) => result.messages[0].content.text],
        ['resources/read', { uri: 'asks://form' }, (result) => result.contents[0].text],
    ]) {
        const asked = await Asked.begin(session, null, null, { method, params });
        const [question] = await asked.questions();
        await reply(session, question.id, accept({ text: 'dogs' }));
        assert.equal(text((await asked.end()).result), 'About dogs (asked)');
    }
});

test('a client that declined to be asked, or says no', async () => {
    const failed = async (asked, pattern) => {
        const { result } = await asked.end();
        assert.equal(result?.isError, true, JSON.stringify(result));
        assert.match(textOf(result), pattern);
    };
    const mute = await Session.open(port, '2025-11-25', { capabilities: {} });
    await failed(await Asked.begin(mute, 'ask', { requests: ask }), /elicitation by form/);
    const prompt = await Asked.begin(mute, null, null, { method: 'prompts/get', params: { name: 'asks' } });
    assert.match((await prompt.end()).error.message, /elicitation by form/);
    const old = await Session.open(port, '2025-06-18', { capabilities: EVERYTHING });
    await failed(await Asked.begin(old, 'ask', { requests: { page } }), /elicitation by URL/);
    await failed(await Asked.begin(old, 'ask', { requests: { a: form({ x: { type: 'array', items: { type: 'string', enum: ['a'] } } }) } }), /2025-06-18 does not have/);

    const session = await Session.open(port, '2025-11-25', { capabilities: EVERYTHING });
    const refused = await Asked.begin(session, 'ask', { requests: { ...ask, roots, sampling } });
    const questions = await refused.questions(3);
    await reply(session, questions[1].id, { error: { code: -1, message: 'User rejected the request' } });
    await failed(refused, /User rejected the request/);
    const withdrawn = refused.listener.messages.filter(({ method }) => method === 'notifications/cancelled').map(({ params }) => params.requestId);
    assert.deepEqual(withdrawn.sort(), [questions[0].id, questions[2].id].sort());

    const wrong = await Asked.begin(session, 'ask', { requests: ask });
    await reply(session, (await wrong.questions())[0].id, accept({ name: 1 }));
    await failed(wrong, /"user_name" is not legal: content\/name/);
    const text = await Asked.begin(session, 'ask', { requests: ask });
    await reply(session, (await text.questions())[0].id, 'text');
    await failed(text, /is no object/);
});

test('a client that takes no stream cannot be asked; but told of a web page', async () => {
    const session = await Session.open(port, '2025-11-25', { capabilities: EVERYTHING });
    const plain = { headers: { Accept: 'application/json' } };
    const first = await session.request('tools/call', { name: 'ask', arguments: { requests: ask } }, plain);
    assert.match(textOf((await first.last()).result), /takes no event stream/);
    const second = await session.request('tools/call', { name: 'ask', arguments: { requests: { page } } }, plain);
    const whole = await second.last();
    conformsMessage('2025-11-25', whole, 'tools/call');
    const { error } = whole;
    assert.equal(error.code, -32042);
    assert.equal(error.data.elicitations[0].url, page.params.url);
    assert.equal(error.data.elicitations[0].mode, 'url');
    assert.ok(error.data.elicitations[0].elicitationId);
});

test('answers count in the session that was asked, once, and by their id', async () => {
    const session = await Session.open(port, '2025-11-25', { capabilities: EVERYTHING });
    const other = await Session.open(port, '2025-11-25', { capabilities: EVERYTHING });
    const asked = await Asked.begin(session, 'ask', { requests: ask });
    const [{ id }] = await asked.questions();
    await reply(other, id, accept({ name: 'Eve' }));
    await reply(session, `${id}x`, accept({ name: 'Eve' }));
    await reply(session, 1, accept({ name: 'Eve' }));
    await reply(session, asked.id, accept({ name: 'Eve' }));
    await sleep(50);
    assert.equal(asked.listener.ended, false);
    await Promise.all([reply(session, id, accept({ name: 'Ada' })), reply(session, id, accept({ name: 'Bob' }))]);
    const { answers } = JSON.parse(textOf((await asked.end()).result));
    assert.ok(['Ada', 'Bob'].includes(answers.user_name.content.name));
    await reply(session, id, accept({ name: 'Eve' }));
    const lost = await http(port, { body: JSON.stringify({ jsonrpc: '2.0', id, result: {} }),
        headers: { 'Content-Type': 'application/json', Accept: BOTH, 'Mcp-Session-Id': 'none' } });
    assert.equal(lost.status, 404);
});

test('a batch answers', async () => {
    const session = await Session.open(port, '2025-03-26', { capabilities: EVERYTHING });
    const asked = await Asked.begin(session, 'ask', { requests: { roots, sampling } });
    const questions = await asked.questions(2);
    const response = await session.post(questions.map(({ id, method }) => ({ jsonrpc: '2.0', id, result: method === 'roots/list' ? { roots: [] } : message })));
    assert.equal(response.status, 202);
    assert.deepEqual(JSON.parse(textOf((await asked.end()).result)).answers, { roots: { roots: [] }, sampling: message });
});

test('who cancels, ends the session or leaves is not waited for', async () => {
    const session = await Session.open(port, '2025-11-25', { capabilities: EVERYTHING });
    const cancelled = await Asked.begin(session, 'ask', { requests: ask });
    const [question] = await cancelled.questions();
    await session.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: cancelled.id } });
    assert.match(textOf((await cancelled.end()).result), /cancelled/);
    assert.ok(cancelled.listener.messages.some(({ method, params }) => method === 'notifications/cancelled' && params.requestId === question.id));
    await reply(session, question.id, accept({ name: 'Ada' }));

    const leaving = await Asked.begin(session, 'ask', { requests: ask });
    const [left] = await leaving.questions();
    leaving.listener.close();
    await sleep(100);
    await reply(session, left.id, accept({ name: 'Ada' }));

    const early = await Asked.begin(session, 'late', { ms: 100 });
    const last = await Asked.begin(session, 'ask', { requests: ask });
    await last.questions();
    await session.delete();
    assert.match(textOf((await last.end()).result), /session has ended/);
    assert.match(textOf((await early.end()).result), /session has ended/, 'it asked when the session had ended');
});

test('a client that hung up as it was told comes back for the question', async () => {
    const session = await Session.open(port, '2025-11-25', { capabilities: EVERYTHING });
    const response = await session.post({ jsonrpc: '2.0', id: 'call', method: 'tools/call', params: { name: 'late', arguments: { ms: 50, close: true } } });
    const events = [];
    for await (const event of response.events()) events.push(event);
    assert.equal(events.length, 1, 'the priming event alone');
    await sleep(150);
    const back = await http(port, { method: 'GET', headers: { ...session.headers(), 'Content-Type': null, Accept: 'text/event-stream', 'Last-Event-ID': events[0].id } });
    const listener = Listener.over(back);
    const question = await listener.wait(1);
    assert.equal(question.method, 'elicitation/create');
    await reply(session, question.id, accept({ text: 'x' }));
    const { id, result } = await listener.wait(2);
    assert.equal(id, 'call');
    assert.deepEqual(JSON.parse(textOf(result)).answers, { context: accept({ text: 'x' }) });
});

test('who does not answer is not waited for longer than calls.input_timeout_ms', async () => {
    const daemon = await Daemon.start({ plugins: ['asks'], config: { calls: { input_timeout_ms: 300 } } });
    const session = await Session.open(daemon.port, '2025-11-25', { capabilities: EVERYTHING });
    const asked = await Asked.begin(session, 'ask', { requests: ask });
    const start = performance.now();
    assert.match(textOf((await asked.end(10_000)).result), /did not answer within 300 ms/);
    assert.ok(performance.now() - start > 250);
    await daemon.stop();
});

test('the end of mcpd does not wait for answers', async () => {
    const daemon = await Daemon.start({ plugins: ['asks'] });
    const session = await Session.open(daemon.port, '2025-11-25', { capabilities: EVERYTHING });
    const asked = await Asked.begin(session, 'ask', { requests: ask });
    await asked.questions();
    const start = performance.now();
    await daemon.stop();
    assert.ok(performance.now() - start < 5_000);
    assert.match(textOf((await asked.end()).result), /server is ending/);
});

test('answers, errors, cancellations and ends at the same moment: each call has one end', async () => {
    const daemon = await Daemon.start({ plugins: ['asks'] });
    const ends = { complete: 0, failed: 0, gone: 0 };
    for (let round = 0; round < 25; round++) {
        const session = await Session.open(daemon.port, '2025-11-25', { capabilities: EVERYTHING });
        const calls = await Promise.all(Array.from({ length: 6 }, (_, i) =>
            Asked.begin(session, i % 2 ? 'ask' : 'ask_at_once', { requests: { ...ask, roots } })));
        const questions = await Promise.all(calls.map((asked) => asked.questions(2)));
        const acts = calls.flatMap((asked, i) => {
            const [form, list] = questions[i];
            const answers = [() => session.post({ jsonrpc: '2.0', id: form.id, result: accept({ name: 'Ada' }) }),
                () => session.post({ jsonrpc: '2.0', id: list.id, result: { roots: [] } })];
            return [...answers, ...[[], [() => session.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: asked.id } })],
                [() => session.post({ jsonrpc: '2.0', id: list.id, error: { code: -1, message: 'no' } })], [() => asked.listener.close()]][i % 4]];
        });
        if (round % 3 === 0) acts.push(() => session.delete());
        acts.sort(() => crypto.randomInt(3) - 1);
        await Promise.allSettled(acts.map((act) => act()));
        for (const [i, asked] of calls.entries()) {
            if (i % 4 === 3) {
                ends.gone++;
                continue;
            }
            const { result } = await asked.end();
            ends[result.isError ? 'failed' : 'complete']++;
            assert.equal(asked.listener.messages.filter(({ id }) => id === asked.id).length, 1);
        }
    }
    assert.ok(ends.complete > 10 && ends.failed > 10, JSON.stringify(ends));
    await daemon.stop();
});

test('many sessions are asked at once: no thread waits', async () => {
    const daemon = await Daemon.start({ plugins: ['asks'], config: { calls: { workers: 2 } } });
    const threads = () => fs.readdirSync(`/proc/${daemon.pid}/task`).length;
    const sessions = await Promise.all(Array.from({ length: 50 }, () => Session.open(daemon.port, '2025-11-25', { capabilities: EVERYTHING })));
    const before = threads();
    const all = await Promise.all(sessions.map((session, i) => Asked.begin(session, i % 2 ? 'ask' : 'steps', i % 2 ? { requests: ask } : { count: 1 })));
    const questions = await Promise.all(all.map((asked) => asked.questions()));
    assert.ok(threads() <= before + 2, `${before} threads, then ${threads()}`);
    await Promise.all(questions.map(([{ id }], i) => reply(sessions[i], id, accept({ name: `n${i}`, value: `n${i}` }))));
    for (const [i, asked] of all.entries()) assert.match(textOf((await asked.end()).result), new RegExp(`n${i}\\b`));
    await daemon.stop();
});

test('over stdio, in both eras', async () => {
    const legacy = new Stdio({ plugins: ['asks'] });
    await legacy.initialize('2025-11-25', EVERYTHING);
    const id = legacy.request('tools/call', { name: 'ask', arguments: { requests: { ...ask, roots } } });
    const questions = await until(() => {
        const found = legacy.messages.filter((one) => 'method' in one && 'id' in one);
        return found.length === 2 ? found : null;
    }, 5_000, 'two questions');
    for (const one of questions) legacy.send({ jsonrpc: '2.0', id: one.id, result: one.method === 'roots/list' ? { roots: [] } : accept({ name: 'Ada' }) });
    assert.deepEqual(JSON.parse(textOf((await legacy.answer(id)).result)).answers, { user_name: accept({ name: 'Ada' }), roots: { roots: [] } });
    const left = legacy.request('tools/call', { name: 'ask', arguments: { requests: ask } });
    await until(() => legacy.messages.filter(({ method }) => method === 'elicitation/create').length === 2, 5_000, 'a question');
    legacy.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: left } });
    await legacy.close();

    const now = new Stdio({ plugins: ['asks'] });
    const options = { meta: { [`${META}clientCapabilities`]: ALL } };
    const params = { name: 'ask', arguments: { requests: ask, state: 's' } };
    const first = await now.result(MODERN, 'tools/call', params, options);
    const { requestState } = first;
    const second = await now.result(MODERN, 'tools/call', { ...params, requestState, inputResponses: { user_name: accept({ name: 'Ada' }) } }, options);
    assert.equal(JSON.parse(textOf(second)).state, 's');
    await now.close();
});

// ---- the official clients -------------------------------------------------------

const url = new URL(`http://127.0.0.1:${await tap(port)}/mcp`);
const SDK_CAPABILITIES = { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} };

async function openSdk(generation, asked) {
    const elicit = ({ params }) => {
        asked.push(params.mode ?? 'form');
        return params.mode === 'url' ? { action: 'accept' } : accept({ name: 'Ada', value: 'v', text: 'birds' });
    };
    const sample = () => (asked.push('sampling'), message);
    const list = () => (asked.push('roots'), { roots: [{ uri: 'file:///srv' }] });
    const [Client, Transport, schemas, options] = generation === 1
        ? [ClientV1, TransportV1, [ElicitRequestSchema, CreateMessageRequestSchema, ListRootsRequestSchema], {}]
        : [ClientV2, TransportV2, ['elicitation/create', 'sampling/createMessage', 'roots/list'], { versionNegotiation: { mode: { pin: '2026-07-28' } } }];
    const client = new Client({ name: 'tests', version: '1' }, { capabilities: SDK_CAPABILITIES, ...options });
    for (const [i, handler] of [elicit, sample, list].entries()) client.setRequestHandler(schemas[i], handler);
    await client.connect(new Transport(url));
    return client;
}

for (const generation of [1, 2]) {
    const name = `SDK v${generation}`;
    test(`${name}: is asked everything, and goes on`, async () => {
        const asked = [];
        const client = await openSdk(generation, asked);
        const given = { ...page, params: { ...page.params, elicitationId: 'e-1' } };
        const result = await client.callTool({ name: 'ask', arguments: { requests: { ...ask, given, sampling, roots }, state: 'sdk' } });
        assert.notEqual(result.isError, true, textOf(result));
        const { state, answers } = JSON.parse(textOf(result));
        assert.equal(state, 'sdk');
        assert.equal(answers.user_name.content.name, 'Ada');
        assert.equal(answers.given.action, 'accept');
        assert.equal(answers.sampling.content.text, 'Paris');
        assert.equal(answers.roots.roots[0].uri, 'file:///srv');
        assert.deepEqual(asked.sort(), ['form', 'roots', 'sampling', 'url']);
        await client.close();
    });
    test(`${name}: rounds, a single-use state, a prompt, a resource`, async () => {
        const asked = [];
        const client = await openSdk(generation, asked);
        assert.equal(textOf(await client.callTool({ name: 'steps', arguments: { count: 3 } })), 'v,v,v,');
        assert.equal(JSON.parse(textOf(await client.callTool({ name: 'ask_once', arguments: { requests: ask } }))).answers.user_name.content.name, 'Ada');
        assert.equal((await client.getPrompt({ name: 'asks', arguments: {} })).messages[0].content.text, 'About birds (asked)');
        assert.equal((await client.readResource({ uri: 'asks://form' })).contents[0].text, 'About birds (asked)');
        assert.equal(asked.length, 6);
        await client.close();
    });
    test(`${name}: a user who says no`, async () => {
        const client = await openSdk(generation, []);
        const schema = generation === 1 ? ElicitRequestSchema : 'elicitation/create';
        client.setRequestHandler(schema, () => ({ action: 'decline' }));
        assert.equal(JSON.parse(textOf(await client.callTool({ name: 'ask', arguments: { requests: ask } }))).answers.user_name.action, 'decline');
        await client.close();
    });
}

await done();
