/* SPDX-License-Identifier: MIT */
/* git_commit: what is staged, as a commit on the current branch. */
#include "git.h"

#include <string.h>

#include "reading.h"
#include "stage.h"

struct committing {
    git_index *index;
    git_tree *tree;
    git_commit *parent; /* NULL: the first commit */
    git_signature *author;
    git_buf message;
    git_oid id;
};

static bool read_message(struct job *job, struct committing *c)
{
    struct mcp_bytes given = {"", 0};
    char text[65536];
    if (!job_string(job, "/message", &given))
        return false;
    if (given.size >= sizeof(text))
        return job_fail(job, "The message is longer than %zu bytes.", sizeof(text) - 1);
    if (memchr(given.data, '\0', given.size) != NULL)
        return job_fail(job, "The message has a NUL character in it.");
    memcpy(text, given.data, given.size);
    text[given.size] = '\0';
    int error = git_message_prettify(&c->message, text, 0, '#');
    if (error != 0)
        return job_fail_git(job, error, "read the message");
    return c->message.size > 0 || job_fail(job, "The message is empty.");
}

/* The parent, unless the branch is new. */
static bool read_head(struct job *job, struct committing *c)
{
    int state = git_repository_state(job->repo);
    if (state != GIT_REPOSITORY_STATE_NONE)
        return job_fail(job,
                        "A merge, rebase or the like is under way in this repository; it is to "
                        "be finished with git.");
    if (git_repository_head_unborn(job->repo) == 1)
        return true;
    git_object *head = NULL;
    int error = revision_head(job, GIT_OBJECT_COMMIT, &head);
    c->parent = (git_commit *)head;
    return error == 0 || job_fail_git(job, error, "read HEAD");
}

static bool write_tree(struct job *job, struct committing *c)
{
    git_oid id;
    int error = git_repository_index(&c->index, job->repo);
    if (error == 0)
        error = git_index_read(c->index, 1);
    if (error == 0 && git_index_has_conflicts(c->index))
        return job_fail(job, "There are conflicts in the index; resolve and add them first.");
    if (error == 0)
        error = git_index_write_tree(&id, c->index);
    if (error != 0)
        return job_fail_git(job, error, "write the tree");
    bool same = c->parent != NULL ? git_oid_equal(&id, git_commit_tree_id(c->parent))
                                  : git_index_entrycount(c->index) == 0;
    if (same)
        return job_fail(job, "Nothing is staged; git_add stages files.");
    error = git_tree_lookup(&c->tree, job->repo, &id);
    return error == 0 || job_fail_git(job, error, "write the tree");
}

static bool write_commit(struct job *job, struct committing *c)
{
    const git_commit *parents[] = {c->parent};
    int error =
        git_signature_now(&c->author, job->instance->author_name, job->instance->author_email);
    if (error == 0 && !job_cancelled(job))
        error = git_commit_create(&c->id, job->repo, "HEAD", c->author, c->author, NULL,
                                  c->message.ptr, c->tree, c->parent != NULL ? 1 : 0, parents);
    if (job->ended)
        return false;
    if (error == GIT_EMODIFIED)
        return job_fail(job, "Another program has committed meanwhile; look and try again.");
    return error == 0 || job_fail_git(job, error, "commit");
}

/* "[main (root-commit) 1234567] Subject". */
static void tell(struct job *job, const struct committing *c)
{
    git_reference *head = NULL;
    const char *branch = "detached HEAD";
    if (git_repository_head(&head, job->repo) == 0 && git_reference_is_branch(head))
        branch = git_reference_shorthand(head);
    text_addf(&job->words, "[%s%s ", branch, c->parent == NULL ? " (root-commit)" : "");
    add_short_id(&job->words, job->repo, &c->id);
    text_addf(&job->words, "] %.*s\n", (int)strcspn(c->message.ptr, "\n"), c->message.ptr);
    text_addf(&job->json, "{\"sha\":\"%s\",\"branch\":", git_oid_tostr_s(&c->id));
    add_string(&job->json, branch);
    text_adds(&job->json, "}");
    git_reference_free(head);
}

static bool commit(struct job *job)
{
    struct committing c = {.index = NULL};
    struct locked_index locked;
    /* The lock, so that nobody stages in between; git takes it, too. */
    bool good = index_lock(job, &locked) && read_message(job, &c) && read_head(job, &c) &&
                write_tree(job, &c) && write_commit(job, &c);
    if (good)
        tell(job, &c);
    index_unlock(&locked);
    git_index_free(c.index);
    git_tree_free(c.tree);
    git_commit_free(c.parent);
    git_signature_free(c.author);
    git_buf_dispose(&c.message);
    return good;
}

int32_t git_tool_commit(const struct instance *instance, struct mcp_call *call)
{
    struct job job;
    if (job_open(&job, instance, call, NEEDS_WORKTREE) && commit(&job))
        job_finish(&job);
    job_close(&job);
    return MCP_OK;
}
