/* SPDX-License-Identifier: MIT */
/* Broken: call_tool ends the process. */
#define SAMPLE_ID "bad_exit_call"
#include "sample.h"

#include <stdlib.h>

static int32_t call_tool(void *self, struct mcp_call *call)
{
    (void)self, (void)call;
    exit(3);
}

SAMPLE_PLUGIN(.get_tools = sample_get_tools, .call_tool = call_tool)
