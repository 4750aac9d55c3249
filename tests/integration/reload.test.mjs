// SPDX-License-Identifier: MIT
// Plugins that come, change and go while mcpd serves.
import fs from 'node:fs';
import path from 'node:path';
import { assert, done, knownLimit, SANITIZED, SCALE, SLOW_BINARY, sleep, test, until } from './lib/check.mjs';
import { Daemon, ISOLATION, pluginFile, TEST_PLUGINS, temporaryDirectory } from './lib/daemon.mjs';
import { Load } from './lib/load.mjs';
import { Connection } from './lib/http.mjs';
import { callTool, Listener, textOf, toolNames } from './lib/mcp.mjs';
import { descriptorNames, descriptors, mappings, rss, threads } from './lib/proc.mjs';

const RELOADS = Number(process.env.RELOADS || 1000);
const stampFile = fs.readFileSync(pluginFile('stamp'));
const digits = stampFile.indexOf('stamp=000000000000') + 6;

/** stamp.so as version N. */
function version(n) {
    const copy = Buffer.from(stampFile);
    copy.write(String(n).padStart(12, '0'), digits, 'latin1');
    return copy;
}

// ---- A thousand replacements under load -------------------------------------------

test(`a plugin replaced ${RELOADS} times under load from 32 connections`, async () => {
    const daemon = await Daemon.start({ plugins: ['echo'], config: { calls: { workers: 8 } } });
    daemon.install('stamp', version(0));
    await until(async () => (await toolNames(daemon.port)).includes('stamp'), 5000, 'stamp');
    const load = new Load(daemon.port, { stamp: 'stamp=', stamp_slow: 'stamp=', echo: [{ text: 'beside' }, 'beside'] }, { connections: 32, pause: 4 });
    const replace = async (n) => {
        load.tell('ceiling', n);
        daemon.install('stamp', version(n));
        const wanted = `stamp=${String(n).padStart(12, '0')}`;
        await until(async () => textOf(await callTool(daemon.port, 'stamp')) === wanted, 20_000, `version ${n}; the log:\n${daemon.lines.slice(-5).join('\n')}`, 3);
        load.tell('floor', n);
    };
    const measure = async () => {
        // Workers start when they are needed: all of them now.
        await Promise.all(Array.from({ length: 64 }, () => callTool(daemon.port, 'stamp_slow')));
        await until(() => mappings(daemon.pid).filter((line) => line.includes('stamp')).length <= 8, 10_000, 'old generations to be unmapped').catch(() => {});
        return { fds: descriptors(daemon.pid), threads: threads(daemon.pid), maps: mappings(daemon.pid).length, rss: rss(daemon.pid) };
    };
    const warm = Math.min(200, Math.ceil(RELOADS / 2));
    let n = 1;
    const start = performance.now();
    for (; n <= warm; n++) await replace(n);
    const before = await measure();
    const names = descriptorNames(daemon.pid);
    for (; n <= RELOADS; n++) await replace(n);
    const seconds = (performance.now() - start) / 1000;
    const after = await measure();
    const result = await load.stop();
    console.log(`      ${RELOADS} replacements in ${seconds.toFixed(1)} s, ${result.calls} calls, p99 ${result.p99_ms} ms, max ${result.max_ms} ms; ` +
        `before ${JSON.stringify(before)}, after ${JSON.stringify(after)}`);
    assert.equal(result.failed, 0, result.first_error);
    assert.equal(result.wrong, 0, result.first_error);
    assert.ok(result.calls > RELOADS);
    assert.equal(after.threads, before.threads, 'threads');
    // Connections that were closed a moment ago may take that moment to go.
    await until(() => descriptors(daemon.pid) <= before.fds + 1, 10_000, `the descriptors to be as before: ${names.join(', ')}`)
        .catch((error) => assert.fail(`${error.message} -> ${descriptorNames(daemon.pid).join(', ')}`));
    if (!SLOW_BINARY) {
        assert.ok(after.maps <= before.maps + 4, `mappings: ${before.maps} -> ${after.maps}`);
        // Less than the smallest thing a replacement could leave behind; the allocator's own
        // unrest, some hundred KB in all, is a twentieth of this in a run of 10,000, and is
        // all there is to see in a short one.
        assert.ok(after.rss - before.rss < Math.max(1024 * (RELOADS - warm), 800 * 1024), `memory: ${before.rss} -> ${after.rss}`);
    }
    await daemon.stop();
}, { timeout: 600_000 });

