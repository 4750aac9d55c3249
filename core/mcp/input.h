/* SPDX-License-Identifier: MIT */
/*
 * Input from the client (elicitation, sampling, roots), for a call that cannot go
 * on without it: it ends with CALL_NEED_INPUT and comes again, as a new call,
 * with the answers.
 *
 * In 2026-07-28 the questions are the answer of the request ("input_required"),
 * and the client comes back with a new request that carries inputResponses and,
 * where there is a state, requestState. Nothing is kept here meanwhile.
 */
#ifndef MCP_INPUT_H
#define MCP_INPUT_H

#include "mcp/invoke.h"

/* Reads what a request that comes back carries into the invocation (state and
 * answers), before its provider is entered. False: it has been answered. Does
 * nothing for one that comes the first time. */
bool input_read(struct invocation *invocation, const struct invoke_target *target);

/* A call of a request of 2026-07-28 ended with CALL_NEED_INPUT: answers it. Inside
 * the call's `finished`. */
void input_require(struct invocation *invocation, const struct call_result *result);

/* The call with this input did not begin: its single-use state counts again. */
void input_give_back(struct invocation *invocation);

#endif
