/* SPDX-License-Identifier: MIT */
/*
 * plugins/database on PostgreSQL, without a server: what is wrong in its configuration,
 * what is never said, and a server that is not there. The rest, with a server, is in
 * tests/integration/postgres.test.mjs.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "fake_host.h"
#include "files.h"
#include "suite.h"

START_TEST(wrong_configurations_are_told_with_their_place)
{
    static const char *const wrong[][3] = {
        {"{\"url\":\"postgresql://h\"}", "/url", "name of the database is missing"},
        {"{\"url\":\"postgresql://u:s3cret@h:x%zz/d\"}", "/url", "not a URL of PostgreSQL"},
        {"{\"url\":\"postgresql://h/d?options=-c%20x\"}", "/url", "option options is not possible"},
        {"{\"url\":\"postgresql://h/d?service=x\"}", "/url", "option service is not possible"},
        {"{\"url\":\"postgresql://h/d\",\"host\":\"x\"}", "/host", "the URL says that already"},
        {"{\"url\":\"postgresql://u:s3cret@h/d\",\"password\":\"x\"}", "/password",
         "the URL has one already"},
        {"{\"database\":\"d\",\"password\":{\"file\":\"/nowhere/p\"}}", "/password/file",
         "/nowhere/p: No such file"},
        {"{\"database\":\"d\",\"password\":{\"environment\":\"NOT_SET_HERE\"}}",
         "/password/environment", "NOT_SET_HERE, which it names, is not set"},
        {"{\"database\":\"d\",\"password\":{}}", "/password", "expected a string"},
        {"{\"database\":\"d\",\"port\":0}", "/port", "from 1"},
        {"{\"database\":\"d\",\"min_connections\":5}", "/min_connections", "max_connections, 4"},
        {"{\"url\":\"sqlite:///x\",\"user\":\"u\"}", "/user", "SQLite has no server"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        fake_assert_wrong("database", wrong[i][0], wrong[i][1], wrong[i][2]);
}
END_TEST

/* mcpd may be started before PostgreSQL, and the password is in no line. */
START_TEST(a_server_that_is_not_there_is_told_by_each_call)
{
    int before = files_open();
    for (int i = 0; i < 10; i++) {
        struct fake_host *host =
            fake_host_new("database", "{\"host\":\"/nowhere\",\"user\":\"u\",\"database\":\"d\","
                                      "\"password\":\"s3cret\",\"min_connections\":0}");
        ck_assert_msg(host->running, "%s", host->fail_text);
        fake_assert_failure(fake_callf(host, "execute_query", "{\"query\":\"SELECT 1\"}"),
                            "cannot be reached at the moment");
        fake_assert_failure(fake_callf(host, "get_schema", "{}"),
                            "cannot be reached at the moment");
        ck_assert_ptr_nonnull(strstr(host->log, "u@/nowhere:5432/d"));
        ck_assert_ptr_null(strstr(host->log, "s3cret"));
        fake_host_free(host);
    }
    ck_assert_int_eq(files_open(), before);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plugins/database, PostgreSQL");
    suite_add(suite, &(struct suite_case){
                         .name = "life",
                         .seconds = 60,
                         .tests = SUITE_TESTS(wrong_configurations_are_told_with_their_place,
                                              a_server_that_is_not_there_is_told_by_each_call)});
    return suite_run(suite);
}
