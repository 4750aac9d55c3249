/* SPDX-License-Identifier: MIT */
/*
 * Event streams (WHATWG HTML, "Server-sent events"; MCP's Streamable HTTP).
 *
 * A stream's socket is taken from libmicrohttpd (a duplicate of the descriptor;
 * its own is closed without a shutdown) and from then on written by whoever has
 * something to say, without blocking. One thread watches all streams for peers
 * that leave or become writable again, and keeps the silent ones alive. A
 * stream costs a struct exchange and a socket; ten thousand of them cost
 * ordinary requests nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/pulse.h"
#include "base/thread.h"
#include "transport/exchange.h"

#define TICK_NS NS_PER_S
/* What a slow reader may leave unread before it is dropped: looked at before a
 * message is added, however large that is. */
#define BACKLOG_MAX ((size_t)4 << 20)
/* How much of it may be what the client can do without: the rest is left for its answer. */
#define BACKLOG_DISPENSABLE ((size_t)3 << 20)
/* What the kernel may keep for one of them that is not on its way yet; without this it
 * is some megabytes. */
#define UNSENT_MAX (64 * 1024)
#define OUT_MAX ((size_t)1 << 30)

struct streams {
    struct http *http;
    pthread_t thread;
    int epoll, wake;
    atomic_uint count;
    atomic_bool stopping;
    struct exchange *all; /* the thread's own */
    pthread_mutex_t mutex; /* guards the two lists */
    struct exchange *opening, *closing;
};

/* ---- writing: with exchange->mutex held ---- */

/* Takes what the socket takes now; the rest waits in ex->out. */
static bool write_now(struct exchange *ex)
{
    while (ex->out_sent < ex->out.size) {
        ssize_t sent = send(ex->fd, ex->out.data + ex->out_sent, ex->out.size - ex->out_sent,
                            MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            if (ex->blocked_ns == 0)
                ex->blocked_ns = clock_now_coarse();
            return true;
        }
        if (sent < 0)
            return false;
        ex->out_sent += (size_t)sent;
    }
    ex->blocked_ns = 0;
    ex->out_sent = 0;
    ex->written_ns = clock_now_coarse();
    buf_free(&ex->out); /* ten thousand empty buffers are a lot of memory */
    ex->out.max = OUT_MAX;
    budget_hold(&ex->out_held, 0);
    return true;
}

static void list_for_closing(struct exchange *ex)
{
    struct streams *streams = ex->http->streams;

    if (ex->closing)
        return;
    ex->closing = true;
    pthread_mutex_lock(&streams->mutex);
    ex->next_closing = streams->closing;
    streams->closing = ex;
    pthread_mutex_unlock(&streams->mutex);
    eventfd_write(streams->wake, 1);
}

/* Sends what has been added to ex->out. A stream that cannot is cut off: the
 * thread notices and tells mcp. A socket that is known to be full is not tried again:
 * the thread hears when it has room. */
static bool send_or_cut(struct exchange *ex, bool is_full)
{
    if (!ex->out.failed && (is_full || write_now(ex)) &&
        budget_hold(&ex->out_held, ex->out.capacity))
        return true;
    shutdown(ex->fd, SHUT_RDWR);
    return false;
}

static bool flush(struct exchange *ex)
{
    return send_or_cut(ex, ex->blocked_ns != 0);
}

static void add_chunk_size(struct exchange *ex, size_t size)
{
    if (!ex->plain)
        buf_addf(&ex->out, "%zx\r\n", size);
}

static void add_chunk_end(struct exchange *ex)
{
    if (!ex->plain)
        BUF_LIT(&ex->out, "\r\n");
}

/* JSON may have line ends between its tokens; a field of an event may not. */
static void add_one_line(struct buf *out, struct bytes text)
{
    size_t from = out->size;

    buf_add_bytes(out, text);
    for (char *p = out->data + from; !out->failed && p < out->data + out->size; p++)
        if (*p == '\n' || *p == '\r')
            *p = ' ';
}

/* The fields before the data; returns their size. */
static size_t write_fields(char *out, size_t size, const struct event *event, bool message)
{
    const char *name = event->name != NULL ? event->name : message ? "message" : NULL;
    int at = 0;

    if (name != NULL)
        at += snprintf(out, size, "event: %s\n", name);
    if (event->id != NULL)
        at += snprintf(out + at, size - (size_t)at, "id: %s\n", event->id);
    if (event->retry_ms > 0)
        at += snprintf(out + at, size - (size_t)at, "retry: %u\n", event->retry_ms);
    at += snprintf(out + at, size - (size_t)at, "data: ");
    return (size_t)at;
}

