// SPDX-License-Identifier: MIT
// The daemon as an operator meets it: options, --check, signals, systemd.
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { assert, done, SANITIZED, SCALE, sleep, test, until } from './lib/check.mjs';
import { Daemon, ENVIRONMENT, FAULT, ROOT, temporaryDirectory, TOOLS, wrapped, WRAPPER } from './lib/daemon.mjs';
import { Connection, http } from './lib/http.mjs';
import { callTool, Listener, modernResult, Session, textOf, toolNames, META } from './lib/mcp.mjs';

const all = (result) => result.stdout + result.stderr;
function run(...args) {
    const [program, line] = wrapped(args);
    const result = spawnSync(program, line, { encoding: 'utf8', timeout: 20_000 * SCALE, env: ENVIRONMENT });
    assert.doesNotMatch(all(result), FAULT);
    return result;
}

// ---- The command line -------------------------------------------------------

test('--version: name and number on standard output', () => {
    const result = run('--version');
    assert.equal(result.status, 0);
    assert.match(result.stdout, /^mcpd \d+\.\d+\.\d+\n/);
    assert.equal(result.stderr, '');
});
const source = (name) => fs.readFileSync(path.join(ROOT, name), 'utf8');
const every = (text, pattern) => [...new Set([...text.matchAll(pattern)].map(([, found]) => found))].sort();

