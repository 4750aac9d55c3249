/* SPDX-License-Identifier: MIT */
/* A sum. */
#include "base/budget.h"

#include <stdatomic.h>
#include <stdint.h>

static struct {
    atomic_size_t max; /* 0: no bound */
    atomic_size_t used;
    atomic_size_t refused;
} budget;

void budget_limit(size_t max)
{
    atomic_store(&budget.max, max);
}

static size_t bound(void)
{
    size_t max = atomic_load_explicit(&budget.max, memory_order_relaxed);

    return max > 0 ? max : SIZE_MAX;
}

void budget_hold_anyway(size_t *held, size_t bytes)
{
    if (bytes >= *held)
        atomic_fetch_add_explicit(&budget.used, bytes - *held, memory_order_relaxed);
    else
        atomic_fetch_sub_explicit(&budget.used, *held - bytes, memory_order_relaxed);
    *held = bytes;
}

bool budget_hold(size_t *held, size_t bytes)
{
    if (bytes > *held) {
        size_t more = bytes - *held, max = bound();
        size_t before = atomic_fetch_add_explicit(&budget.used, more, memory_order_relaxed);
        if (before > max || more > max - before) {
            atomic_fetch_sub_explicit(&budget.used, more, memory_order_relaxed);
            atomic_fetch_add_explicit(&budget.refused, 1, memory_order_relaxed);
            return false;
        }
        *held = bytes;
        return true;
    }
    if (bytes < *held)
        budget_hold_anyway(held, bytes);
    return true;
}

size_t budget_used(void)
{
    return atomic_load_explicit(&budget.used, memory_order_relaxed);
}

bool budget_is_tight(void)
{
    return budget_used() > bound() / 2;
}

size_t budget_refused(void)
{
    return atomic_load_explicit(&budget.refused, memory_order_relaxed);
}
