/* SPDX-License-Identifier: MIT */
/* The published schema, put into the program by the assembler, so that the file
 * people give to their editors and the one mcpd checks with are the same. The
 * path is seen from the root of the source tree, where make runs. */
#include "config/reading.h"

__asm__(".pushsection .rodata\n"
        ".global config_schema_start\n"
        ".global config_schema_end\n"
        "config_schema_start:\n"
        ".incbin \"etc/mcpd.schema.json\"\n"
        "config_schema_end:\n"
        ".byte 0\n"
        ".popsection\n");

extern const char config_schema_start[] __attribute__((visibility("hidden")));
extern const char config_schema_end[] __attribute__((visibility("hidden")));

struct bytes config_schema(void)
{
    return (struct bytes){config_schema_start, (size_t)(config_schema_end - config_schema_start)};
}
