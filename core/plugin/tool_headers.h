/* SPDX-License-Identifier: MIT */
/* "x-mcp-header" in an inputSchema (2026-07-28, Streamable HTTP, "Custom Headers
 * from Tool Parameters"). Used by offer_rules.c. */
#ifndef PLUGIN_TOOL_HEADERS_H
#define PLUGIN_TOOL_HEADERS_H

#include "plugin/offers.h"

/* Finds the annotated parameters, checks the rules and fills tool->headers from
 * the arena. Clients drop a tool that breaks a rule, so it is refused here. */
bool tool_headers(struct arena *arena, struct offer *tool, const struct json_node *input_schema,
                  struct error *err);

#endif
