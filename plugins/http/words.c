/* SPDX-License-Identifier: MIT */
/* Small things that the readers of documents share. */
#include <string.h>

#include "operation.h"

const char *keep(struct api *api, const char *data, size_t size)
{
    char *copy = document_take(&api->memory, size + 1);

    if (copy == NULL)
        return NULL;
    if (size > 0)
        memcpy(copy, data, size);
    copy[size] = '\0';
    return copy;
}

static bool is_legal(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
}

void legal_name(char out[65], const char *data, size_t size)
{
    size_t used = 0;

    for (size_t i = 0; i < size && used < 64; i++) {
        bool legal = is_legal(data[i]);
        if (legal || (used > 0 && out[used - 1] != '_'))
            out[used++] = legal ? data[i] : '_';
    }
    while (used > 1 && out[used - 1] == '_' && !is_legal(data[size - 1]))
        used--;
    if (used == 0)
        out[used++] = '_';
    out[used] = '\0';
}

const char *member_string(const struct value *object, const char *name)
{
    const struct value *value = value_member(object, name);

    return value_is(value, VALUE_STRING) ? value->text : NULL;
}

bool member_true(const struct value *object, const char *name)
{
    const struct value *value = value_member(object, name);

    return value_is(value, VALUE_BOOLEAN) && value->text[0] == 't';
}

void api_free(struct api *api)
{
    document_free(&api->memory);
    *api = (struct api){.count = 0};
}
