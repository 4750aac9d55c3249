/* SPDX-License-Identifier: MIT */
/*
 * What a plugin gets wrong of what <mcp/plugin.h> demands, as far as it can be seen for
 * little: a sentence in the log, and MCP_EINVAL. How much of it the log takes, is
 * provider_may_tell's (plugin/provider.h).
 */
#ifndef PLUGIN_MISTAKE_H
#define PLUGIN_MISTAKE_H

#include <mcp/plugin.h>

#include "plugin/provider.h"

/* Of bytes, `data` may be NULL only when size is 0. */
static inline bool is_nowhere(const char *data, size_t size)
{
    return data == NULL && size > 0;
}

/* A function was called without what it is a function of, its `what` ("call"): only the
 * thread may know whose plugin it was. Returns MCP_EINVAL. */
int32_t mistake_null(const char *function, const char *what);

#endif
