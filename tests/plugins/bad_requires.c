/* SPDX-License-Identifier: MIT */
/* Broken: it requires a service that mcpd does not have. */
#define SAMPLE_ID "bad_requires"
#include "sample.h"

MCP_PLUGIN_MANIFEST("{\"id\":\"" SAMPLE_ID "\",\"version\":\"1.0.0\",\"abi\":\"1.0\","
                    "\"requires\":[\"test.teleport/1\"]}");

static const struct mcp_plugin plugin = {SAMPLE_HEADER, SAMPLE_TOOLS};

MCP_EXPORT const struct mcp_plugin *mcp_plugin_v1(void)
{
    return &plugin;
}
