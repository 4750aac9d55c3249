/* SPDX-License-Identifier: MIT */
/*
 * openat2(2) for programs under a valgrind that does not know it (3.19). Built
 * twice: openat2.so, preloaded, sends each such call over a socket to the
 * program openat2 beside it, which runs natively, makes the call and sends the
 * descriptor back. So the kernel decides here, too, what stays beneath a directory.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

struct request {
    struct open_how how;
    size_t how_size;
    char path[PATH_MAX];
};

/* One message, with a descriptor or without (-1). */
static int send_message(int socket, const void *data, size_t size, int fd)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    memset(&control, 0, sizeof(control));
    struct iovec part = {.iov_base = (void *)data, .iov_len = size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd >= 0) {
        message.msg_control = &control;
        message.msg_controllen = sizeof(control);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &fd, sizeof(int));
    }
    ssize_t sent;
    do
        sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent == (ssize_t)size ? 0 : -1;
}

/* 0, or -1 when the other side has gone. */
static int receive_message(int socket, void *data, size_t size, int *fd)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {.iov_base = data, .iov_len = size};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    ssize_t got;
    do
        got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    *fd = -1;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (got > 0 && header != NULL && header->cmsg_type == SCM_RIGHTS)
        memcpy(fd, CMSG_DATA(header), sizeof(int));
    return got == (ssize_t)size ? 0 : -1;
}

#ifdef OPENAT2_PROGRAM

/* Standard input is the socket. */
int main(void)
{
    struct request request;
    int directory;
    while (receive_message(0, &request, sizeof(request), &directory) == 0) {
        long fd = syscall(SYS_openat2, directory >= 0 ? directory : AT_FDCWD, request.path,
                          &request.how, request.how_size);
        int error = fd >= 0 ? 0 : errno;
        if (send_message(0, &error, sizeof(error), (int)fd) < 0)
            break;
        if (fd >= 0)
            close((int)fd);
        if (directory >= 0)
            close(directory);
    }
    return 0;
}

#else

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static int server = -1;
static pid_t server_of; /* a child has a server of its own */

/* Beside this library, by the same name without ".so". */
static int server_program(char path[PATH_MAX])
{
    Dl_info self;
    if (dladdr((void *)&server, &self) == 0)
        return -1;
    int length = (int)strlen(self.dli_fname) - 3;
    snprintf(path, PATH_MAX, "%.*s", length, self.dli_fname);
    return 0;
}

static int start_server(void)
{
    char path[PATH_MAX];
    int sockets[2];
    if (server_program(path) < 0 ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
        return -1;
    pid_t child = fork();
    if (child == 0) {
        dup2(sockets[1], 0);
        /* Without LD_PRELOAD, or it would ask a server in its turn, and that one, ... */
        execle(path, path, (char *)NULL, (char *[]){NULL});
        fprintf(stderr, "cannot start %s: %s\n", path, strerror(errno));
        _exit(127);
    }
    close(sockets[1]);
    if (child < 0) {
        close(sockets[0]);
        return -1;
    }
    if (server >= 0)
        close(server);
    server = sockets[0];
    server_of = getpid();
    return 0;
}

static long ask_server(int directory, const char *path, const struct open_how *how, size_t size)
{
    struct request request = {.how = *how, .how_size = size};
    if (strlen(path) >= sizeof(request.path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(request.path, path);
    int error = EIO, fd = -1;
    pthread_mutex_lock(&mutex);
    if ((server_of == getpid() || start_server() == 0) &&
        (send_message(server, &request, sizeof(request), directory) < 0 ||
         receive_message(server, &error, sizeof(error), &fd) < 0))
        error = EIO;
    pthread_mutex_unlock(&mutex);
    if (error != 0)
        errno = error;
    return error == 0 ? fd : -1;
}

/* What this process executes runs natively, although it inherits LD_PRELOAD. */
static bool under_valgrind(void)
{
    const char *preload = getenv("LD_PRELOAD");
    return preload != NULL && strstr(preload, "vgpreload") != NULL;
}

__attribute__((visibility("default"))) long syscall(long number, ...)
{
    long a[6];
    va_list rest;
    va_start(rest, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(rest, long);
    va_end(rest);
    if (number == SYS_openat2 && under_valgrind())
        return ask_server((int)a[0], (const char *)a[1], (const struct open_how *)a[2],
                          (size_t)a[3]);
    union {
        void *object;
        long (*function)(long, ...);
    } next = {.object = dlsym(RTLD_NEXT, "syscall")};
    return next.function(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

#endif
