/* SPDX-License-Identifier: MIT */
/*
 * The I/O threads. Each accepts connections, drives a libmicrohttpd daemon of
 * its own, keeps the deadlines that libmicrohttpd does not have, and sends what
 * other threads have finished.
 *
 * The loop is ours because libmicrohttpd's own stalls when exactly 128 events
 * are ready at once: here its epoll descriptor is one of the things this loop
 * waits for, and MHD_run does the rest.
 */
#include <errno.h>
#include <stdlib.h>
#include <netinet/in.h>
#include <linux/tcp.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/pulse.h"
#include "base/round.h"
#include "base/thread.h"
#include "transport/exchange.h"

#define EVENTS 64
#define ACCEPTS 32 /* connections taken at one go, so that the others get their turn */
#define LAST_ACCEPTS 8192 /* and at the end: more than a queue of the kernel's has */
/* How often it is said that no connection can be accepted. */
#define TELL_AGAIN_NS (60 * NS_PER_S)
/* A call that takes longer than this has its peer watched: quick ones do not pay
 * for it. */
#define WATCH_AFTER_NS (10 * NS_PER_MS)
#define CHECK_NS (250 * NS_PER_MS)
/* And one that takes longer than this is told of, to whom it concerns. */
#define WAITS_AFTER_NS (500 * NS_PER_MS)
/* A refused request that announces a body of at most this is answered behind it,
 * so that the connection can be used again; a larger one is answered at once. */
#define DISCARD_ANNOUNCED 65536
/* What is read of a body in chunks after its answer has gone out, for this long,
 * so that the answer is not lost in a reset. */
#define DISCARD_MAX ((size_t)16 << 20)
#define DISCARD_NS NS_PER_S
/* When mcpd ends: how long a connection may be silent, in case a request is on its
 * way, and how long one may take that has begun to arrive. */
#define LINGER_NS (100 * NS_PER_MS)
#define LAST_REQUEST_NS NS_PER_S

/* ---- connections ---- */

#define TOO_LARGE                                                                                  \
    "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32600,"                                             \
    "\"message\":\"Content too large (http.max_body_bytes)\"}}"
#define TOO_MUCH(what, key)                                                                        \
    "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32000,\"message\":\"Server busy: " what " (" key    \
    "): try again later\",\"data\":{\"retryAfterSeconds\":1}}}"

/* An answer past libmicrohttpd, and the last on its connection. */
static void answer_directly(int fd, const char *head, const char *body)
{
    char text[512];
    int size = snprintf(text, sizeof text,
                        "HTTP/1.1 %s\r\nContent-Type: application/json\r\nConnection: close\r\n"
                        "Content-Length: %zu\r\n\r\n%s",
                        head, strlen(body), body);

    send(fd, text, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL);
    shutdown(fd, SHUT_WR);
}

/* Where there is no memory for a proper answer: this one needs none. */
static void send_no_memory(int fd)
{
    answer_directly(
        fd, "503 Service Unavailable\r\nRetry-After: 1",
        "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32603,\"message\":\"Out of memory\"}}");
}

void connection_set_deadline(struct connection *connection, int64_t deadline_ns)
{
    connection->deadline_ns = deadline_ns;
    if (deadline_ns < connection->io->check_ns)
        connection->io->check_ns = deadline_ns;
}

static int64_t in_ms(uint32_t ms)
{
    return clock_now_coarse() + (int64_t)ms * NS_PER_MS;
}

static bool is_draining(const struct io *io)
{
    return atomic_load_explicit(&io->http->draining, memory_order_relaxed);
}

/* For a request that arrives. */
static void set_reading_deadline(struct connection *connection, uint32_t ms)
{
    int64_t deadline = in_ms(ms), last = clock_now_coarse() + LAST_REQUEST_NS;

    if (is_draining(connection->io) && deadline > last)
        deadline = last;
    connection_set_deadline(connection, deadline);
}

