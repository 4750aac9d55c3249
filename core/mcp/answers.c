/* SPDX-License-Identifier: MIT */
/* Answers of clients: ElicitResult, CreateMessageResult, ListRootsResult. */
#include "mcp/answers.h"

#include "json/schema.h"

/* ---- what is awaited ---- */

static void write_one(struct buf *out, const struct json *json, const struct json_node *request)
{
    const struct json_node *method = json_get(json, request, "method");
    const struct json_node *params = json_get(json, request, "params");

    if (json_is(json, method, "sampling/createMessage")) {
        BUF_LIT(out, "{\"sampling\":{}}");
    } else if (json_is(json, method, "roots/list")) {
        BUF_LIT(out, "{\"roots\":{}}");
    } else if (json_is(json, json_get(json, params, "mode"), "url")) {
        BUF_LIT(out, "{\"url\":{}}");
    } else {
        BUF_LIT(out, "{\"form\":");
        json_write_compact(out, json, json_get(json, params, "requestedSchema"));
        BUF_LIT(out, "}");
    }
}

void awaited_write(struct buf *out, const struct json *requests)
{
    const struct json_node *root = requests->root, *end = root + root->span;

    BUF_LIT(out, "{");
    for (const struct json_node *name = json_first(root); name != NULL;
         name = json_next(name + 1, end)) {
        if (name != root + 1)
            BUF_LIT(out, ",");
        buf_add_bytes(out, json_raw(requests, name));
        BUF_LIT(out, ":");
        write_one(out, requests, name + 1);
    }
    BUF_LIT(out, "}");
}

/* ---- elicitation ---- */

static bool is_type(const struct json_node *value, enum json_type type)
{
    return value != NULL && value->type == type;
}

static bool read_action(const struct json *json, const struct json_node *answer, bool *accepted,
                        struct error *err)
{
    const struct json_node *action = json_get(json, answer, "action");

    *accepted = json_is(json, action, "accept");
    return *accepted || json_is(json, action, "decline") || json_is(json, action, "cancel") ||
           error_set(err, "action: expected \"accept\", \"decline\" or \"cancel\"");
}

/* A form is flat: texts, numbers, truth values, and lists of texts. */
static bool is_flat(const struct json *json, const struct json_node *content, struct error *err)
{
    const struct json_node *end = content + content->span;

    for (const struct json_node *name = json_first(content); name != NULL;
         name = json_next(name + 1, end)) {
        const struct json_node *value = name + 1;
        bool flat = value->type != JSON_NULL && value->type != JSON_OBJECT;
        if (value->type == JSON_ARRAY)
            for (const struct json_node *item = json_first(value); item != NULL;
                 item = json_next(item, value + value->span))
                flat = flat && item->type == JSON_STRING;
        struct bytes raw = json_raw(json, name);
        if (!flat)
            return error_set(err,
                             "content/%.*s: expected a string, a number, true, false or an array "
                             "of strings",
                             raw.size > 100 ? 98 : (int)raw.size - 2, raw.data + 1);
    }
    return true;
}

static bool note_failure(void *context, const struct schema_failure *failure)
{
    error_set(context, "content%s: %s", failure->instance, failure->text);
    return false;
}

static const struct json_node empty_object = {
    .start = 0, .end = 2, .span = 1, .count = 0, .type = JSON_OBJECT};
static const struct json nothing = {.text = {"{}", 2}, .root = &empty_object, .nodes = 1};

/* Somebody who accepts an empty form may leave its content out. */
static bool content_fits(const struct json *awaited, const struct json_node *schema_node,
                         const struct json *json, const struct json_node *content,
                         struct error *err)
{
    const struct schema_options options = {.assert_format = true};
    struct schema *schema = schema_compile(awaited, schema_node, &options, err);

    if (schema == NULL)
        return false;
    if (content == NULL) {
        json = &nothing;
        content = &empty_object;
    }
    bool fits = schema_validate(schema, json, content, NULL, NULL);
    if (!fits) {
        error_set(err, "content: does not match the requestedSchema");
        schema_validate(schema, json, content, note_failure, err);
    }
    schema_free(schema);
    return fits;
}

/* `schema`: NULL when it is not known. */
static bool elicitation_fits(const struct json *awaited, const struct json_node *schema,
                             const struct json *json, const struct json_node *answer,
                             struct error *err)
{
    const struct json_node *content = json_get(json, answer, "content");
    bool accepted;

