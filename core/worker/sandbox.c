/* SPDX-License-Identifier: MIT */
/* The order of the sandbox, its limits and the loss of privileges. */
#include "worker/sandbox.h"

#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static void limit(int which, uint64_t most)
{
    struct rlimit limits;
    if (getrlimit((enum __rlimit_resource)which, &limits) != 0)
        return;
    if (limits.rlim_max == RLIM_INFINITY || most < limits.rlim_max)
        limits.rlim_max = most;
    limits.rlim_cur = limits.rlim_max;
    setrlimit((enum __rlimit_resource)which, &limits);
}

/* No RLIMIT_NPROC: it counts all processes and threads of the user, mcpd's too, and the
 * filter allows no process. No RLIMIT_CPU: a worker may live for months. */
static void limit_resources(const struct sandbox *sandbox)
{
    limit(RLIMIT_NOFILE, sandbox->open_files);
    limit(RLIMIT_MSGQUEUE, 0);
    limit(RLIMIT_NICE, 0);
    limit(RLIMIT_RTPRIO, 0);
    if (sandbox->file_size_mib > 0)
        limit(RLIMIT_FSIZE, (uint64_t)sandbox->file_size_mib << 20);
    signal(SIGXFSZ, SIG_IGN); /* EFBIG is enough */
}

/* Of root there is nothing left but the number. */
static bool drop_capabilities(struct error *err)
{
    const struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct none[2] = {{0, 0, 0}, {0, 0, 0}};

    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    for (unsigned long i = 0; i < 64; i++) /* fails where there are none to drop */
        prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
    if (syscall(SYS_capset, &header, none) == 0)
        return true;
    int reason = errno;
    struct __user_cap_data_struct held[2] = {{0, 0, 0}, {0, 0, 0}};
    if (syscall(SYS_capget, &header, held) == 0 && (held[0].permitted | held[1].permitted) == 0)
        return true; /* there was nothing to drop */
    return error_set(err, "its capabilities cannot be dropped: %s", strerror(reason));
}

bool sandbox_enter(const struct sandbox *sandbox, const struct sandbox_kernel *kernel,
                   const char *image, struct error *err)
{
    limit_resources(sandbox);
    return drop_capabilities(err) &&
           sandbox_restrict_files(sandbox, kernel->landlock, image, err) &&
           (!kernel->filters || sandbox_filter_calls(sandbox, kernel->landlock, err));
}
