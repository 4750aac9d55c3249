/* SPDX-License-Identifier: MIT */
/* Broken: stop crashes. */
#define SAMPLE_ID "bad_stop_crash"
#include "sample.h"

static void stop(void *self)
{
    (void)self;
    sample_crash();
}

SAMPLE_PLUGIN(.stop = stop, SAMPLE_TOOLS)
