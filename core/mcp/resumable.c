/* SPDX-License-Identifier: MIT */
/* Streams that outlive their connection. */
#include "mcp/resumable.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/budget.h"
#include "mcp/sessions.h"

/* How long clients wait before they come back. */
#define RETRY_MS 500
/* What all sessions keep together. */
#define TOTAL_MAX ((size_t)256 << 20)
#define EVENT_ID_SIZE 48

/* One event that is kept. */
struct kept {
    struct kept *next; /* younger */
    struct resumable *stream;
    uint64_t number;
    int64_t time_ns;
    bool sent; /* given to a connection */
    size_t size;
    char text[];
};

struct replay {
    pthread_mutex_t mutex;
    struct kept *first, **end; /* of all streams, oldest first */
    size_t bytes;
    struct resumable *streams; /* those that are not over, or have events kept */
    uint64_t opened; /* how many there have been */
    bool ended;
    atomic_bool used; /* `streams` is not empty, or was not */
    atomic_bool lost; /* its client listened, and is away */
};

struct resumable {
    struct reply reply; /* first: a reply is a resumable */
    /* One for the handlers, one for replay->streams, one for each connection that
     * may still ask for it. */
    atomic_uint references;
    atomic_uint handlers;
    struct session *session; /* referenced */
    struct replay *replay; /* the session's */
    struct reply *exchange; /* held: it has the request's memory; NULL: none */
    bool listens; /* it is of a GET */

    /* Guarded by replay->mutex. */
    struct reply *connection; /* where events go; held; NULL: nowhere */
    bool open; /* it is an event stream */
    bool over; /* the last event has been said, or the one answer */
    bool listed; /* in replay->streams */
    uint64_t number; /* of the stream in its session */
    uint64_t events; /* the number of its last event */
    unsigned kept;
    int64_t lost_ns; /* since when it has no connection */
    struct resumable *next;
};

static struct {
    atomic_size_t max_bytes; /* of one session */
    _Atomic int64_t max_age_ns;
    atomic_size_t total; /* in all of them */
} limits;

void replay_limit(uint32_t max_bytes, int64_t max_age_ns)
{
    atomic_store(&limits.max_bytes, max_bytes);
    atomic_store(&limits.max_age_ns, max_age_ns);
}

static struct resumable *resumable_of(struct reply *reply)
{
    return (struct resumable *)(void *)reply;
}

static void unref(struct resumable *r)
{
    if (atomic_fetch_sub(&r->references, 1) != 1)
        return;
    session_unref(r->session);
    free(r);
}

/* ---- what is kept: with replay->mutex held ---- */

/* Off the list of streams, if nothing is left to tell of it. The caller has another
 * reference, or does not touch it any more. */
static void unlist_if_done(struct resumable *r)
{
    struct resumable **place = &r->replay->streams;

    if (!r->listed || !r->over || r->kept > 0)
        return;
    while (*place != r)
        place = &(*place)->next;
    *place = r->next;
    r->listed = false;
    unref(r);
}

/* Takes out the event at *place. */
static void forget_event(struct replay *replay, struct kept **place)
{
    struct kept *event = *place;
    struct resumable *r = event->stream;

    *place = event->next;
    if (event->next == NULL)
        replay->end = place;
    replay->bytes -= event->size;
    atomic_fetch_sub(&limits.total, event->size);
    size_t held = event->size;
    budget_hold(&held, 0);
    free(event);
    r->kept--;
    unlist_if_done(r);
}

static bool is_too_much(const struct replay *replay)
{
    return replay->bytes > atomic_load(&limits.max_bytes) ||
           atomic_load(&limits.total) > TOTAL_MAX || budget_is_tight();
}

/* First what is too old goes, then what a client has probably seen, then what is
 * oldest; the newest event stays, however large. */
