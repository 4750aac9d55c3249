/* SPDX-License-Identifier: MIT */
/*
 * A plugin must not call exit, and one that does must not end the daemon.
 *
 * This program defines exit, _exit, _Exit and quick_exit itself, and plugins
 * get these. While a thread runs plugin code under a guard, such a call does not
 * end the process but comes back to the guard; everywhere else, and in a child
 * that the plugin forked, they do what they always do. What the plugin held at
 * that moment (locks, memory) is lost, so its provider must never run again.
 *
 *     struct exit_guard guard;
 *     if (exit_guard_enter(&guard, code)) {
 *         result = plugin->create(...);
 *         exit_guard_leave(&guard);
 *     } else {
 *         ... guard.function was called with guard.status, or guard.reason says
 *             why exit_guard_abort was called ...
 *     }
 *
 * Leaving is harmless in the else branch, where the guard has been left already.
 * A local variable that changes between enter and the call of exit is undefined
 * in the else branch, as after any longjmp. Guards nest. Entering and leaving
 * cost some nanoseconds and no system call.
 */
#ifndef PLUGIN_EXIT_GUARD_H
#define PLUGIN_EXIT_GUARD_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>

struct plugin_code;

struct exit_guard {
    struct exit_guard *outer;
    struct plugin_code *code; /* whose code runs: threads it starts are counted there */
    bool armed; /* false: only `code` counts, exit is not caught */
    int status;
    const char *function; /* what was called: "exit", "_exit", ... */
    const char *reason; /* what exit_guard_abort was given; else NULL */
    jmp_buf where;
};

extern _Thread_local struct exit_guard *exit_guard_current;

static inline void exit_guard_push(struct exit_guard *guard, struct plugin_code *code, bool armed)
{
    guard->outer = exit_guard_current;
    guard->code = code;
    guard->armed = armed;
    exit_guard_current = guard;
}

static inline void exit_guard_leave(struct exit_guard *guard)
{
    exit_guard_current = guard->outer;
}

/* _setjmp: does not save the signal mask, which would be a system call. */
#define exit_guard_enter(guard, plugin_code)                                                       \
    (exit_guard_push((guard), (plugin_code), true), _setjmp((guard)->where) == 0)

/* Before the first guard of this process, and again in a process that was
 * forked and goes on: children of this process are left alone. */
void exit_guard_setup(void);

/* For a function of the host that a plugin will not stop calling: goes back to
 * the innermost guard as if the plugin had exited. Returns when there is none. */
void exit_guard_abort(const char *reason);

/* Whether this address lies in the program itself, not in a plugin or a library. */
bool exit_guard_program_holds(const void *code);

#endif
