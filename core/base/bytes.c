/* SPDX-License-Identifier: MIT */
/* Comparing and trimming. (bytes_hash is in crypto.c: it needs libsodium.) */
#include "base/bytes.h"

static unsigned char lower(char c)
{
    unsigned char u = (unsigned char)c;
    return u >= 'A' && u <= 'Z' ? (unsigned char)(u | 0x20) : u;
}

bool bytes_equal_nocase(struct bytes a, struct bytes b)
{
    if (a.size != b.size)
        return false;
    for (size_t i = 0; i < a.size; i++) {
        if (lower(a.data[i]) != lower(b.data[i]))
            return false;
    }
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct bytes bytes_trim(struct bytes b)
{
    while (b.size > 0 && is_blank(b.data[0])) {
        b.data++;
        b.size--;
    }
    while (b.size > 0 && is_blank(b.data[b.size - 1]))
        b.size--;
    return b;
}
