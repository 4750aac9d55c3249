/* SPDX-License-Identifier: MIT */
/* resources/list, resources/templates/list and resources/read. */
#include <inttypes.h>

#include "base/utf8.h"
#include "json/schema.h"
#include "mcp/content.h"
#include "mcp/invoke.h"
#include "mcp/lists.h"
#include "mcp/result.h"

static const struct bytes no_data = {NULL, 0};

void resources_list(struct request *request)
{
    respond_list(request, OFFER_RESOURCE);
}

void resources_templates_list(struct request *request)
{
    respond_list(request, OFFER_TEMPLATE);
}

/* ---- finding ---- */

/* The codes are those of the era (2026-07-28, server/resources, "Error Handling";
 * SEP-2164); both tell the URI. */
static bool not_found(struct request *request, struct bytes uri)
{
    struct buf data;

    buf_init(&data, uri.size * 6 + 64);
    BUF_LIT(&data, "{\"uri\":");
    json_write_string(&data, uri);
    BUF_LIT(&data, "}");
    respond_error(
        request, STATUS_IN_PROTOCOL,
        request->revision->modern ? RPC_INVALID_PARAMS : RPC_RESOURCE_NOT_FOUND, buf_bytes(&data),
        "Resource not found: %.*s",
        (int)(uri.size > 300 ? utf8_valid_prefix((struct bytes){uri.data, 300}) : uri.size),
        uri.data);
    buf_free(&data);
    return false;
}

/* The values of a template's variables become the arguments of the call. */
static bool keep_variables(struct request *request, const struct buf *variables,
                           struct invoke_target *target)
{
    struct arena *arena = request->message->arena;
    struct json *json = arena_calloc(arena, 1, sizeof *json);
    struct bytes text = arena_copy(arena, buf_bytes(variables));

    if (json == NULL || text.data == NULL || variables->failed ||
        !json_parse(json, text, &json_default_limits, arena, NULL)) {
        respond_error(request, 500, RPC_INTERNAL_ERROR, no_data, "Out of memory");
        return false;
    }
    target->json = json;
    target->arguments = json->root;
    return true;
}

static bool find_by_template(struct request *request, const struct snapshot *snapshot,
                             struct bytes uri, struct invoke_target *target)
{
    struct buf variables;

    buf_init(&variables, (size_t)1 << 20);
    /* The answer repeats the URI, and must have one there: what is not ASCII is not. */
    target->entry =
        schema_format_holds("uri", uri) ? snapshot_match(snapshot, uri, &variables) : NULL;
    bool found = target->entry != NULL ? keep_variables(request, &variables, target)
                                       : not_found(request, uri);
    buf_free(&variables);
    return found;
}

bool resource_exists(struct request *request, struct bytes uri)
{
    const struct snapshot *snapshot =
        registry_read(request->mcp->registry, request->message->reader);
    struct invoke_target ignored = {0};

    return snapshot_find(snapshot, OFFER_RESOURCE, uri) != NULL ||
           find_by_template(request, snapshot, uri, &ignored);
}

static bool find_resource(struct request *request, const struct snapshot *snapshot,
                          struct invoke_target *target)
{
    const struct json *json = &request->json;
    struct bytes uri =
        json_string(json, json_get(json, request->params, "uri"), request->message->arena);

    if (uri.data == NULL) {
        respond_error(request, STATUS_IN_PROTOCOL, RPC_INVALID_PARAMS, no_data,
                      "Invalid params: uri must be a string");
        return false;
    }
    *target = (struct invoke_target){
        .entry = snapshot_find(snapshot, OFFER_RESOURCE, uri), .name = uri, .json = json};
    return target->entry != NULL || find_by_template(request, snapshot, uri, target);
}

/* ---- results ---- */

static void write_text_contents(struct buf *out, const struct invocation *inv, struct bytes text)
{
    const struct json *asked = &inv->request->json, *definition = &inv->entry->offer->json;
    const struct json_node *type = json_get(definition, definition->root, "mimeType");

    BUF_LIT(out, "[{\"uri\":");
    buf_add_bytes(out, json_raw(asked, json_get(asked, inv->request->params, "uri")));
    if (type != NULL) {
        BUF_LIT(out, ",\"mimeType\":");
        buf_add_bytes(out, json_raw(definition, type));
    }
    BUF_LIT(out, ",\"text\":");
    json_write_string(out, text);
    BUF_LIT(out, "}]");
}

static void write_all_contents(struct buf *out, const struct revision *revision,
                               const struct json *json)
{
    const struct json_node *contents = json_get(json, json->root, "contents");
    const struct json_node *end = contents + contents->span;

    BUF_LIT(out, "[");
    for (const struct json_node *one = json_first(contents); one != NULL;
         one = json_next(one, end)) {
        if (one != contents + 1)
            BUF_LIT(out, ",");
        write_resource_contents(out, revision, json, one);
    }
    BUF_LIT(out, "]");
}

/* For how long, and for whom, a client may keep it: what the plugin says, else
 * not at all, for mcpd cannot know when the data changes and who may see it. */
static void write_caching(struct buf *out, const struct json *json)
{
    const struct json_node *root = json != NULL ? json->root : NULL;
    int64_t ttl = 0;

    if (!json_int64(json, json_get(json, root, "ttlMs"), &ttl) || ttl < 0)
        ttl = 0;
    buf_addf(out, ",\"ttlMs\":%" PRId64 ",\"cacheScope\":\"%s\"", ttl,
             json_is(json, json_get(json, root, "cacheScope"), "public") ? "public" : "private");
}

static void finish_read(struct invocation *inv, const struct call_result *result)
{
    struct request *request = inv->request;
    const struct revision *revision = request->revision;
    const struct json *json = result->end == CALL_RESULT ? result->json : NULL;
    struct buf out;

    if (result->end != CALL_RESULT && result->end != CALL_TEXT) {
        respond_failure(inv, result);
        return;
    }
    respond_begin(request, &out);
    buf_reserve(&out, result->text.size + result->json_text.size + 512);
    buf_addf(&out, "{%s\"contents\":", revision->modern ? "\"resultType\":\"complete\"," : "");
    if (json != NULL)
        write_all_contents(&out, revision, json);
    else
        write_text_contents(&out, inv, result->text);
    if (revision->modern)
        write_caching(&out, json);
    write_meta(&out, json, json != NULL ? json_get(json, json->root, "_meta") : NULL, revision,
               server_meta(request->mcp));
    respond_finish(request, &out);
}

static const struct invoke_method read_method = {
    .function = CALL_READ_RESOURCE, .find = find_resource, .finish = finish_read};

void resources_read(struct request *request)
{
    invoke(request, &read_method);
}
