/* SPDX-License-Identifier: MIT */
/* The life of tasks: made, saved, waiting for a place, over, taken up again. */
#include "mcp/tasks.h"

#include <errno.h>
#include <stdlib.h>

#include "base/crypto.h"
#include "base/log.h"
#include "mcp/invoke.h"
#include "mcp/sessions.h"
#include "mcp/task_private.h"

#define POSTPONE_NS NS_PER_S
/* A task that has ended stays in memory for a while, for those who look at once, or
 * begin to listen; not one with a large result. */
#define LINGER_MS 10000
#define LINGER_BYTES 4096
#define EXPIRE_BATCH 64 /* tasks whose time is over, ended at a time */

/* ---- one task ---- */

static char *copy_bytes(char *to, struct bytes *bytes)
{
    if (bytes->size > 0)
        memcpy(to, bytes->data, bytes->size);
    bytes->data = to;
    return to + bytes->size;
}

/* A copy of the row, with what never changes behind the struct; the rest is left
 * empty. One reference. */
static struct task *make_task(struct tasks *tasks, const struct store_task *row)
{
    size_t size = row->subject.size + row->issuer.size + row->revision.size +
                  row->capabilities.size + row->request.size;
    struct task *task = malloc(sizeof *task + size);

    if (task == NULL)
        return NULL;
    *task = (struct task){.home = tasks, .row = *row};
    atomic_init(&task->references, 1);
    char *at = (char *)(task + 1);
    at = copy_bytes(at, &task->row.subject);
    at = copy_bytes(at, &task->row.issuer);
    at = copy_bytes(at, &task->row.revision);
    at = copy_bytes(at, &task->row.capabilities);
    copy_bytes(at, &task->row.request);
    size_t id_size = row->id.size < TASK_ID_SIZE ? row->id.size : TASK_ID_SIZE;
    if (id_size > 0)
        memcpy(task->id, row->id.data, id_size);
    task->row.id = (struct bytes){task->id, id_size};
    task->row.payload = task->row.inside = task->row.message = (struct bytes){NULL, 0};
    return task;
}

struct task *task_ref(struct task *task)
{
    atomic_fetch_add(&task->references, 1);
    return task;
}

static void free_task(struct task *task)
{
    free((char *)task->row.payload.data);
    free((char *)task->row.inside.data);
    free((char *)task->row.message.data);
    free(task);
}

/* task_unref with the mutex held. */
static void drop(struct task *task)
{
    if (atomic_fetch_sub(&task->references, 1) != 1)
        return;
    task->home->outstanding--;
    free_task(task);
}

void task_unref(struct task *task)
{
    if (atomic_fetch_sub(&task->references, 1) != 1)
        return;
    pthread_mutex_lock(&task->home->mutex);
    task->home->outstanding--;
    pthread_mutex_unlock(&task->home->mutex);
    free_task(task);
}

void task_set(struct bytes *text, char *data, size_t size)
{
    free((char *)text->data);
    *text = (struct bytes){data, data != NULL ? size : 0};
}

/* ---- the table ---- */

static struct task **bucket_of(struct tasks *tasks, struct bytes id)
{
    return &tasks->buckets[bytes_hash(id) % TASK_BUCKETS];
}

struct task *tasks_find(struct tasks *tasks, struct bytes id)
{
    for (struct task *task = *bucket_of(tasks, id); task != NULL; task = task->next)
        if (bytes_equal(task->row.id, id))
            return task;
    return NULL;
}

/* With a reference of the table's. Mutex held. */
static void link_task(struct task *task)
{
    struct task **bucket = bucket_of(task->home, task->row.id);

    task->next = *bucket;
    *bucket = task;
    task->linked = true;
    task_ref(task);
    task->home->outstanding++;
}

void task_forget(struct task *task)
{
    if (!task->linked)
        return;
    struct task **place = bucket_of(task->home, task->row.id);
    while (*place != task)
        place = &(*place)->next;
    *place = task->next;
    task->linked = false;
    /* Whoever calls this has a reference of his own. */
    atomic_fetch_sub(&task->references, 1);
}

