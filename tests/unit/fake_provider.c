/* SPDX-License-Identifier: MIT */
/* See the header. */
#include "fake_provider.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"

/* ---- the provider ---- */

static void ops_call(struct provider *provider, struct call *call)
{
    struct fake_provider *fake = (struct fake_provider *)provider;
    unsigned now = atomic_fetch_add(&fake->running, 1) + 1;
    unsigned most = atomic_load(&fake->most_running);
    while (now > most && !atomic_compare_exchange_weak(&fake->most_running, &most, now))
        continue;
    atomic_fetch_add(&fake->calls, 1);
    fake->run(fake, call_abi(call));
    atomic_fetch_sub(&fake->running, 1);
}

static void ops_free(struct provider *provider)
{
    struct fake_provider *fake = (struct fake_provider *)provider;
    if (fake->freed != NULL)
        atomic_store(fake->freed, true);
    free(fake);
}

static const struct provider_ops ops = {.call = ops_call, .free = ops_free};

struct fake_provider *fake_new(const char *id, const char *prefix, uint64_t generation)
{
    struct fake_provider *fake = calloc(1, sizeof(*fake));
    provider_init(&fake->provider, &ops);
    fake->provider.id = strdup(id);
    fake->provider.plugin = strdup(id);
    fake->provider.version = strdup("1.0.0");
    fake->provider.prefix = strdup(prefix);
    fake->provider.generation = generation;
    fake->provider.offers = offers_new();
    fake->run = run_echo_name;
    return fake;
}

void fake_add(struct fake_provider *fake, const char *name, uint32_t flags, uint32_t timeout_ms,
              uint32_t concurrency)
{
    char definition[512];
    struct error err;
    int size = snprintf(definition, sizeof(definition),
                        "{\"name\":\"%s\",\"inputSchema\":{\"type\":\"object\"}}", name);
    if (!offers_add(fake->provider.offers, OFFER_TOOL,
                    &(struct offer_terms){(struct bytes){definition, (size_t)size}, flags, 7,
                                          timeout_ms, concurrency},
                    &err)) {
        fprintf(stderr, "fake_add: %s\n", err.text);
        abort();
    }
    offers_seal(fake->provider.offers);
}

void run_echo_name(struct fake_provider *fake, struct mcp_call *call)
{
    (void)fake;
    call->ops->finish_text(call, call->name);
}

/* ---- the host ---- */

void heard_init(struct heard *heard)
{
    *heard = (struct heard){.last_level = -1};
    pthread_mutex_init(&heard->mutex, NULL);
    pthread_cond_init(&heard->changed, NULL);
}

void heard_free(struct heard *heard)
{
    pthread_mutex_destroy(&heard->mutex);
    pthread_cond_destroy(&heard->changed);
}

static void copy(char out[512], struct bytes text)
{
    size_t size = text.size < 511 ? text.size : 511;
    if (size > 0)
        memcpy(out, text.data, size);
    out[size] = '\0';
}

static void on_finished(struct call *call, const struct call_result *result)
{
    struct heard *heard = call_owner(call);
    pthread_mutex_lock(&heard->mutex);
    heard->finished++;
    heard->end = result->end;
    copy(heard->text, result->text);
    copy(heard->json, result->json_text);
    heard->has_index = result->json != NULL;
    heard->thread = pthread_self();
    pthread_cond_broadcast(&heard->changed);
    pthread_mutex_unlock(&heard->mutex);
}

static void on_progress(struct call *call, double progress, double total, struct bytes message)
{
    struct heard *heard = call_owner(call);
    (void)total;
    pthread_mutex_lock(&heard->mutex);
    heard->progress++;
    heard->last_progress = progress;
    copy(heard->text, message);
    pthread_mutex_unlock(&heard->mutex);
    if (heard->on_progress != NULL)
        heard->on_progress(call);
}

static void on_log(struct call *call, int level, struct bytes data)
{
    struct heard *heard = call_owner(call);
    pthread_mutex_lock(&heard->mutex);
    heard->log++;
    heard->last_level = level;
    copy(heard->json, data);
    pthread_mutex_unlock(&heard->mutex);
}

void heard_release(void *owner)
{
    struct heard *heard = owner;
    pthread_mutex_lock(&heard->mutex);
    heard->released++;
    pthread_cond_broadcast(&heard->changed);
    pthread_mutex_unlock(&heard->mutex);
}

const struct call_events heard_events = {
    .finished = on_finished, .progress = on_progress, .log = on_log};

static bool wait_for(struct heard *heard, const int *what)
{
    struct timespec until;
    int result = 0;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 5;
    pthread_mutex_lock(&heard->mutex);
    while (*what == 0 && result != ETIMEDOUT)
        result = pthread_cond_timedwait(&heard->changed, &heard->mutex, &until);
    bool ok = *what == 1;
    pthread_mutex_unlock(&heard->mutex);
    return ok;
}

bool heard_finished(struct heard *heard)
{
    return wait_for(heard, &heard->finished);
}

bool heard_released(struct heard *heard)
{
    return wait_for(heard, &heard->released);
}

struct call *fake_tool_call(struct registry *registry, const char *name, struct heard *heard,
                            const struct json *arguments,
                            void (*change)(struct call_request *request))
{
    static const struct mcp_caller caller = {.struct_size = sizeof(caller), .roles = {"[]", 2}};
    struct registry_reader reader = {NULL};
    const struct snapshot *snapshot = registry_read(registry, &reader);
    struct call_request request = {
        .entry = snapshot_find(snapshot, OFFER_TOOL, bytes_of(name)),
        .json = arguments,
        .arguments = arguments != NULL ? arguments->root : NULL,
        .caller = &caller,
        .log_level = -1,
        .events = &heard_events,
        .owner = heard,
        .release = heard_release,
    };
    if (request.entry == NULL) {
        fprintf(stderr, "fake_tool_call: there is no tool %s\n", name);
        abort();
    }
    if (change != NULL)
        change(&request);
    struct call *call = call_new(&request);
    registry_reader_close(&reader);
    return call;
}

/* ---- time ---- */

bool drained(const struct provider *provider, int64_t deadline_ns)
{
    while (provider_inside(provider) != 0 && clock_now() < deadline_ns)
        sleep_ms(1);
    return provider_inside(provider) == 0;
}

int64_t in_ms(int64_t ms)
{
    return clock_now() + ms * NS_PER_MS;
}

void sleep_ms(int ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}
