/* SPDX-License-Identifier: MIT */
/*
 * The ready-made answers of one registry snapshot: every page of every list and
 * the answers of server/discover and initialize, as bytes, for each revision.
 * Made once per snapshot on the plugin layer's control thread; immutable.
 */
#ifndef MCP_VIEW_H
#define MCP_VIEW_H

#include "config/config.h"
#include "mcp/directory.h"
#include "mcp/revision.h"
#include "plugin/registry.h"

struct view;

/* NULL: out of memory. `server_meta` is the member that modern results carry. */
struct view *view_new(const struct config *config, const struct snapshot *snapshot,
                      struct bytes server_meta);
void view_free(struct view *view);

/* The result of server/discover, or of initialize, for this revision. */
struct bytes view_introduction(const struct view *view, const struct revision *revision);

/* The result of the list of this kind from `cursor` on (.data NULL: from the
 * start). .data is NULL for a cursor that is none of ours, or of a list that is
 * gone. */
struct bytes view_list(const struct view *view, enum offer_kind kind,
                       const struct revision *revision, struct bytes cursor);

/* One object of a list; `name` stands in the place of its own, unless .data is NULL. */
void view_write(struct buf *out, const struct registry_entry *entry,
                const struct revision *revision, struct bytes name);

/* All URIs as a tree. */
const struct directory *view_directory(const struct view *view);

/* server.list_ttl_ms and server.page_size when the view was made. */
uint32_t view_ttl_ms(const struct view *view);
uint32_t view_page_size(const struct view *view);

#endif
