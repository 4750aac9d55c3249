/* SPDX-License-Identifier: MIT */
/*
 * inject.so, for LD_PRELOAD: makes allocations and system calls of an unchanged
 * mcpd fail, by rules that a test writes into a shared file (inject.h) while mcpd
 * runs. What calls is told apart by its return address, so that libraries which
 * do not survive a failed allocation are spared unless a test asks for them.
 * Without TORTURE_CONTROL, and in every process but the first, it does nothing.
 */
#include "inject.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define VISIBLE __attribute__((visibility("default")))
#define CALLER __builtin_return_address(0)

_Static_assert(sizeof(struct control) <= CONTROL_SIZE, "the page holds it all");

static struct control *control;
static uintptr_t program_start, program_end;
static _Atomic uint64_t random_state;

/* The next definition of a function: the C library's, or a sanitizer's. */
static void *next_of(void **known, const char *name)
{
    if (*known == NULL)
        *known = dlsym(RTLD_NEXT, name);
    return *known;
}
#define NEXT(name)                                                                                 \
    static void *next_##name;                                                                      \
    __typeof__(name) *real;                                                                        \
    *(void **)&real = next_of(&next_##name, #name)

/* ---- who calls ---- */

static uint64_t of_library(const char *path)
{
    static const struct {
        const char *part;
        uint64_t from;
    } known[] = {{"libsqlite3", FROM_SQLITE},
                 {"libmicrohttpd", FROM_MICROHTTPD},
                 {"libpcre2", FROM_PCRE},
                 {"libc.so", FROM_LIBC}};

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strstr(path, known[i].part) != NULL)
            return known[i].from;
    return FROM_OTHERS;
}

static uint64_t origin(const void *caller)
{
    struct dl_find_object object;

    if ((uintptr_t)caller >= program_start && (uintptr_t)caller < program_end)
        return FROM_PROGRAM;
    if (_dl_find_object((void *)(uintptr_t)caller, &object) != 0 || object.dlfo_link_map == NULL)
        return FROM_OTHERS;
    return of_library(object.dlfo_link_map->l_name);
}

/* ---- when ---- */

static uint64_t next_random(void)
{
    /* splitmix64: any thread, one sequence. */
    uint64_t x = atomic_fetch_add(&random_state, 0x9e3779b97f4a7c15) + control->seed;

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
}

static bool is_time(const struct when *when, uint64_t number)
{
    if (when->one_in > 0)
        return number >= when->first && next_random() % when->one_in == 0;
    return number >= when->first && number - when->first < when->count;
}

/* The child of a fork, until it executes something else, has our page too. */
static bool ours(void)
{
    return (uint64_t)getpid() == atomic_load_explicit(&control->owner, memory_order_relaxed);
}

static void tell(const char *what, const void *caller)
{
    char line[200];
    int size = snprintf(line, sizeof line, "inject: %s failed at +0x%lx\n", what,
                        (unsigned long)((uintptr_t)caller - program_start));
    int kept = errno;

    if (control->log_failures != 0) {
        NEXT(write);
        ssize_t ignored = real(2, line, (size_t)size);
        (void)ignored;
    }
    errno = kept;
}

static bool fail_allocation(const void *caller)
{
    if (control == NULL)
        return false;
    struct allocations *a = &control->allocations;
    uint64_t armed = atomic_load_explicit(&a->armed, memory_order_acquire);
    if (armed == 0 || (origin(caller) & armed) == 0 || !ours())
        return false;
    if (!is_time(&a->when, atomic_fetch_add(&a->seen, 1) + 1))
        return false;
    atomic_store(&a->where, (uintptr_t)caller - program_start);
    atomic_fetch_add(&a->failed, 1);
    atomic_fetch_add(&control->total_allocations, 1);
    tell("an allocation", caller);
    errno = ENOMEM;
    return true;
}

static bool path_fits(const struct rule *rule, int fd, const char *path)
{
    char link[64], target[4096];

    if (rule->path[0] == '\0')
        return true;
    if (path != NULL)
        return strstr(path, rule->path) != NULL;
    if (fd < 0)
        return false;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, target, sizeof target - 1);
    if (size < 0)
        return false;
    target[size] = '\0';
    return strstr(target, rule->path) != NULL;
}

