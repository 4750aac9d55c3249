/* SPDX-License-Identifier: MIT */
/* Bytes with a length: the way text travels through mcpd. Not NUL-terminated
 * unless a function says so; owned by whoever the context says. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    const char *data;
    size_t size;
};

/* A string literal as bytes. */
#define BYTES(literal) ((struct bytes){"" literal, sizeof(literal) - 1})

/* For printf's "%.*s". */
#define BYTES_FMT(b) (int)(b).size, (b).data

static inline struct bytes bytes_of(const char *nul_terminated)
{
    return (struct bytes){nul_terminated, nul_terminated != NULL ? strlen(nul_terminated) : 0};
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* Equal but for the case of ASCII letters (names of HTTP fields). */
bool bytes_equal_nocase(struct bytes a, struct bytes b);

/* Without spaces and tabs at both ends (RFC 9110, 5.5: OWS). */
struct bytes bytes_trim(struct bytes b);

/* A 64-bit hash for tables; keyed with a secret of this process (SipHash), so
 * that nobody outside can aim at one bucket. Any thread, after crypto_init. */
uint64_t bytes_hash(struct bytes b);

#endif
