/* SPDX-License-Identifier: MIT */
/*
 * The batch that a reader's statement goes in, with what begins, cleans and ends its
 * transaction.
 *
 * What is prepared has a name that SQL can take away and give to something else (DEALLOCATE,
 * PREPARE), and so can a function that runs SQL. Therefore what stands around a statement
 * has no name and is sent anew each time, but for the cleaning after a kept one (below).
 *
 * A statement that comes a second time in a row is prepared and kept, for parsing and
 * planning take longer than most statements do; the pool gives who comes with it again
 * the same connection (pool_acquire). One is kept, until another comes, and not a list of
 * them: what runs in between could call a function that prepares something else by that
 * name. So could the kept statement itself, for one caller, with parameters that another
 * does not give: after each run with parameters the server is asked whether SQL has
 * prepared anything, and if so the connection is given up. Without parameters it does the
 * same for all, and so its cleaning, which takes longer to plan than all else, is prepared
 * with it: should it replace that, another statement finds the session cleaned nevertheless.
 * After a statement that is not kept, nothing prepared is.
 *
 * setseed() outlasts the transaction, and nothing undoes it but another seed.
 */
#include "postgres.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define KEPT "mcpd_kept"
#define CLEANING "mcpd_cleaning"
/* Longer statements are not kept. */
#define KEPT_MAX 8192

static const char forget_sql[] = "DEALLOCATE ALL";

double reading_seed(void)
{
    int64_t random = 0;
    if (getrandom(&random, sizeof(random), 0) != sizeof(random))
        random = clock_now();
    return (double)(random >> 11) / (double)(INT64_C(1) << 52);
}

/* Lets go of what the transaction has not. */
#define CLEANING_SQL "SELECT pg_catalog.pg_advisory_unlock_all(), pg_catalog.setseed($1)"
/* The same with a row for each prepared statement. */
#define CHECKING_SQL CLEANING_SQL ", from_sql FROM pg_catalog.pg_prepared_statement()"

static bool send_cleaning(struct session *session, enum reading_way way, bool has_parameters)
{
    char seed[32];
    const char *values[] = {seed};
    const struct bound bound = {.count = 1, .values = values};

    snprintf(seed, sizeof(seed), "%.17f", reading_seed());
    if (way == READING_KEPT && !has_parameters)
        return wire_send_prepared(session, CLEANING, &bound);
    if (way == READING_KEPT || way == READING_KEEP)
        return wire_send(session, CHECKING_SQL, &bound);
    return wire_send(session, CLEANING_SQL, &bound);
}

/* ---- which way ---- */

static bool has_types(const struct bound *bound)
{
    for (int i = 0; i < bound->count; i++)
        if (bound->types != NULL && bound->types[i] != 0)
            return true;
    return false;
}

static bool is_last(const struct session *session, const char *sql, const struct bound *bound)
{
    return session->last != NULL && strcmp(session->last, sql) == 0 && !has_types(bound);
}

static void remember(struct session *session, const char *sql)
{
    free(session->last);
    session->last = strlen(sql) <= KEPT_MAX ? strdup(sql) : NULL;
}

enum reading_way reading_way(struct session *session, const char *sql, const struct bound *bound)
{
    if (is_last(session, sql, bound))
        return session->kept ? READING_KEPT : READING_KEEP;
    remember(session, sql);
    return session->kept ? READING_FORGET : READING_PLAIN;
}

/* ---- the batch ---- */

static bool send_statement(struct session *session, const char *sql, const struct bound *bound,
                           enum reading_way way)
{
    if (way == READING_KEEP && !wire_prepare(session, KEPT, sql))
        return false;
    return way == READING_KEEP || way == READING_KEPT ? wire_send_prepared(session, KEPT, bound)
                                                      : wire_send(session, sql, bound);
}

/* Whether it could be prepared, and so is kept. */
static bool read_preparing(struct session *session, PGresult **error)
{
    for (;;) {
        PGresult *result;
        if (!wire_result(session, wire_deadline(session), &result))
            return false;
        if (result == NULL)
            return true;
        if (PQresultStatus(result) == PGRES_COMMAND_OK)
            session->kept = true;
        else if (*error == NULL) {
            *error = result;
            continue;
        }
        PQclear(result);
    }
}

bool reading_send(struct session *session, const char *sql, const struct bound *bound,
                  enum reading_way way)
{
    bool keeps = way == READING_KEEP || way == READING_KEPT;
    return wire_send(session, "BEGIN READ ONLY", NULL) &&
           (way != READING_FORGET || (wire_send(session, forget_sql, NULL) &&
                                      send_cleaning(session, READING_FORGET, false))) &&
           send_statement(session, sql, bound, way) &&
           (way != READING_KEEP || wire_prepare(session, CLEANING, CLEANING_SQL)) &&
           send_cleaning(session, way, bound->count > 0) &&
           (keeps || wire_send(session, forget_sql, NULL)) &&
           wire_send(session, "ROLLBACK", NULL) && wire_sync(session);
}

bool reading_begin(struct session *session, enum reading_way way, PGresult **error)
{
    if (!wire_own(session))
        return false;
    if (way == READING_FORGET) {
        session->kept = false;
        /* The one answer and the other. */
        return wire_own(session) && wire_own(session); // NOLINT(misc-redundant-expression)
    }
    return way != READING_KEEP || read_preparing(session, error);
}

/* What the cleaning is answered with where there is no prepared statement but ours. */
static bool is_clean(const PGresult *result)
{
    bool clean =
        wire_is_table(result, 1, 2) || (wire_is_table(result, -1, 3) && PQntuples(result) > 0);
    for (int i = 0; clean && PQnfields(result) == 3 && i < PQntuples(result); i++)
        clean = strcmp(PQgetvalue(result, i, 2), "f") == 0;
    return clean;
}

/* To the end of the batch. *foreign: there is a prepared statement that is not ours, or the
 * server says nothing that can be understood. */
static bool read_rest(struct session *session, bool *foreign)
{
    for (;;) {
        PGresult *result;
        if (!wire_result(session, wire_deadline(session), &result))
            return false;
        ExecStatusType status = PQresultStatus(result);
        if (status == PGRES_TUPLES_OK)
            *foreign |= !is_clean(result);
        PQclear(result);
        if (status == PGRES_PIPELINE_SYNC)
            return true;
    }
}

bool reading_finish(struct session *session)
{
    bool foreign = false;
    if (!read_rest(session, &foreign))
        return false;
    session->broken |= foreign;
    if (foreign || PQtransactionStatus(session->pg) == PQTRANS_IDLE)
        return true;
    /* An error has kept the server from what came after it. */
    if (!wire_send(session, "ROLLBACK", NULL) || !send_cleaning(session, READING_PLAIN, false) ||
        !wire_send(session, forget_sql, NULL) || !wire_sync(session))
        return false;
    session->unread++;
    session->kept = false;
    free(session->last);
    session->last = NULL;
    return true;
}
