/* SPDX-License-Identifier: MIT */
/* Broken: it gives one tool twice. Its other tool is good. */
#define SAMPLE_ID "bad_tool_twice"
#include "sample.h"

static int32_t get_tools(void *self, const struct mcp_tool_sink *sink)
{
    sample_add(sink, 0, MCP_STR(SAMPLE_DEFINITION(SAMPLE_ID)));
    return sample_get_tools(self, sink);
}

SAMPLE_PLUGIN(.get_tools = get_tools, .call_tool = sample_call_tool)
