// SPDX-License-Identifier: MIT
// The official conformance suite against an mcpd that serves
// tests/plugins/conformance.c: every scenario of a server, one after the other,
// in each revision that asks for it. A run passes when the suite reports no
// failure and no warning and has shown something, and when every message of mcpd's
// was valid by its revision's schema; nothing is expected to fail.
//
//   suite.mjs [SCENARIO...]      only these; URL=http://... against a server that runs already
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Daemon } from '../integration/lib/daemon.mjs';
import { tap } from '../integration/lib/tap.mjs';
import { summary, takeViolations } from '../integration/lib/wire.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const suite = path.join(here, 'node_modules/@modelcontextprotocol/conformance');
const program = path.join(suite, 'dist/index.js');
const yaml = createRequire(path.join(suite, 'package.json'))('yaml');
const SCALE = Number(process.env.TEST_TIME_SCALE || 1);
const TIMEOUT = 30_000 * SCALE;

/** Runs a program; its output, its end. */
function run(args) {
    return new Promise((resolve) => {
        const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
        let output = '';
        const add = (text) => (output += text);
        child.stdout.on('data', add);
        child.stderr.on('data', add);
        /* The suite's own children would outlive it: the whole group goes. */
        const timer = setTimeout(() => process.kill(-child.pid, 'SIGKILL'), TIMEOUT + 10_000);
        child.on('close', (code, signal) => {
            clearTimeout(timer);
            resolve({ code, signal, output });
        });
    });
}

/** All that there is to run: what each revision requires or lists for servers,
 * and the scenarios that no revision's list names. */
async function plan() {
    const runs = [];
    for (const file of fs.readdirSync(path.join(suite, 'requirements')).sort()) {
        const revision = path.basename(file, '.yaml');
        const lists = yaml.parse(fs.readFileSync(path.join(suite, 'requirements', file), 'utf8'));
        for (const scenario of lists.server ?? []) runs.push({ scenario, revision });
        for (const entry of lists.not_scored ?? [])
            if (entry.leg === 'server') runs.push({ scenario: entry.scenario, revision });
    }
    const known = new Set(runs.map((one) => one.scenario));
    const { output } = await run([program, 'list', '--server']);
    for (const [, scenario, tags] of output.matchAll(/^\s+- (\S+) \[([^\]]*)\]/gm))
        if (!known.has(scenario))
            runs.push({
                scenario,
                revision: tags.split(',').includes('extension') ? '2026-07-28' : tags.split(',').at(-1),
            });
    return runs;
}

function findChecks(directory) {
    for (const entry of fs.readdirSync(directory, { withFileTypes: true, recursive: true }))
        if (entry.name === 'checks.json')
            return JSON.parse(fs.readFileSync(path.join(entry.parentPath, entry.name), 'utf8'));
    return null;
}

/** 'ok', 'skip' or 'FAILED', and the lines that say why. */
async function one(url, { scenario, revision }) {
    const out = fs.mkdtempSync(path.join(os.tmpdir(), 'conformance-'));
    try {
        const { code, signal, output } = await run([
            program, 'server', '--url', url, '--scenario', scenario, '--spec-version', revision,
            '--force', '--timeout', String(TIMEOUT), '-o', out,
        ]);
        const checks = findChecks(out);
        if (checks === null)
            return ['FAILED', [`no checks.json (status ${code ?? signal})`, ...output.split('\n').slice(-15)]];
        const bad = checks.filter((check) => check.status === 'FAILURE' || check.status === 'WARNING');
        if (bad.length > 0)
            return ['FAILED', bad.map((check) => `${check.status} ${check.id}: ${check.errorMessage ?? check.description ?? ''}`)];
        if (code !== 0) return ['FAILED', [`status ${code ?? signal}`, ...output.split('\n').slice(-15)]];
        const shown = checks.some((check) => check.status === 'SUCCESS' && check.id !== 'wire-schema-valid');
        if (shown) return ['ok', []];
        /* A scenario that leaves out all of its own checks is no result. */
        const left = checks.filter((check) => check.status === 'SKIPPED').map((check) => check.errorMessage ?? check.description);
        return left.length > 0 ? ['skip', left.slice(0, 1)] : ['FAILED', ['nothing was checked']];
    } finally {
        fs.rmSync(out, { recursive: true, force: true });
    }
}

const wanted = process.argv.slice(2);
const runs = (await plan()).filter(({ scenario }) => wanted.length === 0 || wanted.includes(scenario));
const daemon = process.env.URL ? null : await Daemon.start({ plugins: ['conformance'] });
const url = process.env.URL ?? `http://127.0.0.1:${await tap(daemon.port)}/mcp`;
const count = { ok: 0, skip: 0, FAILED: 0 };
for (const each of runs) {
    const start = performance.now();
    let [result, why] = await one(url, each);
    const violations = takeViolations();
    if (violations.length > 0) [result, why] = ['FAILED', [...why, ...violations.map((one) => `mcpd sent a message that is ${one}`)]];
    count[result]++;
    const ms = Math.round(performance.now() - start);
    console.log(`${result.padEnd(8)}${each.scenario} ${each.revision} (${ms} ms)`);
    for (const line of why) console.log(`      ${line}`);
}
let sound = true;
if (daemon) {
    try {
        await daemon.stop();
    } catch (error) {
        sound = false;
        count.FAILED++;
        console.log(`FAILED mcpd's end: ${error.message}`);
    }
}
if (summary()) console.log(summary());
console.log(`${count.ok} passed, ${count.FAILED} failed${count.skip ? `, ${count.skip} skipped` : ''}`);
process.exit(count.FAILED === 0 && count.ok > 0 && sound ? 0 : 1);
