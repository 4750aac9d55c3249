/* SPDX-License-Identifier: MIT */
/* For the tests of the configuration: a directory for each test, and what was
 * complained about. */
#ifndef CONFIG_DIRECTORY_H
#define CONFIG_DIRECTORY_H

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/reading.h"
#include "files.h"
#include "suite.h"

static char directory[] = "/tmp/test-config-XXXXXX";
static char path[256]; /* of mcpd.json in it */
static struct buf lines;

static inline void setup(void)
{
    strcpy(directory, "/tmp/test-config-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/mcpd.json", directory);
    buf_init(&lines, 1 << 20);
}

static inline void teardown(void)
{
    files_remove(directory);
    buf_free(&lines);
}

static inline void write_bytes(const char *name, const char *data, size_t size)
{
    char file[512];
    snprintf(file, sizeof(file), "%s/%s", directory, name);
    char *slash = strrchr(file, '/');
    *slash = '\0';
    ck_assert(mkdir(file, 0755) == 0 || errno == EEXIST);
    *slash = '/';
    FILE *out = fopen(file, "w");
    ck_assert_ptr_nonnull(out);
    ck_assert_uint_eq(fwrite(data, 1, size, out), size);
    ck_assert_int_eq(fclose(out), 0);
    ck_assert_int_eq(chmod(file, 0644), 0);
}

static inline void write_text(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text));
}

static inline void change_mode(const char *name, mode_t mode)
{
    char file[512];
    snprintf(file, sizeof(file), "%s/%s", directory, name);
    ck_assert_int_eq(chmod(file, mode), 0);
}

/* Keeps the lines, without the name of the directory. */
static inline void keep(void *context, const char *line)
{
    ck_assert_ptr_eq(context, &lines);
    ck_assert_ptr_null(strchr(line, '\n'));
    size_t size = strlen(directory);
    while (*line != '\0') {
        if (strncmp(line, directory, size) == 0 && line[size] == '/') {
            line += size + 1;
            continue;
        }
        buf_add_char(&lines, *line++);
    }
    buf_add_char(&lines, '\n');
}

static inline const char *complaints(void)
{
    return lines.data != NULL ? lines.data : "";
}

/* Loads; fails the test unless exactly `expected` was complained about. */
static inline void expect_complaints(const char *expected)
{
    buf_clear(&lines);
    struct config *config = config_load(path, keep, &lines);
    ck_assert_str_eq(complaints(), expected);
    ck_assert_ptr_null(config);
}

static inline struct config *expect_good(void)
{
    buf_clear(&lines);
    struct config *config = config_load(path, keep, &lines);
    ck_assert_str_eq(complaints(), "");
    ck_assert_ptr_nonnull(config);
    return config;
}

static inline struct config *load_text(const char *text)
{
    write_text("mcpd.json", text);
    return expect_good();
}

static inline void assert_settings_equal(const struct config *a, const struct config *b)
{
    for (size_t i = 0; i < config_setting_count; i++)
        ck_assert_msg(setting_equal(&config_settings[i], a, b), "%s", config_settings[i].pointer);
    ck_assert_uint_eq(a->listens, b->listens);
    for (size_t i = 0; i < a->listens; i++) {
        ck_assert_str_eq(a->listen[i].address, b->listen[i].address);
        ck_assert_uint_eq(a->listen[i].port, b->listen[i].port);
        ck_assert_int_eq(a->listen[i].allow_remote, b->listen[i].allow_remote);
    }
}

#endif
