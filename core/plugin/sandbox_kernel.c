/* SPDX-License-Identifier: MIT */
/* What of the sandbox this kernel can do. */
#include "plugin/sandbox.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "plugin/landlock.h"

static int landlock_version(void)
{
    long version =
        syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_CREATE_RULESET_VERSION);
    return version > 0 ? (int)version : 0;
}

static bool has_filters(void)
{
#ifdef SANDBOX_AUDIT_ARCH
    const uint32_t action = SECCOMP_RET_ERRNO;
    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0u, &action) == 0;
#else
    return false;
#endif
}

struct sandbox_kernel sandbox_probe(void)
{
    return (struct sandbox_kernel){.landlock = landlock_version(), .filters = has_filters()};
}

bool sandbox_lacks(const struct sandbox_kernel *kernel, const struct sandbox *sandbox,
                   struct error *what)
{
    const char *filters = "seccomp filters (CONFIG_SECCOMP_FILTER, on a processor that mcpd knows)";
    if (kernel->landlock == 0) {
        error_set(what,
                  "%s%sLandlock (Linux 5.13 or later, with CONFIG_SECURITY_LANDLOCK and landlock "
                  "in the lsm= of its command line)",
                  kernel->filters ? "" : filters, kernel->filters ? "" : ", and ");
        return true;
    }
    if (!kernel->filters) {
        error_set(what, "%s", filters);
        return true;
    }
    if (kernel->landlock < LANDLOCK_ABI_TRUNCATE) {
        error_set(what,
                  "a Landlock that keeps files from being truncated (version 3, Linux 6.2; here it "
                  "is version %d)",
                  kernel->landlock);
        return true;
    }
    if (sandbox->unix_sockets && kernel->landlock < LANDLOCK_ABI_SCOPE) {
        error_set(what,
                  "a Landlock that keeps from abstract local sockets (version 6, Linux 6.12; here "
                  "it is version %d)",
                  kernel->landlock);
        return true;
    }
    return false;
}
