/* SPDX-License-Identifier: MIT */
/* read_file: a regular file, or a part of one, as text or in Base64. */
#include "filesystem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "encoding.h"
#include "reading.h"
#include "text.h"

/* One reading. */
struct reading {
    struct place place;
    bool base64;
    int64_t offset;
    int64_t limit; /* bytes at most */
    int64_t size; /* of the file */
    struct text content;
    bool eof; /* content goes up to the end of the file */
};

static bool read_arguments(const struct filesystem *fs, struct mcp_call *call, struct reading *r)
{
    struct mcp_bytes encoding = MCP_STR("utf-8");
    int64_t limit = 0;
    int64_t most = fs->max_output < fs->max_file_size ? fs->max_output : fs->max_file_size;
    if (!argument_string(call, "/encoding", &encoding) ||
        !argument_integer(call, "/offset", 0, INT64_MAX, &r->offset) ||
        !argument_integer(call, "/limit", 1, fs->max_file_size, &limit))
        return false;
    r->base64 = bytes_are(encoding, "base64");
    if (!r->base64 && !bytes_are(encoding, "utf-8")) {
        fail_call(call, "The encoding must be \"utf-8\" or \"base64\".");
        return false;
    }
    r->limit = limit > 0 && limit < most ? limit : most;
    return place_find(fs, call, &r->place);
}

/* Up to limit bytes into r->content. False: the call has been ended. */
static bool read_content(struct reading *r, int fd, struct mcp_call *call)
{
    char chunk[64 * 1024];
    for (;;) {
        int64_t left = r->limit - (int64_t)r->content.size;
        /* With nothing left, one byte more tells whether the file goes on. */
        size_t want = left == 0 ? 1 : left < (int64_t)sizeof(chunk) ? (size_t)left : sizeof(chunk);
        int64_t at = r->offset + (int64_t)r->content.size;
        ssize_t got = at > INT64_MAX - (int64_t)want ? 0 : pread(fd, chunk, want, at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            place_fail(&r->place, call, errno, "read");
            return false;
        }
        r->eof = got == 0;
        if (r->eof || left == 0)
            break;
        text_add(&r->content, chunk, (size_t)got);
        if (was_cancelled(call))
            return false;
    }
    if (r->content.failed) {
        fail_call(call, "mcpd is out of memory; read %.*s in parts, with offset and limit.",
                  SHOW(r->place.given));
        return false;
    }
    int64_t seen = r->offset + (int64_t)r->content.size + (r->eof ? 0 : 1);
    if (r->content.size > 0 && seen > r->size)
        r->size = seen; /* it has grown, or it does not tell its size */
    return true;
}

/* Text must be whole characters; the one that the limit cuts is left for the next part. */
static bool check_text(struct reading *r, struct mcp_call *call)
{
    struct mcp_bytes given = r->place.given;
    const char *data = r->content.data;
    size_t size = r->content.size;
    if (size == 0)
        return true;
    const char *nul = memchr(data, '\0', size);
    size_t good = utf8_prefix(data, nul != NULL ? (size_t)(nul - data) : size);
    if (good == size)
        return true;
    if (nul == NULL && !r->eof && utf8_unfinished(data + good, size - good)) {
        if (good > 0) {
            text_cut(&r->content, good);
            return true;
        }
        fail_call(call,
                  "The character at offset %" PRId64 " has more than %zu bytes; "
                  "raise the limit.",
                  r->offset, size);
        return false;
    }
    if (good == 0 && r->offset > 0 && ((unsigned char)data[0] & 0xc0) == 0x80)
        fail_call(call,
                  "The offset %" PRId64 " may be inside a character of %.*s; go on from the "
                  "next_offset of the part before, or use the encoding \"base64\".",
                  r->offset, SHOW(given));
    else
        fail_call(call,
                  "%.*s is not UTF-8 text (the byte at offset %" PRId64
                  " does not fit); read it with the encoding \"base64\".",
                  SHOW(given), r->offset + (int64_t)good);
    return false;
}

static void add_structured(struct text *json, const struct reading *r)
{
    text_adds(json, "{\"path\":");
    text_add_string(json, r->place.given.data, r->place.given.size);
    text_adds(json, ",\"content\":");
    if (r->base64) {
        text_adds(json, "\"");
        text_add_base64(json, r->content.data, r->content.size);
        text_adds(json, "\"");
    } else {
        text_add_string(json, r->content.data, r->content.size);
    }
    text_addf(json,
              ",\"encoding\":\"%s\",\"size\":%" PRId64 ",\"offset\":%" PRId64
              ",\"bytes\":%zu,\"eof\":%s",
              r->base64 ? "base64" : "utf-8", r->size, r->offset, r->content.size,
              r->eof ? "true" : "false");
    if (!r->eof)
        text_addf(json, ",\"next_offset\":%" PRId64, r->offset + (int64_t)r->content.size);
    text_adds(json, "}");
}

/* The content is a text block of its own, as it is, so that a model sees it without
 * escapes; a second block says when there is more. */
static int32_t finish(const struct reading *r, struct mcp_call *call)
{
    struct text json;
    text_init(&json, SIZE_MAX / 4);
    text_adds(&json, "{\"content\":[{\"type\":\"text\",\"text\":");
    if (r->base64) {
        text_adds(&json, "\"");
        text_add_base64(&json, r->content.data, r->content.size);
        text_adds(&json, "\"");
    } else {
        text_add_string(&json, r->content.data, r->content.size);
    }
    text_adds(&json, "}");
    if (!r->eof)
        text_addf(&json,
                  ",{\"type\":\"text\",\"text\":\"[Bytes %" PRId64 " to %" PRId64 " of %" PRId64
                  ". There is more: go on with offset %" PRId64 ".]\"}",
                  r->offset, r->offset + (int64_t)r->content.size - 1, r->size,
                  r->offset + (int64_t)r->content.size);
    text_adds(&json, "],\"structuredContent\":");
    add_structured(&json, r);
    text_adds(&json, "}");
    if (json.failed)
        fail_call(call, "mcpd is out of memory; read %.*s in parts, with offset and limit.",
                  SHOW(r->place.given));
    else
        call->ops->finish_result(call, text_bytes(&json));
    text_free(&json);
    return MCP_OK;
}

int32_t read_file(const struct filesystem *fs, struct mcp_call *call)
{
    struct reading r = {.base64 = false};
    text_init(&r.content, (size_t)fs->max_file_size);
    if (!read_arguments(fs, call, &r))
        return MCP_OK;
    struct stat st;
    int fd = file_open(&r.place, call, &st);
    if (fd < 0)
        return MCP_OK;
    r.size = st.st_size;
    if (read_content(&r, fd, call) && (r.base64 || check_text(&r, call)))
        finish(&r, call);
    close(fd);
    text_free(&r.content);
    return MCP_OK;
}
