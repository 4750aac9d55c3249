/* SPDX-License-Identifier: MIT */
/* Frames through a stream socket, buffered. */
#include "plugin/worker_wire.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define IN_SIZE ((size_t)64 << 10)
#define OUT_MAX ((size_t)64 << 20)
/* After a large frame, the room for it is kept for so many receptions without one: fresh
 * memory costs as much as the copying. */
#define SMALL_ONES 64
/* What is collected before it goes, held or not. */
#define HELD_MAX ((size_t)64 << 10)

void wire_init(struct wire *wire, int fd, bool waits, enum frame_sender peer, size_t max)
{
    *wire = (struct wire){.fd = fd, .waits = waits, .peer = peer};
    atomic_init(&wire->max, max);
    pthread_mutex_init(&wire->mutex, NULL);
    buf_init(&wire->out, waits ? SIZE_MAX : OUT_MAX);
}

void wire_free(struct wire *wire)
{
    if (wire->fd >= 0)
        close(wire->fd);
    buf_free(&wire->out);
    free(wire->in);
    pthread_mutex_destroy(&wire->mutex);
}

/* ---- out ---- */

/* Sends until the kernel takes no more; a waiting end sends all. Returns how much went
 * and leaves in `pieces` what did not; -1: the other end has gone. Mutex held. */
static ssize_t send_pieces(struct wire *wire, struct iovec *pieces, size_t count)
{
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = count};
    const int flags = MSG_NOSIGNAL | (wire->waits ? 0 : MSG_DONTWAIT);
    ssize_t sent = 0;

    while (message.msg_iovlen > 0) {
        ssize_t n = sendmsg(wire->fd, &message, flags);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS))
            break;
        if (n < 0) {
            wire->broken = true;
            return -1;
        }
        sent += n;
        size_t left = (size_t)n;
        while (message.msg_iovlen > 0 && left >= message.msg_iov->iov_len) {
            left -= message.msg_iov->iov_len;
            message.msg_iov->iov_len = 0;
            message.msg_iov++;
            message.msg_iovlen--;
        }
        if (message.msg_iovlen > 0) {
            message.msg_iov->iov_base = (char *)message.msg_iov->iov_base + left;
            message.msg_iov->iov_len -= left;
        }
    }
    return sent;
}

/* Mutex held. */
static enum wire_sent flush_out(struct wire *wire)
{
    if (wire->broken)
        return WIRE_BROKEN;
    struct buf *out = &wire->out;
    if (out->size == 0)
        return WIRE_SENT;
    struct iovec piece = {out->data + wire->out_start, out->size - wire->out_start};
    ssize_t sent = send_pieces(wire, &piece, 1);
    if (sent < 0)
        return WIRE_BROKEN;
    wire->out_start += (size_t)sent;
    if (wire->out_start < out->size) {
        if (wire->out_start > out->size / 2) {
            out->size -= wire->out_start;
            memmove(out->data, out->data + wire->out_start, out->size);
            wire->out_start = 0;
        }
        return WIRE_KEPT;
    }
    wire->out_start = 0;
    if (out->capacity > 4 * IN_SIZE)
        buf_free(out);
    else
        buf_clear(out);
    return WIRE_SENT;
}

static size_t sum(const struct iovec *pieces, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += pieces[i].iov_len;
    return size;
}

/* Keeps what is left of a frame. Mutex held. */
static bool keep(struct wire *wire, const struct iovec *pieces, size_t count)
{
    size_t size = sum(pieces, count);
    /* All or nothing: a part of a frame would spoil all that follow. */
    if (size > wire->out.max - wire->out.size || !buf_reserve(&wire->out, size)) {
        wire->out.failed = wire->out.no_memory = false;
        return false;
    }
    for (size_t i = 0; i < count; i++)
        buf_add(&wire->out, pieces[i].iov_base, pieces[i].iov_len);
    return true;
}

/* Mutex held. */
static enum wire_sent send_frame(struct wire *wire, struct iovec *pieces, size_t count)
{
    if (wire->broken)
        return WIRE_BROKEN;
    bool held = wire->held && pthread_equal(wire->holder, pthread_self());
    if (wire->out.size > 0 || held) {
        if (!keep(wire, pieces, count))
            return WIRE_FULL;
        if (!wire->waits || (held && wire->out.size < HELD_MAX))
            return WIRE_KEPT;
        return flush_out(wire);
    }
    ssize_t sent = send_pieces(wire, pieces, count);
    if (sent < 0)
        return WIRE_BROKEN;
    if (sum(pieces, count) == 0)
        return WIRE_SENT;
    if (keep(wire, pieces, count))
        return WIRE_KEPT;
    wire->broken = sent > 0; /* half a frame is out */
    if (wire->broken)
        shutdown(wire->fd, SHUT_RDWR); /* or both ends would wait for the other half */
    return wire->broken ? WIRE_BROKEN : WIRE_FULL;
}