/* params.task.ttl of 2025-11-25: for how long the client wants it. */
static void shorten(int64_t *ttl_ms, const struct request *request)
{
    const struct json *json = &request->json;
    const struct json_node *ttl = json_get(json, json_get(json, request->params, "task"), "ttl");
    int64_t wanted;

    if (ttl != NULL && json_int64(json, ttl, &wanted) && wanted > 0 && wanted < *ttl_ms)
        *ttl_ms = wanted;
}

struct task *task_new(struct tasks *tasks, const struct request *request, struct error *why)
{
    unsigned char random[32];
    char id[TASK_ID_SIZE + 1];
    struct mcp_caller caller;
    int64_t now = clock_wall_ms();

    crypto_random(random, sizeof random);
    base64url_encode(random, sizeof random, id);
    invoke_caller(request, &caller);
    struct store_task row = {
        .id = {id, TASK_ID_SIZE},
        .status = TASK_WORKING,
        .created_ms = now,
        .updated_ms = now,
        .ttl_ms = atomic_load(&tasks->ttl_ms),
        .subject = {caller.subject.data, caller.subject.size},
        .issuer = {caller.issuer.data, caller.issuer.size},
        .revision = bytes_of(request->revision->version),
        .request = json_raw(&request->json, request->root),
    };
    if (request->session != NULL)
        row.capabilities = client_capabilities(request);
    if (request->revision->tasks)
        shorten(&row.ttl_ms, request);
    struct task *task = make_task(tasks, &row);
    if (task == NULL) {
        error_no_memory(why);
        return NULL;
    }
    task->revision = request->revision;
    pthread_mutex_lock(&tasks->mutex);
    bool full = tasks->count >= atomic_load(&tasks->max);
    bool closed = tasks->store == NULL || tasks->stopping;
    if (!full && !closed) {
        tasks->count++;
        link_task(task);
    }
    pthread_mutex_unlock(&tasks->mutex);
    if (!full && !closed)
        return task;
    free(task);
    if (closed)
        error_set(why, "the server is shutting down");
    else
        error_set(why, "there are %u tasks already; try again when some of them have expired",
                  atomic_load(&tasks->max));
    return NULL;
}

/* ---- saving ---- */

/* Once, and not for each task: clients could fill the log of a disk that is full. */
void tasks_store_failed(struct tasks *tasks, const struct error *failure)
{
    if (!tasks->complained)
        log_error("tasks cannot be stored, so that new ones are refused and those there are kept "
                  "in memory: %s",
                  failure->text);
    tasks->complained = true;
}

void tasks_store_works(struct tasks *tasks)
{
    if (tasks->complained)
        log_notice("tasks are stored again");
    tasks->complained = false;
}

static void saved(void *context, const struct error *failure)
{
    struct task *task = context;
    struct tasks *tasks = task->home;

    pthread_mutex_lock(&tasks->mutex);
    task->saving--;
    task->unsaved = failure != NULL;
    if (failure != NULL) {
        tasks_store_failed(tasks, failure);
    } else {
        tasks_store_works(tasks);
        task->stored = task->phase == PHASE_OVER && task->saving == 0;
        if (task->stored && task->row.payload.size > LINGER_BYTES)
            task_forget(task);
    }
    pthread_mutex_unlock(&tasks->mutex);
    task_tell_waiters(task);
    task_unref(task);
}

static const struct error no_memory = {.text = "out of memory"};

void task_save(struct task *task)
{
    struct tasks *tasks = task->home;

    task->stored = false;
    if (tasks->store == NULL)
        return;
    task->saving++;
    if (store_change_task(tasks->store, &task->row, saved, task_ref(task)))
        return;
    task->saving--;
    task->unsaved = true; /* tasks_tick tries again */
    tasks_store_failed(tasks, &no_memory);
    atomic_fetch_sub(&task->references, 1); /* the caller has another */
}

/* ---- places ---- */

