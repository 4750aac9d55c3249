/* SPDX-License-Identifier: MIT */
/* The plugin directory, alive: files that come, change and go, with real plugins
 * (build/tests/plugins, or MCPD_TEST_PLUGINS), and what the configuration says. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "fake_provider.h"
#include "files.h"
#include "plugin/load.h"
#include "plugin/plugins.h"
#include "samples.h"
#include "suite.h"

#define REPLACEMENTS 1000
#define REPLACEMENTS_SLOW 60 /* with a sanitizer, or under valgrind */

static char base[64]; /* plugins/, private/, mcpd.json and log are in it */
static int before_stderr = -1;
static struct registry *registry;
static struct registry_reader reader;
static struct plugins *plugins;
static struct config *config;
static atomic_int changes;

/* ---- files ---- */

static const char *in_base(const char *name)
{
    static char paths[4][1024];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", base, name);
    return path;
}

/* Writes into the file itself, as cp does. */
static void write_in_place(const char *name, const char *data, size_t size)
{
    int fd = open(in_base(name), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fchmod(fd, 0644), 0);
    ck_assert_int_eq(write(fd, data, size), (ssize_t)size);
    close(fd);
}

static void copy_in_place(const char *from, const char *name)
{
    struct buf content = sample_read(from);
    write_in_place(name, content.data, content.size);
    buf_free(&content);
}

/* As mv does. */
static void drop(const char *from, const char *id)
{
    char to[128];
    copy_in_place(from, "coming");
    snprintf(to, sizeof(to), "plugins/%s.so", id);
    ck_assert_int_eq(rename(in_base("coming"), in_base(to)), 0);
}

/* ---- the log ---- */

static unsigned log_count(const char *text)
{
    struct buf log = file_read(in_base("log"));
    unsigned count = 0;
    for (const char *at = log.data; at != NULL && (at = strstr(at, text)) != NULL; at++)
        count++;
    buf_free(&log);
    return count;
}

static void expect_log(unsigned count, const char *text)
{
    unsigned found = log_count(text);
    if (found == count)
        return;
    struct buf log = file_read(in_base("log"));
    ck_abort_msg("\"%s\" stands %u times in the log, not %u:\n%s", text, found, count,
                 log.data != NULL ? log.data : "");
}

/* ---- set up ---- */

static void note_change(void *context, uint32_t what)
{
    (void)context;
    ck_assert_uint_eq(what, MCP_CHANGED_TOOLS);
    atomic_fetch_add(&changes, 1);
}

static void note_complaint(void *context, const char *line)
{
    struct buf *lines = context;
    buf_addf(lines, "%s\n", line);
}

/* `providers` is the members of "providers"; NULL: none. */
static struct config *make_config(const char *providers, unsigned drain_ms)
{
    char text[4096];
    struct buf lines;
    buf_init(&lines, 1u << 20);
    int size = snprintf(text, sizeof(text),
                        "{\"plugins\":{\"directory\":\"%s/plugins\",\"private_directory\":"
                        "\"%s/"
                        "private\",\"drain_timeout_ms\":%u,\"default_isolation\":\"inproc\"},"
                        "\n\"providers\":{\n%s}}",
                        base, base, drain_ms, providers != NULL ? providers : "");
    write_in_place("mcpd.json", text, (size_t)size);
    struct config *made = config_load(in_base("mcpd.json"), note_complaint, &lines);
    ck_assert_msg(made != NULL, "%s", lines.data);
    buf_free(&lines);
    return made;
}

static void begin(const char *providers)
{
    struct error err;
    config = make_config(providers, 30000);
    plugins = plugins_start(config, registry, &err);
    ck_assert_msg(plugins != NULL, "%s", err.text);
    plugins_settle(plugins);
}

static void reload(const char *providers)
{
    struct config *next = make_config(providers, 30000);
    plugins_reload(plugins, next);
    config_unref(next);
    plugins_settle(plugins);
}

