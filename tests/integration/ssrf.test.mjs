// SPDX-License-Identifier: MIT
// plugins/http and the ways to make a server ask what it must not: every row of
// ../shared/attacks.md, 6.4, through mcpd, with what the caller is told. Forbidden hosts are
// on loopback; what needs names or public addresses runs in a network namespace of its own.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { Api } from './lib/api.mjs';
import { assert, done, finallyDo, test } from './lib/check.mjs';
import { Daemon, ROOT } from './lib/daemon.mjs';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

/** What must not be reached: on both loopbacks, at the same port. */
const victim = await Api.start();
victim.handler = (request, response) => { response.end('the inside'); return true; };
/** Allowed, by its address: it redirects to whatever it is asked to. */
const gate = await Api.start({ host: '127.0.0.2' });
gate.handler = (request, response) => {
    const to = new URL(request.url, 'http://x').searchParams.get('to');
    if (to === null) return false;
    // As bytes: node would not let all of these out.
    request.socket.end(Buffer.from(`HTTP/1.1 302 Found\r\nConnection: close\r\nContent-Length: 0\r\nLocation: ${to}\r\n\r\n`));
    return true;
};
const port = victim.port;

/** As they are in the list; those that are no URL of a host are told as that. */
const HOSTS = ['127.0.0.1', 'localhost', '127.1', '127.0.1', '0', '0.0.0.0', '0x7f000001', '0x7f.1', '2130706433', '0177.0.0.1', '017700000001',
    '[::1]', '[::]', '[::ffff:127.0.0.1]', '[::ffff:7f00:1]', '[0:0:0:0:0:ffff:127.0.0.1]', '%31%32%37.0.0.1',
    '169.254.169.254', '[fd00:ec2::254]', '[64:ff9b::7f00:1]', '100.64.0.1', '127。0。0。1', '①②⑦.0.0.1',
    '10.0.0.1', '172.16.0.1', '192.168.0.1', '169.254.1.1', '[fe80::1]', '[fc00::1]', '[::127.0.0.1]', '[2002:7f00:1::]', '[64:ff9b:1::1]', '224.0.0.1', '255.255.255.255', '100.100.100.200', '192.0.0.192', 'LOCALHOST', '127.0.0.1.', 'localhost.'];
const KINDS = /is (a|an|no) (loopback|private|link-local|metadata|unspecified|shared \(carrier\)|reserved|multicast|private translation|public) ?(address)?/;
const TOLD = new RegExp(`may not be reached: .* ${KINDS.source}.*"allowed_networks"|characters beyond ASCII|The host (localhost|127\\.0\\.0\\.1)\\. was not found`);

const tools = [{ name: 'get', path: '/secret' }, { name: 'go', path: '/go{?to}' }];
const providers = {
    gate: { plugin: 'http', prefix: 'gate_', config: { base_url: gate.url, tools, allowed_networks: ['127.0.0.2'], allowed_hosts: HOSTS.filter((host) => /^[\x21-\x7e]+$/.test(host) && !host.includes('%')).map((host) => `${host}:${port}`).concat([`[::ffff:7f00:1]:${port}`]) } },
    plain: { plugin: 'http', prefix: 'plain_', config: { base_url: gate.url, tools, allowed_networks: ['127.0.0.2'] } },
};
HOSTS.forEach((host, i) => { providers[`h${i}`] = { plugin: 'http', prefix: `h${i}_`, config: { base_url: `http://${host}:${port}`, tools, retries: 0, timeout_ms: 3000 } }; });

// Counts where they run in worker processes.
for (const provider of Object.values(providers)) provider.sandbox = { network: true };
const daemon = await Daemon.start({ plugins: ['http'], config: { providers } });
const client = new Client({ name: 'ssrf-test', version: '1' });
await client.connect(new StreamableHTTPClientTransport(new URL(`http://127.0.0.1:${daemon.port}/mcp`)));
finallyDo(() => client.close());
const call = (name, args = {}) => client.callTool({ name, arguments: args });
async function refused(name, args, pattern) {
    const before = victim.requests.length;
    const result = await call(name, args);
    assert.equal(result.isError, true, JSON.stringify(result));
    assert.match(result.content[0].text, pattern);
    assert.equal(victim.requests.length, before, 'it was reached');
    assert.equal(victim.connections ?? 0, 0, 'it was connected to');
}

