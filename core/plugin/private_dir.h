/* SPDX-License-Identifier: MIT */
/* The directory of running copies: mcpd's alone, one process at a time. Not
 * thread-safe: it is the control thread's. */
#ifndef PLUGIN_PRIVATE_DIR_H
#define PLUGIN_PRIVATE_DIR_H

#include "base/error.h"

struct private_dir {
    char *path;
    int fd; /* locked: tells others that it is in use; -1: not open */
    bool temporary; /* made by us, goes with us */
};

/* `configured` (plugins.private_directory) may be NULL: then it is
 * $RUNTIME_DIRECTORY/plugins, or a new one below $XDG_RUNTIME_DIR or /tmp. What
 * processes that are no more left there is removed. False: err says why. */
bool private_dir_open(struct private_dir *dir, const char *configured, struct error *err);
/* Always a new one, for a check beside a running mcpd. */
bool private_dir_open_temporary(struct private_dir *dir, struct error *err);
/* Removes the copies in it. */
void private_dir_close(struct private_dir *dir);

#endif
