/* SPDX-License-Identifier: MIT */
/* "Did you mean ...?" */
#ifndef BASE_SIMILAR_H
#define BASE_SIMILAR_H

#include "base/bytes.h"

/* Longer names are not compared: nobody mistypes those, and it takes time. */
#define SIMILAR_NAME_MAX 64

/* How many letters must be added, removed or replaced to make b of a (the
 * Levenshtein distance). Both have at most SIMILAR_NAME_MAX bytes. */
size_t edit_distance(struct bytes a, struct bytes b);

#endif
