/* SPDX-License-Identifier: MIT */
/* The services that an instance of a plugin finds in its struct mcp_host. */
#include "plugin/host.h"

#include <mcp/resources.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/utf8.h"
#include "plugin/mistake.h"

/* A plugin may write this many lines at once, and this many a second. */
#define LOG_BURST 200
#define LOG_RATE 50
#define LOG_LINE_MAX 4000

#define CONFIG_MEMORY (64u << 20)

/* ---- mistakes ---- */

/* A function of the host was given what it must not be given. */
__attribute__((format(printf, 2, 3))) static int32_t mistaken(const struct mcp_host *abi,
                                                              const char *format, ...)
{
    const struct host *host = abi->host_data;
    char text[300];
    va_list args;

    if (!provider_may_tell(host->provider))
        return MCP_EINVAL;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    log_warning("%s: the plugin called host->%s", abi->provider, text);
    return MCP_EINVAL;
}

/* ---- the configuration ---- */

/* A string that had to be decoded, kept so that asking again costs nothing. */
struct host_string {
    struct host_string *next;
    const struct json_node *node;
    struct bytes text;
};

struct host_config *host_config_new(const struct config_provider *settings, struct error *err)
{
    struct host_config *config = calloc(1, sizeof(*config));
    if (config == NULL) {
        error_no_memory(err);
        return NULL;
    }
    arena_init(&config->arena, CONFIG_MEMORY);
    struct bytes text = settings != NULL ? settings->config : BYTES("{}");
    struct json_error refusal;
    config->text = arena_copy(&config->arena, text.size > 0 ? text : BYTES("{}"));
    if (config->text.data == NULL)
        error_set(err, "its configuration needs too much memory");
    else if (!json_parse(&config->json, config->text, &json_default_limits, &config->arena,
                         &refusal))
        error_set(err, "its configuration is not legal JSON: %s", refusal.text);
    else
        return config;
    host_config_free(config);
    return NULL;
}

void host_config_free(struct host_config *config)
{
    if (config == NULL)
        return;
    arena_free(&config->arena);
    free(config);
}

static struct bytes decoded_string(struct host_config *config, const struct json_node *node)
{
    if (!node->escaped)
        return json_string(&config->json, node, &config->arena);
    for (const struct host_string *s = config->strings; s != NULL; s = s->next) {
        if (s->node == node)
            return s->text;
    }
    struct host_string *s = arena_alloc(&config->arena, sizeof(*s));
    if (s == NULL)
        return (struct bytes){NULL, 0};
    s->text = json_string(&config->json, node, &config->arena);
    s->node = node;
    s->next = config->strings;
    if (s->text.data != NULL)
        config->strings = s;
    return s->text;
}

static struct host *host_of(const struct mcp_host *abi)
{
    return abi->host_data;
}

static int32_t host_read_config(const struct mcp_host *abi, const char *pointer, int32_t *kind,
                                struct mcp_bytes *value)
{
    if (abi == NULL)
        return mistake_null("host->config", "host");
    if (pointer == NULL || kind == NULL || value == NULL)
        return mistaken(abi, "config with a %s that is NULL",
                        pointer == NULL ? "pointer"
                        : kind == NULL  ? "kind"
                                        : "value");
    struct host *host = host_of(abi);
    pthread_mutex_lock(&host->mutex);
    struct host_config *config = host->config;
    const struct json_node *node = json_at(&config->json, config->json.root, pointer);
    struct bytes text = {NULL, 0};
    if (node != NULL)
        text = node->type == JSON_STRING ? decoded_string(config, node)
                                         : json_raw(&config->json, node);
    pthread_mutex_unlock(&host->mutex);
    if (node == NULL)
        return MCP_ENOENT;
    if (text.data == NULL)
        return MCP_ENOMEM;
    *kind = node->type;
    *value = (struct mcp_bytes){text.data, text.size};
    return MCP_OK;
}

struct host_config *host_swap_config(struct host *host, struct host_config *config)
{
    pthread_mutex_lock(&host->mutex);
    struct host_config *before = host->config;
    host->config = config;
    pthread_mutex_unlock(&host->mutex);
    return before;
}

/* ---- the log ---- */

/* Takes a token; false: there is none. *dropped lines were left out since the
 * last one that was written. */
