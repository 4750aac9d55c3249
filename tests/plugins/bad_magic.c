/* SPDX-License-Identifier: MIT */
/* Broken: its descriptor has another magic number. */
#define SAMPLE_ID "bad_magic"
#include "sample.h"

SAMPLE_MANIFEST;

static const struct mcp_plugin plugin = {
    .magic = 0x12345678,
    .struct_size = sizeof(plugin),
    .abi_major = MCP_ABI_MAJOR,
    .id = SAMPLE_ID,
    .version = "1.0.0",
    SAMPLE_TOOLS,
};

MCP_EXPORT const struct mcp_plugin *mcp_plugin_v1(void)
{
    return &plugin;
}
