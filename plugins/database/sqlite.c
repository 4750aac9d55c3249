/* SPDX-License-Identifier: MIT */
/* SQLite: sessions, statements, transactions. */
#include "sqlite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "encoding.h"
#include "reading.h"

/* ---- create: the URL ---- */

/* The path of a URL, %-escapes decoded, in place. False: not a path. */
static bool decode_path(char *path)
{
    char *to = path;
    for (const char *from = path; *from != '\0'; from++) {
        char c = *from;
        if (c == '%') {
            int high = hex_digit(from[1]);
            int low = high >= 0 ? hex_digit(from[2]) : -1;
            if (low < 0 || (high == 0 && low == 0))
                return false;
            c = (char)(high * 16 + low);
            from += 2;
        }
        *to++ = c;
    }
    *to = '\0';
    return true;
}

/* Members that speak of a server. False: the host has been told. */
static bool no_server(const struct mcp_host *host)
{
    static const char *const members[] = {"/host",     "/port",    "/user",       "/password",
                                          "/database", "/sslmode", "/sslrootcert"};
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        int32_t kind;
        struct mcp_bytes value;
        if (host->config(host, members[i], &kind, &value) == MCP_OK)
            return config_fail(host, members[i], "SQLite has no server; that is for PostgreSQL");
    }
    return true;
}

