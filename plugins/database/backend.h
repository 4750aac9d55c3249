/* SPDX-License-Identifier: MIT */
/*
 * The database plugin from inside: what the tools (database.c) ask of a kind of
 * database (sqlite.c, postgres.c), and what both share.
 *
 * A backend keeps a small pool of sessions (connections). A call takes one,
 * uses it alone, and gives it back; so the tools are thread-safe and calls run
 * beside each other up to max_connections.
 */
#ifndef DATABASE_BACKEND_H
#define DATABASE_BACKEND_H

#include <stdbool.h>

#include <mcp/plugin.h>

#include "text.h"

/* The configuration of an instance. */
struct settings {
    const struct mcp_host *host;
    char *url; /* NULL: host, database and so on name it (PostgreSQL) */
    bool read_only;
    int64_t max_rows;
    int64_t max_bytes; /* of one result, as JSON */
    int64_t max_value_bytes; /* of one string, blob or row inside the database */
    int64_t timeout_ms;
    int64_t busy_timeout_ms;
    int64_t max_connections;
};

/* Why something failed, for the model: one or two sentences. */
struct complaint {
    char text[2048];
};

/* Sets it; returns false. */
bool complain(struct complaint *complaint, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Nanoseconds of CLOCK_MONOTONIC. */
int64_t clock_now(void);

/* One call, and when it must be over. */
struct job {
    struct mcp_call *call;
    int64_t deadline_ns; /* as clock_now */
    int64_t allowed_ms; /* from the beginning to the deadline */
    struct mcp_bytes sql; /* what it runs first, if that is known */
    struct complaint complaint;
    bool numbers_as_text; /* see struct backend_ops */
    bool uncertain; /* it failed, but nobody knows whether it took effect */
};

enum job_state { JOB_RUNS, JOB_CANCELLED, JOB_TIMED_OUT };
enum job_state job_state(const struct job *job);
/* Complains about a job that is over; returns false. */
bool job_complain(struct job *job, enum job_state state);

/* One statement of a call: the object at `pointer` of the arguments ("" or
 * "/queries/2") has "query" and perhaps "parameters". */
struct statement {
    const char *pointer;
    struct mcp_bytes sql;
};

/* ---- parameters.c: the values that go into a statement ---- */

enum value_kind { VALUE_NULL, VALUE_BOOLEAN, VALUE_INTEGER, VALUE_REAL, VALUE_TEXT, VALUE_BLOB };

struct value {
    enum value_kind kind;
    int64_t integer;
    double real;
    /* Text, also of numbers if they are wanted as text: valid until the call ends. Blob: in
     * `owned`. */
    struct mcp_bytes bytes;
    char *owned; /* free(3) it, or hand it on */
};

enum parameters_kind { PARAMETERS_NONE, PARAMETERS_ARRAY, PARAMETERS_OBJECT };

struct parameters {
    enum parameters_kind kind;
    size_t count;
};

/* What "parameters" there are. False: complained. */
bool parameters_look(struct job *job, const struct statement *statement, struct parameters *out);
/* The one at an index, from 0. False: complained. */
bool parameters_at(struct job *job, const struct statement *statement, size_t index,
                   struct value *out);
/* The one with a name. 1: found, 0: there is none, -1: complained. */
int parameters_named(struct job *job, const struct statement *statement, const char *name,
                     struct value *out);

/* ---- rows.c: results as JSON ---- */

/* How much larger than max_bytes a result may be: what stands around the rows. */
#define ROWS_FRAME 8192

/*
 * Writes {"columns":[...],"rows":[{...}],"row_count":N,"truncated":...,...}. A
 * backend says rows_columns once, then for each row rows_begin, a rows_value_*
 * for each column and rows_end, and at last rows_finish. rows_begin returns
 * false when there is no room for a further row, and rows_end when the row did
 * not fit and was taken back: the backend then stops reading.
 */
struct rows {
    struct text *json;
    size_t max_rows;
    size_t max_size; /* of json: no row goes past it */
    size_t count;
    const char *truncated; /* NULL, or why */
    struct text keys; /* `"id":` for each column, one after the other */
    size_t *key_ends;
    size_t columns;
    size_t column; /* the next one of the row */
    size_t row_start;
};

struct column {
    const char *name;
    const char *type; /* may be NULL */
};

/* False: out of memory, or the names alone are too large. */
bool rows_columns(struct rows *rows, const struct column *columns, size_t count);
bool rows_begin(struct rows *rows);
void rows_value_null(struct rows *rows);
void rows_value_integer(struct rows *rows, int64_t value);
void rows_value_real(struct rows *rows, double value);
/* A string, or as a blob if it is not UTF-8. */
void rows_value_text(struct rows *rows, const char *data, size_t size);
void rows_value_blob(struct rows *rows, const void *data, size_t size);
/* For any other value, as JSON into what this returns. */
struct text *rows_value(struct rows *rows);
bool rows_end(struct rows *rows);

/* What a statement changed; for those that write. */
struct changes {
    bool known;
    int64_t rows;
    bool inserted;
    int64_t last_insert_id;
};
void rows_finish(struct rows *rows, const struct changes *changes);
void rows_free(struct rows *rows);

/* ---- a kind of database ---- */

/* One statement of a reader, with its call, as long as that goes on. */
struct query {
    struct job job;
    struct statement statement;
    struct rows rows;
    struct text json;
    struct database *database;
    void (*end)(struct query *query, bool good); /* ends the call; the query goes with it */
    /* Of a backend that runs it on threads of its own. */
    struct session *session;
    struct execution *execution;
    struct query *next;
};

struct backend;
struct session;

struct backend_ops {
    const char *scheme; /* of its URLs: "sqlite" */
    const char *dialect; /* for descriptions: "SQLite" */
    const char *parameters; /* for descriptions, inside a JSON string */
    const char *values;
    /* Numbers in parameters are as the client wrote them, of any size; JSON objects and
     * arrays are texts. */
    bool numbers_as_text;

    /* Checks the URL; opens nothing. False: the host has been told. */
    struct backend *(*create)(const struct settings *settings);
    /* Opens and checks the database. False: the host has been told. */
    bool (*start)(struct backend *backend);
    void (*stop)(struct backend *backend); /* no session is in use */
    void (*destroy)(struct backend *backend);

    /* Waits for a free session. NULL: complained. */
    struct session *(*acquire)(struct backend *backend, struct job *job);
    /* Ends what is left open. */
    void (*release)(struct session *session);

    /* Runs exactly one statement. False: complained; rows are then incomplete. */
    bool (*execute)(struct session *session, const struct statement *statement, struct rows *rows);

    /* Takes a query that only reads, without waiting for anything, and has it run. NULL: the
     * caller is to run it. */
    void (*submit)(struct backend *backend, struct query *query);

    bool (*begin)(struct session *session);
    bool (*commit)(struct session *session);
    void (*rollback)(struct session *session);

    /* Adds {"tables":[...],"truncated":...}; of one table if `table` is not empty. */
    bool (*schema)(struct session *session, struct mcp_bytes table, struct text *json,
                   size_t max_size);

    /* Asks the database for something; adds what it is. False: complained. */
    bool (*check)(struct session *session, struct text *found);
};

extern const struct backend_ops sqlite_backend;
extern const struct backend_ops postgres_backend;

#endif
