/* SPDX-License-Identifier: MIT */
/*
 * The PostgreSQL backend from inside:
 *
 *   postgres.c            the configuration, and the functions of backend.h
 *   postgres_pool.c       sessions: bounded, checked, replaced
 *   postgres_lane.c       the threads that run readers' queries
 *   postgres_connect.c    a new connection, and who may not be its role
 *   postgres_wire.c       batches of statements, and waiting for results
 *   postgres_cancel.c     telling the server to stop
 *   postgres_complain.c   what went wrong, in words
 *   postgres_statement.c  one statement of a client
 *   postgres_reading.c    what stands around a reader's, and what is kept of it
 *   postgres_kind.c       what kind of statement it is
 *   postgres_types.c      which types there are
 *   postgres_value.c      their values as JSON
 *   postgres_json.c       which JSON can stand in a result
 *   postgres_schema.c     get_schema
 *
 * A call of a reader is one batch with one synchronisation: BEGIN READ ONLY, the
 * statement, SELECT pg_advisory_unlock_all() and setseed(), DEALLOCATE ALL, ROLLBACK; the
 * statement is prepared when it comes again. So each call has a transaction and a clean
 * session, at the price of one round trip. What a statement could leave behind a transaction
 * that only read and was rolled back: settings, notifications, listening, cursors and tables
 * go with it; advisory locks of the session, the seed of random() and prepared statements do
 * not, and are let go. After an error the server skips the rest of a batch; what follows the
 * statement then is a batch of its own, whose results are read before the next ones of that
 * connection. A writer's transaction is followed by DISCARD ALL, and another seed.
 *
 * A reader's query is sent by the thread that takes the call, and ended by one of the
 * lane's; all else waits on the thread that mcpd calls it on.
 */
#ifndef DATABASE_POSTGRES_H
#define DATABASE_POSTGRES_H

#include <libpq-fe.h>
#include <pthread.h>
#include <stdatomic.h>

#include "backend.h"

struct types;
struct lane;
struct turn;
struct execution;

struct session {
    struct backend *backend;
    PGconn *pg;
    PGcancel *cancel;
    int pid; /* of the server's process; 0: something stands between it and us */
    char server[64]; /* which one, and since when it runs */
    bool is_control; /* it is the canceller's */
    int wake; /* an eventfd, written to when the call is cancelled */
    atomic_bool woken; /* it has been */
    struct job *job; /* while a call has it */
    struct turn *turn; /* of a thread of the lane that reads from it */
    int slot; /* in the lane, from 1; 0: none */
    char *last; /* the reader's statement that it ran last, if it may be kept */
    bool kept; /* it is prepared */
    int unread; /* synchronisations whose results nobody has asked for yet */
    bool in_transaction; /* a transaction of several statements */
    bool begin_first; /* ... whose BEGIN goes with its first statement */
    bool stopped; /* the statement has been cancelled, for the row cap or the job */
    bool broken; /* to be closed */
    bool partial; /* some of the next result has been read, not all */
    size_t row_bytes; /* at most that many have arrived of a row that is not whole yet */
    int64_t again_ns, pause_ns; /* when to cancel once more, and the time after that */
    int64_t grace_ns; /* when to give up waiting for what was cancelled; 0: not cancelled */
    int64_t idle_since_ns;
    struct session *next; /* among the idle */
};

/* What cancels statements, for whoever asks. */
struct canceller {
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t free; /* it is not busy any more */
    struct session *control; /* NULL: there is none now */
    bool busy; /* somebody uses it */
    struct errand *waiting;
    /* For PQcancel, which waits for the server without end. */
    pthread_t thread;
    pthread_cond_t wanted; /* a request, or the end of the thread */
    bool runs, ending;
    PGcancel *request; /* NULL: there is none */
    bool answered, told; /* the request */
    bool left; /* ... and who made it waits no more: it is the thread's */
};

#define OPTIONS_MAX 24

