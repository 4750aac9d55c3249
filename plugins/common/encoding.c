/* SPDX-License-Identifier: MIT */
/* UTF-8, Base64, and the escapes of JSON. */
#include "encoding.h"

#include <stdint.h>
#include <string.h>

/* What the second byte may be after a lead byte (RFC 3629, section 4). */
static bool second_fits(unsigned char lead, unsigned char second)
{
    unsigned char low = 0x80, high = 0xbf;
    if (lead == 0xe0)
        low = 0xa0; /* overlong */
    else if (lead == 0xed)
        high = 0x9f; /* surrogates */
    else if (lead == 0xf0)
        low = 0x90; /* overlong */
    else if (lead == 0xf4)
        high = 0x8f; /* above U+10FFFF */
    return second >= low && second <= high;
}

static size_t expected_size(unsigned char lead)
{
    if (lead < 0x80)
        return 1;
    if (lead < 0xc2 || lead > 0xf4)
        return 0;
    return lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/* How many of the bytes belong to one character that may be cut off. */
static size_t fitting(const unsigned char *s, size_t size, size_t expected)
{
    size_t at = 1;
    while (at < size && at < expected && (s[at] & 0xc0) == 0x80 &&
           (at > 1 || second_fits(s[0], s[1])))
        at++;
    return at;
}

size_t utf8_character(const char *data, size_t size)
{
    const unsigned char *s = (const unsigned char *)data;
    size_t expected = size > 0 ? expected_size(s[0]) : 0;
    return expected > 0 && expected <= size && fitting(s, size, expected) == expected ? expected
                                                                                      : 0;
}

size_t utf8_prefix(const char *data, size_t size)
{
    size_t at = 0;
    while (at < size) {
        size_t character =
            (unsigned char)data[at] < 0x80 ? 1 : utf8_character(data + at, size - at);
        if (character == 0)
            break;
        at += character;
    }
    return at;
}

bool utf8_unfinished(const char *rest, size_t size)
{
    const unsigned char *s = (const unsigned char *)rest;
    size_t expected = size > 0 ? expected_size(s[0]) : 0;
    return expected > size && fitting(s, size, expected) == size;
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(const void *data, size_t size, char *out)
{
    const unsigned char *s = data;
    for (; size >= 3; s += 3, size -= 3) {
        *out++ = alphabet[s[0] >> 2];
        *out++ = alphabet[(s[0] & 3) << 4 | s[1] >> 4];
        *out++ = alphabet[(s[1] & 15) << 2 | s[2] >> 6];
        *out++ = alphabet[s[2] & 63];
    }
    if (size == 0)
        return;
    unsigned char second = size == 2 ? s[1] : 0;
    *out++ = alphabet[s[0] >> 2];
    *out++ = alphabet[(s[0] & 3) << 4 | second >> 4];
    *out++ = size == 2 ? alphabet[(second & 15) << 2] : '=';
    *out = '=';
}

static int sextet(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_decode(const char *data, size_t size, char *out, size_t *decoded)
{
    *decoded = 0;
    if (size % 4 != 0)
        return false;
    for (size_t at = 0; at < size; at += 4) {
        bool last = at + 4 == size;
        size_t padding = last && data[at + 3] == '=' ? (data[at + 2] == '=' ? 2 : 1) : 0;
        uint32_t bits = 0;
        for (size_t i = 0; i < 4; i++) {
            int value = i >= 4 - padding ? 0 : sextet(data[at + i]);
            if (value < 0)
                return false;
            bits = bits << 6 | (uint32_t)value;
        }
        if ((bits & (padding == 2 ? 0xffffu : padding == 1 ? 0xffu : 0)) != 0)
            return false;
        for (size_t i = 0; i < 3 - padding; i++)
            out[(*decoded)++] = (char)(bits >> (16 - 8 * i) & 0xff);
    }
    return true;
}

/* Of "\uXXXX"; -1: it is none. */
static int32_t code_unit(const char *data, size_t size)
{
    int32_t number = 0;

    if (size < 6 || data[0] != '\\' || data[1] != 'u')
        return -1;
    for (int i = 2; i < 6; i++) {
        int digit = hex_digit(data[i]);
        if (digit < 0)
            return -1;
        number = number * 16 + digit;
    }
    return number;
}

static size_t put_character(char *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

static size_t unescape_unicode(const char *data, size_t size, char *out, size_t *used)
{
    int32_t high = code_unit(data, size);

    if (high < 0 || (high >= 0xdc00 && high < 0xe000))
        return 0;
    *used = 6;
    if (high < 0xd800 || high >= 0xe000)
        return put_character(out, (uint32_t)high);
    int32_t low = code_unit(data + 6, size - 6);
    if (low < 0xdc00 || low >= 0xe000)
        return 0;
    *used = 12;
    return put_character(out,
                         0x10000 + (((uint32_t)high - 0xd800) << 10) + ((uint32_t)low - 0xdc00));
}

size_t json_unescape(const char *data, size_t size, char *out, size_t *used)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";

    if (size < 2 || data[0] != '\\')
        return 0;
    if (data[1] == 'u')
        return unescape_unicode(data, size, out, used);
    const char *found = data[1] != '\0' ? strchr(from, data[1]) : NULL;
    if (found == NULL)
        return 0;
    *out = to[found - from];
    *used = 2;
    return 1;
}
