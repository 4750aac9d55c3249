/* SPDX-License-Identifier: MIT */
/*
 * git_search: a text, not a pattern, in the messages of the history (git log --grep -F),
 * in what commits added or took away (git log -S), or in the files of a revision (git
 * grep -F).
 */
#include "git.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "reading.h"

/* git_tree_walk calls itself for each level. */
#define LEVELS_MAX 512
#define LEFT_OUT "what is nested deeper than 512 directories, or has a path of 4096 bytes or more"

struct search {
    char query[REVISION_MAX];
    size_t size;
    bool ignore_case;
    bool in_changes;
    struct diff_request limit; /* of the changes that are looked at: a path */
    const char *revision;
    int64_t skip, max, seen, shown;
    bool more;
    bool left_out; /* what is nested too deeply */
};

/* The next place of the query, or NULL. */
static const char *find(const struct search *s, const char *data, size_t size)
{
    if (!s->ignore_case)
        return memmem(data, size, s->query, s->size);
    for (size_t at = 0; at + s->size <= size; at++)
        if (strncasecmp(data + at, s->query, s->size) == 0)
            return data + at;
    return NULL;
}

static size_t count_in(const struct search *s, const char *data, size_t size)
{
    const char *end = data + size;
    size_t count = 0;
    for (const char *at = data; size > 0 && (at = find(s, at, (size_t)(end - at))) != NULL; count++)
        at += s->size;
    return count;
}

/* May a further hit be told? 1: it is the end. */
static int room_for_hit(struct job *job, struct search *s)
{
    if (s->seen++ < s->skip)
        return -1;
    if (s->shown == s->max || job_full(job)) {
        s->more = true;
        return 1;
    }
    if (s->shown++ > 0)
        text_adds(&job->json, ",");
    return 0;
}

/* ---- in changes ---- */

static int count_blob(const struct search *s, git_repository *repo, const git_diff_file *file,
                      size_t *count)
{
    git_blob *blob = NULL;
    *count = 0;
    if (git_oid_is_zero(&file->id) || file->mode == GIT_FILEMODE_COMMIT)
        return 0;
    int error = git_blob_lookup(&blob, repo, &file->id);
    if (error == 0)
        *count = count_in(s, git_blob_rawcontent(blob), (size_t)git_blob_rawsize(blob));
    git_blob_free(blob);
    return error;
}

/* 1: some file has the text more often or less often than before. */
static int diff_has(struct job *job, const struct search *s, git_diff *diff)
{
    int error = find_renames(job, diff);
    for (size_t i = 0; error == 0 && i < git_diff_num_deltas(diff); i++) {
        const git_diff_delta *delta = git_diff_get_delta(diff, i);
        size_t before, after;
        if (git_oid_equal(&delta->old_file.id, &delta->new_file.id))
            continue;
        error = count_blob(s, job->repo, &delta->old_file, &before);
        if (error == 0)
            error = count_blob(s, job->repo, &delta->new_file, &after);
        if (error == 0 && before != after)
            return 1;
    }
    return error;
}

/* Merges are passed over, as git log does. */
static int changes_have(struct job *job, struct search *s, git_commit *commit)
{
    git_tree *from = NULL, *to = NULL;
    git_commit *parent = NULL;
    git_diff *diff = NULL;
    git_diff_options options;
    if (git_commit_parentcount(commit) > 1)
        return 0;
    diff_options(job, &s->limit, &options);
    int error = git_commit_tree(&to, commit);
    if (error == 0 && git_commit_parentcount(commit) == 1) {
        error = git_commit_parent(&parent, commit, 0);
        if (error == GIT_ENOTFOUND && git_repository_is_shallow(job->repo))
            error = 0;
        if (error == 0 && parent != NULL)
            error = git_commit_tree(&from, parent);
    }
    if (error == 0)
        error = git_diff_tree_to_tree(&diff, job->repo, from, to, &options);
    if (error == 0)
        error = diff_has(job, s, diff);
    git_diff_free(diff);
    git_tree_free(from);
    git_tree_free(to);
    git_commit_free(parent);
    return error;
}

