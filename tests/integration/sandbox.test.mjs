// SPDX-License-Identifier: MIT
// The sandbox of worker processes: what a plugin tries is refused with an error that it
// can report, mcpd and the others go on; where plugins run by default; what happens
// where the kernel lacks something.
import { execFileSync, spawnSync } from 'node:child_process';
import dgram from 'node:dgram';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { assert, done, SANITIZED, sleep, test, until } from './lib/check.mjs';
import { Daemon, MCPCTL, MCPD, pluginFile, temporaryDirectory, TOOLS, WRAPPER } from './lib/daemon.mjs';
import { callTool, modern, textOf } from './lib/mcp.mjs';

const LACKING = path.join(TOOLS, 'lacking');
const KERNEL = execFileSync(LACKING, ['probe'], { encoding: 'utf8' });
const LANDLOCK = Number(/landlock=(\d+)/.exec(KERNEL)[1]);
const SECCOMP = /seccomp=1/.test(KERNEL);
console.log(`      this kernel: ${KERNEL.trim()}`);
const files = LANDLOCK ? null : 'this kernel has no Landlock';
const filters = SECCOMP ? null : 'this kernel has no seccomp filters';
const both = files ?? filters;
/** Below /usr, as its manifest names it, and yet elsewhere. */
const LINK = '/usr/lib/ssl/certs';
const noLink = fs.existsSync(LINK) && fs.realpathSync(LINK) === '/etc/ssl/certs' ? null : `${LINK} does not lead to /etc here`;
const unwrapped = WRAPPER.length ? 'mcpd runs in a wrapper' : null;

const outside = temporaryDirectory('outside');
const inside = temporaryDirectory('inside');
for (const directory of [outside, inside]) fs.writeFileSync(path.join(directory, 'file'), 'content');
const out = (name) => path.join(outside, name);
const within = (name) => path.join(inside, name);

/** Servers that count who comes. */
const visits = { tcp: 0, udp: 0, unix: 0 };
const tcp = net.createServer((socket) => { visits.tcp++; socket.destroy(); });
await new Promise((resolve) => tcp.listen(0, '127.0.0.1', resolve));
const udp = dgram.createSocket('udp4');
udp.on('message', () => visits.udp++);
await new Promise((resolve) => udp.bind(0, '127.0.0.1', resolve));
const local = net.createServer((socket) => { visits.unix++; socket.destroy(); });
await new Promise((resolve) => local.listen(out('socket'), resolve));
const tcpPort = tcp.address().port, udpPort = udp.address().port;

const attempt = async (port, what, { path: name = '', number = 0 } = {}) =>
    textOf(await callTool(port, 'captive', { try: what, path: name, number: String(number) }));
const captive = (more = {}) => ({ isolation: 'process', ...more });

const daemon = await Daemon.start({
    plugins: ['captive', 'echo'],
    config: { providers: { captive: captive({ memory_mib: 128, sandbox: { open_files: 64, file_size_mib: 4 }, config: { read: outside + '/readable', write: [inside] } }) } },
});
const { port } = daemon;
const trying = (what, options) => attempt(port, what, options);
const alive = async () => {
    assert.equal(await trying('thread'), 'done');
    assert.equal(textOf(await callTool(port, 'echo', { text: 'beside' })), 'beside');
    assert.equal(daemon.exit, null);
};

// ---- What is refused, one by one ---------------------------------------------------------

