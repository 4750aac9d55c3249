/* SPDX-License-Identifier: MIT */
/* list_directory_with_sizes: one directory, with sizes and their sum. */
#include "filesystem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reading.h"

struct sized {
    const char *name;
    int64_t size;
    bool is_directory;
};

static int by_size(const void *a, const void *b)
{
    const struct sized *one = a, *other = b;
    if (one->size != other->size)
        return one->size < other->size ? 1 : -1;
    return strcmp(one->name, other->name);
}

static void add_size(struct text *t, int64_t bytes, int width)
{
    static const char *const units[] = {"KB", "MB", "GB", "TB"};
    char out[40];
    double size = (double)bytes / 1024;
    size_t unit = 0;
    for (; size >= 1024 && unit < 3; unit++)
        size /= 1024;
    if (bytes < 1024)
        snprintf(out, sizeof(out), "%lld B", (long long)bytes);
    else
        snprintf(out, sizeof(out), "%.2f %s", size, units[unit]);
    text_addf(t, "%*s", width, out);
}

/* Those whose names are still there; how many. */
static size_t look(int directory, const struct names *names, size_t count, struct sized *out)
{
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        struct stat st;
        if (fstatat(directory, names->items[i], &st, AT_SYMLINK_NOFOLLOW) == 0)
            out[used++] = (struct sized){names->items[i], S_ISDIR(st.st_mode) ? 0 : st.st_size,
                                         S_ISDIR(st.st_mode)};
    }
    return used;
}

/* Up to 30 characters. */
static int padding(const struct text *t, size_t from)
{
    int width = 30;
    for (size_t i = from; i < t->size && width > 0; i++)
        width -= ((unsigned char)t->data[i] & 0xc0) != 0x80;
    return width;
}

static void add_entries(struct text *words, struct text *json, const struct sized *entries,
                        size_t count)
{
    int64_t sum = 0;
    size_t directories = 0;
    for (size_t i = 0; i < count; i++) {
        const struct sized *e = &entries[i];
        text_adds(words, e->is_directory ? "[DIR] " : "[FILE] ");
        size_t from = words->size;
        add_shown_name(words, e->name, strlen(e->name));
        text_addf(words, "%*s", padding(words, from), "");
        text_adds(words, " ");
        if (!e->is_directory)
            add_size(words, e->size, 10);
        text_adds(words, "\n");
        text_adds(json, i > 0 ? ",{\"name\":" : "{\"name\":");
        text_add_string(json, e->name, strlen(e->name));
        text_addf(json, ",\"type\":\"%s\",\"size\":%lld}", e->is_directory ? "directory" : "file",
                  (long long)e->size);
        sum += e->size;
        directories += e->is_directory;
    }
    text_addf(words, "\nTotal: %zu files, %zu directories\nCombined size: ", count - directories,
              directories);
    add_size(words, sum, 0);
    text_addf(json, "],\"files\":%zu,\"directories\":%zu,\"total_size\":%lld", count - directories,
              directories, (long long)sum);
}

static int32_t finish(const struct place *place, struct mcp_call *call, const struct names *names,
                      int directory, bool by_sizes)
{
    size_t max = (size_t)place->fs->max_entries;
    size_t count = names->count < max ? names->count : max;
    struct sized *entries = calloc(count + 1, sizeof(entries[0]));
    struct text words, json;
    if (entries == NULL)
        return fail_call(call, "mcpd is out of memory.");
    text_init(&words, SIZE_MAX / 4);
    text_init(&json, SIZE_MAX / 4);
    count = look(directory, names, count, entries);
    if (by_sizes && count > 1)
        qsort(entries, count, sizeof(entries[0]), by_size);
    text_adds(&json, "{\"path\":");
    text_add_string(&json, place->given.data, place->given.size);
    text_adds(&json, ",\"entries\":[");
    add_entries(&words, &json, entries, count);
    add_truncated(
        &words, &json,
        names->cut || names->count > max ? "there are more entries than are listed at once" : NULL);
    text_adds(&json, "}");
    free(entries);
    return finish_call(call, &words, &json);
}

int32_t list_directory_with_sizes(const struct filesystem *fs, struct mcp_call *call)
{
    struct place place;
    struct names names = {.prefix = NULL};
    struct mcp_bytes order = MCP_STR("name");
    if (!argument_string(call, "/sortBy", &order) || !place_find(fs, call, &place))
        return MCP_OK;
    if (!bytes_are(order, "name") && !bytes_are(order, "size"))
        return fail_call(call, "sortBy must be \"name\" or \"size\".");
    int fd = place_open(&place, O_RDONLY | O_DIRECTORY);
    DIR *directory = fd >= 0 ? names_open(fd, (size_t)fs->max_entries + 1, call, &names) : NULL;
    if (directory == NULL)
        return errno == ENOTDIR ? fail_call(call,
                                            "%.*s is not a directory; get_file_info tells "
                                            "of files.",
                                            SHOW(place.given))
                                : place_fail(&place, call, errno, "list");
    if (names.cancelled)
        fail_call(call, "The call was cancelled.");
    else
        finish(&place, call, &names, dirfd(directory), bytes_are(order, "size"));
    names_close(directory, &names);
    return MCP_OK;
}
