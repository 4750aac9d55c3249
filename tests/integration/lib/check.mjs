// SPDX-License-Identifier: MIT
// The runner: test() registers, done() runs in order, prints a line for each
// test and a summary that ./run adds up. One file is one process.
import assert from 'node:assert/strict';
import { summary, takeViolations } from './wire.mjs';

export { assert };

/** Sanitizers and valgrind are slow: every time limit is multiplied by this. */
export const SCALE = Number(process.env.TEST_TIME_SCALE || 1);
/** Set when memory and time of the binary say nothing (sanitizers, valgrind). */
export const SLOW_BINARY = SCALE > 1;

/** A sanitizer's run-time stands between the plugins and the C library: what
 * mcpd learns by standing there itself cannot be asked of such a build. */
export const SANITIZED = /address|thread|undefined/.test(process.env.B || '');

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const tests = [];
const only = process.env.ONLY ? new RegExp(process.env.ONLY, 'i') : null;

/** One behaviour. `fn` throws when it is not shown. */
export function test(name, fn, { timeout = 30_000, skip = null } = {}) {
    tests.push({ name, fn, timeout, skip, kind: 'test' });
}

/** A limit that is known and documented: passes while `fn` throws, and says so
 * when the limit has gone. */
export function knownLimit(name, why, fn, { timeout = 30_000 } = {}) {
    tests.push({ name: `${name} (known limit: ${why})`, fn, timeout, kind: 'known' });
}

/** Runs at the end, whatever happened: stopping daemons. A failure counts. */
const cleanups = [];
export function finallyDo(fn) {
    cleanups.push(fn);
}

/** Runs before the last look at what mcpd sent. */
const lasts = [];
export function atEnd(fn) {
    lasts.push(fn);
}

/** What mcpd sent that is none of its revision, as an error; null: nothing. */
function wireError() {
    const list = takeViolations();
    return list.length ? new Error(`mcpd sent ${list.length === 1 ? 'a message' : `${list.length} messages`} that ${list.length === 1 ? 'is' : 'are'}\n${list.slice(0, 5).join('\n')}`) : null;
}

function withTimeout(promise, ms, name) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`not done after ${ms} ms: ${name}`)), ms);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function report(error) {
    const text = error?.stack || String(error);
    return text
        .split('\n')
        .filter((line) => !line.includes('node:internal'))
        .slice(0, 30)
        .map((line) => `      ${line}`)
        .join('\n');
}

/** Runs what was registered. Exits the process. */
export async function done() {
    const count = { passed: 0, failed: 0, skipped: 0 };
    const file = process.argv[1].split('/').pop().replace(/\.test\.mjs$/, '');
    for (const { name, fn, timeout, skip, kind } of tests) {
        if (only && !only.test(`${file}: ${name}`)) continue;
        if (skip) {
            count.skipped++;
            console.log(`skip  ${file}: ${name}: ${skip}`);
            continue;
        }
        const start = performance.now();
        let error = null;
        try {
            await withTimeout(Promise.resolve().then(fn), timeout * SCALE, name);
        } catch (caught) {
            error = caught ?? new Error('threw nothing');
        }
        error ??= wireError();
        if (kind === 'known') {
            error = error ? null : new Error('this limit has gone: make it an ordinary test');
        }
        const ms = Math.round(performance.now() - start);
        if (error) {
            count.failed++;
            console.log(`FAILED  ${file}: ${name} (${ms} ms)\n${report(error)}`);
        } else {
            count.passed++;
            console.log(`ok    ${file}: ${name} (${ms} ms)`);
        }
    }
    for (const fn of [...cleanups.reverse(), ...lasts, () => {
        const error = wireError();
        if (error) throw error;
    }]) {
        try {
            await withTimeout(Promise.resolve().then(fn), 60_000 * SCALE, 'clean-up');
        } catch (error) {
            count.failed++;
            console.log(`FAILED  ${file}: at the end\n${report(error)}`);
        }
    }
    if (summary()) console.log(`      ${file}: ${summary()}`);
    console.log(`@@ ${count.passed} ${count.failed} ${count.skipped}`);
    process.exit(count.failed ? 1 : 0);
}

process.on('unhandledRejection', (error) => {
    console.log(`FAILED  unhandled rejection\n${report(error)}`);
    console.log('@@ 0 1 0');
    process.exit(1);
});

/** Calls `fn` until it returns something true, or throws when time is up. */
export async function until(fn, ms, what, step = 10) {
    const end = performance.now() + ms * SCALE;
    for (;;) {
        const value = await fn();
        if (value) return value;
        if (performance.now() > end) throw new Error(`not within ${ms * SCALE} ms: ${what}`);
        await sleep(step);
    }
}
