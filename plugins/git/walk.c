/* SPDX-License-Identifier: MIT */
/*
 * History in the order and with the simplification of `git log`: newest first, of equal
 * dates the one that was met first; with a path, a merge is followed only to a parent
 * that has the path as the merge has it.
 */
#include "git.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a set of ids ---- */

struct ids {
    git_oid *slots;
    size_t capacity, count; /* a power of two */
};

static size_t slot_of(const struct ids *ids, const git_oid *id)
{
    size_t hash;
    memcpy(&hash, id->id, sizeof(hash));
    size_t at = hash & (ids->capacity - 1);
    while (!git_oid_is_zero(&ids->slots[at]) && !git_oid_equal(&ids->slots[at], id))
        at = (at + 1) & (ids->capacity - 1);
    return at;
}

static bool ids_has(const struct ids *ids, const git_oid *id)
{
    return ids->capacity > 0 && !git_oid_is_zero(&ids->slots[slot_of(ids, id)]);
}

static bool ids_grow(struct ids *ids)
{
    struct ids larger = {.capacity = ids->capacity == 0 ? 256 : ids->capacity * 2};
    larger.slots = calloc(larger.capacity, sizeof(larger.slots[0]));
    if (larger.slots == NULL)
        return false;
    for (size_t i = 0; i < ids->capacity; i++)
        if (!git_oid_is_zero(&ids->slots[i]))
            larger.slots[slot_of(&larger, &ids->slots[i])] = ids->slots[i];
    larger.count = ids->count;
    free(ids->slots);
    *ids = larger;
    return true;
}

/* 1: added; 0: it was there; -1: no memory. */
static int ids_add(struct ids *ids, const git_oid *id)
{
    if (ids->count * 2 >= ids->capacity && !ids_grow(ids))
        return -1;
    size_t at = slot_of(ids, id);
    if (!git_oid_is_zero(&ids->slots[at]))
        return 0;
    ids->slots[at] = *id;
    ids->count++;
    return 1;
}

/* ---- the queue: a heap ---- */

struct waiting {
    git_commit *commit;
    int64_t date;
    size_t met;
};

struct walk {
    struct job *job;
    const struct walk_filter *filter;
    struct ids seen, within;
    bool bounded; /* only what is in `within` */
    struct waiting *heap;
    size_t count, capacity, met;
};

static bool sooner(const struct waiting *a, const struct waiting *b)
{
    return a->date != b->date ? a->date > b->date : a->met < b->met;
}

static void swap(struct waiting *a, struct waiting *b)
{
    struct waiting kept = *a;
    *a = *b;
    *b = kept;
}

/* Takes the commit. */
static bool heap_add(struct walk *w, git_commit *commit)
{
    if (w->count == w->capacity) {
        size_t capacity = w->capacity == 0 ? 64 : w->capacity * 2;
        struct waiting *heap = realloc(w->heap, capacity * sizeof(heap[0]));
        if (heap == NULL) {
            git_commit_free(commit);
            return false;
        }
        w->heap = heap;
        w->capacity = capacity;
    }
    size_t at = w->count++;
    w->heap[at] = (struct waiting){commit, git_commit_time(commit), w->met++};
    for (; at > 0 && sooner(&w->heap[at], &w->heap[(at - 1) / 2]); at = (at - 1) / 2)
        swap(&w->heap[at], &w->heap[(at - 1) / 2]);
    return true;
}

static git_commit *heap_take(struct walk *w)
{
    git_commit *first = w->heap[0].commit;
    w->heap[0] = w->heap[--w->count];
    for (size_t at = 0;;) {
        size_t best = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < w->count; child++)
            if (sooner(&w->heap[child], &w->heap[best]))
                best = child;
        if (best == at)
            return first;
        swap(&w->heap[at], &w->heap[best]);
        at = best;
    }
}

/* ---- walking ---- */

static int push(struct walk *w, const git_oid *id)
{
    git_commit *commit = NULL;
    if (w->bounded && !ids_has(&w->within, id))
        return 0;
    int added = ids_add(&w->seen, id);
    if (added <= 0)
        return added;
    int error = git_commit_lookup(&commit, w->job->repo, id);
    if (error == GIT_ENOTFOUND && git_repository_is_shallow(w->job->repo))
        return 0; /* the history was cut here */
    if (error == 0)
        error = heap_add(w, commit) ? 0 : -1;
    return error;
}

