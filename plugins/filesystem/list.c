/* SPDX-License-Identifier: MIT */
/* list_directory: names, types, sizes and times, sorted by name, with a cap. */
#include "filesystem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "encoding.h"
#include "reading.h"
#include "text.h"

#define DEPTH_MAX 64 /* each level holds a descriptor open */

/* One listing. */
struct listing {
    struct place place;
    struct mcp_call *call;
    bool recursive;
    size_t max;
    size_t count;
    struct text words, json;
    char path[PATH_MAX]; /* of the directory being listed, from where we began; "" or "a/b/" */
    const char *truncated; /* NULL, or why: a clause */
    bool cancelled;
};

static void add_entry(struct listing *l, const char *name, const struct stat *st)
{
    char path[PATH_MAX * 2];
    int size = snprintf(path, sizeof(path), "%s%s", l->path, name);
    const char *type = type_word(st->st_mode);

    text_adds(&l->json, l->count > 0 ? ",{\"name\":" : "{\"name\":");
    text_add_string(&l->json, path, (size_t)size);
    text_addf(&l->json, ",\"type\":\"%s\",\"size\":%lld,\"modified\":\"", type,
              (long long)st->st_size);
    add_time(&l->json, st->st_mtim.tv_sec);
    text_adds(&l->json, "\"");
    if (utf8_prefix(path, (size_t)size) != (size_t)size)
        text_adds(&l->json, ",\"invalid_name\":true");
    text_adds(&l->json, "}");

    text_addf(&l->words, "%-9s %12lld  ", type, (long long)st->st_size);
    add_time(&l->words, st->st_mtim.tv_sec);
    text_adds(&l->words, "  ");
    add_shown_name(&l->words, path, (size_t)size);
    text_adds(&l->words, "\n");
    l->count++;
}

static bool list_level(struct listing *l, int fd, int depth);

/* What cannot be opened below where we began is listed and not entered. */
static bool enter(struct listing *l, int fd, const char *name, int depth)
{
    size_t length = strlen(l->path);
    if (depth >= DEPTH_MAX || length + strlen(name) + 2 > sizeof(l->path)) {
        l->truncated = "directories are nested too deeply";
        return true;
    }
    int child = place_open_at(l->place.fs, fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
                              RESOLVE_NO_SYMLINKS);
    if (child < 0)
        return true;
    snprintf(l->path + length, sizeof(l->path) - length, "%s/", name);
    bool good = list_level(l, child, depth + 1);
    l->path[length] = '\0';
    return good || errno == EACCES || errno == ENOENT || errno == EXDEV;
}

static bool list_names(struct listing *l, int fd, const struct names *names, int depth)
{
    for (size_t i = 0; i < names->count && !l->cancelled; i++) {
        struct stat st;
        if (fstatat(fd, names->items[i], &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue; /* it has just gone */
        if (l->count == l->max) {
            l->truncated = "there are more entries than are listed at once";
            return true;
        }
        add_entry(l, names->items[i], &st);
        if (l->recursive && S_ISDIR(st.st_mode) && !enter(l, fd, names->items[i], depth))
            return false;
        if (i % 256 == 255 && l->call->ops->is_cancelled(l->call))
            l->cancelled = true;
    }
    if (names->cut && l->truncated == NULL)
        l->truncated = "there are more entries than are listed at once";
    return true;
}

/* Lists the open directory; takes fd. False with errno. */
static bool list_level(struct listing *l, int fd, int depth)
{
    struct names names = {.prefix = NULL};
    DIR *directory = names_open(fd, l->max - l->count + 1, l->call, &names);
    if (directory == NULL)
        return false;
    l->cancelled = l->cancelled || names.cancelled;
    bool good = list_names(l, dirfd(directory), &names, depth);
    names_close(directory, &names);
    return good;
}

static int32_t finish_list(struct listing *l)
{
    struct mcp_call *call = l->call;
    text_addf(&l->json, "],\"count\":%zu,\"truncated\":%s", l->count,
              l->truncated != NULL ? "true" : "false");
    if (l->truncated != NULL) {
        text_addf(&l->json, ",\"truncated_because\":\"%s\"", l->truncated);
        text_addf(&l->words, "[Not complete: %s. List a directory further down.]\n", l->truncated);
    } else if (l->count == 0) {
        text_adds(&l->words, "The directory is empty.\n");
    }
    text_adds(&l->json, "}");
    if (l->json.failed || l->words.failed)
        return fail_call(call, "mcpd is out of memory; list a directory further down.");
    call->ops->finish_structured(call, text_bytes(&l->words), text_bytes(&l->json));
    return MCP_OK;
}

int32_t list_directory(const struct filesystem *fs, struct mcp_call *call)
{
    struct listing *l = calloc(1, sizeof(*l));
    if (l == NULL)
        return fail_call(call, "mcpd is out of memory.");
    l->call = call;
    l->max = (size_t)fs->max_entries;
    text_init(&l->json, SIZE_MAX / 4);
    text_init(&l->words, SIZE_MAX / 4);
    if (!argument_bool(call, "/recursive", &l->recursive) || !place_find(fs, call, &l->place))
        goto out;
    text_adds(&l->json, "{\"path\":");
    text_add_string(&l->json, l->place.given.data, l->place.given.size);
    text_adds(&l->json, ",\"entries\":[");
    int fd = place_open(&l->place, O_RDONLY | O_DIRECTORY);
    if (fd < 0 || !list_level(l, fd, 0)) {
        if (errno == ENOTDIR)
            fail_call(call, "%.*s is not a directory; read_file reads files.",
                      SHOW(l->place.given));
        else
            place_fail(&l->place, call, errno, "list");
    } else if (l->cancelled) {
        fail_call(call, "The call was cancelled.");
    } else {
        finish_list(l);
    }
out:
    text_free(&l->json);
    text_free(&l->words);
    free(l);
    return MCP_OK;
}