// ---- When nobody asks any more ---------------------------------------------------------

test('nothing of an old generation stays open although no request follows: threads that served before sleep now', async () => {
    const daemon = await Daemon.start({ plugins: ['stamp'], config: { http: { threads: 4 }, providers: { stamp: { isolation: 'process' } } } });
    const idle = await Promise.all(Array.from({ length: 32 }, () => Connection.open(daemon.port)));
    await Promise.all(idle.map((connection) => callTool(daemon.port, 'stamp', {}, { connection })));
    const before = descriptors(daemon.pid), names = descriptorNames(daemon.pid), { mark } = daemon;
    daemon.install('stamp', version(1));
    await daemon.waitLog(/stamp: .*replaced/, 10_000, mark);
    await until(() => descriptors(daemon.pid) <= before, 10_000, '').catch(() =>
        assert.fail(`descriptors: ${names.join(', ')} -> ${descriptorNames(daemon.pid).join(', ')}`));
    for (const connection of idle) connection.destroy();
    await daemon.stop();
});

// ---- One daemon for the rest, with somebody calling all the time ---------------------

const daemon = await Daemon.start({ plugins: ['echo', 'stamp'], config: { plugins: { drain_timeout_ms: 1500 * SCALE, start_timeout_ms: 1500 * SCALE }, calls: { timeout_ms: 25_000 } } });
const { port } = daemon;
const background = new Load(port, { echo: [{ text: 'background' }, 'background'] }, { connections: 4, pause: 5 });

const served = async () => textOf(await callTool(port, 'stamp'));
const serves = (n) => until(async () => (await served().catch(() => '')) === `stamp=${String(n).padStart(12, '0')}`, 6000, `version ${n}`);
const restore = async () => {
    daemon.install('stamp', version(0));
    await serves(0);
};

test('copied slowly over the running one: the old is served until it is whole, without a complaint', async () => {
    const mark = daemon.mark;
    const bytes = version(1);
    const fd = fs.openSync(daemon.path('stamp'), 'w', 0o755);
    for (let at = 0; at < bytes.length; at += 1500) {
        fs.writeSync(fd, bytes, at, Math.min(1500, bytes.length - at));
        await sleep(120);
        assert.equal(await served(), 'stamp=000000000000');
    }
    assert.doesNotMatch(daemon.logSince(mark), /stamp\.so/, 'nothing is said of a file that is not finished');
    fs.closeSync(fd);
    await serves(1);
    await restore();
});
test('a new file copied slowly: served when it is whole, without a complaint', async () => {
    const mark = daemon.mark;
    const bytes = fs.readFileSync(pluginFile('probe'));
    const fd = fs.openSync(daemon.path('probe'), 'w', 0o755);
    for (let at = 0; at < bytes.length; at += 4000) {
        fs.writeSync(fd, bytes, at, Math.min(4000, bytes.length - at));
        await sleep(100);
    }
    assert.doesNotMatch(daemon.logSince(mark), /probe\.so/);
    fs.closeSync(fd);
    await until(async () => (await toolNames(port)).includes('wait'), 5000, 'probe');
    daemon.remove('probe');
    await until(async () => !(await toolNames(port)).includes('wait'), 5000, 'probe gone');
});
test('overwritten in place', async () => {
    for (const n of [2, 3, 4]) {
        fs.writeFileSync(daemon.path('stamp'), version(n));
        await serves(n);
    }
    await restore();
});
test('bytes changed inside the file', async () => {
    const fd = fs.openSync(daemon.path('stamp'), 'r+');
    fs.writeSync(fd, '5', digits + 11);
    fs.closeSync(fd);
    await serves(5);
    await restore();
});
for (const part of [0, 1, 63, 64, 500, 4096, stampFile.length - 1000, stampFile.length - 1])
    test(`cut to ${part < 5000 ? part : `its size less ${stampFile.length - part}`} bytes: one message, and the old one goes on`, async () => {
        const mark = daemon.mark;
        fs.truncateSync(daemon.path('stamp'), part);
        const line = await daemon.waitLog(/keeps generation \d+: stamp\.so/, 5000, mark);
        assert.ok(/warning|error|<[34]>/i.test(line), line);
        assert.equal(await served(), 'stamp=000000000000');
        await sleep(300);
        assert.equal(daemon.lines.slice(mark).filter((l) => /stamp\.so/.test(l) && l.includes(line.slice(30))).length, 1, 'said once');
        await restore();
    });
