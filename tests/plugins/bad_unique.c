/* SPDX-License-Identifier: MIT */
/* Broken: it has a symbol that the dynamic linker keeps for ever, as g++ makes one of a
 * template's static variable without -fno-gnu-unique. */
#define SAMPLE_ID "bad_unique"
#include "sample.h"

__asm__(".pushsection .data\n"
        ".globl bad_unique_count\n"
        ".type bad_unique_count, %gnu_unique_object\n"
        ".size bad_unique_count, 4\n"
        ".balign 4\n"
        "bad_unique_count: .long 0\n"
        ".popsection");
extern int32_t bad_unique_count __attribute__((visibility("default")));

static int32_t call_tool(void *self, struct mcp_call *call)
{
    bad_unique_count++;
    return sample_call_tool(self, call);
}

SAMPLE_PLUGIN(.get_tools = sample_get_tools, .call_tool = call_tool)