static void make_room(struct replay *replay, int64_t now)
{
    int64_t since = now - atomic_load(&limits.max_age_ns);

    while (replay->first != NULL && replay->first->time_ns < since)
        forget_event(replay, &replay->first);
    for (struct kept **place = &replay->first;
         is_too_much(replay) && *place != NULL && (*place)->next != NULL;)
        if ((*place)->sent)
            forget_event(replay, place);
        else
            place = &(*place)->next;
    while (is_too_much(replay) && replay->first != NULL && replay->first->next != NULL)
        forget_event(replay, &replay->first);
}

static struct kept *keep(struct resumable *r, struct bytes head, struct bytes shared,
                         struct bytes tail)
{
    struct replay *replay = r->replay;
    size_t size = head.size + shared.size + tail.size;
    struct kept *event = malloc(sizeof *event + size);

    if (event == NULL)
        return NULL;
    *event =
        (struct kept){.stream = r, .number = ++r->events, .time_ns = clock_now(), .size = size};
    memcpy(event->text, head.data, head.size);
    if (shared.size > 0)
        memcpy(event->text + head.size, shared.data, shared.size);
    memcpy(event->text + head.size + shared.size, tail.data != NULL ? tail.data : "", tail.size);
    *replay->end = event;
    replay->end = &event->next;
    replay->bytes += size;
    size_t held = 0;
    budget_hold_anyway(&held, size); /* make_room sees if that was too much */
    atomic_fetch_add(&limits.total, size);
    r->kept++;
    return event;
}

struct replay *replay_new(void)
{
    struct replay *replay = calloc(1, sizeof *replay);

    if (replay == NULL)
        return NULL;
    pthread_mutex_init(&replay->mutex, NULL);
    replay->end = &replay->first;
    return replay;
}

void replay_free(struct replay *replay)
{
    if (replay == NULL)
        return;
    pthread_mutex_destroy(&replay->mutex);
    free(replay);
}

void replay_end(struct replay *replay)
{
    pthread_mutex_lock(&replay->mutex);
    replay->ended = true;
    while (replay->first != NULL)
        forget_event(replay, &replay->first);
    while (replay->streams != NULL) {
        struct resumable *r = replay->streams;
        replay->streams = r->next;
        r->listed = false;
        unref(r);
    }
    pthread_mutex_unlock(&replay->mutex);
}

void replay_expire(struct replay *replay, int64_t now)
{
    int64_t since = now - atomic_load(&limits.max_age_ns);

    if (!atomic_load(&replay->used))
        return;
    pthread_mutex_lock(&replay->mutex);
    make_room(replay, now);
    for (struct resumable *r = replay->streams, *next; r != NULL; r = next) {
        next = r->next;
        if (r->over || !r->listens || r->connection != NULL || r->lost_ns >= since)
            continue;
        /* Whoever listens through it is told under the mutex: he cannot let go of it
         * meanwhile, because for that he would have to end it. */
        atomic_fetch_add(&r->references, 1);
        r->over = true;
        if (r->reply.gone != NULL)
            r->reply.gone(&r->reply);
        unlist_if_done(r);
        unref(r);
    }
    atomic_store(&replay->used, replay->streams != NULL);
    pthread_mutex_unlock(&replay->mutex);
}

bool replay_is_lost(const struct replay *replay)
{
    return atomic_load(&replay->lost);
}

/* ---- sending: with replay->mutex held ---- */

static void event_id(char out[EVENT_ID_SIZE], const struct resumable *r, uint64_t number)
{
    snprintf(out, EVENT_ID_SIZE, "%c%llu-%llu", r->listens ? 'g' : 'p',
             (unsigned long long)r->number, (unsigned long long)number);
}

static bool may_be_closed(const struct resumable *r)
{
    return r->session->revision->polling;
}

/* Makes it an event stream. An event without data tells a client of 2025-11-25 how
 * to come back; to those before it would be no JSON. */
