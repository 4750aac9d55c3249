/* SPDX-License-Identifier: MIT */
/* Reading the directory of a skill: which files are there, how long they are, and their
 * digests. */
#include "skills.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "beneath.h"

#define DEPTH_MAX 16
/* A file system's clock ticks: what was written just before it was read may be written
 * once more without a trace. */
#define TRUSTED_AGE_S 2

/* ---- names ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void names_free(char **names)
{
    for (size_t i = 0; names != NULL && names[i] != NULL; i++)
        free(names[i]);
    free(names);
}

/* Adds a copy; what is behind the last name is NULL. */
static bool add_name(char ***names, size_t *count, const char *name)
{
    char **more = realloc(*names, (*count + 2) * sizeof(char *));

    if (more == NULL)
        return false;
    *names = more;
    more[*count] = strdup(name);
    more[*count + 1] = NULL;
    return more[*count] != NULL && ++*count > 0;
}

/* All names of the stream, unsorted. False: errno says why. */
static bool read_names(DIR *stream, size_t max, char ***names, size_t *count)
{
    for (;;) {
        errno = 0;
        // cppcheck-suppress readdirCalled ; one directory stream, one thread
        const struct dirent *entry = readdir(stream);
        if (entry == NULL)
            return errno == 0;
        if (entry->d_name[0] == '.')
            continue; /* hidden, or the directory itself */
        if (*count == max) {
            errno = E2BIG;
            return false;
        }
        if (!add_name(names, count, entry->d_name))
            return false;
    }
}

char **directory_names(int fd, size_t max)
{
    DIR *stream = fdopendir(fd);
    char **names = calloc(1, sizeof(char *));
    size_t count = 0;
    bool good = stream != NULL && names != NULL && read_names(stream, max, &names, &count);
    int error = errno;

    if (stream != NULL)
        closedir(stream);
    else
        close(fd);
    if (!good) {
        names_free(names);
        errno = error;
        return NULL;
    }
    if (count > 1)
        qsort(names, count, sizeof(char *), by_name);
    return names;
}

/* ---- one file ---- */

static bool read_all(int fd, int64_t max, struct text *out)
{
    char chunk[64 * 1024];

    for (;;) {
        ssize_t got = read(fd, chunk, sizeof(chunk));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0;
        text_add(out, chunk, (size_t)got);
        if ((int64_t)out->size > max || out->failed) {
            errno = out->failed && (int64_t)out->size <= max ? ENOMEM : EFBIG;
            return false;
        }
    }
}

