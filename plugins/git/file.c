/* SPDX-License-Identifier: MIT */
/* git_show_file: a file as it was at a revision. */
#include "git.h"

#include <inttypes.h>
#include <string.h>

#include "encoding.h"
#include "reading.h"

/* The entry of the path in what the revision names. */
static bool find_entry(struct job *job, const char *revision, const char *path,
                       git_tree_entry **out)
{
    git_object *object, *tree = NULL;
    if (path[0] == '\0')
        return job_fail(job, "The path names no file.");
    if (!revision_object(job, revision, &object))
        return false;
    int error = git_object_peel(&tree, object, GIT_OBJECT_TREE);
    git_object_free(object);
    if (error == 0)
        error = git_tree_entry_bypath(out, (git_tree *)tree, path);
    git_object_free(tree);
    if (error == GIT_ENOTFOUND)
        return job_fail(job, "There is no %s at %s.", path, revision);
    return error == 0 || job_fail_git(job, error, "find the file");
}

struct reading {
    int64_t offset, limit;
    bool base64;
};

static bool reading_arguments(struct job *job, struct reading *r)
{
    struct mcp_bytes encoding = MCP_STR("utf-8");
    r->limit = job->instance->max_output;
    if (!job_integer(job, "/offset", 0, INT64_MAX / 2, &r->offset) ||
        !job_integer(job, "/limit", 1, job->instance->max_output, &r->limit) ||
        !job_string(job, "/encoding", &encoding))
        return false;
    r->base64 = bytes_are(encoding, "base64");
    if (!r->base64 && !bytes_are(encoding, "utf-8"))
        return job_fail(job, "The encoding must be \"utf-8\" or \"base64\".");
    if (r->base64 && r->limit > job->instance->max_output / 4 * 3)
        r->limit = job->instance->max_output / 4 * 3;
    return true;
}

static bool answer_content(struct job *job, const char *path, git_tree_entry *entry, git_blob *blob,
                           const struct reading *r)
{
    uint64_t size = git_blob_rawsize(blob);
    uint64_t from = (uint64_t)r->offset < size ? (uint64_t)r->offset : size;
    uint64_t left = size - from;
    size_t bytes = (size_t)(left < (uint64_t)r->limit ? left : (uint64_t)r->limit);
    const char *data = (const char *)git_blob_rawcontent(blob) + from;
    if (!r->base64) {
        size_t good = utf8_prefix(data, bytes);
        bool cut = bytes < left && good > 0 && utf8_unfinished(data + good, bytes - good);
        if (good < bytes && !cut)
            return job_fail(job,
                            "%s is not text in UTF-8 (at offset %" PRIu64
                            "); read it with \"encoding\": \"base64\".",
                            path, from + good);
        bytes = good;
    }
    text_adds(&job->json, "{\"path\":");
    add_string(&job->json, path);
    text_addf(&job->json,
              ",\"sha\":\"%s\",\"mode\":\"%06o\",\"size\":%" PRIu64 ",\"offset\":%" PRIu64,
              git_oid_tostr_s(git_blob_id(blob)), (unsigned)git_tree_entry_filemode_raw(entry),
              size, from);
    text_addf(&job->json, ",\"encoding\":\"%s\",\"content\":", r->base64 ? "base64" : "utf-8");
    if (r->base64) {
        text_add_base64(&job->words, data, bytes);
        add_string(&job->json, job->words.data != NULL ? job->words.data : "");
    } else {
        text_add(&job->words, data, bytes);
        text_add_string(&job->json, data, bytes);
    }
    bool truncated = from + bytes < size;
    text_addf(&job->json, ",\"truncated\":%s", truncated ? "true" : "false");
    if (truncated)
        text_addf(&job->json, ",\"next_offset\":%" PRIu64, from + bytes);
    text_adds(&job->json, "}");
    return true;
}

static bool show_file(struct job *job)
{
    struct reading r = {0};
    struct mcp_bytes given = MCP_STR("HEAD");
    char revision[REVISION_MAX], path[PATH_MAX];
    git_tree_entry *entry = NULL;
    git_blob *blob = NULL;
    if (!path_argument(job, "/path", path) || !job_string(job, "/revision", &given) ||
        !revision_word(job, "revision", given, revision) || !reading_arguments(job, &r) ||
        !find_entry(job, revision, path, &entry))
        return false;
    bool good;
    if (git_tree_entry_type(entry) == GIT_OBJECT_TREE) {
        good = job_fail(job, "%s is a directory at %s; git_show lists it as \"%s:%s\".", path,
                        revision, revision, path);
    } else if (git_tree_entry_type(entry) != GIT_OBJECT_BLOB) {
        good = job_fail(job, "%s is a submodule at %s: another repository.", path, revision);
    } else {
        int error = git_blob_lookup(&blob, job->repo, git_tree_entry_id(entry));
        good = error == 0 ? answer_content(job, path, entry, blob, &r)
                          : job_fail_git(job, error, "read the file");
    }
    git_blob_free(blob);
    git_tree_entry_free(entry);
    return good;
}

int32_t git_tool_show_file(const struct instance *instance, struct mcp_call *call)
{
    struct job job;
    if (job_open(&job, instance, call, 0) && show_file(&job))
        job_finish(&job);
    job_close(&job);
    return MCP_OK;
}
