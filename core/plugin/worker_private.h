/* SPDX-License-Identifier: MIT */
/* What the two halves of a link share: worker_link.c, its thread, and worker_ops.c, its
 * provider_ops; and what a test may drive by hand. */
#ifndef PLUGIN_WORKER_PRIVATE_H
#define PLUGIN_WORKER_PRIVATE_H

#include "plugin/call.h"
#include "plugin/worker_link.h"

bool link_start_thread(struct worker_link *link, struct error *err);
/* Kills what is left, reaps it and waits for the thread. */
void link_stop_thread(struct worker_link *link);

void link_worker_lost(struct worker_link *link, struct worker *worker, const struct error *why);

/* What a worker says. Sets worker->lost when a worker of ours would not say it. */
void worker_take_frame(struct worker *worker, const struct frame *frame);

#endif
