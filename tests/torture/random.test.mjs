// SPDX-License-Identifier: MIT
// The integration tests once more, with an mcpd whose allocations fail at random from
// some time after its start on. Their own assertions cannot hold then and do not
// count; what counts is that no mcpd crashes and no sanitizer finds anything.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { assert, done, test } from '../integration/lib/check.mjs';
import { ROOT, temporaryDirectory } from '../integration/lib/daemon.mjs';
import { Injector } from './lib/inject.mjs';

const LONG = process.env.LONG === '1';
const SEED = Number(process.env.SEED || 1);
const FILES = (process.env.FILES || (LONG ? 'http modern legacy sse input tasks resources prompts resume skills stdio reload worker daemon' : 'modern')).split(' ');
/** Whose daemons do so little that most of it is the start, which alloc.test looks at. */
const SHORT_LIVED = ['prompts', 'skills', 'stdio', 'daemon'];
const CRASH = /Sanitizer|runtime error:|"signal":"SIG(SEGV|BUS|ABRT|ILL|FPE)"|signal: 'SIG(SEGV|BUS|ABRT|ILL|FPE)'|corrupted|double free/;

for (const [i, file] of FILES.entries())
    test(`${file}.test with failing allocations`, async () => {
        const directory = temporaryDirectory('torture-random');
        const rules = new Injector({ seed: SEED + i, log: false });
        rules.allocations({ first: SHORT_LIVED.includes(file) ? 1000 : 4000, oneIn: 60 });
        let output = '';
        const child = spawn(process.execPath, [path.join(ROOT, `tests/integration/${file}.test.mjs`)], {
            cwd: ROOT, detached: true,
            env: {
                ...process.env, TORTURE_RULES: rules.file, TORTURE_DIRECTORY: directory, VERBOSE: '1', RELOADS: '30',
                TORTURE_LIBRARY: path.resolve(ROOT, process.env.B || 'build', 'tests/torture/inject.so'), MCPD_RUNNER: path.join(ROOT, 'tests/torture/under-faults'),
            },
        });
        for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
        const killer = setTimeout(() => process.kill(-child.pid, 'SIGKILL'), // its daemons too
            (LONG ? 300 : 30) * 1000);
        await new Promise((resolve) => child.on('close', resolve));
        clearTimeout(killer);
        let failed = 0, daemons = 0;
        for (const name of fs.readdirSync(directory)) {
            const page = fs.readFileSync(path.join(directory, name));
            failed += Number(page.readBigUInt64LE(88));
            daemons++;
        }
        const [, passed = 0, missed = 0] = /^@@ (\d+) (\d+)/m.exec(output) ?? [];
        console.log(`      ${file}: ${failed} allocations failed in ${daemons} daemons; of its tests ${passed} passed, ${missed} did not (which does not count)`);
        const crash = CRASH.exec(output);
        assert.equal(crash, null, crash && output.slice(Math.max(0, crash.index - 1500), crash.index + 3000));
        assert.ok(failed > 0, 'no fault was injected');
    }, { timeout: 400_000 });

await done();
