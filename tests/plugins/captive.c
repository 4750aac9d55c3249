/* SPDX-License-Identifier: MIT */
/* A plugin that tries what a sandbox must refuse, and says what came of it. The tool
 * "captive" takes {"try": WHAT, "path": PATH, "address": N}, N being a TCP port, and
 * answers with "done" and more, or with the name of the errno. Its constructor has tried
 * some of it before; "constructor" tells what came of that. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SAMPLE_ID "captive"
#include "sample.h"

/* In what order the tries stand is of no importance; each returns 0 or an errno. */
struct attempt {
    const char *name;
    int (*run)(const char *path, long number);
};

static int result(long value)
{
    return value < 0 ? errno : 0;
}

/* ---- files ---- */

static int try_open(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0644);
    int failure = result(fd);
    if (fd >= 0)
        close(fd);
    return failure;
}

static int try_read(const char *path, long n)
{
    (void)n;
    return try_open(path, O_RDONLY);
}

static int try_write(const char *path, long n)
{
    (void)n;
    return try_open(path, O_WRONLY | O_CREAT);
}

static int try_truncate(const char *path, long n)
{
    return result(truncate(path, n));
}

static int try_truncating_open(const char *path, long n)
{
    (void)n;
    return try_open(path, O_RDONLY | O_TRUNC);
}

static int try_unlink(const char *path, long n)
{
    (void)n;
    return result(unlink(path));
}

static int try_chmod(const char *path, long n)
{
    (void)n;
    return result(chmod(path, 0777));
}

static int try_fchmod(const char *path, long n)
{
    (void)n;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int failure = fd < 0 ? errno : result(fchmod(fd, 0777));
    if (fd >= 0)
        close(fd);
    return failure;
}

static int try_mkdir(const char *path, long n)
{
    (void)n;
    return result(mkdir(path, 0700));
}

static int try_setxattr(const char *path, long n)
{
    (void)n;
    return result(syscall(SYS_setxattr, path, "user.x", "x", (size_t)1, 0));
}

/* ---- sockets ---- */

static int try_connect(int type, long port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, type, 0);
    if (fd < 0)
        return errno;
    int failure = result(connect(fd, (struct sockaddr *)&to, sizeof(to)));
    if (failure == 0 && type == SOCK_DGRAM)
        failure = result(send(fd, "x", 1, 0));
    close(fd);
    return failure;
}

static int try_tcp(const char *path, long port)
{
    (void)path;
    return try_connect(SOCK_STREAM, port);
}

static int try_udp(const char *path, long port)
{
    (void)path;
    return try_connect(SOCK_DGRAM, port);
}

static int try_raw(const char *path, long n)
{
    (void)path;
    (void)n;
    return result(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
}

static int try_listen(const char *path, long n)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    (void)path;
    (void)n;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0)
        return errno;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int failure = result(bind(fd, (struct sockaddr *)&at, sizeof(at)));
    if (failure == 0)
        failure = result(listen(fd, 1));
    close(fd);
    return failure;
}

static int try_unix(const char *path, long n)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    (void)n;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0)
        return errno;
    snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
    int failure = result(connect(fd, (struct sockaddr *)&to, sizeof(to)));
    close(fd);
    return failure;
}

/* A pair of its own, of this type; with a path, a byte from there to that socket. */
static int try_pair(const char *path, long type)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int ends[2];
    if (socketpair(AF_UNIX, (int)type | SOCK_CLOEXEC, 0, ends) != 0)
        return errno;
    snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
    int failure = path[0] != '\0'
                      ? result(sendto(ends[0], "x", 1, 0, (struct sockaddr *)&to, sizeof(to)))
                      : 0;
    close(ends[0]);
    close(ends[1]);
    return failure;
}

/* ---- processes ---- */

static int try_fork(const char *path, long n)
{
    (void)path;
    (void)n;
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    if (child > 0)
        waitpid(child, NULL, 0);
    return result(child);
}

static int try_exec(const char *path, long n)
{
    char *arguments[] = {(char *)path, NULL};
    (void)n;
    execv(path, arguments);
    return errno;
}

