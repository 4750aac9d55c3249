/* SPDX-License-Identifier: MIT */
/* Standard input and output as a transport. */
#include "transport/stdio.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/round.h"
#include "base/thread.h"
#include "mcp/channel.h"
#include "transport/lines.h"

#define DRAIN_STEP_US 2000
/* With so much waiting to be written, no more is read ... */
#define BACKLOG_HIGH ((size_t)4 << 20)
/* ... and what the client can do without is dropped. */
#define BACKLOG_DROP ((size_t)16 << 20)
#define BACKLOG_MAX ((size_t)1 << 32)

struct stdio {
    atomic_uint references; /* the channel's, and that of stdio_open's caller */
    int in, out;
    int wake; /* an eventfd: the reader shall end */
    void (*ended)(void);
    struct channel *channel;
    size_t max_line;
    pthread_t reader, writer;
    bool reading, writing; /* the threads have been started */

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t changed;
    struct buf waiting; /* to be written */
    bool busy; /* the writer has taken some and is writing */
    bool broken; /* nobody reads what we write */
    bool stopping; /* the reader shall end */
    bool finished; /* all has been said: the writer shall end */
};

/* ---- writing ---- */

/* JSON may have line ends between its tokens; a message here may not. */
static void add_one_line(struct buf *out, struct bytes text)
{
    size_t from = out->size;

    buf_add_bytes(out, text);
    for (char *p = out->data + from; !out->failed && p < out->data + out->size; p++)
        if (*p == '\n' || *p == '\r')
            *p = ' ';
}

static bool write_message(void *owner, struct bytes head, struct bytes shared, struct bytes tail,
                          bool dispensable)
{
    struct stdio *stdio = owner;
    struct buf *waiting = &stdio->waiting;

    pthread_mutex_lock(&stdio->mutex);
    bool taken = !stdio->broken && !(dispensable && waiting->size > BACKLOG_DROP) &&
                 buf_reserve(waiting, head.size + shared.size + tail.size + 1);
    if (taken) {
        add_one_line(waiting, head);
        add_one_line(waiting, shared);
        add_one_line(waiting, tail);
        buf_add_char(waiting, '\n');
        pthread_cond_broadcast(&stdio->changed);
    }
    waiting->failed = false;
    pthread_mutex_unlock(&stdio->mutex);
    return taken;
}

static bool has_room(void *owner, size_t size)
{
    struct stdio *stdio = owner;

    pthread_mutex_lock(&stdio->mutex);
    bool room = stdio->waiting.size + size <= BACKLOG_DROP;
    pthread_mutex_unlock(&stdio->mutex);
    return room;
}

static bool write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t written = write(fd, data, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            /* The client's end may have been made nonblocking, and ours with it. */
            poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
            continue;
        }
        if (written < 0)
            return false;
        data += written;
        size -= (size_t)written;
    }
    return true;
}

static void *run_writer(void *arg)
{
    struct stdio *stdio = arg;

    pthread_mutex_lock(&stdio->mutex);
    for (;;) {
        while (stdio->waiting.size == 0 && !stdio->finished)
            pthread_cond_wait(&stdio->changed, &stdio->mutex);
        if (stdio->waiting.size == 0 || stdio->broken)
            break;
        struct buf taken = stdio->waiting;
        buf_init(&stdio->waiting, BACKLOG_MAX);
        stdio->busy = true;
        pthread_mutex_unlock(&stdio->mutex);
        bool written = write_all(stdio->out, taken.data, taken.size);
        int error = errno;
        buf_free(&taken);
        pthread_mutex_lock(&stdio->mutex);
        stdio->busy = false;
        pthread_cond_broadcast(&stdio->changed);
        if (written)
            continue;
        stdio->broken = true;
        if (error != EPIPE)
            log_error("cannot write to standard output: %s", strerror(error));
        stdio->ended();
        break;
    }
    buf_free(&stdio->waiting);
    pthread_mutex_unlock(&stdio->mutex);
    return NULL;
}

