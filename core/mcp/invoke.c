/* SPDX-License-Identifier: MIT */
/* Requests that a provider answers: entering it, passing on what it says on the
 * way, and what ends are common to all methods. */
#include "mcp/invoke.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "mcp/asking.h"
#include "mcp/input.h"
#include "mcp/sessions.h"
#include "mcp/tasks.h"

/* Progress more often than this is of no use to a person. */
#define PROGRESS_INTERVAL_NS (10 * NS_PER_MS)
/* How often a call looks again when it met a generation that has been retired. */
#define ENTER_TRIES 8
#define LOG_LEVEL_KEY "io.modelcontextprotocol/logLevel"

static const struct bytes no_data = {NULL, 0};

/* ---- cancelling ---- */

void invocation_cancel(struct invocation *inv)
{
    struct call *call = atomic_exchange(&inv->call, NULL);

    if (call == NULL)
        return;
    call_cancel(call);
    call_unref(call);
}

/* 2026-07-28: who closes the connection cancels. Before, it says nothing, but there
 * is nobody to ask any more; and a channel (mcp/channel.h) that loses a message
 * knows what that means. */
static void peer_gone(struct reply *reply)
{
    struct invocation *inv = reply->owner;
    const struct request *request = inv->request;

    if (request->session == NULL || inv->over_channel)
        invocation_cancel(inv);
    if (request->session != NULL)
        asking_lost(request->mcp, request->session, reply, inv->over_channel);
}

/* Somebody may come back for its answer, until it has become a task. */
static void count_unanswered(struct invocation *inv)
{
    inv->counted = true;
    atomic_fetch_add(&inv->request->mcp->unanswered, 1);
}

static void uncount_unanswered(struct invocation *inv)
{
    if (inv->counted)
        atomic_fetch_sub(&inv->request->mcp->unanswered, 1);
    inv->counted = false;
}

static void join_session(struct invocation *inv, struct session *session)
{
    if (inv->request->run == NULL)
        count_unanswered(inv);
    inv->session = session_ref(session);
    pthread_mutex_lock(&session->mutex);
    inv->next = session->invocations;
    session->invocations = inv;
    pthread_mutex_unlock(&session->mutex);
}

static void leave_session(struct invocation *inv)
{
    struct session *session = inv->session;

    if (session == NULL)
        return;
    pthread_mutex_lock(&session->mutex);
    struct invocation **place = &session->invocations;
    while (*place != inv)
        place = &(*place)->next;
    *place = inv->next;
    pthread_mutex_unlock(&session->mutex);
    inv->session = NULL;
    session_unref(session);
}

void invocation_leave(struct invocation *inv)
{
    leave_session(inv);
    uncount_unanswered(inv);
}

void invocation_replace(struct invocation *inv, struct invocation *next)
{
    struct session *session = inv->session;

    pthread_mutex_lock(&session->mutex);
    struct invocation **place = &session->invocations;
    while (*place != inv)
        place = &(*place)->next;
    *place = next;
    next->next = inv->next;
    next->cancelled = inv->cancelled;
    next->session = session;
    next->counted = inv->counted;
    inv->session = NULL;
    inv->counted = false;
    pthread_mutex_unlock(&session->mutex);
}

void invoke_cancel(struct session *session, struct bytes id)
{
    struct call *call = NULL;
    struct mcp *mcp = NULL;

    pthread_mutex_lock(&session->mutex);
    for (struct invocation *inv = session->invocations; inv != NULL && call == NULL;
         inv = inv->next)
        if (bytes_equal(inv->request->id, id)) {
            inv->cancelled = true;
            mcp = inv->request->mcp;
            call = atomic_exchange(&inv->call, NULL);
        }
    pthread_mutex_unlock(&session->mutex);
    if (call != NULL) {
        call_cancel(call);
        call_unref(call);
    }
    if (mcp != NULL)
        asking_cancel(mcp, session, id);
}

/* ---- the end ---- */

/* An error of the plugin's choice, in the codes of the caller's revision
 * (2026-07-28, basic, "Error Codes"; before, server/resources, "Error
 * Handling"). */
