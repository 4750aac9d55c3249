/* SPDX-License-Identifier: MIT */
/* What is wrong with a configuration, and the exact line that says so. */
#include "config_directory.h"

/* ---- mistakes ---- */

static const struct {
    const char *text; /* of mcpd.json */
    const char *lines;
} mistakes[] = {
    /* Not JSON. */
    {"", "mcpd.json:1:1: expected a value, found the end of the text\n"},
    {"{\n  \"server\": {,}\n}", "mcpd.json:2:14: expected a member name in quotes, found ','\n"},
    {"{\"http\": {\"threads\": 1, \"threads\": 2}}",
     "mcpd.json:1:25: the member name \"threads\" occurs twice in an object\n"},
    {"{} {}", "mcpd.json:1:4: expected the end of the text after the value, found '{'\n"},
    {"{\"server\": {\"name\": \"\xff\"}}", "mcpd.json:1:22: invalid UTF-8 in a string\n"},
    {"{ /* no end", "mcpd.json:1:3: the comment that begins here has no end\n"},

    /* Types. */
    {"[]", "mcpd.json:1:1: expected an object, got an array\n"},
    {"{\"server\": 7}", "mcpd.json:1:12: server: expected an object, got 7\n"},
    {"{\"server\": {\"name\": 7}}",
     "mcpd.json:1:21: server.name: expected a string of 1 to 128 characters, got 7\n"},
    {"{\"listen\": {}}",
     "mcpd.json:1:12: listen: expected an array of 1 to 16 elements, got an object\n"},
    {"{\"listen\": [[]]}", "mcpd.json:1:13: listen[0]: expected an object, got an array\n"},
    {"{\"listen\": [{\"address\": null}]}",
     "mcpd.json:1:25: listen[0].address: expected a string, got null\n"},
    {"{\"listen\": [{\"allow_remote\": 1}]}",
     "mcpd.json:1:30: listen[0].allow_remote: expected true or false, got 1\n"},
    {"{\"providers\": {\"a b\\u000ac\": {}}}",
     "mcpd.json:1:16: providers[\"a b\\nc\"]: expected a name of 1 to 64 of the characters A-Z a-z "
     "0-9 _ - ., got \"a b\\u000ac\"\n"},
    {"{\"providers\": {\"a\": {\"config\": \"x\"}}}",
     "mcpd.json:1:32: providers.a.config: expected an object, got \"x\"\n"},
    {"{\"providers\": {\"a\": {\"enabled\": \"yes\"}}}",
     "mcpd.json:1:33: providers.a.enabled: expected true or false, got \"yes\"\n"},

    /* Ranges. */
    {"{\"listen\": [\n  {\"port\": \"80\"}\n]}",
     "mcpd.json:2:12: listen[0].port: expected an integer from 0 to 65535, got \"80\"\n"},
    {"{\"listen\": [{\"port\": 65536}]}",
     "mcpd.json:1:22: listen[0].port: expected an integer from 0 to 65535, got 65536\n"},
    {"{\"listen\": [{\"port\": -1}]}",
     "mcpd.json:1:22: listen[0].port: expected an integer from 0 to 65535, got -1\n"},
    {"{\"listen\": [{\"port\": 1.5}]}",
     "mcpd.json:1:22: listen[0].port: expected an integer from 0 to 65535, got 1.5\n"},
    {"{\"listen\": []}",
     "mcpd.json:1:12: listen: expected an array of 1 to 16 elements, got an empty one\n"},
    {"{\"calls\": {\"workers\": 0}}",
     "mcpd.json:1:23: calls.workers: expected an integer from 1 to 1024, got 0\n"},
    {"{\"server\": {\"name\": \"\"}}",
     "mcpd.json:1:21: server.name: expected a string of 1 to 128 characters, got \"\"\n"},
    {"{\"providers\": {\"a\": {\"isolation\": \"worker\"}}}",
     "mcpd.json:1:35: providers.a.isolation: expected one of \"inproc\", \"process\", got "
     "\"worker\"\n"},
    {"{\"providers\": {\"a\": {\"plugin\": \"../evil\"}}}",
     "mcpd.json:1:32: providers.a.plugin: expected the name of a plugin, its file without \".so\": "
     "1 to 64 of the characters A-Z a-z 0-9 _ - ., got \"../evil\"\n"},
    {"{\"providers\": {\"a\": {\"prefix\": \"x/\"}}}",
     "mcpd.json:1:32: providers.a.prefix: expected at most 64 of the characters A-Z a-z 0-9 _ - ., "
     "got \"x/\"\n"},
    {"{\"http\": {\"allowed_hosts\": [\"a.example\", \"http://b/\"]}}",
     "mcpd.json:1:42: http.allowed_hosts[1]: expected a host name or address without scheme, port "
     "and path, such as \"mcp.example.org\" or \"[2001:db8::1]\", got \"http://b/\"\n"},
    {"{\"http\": {\"allowed_origins\": [\"https://a.example/\"]}}",
     "mcpd.json:1:31: http.allowed_origins[0]: expected an origin, SCHEME://HOST or "
     "SCHEME://HOST:PORT without a path, such as \"https://app.example.org\", got "
     "\"https://a.example/\"\n"},

    /* What a pattern must not overlook. */
    {"{\"providers\": {\"a\": {\"plugin\": \"x\\n\"}}}",
     "mcpd.json:1:32: providers.a.plugin: expected the name of a plugin, its file without \".so\": "
     "1 to 64 of the characters A-Z a-z 0-9 _ - ., got \"x\\n\"\n"},
    {"{\"server\": {\"name\": \"\\u0000\"}}",
     "mcpd.json:1:21: server.name: expected a string without the character U+0000, got "
     "\"\\u0000\"\n"},
    {"{\"listen\": [{\"address\": \"127.0.0.1\\u0000x\"}]}",
     "mcpd.json:1:25: listen[0].address: expected a string without the character U+0000, got "
     "\"127.0.0.1\\u0000x\"\n"},
    {"{\"plugins\": {\"directory\": \"/a\\u0000\"}}",
     "mcpd.json:1:27: plugins.directory: expected a string without the character U+0000, got "
     "\"/a\\u0000\"\n"},

    /* Keys that do not exist. */
    {"{\"sever\": {}}", "mcpd.json:1:2: sever: unknown key; did you mean \"server\"?\n"},
    {"{\"server\": {\"nmae\": \"x\"}}",
     "mcpd.json:1:13: server.nmae: unknown key; did you mean \"name\"?\n"},
    {"{\"http\": {\"colour\": \"x\"}}",
     "mcpd.json:1:11: http.colour: unknown key; mcpd.json(5) lists all\n"},
    {"{\"listen\": [{\"adress\": \"::1\"}]}",
     "mcpd.json:1:14: listen[0].adress: unknown key; did you mean \"address\"?\n"},
    {"{\"providers\": {\"files\": {\n\"plug-in\": \"x\"}}}",
     "mcpd.json:2:1: providers.files.plug-in: unknown key; did you mean \"plugin\"?\n"},

    /* What a schema does not say. */
    {"{\"listen\": [{\"address\": \"localhost\"}]}",
     "mcpd.json:1:25: listen[0].address: expected a numeric IPv4 or IPv6 address, such as "
     "\"127.0.0.1\" or \"::1\", got \"localhost\"\n"},
    {"{\"listen\": [{\"address\": \"0.0.0.0\"}]}",
     "mcpd.json:1:25: listen[0].address: " REMOTE_REFUSED "\n"},
    {"{\"listen\": [{\"address\": \"::1\"}, {\"address\": \"::\"}], \"http\": {\"allowed_hosts\": "
     "[\"a.example\"]}}",
     "mcpd.json:1:45: listen[1].address: " REMOTE_REFUSED "\n"},
    {"{\"listen\": [{\"address\": \"::ffff:10.0.0.1\", \"allow_remote\": false}]}",
     "mcpd.json:1:25: listen[0].address: " REMOTE_REFUSED "\n"},
    {"{\"listen\": [{\"address\": \"::1\"}, {}, {\"address\": \"0::1\", \"port\": 8080}]}",
     "mcpd.json:1:37: listen[2]: the same address and port as listen[0]: remove one of the two\n"},
    {"{\"providers\": {\"a\": {\"isolation\": \"inproc\", \"sandbox\": {}, \"memory_mib\": 9}}}",
     "mcpd.json:1:56: providers.a.sandbox: has no effect in mcpd's own process: say "
     "\"isolation\": \"process\" or take it away\n"
     "mcpd.json:1:74: providers.a.memory_mib: has no effect in mcpd's own process: say "
     "\"isolation\": \"process\" or take it away\n"},
    {"{\"calls\": {\"timeout_ms\": 1000}, \"providers\": {\"a\": {\"timeout_ms\": 1001}}}",
     "mcpd.json:1:67: providers.a.timeout_ms: expected at most calls.timeout_ms, which is 1000, "
     "got 1001: raise that or lower this\n"},

    /* Several at once; long values are cut, and characters not in two. */
    {"{\"x\": 1,\n \"listen\": [{\"port\": true}, {\"address\": \"a\"}],\n \"calls\": {\"queue\": "
     "-1}}",
     "mcpd.json:1:2: x: unknown key; mcpd.json(5) lists all\n"
     "mcpd.json:2:22: listen[0].port: expected an integer from 0 to 65535, got true\n"
     "mcpd.json:3:21: calls.queue: expected an integer from 0 to 1048576, got -1\n"
     "mcpd.json:2:41: listen[1].address: expected a numeric IPv4 or IPv6 address, such as "
     "\"127.0.0.1\" or \"::1\", got \"a\"\n"},
    {"{\"server\": \"0123456789012345678901234567890123456789012345678901234567\xc3\xa4z\"}",
     "mcpd.json:1:12: server: expected an object, got "
     "\"0123456789012345678901234567890123456789012345678901234567...\n"},
};