function refused(name, what, options, expected, skip = null) {
    test(`refused: ${name}`, async () => {
        assert.match(await trying(what, options), expected);
        await alive();
    }, { skip });
}
const denied = /^EACCES$/, forbidden = /^EPERM$/, either = /^(EACCES|EPERM)$/;
refused('reading /etc/shadow', 'read', { path: '/etc/shadow' }, denied, files);
refused('reading a file of the same user', 'read', { path: out('file') }, denied, files);
refused('reading /etc/passwd', 'read', { path: '/etc/passwd' }, denied, files);
refused('reading mcpd\'s configuration', 'read', { path: daemon.configFile }, denied, files);
refused('writing a file of the same user', 'write', { path: out('file') }, denied, files);
refused('making a file in /tmp', 'write', { path: '/tmp/mcpd-captive' }, denied, files);
refused('making a directory', 'mkdir', { path: out('directory') }, denied, files);
refused('removing a file', 'unlink', { path: out('file') }, denied, files);
refused('truncating a file', 'truncate', { path: out('file') }, either, both);
refused('truncating a file that it reads', 'truncating_open', { path: out('file') }, denied, files);
refused('changing permissions outside', 'chmod', { path: out('file') }, forbidden, filters);
refused('changing permissions outside, by descriptor', 'fchmod', { path: out('file') }, denied, files);
refused('an attribute outside', 'setxattr', { path: out('file') }, forbidden, filters);
refused('a way out through /proc/self/root', 'read', { path: '/proc/self/root/etc/shadow' }, denied, files);
refused('a way out through ..', 'read', { path: `${inside}/../${path.basename(outside)}/file` }, denied, files);
refused('a way out by a link below /usr', 'read', { path: LINK }, denied, files ?? noLink);
refused('TCP', 'tcp', { number: tcpPort }, forbidden, filters);
refused('UDP', 'udp', { number: udpPort }, forbidden, filters);
refused('raw sockets', 'raw', {}, forbidden, filters);
refused('local sockets', 'unix', { path: out('socket') }, forbidden, filters);
// SOCK_DGRAM, and SOCK_RAW, which is the same there: such an end reaches any socket by its path.
for (const number of [2, 3]) refused(`a way to local sockets from a pair of type ${number}`, 'pair', { path: out('socket'), number }, forbidden, filters);
refused('listening', 'listen', {}, forbidden, filters);
refused('fork', 'fork', {}, forbidden, filters);
refused('execve', 'exec', { path: '/bin/true' }, either, both);
refused('ptrace of mcpd', 'ptrace', {}, forbidden, filters);
refused('a signal to mcpd', 'kill', { number: 15 }, forbidden, filters);
refused('a signal to everybody', 'kill_all', { number: 15 }, forbidden, filters);
refused('a signal by way of a descriptor', 'signal_owner', {}, forbidden, filters);
refused('the memory of mcpd, as a file', 'parent_memory', {}, either, both);
refused('the memory of mcpd', 'parent_vm', {}, forbidden, filters);
refused('the limits of mcpd', 'parent_limits', {}, forbidden, filters);
refused('a name space of its own', 'unshare', {}, forbidden, filters);
refused('io_uring', 'io_uring', {}, forbidden, filters);
refused('clone3', 'clone3', {}, /^ENOSYS$/, filters);
refused('another user', 'setuid', {}, forbidden, filters);
refused('outliving mcpd', 'pdeathsig', {}, forbidden, filters);
refused('more descriptors than it may have', 'descriptors', { path: '/dev/null', number: 500 }, /^EMFILE$/);
refused('more memory than it may have', 'memory', { number: 4096 }, /^ENOMEM$/, SANITIZED ? 'a sanitizer needs it' : null);
refused('memory that no limit counts', 'memory_file', { number: 3 }, forbidden, filters);
refused('a larger file than it may write', 'large', { path: within('large'), number: 5 }, /^EFBIG$/);

test('refused: all of that in a constructor', async () => {
    assert.equal(await trying('constructor'), 'shadow=EACCES fork=EPERM tcp=EPERM kill=EPERM parent_memory=EACCES');
}, { skip: both });
test('nobody was visited, nothing was touched', async () => {
    assert.deepEqual(visits, { tcp: 0, udp: 0, unix: 0 });
    assert.equal(fs.readFileSync(out('file'), 'utf8'), 'content');
    assert.deepEqual(fs.readdirSync(outside).sort(), ['file', 'socket']);
}, { skip: both });

// ---- What is granted ---------------------------------------------------------------------

