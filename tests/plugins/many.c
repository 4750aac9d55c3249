/* SPDX-License-Identifier: MIT */
/* 100 tools with definitions of some 300 bytes, as a large server has them. */
#include <mcp/plugin.h>

#include <stdio.h>

#define TOOLS 100

MCP_PLUGIN_MANIFEST("{\"id\":\"many\",\"version\":\"1.0.0\",\"abi\":\"1.0\"}");

static int32_t get_tools(void *self, const struct mcp_tool_sink *sink)
{
    int32_t result = MCP_OK;
    (void)self;
    for (unsigned i = 0; i < TOOLS && result == MCP_OK; i++) {
        char definition[600];
        int size = snprintf(
            definition, sizeof(definition),
            "{\"name\":\"tool_%03u\",\"title\":\"Tool number %u\",\"description\":\"Looks up the "
            "records of one customer in the table number %u and gives the newest ones first.\","
            "\"inputSchema\":{\"type\":\"object\",\"properties\":{\"customer\":{\"type\":"
            "\"string\"},"
            "\"limit\":{\"type\":\"integer\",\"minimum\":1}},\"required\":[\"customer\"]}}",
            i, i, i);
        const struct mcp_tool tool = {
            .struct_size = sizeof(tool),
            .flags = MCP_TOOL_THREAD_SAFE | MCP_TOOL_NONBLOCKING,
            .definition = {definition, (size_t)size},
            .tag = i,
        };
        result = sink->add(sink, &tool);
    }
    return result;
}

static int32_t call_tool(void *self, struct mcp_call *call)
{
    (void)self;
    call->ops->finish_text(call, call->name);
    return MCP_OK;
}

static const struct mcp_plugin plugin = {
    MCP_PLUGIN_HEADER,      .id = "many",           .version = "1.0.0",
    .get_tools = get_tools, .call_tool = call_tool,
};

MCP_EXPORT const struct mcp_plugin *mcp_plugin_v1(void)
{
    return &plugin;
}
