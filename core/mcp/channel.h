/* SPDX-License-Identifier: MIT */
/*
 * A peer that is reached over one channel, which everything shares: stdio, and
 * the HTTP+SSE of 2024-11-05. A transport without a way back for each request
 * opens one for each peer, gives it the messages that arrive and writes what it
 * is told.
 *
 * There are no header fields here, and nobody can hang up on one request: that is
 * what notifications/cancelled is for, in both eras. What initialize begins is the
 * channel's session, and ends with it.
 *
 * Locks: channel.mutex, then turn.mutex. Neither is held while anything is
 * written or called.
 */
#ifndef MCP_CHANNEL_H
#define MCP_CHANNEL_H

#include "mcp/mcp.h"

struct channel;
struct session;

struct channel_ops {
    /* Writes one message, three parts one behind the other, which may have line
     * ends between tokens; copies. Any thread; must not wait for the peer. False:
     * dropped, because the peer has gone, or because it reads too slowly and the
     * message is one that it can do without. */
    bool (*write)(void *owner, struct bytes head, struct bytes shared, struct bytes tail,
                  bool dispensable);
    /* As that of reply_ops; may be NULL. */
    bool (*has_room)(void *owner, size_t size);
    /* After channel_finish: all is answered. May be NULL. */
    void (*finished)(void *owner);
    /* The channel needs `owner` no longer. */
    void (*release)(void *owner);
};

/* `sessions_only`: revisions with sessions alone. NULL: out of memory; `release` is
 * not called. */
struct channel *channel_open(struct mcp *mcp, const struct channel_ops *ops, void *owner,
                             bool sessions_only);
/* One message; copies the text. False: it is dropped, for want of memory or after
 * channel_close. */
bool channel_receive(struct channel *channel, struct bytes text, struct registry_reader *reader);
/* An error that belongs to no request, for a message that could not be taken. */
void channel_refuse(struct channel *channel, int code, const char *text);
/* How many messages are not answered yet. */
unsigned channel_unanswered(struct channel *channel);
/* No further message will come: `finished` is called when all are answered, perhaps
 * inside this function. */
void channel_finish(struct channel *channel);
bool channel_is_finishing(const struct channel *channel);
void channel_hold(struct channel *channel);
void channel_release(struct channel *channel);
/* The peer has gone: cancels what it asked for and ends its session. Gives the
 * caller's reference back. */
void channel_close(struct channel *channel);

/* ---- for mcp itself ---- */

/* The session, with a reference; NULL: initialize has not been called. */
struct session *channel_session(struct channel *channel);
/* Makes it the channel's. False: there is one already, or the peer has gone. */
bool channel_begin_session(struct channel *channel, struct session *session);
bool channel_sessions_only(const struct channel *channel);
/* The way to the peer for what answers no request. */
struct reply *channel_stream(struct channel *channel);
/* The message of `reply`, which came over this channel, is the request `id` (raw
 * JSON, of its body). */
void channel_name(struct reply *reply, struct bytes id);
/* notifications/cancelled. True: that request was under way here, and nothing more
 * will be said about it. */
bool channel_cancel(struct channel *channel, struct bytes id);

#endif
