/* SPDX-License-Identifier: MIT */
/* Revisions, ranges and paths in arguments: checked, then resolved. */
#include "git.h"

#include <string.h>

#include "reading.h"

/* ---- words ---- */

static bool has_control(const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)data[i] < 0x20 || data[i] == 0x7f)
            return true;
    return false;
}

bool revision_word(struct job *job, const char *what, struct mcp_bytes given,
                   char out[REVISION_MAX])
{
    if (given.size == 0)
        return job_fail(job, "The %s is empty.", what);
    if (given.size >= REVISION_MAX)
        return job_fail(job, "The %s is longer than %d bytes.", what, REVISION_MAX - 1);
    /* Nothing here takes options; what looks like one is an attack or a mistake. */
    if (given.data[0] == '-')
        return job_fail(job, "The %s \"%.*s\" begins with \"-\"; options are not taken here.", what,
                        SHOW(given));
    if (has_control(given.data, given.size))
        return job_fail(job, "The %s has a control character in it.", what);
    memcpy(out, given.data, given.size);
    out[given.size] = '\0';
    return true;
}

/* ---- revisions ---- */

/* git can also find a commit by a pattern: ":/text" and "^{/text}". A pattern of a
 * client's over the whole history has no bound, and git_search does the same with one. */
static bool is_pattern(const char *revision)
{
    return strncmp(revision, ":/", 2) == 0 || strstr(revision, "^{/") != NULL;
}

static bool has_object(struct job *job, const char *hex, size_t length)
{
    git_oid id;
    git_object *object = NULL;
    if (length < 4 || length > GIT_OID_HEXSZ || strspn(hex, "0123456789abcdefABCDEF") < length ||
        git_oid_fromstrn(&id, hex, length) != 0)
        return false;
    int error = git_object_lookup_prefix(&object, job->repo, &id, length, GIT_OBJECT_ANY);
    git_object_free(object);
    return error != GIT_ENOTFOUND;
}

/* Does the name that the revision begins with stand for nothing? One with "-g" in it,
 * libgit2 1.5 compares with the pattern of `git describe` at last, and loses 4 KB of memory
 * each time that it does not match. */
static bool is_unknown(struct job *job, const char *revision)
{
    char name[REVISION_MAX];
    git_reference *reference = NULL;
    size_t length = strcspn(revision, "^~:");
    const char *at = strstr(revision, "@{");
    if (at != NULL && (size_t)(at - revision) < length)
        length = (size_t)(at - revision);
    if (length == 0 || length >= sizeof(name) || strstr(revision, "-g") == NULL)
        return false;
    memcpy(name, revision, length);
    name[length] = '\0';
    if (strcmp(name, "@") == 0 || has_object(job, name, length))
        return false;
    int error = git_reference_dwim(&reference, job->repo, name);
    git_reference_free(reference);
    if (error == 0 || (error != GIT_ENOTFOUND && error != GIT_EINVALIDSPEC))
        return false;
    const char *described = strrchr(name, '-'); /* NAME-COUNT-gHEX */
    return described == NULL || described[1] != 'g' || described == name || described[-1] < '0' ||
           described[-1] > '9' || !has_object(job, described + 2, strlen(described + 2));
}

/* Nor when it is cancelled: it is quick, and so it is not. */
static int parse(const struct job *job, const char *revision, git_object **out)
{
    memory_insist(true);
    int error = git_revparse_single(out, job->repo, revision);
    memory_insist(false);
    return error;
}

/* The error of reading what the reference points to that the revision begins with: libgit2
 * does not free the reference where this fails. */
static int try_reference(struct job *job, const char *revision)
{
    char name[REVISION_MAX];
    git_reference *reference = NULL;
    git_object *object = NULL;
    size_t length = strcspn(revision, "^~:@");
    if (length == 0 || length >= sizeof(name))
        return 0;
    memcpy(name, revision, length);
    name[length] = '\0';
    if (git_reference_dwim(&reference, job->repo, name) != 0)
        return 0;
    int error =
        git_object_lookup(&object, job->repo, git_reference_target(reference), GIT_OBJECT_ANY);
    git_object_free(object);
    git_reference_free(reference);
    return error;
}

int revision_head(const struct job *job, git_object_t type, git_object **out)
{
    git_reference *head;
    int error = git_repository_head(&head, job->repo);
    if (error != 0)
        return error;
    error = git_reference_peel(out, head, type);
    git_reference_free(head);
    return error;
}

