/* SPDX-License-Identifier: MIT */
/*
 * The page that a test and inject.so share: the test writes rules into the file
 * that TORTURE_CONTROL names, at any time, and reads the counts, also after the
 * process has died. inject.mjs writes the same layout: 64-bit words, little-endian.
 */
#ifndef TORTURE_INJECT_H
#define TORTURE_INJECT_H

#include <stdatomic.h>
#include <stdint.h>

#define CONTROL_SIZE 4096
#define RULES 8
#define PATH_SIZE 64

/* Who called: mcpd itself, a library by a part of its name, a plugin. */
enum {
    FROM_PROGRAM = 1,
    FROM_SQLITE = 2,
    FROM_MICROHTTPD = 4,
    FROM_PCRE = 8,
    FROM_LIBC = 16,
    FROM_OTHERS = 32
};

/* fail the calls number `first` to `first + count - 1`, or from `first` on one in `one_in`. */
struct when {
    uint64_t first, count, one_in;
};

struct allocations {
    _Atomic uint64_t armed; /* written last; FROM_... of whose allocations count */
    struct when when;
    _Atomic uint64_t seen, failed;
    _Atomic uint64_t where; /* address of the last one that failed, from the program's start */
};

/* The system calls by name; the order is that of CALLS in inject.mjs. */
enum call {
    CALL_OPEN,
    CALL_READ,
    CALL_PREAD,
    CALL_WRITE,
    CALL_PWRITE,
    CALL_FSYNC,
    CALL_FTRUNCATE,
    CALL_RENAME,
    CALL_UNLINK,
    CALL_STAT,
    CALL_ACCEPT,
    CALL_RECV,
    CALL_SEND,
    CALL_EPOLL_CTL,
    CALL_EPOLL_WAIT,
    CALL_EVENTFD,
    CALL_PIPE,
    CALL_SOCKETPAIR,
    CALL_SPAWN,
    CALL_THREAD,
    CALL_POLL,
    CALL_MEMFD,
    CALL_FCNTL,
    CALL_MKDIR,
    CALL_MMAP,
    CALL_INOTIFY,
    CALL_DLOPEN,
    CALLS
};

/* Which descriptors: any, or those of a kind. */
enum { ON_FILES = 1, ON_SOCKETS = 2, ON_PIPES = 4, ON_OTHERS = 8 };

struct rule {
    _Atomic uint64_t armed; /* written last; 1 + the call's number */
    struct when when;
    uint64_t error; /* errno; 0: a short read or write, of half the bytes */
    uint64_t kinds; /* ON_...; 0: any */
    uint64_t from; /* FROM_...; 0: any */
    _Atomic uint64_t seen, failed;
    char path[PATH_SIZE]; /* a part of the path; empty: any */
};

struct control {
    _Atomic uint64_t owner; /* the process that rules are for: the first that comes */
    uint64_t seed;
    uint64_t log_failures; /* write a line to standard error for each */
    uint64_t reserved;
    struct allocations allocations;
    _Atomic uint64_t total_allocations, total_calls; /* failed since the start */
    uint64_t reserved_too[7];
    struct rule rules[RULES];
};

#endif
