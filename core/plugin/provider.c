/* SPDX-License-Identifier: MIT */
/*
 * Entering, leaving, retiring and draining a generation.
 *
 * provider.entered holds the number of calls inside and, in its top bit, the
 * mark of retirement, so that the one who leaves last learns from its one
 * atomic step that somebody may be waiting: after that step it must not touch
 * the provider, which may be gone.
 */
#include "plugin/provider.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "plugin/dispatch.h"
#include "plugin/load.h"

#define RETIRED 0x80000000u

/* Who is told of the end of a drain. The mutex is held while it is told. */
static struct {
    pthread_mutex_t mutex;
    void (*wake)(void *context);
    void *context;
} drain = {.mutex = PTHREAD_MUTEX_INITIALIZER};

void provider_init(struct provider *provider, const struct provider_ops *ops)
{
    provider->ops = ops;
    atomic_init(&provider->references, 1);
    atomic_init(&provider->broken, false);
    atomic_init(&provider->owner, NULL);
    atomic_init(&provider->entered, 0);
    atomic_init(&provider->told_ns, 0);
    atomic_init(&provider->told_gone, false);
    atomic_init(&provider->tell_late_ns, 0);
    breaker_init(&provider->breaker);
}

bool provider_describe(struct provider *provider, const struct image *image,
                       const char *provider_id, struct config *config,
                       const struct config_provider *settings)
{
    provider->id = strdup(provider_id);
    provider->plugin = strdup(image->id);
    provider->version = strdup(image->version);
    provider->prefix = strdup(settings != NULL && settings->prefix != NULL ? settings->prefix : "");
    provider->timeout_ms = settings != NULL ? settings->timeout_ms : 0;
    provider->generation = image->generation;
    memcpy(provider->file_hash, image->hash, sizeof(provider->file_hash));
    provider->config = config != NULL ? config_ref(config) : NULL;
    provider->settings = settings;
    provider_take_limits(provider, config);
    return provider->id != NULL && provider->plugin != NULL && provider->version != NULL &&
           provider->prefix != NULL;
}

struct provider *provider_ref(struct provider *provider)
{
    atomic_fetch_add_explicit(&provider->references, 1, memory_order_relaxed);
    return provider;
}

static void free_gates(struct provider *provider)
{
    while (provider->gates != NULL) {
        struct provider_gate *next = provider->gates->next;
        gate_unref(provider->gates->gate);
        free(provider->gates);
        provider->gates = next;
    }
    gate_unref(provider->serial);
}

void provider_unref(struct provider *provider)
{
    if (provider == NULL || atomic_fetch_sub(&provider->references, 1) != 1)
        return;
    free_gates(provider);
    offers_unref(provider->offers);
    config_unref(provider->config);
    free(provider->id);
    free(provider->plugin);
    free(provider->version);
    free(provider->prefix);
    breaker_destroy(&provider->breaker);
    provider->ops->free(provider);
}

/* ---- its breaker ---- */

void provider_take_limits(struct provider *provider, const struct config *config)
{
    if (config != NULL)
        breaker_set_limits(&provider->breaker, config->plugins.max_failed_calls,
                           config->plugins.max_worker_deaths, config->plugins.trial_after_ms);
}

void provider_call_failed(struct provider *provider, const char *how)
{
    int64_t now = clock_now();
    char text[BREAKER_TEXT];
    if (!breaker_failed(&provider->breaker, now))
        return;
    breaker_describe(&provider->breaker, now, text);
    log_error("%s: its calls fail, one after the other (plugins.max_failed_calls): %s; a new file "
              "or configuration, or a reload of mcpd, brings it back at once; the last failure: %s",
              provider->id, text, how);
}

void provider_call_late(struct provider *provider, const char *how)
{
    int64_t now = clock_now(), next = atomic_load(&provider->tell_late_ns);
    if (now >= next &&
        atomic_compare_exchange_strong(&provider->tell_late_ns, &next, now + NS_PER_S))
        log_warning("%s", how);
}

bool provider_may_tell(struct provider *provider)
{
    static _Atomic int64_t nobodys;
    _Atomic int64_t *told_ns = provider != NULL ? &provider->told_ns : &nobodys;
    int64_t now = clock_now(), told = atomic_load(told_ns), from;
    do {
        from = told > now ? told : now;
        if (from - now >= MISTAKES_TOLD * NS_PER_S)
            return false;
    } while (!atomic_compare_exchange_weak(told_ns, &told, from + NS_PER_S));
    return true;
}

void provider_call_succeeded(struct provider *provider)
{
    if (breaker_succeeded(&provider->breaker))
        log_notice("%s: a trial has gone well: it is in service again", provider->id);
}

unsigned provider_inside(const struct provider *provider)
{
    return atomic_load(&provider->entered) & ~RETIRED;
}

bool provider_enter(struct provider *provider)
{
    unsigned before = atomic_fetch_add(&provider->entered, 1);
    if ((before & RETIRED) == 0)
        return true;
    provider_leave(provider);
    return false;
}

void provider_leave(struct provider *provider)
{
    if (atomic_fetch_sub(&provider->entered, 1) != (RETIRED | 1))
        return;
    pthread_mutex_lock(&drain.mutex);
    if (drain.wake != NULL)
        drain.wake(drain.context);
    pthread_mutex_unlock(&drain.mutex);
}

void provider_retire(struct provider *provider)
{
    atomic_fetch_or(&provider->entered, RETIRED);
}

bool provider_is_retired(const struct provider *provider)
{
    return (atomic_load(&provider->entered) & RETIRED) != 0;
}

void provider_on_drained(void (*wake)(void *context), void *context)
{
    pthread_mutex_lock(&drain.mutex);
    drain.wake = wake;
    drain.context = context;
    pthread_mutex_unlock(&drain.mutex);
}
