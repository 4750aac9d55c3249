/* SPDX-License-Identifier: MIT */
/*
 * The stdio transport: one client, which has started mcpd and talks to it over
 * its standard input and output, a message on each line.
 *
 * One thread reads and hands to mcp; another writes, so that nobody who has an
 * answer waits for a client that does not read. Such a client is not read from
 * either, once too much waits for it.
 */
#ifndef TRANSPORT_STDIO_H
#define TRANSPORT_STDIO_H

#include "config/config.h"
#include "mcp/mcp.h"

struct stdio;

/* Takes descriptors 0 and 1 away from everybody else, plugins above all: what they
 * read is empty, and what they print goes to standard error. Before anything can
 * print. */
struct stdio *stdio_open(struct error *err);
/* Starts to serve. `ended` is called, on a thread of this transport, when the client
 * has closed one of its ends. */
bool stdio_start(struct stdio *stdio, const struct config *config, struct mcp *mcp,
                 void (*ended)(void), struct error *err);

/* No further message is read; those that have been are answered. */
void stdio_stop_reading(struct stdio *stdio);
/* Waits until all is answered and written; false at the deadline. */
bool stdio_drain(struct stdio *stdio, int64_t deadline_ns);
/* Ends the session and the threads, and frees. NULL is allowed. */
void stdio_stop(struct stdio *stdio);

#endif
