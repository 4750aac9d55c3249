/* SPDX-License-Identifier: MIT */
/* Broken: a tool has an x-mcp-header that is no name of a field. Its other tool is good. */
#define SAMPLE_ID "bad_tool_header"
#include "sample.h"

static int32_t get_tools(void *self, const struct mcp_tool_sink *sink)
{
    sample_add(
        sink, 0,
        MCP_STR("{\"name\":\"misheaded\",\"inputSchema\":{\"type\":\"object\",\"properties\":"
                "{\"region\":{\"type\":\"string\",\"x-mcp-header\":\"my region\"}}}}"));
    return sample_get_tools(self, sink);
}

SAMPLE_PLUGIN(.get_tools = get_tools, .call_tool = sample_call_tool)
