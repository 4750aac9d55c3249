/* SPDX-License-Identifier: MIT */
/* Broken: its descriptor has another id than its manifest. */
#define SAMPLE_ID "bad_id"
#include "sample.h"

SAMPLE_MANIFEST;

static const struct mcp_plugin plugin = {MCP_PLUGIN_HEADER, .id = "somebody_else",
                                         .version = "1.0.0", SAMPLE_TOOLS};

MCP_EXPORT const struct mcp_plugin *mcp_plugin_v1(void)
{
    return &plugin;
}
