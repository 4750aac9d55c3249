/* SPDX-License-Identifier: MIT */
/*
 * Schemas of OpenAPI documents as JSON Schema 2020-12. Those of 3.1 are that already;
 * 3.0 has "nullable", exclusive limits that are booleans, and "example". What is not of
 * the form that a keyword has to have is left out, for a client must be able to compile
 * the schema. Local references are carried in "$defs".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoding.h"
#include "operation.h"

#define DEPTH_MAX 48
#define HOPS_MAX 32
#define NUMBERED_SIZE 56 /* of a name, what stays before a number is added */
#define STRINGS_MAX 1000 /* in an array that must have each once, whose time is their square */
#define SIZE_LIMIT (240 * 1024) /* mcpd takes definitions of up to 256 KiB */

struct definition {
    const char *reference; /* "#/components/schemas/Pet" */
    const struct value *schema;
    char name[65];
    unsigned next; /* number, for another whose name begins so */
};

static bool fail(struct schema_writer *writer, const char *fault)
{
    if (writer->fault == NULL)
        writer->fault = fault;
    return false;
}

/* ---- references ---- */

/* One token of a JSON Pointer in a URI fragment, decoded; *at moves behind it. False: it
 * is too long to be a name. */
static bool next_token(const char **at, char *out, size_t room)
{
    size_t used = 0;

    for (; **at != '\0' && **at != '/'; (*at)++) {
        char c = **at;
        if (c == '%' && hex_digit((*at)[1]) >= 0 && hex_digit((*at)[2]) >= 0) {
            c = (char)(hex_digit((*at)[1]) * 16 + hex_digit((*at)[2]));
            *at += 2;
        } else if (c == '~' && ((*at)[1] == '0' || (*at)[1] == '1')) {
            c = (*at)[1] == '0' ? '~' : '/';
            (*at)++;
        }
        if (used + 1 >= room)
            return false;
        out[used++] = c;
    }
    out[used] = '\0';
    return true;
}

static const struct value *element(const struct value *array, const char *index)
{
    char *end;
    unsigned long number = strtoul(index, &end, 10);

    return *index != '\0' && *end == '\0' && number < array->count ? array->items[number] : NULL;
}

/* Where a "$ref" leads. */
static const struct value *look_up(struct schema_writer *writer, const char *reference)
{
    const struct value *value = writer->root;
    const char *at = reference;
    char token[512];

    if (*at++ != '#') {
        snprintf(writer->text, sizeof(writer->text),
                 "it refers to another document, which is not fetched: %.80s", reference);
        fail(writer, writer->text);
        return NULL;
    }
    while (value != NULL && *at == '/') {
        at++;
        if (!next_token(&at, token, sizeof(token)))
            value = NULL;
        else
            value = value->kind == VALUE_ARRAY ? element(value, token) : value_member(value, token);
    }
    if (value == NULL || *at != '\0') {
        snprintf(writer->text, sizeof(writer->text), "there is nothing at %.100s", reference);
        fail(writer, writer->text);
        return NULL;
    }
    return value;
}

const struct value *schema_resolve(struct schema_writer *writer, const struct value *value)
{
    for (int hops = 0; hops < HOPS_MAX; hops++) {
        const char *reference = member_string(value, "$ref");
        if (value == NULL || reference == NULL)
            return value;
        value = look_up(writer, reference);
    }
    fail(writer, "its references go round in circles");
    return NULL;
}

/* The same, but nothing is at fault. */
static const struct value *peek(struct schema_writer *writer, const struct value *value)
{
    const char *fault = writer->fault;

    value = schema_resolve(writer, value);
    writer->fault = fault;
    return value;
}

/* The definitions by their references, and by their names. */
enum { BY_REFERENCE, BY_NAME };

static const char *key_of(const struct schema_writer *writer, int by, size_t place)
{
    const struct definition *definition = &writer->definitions[writer->order[by][place]];

    return by == BY_NAME ? definition->name : definition->reference;
}

