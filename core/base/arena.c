/* SPDX-License-Identifier: MIT */
/*
 * An arena of chunks: 4 KiB at first, each next one twice as large up to 1 MiB,
 * or as large as what is asked for. Under AddressSanitizer, what has not been
 * handed out is poisoned, so that an overrun is found as it is with malloc.
 */
#include "base/arena.h"

#include <stdalign.h>
#include <stdlib.h>

#include "base/budget.h"

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif
#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define poison(p, size) ASAN_POISON_MEMORY_REGION((p), (size))
#define unpoison(p, size) ASAN_UNPOISON_MEMORY_REGION((p), (size))
#else
#define poison(p, size) ((void)(p), (void)(size))
#define unpoison(p, size) ((void)(p), (void)(size))
#endif

#define FIRST_CHUNK ((size_t)4096)
#define LARGEST_CHUNK ((size_t)1 << 20)
#define ALIGNMENT ((size_t)16)

struct arena_chunk {
    struct arena_chunk *next;
    size_t size; /* of data */
    size_t used; /* a multiple of ALIGNMENT */
    alignas(16) char data[];
};

/* size must be at most SIZE_MAX / 2. */
static size_t round_up(size_t size)
{
    return (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
}

void arena_init(struct arena *a, size_t max)
{
    *a = (struct arena){.max = max < SIZE_MAX / 4 ? max : SIZE_MAX / 4};
}

void arena_init_counted(struct arena *a, size_t max)
{
    arena_init(a, max);
    a->counted = true;
}

/* A chunk that had `had` bytes has `size`, or is to have them. False: they do not fit. */
static bool count(const struct arena *a, size_t had, size_t size)
{
    return !a->counted || budget_hold(&had, size);
}

static void chunk_free(const struct arena *a, struct arena_chunk *chunk)
{
    unpoison(chunk->data, chunk->size);
    count(a, chunk->size, 0);
    free(chunk);
}

void arena_free(struct arena *a)
{
    arena_reset(a, 0);
}

void arena_reset(struct arena *a, size_t keep)
{
    struct arena_chunk *kept = NULL;
    while (a->chunks != NULL) {
        struct arena_chunk *chunk = a->chunks;
        a->chunks = chunk->next;
        if (chunk->size > keep || (kept != NULL && chunk->size <= kept->size)) {
            chunk_free(a, chunk);
            continue;
        }
        if (kept != NULL)
            chunk_free(a, kept);
        kept = chunk;
    }
    if (kept != NULL) {
        kept->next = NULL;
        kept->used = 0;
        poison(kept->data, kept->size);
    }
    a->chunks = kept;
    a->used = 0;
    a->no_memory = false;
}

/* Adds a chunk with room for `size` bytes and makes it the one to allocate from,
 * unless the present one would have more room left. */
static struct arena_chunk *chunk_add(struct arena *a, size_t size)
{
    struct arena_chunk *newest = a->chunks;
    size_t chunk_size = FIRST_CHUNK - sizeof(struct arena_chunk);
    if (newest != NULL)
        chunk_size = newest->size < LARGEST_CHUNK / 2 ? newest->size * 2 : LARGEST_CHUNK;
    if (chunk_size < size)
        chunk_size = size;

    if (!count(a, 0, chunk_size)) {
        a->no_memory = true;
        return NULL;
    }
    struct arena_chunk *chunk = malloc(sizeof(*chunk) + chunk_size);
    if (chunk == NULL) {
        count(a, chunk_size, 0);
        a->no_memory = true;
        return NULL;
    }
    chunk->size = chunk_size;
    chunk->used = 0;
    poison(chunk->data, chunk->size);
    if (newest != NULL && newest->size - newest->used > chunk_size - size) {
        chunk->next = newest->next;
        newest->next = chunk;
    } else {
        chunk->next = newest;
        a->chunks = chunk;
    }
    return chunk;
}

void *arena_alloc(struct arena *a, size_t size)
{
    if (size > a->max - a->used)
        return NULL;
    /* Nothing is nothing, but it has an address of its own. */
    size_t needed = round_up(size > 0 ? size : 1);
    struct arena_chunk *chunk = a->chunks;
    if (chunk == NULL || needed > chunk->size - chunk->used) {
        chunk = chunk_add(a, needed);
        if (chunk == NULL)
            return NULL;
    }
    void *p = chunk->data + chunk->used;
    chunk->used += needed;
    /* The cap counts whole units, or many tiny pieces would slip under it; the
     * last one may only fit in part. */
    a->used = needed < a->max - a->used ? a->used + needed : a->max;
    unpoison(p, size);
    return p;
}

void *arena_calloc(struct arena *a, size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / size)
        return NULL;
    void *p = arena_alloc(a, count * size);
    if (p != NULL)
        memset(p, 0, count * size);
    return p;
}

/* Where the list holds the chunk in which `p`, of `size` bytes, is the last piece; NULL
 * when it is the last one of none. */
static struct arena_chunk **chunk_ending_with(struct arena *a, const char *p, size_t size)
{
    for (struct arena_chunk **at = &a->chunks; *at != NULL; at = &(*at)->next) {
        struct arena_chunk *chunk = *at;
        if (chunk->used >= size && chunk->data + (chunk->used - size) == p)
            return at;
    }
    return NULL;
}

/* Makes a chunk with a single piece in it fit that piece's new size. What grows to
 * megabytes so leaves no copies of itself behind. */
static bool chunk_grow(const struct arena *a, struct arena_chunk **at, size_t size)
{
    size_t had = (*at)->size;
    if (!count(a, had, size)) /* moved, it might take less */
        return false;
    unpoison((*at)->data, had);
    struct arena_chunk *grown = realloc(*at, sizeof(*grown) + size);
    if (grown == NULL) {
        count(a, size, had);
        return false;
    }
    grown->size = size;
    *at = grown;
    return true;
}

/* In place, if that can be. */
static void *resize_last(struct arena *a, char *p, size_t had, size_t size)
{
    size_t needed = round_up(size > 0 ? size : 1);
    struct arena_chunk **at = chunk_ending_with(a, p, had);
    if (at == NULL)
        return NULL;
    if (needed > (*at)->size - ((*at)->used - had)) {
        if ((*at)->used != had || !chunk_grow(a, at, needed))
            return NULL;
        p = (*at)->data;
    }
    struct arena_chunk *chunk = *at;
    chunk->used = chunk->used - had + needed;
    a->used = a->used > had ? a->used - had : 0;
    a->used = needed < a->max - a->used ? a->used + needed : a->max;
    poison(p, chunk->size - (size_t)(p - chunk->data));
    unpoison(p, size);
    return p;
}

void *arena_resize(struct arena *a, void *p, size_t old_size, size_t size)
{
    if (p == NULL)
        return arena_alloc(a, size);
    if (size > old_size && size - old_size > a->max - a->used)
        return NULL;
    void *resized = resize_last(a, p, round_up(old_size > 0 ? old_size : 1), size);
    if (resized != NULL)
        return resized;
    if (size <= old_size)
        return p;
    resized = arena_alloc(a, size);
    if (resized != NULL)
        memcpy(resized, p, old_size);
    return resized;
}

struct bytes arena_copy(struct arena *a, struct bytes text)
{
    if (text.size == SIZE_MAX)
        return (struct bytes){NULL, 0};
    char *copy = arena_alloc(a, text.size + 1);
    if (copy == NULL)
        return (struct bytes){NULL, 0};
    if (text.size > 0)
        memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    return (struct bytes){copy, text.size};
}
