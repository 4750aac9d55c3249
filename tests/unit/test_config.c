/* SPDX-License-Identifier: MIT */
/* The configuration: defaults, values, providers, what the command line
 * overrides, what a reload cannot change, places. */
#include <pthread.h>

#include "config_directory.h"

/* ---- values ---- */

START_TEST(test_defaults)
{
    struct config *config = config_default();
    ck_assert_ptr_nonnull(config);
    ck_assert_ptr_null(config->file);
    ck_assert_str_eq(config->server.name, "mcpd");
    ck_assert_ptr_null(config->server.title);
    ck_assert_uint_eq(config->server.list_ttl_ms, 300000);
    ck_assert_uint_eq(config->listens, 1);
    ck_assert_str_eq(config->listen[0].address, "127.0.0.1");
    ck_assert_uint_eq(config->listen[0].port, 8080);
    ck_assert_uint_eq(config->http.max_body_bytes, 4194304);
    ck_assert_uint_eq(config->calls.timeout_ms, 60000);
    ck_assert_ptr_null(config->plugins.private_directory);
    ck_assert_uint_eq(config->provider_count, 0);

    struct config *empty = load_text("{\"http\": {}, \"server\": {}, \"listen\": [{}]}");
    assert_settings_equal(config, empty);
    config_unref(config);
    config_unref(empty);
}
END_TEST

START_TEST(test_values)
{
    struct config *config =
        load_text("// first\n"
                  "{ /* c */ \"server\": {\"name\": \"n\\u00e4me // no comment\", \"title\": \"t\","
                  " \"instructions\": \"a\\nb\", \"page_size\": 1e1},\n"
                  "\"listen\": [{\"address\": \"::1\", \"port\": 0},"
                  " {\"address\": \"0.0.0.0\", \"port\": 65535, \"allow_remote\": true}],\n"
                  "\"http\": {\"allowed_hosts\": [\"a.example\", \"10.0.0.1\", \"[2001:db8::1]\"],"
                  " \"allowed_origins\": [\"https://a.example:8443\", \"vscode-webview://x1\"],"
                  " \"threads\": 256},\n"
                  "\"plugins\": {\"directory\": \"p\", \"private_directory\": \"/run/x\","
                  " \"drain_timeout_ms\": 0}} // last");
    ck_assert_str_eq(config->file, path);
    ck_assert_str_eq(config->server.name, "n\xc3\xa4me // no comment");
    ck_assert_str_eq(config->server.title, "t");
    ck_assert_str_eq(config->server.instructions, "a\nb");
    ck_assert_uint_eq(config->server.page_size, 10);
    ck_assert_uint_eq(config->listens, 2);
    ck_assert_str_eq(config->listen[0].address, "::1");
    ck_assert_uint_eq(config->listen[0].port, 0);
    ck_assert_uint_eq(config->listen[1].port, 65535);
    ck_assert(config->listen[1].allow_remote);
    ck_assert_uint_eq(config->http.allowed_host_count, 3);
    ck_assert_str_eq(config->http.allowed_hosts[2], "[2001:db8::1]");
    ck_assert_uint_eq(config->http.allowed_origin_count, 2);
    ck_assert_str_eq(config->http.allowed_origins[0], "https://a.example:8443");
    ck_assert_uint_eq(config->http.threads, 256);
    ck_assert_str_eq(config->plugins.directory, "p");
    ck_assert_str_eq(config->plugins.private_directory, "/run/x");
    ck_assert_uint_eq(config->plugins.drain_timeout_ms, 0);
    config_unref(config);
}
END_TEST

START_TEST(test_remote_with_consent)
{
    struct config *config = load_text("{\"listen\": [{\"address\": \"192.0.2.1\", "
                                      "\"allow_remote\": true}]}");
    ck_assert_str_eq(config->listen[0].address, "192.0.2.1");
    config_unref(config);
    config_unref(load_text("{\"listen\": [{\"address\": \"127.9.9.9\"}]}"));
}
END_TEST

/* ---- providers ---- */

