// SPDX-License-Identifier: MIT
// The database plugin on PostgreSQL, through mcpd: what ../shared/attacks.md has in 6.3,
// a server that is restarted under load, cancelled queries, results without end.
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { assert, done, SCALE, SLOW_BINARY, sleep, test, until } from './lib/check.mjs';
import { Daemon, ROOT, temporaryDirectory, TOOLS } from './lib/daemon.mjs';
import { Connection, requestBytes } from './lib/http.mjs';
import { callTool, modernMessage, textOf, toolNames } from './lib/mcp.mjs';
import { Postgres } from './lib/postgres.mjs';
import { rss } from './lib/proc.mjs';
import { tap } from './lib/tap.mjs';

const postgres = Postgres.start();
const secrets = temporaryDirectory('mcpd-secrets');
const SECRET = 'correct:horse@battery/staple';
fs.writeFileSync(path.join(secrets, 'password'), `${SECRET}\n`, { mode: 0o600 });
postgres.sql(`CREATE TABLE secret(id int primary key, value text not null);
    COMMENT ON TABLE secret IS 'what nobody changes';
    COMMENT ON COLUMN secret.value IS 'a value';
    INSERT INTO secret VALUES (1, 'kept');
    CREATE TABLE numbers(id serial primary key, secret int references secret on delete cascade, n bigint unique);
    INSERT INTO numbers(n) SELECT g FROM generate_series(1, 1000) g;
    CREATE VIEW small AS SELECT n FROM numbers WHERE n < 10;
    CREATE FUNCTION evil() RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS
        $$ BEGIN INSERT INTO secret VALUES (66, 'pwned'); RETURN 1; END $$;
    CREATE FUNCTION run(sql text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE sql; RETURN 1; END $$;
    CREATE FUNCTION warn() RETURNS int LANGUAGE plpgsql AS
        $$ BEGIN RAISE WARNING 'there is no transaction' USING ERRCODE = '25P01'; RETURN 1; END $$;
    CREATE ROLE scarce LOGIN CONNECTION LIMIT 2;
    CREATE TABLE changing(a int);
    INSERT INTO changing VALUES (1);
    GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader, secret_reader, writer;
    GRANT ALL ON numbers, numbers_id_seq TO writer;`);

const provider = (name, user, more = {}, rest = {}) => [name, { plugin: 'database', prefix: `${name}_`, config: postgres.config(user, more), ...rest }];
const daemon = await Daemon.start({
    plugins: ['database'],
    args: ['--log-level', 'debug'],
    config: { calls: { workers: 40 } },
    env: { TEST_PG_PASSWORD: SECRET },
    providersD: Object.fromEntries([
        provider('r', 'reader', { min_connections: 4, max_connections: 32, timeout_ms: 15000 * SCALE }),
        provider('short', 'reader', { timeout_ms: 500 * SCALE }),
        provider('w', 'writer', { read_only: false }),
        provider('one', 'reader', { min_connections: 1, max_connections: 1, timeout_ms: 2000 * SCALE }),
        provider('scarce', 'scarce', { max_connections: 1, timeout_ms: 1000 }),
        provider('onew', 'writer', { read_only: false, max_connections: 1 }),
        provider('powerful', 'admin', { allow_privileged_role: true, min_connections: 0, max_connections: 1 }),
        provider('byfile', 'secret_reader', { password: { file: path.join(secrets, 'password') } }),
        provider('byenv', 'secret_reader', { password: { environment: 'TEST_PG_PASSWORD' } }),
        provider('wrong', 'secret_reader', { password: 'not-the-password' }),
        provider('apart', 'reader', {}, { isolation: 'process', sandbox: { unix_sockets: true } }),
        ...['admin', 'files', 'behind', 'maker'].map((role) => provider(`no_${role}`, role)),
        ['url', { plugin: 'database', prefix: 'url_', config: { host: postgres.host, url: `postgresql://secret_reader:${encodeURIComponent(SECRET)}@/test` } }],
        ['socket', { plugin: 'database', prefix: 'socket_', config: { url: `postgresql:///test?user=reader&host=${encodeURIComponent(postgres.host)}` }, isolation: 'process', sandbox: { unix_sockets: true } }],
        ['hidden', { plugin: 'database', prefix: 'hidden_', config: { url: `postgresql://reader@/test?host=${encodeURIComponent(postgres.host)}` } }],
    ]),
});
const { port } = daemon;

