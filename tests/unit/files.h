/* SPDX-License-Identifier: MIT */
/* Directories that tests make and look at. What goes wrong fails the test. */
#ifndef TESTS_FILES_H
#define TESTS_FILES_H

#include <stdbool.h>
#include <stddef.h>

/* Removes a directory with all that is in it; links are not followed. */
void files_remove(const char *directory);
/* How many names there are in it, "." and ".." left out. */
int files_count(const char *directory);
/* "DIRECTORY/NAME"; each thread has the last four. */
const char *files_path(const char *directory, const char *name);
/* Writes a file, a new one or over an old one. */
void files_put(const char *path, const void *data, size_t size);
/* The first 4095 bytes of one; until the thread asks for another. */
char *files_get(const char *path);
/* Makes "d/d/d/..." in the directory, so many of them. */
void files_nest(const char *directory, int depth);
/* Whether there is openat2(2), without which plugins that keep to directories do not
 * start: valgrind has none, up to 3.19 at least; scripts/check helps it with
 * tests/valgrind. */
bool files_openat2(void);
/* How many descriptors this process has open. */
int files_open(void);

#endif
