/* SPDX-License-Identifier: MIT */
/* The table of revisions. */
#include "mcp/revision.h"

#include "mcp/capabilities.h"

#define MEMBERS(name, ...) static const char *const name[] = {__VA_ARGS__, NULL}

MEMBERS(tool_2024_11_05, "name", "description", "inputSchema");
MEMBERS(tool_2025_03_26, "name", "description", "inputSchema", "annotations");
MEMBERS(tool_2025_06_18, "name", "title", "description", "inputSchema", "outputSchema",
        "annotations", "_meta");
MEMBERS(tool_2025_11_25, "name", "title", "description", "icons", "inputSchema", "outputSchema",
        "annotations", "_meta");
MEMBERS(resource_2025_03_26, "uri", "name", "description", "mimeType", "annotations", "size");
MEMBERS(resource_2025_06_18, "uri", "name", "title", "description", "mimeType", "annotations",
        "size", "_meta");
MEMBERS(resource_2025_11_25, "uri", "name", "title", "description", "icons", "mimeType",
        "annotations", "size", "_meta");
MEMBERS(template_2025_03_26, "uriTemplate", "name", "description", "mimeType", "annotations");
MEMBERS(template_2025_06_18, "uriTemplate", "name", "title", "description", "mimeType",
        "annotations", "_meta");
MEMBERS(template_2025_11_25, "uriTemplate", "name", "title", "description", "icons", "mimeType",
        "annotations", "_meta");
MEMBERS(prompt_2025_03_26, "name", "description", "arguments");
MEMBERS(prompt_2025_06_18, "name", "title", "description", "arguments", "_meta");
MEMBERS(prompt_2025_11_25, "name", "title", "description", "icons", "arguments", "_meta");

MEMBERS(skill_2026_07_28, "uri", "frontmatter", "resources");

#define ALL_MEMBERS(of, ...)                                                                       \
    {                                                                                              \
        [OFFER_TOOL] = tool_##of, [OFFER_RESOURCE] = resource_##of,                                \
        [OFFER_TEMPLATE] = template_##of, [OFFER_PROMPT] = prompt_##of, __VA_ARGS__                \
    }

#define ABILITIES_2025_03_26 (ABILITY_SAMPLING | ABILITY_ROOTS)
#define ABILITIES_2025_06_18 (ABILITIES_2025_03_26 | ABILITY_FORM)
#define ABILITIES_2025_11_25 (ABILITIES_2025_06_18 | ABILITY_URL | ABILITY_SAMPLING_TOOLS)

#define resource_2024_11_05 resource_2025_03_26
#define template_2024_11_05 template_2025_03_26
#define prompt_2024_11_05 prompt_2025_03_26

const struct revision revisions[REVISION_COUNT] = {
    [REVISION_2024_11_05] = {REVISION_2024_11_05, "2024-11-05", .abilities = ABILITIES_2025_03_26,
                             .members = ALL_MEMBERS(2024_11_05, )},
    [REVISION_2025_03_26] = {REVISION_2025_03_26, "2025-03-26", .completions = true,
                             .progress_text = true, .batches = true, .audio = true,
                             .abilities = ABILITIES_2025_03_26,
                             .members = ALL_MEMBERS(2025_03_26, )},
    [REVISION_2025_06_18] = {REVISION_2025_06_18, "2025-06-18", .completions = true,
                             .progress_text = true, .structured = true, .titles = true,
                             .audio = true, .links = true, .content_meta = true,
                             .abilities = ABILITIES_2025_06_18,
                             .members = ALL_MEMBERS(2025_06_18, )},
    [REVISION_2025_11_25] = {REVISION_2025_11_25, "2025-11-25", .tasks = true, .completions = true,
                             .progress_text = true, .polling = true, .structured = true,
                             .titles = true, .audio = true, .links = true, .link_icons = true,
                             .content_meta = true, .abilities = ABILITIES_2025_11_25,
                             .members = ALL_MEMBERS(2025_11_25, )},
    [REVISION_2026_07_28] = {REVISION_2026_07_28, "2026-07-28", .completions = true,
                             .progress_text = true, .modern = true, .structured = true,
                             .titles = true, .audio = true, .links = true, .link_icons = true,
                             .content_meta = true, .abilities = ABILITIES_2025_11_25,
                             .members = ALL_MEMBERS(2025_11_25, [OFFER_SKILL] = skill_2026_07_28)},
};

const char revision_list_json[] =
    "[\"2026-07-28\",\"2025-11-25\",\"2025-06-18\",\"2025-03-26\",\"2024-11-05\"]";

const struct revision *revision_find(struct bytes version)
{
    for (size_t i = 0; i < REVISION_COUNT; i++)
        if (bytes_equal(version, bytes_of(revisions[i].version)))
            return &revisions[i];
    return NULL;
}
