/* SPDX-License-Identifier: MIT */
/*
 * The filesystem plugin: files below directories that the operator allowed.
 *
 * Containment is the kernel's work, not ours: each allowed directory is opened
 * once, at start, and everything a client names is resolved by openat2(2)
 * beneath that descriptor (RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS), so that
 * "..", absolute paths, symbolic links and what is swapped under our feet lead
 * nowhere else. Strings are compared only to choose which directory is meant.
 */
#ifndef FILESYSTEM_H
#define FILESYSTEM_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>

#include <mcp/plugin.h>

#include "beneath.h"

/* One of allowed_paths. */
struct root {
    char *path; /* as configured, without slashes at the end */
    int fd; /* O_PATH; -1 before start and after stop */
};

/* One instance. Constant between start and stop, so calls need no lock. */
struct filesystem {
    const struct mcp_host *host;
    struct root *roots;
    size_t root_count;
    int64_t max_file_size;
    int64_t max_entries;
    bool read_only;
    bool allow_hard_links;
};

/* ---- place.c: from a client's path to a place beneath a root ---- */

struct place {
    const struct filesystem *fs;
    const struct root *root;
    struct mcp_bytes given; /* what the client wrote, for messages */
    char beneath[PATH_MAX]; /* relative to the root; "." for the root itself */
};

/* Finds the place of the argument "path". False: the call has been ended. */
bool place_find(const struct filesystem *fs, struct mcp_call *call, struct place *place);

/* Ends the call with the sentence for an errno; `doing` is "read", "list", ... */
int32_t place_fail(const struct place *place, struct mcp_call *call, int error, const char *doing);

/* Ends the call when it has been cancelled. */
bool was_cancelled(struct mcp_call *call);

/* ---- the tools ---- */

int32_t read_file(const struct filesystem *fs, struct mcp_call *call); /* read.c */
int32_t write_file(const struct filesystem *fs, struct mcp_call *call); /* write.c */
int32_t create_directory(const struct filesystem *fs, struct mcp_call *call); /* write.c */
int32_t list_directory(const struct filesystem *fs, struct mcp_call *call); /* list.c */

#endif
