/* SPDX-License-Identifier: MIT */
/* Broken: get_tools gives tools for ever and does not heed MCP_ENOMEM. */
#define SAMPLE_ID "bad_tools_endless"
#include "sample.h"

#include <stdio.h>
#include <string.h>

static int32_t get_tools(void *self, const struct mcp_tool_sink *sink)
{
    (void)self;
    for (unsigned long i = 0;; i++) {
        char definition[128];
        snprintf(definition, sizeof(definition),
                 "{\"name\":\"endless_%lu\",\"inputSchema\":{\"type\":\"object\"}}", i);
        sample_add(sink, 0, (struct mcp_bytes){definition, strlen(definition)});
    }
    return MCP_OK;
}

SAMPLE_PLUGIN(.get_tools = get_tools, .call_tool = sample_call_tool)
