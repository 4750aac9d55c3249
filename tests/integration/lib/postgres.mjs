// SPDX-License-Identifier: MIT
// A PostgreSQL cluster of the tests' own (lib/postgres), stopped at the end.
import { execFileSync, spawn } from 'node:child_process';
import path from 'node:path';
import { finallyDo } from './check.mjs';
import { ROOT, temporaryDirectory } from './daemon.mjs';

const script = path.join(ROOT, 'tests/integration/lib/postgres');

export class Postgres {
    static start() {
        const postgres = new Postgres();
        postgres.host = temporaryDirectory('mcpd-pg');
        finallyDo(() => postgres.control('stop'));
        postgres.control('start');
        return postgres;
    }

    control(action) {
        execFileSync(script, [action, this.host], { stdio: ['ignore', 'inherit', 'inherit'] });
    }

    /** The same while the test goes on. */
    controlLater(action) {
        return new Promise((resolve, reject) =>
            spawn(script, [action, this.host], { stdio: ['ignore', 'inherit', 'inherit'] })
                .on('close', (code) => (code === 0 ? resolve() : reject(new Error(`postgres ${action}: ${code}`)))));
    }

    /** What psql answers as a role, without frills. */
    sql(query, role = 'admin') {
        return execFileSync('psql', ['-q', '-X', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-h', this.host, '-U', role, '-d', 'test', '-c', query],
            { encoding: 'utf8', env: { PATH: process.env.PATH } }).trim();
    }

    /** A psql that stays, for questions that must be quick. */
    open(role = 'admin') {
        return new Psql(this, role);
    }

    /** The configuration of a provider. */
    config(user = 'reader', more = {}) {
        return { host: this.host, user, database: 'test', ...more };
    }
}

class Psql {
    #waiting = [];
    #text = '';
    constructor(postgres, role) {
        this.child = spawn('psql', ['-q', '-X', '-A', '-t', '-h', postgres.host, '-U', role, '-d', 'test'],
            { stdio: ['pipe', 'pipe', 'inherit'], env: { PATH: process.env.PATH } });
        finallyDo(() => this.child.stdin.end());
        this.child.stdout.setEncoding('utf8').on('data', (text) => {
            this.#text += text;
            for (let at; (at = this.#text.indexOf('~~\n')) >= 0; this.#text = this.#text.slice(at + 3))
                this.#waiting.shift()?.(this.#text.slice(0, at).trim());
        });
    }

    ask(query) {
        return new Promise((resolve) => {
            this.#waiting.push(resolve);
            this.child.stdin.write(`${query};\n\\echo ~~\n`);
        });
    }
}
