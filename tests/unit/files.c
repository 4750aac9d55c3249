/* SPDX-License-Identifier: MIT */
/* Directories of tests. */
#include "files.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st, (void)type, (void)walk;
    return remove(path);
}

void files_remove(const char *directory)
{
    ck_assert_int_eq(nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

int files_count(const char *directory)
{
    DIR *stream = opendir(directory);
    ck_assert_ptr_nonnull(stream);
    int count = 0;
    while (readdir(stream) != NULL)
        count++;
    closedir(stream);
    return count - 2;
}

const char *files_path(const char *directory, const char *name)
{
    static _Thread_local char paths[4][8192];
    static _Thread_local unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
    return path;
}

void files_put(const char *path, const void *data, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
    ck_assert_int_eq(write(fd, data, size), (ssize_t)size);
    close(fd);
}

char *files_get(const char *path)
{
    static _Thread_local char data[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
    ssize_t size = read(fd, data, sizeof(data) - 1);
    close(fd);
    ck_assert_int_ge(size, 0);
    data[size] = '\0';
    return data;
}

void files_nest(const char *directory, int depth)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < depth; i++) {
        ck_assert_int_eq(mkdirat(fd, "d", 0755), 0);
        int next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        close(fd);
        fd = next;
    }
    close(fd);
}

bool files_openat2(void)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC};
    long fd = syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof(how));
    if (fd >= 0)
        close((int)fd);
    return fd >= 0 || errno != ENOSYS;
}

int files_open(void)
{
    return files_count("/proc/self/fd") - 1; /* the one it is read with */
}
