// SPDX-License-Identifier: MIT
// Whether providers work: GET /health, --check, and what bundled plugins say of themselves.

import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { Api } from './lib/api.mjs';
import { assert, done, sleep, SCALE, test, until } from './lib/check.mjs';
import { Daemon, ISOLATION, pluginFile, temporaryDirectory } from './lib/daemon.mjs';
import { Connection, http, requestBytes } from './lib/http.mjs';
import { callTool, textOf } from './lib/mcp.mjs';
import { Postgres } from './lib/postgres.mjs';

const SOON = { interval_ms: 1000, timeout_ms: 400 };

async function get(port, target = '/health', options = {}) {
    const response = await http(port, { method: 'GET', path: target, ...options });
    const text = await response.text();
    response.connection.destroy();
    return { status: response.status, type: response.headers['content-type'], text, json: text.startsWith('{') ? JSON.parse(text) : null };
}

/** /health, when `what` is so. */
const when = (daemon, what, fn, ms = 8000) =>
    until(async () => {
        const answer = await get(daemon.port);
        return fn(answer.json.providers, answer.json) ? answer : null;
    }, ms, `${what}; the log:\n${daemon.lines.slice(-10).join('\n')}`, 50);

const become = (daemon, name, state) => callTool(daemon.port, `${name}_become`, { state });

const daemon = await Daemon.start({
    plugins: ['health', 'echo'],
    config: {
        health: SOON,
        http: { allowed_hosts: ['mcp.example'] },
        providers: {
            tea: { plugin: 'health', prefix: 'tea_' },
            pot: { plugin: 'health', prefix: 'pot_', isolation: 'process' },
            echo: {},
        },
    },
});

