/* SPDX-License-Identifier: MIT */
/* The framing of stdio: however the bytes arrive, the lines are those that a plain
 * search for newlines finds. The first byte chooses the pieces, the second the cap. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "transport/lines.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is to be found next, by the plain way. */
struct plain {
    const char *at, *end;
    size_t max;
};

static enum lines_next expect(struct plain *plain, bool rest, struct bytes *line)
{
    const char *newline = memchr(plain->at, '\n', (size_t)(plain->end - plain->at));
    const char *end = newline != NULL ? newline : plain->end;

    if (newline == NULL && !rest)
        return LINES_NONE;
    *line = (struct bytes){plain->at, (size_t)(end - plain->at)};
    plain->at = newline != NULL ? newline + 1 : plain->end;
    return line->size > plain->max ? LINES_TOO_LONG : LINES_LINE;
}

static void check(struct plain *plain, bool rest, enum lines_next found, struct bytes line)
{
    struct bytes wanted;

    if (expect(plain, rest, &wanted) != found ||
        (found == LINES_LINE && !bytes_equal(line, wanted)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lines lines;
    struct bytes line = {NULL, 0};
    enum lines_next found;
    size_t room;
    bool told = false; /* the line without an end was too long, and that is known */

    if (size < 2)
        return 0;
    size_t step = (size_t)data[0] + 1;
    struct plain plain = {(const char *)data + 2, (const char *)data + size, data[1]};
    lines_init(&lines, data[1]);
    for (size_t at = 2; at < size;) {
        char *place = lines_room(&lines, &room);
        size_t piece = size - at < step ? size - at : step;
        if (place == NULL || room == 0)
            abort();
        piece = piece < room ? piece : room;
        memcpy(place, data + at, piece);
        lines_added(&lines, piece);
        at += piece;
        while ((found = lines_next(&lines, &line)) != LINES_NONE) {
            told = memchr(plain.at, '\n', (size_t)(plain.end - plain.at)) == NULL;
            check(&plain, told, found, line);
        }
    }
    if (lines_rest(&lines, &line) == LINES_LINE)
        check(&plain, true, LINES_LINE, line);
    else if (!told && plain.at != plain.end)
        abort();
    lines_free(&lines);
    return 0;
}
