// SPDX-License-Identifier: MIT
// The database plugin on SQLite, through mcpd: each row of what ../shared/attacks.md has in
// 6.3 about SQLite, against an instance that reads, one that writes, and one in a worker
// process. What is asked for is refused with a sentence that says why, or ends in time; the
// file is as it was, and no other one has been made.
import { execFileSync } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { assert, done, SCALE, test } from './lib/check.mjs';
import { Daemon, temporaryDirectory } from './lib/daemon.mjs';
import { callTool, textOf } from './lib/mcp.mjs';

const directory = temporaryDirectory('mcpd-sqlite-attacks');
const elsewhere = temporaryDirectory('mcpd-sqlite-elsewhere');
const database = path.join(directory, 'users.db');
execFileSync('python3', ['-c', 'import sqlite3,sys; c=sqlite3.connect(sys.argv[1]); c.executescript(sys.stdin.read()); c.commit()', database], {
    input: "CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT); INSERT INTO users(name) VALUES ('Ada'), ('Grace');",
});
const digest = () => crypto.createHash('sha256').update(fs.readFileSync(database)).digest('hex');
const before = digest();
const LIMIT_MS = 1500 * SCALE;
const config = (more = {}) => ({ url: `sqlite://${database}`, timeout_ms: LIMIT_MS, ...more });
const daemon = await Daemon.start({
    plugins: ['database'],
    providersD: {
        reads: { plugin: 'database', prefix: 'reads_', config: config() },
        writes: { plugin: 'database', prefix: 'writes_', config: config({ read_only: false }) },
        apart: { plugin: 'database', prefix: 'apart_', config: config(), isolation: 'process' },
    },
});
const ask = (tool, query, more = {}) => callTool(daemon.port, `${tool}_execute_query`, { query, ...more });

/** As it was, alone in its directory, with nothing made elsewhere. */
function untouched(what) {
    assert.equal(digest(), before, what);
    assert.deepEqual(fs.readdirSync(directory).filter((name) => !/-(wal|shm|journal)$/.test(name)), ['users.db'], what);
    assert.deepEqual(fs.readdirSync(elsewhere), [], what);
}
async function refused(tool, query, pattern) {
    const result = await ask(tool, query);
    assert.ok(result.isError, `${tool}: ${query}: ${JSON.stringify(result).slice(0, 200)}`);
    assert.match(textOf(result), pattern, `${tool}: ${query}: ${textOf(result)}`);
    untouched(query);
}
const at = (name) => path.join(elsewhere, name);
const everywhere = ['reads', 'writes', 'apart'];

// [the row, what refuses it everywhere, pattern]
const rows = [
    ['ATTACH and DETACH', [`ATTACH DATABASE '${at('pwn.db')}' AS p`, "ATTACH ':memory:' AS p"], /ATTACH/],
    ['ATTACH and DETACH', ['DETACH main', 'DETACH p'], /DETACH/],
    ['PRAGMA that loosens', ['PRAGMA writable_schema=ON', 'PRAGMA query_only=OFF', "PRAGMA temp_store_directory='/tmp'", 'PRAGMA journal_mode=DELETE', 'SELECT * FROM pragma_database_list'], /PRAGMA/],
    ['VACUUM INTO', [`VACUUM INTO '${at('copy.db')}'`], /ATTACH|read-only/],
    ['several statements', ['SELECT 1; DROP TABLE users', 'SELECT 1;/**/DROP TABLE users', 'SELECT 1; COMMIT'], /more than one statement/],
    ['load_extension', [`SELECT load_extension('${at('evil.so')}')`], /load_extension/],
    ['files', [`SELECT writefile('${at('x')}', 'x')`, "SELECT readfile('/etc/passwd')"], /writefile|readfile/],
];
for (const [what, queries, pattern] of rows)
    test(`${what}: ${queries[0].replaceAll(elsewhere, '...')}`, async () => {
        for (const tool of everywhere) for (const query of queries) await refused(tool, query, pattern);
    });
