/* SPDX-License-Identifier: MIT */
/*
 * What memory libgit2 may take for a repository's sake. It asks for as much as a
 * repository says is needed: the size that a pack declares of an object, that of each
 * base which an object is a difference to, the size of a file such as the index; and for
 * each path, of which a few trees that name each other can make thousands of millions. So
 * all its memory comes from here, where the thread of a call has a bound for each piece and
 * for what it holds of all. What libgit2 keeps and maps for all calls together is bounded by
 * its options.
 *
 * Trees in trees it follows by recursion, as deep as a repository says. On each level it
 * asks for memory sooner or later, and gets none when the stack becomes short.
 *
 * Its options for the size of objects in packs are for those that it receives; they do
 * nothing where it reads.
 */
#include "git.h"

#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <git2/sys/alloc.h>

#include "reading.h"

#define MIB ((size_t)1 << 20)
#define KEPT_MAX (32 * MIB) /* small objects, in case they are read again */
#define WINDOW_SIZE (16 * MIB) /* of a pack, mapped */
#define WINDOWS_MAX (256 * MIB)
/* Asking whether the call has been cancelled costs little beside so much memory, and
 * beside so many pieces of it. */
#define MUCH (64 * 1024)
#define MANY 4096
#define STACK_MOST (512 * 1024) /* of the 1 MiB that the thread of a call has */
#define TRIM_MOST ((ptrdiff_t)(32 * MIB)) /* the C library may keep so much for the next job */

/* ---- the bound ---- */

static _Thread_local struct job *current; /* NULL: no call */
static _Thread_local struct bound bound;
static _Thread_local uintptr_t stack; /* where it was when the job began */
/* Bytes of the job. What another one took may be freed in it, so `held` may be below 0. */
static _Thread_local ptrdiff_t held, held_most;
static _Thread_local size_t asked; /* how often */
static _Thread_local bool insists; /* what has begun goes on when the call is cancelled */

/* Here where it is called. */
#define STACK_HERE ((uintptr_t)__builtin_frame_address(0))

/* What was many small pieces stays with the process unless the C library is told. */
void memory_end_job(void)
{
#ifdef __GLIBC__
    if (held_most > TRIM_MOST)
        malloc_trim(0);
#endif
    current = NULL;
}

size_t memory_most(const struct job *job)
{
    size_t most = (size_t)job->instance->max_object_size * 8;
    return most > 256 * MIB ? most : 256 * MIB;
}

struct bound memory_bound(struct bound next)
{
    struct bound before = bound;
    bound = next;
    return before;
}

void memory_insist(bool on)
{
    insists = on;
}

size_t memory_left(const struct job *job)
{
    size_t most = memory_most(job), used = held > 0 ? (size_t)held : 0;
    return used < most ? most - used : 0;
}

/* What is against taking so much, which replaces `old`. */
static enum trouble objection(size_t size, size_t old)
{
    if (stack > STACK_HERE + STACK_MOST)
        return TROUBLE_DEPTH;
    if (size > MUCH && size > bound.most)
        return bound.otherwise;
    if (size > old && size - old > memory_left(current))
        return TROUBLE_MEMORY;
    if (!insists && (size > MUCH || ++asked % MANY == 0) &&
        current->call->ops->is_cancelled(current->call))
        return TROUBLE_CANCELLED;
    return TROUBLE_NONE;
}

static bool may_take(size_t size, size_t old)
{
    enum trouble trouble = current != NULL ? objection(size, old) : TROUBLE_NONE;
    if (trouble == TROUBLE_NONE)
        return true;
    if (current->trouble == TROUBLE_NONE)
        current->trouble = trouble;
    git_error_set_oom();
    return false;
}

static void count(size_t taken, size_t given)
{
    held += (ptrdiff_t)taken - (ptrdiff_t)given;
    held_most = held > held_most ? held : held_most;
}

/* ---- the allocator ---- */

static void *taken(void *memory, size_t old)
{
    if (memory == NULL)
        git_error_set_oom();
    else
        count(malloc_usable_size(memory), old);
    return memory;
}

static void *take(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return may_take(size, 0) ? taken(malloc(size), 0) : NULL;
}

static void *take_again(void *memory, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    size_t old = malloc_usable_size(memory);
    return may_take(size, old) ? taken(realloc(memory, size), old) : NULL;
}

static void give_back(void *memory)
{
    count(0, malloc_usable_size(memory));
    free(memory);
}

/* Before libgit2 1.7 it asked for these, too. */
#if !defined(LIBGIT2_VERSION_NUMBER) && LIBGIT2_VER_MAJOR == 1 && LIBGIT2_VER_MINOR < 7

static void *take_zeroed(size_t number, size_t size, const char *file, int line)
{
    size_t whole;
    (void)file;
    (void)line;
    if (__builtin_mul_overflow(number, size, &whole))
        whole = SIZE_MAX;
    return may_take(whole, 0) ? taken(calloc(number, size), 0) : NULL;
}

static char *copy_bytes(const char *text, size_t size, const char *file, int line)
{
    char *copy = size < SIZE_MAX ? take(size + 1, file, line) : NULL;
    if (copy == NULL)
        return NULL;
    memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

static char *copy_text(const char *text, const char *file, int line)
{
    return copy_bytes(text, strlen(text), file, line);
}

static char *copy_start(const char *text, size_t most, const char *file, int line)
{
    return copy_bytes(text, strnlen(text, most), file, line);
}

static void *take_array_again(void *memory, size_t number, size_t size, const char *file, int line)
{
    size_t whole;
    if (!__builtin_mul_overflow(number, size, &whole))
        return take_again(memory, whole, file, line);
    git_error_set_oom();
    return NULL;
}

static void *take_array(size_t number, size_t size, const char *file, int line)
{
    return take_array_again(NULL, number, size, file, line);
}

#define THE_OTHERS                                                                                 \
    .gcalloc = take_zeroed, .gstrdup = copy_text, .gstrndup = copy_start,                          \
    .gsubstrdup = copy_bytes, .greallocarray = take_array_again, .gmallocarray = take_array,
#else
#define THE_OTHERS
#endif

/* Of the whole process. When mcpd replaces this plugin while it runs, the old copy of it
 * and the new one share libgit2 for a while, and the last one that goes takes its
 * allocator away: so each job sets it. Both take from malloc. */
static bool set_allocator(bool ours)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    git_allocator allocator = {THE_OTHERS.gmalloc = take, .grealloc = take_again,
                               .gfree = give_back};
    pthread_mutex_lock(&mutex);
    bool good = git_libgit2_opts(GIT_OPT_SET_ALLOCATOR, ours ? &allocator : NULL) == 0;
    pthread_mutex_unlock(&mutex);
    return good;
}

bool memory_begin(void)
{
    return set_allocator(true) &&
           git_libgit2_opts(GIT_OPT_SET_CACHE_MAX_SIZE, (ssize_t)KEPT_MAX) == 0 &&
           git_libgit2_opts(GIT_OPT_SET_MWINDOW_SIZE, WINDOW_SIZE) == 0 &&
           git_libgit2_opts(GIT_OPT_SET_MWINDOW_MAPPED_LIMIT, WINDOWS_MAX) == 0;
}

void memory_end(void)
{
    set_allocator(false);
}

void memory_begin_job(struct job *job)
{
    current = job;
    stack = STACK_HERE;
    held = held_most = 0;
    asked = 0;
    insists = false;
    bound = (struct bound){memory_most(job), TROUBLE_MEMORY};
    set_allocator(true);
}