static void connection_begin(struct io *io, struct MHD_Connection *mhd, void **context)
{
    struct connection *connection = calloc(1, sizeof *connection);
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);

    *context = connection;
    if (connection == NULL) {
        send_no_memory(info->connect_fd);
        shutdown(info->connect_fd, SHUT_RD); /* nothing watches over it */
        return;
    }
    connection->io = io;
    connection->mhd = mhd;
    connection->fd = info->connect_fd;
    connection->next = io->connections;
    if (io->connections != NULL)
        io->connections->previous = connection;
    io->connections = connection;
    connection->phase = PHASE_HEADERS;
    set_reading_deadline(connection, io->http->config->http.header_timeout_ms);
}

static void unwatch(struct connection *connection)
{
    if (connection->watched)
        epoll_ctl(connection->io->epoll, EPOLL_CTL_DEL, connection->fd, NULL);
    connection->watched = false;
}

/* Counts a connection. NULL: done; else why there are too many, as a body. */
static const char *admit(struct http *http)
{
    size_t held = 0;

    if (atomic_fetch_add(&http->connections, 1) >= http->max_connections) {
        atomic_fetch_sub(&http->connections, 1);
        return TOO_MUCH("there are too many connections", "http.max_connections");
    }
    if (budget_hold(&held, http->connection_cost))
        return NULL;
    atomic_fetch_sub(&http->connections, 1);
    return TOO_MUCH("no memory is free for this connection", "server.max_memory_mib");
}

static void dismiss(struct http *http)
{
    size_t held = http->connection_cost;

    budget_hold(&held, 0);
    atomic_fetch_sub(&http->connections, 1);
}

static void connection_end(struct io *io, struct connection *connection)
{
    dismiss(io->http);
    if (connection == NULL)
        return;
    unwatch(connection);
    if (connection->exchange != NULL) {
        struct exchange *ex = connection->exchange;
        exchange_lost(ex);
        pthread_mutex_lock(&ex->mutex);
        ex->connection = NULL;
        pthread_mutex_unlock(&ex->mutex);
        exchange_unref(ex);
    }
    if (connection->next != NULL)
        connection->next->previous = connection->previous;
    if (connection->previous != NULL)
        connection->previous->next = connection->next;
    else
        io->connections = connection->next;
    free(connection);
}

static void on_connection(void *cls, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        connection_begin(cls, mhd, context);
    else
        connection_end(cls, *context);
}

static struct connection *connection_of(struct MHD_Connection *mhd)
{
    return MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

/* ---- requests ---- */

/* The request line is there: from here on the header must be quick. */
static void *on_target(void *cls, const char *target, struct MHD_Connection *mhd)
{
    struct connection *connection = connection_of(mhd);

    (void)cls;
    if (connection == NULL)
        return NULL;
    filter_target(connection, target);
    if (connection->phase == PHASE_IDLE) {
        connection->phase = PHASE_HEADERS;
        set_reading_deadline(connection, connection->io->http->config->http.header_timeout_ms);
    }
    return NULL;
}

/* The request is over, in whatever way. */
static void on_completed(void *cls, struct MHD_Connection *mhd, void **context,
                         enum MHD_RequestTerminationCode code)
{
    struct connection *connection = connection_of(mhd);

    (void)cls;
    (void)code;
    *context = NULL;
    if (connection == NULL)
        return;
    if (connection->exchange != NULL) {
        exchange_lost(connection->exchange);
        connection->exchange = exchange_recycle(connection->exchange);
    }
    connection->phase = PHASE_IDLE;
    /* An answer that was on its way when mcpd was told to end does not say that it is the
     * connection's last, and nobody waits for another. */
    connection_set_deadline(connection,
                            is_draining(connection->io)
                                ? clock_now_coarse() + LINGER_NS
                                : in_ms(connection->io->http->config->http.idle_timeout_ms));
}

static enum MHD_Result queue_answer(struct connection *connection, struct exchange *ex)
{
    unsigned status = (unsigned)ex->answer.status;

    ex->close |= is_draining(connection->io);
    struct MHD_Response *response = exchange_response(ex);

