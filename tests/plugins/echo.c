/* SPDX-License-Identifier: MIT */
/* One tool that gives its text back. It is what `make bench` calls. */
#include <mcp/plugin.h>

MCP_PLUGIN_MANIFEST("{\"id\":\"echo\",\"version\":\"1.0.0\",\"abi\":\"1.0\"}");

static int32_t get_tools(void *self, const struct mcp_tool_sink *sink)
{
    (void)self;
    const struct mcp_tool echo = {
        .struct_size = sizeof(echo),
        .flags = MCP_TOOL_NONBLOCKING,
        .definition = MCP_STR("{\"name\":\"echo\",\"description\":\"Gives its text back.\","
                              "\"inputSchema\":{\"type\":\"object\",\"properties\":{\"text\":"
                              "{\"type\":\"string\"}},\"required\":[\"text\"]}}"),
    };
    return sink->add(sink, &echo);
}

static int32_t call_tool(void *self, struct mcp_call *call)
{
    int32_t kind;
    struct mcp_bytes text;
    (void)self;
    if (call->ops->argument(call, "/text", &kind, &text) != MCP_OK || kind != MCP_JSON_STRING)
        return call->ops->finish_failure(call, MCP_STR("\"text\" must be a string."));
    call->ops->finish_text(call, text);
    return MCP_OK;
}

static const struct mcp_plugin plugin = {
    MCP_PLUGIN_HEADER,  .id = "echo",           .name = "Echo",
    .version = "1.0.0", .get_tools = get_tools, .call_tool = call_tool,
};

MCP_EXPORT const struct mcp_plugin *mcp_plugin_v1(void)
{
    return &plugin;
}
