/* SPDX-License-Identifier: MIT */
/* git_status: what `git status --short --branch` prints. */
#include "git.h"

#include <stdlib.h>
#include <string.h>

/* One path. */
struct row {
    char index, worktree; /* git's letters */
    const char *path, *old_path; /* old_path: NULL, or where it was renamed from */
};

static char index_letter(unsigned status)
{
    if (status & GIT_STATUS_INDEX_NEW)
        return 'A';
    if (status & GIT_STATUS_INDEX_RENAMED)
        return 'R';
    if (status & GIT_STATUS_INDEX_DELETED)
        return 'D';
    if (status & GIT_STATUS_INDEX_TYPECHANGE)
        return 'T';
    return status & GIT_STATUS_INDEX_MODIFIED ? 'M' : ' ';
}

static char worktree_letter(unsigned status)
{
    if (status & GIT_STATUS_WT_DELETED)
        return 'D';
    if (status & GIT_STATUS_WT_TYPECHANGE)
        return 'T';
    return status & GIT_STATUS_WT_MODIFIED ? 'M' : ' ';
}

/* Which of the three sides of a conflict there are. */
static void conflict_letters(git_index *index, struct row *row)
{
    static const char letters[8][3] = {"UU", "DD", "AU", "UD", "UA", "DU", "AA", "UU"};
    const git_index_entry *base = NULL, *ours = NULL, *theirs = NULL;
    size_t sides = 0;
    if (git_index_conflict_get(&base, &ours, &theirs, index, row->path) == 0)
        sides = (base != NULL ? 1u : 0u) | (ours != NULL ? 2u : 0u) | (theirs != NULL ? 4u : 0u);
    row->index = letters[sides][0];
    row->worktree = letters[sides][1];
}

static struct row row_of(const git_status_entry *entry, git_index *index)
{
    const git_diff_delta *delta =
        entry->head_to_index != NULL ? entry->head_to_index : entry->index_to_workdir;
    struct row row = {.path = delta->new_file.path};
    if (entry->status & GIT_STATUS_WT_NEW) {
        row.index = row.worktree = '?';
    } else if (entry->status & GIT_STATUS_CONFLICTED) {
        conflict_letters(index, &row);
    } else {
        row.index = index_letter(entry->status);
        row.worktree = worktree_letter(entry->status);
        if (entry->status & GIT_STATUS_INDEX_RENAMED)
            row.old_path = delta->old_file.path;
    }
    return row;
}

/* What git tracks first, then what it does not, each by name. */
static int by_kind_and_path(const void *a, const void *b)
{
    const struct row *left = a, *right = b;
    if ((left->index == '?') != (right->index == '?'))
        return left->index == '?' ? 1 : -1;
    return strcmp(left->path, right->path);
}

/* ---- the branch ---- */

static void add_tracking(struct job *job, git_reference *head)
{
    git_reference *upstream = NULL;
    size_t ahead = 0, behind = 0;
    if (git_branch_upstream(&upstream, head) != 0)
        return;
    const char *name = git_reference_shorthand(upstream);
    text_addf(&job->words, "...%s", name);
    add_key(&job->json, "upstream");
    add_string(&job->json, name);
    const git_oid *ours = git_reference_target(head), *theirs = git_reference_target(upstream);
    if (ours != NULL && theirs != NULL &&
        git_graph_ahead_behind(&ahead, &behind, job->repo, ours, theirs) == 0) {
        if (ahead > 0 && behind > 0)
            text_addf(&job->words, " [ahead %zu, behind %zu]", ahead, behind);
        else if (ahead > 0 || behind > 0)
            text_addf(&job->words, " [%s %zu]", ahead > 0 ? "ahead" : "behind", ahead + behind);
        text_addf(&job->json, ",\"ahead\":%zu,\"behind\":%zu", ahead, behind);
    }
    git_reference_free(upstream);
}

static void add_unborn(struct job *job)
{
    git_reference *head = NULL;
    const char *name = "";
    if (git_reference_lookup(&head, job->repo, "HEAD") == 0 &&
        git_reference_symbolic_target(head) != NULL)
        name = git_reference_symbolic_target(head);
    if (strncmp(name, "refs/heads/", 11) == 0)
        name += 11;
    text_addf(&job->words, "## No commits yet on %s\n", name);
    add_key(&job->json, "branch");
    add_string(&job->json, name);
    git_reference_free(head);
}