/** {json} or {error}. */
async function ask(query, { tool = 'r', ...more } = {}, options = {}) {
    const result = await callTool(port, `${tool}_execute_query`, { query, ...more }, options);
    return result.isError ? { error: textOf(result) } : { json: result.structuredContent };
}
const value = async (query, more) => {
    const { json, error } = await ask(query, more);
    assert.equal(error, undefined, `${query}: ${error}`);
    return Object.values(json.rows[0])[0];
};
const kept = () => assert.equal(postgres.sql("SELECT string_agg(id || value, ',') FROM secret"), '1kept');
async function refused(query, pattern, more) {
    const { json, error } = await ask(query, more);
    assert.ok(error, `${query}: ${JSON.stringify(json)?.slice(0, 200)}`);
    assert.match(error, pattern, query);
    kept();
}

// ---- Who may not come in --------------------------------------------------------------------

test('a role that can do what no transaction prevents is refused, and told which power it is', async () => {
    const names = await toolNames(port);
    for (const [role, power] of [['admin', 'superuser'], ['files', 'pg_read_server_files'], ['behind', 'pg_execute_server_program'], ['maker', 'CREATEROLE']]) {
        assert.ok(!names.includes(`no_${role}_execute_query`), role);
        const line = daemon.lines.find((l) => l.includes(`no_${role}: not served`));
        assert.match(line, new RegExp(`too powerful \\(${power}\\)`), line);
    }
    assert.ok(names.includes('r_execute_query') && !names.includes('r_execute_transaction'));
    assert.ok(names.includes('w_execute_transaction'));
});
test('a password comes from a file, the environment or the URL, and is in no log, error or result', async () => {
    for (const tool of ['byfile', 'byenv', 'url']) assert.equal(await value('SELECT session_user', { tool }), 'secret_reader');
    assert.ok(daemon.lines.some((l) => /wrong: not served: .*password authentication failed/.test(l)), daemon.lines.join('\n'));
    for (const line of daemon.lines)
        for (const secret of [SECRET, encodeURIComponent(SECRET), 'not-the-password']) assert.ok(!line.includes(secret), line);
    const { json } = await ask('SHOW ALL', { tool: 'url' });
    assert.ok(!JSON.stringify(json).includes('staple'));
});

// ---- attacks.md 6.3 ----------------------------------------------------------------------------

