// SPDX-License-Identifier: MIT
// Measures mcpd beside a bare libmicrohttpd + cJSON handler and beside the
// TypeScript SDK's server: same machine, same minute, same core, same request,
// and prints ratios with the target beside each. Nothing here passes or fails.
import { spawn, execFileSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';

const B = path.resolve(process.env.B || 'build');
const SECONDS = Number(process.env.BENCH_SECONDS || 3);
const ROUNDS = Number(process.env.BENCH_ROUNDS || 5);
const here = path.dirname(new URL(import.meta.url).pathname);
const work = fs.mkdtempSync(path.join(os.tmpdir(), 'mcpd-bench-'));
const children = new Set();
process.on('exit', () => {
    for (const child of children) child.kill('SIGKILL');
    fs.rmSync(work, { recursive: true, force: true });
});
process.on('SIGINT', () => process.exit(130));

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
const number = (n) => Math.round(n).toLocaleString('en').padStart(9);

// ---- Servers, each on the first core; load on the last -----------------------

const cores = execFileSync('nproc', { encoding: 'utf8' }).trim();
const LOAD_CORE = String(Number(cores) - 1);
/** Before other work of the machine, where that is allowed. */
const pinned = (core, command, nice = -15) =>
    [...(process.getuid() === 0 ? ['nice', '-n', String(nice)] : []), 'taskset', '-c', core, ...command];

/** Starts a command; resolves when it prints "listening on ...PORT". */
async function start(name, command, { pin = '0', options = {} } = {}) {
    const [program, ...args] = pin === null ? command : pinned(pin, command);
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    children.add(child);
    const server = { name, child, pid: child.pid, log: '' };
    server.ended = new Promise((resolve) => child.on('close', resolve)).then(() => children.delete(child));
    await new Promise((resolve, reject) => {
        const read = (text) => {
            server.log += text;
            const match = /listening on (?:.*:)?(\d+)/.exec(server.log);
            if (match) {
                server.port = Number(match[1]);
                resolve();
            }
        };
        child.stdout.on('data', read);
        child.stderr.on('data', read);
        child.on('error', reject);
        child.on('close', () => reject(new Error(`${name} did not start: ${server.log}`)));
    });
    return server;
}

async function stop(server, signal = 'SIGKILL') {
    server.child.kill(signal);
    await server.ended;
}

let daemons = 0;
/** A directory with a configuration and plugins for mcpd. */
function prepare(plugins, config = {}) {
    const directory = path.join(work, `d${daemons++}`);
    const pluginDirectory = path.join(directory, 'plugins');
    fs.mkdirSync(pluginDirectory, { recursive: true });
    for (const file of plugins) install(pluginDirectory, file);
    const configFile = path.join(directory, 'mcpd.json');
    fs.writeFileSync(configFile, JSON.stringify({
        listen: [{ address: '127.0.0.1', port: 0 }], ...config, plugins: { directory: pluginDirectory, default_isolation: 'inproc' },
    }));
    return { directory, pluginDirectory, configFile };
}

function install(pluginDirectory, file) {
    const temporary = path.join(pluginDirectory, '..', 'staging');
    fs.copyFileSync(file, temporary);
    fs.chmodSync(temporary, 0o755);
    fs.renameSync(temporary, path.join(pluginDirectory, path.basename(file)));
}

const testPlugin = (name) => path.join(B, 'tests/plugins', `${name}.so`);
const bundled = ['filesystem', 'database'].map((name) => path.join(B, 'plugins', `${name}.so`));

async function mcpd(plugins, config, options) {
    const place = prepare(plugins, config);
    const server = await start('mcpd', [path.join(B, 'mcpd'), '-c', place.configFile], options);
    return Object.assign(server, place);
}
const bare = (...args) => start('bare handler', [path.join(B, 'tests/bench/bare'), ...args.map(String)]);
const typescript = () => start('TypeScript SDK', [process.execPath, path.join(here, 'ts-server.mjs')]);

function rss(pid) {
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
}

/** Seconds of processor time a process has had. */
function cpu(pid) {
    const fields = fs.readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
    return (Number(fields[11]) + Number(fields[12])) / 100; // USER_HZ
}

// ---- Requests ------------------------------------------------------------------

const META = 'io.modelcontextprotocol/';
let requests = 0;
function request(method, params) {
    const body = JSON.stringify({
        jsonrpc: '2.0', id: 1, method,
        params: { ...params, _meta: { [`${META}protocolVersion`]: '2026-07-28', [`${META}clientInfo`]: { name: 'bench', version: '1.0.0' }, [`${META}clientCapabilities`]: {} } },
    });
    const headers = {
        'Content-Type': 'application/json', Accept: 'application/json, text/event-stream',
        'MCP-Protocol-Version': '2026-07-28', 'Mcp-Method': method,
        ...(method === 'tools/call' ? { 'Mcp-Name': params.name } : {}),
    };
    const files = { body: path.join(work, `body${requests}`), headers: path.join(work, `headers${requests++}`) };
    fs.writeFileSync(files.body, body);
    fs.writeFileSync(files.headers, Object.entries(headers).map(([name, value]) => `${name}: ${value}\n`).join(''));
    return { method, params, body, headers, files };
}
const TEXT = 'The quick brown fox jumps over the lazy dog.';
const echo = request('tools/call', { name: 'echo', arguments: { text: TEXT } });

/** One request by hand: {status, head, body}, whole. */
function once(port, { headers, body }) {
    return new Promise((resolve, reject) => {
        const socket = net.connect(port, '127.0.0.1');
        let text = Buffer.alloc(0);
        socket.on('error', reject);
        socket.on('close', () => reject(new Error(`closed: ${text}`)));
        socket.on('data', (part) => {
            text = Buffer.concat([text, part]);
            const end = text.indexOf('\r\n\r\n');
            if (end < 0) return;
            const head = text.subarray(0, end + 4).toString('latin1');
            const length = /content-length: (\d+)/i.exec(head);
            const whole = length ? text.length >= end + 4 + Number(length[1]) : text.includes('\r\n0\r\n\r\n');
            if (!whole) return;
            socket.removeAllListeners('close');
            socket.destroy();
            resolve({ status: Number(head.slice(9, 12)), head, body: text.subarray(end + 4).toString(), bytes: text.length });
        });
        socket.write(`POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n` +
            Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('') +
            `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
    });
}

/** The answer must be right before, and its size the same in every request. */
async function verified(server, req, expected) {
    const answer = await once(server.port, req);
    if (answer.status !== 200 || !answer.body.includes(expected)) throw new Error(`${server.name}: ${answer.head}${answer.body.slice(0, 500)}`);
    return answer;
}

async function wrk(server, req, expected, connections, seconds = SECONDS) {
    const answer = await verified(server, req, expected);
    const [program, ...args] = pinned(LOAD_CORE, ['wrk', '-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '5s', '-s', path.join(here, 'request.lua'), `http://127.0.0.1:${server.port}/mcp`]);
    const before = cpu(server.pid);
    const child = spawn(program, args, { env: { ...process.env, BENCH_BODY: req.files.body, BENCH_HEADERS: req.files.headers }, stdio: ['ignore', 'pipe', 'inherit'] });
    children.add(child);
    let text = '';
    child.stdout.on('data', (part) => (text += part));
    await new Promise((resolve) => child.on('close', resolve));
    children.delete(child);
    const used = cpu(server.pid) - before;
    const result = JSON.parse(text.slice(text.indexOf('{"requests"')));
    const faults = ['connect', 'read', 'write', 'status', 'timeout'].filter((key) => result[key] > 0);
    if (faults.length) console.log(`      ${server.name}: ${faults.map((key) => `${result[key]} ${key}`).join(', ')}`);
    // Date and the like may vary by nothing here; a wrong answer has another size.
    const size = result.bytes / result.requests;
    if (Math.abs(size - answer.bytes) > 0.5) console.log(`      ${server.name}: ${size.toFixed(1)} bytes an answer, ${answer.bytes} expected`);
    await verified(server, req, expected);
    return { rate: result.requests / result.seconds, cpuRate: result.requests / used, p50: result.p50_us / 1000, p99: result.p99_us / 1000, max: result.max_us / 1000 };
}

/** Runs each of [server, request, expected text, connections] in turn, ROUNDS
 * times; medians. */
async function alternate(list, all_connections) {
    const runs = list.map(() => []);
    for (const [server, req, expected, connections = all_connections] of list) await wrk(server, req, expected, connections, 1); // warm
    for (let round = 0; round < ROUNDS; round++)
        for (const [i, [server, req, expected, connections = all_connections]] of list.entries())
            runs[i].push(await wrk(server, req, expected, connections));
    return runs.map((all, i) => {
        const middle = (key) => median(all.map((run) => run[key]));
        return { name: list[i][0].name, rate: middle('rate'), cpuRate: middle('cpuRate'), p50: middle('p50'), p99: middle('p99'), max: Math.max(...all.map((run) => run.max)), rss: rss(list[i][0].pid) };
    });
}

const title = (text) => console.log(`\n${text}`);
function table(rows) {
    console.log(`  ${''.padEnd(30)} requests/s  and a CPU s    p50 ms    p99 ms    max ms    RSS KB`);
    for (const { name, rate, cpuRate, p50, p99, max, rss: memory } of rows)
        console.log(`  ${name.padEnd(30)}  ${number(rate)}    ${number(cpuRate)} ${p50.toFixed(2).padStart(9)} ${p99.toFixed(2).padStart(9)} ${max.toFixed(1).padStart(9)} ${String(memory ?? '').padStart(9)}`);
}
/** Where other work disturbs, the ratio of processor time is the one to trust. */
const beside = (a, b) => console.log(`  ${'  the same by requests a second of processor time'.padEnd(66)} ${(a.cpuRate / b.cpuRate).toFixed(2).padStart(9)}`);
const summary = [];
function ratio(what, value, wanted, good, digits = 2) {
    const line = `  ${what.padEnd(66)} ${value.toFixed(digits).padStart(9)}   wanted: ${wanted}${good(value) ? '' : '   MISSED'}`;
    summary.push(line);
    console.log(line);
}
const atLeast = (limit) => [`${limit} or more`, (value) => value >= limit];
const atMost = (limit) => [`${limit} or less`, (value) => value <= limit];

/** A bare handler that answers what mcpd answers. */
async function bareLike(mode, server, req, expected, ...args) {
    const { body } = await verified(server, req, expected);
    const file = path.join(work, `answer-${mode}`);
    fs.writeFileSync(file, mode.startsWith('stored') ? body : body.replace('"id":1', '"id":@ID@').replace(TEXT, '@TEXT@'));
    return bare(mode, file, ...args);
}

// ---- The parts ----------------------------------------------------------------------

const parts = {
    async start() {
        title('Start, with the bundled plugins');
        const times = [];
        let memory;
        const data = path.join(work, 'data');
        fs.mkdirSync(data, { recursive: true });
        const list = request('tools/list', {});
        const free = await new Promise((resolve) => {
            const server = net.createServer().listen(0, '127.0.0.1', () => {
                const { port } = server.address();
                server.close(() => resolve(port));
            });
        });
        for (let i = 0; i < 15; i++) {
            const place = prepare(bundled.filter((file) => fs.existsSync(file)), {
                listen: [{ address: '127.0.0.1', port: free }],
                providers: { files: { plugin: 'filesystem', config: { allowed_paths: [data] } } },
            });
            const began = performance.now();
            const child = spawn(path.join(B, 'mcpd'), ['-c', place.configFile], { stdio: 'ignore' });
            children.add(child);
            const ended = new Promise((resolve) => child.on('close', resolve));
            for (;;) {
                try {
                    await verified({ name: 'mcpd', port: free }, list, '"tools"');
                    break;
                } catch (error) {
                    if (error.code !== 'ECONNREFUSED' && error.code !== 'ECONNRESET') throw error;
                    if (performance.now() - began > 10_000) throw new Error('mcpd does not answer');
                    await sleep(0.5);
                }
            }
            times.push(performance.now() - began);
            if (i === 14) {
                await sleep(1000);
                memory = rss(child.pid);
            }
            child.kill('SIGTERM');
            await ended;
            children.delete(child);
        }
        console.log(`  all starts, ms: ${times.map((t) => t.toFixed(0)).join(' ')}`);
        ratio('start to first answer, ms (median of 15)', median(times), ...atMost(50), 0);
        ratio('resident memory idle, MB', memory / 1024, ...atMost(10), 1);
    },

    async calls() {
        title(`tools/call of an inline echo, 64 connections, ${ROUNDS} runs of ${SECONDS} s each`);
        const server = await mcpd([testPlugin('echo')]);
        const ceiling = await bareLike('inline', server, echo, TEXT);
        const sdk = await typescript();
        const rows = await alternate([[server, echo, TEXT], [ceiling, echo, TEXT], [sdk, echo, TEXT]], 64);
        table(rows);
        ratio('mcpd / bare handler', rows[0].rate / rows[1].rate, ...atLeast(0.75));
        beside(rows[0], rows[1]);
        ratio('mcpd / TypeScript SDK', rows[0].rate / rows[2].rate, ...atLeast(15), 1);
        beside(rows[0], rows[2]);
        for (const each of [server, ceiling, sdk]) await stop(each);
    },

    async connections() {
        title('The same at more and fewer connections');
        const server = await mcpd([testPlugin('echo')]);
        const ceiling = await bareLike('inline', server, echo, TEXT);
        const counts = [16, 64, 256, 512];
        const all = await alternate(counts.flatMap((n) => [[server, echo, TEXT, n], [ceiling, echo, TEXT, n]]));
        table(all.map((row, i) => ({ ...row, name: `${row.name}, ${counts[i >> 1]}` })));
        const [rows, bareRows] = [0, 1].map((which) => Object.fromEntries(counts.map((n, i) => [n, all[2 * i + which]])));
        for (const n of [256, 512]) {
            ratio(`${n} / 64 connections`, rows[n].rate / rows[64].rate, ...atLeast(0.7));
            console.log(`  ${'  the same of the bare handler'.padEnd(66)} ${(bareRows[n].rate / bareRows[64].rate).toFixed(2).padStart(9)}`);
        }
        ratio('the longest request of all, ms', Math.max(...Object.values(rows).map((row) => row.max)), ...atMost(1000), 1);
        await stop(server);
        await stop(ceiling);
    },

    async handed() {
        title('tools/call that is handed to a worker thread, 64 connections');
        const server = await mcpd([testPlugin('slow')]);
        const handed = request('tools/call', { name: 'blocking_echo', arguments: { text: TEXT } });
        const rows = [];
        const ceilings = [];
        for (const workers of [1, 2, 4]) {
            const ceiling = await bareLike('worker', server, handed, TEXT, workers);
            ceiling.name = `bare suspend and resume, ${workers}`;
            ceilings.push(ceiling);
        }
        rows.push(...(await alternate([[server, handed, TEXT], ...ceilings.map((c) => [c, handed, TEXT])], 64)));
        table(rows);
        const best = rows.slice(1).reduce((a, b) => (a.rate > b.rate ? a : b));
        ratio('mcpd / the best bare suspend-and-resume handler', rows[0].rate / best.rate, ...atLeast(0.8));
        beside(rows[0], best);
        for (const each of [server, ...ceilings]) await stop(each);
    },

    async postgres() {
        title('the database plugin on PostgreSQL: SELECT 1 of one caller, and the select of pgbench of 16');
        const script = path.join(here, '../integration/lib/postgres');
        const host = path.join(work, 'pg');
        fs.chmodSync(work, 0o755);
        execFileSync(script, ['start', host], { stdio: 'inherit' });
        try {
            const bin = fs.readdirSync('/usr/lib/postgresql').map((v) => `/usr/lib/postgresql/${v}/bin`).filter((d) => fs.existsSync(`${d}/pgbench`)).pop();
            const quick = (core, command) => {
                const [program, ...args] = pinned(core, command);
                return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
            };
            const pgbench = (...args) => quick(`0-${LOAD_CORE}`, [`${bin}/pgbench`, '-h', host, '-U', 'reader', ...args, 'test']);
            execFileSync(`${bin}/pgbench`, ['-h', host, '-U', 'admin', '-i', '-q', '-s', '1', 'test'], { stdio: 'ignore' });
            execFileSync(`${bin}/psql`, ['-q', '-h', host, '-U', 'admin', '-d', 'test', '-c', 'GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader'], { stdio: 'ignore' });
            const query = 'SELECT abalance FROM pgbench_accounts WHERE aid = 12345';
            const file = path.join(work, 'select.sql');
            fs.writeFileSync(file, `${query};\n`);
            // What mcpd sends for a reader's query, as one batch.
            const batch = path.join(work, 'batch.sql');
            fs.writeFileSync(batch, ['\\startpipeline', 'BEGIN READ ONLY;', `${query};`, 'SELECT pg_catalog.pg_advisory_unlock_all();', 'ROLLBACK;', '\\endpipeline', ''].join('\n'));
            const start = (pin) => mcpd(bundled, {
                providers: { files: { enabled: false }, pg: { plugin: 'database', config: { host, user: 'reader', database: 'test', min_connections: 16, max_connections: 16 } } },
            }, { pin });
            const postmaster = fs.readFileSync(`${host}/data/postmaster.pid`, 'utf8').split('\n')[0];
            const pin = (cpus) => execFileSync('taskset', ['-a', '-c', '-p', cpus, postmaster], { stdio: 'ignore' });
            if (process.getuid() === 0) execFileSync('renice', ['-n', '-15', '-p', postmaster], { stdio: 'ignore' });
            const one = request('tools/call', { name: 'execute_query', arguments: { query: 'SELECT 1' } });
            const many = request('tools/call', { name: 'execute_query', arguments: { query } });
            const alone = () => Number(quick(LOAD_CORE, [path.join(B, 'tests/bench/pg'), host, 'SELECT 1', '5000']));
            const times = { alone: [], mcpd: [] }, rates = { pgbench: [], prepared: [], batch: [], http: [], mcpd: [], pool: [] };
            // All on one core, so that it is work that is measured and not how long an idle
            // processor takes to wake.
            pin(LOAD_CORE);
            let server = await start(LOAD_CORE);
            for (let round = 0; round < ROUNDS; round++) {
                times.alone.push(alone());
                times.mcpd.push((await wrk(server, one, '?column?', 1)).p50 * 1000);
            }
            await stop(server);
            pin(`0-${LOAD_CORE}`);
            server = await start(`0-${LOAD_CORE}`);
            const handler = await bareLike('stored-parsed', server, many, 'abalance');
            for (let round = 0; round < ROUNDS; round++) {
                for (const [mode, script, list] of [['simple', file, rates.pgbench], ['prepared', file, rates.prepared], ['prepared', batch, rates.batch]])
                    list.push(Number(/tps = ([\d.]+)/.exec(pgbench('-n', '-M', mode, '-f', script, '-c', '16', '-j', '1', '-T', String(SECONDS)))[1]));
                rates.mcpd.push((await wrk(server, many, 'abalance', 16)).rate);
                rates.http.push((await wrk(handler, many, 'abalance', 16)).rate);
                rates.pool.push(Number(quick(`0-${LOAD_CORE}`, [path.join(B, 'tests/bench/pool'), server.configFile, query, '16', String(SECONDS)])));
            }
            await stop(handler);
            const [a, m, p, d, b, h, r, q] = [times.alone, times.mcpd, rates.pgbench, rates.prepared, rates.batch, rates.http, rates.mcpd, rates.pool].map(median);
            // One after the other on the same processors: the answer of a handler that asks no
            // database, and pgbench's batch, without a thread or a socket between the two.
            const parts = 1 / (1 / h + 1 / b);
            console.log(`  SELECT 1, one caller, median: libpq alone ${a.toFixed(0)} us, through mcpd ${m.toFixed(0)} us`);
            ratio('SELECT 1 through mcpd over libpq alone, us', m - a, ...atMost(60), 0);
            console.log(`  16 callers of ${query}: pgbench -c 16 -j 1 -M simple ${number(p)}/s, the pool in mcpd ${number(q)}/s, over HTTP ${number(r)}/s`);
            console.log(`  (mcpd prepares what comes again, and has a transaction around each: pgbench -M prepared, without one, ${number(d)}/s)`);
            ratio('the pool in mcpd / pgbench -M simple, the same query, 16 callers', q / p, ...atLeast(0.7));
            ratio('the same over HTTP, with wrk and HTTP on the same processors', r / p, 'for comparison', () => true);
            ratio('the same beside pgbench -M prepared', r / d, 'for comparison', () => true);
            console.log(`  what it is made of, each alone: the batch of mcpd by pgbench ${number(b)}/s, wrk and the bare handler ${number(h)}/s; one after the other ${number(parts)}/s`);
            ratio('these parts one after the other / pgbench -M simple', parts / p, 'for comparison', () => true);
            ratio('mcpd on PostgreSQL / these parts one after the other', r / parts, 'for comparison', () => true);
            await stop(server);
        } finally {
            execFileSync(script, ['stop', host]);
        }
    },

    async isolated() {
        title('tools/call of the same echo in a worker process');
        // Two processes have use for two processors; on one they also pay for each switch.
        for (const [where, pin, wanted] of [['', `0-${LOAD_CORE}`, atLeast(0.5)], [', all of mcpd on one core', '0', ['for comparison', () => true]]]) {
            const inside = await mcpd([testPlugin('echo')], undefined, { pin });
            const apart = await mcpd([testPlugin('echo')], { providers: { echo: { isolation: 'process' } } }, { pin });
            inside.name = `in mcpd${where && ', one core'}`;
            apart.name = `in a worker${where && ', one core'}`;
            const rows = await alternate([[inside, echo, TEXT], [apart, echo, TEXT]], 64);
            table(rows);
            ratio(`64 connections: isolated / in-process${where}`, rows[1].rate / rows[0].rate, ...wanted);
            for (const each of [inside, apart]) await stop(each);
        }

        title('One call after the other: what the worker adds, beside a bare socketpair between two processes');
        const program = [path.join(B, 'tests/bench/isolated'), testPlugin('echo')];
        const measure = (size, wrap) => {
            const [file, ...args] = wrap([...program, String(size), '101', String(size > 20_000 ? 50 : 1000)]);
            return JSON.parse(execFileSync(file, args, { encoding: 'utf8' }));
        };
        console.log(`  ${'bytes, microseconds a call'.padEnd(32)}    bare   in mcpd  in a worker   added / bare`);
        const line = (what, { bare_us, inproc_us, worker_us, ratio: added }) =>
            console.log(`  ${what.padEnd(30)} ${bare_us.toFixed(2).padStart(9)} ${inproc_us.toFixed(2).padStart(9)} ${worker_us.toFixed(2).padStart(12)} ${added.toFixed(2).padStart(14)}`);
        for (const size of [64, 1024, 16_384, 65_536, 1_048_576]) {
            const result = measure(size, (command) => pinned('0', command));
            line(`${size} on one core`, result);
            if (size <= 1024) ratio(`a call of ${size} bytes adds / bare round trip`, result.ratio, ...atMost(1.3));
        }
        line('1024, wherever the kernel likes', measure(1024, (command) => command));
    },

    async list() {
        title('tools/list of 100 tools, 64 connections');
        const server = await mcpd([testPlugin('many')]);
        const list = request('tools/list', {});
        const stored = await bareLike('stored', server, list, '"tools"');
        stored.name = 'stored reply';
        const parsed = await bareLike('stored-parsed', server, list, '"tools"');
        parsed.name = 'stored reply, request parsed';
        const { body } = await verified(server, list, '"tools"');
        console.log(`  ${JSON.parse(body).result.tools.length} tools, ${body.length} bytes`);
        const rows = await alternate([[server, list, '"tools"'], [stored, list, '"tools"'], [parsed, list, '"tools"']], 64);
        table(rows);
        ratio('mcpd / stored reply', rows[0].rate / rows[1].rate, ...atLeast(0.75));
        beside(rows[0], rows[1]);
        ratio('mcpd / stored reply with the request parsed', rows[0].rate / rows[2].rate, 'for comparison', () => true);
        for (const each of [server, stored, parsed]) await stop(each);
    },

    async streams() {
        const COUNT = Number(process.env.BENCH_STREAMS || 10_000);
        title(`${COUNT} open listen streams`);
        const server = await mcpd([testPlugin('echo')]);
        for (let i = 0; i < 200; i++) await once(server.port, echo);
        await sleep(500);
        const before = rss(server.pid);
        const quiet = await paced(server, () => sleep(4000));
        const client = streams('listen', server.port, COUNT);
        const lines = reader(client);
        const began = performance.now();
        await lines('open');
        const opened = performance.now() - began;
        await sleep(1500);
        const after = rss(server.pid);
        const idle = await paced(server, () => sleep(4000));
        const told = [];
        const telling = await paced(server, async (load) => {
            load.stdin.write('record 0\n');
            for (let i = 0; i < 10; i++) {
                await sleep(400);
                const changed = Number(process.hrtime.bigint()) / 1e6;
                load.stdin.write('record 1\n');
                if (i % 2 === 0) install(server.pluginDirectory, testPlugin('stamp'));
                else fs.rmSync(path.join(server.pluginDirectory, 'stamp.so'));
                const [, first, last] = (await lines('told')).split(' ').map(Number);
                load.stdin.write('record 0\n');
                told.push({ first: first - changed, last: last - changed, spread: last - first });
            }
        });
        console.log(`  opened in ${(opened / 1000).toFixed(1)} s; memory ${before} -> ${after} KB`);
        console.log(`  change to last told, ms: ${told.map(({ last }) => last.toFixed(0)).join(' ')} (first told to last: ${told.map(({ spread }) => spread.toFixed(0)).join(' ')})`);
        console.log(`  ordinary calls, p99 ms: quiet ${quiet.p99_ms}, beside idle streams ${idle.p99_ms}, while told ${telling.p99_ms} (of ${telling.recorded}; max ${telling.max_ms})`);
        ratio('resident memory of a stream, KB', (after - before) / COUNT, ...atMost(6), 2);
        ratio('from a change to the last stream told, ms (longest of 10)', Math.max(...told.map(({ last }) => last)), ...atMost(1000), 0);
        ratio('p99 beside idle streams / quiet', idle.p99_ms / quiet.p99_ms, ...atMost(1.3));
        ratio('p99 while the change is being told, ms', telling.p99_ms, ...atMost(10));
        client.stdin.end();
        client.kill('SIGKILL');
        children.delete(client);
        await stop(server);
    },

    async slow() {
        title('1000 connections that send one header line a second');
        const server = await mcpd([testPlugin('echo')], { http: { header_timeout_ms: 5000 } });
        const rows = [];
        for (let i = 0; i < 3; i++) {
            const quiet = await paced(server, () => sleep(5000));
            const client = streams('slow', server.port, 1000);
            const lines = reader(client);
            const began = performance.now();
            await lines('open');
            const beside = await paced(server, () => sleep(4000));
            await lines('gone');
            rows.push({ quiet: quiet.p99_ms, beside: beside.p99_ms, gone: performance.now() - began });
            children.delete(client);
        }
        console.log(`  p99 ms, quiet and beside: ${rows.map(({ quiet, beside }) => `${quiet} ${beside}`).join(', ')}`);
        ratio('p99 beside slow connections / quiet (median of 3)', median(rows.map((row) => row.beside / row.quiet)), ...atMost(1.5));
        ratio('all gone after, s (deadline 5)', Math.max(...rows.map((row) => row.gone)) / 1000, ...atMost(6), 1);
        await stop(server);
    },
};

/** The clients of streams.c; beside them the paced calls go first. */
function streams(...args) {
    const [program, ...rest] = pinned(LOAD_CORE, [path.join(B, 'tests/bench/streams'), ...args], -10).map(String);
    const client = spawn(program, rest, { stdio: ['pipe', 'pipe', 'inherit'] });
    children.add(client);
    return client;
}

/** Waits for a line that begins with a word. */
function reader(child) {
    const lines = [];
    let rest = '', wake = () => {};
    child.stdout.on('data', (part) => {
        const all = (rest + part).split('\n');
        rest = all.pop();
        lines.push(...all);
        wake();
    });
    return async (word) => {
        const end = performance.now() + 60_000;
        for (;;) {
            const at = lines.findIndex((line) => line.startsWith(word));
            if (at >= 0) return lines.splice(0, at + 1).at(-1);
            if (performance.now() > end) throw new Error(`no "${word}" from ${child.spawnargs.join(' ')}: ${lines}`);
            await Promise.race([new Promise((resolve) => (wake = resolve)), sleep(1000)]);
        }
    };
}

/** Calls of echo from 16 connections with pauses, so that neither side is
 * saturated, while `during` runs. */
async function paced(server, during) {
    const [program, ...args] = pinned(LOAD_CORE, [path.join(B, 'tests/integration/load'), server.port, 16, 2, 'echo', JSON.stringify({ text: TEXT }), TEXT], -18).map(String);
    const load = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    children.add(load);
    let text = '';
    load.stdout.on('data', (part) => (text += part));
    const ended = new Promise((resolve) => load.on('close', resolve));
    await during(load);
    load.stdin.end('stop\n');
    await ended;
    children.delete(load);
    const result = JSON.parse(text);
    if (result.failed) console.log(`      ${result.failed} calls failed: ${result.first_error}`);
    return result;
}

const wanted = process.argv.slice(2);
for (const name of wanted.length ? wanted : Object.keys(parts)) {
    if (!(name in parts)) throw new Error(`no part ${name}; there are ${Object.keys(parts).join(' ')}`);
    await parts[name]();
}
title('Summary');
console.log(`  ${os.cpus()[0].model}, ${cores} cores, Linux ${os.release()}, Node.js ${process.version}`);
for (const line of summary) console.log(line);
process.exit(0);
