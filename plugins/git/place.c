/* SPDX-License-Identifier: MIT */
/* From the argument "repo_path" to a directory beneath an allowed one. */
#include "git.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reading.h"

bool path_join(char out[PATH_MAX], const char *directory, const char *name)
{
    int size = snprintf(out, PATH_MAX, "%s/%s", directory, name);
    return size >= 0 && size < PATH_MAX;
}

/* How many characters of `path` are this directory's; 0 when it is not beneath it. */
static size_t prefix_of(const char *directory, const char *path, size_t size)
{
    size_t length = strlen(directory);
    if (size < length || memcmp(path, directory, length) != 0)
        return 0;
    if (size > length && path[length] != '/' && directory[length - 1] != '/')
        return 0;
    return length;
}

/* Absolute: the root with the longest name that it begins with. Relative: the first. This
 * only chooses: whether the rest stays beneath it is decided by the kernel. */
static bool choose_root(struct job *job, struct mcp_bytes *path)
{
    const struct instance *instance = job->instance;
    job->root = &instance->roots[0];
    if (path->data[0] != '/')
        return true;
    size_t longest = 0;
    for (size_t i = 0; i < instance->root_count; i++) {
        size_t length = prefix_of(instance->roots[i].path, path->data, path->size);
        if (length > longest) {
            longest = length;
            job->root = &instance->roots[i];
        }
    }
    path->data += longest;
    path->size -= longest;
    return longest > 0;
}

static bool fail_outside(struct job *job)
{
    struct text roots;
    text_init(&roots, 64 * 1024);
    for (size_t i = 0; i < job->instance->root_count; i++)
        text_addf(&roots, "%s%s", i > 0 ? ", " : "", job->instance->roots[i].path);
    job_fail(job, "%.*s is not in an allowed directory. Allowed: %s.", SHOW(job->given),
             roots.data != NULL ? roots.data : "");
    text_free(&roots);
    return false;
}

static const char *what_is_wrong(struct mcp_bytes given)
{
    if (given.size == 0)
        return "The repo_path is empty; \".\" is the first allowed directory itself.";
    if (memchr(given.data, '\0', given.size) != NULL)
        return "The repo_path has a NUL character in it; no directory has such a name.";
    if (given.size >= PATH_MAX)
        return "The repo_path is longer than 4095 bytes; no directory can be reached by it.";
    if (given.size >= 7 && strncasecmp(given.data, "file://", 7) == 0)
        return "The repo_path is a URI; give a plain path, without file:// and without %-escapes.";
    return NULL;
}

static bool fail_open(struct job *job, int error)
{
    switch (error) {
    case ENOENT:
        return job_fail(job, "There is no %.*s.", SHOW(job->given));
    case EXDEV:
        return job_fail(job,
                        "%.*s leads out of the allowed directory %s. \"..\" must stay inside it, "
                        "and symbolic links must be relative and lead to what is inside.",
                        SHOW(job->given), job->root->path);
    case ELOOP:
        return job_fail(job, "%.*s goes through symbolic links that cannot be followed.",
                        SHOW(job->given));
    case ENOTDIR:
        return job_fail(job, "%.*s is not a directory.", SHOW(job->given));
    case EACCES:
        return job_fail(job, "mcpd has no permission to read %.*s.", SHOW(job->given));
    default:
        return job_fail(job, "Cannot open %.*s: %s.", SHOW(job->given), strerror(error));
    }
}

/* The real path of what the descriptor is, which must be found again by that path beneath
 * the root: whoever moves directories about in between gets a refusal. */
static bool real_path(const struct root *root, const char *path, int fd, char out[PATH_MAX])
{
    struct stat opened, named;
    return realpath(path, out) != NULL && prefix_of(root->real, out, strlen(out)) > 0 &&
           fstat(fd, &opened) == 0 && stat(out, &named) == 0 && opened.st_dev == named.st_dev &&
           opened.st_ino == named.st_ino;
}

bool place_find(struct job *job)
{
    if (job->given.data == NULL) {
        job->given = MCP_STR(".");
        if (!job_string(job, "/repo_path", &job->given))
            return false;
    }
    const char *wrong = what_is_wrong(job->given);
    if (wrong != NULL)
        return job_fail(job, "%s", wrong);
    struct mcp_bytes rest = job->given;
    if (!choose_root(job, &rest))
        return fail_outside(job);
    while (rest.size > 0 && rest.data[0] == '/') {
        rest.data++;
        rest.size--;
    }
    char beneath[PATH_MAX], path[PATH_MAX];
    if (rest.size == 0)
        rest = MCP_STR(".");
    memcpy(beneath, rest.data, rest.size);
    beneath[rest.size] = '\0';
    job->top_fd = open_beneath(job->root->fd, beneath, O_PATH | O_DIRECTORY, 0);
    if (job->top_fd < 0)
        return fail_open(job, errno);
    if (!path_join(path, job->root->real, beneath) ||
        !real_path(job->root, path, job->top_fd, job->top))
        return job_fail(job, "%.*s is being moved, or its path is too long; try again.",
                        SHOW(job->given));
    return true;
}

int place_open(const struct root *root, const char *real, int flags, uint64_t resolve)
{
    size_t length = prefix_of(root->real, real, strlen(real));
    if (length == 0) {
        errno = EXDEV;
        return -1;
    }
    real += length;
    while (*real == '/')
        real++;
    return open_beneath(root->fd, *real == '\0' ? "." : real, flags, resolve);
}

bool place_confine(const struct root *root, const char *base, const char *path, char out[PATH_MAX])
{
    char whole[PATH_MAX];
    if (path[0] == '/' ? snprintf(whole, sizeof(whole), "%s", path) >= PATH_MAX
                       : !path_join(whole, base, path))
        return false;
    /* An absolute path may also be told in the words of the configuration. */
    size_t told = prefix_of(root->path, whole, strlen(whole));
    if (prefix_of(root->real, whole, strlen(whole)) == 0 && told > 0) {
        char rest[PATH_MAX];
        snprintf(rest, sizeof(rest), "%s", whole + told);
        if (snprintf(whole, sizeof(whole), "%s%s", root->real, rest) >= PATH_MAX)
            return false;
    }
    int fd = place_open(root, whole, O_PATH | O_DIRECTORY, 0);
    if (fd < 0)
        return false;
    bool good = real_path(root, whole, fd, out);
    close(fd);
    return good;
}

ssize_t place_read(const struct root *root, const char *real, char *out, size_t size)
{
    int fd = place_open(root, real, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY, 0);
    if (fd < 0)
        return -1;
    struct stat st;
    size_t used = 0;
    int error = 0;
    if (fstat(fd, &st) != 0)
        error = errno;
    else if (!S_ISREG(st.st_mode))
        error = EINVAL;
    while (error == 0) {
        ssize_t got = read(fd, out + used, size - used);
        if (got < 0 && errno != EINTR)
            error = errno;
        if (got == 0)
            break;
        if (got > 0 && (used += (size_t)got) == size)
            error = EFBIG;
    }
    close(fd);
    if (error != 0) {
        errno = error;
        return -1;
    }
    out[used] = '\0';
    return (ssize_t)used;
}
