/* SPDX-License-Identifier: MIT */
/* Whether every allowed directory is still the one that was opened, and can be read. */
#include "filesystem.h"

#include "reading.h"

int32_t check_health(void *self, struct mcp_call *call)
{
    const struct filesystem *fs = self;
    char why[PATH_MAX + 200];
    for (size_t i = 0; i < fs->root_count; i++)
        if (!directory_works(fs->roots[i].path, fs->roots[i].fd, why, sizeof(why)))
            return fail_call(call, "%s", why);
    return pass_call(call, "%zu %s can be read%s.", fs->root_count,
                     fs->root_count == 1 ? "directory" : "directories",
                     fs->read_only ? "" : " and written, as far as their permissions go");
}