/* What a commit has at the path: 0 and the entry's id, or zeros for nothing. */
static int at_path(const struct walk *w, git_commit *commit, git_oid *out, git_filemode_t *mode)
{
    git_tree *tree = NULL;
    git_tree_entry *entry = NULL;
    memset(out, 0, sizeof(*out));
    *mode = GIT_FILEMODE_UNREADABLE;
    int error = git_commit_tree(&tree, commit);
    if (error == 0)
        error = git_tree_entry_bypath(&entry, tree, w->filter->path);
    if (error == 0) {
        *out = *git_tree_entry_id(entry);
        *mode = git_tree_entry_filemode_raw(entry);
    }
    git_tree_entry_free(entry);
    git_tree_free(tree);
    return error == GIT_ENOTFOUND ? 0 : error;
}

/* Pushes the parents that count. *same becomes true when the commit changed nothing. */
static int push_parents(struct walk *w, git_commit *commit, bool *same)
{
    bool by_path = w->filter->path != NULL && w->filter->path[0] != '\0';
    unsigned count = git_commit_parentcount(commit);
    git_oid ours, theirs;
    git_filemode_t our_mode, their_mode;
    int error = by_path ? at_path(w, commit, &ours, &our_mode) : 0;
    *same = by_path && error == 0 && count == 0 && git_oid_is_zero(&ours);
    if (w->filter->first_parent && count > 1)
        count = 1;
    for (unsigned i = 0; by_path && error == 0 && i < count; i++) {
        git_commit *parent = NULL;
        error = git_commit_parent(&parent, commit, i);
        if (error == GIT_ENOTFOUND && git_repository_is_shallow(w->job->repo)) {
            error = 0;
            continue;
        }
        if (error == 0)
            error = at_path(w, parent, &theirs, &their_mode);
        git_commit_free(parent);
        if (error == 0 && git_oid_equal(&ours, &theirs) && our_mode == their_mode) {
            *same = true;
            return push(w, git_commit_parent_id(commit, i));
        }
    }
    for (unsigned i = 0; error == 0 && i < count; i++)
        error = push(w, git_commit_parent_id(commit, i));
    return error;
}

static bool by_author(const struct walk_filter *filter, git_commit *commit)
{
    char whole[1024];
    if (filter->author == NULL)
        return true;
    const git_signature *author = git_commit_author(commit);
    snprintf(whole, sizeof(whole), "%s <%s>", author->name, author->email);
    return strstr(whole, filter->author) != NULL;
}

/* The commits of a range, by libgit2's own walk, which can leave out. */
static int collect(struct walk *w, const struct range *range)
{
    git_revwalk *revwalk = NULL;
    git_oid id;
    w->bounded = true;
    int error = git_revwalk_new(&revwalk, w->job->repo);
    if (error == 0)
        error = git_revwalk_push(revwalk, &range->to);
    if (error == 0 && !range->symmetric) {
        error = git_revwalk_hide(revwalk, &range->from);
    } else if (error == 0) {
        git_oidarray bases = {0};
        error = git_revwalk_push(revwalk, &range->from);
        if (error == 0)
            error = git_merge_bases(&bases, w->job->repo, &range->from, &range->to);
        for (size_t i = 0; error == 0 && i < bases.count; i++)
            error = git_revwalk_hide(revwalk, &bases.ids[i]);
        git_oidarray_dispose(&bases);
        if (error == GIT_ENOTFOUND)
            error = 0; /* nothing in common */
    }
    while (error == 0 && (error = git_revwalk_next(&id, revwalk)) == 0)
        error = ids_add(&w->within, &id) < 0 ? -1 : 0;
    git_revwalk_free(revwalk);
    return error == GIT_ITEROVER ? 0 : error;
}

/* One commit; 1 when the visitor has enough. */
static int step(struct walk *w, git_commit *commit, walk_visit *visit, void *data)
{
    const struct walk_filter *filter = w->filter;
    bool same = false;
    if (filter->has_since && git_commit_time(commit) < filter->since)
        return 0;
    int error = push_parents(w, commit, &same);
    if (error != 0 || same || (filter->has_until && git_commit_time(commit) > filter->until) ||
        !by_author(filter, commit))
        return error;
    return visit(w->job, commit, data);
}

bool walk_history(struct job *job, const struct range *range, const struct walk_filter *filter,
                  walk_visit *visit, void *data)
{
    struct walk w = {.job = job, .filter = filter};
    int error = range->is_range ? collect(&w, range) : 0;
    if (error == 0 && range->symmetric)
        error = push(&w, &range->from);
    if (error == 0)
        error = push(&w, &range->to);
    while (error == 0 && w.count > 0 && !job->ended && !job_cancelled(job)) {
        git_commit *commit = heap_take(&w);
        error = step(&w, commit, visit, data);
        git_commit_free(commit);
    }
    while (w.count > 0)
        git_commit_free(w.heap[--w.count].commit);
    free(w.heap);
    free(w.seen.slots);
    free(w.within.slots);
    if (error < 0)
        return job_fail_git(job, error, "read the history");
    return !job->ended;
}
