/* SPDX-License-Identifier: MIT */
/* The form of what a plugin gives as a result of each function (2026-07-28,
 * schema). Only what mcpd acts on or clients would trip over is looked at; the
 * rest is passed on. */
#include "plugin/call_private.h"

const char *call_result_name(enum call_function function)
{
    switch (function) {
    case CALL_TOOL:
        return "CallToolResult";
    case CALL_READ_RESOURCE:
        return "ReadResourceResult";
    case CALL_GET_PROMPT:
        return "GetPromptResult";
    case CALL_COMPLETE:
        return "completion";
    case CALL_HEALTH:
        return "check";
    case CALL_FUNCTIONS:
        break;
    }
    return "result";
}

static bool is_string(const struct json *json, const struct json_node *object, const char *member)
{
    const struct json_node *value = json_get(json, object, member);

    return value != NULL && value->type == JSON_STRING;
}

static bool may_be(const struct json *json, const struct json_node *object, const char *member,
                   enum json_type type)
{
    const struct json_node *value = json_get(json, object, member);

    return value == NULL || value->type == type || (type == JSON_TRUE && value->type == JSON_FALSE);
}

/* A text, or bytes in Base64, under a URI. */
static const char *contents_fault(const struct json *json, const struct json_node *contents)
{
    if (contents == NULL || contents->type != JSON_OBJECT || !is_string(json, contents, "uri"))
        return "the contents of a resource must be an object with a string \"uri\"";
    if (is_string(json, contents, "text") == is_string(json, contents, "blob"))
        return "the contents of a resource must have a string \"text\" or a string \"blob\"";
    if (!may_be(json, contents, "mimeType", JSON_STRING))
        return "the \"mimeType\" of a resource must be a string";
    if (!may_be(json, contents, "_meta", JSON_OBJECT))
        return "the \"_meta\" of a resource must be an object";
    return NULL;
}

/* A content block of a result or of a prompt's message. */
static const char *block_fault(const struct json *json, const struct json_node *block)
{
    const struct json_node *type = json_get(json, block, "type");

    if (type == NULL || type->type != JSON_STRING)
        return "each content block must be an object with a string \"type\"";
    if (!may_be(json, block, "annotations", JSON_OBJECT) ||
        !may_be(json, block, "_meta", JSON_OBJECT))
        return "\"annotations\" and \"_meta\" of a content block must be objects";
    if (json_is(json, type, "text"))
        return is_string(json, block, "text")
                   ? NULL
                   : "a block of type \"text\" must have a string \"text\"";
    if (json_is(json, type, "image") || json_is(json, type, "audio"))
        return is_string(json, block, "data") && is_string(json, block, "mimeType")
                   ? NULL
                   : "a block of type \"image\" or \"audio\" must have the strings \"data\" and "
                     "\"mimeType\"";
    if (json_is(json, type, "resource"))
        return contents_fault(json, json_get(json, block, "resource"));
    if (json_is(json, type, "resource_link"))
        return is_string(json, block, "uri") && is_string(json, block, "name")
                   ? NULL
                   : "a block of type \"resource_link\" must have the strings \"uri\" and "
                     "\"name\"";
    return NULL;
}

static const char *tool_fault(const struct json *json)
{
    const struct json_node *content = json_get(json, json->root, "content");
    const char *fault = NULL;

    if (content == NULL || content->type != JSON_ARRAY)
        return "\"content\" must be there, an array";
    const struct json_node *stop = content + content->span;
    for (const struct json_node *block = json_first(content); block != NULL && fault == NULL;
         block = json_next(block, stop))
        fault = block_fault(json, block);
    if (fault == NULL && !may_be(json, json->root, "isError", JSON_TRUE))
        fault = "\"isError\" must be true or false";
    return fault;
}

static const char *read_fault(const struct json *json)
{
    const struct json_node *list = json_get(json, json->root, "contents");
    const char *fault = NULL;

    if (list == NULL || list->type != JSON_ARRAY || list->count == 0)
        return "\"contents\" must be there, an array that is not empty (for what does not exist, "
               "finish_error)";
    const struct json_node *stop = list + list->span;
    for (const struct json_node *one = json_first(list); one != NULL && fault == NULL;
         one = json_next(one, stop))
        fault = contents_fault(json, one);
    return fault;
}

static const char *prompt_fault(const struct json *json)
{
    const struct json_node *messages = json_get(json, json->root, "messages");
    const char *fault = NULL;

    if (messages == NULL || messages->type != JSON_ARRAY)
        return "\"messages\" must be there, an array";
    const struct json_node *stop = messages + messages->span;
    for (const struct json_node *message = json_first(messages); message != NULL && fault == NULL;
         message = json_next(message, stop)) {
        const struct json_node *role = json_get(json, message, "role");
        if (!json_is(json, role, "user") && !json_is(json, role, "assistant"))
            return "the \"role\" of each message must be \"user\" or \"assistant\"";
        fault = block_fault(json, json_get(json, message, "content"));
    }
    if (fault == NULL && !may_be(json, json->root, "description", JSON_STRING))
        fault = "\"description\" must be a string";
    return fault;
}

static const char *completion_fault(const struct json *json)
{
    const struct json_node *values = json_get(json, json->root, "values");

    if (values == NULL || values->type != JSON_ARRAY)
        return "\"values\" must be there, an array of strings";
    const struct json_node *stop = values + values->span;
    for (const struct json_node *value = json_first(values); value != NULL;
         value = json_next(value, stop))
        if (value->type != JSON_STRING)
            return "\"values\" must be an array of strings";
    if (!may_be(json, json->root, "total", JSON_NUMBER) ||
        !may_be(json, json->root, "hasMore", JSON_TRUE))
        return "\"total\" must be a number and \"hasMore\" true or false";
    return NULL;
}

const char *call_missing_fault(const struct call *call, const struct json *json)
{
    const struct json_node *required = json_get(json, json->root, "requiredCapabilities");

    (void)call;
    return required != NULL && required->type == JSON_OBJECT
               ? NULL
               : "with MCP_ERROR_MISSING_CAPABILITY it must be an object with an object "
                 "\"requiredCapabilities\"";
}

const char *call_result_fault(const struct call *call, const struct json *json)
{
    if (json->root->type != JSON_OBJECT)
        return "it must be an object";
    if (!may_be(json, json->root, "_meta", JSON_OBJECT))
        return "\"_meta\" must be an object";
    switch (call->function) {
    case CALL_TOOL:
        return tool_fault(json);
    case CALL_READ_RESOURCE:
        return read_fault(json);
    case CALL_GET_PROMPT:
        return prompt_fault(json);
    case CALL_COMPLETE:
        return completion_fault(json);
    case CALL_HEALTH:
        return "a check is ended with finish_text or finish_failure";
    case CALL_FUNCTIONS:
        break;
    }
    return NULL;
}
