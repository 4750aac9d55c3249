/* SPDX-License-Identifier: MIT */
/*
 * What one provider generation offers: its tools, resources, resource
 * templates, prompts and skills, each definition checked and compiled.
 * Immutable once built.
 */
#ifndef PLUGIN_OFFERS_H
#define PLUGIN_OFFERS_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/error.h"
#include "json/json.h"
#include "json/schema.h"

#define TOOL_NAME_MAX 128
#define URI_MAX 2048
#define OFFERS_MAX 4096 /* of one kind, of one provider */
#define DEFINITION_MAX (256 * 1024) /* bytes of one definition */

enum offer_kind {
    OFFER_TOOL,
    OFFER_RESOURCE,
    OFFER_TEMPLATE,
    OFFER_PROMPT,
    OFFER_SKILL,
    OFFER_KINDS
};

/* A parameter that clients repeat in a header field Mcp-Param-NAME
 * (2026-07-28, server/tools, "x-mcp-header"). */
struct tool_header {
    struct bytes name; /* "Region" */
    const char *pointer; /* where its value is in the arguments: a JSON Pointer */
    enum json_type type; /* JSON_STRING, JSON_NUMBER (an integer) or JSON_TRUE (a boolean) */
};

/* What a plugin says of one offer: struct mcp_tool and struct mcp_offer. */
struct offer_terms {
    struct bytes definition;
    uint32_t flags; /* MCP_TOOL_* */
    uint64_t tag;
    uint32_t timeout_ms;
    uint32_t concurrency;
};

struct offer {
    enum offer_kind kind;
    /* The name of a tool or prompt, without prefix; the URI of a resource or of a
     * skill's SKILL.md; the text of a template. NUL-terminated. */
    struct bytes name;
    struct offer_terms terms; /* the definition as compact JSON */
    struct json json; /* its index */
    /* Of a tool. */
    const struct tool_header *headers;
    size_t header_count;
    struct schema *input; /* compiled inputSchema */
    struct schema *output; /* compiled outputSchema; NULL: none */
    /* Of a template. */
    struct uri_template *uri_template;
};

struct offer_list {
    struct offer *offers; /* in the order they were given */
    size_t count;
};

struct offers {
    atomic_uint references;
    struct arena arena;
    struct offer_list lists[OFFER_KINDS];
    unsigned char hash[32]; /* of all that clients can see and all the host acts on */
};

/* "tool", "resource", "resource template", "prompt", "skill" */
const char *offer_kind_name(enum offer_kind kind);

struct offers *offers_new(void);
/* A snapshot keeps what it shows, also after the provider has others. */
struct offers *offers_ref(struct offers *offers);
/* Gives one reference up, such as that of offers_new; the last frees them. */
void offers_unref(struct offers *offers);

/* Checks one definition and adds it. False: illegal (name or URI, inputSchema
 * that is no object schema or does not compile, x-mcp-header rules, size, one
 * name twice in one provider); err names the offer, the member and the rule. */
bool offers_add(struct offers *offers, enum offer_kind kind, const struct offer_terms *terms,
                struct error *err);

/* After the last add: fills hash. */
void offers_seal(struct offers *offers);

/* How many of what there are, for the log: "3 tools, 1 prompt". */
#define OFFERS_TEXT 160
void offers_count(const struct offers *offers, char *out, size_t size);

/* ---- offer_rules.c, for offers.c ---- */

/* Whether the definition, whose name has been read, is a legal one of its kind.
 * Compiles what is compiled, which offer_free_compiled frees. */
bool offer_check(struct arena *arena, struct offer *offer, struct error *err);
void offer_free_compiled(struct offer *offer);

/* Whether a tool or a prompt may be called so (2026-07-28, server/tools, "Tool
 * Names"). */
bool tool_name_is_legal(struct bytes name);

/* ---- skill_rules.c ---- */

/* As offer_check, of a skill. */
bool skill_check(struct arena *arena, const struct offer *offer, struct error *err);
/* The name of the skill whose SKILL.md has this URI, a legal one: its directory's. */
struct bytes skill_name(struct bytes uri);

#endif
