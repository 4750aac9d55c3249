/* SPDX-License-Identifier: MIT */
/* Broken: its descriptor, not its manifest, is of a newer major of the ABI. */
#define SAMPLE_ID "bad_major_inside"
#include "sample.h"

SAMPLE_MANIFEST;

static const struct mcp_plugin plugin = {
    .magic = MCP_PLUGIN_MAGIC,
    .struct_size = sizeof(plugin),
    .abi_major = 2,
    .abi_minor = 1,
    .min_minor = 0,
    .id = SAMPLE_ID,
    .version = "1.0.0",
    SAMPLE_TOOLS,
};

MCP_EXPORT const struct mcp_plugin *mcp_plugin_v1(void)
{
    return &plugin;
}
