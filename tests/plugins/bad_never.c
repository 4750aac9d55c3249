/* SPDX-License-Identifier: MIT */
/* Broken: it accepts a call and never ends it. */
#define SAMPLE_ID "bad_never"
#include "sample.h"

static int32_t call_tool(void *self, struct mcp_call *call)
{
    (void)self, (void)call;
    return MCP_OK;
}

SAMPLE_PLUGIN(.get_tools = sample_get_tools, .call_tool = call_tool)
