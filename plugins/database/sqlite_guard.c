/* SPDX-License-Identifier: MIT */
/*
 * What a client's statement may do, decided by the engine. The database is opened
 * read-only; query_only, the authorizer and the limits stand behind that, because a
 * read-only connection alone still runs ATTACH, VACUUM INTO and PRAGMAs, and a statement
 * may be a bomb. The authorizer is a list of what is allowed.
 */
#include "sqlite.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* How many steps of SQLite's machine lie between two looks at the clock. */
#define STEPS_BETWEEN_LOOKS 1000
/* What all queries of the process may take together, at least. */
#define MEMORY_MIN (INT64_C(512) * 1024 * 1024)

static bool listed(const char *name, const char *const *list)
{
    for (; *list != NULL; list++)
        if (sqlite3_stricmp(name, *list) == 0)
            return true;
    return false;
}

static int deny(struct session *session, const char *what, const char *name)
{
    snprintf(session->denied, sizeof(session->denied), "%s%s%s", what, name[0] != '\0' ? " " : "",
             name);
    return SQLITE_DENY;
}

static int judge_function(struct session *session, const char *name)
{
    static const char *const refused[] = {
        "load_extension", "fts3_tokenizer", "zeroblob", "readfile", "writefile", "edit", NULL};
    return listed(name, refused) ? deny(session, "the function", name) : SQLITE_OK;
}

/* Those that only read; with a value, most would set something. */
static int judge_pragma(struct session *session, const char *name, const char *value)
{
    static const char *const with_value[] = {
        "table_info",  "table_xinfo",      "table_list",        "index_list",  "index_info",
        "index_xinfo", "foreign_key_list", "foreign_key_check", "quick_check", "integrity_check",
        NULL};
    static const char *const without_value[] = {
        "application_id", "collation_list", "compile_options", "data_version", "encoding",
        "foreign_keys",   "freelist_count", "function_list",   "module_list",  "page_count",
        "page_size",      "pragma_list",    "schema_version",  "user_version", NULL};
    if (listed(name, with_value) || (value == NULL && listed(name, without_value)))
        return SQLITE_OK;
    return deny(session, "PRAGMA", name);
}

static int judge_read(struct session *session, const char *table)
{
    /* Raw pages: also what was deleted. */
    static const char *const refused[] = {"sqlite_dbpage", "sqlite_stmt", "sqlite_memstat", NULL};
    return listed(table, refused) ? deny(session, "reading", table) : SQLITE_OK;
}

static int judge_module(struct session *session, const char *module)
{
    static const char *const allowed[] = {"fts5", "rtree", "geopoly", NULL};
    return listed(module, allowed) ? SQLITE_OK : deny(session, "the table module", module);
}

/* What to call an action, of which `table` is the first argument. */
static const char *action_name(int action, const char *table)
{
    /* The first thing that CREATE and DROP do. */
    if (strcmp(table, "sqlite_master") == 0 || strcmp(table, "sqlite_temp_master") == 0)
        return "changing the schema";
    switch (action) {
    case SQLITE_ATTACH:
        return "ATTACH (and VACUUM, which attaches)";
    case SQLITE_DETACH:
        return "DETACH";
    case SQLITE_TRANSACTION:
        return "BEGIN, COMMIT and ROLLBACK (use execute_transaction)";
    case SQLITE_SAVEPOINT:
        return "SAVEPOINT";
    case SQLITE_INSERT:
        return "INSERT";
    case SQLITE_UPDATE:
        return "UPDATE";
    case SQLITE_DELETE:
        return "DELETE";
    default:
        return "this kind of statement";
    }
}

static bool writes_allowed(int action)
{
    switch (action) {
    case SQLITE_INSERT:
    case SQLITE_UPDATE:
    case SQLITE_DELETE:
    case SQLITE_CREATE_INDEX:
    case SQLITE_CREATE_TABLE:
    case SQLITE_CREATE_TRIGGER:
    case SQLITE_CREATE_VIEW:
    case SQLITE_DROP_INDEX:
    case SQLITE_DROP_TABLE:
    case SQLITE_DROP_TRIGGER:
    case SQLITE_DROP_VIEW:
    case SQLITE_DROP_VTABLE:
    case SQLITE_ALTER_TABLE:
    case SQLITE_REINDEX:
    case SQLITE_ANALYZE:
        return true;
    default:
        return false;
    }
}

static int authorize(void *data, int action, const char *first, const char *second,
                     const char *database, const char *trigger)
{
    (void)database;
    (void)trigger;
    struct session *session = data;
    if (session->trusted)
        return SQLITE_OK;
    first = first != NULL ? first : "";
    switch (action) {
    case SQLITE_SELECT:
    case SQLITE_RECURSIVE:
        return SQLITE_OK;
    case SQLITE_READ:
        return judge_read(session, first);
    case SQLITE_FUNCTION:
        return judge_function(session, second != NULL ? second : "");
    case SQLITE_PRAGMA:
        return judge_pragma(session, first, second);
    default:
        break;
    }
    /* Preparing to use a table-valued function for the first time asks this; really to write
     * into the schema table is refused by DEFENSIVE. */
    if (action == SQLITE_UPDATE && strcmp(first, "sqlite_master") == 0)
        return SQLITE_OK;
    if (session->backend->settings->read_only)
        return deny(session, action_name(action, first), "");
    if (action != SQLITE_INSERT && action != SQLITE_UPDATE && action != SQLITE_DELETE)
        session->defines = true;
    if (action == SQLITE_CREATE_VTABLE)
        return judge_module(session, second != NULL ? second : "");
    return writes_allowed(action) ? SQLITE_OK : deny(session, action_name(action, first), "");
}

