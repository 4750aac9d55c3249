/* SPDX-License-Identifier: MIT */
/* The life of a struct config, what the command line overrides, what a reload
 * cannot change, and where things stand. */
#include "config/config.h"

#include <stdio.h>
#include <stdlib.h>

#include "config/reading.h"

#define ARENA_MAX ((size_t)256 << 20)

const char *config_copy_string(struct arena *arena, struct bytes text)
{
    return text.data != NULL ? arena_copy(arena, text).data : NULL;
}

struct config *config_new(void)
{
    struct config *config = calloc(1, sizeof(*config));
    struct config_private *private = calloc(1, sizeof(*private));
    if (config == NULL || private == NULL)
        goto fail;
    config->private = private;
    atomic_init(&private->references, 1);
    arena_init(&private->arena, ARENA_MAX);

    config->listen = arena_calloc(&private->arena, 1, sizeof(*config->listen));
    if (config->listen == NULL)
        goto fail;
    config->listens = 1;
    config->listen[0] = (struct config_listen){.address = "127.0.0.1", .port = 8080};
    settings_default(config);
    return config;

fail:
    free(private);
    free(config);
    return NULL;
}

struct config *config_default(void)
{
    return config_new();
}

struct config *config_load(const char *path, config_complain *complain, void *context)
{
    struct reading r;
    if (reading_start(&r, complain, context)) {
        config_read_files(&r, path);
        config_check_providers(&r);
    }
    return reading_finish(&r);
}

struct config *config_ref(struct config *config)
{
    atomic_fetch_add_explicit(&config->private->references, 1, memory_order_relaxed);
    return config;
}

void config_unref(struct config *config)
{
    if (config == NULL)
        return;
    struct config_private *private = config->private;
    if (atomic_fetch_sub_explicit(&private->references, 1, memory_order_acq_rel) != 1)
        return;
    if (config->request_state.keys != NULL)
        crypto_wipe((void *)(uintptr_t)config->request_state.keys,
                    config->request_state.key_count * sizeof(*config->request_state.keys));
    arena_free(&private->arena);
    free(private);
    free(config);
}

bool config_is_apart(const struct config *config, const struct config_provider *settings,
                     bool bundled)
{
    if (settings != NULL && settings->isolation != ISOLATION_UNSAID)
        return settings->isolation == ISOLATION_PROCESS;
    const char *rule = config->plugins.default_isolation;
    return strcmp(rule, "process") == 0 || (strcmp(rule, "inproc") != 0 && !bundled);
}

#define NO_EFFECT " no effect in mcpd's own process: say \"isolation\": \"process\" or take "

const char *config_unused_inproc(const struct config_provider *settings)
{
    if (settings == NULL || settings->document == NULL)
        return NULL;
    bool sandbox = json_get(settings->document, settings->node, "sandbox") != NULL;
    bool memory = json_get(settings->document, settings->node, "memory_mib") != NULL;
    if (sandbox && memory)
        return "\"sandbox\" and \"memory_mib\" have" NO_EFFECT "them away";
    return sandbox  ? "\"sandbox\" has" NO_EFFECT "it away"
           : memory ? "\"memory_mib\" has" NO_EFFECT "it away"
                    : NULL;
}

/* ---- the command line ---- */

/* Digits only: strtoul would take signs and white space. */
static bool parse_port(const char *text, uint16_t *port)
{
    unsigned long number = 0;
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 5 || text[digits] != '\0')
        return false;
    for (; *text != '\0'; text++)
        number = number * 10 + (unsigned long)(*text - '0');
    *port = (uint16_t)number;
    return number <= UINT16_MAX;
}

/* Takes "ADDRESS:PORT" apart; the address is NUL-terminated in the arena. */
static bool split_listen(struct arena *arena, const char *text, struct config_listen *out)
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL) {
        out->address = "127.0.0.1";
        return parse_port(text, &out->port);
    }
    struct bytes address = {text, (size_t)(colon - text)};
    bool brackets = address.size > 2 && text[0] == '[' && colon[-1] == ']';
    if (brackets)
        address = (struct bytes){text + 1, address.size - 2};
    out->address = config_copy_string(arena, address);
    return out->address != NULL && (strchr(out->address, ':') != NULL) == brackets &&
           parse_port(colon + 1, &out->port);
}

