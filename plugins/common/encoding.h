/* SPDX-License-Identifier: MIT */
/* UTF-8 (RFC 3629), Base64 (RFC 4648, section 4), hexadecimal digits and the escapes of
 * JSON, for the bundled plugins. */
#ifndef PLUGINS_ENCODING_H
#define PLUGINS_ENCODING_H

#include <stdbool.h>
#include <stddef.h>

/* The length of the well-formed character at the front, 1 to 4; 0 if there is none. */
size_t utf8_character(const char *data, size_t size);
/* The length of the longest well-formed prefix. */
size_t utf8_prefix(const char *data, size_t size);
/* True when the rest, which is where utf8_prefix stopped, is the beginning of a
 * character that further bytes may complete. */
bool utf8_unfinished(const char *rest, size_t size);

/* The size of `size` bytes in Base64. */
static inline size_t base64_size(size_t size)
{
    return (size + 2) / 3 * 4;
}
/* Writes base64_size(size) characters, no NUL. */
void base64_encode(const void *data, size_t size, char *out);
/* Strict: padding required, no white space, zero trailing bits. Writes at most
 * size / 4 * 3 bytes to out, *decoded of them; false when it is not Base64. */
bool base64_decode(const char *data, size_t size, char *out, size_t *decoded);

/* 0 to 15, in either case; -1: it is none. */
static inline int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* What the escape of a JSON string at `data` stands for, in UTF-8: returns its size, 1 to 4,
 * and sets *used to that of the escape, or of the two of a surrogate pair. 0: it is none. */
size_t json_unescape(const char *data, size_t size, char *out, size_t *used);

#endif
