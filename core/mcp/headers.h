/* SPDX-License-Identifier: MIT */
/* Header fields that repeat parts of the body (2026-07-28, Streamable HTTP,
 * "Server Validation" and "Value Encoding"). */
#ifndef MCP_HEADERS_H
#define MCP_HEADERS_H

#include "mcp/message.h"

/* Whether a field's value, decoded if it has the Base64 form, is `expected`.
 * A broken Base64 form matches nothing. */
bool header_matches(struct bytes value, struct bytes expected, struct arena *arena);

/* Checks the Mcp-Param-* fields of a message against the arguments of a tool:
 * each declared parameter that has a value must be repeated, and no other.
 * False: err says which differs. */
bool headers_match_arguments(const struct message *message, const struct offer *tool,
                             const struct json *json, const struct json_node *arguments,
                             struct error *err);

#endif
