/* SPDX-License-Identifier: MIT */
/* Calls of tools that are in flight. */
#ifndef MCP_TOOLS_H
#define MCP_TOOLS_H

#include "mcp/request.h"
#include "plugin/call.h"

/* notifications/cancelled in a session: cancels the call with this id (raw
 * JSON), if it is still running. */
void tools_cancel(struct session *session, struct bytes id);

/* The CallToolResult of a call that ended with a result, as the revision has
 * it. */
void write_tool_result(struct buf *out, const struct revision *revision, struct bytes server_meta,
                       const struct call_result *result);

#endif
