/* SPDX-License-Identifier: MIT */
/* Good: it offers nothing. */
#define SAMPLE_ID "no_tools"
#include "sample.h"

static int32_t get_tools(void *self, const struct mcp_tool_sink *sink)
{
    (void)self, (void)sink;
    return MCP_OK;
}

SAMPLE_PLUGIN(.get_tools = get_tools, .call_tool = sample_call_tool)
