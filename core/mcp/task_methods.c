/* SPDX-License-Identifier: MIT */
/* What clients see of tasks: tasks/get, tasks/update and tasks/cancel. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "mcp/invoke.h"
#include "mcp/task_private.h"

static const struct bytes no_data = {NULL, 0};

/* ---- a task as clients see it ---- */

static void write_time(struct buf *out, const char *name, int64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm utc;

    gmtime_r(&seconds, &utc);
    buf_addf(out, ",\"%s\":\"%04d-%02d-%02dT%02d:%02d:%02d.%03dZ\"", name, utc.tm_year + 1900,
             utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, (int)(ms % 1000));
}

void task_write(struct buf *out, const struct store_task *row, uint32_t poll_interval_ms,
                enum task_form form)
{
    static const char *const names[] = {[TASK_WORKING] = "working",
                                        [TASK_INPUT_REQUIRED] = "input_required",
                                        [TASK_COMPLETED] = "completed",
                                        [TASK_FAILED] = "failed",
                                        [TASK_CANCELLED] = "cancelled"};
    static const char *const payloads[] = {[TASK_INPUT_REQUIRED] = "inputRequests",
                                           [TASK_COMPLETED] = "result",
                                           [TASK_FAILED] = "error",
                                           [TASK_CANCELLED] = NULL};

    buf_addf(out, "\"taskId\":\"%.*s\",\"status\":\"%s\"", BYTES_FMT(row->id), names[row->status]);
    if (row->message.size > 0) {
        BUF_LIT(out, ",\"statusMessage\":");
        json_write_string(out, row->message);
    }
    write_time(out, "createdAt", row->created_ms);
    write_time(out, "lastUpdatedAt", row->updated_ms);
    if (form == TASK_OF_SESSION)
        buf_addf(out, ",\"ttl\":%lld,\"pollInterval\":%u", (long long)row->ttl_ms,
                 poll_interval_ms);
    else
        buf_addf(out, ",\"ttlMs\":%lld,\"pollIntervalMs\":%u", (long long)row->ttl_ms,
                 poll_interval_ms);
    if (form == TASK_DETAILED && payloads[row->status] != NULL && row->payload.size > 0) {
        buf_addf(out, ",\"%s\":", payloads[row->status]);
        buf_add_bytes(out, row->payload);
    } else if (form == TASK_DETAILED && row->status == TASK_FAILED) {
        /* There was no memory for its end. */
        BUF_LIT(out, ",\"error\":{\"code\":-32603,\"message\":\"Out of memory\"}");
    }
}

void task_write_error(struct buf *out, int code, const char *message)
{
    buf_init(out, 1u << 16);
    buf_addf(out, "{\"code\":%d,\"message\":", code);
    json_write_string(out, bytes_of(message));
    BUF_LIT(out, "}");
}

void task_respond(const struct request *request, const char *type, const struct store_task *row,
                  enum task_form form)
{
    struct buf out;

    respond_begin(request, &out);
    buf_addf(&out, "{\"resultType\":\"%s\",", type);
    task_write(&out, row, atomic_load(&request->mcp->tasks->poll_interval_ms), form);
    BUF_LIT(&out, ",");
    buf_add_bytes(&out, server_meta(request->mcp));
    BUF_LIT(&out, "}");
    respond_finish(request, &out);
}

/* ---- who may ---- */

bool tasks_declared(const struct request *request)
{
    const struct json *json = &request->json;
    const struct json_node *capabilities =
        json_get(json, request->meta, "io.modelcontextprotocol/clientCapabilities");

    return request->revision->modern &&
           json_get(json, json_get(json, capabilities, "extensions"), TASKS_EXTENSION) != NULL;
}

void tasks_refuse(const struct request *request, const char *what)
{
    respond_error(request, 400, RPC_MISSING_CAPABILITY,
                  BYTES("{\"requiredCapabilities\":{\"extensions\":{\"" TASKS_EXTENSION "\":{}}}}"),
                  "Missing required client capability: %s needs the extension " TASKS_EXTENSION,
                  what);
}

/* ---- tasks/get, tasks/update, tasks/cancel ---- */

static void respond_unknown(const struct request *request)
{
    respond_error(request, STATUS_IN_PROTOCOL, RPC_INVALID_PARAMS, no_data,
                  "Unknown task: there is none with this taskId, or it has expired");
}

static void respond_empty(const struct request *request)
{
    struct buf out;

    respond_begin(request, &out);
    BUF_LIT(&out, "{\"resultType\":\"complete\",");
    buf_add_bytes(&out, server_meta(request->mcp));
    BUF_LIT(&out, "}");
    respond_finish(request, &out);
}

bool task_is_callers(const struct request *request, const struct store_task *row)
{
    struct mcp_caller caller;

    invoke_caller(request, &caller);
    return bytes_equal(row->subject, (struct bytes){caller.subject.data, caller.subject.size}) &&
           bytes_equal(row->issuer, (struct bytes){caller.issuer.data, caller.issuer.size});
}

/* Whether it is due to be forgotten. */
static bool is_over(const struct store_task *row)
{
    return task_status_is_final(row->status) && row->created_ms + row->ttl_ms <= clock_wall_ms();
}

/* A request that waits for the store. */
struct look_up {
    struct request *request; /* kept with its exchange */
    const struct task_method *method;
};

static void found(void *context, const struct store_task *row, const struct error *failure)
{
    struct look_up *look_up = context;
    struct request *request = look_up->request;
    struct reply *reply = request->reply;

    if (failure != NULL) {
        log_error("tasks cannot be read: %s", failure->text);
        respond_error(request, STATUS_IN_PROTOCOL, RPC_INTERNAL_ERROR, no_data,
                      "The task cannot be read: %s", failure->text);
    } else if (row == NULL || is_over(row) || !task_is_callers(request, row)) {
        respond_unknown(request);
    } else {
        look_up->method->final(request, row);
    }
    free(look_up);
    reply->ops->release(reply);
}

