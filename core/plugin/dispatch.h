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
 *
 * One thread starts and stops it; all else may be called on any thread.
 */
#ifndef PLUGIN_DISPATCH_H
#define PLUGIN_DISPATCH_H

#include "plugin/call.h"

/* Of the threads that run plugins. Sanitizers make frames several times larger. */
#ifdef MCPD_SANITIZE
#define DISPATCH_STACK_SIZE ((size_t)0)
#else
#define DISPATCH_STACK_SIZE ((size_t)1 << 20)
#endif

/* Starts the deadline watch and the first worker; further workers, up to
 * `workers`, start when there is work for them. */
bool dispatch_start(uint32_t workers, uint32_t queue, struct error *err);
/* Cancels what is left, waits for it until `deadline_ns`, ends the threads. */
void dispatch_stop(int64_t deadline_ns);

/* A gate of a tool: at most `limit` calls that have passed and not ended; for
 * limit 0 without bound. */
struct gate *gate_new(uint32_t limit);
/* The gate of a provider: one call, whose place is given back when the plugin's
 * call_tool has returned. */
struct gate *gate_new_serial(void);
/* A gate of a tool whose calls go on to the gate `serial`. */
struct gate *gate_new_before(struct gate *serial, uint32_t limit);
struct gate *gate_ref(struct gate *gate);
void gate_unref(struct gate *gate); /* NULL is allowed */

/* What health and tests look at. */
struct dispatch_stats {
    uint32_t workers, busy, queued; /* threads; those inside a plugin; calls that wait */
    uint64_t started, refused, timed_out; /* calls; those run by the client's thread not counted */
    uint64_t overdue; /* of those that timed out: ignored it, and were answered for */
};
void dispatch_stats(struct dispatch_stats *out);

/* ---- for call.c ---- */
/* Runs it, through its gate: now, on this thread, if it does not block and there
 * is room; else on a worker, later. */
void dispatch_run(struct call *call);
/* Takes a call out that waits for a gate or a worker. False: it does not. */
bool dispatch_withdraw(struct call *call);
/* The plugin has ended it: gives its place at the gate of its tool to the next. */
void dispatch_ended(struct call *call);
/* One more that did not finish in time. */
void dispatch_count_late(void);
/* And of those, one more that was answered for after the grace. */
void dispatch_count_overdue(void);

#endif
