// SPDX-License-Identifier: MIT
// What /proc says of a process.
import fs from 'node:fs';

export const descriptors = (pid) => fs.readdirSync(`/proc/${pid}/fd`).length;
export const threads = (pid) => fs.readdirSync(`/proc/${pid}/task`).length;
/** Their names, for messages. */
export const threadNames = (pid) =>
    fs.readdirSync(`/proc/${pid}/task`).map((tid) => {
        try {
            return fs.readFileSync(`/proc/${pid}/task/${tid}/comm`, 'utf8').trim();
        } catch {
            return '(gone)';
        }
    });
export const mappings = (pid) =>
    fs.readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n').filter(Boolean);
export const alive = (pid) => fs.existsSync(`/proc/${pid}`);

/** What each descriptor is, for messages when the number has grown. */
export function descriptorNames(pid) {
    return fs.readdirSync(`/proc/${pid}/fd`).map((fd) => {
        try {
            return `${fd} ${fs.readlinkSync(`/proc/${pid}/fd/${fd}`)}`;
        } catch {
            return `${fd} (gone)`;
        }
    });
}

/** Resident memory in bytes. */
export function rss(pid) {
    const match = /^VmRSS:\s+(\d+) kB$/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
    return Number(match[1]) * 1024;
}
