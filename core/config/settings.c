/* SPDX-License-Identifier: MIT */
/* The plain keys of mcpd.json: one line for each. What the schema, the manual
 * and this table say is compared by tests/unit/test_config_published.c. */
#include "config/reading.h"

#ifndef MCPD_PLUGIN_DIR /* the Makefile says where plugins are installed */
#define MCPD_PLUGIN_DIR "/usr/lib/mcp/plugins"
#endif

/* Key, place in struct config, when it takes effect, default. */
#define NUMBER(key, member, effect, otherwise)                                                     \
    {                                                                                              \
        .pointer = (key), .kind = SETTING_NUMBER, .when = (effect),                                \
        .offset = offsetof(struct config, member), .number = (otherwise)                           \
    }
#define BOOL(key, member, effect, otherwise)                                                       \
    {                                                                                              \
        .pointer = (key), .kind = SETTING_BOOL, .when = (effect),                                  \
        .offset = offsetof(struct config, member), .number = (otherwise)                           \
    }
#define STRING(key, member, effect, otherwise)                                                     \
    {                                                                                              \
        .pointer = (key), .kind = SETTING_STRING, .when = (effect),                                \
        .offset = offsetof(struct config, member), .string = (otherwise)                           \
    }
#define STRINGS(key, member, count_member, effect)                                                 \
    {                                                                                              \
        .pointer = (key), .kind = SETTING_STRINGS, .when = (effect),                               \
        .offset = offsetof(struct config, member),                                                 \
        .count_offset = offsetof(struct config, count_member)                                      \
    }

const struct setting config_settings[] = {
    STRING("/server/name", server.name, ON_RELOAD, "mcpd"),
    STRING("/server/title", server.title, ON_RELOAD, NULL),
    STRING("/server/instructions", server.instructions, ON_RELOAD, NULL),
    NUMBER("/server/list_ttl_ms", server.list_ttl_ms, ON_RELOAD, 300000),
    NUMBER("/server/page_size", server.page_size, ON_RELOAD, 250),
    NUMBER("/server/max_memory_mib", server.max_memory_mib, ON_RELOAD, 512),
    NUMBER("/server/shutdown_delay_ms", server.shutdown_delay_ms, ON_RELOAD, 0),
    NUMBER("/server/shutdown_timeout_ms", server.shutdown_timeout_ms, ON_RELOAD, 30000),

    STRINGS("/http/allowed_hosts", http.allowed_hosts, http.allowed_host_count, ON_RESTART),
    STRINGS("/http/allowed_origins", http.allowed_origins, http.allowed_origin_count, ON_RESTART),
    NUMBER("/http/threads", http.threads, ON_RESTART, 0),
    NUMBER("/http/max_connections", http.max_connections, ON_RESTART, 16384),
    NUMBER("/http/max_header_bytes", http.max_header_bytes, ON_RESTART, 16384),
    NUMBER("/http/max_body_bytes", http.max_body_bytes, ON_RESTART, 4194304),
    NUMBER("/http/header_timeout_ms", http.header_timeout_ms, ON_RESTART, 10000),
    NUMBER("/http/body_timeout_ms", http.body_timeout_ms, ON_RESTART, 30000),
    NUMBER("/http/write_timeout_ms", http.write_timeout_ms, ON_RESTART, 60000),
    NUMBER("/http/idle_timeout_ms", http.idle_timeout_ms, ON_RESTART, 75000),
    NUMBER("/http/keepalive_ms", http.keepalive_ms, ON_RESTART, 25000),
    NUMBER("/http/max_streams", http.max_streams, ON_RESTART, 20000),

    NUMBER("/sessions/max", sessions.max, ON_RELOAD, 10000),
    NUMBER("/sessions/idle_timeout_ms", sessions.idle_timeout_ms, ON_RELOAD, 3600000),
    NUMBER("/sessions/max_calls", sessions.max_calls, ON_RELOAD, 16384),
    NUMBER("/sessions/replay_max_bytes", sessions.replay_max_bytes, ON_RELOAD, 1048576),
    NUMBER("/sessions/replay_max_age_ms", sessions.replay_max_age_ms, ON_RELOAD, 300000),

    NUMBER("/calls/workers", calls.workers, ON_RESTART, 16),
    NUMBER("/calls/queue", calls.queue, ON_RESTART, 1024),
    NUMBER("/calls/timeout_ms", calls.timeout_ms, ON_RELOAD, 60000),
    NUMBER("/calls/max_result_bytes", calls.max_result_bytes, ON_RELOAD, 16777216),
    NUMBER("/calls/input_timeout_ms", calls.input_timeout_ms, ON_RELOAD, 600000),

    STRING("/request_state/key_file", request_state.key_file, ON_RELOAD, NULL),
    NUMBER("/request_state/lifetime_ms", request_state.lifetime_ms, ON_RELOAD, 600000),

    STRING("/store/url", store.url, ON_RESTART, NULL),
    NUMBER("/store/max_mib", store.max_mib, ON_RESTART, 1024),

    NUMBER("/tasks/max", tasks.max, ON_RELOAD, 10000),
    NUMBER("/tasks/max_running", tasks.max_running, ON_RELOAD, 0),
    NUMBER("/tasks/ttl_ms", tasks.ttl_ms, ON_RELOAD, 86400000),
    NUMBER("/tasks/poll_interval_ms", tasks.poll_interval_ms, ON_RELOAD, 1000),

    STRING("/plugins/directory", plugins.directory, ON_RELOAD, MCPD_PLUGIN_DIR),
    STRING("/plugins/private_directory", plugins.private_directory, ON_RESTART, NULL),
    NUMBER("/plugins/drain_timeout_ms", plugins.drain_timeout_ms, ON_RELOAD, 30000),
    NUMBER("/plugins/start_timeout_ms", plugins.start_timeout_ms, ON_RELOAD, 10000),
    STRING("/plugins/default_isolation", plugins.default_isolation, ON_RELOAD, "auto"),
    BOOL("/plugins/require_sandbox", plugins.require_sandbox, ON_RELOAD, false),
    NUMBER("/plugins/max_failed_calls", plugins.max_failed_calls, ON_RELOAD, 10),
    NUMBER("/plugins/max_worker_deaths", plugins.max_worker_deaths, ON_RELOAD, 10),
    NUMBER("/plugins/trial_after_ms", plugins.trial_after_ms, ON_RELOAD, 10000),

    NUMBER("/health/interval_ms", health.interval_ms, ON_RELOAD, 30000),
    NUMBER("/health/timeout_ms", health.timeout_ms, ON_RELOAD, 5000),
};
const size_t config_setting_count = sizeof(config_settings) / sizeof(config_settings[0]);

