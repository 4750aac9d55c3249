/* SPDX-License-Identifier: MIT */
/* Broken: it has two manifests. */
#define SAMPLE_ID "bad_note_twice"
#include "sample.h"

SAMPLE_MANIFEST;

__attribute__((section(".note.mcp"), used, aligned(4))) static const struct {
    struct mcp_note_header header;
    char text[4];
} second_note = {{4, 4, 1, {'M', 'C', 'P', 0}}, "{}"};

static const struct mcp_plugin plugin = {SAMPLE_HEADER, SAMPLE_TOOLS};

MCP_EXPORT const struct mcp_plugin *mcp_plugin_v1(void)
{
    return &plugin;
}
