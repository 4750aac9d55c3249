/* SPDX-License-Identifier: MIT */
/* Broken: get_tools does not return. */
#define SAMPLE_ID "bad_tools_hang"
#include "sample.h"

#include <unistd.h>

static int32_t get_tools(void *self, const struct mcp_tool_sink *sink)
{
    (void)self, (void)sink;
    for (;;)
        pause();
    return MCP_OK;
}

SAMPLE_PLUGIN(.get_tools = get_tools, .call_tool = sample_call_tool)
