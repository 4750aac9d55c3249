/* SPDX-License-Identifier: MIT */
/* Broken: it ends a call twice. */
#define SAMPLE_ID "bad_end_twice"
#include "sample.h"

static int32_t call_tool(void *self, struct mcp_call *call)
{
    (void)self;
    call->ops->finish_text(call, MCP_STR("First."));
    if (call->ops->finish_text(call, MCP_STR("Second.")) != MCP_EINVAL)
        return MCP_EFAIL;
    return MCP_OK;
}

SAMPLE_PLUGIN(.get_tools = sample_get_tools, .call_tool = call_tool)
