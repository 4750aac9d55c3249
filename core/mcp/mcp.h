/* SPDX-License-Identifier: MIT */
/*
 * The Model Context Protocol: from a message to its answer, in the revision the
 * caller speaks. All functions may be called from any thread unless they say
 * otherwise.
 */
#ifndef MCP_MCP_H
#define MCP_MCP_H

#include "config/config.h"
#include "mcp/message.h"
#include "store/store.h"

struct mcp;

/* Installs itself as the registry's hooks. Takes a reference of the config. */
struct mcp *mcp_new(struct config *config, struct registry *registry, struct error *err);
/* After the last exchange has been released. */
void mcp_free(struct mcp *mcp);

/* Serves tasks, which this store keeps, and which an earlier life has left there.
 * Before the first message. */
bool mcp_serve_tasks(struct mcp *mcp, struct store *store, struct error *err);
/* The providers are there: goes on with the tasks that were left. */
void mcp_resume_tasks(struct mcp *mcp);
/* Starts no more of them, and waits until those have ended that cannot begin again
 * in the next life. */
void mcp_stop_tasks(struct mcp *mcp, int64_t deadline_ns);
/* The store is not used any more when this returns, but by what it still does
 * itself. */
void mcp_close_tasks(struct mcp *mcp);

/* A new configuration: server.*, sessions.*, calls.* count from now on. The
 * lists are made anew with the next snapshot. */
void mcp_configure(struct mcp *mcp, struct config *config);

/* Handles one message. The exchange may end before this returns, or later. */
void mcp_receive(struct mcp *mcp, struct message *message, struct reply *reply);

/* An error answer in MCP's form for what a transport itself refuses: a JSON-RPC
 * error without an id. */
void mcp_refuse(struct reply *reply, int status, int code, const char *text);

/* What GET /health says: a JSON text, with what the plugins said if `messages`. Returns
 * the HTTP status. Never waits; any thread, with its reader. */
int mcp_health(struct mcp *mcp, struct registry_reader *reader, bool messages, struct buf *out);
/* Has the providers asked from mcp_tick on. */
void mcp_watch_health(struct mcp *mcp);

/* Now and then, from one thread: forgets sessions that have been idle, and asks providers
 * how they are. */
void mcp_tick(struct mcp *mcp);

/* Waits until the calls of sessions have ended, also those whose client has hung up and
 * might have come back for the answer; false at the deadline. */
bool mcp_wait_unanswered(struct mcp *mcp, int64_t deadline_ns);

/* Ends all long-lived streams in the way their revision wants, for shutdown. */
void mcp_end_streams(struct mcp *mcp);

#endif
