/* SPDX-License-Identifier: MIT */
/* notify PATH: a stand-in for systemd's end of sd_notify(3). Prints what comes
 * to the datagram socket PATH, a line for each assignment and a line "--" after
 * each datagram, until it is killed. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char text[4096];
    ssize_t size;

    if (argc != 2 || strlen(argv[1]) >= sizeof address.sun_path)
        return 2;
    strcpy(address.sun_path, argv[1]);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        perror(argv[1]);
        return 1;
    }
    puts("bound");
    fflush(stdout);
    while ((size = recv(fd, text, sizeof text, 0)) >= 0) {
        printf("%.*s\n--\n", (int)size, text);
        fflush(stdout);
    }
    return 0;
}