/* With the lock held: it waits again. */
static void cannot_begin(struct task *task, const struct error *failure)
{
    struct tasks *tasks = task->home;

    tasks_store_failed(tasks, failure);
    tasks->running--;
    if (task->phase == PHASE_RUNS)
        task_postpone(task);
}

/* The store knows that the provider is about to be entered. */
static void begin(void *context, const struct error *failure)
{
    struct task *task = context;
    struct tasks *tasks = task->home;

    if (failure == NULL) {
        task_run_start(task);
        return;
    }
    pthread_mutex_lock(&tasks->mutex);
    cannot_begin(task, failure);
    pthread_mutex_unlock(&tasks->mutex);
    task_unref(task);
}

static unsigned places(const struct tasks *tasks)
{
    return atomic_load(&tasks->max_running);
}

void tasks_pump(struct tasks *tasks)
{
    while (tasks->first_waiting != NULL && tasks->running < places(tasks) && !tasks->stopping &&
           tasks->resumed && tasks->store != NULL && clock_now() >= tasks->not_before_ns) {
        struct task *task = tasks->first_waiting;
        tasks->first_waiting = task->next_waiting;
        if (tasks->first_waiting == NULL)
            tasks->last_waiting = &tasks->first_waiting;
        task->next_waiting = NULL;
        task->phase = PHASE_RUNS;
        task->row.started = true;
        tasks->running++;
        task->stored = false;
        if (store_change_task(tasks->store, &task->row, begin, task)) /* the line's reference */
            continue;
        cannot_begin(task, &no_memory);
        atomic_fetch_sub(&task->references, 1); /* in line it has another one now */
    }
}

void task_wait(struct task *task)
{
    struct tasks *tasks = task->home;

    task->phase = PHASE_WAITS;
    task->next_waiting = NULL;
    *tasks->last_waiting = task_ref(task);
    tasks->last_waiting = &task->next_waiting;
    tasks_pump(tasks);
}

void task_postpone(struct task *task)
{
    task->row.started = task->interrupted != NULL;
    task->home->not_before_ns = clock_now() + POSTPONE_NS;
    task_wait(task);
}

static void stop_waiting(struct task *task)
{
    struct tasks *tasks = task->home;
    struct task **place = &tasks->first_waiting;

    while (*place != task)
        place = &(*place)->next_waiting;
    *place = task->next_waiting;
    if (*place == NULL)
        tasks->last_waiting = place;
    atomic_fetch_sub(&task->references, 1); /* the caller has another */
}

/* ---- the end of one ---- */

struct task_run *task_end(struct task *task, enum task_status status, struct buf *payload,
                          const char *message)
{
    struct task_run *run = task->run;
    int64_t now = clock_wall_ms();
    size_t size = 0;

    if (payload != NULL && payload->failed) { /* an end without its result would be a lie */
        status = TASK_FAILED;
        message = "Out of memory";
    }
    if (task->phase == PHASE_WAITS)
        stop_waiting(task);
    task->phase = PHASE_OVER;
    task->run = NULL;
    task->row.status = status;
    task->row.updated_ms = now;
    if (now > task->row.created_ms) /* it can be read for as long as it could take */
        task->row.ttl_ms += now - task->row.created_ms;
    char *data = payload != NULL ? buf_detach(payload, &size) : NULL;
    task_set(&task->row.payload, data, size);
    task_set(&task->row.inside, NULL, 0);
    data = message != NULL ? strdup(message) : NULL;
    task_set(&task->row.message, data, data != NULL ? strlen(data) : 0);
    task_save(task);
    task_changed(task);
    return run;
}

