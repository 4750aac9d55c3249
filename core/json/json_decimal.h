/* SPDX-License-Identifier: MIT */
/* Numbers by their decimal digits, so that 2^53 + 1 and 0.1 are what they say; for the
 * files of this folder alone. Allocates nothing; any thread. */
#ifndef JSON_DECIMAL_H
#define JSON_DECIMAL_H

#include "base/bytes.h"

/* A number as it was written: no digit is lost. */
struct decimal {
    struct bytes text; /* the whole of it */
    const char *digits; /* from the first to the last digit that is not 0; maybe with a '.' */
    uint32_t size; /* 0 for zero */
    bool negative;
    bool small; /* written as an integer of at most 18 digits: its value is `integer` */
    int64_t integer;
    int64_t top, low; /* the powers of ten of the first and the last digit */
};

/* `text` is a number that json_parse has accepted, and must stay. */
struct decimal decimal_read(struct bytes text);
int decimal_compare(const struct decimal *a, const struct decimal *b);
bool decimal_is_integer(const struct decimal *d);
/* False when it is no integer or does not fit. */
bool decimal_int64(const struct decimal *d, int64_t *out);
/* `divisor` has at most 18 significant digits and is above 0. */
bool decimal_is_multiple(const struct decimal *value, const struct decimal *divisor);
bool decimal_can_divide(const struct decimal *divisor);
/* Equal for numbers that are equal; keyed as bytes_hash is. */
uint64_t decimal_hash(const struct decimal *d);

#endif
