/* SPDX-License-Identifier: MIT */
/* The code, the published schema, the manual and the shipped configuration say
 * the same. */
#include "config_directory.h"

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

static void check_bool(const struct published *p, const struct setting *setting)
{
    const struct json_node *schema = key_schema(p, setting->pointer);
    const struct json_node *value = json_get(&p->schema, schema, "default");
    const char *word = setting_bool(p->defaults, setting) ? "true" : "false";
    char expected[64];
    ck_assert_ptr_nonnull(value);
    ck_assert_int_eq(value->type == JSON_TRUE, setting_bool(p->defaults, setting));
    snprintf(expected, sizeof(expected), "boolean, default %s%s.", word,
             setting->when == ON_RESTART ? "; restart" : "");
    ck_assert_msg(bytes_equal(manual_entry(p, setting->pointer), bytes_of(expected)), "%s",
                  setting->pointer);
    snprintf(expected, sizeof(expected), "\"%s\": %s", strrchr(setting->pointer, '/') + 1, word);
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
    for (size_t i = 0; i < config_setting_count; i++) {
        const struct json_node *schema = key_schema(&p, config_settings[i].pointer);
        struct bytes text = json_raw(&p.schema, json_get(&p.schema, schema, "description"));
        ck_assert_msg(text_has(text, "restart") == (config_settings[i].when == ON_RESTART), "%s",
                      config_settings[i].pointer);
        if (config_settings[i].kind == SETTING_NUMBER)
            check_number(&p, &config_settings[i]);
        else if (config_settings[i].kind == SETTING_BOOL)
            check_bool(&p, &config_settings[i]);
        else if (config_settings[i].kind == SETTING_STRING)
            check_string(&p, &config_settings[i]);
        else
            ck_assert(text_has(manual_entry(&p, config_settings[i].pointer),
                               config_settings[i].when == ON_RESTART ? "default none; restart."
                                                                     : "default none."));
    }
    published_close(&p);
}
END_TEST

static bool is_setting(const char *pointer)
{
    for (size_t i = 0; i < config_setting_count; i++) {
        if (strcmp(config_settings[i].pointer, pointer) == 0)
            return true;
    }
    return false;
}

/* Every key of the schema is read: nothing is published that does nothing. */
START_TEST(test_schema_has_no_other_keys)
{
    struct published p;
    published_open(&p);
    static const char *const sections[] = {"server", "http",  "sessions", "calls", "request_state",
                                           "store",  "tasks", "plugins",  "health"};
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
    ck_assert_uint_eq(count, config_setting_count);
    /* $schema, listen, providers. */
    ck_assert_uint_eq(json_at(&p.schema, p.schema.root, "/properties")->count,
                      sizeof(sections) / sizeof(sections[0]) + 3);
    ck_assert_uint_eq(json_at(&p.schema, p.schema.root, "/$defs/provider/properties")->count, 9);
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
    ck_assert_uint_eq(config->provider_count, 5); /* filesystem, database, git, http, skills */
    for (size_t i = 0; i < config->provider_count; i++)
        ck_assert(!config->providers[i].enabled);
    config_unref(defaults);
    config_unref(config);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("config_published");
    TCase *tc = tcase_create("config_published");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_schema_and_manual_agree_with_the_code);
    tcase_add_test(tc, test_schema_has_no_other_keys);
    tcase_add_test(tc, test_embedded_schema_is_the_published_one);
    tcase_add_test(tc, test_shipped_configuration);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return suite_run(suite());
}
