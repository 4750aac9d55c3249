/* SPDX-License-Identifier: MIT */
/* Reading, comparing and dividing decimal numbers. */
#include "json/json_decimal.h"

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

static bool read_small(struct bytes text, struct decimal *d)
{
    bool negative = text.data[0] == '-';
    const char *s = text.data + negative, *end = text.data + text.size;
    if (end - s > 18)
        return false;
    int64_t value = 0;
    for (const char *c = s; c < end; c++) {
        if (!is_digit(*c))
            return false;
        value = value * 10 + (*c - '0');
    }
    d->small = true;
    d->integer = negative ? -value : value;
    d->negative = negative && value != 0;
    return true;
}

struct decimal decimal_read(struct bytes text)
{
    struct decimal d = {.text = text};
    bool small = read_small(text, &d);
    bool negative = text.data[0] == '-';
    const char *s = text.data + negative, *end = text.data + text.size;
    const char *first = NULL, *last = NULL, *point = NULL, *c = s;
    for (; c < end && (is_digit(*c) || *c == '.'); c++) {
        if (*c == '.') {
            point = c;
        } else if (*c != '0') {
            first = first != NULL ? first : c;
            last = c;
        }
    }
    if (first == NULL)
        return (struct decimal){.text = text, .small = small};
    if (point == NULL)
        point = c;
    int64_t exponent = c < end ? read_exponent(c + 1, end) : 0;
    d.negative = negative;
    d.digits = first;
    d.size = (uint32_t)(last - first) + 1;
    /* The digit before the point is that of 10^0, the one behind it of 10^-1. */
    d.top = exponent + (first < point ? point - first - 1 : point - first);
    d.low = exponent + (last < point ? point - last - 1 : point - last);
    return d;
}

/* The next digit, 0 when there are no more. */
static int next_digit(const char **s, const char *end)
{
    if (*s < end && **s == '.')
        (*s)++;
    return *s < end ? *(*s)++ - '0' : 0;
}

static int compare_magnitude(const struct decimal *a, const struct decimal *b)
{
    if (a->top != b->top)
        return a->top < b->top ? -1 : 1;
    const char *s = a->digits, *t = b->digits;
    const char *s_end = s + a->size, *t_end = t + b->size;
    while (s < s_end || t < t_end) {
        int x = next_digit(&s, s_end), y = next_digit(&t, t_end);
        if (x != y)
            return x < y ? -1 : 1;
    }
    return 0;
}

static int sign(const struct decimal *d)
{
    if (d->size == 0)
        return 0;
    return d->negative ? -1 : 1;
}

int decimal_compare(const struct decimal *a, const struct decimal *b)
{
    if (a->small && b->small)
        return (a->integer > b->integer) - (a->integer < b->integer);
    int x = sign(a), y = sign(b);
    if (x != y)
        return x < y ? -1 : 1;
    return x == 0 ? 0 : x * compare_magnitude(a, b);
}

bool decimal_is_integer(const struct decimal *d)
{
    return d->small || d->size == 0 || d->low >= 0;
}

/* The digits as an integer; there are at most 19. */
static uint64_t digits_value(const struct decimal *d)
{
    uint64_t value = 0;
    for (uint32_t i = 0; i < d->size; i++) {
        if (d->digits[i] != '.')
            value = value * 10 + (uint64_t)(d->digits[i] - '0');
    }
    return value;
}

bool decimal_int64(const struct decimal *d, int64_t *out)
{
    if (d->small) {
        *out = d->integer;
        return true;
    }
    if (!decimal_is_integer(d) || d->top > 18)
        return false;
    /* Below 10^19, which 64 bits without a sign hold. */
    uint64_t value = digits_value(d);
    for (int64_t power = d->low; power > 0 && value > 0; power--)
        value *= 10;
    if (value > (uint64_t)INT64_MAX + d->negative)
        return false;
    *out = d->negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

/* ---- multiples ---- */

__extension__ typedef unsigned __int128 wide;

/* The digits as an integer, modulo `modulus`. */
static uint64_t digits_modulo(const struct decimal *d, uint64_t modulus)
{
    uint64_t rest = 0;
    for (uint32_t i = 0; i < d->size; i++) {
        if (d->digits[i] != '.')
            rest = (uint64_t)(((wide)rest * 10 + (unsigned)(d->digits[i] - '0')) % modulus);
    }
    return rest;
}

static uint64_t power_of_ten_modulo(uint64_t exponent, uint64_t modulus)
{
    wide result = 1 % modulus, base = 10 % modulus;
    for (; exponent > 0; exponent >>= 1) {
        if (exponent & 1)
            result = result * base % modulus;
        base = base * base % modulus;
    }
    return (uint64_t)result;
}

bool decimal_can_divide(const struct decimal *divisor)
{
    uint32_t digits = divisor->size;
    if (digits > 1 && memchr(divisor->digits, '.', digits) != NULL)
        digits--;
    return digits > 0 && digits <= 18 && !divisor->negative;
}

/* With V and D the digits as integers, neither ends in 0: V * 10^v is a multiple
 * of D * 10^d when v >= d and D divides V * 10^(v - d). For v < d it would need
 * to divide V by a 10 that is not in it. */
bool decimal_is_multiple(const struct decimal *value, const struct decimal *divisor)
{
    if (value->size == 0)
        return true;
    if (value->low < divisor->low)
        return false;
    uint64_t modulus = digits_value(divisor);
    if (modulus == 0) /* decimal_can_divide has seen to it that it is not */
        return false;
    wide rest = digits_modulo(value, modulus);
    rest *= power_of_ten_modulo((uint64_t)(value->low - divisor->low), modulus);
    return rest % modulus == 0;
}

uint64_t decimal_hash(const struct decimal *d)
{
    uint64_t key[4] = {(uint64_t)(sign(d) + 1), 0, 0, 0};
    if (d->size > 0) {
        key[1] = (uint64_t)d->top;
        key[2] = digits_modulo(d, UINT64_C(0xffffffffffffffc5));
        key[3] = digits_modulo(d, UINT64_C(0x7fffffffffffffe7));
    }
    return bytes_hash((struct bytes){(const char *)key, sizeof(key)});
}
