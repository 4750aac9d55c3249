/* SPDX-License-Identifier: MIT */
/* 2024-11-05 to 2025-11-25: initialize begins a session, every later message
 * names it, a GET opens its stream and DELETE ends it. */
#include <stdlib.h>

#include "mcp/asking.h"
#include "mcp/channel.h"
#include "mcp/listeners.h"
#include "mcp/request.h"
#include "mcp/resumable.h"
#include "mcp/sessions.h"
#include "mcp/invoke.h"

#define RPC_NO_SESSION (-32001) /* what clients of these revisions know */

static const struct bytes no_data = {NULL, 0};

/* MCP-Protocol-Version may be absent (2025-03-26 did not have it). */
static bool version_is_legal(const struct message *message)
{
    if (message->protocol_version.data == NULL)
        return true;
    const struct revision *revision = revision_find(message->protocol_version);
    return revision != NULL && !revision->modern;
}

/* The session of a message, with a reference; NULL: there is none, and that has
 * been answered. */
static struct session *find_session(struct mcp *mcp, const struct message *message,
                                    struct reply *reply)
{
    if (message->header_error != NULL) {
        refuse(reply, 400, RPC_INVALID_REQUEST, "Invalid request: %s", message->header_error);
        return NULL;
    }
    if (!version_is_legal(message)) {
        refuse(reply, 400, RPC_INVALID_REQUEST,
               "MCP-Protocol-Version %.*s is not a revision with sessions that this server speaks",
               (int)(message->protocol_version.size > 40 ? 40 : message->protocol_version.size),
               message->protocol_version.data);
        return NULL;
    }
    if (message->session_id.data == NULL) {
        refuse(reply, 400, RPC_INVALID_REQUEST,
               "Mcp-Session-Id is missing: call initialize first, or speak 2026-07-28");
        return NULL;
    }
    struct session *session = sessions_find(mcp->sessions, message->session_id);
    if (session == NULL)
        refuse(reply, 404, RPC_NO_SESSION,
               "Session not found: it has ended; call initialize again");
    return session;
}

/* The session of a message that came over a channel, likewise. */
static struct session *find_channel_session(struct request *request)
{
    struct session *session = channel_session(request->message->channel);

    if (session == NULL)
        respond_error(request, request->id.data != NULL ? 400 : STATUS_IN_PROTOCOL,
                      RPC_INVALID_REQUEST, no_data,
                      "Invalid request: call initialize first, or speak 2026-07-28");
    return session;
}

/* What changed while nobody listened. */
static void catch_up(struct mcp *mcp, struct session *session, struct listener *listener)
{
    listener_tell(listener, session_missed(session, mcp->listeners));
    subscriptions_catch_up(session);
}

/* Makes `reply`, which is open, the session's stream. */
static void listen_for(struct mcp *mcp, struct session *session, struct reply *reply)
{
    struct listener *listener =
        listener_new(mcp->listeners, reply, CHANGED_ALL, no_data, session, NULL);

    if (listener == NULL) {
        reply->ops->end(reply);
        return;
    }
    /* The session may end, and its stream with it, and the client may leave, while
     * we speak. */
    bool alive = listener_begin(listener) && session_set_stream(session, listener_ref(listener));
    if (alive)
        catch_up(mcp, session, listener);
    if (alive && listener_is_lost(listener))
        session_lose_stream(session, listener);
    listener_unref(listener);
}

static void cancel_named(struct request *request)
{
    struct channel *channel = request->message->channel;
    const struct json_node *named = json_get(&request->json, request->params, "requestId");

    if (named == NULL) /* a notification is not answered, whatever is wrong with it */
        return;
    struct bytes id = json_raw(&request->json, named);
    if (channel != NULL && channel_cancel(channel, id))
        return;
    if (request->session != NULL)
        invoke_cancel(request->session, id);
}

static void receive_notification(struct request *request)
{
    if (bytes_equal(request->method, BYTES("notifications/cancelled")))
        cancel_named(request);
    else if (request->message->channel != NULL &&
             bytes_equal(request->method, BYTES("notifications/initialized")))
        listen_for(request->mcp, request->session, channel_stream(request->message->channel));
    respond_accepted(request->reply);
}

/* One message that belongs to request->session. */
static void receive_in_session(struct request *request)
{
    request->revision = request->session->revision;
    if (request->id.data == NULL) {
        receive_notification(request);
        return;
    }
    const struct method *method = method_find(request->method, METHOD_LEGACY);
    if (method == NULL)
        respond_error(
            request, STATUS_IN_PROTOCOL, RPC_METHOD_NOT_FOUND, no_data, "Method not found: %.*s",
            (int)(request->method.size > 100 ? 100 : request->method.size), request->method.data);
    else if (method->run == lifecycle_initialize)
        respond_error(request, 400, RPC_INVALID_REQUEST, no_data,
                      "Invalid request: this session is initialized already");
    else
        method->run(request);
}

