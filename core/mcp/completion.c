/* SPDX-License-Identifier: MIT */
/* completion/complete: suggestions for an argument of a prompt or a variable of a
 * resource template (2026-07-28, server/utilities/completion). */
#include <inttypes.h>

#include "mcp/invoke.h"
#include "mcp/result.h"
#include "plugin/uri_template.h"

#define VALUES_MAX 100

static const struct bytes no_data = {NULL, 0};

/* ---- results ---- */

/* The first values, and what is known of the others: a total is at least what
 * there is, and more is there when it is greater than what is sent. */
static void write_completion(struct buf *out, const struct json *json)
{
    const struct json_node *values = json_get(json, json->root, "values");
    const struct json_node *more = json_get(json, json->root, "hasMore");
    const struct json_node *end = values + values->span;
    int64_t count = values->count, total, sent = 0;
    bool has_total = json_int64(json, json_get(json, json->root, "total"), &total);

    BUF_LIT(out, "{\"values\":[");
    for (const struct json_node *value = json_first(values); value != NULL && sent < VALUES_MAX;
         value = json_next(value, end), sent++) {
        if (sent > 0)
            BUF_LIT(out, ",");
        buf_add_bytes(out, json_raw(json, value));
    }
    BUF_LIT(out, "]");
    if (has_total && total < count)
        total = count;
    if (!has_total && count > VALUES_MAX && (more == NULL || more->type != JSON_TRUE)) {
        has_total = true;
        total = count;
    }
    if (has_total)
        buf_addf(out, ",\"total\":%" PRId64 ",\"hasMore\":%s", total,
                 total > sent ? "true" : "false");
    else if (more != NULL)
        buf_addf(out, ",\"hasMore\":%s",
                 more->type == JSON_TRUE || count > sent ? "true" : "false");
    BUF_LIT(out, "}");
}

/* With `json` NULL: that there are none. */
static void respond_completion(struct request *request, const struct json *json)
{
    const struct json_node *meta = json != NULL ? json_get(json, json->root, "_meta") : NULL;
    struct buf out;

    respond_begin(request, &out);
    BUF_LIT(&out, "{");
    if (request->revision->modern)
        BUF_LIT(&out, "\"resultType\":\"complete\",");
    BUF_LIT(&out, "\"completion\":");
    if (json != NULL)
        write_completion(&out, json);
    else
        BUF_LIT(&out, "{\"values\":[],\"total\":0,\"hasMore\":false}");
    write_meta(&out, json, meta, request->revision, server_meta(request->mcp));
    respond_finish(request, &out);
}

static void finish_completion(struct invocation *inv, const struct call_result *result)
{
    if (result->end == CALL_RESULT)
        respond_completion(inv->request, result->json);
    else
        respond_failure(inv, result);
}

/* ---- finding ---- */

static bool invalid(struct request *request, const char *what, struct bytes name)
{
    respond_error(request, STATUS_IN_PROTOCOL, RPC_INVALID_PARAMS, no_data,
                  "Invalid params: %s%s%.*s", what, name.size > 0 ? ": " : "",
                  (int)(name.size > 300 ? 300 : name.size), name.size > 0 ? name.data : "");
    return false;
}

static bool prompt_has_argument(const struct offer *prompt, struct bytes wanted,
                                struct arena *arena)
{
    const struct json *json = &prompt->json;
    const struct json_node *arguments = json_get(json, json->root, "arguments");

    if (arguments == NULL)
        return false;
    const struct json_node *end = arguments + arguments->span;
    for (const struct json_node *one = json_first(arguments); one != NULL;
         one = json_next(one, end))
        if (bytes_equal(json_string(json, json_get(json, one, "name"), arena), wanted))
            return true;
    return false;
}

