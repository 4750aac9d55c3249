/* SPDX-License-Identifier: MIT */
/*
 * The configuration: what is complained about, and where; what the defaults
 * are, and that code, schema, manual and the shipped file say the same.
 */
#include <check.h>
#include <errno.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/reading.h"

/* ---- a directory for each test, and what was complained about ---- */

static char directory[] = "/tmp/test-config-XXXXXX";
static char path[256]; /* of mcpd.json in it */
static struct buf lines;

static void setup(void)
{
    strcpy(directory, "/tmp/test-config-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/mcpd.json", directory);
    buf_init(&lines, 1 << 20);
}

static int remove_entry(const char *name, const struct stat *st, int type, struct FTW *walk)
{
    (void)st, (void)type, (void)walk;
    return remove(name);
}

static void teardown(void)
{
    ck_assert_int_eq(nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
    buf_free(&lines);
}

static void write_bytes(const char *name, const char *data, size_t size)
{
    char file[512];
    snprintf(file, sizeof(file), "%s/%s", directory, name);
    char *slash = strrchr(file, '/');
    *slash = '\0';
    ck_assert(mkdir(file, 0755) == 0 || errno == EEXIST);
    *slash = '/';
    FILE *out = fopen(file, "w");
    ck_assert_ptr_nonnull(out);
    ck_assert_uint_eq(fwrite(data, 1, size, out), size);
    ck_assert_int_eq(fclose(out), 0);
    ck_assert_int_eq(chmod(file, 0644), 0);
}

static void write_text(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text));
}

static void change_mode(const char *name, mode_t mode)
{
    char file[512];
    snprintf(file, sizeof(file), "%s/%s", directory, name);
    ck_assert_int_eq(chmod(file, mode), 0);
}

/* Keeps the lines, without the name of the directory. */
static void keep(void *context, const char *line)
{
    ck_assert_ptr_eq(context, &lines);
    ck_assert_ptr_null(strchr(line, '\n'));
    size_t size = strlen(directory);
    while (*line != '\0') {
        if (strncmp(line, directory, size) == 0 && line[size] == '/') {
            line += size + 1;
            continue;
        }
        buf_add_char(&lines, *line++);
    }
    buf_add_char(&lines, '\n');
}

static const char *complaints(void)
{
    return lines.data != NULL ? lines.data : "";
}

/* Loads; fails the test unless exactly `expected` was complained about. */
static void expect_complaints(const char *expected)
{
    buf_clear(&lines);
    struct config *config = config_load(path, keep, &lines);
    ck_assert_str_eq(complaints(), expected);
    ck_assert_ptr_null(config);
}

static struct config *expect_good(void)
{
    buf_clear(&lines);
    struct config *config = config_load(path, keep, &lines);
    ck_assert_str_eq(complaints(), "");
    ck_assert_ptr_nonnull(config);
    return config;
}

static struct config *load_text(const char *text)
{
    write_text("mcpd.json", text);
    return expect_good();
}

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
    {"{\"server\": {\"name\": 7}}", "mcpd.json:1:21: server.name: expected a string, got 7\n"},
    {"{\"listen\": {}}", "mcpd.json:1:12: listen: expected an array, got an object\n"},
    {"{\"listen\": [[]]}", "mcpd.json:1:13: listen[0]: expected an object, got an array\n"},
    {"{\"listen\": [{\"address\": null}]}",
     "mcpd.json:1:25: listen[0].address: expected a string, got null\n"},
    {"{\"listen\": [{\"allow_remote\": 1}]}",
     "mcpd.json:1:30: listen[0].allow_remote: expected true or false, got 1\n"},
    {"{\"providers\": {\"a b\\u000ac\": {}}}",
     "mcpd.json:1:16: providers[\"a b\\nc\"]: expected a name of 1 to 64 of the characters A-Z a-z "
     "0-9 _ - .\n"},
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
    {"{\"listen\": []}", "mcpd.json:1:12: listen: expected at least 1 element\n"},
    {"{\"calls\": {\"workers\": 0}}",
     "mcpd.json:1:23: calls.workers: expected an integer from 1 to 1024, got 0\n"},
    {"{\"server\": {\"name\": \"\"}}",
     "mcpd.json:1:21: server.name: expected a string of 1 to 128 characters, got \"\"\n"},
    {"{\"providers\": {\"a\": {\"isolation\": \"worker\"}}}",
     "mcpd.json:1:35: providers.a.isolation: expected \"inproc\", got \"worker\"\n"},
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
     "[]}}",
     "mcpd.json:1:45: listen[1].address: " REMOTE_REFUSED "\n"},
    {"{\"listen\": [{\"address\": \"::ffff:10.0.0.1\", \"allow_remote\": false}]}",
     "mcpd.json:1:25: listen[0].address: " REMOTE_REFUSED "\n"},
    {"{\"listen\": [{\"address\": \"::1\"}, {}, {\"address\": \"0::1\", \"port\": 8080}]}",
     "mcpd.json:1:37: listen[2]: the same address and port as listen[0]: remove one of the two\n"},
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

