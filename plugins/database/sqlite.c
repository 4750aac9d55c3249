/* SPDX-License-Identifier: MIT */
/* SQLite: sessions, statements, transactions. */
#include "sqlite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "reading.h"

/* ---- create: the URL ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

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

static struct backend *create(const struct settings *settings)
{
    const struct mcp_host *host = settings->host;
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
        return complain(complaint, "mcpd is out of memory.");
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

/* ---- one statement ---- */

/* Behind a comment, if `sql` begins with one; else `sql` itself. */
static const char *skip_comment(const char *sql, const char *end)
{
    if (end - sql < 2)
        return sql;
    if (sql[0] == '-' && sql[1] == '-') {
        const char *newline = memchr(sql, '\n', (size_t)(end - sql));
        return newline != NULL ? newline + 1 : end;
    }
    if (sql[0] == '/' && sql[1] == '*') {
        const char *close = memmem(sql + 2, (size_t)(end - sql) - 2, "*/", 2);
        return close != NULL ? close + 2 : end;
    }
    return sql;
}

/* True when only white space, comments and semicolons are left. */
static bool is_blank(const char *sql, const char *end)
{
    while (sql < end) {
        const char *next = skip_comment(sql, end);
        if (next == sql && strchr(" \t\r\n\f;", *sql) == NULL)
            return false;
        sql = next == sql ? sql + 1 : next;
    }
    return true;
}

/* NULL: complained. */
static sqlite3_stmt *prepare(struct session *session, struct mcp_bytes sql)
{
    struct complaint *complaint = &session->job->complaint;
    sqlite3_stmt *statement = NULL;
    const char *tail = NULL;
    if (sql.size > 256 * 1024 || memchr(sql.data, '\0', sql.size) != NULL) {
        complain(complaint, sql.size > 256 * 1024 ? "The query is longer than 256 KiB."
                                                  : "The query has a NUL character in it.");
        return NULL;
    }
    session->denied[0] = '\0';
    int rc = sqlite3_prepare_v3(session->db, sql.data, (int)sql.size, 0, &statement, &tail);
    if (rc != SQLITE_OK) {
        session_complain(session, rc, sql.data);
        return NULL;
    }
    const char *end = sql.data + sql.size;
    const char *wrong = NULL;
    if (statement == NULL)
        wrong = "There is no SQL statement in the query.";
    else if (!is_blank(tail, end))
        wrong = session->backend->settings->read_only
                    ? "The query has more than one statement; send one at a time."
                    : "The query has more than one statement; send one at a time, or several "
                      "with execute_transaction.";
    else if (session->backend->settings->read_only && !sqlite3_stmt_readonly(statement))
        wrong = "This database is read-only here.";
    if (wrong == NULL)
        return statement;
    sqlite3_finalize(statement);
    complain(complaint, "%s", wrong);
    return NULL;
}

static bool bind_value(struct session *session, sqlite3_stmt *statement, int index,
                       struct value *value)
{
    int rc = SQLITE_OK;
    switch (value->kind) {
    case VALUE_NULL:
        rc = sqlite3_bind_null(statement, index);
        break;
    case VALUE_INTEGER:
        rc = sqlite3_bind_int64(statement, index, value->integer);
        break;
    case VALUE_REAL:
        rc = sqlite3_bind_double(statement, index, value->real);
        break;
    case VALUE_TEXT:
        rc = sqlite3_bind_text64(statement, index,
                                 value->bytes.data != NULL ? value->bytes.data : "",
                                 value->bytes.size, SQLITE_STATIC, SQLITE_UTF8);
        break;
    case VALUE_BLOB:
        rc = sqlite3_bind_blob64(statement, index, value->bytes.data, value->bytes.size, free);
        value->owned = NULL; /* SQLite frees it, also when it fails */
        break;
    }
    return rc == SQLITE_OK || session_complain(session, rc, NULL);
}

/* By the name with and without the character before it (:name, @name, $name). 1: found,
 * 0: none, -1: complained. */
static int find_named(struct job *job, const struct statement *statement, const char *name,
                      struct value *value)
{
    int found = parameters_named(job, statement, name + 1, value);
    return found != 0 ? found : parameters_named(job, statement, name, value);
}

static bool bind_named(struct session *session, sqlite3_stmt *sqlite,
                       const struct statement *statement, size_t given)
{
    struct job *job = session->job;
    int count = sqlite3_bind_parameter_count(sqlite);
    size_t used = 0;
    for (int i = 1; i <= count; i++) {
        const char *name = sqlite3_bind_parameter_name(sqlite, i);
        struct value value;
        if (name == NULL || name[0] == '?')
            return complain(&job->complaint,
                            "Parameter %d of the query has no name; give \"parameters\" as an "
                            "array.",
                            i);
        int found = find_named(job, statement, name, &value);
        if (found == 0)
            complain(&job->complaint, "The parameter %.200s of the query is not given.", name);
        if (found <= 0 || !bind_value(session, sqlite, i, &value))
            return false;
        used++;
    }
    return used == given ||
           complain(&job->complaint,
                    "%zu parameters were given, but the query names %zu; all must be used.", given,
                    used);
}

