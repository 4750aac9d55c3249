/* SPDX-License-Identifier: MIT */
/* The line of work and the thread that does it. */
#include "store/store.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include <string.h>
#include <stdio.h>
#include <errno.h>

#include "base/log.h"
#include "base/thread.h"
#include "store/backend.h"

enum job_kind { JOB_ADD, JOB_CHANGE, JOB_FIND, JOB_EXPIRE };

/* One piece of work; its bytes are behind it, in the same allocation. */
struct job {
    struct job *next;
    enum job_kind kind;
    struct store_task task; /* JOB_FIND: only the id */
    int64_t now_ms;
    size_t removed;
    union {
        store_done *done;
        store_found *found;
        store_expired *expired;
    } call;
    void *context;
    bool failed;
    struct error *failure; /* NULL unless failed */
};

struct store {
    struct store_backend *backend;
    bool durable;
    pthread_t thread;
    pthread_mutex_t mutex; /* a leaf: guards what follows */
    pthread_cond_t wake;
    struct job *first, **last;
    bool closing;
};

/* ---- one piece of work ---- */

static const struct error no_memory = {.text = "out of memory"};

static bool do_write(struct store_backend *backend, struct job *job, struct error *err)
{
    switch (job->kind) {
    case JOB_ADD:
        return backend->ops->add_task(backend, &job->task, err);
    case JOB_CHANGE:
        return backend->ops->change_task(backend, &job->task, err);
    case JOB_EXPIRE:
        return backend->ops->expire_tasks(backend, job->now_ms, &job->removed, err);
    case JOB_FIND:
        break;
    }
    return true;
}

static void job_fail(struct job *job, const struct error *err)
{
    job->failed = true;
    job->failure = malloc(sizeof *job->failure);
    if (job->failure != NULL)
        *job->failure = *err;
}

static const struct error *job_failure(const struct job *job)
{
    if (!job->failed)
        return NULL;
    return job->failure != NULL ? job->failure : &no_memory;
}

static void find(struct store_backend *backend, struct job *job)
{
    struct store_task task = {.status = TASK_WORKING};
    struct error err;
    int found = backend->ops->find_task(backend, job->task.id, &task, &err);

    if (found < 0)
        job_fail(job, &err);
    job->call.found(job->context, found > 0 ? &task : NULL, job_failure(job));
}

static void finish(struct store_backend *backend, struct job *job)
{
    const struct error *failure = job_failure(job);

    switch (job->kind) {
    case JOB_FIND: /* after the writes that stood before it */
        find(backend, job);
        break;
    case JOB_EXPIRE:
        job->call.expired(job->context, failure == NULL ? job->removed : 0, failure);
        break;
    default:
        if (job->call.done != NULL)
            job->call.done(job->context, failure);
        break;
    }
    free(job->failure);
    free(job);
}

/* ---- the thread ---- */

/* All in one transaction; false: nothing has been done. */
static bool write_together(struct store_backend *backend, struct job *jobs)
{
    struct error err;

    if (!backend->ops->begin(backend, &err))
        return false;
    for (struct job *job = jobs; job != NULL; job = job->next)
        if (!do_write(backend, job, &err)) {
            backend->ops->rollback(backend);
            return false;
        }
    if (backend->ops->commit(backend, &err))
        return true;
    backend->ops->rollback(backend);
    return false;
}

/* Each in a transaction of its own, so that one that fails spoils no other. */
static void write_apart(struct store_backend *backend, struct job *jobs)
{
    struct error err;

    for (struct job *job = jobs; job != NULL; job = job->next) {
        if (job->kind == JOB_FIND)
            continue;
        if (backend->ops->begin(backend, &err)) {
            if (do_write(backend, job, &err) && backend->ops->commit(backend, &err))
                continue;
            backend->ops->rollback(backend);
        }
        job_fail(job, &err);
    }
}

/* Whether there is anything to write, for reading needs no transaction. */
static bool writes(const struct job *jobs)
{
    while (jobs != NULL && jobs->kind == JOB_FIND)
        jobs = jobs->next;
    return jobs != NULL;
}

/* A job that looks something up sees what was written before it, and perhaps
 * what was put in line a moment after it; nobody can tell. */
static void do_jobs(struct store_backend *backend, struct job *jobs)
{
    if (writes(jobs) && !write_together(backend, jobs))
        write_apart(backend, jobs);
    while (jobs != NULL) {
        struct job *next = jobs->next;
        finish(backend, jobs);
        jobs = next;
    }
}

static void *run(void *argument)
{
    struct store *store = argument;

    pthread_mutex_lock(&store->mutex);
    for (;;) {
        struct job *jobs = store->first;
        if (jobs == NULL && store->closing)
            break;
        if (jobs == NULL) {
            pthread_cond_wait(&store->wake, &store->mutex);
            continue;
        }
        store->first = NULL;
        store->last = &store->first;
        pthread_mutex_unlock(&store->mutex);
        do_jobs(store->backend, jobs);
        pthread_mutex_lock(&store->mutex);
    }
    pthread_mutex_unlock(&store->mutex);
    return NULL;
}

/* ---- putting in line ---- */

static void put(struct store *store, struct job *job)
{
    pthread_mutex_lock(&store->mutex);
    *store->last = job;
    store->last = &job->next;
    pthread_mutex_unlock(&store->mutex);
    pthread_cond_signal(&store->wake);
}