/* The place of the first in order whose `size` first characters are not less. */
static size_t place_of(const struct schema_writer *writer, int by, const char *key, size_t size)
{
    size_t from = 0, to = writer->count;

    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (strncmp(key_of(writer, by, middle), key, size) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

/* One whose `size` first characters are these, or which is the same. NULL: there is none. */
static struct definition *find_by(const struct schema_writer *writer, int by, const char *key,
                                  size_t size)
{
    size_t place = place_of(writer, by, key, size);

    return place < writer->count && strncmp(key_of(writer, by, place), key, size) == 0
               ? &writer->definitions[writer->order[by][place]]
               : NULL;
}

/* By the last word of the reference. Numbers go on where they were, not at 2 again: there
 * may be thousands that end in the same word. Each of them knows the number, for the first
 * in order, which is asked, changes. */
static void name_definition(const struct schema_writer *writer, struct definition *made)
{
    const char *last = strrchr(made->reference, '/');
    const char *word = last != NULL ? last + 1 : "root";
    char base[65];

    legal_name(base, word, strlen(word));
    memcpy(made->name, base, sizeof(base));
    made->next = 2;
    struct definition *like = find_by(writer, BY_NAME, base, NUMBERED_SIZE);
    while (like != NULL && find_by(writer, BY_NAME, made->name, sizeof(made->name)) != NULL)
        snprintf(made->name, sizeof(made->name), "%.*s_%u", NUMBERED_SIZE, base, like->next++);
    if (like != NULL)
        made->next = like->next;
}

/* Room for one more. */
static bool grow(struct schema_writer *writer)
{
    size_t room = writer->room > 0 ? 2 * writer->room : 16;

    if (writer->count < writer->room)
        return true;
    struct definition *more = realloc(writer->definitions, room * sizeof(more[0]));
    writer->definitions = more != NULL ? more : writer->definitions;
    for (int by = 0; by < 2 && more != NULL; by++) {
        unsigned *order = realloc(writer->order[by], room * sizeof(order[0]));
        if (order == NULL)
            return false;
        writer->order[by] = order;
    }
    writer->room = more != NULL ? room : writer->room;
    return more != NULL;
}

/* The definition that stands for a reference. NULL: failed. */
static const struct definition *define(struct schema_writer *writer, const char *reference)
{
    const struct definition *known = find_by(writer, BY_REFERENCE, reference, SIZE_MAX);

    if (known != NULL)
        return known;
    const struct value *schema = look_up(writer, reference);
    if (schema == NULL || !grow(writer)) {
        fail(writer, "out of memory");
        return NULL;
    }
    struct definition *made = &writer->definitions[writer->count];
    *made = (struct definition){.reference = reference, .schema = schema};
    name_definition(writer, made);
    for (int by = 0; by < 2; by++) {
        size_t place = place_of(writer, by, by == BY_NAME ? made->name : made->reference, SIZE_MAX);
        unsigned *at = writer->order[by] + place;
        memmove(at + 1, at, (writer->count - place) * sizeof(*at));
        *at = (unsigned)writer->count;
    }
    writer->count++;
    return made;
}

/* ---- keywords ---- */

enum form {
    FORM_ANY,
    FORM_STRING,
    FORM_BOOLEAN,
    FORM_NUMBER,
    FORM_COUNT, /* an integer of at least 0 */
    FORM_STRINGS, /* an array of them, each once */
    FORM_VALUES, /* an array with something in it */
    FORM_LIST, /* any array */
    FORM_SCHEMA,
    FORM_SCHEMAS, /* an array with some in it */
    FORM_NAMED, /* an object of them */
    FORM_LISTS /* an object of FORM_STRINGS */
};

/* All of the vocabularies of 2020-12 but those that say where a schema is. */
static const struct keyword {
    const char *name;
    enum form form;
} keywords[] = {
    {"title", FORM_STRING},
    {"description", FORM_STRING},
    {"default", FORM_ANY},
    {"deprecated", FORM_BOOLEAN},
    {"readOnly", FORM_BOOLEAN},
    {"writeOnly", FORM_BOOLEAN},
    {"examples", FORM_LIST},
    {"enum", FORM_VALUES},
    {"const", FORM_ANY},
    {"multipleOf", FORM_NUMBER},
    {"maximum", FORM_NUMBER},
    {"exclusiveMaximum", FORM_NUMBER},
    {"minimum", FORM_NUMBER},
    {"exclusiveMinimum", FORM_NUMBER},
    {"maxLength", FORM_COUNT},
    {"minLength", FORM_COUNT},
    {"pattern", FORM_STRING},
    {"format", FORM_STRING},
    {"contentEncoding", FORM_STRING},
    {"contentMediaType", FORM_STRING},
    {"contentSchema", FORM_SCHEMA},
    {"maxItems", FORM_COUNT},
    {"minItems", FORM_COUNT},
    {"uniqueItems", FORM_BOOLEAN},
    {"maxContains", FORM_COUNT},
    {"minContains", FORM_COUNT},
    {"maxProperties", FORM_COUNT},
    {"minProperties", FORM_COUNT},
    {"required", FORM_STRINGS},
    {"dependentRequired", FORM_LISTS},
    {"items", FORM_SCHEMA},
    {"prefixItems", FORM_SCHEMAS},
    {"contains", FORM_SCHEMA},
    {"unevaluatedItems", FORM_SCHEMA},
    {"properties", FORM_NAMED},
    {"patternProperties", FORM_NAMED},
    {"additionalProperties", FORM_SCHEMA},
    {"unevaluatedProperties", FORM_SCHEMA},
    {"propertyNames", FORM_SCHEMA},
    {"dependentSchemas", FORM_NAMED},
    {"allOf", FORM_SCHEMAS},
    {"anyOf", FORM_SCHEMAS},
    {"oneOf", FORM_SCHEMAS},
    {"not", FORM_SCHEMA},
    {"if", FORM_SCHEMA},
    {"then", FORM_SCHEMA},
    {"else", FORM_SCHEMA},
};

static bool is_schema(const struct value *value)
{
    return value->kind == VALUE_OBJECT || value->kind == VALUE_BOOLEAN;
}

static bool is_strings(const struct value *value)
{
    if (value->kind != VALUE_ARRAY || value->count > STRINGS_MAX)
        return false;
    for (size_t i = 0; i < value->count; i++)
        for (size_t k = 0; k <= i; k++) {
            const struct value *a = value->items[i], *b = value->items[k];
            if (a->kind != VALUE_STRING ||
                (k < i && a->size == b->size && memcmp(a->text, b->text, a->size) == 0))
                return false;
        }
    return true;
}

/* All elements, or all members, are fit for it. */
static bool all_are(const struct value *value, bool (*fits)(const struct value *))
{
    bool is_object = value->kind == VALUE_OBJECT;

    for (size_t i = is_object ? 1 : 0; i < value->count; i += is_object ? 2 : 1)
        if (!fits(value->items[i]))
            return false;
    return true;
}

static bool has_form(const struct value *value, enum form form)
{
    switch (form) {
    case FORM_ANY:
        return true;
    case FORM_STRING:
        return value->kind == VALUE_STRING;
    case FORM_BOOLEAN:
        return value->kind == VALUE_BOOLEAN;
    case FORM_NUMBER:
        return value->kind == VALUE_NUMBER;
    case FORM_COUNT:
        return value->kind == VALUE_NUMBER && strpbrk(value->text, "-.eE") == NULL;
    case FORM_STRINGS:
        return is_strings(value);
    case FORM_LIST:
        return value->kind == VALUE_ARRAY;
    case FORM_VALUES:
        return value->kind == VALUE_ARRAY && value->count > 0;
    case FORM_SCHEMA:
        return is_schema(value);
    case FORM_SCHEMAS:
        return value->kind == VALUE_ARRAY && value->count > 0 && all_are(value, is_schema);
    case FORM_NAMED:
        return value->kind == VALUE_OBJECT && all_are(value, is_schema);
    case FORM_LISTS:
        return value->kind == VALUE_OBJECT && all_are(value, is_strings);
    }
    return false;
}

/* ---- writing ---- */

static bool write_schema(struct schema_writer *writer, const struct value *schema, int depth);

/* The comma and the name. */
static void begin(struct schema_writer *writer, bool *first, const char *name)
{
    text_adds(writer->out, *first ? "" : ",");
    text_add_string(writer->out, name, strlen(name));
    text_adds(writer->out, ":");
    *first = false;
}

static bool write_plain(struct schema_writer *writer, const struct value *value)
{
    const struct document_limits limits = {.values = 20000, .depth = DEPTH_MAX};

    return value_write(writer->out, value, &limits) ||
           fail(writer, "a value in its schemas is too large");
}

/* What the other side has for itself: the server's in a request, the caller's in an
 * answer. */
static bool is_theirs(struct schema_writer *writer, const struct value *property)
{
    return member_true(peek(writer, property), writer->input ? "readOnly" : "writeOnly");
}

static bool write_required(struct schema_writer *writer, const struct value *schema,
                           const struct value *names)
{
    const struct value *properties = value_member(schema, "properties");
    bool first = true;

    text_adds(writer->out, "[");
    for (size_t i = 0; i < names->count; i++) {
        const struct value *name = names->items[i];
        if (strlen(name->text) == name->size &&
            is_theirs(writer, value_member(properties, name->text)))
            continue;
        text_adds(writer->out, first ? "" : ",");
        text_add_string(writer->out, name->text, name->size);
        first = false;
    }
    text_adds(writer->out, "]");
    return true;
}

static bool write_named(struct schema_writer *writer, const struct value *map, bool properties,
                        int depth)
{
    bool first = true;

    text_adds(writer->out, "{");
    for (size_t i = 0; i < map->count; i += 2) {
        if (properties && writer->input && is_theirs(writer, map->items[i + 1]))
            continue;
        text_adds(writer->out, first ? "" : ",");
        text_add_string(writer->out, map->items[i]->text, map->items[i]->size);
        text_adds(writer->out, ":");
        if (!write_schema(writer, map->items[i + 1], depth))
            return false;
        first = false;
    }
    text_adds(writer->out, "}");
    return true;
}

static bool write_schemas(struct schema_writer *writer, const struct value *list, int depth)
{
    for (size_t i = 0; i < list->count; i++) {
        text_adds(writer->out, i == 0 ? "[" : ",");
        if (!write_schema(writer, list->items[i], depth))
            return false;
    }
    text_adds(writer->out, "]");
    return true;
}

static bool has_null(const struct value *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i]->kind == VALUE_NULL)
            return true;
    return false;
}

