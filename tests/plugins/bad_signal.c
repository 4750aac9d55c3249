/* SPDX-License-Identifier: MIT */
/* Broken: it leaves a signal handler. */
#define SAMPLE_ID "bad_signal"
#include "sample.h"

#include <signal.h>

static void ignore(int number)
{
    (void)number;
}

static int32_t start(void *self)
{
    (void)self;
    signal(SIGWINCH, ignore);
    return MCP_OK;
}

SAMPLE_PLUGIN(.start = start, SAMPLE_TOOLS)
