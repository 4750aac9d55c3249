/* SPDX-License-Identifier: MIT */
/* JSON (RFC 8259) into values: strict, in UTF-8, without a name that is there twice. */
#include "document.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoding.h"

struct reader {
    struct document *document;
    const struct document_limits *limits;
    const char *at, *end;
    const char *data;
    unsigned values;
    struct value **stack; /* items of the collections that are open */
    size_t used, capacity;
};

static struct value *refuse(struct reader *reader, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static struct value *refuse(struct reader *reader, const char *format, ...)
{
    struct document *document = reader->document;
    va_list arguments;

    if (document->fault[0] != '\0')
        return NULL; /* the first one counts */
    va_start(arguments, format);
    vsnprintf(document->fault, sizeof(document->fault), format, arguments);
    va_end(arguments);
    document->line = 1;
    for (const char *c = reader->data; c < reader->at; c++)
        document->line += *c == '\n';
    return NULL;
}

static void skip_space(struct reader *reader)
{
    while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\t' ||
                                        *reader->at == '\n' || *reader->at == '\r'))
        reader->at++;
}

static bool accept(struct reader *reader, char c)
{
    skip_space(reader);
    if (reader->at == reader->end || *reader->at != c)
        return false;
    reader->at++;
    return true;
}

static struct value *new_value(struct reader *reader, enum value_kind kind)
{
    if (++reader->values > reader->limits->values)
        return refuse(reader, "it has too many values");
    struct value *value = document_take(reader->document, sizeof(*value));
    if (value == NULL)
        return refuse(reader, "out of memory");
    *value = (struct value){.kind = kind};
    return value;
}

static struct value *set_text(struct reader *reader, struct value *value, const char *data,
                              size_t size)
{
    value->text = document_take(reader->document, size + 1);
    if (value->text == NULL)
        return refuse(reader, "out of memory");
    memcpy(value->text, data, size);
    value->text[size] = '\0';
    value->size = size;
    return value;
}

/* ---- strings ---- */

/* Behind the opening quote. */
static const char *end_of_string(const struct reader *reader)
{
    const char *at = reader->at;

    while (at < reader->end && *at != '"' && (unsigned char)*at >= 0x20)
        at += *at == '\\' && at + 1 < reader->end ? 2 : 1;
    return at < reader->end && *at == '"' ? at : NULL;
}

static struct value *read_string(struct reader *reader)
{
    struct value *value = new_value(reader, VALUE_STRING);
    const char *end = end_of_string(reader);

    if (value == NULL || end == NULL)
        return refuse(reader, "a string does not end, or has a control character in it");
    value->text = document_take(reader->document, (size_t)(end - reader->at) + 1);
    if (value->text == NULL)
        return refuse(reader, "out of memory");
    while (reader->at < end) {
        const char *stop = memchr(reader->at, '\\', (size_t)(end - reader->at));
        size_t size = (size_t)((stop != NULL ? stop : end) - reader->at);
        if (utf8_prefix(reader->at, size) != size)
            return refuse(reader, "a string is not UTF-8");
        memcpy(value->text + value->size, reader->at, size);
        value->size += size;
        reader->at += size;
        if (reader->at == end)
            break;
        size_t written = json_unescape(reader->at, (size_t)(reader->end - reader->at),
                                       value->text + value->size, &size);
        if (written == 0)
            return refuse(reader, "an escape in a string is none of JSON's");
        reader->at += size;
        value->size += written;
    }
    value->text[value->size] = '\0';
    reader->at = end + 1;
    return value;
}

/* ---- numbers and words ---- */

static const char *digits(const struct reader *reader, const char *at)
{
    while (at < reader->end && *at >= '0' && *at <= '9')
        at++;
    return at;
}

static struct value *read_number(struct reader *reader)
{
    const char *start = reader->at, *at = start, *end = reader->end, *from;