static bool open_stream(struct resumable *r)
{
    struct reply *connection = r->connection;
    char id[EVENT_ID_SIZE];

    if (r->open)
        return true;
    if (r->over || connection == NULL || !connection->ops->open(connection))
        return false;
    r->open = true;
    r->number = ++r->replay->opened;
    if (!r->replay->ended) {
        atomic_fetch_add(&r->references, 1);
        r->next = r->replay->streams;
        r->replay->streams = r;
        r->listed = true;
        atomic_store(&r->replay->used, true);
    }
    if (may_be_closed(r)) {
        event_id(id, r, 0);
        connection->ops->event(connection, &(struct event){.id = id, .retry_ms = RETRY_MS},
                               (struct bytes){NULL, 0});
    }
    return true;
}

static bool give(struct resumable *r, uint64_t number, struct bytes text)
{
    struct reply *connection = r->connection;
    char id[EVENT_ID_SIZE];

    if (connection == NULL)
        return false;
    event_id(id, r, number);
    return connection->ops->event(connection, &(struct event){.id = id}, text);
}

/* Without memory to keep it: sent at least, where there is a connection and it is not
 * large. */
static bool say_only(struct resumable *r, struct bytes head, struct bytes shared, struct bytes tail)
{
    const struct bytes parts[] = {head, shared, tail};
    char text[8192];
    size_t size = 0;

    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i].size > sizeof text - size)
            return false;
        if (parts[i].size > 0)
            memcpy(text + size, parts[i].data, parts[i].size);
        size += parts[i].size;
    }
    return give(r, ++r->events, (struct bytes){text, size});
}

/* One event: kept, and sent where there is a connection. */
static bool say(struct resumable *r, struct bytes head, struct bytes shared, struct bytes tail)
{
    struct kept *event = keep(r, head, shared, tail);

    if (event == NULL)
        return say_only(r, head, shared, tail);
    event->sent = give(r, event->number, (struct bytes){event->text, event->size});
    bool sent = event->sent;
    if (r->replay->ended)
        while (r->replay->first != NULL)
            forget_event(r->replay, &r->replay->first);
    else
        make_room(r->replay, event->time_ns);
    return sent;
}

/* Takes the connection off; the caller releases it, without the mutex. */
static struct reply *detach(struct resumable *r)
{
    struct reply *connection = r->connection;

    r->connection = NULL;
    r->lost_ns = clock_now();
    if (r->listens)
        atomic_store(&r->replay->lost, true);
    return connection;
}

static void release(struct reply *connection)
{
    if (connection != NULL)
        connection->ops->release(connection);
}

/* Ends the stream; the caller releases what is returned. */
static struct reply *finish(struct resumable *r)
{
    r->over = true;
    if (r->connection != NULL)
        r->connection->ops->end(r->connection);
    struct reply *connection = detach(r);
    unlist_if_done(r);
    return connection;
}

/* ---- what the transport says ---- */

static void connection_gone(struct reply *connection)
{
    struct resumable *r = connection->owner;
    struct reply *lost = NULL;

    pthread_mutex_lock(&r->replay->mutex);
    if (r->connection == connection)
        lost = detach(r);
    pthread_mutex_unlock(&r->replay->mutex);
    release(lost);
}

/* An answer that takes long is worth a stream: should the connection break, the
 * client can come back for it. */
static void connection_waits(struct reply *connection)
{
    struct resumable *r = connection->owner;

    pthread_mutex_lock(&r->replay->mutex);
    if (r->connection == connection)
        open_stream(r);
    pthread_mutex_unlock(&r->replay->mutex);
}

static void connection_freed(struct reply *connection)
{
    unref(connection->owner);
}

/* `connection` becomes the stream's. */
static void attach(struct resumable *r, struct reply *connection)
{
    connection->ops->hold(connection);
    atomic_fetch_add(&r->references, 1);
    connection->owner = r;
    connection->gone = connection_gone;
    connection->freed = connection_freed;
    connection->waits = may_be_closed(r) ? connection_waits : NULL;
    r->connection = connection;
    if (r->listens)
        atomic_store(&r->replay->lost, false);
}

/* ---- what handlers say: reply_ops ---- */

static void drop(const struct answer *answer)
{
    free(answer->head);
    if (answer->release != NULL)
        answer->release(answer->argument);
}