static int visit(struct job *job, git_commit *commit, void *data)
{
    struct search *s = data;
    const char *message = git_commit_message_raw(commit);
    int has =
        s->in_changes ? changes_have(job, s, commit) : find(s, message, strlen(message)) != NULL;
    if (has <= 0)
        return has;
    int end = room_for_hit(job, s);
    if (end != 0)
        return end > 0;
    if (s->shown > 1)
        text_adds(&job->words, "\n");
    add_commit_words(&job->words, commit);
    add_commit_json(&job->json, commit);
    return 0;
}

/* ---- in files ---- */

struct grep {
    struct job *job;
    struct search *search;
    const char *path; /* "": all */
    int error;
};

static int tell_line(struct grep *grep, const char *path, size_t number, const char *line,
                     size_t size)
{
    struct job *job = grep->job;
    int end = room_for_hit(job, grep->search);
    if (end != 0)
        return end > 0;
    text_add_utf8(&job->words, grep->search->revision, strlen(grep->search->revision));
    text_adds(&job->words, ":");
    text_add_utf8(&job->words, path, strlen(path));
    text_addf(&job->words, ":%zu:", number);
    text_add_utf8(&job->words, line, size);
    text_adds(&job->words, "\n");
    text_adds(&job->json, "{\"path\":");
    add_string(&job->json, path);
    text_addf(&job->json, ",\"line\":%zu,\"text\":", number);
    text_add_string(&job->json, line, size);
    text_adds(&job->json, "}");
    return 0;
}

static int tell_binary(struct grep *grep, const char *path)
{
    struct job *job = grep->job;
    int end = room_for_hit(job, grep->search);
    if (end != 0)
        return end > 0;
    text_addf(&job->words, "Binary file %s:", grep->search->revision);
    text_add_utf8(&job->words, path, strlen(path));
    text_adds(&job->words, " matches\n");
    text_adds(&job->json, "{\"path\":");
    add_string(&job->json, path);
    text_adds(&job->json, ",\"binary\":true}");
    return 0;
}

static int search_blob(struct grep *grep, const char *path, git_blob *blob)
{
    const char *data = git_blob_rawcontent(blob);
    size_t size = (size_t)git_blob_rawsize(blob), number = 1;
    const char *line = data, *end = data + size;
    if (size == 0 || find(grep->search, data, size) == NULL)
        return 0;
    if (git_blob_is_binary(blob))
        return tell_binary(grep, path);
    for (; line < end; number++) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        size_t length = (size_t)((stop != NULL ? stop : end) - line);
        if (find(grep->search, line, length) != NULL) {
            int enough = tell_line(grep, path, number, line, length);
            if (enough != 0)
                return enough;
        }
        line += length + 1;
    }
    return 0;
}

/* Is the path what was asked for, or beneath it (0); may something in it be (1)? */
static int matches(const char *wanted, const char *path)
{
    size_t length = strlen(wanted), size = strlen(path);
    if (length == 0 ||
        (strncmp(path, wanted, length) == 0 && (path[length] == '/' || path[length] == '\0')))
        return 0;
    return size < length && strncmp(path, wanted, size) == 0 && wanted[size] == '/' ? 1 : -1;
}

static size_t levels_of(const char *directory)
{
    size_t levels = 0;
    for (; *directory != '\0'; directory++)
        levels += *directory == '/';
    return levels;
}

/* 1: not into it. */
static int search_entry(const char *directory, const git_tree_entry *entry, void *data)
{
    struct grep *grep = data;
    char path[PATH_MAX];
    git_blob *blob = NULL;
    if (job_cancelled(grep->job))
        return -1;
    bool fits =
        snprintf(path, sizeof(path), "%s%s", directory, git_tree_entry_name(entry)) < PATH_MAX;
    int wanted = matches(grep->path, path);
    git_filemode_t mode = git_tree_entry_filemode(entry);
    if (wanted >= 0 && (!fits || (mode == GIT_FILEMODE_TREE && levels_of(directory) >= LEVELS_MAX)))
        grep->search->left_out = true;
    else if (mode == GIT_FILEMODE_TREE && wanted >= 0)
        return 0;
    if (!fits || mode == GIT_FILEMODE_TREE)
        return 1;
    /* git grep does not look into links and submodules. */
    if (wanted != 0 || (mode != GIT_FILEMODE_BLOB && mode != GIT_FILEMODE_BLOB_EXECUTABLE))
        return 0;
    grep->error = git_blob_lookup(&blob, grep->job->repo, git_tree_entry_id(entry));
    /* One file that is too large does not hide the others. */
    if (grep->error != 0 &&
        (grep->job->trouble == TROUBLE_TOO_LARGE || grep->job->trouble == TROUBLE_BASE_TOO_LARGE)) {
        grep->job->trouble = TROUBLE_NONE;
        grep->error = 0;
        return 0;
    }
    int enough = grep->error == 0 ? search_blob(grep, path, blob) : -1;
    git_blob_free(blob);
    return enough != 0 ? -1 : 0;
}

