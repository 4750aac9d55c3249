/* SPDX-License-Identifier: MIT */
/* git_branch, git_tags and git_create_branch. */
#include "git.h"

#include <stdlib.h>
#include <string.h>

#include "reading.h"

/* References, sorted by their full names. */
struct refs {
    git_reference **items;
    size_t count, capacity;
};

static bool refs_add(struct refs *refs, git_reference *ref)
{
    if (refs->count == refs->capacity) {
        size_t capacity = refs->capacity == 0 ? 64 : refs->capacity * 2;
        git_reference **items = realloc(refs->items, capacity * sizeof(git_reference *));
        if (items == NULL)
            return false;
        refs->items = items;
        refs->capacity = capacity;
    }
    refs->items[refs->count++] = ref;
    return true;
}

static void refs_free(struct refs *refs)
{
    for (size_t i = 0; i < refs->count; i++)
        git_reference_free(refs->items[i]);
    free(refs->items);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(git_reference_name(*(git_reference *const *)a),
                  git_reference_name(*(git_reference *const *)b));
}

/* Those whose names match the glob, behind the ones that are there. */
static bool refs_collect(struct job *job, struct refs *refs, const char *glob)
{
    git_reference_iterator *iterator = NULL;
    git_reference *ref;
    size_t from = refs->count;
    int error = git_reference_iterator_glob_new(&iterator, job->repo, glob);
    while (error == 0 && (error = git_reference_next(&ref, iterator)) == 0) {
        if (!refs_add(refs, ref)) {
            git_reference_free(ref);
            error = -1;
        } else if (job_cancelled(job)) {
            error = GIT_ITEROVER;
        }
    }
    git_reference_iterator_free(iterator);
    if (error != GIT_ITEROVER)
        return job_fail_git(job, error, "list the references");
    if (refs->count - from > 1)
        qsort(refs->items + from, refs->count - from, sizeof(git_reference *), by_name);
    return !job->ended;
}

/* A page of a list, told as it is made. */
struct page {
    int64_t skip, max;
    size_t seen, shown;
    bool more;
};

/* 0: tell it; 1: pass it over. */
static int page_next(struct job *job, struct page *page)
{
    if (page->seen++ < (size_t)page->skip)
        return 1;
    if (page->shown == (size_t)page->max || job_full(job)) {
        page->more = true;
        return 1;
    }
    if (page->shown++ > 0)
        text_adds(&job->json, ",");
    return 0;
}

static void page_end(struct job *job, const struct page *page)
{
    size_t next = (size_t)page->skip + page->shown;
    text_addf(&job->json, "],\"truncated\":%s", page->more ? "true" : "false");
    if (page->more) {
        text_addf(&job->json, ",\"next_skip\":%zu", next);
        text_addf(&job->words, "[there are more; the next with \"skip\": %zu]\n", next);
    }
    text_adds(&job->json, "}");
}

static bool page_arguments(struct job *job, struct page *page)
{
    page->max = job->instance->max_entries;
    return job_integer(job, "/skip", 0, INT32_MAX, &page->skip) &&
           job_integer(job, "/max_count", 1, job->instance->max_entries, &page->max);
}

/* ---- branches ---- */

struct branches {
    struct page page;
    bool local, remote, has_contains, has_not;
    git_oid contains, not_contains;
};

/* 1: the commit is the tip or behind it. */
static int reaches(struct job *job, const git_oid *tip, const git_oid *commit)
{
    return git_oid_equal(tip, commit) ? 1 : git_graph_descendant_of(job->repo, tip, commit);
}

/* 1: it is to be listed. */
static int branch_passes(struct job *job, const struct branches *b, const git_oid *tip)
{
    if (b->has_contains) {
        int reached = reaches(job, tip, &b->contains);
        if (reached <= 0)
            return reached;
    }
    if (b->has_not) {
        int reached = reaches(job, tip, &b->not_contains);
        if (reached != 0)
            return reached < 0 ? reached : 0;
    }
    return 1;
}

static bool tip_of(git_reference *ref, git_oid *out)
{
    git_object *commit = NULL;
    if (git_reference_peel(&commit, ref, GIT_OBJECT_COMMIT) != 0)
        return false;
    *out = *git_object_id(commit);
    git_object_free(commit);
    return true;
}

