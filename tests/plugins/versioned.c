/* SPDX-License-Identifier: MIT */
/*
 * Says which build of it answers: compiled with -DVERSION_NUMBER=n. The list of
 * tools is the same for all n; with -DEXTRA_TOOL there is a second one.
 */
#include <mcp/plugin.h>

#ifndef VERSION_NUMBER
#define VERSION_NUMBER 1
#endif
#define TEXT_OF(number) #number
#define EXPANDED(number) TEXT_OF(number)
#define VERSION "1.0." EXPANDED(VERSION_NUMBER)

MCP_PLUGIN_MANIFEST("{\"id\":\"versioned\",\"version\":\"" VERSION "\",\"abi\":\"1.0\"}");

static int32_t add(const struct mcp_tool_sink *sink, struct mcp_bytes definition)
{
    const struct mcp_tool tool = {.struct_size = sizeof(tool),
                                  .flags = MCP_TOOL_THREAD_SAFE | MCP_TOOL_NONBLOCKING,
                                  .definition = definition};
    return sink->add(sink, &tool);
}

static int32_t get_tools(void *self, const struct mcp_tool_sink *sink)
{
    (void)self;
#ifdef EXTRA_TOOL
    add(sink, MCP_STR("{\"name\":\"extra\",\"description\":\"Only some builds have it.\","
                      "\"inputSchema\":{\"type\":\"object\"}}"));
#endif
    return add(sink, MCP_STR("{\"name\":\"version\",\"description\":\"The number of this build.\","
                             "\"inputSchema\":{\"type\":\"object\"}}"));
}

static int32_t call_tool(void *self, struct mcp_call *call)
{
    (void)self;
    call->ops->finish_text(call, MCP_STR(EXPANDED(VERSION_NUMBER)));
    return MCP_OK;
}

static const struct mcp_plugin plugin = {
    MCP_PLUGIN_HEADER,      .id = "versioned",      .version = VERSION,
    .get_tools = get_tools, .call_tool = call_tool,
};

MCP_EXPORT const struct mcp_plugin *mcp_plugin_v1(void)
{
    return &plugin;
}
