/* SPDX-License-Identifier: MIT */
/* Running one statement of a client in a transaction of our own. */
#include "postgres.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUERY_MAX ((size_t)256 * 1024)
#define PARAMETERS_MAX 65535
#define BYTEA_OID 17
/* So many that others should not wait for it. */
#define MANY_ROWS 100

/* ---- parameters ---- */

/* The values of one statement, as libpq wants them. */
struct binding {
    struct bound bound;
    char **owned;
};

static void binding_free(struct binding *b)
{
    for (int i = 0; b->owned != NULL && i < b->bound.count; i++)
        free(b->owned[i]);
    free(b->owned);
    free(b->bound.types);
    free(b->bound.values);
    free(b->bound.lengths);
    free(b->bound.formats);
    *b = (struct binding){.owned = NULL};
}

static bool binding_init(struct binding *b, size_t count)
{
    size_t n = count > 0 ? count : 1;
    *b = (struct binding){.bound.count = (int)count};
    b->owned = calloc(n, sizeof(b->owned[0]));
    b->bound.types = calloc(n, sizeof(b->bound.types[0]));
    b->bound.values = calloc(n, sizeof(b->bound.values[0]));
    b->bound.lengths = calloc(n, sizeof(b->bound.lengths[0]));
    b->bound.formats = calloc(n, sizeof(b->bound.formats[0]));
    return b->owned != NULL && b->bound.types != NULL && b->bound.values != NULL &&
           b->bound.lengths != NULL && b->bound.formats != NULL;
}

/* Text, so that the server reads it as whatever type the statement needs there. */
static bool bind_text(struct job *job, struct binding *b, size_t index, const char *data,
                      size_t size)
{
    if (memchr(data, '\0', size) != NULL)
        return complain(&job->complaint,
                        "Parameter %zu has a NUL character in it, which PostgreSQL cannot hold "
                        "in a text; give it as {\"$base64\": \"...\"} to a bytea.",
                        index + 1);
    b->owned[index] = strndup(data, size);
    b->bound.values[index] = b->owned[index];
    return b->owned[index] != NULL || complain(&job->complaint, "mcpd is out of memory.");
}

static const char *special_name(double value)
{
    return isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
}

static bool bind_value(struct job *job, struct binding *b, size_t index, struct value *value)
{
    const char *text;
    switch (value->kind) {
    case VALUE_NULL:
        return true;
    case VALUE_BLOB:
        b->bound.types[index] = BYTEA_OID;
        b->bound.formats[index] = 1;
        b->bound.lengths[index] = (int)value->bytes.size;
        b->bound.values[index] = b->owned[index] = value->owned;
        return true;
    case VALUE_BOOLEAN:
        text = value->integer != 0 ? "true" : "false";
        return bind_text(job, b, index, text, strlen(text));
    case VALUE_REAL:
        if (value->bytes.data == NULL) {
            text = special_name(value->real);
            return bind_text(job, b, index, text, strlen(text));
        }
        break;
    default:
        break;
    }
    return bind_text(job, b, index, value->bytes.data != NULL ? value->bytes.data : "",
                     value->bytes.size);
}

static bool bind(struct job *job, const struct statement *statement, struct binding *b)
{
    struct parameters parameters;
    *b = (struct binding){.owned = NULL};
    if (!parameters_look(job, statement, &parameters))
        return false;
    if (parameters.kind == PARAMETERS_OBJECT)
        return complain(&job->complaint, "PostgreSQL's parameters have no names: write $1, $2, "
                                         "... in the query, and give \"parameters\" as an array.");
    if (parameters.count > PARAMETERS_MAX)
        return complain(&job->complaint, "A query can have %d parameters at most.", PARAMETERS_MAX);
    if (!binding_init(b, parameters.count))
        return complain(&job->complaint, "mcpd is out of memory.");
    for (size_t i = 0; i < parameters.count; i++) {
        struct value value;
        if (!parameters_at(job, statement, i, &value) || !bind_value(job, b, i, &value))
            return false;
    }
    return true;
}

/* A copy that ends with a NUL. NULL: complained. */
static char *copy_query(struct session *session, struct mcp_bytes sql)
{
    struct job *job = session->job;
    const char *wrong = NULL;
    char *copy = NULL;
    if (sql.size > QUERY_MAX)
        wrong = "The query is longer than 256 KiB.";
    else if (memchr(sql.data, '\0', sql.size) != NULL)
        wrong = "The query has a NUL character in it.";
    else if ((copy = strndup(sql.data, sql.size)) == NULL)
        wrong = "mcpd is out of memory.";
    else
        wrong = statement_refusal(copy, session->backend->settings->read_only);
    if (wrong == NULL)
        return copy;
    complain(&job->complaint, "%s", wrong);
    free(copy);
    return NULL;
}

