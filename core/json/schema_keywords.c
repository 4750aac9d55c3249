/* SPDX-License-Identifier: MIT */
/* The keywords of a schema: is what stands there legal, and what it becomes. */
#include <stddef.h>
#include <stdlib.h>

#include "json/schema_compiler.h"

enum vocabulary { CORE, APPLICATOR, UNEVALUATED, VALIDATION, FORMAT };
enum drafts { BOTH, ONLY_7, ONLY_2020 };

struct keyword {
    const char *name;
    enum vocabulary vocabulary;
    enum drafts drafts;
    bool (*read)(struct subschema *s, const struct keyword *keyword, const struct json_node *value);
    size_t offset; /* in the struct that `read` fills */
};

static bool refuse(struct subschema *s, const struct keyword *keyword, const char *expected,
                   const struct json_node *value)
{
    struct buf got;
    buf_init(&got, 1000);
    describe_value(&got, s->json, value);
    compiler_refuse(s->c, s->node->place, keyword->name, "expected %s, got %.*s", expected,
                    BYTES_FMT(buf_bytes(&got)));
    buf_free(&got);
    return false;
}

/* ---- the structs, made when they are needed ---- */

static struct value_rules *value_rules(struct subschema *s)
{
    if (s->value == NULL)
        s->value = compiler_alloc(s->c, 1, sizeof(*s->value));
    return s->value;
}

static struct number_rules *number_rules(struct subschema *s)
{
    if (s->number == NULL)
        s->number = compiler_alloc(s->c, 1, sizeof(*s->number));
    return s->number;
}

static struct string_rules *string_rules(struct subschema *s)
{
    if (s->string == NULL) {
        s->string = compiler_alloc(s->c, 1, sizeof(*s->string));
        if (s->string != NULL)
            s->string->max = UINT64_MAX;
    }
    return s->string;
}

static struct array_rules *array_rules(struct subschema *s)
{
    if (s->array == NULL) {
        s->array = compiler_alloc(s->c, 1, sizeof(*s->array));
        if (s->array != NULL) {
            s->array->max = s->array->max_contains = UINT64_MAX;
            s->array->min_contains = 1;
        }
    }
    return s->array;
}

static struct object_rules *object_rules(struct subschema *s)
{
    if (s->object_rules == NULL) {
        s->object_rules = compiler_alloc(s->c, 1, sizeof(*s->object_rules));
        if (s->object_rules != NULL)
            s->object_rules->max = UINT64_MAX;
    }
    return s->object_rules;
}

/* ---- copies ---- */

static struct bytes copy_string(struct subschema *s, const struct json_node *value)
{
    struct bytes text = schema_string(s->json, value, &s->c->scratch);
    if (text.data != NULL)
        text = arena_copy(&s->c->schema->arena, text);
    if (text.data == NULL)
        compiler_no_memory(s->c);
    return text;
}

/* A value with an index of its own. */
static const struct json *copy_value(struct subschema *s, const struct json_node *value)
{
    struct arena *arena = &s->c->schema->arena;
    struct json *copy = compiler_alloc(s->c, 1, sizeof(*copy));
    struct json_node *nodes = arena_calloc(arena, value->span, sizeof(*nodes));
    struct bytes text = arena_copy(arena, json_raw(s->json, value));
    if (copy == NULL || nodes == NULL || text.data == NULL) {
        compiler_no_memory(s->c);
        return NULL;
    }
    for (uint32_t i = 0; i < value->span; i++) {
        nodes[i] = value[i];
        nodes[i].start -= value->start;
        nodes[i].end -= value->start;
    }
    *copy = (struct json){text, nodes, value->span, s->json->repeated};
    return copy;
}

/* ---- subschemas ---- */

static struct schema_node *read_subschema(struct subschema *s, const struct keyword *keyword,
                                          const struct json_node *value, struct bytes name,
                                          int64_t index)
{
    struct where where = {
        .json = s->json, .object = value, .source = s->source, .depth = s->depth + 1};
    where.place = place_new(s->c, s->node->place, keyword->name, name, index);
    return where.place != NULL ? compile(s->c, &where) : NULL;
}

