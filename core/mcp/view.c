/* SPDX-License-Identifier: MIT */
/* Ready-made answers. Sending stored bytes instead of printing a list for every
 * caller is worth a factor of five; see tests/bench. */
#include "mcp/view.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/crypto.h"
#include "json/json.h"

/* Where a page ends, for a client that comes back for the next: the number of
 * tools before it and a hash of the last one's name. The same in every mcpd
 * that serves the same list, and of no meaning in one that does not. */
struct position {
    unsigned char index[4];
    unsigned char name_hash[8];
};
#define CURSOR_SIZE 17 /* sizeof(struct position) in base64url, and a NUL */

struct page {
    char cursor[CURSOR_SIZE]; /* "" for the first */
    char *data;
    size_t size;
};

struct list {
    struct page *pages;
    size_t count;
};

struct view {
    struct list tools[REVISION_COUNT];
    struct buf introduction[REVISION_COUNT];
};

static void write_member(struct buf *out, const char *name, const char *value)
{
    if (value == NULL)
        return;
    buf_addf(out, ",\"%s\":", name);
    json_write_string(out, bytes_of(value));
}

static void write_introduction(struct buf *out, const struct config *config,
                               const struct revision *revision, struct bytes server_meta)
{
    buf_init(out, 1u << 20);
    if (revision->modern) {
        buf_addf(out, "{\"resultType\":\"complete\",\"supportedVersions\":%s,", revision_list_json);
    } else {
        buf_addf(out, "{\"protocolVersion\":\"%s\",", revision->version);
    }
    BUF_LIT(out, "\"capabilities\":{\"tools\":{\"listChanged\":true},\"logging\":{}}");
    write_member(out, "instructions", config->server.instructions);
    if (revision->modern) {
        buf_addf(out, ",\"ttlMs\":%u,\"cacheScope\":\"public\",", config->server.list_ttl_ms);
        buf_add_bytes(out, server_meta);
    } else {
        BUF_LIT(out, ",\"serverInfo\":{\"name\":");
        json_write_string(out, bytes_of(config->server.name));
        if (revision->titles)
            write_member(out, "title", config->server.title);
        BUF_LIT(out, ",\"version\":\"" MCPD_VERSION "\"}");
    }
    BUF_LIT(out, "}");
}

/* The tool's own _meta, with the provider's id added. */
static void write_tool_meta(struct buf *out, const struct registry_tool *entry)
{
    const struct json *json = &entry->tool->json;
    const struct json_node *meta = json_get(json, json->root, "_meta");

    BUF_LIT(out, "\"_meta\":{\"dev.mcpd/provider\":");
    json_write_string(out, bytes_of(entry->provider->id));
    if (meta != NULL && meta->type == JSON_OBJECT && meta->count > 0) {
        const struct json_node *end = meta + meta->span;
        for (const struct json_node *name = json_first(meta); name != NULL;
             name = json_next(name + 1, end)) {
            if (json_is(json, name, "dev.mcpd/provider"))
                continue;
            BUF_LIT(out, ",");
            buf_add_bytes(out, json_raw(json, name));
            BUF_LIT(out, ":");
            json_write_compact(out, json, name + 1);
        }
    }
    BUF_LIT(out, "}");
}

/* One Tool object with only what the revision knows, in the order of its table. */
static void write_tool(struct buf *out, const struct registry_tool *entry,
                       const struct revision *revision)
{
    const struct json *json = &entry->tool->json;

    BUF_LIT(out, "{\"name\":");
    json_write_string(out, entry->name);
    for (const char *const *member = revision->tool_members; *member != NULL; member++) {
        if (strcmp(*member, "name") == 0)
            continue;
        if (strcmp(*member, "_meta") == 0) {
            BUF_LIT(out, ",");
            write_tool_meta(out, entry);
            continue;
        }
        const struct json_node *value = json_get(json, json->root, *member);
        if (value == NULL)
            continue;
        buf_addf(out, ",\"%s\":", *member);
        json_write_compact(out, json, value);
    }
    BUF_LIT(out, "}");
}