START_TEST(test_providers_in_order)
{
    write_text("mcpd.json", "{\"providers\": {\"z\": {\"plugin\": \"p\"}, \"b\": {}}}");
    write_text("providers.d/c.json", "{\"$schema\": \"x\", \"prefix\": \"c_\", \"timeout_ms\": 5, "
                                     "\"isolation\": \"process\", \"memory_mib\": 64}");
    write_text("providers.d/B.json", "// nothing else\n{\"enabled\": false}");
    write_text("providers.d/a.b.json", "{\"config\": { \"x\" : [ 1.50, /* two */ 2 ] } }");
    struct config *config = expect_good();
    ck_assert_uint_eq(config->provider_count, 5);
    const struct config_provider *p = config->providers;
    ck_assert_str_eq(p[0].id, "z");
    ck_assert_str_eq(p[0].plugin, "p");
    ck_assert_str_eq(p[1].id, "b");
    ck_assert_str_eq(p[1].plugin, "b");
    ck_assert_str_eq(p[1].prefix, "");
    ck_assert_uint_eq(p[1].timeout_ms, 0);
    ck_assert(p[1].enabled);
    ck_assert_int_eq(p[1].isolation, ISOLATION_UNSAID);
    ck_assert_uint_eq(p[1].memory_mib, 1024);
    ck_assert(bytes_equal(p[1].config, BYTES("{}")));
    ck_assert_ptr_null(p[1].config_node);
    ck_assert_str_eq(p[2].id, "B");
    ck_assert(!p[2].enabled);
    ck_assert_str_eq(p[3].id, "a.b");
    ck_assert(bytes_equal(p[3].config, BYTES("{\"x\":[1.50,2]}")));
    ck_assert_str_eq(p[4].id, "c");
    ck_assert_str_eq(p[4].prefix, "c_");
    ck_assert_uint_eq(p[4].timeout_ms, 5);
    ck_assert_int_eq(p[4].isolation, ISOLATION_PROCESS);
    ck_assert_uint_eq(p[4].memory_mib, 64);
    config_unref(config);
}
END_TEST

START_TEST(test_provider_twice)
{
    write_text("mcpd.json", "{\n  \"providers\": { \"files\": {} }\n}");
    write_text("providers.d/files.json", "// a comment\n {}");
    expect_complaints("providers.d/files.json:2:2: the provider \"files\" is defined a second "
                      "time, the first is at mcpd.json:2:27: remove one of the two\n");
}
END_TEST

START_TEST(test_provider_files_with_mistakes)
{
    write_text("mcpd.json", "{\"serve\": {}}");
    write_text("providers.d/1.json", "{\n\t\"plugin\": 7, \"timeout_ms\": 60001 }");
    write_text("providers.d/2.json", "{ \"confg\": {} }");
    write_text("providers.d/3.json", "[1]");
    write_text("providers.d/4.json", "{");
    expect_complaints(
        "mcpd.json:1:2: serve: unknown key; did you mean \"server\"?\n"
        "providers.d/1.json:2:12: plugin: expected the name of a plugin, its file without \".so\": "
        "1 to 64 of the characters A-Z a-z 0-9 _ - ., got 7\n"
        "providers.d/2.json:1:3: confg: unknown key; did you mean \"config\"?\n"
        "providers.d/3.json:1:1: expected an object, got an array\n"
        "providers.d/4.json:1:2: expected a member name in quotes, found the end of the text\n"
        "providers.d/1.json:2:29: timeout_ms: expected at most calls.timeout_ms, which is 60000, "
        "got 60001: raise that or lower this\n");
}
END_TEST

START_TEST(test_names_in_providers_d)
{
    write_text("mcpd.json", "{}");
    write_text("providers.d/README", "x");
    write_text("providers.d/.hidden.json", "x");
    write_text("providers.d/files.json~", "x");
    write_text("providers.d/files.json.example", "x");
    write_text("providers.d/files.json.dpkg-dist", "x");
    struct config *config = expect_good();
    ck_assert_uint_eq(config->provider_count, 0);
    config_unref(config);

    write_text("providers.d/a.JSON", "{}");
    write_text("providers.d/b.json5", "{}");
    write_text("providers.d/c d.json", "{}");
    write_text("providers.d/e.json/f", "{}");
    expect_complaints(
        "providers.d/a.JSON: is not read: the name of a provider's file ends with \".json\"\n"
        "providers.d/b.json5: is not read: the name of a provider's file ends with \".json\"\n"
        "providers.d/c d.json: the file's name without \".json\" is the provider's: expected 1 to "
        "64 of the characters A-Z a-z 0-9 _ - .\n"
        "providers.d/e.json: is not a regular file\n");
}
END_TEST

