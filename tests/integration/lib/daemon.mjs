// SPDX-License-Identifier: MIT
// mcpd in a directory of its own: started with a generated configuration on a
// port of the kernel's choice, stopped by its pid, its log watched.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert, finallyDo, SCALE, until } from './check.mjs';

export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
const fromRoot = (value) => path.resolve(ROOT, value);

const B = process.env.B || 'build';
export const MCPD = fromRoot(process.env.MCPD || `${B}/mcpd`);
export const MCPCTL = fromRoot(`${B}/mcpctl`);
export const PLUGINS = fromRoot(process.env.PLUGINS || `${B}/plugins`);
export const TEST_PLUGINS = fromRoot(process.env.TEST_PLUGINS || `${B}/tests/plugins`);
export const TOOLS = fromRoot(`${B}/tests/integration`);
/** "valgrind -q ..." and the like. */
export const WRAPPER = (process.env.MCPD_RUNNER || '').split(' ').filter(Boolean);
/** [program, arguments] of mcpd with such. */
export function wrapped(args, wrap = true) {
    const line = [...(wrap ? WRAPPER : []), MCPD, ...args];
    return [line[0], line.slice(1)];
}
/** valgrind 3.19 has no openat2(2) (tests/valgrind/openat2.c). */
const HELP = WRAPPER.includes('valgrind') ? { LD_PRELOAD: fromRoot(`${B}/tests/valgrind/openat2.so`) } : {};
export const ENVIRONMENT = { ...process.env, ...HELP };
/** libgit2 has no frame pointers, and suppressions go by names: slow, so only for it. */
const LEAKS = /address/.test(B)
    ? { LSAN_OPTIONS: `suppressions=${fromRoot('tests/lsan.supp')}:print_suppressions=0`, ASAN_OPTIONS: `fast_unwind_on_malloc=0:${process.env.ASAN_OPTIONS || ''}` }
    : {};

/** Where providers run of which a test does not say it; "process": in worker processes. */
export const ISOLATION = process.env.TEST_ISOLATION || 'inproc';

export const FAULT =
    /(AddressSanitizer|ThreadSanitizer|LeakSanitizer|UndefinedBehaviorSanitizer|MemorySanitizer|runtime error:|==\d+== ?(ERROR|Invalid|Conditional|Use of uninit|\d+ bytes in .* definitely lost))/;

export function temporaryDirectory(label = 'mcpd') {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), `${label}-test-`));
    if (!process.env.KEEP) finallyDo(() => fs.rmSync(directory, { recursive: true, force: true }));
    return directory;
}

/** The file of a plugin that the build made. */
export function pluginFile(name) {
    for (const directory of [TEST_PLUGINS, PLUGINS]) {
        const file = path.join(directory, `${name}.so`);
        if (fs.existsSync(file)) return file;
    }
    throw new Error(`no ${name}.so in ${TEST_PLUGINS} or ${PLUGINS}: run make test-plugins`);
}

export class Daemon {
    lines = [];
    #partial = '';
    #waiters = new Set();
    exit = null;

    /**
     * plugins: names of plugin files to put into the directory before the start.
     * config: members of mcpd.json, merged over the defaults of the tests.
     * providersD: {name: object} for providers.d.
     */
    constructor({ plugins = [], config = {}, providersD = {}, args = [], env = {}, wrap = true } = {}) {
        this.directory = temporaryDirectory();
        this.pluginDirectory = path.join(this.directory, 'plugins');
        this.configFile = path.join(this.directory, 'mcpd.json');
        this.staging = path.join(this.directory, 'staging');
        fs.mkdirSync(this.pluginDirectory, { mode: 0o755 });
        fs.mkdirSync(this.staging);
        fs.mkdirSync(path.join(this.directory, 'providers.d'));
        this.args = args;
        this.env = env;
        this.wrap = wrap;
        for (const name of plugins) this.install(name);
        this.config = config;
        for (const [name, value] of Object.entries(providersD)) this.provider(name, value);
        this.writeConfig(config);
    }

    static async start(options) {
        const daemon = new Daemon(options);
        await daemon.start();
        return daemon;
    }

    /** Writes mcpd.json; counts at the start or after reload(). */
    writeConfig(config = this.config) {
        this.config = config;
        const whole = {
            ...config,
            listen: config.listen ?? [{ address: '127.0.0.1', port: 0 }],
            // Most tests are about plugins in mcpd's own process; those about workers say so.
            plugins: { directory: this.pluginDirectory, default_isolation: ISOLATION, ...config.plugins },
        };
        this.writeFile(this.configFile, JSON.stringify(whole, null, 2));
    }

    writeFile(file, text) {
        const temporary = path.join(this.staging, 'file');
        fs.writeFileSync(temporary, text);
        fs.renameSync(temporary, file);
    }

