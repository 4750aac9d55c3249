/* SPDX-License-Identifier: MIT */
/* Broken: a constructor ends the process. */
#define SAMPLE_ID "bad_constructor_exit"
#include "sample.h"

#include <stdlib.h>

__attribute__((constructor)) static void leave(void)
{
    exit(3);
}

SAMPLE_PLUGIN(SAMPLE_TOOLS)
