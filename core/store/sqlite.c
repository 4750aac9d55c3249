/* SPDX-License-Identifier: MIT */
/*
 * The store in an SQLite file. Write-ahead logging with synchronous=NORMAL: what
 * is committed survives the death of the process at any moment, and a power
 * failure but for the last moments. The file is locked for good, because a
 * second mcpd that takes up the same tasks would carry them out twice.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <sqlite3.h>

#include "store/backend.h"

#define SCHEMA_VERSION 1
#define APPLICATION_ID 0x4d435044 /* "MCPD" */
#define BUSY_MS 2000 /* an mcpd that is just ending may still have it */
#define BYTES_MIN 1048576 /* of max_bytes: less is of no use */

enum statement { BEGIN, COMMIT, ROLLBACK, ADD, CHANGE, FIND, EXPIRE, VACUUM, LOAD, COUNT };

static const char *const statement_text[] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [ADD] = ("INSERT INTO task(id, status, started, created_ms, updated_ms, expires_ms, payload,"
             " inside, message, subject, issuer, revision, capabilities, request)"
             " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"),
    [CHANGE] = ("UPDATE task SET status = ?2, started = ?3, updated_ms = ?5, expires_ms = ?6,"
                " payload = ?7, inside = ?8, message = ?9,"
                " request = CASE WHEN ?2 >= 2 THEN NULL ELSE request END WHERE id = ?1"),
    [FIND] = "SELECT * FROM task WHERE id = ?1",
    [EXPIRE] = "DELETE FROM task WHERE status >= 2 AND expires_ms <= ?1",
    [VACUUM] = "PRAGMA incremental_vacuum(256)",
    [LOAD] = "SELECT * FROM task WHERE status < 2 ORDER BY created_ms, id",
    [COUNT] = "SELECT count(*) FROM task",
};
#define STATEMENTS (sizeof statement_text / sizeof statement_text[0])

/* The columns in the order of the table, which is that of SELECT *. */
static const char schema[] = "CREATE TABLE task("
                             "id TEXT PRIMARY KEY NOT NULL,"
                             "status INTEGER NOT NULL," /* enum task_status; from 2 on final */
                             "started INTEGER NOT NULL,"
                             "created_ms INTEGER NOT NULL,"
                             "updated_ms INTEGER NOT NULL,"
                             "expires_ms INTEGER NOT NULL,"
                             "payload TEXT, inside TEXT, message TEXT,"
                             "subject TEXT, issuer TEXT,"
                             "revision TEXT, capabilities TEXT, request TEXT);"
                             "CREATE INDEX task_final ON task(expires_ms) WHERE status >= 2;"
                             "CREATE INDEX task_open ON task(created_ms) WHERE status < 2;";

struct sqlite_backend {
    struct store_backend base;
    sqlite3 *db;
    const char *place; /* the path as given, for messages */
    sqlite3_stmt *statements[STATEMENTS];
};

static struct sqlite_backend *sqlite_of(struct store_backend *backend)
{
    return (struct sqlite_backend *)(void *)backend;
}

/* ---- errors ---- */

/* The system's word for a disk, a quota or a limit that leaves no room. */
static bool is_full(const struct sqlite_backend *b)
{
    static const int files[] = {SQLITE_FCNTL_JOURNAL_POINTER, SQLITE_FCNTL_FILE_POINTER};

    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        sqlite3_file *file = NULL;
        int number = 0;
        if (sqlite3_file_control(b->db, "main", files[i], &file) == SQLITE_OK && file != NULL &&
            file->pMethods != NULL)
            file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &number);
        if (number == ENOSPC || number == EDQUOT || number == EFBIG)
            return true;
    }
    return false;
}

