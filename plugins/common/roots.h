/* SPDX-License-Identifier: MIT */
/*
 * The directories that the operator allowed, for the bundled plugins: read from the
 * configuration, opened at start, and from then on all that there is. A path of a client
 * is compared only to choose one of them; that it stays beneath it is the kernel's work
 * (beneath.h). Constant between roots_open and roots_close, so calls need no lock.
 */
#ifndef PLUGINS_ROOTS_H
#define PLUGINS_ROOTS_H

#include <limits.h>
#include <stdbool.h>

#include <mcp/plugin.h>

#include "text.h"

#define ROOTS_MAX 64

struct root {
    char *path; /* as configured, without slashes at the end */
    char *real; /* without symbolic links; NULL while it is closed */
    int fd; /* O_PATH; -1 while it is closed */
};

struct roots {
    const struct mcp_host *host;
    const char *array; /* where they are in the configuration: "/allowed_paths" */
    bool stay_on_mount; /* what is mounted below a root counts as outside */
    size_t count;
    struct root items[ROOTS_MAX];
};

/* Reads the array of absolute paths; `what_for` is told to an operator who has named none:
 * "name the directories that ...". False: the host has been told. To be freed in any
 * case. */
bool roots_configure(struct roots *roots, const struct mcp_host *host, const char *array,
                     const char *what_for);
void roots_free(struct roots *roots); /* closes them first */

/* Opens them all, and tries whether this kernel can contain anything. False: the host has
 * been told. */
bool roots_open(struct roots *roots);
void roots_close(struct roots *roots);

/* Whether each can be read, and is still what its path names; else ends the call with a
 * sentence, and false. */
bool roots_work(const struct roots *roots, struct mcp_call *call);

/* Chooses the root of a client's path, which is beneath the root with the longest name that
 * it begins with or, when it is relative, beneath the first; `beneath` gets the rest, "."
 * for the root itself. False: the call has been ended, in whose sentence the path is
 * `argument`: "path", "repo_path". */
bool roots_find(const struct roots *roots, struct mcp_call *call, const char *argument,
                struct mcp_bytes given, const struct root **root, char beneath[PATH_MAX]);

/* open_beneath, on one mount if that is the rule. */
int roots_open_beneath(const struct roots *roots, int directory, const char *path, int flags,
                       uint64_t resolve);

/* Ends the call with the sentence for an errno of that; `doing` is "read", "list", ... */
int32_t roots_fail(const struct roots *roots, const struct root *root, struct mcp_call *call,
                   struct mcp_bytes given, int error, const char *doing);

/* ENOENT for everything is what a directory that was deleted after start gives. */
bool root_is_gone(const struct root *root);

/* How many characters of `path` are the directory's; 0 when it is not beneath it. */
size_t root_prefix(const char *directory, const char *path, size_t size);

/* Their paths, for a sentence. */
void roots_add_list(struct text *t, const struct roots *roots, const char *between);

#endif