/* ---- providers ---- */

START_TEST(test_providers_in_order)
{
    write_text("mcpd.json", "{\"providers\": {\"z\": {\"plugin\": \"p\"}, \"b\": {}}}");
    write_text("providers.d/c.json", "{\"$schema\": \"x\", \"prefix\": \"c_\", \"timeout_ms\": 5}");
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
    ck_assert_int_eq(p[1].isolation, ISOLATION_INPROC);
    ck_assert(bytes_equal(p[1].config, BYTES("{}")));
    ck_assert_ptr_null(p[1].config_node);
    ck_assert_str_eq(p[2].id, "B");
    ck_assert(!p[2].enabled);
    ck_assert_str_eq(p[3].id, "a.b");
    ck_assert(bytes_equal(p[3].config, BYTES("{\"x\":[1.50,2]}")));
    ck_assert_str_eq(p[4].id, "c");
    ck_assert_str_eq(p[4].prefix, "c_");
    ck_assert_uint_eq(p[4].timeout_ms, 5);
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
        "providers.d/1.json:2:12: plugin: expected a string, got 7\n"
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

/* ---- values ---- */

static void assert_settings_equal(const struct config *a, const struct config *b)
{
    for (size_t i = 0; i < setting_count; i++)
        ck_assert_msg(setting_equal(&settings[i], a, b), "%s", settings[i].pointer);
    ck_assert_uint_eq(a->listens, b->listens);
    for (size_t i = 0; i < a->listens; i++) {
        ck_assert_str_eq(a->listen[i].address, b->listen[i].address);
        ck_assert_uint_eq(a->listen[i].port, b->listen[i].port);
        ck_assert_int_eq(a->listen[i].allow_remote, b->listen[i].allow_remote);
    }
}

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

START_TEST(test_remote_with_hosts)
{
    struct config *config = load_text("{\"listen\": [{\"address\": \"192.0.2.1\"}], "
                                      "\"http\": {\"allowed_hosts\": [\"a.example\"]}}");
    ck_assert_str_eq(config->listen[0].address, "192.0.2.1");
    config_unref(config);
    config_unref(load_text("{\"listen\": [{\"address\": \"127.9.9.9\"}]}"));
}
END_TEST

/* ---- schema, code, manual and the shipped file say the same ---- */

static char *read_whole(const char *name)
{
    FILE *in = fopen(name, "r");
    ck_assert_msg(in != NULL, "%s", name);
    char *text = NULL;
    size_t room = 0;
    ck_assert_int_gt(getdelim(&text, &room, '\0', in), 0);
    fclose(in);
    return text;
}

struct published {
    struct arena arena;
    struct json schema;
    struct config *defaults;
    char *manual;
    char *shipped;
};

static void published_open(struct published *p)
{
    arena_init(&p->arena, 1 << 20);
    ck_assert(json_parse(&p->schema, config_schema(), &json_default_limits, &p->arena, NULL));
    p->defaults = config_default();
    p->manual = read_whole("man/mcpd.json.5");
    p->shipped = read_whole("etc/mcpd.json");
}

static void published_close(struct published *p)
{
    arena_free(&p->arena);
    config_unref(p->defaults);
    free(p->manual);
    free(p->shipped);
}

/* "/http/threads": the schema of http.threads. */
static const struct json_node *key_schema(const struct published *p, const char *pointer)
{
    char where[256];
    const char *slash = strrchr(pointer, '/');
    snprintf(where, sizeof(where), "/properties%.*s/properties%s", (int)(slash - pointer), pointer,
             slash);
    const struct json_node *schema = json_at(&p->schema, p->schema.root, where);
    ck_assert_msg(schema != NULL, "%s is not in the schema", pointer);
    return schema;
}

static int64_t schema_number(const struct published *p, const struct json_node *schema,
                             const char *keyword)
{
    int64_t number = -1;
    ck_assert(json_int64(&p->schema, json_get(&p->schema, schema, keyword), &number));
    return number;
}

static bool text_has(struct bytes text, const char *part)
{
    return memmem(text.data, text.size, part, strlen(part)) != NULL;
}

/* What the manual says of a key: the lines after its ".It". */
static struct bytes manual_entry(const struct published *p, const char *pointer)
{
    char item[128];
    snprintf(item, sizeof(item), "\n.It Li %s\n", pointer + 1);
    for (char *c = item + 8; *c != '\0'; c++)
        *c = *c == '/' ? '.' : *c;
    const char *start = strstr(p->manual, item);
    ck_assert_msg(start != NULL, "%s is not in the manual", pointer);
    start += strlen(item);
    const char *end = start + strcspn(start, "\n");
    if (strncmp(end, "\n.Qq", 4) == 0) /* the default, and what stands behind it */
        end = strstr(strchr(end + 1, '\n') + 1, "\n");
    return (struct bytes){start, (size_t)(end - start)};
}

static void check_number(const struct published *p, const struct setting *setting)
{
    const struct json_node *schema = key_schema(p, setting->pointer);
    int64_t value = setting_number(p->defaults, setting);
    int64_t least = schema_number(p, schema, "minimum");
    int64_t most = schema_number(p, schema, "maximum");
    ck_assert_int_eq(schema_number(p, schema, "default"), value);
    ck_assert_int_le(least, value);
    ck_assert_int_ge(most, value);
    ck_assert_int_le(most, UINT32_MAX);

    char expected[256];
    snprintf(expected, sizeof(expected), "number, %ld to %ld, default %ld%s.", (long)least,
             (long)most, (long)value, setting->when == ON_RESTART ? "; restart" : "");
    struct bytes entry = manual_entry(p, setting->pointer);
    ck_assert_msg(bytes_equal(entry, bytes_of(expected)),
                  "%s: the manual says \"%.*s\", not \"%s\"", setting->pointer, BYTES_FMT(entry),
                  expected);
    snprintf(expected, sizeof(expected), "\"%s\": %ld", strrchr(setting->pointer, '/') + 1,
             (long)value);
    ck_assert_msg(strstr(p->shipped, expected) != NULL, "etc/mcpd.json does not show %s", expected);
}

static void check_string(const struct published *p, const struct setting *setting)
{
    const struct json_node *schema = key_schema(p, setting->pointer);
    const struct json_node *value = json_get(&p->schema, schema, "default");
    const char *string = setting_string(p->defaults, setting);
    struct bytes entry = manual_entry(p, setting->pointer);
    if (strcmp(setting->pointer, "/plugins/directory") == 0)
        string = "/usr/lib/mcp/plugins"; /* the Makefile may say otherwise */
    ck_assert_msg((string == NULL) == (value == NULL), "%s", setting->pointer);
    ck_assert_msg(string == NULL || json_is(&p->schema, value, string), "%s", setting->pointer);
    ck_assert_msg(text_has(entry, string != NULL ? string : "no default"), "%s", setting->pointer);
    ck_assert_msg(text_has(entry, "restart") == (setting->when == ON_RESTART), "%s",
                  setting->pointer);
}

START_TEST(test_schema_and_manual_agree_with_the_code)
{
    struct published p;
    published_open(&p);
    for (size_t i = 0; i < setting_count; i++) {
        const struct json_node *schema = key_schema(&p, settings[i].pointer);
        struct bytes text = json_raw(&p.schema, json_get(&p.schema, schema, "description"));
        ck_assert_msg(text_has(text, "restart") == (settings[i].when == ON_RESTART), "%s",
                      settings[i].pointer);
        if (settings[i].kind == SETTING_NUMBER)
            check_number(&p, &settings[i]);
        else if (settings[i].kind == SETTING_STRING)
            check_string(&p, &settings[i]);
        else
            ck_assert(text_has(manual_entry(&p, settings[i].pointer), "default none."));
    }
    published_close(&p);
}
END_TEST

static bool is_setting(const char *pointer)
{
    for (size_t i = 0; i < setting_count; i++) {
        if (strcmp(settings[i].pointer, pointer) == 0)
            return true;
    }
    return false;
}

/* Every key of the schema is read: nothing is published that does nothing. */
START_TEST(test_schema_has_no_other_keys)
{
    struct published p;
    published_open(&p);
    static const char *const sections[] = {"server", "http", "sessions", "calls", "plugins"};
    size_t count = 0;
    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
        char pointer[256];
        snprintf(pointer, sizeof(pointer), "/properties/%s/properties", sections[i]);
        const struct json_node *keys = json_at(&p.schema, p.schema.root, pointer);
        ck_assert_ptr_nonnull(keys);
        const struct json_node *end = keys + keys->span;
        for (const struct json_node *key = json_first(keys); key != NULL;
             key = json_next(key + 1, end), count++) {
            struct bytes name = json_string(&p.schema, key, &p.arena);
            snprintf(pointer, sizeof(pointer), "/%s/%.*s", sections[i], BYTES_FMT(name));
            ck_assert_msg(is_setting(pointer), "%s", pointer);
        }
    }
    ck_assert_uint_eq(count, setting_count);
    /* $schema, listen, providers. */
    ck_assert_uint_eq(json_at(&p.schema, p.schema.root, "/properties")->count,
                      sizeof(sections) / sizeof(sections[0]) + 3);
    ck_assert_uint_eq(json_at(&p.schema, p.schema.root, "/$defs/provider/properties")->count, 7);
    published_close(&p);
}
END_TEST

