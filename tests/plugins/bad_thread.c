/* SPDX-License-Identifier: MIT */
/* Broken: it leaves a thread running when it is stopped. */
#define SAMPLE_ID "bad_thread"
#include "sample.h"

#include <pthread.h>
#include <time.h>

static volatile unsigned long rounds;

static void *run(void *data)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    (void)data;
    for (;;) {
        nanosleep(&pause, NULL);
        rounds++;
    }
    return NULL;
}

static int32_t start(void *self)
{
    pthread_t thread;
    (void)self;
    if (pthread_create(&thread, NULL, run, NULL) != 0)
        return MCP_ENOMEM;
    pthread_detach(thread);
    return MCP_OK;
}

SAMPLE_PLUGIN(.start = start, SAMPLE_TOOLS)
