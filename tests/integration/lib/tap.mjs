// SPDX-License-Identifier: MIT
// Stands between a real client and mcpd: forwards the bytes both ways, untouched,
// and has every message of mcpd's validated (wire.mjs).
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { atEnd, finallyDo } from './check.mjs';
import { addReport, Conversation } from './wire.mjs';

/** Listens on a port of its own on 127.0.0.1 for `port`; resolves with it. */
export function tap(port) {
    const open = new Set();
    const server = net.createServer({ allowHalfOpen: true }, (client) => {
        const upstream = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
        const conversation = new Conversation();
        client.on('data', (bytes) => conversation.sent(bytes));
        upstream.on('data', (bytes) => conversation.received(bytes));
        upstream.on('end', () => conversation.closed());
        client.pipe(upstream);
        upstream.pipe(client);
        for (const [one, other] of [[client, upstream], [upstream, client]]) {
            open.add(one);
            one.setNoDelay(true);
            one.on('error', () => other.destroy());
            one.on('close', () => {
                open.delete(one);
                other.destroySoon();
            });
        }
    });
    finallyDo(() => {
        server.close();
        for (const socket of open) socket.destroy();
    });
    return new Promise((resolve, reject) => {
        server.on('error', reject);
        server.listen(0, '127.0.0.1', () => resolve(server.address().port));
    });
}

let reports, started = 0;
/** The same for a client that starts its server: what it starts instead. */
export function stdioTap(program, args) {
    if (!reports) {
        reports = fs.mkdtempSync(path.join(os.tmpdir(), 'mcpd-tap-'));
        atEnd(() => {
            const names = fs.readdirSync(reports);
            for (const name of names) addReport(JSON.parse(fs.readFileSync(path.join(reports, name), 'utf8')));
            fs.rmSync(reports, { recursive: true });
            if (names.length < started) throw new Error(`${started - names.length} taps have not told what they heard`);
        });
    }
    started++;
    const script = path.join(path.dirname(fileURLToPath(import.meta.url)), 'stdio-tap.mjs');
    return { command: process.execPath, args: [script, reports, program, ...args] };
}
