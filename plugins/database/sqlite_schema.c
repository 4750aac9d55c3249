/* SPDX-License-Identifier: MIT */
/* get_schema for SQLite: what its table-valued PRAGMAs tell, names only as bound values. */
#include "sqlite.h"

#include <string.h>

/* A column of the row as a JSON string, or null. */
static void add_column(struct text *json, sqlite3_stmt *row, int column)
{
    const char *data = (const char *)sqlite3_column_text(row, column);
    if (data == NULL)
        text_adds(json, "null");
    else
        text_add_string(json, data, (size_t)sqlite3_column_bytes(row, column));
}

/* A column of the row that is JSON, but for bytes in its strings that are no UTF-8. */
static void add_json_column(struct text *json, sqlite3_stmt *row, int column)
{
    const char *data = (const char *)sqlite3_column_text(row, column);
    if (data == NULL)
        text_adds(json, "null");
    else
        text_add_utf8(json, data, (size_t)sqlite3_column_bytes(row, column));
}

/* `"key":"value"` */
static void add_member(struct text *json, const char *key, sqlite3_stmt *row, int column)
{
    text_addf(json, "\"%s\":", key);
    add_column(json, row, column);
}

static void add_flag(struct text *json, const char *key, bool value)
{
    text_addf(json, "\"%s\":%s", key, value ? "true" : "false");
}

typedef void row_function(struct session *session, struct text *json, sqlite3_stmt *row);

/* Runs `sql` with `name` bound to ?1 and writes an array of what `write` makes of each
 * row. */
static bool add_array(struct session *session, struct text *json, const char *key, const char *sql,
                      struct mcp_bytes name, row_function *write)
{
    sqlite3_stmt *statement = session_prepare_own(session, sql);
    if (statement == NULL)
        return false;
    sqlite3_bind_text64(statement, 1, name.data, name.size, SQLITE_STATIC, SQLITE_UTF8);
    text_addf(json, ",\"%s\":[", key);
    int rc;
    for (bool first = true; (rc = sqlite3_step(statement)) == SQLITE_ROW; first = false) {
        if (!first)
            text_adds(json, ",");
        write(session, json, statement);
    }
    text_adds(json, "]");
    sqlite3_finalize(statement);
    return rc == SQLITE_DONE || session_complain(session, rc, NULL);
}

static void write_column(struct session *session, struct text *json, sqlite3_stmt *row)
{
    (void)session;
    text_adds(json, "{");
    add_member(json, "name", row, 0);
    text_adds(json, ",");
    add_member(json, "type", row, 1);
    text_adds(json, ",");
    add_flag(json, "nullable", sqlite3_column_int(row, 2) == 0);
    text_adds(json, ",");
    add_member(json, "default", row, 3);
    text_addf(json, ",\"primary_key\":%d", sqlite3_column_int(row, 4));
    if (sqlite3_column_int(row, 5) >= 2) {
        text_adds(json, ",");
        add_flag(json, "generated", true);
    }
    text_adds(json, "}");
}

/* Rows are (name, column, further values...), one for each column, in order; the columns
 * of one name are joined by the query as a JSON array. */
static void write_index(struct session *session, struct text *json, sqlite3_stmt *row)
{
    (void)session;
    text_adds(json, "{");
    add_member(json, "name", row, 0);
    text_adds(json, ",");
    add_flag(json, "unique", sqlite3_column_int(row, 1) != 0);
    text_adds(json, ",");
    add_flag(json, "partial", sqlite3_column_int(row, 2) != 0);
    text_adds(json, ",\"columns\":");
    add_json_column(json, row, 3);
    text_adds(json, "}");
}

static void write_foreign_key(struct session *session, struct text *json, sqlite3_stmt *row)
{
    (void)session;
    text_adds(json, "{\"columns\":");
    add_json_column(json, row, 0);
    text_adds(json, ",");
    add_member(json, "table", row, 1);
    text_adds(json, ",\"references\":");
    add_json_column(json, row, 2);
    text_adds(json, ",");
    add_member(json, "on_update", row, 3);
    text_adds(json, ",");
    add_member(json, "on_delete", row, 4);
    text_adds(json, "}");
}