/* Mutex held. */
static enum wire_sent gather_frame(struct wire *wire, struct iovec *pieces, size_t count)
{
    if (wire->broken || wire->out.size + sum(pieces, count) > HELD_MAX ||
        !keep(wire, pieces, count)) {
        flush_out(wire); /* so that this one need not be copied */
        return send_frame(wire, pieces, count);
    }
    return WIRE_KEPT;
}

static enum wire_sent send_or_gather(struct wire *wire, const struct frame *frame, bool gathers)
{
    unsigned char head[FRAME_HEAD_MAX];
    struct iovec pieces[1 + FRAME_TEXTS];
    size_t count = 0;

    pieces[count++] = (struct iovec){head, frame_write_head(frame, head)};
    if (pieces[0].iov_len == 0)
        return WIRE_FULL;
    for (size_t i = 0; i < frame_texts(frame->type); i++)
        if (frame->texts[i].size > 0)
            pieces[count++] = (struct iovec){(char *)frame->texts[i].data, frame->texts[i].size};
    pthread_mutex_lock(&wire->mutex);
    enum wire_sent sent =
        gathers ? gather_frame(wire, pieces, count) : send_frame(wire, pieces, count);
    pthread_mutex_unlock(&wire->mutex);
    return sent;
}

enum wire_sent wire_send(struct wire *wire, const struct frame *frame)
{
    return send_or_gather(wire, frame, false);
}

enum wire_sent wire_gather(struct wire *wire, const struct frame *frame)
{
    return send_or_gather(wire, frame, true);
}

enum wire_sent wire_flush(struct wire *wire)
{
    pthread_mutex_lock(&wire->mutex);
    wire->held = false;
    enum wire_sent sent = flush_out(wire);
    pthread_mutex_unlock(&wire->mutex);
    return sent;
}

void wire_hold(struct wire *wire)
{
    pthread_mutex_lock(&wire->mutex);
    wire->held = true;
    wire->holder = pthread_self();
    pthread_mutex_unlock(&wire->mutex);
}

/* ---- in ---- */

/* Room behind `end` for at least one byte, and for the frame that has begun. */
static bool make_room(struct wire *wire)
{
    size_t have = wire->end - wire->start, want = IN_SIZE;
    struct frame frame;
    const char *fault;
    size_t size;

    if (have == 0 && wire->capacity > 4 * IN_SIZE && ++wire->small_ones > SMALL_ONES) {
        free(wire->in);
        wire->in = NULL;
        wire->capacity = wire->start = wire->end = 0;
        wire->small_ones = 0;
    }
    if (have > 0 && frame_read(&frame, (struct bytes){wire->in + wire->start, have}, wire->peer,
                               atomic_load(&wire->max), &size, &fault) == FRAME_PART)
        want = size > IN_SIZE ? size : IN_SIZE;
    if (want > 4 * IN_SIZE)
        wire->small_ones = 0;
    if (wire->start > 0 && have > 0)
        memmove(wire->in, wire->in + wire->start, have);
    wire->start = 0;
    wire->end = have;
    if (want <= wire->capacity)
        return wire->end < wire->capacity;
    char *in = realloc(wire->in, want);
    if (in == NULL)
        return false;
    wire->in = in;
    wire->capacity = want;
    return wire->end < wire->capacity;
}

enum wire_got wire_receive(struct wire *wire)
{
    if (!make_room(wire))
        return WIRE_CLOSED;
    for (;;) {
        ssize_t n = recv(wire->fd, wire->in + wire->end, wire->capacity - wire->end,
                         wire->waits ? 0 : MSG_DONTWAIT);
        if (n > 0) {
            wire->end += (size_t)n;
            return WIRE_SOME;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return WIRE_NOTHING;
        return WIRE_CLOSED;
    }
}

enum frame_read wire_next(struct wire *wire, struct frame *frame, const char **fault)
{
    const struct bytes in = {wire->in + wire->start, wire->end - wire->start};
    size_t size;

    if (in.size == 0)
        return FRAME_PART;
    enum frame_read read = frame_read(frame, in, wire->peer, atomic_load(&wire->max), &size, fault);
    if (read == FRAME_WHOLE)
        wire->start += size;
    return read;
}
