/* SPDX-License-Identifier: MIT */
/* "x-mcp-header" in an inputSchema (2026-07-28, Streamable HTTP, "Custom Headers
 * from Tool Parameters"). Used by toolset.c. */
#ifndef PLUGIN_TOOLSET_HEADERS_H
#define PLUGIN_TOOLSET_HEADERS_H

#include "plugin/toolset.h"

/* Finds the annotated parameters, checks the rules and fills tool->headers from
 * the arena. Clients drop a tool that breaks a rule, so it is refused here. */
bool toolset_headers(struct arena *arena, struct tool *tool, const struct json_node *input_schema,
                     struct error *err);

#endif
