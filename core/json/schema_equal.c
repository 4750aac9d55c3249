/* SPDX-License-Identifier: MIT */
/* When JSON Schema calls two values equal: numbers by value, strings by their
 * characters, objects whatever the order of their members. */
#include <stdlib.h>

#include "json/json_text.h"
#include "json/schema_internal.h"

#define FEW 16 /* so many elements are compared each with each */

struct bytes schema_string(const struct json *json, const struct json_node *value,
                           struct arena *arena)
{
    return value->escaped ? json_string(json, value, arena) : json_inner(json->text.data, value);
}

static bool spend(uint64_t *left, uint64_t work)
{
    if (*left <= work) {
        *left = 0;
        return false;
    }
    *left -= work;
    return true;
}

uint32_t schema_member_count(const struct json_node *object)
{
    uint32_t count = object->count;
    const struct json_node *name = object + 1;
    if (object->repeated) {
        for (uint32_t i = 0; i < object->count; i++, name += 1 + name[1].span)
            count -= name->repeated;
    }
    return count;
}

/* ---- equality ---- */

static bool same_string(const struct json *a_json, const struct json_node *a,
                        const struct json *b_json, const struct json_node *b)
{
    return json_same_text(json_inner(a_json->text.data, a), a->escaped,
                          json_inner(b_json->text.data, b), b->escaped);
}

/* The value of the member with this name; looks first at `likely`, a name of the object. */
static const struct json_node *same_member(const struct json *a_json,
                                           const struct json_node *a_name,
                                           const struct json *b_json, const struct json_node *b,
                                           const struct json_node *likely, uint64_t *left)
{
    if (likely < b + b->span && !likely->repeated && same_string(a_json, a_name, b_json, likely))
        return likely + 1;
    const struct json_node *name = b + 1;
    for (uint32_t i = 0; i < b->count; i++, name += 1 + name[1].span) {
        if (!spend(left, 1))
            return NULL;
        if (!name->repeated && same_string(a_json, a_name, b_json, name))
            return name + 1;
    }
    return NULL;
}

static bool equal_objects(const struct json *a_json, const struct json_node *a,
                          const struct json *b_json, const struct json_node *b, uint64_t *left)
{
    if (schema_member_count(a) != schema_member_count(b))
        return false;
    const struct json_node *a_name = a + 1, *likely = b + 1;
    for (uint32_t i = 0; i < a->count; i++, a_name += 1 + a_name[1].span) {
        if (a_name->repeated)
            continue;
        const struct json_node *found = same_member(a_json, a_name, b_json, b, likely, left);
        if (found == NULL || !schema_equal(a_json, a_name + 1, b_json, found, left))
            return false;
        likely = found + found->span;
    }
    return true;
}

static bool equal_arrays(const struct json *a_json, const struct json_node *a,
                         const struct json *b_json, const struct json_node *b, uint64_t *left)
{
    if (a->count != b->count)
        return false;
    const struct json_node *x = a + 1, *y = b + 1;
    for (uint32_t i = 0; i < a->count; i++, x += x->span, y += y->span) {
        if (!schema_equal(a_json, x, b_json, y, left))
            return false;
    }
    return true;
}

bool schema_equal(const struct json *a_json, const struct json_node *a, const struct json *b_json,
                  const struct json_node *b, uint64_t *left)
{
    if (a->type != b->type || !spend(left, 1))
        return false;
    switch (a->type) {
    case JSON_NUMBER: {
        struct bytes x = json_raw(a_json, a), y = json_raw(b_json, b);
        if (bytes_equal(x, y))
            return true;
        struct decimal p = decimal_read(x), q = decimal_read(y);
        return decimal_compare(&p, &q) == 0;
    }
    case JSON_STRING:
        return same_string(a_json, a, b_json, b);
    case JSON_ARRAY:
        return equal_arrays(a_json, a, b_json, b, left);
    case JSON_OBJECT:
        return equal_objects(a_json, a, b_json, b, left);
    default:
        return true;
    }
}

/* ---- uniqueItems ---- */

static uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t pair[2] = {a, b};
    return bytes_hash((struct bytes){(const char *)pair, sizeof(pair)});
}

/* Equal for values that are equal. */
static uint64_t hash_value(const struct json *json, const struct json_node *value,
                           struct arena *arena)
{
    uint64_t hash = value->type;
    const struct json_node *child = value + 1;
    switch (value->type) {
    case JSON_NUMBER: {
        struct decimal d = decimal_read(json_raw(json, value));
        return decimal_hash(&d);
    }
    case JSON_STRING: {
        struct bytes text = schema_string(json, value, arena);
        return mix(hash, bytes_hash((struct bytes){text.data != NULL ? text.data : "", text.size}));
    }
    case JSON_ARRAY:
        for (uint32_t i = 0; i < value->count; i++, child += child->span)
            hash = mix(hash, hash_value(json, child, arena));
        return hash;
    case JSON_OBJECT:
        for (uint32_t i = 0; i < value->count; i++, child += 1 + child[1].span) {
            if (!child->repeated) /* a sum, as the order does not count */
                hash += mix(hash_value(json, child, arena), hash_value(json, child + 1, arena));
        }
        return mix(value->type, hash);
    default:
        return mix(hash, hash);
    }
}

struct element {
    uint64_t hash;
    const struct json_node *value;
    uint32_t index;
};

static int by_hash(const void *a, const void *b)
{
    const struct element *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

static bool repeats_few(const struct json *json, const struct json_node *array, uint64_t *left,
                        uint32_t *first, uint32_t *second)
{
    const struct json_node *seen[FEW], *element = array + 1;
    for (uint32_t i = 0; i < array->count; i++, element += element->span) {
        for (uint32_t j = 0; j < i; j++) {
            if (schema_equal(json, seen[j], json, element, left)) {
                *first = j;
                *second = i;
                return true;
            }
        }
        seen[i] = element;
    }
    return false;
}

bool schema_repeats(const struct json *json, const struct json_node *array, uint64_t *left,
                    struct arena *arena, uint32_t *first, uint32_t *second)
{
    if (array->count <= FEW)
        return repeats_few(json, array, left, first, second);
    if (!spend(left, array->span * (uint64_t)4))
        return false;
    struct element *elements = malloc(array->count * sizeof(*elements));
    if (elements == NULL) {
        *left = 0;
        return false;
    }
    const struct json_node *value = array + 1;
    for (uint32_t i = 0; i < array->count; i++, value += value->span)
        elements[i] = (struct element){hash_value(json, value, arena), value, i};
    qsort(elements, array->count, sizeof(*elements), by_hash);
    bool found = false;
    for (uint32_t i = 1; i < array->count && !found; i++) {
        const struct element *a = &elements[i - 1], *b = &elements[i];
        if (a->hash == b->hash && schema_equal(json, a->value, json, b->value, left)) {
            *first = a->index;
            *second = b->index;
            found = true;
        }
    }
    free(elements);
    return found;
}
