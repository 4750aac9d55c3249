/* SPDX-License-Identifier: MIT */
/* read_multiple_files: texts one after the other; one that cannot be read does not keep
 * the others. */
#include "filesystem.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "encoding.h"
#include "reading.h"

#define FILES_MAX 1000

struct several {
    const struct filesystem *fs;
    struct mcp_call *call;
    struct text words, json;
    size_t left; /* bytes that the contents may still have */
    size_t count;
    bool cut;
};

/* As much of it as there is room for. False: the inner call has a failure. */
static bool read_some(struct several *s, const struct place *place, struct mcp_call *call,
                      struct text *content, bool *cut)
{
    struct stat st;
    int fd = file_open(place, call, &st);
    if (fd < 0)
        return false;
    ssize_t got = 1;
    int error = 0;
    while (got > 0 && !content->failed) {
        char chunk[64 * 1024];
        size_t left = s->left - content->size;
        *cut = left == 0;
        size_t want = left == 0 ? 1 : left < sizeof(chunk) ? left : sizeof(chunk);
        got = pread(fd, chunk, want, (off_t)content->size);
        error = errno;
        if (left == 0)
            break;
        if (got > 0)
            text_add(content, chunk, (size_t)got);
        if (got < 0 && error == EINTR)
            got = 1;
    }
    *cut = *cut && got > 0;
    close(fd);
    if (got < 0) {
        place_fail(place, call, error, "read");
        return false;
    }
    if (content->size > 0 && !is_text(content->data, content->size, !*cut)) {
        fail_call(call, "%.*s is not UTF-8 text; read_file with the encoding \"base64\" reads it.",
                  SHOW(place->given));
        return false;
    }
    if (content->size > 0)
        text_cut(content, utf8_prefix(content->data, content->size));
    return true;
}

static void add_file(struct several *s, struct mcp_bytes path, const struct text *content, bool cut)
{
    text_add_utf8(&s->words, path.data, path.size);
    text_adds(&s->words, ":\n");
    text_add(&s->words, content->data, content->size);
    text_adds(&s->words, "\n");
    if (cut)
        text_adds(&s->words, "[Not complete: read_file goes on from an offset.]\n");
    text_adds(&s->json, ",\"content\":");
    text_add_string(&s->json, content->data, content->size);
    text_addf(&s->json, ",\"truncated\":%s}", cut ? "true" : "false");
    s->left -= content->size;
    s->cut = s->cut || cut;
}

static void add_failure(struct several *s, struct mcp_bytes path, const struct text *failure)
{
    text_add_utf8(&s->words, path.data, path.size);
    text_adds(&s->words, ": Error - ");
    text_add(&s->words, failure->data, failure->size);
    text_adds(&s->json, ",\"error\":");
    text_add_string(&s->json, failure->data, failure->size);
    text_adds(&s->json, "}");
}

static void read_one(struct several *s, struct mcp_bytes path)
{
    struct inner_call inner;
    struct place place;
    struct text content;
    bool cut = false;
    inner_init(&inner, s->call);
    text_init(&content, s->left);
    text_adds(&s->words, s->count > 0 ? "\n---\n" : "");
    text_adds(&s->json, s->count > 0 ? ",{\"path\":" : "{\"path\":");
    text_add_string(&s->json, path.data, path.size);
    if (place_find_at(s->fs, &inner.call, path, &place) &&
        read_some(s, &place, &inner.call, &content, &cut))
        add_file(s, path, &content, cut);
    else
        add_failure(s, path, &inner.failure);
    text_free(&content);
    inner_free(&inner);
    s->count++;
}

int32_t read_multiple_files(const struct filesystem *fs, struct mcp_call *call)
{
    struct several s = {.fs = fs, .call = call, .left = (size_t)fs->max_output};
    text_init(&s.words, SIZE_MAX / 4);
    text_init(&s.json, SIZE_MAX / 4);
    text_adds(&s.json, "{\"files\":[");
    for (size_t i = 0; i < FILES_MAX && !call->ops->is_cancelled(call); i++) {
        char pointer[32];
        struct mcp_bytes path;
        int32_t kind;
        snprintf(pointer, sizeof(pointer), "/paths/%zu", i);
        if (call->ops->argument(call, pointer, &kind, &path) != MCP_OK)
            break;
        if (kind != MCP_JSON_STRING)
            path = MCP_STR("");
        read_one(&s, path);
    }
    if (s.count == 0 || call->ops->is_cancelled(call)) {
        text_free(&s.words);
        text_free(&s.json);
        return fail_call(call, s.count == 0 ? "The argument \"paths\" must name 1 to 1000 files."
                                            : "The call was cancelled.");
    }
    text_addf(&s.json, "],\"truncated\":%s}", s.cut ? "true" : "false");
    return finish_call(call, &s.words, &s.json);
}