static bool may_log(struct host *host, uint64_t *dropped)
{
    const int64_t full = INT64_C(1000) * LOG_BURST;
    pthread_mutex_lock(&host->mutex);
    int64_t now = clock_now_coarse(), passed = (now - host->log.time) / NS_PER_MS;
    if (passed > 0) {
        host->log.time = now;
        /* A thousandth a millisecond is one a second. */
        host->log.tokens += passed < full ? passed * LOG_RATE : full;
        if (host->log.tokens > full)
            host->log.tokens = full;
    }
    bool may = host->log.tokens >= 1000;
    *dropped = 0;
    if (may) {
        host->log.tokens -= 1000;
        *dropped = host->log.dropped;
        host->log.dropped = 0;
    } else {
        host->log.dropped++;
    }
    pthread_mutex_unlock(&host->mutex);
    return may;
}

static size_t cut_length(struct bytes text, size_t max)
{
    if (text.size <= max)
        return text.size;
    while (max > 0 && ((unsigned char)text.data[max] & 0xc0) == 0x80)
        max--;
    return max;
}

static void host_log(const struct mcp_host *abi, int32_t level, struct mcp_bytes text)
{
    if (abi == NULL) {
        mistake_null("host->log", "host");
        return;
    }
    if (is_nowhere(text.data, text.size))
        mistaken(abi, "log with a text of %zu bytes at NULL", text.size);
    else if (level < MCP_LOG_EMERGENCY || level > MCP_LOG_DEBUG)
        mistaken(abi, "log with a level of %d: it is one of MCP_LOG_*", (int)level);
    struct host *host = host_of(abi);
    enum log_level at = level <= MCP_LOG_ERROR   ? LOG_ERROR
                        : level >= MCP_LOG_DEBUG ? LOG_DEBUG
                                                 : (enum log_level)level;
    uint64_t dropped;
    if ((text.data == NULL && text.size > 0) || !log_wants(at) || !may_log(host, &dropped))
        return;
    if (dropped > 0)
        log_warning("%s: %ju lines of this provider's log were left out: it writes too many",
                    abi->provider, (uintmax_t)dropped);
    size_t length = cut_length((struct bytes){text.data, text.size}, LOG_LINE_MAX);
    log_at(at, "%s: %.*s%s", abi->provider, (int)length, text.data != NULL ? text.data : "",
           length < text.size ? "..." : "");
}

/* ---- failures ---- */

/* Into a C string: control characters become spaces, what is too long is cut. */
static void copy_sentence(char *out, size_t size, struct mcp_bytes text)
{
    struct bytes from = {text.data != NULL ? text.data : "", text.data != NULL ? text.size : 0};
    size_t length = cut_length(from, size - 1);
    length = utf8_valid_prefix((struct bytes){from.data, length});
    for (size_t i = 0; i < length; i++)
        out[i] = (unsigned char)from.data[i] < ' ' || from.data[i] == 0x7f ? ' ' : from.data[i];
    out[length] = '\0';
}

static void host_fail(const struct mcp_host *abi, struct mcp_bytes pointer, struct mcp_bytes text)
{
    if (abi == NULL) {
        mistake_null("host->fail", "host");
        return;
    }
    if (is_nowhere(pointer.data, pointer.size) || is_nowhere(text.data, text.size))
        mistaken(abi, "fail with a %s at NULL that is not empty",
                 is_nowhere(text.data, text.size) ? "text" : "pointer");
    struct host *host = host_of(abi);
    pthread_mutex_lock(&host->mutex);
    host->failed = true;
    host->failure.in_config = pointer.data != NULL && pointer.size > 0;
    copy_sentence(host->failure.pointer, sizeof(host->failure.pointer), pointer);
    copy_sentence(host->failure.why.text, sizeof(host->failure.why.text), text);
    pthread_mutex_unlock(&host->mutex);
}

void host_forget_failure(struct host *host)
{
    pthread_mutex_lock(&host->mutex);
    host->failed = false;
    pthread_mutex_unlock(&host->mutex);
}

bool host_get_failure(struct host *host, struct failure *failure)
{
    pthread_mutex_lock(&host->mutex);
    bool failed = host->failed;
    if (failed)
        *failure = host->failure;
    pthread_mutex_unlock(&host->mutex);
    return failed;
}

