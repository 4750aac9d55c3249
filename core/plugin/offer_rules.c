/* SPDX-License-Identifier: MIT */
/* What makes a definition legal, kind by kind: what clients' own checks of a
 * Tool, Resource, ResourceTemplate or Prompt object would trip over
 * (2026-07-28, schema). */
#include <mcp/plugin.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/utf8.h"
#include "json/schema.h"
#include "plugin/offers.h"
#include "plugin/tool_headers.h"
#include "plugin/uri_template.h"

#define KNOWN_TOOL_FLAGS                                                                           \
    (MCP_TOOL_THREAD_SAFE | MCP_TOOL_NONBLOCKING | MCP_TOOL_TASK_OPTIONAL |                        \
     MCP_TOOL_TASK_REQUIRED | MCP_TOOL_TASK_LATE | MCP_TOOL_STATE_ONCE)
#define KNOWN_OFFER_FLAGS (MCP_TOOL_THREAD_SAFE | MCP_TOOL_NONBLOCKING | MCP_TOOL_STATE_ONCE)
#define NAME_SHOWN 200 /* bytes of it, in a message */

__attribute__((format(printf, 3, 4))) static bool refuse(const struct offer *offer,
                                                         struct error *err, const char *format, ...)
{
    char what[512];
    va_list args;
    struct bytes shown = offer->name;

    if (shown.size > NAME_SHOWN) {
        shown.size = NAME_SHOWN;
        shown.size = utf8_valid_prefix(shown); /* not half a character */
    }
    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    return error_set(err, "%s \"%.*s\": %s", offer_kind_name(offer->kind), BYTES_FMT(shown), what);
}

/* ---- members ---- */

static const char *type_name(enum json_type type)
{
    switch (type) {
    case JSON_STRING:
        return "a string";
    case JSON_NUMBER:
        return "a number";
    case JSON_ARRAY:
        return "an array";
    case JSON_OBJECT:
        return "an object";
    default:
        return "true or false";
    }
}

static bool has_type(const struct json_node *value, enum json_type type)
{
    if (type == JSON_TRUE)
        return value->type == JSON_TRUE || value->type == JSON_FALSE;
    return value->type == type;
}

struct member {
    const char *name;
    enum json_type type; /* JSON_TRUE stands for both booleans */
};

/* Where a member is there, it must be of its type. */
static bool check_members(const struct offer *offer, const struct json_node *object,
                          const char *prefix, const struct member *members, size_t count,
                          struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        const struct json_node *value = json_get(&offer->json, object, members[i].name);
        if (value != NULL && !has_type(value, members[i].type))
            return refuse(offer, err, "\"%s%s\" must be %s", prefix, members[i].name,
                          type_name(members[i].type));
    }
    return true;
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What all kinds but skills have in common. */
static bool check_base(const struct offer *offer, struct error *err)
{
    static const struct member members[] = {{"title", JSON_STRING},
                                            {"description", JSON_STRING},
                                            {"annotations", JSON_OBJECT},
                                            {"icons", JSON_ARRAY},
                                            {"_meta", JSON_OBJECT}};
    const struct json_node *root = offer->json.root;
    const struct json_node *icons = json_get(&offer->json, root, "icons");

    if (!check_members(offer, root, "", members, COUNT(members), err))
        return false;
    if (icons == NULL)
        return true;
    const struct json_node *end = icons + icons->span;
    for (const struct json_node *icon = json_first(icons); icon != NULL;
         icon = json_next(icon, end)) {
        const struct json_node *source = json_get(&offer->json, icon, "src");
        if (source == NULL || source->type != JSON_STRING)
            return refuse(offer, err, "each of \"icons\" must be an object with a string \"src\"");
    }
    return true;
}

static bool check_flags(const struct offer *offer, uint32_t known, struct error *err)
{
    if ((offer->terms.flags & ~known) == 0)
        return true;
    return refuse(offer, err,
                  "its flags are 0x%x, and this mcpd knows 0x%x: clear the others or ask for a "
                  "newer min_minor",
                  offer->terms.flags, known);
}

/* ---- names ---- */

bool tool_name_is_legal(struct bytes name)
{
    static const char others[] = "_-.";
    if (name.size == 0 || name.size > TOOL_NAME_MAX)
        return false;
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && memchr(others, c, sizeof(others) - 1) == NULL)
            return false;
    }
    return true;
}

static bool check_name(const struct offer *offer, struct error *err)
{
    if (tool_name_is_legal(offer->name))
        return true;
    return refuse(offer, err, "\"name\" must be 1 to %d of A-Z a-z 0-9 _ - . (it has %zu bytes)",
                  TOOL_NAME_MAX, offer->name.size);
}

static bool check_uri(const struct offer *offer, struct error *err)
{
    struct bytes uri = offer->name;

    if (uri.size == 0 || uri.size > URI_MAX)
        return refuse(offer, err, "\"uri\" must have 1 to %d bytes (it has %zu)", URI_MAX,
                      uri.size);
    if (!schema_format_holds("uri", uri))
        return refuse(offer, err,
                      "\"uri\" must be an absolute URI (RFC 3986): a scheme and a colon first, no "
                      "spaces, and what is not ASCII as %%XX");
    return true;
}

