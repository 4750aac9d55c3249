/* SPDX-License-Identifier: MIT */
/* Compiled against the frozen headers of 1.1: the tables in layout.h are theirs. */
#include <mcp/completion.h>
#include <mcp/prompts.h>
#include <mcp/resources.h>
#include <mcp/skills.h>

#include "layout.h"

#if UINTPTR_MAX == UINT64_MAX
#define FIELD(type, field, offset)                                                                 \
    _Static_assert(offsetof(struct type, field) == (offset), #type "." #field);
#define AT_LEAST(type, size) _Static_assert(sizeof(struct type) >= (size), #type);
#define SIZE(type, size) _Static_assert(sizeof(struct type) == (size), #type);
LAYOUT_1_0(FIELD, AT_LEAST)
LAYOUT_1_1(FIELD)
SIZES_1_1(SIZE)
#endif

#define VALUE(name, value) _Static_assert((name) == (value), #name);
VALUES_1_0(VALUE)
VALUES_1_1(VALUE)
#define ID(name, text) _Static_assert(sizeof(name) == sizeof(text), #name);
IDS_1_1(ID)
_Static_assert(MCP_ABI_MAJOR == 1 && MCP_ABI_MINOR == 1, "the frozen headers are those of 1.1");