START_TEST(test_mistake)
{
    write_text("mcpd.json", mistakes[_i].text);
    expect_complaints(mistakes[_i].lines);
}
END_TEST

START_TEST(test_many_mistakes_are_cut_off)
{
    struct buf text;
    buf_init(&text, 1 << 20);
    BUF_LIT(&text, "{");
    for (int i = 0; i < 500; i++)
        buf_addf(&text, "%s\"key%d\": 0", i > 0 ? "," : "", i);
    BUF_LIT(&text, "}");
    write_text("mcpd.json", text.data);
    ck_assert_ptr_null(config_load(path, keep, &lines));
    size_t count = 0;
    for (const char *p = complaints(); (p = strchr(p, '\n')) != NULL; p++)
        count++;
    ck_assert_uint_eq(count, COMPLAINTS_MAX + 1);
    ck_assert_ptr_nonnull(strstr(complaints(), "\nthere is more to complain about"));
    buf_free(&text);
}
END_TEST

/* ---- files ---- */

START_TEST(test_missing_file)
{
    expect_complaints("mcpd.json: cannot be read: No such file or directory\n");
}
END_TEST

START_TEST(test_not_a_file)
{
    ck_assert_int_eq(mkdir(path, 0755), 0);
    expect_complaints("mcpd.json: is not a regular file\n");
    ck_assert_int_eq(rmdir(path), 0);
    ck_assert_int_eq(mkfifo(path, 0644), 0);
    expect_complaints("mcpd.json: is not a regular file\n");
}
END_TEST