test('writing in disguise, where clients only read', async () => {
    for (const tool of ['reads', 'apart'])
        for (const query of ['WITH x AS (SELECT 1) DELETE FROM users', "INSERT INTO users(name) VALUES ('x') RETURNING id", '/* y */ dElEtE FROM users', 'DROP TABLE users', 'EXPLAIN DELETE FROM users'])
            await refused(tool, query, /read-only/);
});
test('what has no end is interrupted at the deadline, or cut', async () => {
    const endless = [
        'WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c',
        'WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 2000) SELECT count(*) FROM n a, n b, n c, n d, n e',
    ];
    for (const tool of everywhere)
        for (const query of endless) {
            const start = performance.now();
            await refused(tool, query, /longer than the \d+ ms/);
            assert.ok(performance.now() - start < LIMIT_MS + 1500 * SCALE, `${query}: ${performance.now() - start} ms`);
        }
    const { structuredContent } = await ask('reads', 'WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c');
    assert.ok(structuredContent.truncated && structuredContent.row_count === 1000);
});
test('one step of the machine that takes for ever: long values are refused before they are made', async () => {
    for (const tool of everywhere)
        for (const query of [
            "SELECT length(printf('%.*c', 900000000, 'x'))", 'SELECT length(zeroblob(900000000))', 'SELECT length(randomblob(900000000))',
            'WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 3000) SELECT group_concat(hex(randomblob(100000))) FROM n a, n b',
        ]) {
            const start = performance.now();
            const result = await ask(tool, query);
            const took = performance.now() - start;
            assert.ok(took < LIMIT_MS + 1500 * SCALE, `${query}: ${took} ms`);
            assert.ok(result.isError, `${query}: ${JSON.stringify(result.structuredContent)}`);
            assert.match(textOf(result), /zeroblob|not offered|too (big|large|long)|more than|larger than|longer than the|at most/, `${query}: ${textOf(result)}`);
            untouched(query);
        }
});
test('a row of many functions that take long ends at the deadline', async () => {
    const text = 'a'.repeat(500000);
    const many = (match) => `SELECT ${Array.from({ length: 100 }, (_, i) => `(?1 || ${i} ${match})`).join(' + ')} AS n`;
    const objects = (members) => `WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ${members}), o(j) AS (SELECT json_group_object('k' || i, i) FROM c), p(j) AS (SELECT json_group_object('q' || i, i) FROM c)`;
    for (const tool of everywhere)
        for (const [query, parameters, pattern] of [
            [many('LIKE ?2'), [text, `%${'a'.repeat(190)}b`], /longer than the \d+ ms/],
            [many("LIKE ?2 ESCAPE '!'"), [text, `%${'_a'.repeat(90)}!%`], /longer than the \d+ ms/],
            [many('GLOB ?2'), [text, `*${'[a-c]'.repeat(38)}b`], /longer than the \d+ ms/],
            [`${objects(60000)} SELECT length(json_patch(o.j, p.j)) AS n FROM o, p`, [], /too many members/],
            [`${objects(1000)} SELECT ${Array.from({ length: 1900 }, (_, i) => `length(json_patch(o.j, p.j)) AS c${i}`)} FROM o, p`, [], /longer than the \d+ ms/],
        ]) {
            const start = performance.now();
            const result = await ask(tool, query, { parameters });
            const took = performance.now() - start;
            if (SCALE > 1 && !result.isError && took < LIMIT_MS) continue; // the limit has grown more than the work
            assert.ok(result.isError, `${query.slice(0, 300)}: ${JSON.stringify(result.structuredContent)?.slice(0, 200)}`);
            assert.match(textOf(result), pattern, `${tool}: ${query.slice(0, 300)}: ${textOf(result)}`);
            assert.ok(took < LIMIT_MS + 1500 * SCALE, `${query.slice(0, 300)}: ${took} ms`);
        }
    assert.equal((await ask('reads', 'SELECT name LIKE \'a_A\' AS n FROM users')).structuredContent.rows[0].n, 1);
});
// A slow build may be out of time before.
const refusal = SCALE > 1 ? /needs more memory|longer than|did not finish/ : /needs more memory/;
test('a row of many long values does not take the memory', async () => {
    const peak = () => Number(/^VmHWM:\s+(\d+) kB$/m.exec(fs.readFileSync(`/proc/${daemon.pid}/status`, 'utf8'))[1]) * 1024;
    const query = `SELECT ${Array.from({ length: 400 }, (_, i) => `?1 || ?1 || ?1 || ?1 || ${i} AS c${i}`)}`;
    const start = peak();
    for (const tool of everywhere) {
        const result = await ask(tool, query, { parameters: ['a'.repeat(500000)] });
        assert.ok(result.isError && refusal.test(textOf(result)), `${tool}: ${textOf(result).slice(0, 200)}`);
        assert.equal((await ask(tool, 'SELECT count(*) AS n FROM users')).structuredContent.rows[0].n, 2);
    }
    assert.ok(SCALE > 1 || peak() - start < 640 * 1024 * 1024, `${(peak() - start) >> 20} MiB`);
});
test('what is sorted, grouped or made distinct needs no files, and has a bound', async () => {
    const rows = (n) => `WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT ${n})`;
    const temporary = () => fs.readdirSync(`/proc/${daemon.pid}/fd`).filter((fd) => { try { return /etilqs/.test(fs.readlinkSync(`/proc/${daemon.pid}/fd/${fd}`)); } catch { return false; } });
    for (const tool of everywhere) {
        for (const query of [`${rows(60000)} SELECT x, hex(x * 7919 % 60000) || 'a row that is not so short that all of them fit' AS t FROM n ORDER BY t DESC LIMIT 1 OFFSET 50000`,
            `${rows(60000)} SELECT count(*) FROM (SELECT DISTINCT x || 'a row that is not so short that all of them fit' FROM n)`]) {
            const result = await ask(tool, query);
            assert.ok(!result.isError, `${tool}: ${textOf(result)}`);
        }
        const running = ask(tool, `${rows(2000)} SELECT length(?1 || x) FROM n ORDER BY x * 7919 % 2000, ?1 || x`, { parameters: ['a'.repeat(500000)] });
        const seen = [];
        const timer = setInterval(() => seen.push(...temporary()), 1);
        const result = await running;
        clearInterval(timer);
        assert.ok(result.isError && refusal.test(textOf(result)), `${tool}: ${textOf(result).slice(0, 200)}`);
        assert.deepEqual(seen, [], tool);
    }
});
test('many columns of one name, whose numbers are taken, are named in little time', async () => {
    const name = 'a'.repeat(100);
    const names = [...Array.from({ length: 990 }, (_, i) => `1 AS ${name}_${i + 2}`), ...Array(990).fill(`2 AS ${name}`)];
    const start = performance.now();
    const { structuredContent } = await ask('reads', `SELECT ${names}`);
    assert.ok(performance.now() - start < 2500 * SCALE, `${performance.now() - start} ms`);
    assert.equal(Object.keys(structuredContent.rows[0]).length, 1980);
    assert.equal(structuredContent.columns[991].name, `${name}_992`);
});
test('names of tables and values are only that', async () => {
    for (const tool of everywhere)
        for (const name of ['users); --', "users' OR 1=1", 'users"; DROP TABLE users; --']) {
            const result = await callTool(daemon.port, `${tool}_get_schema`, { table_name: name });
            assert.ok(result.isError && /no table or view/i.test(textOf(result)), textOf(result));
            const found = await ask(tool, 'SELECT count(*) AS n FROM users WHERE name = ?', { parameters: [name] });
            assert.equal(found.structuredContent.rows[0].n, 0);
            untouched(name);
        }
});
test('each of them still answers, and the tool that writes is there only where it may', async () => {
    for (const tool of everywhere)
        assert.deepEqual((await ask(tool, 'SELECT name FROM users ORDER BY id')).structuredContent.rows, [{ name: 'Ada' }, { name: 'Grace' }]);
    const result = await callTool(daemon.port, 'writes_execute_transaction', { queries: [{ query: 'DELETE FROM users' }, { query: `ATTACH '${at('pwn.db')}' AS p` }] });
    assert.match(textOf(result), /^Query 2 of 2 failed, and everything was rolled back\./);
    assert.equal((await ask('reads', 'SELECT count(*) AS n FROM users')).structuredContent.rows[0].n, 2);
    untouched('a transaction');
});
test('the end', () => daemon.stop());

await done();
