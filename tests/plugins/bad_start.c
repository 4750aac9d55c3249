/* SPDX-License-Identifier: MIT */
/* Broken: start fails and says why. */
#define SAMPLE_ID "bad_start"
#include "sample.h"

static const struct mcp_host *its_host;

static int32_t create(const struct mcp_host *host, struct mcp_bytes config, void **instance)
{
    (void)config;
    its_host = host;
    *instance = NULL;
    return MCP_OK;
}

static int32_t start(void *self)
{
    (void)self;
    its_host->fail(its_host, MCP_STR(""), MCP_STR("the device does not answer"));
    return MCP_EFAIL;
}

SAMPLE_PLUGIN(.create = create, .start = start, SAMPLE_TOOLS)