START_TEST(test_size)
{
    char *text = malloc(CONFIG_FILE_MAX + 1);
    ck_assert_ptr_nonnull(text);
    memset(text, ' ', CONFIG_FILE_MAX + 1);
    memcpy(text, "{}", 2);
    write_bytes("mcpd.json", text, CONFIG_FILE_MAX);
    config_unref(expect_good());
    write_bytes("mcpd.json", text, CONFIG_FILE_MAX + 1);
    expect_complaints("mcpd.json: too large: expected at most 1048576 bytes\n");
    free(text);
}
END_TEST

START_TEST(test_who_may_write)
{
    write_text("mcpd.json", "{}");
    write_text("providers.d/a.json", "{}");
    change_mode("mcpd.json", 0664);
    config_unref(expect_good()); /* our own group is our own matter */
    change_mode("mcpd.json", 0666);
    change_mode("providers.d/a.json", 0646);
    expect_complaints("mcpd.json: everybody may write it: chmod o-w mcpd.json\n"
                      "providers.d/a.json: everybody may write it: chmod o-w providers.d/a.json\n");
    change_mode("mcpd.json", 0600);
    change_mode("providers.d", 0777);
    expect_complaints("providers.d/: everybody may write it: chmod o-w providers.d/\n");
}
END_TEST

START_TEST(test_strangers_files)
{
    if (geteuid() != 0)
        return; /* only root can give files away */
    write_text("mcpd.json", "{}");
    ck_assert_int_eq(chown(path, 12345, 12345), 0);
    config_unref(expect_good());
    change_mode("mcpd.json", 0664);
    expect_complaints("mcpd.json: a group may write it, and it belongs to user 12345, who is "
                      "neither root nor mcpd's user: chmod g-w mcpd.json, or chown it\n");
}
END_TEST

START_TEST(test_unreadable)
{
    write_text("mcpd.json", "{}");
    change_mode("mcpd.json", 0);
    if (access(path, R_OK) == 0)
        return; /* root reads everything */
    char expected[256];
    snprintf(expected, sizeof(expected),
             "mcpd.json: cannot be read: Permission denied (mcpd runs as user %u, group %u)\n",
             (unsigned)geteuid(), (unsigned)getegid());
    expect_complaints(expected);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("config_mistakes");
    TCase *tc = tcase_create("config_mistakes");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, test_mistake, 0, (int)(sizeof(mistakes) / sizeof(mistakes[0])));
    tcase_add_test(tc, test_many_mistakes_are_cut_off);
    tcase_add_test(tc, test_missing_file);
    tcase_add_test(tc, test_not_a_file);
    tcase_add_test(tc, test_size);
    tcase_add_test(tc, test_who_may_write);
    tcase_add_test(tc, test_strangers_files);
    tcase_add_test(tc, test_unreadable);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return suite_run(suite());
}
