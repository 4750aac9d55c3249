/* SPDX-License-Identifier: MIT */
/*
 * <mcp/resources.h> - the extension "mcp.resources/1" of the provider plugin
 * ABI: data that clients list and read by URI. Since ABI 1.1.
 *
 * A plugin offers it by returning a struct mcp_resources from its
 * get_extension for MCP_RESOURCES; it names the id in its manifest's
 * "extensions". Everything that <mcp/plugin.h> says of get_tools, call_tool and
 * calls holds here too: definitions are data, given in a stable order; reading
 * is a call, which is accepted and then ended exactly once.
 */
#ifndef MCP_RESOURCES_H
#define MCP_RESOURCES_H

#include <mcp/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MCP_RESOURCES "mcp.resources/1"

/* The plugin's side. */
struct mcp_resources {
    uint32_t struct_size;
    uint32_t reserved;

    /* Gives the resources that clients shall see in resources/list. A
     * definition is MCP's Resource object: uri and name, and where useful
     * title, description, mimeType, annotations, size, icons, _meta. Asked
     * again after host->notify(MCP_CHANGED_RESOURCES). May be NULL. Control
     * thread. */
    int32_t (*get_resources)(void *self, const struct mcp_offer_sink *sink);

    /* Gives the templates: MCP's ResourceTemplate objects, with uriTemplate
     * (RFC 6570) and name. Every URI that a template could have made is read
     * through it; the first template that fits counts. A template that would
     * fit any URI ("{+uri}") is refused. May be NULL. Control thread. */
    int32_t (*get_resource_templates)(void *self, const struct mcp_offer_sink *sink);

    /* Reads. call->name is the URI as the client wrote it; call->tag is that of
     * the resource or template; call->arguments is a JSON object of the
     * template's variables ("{}" for a resource), percent-decoded: a string
     * each, an array or an object for "{name*}", and nothing for a variable
     * that has no value. They are the client's words: a path may be "../..".
     *
     * finish_text ends it with the text of the resource, under the URI and the
     * definition's mimeType; finish_result with a whole ReadResourceResult,
     * {"contents":[{"uri","mimeType","text" or "blob"},...]}, with "ttlMs" and
     * "cacheScope" where clients may keep it (else they may not); finish_error with
     * MCP_ERROR_RESOURCE_NOT_FOUND when there is no such thing. finish_failure
     * becomes an error, for there is no model to read it. Required. Call
     * thread; see the flags of the resource. */
    int32_t (*read_resource)(void *self, struct mcp_call *call);
};

/* mcpd's side: host->get_extension(host, MCP_RESOURCES). */
struct mcp_resources_host {
    uint32_t struct_size;
    uint32_t reserved;
    /* Tells those who have subscribed to it that the resource has changed.
     * Cheap when nobody has. Any thread. */
    int32_t (*updated)(const struct mcp_host *host, struct mcp_bytes uri);
};

#ifdef __cplusplus
}
#endif

#endif /* MCP_RESOURCES_H */
