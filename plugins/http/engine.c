/* SPDX-License-Identifier: MIT */
/* The thread that carries out all requests of a provider, and what it keeps of each. */
#include "engine.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "reading.h"

#define NAP_MS 1000

int64_t clock_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void wake(void *context)
{
    struct engine *engine = context;

    curl_multi_wakeup(engine->multi);
}

void engine_wipe(const struct engine *engine, char *data, size_t size)
{
    struct settings only = {.secret_count = 0};

    if (data == NULL)
        return;
    secret_wipe(engine->settings, data, size);
    for (size_t i = 0; i < AUTH_MAX; i++)
        if (engine->tokens[i].value != NULL)
            only.secrets[only.secret_count++] = engine->tokens[i].value;
    secret_wipe(&only, data, size);
}

/* ---- jobs ---- */

struct job *job_new(struct engine *engine, const char *base, struct request *request)
{
    struct job *job = calloc(1, sizeof(*job));
    size_t size = base != NULL ? strlen(base) : 0;

    if (job == NULL || base == NULL)
        goto out;
    while (size > 0 && base[size - 1] == '/' && request->target.size > 0)
        size--;
    if (asprintf(&job->url, "%.*s%s", (int)size, base,
                 request->target.data != NULL ? request->target.data : "") < 0) {
        job->url = NULL;
        goto out;
    }
    job->engine = engine;
    job->request = *request;
    job->created_ms = clock_ms();
    job->deadline_ms = job->created_ms + engine->settings->timeout_ms;
    text_init(&job->response, (size_t)engine->settings->max_response_bytes);
    return job;
out:
    free(job);
    request_free(request);
    return NULL;
}

static void job_free(struct job *job)
{
    transfer_clean(job);
    request_free(&job->request);
    text_free(&job->response);
    free(job->url);
    free(job);
}

void job_end(struct job *job)
{
    struct job **at = &job->engine->jobs;

    while (*at != NULL && *at != job)
        at = &(*at)->next;
    if (*at == job)
        *at = job->next;
    if (job->call == NULL)
        wake(job->engine); /* others wait for the token */
    job_free(job);
}

void job_fail(struct job *job, const char *format, ...)
{
    va_list arguments;
    char *sentence = NULL;

    va_start(arguments, format);
    int size = vasprintf(&sentence, format, arguments);
    va_end(arguments);
    if (size >= 0)
        engine_wipe(job->engine, sentence, (size_t)size);
    if (job->call == NULL) {
        struct token *token = &job->engine->tokens[job->token];
        token->state = TOKEN_FAILED;
        token->until_ms = clock_ms();
        snprintf(token->why, sizeof(token->why), "%s", size >= 0 ? sentence : "out of memory");
    } else {
        fail_call(job->call, "%s", size >= 0 ? sentence : "mcpd is out of memory.");
    }
    if (size >= 0)
        free(sentence);
    job_end(job);
}

void engine_add(struct engine *engine, struct job *job)
{
    job->next = engine->jobs;
    engine->jobs = job;
}

/* ---- the thread ---- */

static void take_incoming(struct engine *engine, bool *stopping)
{
    pthread_mutex_lock(&engine->mutex);
    struct job *incoming = engine->incoming;
    engine->incoming = NULL;
    *stopping = engine->stopping;
    pthread_mutex_unlock(&engine->mutex);
    while (incoming != NULL) {
        struct job *job = incoming;
        incoming = job->next;
        engine_add(engine, job);
    }
}

/* Begins what can begin, ends what must end; returns how long there is time to wait. */
static int64_t attend(struct engine *engine)
{
    int64_t now = clock_ms(), nap = NAP_MS;

    for (struct job *job = engine->jobs, *next; job != NULL; job = next) {
        next = job->next;
        if (atomic_load(&job->cancelled)) {
            job_fail(job, "The call was cancelled.");
            continue;
        }
        if (now >= job->deadline_ms && job->step == STEP_READY) {
            job_fail(job, "It took longer than the %lld ms that it may take.",
                     (long long)(job->deadline_ms - job->created_ms));
            continue;
        }
        bool starts = job->step == STEP_READY && job->not_before_ms <= now;
        int64_t until = job->step == STEP_READY && !starts && job->not_before_ms < job->deadline_ms
                            ? job->not_before_ms
                            : job->deadline_ms;
        if (until - now < nap)
            nap = until > now ? until - now : 0;
        /* It may end this job, and add one in front; what is behind stays. */
        if (starts)
            transfer_start(job);
    }
    return nap;
}

