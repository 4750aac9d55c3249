// SPDX-License-Identifier: MIT
// The part of ssrf.test.mjs that runs in a network and mount namespace of its own: lo has a
// public address besides, and the name server is ours.
import { execFileSync } from 'node:child_process';
import dgram from 'node:dgram';
import fs from 'node:fs';
import path from 'node:path';
import { Api } from './api.mjs';
import { assert, done, test } from './check.mjs';
import { Daemon, temporaryDirectory } from './daemon.mjs';
import { callTool, textOf } from './mcp.mjs';

const PUBLIC = '93.184.216.34';
const directory = temporaryDirectory('mcpd-names');
for (const [file, text] of [['resolv.conf', 'nameserver 127.0.0.1\noptions timeout:4 attempts:1\n'], ['nsswitch.conf', 'hosts: dns\n']]) {
    fs.writeFileSync(path.join(directory, file), text);
    execFileSync('mount', ['--bind', path.join(directory, file), `/etc/${file}`]);
}
const asked = {};
/** The addresses of a name at the nth question for it; null: no answer at all. */
const names = {
    'rebind.test': (n) => [n === 1 ? PUBLIC : '127.0.0.1'],
    '127.0.0.1.nip.io': () => ['127.0.0.1'],
    'both.test': () => ['127.0.0.1', PUBLIC],
    'silent.test': () => null,
    'metadata.test': () => ['169.254.169.254'],
};
const dns = dgram.createSocket('udp4');
dns.on('message', (query, from) => {
    const labels = [];
    let at = 12;
    for (; query[at] !== 0; at += query[at] + 1) labels.push(query.toString('latin1', at + 1, at + 1 + query[at]));
    const name = labels.join('.').toLowerCase(), type = query.readUInt16BE(at + 1);
    if (type === 1) asked[name] = (asked[name] ?? 0) + 1;
    const addresses = type === 1 ? names[name]?.(asked[name]) : [];
    if (addresses === null) return;
    const head = Buffer.from(query.subarray(0, at + 5));
    head.writeUInt16BE(addresses ? 0x8180 : 0x8183, 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt16BE(addresses?.length ?? 0, 6);
    head.writeUInt32BE(0, 8);
    dns.send(Buffer.concat([head, ...(addresses ?? []).map((a) => Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...a.split('.').map(Number)]))]), from.port, from.address);
});
await new Promise((resolve) => dns.bind(53, '127.0.0.1', resolve));

const outside = await Api.start({ host: PUBLIC });
const victim = new Api();
// The same port, on loopback.
victim.server = (await import('node:http')).createServer((request, response) => { victim.requests.push(request.url); response.end('the inside'); });
await new Promise((resolve) => victim.server.listen(outside.port, '127.0.0.1', resolve));
const tools = [{ name: 'get', path: '/secret' }];
const providers = {};
for (const name of Object.keys(names)) providers[name.split('.')[0]] = { plugin: 'http', isolation: 'inproc', prefix: `${name.split('.')[0]}_`, config: { base_url: `http://${name}:${outside.port}`, tools, timeout_ms: 1500, retries: 0 } };
const daemon = await Daemon.start({ plugins: ['http'], config: { providers } });
const call = (name) => callTool(daemon.port, `${name}_get`);
let ways = 0;
async function refused(name, pattern) {
    const result = await call(name);
    assert.equal(result.isError, true, JSON.stringify(result));
    assert.match(textOf(result), pattern);
    assert.equal(victim.requests.length, 0);
    ways++;
}

test('rebinding: the address that was looked at is the one that is connected to', async () => {
    for (let i = 0; i < 5; i++) assert.equal((await call('rebind')).structuredContent.url, '/secret');
    assert.equal(asked['rebind.test'], 1);
    assert.equal(victim.requests.length, 0);
    ways++;
});
test('nip.io', () => refused('127', /127\.0\.0\.1\.nip\.io may not be reached: 127\.0\.0\.1 is a loopback address/));
test('metadata by name', () => refused('metadata', /169\.254\.169\.254 is a metadata address/));
test('of both kinds only the public one is used', async () => {
    for (let i = 0; i < 5; i++) assert.equal((await call('both')).structuredContent.url, '/secret');
    assert.equal(victim.requests.length, 0);
    ways++;
});
test('a name server that is silent holds nobody up but who asks for that name', async () => {
    const slow = call('silent'), start = performance.now();
    for (let i = 0; i < 20; i++) assert.ok(!(await call('rebind')).isError);
    assert.ok(performance.now() - start < 1400, 'the others waited');
    const result = await slow;
    assert.match(textOf(result), /longer than the 1500 ms/);
    ways++;
});
test('all of them', () => { assert.equal(ways, 5); console.log('5 ways, none in'); });
dns.unref();
victim.server.unref();
await done();
process.exit(process.exitCode ?? 0);
