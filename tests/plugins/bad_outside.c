/* SPDX-License-Identifier: MIT */
/* Broken: its descriptor is not a static one of its own. */
#define SAMPLE_ID "bad_outside"
#include "sample.h"

#include <stdio.h>

SAMPLE_MANIFEST;

MCP_EXPORT const struct mcp_plugin *mcp_plugin_v1(void)
{
    return (const struct mcp_plugin *)(const void *)stdin;
}
