/* SPDX-License-Identifier: MIT */
/* Directories of tests. */
#include "files.h"

#include <check.h>
#include <dirent.h>
#include <ftw.h>
#include <stdio.h>

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

int files_open(void)
{
    return files_count("/proc/self/fd") - 1; /* the one it is read with */
}
