/* SPDX-License-Identifier: MIT */
/* Running one statement of a client: exactly one, its parameters, its rows. */
#include "sqlite.h"

#include <stdlib.h>
#include <string.h>

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
    session->defines = false;
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
    case VALUE_BOOLEAN:
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

bool sqlite_execute(struct session *session, const struct statement *statement, struct rows *rows)
{
    sqlite3 *db = session->db;
    sqlite3_stmt *sqlite = prepare(session, statement->sql);
    if (sqlite == NULL)
        return false;
    bool writes = !sqlite3_stmt_readonly(sqlite);
    bool counts = writes && !session->defines; /* a virtual table writes when it is made */
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
    if (counts && sqlite3_total_changes(db) != before)
        changes.rows = sqlite3_changes(db);
    changes.last_insert_id = sqlite3_last_insert_rowid(db);
    changes.inserted = counts && changes.last_insert_id != 0;
    if (!changes.inserted)
        sqlite3_set_last_insert_rowid(db, last_id); /* for last_insert_rowid() in a transaction */
    if (good)
        rows_finish(rows, &changes);
    return good;
}
