/* SPDX-License-Identifier: MIT */
/* From the argument "repo_path" to a directory beneath an allowed one. */
#include "git.h"

#include <errno.h>
#include <fcntl.h>
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

/* The real path of what the descriptor is, which must be found again by that path beneath
 * the root: whoever moves directories about in between gets a refusal. */
static bool real_path(const struct root *root, const char *path, int fd, char out[PATH_MAX])
{
    struct stat opened, named;
    return realpath(path, out) != NULL && root_prefix(root->real, out, strlen(out)) > 0 &&
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
    char beneath[PATH_MAX], path[PATH_MAX];
    const struct roots *roots = &job->instance->roots;
    job->ended = !roots_find(roots, job->call, "repo_path", job->given, &job->root, beneath);
    if (job->ended)
        return false;
    job->top_fd = roots_open_beneath(roots, job->root->fd, beneath, O_PATH | O_DIRECTORY, 0);
    if (job->top_fd < 0) {
        roots_fail(roots, job->root, job->call, job->given, errno, "read");
        job->ended = true;
        return false;
    }
    if (!path_join(path, job->root->real, beneath) ||
        !real_path(job->root, path, job->top_fd, job->top))
        return job_fail(job, "%.*s is being moved, or its path is too long; try again.",
                        SHOW(job->given));
    return true;
}

int place_open(const struct root *root, const char *real, int flags, uint64_t resolve)
{
    size_t length = root_prefix(root->real, real, strlen(real));
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
    size_t told = root_prefix(root->path, whole, strlen(whole));
    if (root_prefix(root->real, whole, strlen(whole)) == 0 && told > 0) {
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
