/* SPDX-License-Identifier: MIT */
/* Broken: it calls a function that nobody has (linked without -z defs). */
#define SAMPLE_ID "bad_undefined"
#include "sample.h"

void nobody_has_this(void);

static int32_t start(void *self)
{
    (void)self;
    nobody_has_this();
    return MCP_OK;
}

SAMPLE_PLUGIN(.start = start, SAMPLE_TOOLS)
