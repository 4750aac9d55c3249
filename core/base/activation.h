/* SPDX-License-Identifier: MIT */
/*
 * Sockets that the service manager holds and passes on (sd_listen_fds(3)'s
 * protocol: LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES, and descriptors from 3 on).
 * They outlive this process: whoever connects while mcpd restarts waits in their
 * queue for the next one.
 */
#ifndef BASE_ACTIVATION_H
#define BASE_ACTIVATION_H

#include <stdbool.h>
#include <stddef.h>

#define ACTIVATION_MAX 16 /* sockets; as many as `listen` may have entries */
#define ACTIVATION_NAME 64

struct activation {
    size_t count; /* 0: none were passed to this process */
    struct {
        int fd; /* closed on exec; otherwise as it was passed */
        char name[ACTIVATION_NAME]; /* of FileDescriptorName=; "" without one */
    } passed[ACTIVATION_MAX];
    size_t dropped; /* more than that were passed: closed */
};

/* Takes what was passed, and the variables out of the environment, so that no child
 * takes them for its own. Once, before there are threads. */
void activation_take(struct activation *out);

#endif