    if (response == NULL)
        return MHD_NO;
    connection->phase = PHASE_WRITING;
    connection->acknowledged = 0;
    connection_set_deadline(connection, in_ms(connection->io->http->config->http.write_timeout_ms));
    enum MHD_Result queued = MHD_queue_response(connection->mhd, status, response);
    MHD_destroy_response(response);
    return queued;
}

static enum MHD_Result begin_request(struct connection *connection, const char *method,
                                     const char *version, struct exchange **exchange)
{
    const char *why = NULL;

    if (connection->exchange == NULL)
        connection->exchange = exchange_new(connection);
    struct exchange *ex = connection->exchange;
    if (ex == NULL) {
        send_no_memory(connection->fd);
        return MHD_NO;
    }
    *exchange = ex;
    int status = filter_request(ex, connection->mhd, method, version, &why);
    if (status == 0) {
        connection->phase = PHASE_BODY;
        set_reading_deadline(connection, connection->io->http->config->http.body_timeout_ms);
        return MHD_YES;
    }
    ex->receiving = true; /* an answer from here needs nobody to be woken */
    if (status == 405)
        ex->reply.ops->send(
            &ex->reply,
            &(struct answer){.status = 405, .allow = filter_methods(connection->target)});
    else
        mcp_refuse(&ex->reply, status, -32600, why);
    ex->receiving = false;
    if (ex->close || ex->content_length > DISCARD_ANNOUNCED)
        return queue_answer(connection, ex);
    return MHD_YES;
}

/* A body in chunks turns out too large while it arrives, or there is no room for what
 * still comes, and libmicrohttpd takes an answer only when it is all there. So the
 * answer goes past it; what comes is read for a moment, lest a reset destroys the
 * answer. */
static void refuse_body(struct connection *connection, struct exchange *ex, bool too_large)
{
    exchange_lost(ex);
    exchange_drop_body(ex);
    if (too_large)
        answer_directly(connection->fd, "413 Content Too Large", TOO_LARGE);
    else
        answer_directly(connection->fd, "503 Service Unavailable\r\nRetry-After: 1",
                        TOO_MUCH("no memory is free for this request", "server.max_memory_mib"));
    connection_set_deadline(connection, clock_now_coarse() + DISCARD_NS);
}

/* False: enough has been read. */
static bool take_body(struct connection *connection, struct exchange *ex, const char *data,
                      size_t size)
{
    if (ex->state != EXCHANGE_OPEN) {
        ex->discarded += size; /* refused: read and forget */
        return ex->discarded <= DISCARD_MAX;
    }
    buf_add(&ex->body, data, size);
    if (ex->body.failed)
        refuse_body(connection, ex, ex->body.size + size > ex->body.max);
    else if (!exchange_count_body(ex))
        refuse_body(connection, ex, false);
    return true;
}

static void hand_to_mcp(struct connection *connection, struct exchange *ex)
{
    struct message *message = &ex->message;

    message->body = (struct bytes){ex->body.data != NULL ? ex->body.data : "", ex->body.size};
    message->arena = &ex->arena;
    message->reader = &connection->io->reader;
    mcp_receive(ex->http->mcp, message, &ex->reply);
}

/* The whole request is there, or mcp has something new about it. */
static enum MHD_Result proceed(struct connection *connection, struct exchange *ex)
{
    enum MHD_Result result = MHD_YES;
    bool suspend = false;