bool file_read(int directory, const char *path, int64_t max, struct text *out, struct stat *st)
{
    /* Looks before it opens: opening a device may already do something. */
    int fd = open_beneath(directory, path, O_PATH, 0);
    bool good = fd >= 0 && fstat(fd, st) == 0;

    if (good && !S_ISREG(st->st_mode)) {
        errno = S_ISDIR(st->st_mode) ? EISDIR : EINVAL;
        good = false;
    }
    if (fd >= 0) {
        int error = errno;
        close(fd);
        errno = error;
    }
    if (!good)
        return false;
    fd = open_beneath(directory, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
    if (fd < 0)
        return false;
    good = fstat(fd, st) == 0 && S_ISREG(st->st_mode) && read_all(fd, max, out);
    int error = errno;
    close(fd);
    errno = error;
    return good;
}

void files_free(struct file *files, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(files[i].path);
    free(files);
}

/* ---- faults ---- */

static bool refuse(struct walk *walk, const char *path, int error)
{
    struct text *fault = &walk->fault;

    if (fault->size > 0)
        return false; /* the first counts */
    text_add_utf8(fault, path, strlen(path));
    switch (error) {
    case EXDEV:
        text_adds(fault, " is a symbolic link that leads out of the directory of skills: put what "
                         "it names in its place");
        break;
    case ELOOP:
        text_adds(fault, " is a symbolic link that leads back to where it is");
        break;
    case EACCES:
    case EPERM:
        text_adds(fault, " cannot be read: mcpd has no permission");
        break;
    case ENOENT:
        text_adds(fault, " is a symbolic link to nothing, or is just being moved");
        break;
    case EINVAL:
        text_adds(fault, " is no file and no directory");
        break;
    case ENAMETOOLONG:
        text_adds(fault, " is nested too deeply, or its name is too long");
        break;
    case EFBIG:
        text_addf(fault,
                  " and the files before it have more than %lld bytes, the most of one skill",
                  (long long)FILES_BYTES_MAX);
        break;
    case E2BIG:
        text_addf(fault, " is more than the %d files that a skill may have", FILES_MAX);
        break;
    default:
        text_addf(fault, " cannot be read: %s", strerror(error));
        break;
    }
    return false;
}

/* ---- the walk ---- */

/* The directories from the skill's own down to where we are. */
struct level {
    const struct level *above;
    struct stat stat;
};

static int compare_files(const void *a, const void *b)
{
    return strcmp(((const struct file *)a)->path, ((const struct file *)b)->path);
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* The digest of the time before, if nothing can have changed since. */
static const struct file *find_known(const struct walk *walk, const char *path,
                                     const struct stat *st)
{
    const struct file wanted = {.path = (char *)(uintptr_t)path};
    const struct file *known =
        walk->known_count == 0
            ? NULL
            : bsearch(&wanted, walk->known, walk->known_count, sizeof(wanted), compare_files);

    if (known == NULL || known->stat.st_dev != st->st_dev || known->stat.st_ino != st->st_ino ||
        known->stat.st_size != st->st_size || !same_time(known->stat.st_mtim, st->st_mtim) ||
        !same_time(known->stat.st_ctim, st->st_ctim) ||
        known->read.tv_sec - known->stat.st_ctim.tv_sec < TRUSTED_AGE_S)
        return NULL;
    return known;
}

/* Reads the file; its digest, and of SKILL.md the content. */
static bool digest_file(struct walk *walk, struct file *file, const char *beneath)
{
    bool is_manifest = strcmp(file->path, "SKILL.md") == 0;
    const struct file *known = is_manifest ? NULL : find_known(walk, file->path, &file->stat);
    struct text content;

    if (known != NULL) {
        memcpy(file->digest, known->digest, sizeof(file->digest));
        file->read = known->read;
        return true;
    }
    clock_gettime(CLOCK_REALTIME, &file->read);
    text_init(&content, (size_t)FILES_BYTES_MAX + (1 << 17));
    if (!file_read(walk->root, beneath, FILES_BYTES_MAX - walk->total, &content, &file->stat)) {
        refuse(walk, file->path, errno);
        text_free(&content);
        return false;
    }
    file->size = (int64_t)content.size;
    crypto_hash_sha256(file->digest, (const unsigned char *)content.data, content.size);
    if (is_manifest)
        walk->manifest = content;
    else
        text_free(&content);
    return true;
}

static bool add_file(struct walk *walk, const char *path, const char *beneath,
                     const struct stat *st)
{
    struct file file = {.size = st->st_size, .stat = *st};

    if (walk->count == FILES_MAX)
        return refuse(walk, path, E2BIG);
    if (st->st_size > FILES_BYTES_MAX - walk->total)
        return refuse(walk, path, EFBIG);
    struct file *files = realloc(walk->files, (walk->count + 1) * sizeof(file));
    if (files == NULL)
        return refuse(walk, path, ENOMEM);
    walk->files = files;
    file.path = strdup(path);
    if (file.path == NULL)
        return refuse(walk, path, ENOMEM);
    if (!digest_file(walk, &file, beneath)) {
        free(file.path);
        return false;
    }
    walk->total += file.size;
    walk->files[walk->count++] = file;
    return true;
}

static bool walk_directory(struct walk *walk, const char *path, const struct level *above,
                           int depth);

/* What a name in the skill's directory stands for. */
static bool take(struct walk *walk, const char *path, const struct level *level, int depth)
{
    char beneath[PATH_MAX];
    struct stat st;

    if (snprintf(beneath, sizeof(beneath), "%s/%s", walk->directory, path) >= (int)sizeof(beneath))
        return refuse(walk, path, ENAMETOOLONG);
    int fd = open_beneath(walk->root, beneath, O_PATH, 0);
    if (fd < 0 || fstat(fd, &st) != 0) {
        int error = errno;
        if (fd >= 0)
            close(fd);
        return refuse(walk, path, error);
    }
    close(fd);
    if (S_ISREG(st.st_mode))
        return add_file(walk, path, beneath, &st);
    if (!S_ISDIR(st.st_mode))
        return refuse(walk, path, EINVAL);
    for (const struct level *l = level; l != NULL; l = l->above)
        if (l->stat.st_dev == st.st_dev && l->stat.st_ino == st.st_ino)
            return refuse(walk, path, ELOOP);
    return depth < DEPTH_MAX ? walk_directory(walk, path, level, depth + 1)
                             : refuse(walk, path, ENAMETOOLONG);
}

static bool walk_directory(struct walk *walk, const char *path, const struct level *above,
                           int depth)
{
    struct level level = {.above = above};
    char beneath[PATH_MAX], child[PATH_MAX];
    const char *slash = path[0] != '\0' ? "/" : "";

    snprintf(beneath, sizeof(beneath), "%s%s%s", walk->directory, slash, path);
    int fd = open_beneath(walk->root, beneath, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0 || fstat(fd, &level.stat) != 0) {
        int error = errno;
        if (fd >= 0)
            close(fd);
        return refuse(walk, path[0] != '\0' ? path : walk->directory, error);
    }
    if (walk->watch != NULL)
        walk->watch(walk->context, fd);
    char **names = directory_names(fd, 2 * FILES_MAX);
    if (names == NULL)
        return refuse(walk, path[0] != '\0' ? path : "A file", errno);
    bool good = true;
    for (size_t i = 0; good && names[i] != NULL; i++) {
        int size = snprintf(child, sizeof(child), "%s%s%s", path, slash, names[i]);
        good = size < (int)sizeof(child) ? take(walk, child, &level, depth)
                                         : refuse(walk, path, ENAMETOOLONG);
    }
    names_free(names);
    return good;
}

bool walk_skill(struct walk *walk)
{
    text_init(&walk->manifest, 0);
    text_init(&walk->fault, 16 * 1024);
    if (!walk_directory(walk, "", NULL, 0))
        return false;
    if (walk->count > 1)
        qsort(walk->files, walk->count, sizeof(walk->files[0]), compare_files);
    return true;
}