/* ---- reading ---- */

static bool is_blank(struct bytes line)
{
    for (size_t i = 0; i < line.size; i++)
        if (line.data[i] != ' ' && line.data[i] != '\t' && line.data[i] != '\r')
            return false;
    return true;
}

/* Waits until there is something to read and room for what it will lead to. False:
 * the thread shall end. */
static bool wait_for_input(struct stdio *stdio, struct registry_reader *reader)
{
    struct pollfd fds[2] = {{.fd = stdio->in, .events = POLLIN},
                            {.fd = stdio->wake, .events = POLLIN}};
    int count;

    pthread_mutex_lock(&stdio->mutex);
    while (stdio->waiting.size > BACKLOG_HIGH && !stdio->stopping && !stdio->broken)
        pthread_cond_wait(&stdio->changed, &stdio->mutex);
    pthread_mutex_unlock(&stdio->mutex);
    while ((count = poll(fds, 2, reader->snapshot != NULL ? REGISTRY_IDLE_MS : -1)) == 0 ||
           (count < 0 && errno == EINTR)) {
        if (count == 0)
            registry_reader_close(reader);
    }
    return fds[1].revents == 0;
}

static void take(struct stdio *stdio, enum lines_next found, struct bytes line,
                 struct registry_reader *reader)
{
    if (found == LINES_TOO_LONG)
        channel_refuse(stdio->channel, -32600, "Content too large (http.max_body_bytes)");
    else if (!is_blank(line) && !channel_receive(stdio->channel, line, reader))
        channel_refuse(stdio->channel, -32000, /* closed: nobody hears */
                       "Server busy: too much is under way here (server.max_memory_mib)");
}

/* Reads once. False: at the end. */
static bool read_some(struct stdio *stdio, struct lines *lines, struct registry_reader *reader)
{
    enum lines_next found;
    struct bytes line = {NULL, 0};
    size_t room;
    char *place = lines_room(lines, &room);

    if (place == NULL) {
        log_error("cannot read from standard input: out of memory");
        return false;
    }
    ssize_t size = read(stdio->in, place, room);
    if (size < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK))
        return true;
    if (size < 0)
        log_error("cannot read from standard input: %s", strerror(errno));
    if (size <= 0) {
        if (lines_rest(lines, &line) == LINES_LINE)
            take(stdio, LINES_LINE, line, reader);
        return false;
    }
    lines_added(lines, (size_t)size);
    while ((found = lines_next(lines, &line)) != LINES_NONE)
        take(stdio, found, line, reader);
    return true;
}

static void *run_reader(void *arg)
{
    struct stdio *stdio = arg;
    struct registry_reader reader = {NULL};
    struct round round;
    struct lines lines;
    bool more = true;

    lines_init(&lines, stdio->max_line);
    round_join(&round);
    while (more && wait_for_input(stdio, &reader)) {
        more = read_some(stdio, &lines, &reader);
        round_end(&round);
    }
    if (!more) {
        log_info("standard input has ended");
        stdio->ended();
    }
    lines_free(&lines);
    registry_reader_close(&reader);
    return NULL;
}

/* ---- life ---- */

static void stdio_unref(void *owner)
{
    struct stdio *stdio = owner;

    if (atomic_fetch_sub(&stdio->references, 1) != 1)
        return;
    close(stdio->in);
    close(stdio->out);
    close(stdio->wake);
    buf_free(&stdio->waiting);
    pthread_cond_destroy(&stdio->changed);
    pthread_mutex_destroy(&stdio->mutex);
    free(stdio);
}

static const struct channel_ops ops = {
    .write = write_message, .has_room = has_room, .release = stdio_unref};

/* The descriptor under a number of our own; what is left in its place is `other`. */
static int take_away(int fd, int other)
{
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);

    if (own >= 0 && dup2(other, fd) < 0) {
        close(own);
        return -1;
    }
    return own;
}

