/* SPDX-License-Identifier: MIT */
/* The way back: struct reply over HTTP. */
#include "transport/exchange.h"

#include <stdio.h>
#include <stdlib.h>

#define KEEP_BODY ((size_t)16 * 1024) /* memory a connection keeps between requests */
#define KEEP_ARENA ((size_t)16 * 1024)
/* What is answered whatever else is held: an answer like this is how one refuses. */
#define SMALL_ANSWER ((size_t)8 * 1024)
#define ARENA_SLACK ((size_t)1 << 20)

static const struct reply_ops http_reply;

static struct exchange *exchange_of(struct reply *reply)
{
    return (struct exchange *)(void *)reply;
}

struct exchange *exchange_new(struct connection *connection)
{
    struct http *http = connection->io->http;
    struct exchange *ex = calloc(1, sizeof *ex);

    if (ex == NULL)
        return NULL;
    ex->reply.ops = &http_reply;
    atomic_init(&ex->references, 1);
    ex->http = http;
    ex->io = connection->io;
    ex->connection = connection;
    ex->fd = -1;
    pthread_mutex_init(&ex->mutex, NULL);
    buf_init(&ex->body, http->config->http.max_body_bytes);
    buf_init(&ex->out, 0);
    /* The index of a body has some 20 bytes for each value. */
    arena_init_counted(&ex->arena, (size_t)http->config->http.max_body_bytes * 24 + ARENA_SLACK);
    return ex;
}

void exchange_drop_body(struct exchange *ex)
{
    buf_free(&ex->body);
    budget_hold(&ex->body_held, 0);
}

bool exchange_count_body(struct exchange *ex)
{
    return budget_hold(&ex->body_held, ex->body.capacity);
}

static void answer_drop(struct answer *answer)
{
    free(answer->head);
    if (answer->release != NULL)
        answer->release(answer->argument);
    *answer = (struct answer){.status = 0};
}

/* Nobody asks the reply's owner for anything any more. */
static void forget_owner(struct exchange *ex)
{
    if (ex->reply.freed != NULL)
        ex->reply.freed(&ex->reply);
    ex->reply.gone = ex->reply.waits = ex->reply.freed = NULL;
    ex->reply.owner = NULL;
}

void exchange_unref(struct exchange *ex)
{
    if (atomic_fetch_sub_explicit(&ex->references, 1, memory_order_acq_rel) != 1)
        return;
    forget_owner(ex);
    answer_drop(&ex->answer);
    exchange_drop_body(ex);
    buf_free(&ex->out);
    budget_hold(&ex->out_held, 0);
    budget_hold(&ex->answer_held, 0);
    arena_free(&ex->arena);
    pthread_mutex_destroy(&ex->mutex);
    free(ex);
}

struct exchange *exchange_recycle(struct exchange *ex)
{
    pthread_mutex_lock(&ex->mutex);
    bool alone = atomic_load(&ex->references) == 1 && !ex->listed && ex->fd < 0;
    if (!alone)
        ex->connection = NULL;
    pthread_mutex_unlock(&ex->mutex);
    if (!alone) {
        exchange_unref(ex);
        return NULL;
    }
    answer_drop(&ex->answer);
    budget_hold(&ex->answer_held, 0);
    ex->state = EXCHANGE_OPEN;
    forget_owner(ex);
    ex->session_id[0] = '\0';
    bool tight = budget_is_tight();
    if (ex->body.capacity > KEEP_BODY || tight)
        exchange_drop_body(ex);
    else
        buf_clear(&ex->body);
    arena_reset(&ex->arena, tight ? 0 : KEEP_ARENA);
    ex->message = (struct message){.verb = MESSAGE_POST};
    ex->params = NULL;
    ex->content_type = NULL;
    ex->plain = ex->close = false;
    ex->discarded = 0;
    return ex;
}

void exchange_over(struct exchange *ex)
{
    if (ex->working)
        atomic_fetch_sub(&ex->http->working, 1);
    ex->working = false;
}

void exchange_lost(struct exchange *ex)
{
    void (*gone)(struct reply *) = NULL;

    pthread_mutex_lock(&ex->mutex);
    if (ex->state == EXCHANGE_OPEN) {
        ex->state = EXCHANGE_GONE;
        gone = ex->reply.gone;
    }
    if (ex->fd < 0)
        exchange_over(ex);
    pthread_mutex_unlock(&ex->mutex);
    if (gone != NULL)
        gone(&ex->reply);
}

/* ---- reply_ops ---- */

/* With ex->mutex held. */
static bool open_stream(struct exchange *ex)
{
    if (ex->state == EXCHANGE_STREAMING)
        return true;
    if (ex->state != EXCHANGE_OPEN || !ex->message.takes_stream || !stream_open(ex))
        return false;
    if (!ex->receiving)
        io_post(ex->io, ex); /* libmicrohttpd lets go of its side */
    return true;
}

/* A caller that takes nothing but event streams gets its answer as one. */
static bool must_stream(const struct exchange *ex, const struct answer *answer)
{
    return answer->status == 200 && answer->head != NULL && !ex->message.takes_json &&
           ex->message.takes_stream;
}

/* Lets it go for a short one, if it does not fit: a client that does not read must not
 * make us keep megabytes, nor may a thousand who read slowly. With ex->mutex held. */
