/* SPDX-License-Identifier: MIT */
/* The door of the protocol layer: which era is a message of, and what every
 * message has in common. */
#include "mcp/mcp.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "mcp/asking.h"
#include "mcp/channel.h"
#include "mcp/listeners.h"
#include "mcp/redeemed.h"
#include "mcp/request.h"
#include "mcp/resumable.h"
#include "mcp/sessions.h"
#include "mcp/sse.h"
#include "mcp/tasks.h"
#include "mcp/view.h"
#include "plugin/health.h"

/* An id longer than this is no id but an attempt. */
#define ID_MAX 256
#define UNANSWERED_STEP_US 2000

/* ---- the one object ---- */

static bool make_identity(struct mcp *mcp, const struct config *config)
{
    const struct identity *older = atomic_load(&mcp->identity);
    struct identity *identity = calloc(1, sizeof *identity);
    struct buf out;

    if (identity == NULL)
        return false;
    buf_init(&out, 1u << 16);
    BUF_LIT(&out, "\"_meta\":{\"io.modelcontextprotocol/serverInfo\":{\"name\":");
    json_write_string(&out, bytes_of(config->server.name));
    if (config->server.title != NULL) {
        BUF_LIT(&out, ",\"title\":");
        json_write_string(&out, bytes_of(config->server.title));
    }
    BUF_LIT(&out, ",\"version\":\"" MCPD_VERSION "\"}}");
    identity->server_meta = buf_detach(&out, &(size_t){0});
    if (identity->server_meta == NULL ||
        (older != NULL && strcmp(older->server_meta, identity->server_meta) == 0)) {
        bool same = identity->server_meta != NULL;
        free((char *)identity->server_meta);
        free(identity);
        return same;
    }
    identity->older = (struct identity *)older;
    atomic_store(&mcp->identity, identity);
    return true;
}

struct bytes server_meta(struct mcp *mcp)
{
    return bytes_of(atomic_load_explicit(&mcp->identity, memory_order_acquire)->server_meta);
}

static void *make_view(void *context, const struct snapshot *snapshot)
{
    struct mcp *mcp = context;

    pthread_mutex_lock(&mcp->mutex);
    struct config *config = config_ref(mcp->config);
    pthread_mutex_unlock(&mcp->mutex);
    struct view *view = view_new(config, snapshot, server_meta(mcp));
    config_unref(config);
    return view;
}

static void free_view(void *view)
{
    view_free(view);
}

static void registry_changed(void *context, uint32_t what)
{
    struct mcp *mcp = context;

    listeners_tell(mcp->listeners, what);
}

static void resource_updated(void *context, struct bytes uri)
{
    struct mcp *mcp = context;

    watches_updated(mcp->watches, uri);
}

static void providers_missing(void *context, struct bytes ids)
{
    struct mcp *mcp = context;

    health_missing(mcp->health, ids);
}

struct mcp *mcp_new(struct config *config, struct registry *registry, struct error *err)
{
    struct mcp *mcp = calloc(1, sizeof *mcp);

    if (mcp == NULL)
        goto out;
    pthread_mutex_init(&mcp->mutex, NULL);
    mcp->registry = registry;
    mcp->listeners = listeners_new(mcp);
    mcp->sessions = sessions_new();
    mcp->sses = sses_new();
    mcp->watches = watches_new();
    mcp->redeemed = redeemed_new();
    mcp->askings = askings_new();
    mcp->health = health_new();
    seal_key_generate(&mcp->own_key);
    if (mcp->listeners == NULL || mcp->sessions == NULL || mcp->sses == NULL ||
        mcp->watches == NULL || mcp->redeemed == NULL || mcp->askings == NULL ||
        mcp->health == NULL || !make_identity(mcp, config))
        goto out;
    mcp_configure(mcp, config);
    registry_set_hooks(registry, &(struct registry_hooks){.context = mcp,
                                                          .make_view = make_view,
                                                          .free_view = free_view,
                                                          .changed = registry_changed,
                                                          .updated = resource_updated,
                                                          .missing = providers_missing});
    return mcp;
out:
    mcp_free(mcp);
    error_no_memory(err);
    return NULL;
}

void mcp_free(struct mcp *mcp)
{
    if (mcp == NULL)
        return;
    health_free(mcp->health);
    sses_free(mcp->sses);
    sessions_free(mcp->sessions);
    watches_free(mcp->watches); /* its thread asks the tasks */
    tasks_free(mcp->tasks);
    listeners_free(mcp->listeners);
    redeemed_free(mcp->redeemed);
    askings_free(mcp->askings);
    crypto_wipe(&mcp->own_key, sizeof mcp->own_key);
    config_unref(mcp->config);
    struct identity *identity = (struct identity *)atomic_load(&mcp->identity);
    while (identity != NULL) {
        struct identity *older = identity->older;
        free((char *)identity->server_meta);
        free(identity);
        identity = older;
    }
    pthread_mutex_destroy(&mcp->mutex);
    free(mcp);
}

