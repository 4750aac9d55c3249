/* SPDX-License-Identifier: MIT */
/*
 * The plugin directory as it was last looked at, and the plan that follows from
 * it and the configuration: which providers there should be, in which order.
 * Not thread-safe: it is the control thread's.
 */
#ifndef PLUGIN_SCAN_H
#define PLUGIN_SCAN_H

#include <limits.h>
#include <sys/types.h>

#include "config/config.h"

#define PLUGIN_ID_MAX 64

/* Of a plugin's id and the directory. */
#define SCAN_NO_FILE "%s.so: there is no such file in %s"

/* A file ID.so. One whose ID is not legal is kept like one that cannot be read:
 * somebody expects it to be served, and must be told why it is not. */
struct plugin_file {
    struct plugin_file *next;
    char id[NAME_MAX + 1];
    char name[NAME_MAX + 1];
    bool present;
    /* Its content, if it could be read, else why not. */
    bool readable;
    unsigned char hash[32];
    bool bundled; /* it is one of mcpd's own (plugin/bundled.h) */
    struct error why;
    /* When to look at it (again), in CLOCK_MONOTONIC; 0: nothing has happened. */
    int64_t due_ns;
    /* What it looked like from outside when its content was read. */
    struct {
        dev_t device;
        ino_t inode;
        off_t size;
        struct timespec modified, changed;
    } seen;
};

struct scan {
    char *path;
    int fd; /* of the directory; -1: it could not be opened */
    dev_t device;
    ino_t inode;
    struct plugin_file *files; /* by name */
};

/* Takes a copy of the path; opens nothing yet. False: out of memory. */
bool scan_init(struct scan *scan, const char *path);
void scan_free(struct scan *scan);

/* Opens the directory, again if another one stands at its path now (*changed).
 * False: it cannot be opened; err says why. */
bool scan_open(struct scan *scan, bool *changed, struct error *err);

/* Lists the directory: files that came, went or look different become due at
 * `due_ns` unless they are due already. */
void scan_list(struct scan *scan, int64_t due_ns);

/* Every file there is becomes due at `due_ns`, unless it is due already. */
void scan_doubt(struct scan *scan, int64_t due_ns);

/* Something happened to this name: due at `due_ns`. Names that do not end
 * in .so, and hidden ones, are ignored. */
void scan_touch(struct scan *scan, const char *name, int64_t due_ns);

/* Looks at one file now: fills present, readable, hash and why; no longer due. */
void scan_look(struct scan *scan, struct plugin_file *file);

struct plugin_file *scan_find(const struct scan *scan, const char *id);

/* A provider there should be. */
struct planned {
    const char *id, *plugin; /* of the configuration, or of the scan's file */
    const struct config_provider *settings; /* NULL: not configured */
};

/* Configured providers in their order, then files that no entry mentions, by
 * name. From malloc; NULL: out of memory (*count is then 0 too). */
struct planned *scan_plan(const struct scan *scan, const struct config *config, size_t *count);

#endif
