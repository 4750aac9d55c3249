/* SPDX-License-Identifier: MIT */
/*
 * Input from the client of a session (2025-03-26 to 2025-11-25): the questions go
 * out as requests on the stream of the request that needs them, the client POSTs
 * its answers, and the provider is called again. No thread waits meanwhile.
 *
 * An asking is one round of that: the questions that are out, and the invocation
 * that will go on with their answers. It stands in for the first invocation in
 * session->invocations. Whoever takes it (all answers are there, one is an error,
 * cancelled, too late, session or client gone) ends the waiting, and nobody else.
 *
 * Locks: session.mutex, then askings.mutex, a leaf. Nothing is sent or called
 * while one is held.
 */
#ifndef MCP_ASKING_H
#define MCP_ASKING_H

#include "mcp/invoke.h"

struct asking;
struct askings;

struct askings *askings_new(void);
void askings_free(struct askings *askings); /* NULL is allowed */

/* A call of a session ended with CALL_NEED_INPUT: asks, or answers that it cannot.
 * Inside the call's `finished`; the invocation is no longer the session's. */
void ask(struct invocation *invocation, const struct call_result *result);

/* A response that came in request->session. */
void asking_answer(const struct request *request);

/* notifications/cancelled for the request `id` (raw JSON). */
void asking_cancel(struct mcp *mcp, const struct session *session, struct bytes id);
/* The session has ended. */
void asking_end_session(struct mcp *mcp, const struct session *session);
/* The peer of `reply`, which was in that session (not looked into: it may be
 * gone), has gone. `cancel`: also a call that goes on with answers. */
void asking_lost(struct mcp *mcp, const struct session *session, const struct reply *reply,
                 bool cancel);

/* Gives up what has waited for too long; or all, at the end. */
void askings_expire(struct mcp *mcp);
void askings_end(struct mcp *mcp);

/* The call that went on with the answers has gone. */
void asking_done(struct asking *asking);

#endif
