/* SPDX-License-Identifier: MIT */
/* A tools/call that becomes a task: at once, or on its way. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "mcp/task_private.h"

#define TASK_FLAGS (MCP_TOOL_TASK_OPTIONAL | MCP_TOOL_TASK_REQUIRED)

static const struct bytes no_data = {NULL, 0};

/* ---- at once ---- */

/* The CreateTaskResult. */
static void respond_created(const struct request *request, const struct store_task *row)
{
    struct buf out;

    if (request->revision->modern) {
        task_respond(request, "task", row, TASK_PLAIN);
        return;
    }
    respond_begin(request, &out);
    BUF_LIT(&out, "{\"task\":{");
    task_write(&out, row, atomic_load(&request->mcp->tasks->poll_interval_ms), TASK_OF_SESSION);
    BUF_LIT(&out, "}}");
    respond_finish(request, &out);
}

/* A task that is being made durable, and the request that made it. */
struct creation {
    struct task *task;
    struct request request; /* what an answer needs of it */
    char id[]; /* of the request */
};

static void created(void *context, const struct error *failure)
{
    struct creation *creation = context;
    struct task *task = creation->task;
    struct tasks *tasks = task->home;
    struct reply *reply = creation->request.reply;
    struct store_task row = task->row; /* nobody changes it before the client knows it */

    if (failure != NULL)
        respond_error(&creation->request, STATUS_IN_PROTOCOL, RPC_INTERNAL_ERROR, no_data,
                      "The task cannot be stored: %s", failure->text);
    else
        respond_created(&creation->request, &row);
    pthread_mutex_lock(&tasks->mutex);
    if (failure != NULL) {
        task_forget(task);
        tasks->count--;
    } else if (task->phase == PHASE_NEW) {
        task_wait(task);
    }
    pthread_mutex_unlock(&tasks->mutex);
    if (failure != NULL)
        log_error("a task cannot be stored: %s", failure->text);
    reply->ops->release(reply);
    task_unref(task);
    free(creation);
}

static void create(struct request *request)
{
    struct tasks *tasks = request->mcp->tasks;
    struct creation *creation = malloc(sizeof *creation + request->id.size);
    struct error why = {.text = "out of memory"};
    struct task *task = creation != NULL ? task_new(tasks, request, &why) : NULL;

    if (task == NULL) {
        free(creation);
        respond_busy(request, STATUS_IN_PROTOCOL, "Server busy: %s", why.text);
        return;
    }
    *creation = (struct creation){.task = task,
                                  .request = {.mcp = request->mcp,
                                              .reply = request->reply,
                                              .revision = request->revision,
                                              .id = {creation->id, request->id.size}}};
    memcpy(creation->id, request->id.data, request->id.size);
    request->reply->ops->hold(request->reply);
    pthread_mutex_lock(&tasks->mutex);
    bool open = tasks->store != NULL;
    bool stored = open && store_add_task(tasks->store, &task->row, created, creation);
    pthread_mutex_unlock(&tasks->mutex);
    if (!stored)
        created(creation, open ? &why : &(struct error){.text = "the server is shutting down"});
}

/* The annotations of a tool that may be called twice with the same arguments. */
static bool is_repeatable(const struct registry_entry *entry)
{
    const struct json *json = &entry->offer->json;
    const struct json_node *annotations = json_get(json, json->root, "annotations");
    const struct json_node *reads = json_get(json, annotations, "readOnlyHint");
    const struct json_node *idempotent = json_get(json, annotations, "idempotentHint");

    return (reads != NULL && reads->type == JSON_TRUE) ||
           (idempotent != NULL && idempotent->type == JSON_TRUE);
}

/* A run of a task has found its tool. False: it had begun before, and must not
 * again. */
static bool admit_run(struct request *request, const struct registry_entry *entry)
{
    struct task *task = request->run->task;
    bool repeatable = is_repeatable(entry);

    pthread_mutex_lock(&task->home->mutex);
    const char *interrupted = task->interrupted;
    task->repeatable = repeatable;
    task->interrupted = NULL;
    pthread_mutex_unlock(&task->home->mutex);
    if (interrupted == NULL || repeatable)
        return true;
    respond_error(request, STATUS_IN_PROTOCOL, RPC_INTERNAL_ERROR, no_data,
                  "The task was interrupted, because %s before it had finished; it is not run "
                  "again, because the tool %.*s does not say that this does no harm (readOnlyHint "
                  "or idempotentHint)",
                  interrupted, BYTES_FMT(entry->name));
    return false;
}

/* A session of 2025-11-25 says itself what is to be a task. */
static bool admit_in_session(struct request *request, const struct registry_entry *entry)
{
    uint32_t flags = entry->offer->terms.flags;
    const struct json_node *wanted = json_get(&request->json, request->params, "task");
    bool can = (flags & TASK_FLAGS) != 0 && request->mcp->tasks != NULL;

    if (wanted != NULL && wanted->type == JSON_OBJECT && can) {
        create(request);
        return false;
    }
    if (wanted == NULL && (flags & MCP_TOOL_TASK_REQUIRED) == 0)
        return true;
    respond_error(request, STATUS_IN_PROTOCOL, RPC_METHOD_NOT_FOUND, no_data,
                  wanted == NULL ? "The tool %.*s can only be called as a task"
                                 : "The tool %.*s cannot be called as a task",
                  BYTES_FMT(entry->name));
    return false;
}