test('deleted: the tools go; calls in flight on it are answered', async () => {
    const listener = await Listener.open(port);
    daemon.remove('stamp');
    await listener.wait(2);
    assert.ok(!(await toolNames(port)).includes('stamp'));
    daemon.install('stamp', version(0));
    await listener.wait(3);
    listener.close();
    await serves(0);
});
test('a call that runs while its plugin is replaced ends on the one it began with', async () => {
    daemon.install('probe');
    await until(async () => (await toolNames(port)).includes('wait'), 5000, 'probe');
    const call = callTool(port, 'wait', { ms: 900, label: 'across' });
    await daemon.waitLog(/across started/);
    daemon.install('probe', Buffer.concat([fs.readFileSync(pluginFile('probe')), Buffer.from('x')]));
    assert.equal(textOf(await call), 'waited');
    const removed = callTool(port, 'wait', { ms: 600, label: 'removed' });
    await daemon.waitLog(/removed started/);
    daemon.remove('probe');
    assert.equal(textOf(await removed), 'waited');
    await until(async () => !(await toolNames(port)).includes('wait'), 5000, 'probe gone');
});
test('a call that outlasts the drain time is cancelled', async () => {
    daemon.install('probe');
    await until(async () => (await toolNames(port)).includes('wait'), 5000, 'probe');
    const call = callTool(port, 'wait', { ms: 20_000 * SCALE, label: 'outlasts' }).catch((error) => error);
    await daemon.waitLog(/outlasts started/);
    const mark = daemon.mark;
    daemon.remove('probe');
    await daemon.waitLog(/outlasts cancelled/, 8000, mark);
    await call;
});
test('a plugin that returns while a stuck call of its old generation runs', async () => {
    daemon.install('probe');
    await until(async () => (await toolNames(port)).includes('deaf'), 5000, 'probe');
    const call = callTool(port, 'deaf', { ms: 3000 * SCALE }).catch((error) => error);
    await sleep(100);
    daemon.remove('probe');
    await until(async () => !(await toolNames(port)).includes('deaf'), 5000, 'probe gone');
    daemon.install('probe');
    await until(async () => (await toolNames(port)).includes('later'), 8000, 'probe back');
    assert.equal(textOf(await callTool(port, 'later', { ms: 1 })), 'later, from another thread');
    await call;
    daemon.remove('probe');
    await until(async () => !(await toolNames(port)).includes('later'), 5000, 'probe gone');
});

// ---- Files that are refused ------------------------------------------------------------

/** Puts something into the directory; a message must come, and nothing else change. */
async function refused(what, name, put, pattern, remove = () => fs.rmSync(daemon.path(name), { force: true, recursive: true })) {
    const before = await toolNames(port);
    const listener = await Listener.open(port);
    const mark = daemon.mark;
    put();
    let line;
    try {
        line = await daemon.waitLog(new RegExp(`${name}(\\.so)?\\b`), 15_000, mark);
        line = await daemon.waitLog(pattern, 3000, mark);
        assert.ok(line.includes(name), `the message names the file: ${line}`);
        assert.ok(/warning|error|<[34]>/i.test(line), line);
        await sleep(150);
        assert.deepEqual(await toolNames(port), before);
        assert.equal(listener.messages.length, 1, 'nobody is told');
    } finally {
        remove();
        listener.close();
    }
    return line;
}
const place = (name) => daemon.path(name);

