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

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "plugin/dispatch.h"

#define RETIRED 0x80000000u

/* Who waits for the end of a drain. Leaf lock. */
static struct {
    pthread_mutex_t mutex;
    pthread_cond_t left; /* the last call of some retired provider has left */
    pthread_once_t once;
    void (*wake)(void *context);
    void *context;
} drain = {.mutex = PTHREAD_MUTEX_INITIALIZER, .once = PTHREAD_ONCE_INIT};

static void drain_init(void)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&drain.left, &attributes);
    pthread_condattr_destroy(&attributes);
}

void provider_init(struct provider *provider, const struct provider_ops *ops)
{
    pthread_once(&drain.once, drain_init);
    provider->ops = ops;
    atomic_init(&provider->references, 1);
    atomic_init(&provider->retired, false);
    atomic_init(&provider->broken, false);
    atomic_init(&provider->owner, NULL);
    atomic_init(&provider->entered, 0);
    atomic_init(&provider->said, 0);
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
    provider->ops->free(provider);
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
    pthread_cond_broadcast(&drain.left);
    if (drain.wake != NULL)
        drain.wake(drain.context);
    pthread_mutex_unlock(&drain.mutex);
}

void provider_retire(struct provider *provider)
{
    atomic_store(&provider->retired, true);
    atomic_fetch_or(&provider->entered, RETIRED);
}

bool provider_drain(struct provider *provider, int64_t deadline_ns)
{
    const struct timespec until = {.tv_sec = deadline_ns / NS_PER_S,
                                   .tv_nsec = deadline_ns % NS_PER_S};
    int result = 0;

    pthread_mutex_lock(&drain.mutex);
    while (provider_inside(provider) != 0 && result != ETIMEDOUT)
        result = pthread_cond_timedwait(&drain.left, &drain.mutex, &until);
    pthread_mutex_unlock(&drain.mutex);
    return provider_inside(provider) == 0;
}

void provider_on_drained(void (*wake)(void *context), void *context)
{
    pthread_mutex_lock(&drain.mutex);
    drain.wake = wake;
    drain.context = context;
    pthread_mutex_unlock(&drain.mutex);
}
