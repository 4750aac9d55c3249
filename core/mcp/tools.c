/* SPDX-License-Identifier: MIT */
/* tools/list and tools/call. */
#include "mcp/tools.h"

#include <stdlib.h>

#include "base/log.h"
#include "mcp/headers.h"
#include "mcp/listeners.h"
#include "mcp/sessions.h"
#include "mcp/view.h"

/* Progress more often than this is of no use to a person. */
#define PROGRESS_INTERVAL_NS (10 * NS_PER_MS)
/* How often a call looks again when it met a generation that has been retired. */
#define ENTER_TRIES 8
#define LOG_LEVEL_KEY "io.modelcontextprotocol/logLevel"

static const struct bytes no_data = {NULL, 0};

/* ---- tools/list ---- */

static void release_snapshot(void *snapshot)
{
    snapshot_unref(snapshot);
}

void tools_list(struct request *request)
{
    const struct snapshot *snapshot =
        registry_read(request->mcp->registry, request->message->reader);
    const struct json_node *cursor = json_get(&request->json, request->params, "cursor");
    struct bytes from = json_string(&request->json, cursor, request->message->arena);
    struct bytes page = {NULL, 0};

    if (cursor == NULL || from.data != NULL)
        page = view_tools(snapshot->view, request->revision, from);
    if (page.data == NULL) {
        respond_error(request, STATUS_IN_PROTOCOL, RPC_INVALID_PARAMS, no_data,
                      "Invalid params: this cursor is not of the current list; list again from the "
                      "start");
        return;
    }
    if (request->session != NULL && cursor == NULL)
        session_told(request->session, listeners_epoch(request->mcp->listeners));
    respond_shared(request, page, release_snapshot, snapshot_ref(snapshot));
}

/* ---- tools/call ---- */

/* A call in flight. Lives in the message's arena, which the exchange keeps until
 * the call has gone. */
struct tool_call {
    struct request *request;
    /* One reference, which belongs to whoever takes the pointer out: the end of
     * the call, or who cancels it. */
    _Atomic(struct call *) call;
    struct bytes progress_token; /* raw JSON; .data is NULL: not wanted */
    double progress; /* the last that was sent */
    int64_t progress_ns;
    struct mcp_caller caller;
    /* For a tool with an outputSchema: the snapshot, referenced, that keeps it. */
    const struct snapshot *snapshot;
    const struct registry_tool *entry;
    struct session *session; /* referenced; NULL: 2026-07-28 */
    struct tool_call *next; /* in session->calls */
};

static void cancel(struct tool_call *tc)
{
    struct call *call = atomic_exchange(&tc->call, NULL);

    if (call == NULL)
        return;
    call_cancel(call);
    call_unref(call);
}

/* 2026-07-28: who closes the connection cancels. Before, it says nothing. */
static void peer_gone(struct reply *reply)
{
    cancel(reply->owner);
}

static void join_session(struct tool_call *tc, struct session *session)
{
    tc->session = session_ref(session);
    pthread_mutex_lock(&session->mutex);
    tc->next = session->calls;
    session->calls = tc;
    pthread_mutex_unlock(&session->mutex);
}

static void leave_session(struct tool_call *tc)
{
    struct session *session = tc->session;

    if (session == NULL)
        return;
    pthread_mutex_lock(&session->mutex);
    struct tool_call **place = &session->calls;
    while (*place != tc)
        place = &(*place)->next;
    *place = tc->next;
    pthread_mutex_unlock(&session->mutex);
    tc->session = NULL;
    session_unref(session);
}

void tools_cancel(struct session *session, struct bytes id)
{
    struct call *call = NULL;

    pthread_mutex_lock(&session->mutex);
    for (struct tool_call *tc = session->calls; tc != NULL && call == NULL; tc = tc->next)
        if (bytes_equal(tc->request->id, id))
            call = atomic_exchange(&tc->call, NULL);
    pthread_mutex_unlock(&session->mutex);
    if (call != NULL) {
        call_cancel(call);
        call_unref(call);
    }
}

static bool note_failure(void *context, const struct schema_failure *failure)
{
    error_set(context, "%s%s%s", failure->instance[0] == '/' ? failure->instance + 1 : "",
              failure->instance[0] == '/' ? ": " : "", failure->text);
    return false;
}

/* What a tool promised with its outputSchema (2026-07-28, server/tools, "Output
 * Schema"). Failures promise nothing. */
static bool keeps_promise(const struct tool_call *tc, const struct call_result *result,
                          struct error *why)
{
    const struct json *json = result->json;
    const struct json_node *value = NULL;

