/* SPDX-License-Identifier: MIT */
/* The walk through an inputSchema that collects "x-mcp-header". */
#include "plugin/tool_headers.h"

#include "base/buf.h"

#define ANNOTATION "x-mcp-header"
#define POINTER_MAX ((size_t)16 * 1024)

struct walk {
    struct arena *arena;
    struct offer *tool;
    struct buf pointer; /* into the arguments, of the schema being looked at */
    struct tool_header *found;
    size_t count;
    struct error *err;
};

static bool complain(struct walk *walk, const char *what)
{
    return error_set(walk->err, "tool \"%.*s\": \"" ANNOTATION "\" of %.*s %s",
                     BYTES_FMT(walk->tool->name), (int)walk->pointer.size,
                     walk->pointer.size > 0 ? walk->pointer.data : "", what);
}

/* RFC 9110, 5.6.2: 1*tchar. */
static bool is_token(struct bytes text)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        bool alphanumeric =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!alphanumeric && memchr(others, c, sizeof(others) - 1) == NULL)
            return false;
    }
    return text.size > 0;
}

static bool read_type(const struct json *json, const struct json_node *schema, enum json_type *type)
{
    const struct json_node *name = json_get(json, schema, "type");
    if (json_is(json, name, "string"))
        *type = JSON_STRING;
    else if (json_is(json, name, "integer"))
        *type = JSON_NUMBER;
    else if (json_is(json, name, "boolean"))
        *type = JSON_TRUE;
    else
        return false;
    return true;
}

/* Takes the annotation of the schema that stands at walk->pointer. */
static bool take(struct walk *walk, const struct json_node *schema,
                 const struct json_node *annotation)
{
    const struct json *json = &walk->tool->json;
    struct tool_header header = {.name = json_string(json, annotation, walk->arena)};

    if (header.name.data == NULL || !is_token(header.name))
        return complain(walk, "must be a string of the characters of an HTTP field name");
    if (!read_type(json, schema, &header.type))
        return complain(walk, "needs a parameter whose \"type\" is string, integer or boolean");
    for (size_t i = 0; i < walk->count; i++) {
        if (bytes_equal_nocase(walk->found[i].name, header.name))
            return complain(walk, "has a name that another parameter has (without regard to case)");
    }
    struct tool_header *found = arena_resize(walk->arena, walk->found, walk->count * sizeof(*found),
                                             (walk->count + 1) * sizeof(*found));
    header.pointer = arena_copy(walk->arena, buf_bytes(&walk->pointer)).data;
    if (found == NULL || header.pointer == NULL || walk->pointer.failed)
        return complain(walk, "cannot be stored: out of memory, or nested too deep");
    walk->found = found;
    walk->found[walk->count++] = header;
    return true;
}

static void add_token(struct buf *pointer, struct bytes name)
{
    buf_add_char(pointer, '/');
    for (size_t i = 0; i < name.size; i++) {
        if (name.data[i] == '~')
            BUF_LIT(pointer, "~0");
        else if (name.data[i] == '/')
            BUF_LIT(pointer, "~1");
        else
            buf_add_char(pointer, name.data[i]);
    }
}

/* Keywords whose value is one schema, an array of schemas, or an object of
 * schemas, and through which no annotation may be reached. */
static const char *const one_or_array[] = {"items",
                                           "prefixItems",
                                           "contains",
                                           "additionalProperties",
                                           "propertyNames",
                                           "unevaluatedItems",
                                           "unevaluatedProperties",
                                           "allOf",
                                           "anyOf",
                                           "oneOf",
                                           "not",
                                           "if",
                                           "then",
                                           "else",
                                           "contentSchema",
                                           "additionalItems"};
static const char *const objects[] = {"$defs", "definitions", "patternProperties",
                                      "dependentSchemas"};
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool visit(struct walk *walk, const struct json_node *schema, bool reachable);

/* The schemas of an object of schemas. */
static bool visit_members(struct walk *walk, const struct json_node *object, bool reachable)
{
    const struct json *json = &walk->tool->json;
    if (object == NULL || object->type != JSON_OBJECT)
        return true;
    const struct json_node *end = object + object->span;
    for (const struct json_node *name = json_first(object); name != NULL;
         name = json_next(name + 1, end)) {
        size_t size = walk->pointer.size;
        struct bytes text = json_string(json, name, walk->arena);
        if (text.data == NULL)
            return complain(walk, "cannot be looked for: out of memory");
        add_token(&walk->pointer, text);
        if (!visit(walk, name + 1, reachable))
            return false;
        if (!walk->pointer.failed)
            walk->pointer.size = size;
    }
    return true;
}

static bool visit_unreachable(struct walk *walk, const struct json_node *schema)
{
    const struct json *json = &walk->tool->json;
    for (size_t i = 0; i < COUNT(one_or_array); i++) {
        const struct json_node *value = json_get(json, schema, one_or_array[i]);
        if (value == NULL)
            continue;
        if (value->type != JSON_ARRAY) {
            if (!visit(walk, value, false))
                return false;
            continue;
        }
        const struct json_node *end = value + value->span;
        for (const struct json_node *element = json_first(value); element != NULL;
             element = json_next(element, end)) {
            if (!visit(walk, element, false))
                return false;
        }
    }
    for (size_t i = 0; i < COUNT(objects); i++) {
        if (!visit_members(walk, json_get(json, schema, objects[i]), false))
            return false;
    }
    return true;
}

/* Depth is bounded: the definition was parsed with a limit. */
static bool visit(struct walk *walk, const struct json_node *schema, bool reachable)
{
    const struct json *json = &walk->tool->json;
    if (schema->type != JSON_OBJECT)
        return true;
    const struct json_node *annotation = json_get(json, schema, ANNOTATION);
    if (annotation != NULL) {
        if (!reachable || walk->pointer.size == 0)
            return complain(walk, "is not allowed there: only on parameters that are reached "
                                  "through \"properties\" alone");
        if (!take(walk, schema, annotation))
            return false;
    }
    return visit_members(walk, json_get(json, schema, "properties"), reachable) &&
           visit_unreachable(walk, schema);
}

bool tool_headers(struct arena *arena, struct offer *tool, const struct json_node *input_schema,
                  struct error *err)
{
    struct walk walk = {.arena = arena, .tool = tool, .err = err};

    /* Most definitions have none: a look at the bytes saves the walk. An escaped
     * spelling of the name has a backslash in it. */
    struct bytes text = json_raw(&tool->json, input_schema);
    if (memmem(text.data, text.size, ANNOTATION, sizeof(ANNOTATION) - 1) == NULL &&
        memchr(text.data, '\\', text.size) == NULL)
        return true;
    buf_init(&walk.pointer, POINTER_MAX);
    bool ok = visit(&walk, input_schema, true);
    buf_free(&walk.pointer);
    tool->headers = walk.found;
    tool->header_count = walk.count;
    return ok;
}
