/* SPDX-License-Identifier: MIT */
/* Broken: its descriptor has another version than its manifest. */
#define SAMPLE_ID "bad_version"
#include "sample.h"

SAMPLE_MANIFEST;

static const struct mcp_plugin plugin = {MCP_PLUGIN_HEADER, .id = SAMPLE_ID, .version = "1.0.1",
                                         SAMPLE_TOOLS};

MCP_EXPORT const struct mcp_plugin *mcp_plugin_v1(void)
{
    return &plugin;
}
