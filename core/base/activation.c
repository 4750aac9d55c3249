/* SPDX-License-Identifier: MIT */
/* Three variables and a number: that is not worth a library, as in notify.c. */
#include "base/activation.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_FD 3 /* SD_LISTEN_FDS_START */

/* A decimal number that is at least 1; 0: it is none. */
static long read_number(const char *text)
{
    char *end;

    if (text == NULL || *text < '0' || *text > '9')
        return 0;
    errno = 0;
    long number = strtol(text, &end, 10);
    return errno == 0 && *end == '\0' && number <= INT_MAX ? number : 0;
}

/* The next of the names, which a colon divides. */
static const char *take_name(const char *names, char out[ACTIVATION_NAME])
{
    size_t size = strcspn(names, ":");
    size_t kept = size < ACTIVATION_NAME ? size : ACTIVATION_NAME - 1;

    memcpy(out, names, kept);
    out[kept] = '\0';
    names += size;
    return *names == ':' ? names + 1 : names;
}

void activation_take(struct activation *out)
{
    long count = read_number(getenv("LISTEN_FDS"));
    const char *names = getenv("LISTEN_FDNAMES");

    *out = (struct activation){.count = 0};
    if (read_number(getenv("LISTEN_PID")) != getpid())
        count = 0; /* for a parent of ours */
    for (long i = 0; i < count && FIRST_FD + i <= INT_MAX; i++) {
        int fd = (int)(FIRST_FD + i), flags = fcntl(fd, F_GETFD);
        if (flags < 0)
            break; /* fewer than were promised */
        if (out->count == ACTIVATION_MAX) {
            close(fd);
            out->dropped++;
            continue;
        }
        fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
        out->passed[out->count].fd = fd;
        names = take_name(names != NULL ? names : "", out->passed[out->count].name);
        out->count++;
    }
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDNAMES");
}
