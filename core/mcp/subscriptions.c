/* SPDX-License-Identifier: MIT */
/* subscriptions/listen (2026-07-28, basic/patterns/subscriptions). */
#include "mcp/listeners.h"
#include "mcp/request.h"

static bool all_strings(const struct json_node *array)
{
    const struct json_node *end = array + array->span;

    for (const struct json_node *n = json_first(array); n != NULL; n = json_next(n, end))
        if (n->type != JSON_STRING)
            return false;
    return true;
}

/* Whether the filter is what the revision says: three booleans and a list of
 * URIs, all optional. */
static bool filter_is_legal(const struct request *request, const struct json_node *filter)
{
    static const char *const flags[] = {"toolsListChanged", "promptsListChanged",
                                        "resourcesListChanged"};
    const struct json_node *uris = json_get(&request->json, filter, "resourceSubscriptions");

    if (filter == NULL || filter->type != JSON_OBJECT)
        return false;
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        const struct json_node *flag = json_get(&request->json, filter, flags[i]);
        if (flag != NULL && flag->type != JSON_TRUE && flag->type != JSON_FALSE)
            return false;
    }
    return uris == NULL || (uris->type == JSON_ARRAY && all_strings(uris));
}

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

    if (!filter_is_legal(request, filter)) {
        respond_error(request, 400, RPC_INVALID_PARAMS, (struct bytes){NULL, 0},
                      "Invalid params: notifications must be an object of booleans, and a list of "
                      "URIs as resourceSubscriptions");
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
