/* SPDX-License-Identifier: MIT */
/* Broken: its descriptor is NULL. */
#define SAMPLE_ID "bad_null"
#include "sample.h"

SAMPLE_MANIFEST;

MCP_EXPORT const struct mcp_plugin *mcp_plugin_v1(void)
{
    return NULL;
}
