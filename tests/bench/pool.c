/* SPDX-License-Identifier: MIT */
/*
 * pool CONFIG QUERY CALLERS SECONDS: how many calls of execute_query a second the database
 * plugin answers in mcpd's process, without HTTP before it. CONFIG is a configuration of
 * mcpd with a provider of that plugin. So many calls are under way all the time: each
 * is begun by the thread that heard the end of the one before, as pgbench does it for its
 * clients. Prints the rate.
 */
#include <fcntl.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "config/config.h"
#include "json/json.h"
#include "plugin/dispatch.h"
#include "plugin/load.h"
#include "plugin/registry.h"

_Noreturn static void fail(const char *why)
{
    fprintf(stderr, "pool: %s\n", why);
    exit(1);
}

static struct {
    struct arena arena;
    struct json arguments;
    struct registry *registry;
    atomic_ulong answered;
    atomic_uint under_way;
    atomic_bool over;
    sem_t none;
} calls;

static void start_one(void);

static void finished(struct call *call, const struct call_result *result)
{
    (void)call;
    if (result->end != CALL_STRUCTURED)
        fail(result->text.size > 0 ? result->text.data : "a call did not end as it should");
    atomic_fetch_add(&calls.answered, 1);
    if (!atomic_load(&calls.over))
        start_one();
    else if (atomic_fetch_sub(&calls.under_way, 1) == 1)
        sem_post(&calls.none);
}

static void start_one(void)
{
    static const struct mcp_caller caller = {.struct_size = sizeof(caller), .roles = {"[]", 2}};
    static const struct call_events events = {.finished = finished};
    static _Thread_local struct registry_reader reader;
    const struct snapshot *snapshot = registry_read(calls.registry, &reader);
    const struct call_request request = {
        .entry = snapshot_find(snapshot, OFFER_TOOL, BYTES("execute_query")),
        .json = &calls.arguments,
        .arguments = calls.arguments.root,
        .caller = &caller,
        .max_time_ms = 30000,
        .log_level = -1,
        .events = &events};
    struct call *call = request.entry != NULL ? call_new(&request) : NULL;
    if (call == NULL)
        fail("no call");
    call_start(call);
    call_unref(call);
}

static void complain(void *context, const char *line)
{
    (void)context;
    fprintf(stderr, "%s\n", line);
}

static const struct config_provider *settings_of(const struct config *config, const char *plugin)
{
    for (size_t i = 0; i < config->provider_count; i++) {
        if (strcmp(config->providers[i].plugin, plugin) == 0)
            return &config->providers[i];
    }
    fail("the configuration has no provider of this plugin");
}

static struct provider *load(const char *file)
{
    struct error err = {.text = ""};
    struct config *config = config_load(file, complain, NULL);
    if (config == NULL || !crypto_init() ||
        !dispatch_start(config->calls.workers, config->calls.queue, &err))
        fail(err.text);
    call_set_limits(config->calls.max_result_bytes);
    const struct config_provider *settings = settings_of(config, "database");
    char private[4096];
    snprintf(private, sizeof(private), "%s-private", config->plugins.directory);
    int fd = open(config->plugins.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct image *image = image_open(fd, "database.so", private, 1, &err);
    struct provider *provider =
        image != NULL ? inproc_load(image, "pool", config, settings, NULL, &err) : NULL;
    if (provider == NULL)
        fail(err.text);
    close(fd);
    return provider;
}

static void make_arguments(const char *query)
{
    char text[4096];
    snprintf(text, sizeof(text), "{\"query\":\"%s\"}", query);
    arena_init(&calls.arena, 1u << 20);
    if (!json_parse(&calls.arguments, bytes_of(strdup(text)), &json_default_limits, &calls.arena,
                    NULL))
        fail("the query needs no quotes");
}

int main(int argc, char **argv)
{
    struct error err;
    if (argc != 5)
        fail("pool CONFIG QUERY CALLERS SECONDS");
    const unsigned callers = (unsigned)strtoul(argv[3], NULL, 10),
                   seconds = (unsigned)strtoul(argv[4], NULL, 10);
    struct provider *provider = load(argv[1]);

    make_arguments(argv[2]);
    calls.registry = registry_new();
    if (calls.registry == NULL || !registry_publish(calls.registry, &provider, 1, &err))
        fail("no registry");
    sem_init(&calls.none, 0, 0);
    atomic_store(&calls.under_way, callers);
    for (unsigned i = 0; i < callers; i++)
        start_one();
    sleep(1); /* warm */
    unsigned long before = atomic_load(&calls.answered);
    int64_t start = clock_now();
    sleep(seconds);
    unsigned long after = atomic_load(&calls.answered);
    printf("%.0f\n", (double)(after - before) * NS_PER_S / (double)(clock_now() - start));
    atomic_store(&calls.over, true);
    sem_wait(&calls.none);
    provider_retire(provider);
    provider->ops->stop(provider);
    return 0;
}
