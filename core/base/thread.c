/* SPDX-License-Identifier: MIT */
/* Starting threads. */
#include "base/thread.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* Everything but what a thread does to itself: a fault must reach the crash
 * handler of a sanitizer or a debugger on the thread that faulted. */
static void signals_from_outside(sigset_t *set)
{
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
    sigfillset(set);
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        sigdelset(set, own[i]);
}

/* Whether it is memory for its stack that a thread lacks: EAGAIN may be that, or that there are
 * too many. */
static bool lacks_memory(const pthread_attr_t *attributes)
{
    size_t size;
    if (pthread_attr_getstacksize(attributes, &size) != 0)
        return false;
    // cppcheck-suppress invalidFunctionArg ; -1 is for MAP_ANONYMOUS
    void *stack = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack != MAP_FAILED)
        munmap(stack, size);
    return stack == MAP_FAILED;
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
    bool no_memory = (failure == EAGAIN || failure == ENOMEM) && lacks_memory(&attributes);
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (no_memory)
        return error_no_memory_for(err, "cannot start the thread \"%s\"", name);
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
