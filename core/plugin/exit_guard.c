/* SPDX-License-Identifier: MIT */
/*
 * The program's own exit, _exit, _Exit and quick_exit. The linker puts what a
 * program defines and libc defines too into the dynamic symbol table, and a
 * plugin's reference finds the program's before libc's.
 */
#undef _FORTIFY_SOURCE /* its longjmp takes a jump between two stacks of a plugin for an attack */

#include "plugin/exit_guard.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

_Thread_local struct exit_guard *exit_guard_current;

static atomic_int guarded_process;

void exit_guard_setup(void)
{
    atomic_store(&guarded_process, (int)getpid());
}

/* Where the program itself lies; from the linker. */
extern const char __executable_start[], _end[];

bool exit_guard_program_holds(const void *code)
{
    uintptr_t address = (uintptr_t)code;
    return address >= (uintptr_t)__executable_start && address < (uintptr_t)_end;
}

static void return_to_guard(const char *function, int status, const char *reason)
{
    struct exit_guard *guard = exit_guard_current;
    if (guard == NULL || !guard->armed || atomic_load(&guarded_process) != (int)getpid())
        return;
    guard->function = function;
    guard->status = status;
    guard->reason = reason;
    exit_guard_current = guard->outer;
    _longjmp(guard->where, 1);
}

void exit_guard_abort(const char *reason)
{
    return_to_guard("", 0, reason);
}

static void catch_exit(const char *function, int status, const void *return_address)
{
    if (!exit_guard_program_holds(return_address))
        return_to_guard(function, status, NULL);
}

/* No dlsym here: _exit must be safe in signal handlers and after vfork. */
static _Noreturn void end_process(int status)
{
    for (;;)
        syscall(SYS_exit_group, status);
}

static _Noreturn void end_through_libc(const char *name, int status)
{
    void *symbol = dlsym(RTLD_NEXT, name);
    if (symbol != NULL) {
        void (*function)(int);
        *(void **)&function = symbol;
        function(status);
    }
    end_process(status);
}

_Noreturn void exit(int status)
{
    catch_exit("exit", status, __builtin_return_address(0));
    end_through_libc("exit", status);
}

_Noreturn void quick_exit(int status)
{
    catch_exit("quick_exit", status, __builtin_return_address(0));
    end_through_libc("quick_exit", status);
}

_Noreturn void _exit(int status)
{
    catch_exit("_exit", status, __builtin_return_address(0));
    end_process(status);
}

_Noreturn void _Exit(int status)
{
    catch_exit("_Exit", status, __builtin_return_address(0));
    end_process(status);
}
