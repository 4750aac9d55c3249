/* SPDX-License-Identifier: MIT */
/*
 * The git plugin: repositories below directories that the operator allowed, read, and
 * if the operator says so changed, with libgit2. No git command is run, and nothing that
 * a repository names is: no hook, no external filter, no diff driver, no file system
 * monitor. For that a repository's own words are not trusted:
 *
 *     place.c       finds the directory beneath an allowed one, by the kernel (openat2)
 *     guard.c       looks through the git directory before libgit2 does: links that lead
 *                   out, FIFOs, configurations that include others, alternates
 *     repository.c  opens it, and proves that what libgit2 opened is what was looked at
 *     config.c      gives libgit2 a configuration of a few harmless keys in place of the
 *                   repository's
 *     objects.c     stands between libgit2 and the objects: bounds their size, and ends
 *                   every walk when the call is cancelled
 *     memory.c      bounds what libgit2 takes because a repository says that it is needed,
 *                   and how deep it follows trees in trees
 *
 * A repository is opened anew for each call and belongs to it, so calls share nothing.
 */
#ifndef GIT_PLUGIN_H
#define GIT_PLUGIN_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>

#include <git2.h>
#if __has_include(<git2/sys/errors.h>) /* libgit2 1.8 put git_error_set_str there */
#include <git2/sys/errors.h>
#endif
#include <mcp/plugin.h>

#include "beneath.h"
#include "roots.h"
#include "text.h"

/* One instance. Constant between start and stop, so calls need no lock. */
struct instance {
    const struct mcp_host *host;
    struct roots roots; /* allowed_paths */
    bool read_only;
    char *author_name, *author_email;
    int64_t max_output; /* bytes of text in one answer */
    int64_t max_entries; /* of a list in one answer */
    int64_t max_object_size; /* bytes of an object or a file that are read at all */
};

/* What ended a job early, for the sentence at its end. */
enum trouble {
    TROUBLE_NONE,
    TROUBLE_CANCELLED,
    TROUBLE_TOO_LARGE,
    TROUBLE_BASE_TOO_LARGE,
    TROUBLE_MEMORY,
    TROUBLE_DEPTH
};

/* One call, and its repository. */
struct job {
    const struct instance *instance;
    struct mcp_call *call;
    const struct root *root;
    struct mcp_bytes given; /* repo_path as the client wrote it, for messages */
    char top[PATH_MAX]; /* what repo_path leads to: the work tree, or a bare repository */
    char gitdir[PATH_MAX], commondir[PATH_MAX]; /* real paths, like top */
    int top_fd; /* O_PATH, of top */
    git_repository *repo;
    struct settings *settings; /* config.c's; freed after repo */
    bool bare;
    bool ended; /* the call has been */
    enum trouble trouble;
    struct text words, json; /* the answer */
};

/* ---- health.c ---- */

int32_t check_health(void *self, struct mcp_call *call);

/* ---- place.c ---- */

/* Finds the directory of job->given, or if that has no data of the argument "repo_path";
 * false: the call has been ended. */
bool place_find(struct job *job);
/* The real path of a directory that a file in the repository names, absolute or relative
 * to `base`; false when it is not beneath the root, or there is none. */
bool place_confine(const struct root *root, const char *base, const char *path, char out[PATH_MAX]);
/* Opens beneath the root what has this real path. -1 with errno. */
int place_open(const struct root *root, const char *real, int flags, uint64_t resolve);
/* Reads a small file beneath the root, never through a link and never waiting. Its size
 * with a NUL behind, or -1 with errno (EFBIG: larger than `size` - 1). */
ssize_t place_read(const struct root *root, const char *real, char *out, size_t size);
bool path_join(char out[PATH_MAX], const char *directory, const char *name);

/* ---- guard.c ---- */

/* Finds gitdir and commondir, and looks through them. */
bool guard_repository(struct job *job);
/* Looks through the work tree for what libgit2 would read of itself: .gitignore,
 * .gitattributes and .gitmodules must be regular files. */
bool guard_worktree(struct job *job);

/* ---- config.c, objects.c ---- */

/* Before the repository is opened: false: the call has been ended. */
bool config_check_format(struct job *job);
/* In place of the repository's configuration, one of the keys that we know. */
int config_replace(struct job *job);
void settings_free(struct settings *settings);
/* The objects of the repository and of the alternates that stay inside, bounded. */
int objects_replace(struct job *job);
/* An objects directory that another one names in info/alternates; false: the call has been
 * ended. `out` gets the real path of line `index`, or "" when there are no more. */
bool objects_alternate(struct job *job, const char *objects, size_t index, char out[PATH_MAX]);

/* ---- memory.c: how much of it libgit2 may take ---- */

/* Once for the process, between git_libgit2_init and git_libgit2_shutdown. */
bool memory_begin(void);
void memory_end(void); /* after it */
/* What libgit2 may take at once, and what the trouble of the job is when it asks for more. */
struct bound {
    size_t most;
    enum trouble otherwise;
};
/* While a job lasts, its thread has a bound, at first a multiple of max_object_size, which is
 * also the bound of all that it holds; and a cancelled call soon gets nothing. */
void memory_begin_job(struct job *job);
void memory_end_job(void);
/* Sets another one; returns the one before. */
struct bound memory_bound(struct bound next);
/* For what would leak if it ended in the middle: a cancelled call gets memory until then. */
void memory_insist(bool on);
size_t memory_most(const struct job *job); /* the first one's */
size_t memory_left(const struct job *job); /* of it, for the job of this thread */

/* ---- repository.c ---- */

#define NEEDS_WORKTREE 1u /* refuses bare repositories, and guards the work tree */

