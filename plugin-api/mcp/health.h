/* SPDX-License-Identifier: MIT */
/*
 * <mcp/health.h> - the extension "mcp.health/1" of the provider plugin ABI: the
 * plugin is asked whether it can do its work. It needs no newer minor of the ABI:
 * an mcpd that does not know it does not ask for it.
 *
 * A plugin offers it by returning a struct mcp_health from its get_extension for
 * MCP_HEALTH; it names the id in its manifest's "extensions". mcpd asks now and
 * then (health.interval_ms), and with mcpd --check; the answer is in GET /health.
 * Without the extension, the provider's health is unknown.
 */
#ifndef MCP_HEALTH_H
#define MCP_HEALTH_H

#include <mcp/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MCP_HEALTH "mcp.health/1"

struct mcp_health {
    uint32_t struct_size;

    /* 0, or MCP_TOOL_THREAD_SAFE: check may run beside calls of all kinds. Without
     * it, it is kept apart from calls that are not thread-safe either. It is never
     * called where it must not block, and never twice at once. */
    uint32_t flags;

    /* Looks whether what the tools need is there, by using it: a round trip to the
     * database, not whether a socket is open. It changes nothing that a caller
     * could see. call->name is "health", the arguments are {}, and deadline_ns is
     * soon (health.timeout_ms): a check that does not end then counts as failed,
     * but is not held against the provider's calls.
     *
     * finish_text ends it when all is well, with one short sentence of what was
     * found ("PostgreSQL 15.8, 3 of 8 connections in use"); finish_failure when it
     * is not, with what is wrong and the way out. Whoever may connect to mcpd from
     * its own machine may read that: no secrets. Required. Call thread. */
    int32_t (*check)(void *self, struct mcp_call *call);
};

#ifdef __cplusplus
}
#endif

#endif /* MCP_HEALTH_H */
