// SPDX-License-Identifier: MIT
// The other side of inject.c: writes rules into the page that it shares with mcpd,
// at any moment, and reads the counts. The layout is that of inject.h.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { temporaryDirectory, ROOT } from '../../integration/lib/daemon.mjs';

const SIZE = 4096;
const ALLOCATIONS = 32;
const TOTALS = 88;
const RULES_AT = 160, RULE_SIZE = 136, RULES = 8;
const CALLS = [
    'open', 'read', 'pread', 'write', 'pwrite', 'fsync', 'ftruncate', 'rename', 'unlink', 'stat', 'accept', 'recv', 'send', 'epoll_ctl',
    'epoll_wait', 'eventfd', 'pipe', 'socketpair', 'spawn', 'thread', 'poll', 'memfd', 'fcntl', 'mkdir', 'mmap', 'inotify', 'dlopen',
];
export const FROM = { program: 1, sqlite: 2, microhttpd: 4, pcre: 8, libc: 16, others: 32 };
export const ON = { files: 1, sockets: 2, pipes: 4, others: 8 };
const EVER = 2 ** 40;

export class Injector {
    constructor({ seed = 1, log = true } = {}) {
        this.file = path.join(temporaryDirectory('torture'), 'control');
        const page = Buffer.alloc(SIZE);
        page.writeBigUInt64LE(BigInt(seed), 8);
        page.writeBigUInt64LE(log ? 1n : 0n, 16);
        fs.writeFileSync(this.file, page);
        this.fd = fs.openSync(this.file, 'r+');
    }

    /** What mcpd must find in its environment. */
    get env() {
        const library = path.resolve(ROOT, process.env.B || 'build', 'tests/torture/inject.so');
        const options = process.env.ASAN_OPTIONS ? `${process.env.ASAN_OPTIONS}:` : '';
        return { TORTURE_CONTROL: this.file, LD_PRELOAD: library, ASAN_OPTIONS: `${options}verify_asan_link_order=0` };
    }

    #write(at, ...values) {
        const words = Buffer.alloc(8 * values.length);
        values.forEach((value, i) => words.writeBigUInt64LE(BigInt(value), 8 * i));
        fs.writeSync(this.fd, words, 0, words.length, at);
    }

    #read(at) {
        const word = Buffer.alloc(8);
        fs.readSync(this.fd, word, 0, 8, at);
        return Number(word.readBigUInt64LE());
    }

    /** The process that rules are for; a new one takes it over after forget(). */
    forget() {
        this.disarm();
        this.#write(0, 0);
    }

    /** Fails the allocations number `first` to `first + count - 1` from now on, or one
     * in `oneIn`, of those that come from `from`. */
    allocations({ first = 1, count = 1, oneIn = 0, from = FROM.program } = {}) {
        this.#write(ALLOCATIONS, 0);
        this.#write(ALLOCATIONS + 8, first, count, oneIn, 0, 0, 0);
        this.#write(ALLOCATIONS, from);
    }

    get allocationsSeen() {
        return this.#read(ALLOCATIONS + 32);
    }
    get allocationsFailed() {
        return this.#read(ALLOCATIONS + 40);
    }
    /** Where the last one was, as addr2line takes it. */
    get where() {
        return `0x${this.#read(ALLOCATIONS + 48).toString(16)}`;
    }

    /** Makes a system call fail: with `error` ("ENOSPC"), or by half ("short"). */
    rule(number, { call, error = 'short', first = 1, count = EVER, oneIn = 0, kinds = 0, from = 0, path: part = '' }) {
        const at = RULES_AT + number * RULE_SIZE;
        const name = Buffer.alloc(64);
        const errno = error === 'short' ? 0 : os.constants.errno[error];
        if (!CALLS.includes(call) || errno === undefined || number >= RULES) throw new Error(`no such rule: ${call} ${error}`);
        name.write(part);
        this.#write(at, 0);
        this.#write(at + 8, first, count, oneIn, errno, kinds, from, 0, 0);
        fs.writeSync(this.fd, name, 0, 64, at + 72);
        this.#write(at, CALLS.indexOf(call) + 1);
    }

    /** How often a rule has struck since it was set. */
    struck(number) {
        return this.#read(RULES_AT + number * RULE_SIZE + 64);
    }

    disarm() {
        this.#write(ALLOCATIONS, 0);
        for (let i = 0; i < RULES; i++) this.#write(RULES_AT + i * RULE_SIZE, 0);
    }

    /** Everything since the file was made. */
    get total() {
        return { allocations: this.#read(TOTALS), calls: this.#read(TOTALS + 8) };
    }
}
