/* SPDX-License-Identifier: MIT */
/*
 * A growing buffer with a cap given at creation. Adding past the cap, or
 * without memory, sets `failed` and leaves the content as it was; further
 * additions do nothing. So a writer adds many times and looks once; who tells a
 * person why looks at `no_memory` too.
 * Not thread-safe.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/bytes.h"

struct buf {
    char *data; /* NULL when empty; else data[size] is a NUL */
    size_t size;
    size_t capacity;
    size_t max; /* never more than this many bytes */
    bool failed;
    bool no_memory; /* failed, and not for its cap */
};

void buf_init(struct buf *b, size_t max);
void buf_free(struct buf *b); /* usable again afterwards, as after buf_init */
void buf_clear(struct buf *b); /* empty and not failed; keeps the memory */

/* Makes room for `more` further bytes at once. */
bool buf_reserve(struct buf *b, size_t more);

void buf_add(struct buf *b, const void *data, size_t size);
void buf_add_bytes(struct buf *b, struct bytes text);
void buf_add_char(struct buf *b, char c);
void buf_addf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define BUF_LIT(b, literal) buf_add((b), "" literal, sizeof(literal) - 1)

static inline struct bytes buf_bytes(const struct buf *b)
{
    return (struct bytes){b->data, b->size};
}

/* Hands the memory over to the caller (free(3)); NULL when failed or empty.
 * The buffer is empty afterwards. */
char *buf_detach(struct buf *b, size_t *size);

#endif