/* Called every so many steps of a running statement. */
static int look_at_clock(void *data)
{
    const struct session *session = data;
    return session->job != NULL && job_state(session->job) != JOB_RUNS;
}

/* Waits for a lock of another connection, as long as busy_timeout_ms and the call allow. */
static int wait_for_lock(void *data, int attempts)
{
    struct session *session = data;
    if (session->job == NULL || job_state(session->job) != JOB_RUNS)
        return 0;
    int64_t now_ns = clock_now();
    if (attempts == 0)
        session->busy_since_ns = now_ns;
    if (now_ns - session->busy_since_ns >=
        session->backend->settings->busy_timeout_ms * INT64_C(1000000))
        return 0;
    struct timespec pause = {.tv_nsec = attempts < 10 ? 1000000 : 10000000};
    nanosleep(&pause, NULL);
    return 1;
}

static void set_limits(sqlite3 *db, const struct settings *settings)
{
    const struct {
        int id, value;
    } limits[] = {
        {SQLITE_LIMIT_LENGTH, (int)settings->max_value_bytes},
        {SQLITE_LIMIT_SQL_LENGTH, 256 * 1024},
        {SQLITE_LIMIT_EXPR_DEPTH, 200},
        {SQLITE_LIMIT_COMPOUND_SELECT, 100},
        {SQLITE_LIMIT_VDBE_OP, 250000},
        {SQLITE_LIMIT_FUNCTION_ARG, 100},
        {SQLITE_LIMIT_ATTACHED, 0},
        {SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 200},
        {SQLITE_LIMIT_VARIABLE_NUMBER, 1000},
        {SQLITE_LIMIT_TRIGGER_DEPTH, 50},
        {SQLITE_LIMIT_WORKER_THREADS, 0},
    };
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
        sqlite3_limit(db, limits[i].id, limits[i].value);
}

/* A row may have 2000 columns, and an expression as many parts; the limits are of one value
 * each. Of memory SQLite has one bound for the whole process, which other instances may have
 * set, too; the largest is taken. A lower number of columns would not do: with it, a database
 * that has a wider table cannot be read at all. */
static void bound_memory(const struct settings *settings)
{
    sqlite3_int64 bytes = 8 * settings->max_value_bytes;
    bytes = bytes > MEMORY_MIN ? bytes : MEMORY_MIN;
    if (sqlite3_hard_heap_limit64(-1) < bytes)
        sqlite3_hard_heap_limit64(bytes);
}

static bool set_switches(sqlite3 *db)
{
    static const struct {
        int id, value;
    } switches[] = {
        {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
        {SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, 0},
        {SQLITE_DBCONFIG_DEFENSIVE, 1},
        {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
        {SQLITE_DBCONFIG_WRITABLE_SCHEMA, 0},
        /* "name" is a column and nothing else: a misspelt one is an error, no string. */
        {SQLITE_DBCONFIG_DQS_DML, 0},
    };
    for (size_t i = 0; i < sizeof(switches) / sizeof(switches[0]); i++) {
        int now = -1;
        if (sqlite3_db_config(db, switches[i].id, switches[i].value, &now) != SQLITE_OK ||
            now != switches[i].value)
            return false;
    }
    return true;
}

bool guard_install(struct session *session, struct complaint *complaint)
{
    sqlite3 *db = session->db;
    const struct settings *settings = session->backend->settings;
    sqlite3_extended_result_codes(db, 1);
    set_limits(db, settings);
    bound_memory(settings);
    sqlite3_busy_handler(db, wait_for_lock, session);
    sqlite3_progress_handler(db, STEPS_BETWEEN_LOOKS, look_at_clock, session);
    /* What is sorted stays in memory, which has a bound, as files have not; and a sandbox has
     * no room for them. */
    const char *common = "PRAGMA temp_store=MEMORY; PRAGMA cell_size_check=1;";
    const char *own = settings->read_only ? "PRAGMA query_only=1" : "PRAGMA foreign_keys=1";
    if (!set_switches(db) || functions_install(session) != SQLITE_OK ||
        sqlite3_exec(db, common, NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_exec(db, own, NULL, NULL, NULL) != SQLITE_OK)
        return complain(complaint, "this SQLite library cannot be made safe: %s",
                        sqlite3_errmsg(db));
    if (sqlite3_set_authorizer(db, authorize, session) != SQLITE_OK)
        return complain(complaint, "this SQLite library has no authorizer");
    return true;
}
