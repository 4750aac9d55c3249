/* SPDX-License-Identifier: MIT */
/* One spelling for equal values: what two clients write differently and mean the
 * same is the same text here, and so has the same digest. */
#include <stdlib.h>

#include "json/json.h"
#include "json/json_decimal.h"

struct member {
    struct bytes name; /* decoded */
    const struct json_node *value;
};

static int by_name(const void *a, const void *b)
{
    struct bytes x = ((const struct member *)a)->name, y = ((const struct member *)b)->name;
    size_t size = x.size < y.size ? x.size : y.size;
    int order = size > 0 ? memcmp(x.data, y.data, size) : 0;

    return order != 0 ? order : (x.size > y.size) - (x.size < y.size);
}

/* 100, 1e2 and 100.0 are 1e2: the digits between the first and the last that are
 * not 0, and the power of ten of the last. */
static void write_number(struct buf *out, struct bytes text)
{
    struct decimal number = decimal_read(text);

    if (number.size == 0) {
        BUF_LIT(out, "0");
        return;
    }
    if (number.negative)
        BUF_LIT(out, "-");
    for (uint32_t i = 0; i < number.size; i++)
        if (number.digits[i] != '.')
            buf_add_char(out, number.digits[i]);
    buf_addf(out, "e%lld", (long long)number.low);
}

static bool write_value(struct buf *out, const struct json *json, const struct json_node *value,
                        struct arena *scratch);

static bool write_object(struct buf *out, const struct json *json, const struct json_node *object,
                         struct arena *scratch)
{
    struct member *members = arena_calloc(scratch, object->count + 1, sizeof *members);
    const struct json_node *end = object + object->span;
    size_t count = 0;

    if (members == NULL)
        return false;
    for (const struct json_node *name = json_first(object); name != NULL;
         name = json_next(name + 1, end)) {
        members[count] = (struct member){json_string(json, name, scratch), name + 1};
        if (members[count++].name.data == NULL)
            return false;
    }
    qsort(members, count, sizeof *members, by_name);
    BUF_LIT(out, "{");
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            BUF_LIT(out, ",");
        json_write_string(out, members[i].name);
        BUF_LIT(out, ":");
        if (!write_value(out, json, members[i].value, scratch))
            return false;
    }
    BUF_LIT(out, "}");
    return true;
}

static bool write_array(struct buf *out, const struct json *json, const struct json_node *array,
                        struct arena *scratch)
{
    const struct json_node *end = array + array->span;

    BUF_LIT(out, "[");
    for (const struct json_node *item = json_first(array); item != NULL;
         item = json_next(item, end)) {
        if (item != array + 1)
            BUF_LIT(out, ",");
        if (!write_value(out, json, item, scratch))
            return false;
    }
    BUF_LIT(out, "]");
    return true;
}

/* As deep as the parser let it be. */
static bool write_value(struct buf *out, const struct json *json, const struct json_node *value,
                        struct arena *scratch)
{
    struct bytes text;

    switch (value->type) {
    case JSON_OBJECT:
        return write_object(out, json, value, scratch);
    case JSON_ARRAY:
        return write_array(out, json, value, scratch);
    case JSON_STRING:
        text = json_string(json, value, scratch);
        json_write_string(out, text);
        return text.data != NULL;
    case JSON_NUMBER:
        write_number(out, json_raw(json, value));
        return true;
    default:
        buf_add_bytes(out, json_raw(json, value));
        return true;
    }
}

bool json_write_canonical(struct buf *out, const struct json *json, const struct json_node *value,
                          struct arena *scratch)
{
    return write_value(out, json, value, scratch) && !out->failed;
}