test('granted: threads, time zones, what its configuration names where the manifest points', async () => {
    assert.equal(await trying('thread'), 'done');
    if (fs.existsSync('/usr/share/zoneinfo/Europe/Berlin')) assert.equal(await trying('time_zone'), 'done');
    assert.equal(await trying('read', { path: within('file') }), 'done');
    assert.equal(await trying('write', { path: within('new') }), 'done');
    assert.equal(await trying('fchmod', { path: within('new') }), 'done');
    assert.equal(await trying('unlink', { path: within('new') }), 'done');
    assert.equal(await trying('large', { path: within('large'), number: 3 }), 'done');
    for (const number of [1, 5]) assert.equal(await trying('pair', { number }), 'done'); // SOCK_STREAM, SOCK_SEQPACKET
});
test('what a manifest asks for and has not is said once, with the line that grants it', async () => {
    const said = (pattern) => daemon.lines.filter((line) => pattern.test(line)).length;
    assert.equal(said(/captive: its manifest asks for the network, which it has not: "sandbox": \{"network": true\}/), 1);
    assert.equal(said(/captive: its manifest asks for local sockets, .*"unix_sockets": true/), 1);
    assert.equal(said(/captive: its manifest asks to read \/etc\/hostname, .*"read": \["\/etc\/hostname"\]/), 1);
    assert.equal(said(/usr\/share\/doc/), 0);
    if (!files && !noLink) assert.equal(said(/captive: its manifest asks to read \/usr\/lib\/ssl\/certs, which leads out of \/usr to "\/etc\/ssl\/certs"/), 1);
    assert.ok(said(/readable is not there/) === 1, 'a path of the configuration that is not there');
});
test('granted: the network, where the manifest asks and the operator agrees', async () => {
    const other = await Daemon.start({
        plugins: ['captive'],
        config: { providers: { captive: captive({ sandbox: { network: true } }) } },
    });
    assert.equal(await attempt(other.port, 'tcp', { number: tcpPort }), 'done');
    assert.equal(await attempt(other.port, 'udp', { number: udpPort }), 'done');
    await until(() => visits.tcp === 1 && visits.udp === 1, 5000, 'the visits');
    assert.match(await attempt(other.port, 'unix', { path: out('socket') }), SECCOMP ? /^EPERM$/ : /./);
    assert.match(await attempt(other.port, 'raw'), SECCOMP ? /^EPERM$/ : /./);
    assert.match(await attempt(other.port, 'listen'), SECCOMP ? either : /./);
    await other.stop();
});
test('granted: local sockets, likewise', async () => {
    const other = await Daemon.start({
        plugins: ['captive'],
        config: { providers: { captive: captive({ sandbox: { unix_sockets: true } }) } },
    });
    assert.equal(await attempt(other.port, 'unix', { path: out('socket') }), 'done');
    await until(() => visits.unix === 1, 5000, 'the visit');
    assert.match(await attempt(other.port, 'tcp', { number: tcpPort }), SECCOMP ? /^EPERM$/ : /./);
    await other.stop();
});
test('the operator alone cannot give the network: the manifest must ask', async () => {
    const other = await Daemon.start({
        plugins: ['echo'],
        config: { providers: { echo: { isolation: 'process', sandbox: { network: true } } } },
    });
    await other.waitLog(/echo: its configuration allows it the network, which it has not, for its manifest does not ask/);
    await other.stop();
});
test('a reload with another sandbox makes a new generation; one that changes nothing does not', async () => {
    const other = await Daemon.start({ plugins: ['captive'], config: { providers: { captive: captive() } } });
    const reads = () => attempt(other.port, 'read', { path: out('file') });
    if (LANDLOCK) assert.equal(await reads(), 'EACCES');
    other.writeConfig({ providers: { captive: captive({ sandbox: { read: [outside] } }) } });
    other.reload();
    await other.waitLog(/captive: replaced/);
    assert.equal(await reads(), 'done');
    if (LANDLOCK) assert.equal(await attempt(other.port, 'write', { path: out('file') }), 'EACCES');
    const mark = other.mark;
    other.reload();
    await other.waitLog(/configuration reloaded/, 5000, mark);
    await sleep(300);
    assert.doesNotMatch(other.logSince(mark), /replaced/);
    await other.stop();
});
test('without the sandbox a worker may do what mcpd may do', async () => {
    const other = await Daemon.start({ plugins: ['captive'], config: { providers: { captive: captive({ sandbox: { enabled: false } }) } } });
    assert.equal(await attempt(other.port, 'read', { path: out('file') }), 'done');
    assert.equal(await attempt(other.port, 'fork'), 'done');
    await other.stop();
});

