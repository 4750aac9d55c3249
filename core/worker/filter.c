/* SPDX-License-Identifier: MIT */
/*
 * Which system calls the process may make: a list of those that are allowed. Written
 * by hand and not with libseccomp: it is a list and a dozen rules about one argument
 * each, the worker starts in the time that library takes to compile them, and mcpd
 * has one dependency less.
 *
 * The kernel remembers which calls a filter allows whatever their arguments
 * (Linux 5.11), so the length of the list costs nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "plugin/landlock.h"
#include "worker/sandbox.h"

#ifdef SANDBOX_AUDIT_ARCH

/* Files, memory, threads, time: whatever a library may do with what it has. What is
 * not here, for the record: everything about other processes, mounts, name spaces, keys,
 * modules, io_uring, whose requests no filter sees, and memfd_create: what is written to
 * such a file counts against no limit of the process. */
static const int allowed[] = {
    /* Files; which, is Landlock's affair. */
    SYS_read,
    SYS_write,
    SYS_readv,
    SYS_writev,
    SYS_pread64,
    SYS_pwrite64,
    SYS_preadv,
    SYS_pwritev,
    SYS_preadv2,
    SYS_pwritev2,
    SYS_openat,
    SYS_openat2,
    SYS_close,
    SYS_close_range,
    SYS_lseek,
    SYS_fstat,
    SYS_newfstatat,
    SYS_statx,
    SYS_statfs,
    SYS_fstatfs,
    SYS_faccessat,
    SYS_faccessat2,
    SYS_readlinkat,
    SYS_getdents64,
    SYS_ftruncate,
    SYS_fallocate,
    SYS_fsync,
    SYS_fdatasync,
    SYS_sync_file_range,
    SYS_syncfs,
    SYS_flock,
    SYS_fadvise64,
    SYS_readahead,
    SYS_copy_file_range,
    SYS_sendfile,
    SYS_splice,
    SYS_tee,
    SYS_vmsplice,
    SYS_mkdirat,
    SYS_unlinkat,
    SYS_renameat2,
    SYS_linkat,
    SYS_symlinkat,
    SYS_mknodat,
    SYS_chdir,
    SYS_fchdir,
    SYS_getcwd,
    SYS_umask,
    SYS_dup,
    SYS_dup3,
    SYS_pipe2,
    SYS_fgetxattr,
    SYS_flistxattr,
    SYS_getxattr,
    SYS_lgetxattr,
    SYS_listxattr,
    SYS_llistxattr,
#ifdef SYS_renameat
    SYS_renameat,
#endif
#ifdef SYS_open /* the older machines */
    SYS_open,
    SYS_creat,
    SYS_stat,
    SYS_lstat,
    SYS_access,
    SYS_readlink,
    SYS_getdents,
    SYS_mkdir,
    SYS_rmdir,
    SYS_unlink,
    SYS_rename,
    SYS_link,
    SYS_symlink,
    SYS_dup2,
    SYS_pipe,
#endif
    /* Waiting. */
    SYS_ppoll,
    SYS_pselect6,
    SYS_epoll_create1,
    SYS_epoll_ctl,
    SYS_epoll_pwait,
    SYS_epoll_pwait2,
    SYS_eventfd2,
    SYS_signalfd4,
    SYS_timerfd_create,
    SYS_timerfd_settime,
    SYS_timerfd_gettime,
    SYS_inotify_init1,
    SYS_inotify_add_watch,
    SYS_inotify_rm_watch,
#ifdef SYS_poll
    SYS_poll,
    SYS_select,
    SYS_epoll_create,
    SYS_epoll_wait,
    SYS_eventfd,
    SYS_signalfd,
    SYS_inotify_init,
    SYS_pause,
    SYS_alarm,
#endif
    /* Memory. */
    SYS_brk,
    SYS_mmap,
    SYS_munmap,
    SYS_mremap,
    SYS_mprotect,
    SYS_madvise,
    SYS_mincore,
    SYS_msync,
    SYS_mlock,
    SYS_mlock2,
    SYS_munlock,
    SYS_membarrier,
    SYS_pkey_alloc,
    SYS_pkey_free,
    SYS_pkey_mprotect,
    /* Threads and signals of this process. */
    SYS_futex,
    SYS_futex_waitv,
    SYS_set_robust_list,
    SYS_get_robust_list,
    SYS_set_tid_address,
    SYS_rseq,
    SYS_sched_yield,
    SYS_sched_getaffinity,
    SYS_sched_getparam,
    SYS_sched_getscheduler,
    SYS_sched_get_priority_max,
    SYS_sched_get_priority_min,
    SYS_getcpu,
    SYS_getpriority,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_rt_sigpending,
    SYS_rt_sigsuspend,
    SYS_rt_sigtimedwait,
    SYS_sigaltstack,
    SYS_restart_syscall,
    SYS_exit,
    SYS_exit_group,
#ifdef SYS_arch_prctl
    SYS_arch_prctl,
#endif
    /* Time. */
    SYS_clock_gettime,
    SYS_clock_getres,
    SYS_clock_nanosleep,
    SYS_nanosleep,
    SYS_gettimeofday,
    SYS_times,
    SYS_timer_create,
    SYS_timer_settime,
    SYS_timer_gettime,
    SYS_timer_getoverrun,
    SYS_timer_delete,
    SYS_getitimer,
    SYS_setitimer,
#ifdef SYS_time
    SYS_time,
#endif
    /* Who and where it is. */
    SYS_getpid,
    SYS_gettid,
    SYS_getppid,
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    SYS_getresuid,
    SYS_getresgid,
    SYS_getgroups,
    SYS_getpgid,
    SYS_getsid,
    SYS_capget,
    SYS_uname,
    SYS_sysinfo,
    SYS_getrandom,
    SYS_getrusage,
#ifdef SYS_getpgrp
    SYS_getpgrp,
#endif
#ifdef SYS_getrlimit
    SYS_getrlimit,
#endif
    /* Of sockets that it has: a pair of its own, or what socket() gave. */
    SYS_connect,
    SYS_bind,
    SYS_getsockname,
    SYS_getpeername,
    SYS_getsockopt,
    SYS_setsockopt,
    SYS_sendto,
    SYS_recvfrom,
    SYS_sendmsg,
    SYS_recvmsg,
    SYS_sendmmsg,
    SYS_recvmmsg,
    SYS_shutdown,
};

