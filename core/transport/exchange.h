/* SPDX-License-Identifier: MIT */
/*
 * Inside transport: one HTTP request and its answer, the connection it came on,
 * and the threads that serve both.
 *
 * A connection belongs to one I/O thread and is touched by no other. An
 * exchange is touched by whoever answers it: a worker, a plugin's thread, the
 * I/O thread. Its mutex guards its state; what must happen on the I/O thread
 * (only that one may touch libmicrohttpd) is put on the thread's list, and an
 * eventfd wakes it.
 *
 * Lock order: exchange.mutex, then io.mutex or streams.mutex. No mutex is held
 * while reply->gone or anything of mcp is called.
 */
#ifndef TRANSPORT_EXCHANGE_H
#define TRANSPORT_EXCHANGE_H

#include <pthread.h>
#include <stdatomic.h>

#include <microhttpd.h>

#include "base/budget.h"
#include "base/buf.h"
#include "mcp/mcp.h"
#include "transport/http.h"

#define NO_DEADLINE INT64_MAX

struct io;
struct streams;

enum exchange_state {
    EXCHANGE_OPEN, /* not answered */
    EXCHANGE_ANSWERED, /* `answer` waits to be sent by the I/O thread */
    EXCHANGE_STREAMING, /* an event stream: the socket is ours */
    EXCHANGE_ENDED, /* the stream's last message is sent or waits in `out` */
    EXCHANGE_GONE /* the peer has left */
};

struct exchange {
    struct reply reply; /* first: a reply is an exchange */
    atomic_uint references;
    struct http *http;
    struct io *io;

    pthread_mutex_t mutex; /* guards from here to the next remark */
    enum exchange_state state;
    bool receiving; /* the I/O thread is in mcp_receive and will look again */
    bool lost; /* gone meanwhile: reply->gone is called when that returns */
    bool listed; /* on io->done */
    bool working; /* counted in http->working */
    struct connection *connection; /* NULL: it has another exchange now, or is closed */
    struct answer answer;
    char session_id[64];
    /* As a stream. */
    int fd; /* -1: none */
    struct buf out; /* what the socket did not take yet, from out_sent on */
    size_t out_sent;
    int64_t blocked_ns; /* since when `out` waits */
    int64_t written_ns; /* the last write */
    size_t answer_held, out_held; /* in the budget */
    bool closing; /* on streams->closing */

    struct exchange *next_done; /* on io->done */
    struct exchange *next, *previous; /* the stream thread's own */
    struct exchange *next_opening, *next_closing; /* on the lists of struct streams */

    /* The I/O thread's own, until mcp_receive has returned. */
    struct message message;
    struct buf body;
    size_t body_held; /* in the budget */
    struct arena arena;
    struct message_param *params;
    const char *content_type; /* of the answer; NULL: application/json */
    bool plain; /* HTTP/1.0: no chunks */
    bool close; /* no further request on this connection: this one was not well-formed, or we end */
    uint64_t content_length;
    size_t discarded; /* of a body that is not wanted */
};

/* What a request is for, by its target. */
enum target {
    TARGET_MCP,
    TARGET_SSE,
    TARGET_MESSAGES,
    TARGET_HEALTH, /* this and what follows: health.c's */
    TARGET_LIVEZ,
    TARGET_READYZ
};

enum connection_phase { PHASE_IDLE, PHASE_HEADERS, PHASE_BODY, PHASE_WORKING, PHASE_WRITING };

/* One TCP connection. */
struct connection {
    struct connection *next, *previous; /* io->connections */
    struct io *io;
    struct MHD_Connection *mhd;
    int fd;
    enum connection_phase phase;
    int64_t deadline_ns; /* when the phase must have ended */
    uint64_t acknowledged; /* what the peer had taken when PHASE_WRITING was last looked at */
    bool suspended;
    bool watched; /* in io->epoll, for the peer's leaving */
    enum target target;
    char target_session[64]; /* sessionId of TARGET_MESSAGES, as it was written */
    const char *target_error; /* what is wrong with the request target; NULL: nothing */
    int target_status;
    struct exchange *exchange; /* the current one, or one kept for the next request */
};

