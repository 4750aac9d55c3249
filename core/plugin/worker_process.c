/* SPDX-License-Identifier: MIT */
/* posix_spawn of mcpd-worker: no descriptor of ours goes along. */
#include "plugin/worker_process.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096
#define PROGRAM_NAME "mcpd-worker"

/* ---- the program ---- */

/* Opened once and kept, so that every worker is of this mcpd's build, also after an
 * upgrade of the files. -1: there is none. */
static int program_fd = -1;
static int program_failure;
static char beside[4096]; /* where it was looked for first */

static int open_above(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    int high = fcntl(fd, F_DUPFD_CLOEXEC, 10); /* above what the child will have */
    close(fd);
    return high;
}

/* Beside mcpd itself, as in the build directory, or where it is installed. */
static void find_program(void)
{
    ssize_t size = readlink("/proc/self/exe", beside, sizeof(beside) - sizeof(PROGRAM_NAME) - 1);
    if (size > 0) {
        beside[size] = '\0';
        char *slash = strrchr(beside, '/');
        snprintf(slash + 1, sizeof(PROGRAM_NAME), PROGRAM_NAME);
        program_fd = open_above(beside);
    }
    if (program_fd < 0)
        program_fd = open_above(MCPD_LIBEXEC_DIR "/" PROGRAM_NAME);
    program_failure = program_fd < 0 ? errno : 0;
}

/* ---- starting it ---- */

/* Default signals, none blocked, a process group of its own. */
static int set_attributes(posix_spawnattr_t *attributes)
{
    const short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int failure = posix_spawnattr_setsigmask(attributes, &none);
    if (failure == 0)
        failure = posix_spawnattr_setsigdefault(attributes, &all);
    if (failure == 0)
        failure = posix_spawnattr_setpgroup(attributes, 0);
    if (failure == 0)
        failure = posix_spawnattr_setflags(attributes, flags);
    return failure;
}

static int set_descriptors(posix_spawn_file_actions_t *actions, int socket_fd, int output_fd)
{
    int failure = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
    if (failure == 0)
        failure = posix_spawn_file_actions_adddup2(actions, output_fd, 1);
    if (failure == 0)
        failure = posix_spawn_file_actions_adddup2(actions, output_fd, 2);
    if (failure == 0)
        failure = posix_spawn_file_actions_adddup2(actions, socket_fd, WORKER_SOCKET_FD);
    return failure;
}

/* Its provider is among the arguments for those who look at ps(1). */
static int spawn(struct worker_process *process, const char *provider_id, int socket_fd,
                 int output_fd, char *const *environment)
{
    char program[64];
    char parent[24];
    char *const arguments[] = {(char *)PROGRAM_NAME, parent, (char *)(uintptr_t)provider_id, NULL};
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;

    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_init(&actions);
    snprintf(program, sizeof(program), "/proc/self/fd/%d", program_fd);
    snprintf(parent, sizeof(parent), "%d", (int)getpid());
    int failure = set_attributes(&attributes);
    if (failure == 0)
        failure = set_descriptors(&actions, socket_fd, output_fd);
    if (failure == 0)
        failure = posix_spawn(&process->pid, program, &actions, &attributes, arguments,
                              (char **)(uintptr_t)environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return failure;
}

/* The worker's end and ours, both above the descriptors it will have. */
static int move_up(int fd)
{
    int high = fcntl(fd, F_DUPFD_CLOEXEC, 10);
    int reason = errno;
    close(fd);
    errno = reason;
    return high;
}

static bool open_ends(int ends[2], int first, int second)
{
    ends[0] = move_up(first);
    ends[1] = move_up(second);
    return ends[0] >= 0 && ends[1] >= 0;
}

static void close_end(int fd)
{
    if (fd >= 0)
        close(fd);
}

bool worker_start(struct worker_process *process, const char *provider_id, char *const *environment,
                  int *socket_fd, struct error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    int sockets[2] = {-1, -1}, output[2] = {-1, -1}, pair[2];
    int failure = 0;

    *process = (struct worker_process){.pid = -1, .pid_fd = -1, .output_fd = -1};
    buf_init(&process->said, LINE_MAX_BYTES);
    pthread_once(&once, find_program);
    if (program_fd < 0)
        return error_set(err,
                         "its worker cannot be started: there is neither %s nor " MCPD_LIBEXEC_DIR
                         "/" PROGRAM_NAME " (%s): install mcpd anew, or say \"isolation\": "
                         "\"inproc\"",
                         beside, strerror(program_failure));
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0 ||
        !open_ends(sockets, pair[0], pair[1]) || pipe2(pair, O_CLOEXEC) != 0 ||
        !open_ends(output, pair[0], pair[1]) || fcntl(output[0], F_SETFL, O_NONBLOCK) != 0)
        failure = errno;
    if (failure == 0)
        failure = spawn(process, provider_id, sockets[1], output[1], environment);
    close_end(sockets[1]);
    close_end(output[1]);
    if (failure != 0) {
        close_end(sockets[0]);
        close_end(output[0]);
        process->pid = -1;
        return error_set(err, "its worker cannot be started: %s", strerror(failure));
    }
    process->output_fd = output[0];
    process->pid_fd = (int)syscall(SYS_pidfd_open, process->pid, 0);
    *socket_fd = sockets[0];
    return true;
}