START_TEST(test_file_in_the_current_directory)
{
    char back[512];
    write_text("mcpd.json", "{}");
    write_text("providers.d/a.json", "{}");
    ck_assert_ptr_nonnull(getcwd(back, sizeof(back)));
    ck_assert_int_eq(chdir(directory), 0);
    struct config *config = config_load("mcpd.json", keep, &lines);
    ck_assert_int_eq(chdir(back), 0);
    ck_assert_ptr_nonnull(config);
    ck_assert_str_eq(config->file, "mcpd.json");
    ck_assert_uint_eq(config->provider_count, 1);
    ck_assert_str_eq(config->providers[0].file, "providers.d/a.json");
    config_unref(config);
}
END_TEST

/* ---- the command line ---- */

static const struct {
    const char *listen;
    const char *address; /* NULL: refused */
    unsigned port;
} listens[] = {
    {"127.0.0.1:80", "127.0.0.1", 80},
    {"[::1]:65535", "::1", 65535},
    {"9000", "127.0.0.1", 9000},
    {"127.0.0.1:0", "127.0.0.1", 0},
    {"", NULL, 0},
    {":80", NULL, 0},
    {"127.0.0.1:", NULL, 0},
    {"127.0.0.1", NULL, 0},
    {"127.0.0.1:65536", NULL, 0},
    {"127.0.0.1:-1", NULL, 0},
    {"127.0.0.1:+1", NULL, 0},
    {"127.0.0.1:8 ", NULL, 0},
    {"127.0.0.1:000080", NULL, 0},
    {"::1:80", NULL, 0},
    {"[::1]", NULL, 0},
    {"[127.0.0.1]:80", NULL, 0},
    {"localhost:80", NULL, 0},
    {"[]:80", NULL, 0},
};

START_TEST(test_set_listen)
{
    struct config *config = config_default();
    struct error err = {.text = ""};
    bool ok = config_set_listen(config, listens[_i].listen, &err);
    ck_assert_int_eq(ok, listens[_i].address != NULL);
    ck_assert_uint_eq(config->listens, 1);
    if (ok) {
        ck_assert_str_eq(config->listen[0].address, listens[_i].address);
        ck_assert_uint_eq(config->listen[0].port, listens[_i].port);
    } else {
        ck_assert_ptr_nonnull(strstr(err.text, ": expected ADDRESS:PORT, [IPv6-ADDRESS]:PORT"));
        ck_assert_uint_eq(config->listen[0].port, 8080);
    }
    config_unref(config);
}
END_TEST

START_TEST(test_set_listen_remote)
{
    struct error err;
    struct config *config = config_default();
    ck_assert(!config_set_listen(config, "0.0.0.0:80", &err));
    ck_assert_str_eq(err.text, "0.0.0.0:80: " REMOTE_REFUSED " in the configuration file");
    config_unref(config);

    config = load_text("{\"http\": {\"allowed_hosts\": [\"a.example\"]}}");
    ck_assert(!config_set_listen(config, "0.0.0.0:80", &err));
    config_unref(config);
    config = load_text("{\"listen\": [{}, {\"port\": 1, \"allow_remote\": true}]}");
    ck_assert(config_set_listen(config, "[::]:80", &err));
    ck_assert_uint_eq(config->listens, 1);
    config_unref(config);
}
END_TEST

START_TEST(test_set_plugin_directory)
{
    struct error err;
    struct config *config = config_default();
    char name[] = "build/plugins";
    ck_assert(config_set_plugin_directory(config, name, &err));
    name[0] = 'x';
    ck_assert_str_eq(config->plugins.directory, "build/plugins");
    ck_assert(!config_set_plugin_directory(config, "", &err));
    ck_assert_str_eq(config->plugins.directory, "build/plugins");
    config_unref(config);
}
END_TEST

/* ---- reload, places, references ---- */

