/* SPDX-License-Identifier: MIT */
/*
 * git_add and git_reset. The index is changed as git does it: under index.lock, which
 * only one holds, a new index is written and renamed over the old one. Files are read by
 * us, beneath the work tree and through no symbolic link, and not by libgit2.
 */
#include "git.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reading.h"
#include "stage.h"

#define FILES_MAX 1000

/* ---- the index, locked ---- */

static bool copy_file(int from, int to)
{
    char data[65536];
    ssize_t got;
    while ((got = read(from, data, sizeof(data))) > 0)
        if (write(to, data, (size_t)got) != got)
            return false;
    return got == 0;
}

bool index_lock(struct job *job, struct locked_index *locked)
{
    *locked = (struct locked_index){.directory = -1};
    locked->directory = place_open(job->root, job->gitdir, O_RDONLY | O_DIRECTORY, 0);
    if (locked->directory < 0)
        return job_fail(job, "Cannot open the repository: %s.", strerror(errno));
    int fd = openat(locked->directory, "index.lock",
                    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd < 0 && errno == EEXIST)
        return job_fail(job,
                        "Another program is changing the index, or died at it and left the file "
                        ".git/index.lock. Try again in a moment.");
    if (fd < 0)
        return job_fail(job, "Cannot lock the index: %s.", strerror(errno));
    close(fd);
    locked->held = true;
    return true;
}

void index_unlock(struct locked_index *locked)
{
    git_index_free(locked->index);
    if (locked->held) {
        unlinkat(locked->directory, "index.new", 0);
        unlinkat(locked->directory, "index.lock", 0);
    }
    if (locked->directory >= 0)
        close(locked->directory);
}

