/* SPDX-License-Identifier: MIT */
/* The table of revisions. */
#include "mcp/revision.h"

static const char *const tool_2025_03_26[] = {"name", "description", "inputSchema", "annotations",
                                              NULL};
static const char *const tool_2025_06_18[] = {
    "name", "title", "description", "inputSchema", "outputSchema", "annotations", "_meta", NULL};
static const char *const tool_2025_11_25[] = {"name",        "title",       "description",
                                              "icons",       "inputSchema", "outputSchema",
                                              "annotations", "_meta",       NULL};

const struct revision revisions[REVISION_COUNT] = {
    [REVISION_2025_03_26] = {REVISION_2025_03_26, "2025-03-26", .batches = true,
                             .tool_members = tool_2025_03_26},
    [REVISION_2025_06_18] = {REVISION_2025_06_18, "2025-06-18", .structured = true, .titles = true,
                             .tool_members = tool_2025_06_18},
    [REVISION_2025_11_25] = {REVISION_2025_11_25, "2025-11-25", .structured = true, .titles = true,
                             .tool_members = tool_2025_11_25},
    [REVISION_2026_07_28] = {REVISION_2026_07_28, "2026-07-28", .modern = true, .structured = true,
                             .titles = true, .tool_members = tool_2025_11_25},
};

const char revision_list_json[] = "[\"2026-07-28\",\"2025-11-25\",\"2025-06-18\",\"2025-03-26\"]";

const struct revision *revision_find(struct bytes version)
{
    for (size_t i = 0; i < REVISION_COUNT; i++)
        if (bytes_equal(version, bytes_of(revisions[i].version)))
            return &revisions[i];
    return NULL;
}