/* What a channel has to say to both eras, and before initialize. True: done. */
static bool receive_without_session(struct request *request)
{
    if (request->id.data == NULL &&
        bytes_equal(request->method, BYTES("notifications/cancelled"))) {
        request->session = channel_session(request->message->channel);
        cancel_named(request);
        session_unref(request->session);
        request->session = NULL;
        respond_accepted(request->reply);
        return true;
    }
    if (request->id.data != NULL && bytes_equal(request->method, BYTES("ping"))) {
        request->revision = REVISION_LEGACY;
        lifecycle_ping(request);
        return true;
    }
    return false;
}

void legacy_receive(struct request *request)
{
    struct message *message = request->message;

    if (message->session_id.data == NULL && request->id.data != NULL &&
        bytes_equal(request->method, BYTES("initialize")) && version_is_legal(message)) {
        request->revision = REVISION_LEGACY;
        lifecycle_initialize(request);
        return;
    }
    if (message->channel != NULL && receive_without_session(request))
        return;
    request->session = message->channel != NULL
                           ? find_channel_session(request)
                           : find_session(request->mcp, message, request->reply);
    if (request->session == NULL)
        return;
    struct session *session = request->session;
    bool resumable = request->id.data != NULL && resumable_begin(request);
    struct reply *reply = request->reply;
    receive_in_session(request);
    if (resumable)
        reply->ops->release(reply);
    session_unref(session);
}

/* Whose question it answers is known only in its session; without one nobody has
 * asked. */
void legacy_receive_response(struct request *request)
{
    struct message *message = request->message;

    if (message->channel != NULL) {
        request->session = channel_session(message->channel);
    } else if (message->session_id.data != NULL) {
        request->session = find_session(request->mcp, message, request->reply);
        if (request->session == NULL)
            return;
    }
    if (request->session != NULL)
        asking_answer(request);
    session_unref(request->session);
    respond_accepted(request->reply);
}

/* ---- batches: 2025-03-26 alone ---- */

#define BATCH_MAX 100

struct batch {
    struct reply *outer; /* held */
    pthread_mutex_t mutex;
    struct buf out; /* the answers so far: "[" and objects */
    unsigned missing; /* answers to come, and one for the loop that hands out */
    unsigned answers;
};

/* The way back of one message of a batch. */
struct part {
    struct reply reply;
    struct batch *batch;
};

static void batch_done(struct batch *batch)
{
    struct answer answer = {.status = batch->answers > 0 ? 200 : 202};

    if (batch->answers > 0) {
        BUF_LIT(&batch->out, "]");
        answer.head = buf_detach(&batch->out, &answer.head_size);
        if (answer.head == NULL)
            answer.status = 500;
    }
    buf_free(&batch->out);
    pthread_mutex_destroy(&batch->mutex);
    batch->outer->ops->send(batch->outer, &answer);
    batch->outer->ops->release(batch->outer);
}

static void batch_one_less(struct batch *batch)
{
    pthread_mutex_lock(&batch->mutex);
    bool last = --batch->missing == 0;
    pthread_mutex_unlock(&batch->mutex);
    if (last)
        batch_done(batch);
}

static struct batch *batch_of(struct reply *reply)
{
    return ((struct part *)(void *)reply)->batch;
}

static void part_send(struct reply *reply, const struct answer *answer)
{
    struct batch *batch = batch_of(reply);

    if (answer->head_size > 0) {
        pthread_mutex_lock(&batch->mutex);
        buf_add_char(&batch->out, batch->answers++ == 0 ? '[' : ',');
        buf_add(&batch->out, answer->head, answer->head_size);
        buf_add_bytes(&batch->out, answer->shared);
        buf_add_bytes(&batch->out, answer->tail);
        pthread_mutex_unlock(&batch->mutex);
    }
    free(answer->head);
    if (answer->release != NULL)
        answer->release(answer->argument);
    batch_one_less(batch);
}

static bool part_open(struct reply *reply)
{
    struct reply *outer = batch_of(reply)->outer;

    return outer->ops->open(outer);
}

static bool part_push(struct reply *reply, struct bytes message)
{
    struct reply *outer = batch_of(reply)->outer;

    return outer->ops->push(outer, message);
}

static bool part_has_room(struct reply *reply, size_t size)
{
    return reply_has_room(batch_of(reply)->outer, size);
}

static void part_end(struct reply *reply)
{
    batch_one_less(batch_of(reply));
}

static void part_hold(struct reply *reply)
{
    struct reply *outer = batch_of(reply)->outer;

    outer->ops->hold(outer);
}

static void part_release(struct reply *reply)
{
    struct reply *outer = batch_of(reply)->outer;

    outer->ops->release(outer);
}

static const struct reply_ops part_ops = {.send = part_send,
                                          .open = part_open,
                                          .push = part_push,
                                          .has_room = part_has_room,
                                          .end = part_end,
                                          .hold = part_hold,
                                          .release = part_release};