    if (*at == '-')
        at++;
    from = at;
    at = digits(reader, at);
    bool good = at > from && (*from != '0' || at == from + 1);
    if (good && at < end && *at == '.') {
        from = at + 1;
        at = digits(reader, from);
        good = at > from;
    }
    if (good && at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        from = at;
        at = digits(reader, at);
        good = at > from;
    }
    if (!good)
        return refuse(reader, "expected a value");
    struct value *value = new_value(reader, VALUE_NUMBER);
    reader->at = at;
    return value != NULL ? set_text(reader, value, start, (size_t)(at - start)) : NULL;
}

static struct value *read_word(struct reader *reader)
{
    static const struct {
        const char *word;
        enum value_kind kind;
    } words[] = {{"null", VALUE_NULL}, {"true", VALUE_BOOLEAN}, {"false", VALUE_BOOLEAN}};
    size_t left = (size_t)(reader->end - reader->at);

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t size = strlen(words[i].word);
        if (left < size || memcmp(reader->at, words[i].word, size) != 0)
            continue;
        reader->at += size;
        struct value *value = new_value(reader, words[i].kind);
        return value != NULL ? set_text(reader, value, words[i].word, size) : NULL;
    }
    return read_number(reader);
}

/* ---- collections ---- */

static struct value *read_value(struct reader *reader, int depth);

static bool push(struct reader *reader, struct value *item)
{
    if (item == NULL)
        return false;
    if (reader->used == reader->capacity) {
        size_t capacity = reader->capacity == 0 ? 64 : reader->capacity * 2;
        struct value **stack = realloc(reader->stack, capacity * sizeof(struct value *));
        if (stack == NULL)
            return refuse(reader, "out of memory") != NULL;
        reader->stack = stack;
        reader->capacity = capacity;
    }
    reader->stack[reader->used++] = item;
    return true;
}

/* One element, or a name and its value. */
static bool read_item(struct reader *reader, bool is_object, int depth)
{
    if (is_object) {
        if (!accept(reader, '"'))
            return refuse(reader, "expected a name in quotes") != NULL;
        if (!push(reader, read_string(reader)))
            return false;
        if (!accept(reader, ':'))
            return refuse(reader, "expected ':' after a name") != NULL;
    }
    return push(reader, read_value(reader, depth + 1));
}

static struct value *read_collection(struct reader *reader, bool is_object, int depth)
{
    struct value *value = new_value(reader, is_object ? VALUE_OBJECT : VALUE_ARRAY);
    size_t base = reader->used;
    char close = is_object ? '}' : ']';

    if (value == NULL)
        return NULL;
    if (depth >= reader->limits->depth)
        return refuse(reader, "it is nested more than %d deep", reader->limits->depth);
    if (!accept(reader, close)) {
        do {
            if (!read_item(reader, is_object, depth))
                return NULL;
        } while (accept(reader, ','));
        if (!accept(reader, close))
            return refuse(reader, "expected ',' or '%c'", close);
    }
    value->count = reader->used - base;
    if (value->count > 0) {
        value->items = document_take(reader->document, value->count * sizeof(struct value *));
        if (value->items == NULL)
            return refuse(reader, "out of memory");
        memcpy(value->items, reader->stack + base, value->count * sizeof(struct value *));
    }
    reader->used = base;
    const struct value *twice = is_object ? value_complete(reader->document, value) : NULL;
    return twice == NULL ? value : refuse(reader, "the name %.60s is there twice", twice->text);
}

static struct value *read_value(struct reader *reader, int depth)
{
    skip_space(reader);
    if (reader->at == reader->end)
        return refuse(reader, "it ends too early");
    char c = *reader->at;
    if (c != '{' && c != '[' && c != '"')
        return read_word(reader);
    reader->at++;
    return c == '"' ? read_string(reader) : read_collection(reader, c == '{', depth);
}

bool document_read_json(struct document *document, const char *data, size_t size,
                        const struct document_limits *limits)
{
    struct reader reader = {.document = document, .limits = limits, .data = data, .at = data};

    *document = (struct document){.root = NULL};
    if (size == 0) {
        refuse(&reader, "it is empty");
        return false;
    }
    reader.end = data + size;
    document->root = read_value(&reader, 0);
    skip_space(&reader);
    if (document->root != NULL && reader.at < reader.end)
        document->root = refuse(&reader, "there is more behind the value");
    free(reader.stack);
    return document->root != NULL;
}
