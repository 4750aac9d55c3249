/* SPDX-License-Identifier: MIT */
/* get_schema for PostgreSQL: what its catalogue tells of the tables and views that the
 * role may read. The server makes the JSON of each, in the shape of the SQLite side. */
#include "postgres.h"

#include <string.h>

#define NAME_SIZE 256 /* of "schema.table", with its NUL */

#define ACTION(column)                                                                             \
    "CASE " column " WHEN 'c' THEN 'CASCADE' WHEN 'r' THEN 'RESTRICT' WHEN 'n' THEN 'SET NULL' "   \
    "WHEN 'd' THEN 'SET DEFAULT' ELSE 'NO ACTION' END"

static const char columns_sql[] =
    "(SELECT coalesce(jsonb_agg(jsonb_build_object('name', a.attname, "
    "'type', pg_catalog.format_type(a.atttypid, a.atttypmod), 'nullable', NOT a.attnotnull, "
    "'default', CASE WHEN a.attgenerated = '' THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) "
    "END, 'primary_key', coalesce(pg_catalog.array_position(p.conkey, a.attnum), 0)) || "
    "CASE WHEN a.attgenerated <> '' THEN jsonb_build_object('generated', true) ELSE '{}' END || "
    "CASE WHEN a.attidentity <> '' THEN jsonb_build_object('identity', true) ELSE '{}' END || "
    "CASE WHEN pg_catalog.col_description(c.oid, a.attnum) IS NOT NULL THEN "
    "jsonb_build_object('comment', pg_catalog.col_description(c.oid, a.attnum)) ELSE '{}' END "
    "ORDER BY a.attnum), '[]') FROM pg_catalog.pg_attribute a "
    "LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum "
    "LEFT JOIN pg_catalog.pg_constraint p ON p.conrelid = c.oid AND p.contype = 'p' "
    "WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)";

static const char indexes_sql[] =
    "(SELECT coalesce(jsonb_agg(jsonb_build_object('name', i.relname, 'unique', x.indisunique, "
    "'partial', x.indpred IS NOT NULL, 'columns', (SELECT jsonb_agg("
    "pg_catalog.pg_get_indexdef(x.indexrelid, k, true) ORDER BY k) "
    "FROM pg_catalog.generate_series(1, x.indnkeyatts) k)) ORDER BY i.relname), '[]') "
    "FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid "
    "WHERE x.indrelid = c.oid)";

static const char foreign_keys_sql[] =
    "(SELECT coalesce(jsonb_agg(jsonb_build_object('columns', (SELECT jsonb_agg(a.attname "
    "ORDER BY k.n) FROM pg_catalog.unnest(f.conkey) WITH ORDINALITY k(num, n) "
    "JOIN pg_catalog.pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.num), "
    "'table', (SELECT CASE WHEN pg_catalog.pg_table_is_visible(t.oid) THEN t.relname::text "
    "ELSE s.nspname || '.' || t.relname END FROM pg_catalog.pg_class t "
    "JOIN pg_catalog.pg_namespace s ON s.oid = t.relnamespace WHERE t.oid = f.confrelid), "
    "'references', (SELECT jsonb_agg(a.attname "
    "ORDER BY k.n) FROM pg_catalog.unnest(f.confkey) WITH ORDINALITY k(num, n) "
    "JOIN pg_catalog.pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = k.num), "
    "'on_update', " ACTION("f.confupdtype") ", 'on_delete', " ACTION(
        "f.confdeltype") ") "
                         "ORDER BY f.conname), '[]') FROM pg_catalog.pg_constraint f "
                         "WHERE f.conrelid = c.oid AND f.contype = 'f')";

static const char from_sql[] =
    " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
    "CROSS JOIN LATERAL (SELECT CASE WHEN pg_catalog.pg_table_is_visible(c.oid) "
    "THEN c.relname::text ELSE n.nspname || '.' || c.relname END) AS v(name) "
    "WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') "
    "AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_' "
    "AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') "
    "AND pg_catalog.has_any_column_privilege(c.oid, 'SELECT') "
    "AND ($1::text = '' OR v.name = $1::text OR c.relname = $1::text "
    "OR n.nspname || '.' || c.relname = $1::text) ORDER BY v.name";

