/* SPDX-License-Identifier: MIT */
/*
 * The long-lived streams on which clients hear of changes: subscriptions/listen
 * of 2026-07-28 and the GET streams of the sessions before it.
 *
 * Telling ten thousand of them takes a while, so nobody else waits for it: the
 * list is walked a few dozen at a time, and its mutex is held only to take them.
 *
 * Locks: the mutex of listeners.c is a leaf. Nothing is sent while it is held.
 */
#ifndef MCP_LISTENERS_H
#define MCP_LISTENERS_H

#include <mcp/plugin.h>

#include "mcp/message.h"

struct session;
struct listener;
struct listeners;

struct listeners *listeners_new(void);
void listeners_free(struct listeners *listeners);

/* Adds the stream of `reply`, which must be open, and takes over reply->gone
 * and reply->owner: when the peer goes the listener goes too. `wants` is
 * MCP_CHANGED_*. With an id (raw JSON) it speaks 2026-07-28; without, it is the
 * stream of `session`, of which it takes a reference. The caller gets a
 * reference; NULL: no memory. */
struct listener *listeners_add(struct listeners *listeners, struct reply *reply, uint32_t wants,
                               struct bytes id, struct session *session);

/* Ends the stream, as its revision wants it. */
void listener_end(struct listener *listener);
struct listener *listener_ref(struct listener *listener);
void listener_unref(struct listener *listener); /* NULL is allowed */

/* Sends list_changed for each of MCP_CHANGED_* in `what` to those who want it.
 * Any thread. */
void listeners_tell(struct listeners *listeners, uint32_t what);

/* Ends all. */
void listeners_end(struct listeners *listeners);

/* How many changes have been told. Somebody who remembers the number can find
 * out whether he missed one. */
uint32_t listeners_epoch(struct listeners *listeners);

/* The notification of one MCP_CHANGED_* for one listener. */
bool listener_tell(struct listener *listener, uint32_t what);

#endif
