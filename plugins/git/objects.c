/* SPDX-License-Identifier: MIT */
/*
 * Between libgit2 and the objects. Each of its own backends (loose objects, packs) is
 * wrapped in one of ours, which refuses objects that are too large before they are
 * unpacked, and everything once the call has been cancelled: so every walk, diff and
 * blame ends there, also those that libgit2 does not let us interrupt.
 */
#include "git.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <git2/sys/odb_backend.h>
#include <git2/sys/repository.h>

#include "reading.h"

#define ALTERNATES_MAX 65536
#define READING_ROOM 4096 /* a header before the object, a NUL behind it */

struct bounded {
    git_odb_backend parent;
    git_odb_backend *inner;
    struct job *job;
};

static struct bounded *bounded_of(git_odb_backend *self)
{
    return (struct bounded *)self;
}

/* 0, or what libgit2 shall end with. */
static int may_go_on(const struct bounded *b)
{
    struct job *job = b->job;
    if (job->trouble == TROUBLE_NONE && job->call->ops->is_cancelled(job->call))
        job->trouble = TROUBLE_CANCELLED;
    if (job->trouble != TROUBLE_CANCELLED)
        return 0;
    git_error_set_str(GIT_ERROR_ODB, "the call was cancelled");
    return GIT_EUSER;
}

static int too_large(const struct bounded *b)
{
    if (b->job->trouble == TROUBLE_NONE)
        b->job->trouble = TROUBLE_TOO_LARGE;
    git_error_set_str(GIT_ERROR_ODB, "an object is larger than max_object_size");
    return GIT_EUSER;
}

/* Asks the backend with a bound for what it takes at once. What is larger than that, in
 * an object that is small itself, is a base that it is a difference to, or the
 * difference. */
static struct bound begin_reading(const struct bounded *b)
{
    size_t most = (size_t)b->job->instance->max_object_size + READING_ROOM;
    return memory_bound((struct bound){most, TROUBLE_BASE_TOO_LARGE});
}

static int end_reading(const struct bounded *b, struct bound before, int error)
{
    memory_bound(before);
    if (error == 0 || b->job->trouble != TROUBLE_BASE_TOO_LARGE)
        return error;
    git_error_set_str(GIT_ERROR_ODB, "the base of an object is larger than max_object_size");
    return GIT_EUSER;
}

static int read_header(const struct bounded *b, size_t *size, git_object_t *type, const git_oid *id)
{
    struct bound before = begin_reading(b);
    return end_reading(b, before, b->inner->read_header(size, type, b->inner, id));
}

static int bounded_read(void **data, size_t *size, git_object_t *type, git_odb_backend *self,
                        const git_oid *id)
{
    struct bounded *b = bounded_of(self);
    size_t told = 0;
    git_object_t told_type;
    int error = may_go_on(b);
    if (error == 0)
        error = read_header(b, &told, &told_type, id);
    if (error != 0)
        return error;
    if (told > (uint64_t)b->job->instance->max_object_size)
        return too_large(b);
    struct bound before = begin_reading(b);
    return end_reading(b, before, b->inner->read(data, size, type, b->inner, id));
}

static int bounded_read_prefix(git_oid *full, void **data, size_t *size, git_object_t *type,
                               git_odb_backend *self, const git_oid *prefix, size_t length)
{
    struct bounded *b = bounded_of(self);
    int error = b->inner->exists_prefix(full, b->inner, prefix, length);
    return error != 0 ? error : bounded_read(data, size, type, self, full);
}

static int bounded_read_header(size_t *size, git_object_t *type, git_odb_backend *self,
                               const git_oid *id)
{
    struct bounded *b = bounded_of(self);
    int error = may_go_on(b);
    return error != 0 ? error : read_header(b, size, type, id);
}

static int bounded_exists(git_odb_backend *self, const git_oid *id)
{
    git_odb_backend *inner = bounded_of(self)->inner;
    return inner->exists(inner, id);
}

static int bounded_exists_prefix(git_oid *full, git_odb_backend *self, const git_oid *prefix,
                                 size_t length)
{
    git_odb_backend *inner = bounded_of(self)->inner;
    return inner->exists_prefix(full, inner, prefix, length);
}

static int bounded_refresh(git_odb_backend *self)
{
    git_odb_backend *inner = bounded_of(self)->inner;
    return inner->refresh != NULL ? inner->refresh(inner) : 0;
}