static void hold_answer(struct exchange *ex, struct answer *answer)
{
    static const char busy[] =
        "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32000,\"message\":\"Server busy: the "
        "answer does not fit into the memory that is free now (server.max_memory_mib)\","
        "\"data\":{\"retryAfterSeconds\":1}}}";
    size_t size = answer->head_size + answer->shared.size + answer->tail.size;

    if (size <= SMALL_ANSWER) {
        budget_hold_anyway(&ex->answer_held, size);
        return;
    }
    if (budget_hold(&ex->answer_held, size))
        return;
    answer_drop(answer);
    *answer = (struct answer){.status = 503, .retry_after_s = 1, .head = strdup(busy)};
    answer->head_size = answer->head != NULL ? strlen(answer->head) : 0;
}

static void reply_send(struct reply *reply, const struct answer *answer)
{
    struct exchange *ex = exchange_of(reply);
    struct answer mine = *answer;

    if (answer->session_id != NULL) {
        snprintf(ex->session_id, sizeof ex->session_id, "%s", answer->session_id);
        mine.session_id = ex->session_id;
    }
    pthread_mutex_lock(&ex->mutex);
    if (ex->state == EXCHANGE_OPEN && must_stream(ex, &mine))
        open_stream(ex);
    if (ex->state == EXCHANGE_OPEN) {
        hold_answer(ex, &mine);
        ex->answer = mine;
        ex->state = EXCHANGE_ANSWERED;
        mine = (struct answer){.status = 0};
        if (!ex->receiving)
            io_post(ex->io, ex);
    } else if (ex->state == EXCHANGE_STREAMING) {
        stream_message(ex, &(struct event){.id = NULL}, (struct bytes){mine.head, mine.head_size},
                       mine.shared, mine.tail);
        stream_end(ex);
    }
    pthread_mutex_unlock(&ex->mutex);
    answer_drop(&mine);
}

static bool reply_open(struct reply *reply)
{
    struct exchange *ex = exchange_of(reply);

    pthread_mutex_lock(&ex->mutex);
    bool open = open_stream(ex);
    pthread_mutex_unlock(&ex->mutex);
    return open;
}

static bool reply_event(struct reply *reply, const struct event *event, struct bytes message)
{
    struct exchange *ex = exchange_of(reply);

    pthread_mutex_lock(&ex->mutex);
    bool sent = open_stream(ex) && stream_message(ex, event, message, (struct bytes){NULL, 0},
                                                  (struct bytes){NULL, 0});
    pthread_mutex_unlock(&ex->mutex);
    return sent;
}

static bool reply_push(struct reply *reply, struct bytes message)
{
    return reply_event(reply, &(struct event){.id = NULL}, message);
}

static bool reply_has_room_for(struct reply *reply, size_t size)
{
    struct exchange *ex = exchange_of(reply);

    pthread_mutex_lock(&ex->mutex);
    bool room = stream_has_room(ex, size);
    pthread_mutex_unlock(&ex->mutex);
    return room;
}

static void reply_end(struct reply *reply)
{
    struct exchange *ex = exchange_of(reply);

    pthread_mutex_lock(&ex->mutex);
    if (ex->state == EXCHANGE_STREAMING)
        stream_end(ex);
    pthread_mutex_unlock(&ex->mutex);
}

static void reply_hold(struct reply *reply)
{
    atomic_fetch_add_explicit(&exchange_of(reply)->references, 1, memory_order_relaxed);
}

static void reply_release(struct reply *reply)
{
    exchange_unref(exchange_of(reply));
}

static const struct reply_ops http_reply = {.send = reply_send,
                                            .open = reply_open,
                                            .push = reply_push,
                                            .has_room = reply_has_room_for,
                                            .event = reply_event,
                                            .end = reply_end,
                                            .hold = reply_hold,
                                            .release = reply_release};

/* ---- to libmicrohttpd ---- */

/* Head, shared and tail in one piece: libmicrohttpd sends that together with the
 * header in one system call, and several pieces in two, which costs more than
 * this copy does (tools/list of 100 tools, 33 KB: see tests/bench). */
static bool join(struct answer *answer)
{
    size_t size = answer->head_size + answer->shared.size + answer->tail.size;
    char *all = realloc(answer->head, size);

    if (all == NULL)
        return false;
    memcpy(all + answer->head_size, answer->shared.data, answer->shared.size);
    memcpy(all + answer->head_size + answer->shared.size, answer->tail.data, answer->tail.size);
    answer->head = all;
    answer->head_size = size;
    return true;
}

static struct MHD_Response *response_of_body(struct answer *answer)
{
    if (answer->shared.size > 0 && !join(answer))
        return NULL;
    if (answer->head == NULL)
        return MHD_create_response_from_buffer(0, (void *)(uintptr_t) "", MHD_RESPMEM_PERSISTENT);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(answer->head_size, answer->head, MHD_RESPMEM_MUST_FREE);
    if (response != NULL)
        answer->head = NULL;
    return response;
}

struct MHD_Response *exchange_response(struct exchange *ex)
{
    struct answer *answer = &ex->answer;
    bool body = answer->head != NULL;
    struct MHD_Response *response = response_of_body(answer);
    char number[16];

    if (response == NULL)
        return NULL;
    if (body)
        MHD_add_response_header(response, "Content-Type",
                                ex->content_type != NULL ? ex->content_type : "application/json");
    if (answer->session_id != NULL)
        MHD_add_response_header(response, "Mcp-Session-Id", answer->session_id);
    if (answer->allow != NULL)
        MHD_add_response_header(response, "Allow", answer->allow);
    if (answer->retry_after_s > 0) {
        snprintf(number, sizeof number, "%u", answer->retry_after_s);
        MHD_add_response_header(response, "Retry-After", number);
    }
    if (ex->close)
        MHD_add_response_header(response, "Connection", "close");
    return response;
}