static char *copy(char *to, struct bytes *bytes)
{
    if (bytes->size > 0)
        memcpy(to, bytes->data, bytes->size);
    bytes->data = to;
    return to + bytes->size;
}

static struct job *make_job(enum job_kind kind, const struct store_task *task, void *context)
{
    size_t size = task->id.size + task->subject.size + task->issuer.size + task->revision.size +
                  task->capabilities.size + task->request.size + task->payload.size +
                  task->inside.size + task->message.size;
    struct job *job = malloc(sizeof *job + size);

    if (job == NULL)
        return NULL;
    *job = (struct job){.kind = kind, .task = *task, .context = context};
    char *at = (char *)(job + 1);
    at = copy(at, &job->task.id);
    at = copy(at, &job->task.subject);
    at = copy(at, &job->task.issuer);
    at = copy(at, &job->task.revision);
    at = copy(at, &job->task.capabilities);
    at = copy(at, &job->task.request);
    at = copy(at, &job->task.payload);
    at = copy(at, &job->task.inside);
    copy(at, &job->task.message);
    return job;
}

static bool put_write(struct store *store, enum job_kind kind, const struct store_task *task,
                      store_done *done, void *context)
{
    struct job *job = make_job(kind, task, context);

    if (job == NULL)
        return false;
    job->call.done = done;
    put(store, job);
    return true;
}

bool store_add_task(struct store *store, const struct store_task *task, store_done *done,
                    void *context)
{
    return put_write(store, JOB_ADD, task, done, context);
}

bool store_change_task(struct store *store, const struct store_task *task, store_done *done,
                       void *context)
{
    return put_write(store, JOB_CHANGE, task, done, context);
}

bool store_find_task(struct store *store, struct bytes id, store_found *found, void *context)
{
    struct job *job = make_job(JOB_FIND, &(struct store_task){.id = id}, context);

    if (job == NULL)
        return false;
    job->call.found = found;
    put(store, job);
    return true;
}

bool store_expire_tasks(struct store *store, int64_t now_ms, store_expired *expired, void *context)
{
    struct job *job = make_job(JOB_EXPIRE, &(struct store_task){.status = TASK_WORKING}, context);

    if (job == NULL)
        return false;
    job->now_ms = now_ms;
    job->call.expired = expired;
    put(store, job);
    return true;
}

bool store_load_tasks(struct store *store, bool (*visit)(void *context, const struct store_task *),
                      void *context, size_t *count, struct error *err)
{
    return store->backend->ops->load_tasks(store->backend, visit, context, count, err);
}

/* ---- open and close ---- */

bool store_is_durable(const struct store *store)
{
    return store->durable;
}

/* "sqlite:///var/lib/mcp/state.db" */
static struct store_backend *open_backend(const char *url, uint64_t max_bytes, bool *durable,
                                          struct error *err)
{
    static const char sqlite[] = "sqlite://";

    *durable = false;
    if (strcmp(url, "memory:") == 0)
        return sqlite_backend_open(NULL, max_bytes, err);
    if (strncmp(url, sqlite, sizeof sqlite - 1) != 0 || url[sizeof sqlite - 1] != '/') {
        error_set(err,
                  "%s: expected sqlite:///PATH, such as sqlite:///var/lib/mcp/state.db, or "
                  "memory:",
                  url);
        return NULL;
    }
    *durable = true;
    return sqlite_backend_open(url + sizeof sqlite - 1, max_bytes, err);
}

bool store_check(const char *url, struct error *err)
{
    char directory[4096];
    const char *path = url + strlen("sqlite://");

    if (strcmp(url, "memory:") == 0)
        return true;
    if (strncmp(url, "sqlite:///", strlen("sqlite:///")) != 0)
        return error_set(err, "%s: expected sqlite:///PATH, or memory:", url);
    const char *slash = strrchr(path, '/');
    snprintf(directory, sizeof directory, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    if (access(directory, W_OK | X_OK) != 0)
        return error_set(err, "the directory %s: %s%s", directory, strerror(errno),
                         errno == ENOENT ? ": make it, for the user that mcpd runs as" : "");
    if (access(path, F_OK) == 0 && access(path, R_OK | W_OK) != 0)
        return error_set(err, "%s: %s", path, strerror(errno));
    return true;
}

struct store *store_open(const char *url, uint64_t max_bytes, struct error *err)
{
    struct store *store = calloc(1, sizeof *store);

    if (store == NULL) {
        error_no_memory(err);
        return NULL;
    }
    store->last = &store->first;
    store->backend = open_backend(url, max_bytes, &store->durable, err);
    if (store->backend == NULL) {
        free(store);
        return NULL;
    }
    pthread_mutex_init(&store->mutex, NULL);
    pthread_cond_init(&store->wake, NULL);
    if (thread_start(&store->thread, "mcpd-store", run, store, err))
        return store;
    pthread_cond_destroy(&store->wake);
    pthread_mutex_destroy(&store->mutex);
    store->backend->ops->close(store->backend);
    free(store);
    return NULL;
}

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    pthread_mutex_lock(&store->mutex);
    store->closing = true;
    pthread_mutex_unlock(&store->mutex);
    pthread_cond_signal(&store->wake);
    pthread_join(store->thread, NULL);
    store->backend->ops->close(store->backend);
    pthread_cond_destroy(&store->wake);
    pthread_mutex_destroy(&store->mutex);
    free(store);
}
