/* SPDX-License-Identifier: MIT */
/* Allowed directories and what is beneath them. */
#include "beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "reading.h"

int config_directory(const struct mcp_host *host, const char *array, size_t index, char **out)
{
    char pointer[64];
    int32_t kind;
    struct mcp_bytes path;
    snprintf(pointer, sizeof(pointer), "%s/%zu", array, index);
    if (host->config(host, pointer, &kind, &path) != MCP_OK)
        return 0;
    if (kind != MCP_JSON_STRING || path.size == 0 || path.data[0] != '/' || path.size >= PATH_MAX ||
        memchr(path.data, '\0', path.size) != NULL) {
        config_fail(host, pointer, "expected the absolute path of a directory");
        return -1;
    }
    while (path.size > 1 && path.data[path.size - 1] == '/')
        path.size--;
    *out = strndup(path.data, path.size);
    return *out != NULL ? 1 : -1;
}

int open_allowed(const struct mcp_host *host, const char *array, size_t index, const char *path)
{
    char pointer[64];
    snprintf(pointer, sizeof(pointer), "%s/%zu", array, index);
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        config_fail(host, pointer,
                    "cannot open the directory %s: %s; create it, or take it out of %s", path,
                    strerror(errno), array + 1);
        return -1;
    }
    int probe = open_beneath(fd, ".", O_PATH | O_DIRECTORY, 0);
    if (probe < 0) {
        config_fail(host, "",
                    "this kernel does not offer openat2 (%s), without which nothing can "
                    "be kept inside %s: Linux 5.6 or later is needed, and a container's seccomp "
                    "profile must allow it",
                    strerror(errno), array + 1);
        close(fd);
        return -1;
    }
    close(probe);
    return fd;
}

bool directory_works(const char *path, int fd, char *why, size_t size)
{
    struct stat opened, named;
    int probe = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (probe < 0) {
        snprintf(why, size, "%s cannot be read: %s.", path, strerror(errno));
        return false;
    }
    close(probe);
    if (stat(path, &named) != 0) {
        snprintf(why, size, "%s is not there any more: %s. Make it again, and restart mcpd.", path,
                 strerror(errno));
        return false;
    }
    if (fstat(fd, &opened) == 0 && opened.st_dev == named.st_dev && opened.st_ino == named.st_ino)
        return true;
    snprintf(why, size,
             "%s is another directory than it was, and the old one is still served: restart mcpd.",
             path);
    return false;
}

int open_beneath(int directory, const char *path, int flags, uint64_t resolve)
{
    struct open_how how = {
        .flags = (unsigned)flags | (unsigned)O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | resolve,
    };
    /* EAGAIN: something was renamed while ".." was resolved, and the kernel could not
     * be sure. Somebody who renames all the time must not keep us here for ever. */
    for (int attempt = 0; attempt < 1000; attempt++) {
        long fd = syscall(SYS_openat2, directory, path, &how, sizeof(how));
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
            return (int)fd;
    }
    return -1;
}

const char *type_phrase(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        return "a file";
    case S_IFDIR:
        return "a directory";
    case S_IFLNK:
        return "a symbolic link";
    case S_IFIFO:
        return "a FIFO";
    case S_IFSOCK:
        return "a socket";
    default:
        return "a device";
    }
}
