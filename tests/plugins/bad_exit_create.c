/* SPDX-License-Identifier: MIT */
/* Broken: create ends the process. */
#define SAMPLE_ID "bad_exit_create"
#include "sample.h"

#include <stdlib.h>

static int32_t create(const struct mcp_host *host, struct mcp_bytes config, void **instance)
{
    (void)host, (void)config, (void)instance;
    exit(3);
}

SAMPLE_PLUGIN(.create = create, SAMPLE_TOOLS)
