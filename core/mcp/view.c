/* SPDX-License-Identifier: MIT */
/* Ready-made answers. Sending stored bytes instead of printing a list for every
 * caller is worth a factor of five; see tests/bench. */
#include "mcp/view.h"

#include <mcp/plugin.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/crypto.h"
#include "json/json.h"
#include "mcp/content.h"

/* Where a page ends, for a client that comes back for the next: the number of
 * entries before it and a hash of the last one's name. The same in every mcpd
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
    struct list lists[OFFER_KINDS][REVISION_COUNT];
    struct buf introduction[REVISION_COUNT];
    struct directory *directory;
    uint32_t ttl_ms, page_size;
};

static void write_member(struct buf *out, const char *name, const char *value)
{
    if (value == NULL)
        return;
    buf_addf(out, ",\"%s\":", name);
    json_write_string(out, bytes_of(value));
}

/* What lists are made of, besides their entries. */
struct writing {
    const struct config *config;
    const struct revision *revision;
    struct bytes server_meta;
};

/* The extensions of 2026-07-28 that there is something for. */
static void write_extensions(struct buf *out, const struct snapshot *snapshot)
{
    BUF_LIT(out, ",\"extensions\":{\"io.modelcontextprotocol/tasks\":{}");
    if (snapshot->lists[OFFER_SKILL].count > 0)
        BUF_LIT(out, ",\"io.modelcontextprotocol/skills\":{\"directoryRead\":true}");
    BUF_LIT(out, "}");
}

static void write_introduction(struct buf *out, const struct writing *w,
                               const struct snapshot *snapshot)
{
    const struct config *config = w->config;
    const struct revision *revision = w->revision;

    buf_init(out, 1u << 20);
    if (revision->modern) {
        buf_addf(out, "{\"resultType\":\"complete\",\"supportedVersions\":%s,", revision_list_json);
    } else {
        buf_addf(out, "{\"protocolVersion\":\"%s\",", revision->version);
    }
    /* All that a provider could bring, for one may be added at any time. */
    BUF_LIT(out, "\"capabilities\":{\"tools\":{\"listChanged\":true},"
                 "\"resources\":{\"listChanged\":true,\"subscribe\":true},"
                 "\"prompts\":{\"listChanged\":true},\"logging\":{}");
    if (revision->completions)
        BUF_LIT(out, ",\"completions\":{}");
    if (revision->modern)
        write_extensions(out, snapshot);
    if (revision->tasks)
        BUF_LIT(out, ",\"tasks\":{\"cancel\":{},\"requests\":{\"tools\":{\"call\":{}}}}");
    BUF_LIT(out, "}");
    write_member(out, "instructions", config->server.instructions);
    if (revision->modern) {
        buf_addf(out, ",\"ttlMs\":%u,\"cacheScope\":\"public\",", config->server.list_ttl_ms);
        buf_add_bytes(out, w->server_meta);
    } else {
        BUF_LIT(out, ",\"serverInfo\":{\"name\":");
        json_write_string(out, bytes_of(config->server.name));
        if (revision->titles)
            write_member(out, "title", config->server.title);
        BUF_LIT(out, ",\"version\":\"" MCPD_VERSION "\"}");
    }
    BUF_LIT(out, "}");
}