bool revision_object(struct job *job, const char *revision, git_object **out)
{
    *out = NULL;
    if (is_pattern(revision))
        return job_fail(job, "Revisions by pattern (\"%s\") are not taken; use git_search.",
                        revision);
    int error = is_unknown(job, revision) ? GIT_ENOTFOUND : try_reference(job, revision);
    if (error == 0)
        error = parse(job, revision, out);
    if (error == 0)
        return true;
    if (job->trouble != TROUBLE_NONE || job_cancelled(job))
        return job_fail_git(job, error, "resolve the revision");
    if (error == GIT_EAMBIGUOUS)
        return job_fail(job, "The revision \"%s\" is ambiguous; give more of it.", revision);
    if (error == GIT_ENOTFOUND && git_repository_head_unborn(job->repo) == 1)
        return job_fail(job, "There is no \"%s\": the branch has no commits yet.", revision);
    return job_fail(job, "There is no revision \"%s\" in this repository.", revision);
}

bool revision_commit(struct job *job, const char *revision, git_commit **out)
{
    git_object *object;
    *out = NULL;
    if (!revision_object(job, revision, &object))
        return false;
    int error = git_object_peel((git_object **)out, object, GIT_OBJECT_COMMIT);
    const char *type = git_object_type2string(git_object_type(object));
    git_object_free(object);
    if (error == 0)
        return true;
    if (job->trouble != TROUBLE_NONE)
        return job_fail_git(job, error, "read the revision");
    return job_fail(job, "\"%s\" is a %s, not a commit.", revision, type);
}

static bool commit_id(struct job *job, const char *revision, git_oid *out)
{
    git_commit *commit;
    if (!revision_commit(job, revision, &commit))
        return false;
    *out = *git_commit_id(commit);
    git_commit_free(commit);
    return true;
}

bool revision_range(struct job *job, const char *revision, struct range *out)
{
    char from[REVISION_MAX];
    *out = (struct range){.is_range = false};
    const char *dots = strstr(revision, "..");
    if (dots == NULL)
        return commit_id(job, revision, &out->to);
    const char *to = dots + 2;
    out->is_range = true;
    if (*to == '.') {
        out->symmetric = true;
        to++;
    }
    memcpy(from, revision, (size_t)(dots - revision));
    from[dots - revision] = '\0';
    if (strstr(to, "..") != NULL || *to == '-')
        return job_fail(job, "\"%s\" is not a range; write \"a..b\" or \"a...b\".", revision);
    return commit_id(job, from[0] != '\0' ? from : "HEAD", &out->from) &&
           commit_id(job, *to != '\0' ? to : "HEAD", &out->to);
}

/* ---- paths ---- */

/* Is a component of a path, up to the next slash, ".." or one of git's own? */
static const char *wrong_component(const char *name, size_t size)
{
    if (size == 2 && memcmp(name, "..", 2) == 0)
        return "climbs out of where it is (\"..\")";
    if (size == 4 && strncasecmp(name, ".git", 4) == 0)
        return "leads into git's own directory";
    return NULL;
}

/* Leaves out "." and double slashes. */
static const char *clean_path(struct mcp_bytes given, char out[PATH_MAX])
{
    const char *at = given.data, *end = given.data + given.size;
    size_t used = 0;
    while (at < end) {
        const char *slash = memchr(at, '/', (size_t)(end - at));
        size_t size = (size_t)((slash != NULL ? slash : end) - at);
        const char *wrong = wrong_component(at, size);
        if (wrong != NULL)
            return wrong;
        if (size > 0 && !(size == 1 && *at == '.')) {
            if (used > 0)
                out[used++] = '/';
            memcpy(out + used, at, size);
            used += size;
        }
        at += size + 1;
    }
    out[used] = '\0';
    return NULL;
}

bool path_check(struct job *job, struct mcp_bytes given, char out[PATH_MAX])
{
    const char *wrong = NULL;
    struct mcp_bytes rest = given;
    if (memchr(given.data, '\0', given.size) != NULL)
        return job_fail(job, "A path has a NUL character in it; no file has such a name.");
    if (given.size >= PATH_MAX)
        return job_fail(job, "A path is longer than 4095 bytes.");
    if (given.size > 0 && given.data[0] == '-')
        return job_fail(job,
                        "The path \"%.*s\" begins with \"-\"; options are not taken here. For a "
                        "file of that name write \"./%.*s\".",
                        SHOW(given), SHOW(given));
    size_t top = strlen(job->top);
    if (given.size > 0 && given.data[0] == '/') {
        if (job->bare || given.size <= top || memcmp(given.data, job->top, top) != 0 ||
            given.data[top] != '/')
            wrong = "is not in the repository";
        else
            rest = (struct mcp_bytes){given.data + top + 1, given.size - top - 1};
    }
    if (wrong == NULL)
        wrong = clean_path(rest, out);
    if (wrong != NULL)
        return job_fail(job, "The path %.*s %s.", SHOW(given), wrong);
    return true;
}

bool path_argument(struct job *job, const char *pointer, char out[PATH_MAX])
{
    struct mcp_bytes given = {"", 0};
    return job_string(job, pointer, &given) && path_check(job, given, out);
}