// ---- The bundled plugins -----------------------------------------------------------------

test('filesystem, database and skills run in the sandbox', async () => {
    const base = temporaryDirectory('bundled');
    const at = (...names) => path.join(base, ...names);
    for (const name of ['files', 'data', 'skills/hello']) fs.mkdirSync(at(name), { recursive: true });
    fs.writeFileSync(at('files', 'a.txt'), 'text of a');
    fs.writeFileSync(at('skills', 'hello', 'SKILL.md'), '---\nname: hello\ndescription: Says hello.\n---\nHello.\n');
    execFileSync('sqlite3', [at('data', 'x.db'), 'PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES (41)']);
    const apart = (plugin, config) => ({ plugin, isolation: 'process', config });
    const other = await Daemon.start({
        plugins: ['filesystem', 'database', 'skills'],
        config: {
            plugins: LANDLOCK >= 3 && SECCOMP ? { require_sandbox: true } : {},
            providers: {
                files: apart('filesystem', { allowed_paths: [at('files')], read_only: false }),
                data: apart('database', { url: `sqlite://${at('data', 'x.db')}`, read_only: false }),
                skills: apart('skills', { directories: [at('skills')] }),
            },
        },
    });
    assert.match(textOf(await callTool(other.port, 'read_file', { path: 'a.txt' })), /text of a/);
    const written = await callTool(other.port, 'write_file', { path: 'b.txt', content: 'written' });
    assert.ok(!written.isError, textOf(written));
    const again = await callTool(other.port, 'write_file', { path: 'b.txt', content: 'rewritten' });
    assert.ok(!again.isError, textOf(again));
    assert.equal(fs.readFileSync(at('files', 'b.txt'), 'utf8'), 'rewritten');
    assert.match(textOf(await callTool(other.port, 'list_directory', { path: '.' })), /a\.txt/);
    const changed = await callTool(other.port, 'execute_query', { query: 'UPDATE t SET a = a + 1' });
    assert.ok(!changed.isError, textOf(changed));
    assert.match(textOf(await callTool(other.port, 'execute_query', { query: 'SELECT a FROM t' })), /42/);
    const response = await modern(other.port, 'resources/list');
    const message = await response.last();
    response.connection.destroy();
    assert.match(JSON.stringify(message.result), /hello/);
    assert.doesNotMatch(other.lines.join('\n'), /which it may not|which it has not|not wholly confined/);
    await other.stop();
}, { skip: spawnSync('sqlite3', ['--version']).error ? 'no sqlite3 here to make a database' : null });

test('another file than mcpd\'s own gets no directory of which the configuration names only a file', async () => {
    const base = temporaryDirectory('neighbours');
    const file = path.join(base, 'x.db');
    execFileSync('sqlite3', [file, 'CREATE TABLE t(a)']);
    const changed = Buffer.concat([fs.readFileSync(pluginFile('database')), Buffer.from('\n')]);
    const start = async (sandbox) => {
        const config = { url: `sqlite://${file}`, read_only: false };
        const other = new Daemon({ config: { providers: { database: { isolation: 'process', config, sandbox } } } });
        other.install('database', changed);
        return other.start();
    };
    const refused = await start({});
    for (const key of ['read', 'write']) await refused.waitLog(new RegExp(`asks to ${key}.* ${base}, .*"sandbox": \\{"${key}": \\["${base}"\\]\\}`));
    if (LANDLOCK) await refused.waitLog(/database: not served/);
    await refused.stop();
    const other = await start({ write: [base] });
    const granted = await callTool(other.port, 'execute_query', { query: 'INSERT INTO t VALUES (1)' });
    assert.ok(!granted.isError, textOf(granted));
    assert.doesNotMatch(other.lines.join('\n'), /which it may not/);
    await other.stop();
}, { skip: spawnSync('sqlite3', ['--version']).error ? 'no sqlite3 here to make a database' : null });

