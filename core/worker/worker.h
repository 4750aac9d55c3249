/* SPDX-License-Identifier: MIT */
/*
 * mcpd-worker: one plugin in a process of its own, for mcpd, which starts it
 * (plugin/worker_link.h). It loads the plugin through the in-process link and plays
 * mcpd to it: a call here is a struct call like any other, whose events are frames.
 *
 * Threads: main is the control thread (load, get_offers, reconfigure, stop); one reads
 * the socket and runs what does not block; the pool of plugin/dispatch.h runs the rest.
 * The worker trusts mcpd: what it cannot read ends it.
 *
 * It ends by _exit, for the plugin's threads may be anywhere: when mcpd says stop, when
 * mcpd has gone, and when the plugin has called exit.
 */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include "plugin/call.h"
#include "plugin/worker_wire.h"

/* Its end of the socket; the only one in the process. */
extern struct wire worker_wire;

/* Sends; if mcpd has gone, ends the process. */
void worker_send(const struct frame *frame);

/* The plugin is beyond use: tells mcpd why, and ends the process. */
_Noreturn void worker_end_broken(const char *why);

/* ---- calls.c ---- */

/* Before the first call. False: out of memory. */
bool calls_init(struct provider *provider);
/* FRAME_CALL, FRAME_CANCEL, FRAME_TASK_ANSWER, on the thread that reads. False: mcpd would
 * not say it. */
bool calls_take(const struct frame *frame);

#endif
