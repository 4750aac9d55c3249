/* SPDX-License-Identifier: MIT */
/*
 * The reading of configurations: a text as mcpd.json, and what stands behind a
 * NUL in it as a file of providers.d; then the places of pointers into what
 * was read.
 */
#include <stdint.h>
#include <stdlib.h>

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

static void look_around(struct config *config)
{
    for (size_t i = 0; i < config->provider_count; i++) {
        const struct config_provider *provider = &config->providers[i];
        char place[128];
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen seen = {0};
    struct reading r;
    if (!reading_start(&r, look, &seen))
        abort();
    struct bytes text = {(const char *)data, size};
    struct bytes first = {text.data, size > 0 ? strnlen(text.data, size) : 0};
    config_read_main(&r, "mcpd.json", first);
    if (first.size < size) {
        struct bytes second = {text.data + first.size + 1, size - first.size - 1};
        config_read_provider(&r, "providers.d/b.json", "b", second);
    }
    config_check_providers(&r);
    struct config *config = reading_finish(&r);
    if ((config == NULL) != (seen.complaints > 0))
        abort();
    if (config != NULL)
        look_around(config);
    config_unref(config);
    return 0;
}
