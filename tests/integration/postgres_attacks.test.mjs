// SPDX-License-Identifier: MIT
// A server of PostgreSQL's protocol that is broken or hostile, against the database plugin:
// mcpd goes on, in the memory and the time that it has.
import { assert, done, SLOW_BINARY, sleep, test, until } from './lib/check.mjs';
import { Daemon } from './lib/daemon.mjs';
import { command, COPY_IN, FakePostgres, message, NOTHING, table } from './lib/fake_postgres.mjs';
import { callTool, textOf } from './lib/mcp.mjs';
import { rss } from './lib/proc.mjs';

async function start(server, config = {}) {
    const fake = await FakePostgres.start(server);
    const daemon = await Daemon.start({ plugins: ['database'], providersD: { bad: { plugin: 'database', config: fake.config({ max_connections: 1, ...config }), sandbox: { unix_sockets: true } } } });
    const ask = (query, more = {}) => callTool(daemon.port, 'execute_query', { query, ...more });
    return { fake, daemon, ask };
}
const rows = (result) => {
    assert.ok(!result.isError, textOf(result));
    return result.structuredContent.rows;
};

test('a server that is whole is served', async () => {
    const { daemon, ask } = await start();
    for (let i = 0; i < 4; i++) assert.deepEqual(rows(await ask('SELECT $1', { parameters: [i] })), [{ c: '1' }]);
    await daemon.stop();
});

// ---- Answers to what mcpd itself asks -----------------------------------------------------------

const five = ['', 'reader', '1', 'long ago', '0'];
for (const [what, answer] of Object.entries({
    'no row': table(5, []),
    'two rows': table(5, [five, five]),
    'no columns': table(0, [[]]),
    'fewer columns': table(4, [five.slice(1)]),
    'no limit': table(5, [['', 'reader', '1', 'long ago', null]]),
    'no table': command('SELECT'),
    'a COPY': COPY_IN,
    'no result': NOTHING,
}))
    test(`asked for the role, it answers with ${what}`, async () => {
        const { daemon, ask } = await start({ answer: (sql) => (sql.includes('pg_has_role') ? answer : undefined) });
        assert.match(textOf(await ask('SELECT 1')), /cannot be reached at the moment/);
        assert.ok(daemon.lines.some((line) => /bad: (no connection to reader@.*: asked for its role|the connection was lost|the server has not answered)/.test(line)), daemon.lines.join('\n'));
        await daemon.stop();
    });
test('asked to cancel, it answers with a row without columns', async () => {
    let asked = 0, hanging;
    const { daemon, ask } = await start({
        answer(sql, session) {
            if (sql.includes('hang')) {
                hanging = session;
                return null;
            }
            if (!sql.includes('pg_cancel_backend') || session.bound.includes('{}')) return undefined;
            asked++;
            hanging.fail('57014');
            return table(0, [[]]);
        },
    }, { timeout_ms: 500 });
    assert.match(textOf(await ask("SELECT 'hang'")), /longer than/);
    assert.equal(asked, 1);
    assert.deepEqual(rows(await ask('SELECT 1')), [{ c: '1' }]);
    await daemon.stop();
});
test('asked for a type, it answers with a row without columns, or none: the values are text', async () => {
    for (const answer of [table(0, [[]]), table(4, []), command('SELECT'), COPY_IN]) {
        const { daemon, ask } = await start({
            answer: (sql) => (sql.includes('format_type') ? answer : sql.includes('strange') ? table(1, [['{1}']], 99999) : undefined),
        });
        assert.deepEqual(rows(await ask("SELECT 'strange'")), [{ c: '{1}' }]);
        await daemon.stop();
    }
});
test('asked for the schema, it answers with a row without columns, or NULL', async () => {
    for (const answer of [table(0, [[]]), table(1, [[null]])]) {
        const { daemon, ask } = await start({ answer: (sql) => (sql.includes('jsonb_agg') ? answer : undefined) });
        const result = await callTool(daemon.port, 'get_schema', {});
        assert.ok(result.isError);
        assert.match(textOf(result), /connection to the database was lost/);
        assert.deepEqual(rows(await ask('SELECT 1')), [{ c: '1' }]);
        await daemon.stop();
    }
});
test('asked whether SQL has prepared anything, it answers with no row: the connection is given up', async () => {
    for (const answer of [table(3, []), table(3, [['', '', 't']]), table(0, [[]]), COPY_IN]) {
        const pids = new Set();
        const { daemon, ask } = await start({
            answer(sql, { pid }) {
                if (sql.includes('$1') && sql.includes('mine')) pids.add(pid);
                return sql.includes('pg_prepared_statement()') ? answer : undefined;
            },
        });
        for (let i = 0; i < 6; i++) await ask("SELECT 'mine', $1", { parameters: [i] });
        assert.ok(pids.size > 1, `${pids.size}`);
        await daemon.stop();
    }
});

