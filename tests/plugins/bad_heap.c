/* SPDX-License-Identifier: MIT */
/* Broken: its descriptor is not a static one. */
#define SAMPLE_ID "bad_heap"
#include "sample.h"

#include <stdlib.h>

SAMPLE_MANIFEST;

MCP_EXPORT const struct mcp_plugin *mcp_plugin_v1(void)
{
    return calloc(1, sizeof(struct mcp_plugin));
}