// ---- Where plugins run by default --------------------------------------------------------

const byDefault = { config: { plugins: { default_isolation: 'auto' } } };
const hasWorkers = (d) => fs.readdirSync(`/proc/${d.pid}/task`)
    .map((task) => fs.readFileSync(`/proc/${d.pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean).length)
    .reduce((a, b) => a + b, 0);

test('by default mcpd\'s own plugins run in its process, others in a worker', async () => {
    const own = await Daemon.start({
        plugins: ['filesystem'],
        config: { ...byDefault.config, providers: { files: { plugin: 'filesystem', config: { allowed_paths: [inside] } } } },
    });
    assert.match(textOf(await callTool(own.port, 'read_file', { path: 'file' })), /content/);
    assert.equal(hasWorkers(own), 0);
    await own.stop();
    const other = await Daemon.start({ plugins: ['echo'], ...byDefault });
    assert.equal(textOf(await callTool(other.port, 'echo', { text: 'x' })), 'x');
    assert.equal(hasWorkers(other), 1);
    await other.stop();
}, { skip: unwrapped });
test('a name is no claim: another file that is called like one of mcpd\'s own runs in a worker', async () => {
    const other = new Daemon({
        config: { ...byDefault.config, providers: { files: { plugin: 'filesystem', config: { allowed_paths: [inside] } } } },
    });
    const changed = Buffer.concat([fs.readFileSync(pluginFile('filesystem')), Buffer.from('\n')]);
    other.install('filesystem', changed);
    await other.start();
    assert.match(textOf(await callTool(other.port, 'read_file', { path: 'file' })), /content/);
    assert.equal(hasWorkers(other), 1);
    await other.stop();
}, { skip: unwrapped });
test('mcpd --check tries a plugin where it would run', async () => {
    const other = new Daemon({ plugins: ['captive'], config: { ...byDefault.config, providers: { captive: { sandbox: { read: ['relative'] } } } } });
    const check = () => {
        const [program, args] = other.command(['--check']);
        return spawnSync(program, args, { encoding: 'utf8' });
    };
    assert.match(check().stderr, /sandbox\.read\[0\]: expected an absolute path/);
    other.writeConfig({ ...byDefault.config, providers: { captive: {} } });
    const result = check();
    assert.equal(result.status, 0, result.stderr);
    assert.match(result.stderr, /captive: its manifest asks for the network/);
});
test('mcpctl plugin inspect says what a plugin asks for', () => {
    const text = execFileSync(MCPCTL, ['plugin', 'inspect', pluginFile('captive')], { encoding: 'utf8' });
    assert.ok(text.endsWith('needs read: "/usr/share/doc"\nneeds read: "/usr/lib/ssl/certs"\nneeds read: "/etc/hostname"\nneeds read: what config/read names\n' +
        'needs write: what config/write names\nneeds network\nneeds unix_sockets\n'), text);
    assert.match(execFileSync(MCPCTL, ['plugin', 'inspect', pluginFile('database')], { encoding: 'utf8' }),
        /needs write: the directory of what config\/url names behind sqlite:\/\/, if config\/read_only is false\n/);
});

// ---- Where the kernel lacks something ------------------------------------------------------

async function startLacking(what, config) {
    const other = new Daemon({ plugins: ['captive', 'echo'], config: { providers: { captive: captive() }, ...config } });
    other.command = (extra = []) => [LACKING, [what, MCPD, '-c', other.configFile, ...extra]];
    return other.start();
}
for (const [what, sentence] of [['landlock', /lacks Landlock \(Linux 5\.13 or later/], ['seccomp', /lacks seccomp filters/]]) {
    test(`without ${what}: said in the log, and the rest of the sandbox holds`, async () => {
        const other = await startLacking(what, {});
        const line = await other.waitLog(/captive: its worker process is not wholly confined/);
        assert.match(line, sentence);
        if (what === 'landlock') assert.equal(await attempt(other.port, 'fork'), 'EPERM');
        else if (LANDLOCK) assert.equal(await attempt(other.port, 'read', { path: out('file') }), 'EACCES');
        await other.stop();
    }, { skip: both ?? unwrapped });
    test(`without ${what} and with require_sandbox: refused with what is lacking, the others are served`, async () => {
        const other = await startLacking(what, { plugins: { require_sandbox: true } });
        const line = await other.waitLog(/captive: not served: captive\.so/);
        assert.match(line, /cannot be wholly confined, which plugins\.require_sandbox demands: this kernel/);
        assert.match(line, sentence);
        assert.equal(textOf(await callTool(other.port, 'echo', { text: 'x' })), 'x');
        await other.stop();
        const [program, args] = other.command(['--check']);
        const result = spawnSync(program, args, { encoding: 'utf8' });
        assert.equal(result.status, 1);
        assert.match(result.stderr, sentence);
    }, { skip: both ?? unwrapped });
}
test('require_sandbox on this kernel', async () => {
    const other = await Daemon.start({ plugins: ['captive'], config: { plugins: { require_sandbox: true }, providers: { captive: captive() } } });
    if (LANDLOCK >= 3 && SECCOMP) assert.equal(await attempt(other.port, 'thread'), 'done');
    else await other.waitLog(/captive: not served: .*this kernel lacks/);
    await other.stop();
});
test('what is for worker processes alone, of a provider in mcpd\'s own: said in the log and by --check', async () => {
    const files = (more) => ({ plugin: 'filesystem', config: { allowed_paths: [inside] }, ...more });
    const own = await Daemon.start({
        plugins: ['filesystem'],
        config: { ...byDefault.config, providers: { both: files({ prefix: 'a_', sandbox: {}, memory_mib: 64 }), one: files({ prefix: 'b_', memory_mib: 64 }), none: files({ prefix: 'c_' }) } },
    });
    const said = own.lines.filter((line) => line.includes('no effect'));
    assert.equal(said.length, 2, said.join('\n'));
    assert.match(said[0], /warning: both: "sandbox" and "memory_mib" have no effect in mcpd's own process: say "isolation": "process" or take them away/);
    assert.match(said[1], /warning: one: "memory_mib" has no effect/);
    const [program, args] = own.command(['--check']);
    const result = spawnSync(program, args, { encoding: 'utf8' });
    assert.equal(result.status, 0, result.stderr);
    assert.match(result.stderr, /mcpd\.json:\d+:\d+: providers\.one: "memory_mib" has no effect/);
    await own.stop();
});
test('without mcpd-worker: refused with the places where it should be', async () => {
    const directory = temporaryDirectory('alone');
    fs.copyFileSync(MCPD, path.join(directory, 'mcpd'));
    fs.chmodSync(path.join(directory, 'mcpd'), 0o755);
    const other = new Daemon({ plugins: ['echo'], config: { providers: { echo: { isolation: 'process' } } } });
    other.command = () => [path.join(directory, 'mcpd'), ['-c', other.configFile]];
    await other.start();
    const line = await other.waitLog(/echo: not served/);
    assert.ok(line.includes(path.join(directory, 'mcpd-worker')) && line.includes('libexec/mcp/mcpd-worker'), line);
    await other.stop();
}, { skip: unwrapped ?? (fs.existsSync('/usr/libexec/mcp/mcpd-worker') ? 'mcpd is installed here' : null) });
test('the end: mcpd has noticed nothing', async () => {
    await alive();
    assert.doesNotMatch(daemon.lines.join('\n'), /crashed|starts/);
    await daemon.stop();
    tcp.close();
    udp.close();
    local.close();
});

await done();
