/* SPDX-License-Identifier: MIT */
/* HTTP+SSE of 2024-11-05. */
#include "mcp/sse.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/crypto.h"
#include "mcp/channel.h"
#include "mcp/request.h"

#define BUCKETS 256
#define ID_SIZE 43 /* 32 random bytes in base64url */
#define NO_SESSION (-32001)

/* One stream. */
struct sse {
    char id[ID_SIZE + 1];
    atomic_uint references; /* the channel's, and that of the reply, which may call `gone` */
    struct sses *home;
    struct reply *reply; /* held until the channel needs it no longer */
    struct channel *channel; /* alive for as long as it is in the table */
    struct sse *next; /* in the table */
};

struct sses {
    pthread_mutex_t mutex; /* a leaf: guards what follows */
    struct sse *buckets[BUCKETS];
    uint32_t count, max;
    bool ending; /* no further streams */
};

struct sses *sses_new(void)
{
    struct sses *sses = calloc(1, sizeof *sses);

    if (sses != NULL)
        pthread_mutex_init(&sses->mutex, NULL);
    return sses;
}

void sses_limit(struct sses *sses, uint32_t max)
{
    pthread_mutex_lock(&sses->mutex);
    sses->max = max;
    pthread_mutex_unlock(&sses->mutex);
}

static void sse_unref(struct sse *sse)
{
    if (atomic_fetch_sub(&sse->references, 1) == 1)
        free(sse);
}

/* ---- the table ---- */

static struct sse **bucket_of(struct sses *home, struct bytes id)
{
    return &home->buckets[bytes_hash(id) % BUCKETS];
}

/* False: there are too many. */
static bool add(struct sses *home, struct sse *sse)
{
    struct sse **bucket = bucket_of(home, bytes_of(sse->id));

    pthread_mutex_lock(&home->mutex);
    bool room = home->count < home->max && !home->ending;
    if (room) {
        home->count++;
        sse->next = *bucket;
        *bucket = sse;
    }
    pthread_mutex_unlock(&home->mutex);
    return room;
}

/* True for the one who took it out, and closes its channel. */
static bool take_out(struct sse *sse)
{
    struct sses *home = sse->home;

    pthread_mutex_lock(&home->mutex);
    struct sse **place = bucket_of(home, bytes_of(sse->id));
    while (*place != NULL && *place != sse)
        place = &(*place)->next;
    bool found = *place != NULL;
    if (found) {
        *place = sse->next;
        home->count--;
    }
    pthread_mutex_unlock(&home->mutex);
    return found;
}

/* The channel of the stream with this id, held; NULL: there is none. */
static struct channel *find(struct sses *home, struct bytes id)
{
    struct channel *found = NULL;

    if (id.size != ID_SIZE)
        return NULL;
    pthread_mutex_lock(&home->mutex);
    for (struct sse *sse = *bucket_of(home, id); sse != NULL && found == NULL; sse = sse->next)
        if (crypto_equal(bytes_of(sse->id), id))
            found = sse->channel;
    if (found != NULL)
        channel_hold(found);
    pthread_mutex_unlock(&home->mutex);
    return found;
}

/* ---- the stream as a channel ---- */

static bool sse_write(void *owner, struct bytes head, struct bytes shared, struct bytes tail,
                      bool dispensable)
{
    static const struct event plain = {.id = NULL};
    struct sse *sse = owner;
    struct buf all;

    (void)dispensable; /* a stream that is not read is cut off by the transport */
    if (shared.size + tail.size == 0)
        return sse->reply->ops->event(sse->reply, &plain, head);
    buf_init(&all, SIZE_MAX);
    buf_reserve(&all, head.size + shared.size + tail.size);
    buf_add_bytes(&all, head);
    buf_add_bytes(&all, shared);
    buf_add_bytes(&all, tail);
    bool sent = !all.failed && sse->reply->ops->event(sse->reply, &plain, buf_bytes(&all));
    buf_free(&all);
    return sent;
}

static bool sse_has_room(void *owner, size_t size)
{
    struct sse *sse = owner;

    return reply_has_room(sse->reply, size);
}

static void sse_release(void *owner)
{
    struct sse *sse = owner;

    sse->reply->ops->release(sse->reply);
    sse_unref(sse);
}

/* All is answered, and no more will be asked. */
static void sse_finished(void *owner)
{
    struct sse *sse = owner;

    if (!take_out(sse))
        return;
    sse->reply->ops->end(sse->reply);
    channel_close(sse->channel);
}