static void resumable_send(struct reply *reply, const struct answer *answer)
{
    struct resumable *r = resumable_of(reply);
    struct reply *connection = NULL;
    bool plain = false;

    pthread_mutex_lock(&r->replay->mutex);
    if (!r->over && !r->open) {
        plain = true;
        r->over = true;
        connection = detach(r);
    } else if (!r->over) {
        if (answer->head != NULL)
            say(r, (struct bytes){answer->head, answer->head_size}, answer->shared, answer->tail);
        connection = finish(r);
    }
    pthread_mutex_unlock(&r->replay->mutex);
    if (plain && connection != NULL)
        connection->ops->send(connection, answer);
    else
        drop(answer);
    release(connection);
}

static bool resumable_open(struct reply *reply)
{
    struct resumable *r = resumable_of(reply);

    pthread_mutex_lock(&r->replay->mutex);
    bool open = open_stream(r);
    pthread_mutex_unlock(&r->replay->mutex);
    return open;
}

/* What is for a listener who is away is not kept: false tells whoever said it that it
 * has to be said again, and that is done when he is back. */
static bool resumable_push(struct reply *reply, struct bytes message)
{
    struct resumable *r = resumable_of(reply);

    pthread_mutex_lock(&r->replay->mutex);
    bool away = r->listens && r->connection == NULL;
    bool sent = !r->over && !away && open_stream(r) &&
                say(r, message, (struct bytes){NULL, 0}, (struct bytes){NULL, 0});
    pthread_mutex_unlock(&r->replay->mutex);
    return sent;
}

/* For one who is away everything is kept, up to a bound of its own. */
static bool resumable_has_room(struct reply *reply, size_t size)
{
    struct resumable *r = resumable_of(reply);

    pthread_mutex_lock(&r->replay->mutex);
    bool room = r->connection == NULL || reply_has_room(r->connection, size);
    pthread_mutex_unlock(&r->replay->mutex);
    return room;
}

static void resumable_end(struct reply *reply)
{
    struct resumable *r = resumable_of(reply);

    pthread_mutex_lock(&r->replay->mutex);
    struct reply *connection = r->over ? NULL : finish(r);
    pthread_mutex_unlock(&r->replay->mutex);
    release(connection);
}

static void resumable_close(struct reply *reply)
{
    struct resumable *r = resumable_of(reply);
    struct reply *connection = NULL;

    pthread_mutex_lock(&r->replay->mutex);
    if (!r->over && may_be_closed(r) && open_stream(r) && r->connection != NULL) {
        r->connection->ops->end(r->connection);
        connection = detach(r);
    }
    pthread_mutex_unlock(&r->replay->mutex);
    release(connection);
}

static void resumable_hold(struct reply *reply)
{
    atomic_fetch_add(&resumable_of(reply)->handlers, 1);
}

static void resumable_release(struct reply *reply)
{
    struct resumable *r = resumable_of(reply);

    if (atomic_fetch_sub(&r->handlers, 1) != 1)
        return;
    release(r->exchange);
    unref(r);
}

static const struct reply_ops resumable_ops = {.send = resumable_send,
                                               .open = resumable_open,
                                               .push = resumable_push,
                                               .has_room = resumable_has_room,
                                               .end = resumable_end,
                                               .close = resumable_close,
                                               .hold = resumable_hold,
                                               .release = resumable_release};

bool resumable_keeps(struct reply *reply)
{
    if (reply->ops != &resumable_ops)
        return false;
    struct resumable *r = resumable_of(reply);
    pthread_mutex_lock(&r->replay->mutex);
    bool keeps = r->open && !r->over && !r->replay->ended;
    pthread_mutex_unlock(&r->replay->mutex);
    return keeps;
}

/* ---- for the eras ---- */

static struct resumable *resumable_new(struct session *session)
{
    struct resumable *r = calloc(1, sizeof *r);

    if (r == NULL)
        return NULL;
    r->reply.ops = &resumable_ops;
    atomic_init(&r->references, 1);
    atomic_init(&r->handlers, 1);
    r->session = session_ref(session);
    r->replay = session->replay;
    return r;
}

