/* SPDX-License-Identifier: MIT */
/* Broken: its manifest says that it was built for a newer major of the ABI. */
#define SAMPLE_ID "bad_major"
#include "sample.h"

MCP_PLUGIN_MANIFEST("{\"id\":\"" SAMPLE_ID "\",\"version\":\"1.0.0\",\"abi\":\"2.1\"}");

static const struct mcp_plugin plugin = {SAMPLE_HEADER, SAMPLE_TOOLS};

MCP_EXPORT const struct mcp_plugin *mcp_plugin_v1(void)
{
    return &plugin;
}
