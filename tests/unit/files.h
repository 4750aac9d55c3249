/* SPDX-License-Identifier: MIT */
/* Directories that tests make and look at. What goes wrong fails the test. */
#ifndef TESTS_FILES_H
#define TESTS_FILES_H

/* Removes a directory with all that is in it; links are not followed. */
void files_remove(const char *directory);
/* How many names there are in it, "." and ".." left out. */
int files_count(const char *directory);
/* How many descriptors this process has open. */
int files_open(void);

#endif
