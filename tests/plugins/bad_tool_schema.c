/* SPDX-License-Identifier: MIT */
/* Broken: a tool has an inputSchema that is no legal schema. Its other tool is good. */
#define SAMPLE_ID "bad_tool_schema"
#include "sample.h"

static int32_t get_tools(void *self, const struct mcp_tool_sink *sink)
{
    sample_add(sink, 0,
               MCP_STR("{\"name\":\"unschematic\",\"inputSchema\":{\"type\":\"object\","
                       "\"properties\":{\"a\":{\"type\":\"integre\"}}}}"));
    return sample_get_tools(self, sink);
}

SAMPLE_PLUGIN(.get_tools = get_tools, .call_tool = sample_call_tool)