static void make_position(struct position *position, const struct snapshot *snapshot, size_t index)
{
    unsigned char hash[CRYPTO_DIGEST_SIZE];
    struct bytes name = snapshot->tools[index - 1].name;

    crypto_digest(hash, name.data, name.size);
    memcpy(position->name_hash, hash, sizeof position->name_hash);
    for (int i = 0; i < 4; i++)
        position->index[i] = (unsigned char)(index >> (8 * i));
}

static void make_cursor(char cursor[CURSOR_SIZE], const struct snapshot *snapshot, size_t index)
{
    struct position position;

    make_position(&position, snapshot, index);
    base64url_encode(&position, sizeof position, cursor);
}

/* Tools `from` to `to`, as a whole result. */
static bool write_page(struct page *page, const struct config *config,
                       const struct snapshot *snapshot, const struct revision *revision,
                       struct bytes server_meta, size_t from, size_t to)
{
    struct buf out;

    buf_init(&out, (size_t)1 << 30);
    if (revision->modern)
        BUF_LIT(&out, "{\"resultType\":\"complete\",\"tools\":[");
    else
        BUF_LIT(&out, "{\"tools\":[");
    for (size_t i = from; i < to; i++) {
        if (i > from)
            BUF_LIT(&out, ",");
        write_tool(&out, &snapshot->tools[i], revision);
    }
    BUF_LIT(&out, "]");
    if (to < snapshot->tool_count) {
        char next[CURSOR_SIZE];
        make_cursor(next, snapshot, to);
        buf_addf(&out, ",\"nextCursor\":\"%s\"", next);
    }
    if (revision->modern) {
        buf_addf(&out, ",\"ttlMs\":%u,\"cacheScope\":\"public\",", config->server.list_ttl_ms);
        buf_add_bytes(&out, server_meta);
    }
    BUF_LIT(&out, "}");
    if (from > 0)
        make_cursor(page->cursor, snapshot, from);
    page->data = buf_detach(&out, &page->size);
    return page->data != NULL;
}

static bool write_list(struct list *list, const struct config *config,
                       const struct snapshot *snapshot, const struct revision *revision,
                       struct bytes server_meta)
{
    size_t per_page = config->server.page_size;
    size_t pages = snapshot->tool_count == 0 ? 1 : (snapshot->tool_count + per_page - 1) / per_page;

    list->pages = calloc(pages, sizeof *list->pages);
    if (list->pages == NULL)
        return false;
    list->count = pages;
    for (size_t i = 0; i < pages; i++) {
        size_t from = i * per_page, to = from + per_page;
        if (to > snapshot->tool_count)
            to = snapshot->tool_count;
        if (!write_page(&list->pages[i], config, snapshot, revision, server_meta, from, to))
            return false;
    }
    return true;
}

struct view *view_new(const struct config *config, const struct snapshot *snapshot,
                      struct bytes server_meta)
{
    struct view *view = calloc(1, sizeof *view);

    if (view == NULL)
        return NULL;
    for (size_t i = 0; i < REVISION_COUNT; i++) {
        write_introduction(&view->introduction[i], config, &revisions[i], server_meta);
        if (view->introduction[i].failed ||
            !write_list(&view->tools[i], config, snapshot, &revisions[i], server_meta)) {
            view_free(view);
            return NULL;
        }
    }
    return view;
}

void view_free(struct view *view)
{
    if (view == NULL)
        return;
    for (size_t i = 0; i < REVISION_COUNT; i++) {
        for (size_t k = 0; k < view->tools[i].count; k++)
            free(view->tools[i].pages[k].data);
        free(view->tools[i].pages);
        buf_free(&view->introduction[i]);
    }
    free(view);
}

struct bytes view_introduction(const struct view *view, const struct revision *revision)
{
    return buf_bytes(&view->introduction[revision->id]);
}

/* A cursor is looked up among those that were given out for this list. One that
 * was given out for a list that has changed since matches as long as the same
 * tool stands at the same place; otherwise the client must start again. */
struct bytes view_tools(const struct view *view, const struct revision *revision,
                        struct bytes cursor)
{
    const struct list *list = &view->tools[revision->id];

    for (size_t i = 0; i < list->count; i++)
        if (cursor.data == NULL ? i == 0
                                : i > 0 && bytes_equal(cursor, bytes_of(list->pages[i].cursor)))
            return (struct bytes){list->pages[i].data, list->pages[i].size};
    return (struct bytes){NULL, 0};
}
