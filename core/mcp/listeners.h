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
#include "mcp/watches.h"

struct mcp;
struct session;
struct listener;
struct listeners;

/* The lists that change: MCP_CHANGED_* is 1 << one of these. */
enum change { CHANGE_TOOLS, CHANGE_RESOURCES, CHANGE_PROMPTS, CHANGES };
#define CHANGED_ALL (MCP_CHANGED_TOOLS | MCP_CHANGED_RESOURCES | MCP_CHANGED_PROMPTS)

struct listeners *listeners_new(struct mcp *mcp);
void listeners_free(struct listeners *listeners);

/* Makes the stream of `reply` a listener, which nobody tells of anything yet. It
 * takes over reply->gone and reply->owner, so this comes before the stream is
 * opened: a peer may leave as soon as it is. `wants` is MCP_CHANGED_*. With an id
 * (raw JSON) it speaks 2026-07-28; without, it is the stream of `session`, of which
 * it takes a reference. It takes the watcher of its resources (NULL: none), of which
 * it becomes the owner. The caller gets a reference; NULL: no memory, and nothing
 * was taken. */
struct listener *listener_new(struct listeners *listeners, struct reply *reply, uint32_t wants,
                              struct bytes id, struct session *session, struct watcher *watcher);
/* The stream is open: from now on it is told, until the peer goes or it is ended.
 * False: the peer has gone already. */
bool listener_begin(struct listener *listener);
/* The stream could not be opened: gives reply->gone and reply->owner back. */
void listener_withdraw(struct listener *listener);
/* The peer has gone. */
bool listener_is_lost(struct listener *listener);

/* Ends the stream, as its revision wants it. */
void listener_end(struct listener *listener);
struct listener *listener_ref(struct listener *listener);
void listener_unref(struct listener *listener); /* NULL is allowed */

/* Sends list_changed for each of MCP_CHANGED_* in `what` to those who want it.
 * Any thread. */
void listeners_tell(struct listeners *listeners, uint32_t what);

/* Ends all. */
void listeners_end(struct listeners *listeners);

/* How many changes of this list have been told. Somebody who remembers the number
 * can find out whether he missed one. */
uint32_t listeners_epoch(struct listeners *listeners, enum change list);

/* The notifications of MCP_CHANGED_* for one listener. False: one was dropped. */
bool listener_tell(struct listener *listener, uint32_t what);
/* The notification that a resource has changed; `uri` is a JSON string. */
bool listener_tell_updated(struct listener *listener, struct bytes uri);
/* notifications/tasks, with these members of a task. */
bool listener_tell_task(struct listener *listener, struct bytes members);
struct mcp *listener_mcp(const struct listener *listener);

#endif