/* "/allowed_paths/0" as people write it: "config.allowed_paths[0]". */
static void pointer_to_path(const char *pointer, char *out, size_t size)
{
    size_t length = (size_t)snprintf(out, size, "config");
    while (*pointer == '/' && length + 1 < size) {
        const char *name = ++pointer;
        while (*pointer != '/' && *pointer != '\0')
            pointer++;
        int count = (int)(pointer - name);
        bool index = count > 0 && strspn(name, "0123456789") >= (size_t)count;
        int added = snprintf(out + length, size - length, index ? "[%.*s]" : ".%.*s", count, name);
        length += added > 0 ? (size_t)added : 0;
    }
}

void failure_tell(const struct failure *failure, const char *file_name,
                  const struct config_provider *settings, struct error *err)
{
    if (!failure->in_config) {
        *err = failure->why;
        error_prefix(err, "%s", file_name);
        return;
    }
    char place[512] = "", path[300];
    config_place(settings, failure->pointer, place, sizeof(place));
    pointer_to_path(failure->pointer, path, sizeof(path));
    error_set(err, "%s: %s%s%s: %s", file_name, place, place[0] != '\0' ? ": " : "", path,
              failure->why.text);
}

/* ---- the rest ---- */

static void host_notify(const struct mcp_host *abi, uint32_t what)
{
    const uint32_t all = MCP_CHANGED_TOOLS | MCP_CHANGED_RESOURCES | MCP_CHANGED_PROMPTS;
    if (abi == NULL) {
        mistake_null("host->notify", "host");
        return;
    }
    if ((what & all) == 0)
        mistaken(abi, "notify with %u: it is one of MCP_CHANGED_*, or several", what);
    struct provider *provider = host_of(abi)->provider;
    struct provider_owner *owner = atomic_load(&provider->owner);
    if (owner != NULL && (what & all) != 0)
        owner->changed(owner, provider, what & all);
}

static int32_t resource_updated(const struct mcp_host *abi, struct mcp_bytes uri)
{
    struct bytes text = {uri.data, uri.size};

    if (abi == NULL)
        return mistake_null("updated", "host");
    if (uri.data == NULL || uri.size == 0 || uri.size > URI_MAX || !utf8_valid(text))
        return mistaken(abi,
                        "get_extension(\"" MCP_RESOURCES "\")->updated with a uri of %zu "
                        "bytes that is none",
                        uri.size);
    struct provider_owner *owner = atomic_load(&host_of(abi)->provider->owner);
    if (owner != NULL)
        owner->updated(owner, text);
    return MCP_OK;
}

static const void *host_get_extension(const struct mcp_host *abi, const char *id)
{
    static const struct mcp_resources_host resources = {
        .struct_size = sizeof(struct mcp_resources_host), .updated = resource_updated};

    if (abi == NULL)
        mistake_null("host->get_extension", "host");
    else if (id == NULL)
        mistaken(abi, "get_extension with an id that is NULL");
    return id != NULL && strcmp(id, MCP_RESOURCES) == 0 ? &resources : NULL;
}

struct host *host_new(struct provider *provider, struct host_config *config)
{
    struct host *host = calloc(1, sizeof(*host));
    if (host == NULL) {
        host_config_free(config);
        return NULL;
    }
    host->abi = (struct mcp_host){
        .struct_size = sizeof(host->abi),
        .abi_minor = MCP_ABI_MINOR,
        .host_data = host,
        .provider = provider->id,
        .server = "mcpd/" MCPD_VERSION,
        .log = host_log,
        .fail = host_fail,
        .config = host_read_config,
        .notify = host_notify,
        .get_extension = host_get_extension,
    };
    host->provider = provider;
    host->config = config;
    host->log.time = clock_now_coarse();
    host->log.tokens = INT64_C(1000) * LOG_BURST;
    pthread_mutex_init(&host->mutex, NULL);
    return host;
}

void host_free(struct host *host)
{
    if (host == NULL)
        return;
    if (host->log.dropped > 0)
        log_warning("%s: %ju lines of this provider's log were left out: it writes too many",
                    host->abi.provider, (uintmax_t)host->log.dropped);
    host_config_free(host->config);
    pthread_mutex_destroy(&host->mutex);
    free(host);
}