static void look_up(struct request *request, struct bytes id, const struct task_method *method)
{
    struct tasks *tasks = request->mcp->tasks;
    struct look_up *look_up = malloc(sizeof *look_up);
    bool waits = false;

    if (look_up != NULL) {
        *look_up = (struct look_up){request, method};
        request->message->keep = true;
        request->reply->ops->hold(request->reply);
        pthread_mutex_lock(&tasks->mutex);
        waits = tasks->store != NULL && store_find_task(tasks->store, id, found, look_up);
        pthread_mutex_unlock(&tasks->mutex);
    }
    if (waits)
        return;
    respond_busy(request, STATUS_IN_PROTOCOL, "Server busy: the task cannot be read now");
    if (look_up != NULL)
        request->reply->ops->release(request->reply);
    free(look_up);
}

void task_dispatch(struct request *request, const struct task_method *method)
{
    const struct json *json = &request->json;
    struct tasks *tasks = request->mcp->tasks;

    struct bytes id =
        json_string(json, json_get(json, request->params, "taskId"), request->message->arena);
    if (id.data == NULL) {
        respond_error(request, STATUS_IN_PROTOCOL, RPC_INVALID_PARAMS, no_data,
                      "Invalid params: taskId must be a string");
        return;
    }
    if (id.size != TASK_ID_SIZE) { /* none of ours */
        respond_unknown(request);
        return;
    }
    pthread_mutex_lock(&tasks->mutex);
    struct task *task = tasks_find(tasks, id);
    if (task != NULL && (task->phase == PHASE_NEW || is_over(&task->row) ||
                         !task_is_callers(request, &task->row))) {
        pthread_mutex_unlock(&tasks->mutex);
        respond_unknown(request);
    } else if (task != NULL) {
        method->live(request, task);
    } else {
        pthread_mutex_unlock(&tasks->mutex);
        look_up(request, id, method);
    }
}

static void with_task(struct request *request, const struct task_method *method)
{
    if (request->mcp->tasks == NULL || !tasks_declared(request))
        tasks_refuse(request, "this method");
    else
        task_dispatch(request, method);
}

static void get_final(struct request *request, const struct store_task *row)
{
    task_respond(request, "complete", row, TASK_DETAILED);
}

static void get_live(struct request *request, struct task *task)
{
    struct tasks *tasks = task->home;
    struct buf out;

    respond_begin(request, &out);
    BUF_LIT(&out, "{\"resultType\":\"complete\",");
    task_write(&out, &task->row, atomic_load(&tasks->poll_interval_ms), TASK_DETAILED);
    pthread_mutex_unlock(&tasks->mutex);
    BUF_LIT(&out, ",");
    buf_add_bytes(&out, server_meta(request->mcp));
    BUF_LIT(&out, "}");
    respond_finish(request, &out);
}

void tasks_get(struct request *request)
{
    static const struct task_method get = {get_live, get_final};

    with_task(request, &get);
}

static void acknowledge_final(struct request *request, const struct store_task *row)
{
    (void)row;
    respond_empty(request);
}

void task_answer_stored(struct request *request, struct task *task,
                        const struct task_method *method)
{
    char id[TASK_ID_SIZE];

    memcpy(id, task->id, sizeof id);
    pthread_mutex_unlock(&task->home->mutex);
    look_up(request, (struct bytes){id, sizeof id}, method);
}

static void acknowledge(struct request *request, struct task *task)
{
    static const struct task_method acknowledged = {NULL, acknowledge_final};

    task_answer_stored(request, task, &acknowledged);
}

static void cancel_live(struct request *request, struct task *task)
{
    struct task_run *run = NULL;

    if (task->phase != PHASE_OVER)
        run = task_end(task, TASK_CANCELLED, NULL, "Cancelled by the client");
    acknowledge(request, task);
    task_run_cancel(run);
}

void tasks_cancel(struct request *request)
{
    static const struct task_method cancel = {cancel_live, acknowledge_final};

    with_task(request, &cancel);
}

static void update_live(struct request *request, struct task *task)
{
    const struct json *json = &request->json;
    const struct json_node *answers = json_get(json, request->params, "inputResponses");
    bool changed = false, complete = false;
    struct error why;

    if (task->phase == PHASE_ASKS &&
        !task_take_answers(task, json, answers, &changed, &complete, &why)) {
        pthread_mutex_unlock(&task->home->mutex);
        respond_error(request, STATUS_IN_PROTOCOL, RPC_INVALID_PARAMS, no_data,
                      "Invalid params: %s", why.text);
        return;
    }
    if (changed)
        task->row.updated_ms = clock_wall_ms();
    if (complete) {
        task->row.status = TASK_WORKING;
        task->row.started = false; /* the next call has not begun */
        task_set(&task->row.payload, NULL, 0);
    }
    if (changed) {
        task_save(task);
        task_changed(task);
    }
    if (complete)
        task_wait(task);
    acknowledge(request, task);
}

void tasks_update(struct request *request)
{
    static const struct task_method update = {update_live, acknowledge_final};
    const struct json_node *answers = json_get(&request->json, request->params, "inputResponses");

    if (tasks_declared(request) && (answers == NULL || answers->type != JSON_OBJECT))
        respond_error(request, STATUS_IN_PROTOCOL, RPC_INVALID_PARAMS, no_data,
                      "Invalid params: inputResponses must be an object");
    else
        with_task(request, &update);
}