/* "enum" of a nullable schema of 3.0 has null among its values. */
static bool write_enum(struct schema_writer *writer, const struct value *schema,
                       const struct value *list)
{
    if (!writer->old || !member_true(schema, "nullable") || has_null(list))
        return write_plain(writer, list);
    for (size_t i = 0; i < list->count; i++) {
        text_adds(writer->out, i == 0 ? "[" : ",");
        if (!write_plain(writer, list->items[i]))
            return false;
    }
    text_adds(writer->out, ",null]");
    return true;
}

static bool write_keyword(struct schema_writer *writer, const struct keyword *keyword,
                          const struct value *schema, const struct value *value, int depth)
{
    if (strcmp(keyword->name, "required") == 0)
        return write_required(writer, schema, value);
    if (strcmp(keyword->name, "enum") == 0)
        return write_enum(writer, schema, value);
    switch (keyword->form) {
    case FORM_SCHEMA:
        return write_schema(writer, value, depth + 1);
    case FORM_SCHEMAS:
        return write_schemas(writer, value, depth + 1);
    case FORM_NAMED:
        return write_named(writer, value, strcmp(keyword->name, "properties") == 0, depth + 1);
    default:
        return write_plain(writer, value);
    }
}

/* "exclusiveMaximum": true beside "maximum": 9 becomes "exclusiveMaximum": 9. */
static bool is_exclusive(const struct value *schema, const char *limit)
{
    return strcmp(limit, "maximum") == 0   ? member_true(schema, "exclusiveMaximum")
           : strcmp(limit, "minimum") == 0 ? member_true(schema, "exclusiveMinimum")
                                           : false;
}

