/* SPDX-License-Identifier: MIT */
/*
 * The circuit breaker of a provider: what fails again and again is no longer asked, so
 * that callers are told at once instead of waiting, and threads and processes are not
 * spent on it.
 *
 * Closed, calls go through. It opens when so many calls, one after the other, were the
 * provider's failure (not ended at their deadline and grace, or ended as no call may
 * end), or its worker process died so often within a minute. Open, calls are refused
 * until a pause is over; then one call goes through as a trial. When that ends as a call
 * should, the breaker closes; when it fails, the next pause is twice as long, up to
 * BREAKER_PAUSES times the first. A trial that says neither (its client left, it was
 * busy) leaves the next one to the next call; one that says nothing at all is not waited
 * for beyond the pause.
 *
 * What a tool answers, be it an error, is no failure of the provider: a caller's
 * arguments cause that. The time is always given: no clock is read here. Any thread; the
 * mutex is a leaf. A breaker of a call that goes well costs two relaxed loads.
 */
#ifndef PLUGIN_BREAKER_H
#define PLUGIN_BREAKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BREAKER_DEATHS 64 /* the largest limit of deaths */
#define BREAKER_PAUSES 16

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_TRIAL };

struct breaker {
    _Atomic(enum breaker_state) state;
    atomic_uint in_row; /* failed calls, one after the other */

    pthread_mutex_t mutex; /* guards changes of the state and the rest */
    uint32_t max_calls, max_deaths; /* 0: it does not open by these */
    int64_t first_pause_ns;
    int64_t pause_ns; /* the one that runs */
    int64_t opened_ns, trial_ns;
    int64_t deaths[BREAKER_DEATHS]; /* when the latest were, a ring */
    uint32_t death_count;
};

/* It never opens before breaker_set_limits. */
void breaker_init(struct breaker *breaker);
void breaker_destroy(struct breaker *breaker);
void breaker_set_limits(struct breaker *breaker, uint32_t max_calls, uint32_t max_deaths,
                        uint32_t pause_ms);

enum breaker_word { BREAKER_REFUSES, BREAKER_ADMITS, BREAKER_ADMITS_TRIAL };
/* Whether a call may go through now. One that goes as a trial must be followed by one of
 * the three below. */
enum breaker_word breaker_ask(struct breaker *breaker, int64_t now);

/* A call ended as it should. True: that has closed the breaker. */
bool breaker_succeeded(struct breaker *breaker);
/* A call failed, by the provider's fault. True: that has opened the breaker, for the
 * first time or again after a trial. */
bool breaker_failed(struct breaker *breaker, int64_t now);
/* The call that was the trial is over and says nothing. */
void breaker_undecided(struct breaker *breaker);
/* The worker process died; true: as breaker_failed. *deaths: how many died within the
 * last minute, this one counted. */
bool breaker_died(struct breaker *breaker, int64_t now, uint32_t *deaths);

bool breaker_is_closed(const struct breaker *breaker);
/* When the next trial may be; meaningful while it is not closed. */
int64_t breaker_next_trial(struct breaker *breaker);
/* "out of service for 12 s, the next trial is in 18 s" */
#define BREAKER_TEXT 100
void breaker_describe(struct breaker *breaker, int64_t now, char out[BREAKER_TEXT]);

#endif