static const struct schema_node **at_offset(void *rules, size_t offset)
{
    return rules != NULL ? (const struct schema_node **)((char *)rules + offset) : NULL;
}

static bool read_one(struct subschema *s, const struct keyword *keyword,
                     const struct json_node *value, const struct schema_node **out)
{
    if (out == NULL)
        return false;
    *out = read_subschema(s, keyword, value, (struct bytes){NULL, 0}, -1);
    return *out != NULL;
}

static bool read_for_value(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    return read_one(s, k, v, at_offset(value_rules(s), k->offset));
}

static bool read_for_array(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    return read_one(s, k, v, at_offset(array_rules(s), k->offset));
}

static bool read_for_object(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    return read_one(s, k, v, at_offset(object_rules(s), k->offset));
}

/* Compiled, as a reference may lead there, but never applied. */
static bool read_aside(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    const struct schema_node *unused;
    return read_one(s, k, v, &unused);
}

static bool read_array_of(struct subschema *s, const struct keyword *k, const struct json_node *v,
                          const struct schema_node ***out, uint32_t *count)
{
    if (v->type != JSON_ARRAY || v->count == 0)
        return refuse(s, k, "an array of at least one schema", v);
    const struct schema_node **nodes = compiler_alloc(s->c, v->count, sizeof(struct schema_node *));
    if (nodes == NULL)
        return false;
    const struct json_node *element = v + 1;
    for (uint32_t i = 0; i < v->count; i++, element += element->span) {
        nodes[i] = read_subschema(s, k, element, (struct bytes){NULL, 0}, i);
        if (nodes[i] == NULL)
            return false;
    }
    *out = nodes;
    *count = v->count;
    return true;
}

static bool read_list(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    if (value_rules(s) == NULL)
        return false;
    struct node_list *list = (struct node_list *)((char *)s->value + k->offset);
    return read_array_of(s, k, v, &list->nodes, &list->count);
}

static bool read_prefix(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    return array_rules(s) != NULL && read_array_of(s, k, v, &s->array->prefix, &s->array->prefixes);
}

/* draft-07: one schema for all elements, or one for each. */
static bool read_items_7(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    if (v->type != JSON_ARRAY)
        return read_for_array(s, k, v);
    if (v->count == 0)
        return array_rules(s) != NULL;
    return read_prefix(s, k, v);
}

static bool read_items(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    if (v->type == JSON_ARRAY)
        return compiler_refuse(s->c, s->node->place, k->name,
                               "expected a schema, got an array; since 2020-12 a schema for each "
                               "element stands in \"prefixItems\"");
    return read_for_array(s, k, v);
}

/* Only means something beside an array in "items". */
static bool read_additional_items(struct subschema *s, const struct keyword *k,
                                  const struct json_node *v)
{
    const struct json_node *items = json_get(s->json, s->object, "items");
    if (items != NULL && items->type == JSON_ARRAY)
        return read_for_array(s, k, v);
    return read_aside(s, k, v);
}

/* ---- members of objects ---- */

/* Walks the members of a keyword's object; NULL at the end. */
static const struct json_node *next_member(const struct json_node *object,
                                           const struct json_node *name)
{
    const struct json_node *end = object + object->span;
    name = name == NULL ? json_first(object) : json_next(name + 1, end);
    while (name != NULL && name->repeated)
        name = json_next(name + 1, end);
    return name;
}

static bool add_member(struct subschema *s, struct bytes name, const struct schema_node *node,
                       bool required)
{
    if (s->members == NULL) {
        const struct json_node *properties = json_get(s->json, s->object, "properties");
        const struct json_node *names = json_get(s->json, s->object, "required");
        size_t most = (properties != NULL ? properties->count : 0) +
                      (size_t)(names != NULL ? names->count : 0);
        s->members = compiler_alloc(s->c, most, sizeof(*s->members));
        if (s->members == NULL)
            return false;
    }
    s->members[s->object_rules->member_count++] = (struct member_rule){name, node, required};
    return true;
}