bool stream_message(struct exchange *ex, const struct event *event, struct bytes head,
                    struct bytes shared, struct bytes tail)
{
    static const struct bytes after = {"\n\n", 2};
    size_t size = head.size + shared.size + tail.size;
    char fields[256];
    struct bytes before = {fields, write_fields(fields, sizeof fields, event, size > 0)};

    if (ex->out.size - ex->out_sent > BACKLOG_MAX)
        ex->out.failed = true;
    buf_reserve(&ex->out, size + before.size + 64);
    add_chunk_size(ex, before.size + size + after.size);
    buf_add_bytes(&ex->out, before);
    add_one_line(&ex->out, head);
    add_one_line(&ex->out, shared);
    add_one_line(&ex->out, tail);
    buf_add_bytes(&ex->out, after);
    add_chunk_end(ex);
    return flush(ex);
}

bool stream_has_room(const struct exchange *ex, size_t size)
{
    return ex->out.size - ex->out_sent + size <= BACKLOG_DISPENSABLE;
}

static void keep_alive(struct exchange *ex)
{
    static const struct bytes comment = {":\n\n", 3};

    add_chunk_size(ex, comment.size);
    buf_add_bytes(&ex->out, comment);
    add_chunk_end(ex);
    flush(ex);
}

void stream_end(struct exchange *ex)
{
    if (!ex->plain)
        BUF_LIT(&ex->out, "0\r\n\r\n");
    ex->state = EXCHANGE_ENDED;
    if (!flush(ex) || ex->out.size == 0)
        list_for_closing(ex);
}

static void add_head(struct exchange *ex)
{
    char date[64];
    struct tm tm;
    time_t now = time(NULL);

    gmtime_r(&now, &tm);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    buf_addf(&ex->out,
             "HTTP/1.1 200 OK\r\nDate: %s\r\nContent-Type: text/event-stream\r\n"
             "Cache-Control: no-cache\r\nX-Accel-Buffering: no\r\nConnection: close\r\n%s\r\n",
             date, ex->plain ? "" : "Transfer-Encoding: chunked\r\n");
}

