/* SPDX-License-Identifier: MIT */
/*
 * Looks through a repository before libgit2 does. libgit2 opens by name and follows what
 * it finds; whoever can put files into an allowed directory (an archive, a checkout)
 * could so have it read others' files, or wait at a FIFO for ever. What is changed after
 * the look is the sandbox's matter, see mcp-git(7).
 */
#include "git.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reading.h"

#define DEPTH_MAX 64
#define CONFIG_MAX (1024 * 1024)

/* One look through a tree of directories. */
struct look {
    struct job *job;
    /* Judges one entry; false: the call has been ended. `type` is DT_*. */
    bool (*judge)(struct look *look, const char *path, const char *name, unsigned char type);
    /* Is the directory `name` in `path` none of ours? */
    bool (*skip)(const struct look *look, const char *path, const char *name);
    size_t seen;
};

static bool look_through(struct look *look, int fd, const char *path, int depth);

/* The type of what the directory does not tell. */
static unsigned char type_at(int directory, const struct dirent *entry)
{
    struct stat st;
    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type;
    if (fstatat(directory, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return DT_UNKNOWN;
    return (unsigned char)IFTODT(st.st_mode);
}

static bool look_at(struct look *look, int directory, const struct dirent *entry, const char *path,
                    int depth)
{
    char whole[PATH_MAX];
    struct job *job = look->job;
    if (!path_join(whole, path, entry->d_name))
        return job_fail(job, "A path in the repository %.*s is too long.", SHOW(job->given));
    if ((++look->seen & 255) == 0 && job_cancelled(job))
        return false;
    unsigned char type = type_at(directory, entry);
    if (!look->judge(look, whole, entry->d_name, type))
        return false;
    if (type != DT_DIR || look->skip(look, path, entry->d_name))
        return true;
    int fd = openat(directory, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) /* gone meanwhile, or not ours to read: then libgit2 cannot, either */
        return true;
    return look_through(look, fd, whole, depth + 1);
}

/* Takes the descriptor. */
static bool look_through(struct look *look, int fd, const char *path, int depth)
{
    DIR *directory = fdopendir(fd);
    if (directory == NULL) {
        close(fd);
        return job_fail(look->job, "Cannot read the repository: %s.", strerror(errno));
    }
    bool good = depth <= DEPTH_MAX ||
                job_fail(look->job, "The directories in %.*s are nested deeper than %d.",
                         SHOW(look->job->given), DEPTH_MAX);
    while (good) {
        const struct dirent *entry = readdir(directory);
        if (entry == NULL)
            break;
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            good = look_at(look, dirfd(directory), entry, path, depth);
    }
    closedir(directory);
    return good;
}

static bool look_from(struct look *look, const char *real)
{
    int fd = place_open(look->job->root, real, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return job_fail(look->job, "mcpd cannot read the repository %.*s: %s.",
                        SHOW(look->job->given), strerror(errno));
    return look_through(look, fd, real, 0);
}

/* The path within the repository, for messages. */
static const char *shown(const struct job *job, const char *path)
{
    size_t length = strlen(job->top);
    return strncmp(path, job->top, length) == 0 && path[length] == '/' ? path + length + 1 : path;
}

/* ---- configurations ---- */

/* Does a configuration include another file? Whatever looks like it, also within a value:
 * a parser of ours must not know better than libgit2's. */
static bool has_include(const char *text)
{
    for (const char *at = text; (at = strchr(at, '[')) != NULL;) {
        at += 1 + strspn(at + 1, " \t");
        if (strncasecmp(at, "include", 7) == 0)
            return true;
    }
    return false;
}

static bool check_config(struct job *job, const char *path)
{
    char *text = malloc(CONFIG_MAX);
    if (text == NULL)
        return job_fail(job, "mcpd is out of memory.");
    ssize_t size = place_read(job->root, path, text, CONFIG_MAX);
    bool good = true;
    if (size < 0 && errno != ENOENT)
        good = job_fail(job, "The file %s cannot be read: %s.", shown(job, path), strerror(errno));
    else if (size >= 0 && (strlen(text) != (size_t)size || has_include(text)))
        good = job_fail(job,
                        "The file %s includes other files (include.path); mcpd reads no "
                        "repository that does: take the lines out.",
                        shown(job, path));
    free(text);
    return good;
}

/* ---- git directories ---- */

/* Directories that libgit2 never opens for what we ask. */
static bool skip_in_gitdir(const struct look *look, const char *path, const char *name)
{
    static const char *const others[] = {"hooks", "modules", "lfs", "worktrees"};
    if (strcmp(path, look->job->gitdir) != 0 && strcmp(path, look->job->commondir) != 0)
        return false;
    for (size_t i = 0; i < COUNT_OF(others); i++)
        if (strcmp(name, others[i]) == 0)
            return true;
    return false;
}

static bool judge_in_gitdir(struct look *look, const char *path, const char *name,
                            unsigned char type)
{
    struct job *job = look->job;
    (void)name;
    if (type == DT_LNK) {
        /* HEAD was a symbolic link once; it may be. */
        struct stat st;
        int fd = place_open(job->root, path, O_PATH, 0);
        bool good = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
        if (fd >= 0)
            close(fd);
        return good || job_fail(job,
                                "%s is a symbolic link that leads out of the allowed directory "
                                "%s, or not to a file; mcpd does not follow it.",
                                shown(job, path), job->root->path);
    }
    if (type == DT_FIFO || type == DT_CHR || type == DT_BLK)
        return job_fail(job, "%s is %s; mcpd does not open this repository.", shown(job, path),
                        type_phrase((mode_t)DTTOIF(type)));
    return true;
}

/* libgit2 reads these whole; what has no such size when it does meets memory.c. */
static bool check_size(struct job *job, const char *gitdir, const char *name)
{
    char path[PATH_MAX];
    struct stat st;
    int fd = path_join(path, gitdir, name) ? place_open(job->root, path, O_PATH, 0) : -1;
    bool large = fd >= 0 && fstat(fd, &st) == 0 && (uint64_t)st.st_size > memory_most(job);
    if (fd >= 0)
        close(fd);
    return !large || job_fail(job,
                              "The file %s has %lld bytes, more than the %zu MiB of memory that "
                              "mcpd takes at once for a call (see max_object_size).",
                              shown(job, path), (long long)st.st_size, memory_most(job) >> 20);
}

static bool look_through_gitdir(struct job *job, const char *path)
{
    struct look look = {.job = job, .judge = judge_in_gitdir, .skip = skip_in_gitdir};
    char config[PATH_MAX], worktree_config[PATH_MAX];
    return look_from(&look, path) && path_join(config, path, "config") &&
           check_config(job, config) && path_join(worktree_config, path, "config.worktree") &&
           check_config(job, worktree_config) && check_size(job, path, "index") &&
           check_size(job, path, "packed-refs");
}

/* Every objects directory that is named by another one, and by those. */
static bool look_through_alternates(struct job *job, const char *objects, int depth)
{
    char next[PATH_MAX];
    if (depth > 5)
        return job_fail(job, "The alternates of %.*s are nested too deeply.", SHOW(job->given));
    for (size_t i = 0;; i++) {
        if (!objects_alternate(job, objects, i, next))
            return false;
        if (next[0] == '\0')
            return true;
        struct look look = {.job = job, .judge = judge_in_gitdir, .skip = skip_in_gitdir};
        if (!look_from(&look, next) || !look_through_alternates(job, next, depth + 1))
            return false;
    }
}

/* ---- finding them ---- */

/* Reads a file of one line. 1: read; 0: there is none; -1: the call has been ended. */
static int read_line(struct job *job, const char *path, char *out, size_t size)
{
    ssize_t got = place_read(job->root, path, out, size);
    if (got < 0 && errno == ENOENT)
        return 0;
    if (got < 0 || strlen(out) != (size_t)got) {
        job_fail(job, "The file %s cannot be used: %s.", shown(job, path),
                 got < 0 ? strerror(errno) : "it has a NUL character in it");
        return -1;
    }
    while (got > 0 && (out[got - 1] == '\n' || out[got - 1] == '\r'))
        out[--got] = '\0';
    return 1;
}

/* .git is a file in linked work trees and submodules: "gitdir: PATH". */
static bool follow_gitfile(struct job *job, const char *path)
{
    char line[PATH_MAX + 16];
    int found = read_line(job, path, line, sizeof(line));
    if (found < 0)
        return false;
    if (found == 0 || strncmp(line, "gitdir: ", 8) != 0)
        return job_fail(job, "%.*s/.git is a file, but not of git's.", SHOW(job->given));
    if (!place_confine(job->root, job->top, line + 8, job->gitdir))
        return job_fail(job,
                        "%.*s/.git says that the repository is in %s, which is not there or not "
                        "beneath the allowed directory %s.",
                        SHOW(job->given), line + 8, job->root->path);
    return true;
}

static bool find_bare(struct job *job)
{
    if (faccessat(job->top_fd, "HEAD", F_OK, AT_SYMLINK_NOFOLLOW) != 0 ||
        faccessat(job->top_fd, "objects", F_OK, AT_SYMLINK_NOFOLLOW) != 0 ||
        faccessat(job->top_fd, "refs", F_OK, AT_SYMLINK_NOFOLLOW) != 0)
        return job_fail(job,
                        "%.*s is not a git repository. Give the directory that has .git in it; "
                        "directories above are not searched.",
                        SHOW(job->given));
    strcpy(job->gitdir, job->top);
    job->bare = true;
    return true;
}

static bool find_gitdir(struct job *job)
{
    char path[PATH_MAX];
    struct stat st;
    if (!path_join(path, job->top, ".git"))
        return job_fail(job, "The path %.*s is too long.", SHOW(job->given));
    if (fstatat(job->top_fd, ".git", &st, AT_SYMLINK_NOFOLLOW) != 0)
        return find_bare(job);
    if (S_ISREG(st.st_mode))
        return follow_gitfile(job, path);
    if (!S_ISDIR(st.st_mode) && !S_ISLNK(st.st_mode))
        return job_fail(job, "%.*s/.git is %s.", SHOW(job->given), type_phrase(st.st_mode));
    if (!place_confine(job->root, job->top, ".git", job->gitdir))
        return job_fail(job, "%.*s/.git leads out of the allowed directory %s.", SHOW(job->given),
                        job->root->path);
    return true;
}

static bool find_commondir(struct job *job)
{
    char path[PATH_MAX], line[PATH_MAX];
    strcpy(job->commondir, job->gitdir);
    if (!path_join(path, job->gitdir, "commondir"))
        return job_fail(job, "The path %.*s is too long.", SHOW(job->given));
    int found = read_line(job, path, line, sizeof(line));
    if (found == 0)
        return true;
    if (found < 0)
        return false;
    if (!place_confine(job->root, job->gitdir, line, job->commondir))
        return job_fail(job,
                        "%s says that the repository is in %s, which is not there or not beneath "
                        "the allowed directory %s.",
                        shown(job, path), line, job->root->path);
    return true;
}

bool guard_repository(struct job *job)
{
    char objects[PATH_MAX];
    if (!find_gitdir(job) || !find_commondir(job) || !look_through_gitdir(job, job->gitdir))
        return false;
    if (strcmp(job->gitdir, job->commondir) != 0 && !look_through_gitdir(job, job->commondir))
        return false;
    return path_join(objects, job->commondir, "objects") &&
           look_through_alternates(job, objects, 0);
}

/* ---- work trees ---- */

static bool skip_in_worktree(const struct look *look, const char *path, const char *name)
{
    (void)look;
    (void)path;
    return strcmp(name, ".git") == 0;
}

static bool judge_in_worktree(struct look *look, const char *path, const char *name,
                              unsigned char type)
{
    static const char *const read_by_libgit2[] = {".gitignore", ".gitattributes", ".gitmodules"};
    if (type == DT_REG || type == DT_DIR)
        return true;
    for (size_t i = 0; i < COUNT_OF(read_by_libgit2); i++)
        if (strcasecmp(name, read_by_libgit2[i]) == 0)
            return job_fail(look->job, "%s is %s, not a file; mcpd does not read it.",
                            shown(look->job, path), type_phrase((mode_t)DTTOIF(type)));
    return true;
}

bool guard_worktree(struct job *job)
{
    char modules[PATH_MAX];
    struct look look = {.job = job, .judge = judge_in_worktree, .skip = skip_in_worktree};
    return look_from(&look, job->top) && path_join(modules, job->top, ".gitmodules") &&
           check_config(job, modules);
}