static bool read_properties(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    if (v->type != JSON_OBJECT)
        return refuse(s, k, "an object of schemas", v);
    if (object_rules(s) == NULL)
        return false;
    for (const struct json_node *n = next_member(v, NULL); n != NULL; n = next_member(v, n)) {
        struct bytes name = copy_string(s, n);
        if (name.data == NULL)
            return false;
        const struct schema_node *node = read_subschema(s, k, n + 1, name, -1);
        if (node == NULL || !add_member(s, name, node, false))
            return false;
    }
    return true;
}

static bool check_names(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    if (v->type != JSON_ARRAY)
        return refuse(s, k, "an array of names", v);
    const struct json_node *element = v + 1;
    for (uint32_t i = 0; i < v->count; i++, element += element->span) {
        if (element->type != JSON_STRING)
            return refuse(s, k, "an array of names, all strings", element);
    }
    return true;
}

static bool read_required(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    if (!check_names(s, k, v) || object_rules(s) == NULL)
        return false;
    for (uint32_t i = 0; i < v->count; i++) {
        struct bytes name = copy_string(s, v + 1 + i);
        if (name.data == NULL || !add_member(s, name, NULL, true))
            return false;
    }
    return true;
}

static const struct pattern *read_regex(struct subschema *s, const struct place *place,
                                        const char *keyword, const struct json_node *value)
{
    struct compiler *c = s->c;
    struct error why;
    size_t size;
    struct bytes text = schema_string(s->json, value, &c->scratch);
    struct owned_pattern *owned = compiler_alloc(c, 1, sizeof(*owned));
    if (text.data == NULL || owned == NULL) {
        compiler_no_memory(c);
        return NULL;
    }
    owned->pattern = pattern_new(text, &size, &why);
    if (owned->pattern == NULL) {
        compiler_refuse(c, place, keyword, "\"%.*s\" is no regular expression of ECMA-262: %s",
                        text.size < 200 ? (int)text.size : 0, text.data, why.text);
        return NULL;
    }
    owned->next = c->schema->patterns;
    c->schema->patterns = owned;
    c->pattern_bytes += size;
    if (c->pattern_bytes > SCHEMA_MAX_PATTERNS) {
        compiler_refuse(c, place, keyword, "all patterns together take more than %zu MiB",
                        SCHEMA_MAX_PATTERNS >> 20);
        return NULL;
    }
    return owned->pattern;
}

static bool read_pattern_properties(struct subschema *s, const struct keyword *k,
                                    const struct json_node *v)
{
    if (v->type != JSON_OBJECT)
        return refuse(s, k, "an object of schemas", v);
    if (object_rules(s) == NULL)
        return false;
    s->patterns = compiler_alloc(s->c, v->count, sizeof(*s->patterns));
    s->object_rules->patterns = s->patterns;
    if (s->patterns == NULL)
        return false;
    for (const struct json_node *n = next_member(v, NULL); n != NULL; n = next_member(v, n)) {
        struct bytes name = copy_string(s, n);
        if (name.data == NULL)
            return false;
        const struct schema_node *node = read_subschema(s, k, n + 1, name, -1);
        const struct pattern *pattern = node != NULL ? read_regex(s, node->place, NULL, n) : NULL;
        if (pattern == NULL)
            return false;
        s->patterns[s->object_rules->pattern_count++] = (struct pattern_rule){pattern, node};
    }
    return true;
}

/* ---- dependencies ---- */

static bool reserve_dependencies(struct subschema *s)
{
    static const char *const keywords[] = {"dependentRequired", "dependentSchemas", "dependencies"};
    if (object_rules(s) == NULL)
        return false;
    if (s->dependencies != NULL)
        return true;
    size_t most = 0;
    for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
        const struct json_node *value = json_get(s->json, s->object, keywords[i]);
        most += value != NULL ? value->count : 0;
    }
    s->dependencies = compiler_alloc(s->c, most, sizeof(*s->dependencies));
    s->object_rules->dependencies = s->dependencies;
    return s->dependencies != NULL;
}

static bool read_dependent_names(struct subschema *s, const struct keyword *k,
                                 const struct json_node *v, struct dependency *dependency)
{
    if (!check_names(s, k, v))
        return false;
    struct bytes *names = compiler_alloc(s->c, v->count, sizeof(*names));
    if (names == NULL)
        return false;
    for (uint32_t i = 0; i < v->count; i++) {
        names[i] = copy_string(s, v + 1 + i);
        if (names[i].data == NULL)
            return false;
    }
    dependency->required = names;
    dependency->requires = v->count;
    return true;
}

