/* SPDX-License-Identifier: MIT */
/* Cutting a stream into lines. */
#include "transport/lines.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY ((size_t)16 * 1024)

void lines_init(struct lines *lines, size_t max)
{
    *lines = (struct lines){.max = max};
}

void lines_free(struct lines *lines)
{
    free(lines->data);
    *lines = (struct lines){.max = lines->max};
}

/* What is left goes to the front; a buffer that one long line has made large is
 * not kept for ever. */
static void move_to_front(struct lines *lines)
{
    size_t size = lines->to - lines->from;

    if (lines->from > 0 && size > 0)
        memmove(lines->data, lines->data + lines->from, size);
    lines->searched -= lines->from;
    lines->from = 0;
    lines->to = size;
    if (size == 0 && lines->capacity > FIRST_CAPACITY) {
        free(lines->data);
        lines->data = NULL;
        lines->capacity = 0;
    }
}

char *lines_room(struct lines *lines, size_t *size)
{
    move_to_front(lines);
    if (lines->to == lines->capacity) {
        size_t capacity = lines->capacity > 0 ? lines->capacity * 2 : FIRST_CAPACITY;
        char *data = realloc(lines->data, capacity);
        if (data == NULL)
            return NULL;
        lines->data = data;
        lines->capacity = capacity;
    }
    *size = lines->capacity - lines->to;
    return lines->data + lines->to;
}

void lines_added(struct lines *lines, size_t size)
{
    lines->to += size;
}

/* Forgets what has been read up to `to`. */
static void skip_to(struct lines *lines, size_t to)
{
    lines->from = lines->searched = to;
}

enum lines_next lines_next(struct lines *lines, struct bytes *line)
{
    while (lines->searched < lines->to) {
        char *start = lines->data + lines->from;
        char *end = memchr(lines->data + lines->searched, '\n', lines->to - lines->searched);
        size_t size = end != NULL ? (size_t)(end - start) : lines->to - lines->from;
        bool skipped = lines->skipping;
        if (!skipped && size > lines->max) {
            lines->skipping = end == NULL;
            skip_to(lines, lines->from + size + (end != NULL));
            return LINES_TOO_LONG;
        }
        if (end == NULL) {
            lines->searched = lines->to;
            if (skipped)
                skip_to(lines, lines->to);
            return LINES_NONE;
        }
        lines->skipping = false;
        skip_to(lines, lines->from + size + 1);
        if (!skipped) {
            *line = (struct bytes){start, size};
            return LINES_LINE;
        }
    }
    return LINES_NONE;
}

enum lines_next lines_rest(struct lines *lines, struct bytes *line)
{
    size_t size = lines->to - lines->from;

    if (lines->skipping || size == 0)
        return LINES_NONE;
    *line = (struct bytes){lines->data + lines->from, size};
    skip_to(lines, lines->to);
    return LINES_LINE;
}