test('what is well is ok, what has no check is unknown, and the whole is ok', async () => {
    const { status, json, type } = await when(daemon, 'both ok', (p) => p.tea.status === 'ok' && p.pot.status === 'ok');
    assert.equal(status, 200);
    assert.equal(type, 'application/json');
    assert.equal(json.status, 'ok');
    assert.match(json.version, /^\d+\.\d+\.\d+$/);
    assert.deepEqual(Object.keys(json.providers).filter((name) => ['tea', 'pot', 'echo'].includes(name)), ['tea', 'pot', 'echo']);
    for (const name of ['tea', 'pot']) {
        assert.equal(json.providers[name].message, 'The tea is hot.');
        assert.match(json.providers[name].checked, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
        assert.ok(Math.abs(Date.now() - Date.parse(json.providers[name].checked)) < 20_000 * SCALE);
    }
    assert.deepEqual(json.providers.echo, { status: 'unknown', message: 'its plugin has no check' });
});

for (const name of ['tea', 'pot']) {
    const where = name === 'pot' ? 'in a worker process' : `in ${ISOLATION}`;
    test(`${where}: failing, with its words, logged once, degraded with 200; and well again`, async () => {
        const mark = daemon.mark;
        await become(daemon, name, 'ill');
        const { status, json } = await when(daemon, 'failing', (p) => p[name].status === 'failing');
        assert.equal(status, 200);
        assert.equal(json.status, 'degraded');
        assert.equal(json.providers[name].message, 'The tea is cold: make new "tea".');
        await sleep(2200);
        assert.equal(daemon.logSince(mark).split('\n').filter((line) => line.includes(`${name}: not healthy`)).length, 1);
        await become(daemon, name, 'well');
        await when(daemon, 'ok again', (p) => p[name].status === 'ok');
        await daemon.waitLog(new RegExp(`${name}: healthy again: The tea is hot\\.`), 2000, mark);
    });
    test(`${where}: a check that does not end in time is failing; nobody waits for it, and there is one at a time`, async () => {
        await become(daemon, name, 'stuck');
        const start = performance.now();
        const { json } = await when(daemon, 'late', (p) => p[name].status === 'failing');
        assert.match(json.providers[name].message, /did not finish within 400 ms/);
        for (let i = 0; i < 20; i++) {
            const before = performance.now();
            await get(daemon.port);
            assert.ok(performance.now() - before < 300 * SCALE);
        }
        assert.ok(performance.now() - start < 10_000 * SCALE);
        await become(daemon, name, 'well');
        await when(daemon, 'ok again', (p) => p[name].status === 'ok');
        const counted = textOf(await callTool(daemon.port, `${name}_count`));
        assert.match(counted, /^[1-9]\d* checks, 1 at once$/);
    });
    test(`${where}: an answer that no check may give is failing; calls go on`, async () => {
        await become(daemon, name, 'wrong');
        const { json } = await when(daemon, 'wrong', (p) => p[name].status === 'failing');
        assert.match(json.providers[name].message, /finish_text or finish_failure/);
        await become(daemon, name, 'refused');
        await when(daemon, 'refused', (p) => /did not take the call/.test(p[name].message));
        await become(daemon, name, 'well');
        await when(daemon, 'ok again', (p) => p[name].status === 'ok');
    });
}

test('all failing: unhealthy, 503', async () => {
    const alone = await Daemon.start({ plugins: ['health'], config: { health: SOON, providers: { tea: { plugin: 'health', config: { state: 'ill' } } } } });
    const { status, json } = await when(alone, 'failing', (p) => p.tea.status === 'failing');
    assert.deepEqual([status, json.status], [503, 'unhealthy']);
    await alone.stop();
});

test('a provider that fails its checks again and again still takes calls, and checks that go well do not count as calls', async () => {
    const few = await Daemon.start({
        plugins: ['health', 'slow'],
        config: { health: { interval_ms: 1000, timeout_ms: 100 }, plugins: { max_failed_calls: 2 }, providers: { tea: { plugin: 'health', prefix: 'tea_', config: { state: 'silent' } }, pot: { plugin: 'health', isolation: 'process', prefix: 'pot_', config: { state: 'silent' } } } },
    });
    for (const name of ['tea', 'pot']) await few.waitLog(new RegExp(`${name}: not healthy: .*did not finish within 100 ms`), 10_000);
    await sleep(3500);
    for (const name of ['tea', 'pot']) assert.equal((await callTool(few.port, `${name}_count`)).isError ?? false, false);
    assert.doesNotMatch(few.logSince(0), /replaced|killed/, 'a check that hangs is no reason to end the worker and its calls');
    await few.stop();
});

test('what the configuration names and cannot be loaded is out of service', async () => {
    const partly = await Daemon.start({ plugins: ['echo'], config: { health: SOON, providers: { echo: {}, gone: { plugin: 'nowhere' }, off: { plugin: 'nowhere', enabled: false } } } });
    const { json, status } = await get(partly.port);
    assert.equal(status, 200);
    assert.equal(json.status, 'degraded');
    assert.equal(json.providers.gone.status, 'out of service');
    assert.equal(json.providers.off, undefined);
    await partly.stop();
});

test('a file that no provider names and that cannot be loaded is out of service, until it can or is gone', async () => {
    // mcpd's own plugin wants a configuration; nobody has said that it is to run.
    const partly = await Daemon.start({ plugins: ['echo', 'bad_start', 'filesystem'], config: { health: SOON } });
    const { json, status } = await get(partly.port);
    assert.deepEqual([status, json.status], [200, 'degraded']);
    assert.equal(json.providers.bad_start.status, 'out of service');
    assert.match(json.providers.bad_start.message, /^it could not be loaded: bad_start\.so: ./);
    assert.equal(json.providers.filesystem, undefined);
    partly.install('broken', pluginFile('bad_start'));
    await when(partly, 'another', (p) => p.broken?.status === 'out of service');
    partly.install('bad_start', pluginFile('echo')); // another plugin's file: refused, too
    partly.remove('broken');
    await when(partly, 'its end', (p) => p.broken === undefined && p.bad_start?.status === 'out of service');
    partly.remove('bad_start');
    await when(partly, 'all well', (p, whole) => p.bad_start === undefined && whole.status === 'ok');
    await partly.stop();
});

test('an open circuit breaker shows as out of service, and is not asked', async () => {
    const broken = await Daemon.start({
        plugins: ['faults'],
        config: { health: SOON, plugins: { max_worker_deaths: 1, trial_after_ms: 60_000 }, providers: { faults: { isolation: 'process' } } },
    });
    await callTool(broken.port, 'faults', { kind: 'crash' }).catch(() => {});
    const { json, status } = await when(broken, 'out of service', (p) => p.faults.status === 'out of service');
    assert.deepEqual([status, json.status], [503, 'unhealthy']);
    assert.match(json.providers.faults.message, /out of service for/);
    await broken.stop();
});

test('interval_ms 0: nobody is asked', async () => {
    const never = await Daemon.start({ plugins: ['health'], config: { health: { interval_ms: 0 }, providers: { tea: { plugin: 'health', prefix: 'tea_' } } } });
    await sleep(1500);
    assert.match(textOf(await callTool(never.port, 'tea_count')), /^0 checks/);
    assert.equal((await get(never.port)).json.providers.tea.status, 'unknown');
    await never.stop();
});

// ---- who may ask --------------------------------------------------------------

test('/livez and /readyz', async () => {
    for (const target of ['/livez', '/readyz', '/livez?verbose']) {
        const { status, text, type } = await get(daemon.port, target);
        assert.deepEqual([status, text, type], [200, 'ok\n', 'text/plain']);
    }
});
test('/health and the others take no other method, another Host or Origin', async () => {
    for (const target of ['/health', '/livez', '/readyz']) {
        const posted = await http(daemon.port, { method: 'POST', path: target, body: '{}', headers: { 'content-type': 'application/json' } });
        assert.equal(posted.status, 405);
        assert.equal(posted.headers.allow, 'GET, HEAD');
        posted.connection.destroy();
        assert.equal((await get(daemon.port, target, { headers: { host: 'evil.example' } })).status, 403);
        assert.equal((await get(daemon.port, target, { headers: { origin: 'http://evil.example' } })).status, 403);
        assert.equal((await get(daemon.port, target, { headers: { host: 'mcp.example' } })).status, 200);
        assert.equal((await get(daemon.port, target, { headers: { accept: 'text/event-stream' } })).status, 200);
    }
});
test('/readyz is 503 for who asks while mcpd ends', async () => {
    const ending = await Daemon.start({ plugins: ['slow'], config: { providers: { slow: {} } } });
    const connection = await Connection.open(ending.port);
    connection.write(requestBytes({ method: 'GET', path: '/readyz', port: ending.port }).subarray(0, 10));
    await sleep(200);
    ending.signal('SIGTERM');
    await ending.waitLog(/ending: waiting/);
    await sleep(100);
    connection.write(requestBytes({ method: 'GET', path: '/readyz', port: ending.port }).subarray(10));
    const response = await connection.response();
    assert.equal(response.status, 503);
    assert.equal(await response.text(), 'ending\n');
    assert.equal(response.headers.connection.toLowerCase(), 'close');
    connection.destroy();
    await until(() => ending.exit, 10_000, 'its end');
    await ending.stop();
});

// ---- --check ------------------------------------------------------------------

function check(config, args = ['--check'], plugins = ['health']) {
    const asked = new Daemon({ plugins, config });
    const [program, parameters] = asked.command(args);
    return spawnSync(program, parameters, { cwd: asked.directory, encoding: 'utf8' });
}
const two = {
    health: SOON,
    providers: { tea: { plugin: 'health' }, pot: { plugin: 'health', config: { state: 'ill' } }, jar: { plugin: 'health', config: { state: 'ill' }, isolation: 'process' }, cup: { plugin: 'health', config: { state: 'stuck' } } },
};

test('--check says how each provider is, with its place; that is no complaint', () => {
    const result = check(two);
    assert.equal(result.status, 0, result.stderr);
    assert.match(result.stderr, /mcpd\.json:\d+:\d+: providers\.tea: healthy: The tea is hot\./);
    assert.match(result.stderr, /mcpd\.json:\d+:\d+: providers\.pot: not healthy: The tea is cold: make new "tea"\./);
    assert.match(result.stderr, /mcpd\.json:\d+:\d+: providers\.jar: not healthy: The tea is cold/);
    assert.match(result.stderr, /mcpd\.json:\d+:\d+: providers\.cup: not healthy: cup\/health did not finish within 400 ms/);
    assert.match(result.stderr, /no complaints/);
});
test('--check=health: 1 when one is not healthy, 0 when all are', () => {
    assert.equal(check(two, ['--check=health']).status, 1);
    assert.equal(check({ providers: { tea: { plugin: 'health' } } }, ['--check=health']).status, 0);
    const wrong = check({}, ['--check=wealth'], []);
    assert.equal(wrong.status, 2);
    assert.match(wrong.stderr, /wealth/);
});

// ---- the bundled plugins --------------------------------------------------------

const place = temporaryDirectory('health');
const made = (name) => {
    const directory = path.join(place, name);
    fs.mkdirSync(directory, { recursive: true });
    return directory;
};
const sqlite = path.join(place, 'sales.db');
execFileSync('python3', ['-c', `import sqlite3; sqlite3.connect(${JSON.stringify(sqlite)}).execute("create table t(a)").connection.commit()`]);
const repository = made('repository');
execFileSync('git', ['init', '-q', repository]);
const skill = made('skills/greet');
fs.writeFileSync(path.join(skill, 'SKILL.md'), '---\nname: greet\ndescription: Greets.\n---\nSay hello.\n');
const api = await Api.start();
const quiet = await Api.start();
await quiet.stop(); // nobody listens there any more
const web = (url, more = {}) => ({ base_url: url, allowed_networks: ['127.0.0.0/8', '::1'], tools: [{ name: 'ask', path: '/' }], ...more });
const postgres = Postgres.start();

const bundled = await Daemon.start({
    plugins: ['database', 'filesystem', 'git', 'http', 'skills'],
    config: {
        health: { interval_ms: 1000, timeout_ms: 3000 },
        providers: {
            lite: { plugin: 'database', prefix: 'lite_', config: { url: `sqlite://${sqlite}` } },
            post: { plugin: 'database', prefix: 'post_', config: postgres.config('reader', { max_connections: 3 }), sandbox: { unix_sockets: true } },
            files: { plugin: 'filesystem', prefix: 'files_', config: { allowed_paths: [made('files'), made('more')] } },
            repo: { plugin: 'git', prefix: 'repo_', config: { allowed_paths: [repository, made('plain')] } },
            web: { plugin: 'http', prefix: 'web_', config: web(api.url), sandbox: { network: true } },
            named: { plugin: 'http', prefix: 'named_', config: web(`http://localhost:${api.port}`, { allowed_networks: ['127.0.0.0/8', '::1'] }), sandbox: { network: true } },
            shut: { plugin: 'http', prefix: 'shut_', config: web(quiet.url), sandbox: { network: true } },
            inner: { plugin: 'http', prefix: 'inner_', config: web(api.url, { allowed_networks: [] }), sandbox: { network: true } },
            skills: { config: { directories: [path.dirname(skill)] } },
        },
    },
});
const NAMES = { lite: /^SQLite 3\.[\d.]+, the database can be read\.$/, post: /^PostgreSQL \d+(\.\d+)?, 0 of 3 connections in use\.$/, files: /^2 directories can be read/, repo: /^2 directories can be read; as a repository, 1 of them opens\.$/, web: /^1 tools; 1 server was reached\.$/, named: /reached\.$/, skills: /^1 skill in 1 directory, 0 complaints\.$/ };

test('the bundled plugins are well, and say what they found', async () => {
    const { json } = await when(bundled, 'all asked', (p) => Object.values(p).every((one) => one.status !== 'unknown'));
    for (const [name, words] of Object.entries(NAMES)) {
        assert.equal(json.providers[name].status, 'ok', JSON.stringify(json.providers[name]));
        assert.match(json.providers[name].message, words);
    }
});
test('http: a server that does not listen, an address that may not be reached', async () => {
    const { json } = await when(bundled, 'both failing', (p) => p.shut.status === 'failing' && p.inner.status === 'failing');
    assert.match(json.providers.shut.message, /^127\.0\.0\.1 cannot be reached: .*[Cc]onnect/);
    assert.match(json.providers.inner.message, /127\.0\.0\.1 may not be reached; "allowed_networks" can allow it/);
    assert.equal(json.status, 'degraded');
});
/** Breaks it, looks what /health says, repairs it, looks again. */
const breaks = (name, what, { wrong, right, words }) =>
    test(`${name}: ${what} is failing, and then well again`, async () => {
        await wrong();
        try {
            const { json } = await when(bundled, 'failing', (p) => p[name].status === 'failing', 12_000);
            assert.match(json.providers[name].message, words);
        } finally {
            await right();
        }
        await when(bundled, 'ok', (p) => p[name].status === 'ok' && NAMES[name].test(p[name].message), 12_000);
    });
const renames = (file) => ({ wrong: () => fs.renameSync(file, `${file}.away`), right: () => fs.renameSync(`${file}.away`, file) });
breaks('lite', 'a database whose file has gone', { ...renames(sqlite), words: /sales\.db: No such file/ });
breaks('lite', 'a database that is none', {
    wrong: () => { fs.renameSync(sqlite, `${sqlite}.away`); fs.writeFileSync(sqlite, 'This is no database. '.repeat(100)); },
    right: () => fs.renameSync(`${sqlite}.away`, sqlite),
    words: /is not an SQLite database/,
});
breaks('files', 'an allowed directory that has gone', { ...renames(path.join(place, 'more')), words: /more is not there any more/ });
breaks('repo', 'an allowed directory that has gone', { ...renames(path.join(place, 'plain')), words: /plain is not there any more/ });
breaks('repo', 'a repository that does not open', { wrong: () => fs.renameSync(path.join(repository, '.git/HEAD'), path.join(place, 'HEAD')), right: () => fs.renameSync(path.join(place, 'HEAD'), path.join(repository, '.git/HEAD')), words: /repository/ });
breaks('skills', 'a directory that has gone', { ...renames(path.dirname(skill)), words: /skills cannot be read: No such file/ });
breaks('post', 'a server that has stopped', { wrong: () => postgres.controlLater('down'), right: () => postgres.controlLater('up'), words: /^The (database|server|connection)/ });
test('nothing of what failed was held against the calls', async () => {
    assert.doesNotMatch(bundled.lines.join('\n'), /out of service/);
    await bundled.stop();
});

await done();
