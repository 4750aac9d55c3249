/* SPDX-License-Identifier: MIT */
/* Broken: create crashes, after a last word. */
#define SAMPLE_ID "bad_create_crash"
#include "sample.h"

#include <stdio.h>

static int32_t create(const struct mcp_host *host, struct mcp_bytes config, void **instance)
{
    (void)host, (void)config, (void)instance;
    fprintf(stderr, "about to crash\n");
    sample_crash();
    return MCP_OK;
}

SAMPLE_PLUGIN(.create = create, SAMPLE_TOOLS)