static bool fail(const struct sqlite_backend *b, struct error *err)
{
    int code = sqlite3_errcode(b->db);

    if (code == SQLITE_IOERR && is_full(b))
        code = SQLITE_FULL;
    switch (code) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return error_set(err, "%s is in use by another process: each mcpd needs a store of its own",
                         b->place);
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
        return error_set(err,
                         "%s is damaged, or no database (%s): move it away, and mcpd makes a new "
                         "one",
                         b->place, sqlite3_errmsg(b->db));
    case SQLITE_FULL:
        return error_set(err, "%s is full: make room on its disk, or raise store.max_mib",
                         b->place);
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return error_set(err,
                         "%s cannot be written (%s): mcpd must be able to write the file and "
                         "its directory",
                         b->place, sqlite3_errmsg(b->db));
    default:
        return error_set(err, "%s: %s", b->place, sqlite3_errmsg(b->db));
    }
}

/* ---- statements ---- */

/* Runs a statement to its end, of which nothing is read. */
static bool step(struct sqlite_backend *b, enum statement which, struct error *err)
{
    sqlite3_stmt *statement = b->statements[which];
    int code;

    while ((code = sqlite3_step(statement)) == SQLITE_ROW)
        continue;
    bool done = code == SQLITE_DONE || fail(b, err);
    sqlite3_reset(statement);
    return done;
}

static bool begin(struct store_backend *backend, struct error *err)
{
    return step(sqlite_of(backend), BEGIN, err);
}

static bool commit(struct store_backend *backend, struct error *err)
{
    return step(sqlite_of(backend), COMMIT, err);
}

static void rollback(struct store_backend *backend)
{
    struct sqlite_backend *b = sqlite_of(backend);

    if (sqlite3_get_autocommit(b->db) == 0) /* else SQLite has done it */
        step(b, ROLLBACK, NULL);
}

static void bind_bytes(sqlite3_stmt *statement, int place, struct bytes bytes)
{
    if (bytes.size == 0)
        sqlite3_bind_null(statement, place);
    else
        sqlite3_bind_text64(statement, place, bytes.data, bytes.size, SQLITE_STATIC, SQLITE_UTF8);
}

static bool write_task(struct sqlite_backend *b, enum statement which,
                       const struct store_task *task, struct error *err)
{
    sqlite3_stmt *statement = b->statements[which];

    bind_bytes(statement, 1, task->id);
    sqlite3_bind_int(statement, 2, (int)task->status);
    sqlite3_bind_int(statement, 3, task->started);
    sqlite3_bind_int64(statement, 4, task->created_ms);
    sqlite3_bind_int64(statement, 5, task->updated_ms);
    sqlite3_bind_int64(statement, 6, task->created_ms + task->ttl_ms);
    bind_bytes(statement, 7, task->payload);
    bind_bytes(statement, 8, task->inside);
    bind_bytes(statement, 9, task->message);
    if (which == ADD) {
        bind_bytes(statement, 10, task->subject);
        bind_bytes(statement, 11, task->issuer);
        bind_bytes(statement, 12, task->revision);
        bind_bytes(statement, 13, task->capabilities);
        bind_bytes(statement, 14, task->request);
    }
    bool done = step(b, which, err);
    sqlite3_clear_bindings(statement); /* they point to what is the caller's */
    return done;
}

static bool add_task(struct store_backend *backend, const struct store_task *task,
                     struct error *err)
{
    return write_task(sqlite_of(backend), ADD, task, err);
}

static bool change_task(struct store_backend *backend, const struct store_task *task,
                        struct error *err)
{
    struct sqlite_backend *b = sqlite_of(backend);

    if (!write_task(b, CHANGE, task, err))
        return false;
    if (sqlite3_changes(b->db) == 1)
        return true;
    return error_set(err, "%s: the task is not there any more", b->place);
}

static struct bytes column(sqlite3_stmt *row, int number)
{
    const char *data = (const char *)sqlite3_column_text(row, number);

    return (struct bytes){data, (size_t)sqlite3_column_bytes(row, number)};
}