test('a symbolic link, also to a good plugin', async () => {
    const elsewhere = path.join(temporaryDirectory(), 'probe.so');
    fs.copyFileSync(pluginFile('probe'), elsewhere);
    await refused('link', 'probe', () => fs.symlinkSync(elsewhere, place('probe')), /probe\.so.*symbolic link/i);
    await refused('inner link', 'linked', () => fs.symlinkSync('stamp.so', place('linked')), /linked\.so.*symbolic link/i);
});
test('a directory, a FIFO', async () => {
    await refused('directory', 'folder', () => fs.mkdirSync(place('folder')), /folder\.so.*(regular|directory)/i);
    const { execFileSync } = await import('node:child_process');
    await refused('fifo', 'pipe', () => execFileSync('mkfifo', [place('pipe')]), /pipe\.so.*regular/i);
});
test('a file others may write', async () => {
    for (const mode of [0o775, 0o757, 0o777]) {
        const temporary = path.join(daemon.staging, 'loose');
        await refused(`mode ${mode.toString(8)}`, 'probe', () => {
            fs.copyFileSync(pluginFile('probe'), temporary);
            fs.chmodSync(temporary, mode);
            fs.renameSync(temporary, place('probe'));
        }, /probe\.so.*(writ|chmod)/i);
    }
});
test('a directory others may write', async () => {
    const mark = daemon.mark;
    fs.chmodSync(daemon.pluginDirectory, 0o777);
    try {
        daemon.install('probe');
        const line = await daemon.waitLog(/(plugins|probe\.so).*(writ|chmod)/i, 8000, mark);
        assert.ok(line);
        assert.ok(!(await toolNames(port)).includes('wait'));
        assert.equal(await served(), 'stamp=000000000000');
    } finally {
        fs.rmSync(place('probe'));
        fs.chmodSync(daemon.pluginDirectory, 0o755);
    }
});
test('a name that is no id', async () => {
    await refused('name', 'bad name', () => daemon.install('bad name', pluginFile('probe')), /bad name\.so/);
});
test('a good plugin under another name', async () => {
    await refused('other name', 'other', () => daemon.install('other', pluginFile('probe')), /other\.so.*probe/);
});
const patched = (at, ...bytes) => {
    const copy = Buffer.from(stampFile);
    Buffer.from(bytes).copy(copy, at);
    return copy;
};
for (const [what, bytes, pattern] of [
    ['an empty file', Buffer.alloc(0), /empty|too short|no ELF|not an ELF/i],
    ['a text', Buffer.from('#!/bin/sh\necho no\n'.repeat(50)), /ELF/],
    ['zeros', Buffer.alloc(20_000), /ELF/],
    ['an ELF file of 32 bits', patched(4, 1), /(32|64)[- ]bit|class|machine/i],
    ['an ELF file of the other byte order', patched(5, 2), /endian|byte order|machine/i],
    ['an ELF file for another machine', patched(18, 0xf3, 0), /machine|architecture|processor/i],
    ['a program instead of a shared object', patched(16, 2, 0), /shared object|type/i],
    ['section and program headers beyond the end', patched(32, 0xff, 0xff, 0xff, 0x7f), /./],
    ['an impossible count of program headers', patched(56, 0xff, 0xff), /./],
])
    test(`${what}: its own message`, () => refused(what, 'strange', () => daemon.install('strange', bytes), new RegExp(`strange\\.so.*(${pattern.source})`, pattern.flags)));
test('a file of 65 MiB', async () => {
    await refused('large', 'large', () => {
        const temporary = path.join(daemon.staging, 'large');
        fs.writeFileSync(temporary, stampFile, { mode: 0o755 });
        fs.truncateSync(temporary, 65 * 1024 * 1024);
        fs.renameSync(temporary, place('large'));
    }, /large\.so.*(large|64|size|bytes)/i);
});
test('single bits of a plugin changed: never a crash', async () => {
    const mark = daemon.mark;
    const count = SLOW_BINARY ? 10 : 60;
    for (let i = 0; i < count; i++) {
        const copy = Buffer.from(stampFile);
        // The headers, notes and the dynamic section: not the code, which may do anything.
        const at = i < count / 2 ? Math.floor((i / (count / 2)) * 64) : 64 + ((i * 577) % 900);
        copy[at] ^= 1 << (i % 8);
        daemon.install('fuzzed', copy);
        await sleep(40);
        assert.equal(await served(), 'stamp=000000000000');
    }
    await sleep(800);
    fs.rmSync(place('fuzzed'), { force: true });
    assert.match(daemon.logSince(mark), /fuzzed\.so/);
    await until(async () => (await toolNames(port)).filter((name) => name.startsWith('stamp')).length === 2, 5000, 'only stamp');
}, { timeout: 120_000 });