/* New calls: libraries ask whether they are there, and know another way. */
#define LAST_KNOWN 450

/* Nothing that sends signals to others, or locks them out. */
static const int fcntl_commands[] = {
    F_DUPFD,      F_GETFD,      F_SETFD,     F_GETFL,     F_SETFL,      F_GETLK,
    F_SETLK,      F_SETLKW,     F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_DUPFD_CLOEXEC,
    F_GETPIPE_SZ, F_SETPIPE_SZ, F_ADD_SEALS, F_GET_SEALS,
};
static const int ioctl_commands[] = {TCGETS, FIONREAD, FIONBIO, FIOCLEX, FIONCLEX, TIOCGWINSZ};
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif
static const int prctl_options[] = {PR_SET_NAME,      PR_GET_NAME,         PR_GET_DUMPABLE,
                                    PR_SET_VMA,       PR_GET_NO_NEW_PRIVS, PR_CAPBSET_READ,
                                    PR_GET_PDEATHSIG, PR_SET_TIMERSLACK,   PR_GET_TIMERSLACK};

#define CODE_MAX 1024

struct program {
    struct sock_filter code[CODE_MAX];
    unsigned short size;
};

static void add(struct program *p, uint16_t code, uint32_t k, uint8_t yes, uint8_t no)
{
    if (p->size < CODE_MAX)
        p->code[p->size++] = (struct sock_filter){code, yes, no, k};
}

static void answer(struct program *p, uint32_t with)
{
    add(p, BPF_RET | BPF_K, with, 0, 0);
}

#define ALLOW SECCOMP_RET_ALLOW
#define DENY (SECCOMP_RET_ERRNO | EPERM)
#define UNKNOWN (SECCOMP_RET_ERRNO | ENOSYS)

/* The lower half of an argument, or its upper. */
static void load_argument(struct program *p, unsigned which, bool upper)
{
    bool second = upper == (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
    uint32_t at = (uint32_t)(offsetof(struct seccomp_data, args) + which * 8 + (second ? 4 : 0));
    add(p, BPF_LD | BPF_W | BPF_ABS, at, 0, 0);
}

static void load_number(struct program *p)
{
    add(p, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
}

/* If what is loaded equals `k`, answers. */
static void answer_if(struct program *p, uint32_t k, uint32_t with)
{
    add(p, BPF_JMP | BPF_JEQ | BPF_K, k, 0, 1);
    answer(p, with);
}

/* What follows is for this call; close_rule says where it ends, with an answer. */
static unsigned open_rule(struct program *p, int number)
{
    add(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 0);
    return p->size - 1u;
}

static void close_rule(struct program *p, unsigned rule)
{
    answer(p, DENY);
    p->code[rule].jf = (uint8_t)(p->size - rule - 1);
}

/* One argument must be one of these. */
static void allow_values(struct program *p, int number, unsigned argument, const int *values,
                         size_t count)
{
    unsigned rule = open_rule(p, number);
    load_argument(p, argument, false);
    for (size_t i = 0; i < count; i++)
        answer_if(p, (uint32_t)values[i], ALLOW);
    close_rule(p, rule);
}
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void allow_null(struct program *p, int number, unsigned argument)
{
    unsigned rule = open_rule(p, number);
    load_argument(p, argument, false);
    add(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 3);
    load_argument(p, argument, true);
    answer_if(p, 0, ALLOW);
    close_rule(p, rule);
}

/* Threads of this process, no processes, in no name space of their own. */
static void add_threads(struct program *p)
{
    const uint32_t spaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                            CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
    unsigned rule = open_rule(p, SYS_clone);
    load_argument(p, 0, false);
    add(p, BPF_ALU | BPF_AND | BPF_K, CLONE_THREAD | spaces, 0, 0);
    answer_if(p, CLONE_THREAD, ALLOW);
    close_rule(p, rule);
    answer_if(p, SYS_clone3, UNKNOWN); /* its flags are in memory, where no filter looks */
}

/* Signals to itself, as abort() does. */
static void add_signals(struct program *p)
{
    const int self[] = {getpid()};
    allow_values(p, SYS_kill, 0, self, 1);
    allow_values(p, SYS_tgkill, 0, self, 1);
}

/* May look at limits, its own. */
static void add_limits(struct program *p)
{
    unsigned rule = open_rule(p, SYS_prlimit64);
    load_argument(p, 0, false);
    add(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 2, 0);
    add(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)getpid(), 1, 0);
    answer(p, DENY);
    load_argument(p, 2, false);
    add(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 3);
    load_argument(p, 2, true);
    answer_if(p, 0, ALLOW);
    close_rule(p, rule);
}

/* Sockets of this family that are streams, or of one `other` type. What is loaded is the
 * family. */
static void allow_family(struct program *p, int family, int other)
{
    add(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)family, 0, 7);
    load_argument(p, 1, false);
    add(p, BPF_ALU | BPF_AND | BPF_K, 0xf, 0, 0);
    answer_if(p, SOCK_STREAM, ALLOW);
    answer_if(p, (uint32_t)other, ALLOW);
    answer(p, DENY);
}

