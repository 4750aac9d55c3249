/* SPDX-License-Identifier: MIT */
/* The keywords of a schema: which there are, and who reads them. */
#include <stddef.h>

#include "json/schema_compiler.h"

enum drafts { BOTH, ONLY_7, ONLY_2020 };

/* ---- core ---- */

static bool keyword_reference(struct subschema *s, const struct keyword *k,
                              const struct json_node *v)
{
    struct compiler *c = s->c;
    if (v->type != JSON_STRING)
        return keyword_refuse(s, k, "a string, a reference", v);
    struct pending *pending = arena_alloc(&c->scratch, sizeof(*pending));
    struct bytes reference = json_string(s->json, v, &c->scratch);
    if (pending == NULL || reference.data == NULL)
        return compiler_no_memory(c);
    if (subschema_value(s) == NULL)
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

static bool keyword_anchor(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    if (v->type != JSON_STRING)
        return keyword_refuse(s, k, "a string, a name", v);
    struct bytes name = schema_string(s->json, v, &s->c->scratch);
    if (name.data == NULL)
        return compiler_no_memory(s->c);
    return source_anchor(s, k->name, name, strcmp(k->name, "$dynamicAnchor") == 0);
}

/* The URI of "$id" has been seen to; in draft-07 its fragment is an anchor. */
static bool keyword_id(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    struct bytes fragment, id = json_string(s->json, v, &s->c->scratch);
    if (id.data == NULL)
        return keyword_refuse(s, k, "a string, a URI", v);
    uri_split(id, &fragment);
    return fragment.size == 0 || source_anchor(s, k->name, fragment, false);
}

static bool keyword_text(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    return v->type == JSON_STRING || keyword_refuse(s, k, "a string", v);
}

/* Sorted. What is not here means nothing (annotations among it). */
static const struct keyword keywords[] = {
    {"$anchor", CORE, ONLY_2020, keyword_anchor, 0},
    {"$comment", CORE, BOTH, keyword_text, 0},
    {"$defs", CORE, BOTH, keyword_definitions, 0},
    {"$dynamicAnchor", CORE, ONLY_2020, keyword_anchor, 0},
    {"$dynamicRef", CORE, ONLY_2020, keyword_reference, 0},
    {"$id", CORE, BOTH, keyword_id, 0},
    {"$ref", CORE, BOTH, keyword_reference, 0},
    {"additionalItems", APPLICATOR, ONLY_7, keyword_additional_items,
     offsetof(struct array_rules, items)},
    {"additionalProperties", APPLICATOR, BOTH, keyword_for_object,
     offsetof(struct object_rules, additional)},
    {"allOf", APPLICATOR, BOTH, keyword_list, offsetof(struct value_rules, all)},
    {"anyOf", APPLICATOR, BOTH, keyword_list, offsetof(struct value_rules, any)},
    {"const", VALIDATION, BOTH, keyword_constant, 0},
    {"contains", APPLICATOR, BOTH, keyword_for_array, offsetof(struct array_rules, contains)},
    {"contentSchema", CORE, ONLY_2020, keyword_aside, 0},
    {"definitions", CORE, BOTH, keyword_definitions, 0},
    {"dependencies", APPLICATOR, BOTH, keyword_dependencies, 0},
    {"dependentRequired", VALIDATION, ONLY_2020, keyword_dependencies, 0},
    {"dependentSchemas", APPLICATOR, ONLY_2020, keyword_dependencies, 0},
    {"else", APPLICATOR, BOTH, keyword_for_value, offsetof(struct value_rules, otherwise)},
    {"enum", VALIDATION, BOTH, keyword_enum, 0},
    {"exclusiveMaximum", VALIDATION, BOTH, keyword_bound, offsetof(struct number_rules, below)},
    {"exclusiveMinimum", VALIDATION, BOTH, keyword_bound, offsetof(struct number_rules, above)},
    {"format", FORMAT, BOTH, keyword_format, 0},
    {"if", APPLICATOR, BOTH, keyword_for_value, offsetof(struct value_rules, condition)},
    {"items", APPLICATOR, ONLY_7, keyword_items_7, offsetof(struct array_rules, items)},
    {"items", APPLICATOR, ONLY_2020, keyword_items, offsetof(struct array_rules, items)},
    {"maxContains", VALIDATION, ONLY_2020, keyword_array_count,
     offsetof(struct array_rules, max_contains)},
    {"maxItems", VALIDATION, BOTH, keyword_array_count, offsetof(struct array_rules, max)},
    {"maxLength", VALIDATION, BOTH, keyword_string_count, offsetof(struct string_rules, max)},
    {"maxProperties", VALIDATION, BOTH, keyword_object_count, offsetof(struct object_rules, max)},
    {"maximum", VALIDATION, BOTH, keyword_bound, offsetof(struct number_rules, maximum)},
    {"minContains", VALIDATION, ONLY_2020, keyword_array_count,
     offsetof(struct array_rules, min_contains)},
    {"minItems", VALIDATION, BOTH, keyword_array_count, offsetof(struct array_rules, min)},
    {"minLength", VALIDATION, BOTH, keyword_string_count, offsetof(struct string_rules, min)},
    {"minProperties", VALIDATION, BOTH, keyword_object_count, offsetof(struct object_rules, min)},
    {"minimum", VALIDATION, BOTH, keyword_bound, offsetof(struct number_rules, minimum)},
    {"multipleOf", VALIDATION, BOTH, keyword_multiple, offsetof(struct number_rules, multiple)},
    {"not", APPLICATOR, BOTH, keyword_for_value, offsetof(struct value_rules, not )},
    {"oneOf", APPLICATOR, BOTH, keyword_list, offsetof(struct value_rules, one)},
    {"pattern", VALIDATION, BOTH, keyword_pattern, 0},
    {"patternProperties", APPLICATOR, BOTH, keyword_pattern_properties, 0},
    {"prefixItems", APPLICATOR, ONLY_2020, keyword_prefix, 0},
    {"properties", APPLICATOR, BOTH, keyword_properties, 0},
    {"propertyNames", APPLICATOR, BOTH, keyword_for_object, offsetof(struct object_rules, names)},
    {"required", VALIDATION, BOTH, keyword_required, 0},
    {"then", APPLICATOR, BOTH, keyword_for_value, offsetof(struct value_rules, then)},
    {"type", VALIDATION, BOTH, keyword_type, 0},
    {"unevaluatedItems", UNEVALUATED, ONLY_2020, keyword_for_array,
     offsetof(struct array_rules, unevaluated)},
    {"unevaluatedProperties", UNEVALUATED, ONLY_2020, keyword_for_object,
     offsetof(struct object_rules, unevaluated)},
    {"uniqueItems", VALIDATION, BOTH, keyword_unique, 0}};

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
    return strcmp(keyword->name, "$ref") != 0 && keyword->read != keyword_definitions;
}

/* ---- all of them ---- */

bool keywords_read(struct subschema *s)
{
    for (const struct json_node *n = keyword_next_member(s->object, NULL); n != NULL;
         n = keyword_next_member(s->object, n)) {
        struct bytes name = schema_string(s->json, n, &s->c->scratch);
        if (name.data == NULL)
            return compiler_no_memory(s->c);
        const struct keyword *keyword = find_keyword(&s->source->dialect, name);
        if (keyword != NULL && !hidden_by_ref(s, keyword) && !keyword->read(s, keyword, n + 1))
            return false;
    }
    if (s->members != NULL)
        members_finish(s);
    return true;
}
