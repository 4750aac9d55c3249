/* SPDX-License-Identifier: MIT */
/* Broken: it has no manifest. */
#define SAMPLE_ID "bad_no_note"
#include "sample.h"

static const struct mcp_plugin plugin = {SAMPLE_HEADER, SAMPLE_TOOLS};

MCP_EXPORT const struct mcp_plugin *mcp_plugin_v1(void)
{
    return &plugin;
}
