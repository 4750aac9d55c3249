/* SPDX-License-Identifier: MIT */
/* The tools of one generation: checking, compiling and keeping definitions. */
#include "plugin/toolset.h"

#include <stdlib.h>

#include <mcp/plugin.h>

#include "base/buf.h"
#include "base/crypto.h"
#include "plugin/toolset_headers.h"

/* What all definitions of one provider may take, indexes included. */
#define ARENA_MAX ((size_t)256 << 20)

struct toolset *toolset_new(void)
{
    struct toolset *set = calloc(1, sizeof(*set));
    if (set == NULL)
        return NULL;
    atomic_init(&set->references, 1);
    arena_init(&set->arena, ARENA_MAX);
    return set;
}

struct toolset *toolset_ref(struct toolset *set)
{
    atomic_fetch_add_explicit(&set->references, 1, memory_order_relaxed);
    return set;
}

void toolset_free(struct toolset *set)
{
    if (set == NULL || atomic_fetch_sub(&set->references, 1) != 1)
        return;
    for (size_t i = 0; i < set->count; i++) {
        schema_free(set->tools[i].input);
        schema_free(set->tools[i].output);
    }
    free(set->tools);
    arena_free(&set->arena);
    free(set);
}

/* ---- the rules for a definition ---- */

bool tool_name_legal(struct bytes name)
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

static bool read_name(struct toolset *set, struct tool *tool, struct error *err)
{
    const struct json_node *name = json_get(&tool->json, tool->json.root, "name");
    if (name == NULL || name->type != JSON_STRING)
        return error_set(err, "a tool without a name: its definition needs a string \"name\"");
    tool->name = arena_copy(&set->arena, json_string(&tool->json, name, &set->arena));
    if (tool->name.data == NULL)
        return error_set(err, "out of memory");
    if (!tool_name_legal(tool->name)) {
        int shown = tool->name.size < 200 ? (int)tool->name.size : 200;
        return error_set(err,
                         "tool \"%.*s\": \"name\" must be 1 to %d of A-Z a-z 0-9 _ - . (it has %zu "
                         "bytes)",
                         shown, tool->name.data, TOOL_NAME_MAX, tool->name.size);
    }
    for (size_t i = 0; i < set->count; i++) {
        if (bytes_equal(set->tools[i].name, tool->name))
            return error_set(err, "tool \"%.*s\": the provider offers a tool of this name already",
                             BYTES_FMT(tool->name));
    }
    return true;
}

static const char *type_name(enum json_type type)
{
    switch (type) {
    case JSON_STRING:
        return "a string";
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

/* Where a member is there, it must be of its type. JSON_TRUE stands for both
 * booleans. */
static bool check_member(const struct tool *tool, const struct json_node *object,
                         const char *prefix, const char *member, enum json_type type,
                         struct error *err)
{
    const struct json_node *value = json_get(&tool->json, object, member);
    if (value == NULL || has_type(value, type))
        return true;
    return error_set(err, "tool \"%.*s\": \"%s%s\" must be %s", BYTES_FMT(tool->name), prefix,
                     member, type_name(type));
}

static bool check_icons(const struct tool *tool, struct error *err)
{
    const struct json_node *icons = json_get(&tool->json, tool->json.root, "icons");
    if (icons == NULL)
        return true;
    const struct json_node *end = icons + icons->span;
    for (const struct json_node *icon = json_first(icons); icon != NULL;
         icon = json_next(icon, end)) {
        const struct json_node *source = json_get(&tool->json, icon, "src");
        if (source == NULL || source->type != JSON_STRING)
            return error_set(err,
                             "tool \"%.*s\": each of \"icons\" must be an object with a "
                             "string \"src\"",
                             BYTES_FMT(tool->name));
    }
    return true;
}

/* What clients' own checks of a Tool object would trip over. */
static bool check_members(const struct tool *tool, struct error *err)
{
    static const struct {
        const char *name;
        enum json_type type;
    } members[] = {{"title", JSON_STRING},       {"description", JSON_STRING},
                   {"inputSchema", JSON_OBJECT}, {"outputSchema", JSON_OBJECT},
                   {"annotations", JSON_OBJECT}, {"icons", JSON_ARRAY},
                   {"_meta", JSON_OBJECT}};
    static const char *const hints[] = {"readOnlyHint", "destructiveHint", "idempotentHint",
                                        "openWorldHint"};
    const struct json_node *root = tool->json.root;
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        if (!check_member(tool, root, "", members[i].name, members[i].type, err))
            return false;
    }
    const struct json_node *annotations = json_get(&tool->json, root, "annotations");
    for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++) {
        if (!check_member(tool, annotations, "annotations.", hints[i], JSON_TRUE, err))
            return false;
    }
    return check_member(tool, annotations, "annotations.", "title", JSON_STRING, err) &&
           check_icons(tool, err);
}

static bool compile(struct tool *tool, const char *member, struct schema **out, struct error *err)
{
    static const struct schema_options options = {.assert_format = false};
    const struct json_node *root = json_get(&tool->json, tool->json.root, member);
    if (root == NULL)
        return true;
    *out = schema_compile(&tool->json, root, &options, err);
    if (*out == NULL)
        return error_prefix(err, "tool \"%.*s\": \"%s\"", BYTES_FMT(tool->name), member);
    return true;
}

