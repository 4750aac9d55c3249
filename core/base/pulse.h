/* SPDX-License-Identifier: MIT */
/*
 * Whether the threads that everything depends on still come round, for the service
 * manager's watchdog (sd_watchdog_enabled(3)'s protocol: WATCHDOG_USEC and
 * WATCHDOG_PID).
 *
 * Such a thread has a pulse, and beats each time that it comes round in its loop. Half
 * way to the watchdog's limit each is asked, and woken for it; WATCHDOG=1 is sent when
 * all have beaten since, and not before. A thread that is stuck, in a plugin or in us,
 * thus lets the service manager restart mcpd.
 *
 * Locks: pulse.c's mutex stands before whatever `wake` takes.
 */
#ifndef BASE_PULSE_H
#define BASE_PULSE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/error.h"

struct pulse {
    const char *name; /* "the I/O thread 1", as in "... does not come round" */
    void (*wake)(void *argument); /* must not wait for the thread */
    void *argument;
    atomic_bool asked; /* it has not beaten since */
    struct pulse *next;
};

/* Called by the thread itself, which has one pulse: `name` stays the caller's. */
void pulse_join(struct pulse *pulse, const char *name, void (*wake)(void *argument),
                void *argument);
void pulse_leave(struct pulse *pulse);
/* "I am alive." Costs next to nothing; on a thread without a pulse it does nothing. */
void pulse_beat(void);

/* Starts to watch, if the service manager has asked this process for it; takes the
 * variables out of the environment. */
bool pulse_watch_start(struct error *err);
void pulse_watch_stop(void);

#endif
