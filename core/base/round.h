/* SPDX-License-Identifier: MIT */
/*
 * What can wait until a thread has come round in its loop: done once then, for all that
 * asked for it meanwhile. A system call for each of many requests becomes one for all of
 * them. Each function is about the calling thread's own rounds: no locks.
 */
#ifndef BASE_ROUND_H
#define BASE_ROUND_H

#include <stdbool.h>
#include <stddef.h>

#define ROUND_MAX 16

struct round {
    struct round_task {
        void (*run)(void *data);
        void *data;
    } tasks[ROUND_MAX];
    size_t count;
};

/* The calling thread has rounds from now on, in `round`, which stays the caller's; with NULL
 * it has none any more. */
void round_join(struct round *round);
/* Whether the calling thread has rounds. */
bool round_is_on(void);
/* Has run(data) called at the end of the calling thread's round, until when `data` must live.
 * False: the thread has no rounds, or ROUND_MAX wait already; nothing will be called. */
bool round_later(void (*run)(void *data), void *data);
/* Whether the calling thread has asked for that already, in this round. */
bool round_waits(void (*run)(void *data), const void *data);
/* The end of one: runs what waits, in order. What runs must not ask for more. */
void round_end(struct round *round);

#endif
