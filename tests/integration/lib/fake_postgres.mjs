// SPDX-License-Identifier: MIT
// A server that speaks PostgreSQL's protocol on a Unix socket and answers what a test
// wants: what a hostile or broken one might say.
import net from 'node:net';
import path from 'node:path';
import { finallyDo } from './check.mjs';
import { temporaryDirectory } from './daemon.mjs';

/** A message of the server; `parts` are bytes, and text with its NUL. */
export function message(type, ...parts) {
    const body = Buffer.concat(parts.map((part) => (Buffer.isBuffer(part) ? part : Buffer.from(`${part}\0`))));
    const head = Buffer.alloc(5, type);
    head.writeUInt32BE(body.length + 4, 1);
    return Buffer.concat([head, body]);
}
const int16 = (n) => Buffer.from([n >> 8, n]);
const int32 = (n) => Buffer.from([n >> 24, n >> 16, n >> 8, n]);

const field = (oid) => Buffer.concat([Buffer.from('c\0'), int32(0), int16(0), int32(oid), int16(-1), int32(-1), int16(0)]);
const cell = (value) => (value === null ? int32(-1) : Buffer.concat([int32(Buffer.byteLength(value)), Buffer.from(value)]));

/** A table of `columns` columns of a type; rows of strings or null. */
export const table = (columns, rows, oid = 25) => Buffer.concat([
    message('T', int16(columns), ...Array.from({ length: columns }, () => field(oid))),
    ...rows.map((row) => message('D', int16(row.length), ...row.map(cell))),
    message('C', `SELECT ${rows.length}`),
]);
export const command = (tag) => Buffer.concat([message('n'), message('C', tag)]);
/** What libpq takes for the beginning of a COPY FROM STDIN. */
export const COPY_IN = message('G', Buffer.from([0]), int16(0));
export const NOTHING = Buffer.alloc(0);

/** What mcpd's own statements are answered with by a server that is whole. */
export function goodAnswer(sql, { pid }) {
    if (sql.includes('temp_file_limit\'')) return table(5, [[null, 'reader', String(pid), 'long ago', '0']]);
    if (sql.includes('pg_prepared_statement()')) return table(3, [['', '', 'f']]);
    if (sql.includes('pg_advisory_unlock_all')) return table(2, [['', '']]);
    if (sql.includes('pg_cancel_backend')) return table(1, []);
    if (/^SELECT/.test(sql)) return table(1, [['1']]);
    return command(sql.split(' ')[0]);
}

export class FakePostgres {
    #pid = 1000;
    sockets = new Set();

    /**
     * answer(sql, {pid, bound, fail}): the messages of a statement; undefined: goodAnswer's;
     * null: none, and nothing else before fail(SQLSTATE). greet(socket): instead of a whole
     * handshake. cancel(socket): what to do with who asks to cancel.
     */
    static async start({ answer = () => undefined, greet = null, cancel = (socket) => socket.destroy() } = {}) {
        const fake = new FakePostgres();
        Object.assign(fake, { answer, greet, cancel, host: temporaryDirectory('mcpd-fakepg') });
        fake.server = net.createServer((socket) => fake.#serve(socket));
        await new Promise((resolve) => fake.server.listen(path.join(fake.host, '.s.PGSQL.5432'), resolve));
        finallyDo(() => fake.stop());
        return fake;
    }

    /** Of a provider. */
    config(more = {}) {
        return { host: this.host, user: 'reader', database: 'test', ...more };
    }

    #serve(socket) {
        const session = { pid: ++this.#pid, socket, statements: new Map(), begun: false };
        session.fail = (state) => {
            session.silent = false;
            socket.write(Buffer.concat([message('E', 'SERROR', `C${state}`, 'Mfailed', Buffer.from([0])), message('Z', Buffer.from('I'))]));
        };
        let bytes = NOTHING;
        this.sockets.add(socket);
        socket.on('error', () => {}).on('close', () => this.sockets.delete(socket));
        socket.on('data', (data) => {
            bytes = Buffer.concat([bytes, data]);
            for (;;) {
                const type = session.begun ? 1 : 0; // the first message has none
                if (bytes.length < type + 4) return;
                const end = type + bytes.readUInt32BE(type);
                if (bytes.length < end) return;
                const taken = bytes.subarray(0, end);
                bytes = bytes.subarray(end);
                if (session.begun) this.#take(session, String.fromCharCode(taken[0]), taken.subarray(5));
                else this.#begin(session, taken);
            }
        });
    }

    #begin(session, startup) {
        const { socket, pid } = session;
        session.begun = true;
        if (startup.readUInt32BE(4) >> 16 !== 3) return this.cancel(socket);
        if (this.greet) return this.greet(socket);
        socket.write(Buffer.concat([message('R', int32(0)), message('S', 'server_version', '15.0'),
            message('S', 'client_encoding', 'UTF8'), message('K', int32(pid), int32(1)), message('Z', Buffer.from('I'))]));
    }

    #take(session, type, body) {
        const { socket, statements } = session;
        const texts = body.toString('latin1').split('\0');
        if (session.silent) return;
        if (type === 'P') {
            statements.set(texts[0], texts[1]);
            socket.write(message('1'));
        } else if (type === 'B') {
            session.sql = statements.get(texts[1]);
            session.bound = body; // with the parameters
            socket.write(message('2'));
        } else if (type === 'E') {
            const answer = this.answer(session.sql, session);
            session.silent = answer === null;
            if (!session.silent) socket.write(answer ?? goodAnswer(session.sql, session));
        } else if (type === 'S') {
            socket.write(message('Z', Buffer.from('I')));
        }
    }

    stop() {
        this.server.close();
        for (const socket of this.sockets) socket.destroy();
    }
}
