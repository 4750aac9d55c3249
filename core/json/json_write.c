/* SPDX-License-Identifier: MIT */
/* Writing JSON. */
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "json/json.h"
#include "json/json_text.h"

/* The character at the front of `rest`, which cannot stand for itself; returns
 * how many bytes of it are done. */
static size_t write_special(struct buf *out, struct bytes rest)
{
    unsigned char c = (unsigned char)rest.data[0];
    if (c >= 0x80) {
        size_t size = utf8_multibyte_prefix(rest);
        if (size > 0) {
            buf_add(out, rest.data, size);
            return size;
        }
        BUF_LIT(out, "\xef\xbf\xbd"); /* U+FFFD */
        return 1;
    }
    static const char special[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const char *found = c != '\0' ? strchr(special, c) : NULL;
    if (found != NULL) {
        char escape[2] = {'\\', letters[found - special]};
        buf_add(out, escape, sizeof(escape));
    } else {
        static const char digits[] = "0123456789abcdef";
        char escape[6] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 0xf]};
        buf_add(out, escape, sizeof(escape));
    }
    return 1;
}

void json_write_string(struct buf *out, struct bytes text)
{
    if (text.size < SIZE_MAX - 2)
        buf_reserve(out, text.size + 2);
    buf_add_char(out, '"');
    while (text.size > 0 && !out->failed) {
        size_t size = json_plain_prefix(text.data, text.size);
        buf_add(out, text.data, size);
        if (size < text.size) {
            struct bytes rest = {text.data + size, text.size - size};
            size += write_special(out, rest);
        }
        text.data += size;
        text.size -= size;
    }
    buf_add_char(out, '"');
}

void json_write_double(struct buf *out, double number)
{
    if (!isfinite(number)) {
        BUF_LIT(out, "null");
        return;
    }
    char text[32];
    /* Numbers in JSON have a point, whatever setlocale(3) a plugin may have called: so
     * "C", for this thread alone. glibc and musl hand out a constant for it: nothing to
     * free or to fail. */
    locale_t before = uselocale(newlocale(LC_ALL_MASK, "C", (locale_t)0));
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, number);
        if (digits == 17 || strtod(text, NULL) == number)
            break;
    }
    uselocale(before);
    buf_add_bytes(out, bytes_of(text));
}

/* ---- compact ---- */

static const char *skip_comment(const char *s, const char *end)
{
    if (s[1] == '/') {
        const char *newline = memchr(s, '\n', (size_t)(end - s));
        return newline != NULL ? newline : end;
    }
    return (const char *)memmem(s + 2, (size_t)(end - s) - 2, "*/", 2) + 2;
}

/* What stands between two tokens: punctuation, and white space and comments, which are
 * left out. */
static void write_between(struct buf *out, const char *s, const char *end)
{
    while (s < end) {
        if (*s == '/') {
            s = skip_comment(s, end);
            continue;
        }
        if (*s != ' ' && *s != '\n' && *s != '\t' && *s != '\r')
            buf_add_char(out, *s);
        s++;
    }
}

void json_write_compact(struct buf *out, const struct json *json, const struct json_node *value)
{
    const char *text = json->text.data;
    const char *written = text + value->start; /* up to here */
    const struct json_node *end = value + value->span;
    const struct json_node *node = value;
    while (node < end && !out->failed) {
        write_between(out, written, text + node->start);
        if (node->type == JSON_STRING && node->repeated) {
            /* A member that does not count; another one follows it for sure. */
            node += 1 + node[1].span;
            written = text + node->start;
            continue;
        }
        /* Of a container only the bracket; its content comes as further nodes. */
        bool container = node->type == JSON_ARRAY || node->type == JSON_OBJECT;
        size_t size = container ? 1 : node->end - node->start;
        buf_add(out, text + node->start, size);
        written = text + node->start + size;
        node++;
    }
    if (!out->failed) /* else the rest holds strings, and what looks like comments in them */
        write_between(out, written, text + value->end);
}

/* ---- for people ---- */

#define SHOWN 60 /* bytes of a scalar */

void json_write_shown(struct buf *out, const struct json *json, const struct json_node *value)
{
    if (value->type == JSON_OBJECT || value->type == JSON_ARRAY) {
        buf_add_bytes(out, value->type == JSON_OBJECT ? BYTES("an object") : BYTES("an array"));
        return;
    }
    struct bytes raw = json_raw(json, value);
    bool cut = raw.size > SHOWN;
    if (cut) {
        raw.size = SHOWN;
        raw.size = utf8_valid_prefix(raw);
    }
    buf_add_bytes(out, raw);
    if (cut)
        BUF_LIT(out, "...");
}
