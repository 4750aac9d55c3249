/* SPDX-License-Identifier: MIT */
/* Compiled as C99, C11 and C++11 with every warning an error: the header, twice, and its
 * macros. */
#include <mcp/plugin.h>
#include <mcp/plugin.h>

MCP_PLUGIN_MANIFEST("{\"id\":\"header\",\"version\":\"1\",\"abi\":\"1.0\"}");

static int32_t get_tools(void *self, const struct mcp_tool_sink *sink)
{
    (void)self;
    struct mcp_tool tool;
    struct mcp_bytes empty = MCP_STR("");
    tool.struct_size = sizeof tool;
    tool.flags = MCP_TOOL_THREAD_SAFE | MCP_TOOL_NONBLOCKING;
    tool.definition = MCP_STR("{}");
    tool.tag = empty.size;
    tool.timeout_ms = 0;
    tool.concurrency = 0;
    return sink->add(sink, &tool);
}

static int32_t call_tool(void *self, struct mcp_call *call)
{
    (void)self;
    return call->ops->finish_text(call, MCP_STR("Hello."));
}

static const struct mcp_plugin plugin = {
    MCP_PLUGIN_HEADER, "header",  NULL, "1", NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    get_tools,         call_tool, NULL};

MCP_EXPORT const struct mcp_plugin *mcp_plugin_v1(void)
{
    return &plugin;
}
