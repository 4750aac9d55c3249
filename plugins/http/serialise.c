/* SPDX-License-Identifier: MIT */
/* Values as OpenAPI's styles write them, which are those of RFC 6570. */
#include <string.h>

#include "http.h"

static const struct document_limits limits = {.values = 4000000, .depth = 128};

void plain_text(struct text *out, const struct value *value)
{
    if (value->kind == VALUE_ARRAY || value->kind == VALUE_OBJECT)
        value_write(out, value, &limits);
    else if (value->kind != VALUE_NULL)
        text_add(out, value->text, value->size);
}

/* How one parameter is written. */
struct writer {
    struct text *out;
    const struct parameter *parameter;
    bool first;
};

/* Of allowReserved stays what does not end the value, or change it. */
static void write_word(struct writer *writer, const char *data, size_t size)
{
    const struct parameter *p = writer->parameter;

    if (p->place == IN_HEADER)
        text_add(writer->out, data, size);
    else
        text_add_percent(writer->out, data, size,
                         p->segments   ? "/:@!$&'()*+,;="
                         : p->reserved ? ":/?@!$'()*,;="
                                       : "");
}

static void write_scalar(struct writer *writer, const struct value *value)
{
    struct text plain;

    text_init(&plain, (size_t)16 << 20);
    plain_text(&plain, value);
    write_word(writer, plain.data, plain.size);
    writer->out->failed = writer->out->failed || plain.failed;
    text_free(&plain);
}

static void write_name(struct writer *writer)
{
    const char *name = writer->parameter->name;

    text_add_percent(writer->out, name, strlen(name), "");
}

/* Between one piece and the next. */
static void separate(struct writer *writer, const char *separator)
{
    if (!writer->first)
        text_adds(writer->out, separator);
    writer->first = false;
}

/* All elements, or names and values, with something between them. */
static void write_list(struct writer *writer, const struct value *value, const char *separator,
                       const char *equals)
{
    bool is_object = value->kind == VALUE_OBJECT;

    writer->first = true;
    for (size_t i = 0; i < value->count; i++) {
        if (is_object && i % 2 == 1)
            text_adds(writer->out, equals);
        else
            separate(writer, separator);
        write_scalar(writer, value->items[i]);
    }
}

/* name=a&name=b, or a=1&b=2. */
static void write_exploded(struct writer *writer, const struct value *value, const char *separator)
{
    bool is_object = value->kind == VALUE_OBJECT;

    writer->first = true;
    for (size_t i = 0; i < value->count; i++) {
        if (is_object && i % 2 == 1) {
            text_adds(writer->out, "=");
        } else {
            separate(writer, separator);
            if (!is_object) {
                write_name(writer);
                text_adds(writer->out, "=");
            }
        }
        write_scalar(writer, value->items[i]);
    }
}

static void write_deep(struct writer *writer, const struct value *value, struct text *prefix,
                       int depth)
{
    if (depth > 16) {
        writer->out->failed = true;
        return;
    }
    if (value->kind != VALUE_OBJECT && value->kind != VALUE_ARRAY) {
        separate(writer, "&");
        text_add(writer->out, prefix->data, prefix->size);
        text_adds(writer->out, "=");
        write_scalar(writer, value);
        return;
    }
    size_t size = prefix->size;
    bool is_object = value->kind == VALUE_OBJECT;
    for (size_t i = is_object ? 1 : 0; i < value->count; i += is_object ? 2 : 1) {
        if (is_object) {
            const struct value *name = value->items[i - 1];
            text_adds(prefix, "[");
            text_add_percent(prefix, name->text, name->size, "");
            text_adds(prefix, "]");
        }
        write_deep(writer, value->items[i], prefix, depth + 1);
        text_cut(prefix, size);
    }
}

static void serialise_deep(struct writer *writer, const struct value *value)
{
    struct text prefix;

    text_init(&prefix, 65536);
    text_add_percent(&prefix, writer->parameter->name, strlen(writer->parameter->name), "");
    writer->first = true;
    write_deep(writer, value, &prefix, 0);
    text_free(&prefix);
}

/* In the path, behind "." or ";". */
static void serialise_path(struct writer *writer, const struct value *value, bool many)
{
    const struct parameter *p = writer->parameter;
    bool matrix = p->style == STYLE_MATRIX;

    text_adds(writer->out, matrix ? ";" : ".");
    if (matrix && (!many || !p->explode)) {
        write_name(writer);
        if (many || value->size > 0)
            text_adds(writer->out, "=");
    }
    if (!many)
        write_scalar(writer, value);
    else if (matrix && p->explode)
        write_exploded(writer, value, ";");
    else
        write_list(writer, value, p->explode ? "." : ",", p->explode ? "=" : ",");
}

void serialise(struct text *out, const struct parameter *parameter, const struct value *value)
{
    struct writer writer = {.out = out, .parameter = parameter};
    bool many = !parameter->json && (value->kind == VALUE_ARRAY || value->kind == VALUE_OBJECT);
    bool named = parameter->place == IN_QUERY || parameter->place == IN_COOKIE;
    const char *separator = parameter->style == STYLE_SPACE  ? "%20"
                            : parameter->style == STYLE_PIPE ? "%7C"
                                                             : ",";

    if (parameter->style == STYLE_LABEL || parameter->style == STYLE_MATRIX) {
        serialise_path(&writer, value, many);
    } else if (many && parameter->style == STYLE_DEEP) {
        serialise_deep(&writer, value);
    } else if (many && named && parameter->explode) {
        write_exploded(&writer, value, parameter->place == IN_COOKIE ? "; " : "&");
    } else {
        if (named) {
            write_name(&writer);
            text_adds(out, "=");
        }
        if (many)
            write_list(&writer, value, separator, !named && parameter->explode ? "=" : separator);
        else
            write_scalar(&writer, value);
    }
}
