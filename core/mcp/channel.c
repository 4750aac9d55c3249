/* SPDX-License-Identifier: MIT */
/* Peers with one channel for everything. */
#include "mcp/channel.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/budget.h"
#include "mcp/request.h"
#include "mcp/sessions.h"

/* Messages of one peer that are not answered yet. */
#define TURNS_MAX 4096
#define ARENA_SLACK ((size_t)1 << 20)

enum turn_state {
    TURN_OPEN,
    TURN_ENDED, /* answered */
    TURN_GONE /* cancelled: nothing more is said */
};

/* One message of the peer, and the way back of its answer. */
struct turn {
    struct reply reply; /* first: a reply is a turn */
    atomic_uint references;
    struct channel *channel; /* referenced */
    struct turn *next, **place; /* in channel->turns; place is NULL: not there */
    struct bytes id; /* raw JSON in `text`; .data is NULL: none; guarded by channel->mutex */

    pthread_mutex_t mutex; /* guards what follows */
    enum turn_state state;
    bool receiving; /* mcp_receive has not returned: reply.gone may not be set yet */

    struct message message;
    struct arena arena;
    char *text;
    size_t held; /* in the budget */
};

struct channel {
    struct reply stream; /* first: what is said outside of turns */
    struct mcp *mcp;
    const struct channel_ops *ops;
    void *owner;
    bool sessions_only;
    atomic_uint references;
    atomic_uint unanswered;
    atomic_bool finishing;

    pthread_mutex_t mutex; /* guards what follows */
    struct turn *turns; /* those that are open */
    struct session *session; /* referenced */
    bool closed;
};

static const struct bytes nothing = {NULL, 0};

static void channel_unref(struct channel *channel)
{
    if (atomic_fetch_sub(&channel->references, 1) != 1)
        return;
    channel->ops->release(channel->owner);
    pthread_mutex_destroy(&channel->mutex);
    free(channel);
}

/* ---- turns ---- */

/* Whoever sees both tells, and both may: `finished` sorts that out. */
static void look_if_finished(struct channel *channel)
{
    if (atomic_load(&channel->finishing) && atomic_load(&channel->unanswered) == 0 &&
        channel->ops->finished != NULL)
        channel->ops->finished(channel->owner);
}

static struct turn *turn_of(struct reply *reply)
{
    return (struct turn *)(void *)reply;
}

static void turn_unref(struct turn *turn)
{
    if (atomic_fetch_sub(&turn->references, 1) != 1)
        return;
    channel_unref(turn->channel);
    arena_free(&turn->arena);
    pthread_mutex_destroy(&turn->mutex);
    free(turn->text);
    budget_hold(&turn->held, 0);
    free(turn);
}

/* Off the list, if it is still there; the list's reference goes with it. */
static void turn_leave(struct turn *turn)
{
    struct channel *channel = turn->channel;

    pthread_mutex_lock(&channel->mutex);
    bool there = turn->place != NULL;
    if (there) {
        *turn->place = turn->next;
        if (turn->next != NULL)
            turn->next->place = turn->place;
        turn->place = NULL;
    }
    pthread_mutex_unlock(&channel->mutex);
    if (!there)
        return;
    /* The turn holds the channel, and is needed for that until the end. */
    if (atomic_fetch_sub(&channel->unanswered, 1) == 1)
        look_if_finished(channel);
    turn_unref(turn);
}

/* Nothing more will be said: tells who is at work. Takes the caller's reference. */
static void turn_lose(struct turn *turn)
{
    void (*gone)(struct reply *) = NULL;

    pthread_mutex_lock(&turn->mutex);
    if (turn->state == TURN_OPEN) {
        turn->state = TURN_GONE;
        if (!turn->receiving)
            gone = turn->reply.gone;
    }
    pthread_mutex_unlock(&turn->mutex);
    if (gone != NULL)
        gone(&turn->reply);
    turn_leave(turn);
    /* The caller took this reference; clang's analyser does not see atomics. */
    turn_unref(turn); // NOLINT(clang-analyzer-unix.Malloc)
}

/* True for the one who ends it. */
static bool turn_finish(struct turn *turn)
{
    pthread_mutex_lock(&turn->mutex);
    bool open = turn->state == TURN_OPEN;
    if (open)
        turn->state = TURN_ENDED;
    pthread_mutex_unlock(&turn->mutex);
    return open;
}

