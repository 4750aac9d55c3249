/* SPDX-License-Identifier: MIT */
/*
 * Directories that the operator allowed, and what is beneath them; for the bundled
 * plugins. Containment is the kernel's work (openat2(2), RESOLVE_BENEATH and
 * RESOLVE_NO_MAGICLINKS): "..", absolute paths, symbolic links and what is swapped
 * under our feet lead nowhere else.
 */
#ifndef PLUGINS_BENEATH_H
#define PLUGINS_BENEATH_H

#include <stdbool.h>
#include <sys/stat.h>

#include <mcp/plugin.h>

/* Takes one of the array of absolute paths at the pointer `array` ("/directories"): a
 * copy without slashes at its end. 1: done; 0: there are no more; -1: it is wrong, and
 * the host has been told. */
int config_directory(const struct mcp_host *host, const char *array, size_t index, char **out);

/* Opens it (O_PATH), and tries whether this kernel can contain anything. Negative: the
 * host has been told why. */
int open_allowed(const struct mcp_host *host, const char *array, size_t index, const char *path);

/* Whether what was opened can be read, and is still what the path names; else `why` has a
 * sentence. */
bool directory_works(const char *path, int fd, char *why, size_t size);

/* openat2 beneath a directory; `resolve` adds RESOLVE_* flags. Returns a descriptor, or
 * -1 with errno. */
int open_beneath(int directory, const char *path, int flags, uint64_t resolve);

/* What a file that is not of the wanted type is: "a directory", "a FIFO", ... */
const char *type_phrase(mode_t mode);

#endif
