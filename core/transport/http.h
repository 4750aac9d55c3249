/* SPDX-License-Identifier: MIT */
/*
 * Streamable HTTP (2025-03-26 and later) at /mcp, and the HTTP+SSE of 2024-11-05
 * at /sse and /messages, on libmicrohttpd.
 *
 * A few I/O threads, each with a libmicrohttpd daemon of its own that it drives
 * from its own epoll loop, read requests and write answers. What streams
 * leaves them: the socket is taken over (stream.c).
 */
#ifndef TRANSPORT_HTTP_H
#define TRANSPORT_HTTP_H

#include "base/activation.h"
#include "config/config.h"
#include "mcp/mcp.h"

struct http;

/* Opens the sockets that the configuration names, or uses those that are passed
 * (NULL, or none: none), or fails with a sentence that says why and what to do.
 * Nothing is accepted yet. Takes a reference of the configuration. */
struct http *http_open(struct config *config, struct mcp *mcp, const struct activation *activation,
                       struct error *err);
/* Starts to serve. */
bool http_start(struct http *http, struct error *err);

/* /readyz says from now on that the end is coming; all else goes on. */
void http_announce_end(struct http *http);
/* No new connections; requests on those that there are, are answered, and each answer
 * ends its connection. A socket that was passed keeps its queue. */
void http_stop_accepting(struct http *http);
/* Waits until no request is being worked on and no connection is left (an idle one is
 * closed soon); false at the deadline. */
bool http_drain(struct http *http, int64_t deadline_ns);
/* Closes everything and frees. Calls that are still running lose their peer. */
void http_stop(struct http *http);

#endif
