/* SPDX-License-Identifier: MIT */
/* PostgreSQL's values, in the text form that it writes, as JSON. */
#include "postgres.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "encoding.h"

#define DIMENSIONS_MAX 6 /* as PostgreSQL's MAXDIM */

/* {"$name":"text"} */
static void add_special(struct text *json, const char *name, const char *data, size_t size)
{
    text_addf(json, "{\"$%s\":", name);
    text_add_string(json, data, size);
    text_adds(json, "}");
}

/* A database in SQL_ASCII may hold what is no UTF-8. */
static void add_text(struct text *json, const char *data, size_t size)
{
    if (utf8_prefix(data, size) == size) {
        text_add_string(json, data, size);
        return;
    }
    text_adds(json, "{\"$base64\":\"");
    text_add_base64(json, data, size);
    text_adds(json, "\"}");
}

/* With a ".0" behind whole numbers, so that it stays a real. */
static void add_real(struct text *json, const char *data, size_t size)
{
    if (strpbrk(data, "Nn") != NULL) { /* NaN, Infinity, -Infinity */
        add_special(json, "float", data, size);
        return;
    }
    text_add(json, data, size);
    if (memchr(data, '.', size) == NULL && memchr(data, 'e', size) == NULL)
        text_adds(json, ".0");
}

/* "0a0b". How many bytes it is; -1: it is no such text. */
static ptrdiff_t decode_hex(const char *data, size_t size, char *out)
{
    for (size_t i = 0; i + 1 < size; i += 2) {
        int high = hex_digit(data[i]), low = hex_digit(data[i + 1]);
        if (high < 0 || low < 0)
            return -1;
        out[i / 2] = (char)(high * 16 + low);
    }
    return size % 2 == 0 ? (ptrdiff_t)(size / 2) : -1;
}

/* "a\\b\000". How many bytes it is; -1: it is no such text. */
static ptrdiff_t decode_escapes(const char *data, size_t size, char *out)
{
    size_t count = 0;
    for (size_t i = 0; i < size; count++) {
        const char *c = data + i;
        if (c[0] != '\\') {
            out[count] = c[0];
            i++;
        } else if (size - i >= 2 && c[1] == '\\') {
            out[count] = '\\';
            i += 2;
        } else if (size - i >= 4 && c[1] >= '0' && c[1] <= '3' && c[2] >= '0' && c[2] <= '7' &&
                   c[3] >= '0' && c[3] <= '7') {
            out[count] = (char)((c[1] - '0') * 64 + (c[2] - '0') * 8 + (c[3] - '0'));
            i += 4;
        } else {
            return -1;
        }
    }
    return (ptrdiff_t)count;
}

/* "\x0a0b", or with escapes if the query has set bytea_output so; in those no \ stands before
 * an x. */
static void add_bytes(struct text *json, const char *data, size_t size)
{
    char *bytes = malloc(size + 1);
    if (bytes == NULL) {
        json->failed = true;
        return;
    }
    bool hex = size >= 2 && data[0] == '\\' && data[1] == 'x';
    ptrdiff_t count =
        hex ? decode_hex(data + 2, size - 2, bytes) : decode_escapes(data, size, bytes);
    if (count < 0) {
        add_text(json, data, size);
    } else {
        text_adds(json, "{\"$base64\":\"");
        text_add_base64(json, bytes, (size_t)count);
        text_adds(json, "\"}");
    }
    free(bytes);
}

/* Of everything but an array; `data` ends with a NUL. */
static void add_scalar(struct text *json, enum type_kind kind, const char *data, size_t size)
{
    switch (kind) {
    case TYPE_INTEGER:
        text_add(json, data, size);
        break;
    case TYPE_REAL:
        add_real(json, data, size);
        break;
    case TYPE_BOOLEAN:
        text_adds(json, data[0] == 't' ? "true" : "false");
        break;
    case TYPE_BYTES:
        add_bytes(json, data, size);
        break;
    case TYPE_JSON:
        if (json_embeddable(data, size) && utf8_prefix(data, size) == size)
            text_add(json, data, size);
        else
            add_special(json, "json", data, size);
        break;
    default:
        add_text(json, data, size);
    }
}

/* {1,2,NULL}, {{"a,b",c},{d,"e\"f"}}: read once, from left to right. */
struct array_reader {
    const char *at, *end;
    char delimiter;
    enum type_kind element;
    struct text word; /* an element, without its quotes and backslashes */
};

/* An element. False: that is none. */
static bool add_element(struct array_reader *r, struct text *json)
{
    bool quoted = *r->at == '"';
    text_cut(&r->word, 0);
    text_adds(&r->word, ""); /* so that there is a NUL */
    r->at += quoted;
    while (r->at < r->end &&
           (quoted ? *r->at != '"' : *r->at != r->delimiter && *r->at != '}' && *r->at != '{')) {
        if (*r->at == '\\' && ++r->at == r->end)
            return false;
        text_add(&r->word, r->at++, 1);
    }
    if (r->at == r->end || r->word.failed)
        return false;
    r->at += quoted;
    if (!quoted && r->word.size == 0)
        return false;
    if (!quoted && strcasecmp(r->word.data, "NULL") == 0)
        text_adds(json, "null");
    else
        add_scalar(json, r->element, r->word.data, r->word.size);
    return true;
}

static bool add_elements(struct array_reader *r, struct text *json, int depth)
{
    if (depth == DIMENSIONS_MAX || r->at == r->end || *r->at != '{')
        return false;
    r->at++;
    text_adds(json, "[");
    while (r->at < r->end && *r->at != '}') {
        if (!(*r->at == '{' ? add_elements(r, json, depth + 1) : add_element(r, json)))
            return false;
        if (r->at < r->end && *r->at == r->delimiter) {
            r->at++;
            text_adds(json, ",");
        } else if (r->at == r->end || *r->at != '}') {
            return false;
        }
    }
    if (r->at == r->end)
        return false;
    r->at++;
    text_adds(json, "]");
    return true;
}

/* One whose bounds do not begin at 1 ("[0:1]={1,2}") is no JSON array. */
static void add_array(struct text *json, const struct type *type, const char *data, size_t size)
{
    size_t start = json->size;
    struct array_reader r = {data, data + size, type->delimiter, type->element, {0}};
    if (json->failed)
        return;
    text_init(&r.word, size + 1);
    if (!add_elements(&r, json, 0) || r.at != r.end) {
        if (!json->failed) {
            text_cut(json, start);
            add_special(json, "array", data, size);
        }
    }
    text_free(&r.word);
}

void value_add(struct text *json, const struct type *type, const char *data, size_t size)
{
    if (type->kind == TYPE_ARRAY)
        add_array(json, type, data, size);
    else
        add_scalar(json, type->kind, data, size);
}
