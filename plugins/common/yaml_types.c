/* SPDX-License-Identifier: MIT */
/* The core schema of YAML 1.2 (10.3.2): which plain scalars are null, booleans and
 * numbers, and what these are in JSON. */
#include "document.h"

#include <inttypes.h>
#include <string.h>

static bool is_one_of(const char *data, size_t size, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strlen(*words) == size && memcmp(*words, data, size) == 0)
            return true;
    return false;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t digits(const char *data, size_t size, size_t at)
{
    while (at < size && is_digit(data[at]))
        at++;
    return at;
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )? : and where its
 * parts end. */
struct decimal {
    bool negative;
    size_t whole, point, fraction, end; /* offsets: whole part, behind it, behind the fraction */
};

static bool read_decimal(const char *data, size_t size, struct decimal *d)
{
    size_t at = size > 0 && (data[0] == '-' || data[0] == '+') ? 1 : 0;

    *d = (struct decimal){.negative = size > 0 && data[0] == '-', .whole = at, .end = size};
    d->point = digits(data, size, at);
    d->fraction = d->point;
    if (d->point < size && data[d->point] == '.')
        d->fraction = digits(data, size, d->point + 1);
    bool any = d->point > d->whole || d->fraction > d->point + 1;
    at = d->fraction;
    if (any && at < size && (data[at] == 'e' || data[at] == 'E')) {
        at++;
        if (at < size && (data[at] == '-' || data[at] == '+'))
            at++;
        size_t end = digits(data, size, at);
        any = end > at;
        at = end;
    }
    return any && at == size;
}

/* JSON wants a digit on both sides of the point, and no zeros in front. */
static void write_decimal(struct text *json, const char *data, const struct decimal *d)
{
    size_t whole = d->whole;

    while (whole + 1 < d->point && data[whole] == '0')
        whole++;
    text_adds(json, d->negative ? "-" : "");
    if (whole == d->point)
        text_adds(json, "0");
    text_add(json, data + whole, d->point - whole);
    if (d->fraction > d->point) {
        text_add(json, data + d->point, d->fraction - d->point);
        if (d->fraction == d->point + 1)
            text_adds(json, "0");
    }
    text_add(json, data + d->fraction, d->end - d->fraction);
}

static int digit_of(char c)
{
    if (is_digit(c))
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
}

/* 0o17 and 0x1F. False: it is none. */
static bool write_based(struct text *json, const char *data, size_t size, const char **fault)
{
    if (size < 3 || data[0] != '0' || (data[1] != 'o' && data[1] != 'x'))
        return false;
    uint64_t base = data[1] == 'o' ? 8 : 16, value = 0;
    bool fits = true;
    for (size_t i = 2; i < size; i++) {
        uint64_t digit = (uint64_t)digit_of(data[i]);
        if (digit >= base)
            return false;
        fits = fits && value <= (UINT64_MAX - digit) / base;
        value = value * base + digit;
    }
    if (!fits)
        *fault = "a number in base 8 or 16 is larger than 64 bits";
    text_addf(json, "%" PRIu64, value);
    return true;
}

enum value_kind scalar_kind(const char *data, size_t size, struct text *json, const char **fault)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const truths[] = {"true", "True", "TRUE", NULL};
    static const char *const lies[] = {"false", "False", "FALSE", NULL};
    static const char *const none[] = {".inf",  ".Inf",  ".INF", "+.inf", "+.Inf", "+.INF", "-.inf",
                                       "-.Inf", "-.INF", ".nan", ".NaN",  ".NAN",  NULL};
    struct decimal d;

    if (is_one_of(data, size, nulls))
        return VALUE_NULL;
    bool truth = is_one_of(data, size, truths);
    if (truth || is_one_of(data, size, lies)) {
        text_adds(json, truth ? "true" : "false");
        return VALUE_BOOLEAN;
    }
    if (is_one_of(data, size, none)) {
        *fault = "JSON has no infinite numbers, and none that are no numbers";
        return VALUE_NUMBER;
    }
    if (read_decimal(data, size, &d)) {
        write_decimal(json, data, &d);
        return VALUE_NUMBER;
    }
    return write_based(json, data, size, fault) ? VALUE_NUMBER : VALUE_STRING;
}
