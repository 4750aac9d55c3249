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

#include <dirent.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/stat.h>

#include <mcp/plugin.h>

#include "beneath.h"
#include "roots.h"
#include "text.h"

/* One instance. Constant between start and stop, so calls need no lock. */
struct filesystem {
    const struct mcp_host *host;
    struct roots roots; /* allowed_paths */
    int64_t max_file_size;
    int64_t max_output;
    int64_t max_entries;
    bool read_only;
    bool allow_hard_links;
    int64_t max_resources;
    int64_t max_watches;
    struct watcher *watcher; /* of watch.c; NULL: nothing is watched */
    pthread_mutex_t *editing; /* one edit at a time, from reading to writing */
};

/* ---- health.c ---- */

int32_t check_health(void *self, struct mcp_call *call);

/* ---- place.c: from a client's path to a place beneath a root ---- */

struct place {
    const struct filesystem *fs;
    const struct root *root;
    struct mcp_bytes given; /* what the client wrote, for messages */
    char beneath[PATH_MAX]; /* relative to the root; "." for the root itself */
};

/* Finds the place of the argument "path". False: the call has been ended. */
bool place_find(const struct filesystem *fs, struct mcp_call *call, struct place *place);
/* The same of a path, which must live as long as the place. */
bool place_find_at(const struct filesystem *fs, struct mcp_call *call, struct mcp_bytes given,
                   struct place *place);

/* Opens what is there, beneath the root and on its mount, unless mounts are allowed.
 * -1 with errno. */
int place_open(const struct place *place, int flags);
/* The same of a path beneath a directory of the place's root; `resolve` adds RESOLVE_*. */
int place_open_at(const struct filesystem *fs, int directory, const char *path, int flags,
                  uint64_t resolve);
/* Splits it into directory and name, cutting `beneath`, and opens the directory (O_PATH).
 * -1: the call has been ended. */
int place_open_parent(struct place *place, struct mcp_call *call, const char *doing,
                      const char **name);

/* The path as text: the root's, and what is beneath it. */
void place_add_path(struct text *t, const struct root *root, const char *beneath);

/* The file: URI of the same, which needs no escapes in a JSON string. */
void add_uri(struct text *t, const struct root *root, const char *beneath);

/* Ends the call with the sentence for an errno; `doing` is "read", "list", ... */
int32_t place_fail(const struct place *place, struct mcp_call *call, int error, const char *doing);

/* Ends the call when it has been cancelled. */
bool was_cancelled(struct mcp_call *call);

/* ---- names.c: the names in a directory, sorted ---- */

struct names {
    const char *prefix; /* what they begin with; NULL: all are taken */
    char **items;
    size_t count, capacity;
    bool cut; /* there were more */
    bool cancelled;
};

/* The first `keep` names in sorted order, whatever the order of the directory, in memory
 * for twice as many; of `names`, only the prefix need be set. Takes fd and gives back what
 * is to be closed with names_close; NULL with errno. */
DIR *names_open(int fd, size_t keep, struct mcp_call *call, struct names *names);
void names_close(DIR *directory, struct names *names); /* errno stays */

/* A name as it is when it is plain text, else as a JSON string: it is not to forge lines. */
void add_shown_name(struct text *t, const char *name, size_t size);
/* "2026-11-22T10:20:30Z" */
void add_time(struct text *t, int64_t seconds);
/* "file", "directory", "symlink", "other" */
const char *type_word(mode_t mode);

/* ---- file.c: regular files ---- */

/* Opens one that may be read. -1: the call has been ended. */
int file_open(const struct place *place, struct mcp_call *call, struct stat *st);
/* On a file system of the kernel's own, such as /proc. */
bool file_is_kernels(int fd);
/* All of it, if it has max_file_size bytes at most. False: the call has been ended. */
bool file_read_all(const struct place *place, struct mcp_call *call, struct text *content,
                   struct stat *st);
/* UTF-8 without NUL; of what is not whole, the last character may be cut. */
bool is_text(const char *data, size_t size, bool whole);

/* ---- answer.c: ends of calls, and a call inside a call ---- */

/* Ends the call with words and the same as JSON, and frees both. */
int32_t finish_call(struct mcp_call *call, struct text *words, struct text *json);
/* The mark under what has been cut: "[Not complete: ...]", and the members of the JSON
 * object that say so. NULL: nothing has been. */
void add_truncated(struct text *words, struct text *json, const char *because);

/* A call whose failure is kept instead of ending the outer one. */
struct inner_call {
    struct mcp_call call;
    struct mcp_call_ops ops;
    struct mcp_call *outer;
    struct text failure;
};

