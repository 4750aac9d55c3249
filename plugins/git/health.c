/* SPDX-License-Identifier: MIT */
/* Whether every allowed directory is there, and those that are repositories open. */
#include "git.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "reading.h"

static bool has(const struct root *root, const char *name)
{
    int fd = open_beneath(root->fd, name, O_PATH, 0);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static bool is_repository(const struct root *root)
{
    return has(root, ".git") || (has(root, "HEAD") && has(root, "objects") && has(root, "refs"));
}

/* False: the call has been ended. */
static bool repository_opens(const struct instance *instance, const struct root *root,
                             struct mcp_call *call)
{
    struct job job;
    const struct mcp_bytes path = {root->path, strlen(root->path)};
    bool opens = job_open_at(&job, instance, call, path, 0);
    job_close(&job);
    return opens;
}

int32_t check_health(void *self, struct mcp_call *call)
{
    const struct instance *instance = self;
    size_t repositories = 0;
    if (!roots_work(&instance->roots, call))
        return MCP_OK;
    for (size_t i = 0; i < instance->roots.count; i++) {
        const struct root *root = &instance->roots.items[i];
        if (!is_repository(root))
            continue;
        if (!repository_opens(instance, root, call))
            return MCP_OK;
        repositories++;
    }
    return pass_call(call, "%zu %s can be read; as a repository, %zu of them opens.",
                     instance->roots.count,
                     instance->roots.count == 1 ? "directory" : "directories", repositories);
}
