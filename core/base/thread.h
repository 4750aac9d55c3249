/* SPDX-License-Identifier: MIT */
/* Starting threads the way a daemon needs them. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>

#include "base/error.h"

/* Starts a joinable thread, named (for ps and gdb; cut to 15 characters), with all
 * signals blocked that come from outside: those are for main's thread alone. */
bool thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *arg,
                  struct error *err);

/* The same with a stack of `stack_size` bytes; 0: the system's default. */
bool thread_start_sized(pthread_t *thread, const char *name, size_t stack_size,
                        void *(*run)(void *), void *arg, struct error *err);

#endif