static bool add_branch(struct job *job)
{
    git_reference *head = NULL;
    int error = git_repository_head(&head, job->repo);
    if (error == GIT_EUNBORNBRANCH) {
        add_unborn(job);
        return true;
    }
    if (error != 0)
        return job_fail_git(job, error, "read HEAD");
    if (git_reference_is_branch(head)) {
        text_addf(&job->words, "## %s", git_reference_shorthand(head));
        add_key(&job->json, "branch");
        add_string(&job->json, git_reference_shorthand(head));
        add_tracking(job, head);
    } else {
        text_adds(&job->words, "## HEAD (no branch)");
    }
    text_adds(&job->words, "\n");
    add_key(&job->json, "head");
    add_string(&job->json, git_oid_tostr_s(git_reference_target(head)));
    git_reference_free(head);
    return true;
}

/* ---- the files ---- */

static void add_row(struct job *job, const struct row *row, bool first)
{
    text_addf(&job->words, "%c%c ", row->index, row->worktree);
    if (row->old_path != NULL) {
        add_path(&job->words, row->old_path, true);
        text_adds(&job->words, " -> ");
    }
    add_path(&job->words, row->path, true);
    text_adds(&job->words, "\n");
    text_addf(&job->json, "%s{\"path\":", first ? "" : ",");
    add_string(&job->json, row->path);
    if (row->old_path != NULL) {
        text_adds(&job->json, ",\"old_path\":");
        add_string(&job->json, row->old_path);
    }
    text_addf(&job->json, ",\"index\":\"%c\",\"worktree\":\"%c\"}", row->index, row->worktree);
}

static void add_rows(struct job *job, const struct row *rows, size_t count, size_t skip)
{
    size_t shown = 0;
    add_key(&job->json, "entries");
    text_adds(&job->json, "[");
    for (size_t i = skip; i < count && shown < (uint64_t)job->instance->max_entries; i++) {
        if (job_full(job))
            break;
        add_row(job, &rows[i], shown == 0);
        shown++;
    }
    bool truncated = skip + shown < count;
    text_addf(&job->json, "],\"total\":%zu,\"truncated\":%s", count, truncated ? "true" : "false");
    if (truncated) {
        text_addf(&job->json, ",\"next_skip\":%zu", skip + shown);
        text_addf(&job->words, "[%zu of %zu entries; the next with \"skip\": %zu]\n", shown, count,
                  skip + shown);
    }
}

static bool list_files(struct job *job, size_t skip)
{
    git_status_list *list = NULL;
    git_index *index = NULL;
    struct row *rows = NULL;
    git_status_options options;
    git_status_options_init(&options, GIT_STATUS_OPTIONS_VERSION);
    options.show = GIT_STATUS_SHOW_INDEX_AND_WORKDIR;
    options.flags = GIT_STATUS_OPT_INCLUDE_UNTRACKED | GIT_STATUS_OPT_RENAMES_HEAD_TO_INDEX |
                    GIT_STATUS_OPT_EXCLUDE_SUBMODULES | GIT_STATUS_OPT_RENAMES_FROM_REWRITES;
    int error = git_status_list_new(&list, job->repo, &options);
    if (error == 0)
        error = git_repository_index(&index, job->repo);
    size_t count = error == 0 ? git_status_list_entrycount(list) : 0;
    if (error == 0 && (rows = calloc(count + 1, sizeof(rows[0]))) == NULL)
        error = -1;
    if (error == 0) {
        for (size_t i = 0; i < count; i++)
            rows[i] = row_of(git_status_byindex(list, i), index);
        if (count > 1)
            qsort(rows, count, sizeof(rows[0]), by_kind_and_path);
        add_rows(job, rows, count, skip);
    }
    free(rows);
    git_index_free(index);
    git_status_list_free(list);
    return error == 0 || job_fail_git(job, error, "read the status");
}

int32_t git_tool_status(const struct instance *instance, struct mcp_call *call)
{
    struct job job;
    int64_t skip = 0;
    bool good = job_open(&job, instance, call, NEEDS_WORKTREE) &&
                job_integer(&job, "/skip", 0, INT32_MAX, &skip);
    text_adds(&job.json, "{");
    if (good && add_branch(&job) && list_files(&job, (size_t)skip)) {
        text_adds(&job.json, "}");
        job_finish(&job);
    }
    job_close(&job);
    return MCP_OK;
}
