/* SPDX-License-Identifier: MIT */
/* subscriptions/listen (2026-07-28, basic/patterns/subscriptions), and
 * resources/subscribe and resources/unsubscribe of the sessions before it. */
#include "mcp/listeners.h"
#include "mcp/request.h"
#include "mcp/sessions.h"
#include "mcp/tasks.h"

static const struct bytes no_data = {NULL, 0};

/* ---- who watches resources ---- */

static void hold_listener(void *owner)
{
    listener_ref(owner);
}

static void release_listener(void *owner)
{
    listener_unref(owner);
}

/* The resource, or the task (see tasks_watch_key), as a JSON string. */
#define TASK_KEY_START 3 /* "\n */
static bool tell_listener(void *owner, struct bytes uri)
{
    struct listener *listener = owner;

    if (uri.size > TASK_KEY_START && memcmp(uri.data, "\"\\n", TASK_KEY_START) == 0)
        return tasks_tell(listener_mcp(listener)->tasks,
                          (struct bytes){uri.data + TASK_KEY_START, uri.size - TASK_KEY_START - 1},
                          listener);
    return listener_tell_updated(listener, uri);
}

static const struct watcher_ops listener_ops = {
    .hold = hold_listener, .release = release_listener, .tell = tell_listener};

static void hold_session(void *owner)
{
    session_ref(owner);
}

static void release_session(void *owner)
{
    session_unref(owner);
}

static bool tell_session(void *owner, struct bytes uri)
{
    struct listener *stream = session_stream(owner);
    bool told = stream != NULL && listener_tell_updated(stream, uri);

    listener_unref(stream);
    return told;
}

static const struct watcher_ops session_ops = {
    .hold = hold_session, .release = release_session, .tell = tell_session};

/* False: refused, which has been answered. */
static bool watch(struct request *request, struct watcher *watcher, struct bytes uri)
{
    switch (watcher_add(watcher, uri)) {
    case WATCH_DONE:
        return true;
    case WATCH_TOO_MANY:
        respond_error(request, request->revision->modern ? 400 : STATUS_IN_PROTOCOL,
                      RPC_INVALID_PARAMS, no_data,
                      "Too many resource subscriptions: a %s may have %d",
                      request->revision->modern ? "stream" : "session", WATCHES_MAX);
        return false;
    case WATCH_NO_ROOM:
        respond_busy(request, request->revision->modern ? 503 : STATUS_IN_PROTOCOL,
                     "Server busy: all clients together have too many resource subscriptions");
        return false;
    case WATCH_CLOSED:
        break;
    }
    respond_busy(request, STATUS_IN_PROTOCOL, "The session has ended");
    return false;
}

/* ---- sessions ---- */

/* params.uri; .data is NULL when it is none, which has been answered. */
static struct bytes read_uri(struct request *request)
{
    const struct json_node *member = json_get(&request->json, request->params, "uri");
    struct bytes uri = json_string(&request->json, member, request->message->arena);

    if (uri.data != NULL && uri.size <= URI_MAX)
        return uri;
    respond_error(request, STATUS_IN_PROTOCOL, RPC_INVALID_PARAMS, no_data,
                  "Invalid params: uri must be a string of at most %d bytes", URI_MAX);
    return no_data;
}

static void respond_empty(struct request *request)
{
    struct buf out;

    respond_begin(request, &out);
    BUF_LIT(&out, "{}");
    respond_finish(request, &out);
}

void resources_subscribe(struct request *request)
{
    struct bytes uri = read_uri(request);

    if (uri.data == NULL || !resource_exists(request, uri))
        return;
    struct watcher *watcher =
        session_watcher(request->session, request->mcp->watches, &session_ops);
    if (watcher == NULL)
        respond_busy(request, STATUS_IN_PROTOCOL, "The session has ended, or there is no memory");
    else if (watch(request, watcher, uri))
        respond_empty(request);
}

void resources_unsubscribe(struct request *request)
{
    struct bytes uri = read_uri(request);

    if (uri.data == NULL)
        return;
    struct watcher *watcher = session_watcher(request->session, NULL, NULL);
    if (watcher != NULL)
        watcher_remove(watcher, uri);
    respond_empty(request);
}

void subscriptions_catch_up(struct session *session)
{
    watcher_catch_up(session_watcher(session, NULL, NULL));
}

/* ---- subscriptions/listen ---- */

