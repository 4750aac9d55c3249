/* SPDX-License-Identifier: MIT */
/*
 * What a loaded plugin leaves in the process besides its memory: threads,
 * destructors of thread-specific data, signal handlers. While one of them is
 * left, unmapping the code is a fault in waiting.
 *
 * Threads and keys are counted because this program defines pthread_create,
 * thrd_create, pthread_key_create, tss_create and their deletes itself, and
 * plugins (and the libraries they bring) get these. What is created while a
 * plugin's code runs under an exit_guard, by one of its threads, or with a
 * function in its mapping, is counted for it, unless the program itself makes it.
 * Not in builds with a sanitizer (MCPD_SANITIZE): its runtime wants to see these
 * calls itself, and nothing is unmapped there.
 *
 * Locks: the list of loaded plugins has a mutex of its own, a leaf.
 */
#ifndef PLUGIN_PLUGIN_THREADS_H
#define PLUGIN_PLUGIN_THREADS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* One loaded plugin file. */
struct plugin_code {
    struct plugin_code *next;
    char provider[128]; /* for the log */
    _Atomic uintptr_t start, end; /* its mapping; 0 until plugin_code_mapped */
    atomic_uint threads; /* running */
    atomic_uint keys; /* with a destructor, not deleted */
    atomic_bool exited; /* a thread of its own called exit */
};

/* On the list from now on. NULL: out of memory. */
struct plugin_code *plugin_code_new(const char *provider_id);
void plugin_code_mapped(struct plugin_code *code, uintptr_t start, uintptr_t end);
/* Has `hook()` called when a thread of a plugin has called exit, on that thread. Before
 * the first plugin. */
void plugin_on_exit(void (*hook)(void));

/* Off the list. Only when nothing of it is left. */
void plugin_code_free(struct plugin_code *code);

/* Waits until no thread of it is left, at most so long. */
bool plugin_threads_gone(struct plugin_code *code, int64_t wait_ns);

/* What is left, for a person: "2 running threads, 1 signal handler"; NULL for
 * nothing. `out` is written. */
const char *plugin_left(struct plugin_code *code, char *out, unsigned size);

#endif
