/* SPDX-License-Identifier: MIT */
/* server/discover, initialize, ping and logging/setLevel: how a client and this
 * server get to know each other, in both eras. */
#include "base/log.h"
#include "mcp/channel.h"
#include "mcp/listeners.h"
#include "mcp/request.h"
#include "mcp/sessions.h"
#include "mcp/view.h"

static const struct bytes no_data = {NULL, 0};

static void release_snapshot(void *snapshot)
{
    snapshot_unref(snapshot);
}

void lifecycle_discover(struct request *request)
{
    const struct snapshot *snapshot =
        registry_read(request->mcp->registry, request->message->reader);

    respond_shared(request, view_introduction(snapshot->view, request->revision), release_snapshot,
                   snapshot_ref(snapshot));
}

void lifecycle_initialize(struct request *request)
{
    const struct json *json = &request->json;
    struct mcp *mcp = request->mcp;
    struct bytes wanted = json_string(json, json_get(json, request->params, "protocolVersion"),
                                      request->message->arena);

    if (wanted.data == NULL) {
        respond_error(request, 400, RPC_INVALID_PARAMS, no_data,
                      "Invalid params: protocolVersion must be a string");
        return;
    }
    const struct revision *revision = revision_find(wanted);
    if (revision == NULL || revision->modern)
        revision = REVISION_LEGACY;
    const struct json_node *declared = json_get(json, request->params, "capabilities");
    struct session *session = sessions_begin(
        mcp->sessions, revision,
        declared != NULL && declared->type == JSON_OBJECT ? json_raw(json, declared) : BYTES("{}"),
        mcp->listeners);
    if (session == NULL) {
        respond_busy(request, 503, "Too many sessions: try again later");
        return;
    }
    if (request->message->channel != NULL &&
        !channel_begin_session(request->message->channel, session)) {
        sessions_end(mcp->sessions, session);
        session_unref(session);
        respond_error(request, 400, RPC_INVALID_REQUEST, no_data,
                      "Invalid request: this session is initialized already");
        return;
    }
    const struct snapshot *snapshot = registry_read(mcp->registry, request->message->reader);
    struct answer answer = {.status = 200, .session_id = session->id};
    struct buf out;
    respond_begin(request, &out);
    buf_add_bytes(&out, view_introduction(snapshot->view, revision));
    BUF_LIT(&out, "}");
    answer.head = buf_detach(&out, &answer.head_size);
    if (answer.head == NULL)
        answer.status = 500;
    request->reply->ops->send(request->reply, &answer);
    session_unref(session);
}

void lifecycle_ping(struct request *request)
{
    struct buf out;

    respond_begin(request, &out);
    BUF_LIT(&out, "{}");
    respond_finish(request, &out);
}

void logging_set_level(struct request *request)
{
    const struct json *json = &request->json;
    struct bytes name =
        json_string(json, json_get(json, request->params, "level"), request->message->arena);
    int level = name.data != NULL ? log_level_from_name(name) : -1;

    if (level < 0) {
        respond_error(request, STATUS_IN_PROTOCOL, RPC_INVALID_PARAMS, no_data,
                      "Invalid params: level must be one of debug, info, notice, warning, error, "
                      "critical, alert, emergency");
        return;
    }
    atomic_store(&request->session->log_level, level);
    lifecycle_ping(request); /* the same empty result */
}
