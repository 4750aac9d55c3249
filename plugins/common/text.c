/* SPDX-License-Identifier: MIT */
/* The growing text, and JSON into it. */
#include "text.h"

#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoding.h"

void text_init(struct text *t, size_t max)
{
    *t = (struct text){.max = max};
}

void text_free(struct text *t)
{
    free(t->data);
    text_init(t, t->max);
}

void text_cut(struct text *t, size_t size)
{
    t->failed = false;
    t->size = size;
    if (t->data != NULL)
        t->data[size] = '\0';
}

/* Room for `more` bytes and a NUL. */
static bool reserve(struct text *t, size_t more)
{
    if (t->failed)
        return false;
    if (more > t->max - t->size) {
        t->failed = true;
        return false;
    }
    size_t needed = t->size + more + 1;
    if (needed <= t->capacity)
        return true;
    size_t capacity = t->capacity < 128 ? 256 : t->capacity * 2;
    if (capacity < needed)
        capacity = needed;
    char *data = realloc(t->data, capacity);
    if (data == NULL) {
        t->failed = true;
        return false;
    }
    t->data = data;
    t->capacity = capacity;
    return true;
}

void text_add(struct text *t, const char *data, size_t size)
{
    if (!reserve(t, size))
        return;
    if (size > 0)
        memcpy(t->data + t->size, data, size);
    t->size += size;
    t->data[t->size] = '\0';
}

void text_adds(struct text *t, const char *nul_terminated)
{
    text_add(t, nul_terminated, strlen(nul_terminated));
}

void text_addf(struct text *t, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, arguments);
    if (size >= 0 && reserve(t, (size_t)size)) {
        vsnprintf(t->data + t->size, (size_t)size + 1, format, again);
        t->size += (size_t)size;
    } else {
        t->failed = true;
    }
    va_end(again);
    va_end(arguments);
}

static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

void text_add_utf8(struct text *t, const char *data, size_t size)
{
    while (size > 0 && !t->failed) {
        size_t done = utf8_prefix(data, size);
        text_add(t, data, done);
        if (done < size) {
            text_adds(t, replacement);
            done++;
        }
        data += done;
        size -= done;
    }
}

static void add_escape(struct text *t, unsigned char c)
{
    switch (c) {
    case '"':
        text_add(t, "\\\"", 2);
        return;
    case '\\':
        text_add(t, "\\\\", 2);
        return;
    case '\n':
        text_add(t, "\\n", 2);
        return;
    case '\r':
        text_add(t, "\\r", 2);
        return;
    case '\t':
        text_add(t, "\\t", 2);
        return;
    default:
        text_addf(t, "\\u%04x", c);
    }
}

/* How many bytes from the front stand for themselves in a JSON string. */
static size_t plain_prefix(const char *data, size_t size)
{
    size_t at = 0;
    while (at < size && (unsigned char)data[at] >= 0x20 && (unsigned char)data[at] < 0x80 &&
           data[at] != '"' && data[at] != '\\' && data[at] != 0x7f)
        at++;
    return at;
}

void text_add_string(struct text *t, const char *data, size_t size)
{
    text_add(t, "\"", 1);
    while (size > 0 && !t->failed) {
        size_t done = plain_prefix(data, size);
        text_add(t, data, done);
        if (done < size && (unsigned char)data[done] < 0x80) {
            add_escape(t, (unsigned char)data[done]);
            done++;
        } else if (done < size) {
            size_t character = utf8_character(data + done, size - done);
            if (character > 0)
                text_add(t, data + done, character);
            else
                text_adds(t, replacement);
            done += character > 0 ? character : 1;
        }
        data += done;
        size -= done;
    }
    text_add(t, "\"", 1);
}

void text_add_real(struct text *t, double number)
{
    char digits[40];
    /* Decimals of up to 15 digits all survive as doubles, but for the smallest ones. */
    for (int precision = fabs(number) < DBL_MIN ? 1 : 15; precision <= 17; precision++) {
        snprintf(digits, sizeof(digits), "%.*g", precision, number);
        if (strtod(digits, NULL) == number)
            break;
    }
    text_adds(t, digits);
    if (strpbrk(digits, ".e") == NULL)
        text_adds(t, ".0");
}

void text_add_base64(struct text *t, const void *data, size_t size)
{
    size_t encoded = base64_size(size);
    if (encoded < size || !reserve(t, encoded)) {
        t->failed = true;
        return;
    }
    base64_encode(data, size, t->data + t->size);
    t->size += encoded;
    t->data[t->size] = '\0';
}

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

void text_add_percent(struct text *t, const char *data, size_t size, const char *others)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)data[i];
        const char escape[3] = {'%', digits[c >> 4], digits[c & 15]};
        if (is_unreserved(data[i]) || (c != '\0' && strchr(others, data[i]) != NULL))
            text_add(t, &data[i], 1);
        else
            text_add(t, escape, sizeof(escape));
    }
}

bool text_add_unescaped(struct text *t, const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        char c = data[i];
        if (c == '%') {
            int high = i + 2 < size ? hex_digit(data[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(data[i + 2]) : -1;
            if (low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        }
        text_add(t, &c, 1);
    }
    return true;
}
