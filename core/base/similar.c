/* SPDX-License-Identifier: MIT */
/* Distances between names. */
#include "base/similar.h"

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t edit_distance(struct bytes a, struct bytes b)
{
    size_t row[SIMILAR_NAME_MAX + 1];
    for (size_t j = 0; j <= b.size; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.size; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.size; j++) {
            size_t replaced = diagonal + (a.data[i - 1] != b.data[j - 1]);
            diagonal = row[j];
            row[j] = least(replaced, least(row[j], row[j - 1]) + 1);
        }
    }
    return row[b.size];
}