    if (!read_action(json, answer, &accepted, err))
        return false;
    if (content != NULL && content->type != JSON_OBJECT)
        return error_set(err, "content: expected an object");
    if (!accepted)
        return true;
    return (content == NULL || is_flat(json, content, err)) &&
           (schema == NULL || content_fits(awaited, schema, json, content, err));
}

/* ---- sampling and roots ---- */

static bool block_fits(const struct json *json, const struct json_node *block)
{
    const struct json_node *type = json_get(json, block, "type");

    if (json_is(json, type, "text"))
        return is_type(json_get(json, block, "text"), JSON_STRING);
    if (json_is(json, type, "image") || json_is(json, type, "audio"))
        return is_type(json_get(json, block, "data"), JSON_STRING) &&
               is_type(json_get(json, block, "mimeType"), JSON_STRING);
    if (json_is(json, type, "tool_use"))
        return is_type(json_get(json, block, "id"), JSON_STRING) &&
               is_type(json_get(json, block, "name"), JSON_STRING) &&
               is_type(json_get(json, block, "input"), JSON_OBJECT);
    if (json_is(json, type, "tool_result"))
        return is_type(json_get(json, block, "toolUseId"), JSON_STRING) &&
               is_type(json_get(json, block, "content"), JSON_ARRAY);
    return false;
}

static bool sampling_fits(const struct json *json, const struct json_node *answer,
                          struct error *err)
{
    const struct json_node *content = json_get(json, answer, "content");
    const struct json_node *role = json_get(json, answer, "role");
    bool fits;

    if (!json_is(json, role, "assistant") && !json_is(json, role, "user"))
        return error_set(err, "role: expected \"assistant\" or \"user\"");
    if (!is_type(json_get(json, answer, "model"), JSON_STRING))
        return error_set(err, "model: expected a string");
    const struct json_node *reason = json_get(json, answer, "stopReason");
    if (reason != NULL && reason->type != JSON_STRING)
        return error_set(err, "stopReason: expected a string");
    if (is_type(content, JSON_ARRAY)) {
        fits = true;
        for (const struct json_node *block = json_first(content); block != NULL;
             block = json_next(block, content + content->span))
            fits = fits && block_fits(json, block);
    } else {
        fits = is_type(content, JSON_OBJECT) && block_fits(json, content);
    }
    return fits || error_set(err, "content: expected a content block, or an array of them");
}

static bool is_file_uri(const struct json *json, const struct json_node *uri)
{
    static const char scheme[] = "file://";
    struct arena scratch;

    arena_init(&scratch, (size_t)1 << 20);
    struct bytes text = json_string(json, uri, &scratch); /* .data NULL: none */
    bool is = text.size >= sizeof scheme && memcmp(text.data, scheme, sizeof scheme - 1) == 0;
    arena_free(&scratch);
    return is;
}

static bool roots_fit(const struct json *json, const struct json_node *answer, struct error *err)
{
    const struct json_node *roots = json_get(json, answer, "roots");
    size_t i = 0;

    if (!is_type(roots, JSON_ARRAY))
        return error_set(err, "roots: expected an array");
    for (const struct json_node *root = json_first(roots); root != NULL;
         root = json_next(root, roots + roots->span), i++) {
        const struct json_node *uri = json_get(json, root, "uri");
        const struct json_node *name = json_get(json, root, "name");
        if (uri == NULL || !is_file_uri(json, uri))
            return error_set(err, "roots/%zu/uri: expected a string that begins with file://", i);
        if (name != NULL && name->type != JSON_STRING)
            return error_set(err, "roots/%zu/name: expected a string", i);
    }
    return true;
}

/* ---- which of them ---- */

bool answer_fits(const struct json *awaited, const struct json_node *what, const struct json *json,
                 const struct json_node *answer, struct error *err)
{
    if (json_get(awaited, what, "sampling") != NULL)
        return sampling_fits(json, answer, err);
    if (json_get(awaited, what, "roots") != NULL)
        return roots_fit(json, answer, err);
    return elicitation_fits(awaited, json_get(awaited, what, "form"), json, answer, err);
}

bool answer_is_legal(const struct json *json, const struct json_node *answer, struct error *err)
{
    if (json_get(json, answer, "action") != NULL)
        return elicitation_fits(NULL, NULL, json, answer, err);
    if (json_get(json, answer, "roots") != NULL)
        return roots_fit(json, answer, err);
    return sampling_fits(json, answer, err);
}
