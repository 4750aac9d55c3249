/* SPDX-License-Identifier: MIT */
/* Regular files: which may be read, and reading one whole. */
#include "filesystem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "encoding.h"
#include "reading.h"

/* Files that no disk has: reading one may wait for the kernel, or do something. */
bool file_is_kernels(int fd)
{
    struct statfs fs;
    if (fstatfs(fd, &fs) != 0)
        return false;
    switch ((unsigned long)fs.f_type) {
    case PROC_SUPER_MAGIC:
    case SYSFS_MAGIC:
    case DEBUGFS_MAGIC:
    case TRACEFS_MAGIC:
    case SECURITYFS_MAGIC:
    case BPF_FS_MAGIC:
    case CGROUP_SUPER_MAGIC:
    case CGROUP2_SUPER_MAGIC:
    case DEVPTS_SUPER_MAGIC:
    case EFIVARFS_MAGIC:
        return true;
    default:
        return false;
    }
}

/* Ends the call unless this is a file that may be read. */
static bool check_file(const struct place *place, struct mcp_call *call, const struct stat *st)
{
    if (S_ISDIR(st->st_mode)) {
        fail_call(call, "%.*s is a directory; list_directory tells what is in it.",
                  SHOW(place->given));
        return false;
    }
    if (!S_ISREG(st->st_mode)) {
        fail_call(call, "%.*s is %s; only regular files can be read.", SHOW(place->given),
                  type_phrase(st->st_mode));
        return false;
    }
    /* A second name may stand anywhere on the same file system: no resolving can tell. */
    if (st->st_nlink > 1 && !place->fs->allow_hard_links) {
        fail_call(call,
                  "%.*s has further hard links, perhaps outside of the allowed directory; "
                  "such files are read only if the operator sets allow_hard_links.",
                  SHOW(place->given));
        return false;
    }
    return true;
}

/* Looks before it opens: opening a device may already do something. A swap between the
 * two is caught by the second look; O_NONBLOCK keeps a FIFO from holding us. */
int file_open(const struct place *place, struct mcp_call *call, struct stat *st)
{
    static const int steps[2] = {O_PATH, O_RDONLY | O_NONBLOCK | O_NOCTTY};
    int fd = -1;
    for (int step = 0; step < 2; step++) {
        if (fd >= 0)
            close(fd);
        fd = place_open(place, steps[step]);
        if (fd < 0 || fstat(fd, st) != 0) {
            place_fail(place, call, errno, "read");
            break;
        }
        if (!check_file(place, call, st))
            break;
        if (file_is_kernels(fd)) {
            fail_call(call, "%.*s is a file of the kernel's, not of a disk; it is not read.",
                      SHOW(place->given));
            break;
        }
        if (step == 1)
            return fd;
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

/* False with errno; EFBIG when there is more than `max`. */
static bool read_whole(int fd, int64_t max, struct mcp_call *call, struct text *content)
{
    char chunk[64 * 1024];
    for (;;) {
        ssize_t got = read(fd, chunk, sizeof(chunk));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0;
        if ((int64_t)content->size + got > max) {
            errno = EFBIG;
            return false;
        }
        text_add(content, chunk, (size_t)got);
        if (content->failed || call->ops->is_cancelled(call)) {
            errno = content->failed ? ENOMEM : ECANCELED;
            return false;
        }
    }
}

bool file_read_all(const struct place *place, struct mcp_call *call, struct text *content,
                   struct stat *st)
{
    int64_t max = place->fs->max_file_size;
    int fd = file_open(place, call, st);
    if (fd < 0)
        return false;
    errno = EFBIG;
    bool good = st->st_size <= max && read_whole(fd, max, call, content);
    int error = errno;
    close(fd);
    if (good)
        return true;
    if (error == EFBIG)
        fail_call(call,
                  "%.*s has %lld bytes, more than the %lld that are read at once; read_file reads "
                  "it in parts, with offset and limit.",
                  SHOW(place->given), (long long)st->st_size, (long long)max);
    else if (error == ECANCELED)
        fail_call(call, "The call was cancelled.");
    else
        place_fail(place, call, error, "read");
    return false;
}

bool is_text(const char *data, size_t size, bool whole)
{
    if (size == 0)
        return true;
    size_t good = utf8_prefix(data, size);
    return memchr(data, '\0', size) == NULL &&
           (good == size || (!whole && utf8_unfinished(data + good, size - good)));
}
