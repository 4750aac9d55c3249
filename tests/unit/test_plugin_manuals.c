/* SPDX-License-Identifier: MIT */
/*
 * The manual page of each bundled plugin says what the plugin itself says: every key of
 * its configuration with type, range and default, every tool with its arguments.
 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_host.h"
#include "suite.h"

static char base[64], database[80];
static char manual[65536];

static void setup(void)
{
    strcpy(base, "/tmp/mcpd-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(base));
    snprintf(database, sizeof(database), "%s/test.db", base);
    close(open(database, O_WRONLY | O_CREAT, 0644)); /* an empty file is an empty database */
}

static void teardown(void)
{
    unlink(database);
    rmdir(base);
}

static void read_manual(const char *path)
{
    FILE *file = fopen(path, "r");
    ck_assert_msg(file != NULL, "%s", path);
    size_t size = fread(manual, 1, sizeof(manual) - 1, file);
    ck_assert_uint_lt(size, sizeof(manual) - 1);
    manual[size] = '\0';
    fclose(file);
}

/* What follows ".It Cm NAME" up to the end of the next line. */
static const char *entry(const char *name, const char *rest_of_item)
{
    char item[256];
    snprintf(item, sizeof(item), "\n.It Cm %s%s\n", name, rest_of_item);
    const char *found = strstr(manual, item);
    ck_assert_msg(found != NULL, "the manual has no line \"%s\"", item + 1);
    return found + strlen(item);
}

static bool is_required(const struct json *schema, const char *name)
{
    const struct json_node *list = json_get(schema, schema->root, "required");
    const struct json_node *end = list != NULL ? list + list->span : NULL;
    bool found = false;
    for (const struct json_node *one = list != NULL ? json_first(list) : NULL; one != NULL;
         one = json_next(one, end))
        found = found || json_is(schema, one, name);
    return found;
}

static void check_key(const struct json *schema, const char *name, const struct json_node *key,
                      struct arena *arena)
{
    const char *type = json_cstring(schema, json_get(schema, key, "type"), arena);
    struct bytes value = {NULL, 0};
    const struct json_node *has = json_get(schema, key, "default");
    char expected[256];
    int64_t least, most;
    if (type == NULL) { /* one of several */
        entry(name, "");
        return;
    }
    if (has != NULL)
        value = json_raw(schema, has);
    if (strcmp(type, "integer") == 0) {
        ck_assert(json_int64(schema, json_get(schema, key, "minimum"), &least));
        ck_assert(json_int64(schema, json_get(schema, key, "maximum"), &most));
        snprintf(expected, sizeof(expected), "number, %ld to %ld, default %.*s.\n", (long)least,
                 (long)most, BYTES_FMT(value));
    } else if (strcmp(type, "array") == 0 && is_required(schema, name)) {
        ck_assert(json_int64(schema, json_get(schema, key, "minItems"), &least));
        ck_assert(json_int64(schema, json_get(schema, key, "maxItems"), &most));
        snprintf(expected, sizeof(expected), "array of %ld to %ld strings; required.\n",
                 (long)least, (long)most);
    } else if (has != NULL) {
        snprintf(expected, sizeof(expected), "%s, default %.*s.\n", type, BYTES_FMT(value));
    } else {
        snprintf(expected, sizeof(expected), "%s%s", type,
                 is_required(schema, name) ? "; required.\n" : "");
    }
    const char *said = entry(name, "");
    ck_assert_msg(strncmp(said, expected, strlen(expected)) == 0,
                  "%s: the manual says \"%.*s\", not \"%s\"", name, (int)strcspn(said, "\n"), said,
                  expected);
}

static void check_keys(const struct fake_host *host, int expected, struct arena *arena)
{
    struct json schema;
    ck_assert(json_parse(&schema, bytes_of(host->plugin->config_schema), &json_default_limits,
                         arena, NULL));
    const struct json_node *keys = json_get(&schema, schema.root, "properties");
    const struct json_node *end = keys + keys->span;
    int count = 0;
    for (const struct json_node *key = json_first(keys); key != NULL;
         key = json_next(key + 1, end)) {
        check_key(&schema, json_cstring(&schema, key, arena), key + 1, arena);
        count++;
    }
    ck_assert_int_eq(count, expected);
}

/* ".It Cm read_file Brq path , encoding". */
static void check_tool(const struct fake_tool *tool, struct arena *arena)
{
    const struct json *definition = &tool->definition;
    const struct json_node *keys = json_at(definition, definition->root, "/inputSchema/properties");
    char arguments[256] = "";
    const struct json_node *end = keys + keys->span;
    for (const struct json_node *key = json_first(keys); key != NULL;
         key = json_next(key + 1, end)) {
        size_t used = strlen(arguments);
        snprintf(arguments + used, sizeof(arguments) - used, "%s%s", used > 0 ? " , " : " Brq ",
                 json_cstring(definition, key, arena));
    }
    entry(tool->name, arguments);
}

static void check_manual(const char *page, struct fake_host *host, int keys, size_t tools)
{
    struct arena arena;
    arena_init(&arena, 1 << 20);
    ck_assert_msg(host->running, "%s", host->fail_text);
    read_manual(page);
    check_keys(host, keys, &arena);
    ck_assert_uint_eq(host->tool_count, tools);
    for (size_t i = 0; i < host->tool_count; i++)
        check_tool(&host->tools[i], &arena);
    fake_host_free(host);
    arena_free(&arena);
}

START_TEST(the_manual_of_filesystem)
{
    check_manual(
        "man/mcp-filesystem.7",
        fake_host_new("filesystem", "{\"allowed_paths\":[\"%s\"],\"read_only\":false}", base), 9,
        15);
}
END_TEST

START_TEST(the_manual_of_database)
{
    check_manual(
        "man/mcp-database.7",
        fake_host_new("database", "{\"url\":\"sqlite://%s\",\"read_only\":false}", database), 18,
        3);
}
END_TEST

START_TEST(the_manual_of_git)
{
    check_manual("man/mcp-git.7",
                 fake_host_new("git",
                               "{\"allowed_paths\":[\"%s\"],\"read_only\":false,"
                               "\"author_name\":\"A\",\"author_email\":\"a@b\"}",
                               base),
                 7, 16);
}
END_TEST

START_TEST(the_manual_of_http)
{
    check_manual("man/mcp-http.7",
                 fake_host_new("http", "{\"base_url\":\"http://127.0.0.1\",\"tools\":[]}"), 19, 0);
}
END_TEST

START_TEST(the_manual_of_skills)
{
    check_manual("man/mcp-skills.7", fake_host_new("skills", "{\"directories\":[\"%s\"]}", base), 1,
                 0);
}
END_TEST

/* valgrind has no openat2, up to 3.19 at least, and the plugin does not start there. */
static bool under_valgrind(void)
{
    const char *preload = getenv("LD_PRELOAD");
    return preload != NULL && strstr(preload, "vgpreload") != NULL;
}

int main(void)
{
    Suite *suite = suite_create("plugins/manuals");
    suite_add(suite, &(struct suite_case){"database", setup, teardown, 60,
                                          SUITE_TESTS(the_manual_of_database, the_manual_of_http)});
    if (!under_valgrind())
        suite_add(suite,
                  &(struct suite_case){"filesystem", setup, teardown, 60,
                                       SUITE_TESTS(the_manual_of_filesystem, the_manual_of_git,
                                                   the_manual_of_skills)});
    return suite_run(suite);
}
