/* SPDX-License-Identifier: MIT */
/* UTF-8 (RFC 3629). */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/bytes.h"

/* True when all of it is well-formed UTF-8: no overlong forms, no surrogates,
 * nothing above U+10FFFF. */
bool utf8_valid(struct bytes text);

/* The length of the longest well-formed prefix. */
size_t utf8_valid_prefix(struct bytes text);

/* The length of the longest prefix made of well-formed characters outside ASCII
 * (for scanners that treat ASCII themselves). */
size_t utf8_multibyte_prefix(struct bytes text);

/* Writes one code point (a Unicode scalar value) to out[4]; returns 1 to 4. */
size_t utf8_encode(uint32_t code_point, char out[4]);

#endif