static const char *const flags[CHANGES] = {[CHANGE_TOOLS] = "toolsListChanged",
                                           [CHANGE_RESOURCES] = "resourcesListChanged",
                                           [CHANGE_PROMPTS] = "promptsListChanged"};

/* What a client asks to be told of. */
struct filter {
    uint32_t wants; /* MCP_CHANGED_* */
    const struct json_node *uris; /* an array of strings, or NULL */
    const struct json_node *tasks; /* the same, of taskIds */
};

static bool all_uris(const struct json *json, const struct json_node *array)
{
    const struct json_node *end = array + array->span;

    for (const struct json_node *n = json_first(array); n != NULL; n = json_next(n, end))
        if (n->type != JSON_STRING || json_raw(json, n).size > URI_MAX + 2)
            return false;
    return true;
}

/* Three booleans and a list of URIs, all optional. */
static bool read_filter(const struct request *request, struct filter *filter)
{
    const struct json *json = &request->json;
    const struct json_node *given = json_get(json, request->params, "notifications");
    const struct json_node *uris = json_get(json, given, "resourceSubscriptions");
    const struct json_node *tasks = json_get(json, given, "taskIds");

    *filter = (struct filter){.uris = uris, .tasks = tasks};
    if (given == NULL || given->type != JSON_OBJECT)
        return false;
    for (enum change list = 0; list < CHANGES; list++) {
        const struct json_node *flag = json_get(json, given, flags[list]);
        if (flag != NULL && flag->type != JSON_TRUE && flag->type != JSON_FALSE)
            return false;
        if (flag != NULL && flag->type == JSON_TRUE)
            filter->wants |= 1u << list;
    }
    return (uris == NULL || (uris->type == JSON_ARRAY && all_uris(json, uris))) &&
           (tasks == NULL || (tasks->type == JSON_ARRAY && all_uris(json, tasks)));
}

/* A URI has no control characters; a task is watched by a name that has one. */
static bool is_name(struct bytes uri)
{
    for (size_t i = 0; i < uri.size; i++)
        if ((unsigned char)uri.data[i] < 0x20)
            return false;
    return true;
}

static bool watch_uris(struct request *request, const struct json_node *uris,
                       struct watcher *watcher)
{
    const struct json_node *end = uris + uris->span;

    for (const struct json_node *n = json_first(uris); n != NULL; n = json_next(n, end)) {
        struct bytes uri = json_string(&request->json, n, request->message->arena);
        if (uri.data != NULL && is_name(uri) && !watch(request, watcher, uri))
            return false;
    }
    return true;
}

static bool watch_tasks(struct request *request, const struct json_node *ids,
                        struct watcher *watcher)
{
    const struct json_node *end = ids + ids->span;
    char key[TASK_WATCH_SIZE];

    for (const struct json_node *n = json_first(ids); n != NULL; n = json_next(n, end)) {
        struct bytes id = json_string(&request->json, n, request->message->arena);
        if (id.data != NULL && tasks_may_watch(request, id) &&
            !watch(request, watcher, tasks_watch_key(id, key)))
            return false;
    }
    return true;
}

/* Watches the resources and tasks of the filter, for nobody yet. False: refused,
 * which has been answered. *watcher is NULL when there are none. */
static bool watch_all(struct request *request, const struct filter *filter,
                      struct watcher **watcher)
{
    const struct json_node *uris = filter->uris, *ids = filter->tasks;

    *watcher = NULL;
    if ((uris == NULL || uris->count == 0) && (ids == NULL || ids->count == 0))
        return true;
    *watcher = watcher_new(request->mcp->watches, &listener_ops, NULL);
    if (*watcher == NULL) {
        respond_error(request, 500, RPC_INTERNAL_ERROR, no_data, "Out of memory");
        return false;
    }
    if ((uris == NULL || watch_uris(request, uris, *watcher)) &&
        (ids == NULL || watch_tasks(request, ids, *watcher)))
        return true;
    watcher_clear(*watcher);
    watcher_free(*watcher);
    return false;
}

/* The tasks that the client will be told of: an array. */
static void write_tasks(struct buf *out, const struct request *request, const struct json_node *ids)
{
    const struct json_node *end = ids + ids->span;
    const char *comma = "";

    BUF_LIT(out, "\"taskIds\":[");
    for (const struct json_node *n = json_first(ids); n != NULL; n = json_next(n, end)) {
        struct bytes id = json_string(&request->json, n, request->message->arena);
        if (id.data == NULL || !tasks_may_watch(request, id))
            continue;
        buf_addf(out, "%s", comma);
        json_write_string(out, id);
        comma = ",";
    }
    BUF_LIT(out, "]");
}

