/* SPDX-License-Identifier: MIT */
/* lacking landlock|seccomp PROGRAM...: runs it as if the kernel had no such thing.
 * lacking probe: prints what it has. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LANDLOCK_CREATE 444
#define LANDLOCK_RESTRICT 446

static int probe(void)
{
    const unsigned action = SECCOMP_RET_ERRNO;
    long version = syscall(LANDLOCK_CREATE, NULL, (size_t)0, 1u);
    long filters = syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0u, &action);
    printf("landlock=%ld seccomp=%d\n", version > 0 ? version : 0, filters == 0);
    return 0;
}

/* The calls from `first` to `last` are not there. */
static int deny(unsigned first, unsigned last)
{
    const struct sock_filter code[] = {
        {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr)},
        {BPF_JMP | BPF_JGE | BPF_K, 0, 2, first},
        {BPF_JMP | BPF_JGT | BPF_K, 1, 0, last},
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | ENOSYS},
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
    };
    const struct sock_fprog filter = {sizeof(code) / sizeof(code[0]), (struct sock_filter *)code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "probe") == 0)
        return probe();
    int ok = 0;
    if (argc > 2 && strcmp(argv[1], "landlock") == 0)
        ok = deny(LANDLOCK_CREATE, LANDLOCK_RESTRICT);
    else if (argc > 2 && strcmp(argv[1], "seccomp") == 0)
        ok = deny(SYS_seccomp, SYS_seccomp);
    if (!ok) {
        fprintf(stderr, "usage: lacking landlock|seccomp PROGRAM...; lacking probe\n");
        return 2;
    }
    execvp(argv[2], argv + 2);
    perror(argv[2]);
    return 2;
}
