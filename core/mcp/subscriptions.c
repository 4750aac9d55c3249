/* SPDX-License-Identifier: MIT */
/* subscriptions/listen (2026-07-28, basic/patterns/subscriptions). */
#include "mcp/listeners.h"
#include "mcp/request.h"

/* What of the filter this server can honour; the acknowledgement tells. */
static uint32_t read_filter(const struct request *request, const struct json_node *filter)
{
    const struct json_node *tools = json_get(&request->json, filter, "toolsListChanged");

    return tools != NULL && tools->type == JSON_TRUE ? MCP_CHANGED_TOOLS : 0;
}

static bool acknowledge(const struct request *request, uint32_t wants)
{
    struct buf out;

    buf_init(&out, 4096);
    BUF_LIT(&out, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/subscriptions/acknowledged\","
                  "\"params\":{\"_meta\":{\"io.modelcontextprotocol/subscriptionId\":");
    buf_add_bytes(&out, request->id);
    BUF_LIT(&out, "},\"notifications\":{");
    if ((wants & MCP_CHANGED_TOOLS) != 0)
        BUF_LIT(&out, "\"toolsListChanged\":true");
    BUF_LIT(&out, "}}}");
    bool sent = !out.failed && request->reply->ops->push(request->reply, buf_bytes(&out));
    buf_free(&out);
    return sent;
}

void subscriptions_listen(struct request *request)
{
    const struct json_node *filter = json_get(&request->json, request->params, "notifications");

    if (filter == NULL || filter->type != JSON_OBJECT) {
        respond_error(request, 400, RPC_INVALID_PARAMS, (struct bytes){NULL, 0},
                      "Invalid params: notifications must be an object");
        return;
    }
    if (!request->message->takes_stream) {
        respond_error(request, 406, RPC_INVALID_REQUEST, (struct bytes){NULL, 0},
                      "subscriptions/listen needs Accept: text/event-stream");
        return;
    }
    if (!request->reply->ops->open(request->reply)) {
        respond_error(request, 503, RPC_SERVER_BUSY, (struct bytes){NULL, 0},
                      "Too many open streams: try again later");
        return;
    }
    uint32_t wants = read_filter(request, filter);
    /* The acknowledgement is the first message, so it goes before anybody can
     * tell the listener of a change. */
    struct listener *listener = NULL;
    if (acknowledge(request, wants))
        listener = listeners_add(request->mcp->listeners, request->reply, wants, request->id, NULL);
    if (listener == NULL)
        request->reply->ops->end(request->reply);
    listener_unref(listener);
}