    if (tc->snapshot == NULL || result->end == CALL_FAILURE || result->end == CALL_TIMEOUT)
        return true;
    if (result->end == CALL_STRUCTURED) {
        value = json->root;
    } else if (result->end == CALL_RESULT) {
        const struct json_node *failed = json_get(json, json->root, "isError");
        if (failed != NULL && failed->type == JSON_TRUE)
            return true;
        value = json_get(json, json->root, "structuredContent");
    }
    const struct schema *schema = tc->entry->tool->output;
    if (value != NULL && schema_validate(schema, json, value, NULL, NULL))
        return true;
    error_set(why, "there is no structured result");
    if (value != NULL)
        schema_validate(schema, json, value, note_failure, why);
    return false;
}

/* The operator is told what is wrong with the result; the client, only that it
 * is: the result may hold what it was not meant to see. */
static void refuse_result(const struct tool_call *tc, const struct error *why)
{
    const char *id = tc->entry->provider->id;
    struct bytes name = tc->entry->name;

    log_warning("%s: the result of %.*s does not match its outputSchema: %s", id, BYTES_FMT(name),
                why->text);
    respond_error(tc->request, STATUS_IN_PROTOCOL, RPC_INTERNAL_ERROR, no_data,
                  "The provider %s broke its promise: the result of %.*s does not match its "
                  "outputSchema",
                  id, BYTES_FMT(name));
}

static void finished(struct call *call, const struct call_result *result)
{
    struct tool_call *tc = call_owner(call);
    struct request *request = tc->request;
    struct call *mine = atomic_exchange(&tc->call, NULL);
    struct error why;
    struct buf out;

    leave_session(tc);
    if (result->end == CALL_BUSY) {
        respond_error(request, STATUS_IN_PROTOCOL, RPC_SERVER_BUSY, no_data, "Server busy: %.*s",
                      BYTES_FMT(result->text));
    } else if (result->end == CALL_BROKEN) {
        respond_error(request, STATUS_IN_PROTOCOL, RPC_INTERNAL_ERROR, no_data, "%.*s",
                      BYTES_FMT(result->text));
    } else if (!keeps_promise(tc, result, &why)) {
        refuse_result(tc, &why);
    } else {
        respond_begin(request, &out);
        buf_reserve(&out, result->text.size + result->json_text.size + 256);
        write_tool_result(&out, request->revision, server_meta(request->mcp), result);
        respond_finish(request, &out);
    }
    if (mine != NULL)
        call_unref(mine);
}