static void read_task(sqlite3_stmt *row, struct store_task *task)
{
    int status = sqlite3_column_int(row, 1);

    *task = (struct store_task){
        .id = column(row, 0),
        .status = status >= TASK_WORKING && status <= TASK_CANCELLED ? (enum task_status)status
                                                                     : TASK_FAILED,
        .started = sqlite3_column_int(row, 2) != 0,
        .created_ms = sqlite3_column_int64(row, 3),
        .updated_ms = sqlite3_column_int64(row, 4),
        .ttl_ms = sqlite3_column_int64(row, 5) - sqlite3_column_int64(row, 3),
        .payload = column(row, 6),
        .inside = column(row, 7),
        .message = column(row, 8),
        .subject = column(row, 9),
        .issuer = column(row, 10),
        .revision = column(row, 11),
        .capabilities = column(row, 12),
        .request = column(row, 13),
    };
}

static int find_task(struct store_backend *backend, struct bytes id, struct store_task *task,
                     struct error *err)
{
    struct sqlite_backend *b = sqlite_of(backend);
    sqlite3_stmt *statement = b->statements[FIND];

    sqlite3_reset(statement); /* the row that was found before */
    bind_bytes(statement, 1, id);
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        read_task(statement, task);
        return 1;
    }
    bool none = code == SQLITE_DONE || fail(b, err);
    sqlite3_reset(statement);
    return none ? 0 : -1;
}

static bool expire_tasks(struct store_backend *backend, int64_t now_ms, size_t *removed,
                         struct error *err)
{
    struct sqlite_backend *b = sqlite_of(backend);

    sqlite3_reset(b->statements[FIND]); /* a reader keeps pages from being freed */
    sqlite3_bind_int64(b->statements[EXPIRE], 1, now_ms);
    if (!step(b, EXPIRE, err))
        return false;
    *removed = (size_t)sqlite3_changes(b->db);
    return *removed == 0 || step(b, VACUUM, err);
}

static bool load_tasks(struct store_backend *backend,
                       bool (*visit)(void *context, const struct store_task *task), void *context,
                       size_t *count, struct error *err)
{
    struct sqlite_backend *b = sqlite_of(backend);
    sqlite3_stmt *statement = b->statements[COUNT];
    struct store_task task;
    int code = sqlite3_step(statement);
    bool done = code == SQLITE_ROW || fail(b, err);

    *count = done ? (size_t)sqlite3_column_int64(statement, 0) : 0;
    sqlite3_reset(statement);
    if (!done)
        return false;
    statement = b->statements[LOAD];
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        read_task(statement, &task);
        if (!visit(context, &task)) {
            sqlite3_reset(statement);
            return error_no_memory(err);
        }
    }
    done = code == SQLITE_DONE || fail(b, err);
    sqlite3_reset(statement);
    return done;
}

/* ---- open and close ---- */

static void close_backend(struct store_backend *backend)
{
    struct sqlite_backend *b = sqlite_of(backend);

    for (size_t i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(b->statements[i]);
    sqlite3_close(b->db);
    free(b);
}

static const struct store_backend_ops sqlite_ops = {.begin = begin,
                                                    .commit = commit,
                                                    .rollback = rollback,
                                                    .add_task = add_task,
                                                    .change_task = change_task,
                                                    .find_task = find_task,
                                                    .expire_tasks = expire_tasks,
                                                    .load_tasks = load_tasks,
                                                    .close = close_backend};

/* Makes the file readable by nobody else; what SQLite puts beside it gets the
 * same mode. */
static bool make_file(const char *path, struct error *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);

    if (fd < 0)
        return error_set(err,
                         "%s cannot be written: %s; mcpd must be able to write the file and its "
                         "directory",
                         path, strerror(errno));
    close(fd);
    return true;
}

static bool execute(struct sqlite_backend *b, const char *sql, struct error *err)
{
    return sqlite3_exec(b->db, sql, NULL, NULL, NULL) == SQLITE_OK || fail(b, err);
}