/* What "ref" names. NULL: answered. */
static const struct registry_entry *find_ref(struct request *request,
                                             const struct snapshot *snapshot)
{
    const struct json *json = &request->json;
    const struct json_node *ref = json_get(json, request->params, "ref");
    const struct json_node *type = json_get(json, ref, "type");
    bool is_prompt = json_is(json, type, "ref/prompt");

    if (!is_prompt && !json_is(json, type, "ref/resource")) {
        invalid(request, "ref must be an object of type \"ref/prompt\" or \"ref/resource\"",
                no_data);
        return NULL;
    }
    const struct json_node *member = json_get(json, ref, is_prompt ? "name" : "uri");
    struct bytes name = json_string(json, member, request->message->arena);
    if (name.data == NULL) {
        invalid(request, is_prompt ? "ref.name must be a string" : "ref.uri must be a string",
                no_data);
        return NULL;
    }
    const struct registry_entry *entry =
        snapshot_find(snapshot, is_prompt ? OFFER_PROMPT : OFFER_TEMPLATE, name);
    /* A resource has nothing to be filled in, and some clients ask all the same. */
    if (entry == NULL && !is_prompt && snapshot_find(snapshot, OFFER_RESOURCE, name) != NULL)
        respond_completion(request, NULL);
    else if (entry == NULL)
        invalid(request, is_prompt ? "unknown prompt" : "unknown resource template", name);
    return entry;
}

/* The argument's name; .data is NULL: answered. */
static struct bytes read_argument(struct request *request)
{
    const struct json *json = &request->json;
    const struct json_node *argument = json_get(json, request->params, "argument");
    const struct json_node *value = json_get(json, argument, "value");
    const struct json_node *context = json_get(json, request->params, "context");
    const struct json_node *chosen = json_get(json, context, "arguments");
    struct bytes name =
        json_string(json, json_get(json, argument, "name"), request->message->arena);

    if (name.data == NULL || value == NULL || value->type != JSON_STRING) {
        invalid(request, "argument must be an object with the strings name and value", no_data);
        return no_data;
    }
    bool legal = context == NULL || context->type == JSON_OBJECT;
    if (chosen != NULL) {
        legal = legal && chosen->type == JSON_OBJECT;
        const struct json_node *end = chosen + chosen->span;
        for (const struct json_node *n = json_first(chosen); n != NULL && legal;
             n = json_next(n + 1, end))
            legal = n[1].type == JSON_STRING;
    }
    if (legal)
        return name;
    invalid(request, "context.arguments must be an object of strings", no_data);
    return no_data;
}

/* What the plugin sees as its arguments: "argument" and "context" of the params. */
static bool make_arguments(struct request *request, struct invoke_target *target)
{
    struct arena *arena = request->message->arena;
    const struct json *json = &request->json;
    const struct json_node *context = json_get(json, request->params, "context");
    struct json *made = arena_calloc(arena, 1, sizeof *made);
    struct buf text;

    buf_init(&text, json->text.size + 64);
    BUF_LIT(&text, "{\"argument\":");
    buf_add_bytes(&text, json_raw(json, json_get(json, request->params, "argument")));
    if (context != NULL) {
        BUF_LIT(&text, ",\"context\":");
        buf_add_bytes(&text, json_raw(json, context));
    }
    BUF_LIT(&text, "}");
    struct bytes copy = text.failed ? no_data : arena_copy(arena, buf_bytes(&text));
    buf_free(&text);
    if (made == NULL || copy.data == NULL ||
        !json_parse(made, copy, &json_default_limits, arena, NULL)) {
        respond_error(request, 500, RPC_INTERNAL_ERROR, no_data, "Out of memory");
        return false;
    }
    target->json = made;
    target->arguments = made->root;
    return true;
}

static bool find_completion(struct request *request, const struct snapshot *snapshot,
                            struct invoke_target *target)
{
    const struct registry_entry *entry = find_ref(request, snapshot);

    if (entry == NULL)
        return false;
    struct bytes argument = read_argument(request);
    if (argument.data == NULL)
        return false;
    const struct offer *offer = entry->offer;
    bool has = offer->kind == OFFER_PROMPT
                   ? prompt_has_argument(offer, argument, request->message->arena)
                   : uri_template_has_variable(offer->uri_template, argument);
    if (!has)
        return invalid(request,
                       offer->kind == OFFER_PROMPT ? "the prompt has no such argument"
                                                   : "the resource template has no such variable",
                       argument);
    if (!entry->provider->completes) {
        respond_completion(request, NULL);
        return false;
    }
    target->entry = entry;
    return make_arguments(request, target);
}

static const struct invoke_method complete_method = {
    .function = CALL_COMPLETE, .find = find_completion, .finish = finish_completion};

void completion_complete(struct request *request)
{
    invoke(request, &complete_method);
}
