/* SPDX-License-Identifier: MIT */
/*
 * The tools of one provider generation: what get_tools gave, each definition
 * checked and compiled. Immutable once built.
 */
#ifndef PLUGIN_TOOLSET_H
#define PLUGIN_TOOLSET_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/error.h"
#include "json/json.h"
#include "json/schema.h"

#define TOOL_NAME_MAX 128
#define TOOLSET_MAX 4096 /* tools of one provider */
#define TOOL_DEFINITION_MAX (256 * 1024) /* bytes of one definition */

/* A parameter that clients repeat in a header field Mcp-Param-NAME
 * (2026-07-28, server/tools, "x-mcp-header"). */
struct tool_header {
    struct bytes name; /* "Region" */
    const char *pointer; /* where its value is in the arguments: a JSON Pointer */
    enum json_type type; /* JSON_STRING, JSON_NUMBER (an integer) or JSON_TRUE (a boolean) */
};

struct tool {
    struct bytes name; /* the plugin's own, without prefix */
    struct bytes definition; /* compact JSON of the whole Tool object */
    struct json json; /* its index */
    uint32_t flags; /* MCP_TOOL_* */
    uint64_t tag;
    uint32_t timeout_ms;
    uint32_t concurrency;
    const struct tool_header *headers;
    size_t header_count;
    struct schema *input; /* compiled inputSchema */
    struct schema *output; /* compiled outputSchema; NULL: none */
};

struct toolset {
    atomic_uint references;
    struct arena arena;
    struct tool *tools; /* in the order they were given */
    size_t count;
    unsigned char hash[32]; /* of all that clients can see and all the host acts on */
};

/* 1 to TOOL_NAME_MAX of A-Z a-z 0-9 _ - . */
bool tool_name_legal(struct bytes name);

struct toolset *toolset_new(void);
/* A snapshot keeps the tools it shows, also after the provider has others. */
struct toolset *toolset_ref(struct toolset *set);
/* Gives one reference up, such as that of toolset_new; the last frees it. */
void toolset_free(struct toolset *set);

/* Checks one definition and adds it. False: illegal (name, inputSchema that is
 * no object schema or does not compile, x-mcp-header rules, size, a name twice
 * in one provider); err names the tool, the member and the rule. */
bool toolset_add(struct toolset *set, struct bytes definition, uint32_t flags, uint64_t tag,
                 uint32_t timeout_ms, uint32_t concurrency, struct error *err);

/* After the last add: fills hash. */
void toolset_seal(struct toolset *set);

#endif
