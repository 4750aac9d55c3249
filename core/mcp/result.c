/* SPDX-License-Identifier: MIT */
/* From the end of a call to a result of the caller's revision. */
#include "mcp/result.h"

#include "mcp/content.h"

static void write_text_block(struct buf *out, struct bytes text)
{
    BUF_LIT(out, "\"content\":[");
    write_text_content(out, text);
    BUF_LIT(out, "]");
}

/* Structured results were objects before 2026-07-28 allowed any value. */
static bool takes_structured(const struct revision *revision, const struct json_node *value)
{
    return revision->structured && (revision->modern || value->type == JSON_OBJECT);
}

/* The provider's _meta (when it gave one) and the server's own. */
static void write_both_metas(struct buf *out, const struct json *json, const struct json_node *meta,
                             const struct revision *revision, struct bytes server_meta)
{
    bool any = meta != NULL && meta->type == JSON_OBJECT && meta->count > 0;

    if (revision->modern) {
        BUF_LIT(out, ",");
        if (!any) {
            buf_add_bytes(out, server_meta);
            return;
        }
        /* `"_meta":{...}` without its last brace, and the rest behind it. */
        buf_add(out, server_meta.data, server_meta.size - 1);
    } else if (any) {
        BUF_LIT(out, ",\"_meta\":{");
    } else {
        return;
    }
    const struct json_node *end = meta + meta->span;
    bool comma = revision->modern;
    for (const struct json_node *name = json_first(meta); name != NULL;
         name = json_next(name + 1, end)) {
        if (json_is(json, name, "io.modelcontextprotocol/serverInfo"))
            continue;
        if (comma)
            BUF_LIT(out, ",");
        comma = true;
        buf_add_bytes(out, json_raw(json, name));
        BUF_LIT(out, ":");
        buf_add_bytes(out, json_raw(json, name + 1));
    }
    BUF_LIT(out, "}");
}

void write_meta(struct buf *out, const struct json *json, const struct json_node *meta,
                const struct revision *revision, struct bytes server_meta)
{
    write_both_metas(out, json, meta, revision, server_meta);
    BUF_LIT(out, "}");
}

/* A whole result of the plugin's own: only what the revision knows. */
static void write_members(struct buf *out, const struct revision *revision, const struct json *json)
{
    static const char *const known[] = {"content", "structuredContent", "isError"};
    bool comma = false;

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        const struct json_node *value = json_get(json, json->root, known[i]);
        if (value == NULL || (i == 1 && !takes_structured(revision, value)))
            continue;
        buf_addf(out, "%s\"%s\":", comma ? "," : "", known[i]);
        if (i == 0)
            write_contents(out, revision, json, value);
        else
            buf_add_bytes(out, json_raw(json, value));
        comma = true;
    }
}

void write_tool_result(struct buf *out, const struct revision *revision, struct bytes server_meta,
                       const struct call_result *result)
{
    const struct json_node *meta = NULL;

    BUF_LIT(out, "{");
    if (revision->modern)
        BUF_LIT(out, "\"resultType\":\"complete\",");
    switch (result->end) {
    case CALL_RESULT:
        write_members(out, revision, result->json);
        meta = json_get(result->json, result->json->root, "_meta");
        break;
    case CALL_STRUCTURED:
        write_text_block(out, result->text.size > 0 ? result->text : result->json_text);
        if (takes_structured(revision, result->json->root)) {
            BUF_LIT(out, ",\"structuredContent\":");
            buf_add_bytes(out, json_raw(result->json, result->json->root));
        }
        break;
    case CALL_TEXT:
        write_text_block(out, result->text);
        break;
    default:
        write_text_block(out, result->text);
        BUF_LIT(out, ",\"isError\":true");
        break;
    }
    write_meta(out, result->json, meta, revision, server_meta);
}
