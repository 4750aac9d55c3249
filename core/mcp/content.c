/* SPDX-License-Identifier: MIT */
/* Content in the form of a revision. */
#include "mcp/content.h"

/* The members of the newest revision, by kind, in the order they are written. */
static const char *const annotations_members[] = {"audience", "priority", "lastModified", NULL};
static const char *const resource_members[] = {"uri", "mimeType", "text", "blob", "_meta", NULL};

struct kind {
    const char *type;
    const char *const *members;
};

#define MEMBERS(...)                                                                               \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, "annotations", "_meta", NULL                                                  \
    }

static const struct kind kinds[] = {
    {"text", MEMBERS("type", "text")},
    {"image", MEMBERS("type", "data", "mimeType")},
    {"audio", MEMBERS("type", "data", "mimeType")},
    {"resource", MEMBERS("type", "resource")},
    {"resource_link",
     MEMBERS("type", "uri", "name", "title", "description", "mimeType", "size", "icons")},
};

/* Of those, the ones that not all revisions know. */
static bool knows_member(const struct revision *revision, const char *member)
{
    if (strcmp(member, "_meta") == 0 || strcmp(member, "lastModified") == 0)
        return revision->content_meta;
    if (strcmp(member, "icons") == 0)
        return revision->link_icons;
    return true;
}

static bool knows_kind(const struct revision *revision, const struct kind *kind)
{
    if (strcmp(kind->type, "audio") == 0)
        return revision->audio;
    if (strcmp(kind->type, "resource_link") == 0)
        return revision->links;
    return true;
}

static void write_object(struct buf *out, const struct revision *revision, const struct json *json,
                         const struct json_node *object, const char *const *members)
{
    bool comma = false;

    BUF_LIT(out, "{");
    for (; *members != NULL; members++) {
        const struct json_node *value = json_get(json, object, *members);
        if (value == NULL || !knows_member(revision, *members))
            continue;
        buf_addf(out, "%s\"%s\":", comma ? "," : "", *members);
        comma = true;
        if (strcmp(*members, "annotations") == 0)
            write_object(out, revision, json, value, annotations_members);
        else if (strcmp(*members, "resource") == 0)
            write_object(out, revision, json, value, resource_members);
        else
            buf_add_bytes(out, json_raw(json, value));
    }
    BUF_LIT(out, "}");
}

/* The inside of a string: what stands between its quotes, to become part of
 * another one. */
static void add_inner(struct buf *out, const struct json *json, const struct json_node *string)
{
    struct bytes raw = json_raw(json, string);

    buf_add(out, raw.data + 1, raw.size - 2);
}

static bool add_member(struct buf *out, const char *before, const struct json *json,
                       const struct json_node *block, const char *member)
{
    const struct json_node *value = json_get(json, block, member);

    if (value == NULL || value->type != JSON_STRING)
        return false;
    buf_add_bytes(out, bytes_of(before));
    add_inner(out, json, value);
    return true;
}

/* What the client cannot be given, in words: a link with all that is needed to
 * follow it, of anything else what it is. */
static void write_as_text(struct buf *out, const struct revision *revision, const struct json *json,
                          const struct json_node *block, bool is_link)
{
    BUF_LIT(out, "{\"type\":\"text\",\"text\":\"");
    if (is_link) {
        add_member(out, "Resource ", json, block, "name");
        add_member(out, ": ", json, block, "uri");
        if (add_member(out, " (", json, block, "mimeType"))
            BUF_LIT(out, ")");
        add_member(out, "\\n", json, block, "description");
    } else {
        BUF_LIT(out, "[");
        add_member(out, "", json, block, "type");
        add_member(out, " of type ", json, block, "mimeType");
        buf_addf(out, ": left out, for MCP %s has no such content]", revision->version);
    }
    BUF_LIT(out, "\"}");
}

void write_content(struct buf *out, const struct revision *revision, const struct json *json,
                   const struct json_node *block)
{
    const struct json_node *type = json_get(json, block, "type");

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (json_is(json, type, kinds[i].type) && knows_kind(revision, &kinds[i])) {
            write_object(out, revision, json, block, kinds[i].members);
            return;
        }
    }
    write_as_text(out, revision, json, block, json_is(json, type, "resource_link"));
}

void write_contents(struct buf *out, const struct revision *revision, const struct json *json,
                    const struct json_node *blocks)
{
    const struct json_node *end = blocks + blocks->span;

    BUF_LIT(out, "[");
    for (const struct json_node *block = json_first(blocks); block != NULL;
         block = json_next(block, end)) {
        if (block != blocks + 1)
            BUF_LIT(out, ",");
        write_content(out, revision, json, block);
    }
    BUF_LIT(out, "]");
}

void write_resource_contents(struct buf *out, const struct revision *revision,
                             const struct json *json, const struct json_node *contents)
{
    write_object(out, revision, json, contents, resource_members);
}

void write_annotations(struct buf *out, const struct revision *revision, const struct json *json,
                       const struct json_node *annotations)
{
    write_object(out, revision, json, annotations, annotations_members);
}

void write_text_content(struct buf *out, struct bytes text)
{
    BUF_LIT(out, "{\"type\":\"text\",\"text\":");
    json_write_string(out, text);
    BUF_LIT(out, "}");
}
