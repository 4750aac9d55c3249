/* SPDX-License-Identifier: MIT */
/* get_file_info and list_allowed_directories. */
#include "filesystem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reading.h"

static void add_moment(struct text *words, struct text *json, const char *name,
                       const struct statx_timestamp *when)
{
    text_addf(words, "%s: ", name);
    add_time(words, when->tv_sec);
    text_adds(words, "\n");
    text_addf(json, ",\"%s\":\"", name);
    add_time(json, when->tv_sec);
    text_adds(json, "\"");
}

static int32_t finish_info(const struct place *place, const struct statx *st, struct mcp_call *call)
{
    struct text words, json;
    mode_t mode = st->stx_mode;
    text_init(&words, 64 * 1024);
    text_init(&json, 64 * 1024);
    text_addf(&words, "size: %llu\n", (unsigned long long)st->stx_size);
    text_adds(&json, "{\"path\":");
    text_add_string(&json, place->given.data, place->given.size);
    text_addf(&json, ",\"type\":\"%s\",\"size\":%llu", type_word(mode),
              (unsigned long long)st->stx_size);
    if ((st->stx_mask & STATX_BTIME) != 0)
        add_moment(&words, &json, "created", &st->stx_btime);
    add_moment(&words, &json, "modified", &st->stx_mtime);
    add_moment(&words, &json, "accessed", &st->stx_atime);
    text_addf(&words, "isDirectory: %s\nisFile: %s\npermissions: %03o\nhardLinks: %u\n",
              S_ISDIR(mode) ? "true" : "false", S_ISREG(mode) ? "true" : "false", mode & 0777,
              st->stx_nlink);
    text_addf(&json, ",\"isDirectory\":%s,\"isFile\":%s,\"permissions\":\"%03o\",\"hardLinks\":%u}",
              S_ISDIR(mode) ? "true" : "false", S_ISREG(mode) ? "true" : "false", mode & 0777,
              st->stx_nlink);
    return finish_call(call, &words, &json);
}

int32_t get_file_info(const struct filesystem *fs, struct mcp_call *call)
{
    struct place place;
    struct statx st;
    if (!place_find(fs, call, &place))
        return MCP_OK;
    int fd = place_open(&place, O_PATH);
    if (fd < 0)
        return place_fail(&place, call, errno, "look at");
    int result = statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &st);
    int error = errno;
    close(fd);
    if (result != 0)
        return place_fail(&place, call, error, "look at");
    return finish_info(&place, &st, call);
}

int32_t list_allowed_directories(const struct filesystem *fs, struct mcp_call *call)
{
    struct text words, json;
    text_init(&words, SIZE_MAX / 4);
    text_init(&json, SIZE_MAX / 4);
    text_adds(&words, "Allowed directories:");
    text_adds(&json, "{\"directories\":[");
    for (size_t i = 0; i < fs->roots.count; i++) {
        const char *path = fs->roots.items[i].path;
        text_adds(&words, "\n");
        add_shown_name(&words, path, strlen(path));
        text_adds(&json, i > 0 ? "," : "");
        text_add_string(&json, path, strlen(path));
    }
    text_addf(&json, "],\"read_only\":%s}", fs->read_only ? "true" : "false");
    return finish_call(call, &words, &json);
}