    connection->suspended = false;
    if (ex->state == EXCHANGE_OPEN) {
        ex->receiving = true;
        ex->working = true;
        atomic_fetch_add(&ex->http->working, 1);
        if (connection->target >= TARGET_HEALTH)
            health_answer(connection, ex);
        else
            hand_to_mcp(connection, ex);
    }
    pthread_mutex_lock(&ex->mutex);
    ex->receiving = false;
    bool lost = ex->lost;
    ex->lost = false;
    switch (ex->state) {
    case EXCHANGE_ANSWERED:
        break;
    case EXCHANGE_OPEN:
        suspend = true;
        break;
    default: /* the socket is taken over, or of no use any more */
        result = MHD_NO;
        break;
    }
    pthread_mutex_unlock(&ex->mutex);
    if (lost && ex->reply.gone != NULL)
        ex->reply.gone(&ex->reply);
    if (result == MHD_NO) {
        if (!ex->message.keep) {
            /* A stream lives on without the request that opened it. */
            exchange_drop_body(ex);
            arena_free(&ex->arena);
        }
        return MHD_NO;
    }
    if (!suspend)
        return queue_answer(connection, ex);
    connection->phase = PHASE_WORKING;
    connection->suspended = true;
    connection_set_deadline(connection, clock_now_coarse() + WATCH_AFTER_NS);
    MHD_suspend_connection(connection->mhd);
    return MHD_YES;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *mhd, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **context)
{
    struct connection *connection = connection_of(mhd);
    struct exchange *ex = *context;

    (void)cls;
    (void)url;
    if (connection == NULL)
        return MHD_NO;
    if (ex == NULL) {
        enum MHD_Result result = begin_request(connection, method, version, &ex);
        *context = ex;
        return result;
    }
    if (*upload_size > 0) {
        size_t size = *upload_size;
        *upload_size = 0;
        return take_body(connection, ex, upload, size) ? MHD_YES : MHD_NO;
    }
    return proceed(connection, ex);
}

/* ---- what other threads have finished ---- */

void socket_forget_unread(int fd)
{
    const struct linger none = {.l_onoff = 1, .l_linger = 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
}

void io_wake(struct io *io)
{
    eventfd_write(io->wake, 1);
}

/* With exchange->mutex held. */
void io_post(struct io *io, struct exchange *ex)
{
    if (ex->listed)
        return;
    ex->listed = true;
    atomic_fetch_add_explicit(&ex->references, 1, memory_order_relaxed);
    pthread_mutex_lock(&io->mutex);
    bool first = io->done == NULL;
    ex->next_done = io->done;
    io->done = ex;
    pthread_mutex_unlock(&io->mutex);
    if (first)
        io_wake(io);
}

static void resume(struct connection *connection)
{
    if (!connection->suspended)
        return;
    connection->suspended = false;
    unwatch(connection);
    connection_set_deadline(connection, NO_DEADLINE);
    MHD_resume_connection(connection->mhd);
}

static void resume_done(struct io *io)
{
    pthread_mutex_lock(&io->mutex);
    struct exchange *ex = io->done;
    io->done = NULL;
    pthread_mutex_unlock(&io->mutex);
    while (ex != NULL) {
        struct exchange *next = ex->next_done;
        pthread_mutex_lock(&ex->mutex);
        ex->listed = false;
        struct connection *connection = ex->connection;
        pthread_mutex_unlock(&ex->mutex);
        if (connection != NULL)
            resume(connection);
        exchange_unref(ex);
        ex = next;
    }
}

/* ---- deadlines ---- */

/* The peer of a request that is being worked on is worth watching: a modern
 * client cancels by leaving. */
static void watch(struct connection *connection)
{
    struct epoll_event event = {.events = EPOLLRDHUP, .data.ptr = connection};

    if (epoll_ctl(connection->io->epoll, EPOLL_CTL_ADD, connection->fd, &event) == 0)
        connection->watched = true;
    connection_set_deadline(connection, connection->exchange->reply.waits == NULL
                                            ? NO_DEADLINE
                                            : clock_now_coarse() + WAITS_AFTER_NS);
}

/* Still no answer. */
static void tell_it_waits(struct connection *connection)
{
    struct reply *reply = &connection->exchange->reply;

    connection_set_deadline(connection, NO_DEADLINE);
    if (reply->waits != NULL)
        reply->waits(reply);
}

static void peer_left(struct connection *connection)
{
    exchange_lost(connection->exchange);
    resume(connection);
}

/* A peer that reads, however slowly, gets its whole answer. True: it has read
 * something since the last look. */
static bool peer_reads(struct connection *connection)
{
    struct tcp_info info = {.tcpi_bytes_acked = 0};
    socklen_t size = sizeof info;
    uint64_t before = connection->acknowledged;

    if (getsockopt(connection->fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
        return false;
    connection->acknowledged = info.tcpi_bytes_acked;
    return info.tcpi_bytes_acked != before;
}

/* A request that has come while we were about to close. */
static bool has_something_to_read(const struct connection *connection)
{
    char byte;

    return recv(connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

static void deadline_passed(struct connection *connection)
{
    if (connection->phase == PHASE_IDLE && is_draining(connection->io) &&
        has_something_to_read(connection)) {
        connection_set_deadline(connection, clock_now_coarse() + LINGER_NS);
    } else if (connection->phase == PHASE_WORKING && connection->watched) {
        tell_it_waits(connection);
    } else if (connection->phase == PHASE_WORKING) {
        watch(connection);
    } else if (connection->phase == PHASE_WRITING && peer_reads(connection)) {
        connection_set_deadline(connection,
                                in_ms(connection->io->http->config->http.write_timeout_ms));
    } else {
        /* libmicrohttpd sees the end of the stream and closes. */
        if (connection->phase == PHASE_WRITING)
            socket_forget_unread(connection->fd);
        shutdown(connection->fd, SHUT_RDWR);
        connection->deadline_ns = NO_DEADLINE;
    }
}

static void check_deadlines(struct io *io)
{
    int64_t now = clock_now_coarse();

    io->check_ns = NO_DEADLINE;
    for (struct connection *c = io->connections, *next; c != NULL; c = next) {
        next = c->next;
        if (c->deadline_ns > now) {
            if (c->deadline_ns < io->check_ns)
                io->check_ns = c->deadline_ns;
            continue;
        }
        deadline_passed(c);
    }
}

/* ---- the loop ---- */

static void set_options(int fd)
{
    int on = 1;

    /* A peer that leaves Nagle on would otherwise wait 40 ms for us. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* Every thread tries again and again: one line a minute says it. */
static void tell_not_accepted(struct http *http, int reason)
{
    int64_t now = clock_now_coarse(), next = atomic_load(&http->tell_again_ns);

    if (now < next ||
        !atomic_compare_exchange_strong(&http->tell_again_ns, &next, now + TELL_AGAIN_NS))
        return;
    log_error("cannot accept a connection: %s%s", strerror(reason),
              reason == EMFILE ? ": raise LimitNOFILE= or ulimit -n, or lower http.max_connections"
                               : "");
}

static void accept_some(struct io *io, int listen_fd, int most)
{
    struct http *http = io->http;

    for (int i = 0; i < most; i++) {
        struct sockaddr_storage address;
        socklen_t size = sizeof address;
        int fd =
            accept4(listen_fd, (struct sockaddr *)&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                tell_not_accepted(http, errno);
                usleep(10000); /* the event is still there; do not spin on it */
            }
            return;
        }
        const char *refusal = admit(http);
        if (refusal != NULL) {
            answer_directly(fd, "503 Service Unavailable\r\nRetry-After: 1", refusal);
            close(fd);
            continue;
        }
        set_options(fd);
        if (MHD_add_connection(io->daemon, fd, (struct sockaddr *)&address, size) != MHD_YES)
            dismiss(http);
    }
}

/* Who has not begun to ask goes soon; who is asking is to be quick. A connection that
 * is new has not asked yet, but will. */
static void hurry(struct connection *connection)
{
    int64_t limit = clock_now_coarse();

    switch (connection->phase) {
    case PHASE_IDLE:
        limit += LINGER_NS;
        break;
    case PHASE_HEADERS:
    case PHASE_BODY:
        limit += LAST_REQUEST_NS;
        break;
    default:
        return;
    }
    if (connection->deadline_ns > limit)
        connection_set_deadline(connection, limit);
}

/* The sockets themselves are shut by http_stop_accepting. */
static void stop_accepting(struct io *io)
{
    struct http *http = io->http;

    for (size_t i = 0; i < http->listen_count; i++) {
        epoll_ctl(io->epoll, EPOLL_CTL_DEL, http->listen_fds[i], NULL);
        if (!http->passed)
            accept_some(io, http->listen_fds[i], LAST_ACCEPTS); /* nobody else would */
    }
    for (struct connection *c = io->connections; c != NULL; c = c->next)
        hurry(c);
    atomic_fetch_add(&http->draining_threads, 1);
}

/* What an event is about: a listening socket, the eventfd and libmicrohttpd's
 * epoll set by their addresses in struct io and struct http, else a connection. */
static void handle(struct io *io, const struct epoll_event *event)
{
    const int *fds = io->http->listen_fds;
    const int *what = event->data.ptr;
    eventfd_t ignored;

    if (what >= fds && what < fds + io->http->listen_count)
        accept_some(io, *what, ACCEPTS);
    else if (what == &io->wake)
        eventfd_read(io->wake, &ignored);
    else if (what != &io->mhd_epoll)
        peer_left(event->data.ptr);
}

static int next_timeout(struct io *io)
{
    MHD_UNSIGNED_LONG_LONG mhd;

    if (MHD_get_timeout(io->daemon, &mhd) == MHD_YES && mhd == 0)
        return 0;
    if (io->check_ns == NO_DEADLINE)
        return io->reader.snapshot != NULL ? REGISTRY_IDLE_MS : -1;
    int64_t left = io->check_ns - clock_now_coarse();
    return left <= 0 ? 0 : (int)((left < CHECK_NS ? left : CHECK_NS) / NS_PER_MS) + 1;
}

static void wake_for_pulse(void *io)
{
    io_wake(io);
}

static void *run(void *arg)
{
    struct io *io = arg;
    struct epoll_event events[EVENTS];
    struct pulse pulse;
    struct round round;
    bool accepting = true;

    round_join(&round);
    pulse_join(&pulse, io->name, wake_for_pulse, io);
    while (!atomic_load_explicit(&io->stopping, memory_order_acquire)) {
        pulse_beat();
        int timeout = next_timeout(io);
        int count = epoll_wait(io->epoll, events, EVENTS, timeout);
        if (count == 0 && timeout > 0)
            registry_reader_close(&io->reader);
        for (int i = 0; i < count; i++)
            handle(io, &events[i]);
        if (accepting && !atomic_load_explicit(&io->accepting, memory_order_acquire)) {
            stop_accepting(io);
            accepting = false;
        }
        resume_done(io);
        MHD_run(io->daemon);
        round_end(&round);
        if (io->check_ns != NO_DEADLINE && clock_now_coarse() >= io->check_ns)
            check_deadlines(io);
    }
    pulse_leave(&pulse);
    /* libmicrohttpd aborts when it is stopped with a suspended connection. */
    for (struct connection *c = io->connections; c != NULL; c = c->next)
        if (c->suspended)
            peer_left(c);
    resume_done(io);
    MHD_run(io->daemon);
    round_end(&round);
    return NULL;
}

/* ---- from outside ---- */

static bool add_to_epoll(struct io *io, int fd, uint32_t events, void *what)
{
    struct epoll_event event = {.events = events, .data.ptr = what};

    return epoll_ctl(io->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

bool io_open(struct io *io, struct http *http, struct error *err)
{
    const struct config *config = http->config;

    io->http = http;
    io->epoll = epoll_create1(EPOLL_CLOEXEC);
    io->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    io->check_ns = NO_DEADLINE;
    atomic_init(&io->accepting, true);
    pthread_mutex_init(&io->mutex, NULL);
    io->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO, 0,
        NULL, NULL, on_request, io, MHD_OPTION_NOTIFY_CONNECTION, on_connection, io,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, io, MHD_OPTION_URI_LOG_CALLBACK, on_target, io,
        MHD_OPTION_CONNECTION_LIMIT, http->max_connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)config->http.max_header_bytes, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
    if (io->epoll < 0 || io->wake < 0 || io->daemon == NULL)
        return error_set(err, "cannot start an I/O thread: %s", strerror(errno));
    io->mhd_epoll = MHD_get_daemon_info(io->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    for (size_t i = 0; i < http->listen_count; i++)
        if (!add_to_epoll(io, http->listen_fds[i], EPOLLIN | EPOLLEXCLUSIVE, &http->listen_fds[i]))
            return error_set(err, "cannot watch a listening socket: %s", strerror(errno));
    if (!add_to_epoll(io, io->wake, EPOLLIN, &io->wake) ||
        !add_to_epoll(io, io->mhd_epoll, EPOLLIN, &io->mhd_epoll))
        return error_set(err, "cannot watch an event descriptor: %s", strerror(errno));
    return true;
}

bool io_start(struct io *io, unsigned number, struct error *err)
{
    snprintf(io->name, sizeof io->name, "mcpd-io-%u", number);
    io->started = thread_start(&io->thread, io->name, run, io, err);
    return io->started;
}

void io_stop(struct io *io)
{
    if (io->started) {
        atomic_store(&io->stopping, true);
        io_wake(io);
        pthread_join(io->thread, NULL);
    }
    if (io->daemon != NULL)
        MHD_stop_daemon(io->daemon);
    registry_reader_close(&io->reader);
    close(io->epoll);
    close(io->wake);
    pthread_mutex_destroy(&io->mutex);
}