/* One I/O thread. */
struct io {
    struct http *http;
    pthread_t thread;
    char name[16]; /* of the thread */
    bool started;
    struct MHD_Daemon *daemon;
    int epoll, mhd_epoll, wake;
    struct connection *connections;
    struct registry_reader reader;
    int64_t check_ns; /* when the next deadline may have passed */
    pthread_mutex_t mutex; /* guards done */
    struct exchange *done; /* exchanges that changed on another thread */
    atomic_bool accepting;
    atomic_bool stopping;
};

struct http {
    struct config *config;
    struct mcp *mcp;
    int *listen_fds;
    size_t listen_count;
    bool passed; /* they are the service manager's */
    struct io *io;
    unsigned io_count;
    struct streams *streams;
    atomic_uint connections;
    atomic_uint working; /* exchanges from mcp_receive until their last byte is sent */
    unsigned max_connections;
    _Atomic int64_t tell_again_ns; /* that no connection can be accepted; not before */
    size_t connection_cost; /* what each holds in the budget, with libmicrohttpd's memory */
    atomic_bool ending; /* /readyz says so */
    atomic_bool draining; /* no request follows another on its connection */
    atomic_uint draining_threads; /* I/O threads that have seen that */
};

/* ---- exchange.c ---- */

struct exchange *exchange_new(struct connection *connection);
void exchange_unref(struct exchange *exchange);
/* Ready for the next request on the same connection; NULL: somebody still needs
 * it, and the connection gets a new one when it needs one. */
struct exchange *exchange_recycle(struct exchange *exchange);
/* Its last byte has been sent, or never will be. With exchange->mutex held. */
void exchange_over(struct exchange *exchange);
/* The connection has closed, or has lost its peer while mcp was working. */
void exchange_lost(struct exchange *exchange);
/* Frees the body, or only takes note of its size. False: it does not fit. */
void exchange_drop_body(struct exchange *exchange);
bool exchange_count_body(struct exchange *exchange);
/* The answer as libmicrohttpd wants it; NULL without memory. Takes the answer. */
struct MHD_Response *exchange_response(struct exchange *exchange);

/* ---- filter.c: what libmicrohttpd lets pass and should not ---- */

/* The raw request target, before anything is decoded. Sets connection->target*. */
void filter_target(struct connection *connection, const char *target);
/* The raw header fields: fills the exchange's message. 0: fine; otherwise the
 * HTTP status to refuse with, and *why. */
int filter_request(struct exchange *exchange, struct MHD_Connection *mhd, const char *method,
                   const char *version, const char **why);

/* The methods that the target has. */
const char *filter_methods(enum target target);

/* ---- origin.c: who may talk to us (DNS rebinding) ---- */

bool host_is_allowed(const struct config *config, struct bytes host);
bool origin_is_allowed(const struct config *config, struct bytes origin);

/* ---- health.c ---- */

/* Answers what is asked of the server itself: /health, /livez, /readyz. */
void health_answer(const struct connection *connection, struct exchange *exchange);

/* ---- sockets.c ---- */

/* Fills listen_fds; what it has opened when it fails, sockets_close closes. */
bool sockets_open(struct http *http, const struct activation *activation, struct error *err);
/* Says in the log where we listen. */
void sockets_tell(const struct http *http);
/* Refuses who comes from now on. */
void sockets_shut(const struct http *http);
void sockets_close(struct http *http);

/* ---- io.c ---- */

bool io_open(struct io *io, struct http *http, struct error *err);
bool io_start(struct io *io, unsigned number, struct error *err);
/* From any thread, without a lock of the exchange's missing: see above. */
void io_post(struct io *io, struct exchange *exchange);
void io_wake(struct io *io);
void io_stop(struct io *io);
/* The peer does not read: when it is closed, the kernel is to drop at once what waits,
 * and to tell the peer, rather than to keep it for minutes. */
void socket_forget_unread(int fd);
void connection_set_deadline(struct connection *connection, int64_t deadline_ns);

/* ---- stream.c ---- */

struct streams *streams_start(struct http *http, struct error *err);
void streams_stop(struct streams *streams);
/* With exchange->mutex held. Takes over the socket; false: there are too many. */
bool stream_open(struct exchange *exchange);
bool stream_message(struct exchange *exchange, const struct event *event, struct bytes head,
                    struct bytes shared, struct bytes tail);
/* reply_ops.has_room, of one that is a stream. */
bool stream_has_room(const struct exchange *exchange, size_t size);
void stream_end(struct exchange *exchange);

#endif