static bool bind(struct session *session, sqlite3_stmt *sqlite, const struct statement *statement)
{
    struct job *job = session->job;
    struct parameters parameters;
    if (!parameters_look(job, statement, &parameters))
        return false;
    if (parameters.kind == PARAMETERS_OBJECT)
        return bind_named(session, sqlite, statement, parameters.count);
    size_t wanted = (size_t)sqlite3_bind_parameter_count(sqlite);
    if (parameters.count != wanted)
        return complain(&job->complaint, "The query has %zu parameters, but %zu were given.",
                        wanted, parameters.count);
    for (size_t i = 0; i < parameters.count; i++) {
        struct value value;
        if (!parameters_at(job, statement, i, &value) ||
            !bind_value(session, sqlite, (int)i + 1, &value))
            return false;
    }
    return true;
}

static bool write_columns(struct session *session, sqlite3_stmt *sqlite, struct rows *rows)
{
    size_t count = (size_t)sqlite3_column_count(sqlite);
    struct column *columns = calloc(count + 1, sizeof(columns[0]));
    bool good = columns != NULL;
    for (size_t i = 0; good && i < count; i++) {
        const char *name = sqlite3_column_name(sqlite, (int)i);
        columns[i].name = name != NULL ? name : "";
        columns[i].type = sqlite3_column_decltype(sqlite, (int)i);
    }
    good = good && rows_columns(rows, columns, count);
    free(columns);
    return good || complain(&session->job->complaint,
                            "The names of the columns alone are larger than max_bytes.");
}

static void write_value(sqlite3_stmt *sqlite, int column, struct rows *rows)
{
    switch (sqlite3_column_type(sqlite, column)) {
    case SQLITE_INTEGER:
        rows_value_integer(rows, sqlite3_column_int64(sqlite, column));
        break;
    case SQLITE_FLOAT:
        rows_value_real(rows, sqlite3_column_double(sqlite, column));
        break;
    case SQLITE_TEXT: {
        const char *data = (const char *)sqlite3_column_text(sqlite, column);
        rows_value_text(rows, data, (size_t)sqlite3_column_bytes(sqlite, column));
        break;
    }
    case SQLITE_BLOB: {
        const void *data = sqlite3_column_blob(sqlite, column);
        rows_value_blob(rows, data, (size_t)sqlite3_column_bytes(sqlite, column));
        break;
    }
    default:
        rows_value_null(rows);
    }
}

/* Steps to the end, or until no further row fits. */
static bool read_rows(struct session *session, sqlite3_stmt *sqlite, struct rows *rows)
{
    int rc;
    while ((rc = sqlite3_step(sqlite)) == SQLITE_ROW) {
        if (!rows_begin(rows))
            return true;
        for (size_t i = 0; i < rows->columns && !rows->json->failed; i++)
            write_value(sqlite, (int)i, rows);
        if (!rows_end(rows))
            return true;
    }
    return rc == SQLITE_DONE || session_complain(session, rc, NULL);
}

static bool execute(struct session *session, const struct statement *statement, struct rows *rows)
{
    sqlite3 *db = session->db;
    sqlite3_stmt *sqlite = prepare(session, statement->sql);
    if (sqlite == NULL)
        return false;
    bool writes = !sqlite3_stmt_readonly(sqlite);
    int before = sqlite3_total_changes(db);
    sqlite3_int64 last_id = sqlite3_last_insert_rowid(db);
    sqlite3_set_last_insert_rowid(db, 0);
    bool good = bind(session, sqlite, statement) && write_columns(session, sqlite, rows) &&
                read_rows(session, sqlite, rows);
    /* What a reset says again has been told by the step before it; only the end of an
     * automatic transaction can fail here for the first time. */
    int rc = sqlite3_finalize(sqlite);
    if (good && rc != SQLITE_OK)
        good = session_complain(session, rc, NULL);
    struct changes changes = {.known = writes};
    if (writes && sqlite3_total_changes(db) != before)
        changes.rows = sqlite3_changes(db);
    changes.last_insert_id = sqlite3_last_insert_rowid(db);
    changes.inserted = writes && changes.last_insert_id != 0;
    if (!changes.inserted)
        sqlite3_set_last_insert_rowid(db, last_id); /* for last_insert_rowid() in a transaction */
    if (good)
        rows_finish(rows, &changes);
    return good;
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

const struct backend_ops sqlite_backend = {
    .scheme = "sqlite",
    .dialect = "SQLite",
    .create = create,
    .start = start,
    .stop = stop,
    .destroy = destroy,
    .acquire = acquire,
    .release = release,
    .execute = execute,
    .begin = begin,
    .commit = commit,
    .rollback = rollback,
    .schema = schema,
};
