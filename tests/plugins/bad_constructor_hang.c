/* SPDX-License-Identifier: MIT */
/* Broken: a constructor does not return. */
#define SAMPLE_ID "bad_constructor_hang"
#include "sample.h"

#include <unistd.h>

__attribute__((constructor)) static void hang(void)
{
    for (;;)
        pause();
}

SAMPLE_PLUGIN(SAMPLE_TOOLS)