/* Ends tasks whose time is over, a batch at a time. True: there may be more. */
static bool fail_late(struct tasks *tasks, int64_t now_ms)
{
    static const char text[] = "The task took too long and was given up (tasks.ttl_ms)";
    struct task_run *runs[EXPIRE_BATCH];
    size_t count = 0;

    pthread_mutex_lock(&tasks->mutex);
    for (size_t i = 0; i < TASK_BUCKETS && count < EXPIRE_BATCH; i++)
        for (struct task *task = tasks->buckets[i]; task != NULL && count < EXPIRE_BATCH;
             task = task->next) {
            struct buf error;
            if (task->phase == PHASE_OVER || task->phase == PHASE_NEW ||
                task->row.created_ms + task->row.ttl_ms > now_ms)
                continue;
            task_write_error(&error, RPC_INTERNAL_ERROR, text);
            runs[count++] = task_end(task, TASK_FAILED, &error, text);
            buf_free(&error);
        }
    pthread_mutex_unlock(&tasks->mutex);
    for (size_t i = 0; i < count; i++)
        task_run_cancel(runs[i]);
    return count == EXPIRE_BATCH;
}

static void expired(void *context, size_t removed, const struct error *failure)
{
    struct tasks *tasks = context;

    pthread_mutex_lock(&tasks->mutex);
    if (failure != NULL)
        tasks_store_failed(tasks, failure);
    tasks->count -= removed < tasks->count ? removed : tasks->count;
    pthread_mutex_unlock(&tasks->mutex);
}

/* Saves again what could not be saved, and lets go of what has long been over. Mutex
 * held. */
static void tidy(struct task *task, int64_t now_ms)
{
    for (struct task *next; task != NULL; task = next) {
        next = task->next;
        if (task->unsaved) {
            task->unsaved = false;
            task_save(task);
        } else if (task->stored && task->row.updated_ms + LINGER_MS < now_ms) {
            task_ref(task);
            task_forget(task);
            drop(task);
        }
    }
}

void tasks_tick(struct tasks *tasks)
{
    int64_t now = clock_wall_ms();

    while (fail_late(tasks, now))
        continue;
    pthread_mutex_lock(&tasks->mutex);
    if (tasks->store != NULL) {
        for (size_t i = 0; i < TASK_BUCKETS; i++)
            tidy(tasks->buckets[i], now);
        store_expire_tasks(tasks->store, now, expired, tasks);
        tasks_pump(tasks);
    }
    pthread_mutex_unlock(&tasks->mutex);
}

/* ---- start and end of mcpd ---- */

static bool set_copy(struct bytes *text, struct bytes from)
{
    if (from.size == 0)
        return true;
    char *data = malloc(from.size);
    if (data == NULL)
        return false;
    memcpy(data, from.data, from.size);
    task_set(text, data, from.size);
    return true;
}

/* One that an earlier life of mcpd did not finish. */
static bool take_up(void *context, const struct store_task *row)
{
    struct tasks *tasks = context;
    struct task *task = make_task(tasks, row);

    if (task == NULL)
        return false;
    task->revision = revision_find(row->revision);
    if (task->revision == NULL)
        task->revision = REVISION_MODERN;
    pthread_mutex_lock(&tasks->mutex);
    link_task(task);
    bool copied =
        set_copy(&task->row.payload, row->payload) && set_copy(&task->row.inside, row->inside);
    task->round = task_round(row->inside);
    if (row->status == TASK_INPUT_REQUIRED) {
        task->phase = PHASE_ASKS;
    } else {
        if (row->started)
            task->interrupted = "mcpd was restarted";
        task_wait(task);
    }
    pthread_mutex_unlock(&tasks->mutex);
    task_unref(task);
    return copied;
}

void tasks_configure(struct tasks *tasks, const struct config *config)
{
    uint32_t running = config->tasks.max_running;

    if (running == 0)
        running = config->calls.workers > 1 ? config->calls.workers / 2 : 1;
    atomic_store(&tasks->max, config->tasks.max);
    atomic_store(&tasks->max_running, running);
    atomic_store(&tasks->ttl_ms, config->tasks.ttl_ms);
    atomic_store(&tasks->poll_interval_ms, config->tasks.poll_interval_ms);
}

struct tasks *tasks_new(struct mcp *mcp, struct store *store, struct error *err)
{
    struct tasks *tasks = calloc(1, sizeof *tasks);
    pthread_condattr_t monotonic;

