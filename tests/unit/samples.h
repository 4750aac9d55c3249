/* SPDX-License-Identifier: MIT */
/* The plugins of tests/plugins, as they were built beside the test programs. What goes
 * wrong fails the test. */
#ifndef TESTS_SAMPLES_H
#define TESTS_SAMPLES_H

#include "base/buf.h"

/* What is in a file; for the caller to free. */
struct buf file_read(const char *path);

/* What is in NAME.so; for the caller to free. Looked for in the directory
 * $MCPD_TEST_PLUGINS, else in ../plugins beside the program's. */
struct buf sample_read(const char *name);

#endif