/* The number that a PRAGMA, or a query, gives; -1: failed. */
static int64_t number_of(struct sqlite_backend *b, const char *sql, struct error *err)
{
    sqlite3_stmt *statement = NULL;
    int64_t number = -1;

    if (sqlite3_prepare_v2(b->db, sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        number = sqlite3_column_int64(statement, 0);
    else
        fail(b, err);
    sqlite3_finalize(statement);
    return number;
}

/* Makes the tables, or brings those of an older mcpd up to date. */
static bool migrate(struct sqlite_backend *b, struct error *err)
{
    char sql[200];
    int64_t version = number_of(b, "PRAGMA user_version", err);
    int64_t application = version < 0 ? -1 : number_of(b, "PRAGMA application_id", err);
    int64_t tables = application < 0 ? -1 : number_of(b, "SELECT count(*) FROM sqlite_master", err);

    if (tables < 0)
        return false;
    if (tables > 0 && application != APPLICATION_ID)
        return error_set(err, "%s is a database of another program: choose another file", b->place);
    if (version > SCHEMA_VERSION)
        return error_set(err,
                         "%s was written by a newer mcpd (schema %lld; this one knows %d): run "
                         "that one, or move the file away",
                         b->place, (long long)version, SCHEMA_VERSION);
    if (version == SCHEMA_VERSION)
        return true;
    /* A later version goes on here, step by step from `version`. */
    sqlite3_snprintf(sizeof sql, sql, "PRAGMA application_id = %d; PRAGMA user_version = %d",
                     APPLICATION_ID, SCHEMA_VERSION);
    if (execute(b, "BEGIN IMMEDIATE", err) && execute(b, schema, err) && execute(b, sql, err) &&
        execute(b, "COMMIT", err))
        return true;
    sqlite3_exec(b->db, "ROLLBACK", NULL, NULL, NULL);
    return false;
}

static bool set_up(struct sqlite_backend *b, uint64_t max_bytes, struct error *err)
{
    char sql[100];

    sqlite3_busy_timeout(b->db, BUSY_MS);
    if (!execute(b,
                 "PRAGMA locking_mode = EXCLUSIVE; PRAGMA auto_vacuum = INCREMENTAL;"
                 "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
                 "PRAGMA journal_size_limit = 67108864; PRAGMA trusted_schema = OFF",
                 err) ||
        !migrate(b, err))
        return false;
    if (max_bytes > 0) {
        int64_t page = number_of(b, "PRAGMA page_size", err);
        if (page <= 0)
            return false;
        if (max_bytes < BYTES_MIN)
            max_bytes = BYTES_MIN;
        sqlite3_snprintf(sizeof sql, sql, "PRAGMA max_page_count = %lld",
                         (long long)(max_bytes / (uint64_t)page));
        if (!execute(b, sql, err))
            return false;
    }
    for (size_t i = 0; i < STATEMENTS; i++)
        if (sqlite3_prepare_v3(b->db, statement_text[i], -1, SQLITE_PREPARE_PERSISTENT,
                               &b->statements[i], NULL) != SQLITE_OK)
            return fail(b, err);
    return true;
}

struct store_backend *sqlite_backend_open(const char *path, uint64_t max_bytes, struct error *err)
{
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
    size_t place_size = path != NULL ? strlen(path) + 1 : sizeof "the store in memory";

    if (path != NULL && !make_file(path, err))
        return NULL;
    struct sqlite_backend *b = calloc(1, sizeof *b + place_size);
    if (b == NULL) {
        error_no_memory(err);
        return NULL;
    }
    b->base.ops = &sqlite_ops;
    b->place = memcpy(b + 1, path != NULL ? path : "the store in memory", place_size);
    int code = sqlite3_open_v2(path != NULL ? path : ":memory:", &b->db, flags, NULL);
    if (code == SQLITE_OK && set_up(b, max_bytes, err))
        return &b->base;
    if (b->db == NULL)
        error_no_memory(err);
    else if (code != SQLITE_OK)
        fail(b, err);
    close_backend(&b->base);
    return NULL;
}
