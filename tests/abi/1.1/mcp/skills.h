/* SPDX-License-Identifier: MIT */
/*
 * <mcp/skills.h> - the extension "mcp.skills/1" of the provider plugin ABI:
 * directories of instructions for agents (SKILL.md and the files beside it), as
 * MCP's skills extension (SEP-2640) serves them. Since ABI 1.1.
 *
 * A skill is a description of resources: the plugin offers "mcp.resources/1"
 * too, lists SKILL.md there, and every file of the skill can be read through
 * it. A plugin offers this extension by returning a struct mcp_skills from its
 * get_extension for MCP_SKILLS; it names the id in its manifest's "extensions".
 */
#ifndef MCP_SKILLS_H
#define MCP_SKILLS_H

#include <mcp/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MCP_SKILLS "mcp.skills/1"

struct mcp_skills {
    uint32_t struct_size;
    uint32_t reserved;

    /* Gives the skills. A definition is one entry of skills/list:
     * {"uri":"skill://NAME/SKILL.md", "frontmatter":{"name":NAME,
     * "description",...}, "resources":[{"uri","digest","size"},...]}, where the
     * resources are all files of the skill, SKILL.md among them, each with
     * "sha256:" and 64 hexadecimal digits and its length in bytes; or
     * "resources":"dynamic". mcpd answers skills/list, skills/get and
     * resources/directory/read from it. The flags and limits of the offer have
     * no meaning here. Asked again after host->notify(MCP_CHANGED_RESOURCES).
     * Required. Control thread. */
    int32_t (*get_skills)(void *self, const struct mcp_offer_sink *sink);
};

#ifdef __cplusplus
}
#endif

#endif /* MCP_SKILLS_H */