static void turn_send(struct reply *reply, const struct answer *answer)
{
    struct turn *turn = turn_of(reply);
    struct channel *channel = turn->channel;

    if (turn_finish(turn)) {
        if (answer->head != NULL)
            channel->ops->write(channel->owner, (struct bytes){answer->head, answer->head_size},
                                answer->shared, answer->tail, false);
        else if (answer->status >= 400 && turn->id.data != NULL)
            channel->ops->write(
                channel->owner, BYTES("{\"jsonrpc\":\"2.0\",\"id\":"), turn->id,
                BYTES(",\"error\":{\"code\":-32603,\"message\":\"Internal error: the "
                      "answer could not be written\"}}"),
                false);
        turn_leave(turn);
    }
    free(answer->head);
    if (answer->release != NULL)
        answer->release(answer->argument);
}

static bool turn_open(struct reply *reply)
{
    struct turn *turn = turn_of(reply);

    pthread_mutex_lock(&turn->mutex);
    bool open = turn->state == TURN_OPEN;
    pthread_mutex_unlock(&turn->mutex);
    return open;
}

static bool turn_push(struct reply *reply, struct bytes message)
{
    struct channel *channel = turn_of(reply)->channel;

    return turn_open(reply) && channel->ops->write(channel->owner, message, nothing, nothing, true);
}

static bool turn_has_room(struct reply *reply, size_t size)
{
    struct channel *channel = turn_of(reply)->channel;

    return channel->ops->has_room == NULL || channel->ops->has_room(channel->owner, size);
}

static void turn_end(struct reply *reply)
{
    if (turn_finish(turn_of(reply)))
        turn_leave(turn_of(reply));
}

static void turn_hold(struct reply *reply)
{
    atomic_fetch_add(&turn_of(reply)->references, 1);
}

static void turn_release(struct reply *reply)
{
    turn_unref(turn_of(reply));
}

static const struct reply_ops turn_ops = {.send = turn_send,
                                          .open = turn_open,
                                          .push = turn_push,
                                          .has_room = turn_has_room,
                                          .end = turn_end,
                                          .hold = turn_hold,
                                          .release = turn_release};

/* A copy of the text, on the channel's list, with a reference for the caller and
 * one for the list. NULL: out of memory, or closed. */
static struct turn *turn_new(struct channel *channel, struct bytes text)
{
    struct turn *turn = calloc(1, sizeof *turn);
    size_t held = 0;
    char *copy =
        turn != NULL && budget_hold(&held, sizeof *turn + text.size) ? malloc(text.size + 1) : NULL;

    if (copy == NULL) {
        budget_hold(&held, 0);
        free(turn);
        return NULL;
    }
    turn->held = held;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    turn->reply.ops = &turn_ops;
    turn->text = copy;
    turn->receiving = true;
    turn->channel = channel;
    atomic_fetch_add(&channel->references, 1);
    atomic_init(&turn->references, 2);
    pthread_mutex_init(&turn->mutex, NULL);
    /* The index of a message has some 20 bytes for each value. */
    arena_init_counted(&turn->arena, text.size * 24 + ARENA_SLACK);
    /* What a message of ordinary size needs is there at once, or it is not taken: later
     * there would be no id yet to answer to. */
    bool room = arena_alloc(&turn->arena, text.size < 16384 ? 2048 + 4 * text.size : 65536) != NULL;
    arena_reset(&turn->arena, SIZE_MAX);
    pthread_mutex_lock(&channel->mutex);
    if (channel->closed || !room) {
        pthread_mutex_unlock(&channel->mutex);
        atomic_store(&turn->references, 1);
        turn_unref(turn);
        return NULL;
    }
    atomic_fetch_add(&channel->unanswered, 1);
    turn->next = channel->turns;
    turn->place = &channel->turns;
    if (turn->next != NULL)
        turn->next->place = &turn->next;
    channel->turns = turn;
    pthread_mutex_unlock(&channel->mutex);
    return turn;
}

/* ---- what answers no request ---- */

static struct channel *channel_of(struct reply *reply)
{
    return (struct channel *)(void *)reply;
}

static void stream_send(struct reply *reply, const struct answer *answer)
{
    struct channel *channel = channel_of(reply);

    if (answer->head != NULL)
        channel->ops->write(channel->owner, (struct bytes){answer->head, answer->head_size},
                            answer->shared, answer->tail, false);
    free(answer->head);
    if (answer->release != NULL)
        answer->release(answer->argument);
}

static bool stream_open(struct reply *reply)
{
    (void)reply;
    return true;
}

static bool stream_push(struct reply *reply, struct bytes message)
{
    struct channel *channel = channel_of(reply);

    return channel->ops->write(channel->owner, message, nothing, nothing, true);
}

static void stream_end(struct reply *reply)
{
    (void)reply; /* the channel goes on */
}

static void stream_hold(struct reply *reply)
{
    atomic_fetch_add(&channel_of(reply)->references, 1);
}

static void stream_release(struct reply *reply)
{
    channel_unref(channel_of(reply));
}

