/* SPDX-License-Identifier: MIT */
/*
 * What the bundled plugins say of themselves, once: mcpd refuses a plugin whose
 * manifest and descriptor differ.
 */
#ifndef PLUGINS_BUNDLED_H
#define PLUGINS_BUNDLED_H

#include <mcp/plugin.h>

#define BUNDLED_VERSION "0.2.0"

/* Stands once, at the end of the file that has config_schema and the static functions
 * create, start, stop, destroy, get_tools and call_tool. */
#define BUNDLED_PLUGIN(plugin_id, plugin_name)                                                     \
    BUNDLED_PLUGIN_WITH(plugin_id, plugin_name, "\"abi\":\"1.0\"", .get_extension = NULL)

/* The same with further members of the manifest, its "abi" among them, and of struct
 * mcp_plugin. */
#define BUNDLED_PLUGIN_WITH(plugin_id, plugin_name, manifest, ...)                                 \
    MCP_PLUGIN_MANIFEST("{\"id\":\"" plugin_id "\",\"version\":\"" BUNDLED_VERSION "\"," manifest  \
                        "}");                                                                      \
    static const struct mcp_plugin plugin = {                                                      \
        MCP_PLUGIN_HEADER,                                                                         \
        .id = plugin_id,                                                                           \
        .name = plugin_name,                                                                       \
        .version = BUNDLED_VERSION,                                                                \
        .vendor = "mcpd",                                                                          \
        .license = "MIT",                                                                          \
        .config_schema = config_schema,                                                            \
        .create = create,                                                                          \
        .start = start,                                                                            \
        .stop = stop,                                                                              \
        .destroy = destroy,                                                                        \
        .get_tools = get_tools,                                                                    \
        .call_tool = call_tool,                                                                    \
        __VA_ARGS__,                                                                               \
    };                                                                                             \
    MCP_EXPORT const struct mcp_plugin *mcp_plugin_v1(void)                                        \
    {                                                                                              \
        return &plugin;                                                                            \
    }                                                                                              \
    extern const struct mcp_plugin *mcp_plugin_v1(void) /* takes the semicolon */

#endif