static bool kind_fits(const struct rule *rule, int fd)
{
    struct stat st;

    if (rule->kinds == 0)
        return true;
    /* Not through our own fstat. */
    if (fd < 0 || fstatat(fd, "", &st, AT_EMPTY_PATH) != 0)
        return false;
    uint64_t kind = S_ISREG(st.st_mode)    ? ON_FILES
                    : S_ISSOCK(st.st_mode) ? ON_SOCKETS
                    : S_ISFIFO(st.st_mode) ? ON_PIPES
                                           : ON_OTHERS;
    return (rule->kinds & kind) != 0;
}

static bool rule_fails(struct rule *rule, enum call call, int fd, const char *path,
                       const void *caller)
{
    if (atomic_load_explicit(&rule->armed, memory_order_acquire) != (uint64_t)call + 1 || !ours() ||
        (rule->from != 0 && (origin(caller) & rule->from) == 0))
        return false;
    int kept = errno;
    bool fits = kind_fits(rule, fd) && path_fits(rule, fd, path);
    errno = kept;
    return fits && is_time(&rule->when, atomic_fetch_add(&rule->seen, 1) + 1);
}

/* The error with which a call is to fail; 0: none. `shorten` may be NULL: what it
 * points to is halved where the rule wants less instead of an error. */
static int fault(enum call call, int fd, const char *path, size_t *shorten, const void *caller)
{
    if (control == NULL)
        return 0;
    for (int i = 0; i < RULES; i++) {
        struct rule *rule = &control->rules[i];
        if (!rule_fails(rule, call, fd, path, caller))
            continue;
        if (rule->error == 0 && (shorten == NULL || *shorten < 2))
            continue;
        atomic_fetch_add(&rule->failed, 1);
        atomic_fetch_add(&control->total_calls, 1);
        tell("a call", caller);
        if (rule->error == 0) {
            *shorten /= 2;
            return 0;
        }
        errno = (int)rule->error;
        return (int)rule->error;
    }
    return 0;
}

#define FAIL_WITH(value, call, fd, path)                                                           \
    do {                                                                                           \
        if (fault(call, fd, path, NULL, CALLER) != 0)                                              \
            return value;                                                                          \
    } while (0)
#define FAIL_OR_SHORTEN(call, fd, size)                                                            \
    do {                                                                                           \
        if (fault(call, fd, NULL, &(size), CALLER) != 0)                                           \
            return -1;                                                                             \
    } while (0)

/* ---- the start ---- */

static int find_program(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size;
    (void)context;
    program_start = info->dlpi_addr;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type == PT_LOAD && info->dlpi_addr + p->p_vaddr + p->p_memsz > program_end)
            program_end = info->dlpi_addr + p->p_vaddr + p->p_memsz;
    }
    return 1; /* the program is the first */
}

