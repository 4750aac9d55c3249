// SPDX-License-Identifier: MIT
// Clients that take their time: none keeps a connection beyond the deadlines,
// and the others hardly notice. Times are printed; only deadlines are asserted.
import { assert, done, SCALE, SLOW_BINARY, sleep, test, until } from './lib/check.mjs';
import { Daemon } from './lib/daemon.mjs';
import { Connection, requestBytes } from './lib/http.mjs';
import { Load } from './lib/load.mjs';
import { callTool, modernMessage, textOf } from './lib/mcp.mjs';
import { descriptors } from './lib/proc.mjs';

const COUNT = SLOW_BINARY ? 200 : 1000;
const DEADLINE = 3000 * SCALE;
const daemon = await Daemon.start({
    plugins: ['echo', 'probe', 'stamp'],
    config: {
        http: { header_timeout_ms: DEADLINE, body_timeout_ms: DEADLINE, idle_timeout_ms: DEADLINE, write_timeout_ms: DEADLINE },
        // One call is to outlast DEADLINE, whatever SCALE makes of it.
        calls: { max_result_bytes: 67108864, timeout_ms: DEADLINE * 5 },
    },
});
const { port } = daemon;
await sleep(100);
const before = descriptors(daemon.pid);

async function goodClient(what, during) {
    const load = new Load(port, { stamp: 'stamp=000000000000' }, { connections: 4, pause: 2 });
    await during();
    const result = await load.stop();
    assert.equal(result.failed + result.wrong, 0, `${what}: ${result.first_error}`);
    assert.ok(result.calls > 50);
    return result;
}

let quiet;
test('the quiet time of a good client', async () => {
    quiet = await goodClient('quiet', () => sleep(3000));
    console.log(`      quiet: ${quiet.calls} calls, p50 ${quiet.p50_ms} ms, p99 ${quiet.p99_ms} ms, max ${quiet.max_ms} ms`);
});

const good = requestBytes({ port, ...modernMessage('tools/call', { name: 'echo', arguments: { text: 'x'.repeat(5000) } }) }).toString('latin1');
const [head, body] = [good.slice(0, good.indexOf('\r\n\r\n') + 4), good.slice(good.indexOf('\r\n\r\n') + 4)];
const kinds = {
    'one header line a second': { first: 'POST /mcp HTTP/1.1\r\n', next: (i) => `X-Slow-${i}: ${i}\r\n` },
    'one header byte a second': { first: 'P', next: (i) => head[i] },
    'one body byte a second': { first: head + body[0], next: (i) => body[i] },
    'one body byte a second, chunked': { first: head.replace(/Content-Length: \d+/, 'Transfer-Encoding: chunked') + '1000\r\n', next: () => 'x' },
    'nothing at all': { first: '', next: () => null },
};

for (const [name, { first, next }] of Object.entries(kinds))
    test(`${COUNT} connections, ${name}: all gone a second after the deadline`, async () => {
        const connections = [];
        const result = await goodClient(name, async () => {
            const start = performance.now();
            for (let i = 0; i < COUNT; i++) {
                const connection = await Connection.open(port);
                connection.socket.on('error', () => {});
                connections.push(connection);
                if (first) connection.write(Buffer.from(first, 'latin1'));
            }
            const opened = performance.now() - start;
            for (let i = 1; performance.now() - start < DEADLINE + opened + 1000; i++) {
                await sleep(Math.max(0, start + i * 1000 - performance.now()));
                if (performance.now() - start >= DEADLINE + opened + 1000) break;
                for (const connection of connections) {
                    const part = next(i);
                    if (part && !connection.socket.destroyed) connection.write(Buffer.from(part, 'latin1'));
                }
            }
        });
        const left = connections.filter((connection) => !connection.socket.destroyed && !connection.ended && connection.leftover === '').length;
        const inside = descriptors(daemon.pid);
        for (const connection of connections) connection.destroy();
        assert.equal(left, 0, `${left} of ${COUNT} are still open`);
        assert.ok(inside <= before + 20, `${inside} descriptors, ${before} before`);
        console.log(`      beside them: p50 ${result.p50_ms} ms, p99 ${result.p99_ms} ms (${(result.p99_ms / quiet.p99_ms).toFixed(2)} of the quiet p99; wanted 1.5 or less), max ${result.max_ms} ms`);
    }, { timeout: DEADLINE * 4 });

test('a connection that is idle after a request is closed at its deadline, not before', async () => {
    const connection = await Connection.open(port);
    assert.equal(textOf(await callTool(port, 'echo', { text: 'x' }, { connection })), 'x');
    await sleep(DEADLINE / 2);
    assert.equal(textOf(await callTool(port, 'echo', { text: 'x' }, { connection })), 'x');
    const start = performance.now();
    await connection.closed(DEADLINE * 3);
    const took = performance.now() - start;
    assert.ok(took > DEADLINE - 600 && took < DEADLINE + 1500, `${took} ms`);
    connection.destroy();
}, { timeout: DEADLINE * 6 });
test('a request that is being answered is not cut by the deadlines of reading', async () => {
    const result = await callTool(port, 'wait', { ms: DEADLINE + 1500, label: 'long' }, { ms: DEADLINE * 5 });
    assert.equal(textOf(result), 'waited');
}, { timeout: DEADLINE * 6 });
test('a client that does not read its answer is given up', async () => {
    const connection = await Connection.open(port);
    connection.socket.on('error', () => {});
    connection.socket.pause();
    await connection.write(requestBytes({ port, ...modernMessage('tools/call', { name: 'big', arguments: { bytes: 40_000_000 } }) }));
    await until(() => descriptors(daemon.pid) > before, 3000, 'the connection to be there');
    await sleep(DEADLINE / 2);
    assert.ok(descriptors(daemon.pid) > before, 'closed before its time');
    await until(() => descriptors(daemon.pid) <= before, DEADLINE + 3000, 'mcpd to close it');
    connection.destroy();
}, { timeout: DEADLINE * 6 });
test('the end', () => daemon.stop());

await done();
