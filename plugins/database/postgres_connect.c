/* SPDX-License-Identifier: MIT */
/* A new connection, and who may not be its role. */
#include "postgres.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* What a server may send until a connection is made. */
#define HANDSHAKE_MAX ((size_t)1 << 20)

/* Roles that can reach what no transaction guards: files and programs of the server,
 * other roles' sessions, everything. */
static const char role_sql[] =
    "SELECT (SELECT string_agg(CASE WHEN rolsuper THEN 'superuser' || "
    "CASE WHEN rolname = session_user THEN '' ELSE ' through ' || rolname END "
    "WHEN rolname IN ('pg_read_server_files', 'pg_write_server_files', "
    "'pg_execute_server_program', 'pg_signal_backend') THEN rolname "
    "WHEN rolreplication THEN 'REPLICATION' ELSE 'CREATEROLE' END, ', ' ORDER BY rolname) "
    "FROM pg_catalog.pg_roles WHERE "
    "(rolsuper OR rolreplication OR rolcreaterole OR rolname IN ('pg_read_server_files', "
    "'pg_write_server_files', 'pg_execute_server_program', 'pg_signal_backend')) AND "
    "(pg_catalog.pg_has_role(session_user, oid, 'MEMBER') AND "
    "(rolname = session_user OR NOT (SELECT rolsuper FROM pg_catalog.pg_roles "
    "WHERE rolname = session_user)))), "
    "session_user, "
    "pg_catalog.pg_backend_pid(), pg_catalog.pg_postmaster_start_time(), "
    "(SELECT CASE WHEN setting = '-1' THEN -1 ELSE setting::bigint END "
    "FROM pg_catalog.pg_settings WHERE name = 'temp_file_limit')";

enum { POWERS, ROLE, PID, SERVER, TEMP_FILE_LIMIT, ROLE_COLUMNS };

static void tell(const struct backend *backend, int32_t level, const char *text)
{
    const struct mcp_host *host = backend->settings->host;
    host->log(host, level, (struct mcp_bytes){text, strlen(text)});
}

/* What is only said is not for clients; but a warning that our own ROLLBACK had nothing to
 * roll back (no_active_sql_transaction) says that a statement left its transaction. A
 * function may warn of the same, from elsewhere in the server. */
static void hear(void *data, const PGresult *result)
{
    struct session *session = data;
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *function = PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION);
    if (state != NULL && strcmp(state, "25P01") == 0 && function != NULL &&
        strcmp(function, "UserAbortTransactionBlock") == 0)
        session->broken = true;
}

void session_close(struct session *session)
{
    lane_forget(session);
    if (session->pg != NULL)
        PQfinish(session->pg);
    if (session->cancel != NULL)
        PQfreeCancel(session->cancel);
    if (session->wake >= 0)
        close(session->wake);
    free(session->last);
    free(session);
}

/* ---- the connection itself ---- */

static bool is_over(struct job *job, int64_t deadline_ns)
{
    return clock_now() >= deadline_ns || (job != NULL && job_state(job) != JOB_RUNS);
}

/* Waits for the socket, for 50 ms at most, to look whether the job is over. */
static void wait_socket(int fd, short events)
{
    struct pollfd pfd = {.fd = fd, .events = events};
    poll(&pfd, 1, 50);
}

/* libpq keeps what the server says of itself, however much that is; so it is counted here
 * before libpq reads it: what it leaves for the next time is counted again, which does no
 * harm, for an honest server says a few KiB. */
static bool shake_hands(PGconn *pg, struct job *job, int64_t deadline_ns, size_t *bytes)
{
    for (;;) {
        *bytes += wire_arrived(PQsocket(pg));
        if (*bytes > HANDSHAKE_MAX)
            return false;
        switch (PQconnectPoll(pg)) {
        case PGRES_POLLING_OK:
            return true;
        case PGRES_POLLING_FAILED:
            return false;
        case PGRES_POLLING_WRITING:
            wait_socket(PQsocket(pg), POLLOUT);
            break;
        default:
            wait_socket(PQsocket(pg), POLLIN);
        }
        if (is_over(job, deadline_ns))
            return false;
    }
}

