/* SPDX-License-Identifier: MIT */
/*
 * Whether providers can do their work, as their plugins say themselves
 * (<mcp/health.h>).
 *
 * Each is asked now and then, by a call like any other: on a worker, with a
 * deadline, never twice at once. What came of it is kept for those who ask mcpd, so
 * that nobody waits for a plugin. A check says nothing of calls: it neither opens the
 * breaker of a provider nor closes it, and none is made while that is open.
 *
 * The mutex is a leaf but for the allocation of memory.
 */
#ifndef PLUGIN_HEALTH_H
#define PLUGIN_HEALTH_H

#include "plugin/registry.h"

/* What is kept of a plugin's sentence. */
#define HEALTH_TEXT 400

struct health;

/* NULL: no memory. Asks nobody before it is configured. */
struct health *health_new(void);
/* Nobody is asked any more; what is under way is cancelled, and may end later. NULL is
 * allowed. */
void health_free(struct health *health);
void health_configure(struct health *health, struct config *config);

/* Asks the providers whose time has come; does not wait for them. One thread. */
void health_tick(struct health *health, const struct snapshot *snapshot);
/* Cancels what is under way, and asks nobody from now on. */
void health_stop(struct health *health);

/* The providers that could not be loaded: of each its id and why, each with a NUL. Any
 * thread. */
void health_missing(struct health *health, struct bytes list);

/* All work; some do not; none does. */
enum health_status { HEALTH_OK, HEALTH_DEGRADED, HEALTH_UNHEALTHY };

/* A JSON object of all providers, with their sentences if `messages`. Any thread. */
enum health_status health_write(struct health *health, const struct snapshot *snapshot,
                                bool messages, struct buf *out);

/* Asks one provider that has a check, and waits for the answer, which is put into
 * `text`. True: it works. For mcpd --check; needs a dispatcher. */
bool health_ask(struct provider *provider, uint32_t timeout_ms, char text[HEALTH_TEXT]);

#endif
