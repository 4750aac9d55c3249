/* SPDX-License-Identifier: MIT */
/*
 * Memory that is given back all at once: what belongs to one request, one
 * snapshot, one parsed file. Has a cap; past it, or without memory, the
 * functions return NULL, and no_memory tells which. Not thread-safe.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdbool.h>

#include "base/bytes.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks; /* newest first */
    size_t used; /* bytes handed out since the last reset */
    size_t max;
    bool no_memory; /* malloc(3), or the budget, has refused something since the last reset */
    bool counted; /* its chunks are held in the budget */
};

void arena_init(struct arena *a, size_t max);
/* The same for memory that a client makes us hold (base/budget.h): where that does not
 * fit, there is none. */
void arena_init_counted(struct arena *a, size_t max);
void arena_free(struct arena *a);

/* Takes everything back. Keeps one chunk of at most `keep` bytes for the next
 * use and frees the rest. */
void arena_reset(struct arena *a, size_t keep);

/* Aligned for any type; not cleared. */
void *arena_alloc(struct arena *a, size_t size);
/* Cleared; NULL also when count * size overflows. */
void *arena_calloc(struct arena *a, size_t count, size_t size);
/* Makes a piece larger or smaller: in place when nothing was allocated behind it
 * and there is room, else (to grow) by moving it. p may be NULL. NULL when out
 * of memory; the old piece is then untouched. */
void *arena_resize(struct arena *a, void *p, size_t old_size, size_t size);
/* A copy with a NUL behind it. .data is NULL when out of memory. */
struct bytes arena_copy(struct arena *a, struct bytes text);

#endif
