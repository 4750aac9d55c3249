/* SPDX-License-Identifier: MIT */
/* Broken: it does not export mcp_plugin_v1. */
#define SAMPLE_ID "bad_symbol"
#include "sample.h"

SAMPLE_MANIFEST;

static const struct mcp_plugin plugin = {SAMPLE_HEADER, SAMPLE_TOOLS};

MCP_EXPORT const struct mcp_plugin *mcp_plugin(void);
MCP_EXPORT const struct mcp_plugin *mcp_plugin(void)
{
    return &plugin;
}