__attribute__((constructor)) static void begin(void)
{
    const char *file = getenv("TORTURE_CONTROL");
    uint64_t nobody = 0;
    int fd = file == NULL ? -1 : open(file, O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return;
    dl_iterate_phdr(find_program, NULL);
    void *page = mmap(NULL, CONTROL_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (page == MAP_FAILED)
        return;
    struct control *shared = page;
    if (atomic_compare_exchange_strong(&shared->owner, &nobody, (uint64_t)getpid()))
        control = shared;
}

/* ---- memory ---- */

/* What dlsym allocates while we look for the allocator itself. Never freed. */
static _Alignas(16) char early[8192];
static _Atomic size_t early_used;

static void *early_memory(size_t size)
{
    size_t at = atomic_fetch_add(&early_used, (size + 15) & ~(size_t)15);

    return at + size <= sizeof early ? early + at : NULL;
}

static bool is_early(const void *p)
{
    return (const char *)p >= early && (const char *)p < early + sizeof early;
}

static struct allocator {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void *(*aligned_alloc)(size_t, size_t);
    int (*posix_memalign)(void **, size_t, size_t);
    void (*free)(void *);
} allocator;
static _Atomic int looking; /* 0: not yet, 1: now, 2: found */

static bool found(void)
{
    int state = 0;

    if (atomic_load_explicit(&looking, memory_order_acquire) == 2)
        return true;
    if (!atomic_compare_exchange_strong(&looking, &state, 1))
        return state == 2;
    *(void **)&allocator.malloc = dlsym(RTLD_NEXT, "malloc");
    *(void **)&allocator.calloc = dlsym(RTLD_NEXT, "calloc");
    *(void **)&allocator.realloc = dlsym(RTLD_NEXT, "realloc");
    *(void **)&allocator.aligned_alloc = dlsym(RTLD_NEXT, "aligned_alloc");
    *(void **)&allocator.posix_memalign = dlsym(RTLD_NEXT, "posix_memalign");
    *(void **)&allocator.free = dlsym(RTLD_NEXT, "free");
    atomic_store_explicit(&looking, 2, memory_order_release);
    return true;
}

VISIBLE void *malloc(size_t size)
{
    if (!found())
        return early_memory(size);
    return fail_allocation(CALLER) ? NULL : allocator.malloc(size);
}

VISIBLE void *calloc(size_t count, size_t size)
{
    if (!found())
        return early_memory(count * size);
    return fail_allocation(CALLER) ? NULL : allocator.calloc(count, size);
}

VISIBLE void *realloc(void *p, size_t size)
{
    if (!found() || is_early(p)) {
        void *moved = found() ? allocator.malloc(size) : early_memory(size);
        if (moved != NULL && p != NULL) {
            size_t left = (size_t)(early + sizeof early - (char *)p);
            memcpy(moved, p, size < left ? size : left);
        }
        return moved;
    }
    return fail_allocation(CALLER) ? NULL : allocator.realloc(p, size);
}

VISIBLE void *aligned_alloc(size_t alignment, size_t size)
{
    return !found() || fail_allocation(CALLER) ? NULL : allocator.aligned_alloc(alignment, size);
}

VISIBLE int posix_memalign(void **result, size_t alignment, size_t size)
{
    if (!found() || fail_allocation(CALLER))
        return ENOMEM;
    return allocator.posix_memalign(result, alignment, size);
}

VISIBLE void free(void *p)
{
    if (p != NULL && !is_early(p) && found())
        allocator.free(p);
}

/* What the C library allocates for whoever calls these. */
VISIBLE char *strdup(const char *text)
{
    NEXT(strdup);
    return fail_allocation(CALLER) ? NULL : real(text);
}

VISIBLE char *strndup(const char *text, size_t size)
{
    NEXT(strndup);
    return fail_allocation(CALLER) ? NULL : real(text, size);
}

VISIBLE int vasprintf(char **result, const char *format, va_list args)
{
    NEXT(vasprintf);
    return fail_allocation(CALLER) ? -1 : real(result, format, args);
}

__attribute__((format(printf, 2, 3))) VISIBLE int asprintf(char **result, const char *format, ...)
{
    va_list args;
    NEXT(vasprintf);

    if (fail_allocation(CALLER))
        return -1;
    va_start(args, format);
    int size = real(result, format, args);
    va_end(args);
    return size;
}

int __asprintf_chk(char **result, int flag, const char *format, ...);
__attribute__((format(printf, 3, 4))) VISIBLE int __asprintf_chk(char **result, int flag,
                                                                 const char *format, ...)
{
    va_list args;
    NEXT(vasprintf);

    (void)flag;
    if (fail_allocation(CALLER))
        return -1;
    va_start(args, format);
    int size = real(result, format, args);
    va_end(args);
    return size;
}

VISIBLE FILE *fopen(const char *path, const char *mode)
{
    NEXT(fopen);
    if (fail_allocation(CALLER))
        return NULL;
    FAIL_WITH(NULL, CALL_OPEN, -1, path);
    return real(path, mode);
}

VISIBLE DIR *opendir(const char *path)
{
    NEXT(opendir);
    if (fail_allocation(CALLER))
        return NULL;
    FAIL_WITH(NULL, CALL_OPEN, -1, path);
    return real(path);
}

VISIBLE DIR *fdopendir(int fd)
{
    NEXT(fdopendir);
    return fail_allocation(CALLER) ? NULL : real(fd);
}

/* ---- files ---- */

#define MODE_OF(flags, last)                                                                       \
    mode_t mode = 0;                                                                               \
    if (((flags) & (O_CREAT | O_TMPFILE)) != 0) {                                                  \
        va_list args;                                                                              \
        va_start(args, last);                                                                      \
        mode = va_arg(args, mode_t);                                                               \
        va_end(args);                                                                              \
    }

VISIBLE int open(const char *path, int flags, ...)
{
    NEXT(open);
    MODE_OF(flags, flags)
    FAIL_WITH(-1, CALL_OPEN, -1, path);
    return real(path, flags, mode);
}

VISIBLE int open64(const char *path, int flags, ...)
{
    NEXT(open64);
    MODE_OF(flags, flags)
    FAIL_WITH(-1, CALL_OPEN, -1, path);
    return real(path, flags, mode);
}

VISIBLE int openat(int at, const char *path, int flags, ...)
{
    NEXT(openat);
    MODE_OF(flags, flags)
    FAIL_WITH(-1, CALL_OPEN, -1, path);
    return real(at, path, flags, mode);
}

VISIBLE int openat64(int at, const char *path, int flags, ...)
{
    NEXT(openat64);
    MODE_OF(flags, flags)
    FAIL_WITH(-1, CALL_OPEN, -1, path);
    return real(at, path, flags, mode);
}

VISIBLE ssize_t read(int fd, void *data, size_t size)
{
    NEXT(read);
    FAIL_OR_SHORTEN(CALL_READ, fd, size);
    return real(fd, data, size);
}

ssize_t __read_chk(int fd, void *data, size_t size, size_t room);
VISIBLE ssize_t __read_chk(int fd, void *data, size_t size, size_t room)
{
    NEXT(__read_chk);
    FAIL_OR_SHORTEN(CALL_READ, fd, size);
    return real(fd, data, size, room);
}

VISIBLE ssize_t pread(int fd, void *data, size_t size, off_t at)
{
    NEXT(pread);
    FAIL_OR_SHORTEN(CALL_PREAD, fd, size);
    return real(fd, data, size, at);
}

VISIBLE ssize_t pread64(int fd, void *data, size_t size, off64_t at)
{
    NEXT(pread64);
    FAIL_OR_SHORTEN(CALL_PREAD, fd, size);
    return real(fd, data, size, at);
}

VISIBLE ssize_t write(int fd, const void *data, size_t size)
{
    NEXT(write);
    FAIL_OR_SHORTEN(CALL_WRITE, fd, size);
    return real(fd, data, size);
}

VISIBLE ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    NEXT(pwrite);
    FAIL_OR_SHORTEN(CALL_PWRITE, fd, size);
    return real(fd, data, size, at);
}

VISIBLE ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at)
{
    NEXT(pwrite64);
    FAIL_OR_SHORTEN(CALL_PWRITE, fd, size);
    return real(fd, data, size, at);
}