START_TEST(test_needs_restart)
{
    struct config *old = load_text("{\"server\": {\"name\": \"a\"}, \"listen\": [{}]}");
    struct config *new = load_text("{\"server\": {\"name\": \"b\"}, \"listen\": [{\"port\": 1}], "
                                   "\"http\": {\"threads\": 3, \"allowed_hosts\": [\"a\"]}, "
                                   "\"plugins\": {\"private_directory\": \"/x\"}}");
    ck_assert_uint_eq(config_needs_restart(old, old, keep, &lines), 0);
    ck_assert_str_eq(complaints(), "");
    ck_assert_uint_eq(config_needs_restart(old, new, keep, &lines), 4);
    ck_assert_str_eq(
        complaints(),
        "mcpd.json: listen has changed: takes effect when mcpd is restarted\n"
        "mcpd.json: http.allowed_hosts has changed: takes effect when mcpd is restarted\n"
        "mcpd.json: http.threads has changed: takes effect when mcpd is restarted\n"
        "mcpd.json: plugins.private_directory has changed: takes effect when mcpd is restarted\n");
    config_unref(old);
    config_unref(new);
}
END_TEST

static void assert_place(const struct config_provider *provider, const char *pointer,
                         const char *expected)
{
    char place[512];
    config_place(provider, pointer, place, sizeof(place));
    size_t prefix = strlen(directory) + 1;
    ck_assert_uint_gt(strlen(place), prefix);
    ck_assert_str_eq(place + prefix, expected);
}

START_TEST(test_places)
{
    write_text("providers.d/b.json", "{ }");
    struct config *config = load_text("{\"providers\": {\"a\": {\n"
                                      "  \"config\": {\n"
                                      "    \"paths\": [\"x\",\n"
                                      "      \"y\"], \"~/\": 1, /* \xc3\xa4 */ \"n\": 2\n"
                                      "}}}}");
    const struct config_provider *a = &config->providers[0];
    assert_place(a, "", "mcpd.json:2:13");
    assert_place(a, NULL, "mcpd.json:2:13");
    assert_place(a, "/paths", "mcpd.json:3:14");
    assert_place(a, "/paths/1", "mcpd.json:4:7");
    assert_place(a, "/~0~1", "mcpd.json:4:19");
    assert_place(a, "/n", "mcpd.json:4:35");
    assert_place(a, "/n/deeper/still", "mcpd.json:4:35");
    assert_place(a, "/paths/7/x", "mcpd.json:3:14");
    assert_place(a, "/missing", "mcpd.json:2:13");
    assert_place(a, "not a pointer", "mcpd.json:2:13");
    assert_place(&config->providers[1], "/x", "providers.d/b.json:1:1");

    char place[16];
    config_place(a, "/n", place, sizeof(place)); /* cut, and no byte further */
    ck_assert_uint_eq(strlen(place), sizeof(place) - 1);
    struct config_provider none = {.file = "somewhere"};
    config_place(&none, "/n", place, sizeof(place));
    ck_assert_str_eq(place, "somewhere");
    config_place(NULL, "/n", place, sizeof(place));
    ck_assert_str_eq(place, "");
    config_unref(config);
}
END_TEST

static void *take_and_give(void *arg)
{
    struct config *config = arg;
    for (int i = 0; i < 1000; i++) {
        struct config *mine = config_ref(config);
        if (strcmp(mine->server.name, "mcpd") != 0)
            return NULL;
        config_unref(mine);
    }
    config_unref(config);
    return config;
}

START_TEST(test_references)
{
    pthread_t threads[4];
    struct config *config = config_default();
    config_unref(NULL);
    for (size_t i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, take_and_give, config_ref(config)), 0);
    config_unref(config); /* the last thread frees it */
    for (size_t i = 0; i < 4; i++) {
        void *result;
        ck_assert_int_eq(pthread_join(threads[i], &result), 0);
        ck_assert_ptr_eq(result, config);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("config");
    TCase *tc = tcase_create("config");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_defaults);
    tcase_add_test(tc, test_values);
    tcase_add_test(tc, test_remote_with_consent);
    tcase_add_test(tc, test_providers_in_order);
    tcase_add_test(tc, test_provider_twice);
    tcase_add_test(tc, test_provider_files_with_mistakes);
    tcase_add_test(tc, test_names_in_providers_d);
    tcase_add_test(tc, test_file_in_the_current_directory);
    tcase_add_loop_test(tc, test_set_listen, 0, (int)(sizeof(listens) / sizeof(listens[0])));
    tcase_add_test(tc, test_set_listen_remote);
    tcase_add_test(tc, test_set_plugin_directory);
    tcase_add_test(tc, test_needs_restart);
    tcase_add_test(tc, test_places);
    tcase_add_test(tc, test_references);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return suite_run(suite());
}
