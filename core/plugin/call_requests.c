/* SPDX-License-Identifier: MIT */
/* The form of what a plugin asks a client (2026-07-28, schema, InputRequests; and
 * client/elicitation, client/sampling, client/roots). A mistake in it is the
 * plugin's; it is found here, before a client trips over it. */
#include <stdio.h>

#include "json/schema.h"
#include "plugin/call_private.h"

static bool is_type(const struct json_node *value, enum json_type type)
{
    return value != NULL && value->type == type;
}

static bool is_string(const struct json *json, const struct json_node *object, const char *member)
{
    return is_type(json_get(json, object, member), JSON_STRING);
}

/* ---- forms ---- */

static bool all_strings(const struct json_node *array)
{
    const struct json_node *end = array + array->span;

    for (const struct json_node *item = json_first(array); item != NULL;
         item = json_next(item, end))
        if (item->type != JSON_STRING)
            return false;
    return true;
}

/* [{"const":"a","title":"A"},...] */
static bool all_titled(const struct json *json, const struct json_node *array)
{
    const struct json_node *end = array + array->span;

    for (const struct json_node *item = json_first(array); item != NULL;
         item = json_next(item, end))
        if (!is_string(json, item, "const") || !is_string(json, item, "title"))
            return false;
    return true;
}

/* A choice, if `schema` has one under `plain` or `titled`. */
static bool choice_is_legal(const struct json *json, const struct json_node *schema,
                            const char *titled, bool required)
{
    const struct json_node *values = json_get(json, schema, "enum");
    const struct json_node *pairs = json_get(json, schema, titled);

    if (values == NULL && pairs == NULL)
        return !required;
    return (values == NULL || (values->type == JSON_ARRAY && all_strings(values))) &&
           (pairs == NULL || (pairs->type == JSON_ARRAY && all_titled(json, pairs)));
}

/* PrimitiveSchemaDefinition: a text, a number, yes or no, one of some, some of some. */
static const char *field_fault(const struct json *json, const struct json_node *field)
{
    const struct json_node *type = json_get(json, field, "type");

    if (json_is(json, type, "string"))
        return choice_is_legal(json, field, "oneOf", false)
                   ? NULL
                   : "a choice in a form has \"enum\", an array of strings, or \"oneOf\", an array "
                     "of {\"const\", \"title\"}";
    if (json_is(json, type, "array"))
        return choice_is_legal(json, json_get(json, field, "items"), "anyOf", true)
                   ? NULL
                   : "an array in a form has \"items\" with \"enum\", an array of strings, or "
                     "\"anyOf\", an array of {\"const\", \"title\"}";
    if (json_is(json, type, "number") || json_is(json, type, "integer") ||
        json_is(json, type, "boolean"))
        return NULL;
    return "a field of a form is of \"type\" \"string\", \"number\", \"integer\", \"boolean\" or "
           "\"array\"";
}

/* What schema_compile says; until the thread's next one. */
static const char *compile_fault(const struct json *json, const struct json_node *node)
{
    static _Thread_local char text[512];
    struct error err;
    struct schema *schema = schema_compile(json, node, NULL, &err);

    if (schema != NULL) {
        schema_free(schema);
        return NULL;
    }
    snprintf(text, sizeof text, "the \"requestedSchema\" of a form does not compile: %.400s",
             err.text);
    return text;
}

static const char *form_fault(const struct json *json, const struct json_node *params)
{
    const struct json_node *schema = json_get(json, params, "requestedSchema");
    const struct json_node *fields = json_get(json, schema, "properties");
    const char *fault = NULL;

    if (!json_is(json, json_get(json, schema, "type"), "object") || !is_type(fields, JSON_OBJECT))
        return "an elicitation by form must have a \"requestedSchema\" with \"type\" \"object\" "
               "and \"properties\"";
    const struct json_node *end = fields + fields->span;
    for (const struct json_node *name = json_first(fields); name != NULL && fault == NULL;
         name = json_next(name + 1, end))
        fault = field_fault(json, name + 1);
    return fault != NULL ? fault : compile_fault(json, schema);
}

