/* SPDX-License-Identifier: MIT */
/* The skills extension (SEP-2640): skills/list, skills/get, and
 * resources/directory/read. No provider is asked: what it says of its skills is in
 * the snapshot. */
#include "base/utf8.h"
#include "mcp/lists.h"
#include "mcp/request.h"
#include "mcp/view.h"

static const struct bytes no_bytes = {NULL, 0};

void skills_list(struct request *request)
{
    respond_list(request, OFFER_SKILL);
}

static void refuse_uri(struct request *request, struct bytes uri, const char *why)
{
    struct buf data;

    buf_init(&data, 1u << 20);
    if (uri.data != NULL) {
        BUF_LIT(&data, "{\"uri\":");
        json_write_string(&data, uri);
        BUF_LIT(&data, "}");
    }
    respond_error(request, STATUS_IN_PROTOCOL, RPC_INVALID_PARAMS, buf_bytes(&data),
                  "Invalid params: %s", why);
    buf_free(&data);
}

static void begin_result(struct request *request, struct buf *out)
{
    respond_begin(request, out);
    BUF_LIT(out, "{\"resultType\":\"complete\",");
}

static void finish_result(struct request *request, const struct view *view, struct buf *out)
{
    buf_addf(out, ",\"ttlMs\":%u,\"cacheScope\":\"public\",", view_ttl_ms(view));
    buf_add_bytes(out, server_meta(request->mcp));
    BUF_LIT(out, "}");
    respond_finish(request, out);
}

static struct bytes read_string(const struct request *request, const char *member)
{
    return json_string(&request->json, json_get(&request->json, request->params, member),
                       request->message->arena);
}

void skills_get(struct request *request)
{
    const struct snapshot *snapshot =
        registry_read(request->mcp->registry, request->message->reader);
    struct bytes uri = read_string(request, "uri");
    struct buf out;

    if (uri.data == NULL) {
        refuse_uri(request, no_bytes, "uri must be a string");
        return;
    }
    const struct registry_entry *entry = snapshot_find(snapshot, OFFER_SKILL, uri);
    if (entry == NULL) {
        refuse_uri(request, uri, "unknown skill; skills/list tells what is offered now");
        return;
    }
    begin_result(request, &out);
    BUF_LIT(&out, "\"skill\":");
    view_write(&out, entry, request->revision, no_bytes);
    finish_result(request, snapshot->view, &out);
}

/* ---- directories ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The last part of the URI, decoded where that gives a text. */
static struct bytes last_part(struct bytes uri, struct arena *arena)
{
    size_t start = uri.size, size = 0;

    while (start > 0 && uri.data[start - 1] != '/')
        start--;
    struct bytes part = {uri.data + start, uri.size - start};
    char *decoded = arena_alloc(arena, part.size + 1);
    if (decoded == NULL)
        return part;
    for (size_t i = 0; i < part.size; i++) {
        int high = i + 2 < part.size ? hex_digit(part.data[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(part.data[i + 2]) : -1;
        bool encoded = part.data[i] == '%' && low >= 0;
        char c = part.data[i];
        if (encoded)
            c = (char)(high << 4 | low);
        decoded[size++] = c;
        i += encoded ? 2 : 0;
    }
    struct bytes name = {decoded, size};
    return utf8_valid(name) && memchr(decoded, '\0', size) == NULL ? name : part;
}

static void write_child(struct buf *out, const struct request *request,
                        const struct directory_child *child)
{
    struct bytes name = last_part(child->uri, request->message->arena);

    if (child->listed != NULL) {
        view_write(out, child->listed, request->revision, name);
        return;
    }
    BUF_LIT(out, "{\"uri\":");
    json_write_string(out, child->uri);
    BUF_LIT(out, ",\"name\":");
    json_write_string(out, name);
    if (child->is_directory)
        BUF_LIT(out, ",\"mimeType\":\"inode/directory\"");
    else if (bytes_equal(name, BYTES("SKILL.md")))
        BUF_LIT(out, ",\"mimeType\":\"text/markdown\"");
    if (child->file != NULL) {
        BUF_LIT(out, ",\"size\":");
        buf_add_bytes(out, json_raw(child->json, json_get(child->json, child->file, "size")));
    }
    BUF_LIT(out, "}");
}

/* A page of children, and the cursor when there are more. */
static void write_children(struct buf *out, const struct request *request,
                           struct directory_walk *walk, uint32_t page_size)
{
    struct directory_child child, last = {0};
    bool more = directory_next(walk, &child);

    BUF_LIT(out, "\"resources\":[");
    for (uint32_t i = 0; i < page_size && more; i++) {
        if (i > 0)
            BUF_LIT(out, ",");
        write_child(out, request, &child);
        last = child;
        more = directory_next(walk, &child);
    }
    BUF_LIT(out, "]");
    if (more) {
        BUF_LIT(out, ",\"nextCursor\":\"");
        directory_cursor(out, &last);
        BUF_LIT(out, "\"");
    }
}

void skills_read_directory(struct request *request)
{
    const struct snapshot *snapshot =
        registry_read(request->mcp->registry, request->message->reader);
    const struct json_node *given = json_get(&request->json, request->params, "cursor");
    struct bytes uri = read_string(request, "uri"), cursor = read_string(request, "cursor");
    struct directory_walk walk;
    struct buf out;

    if (uri.data == NULL || (given != NULL && cursor.data == NULL)) {
        refuse_uri(request, no_bytes,
                   uri.data == NULL ? "uri must be a string" : "cursor must be a string");
        return;
    }
    int found = directory_begin(&walk, view_directory(snapshot->view), uri, cursor);
    if (found <= 0) {
        refuse_uri(request, uri,
                   found == 0 ? "there is no such directory"
                              : "this cursor is none of this directory");
        return;
    }
    begin_result(request, &out);
    write_children(&out, request, &walk, view_page_size(snapshot->view));
    finish_result(request, snapshot->view, &out);
}
