/* SPDX-License-Identifier: MIT */
/* From the end of a call to a result of the caller's revision. */
#ifndef MCP_RESULT_H
#define MCP_RESULT_H

#include "mcp/request.h"
#include "plugin/call.h"

/* The CallToolResult of a call that ended with a result, as the revision has
 * it. */
void write_tool_result(struct buf *out, const struct revision *revision, struct bytes server_meta,
                       const struct call_result *result);

/* The end of a result that has at least one member: the provider's _meta (a node
 * of json; NULL: none), the server's own, and the closing brace. */
void write_meta(struct buf *out, const struct json *json, const struct json_node *meta,
                const struct revision *revision, struct bytes server_meta);

#endif