static bool search_files(struct job *job, struct search *s)
{
    struct grep grep = {.job = job, .search = s, .path = s->limit.path};
    git_object *object, *tree = NULL;
    if (!revision_object(job, s->revision, &object))
        return false;
    int error = git_object_peel(&tree, object, GIT_OBJECT_TREE);
    git_object_free(object);
    if (error == 0)
        error = git_tree_walk((git_tree *)tree, GIT_TREEWALK_PRE, search_entry, &grep);
    git_object_free(tree);
    if (grep.error != 0)
        return job_fail_git(job, grep.error, "search the files");
    if (error != 0 && !s->more)
        return job_fail_git(job, error, "search the files");
    return !job->ended;
}

/* ---- the tool ---- */

static bool arguments(struct job *job, struct search *s, char revision[REVISION_MAX],
                      struct mcp_bytes *where)
{
    struct mcp_bytes query = {"", 0}, given = MCP_STR("HEAD");
    if (!job_string(job, "/query", &query) || !job_string(job, "/in", where) ||
        !job_string(job, "/revision", &given) || !revision_word(job, "revision", given, revision) ||
        !path_argument(job, "/path", s->limit.path) ||
        !job_bool(job, "/ignore_case", &s->ignore_case) ||
        !job_integer(job, "/skip", 0, INT32_MAX, &s->skip) ||
        !job_integer(job, "/max_count", 1, job->instance->max_entries, &s->max))
        return false;
    if (query.size == 0 || query.size >= sizeof(s->query) ||
        memchr(query.data, '\n', query.size) != NULL ||
        memchr(query.data, '\0', query.size) != NULL)
        return job_fail(job, "The query must be one line of 1 to %d bytes.", REVISION_MAX - 1);
    memcpy(s->query, query.data, query.size);
    s->size = query.size;
    s->revision = revision;
    return true;
}

static bool search(struct job *job)
{
    struct search s = {.max = 50};
    struct mcp_bytes where = MCP_STR("files");
    struct range range;
    char revision[REVISION_MAX];
    if (!arguments(job, &s, revision, &where))
        return false;
    bool files = bytes_are(where, "files");
    s.in_changes = bytes_are(where, "changes");
    if (!files && !s.in_changes && !bytes_are(where, "messages"))
        return job_fail(job, "The argument \"in\" must be \"files\", \"messages\" or \"changes\".");
    struct walk_filter filter = {.path = s.limit.path};
    text_addf(&job->json, "{\"%s\":[", files ? "matches" : "commits");
    if (files ? !search_files(job, &s)
              : !revision_range(job, revision, &range) ||
                    !walk_history(job, &range, &filter, visit, &s))
        return false;
    text_addf(&job->json, "],\"truncated\":%s", s.more || s.left_out ? "true" : "false");
    if (s.more) {
        text_addf(&job->json, ",\"next_skip\":%lld", (long long)s.skip + s.shown);
        text_addf(&job->words, "[there are more; the next with \"skip\": %lld]\n",
                  (long long)s.skip + s.shown);
    }
    if (s.left_out) {
        text_adds(&job->json, ",\"left_out\":\"" LEFT_OUT "\"");
        text_adds(&job->words, "[left out: " LEFT_OUT "]\n");
    }
    text_adds(&job->json, "}");
    return true;
}

int32_t git_tool_search(const struct instance *instance, struct mcp_call *call)
{
    struct job job;
    if (job_open(&job, instance, call, 0) && search(&job))
        job_finish(&job);
    job_close(&job);
    return MCP_OK;
}