/* Tells at once how they stand: one may have ended before its client listened. */
static void tell_tasks(const struct request *request, const struct json_node *ids,
                       struct listener *listener)
{
    const struct json_node *end = ids + ids->span;

    for (const struct json_node *n = json_first(ids); n != NULL; n = json_next(n, end)) {
        struct bytes id = json_string(&request->json, n, request->message->arena);
        if (id.data != NULL && tasks_may_watch(request, id))
            tasks_tell(request->mcp->tasks, id, listener);
    }
}

/* Says what of the filter counts: all but tasks that are not the client's, or ended
 * some time ago. */
static bool acknowledge(const struct request *request, const struct filter *filter)
{
    struct buf out;
    const char *comma = "";

    buf_init(&out, (size_t)1 << 24);
    BUF_LIT(&out, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/subscriptions/acknowledged\","
                  "\"params\":{\"_meta\":{\"io.modelcontextprotocol/subscriptionId\":");
    buf_add_bytes(&out, request->id);
    BUF_LIT(&out, "},\"notifications\":{");
    for (enum change list = 0; list < CHANGES; list++)
        if ((filter->wants & 1u << list) != 0) {
            buf_addf(&out, "%s\"%s\":true", comma, flags[list]);
            comma = ",";
        }
    if (filter->uris != NULL) {
        buf_addf(&out, "%s\"resourceSubscriptions\":", comma);
        json_write_compact(&out, &request->json, filter->uris);
        comma = ",";
    }
    if (filter->tasks != NULL) {
        buf_addf(&out, "%s", comma);
        write_tasks(&out, request, filter->tasks);
    }
    BUF_LIT(&out, "}}}");
    bool sent = !out.failed && request->reply->ops->push(request->reply, buf_bytes(&out));
    buf_free(&out);
    return sent;
}

/* The stream is open. The acknowledgement is the first message, so it goes before
 * anybody can tell the listener of a change; what changes meanwhile is told behind
 * it. */
static void begin(struct request *request, const struct filter *filter, struct listener *listener,
                  struct watcher *watcher)
{
    struct listeners *listeners = request->mcp->listeners;
    uint32_t epochs[CHANGES], missed = 0;

    for (enum change list = 0; list < CHANGES; list++)
        epochs[list] = listeners_epoch(listeners, list);
    if (!acknowledge(request, filter)) {
        request->reply->ops->end(request->reply);
        return;
    }
    if (!listener_begin(listener))
        return;
    for (enum change list = 0; list < CHANGES; list++)
        if (epochs[list] != listeners_epoch(listeners, list))
            missed |= 1u << list;
    listener_tell(listener, missed);
    watcher_catch_up(watcher);
    if (filter->tasks != NULL)
        tell_tasks(request, filter->tasks, listener);
}

static void listen(struct request *request, const struct filter *filter, struct watcher *watcher)
{
    struct listener *listener = listener_new(request->mcp->listeners, request->reply, filter->wants,
                                             request->id, NULL, watcher);

    if (listener == NULL) {
        watcher_clear(watcher);
        watcher_free(watcher);
        respond_error(request, 500, RPC_INTERNAL_ERROR, no_data, "Out of memory");
        return;
    }
    if (request->reply->ops->open(request->reply)) {
        begin(request, filter, listener, watcher);
    } else {
        listener_withdraw(listener);
        respond_busy(request, 503, "Too many open streams: try again later");
    }
    listener_unref(listener);
}

void subscriptions_listen(struct request *request)
{
    struct filter filter;
    struct watcher *watcher;

    if (!read_filter(request, &filter)) {
        respond_error(request, 400, RPC_INVALID_PARAMS, no_data,
                      "Invalid params: notifications must be an object of booleans, and a list of "
                      "URIs as resourceSubscriptions, and of ids as taskIds");
        return;
    }
    if (!request->message->takes_stream) {
        respond_error(request, 406, RPC_INVALID_REQUEST, no_data,
                      "subscriptions/listen needs Accept: text/event-stream");
        return;
    }
    if (filter.tasks != NULL && (request->mcp->tasks == NULL || !tasks_declared(request))) {
        tasks_refuse(request, "listening to taskIds");
        return;
    }
    if (watch_all(request, &filter, &watcher))
        listen(request, &filter, watcher);
}