static const struct reply_ops stream_ops = {.send = stream_send,
                                            .open = stream_open,
                                            .push = stream_push,
                                            .end = stream_end,
                                            .hold = stream_hold,
                                            .release = stream_release};

/* ---- for transports ---- */

struct channel *channel_open(struct mcp *mcp, const struct channel_ops *ops, void *owner,
                             bool sessions_only)
{
    struct channel *channel = calloc(1, sizeof *channel);

    if (channel == NULL)
        return NULL;
    channel->stream.ops = &stream_ops;
    channel->mcp = mcp;
    channel->ops = ops;
    channel->owner = owner;
    channel->sessions_only = sessions_only;
    atomic_init(&channel->references, 1);
    pthread_mutex_init(&channel->mutex, NULL);
    return channel;
}

bool channel_receive(struct channel *channel, struct bytes text, struct registry_reader *reader)
{
    void (*gone)(struct reply *) = NULL;
    struct turn *turn = channel_unanswered(channel) < TURNS_MAX ? turn_new(channel, text) : NULL;

    if (turn == NULL)
        return false;
    turn->message = (struct message){.verb = MESSAGE_POST,
                                     .body = {turn->text, text.size},
                                     .arena = &turn->arena,
                                     .reader = reader,
                                     .takes_json = true,
                                     .takes_stream = true,
                                     .channel = channel};
    mcp_receive(channel->mcp, &turn->message, &turn->reply);
    pthread_mutex_lock(&turn->mutex);
    turn->receiving = false;
    if (turn->state == TURN_GONE)
        gone = turn->reply.gone; /* it was cancelled meanwhile */
    pthread_mutex_unlock(&turn->mutex);
    if (gone != NULL)
        gone(&turn->reply);
    turn_unref(turn);
    return true;
}

void channel_refuse(struct channel *channel, int code, const char *text)
{
    mcp_refuse(&channel->stream, 400, code, text);
}

unsigned channel_unanswered(struct channel *channel)
{
    return atomic_load(&channel->unanswered);
}

void channel_finish(struct channel *channel)
{
    atomic_store(&channel->finishing, true);
    look_if_finished(channel);
}

bool channel_is_finishing(const struct channel *channel)
{
    return atomic_load(&channel->finishing);
}

void channel_hold(struct channel *channel)
{
    atomic_fetch_add(&channel->references, 1);
}

void channel_release(struct channel *channel)
{
    channel_unref(channel);
}

void channel_close(struct channel *channel)
{
    pthread_mutex_lock(&channel->mutex);
    channel->closed = true;
    struct session *session = channel->session;
    channel->session = NULL;
    pthread_mutex_unlock(&channel->mutex);
    for (;;) {
        pthread_mutex_lock(&channel->mutex);
        struct turn *turn = channel->turns;
        if (turn != NULL)
            atomic_fetch_add(&turn->references, 1);
        pthread_mutex_unlock(&channel->mutex);
        if (turn == NULL)
            break;
        turn_lose(turn);
    }
    if (session != NULL) {
        sessions_end(channel->mcp->sessions, session);
        session_unref(session);
    }
    channel_unref(channel);
}

/* ---- for mcp ---- */

struct session *channel_session(struct channel *channel)
{
    pthread_mutex_lock(&channel->mutex);
    struct session *session = channel->session != NULL ? session_ref(channel->session) : NULL;
    pthread_mutex_unlock(&channel->mutex);
    return session;
}

bool channel_begin_session(struct channel *channel, struct session *session)
{
    pthread_mutex_lock(&channel->mutex);
    bool first = channel->session == NULL && !channel->closed;
    if (first)
        channel->session = session_ref(session);
    pthread_mutex_unlock(&channel->mutex);
    return first;
}

bool channel_sessions_only(const struct channel *channel)
{
    return channel->sessions_only;
}

struct reply *channel_stream(struct channel *channel)
{
    return &channel->stream;
}

void channel_name(struct reply *reply, struct bytes id)
{
    struct turn *turn = turn_of(reply);

    pthread_mutex_lock(&turn->channel->mutex);
    turn->id = id;
    pthread_mutex_unlock(&turn->channel->mutex);
}

bool channel_cancel(struct channel *channel, struct bytes id)
{
    struct turn *turn;

    if (id.data == NULL)
        return false;
    pthread_mutex_lock(&channel->mutex);
    for (turn = channel->turns; turn != NULL; turn = turn->next)
        if (turn->id.data != NULL && bytes_equal(turn->id, id))
            break;
    if (turn != NULL)
        atomic_fetch_add(&turn->references, 1);
    pthread_mutex_unlock(&channel->mutex);
    if (turn == NULL)
        return false;
    turn_lose(turn);
    return true;
}
