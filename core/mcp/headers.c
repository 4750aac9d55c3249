/* SPDX-License-Identifier: MIT */
/* Comparing header fields with the body they repeat. */
#include "mcp/headers.h"

#include "base/crypto.h"

#define PREFIX "=?base64?"
#define SUFFIX "?="

/* The decoded value; .data is NULL when the Base64 form is broken. */
static struct bytes decode(struct bytes value, struct arena *arena)
{
    const size_t prefix = sizeof PREFIX - 1, suffix = sizeof SUFFIX - 1;

    if (value.size < prefix + suffix || memcmp(value.data, PREFIX, prefix) != 0 ||
        memcmp(value.data + value.size - suffix, SUFFIX, suffix) != 0)
        return value;
    struct bytes coded = {value.data + prefix, value.size - prefix - suffix};
    struct bytes plain = {NULL, 0};
    char *out = arena_alloc(arena, coded.size + 1);
    if (out != NULL && base64_decode(coded, out, &plain.size))
        plain.data = out;
    return plain;
}

bool header_matches(struct bytes value, struct bytes expected, struct arena *arena)
{
    struct bytes plain = decode(value, arena);

    return plain.data != NULL && bytes_equal(plain, expected);
}

/* "42.0" in the header equals 42 in the body. */
static bool same_integer(struct bytes text, const struct json *json, const struct json_node *value,
                         struct arena *arena)
{
    struct json number;
    int64_t a, b;

    return json_parse(&number, text, &json_default_limits, arena, NULL) &&
           json_int64(&number, number.root, &a) && json_int64(json, value, &b) && a == b;
}

static bool value_matches(struct bytes header, const struct json *json,
                          const struct json_node *value, struct arena *arena)
{
    struct bytes plain = decode(header, arena);

    if (plain.data == NULL)
        return false;
    if (value->type == JSON_STRING) {
        struct bytes text = json_string(json, value, arena);
        return text.data != NULL && bytes_equal(plain, text);
    }
    return bytes_equal(plain, json_raw(json, value)) ||
           (value->type == JSON_NUMBER && same_integer(plain, json, value, arena));
}

static const struct message_param *find_param(const struct message *message, struct bytes name)
{
    for (size_t i = 0; i < message->param_count; i++)
        if (bytes_equal_nocase(message->params[i].name, name))
            return &message->params[i];
    return NULL;
}

bool headers_match_arguments(const struct message *message, const struct offer *tool,
                             const struct json *json, const struct json_node *arguments,
                             struct error *err)
{
    for (size_t i = 0; i < tool->header_count; i++) {
        const struct tool_header *header = &tool->headers[i];
        const struct message_param *param = find_param(message, header->name);
        const struct json_node *value =
            arguments != NULL ? json_at(json, arguments, header->pointer) : NULL;
        bool given = value != NULL && value->type != JSON_NULL;

        if (!given && param == NULL)
            continue;
        if (given && param == NULL)
            return error_set(err, "Mcp-Param-%.*s is missing, and the argument %s has a value",
                             BYTES_FMT(header->name), header->pointer + 1);
        if (!given)
            return error_set(err, "Mcp-Param-%.*s is given, and the argument %s has no value",
                             BYTES_FMT(header->name), header->pointer + 1);
        if (!value_matches(param->value, json, value, message->arena))
            return error_set(err, "Mcp-Param-%.*s does not match the argument %s",
                             BYTES_FMT(header->name), header->pointer + 1);
    }
    return true;
}
