/* SPDX-License-Identifier: MIT */
/* Starting the program mcpd-worker, watching it, and saying how it died. One thread
 * does all of it for one process: the kernel ends the worker with that thread. */
#ifndef PLUGIN_WORKER_PROCESS_H
#define PLUGIN_WORKER_PROCESS_H

#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"

/* The worker's descriptors: 0 is /dev/null, 1 and 2 are a pipe to mcpd. */
#define WORKER_SOCKET_FD 3

struct worker_process {
    pid_t pid; /* -1: none */
    int pid_fd; /* readable when it has ended; -1: the kernel has none */
    int output_fd; /* what it writes to 1 and 2; -1: closed */
    struct buf said; /* the end of that */
};

/* Starts one for this provider, with this environment and no other. *socket_fd is mcpd's end of the socket,
 * nonblocking. False: err says why. */
bool worker_start(struct worker_process *process, const char *provider_id, char *const *environment,
                  int *socket_fd, struct error *err);

/* Takes what it has written to its output; each whole line goes to `line`. */
typedef void worker_line(void *context, struct bytes line);
void worker_read_output(struct worker_process *process, worker_line *line, void *context);

/* Whether it has ended; it is still to be reaped. */
bool worker_has_ended(const struct worker_process *process);

/* Kills it and all of its process group, waits for it and closes all. *status is that of
 * waitpid(2). */
void worker_reap(struct worker_process *process, int *status, worker_line *line, void *context);

/* "crashed (SIGSEGV, Segmentation fault)", "ended (exit status 3)" */
void worker_describe_end(int status, struct error *out);

#endif