void mcp_configure(struct mcp *mcp, struct config *config)
{
    pthread_mutex_lock(&mcp->mutex);
    struct config *old = mcp->config;
    mcp->config = config_ref(config);
    make_identity(mcp, config); /* without memory the old name stays */
    pthread_mutex_unlock(&mcp->mutex);
    atomic_store(&mcp->max_session_calls, config->sessions.max_calls);
    atomic_store(&mcp->call_timeout_ms, config->calls.timeout_ms);
    atomic_store(&mcp->input_timeout_ms, config->calls.input_timeout_ms);
    sessions_limit(mcp->sessions, config->sessions.max,
                   (int64_t)config->sessions.idle_timeout_ms * NS_PER_MS);
    sses_limit(mcp->sses, config->sessions.max);
    replay_limit(config->sessions.replay_max_bytes,
                 (int64_t)config->sessions.replay_max_age_ms * NS_PER_MS);
    if (mcp->tasks != NULL)
        tasks_configure(mcp->tasks, config);
    health_configure(mcp->health, config);
    config_unref(old);
}

bool mcp_serve_tasks(struct mcp *mcp, struct store *store, struct error *err)
{
    mcp->tasks = tasks_new(mcp, store, err);
    if (mcp->tasks != NULL)
        tasks_configure(mcp->tasks, mcp->config);
    return mcp->tasks != NULL;
}

void mcp_resume_tasks(struct mcp *mcp)
{
    tasks_resume(mcp->tasks);
}

void mcp_stop_tasks(struct mcp *mcp, int64_t deadline_ns)
{
    tasks_stop(mcp->tasks, deadline_ns);
}

void mcp_close_tasks(struct mcp *mcp)
{
    if (mcp->tasks != NULL)
        tasks_close(mcp->tasks);
}

void mcp_tick(struct mcp *mcp)
{
    sessions_expire(mcp->sessions);
    if (mcp->tasks != NULL)
        tasks_tick(mcp->tasks);
    askings_expire(mcp);
    if (mcp->watches_health) {
        struct registry_reader reader = {.snapshot = NULL};
        health_tick(mcp->health, registry_read(mcp->registry, &reader));
        registry_reader_close(&reader); /* until the next tick it would keep what is retired */
    }
}

void mcp_watch_health(struct mcp *mcp)
{
    mcp->watches_health = true;
    mcp_tick(mcp);
}

int mcp_health(struct mcp *mcp, struct registry_reader *reader, bool messages, struct buf *out)
{
    const struct snapshot *snapshot = registry_read(mcp->registry, reader);

    return health_write(mcp->health, snapshot, messages, out) == HEALTH_UNHEALTHY ? 503 : 200;
}

bool mcp_wait_unanswered(struct mcp *mcp, int64_t deadline_ns)
{
    while (atomic_load(&mcp->unanswered) > 0) {
        if (clock_now() >= deadline_ns)
            return false;
        usleep(UNANSWERED_STEP_US);
    }
    return true;
}

void mcp_end_streams(struct mcp *mcp)
{
    listeners_end(mcp->listeners);
    if (mcp->tasks != NULL)
        tasks_end_waits(mcp->tasks);
    askings_end(mcp);
    sses_end(mcp->sses);
    health_stop(mcp->health);
}

/* ---- one message ---- */

static const struct method methods[] = {
    {"tools/call", METHOD_MODERN | METHOD_LEGACY, "name", tools_call},
    {"tools/list", METHOD_MODERN | METHOD_LEGACY, NULL, tools_list},
    {"resources/read", METHOD_MODERN | METHOD_LEGACY, "uri", resources_read},
    {"resources/list", METHOD_MODERN | METHOD_LEGACY, NULL, resources_list},
    {"resources/templates/list", METHOD_MODERN | METHOD_LEGACY, NULL, resources_templates_list},
    {"resources/subscribe", METHOD_LEGACY, NULL, resources_subscribe},
    {"resources/unsubscribe", METHOD_LEGACY, NULL, resources_unsubscribe},
    {"prompts/get", METHOD_MODERN | METHOD_LEGACY, "name", prompts_get},
    {"prompts/list", METHOD_MODERN | METHOD_LEGACY, NULL, prompts_list},
    {"completion/complete", METHOD_MODERN | METHOD_LEGACY, NULL, completion_complete},
    {"server/discover", METHOD_MODERN, NULL, lifecycle_discover},
    {"skills/list", METHOD_MODERN, NULL, skills_list},
    {"skills/get", METHOD_MODERN, NULL, skills_get},
    {"resources/directory/read", METHOD_MODERN, NULL, skills_read_directory},
    {"subscriptions/listen", METHOD_MODERN, NULL, subscriptions_listen},
    {"tasks/get", METHOD_MODERN, "taskId", tasks_get},
    {"tasks/update", METHOD_MODERN, "taskId", tasks_update},
    {"tasks/cancel", METHOD_MODERN, "taskId", tasks_cancel},
    {"tasks/get", METHOD_LEGACY, NULL, session_tasks_get},
    {"tasks/result", METHOD_LEGACY, NULL, session_tasks_result},
    {"tasks/cancel", METHOD_LEGACY, NULL, session_tasks_cancel},
    {"initialize", METHOD_LEGACY, NULL, lifecycle_initialize},
    {"ping", METHOD_LEGACY, NULL, lifecycle_ping},
    {"logging/setLevel", METHOD_LEGACY, NULL, logging_set_level},
};

