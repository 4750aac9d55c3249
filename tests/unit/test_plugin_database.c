/* SPDX-License-Identifier: MIT */
/*
 * plugins/database on SQLite: exact values, caps, transactions, cancellation, and what
 * must be refused. Databases are made through the plugin itself, with read_only false.
 */
#include <check.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fake_host.h"
#include "files.h"
#include "suite.h"

static char base[64];
static struct fake_host *writer, *reader;

static struct fake_host *host_with(const char *more)
{
    struct fake_host *host =
        fake_host_new("database", "{\"url\":\"sqlite://%s/test.db\"%s}", base, more);
    ck_assert_msg(host->running, "%s", host->fail_text);
    return host;
}

/* A result that is no failure. `query` is the inside of a JSON string. */
static struct fake_result *ask(struct fake_host *host, const char *query, const char *more)
{
    struct fake_result *r = fake_callf(host, "execute_query", "{\"query\":\"%s\"%s}", query, more);
    ck_assert_msg(r->end == FAKE_STRUCTURED, "%s: %s", query, r->text);
    return r;
}

/* The first value of the first row. */
static void assert_value(const char *query, const char *more, const char *expected)
{
    char *whole = NULL;
    ck_assert_int_ge(asprintf(&whole, "SELECT (%s) AS v", query), 0);
    struct fake_result *r = ask(reader, whole, more);
    const struct json_node *node = json_at(&r->json, r->json.root, "/rows/0/v");
    ck_assert_ptr_nonnull(node);
    struct bytes raw = json_raw(&r->json, node);
    ck_assert_msg(bytes_equal(raw, bytes_of(expected)), "%s: %.*s, expected %s", query,
                  BYTES_FMT(raw), expected);
    fake_result_free(r);
    free(whole);
}

static void assert_refused(struct fake_host *host, const char *query, const char *expected)
{
    fake_assert_failure(fake_callf(host, "execute_query", "{\"query\":\"%s\"}", query), expected);
}

