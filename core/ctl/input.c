/* SPDX-License-Identifier: MIT */
/* The files that commands are given. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl.h"

#define PIECE 65536

const char *ctl_shown(const char *file)
{
    return strcmp(file, "-") == 0 ? "(standard input)" : file;
}

/* True at the end of the file; else errno says why not. */
static bool read_all(int fd, struct buf *content)
{
    char piece[PIECE];
    ssize_t got;

    while ((got = read(fd, piece, sizeof(piece))) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return false;
        buf_add(content, piece, (size_t)got);
        if (content->failed) {
            errno = EFBIG;
            return false;
        }
    }
    return true;
}

bool ctl_read_file(const char *file, struct buf *content, size_t max)
{
    bool given = strcmp(file, "-") == 0;
    int fd = given ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    buf_init(content, max);
    bool ok = fd >= 0 && read_all(fd, content);
    if (!ok && errno == EFBIG)
        ctl_complain("%s: too large: expected at most %zu bytes", ctl_shown(file), max);
    else if (!ok)
        ctl_complain("%s: cannot be read: %s", ctl_shown(file), strerrordesc_np(errno));
    if (fd >= 0 && !given)
        close(fd);
    return ok;
}
