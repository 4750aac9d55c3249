/* SPDX-License-Identifier: MIT */
/* Broken: the definition of a tool is not JSON. Its other tool is good. */
#define SAMPLE_ID "bad_tool_json"
#include "sample.h"

static int32_t get_tools(void *self, const struct mcp_tool_sink *sink)
{
    sample_add(sink, 0, MCP_STR("{\"name\":\"unread\""));
    return sample_get_tools(self, sink);
}

SAMPLE_PLUGIN(.get_tools = get_tools, .call_tool = sample_call_tool)