/* A label for people: resources and templates must have one. */
static bool check_label(const struct offer *offer, struct error *err)
{
    const struct json_node *name = json_get(&offer->json, offer->json.root, "name");

    if (name == NULL || name->type != JSON_STRING)
        return refuse(offer, err, "\"name\" must be there, a string");
    return true;
}

/* ---- tools ---- */

static bool compile(struct offer *offer, const char *member, struct schema **out, struct error *err)
{
    static const struct schema_options options = {.assert_format = false};
    const struct json_node *root = json_get(&offer->json, offer->json.root, member);
    if (root == NULL)
        return true;
    *out = schema_compile(&offer->json, root, &options, err);
    if (*out == NULL)
        return error_prefix(err, "tool \"%.*s\": \"%s\"", BYTES_FMT(offer->name), member);
    return true;
}

static bool check_tool(struct arena *arena, struct offer *offer, struct error *err)
{
    static const struct member members[] = {{"inputSchema", JSON_OBJECT},
                                            {"outputSchema", JSON_OBJECT}};
    static const struct member hints[] = {{"readOnlyHint", JSON_TRUE},
                                          {"destructiveHint", JSON_TRUE},
                                          {"idempotentHint", JSON_TRUE},
                                          {"openWorldHint", JSON_TRUE},
                                          {"title", JSON_STRING}};
    const struct json *json = &offer->json;
    const struct json_node *input = json_get(json, json->root, "inputSchema");

    if (!check_name(offer, err) ||
        !check_members(offer, json->root, "", members, COUNT(members), err) ||
        !check_members(offer, json_get(json, json->root, "annotations"), "annotations.", hints,
                       COUNT(hints), err))
        return false;
    if (input == NULL || !json_is(json, json_get(json, input, "type"), "object"))
        return refuse(offer, err,
                      "\"inputSchema\" must be there, and its \"type\" must be \"object\"");
    return tool_headers(arena, offer, input, err) &&
           compile(offer, "inputSchema", &offer->input, err) &&
           compile(offer, "outputSchema", &offer->output, err) &&
           check_flags(offer, KNOWN_TOOL_FLAGS, err);
}

/* ---- resources, templates, prompts ---- */

static bool check_resource(const struct offer *offer, struct error *err)
{
    static const struct member members[] = {{"mimeType", JSON_STRING}, {"size", JSON_NUMBER}};

    return check_uri(offer, err) && check_label(offer, err) &&
           check_members(offer, offer->json.root, "", members, COUNT(members), err) &&
           check_flags(offer, KNOWN_OFFER_FLAGS, err);
}

static bool check_template(struct offer *offer, struct error *err)
{
    static const struct member members[] = {{"mimeType", JSON_STRING}};

    if (!check_label(offer, err) ||
        !check_members(offer, offer->json.root, "", members, COUNT(members), err) ||
        !check_flags(offer, KNOWN_OFFER_FLAGS, err))
        return false;
    offer->uri_template = uri_template_new(offer->name, err);
    if (offer->uri_template == NULL)
        return error_prefix(err, "resource template \"%.*s\"", BYTES_FMT(offer->name));
    return true;
}

static bool check_prompt(const struct offer *offer, struct error *err)
{
    static const struct member members[] = {{"arguments", JSON_ARRAY}};
    static const struct member of_argument[] = {
        {"title", JSON_STRING}, {"description", JSON_STRING}, {"required", JSON_TRUE}};
    const struct json *json = &offer->json;

    if (!check_name(offer, err) ||
        !check_members(offer, json->root, "", members, COUNT(members), err))
        return false;
    const struct json_node *arguments = json_get(json, json->root, "arguments");
    const struct json_node *end = arguments != NULL ? arguments + arguments->span : NULL;
    for (const struct json_node *n = arguments != NULL ? json_first(arguments) : NULL; n != NULL;
         n = json_next(n, end)) {
        const struct json_node *name = json_get(json, n, "name");
        if (name == NULL || name->type != JSON_STRING)
            return refuse(offer, err,
                          "each of \"arguments\" must be an object with a string \"name\"");
        if (!check_members(offer, n, "arguments.", of_argument, COUNT(of_argument), err))
            return false;
    }
    return check_flags(offer, KNOWN_OFFER_FLAGS, err);
}

bool offer_check(struct arena *arena, struct offer *offer, struct error *err)
{
    if (offer->kind != OFFER_SKILL && !check_base(offer, err))
        return false;
    switch (offer->kind) {
    case OFFER_TOOL:
        return check_tool(arena, offer, err);
    case OFFER_RESOURCE:
        return check_resource(offer, err);
    case OFFER_TEMPLATE:
        return check_template(offer, err);
    case OFFER_PROMPT:
        return check_prompt(offer, err);
    case OFFER_SKILL:
        return skill_check(arena, offer, err);
    case OFFER_KINDS:
        break;
    }
    return false;
}

void offer_free_compiled(struct offer *offer)
{
    schema_free(offer->input);
    schema_free(offer->output);
    uri_template_free(offer->uri_template);
}
