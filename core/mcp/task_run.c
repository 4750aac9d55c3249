/* SPDX-License-Identifier: MIT */
/* Carrying a task out: its request issued inside mcpd, and the reply that keeps
 * the answer instead of sending it. */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "mcp/invoke.h"
#include "mcp/task_private.h"

#define MEMORY_MAX ((size_t)1 << 30)
#define PROGRESS_NS (NS_PER_S / 2) /* a message is replaced no more often */

static const struct reply_ops run_ops;

static struct task_run *run_of(struct reply *reply)
{
    return (struct task_run *)(void *)reply;
}

struct task_run *task_run_new(struct task *task)
{
    struct task_run *run = calloc(1, sizeof *run);

    if (run == NULL)
        return NULL;
    run->reply.ops = &run_ops;
    atomic_init(&run->references, 1);
    run->task = task_ref(task);
    run->origin = &run->request;
    arena_init_counted(&run->arena, MEMORY_MAX);
    return run;
}

struct task_run *task_run_ref(struct task_run *run)
{
    atomic_fetch_add(&run->references, 1);
    return run;
}

void task_run_unref(struct task_run *run)
{
    if (atomic_fetch_sub(&run->references, 1) != 1)
        return;
    struct task *task = run->task;
    struct tasks *tasks = task->home;
    struct reply *exchange = run->exchange;

    arena_free(&run->arena);
    free(run);
    if (exchange != NULL)
        exchange->ops->release(exchange);
    pthread_mutex_lock(&tasks->mutex);
    tasks->running--;
    pthread_cond_broadcast(&tasks->idle);
    tasks_pump(tasks);
    pthread_mutex_unlock(&tasks->mutex);
    task_unref(task);
}

void task_run_cancel(struct task_run *run)
{
    if (run == NULL)
        return;
    pthread_mutex_lock(&run->task->home->mutex);
    bool now = !run->receiving && !run->cancelled;
    run->cancelled = true;
    pthread_mutex_unlock(&run->task->home->mutex);
    if (now && run->reply.gone != NULL)
        run->reply.gone(&run->reply);
    task_run_unref(run);
}

/* ---- the request ---- */

/* The task has failed for a reason of mcpd's own. */
static void fail(struct task *task, int code, const char *text)
{
    struct task_run *run = NULL;
    struct buf error;

    task_write_error(&error, code, text);
    pthread_mutex_lock(&task->home->mutex);
    if (task->phase == PHASE_RUNS)
        run = task_end(task, TASK_FAILED, &error, text);
    pthread_mutex_unlock(&task->home->mutex);
    buf_free(&error);
    if (run != NULL)
        task_run_unref(run);
}

/* The request as it came, read again. */
static bool read_request(struct task_run *run)
{
    struct task *task = run->task;
    struct request *request = &run->request;
    bool is_response;

    run->message = (struct message){
        .body = task->row.request, .arena = &run->arena, .takes_json = true, .keep = true};
    *request = (struct request){.mcp = task->home->mcp,
                                .message = &run->message,
                                .reply = &run->reply,
                                .revision = task->revision,
                                .run = run};
    return json_parse(&request->json, run->message.body, &json_default_limits, &run->arena, NULL) &&
           request_read(request, request->json.root, &is_response);
}

static void issue(struct task_run *run)
{
    struct registry_reader reader = {NULL};
    struct task *task = run->task;

    if (!read_request(run)) {
        fail(task, RPC_INTERNAL_ERROR, "The request of the task cannot be read any more");
    } else {
        run->message.reader = &reader;
        tools_call(&run->request);
        run->message.reader = NULL;
    }
    registry_reader_close(&reader);
    pthread_mutex_lock(&task->home->mutex);
    run->receiving = false;
    bool cancelled = run->cancelled;
    pthread_mutex_unlock(&task->home->mutex);
    if (cancelled && run->reply.gone != NULL)
        run->reply.gone(&run->reply);
}

void task_run_start(struct task *task)
{
    struct tasks *tasks = task->home;
    struct task_run *run = task_run_new(task);

    if (run == NULL)
        fail(task, RPC_INTERNAL_ERROR, "Out of memory");
    pthread_mutex_lock(&tasks->mutex);
    bool wanted = run != NULL && task->phase == PHASE_RUNS && !tasks->stopping;
    if (wanted) {
        run->receiving = true;
        task->run = task_run_ref(run);
        task_read_inside(run, task->row.inside);
    } else if (run == NULL) {
        tasks->running--;
    }
    pthread_mutex_unlock(&tasks->mutex);
    if (wanted)
        issue(run);
    if (run != NULL)
        task_run_unref(run);
    task_unref(task);
}

struct bytes task_run_state(const struct task_run *run)
{
    return run->state;
}

struct bytes task_run_answers(const struct task_run *run)
{
    return run->answers;
}

struct bytes task_run_capabilities(const struct task_run *run)
{
    return run->task->row.capabilities;
}

void task_run_caller(const struct task_run *run, struct mcp_caller *caller)
{
    const struct store_task *row = &run->task->row;

    caller->authenticated = row->subject.size > 0;
    caller->subject = (struct mcp_bytes){row->subject.data, row->subject.size};
    caller->issuer = (struct mcp_bytes){row->issuer.data, row->issuer.size};
}

/* ---- its end ---- */

/* Whether the task still waits for this run. Mutex held. */
static bool is_current(const struct task_run *run)
{
    return run->task->run == run && run->task->phase == PHASE_RUNS;
}

/* Lets go of the run, which has ended otherwise than with an answer: the task goes
 * back into the line. Mutex held; the reference is the caller's. */
static void back_in_line(struct task_run *run)
{
    run->task->run = NULL;
    task_wait(run->task);
}