static void collect(struct engine *engine)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(engine->multi, &left)) != NULL) {
        struct job *job = NULL;
        CURLcode code = message->data.result;
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&job);
        answer(job, code);
    }
}

static void *run(void *context)
{
    struct engine *engine = context;
    bool stopping = false;
    int running;

    for (;;) {
        take_incoming(engine, &stopping);
        if (stopping)
            break;
        int64_t nap = attend(engine);
        curl_multi_perform(engine->multi, &running);
        collect(engine);
        bool more = false;
        for (struct job *job = engine->jobs; job != NULL && !more; job = job->next)
            more = job->step == STEP_READY && job->not_before_ms <= clock_ms() &&
                   job->not_before_ms != 0;
        curl_multi_poll(engine->multi, NULL, 0, more ? 0 : (int)nap, NULL);
    }
    while (engine->jobs != NULL)
        job_fail(engine->jobs, "The provider is being stopped.");
    return NULL;
}

/* ---- calls ---- */

static void cancel(void *data)
{
    struct job *job = data;

    atomic_store(&job->cancelled, true);
    wake(job->engine);
}

void engine_submit(struct engine *engine, const struct operation *operation,
                   struct request *request, struct mcp_call *call)
{
    const char *base = engine->settings->base_url;
    struct job *job = job_new(engine, base != NULL ? base : operation->server, request);

    if (job == NULL) {
        fail_call(call, "mcpd is out of memory.");
        return;
    }
    job->operation = operation;
    job->call = call;
    if (call->deadline_ns != 0 && call->deadline_ns / 1000000 < job->deadline_ms)
        job->deadline_ms = call->deadline_ns / 1000000;
    call->ops->on_cancel(call, cancel, job);
    pthread_mutex_lock(&engine->mutex);
    job->next = engine->incoming;
    engine->incoming = job;
    pthread_mutex_unlock(&engine->mutex);
    wake(engine);
}

/* ---- life ---- */

struct engine *engine_new(const struct settings *settings)
{
    struct engine *engine = calloc(1, sizeof(*engine));

    if (engine == NULL)
        return NULL;
    engine->settings = settings;
    pthread_mutex_init(&engine->mutex, NULL);
    engine->multi = curl_multi_init();
    if (engine->multi == NULL) {
        engine_free(engine);
        return NULL;
    }
    curl_multi_setopt(engine->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
                      (long)settings->max_connections);
    return engine;
}

bool engine_start(struct engine *engine)
{
    sigset_t all, before;

    /* Signals are mcpd's: none of our threads takes one. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    engine->resolver = resolver_new(wake, engine);
    engine->started =
        engine->resolver != NULL && pthread_create(&engine->thread, NULL, run, engine) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return engine->started;
}

void engine_stop(struct engine *engine)
{
    if (engine->started) {
        pthread_mutex_lock(&engine->mutex);
        engine->stopping = true;
        pthread_mutex_unlock(&engine->mutex);
        wake(engine);
        pthread_join(engine->thread, NULL);
        engine->started = false;
    }
    resolver_free(engine->resolver);
    engine->resolver = NULL;
}

void engine_free(struct engine *engine)
{
    if (engine == NULL)
        return;
    engine_stop(engine);
    if (engine->multi != NULL)
        curl_multi_cleanup(engine->multi);
    for (size_t i = 0; i < AUTH_MAX; i++)
        secret_free(engine->tokens[i].value);
    pthread_mutex_destroy(&engine->mutex);
    free(engine);
}