// ---- The broken samples of tests/plugins ----------------------------------------------------

/** Refused before they serve: what mcpd must say of each. */
const refusedSamples = {
    bad_config_schema: /config_schema.*JSON/,
    bad_constructor_crash: /crash.*constructor|constructor.*crash/i,
    bad_constructor_exit: /(exit|ended).*constructor|constructor.*(exit|ended)/i,
    bad_constructor_hang: /constructor.*(1\.500|\d) s|not returned from its constructors/i,
    bad_create: /config\.paths\[1\].*there is no directory of this name|paths.*there is no directory of this name/,
    bad_create_crash: /crash.* create\b/i,
    bad_create_silent: /create failed.*did not say why/,
    bad_exit_create: /(exit|ended).* create\b/,
    bad_id: /\bid\b.*manifest/,
    bad_magic: /MCP_PLUGIN_(MAGIC|HEADER)/,
    bad_major: /ABI \d+\.\d+, this mcpd serves 1\.\d+/,
    bad_major_inside: /ABI \d+\.\d+, which its manifest does not/,
    bad_members: /call_tool/,
    bad_minor: /ABI 1\.9 or newer/,
    bad_name: /by its manifest.*name the file/,
    bad_no_note: /no manifest/,
    bad_nodelete: /nodelete/i,
    bad_note: /note.*longer/,
    bad_note_json: /manifest.*JSON/,
    bad_note_twice: /two manifests/,
    bad_null: /NULL/,
    bad_outside: /outside/,
    bad_requires: /test\.teleport\/1/,
    bad_size_huge: /claims \d+ bytes, more/,
    bad_size_small: /claims \d+ bytes, at least/,
    bad_stack: /executable stack/,
    bad_start: /the device does not answer/,
    bad_static_tls: /thread-local/,
    bad_stop_crash: /crash.* stop\b/i,
    bad_symbol: /does not export mcp_plugin_v1/,
    bad_textrel: /text relocations/,
    bad_tools_endless: /get_tools.*(not end|for ?ever|endless)/i,
    bad_tools_hang: /not returned from get_tools/,
    bad_undefined: /undefined symbol/,
    bad_version: /version.*manifest/,
};
/** Served, with a word about what is wrong with them. */
const remarkedSamples = {
    bad_tool_header: /misheaded.*x-mcp-header/,
    bad_tool_json: /definition.*JSON/,
    bad_tool_name: /not a name/,
    bad_tool_schema: /inputSchema/,
    bad_tool_twice: /bad_tool_twice.*(already|twice)/,
    bad_key: /stays in memory.*pthread key/,
    bad_signal: /stays in memory.*signal handler/,
    bad_thread: /stays in memory.*running thread/,
    bad_unique: /stays in memory.*-fno-gnu-unique/,
};
/** Served, until they are called: what the log says then. */
const calledSamples = {
    bad_end_twice: /bad_end_twice.*(twice|already|ended)/i,
    bad_refuse: /./,
    bad_result: /./,
    bad_exit_call: /bad_exit_call.*exit.*call_tool/,
    bad_exit_thread: /bad_exit_thread.*exit.*thread/,
};
/** Each in a daemon of its own: a crash in call_tool is one of mcpd, and what a call
 * that never ends holds is held until the end. */
const fatalSamples = ['bad_crash_call', 'bad_never'];