bool stream_open(struct exchange *ex)
{
    struct streams *streams = ex->http->streams;
    const int unsent = UNSENT_MAX;

    if (ex->connection == NULL)
        return false;
    if (atomic_fetch_add(&streams->count, 1) >= ex->http->config->http.max_streams)
        goto refused;
    ex->fd = fcntl(ex->connection->fd, F_DUPFD_CLOEXEC, 3);
    if (ex->fd < 0)
        goto refused;
    setsockopt(ex->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
    ex->out.max = OUT_MAX;
    ex->state = EXCHANGE_STREAMING;
    add_head(ex);
    flush(ex);
    atomic_fetch_add(&ex->references, 1);
    pthread_mutex_lock(&streams->mutex);
    ex->next_opening = streams->opening;
    streams->opening = ex;
    pthread_mutex_unlock(&streams->mutex);
    eventfd_write(streams->wake, 1);
    return true;
refused:
    atomic_fetch_sub(&streams->count, 1);
    return false;
}

/* ---- the thread ---- */

static void forget(struct streams *streams, struct exchange *ex)
{
    if (ex->next != NULL)
        ex->next->previous = ex->previous;
    if (ex->previous != NULL)
        ex->previous->next = ex->next;
    else
        streams->all = ex->next;
    epoll_ctl(streams->epoll, EPOLL_CTL_DEL, ex->fd, NULL);
    pthread_mutex_lock(&ex->mutex);
    if (ex->out.size > 0)
        socket_forget_unread(ex->fd);
    close(ex->fd);
    ex->fd = -1;
    buf_free(&ex->out);
    budget_hold(&ex->out_held, 0);
    exchange_over(ex);
    pthread_mutex_unlock(&ex->mutex);
    atomic_fetch_sub(&streams->count, 1);
    exchange_unref(ex);
}

/* The peer has left, or the socket is broken. */
static void lose(struct exchange *ex)
{
    void (*gone)(struct reply *) = NULL;

    pthread_mutex_lock(&ex->mutex);
    if (ex->state == EXCHANGE_STREAMING) {
        ex->state = EXCHANGE_GONE;
        ex->lost = ex->receiving;
        if (!ex->receiving)
            gone = ex->reply.gone;
    }
    list_for_closing(ex);
    pthread_mutex_unlock(&ex->mutex);
    if (gone != NULL)
        gone(&ex->reply);
}

static void on_event(struct exchange *ex, uint32_t events)
{
    bool lost = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;

    if (!lost) {
        pthread_mutex_lock(&ex->mutex);
        if (ex->out.size > 0)
            lost = !send_or_cut(ex, false);
        if (ex->state == EXCHANGE_ENDED && ex->out.size == 0)
            list_for_closing(ex);
        pthread_mutex_unlock(&ex->mutex);
    }
    if (lost)
        lose(ex);
}

static struct exchange *take(struct streams *streams, struct exchange **list)
{
    pthread_mutex_lock(&streams->mutex);
    struct exchange *taken = *list;
    *list = NULL;
    pthread_mutex_unlock(&streams->mutex);
    return taken;
}

static void begin_watching(struct streams *streams)
{
    struct exchange *ex = take(streams, &streams->opening);

    while (ex != NULL) {
        struct exchange *next = ex->next_opening;
        struct epoll_event event = {.events = EPOLLRDHUP | EPOLLOUT | EPOLLET, .data.ptr = ex};
        ex->previous = NULL;
        ex->next = streams->all;
        if (streams->all != NULL)
            streams->all->previous = ex;
        streams->all = ex;
        if (epoll_ctl(streams->epoll, EPOLL_CTL_ADD, ex->fd, &event) != 0) {
            log_error("cannot watch an event stream: %s", strerror(errno));
            lose(ex);
        }
        ex = next;
    }
}

/* What is to be closed is taken first: then all of it has been opened, and is
 * being watched by the time it is closed, however short its life. */
static void open_and_close(struct streams *streams)
{
    struct exchange *ex = take(streams, &streams->closing);

    begin_watching(streams);
    while (ex != NULL) {
        struct exchange *next = ex->next_closing;
        forget(streams, ex);
        ex = next;
    }
}

/* Keeps silent streams alive, and gives up those whose peer does not read. */
static void tick(struct streams *streams, int64_t now)
{
    const struct config *config = streams->http->config;
    int64_t keep = (int64_t)config->http.keepalive_ms * NS_PER_MS;
    int64_t patience = (int64_t)config->http.write_timeout_ms * NS_PER_MS;

    for (struct exchange *ex = streams->all; ex != NULL; ex = ex->next) {
        pthread_mutex_lock(&ex->mutex);
        bool stuck = ex->blocked_ns != 0 && now - ex->blocked_ns > patience;
        if (ex->state == EXCHANGE_STREAMING && ex->blocked_ns == 0 && now - ex->written_ns > keep)
            keep_alive(ex);
        pthread_mutex_unlock(&ex->mutex);
        if (stuck)
            lose(ex);
    }
}

static void wake_for_pulse(void *streams)
{
    eventfd_write(((struct streams *)streams)->wake, 1);
}

static void *run(void *arg)
{
    struct streams *streams = arg;
    struct pulse pulse;
    struct epoll_event events[128];
    int64_t next_tick = clock_now() + TICK_NS;
    eventfd_t ignored;

    pulse_join(&pulse, "mcpd-streams", wake_for_pulse, streams);
    while (!atomic_load(&streams->stopping) || atomic_load(&streams->count) > 0) {
        pulse_beat();
        int timeout = streams->all != NULL || atomic_load(&streams->stopping) ? 200 : -1;
        int count = epoll_wait(streams->epoll, events, 128, timeout);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL)
                eventfd_read(streams->wake, &ignored);
            else
                on_event(events[i].data.ptr, events[i].events);
        }
        open_and_close(streams);
        int64_t now = clock_now();
        if (atomic_load(&streams->stopping))
            for (struct exchange *ex = streams->all; ex != NULL; ex = ex->next)
                lose(ex);
        if (now < next_tick)
            continue;
        next_tick = now + TICK_NS;
        tick(streams, now);
    }
    pulse_leave(&pulse);
    return NULL;
}

struct streams *streams_start(struct http *http, struct error *err)
{
    struct streams *streams = calloc(1, sizeof *streams);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};

    if (streams == NULL) {
        error_no_memory(err);
        return NULL;
    }
    streams->http = http;
    pthread_mutex_init(&streams->mutex, NULL);
    streams->epoll = epoll_create1(EPOLL_CLOEXEC);
    streams->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (streams->epoll < 0 || streams->wake < 0 ||
        epoll_ctl(streams->epoll, EPOLL_CTL_ADD, streams->wake, &event) != 0)
        error_set(err, "cannot make an epoll set: %s", strerror(errno));
    else if (thread_start(&streams->thread, "mcpd-streams", run, streams, err))
        return streams;
    close(streams->epoll);
    close(streams->wake);
    free(streams);
    return NULL;
}

void streams_stop(struct streams *streams)
{
    atomic_store(&streams->stopping, true);
    eventfd_write(streams->wake, 1);
    pthread_join(streams->thread, NULL);
    close(streams->epoll);
    close(streams->wake);
    pthread_mutex_destroy(&streams->mutex);
    free(streams);
}
