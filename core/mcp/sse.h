/* SPDX-License-Identifier: MIT */
/*
 * The HTTP+SSE transport of 2024-11-05: a GET opens an event stream, whose first
 * event names the place for POSTs; what is POSTed there is answered on the stream.
 * Each stream is a channel (channel.h), and with it ends all that was asked for.
 */
#ifndef MCP_SSE_H
#define MCP_SSE_H

#include "mcp/message.h"

struct mcp;
struct sses;

struct sses *sses_new(void);
void sses_free(struct sses *sses); /* after the last exchange; NULL is allowed */
void sses_limit(struct sses *sses, uint32_t max);
/* Ends each stream as soon as all that was asked for on it has been answered. */
void sses_end(struct sses *sses);

/* GET /sse */
void sse_get(struct mcp *mcp, struct message *message, struct reply *reply);
/* POST /messages?sessionId=..., which is message->session_id */
void sse_post(struct mcp *mcp, struct message *message, struct reply *reply);

#endif