/* Arrays of names and schemas: "dependencies" has both, the others one of them. */
static bool read_dependencies(struct subschema *s, const struct keyword *k,
                              const struct json_node *v)
{
    bool names = strcmp(k->name, "dependentRequired") == 0;
    bool either = strcmp(k->name, "dependencies") == 0;
    if (v->type != JSON_OBJECT)
        return refuse(s, k, "an object", v);
    if (!reserve_dependencies(s))
        return false;
    for (const struct json_node *n = next_member(v, NULL); n != NULL; n = next_member(v, n)) {
        struct dependency dependency = {.name = copy_string(s, n), .keyword = k->name};
        if (dependency.name.data == NULL)
            return false;
        if (names || (either && n[1].type == JSON_ARRAY)) {
            if (!read_dependent_names(s, k, n + 1, &dependency))
                return false;
        } else {
            dependency.node = read_subschema(s, k, n + 1, dependency.name, -1);
            if (dependency.node == NULL)
                return false;
        }
        s->dependencies[s->object_rules->dependency_count++] = dependency;
    }
    return true;
}

/* "$defs": nothing of it applies by itself. */
static bool read_definitions(struct subschema *s, const struct keyword *k,
                             const struct json_node *v)
{
    if (v->type != JSON_OBJECT)
        return refuse(s, k, "an object of schemas", v);
    for (const struct json_node *n = next_member(v, NULL); n != NULL; n = next_member(v, n)) {
        struct bytes name = copy_string(s, n);
        if (name.data == NULL || read_subschema(s, k, n + 1, name, -1) == NULL)
            return false;
    }
    return true;
}

/* ---- validation ---- */

static bool add_type(struct subschema *s, const struct keyword *k, const struct json_node *v,
                     bool *number)
{
    static const struct {
        const char *name;
        unsigned types;
    } types[] = {
        {"null", TYPE_BIT(JSON_NULL)},     {"boolean", TYPE_BIT(JSON_FALSE) | TYPE_BIT(JSON_TRUE)},
        {"number", TYPE_BIT(JSON_NUMBER)}, {"integer", TYPE_BIT(JSON_NUMBER)},
        {"string", TYPE_BIT(JSON_STRING)}, {"array", TYPE_BIT(JSON_ARRAY)},
        {"object", TYPE_BIT(JSON_OBJECT)}};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (json_is(s->json, v, types[i].name)) {
            s->node->types |= (uint8_t)types[i].types;
            *number |= strcmp(types[i].name, "number") == 0;
            return true;
        }
    }
    return refuse(s, k,
                  "a type (\"object\", \"array\", \"string\", \"number\", \"integer\", "
                  "\"boolean\" or \"null\") or an array of types",
                  v);
}

static bool read_type(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    bool list = v->type == JSON_ARRAY, number = false;
    uint32_t count = list ? v->count : 1;
    const struct json_node *element = list ? v + 1 : v;
    if (count == 0)
        return refuse(s, k, "a type or an array of at least one type", v);
    s->node->types = 0;
    for (uint32_t i = 0; i < count; i++, element += element->span) {
        if (!add_type(s, k, element, &number))
            return false;
    }
    s->node->integer = (s->node->types & TYPE_BIT(JSON_NUMBER)) != 0 && !number;
    return true;
}

static bool read_constant(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    (void)k;
    if (value_rules(s) == NULL)
        return false;
    s->value->constant = copy_value(s, v);
    return s->value->constant != NULL;
}

static bool read_enum(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    if (v->type != JSON_ARRAY)
        return refuse(s, k, "an array of values", v);
    if (value_rules(s) == NULL)
        return false;
    s->value->choices = copy_value(s, v);
    return s->value->choices != NULL;
}

static struct decimal *read_number(struct subschema *s, const struct keyword *k,
                                   const struct json_node *v)
{
    if (v->type != JSON_NUMBER) {
        refuse(s, k, "a number", v);
        return NULL;
    }
    struct decimal *decimal = compiler_alloc(s->c, 1, sizeof(*decimal));
    struct bytes text = arena_copy(&s->c->schema->arena, json_raw(s->json, v));
    if (decimal == NULL || text.data == NULL) {
        compiler_no_memory(s->c);
        return NULL;
    }
    *decimal = decimal_read(text);
    return decimal;
}

