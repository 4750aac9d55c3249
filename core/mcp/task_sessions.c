/* SPDX-License-Identifier: MIT */
/*
 * The experimental tasks of 2025-11-25: the client says that it wants a task,
 * asks for its state with tasks/get, and for its result with tasks/result, which
 * waits for it. There is no tasks/list, for sessions do not say who their client
 * is ("Task Isolation and Access Control"), and a task cannot ask its client.
 */
#include <stdlib.h>

#include "mcp/sessions.h"
#include "mcp/task_private.h"

#define RELATED "\"io.modelcontextprotocol/related-task\":{\"taskId\":\"%.*s\"}"

static const struct bytes no_data = {NULL, 0};

/* A request that waits for the end of a task; in its message's arena. */
struct waiter {
    struct waiter *next;
    struct task *task; /* a reference */
    struct request *request; /* kept, with a hold of its reply */
    bool linked; /* guarded by the tasks' mutex */
};

/* False: this session has none, which has been answered. */
static bool has_tasks(struct request *request)
{
    if (request->revision->tasks && request->mcp->tasks != NULL)
        return true;
    respond_error(request, STATUS_IN_PROTOCOL, RPC_METHOD_NOT_FOUND, no_data,
                  "Method not found: %.*s", BYTES_FMT(request->method));
    return false;
}

static void respond_state(struct request *request, const struct store_task *row)
{
    struct buf out;

    respond_begin(request, &out);
    BUF_LIT(&out, "{");
    task_write(&out, row, atomic_load(&request->mcp->tasks->poll_interval_ms), TASK_OF_SESSION);
    BUF_LIT(&out, "}");
    respond_finish(request, &out);
}

/* ---- tasks/get ---- */

static void get_live(struct request *request, struct task *task)
{
    struct buf out;

    respond_begin(request, &out);
    BUF_LIT(&out, "{");
    task_write(&out, &task->row, atomic_load(&task->home->poll_interval_ms), TASK_OF_SESSION);
    pthread_mutex_unlock(&task->home->mutex);
    BUF_LIT(&out, "}");
    respond_finish(request, &out);
}

void session_tasks_get(struct request *request)
{
    static const struct task_method get = {get_live, respond_state};

    if (has_tasks(request))
        task_dispatch(request, &get);
}

/* ---- tasks/cancel ---- */

static void cancel_final(struct request *request, const struct store_task *row)
{
    (void)row;
    respond_error(request, STATUS_IN_PROTOCOL, RPC_INVALID_PARAMS, no_data,
                  "The task has ended already");
}

static void cancel_live(struct request *request, struct task *task)
{
    static const struct task_method cancelled = {NULL, respond_state};
    struct task_run *run;

    if (task->phase == PHASE_OVER) {
        pthread_mutex_unlock(&task->home->mutex);
        cancel_final(request, NULL);
        return;
    }
    run = task_end(task, TASK_CANCELLED, NULL, "Cancelled by the client");
    task_answer_stored(request, task, &cancelled);
    task_run_cancel(run);
}

void session_tasks_cancel(struct request *request)
{
    static const struct task_method cancel = {cancel_live, cancel_final};

    if (has_tasks(request))
        task_dispatch(request, &cancel);
}

/* ---- tasks/result ---- */

/* The members of a result but its _meta, and that with the task's id. */
static void write_result(struct buf *out, const struct store_task *row, const struct json *json)
{
    const struct json_node *end = json->root + json->root->span;
    const struct json_node *meta = json_get(json, json->root, "_meta");

    BUF_LIT(out, "{");
    for (const struct json_node *name = json_first(json->root); name != NULL;
         name = json_next(name + 1, end)) {
        if (name + 1 == meta)
            continue;
        buf_add_bytes(out, json_raw(json, name));
        BUF_LIT(out, ":");
        buf_add_bytes(out, json_raw(json, name + 1));
        BUF_LIT(out, ",");
    }
    BUF_LIT(out, "\"_meta\":{");
    buf_addf(out, RELATED, BYTES_FMT(row->id));
    if (meta != NULL && meta->type == JSON_OBJECT && meta->count > 0) {
        struct bytes raw = json_raw(json, meta);
        BUF_LIT(out, ",");
        buf_add(out, raw.data + 1, raw.size - 2);
    }
    BUF_LIT(out, "}}");
}