// ---- Messages without end -----------------------------------------------------------------------

/** Writes as fast as it is read, until the connection ends. */
function flood(socket, make) {
    let sent = 0;
    const more = () => {
        while (!socket.destroyed && socket.write(make(sent))) sent++;
        sent++;
    };
    socket.on('drain', more);
    more();
}
const settings = (n) => Buffer.concat(Array.from({ length: 64 }, (_, i) => message('S', `s${n}_${i}`, 'x'.repeat(8000))));
const notices = () => message('N', Buffer.from('M'), 'x'.repeat(20000), NOTHING, Buffer.from([0]));

for (const [what, make] of [['settings', settings], ['notices', notices]])
    test(`${what} without end while the connection is made are given up, in little memory`, async () => {
        const whole = await start();
        const idle = rss(whole.daemon.pid);
        await whole.daemon.stop();
        const { daemon, ask } = await start({
            greet(socket) {
                socket.write(message('R', Buffer.alloc(4)));
                flood(socket, make);
            },
        }, { min_connections: 0 });
        const end = performance.now() + 1500;
        let most = 0;
        while (performance.now() < end) {
            assert.match(textOf(await ask('SELECT 1')), /cannot be reached at the moment/);
            most = Math.max(most, rss(daemon.pid));
            await sleep(50);
        }
        console.log(`      ${((most - idle) / 2 ** 20).toFixed(1)} MB more than with a server that is whole`);
        if (!SLOW_BINARY) assert.ok(most - idle < 16 * 2 ** 20, `${most - idle} bytes`);
        assert.ok(daemon.lines.some((line) => /no connection to reader@.*: it sent more than 1 MiB before/.test(line)), daemon.lines.join('\n'));
        await daemon.stop();
    });

// ---- No end in time -----------------------------------------------------------------------------

/** The one connection there may be is free again. */
const answers = (ask) => until(async () => !(await ask('SELECT 1')).isError, 10_000, 'an answer');
test('a server that takes requests to cancel and does not end them holds no call, and at most one connection', async () => {
    const cancelling = [];
    const { daemon, ask } = await start({
        answer: (sql) => (sql.includes('hang') ? null : sql.includes('pg_cancel_backend') ? table(0, [[]]) : undefined),
        cancel: (socket) => cancelling.push(socket),
    }, { timeout_ms: 500, max_connections: 4 });
    const all = await Promise.all(Array.from({ length: 4 }, () => ask("SELECT 'hang'")));
    for (const answer of all) assert.match(textOf(answer), /longer than|did not finish/);
    for (let i = 0; i < 3; i++) assert.match(textOf(await ask("SELECT 'hang'")), /longer than|did not finish/);
    assert.equal(cancelling.length, 1);
    await answers(ask);
    cancelling[0].destroy();
    await until(async () => (await ask("SELECT 'hang'")).isError && cancelling.length === 2, 10_000, 'a further request');
    await daemon.stop();
}, { timeout: 60_000 });

await done();
