/* SPDX-License-Identifier: MIT */
/* Where the samples are. */
#include "samples.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct buf file_read(const char *path)
{
    struct buf content;
    char piece[65536];
    size_t size;
    buf_init(&content, 64u << 20);
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s cannot be opened (make test-plugins?)", path);
    while ((size = fread(piece, 1, sizeof(piece), file)) > 0)
        buf_add(&content, piece, size);
    fclose(file);
    ck_assert(!content.failed);
    return content;
}

struct buf sample_read(const char *name)
{
    char program[4096], path[4400];
    const char *given = getenv("MCPD_TEST_PLUGINS");
    if (given != NULL) {
        snprintf(path, sizeof(path), "%s/%s.so", given, name);
        return file_read(path);
    }
    ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
    ck_assert_int_gt(length, 0);
    program[length] = '\0';
    *strrchr(program, '/') = '\0';
    snprintf(path, sizeof(path), "%s/../plugins/%s.so", program, name);
    return file_read(path);
}