static void respond_plugin_error(struct invocation *inv, const struct call_result *result)
{
    struct request *request = inv->request;
    bool modern = request->revision->modern;
    int code = result->code, status = STATUS_IN_PROTOCOL;
    struct bytes data = bytes_equal(result->json_text, BYTES("null")) ? no_data : result->json_text;
    struct buf uri;

    buf_init(&uri, 1u << 20);
    if (code == MCP_ERROR_MISSING_CAPABILITY) {
        if (modern)
            status = 400;
        else
            code = RPC_INVALID_REQUEST; /* sessions know no such code */
    } else if (code == MCP_ERROR_RESOURCE_NOT_FOUND) {
        code = modern ? RPC_INVALID_PARAMS : RPC_RESOURCE_NOT_FOUND;
        const struct json_node *asked = json_get(&request->json, request->params, "uri");
        if (data.data == NULL && asked != NULL) {
            BUF_LIT(&uri, "{\"uri\":");
            buf_add_bytes(&uri, json_raw(&request->json, asked));
            BUF_LIT(&uri, "}");
            data = buf_bytes(&uri);
        }
    }
    respond_error(request, status, code, data, "%.*s", BYTES_FMT(result->text));
    buf_free(&uri);
}

void respond_failure(const struct invocation *inv, const struct call_result *result)
{
    respond_error(inv->request, STATUS_IN_PROTOCOL, RPC_INTERNAL_ERROR, no_data, "%.*s",
                  BYTES_FMT(result->text));
}

