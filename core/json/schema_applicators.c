/* SPDX-License-Identifier: MIT */
/* The keywords that hold subschemas, and those that name members. */
#include <stdlib.h>

#include "json/schema_compiler.h"

/* ---- subschemas ---- */

static struct schema_node *read_subschema(struct subschema *s, const struct keyword *keyword,
                                          const struct json_node *value, struct bytes name,
                                          int64_t index)
{
    struct where where = {
        .json = s->json, .object = value, .source = s->source, .depth = s->depth + 1};
    where.place = place_new(s->c, s->node->place, keyword->name, name, index);
    return where.place != NULL ? compiler_compile(s->c, &where) : NULL;
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

bool keyword_for_value(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    return read_one(s, k, v, at_offset(subschema_value(s), k->offset));
}

bool keyword_for_array(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    return read_one(s, k, v, at_offset(subschema_array(s), k->offset));
}

bool keyword_for_object(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    return read_one(s, k, v, at_offset(subschema_object(s), k->offset));
}

/* Compiled, as a reference may lead there, but never applied. */
bool keyword_aside(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    const struct schema_node *unused;
    return read_one(s, k, v, &unused);
}

static bool read_array_of(struct subschema *s, const struct keyword *k, const struct json_node *v,
                          const struct schema_node ***out, uint32_t *count)
{
    if (v->type != JSON_ARRAY || v->count == 0)
        return keyword_refuse(s, k, "an array of at least one schema", v);
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

bool keyword_list(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    if (subschema_value(s) == NULL)
        return false;
    struct node_list *list = (struct node_list *)((char *)s->value + k->offset);
    return read_array_of(s, k, v, &list->nodes, &list->count);
}

bool keyword_prefix(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    return subschema_array(s) != NULL &&
           read_array_of(s, k, v, &s->array->prefix, &s->array->prefixes);
}

/* draft-07: one schema for all elements, or one for each. */
bool keyword_items_7(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    if (v->type != JSON_ARRAY)
        return keyword_for_array(s, k, v);
    if (v->count == 0)
        return subschema_array(s) != NULL;
    return keyword_prefix(s, k, v);
}

bool keyword_items(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    if (v->type == JSON_ARRAY)
        return compiler_refuse(s->c, s->node->place, k->name,
                               "expected a schema, got an array; since 2020-12 a schema for each "
                               "element stands in \"prefixItems\"");
    return keyword_for_array(s, k, v);
}

/* Only means something beside an array in "items". */
bool keyword_additional_items(struct subschema *s, const struct keyword *k,
                              const struct json_node *v)
{
    const struct json_node *items = json_get(s->json, s->object, "items");
    if (items != NULL && items->type == JSON_ARRAY)
        return keyword_for_array(s, k, v);
    return keyword_aside(s, k, v);
}

/* ---- members of objects ---- */

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

bool keyword_properties(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    if (v->type != JSON_OBJECT)
        return keyword_refuse(s, k, "an object of schemas", v);
    if (subschema_object(s) == NULL)
        return false;
    for (const struct json_node *n = keyword_next_member(v, NULL); n != NULL;
         n = keyword_next_member(v, n)) {
        struct bytes name = subschema_copy_string(s, n);
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
        return keyword_refuse(s, k, "an array of names", v);
    const struct json_node *element = v + 1;
    for (uint32_t i = 0; i < v->count; i++, element += element->span) {
        if (element->type != JSON_STRING)
            return keyword_refuse(s, k, "an array of names, all strings", element);
    }
    return true;
}

bool keyword_required(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    if (!check_names(s, k, v) || subschema_object(s) == NULL)
        return false;
    for (uint32_t i = 0; i < v->count; i++) {
        struct bytes name = subschema_copy_string(s, v + 1 + i);
        if (name.data == NULL || !add_member(s, name, NULL, true))
            return false;
    }
    return true;
}

bool keyword_pattern_properties(struct subschema *s, const struct keyword *k,
                                const struct json_node *v)
{
    if (v->type != JSON_OBJECT)
        return keyword_refuse(s, k, "an object of schemas", v);
    if (subschema_object(s) == NULL)
        return false;
    s->patterns = compiler_alloc(s->c, v->count, sizeof(*s->patterns));
    s->object_rules->patterns = s->patterns;
    if (s->patterns == NULL)
        return false;
    for (const struct json_node *n = keyword_next_member(v, NULL); n != NULL;
         n = keyword_next_member(v, n)) {
        struct bytes name = subschema_copy_string(s, n);
        if (name.data == NULL)
            return false;
        const struct schema_node *node = read_subschema(s, k, n + 1, name, -1);
        const struct pattern *pattern =
            node != NULL ? subschema_pattern(s, node->place, NULL, n) : NULL;
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
    if (subschema_object(s) == NULL)
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
        names[i] = subschema_copy_string(s, v + 1 + i);
        if (names[i].data == NULL)
            return false;
    }
    dependency->required = names;
    dependency->requires = v->count;
    return true;
}

/* Arrays of names and schemas: "dependencies" has both, the others one of them. */
bool keyword_dependencies(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    bool names = strcmp(k->name, "dependentRequired") == 0;
    bool either = strcmp(k->name, "dependencies") == 0;
    if (v->type != JSON_OBJECT)
        return keyword_refuse(s, k, "an object", v);
    if (!reserve_dependencies(s))
        return false;
    for (const struct json_node *n = keyword_next_member(v, NULL); n != NULL;
         n = keyword_next_member(v, n)) {
        struct dependency dependency = {.name = subschema_copy_string(s, n), .keyword = k->name};
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
bool keyword_definitions(struct subschema *s, const struct keyword *k, const struct json_node *v)
{
    if (v->type != JSON_OBJECT)
        return keyword_refuse(s, k, "an object of schemas", v);
    for (const struct json_node *n = keyword_next_member(v, NULL); n != NULL;
         n = keyword_next_member(v, n)) {
        struct bytes name = subschema_copy_string(s, n);
        if (name.data == NULL || read_subschema(s, k, n + 1, name, -1) == NULL)
            return false;
    }
    return true;
}

/* ---- all members ---- */

static int by_name(const void *a, const void *b)
{
    const struct member_rule *x = a, *y = b;
    if (x->name.size != y->name.size)
        return x->name.size < y->name.size ? -1 : 1;
    return x->name.size > 0 ? memcmp(x->name.data, y->name.data, x->name.size) : 0;
}

/* Sorts the members and makes one of those that are in both "properties" and
 * "required". */
void members_finish(struct subschema *s)
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