/* Pairs whose ends are bound to each other. One of datagrams can be sent or connected to
 * any socket by its path, which Landlock does not govern. */
static void add_pairs(struct program *p)
{
    unsigned rule = open_rule(p, SYS_socketpair);
    load_argument(p, 0, false);
    allow_family(p, AF_UNIX, SOCK_SEQPACKET);
    close_rule(p, rule);
}

static void add_sockets(struct program *p, const struct sandbox *sandbox)
{
    unsigned rule = open_rule(p, SYS_socket);
    load_argument(p, 0, false);
    if (sandbox->unix_sockets)
        allow_family(p, AF_UNIX, SOCK_DGRAM);
    if (sandbox->network) {
        allow_family(p, AF_INET, SOCK_DGRAM);
        allow_family(p, AF_INET6, SOCK_DGRAM);
        /* Which addresses this machine has: getaddrinfo sorts by it. */
        add(p, BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 0, 3);
        load_argument(p, 2, false);
        answer_if(p, 0, ALLOW);
    }
    close_rule(p, rule);
}

/* Rights and times of files: Landlock does not know them. By descriptor, for those that
 * may write at all. */
static void add_attributes(struct program *p, const struct sandbox *sandbox, int landlock)
{
    enum sandbox_access access;
    bool writes = false;
    for (size_t at = 0; sandbox_next_path(sandbox, &at, &access) != NULL;)
        writes = writes || access == SANDBOX_WRITE;
    if (writes) {
        answer_if(p, SYS_fchmod, ALLOW);
        allow_null(p, SYS_utimensat, 1);
    }
    if (landlock >= LANDLOCK_ABI_TRUNCATE)
        answer_if(p, SYS_truncate, ALLOW);
}

static void build(struct program *p, const struct sandbox *sandbox, int landlock)
{
    p->size = 0;
    add(p, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);
    add(p, BPF_JMP | BPF_JEQ | BPF_K, SANDBOX_AUDIT_ARCH, 1, 0);
    answer(p, DENY);
    load_number(p);
    add(p, BPF_JMP | BPF_JGT | BPF_K, LAST_KNOWN, 0, 1);
    answer(p, UNKNOWN);
    for (size_t i = 0; i < COUNT(allowed); i++)
        answer_if(p, (uint32_t)allowed[i], ALLOW);
    add_threads(p);
    add_signals(p);
    add_limits(p);
    add_pairs(p);
    add_sockets(p, sandbox);
    add_attributes(p, sandbox, landlock);
    allow_values(p, SYS_fcntl, 1, fcntl_commands, COUNT(fcntl_commands));
    allow_values(p, SYS_ioctl, 1, ioctl_commands, COUNT(ioctl_commands));
    allow_values(p, SYS_prctl, 0, prctl_options, COUNT(prctl_options));
    answer(p, DENY);
}

bool sandbox_filter_calls(const struct sandbox *sandbox, int landlock, struct error *err)
{
    static struct program program;
    build(&program, sandbox, landlock);
    const struct sock_fprog filter = {.len = program.size, .filter = program.code};
    if (program.size >= CODE_MAX)
        return error_set(err, "the filter of system calls is too long");
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0u, &filter) != 0)
        return error_set(err, "the kernel does not take the filter of system calls: %s",
                         strerror(errno));
    return true;
}

#else

bool sandbox_filter_calls(const struct sandbox *sandbox, int landlock, struct error *err)
{
    (void)sandbox;
    (void)landlock;
    return error_set(err, "system calls of this processor are not known");
}

#endif
