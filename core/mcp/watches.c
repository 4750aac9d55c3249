/* SPDX-License-Identifier: MIT */
/* The table of watched resources, and the thread that tells of changes. */
#include "mcp/watches.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "base/thread.h"
#include "json/json.h"

#define BUCKETS 4096
#define NICENESS 10
#define BATCH 64 /* watchers told between two looks at the table */
#define PAUSE_US 200 /* and then others get the processor: nobody waits for thousands */
#define BYTES_MAX ((size_t)64 << 20) /* of everything in the table */

struct watched;

/* One watcher's interest in one URI. */
struct watch {
    struct watch *next, *previous; /* in the ring of the URI */
    struct watch *next_mine; /* the watcher's next */
    struct watched *uri;
    struct watcher *watcher; /* NULL: no watch, but the place the thread has come to */
    bool missed; /* it changed, and the owner could not be told */
};

/* A URI that somebody watches. */
struct watched {
    struct watched *next; /* in the bucket */
    struct watched *next_queued;
    struct watch head; /* of the ring */
    bool queued;
    uint64_t hash;
    size_t size;
    char text[];
};

struct watcher {
    struct watches *home;
    const struct watcher_ops *ops;
    void *owner;
    struct watch *first;
    uint32_t count;
    bool closed;
};

struct watches {
    pthread_mutex_t mutex; /* guards all that follows, and what the structs above hold */
    pthread_cond_t wake;
    atomic_size_t count; /* watched URIs; also read without the mutex */
    size_t bytes;
    struct watched *first_queued, **last_queued;
    bool started, stopping;
    pthread_t thread;
    struct watched *buckets[BUCKETS];
};

/* ---- the table, with the mutex held ---- */

static struct bytes text_of(const struct watched *uri)
{
    return (struct bytes){uri->text, uri->size};
}

static struct watched **bucket_of(struct watches *watches, uint64_t hash)
{
    return &watches->buckets[hash % BUCKETS];
}

static struct watched *find(struct watches *watches, struct bytes uri, uint64_t hash)
{
    for (struct watched *it = *bucket_of(watches, hash); it != NULL; it = it->next)
        if (it->hash == hash && bytes_equal(text_of(it), uri))
            return it;
    return NULL;
}

static struct watched *find_or_add(struct watches *watches, struct bytes uri)
{
    uint64_t hash = bytes_hash(uri);
    struct watched *it = find(watches, uri, hash);

    if (it != NULL)
        return it;
    it = calloc(1, sizeof *it + uri.size);
    if (it == NULL)
        return NULL;
    it->hash = hash;
    it->size = uri.size;
    memcpy(it->text, uri.data, uri.size);
    it->head.next = it->head.previous = &it->head;
    struct watched **bucket = bucket_of(watches, hash);
    it->next = *bucket;
    *bucket = it;
    watches->bytes += sizeof *it + uri.size;
    atomic_fetch_add(&watches->count, 1);
    return it;
}

static void drop_if_unused(struct watches *watches, struct watched *uri)
{
    if (uri->head.next != &uri->head || uri->queued)
        return;
    struct watched **place = bucket_of(watches, uri->hash);
    while (*place != uri)
        place = &(*place)->next;
    *place = uri->next;
    watches->bytes -= sizeof *uri + uri->size;
    atomic_fetch_sub(&watches->count, 1);
    free(uri);
}

static void link_after(struct watch *place, struct watch *watch)
{
    watch->previous = place;
    watch->next = place->next;
    watch->next->previous = watch;
    place->next = watch;
}

static void unlink_it(struct watch *watch)
{
    watch->previous->next = watch->next;
    watch->next->previous = watch->previous;
}

/* The place of the watcher's watch of this URI in its list; *place is NULL when
 * there is none. */
static struct watch **find_mine(struct watcher *watcher, struct bytes uri)
{
    const struct watched *watched = find(watcher->home, uri, bytes_hash(uri));
    struct watch **place = &watcher->first;

    while (*place != NULL && (*place)->uri != watched)
        place = &(*place)->next_mine;
    return place;
}

static void remove_watch(struct watcher *watcher, struct watch **place)
{
    struct watch *watch = *place;

    *place = watch->next_mine;
    watcher->count--;
    watcher->home->bytes -= sizeof *watch;
    unlink_it(watch);
    drop_if_unused(watcher->home, watch->uri);
    free(watch);
}

/* ---- telling: the thread ---- */

struct told {
    struct watcher *watcher;
    const struct watcher_ops *ops;
    void *owner; /* held, which keeps the watcher, too */
    bool done;
};

