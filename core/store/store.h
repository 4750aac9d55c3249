/* SPDX-License-Identifier: MIT */
/*
 * What mcpd keeps beyond its own life: tasks, for now. Where it is kept is
 * behind struct store_backend (store/backend.h); nobody above knows.
 *
 * Everything is asynchronous: a function puts its work in line and returns, and
 * one thread of the store does it in that order and then calls back. What waits
 * in line is written in one transaction. A callback runs on the store's thread
 * and must not wait for the store; it may put further work in line.
 *
 * Lock: the store's mutex is a leaf, so that work may be put in line under any
 * other mutex, in the order of what that guards.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/bytes.h"
#include "base/error.h"

struct store;

enum task_status { TASK_WORKING, TASK_INPUT_REQUIRED, TASK_COMPLETED, TASK_FAILED, TASK_CANCELLED };

/* Whether it has come to its end. */
static inline bool task_status_is_final(enum task_status status)
{
    return status >= TASK_COMPLETED;
}

/* One task as it is kept. Times are milliseconds since 1970. */
struct store_task {
    struct bytes id;
    enum task_status status;
    bool started; /* the provider has been entered, perhaps in an earlier life of mcpd */
    int64_t created_ms, updated_ms;
    int64_t ttl_ms; /* from created_ms; then it may be forgotten */
    /* To whom it belongs; both empty: to whoever knows its id. */
    struct bytes subject, issuer;
    struct bytes revision; /* "2026-07-28" */
    struct bytes capabilities; /* the client's, a JSON object */
    struct bytes request; /* the JSON-RPC request; empty at the end of a task */
    /* What the client sees besides: the result, the error, the input requests; JSON
     * or empty. */
    struct bytes payload;
    struct bytes inside; /* what mcpd remembers for the next call; JSON or empty */
    struct bytes message; /* for people; may be empty */
};

/* Opens what `url` names: "sqlite:///var/lib/mcp/state.db" (made when it is not
 * there) or "memory:" (gone with the process). `max_bytes` is the most it may
 * take; 0: no bound. */
struct store *store_open(const char *url, uint64_t max_bytes, struct error *err);
/* Whether it could be opened, as far as that can be told without doing it: the form of
 * the URL, and a directory that exists and may be written, as may the file in it. */
bool store_check(const char *url, struct error *err);
/* Does what waits in line, calls back, and closes. NULL is allowed. */
void store_close(struct store *store);

/* Whether what it keeps survives the process. */
bool store_is_durable(const struct store *store);

/* ---- tasks ---- */

/* The work has been done, durably; or has failed, and `failure` says why. */
typedef void store_done(void *context, const struct error *failure);

/* What follows puts work in line and never calls back before it returns: callers hold
 * locks that the callbacks take. False: not put in line, out of memory; then nothing
 * calls back. */

/* Adds a task, or changes one: everything but id, created_ms, subject, issuer,
 * revision, capabilities, and request, which a final status empties. All bytes
 * are copied. `done` may be NULL. */
bool store_add_task(struct store *store, const struct store_task *task, store_done *done,
                    void *context);
bool store_change_task(struct store *store, const struct store_task *task, store_done *done,
                       void *context);

/* Looks a task up. `task` is valid during the callback; NULL: there is none, or,
 * with a failure, nobody knows. */
typedef void store_found(void *context, const struct store_task *task, const struct error *failure);
bool store_find_task(struct store *store, struct bytes id, store_found *found, void *context);

/* Forgets final tasks whose time is over; *removed says how many that were. */
typedef void store_expired(void *context, size_t removed, const struct error *failure);
bool store_expire_tasks(struct store *store, int64_t now_ms, store_expired *expired, void *context);

/* Shows every task that is not final, oldest first, and counts all that there
 * are. Waits: for the start. `visit` returning false ends it with false. */
bool store_load_tasks(struct store *store, bool (*visit)(void *context, const struct store_task *),
                      void *context, size_t *count, struct error *err);

#endif
