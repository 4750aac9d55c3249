/* SPDX-License-Identifier: MIT */
/*
 * The reading of configurations: a text as mcpd.json, and what stands behind a
 * NUL in it as a file of providers.d; then the places of pointers into what
 * was read, and what changed since the defaults. The schemas are compiled once:
 * that takes a hundred times as long as reading a small file.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/crypto.h"
#include "config/reading.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    size_t complaints;
};

static void look(void *context, const char *line)
{
    struct seen *seen = context;
    seen->complaints++;
    if (line[0] == '\0' || strpbrk(line, "\n\r\x1b") != NULL)
        abort(); /* a line for a person is one line */
}

/* Every key has a value of the kind that its setting says, and equals itself. */
static void look_at_settings(const struct config *config)
{
    const char **strings;
    for (size_t i = 0; i < config_setting_count; i++) {
        const struct setting *setting = &config_settings[i];
        if (!setting_equal(setting, config, config))
            abort();
        if (setting->kind == SETTING_STRINGS)
            for (size_t j = setting_strings(config, setting, &strings); j > 0; j--)
                if (strings[j - 1] == NULL)
                    abort();
    }
}

static void look_around(struct config *config)
{
    for (size_t i = 0; i < config->provider_count; i++) {
        const struct config_provider *provider = &config->providers[i];
        char place[128] = "";
        config_place(provider, "/a/0/b", place, sizeof(place));
        if (strlen(provider->id) == 0 || !config_name_legal(bytes_of(provider->plugin)) ||
            !json_check(provider->config, &json_default_limits, NULL))
            abort();
    }
    for (size_t i = 0; i < config->listens; i++) {
        unsigned char address[16];
        if (!config_address_parse(config->listen[i].address, address))
            abort();
    }
}

/* What does not depend on the input. */
static struct reading start(struct seen *seen)
{
    static struct reading ready;
    if (ready.config == NULL && (!crypto_init() || !reading_start(&ready, look, seen)))
        abort();
    struct reading r = ready;
    r.config = config_new();
    if (r.config == NULL)
        abort();
    r.arena = &r.config->private->arena;
    r.context = seen;
    arena_init(&r.scratch, (size_t)4 << 20);
    return r;
}

/* As reading_finish, which would free the schemas too. */
static struct config *finish(struct reading *r)
{
    r->schema = r->provider_schema = NULL;
    return reading_finish(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen seen = {0};
    struct reading r = start(&seen);
    struct bytes text = {(const char *)data, size};
    struct bytes first = {text.data, size > 0 ? strnlen(text.data, size) : 0};
    config_read_main(&r, "mcpd.json", first);
    if (first.size < size) {
        struct bytes second = {text.data + first.size + 1, size - first.size - 1};
        config_read_provider(&r, "providers.d/b.json", "b", second);
    }
    config_check_providers(&r);
    struct config *config = finish(&r);
    if ((config == NULL) != (seen.complaints > 0))
        abort();
    if (config != NULL) {
        look_at_settings(config);
        look_around(config);
    }
    config_unref(config);
    return 0;
}
