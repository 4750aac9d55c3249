/* SPDX-License-Identifier: MIT */
/*
 * How alike two files are, counted as git counts it, so that renames are found where git
 * finds them and "similarity index" says the same: a file is cut into pieces, at ends of
 * lines or after 64 bytes, and what both have is counted in bytes.
 */
#include "git.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUCKETS 107927 /* git's: it is part of what is counted as equal */
#define PIECE_MAX 64

struct piece {
    uint32_t hash;
    uint32_t bytes; /* of all pieces with this hash */
};

struct signature {
    size_t size, count, capacity;
    struct piece *pieces;
};

static bool add_piece(struct signature *s, uint32_t hash, uint32_t bytes)
{
    if (s->count == s->capacity) {
        size_t capacity = s->capacity == 0 ? 64 : s->capacity * 2;
        struct piece *pieces = realloc(s->pieces, capacity * sizeof(pieces[0]));
        if (pieces == NULL)
            return false;
        s->pieces = pieces;
        s->capacity = capacity;
    }
    s->pieces[s->count++] = (struct piece){hash, bytes};
    return true;
}

static int by_hash(const void *a, const void *b)
{
    const struct piece *left = a, *right = b;
    return left->hash < right->hash ? -1 : left->hash > right->hash;
}

/* Sorted, and each hash once. */
static void gather(struct signature *s)
{
    size_t kept = 0;
    if (s->count > 1)
        qsort(s->pieces, s->count, sizeof(s->pieces[0]), by_hash);
    for (size_t i = 0; i < s->count; i++) {
        if (kept > 0 && s->pieces[kept - 1].hash == s->pieces[i].hash)
            s->pieces[kept - 1].bytes += s->pieces[i].bytes;
        else
            s->pieces[kept++] = s->pieces[i];
    }
    s->count = kept;
}

static bool cut_up(struct signature *s, const unsigned char *data, size_t size)
{
    uint32_t one = 0, two = 0, length = 0;
    bool text = memchr(data, '\0', size < 8000 ? size : 8000) == NULL;
    for (size_t i = 0; i < size; i++) {
        if (text && data[i] == '\r' && i + 1 < size && data[i + 1] == '\n')
            continue;
        uint32_t before = one;
        one = (one << 7) ^ (two >> 25);
        two = (two << 7) ^ (before >> 25);
        one += data[i];
        if (++length < PIECE_MAX && data[i] != '\n' && i + 1 < size)
            continue;
        if (!add_piece(s, (one + two * 0x61) % BUCKETS, length))
            return false;
        one = two = length = 0;
    }
    gather(s);
    return true;
}

static void free_signature(void *signature, void *payload)
{
    struct signature *s = signature;
    (void)payload;
    if (s != NULL)
        free(s->pieces);
    free(s);
}

static int buffer_signature(void **out, const git_diff_file *file, const char *data, size_t size,
                            void *payload)
{
    struct signature *s = calloc(1, sizeof(*s));
    (void)file;
    if (s == NULL)
        return -1;
    s->size = size;
    if (size > 0 && !cut_up(s, (const unsigned char *)data, size)) {
        free_signature(s, payload);
        return -1;
    }
    *out = s;
    return 0;
}

/* A file of the work tree, which libgit2 names by its whole path. */
static int file_signature(void **out, const git_diff_file *file, const char *path, void *payload)
{
    const struct job *job = payload;
    struct stat st;
    char *data = NULL;
    int result = 0;
    int fd = place_open(job->root, path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY, 0);
    if (fd < 0)
        return 0; /* without a signature it is like none */
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= job->instance->max_object_size)
        data = malloc((size_t)st.st_size + 1);
    if (data != NULL) {
        ssize_t got = read(fd, data, (size_t)st.st_size);
        result = buffer_signature(out, file, data, got > 0 ? (size_t)got : 0, payload);
    }
    free(data);
    close(fd);
    return result;
}

static int similarity(int *score, void *one, void *other, void *payload)
{
    const struct signature *a = one, *b = other;
    size_t most = a->size > b->size ? a->size : b->size, i = 0, j = 0;
    uint64_t common = 0;
    (void)payload;
    while (i < a->count && j < b->count) {
        const struct piece *left = &a->pieces[i], *right = &b->pieces[j];
        if (left->hash == right->hash)
            common += left->bytes < right->bytes ? left->bytes : right->bytes;
        i += left->hash <= right->hash;
        j += right->hash <= left->hash;
    }
    *score = most > 0 ? (int)(common * 100 / most) : 0;
    return 0;
}

int find_renames(struct job *job, git_diff *diff)
{
    git_diff_similarity_metric metric = {file_signature, buffer_signature, free_signature,
                                         similarity, job};
    git_diff_find_options options;
    git_diff_find_options_init(&options, GIT_DIFF_FIND_OPTIONS_VERSION);
    options.flags = GIT_DIFF_FIND_RENAMES;
    options.rename_limit = 1000;
    options.metric = &metric;
    return git_diff_find_similar(diff, &options);
}