struct backend {
    const struct settings *settings;
    const char *keywords[OPTIONS_MAX + 1]; /* for PQconnectStartParams */
    char *values[OPTIONS_MAX + 1];
    size_t options;
    char place[300]; /* "user@host:port/database", for the log */
    int64_t min_connections;
    int64_t temp_file_limit; /* bytes */
    bool allow_privileged_role;
    struct types *types;
    struct canceller canceller;
    struct lane *lane; /* of readers */

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t freed; /* a session, or the right to open one */
    pthread_cond_t tick; /* the keeper is to look */
    struct session *idle; /* the one used last first */
    int64_t sessions; /* idle, in use, being opened */
    bool stopping;
    bool temp_warned;
    pthread_t keeper;
    bool keeps;
};

/* ---- postgres_connect.c ---- */

enum connect_end {
    CONNECT_DONE,
    CONNECT_UNREACHABLE, /* now; perhaps not later */
    CONNECT_REFUSED /* by the server or by us; trying again does not help */
};

/* Opens a connection before `deadline_ns`. `job` may be NULL. Complains when it fails;
 * with details for the operator, which are nothing for a caller. */
enum connect_end session_open(struct backend *backend, struct job *job, int64_t deadline_ns,
                              struct session **out, struct complaint *complaint);
void session_close(struct session *session);

/* ---- postgres_pool.c ---- */

bool pool_start(struct backend *backend);
void pool_stop(struct backend *backend);
struct session *pool_acquire(struct backend *backend, struct job *job);
void pool_release(struct session *session);
/* One that can be used at once. NULL: there is none. */
struct session *pool_take_idle(struct backend *backend, struct job *job);

/* ---- postgres_lane.c ---- */

struct lane *lane_new(struct backend *backend);
void lane_free(struct lane *lane);
bool lane_start(struct lane *lane);
void lane_stop(struct lane *lane); /* no call is in it */
void lane_submit(struct backend *backend, struct query *query);
/* Called by who reads from a session before it waits, or is long at it. */
void lane_leave(struct session *session);
bool lane_leads(const struct session *session);
/* It is about to be closed. */
void lane_forget(struct session *session);

/* ---- postgres_wire.c ---- */

/* What goes with a statement; all arrays have `count` elements. */
struct bound {
    int count;
    Oid *types;
    const char **values;
    int *lengths;
    int *formats;
};

/* Adds a statement to the batch, and ends a part of the batch. False: the connection is
 * broken. */
bool wire_send(struct session *session, const char *sql, const struct bound *bound);
/* The same with one that has been prepared. */
bool wire_send_prepared(struct session *session, const char *name, const struct bound *bound);
/* Prepares one. */
bool wire_prepare(struct session *session, const char *name, const char *sql);
bool wire_sync(struct session *session);

/* Waits for the next result, which may be NULL: the end of one statement's results. What
 * belongs to earlier batches is read before, and is no result here. A job that is over
 * has its statement cancelled. False: the connection is broken, or a row was too large. */
bool wire_result(struct session *session, int64_t deadline_ns, PGresult **out);
/* Reads results up to the end of the part, and drops them; an error among them is kept in
 * *error if that is not NULL. */
bool wire_finish(struct session *session, int64_t deadline_ns, PGresult **error);
/* Reads the results of a statement of ours that does not fail on a whole connection, such
 * as BEGIN. False: complained. */
bool wire_own(struct session *session);
/* Reads what nobody has asked for yet. False: broken. */
bool wire_drain(struct session *session, int64_t deadline_ns);
/* Asks the server to stop what it does. */
void wire_cancel(struct session *session);
/* True while the connection is whole, without asking the server. */
bool wire_alive(struct session *session);
/* The deadline of the job, or of what must be done in any case. */
int64_t wire_deadline(const struct session *session);

/* Bytes that can be read at once. */
size_t wire_arrived(int fd);
/* True of a table of that size; rows < 0: of any number of rows. To be asked before the
 * values are: a bad server may answer a statement of ours with anything. */
bool wire_is_table(const PGresult *result, int rows, int columns);
/* Runs statements of our own, outside of transactions. NULL: failed; the complaint has
 * what the server said. */
