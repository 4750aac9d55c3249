/* SPDX-License-Identifier: MIT */
/*
 * Where calls run: the bounded pool of worker threads with its bounded queue,
 * the gates that keep calls of one instance or one tool apart, and the watch
 * over deadlines. One dispatcher per process.
 *
 * A gate belongs to a provider generation (calls of tools that are not
 * thread-safe: one at a time) or to a tool (its `concurrency`). A call that
 * finds its gate full waits in the gate's own line, not on a worker thread;
 * waiting calls count against the queue's bound.
 */
#ifndef PLUGIN_DISPATCH_H
#define PLUGIN_DISPATCH_H

#include "plugin/call.h"

/* Starts `workers` threads and the deadline watch. */
bool dispatch_start(uint32_t workers, uint32_t queue, struct error *err);
/* Cancels what is left, waits for it until `deadline_ns`, ends the threads. */
void dispatch_stop(int64_t deadline_ns);

struct gate *gate_new(uint32_t limit); /* 0: no limit */
struct gate *gate_ref(struct gate *gate);
void gate_unref(struct gate *gate);

/* What health and tests look at. */
struct dispatch_stats {
    uint32_t workers, busy, queued;
    uint64_t started, refused, timed_out;
};
void dispatch_stats(struct dispatch_stats *out);

/* ---- for call.c ---- */
void dispatch_run(struct call *call, struct gate *gate);
/* The call has been ended: gives its place at the gate to the next. */
void dispatch_ended(struct call *call);

#endif
