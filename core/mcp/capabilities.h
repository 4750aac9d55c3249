/* SPDX-License-Identifier: MIT */
/* What a client must be able to do to be asked something, and what it says it
 * can (ClientCapabilities: elicitation, sampling, roots). */
#ifndef MCP_CAPABILITIES_H
#define MCP_CAPABILITIES_H

#include "json/json.h"
#include "mcp/revision.h"

enum {
    ABILITY_FORM = 1, /* elicitation: a form */
    ABILITY_URL = 2, /* elicitation: a web page */
    ABILITY_SAMPLING = 4,
    ABILITY_SAMPLING_TOOLS = 8, /* ... with tools */
    ABILITY_ROOTS = 16,
    ABILITIES_UNREAD = 1 << 30 /* nobody knows, for want of memory */
};

/* What InputRequests, whose form has been checked, need. */
unsigned abilities_needed(const struct json *requests);

/* What the client of a revision has declared: a ClientCapabilities, raw JSON; .data
 * NULL: nothing. ABILITIES_UNREAD: out of memory. */
unsigned abilities_declared(const struct revision *revision, struct bytes capabilities);

/* {"elicitation":{"form":{}},"roots":{}} */
void abilities_write(struct buf *out, unsigned abilities);

/* The same for people: "elicitation (form), roots". */
void abilities_describe(struct buf *out, unsigned abilities);

#endif
