/* SPDX-License-Identifier: MIT */
/*
 * Sessions of the revisions that have them (2024-11-05 to 2025-11-25): what
 * initialize agreed on, by an id nobody can guess.
 *
 * Locks: sessions.mutex (the table), then session.mutex (one session). Neither
 * is held while anything is sent or called.
 */
#ifndef MCP_SESSIONS_H
#define MCP_SESSIONS_H

#include <pthread.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "mcp/listeners.h"
#include "mcp/revision.h"
#include "plugin/call.h"

struct invocation;
struct replay;

#define SESSION_ID_SIZE 43 /* 32 random bytes in base64url */

struct session {
    char id[SESSION_ID_SIZE + 1];
    const struct revision *revision;
    char *capabilities; /* the client's: a JSON object */
    size_t held; /* in the budget */
    atomic_uint references;
    struct replay *replay; /* what its streams keep: resumable.h */
    atomic_int log_level; /* the least urgent MCP_LOG_* to send */
    atomic_uint epochs[CHANGES]; /* of the listeners, when the client last knew the list */
    _Atomic int64_t used_ns; /* when it last said something */

    pthread_mutex_t mutex; /* guards what follows */
    struct listener *stream; /* its GET stream; NULL: none */
    struct watcher *watcher; /* of the resources it subscribed to; NULL: none yet */
    struct invocation *invocations; /* in flight */
    bool ended;

    struct session *next; /* in the table */
};

struct sessions;

struct sessions *sessions_new(void);
void sessions_free(struct sessions *sessions);
void sessions_limit(struct sessions *sessions, uint32_t max, int64_t idle_ns);

/* A new session, with a reference for the caller, of a client that knows the lists
 * as they are. `capabilities`: the client's, a JSON object. NULL: there are too many
 * that are in use, or no memory. */
struct session *sessions_begin(struct sessions *sessions, const struct revision *revision,
                               struct bytes capabilities, struct listeners *listeners);
/* The session with this id, with a reference, or NULL. Counts as use. */
struct session *sessions_find(struct sessions *sessions, struct bytes id);
/* Forgets it and ends its stream. */
void sessions_end(struct sessions *sessions, struct session *session);
/* Ends those that have been idle for too long. */
void sessions_expire(struct sessions *sessions);

struct session *session_ref(struct session *session);
void session_unref(struct session *session); /* NULL is allowed */

/* Makes `stream` the session's one stream (taking the reference) and ends the
 * one before: a message goes to one stream only. False: the session has ended. */
bool session_set_stream(struct session *session, struct listener *stream);
/* The stream has gone by itself; forgets it if it is still the session's. */
void session_lose_stream(struct session *session, struct listener *stream);
/* Its stream, with a reference, or NULL. */
struct listener *session_stream(struct session *session);
/* What tells it of resources. Made now if need be, unless `watches` is NULL. NULL: there
 * is none, or the session has ended, or no memory. */
struct watcher *session_watcher(struct session *session, struct watches *watches,
                                const struct watcher_ops *ops);
/* The client knows the list as it was at this epoch. */
void session_told(struct session *session, enum change list, uint32_t epoch);
/* MCP_CHANGED_* of the lists that have changed since. */
uint32_t session_missed(const struct session *session, struct listeners *listeners);

#endif
