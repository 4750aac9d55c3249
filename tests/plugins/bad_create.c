/* SPDX-License-Identifier: MIT */
/* Broken: create refuses the configuration, and says which part of it. */
#define SAMPLE_ID "bad_create"
#include "sample.h"

static int32_t create(const struct mcp_host *host, struct mcp_bytes config, void **instance)
{
    (void)config, (void)instance;
    host->fail(host, MCP_STR("/paths/1"), MCP_STR("there is no directory of this name"));
    return MCP_EFAIL;
}

SAMPLE_PLUGIN(.create = create, SAMPLE_TOOLS)
