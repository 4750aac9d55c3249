/* SPDX-License-Identifier: MIT */
/* What differs between the revisions of MCP, as data. The two ways of talking
 * are in era_modern.c and era_legacy.c. */
#ifndef MCP_REVISION_H
#define MCP_REVISION_H

#include "plugin/offers.h"

enum revision_id {
    REVISION_2024_11_05,
    REVISION_2025_03_26,
    REVISION_2025_06_18,
    REVISION_2025_11_25,
    REVISION_2026_07_28,
    REVISION_COUNT
};

struct revision {
    enum revision_id id;
    const char *version; /* as in MCP-Protocol-Version */
    bool modern; /* stateless; else initialize and sessions */
    bool batches; /* JSON-RPC batches exist */
    bool tasks; /* the experimental ones of 2025-11-25 */
    bool polling; /* streams may be closed before their end, and taken up again */
    bool completions; /* completion is a capability */
    bool progress_text; /* progress may have a message */
    bool structured; /* results may have structuredContent */
    bool titles; /* an Implementation and an argument of a prompt may have a title */
    bool audio; /* content may be audio */
    bool links; /* content may be a resource_link */
    bool link_icons; /* ... with icons */
    bool content_meta; /* content may have _meta, and its annotations lastModified */
    unsigned abilities; /* what clients of it may be able to do: ABILITY_*, capabilities.h */
    /* The members it knows of a Tool, a Resource, a ResourceTemplate, a Prompt,
     * an entry of skills/list;
     * NULL-terminated, in the order they are written, the one that names the
     * object first. NULL: it does not know such things. */
    const char *const *members[OFFER_KINDS];
};

extern const struct revision revisions[REVISION_COUNT];

/* The newest of each era. */
#define REVISION_MODERN (&revisions[REVISION_2026_07_28])
#define REVISION_LEGACY (&revisions[REVISION_2025_11_25])

/* NULL when mcpd does not speak it. */
const struct revision *revision_find(struct bytes version);

/* A JSON array of all versions, newest first. */
extern const char revision_list_json[];

#endif
