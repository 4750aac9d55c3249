/* SPDX-License-Identifier: MIT */
/*
 * One end of the socket between mcpd and a worker process: frames in, frames out.
 *
 * Any thread may send; a frame goes to the kernel at once, on the thread that sends
 * it, for it is the hand-over to another thread that costs. mcpd's end never waits:
 * what the socket does not take is kept, up to a bound, until it is writable. The
 * worker's end waits, which is how a plugin that talks too much is slowed down.
 *
 * Large texts go the same way, copied once into the kernel and once out of it, with no
 * copy of ours between. Handing over a sealed memfd (SCM_RIGHTS, mapped by the receiver,
 * for what a plugin may still change mcpd cannot check) was measured against that, a round
 * trip of one text there and back, each looked through once, on one core: 64 KiB 24 us by
 * the socket and 170 us by memfd, 256 KiB 127 and 735, 1 MiB 540 and 2718. Fresh pages are
 * dearer than copying into warm ones.
 *
 * One thread receives. It takes as many frames with one system call as there are.
 */
#ifndef PLUGIN_WORKER_WIRE_H
#define PLUGIN_WORKER_WIRE_H

#include <pthread.h>
#include <stdatomic.h>

#include "plugin/worker_frame.h"

struct wire {
    int fd;
    bool waits; /* the worker's end */
    enum frame_sender peer;
    atomic_size_t max; /* of a frame that is received */

    pthread_mutex_t mutex; /* guards the next five; a leaf; held while the kernel copies */
    struct buf out; /* what has not been sent, */
    size_t out_start; /* from here on */
    bool held; /* wire_hold: what this thread sends is collected */
    pthread_t holder;
    bool broken; /* the other end has gone */

    /* The receiving thread's own. */
    char *in;
    size_t start, end, capacity;
    unsigned small_ones; /* receptions since a large frame */
};

/* Takes the descriptor. */
void wire_init(struct wire *wire, int fd, bool waits, enum frame_sender peer, size_t max);
void wire_free(struct wire *wire);

enum wire_sent { WIRE_SENT, WIRE_KEPT, WIRE_FULL, WIRE_BROKEN };

/* KEPT: call wire_flush when the socket is writable. FULL and BROKEN: the other
 * end will not see the frame. */
enum wire_sent wire_send(struct wire *wire, const struct frame *frame);

/* The same where many are sent one after the other: wire_flush sends them together, which
 * spares both ends most of their system calls and switches. KEPT: call wire_flush soon, each
 * thread for itself; SENT: there was no room to gather, and it has gone. */
enum wire_sent wire_gather(struct wire *wire, const struct frame *frame);

/* Sends what was kept, as far as it goes. KEPT: not all. */
enum wire_sent wire_flush(struct wire *wire);

/* The worker's end: what this thread sends from now on is collected until wire_flush, or
 * until another sends. For the time of one round of the receiver. */
void wire_hold(struct wire *wire);

enum wire_got { WIRE_SOME, WIRE_NOTHING, WIRE_CLOSED };

/* Takes what there is. NOTHING: mcpd's end only. */
enum wire_got wire_receive(struct wire *wire);
/* The next frame of what was received, valid until wire_receive; as frame_read. */
enum frame_read wire_next(struct wire *wire, struct frame *frame, const char **fault);

#endif
