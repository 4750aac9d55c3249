/* SPDX-License-Identifier: MIT */
/* The SQLite backend from inside. */
#ifndef DATABASE_SQLITE_H
#define DATABASE_SQLITE_H

#include <pthread.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "backend.h"

struct session {
    struct backend *backend;
    sqlite3 *db;
    dev_t device; /* of the file it has open */
    ino_t inode;
    struct job *job; /* while a call has it */
    bool trusted; /* a statement of our own is being prepared */
    bool defines; /* what was prepared last makes or drops tables and the like */
    char denied[160]; /* what the authorizer last refused, and why */
    int64_t busy_since_ns; /* 0: not waiting for a lock */
    size_t work; /* of functions, since they last looked at the clock */
    bool like_matches_blobs; /* in this SQLite library */
    sqlite3 *plain; /* with SQLite's own functions; NULL: not needed yet */
    sqlite3_stmt *patch; /* of `plain`: json_patch() */
    struct session *next; /* among the idle */
};

struct backend {
    const struct settings *settings;
    char *path;
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t freed;
    struct session *idle;
    int64_t sessions; /* idle and in use */
};

/* Prepares the connection so that statements of clients can do only what they should
 * (sqlite_guard.c). */
bool guard_install(struct session *session, struct complaint *complaint);
/* Replaces functions that can be made to run for ever (sqlite_functions.c). */
int functions_install(struct session *session);
void functions_free(struct session *session);

/* Complains about `rc`; returns false. `sql` may be NULL. */
bool session_complain(struct session *session, int rc, const char *sql);

/* Prepares a statement of our own. NULL: complained. */
sqlite3_stmt *session_prepare_own(struct session *session, const char *sql);

/* sqlite_statement.c */
bool sqlite_execute(struct session *session, const struct statement *statement, struct rows *rows);

/* sqlite_schema.c */
bool sqlite_schema(struct session *session, struct mcp_bytes table, struct text *json,
                   size_t max_size);

#endif