static int try_ptrace(const char *path, long n)
{
    (void)path;
    (void)n;
    return result(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
}

static int try_kill(const char *path, long n)
{
    (void)path;
    return result(kill(getppid(), (int)n));
}

static int try_kill_all(const char *path, long n)
{
    (void)path;
    return result(kill(-1, (int)n));
}

/* A signal by way of a file that is written to. */
static int try_signal_owner(const char *path, long n)
{
    (void)path;
    (void)n;
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
        return errno;
    int failure = result(fcntl(ends[0], F_SETOWN, getppid()));
    int by_ioctl = getppid();
    if (failure != 0 && ioctl(ends[0], FIOSETOWN, &by_ioctl) == 0)
        failure = 0;
    close(ends[0]);
    close(ends[1]);
    return failure;
}

static int try_parent_memory(const char *path, long n)
{
    char name[64];
    (void)path;
    (void)n;
    snprintf(name, sizeof(name), "/proc/%d/mem", (int)getppid());
    return try_open(name, O_RDONLY);
}

static int try_parent_vm(const char *path, long n)
{
    char byte;
    struct iovec here = {&byte, 1}, there = {(void *)&byte, 1};
    (void)path;
    (void)n;
    return result(syscall(SYS_process_vm_readv, getppid(), &here, 1ul, &there, 1ul, 0ul));
}

static int try_parent_limits(const char *path, long n)
{
    const struct rlimit limit = {64, 64};
    (void)path;
    (void)n;
    return result(prlimit(getppid(), RLIMIT_NOFILE, &limit, NULL));
}

/* ---- the kernel ---- */

static int try_unshare(const char *path, long n)
{
    (void)path;
    (void)n;
    return result(syscall(SYS_unshare, 0x10000000 /* CLONE_NEWUSER */));
}

static int try_io_uring(const char *path, long n)
{
    char parameters[120] = {0};
    (void)path;
    (void)n;
    return result(syscall(SYS_io_uring_setup, 4u, parameters));
}

static int try_clone3(const char *path, long n)
{
    char arguments[88] = {0};
    (void)path;
    (void)n;
    long child = syscall(SYS_clone3, arguments, sizeof(arguments));
    if (child == 0)
        _exit(0);
    return result(child);
}

static int try_setuid(const char *path, long n)
{
    (void)path;
    (void)n;
    return result(setuid(0));
}

static int try_pdeathsig(const char *path, long n)
{
    (void)path;
    (void)n;
    return result(prctl(PR_SET_PDEATHSIG, 0));
}

/* Opens what it is given until it gets no more; fails with EMFILE. */
static int try_descriptors(const char *path, long n)
{
    int *opened = calloc((size_t)n, sizeof(*opened));
    int failure = 0;
    long count = 0;
    while (failure == 0 && count < n) {
        opened[count] = open(path, O_RDONLY | O_CLOEXEC);
        failure = result(opened[count]);
        count += failure == 0;
    }
    while (count > 0)
        close(opened[--count]);
    free(opened);
    return failure;
}

/* So many MiB. */
static int try_memory(const char *path, long n)
{
    (void)path;
    char *piece = malloc((size_t)n << 20);
    if (piece == NULL)
        return errno;
    memset(piece, 1, (size_t)n << 20);
    free(piece);
    return 0;
}

/* A file of so many MiB that is in memory alone. */
static int try_memory_file(const char *path, long n)
{
    static const char piece[1 << 16];
    (void)path;
    int fd = memfd_create("captive", MFD_CLOEXEC);
    int failure = result(fd);
    for (long left = n << 4; failure == 0 && left > 0; left--)
        failure = result(write(fd, piece, sizeof(piece)));
    if (fd >= 0)
        close(fd);
    return failure;
}

/* A file of so many MiB. */
static int try_large(const char *path, long n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    int failure = fd < 0 ? errno : result(ftruncate(fd, (off_t)n << 20));
    if (fd >= 0)
        close(fd);
    return failure;
}

static void *nothing(void *unused)
{
    return unused;
}

static int try_thread(const char *path, long n)
{
    pthread_t thread;
    (void)path;
    (void)n;
    int failure = pthread_create(&thread, NULL, nothing, NULL);
    if (failure == 0)
        pthread_join(thread, NULL);
    return failure;
}

static int try_time_zone(const char *path, long n)
{
    (void)path;
    (void)n;
    return try_open("/usr/share/zoneinfo/Europe/Berlin", O_RDONLY);
}

/* ---- which ---- */

static const struct attempt attempts[] = {
    {"read", try_read},
    {"write", try_write},
    {"truncate", try_truncate},
    {"truncating_open", try_truncating_open},
    {"unlink", try_unlink},
    {"chmod", try_chmod},
    {"fchmod", try_fchmod},
    {"mkdir", try_mkdir},
    {"setxattr", try_setxattr},
    {"tcp", try_tcp},
    {"udp", try_udp},
    {"raw", try_raw},
    {"listen", try_listen},
    {"unix", try_unix},
    {"pair", try_pair},
    {"fork", try_fork},
    {"exec", try_exec},
    {"ptrace", try_ptrace},
    {"kill", try_kill},
    {"kill_all", try_kill_all},
    {"signal_owner", try_signal_owner},
    {"parent_memory", try_parent_memory},
    {"parent_vm", try_parent_vm},
    {"parent_limits", try_parent_limits},
    {"unshare", try_unshare},
    {"io_uring", try_io_uring},
    {"clone3", try_clone3},
    {"setuid", try_setuid},
    {"pdeathsig", try_pdeathsig},
    {"descriptors", try_descriptors},
    {"memory", try_memory},
    {"memory_file", try_memory_file},
    {"large", try_large},
    {"thread", try_thread},
    {"time_zone", try_time_zone},
};
#define ATTEMPTS (sizeof(attempts) / sizeof(attempts[0]))

static char constructor_found[256];

__attribute__((constructor)) static void constructor(void)
{
    static const char *const tried[] = {"fork", "tcp", "kill", "parent_memory"};
    char *to = constructor_found;
    to += sprintf(to, "shadow=%s", strerrorname_np(try_open("/etc/shadow", O_RDONLY)));
    for (size_t i = 0; i < sizeof(tried) / sizeof(tried[0]); i++)
        for (size_t a = 0; a < ATTEMPTS; a++)
            if (strcmp(attempts[a].name, tried[i]) == 0)
                to += sprintf(to, " %s=%s", tried[i], strerrorname_np(attempts[a].run("", 0)));
}

static int32_t say(struct mcp_call *call, const char *text)
{
    return call->ops->finish_text(call, (struct mcp_bytes){text, strlen(text)});
}

static void copy(char *to, size_t size, struct mcp_call *call, const char *pointer)
{
    struct mcp_bytes text = MCP_STR("");
    int32_t type;
    call->ops->argument(call, pointer, &type, &text);
    snprintf(to, size, "%.*s", (int)text.size, text.data != NULL ? text.data : "");
}

static int32_t call_tool(void *self, struct mcp_call *call)
{
    char name[64], path[512], number[32];
    (void)self;
    copy(name, sizeof(name), call, "/try");
    copy(path, sizeof(path), call, "/path");
    copy(number, sizeof(number), call, "/number");
    if (strcmp(name, "constructor") == 0)
        return say(call, constructor_found);
    for (size_t i = 0; i < ATTEMPTS; i++) {
        if (strcmp(attempts[i].name, name) != 0)
            continue;
        int failure = attempts[i].run(path, strtol(number, NULL, 10));
        return say(call, failure == 0 ? "done" : strerrorname_np(failure));
    }
    return say(call, "unknown");
}

static int32_t get_tools(void *self, const struct mcp_tool_sink *sink)
{
    (void)self;
    return sample_add(sink, MCP_TOOL_THREAD_SAFE, MCP_STR(SAMPLE_DEFINITION(SAMPLE_ID)));
}

MCP_PLUGIN_MANIFEST(
    "{\"id\":\"captive\",\"version\":\"1.0.0\",\"abi\":\"1.0\",\"needs\":{"
    "\"read\":[\"/usr/share/doc\",\"/usr/lib/ssl/certs\",\"/etc/hostname\",{\"config\":\"/read\"}],"
    "\"write\":[{\"config\":\"/write\"}],\"network\":true,\"unix_sockets\":true,"
    "\"levitate\":true}}");
static const struct mcp_plugin plugin = {SAMPLE_HEADER, .get_tools = get_tools,
                                         .call_tool = call_tool};
MCP_EXPORT const struct mcp_plugin *mcp_plugin_v1(void)
{
    return &plugin;
}
