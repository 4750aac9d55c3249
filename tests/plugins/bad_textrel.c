/* SPDX-License-Identifier: MIT */
/* Broken: it has text relocations (linked with -z notext). */
#define SAMPLE_ID "bad_textrel"
#include "sample.h"

extern const char here;
__asm__(".text\n"
        "here:\n"
#if __SIZEOF_POINTER__ == 8
        ".quad here\n");
#else
        ".long here\n");
#endif

SAMPLE_PLUGIN(SAMPLE_TOOLS)