/* The SQLSTATE in "FATAL:  28P01: password ..."; false: the server has said nothing. */
static bool find_state(const char *message, char state[6])
{
    for (const char *at = message; (at = strstr(at, ":  ")) != NULL; at += 3)
        if (strspn(at + 3, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5 && at[8] == ':') {
            memcpy(state, at + 3, 5);
            state[5] = '\0';
            return true;
        }
    return false;
}

/* libpq's lines about a connection as one, without where in the server's source they
 * come from. */
static void say_why(const struct backend *backend, const char *message, struct complaint *complaint)
{
    char line[1024];
    size_t size = 0;
    const char *end = strstr(message, "\nLOCATION:");
    size_t length = end != NULL ? (size_t)(end - message) : strlen(message);
    for (size_t i = 0; i < length && size + 1 < sizeof(line); i++)
        line[size++] = message[i] == '\n' ? ' ' : message[i];
    while (size > 0 && line[size - 1] == ' ')
        size--;
    line[size] = '\0';
    complain(complaint, "no connection to %s: %s", backend->place,
             size > 0 ? line : "it took too long");
}

static enum connect_end judge_failure(const struct session *session, size_t bytes,
                                      struct complaint *complaint)
{
    char state[6];
    const char *message = bytes > HANDSHAKE_MAX
                              ? "it sent more than 1 MiB before the connection was made"
                              : PQerrorMessage(session->pg);
    say_why(session->backend, message, complaint);
    if (!find_state(message, state))
        return CONNECT_UNREACHABLE;
    /* Invalid authorisation, no such database, no right to connect: that stays so. */
    bool refused = strncmp(state, "28", 2) == 0 || strcmp(state, "3D000") == 0 ||
                   strcmp(state, "42501") == 0 || strcmp(state, "42704") == 0;
    return refused ? CONNECT_REFUSED : CONNECT_UNREACHABLE;
}

/* ---- what must be true of it ---- */

static bool set_temp_file_limit(struct session *session, int64_t deadline_ns, int64_t now_kib)
{
    struct backend *backend = session->backend;
    char sql[80];
    struct complaint why;
    int64_t wanted_kib = backend->temp_file_limit / 1024;
    if (now_kib >= 0 && now_kib <= wanted_kib)
        return true;
    snprintf(sql, sizeof(sql), "SET temp_file_limit = %" PRId64, wanted_kib);
    PGresult *result = wire_run(session, deadline_ns, sql, NULL, &why);
    bool set = PQresultStatus(result) == PGRES_COMMAND_OK;
    PQclear(result);
    return set;
}

static void warn_of_temp_files(struct backend *backend, const char *role)
{
    char line[512];
    pthread_mutex_lock(&backend->mutex);
    bool told = backend->temp_warned;
    backend->temp_warned = true;
    pthread_mutex_unlock(&backend->mutex);
    if (told)
        return;
    snprintf(line, sizeof(line),
             "queries may fill the disk of %s with temporary files: its role may not set "
             "temp_file_limit itself; let a superuser say: ALTER ROLE \"%s\" SET "
             "temp_file_limit = '%" PRId64 "kB'",
             backend->place, role, backend->temp_file_limit / 1024);
    tell(backend, MCP_LOG_WARNING, line);
}

/* A pooler has numbers of its own, with which only PQcancel is understood. */
static void know_process(struct session *session, const char *pid, const char *server)
{
    int ours = PQbackendPID(session->pg);
    if (strtol(pid, NULL, 10) == ours && strlen(server) < sizeof(session->server)) {
        session->pid = ours;
        strcpy(session->server, server);
    }
}

/* Only the powers may be NULL: there are none. */
static bool has_role(const PGresult *result)
{
    if (!wire_is_table(result, 1, ROLE_COLUMNS))
        return false;
    for (int i = POWERS + 1; i < ROLE_COLUMNS; i++)
        if (PQgetisnull(result, 0, i))
            return false;
    return true;
}

static enum connect_end judge_role(struct session *session, int64_t deadline_ns,
                                   struct complaint *complaint)
{
    struct backend *backend = session->backend;
    PGresult *result = wire_run(session, deadline_ns, role_sql, NULL, complaint);
    if (result == NULL)
        return CONNECT_UNREACHABLE;
    if (!has_role(result)) {
        PQclear(result);
        complain(complaint,
                 "no connection to %s: asked for its role, it does not answer as PostgreSQL does",
                 backend->place);
        return CONNECT_UNREACHABLE;
    }
    enum connect_end end = CONNECT_DONE;
    know_process(session, PQgetvalue(result, 0, PID), PQgetvalue(result, 0, SERVER));
    const char *powers = PQgetvalue(result, 0, POWERS), *role = PQgetvalue(result, 0, ROLE);
    if (powers[0] != '\0' && !backend->allow_privileged_role) {
        complain(complaint,
                 "the role \"%s\" of %s is too powerful (%s): what it may do, no read-only "
                 "transaction prevents. Make a role that may only do what clients should, or "
                 "set allow_privileged_role",
                 role, backend->place, powers);
        end = CONNECT_REFUSED;
    } else if (!set_temp_file_limit(session, deadline_ns,
                                    strtoll(PQgetvalue(result, 0, TEMP_FILE_LIMIT), NULL, 10))) {
        if (session->broken)
            end = CONNECT_UNREACHABLE;
        else
            warn_of_temp_files(backend, role);
    }
    PQclear(result);
    return end;
}

static bool prepare(struct session *session)
{
    session->cancel = PQgetCancel(session->pg);
    return session->cancel != NULL && PQsetnonblocking(session->pg, 1) == 0 &&
           PQenterPipelineMode(session->pg) == 1;
}

enum connect_end session_open(struct backend *backend, struct job *job, int64_t deadline_ns,
                              struct session **out, struct complaint *complaint)
{
    enum connect_end end = CONNECT_UNREACHABLE;
    struct session *session = calloc(1, sizeof(*session));
    if (session == NULL || (session->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0) {
        complain(complaint, "%s", session == NULL ? "out of memory" : strerror(errno));
        free(session);
        return end;
    }
    session->backend = backend;
    session->pg = PQconnectStartParams(backend->keywords, (const char *const *)backend->values, 0);
    if (session->pg == NULL) {
        complain(complaint, "out of memory");
        goto out;
    }
    PQsetErrorVerbosity(session->pg, PQERRORS_VERBOSE);
    PQsetNoticeReceiver(session->pg, hear, session); /* else libpq writes to stderr */
    size_t bytes = 0;
    if (PQstatus(session->pg) == CONNECTION_BAD ||
        !shake_hands(session->pg, job, deadline_ns, &bytes)) {
        end = judge_failure(session, bytes, complaint);
        goto out;
    }
    if (!prepare(session)) {
        complain(complaint, "out of memory");
        goto out;
    }
    end = judge_role(session, deadline_ns, complaint);
    if (end == CONNECT_DONE)
        *out = session;
out:
    if (end != CONNECT_DONE)
        session_close(session);
    return end;
}
