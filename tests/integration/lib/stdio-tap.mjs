// SPDX-License-Identifier: MIT
// stdio-tap.mjs DIRECTORY PROGRAM [ARGUMENT...]: runs mcpd --stdio in a client's
// place, forwards both directions and validates what mcpd says; what was found is
// left in DIRECTORY when it ends.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { LineConversation, report } from './wire.mjs';

const [directory, program, ...args] = process.argv.slice(2);
const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
const conversation = new LineConversation();
process.stdin.on('data', (bytes) => conversation.sent(bytes));
process.stdin.on('end', () => conversation.ended());
child.stdout.on('data', (bytes) => conversation.received(bytes));
process.stdin.pipe(child.stdin);
child.stdout.pipe(process.stdout);
for (const stream of [process.stdin, process.stdout, child.stdin]) stream.on('error', () => {});
/* A client that resorts to signals means the server. */
for (const name of ['SIGTERM', 'SIGINT']) process.on(name, () => child.kill(name));

child.on('close', (code, signal) => {
    fs.writeFileSync(path.join(directory, `${process.pid}.json`), JSON.stringify(report()));
    process.exitCode = code ?? (signal ? 1 : 0);
    process.stdin.destroy();
});