/* ->{"name":...,"type":...,"columns":[...],...} */
static void make_query(struct text *sql)
{
    text_adds(sql, "SELECT (jsonb_build_object('name', v.name, 'schema', n.nspname, 'type', "
                   "CASE WHEN c.relkind IN ('v', 'm') THEN 'view' ELSE 'table' END, "
                   "'columns', ");
    text_adds(sql, columns_sql);
    text_adds(sql, ", 'sql', CASE WHEN c.relkind IN ('v', 'm') THEN "
                   "pg_catalog.pg_get_viewdef(c.oid) END) || CASE WHEN c.relkind = 'v' THEN '{}' "
                   "ELSE jsonb_build_object('indexes', ");
    text_adds(sql, indexes_sql);
    text_adds(sql, ", 'foreign_keys', ");
    text_adds(sql, foreign_keys_sql);
    text_adds(sql, ") END || CASE WHEN pg_catalog.obj_description(c.oid, 'pg_class') IS NULL "
                   "THEN '{}' ELSE jsonb_build_object('comment', "
                   "pg_catalog.obj_description(c.oid, 'pg_class')) END)::text");
    text_adds(sql, from_sql);
}

struct listing {
    struct text *json;
    size_t max_size;
    size_t count;
    bool truncated;
    bool failed; /* complained */
};

/* False: no further one is wanted. */
static bool add_table(struct listing *listing, const PGresult *result)
{
    struct text *json = listing->json;
    size_t start = json->size;
    text_adds(json, listing->count > 0 ? "," : "");
    text_add(json, PQgetvalue(result, 0, 0), (size_t)PQgetlength(result, 0, 0));
    listing->truncated = json->failed || json->size > listing->max_size;
    if (listing->truncated)
        text_cut(json, start);
    else
        listing->count++;
    return !listing->truncated;
}

/* False: the connection is broken. */
static bool read_tables(struct session *session, struct listing *listing)
{
    if (PQsetSingleRowMode(session->pg) != 1)
        return false;
    for (;;) {
        PGresult *result;
        if (!wire_result(session, wire_deadline(session), &result))
            return false;
        if (result == NULL)
            return true;
        bool is_row = PQresultStatus(result) == PGRES_SINGLE_TUPLE;
        if (is_row && PQgetisnull(result, 0, 0)) /* or no column: nothing that we asked for */
            session->broken = true;
        else if (is_row && !listing->truncated && !add_table(listing, result))
            wire_cancel(session);
        if (PQresultStatus(result) == PGRES_FATAL_ERROR && !listing->truncated) {
            complain_result(session, result);
            listing->failed = true;
        }
        PQclear(result);
    }
}

static void end_listing(const struct listing *listing)
{
    text_addf(listing->json, "],\"truncated\":%s", listing->truncated ? "true" : "false");
    if (listing->truncated)
        text_adds(listing->json,
                  ",\"truncated_because\":\"the schema is larger than max_bytes; ask for one "
                  "table with table_name, or for names with SELECT table_schema, table_name FROM "
                  "information_schema.tables\"");
    text_adds(listing->json, "}");
}

static bool list_tables(struct session *session, const char *sql, struct mcp_bytes table,
                        struct listing *listing)
{
    char name[NAME_SIZE];
    memcpy(name, table.data != NULL ? table.data : "", table.size);
    name[table.size] = '\0';
    const char *values[] = {name};
    struct bound bound = {.count = 1, .values = values};
    return reading_send(session, sql, &bound, READING_PLAIN) &&
           reading_begin(session, READING_PLAIN, NULL) && read_tables(session, listing) &&
           reading_finish(session);
}

bool postgres_schema(struct session *session, struct mcp_bytes table, struct text *json,
                     size_t max_size)
{
    struct job *job = session->job;
    struct listing listing = {.json = json, .max_size = max_size};
    struct text sql;
    bool named = table.size > 0, possible = table.size < NAME_SIZE;
    if (possible && table.size > 0)
        possible = memchr(table.data, '\0', table.size) == NULL;
    text_init(&sql, 64 * 1024);
    make_query(&sql);
    text_adds(json, "{\"tables\":[");
    job->complaint.text[0] = '\0';
    bool good = !sql.failed;
    if (good && possible)
        good = list_tables(session, sql.data, table, &listing);
    text_free(&sql);
    if (!good && job->complaint.text[0] == '\0')
        return complain_broken(session);
    if (!good || listing.failed)
        return false;
    end_listing(&listing);
    return listing.count > 0 || listing.truncated || !named ||
           complain(&job->complaint,
                    "There is no table or view \"%.*s\" that this server may read; get_schema "
                    "without table_name lists all.",
                    (int)(table.size < 200 ? table.size : 200), table.data);
}
