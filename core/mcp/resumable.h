/* SPDX-License-Identifier: MIT */
/*
 * Streams that outlive their connection (2025-11-25, basic/transports,
 * "Resumability and Redelivery"; in part since 2025-03-26).
 *
 * A resumable is the reply that the handlers of a session's request see, between
 * them and the transport's own. As long as nothing but the answer is said, it
 * passes that on as it is. What makes the exchange an event stream makes it one
 * that is numbered: each event is kept for a while, a client that lost its
 * connection comes back with the last id it saw and gets what came after, and then
 * what comes. A disconnect says nothing about the request.
 *
 * What is kept is kept by the session, within bounds of size and age.
 *
 * Locks: replay.mutex, one for each session; it is held while the session's events
 * are given to the transport, which keeps them in order, so it stands before all
 * locks of a transport, and before session.mutex and listeners.mutex.
 */
#ifndef MCP_RESUMABLE_H
#define MCP_RESUMABLE_H

#include "mcp/request.h"

struct replay;
struct resumable;

/* What a session keeps. */
struct replay *replay_new(void);
void replay_free(struct replay *replay);
/* The session has ended: nothing is kept any more. */
void replay_end(struct replay *replay);
/* Forgets what is too old, and ends the listening streams whose client has not come
 * back. */
void replay_expire(struct replay *replay, int64_t now);

/* Whether a client that listened with GET is away, and may come back. Any thread. */
bool replay_is_lost(const struct replay *replay);

/* How much a session keeps, and for how long; for all of them. */
void replay_limit(uint32_t max_bytes, int64_t max_age_ns);

/* Puts a resumable between the request, which is of a session, and its reply:
 * request->reply is changed, and the caller releases it when the request has been
 * handled. False: nothing is changed, for lack of memory or because there are no
 * event streams here. */
bool resumable_begin(struct request *request);

/* Whether what this reply could not send is kept for its client, who may come back
 * for it. */
bool resumable_keeps(struct reply *reply);

/* The stream of a GET without Last-Event-ID, opened, which is `connection` itself where
 * there are no event streams; the caller releases it. NULL: it could not be opened. */
struct reply *resumable_listen(struct session *session, struct reply *connection);

enum resumed {
    RESUMED,
    RESUMED_LISTENS, /* it is the stream of a GET; what was not kept may be said now */
    RESUMED_ANEW, /* it was the stream of a GET, and is no more: a new one does as well */
    RESUMED_UNKNOWN, /* there is no such stream (any more) */
    RESUMED_REFUSED /* no stream could be opened */
};

/* A GET with Last-Event-ID. */
enum resumed resumable_resume(struct session *session, struct bytes last_event_id,
                              struct reply *connection);

#endif
