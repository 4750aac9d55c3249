/* SPDX-License-Identifier: MIT */
/* git_show: a commit with what it changed, a tag with what it names, a directory. */
#include "git.h"

#include <string.h>

#include "reading.h"

static int first_diff(struct job *job, git_commit *commit, const git_diff_options *options,
                      git_diff **diff)
{
    git_commit *parent = NULL;
    git_tree *from = NULL, *to = NULL;
    int error = git_commit_tree(&to, commit);
    if (error == 0 && git_commit_parentcount(commit) > 0) {
        error = git_commit_parent(&parent, commit, 0);
        if (error == GIT_ENOTFOUND && git_repository_is_shallow(job->repo))
            error = 0; /* the history was cut here */
        if (error == 0 && parent != NULL)
            error = git_commit_tree(&from, parent);
    }
    if (error == 0)
        error = git_diff_tree_to_tree(diff, job->repo, from, to, options);
    git_commit_free(parent);
    git_tree_free(from);
    git_tree_free(to);
    return error;
}

static bool show_commit(struct job *job, git_commit *commit, struct diff_request *request)
{
    git_diff_options options;
    git_diff *diff = NULL;
    add_key(&job->json, "commit");
    add_commit_json(&job->json, commit);
    /* What comes later is the rest of the diff alone. */
    if (request->offset == 0)
        add_commit_words(&job->words, commit);
    if (job_full(job))
        return job_fail(job, "The message of the commit is larger than max_output.");
    diff_options(job, request, &options);
    int error = first_diff(job, commit, &options, &diff);
    if (error != 0)
        return job_fail_git(job, error, "make the diff");
    if (request->offset == 0 && git_diff_num_deltas(diff) > 0)
        text_adds(&job->words, "\n");
    return diff_answer(job, diff, request, job->words.size);
}

static bool show_tag(struct job *job, git_tag *tag, struct diff_request *request)
{
    const git_signature *tagger = git_tag_tagger(tag);
    const char *message = git_tag_message(tag) != NULL ? git_tag_message(tag) : "";
    git_object *target = NULL;
    if (request->offset == 0) {
        text_addf(&job->words, "tag %s\n", git_tag_name(tag));
        if (tagger != NULL) {
            text_addf(&job->words, "Tagger: %s <%s>\nDate:   ", tagger->name, tagger->email);
            add_date(&job->words, &tagger->when);
            text_adds(&job->words, "\n");
        }
        text_adds(&job->words, "\n");
        text_add_utf8(&job->words, message, strlen(message));
        text_adds(&job->words, "\n");
    }
    add_key(&job->json, "tag");
    text_adds(&job->json, "{\"name\":");
    add_string(&job->json, git_tag_name(tag));
    text_adds(&job->json, ",\"message\":");
    add_string(&job->json, message);
    text_adds(&job->json, "}");
    int error = git_tag_peel(&target, tag);
    bool good = error == 0 || job_fail_git(job, error, "read the tag");
    if (good && git_object_type(target) == GIT_OBJECT_COMMIT)
        good = show_commit(job, (git_commit *)target, request);
    else if (good)
        good = job_fail(job, "The tag %s names a %s, not a commit.", git_tag_name(tag),
                        git_object_type2string(git_object_type(target)));
    git_object_free(target);
    return good;
}

static bool show_tree(struct job *job, const git_tree *tree, const char *revision,
                      struct diff_request *request)
{
    size_t count = git_tree_entrycount(tree), at = (size_t)request->offset;
    size_t end = at;
    text_addf(&job->words, "tree %s\n\n", revision);
    add_key(&job->json, "entries");
    text_adds(&job->json, "[");
    for (; end < count && end - at < (uint64_t)job->instance->max_entries && !job_full(job);
         end++) {
        const git_tree_entry *entry = git_tree_entry_byindex(tree, end);
        bool directory = git_tree_entry_type(entry) == GIT_OBJECT_TREE;
        text_add_utf8(&job->words, git_tree_entry_name(entry), strlen(git_tree_entry_name(entry)));
        text_adds(&job->words, directory ? "/\n" : "\n");
        text_addf(&job->json, "%s{\"mode\":\"%06o\",\"sha\":\"%s\",\"name\":", end > at ? "," : "",
                  (unsigned)git_tree_entry_filemode_raw(entry),
                  git_oid_tostr_s(git_tree_entry_id(entry)));
        add_string(&job->json, git_tree_entry_name(entry));
        text_adds(&job->json, "}");
    }
    text_addf(&job->json, "],\"truncated\":%s", end < count ? "true" : "false");
    if (end < count) {
        text_addf(&job->json, ",\"next_offset\":%zu", end);
        text_addf(&job->words, "[cut here; the rest with \"offset\": %zu]\n", end);
    }
    return true;
}

static bool show(struct job *job)
{
    struct diff_request request;
    struct mcp_bytes given = MCP_STR("HEAD");
    char revision[REVISION_MAX];
    git_object *object;
    if (!job_string(job, "/revision", &given) || !revision_word(job, "revision", given, revision) ||
        !diff_arguments(job, &request) || !revision_object(job, revision, &object))
        return false;
    bool good;
    text_addf(&job->json, "{\"type\":\"%s\",\"sha\":\"%s\"",
              git_object_type2string(git_object_type(object)),
              git_oid_tostr_s(git_object_id(object)));
    switch (git_object_type(object)) {
    case GIT_OBJECT_COMMIT:
        good = show_commit(job, (git_commit *)object, &request);
        break;
    case GIT_OBJECT_TAG:
        good = show_tag(job, (git_tag *)object, &request);
        break;
    case GIT_OBJECT_TREE:
        good = show_tree(job, (git_tree *)object, revision, &request);
        break;
    default:
        good = job_fail(job, "\"%s\" is a file; git_show_file reads it.", revision);
    }
    git_object_free(object);
    return good;
}

int32_t git_tool_show(const struct instance *instance, struct mcp_call *call)
{
    struct job job;
    if (job_open(&job, instance, call, 0) && show(&job)) {
        text_adds(&job.json, "}");
        job_finish(&job);
    }
    job_close(&job);
    return MCP_OK;
}
