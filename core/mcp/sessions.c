/* SPDX-License-Identifier: MIT */
/* The table of sessions. */
#include "mcp/sessions.h"

#include <stdlib.h>

#include "base/budget.h"
#include "base/crypto.h"
#include "base/log.h"
#include "mcp/listeners.h"
#include "mcp/resumable.h"

#define BUCKETS 4096
/* A full table makes room by forgetting who has been silent for this long. */
#define EVICTABLE_NS (60 * NS_PER_S)

struct sessions {
    pthread_mutex_t mutex;
    struct session *buckets[BUCKETS];
    uint32_t count, max;
    int64_t idle_ns;
};

struct sessions *sessions_new(void)
{
    struct sessions *sessions = calloc(1, sizeof *sessions);

    if (sessions != NULL)
        pthread_mutex_init(&sessions->mutex, NULL);
    return sessions;
}

void sessions_limit(struct sessions *sessions, uint32_t max, int64_t idle_ns)
{
    pthread_mutex_lock(&sessions->mutex);
    sessions->max = max;
    sessions->idle_ns = idle_ns;
    pthread_mutex_unlock(&sessions->mutex);
}

struct session *session_ref(struct session *session)
{
    atomic_fetch_add(&session->references, 1);
    return session;
}

void session_unref(struct session *session)
{
    if (session == NULL || atomic_fetch_sub(&session->references, 1) != 1)
        return;
    pthread_mutex_destroy(&session->mutex);
    replay_free(session->replay);
    watcher_free(session->watcher);
    free(session->capabilities);
    budget_hold(&session->held, 0);
    free(session);
}

static struct session **bucket_of(struct sessions *sessions, struct bytes id)
{
    return &sessions->buckets[bytes_hash(id) % BUCKETS];
}

/* With sessions->mutex held. The table's reference becomes the caller's. */
static void take_out(struct sessions *sessions, struct session **place)
{
    struct session *session = *place;

    *place = session->next;
    session->next = NULL;
    sessions->count--;
}

/* Nobody listens, nothing runs, and it has been silent since before `since`. */
static bool is_idle(struct session *session, int64_t since)
{
    pthread_mutex_lock(&session->mutex);
    bool busy = (session->stream != NULL && !replay_is_lost(session->replay)) ||
                session->invocations != NULL;
    pthread_mutex_unlock(&session->mutex);
    return !busy && atomic_load(&session->used_ns) < since;
}

static void close_session(struct session *session)
{
    pthread_mutex_lock(&session->mutex);
    struct listener *stream = session->stream;
    session->stream = NULL;
    session->ended = true;
    pthread_mutex_unlock(&session->mutex);
    replay_end(session->replay);
    watcher_clear(session->watcher); /* which now stays as it is */
    if (stream != NULL) {
        listener_end(stream);
        listener_unref(stream);
    }
    session_unref(session);
}

/* Takes out the idle ones, at most `most` of them. */
static uint32_t forget_idle(struct sessions *sessions, int64_t since, uint32_t most)
{
    struct session *idle = NULL;
    uint32_t count = 0;

    pthread_mutex_lock(&sessions->mutex);
    for (size_t i = 0; i < BUCKETS && count < most; i++) {
        struct session **place = &sessions->buckets[i];
        while (*place != NULL && count < most) {
            struct session *session = *place;
            if (!is_idle(session, since)) {
                place = &session->next;
                continue;
            }
            take_out(sessions, place);
            session->next = idle;
            idle = session;
            count++;
        }
    }
    pthread_mutex_unlock(&sessions->mutex);
    while (idle != NULL) {
        struct session *next = idle->next;
        close_session(idle);
        idle = next;
    }
    return count;
}

#define AT_ONCE 32

/* What has been kept for too long, bucket by bucket. */
static void expire_replays(struct sessions *sessions, struct session **bucket, int64_t now)
{
    struct session *found[AT_ONCE];
    size_t count = 0;

    pthread_mutex_lock(&sessions->mutex);
    for (struct session *s = *bucket; s != NULL && count < AT_ONCE; s = s->next)
        found[count++] = session_ref(s);
    pthread_mutex_unlock(&sessions->mutex);
    for (size_t i = 0; i < count; i++) {
        replay_expire(found[i]->replay, now);
        session_unref(found[i]);
    }
}

void sessions_expire(struct sessions *sessions)
{
    int64_t now = clock_now();

    for (size_t i = 0; i < BUCKETS; i++)
        expire_replays(sessions, &sessions->buckets[i], now);
    pthread_mutex_lock(&sessions->mutex);
    int64_t since = now - sessions->idle_ns;
    pthread_mutex_unlock(&sessions->mutex);
    forget_idle(sessions, since, UINT32_MAX);
}