static bool remote_allowed(const struct config *config)
{
    for (size_t i = 0; i < config->listens; i++) {
        if (config->listen[i].allow_remote)
            return true;
    }
    return false;
}

bool config_set_listen(struct config *config, const char *listen, struct error *err)
{
    struct arena *arena = &config->private->arena;
    struct config_listen entry = {.allow_remote = remote_allowed(config)};
    unsigned char address[16];
    if (!split_listen(arena, listen, &entry) || !config_address_parse(entry.address, address))
        return error_set(err,
                         "%s: expected ADDRESS:PORT, [IPv6-ADDRESS]:PORT or PORT, with a numeric "
                         "address and a port from 0 to 65535, such as 127.0.0.1:8080",
                         listen);
    if (!config_address_is_loopback(address) && !entry.allow_remote)
        return error_set(err, "%s: %s in the configuration file", listen, REMOTE_REFUSED);

    struct config_listen *only = arena_alloc(arena, sizeof(*only));
    if (only == NULL)
        return error_no_memory_for(err, "%s", listen);
    *only = entry;
    config->listen = only;
    config->listens = 1;
    return true;
}

bool config_set_plugin_directory(struct config *config, const char *directory, struct error *err)
{
    if (*directory == '\0')
        return error_set(err, "the plugin directory has no name: expected a path");
    const char *copy = config_copy_string(&config->private->arena, bytes_of(directory));
    if (copy == NULL)
        return error_no_memory_for(err, "%s", directory);
    config->plugins.directory = copy;
    return true;
}

/* ---- reloading ---- */

static bool listens_equal(const struct config *a, const struct config *b)
{
    if (a->listens != b->listens)
        return false;
    for (size_t i = 0; i < a->listens; i++) {
        if (a->listen[i].port != b->listen[i].port ||
            strcmp(a->listen[i].address, b->listen[i].address) != 0)
            return false;
    }
    return true;
}

/* "/http/threads" as "http.threads". */
static void tell_restart(const struct config *loaded, const char *pointer,
                         config_complain *complain, void *context)
{
    char key[64];
    snprintf(key, sizeof(key), "%s", pointer + 1);
    for (char *p = key; *p != '\0'; p++) {
        if (*p == '/')
            *p = '.';
    }
    struct buf line;
    buf_init(&line, 8192);
    buf_addf(&line, "%s: %s has changed: takes effect when mcpd is restarted",
             loaded->file != NULL ? loaded->file : "the defaults", key);
    complain(context, line.data != NULL ? line.data : "out of memory");
    buf_free(&line);
}

size_t config_needs_restart(const struct config *running, const struct config *loaded,
                            config_complain *complain, void *context)
{
    size_t count = 0;
    if (!listens_equal(running, loaded)) {
        tell_restart(loaded, "/listen", complain, context);
        count++;
    }
    for (size_t i = 0; i < config_setting_count; i++) {
        if (config_settings[i].when != ON_RESTART ||
            setting_equal(&config_settings[i], running, loaded))
            continue;
        tell_restart(loaded, config_settings[i].pointer, complain, context);
        count++;
    }
    return count;
}

/* ---- places ---- */

/* The value at the pointer, or its nearest parent that exists. */
static const struct json_node *nearest(const struct json *json, const struct json_node *from,
                                       const char *pointer)
{
    char *copy = strdup(pointer);
    if (copy == NULL)
        return from;
    const struct json_node *found = json_at(json, from, copy);
    while (found == NULL) {
        char *slash = strrchr(copy, '/');
        if (slash == NULL)
            break;
        *slash = '\0';
        found = json_at(json, from, copy);
    }
    free(copy);
    return found != NULL ? found : from;
}

void config_place(const struct config_provider *provider, const char *pointer, char *out,
                  size_t size)
{
    if (provider == NULL || provider->document == NULL) {
        const char *file = provider != NULL && provider->file != NULL ? provider->file : "";
        snprintf(out, size, "%s", file);
        return;
    }
    const struct json_node *node = provider->config_node;
    if (node == NULL)
        node = provider->node;
    else if (pointer != NULL)
        node = nearest(provider->document, node, pointer);
    struct buf place;
    buf_init(&place, 8192);
    complaint_place(&place, provider->file, provider->document, node->start);
    snprintf(out, size, "%s", place.data != NULL ? place.data : provider->file);
    buf_free(&place);
}