/* Says, before the answer, how much of what came before it is missing. */
static void tell_left_out(struct invocation *inv)
{
    struct reply *reply = inv->request->reply;
    char text[300];

    if (inv->left_out == 0 || inv->request->run != NULL)
        return;
    log_info("%s: %ju messages of a call to its client (log, progress) were left out: the client "
             "does not read them as fast as they come",
             inv->provider->id, (uintmax_t)inv->left_out);
    int size = snprintf(text, sizeof text,
                        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{"
                        "\"level\":\"warning\",\"logger\":\"mcpd\",\"data\":\"%ju messages of this "
                        "call (log, progress) were left out: they were not read as fast as they "
                        "came\"}}",
                        (uintmax_t)inv->left_out);
    if (inv->log_level >= MCP_LOG_WARNING)
        reply->ops->push(reply, (struct bytes){text, (size_t)size});
    inv->left_out = 0;
}

static void finished(struct call *call, const struct call_result *result)
{
    struct invocation *inv = call_owner(call);
    struct request *request = inv->request;
    struct call *mine = atomic_exchange(&inv->call, NULL);

    tell_left_out(inv);
    if (result->end == CALL_NEED_INPUT && inv->session != NULL) {
        ask(inv, result);
        if (mine != NULL)
            call_unref(mine);
        return;
    }
    invocation_leave(inv);
    if (request->run != NULL && task_run_ended(request->run, call, result)) {
        if (mine != NULL)
            call_unref(mine);
        return;
    }
    switch (result->end) {
    case CALL_BUSY:
        input_give_back(inv);
        respond_busy(request, STATUS_IN_PROTOCOL, "Server busy: %.*s", BYTES_FMT(result->text));
        break;
    case CALL_BROKEN:
        respond_error(request, STATUS_IN_PROTOCOL, RPC_INTERNAL_ERROR, no_data, "%.*s",
                      BYTES_FMT(result->text));
        break;
    case CALL_ERROR:
        respond_plugin_error(inv, result);
        break;
    case CALL_NEED_INPUT:
        input_require(inv, result);
        break;
    default:
        inv->method->finish(inv, result);
        break;
    }
    if (mine != NULL)
        call_unref(mine);
}

/* ---- on the way ---- */

/* Frees the text. */
static void push_notice(struct invocation *inv, struct buf *text)
{
    struct reply *reply = inv->request->reply;

    if (!text->failed && reply_has_room(reply, text->size))
        reply->ops->push(reply, buf_bytes(text));
    else
        inv->left_out++;
    buf_free(text);
}

static void progress(struct call *call, double done, double total, struct bytes message)
{
    struct invocation *inv = call_owner(call);
    int64_t now = clock_now();
    struct buf out;

    if (inv->request->run != NULL) {
        task_run_progress(inv->request->run, done, total, message);
        return;
    }
    if (inv->progress_token.data == NULL)
        return;
    if (done <= inv->progress && inv->progress_ns != 0)
        return; /* it must grow (2026-07-28, basic/patterns/progress) */
    if (now - inv->progress_ns < PROGRESS_INTERVAL_NS && done < total)
        return;
    inv->progress = done;
    inv->progress_ns = now;
    buf_init(&out, 1u << 20);
    BUF_LIT(&out, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{"
                  "\"progressToken\":");
    buf_add_bytes(&out, inv->progress_token);
    BUF_LIT(&out, ",\"progress\":");
    json_write_double(&out, done);
    if (total > 0) {
        BUF_LIT(&out, ",\"total\":");
        json_write_double(&out, total);
    }
    if (message.size > 0 && inv->request->revision->progress_text) {
        BUF_LIT(&out, ",\"message\":");
        json_write_string(&out, message);
    }
    BUF_LIT(&out, "}}");
    push_notice(inv, &out);
}

static void log_message(struct call *call, int level, struct bytes data)
{
    struct invocation *inv = call_owner(call);
    struct buf out;

    buf_init(&out, data.size + 1024);
    buf_addf(&out,
             "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{"
             "\"level\":\"%s\",\"data\":",
             log_level_name(level));
    buf_add_bytes(&out, data);
    BUF_LIT(&out, "}}");
    push_notice(inv, &out);
}

/* The client has its handle; the call goes on. */
static void became_task(struct call *call)
{
    call_lift_deadline(call);
    uncount_unanswered(call_owner(call)); /* mcp_stop_tasks waits for it, if need be */
}

static int32_t start_task(struct call *call)
{
    const struct invocation *inv = call_owner(call);

    if (call_is_cancelled(call))
        return MCP_ECANCELLED;
    if (!inv->may_be_task)
        return MCP_ENOTSUP;
    return tasks_start(inv->request, call, became_task);
}

static void close_stream(struct call *call)
{
    struct invocation *inv = call_owner(call);
    struct reply *reply = inv->request->reply;

    if (reply->ops->close != NULL)
        reply->ops->close(reply);
}

static void release_exchange(void *owner)
{
    struct invocation *inv = owner;
    struct reply *reply = inv->request->reply;

    if (inv->snapshot != NULL)
        snapshot_unref(inv->snapshot);
    if (inv->asking != NULL)
        asking_done(inv->asking);
    reply->ops->release(reply);
}

static const struct call_events events = {.finished = finished,
                                          .progress = progress,
                                          .log = log_message,
                                          .start_task = start_task,
                                          .close_stream = close_stream};

/* ---- entering ---- */

struct bytes client_capabilities(const struct request *request)
{
    if (request->run != NULL && !request->revision->modern)
        return task_run_capabilities(request->run);
    if (request->session != NULL)
        return bytes_of(request->session->capabilities);
    const struct json_node *declared =
        json_get(&request->json, request->meta, "io.modelcontextprotocol/clientCapabilities");
    return declared != NULL ? json_raw(&request->json, declared) : no_data;
}

void invoke_caller(const struct request *request, struct mcp_caller *caller)
{
    *caller = (struct mcp_caller){.struct_size = sizeof *caller, .roles = MCP_STR("[]")};
    const struct json_node *client =
        json_get(&request->json, request->meta, "io.modelcontextprotocol/clientInfo");
    if (client != NULL && client->type == JSON_OBJECT) {
        struct bytes raw = json_raw(&request->json, client);
        caller->client = (struct mcp_bytes){raw.data, raw.size};
    }
    if (request->run != NULL)
        task_run_caller(request->run, caller);
}

/* Sets *level to what the client wants to hear; -1: nothing. False: it named a
 * level that there is not. */
static bool read_log_level(const struct request *request, int *level)
{
    const struct json_node *named = json_get(&request->json, request->meta, LOG_LEVEL_KEY);

    *level = -1;
    if (request->session != NULL) {
        *level = atomic_load(&request->session->log_level);
    } else if (named != NULL) {
        struct bytes name = json_string(&request->json, named, request->message->arena);
        *level = name.data != NULL ? log_level_from_name(name) : -1;
        if (*level < 0)
            return false;
    }
    if (!request->message->takes_stream)
        *level = -1; /* there is nothing to say it on */
    return true;
}

static struct bytes read_progress_token(const struct request *request)
{
    const struct json_node *token = json_get(&request->json, request->meta, "progressToken");

    if (token == NULL || !request->message->takes_stream ||
        (token->type != JSON_STRING && token->type != JSON_NUMBER))
        return no_data;
    return json_raw(&request->json, token);
}

/* Enters the provider. NULL: answered. */
static struct call *enter(struct invocation *inv)
{
    struct request *request = inv->request;

    for (int i = 0; i < ENTER_TRIES; i++) {
        const struct snapshot *snapshot =
            registry_read(request->mcp->registry, request->message->reader);
        struct invoke_target target = {0};
        if (!inv->method->find(request, snapshot, &target))
            return NULL;
        inv->provider = target.entry->provider;
        inv->flags = target.entry->offer->terms.flags;
        bool can_ask = inv->method->function != CALL_COMPLETE &&
                       (request->run == NULL || request->revision->modern);
        if (request->run != NULL) {
            inv->state = task_run_state(request->run);
            inv->input_responses = task_run_answers(request->run);
        } else if (request->session == NULL && can_ask && !input_read(inv, &target)) {
            return NULL;
        }
        struct bytes capabilities = client_capabilities(request);
        inv->may_be_task =
            inv->method->function == CALL_TOOL && tasks_may_start(request, target.entry);
        struct call *call = call_new(&(struct call_request){
            .entry = target.entry,
            .function = inv->method->function,
            .name = target.name,
            .json = target.json,
            .arguments = target.arguments,
            .meta_json = &request->json,
            .meta = request->meta,
            .caller = &inv->caller,
            .client_capabilities = capabilities,
            .max_time_ms = atomic_load(&request->mcp->call_timeout_ms),
            .wants_progress = inv->progress_token.data != NULL || inv->may_be_task,
            .is_task = request->run != NULL,
            .log_level = inv->log_level,
            .can_ask = can_ask,
            .client_carries = request->run == NULL && request->session == NULL,
            .state = inv->state,
            .input_responses = inv->input_responses,
            .events = &events,
            .owner = inv,
            .release = release_exchange,
        });
        if (call == NULL)
            continue;
        if (inv->method->function != CALL_TOOL || target.entry->offer->output != NULL) {
            inv->entry = target.entry;
            inv->snapshot = snapshot_ref(snapshot);
        }
        return call;
    }
    if (request->run != NULL)
        task_run_postpone(request->run);
    else
        respond_busy(request, STATUS_IN_PROTOCOL,
                     "Server busy: the provider of this is being replaced; try again");
    return NULL;
}

/* A client of a session may hang up and ask again, as often as it likes. */
static bool may_begin(const struct request *request)
{
    struct mcp *mcp = request->mcp;

    return request->session == NULL || request->run != NULL ||
           atomic_load(&mcp->unanswered) < atomic_load(&mcp->max_session_calls);
}

void invoke(struct request *request, const struct invoke_method *method)
{
    struct invocation *inv = arena_calloc(request->message->arena, 1, sizeof *inv);

    if (inv == NULL) {
        respond_error(request, 500, RPC_INTERNAL_ERROR, no_data, "Out of memory");
        return;
    }
    if (!read_log_level(request, &inv->log_level)) {
        respond_error(request, 400, RPC_INVALID_PARAMS, no_data,
                      "Invalid params: " LOG_LEVEL_KEY " must be one of debug, info, notice, "
                      "warning, error, critical, alert, emergency");
        return;
    }
    if (!may_begin(request)) {
        respond_busy(request, STATUS_IN_PROTOCOL,
                     "Server busy: as many calls of sessions are in flight as may "
                     "(sessions.max_calls); try again later");
        return;
    }
    inv->request = request;
    inv->method = method;
    inv->arena = request->message->arena;
    inv->takes_stream = request->message->takes_stream;
    inv->over_channel = request->message->channel != NULL;
    inv->progress_token = read_progress_token(request);
    invoke_caller(request, &inv->caller);
    request->reply->ops->hold(request->reply);
    struct call *call = enter(inv);
    if (call == NULL) {
        input_give_back(inv);
        request->reply->ops->release(request->reply);
        return;
    }
    request->message->keep = true;
    atomic_store(&inv->call, call_ref(call));
    if (request->session != NULL)
        join_session(inv, request->session);
    request->reply->owner = inv;
    request->reply->gone = peer_gone;
    call_start(call);
    call_unref(call);
}

void invoke_again(struct invocation *inv)
{
    struct reply *reply = inv->request->reply;
    struct session *session = inv->session;
    struct call *call = enter(inv);

    if (call == NULL) {
        invocation_leave(inv);
        asking_done(inv->asking);
        reply->ops->release(reply);
        return;
    }
    atomic_store(&inv->call, call_ref(call));
    pthread_mutex_lock(&session->mutex);
    bool cancelled = inv->cancelled; /* before there was a call to cancel */
    pthread_mutex_unlock(&session->mutex);
    if (cancelled)
        invocation_cancel(inv);
    call_start(call);
    call_unref(call);
}
