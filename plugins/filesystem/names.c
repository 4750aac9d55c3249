/* SPDX-License-Identifier: MIT */
/* The names in a directory, sorted, with a cap; and how entries are shown. */
#include "filesystem.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "encoding.h"

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted; what is past the first `keep` is dropped. */
static void sort_and_cut(struct names *names, size_t keep)
{
    if (names->count > 1)
        qsort(names->items, names->count, sizeof(names->items[0]), by_name);
    while (names->count > keep) {
        free(names->items[--names->count]);
        names->cut = true;
    }
}

static void names_free(struct names *names)
{
    sort_and_cut(names, 0);
    free(names->items);
}

static bool names_add(struct names *names, const char *name)
{
    if (names->count == names->capacity) {
        size_t capacity = names->capacity == 0 ? 64 : names->capacity * 2;
        char **items = realloc(names->items, capacity * sizeof(items[0]));
        if (items == NULL)
            return false;
        names->items = items;
        names->capacity = capacity;
    }
    char *copy = strdup(name);
    if (copy == NULL)
        return false;
    names->items[names->count++] = copy;
    return true;
}

/* False with errno. */
static bool read_names(DIR *directory, size_t keep, struct mcp_call *call, struct names *names)
{
    for (size_t seen = 1;; seen++) {
        errno = 0;
        // cppcheck-suppress readdirCalled ; one directory stream, one thread
        struct dirent *entry = readdir(directory);
        if (entry == NULL) {
            if (errno != 0)
                return false;
            break;
        }
        if (seen % 1024 == 0 && call->ops->is_cancelled(call)) {
            names->cancelled = true;
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (names->prefix != NULL &&
            strncmp(entry->d_name, names->prefix, strlen(names->prefix)) != 0)
            continue;
        if (!names_add(names, entry->d_name)) {
            errno = ENOMEM;
            return false;
        }
        if (names->count >= 2 * keep + 1024)
            sort_and_cut(names, keep);
    }
    sort_and_cut(names, keep);
    return true;
}

DIR *names_open(int fd, size_t keep, struct mcp_call *call, struct names *names)
{
    *names = (struct names){.prefix = names->prefix};
    DIR *directory = fdopendir(fd);
    if (directory == NULL) {
        int error = errno;
        close(fd);
        errno = error;
        return NULL;
    }
    if (read_names(directory, keep, call, names))
        return directory;
    names_close(directory, names);
    return NULL;
}

void names_close(DIR *directory, struct names *names)
{
    int error = errno;
    names_free(names);
    closedir(directory);
    errno = error;
}

void add_time(struct text *t, int64_t seconds)
{
    char out[40] = "";
    struct tm tm;
    time_t when = (time_t)seconds;
    if (gmtime_r(&when, &tm) != NULL)
        strftime(out, sizeof(out), "%Y-%m-%dT%H:%M:%SZ", &tm);
    text_adds(t, out);
}

const char *type_word(mode_t mode)
{
    return S_ISREG(mode)   ? "file"
           : S_ISDIR(mode) ? "directory"
           : S_ISLNK(mode) ? "symlink"
                           : "other";
}

void add_shown_name(struct text *t, const char *name, size_t size)
{
    bool plain = utf8_prefix(name, size) == size;
    for (size_t i = 0; plain && i < size; i++)
        plain = (unsigned char)name[i] >= 0x20 && name[i] != 0x7f;
    if (plain)
        text_add(t, name, size);
    else
        text_add_string(t, name, size);
}