void task_run_postpone(struct task_run *run)
{
    struct task *task = run->task;

    pthread_mutex_lock(&task->home->mutex);
    bool current = is_current(run);
    if (current) {
        task->run = NULL;
        task_postpone(task);
        task_save(task);
    }
    pthread_mutex_unlock(&task->home->mutex);
    if (current)
        task_run_unref(run);
}

/* Cancelled, but not by the client: mcpd stops, or its provider is replaced. What
 * the plugin made of that is no result. Mutex held. */
static void interrupted(struct task_run *run)
{
    struct task *task = run->task;

    if (task->home->stopping) {
        task->run = NULL; /* the store knows it as running: the next life decides */
        return;
    }
    task->interrupted = "its provider was replaced";
    back_in_line(run);
}

static struct task_run *asks(struct task *task, const struct call_result *result)
{
    struct buf why;

    buf_init(&why, 1u << 16);
    struct task_run *run = task->run;
    if (task_ask(task, result, &why)) {
        task->run = NULL;
        task->phase = PHASE_ASKS;
        task->row.status = TASK_INPUT_REQUIRED;
        task->row.updated_ms = clock_wall_ms();
        task_set(&task->row.message, NULL, 0);
        task_save(task);
        task_changed(task);
    } else {
        run = task_end(task, TASK_FAILED, &why,
                       "The tool asks for what the client has not declared to be able to do");
    }
    buf_free(&why);
    return run;
}

bool task_run_ended(struct task_run *run, struct call *call, const struct call_result *result)
{
    struct task *task = run->task;
    struct task_run *done = run;

    if (result->end == CALL_BUSY) {
        task_run_postpone(run);
        return true;
    }
    pthread_mutex_lock(&task->home->mutex);
    bool current = is_current(run);
    if (current && call_is_cancelled(call) && !run->cancelled)
        interrupted(run);
    else if (current && result->end == CALL_NEED_INPUT)
        done = asks(task, result);
    else
        current = false;
    pthread_mutex_unlock(&task->home->mutex);
    if (current && done != NULL)
        task_run_unref(done);
    return current;
}

void task_run_progress(struct task_run *run, double done, double total, struct bytes message)
{
    struct task *task = run->task;
    int64_t now = clock_now();
    char text[256];

    if (message.size == 0) {
        int size = total > 0 ? snprintf(text, sizeof text, "%g of %g", done, total)
                             : snprintf(text, sizeof text, "%g", done);
        message = (struct bytes){text, (size_t)size};
    }
    pthread_mutex_lock(&task->home->mutex);
    if (is_current(run) && now - task->message_ns >= PROGRESS_NS) {
        char *copy = malloc(message.size);
        if (copy != NULL) {
            memcpy(copy, message.data, message.size);
            task_set(&task->row.message, copy, message.size);
            task->row.updated_ms = clock_wall_ms();
            task->message_ns = now;
            task_changed(task);
        }
    }
    pthread_mutex_unlock(&task->home->mutex);
}

/* ---- the reply ---- */

/* A copy of a value's text. */
static void copy_raw(struct buf *out, const struct json *json, const struct json_node *value)
{
    struct bytes raw = json_raw(json, value);

    buf_init(out, raw.size);
    buf_add_bytes(out, raw);
}

static void answered(struct task_run *run, struct bytes text)
{
    struct task *task = run->task;
    struct arena arena;
    struct json json;
    struct buf payload;
    const char *message = NULL;
    enum task_status status = TASK_FAILED;

    arena_init(&arena, MEMORY_MAX);
    const struct json_node *result = NULL, *error = NULL;
    if (json_parse(&json, text, &json_default_limits, &arena, NULL)) {
        result = json_get(&json, json.root, "result");
        error = json_get(&json, json.root, "error");
    }
    if (result != NULL) {
        status = TASK_COMPLETED;
        copy_raw(&payload, &json, result);
    } else if (error != NULL) {
        copy_raw(&payload, &json, error);
        message = json_cstring(&json, json_get(&json, error, "message"), &arena);
    } else {
        message = "Out of memory";
        task_write_error(&payload, RPC_INTERNAL_ERROR, message);
    }
    struct task_run *done = NULL;
    pthread_mutex_lock(&task->home->mutex);
    if (is_current(run))
        done = task_end(task, status, &payload, message);
    pthread_mutex_unlock(&task->home->mutex);
    buf_free(&payload);
    arena_free(&arena);
    if (done != NULL)
        task_run_unref(done);
}

static void run_send(struct reply *reply, const struct answer *answer)
{
    struct buf text;

    buf_init(&text, MEMORY_MAX);
    buf_add(&text, answer->head, answer->head_size);
    buf_add_bytes(&text, answer->shared);
    buf_add_bytes(&text, answer->tail);
    free(answer->head);
    if (answer->release != NULL)
        answer->release(answer->argument);
    answered(run_of(reply), text.failed ? (struct bytes){NULL, 0} : buf_bytes(&text));
    buf_free(&text);
}

/* Nobody listens to a task: its progress is its message, and it has no log
 * (extensions/tasks, "Task Status Notifications"). */
static bool run_open(struct reply *reply)
{
    (void)reply;
    return false;
}

static bool run_push(struct reply *reply, struct bytes message)
{
    (void)reply, (void)message;
    return false;
}

static void run_end(struct reply *reply)
{
    (void)reply;
}

static void run_hold(struct reply *reply)
{
    task_run_ref(run_of(reply));
}

static void run_release(struct reply *reply)
{
    task_run_unref(run_of(reply));
}

static const struct reply_ops run_ops = {.send = run_send,
                                         .open = run_open,
                                         .push = run_push,
                                         .end = run_end,
                                         .hold = run_hold,
                                         .release = run_release};