static void progress(struct call *call, double done, double total, struct bytes message)
{
    struct tool_call *tc = call_owner(call);
    int64_t now = clock_now();
    struct buf out;

    if (done <= tc->progress && tc->progress_ns != 0)
        return; /* it must grow (2026-07-28, basic/patterns/progress) */
    if (now - tc->progress_ns < PROGRESS_INTERVAL_NS && done < total)
        return;
    tc->progress = done;
    tc->progress_ns = now;
    buf_init(&out, 1u << 20);
    BUF_LIT(&out, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{"
                  "\"progressToken\":");
    buf_add_bytes(&out, tc->progress_token);
    BUF_LIT(&out, ",\"progress\":");
    json_write_double(&out, done);
    if (total > 0) {
        BUF_LIT(&out, ",\"total\":");
        json_write_double(&out, total);
    }
    if (message.size > 0) {
        BUF_LIT(&out, ",\"message\":");
        json_write_string(&out, message);
    }
    BUF_LIT(&out, "}}");
    if (!out.failed)
        tc->request->reply->ops->push(tc->request->reply, buf_bytes(&out));
    buf_free(&out);
}

static void log_message(struct call *call, int level, struct bytes data)
{
    struct tool_call *tc = call_owner(call);
    struct buf out;

    buf_init(&out, data.size + 1024);
    buf_addf(&out,
             "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{"
             "\"level\":\"%s\",\"data\":",
             log_level_name(level));
    buf_add_bytes(&out, data);
    BUF_LIT(&out, "}}");
    if (!out.failed)
        tc->request->reply->ops->push(tc->request->reply, buf_bytes(&out));
    buf_free(&out);
}

static void release_exchange(void *owner)
{
    struct tool_call *tc = owner;
    struct reply *reply = tc->request->reply;

    if (tc->snapshot != NULL)
        snapshot_unref(tc->snapshot);
    reply->ops->release(reply);
}

static const struct call_events events = {
    .finished = finished, .progress = progress, .log = log_message};

/* What a client that sent no arguments meant. */
static const struct json_node empty_object = {
    .start = 0, .end = 2, .span = 1, .count = 0, .type = JSON_OBJECT};
static const struct json empty_arguments = {.text = {"{}", 2}, .root = &empty_object, .nodes = 1};

/* Arguments that the schema refuses are the model's to correct (SEP-1303): a
 * result with isError. */
static bool check_arguments(struct request *request, const struct registry_tool *entry,
                            const struct json_node *arguments)
{
    const struct schema *schema = entry->tool->input;
    const struct json *json = arguments != NULL ? &request->json : &empty_arguments;
    const struct json_node *value = arguments != NULL ? arguments : &empty_object;
    struct error why = {.text = "they do not match the inputSchema"};
    struct error text;
    struct buf out;

    if (schema == NULL || schema_validate(schema, json, value, NULL, NULL))
        return true;
    schema_validate(schema, json, value, note_failure, &why);
    error_set(&text, "Invalid arguments for %.*s: %s", BYTES_FMT(entry->name), why.text);
    respond_begin(request, &out);
    write_tool_result(&out, request->revision, server_meta(request->mcp),
                      &(struct call_result){.end = CALL_FAILURE, .text = bytes_of(text.text)});
    respond_finish(request, &out);
    return false;
}

/* The tool that is asked for and its arguments, checked as far as the protocol
 * goes. NULL: answered. */
static const struct registry_tool *find_tool(struct request *request,
                                             const struct json_node **arguments)
{
    const struct json *json = &request->json;
    struct bytes name =
        json_string(json, json_get(json, request->params, "name"), request->message->arena);
    struct error why;

    *arguments = json_get(json, request->params, "arguments");
    if (name.data == NULL || (*arguments != NULL && (*arguments)->type != JSON_OBJECT)) {
        respond_error(request, STATUS_IN_PROTOCOL, RPC_INVALID_PARAMS, no_data,
                      "Invalid params: %s",
                      name.data == NULL ? "name must be a string" : "arguments must be an object");
        return NULL;
    }
    const struct snapshot *snapshot =
        registry_read(request->mcp->registry, request->message->reader);
    const struct registry_tool *entry = snapshot_find_tool(snapshot, name);
    if (entry == NULL) {
        respond_error(request, STATUS_IN_PROTOCOL, RPC_INVALID_PARAMS, no_data,
                      "Unknown tool: %.*s; tools/list tells what is offered now",
                      (int)(name.size > TOOL_NAME_MAX ? TOOL_NAME_MAX : name.size), name.data);
        return NULL;
    }
    if (request->revision->modern &&
        !headers_match_arguments(request->message, entry->tool, json, *arguments, &why)) {
        respond_error(request, 400, RPC_HEADER_MISMATCH, no_data, "Header mismatch: %s", why.text);
        return NULL;
    }
    return check_arguments(request, entry, *arguments) ? entry : NULL;
}

static void read_caller(const struct request *request, struct mcp_caller *caller)
{
    *caller = (struct mcp_caller){.struct_size = sizeof *caller, .roles = MCP_STR("[]")};
    const struct json_node *client =
        json_get(&request->json, request->meta, "io.modelcontextprotocol/clientInfo");
    if (client != NULL && client->type == JSON_OBJECT) {
        struct bytes raw = json_raw(&request->json, client);
        caller->client = (struct mcp_bytes){raw.data, raw.size};
    }
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

/* Enters the provider of the tool. NULL: answered. */
static struct call *enter(struct tool_call *tc, int log_level)
{
    struct request *request = tc->request;
    const struct json_node *arguments;

    for (int i = 0; i < ENTER_TRIES; i++) {
        const struct registry_tool *entry = find_tool(request, &arguments);
        if (entry == NULL)
            return NULL;
        struct call *call = call_new(&(struct call_request){
            .tool = entry,
            .json = &request->json,
            .arguments = arguments,
            .meta = request->meta,
            .caller = &tc->caller,
            .max_time_ms = atomic_load(&request->mcp->call_timeout_ms),
            .wants_progress = tc->progress_token.data != NULL,
            .log_level = log_level,
            .events = &events,
            .owner = tc,
            .release = release_exchange,
        });
        if (call == NULL)
            continue;
        if (entry->tool->output != NULL) {
            tc->entry = entry;
            tc->snapshot = snapshot_ref(request->message->reader->snapshot);
        }
        return call;
    }
    respond_error(request, STATUS_IN_PROTOCOL, RPC_SERVER_BUSY, no_data,
                  "Server busy: the provider of this tool is being replaced; try again");
    return NULL;
}

void tools_call(struct request *request)
{
    struct tool_call *tc = arena_calloc(request->message->arena, 1, sizeof *tc);
    int log_level;

    if (tc == NULL) {
        respond_error(request, 500, RPC_INTERNAL_ERROR, no_data, "Out of memory");
        return;
    }
    if (!read_log_level(request, &log_level)) {
        respond_error(request, 400, RPC_INVALID_PARAMS, no_data,
                      "Invalid params: " LOG_LEVEL_KEY " must be one of debug, info, notice, "
                      "warning, error, critical, alert, emergency");
        return;
    }
    tc->request = request;
    tc->progress_token = read_progress_token(request);
    read_caller(request, &tc->caller);
    request->reply->ops->hold(request->reply);
    struct call *call = enter(tc, log_level);
    if (call == NULL) {
        request->reply->ops->release(request->reply);
        return;
    }
    request->message->keep = true;
    atomic_store(&tc->call, call_ref(call));
    if (request->session != NULL) {
        join_session(tc, request->session);
    } else {
        request->reply->owner = tc;
        request->reply->gone = peer_gone;
    }
    call_start(call);
    call_unref(call);
}
