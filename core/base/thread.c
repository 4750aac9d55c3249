/* SPDX-License-Identifier: MIT */
/* Starting threads. */
#include "base/thread.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

/* Everything but what a thread does to itself: a fault must reach the crash
 * handler of a sanitizer or a debugger on the thread that faulted. */
static void signals_from_outside(sigset_t *set)
{
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
    sigfillset(set);
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        sigdelset(set, own[i]);
}

bool thread_start_sized(pthread_t *thread, const char *name, size_t stack_size,
                        void *(*run)(void *), void *arg, struct error *err)
{
    pthread_attr_t attributes;
    /* A thread inherits the mask of the one that starts it. */
    sigset_t blocked, before;
    signals_from_outside(&blocked);
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    pthread_attr_init(&attributes);
    int failure = stack_size > 0 ? pthread_attr_setstacksize(&attributes, stack_size) : 0;
    if (failure == 0)
        failure = pthread_create(thread, &attributes, run, arg);
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure != 0)
        return error_set(err, "cannot start the thread \"%s\": %s", name, strerror(failure));

    char label[16];
    snprintf(label, sizeof(label), "%.15s", name);
    pthread_setname_np(*thread, label);
    return true;
}

bool thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *arg,
                  struct error *err)
{
    return thread_start_sized(thread, name, 0, run, arg, err);
}
