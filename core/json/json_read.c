/* SPDX-License-Identifier: MIT */
/* Reading an index that json_parse has made. */
#include <stdlib.h>

#include "json/json.h"
#include "json/json_decimal.h"
#include "json/json_text.h"

struct bytes json_raw(const struct json *json, const struct json_node *value)
{
    return (struct bytes){json->text.data + value->start, value->end - value->start};
}

const struct json_node *json_first(const struct json_node *container)
{
    return container != NULL && container->count > 0 ? container + 1 : NULL;
}

const struct json_node *json_next(const struct json_node *value, const struct json_node *end)
{
    const struct json_node *next = value + value->span;
    return next < end ? next : NULL;
}

static bool string_is(const struct json *json, const struct json_node *string, struct bytes text)
{
    return json_same_text(json_inner(json->text.data, string), string->escaped, text, false);
}

const struct json_node *json_get_bytes(const struct json *json, const struct json_node *object,
                                       struct bytes name)
{
    if (object == NULL || object->type != JSON_OBJECT)
        return NULL;
    const struct json_node *member = object + 1;
    for (uint32_t i = 0; i < object->count; i++) {
        if (!member->repeated && string_is(json, member, name))
            return member + 1;
        member += 1 + member[1].span;
    }
    return NULL;
}

const struct json_node *json_get(const struct json *json, const struct json_node *object,
                                 const char *name)
{
    return json_get_bytes(json, object, bytes_of(name));
}

bool json_is(const struct json *json, const struct json_node *value, const char *text)
{
    return value != NULL && value->type == JSON_STRING && string_is(json, value, bytes_of(text));
}

/* ---- JSON Pointer ---- */

/* The element whose index is written in `token`: digits, without a leading zero. */
static const struct json_node *element_at(const struct json_node *array, struct bytes token)
{
    uint64_t index = 0;
    if (token.size == 0 || token.size > 10 || (token.size > 1 && token.data[0] == '0'))
        return NULL;
    for (size_t i = 0; i < token.size; i++) {
        if (token.data[i] < '0' || token.data[i] > '9')
            return NULL;
        index = index * 10 + (uint64_t)(token.data[i] - '0');
    }
    if (index >= array->count)
        return NULL;
    const struct json_node *element = array + 1;
    for (; index > 0; index--)
        element += element->span;
    return element;
}

/* The member that `token`, in which ~0 is a tilde and ~1 a slash, names. */
static const struct json_node *member_at(const struct json *json, const struct json_node *object,
                                         struct bytes token)
{
    if (memchr(token.data, '~', token.size) == NULL)
        return json_get_bytes(json, object, token);
    char *name = malloc(token.size);
    if (name == NULL)
        return NULL;
    const struct json_node *found = NULL;
    size_t size = 0, at = 0;
    while (at < token.size) {
        char c = token.data[at++];
        if (c == '~') {
            char code = at < token.size ? token.data[at++] : '\0';
            if (code != '0' && code != '1')
                goto out;
            c = code == '0' ? '~' : '/';
        }
        name[size++] = c;
    }
    found = json_get_bytes(json, object, (struct bytes){name, size});
out:
    free(name);
    return found;
}

const struct json_node *json_at(const struct json *json, const struct json_node *from,
                                const char *pointer)
{
    const struct json_node *value = from;
    while (value != NULL && *pointer != '\0') {
        if (*pointer != '/')
            return NULL;
        pointer++;
        struct bytes token = {pointer, strcspn(pointer, "/")};
        pointer += token.size;
        if (value->type == JSON_ARRAY)
            value = element_at(value, token);
        else
            value = member_at(json, value, token); /* NULL for a scalar */
    }
    return value;
}

/* ---- strings ---- */

struct bytes json_string(const struct json *json, const struct json_node *value,
                         struct arena *arena)
{
    if (value == NULL || value->type != JSON_STRING)
        return (struct bytes){NULL, 0};
    struct bytes inner = json_inner(json->text.data, value);
    if (!value->escaped)
        return inner;
    char *decoded = arena_alloc(arena, inner.size);
    if (decoded == NULL)
        return (struct bytes){NULL, 0};
    size_t size = json_decode(inner, decoded);
    arena_resize(arena, decoded, inner.size, size);
    return (struct bytes){decoded, size};
}

const char *json_cstring(const struct json *json, const struct json_node *value,
                         struct arena *arena)
{
    if (value == NULL || value->type != JSON_STRING)
        return NULL;
    struct bytes inner = json_inner(json->text.data, value);
    if (!value->escaped)
        return arena_copy(arena, inner).data; /* a bare NUL byte is never accepted */
    char *decoded = arena_alloc(arena, inner.size + 1);
    if (decoded == NULL)
        return NULL;
    size_t size = json_decode(inner, decoded);
    decoded[size] = '\0';
    return memchr(decoded, '\0', size) == NULL ? decoded : NULL;
}

/* ---- numbers ---- */

bool json_int64(const struct json *json, const struct json_node *value, int64_t *out)
{
    if (value == NULL || value->type != JSON_NUMBER)
        return false;
    struct decimal d = decimal_read(json_raw(json, value));
    return decimal_int64(&d, out);
}
