/* SPDX-License-Identifier: MIT */
/*
 * What is beneath a directory, for the bundled plugins. Containment is the
 * kernel's work (openat2(2), RESOLVE_BENEATH and RESOLVE_NO_MAGICLINKS): "..", absolute
 * paths, symbolic links and what is swapped under our feet lead nowhere else.
 */
#ifndef PLUGINS_BENEATH_H
#define PLUGINS_BENEATH_H

#include <stdint.h>
#include <sys/stat.h>

/* openat2 beneath a directory; `resolve` adds RESOLVE_* flags. Returns a descriptor, or
 * -1 with errno. */
int open_beneath(int directory, const char *path, int flags, uint64_t resolve);

/* What a file that is not of the wanted type is: "a directory", "a FIFO", ... */
const char *type_phrase(mode_t mode);

#endif