void inner_init(struct inner_call *inner, struct mcp_call *outer);
void inner_free(struct inner_call *inner);

/* ---- glob.c ---- */

struct glob;

/* *, **, ?, [a-z], {a,b}. NULL with a sentence in *wrong. */
struct glob *glob_new(struct mcp_bytes pattern, const char **wrong);
void glob_free(struct glob *glob);
bool glob_match(const struct glob *glob, const char *path);

/* Globs from an argument that is an array of strings. */
#define GLOBS_MAX 64
struct globs {
    struct glob *items[GLOBS_MAX * 3];
    size_t count;
};

/* `anywhere`: a pattern without a star also matches a name at any depth, and what is
 * below it. False: the call has been ended. */
bool globs_read(struct globs *globs, struct mcp_call *call, const char *argument, bool anywhere);
void globs_free(struct globs *globs);
bool globs_match(const struct globs *globs, const char *path);

/* ---- walk.c: a directory and what is below it, in order, bounded ---- */

struct walk {
    const struct filesystem *fs;
    struct mcp_call *call;
    const struct globs *exclude; /* of paths from where it began; not entered; may be NULL */
    /* Called with each entry, before what is in it. `directory` is where it is, `path`
     * from where the walk began, `name` the end of it. False: enough. */
    bool (*visit)(struct walk *walk, int directory, const char *path, const char *name,
                  const struct stat *st);
    void (*leave)(struct walk *walk); /* after what was in a directory; may be NULL */
    int depth_max; /* 0: the walk's own; -1: no other directory */
    size_t seen_max; /* 0: the walk's own */
    void *context;
    /* Afterwards. */
    const char *truncated; /* NULL, or why: a clause */
    bool cancelled;
    /* Its own. */
    size_t seen;
    int64_t until_ns;
    char path[PATH_MAX];
};

/* The directory at the place. False: the call has been ended. */
bool walk_run(struct walk *walk, const struct place *place);
/* Looks at the clock and the call now and then, for a visit that takes long. */
bool walk_goes_on(struct walk *walk);

int64_t now_ns(void);
/* Until when a call may take, so that it still answers before mcpd says for it that time is
 * up: a part, or a reason, is better. INT64_MAX: it has no deadline. */
int64_t answer_until_ns(const struct mcp_call *call);

/* ---- write.c, diff.c, mime.c ---- */

/* A file that is replaced whole or not at all. */
struct replacement {
    int directory; /* O_PATH of where the file is */
    const char *name;
    const struct stat *old; /* NULL: there is none */
    bool unchanged; /* and it must still be that one, with this content */
    struct mcp_bytes content;
};

/* False with errno; ECANCELED, or ESTALE when it has changed. */
bool file_replace(const struct replacement *r, struct mcp_call *call);

/* A unified diff in the form of the tool "diff" of npm: "Index: NAME" and so on. */
void diff_add(struct text *out, const char *name, struct mcp_bytes before, struct mcp_bytes after);

/* By the first bytes, else by the ending of the name. */
const char *mime_type(const char *name, const char *data, size_t size);

/* ---- the tools ---- */

typedef int32_t tool_function(const struct filesystem *fs, struct mcp_call *call);

tool_function read_file; /* read.c */
tool_function read_text_file; /* lines.c */
tool_function read_media_file; /* media.c */
tool_function read_multiple_files; /* multiple.c */
tool_function write_file; /* write.c */
tool_function create_directory; /* create.c */
tool_function edit_file; /* edit.c */
tool_function move_file; /* move.c */
tool_function list_directory; /* list.c */
tool_function list_directory_with_sizes; /* sizes.c */
tool_function directory_tree; /* tree.c */
tool_function search_files; /* search.c */
tool_function search_content; /* content.c */
tool_function get_file_info; /* info.c */
tool_function list_allowed_directories; /* info.c */

/* ---- resources.c, watch.c ---- */

int32_t resources_list(void *self, const struct mcp_offer_sink *sink);
int32_t resources_templates(void *self, const struct mcp_offer_sink *sink);
int32_t resources_read(void *self, struct mcp_call *call);
/* "file:///srv/files/{+path}" */
void add_template(struct text *t, const struct root *root);
int32_t resources_complete(void *self, struct mcp_call *call); /* complete.c */

/* Without a watcher, nobody hears of changes; it has been logged. */
void watch_start(struct filesystem *fs);
void watch_stop(struct filesystem *fs);

/* Offers the tools, and calls one: tools.c. */
int32_t tools_offer(const struct filesystem *fs, const struct mcp_tool_sink *sink);
int32_t tools_call(const struct filesystem *fs, struct mcp_call *call);

#endif
