/* SPDX-License-Identifier: MIT */
/* read_text_file: a text, or the lines at its beginning or at its end. */
#include "filesystem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "encoding.h"
#include "reading.h"

#define LINES_MAX 100000000

struct lines {
    struct place place;
    int64_t head, tail; /* 0: not asked for */
    int64_t size; /* of the file */
    size_t max;
    struct text content;
    bool cut; /* there is more than fits */
};

/* Where the `count`th newline ends its line in data; size if there are fewer. */
static size_t end_of_lines(const char *data, size_t size, int64_t count)
{
    size_t at = 0;
    while (count-- > 0) {
        const char *newline = memchr(data + at, '\n', size - at);
        if (newline == NULL)
            return size;
        at = (size_t)(newline - data) + 1;
    }
    return at;
}

static bool has_lines(const char *data, size_t size, int64_t count)
{
    for (size_t i = 0; i < size && count > 0; i++)
        count -= data[i] == '\n';
    return count == 0;
}

/* Where the last `count` lines begin; a newline at the very end begins none. */
static size_t start_of_lines(const char *data, size_t size, int64_t count)
{
    size_t at = size > 0 && data[size - 1] == '\n' ? size - 1 : size;
    while (at > 0) {
        const char *newline = memrchr(data, '\n', at);
        if (newline == NULL)
            return 0;
        if (--count == 0)
            return (size_t)(newline - data) + 1;
        at = (size_t)(newline - data);
    }
    return 0;
}

/* From `at`, as much as fits. False with errno. */
static bool read_from(struct lines *l, int fd, int64_t at, struct mcp_call *call)
{
    char chunk[64 * 1024];
    while (l->content.size < l->max) {
        size_t left = l->max - l->content.size;
        ssize_t got = pread(fd, chunk, left < sizeof(chunk) ? left : sizeof(chunk),
                            at + (int64_t)l->content.size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return false;
        if (got == 0)
            return true;
        text_add(&l->content, chunk, (size_t)got);
        errno = call->ops->is_cancelled(call) ? ECANCELED : ENOMEM;
        if (l->content.failed || errno == ECANCELED)
            return false;
        if (l->head > 0 &&
            end_of_lines(l->content.data, l->content.size, l->head) < l->content.size)
            return true;
    }
    char more;
    l->cut = pread(fd, &more, 1, at + (int64_t)l->content.size) > 0;
    return true;
}

static void drop_front(struct text *t, size_t size)
{
    memmove(t->data, t->data + size, t->size - size);
    text_cut(t, t->size - size);
}

/* Leaves the lines asked for. */
static void cut_lines(struct lines *l, bool began_inside)
{
    struct text *t = &l->content;
    if (t->size == 0)
        return;
    if (l->head > 0) {
        size_t end = end_of_lines(t->data, t->size, l->head);
        l->cut = l->cut && !has_lines(t->data, t->size, l->head);
        text_cut(t, end);
    } else if (l->tail > 0) {
        size_t start = start_of_lines(t->data, t->size, l->tail);
        l->cut = began_inside && start == 0;
        /* What is cut in front begins with a whole character. */
        while (l->cut && start < t->size && start < 4 &&
               ((unsigned char)t->data[start] & 0xc0) == 0x80)
            start++;
        drop_front(t, start);
    }
    if ((l->head > 0 || l->tail > 0) && t->size > 0 && t->data[t->size - 1] == '\n')
        text_cut(t, t->size - 1);
}

static bool check_text(struct lines *l, struct mcp_call *call)
{
    struct text *t = &l->content;
    if (t->size == 0)
        return true;
    size_t good = utf8_prefix(t->data, t->size);
    bool cut_at_end = l->cut && l->tail == 0;
    if (is_text(t->data, t->size, !cut_at_end)) {
        text_cut(t, good);
        return true;
    }
    fail_call(call, "%.*s is not UTF-8 text; read_file with the encoding \"base64\" reads it.",
              SHOW(l->place.given));
    return false;
}

/* The mark stands where something is missing. */
static int32_t finish(const struct lines *l, struct mcp_call *call)
{
    struct text json, mark;
    text_init(&json, SIZE_MAX / 4);
    text_init(&mark, 1024);
    if (l->cut)
        text_addf(&mark,
                  "[Not complete: %zu of %" PRId64 " bytes; read_file goes on from an offset.]",
                  l->content.size, l->size);
    text_adds(&json, "{\"content\":[");
    if (l->cut && l->tail > 0)
        text_addf(&json, "{\"type\":\"text\",\"text\":\"%s\"},", mark.data);
    text_adds(&json, "{\"type\":\"text\",\"text\":");
    text_add_string(&json, l->content.data, l->content.size);
    text_adds(&json, "}");
    if (l->cut && l->tail == 0)
        text_addf(&json, ",{\"type\":\"text\",\"text\":\"%s\"}", mark.data);
    text_adds(&json, "],\"structuredContent\":{\"path\":");
    text_add_string(&json, l->place.given.data, l->place.given.size);
    text_adds(&json, ",\"content\":");
    text_add_string(&json, l->content.data, l->content.size);
    text_addf(&json, ",\"size\":%" PRId64 ",\"truncated\":%s}}", l->size,
              l->cut ? "true" : "false");
    if (json.failed)
        fail_call(call, "mcpd is out of memory.");
    else
        call->ops->finish_result(call, text_bytes(&json));
    text_free(&json);
    text_free(&mark);
    return MCP_OK;
}

static bool read_arguments(const struct filesystem *fs, struct mcp_call *call, struct lines *l)
{
    if (!argument_integer(call, "/head", 1, LINES_MAX, &l->head) ||
        !argument_integer(call, "/tail", 1, LINES_MAX, &l->tail))
        return false;
    if (l->head > 0 && l->tail > 0) {
        fail_call(call, "Give head or tail, not both.");
        return false;
    }
    return place_find(fs, call, &l->place);
}

int32_t read_text_file(const struct filesystem *fs, struct mcp_call *call)
{
    struct lines l = {.max = (size_t)fs->max_output};
    struct stat st;
    text_init(&l.content, l.max);
    if (!read_arguments(fs, call, &l))
        return MCP_OK;
    int fd = file_open(&l.place, call, &st);
    if (fd < 0)
        return MCP_OK;
    l.size = st.st_size;
    int64_t at = l.tail > 0 && l.size > (int64_t)l.max ? l.size - (int64_t)l.max : 0;
    if (!read_from(&l, fd, at, call)) {
        if (errno == ECANCELED)
            fail_call(call, "The call was cancelled.");
        else
            place_fail(&l.place, call, errno, "read");
    } else {
        cut_lines(&l, at > 0);
        if (check_text(&l, call))
            finish(&l, call);
    }
    close(fd);
    text_free(&l.content);
    return MCP_OK;
}
