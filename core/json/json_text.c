/* SPDX-License-Identifier: MIT */
/* Scanning and decoding of the insides of strings. */
#include "json/json_text.h"

#include "base/utf8.h"

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define ONES UINT64_C(0x0101010101010101)
#define TOPS UINT64_C(0x8080808080808080)

/* The top bit of each byte that is not plain. A borrow can set the bit of a byte
 * wrongly, but only behind one that is set rightly: the lowest is always right. */
static inline uint64_t not_plain(uint64_t eight)
{
    uint64_t quote = eight ^ (ONES * '"');
    uint64_t backslash = eight ^ (ONES * '\\');
    uint64_t low = (eight - ONES * 0x20) | (quote - ONES) | (backslash - ONES);
    return (low | eight) & TOPS;
}
#endif

size_t json_plain_prefix(const char *text, size_t size)
{
    size_t at = 0;
#ifdef ONES
    for (; size - at >= 8; at += 8) {
        uint64_t eight;
        memcpy(&eight, text + at, 8);
        uint64_t found = not_plain(eight);
        if (found != 0)
            return at + (size_t)__builtin_ctzll(found) / 8;
    }
#endif
    while (at < size && is_plain((unsigned char)text[at]))
        at++;
    return at;
}

static unsigned hex(char c)
{
    unsigned u = (unsigned char)c;
    return u <= '9' ? u - '0' : (u | 0x20) - 'a' + 10;
}

/* The four digits of "\uXXXX". */
static uint32_t code_unit(const char *escape)
{
    return hex(escape[2]) << 12 | hex(escape[3]) << 8 | hex(escape[4]) << 4 | hex(escape[5]);
}

/* Decodes the escape at `s`; returns its length in the text. */
static size_t decode_escape(const char *s, char out[4], size_t *decoded)
{
    static const char letters[] = "bfnrt", controls[] = "\b\f\n\r\t";
    if (s[1] != 'u') {
        const char *letter = strchr(letters, s[1]);
        out[0] = letter != NULL ? controls[letter - letters] : s[1];
        *decoded = 1;
        return 2;
    }
    uint32_t unit = code_unit(s);
    if (unit < 0xd800 || unit > 0xdfff) {
        *decoded = utf8_encode(unit, out);
        return 6;
    }
    uint32_t low = code_unit(s + 6);
    *decoded = utf8_encode(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00), out);
    return 12;
}

size_t json_decode(struct bytes inner, char *out)
{
    const char *s = inner.data, *end = inner.data + inner.size;
    char *o = out;
    while (s < end) {
        const char *backslash = memchr(s, '\\', (size_t)(end - s));
        size_t plain = (size_t)((backslash != NULL ? backslash : end) - s);
        memmove(o, s, plain);
        o += plain;
        s += plain;
        if (s < end) {
            size_t decoded;
            char character[4];
            s += decode_escape(s, character, &decoded);
            memcpy(o, character, decoded);
            o += decoded;
        }
    }
    return (size_t)(o - out);
}

/* Takes one character, decoded, from the front of `rest`; returns its size. */
static size_t take(struct bytes *rest, bool escaped, char out[4])
{
    unsigned char lead = (unsigned char)rest->data[0];
    size_t taken, decoded;
    if (escaped && lead == '\\') {
        taken = decode_escape(rest->data, out, &decoded);
    } else {
        taken = lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
        if (taken > rest->size) /* not from an accepted text */
            taken = rest->size;
        memcpy(out, rest->data, taken);
        decoded = taken;
    }
    rest->data += taken;
    rest->size -= taken;
    return decoded;
}

bool json_same_text(struct bytes a, bool a_escaped, struct bytes b, bool b_escaped)
{
    if (!a_escaped && !b_escaped)
        return bytes_equal(a, b);
    while (a.size > 0 && b.size > 0) {
        char from_a[4], from_b[4];
        size_t size = take(&a, a_escaped, from_a);
        if (take(&b, b_escaped, from_b) != size || memcmp(from_a, from_b, size) != 0)
            return false;
    }
    return a.size == 0 && b.size == 0;
}