static bool read_bound(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    if (number_rules(s) == NULL)
        return false;
    const struct decimal **out = (const struct decimal **)(void *)((char *)s->number + k->offset);
    *out = read_number(s, k, v);
    return *out != NULL;
}

static bool read_multiple(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    if (!read_bound(s, k, v))
        return false;
    const struct decimal *divisor = s->number->multiple;
    if (divisor->size == 0 || divisor->negative)
        return refuse(s, k, "a number above 0", v);
    return decimal_can_divide(divisor) ||
           refuse(s, k, "a number of at most 18 significant digits", v);
}

/* A count that is so large that nothing reaches it is held at the largest. */
static bool read_count(struct subschema *s, const struct keyword *k, const struct json_node *v,
                       void *rules)
{
    if (rules == NULL)
        return false;
    int64_t count;
    if (!json_int64(s->json, v, &count)) {
        struct decimal d = {.negative = true};
        if (v->type == JSON_NUMBER)
            d = decimal_read(json_raw(s->json, v));
        if (d.negative || !decimal_is_integer(&d))
            return refuse(s, k, "an integer from 0", v);
        count = INT64_MAX;
    }
    if (count < 0)
        return refuse(s, k, "an integer from 0", v);
    *(uint64_t *)(void *)((char *)rules + k->offset) = (uint64_t)count;
    return true;
}

static bool read_string_count(struct subschema *s, const struct keyword *k,
                              const struct json_node *v)
{
    return read_count(s, k, v, string_rules(s));
}

static bool read_array_count(struct subschema *s, const struct keyword *k,
                             const struct json_node *v)
{
    return read_count(s, k, v, array_rules(s));
}

static bool read_object_count(struct subschema *s, const struct keyword *k,
                              const struct json_node *v)
{
    return read_count(s, k, v, object_rules(s));
}

static bool read_unique(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    if (v->type != JSON_TRUE && v->type != JSON_FALSE)
        return refuse(s, k, "true or false", v);
    if (array_rules(s) == NULL)
        return false;
    s->array->unique = v->type == JSON_TRUE;
    return true;
}

static bool read_pattern(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    if (v->type != JSON_STRING)
        return refuse(s, k, "a string, a regular expression", v);
    if (string_rules(s) == NULL)
        return false;
    s->string->pattern = read_regex(s, s->node->place, k->name, v);
    return s->string->pattern != NULL;
}

static bool read_format(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    if (v->type != JSON_STRING)
        return refuse(s, k, "a string, the name of a format", v);
    if (!s->c->options->assert_format && !s->source->dialect.assert_format)
        return true;
    struct bytes name = schema_string(s->json, v, &s->c->scratch);
    const struct format *format = name.data != NULL ? format_find(name) : NULL;
    if (format == NULL) /* one that is not known says nothing */
        return true;
    if (string_rules(s) == NULL)
        return false;
    s->string->format = format;
    return true;
}

/* ---- core ---- */

static bool read_reference(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    struct compiler *c = s->c;
    if (v->type != JSON_STRING)
        return refuse(s, k, "a string, a reference", v);
    struct pending *pending = arena_alloc(&c->scratch, sizeof(*pending));
    struct bytes reference = json_string(s->json, v, &c->scratch);
    if (pending == NULL || reference.data == NULL)
        return compiler_no_memory(c);
    if (value_rules(s) == NULL)
        return false;
    *pending = (struct pending){.rules = s->value,
                                .source = s->source,
                                .place = s->node->place,
                                .reference = reference,
                                .dynamic = strcmp(k->name, "$dynamicRef") == 0};
    *c->pending_end = pending;
    c->pending_end = &pending->next;
    return true;
}

static bool read_anchor(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    if (v->type != JSON_STRING)
        return refuse(s, k, "a string, a name", v);
    struct bytes name = schema_string(s->json, v, &s->c->scratch);
    if (name.data == NULL)
        return compiler_no_memory(s->c);
    return source_anchor(s, k->name, name, strcmp(k->name, "$dynamicAnchor") == 0);
}

