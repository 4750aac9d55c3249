/* SPDX-License-Identifier: MIT */
/*
 * Confining this process, for ever, before the plugin's first instruction runs: its
 * constructors are confined like the rest. What may be reached is mcpd's decision
 * (plugin/sandbox.h).
 *
 * In this order, while there is one thread: limits; no privileges, also as root;
 * Landlock, which denies files (EACCES); the filter of system calls, which denies all
 * that a plugin has no need of (EPERM, and ENOSYS where C libraries know another way).
 * A plugin that tries gets an error that it can report; nothing of it kills.
 *
 * What stays possible, for the kernel has no means against it: to learn of any file
 * whether it is there, of what size and when it changed (stat), as the user that mcpd
 * runs as; to use the processor; to read the clock.
 */
#ifndef WORKER_SANDBOX_H
#define WORKER_SANDBOX_H

#include "plugin/sandbox.h"

/* Confines as far as the kernel goes; `image` is the plugin's file. False: not even
 * that; err says why. */
bool sandbox_enter(const struct sandbox *sandbox, const struct sandbox_kernel *kernel,
                   const char *image, struct error *err);

/* ---- its parts ---- */

/* landlock.c. True also where there is none. */
bool sandbox_restrict_files(const struct sandbox *sandbox, int version, const char *image,
                            struct error *err);
/* filter.c */
bool sandbox_filter_calls(const struct sandbox *sandbox, int landlock, struct error *err);

#endif