const present = fs.existsSync(TEST_PLUGINS) ? fs.readdirSync(TEST_PLUGINS).filter((f) => f.endsWith('.so')).map((f) => f.slice(0, -3)) : [];
test('every bad sample of tests/plugins has its expectation here', () => {
    const known = [...Object.keys({ ...refusedSamples, ...remarkedSamples, ...calledSamples }), ...fatalSamples];
    const broken = present.filter((name) => name.startsWith('bad_'));
    assert.deepEqual(broken.filter((name) => !known.includes(name)), []);
    assert.deepEqual(known.filter((name) => !present.includes(name)), []);
});
/** These need mcpd's own pthread_create, pthread_key_create and exit, and dlclose. */
const hidden = (name) => (ISOLATION === 'process' && ['bad_key', 'bad_signal', 'bad_thread', 'bad_unique', 'bad_stop_crash'].includes(name)
    ? 'what is left of it goes with its process' : SANITIZED && ['bad_key', 'bad_thread', 'bad_exit_thread', 'bad_unique'].includes(name) ? 'a sanitizer stands between' : null);
const said = new Map();
/** No two samples get the same message. */
function distinct(name, line) {
    const essence = line.slice(line.indexOf(name)).replaceAll(name, 'NAME').replace(/\d+\.so/, '');
    assert.ok(!said.has(essence), `the same message as ${said.get(essence)}: ${line}`);
    said.set(essence, name);
}
for (const [name, pattern] of Object.entries(refusedSamples))
    test(`sample ${name}: refused, with its own message`, async () => {
        const line = await refused(name, name, () => daemon.install(name), new RegExp(`${name}.*(${pattern.source})`, pattern.flags));
        distinct(name, line);
    }, { timeout: 60_000, skip: ISOLATION === 'process' ? hidden(name) : null });

const withSample = async (name, fn) => {
    const mark = daemon.mark;
    daemon.install(name);
    try {
        await until(async () => (await toolNames(port)).includes(name), 15_000, `${name}; the log:\n${daemon.logSince(mark)}`);
        await fn(mark);
    } finally {
        daemon.remove(name);
        await until(async () => !(await toolNames(port)).includes(name), 8000, `${name} gone`);
    }
    assert.equal(await served(), 'stamp=000000000000');
};
for (const [name, pattern] of Object.entries(remarkedSamples))
    test(`sample ${name}: its good tool is served, and the rest is told`, () => withSample(name, async (mark) => {
        const line = await daemon.waitLog(new RegExp(`${name}.*(${pattern.source})`), 3000, mark);
        if (name.startsWith('bad_tool')) distinct(name, line);
        assert.equal(textOf(await callTool(port, name)), 'Here.');
        assert.ok(!(await toolNames(port)).includes('misheaded'));
    }), { timeout: 60_000, skip: hidden(name) });
for (const [name, pattern] of Object.entries(calledSamples))
    test(`sample ${name}: its own calls fail, nobody else's`, () => withSample(name, async () => {
        const mark = daemon.mark;
        const { modern } = await import('./lib/mcp.mjs');
        for (let i = 0; i < 2; i++) {
            const response = await modern(port, 'tools/call', { name, arguments: {} }, { ms: 20_000 });
            const last = await response.last(20_000);
            response.connection.destroy();
            if (name === 'bad_end_twice') assert.equal(textOf(last.result), 'First.');
            else if (name === 'bad_exit_thread' && i === 0) continue; // its call goes on after its thread has gone
            else {
                assert.ok(last.error || last.result.isError === true, JSON.stringify(last));
                assert.ok(JSON.stringify(last).includes(name), `the answer names the provider: ${JSON.stringify(last)}`);
            }
            assert.equal(await served(), 'stamp=000000000000');
        }
        if (pattern.source !== '.') await daemon.waitLog(pattern, 3000, mark);
    }), { timeout: 90_000, skip: hidden(name) });
