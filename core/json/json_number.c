/* SPDX-License-Identifier: MIT */
/* Numbers: read from their digits, without a detour through double where it would
 * lose some. */
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "json/json.h"

/* ---- integers ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The exponent behind the 'e', held within what no text's digits can make up for. */
static int64_t read_exponent(const char *s, const char *end)
{
    const int64_t huge = INT64_C(1) << 40;
    bool negative = *s == '-';
    int64_t exponent = 0;
    for (s += *s == '-' || *s == '+'; s < end; s++) {
        if (exponent < huge)
            exponent = exponent * 10 + (*s - '0');
    }
    return negative ? -exponent : exponent;
}

/* A number without its sign as value * 10^scale, value not divisible by 10. */
struct decimal {
    uint64_t value;
    int64_t scale;
};

/* False when it has more than 19 significant digits. Such a number is no integer, or is one
 * above INT64_MAX: its last digit is not 0. */
static bool read_decimal(const char *s, const char *end, struct decimal *d)
{
    int64_t zeros = 0; /* not yet part of value */
    int digits = 0;
    bool fraction = false;
    *d = (struct decimal){0, 0};
    for (; s < end && (is_digit(*s) || *s == '.'); s++) {
        if (*s == '.') {
            fraction = true;
            continue;
        }
        d->scale -= fraction;
        if (*s == '0') {
            zeros++;
            continue;
        }
        if (digits == 0)
            zeros = 0; /* leading ones */
        if (zeros >= 19 - digits)
            return false;
        digits += (int)zeros + 1;
        for (; zeros > 0; zeros--)
            d->value *= 10;
        d->value = d->value * 10 + (uint64_t)(*s - '0');
    }
    d->scale += zeros;
    if (s < end) /* an 'e' */
        d->scale += read_exponent(s + 1, end);
    return true;
}

bool json_int64(const struct json *json, const struct json_node *value, int64_t *out)
{
    if (value == NULL || value->type != JSON_NUMBER)
        return false;
    struct bytes raw = json_raw(json, value);
    bool negative = raw.data[0] == '-';
    struct decimal d;
    if (!read_decimal(raw.data + negative, raw.data + raw.size, &d))
        return false;
    if (d.value == 0)
        d.scale = 0;
    if (d.scale < 0)
        return false;
    for (; d.scale > 0; d.scale--) {
        if (d.value > UINT64_MAX / 10)
            return false;
        d.value *= 10;
    }
    uint64_t largest = (uint64_t)INT64_MAX + negative;
    if (d.value > largest)
        return false;
    *out = negative ? (int64_t)(0 - d.value) : (int64_t)d.value;
    return true;
}

/* ---- doubles ---- */

/* Numbers in JSON have a point, whatever setlocale(3) a plugin may have called: strtod and
 * printf are used in the "C" locale, set for this thread alone. */
static locale_t enter_c_locale(void)
{
    /* For "C", glibc and musl hand out a constant: nothing to free or to fail. */
    return uselocale(newlocale(LC_ALL_MASK, "C", (locale_t)0));
}

static void leave_c_locale(locale_t before)
{
    uselocale(before);
}

bool json_double(const struct json *json, const struct json_node *value, double *out)
{
    if (value == NULL || value->type != JSON_NUMBER)
        return false;
    /* strtod wants a NUL behind the number. */
    struct bytes raw = json_raw(json, value);
    char few[64];
    char *copy = raw.size < sizeof(few) ? few : malloc(raw.size + 1);
    if (copy == NULL)
        return false;
    memcpy(copy, raw.data, raw.size);
    copy[raw.size] = '\0';
    locale_t before = enter_c_locale();
    double number = strtod(copy, NULL);
    leave_c_locale(before);
    if (copy != few)
        free(copy);
    if (!isfinite(number))
        return false;
    *out = number;
    return true;
}

void json_write_double(struct buf *out, double number)
{
    if (!isfinite(number)) {
        BUF_LIT(out, "null");
        return;
    }
    char text[32];
    locale_t before = enter_c_locale();
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, number);
        if (digits == 17 || strtod(text, NULL) == number)
            break;
    }
    leave_c_locale(before);
    buf_add_bytes(out, bytes_of(text));
}