/* The offer's own _meta, with the provider's id added. */
static void write_offer_meta(struct buf *out, const struct registry_entry *entry)
{
    const struct json *json = &entry->offer->json;
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

/* The arguments of a prompt, which had no titles before 2025-06-18. */
static void write_arguments(struct buf *out, const struct json *json,
                            const struct json_node *arguments, bool titles)
{
    static const char *const members[] = {"title", "description", "required"};
    const struct json_node *end = arguments + arguments->span;

    BUF_LIT(out, "[");
    for (const struct json_node *one = json_first(arguments); one != NULL;
         one = json_next(one, end)) {
        buf_addf(out, "%s{\"name\":", one == arguments + 1 ? "" : ",");
        json_write_compact(out, json, json_get(json, one, "name"));
        for (size_t i = titles ? 0 : 1; i < sizeof members / sizeof members[0]; i++) {
            const struct json_node *value = json_get(json, one, members[i]);
            if (value == NULL)
                continue;
            buf_addf(out, ",\"%s\":", members[i]);
            json_write_compact(out, json, value);
        }
        BUF_LIT(out, "}");
    }
    BUF_LIT(out, "]");
}

/* 2025-11-25: whether clients may ask for a task. */
static void write_execution(struct buf *out, const struct offer *offer)
{
    const uint32_t flags = offer->terms.flags;

    if (offer->kind == OFFER_TOOL &&
        (flags & (MCP_TOOL_TASK_OPTIONAL | MCP_TOOL_TASK_REQUIRED)) != 0)
        buf_addf(out, ",\"execution\":{\"taskSupport\":\"%s\"}",
                 (flags & MCP_TOOL_TASK_REQUIRED) != 0 ? "required" : "optional");
}

/* Only what the revision knows, in the order of its table. */
void view_write(struct buf *out, const struct registry_entry *entry,
                const struct revision *revision, struct bytes name)
{
    const struct json *json = &entry->offer->json;
    const char *const *member = revision->members[entry->offer->kind];

    buf_addf(out, "{\"%s\":", *member); /* its name, with the prefix */
    json_write_string(out, entry->name);
    for (member++; *member != NULL; member++) {
        if (strcmp(*member, "_meta") == 0) {
            BUF_LIT(out, ",");
            write_offer_meta(out, entry);
            continue;
        }
        const struct json_node *value = json_get(json, json->root, *member);
        if (value == NULL)
            continue;
        buf_addf(out, ",\"%s\":", *member);
        if (name.data != NULL && strcmp(*member, "name") == 0)
            json_write_string(out, name);
        else if (entry->offer->kind == OFFER_PROMPT && value->type == JSON_ARRAY &&
                 strcmp(*member, "arguments") == 0)
            write_arguments(out, json, value, revision->titles);
        else if (entry->offer->kind != OFFER_TOOL && value->type == JSON_OBJECT &&
                 strcmp(*member, "annotations") == 0)
            write_annotations(out, revision, json, value);
        else
            json_write_compact(out, json, value);
    }
    if (revision->tasks)
        write_execution(out, entry->offer);
    BUF_LIT(out, "}");
}

static void make_position(struct position *position, const struct registry_list *list, size_t index)
{
    unsigned char hash[CRYPTO_DIGEST_SIZE];
    struct bytes name = list->entries[index - 1].name;

    crypto_digest(hash, name.data, name.size);
    memcpy(position->name_hash, hash, sizeof position->name_hash);
    for (int i = 0; i < 4; i++)
        position->index[i] = (unsigned char)(index >> (8 * i));
}

static void make_cursor(char cursor[CURSOR_SIZE], const struct registry_list *list, size_t index)
{
    struct position position;

    make_position(&position, list, index);
    base64url_encode(&position, sizeof position, cursor);
}

/* Entries `from` to `to`, as a whole result. */
static bool write_page(struct page *page, const struct writing *w, enum offer_kind kind,
                       const struct registry_list *list, size_t from, size_t to)
{
    static const char *const names[OFFER_KINDS] = {[OFFER_TOOL] = "tools",
                                                   [OFFER_RESOURCE] = "resources",
                                                   [OFFER_TEMPLATE] = "resourceTemplates",
                                                   [OFFER_PROMPT] = "prompts",
                                                   [OFFER_SKILL] = "skills"};
    struct buf out;

    buf_init(&out, (size_t)1 << 30);
    buf_addf(&out, "{%s\"%s\":[", w->revision->modern ? "\"resultType\":\"complete\"," : "",
             names[kind]);
    for (size_t i = from; i < to; i++) {
        if (i > from)
            BUF_LIT(&out, ",");
        view_write(&out, &list->entries[i], w->revision, (struct bytes){NULL, 0});
    }
    BUF_LIT(&out, "]");
    if (to < list->count) {
        char next[CURSOR_SIZE];
        make_cursor(next, list, to);
        buf_addf(&out, ",\"nextCursor\":\"%s\"", next);
    }
    if (w->revision->modern) {
        buf_addf(&out, ",\"ttlMs\":%u,\"cacheScope\":\"public\",", w->config->server.list_ttl_ms);
        buf_add_bytes(&out, w->server_meta);
    }
    BUF_LIT(&out, "}");
    if (from > 0)
        make_cursor(page->cursor, list, from);
    page->data = buf_detach(&out, &page->size);
    return page->data != NULL;
}

static bool write_list(struct list *out, const struct writing *w, enum offer_kind kind,
                       const struct registry_list *list)
{
    size_t per_page = w->config->server.page_size;
    size_t pages = list->count == 0 ? 1 : (list->count + per_page - 1) / per_page;

    if (w->revision->members[kind] == NULL)
        return true; /* it does not know this list */
    out->pages = calloc(pages, sizeof *out->pages);
    if (out->pages == NULL)
        return false;
    out->count = pages;
    for (size_t i = 0; i < pages; i++) {
        size_t from = i * per_page, to = from + per_page;
        if (to > list->count)
            to = list->count;
        if (!write_page(&out->pages[i], w, kind, list, from, to))
            return false;
    }
    return true;
}

static bool write_revision(struct view *view, const struct writing *w,
                           const struct snapshot *snapshot)
{
    enum revision_id id = w->revision->id;

    write_introduction(&view->introduction[id], w, snapshot);
    if (view->introduction[id].failed)
        return false;
    for (int kind = 0; kind < OFFER_KINDS; kind++)
        if (!write_list(&view->lists[kind][id], w, (enum offer_kind)kind, &snapshot->lists[kind]))
            return false;
    return true;
}

struct view *view_new(const struct config *config, const struct snapshot *snapshot,
                      struct bytes server_meta)
{
    struct view *view = calloc(1, sizeof *view);

    if (view == NULL)
        return NULL;
    view->ttl_ms = config->server.list_ttl_ms;
    view->page_size = config->server.page_size;
    view->directory = directory_new(snapshot);
    if (view->directory == NULL) {
        view_free(view);
        return NULL;
    }
    for (size_t i = 0; i < REVISION_COUNT; i++) {
        const struct writing w = {config, &revisions[i], server_meta};
        if (!write_revision(view, &w, snapshot)) {
            view_free(view);
            return NULL;
        }
    }
    return view;
}

static void free_list(struct list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->pages[i].data);
    free(list->pages);
}

