/* SPDX-License-Identifier: MIT */
/*
 * Who wants to hear of changes to which resource: resources/subscribe of the
 * sessions, resourceSubscriptions of subscriptions/listen.
 *
 * A plugin that says a resource has changed waits for nobody: its URI is queued,
 * once, and a thread of this file's own tells those who watch it, a few dozen at
 * a time. Who cannot be told now (his stream is not open) is told when he can.
 *
 * Locks: watches.mutex is a leaf; nobody who answers a request needs it but those
 * who subscribe. Nothing is sent while it is held.
 */
#ifndef MCP_WATCHES_H
#define MCP_WATCHES_H

#include "base/bytes.h"

/* Of one session or stream. */
#define WATCHES_MAX 1000

struct watches;
struct watcher;

/* What is known of the owner of a watcher: a stream or a session. */
struct watcher_ops {
    void (*hold)(void *owner); /* called with the lock held */
    void (*release)(void *owner);
    /* False: not now, he has no stream. `uri` is a JSON string. Any thread, also two
     * at once. */
    bool (*tell)(void *owner, struct bytes uri);
};

enum watch_result {
    WATCH_DONE, /* or done before */
    WATCH_TOO_MANY, /* this watcher has WATCHES_MAX */
    WATCH_NO_ROOM, /* all watchers together have too much */
    WATCH_CLOSED /* the watcher has been cleared */
};

struct watches *watches_new(void);
void watches_free(struct watches *watches); /* after all watchers were cleared */

/* The resource has changed. Any thread; cheap when nobody watches it. */
void watches_updated(struct watches *watches, struct bytes uri);

/* Without an owner nobody is told until watcher_attach. The watcher is alive for as
 * long as its owner is; who frees the owner clears it first, and then frees it. */
struct watcher *watcher_new(struct watches *watches, const struct watcher_ops *ops, void *owner);
void watcher_attach(struct watcher *watcher, void *owner);
void watcher_free(struct watcher *watcher); /* NULL is allowed */

enum watch_result watcher_add(struct watcher *watcher, struct bytes uri);
void watcher_remove(struct watcher *watcher, struct bytes uri);
/* Removes all, for good: nobody is told any more. NULL is allowed. */
void watcher_clear(struct watcher *watcher);
/* Tells what could not be told when it happened. NULL is allowed. */
void watcher_catch_up(struct watcher *watcher);

#endif
