/* SPDX-License-Identifier: MIT */
/* A plugin that says which file it came from: tests write any number into the
 * twelve digits below, in the file, and so make as many versions as they like
 * without compiling. A letter switches a further tool on. */
#include <mcp/plugin.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

MCP_PLUGIN_MANIFEST("{\"id\":\"stamp\",\"version\":\"1.0.0\",\"abi\":\"1.0\"}");

/* volatile: the compiler must not know what is in them. */
static const volatile char stamp[] = "stamp=000000000000";
static const volatile char extra[] = "extra=n";

static int32_t get_tools(void *self, const struct mcp_tool_sink *sink)
{
    const struct mcp_tool tool = {
        .struct_size = sizeof tool,
        .flags = MCP_TOOL_NONBLOCKING,
        .definition = MCP_STR("{\"name\":\"stamp\",\"description\":\"The version\","
                              "\"inputSchema\":{\"type\":\"object\"}}"),
    };
    const struct mcp_tool slow = {
        .struct_size = sizeof slow,
        .flags = MCP_TOOL_THREAD_SAFE,
        .definition = MCP_STR("{\"name\":\"stamp_slow\",\"description\":\"The version, in 5 ms\","
                              "\"inputSchema\":{\"type\":\"object\"}}"),
        .tag = 1,
    };
    const struct mcp_tool more = {
        .struct_size = sizeof more,
        .flags = MCP_TOOL_NONBLOCKING,
        .definition = MCP_STR("{\"name\":\"stamp_extra\",\"description\":\"Only in some\","
                              "\"inputSchema\":{\"type\":\"object\"}}"),
    };

    (void)self;
    if (sink->add(sink, &tool) != MCP_OK || sink->add(sink, &slow) != MCP_OK)
        return MCP_EFAIL;
    return extra[6] == 'y' ? sink->add(sink, &more) : MCP_OK;
}

static int32_t call_tool(void *self, struct mcp_call *call)
{
    char text[sizeof stamp];

    (void)self;
    if (call->tag == 1)
        nanosleep(&(struct timespec){0, 5000000}, NULL);
    for (size_t i = 0; i < sizeof stamp; i++)
        text[i] = stamp[i];
    return call->ops->finish_text(call, (struct mcp_bytes){text, sizeof stamp - 1});
}

static const struct mcp_plugin plugin = {
    MCP_PLUGIN_HEADER,      .id = "stamp",          .version = "1.0.0",
    .get_tools = get_tools, .call_tool = call_tool,
};

MCP_EXPORT const struct mcp_plugin *mcp_plugin_v1(void)
{
    return &plugin;
}