struct stdio *stdio_open(struct error *err)
{
    struct stdio *stdio = calloc(1, sizeof *stdio);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (stdio == NULL || null < 0) {
        error_set(err, "cannot take over standard input and output: %s", strerror(errno));
        if (null >= 0)
            close(null);
        free(stdio);
        return NULL;
    }
    atomic_init(&stdio->references, 1);
    pthread_mutex_init(&stdio->mutex, NULL);
    pthread_cond_init(&stdio->changed, NULL);
    buf_init(&stdio->waiting, BACKLOG_MAX);
    if (fcntl(STDERR_FILENO, F_GETFD) < 0)
        dup2(null, STDERR_FILENO); /* or plugins would print into the next file we open */
    stdio->wake = eventfd(0, EFD_CLOEXEC);
    stdio->in = take_away(STDIN_FILENO, null);
    stdio->out = take_away(STDOUT_FILENO, STDERR_FILENO);
    if (null > STDERR_FILENO)
        close(null);
    if (stdio->in >= 0 && stdio->out >= 0 && stdio->wake >= 0)
        return stdio;
    error_set(err,
              "cannot take over standard %s: %s; --stdio is for clients that start mcpd and "
              "talk to it there",
              stdio->in < 0 ? "input" : "output", strerror(errno));
    stdio_unref(stdio);
    return NULL;
}

bool stdio_start(struct stdio *stdio, const struct config *config, struct mcp *mcp,
                 void (*ended)(void), struct error *err)
{
    stdio->ended = ended;
    stdio->max_line = config->http.max_body_bytes;
    stdio->channel = channel_open(mcp, &ops, stdio, false);
    if (stdio->channel == NULL)
        return error_no_memory(err);
    atomic_fetch_add(&stdio->references, 1);
    stdio->writing = thread_start(&stdio->writer, "mcpd-writer", run_writer, stdio, err);
    if (!stdio->writing)
        return false;
    stdio->reading = thread_start(&stdio->reader, "mcpd-reader", run_reader, stdio, err);
    return stdio->reading;
}

void stdio_stop_reading(struct stdio *stdio)
{
    pthread_mutex_lock(&stdio->mutex);
    stdio->stopping = true;
    pthread_cond_broadcast(&stdio->changed);
    pthread_mutex_unlock(&stdio->mutex);
    eventfd_write(stdio->wake, 1);
    if (stdio->reading)
        pthread_join(stdio->reader, NULL);
    stdio->reading = false;
}

static bool all_is_said(struct stdio *stdio)
{
    if (channel_unanswered(stdio->channel) > 0)
        return false;
    pthread_mutex_lock(&stdio->mutex);
    bool said = stdio->broken || (stdio->waiting.size == 0 && !stdio->busy);
    pthread_mutex_unlock(&stdio->mutex);
    return said;
}

bool stdio_drain(struct stdio *stdio, int64_t deadline_ns)
{
    while (!all_is_said(stdio)) {
        if (clock_now() >= deadline_ns)
            return false;
        usleep(DRAIN_STEP_US);
    }
    return true;
}

void stdio_stop(struct stdio *stdio)
{
    if (stdio == NULL)
        return;
    if (stdio->channel != NULL) {
        stdio_stop_reading(stdio);
        channel_close(stdio->channel);
    }
    pthread_mutex_lock(&stdio->mutex);
    bool stuck = stdio->writing && stdio->busy;
    stdio->broken = stdio->finished = true; /* whoever still has an answer is too late */
    pthread_cond_broadcast(&stdio->changed);
    pthread_mutex_unlock(&stdio->mutex);
    if (stuck) {
        /* It waits for a client that does not read; the end of the process ends that. */
        pthread_detach(stdio->writer);
        return;
    }
    if (stdio->writing)
        pthread_join(stdio->writer, NULL);
    stdio_unref(stdio);
}
