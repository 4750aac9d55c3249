/* SPDX-License-Identifier: MIT */
/*
 * Files as resources: those near the top of the allowed directories are listed, and each
 * is read by its file: URI through the template of its directory. The URI is decoded
 * once, and what comes out is a path like that of any tool.
 */
#include "filesystem.h"

#include <mcp/resources.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "encoding.h"
#include "reading.h"

#define LISTED_DEPTH 8
#define LISTED_SEEN 10000 /* entries that are looked at, at each depth */

/* ---- what is offered ---- */

struct listed {
    const struct mcp_offer_sink *sink;
    const struct root *root;
    int64_t left;
    int depth; /* of the files that are listed now */
};

static int32_t add_offer(const struct mcp_offer_sink *sink, const struct text *definition)
{
    const struct mcp_offer offer = {
        .struct_size = sizeof(offer),
        .flags = MCP_TOOL_THREAD_SAFE,
        .definition = text_bytes(definition),
    };
    return definition->failed ? MCP_ENOMEM : sink->add(sink, &offer);
}

static bool add_resource(struct listed *l, const char *path, const struct stat *st)
{
    struct text json;
    text_init(&json, 64 * 1024);
    text_adds(&json, "{\"uri\":\"");
    add_uri(&json, l->root, path);
    text_adds(&json, "\",\"name\":");
    text_add_string(&json, path, strlen(path));
    text_addf(&json, ",\"mimeType\":\"%s\",\"size\":%lld}", mime_type(path, "", 0),
              (long long)st->st_size);
    bool good = add_offer(l->sink, &json) == MCP_OK;
    text_free(&json);
    l->left--;
    return good;
}

static int slashes(const char *path)
{
    int count = 0;
    for (; *path != '\0'; path++)
        count += *path == '/';
    return count;
}

static bool visit(struct walk *walk, int directory, const char *path, const char *name,
                  const struct stat *st)
{
    struct listed *l = walk->context;
    (void)directory;
    (void)name;
    if (!S_ISREG(st->st_mode) || slashes(path) != l->depth ||
        utf8_prefix(path, strlen(path)) != strlen(path))
        return true;
    return l->left > 0 && add_resource(l, path, st);
}

static int32_t never_cancelled(const struct mcp_call *call)
{
    (void)call;
    return 0;
}

static int32_t drop_failure(struct mcp_call *call, struct mcp_bytes text)
{
    (void)call;
    (void)text;
    return MCP_OK;
}

/* The operator may name a directory twice. */
static bool is_repeated(const struct filesystem *fs, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (strcmp(fs->roots.items[i].path, fs->roots.items[index].path) == 0)
            return true;
    return false;
}

/* The files of one directory and then, as long as there is room, of those in it. */
static void list_root(const struct filesystem *fs, struct walk *walk, struct listed *l)
{
    static const struct mcp_call_ops ops = {.struct_size = sizeof(ops),
                                            .finish_failure = drop_failure,
                                            .is_cancelled = never_cancelled};
    struct mcp_call nobody = {.struct_size = sizeof(nobody), .ops = &ops};
    const struct place place = {.fs = fs, .root = l->root, .beneath = "."};
    for (l->depth = 0; l->depth < LISTED_DEPTH && l->left > 0; l->depth++) {
        *walk = (struct walk){.fs = fs,
                              .call = &nobody,
                              .visit = visit,
                              .context = l,
                              .depth_max = l->depth == 0 ? -1 : l->depth,
                              .seen_max = LISTED_SEEN};
        walk_run(walk, &place);
    }
}

int32_t resources_list(void *self, const struct mcp_offer_sink *sink)
{
    const struct filesystem *fs = self;
    struct listed l = {.sink = sink, .left = fs->max_resources};
    struct walk *walk = malloc(sizeof(*walk));
    if (walk == NULL)
        return MCP_ENOMEM;
    for (size_t i = 0; i < fs->roots.count; i++) {
        l.root = &fs->roots.items[i];
        if (!is_repeated(fs, i))
            list_root(fs, walk, &l);
    }
    free(walk);
    return MCP_OK;
}

void add_template(struct text *t, const struct root *root)
{
    add_uri(t, root, ".");
    text_adds(t, "/{+path}");
}

int32_t resources_templates(void *self, const struct mcp_offer_sink *sink)
{
    const struct filesystem *fs = self;
    for (size_t i = 0; i < fs->roots.count; i++) {
        struct text json;
        if (is_repeated(fs, i))
            continue;
        text_init(&json, 64 * 1024);
        text_adds(&json, "{\"uriTemplate\":\"");
        add_template(&json, &fs->roots.items[i]);
        text_adds(&json, "\",\"name\":");
        text_add_string(&json, fs->roots.items[i].path, strlen(fs->roots.items[i].path));
        text_adds(&json, ",\"description\":\"A file in this directory or below it\"}");
        int32_t result = add_offer(sink, &json);
        text_free(&json);
        if (result != MCP_OK)
            return result;
    }
    return MCP_OK;
}

/* ---- reading ---- */

/* The path of a file: URI without a host, decoded once. */
static bool decode(struct mcp_bytes uri, struct text *path)
{
    if (uri.size < 8 || strncasecmp(uri.data, "file:///", 8) != 0)
        return false;
    struct mcp_bytes rest = {uri.data + 7, uri.size - 7};
    return memchr(rest.data, '?', rest.size) == NULL && memchr(rest.data, '#', rest.size) == NULL &&
           text_add_unescaped(path, rest.data, rest.size) && !path->failed;
}

static int32_t finish(struct mcp_call *call, const struct place *place, const struct text *content)
{
    return finish_contents(call, mime_type(place->beneath, content->data, content->size),
                           is_text(content->data, content->size, true), content);
}

/* What there is not, and what is outside, is not found: the sentence says which. */
int32_t resources_read(void *self, struct mcp_call *call)
{
    const struct filesystem *fs = self;
    struct inner_call inner;
    struct text path, content;
    struct place place;
    struct stat st;
    text_init(&path, PATH_MAX);
    text_init(&content, (size_t)fs->max_file_size);
    inner_init(&inner, call);
    if (!decode(call->name, &path))
        fail_call(&inner.call, "The URI is not that of a file of this machine.");
    else if (place_find_at(fs, &inner.call, text_bytes(&path), &place) &&
             file_read_all(&place, &inner.call, &content, &st))
        finish(call, &place, &content);
    if (inner.failure.size > 0)
        call->ops->finish_error(call, MCP_ERROR_RESOURCE_NOT_FOUND, text_bytes(&inner.failure),
                                MCP_STR(""));
    inner_free(&inner);
    text_free(&path);
    text_free(&content);
    return MCP_OK;
}
