/* SPDX-License-Identifier: MIT */
/* Broken: its note claims to be longer than it is. */
#define SAMPLE_ID "bad_note"
#include "sample.h"

__attribute__((section(".note.mcp"), used, aligned(4))) static const struct {
    struct mcp_note_header header;
    char text[8];
} note = {{4, 100000, 1, {'M', 'C', 'P', 0}}, "{}"};

static const struct mcp_plugin plugin = {SAMPLE_HEADER, SAMPLE_TOOLS};

MCP_EXPORT const struct mcp_plugin *mcp_plugin_v1(void)
{
    return &plugin;
}