test('what is allowed is reached: the guard is what refuses the others', async () => {
    assert.equal((await call('gate_get')).structuredContent.url, '/secret');
});
HOSTS.forEach((host, i) => {
    test(`http://${host}/ as the API itself`, () => refused(`h${i}_get`, {}, TOLD));
    test(`http://${host}/ by a redirect, the name allowed`, () => refused('gate_go', { to: `http://${host}:${port}/secret` },
        /may not be reached: .* is an? .*address.*|is no(ne| public).*|was not found|characters beyond ASCII|no legal one/));
    test(`http://${host}/ by a redirect`, () => refused('plain_go', { to: `http://${host}:${port}/secret` },
        /none of those that this provider may ask\. The operator can add it to "allowed_hosts"|characters beyond ASCII|no legal one/));
});
for (const host of ['user@127.0.0.1', 'evil.com@127.0.0.1']) {
    test(`${host}: a redirect with a user in it is not followed`, () => refused('gate_go', { to: `http://${host}:${port}/secret` }, /no legal one/));
    test(`${host}: no base_url`, async () => {
        const mark = daemon.mark;
        daemon.provider('user', { plugin: 'http', config: { base_url: `http://${host}:${port}`, tools } });
        daemon.reload();
        await daemon.waitLog(/base_url: expected an http or https URL without user/, 10_000, mark);
        daemon.provider('user', null);
    });
}
for (const url of ['file:///etc/passwd', 'gopher://127.0.0.1:1/_x', 'dict://127.0.0.1:11211/stat', 'ftp://127.0.0.1/', 'ldap://127.0.0.1/', 'data:text/plain,x', 'javascript:1'])
    test(`${url}: only http and https`, () => refused('gate_go', { to: url }, /Only http and https URLs are asked|no legal one/));
test('file: is no base_url either', async () => {
    const mark = daemon.mark;
    daemon.provider('file', { plugin: 'http', config: { base_url: 'file:///etc', tools } });
    daemon.reload();
    await daemon.waitLog(/config\.base_url/, 10_000, mark);
    daemon.provider('file', null);
});
test('line breaks in a path, or in what a redirect says, add nothing', async () => {
    const before = gate.requests.length;
    await call('gate_go', { to: `/x\r\nX-Evil: 1\r\n\r\nGET /secret` }).catch(() => {});
    for (const { headers, url } of gate.requests.slice(before)) {
        assert.equal(headers['x-evil'], undefined);
        assert.ok(!/[\r\n]/.test(url));
    }
});
test('a redirect that arrives there in ten hops ends before', async () => {
    let url = `http://127.0.0.1:${port}/secret`;
    for (let i = 0; i < 10; i++) url = `${gate.url}/go?to=${encodeURIComponent(url)}`;
    await refused('gate_go', { to: url }, /more than 5 redirects/);
});
// Gzip bombs and bodies without end: gateway.test.mjs, which has the caps of the answers.

// ---- names ----

const inside = path.join(ROOT, 'tests/integration/lib/ssrf-inside.mjs');
const can = spawnSync('unshare', ['-mn', 'true']).status === 0;
test('names: rebinding, nip.io, a name with both kinds of addresses, one that never answers', () => {
    const result = spawnSync('unshare', ['-mn', '--', 'sh', '-c', `ip link set lo up && ip addr add 93.184.216.34/32 dev lo && exec ${process.execPath} ${inside}`], { encoding: 'utf8', timeout: 60_000 });
    assert.equal(result.status, 0, `${result.stdout}\n${result.stderr}`);
    assert.match(result.stdout, /^5 ways, none in$/m);
}, { timeout: 70_000, skip: can ? null : 'needs the right to make a network namespace' });

await done();
