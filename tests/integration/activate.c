/* SPDX-License-Identifier: MIT */
/*
 * activate ADDRESS:PORT... -- PROGRAM ARGUMENT...: a stand-in for systemd's sockets.
 *
 * Listens on the addresses (IPv4) for as long as it lives, prints "listening PORT"
 * for each, and then does what the lines on standard input say:
 *
 *   start    starts PROGRAM with the sockets from descriptor 3 on and LISTEN_PID,
 *            LISTEN_FDS and LISTEN_FDNAMES; prints "started PID"
 *   end N    sends it signal N; prints "ended STATUS", or "killed SIGNAL", when it
 *            has gone
 *
 * The end of standard input ends both with SIGKILL.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOCKETS_MAX 8

static int sockets[SOCKETS_MAX];
static int count;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void open_one(char *place)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    char *colon = strrchr(place, ':');
    int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

    if (colon == NULL || count == SOCKETS_MAX || fd < 0)
        die(place);
    *colon = '\0';
    address.sin_port = htons((uint16_t)atoi(colon + 1));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (inet_pton(AF_INET, place, &address.sin_addr) != 1 ||
        bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, SOMAXCONN) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        die(place);
    /* Out of the way of where the program finds them. */
    sockets[count++] = fcntl(fd, F_DUPFD_CLOEXEC, 100);
    close(fd);
    printf("listening %d\n", ntohs(address.sin_port));
}

static pid_t start(char **program)
{
    char number[32], names[SOCKETS_MAX * 8] = "";
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    for (int i = 0; i < count; i++) {
        dup2(sockets[i], 3 + i); /* without close-on-exec */
        snprintf(names + strlen(names), sizeof names - strlen(names), "%smcp%d", i > 0 ? ":" : "",
                 i);
    }
    snprintf(number, sizeof number, "%d", count);
    setenv("LISTEN_FDS", number, 1);
    snprintf(number, sizeof number, "%d", (int)getpid());
    setenv("LISTEN_PID", number, 1);
    setenv("LISTEN_FDNAMES", names, 1);
    dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
    dup2(2, 1);
    execv(program[0], program);
    perror(program[0]);
    _exit(127);
}

static void end(pid_t pid, int number)
{
    int status;

    kill(pid, number);
    if (waitpid(pid, &status, 0) != pid)
        die("waitpid");
    if (WIFSIGNALED(status))
        printf("killed %d\n", WTERMSIG(status));
    else
        printf("ended %d\n", WEXITSTATUS(status));
}

int main(int argc, char **argv)
{
    char line[64];
    pid_t pid = 0;
    int i = 1, number;

    for (; i < argc && strcmp(argv[i], "--") != 0; i++)
        open_one(argv[i]);
    if (i + 1 >= argc)
        return 2;
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (strcmp(line, "start\n") == 0 && pid == 0) {
            pid = start(&argv[i + 1]);
            printf("started %d\n", (int)pid);
        } else if (sscanf(line, "end %d", &number) == 1 && pid > 0) {
            end(pid, number);
            pid = 0;
        }
        fflush(stdout);
    }
    if (pid > 0)
        end(pid, SIGKILL);
    return 0;
}
