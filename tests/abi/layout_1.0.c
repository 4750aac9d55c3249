/* SPDX-License-Identifier: MIT */
/* Compiled against the frozen header: the table in layout.h is that of 1.0. */
#include <mcp/plugin.h>

#include "layout.h"

#if UINTPTR_MAX == UINT64_MAX
#define FIELD(type, field, offset)                                                                 \
    _Static_assert(offsetof(struct type, field) == (offset), #type "." #field);
#define SIZE(type, size) _Static_assert(sizeof(struct type) == (size), #type);
LAYOUT_1_0(FIELD, SIZE)
#endif

#define VALUE(name, value) _Static_assert((name) == (value), #name);
VALUES_1_0(VALUE)
_Static_assert(MCP_ABI_MAJOR == 1 && MCP_ABI_MINOR == 0, "the frozen header is that of 1.0");