static void tell_branch(struct job *job, git_reference *ref, const git_oid *tip,
                        const struct branches *b)
{
    bool current = git_branch_is_head(ref) == 1, remote = git_reference_is_remote(ref) == 1;
    const char *name = git_reference_shorthand(ref);
    text_addf(&job->words, "%s %s", current ? "*" : " ", remote && b->local ? "remotes/" : "");
    text_add_utf8(&job->words, name, strlen(name));
    if (git_reference_type(ref) == GIT_REFERENCE_SYMBOLIC) {
        const char *target = git_reference_symbolic_target(ref);
        target += strncmp(target, "refs/remotes/", 13) == 0 ? 13 : 0;
        target += strncmp(target, "refs/heads/", 11) == 0 ? 11 : 0;
        text_adds(&job->words, " -> ");
        text_add_utf8(&job->words, target, strlen(target));
    }
    text_adds(&job->words, "\n");
    text_adds(&job->json, "{\"name\":");
    add_string(&job->json, name);
    text_addf(&job->json, ",\"remote\":%s,\"current\":%s,\"sha\":\"%s\"}",
              remote ? "true" : "false", current ? "true" : "false", git_oid_tostr_s(tip));
}

static void tell_detached(struct job *job, struct branches *b)
{
    git_reference *head = NULL;
    git_oid tip;
    if (git_repository_head_detached(job->repo) != 1 || git_repository_head(&head, job->repo) != 0)
        return;
    if (tip_of(head, &tip) && branch_passes(job, b, &tip) == 1 && page_next(job, &b->page) == 0) {
        text_adds(&job->words, "* (HEAD detached at ");
        add_short_id(&job->words, job->repo, &tip);
        text_adds(&job->words, ")\n");
        text_addf(&job->json,
                  "{\"name\":\"HEAD\",\"remote\":false,\"current\":true,\"sha\":\"%s\"}",
                  git_oid_tostr_s(&tip));
    }
    git_reference_free(head);
}

static bool tell_branches(struct job *job, struct branches *b)
{
    struct refs refs = {NULL, 0, 0};
    bool good = (!b->local || refs_collect(job, &refs, "refs/heads/*")) &&
                (!b->remote || refs_collect(job, &refs, "refs/remotes/*"));
    text_adds(&job->json, "{\"branches\":[");
    if (good && b->local)
        tell_detached(job, b);
    for (size_t i = 0; good && i < refs.count && !b->page.more; i++) {
        git_oid tip;
        /* What names nothing, or something else than a commit, is nobody's branch. */
        if (!tip_of(refs.items[i], &tip)) {
            good =
                job->trouble == TROUBLE_NONE || job_fail_git(job, GIT_EUSER, "list the branches");
            continue;
        }
        int passes = branch_passes(job, b, &tip);
        if (passes < 0)
            good = job_fail_git(job, passes, "compare the branches");
        else if (passes > 0 && page_next(job, &b->page) == 0)
            tell_branch(job, refs.items[i], &tip, b);
    }
    refs_free(&refs);
    page_end(job, &b->page);
    return good;
}

static bool commit_argument(struct job *job, const char *pointer, bool *has, git_oid *out)
{
    struct mcp_bytes given = {NULL, 0};
    char revision[REVISION_MAX];
    git_commit *commit;
    if (!job_string(job, pointer, &given))
        return false;
    *has = given.data != NULL;
    if (!*has)
        return true;
    if (!revision_word(job, pointer + 1, given, revision) ||
        !revision_commit(job, revision, &commit))
        return false;
    *out = *git_commit_id(commit);
    git_commit_free(commit);
    return true;
}

static bool list_branches(struct job *job)
{
    struct branches b = {.local = true};
    struct mcp_bytes type = MCP_STR("local");
    if (!job_string(job, "/branch_type", &type) || !page_arguments(job, &b.page) ||
        !commit_argument(job, "/contains", &b.has_contains, &b.contains) ||
        !commit_argument(job, "/not_contains", &b.has_not, &b.not_contains))
        return false;
    b.local = bytes_are(type, "local") || bytes_are(type, "all");
    b.remote = bytes_are(type, "remote") || bytes_are(type, "all");
    if (!b.local && !b.remote)
        return job_fail(job, "The branch_type must be \"local\", \"remote\" or \"all\".");
    return tell_branches(job, &b);
}

int32_t git_tool_branch(const struct instance *instance, struct mcp_call *call)
{
    struct job job;
    if (job_open(&job, instance, call, 0) && list_branches(&job))
        job_finish(&job);
    job_close(&job);
    return MCP_OK;
}

