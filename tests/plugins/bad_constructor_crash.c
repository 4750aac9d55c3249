/* SPDX-License-Identifier: MIT */
/* Broken: a constructor crashes. */
#define SAMPLE_ID "bad_constructor_crash"
#include "sample.h"

__attribute__((constructor)) static void crash(void)
{
    sample_crash();
}

SAMPLE_PLUGIN(SAMPLE_TOOLS)
