/* SPDX-License-Identifier: MIT */
/* One thread asks the others, and tells the service manager. */
#include "base/pulse.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/thread.h"

/* A thread that is late is looked at again after this part of the limit. */
#define AGAIN_PART 16
#define LIMIT_MIN_US 1000

static struct {
    pthread_mutex_t mutex; /* guards `all` and `stopping` */
    pthread_cond_t wake;
    struct pulse *all;
    bool stopping;
    bool running;
    pthread_t thread;
    int64_t limit_ns;
} pulses = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static _Thread_local struct pulse *mine;

/* ---- the threads that are watched ---- */

void pulse_join(struct pulse *pulse, const char *name, void (*wake)(void *argument), void *argument)
{
    pulse->name = name;
    pulse->wake = wake;
    pulse->argument = argument;
    atomic_init(&pulse->asked, false);
    mine = pulse;
    pthread_mutex_lock(&pulses.mutex);
    pulse->next = pulses.all;
    pulses.all = pulse;
    pthread_mutex_unlock(&pulses.mutex);
}

void pulse_leave(struct pulse *pulse)
{
    mine = NULL;
    pthread_mutex_lock(&pulses.mutex);
    struct pulse **place = &pulses.all;
    while (*place != NULL && *place != pulse)
        place = &(*place)->next;
    if (*place != NULL)
        *place = pulse->next;
    pthread_mutex_unlock(&pulses.mutex);
}

void pulse_beat(void)
{
    if (mine != NULL && atomic_load_explicit(&mine->asked, memory_order_relaxed))
        atomic_store_explicit(&mine->asked, false, memory_order_relaxed);
}

/* ---- the watch: with the mutex held ---- */

static void ask_all(void)
{
    for (struct pulse *pulse = pulses.all; pulse != NULL; pulse = pulse->next) {
        atomic_store(&pulse->asked, true);
        pulse->wake(pulse->argument);
    }
}

/* NULL: all have beaten. */
static const struct pulse *find_late(void)
{
    struct pulse *pulse = pulses.all;

    while (pulse != NULL && !atomic_load(&pulse->asked))
        pulse = pulse->next;
    return pulse;
}

/* False: it is over. */
static bool wait_until(int64_t until_ns)
{
    const struct timespec until = {.tv_sec = until_ns / NS_PER_S, .tv_nsec = until_ns % NS_PER_S};

    while (!pulses.stopping && clock_now() < until_ns)
        pthread_cond_timedwait(&pulses.wake, &pulses.mutex, &until);
    return !pulses.stopping;
}

static void *run(void *unused)
{
    bool told = false; /* that somebody is late */
    int64_t next_ns = clock_now(), asked_ns = next_ns;

    (void)unused;
    pthread_mutex_lock(&pulses.mutex);
    ask_all();
    while (wait_until(next_ns)) {
        const struct pulse *late = find_late();
        if (late == NULL) {
            notify("WATCHDOG=1");
            if (told)
                log_notice("all threads come round again");
            told = false;
            asked_ns = clock_now();
            next_ns = asked_ns + pulses.limit_ns / 2;
            ask_all();
            continue;
        }
        next_ns = clock_now() + pulses.limit_ns / AGAIN_PART;
        if (!told && clock_now() - asked_ns >= pulses.limit_ns / 2) {
            log_error("%s has not come round for %lld ms: the service manager is not told that all "
                      "is well, and restarts mcpd if it stays so (WatchdogSec)",
                      late->name, (long long)((clock_now() - asked_ns) / NS_PER_MS));
            told = true;
        }
    }
    pthread_mutex_unlock(&pulses.mutex);
    return NULL;
}

/* ---- start and stop ---- */

/* In µs; 0: nobody asks this process. */
static unsigned long long read_limit(void)
{
    const char *limit = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    char *end;

    if (limit == NULL || *limit < '0' || *limit > '9')
        return 0;
    if (pid != NULL && strtoll(pid, NULL, 10) != getpid())
        return 0;
    unsigned long long us = strtoull(limit, &end, 10);
    return *end == '\0' && us >= LIMIT_MIN_US && us < INT64_MAX / 1000 ? us : 0;
}

bool pulse_watch_start(struct error *err)
{
    unsigned long long limit_us = read_limit();
    pthread_condattr_t attributes;

    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    if (limit_us == 0)
        return true;
    pulses.limit_ns = (int64_t)limit_us * 1000;
    pulses.stopping = false;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&pulses.wake, &attributes);
    pthread_condattr_destroy(&attributes);
    pulses.running = thread_start(&pulses.thread, "mcpd-watchdog", run, NULL, err);
    return pulses.running;
}

void pulse_watch_stop(void)
{
    if (!pulses.running)
        return;
    pthread_mutex_lock(&pulses.mutex);
    pulses.stopping = true;
    pthread_cond_broadcast(&pulses.wake);
    pthread_mutex_unlock(&pulses.mutex);
    pthread_join(pulses.thread, NULL);
    pthread_cond_destroy(&pulses.wake);
    pulses.running = false;
}
