/* SPDX-License-Identifier: MIT */
/*
 * The files behind the URIs of one snapshot as a tree: all listed resources and
 * all files of skills, in the order of their URIs. A directory is whatever stands
 * before a '/' in one of them. Immutable.
 */
#ifndef MCP_DIRECTORY_H
#define MCP_DIRECTORY_H

#include "plugin/registry.h"

struct directory;

/* Points into the snapshot. NULL: out of memory. */
struct directory *directory_new(const struct snapshot *snapshot);
void directory_free(struct directory *directory); /* NULL is allowed */

/* What is directly in a directory. */
struct directory_child {
    struct bytes uri;
    bool is_directory;
    /* Of a file: as a listed resource, and as a file of a skill; either may be NULL. */
    const struct registry_entry *listed;
    const struct json *json;
    const struct json_node *file;
};

/* A walk through the children of a directory, a page at a time. */
struct directory_walk {
    const struct directory *directory;
    struct bytes uri; /* without the '/' at the end */
    size_t at;
};

/* From the start, or from behind the child that `cursor` names (.data is NULL: none).
 * 0: that is no directory; -1: no cursor of ours. */
int directory_begin(struct directory_walk *walk, const struct directory *directory,
                    struct bytes uri, struct bytes cursor);
bool directory_next(struct directory_walk *walk, struct directory_child *child);
/* Appends the cursor that goes on behind this child; no quotes are needed. */
void directory_cursor(struct buf *out, const struct directory_child *child);

#endif
