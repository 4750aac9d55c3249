/* SPDX-License-Identifier: MIT */
/* git_checkout: another branch, or another commit, in the work tree. What has been
 * changed there and is not committed is never overwritten. */
#include "git.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "reading.h"

#define CONFLICTS_SHOWN 20

struct moving {
    struct job *job;
    char name[REVISION_MAX];
    git_reference *branch; /* NULL: a commit */
    git_commit *commit;
    struct text conflicts;
    size_t conflict_count;
};

/* Where a submodule comes that the index does not have, libgit2 would look for its path by
 * a pattern in .gitmodules, see config_check_format. It writes the same into the index
 * afterwards; and nothing of it, when the checkout fails. */
static void know_submodule(struct moving *m, const git_diff_file *target)
{
    git_index *index = NULL;
    if (target == NULL || target->mode != GIT_FILEMODE_COMMIT)
        return;
    git_index_entry entry = {.path = target->path, .mode = GIT_FILEMODE_COMMIT, .id = target->id};
    if (git_repository_index(&index, m->job->repo) != 0 || git_index_add(index, &entry) != 0)
        git_error_clear();
    git_index_free(index);
}

static int on_notice(git_checkout_notify_t why, const char *path, const git_diff_file *baseline,
                     const git_diff_file *target, const git_diff_file *workdir, void *payload)
{
    struct moving *m = payload;
    (void)baseline;
    (void)workdir;
    if (why == GIT_CHECKOUT_NOTIFY_UPDATED)
        know_submodule(m, target);
    else if (m->conflict_count++ < CONFLICTS_SHOWN)
        text_addf(&m->conflicts, "%s%s", m->conflict_count > 1 ? ", " : "", path);
    return m->job->call->ops->is_cancelled(m->job->call) ? GIT_EUSER : 0;
}

/* A branch may be in one work tree at a time, and others have files of their own. */
static bool is_elsewhere(const struct job *job, const char *reference)
{
    char path[PATH_MAX], head[PATH_MAX], line[REVISION_MAX + 32], wanted[REVISION_MAX + 32];
    bool found = false;
    snprintf(wanted, sizeof(wanted), "ref: %s\n", reference);
    if (!path_join(path, job->commondir, "worktrees"))
        return false;
    int fd = place_open(job->root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;
    while (directory != NULL && !found && (entry = readdir(directory)) != NULL) {
        char one[PATH_MAX];
        if (entry->d_name[0] == '.' || !path_join(one, path, entry->d_name) ||
            strcmp(one, job->gitdir) == 0 || !path_join(head, one, "HEAD"))
            continue;
        found = place_read(job->root, head, line, sizeof(line)) > 0 && strcmp(line, wanted) == 0;
    }
    if (directory != NULL)
        closedir(directory);
    if (!found && strcmp(job->gitdir, job->commondir) != 0 &&
        path_join(head, job->commondir, "HEAD"))
        found = place_read(job->root, head, line, sizeof(line)) > 0 && strcmp(line, wanted) == 0;
    return found;
}

static bool find_target(struct moving *m)
{
    struct job *job = m->job;
    struct mcp_bytes given = {"", 0};
    if (!job_string(job, "/branch_name", &given) ||
        !revision_word(job, "branch_name", given, m->name))
        return false;
    if (git_branch_lookup(&m->branch, job->repo, m->name, GIT_BRANCH_LOCAL) != 0)
        return revision_commit(job, m->name, &m->commit);
    if (is_elsewhere(job, git_reference_name(m->branch)))
        return job_fail(job, "The branch %s is in another work tree.", m->name);
    git_object *tip = NULL;
    int error = git_reference_peel(&tip, m->branch, GIT_OBJECT_COMMIT);
    m->commit = (git_commit *)tip;
    return error == 0 || job_fail_git(job, error, "read the branch");
}

static bool write_files(struct moving *m)
{
    struct job *job = m->job;
    git_checkout_options options;
    git_checkout_options_init(&options, GIT_CHECKOUT_OPTIONS_VERSION);
    options.checkout_strategy = GIT_CHECKOUT_SAFE;
    options.notify_flags = GIT_CHECKOUT_NOTIFY_CONFLICT | GIT_CHECKOUT_NOTIFY_UPDATED;
    options.notify_cb = on_notice;
    options.notify_payload = m;
    int error = git_checkout_tree(job->repo, (const git_object *)m->commit, &options);
    if (error == 0)
        return true;
    if (m->conflict_count > 0 && error == GIT_ECONFLICT)
        return job_fail(job,
                        "Cannot change to %s: these files would be overwritten: %s%s. Commit them, "
                        "or put them elsewhere, first.",
                        m->name, m->conflicts.data,
                        m->conflict_count > CONFLICTS_SHOWN ? ", ..." : "");
    return job_fail_git(job, error, "change the files");
}

static void name_of_head(struct job *job, char out[REVISION_MAX])
{
    git_reference *head = NULL;
    snprintf(out, REVISION_MAX, "%s", "HEAD");
    if (git_repository_head(&head, job->repo) == 0)
        snprintf(out, REVISION_MAX, "%s",
                 git_reference_is_branch(head) ? git_reference_shorthand(head)
                                               : git_oid_tostr_s(git_reference_target(head)));
    git_reference_free(head);
}

/* Not git_repository_set_head, which opens every other work tree, wherever it is. */
static int move_head(struct moving *m)
{
    char from[REVISION_MAX], words[3 * REVISION_MAX];
    git_reference *head = NULL;
    name_of_head(m->job, from);
    snprintf(words, sizeof(words), "checkout: moving from %s to %s", from, m->name);
    int error =
        m->branch != NULL
            ? git_reference_symbolic_create(&head, m->job->repo, "HEAD",
                                            git_reference_name(m->branch), 1, words)
            : git_reference_create(&head, m->job->repo, "HEAD", git_commit_id(m->commit), 1, words);
    git_reference_free(head);
    return error;
}

static bool checkout(struct job *job)
{
    struct moving m = {.job = job};
    text_init(&m.conflicts, 64 * 1024);
    bool good = find_target(&m) && write_files(&m);
    if (good) {
        int error = move_head(&m);
        good = error == 0 || job_fail_git(job, error, "move HEAD");
    }
    if (good && m.branch != NULL)
        text_addf(&job->words, "Switched to branch '%s'\n", m.name);
    else if (good)
        text_addf(&job->words, "HEAD is now at %s (detached)\n",
                  git_oid_tostr_s(git_commit_id(m.commit)));
    if (good) {
        text_addf(&job->json, "{\"sha\":\"%s\",\"detached\":%s",
                  git_oid_tostr_s(git_commit_id(m.commit)), m.branch != NULL ? "false" : "true");
        if (m.branch != NULL) {
            add_key(&job->json, "branch");
            add_string(&job->json, m.name);
        }
        text_adds(&job->json, "}");
    }
    text_free(&m.conflicts);
    git_reference_free(m.branch);
    git_commit_free(m.commit);
    return good;
}

int32_t git_tool_checkout(const struct instance *instance, struct mcp_call *call)
{
    struct job job;
    if (job_open(&job, instance, call, NEEDS_WORKTREE) && checkout(&job))
        job_finish(&job);
    job_close(&job);
    return MCP_OK;
}
