// SPDX-License-Identifier: MIT
// The children of an mcpd, zombies among them.
import fs from 'node:fs';

export function workers(pid) {
    const list = [];
    for (const task of fs.readdirSync(`/proc/${pid}/task`)) {
        let children = '';
        try {
            children = fs.readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8');
        } catch { /* the thread has gone */ }
        for (const child of children.split(' ').filter(Boolean)) {
            try {
                const stat = fs.readFileSync(`/proc/${child}/stat`, 'utf8');
                list.push({ pid: Number(child), state: stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3) });
            } catch { /* it has gone */ }
        }
    }
    return list;
}
