/* SPDX-License-Identifier: MIT */
/* elicitation/create, sampling/createMessage, roots/list. */
#include "mcp/questions.h"

#include "mcp/capabilities.h"
#include "mcp/content.h"

/* 2025-06-18 has no lists in forms. */
static bool knows_lists(const struct revision *revision)
{
    return (revision->abilities & ABILITY_URL) != 0; /* they came together */
}

/* ... and no message with more than one block. */
static bool knows_blocks(const struct revision *revision)
{
    return (revision->abilities & ABILITY_SAMPLING_TOOLS) != 0;
}

bool question_is_known(const struct revision *revision, const struct json *json,
                       const struct json_node *request)
{
    const struct json_node *fields = json_at(json, request, "/params/requestedSchema/properties");

    if (fields == NULL || knows_lists(revision))
        return true;
    const struct json_node *end = fields + fields->span;
    for (const struct json_node *name = json_first(fields); name != NULL;
         name = json_next(name + 1, end))
        if (json_is(json, json_get(json, name + 1, "type"), "array"))
            return false;
    return true;
}

/* The members of an object that are in the list; starts with the brace. */
static void write_members(struct buf *out, const struct json *json, const struct json_node *object,
                          const char *const *members)
{
    bool comma = false;

    BUF_LIT(out, "{");
    for (; *members != NULL; members++) {
        const struct json_node *value = json_get(json, object, *members);
        if (value == NULL)
            continue;
        buf_addf(out, "%s\"%s\":", comma ? "," : "", *members);
        buf_add_bytes(out, json_raw(json, value));
        comma = true;
    }
}

static void write_message(struct buf *out, const struct revision *revision, const struct json *json,
                          const struct json_node *role, const struct json_node *block)
{
    BUF_LIT(out, "{\"role\":");
    buf_add_bytes(out, json_raw(json, role));
    BUF_LIT(out, ",\"content\":");
    write_content(out, revision, json, block);
    BUF_LIT(out, "}");
}

/* Each block as a message of its own. */
static void write_messages(struct buf *out, const struct revision *revision,
                           const struct json *json, const struct json_node *messages)
{
    const struct json_node *end = messages + messages->span;
    bool comma = false;

    for (const struct json_node *one = json_first(messages); one != NULL;
         one = json_next(one, end)) {
        const struct json_node *role = json_get(json, one, "role");
        const struct json_node *content = json_get(json, one, "content");
        bool many = content->type == JSON_ARRAY;
        const struct json_node *stop = content + content->span;
        for (const struct json_node *block = many ? json_first(content) : content; block != NULL;
             block = many ? json_next(block, stop) : NULL) {
            if (comma)
                BUF_LIT(out, ",");
            comma = true;
            write_message(out, revision, json, role, block);
        }
    }
}

static void write_sampling(struct buf *out, const struct revision *revision,
                           const struct json *json, const struct json_node *params)
{
    static const char *const members[] = {
        "maxTokens",     "modelPreferences", "systemPrompt", "temperature", "includeContext",
        "stopSequences", "metadata",         "_meta",        NULL};
    static const char *const newer[] = {"messages",      "maxTokens",   "modelPreferences",
                                        "systemPrompt",  "temperature", "includeContext",
                                        "stopSequences", "metadata",    "tools",
                                        "toolChoice",    "_meta",       NULL};

    if (knows_blocks(revision)) {
        write_members(out, json, params, newer);
        BUF_LIT(out, "}");
        return;
    }
    write_members(out, json, params, members);
    BUF_LIT(out, ",\"messages\":[");
    write_messages(out, revision, json, json_get(json, params, "messages"));
    BUF_LIT(out, "]}");
}

void question_write_url(struct buf *out, const struct json *json, const struct json_node *request,
                        const char *id)
{
    static const char *const members[] = {"mode", "message", "url", "elicitationId", "_meta", NULL};
    const struct json_node *params = json_get(json, request, "params");

    write_members(out, json, params, members);
    if (json_get(json, params, "elicitationId") == NULL)
        buf_addf(out, ",\"elicitationId\":\"%s\"", id);
    BUF_LIT(out, "}");
}

void question_write(struct buf *out, const struct revision *revision, const char *id,
                    const struct json *json, const struct json_node *request)
{
    /* Without "mode", which came later: a form is what it means then. */
    static const char *const form[] = {"message", "requestedSchema", "_meta", NULL};
    static const char *const roots[] = {"_meta", NULL};
    const struct json_node *method = json_get(json, request, "method");
    const struct json_node *params = json_get(json, request, "params");

    buf_addf(out, "{\"jsonrpc\":\"2.0\",\"id\":\"%s\",\"method\":", id);
    buf_add_bytes(out, json_raw(json, method));
    BUF_LIT(out, ",\"params\":");
    if (json_is(json, method, "sampling/createMessage")) {
        write_sampling(out, revision, json, params);
    } else if (json_is(json, json_get(json, params, "mode"), "url")) {
        question_write_url(out, json, request, id);
    } else {
        write_members(out, json, params, json_is(json, method, "roots/list") ? roots : form);
        BUF_LIT(out, "}");
    }
    BUF_LIT(out, "}");
}
