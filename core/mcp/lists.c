/* SPDX-License-Identifier: MIT */
/* The list methods: ready-made pages of the newest snapshot. */
#include "mcp/lists.h"

#include "mcp/listeners.h"
#include "mcp/sessions.h"
#include "mcp/view.h"

static void release_snapshot(void *snapshot)
{
    snapshot_unref(snapshot);
}

void respond_list(struct request *request, enum offer_kind kind)
{
    const struct snapshot *snapshot =
        registry_read(request->mcp->registry, request->message->reader);
    const struct json_node *cursor = json_get(&request->json, request->params, "cursor");
    struct bytes from = json_string(&request->json, cursor, request->message->arena);
    struct bytes page = {NULL, 0};

    if (cursor == NULL || from.data != NULL)
        page = view_list(snapshot->view, kind, request->revision, from);
    if (page.data == NULL) {
        respond_error(request, STATUS_IN_PROTOCOL, RPC_INVALID_PARAMS, (struct bytes){NULL, 0},
                      "Invalid params: this cursor is not of the current list; list again from the "
                      "start");
        return;
    }
    if (request->session != NULL && cursor == NULL && kind != OFFER_TEMPLATE) {
        enum change list = kind == OFFER_TOOL     ? CHANGE_TOOLS
                           : kind == OFFER_PROMPT ? CHANGE_PROMPTS
                                                  : CHANGE_RESOURCES;
        session_told(request->session, list, listeners_epoch(request->mcp->listeners, list));
    }
    respond_shared(request, page, release_snapshot, snapshot_ref(snapshot));
}
