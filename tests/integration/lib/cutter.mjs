// SPDX-License-Identifier: MIT
// A proxy for TCP that breaks connections: as a bad network would, and not as a
// client that closes politely.
import net from 'node:net';
import { finallyDo } from './check.mjs';

export class Cutter {
    connections = new Set();
    cuts = 0;

    /** `lifetime()`: after how many ms a new connection is cut; null: never. */
    static async start(port, lifetime = () => null) {
        const cutter = new Cutter();
        cutter.server = net.createServer((client) => {
            const server = net.connect(port, '127.0.0.1');
            const pair = { client, server };
            cutter.connections.add(pair);
            client.setNoDelay(true);
            server.setNoDelay(true);
            client.pipe(server);
            server.pipe(client);
            const gone = () => {
                cutter.connections.delete(pair);
                clearTimeout(pair.timer);
                client.destroy();
                server.destroy();
            };
            for (const socket of [client, server]) {
                socket.on('error', gone);
                socket.on('close', gone);
            }
            const ms = lifetime();
            if (ms !== null) pair.timer = setTimeout(() => cutter.cut(pair), ms);
        });
        await new Promise((resolve) => cutter.server.listen(0, '127.0.0.1', resolve));
        cutter.port = cutter.server.address().port;
        finallyDo(() => cutter.stop());
        return cutter;
    }

    cut(pair) {
        if (!this.connections.has(pair)) return;
        this.cuts++;
        pair.client.resetAndDestroy();
        pair.server.resetAndDestroy();
    }

    cutAll() {
        for (const pair of [...this.connections]) this.cut(pair);
    }

    stop() {
        this.server.close();
        for (const { client, server } of this.connections) {
            client.destroy();
            server.destroy();
        }
    }
}
