/* SPDX-License-Identifier: MIT */
/* Broken: its manifest is not JSON. */
#define SAMPLE_ID "bad_note_json"
#include "sample.h"

MCP_PLUGIN_MANIFEST("{id: bad_note_json}");

static const struct mcp_plugin plugin = {SAMPLE_HEADER, SAMPLE_TOOLS};

MCP_EXPORT const struct mcp_plugin *mcp_plugin_v1(void)
{
    return &plugin;
}