VISIBLE int fsync(int fd)
{
    NEXT(fsync);
    FAIL_WITH(-1, CALL_FSYNC, fd, NULL);
    return real(fd);
}

VISIBLE int fdatasync(int fd)
{
    NEXT(fdatasync);
    FAIL_WITH(-1, CALL_FSYNC, fd, NULL);
    return real(fd);
}

VISIBLE int ftruncate(int fd, off_t size)
{
    NEXT(ftruncate);
    FAIL_WITH(-1, CALL_FTRUNCATE, fd, NULL);
    return real(fd, size);
}

VISIBLE int ftruncate64(int fd, off64_t size)
{
    NEXT(ftruncate64);
    FAIL_WITH(-1, CALL_FTRUNCATE, fd, NULL);
    return real(fd, size);
}

VISIBLE int rename(const char *from, const char *to)
{
    NEXT(rename);
    FAIL_WITH(-1, CALL_RENAME, -1, from);
    return real(from, to);
}

VISIBLE int unlink(const char *path)
{
    NEXT(unlink);
    FAIL_WITH(-1, CALL_UNLINK, -1, path);
    return real(path);
}

VISIBLE int unlinkat(int at, const char *path, int flags)
{
    NEXT(unlinkat);
    FAIL_WITH(-1, CALL_UNLINK, -1, path);
    return real(at, path, flags);
}

VISIBLE int mkdir(const char *path, mode_t mode)
{
    NEXT(mkdir);
    FAIL_WITH(-1, CALL_MKDIR, -1, path);
    return real(path, mode);
}

VISIBLE int stat(const char *path, struct stat *st)
{
    NEXT(stat);
    FAIL_WITH(-1, CALL_STAT, -1, path);
    return real(path, st);
}

VISIBLE int fstat(int fd, struct stat *st)
{
    NEXT(fstat);
    FAIL_WITH(-1, CALL_STAT, fd, NULL);
    return real(fd, st);
}

VISIBLE int fcntl(int fd, int command, ...)
{
    va_list args;
    NEXT(fcntl);

    va_start(args, command);
    void *value = va_arg(args, void *);
    va_end(args);
    FAIL_WITH(-1, CALL_FCNTL, fd, NULL);
    return real(fd, command, value);
}