static void set_up(void)
{
    struct error err;
    strcpy(base, "/tmp/test-plugins-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(base));
    ck_assert_int_eq(mkdir(in_base("plugins"), 0755), 0);
    ck_assert_int_eq(chmod(in_base("plugins"), 0755), 0);
    int fd = open(in_base("log"), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
    before_stderr = dup(STDERR_FILENO);
    dup2(fd, STDERR_FILENO);
    close(fd);
    ck_assert(dispatch_start(4, 64, &err));
    atomic_store(&changes, 0);
    registry = registry_new();
    registry_set_hooks(registry, &(struct registry_hooks){.changed = note_change});
    reader = (struct registry_reader){NULL};
    plugins = NULL;
    config = NULL;
}

static void tear_down(void)
{
    if (plugins != NULL) {
        plugins_stop(plugins, in_ms(10000));
        ck_assert_int_eq(files_count(in_base("private")), 0);
    }
    dispatch_stop(in_ms(5000));
    registry_reader_close(&reader);
    registry_free(registry);
    config_unref(config);
    dup2(before_stderr, STDERR_FILENO);
    close(before_stderr);
    files_remove(base);
}

/* ---- looking and calling ---- */

static const struct snapshot *now(void)
{
    return registry_read(registry, &reader);
}

static const struct registry_entry *tool(const char *name)
{
    return snapshot_find(now(), OFFER_TOOL, bytes_of(name));
}

static uint64_t generation(const char *name)
{
    const struct registry_entry *found = tool(name);
    return found != NULL ? found->provider->generation : 0;
}

static const struct mcp_caller nobody = {.struct_size = sizeof(nobody), .roles = {"[]", 2}};

/* Calls and waits; the text of the answer is in `heard`. Tries again when the
 * generation it saw has been retired, as the protocol layer does. */
static bool call_tool(struct registry_reader *own, const char *name, struct heard *heard)
{
    for (int tries = 0; tries < 100; tries++) {
        const struct snapshot *snapshot = registry_read(registry, own);
        const struct registry_entry *found = snapshot_find(snapshot, OFFER_TOOL, bytes_of(name));
        if (found == NULL)
            return false;
        struct call *call = call_new(&(struct call_request){.entry = found,
                                                            .caller = &nobody,
                                                            .log_level = -1,
                                                            .events = &heard_events,
                                                            .owner = heard,
                                                            .release = heard_release});
        if (call == NULL)
            continue;
        call_start(call);
        call_unref(call);
        return heard_released(heard);
    }
    return false;
}

static const char *answer_of(const char *name)
{
    static struct heard heard;
    heard_init(&heard);
    ck_assert_msg(call_tool(&reader, name, &heard), "%s cannot be called", name);
    heard_free(&heard);
    return heard.text;
}

static void wait_log(const char *text)
{
    for (int i = 0; i < 1000 && log_count(text) == 0; i++)
        sleep_ms(5);
    expect_log(1, text);
}

/* ---- files that come and go ---- */

START_TEST(what_is_there_is_served_from_the_start)
{
    drop("versioned-1", "versioned");
    drop("echo", "echo");
    write_in_place("plugins/README", "no plugin", 9);
    write_in_place("plugins/Upper.so", "no plugin", 9);
    begin(NULL);
    ck_assert_uint_eq(now()->provider_count, 2);
    ck_assert_str_eq(now()->providers[0]->id, "echo"); /* by name */
    ck_assert_str_eq(answer_of("version"), "1");
    ck_assert_int_eq(changes, 0);
    expect_log(1, "versioned: serving versioned 1.0.1 (generation ");
    expect_log(1, "1 tool) from versioned.so");
    expect_log(0, "README");
    expect_log(1, "Upper: not served: Upper.so: a plugin's file is named after its id");
    ck_assert_int_eq(files_count(in_base("private")), 2);
}
END_TEST

START_TEST(dropped_replaced_removed)
{
    begin(NULL);
    ck_assert_uint_eq(now()->lists[OFFER_TOOL].count, 0);
    drop("versioned-1", "versioned");
    plugins_settle(plugins);
    ck_assert_str_eq(answer_of("version"), "1");
    ck_assert_int_eq(changes, 1);
    uint64_t first = generation("version");

    drop("versioned-2", "versioned");
    plugins_settle(plugins);
    ck_assert_str_eq(answer_of("version"), "2");
    ck_assert_uint_gt(generation("version"), first);
    ck_assert_int_eq(changes, 1); /* the list is the same */
    expect_log(1, "versioned: replaced, now serving versioned 1.0.2 (generation ");

    drop("versioned-extra", "versioned");
    plugins_settle(plugins);
    ck_assert_str_eq(answer_of("version"), "3");
    ck_assert_ptr_nonnull(tool("extra"));
    ck_assert_int_eq(changes, 2);

    ck_assert_int_eq(unlink(in_base("plugins/versioned.so")), 0);
    plugins_settle(plugins);
    ck_assert_ptr_null(tool("version"));
    ck_assert_int_eq(changes, 3);
    expect_log(1, "versioned: removed");
    for (int i = 0; i < 500 && files_count(in_base("private")) > 0; i++)
        sleep_ms(2);
    ck_assert_int_eq(files_count(in_base("private")), 0);
}
END_TEST

START_TEST(the_same_content_again_is_nothing)
{
    drop("versioned-1", "versioned");
    begin(NULL);
    uint64_t first = generation("version"), version = now()->version;
    ck_assert_int_eq(utimensat(AT_FDCWD, in_base("plugins/versioned.so"), NULL, 0), 0);
    plugins_settle(plugins);
    drop("versioned-1", "versioned");
    plugins_settle(plugins);
    copy_in_place("versioned-1", "plugins/versioned.so");
    plugins_settle(plugins);
    ck_assert_uint_eq(generation("version"), first);
    ck_assert_uint_eq(now()->version, version);
    ck_assert_int_eq(files_count(in_base("private")), 1);
}
END_TEST

START_TEST(overwritten_in_place)
{
    drop("versioned-1", "versioned");
    begin(NULL);
    copy_in_place("versioned-2", "plugins/versioned.so");
    ck_assert_str_eq(answer_of("version"), "1"); /* the copy that runs is another file */
    plugins_settle(plugins);
    ck_assert_str_eq(answer_of("version"), "2");
}
END_TEST

START_TEST(a_slow_copy_is_loaded_when_it_is_whole)
{
    struct buf content = sample_read("versioned-2");
    drop("versioned-1", "versioned");
    begin(NULL);
    int fd = open(in_base("plugins/versioned.so"), O_WRONLY | O_TRUNC);
    for (size_t at = 0, part = content.size / 8 + 1; at < content.size; at += part) {
        size_t size = content.size - at < part ? content.size - at : part;
        ck_assert_int_eq(write(fd, content.data + at, size), (ssize_t)size);
        sleep_ms(25);
        ck_assert_str_eq(answer_of("version"), "1");
    }
    close(fd);
    buf_free(&content);
    plugins_settle(plugins);
    ck_assert_str_eq(answer_of("version"), "2");
    expect_log(0, "keeps generation");
}
END_TEST

START_TEST(what_is_bad_never_displaces_what_works)
{
    struct buf content = sample_read("versioned-2");
    drop("versioned-1", "versioned");
    begin(NULL);
    uint64_t first = generation("version");
    char keeps[64];
    snprintf(keeps, sizeof(keeps),
             "versioned: keeps generation %ju: versioned.so: ", (uintmax_t)first);

    ck_assert_int_eq(truncate(in_base("plugins/versioned.so"), 5000), 0);
    plugins_settle(plugins);
    expect_log(1, keeps);
    ck_assert_str_eq(answer_of("version"), "1");
    /* Touched, but as it was: nothing to say. */
    ck_assert_int_eq(utimensat(AT_FDCWD, in_base("plugins/versioned.so"), NULL, 0), 0);
    plugins_settle(plugins);
    expect_log(1, keeps);

    write_in_place("plugins/versioned.so", content.data, content.size / 2);
    plugins_settle(plugins);
    expect_log(2, keeps);
    write_in_place("plugins/versioned.so", "", 0);
    plugins_settle(plugins);
    expect_log(3, keeps);
    write_in_place("plugins/versioned.so", "not ELF at all, but of some length......", 40);
    plugins_settle(plugins);
    expect_log(4, keeps);
    drop("bad_start", "versioned"); /* another plugin's id in it */
    plugins_settle(plugins);
    expect_log(5, keeps);
    ck_assert_uint_eq(generation("version"), first);
    ck_assert_str_eq(answer_of("version"), "1");

    drop("versioned-1", "versioned"); /* back again: what runs is this */
    plugins_settle(plugins);
    ck_assert_uint_eq(generation("version"), first);
    expect_log(1, "versioned: versioned.so is as it was again: generation ");
    write_in_place("plugins/versioned.so", content.data, content.size);
    plugins_settle(plugins);
    ck_assert_str_eq(answer_of("version"), "2");
    buf_free(&content);
    ck_assert_int_eq(changes, 0);
}
END_TEST

START_TEST(links_and_modes)
{
    begin(NULL);
    copy_in_place("versioned-1", "outside.so");
    ck_assert_int_eq(symlink(in_base("outside.so"), in_base("plugins/versioned.so")), 0);
    plugins_settle(plugins);
    ck_assert_ptr_null(tool("version"));
    expect_log(1, "versioned: not served: versioned.so: is a symbolic link");
    /* A hard link gives but one event. */
    ck_assert_int_eq(unlink(in_base("plugins/versioned.so")), 0);
    ck_assert_int_eq(link(in_base("outside.so"), in_base("plugins/versioned.so")), 0);
    plugins_settle(plugins);
    ck_assert_str_eq(answer_of("version"), "1");

    drop("echo", "echo");
    ck_assert_int_eq(chmod(in_base("plugins/echo.so"), 0666), 0);
    plugins_settle(plugins);
    ck_assert_ptr_null(tool("echo"));
    expect_log(1, "echo: not served: echo.so: ");
    ck_assert_int_eq(chmod(in_base("plugins/echo.so"), 0644), 0);
    plugins_settle(plugins);
    ck_assert_ptr_nonnull(tool("echo"));
    ck_assert_int_eq(chmod(in_base("plugins/echo.so"), 0666), 0);
    plugins_settle(plugins);
    ck_assert_ptr_nonnull(tool("echo"));
    expect_log(1, "echo: keeps generation");
}
END_TEST

START_TEST(a_bad_plugin_is_told_once)
{
    drop("versioned-1", "versioned");
    drop("bad_start", "bad_start");
    begin(NULL);
    expect_log(1, "bad_start: not served: bad_start.so: ");
    drop("bad_constructor_crash", "bad_constructor_crash");
    plugins_settle(plugins);
    expect_log(1, "bad_constructor_crash: not served: bad_constructor_crash.so: ");
    drop("echo", "echo");
    plugins_settle(plugins);
    expect_log(1, "bad_start: not served");
    ck_assert_uint_eq(now()->provider_count, 2);
    reload(NULL); /* a person asked: tried again, and told again */
    expect_log(2, "bad_start: not served");
    ck_assert_uint_eq(now()->provider_count, 2);
}
END_TEST

START_TEST(the_directory_may_go_and_come_again)
{
    drop("versioned-1", "versioned");
    begin(NULL);
    ck_assert_int_eq(rename(in_base("plugins"), in_base("elsewhere")), 0);
    plugins_settle(plugins);
    ck_assert_str_eq(answer_of("version"), "1");
    wait_log("what was loaded goes on being served");
    ck_assert_int_eq(mkdir(in_base("plugins"), 0755), 0);
    drop("versioned-2", "versioned");
    for (int i = 0; i < 600 && strcmp(answer_of("version"), "2") != 0; i++)
        sleep_ms(10);
    ck_assert_str_eq(answer_of("version"), "2");
    expect_log(1, "is there again");
    drop("echo", "echo"); /* it is watched again */
    plugins_settle(plugins);
    ck_assert_ptr_nonnull(tool("echo"));
}
END_TEST

START_TEST(a_missing_directory_is_an_error_at_the_start)
{
    struct error err;
    ck_assert_int_eq(rmdir(in_base("plugins")), 0);
    config = make_config(NULL, 1000);
    ck_assert_ptr_null(plugins_start(config, registry, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "/plugins cannot be opened: No such file"));
}
END_TEST

START_TEST(the_private_directory_is_for_one)
{
    struct error err;
    write_in_place("private", "", 0);
    config = make_config(NULL, 1000);
    ck_assert_ptr_null(plugins_start(config, registry, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "/private cannot be used (Not a directory): name "
                                           "another as plugins.private_directory"));
    config_unref(config);
    ck_assert_int_eq(unlink(in_base("private")), 0);
    ck_assert_int_eq(mkdir(in_base("private"), 0755), 0);
    ck_assert_int_eq(chmod(in_base("private"), 0755), 0);
    config = make_config(NULL, 1000);
    ck_assert_ptr_null(plugins_start(config, registry, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "is not mcpd's alone"));
    config_unref(config);
    ck_assert_int_eq(chmod(in_base("private"), 0700), 0);
    write_in_place("private/versioned.7.0123456789abcdef.so", "old", 3);
    write_in_place("private/mine.so", "keep", 4);
    begin(NULL);
    ck_assert_int_ne(access(in_base("private/versioned.7.0123456789abcdef.so"), F_OK), 0);
    ck_assert_int_eq(unlink(in_base("private/mine.so")), 0); /* it was left alone */
    struct registry *other = registry_new();
    ck_assert_ptr_null(plugins_start(config, other, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "is in use by another mcpd"));
    registry_free(other);
}
END_TEST

/* ---- configuration ---- */

START_TEST(providers_in_the_operators_order)
{
    drop("versioned-1", "versioned");
    drop("echo", "echo");
    drop("many", "many");
    begin("\"z\":{\"plugin\":\"versioned\",\"prefix\":\"z_\"},"
          "\"a\":{\"plugin\":\"versioned\",\"prefix\":\"a_\"},"
          "\"off\":{\"plugin\":\"many\",\"enabled\":false}");
    ck_assert_uint_eq(now()->provider_count, 3);
    ck_assert_str_eq(now()->providers[0]->id, "z");
    ck_assert_str_eq(now()->providers[1]->id, "a");
    ck_assert_str_eq(now()->providers[2]->id, "echo"); /* not configured: last */
    ck_assert_str_eq(answer_of("a_version"), "1");
    ck_assert_ptr_ne(tool("a_version")->provider, tool("z_version")->provider);

    drop("versioned-2", "versioned"); /* both are replaced */
    plugins_settle(plugins);
    ck_assert_str_eq(answer_of("a_version"), "2");
    ck_assert_str_eq(answer_of("z_version"), "2");
}
END_TEST

START_TEST(a_reload_that_changes_nothing)
{
    drop("versioned-1", "versioned");
    begin("\"v\":{\"plugin\":\"versioned\",\"prefix\":\"v_\"}");
    uint64_t first = generation("v_version");
    reload("\n\n\n\n\"v\":{\"plugin\":\"versioned\",\"prefix\":\"v_\"}");
    ck_assert_uint_eq(generation("v_version"), first);
    ck_assert_int_eq(changes, 0);
    /* But it stands elsewhere now. */
    char place[512];
    config_place(now()->providers[0]->settings, "", place, sizeof(place));
    ck_assert_ptr_nonnull(strstr(place, "mcpd.json:7:"));
}
END_TEST

START_TEST(a_prefix_changes_in_place)
{
    drop("versioned-1", "versioned");
    begin("\"v\":{\"plugin\":\"versioned\",\"prefix\":\"v_\",\"timeout_ms\":1000}");
    uint64_t first = generation("v_version");
    ck_assert_uint_eq(tool("v_version")->timeout_ms, 1000);
    reload("\"v\":{\"plugin\":\"versioned\",\"prefix\":\"w_\",\"timeout_ms\":2000}");
    ck_assert_ptr_null(tool("v_version"));
    ck_assert_uint_eq(generation("w_version"), first);
    ck_assert_uint_eq(tool("w_version")->timeout_ms, 2000);
    ck_assert_int_eq(changes, 1);
}
END_TEST

START_TEST(providers_come_and_go_with_the_configuration)
{
    drop("versioned-1", "versioned");
    begin("\"v\":{\"plugin\":\"versioned\"},\"none\":{\"plugin\":\"nowhere\"}");
    expect_log(1, "none: not served: nowhere.so: there is no such file in ");
    reload("\"u\":{\"plugin\":\"versioned\",\"prefix\":\"u_\"}");
    ck_assert_ptr_null(tool("version"));
    ck_assert_str_eq(answer_of("u_version"), "1");
    expect_log(1, "v: removed");
    reload(NULL);
    ck_assert_ptr_null(tool("u_version"));
    ck_assert_str_eq(tool("version")->provider->id, "versioned");
    ck_assert_int_eq(changes, 2);
}
END_TEST

START_TEST(a_configuration_is_taken_in_place_if_the_plugin_can)
{
    drop("configured", "configured");
    begin("\"c\":{\"plugin\":\"configured\",\"config\":{\"url\":\"one\"}}");
    uint64_t first = generation("config");
    reload("\"c\":{\"plugin\":\"configured\",\"config\":{\"url\":\"two\"}}");
    ck_assert_uint_eq(generation("config"), first);
    expect_log(1, "c: reconfigured (generation ");

    reload("\"c\":{\"plugin\":\"configured\",\n\"config\":{\"url\":\n\"nope\"}}");
    ck_assert_uint_eq(generation("config"), first);
    expect_log(1, "c: keeps generation ");
    expect_log(1, "mcpd.json:5:1: "); /* where "nope" stands */
    expect_log(1, "this is not a URL that answers");
    /* A new file is not loaded with a configuration that it refuses. */
    ck_assert_int_eq(changes, 0);
    reload("\"c\":{\"plugin\":\"configured\",\"config\":{\"url\":\"three\"}}");
    expect_log(2, "c: reconfigured (generation ");
}
END_TEST

START_TEST(a_configuration_makes_a_new_generation_if_the_plugin_cannot)
{
    drop("versioned-1", "versioned");
    begin("\"v\":{\"plugin\":\"versioned\",\"config\":{\"a\":1}}");
    uint64_t first = generation("version");
    reload("\"v\":{\"plugin\":\"versioned\",\"config\":{\"a\":2}}");
    ck_assert_uint_gt(generation("version"), first);
    ck_assert_str_eq(answer_of("version"), "1");
}
END_TEST

START_TEST(a_plugin_may_change_its_tools)
{
    drop("configured", "configured");
    begin(NULL);
    uint64_t first = generation("grow");
    ck_assert_ptr_null(tool("extra"));
    ck_assert_str_eq(answer_of("grow"), "Grown.");
    plugins_settle(plugins);
    ck_assert_str_eq(answer_of("extra"), "Here.");
    ck_assert_uint_eq(generation("extra"), first);
    ck_assert_int_eq(changes, 1);
    answer_of("grow"); /* notifies again, and nothing is new */
    plugins_settle(plugins);
    ck_assert_int_eq(changes, 1);
    expect_log(1, "configured: has 4 tools now");
}
END_TEST

static size_t count_lines(const char *text)
{
    size_t count = 0;
    for (; *text != '\0'; text++)
        count += *text == '\n';
    return count;
}

START_TEST(the_check_finds_what_a_start_would)
{
    struct buf lines;
    buf_init(&lines, 1u << 20);
    drop("versioned-1", "versioned");
    drop("bad_start", "bad_start");
    drop("configured", "configured");
    config = make_config("\"v\":{\"plugin\":\"versioned\"},\n\"b\":{\"plugin\":\"bad_start\"},\n"
                         "\"n\":{\"plugin\":\"nowhere\"},\n\"o\":{\"plugin\":\"nowhere\","
                         "\"enabled\":false},\n\"c\":{\"plugin\":\"configured\",\"config\":"
                         "{\"size\":11}}",
                         1000);
    ck_assert_uint_eq(plugins_check(config, note_complaint, &lines, NULL), 3);
    ck_assert_uint_eq(count_lines(lines.data), 3);
    ck_assert_msg(strstr(lines.data, "providers.b: bad_start.so: ") != NULL, "%s", lines.data);
    ck_assert_msg(strstr(lines.data, "providers.n: nowhere.so: there is no such file in ") != NULL,
                  "%s", lines.data);
    ck_assert_msg(strstr(lines.data, "providers.c: configured.so: ") != NULL, "%s", lines.data);
    ck_assert_ptr_null(strstr(lines.data, "providers.v"));
    buf_free(&lines);
}
END_TEST

/* ---- calls and replacements ---- */

static const struct json *ms_argument(struct arena *arena, struct json *json, const char *text)
{
    arena_init(arena, 1u << 16);
    ck_assert(json_parse(json, bytes_of(text), &json_default_limits, arena, NULL));
    return json;
}

START_TEST(a_call_ends_on_the_generation_it_began_on)
{
    struct arena arena;
    struct json json;
    struct heard heard;
    heard_init(&heard);
    drop("slow", "slow");
    begin(NULL);
    uint64_t first = generation("sleep");
    struct call *call = fake_tool_call(registry, "sleep", &heard,
                                       ms_argument(&arena, &json, "{\"ms\":60000}"), NULL);
    call_start(call);
    sleep_ms(30);
    struct buf content = sample_read("slow"); /* another hash, the same plugin */
    buf_add(&content, "\n", 1);
    write_in_place("coming", content.data, content.size);
    ck_assert_int_eq(rename(in_base("coming"), in_base("plugins/slow.so")), 0);
    buf_free(&content);
    plugins_settle(plugins);
    ck_assert_uint_gt(generation("sleep"), first);
    drop("versioned-1", "versioned"); /* the drain holds nothing up */
    plugins_settle(plugins);
    ck_assert_str_eq(answer_of("version"), "1");
    ck_assert_int_eq(heard.finished, 0);
    ck_assert_int_eq(files_count(in_base("private")), 3);
    call_cancel(call);
    call_unref(call);
    ck_assert(heard_released(&heard));
    ck_assert_int_eq(heard.end, CALL_TEXT);
    ck_assert_str_eq(heard.text, "cancelled");
    for (int i = 0; i < 500 && files_count(in_base("private")) > 2; i++)
        sleep_ms(2);
    ck_assert_int_eq(files_count(in_base("private")), 2);
    arena_free(&arena);
    heard_free(&heard);
}
END_TEST

START_TEST(a_drain_that_takes_too_long_is_cancelled_then_left)
{
    struct arena arena[2];
    struct json json[2];
    struct heard obeys, ignores;
    struct error err;
    heard_init(&obeys);
    heard_init(&ignores);
    drop("slow", "slow");
    config = make_config(NULL, 100);
    plugins = plugins_start(config, registry, &err);
    ck_assert_ptr_nonnull(plugins);
    plugins_settle(plugins);
    struct call *a = fake_tool_call(registry, "sleep", &obeys,
                                    ms_argument(&arena[0], &json[0], "{\"ms\":20000}"), NULL);
    struct call *b = fake_tool_call(registry, "ignore_cancel", &ignores,
                                    ms_argument(&arena[1], &json[1], "{\"ms\":3500}"), NULL);
    call_start(a);
    call_start(b);
    call_unref(a);
    call_unref(b);
    sleep_ms(30);
    ck_assert_int_eq(unlink(in_base("plugins/slow.so")), 0);
    plugins_settle(plugins);
    ck_assert_ptr_null(tool("sleep"));
    ck_assert(heard_released(&obeys));
    wait_log("slow: 2 calls of generation ");
    ck_assert_int_eq(ignores.finished, 0);
    wait_log("do not end: it stays loaded until they do");
    ck_assert(heard_released(&ignores));
    for (int i = 0; i < 1000 && files_count(in_base("private")) > 0; i++)
        sleep_ms(2);
    ck_assert_int_eq(files_count(in_base("private")), 0);
    arena_free(&arena[0]);
    arena_free(&arena[1]);
    heard_free(&obeys);
    heard_free(&ignores);
}
END_TEST

struct caller {
    pthread_t thread;
    unsigned long calls, failed, wrong;
};

static atomic_bool stop_calling;
static atomic_int oldest; /* the oldest build that may still answer */

static void *run_caller(void *argument)
{
    struct caller *caller = argument;
    struct registry_reader own = {NULL};
    struct heard heard;
    while (!atomic_load(&stop_calling)) {
        int least = atomic_load(&oldest);
        heard_init(&heard);
        bool ok = call_tool(&own, "version", &heard) && heard.end == CALL_TEXT;
        int told = atoi(heard.text);
        caller->calls++;
        caller->failed += !ok;
        /* Between two replacements either may answer; once one is through, only it. */
        caller->wrong += ok && least != 0 && told != least && atomic_load(&oldest) == least;
        heard_free(&heard);
        sched_yield();
    }
    registry_reader_close(&own);
    return NULL;
}

static size_t memory_kib(void)
{
    struct buf status = file_read("/proc/self/status");
    const char *line = strstr(status.data, "VmRSS:");
    size_t size = strtoul(line + 6, NULL, 10);
    buf_free(&status);
    return size;
}

static size_t mappings(void)
{
    struct buf maps = file_read("/proc/self/maps");
    size_t count = count_lines(maps.data);
    buf_free(&maps);
    return count;
}

static void replace_once(int number)
{
    atomic_store(&oldest, 0);
    drop(number % 2 != 0 ? "versioned-2" : "versioned-1", "versioned");
    plugins_settle(plugins);
    atomic_store(&oldest, number % 2 != 0 ? 2 : 1);
}

START_TEST(replaced_again_and_again_under_load)
{
    enum { CALLERS = 4 };
    struct caller callers[CALLERS] = {{0}};
    drop("versioned-1", "versioned");
    begin(NULL);
    atomic_store(&stop_calling, false);
    atomic_store(&oldest, 1);
    for (int i = 0; i < CALLERS; i++)
        pthread_create(&callers[i].thread, NULL, run_caller, &callers[i]);
    for (int i = 1; i <= 40; i++)
        replace_once(i);
    int fds = files_count("/proc/self/fd"), threads = files_count("/proc/self/task");
    size_t maps = mappings(), memory = memory_kib();
    int replacements = suite_is_slow() ? REPLACEMENTS_SLOW : REPLACEMENTS;
    int64_t began = clock_now();
    for (int i = 1; i <= replacements; i++)
        replace_once(i);
    int64_t took_ms = (clock_now() - began) / NS_PER_MS;
    atomic_store(&stop_calling, true);
    unsigned long calls = 0;
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(callers[i].thread, NULL);
        ck_assert_uint_eq(callers[i].failed, 0);
        ck_assert_uint_eq(callers[i].wrong, 0);
        calls += callers[i].calls;
    }
    for (int i = 0; i < 500 && files_count(in_base("private")) > 1; i++)
        sleep_ms(2);
    ck_assert_int_eq(files_count(in_base("private")), 1);
    size_t memory_after = memory_kib();
    printf("%d replacements in %d ms (%.1f ms each) beside %lu calls; memory %zu, then %zu KiB\n",
           replacements, (int)took_ms, (double)took_ms / replacements, calls, memory, memory_after);
    ck_assert_int_eq(files_count("/proc/self/fd"), fds);
    ck_assert_int_eq(files_count("/proc/self/task"), threads - CALLERS);
    if (!suite_is_slow()) { /* there nothing is unmapped, or memory is another's */
        ck_assert_uint_le(mappings(), maps + 16);
        ck_assert_uint_lt(memory_after, memory + 2048);
    }
    ck_assert_int_eq(changes, 0);
}
END_TEST

int main(int argc, char **argv)
{
    image_try_child(argc, argv);
    if (!crypto_init())
        return 1;
    setenv("CK_FORK", "no", 0);
    Suite *suite = suite_create("plugins");
    suite_add(suite,
              &(struct suite_case){
                  "plugins", set_up, tear_down, 240,
                  SUITE_TESTS(what_is_there_is_served_from_the_start, dropped_replaced_removed,
                              the_same_content_again_is_nothing, overwritten_in_place,
                              a_slow_copy_is_loaded_when_it_is_whole,
                              what_is_bad_never_displaces_what_works, links_and_modes,
                              a_bad_plugin_is_told_once, the_directory_may_go_and_come_again,
                              a_missing_directory_is_an_error_at_the_start,
                              the_private_directory_is_for_one, providers_in_the_operators_order,
                              a_reload_that_changes_nothing, a_prefix_changes_in_place,
                              providers_come_and_go_with_the_configuration,
                              a_configuration_is_taken_in_place_if_the_plugin_can,
                              a_configuration_makes_a_new_generation_if_the_plugin_cannot,
                              a_plugin_may_change_its_tools, the_check_finds_what_a_start_would,
                              a_call_ends_on_the_generation_it_began_on,
                              a_drain_that_takes_too_long_is_cancelled_then_left,
                              replaced_again_and_again_under_load)});
    return suite_run(suite);
}
