/* SPDX-License-Identifier: MIT */
/* What `git diff --stat` prints, on 80 columns: libgit2's own has other widths and does
 * not quote names. */
#include "git.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS 80
#define NAME_KEPT (2 * COLUMNS)

struct stat_row {
    char *name; /* quoted; "{old => new}" for what was renamed; its end if it is long */
    bool binary;
    uint64_t added, deleted; /* lines; of a binary file bytes after and before */
};

struct columns {
    int name, number, graph;
    uint64_t most; /* changed lines in one file */
};

static int digits_of(uint64_t number)
{
    int digits = 1;
    for (; number >= 10; number /= 10)
        digits++;
    return digits;
}

/* ---- names ---- */

/* "src/{old.c => new.c}": what both have in front and behind is said once. */
static void add_renamed(struct text *t, const char *a, const char *b)
{
    size_t length_a = strlen(a), length_b = strlen(b), front = 0, back = 0;
    for (size_t i = 0; a[i] != '\0' && a[i] == b[i]; i++)
        if (a[i] == '/')
            front = i + 1;
    size_t least = front > 0 ? front - 1 : 0;
    for (size_t i = 0; length_a - i >= least && length_b - i >= least; i++) {
        if (a[length_a - i] != b[length_b - i])
            break;
        if (a[length_a - i] == '/')
            back = i;
        if (i == length_a || i == length_b)
            break;
    }
    size_t middle_a = length_a > front + back ? length_a - front - back : 0;
    size_t middle_b = length_b > front + back ? length_b - front - back : 0;
    text_add(t, a, front);
    text_adds(t, front + back > 0 ? "{" : "");
    text_add(t, a + front, middle_a);
    text_adds(t, " => ");
    text_add(t, b + front, middle_b);
    text_adds(t, front + back > 0 ? "}" : "");
    text_add(t, a + length_a - back, back);
}

static void name_row(struct text *t, const git_diff_delta *delta)
{
    const char *old_path = delta->old_file.path, *new_path = delta->new_file.path;
    if (delta->status != GIT_DELTA_RENAMED) {
        add_path(t, new_path, false);
        return;
    }
    struct text a, b;
    text_init(&a, 64 * 1024);
    text_init(&b, 64 * 1024);
    add_path(&a, old_path, false);
    add_path(&b, new_path, false);
    if (a.size > strlen(old_path) || b.size > strlen(new_path))
        text_addf(t, "%s => %s", a.data, b.data);
    else
        add_renamed(t, old_path, new_path);
    text_free(&a);
    text_free(&b);
}

/* Of a name that is longer than a line the end is shown, and there may be very many. */
static char *keep_end(const struct text *name)
{
    if (name->data == NULL)
        return NULL;
    return strdup(name->data + (name->size > NAME_KEPT ? name->size - NAME_KEPT : 0));
}

/* ---- numbers ---- */

static int measure_row(struct stat_row *row, git_diff *diff, size_t index)
{
    git_patch *patch = NULL;
    struct text name;
    int error = git_patch_from_diff(&patch, diff, index);
    if (error != 0)
        return error;
    const git_diff_delta *delta =
        patch != NULL ? git_patch_get_delta(patch) : git_diff_get_delta(diff, index);
    text_init(&name, 256 * 1024);
    name_row(&name, delta);
    row->name = keep_end(&name);
    text_free(&name);
    row->binary = (delta->flags & GIT_DIFF_FLAG_BINARY) != 0;
    if (row->binary) {
        row->added = delta->new_file.size;
        row->deleted = delta->old_file.size;
    } else if (patch != NULL) {
        size_t added, deleted;
        error = git_patch_line_stats(NULL, &added, &deleted, patch);
        row->added = added;
        row->deleted = deleted;
    }
    git_patch_free(patch);
    return row->name == NULL ? -1 : error;
}

