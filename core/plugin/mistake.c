/* SPDX-License-Identifier: MIT */
/* Mistakes that come from nowhere. */
#include "plugin/mistake.h"

#include "base/log.h"
#include "plugin/exit_guard.h"
#include "plugin/plugin_threads.h"

int32_t mistake_null(const char *function, const char *what)
{
    const struct exit_guard *guard = exit_guard_current;
    bool known = guard != NULL && guard->code != NULL;

    if (provider_may_tell(NULL))
        log_warning("%s: %s was called with a %s that is NULL",
                    known ? guard->code->provider : "a plugin", function, what);
    return MCP_EINVAL;
}
