/* SPDX-License-Identifier: MIT */
/* An error as a value: one sentence that names the thing, the place and the
 * way out. Functions that can fail take a `struct error *`, fill it and return
 * false, NULL or -1; who gets it adds context or shows it to a person. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdbool.h>

struct error {
    char text[1024]; /* NUL-terminated UTF-8, cut if longer */
    bool no_memory; /* nothing is wrong with the thing itself: another time it may do */
};

/* Sets the text and returns false, so that `return error_set(err, ...)` works.
 * err may be NULL. */
bool error_set(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same for want of memory, which the second puts "context: " before. */
bool error_no_memory(struct error *err);
bool error_no_memory_for(struct error *err, const char *context, ...)
    __attribute__((format(printf, 2, 3)));

/* What such texts go on with: where the bound is that was met. A literal or what lives as
 * long; "": nothing. Before any thread starts. */
void error_set_memory_hint(const char *hint);
const char *error_memory_hint(void);

/* Puts "context: " before the text. Returns false. */
bool error_prefix(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
