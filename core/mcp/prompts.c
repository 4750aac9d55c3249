/* SPDX-License-Identifier: MIT */
/* prompts/list and prompts/get. */
#include "mcp/content.h"
#include "mcp/invoke.h"
#include "mcp/lists.h"
#include "mcp/result.h"

static const struct bytes no_data = {NULL, 0};

void prompts_list(struct request *request)
{
    respond_list(request, OFFER_PROMPT);
}

/* ---- finding ---- */

static bool invalid(struct request *request, const char *what)
{
    respond_error(request, STATUS_IN_PROTOCOL, RPC_INVALID_PARAMS, no_data, "Invalid params: %s",
                  what);
    return false;
}

static bool are_strings(const struct json_node *object)
{
    const struct json_node *end = object + object->span;

    for (const struct json_node *name = json_first(object); name != NULL;
         name = json_next(name + 1, end))
        if (name[1].type != JSON_STRING)
            return false;
    return true;
}

/* Adds the names of the required arguments that are not there. */
static void list_missing(struct buf *out, const struct offer *prompt, const struct json *json,
                         const struct json_node *given, struct arena *arena)
{
    const struct json *definition = &prompt->json;
    const struct json_node *arguments = json_get(definition, definition->root, "arguments");

    if (arguments == NULL)
        return;
    const struct json_node *end = arguments + arguments->span;
    for (const struct json_node *one = json_first(arguments); one != NULL;
         one = json_next(one, end)) {
        const struct json_node *required = json_get(definition, one, "required");
        if (required == NULL || required->type != JSON_TRUE)
            continue;
        struct bytes name = json_string(definition, json_get(definition, one, "name"), arena);
        if (json_get_bytes(json, given, name) == NULL)
            buf_addf(out, "%s%.*s", out->size > 0 ? ", " : "", BYTES_FMT(name));
    }
}

static bool has_required(struct request *request, const struct registry_entry *entry,
                         const struct json_node *given)
{
    struct buf missing;

    buf_init(&missing, 1u << 16);
    list_missing(&missing, entry->offer, &request->json, given, request->message->arena);
    bool all = missing.size == 0;
    if (!all)
        respond_error(request, STATUS_IN_PROTOCOL, RPC_INVALID_PARAMS, no_data,
                      "Invalid params: the prompt %.*s needs the arguments it has not got: %.*s",
                      BYTES_FMT(entry->name), BYTES_FMT(missing));
    buf_free(&missing);
    return all;
}

static bool find_prompt(struct request *request, const struct snapshot *snapshot,
                        struct invoke_target *target)
{
    const struct json *json = &request->json;
    struct bytes name =
        json_string(json, json_get(json, request->params, "name"), request->message->arena);
    const struct json_node *arguments = json_get(json, request->params, "arguments");

    if (name.data == NULL)
        return invalid(request, "name must be a string");
    if (arguments != NULL && (arguments->type != JSON_OBJECT || !are_strings(arguments)))
        return invalid(request, "arguments must be an object of strings");
    const struct registry_entry *entry = snapshot_find(snapshot, OFFER_PROMPT, name);
    if (entry == NULL) {
        respond_error(request, STATUS_IN_PROTOCOL, RPC_INVALID_PARAMS, no_data,
                      "Unknown prompt: %.*s; prompts/list tells what is offered now",
                      (int)(name.size > TOOL_NAME_MAX ? TOOL_NAME_MAX : name.size), name.data);
        return false;
    }
    *target = (struct invoke_target){.entry = entry, .json = json, .arguments = arguments};
    return has_required(request, entry, arguments);
}

/* ---- results ---- */

/* The messages of a plugin's own result: their content, as the revision has it. */
static void write_messages(struct buf *out, const struct revision *revision,
                           const struct json *json)
{
    const struct json_node *messages = json_get(json, json->root, "messages");
    const struct json_node *end = messages + messages->span;

    BUF_LIT(out, "\"messages\":[");
    for (const struct json_node *one = json_first(messages); one != NULL;
         one = json_next(one, end)) {
        buf_addf(out, "%s{\"role\":", one == messages + 1 ? "" : ",");
        buf_add_bytes(out, json_raw(json, json_get(json, one, "role")));
        BUF_LIT(out, ",\"content\":");
        write_content(out, revision, json, json_get(json, one, "content"));
        BUF_LIT(out, "}");
    }
    BUF_LIT(out, "]");
}

static void write_prompt_result(struct buf *out, const struct revision *revision,
                                struct bytes server_meta, const struct call_result *result)
{
    const struct json *json = result->json;
    const struct json_node *meta = NULL;

    buf_reserve(out, result->text.size + result->json_text.size + 256);
    BUF_LIT(out, "{");
    if (revision->modern)
        BUF_LIT(out, "\"resultType\":\"complete\",");
    if (result->end == CALL_RESULT) {
        const struct json_node *description = json_get(json, json->root, "description");
        if (description != NULL) {
            BUF_LIT(out, "\"description\":");
            buf_add_bytes(out, json_raw(json, description));
            BUF_LIT(out, ",");
        }
        write_messages(out, revision, json);
        meta = json_get(json, json->root, "_meta");
    } else {
        BUF_LIT(out, "\"messages\":[{\"role\":\"user\",\"content\":");
        write_text_content(out, result->text);
        BUF_LIT(out, "}]");
    }
    write_meta(out, json, meta, revision, server_meta);
}

static void finish_prompt(struct invocation *inv, const struct call_result *result)
{
    struct request *request = inv->request;
    struct buf out;

    if (result->end != CALL_RESULT && result->end != CALL_TEXT) {
        respond_failure(inv, result);
        return;
    }
    respond_begin(request, &out);
    write_prompt_result(&out, request->revision, server_meta(request->mcp), result);
    respond_finish(request, &out);
}

static const struct invoke_method get_method = {
    .function = CALL_GET_PROMPT, .find = find_prompt, .finish = finish_prompt};

void prompts_get(struct request *request)
{
    invoke(request, &get_method);
}