/* The URI of "$id" has been seen to; in draft-07 its fragment is an anchor. */
static bool read_id(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    struct bytes fragment, id = json_string(s->json, v, &s->c->scratch);
    if (id.data == NULL)
        return refuse(s, k, "a string, a URI", v);
    uri_split(id, &fragment);
    return fragment.size == 0 || source_anchor(s, k->name, fragment, false);
}

static bool read_text(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    return v->type == JSON_STRING || refuse(s, k, "a string", v);
}

/* Sorted. What is not here means nothing (annotations among it). */
static const struct keyword keywords[] = {
    {"$anchor", CORE, ONLY_2020, read_anchor, 0},
    {"$comment", CORE, BOTH, read_text, 0},
    {"$defs", CORE, BOTH, read_definitions, 0},
    {"$dynamicAnchor", CORE, ONLY_2020, read_anchor, 0},
    {"$dynamicRef", CORE, ONLY_2020, read_reference, 0},
    {"$id", CORE, BOTH, read_id, 0},
    {"$ref", CORE, BOTH, read_reference, 0},
    {"additionalItems", APPLICATOR, ONLY_7, read_additional_items,
     offsetof(struct array_rules, items)},
    {"additionalProperties", APPLICATOR, BOTH, read_for_object,
     offsetof(struct object_rules, additional)},
    {"allOf", APPLICATOR, BOTH, read_list, offsetof(struct value_rules, all)},
    {"anyOf", APPLICATOR, BOTH, read_list, offsetof(struct value_rules, any)},
    {"const", VALIDATION, BOTH, read_constant, 0},
    {"contains", APPLICATOR, BOTH, read_for_array, offsetof(struct array_rules, contains)},
    {"contentSchema", CORE, ONLY_2020, read_aside, 0},
    {"definitions", CORE, BOTH, read_definitions, 0},
    {"dependencies", APPLICATOR, BOTH, read_dependencies, 0},
    {"dependentRequired", VALIDATION, ONLY_2020, read_dependencies, 0},
    {"dependentSchemas", APPLICATOR, ONLY_2020, read_dependencies, 0},
    {"else", APPLICATOR, BOTH, read_for_value, offsetof(struct value_rules, otherwise)},
    {"enum", VALIDATION, BOTH, read_enum, 0},
    {"exclusiveMaximum", VALIDATION, BOTH, read_bound, offsetof(struct number_rules, below)},
    {"exclusiveMinimum", VALIDATION, BOTH, read_bound, offsetof(struct number_rules, above)},
    {"format", FORMAT, BOTH, read_format, 0},
    {"if", APPLICATOR, BOTH, read_for_value, offsetof(struct value_rules, condition)},
    {"items", APPLICATOR, ONLY_7, read_items_7, offsetof(struct array_rules, items)},
    {"items", APPLICATOR, ONLY_2020, read_items, offsetof(struct array_rules, items)},
    {"maxContains", VALIDATION, ONLY_2020, read_array_count,
     offsetof(struct array_rules, max_contains)},
    {"maxItems", VALIDATION, BOTH, read_array_count, offsetof(struct array_rules, max)},
    {"maxLength", VALIDATION, BOTH, read_string_count, offsetof(struct string_rules, max)},
    {"maxProperties", VALIDATION, BOTH, read_object_count, offsetof(struct object_rules, max)},
    {"maximum", VALIDATION, BOTH, read_bound, offsetof(struct number_rules, maximum)},
    {"minContains", VALIDATION, ONLY_2020, read_array_count,
     offsetof(struct array_rules, min_contains)},
    {"minItems", VALIDATION, BOTH, read_array_count, offsetof(struct array_rules, min)},
    {"minLength", VALIDATION, BOTH, read_string_count, offsetof(struct string_rules, min)},
    {"minProperties", VALIDATION, BOTH, read_object_count, offsetof(struct object_rules, min)},
    {"minimum", VALIDATION, BOTH, read_bound, offsetof(struct number_rules, minimum)},
    {"multipleOf", VALIDATION, BOTH, read_multiple, offsetof(struct number_rules, multiple)},
    {"not", APPLICATOR, BOTH, read_for_value, offsetof(struct value_rules, not )},
    {"oneOf", APPLICATOR, BOTH, read_list, offsetof(struct value_rules, one)},
    {"pattern", VALIDATION, BOTH, read_pattern, 0},
    {"patternProperties", APPLICATOR, BOTH, read_pattern_properties, 0},
    {"prefixItems", APPLICATOR, ONLY_2020, read_prefix, 0},
    {"properties", APPLICATOR, BOTH, read_properties, 0},
    {"propertyNames", APPLICATOR, BOTH, read_for_object, offsetof(struct object_rules, names)},
    {"required", VALIDATION, BOTH, read_required, 0},
    {"then", APPLICATOR, BOTH, read_for_value, offsetof(struct value_rules, then)},
    {"type", VALIDATION, BOTH, read_type, 0},
    {"unevaluatedItems", UNEVALUATED, ONLY_2020, read_for_array,
     offsetof(struct array_rules, unevaluated)},
    {"unevaluatedProperties", UNEVALUATED, ONLY_2020, read_for_object,
     offsetof(struct object_rules, unevaluated)},
    {"uniqueItems", VALIDATION, BOTH, read_unique, 0}};

