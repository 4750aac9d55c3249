/* SPDX-License-Identifier: MIT */
/* What a provider asks (InputRequests of 2026-07-28) as requests to the client of a
 * session, in the form of its revision. */
#ifndef MCP_QUESTIONS_H
#define MCP_QUESTIONS_H

#include "json/json.h"
#include "mcp/revision.h"

/* Whether the revision can ask it at all; beyond what abilities say. */
bool question_is_known(const struct revision *revision, const struct json *json,
                       const struct json_node *request);

/* Adds the JSON-RPC request with this id. */
void question_write(struct buf *out, const struct revision *revision, const char *id,
                    const struct json *json, const struct json_node *request);

/* Adds the params of an elicitation by URL, whose elicitationId is `id` unless it
 * has one. */
void question_write_url(struct buf *out, const struct json *json, const struct json_node *request,
                        const char *id);

#endif
