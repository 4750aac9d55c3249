/* SPDX-License-Identifier: MIT */
/*
 * <mcp/prompts.h> - the extension "mcp.prompts/1" of the provider plugin ABI:
 * messages that people pick, with arguments. Since ABI 1.1.
 *
 * A plugin offers it by returning a struct mcp_prompts from its get_extension
 * for MCP_PROMPTS; it names the id in its manifest's "extensions".
 */
#ifndef MCP_PROMPTS_H
#define MCP_PROMPTS_H

#include <mcp/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MCP_PROMPTS "mcp.prompts/1"

struct mcp_prompts {
    uint32_t struct_size;
    uint32_t reserved;

    /* Gives the prompts. A definition is MCP's Prompt object: name, and where
     * useful title, description, arguments ([{name, title, description,
     * required}]), icons, _meta. The provider's prefix is put before the name,
     * as with tools. Asked again after host->notify(MCP_CHANGED_PROMPTS).
     * Required. Control thread. */
    int32_t (*get_prompts)(void *self, const struct mcp_offer_sink *sink);

    /* Makes the messages of one prompt. call->name is its name without the
     * prefix, call->tag its tag, call->arguments a JSON object of strings; the
     * arguments that the definition requires are there.
     *
     * finish_result ends it with a whole GetPromptResult, {"messages":[{"role",
     * "content"},...]}, with "description" and "_meta" where useful;
     * finish_text with one message of the user. finish_need_input is allowed;
     * finish_failure becomes an error. Required. Call thread; see the flags of
     * the prompt. */
    int32_t (*get_prompt)(void *self, struct mcp_call *call);
};

#ifdef __cplusplus
}
#endif

#endif /* MCP_PROMPTS_H */