PGresult *wire_run(struct session *session, int64_t deadline_ns, const char *sql,
                   const struct bound *bound, struct complaint *complaint);

/* ---- postgres_cancel.c ---- */

/* Has the server told to stop what the session does. False: nobody listens there. */
bool cancel_statement(struct session *session);
/* Sees to the connection for that, which is there while it is wanted. */
void cancel_keep(struct backend *backend, bool wanted);
/* The connection, for a question that is soon answered; meanwhile nobody waits for it. NULL:
 * there is none, or it is in use. */
struct session *cancel_lend(struct backend *backend);
void cancel_take_back(struct session *control);
/* Once no call is left. */
void cancel_stop(struct backend *backend);

/* ---- postgres_complain.c ---- */

/* Of a result with an error; returns false. */
bool complain_result(struct session *session, const PGresult *result);
/* Of a connection that is broken, or a row that was too large; returns false. */
bool complain_broken(struct session *session);
/* Of a row that is too large; returns false. */
bool complain_row_size(struct session *session);
/* Of an error, with its SQLSTATE: for the operator. */
bool complain_plainly(struct complaint *complaint, const PGresult *result);

/* ---- postgres_kind.c ---- */

/* NULL, or why a statement of this kind is not for clients; by its first word, for
 * PostgreSQL takes one statement at a time from us. */
const char *statement_refusal(const char *sql, bool read_only);

/* ---- postgres_statement.c ---- */

bool postgres_execute(struct session *session, const struct statement *statement,
                      struct rows *rows);
/* The same of a reader, in two steps. NULL: complained. */
struct execution *execution_begin(struct session *session, const struct statement *statement,
                                  struct rows *rows);
/* False: broken, as execution_end will say. */
bool execution_send(struct session *session, struct execution *execution);
/* Reads the results; frees it. */
bool execution_end(struct session *session, struct execution *execution);
bool postgres_commit(struct session *session);
void postgres_rollback(struct session *session);

/* ---- postgres_reading.c ---- */

/* How a statement goes to the server: as it is; as it is, and what is kept is forgotten;
 * prepared, and kept from now on; as it is kept. */
enum reading_way { READING_PLAIN, READING_FORGET, READING_KEEP, READING_KEPT };

/* A new seed for setseed(), from -1 to 1. */
double reading_seed(void);
/* For a statement of a client. */
enum reading_way reading_way(struct session *session, const char *sql, const struct bound *bound);
/* Sends a statement in its transaction. False: broken. */
bool reading_send(struct session *session, const char *sql, const struct bound *bound,
                  enum reading_way way);
/* Reads up to where its results begin. *error: why it could not be prepared, in which case
 * it has none. False: broken. */
bool reading_begin(struct session *session, enum reading_way way, PGresult **error);
/* After the results of the statement. False: broken. */
bool reading_finish(struct session *session);

/* ---- postgres_types.c ---- */

enum type_kind {
    TYPE_TEXT, /* everything that has no better form */
    TYPE_INTEGER,
    TYPE_REAL,
    TYPE_BOOLEAN,
    TYPE_BYTES,
    TYPE_JSON,
    TYPE_ARRAY
};

struct type {
    Oid oid;
    enum type_kind kind;
    enum type_kind element; /* of an array */
    char delimiter; /* of an array */
    char name[64]; /* "": not known */
};

struct types *types_new(struct backend *backend);
void types_free(struct types *types);
/* Copies what is known into `out`, in the order of `oids`; asks the server for the rest,
 * over the canceller's connection or one of its own. */
void types_look_up(struct session *session, const Oid *oids, size_t count, int64_t deadline_ns,
                   struct type *out);

/* ---- postgres_value.c, postgres_json.c ---- */

/* Adds a value, as PostgreSQL writes it, as JSON. */
void value_add(struct text *json, const struct type *type, const char *data, size_t size);
/* True when this JSON can stand in a result as it is, and mean the same. */
bool json_embeddable(const char *data, size_t size);

/* ---- postgres_schema.c ---- */

bool postgres_schema(struct session *session, struct mcp_bytes table, struct text *json,
                     size_t max_size);

#endif
