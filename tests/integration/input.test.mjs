// SPDX-License-Identifier: MIT
// Input from the client: what a provider asks on the way, in both eras.
import { assert, done, test } from './lib/check.mjs';
import { Daemon } from './lib/daemon.mjs';
import { META, modern, modernResult, textOf } from './lib/mcp.mjs';

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

await done();