static bool write_json(struct buf *out, struct bytes uri)
{
    buf_init(out, uri.size * 6 + 16);
    json_write_string(out, uri);
    return !out->failed;
}

/* With the mutex held: takes some watchers behind the marker, moves it behind them.
 * Each has missed it until he has been told: his stream may open just then. */
static size_t take_batch(struct watched *uri, struct watch *marker, struct told batch[BATCH])
{
    size_t count = 0;
    struct watch *at = marker->next;

    unlink_it(marker);
    for (; at != &uri->head && count < BATCH; at = at->next) {
        struct watcher *watcher = at->watcher;
        at->missed = true;
        if (watcher->owner == NULL)
            continue;
        watcher->ops->hold(watcher->owner);
        batch[count++] = (struct told){watcher, watcher->ops, watcher->owner, false};
    }
    link_after(at->previous, marker);
    return count;
}

/* With the mutex held. */
static void note_told(const struct told *to, const struct watched *uri)
{
    struct watch *watch = to->watcher->first;

    while (watch != NULL && watch->uri != uri)
        watch = watch->next_mine;
    if (watch != NULL && to->done)
        watch->missed = false;
}

/* With the mutex held, but not all the time. */
static void tell_all(struct watches *watches, struct watched *uri)
{
    struct watch marker = {.uri = uri};
    struct told batch[BATCH];
    struct buf text;
    size_t count;

    if (!write_json(&text, text_of(uri)))
        log_warning("out of memory: subscribers are not told that a resource has changed");
    link_after(&uri->head, &marker); /* and so the URI stays */
    while (!text.failed && (count = take_batch(uri, &marker, batch)) > 0) {
        pthread_mutex_unlock(&watches->mutex);
        for (size_t i = 0; i < count; i++)
            batch[i].done = batch[i].ops->tell(batch[i].owner, buf_bytes(&text));
        pthread_mutex_lock(&watches->mutex);
        for (size_t i = 0; i < count; i++)
            note_told(&batch[i], uri);
        pthread_mutex_unlock(&watches->mutex);
        for (size_t i = 0; i < count; i++)
            batch[i].ops->release(batch[i].owner);
        if (count == BATCH)
            usleep(PAUSE_US);
        pthread_mutex_lock(&watches->mutex);
    }
    unlink_it(&marker);
    drop_if_unused(watches, uri);
    buf_free(&text);
}

static void *run(void *arg)
{
    struct watches *watches = arg;

    /* Of this thread alone: who asks goes before who is told. */
    setpriority(PRIO_PROCESS, 0, NICENESS);
    pthread_mutex_lock(&watches->mutex);
    while (!watches->stopping) {
        struct watched *uri = watches->first_queued;
        if (uri == NULL) {
            pthread_cond_wait(&watches->wake, &watches->mutex);
            continue;
        }
        watches->first_queued = uri->next_queued;
        if (watches->first_queued == NULL)
            watches->last_queued = &watches->first_queued;
        uri->queued = false;
        tell_all(watches, uri);
    }
    pthread_mutex_unlock(&watches->mutex);
    return NULL;
}

void watches_updated(struct watches *watches, struct bytes uri)
{
    if (atomic_load(&watches->count) == 0)
        return;
    uint64_t hash = bytes_hash(uri);
    pthread_mutex_lock(&watches->mutex);
    struct watched *it = find(watches, uri, hash);
    if (it != NULL && !it->queued) {
        it->queued = true;
        it->next_queued = NULL;
        *watches->last_queued = it;
        watches->last_queued = &it->next_queued;
        pthread_cond_signal(&watches->wake);
    }
    pthread_mutex_unlock(&watches->mutex);
}

/* ---- watchers ---- */

struct watcher *watcher_new(struct watches *watches, const struct watcher_ops *ops, void *owner)
{
    struct watcher *watcher = calloc(1, sizeof *watcher);

    if (watcher != NULL)
        *watcher = (struct watcher){.home = watches, .ops = ops, .owner = owner};
    return watcher;
}

void watcher_attach(struct watcher *watcher, void *owner)
{
    pthread_mutex_lock(&watcher->home->mutex);
    watcher->owner = owner;
    pthread_mutex_unlock(&watcher->home->mutex);
}

void watcher_free(struct watcher *watcher)
{
    free(watcher);
}

/* The thread is there from the first watch on. With the mutex held. */
static bool start(struct watches *watches)
{
    struct error err;

    if (!watches->started) {
        watches->started = thread_start(&watches->thread, "mcpd-updates", run, watches, &err);
        if (!watches->started)
            log_error("resources cannot be subscribed to: %s", err.text);
    }
    return watches->started;
}

