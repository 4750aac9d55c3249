/* SPDX-License-Identifier: MIT */
/* Broken: its result is not JSON. */
#define SAMPLE_ID "bad_result"
#include "sample.h"

static int32_t call_tool(void *self, struct mcp_call *call)
{
    (void)self;
    call->ops->finish_result(call, MCP_STR("{\"content\": ["));
    return MCP_OK;
}

SAMPLE_PLUGIN(.get_tools = sample_get_tools, .call_tool = call_tool)