void view_free(struct view *view)
{
    if (view == NULL)
        return;
    for (size_t i = 0; i < REVISION_COUNT; i++) {
        for (int kind = 0; kind < OFFER_KINDS; kind++)
            free_list(&view->lists[kind][i]);
        buf_free(&view->introduction[i]);
    }
    directory_free(view->directory);
    free(view);
}

struct bytes view_introduction(const struct view *view, const struct revision *revision)
{
    return buf_bytes(&view->introduction[revision->id]);
}

const struct directory *view_directory(const struct view *view)
{
    return view->directory;
}

uint32_t view_ttl_ms(const struct view *view)
{
    return view->ttl_ms;
}

uint32_t view_page_size(const struct view *view)
{
    return view->page_size;
}

/* A cursor is looked up among those that were given out for this list. One that
 * was given out for a list that has changed since matches as long as the same
 * entry stands at the same place; otherwise the client must start again. */
struct bytes view_list(const struct view *view, enum offer_kind kind,
                       const struct revision *revision, struct bytes cursor)
{
    const struct list *list = &view->lists[kind][revision->id];

    for (size_t i = 0; i < list->count; i++)
        if (cursor.data == NULL ? i == 0
                                : i > 0 && bytes_equal(cursor, bytes_of(list->pages[i].cursor)))
            return (struct bytes){list->pages[i].data, list->pages[i].size};
    return (struct bytes){NULL, 0};
}