static int bounded_write(git_odb_backend *self, const git_oid *id, const void *data, size_t size,
                         git_object_t type)
{
    git_odb_backend *inner = bounded_of(self)->inner;
    return inner->write(inner, id, data, size, type);
}

static int bounded_freshen(git_odb_backend *self, const git_oid *id)
{
    git_odb_backend *inner = bounded_of(self)->inner;
    return inner->freshen != NULL ? inner->freshen(inner, id) : GIT_ENOTFOUND;
}

static void bounded_free(git_odb_backend *self)
{
    struct bounded *b = bounded_of(self);
    b->inner->free(b->inner);
    free(b);
}

/* Takes `inner`, which must not be NULL. */
static int add_bounded(struct job *job, git_odb *odb, git_odb_backend *inner, bool alternate,
                       int priority)
{
    struct bounded *b = calloc(1, sizeof(*b));
    if (b == NULL) {
        inner->free(inner);
        return -1;
    }
    git_odb_init_backend(&b->parent, GIT_ODB_BACKEND_VERSION);
    b->inner = inner;
    b->job = job;
    b->parent.read = bounded_read;
    b->parent.read_prefix = bounded_read_prefix;
    b->parent.read_header = bounded_read_header;
    b->parent.exists = bounded_exists;
    b->parent.exists_prefix = bounded_exists_prefix;
    b->parent.refresh = inner->refresh != NULL ? bounded_refresh : NULL;
    b->parent.write = inner->write != NULL ? bounded_write : NULL;
    b->parent.freshen = inner->freshen != NULL ? bounded_freshen : NULL;
    b->parent.free = bounded_free;
    int error = alternate ? git_odb_add_alternate(odb, &b->parent, priority)
                          : git_odb_add_backend(odb, &b->parent, priority);
    if (error != 0)
        bounded_free(&b->parent);
    else
        inner->odb = odb;
    return error;
}

static int add_directory(struct job *job, git_odb *odb, const char *objects, bool alternate)
{
    git_odb_backend *loose = NULL, *packs = NULL;
    int error = git_odb_backend_loose(&loose, objects, -1, 1, 0, 0);
    if (error == 0)
        error = add_bounded(job, odb, loose, alternate, 1);
    if (error == 0)
        error = git_odb_backend_pack(&packs, objects);
    return error == 0 ? add_bounded(job, odb, packs, alternate, 2) : error;
}

bool objects_alternate(struct job *job, const char *objects, size_t index, char out[PATH_MAX])
{
    char path[PATH_MAX], text[ALTERNATES_MAX];
    out[0] = '\0';
    if (!path_join(path, objects, "info/alternates"))
        return job_fail(job, "The path %s is too long.", objects);
    ssize_t size = place_read(job->root, path, text, sizeof(text));
    if (size < 0 && (errno == ENOENT || errno == ENOTDIR))
        return true;
    if (size < 0)
        return job_fail(job, "The list of alternate objects of %.*s cannot be read: %s.",
                        SHOW(job->given), strerror(errno));
    char *rest = text;
    for (size_t at = 0; rest != NULL;) {
        char *line = strsep(&rest, "\n");
        if (line[0] == '\0' || line[0] == '#' || at++ < index)
            continue;
        if (place_confine(job->root, objects, line, out))
            return true;
        return job_fail(job,
                        "%.*s takes objects from %s (objects/info/alternates), which is not "
                        "there or not beneath the allowed directory %s.",
                        SHOW(job->given), line, job->root->path);
    }
    return true;
}

static int add_alternates(struct job *job, git_odb *odb, const char *objects, int depth)
{
    char next[PATH_MAX];
    for (size_t i = 0; depth <= 5; i++) {
        if (!objects_alternate(job, objects, i, next))
            return GIT_EUSER;
        if (next[0] == '\0')
            break;
        int error = add_directory(job, odb, next, true);
        if (error == 0)
            error = add_alternates(job, odb, next, depth + 1);
        if (error != 0)
            return error;
    }
    return 0;
}

int objects_replace(struct job *job)
{
    git_odb *odb = NULL;
    char objects[PATH_MAX];
    if (!path_join(objects, job->commondir, "objects"))
        return -1;
    int error = git_odb_new(&odb);
    if (error == 0)
        error = add_directory(job, odb, objects, false);
    if (error == 0)
        error = add_alternates(job, odb, objects, 0);
    if (error == 0)
        error = git_repository_set_odb(job->repo, odb);
    git_odb_free(odb);
    return error;
}