for (const tool of ['r', 'powerful']) {
    test(`${tool}: several statements in one, a transaction ended or made one that writes`, async () => {
        await refused('SELECT 1; COMMIT; CREATE TABLE pwn(a int)', /more than one statement/, { tool });
        await refused('SELECT 1; COMMIT; DROP SCHEMA public CASCADE', /more than one statement/, { tool });
        for (const query of ['COMMIT', 'ROLLBACK', ' ;-- x\n/* /* */ */CoMMiT', 'END', 'ABORT', 'BEGIN', 'SAVEPOINT a', 'PREPARE TRANSACTION \'x\''])
            await refused(query, /transaction of its own/, { tool });
        await refused('SET TRANSACTION READ WRITE', /read-only here/, { tool });
        await refused("INSERT INTO secret VALUES (2, 'x')", /read-only here/, { tool });
        for (const setting of ['transaction_read_only', 'default_transaction_read_only'])
            await ask(`SELECT set_config('${setting}','off',false)`, { tool });
        assert.equal(await value("SELECT current_setting('transaction_read_only') || current_setting('default_transaction_read_only')", { tool }), 'onon');
        kept();
    });
    test(`${tool}: writing in the middle of reading`, async () => {
        await refused("WITH x AS (INSERT INTO secret VALUES (3,'x') RETURNING *) SELECT * FROM x", /read-only|permission denied/, { tool });
        await refused('EXPLAIN ANALYZE DELETE FROM secret', /read-only|permission denied/, { tool });
        await refused('SELECT evil()', /read-only here.*cannot execute INSERT in a read-only transaction \(SQLSTATE 25006\)/, { tool });
        await refused('DO $$ BEGIN COMMIT; END $$', /read-only here/, { tool });
        await refused("COPY secret TO PROGRAM 'touch /tmp/mcpd-pwned'", /COPY reads and writes files and programs/, { tool });
        await refused('COPY secret TO STDOUT', /COPY/, { tool });
        assert.ok(!fs.existsSync('/tmp/mcpd-pwned'));
    });
    test(`${tool}: what would last on the connection`, async () => {
        await refused('NOTIFY x', /read-only here/, { tool });
        await refused('LISTEN x', /nothing lasts/, { tool });
        await refused('PREPARE p AS DELETE FROM secret', /Not allowed/, { tool });
        await refused('EXECUTE p', /nothing lasts/, { tool });
        await ask('SELECT pg_advisory_lock(1)', { tool });
        assert.equal(postgres.sql('SELECT pg_try_advisory_lock(1)'), 't', 'the lock is still held');
    });
    test(`${tool}: what a function would leave behind, though it fails or is cut`, async () => {
        const gone = () => until(() => postgres.sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") === '0', 2000, 'the locks to be gone');
        for (const query of ['SELECT pg_advisory_lock(g) FROM generate_series(1, 5) g', 'SELECT 1 / (CASE WHEN pg_advisory_lock(3) IS NULL THEN 1 ELSE 0 END)', 'SELECT g, pg_advisory_lock(g) FROM generate_series(1, 100000) g']) {
            await ask(query, { tool, ...(query.includes('100000') ? { max_rows: 5 } : {}) });
            await gone();
        }
        assert.match((await ask("SELECT 1 / (CASE WHEN set_config('statement_timeout', '1', false) = '1ms' THEN 0 ELSE 1 END)", { tool })).error, /SQLSTATE 22012/);
        await ask("SELECT set_config('statement_timeout', '1', false), set_config('search_path', 'pg_temp', false), set_config('work_mem', '64kB', false)", { tool });
        for (let i = 0; i < 6; i++) {
            assert.notEqual(await value('SHOW statement_timeout', { tool }), '1ms');
            assert.equal(await value('SHOW search_path', { tool }), '"$user", public');
            assert.equal(await value('SHOW work_mem', { tool }), '4MB');
        }
        const { json } = await ask('SELECT name FROM pg_prepared_statements', { tool });
        assert.deepEqual(json.rows, []);
        await refused("SELECT query_to_xml('PREPARE p AS SELECT 1', true, true, '')", /not allowed in a non-volatile function|read-only/, { tool });
    });
}
test('the files and secrets of the server', async () => {
    await refused("SELECT pg_read_file('/etc/passwd')", /permission denied for function pg_read_file \(SQLSTATE 42501\)/);
    await refused("SELECT lo_import('/etc/passwd')", /permission denied|read-only/);
    await refused('SELECT * FROM pg_shadow', /permission denied for view pg_shadow/);
    await refused('SELECT * FROM pg_authid', /permission denied/);
});
test('a connection that is terminated by its own query fails with a sentence, and the next call has another', async () => {
    await refused('SELECT pg_terminate_backend(pg_backend_pid())', /connection was ended; try again/);
    assert.equal(await value('SELECT 1'), 1);
    await refused('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = session_user ORDER BY pid = pg_backend_pid()', /connection was ended; try again/);
    for (let i = 0; i < 8; i++) assert.equal(await value('SELECT 1'), 1);
});
test('what would run for ever ends at the deadline', async () => {
    for (const query of ['SELECT pg_sleep(30)', 'SELECT count(*) FROM generate_series(1, 1000000000) a', "SELECT count(repeat('x', 100000)) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b"]) {
        const start = performance.now();
        await refused(query, /longer than the \d+ ms/, { tool: 'short' });
        assert.ok(performance.now() - start < 2500 * SCALE, `${query}: ${performance.now() - start} ms`);
    }
    await refused("SELECT repeat('x', 90000000)", /larger than the 4194304 bytes/);
    assert.equal(await value('SELECT 1', { tool: 'short' }), 1);
});
test('a statement that comes again is prepared and kept, until another comes', async () => {
    const tool = 'one', kept = "SELECT statement FROM pg_prepared_statements WHERE name = 'mcpd_kept'";
    const rows = async (query, parameters) => (await ask(query, { tool, ...(parameters ? { parameters } : {}) })).json.rows;
    await rows('SELECT 1');
    assert.deepEqual(await rows(kept), []);
    for (let i = 0; i < 3; i++) assert.deepEqual(await rows(kept), [{ statement: kept }]);
    await rows('SELECT 1');
    assert.deepEqual(await rows(kept), []);
    for (let i = 0; i < 8; i++) assert.deepEqual(await rows('SELECT n, $2::text AS t FROM numbers WHERE n = $1', [i + 1, `t${i}`]), [{ n: i + 1, t: `t${i}` }]);
    for (let i = 0; i < 4; i++) await refused('SELECT 1 / $1', /division by zero \(SQLSTATE 22012\)/, { tool, parameters: [0] });
    for (let i = 0; i < 4; i++) await refused('SELECT nothing', /at character 8 of the query/, { tool });
    for (let i = 0; i < 4; i++) assert.equal((await ask('SELECT generate_series(1, 100000) g', { tool, max_rows: 2 })).json.truncated, true);
    for (let i = 0; i < 4; i++) assert.deepEqual(await rows('SELECT $1::bytea AS b', [{ $base64: 'AP8=' }]), [{ b: { $base64: 'AP8=' } }]);
    assert.deepEqual(await rows('SELECT $1::text AS b', ['x']), [{ b: 'x' }]);
    for (let i = 0; i < 4; i++) {
        for (let j = 0; j < 3; j++) assert.deepEqual(Object.keys((await rows('SELECT * FROM changing'))[0]).length, i + 1);
        postgres.sql(`ALTER TABLE changing ADD c${i} int DEFAULT 7`);
    }
});
test('what is kept is never what a function has prepared by its name', async () => {
    const tool = 'one', query = 'SELECT run($1) AS r';
    const run = async (parameter) => (await ask(query, { tool, parameters: [parameter] })).json?.rows?.[0]?.r;
    for (const trick of ["PREPARE mcpd_kept(text) AS SELECT 66 AS r", "DEALLOCATE mcpd_kept; PREPARE mcpd_kept(text) AS SELECT 66 AS r", 'DEALLOCATE mcpd_kept', 'DEALLOCATE ALL']) {
        for (const times of [0, 1, 2, 3]) {
            for (let i = 0; i < times; i++) assert.equal(await run('SELECT 1'), 1);
            const before = (await ask(query, { tool, parameters: [trick] })).error;
            assert.ok(before === undefined || !/SQLSTATE 25006/.test(before), before);
            for (let i = 0; i < 4; i++) assert.notEqual(await run('SELECT 1'), 66, `${trick}, after ${times}`);
            assert.equal(await run('SELECT 1'), 1, `${trick}, after ${times}`);
            assert.equal(await value('SELECT 7', { tool }), 7);
        }
    }
    kept();
});
test('a transaction is READ ONLY also where a function has replaced what mcpd prepares', async () => {
    const all = ['begin', 'clean', 'check', 'forget', 'rollback', 'kept'].map((name) => `mcpd_${name}`);
    const { json } = await ask("SELECT name FROM pg_prepared_statements WHERE name <> 'mcpd_kept'", { tool: 'one' });
    for (const name of new Set([...all, ...json.rows.map((row) => row.name)])) {
        const replaceOld = (name) => `run('DEALLOCATE ${name}'), run('PREPARE ${name} AS SELECT 1')`, replace = (name) => `run('PREPARE ${name} AS SELECT 1')`;
        for (const put of [replaceOld, replace]) {
            await ask(`SELECT ${put(name)}`, { tool: 'one' });
            await ask(`SELECT set_config('default_transaction_read_only', 'off', false), ${put('mcpd_rollback')}`, { tool: 'one' });
            for (let i = 0; i < 2; i++) await ask('SELECT evil()', { tool: 'one' });
            kept();
        }
    }
    assert.equal(await value('SELECT 7', { tool: 'one' }), 7);
});
test('what a function has prepared is gone at the next call, though the query failed', async () => {
    const tool = 'one', prepared = async () => (await ask('SELECT name FROM pg_prepared_statements', { tool })).json.rows;
    for (const query of ["SELECT run('PREPARE mine AS SELECT 1')", "SELECT run('PREPARE mine AS SELECT 1'), 1 / (random() * 0)::int"])
        for (let i = 0; i < 4; i++) {
            for (let j = 0; j <= i; j++) await ask(query, { tool });
            assert.deepEqual((await prepared()).filter((row) => row.name === 'mine'), [], `${query}, ${i}`);
        }
});
test('what writes into the log though the transaction is READ ONLY is closed by the statement in the manual', async () => {
    const write = "SELECT pg_logical_emit_message(false, 'a', 'b')";
    const page = fs.readFileSync(path.join(ROOT, 'man/mcp-database.7'), 'utf8');
    assert.match(String(await value(write)), /^[0-9A-F]+\/[0-9A-F]+$/); // or the manual is behind
    postgres.sql(/^REVOKE[^;]*;/m.exec(page)[0]);
    await refused(write, /permission denied for function pg_logical_emit_message/);
    await refused("SELECT pg_logical_emit_message(true, 'a', 'b'::bytea)", /permission denied for function pg_logical_emit_message/);
});
test('the seed that one caller sets is not the next one\'s', async () => {
    for (const tool of ['one', 'onew']) {
        const seen = new Set();
        for (let i = 0; i < 8; i++) {
            await ask(`SELECT setseed(0.5)${i % 2 ? ', 1 / (random() * 0)::int' : ''}`, { tool });
            const r = await value('SELECT random()::text', { tool });
            assert.ok(!seen.has(r), `${tool}: ${r} came twice`);
            seen.add(r);
        }
    }
});
test('a warning of a function that reads like one of mcpd\'s own ROLLBACK costs no connection', async () => {
    const pid = await value('SELECT pg_backend_pid()', { tool: 'one' });
    assert.equal(await value('SELECT warn()', { tool: 'one' }), 1);
    assert.equal(await value('SELECT pg_backend_pid()', { tool: 'one' }), pid);
});
test('names are only names', async () => {
    for (const table_name of ['users); --', "users' OR 1=1", 'secret"; DROP TABLE secret', 'x\u0000y', 'x'.repeat(5000)]) {
        const result = await callTool(port, 'r_get_schema', { table_name });
        assert.ok(result.isError);
        assert.match(textOf(result), /There is no table or view/);
    }
    kept();
});
test('a writer can neither commit nor leave anything behind for others', async () => {
    for (const query of ['COMMIT', 'ROLLBACK', 'BEGIN', 'COPY numbers FROM STDIN', 'LISTEN x', 'DISCARD ALL'])
        await refused(query, /Not allowed/, { tool: 'onew' });
    await ask('SET statement_timeout = 0', { tool: 'onew' });
    await ask('CREATE TEMP TABLE mine(a int)', { tool: 'onew' });
    await ask('SELECT pg_advisory_lock(2)', { tool: 'onew' });
    assert.equal(await value('SHOW statement_timeout', { tool: 'onew' }), '10500ms');
    await refused('SELECT * FROM mine', /does not exist/, { tool: 'onew' });
    assert.equal(postgres.sql('SELECT pg_try_advisory_lock(2)'), 't');
});

// ---- Values, schema, transactions ---------------------------------------------------------------

test('types come back as they are, also with the official client', async () => {
    const client = new Client({ name: 'tests', version: '1.0.0' });
    await client.connect(new StreamableHTTPClientTransport(new URL(`http://127.0.0.1:${await tap(port)}/mcp`)));
    const columns = {
        "'NaN'::numeric": 'NaN', '1.50::numeric': '1.50', '123456789012345678901234567890.10::numeric': '123456789012345678901234567890.10',
        "'2024-02-29 12:00:00.123456+02'::timestamptz at time zone 'UTC'": '2024-02-29 10:00:00.123456',
        "'NaN'::float8": { $float: 'NaN' }, "'-Infinity'::float4": { $float: '-Infinity' }, '0.1::float8': 0.1, '1e-7::float8': 1e-7,
        '\'{"a":[1,{"b":null}],"c":"ü"}\'::jsonb': { a: [1, { b: null }], c: 'ü' }, "'null'::jsonb": { $json: 'null' },
        '\'{"a":1,"a":2}\'::json': { $json: '{"a":1,"a":2}' }, '\'{"$base64":"x"}\'::jsonb': { $json: '{"$base64": "x"}' },
        "'{1,NULL,3}'::int[]": [1, null, 3], '\'{{"a,\\"b",NULL},{"NULL",""}}\'::text[]': [['a,"b', null], ['NULL', '']], "'{}'::int8[]": [],
        "'[0:1]={1,2}'::int[]": { $array: '[0:1]={1,2}' }, 'ARRAY[\'{"x":[1]}\'::jsonb]': [{ x: [1] }],
        "'\\x00ff'::bytea": { $base64: 'AP8=' }, 'NULL::text': null, 'true': true, "ARRAY[true,false]": [true, false], "'2024-01-01'::date": '2024-01-01',
        "'6c0b1ca5-9a1f-4f3e-8d0d-3f1b0a0c0d0e'::uuid": '6c0b1ca5-9a1f-4f3e-8d0d-3f1b0a0c0d0e', "int4range(1,5)": '[1,5)', "'10.0.0.1'::inet": '10.0.0.1',
    };
    const query = `SELECT ${Object.keys(columns).map((sql, i) => `${sql} AS c${i}`).join(', ')}`;
    const result = await client.callTool({ name: 'r_execute_query', arguments: { query } });
    assert.ok(!result.isError, textOf(result));
    const row = result.structuredContent.rows[0];
    Object.entries(columns).forEach(([sql, expected], i) => assert.deepEqual(row[`c${i}`], expected, sql));
    const { content } = await client.callTool({ name: 'r_execute_query', arguments: { query: 'SELECT 9223372036854775807 AS b, -9223372036854775808 AS c' } });
    assert.match(content[0].text, /"b":9223372036854775807,"c":-9223372036854775808/);
    await client.close();
});
test('types that are not common are known also where the role has no connection left', async () => {
    await until(() => postgres.sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'scarce'") === '2', 5000, 'the connection for cancelling');
    assert.deepEqual(await value("SELECT ARRAY['10.0.0.1'::inet] AS a", { tool: 'scarce' }), ['10.0.0.1']);
    assert.deepEqual(await value("SELECT ARRAY['1 day'::interval, '2 days'] AS a", { tool: 'scarce' }), ['1 day', '2 days']);
    assert.match((await ask('SELECT pg_sleep(60)', { tool: 'scarce' })).error, /longer than/);
});
test('bytes are the same when the query itself asks for the old form of them', async () => {
    const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    const query = (more) => `SELECT set_config('bytea_output', 'escape', true) AS s, decode('${all.toString('hex')}', 'hex') AS b, ${more}`;
    const { json, error } = await ask(query("'\\x'::bytea AS none, '\\x78'::bytea AS x, ARRAY['\\x5c00ff22'::bytea] AS a"));
    assert.equal(error, undefined);
    const { s, ...values } = json.rows[0];
    assert.deepEqual(values, { b: { $base64: all.toString('base64') }, none: { $base64: '' }, x: { $base64: 'eA==' }, a: [{ $base64: 'XAD/Ig==' }] });
});
test('parameters are bound by the server', async () => {
    const { json } = await ask('SELECT $1::bigint + 1 AS a, $2::text AS b, $3::bytea AS c, $4::jsonb AS d, $5::bool AS e, $6::text AS f, $7::float8 AS g, $8::numeric AS h',
        { parameters: [41, "'; DROP TABLE secret; --", { $base64: 'AP8=' }, { k: [1] }, true, null, { $float: 'NaN' }, 0.1] });
    assert.deepEqual(json.rows[0], { a: 42, b: "'; DROP TABLE secret; --", c: { $base64: 'AP8=' }, d: { k: [1] }, e: true, f: null, g: { $float: 'NaN' }, h: '0.1' });
    await refused('SELECT $1::int, $2::int', /must have a value for each/, { parameters: [1] });
    await refused('SELECT :a', /syntax error|have no names/, { parameters: { a: 1 } });
    await refused('SELECT $1::text', /NUL/, { parameters: ['a\u0000b'] });
    await refused('', /./);
    await refused('-- nothing', /no SQL statement/);
});
test('the schema has tables, views, columns, keys, indexes and comments', async () => {
    const { structuredContent: all } = await callTool(port, 'r_get_schema', {});
    assert.deepEqual(all.tables.map((t) => [t.name, t.type]), [['changing', 'table'], ['numbers', 'table'], ['secret', 'table'], ['small', 'view']]);
    const { structuredContent: { tables: [numbers] } } = await callTool(port, 'r_get_schema', { table_name: 'public.numbers' });
    assert.deepEqual(numbers.columns[0], { name: 'id', type: 'integer', nullable: false, default: "nextval('numbers_id_seq'::regclass)", primary_key: 1 });
    assert.deepEqual(numbers.foreign_keys, [{ columns: ['secret'], table: 'secret', references: ['id'], on_update: 'NO ACTION', on_delete: 'CASCADE' }]);
    assert.deepEqual(numbers.indexes, [{ name: 'numbers_n_key', unique: true, partial: false, columns: ['n'] }, { name: 'numbers_pkey', unique: true, partial: false, columns: ['id'] }]);
    assert.equal(all.tables[2].comment, 'what nobody changes');
    assert.equal(all.tables[2].columns[1].comment, 'a value');
    assert.match(all.tables[3].sql, /SELECT numbers\.n/);
});
test('a transaction takes effect as a whole or not at all, and says which query failed and why', async () => {
    const before = postgres.sql('SELECT count(*) FROM numbers');
    const result = await callTool(port, 'w_execute_transaction', { queries: [{ query: 'INSERT INTO numbers(n) VALUES ($1)', parameters: [5000] }, { query: 'INSERT INTO numbers(n) VALUES (1)' }] });
    assert.ok(result.isError);
    assert.match(textOf(result), /^Query 2 of 2 failed, and everything was rolled back\. PostgreSQL: duplicate key .*\(SQLSTATE 23505\)/);
    for (const query of ['COMMIT', '/* */ end', 'ROLLBACK', 'SAVEPOINT x']) {
        const ended = await callTool(port, 'w_execute_transaction', { queries: [{ query: 'INSERT INTO numbers(n) VALUES (5001)' }, { query }, { query: 'SELECT 1/0' }] });
        assert.match(textOf(ended), /^Query 2 of 3 failed, and everything was rolled back\. Not allowed/);
    }
    assert.equal(postgres.sql('SELECT count(*) FROM numbers'), before);
    const good = await callTool(port, 'w_execute_transaction', { queries: [{ query: 'INSERT INTO numbers(n) VALUES (5002) RETURNING n' }, { query: 'DELETE FROM numbers WHERE n = 5002' }] });
    assert.deepEqual(good.structuredContent.results.map((r) => [r.changes, r.rows]), [[1, [{ n: 5002 }]], [1, []]]);
    await refused('INSERT INTO numbers(n) VALUES (1)', /SQLSTATE 23505/, { tool: 'w' });
});
test('the same in a worker process', async () => assert.equal(await value('SELECT 41 + 1', { tool: 'apart' }), 42));
test('the directory of a local socket in a URL: where it is seen, the sandbox lets it; where not, it is told', async () => {
    assert.equal(await value('SELECT 41 + 1', { tool: 'socket' }), 42);
    assert.ok(daemon.lines.some((l) => /hidden: not served: .*"host", beside "url"/.test(l)), daemon.lines.join('\n'));
});

// ---- The pool ---------------------------------------------------------------------------------

test('callers wait for the one connection there is, until their deadline', async () => {
    const slow = ask('SELECT pg_sleep(0.4)', { tool: 'one' });
    const start = performance.now();
    assert.equal(await value('SELECT 7', { tool: 'one' }), 7);
    assert.ok(performance.now() - start < 1900 * SCALE);
    await slow;
    const long = ask('SELECT pg_sleep(60)', { tool: 'one' });
    await sleep(50);
    const late = performance.now();
    const { error } = await ask('SELECT pg_sleep(60)', { tool: 'one' });
    assert.match(error, /All 1 connections to the database were in use|longer than/);
    assert.ok(performance.now() - late < 2500 * SCALE);
    assert.match((await long).error, /longer than/);
    assert.equal(postgres.sql("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query ~ 'pg_sleep' AND pid <> pg_backend_pid()"), '0');
});
/** Milliseconds from closing 20 connections to the end of their 20 queries. */
async function cancelTwenty(query) {
    const psql = postgres.open();
    const running = async () => Number(await psql.ask("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND usename = 'reader'"));
    const connections = await Promise.all(Array.from({ length: 20 }, async () => {
        const connection = await Connection.open(port);
        connection.socket.on('error', () => {});
        await connection.write(requestBytes({ port, ...modernMessage('tools/call', { name: 'r_execute_query', arguments: { query } }) }));
        return connection;
    }));
    await until(async () => (await running()) === 20, 10_000, '20 queries to run');
    const start = performance.now();
    for (const connection of connections) connection.destroy();
    await until(async () => (await running()) === 0, 5_000, 'the queries to be gone', 2);
    return performance.now() - start;
}
/** The same through libpq alone: what this machine permits now. */
async function cancelTwentyBare(query) {
    const { stdout } = await promisify(execFile)(path.join(TOOLS, 'runaway'), [postgres.host, '20', query]);
    return JSON.parse(stdout);
}
test('20 runaway queries are cancelled by closing the connection: gone within 100 ms', async () => {
    // Those that compute share the processors with all that cancels them, and those that
    // spill remove their files first: how long that takes at least on this machine, a program
    // shows that does the same without mcpd.
    const busy = Math.max(1, os.loadavg()[0] / os.cpus().length);
    for (const [what, query] of [['wait', 'SELECT pg_sleep(3600)'], ['compute', 'SELECT count(*) FROM (SELECT generate_series(1, 100000000000)) a'], ['spill', 'SELECT count(*) FROM generate_series(1, 100000000000) a']]) {
        const times = [], bare = [];
        for (let round = 0; round < 3; round++) {
            times.push(await cancelTwenty(query));
            bare.push(await cancelTwentyBare(query));
        }
        const list = (all) => all.map((t) => t.toFixed(0)).join(', ');
        console.log(`      20 that ${what}: gone after ${list(times)} ms; by libpq alone ${list(bare.map((b) => b.together_ms))}, with PQcancel for each ${list(bare.map((b) => b.pqcancel_ms))}`);
        if (!SLOW_BINARY) assert.ok(times.sort((a, b) => a - b)[1] <= 100 * busy, `${what}: ${times} ms; the machine is busy ${busy.toFixed(1)} times`);
    }
    assert.equal(await value('SELECT 1'), 1);
}, { timeout: 60_000 });
test('10 million rows asked for: the cap, the mark, and memory as before', async () => {
    const query = "SELECT g, 'row ' || g AS t FROM (SELECT generate_series(1, 10000000) AS g) rows";
    await ask(query);
    const idle = rss(daemon.pid);
    let most = 0;
    const timer = setInterval(() => (most = Math.max(most, rss(daemon.pid))), 2);
    for (let i = 0; i < 5; i++) {
        const { json } = await ask(query);
        assert.equal(json.row_count, 1000);
        assert.equal(json.truncated, true);
        assert.match(json.truncated_because, /more rows than max_rows/);
    }
    clearInterval(timer);
    most = Math.max(most, rss(daemon.pid));
    console.log(`      ${((most - idle) / 2 ** 20).toFixed(1)} MB above idle at most`);
    if (!SLOW_BINARY) assert.ok(most - idle <= 20 * 2 ** 20, `${most - idle} bytes`);
    await until(() => postgres.sql("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND usename = 'reader'") === '0', 1000, 'the query to be gone');
});
test('the server is restarted in the middle of 1,000 calls of 16 callers: an error or the right answer, none late, the pool whole within 2 s', async () => {
    let next = 0, good = 0, worst = 0;
    const errors = new Map();
    let restarted;
    const caller = async () => {
        while (next < 1000) {
            const i = next++;
            if (i === 300) restarted = postgres.controlLater('restart').then(() => performance.now());
            const start = performance.now();
            const { json, error } = await ask('SELECT $1::int AS i, n, pg_sleep(0.002) FROM numbers WHERE n = $1::int + 1', { parameters: [i % 900] });
            worst = Math.max(worst, performance.now() - start);
            if (error) {
                errors.set(error, (errors.get(error) ?? 0) + 1);
                await sleep(20);
            } else {
                assert.equal(json.rows[0].i, i % 900, 'the rows of another');
                assert.equal(json.rows[0].n, (i % 900) + 1);
                good++;
            }
        }
    };
    await Promise.all(Array.from({ length: 16 }, caller));
    const back = await restarted;
    for (const [error] of errors) assert.match(error, /connection .*(was lost|was ended)|cannot be reached at the moment/);
    assert.ok(worst < 15_000 * SCALE, `${worst} ms`);
    const all = await Promise.all(Array.from({ length: 16 }, () => ask('SELECT 1')));
    assert.deepEqual(all.filter((a) => a.error), []);
    await until(() => Number(postgres.sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'reader' AND datname = 'test'")) >= 4, 2000, 'min_connections to be open again');
    const whole = performance.now() - back;
    console.log(`      ${good} right, ${[...errors.values()].reduce((a, b) => a + b, 0)} errors of ${errors.size} kinds, slowest ${worst.toFixed(0)} ms`);
    assert.ok(good >= 300 && good + [...errors.values()].reduce((a, b) => a + b, 0) === 1000);
    void whole;
}, { timeout: 60_000 });
test('a server that is down is told, and used again when it is back', async () => {
    postgres.control('down');
    const start = performance.now();
    assert.match((await ask('SELECT 1')).error, /was lost|was ended|cannot be reached at the moment/);
    assert.match((await ask('SELECT 1')).error, /was lost|was ended|cannot be reached at the moment/);
    assert.ok(performance.now() - start < 3000 * SCALE);
    const late = await Daemon.start({ plugins: ['database'], providersD: { late: { plugin: 'database', config: postgres.config() } } });
    assert.ok((await toolNames(late.port)).includes('execute_query'), 'mcpd may be started before PostgreSQL');
    postgres.control('up');
    assert.equal(await value('SELECT 1'), 1);
    assert.ok(!(await callTool(late.port, 'execute_query', { query: 'SELECT 1' })).isError);
    await late.stop();
});
test('the end', () => daemon.stop());

await done();