/* The task's error as that of this request. */
static void respond_failure(struct request *request, const struct store_task *row)
{
    struct answer answer = {.status = 200};
    struct buf out;

    buf_init(&out, row->payload.size + 1024);
    BUF_LIT(&out, "{\"jsonrpc\":\"2.0\",\"id\":");
    buf_add_bytes(&out, request->id);
    BUF_LIT(&out, ",\"error\":");
    buf_add_bytes(&out, row->payload);
    BUF_LIT(&out, "}");
    answer.head = buf_detach(&out, &answer.head_size);
    if (answer.head == NULL)
        answer.status = 500;
    request->reply->ops->send(request->reply, &answer);
}

static void respond_result(struct request *request, const struct store_task *row)
{
    struct arena arena;
    struct json json;
    struct buf out;

    if (row->status == TASK_FAILED && row->payload.size > 0) {
        respond_failure(request, row);
        return;
    }
    arena_init(&arena, SIZE_MAX);
    if (row->status == TASK_COMPLETED &&
        json_parse(&json, row->payload, &json_default_limits, &arena, NULL)) {
        respond_begin(request, &out);
        write_result(&out, row, &json);
        respond_finish(request, &out);
    } else {
        respond_error(request, STATUS_IN_PROTOCOL, RPC_INTERNAL_ERROR, no_data,
                      row->status == TASK_CANCELLED ? "The task was cancelled"
                                                    : "The result cannot be read");
    }
    arena_free(&arena);
}

/* Takes it from the list. Mutex held. */
static void unlink_waiter(struct waiter *waiter)
{
    struct waiter **place = &waiter->task->waiters;

    while (*place != waiter)
        place = &(*place)->next;
    *place = waiter->next;
    waiter->linked = false;
}

static void release(struct waiter *waiter)
{
    struct reply *reply = waiter->request->reply;

    task_unref(waiter->task);
    reply->ops->release(reply); /* the waiter goes with it */
}

static void peer_gone(struct reply *reply)
{
    struct waiter *waiter = reply->owner;
    struct tasks *tasks = waiter->task->home;

    pthread_mutex_lock(&tasks->mutex);
    bool linked = waiter->linked;
    if (linked)
        unlink_waiter(waiter);
    pthread_mutex_unlock(&tasks->mutex);
    if (linked)
        release(waiter);
}

static struct waiter *take_waiter(struct task *task)
{
    struct waiter *waiter = task->waiters;

    if (waiter != NULL)
        unlink_waiter(waiter);
    return waiter;
}

void task_tell_waiters(struct task *task)
{
    struct waiter *waiter;

    do {
        pthread_mutex_lock(&task->home->mutex);
        waiter = task->phase == PHASE_OVER ? take_waiter(task) : NULL;
        pthread_mutex_unlock(&task->home->mutex);
        if (waiter != NULL) {
            respond_result(waiter->request, &task->row); /* which does not change any more */
            release(waiter);
        }
    } while (waiter != NULL);
}

/* Of all tasks, one waiter. */
static struct waiter *take_any(struct tasks *tasks)
{
    struct waiter *waiter = NULL;

    pthread_mutex_lock(&tasks->mutex);
    for (size_t i = 0; i < TASK_BUCKETS && waiter == NULL; i++)
        for (struct task *task = tasks->buckets[i]; task != NULL && waiter == NULL;
             task = task->next)
            waiter = take_waiter(task);
    pthread_mutex_unlock(&tasks->mutex);
    return waiter;
}

void tasks_end_waits(struct tasks *tasks)
{
    for (struct waiter *waiter; (waiter = take_any(tasks)) != NULL;) {
        respond_busy(waiter->request, STATUS_IN_PROTOCOL,
                     "The server is shutting down; the task goes on");
        release(waiter);
    }
}

static void result_live(struct request *request, struct task *task)
{
    struct waiter *waiter = arena_calloc(request->message->arena, 1, sizeof *waiter);

    if (task->phase == PHASE_OVER) {
        task_ref(task);
        pthread_mutex_unlock(&task->home->mutex);
        respond_result(request, &task->row); /* which does not change any more */
        task_unref(task);
        return;
    }
    if (waiter == NULL || task->home->stopping) {
        pthread_mutex_unlock(&task->home->mutex);
        respond_busy(request, STATUS_IN_PROTOCOL, "Server busy: ask for the result later");
        return;
    }
    *waiter = (struct waiter){
        .next = task->waiters, .task = task_ref(task), .request = request, .linked = true};
    request->message->keep = true;
    request->reply->ops->hold(request->reply);
    request->reply->owner = waiter;
    request->reply->gone = peer_gone;
    task->waiters = waiter;
    pthread_mutex_unlock(&task->home->mutex);
}

void session_tasks_result(struct request *request)
{
    static const struct task_method result = {result_live, respond_result};

    if (has_tasks(request))
        task_dispatch(request, &result);
}
