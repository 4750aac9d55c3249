/* SPDX-License-Identifier: MIT */
/*
 * The parts of a plugin that a sample is not about. Each bad_*.c defines
 * SAMPLE_ID, includes this, and is wrong in exactly one way; its tool, where it
 * has a good one, is called like itself.
 */
#ifndef SAMPLE_H
#define SAMPLE_H

#include <mcp/plugin.h>

#define SAMPLE_MANIFEST                                                                            \
    MCP_PLUGIN_MANIFEST("{\"id\":\"" SAMPLE_ID "\",\"version\":\"1.0.0\",\"abi\":\"1.0\"}")

#define SAMPLE_DEFINITION(name)                                                                    \
    "{\"name\":\"" name "\",\"description\":\"Says that it is there.\","                           \
    "\"inputSchema\":{\"type\":\"object\"}}"

static inline int32_t sample_add(const struct mcp_tool_sink *sink, uint32_t flags,
                                 struct mcp_bytes definition)
{
    const struct mcp_tool tool = {
        .struct_size = sizeof(tool), .flags = flags, .definition = definition};
    return sink->add(sink, &tool);
}

static inline int32_t sample_get_tools(void *self, const struct mcp_tool_sink *sink)
{
    (void)self;
    return sample_add(sink, 0, MCP_STR(SAMPLE_DEFINITION(SAMPLE_ID)));
}

static inline int32_t sample_call_tool(void *self, struct mcp_call *call)
{
    (void)self;
    return call->ops->finish_text(call, MCP_STR("Here."));
}

/* A null pointer that compilers cannot see through. */
static inline void sample_crash(void)
{
    static int *volatile nowhere;
    *nowhere = 1;
}

/* The first fields, and the tools where a sample has no others. */
#define SAMPLE_HEADER MCP_PLUGIN_HEADER, .id = SAMPLE_ID, .version = "1.0.0"
#define SAMPLE_TOOLS .get_tools = sample_get_tools, .call_tool = sample_call_tool

/* Manifest, descriptor and entry of a plugin with these further members. */
#define SAMPLE_PLUGIN(...)                                                                         \
    SAMPLE_MANIFEST;                                                                               \
    static const struct mcp_plugin plugin = {SAMPLE_HEADER, __VA_ARGS__};                          \
    MCP_EXPORT const struct mcp_plugin *mcp_plugin_v1(void)                                        \
    {                                                                                              \
        return &plugin;                                                                            \
    }

#endif
