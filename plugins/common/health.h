/* SPDX-License-Identifier: MIT */
/*
 * What the bundled plugins say when they are asked how they are (<mcp/health.h>): a check
 * ends its call with pass_call or fail_call (reading.h).
 */
#ifndef PLUGINS_HEALTH_H
#define PLUGINS_HEALTH_H

#include <string.h>

#include <mcp/health.h>

/* Of a struct mcp_health whose check may run beside any call. */
#define HEALTH_CHECK(function)                                                                     \
    {                                                                                              \
        .struct_size = sizeof(struct mcp_health), .flags = MCP_TOOL_THREAD_SAFE,                   \
        .check = (function)                                                                        \
    }

/* For the manifest. */
#define HEALTH_MANIFEST "\"abi\":\"1.1\",\"extensions\":[\"" MCP_HEALTH "\"]"

/* The get_extension of a plugin that has no other extension. */
#define HEALTH_ALONE(function)                                                                     \
    static const void *get_extension(void *self, const char *id)                                   \
    {                                                                                              \
        static const struct mcp_health health = HEALTH_CHECK(function);                            \
        (void)self;                                                                                \
        return strcmp(id, MCP_HEALTH) == 0 ? &health : NULL;                                       \
    }                                                                                              \
    static const void *get_extension(void *self, const char *id) /* takes the semicolon */

#endif
