/* SPDX-License-Identifier: MIT */
/* hog KIND [MIB]: what tests/plugins/faults.c does wrong, in a process that mcpd knows
 * nothing of: how much of a disturbance is the machine's, and how much mcpd's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static void eat(size_t mib)
{
    for (; mib > 0; mib--) {
        char *volatile piece = malloc((size_t)1 << 20);
        if (piece != NULL)
            memset(piece, 1, (size_t)1 << 20);
    }
}

int main(int argc, char **argv)
{
    const struct rlimit none = {0, 0};
    const char *kind = argc > 1 ? argv[1] : "";

    setrlimit(RLIMIT_CORE, &none);
    if (strcmp(kind, "loop") == 0)
        for (volatile unsigned long n = 0;; n++)
            continue;
    if (strcmp(kind, "flood") == 0)
        for (int i = 0; i < 20000; i++)
            fprintf(stderr, "line %d of a flood\n", i);
    if (strcmp(kind, "eat") == 0)
        eat(argc > 2 ? strtoul(argv[2], NULL, 10) : 0);
    if (strcmp(kind, "flood") != 0)
        abort();
    return 0;
}