/* A copy of the index beside it, opened. */
static bool index_copy(struct job *job, struct locked_index *locked)
{
    char path[PATH_MAX];
    unlinkat(locked->directory, "index.new", 0); /* left by one who died; the lock is ours */
    int to = openat(locked->directory, "index.new",
                    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    int from = openat(locked->directory, "index", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    bool good = to >= 0 && (from >= 0 ? copy_file(from, to) : errno == ENOENT);
    if (good && from < 0) /* a new repository has none, and an empty file is no index */
        unlinkat(locked->directory, "index.new", 0);
    if (from >= 0)
        close(from);
    if (to >= 0)
        close(to);
    if (!good || !path_join(path, job->gitdir, "index.new"))
        return job_fail(job, "Cannot copy the index: %s.", strerror(errno));
    int error = git_index_open(&locked->index, path);
    return error == 0 || job_fail_git(job, error, "read the index");
}

/* What is new takes the place of the lock, and then of the index. */
static bool index_commit(struct job *job, struct locked_index *locked)
{
    int error = git_index_write(locked->index);
    if (error != 0)
        return job_fail_git(job, error, "write the index");
    if (renameat(locked->directory, "index.new", locked->directory, "index.lock") != 0 ||
        renameat(locked->directory, "index.lock", locked->directory, "index") != 0)
        return job_fail(job, "Cannot replace the index: %s.", strerror(errno));
    locked->held = false;
    return true;
}

/* ---- one file ---- */

/* A file's content as git would have it: lines ends as .gitattributes say. An external
 * filter is not run, and without it the content would be wrong. */
static bool refuse_filter(struct job *job, const char *path)
{
    const char *filter = NULL;
    if (git_attr_get(&filter, job->repo, 0, path, "filter") != 0)
        filter = NULL;
    if (git_attr_value(filter) != GIT_ATTR_VALUE_STRING)
        return true;
    return job_fail(job,
                    "%s has the filter \"%s\" (.gitattributes); mcpd runs no filters, and would "
                    "add what the filter would have changed.",
                    path, filter);
}

static int write_blob(struct job *job, const char *path, const char *data, size_t size,
                      git_oid *out)
{
    git_filter_list *filters = NULL;
    git_buf converted = {0};
    int error = git_filter_list_load(&filters, job->repo, NULL, path, GIT_FILTER_TO_ODB,
                                     GIT_FILTER_DEFAULT);
    if (error == 0 && filters == NULL)
        error = git_blob_create_from_buffer(out, job->repo, data, size);
    else if (error == 0 &&
             (error = git_filter_list_apply_to_buffer(&converted, filters, data, size)) == 0)
        error = git_blob_create_from_buffer(out, job->repo, converted.ptr, converted.size);
    git_buf_dispose(&converted);
    git_filter_list_free(filters);
    return error;
}

static bool read_whole(int fd, char *data, size_t size)
{
    size_t used = 0;
    while (used < size) {
        ssize_t got = read(fd, data + used, size - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            errno = got == 0 ? EAGAIN : errno;
            return false;
        }
        used += (size_t)got;
    }
    return true;
}

static void fill_entry(git_index_entry *entry, const struct stat *st)
{
    entry->ctime = (git_index_time){(int32_t)st->st_ctim.tv_sec, (uint32_t)st->st_ctim.tv_nsec};
    entry->mtime = (git_index_time){(int32_t)st->st_mtim.tv_sec, (uint32_t)st->st_mtim.tv_nsec};
    entry->dev = (uint32_t)st->st_dev;
    entry->ino = (uint32_t)st->st_ino;
    entry->uid = st->st_uid;
    entry->gid = st->st_gid;
    entry->file_size = (uint32_t)st->st_size;
    entry->mode = S_ISLNK(st->st_mode)      ? GIT_FILEMODE_LINK
                  : (st->st_mode & S_IXUSR) ? GIT_FILEMODE_BLOB_EXECUTABLE
                                            : GIT_FILEMODE_BLOB;
}

static bool stage_content(struct job *job, const char *path, int fd, git_index_entry *entry)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return job_fail(job, "Cannot read %s: %s.", path, strerror(errno));
    if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
        return job_fail(job, "%s is %s; only files and symbolic links are added.", path,
                        type_phrase(st.st_mode));
    if (st.st_size > job->instance->max_object_size)
        return job_fail(job, "%s has %lld bytes, more than the %lld of max_object_size.", path,
                        (long long)st.st_size, (long long)job->instance->max_object_size);
    size_t size = (size_t)st.st_size;
    char *data = malloc(size + PATH_MAX);
    if (data == NULL)
        return job_fail(job, "mcpd is out of memory.");
    bool good = true;
    int error = 0;
    if (S_ISLNK(st.st_mode)) {
        ssize_t length = readlinkat(fd, "", data, PATH_MAX);
        good = length >= 0;
        if (good)
            error = git_blob_create_from_buffer(&entry->id, job->repo, data, (size_t)length);
    } else {
        good = read_whole(fd, data, size);
        if (good)
            error = write_blob(job, path, data, size, &entry->id);
    }
    free(data);
    fill_entry(entry, &st);
    if (!good)
        return job_fail(job, "Cannot read %s: %s.", path, strerror(errno));
    return error == 0 || job_fail_git(job, error, "store the file");
}

static bool stage_file(struct job *job, git_index *index, const char *path)
{
    struct stat st;
    git_index_entry entry = {.path = path};
    if (!refuse_filter(job, path))
        return false;
    int fd = open_beneath(job->top_fd, path, O_PATH | O_NOFOLLOW, 0);
    bool link = fd >= 0 && fstat(fd, &st) == 0 && S_ISLNK(st.st_mode);
    if (fd >= 0 && !link)
        close(fd);
    /* A link is read as a link; nothing on the way to it may be one. */
    if (!link)
        fd = open_beneath(job->top_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW,
                          RESOLVE_NO_SYMLINKS);
    if (fd < 0)
        return job_fail(job, "Cannot add %s: %s.", path,
                        errno == ELOOP || errno == EXDEV ? "a symbolic link is on the way to it"
                                                         : strerror(errno));
    bool good = stage_content(job, path, fd, &entry);
    close(fd);
    if (!good)
        return false;
    int error = git_index_add(index, &entry);
    return error == 0 || job_fail_git(job, error, "add the file");
}

/* ---- git_add ---- */

struct adding {
    struct job *job;
    struct locked_index *locked;
    size_t changed;
};

static bool add_changed(struct adding *a, const git_status_entry *entry)
{
    struct job *job = a->job;
    const char *path = entry->index_to_workdir != NULL ? entry->index_to_workdir->new_file.path
                                                       : entry->head_to_index->new_file.path;
    const unsigned gone = GIT_STATUS_WT_DELETED;
    const unsigned there = GIT_STATUS_WT_NEW | GIT_STATUS_WT_MODIFIED | GIT_STATUS_WT_TYPECHANGE |
                           GIT_STATUS_CONFLICTED;
    if ((entry->status & (gone | there)) == 0)
        return true;
    if (path[strlen(path) - 1] == '/')
        return job_fail(job, "%s is a git repository of its own; submodules are not added.", path);
    bool missing = faccessat(job->top_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT;
    git_index_conflict_remove(a->locked->index, path);
    if ((entry->status & gone) || missing) {
        int error = git_index_remove_bypath(a->locked->index, path);
        if (error != 0 && error != GIT_ENOTFOUND)
            return job_fail_git(job, error, "remove a file from the index");
    } else if (!stage_file(job, a->locked->index, path)) {
        return false;
    }
    text_addf(&job->json, "%s", a->changed++ > 0 ? "," : "");
    add_string(&job->json, path);
    return true;
}

/* Nothing has changed there: is there anything at all? */
static bool explain_nothing(struct job *job, const char *path)
{
    git_index *index = NULL;
    struct stat st;
    int ignored = 0;
    size_t at;
    if (path[0] == '\0')
        return true;
    int error = git_repository_index(&index, job->repo);
    bool tracked = error == 0 && (git_index_get_bypath(index, path, 0) != NULL ||
                                  git_index_find_prefix(&at, index, path) == 0);
    git_index_free(index);
    if (tracked)
        return true;
    if (fstatat(job->top_fd, path, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return job_fail(job, "There is no file %s in the repository.", path);
    /* libgit2 passes over what is neither a file nor a directory. */
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode) && !S_ISLNK(st.st_mode))
        return job_fail(job, "%s is %s; only files and symbolic links are added.", path,
                        type_phrase(st.st_mode));
    if (git_ignore_path_is_ignored(&ignored, job->repo, path) == 0 && ignored)
        return job_fail(job, "%s is ignored by a .gitignore file.", path);
    int fd = open_beneath(job->top_fd, path, O_PATH, RESOLVE_NO_SYMLINKS);
    if (fd < 0)
        return job_fail(job, "Cannot add %s: a symbolic link is on the way to it.", path);
    close(fd);
    return true; /* an empty directory */
}

static bool add_path_argument(struct adding *a, struct mcp_bytes given)
{
    char path[PATH_MAX], *paths[1] = {path};
    struct job *job = a->job;
    git_status_list *list = NULL;
    git_status_options options;
    if (!path_check(job, given, path))
        return false;
    git_status_options_init(&options, GIT_STATUS_OPTIONS_VERSION);
    options.show = GIT_STATUS_SHOW_WORKDIR_ONLY;
    options.flags = GIT_STATUS_OPT_INCLUDE_UNTRACKED | GIT_STATUS_OPT_RECURSE_UNTRACKED_DIRS |
                    GIT_STATUS_OPT_EXCLUDE_SUBMODULES | GIT_STATUS_OPT_DISABLE_PATHSPEC_MATCH;
    if (path[0] != '\0')
        options.pathspec = (git_strarray){paths, 1};
    int error = git_status_list_new(&list, job->repo, &options);
    size_t count = error == 0 ? git_status_list_entrycount(list) : 0;
    bool good = error == 0 || job_fail_git(job, error, "look for changes");
    if (good && count == 0)
        good = explain_nothing(job, path);
    if (good && (uint64_t)count > (uint64_t)job->instance->max_entries)
        good = job_fail(job, "%zu files have changed there, more than the %lld of max_entries.",
                        count, (long long)job->instance->max_entries);
    for (size_t i = 0; good && i < count; i++)
        good = !job_cancelled(job) && add_changed(a, git_status_byindex(list, i));
    git_status_list_free(list);
    return good;
}

static bool add_arguments(struct adding *a)
{
    char pointer[32];
    int32_t kind;
    struct mcp_bytes given;
    const struct mcp_call_ops *ops = a->job->call->ops;
    for (size_t i = 0;; i++) {
        snprintf(pointer, sizeof(pointer), "/files/%zu", i);
        if (ops->argument(a->job->call, pointer, &kind, &given) != MCP_OK)
            return i > 0 || job_fail(a->job, "There are no files to add.");
        if (i == FILES_MAX)
            return job_fail(a->job, "More than %d files at once; name a directory.", FILES_MAX);
        if (kind != MCP_JSON_STRING || given.size == 0)
            return job_fail(a->job, "Each of the files must be a path.");
        if (!add_path_argument(a, given))
            return false;
    }
}

static bool add_files(struct job *job)
{
    struct locked_index locked;
    struct adding a = {.job = job, .locked = &locked};
    text_adds(&job->json, "{\"staged\":[");
    bool good = index_lock(job, &locked) && index_copy(job, &locked) && add_arguments(&a) &&
                !job_cancelled(job) && index_commit(job, &locked);
    index_unlock(&locked);
    text_adds(&job->json, "]}");
    text_addf(&job->words, "Staged %zu %s.\n", a.changed, a.changed == 1 ? "file" : "files");
    return good;
}

int32_t git_tool_add(const struct instance *instance, struct mcp_call *call)
{
    struct job job;
    if (job_open(&job, instance, call, NEEDS_WORKTREE) && add_files(&job))
        job_finish(&job);
    job_close(&job);
    return MCP_OK;
}

/* ---- git_reset ---- */

#define ENTRY_COST 256 /* of memory beside its path, at most */

struct weighing {
    struct job *job;
    size_t cost, most;
};

static int weigh_entry(const char *directory, const git_tree_entry *entry, void *data)
{
    struct weighing *w = data;
    w->cost += ENTRY_COST + strlen(directory) + strlen(git_tree_entry_name(entry));
    if (w->cost > w->most)
        w->job->trouble = TROUBLE_MEMORY;
    return w->cost > w->most ? -1 : 0;
}

/* git_index_read_tree does not free the entries that it has made when it fails, so it must
 * not begin what it cannot end, and ends it though the call is cancelled. */
static int read_tree(struct job *job, git_index *index, const git_tree *tree)
{
    struct weighing w = {.job = job, .most = memory_left(job)};
    int error = git_tree_walk(tree, GIT_TREEWALK_PRE, weigh_entry, &w);
    if (error != 0)
        return error;
    memory_insist(true);
    error = git_index_read_tree(index, tree);
    memory_insist(false);
    return error;
}

static bool unstage_all(struct job *job)
{
    struct locked_index locked;
    git_object *tree = NULL;
    int error = 0;
    bool good = index_lock(job, &locked) && index_copy(job, &locked);
    if (good && git_repository_head_unborn(job->repo) == 1) {
        error = git_index_clear(locked.index);
    } else if (good) {
        error = revision_head(job, GIT_OBJECT_TREE, &tree);
        if (error == 0)
            error = read_tree(job, locked.index, (git_tree *)tree);
    }
    git_object_free(tree);
    if (good && error != 0)
        good = job_fail_git(job, error, "reset the index");
    good = good && index_commit(job, &locked);
    index_unlock(&locked);
    text_adds(&job->words, "All staged changes are unstaged; no file was touched.\n");
    text_adds(&job->json, "{\"reset\":true}");
    return good;
}

int32_t git_tool_reset(const struct instance *instance, struct mcp_call *call)
{
    struct job job;
    if (job_open(&job, instance, call, NEEDS_WORKTREE) && unstage_all(&job))
        job_finish(&job);
    job_close(&job);
    return MCP_OK;
}