static const struct channel_ops ops = {
    .write = sse_write, .has_room = sse_has_room, .finished = sse_finished, .release = sse_release};

static void sse_gone(struct reply *reply)
{
    struct sse *sse = reply->owner;

    if (take_out(sse))
        channel_close(sse->channel);
}

static void sse_freed(struct reply *reply)
{
    sse_unref(reply->owner);
}

/* ---- GET and POST ---- */

static struct sse *sse_new(struct mcp *mcp, struct reply *reply)
{
    struct sse *sse = calloc(1, sizeof *sse);
    unsigned char secret[32];

    if (sse == NULL)
        return NULL;
    sse->channel = channel_open(mcp, &ops, sse, true);
    if (sse->channel == NULL) {
        free(sse);
        return NULL;
    }
    crypto_random(secret, sizeof secret);
    base64url_encode(secret, sizeof secret, sse->id);
    sse->home = mcp->sses;
    sse->reply = reply;
    reply->ops->hold(reply);
    atomic_init(&sse->references, 2);
    reply->owner = sse;
    reply->freed = sse_freed;
    return sse;
}

static bool send_endpoint(const struct sse *sse)
{
    char text[64 + ID_SIZE];
    int size = snprintf(text, sizeof text, "/messages?sessionId=%s", sse->id);

    return sse->reply->ops->event(sse->reply, &(struct event){.name = "endpoint"},
                                  (struct bytes){text, (size_t)size});
}

void sse_get(struct mcp *mcp, struct message *message, struct reply *reply)
{
    if (!message->takes_stream || reply->ops->event == NULL) {
        refuse(reply, 406, RPC_INVALID_REQUEST, "A GET must accept text/event-stream");
        return;
    }
    struct sse *sse = sse_new(mcp, reply);
    if (sse == NULL) {
        refuse(reply, 500, RPC_INTERNAL_ERROR, "Out of memory");
        return;
    }
    /* From when it is in the table it may end at any time. */
    reply->gone = sse_gone;
    bool added = add(sse->home, sse);
    if (added && reply->ops->open(reply)) {
        if (!send_endpoint(sse) && take_out(sse)) {
            reply->ops->end(reply);
            channel_close(sse->channel);
        }
        return;
    }
    if (!added || take_out(sse))
        channel_close(sse->channel);
    refuse(reply, 503, RPC_SERVER_BUSY, "Too many open streams: try again later");
}

void sse_post(struct mcp *mcp, struct message *message, struct reply *reply)
{
    struct channel *channel = find(mcp->sses, message->session_id);
    struct json_error why;

    if (channel == NULL) {
        refuse(reply, 404, NO_SESSION, "Session not found: its stream has ended; open /sse again");
        return;
    }
    if (json_check(message->body, &json_default_limits, &why)) {
        if (channel_receive(channel, message->body, message->reader))
            respond_accepted(reply);
        else
            refuse(reply, 503, RPC_SERVER_BUSY, "Too much is under way, or the stream is ending");
    } else if (why.kind == JSON_MEMORY) {
        refuse(reply, 503, RPC_INTERNAL_ERROR, "Out of memory");
    } else {
        refuse(reply, 400, RPC_PARSE_ERROR, "Parse error: %s (line %u, column %u)", why.text,
               why.line, why.column);
    }
    channel_release(channel);
}

/* ---- the end ---- */

/* One that is not asked to end yet, held; NULL: all are. */
static struct channel *next_to_end(struct sses *sses)
{
    struct channel *found = NULL;

    pthread_mutex_lock(&sses->mutex);
    sses->ending = true;
    for (size_t i = 0; i < BUCKETS && found == NULL; i++)
        for (struct sse *sse = sses->buckets[i]; sse != NULL && found == NULL; sse = sse->next)
            if (!channel_is_finishing(sse->channel))
                found = sse->channel;
    if (found != NULL)
        channel_hold(found);
    pthread_mutex_unlock(&sses->mutex);
    return found;
}

void sses_end(struct sses *sses)
{
    struct channel *channel;

    while ((channel = next_to_end(sses)) != NULL) {
        channel_finish(channel);
        channel_release(channel);
    }
}

void sses_free(struct sses *sses)
{
    if (sses == NULL)
        return;
    pthread_mutex_destroy(&sses->mutex);
    free(sses);
}
