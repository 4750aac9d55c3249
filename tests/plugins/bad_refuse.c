/* SPDX-License-Identifier: MIT */
/* Broken: it refuses each call. */
#define SAMPLE_ID "bad_refuse"
#include "sample.h"

static int32_t call_tool(void *self, struct mcp_call *call)
{
    (void)self, (void)call;
    return MCP_ENOTSUP;
}

SAMPLE_PLUGIN(.get_tools = sample_get_tools, .call_tool = call_tool)