static bool make_room(struct sessions *sessions)
{
    pthread_mutex_lock(&sessions->mutex);
    bool full = sessions->count >= sessions->max;
    uint32_t max = sessions->max;
    pthread_mutex_unlock(&sessions->mutex);
    if (!full)
        return true;
    if (forget_idle(sessions, clock_now() - EVICTABLE_NS, max / 16 + 1) > 0)
        return true;
    log_warning("all %u sessions are in use: a client was refused (sessions.max)", max);
    return false;
}

struct session *sessions_begin(struct sessions *sessions, const struct revision *revision,
                               struct bytes capabilities, struct listeners *listeners)
{
    unsigned char secret[32];

    if (!make_room(sessions))
        return NULL;
    struct session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return NULL;
    if (budget_hold(&session->held, sizeof *session + capabilities.size)) {
        session->capabilities = strndup(capabilities.data, capabilities.size);
        session->replay = replay_new();
    }
    if (session->capabilities == NULL || session->replay == NULL) {
        replay_free(session->replay);
        free(session->capabilities);
        budget_hold(&session->held, 0);
        free(session);
        return NULL;
    }
    crypto_random(secret, sizeof secret);
    base64url_encode(secret, sizeof secret, session->id);
    session->revision = revision;
    pthread_mutex_init(&session->mutex, NULL);
    atomic_init(&session->references, 2);
    atomic_init(&session->log_level, MCP_LOG_DEBUG);
    for (enum change list = 0; list < CHANGES; list++)
        atomic_init(&session->epochs[list], listeners_epoch(listeners, list));
    atomic_init(&session->used_ns, clock_now());
    pthread_mutex_lock(&sessions->mutex);
    struct session **bucket = bucket_of(sessions, bytes_of(session->id));
    session->next = *bucket;
    *bucket = session;
    sessions->count++;
    pthread_mutex_unlock(&sessions->mutex);
    return session;
}

struct session *sessions_find(struct sessions *sessions, struct bytes id)
{
    struct session *found = NULL;

    if (id.size != SESSION_ID_SIZE)
        return NULL;
    pthread_mutex_lock(&sessions->mutex);
    for (struct session *s = *bucket_of(sessions, id); s != NULL && found == NULL; s = s->next)
        if (crypto_equal(bytes_of(s->id), id))
            found = session_ref(s);
    pthread_mutex_unlock(&sessions->mutex);
    if (found != NULL)
        atomic_store(&found->used_ns, clock_now());
    return found;
}

void sessions_end(struct sessions *sessions, struct session *session)
{
    struct session *out = NULL;

    pthread_mutex_lock(&sessions->mutex);
    for (struct session **place = bucket_of(sessions, bytes_of(session->id)); *place != NULL;
         place = &(*place)->next)
        if (*place == session) {
            out = session;
            take_out(sessions, place);
            break;
        }
    pthread_mutex_unlock(&sessions->mutex);
    if (out != NULL)
        close_session(out);
}

void sessions_free(struct sessions *sessions)
{
    if (sessions == NULL)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        while (sessions->buckets[i] != NULL) {
            struct session *session = sessions->buckets[i];
            take_out(sessions, &sessions->buckets[i]);
            close_session(session);
        }
    pthread_mutex_destroy(&sessions->mutex);
    free(sessions);
}

bool session_set_stream(struct session *session, struct listener *stream)
{
    pthread_mutex_lock(&session->mutex);
    struct listener *old = session->ended ? stream : session->stream;
    bool alive = !session->ended;
    if (alive)
        session->stream = stream;
    pthread_mutex_unlock(&session->mutex);
    if (old != NULL) {
        listener_end(old);
        listener_unref(old);
    }
    return alive;
}

void session_lose_stream(struct session *session, struct listener *stream)
{
    pthread_mutex_lock(&session->mutex);
    bool was = session->stream == stream;
    if (was)
        session->stream = NULL;
    pthread_mutex_unlock(&session->mutex);
    if (was)
        listener_unref(stream);
}

struct listener *session_stream(struct session *session)
{
    pthread_mutex_lock(&session->mutex);
    struct listener *stream = session->stream != NULL ? listener_ref(session->stream) : NULL;
    pthread_mutex_unlock(&session->mutex);
    return stream;
}

struct watcher *session_watcher(struct session *session, struct watches *watches,
                                const struct watcher_ops *ops)
{
    struct watcher *watcher = NULL;

    pthread_mutex_lock(&session->mutex);
    if (!session->ended) {
        if (session->watcher == NULL && watches != NULL)
            session->watcher = watcher_new(watches, ops, session);
        watcher = session->watcher;
    }
    pthread_mutex_unlock(&session->mutex);
    return watcher;
}

void session_told(struct session *session, enum change list, uint32_t epoch)
{
    atomic_store(&session->epochs[list], epoch);
}

uint32_t session_missed(const struct session *session, struct listeners *listeners)
{
    uint32_t missed = 0;

    for (enum change list = 0; list < CHANGES; list++)
        if (atomic_load(&session->epochs[list]) != listeners_epoch(listeners, list))
            missed |= 1u << list;
    return missed;
}
