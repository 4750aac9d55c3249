/* SPDX-License-Identifier: MIT */
/* Broken: it needs a newer minor of the ABI. */
#define SAMPLE_ID "bad_minor"
#include "sample.h"

SAMPLE_MANIFEST;

static const struct mcp_plugin plugin = {
    .magic = MCP_PLUGIN_MAGIC,
    .struct_size = sizeof(plugin),
    .abi_major = MCP_ABI_MAJOR,
    .abi_minor = 9,
    .min_minor = 9,
    .id = SAMPLE_ID,
    .version = "1.0.0",
    SAMPLE_TOOLS,
};

MCP_EXPORT const struct mcp_plugin *mcp_plugin_v1(void)
{
    return &plugin;
}