/* ---- rows ---- */

/* What a statement's results have led to. */
struct reading {
    struct rows *rows;
    struct type *types;
    size_t columns;
    bool begun; /* rows_columns has been called */
    bool full; /* no further row is wanted */
    bool failed; /* complained */
    bool is_kept; /* the statement was prepared earlier */
    bool stale; /* ... and means something else now */
    struct changes changes;
};

static bool begin_rows(struct session *session, struct reading *reading, const PGresult *result)
{
    size_t count = (size_t)PQnfields(result);
    Oid *oids = calloc(count + 1, sizeof(oids[0]));
    struct column *columns = calloc(count + 1, sizeof(columns[0]));
    reading->types = calloc(count + 1, sizeof(reading->types[0]));
    bool good = oids != NULL && columns != NULL && reading->types != NULL;
    reading->begun = true;
    reading->columns = count;
    if (!good) {
        complain(&session->job->complaint, "mcpd is out of memory.");
    } else {
        for (size_t i = 0; i < count; i++)
            oids[i] = PQftype(result, (int)i);
        types_look_up(session, oids, count, wire_deadline(session), reading->types);
        for (size_t i = 0; i < count; i++)
            columns[i] =
                (struct column){PQfname(result, (int)i),
                                reading->types[i].name[0] != '\0' ? reading->types[i].name : NULL};
        good = rows_columns(reading->rows, columns, count) ||
               complain(&session->job->complaint,
                        "The names of the columns alone are larger than max_bytes.");
    }
    free(oids);
    free(columns);
    return good;
}

/* False: there is no room for it, or for another one. */
static bool add_row(struct session *session, struct reading *reading, const PGresult *result)
{
    struct rows *rows = reading->rows;
    if (!rows_begin(rows))
        return false;
    if (rows->count == MANY_ROWS)
        lane_leave(session);
    for (int i = 0; i < (int)reading->columns && !rows->json->failed; i++) {
        if (PQgetisnull(result, 0, i))
            rows_value_null(rows);
        else
            value_add(rows_value(rows), &reading->types[i], PQgetvalue(result, 0, i),
                      (size_t)PQgetlength(result, 0, i));
    }
    return rows_end(rows);
}

/* A reader's statement is stopped at the cap; one that may write goes on to its end, for
 * stopping it would undo it. */
static void enough(struct session *session, struct reading *reading)
{
    reading->full = true;
    if (session->backend->settings->read_only)
        wire_cancel(session);
}

static void note_changes(struct session *session, struct reading *reading, PGresult *result)
{
    const char *status = PQcmdStatus(result);
    static const char *const writing[] = {"INSERT", "UPDATE", "DELETE", "MERGE"};
    if (session->backend->settings->read_only)
        return;
    for (size_t i = 0; i < sizeof(writing) / sizeof(writing[0]); i++)
        if (strncmp(status, writing[i], strlen(writing[i])) == 0)
            reading->changes =
                (struct changes){.known = true, .rows = strtoll(PQcmdTuples(result), NULL, 10)};
}

static bool complain_of_leaving(struct session *session)
{
    session->broken = true;
    return complain(&session->job->complaint,
                    "The query ended the transaction that it ran in, which is not allowed; its "
                    "connection has been closed.");
}

/* By what a statement says it was: those of the top level are named there. */
static bool left_transaction(PGresult *result)
{
    static const char *const leaving[] = {"BEGIN",    "START TRANSACTION",   "COMMIT",
                                          "ROLLBACK", "PREPARE TRANSACTION", "SAVEPOINT",
                                          "RELEASE"};
    for (size_t i = 0; i < sizeof(leaving) / sizeof(leaving[0]); i++)
        if (strcmp(PQcmdStatus(result), leaving[i]) == 0)
            return true;
    return false;
}

/* When no more has been sent: by what the server says. */
static bool still_inside(struct session *session)
{
    PGTransactionStatusType status = PQtransactionStatus(session->pg);
    return status == PQTRANS_INTRANS || status == PQTRANS_INERROR || complain_of_leaving(session);
}

/* What libpq reads at once is not all counted while it arrives (wire_result): a row that
 * came through all the same is refused here. */