/* Opens the repository of the call. False: the call has been ended. */
bool job_open(struct job *job, const struct instance *instance, struct mcp_call *call,
              unsigned needs);
/* The same with the repository at `path`; {NULL, 0}: the argument "repo_path" says. */
bool job_open_at(struct job *job, const struct instance *instance, struct mcp_call *call,
                 struct mcp_bytes path, unsigned needs);
void job_close(struct job *job);

/* Ends the call with a failure, unless it has been ended; returns false. */
bool job_fail(struct job *job, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same for what libgit2 says; `doing` is "read the log". */
bool job_fail_git(struct job *job, int error, const char *doing);
/* True when the call was cancelled, which it has then been told. */
bool job_cancelled(struct job *job);
/* Ends the call with job->words and job->json. */
void job_finish(struct job *job);
/* Room for a further entry or text in the answer? */
bool job_full(const struct job *job);

/* Arguments, as in reading.h, with the call ended on false. */
bool job_string(struct job *job, const char *pointer, struct mcp_bytes *out);
bool job_integer(struct job *job, const char *pointer, int64_t min, int64_t max, int64_t *out);
bool job_bool(struct job *job, const char *pointer, bool *out);

/* ---- revision.c ---- */

#define REVISION_MAX 1024

/* Copies an argument that names something; refuses what is empty, too long, has control
 * characters or could be taken for an option. */
bool revision_word(struct job *job, const char *what, struct mcp_bytes given,
                   char out[REVISION_MAX]);
/* What HEAD points to; an error of libgit2's. Unlike git_revparse_single, it keeps no memory
 * when it is cancelled. */
int revision_head(const struct job *job, git_object_t type, git_object **out);
/* What the revision names. */
bool revision_object(struct job *job, const char *revision, git_object **out);
/* The same, peeled to a commit. */
bool revision_commit(struct job *job, const char *revision, git_commit **out);

/* A revision or a range, resolved. */
struct range {
    bool is_range; /* "a..b" or "a...b" */
    bool symmetric;
    git_oid from, to; /* commits; a single revision is `to` */
};
bool revision_range(struct job *job, const char *revision, struct range *out);

/* The argument "path": relative to the repository, "" when absent; "." and what climbs
 * out is refused. */
bool path_argument(struct job *job, const char *pointer, char out[PATH_MAX]);
bool path_check(struct job *job, struct mcp_bytes given, char out[PATH_MAX]);

/* ---- words.c: what git prints ---- */

void add_path(struct text *t, const char *path, bool quote_spaces);
void add_date(struct text *t, const git_time *when); /* Thu Apr 7 15:13:13 2005 -0700 */
void add_date_iso(struct text *t, const git_time *when); /* 2005-04-07T15:13:13-07:00 */
void add_string(struct text *t, const char *nul_terminated); /* JSON */
/* The header and message of `git log`; with `ids` shortened as git does. */
void add_commit_words(struct text *t, git_commit *commit);
void add_message(struct text *t, const char *message); /* indented by 4 */
void add_commit_json(struct text *t, git_commit *commit);
/* The name of a tree entry's mode: "100644". */
void add_short_id(struct text *t, git_repository *repo, const git_oid *id);
/* A member with a comma before it unless it is the first. */
void add_key(struct text *t, const char *key);

/* ---- walk.c: history in git's order ---- */

/* What to leave out of a walk. */
struct walk_filter {
    const char *path; /* NULL or "": all */
    bool has_since, has_until, first_parent;
    int64_t since, until;
    const char *author; /* a part of "Name <address>", NULL: all */
};
/* Called for each commit that passes. 0: go on; 1: enough. */
typedef int walk_visit(struct job *job, git_commit *commit, void *data);
/* Begins at range->to. False: the call has been ended. */
bool walk_history(struct job *job, const struct range *range, const struct walk_filter *filter,
                  walk_visit *visit, void *data);

/* ---- diff.c ---- */

struct diff_request {
    int64_t context_lines;
    int64_t offset; /* into the text */
    char format[16]; /* "patch", "stat", "name-status" */
    char path[PATH_MAX]; /* "": all */
    char *paths[1]; /* the same, as diff_options hands it on */
};
bool diff_arguments(struct job *job, struct diff_request *request);
void diff_options(const struct job *job, struct diff_request *request, git_diff_options *options);
/* The diff as text behind job->words, and as members "files", "patch", ... behind what
 * job->json has. Consumes the diff. */
bool diff_answer(struct job *job, git_diff *diff, const struct diff_request *request,
                 size_t words_before);

/* ---- similarity.c, stat.c ---- */

/* As `git diff` does without further options. */
int find_renames(struct job *job, git_diff *diff);
/* "a.c | 2 +-" for each file, and the sum. */
int diff_stat(git_diff *diff, struct text *t);

/* ---- the tools ---- */

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

typedef int32_t tool_function(const struct instance *instance, struct mcp_call *call);
tool_function git_tool_status, git_tool_diff_unstaged, git_tool_diff_staged, git_tool_diff;
tool_function git_tool_log, git_tool_show, git_tool_branch, git_tool_tags, git_tool_blame;
tool_function git_tool_show_file, git_tool_search;
tool_function git_tool_add, git_tool_reset, git_tool_commit, git_tool_create_branch;
tool_function git_tool_checkout;

/* ---- tools.c ---- */

struct tool_row {
    tool_function *run;
    bool writes;
    const char *name;
    const char *title;
    const char *description;
    const char *input; /* further properties, each with a comma before it */
    const char *required; /* required arguments: "\"a\",\"b\"" */
    const char *output; /* properties */
    const char *output_required;
    const char *hints; /* annotations */
};
extern const struct tool_row tools[];
extern const size_t tool_count;

#endif
