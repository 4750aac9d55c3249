/* SPDX-License-Identifier: MIT */
/* UTF-8. The table of well-formed sequences is RFC 3629, section 4. */
#include "base/utf8.h"

static bool continues(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

/* The length of the well-formed multi-byte character at `s`, or 0. */
static size_t multibyte(const unsigned char *s, size_t size)
{
    unsigned char lead = s[0];
    if (lead < 0xc2 || lead > 0xf4 || size < 2 || !continues(s[1]))
        return 0;
    if (lead < 0xe0)
        return 2;
    if (size < 3 || !continues(s[2]))
        return 0;
    if (lead < 0xf0) {
        bool overlong = lead == 0xe0 && s[1] < 0xa0;
        bool surrogate = lead == 0xed && s[1] >= 0xa0;
        return overlong || surrogate ? 0 : 3;
    }
    if (size < 4 || !continues(s[3]))
        return 0;
    bool overlong = lead == 0xf0 && s[1] < 0x90;
    bool too_high = lead == 0xf4 && s[1] >= 0x90;
    return overlong || too_high ? 0 : 4;
}

size_t utf8_multibyte_prefix(struct bytes text)
{
    const unsigned char *s = (const unsigned char *)text.data;
    size_t at = 0;
    while (at < text.size && s[at] >= 0x80) {
        size_t size = multibyte(s + at, text.size - at);
        if (size == 0)
            break;
        at += size;
    }
    return at;
}

/* The length of the longest prefix in ASCII; eight bytes at a time. */
static size_t ascii_prefix(struct bytes text)
{
    size_t at = 0;
    for (; text.size - at >= 8; at += 8) {
        uint64_t eight;
        memcpy(&eight, text.data + at, 8);
        if ((eight & UINT64_C(0x8080808080808080)) != 0)
            break;
    }
    while (at < text.size && (unsigned char)text.data[at] < 0x80)
        at++;
    return at;
}

size_t utf8_valid_prefix(struct bytes text)
{
    size_t at = 0;
    while (at < text.size) {
        struct bytes rest = {text.data + at, text.size - at};
        size_t size =
            (unsigned char)rest.data[0] < 0x80 ? ascii_prefix(rest) : utf8_multibyte_prefix(rest);
        if (size == 0)
            break;
        at += size;
    }
    return at;
}

bool utf8_valid(struct bytes text)
{
    return utf8_valid_prefix(text) == text.size;
}

size_t utf8_encode(uint32_t code_point, char out[4])
{
    if (code_point < 0x80) {
        out[0] = (char)code_point;
        return 1;
    }
    size_t size = code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
    static const unsigned char lead[5] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = size - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (code_point & 0x3f));
        code_point >>= 6;
    }
    out[0] = (char)(lead[size] | code_point);
    return size;
}