/* ---- each kind ---- */

static bool is_web_address(const struct json *json, const struct json_node *url)
{
    struct bytes raw = url != NULL ? json_raw(json, url) : BYTES("");

    return is_type(url, JSON_STRING) && !url->escaped &&
           ((raw.size > 10 && memcmp(raw.data, "\"https://", 9) == 0) ||
            (raw.size > 9 && memcmp(raw.data, "\"http://", 8) == 0));
}

static const char *elicitation_fault(const struct json *json, const struct json_node *params)
{
    const struct json_node *mode = json_get(json, params, "mode");

    if (!is_string(json, params, "message"))
        return "an elicitation must have a string \"message\"";
    if (mode == NULL || json_is(json, mode, "form"))
        return form_fault(json, params);
    if (!json_is(json, mode, "url"))
        return "the \"mode\" of an elicitation is \"form\" or \"url\"";
    if (!is_web_address(json, json_get(json, params, "url")))
        return "the \"url\" of an elicitation begins with https:// or http://, and has no escapes";
    const struct json_node *id = json_get(json, params, "elicitationId");
    return id == NULL || id->type == JSON_STRING ? NULL : "an \"elicitationId\" must be a string";
}

static const char *sampling_fault(const struct json *json, const struct json_node *params)
{
    const struct json_node *messages = json_get(json, params, "messages");
    int64_t most;

    if (!is_type(messages, JSON_ARRAY))
        return "a sampling must have \"messages\", an array";
    const struct json_node *end = messages + messages->span;
    for (const struct json_node *message = json_first(messages); message != NULL;
         message = json_next(message, end)) {
        const struct json_node *role = json_get(json, message, "role");
        const struct json_node *content = json_get(json, message, "content");
        if (!json_is(json, role, "user") && !json_is(json, role, "assistant"))
            return "the \"role\" of each message must be \"user\" or \"assistant\"";
        if (!is_type(content, JSON_ARRAY) && !is_string(json, content, "type"))
            return "the \"content\" of each message must be a content block or an array of them";
    }
    const struct json_node *tokens = json_get(json, params, "maxTokens");
    if (tokens == NULL || !json_int64(json, tokens, &most) || most < 1)
        return "a sampling must have \"maxTokens\", an integer above 0";
    return NULL;
}

static const char *request_fault(const struct json *json, const struct json_node *request)
{
    const struct json_node *method = json_get(json, request, "method");
    const struct json_node *params = json_get(json, request, "params");

    if (params != NULL && params->type != JSON_OBJECT)
        return "\"params\" of a request must be an object";
    if (json_is(json, method, "elicitation/create"))
        return elicitation_fault(json, params);
    if (json_is(json, method, "sampling/createMessage"))
        return sampling_fault(json, params);
    if (json_is(json, method, "roots/list"))
        return NULL;
    return "each request must have a \"method\": elicitation/create, sampling/createMessage or "
           "roots/list";
}

size_t call_requests_carried(const struct json *json)
{
    const struct json_node *root = json->root, *end = root + root->span;
    size_t size = 0;

    for (const struct json_node *name = json_first(root); name != NULL;
         name = json_next(name + 1, end)) {
        const struct json_node *params = json_get(json, name + 1, "params");
        const struct json_node *schema = json_get(json, params, "requestedSchema");
        size += json_raw(json, name).size + (schema != NULL ? json_raw(json, schema).size : 0);
    }
    return size;
}

const char *call_requests_fault(const struct call *call, const struct json *json)
{
    const struct json_node *root = json->root;
    const char *fault = NULL;

    (void)call;
    if (root->type != JSON_OBJECT || root->count == 0 || root->count > CALL_REQUESTS_MAX)
        return "it must be an object with 1 to 32 requests";
    const struct json_node *end = root + root->span;
    for (const struct json_node *name = json_first(root); name != NULL && fault == NULL;
         name = json_next(name + 1, end))
        fault = request_fault(json, name + 1);
    return fault;
}
