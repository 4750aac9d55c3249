/* SPDX-License-Identifier: MIT */
/*
 * Messages that are delimited by newlines (2026-07-28, basic/transports/stdio),
 * cut out of a stream of bytes. What is longer than the cap is skipped, and told.
 * A carriage return before the newline belongs to the line: JSON takes it as a
 * space.
 */
#ifndef TRANSPORT_LINES_H
#define TRANSPORT_LINES_H

#include "base/bytes.h"

struct lines {
    char *data;
    size_t capacity;
    size_t from, to; /* what has been read and not yet been given out */
    size_t searched; /* there is no newline before this place */
    size_t max; /* the longest line */
    bool skipping; /* the rest of a line that is too long */
};

enum lines_next { LINES_NONE, LINES_LINE, LINES_TOO_LONG };

void lines_init(struct lines *lines, size_t max);
void lines_free(struct lines *lines);

/* Where to read to, at least one byte; NULL: out of memory. Makes the last line
 * invalid. */
char *lines_room(struct lines *lines, size_t *size);
void lines_added(struct lines *lines, size_t size);

/* The next line, without its newline, valid until lines_room. LINES_TOO_LONG comes
 * once for each line that is skipped; LINES_NONE: read more. */
enum lines_next lines_next(struct lines *lines, struct bytes *line);
/* After the end of the stream: what stands behind the last newline. */
enum lines_next lines_rest(struct lines *lines, struct bytes *line);

#endif
