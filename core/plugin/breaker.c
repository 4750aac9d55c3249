/* SPDX-License-Identifier: MIT */
/* See the header. */
#include "plugin/breaker.h"

#include <stdio.h>

#include "base/clock.h"

#define DEATHS_WINDOW_NS (60 * NS_PER_S)

void breaker_init(struct breaker *breaker)
{
    *breaker = (struct breaker){.state = BREAKER_CLOSED};
    pthread_mutex_init(&breaker->mutex, NULL);
}

void breaker_destroy(struct breaker *breaker)
{
    pthread_mutex_destroy(&breaker->mutex);
}

void breaker_set_limits(struct breaker *breaker, uint32_t max_calls, uint32_t max_deaths,
                        uint32_t pause_ms)
{
    pthread_mutex_lock(&breaker->mutex);
    breaker->max_calls = max_calls;
    breaker->max_deaths = max_deaths < BREAKER_DEATHS ? max_deaths : BREAKER_DEATHS;
    breaker->first_pause_ns = pause_ms * NS_PER_MS;
    pthread_mutex_unlock(&breaker->mutex);
}

bool breaker_is_closed(const struct breaker *breaker)
{
    return atomic_load_explicit(&breaker->state, memory_order_relaxed) == BREAKER_CLOSED;
}

/* ---- asking ---- */

enum breaker_word breaker_ask(struct breaker *breaker, int64_t now)
{
    if (breaker_is_closed(breaker))
        return BREAKER_ADMITS;
    pthread_mutex_lock(&breaker->mutex);
    enum breaker_word word = BREAKER_ADMITS;
    if (!breaker_is_closed(breaker))
        word = now >= breaker->trial_ns ? BREAKER_ADMITS_TRIAL : BREAKER_REFUSES;
    if (word == BREAKER_ADMITS_TRIAL) {
        breaker->trial_ns = now + breaker->pause_ns; /* if it says nothing till then */
        atomic_store(&breaker->state, BREAKER_TRIAL);
    }
    pthread_mutex_unlock(&breaker->mutex);
    return word;
}

int64_t breaker_next_trial(struct breaker *breaker)
{
    pthread_mutex_lock(&breaker->mutex);
    int64_t trial_ns = breaker->trial_ns;
    pthread_mutex_unlock(&breaker->mutex);
    return trial_ns;
}

/* Seconds, begun ones whole: nobody is sent back too early. */
static uint64_t seconds(int64_t ns)
{
    return ns > 0 ? (uint64_t)((ns + NS_PER_S - 1) / NS_PER_S) : 0;
}

void breaker_describe(struct breaker *breaker, int64_t now, char out[BREAKER_TEXT])
{
    pthread_mutex_lock(&breaker->mutex);
    int64_t since = now - breaker->opened_ns, rest = breaker->trial_ns - now;
    bool trying = atomic_load(&breaker->state) == BREAKER_TRIAL;
    pthread_mutex_unlock(&breaker->mutex);
    if (trying)
        snprintf(out, BREAKER_TEXT, "out of service for %ju s, a trial is under way",
                 (uintmax_t)seconds(since));
    else
        snprintf(out, BREAKER_TEXT, "out of service for %ju s, the next trial is in %ju s",
                 (uintmax_t)seconds(since), (uintmax_t)seconds(rest));
}

/* ---- telling ---- */

bool breaker_succeeded(struct breaker *breaker)
{
    if (atomic_load_explicit(&breaker->in_row, memory_order_relaxed) != 0)
        atomic_store_explicit(&breaker->in_row, 0, memory_order_relaxed);
    if (breaker_is_closed(breaker))
        return false;
    pthread_mutex_lock(&breaker->mutex);
    /* The late end of a call from before the trial proves nothing. */
    bool closes = atomic_load(&breaker->state) == BREAKER_TRIAL;
    if (closes) {
        breaker->death_count = 0;
        atomic_store(&breaker->state, BREAKER_CLOSED);
    }
    pthread_mutex_unlock(&breaker->mutex);
    return closes;
}

/* Mutex held. */
static void open_again(struct breaker *breaker, int64_t now)
{
    const int64_t longest = breaker->first_pause_ns * BREAKER_PAUSES;
    breaker->pause_ns = breaker->pause_ns < longest / 2 ? breaker->pause_ns * 2 : longest;
    breaker->trial_ns = now + breaker->pause_ns;
    atomic_store(&breaker->state, BREAKER_OPEN);
}

/* Mutex held. */
static void open_first(struct breaker *breaker, int64_t now)
{
    breaker->opened_ns = now;
    breaker->pause_ns = breaker->first_pause_ns;
    breaker->trial_ns = now + breaker->pause_ns;
    atomic_store_explicit(&breaker->in_row, 0, memory_order_relaxed);
    atomic_store(&breaker->state, BREAKER_OPEN);
}

/* Acts on a failure; `enough`: it is one too many. Mutex held. */
static bool take_failure(struct breaker *breaker, int64_t now, bool enough)
{
    enum breaker_state state = atomic_load(&breaker->state);
    if (state == BREAKER_CLOSED && enough)
        open_first(breaker, now);
    else if (state == BREAKER_TRIAL)
        open_again(breaker, now);
    else
        return false;
    return true;
}

bool breaker_failed(struct breaker *breaker, int64_t now)
{
    pthread_mutex_lock(&breaker->mutex);
    unsigned in_row = atomic_fetch_add(&breaker->in_row, 1) + 1;
    bool opened =
        take_failure(breaker, now, breaker->max_calls > 0 && in_row >= breaker->max_calls);
    pthread_mutex_unlock(&breaker->mutex);
    return opened;
}

void breaker_undecided(struct breaker *breaker)
{
    pthread_mutex_lock(&breaker->mutex);
    if (atomic_load(&breaker->state) == BREAKER_TRIAL) {
        breaker->trial_ns = 0; /* at once, and times from then on can be told */
        atomic_store(&breaker->state, BREAKER_OPEN);
    }
    pthread_mutex_unlock(&breaker->mutex);
}

bool breaker_died(struct breaker *breaker, int64_t now, uint32_t *deaths)
{
    pthread_mutex_lock(&breaker->mutex);
    breaker->deaths[breaker->death_count++ % BREAKER_DEATHS] = now;
    *deaths = 0;
    for (uint32_t i = 0; i < BREAKER_DEATHS && i < breaker->death_count; i++)
        *deaths += breaker->deaths[i] > now - DEATHS_WINDOW_NS;
    bool opened =
        take_failure(breaker, now, breaker->max_deaths > 0 && *deaths >= breaker->max_deaths);
    /* The worker that was started for the trial did not live to see it. */
    if (!opened && atomic_load(&breaker->state) == BREAKER_OPEN && now >= breaker->trial_ns) {
        open_again(breaker, now);
        opened = true;
    }
    pthread_mutex_unlock(&breaker->mutex);
    return opened;
}
