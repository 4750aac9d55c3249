/* SPDX-License-Identifier: MIT */
/*
 * Where calls come from and go to.
 *
 * Each thread that makes calls keeps those that ended on it in a ring and uses
 * the oldest again: no malloc, no lock. The ring is also a quarantine. A plugin
 * that ends a call a second time, late, holds a pointer to one that has gone;
 * as long as that is in the ring, the state in it still says that it has been
 * ended. Calls that end on another thread wait in a ring that all share.
 */
#include "plugin/call_private.h"

#include <stdlib.h>
#include <unistd.h>

#define RING 64 /* a power of two */
#define REUSE_FROM 16 /* so many stay in quarantine before the oldest is used again */
#define SCRATCH_MAX ((size_t)512 << 20)
#define SCRATCH_KEEP ((size_t)16 << 10)

struct ring {
    struct call *calls[RING];
    unsigned first, count;
};

struct call_cache {
    struct ring ring;
    struct arena scratch;
    bool scratch_taken;
};

static struct {
    pthread_once_t once;
    pthread_key_t key; /* only for its destructor */
    pthread_mutexattr_t recursive;
    pthread_mutex_t mutex; /* guards `elsewhere`; a leaf */
    struct ring elsewhere;
} shared = {.once = PTHREAD_ONCE_INIT, .mutex = PTHREAD_MUTEX_INITIALIZER};

static _Thread_local struct call_cache *cache;

static void call_destroy(struct call *call)
{
    pthread_mutex_destroy(&call->event_mutex);
    pthread_mutex_destroy(&call->cancel_mutex);
    pthread_mutex_destroy(&call->mutex);
    free(call);
}

static struct call *ring_take(struct ring *ring)
{
    struct call *call = ring->calls[ring->first];
    ring->first = (ring->first + 1) % RING;
    ring->count--;
    return call;
}

/* Returns the one that had to make room, or NULL. */
static struct call *ring_put(struct ring *ring, struct call *call)
{
    struct call *out = ring->count == RING ? ring_take(ring) : NULL;
    ring->calls[(ring->first + ring->count) % RING] = call;
    ring->count++;
    return out;
}

static void thread_ends(void *argument)
{
    struct call_cache *mine = argument;
    while (mine->ring.count > 0)
        call_destroy(ring_take(&mine->ring));
    arena_free(&mine->scratch);
    free(mine);
    cache = NULL;
}

/* When the program ends, for those who look for leaks. */
__attribute__((destructor)) static void program_ends(void)
{
    if (cache != NULL)
        thread_ends(cache);
    while (shared.elsewhere.count > 0)
        call_destroy(ring_take(&shared.elsewhere));
}

static void prepare(void)
{
    pthread_key_create(&shared.key, thread_ends);
    pthread_mutexattr_init(&shared.recursive);
    pthread_mutexattr_settype(&shared.recursive, PTHREAD_MUTEX_RECURSIVE);
}

static struct call_cache *my_cache(void)
{
    if (cache != NULL)
        return cache;
    pthread_once(&shared.once, prepare);
    struct call_cache *made = calloc(1, sizeof(*made));
    if (made == NULL)
        return NULL;
    arena_init_counted(&made->scratch, SCRATCH_MAX);
    pthread_setspecific(shared.key, made);
    cache = made;
    return made;
}

struct call *call_allocate(void)
{
    struct call_cache *mine = my_cache();
    if (mine == NULL)
        return NULL;
    if (mine->ring.count >= REUSE_FROM)
        return ring_take(&mine->ring);

    struct call *call = calloc(1, sizeof(*call));
    if (call == NULL)
        return NULL;
    pthread_mutex_init(&call->event_mutex, &shared.recursive);
    pthread_mutex_init(&call->cancel_mutex, &shared.recursive);
    pthread_mutex_init(&call->mutex, NULL);
    arena_init_counted(&call->arena, SCRATCH_MAX);
    call->cancel_fd = -1;
    call->home = mine;
    return call;
}

void call_recycle(struct call *call)
{
    struct call *out;
    if (call->arena.chunks != NULL) {
        memset(call->parts, 0, sizeof(call->parts)); /* they lie in the arena */
        arena_free(&call->arena);
    }
    if (call->cancel_fd >= 0)
        close(call->cancel_fd);
    call->cancel_fd = -1;
    if (cache != NULL && call->home == cache) {
        out = ring_put(&cache->ring, call);
    } else {
        pthread_mutex_lock(&shared.mutex);
        out = ring_put(&shared.elsewhere, call);
        pthread_mutex_unlock(&shared.mutex);
    }
    if (out != NULL)
        call_destroy(out);
}

struct arena *scratch_take(void)
{
    struct call_cache *mine = my_cache();
    if (mine != NULL && !mine->scratch_taken) {
        mine->scratch_taken = true;
        return &mine->scratch;
    }
    struct arena *arena = malloc(sizeof(*arena));
    if (arena != NULL)
        arena_init_counted(arena, SCRATCH_MAX);
    return arena;
}

void scratch_give_back(struct arena *arena)
{
    if (cache != NULL && arena == &cache->scratch) {
        arena_reset(arena, SCRATCH_KEEP);
        cache->scratch_taken = false;
        return;
    }
    arena_free(arena);
    free(arena);
}
