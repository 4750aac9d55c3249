/* SPDX-License-Identifier: MIT */
/* The published schema, put into the program by the assembler, so that the file
 * people give to their editors and the one mcpd checks with are the same. The
 * path is seen from the root of the source tree, where make runs. */
#include "config/reading.h"

__asm__(".pushsection .rodata\n"
        ".balign 8\n"
        ".global config_schema_size\n"
        ".hidden config_schema_size\n"
        "config_schema_size: .quad 2f - 1f\n"
        ".global config_schema_text\n"
        ".hidden config_schema_text\n"
        "config_schema_text:\n"
        "1: .incbin \"etc/mcpd.schema.json\"\n"
        "2: .byte 0\n"
        ".popsection\n");

extern const uint64_t config_schema_size __attribute__((visibility("hidden")));
extern const char config_schema_text[] __attribute__((visibility("hidden")));

struct bytes config_schema(void)
{
    return (struct bytes){config_schema_text, (size_t)config_schema_size};
}