test('--help and mcpd(8): the options that there are, no others', () => {
    const result = run('--help');
    assert.equal(result.status, 0);
    const options = every(source('core/mcpd.c'), /^ +\{"([a-z-]+)", \w+_argument/gm);
    assert.ok(options.length >= 8, options.join(' '));
    assert.deepEqual(every(result.stdout.split('\n\n')[1], /--([a-z-]+)/g), options);
    assert.deepEqual(every(source('man/mcpd.8'), /^\.It (?:Fl c Ar file , )?Fl -([a-z-]+)/gm), options);
});
test('mcpd(8) names every environment variable, status and error code', () => {
    const files = fs.readdirSync(path.join(ROOT, 'core'), { recursive: true }).filter((name) => /\.[ch]$/.test(name));
    const code = files.map((name) => source(path.join('core', name))).join('\n');
    const manual = source('man/mcpd.8');
    const used = [...code.matchAll(/#define (RPC_\w+) \((-32\d\d\d)\)/g)].filter(([, name]) => code.split(name).length > 2).map(([, , number]) => number);
    const named = {
        variables: [every(code, /getenv\("([A-Z_]+)"\)/g), /^\.It Ev ([A-Z_]+)$/gm],
        codes: [used, /^\.It Li \\(-32\d\d\d)$/gm],
        statuses: [every(code, /(?:return|refuse\([^,()]+,|respond_(?:error|busy)\(request,|_status =|\.status =|STATUS_IN_PROTOCOL|"HTTP\/1\.1) (\d\d\d)\b/g), /^\.It Li (\d\d\d)$/gm],
    };
    for (const [what, [wanted, pattern]] of Object.entries(named)) {
        assert.ok(wanted.length >= 4, `${what}: ${wanted}`);
        const found = every(manual, pattern);
        assert.deepEqual(wanted.filter((word) => !found.includes(word)), [], `${what} that mcpd(8) does not name`);
    }
});
test('an unknown option, an option without its value: a line that says so', () => {
    for (const [args, word] of [[['--no-such'], /--?no-such/], [['-c'], /'c'|config/], [['extra'], /extra/], [['--listen', 'nowhere'], /nowhere/], [['--listen', '127.0.0.1:99999'], /99999/], [['--log-format', 'xml'], /xml/]]) {
        const result = run(...args);
        assert.notEqual(result.status, 0, args.join(' '));
        assert.equal(result.signal, null);
        assert.match(result.stderr, word);
    }
});
test('a configuration that is not there', () => {
    const result = run('-c', '/nonexistent/mcpd.json');
    assert.notEqual(result.status, 0);
    assert.match(result.stderr, /\/nonexistent\/mcpd\.json/);
});

// ---- --check ------------------------------------------------------------------

/** Runs --check over a configuration that never starts. */
function check(config, { providersD = {}, plugins = ['filesystem'] } = {}) {
    const daemon = new Daemon({ plugins, config: typeof config === 'string' ? {} : config, providersD });
    if (typeof config === 'string') daemon.writeFile(daemon.configFile, config.replaceAll('PLUGINS', daemon.pluginDirectory));
    const result = run('-c', daemon.configFile, '--check');
    return { ...result, text: all(result), daemon };
}
const good = { providers: { files: { plugin: 'filesystem', config: { allowed_paths: [os.tmpdir()] } } } };

test('--check of a good configuration: 0', () => {
    const result = check(good, { providersD: { more: { plugin: 'filesystem', prefix: 'more_', config: { allowed_paths: [os.tmpdir()] } } } });
    assert.equal(result.status, 0, result.text);
});
test('--check takes comments', () => {
    const result = check('{ // listen\n "listen": [ { "port": 0 } ], /* and */ "plugins": { "directory": "PLUGINS" } }', { plugins: [] });
    assert.equal(result.status, 0, result.text);
});
for (const [what, text, place, words] of [
    ['a syntax error', '{\n  "listen": [\n    { "port": 0 },\n  ]\n}', '4:3', /./],
    ['an unknown key', '{\n  "serverr": {}\n}', '2:3', /serverr/],
    ['an unknown key inside', '{\n  "http": {\n      "max_body": 5 }\n}', '3:7', /max_body/],
    ['a value of the wrong type', '{\n  "listen": [ { "port": "80" } ]\n}', '2:25', /port.*integer/],
    ['a value out of range', '{ "listen": [ { "port": 70000 } ] }', '1:25', /port.*65535/],
    ['an address that is none', '{ "listen": [ { "address": "localhost" } ] }', '1:28', /address/],
    ['a key twice', '{\n "http": {},\n "http": {}\n}', '3:2', /http/],
    ['a provider with an illegal name', '{ "providers": { "a b": {} } }', '1:18', /a b/],
    ['a string for a whole file', '"x"', '1:1', /object/],
    ['an empty file', '', '1:1', /./],
    ['invalid UTF-8', '{ "server": { "name": "\x80" } }', null, /UTF-8/],
])
    test(`--check: ${what}: file, line, column and what was expected`, () => {
        const daemon = new Daemon({});
        fs.writeFileSync(daemon.configFile, Buffer.from(text, 'latin1'));
        const result = run('-c', daemon.configFile, '--check');
        assert.equal(result.status, 1, all(result));
        if (place) assert.ok(all(result).includes(`${daemon.configFile}:${place}: `), all(result));
        assert.match(all(result), words);
    });
test('--check: all complaints in one run', () => {
    const result = check('{\n "serverr": {},\n "http": { "max_body": 1 },\n "listen": [ { "port": "x" } ]\n}');
    assert.equal(result.status, 1);
    for (const word of [':2:', ':3:', ':4:']) assert.ok(result.text.includes(`mcpd.json${word}`), result.text);
});
test('--check: an address others can reach needs allow_remote', () => {
    for (const address of ['0.0.0.0', '192.0.2.1', '::']) {
        const result = check({ ...good, listen: [{ address, port: 0 }] });
        assert.equal(result.status, 1, address);
        assert.match(result.text, /allow_remote/);
    }
    assert.equal(check({ ...good, listen: [{ address: '0.0.0.0', port: 0, allow_remote: true }] }).status, 0);
});
test('--check: a provider whose plugin is not there', () => {
    const result = check({ providers: { x: { plugin: 'missing' } } });
    assert.equal(result.status, 1, result.text);
    assert.match(result.text, /mcpd\.json:\d+:\d+: .*missing\.so/);
});
test('--check: a complaint in providers.d names that file', () => {
    const result = check(good, { providersD: { bad: { plugin: 'filesystem', prefixx: '' } } });
    assert.equal(result.status, 1);
    assert.match(result.text, /providers\.d\/bad\.json:\d+:\d+: .*prefixx/);
});
test('--check: one provider in both places', () => {
    const result = check(good, { providersD: { files: { plugin: 'filesystem' } } });
    assert.equal(result.status, 1, result.text);
    assert.match(result.text, /files/);
});
test("--check: a plugin's own configuration is checked against its schema, with the place", () => {
    const result = check({ providers: { files: { plugin: 'filesystem', config: { allowed_paths: 5 } } } });
    assert.equal(result.status, 1, result.text);
    assert.match(result.text, /mcpd\.json:\d+:\d+: .*allowed_paths/);
});
test('--check: a broken plugin', () => {
    const daemon = new Daemon({ config: { providers: { bad: {} } } });
    daemon.install('bad', Buffer.from('this is no shared object'));
    const result = run('-c', daemon.configFile, '--check');
    assert.equal(result.status, 1, all(result));
    assert.match(all(result), /mcpd\.json:\d+:\d+: .*bad\.so/);
});
for (const isolation of ['inproc', 'process'])
    test(`--check: a plugin that no provider names is tried as the daemon would, ${isolation}`, async () => {
        const config = { plugins: { default_isolation: isolation } };
        const fit = check(config, { plugins: ['echo'] });
        assert.equal(fit.status, 0, fit.text);
        const unfit = check(config, { plugins: ['echo', 'bad_start', 'filesystem'] }); // the last came with mcpd
        assert.equal(unfit.status, 1, unfit.text);
        assert.match(unfit.text, /^\S*plugins\/bad_start\.so: .*\(no provider in the configuration names this file: remove it, or name it/m);
        assert.equal(unfit.text.match(/no provider/g).length, 1, unfit.text);
        unfit.daemon.config = { ...config, providers: { bad_start: { enabled: false } } };
        unfit.daemon.writeConfig();
        const named = run('-c', unfit.daemon.configFile, '--check');
        assert.equal(named.status, 0, all(named));
    });
test('--check: a file that cannot be a plugin, and one that others may write', () => {
    const daemon = new Daemon({ plugins: ['echo'] });
    daemon.install('Not A Plugin', Buffer.from('text'));
    fs.chmodSync(daemon.path('echo'), 0o777);
    const result = run('-c', daemon.configFile, '--check');
    assert.equal(result.status, 1, all(result));
    assert.match(all(result), /plugins\/Not A Plugin\.so: a plugin's file is named after its id/);
    assert.match(all(result), /plugins\/echo\.so: .*writ/);
});
test('--check changes nothing and listens nowhere', async () => {
    const holder = await Daemon.start({ plugins: ['filesystem'], config: good });
    const daemon = new Daemon({ plugins: ['filesystem'], config: { ...good, listen: [{ port: holder.port }] } });
    const before = fs.readdirSync(daemon.directory, { recursive: true }).sort();
    const result = run('-c', daemon.configFile, '--check');
    assert.equal(result.status, 0, all(result));
    assert.deepEqual(fs.readdirSync(daemon.directory, { recursive: true }).sort(), before);
    await holder.stop();
});

// ---- Starting ------------------------------------------------------------------

test('a broken configuration does not start', () => {
    const daemon = new Daemon({ config: { nonsense: 1 } });
    const result = run('-c', daemon.configFile);
    assert.notEqual(result.status, 0);
    assert.match(result.stderr, /mcpd\.json:\d+:\d+: .*nonsense/);
});
test('a plugin directory that is not there', () => {
    const daemon = new Daemon({ config: { plugins: { directory: '/nonexistent/plugins' } } });
    const result = run('-c', daemon.configFile);
    assert.notEqual(result.status, 0);
    assert.match(result.stderr, /\/nonexistent\/plugins/);
});
test('a port that is taken: a message that names it', async () => {
    const holder = await Daemon.start();
    const daemon = new Daemon({ config: { listen: [{ port: holder.port }] } });
    const result = run('-c', daemon.configFile);
    assert.notEqual(result.status, 0);
    assert.equal(result.signal, null);
    assert.match(result.stderr, new RegExp(`127\\.0\\.0\\.1.*${holder.port}.*in use`, 'i'));
    await holder.stop();
});
test('--listen and --plugin-dir override the configuration', async () => {
    const other = temporaryDirectory();
    const daemon = await Daemon.start({ plugins: ['echo'], args: ['--listen', '127.0.0.1:0', '--plugin-dir', other], config: { listen: [{ port: 1 }] } });
    assert.deepEqual(await toolNames(daemon.port), []);
    await daemon.stop();
});
const IPV6 = Object.values(os.networkInterfaces()).flat().some(({ address }) => address === '::1');
test('IPv6 loopback', async () => {
    const daemon = await Daemon.start({ plugins: ['echo'], config: { listen: [{ address: '::1', port: 0 }] } });
    const connection = await Connection.open(daemon.port, { host: '::1' });
    const response = await http(daemon.port, { connection, method: 'GET', path: '/x', headers: { Host: `[::1]:${daemon.port}` } });
    assert.equal(response.status, 404);
    connection.destroy();
    await daemon.stop();
}, { skip: IPV6 ? null : 'this machine has no ::1' });
test('several addresses', async () => {
    const daemon = await Daemon.start({ plugins: ['echo'], config: { listen: [{ port: 0 }, { address: '127.0.0.2', port: 0 }] } });
    const second = Number(/127\.0\.0\.2:(\d+)/.exec(await daemon.waitLog(/listening on .*127\.0\.0\.2:\d+/))[1]);
    const connection = await Connection.open(second, { host: '127.0.0.2' });
    const response = await http(second, { connection, method: 'GET', path: '/x', headers: { Host: 'localhost' } });
    assert.equal(response.status, 404);
    connection.destroy();
    await daemon.stop();
});
test('without any plugin it serves an empty list', async () => {
    const daemon = await Daemon.start();
    assert.deepEqual(await toolNames(daemon.port), []);
    await daemon.stop();
});
test('a plugin that fails at the start is left out, with its reason; the others are served', async () => {
    const daemon = await Daemon.start({ plugins: ['echo', 'filesystem'], config: { providers: { files: { plugin: 'filesystem', config: { allowed_paths: ['/nonexistent-directory'] } } } } });
    assert.ok((await toolNames(daemon.port)).includes('echo'));
    assert.match(daemon.logSince(0), /mcpd\.json:\d+:\d+: .*nonexistent-directory/);
    await daemon.stop();
});
test('--log-format json: every line is an object', async () => {
    const daemon = await Daemon.start({ plugins: ['echo'], args: ['--log-format', 'json'] });
    await daemon.stop();
    assert.ok(daemon.lines.length >= 2);
    for (const line of daemon.lines) {
        const object = JSON.parse(line);
        for (const key of ['time', 'level', 'message']) assert.ok(key in object, line);
    }
});
test('private copies are gone when it has ended', async () => {
    const private_ = path.join(temporaryDirectory(), 'private');
    const daemon = await Daemon.start({ plugins: ['echo'], config: { plugins: { private_directory: private_ } } });
    assert.ok(fs.readdirSync(private_).length > 0);
    assert.equal(fs.statSync(private_).mode & 0o077, 0, 'nobody else looks in');
    await daemon.stop();
    assert.ok(!fs.existsSync(private_) || fs.readdirSync(private_).length === 0);
});

// ---- Ending ----------------------------------------------------------------------

for (const signal of ['SIGTERM', 'SIGINT'])
    test(`${signal}: calls in flight are answered, nothing new is taken, and it ends with 0`, async () => {
        const daemon = await Daemon.start({ plugins: ['probe'] });
        const calls = Array.from({ length: 4 }, (_, i) => callTool(daemon.port, 'wait', { ms: 600, label: `w${i}` }));
        const listener = await Listener.open(daemon.port);
        const session = await Session.open(daemon.port);
        const stream = await session.stream();
        const idle = await Connection.open(daemon.port);
        await daemon.waitLog(/w3 started/);
        const stopped = daemon.stop({ signal });
        await sleep(150);
        await assert.rejects(Connection.open(daemon.port), /ECONNREFUSED|ECONNRESET/);
        for (const result of await Promise.all(calls)) assert.equal(textOf(result), 'waited');
        await stopped;
        await until(() => (listener.ended || listener.error) && (stream.ended || stream.error) && idle.ended, 3000, 'the streams to end');
        assert.equal(listener.error, undefined);
        assert.equal(stream.error, undefined);
    });
test('a call that does not end in time does not keep it', async () => {
    const daemon = await Daemon.start({ plugins: ['probe'], config: { server: { shutdown_timeout_ms: 2000 } } });
    const call = callTool(daemon.port, 'wait', { ms: 50_000, label: 'endless' }).catch((error) => error);
    await daemon.waitLog(/endless started/);
    await daemon.stop({ ms: 40_000 });
    await call;
    assert.match(daemon.logSince(0), /endless cancelled/);
}, { timeout: 60_000 });
test('a second SIGTERM ends it at once', async () => {
    const daemon = await Daemon.start({ plugins: ['probe'] });
    const call = callTool(daemon.port, 'wait', { ms: 8000, label: 'x' }).catch((error) => error);
    await daemon.waitLog(/x started/);
    daemon.stopped = true; // the clean end is not what is asked for
    daemon.signal('SIGTERM');
    await sleep(100);
    daemon.signal('SIGTERM'); // timeout(1) does that: to the process, then to its group
    await sleep(900);
    assert.equal(daemon.exit, null, 'the same signal in the same moment is one');
    daemon.signal('SIGTERM');
    await until(() => daemon.exit, 2000, 'mcpd to end');
    assert.deepEqual(daemon.exit, { code: 128 + 15, signal: null });
    await call;
});
test('SIGPIPE is ignored', async () => {
    const daemon = await Daemon.start({ plugins: ['echo'] });
    daemon.signal('SIGPIPE');
    await sleep(50);
    assert.equal(textOf(await callTool(daemon.port, 'echo', { text: 'x' })), 'x');
    await daemon.stop();
});

// ---- SIGHUP ------------------------------------------------------------------------

test('SIGHUP takes a new configuration', async () => {
    const daemon = await Daemon.start({ plugins: ['echo'], config: { server: { name: 'before' } } });
    daemon.writeConfig({ server: { name: 'after', instructions: 'New.' }, providers: { e: { plugin: 'echo', prefix: 'p_' } } });
    daemon.reload();
    await until(async () => (await toolNames(daemon.port)).includes('p_echo'), 5000, 'the prefix');
    const result = await modernResult(daemon.port, 'server/discover');
    assert.equal(result._meta[`${META}serverInfo`].name, 'after');
    assert.equal(result.instructions, 'New.');
    await daemon.stop();
});
test('SIGHUP that changes only server.* counts too', async () => {
    const daemon = await Daemon.start({ plugins: ['echo'], config: { server: { name: 'before' } } });
    daemon.writeConfig({ server: { name: 'after', list_ttl_ms: 77 } });
    daemon.reload();
    await until(async () => (await modernResult(daemon.port, 'server/discover'))._meta[`${META}serverInfo`].name === 'after', 5000, 'the name');
    await until(async () => (await modernResult(daemon.port, 'tools/list')).ttlMs === 77, 5000, 'the ttl');
    await daemon.stop();
});
test('SIGHUP with a broken configuration keeps the old one, and says where it is broken', async () => {
    const daemon = await Daemon.start({ plugins: ['echo'], config: { providers: { e: { plugin: 'echo', prefix: 'p_' } } } });
    for (const text of ['{\n  "providers": {\n    "e": { "plugin": "echo", "prefix": 5 }\n  }\n}', '{', '']) {
        const mark = daemon.mark;
        daemon.writeFile(daemon.configFile, text);
        daemon.reload();
        await daemon.waitLog(/mcpd\.json:\d+:\d+: /, 5000, mark);
        await sleep(100);
        assert.deepEqual(await toolNames(daemon.port), ['p_echo']);
    }
    fs.rmSync(daemon.configFile);
    const mark = daemon.mark;
    daemon.reload();
    await daemon.waitLog(/mcpd\.json/, 5000, mark);
    assert.equal(textOf(await callTool(daemon.port, 'p_echo', { text: 'x' })), 'x');
    await daemon.stop();
});
test('SIGHUP with a plugin configuration that its plugin refuses keeps the old instance', async () => {
    const daemon = await Daemon.start({ plugins: ['filesystem'], config: good });
    const before = await toolNames(daemon.port);
    const mark = daemon.mark;
    daemon.writeConfig({ providers: { files: { plugin: 'filesystem', config: { allowed_paths: 'x' } } } });
    daemon.reload();
    await daemon.waitLog(/mcpd\.json:\d+:\d+: .*allowed_paths/, 5000, mark);
    assert.deepEqual(await toolNames(daemon.port), before);
    assert.ok(before.length > 0);
    await daemon.stop();
});
test('a hundred SIGHUPs at once', async () => {
    const daemon = await Daemon.start({ plugins: ['echo', 'probe'] });
    for (let i = 0; i < 100; i++) {
        daemon.reload();
        if (i % 10 === 0) assert.equal(textOf(await callTool(daemon.port, 'echo', { text: `${i}` })), `${i}`);
    }
    await sleep(300);
    assert.equal(textOf(await callTool(daemon.port, 'echo', { text: 'x' })), 'x');
    await daemon.stop();
});

test('--check looks at the directory of the store', async () => {
    const missing = path.join(temporaryDirectory(), 'missing');
    for (const [url, pattern] of [[`sqlite://${missing}/state.db`, /mcpd\.json:\d+:\d+: store\.url: the directory .*missing: No such file/],
        [`sqlite://${path.dirname(missing)}/state.db`, null]]) {
        const daemon = new Daemon({ plugins: ['echo'], config: { store: { url } }, args: ['--check'] });
        const [program, args] = daemon.command();
        const result = spawnSync(program, args, { encoding: 'utf8', env: ENVIRONMENT });
        assert.equal(result.status, pattern ? 1 : 0, result.stderr);
        if (pattern) assert.match(result.stderr, pattern);
    }
});
test('a trial that cannot be started for a reason that passes is made again', async () => {
    const daemon = await Daemon.start({ plugins: ['echo'], config: { providers: { probe: { isolation: 'inproc' }, echo: { isolation: 'inproc' } } }, wrap: false });
    const used = fs.readdirSync(`/proc/${daemon.pid}/fd`).length;
    const limit = (soft) => assert.equal(spawnSync('prlimit', [`--pid=${daemon.pid}`, `--nofile=${soft}:`]).status, 0);
    limit(used + 4); // enough to copy a file, and not for pipes and a process
    const mark = daemon.mark;
    daemon.install('probe');
    await daemon.waitLog(/probe.*not served.*(Too many open files)/, 10_000, mark);
    limit(1024);
    await daemon.waitLog(/probe: serving probe/, 10_000, mark);
    assert.match(daemon.logSince(mark), /cannot be tried: Too many open files/);
    await daemon.stop();
}, { skip: SANITIZED ? 'a sanitizer has descriptors of its own' : null });

test('the limit of open files: what providers have open is not promised to connections', async () => {
    const echoes = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`echo${i}`, { plugin: 'echo', prefix: `e${i}_`, isolation: 'process' }]));
    const daemon = new Daemon({ plugins: ['echo'], config: { providers: echoes } });
    const [program, args] = daemon.command();
    daemon.command = () => ['prlimit', ['--nofile=320:320', program, ...args]];
    await daemon.start();
    const line = await daemon.waitLog(/http\.max_connections is 16384, .*\(320, of which \d+ are open\).*LimitNOFILE=/);
    const allowed = Number(/allows (\d+):/.exec(line)[1]);
    const open = [];
    for (let i = 0; i < allowed; i++) open.push(await Connection.open(daemon.port));
    await until(() => fs.readdirSync(`/proc/${daemon.pid}/fd`).length > allowed + 30, 2000, 'all accepted');
    await sleep(100);
    assert.equal((await http(daemon.port, { method: 'GET', path: '/livez' })).status, 503, 'one too many');
    // There is room for a provider that comes now.
    const mark = daemon.mark;
    daemon.install('probe');
    await daemon.waitLog(/probe: serving probe/, 10_000, mark);
    open.pop().destroy();
    await until(async () => textOf(await callTool(daemon.port, 'e29_echo', { text: 'x' }).catch(() => ({ content: [{}] }))) === 'x', 3000, 'a call');
    for (const connection of open) connection.destroy();
    await daemon.stop();
    assert.doesNotMatch(daemon.lines.join('\n'), /Too many open files/);
}, { skip: SANITIZED || WRAPPER.length ? 'a sanitizer has descriptors of its own' : null, timeout: 60_000 });
test('no descriptor for a connection: said once, with the way out, and served again when there is one', async () => {
    const daemon = await Daemon.start({ plugins: ['echo'], wrap: false });
    const limit = (soft) => assert.equal(spawnSync('prlimit', [`--pid=${daemon.pid}`, `--nofile=${soft}:`]).status, 0);
    limit(fs.readdirSync(`/proc/${daemon.pid}/fd`).length);
    const mark = daemon.mark;
    const waiting = await Connection.open(daemon.port);
    const line = await daemon.waitLog(/cannot accept a connection: Too many open files/, 3000, mark);
    assert.match(line, /LimitNOFILE=.*ulimit -n.*http\.max_connections/);
    await sleep(1000);
    assert.equal(daemon.logSince(mark).match(/cannot accept/g).length, 1);
    limit(1024);
    assert.equal(textOf(await callTool(daemon.port, 'echo', { text: 'x' })), 'x');
    waiting.destroy();
    await daemon.stop();
}, { skip: SANITIZED ? 'a sanitizer has descriptors of its own' : null });

// ---- systemd ------------------------------------------------------------------------

test('sd_notify: READY, RELOADING with a time, READY again, STOPPING', async () => {
    const socket = path.join(temporaryDirectory(), 'notify');
    const sink = spawn(path.join(TOOLS, 'notify'), [socket], { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    sink.stdout.on('data', (part) => (text += part));
    try {
        await until(() => text.includes('bound'), 3000, 'the socket');
        const daemon = await Daemon.start({ plugins: ['echo'], env: { NOTIFY_SOCKET: socket } });
        await until(() => /^READY=1$/m.test(text), 3000, 'READY=1');
        assert.equal((await callTool(daemon.port, 'echo', { text: 'x' })).isError ?? false, false, 'ready means ready');
        const first = text.length;
        daemon.reload();
        await until(() => /^RELOADING=1$/m.test(text.slice(first)), 3000, 'RELOADING=1');
        await until(() => /^READY=1$/m.test(text.slice(first)), 3000, 'READY=1 after the reload');
        assert.match(text.slice(first), /^MONOTONIC_USEC=\d+$/m);
        assert.ok(text.indexOf('RELOADING=1', first) < text.indexOf('READY=1', first));
        const second = text.length;
        await daemon.stop();
        await until(() => /^STOPPING=1$/m.test(text.slice(second)), 3000, 'STOPPING=1');
    } finally {
        sink.kill('SIGKILL');
    }
});

await done();