const struct method *method_find(struct bytes name, unsigned era)
{
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if ((methods[i].eras & era) != 0 && bytes_equal(name, bytes_of(methods[i].name)))
            return &methods[i];
    return NULL;
}

/* JSON-RPC ids are strings or integers here (2026-07-28, schema, RequestId);
 * they are echoed as the bytes they came as. */
static bool read_id(struct request *request)
{
    const struct json *json = &request->json;
    const struct json_node *id = json_get(json, request->root, "id");

    if (id == NULL)
        return true;
    struct bytes raw = json_raw(json, id);
    bool legal = raw.size <= ID_MAX;
    if (id->type == JSON_NUMBER)
        legal = legal && memchr(raw.data, '.', raw.size) == NULL &&
                memchr(raw.data, 'e', raw.size) == NULL && memchr(raw.data, 'E', raw.size) == NULL;
    else
        legal = legal && id->type == JSON_STRING;
    if (legal)
        request->id = raw;
    return legal;
}

static bool invalid(struct request *request, const char *what)
{
    respond_error(request, 400, RPC_INVALID_REQUEST, (struct bytes){NULL, 0}, "Invalid request: %s",
                  what);
    return false;
}

bool request_read(struct request *request, const struct json_node *node, bool *is_response)
{
    const struct json *json = &request->json;

    request->root = node;
    *is_response = false;
    if (node->type != JSON_OBJECT)
        return invalid(request, "a message is a JSON object");
    if (!read_id(request))
        return invalid(request, "id must be a string or an integer, of at most 256 bytes");
    if (!json_is(json, json_get(json, node, "jsonrpc"), "2.0"))
        return invalid(request, "jsonrpc must be \"2.0\"");
    const struct json_node *method = json_get(json, node, "method");
    if (method == NULL) {
        bool answers =
            json_get(json, node, "result") != NULL || json_get(json, node, "error") != NULL;
        if (!answers || request->id.data == NULL)
            return invalid(request, "method is missing");
        *is_response = true;
        return true;
    }
    request->method = json_string(json, method, request->message->arena);
    if (request->method.data == NULL)
        return invalid(request, "method must be a string");
    request->params = json_get(json, node, "params");
    if (request->params != NULL && request->params->type != JSON_OBJECT)
        return invalid(request, "params must be an object");
    request->meta = json_get(json, request->params, "_meta");
    if (request->meta != NULL && request->meta->type != JSON_OBJECT)
        request->meta = NULL; /* a modern request is refused for it, a legacy one never was */
    return true;
}

static void receive_post(struct mcp *mcp, struct message *message, struct reply *reply)
{
    struct request *request = arena_calloc(message->arena, 1, sizeof *request);
    struct json_error why;
    bool is_response;

    if (request == NULL) {
        refuse(reply, 500, RPC_INTERNAL_ERROR, "Out of memory");
        return;
    }
    request->mcp = mcp;
    request->message = message;
    request->reply = reply;
    if (!json_parse(&request->json, message->body, &json_default_limits, message->arena, &why)) {
        if (why.kind == JSON_MEMORY) {
            refuse(reply, 503, RPC_SERVER_BUSY,
                   "Server busy: no memory is free for this request (server.max_memory_mib)");
            return;
        }
        refuse(reply, 400, why.kind == JSON_REPEATED ? RPC_INVALID_REQUEST : RPC_PARSE_ERROR,
               "%s: %s (line %u, column %u)",
               why.kind == JSON_REPEATED ? "Invalid request" : "Parse error", why.text, why.line,
               why.column);
        return;
    }
    if (request->json.root->type == JSON_ARRAY) {
        legacy_receive_batch(request, request->json.root);
        return;
    }
    if (!request_read(request, request->json.root, &is_response))
        return;
    if (is_response) {
        legacy_receive_response(request);
        return;
    }
    if (message->channel != NULL && request->id.data != NULL)
        channel_name(reply, request->id);
    if (modern_claims(request))
        modern_receive(request);
    else
        legacy_receive(request);
}

void mcp_receive(struct mcp *mcp, struct message *message, struct reply *reply)
{
    switch (message->verb) {
    case MESSAGE_POST:
        receive_post(mcp, message, reply);
        break;
    case MESSAGE_GET:
        legacy_get(mcp, message, reply);
        break;
    case MESSAGE_DELETE:
        legacy_delete(mcp, message, reply);
        break;
    case MESSAGE_SSE_GET:
        sse_get(mcp, message, reply);
        break;
    case MESSAGE_SSE_POST:
        sse_post(mcp, message, reply);
        break;
    }
}
