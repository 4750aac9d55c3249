/* SPDX-License-Identifier: MIT */
/* Broken: create fails and does not say why. */
#define SAMPLE_ID "bad_create_silent"
#include "sample.h"

static int32_t create(const struct mcp_host *host, struct mcp_bytes config, void **instance)
{
    (void)host, (void)config, (void)instance;
    return MCP_EFAIL;
}

SAMPLE_PLUGIN(.create = create, SAMPLE_TOOLS)
