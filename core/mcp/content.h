/* SPDX-License-Identifier: MIT */
/* Content as plugins give it (that of 2026-07-28), written as a revision has it:
 * the blocks of tool results and prompt messages, and what is in resources. */
#ifndef MCP_CONTENT_H
#define MCP_CONTENT_H

#include "json/json.h"
#include "mcp/revision.h"

/* One block. A kind that the revision does not know becomes a text that says
 * what it is; members it does not know are left out. */
void write_content(struct buf *out, const struct revision *revision, const struct json *json,
                   const struct json_node *block);

/* An array of blocks. */
void write_contents(struct buf *out, const struct revision *revision, const struct json *json,
                    const struct json_node *blocks);

/* What is in a resource: a text, or bytes in Base64, under a URI. */
void write_resource_contents(struct buf *out, const struct revision *revision,
                             const struct json *json, const struct json_node *contents);

/* The annotations of a block, a resource or a template. */
void write_annotations(struct buf *out, const struct revision *revision, const struct json *json,
                       const struct json_node *annotations);

/* A block of text. */
void write_text_content(struct buf *out, struct bytes text);

#endif