static bool fits(struct session *session, const PGresult *result)
{
    size_t size = 0;
    for (int i = 0; i < PQnfields(result); i++)
        size += (size_t)PQgetlength(result, 0, i);
    if (size <= (size_t)session->backend->settings->max_value_bytes)
        return true;
    session->broken = true; /* libpq would keep the memory as long as the connection */
    return complain_row_size(session);
}

/* "cached plan must not change result type" */
static bool means_something_else(const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *function = PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION);
    return state != NULL && strcmp(state, "0A000") == 0 && function != NULL &&
           strcmp(function, "RevalidateCachedQuery") == 0;
}

static void read_result(struct session *session, struct reading *reading, PGresult *result)
{
    struct job *job = session->job;
    ExecStatusType status = PQresultStatus(result);
    switch (status) {
    case PGRES_SINGLE_TUPLE:
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
        if (reading->failed)
            return;
        if (!reading->begun)
            reading->failed = !begin_rows(session, reading, result);
        if (status == PGRES_SINGLE_TUPLE && !reading->failed && !reading->full)
            reading->failed = !fits(session, result);
        if (status == PGRES_SINGLE_TUPLE && !reading->failed && !reading->full &&
            !add_row(session, reading, result))
            enough(session, reading);
        if (reading->failed)
            wire_cancel(session);
        if (status == PGRES_COMMAND_OK && left_transaction(result))
            reading->failed = !complain_of_leaving(session);
        if (status != PGRES_SINGLE_TUPLE)
            note_changes(session, reading, result);
        return;
    case PGRES_EMPTY_QUERY:
        reading->failed = reading->failed ||
                          !complain(&job->complaint, "There is no SQL statement in the query.");
        return;
    case PGRES_FATAL_ERROR:
        if (reading->full && session->stopped)
            return; /* by us */
        if (reading->is_kept && means_something_else(result)) {
            reading->stale = true;
            return;
        }
        if (!reading->failed)
            complain_result(session, result);
        reading->failed = true;
        return;
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
    case PGRES_COPY_BOTH:
        complain(&job->complaint, "COPY is not possible here.");
        reading->failed = true;
        return;
    default:
        return;
    }
}

/* Of one statement: up to its end. False: broken. */
static bool read_statement(struct session *session, struct reading *reading)
{
    int64_t deadline = wire_deadline(session);
    if (session->unread > 0 && !wire_drain(session, deadline))
        return false;
    if (PQsetSingleRowMode(session->pg) != 1)
        session->broken = true;
    for (;;) {
        PGresult *result;
        if (session->broken || !wire_result(session, deadline, &result))
            return false;
        if (result == NULL)
            return true;
        read_result(session, reading, result);
        PQclear(result);
    }
}

/* ---- readers ---- */

struct execution {
    char *sql;
    struct binding binding;
    struct reading reading;
    enum reading_way way;
    bool sent;
};

static bool read_once(struct session *session, struct reading *reading, enum reading_way way)
{
    PGresult *error = NULL;
    reading->is_kept = way == READING_KEPT;
    if (!reading_begin(session, way, &error))
        return false;
    if (error != NULL) {
        read_result(session, reading, error);
        PQclear(error);
    } else if (!read_statement(session, reading)) {
        return false;
    }
    return reading_finish(session);
}

bool execution_send(struct session *session, struct execution *e)
{
    e->way = reading_way(session, e->sql, &e->binding.bound);
    e->sent = reading_send(session, e->sql, &e->binding.bound, e->way);
    if (e->sent && PQflush(session->pg) < 0)
        session->broken = true;
    return e->sent && !session->broken;
}

/* What was kept may not be what the statement means now, for somebody has altered a table. */
static bool execute_reading(struct session *session, struct execution *e)
{
    if (!e->sent || !read_once(session, &e->reading, e->way))
        return false;
    bool again = e->reading.stale && !session->broken;
    return !again || (reading_send(session, e->sql, &e->binding.bound, READING_PLAIN) &&
                      read_once(session, &e->reading, READING_PLAIN));
}

/* ---- writers ---- */

/* Cleans the session for the next call; the answers are read then. DISCARD ALL is not
 * possible together with others. */
static void send_cleaning(struct session *session)
{
    char sql[80];
    snprintf(sql, sizeof(sql), "SELECT pg_catalog.setseed(%.17f)", reading_seed());
    if (wire_send(session, "DISCARD ALL", NULL) && wire_sync(session) &&
        wire_send(session, sql, NULL) && wire_sync(session)) {
        PQflush(session->pg);
        session->unread += 2;
    }
}