static struct backend *create(const struct settings *settings)
{
    const struct mcp_host *host = settings->host;
    if (!no_server(host))
        return NULL;
    const char *rest = settings->url + strlen("sqlite:");
    if (strncmp(rest, "///", 3) != 0 || rest[3] == '\0') {
        config_fail(host, "/url",
                    "expected sqlite:/// and the absolute path of the database, such as "
                    "\"sqlite:///srv/sales.db\"; relative paths and hosts are not possible");
        return NULL;
    }
    if (strpbrk(rest, "?#") != NULL) {
        config_fail(host, "/url",
                    "options behind ? or # are not possible here; write read_only and the like "
                    "beside url (in a file name, %%3F is ? and %%23 is #)");
        return NULL;
    }
    struct backend *backend = calloc(1, sizeof(*backend));
    char *path = strdup(rest + 2);
    if (backend == NULL || path == NULL || !decode_path(path)) {
        if (path != NULL && backend != NULL)
            config_fail(host, "/url", "a %% in a URL must stand before two hexadecimal digits");
        free(path);
        free(backend);
        return NULL;
    }
    backend->settings = settings;
    backend->path = path;
    pthread_mutex_init(&backend->mutex, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&backend->freed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return backend;
}

static void destroy(struct backend *backend)
{
    pthread_cond_destroy(&backend->freed);
    pthread_mutex_destroy(&backend->mutex);
    free(backend->path);
    free(backend);
}

/* ---- sessions ---- */

static void session_close(struct session *session)
{
    sqlite3_close(session->db);
    functions_free(session);
    free(session);
}

/* NULL: complained. */
static struct session *session_open(struct backend *backend, struct complaint *complaint)
{
    bool read_only = backend->settings->read_only;
    struct session *session = calloc(1, sizeof(*session));
    struct stat st;
    if (session == NULL) {
        complain(complaint, "out of memory");
        return NULL;
    }
    session->backend = backend;
    /* Never created: a misspelt path is not to become an empty database. */
    int flags = (read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE) | SQLITE_OPEN_NOMUTEX |
                SQLITE_OPEN_PRIVATECACHE;
    if (stat(backend->path, &st) != 0)
        complain(complaint, "%s: %s", backend->path, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        complain(complaint, "%s is not a file", backend->path);
    else if (sqlite3_open_v2(backend->path, &session->db, flags, NULL) != SQLITE_OK)
        complain(complaint, "%s cannot be opened: %s", backend->path, sqlite3_errmsg(session->db));
    else if (guard_install(session, complaint)) {
        session->device = st.st_dev;
        session->inode = st.st_ino;
        return session;
    }
    session_close(session);
    return NULL;
}

static bool read_something(struct session *session, struct complaint *complaint)
{
    session->trusted = true;
    int rc = sqlite3_exec(session->db, "SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL);
    session->trusted = false;
    switch (rc & 0xff) {
    case SQLITE_OK:
        return true;
    case SQLITE_NOTADB:
        return complain(complaint, "%s is not an SQLite database", session->backend->path);
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
        return complain(complaint,
                        "%s cannot be read: %s. A database in WAL mode needs its -wal and -shm "
                        "files beside it, and mcpd permission to write them, or another program "
                        "that has it open",
                        session->backend->path, sqlite3_errmsg(session->db));
    default:
        return complain(complaint, "%s cannot be read: %s", session->backend->path,
                        sqlite3_errmsg(session->db));
    }
}

static bool start(struct backend *backend)
{
    struct complaint complaint = {""};
    struct session *session = session_open(backend, &complaint);
    if (session == NULL || !read_something(session, &complaint)) {
        if (session != NULL)
            session_close(session);
        return config_fail(backend->settings->host, "/url", "%s", complaint.text);
    }
    backend->idle = session;
    backend->sessions = 1;
    return true;
}

static void stop(struct backend *backend)
{
    while (backend->idle != NULL) {
        struct session *session = backend->idle;
        backend->idle = session->next;
        session_close(session);
    }
    backend->sessions = 0;
}

static void interrupt(void *data)
{
    sqlite3_interrupt(data);
}

/* An idle session, or the right to open one; false: complained. */
static bool wait_for_turn(struct backend *backend, struct job *job, struct session **session)
{
    enum job_state state = job_state(job);
    pthread_mutex_lock(&backend->mutex);
    while (state == JOB_RUNS && backend->idle == NULL &&
           backend->sessions >= backend->settings->max_connections) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += 20 * 1000000; /* to look whether the call is over */
        if (until.tv_nsec >= 1000000000) {
            until.tv_nsec -= 1000000000;
            until.tv_sec++;
        }
        pthread_cond_timedwait(&backend->freed, &backend->mutex, &until);
        state = job_state(job);
    }
    *session = NULL;
    if (state == JOB_RUNS && backend->idle != NULL) {
        *session = backend->idle;
        backend->idle = (*session)->next;
    } else if (state == JOB_RUNS) {
        backend->sessions++;
    }
    pthread_mutex_unlock(&backend->mutex);
    return state == JOB_RUNS || job_complain(job, state);
}

/* A database may be replaced as a whole, by rename: then the old file is no use. */
static bool session_is_stale(const struct session *session)
{
    struct stat st;
    return stat(session->backend->path, &st) == 0 &&
           (st.st_dev != session->device || st.st_ino != session->inode);
}

static struct session *acquire(struct backend *backend, struct job *job)
{
    struct session *session;
    if (!wait_for_turn(backend, job, &session))
        return NULL;
    if (session != NULL && session_is_stale(session)) {
        session_close(session);
        session = NULL;
    }
    if (session == NULL) {
        struct complaint why = {""};
        session = session_open(backend, &why);
        if (session == NULL) {
            backend->settings->host->log(backend->settings->host, MCP_LOG_ERROR,
                                         (struct mcp_bytes){why.text, strlen(why.text)});
            complain(&job->complaint, "The database cannot be opened at the moment.");
            pthread_mutex_lock(&backend->mutex);
            backend->sessions--;
            pthread_cond_signal(&backend->freed);
            pthread_mutex_unlock(&backend->mutex);
            return NULL;
        }
    }
    session->job = job;
    session->denied[0] = '\0';
    job->call->ops->on_cancel(job->call, interrupt, session->db);
    return session;
}

static bool run_own(struct session *session, const char *sql)
{
    session->trusted = true;
    int rc = sqlite3_exec(session->db, sql, NULL, NULL, NULL);
    session->trusted = false;
    return rc == SQLITE_OK || session_complain(session, rc, NULL);
}

static void release(struct session *session)
{
    struct backend *backend = session->backend;
    session->job->call->ops->on_cancel(session->job->call, NULL, NULL);
    session->job = NULL;
    bool usable = true;
    if (!sqlite3_get_autocommit(session->db)) {
        session->trusted = true;
        usable = sqlite3_exec(session->db, "ROLLBACK", NULL, NULL, NULL) == SQLITE_OK;
        session->trusted = false;
    }
    pthread_mutex_lock(&backend->mutex);
    if (usable) {
        session->next = backend->idle;
        backend->idle = session;
    } else {
        backend->sessions--;
    }
    pthread_cond_signal(&backend->freed);
    pthread_mutex_unlock(&backend->mutex);
    if (!usable)
        session_close(session);
}

/* ---- complaints ---- */

/* The part of the SQL that SQLite points at: " near \"...\" (character 17)". */
static void describe_place(sqlite3 *db, const char *sql, char *out, size_t size)
{
    out[0] = '\0';
#if SQLITE_VERSION_NUMBER >= 3038000
    int offset = sql != NULL ? sqlite3_error_offset(db) : -1;
    if (offset >= 0)
        snprintf(out, size, " (at byte %d of the query)", offset + 1);
#else
    (void)db;
    (void)sql;
    (void)size;
#endif
}

bool session_complain(struct session *session, int rc, const char *sql)
{
    struct complaint *complaint = &session->job->complaint;
    const struct settings *settings = session->backend->settings;
    const char *message = sqlite3_errmsg(session->db);
    char place[64];
    /* A statement inside a statement (of a table-valued PRAGMA) is refused as an error. */
    if (session->denied[0] != '\0' && ((rc & 0xff) == SQLITE_AUTH || rc == SQLITE_ERROR))
        return complain(complaint, "Not allowed: %s.%s", session->denied,
                        settings->read_only ? " This database is read-only here." : "");
    switch (rc & 0xff) {
    case SQLITE_INTERRUPT: {
        enum job_state state = job_state(session->job);
        return job_complain(session->job, state == JOB_RUNS ? JOB_CANCELLED : state);
    }
    case SQLITE_READONLY:
        return complain(complaint, "This database is read-only here.");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        if (job_state(session->job) != JOB_RUNS)
            return job_complain(session->job, job_state(session->job));
        return complain(complaint, "The database is locked by another writer; try again.");
    case SQLITE_TOOBIG:
        return complain(complaint,
                        "%s. A string, blob or row may have %lld bytes at most, a query 256 KiB.",
                        message, (long long)settings->max_value_bytes);
    case SQLITE_NOMEM:
        return complain(complaint, "The query needs more memory than there is; handle fewer or "
                                   "shorter values at once, with LIMIT or substr().");
    default:
        describe_place(session->db, sql, place, sizeof(place));
        return complain(complaint, "SQLite: %s%s", message, place);
    }
}

sqlite3_stmt *session_prepare_own(struct session *session, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(session->db, sql, -1, &statement, NULL);
    if (rc != SQLITE_OK)
        session_complain(session, rc, NULL);
    return statement;
}

/* ---- transactions ---- */

static bool begin(struct session *session)
{
    return run_own(session, "BEGIN IMMEDIATE");
}

static bool commit(struct session *session)
{
    return run_own(session, "COMMIT");
}

static void rollback(struct session *session)
{
    if (sqlite3_get_autocommit(session->db))
        return; /* SQLite has done it itself */
    session->trusted = true;
    sqlite3_exec(session->db, "ROLLBACK", NULL, NULL, NULL); /* else release closes it */
    session->trusted = false;
}

static bool schema(struct session *session, struct mcp_bytes table, struct text *json,
                   size_t max_size)
{
    session->trusted = true;
    bool good = sqlite_schema(session, table, json, max_size);
    session->trusted = false;
    return good;
}

static bool check(struct session *session, struct text *found)
{
    const char *path = session->backend->path;
    struct complaint *complaint = &session->job->complaint;
    struct stat st;
    if (stat(path, &st) != 0)
        return complain(complaint, "%s: %s", path, strerror(errno));
    if (!read_something(session, complaint))
        return false;
    text_addf(found, "SQLite %s, the database can be read", sqlite3_libversion());
    return true;
}

const struct backend_ops sqlite_backend = {
    .scheme = "sqlite",
    .dialect = "SQLite",
    .parameters = "Values for the ? of the query, in order, or an object with values for its "
                  ":names. A blob is {\\\"$base64\\\": \\\"...\\\"}.",
    .values = "Integers have all their digits; blobs come as {\\\"$base64\\\": \\\"...\\\"}.",
    .create = create,
    .start = start,
    .stop = stop,
    .destroy = destroy,
    .acquire = acquire,
    .release = release,
    .execute = sqlite_execute,
    .begin = begin,
    .commit = commit,
    .rollback = rollback,
    .schema = schema,
    .check = check,
};
