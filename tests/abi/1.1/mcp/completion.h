/* SPDX-License-Identifier: MIT */
/*
 * <mcp/completion.h> - the extension "mcp.completion/1" of the provider plugin
 * ABI: suggestions for what a person is typing as an argument of a prompt or a
 * variable of a resource template. Since ABI 1.1.
 *
 * A plugin offers it by returning a struct mcp_completion from its
 * get_extension for MCP_COMPLETION; it names the id in its manifest's
 * "extensions". Without it, mcpd answers that there are no suggestions.
 */
#ifndef MCP_COMPLETION_H
#define MCP_COMPLETION_H

#include <mcp/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MCP_COMPLETION "mcp.completion/1"

struct mcp_completion {
    uint32_t struct_size;
    uint32_t reserved;

    /* Completes. call->name is the prompt's name without the prefix, or the
     * template's text, and call->tag its tag. call->arguments is a JSON object:
     * "argument" ({"name","value"}: which, and what has been typed), and where
     * the client gave it "context" ({"arguments":{...}}: what has been chosen
     * before).
     *
     * finish_result ends it with a JSON object: {"values":[...strings...]} and
     * where useful "total" and "hasMore"; of more than 100 values mcpd sends
     * the first 100 and says so. Required. Call thread; see the flags of the
     * prompt or template. */
    int32_t (*complete)(void *self, struct mcp_call *call);
};

#ifdef __cplusplus
}
#endif

#endif /* MCP_COMPLETION_H */
