/* SPDX-License-Identifier: MIT */
/* Environments for other processes. */
#include "plugin/environment.h"

#include <stdio.h>
#include <stdlib.h>

#include "plugin/needs.h"

#define VARIABLES_MAX 64

struct variables {
    char *entries[VARIABLES_MAX + 1];
    size_t count;
    bool failed;
};

static void add(struct variables *variables, const char *name)
{
    const char *value = getenv(name);
    if (value == NULL || variables->count == VARIABLES_MAX)
        return;
    if (asprintf(&variables->entries[variables->count], "%s=%s", name, value) < 0) {
        variables->entries[variables->count] = NULL;
        variables->failed = true;
        return;
    }
    variables->count++;
}

static void add_named(void *context, struct bytes name)
{
    add(context, name.data);
}

char **environment_make(const char *const *kept, struct bytes needs, struct bytes config)
{
#ifdef MCPD_SANITIZE
    static const char *const runtime[] = {"ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS",
                                          "LSAN_OPTIONS", NULL};
#else
    static const char *const runtime[] = {NULL};
#endif
    struct variables *variables = calloc(1, sizeof(*variables));
    if (variables == NULL)
        return NULL;
    const struct needs_reader reader = {.variable = add_named, .context = variables};
    for (size_t i = 0; runtime[i] != NULL; i++)
        add(variables, runtime[i]);
    for (size_t i = 0; kept != NULL && kept[i] != NULL; i++)
        add(variables, kept[i]);
    /* What cannot be read names nothing: who loads the plugin says why. */
    if (needs.size > 0)
        needs_read(needs, config.size > 0 ? config : BYTES("{}"), &reader);
    if (!variables->failed)
        return variables->entries; /* the first member */
    environment_free(variables->entries);
    return NULL;
}

void environment_free(char **environment)
{
    if (environment == NULL)
        return;
    for (char **entry = environment; *entry != NULL; entry++)
        free(*entry);
    free(environment);
}
