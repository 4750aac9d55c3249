/* SPDX-License-Identifier: MIT */
/* Broken: its descriptor claims to be larger than the plugin. */
#define SAMPLE_ID "bad_size_huge"
#include "sample.h"

SAMPLE_MANIFEST;

static const struct mcp_plugin plugin = {
    .magic = MCP_PLUGIN_MAGIC,
    .struct_size = 4000000000u,
    .abi_major = MCP_ABI_MAJOR,
    .id = SAMPLE_ID,
    .version = "1.0.0",
    SAMPLE_TOOLS,
};

MCP_EXPORT const struct mcp_plugin *mcp_plugin_v1(void)
{
    return &plugin;
}