    /** Writes providers.d/NAME.json, or removes it (null). */
    provider(name, value) {
        const file = path.join(this.directory, 'providers.d', `${name}.json`);
        if (value === null) fs.rmSync(file);
        else this.writeFile(file, JSON.stringify(value, null, 2));
    }

    path(name) {
        return path.join(this.pluginDirectory, `${name}.so`);
    }

    /** Puts a plugin into the directory as it should be done: by rename. */
    install(name, source = pluginFile(name)) {
        const temporary = path.join(this.staging, 'plugin');
        if (Buffer.isBuffer(source)) fs.writeFileSync(temporary, source);
        else fs.copyFileSync(source, temporary);
        fs.chmodSync(temporary, 0o755);
        fs.renameSync(temporary, this.path(name));
    }

    remove(name) {
        fs.rmSync(this.path(name));
    }

    command(extra = []) {
        return wrapped(['-c', this.configFile, ...this.args, ...extra], this.wrap);
    }

    async start() {
        const [program, args] = this.command();
        this.child = spawn(program, args, {
            cwd: this.directory,
            env: { ...ENVIRONMENT, ...(fs.existsSync(this.path('git')) ? LEAKS : {}), ...this.env },
            stdio: ['ignore', 'pipe', 'pipe'],
        });
        this.pid = this.child.pid;
        for (const stream of [this.child.stdout, this.child.stderr]) {
            stream.setEncoding('utf8');
            stream.on('data', (text) => this.#read(text));
        }
        this.exited = new Promise((resolve) => {
            this.child.on('error', (error) => {
                this.exit = { error };
                resolve(this.exit);
            });
            this.child.on('close', (code, signal) => {
                this.exit = { code, signal };
                for (const wake of this.#waiters) wake();
                resolve(this.exit);
            });
        });
        finallyDo(() => this.kill());
        const line = await this.waitLog(/listening on .*:(\d+)/, 10_000);
        this.port = Number(/listening on .*:(\d+)/.exec(line)[1]);
        return this;
    }

    #read(text) {
        if (process.env.VERBOSE) process.stderr.write(text);
        const parts = (this.#partial + text).split('\n');
        this.#partial = parts.pop();
        this.lines.push(...parts);
        for (const wake of this.#waiters) wake();
    }

    /** How many lines there are: a place to wait from. */
    get mark() {
        return this.lines.length;
    }

    /** The first line after `from` that matches; throws when it does not come. */
    async waitLog(pattern, ms = 5_000, from = 0) {
        const end = performance.now() + ms * SCALE;
        for (let at = from; ; ) {
            for (; at < this.lines.length; at++) if (pattern.test(this.lines[at])) return this.lines[at];
            const left = end - performance.now();
            if (this.exit || left <= 0)
                throw new Error(
                    `${this.exit ? `mcpd has ended (${JSON.stringify(this.exit)})` : `not within ${ms * SCALE} ms`}: ` +
                        `no line matches ${pattern}; the log since then:\n${this.lines.slice(from).slice(-40).join('\n')}`);
            let timer;
            await new Promise((resolve) => {
                const wake = () => {
                    clearTimeout(timer);
                    this.#waiters.delete(wake);
                    resolve();
                };
                this.#waiters.add(wake);
                timer = setTimeout(wake, Math.min(left, 1000));
            });
        }
    }

    logSince(mark) {
        return this.lines.slice(mark).join('\n');
    }

    signal(name) {
        process.kill(this.pid, name);
    }

    /** SIGHUP; settles when the daemon says that it has done it. */
    reload() {
        this.signal('SIGHUP');
    }

    /** Stops by SIGTERM and asserts a clean end. */
    async stop({ signal = 'SIGTERM', ms = 15_000 } = {}) {
        if (!this.child || this.stopped) return this.exit;
        this.stopped = true;
        if (!this.exit) this.signal(signal);
        await until(() => this.exit, ms, `mcpd to end after ${signal}; its log:\n${this.lines.slice(-20).join('\n')}`);
        assert.deepEqual(this.exit, { code: 0, signal: null },
            `mcpd must end with 0 after ${signal}; its log:\n${this.lines.slice(-30).join('\n')}`);
        this.assertNoFault();
        return this.exit;
    }

    assertNoFault() {
        if (this.mayCrash) return;
        const at = this.lines.findIndex((line) => FAULT.test(line));
        assert.equal(at, -1, `a fault was reported:\n${this.lines.slice(Math.max(0, at), at + 40).join('\n')}`);
    }

    /** The last resort of the clean-up: only this very process. */
    async kill() {
        if (!this.exit && this.child && this.child.exitCode === null) {
            try {
                await this.stop();
            } finally {
                if (!this.exit) this.child.kill('SIGKILL');
            }
        }
        this.assertNoFault();
    }
}
