/* SPDX-License-Identifier: MIT */
/*
 * What the two halves of a trial say to each other: try.c, which starts the
 * child and judges it, and try_child.c, which is the child. Both are this same
 * program, so no version is kept.
 *
 * The parent gives a struct try_request and the strings behind it in a memory
 * file; the child tells each step before it takes it, and the end, as records
 * through a pipe.
 */
#ifndef PLUGIN_TRY_H
#define PLUGIN_TRY_H

#include <stdint.h>

#define TRY_ARGUMENT "--try-plugin"

/* Descriptors of the child; 1 and 2 are a pipe to the parent. */
enum { TRY_REQUEST_FD = 3, TRY_REPORT_FD = 4 };

enum try_string {
    TRY_PATH, /* image.path */
    TRY_SOURCE,
    TRY_ID,
    TRY_VERSION,
    TRY_PROVIDER,
    TRY_CONFIG,
    TRY_STRINGS
};

struct try_request {
    int64_t parent; /* its process id */
    uint64_t generation;
    uint64_t sizes[TRY_STRINGS]; /* of the strings that follow, in order */
};

/* A record: its kind, the size of its text, the text. */
enum try_kind {
    TRY_STEP = 's', /* about to run "create" */
    TRY_FIT = 'f', /* the end: all is well; the text is empty, or why its code cannot go */
    TRY_UNFIT = 'u', /* the end: the text is why */
    TRY_NO_MEMORY = 'm', /* the same, and nothing is wrong with the plugin */
    TRY_UNFIT_CONFIG = 'c' /* the end: the text is a JSON Pointer, a NUL, and why */
};

struct try_record {
    uint16_t size;
    uint16_t kind; /* enum try_kind */
};

#endif
