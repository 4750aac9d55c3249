/* SPDX-License-Identifier: MIT */
/* A growing buffer with a cap. One byte more than `capacity` is allocated, for
 * the NUL. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define SMALLEST 64

void buf_init(struct buf *b, size_t max)
{
    /* So that capacity + 1 cannot overflow. */
    *b = (struct buf){.max = max < SIZE_MAX / 2 ? max : SIZE_MAX / 2};
}

void buf_free(struct buf *b)
{
    free(b->data);
    buf_init(b, b->max);
}

void buf_clear(struct buf *b)
{
    b->size = 0;
    b->failed = b->no_memory = false;
    if (b->data != NULL)
        b->data[0] = '\0';
}

static bool fail(struct buf *b)
{
    b->failed = true;
    return false;
}

/* Out of line: the rare case of buf_reserve. */
static bool __attribute__((noinline)) grow(struct buf *b, size_t needed)
{
    size_t capacity = b->capacity < SMALLEST ? SMALLEST : b->capacity;
    while (capacity < needed)
        capacity *= 2; /* needed <= max <= SIZE_MAX / 2 */
    if (capacity > b->max)
        capacity = b->max;

    char *data = realloc(b->data, capacity + 1);
    if (data == NULL) {
        b->no_memory = true;
        return fail(b);
    }
    if (b->data == NULL)
        data[0] = '\0';
    b->data = data;
    b->capacity = capacity;
    return true;
}

bool buf_reserve(struct buf *b, size_t more)
{
    if (b->failed)
        return false;
    if (b->data != NULL && more <= b->capacity - b->size)
        return true;
    if (more > b->max - b->size)
        return fail(b);
    return grow(b, b->size + more);
}

void buf_add(struct buf *b, const void *data, size_t size)
{
    if (size == 0 || !buf_reserve(b, size))
        return;
    memcpy(b->data + b->size, data, size);
    b->size += size;
    b->data[b->size] = '\0';
}

void buf_add_bytes(struct buf *b, struct bytes text)
{
    buf_add(b, text.data, text.size);
}

void buf_add_char(struct buf *b, char c)
{
    if (!buf_reserve(b, 1))
        return;
    b->data[b->size++] = c;
    b->data[b->size] = '\0';
}

void buf_addf(struct buf *b, const char *format, ...)
{
    if (b->failed)
        return;
    size_t room = b->data != NULL ? b->capacity - b->size + 1 : 0;
    va_list args;
    va_start(args, format);
    int size = vsnprintf(b->data != NULL ? b->data + b->size : NULL, room, format, args);
    va_end(args);

    if (size >= 0 && (size_t)size >= room && buf_reserve(b, (size_t)size)) {
        va_start(args, format);
        vsnprintf(b->data + b->size, (size_t)size + 1, format, args);
        va_end(args);
    }
    if (size < 0)
        b->failed = true;
    if (!b->failed)
        b->size += (size_t)size;
    else if (b->data != NULL)
        b->data[b->size] = '\0'; /* what the first try left behind it */
}

char *buf_detach(struct buf *b, size_t *size)
{
    char *data = NULL;
    if (b->failed || b->size == 0) {
        free(b->data);
        *size = 0;
    } else {
        data = b->data;
        *size = b->size;
    }
    buf_init(b, b->max);
    return data;
}
