/* SPDX-License-Identifier: MIT */
/* Broken: it uses static thread-local storage (-ftls-model=initial-exec). */
#define SAMPLE_ID "bad_static_tls"
#include "sample.h"

static _Thread_local volatile int calls;

static int32_t call_tool(void *self, struct mcp_call *call)
{
    calls++;
    return sample_call_tool(self, call);
}

SAMPLE_PLUGIN(.get_tools = sample_get_tools, .call_tool = call_tool)