static bool write_keywords(struct schema_writer *writer, const struct value *schema, bool first,
                           int depth)
{
    for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
        const struct keyword *keyword = &keywords[i];
        const struct value *value = value_member(schema, keyword->name);
        if (value == NULL || !has_form(value, keyword->form))
            continue;
        const char *name = keyword->name;
        if (writer->old && is_exclusive(schema, name))
            name = strcmp(name, "maximum") == 0 ? "exclusiveMaximum" : "exclusiveMinimum";
        begin(writer, &first, name);
        if (!write_keyword(writer, keyword, schema, value, depth))
            return false;
    }
    const struct value *example = writer->old ? value_member(schema, "example") : NULL;
    if (example != NULL) {
        begin(writer, &first, "examples");
        text_adds(writer->out, "[");
        if (!write_plain(writer, example))
            return false;
        text_adds(writer->out, "]");
    }
    if (writer->input && schema_is_bytes(writer, schema) &&
        value_member(schema, "contentEncoding") == NULL) {
        begin(writer, &first, "contentEncoding");
        text_adds(writer->out, "\"base64\"");
    }
    return true;
}

static bool is_type(const struct value *value)
{
    static const char *const types[] = {"null",   "boolean", "object", "array",
                                        "number", "string",  "integer"};

    for (size_t i = 0; value_is(value, VALUE_STRING) && i < sizeof(types) / sizeof(types[0]); i++)
        if (strcmp(value->text, types[i]) == 0)
            return true;
    return false;
}

