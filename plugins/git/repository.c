/* SPDX-License-Identifier: MIT */
/* A job: opening the repository of a call, and ending the call. */
#include "git.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reading.h"

/* ---- ending ---- */

bool job_fail(struct job *job, const char *format, ...)
{
    if (job->ended)
        return false;
    char *sentence = NULL;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&sentence, format, arguments) < 0)
        sentence = NULL;
    va_end(arguments);
    fail_call(job->call, "%s", sentence != NULL ? sentence : "mcpd is out of memory.");
    free(sentence);
    job->ended = true;
    return false;
}

bool job_cancelled(struct job *job)
{
    if (job->trouble != TROUBLE_CANCELLED && !job->call->ops->is_cancelled(job->call))
        return false;
    job_fail(job, "The call was cancelled.");
    return true;
}

bool job_fail_git(struct job *job, int error, const char *doing)
{
    if (job_cancelled(job))
        return false;
    if (job->trouble == TROUBLE_TOO_LARGE)
        return job_fail(job,
                        "Cannot %s: an object in it is larger than the %lld bytes that mcpd reads "
                        "(max_object_size).",
                        doing, (long long)job->instance->max_object_size);
    if (job->trouble == TROUBLE_BASE_TOO_LARGE)
        return job_fail(job,
                        "Cannot %s: an object in it is packed as the difference to one that is "
                        "larger than the %lld bytes that mcpd reads (max_object_size).",
                        doing, (long long)job->instance->max_object_size);
    if (job->trouble == TROUBLE_MEMORY)
        return job_fail(job,
                        "Cannot %s: it needs more than %zu MiB of memory at once, as a file of the "
                        "repository, a difference or the number of paths says.",
                        doing, memory_most(job) >> 20);
    if (job->trouble == TROUBLE_DEPTH)
        return job_fail(job, "Cannot %s: the directories in the repository are nested too deeply.",
                        doing);
    const git_error *last = git_error_last();
    if (error == GIT_ELOCKED)
        return job_fail(job,
                        "Cannot %s: another program is working on the repository, or died at it "
                        "and left a file ending in .lock. Try again in a moment.",
                        doing);
    return job_fail(job, "Cannot %s: %s.", doing,
                    last != NULL && last->message != NULL ? last->message : "unknown reason");
}

/* A text that is empty would be taken for none, and there the JSON stands for it. */
static void finish_empty(struct job *job)
{
    struct text whole;
    text_init(&whole, job->json.size + 256);
    text_adds(&whole, "{\"content\":[{\"type\":\"text\",\"text\":\"\"}],\"structuredContent\":");
    text_add(&whole, job->json.data, job->json.size);
    text_adds(&whole, "}");
    job->call->ops->finish_result(job->call, text_bytes(&whole));
    text_free(&whole);
}

void job_finish(struct job *job)
{
    if (job->ended || job_cancelled(job))
        return;
    /* libgit2 goes on without a part of what it has no memory for, such as the index. */
    if (job->trouble == TROUBLE_MEMORY || job->trouble == TROUBLE_DEPTH) {
        job_fail_git(job, -1, "answer");
        return;
    }
    if (job->words.failed || job->json.failed) {
        job_fail(job, "The answer does not fit; ask for less of it.");
        return;
    }
    job->ended = true;
    if (job->words.size == 0)
        finish_empty(job);
    else
        job->call->ops->finish_structured(job->call, text_bytes(&job->words),
                                          text_bytes(&job->json));
}

bool job_full(const struct job *job)
{
    return job->words.size >= (uint64_t)job->instance->max_output;
}

bool job_string(struct job *job, const char *pointer, struct mcp_bytes *out)
{
    job->ended = job->ended || !argument_string(job->call, pointer, out);
    return !job->ended;
}

bool job_integer(struct job *job, const char *pointer, int64_t min, int64_t max, int64_t *out)
{
    job->ended = job->ended || !argument_integer(job->call, pointer, min, max, out);
    return !job->ended;
}

bool job_bool(struct job *job, const char *pointer, bool *out)
{
    job->ended = job->ended || !argument_bool(job->call, pointer, out);
    return !job->ended;
}

/* ---- opening ---- */

/* Are these the same directory, whatever slash one ends with? */
static bool same_path(const char *theirs, const char *ours)
{
    char real[PATH_MAX];
    return theirs != NULL && realpath(theirs, real) != NULL && strcmp(real, ours) == 0;
}

/* What libgit2 found must be what we looked through. */
static bool is_what_was_guarded(struct job *job)
{
    if (!same_path(git_repository_path(job->repo), job->gitdir) ||
        !same_path(git_repository_commondir(job->repo), job->commondir))
        return job_fail(job, "The repository %.*s was exchanged while it was opened.",
                        SHOW(job->given));
    if (git_repository_is_bare(job->repo)) {
        job->bare = true;
        return true;
    }
    if (same_path(git_repository_workdir(job->repo), job->top))
        return true;
    return job_fail(job,
                    "The configuration of %.*s puts its work tree elsewhere (core.worktree); mcpd "
                    "reads no repository that does.",
                    SHOW(job->given));
}

static bool open_repository(struct job *job)
{
    if (!config_check_format(job))
        return false;
    int error = git_repository_open_ext(&job->repo, job->top, GIT_REPOSITORY_OPEN_NO_SEARCH, NULL);
    if (error != 0)
        return job_fail_git(job, error, "open the repository");
    if (!is_what_was_guarded(job))
        return false;
    error = config_replace(job);
    if (error == 0)
        error = objects_replace(job);
    if (error == 0 && !job->instance->read_only)
        error = git_repository_set_ident(job->repo, job->instance->author_name,
                                         job->instance->author_email);
    return error == 0 || job_fail_git(job, error, "open the repository");
}

bool job_open(struct job *job, const struct instance *instance, struct mcp_call *call,
              unsigned needs)
{
    return job_open_at(job, instance, call, (struct mcp_bytes){NULL, 0}, needs);
}

bool job_open_at(struct job *job, const struct instance *instance, struct mcp_call *call,
                 struct mcp_bytes path, unsigned needs)
{
    *job = (struct job){.instance = instance, .call = call, .given = path, .top_fd = -1};
    /* Each with room for the members around what max_output bounds. */
    size_t most = (size_t)instance->max_output + 64 * 1024;
    text_init(&job->words, most);
    text_init(&job->json, 2 * most + (size_t)instance->max_entries * 512);
    memory_begin_job(job);
    if (job_cancelled(job) || !place_find(job) || !guard_repository(job) || !open_repository(job))
        return false;
    if (needs & NEEDS_WORKTREE) {
        if (job->bare)
            return job_fail(job, "%.*s is a bare repository: it has no work tree.",
                            SHOW(job->given));
        return guard_worktree(job);
    }
    return true;
}

void job_close(struct job *job)
{
    git_repository_free(job->repo);
    settings_free(job->settings);
    if (job->top_fd >= 0)
        close(job->top_fd);
    text_free(&job->words);
    text_free(&job->json);
    memory_end_job();
    git_error_clear();
}
