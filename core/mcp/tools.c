/* SPDX-License-Identifier: MIT */
/* tools/list and tools/call. */
#include "base/log.h"
#include "mcp/headers.h"
#include "mcp/invoke.h"
#include "mcp/lists.h"
#include "mcp/result.h"
#include "mcp/tasks.h"

static const struct bytes no_data = {NULL, 0};

void tools_list(struct request *request)
{
    respond_list(request, OFFER_TOOL);
}

/* ---- arguments ---- */

static bool note_failure(void *context, const struct schema_failure *failure)
{
    error_set(context, "%s%s%s", failure->instance[0] == '/' ? failure->instance + 1 : "",
              failure->instance[0] == '/' ? ": " : "", failure->text);
    return false;
}

/* What a client that sent no arguments meant. */
static const struct json_node empty_object = {
    .start = 0, .end = 2, .span = 1, .count = 0, .type = JSON_OBJECT};
static const struct json empty_arguments = {.text = {"{}", 2}, .root = &empty_object, .nodes = 1};

/* Arguments that the schema refuses are the model's to correct (SEP-1303): a
 * result with isError. */
static bool check_arguments(struct request *request, const struct registry_entry *entry,
                            const struct json_node *arguments)
{
    const struct schema *schema = entry->offer->input;
    const struct json *json = arguments != NULL ? &request->json : &empty_arguments;
    const struct json_node *value = arguments != NULL ? arguments : &empty_object;
    struct error why = {.text = "they do not match the inputSchema"};
    struct error text;
    struct buf out;

    if (schema == NULL || schema_validate(schema, json, value, NULL, NULL))
        return true;
    schema_validate(schema, json, value, note_failure, &why);
    error_set(&text, "Invalid arguments for %.*s: %s", BYTES_FMT(entry->name), why.text);
    respond_begin(request, &out);
    write_tool_result(&out, request->revision, server_meta(request->mcp),
                      &(struct call_result){.end = CALL_FAILURE, .text = bytes_of(text.text)});
    respond_finish(request, &out);
    return false;
}

static bool find_tool(struct request *request, const struct snapshot *snapshot,
                      struct invoke_target *target)
{
    const struct json *json = &request->json;
    struct bytes name =
        json_string(json, json_get(json, request->params, "name"), request->message->arena);
    const struct json_node *arguments = json_get(json, request->params, "arguments");
    struct error why;

    if (name.data == NULL || (arguments != NULL && arguments->type != JSON_OBJECT)) {
        respond_error(request, STATUS_IN_PROTOCOL, RPC_INVALID_PARAMS, no_data,
                      "Invalid params: %s",
                      name.data == NULL ? "name must be a string" : "arguments must be an object");
        return false;
    }
    const struct registry_entry *entry = snapshot_find(snapshot, OFFER_TOOL, name);
    if (entry == NULL) {
        respond_error(request, STATUS_IN_PROTOCOL, RPC_INVALID_PARAMS, no_data,
                      "Unknown tool: %.*s; tools/list tells what is offered now",
                      (int)(name.size > TOOL_NAME_MAX ? TOOL_NAME_MAX : name.size), name.data);
        return false;
    }
    if (request->revision->modern && request->message->channel == NULL && request->run == NULL &&
        !headers_match_arguments(request->message, entry->offer, json, arguments, &why)) {
        respond_error(request, 400, RPC_HEADER_MISMATCH, no_data, "Header mismatch: %s", why.text);
        return false;
    }
    *target = (struct invoke_target){.entry = entry, .json = json, .arguments = arguments};
    return check_arguments(request, entry, arguments) && tasks_admit(request, entry);
}

/* ---- results ---- */

/* What a tool promised with its outputSchema (2026-07-28, server/tools, "Output
 * Schema"). Failures promise nothing. */
static bool keeps_promise(const struct invocation *inv, const struct call_result *result,
                          struct error *why)
{
    const struct json *json = result->json;
    const struct json_node *value = NULL;

    if (inv->snapshot == NULL || result->end == CALL_FAILURE || result->end == CALL_TIMEOUT)
        return true;
    if (result->end == CALL_STRUCTURED) {
        value = json->root;
    } else if (result->end == CALL_RESULT) {
        const struct json_node *failed = json_get(json, json->root, "isError");
        if (failed != NULL && failed->type == JSON_TRUE)
            return true;
        value = json_get(json, json->root, "structuredContent");
    }
    const struct schema *schema = inv->entry->offer->output;
    if (value != NULL && schema_validate(schema, json, value, NULL, NULL))
        return true;
    error_set(why, "there is no structured result");
    if (value != NULL)
        schema_validate(schema, json, value, note_failure, why);
    return false;
}

/* The operator is told what is wrong with the result; the client, only that it
 * is: the result may hold what it was not meant to see. */
static void refuse_result(const struct invocation *inv, const struct error *why)
{
    const char *id = inv->entry->provider->id;
    struct bytes name = inv->entry->name;

    log_warning("%s: the result of %.*s does not match its outputSchema: %s", id, BYTES_FMT(name),
                why->text);
    respond_error(inv->request, STATUS_IN_PROTOCOL, RPC_INTERNAL_ERROR, no_data,
                  "The provider %s broke its promise: the result of %.*s does not match its "
                  "outputSchema",
                  id, BYTES_FMT(name));
}

static void finish_tool(struct invocation *inv, const struct call_result *result)
{
    struct request *request = inv->request;
    struct error why;
    struct buf out;

    if (!keeps_promise(inv, result, &why)) {
        refuse_result(inv, &why);
        return;
    }
    respond_begin(request, &out);
    buf_reserve(&out, result->text.size + result->json_text.size + 256);
    write_tool_result(&out, request->revision, server_meta(request->mcp), result);
    respond_finish(request, &out);
}

static const struct invoke_method call_method = {
    .function = CALL_TOOL, .find = find_tool, .finish = finish_tool};

void tools_call(struct request *request)
{
    invoke(request, &call_method);
}