static void setup(void)
{
    strcpy(base, "/tmp/mcpd-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(base));
    char path[128];
    snprintf(path, sizeof(path), "%s/test.db", base);
    close(open(path, O_WRONLY | O_CREAT, 0644)); /* an empty file is an empty database */
    writer = host_with(",\"read_only\":false");
    struct fake_result *r = fake_callf(
        writer, "execute_transaction",
        "{\"queries\":[{\"query\":\"CREATE TABLE users (id INTEGER PRIMARY KEY, "
        "name TEXT NOT NULL DEFAULT 'x', born REAL, photo BLOB)\"},"
        "{\"query\":\"CREATE TABLE orders (id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES "
        "users(id) ON DELETE CASCADE, item TEXT, UNIQUE (user_id, item))\"},"
        "{\"query\":\"CREATE VIEW names AS SELECT name FROM users\"},"
        "{\"query\":\"INSERT INTO users (id, name) VALUES (1, 'Ada'), (2, 'Grace')\"}]}");
    ck_assert_msg(r->end == FAKE_STRUCTURED, "%s", r->text);
    fake_result_free(r);
    reader = host_with("");
}

static void teardown(void)
{
    fake_host_free(reader);
    fake_host_free(writer);
    files_remove(base);
}

/* Replaces each `from` in a file by `to`, which is as long. */
static void spoil(const char *path, const char *from, const char *to)
{
    char data[65536];
    size_t length = strlen(from);
    int fd = open(path, O_RDWR);
    ck_assert_int_ge(fd, 0);
    ssize_t size = pread(fd, data, sizeof(data), 0);
    ck_assert_int_gt(size, 0);
    for (char *at = data; (at = memmem(at, (size_t)(data + size - at), from, length)) != NULL;)
        memcpy(at, to, length);
    ck_assert_int_eq(pwrite(fd, data, (size_t)size, 0), size);
    close(fd);
}

/* ---- values ---- */

START_TEST(integers_keep_all_digits)
{
    assert_value("9007199254740993", "", "9007199254740993");
    assert_value("9223372036854775807", "", "9223372036854775807");
    assert_value("-9223372036854775807 - 1", "", "-9223372036854775808");
    assert_value("?", ",\"parameters\":[9007199254740993]", "9007199254740993");
    assert_value("?", ",\"parameters\":[9223372036854775807]", "9223372036854775807");
    assert_value("?", ",\"parameters\":[-9223372036854775808]", "-9223372036854775808");
    assert_value("? + 0", ",\"parameters\":[-0]", "0");
    assert_value("typeof(?)", ",\"parameters\":[12]", "\"integer\"");
    assert_value("typeof(?)", ",\"parameters\":[12.0]", "\"real\"");
    fake_assert_failure(fake_callf(reader, "execute_query",
                                   "{\"query\":\"SELECT ?\",\"parameters\":[9223372036854775808]}"),
                        "64 bits");
    fake_assert_failure(
        fake_callf(reader, "execute_query", "{\"query\":\"SELECT ?\",\"parameters\":[1e999]}"),
        "too large");
}
END_TEST

START_TEST(reals_come_back_as_they_are)
{
    assert_value("0.1", "", "0.1");
    assert_value("1.0", "", "1.0");
    assert_value("?", ",\"parameters\":[1e300]", "1e+300");
    assert_value("?", ",\"parameters\":[5e-324]", "5e-324");
    assert_value("?", ",\"parameters\":[2.2250738585072014e-308]", "2.2250738585072014e-308");
    assert_value("0.1 + 0.2", "", "0.30000000000000004");
    assert_value("?", ",\"parameters\":[1.7976931348623157e308]", "1.7976931348623157e+308");
    assert_value("9e999", "", "{\"$float\":\"Infinity\"}");
    assert_value("-9e999", "", "{\"$float\":\"-Infinity\"}");
    assert_value("9e999 - 9e999", "", "null"); /* SQLite has no NaN */
    assert_value("?", ",\"parameters\":[{\"$float\":\"-Infinity\"}]", "{\"$float\":\"-Infinity\"}");
    assert_value("? = -9e999", ",\"parameters\":[{\"$float\":\"-Infinity\"}]", "1");
}
END_TEST

START_TEST(texts_and_blobs_are_exact)
{
    assert_value("NULL", "", "null");
    assert_value("?", ",\"parameters\":[null]", "null");
    assert_value("typeof(?)", ",\"parameters\":[true]", "\"integer\"");
    assert_value("?", ",\"parameters\":[false]", "0");
    assert_value("?", ",\"parameters\":[\"\"]", "\"\"");
    assert_value("length(?)", ",\"parameters\":[\"\\ud83d\\ude00\\u00e9\"]", "2");
    assert_value("hex(?)", ",\"parameters\":[\"a\\u0000b\"]", "\"610062\"");
    assert_value("?", ",\"parameters\":[\"a\\u0000\\u001f\\\"\\\\\\u007f\"]",
                 "\"a\\u0000\\u001f\\\"\\\\\\u007f\"");
    assert_value("x'00ff10'", "", "{\"$base64\":\"AP8Q\"}");
    assert_value("x''", "", "{\"$base64\":\"\"}");
    assert_value("hex(?)", ",\"parameters\":[{\"$base64\":\"AP8Q\"}]", "\"00FF10\"");
    assert_value("typeof(?)", ",\"parameters\":[{\"$base64\":\"\"}]", "\"blob\"");
    assert_value("CAST(x'ff41' AS TEXT)", "", "{\"$base64\":\"/0E=\"}"); /* no UTF-8 */
    static const char *const wrong[] = {
        "[]", "{}", "[1]", "{\"a\":1}", "{\"$base64\":1}", "{\"$base64\":\"AAA=\",\"x\":1}"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        fake_assert_failure(fake_callf(reader, "execute_query",
                                       "{\"query\":\"SELECT ?\",\"parameters\":[%s]}", wrong[i]),
                            "Parameter 1 must be");
    fake_assert_failure(fake_callf(reader, "execute_query",
                                   "{\"query\":\"SELECT ?\",\"parameters\":[{\"$base64\":\"A\"}]}"),
                        "not Base64");
}
END_TEST

START_TEST(values_survive_the_way_into_the_file)
{
    struct fake_result *r = ask(writer, "INSERT INTO users VALUES (?, ?, ?, ?)",
                                ",\"parameters\":[9007199254740993,\"\\u0000\",0.1,"
                                "{\"$base64\":\"AP8=\"}]");
    ck_assert_str_eq(fake_at(r, "/changes"), "1");
    ck_assert_str_eq(fake_at(r, "/last_insert_id"), "9007199254740993");
    ck_assert_str_eq(fake_at(r, "/row_count"), "0");
    fake_result_free(r);
    r = ask(reader, "SELECT * FROM users WHERE id > 2", "");
    ck_assert_str_eq(fake_at(r, "/rows/0"),
                     "{\"id\":9007199254740993,\"name\":\"\\u0000\",\"born\":0.1,"
                     "\"photo\":{\"$base64\":\"AP8=\"}}");
    ck_assert_str_eq(
        fake_at(r, "/columns"),
        "[{\"name\":\"id\",\"type\":\"INTEGER\"},{\"name\":\"name\",\"type\":\"TEXT\"},"
        "{\"name\":\"born\",\"type\":\"REAL\"},{\"name\":\"photo\",\"type\":\"BLOB\"}]");
    ck_assert(!fake_has(r, "/changes"));
    fake_result_free(r);
}
END_TEST

START_TEST(columns_of_one_name_are_all_there)
{
    struct fake_result *r =
        ask(reader, "SELECT 1 AS a, 2 AS a, 3 AS a_2, 4 AS a, 5 AS \\\"q\\\\\\\"\\\"\\\"", "");
    ck_assert_str_eq(fake_at(r, "/rows/0"),
                     "{\"a\":1,\"a_2\":2,\"a_2_2\":3,\"a_3\":4,\"q\\\\\\\"\":5}");
    fake_result_free(r);
}
END_TEST

/* ---- parameters ---- */

START_TEST(parameters_are_bound_by_place_and_name)
{
    assert_value("? || ? || ?", ",\"parameters\":[\"a\",\"b\",\"c\"]", "\"abc\"");
    assert_value("?2 || ?1", ",\"parameters\":[\"a\",\"b\"]", "\"ba\"");
    assert_value(":x || @y || $z || :x", ",\"parameters\":{\"z\":3,\"x\":1,\"y\":2}", "\"1231\"");
    assert_value(":x", ",\"parameters\":{\":x\":5}", "5");
    assert_value("?", ",\"parameters\":[\"users); DROP TABLE users; --\"]",
                 "\"users); DROP TABLE users; --\"");
}
END_TEST

START_TEST(parameters_must_match_the_query)
{
    static const char *const wrong[][3] = {
        {"SELECT ?", "", "has 1 parameters, but 0"},
        {"SELECT 1", ",\"parameters\":[1]", "has 0 parameters, but 1"},
        {"SELECT ?, ?", ",\"parameters\":[1]", "has 2 parameters, but 1"},
        {"SELECT ?5", ",\"parameters\":[1]", "has 5 parameters, but 1"},
        {"SELECT :a", ",\"parameters\":{\"b\":1}", ":a of the query is not given"},
        {"SELECT :a", ",\"parameters\":{\"a\":1,\"b\":\"x,y\"}", "2 parameters were given"},
        {"SELECT ?", ",\"parameters\":{\"a\":1}", "has no name"},
        {"SELECT ?", ",\"parameters\":\"x\"", "must be an array"},
        {"SELECT ?99999", ",\"parameters\":[1]", "SQLite"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        fake_assert_failure(
            fake_callf(reader, "execute_query", "{\"query\":\"%s\"%s}", wrong[i][0], wrong[i][1]),
            wrong[i][2]);
}
END_TEST

/* ---- exactly one statement ---- */

START_TEST(only_blanks_may_follow)
{
    static const char *const good[] = {"SELECT 1",
                                       "SELECT 1;",
                                       " SELECT 1 ; ; \\n\\t",
                                       "SELECT 1; -- the end",
                                       "SELECT 1; -- the end\\n;",
                                       "/* y */ sElEcT 1 /* ; SELECT 2 */; /* ; */ -- x",
                                       "SELECT 1; /* not closed",
                                       "SELECT ';'",
                                       "WITH x AS (SELECT 1) SELECT * FROM x",
                                       "VALUES (1)",
                                       "EXPLAIN QUERY PLAN SELECT * FROM users"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        fake_result_free(ask(reader, good[i], ""));
    static const char *const more[] = {"SELECT 1; SELECT 2",    "SELECT 1; DROP TABLE users",
                                       "SELECT 1;/**/SELECT 2", "SELECT 1; -- x\\nSELECT 2",
                                       "SELECT 1; /* */ x",     "SELECT 1; -",
                                       "SELECT 1; COMMIT"};
    for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++)
        assert_refused(reader, more[i], "more than one statement");
    assert_refused(writer, "DELETE FROM users; SELECT 1", "more than one statement");
    assert_refused(reader, "", "no SQL statement");
    assert_refused(reader, " -- nothing", "no SQL statement");
    assert_refused(reader, ";;", "no SQL statement");
    assert_refused(reader, "SELECT 1\\u0000; DROP TABLE users", "NUL");
    assert_refused(reader, "SELEC 1", "near \"SELEC\": syntax error");
    assert_refused(reader, "SELECT nosuch FROM users", "no such column: nosuch");
    assert_refused(reader, "SELECT \\\"Ada\\\"", "no such column");
    struct fake_result *r = ask(reader, "SELECT count(*) AS n FROM users", "");
    ck_assert_str_eq(fake_at(r, "/rows/0/n"), "2");
    fake_result_free(r);
}
END_TEST

/* ---- reading only ---- */

static const char *const attacks[] = {
    "ATTACH DATABASE '/tmp/mcpd-pwn.db' AS p",
    "ATTACH ':memory:' AS p",
    "DETACH main",
    "VACUUM",
    "VACUUM INTO '/tmp/mcpd-pwn.db'",
    "PRAGMA writable_schema=ON",
    "PRAGMA query_only=OFF",
    "PRAGMA query_only",
    "PRAGMA temp_store_directory='/tmp'",
    "PRAGMA database_list",
    "PRAGMA journal_mode=DELETE",
    "PRAGMA user_version=7",
    "PRAGMA wal_checkpoint",
    "PRAGMA trusted_schema=ON",
    "PRAGMA hard_heap_limit=1",
    "PRAGMA mmap_size=1000000000000",
    "PRAGMA optimize",
    "SELECT * FROM pragma_database_list",
    "SELECT * FROM pragma_query_only",
    "SELECT load_extension('/tmp/evil.so')",
    "SELECT fts3_tokenizer('simple')",
    "SELECT writefile('/tmp/mcpd-pwn.db', 'x')",
    "SELECT readfile('/etc/passwd')",
    "SELECT edit('x')",
    "SELECT zeroblob(1000000000)",
    "BEGIN",
    "BEGIN EXCLUSIVE",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT x",
    "RELEASE x",
    "CREATE VIRTUAL TABLE temp.v USING fts3(x)",
    "CREATE VIRTUAL TABLE v USING dbstat",
    "SELECT * FROM sqlite_dbpage",
};

static const char *const writes[] = {
    "INSERT INTO users (name) VALUES ('x')",
    "INSERT INTO users (name) VALUES ('x') RETURNING id",
    "REPLACE INTO users (id) VALUES (1)",
    "UPDATE users SET name = 'x'",
    "DELETE FROM users",
    "WITH x AS (SELECT 1) DELETE FROM users",
    "/* y */ dElEtE FROM users",
    "DROP TABLE users",
    "DROP VIEW names",
    "ALTER TABLE users RENAME TO u",
    "ALTER TABLE users ADD COLUMN x",
    "CREATE TABLE t (x)",
    "CREATE TEMP TABLE t (x)",
    "CREATE TABLE t AS SELECT 1",
    "CREATE INDEX i ON users(name)",
    "CREATE VIEW v AS SELECT 1",
    "CREATE TEMP VIEW v AS SELECT 1",
    "CREATE TRIGGER t AFTER INSERT ON users BEGIN DELETE FROM users; END",
    "CREATE TEMP TRIGGER t AFTER INSERT ON users BEGIN DELETE FROM users; END",
    "REINDEX",
    "ANALYZE",
    "EXPLAIN DELETE FROM users",
};

static off_t database_size(void)
{
    char path[128];
    struct stat st;
    snprintf(path, sizeof(path), "%s/test.db", base);
    ck_assert_int_eq(stat(path, &st), 0);
    return st.st_size;
}

START_TEST(a_reader_cannot_write)
{
    ck_assert_uint_eq(reader->tool_count, 2);
    ck_assert_ptr_null(fake_host_tool(reader, "execute_transaction"));
    off_t size = database_size();
    for (size_t i = 0; i < sizeof(writes) / sizeof(writes[0]); i++)
        assert_refused(reader, writes[i], "read-only");
    for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
        struct fake_result *r =
            fake_callf(reader, "execute_query", "{\"query\":\"%s\"}", attacks[i]);
        ck_assert_msg(r->end == FAKE_FAILURE, "%s: %s", attacks[i], r->text);
        fake_result_free(r);
    }
    ck_assert_int_eq(database_size(), size);
    ck_assert_int_eq(files_count(base), 1);
    ck_assert_int_ne(access("/tmp/mcpd-pwn.db", F_OK), 0);
    struct fake_result *r = ask(reader, "SELECT group_concat(name) AS n FROM users", "");
    ck_assert_str_eq(fake_at(r, "/rows/0/n"), "Ada,Grace");
    fake_result_free(r);
    /* The tag of execute_transaction, without the tool. */
    reader->tools[0].tag = 2;
    r = fake_callf(reader, "execute_query", "{\"queries\":[{\"query\":\"DELETE FROM users\"}]}");
    ck_assert_int_eq(r->end, FAKE_REFUSED);
    fake_result_free(r);
}
END_TEST

START_TEST(a_writer_cannot_leave_its_database)
{
    for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
        struct fake_result *r =
            fake_callf(writer, "execute_query", "{\"query\":\"%s\"}", attacks[i]);
        ck_assert_msg(r->end == FAKE_FAILURE, "%s: %s", attacks[i], r->text);
        fake_result_free(r);
        r = fake_callf(writer, "execute_transaction", "{\"queries\":[{\"query\":\"%s\"}]}",
                       attacks[i]);
        ck_assert_msg(r->end == FAKE_FAILURE, "%s: %s", attacks[i], r->text);
        ck_assert_ptr_nonnull(strstr(r->text, "rolled back"));
        fake_result_free(r);
    }
    assert_refused(writer, "UPDATE sqlite_schema SET sql = 'x'", "may not be modified");
    assert_refused(writer, "DELETE FROM sqlite_master", "may not be modified");
    ck_assert_int_ne(access("/tmp/mcpd-pwn.db", F_OK), 0);
    ck_assert_int_eq(files_count(base), 1);
    struct fake_result *r = ask(reader, "SELECT group_concat(name) AS n FROM users", "");
    ck_assert_str_eq(fake_at(r, "/rows/0/n"), "Ada,Grace");
    fake_result_free(r);
}
END_TEST

/* What a schema holds is not trusted: a view or trigger that somebody put there may do
 * no more than a query. */
START_TEST(views_and_triggers_are_judged_like_queries)
{
    fake_result_free(ask(writer, "CREATE VIEW evil AS SELECT zeroblob(9) AS z", ""));
    assert_refused(reader, "SELECT * FROM evil", "zeroblob");
    fake_result_free(
        ask(writer, "CREATE TRIGGER t AFTER INSERT ON users BEGIN SELECT zeroblob(9); END", ""));
    assert_refused(writer, "INSERT INTO users (name) VALUES ('x')", "zeroblob");
}
END_TEST

/* Wherever a long name is cut, what is said stays UTF-8 (fake_host checks that). */
START_TEST(long_names_are_cut_between_characters)
{
    static const struct {
        const char *tool, *before, *behind, *expected;
    } calls[] = {
        {"execute_query", "{\"query\":\"SELECT \\\"", "\\\"\"}", "no such column"},
        {"execute_query", "{\"query\":\"PRAGMA \\\"", "\\\"\"}", "Not allowed"},
        {"execute_query", "{\"query\":\"SELECT :", "\",\"parameters\":{\"x\":1}}", "not given"},
        {"get_schema", "{\"table_name\":\"", "\"}", "no table or view"},
    };
    char name[8000] = "";
    for (size_t i = 0; i < 1500; i++)
        strcat(name, "\xc3\xa9");
    for (size_t i = 0; i < 2 * sizeof(calls) / sizeof(calls[0]); i++)
        fake_assert_failure(fake_callf(reader, calls[i / 2].tool, "%s%s%s%s", calls[i / 2].before,
                                       i % 2 == 0 ? "" : "a", name, calls[i / 2].behind),
                            calls[i / 2].expected);
}
END_TEST

START_TEST(what_a_reader_asked_for_is_named)
{
    assert_refused(reader, "CREATE TABLE x (a)", "Not allowed: changing the schema");
    assert_refused(reader, "DROP VIEW names", "Not allowed: changing the schema");
    assert_refused(reader, "INSERT INTO users (name) VALUES ('x')", "Not allowed: INSERT");
}
END_TEST

START_TEST(harmless_pragmas_answer)
{
    struct fake_result *r = ask(reader, "PRAGMA table_info(users)", "");
    ck_assert_str_eq(fake_at(r, "/row_count"), "4");
    fake_result_free(r);
    r = ask(reader, "SELECT name FROM pragma_table_info('orders') ORDER BY cid", "");
    ck_assert_str_eq(fake_at(r, "/rows/1/name"), "user_id");
    fake_result_free(r);
    fake_result_free(ask(reader, "PRAGMA user_version", ""));
    fake_result_free(ask(reader, "PRAGMA integrity_check", ""));
}
END_TEST

/* ---- caps ---- */

static const char numbers[] = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n "
                              "LIMIT 100000) SELECT i FROM n";

START_TEST(rows_are_cut_with_a_mark)
{
    struct fake_result *r = ask(reader, numbers, "");
    ck_assert_str_eq(fake_at(r, "/row_count"), "1000");
    ck_assert_str_eq(fake_at(r, "/rows/999/i"), "1000");
    ck_assert(!fake_has(r, "/rows/1000"));
    ck_assert_str_eq(fake_at(r, "/truncated"), "true");
    ck_assert_ptr_nonnull(strstr(fake_at(r, "/truncated_because"), "max_rows"));
    ck_assert_ptr_nonnull(strstr(r->text, "\"truncated\":true"));
    fake_result_free(r);
    r = ask(reader, "SELECT * FROM users", ",\"max_rows\":2");
    ck_assert_str_eq(fake_at(r, "/truncated"), "false");
    ck_assert(!fake_has(r, "/truncated_because"));
    fake_result_free(r);
    r = ask(reader, "SELECT * FROM users", ",\"max_rows\":1");
    ck_assert_str_eq(fake_at(r, "/truncated"), "true");
    fake_result_free(r);
    fake_assert_failure(
        fake_callf(reader, "execute_query", "{\"query\":\"SELECT 1\",\"max_rows\":1001}"),
        "from 1 to 1000");
}
END_TEST

START_TEST(bytes_are_cut_at_whole_rows)
{
    fake_host_free(reader);
    reader = host_with(",\"max_bytes\":2048");
    struct fake_result *r = ask(reader, numbers, "");
    ck_assert_str_eq(fake_at(r, "/truncated"), "true");
    ck_assert_ptr_nonnull(strstr(fake_at(r, "/truncated_because"), "max_bytes"));
    int count = atoi(fake_at(r, "/row_count"));
    ck_assert_int_gt(count, 100);
    ck_assert_int_lt(count, 300);
    ck_assert_uint_lt(r->text_size, 2048 + 300);
    fake_result_free(r);
    r = ask(reader, "SELECT hex(randomblob(1024)) || hex(randomblob(1024)) AS x", "");
    ck_assert_str_eq(fake_at(r, "/row_count"), "0");
    ck_assert_str_eq(fake_at(r, "/truncated"), "true");
    fake_result_free(r);
    char query[4000] = "SELECT 1";
    for (int i = 0; i < 300; i++)
        snprintf(query + strlen(query), sizeof(query) - strlen(query), ",%d", i);
    assert_refused(reader, query, "names of the columns");
}
END_TEST

/* The long name fits into max_bytes, but not behind the others with what stands around
 * them. */
START_TEST(names_of_columns_end_at_the_cap)
{
    fake_host_free(reader);
    reader = host_with(",\"max_bytes\":131072");
    struct buf query;
    buf_init(&query, 1 << 20);
    buf_addf(&query, "SELECT 1");
    for (int i = 0; i < 1000; i++)
        buf_addf(&query, ", %d AS c%d", i, i);
    buf_addf(&query, ", 1 AS ");
    for (int i = 0; i < 124000; i++)
        buf_add_char(&query, 'x');
    assert_refused(reader, query.data, "names of the columns");
    buf_free(&query);
}
END_TEST

START_TEST(long_values_and_queries_are_refused)
{
    assert_refused(reader, "SELECT length(printf('%.*c',900000000,'x'))", "* is not offered");
    assert_refused(reader, "SELECT length(printf('%.900000000c','x'))", "larger than 1000");
    assert_refused(reader, "SELECT length(format('%0900000000d',1))", "larger than 1000");
    assert_refused(reader, "SELECT randomblob(1000000000)", "more than 1024");
    assert_refused(reader,
                   "WITH RECURSIVE n(i,s) AS (SELECT 1,'xxxxxxxx' UNION ALL SELECT i+1,s||s FROM "
                   "n LIMIT 40) SELECT max(length(s)) FROM n",
                   "too big");
    char *query = malloc(300 * 1024);
    memset(query, ' ', 300 * 1024);
    memcpy(query, "SELECT 1", 8);
    query[300 * 1024 - 1] = '\0';
    assert_refused(reader, query, "longer than 256 KiB");
    free(query);
}
END_TEST

/* What one step of SQLite's machine does cannot be stopped, so it has to be quick. */
#ifdef MCPD_SANITIZE /* whose memmem looks at all of the text each time */
#define DOUBLINGS "14"
#else
#define DOUBLINGS "19" /* 2 MiB */
#endif
START_TEST(functions_with_long_arguments_are_quick)
{
    static const char *const queries[] = {
        "SELECT instr(s, substr(s, 1, length(s)/2) || 'b') FROM x",
        "SELECT length(replace(s, substr(s, 1, length(s)/2) || 'b', 'c')) FROM x",
        "SELECT length(replace(s, 'a', '')) FROM x",
        "SELECT length(trim(s, 'bcdefghijklmnopqrstuvwxyz')) FROM x",
        "SELECT s LIKE '%aaaaaaaaaaaaaaaaaaaaaaaaaaaab%' FROM x",
        "SELECT s GLOB '*a*a*a*a*a*a*a*a*b' FROM x",
    };
    for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
        struct fake_result *r = fake_callf(
            reader, "execute_query",
            "{\"query\":\"WITH RECURSIVE g(i,s) AS (SELECT 1,'aaaaaaaa' UNION ALL SELECT i+1,s||s "
            "FROM g LIMIT " DOUBLINGS "), x(s) AS (SELECT s FROM g ORDER BY i DESC LIMIT 1) %s\"}",
            queries[i]);
        ck_assert_msg(r->end == FAKE_STRUCTURED, "%s: %s", queries[i], r->text);
        ck_assert_msg(r->took_ms < (suite_is_slow() ? 50000 : 5000), "%s: %lld ms", queries[i],
                      (long long)r->took_ms);
        fake_result_free(r);
    }
    assert_refused(reader, "SELECT trim('a', hex(randomblob(100)))", "too many characters");
}
END_TEST

/* The functions that we replaced give what SQLite's give. */
START_TEST(replaced_functions_are_like_sqlites)
{
    static const char *const cases[][2] = {
        {"instr('hello','l')", "3"},
        {"instr('hello','')", "1"},
        {"instr('','')", "1"},
        {"instr('','x')", "0"},
        {"instr('h\xc3\xa4llo','l')", "3"},
        {"instr('\xe2\x82\xac\xe2\x82\xac"
         "x','x')",
         "3"},
        {"instr(x'e282ac41', x'41')", "4"},
        {"instr(x'e282ac41', 'A')", "2"},
        {"instr('abc', x'62')", "2"},
        {"instr('\xc3\xa4', CAST(x'a4' AS TEXT))", "0"},
        {"instr(NULL,'x')", "null"},
        {"instr('x',NULL)", "null"},
        {"instr(12345, 34)", "3"},
        {"replace('aXbXc','X','--')", "\"a--b--c\""},
        {"replace('aaa','aa','b')", "\"ba\""},
        {"replace('abc','','x')", "\"abc\""},
        {"typeof(replace(5,'','x'))", "\"integer\""},
        {"replace('abc','abc','')", "\"\""},
        {"replace(NULL,'a','b')", "null"},
        {"replace('a',NULL,'b')", "null"},
        {"replace('a','a',NULL)", "null"},
        {"trim('  a b  ')", "\"a b\""},
        {"ltrim('  a')", "\"a\""},
        {"rtrim('a  ')", "\"a\""},
        {"trim('xyaxy','yx')", "\"a\""},
        {"rtrim('a\xc3\xa4\xe2\x82\xac','\xe2\x82\xac\xc3\xa4')", "\"a\""},
        {"trim('aaa','a')", "\"\""},
        {"trim('a','')", "\"a\""},
        {"trim(NULL)", "null"},
        {"trim('a',NULL)", "null"},
        {"printf('%d|%5d|%-5d|%05d|%+d', 1, 2, 3, 4, 5)", "\"1|    2|3    |00004|+5\""},
        {"printf('%,d', 1234567)", "\"1,234,567\""},
        {"printf('%x %X %o %u', 255, 255, 8, 7)", "\"ff FF 10 7\""},
        {"printf('%lld %ld', 9223372036854775807, -1)", "\"9223372036854775807 -1\""},
        {"printf('%.2f %8.3f %e %g', 3.14159, 2.5, 12345.678, 0.0001)",
         "\"3.14    2.500 1.234568e+04 0.0001\""},
        {"printf('%s|%10s|%-4s|%.2s', 'abc', 'd', 'e', 'fgh')", "\"abc|         d|e   |fg\""},
        {"printf('%c%c', 'xyz', '\xe2\x82\xac!')", "\"x\xe2\x82\xac\""},
        {"printf('%q %Q %w', 'it''s', 'it''s', 'a')", "\"it''s 'it''s' a\""},
        {"printf('%Q %s.', NULL, NULL)", "\"NULL .\""},
        {"printf('100%% %d')", "\"100% 0\""},
        {"printf('%d', '12abc')", "\"12\""},
        {"printf('')", "\"\""},
        {"printf(NULL)", "null"},
        {"format('%s-%s', 'a')", "\"a-\""},
        {"printf('%z|%5c|%p|%3%|%', 'a', '\xc3\xa4', 255)", "\"a|    \xc3\xa4|FF|  %|%\""},
        {"hex(printf('%c', ''))", "\"00\""},
        {"printf('%lld|%llld|%d', 1, 2, 3)", "\"1|\""},
        {"'Hello' LIKE 'h%O'", "1"},
        {"'hello' LIKE 'h_llo' AND 'hello' LIKE '%%l_%' AND '' LIKE '%'", "1"},
        {"'aXbXc' LIKE '%x%X_' AND 'aab' LIKE '%ab'", "1"},
        {"'hello' LIKE 'hell' OR 'hell' LIKE 'hello' OR '' LIKE '_' OR 'ab' LIKE '%a'", "0"},
        {"'\xc3\x84' LIKE '\xc3\xa4'", "0"}, /* only ASCII has two cases */
        {"'\xe2\x82\xac' LIKE '_' AND 'x\xe2\x82\xac' LIKE '%\xe2\x82\xac'", "1"},
        {"'50%' LIKE '50!%' ESCAPE '!' AND 'a_' LIKE '%!_' ESCAPE '!'", "1"},
        {"'500' LIKE '50!%' ESCAPE '!' OR 'a' LIKE 'a!' ESCAPE '!'", "0"},
        {"'%a' LIKE '%%a' ESCAPE '%' AND '_' LIKE '__' ESCAPE '_'", "1"},
        {"'xa' LIKE '%%a' ESCAPE '%'", "0"},
        {"'a' LIKE NULL", "null"},
        {"NULL LIKE 'a'", "null"},
        {"'a' LIKE 'a' ESCAPE NULL", "null"},
        {"12 LIKE '1_'", "1"},
        {"'hello' GLOB 'h*[k-m]?' AND 'a-c' GLOB '*[]-]c' AND 'b' GLOB '[^ac]'", "1"},
        {"'Hello' GLOB 'h*' OR 'b' GLOB '[^a-c]' OR 'b' GLOB '[b' OR '' GLOB '[^a]'", "0"},
        {"json_patch('{\\\"a\\\":1,\\\"b\\\":[2]}','{\\\"a\\\":null,\\\"c\\\":\\\":\\\"}')",
         "\"{\\\"b\\\":[2],\\\"c\\\":\\\":\\\"}\""},
        {"json_array(json_patch('{}','{}'))", "\"[{}]\""},
        {"json_patch('{}',NULL)", "null"},
        {"length(randomblob(16))", "16"},
        {"length(randomblob(0))", "1"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_value(cases[i][0], "", cases[i][1]);
    assert_refused(reader, "SELECT 'a' LIKE 'a' ESCAPE 'ab'", "must be a single character");
    assert_refused(reader, "SELECT 'a' LIKE 'a' ESCAPE ''", "must be a single character");
    assert_refused(reader, "SELECT 'a' LIKE printf('%201s', 'a')", "pattern too complex");
    assert_refused(reader, "SELECT json_patch('{', '{}')", "malformed JSON");
}
END_TEST

/* ---- time ---- */

static const char *const bombs[] = {
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT count(*) FROM n",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n LIMIT 1000) SELECT count(*) "
    "FROM n a, n b, n c, n d, n e",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION SELECT (i*48271)%2147483647 FROM n) SELECT max(i) "
    "FROM n",
};

START_TEST(a_cancelled_query_ends_at_once)
{
    static const struct fake_options soon = {.cancel_after_ms = 100};
    for (size_t i = 0; i < sizeof(bombs) / sizeof(bombs[0]); i++) {
        char arguments[512];
        snprintf(arguments, sizeof(arguments), "{\"query\":\"%s\"}", bombs[i]);
        struct fake_result *r = fake_call(reader, "execute_query", &soon, arguments);
        ck_assert_msg(r->took_ms < 3000, "%lld ms", (long long)r->took_ms);
        ck_assert(r->cancel_heard); /* sqlite3_interrupt */
        fake_assert_failure(r, "cancelled");
    }
    static const struct fake_options before = {.cancel_after_ms = -1};
    fake_assert_failure(fake_call(reader, "execute_query", &before, "{\"query\":\"SELECT 1\"}"),
                        "cancelled");
    fake_result_free(ask(reader, "SELECT 1", "")); /* the session is good again */
}
END_TEST

START_TEST(a_query_ends_at_its_deadline)
{
    static const struct fake_options options = {.deadline_ms = 200};
    char arguments[512];
    snprintf(arguments, sizeof(arguments), "{\"query\":\"%s\"}", bombs[0]);
    struct fake_result *r = fake_call(reader, "execute_query", &options, arguments);
    ck_assert_int_ge(r->took_ms, 150);
    ck_assert_int_lt(r->took_ms, 3000);
    fake_assert_failure(r, "took longer");
    fake_host_free(reader);
    reader = host_with(",\"timeout_ms\":100");
    assert_refused(reader, bombs[0], "longer than the 100 ms");
}
END_TEST

struct asking {
    pthread_t thread;
    struct fake_result *result;
};

static void *ask_bomb(void *data)
{
    static const struct fake_options options = {.cancel_after_ms = 300};
    struct asking *asking = data;
    char arguments[512];
    snprintf(arguments, sizeof(arguments), "{\"query\":\"%s\"}", bombs[0]);
    asking->result = fake_call(reader, "execute_query", &options, arguments);
    return NULL;
}

START_TEST(calls_wait_for_a_connection)
{
    fake_host_free(reader);
    reader = host_with(",\"max_connections\":1,\"timeout_ms\":5000");
    struct asking bomb;
    ck_assert_int_eq(pthread_create(&bomb.thread, NULL, ask_bomb, &bomb), 0);
    usleep(100 * 1000);
    static const struct fake_options soon = {.deadline_ms = 50};
    fake_assert_failure(fake_call(reader, "execute_query", &soon, "{\"query\":\"SELECT 1\"}"),
                        "took longer");
    struct fake_result *r = ask(reader, "SELECT 1", "");
    ck_assert_int_gt(r->took_ms, 20);
    fake_result_free(r);
    pthread_join(bomb.thread, NULL);
    fake_assert_failure(bomb.result, "cancelled");
}
END_TEST

/* ---- writing ---- */

START_TEST(a_transaction_is_all_or_nothing)
{
    struct fake_result *r = fake_callf(
        writer, "execute_transaction",
        "{\"queries\":[{\"query\":\"INSERT INTO orders (user_id, item) VALUES (?, ?)\","
        "\"parameters\":[1,\"pen\"]},{\"query\":\"UPDATE users SET born = :b\","
        "\"parameters\":{\"b\":1.5}},{\"query\":\"SELECT count(*) AS n FROM orders\"}]}");
    ck_assert_msg(r->end == FAKE_STRUCTURED, "%s", r->text);
    ck_assert_str_eq(fake_at(r, "/results/0/changes"), "1");
    ck_assert_str_eq(fake_at(r, "/results/0/last_insert_id"), "1");
    ck_assert_str_eq(fake_at(r, "/results/1/changes"), "2");
    ck_assert(!fake_has(r, "/results/1/last_insert_id"));
    ck_assert_str_eq(fake_at(r, "/results/2/rows/0/n"), "1");
    fake_result_free(r);

    static const char *const failing[][2] = {
        {"INSERT INTO orders (user_id, item) VALUES (1, 'pen')", "UNIQUE constraint failed"},
        {"INSERT OR ROLLBACK INTO orders (user_id, item) VALUES (1, 'pen')", "UNIQUE"},
        {"INSERT INTO orders (user_id) VALUES (99)", "FOREIGN KEY constraint failed"},
        {"INSERT INTO nowhere VALUES (1)", "no such table"},
        {"COMMIT", "Not allowed"},
        {"SELECT 1; SELECT 2", "more than one statement"},
        {"SELECT ?", "has 1 parameters"},
    };
    for (size_t i = 0; i < sizeof(failing) / sizeof(failing[0]); i++) {
        r = fake_callf(writer, "execute_transaction",
                       "{\"queries\":[{\"query\":\"DELETE FROM users WHERE id = 2\"},"
                       "{\"query\":\"%s\"},{\"query\":\"DELETE FROM users\"}]}",
                       failing[i][0]);
        ck_assert_msg(strstr(r->text, "Query 2 of 3 failed, and everything was rolled back") !=
                          NULL,
                      "%s", r->text);
        fake_assert_failure(r, failing[i][1]);
        r = ask(reader, "SELECT count(*) AS n FROM users", "");
        ck_assert_str_eq(fake_at(r, "/rows/0/n"), "2");
        fake_result_free(r);
    }
    fake_assert_failure(fake_callf(writer, "execute_transaction", "{\"queries\":[]}"), "1 to 100");
    fake_assert_failure(fake_callf(writer, "execute_transaction", "{\"queries\":[{\"x\":1}]}"),
                        "no \"query\"");
    fake_assert_failure(fake_callf(writer, "execute_transaction", "{}"), "1 to 100");
}
END_TEST

START_TEST(a_commit_that_fails_is_rolled_back)
{
    fake_result_free(ask(writer,
                         "CREATE TABLE later (u INTEGER REFERENCES users(id) DEFERRABLE INITIALLY "
                         "DEFERRED)",
                         ""));
    fake_assert_failure(fake_callf(writer, "execute_transaction",
                                   "{\"queries\":[{\"query\":\"INSERT INTO later VALUES (99)\"}]}"),
                        "everything was rolled back. SQLite: FOREIGN KEY");
    struct fake_result *r = ask(writer, "SELECT count(*) AS n FROM later", "");
    ck_assert_str_eq(fake_at(r, "/rows/0/n"), "0");
    fake_result_free(r);
    assert_refused(writer, "INSERT INTO later VALUES (99)", "FOREIGN KEY");
}
END_TEST

START_TEST(a_cancelled_transaction_changes_nothing)
{
    static const struct fake_options soon = {.cancel_after_ms = 100};
    struct fake_result *r = fake_call(
        writer, "execute_transaction", &soon,
        "{\"queries\":[{\"query\":\"DELETE FROM users\"},{\"query\":\"WITH RECURSIVE n(i) AS "
        "(SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT count(*) FROM n\"}]}");
    fake_assert_failure(r, "cancelled");
    r = ask(writer, "SELECT count(*) AS n FROM users", "");
    ck_assert_str_eq(fake_at(r, "/rows/0/n"), "2");
    fake_result_free(r);
}
END_TEST

START_TEST(truncated_results_do_not_stop_a_transaction)
{
    fake_host_free(writer);
    writer = host_with(",\"read_only\":false,\"max_bytes\":1024");
    struct fake_result *r =
        fake_callf(writer, "execute_transaction",
                   "{\"queries\":[{\"query\":\"%s\"},{\"query\":\"DELETE FROM orders\"},"
                   "{\"query\":\"SELECT name FROM users\"},{\"query\":\"DELETE FROM users\"}]}",
                   numbers);
    ck_assert_msg(r->end == FAKE_STRUCTURED, "%s", r->text);
    ck_assert_str_eq(fake_at(r, "/results/0/truncated"), "true");
    ck_assert_str_eq(fake_at(r, "/results/3/changes"), "2");
    fake_result_free(r);
}
END_TEST

START_TEST(writing_statements_tell_what_they_changed)
{
    static const char *const cases[][3] = {
        {"CREATE TABLE t (x)", "0", ""},
        {"INSERT INTO t VALUES (1), (2), (3)", "3", "3"},
        {"UPDATE t SET x = x + 1 WHERE x > 1", "2", ""},
        {"DELETE FROM t", "3", ""},
        {"DROP TABLE t", "0", ""},
        {"CREATE VIRTUAL TABLE f USING fts5 (x)", "0", ""}, /* fills tables of its own */
        {"INSERT INTO f (rowid, x) VALUES (7, 'a')", "1", "7"},
        {"DROP TABLE f", "0", ""},
        {"CREATE TABLE c AS SELECT * FROM users", "0", ""},
        {"INSERT INTO users (name) VALUES ('y') RETURNING id", "1", "3"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fake_result *r = ask(writer, cases[i][0], "");
        ck_assert_str_eq(fake_at(r, "/changes"), cases[i][1]);
        ck_assert_str_eq(fake_at(r, "/last_insert_id"), cases[i][2]);
        fake_result_free(r);
    }
}
END_TEST

static void *insert_much(void *data)
{
    for (int i = 0; i < 50; i++) {
        fake_result_free(
            ask(data == NULL ? writer : data, "INSERT INTO users (name) VALUES ('many')", ""));
        fake_result_free(ask(reader, "SELECT count(*) FROM users", ""));
        struct fake_result *r = fake_callf(reader, "get_schema", "{}");
        ck_assert_int_eq(r->end, FAKE_STRUCTURED);
        fake_result_free(r);
    }
    return NULL;
}

START_TEST(many_threads_at_once)
{
    fake_host_free(writer);
    writer = host_with(",\"read_only\":false,\"busy_timeout_ms\":60000,\"timeout_ms\":60000");
    fake_host_free(reader);
    reader = host_with(",\"busy_timeout_ms\":60000,\"timeout_ms\":60000");
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, insert_much, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    struct fake_result *r = ask(reader, "SELECT count(*) AS n FROM users", "");
    ck_assert_str_eq(fake_at(r, "/rows/0/n"), "202");
    fake_result_free(r);
}
END_TEST

/* ---- the schema ---- */

START_TEST(the_schema_is_told)
{
    struct fake_result *r = fake_callf(reader, "get_schema", "{}");
    ck_assert_msg(r->end == FAKE_STRUCTURED, "%s", r->text);
    static const char *const expected[][2] = {
        {"/tables/0/name", "names"},
        {"/tables/0/type", "view"},
        {"/tables/1/name", "orders"},
        {"/tables/1/indexes/0/unique", "true"},
        {"/tables/1/indexes/0/columns", "[\"user_id\",\"item\"]"},
        {"/tables/1/foreign_keys/0/columns", "[\"user_id\"]"},
        {"/tables/1/foreign_keys/0/table", "users"},
        {"/tables/1/foreign_keys/0/references", "[\"id\"]"},
        {"/tables/1/foreign_keys/0/on_delete", "CASCADE"},
        {"/tables/2/columns/0/name", "id"},
        {"/tables/2/columns/0/primary_key", "1"},
        {"/tables/2/columns/1/nullable", "false"},
        {"/tables/2/columns/1/default", "'x'"},
        {"/tables/2/columns/2/nullable", "true"},
        {"/tables/2/columns/2/default", "null"},
        {"/tables/2/columns/3/type", "BLOB"},
        {"/truncated", "false"},
    };
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
        ck_assert_str_eq(fake_at(r, expected[i][0]), expected[i][1]);
    ck_assert(!fake_has(r, "/tables/3"));
    fake_result_free(r);
    r = fake_callf(reader, "get_schema", "{\"table_name\":\"USERS\"}");
    ck_assert_str_eq(fake_at(r, "/tables/0/name"), "users");
    ck_assert(!fake_has(r, "/tables/1"));
    fake_result_free(r);
}
END_TEST

START_TEST(names_of_tables_are_only_names)
{
    static const char *const wrong[] = {
        "none",  "users); --",    "users' OR 1=1 --", "%",
        "u_ers", "sqlite_schema", "users\\u0000",     "\\\"users\\\""};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        fake_assert_failure(fake_callf(reader, "get_schema", "{\"table_name\":\"%s\"}", wrong[i]),
                            "There is no table or view");
    fake_result_free(
        ask(writer, "CREATE TABLE \\\"it's; a \\\"\\\"name\\\"\\\" --\\\" (\\\"c'1\\\" TEXT)", ""));
    struct fake_result *r =
        fake_callf(reader, "get_schema", "{\"table_name\":\"it's; a \\\"name\\\" --\"}");
    ck_assert_msg(r->end == FAKE_STRUCTURED, "%s", r->text);
    ck_assert_str_eq(fake_at(r, "/tables/0/columns/0/name"), "c'1");
    fake_result_free(r);
}
END_TEST

START_TEST(a_broken_view_does_not_hide_the_others)
{
    fake_result_free(ask(writer, "CREATE TABLE t (x)", ""));
    fake_result_free(ask(writer, "CREATE VIEW broken AS SELECT x FROM t", ""));
    fake_result_free(ask(writer, "DROP TABLE t", ""));
    struct fake_result *r = fake_callf(reader, "get_schema", "{}");
    ck_assert_msg(r->end == FAKE_STRUCTURED, "%s", r->text);
    ck_assert_str_eq(fake_at(r, "/tables/0/name"), "broken");
    ck_assert_ptr_nonnull(strstr(fake_at(r, "/tables/0/problem"), "no such table"));
    ck_assert_str_eq(fake_at(r, "/tables/3/name"), "users");
    fake_result_free(r);
}
END_TEST

/* Nobody keeps SQLite from names that are no UTF-8. */
START_TEST(a_name_that_is_not_utf8_does_not_hide_the_others)
{
    fake_result_free(ask(writer, "CREATE TABLE t (c_ TEXT UNIQUE, d REFERENCES t(c_))", ""));
    char path[128];
    snprintf(path, sizeof(path), "%s/test.db", base);
    spoil(path, "c_", "c\xff");
    fake_host_free(reader);
    reader = host_with("");
    struct fake_result *r = fake_callf(reader, "get_schema", "{}");
    ck_assert_msg(r->end == FAKE_STRUCTURED, "%s", r->text);
    ck_assert_str_eq(fake_at(r, "/tables/2/name"), "t");
    ck_assert_str_eq(fake_at(r, "/tables/2/columns/0/name"), "c\xef\xbf\xbd");
    ck_assert_str_eq(fake_at(r, "/tables/2/indexes/0/columns"), "[\"c\xef\xbf\xbd\"]");
    ck_assert_str_eq(fake_at(r, "/tables/2/foreign_keys/0/references"), "[\"c\xef\xbf\xbd\"]");
    ck_assert_str_eq(fake_at(r, "/tables/3/name"), "users");
    fake_result_free(r);
    /* SQLite's own complaints repeat such names. */
    assert_refused(reader, "SELECT * FROM t NATURAL JOIN (SELECT 1 AS x) GROUP BY 9", "SQLite");
}
END_TEST

START_TEST(a_large_schema_is_cut_with_a_mark)
{
    for (int i = 0; i < 100; i++) {
        char query[128];
        snprintf(query, sizeof(query), "CREATE TABLE t%03d (a INTEGER, b TEXT, c REAL)", i);
        fake_result_free(ask(writer, query, ""));
    }
    fake_host_free(reader);
    reader = host_with(",\"max_bytes\":4096");
    struct fake_result *r = fake_callf(reader, "get_schema", "{}");
    ck_assert_str_eq(fake_at(r, "/truncated"), "true");
    ck_assert_uint_lt(r->text_size, 4096 + 512);
    ck_assert(fake_has(r, "/tables/3"));
    fake_result_free(r);
}
END_TEST

/* ---- life ---- */

START_TEST(wrong_configurations_are_told_with_their_place)
{
    static const char *const wrong[][3] = {
        {"{}", "", "\"url\" is missing"},
        {"{\"url\":7}", "/url", "expected a string"},
        {"{\"url\":\"mysql://localhost/x\"}", "/url", "expected sqlite:///"},
        {"{\"url\":\"/srv/sales.db\"}", "/url", "expected sqlite:///"},
        {"{\"url\":\"sqlite:sales.db\"}", "/url", "relative"},
        {"{\"url\":\"sqlite://sales.db\"}", "/url", "relative"},
        {"{\"url\":\"sqlite://host/sales.db\"}", "/url", "relative"},
        {"{\"url\":\"sqlite:///\"}", "/url", "absolute path"},
        {"{\"url\":\"sqlite:///x?mode=rw\"}", "/url", "options"},
        {"{\"url\":\"sqlite:///x%0\"}", "/url", "hexadecimal"},
        {"{\"url\":\"sqlite:///x%00\"}", "/url", "hexadecimal"},
        {"{\"url\":\"sqlite:///x\\u0000\"}", "/url", "NUL"},
        {"{\"url\":\"sqlite:///nowhere/at/all.db\"}", "/url", "No such file"},
        {"{\"url\":\"sqlite:///tmp\"}", "/url", "is not a file"},
        {"{\"url\":\"sqlite:///etc/passwd\"}", "/url", "not an SQLite database"},
        {"{\"url\":\"sqlite:///x\",\"max_rows\":0}", "/max_rows", "from 1"},
        {"{\"url\":\"sqlite:///x\",\"max_bytes\":1e99}", "/max_bytes", "integer"},
        {"{\"url\":\"sqlite:///x\",\"read_only\":\"no\"}", "/read_only", "true or false"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        fake_assert_wrong("database", wrong[i][0], wrong[i][1], wrong[i][2]);
}
END_TEST

START_TEST(a_url_may_have_escapes)
{
    char from[128], to[128];
    snprintf(from, sizeof(from), "%s/test.db", base);
    snprintf(to, sizeof(to), "%s/a b?#%%.db", base);
    ck_assert_int_eq(link(from, to), 0);
    struct fake_host *host =
        fake_host_new("database", "{\"url\":\"sqlite://%s/a%%20b%%3F%%23%%25.db\"}", base);
    ck_assert_msg(host->running, "%s", host->fail_text);
    fake_host_free(host);
}
END_TEST

START_TEST(a_database_that_was_replaced_is_opened_anew)
{
    fake_result_free(ask(reader, "SELECT 1", ""));
    char old[128], new[128];
    snprintf(old, sizeof(old), "%s/test.db", base);
    snprintf(new, sizeof(new), "%s/new.db", base);
    close(open(new, O_WRONLY | O_CREAT, 0644));
    struct fake_host *other =
        fake_host_new("database", "{\"url\":\"sqlite://%s/new.db\",\"read_only\":false}", base);
    fake_result_free(ask(other, "CREATE TABLE fresh (x)", ""));
    fake_host_free(other);
    ck_assert_int_eq(rename(new, old), 0);
    fake_result_free(ask(reader, "SELECT * FROM fresh", ""));
    assert_refused(reader, "SELECT * FROM users", "no such table");
    ck_assert_int_eq(unlink(old), 0);
    fake_result_free(ask(reader, "SELECT * FROM fresh", "")); /* still has it open */
}
END_TEST

START_TEST(instances_leave_nothing_open)
{
    int before = files_open();
    for (int i = 0; i < 50; i++) {
        struct fake_host *host = host_with(i % 2 == 0 ? "" : ",\"read_only\":false");
        fake_result_free(ask(host, "SELECT * FROM users", ""));
        assert_refused(host, "SELECT nosuch", "no such column");
        fake_host_free(host);
    }
    ck_assert_int_eq(files_open(), before);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plugins/database");
    SUITE_ADD(suite, "values", 60, integers_keep_all_digits, reals_come_back_as_they_are,
              texts_and_blobs_are_exact, values_survive_the_way_into_the_file,
              columns_of_one_name_are_all_there);
    SUITE_ADD(suite, "statements", 60, parameters_are_bound_by_place_and_name,
              parameters_must_match_the_query, only_blanks_may_follow);
    SUITE_ADD(suite, "refused", 60, a_reader_cannot_write, a_writer_cannot_leave_its_database,
              views_and_triggers_are_judged_like_queries, long_names_are_cut_between_characters,
              what_a_reader_asked_for_is_named, harmless_pragmas_answer);
    SUITE_ADD(suite, "caps", 60, rows_are_cut_with_a_mark, bytes_are_cut_at_whole_rows,
              names_of_columns_end_at_the_cap, long_values_and_queries_are_refused,
              functions_with_long_arguments_are_quick, replaced_functions_are_like_sqlites);
    SUITE_ADD(suite, "time", 60, a_cancelled_query_ends_at_once, a_query_ends_at_its_deadline,
              calls_wait_for_a_connection);
    SUITE_ADD(suite, "write", 60, a_transaction_is_all_or_nothing,
              a_commit_that_fails_is_rolled_back, a_cancelled_transaction_changes_nothing,
              truncated_results_do_not_stop_a_transaction,
              writing_statements_tell_what_they_changed, many_threads_at_once);
    SUITE_ADD(suite, "schema", 60, the_schema_is_told, names_of_tables_are_only_names,
              a_broken_view_does_not_hide_the_others,
              a_name_that_is_not_utf8_does_not_hide_the_others, a_large_schema_is_cut_with_a_mark);
    SUITE_ADD(suite, "life", 60, wrong_configurations_are_told_with_their_place,
              a_url_may_have_escapes, a_database_that_was_replaced_is_opened_anew,
              instances_leave_nothing_open);
    return suite_run(suite);
}