bool tasks_admit(struct request *request, const struct registry_entry *entry)
{
    uint32_t flags = entry->offer->terms.flags;

    if (request->run != NULL)
        return admit_run(request, entry);
    if (request->revision->tasks)
        return admit_in_session(request, entry);
    if ((flags & TASK_FLAGS) == 0)
        return true;
    if (request->mcp->tasks == NULL || !tasks_declared(request)) {
        if ((flags & MCP_TOOL_TASK_REQUIRED) == 0)
            return true;
        if (request->revision->modern)
            tasks_refuse(request, "this tool");
        else
            respond_error(request, STATUS_IN_PROTOCOL, RPC_METHOD_NOT_FOUND, no_data,
                          "The tool %.*s can only be called as a task", BYTES_FMT(entry->name));
        return false;
    }
    if ((flags & MCP_TOOL_TASK_LATE) != 0) {
        request->repeatable = is_repeatable(entry);
        return true;
    }
    create(request);
    return false;
}

/* ---- on its way ---- */

bool tasks_may_start(const struct request *request, const struct registry_entry *entry)
{
    return (entry->offer->terms.flags & TASK_FLAGS) != 0 &&
           (request->run != NULL || (request->mcp->tasks != NULL && tasks_declared(request)));
}

/* Somebody who waits for the store. */
struct waiting {
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool done, failed;
    struct error failure;
};

static void wake(void *context, const struct error *failure)
{
    struct waiting *waiting = context;

    pthread_mutex_lock(&waiting->mutex);
    waiting->done = true;
    waiting->failed = failure != NULL;
    if (failure != NULL)
        waiting->failure = *failure;
    pthread_cond_signal(&waiting->wake);
    pthread_mutex_unlock(&waiting->mutex);
}

/* Adds the task to the store and waits until it is there. */
static bool add_now(struct task *task)
{
    struct waiting waiting = {.mutex = PTHREAD_MUTEX_INITIALIZER,
                              .wake = PTHREAD_COND_INITIALIZER,
                              .failed = true,
                              .failure = {"the server is shutting down"}};

    pthread_mutex_lock(&task->home->mutex);
    struct store *store = task->home->store;
    bool added = store != NULL && store_add_task(store, &task->row, wake, &waiting);
    if (store != NULL && !added)
        error_set(&waiting.failure, "out of memory");
    pthread_mutex_unlock(&task->home->mutex);
    pthread_mutex_lock(&waiting.mutex);
    while (added && !waiting.done)
        pthread_cond_wait(&waiting.wake, &waiting.mutex);
    pthread_mutex_unlock(&waiting.mutex);
    if (waiting.failed)
        log_error("a task cannot be stored: %s", waiting.failure.text);
    return !waiting.failed;
}

static void abandon(struct task *task)
{
    pthread_mutex_lock(&task->home->mutex);
    task_forget(task);
    task->home->count--;
    pthread_mutex_unlock(&task->home->mutex);
    task_unref(task);
}

int32_t tasks_start(struct request *request, const struct mcp_call *call)
{
    struct tasks *tasks = request->mcp->tasks;
    struct error why;
    struct buf inside;
    size_t size = 0;

    if (request->run != NULL)
        return MCP_OK;
    struct task *task = task_new(tasks, request, &why);
    if (task == NULL) {
        log_warning("a call cannot become a task: %s", why.text);
        return MCP_EFAIL;
    }
    task_write_inside(&inside, 0, (struct bytes){call->state.data, call->state.size},
                      (struct bytes){call->input_responses.data, call->input_responses.size});
    char *text = buf_detach(&inside, &size);
    task_set(&task->row.inside, text, size);
    task->row.started = true;
    struct task_run *run = text != NULL ? task_run_new(task) : NULL;
    if (run == NULL || !add_now(task)) {
        pthread_mutex_lock(&tasks->mutex);
        tasks->running += run != NULL; /* task_run_unref takes it back */
        pthread_mutex_unlock(&tasks->mutex);
        if (run != NULL)
            task_run_unref(run);
        abandon(task);
        return MCP_EFAIL;
    }
    run->exchange = request->reply; /* the call's reference of it */
    run->origin = request;
    run->reply.gone = request->reply->gone;
    run->reply.owner = request->reply->owner;
    run->references = 2; /* the call's and the task's */
    struct request answer = *request;
    struct store_task row = task->row;
    request->run = run;
    request->reply = &run->reply;
    pthread_mutex_lock(&tasks->mutex);
    tasks->running++;
    task->run = run;
    task->phase = PHASE_RUNS;
    task->repeatable = request->repeatable;
    pthread_mutex_unlock(&tasks->mutex);
    respond_created(&answer, &row);
    task_unref(task);
    return MCP_OK;
}