static struct columns choose_columns(const struct stat_row *rows, size_t count)
{
    struct columns c = {0, 0, 0, 0};
    int binary = 0;
    for (size_t i = 0; i < count; i++) {
        const struct stat_row *row = &rows[i];
        int name = (int)strlen(row->name);
        c.name = name > c.name ? name : c.name;
        if (row->binary) {
            int width = 14 + digits_of(row->added) + digits_of(row->deleted);
            binary = width > binary ? width : binary;
            c.number = c.number < 3 ? 3 : c.number; /* "Bin" */
        } else if (row->added + row->deleted > c.most) {
            c.most = row->added + row->deleted;
        }
    }
    int digits = digits_of(c.most);
    c.number = digits > c.number ? digits : c.number;
    c.graph = c.most > COLUMNS ? COLUMNS : (int)c.most;
    c.graph = c.graph + 4 > binary ? c.graph : binary - 4;
    if (c.name + c.number + 6 + c.graph <= COLUMNS)
        return c;
    int most = COLUMNS * 3 / 8 - c.number - 6;
    if (c.graph > most)
        c.graph = most < 6 ? 6 : most;
    if (c.name > COLUMNS - c.number - 6 - c.graph)
        c.name = COLUMNS - c.number - 6 - c.graph;
    else
        c.graph = COLUMNS - c.number - 6 - c.name;
    return c;
}

static uint64_t scale(uint64_t number, const struct columns *c)
{
    return number == 0 ? 0 : 1 + number * ((uint64_t)c->graph - 1) / c->most;
}

/* ---- lines ---- */

static void add_marks(struct text *t, const struct stat_row *row, const struct columns *c)
{
    uint64_t added = row->added, deleted = row->deleted;
    if ((uint64_t)c->graph <= c->most) {
        uint64_t total = scale(added + deleted, c);
        if (total < 2 && added > 0 && deleted > 0)
            total = 2;
        if (added < deleted) {
            added = scale(added, c);
            deleted = total - added;
        } else {
            deleted = scale(deleted, c);
            added = total - deleted;
        }
    }
    for (uint64_t i = 0; i < added; i++)
        text_adds(t, "+");
    for (uint64_t i = 0; i < deleted; i++)
        text_adds(t, "-");
}

static void add_row(struct text *t, const struct stat_row *row, const struct columns *c)
{
    const char *name = row->name, *dots = "";
    int length = (int)strlen(name), width = c->name;
    if (length > width) {
        dots = "...";
        width = width > 3 ? width - 3 : 0;
        name += length - width;
        const char *slash = strchr(name, '/');
        name = slash != NULL ? slash : name;
    }
    text_addf(t, " %s%s%*s |", dots, name,
              width - (int)strlen(name) > 0 ? width - (int)strlen(name) : 0, "");
    if (row->binary) {
        text_addf(t, " %*s", c->number, "Bin");
        if (row->added > 0 || row->deleted > 0)
            text_addf(t, " %" PRIu64 " -> %" PRIu64 " bytes", row->deleted, row->added);
    } else {
        uint64_t changed = row->added + row->deleted;
        text_addf(t, " %*" PRIu64 "%s", c->number, changed, changed > 0 ? " " : "");
        add_marks(t, row, c);
    }
    text_adds(t, "\n");
}

static void add_sum(struct text *t, const struct stat_row *rows, size_t count)
{
    uint64_t added = 0, deleted = 0;
    for (size_t i = 0; i < count; i++) {
        added += rows[i].binary ? 0 : rows[i].added;
        deleted += rows[i].binary ? 0 : rows[i].deleted;
    }
    text_addf(t, " %zu file%s changed", count, count == 1 ? "" : "s");
    if (added > 0 || deleted == 0)
        text_addf(t, ", %" PRIu64 " insertion%s(+)", added, added == 1 ? "" : "s");
    if (deleted > 0 || added == 0)
        text_addf(t, ", %" PRIu64 " deletion%s(-)", deleted, deleted == 1 ? "" : "s");
    text_adds(t, "\n");
}

int diff_stat(git_diff *diff, struct text *t)
{
    size_t count = git_diff_num_deltas(diff);
    if (count == 0)
        return 0;
    struct stat_row *rows = calloc(count, sizeof(rows[0]));
    if (rows == NULL)
        return -1;
    int error = 0;
    for (size_t i = 0; error == 0 && i < count; i++)
        error = measure_row(&rows[i], diff, i);
    if (error == 0) {
        struct columns columns = choose_columns(rows, count);
        for (size_t i = 0; i < count; i++)
            add_row(t, &rows[i], &columns);
        add_sum(t, rows, count);
    }
    for (size_t i = 0; i < count; i++)
        free(rows[i].name);
    free(rows);
    return error;
}
