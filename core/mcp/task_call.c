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

    if (failure != NULL) {
        respond_busy(&creation->request, STATUS_IN_PROTOCOL,
                     "Server busy: the task cannot be stored at the moment; the server's operator "
                     "finds the reason in the log");
    } else {
        /* Before the answer: the client may be faster with its next request than we. */
        pthread_mutex_lock(&tasks->mutex);
        task->phase = PHASE_TOLD;
        pthread_mutex_unlock(&tasks->mutex);
        respond_created(&creation->request, &row);
    }
    pthread_mutex_lock(&tasks->mutex);
    if (failure != NULL) {
        task_forget(task);
        tasks->count--;
        tasks_store_failed(tasks, failure);
    } else {
        tasks_store_works(tasks);
        if (task->phase == PHASE_TOLD)
            task_wait(task);
    }
    pthread_mutex_unlock(&tasks->mutex);
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

/* A call that is becoming a task. */
struct start {
    struct call *call; /* a reference, as are the next two */
    struct task *task;
    struct task_run *run;
    struct request *request; /* the call's */
    void (*became)(struct call *call);
    const struct error *failure;
};

static void free_start(struct start *start)
{
    task_unref(start->task);
    call_unref(start->call);
    free(start);
}

/* Nobody knows of it. */
static void give_up(struct start *start, bool stored)
{
    struct task *task = start->task;
    struct tasks *tasks = task->home;

    pthread_mutex_lock(&tasks->mutex);
    if (stored) {
        task_end(task, TASK_CANCELLED, NULL, "The call had ended before it became a task");
    } else {
        task_forget(task);
        tasks->count--;
    }
    tasks->running++; /* task_run_unref takes it back */
    pthread_mutex_unlock(&tasks->mutex);
    task_run_unref(start->run);
}

/* The client gets its handle as the answer; what the call ends with goes to the task. */
static void become(struct start *start)
{
    struct request *request = start->request;
    struct task_run *run = start->run;
    struct task *task = start->task;
    struct tasks *tasks = task->home;

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
    start->became(start->call);
}

static int32_t settle(void *context, bool waiting)
{
    struct start *start = context;

    if (start->failure == NULL && waiting) {
        become(start);
        return MCP_OK;
    }
    give_up(start, start->failure == NULL);
    return waiting ? MCP_EFAIL : MCP_ECANCELLED;
}

static void started(void *context, const struct error *failure)
{
    struct start *start = context;
    struct tasks *tasks = start->task->home;

    pthread_mutex_lock(&tasks->mutex);
    if (failure != NULL)
        tasks_store_failed(tasks, failure);
    else
        tasks_store_works(tasks);
    pthread_mutex_unlock(&tasks->mutex);
    start->failure = failure;
    call_task_settle(start->call, settle, start);
    free_start(start);
}

/* A task that has begun, with its run; NULL: refused. */
static struct start *start_new(struct request *request, struct call *call)
{
    const struct mcp_call *abi = call_abi(call);
    struct start *start = calloc(1, sizeof *start);
    struct error why = {.text = "out of memory"};
    struct buf inside;
    size_t size = 0;

    struct task *task = start != NULL ? task_new(request->mcp->tasks, request, &why) : NULL;
    if (task == NULL) {
        log_warning("a call cannot become a task: %s", why.text);
        free(start);
        return NULL;
    }
    task_write_inside(&inside, 0, (struct bytes){abi->state.data, abi->state.size},
                      (struct bytes){abi->input_responses.data, abi->input_responses.size});
    char *text = buf_detach(&inside, &size);
    task_set(&task->row.inside, text, size);
    task->row.started = true;
    *start = (struct start){.call = call_ref(call), .task = task, .request = request};
    start->run = text != NULL ? task_run_new(task) : NULL;
    if (start->run != NULL)
        return start;
    pthread_mutex_lock(&task->home->mutex);
    task_forget(task);
    task->home->count--;
    pthread_mutex_unlock(&task->home->mutex);
    free_start(start);
    return NULL;
}

int32_t tasks_start(struct request *request, struct call *call, void (*became)(struct call *call))
{
    struct tasks *tasks = request->mcp->tasks;

    if (request->run != NULL)
        return MCP_OK;
    struct start *start = start_new(request, call);
    if (start == NULL)
        return MCP_EFAIL;
    start->became = became;
    pthread_mutex_lock(&tasks->mutex);
    bool stored =
        tasks->store != NULL && store_add_task(tasks->store, &start->task->row, started, start);
    pthread_mutex_unlock(&tasks->mutex);
    if (stored)
        return CALL_TASK_BEGUN;
    log_error("a task cannot be stored: mcpd is shutting down, or out of memory");
    give_up(start, false);
    free_start(start);
    return MCP_EFAIL;
}
