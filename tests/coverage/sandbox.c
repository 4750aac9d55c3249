/* SPDX-License-Identifier: MIT */
/* Linked into mcpd-worker with --wrap=sandbox_restrict_files: one more directory to write
 * in, where gcov's counters go. */
#include "worker/sandbox.h"

bool __wrap_sandbox_restrict_files(const struct sandbox *sandbox, int version, const char *image,
                                   struct error *err);
extern bool __real_sandbox_restrict_files(const struct sandbox *sandbox, int version,
                                          const char *image, struct error *err);

bool __wrap_sandbox_restrict_files(const struct sandbox *sandbox, int version, const char *image,
                                   struct error *err)
{
    struct sandbox more = *sandbox;

    buf_init(&more.paths, SIZE_MAX);
    buf_add_bytes(&more.paths, buf_bytes(&sandbox->paths));
    sandbox_add_path(&more, SANDBOX_WRITE, BYTES(COUNTERS));
    bool good = __real_sandbox_restrict_files(&more, version, image, err);
    buf_free(&more.paths);
    return good;
}
