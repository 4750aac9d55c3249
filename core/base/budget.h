/* SPDX-License-Identifier: MIT */
/*
 * One bound for all the memory that clients make us hold: connections, bodies and what
 * is read out of them, results, answers and streams that wait to be read, what is kept
 * for clients that may come back (server.max_memory_mib).
 *
 * Whoever holds such memory says how much. What is new is refused when it does not fit,
 * before it is there; what has been promised (a short answer) is counted all the same.
 * So the bound is met by turning away, and never by running out. Any thread.
 */
#ifndef BASE_BUDGET_H
#define BASE_BUDGET_H

#include <stdbool.h>
#include <stddef.h>

/* 0: no bound, which is also what there is before this. */
void budget_limit(size_t max);

/* The holder of *held bytes now holds `bytes`. False: that is more, and does not fit;
 * nothing has changed, and somebody is to be refused. */
bool budget_hold(size_t *held, size_t bytes);
/* The same for what cannot be refused. */
void budget_hold_anyway(size_t *held, size_t bytes);

size_t budget_used(void);
/* More than a part of the bound is in use: memory that is kept only to be quick, or for
 * clients who may come back, is better given up. */
bool budget_is_tight(void);
/* How often something did not fit. */
size_t budget_refused(void);

#endif