static void *member(struct config *config, size_t offset)
{
    return (char *)config + offset;
}

static const void *member_const(const struct config *config, size_t offset)
{
    return (const char *)config + offset;
}

uint32_t setting_number(const struct config *config, const struct setting *setting)
{
    return *(const uint32_t *)member_const(config, setting->offset);
}

bool setting_bool(const struct config *config, const struct setting *setting)
{
    return *(const bool *)member_const(config, setting->offset);
}

const char *setting_string(const struct config *config, const struct setting *setting)
{
    return *(const char *const *)member_const(config, setting->offset);
}

size_t setting_strings(const struct config *config, const struct setting *setting,
                       const char ***strings)
{
    *strings = *(const char **const *)member_const(config, setting->offset);
    return *(const size_t *)member_const(config, setting->count_offset);
}

void settings_default(struct config *config)
{
    for (size_t i = 0; i < config_setting_count; i++) {
        const struct setting *setting = &config_settings[i];
        if (setting->kind == SETTING_NUMBER)
            *(uint32_t *)member(config, setting->offset) = setting->number;
        else if (setting->kind == SETTING_BOOL)
            *(bool *)member(config, setting->offset) = setting->number != 0;
        else if (setting->kind == SETTING_STRING)
            *(const char **)member(config, setting->offset) = setting->string;
    }
}

static bool read_strings(struct config *config, const struct setting *setting, struct arena *arena,
                         const struct json *json, const struct json_node *array)
{
    const char **strings = arena_calloc(arena, array->count, sizeof(*strings));
    if (strings == NULL)
        return false;
    const struct json_node *end = array + array->span;
    size_t count = 0;
    for (const struct json_node *item = json_first(array); item != NULL;
         item = json_next(item, end)) {
        if (item->type != JSON_STRING)
            continue;
        strings[count] = config_copy_string(arena, json_string(json, item, arena));
        if (strings[count++] == NULL)
            return false;
    }
    *(const char ***)member(config, setting->offset) = strings;
    *(size_t *)member(config, setting->count_offset) = count;
    return true;
}

static bool read_setting(struct config *config, const struct setting *setting, struct arena *arena,
                         const struct json *json, const struct json_node *value)
{
    int64_t number;
    switch (setting->kind) {
    case SETTING_NUMBER:
        if (json_int64(json, value, &number) && number >= 0 && number <= UINT32_MAX)
            *(uint32_t *)member(config, setting->offset) = (uint32_t)number;
        return true;
    case SETTING_BOOL:
        if (value->type == JSON_TRUE || value->type == JSON_FALSE)
            *(bool *)member(config, setting->offset) = value->type == JSON_TRUE;
        return true;
    case SETTING_STRING:
        if (value->type != JSON_STRING)
            return true;
        const char *string = config_copy_string(arena, json_string(json, value, arena));
        *(const char **)member(config, setting->offset) = string;
        return string != NULL;
    case SETTING_STRINGS:
        return value->type != JSON_ARRAY || read_strings(config, setting, arena, json, value);
    }
    return true;
}

bool settings_read(struct config *config, struct arena *arena, const struct json *json)
{
    for (size_t i = 0; i < config_setting_count; i++) {
        const struct json_node *value = json_at(json, json->root, config_settings[i].pointer);
        if (value != NULL && !read_setting(config, &config_settings[i], arena, json, value))
            return false;
    }
    return true;
}

static bool strings_equal(const char *a, const char *b)
{
    return bytes_equal(bytes_of(a), bytes_of(b)) && (a == NULL) == (b == NULL);
}

bool setting_equal(const struct setting *setting, const struct config *a, const struct config *b)
{
    if (setting->kind == SETTING_NUMBER)
        return setting_number(a, setting) == setting_number(b, setting);
    if (setting->kind == SETTING_BOOL)
        return setting_bool(a, setting) == setting_bool(b, setting);
    if (setting->kind == SETTING_STRING)
        return strings_equal(setting_string(a, setting), setting_string(b, setting));

    const char **in_a;
    const char **in_b;
    size_t count = setting_strings(a, setting, &in_a);
    if (count != setting_strings(b, setting, &in_b))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!strings_equal(in_a[i], in_b[i]))
            return false;
    }
    return true;
}
