/* SPDX-License-Identifier: MIT */
/* The keywords that say something of a value by themselves: what becomes of them. */
#include "json/schema_compiler.h"

bool keyword_refuse(struct subschema *s, const struct keyword *keyword, const char *expected,
                    const struct json_node *value)
{
    struct buf got;
    buf_init(&got, 1000);
    json_write_shown(&got, s->json, value);
    compiler_refuse(s->c, s->node->place, keyword->name, "expected %s, got %.*s", expected,
                    BYTES_FMT(buf_bytes(&got)));
    buf_free(&got);
    return false;
}

/* ---- the structs, made when they are needed ---- */

struct value_rules *subschema_value(struct subschema *s)
{
    if (s->value == NULL)
        s->value = compiler_alloc(s->c, 1, sizeof(*s->value));
    return s->value;
}

struct number_rules *subschema_number(struct subschema *s)
{
    if (s->number == NULL)
        s->number = compiler_alloc(s->c, 1, sizeof(*s->number));
    return s->number;
}

struct string_rules *subschema_string(struct subschema *s)
{
    if (s->string == NULL) {
        s->string = compiler_alloc(s->c, 1, sizeof(*s->string));
        if (s->string != NULL)
            s->string->max = UINT64_MAX;
    }
    return s->string;
}

struct array_rules *subschema_array(struct subschema *s)
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

struct object_rules *subschema_object(struct subschema *s)
{
    if (s->object_rules == NULL) {
        s->object_rules = compiler_alloc(s->c, 1, sizeof(*s->object_rules));
        if (s->object_rules != NULL)
            s->object_rules->max = UINT64_MAX;
    }
    return s->object_rules;
}

/* ---- copies ---- */

struct bytes subschema_copy_string(struct subschema *s, const struct json_node *value)
{
    struct bytes text = schema_string(s->json, value, &s->c->scratch);
    if (text.data != NULL)
        text = arena_copy(&s->c->schema->arena, text);
    if (text.data == NULL)
        compiler_no_memory(s->c);
    return text;
}

/* A value with an index of its own. */
const struct json *subschema_copy_value(struct subschema *s, const struct json_node *value)
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

const struct json_node *keyword_next_member(const struct json_node *object,
                                            const struct json_node *name)
{
    const struct json_node *end = object + object->span;
    name = name == NULL ? json_first(object) : json_next(name + 1, end);
    while (name != NULL && name->repeated)
        name = json_next(name + 1, end);
    return name;
}

const struct pattern *subschema_pattern(struct subschema *s, const struct place *place,
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
        c->no_memory = why.no_memory;
        compiler_refuse(c, place, keyword, "\"%.*s\" is no regular expression of ECMA-262: %s",
                        SHOWN_FMT(text), why.text);
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

/* ---- the keywords ---- */

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
    return keyword_refuse(s, k,
                          "a type (\"object\", \"array\", \"string\", \"number\", \"integer\", "
                          "\"boolean\" or \"null\") or an array of types",
                          v);
}

bool keyword_type(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    bool list = v->type == JSON_ARRAY, number = false;
    uint32_t count = list ? v->count : 1;
    const struct json_node *element = list ? v + 1 : v;
    if (count == 0)
        return keyword_refuse(s, k, "a type or an array of at least one type", v);
    s->node->types = 0;
    for (uint32_t i = 0; i < count; i++, element += element->span) {
        if (!add_type(s, k, element, &number))
            return false;
    }
    s->node->integer = (s->node->types & TYPE_BIT(JSON_NUMBER)) != 0 && !number;
    return true;
}

bool keyword_constant(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    (void)k;
    if (subschema_value(s) == NULL)
        return false;
    s->value->constant = subschema_copy_value(s, v);
    return s->value->constant != NULL;
}

bool keyword_enum(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    if (v->type != JSON_ARRAY)
        return keyword_refuse(s, k, "an array of values", v);
    if (subschema_value(s) == NULL)
        return false;
    s->value->choices = subschema_copy_value(s, v);
    return s->value->choices != NULL;
}

static struct decimal *read_number(struct subschema *s, const struct keyword *k,
                                   const struct json_node *v)
{
    if (v->type != JSON_NUMBER) {
        keyword_refuse(s, k, "a number", v);
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

bool keyword_bound(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    if (subschema_number(s) == NULL)
        return false;
    const struct decimal **out = (const struct decimal **)(void *)((char *)s->number + k->offset);
    *out = read_number(s, k, v);
    return *out != NULL;
}

bool keyword_multiple(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    if (!keyword_bound(s, k, v))
        return false;
    const struct decimal *divisor = s->number->multiple;
    if (divisor->size == 0 || divisor->negative)
        return keyword_refuse(s, k, "a number above 0", v);
    return decimal_can_divide(divisor) ||
           keyword_refuse(s, k, "a number of at most 18 significant digits", v);
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
            return keyword_refuse(s, k, "an integer from 0", v);
        count = INT64_MAX;
    }
    if (count < 0)
        return keyword_refuse(s, k, "an integer from 0", v);
    *(uint64_t *)(void *)((char *)rules + k->offset) = (uint64_t)count;
    return true;
}

bool keyword_string_count(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    return read_count(s, k, v, subschema_string(s));
}

bool keyword_array_count(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    return read_count(s, k, v, subschema_array(s));
}

bool keyword_object_count(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    return read_count(s, k, v, subschema_object(s));
}

bool keyword_unique(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    if (v->type != JSON_TRUE && v->type != JSON_FALSE)
        return keyword_refuse(s, k, "true or false", v);
    if (subschema_array(s) == NULL)
        return false;
    s->array->unique = v->type == JSON_TRUE;
    return true;
}

bool keyword_pattern(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    if (v->type != JSON_STRING)
        return keyword_refuse(s, k, "a string, a regular expression", v);
    if (subschema_string(s) == NULL)
        return false;
    s->string->pattern = subschema_pattern(s, s->node->place, k->name, v);
    return s->string->pattern != NULL;
}

bool keyword_format(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    if (v->type != JSON_STRING)
        return keyword_refuse(s, k, "a string, the name of a format", v);
    if (!s->c->options->assert_format && !s->source->dialect.assert_format)
        return true;
    struct bytes name = schema_string(s->json, v, &s->c->scratch);
    const struct format *format = name.data != NULL ? format_find(name) : NULL;
    if (format == NULL) /* one that is not known says nothing */
        return true;
    if (subschema_string(s) == NULL)
        return false;
    s->string->format = format;
    return true;
}