test('a plugin that failed in a call is served again when its file is replaced', async () => {
    daemon.install('bad_exit_call');
    await until(async () => (await toolNames(port)).includes('bad_exit_call'), 8000, 'bad_exit_call');
    await callTool(port, 'bad_exit_call').catch(() => {});
    // The same bytes with something behind them are another file.
    daemon.install('bad_exit_call', Buffer.concat([fs.readFileSync(pluginFile('bad_exit_call')), Buffer.from('x')]));
    await until(async () => {
        const before = daemon.mark;
        await callTool(port, 'bad_exit_call').catch(() => {});
        await sleep(50);
        return /exit.*call_tool/.test(daemon.logSince(before));
    }, 8000, 'the new generation to be called', 100);
    daemon.remove('bad_exit_call');
    await until(async () => !(await toolNames(port)).includes('bad_exit_call'), 8000, 'gone');
});
test('sample bad_never: its calls end at their time, a full line of them is busy, others are served, and mcpd ends', async () => {
    const other = await Daemon.start({
        plugins: ['bad_never', 'echo'],
        config: { calls: { timeout_ms: 700 * SCALE, workers: 2, queue: 8 }, plugins: { drain_timeout_ms: 500 } },
        // What its calls hold is never given back: no leak checker may look.
        env: { ASAN_OPTIONS: 'detect_leaks=0' },
        wrap: false,
    });
    const start = performance.now();
    const { modern } = await import('./lib/mcp.mjs');
    const answers = await Promise.all(Array.from({ length: 4 }, async () => {
        const response = await modern(other.port, 'tools/call', { name: 'bad_never', arguments: {} }, { ms: 20_000 });
        const last = await response.last(20_000);
        response.connection.destroy();
        return last;
    }));
    assert.ok(performance.now() - start < 4000 * SCALE);
    for (const last of answers) {
        assert.ok(last.error || last.result.isError === true, JSON.stringify(last));
        assert.match(JSON.stringify(last), /bad_never/);
    }
    assert.equal(textOf(await callTool(other.port, 'echo', { text: 'x' })), 'x');
    other.remove('bad_never');
    await until(async () => !(await toolNames(other.port)).includes('bad_never'), 8000, 'gone');
    await other.stop({ ms: 40_000 });
}, { timeout: 90_000 });
const crashInside = ISOLATION === 'process' ? test : (name, fn) => knownLimit(name, 'without isolation a crash in call_tool is a crash of mcpd', fn);
crashInside('sample bad_crash_call: mcpd survives', async () => {
    const other = await Daemon.start({ plugins: ['bad_crash_call', 'echo'] });
    await callTool(other.port, 'bad_crash_call').catch(() => {});
    await sleep(300);
    other.stopped = other.mayCrash = true;
    assert.equal(textOf(await callTool(other.port, 'echo', { text: 'x' })), 'x');
});

// ---- What a plugin tells its host ---------------------------------------------------------------

test('a plugin that announces a further tool', async () => {
    daemon.install('configured');
    await until(async () => (await toolNames(port)).includes('grow'), 8000, 'configured');
    const listener = await Listener.open(port);
    await callTool(port, 'grow');
    await listener.wait(2);
    assert.ok((await toolNames(port)).includes('extra'));
    listener.close();
    daemon.remove('configured');
    await until(async () => !(await toolNames(port)).includes('grow'), 8000, 'gone');
});
test('a plugin that offers nothing is no mistake', async () => {
    const mark = daemon.mark;
    daemon.install('no_tools');
    await sleep(800);
    assert.doesNotMatch(daemon.logSince(mark), /(error|warning).*no_tools/i);
    daemon.remove('no_tools');
});

// ---- Clashes -------------------------------------------------------------------------------

test('a tool that two providers claim: the first by configuration order, and a warning once', async () => {
    const other = await Daemon.start({
        plugins: ['stamp'],
        config: { providers: { second: { plugin: 'stamp' }, first: { plugin: 'stamp' } } },
    });
    const { listTools } = await import('./lib/mcp.mjs');
    const tools = await listTools(other.port);
    assert.equal(tools.length, 2);
    for (const tool of tools) assert.equal(tool._meta['dev.mcpd/provider'], 'second');
    const line = other.lines.find((l) => /stamp/.test(l) && /second/.test(l) && /first/.test(l));
    assert.ok(line, other.logSince(0));
    await other.stop();
});
test('at the end: no call of the background caller failed', async () => {
    await sleep(100);
    const result = await background.stop();
    console.log(`      ${result.calls} calls beside all that, p99 ${result.p99_ms} ms, max ${result.max_ms} ms`);
    assert.equal(result.failed + result.wrong, 0, result.first_error);
    assert.ok(result.calls > 500);
    await daemon.stop();
});

await done();
