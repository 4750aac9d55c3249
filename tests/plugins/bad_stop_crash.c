/* SPDX-License-Identifier: MIT */
/* Broken: stop crashes. */
#define SAMPLE_ID "bad_stop_crash"
#include "sample.h"

static void stop(void *self)
{
    (void)self;
    *(volatile int *)0 = 1;
}

SAMPLE_PLUGIN(.stop = stop, SAMPLE_TOOLS)
