/* SPDX-License-Identifier: MIT */
/* Answers in JSON-RPC's form. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "mcp/request.h"

/* A result is at most what plugins may give, and some envelope. */
#define ANSWER_MAX ((size_t)1 << 30)
/* When a client that met a full server should come back (RFC 9110, 10.2.3). */
#define RETRY_AFTER_S 1

/* The header says the same; but some clients see none of it. */
#define BUSY_DATA "{\"retryAfterSeconds\":1}"
static const struct bytes busy_data = {BUSY_DATA, sizeof BUSY_DATA - 1};

static void send_buf(struct reply *reply, int status, bool busy, struct buf *out)
{
    struct answer answer = {.status = status, .retry_after_s = busy ? RETRY_AFTER_S : 0};

    if (out->failed) {
        buf_free(out);
        answer.status = 500;
    } else {
        answer.head = buf_detach(out, &answer.head_size);
    }
    reply->ops->send(reply, &answer);
}

void respond_begin(const struct request *request, struct buf *out)
{
    buf_init(out, ANSWER_MAX);
    buf_reserve(out, 512);
    BUF_LIT(out, "{\"jsonrpc\":\"2.0\",\"id\":");
    buf_add_bytes(out, request->id);
    BUF_LIT(out, ",\"result\":");
}

void respond_finish(const struct request *request, struct buf *out)
{
    BUF_LIT(out, "}");
    send_buf(request->reply, 200, false, out);
}

void respond_shared(const struct request *request, struct bytes result,
                    void (*release)(void *argument), void *argument)
{
    struct answer answer = {.status = 200,
                            .shared = result,
                            .release = release,
                            .argument = argument,
                            .tail = BYTES("}")};
    struct buf out;

    respond_begin(request, &out);
    answer.head = buf_detach(&out, &answer.head_size);
    if (answer.head == NULL) {
        release(argument);
        answer = (struct answer){.status = 500};
    }
    request->reply->ops->send(request->reply, &answer);
}

__attribute__((format(printf, 6, 0))) static void send_error(struct reply *reply, struct bytes id,
                                                             int status, int code,
                                                             struct bytes data, const char *format,
                                                             va_list args)
{
    char message[512];
    struct buf out;

    vsnprintf(message, sizeof message, format, args);
    buf_init(&out, ANSWER_MAX);
    BUF_LIT(&out, "{\"jsonrpc\":\"2.0\"");
    if (id.data != NULL) {
        BUF_LIT(&out, ",\"id\":");
        buf_add_bytes(&out, id);
    }
    buf_addf(&out, ",\"error\":{\"code\":%d,\"message\":", code);
    json_write_string(&out, bytes_of(message));
    if (data.size > 0) {
        BUF_LIT(&out, ",\"data\":");
        buf_add_bytes(&out, data);
    }
    BUF_LIT(&out, "}}");
    send_buf(reply, status, status == 503 || bytes_equal(data, busy_data), &out);
}

void respond_error(const struct request *request, int status, int code, struct bytes data,
                   const char *format, ...)
{
    va_list args;

    if (request->id.data == NULL && status == STATUS_IN_PROTOCOL) {
        respond_accepted(request->reply); /* a notification is never answered */
        return;
    }
    va_start(args, format);
    send_error(request->reply, request->id, status, code, data, format, args);
    va_end(args);
}

void respond_busy(const struct request *request, int status, const char *format, ...)
{
    va_list args;

    if (request->id.data == NULL && status == STATUS_IN_PROTOCOL) {
        respond_accepted(request->reply);
        return;
    }
    va_start(args, format);
    send_error(request->reply, request->id, status, RPC_SERVER_BUSY, busy_data, format, args);
    va_end(args);
}

void refuse(struct reply *reply, int status, int code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    send_error(reply, (struct bytes){NULL, 0}, status, code,
               code == RPC_SERVER_BUSY ? busy_data : (struct bytes){NULL, 0}, format, args);
    va_end(args);
}

void mcp_refuse(struct reply *reply, int status, int code, const char *text)
{
    refuse(reply, status, code, "%s", text);
}

void respond_accepted(struct reply *reply)
{
    reply->ops->send(reply, &(struct answer){.status = 202});
}