bool resumable_begin(struct request *request)
{
    struct resumable *r = request->reply->ops->event != NULL && request->message->takes_stream
                              ? resumable_new(request->session)
                              : NULL;

    if (r == NULL)
        return false;
    r->exchange = request->reply;
    r->exchange->ops->hold(r->exchange);
    attach(r, request->reply);
    request->reply = &r->reply;
    return true;
}

struct reply *resumable_listen(struct session *session, struct reply *connection)
{
    if (connection->ops->event == NULL) {
        if (!connection->ops->open(connection))
            return NULL;
        connection->ops->hold(connection);
        return connection;
    }
    struct resumable *r = resumable_new(session);
    if (r == NULL)
        return NULL;
    r->listens = true;
    attach(r, connection);
    if (resumable_open(&r->reply))
        return &r->reply;
    pthread_mutex_lock(&r->replay->mutex);
    r->over = true;
    struct reply *refused = detach(r);
    pthread_mutex_unlock(&r->replay->mutex);
    release(refused);
    resumable_release(&r->reply);
    return NULL;
}

static bool read_number(struct bytes *text, uint64_t *number)
{
    size_t i = 0;

    for (*number = 0; i < text->size && i < 19 && text->data[i] >= '0' && text->data[i] <= '9'; i++)
        *number = *number * 10 + (uint64_t)(text->data[i] - '0');
    text->data += i;
    text->size -= i;
    return i > 0;
}

/* What event_id has written. */
static bool read_event_id(struct bytes text, bool *listens, uint64_t *stream, uint64_t *number)
{
    if (text.size == 0 || (text.data[0] != 'p' && text.data[0] != 'g'))
        return false;
    *listens = text.data[0] == 'g';
    text = (struct bytes){text.data + 1, text.size - 1};
    if (!read_number(&text, stream) || text.size == 0 || text.data[0] != '-')
        return false;
    text = (struct bytes){text.data + 1, text.size - 1};
    return read_number(&text, number) && text.size == 0;
}

/* Sends what came after `last`, and then either ends or goes on. With
 * replay->mutex held. The caller releases what is returned. */
static struct reply *go_on(struct resumable *r, uint64_t last)
{
    for (struct kept *event = r->replay->first; event != NULL; event = event->next)
        if (event->stream == r && event->number > last &&
            give(r, event->number, (struct bytes){event->text, event->size}))
            event->sent = true;
    return r->over ? finish(r) : NULL;
}

enum resumed resumable_resume(struct session *session, struct bytes last_event_id,
                              struct reply *connection)
{
    struct replay *replay = session->replay;
    enum resumed resumed = RESUMED_UNKNOWN;
    struct reply *old = NULL, *done = NULL;
    uint64_t stream, last;
    bool listens;

    if (!read_event_id(last_event_id, &listens, &stream, &last))
        return RESUMED_UNKNOWN;
    pthread_mutex_lock(&replay->mutex);
    struct resumable *r = replay->streams;
    while (r != NULL && (r->number != stream || r->listens != listens))
        r = r->next;
    if (r == NULL) {
        resumed = listens ? RESUMED_ANEW : RESUMED_UNKNOWN;
    } else {
        atomic_fetch_add(&r->references, 1);
        if (r->connection != NULL)
            r->connection->ops->end(r->connection); /* it is broken, and we do not know yet */
        old = detach(r);
        attach(r, connection);
        connection->waits = NULL;
        if (connection->ops->open(connection)) {
            resumed = r->listens && !r->over ? RESUMED_LISTENS : RESUMED;
            done = go_on(r, last);
        } else {
            resumed = RESUMED_REFUSED;
            done = detach(r);
        }
    }
    pthread_mutex_unlock(&replay->mutex);
    release(old);
    release(done);
    /* We took this reference above; clang's analyser does not see atomics. */
    if (r != NULL)
        unref(r); // NOLINT(clang-analyzer-unix.Malloc)
    return resumed;
}