/* ---- its output ---- */

/* Hands on the lines that are whole; of what is too long for one, as much as fits. */
static void take_lines(struct buf *said, bool last, worker_line *line, void *context)
{
    for (;;) {
        char *end = said->size > 0 ? memchr(said->data, '\n', said->size) : NULL;
        size_t size = end != NULL ? (size_t)(end - said->data) : said->size;
        if (end == NULL && (said->size == 0 || (!last && said->size < LINE_MAX_BYTES)))
            return;
        if (size > 0)
            line(context, (struct bytes){said->data, size});
        size += end != NULL;
        said->size -= size;
        memmove(said->data, said->data + size, said->size);
    }
}

void worker_read_output(struct worker_process *process, worker_line *line, void *context)
{
    char piece[LINE_MAX_BYTES];
    /* A few pieces at a time: a flood must not keep us from the socket. */
    for (int i = 0; i < 8 && process->output_fd >= 0; i++) {
        size_t room = LINE_MAX_BYTES - process->said.size;
        ssize_t n = read(process->output_fd, piece, room);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            close(process->output_fd);
            process->output_fd = -1;
            return;
        }
        buf_add(&process->said, piece, (size_t)n);
        take_lines(&process->said, false, line, context);
    }
}

/* ---- its end ---- */

bool worker_has_ended(const struct worker_process *process)
{
    siginfo_t info = {.si_pid = 0};
    int result = waitid(P_PID, (id_t)process->pid, &info, WEXITED | WNOHANG | WNOWAIT);
    return (result == 0 && info.si_pid == process->pid) || (result != 0 && errno == ECHILD);
}

void worker_reap(struct worker_process *process, int *status, worker_line *line, void *context)
{
    *status = 0;
    if (process->pid > 0) {
        kill(-process->pid, SIGKILL);
        kill(process->pid, SIGKILL);
        while (waitpid(process->pid, status, 0) < 0 && errno == EINTR)
            continue;
    }
    worker_read_output(process, line, context);
    take_lines(&process->said, true, line, context);
    close_end(process->output_fd);
    close_end(process->pid_fd);
    buf_free(&process->said);
    *process = (struct worker_process){.pid = -1, .pid_fd = -1, .output_fd = -1};
}

void worker_describe_end(int status, struct error *out)
{
    if (WIFSIGNALED(status)) {
        int number = WTERMSIG(status);
        const char *name = sigabbrev_np(number), *words = sigdescr_np(number);
        error_set(out, "crashed (SIG%s, %s)", name != NULL ? name : "?",
                  words != NULL ? words : "unknown");
    } else {
        error_set(out, "ended (exit status %d)", WEXITSTATUS(status));
    }
}
