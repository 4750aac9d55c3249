/* SPDX-License-Identifier: MIT */
/* The list methods, which are one but for what they list. */
#ifndef MCP_LISTS_H
#define MCP_LISTS_H

#include "mcp/request.h"

/* Answers tools/list, resources/list, resources/templates/list, prompts/list:
 * the page that params.cursor asks for. */
void respond_list(struct request *request, enum offer_kind kind);

#endif