static bool in_use(const struct dialect *dialect, const struct keyword *keyword)
{
    if (keyword->drafts != BOTH && (keyword->drafts == ONLY_7) != dialect->draft7)
        return false;
    switch (keyword->vocabulary) {
    case APPLICATOR:
        return dialect->applicator;
    case UNEVALUATED:
        return dialect->unevaluated;
    case VALIDATION:
        return dialect->validation;
    case FORMAT:
        return dialect->format;
    default:
        return true;
    }
}

static const struct keyword *find_keyword(const struct dialect *dialect, struct bytes name)
{
    for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
        if (bytes_equal(name, bytes_of(keywords[i].name)) && in_use(dialect, &keywords[i]))
            return &keywords[i];
    }
    return NULL;
}

/* In draft-07 nothing counts beside "$ref" but what it may lead to. */
static bool hidden_by_ref(struct subschema *s, const struct keyword *keyword)
{
    if (!s->source->dialect.draft7 || json_get(s->json, s->object, "$ref") == NULL)
        return false;
    return strcmp(keyword->name, "$ref") != 0 && keyword->read != read_definitions;
}

/* ---- all of them ---- */

static int by_name(const void *a, const void *b)
{
    const struct member_rule *x = a, *y = b;
    if (x->name.size != y->name.size)
        return x->name.size < y->name.size ? -1 : 1;
    return x->name.size > 0 ? memcmp(x->name.data, y->name.data, x->name.size) : 0;
}

/* Sorts the members and makes one of those that are in both "properties" and
 * "required". */
static void finish_members(struct subschema *s)
{
    struct object_rules *rules = s->object_rules;
    struct member_rule *members = s->members;
    uint32_t kept = 0;
    qsort(members, rules->member_count, sizeof(*members), by_name);
    for (uint32_t i = 0; i < rules->member_count; i++) {
        struct member_rule *last = kept > 0 ? &members[kept - 1] : NULL;
        if (last != NULL && by_name(last, &members[i]) == 0) {
            last->required |= members[i].required;
            if (members[i].node != NULL)
                last->node = members[i].node;
        } else {
            members[kept++] = members[i];
        }
    }
    rules->members = members;
    rules->member_count = kept;
    for (uint32_t i = 0; i < kept; i++)
        rules->required_count += members[i].required;
}

bool keywords_read(struct subschema *s)
{
    for (const struct json_node *n = next_member(s->object, NULL); n != NULL;
         n = next_member(s->object, n)) {
        struct bytes name = schema_string(s->json, n, &s->c->scratch);
        if (name.data == NULL)
            return compiler_no_memory(s->c);
        const struct keyword *keyword = find_keyword(&s->source->dialect, name);
        if (keyword != NULL && !hidden_by_ref(s, keyword) && !keyword->read(s, keyword, n + 1))
            return false;
    }
    if (s->members != NULL)
        finish_members(s);
    return true;
}