/* "type", if it is one, and what "nullable" makes of it. */
static void write_type(struct schema_writer *writer, const struct value *type, bool nullable,
                       bool *first)
{
    if (is_type(type)) {
        begin(writer, first, "type");
        text_addf(writer->out, nullable ? "[\"%s\",\"null\"]" : "\"%s\"", type->text);
    } else if (!writer->old && value_is(type, VALUE_ARRAY) && type->count > 0 &&
               all_are(type, is_type) && is_strings(type)) {
        begin(writer, first, "type");
        write_plain(writer, type);
    }
}

static bool write_members(struct schema_writer *writer, const struct value *schema, bool nullable,
                          int depth)
{
    bool first = true;
    const char *reference = member_string(schema, "$ref");

    if (reference != NULL) {
        const struct definition *definition = define(writer, reference);
        if (definition == NULL)
            return false;
        begin(writer, &first, "$ref");
        text_addf(writer->out, "\"#/$defs/%s\"", definition->name);
        if (writer->old)
            return true; /* nothing beside it counts */
    }
    write_type(writer, value_member(schema, "type"), nullable, &first);
    return write_keywords(writer, schema, first, depth);
}

static bool write_schema(struct schema_writer *writer, const struct value *schema, int depth)
{
    if (depth > DEPTH_MAX)
        return fail(writer, "its schemas are nested too deeply");
    if (writer->out->size > SIZE_LIMIT || writer->out->failed)
        return fail(writer, "its schemas are larger than a definition may be");
    if (schema->kind == VALUE_BOOLEAN) {
        text_adds(writer->out, schema->text);
        return true;
    }
    if (schema->kind != VALUE_OBJECT)
        return fail(writer, "one of its schemas is no object");
    bool nullable = writer->old && member_true(schema, "nullable");
    bool wrapped = nullable && !is_type(value_member(schema, "type")) &&
                   (value_member(schema, "$ref") != NULL || value_member(schema, "allOf") != NULL ||
                    value_member(schema, "anyOf") != NULL || value_member(schema, "oneOf") != NULL);
    text_adds(writer->out, wrapped ? "{\"anyOf\":[{" : "{");
    bool good = write_members(writer, schema, nullable, depth);
    text_adds(writer->out, wrapped ? "},{\"type\":\"null\"}]}" : "}");
    return good;
}

bool schema_write(struct schema_writer *writer, const struct value *schema)
{
    return write_schema(writer, schema, 0);
}

bool schema_write_object(struct schema_writer *writer, const struct value *schema)
{
    schema = schema_resolve(writer, schema);
    if (!value_is(schema, VALUE_OBJECT))
        return fail(writer, "one of its schemas is no object");
    text_adds(writer->out, "\"type\":\"object\"");
    return write_keywords(writer, schema, false, 0);
}

bool schema_write_definitions(struct schema_writer *writer)
{
    /* What one refers to comes behind it. */
    for (size_t i = 0; i < writer->count; i++) {
        text_adds(writer->out, i == 0 ? ",\"$defs\":{" : ",");
        text_addf(writer->out, "\"%s\":", writer->definitions[i].name);
        if (!write_schema(writer, writer->definitions[i].schema, 2))
            return false;
    }
    if (writer->count > 0)
        text_adds(writer->out, "}");
    return true;
}

void schema_writer_free(struct schema_writer *writer)
{
    free(writer->definitions);
    free(writer->order[0]);
    free(writer->order[1]);
    writer->definitions = NULL;
    writer->order[0] = writer->order[1] = NULL;
    writer->count = writer->room = 0;
}

/* ---- what a schema is of ---- */

bool schema_is_object(struct schema_writer *writer, const struct value *schema, int depth)
{
    schema = peek(writer, schema);
    const struct value *type = value_member(schema, "type"), *all = value_member(schema, "allOf");

    if (value_is(type, VALUE_STRING))
        return strcmp(type->text, "object") == 0;
    if (value_is(type, VALUE_ARRAY))
        return false;
    if (value_is(value_member(schema, "properties"), VALUE_OBJECT))
        return true;
    for (size_t i = 0; value_is(all, VALUE_ARRAY) && i < all->count && depth < 8; i++)
        if (schema_is_object(writer, all->items[i], depth + 1))
            return true;
    return false;
}

bool schema_is_bytes(struct schema_writer *writer, const struct value *schema)
{
    schema = peek(writer, schema);
    const char *type = member_string(schema, "type"), *format = member_string(schema, "format");

    if (type == NULL || strcmp(type, "string") != 0)
        return false;
    if (format != NULL && strcmp(format, "binary") == 0)
        return true;
    return !writer->old && member_string(schema, "contentMediaType") != NULL &&
           member_string(schema, "contentEncoding") == NULL;
}