/* ---- tags ---- */

static bool tell_tag(struct job *job, git_reference *ref)
{
    git_object *named = NULL, *object = NULL;
    const char *name = git_reference_shorthand(ref);
    int error = git_object_lookup(&named, job->repo, git_reference_target(ref), GIT_OBJECT_ANY);
    if (error == 0)
        error = git_object_peel(&object, named, GIT_OBJECT_ANY);
    if (error != 0) {
        git_object_free(named);
        return job_fail_git(job, error, "read a tag");
    }
    text_add_utf8(&job->words, name, strlen(name));
    text_adds(&job->words, "\n");
    text_adds(&job->json, "{\"name\":");
    add_string(&job->json, name);
    bool annotated = git_object_type(named) == GIT_OBJECT_TAG;
    text_addf(&job->json, ",\"sha\":\"%s\",\"type\":\"%s\",\"annotated\":%s",
              git_oid_tostr_s(git_object_id(object)),
              git_object_type2string(git_object_type(object)), annotated ? "true" : "false");
    const git_signature *tagger = annotated ? git_tag_tagger((git_tag *)named) : NULL;
    if (tagger != NULL) {
        text_adds(&job->json, ",\"tagger\":");
        add_string(&job->json, tagger->name);
        text_adds(&job->json, ",\"date\":\"");
        add_date_iso(&job->json, &tagger->when);
        text_adds(&job->json, "\"");
    }
    if (annotated && git_tag_message((git_tag *)named) != NULL) {
        text_adds(&job->json, ",\"message\":");
        add_string(&job->json, git_tag_message((git_tag *)named));
    }
    text_adds(&job->json, "}");
    git_object_free(named);
    git_object_free(object);
    return true;
}

static bool list_tags(struct job *job)
{
    struct refs refs = {NULL, 0, 0};
    struct page page = {0};
    bool good = page_arguments(job, &page) && refs_collect(job, &refs, "refs/tags/*");
    text_adds(&job->json, "{\"tags\":[");
    for (size_t i = 0; good && i < refs.count && !page.more; i++)
        if (git_reference_type(refs.items[i]) == GIT_REFERENCE_DIRECT && page_next(job, &page) == 0)
            good = tell_tag(job, refs.items[i]);
    refs_free(&refs);
    page_end(job, &page);
    return good;
}

int32_t git_tool_tags(const struct instance *instance, struct mcp_call *call)
{
    struct job job;
    if (job_open(&job, instance, call, 0) && list_tags(&job))
        job_finish(&job);
    job_close(&job);
    return MCP_OK;
}

/* ---- a new branch ---- */

static bool create_branch(struct job *job)
{
    struct mcp_bytes given = {"", 0}, base = MCP_STR("HEAD");
    char name[REVISION_MAX], revision[REVISION_MAX];
    git_commit *commit;
    git_reference *branch = NULL;
    int valid = 0;
    if (!job_string(job, "/branch_name", &given) || !job_string(job, "/base_branch", &base) ||
        !revision_word(job, "branch_name", given, name) ||
        !revision_word(job, "base_branch", base, revision))
        return false;
    if (git_branch_name_is_valid(&valid, name) != 0 || !valid)
        return job_fail(job, "\"%s\" cannot be the name of a branch.", name);
    if (!revision_commit(job, revision, &commit))
        return false;
    int error = git_branch_create(&branch, job->repo, name, commit, 0);
    if (error == 0) {
        text_addf(&job->words, "Created branch %s at ", name);
        add_short_id(&job->words, job->repo, git_commit_id(commit));
        text_adds(&job->words, ".\n");
        text_adds(&job->json, "{\"branch\":");
        add_string(&job->json, name);
        text_addf(&job->json, ",\"sha\":\"%s\"}", git_oid_tostr_s(git_commit_id(commit)));
    }
    git_reference_free(branch);
    git_commit_free(commit);
    if (error == GIT_EEXISTS)
        return job_fail(job, "There is a branch %s already.", name);
    return error == 0 || job_fail_git(job, error, "create the branch");
}

int32_t git_tool_create_branch(const struct instance *instance, struct mcp_call *call)
{
    struct job job;
    if (job_open(&job, instance, call, 0) && create_branch(&job))
        job_finish(&job);
    job_close(&job);
    return MCP_OK;
}