VISIBLE int memfd_create(const char *name, unsigned flags)
{
    NEXT(memfd_create);
    FAIL_WITH(-1, CALL_MEMFD, -1, name);
    return real(name, flags);
}

VISIBLE void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t at)
{
    NEXT(mmap);
    FAIL_WITH(MAP_FAILED, CALL_MMAP, fd, NULL);
    return real(address, size, protection, flags, fd, at);
}

VISIBLE void *dlopen(const char *path, int flags)
{
    /* The C library's dlopen looks at who called it only for $ORIGIN, which mcpd
     * does not use. */
    NEXT(dlopen);
    if (path != NULL)
        FAIL_WITH(NULL, CALL_DLOPEN, -1, path);
    return real(path, flags);
}

/* ---- sockets and events ---- */

VISIBLE int accept4(int fd, __SOCKADDR_ARG address, socklen_t *size, int flags)
{
    NEXT(accept4);
    FAIL_WITH(-1, CALL_ACCEPT, fd, NULL);
    return real(fd, address, size, flags);
}

VISIBLE ssize_t recv(int fd, void *data, size_t size, int flags)
{
    NEXT(recv);
    FAIL_OR_SHORTEN(CALL_RECV, fd, size);
    return real(fd, data, size, flags);
}

VISIBLE ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    NEXT(recvmsg);
    FAIL_WITH(-1, CALL_RECV, fd, NULL);
    return real(fd, message, flags);
}

VISIBLE ssize_t send(int fd, const void *data, size_t size, int flags)
{
    NEXT(send);
    FAIL_OR_SHORTEN(CALL_SEND, fd, size);
    return real(fd, data, size, flags);
}

VISIBLE ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    NEXT(sendmsg);
    FAIL_WITH(-1, CALL_SEND, fd, NULL);
    return real(fd, message, flags);
}

VISIBLE int epoll_ctl(int epoll, int command, int fd, struct epoll_event *event)
{
    NEXT(epoll_ctl);
    if (command != EPOLL_CTL_DEL)
        FAIL_WITH(-1, CALL_EPOLL_CTL, fd, NULL);
    return real(epoll, command, fd, event);
}

VISIBLE int epoll_wait(int epoll, struct epoll_event *events, int count, int ms)
{
    NEXT(epoll_wait);
    FAIL_WITH(-1, CALL_EPOLL_WAIT, epoll, NULL);
    return real(epoll, events, count, ms);
}

VISIBLE int poll(struct pollfd *fds, nfds_t count, int ms)
{
    NEXT(poll);
    FAIL_WITH(-1, CALL_POLL, -1, NULL);
    return real(fds, count, ms);
}

VISIBLE int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *time,
                  const sigset_t *signals)
{
    NEXT(ppoll);
    FAIL_WITH(-1, CALL_POLL, -1, NULL);
    return real(fds, count, time, signals);
}

VISIBLE int eventfd(unsigned value, int flags)
{
    NEXT(eventfd);
    FAIL_WITH(-1, CALL_EVENTFD, -1, NULL);
    return real(value, flags);
}

VISIBLE int pipe2(int ends[2], int flags)
{
    NEXT(pipe2);
    FAIL_WITH(-1, CALL_PIPE, -1, NULL);
    return real(ends, flags);
}

VISIBLE int socketpair(int domain, int type, int protocol, int ends[2])
{
    NEXT(socketpair);
    FAIL_WITH(-1, CALL_SOCKETPAIR, -1, NULL);
    return real(domain, type, protocol, ends);
}

VISIBLE int inotify_add_watch(int fd, const char *path, uint32_t mask)
{
    NEXT(inotify_add_watch);
    FAIL_WITH(-1, CALL_INOTIFY, -1, path);
    return real(fd, path, mask);
}

/* ---- processes and threads: these return the error ---- */

VISIBLE int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
                        const posix_spawnattr_t *attributes, char *const arguments[],
                        char *const environment[])
{
    NEXT(posix_spawn);
    int error = fault(CALL_SPAWN, -1, path, NULL, CALLER);
    return error != 0 ? error : real(pid, path, actions, attributes, arguments, environment);
}

VISIBLE int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                           void *(*run)(void *), void *arg)
{
    NEXT(pthread_create);
    int error = fault(CALL_THREAD, -1, NULL, NULL, CALLER);
    return error != 0 ? error : real(thread, attributes, run, arg);
}