static void receive_part(struct request *first, struct batch *batch, const struct json_node *node)
{
    struct arena *arena = first->message->arena;
    struct request *request = arena_alloc(arena, sizeof *request);
    struct part *part = arena_calloc(arena, 1, sizeof *part);
    bool is_response;

    if (request == NULL || part == NULL)
        return;
    part->reply.ops = &part_ops;
    part->batch = batch;
    *request = *first;
    request->reply = &part->reply;
    pthread_mutex_lock(&batch->mutex);
    batch->missing++;
    pthread_mutex_unlock(&batch->mutex);
    if (!request_read(request, node, &is_response))
        return;
    if (!is_response) {
        receive_in_session(request);
        return;
    }
    asking_answer(request);
    respond_accepted(request->reply);
}

void legacy_receive_batch(struct request *request, const struct json_node *array)
{
    struct message *message = request->message;
    struct session *session = NULL;

    if (message->channel != NULL)
        session = channel_session(message->channel);
    else if (message->session_id.data != NULL &&
             (session = find_session(request->mcp, message, request->reply)) == NULL)
        return;
    if (session == NULL || !session->revision->batches) {
        refuse(request->reply, 400, RPC_INVALID_REQUEST,
               "Invalid request: batches exist only in sessions of revision 2025-03-26");
    } else if (array->count == 0 || array->count > BATCH_MAX) {
        refuse(request->reply, 400, RPC_INVALID_REQUEST,
               "Invalid request: a batch has 1 to %d messages", BATCH_MAX);
    } else {
        struct batch *batch = arena_calloc(request->message->arena, 1, sizeof *batch);
        if (batch == NULL) {
            refuse(request->reply, 500, RPC_INTERNAL_ERROR, "Out of memory");
        } else {
            request->session = session;
            request->message->keep = true;
            if (!resumable_begin(request))
                request->reply->ops->hold(request->reply);
            *batch = (struct batch){.outer = request->reply, .missing = 1};
            pthread_mutex_init(&batch->mutex, NULL);
            buf_init(&batch->out, (size_t)1 << 30);
            const struct json_node *end = array + array->span;
            for (const struct json_node *n = json_first(array); n != NULL; n = json_next(n, end))
                receive_part(request, batch, n);
            batch_one_less(batch);
        }
    }
    session_unref(session);
}

/* ---- GET and DELETE ---- */

static void listen_anew(struct mcp *mcp, struct session *session, struct reply *reply)
{
    struct reply *stream = resumable_listen(session, reply);

    if (stream == NULL) {
        refuse(reply, 503, RPC_SERVER_BUSY, "Too many open streams");
    } else {
        listen_for(mcp, session, stream);
        stream->ops->release(stream);
    }
}

static void listen_on(struct mcp *mcp, struct session *session)
{
    pthread_mutex_lock(&session->mutex);
    struct listener *listener = session->stream != NULL ? listener_ref(session->stream) : NULL;
    pthread_mutex_unlock(&session->mutex);
    if (listener != NULL)
        catch_up(mcp, session, listener);
    listener_unref(listener);
}

static void resume(struct mcp *mcp, struct session *session, const struct message *message,
                   struct reply *reply)
{
    switch (resumable_resume(session, message->last_event_id, reply)) {
    case RESUMED:
        break;
    case RESUMED_LISTENS:
        listen_on(mcp, session);
        break;
    case RESUMED_ANEW:
        listen_anew(mcp, session, reply);
        break;
    case RESUMED_REFUSED:
        refuse(reply, 503, RPC_SERVER_BUSY, "Too many open streams");
        break;
    case RESUMED_UNKNOWN:
        refuse(reply, 400, RPC_INVALID_REQUEST,
               "Last-Event-ID names no stream of this session that is still known");
        break;
    }
}

void legacy_get(struct mcp *mcp, struct message *message, struct reply *reply)
{
    if (message->session_id.data == NULL || !version_is_legal(message)) {
        /* 2026-07-28 has no GET, and before a session there is nothing to hear. */
        reply->ops->send(reply, &(struct answer){.status = 405, .allow = "POST"});
        return;
    }
    if (!message->takes_stream) {
        refuse(reply, 406, RPC_INVALID_REQUEST, "A GET must accept text/event-stream");
        return;
    }
    struct session *session = find_session(mcp, message, reply);
    if (session == NULL)
        return;
    if (message->last_event_id.data != NULL)
        resume(mcp, session, message, reply);
    else
        listen_anew(mcp, session, reply);
    session_unref(session);
}

void legacy_delete(struct mcp *mcp, struct message *message, struct reply *reply)
{
    if (message->session_id.data == NULL || !version_is_legal(message)) {
        reply->ops->send(reply, &(struct answer){.status = 405, .allow = "POST"});
        return;
    }
    struct session *session = find_session(mcp, message, reply);
    if (session == NULL)
        return;
    sessions_end(mcp->sessions, session);
    asking_end_session(mcp, session);
    session_unref(session);
    reply->ops->send(reply, &(struct answer){.status = 200});
}
