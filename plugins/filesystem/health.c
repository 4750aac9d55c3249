/* SPDX-License-Identifier: MIT */
/* Whether every allowed directory is still the one that was opened, and can be read. */
#include "filesystem.h"

#include "reading.h"

int32_t check_health(void *self, struct mcp_call *call)
{
    const struct filesystem *fs = self;
    if (!roots_work(&fs->roots, call))
        return MCP_OK;
    return pass_call(call, "%zu %s can be read%s.", fs->roots.count,
                     fs->roots.count == 1 ? "directory" : "directories",
                     fs->read_only ? "" : " and written, as far as their permissions go");
}