    if (tasks == NULL) {
        error_no_memory(err);
        return NULL;
    }
    tasks->mcp = mcp;
    tasks->last_waiting = &tasks->first_waiting;
    pthread_mutex_init(&tasks->mutex, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&tasks->idle, &monotonic);
    pthread_condattr_destroy(&monotonic);
    size_t count = 0;
    bool loaded = store_load_tasks(store, take_up, tasks, &count, err);
    if (!loaded) {
        tasks_free(tasks);
        return NULL;
    }
    tasks->store = store;
    tasks->count = count;
    return tasks;
}

void tasks_resume(struct tasks *tasks)
{
    pthread_mutex_lock(&tasks->mutex);
    tasks->resumed = true;
    tasks_pump(tasks);
    pthread_mutex_unlock(&tasks->mutex);
}

/* Whether one is under way that cannot begin again. Mutex held. */
static bool any_unrepeatable(const struct tasks *tasks)
{
    for (size_t i = 0; i < TASK_BUCKETS; i++)
        for (const struct task *task = tasks->buckets[i]; task != NULL; task = task->next)
            if (task->phase == PHASE_RUNS && task->run != NULL && !task->repeatable)
                return true;
    return false;
}

/* Has the runs of a bucket end: the store knows them as running, and the next life
 * decides. */
static void interrupt(struct tasks *tasks, size_t bucket)
{
    struct task_run *runs[EXPIRE_BATCH];
    size_t count = 0;

    pthread_mutex_lock(&tasks->mutex);
    for (struct task *task = tasks->buckets[bucket]; task != NULL && count < EXPIRE_BATCH;
         task = task->next)
        if (task->run != NULL && !task->run->receiving)
            runs[count++] = task_run_ref(task->run);
    pthread_mutex_unlock(&tasks->mutex);
    for (size_t i = 0; i < count; i++) {
        if (runs[i]->reply.gone != NULL)
            runs[i]->reply.gone(&runs[i]->reply);
        task_run_unref(runs[i]);
    }
}

void tasks_stop(struct tasks *tasks, int64_t deadline_ns)
{
    const struct timespec until = {.tv_sec = deadline_ns / NS_PER_S,
                                   .tv_nsec = deadline_ns % NS_PER_S};
    int waited = 0;

    pthread_mutex_lock(&tasks->mutex);
    tasks->stopping = true;
    while (waited != ETIMEDOUT && any_unrepeatable(tasks))
        waited = pthread_cond_timedwait(&tasks->idle, &tasks->mutex, &until);
    pthread_mutex_unlock(&tasks->mutex);
    for (size_t i = 0; i < TASK_BUCKETS; i++)
        interrupt(tasks, i);
}

void tasks_close(struct tasks *tasks)
{
    pthread_mutex_lock(&tasks->mutex);
    tasks->stopping = true;
    tasks->store = NULL;
    pthread_mutex_unlock(&tasks->mutex);
}

void tasks_free(struct tasks *tasks)
{
    if (tasks == NULL)
        return;
    for (size_t i = 0; i < TASK_BUCKETS; i++)
        while (tasks->buckets[i] != NULL) {
            pthread_mutex_lock(&tasks->mutex);
            struct task *task = task_ref(tasks->buckets[i]);
            struct task_run *run = task->run;
            task->run = NULL;
            if (task->phase == PHASE_WAITS)
                stop_waiting(task);
            task->phase = PHASE_OVER;
            task_forget(task);
            pthread_mutex_unlock(&tasks->mutex);
            if (run != NULL)
                task_run_unref(run);
            task_unref(task);
        }
    pthread_mutex_lock(&tasks->mutex);
    bool alone = tasks->outstanding == 0;
    pthread_mutex_unlock(&tasks->mutex);
    if (!alone)
        return; /* a plugin that does not end still has one, and will come back to it */
    pthread_cond_destroy(&tasks->idle);
    pthread_mutex_destroy(&tasks->mutex);
    free(tasks);
}