/* A statement that ends the transaction. False: complained. */
static bool end_transaction(struct session *session, const char *sql)
{
    struct job *job = session->job;
    PGresult *error = NULL;
    /* It is not cancelled any more: what it answers is what has happened. */
    int64_t deadline = clock_now() + INT64_C(5000000000);
    session->job = NULL;
    bool good = wire_send(session, sql, NULL) && wire_sync(session) &&
                wire_finish(session, deadline, &error);
    session->job = job;
    if (!good || PQtransactionStatus(session->pg) != PQTRANS_IDLE) {
        session->broken = true;
        job->uncertain = true;
        complain(&job->complaint, "The connection to the database was lost while it was told to "
                                  "keep the changes.");
        good = false;
    } else if (error != NULL) {
        good = complain_result(session, error);
    }
    PQclear(error);
    return good;
}

bool postgres_commit(struct session *session)
{
    session->in_transaction = false;
    if (session->begin_first) /* nothing was executed */
        return true;
    bool good = end_transaction(session, "COMMIT");
    if (!session->broken)
        send_cleaning(session);
    return good;
}

void postgres_rollback(struct session *session)
{
    PGresult *error = NULL;
    bool begun = session->in_transaction && !session->begin_first;
    session->in_transaction = false;
    if (!begun || session->broken)
        return;
    struct job *job = session->job;
    session->job = NULL;
    session->grace_ns = 0;
    int64_t deadline = clock_now() + INT64_C(2000000000);
    if (!wire_send(session, "ROLLBACK", NULL) || !wire_sync(session) ||
        !wire_finish(session, deadline, &error) || error != NULL)
        session->broken = true; /* closing it rolls back as well */
    PQclear(error);
    session->job = job;
    if (!session->broken)
        send_cleaning(session);
}

static bool execute_writing(struct session *session, const char *sql, const struct bound *bound,
                            struct reading *reading)
{
    bool begin = session->begin_first;
    session->begin_first = false;
    return (!begin || wire_send(session, "BEGIN READ WRITE", NULL)) &&
           wire_send(session, sql, bound) && wire_sync(session) && (!begin || wire_own(session)) &&
           read_statement(session, reading) && wire_finish(session, wire_deadline(session), NULL) &&
           still_inside(session);
}

/* ---- both ---- */

/* A writer's only statement has a transaction, too. */
static bool execute_alone(struct session *session, const char *sql, const struct bound *bound,
                          struct reading *reading)
{
    session->in_transaction = session->begin_first = true;
    bool good = execute_writing(session, sql, bound, reading);
    if (good && !reading->failed)
        return postgres_commit(session);
    postgres_rollback(session);
    return good;
}

static bool execute_statement(struct session *session, struct execution *e)
{
    const struct bound *bound = &e->binding.bound;
    bool good;
    if (session->backend->settings->read_only)
        good = execute_reading(session, e);
    else if (session->in_transaction)
        good = execute_writing(session, e->sql, bound, &e->reading);
    else
        good = execute_alone(session, e->sql, bound, &e->reading);
    return good && !e->reading.failed;
}

static void execution_free(struct execution *e)
{
    free(e->reading.types);
    binding_free(&e->binding);
    free(e->sql);
    free(e);
}

struct execution *execution_begin(struct session *session, const struct statement *statement,
                                  struct rows *rows)
{
    struct job *job = session->job;
    struct execution *e = calloc(1, sizeof(*e));
    if (e == NULL) {
        complain(&job->complaint, "mcpd is out of memory.");
        return NULL;
    }
    e->reading.rows = rows;
    e->sql = copy_query(session, statement->sql);
    if (e->sql != NULL && bind(job, statement, &e->binding)) {
        job->complaint.text[0] = '\0';
        return e;
    }
    execution_free(e);
    return NULL;
}

bool execution_end(struct session *session, struct execution *e)
{
    bool good = execute_statement(session, e);
    if (!good && session->job->complaint.text[0] == '\0')
        complain_broken(session);
    if (good)
        rows_finish(e->reading.rows, &e->reading.changes);
    execution_free(e);
    return good;
}

bool postgres_execute(struct session *session, const struct statement *statement, struct rows *rows)
{
    struct execution *e = execution_begin(session, statement, rows);
    if (e == NULL)
        return false;
    if (session->backend->settings->read_only)
        execution_send(session, e);
    return execution_end(session, e);
}
