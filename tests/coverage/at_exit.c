/* SPDX-License-Identifier: MIT */
/* Linked with --wrap=_exit: gcov's counters are written also by what ends by _exit. */

_Noreturn void __wrap__exit(int status);
extern _Noreturn void __real__exit(int status);
extern void __gcov_dump(void);

_Noreturn void __wrap__exit(int status)
{
    __gcov_dump();
    __real__exit(status);
}
