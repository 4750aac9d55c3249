/* SPDX-License-Identifier: MIT */
/* Broken: call_tool crashes. */
#define SAMPLE_ID "bad_crash_call"
#include "sample.h"

static int32_t call_tool(void *self, struct mcp_call *call)
{
    (void)self, (void)call;
    sample_crash();
    return MCP_OK;
}

SAMPLE_PLUGIN(.get_tools = sample_get_tools, .call_tool = call_tool)
