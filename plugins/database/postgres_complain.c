/* SPDX-License-Identifier: MIT */
/* What went wrong, in words for the model, with PostgreSQL's own and their SQLSTATE. */
#include "postgres.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *field(const PGresult *result, int code)
{
    const char *value = PQresultErrorField(result, code);
    return value != NULL ? value : "";
}

bool complain_plainly(struct complaint *complaint, const PGresult *result)
{
    return complain(complaint, "%s (SQLSTATE %s)", field(result, PG_DIAG_MESSAGE_PRIMARY),
                    field(result, PG_DIAG_SQLSTATE));
}

bool complain_row_size(struct session *session)
{
    return complain(&session->job->complaint,
                    "A row of the result is larger than the %" PRId64
                    " bytes (max_value_bytes) that one may have. Select fewer columns, or parts "
                    "of long values with substr().",
                    session->backend->settings->max_value_bytes);
}

bool complain_broken(struct session *session)
{
    struct job *job = session->job;
    enum job_state state = job_state(job);
    if (session->row_bytes > (size_t)session->backend->settings->max_value_bytes)
        return complain_row_size(session);
    if (state != JOB_RUNS)
        return job_complain(job, state);
    return complain(&job->complaint, "The connection to the database was lost: it was stopped, or "
                                     "the connection was ended there. Try again.");
}

/* " (at character 15 of the query)" */
static void add_place(char *out, size_t size, const PGresult *result)
{
    const char *place = field(result, PG_DIAG_STATEMENT_POSITION);
    if (place[0] != '\0') {
        size_t used = strlen(out);
        snprintf(out + used, size - used, ", at character %s of the query", place);
    }
}

static void add_sentence(char *out, size_t size, const char *sentence)
{
    size_t used = strlen(out), length = strlen(sentence);
    if (length > 0)
        snprintf(out + used, size - used, " %.500s%s", sentence,
                 sentence[length < 500 ? length - 1 : 499] == '.' ? "" : ".");
}

/* PostgreSQL's words. */
static bool complain_at_length(struct complaint *complaint, const char *before,
                               const PGresult *result)
{
    char *out = complaint->text;
    size_t size = sizeof(complaint->text);
    snprintf(out, size, "%sPostgreSQL: %.900s (SQLSTATE %s)", before,
             field(result, PG_DIAG_MESSAGE_PRIMARY), field(result, PG_DIAG_SQLSTATE));
    add_place(out, size, result);
    size_t used = strlen(out);
    snprintf(out + used, size - used, ".");
    add_sentence(out, size, field(result, PG_DIAG_MESSAGE_DETAIL));
    add_sentence(out, size, field(result, PG_DIAG_MESSAGE_HINT));
    return false;
}

/* A function has prepared or forgotten statements that we keep there. */
static bool lacks_ours(const PGresult *result)
{
    const char *state = field(result, PG_DIAG_SQLSTATE);
    return (strcmp(state, "26000") == 0 || strcmp(state, "42P05") == 0) &&
           strstr(field(result, PG_DIAG_MESSAGE_PRIMARY), "mcpd_") != NULL;
}

bool complain_result(struct session *session, const PGresult *result)
{
    struct job *job = session->job;
    const char *state = field(result, PG_DIAG_SQLSTATE);
    bool read_only = session->backend->settings->read_only;
    if (strcmp(state, "57014") == 0) { /* query_canceled */
        enum job_state why = job_state(job);
        return job_complain(job, why == JOB_RUNS ? JOB_TIMED_OUT : why);
    }
    /* Not 42601 of the parser: the protocol takes one. */
    if (strcmp(state, "42601") == 0 &&
        strcmp(field(result, PG_DIAG_SOURCE_FUNCTION), "exec_parse_message") == 0)
        return complain(&job->complaint,
                        read_only ? "The query has more than one statement; send one at a time."
                                  : "The query has more than one statement; send one at a time, "
                                    "or several with execute_transaction.");
    if (strcmp(state, "25006") == 0) /* read_only_sql_transaction */
        return complain_at_length(&job->complaint, "This database is read-only here. ", result);
    if (strcmp(state, "55P03") == 0) /* lock_not_available */
        return complain_at_length(&job->complaint,
                                  "What the query needs is locked by another; try again. ", result);
    if (strcmp(state, "08P01") == 0) /* protocol_violation: the wrong number of parameters */
        return complain_at_length(
            &job->complaint, "\"parameters\" must have a value for each of $1, $2, ... ", result);
    if (strcmp(state, "42P18") == 0) /* indeterminate_datatype */
        return complain_at_length(
            &job->complaint, "Say which type the parameter has, such as $1::integer. ", result);
    /* The server ends, or our connection is ended. */
    if (strncmp(state, "57P", 3) == 0 || lacks_ours(result)) {
        session->broken = true;
        return complain_at_length(&job->complaint, "The connection was ended; try again. ", result);
    }
    return complain_at_length(&job->complaint, "", result);
}