static const char columns_sql[] =
    "SELECT name,type,\"notnull\",dflt_value,pk,hidden FROM pragma_table_xinfo(?1) "
    "WHERE hidden<>1 ORDER BY cid";
static const char indexes_sql[] =
    "SELECT l.name,l.\"unique\",l.partial,"
    "(SELECT json_group_array(name) FROM (SELECT name FROM pragma_index_info(l.name) "
    "ORDER BY seqno)) FROM pragma_index_list(?1) AS l ORDER BY l.name";
static const char foreign_keys_sql[] =
    "SELECT json_group_array(\"from\"),\"table\",json_group_array(\"to\"),on_update,on_delete "
    "FROM (SELECT * FROM pragma_foreign_key_list(?1) ORDER BY id,seq) GROUP BY id ORDER BY id";

static bool add_table(struct session *session, struct text *json, sqlite3_stmt *row)
{
    struct mcp_bytes name = {(const char *)sqlite3_column_text(row, 0),
                             (size_t)sqlite3_column_bytes(row, 0)};
    text_adds(json, "{");
    add_member(json, "name", row, 0);
    text_adds(json, ",");
    add_member(json, "type", row, 1);
    if (!add_array(session, json, "columns", columns_sql, name, write_column))
        return false;
    if (strcmp((const char *)sqlite3_column_text(row, 1), "table") == 0 &&
        (!add_array(session, json, "indexes", indexes_sql, name, write_index) ||
         !add_array(session, json, "foreign_keys", foreign_keys_sql, name, write_foreign_key)))
        return false;
    text_adds(json, ",");
    add_member(json, "sql", row, 2);
    text_adds(json, "}");
    return true;
}

/* A table or view that cannot be told about (a view of a table that has gone) does not
 * hide the others. */
static bool add_table_or_reason(struct session *session, struct text *json, sqlite3_stmt *row)
{
    size_t start = json->size;
    if (add_table(session, json, row))
        return true;
    if (job_state(session->job) != JOB_RUNS)
        return false;
    text_cut(json, start);
    text_adds(json, "{");
    add_member(json, "name", row, 0);
    text_adds(json, ",");
    add_member(json, "type", row, 1);
    text_adds(json, ",\"columns\":[],\"problem\":");
    text_add_string(json, session->job->complaint.text, strlen(session->job->complaint.text));
    text_adds(json, "}");
    return true;
}

bool sqlite_schema(struct session *session, struct mcp_bytes table, struct text *json,
                   size_t max_size)
{
    sqlite3_stmt *tables = session_prepare_own(
        session, "SELECT name,type,sql FROM sqlite_schema WHERE type IN ('table','view') AND "
                 "name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND (?1='' OR lower(name)=lower(?1)) "
                 "ORDER BY name");
    if (tables == NULL)
        return false;
    sqlite3_bind_text64(tables, 1, table.size > 0 ? table.data : "", table.size, SQLITE_STATIC,
                        SQLITE_UTF8);
    text_adds(json, "{\"tables\":[");
    bool good = true, truncated = false, first = true;
    int rc = SQLITE_DONE;
    while (good && !truncated && (rc = sqlite3_step(tables)) == SQLITE_ROW) {
        size_t start = json->size;
        text_adds(json, first ? "" : ",");
        good = add_table_or_reason(session, json, tables);
        truncated = json->failed || json->size > max_size;
        if (truncated)
            text_cut(json, start);
        first = false;
    }
    text_addf(json, "],\"truncated\":%s", truncated ? "true" : "false");
    if (truncated)
        text_adds(json, ",\"truncated_because\":\"the schema is larger than max_bytes; ask for "
                        "one table with table_name, or for names with SELECT name FROM "
                        "sqlite_schema\"");
    text_adds(json, "}");
    sqlite3_finalize(tables);
    if (!good)
        return false;
    if (rc != SQLITE_DONE && rc != SQLITE_ROW)
        return session_complain(session, rc, NULL);
    if (first && table.size > 0)
        return complain(&session->job->complaint,
                        "There is no table or view \"%.*s\"; get_schema without table_name "
                        "lists all.",
                        (int)(table.size < 200 ? table.size : 200), table.data);
    return true;
}
