/* SPDX-License-Identifier: MIT */
/*
 * A unified diff of two texts, line by line, with four lines of context: Myers' greedy
 * algorithm between what both have in common at the beginning and at the end. Texts that
 * differ in more lines than it is worth are shown as one removed and one added block.
 */
#include "filesystem.h"

#include <stdlib.h>
#include <string.h>

#define CONTEXT 4
#define EDITS_MAX 1500 /* steps; the memory grows with their square */

struct line {
    const char *data;
    size_t size; /* with its newline, if it has one */
};

struct side {
    struct line *lines;
    size_t count;
    bool *changed; /* removed, or added */
};

static bool split(struct side *side, struct mcp_bytes text)
{
    size_t count = 1;
    for (size_t i = 0; i < text.size; i++)
        count += text.data[i] == '\n';
    side->lines = calloc(count, sizeof(side->lines[0]));
    side->changed = calloc(count, sizeof(side->changed[0]));
    if (side->lines == NULL || side->changed == NULL)
        return false;
    for (size_t at = 0; at < text.size;) {
        const char *newline = memchr(text.data + at, '\n', text.size - at);
        size_t end = newline != NULL ? (size_t)(newline - text.data) + 1 : text.size;
        side->lines[side->count++] = (struct line){text.data + at, end - at};
        at = end;
    }
    return true;
}

static bool same(const struct line *a, const struct line *b)
{
    return a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
}

/* The part that is compared: lines from `from` on. */
struct span {
    struct side *side;
    size_t from;
    int count;
};

static void mark_all(const struct span *span)
{
    for (int i = 0; i < span->count; i++)
        span->side->changed[span->from + (size_t)i] = true;
}

/* Goes back along the furthest reaching paths; row d of `trace` has 2d+1 of them. */
static void backtrack(const struct span *a, const struct span *b, int *const *trace, int steps)
{
    int x = a->count, y = b->count;
    for (int d = steps; d > 0; d--) {
        const int *before = trace[d - 1] + (d - 1); /* index by diagonal */
        int k = x - y;
        bool down = k == -d || (k != d && before[k - 1] < before[k + 1]);
        int from = down ? k + 1 : k - 1;
        int px = before[from], py = px - from;
        if (down)
            b->side->changed[b->from + (size_t)py] = true;
        else
            a->side->changed[a->from + (size_t)px] = true;
        x = px;
        y = py;
    }
}

static int reach(const struct span *a, const struct span *b, int x, int k)
{
    while (x < a->count && x - k < b->count &&
           same(&a->side->lines[a->from + (size_t)x], &b->side->lines[b->from + (size_t)(x - k)]))
        x++;
    return x;
}

/* False: too many differences, or no memory. */
static bool compare(const struct span *a, const struct span *b)
{
    int **trace = calloc(EDITS_MAX + 1, sizeof(*trace));
    bool found = false;
    int d = 0;
    for (; trace != NULL && !found && d <= EDITS_MAX; d++) {
        trace[d] = malloc((2 * (size_t)d + 1) * sizeof(int));
        if (trace[d] == NULL)
            break;
        int *now = trace[d] + d;
        const int *before = d > 0 ? trace[d - 1] + (d - 1) : NULL;
        for (int k = -d; k <= d; k += 2) {
            int x = 0;
            if (before != NULL)
                x = k == -d || (k != d && before[k - 1] < before[k + 1]) ? before[k + 1]
                                                                         : before[k - 1] + 1;
            now[k] = reach(a, b, x, k);
            found = found || (now[k] >= a->count && now[k] - k >= b->count);
        }
        for (int k = -d + 1; k < d; k += 2)
            now[k] = -1; /* of the other parity: never asked for */
    }
    if (found)
        backtrack(a, b, trace, d - 1);
    for (int i = 0; trace != NULL && i <= EDITS_MAX; i++)
        free(trace[i]);
    free(trace);
    return found;
}

static void find_changes(struct side *before, struct side *after)
{
    size_t front = 0, back = 0;
    size_t least = before->count < after->count ? before->count : after->count;
    while (front < least && same(&before->lines[front], &after->lines[front]))
        front++;
    while (back < least - front &&
           same(&before->lines[before->count - 1 - back], &after->lines[after->count - 1 - back]))
        back++;
    size_t a_count = before->count - front - back, b_count = after->count - front - back;
    const struct span a = {before, front, a_count > 1 << 24 ? 0 : (int)a_count};
    const struct span b = {after, front, b_count > 1 << 24 ? 0 : (int)b_count};
    if (!compare(&a, &b)) {
        mark_all(&a);
        mark_all(&b);
    }
}

static void add_line(struct text *out, char sign, const struct line *line)
{
    text_add(out, &sign, 1);
    text_add(out, line->data, line->size);
    if (line->size == 0 || line->data[line->size - 1] != '\n')
        text_adds(out, "\n\\ No newline at end of file\n");
}

/* The end of the hunk that begins with the change at i and j: up to where more than two
 * contexts of equal lines follow. */
static void hunk_end(const struct side *a, const struct side *b, size_t *i, size_t *j)
{
    size_t x = *i, y = *j, equal = 0;
    while ((x < a->count || y < b->count) && equal <= 2 * CONTEXT) {
        if ((x < a->count && a->changed[x]) || (y < b->count && b->changed[y])) {
            while (x < a->count && a->changed[x])
                x++;
            while (y < b->count && b->changed[y])
                y++;
            *i = x;
            *j = y;
            equal = 0;
        } else {
            x++;
            y++;
            equal++;
        }
    }
}

static void add_hunk(struct text *out, const struct side *a, const struct side *b,
                     const size_t from[2], const size_t to[2])
{
    size_t before = from[0] < CONTEXT ? from[0] : CONTEXT;
    size_t left = a->count - to[0];
    size_t after = left < CONTEXT ? left : CONTEXT;
    size_t x = from[0] - before, y = from[1] - before;
    size_t a_end = to[0] + after, b_end = to[1] + after;
    text_addf(out, "@@ -%zu,%zu +%zu,%zu @@\n", a_end > x ? x + 1 : x, a_end - x,
              b_end > y ? y + 1 : y, b_end - y);
    while (x < a_end || y < b_end) {
        if (x < a_end && a->changed[x])
            add_line(out, '-', &a->lines[x++]);
        else if (y < b_end && b->changed[y])
            add_line(out, '+', &b->lines[y++]);
        else {
            add_line(out, ' ', &a->lines[x++]);
            y++;
        }
    }
}

static void add_hunks(struct text *out, const struct side *a, const struct side *b)
{
    size_t i = 0, j = 0;
    while (i < a->count || j < b->count) {
        if ((i < a->count && a->changed[i]) || (j < b->count && b->changed[j])) {
            const size_t from[2] = {i, j};
            hunk_end(a, b, &i, &j);
            add_hunk(out, a, b, from, (const size_t[2]){i, j});
        } else {
            i++;
            j++;
        }
    }
}

void diff_add(struct text *out, const char *name, struct mcp_bytes before, struct mcp_bytes after)
{
    struct side a = {.lines = NULL}, b = {.lines = NULL};
    text_addf(out,
              "Index: %s\n==================================================================="
              "\n--- %s\toriginal\n+++ %s\tmodified\n",
              name, name, name);
    if (split(&a, before) && split(&b, after)) {
        find_changes(&a, &b);
        add_hunks(out, &a, &b);
    } else {
        out->failed = true;
    }
    free(a.lines);
    free(a.changed);
    free(b.lines);
    free(b.changed);
}