static enum watch_result add(struct watcher *watcher, struct bytes uri)
{
    struct watches *watches = watcher->home;

    if (watcher->closed)
        return WATCH_CLOSED;
    if (*find_mine(watcher, uri) != NULL)
        return WATCH_DONE;
    if (watcher->count >= WATCHES_MAX)
        return WATCH_TOO_MANY;
    if (watches->bytes > BYTES_MAX || !start(watches))
        return WATCH_NO_ROOM;
    struct watch *watch = calloc(1, sizeof *watch);
    struct watched *watched = watch != NULL ? find_or_add(watches, uri) : NULL;
    if (watched == NULL) {
        free(watch);
        return WATCH_NO_ROOM;
    }
    watch->uri = watched;
    watch->watcher = watcher;
    watch->next_mine = watcher->first;
    watcher->first = watch;
    watcher->count++;
    watches->bytes += sizeof *watch;
    link_after(&watched->head, watch);
    return WATCH_DONE;
}

enum watch_result watcher_add(struct watcher *watcher, struct bytes uri)
{
    pthread_mutex_lock(&watcher->home->mutex);
    enum watch_result result = add(watcher, uri);
    pthread_mutex_unlock(&watcher->home->mutex);
    return result;
}

void watcher_remove(struct watcher *watcher, struct bytes uri)
{
    pthread_mutex_lock(&watcher->home->mutex);
    struct watch **place = find_mine(watcher, uri);
    if (*place != NULL)
        remove_watch(watcher, place);
    pthread_mutex_unlock(&watcher->home->mutex);
}

void watcher_clear(struct watcher *watcher)
{
    if (watcher == NULL)
        return;
    pthread_mutex_lock(&watcher->home->mutex);
    watcher->closed = true;
    while (watcher->first != NULL)
        remove_watch(watcher, &watcher->first);
    pthread_mutex_unlock(&watcher->home->mutex);
}

/* A missed one, which is then none any more. False: there is none, or nobody to
 * tell it to. With the mutex held. */
static bool take_missed(struct watcher *watcher, struct buf *uri, struct told *to)
{
    struct watch *watch = watcher->owner != NULL ? watcher->first : NULL;

    while (watch != NULL && !watch->missed)
        watch = watch->next_mine;
    buf_clear(uri);
    if (watch != NULL)
        buf_add_bytes(uri, text_of(watch->uri));
    if (watch == NULL || uri->failed)
        return false;
    watch->missed = false;
    *to = (struct told){watcher, watcher->ops, watcher->owner, false};
    to->ops->hold(to->owner);
    return true;
}

static void note_missed(struct watcher *watcher, struct bytes uri)
{
    pthread_mutex_lock(&watcher->home->mutex);
    struct watch *watch = *find_mine(watcher, uri);
    if (watch != NULL)
        watch->missed = true;
    pthread_mutex_unlock(&watcher->home->mutex);
}

void watcher_catch_up(struct watcher *watcher)
{
    struct buf uri, json;
    struct told to;
    bool goes_on = watcher != NULL;

    buf_init(&uri, BYTES_MAX);
    while (goes_on) {
        pthread_mutex_lock(&watcher->home->mutex);
        goes_on = take_missed(watcher, &uri, &to);
        pthread_mutex_unlock(&watcher->home->mutex);
        if (!goes_on)
            break;
        goes_on = write_json(&json, buf_bytes(&uri)) && to.ops->tell(to.owner, buf_bytes(&json));
        if (!goes_on)
            note_missed(watcher, buf_bytes(&uri));
        to.ops->release(to.owner);
        buf_free(&json);
    }
    buf_free(&uri);
}

/* ---- the one object ---- */

struct watches *watches_new(void)
{
    struct watches *watches = calloc(1, sizeof *watches);

    if (watches == NULL)
        return NULL;
    pthread_mutex_init(&watches->mutex, NULL);
    pthread_cond_init(&watches->wake, NULL);
    watches->last_queued = &watches->first_queued;
    return watches;
}

void watches_free(struct watches *watches)
{
    if (watches == NULL)
        return;
    pthread_mutex_lock(&watches->mutex);
    watches->stopping = true;
    pthread_cond_signal(&watches->wake);
    pthread_mutex_unlock(&watches->mutex);
    if (watches->started)
        pthread_join(watches->thread, NULL);
    while (watches->first_queued != NULL) {
        struct watched *uri = watches->first_queued;
        watches->first_queued = uri->next_queued;
        uri->queued = false;
        drop_if_unused(watches, uri);
    }
    pthread_mutex_destroy(&watches->mutex);
    pthread_cond_destroy(&watches->wake);
    free(watches);
}