START_TEST(test_embedded_schema_is_the_published_one)
{
    char *text = read_whole("etc/mcpd.schema.json");
    ck_assert(bytes_equal(bytes_of(text), config_schema()));
    free(text);
}
END_TEST

START_TEST(test_shipped_configuration)
{
    struct config *config = config_load("etc/mcpd.json", keep, &lines);
    ck_assert_str_eq(complaints(), "");
    ck_assert_ptr_nonnull(config);
    struct config *defaults = config_default();
    assert_settings_equal(config, defaults);
    ck_assert_uint_eq(config->provider_count, 2);
    for (size_t i = 0; i < config->provider_count; i++)
        ck_assert(!config->providers[i].enabled);
    config_unref(defaults);
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
    struct error err = {""};
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
    ck_assert(config_set_listen(config, "0.0.0.0:80", &err));
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
    ck_assert_uint_eq(config_needs_restart(old, new, keep, &lines), 3);
    ck_assert_str_eq(
        complaints(),
        "mcpd.json: listen has changed: takes effect when mcpd is restarted\n"
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
    tcase_add_loop_test(tc, test_mistake, 0, (int)(sizeof(mistakes) / sizeof(mistakes[0])));
    tcase_add_test(tc, test_many_mistakes_are_cut_off);
    tcase_add_test(tc, test_missing_file);
    tcase_add_test(tc, test_not_a_file);
    tcase_add_test(tc, test_size);
    tcase_add_test(tc, test_who_may_write);
    tcase_add_test(tc, test_strangers_files);
    tcase_add_test(tc, test_unreadable);
    tcase_add_test(tc, test_providers_in_order);
    tcase_add_test(tc, test_provider_twice);
    tcase_add_test(tc, test_provider_files_with_mistakes);
    tcase_add_test(tc, test_names_in_providers_d);
    tcase_add_test(tc, test_file_in_the_current_directory);
    tcase_add_test(tc, test_defaults);
    tcase_add_test(tc, test_values);
    tcase_add_test(tc, test_remote_with_hosts);
    tcase_add_test(tc, test_schema_and_manual_agree_with_the_code);
    tcase_add_test(tc, test_schema_has_no_other_keys);
    tcase_add_test(tc, test_embedded_schema_is_the_published_one);
    tcase_add_test(tc, test_shipped_configuration);
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
    SRunner *runner = srunner_create(suite());
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
