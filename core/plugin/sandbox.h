/* SPDX-License-Identifier: MIT */
/*
 * What a worker process may reach. mcpd decides it here, from what the plugin's
 * manifest asks for and what the operator's configuration says, and tells the worker
 * in its first frame; the worker confines itself (core/worker/sandbox.h) before the
 * first instruction of the plugin runs.
 *
 * Who decides what: a path that stands in the operator's configuration, be it in the
 * provider's "sandbox" or in the plugin's own "config" where the manifest points to
 * it, is granted, for the operator wrote it. What the manifest makes of that (a "parent",
 * the end of a path) is granted to mcpd's own plugins only; for others it is as if the
 * manifest had named it itself. A path that the manifest itself names is granted for
 * reading below /usr, where nothing is secret, unless a link there leads out of it, and
 * elsewhere only if the operator's "sandbox" covers it. Sockets are granted if the
 * manifest asks and the operator agrees. What is asked for and not granted is logged once
 * for each generation, with the line that would grant it; the plugin runs without it.
 */
#ifndef PLUGIN_SANDBOX_H
#define PLUGIN_SANDBOX_H

#include "base/buf.h"
#include "config/config.h"

/* Below it a manifest may name what it likes to read. */
#define SANDBOX_PUBLIC_DIRECTORY "/usr"
/* SANDBOX_READ_PUBLIC: to read, if it is there that the path leads, links followed. */
enum sandbox_access { SANDBOX_READ = 'r', SANDBOX_READ_PUBLIC = 'p', SANDBOX_WRITE = 'w' };

struct sandbox {
    bool enabled;
    bool required; /* rather no worker than one that is not wholly confined */
    bool network; /* Internet sockets, outgoing */
    bool unix_sockets;
    uint32_t open_files;
    uint32_t file_size_mib; /* 0: no bound */
    struct buf paths; /* sandbox_access, path, NUL; and again */
};

void sandbox_init(struct sandbox *sandbox);
void sandbox_free(struct sandbox *sandbox);

/* Directories and files; what is below a directory is meant too. */
void sandbox_add_path(struct sandbox *sandbox, enum sandbox_access access, struct bytes path);
/* The path at *at, which moves on; NULL: there are no more. */
const char *sandbox_next_path(const struct sandbox *sandbox, size_t *at,
                              enum sandbox_access *access);

/* For the frame and from it. False: no such text, or out of memory. */
void sandbox_write(const struct sandbox *sandbox, struct buf *out);
bool sandbox_read(struct sandbox *sandbox, struct bytes text);

/* What a worker of this provider gets. `needs` is the manifest's (manifest.h), `bundled`
 * whether its file came with mcpd (bundled.h); `remark` is told what was asked for and is not granted. `settings` may be NULL. False:
 * out of memory. */
typedef void sandbox_remark(void *context, const char *text);
bool sandbox_plan(struct sandbox *sandbox, struct bytes needs, bool bundled,
                  const struct config *config, const struct config_provider *settings,
                  sandbox_remark *remark, void *context);

/* ---- the kernel ---- */

struct sandbox_kernel {
    int landlock; /* version of its ABI; 0: none */
    bool filters; /* seccomp, on a machine whose system calls we know */
};

struct sandbox_kernel sandbox_probe(void);
/* What this kernel lacks of what the sandbox takes, as the object of a sentence. False:
 * nothing. */
bool sandbox_lacks(const struct sandbox_kernel *kernel, const struct sandbox *sandbox,
                   struct error *what);

#endif
