/* SPDX-License-Identifier: MIT */
/*
 * A growing text with a cap, and writing JSON into it; for the bundled plugins.
 * Adding past the cap, or without memory, sets `failed`, and further additions
 * do nothing: a writer adds many times and looks once. Not thread-safe.
 */
#ifndef PLUGINS_TEXT_H
#define PLUGINS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mcp/plugin.h>

struct text {
    char *data; /* NULL when empty; else data[size] is a NUL */
    size_t size;
    size_t capacity;
    size_t max;
    bool failed;
};

void text_init(struct text *t, size_t max);
void text_free(struct text *t); /* usable again afterwards */
/* Takes back what was added after `size`, which was t->size then. */
void text_cut(struct text *t, size_t size);

void text_add(struct text *t, const char *data, size_t size);
void text_adds(struct text *t, const char *nul_terminated);
void text_addf(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline struct mcp_bytes text_bytes(const struct text *t)
{
    return (struct mcp_bytes){t->data, t->size};
}

/* Text from elsewhere: invalid UTF-8 in it becomes U+FFFD. */
void text_add_utf8(struct text *t, const char *data, size_t size);
/* A JSON string with its quotes. Invalid UTF-8 becomes U+FFFD. */
void text_add_string(struct text *t, const char *data, size_t size);
/* A finite number in the shortest form that reads back as the same double, with a
 * ".0" behind whole numbers, so that it stays a real. */
void text_add_real(struct text *t, double number);
/* Base64 (RFC 4648, section 4), without quotes. */
void text_add_base64(struct text *t, const void *data, size_t size);

/* With %-escapes (RFC 3986, 2.1) for all but the unreserved characters and those of
 * `others`. */
void text_add_percent(struct text *t, const char *data, size_t size, const char *others);
/* And back; false: an escape is none, and a part has been added. */
bool text_add_unescaped(struct text *t, const char *data, size_t size);

#endif
