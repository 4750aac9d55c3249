/* SPDX-License-Identifier: MIT */
/* Comparing with the originals, which are read anew each time: they are few, and a
 * package may have been upgraded. */
#include "plugin/bundled.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "plugin/load.h"

/* The directory of the originals; -1: there is none. */
static int open_originals(void)
{
    static const char beside[] = "plugins";
    char path[4096];
    ssize_t size = readlink("/proc/self/exe", path, sizeof(path) - sizeof(beside) - 1);
    int fd = -1;
    if (size > 0) {
        path[size] = '\0';
        memcpy(strrchr(path, '/') + 1, beside, sizeof(beside));
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    return fd >= 0 ? fd : open(MCPD_LIBEXEC_DIR "/bundled", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

bool bundled_has(const char *name, const unsigned char hash[32])
{
    unsigned char original[32];
    struct error err;
    int fd = open_originals();
    /* The same rules as for a plugin: owned by root or us, writable by nobody else. */
    bool same = fd >= 0 && image_hash(fd, name, original, &err) &&
                memcmp(original, hash, sizeof(original)) == 0;
    if (fd >= 0)
        close(fd);
    return same;
}