static bool check_schemas(struct toolset *set, struct tool *tool, struct error *err)
{
    const struct json_node *input = json_get(&tool->json, tool->json.root, "inputSchema");
    if (input == NULL || !json_is(&tool->json, json_get(&tool->json, input, "type"), "object"))
        return error_set(err,
                         "tool \"%.*s\": \"inputSchema\" must be there, and its \"type\" must be "
                         "\"object\"",
                         BYTES_FMT(tool->name));
    return toolset_headers(&set->arena, tool, input, err) &&
           compile(tool, "inputSchema", &tool->input, err) &&
           compile(tool, "outputSchema", &tool->output, err);
}

/* ---- adding ---- */

static bool refuse_json(const struct json_error *why, struct error *err)
{
    return error_set(err, "a tool definition that is not legal JSON: %s at line %u, column %u",
                     why->text, why->line, why->column);
}

/* Copies the definition without its white space and indexes the copy. */
static bool read_definition(struct toolset *set, struct tool *tool, struct bytes definition,
                            struct error *err)
{
    const struct json_limits limits = {
        .max_size = TOOL_DEFINITION_MAX, .max_depth = 64, .max_nodes = TOOL_DEFINITION_MAX};
    struct json given;
    struct json_error why;
    struct arena scratch;
    struct buf compact;
    bool ok = false;

    if (definition.size > TOOL_DEFINITION_MAX)
        return error_set(err, "a tool definition of %zu bytes: at most %d are allowed",
                         definition.size, TOOL_DEFINITION_MAX);
    arena_init(&scratch, ARENA_MAX);
    buf_init(&compact, TOOL_DEFINITION_MAX);
    if (!json_parse(&given, definition, &limits, &scratch, &why)) {
        refuse_json(&why, err);
        goto out;
    }
    if (given.root->type != JSON_OBJECT) {
        error_set(err, "a tool definition must be a JSON object");
        goto out;
    }
    json_write_compact(&compact, &given, given.root);
    tool->definition = arena_copy(&set->arena, buf_bytes(&compact));
    if (compact.failed || tool->definition.data == NULL) {
        error_set(err, "a tool definition: out of memory");
        goto out;
    }
    ok = json_parse(&tool->json, tool->definition, &limits, &set->arena, &why);
    if (!ok)
        refuse_json(&why, err);
out:
    buf_free(&compact);
    arena_free(&scratch);
    return ok;
}

/* Room for one more; the capacity is the power of two from 8 on that fits. */
static bool make_room(struct toolset *set)
{
    size_t count = set->count;
    if (count != 0 && (count < 8 || (count & (count - 1)) != 0))
        return true;
    struct tool *tools = realloc(set->tools, (count < 8 ? 8 : count * 2) * sizeof(*tools));
    if (tools == NULL)
        return false;
    set->tools = tools;
    return true;
}

bool toolset_add(struct toolset *set, struct bytes definition, uint32_t flags, uint64_t tag,
                 uint32_t timeout_ms, uint32_t concurrency, struct error *err)
{
    struct tool tool = {
        .flags = flags, .tag = tag, .timeout_ms = timeout_ms, .concurrency = concurrency};

    if (set->count >= TOOLSET_MAX)
        return error_set(err, "more than %d tools in one provider", TOOLSET_MAX);
    if (!read_definition(set, &tool, definition, err) || !read_name(set, &tool, err) ||
        !check_members(&tool, err) || !check_schemas(set, &tool, err))
        goto refuse;
    if ((flags & ~(MCP_TOOL_THREAD_SAFE | MCP_TOOL_NONBLOCKING)) != 0) {
        error_set(err,
                  "tool \"%.*s\": its flags are 0x%x, and this mcpd knows 0x%x: clear the others "
                  "or ask for a newer min_minor",
                  BYTES_FMT(tool.name), flags, MCP_TOOL_THREAD_SAFE | MCP_TOOL_NONBLOCKING);
        goto refuse;
    }
    if (!make_room(set)) {
        error_set(err, "tool \"%.*s\": out of memory", BYTES_FMT(tool.name));
        goto refuse;
    }
    set->tools[set->count++] = tool;
    return true;
refuse:
    schema_free(tool.input);
    schema_free(tool.output);
    return false;
}

void toolset_seal(struct toolset *set)
{
    struct {
        uint64_t tag, size;
        uint32_t flags, timeout_ms, concurrency, zero;
    } facts = {.zero = 0};
    struct buf all;

    buf_init(&all, SIZE_MAX / 2);
    for (size_t i = 0; i < set->count; i++) {
        const struct tool *tool = &set->tools[i];
        facts.tag = tool->tag;
        facts.size = tool->definition.size;
        facts.flags = tool->flags;
        facts.timeout_ms = tool->timeout_ms;
        facts.concurrency = tool->concurrency;
        buf_add(&all, &facts, sizeof(facts));
        buf_add_bytes(&all, tool->definition);
    }
    if (all.failed)
        crypto_random(set->hash, sizeof(set->hash)); /* unlike every other */
    else
        crypto_digest(set->hash, all.data, all.size);
    buf_free(&all);
}
