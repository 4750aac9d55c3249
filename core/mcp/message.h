/* SPDX-License-Identifier: MIT */
/*
 * Between transport and mcp: one message from one caller, and the way back.
 *
 * A transport turns bytes into a struct message and gives it to mcp_receive
 * together with a struct reply that it implements (its "exchange"). Nothing in
 * here knows HTTP's syntax, and nothing in a transport knows an MCP method; a
 * transport without status codes ignores them.
 */
#ifndef MCP_MESSAGE_H
#define MCP_MESSAGE_H

#include "base/arena.h"
#include "plugin/registry.h"

/* What was asked of the endpoint (2025-11-25 and before use all three). */
enum message_verb {
    MESSAGE_POST,
    MESSAGE_GET,
    MESSAGE_DELETE,
    /* Of the endpoints of 2024-11-05; the other's session_id is that of its target. */
    MESSAGE_SSE_GET,
    MESSAGE_SSE_POST
};

/* A header field Mcp-Param-NAME; the name without "Mcp-Param-". */
struct message_param {
    struct bytes name, value;
};

struct channel;

struct message {
    enum message_verb verb;
    struct bytes body;
    /* Memory that lives as long as the body. */
    struct arena *arena;
    /* The calling thread's view of the registry. */
    struct registry_reader *reader;
    /* What the caller takes as an answer: one JSON text, an event stream. */
    bool takes_json, takes_stream;
    /* The peer's one channel (mcp/channel.h): there are no header fields, and
     * `reply` is a turn on it. NULL: HTTP. */
    struct channel *channel;
    /* Header fields, trimmed; .data is NULL when absent. Valid, like params,
     * only until mcp_receive returns. */
    struct bytes protocol_version, method, name, session_id, last_event_id;
    /* One of those fields is not legal, in words; NULL: all are. */
    const char *header_error;
    const struct message_param *params;
    size_t param_count;
    /* Set by mcp_receive: body and arena are needed until the exchange has
     * been released. Otherwise they are free when mcp_receive returns. */
    bool keep;
};

/* The one message that ends an exchange: head, shared and tail, one behind the
 * other. No body at all: only the status counts. */
struct answer {
    int status; /* HTTP status code (RFC 9110, 15) */
    char *head; /* from malloc; whoever takes the answer frees it; may be NULL */
    size_t head_size;
    struct bytes shared; /* ready-made bytes of somebody else ... */
    void (*release)(void *argument); /* ... who is told when they are no longer used */
    void *argument;
    struct bytes tail; /* a literal */
    const char *session_id; /* Mcp-Session-Id to send, copied; NULL: none */
    const char *allow; /* methods for a 405: a literal; NULL: none */
    unsigned retry_after_s; /* 0: none */
};

struct reply;

/* What an event of a stream has besides its message. */
struct event {
    const char *name; /* NULL: "message"; none when there is no message */
    const char *id; /* NULL: none */
    unsigned retry_ms; /* 0: not said */
};

/*
 * What a transport does for an exchange. Any thread.
 *
 * An exchange ends once: with `send`, with `end`, or because its peer has gone;
 * the transport then calls `gone` (if set, once, on some thread, never from
 * inside one of these functions, and not before mcp_receive has returned) and
 * everything sent later is dropped. It may have begun already, on another thread,
 * when `send` or `end` is called, and then runs on after that has returned.
 */
struct reply_ops {
    /* Sends the last message: as the JSON answer, or as the last event where
     * `push` or `open` has made it a stream. Takes the answer. */
    void (*send)(struct reply *reply, const struct answer *answer);
    /* Makes the answer an event stream now. False: it cannot be one (the peer
     * has gone, or does not take one, or there are too many). */
    bool (*open)(struct reply *reply);
    /* Sends one message on the stream, opening it first if need be. Copies.
     * False: dropped. */
    bool (*push)(struct reply *reply, struct bytes message);
    /* Whether a message of so many bytes that the client can do without (a log message, a
     * report of progress) is to be sent: false when it has read so little of what came before
     * that this would be at the cost of what it cannot do without. NULL: it is. */
    bool (*has_room)(struct reply *reply, size_t size);
    /* Ends the stream without a further message. */
    void (*end)(struct reply *reply);
    /* The same as `push` with more to say; NULL: there are no event streams here. */
    bool (*event)(struct reply *reply, const struct event *event, struct bytes message);
    /* Lets the client hang up, though the exchange goes on; NULL, or of no effect,
     * where it could not come back. */
    void (*close)(struct reply *reply);
    void (*hold)(struct reply *reply);
    void (*release)(struct reply *reply);
};

struct reply {
    const struct reply_ops *ops;
    /* Set by whoever handles the message, before it returns from mcp_receive. */
    void (*gone)(struct reply *reply);
    /* Nothing has been sent for a while (some tenths of a second); once, on a thread
     * of the transport. NULL: that is all right. */
    void (*waits)(struct reply *reply);
    /* The reply is no more; `owner` is needed no longer. Only with `event`; may be NULL. */
    void (*freed)(struct reply *reply);
    void *owner;
};

static inline bool reply_has_room(struct reply *reply, size_t size)
{
    return reply->ops->has_room == NULL || reply->ops->has_room(reply, size);
}

#endif
