/* SPDX-License-Identifier: MIT */
/*
 * The sessions: max_connections at most, each with one call at a time. A keeper thread
 * replaces those that died while nobody used them, keeps min_connections open and closes
 * what has been idle for long; it also keeps the connection for cancelling.
 */
#include "postgres.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_MS INT64_C(1000000)
#define KEEPER_NS (500 * NS_PER_MS)
#define IDLE_NS (60000 * NS_PER_MS)
/* How long the keeper may take for one connection. */
#define KEEPER_CONNECT_NS (5000 * NS_PER_MS)
/* One that was used a moment ago need not be looked at. */
#define FRESH_NS NS_PER_MS

static void wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t ns)
{
    struct timespec until = {.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = ns % 1000000000};
    pthread_cond_timedwait(cond, mutex, &until);
}

static void tell(const struct backend *backend, int32_t level, const struct complaint *complaint)
{
    const struct mcp_host *host = backend->settings->host;
    host->log(host, level, (struct mcp_bytes){complaint->text, strlen(complaint->text)});
}

/* In front of the others, with the time that it has. */
static void put_back(struct backend *backend, struct session *session)
{
    pthread_mutex_lock(&backend->mutex);
    session->next = backend->idle;
    backend->idle = session;
    pthread_cond_signal(&backend->freed);
    pthread_mutex_unlock(&backend->mutex);
}

static void push(struct backend *backend, struct session *session)
{
    session->idle_since_ns = clock_now();
    put_back(backend, session);
}

/* One less: closed, or never opened. */
static void give_up_place(struct backend *backend)
{
    pthread_mutex_lock(&backend->mutex);
    backend->sessions--;
    pthread_cond_signal(&backend->freed);
    pthread_mutex_unlock(&backend->mutex);
}

static void drop(struct session *session)
{
    struct backend *backend = session->backend;
    session_close(session);
    give_up_place(backend);
}

/* ---- the keeper ---- */

/* Takes the idle session that has waited longest; NULL when even that is fresh. */
static struct session *take_oldest(struct backend *backend, int64_t before_ns)
{
    pthread_mutex_lock(&backend->mutex);
    struct session **at = &backend->idle, *session = NULL;
    while (*at != NULL && (*at)->next != NULL)
        at = &(*at)->next;
    if (*at != NULL && (*at)->idle_since_ns < before_ns) {
        session = *at;
        *at = NULL;
    }
    pthread_mutex_unlock(&backend->mutex);
    return session;
}

/* Looks at each session that was idle when it began: those that died are closed, and
 * what has been idle for long, down to min_connections. */
static void look_at_idle(struct backend *backend)
{
    int64_t now = clock_now();
    pthread_mutex_lock(&backend->mutex);
    int64_t count = 0;
    for (struct session *s = backend->idle; s != NULL; s = s->next)
        count++;
    pthread_mutex_unlock(&backend->mutex);
    while (count-- > 0) {
        struct session *session = take_oldest(backend, now - KEEPER_NS / 5);
        if (session == NULL)
            return;
        pthread_mutex_lock(&backend->mutex);
        bool surplus = backend->sessions > backend->min_connections;
        pthread_mutex_unlock(&backend->mutex);
        if (!wire_drain(session, clock_now() + 1000 * NS_PER_MS) || !wire_alive(session) ||
            (surplus && session->idle_since_ns < now - IDLE_NS)) {
            drop(session);
            continue;
        }
        put_back(backend, session);
    }
}

/* Opens what is missing to min_connections. False: it cannot be had now. */
static bool open_missing(struct backend *backend)
{
    for (;;) {
        pthread_mutex_lock(&backend->mutex);
        bool missing = backend->sessions < backend->min_connections && !backend->stopping;
        if (missing)
            backend->sessions++;
        pthread_mutex_unlock(&backend->mutex);
        if (!missing)
            return true;
        struct session *session;
        struct complaint why;
        if (session_open(backend, NULL, clock_now() + KEEPER_CONNECT_NS, &session, &why) !=
            CONNECT_DONE) {
            tell(backend, MCP_LOG_WARNING, &why);
            give_up_place(backend);
            return false;
        }
        push(backend, session);
    }
}

static void *keep(void *data)
{
    struct backend *backend = data;
    pthread_mutex_lock(&backend->mutex);
    while (!backend->stopping) {
        pthread_mutex_unlock(&backend->mutex);
        look_at_idle(backend);
        bool good = open_missing(backend);
        pthread_mutex_lock(&backend->mutex);
        bool wanted = backend->sessions > 0 && !backend->stopping;
        pthread_mutex_unlock(&backend->mutex);
        cancel_keep(backend, good && wanted);
        pthread_mutex_lock(&backend->mutex);
        if (!backend->stopping)
            wait_until(&backend->tick, &backend->mutex,
                       clock_now() + (good ? KEEPER_NS : KEEPER_NS * 2));
    }
    pthread_mutex_unlock(&backend->mutex);
    return NULL;
}

bool pool_start(struct backend *backend)
{
    backend->stopping = false;
    backend->keeps = pthread_create(&backend->keeper, NULL, keep, backend) == 0;
    return backend->keeps;
}

void pool_stop(struct backend *backend)
{
    pthread_mutex_lock(&backend->mutex);
    backend->stopping = true;
    pthread_cond_signal(&backend->tick);
    pthread_mutex_unlock(&backend->mutex);
    if (backend->keeps)
        pthread_join(backend->keeper, NULL);
    backend->keeps = false;
    cancel_keep(backend, false);
    cancel_stop(backend);
    while (backend->idle != NULL) {
        struct session *session = backend->idle;
        backend->idle = session->next;
        session_close(session);
    }
    backend->sessions = 0;
}

/* ---- calls ---- */

static bool complain_of_waiting(struct backend *backend, struct job *job, enum job_state state)
{
    if (state != JOB_TIMED_OUT)
        return job_complain(job, state);
    return complain(&job->complaint,
                    "All %" PRId64 " connections to the database were in use for the %" PRId64
                    " ms that a call may take. Try again.",
                    backend->settings->max_connections, job->allowed_ms);
}

/* Rather one that keeps what the call will run, else the one used last. One is idle. */
static struct session *take_best(struct backend *backend, struct mcp_bytes sql)
{
    struct session **best = &backend->idle;
    for (struct session **at = best; *at != NULL; at = &(*at)->next)
        if ((*at)->kept && strlen((*at)->last) == sql.size &&
            memcmp((*at)->last, sql.data, sql.size) == 0) {
            best = at;
            break;
        }
    struct session *session = *best;
    *best = session->next;
    return session;
}

/* An idle session, or the right to open one (NULL); false: complained. */
static bool wait_for_turn(struct backend *backend, struct job *job, struct session **session)
{
    enum job_state state = job_state(job);
    pthread_mutex_lock(&backend->mutex);
    while (state == JOB_RUNS && backend->idle == NULL &&
           backend->sessions >= backend->settings->max_connections) {
        /* To look whether the call is over. */
        int64_t until = clock_now() + 20 * NS_PER_MS;
        wait_until(&backend->freed, &backend->mutex,
                   until < job->deadline_ns ? until : job->deadline_ns);
        state = job_state(job);
    }
    *session = NULL;
    if (state == JOB_RUNS && backend->idle != NULL)
        *session = take_best(backend, job->sql);
    else if (state == JOB_RUNS)
        backend->sessions++;
    pthread_mutex_unlock(&backend->mutex);
    return state == JOB_RUNS || complain_of_waiting(backend, job, state);
}

/* For a caller; the operator reads the rest. */
static void complain_of_connecting(struct backend *backend, struct job *job, enum connect_end end,
                                   const struct complaint *why)
{
    tell(backend, MCP_LOG_ERROR, why);
    enum job_state state = job_state(job);
    if (state != JOB_RUNS)
        job_complain(job, state);
    else if (end == CONNECT_REFUSED)
        complain(&job->complaint, "The database does not let this server in, or not with these "
                                  "rights; its operator finds the reason in the log.");
    else
        complain(&job->complaint, "The database cannot be reached at the moment: it is stopped, "
                                  "starting, or has no place left. Try again soon.");
}

/* What may have died since it was used. */
static bool usable(struct session *session)
{
    if (clock_now() - session->idle_since_ns < FRESH_NS)
        return true;
    return wire_drain(session, clock_now() + 1000 * NS_PER_MS) && wire_alive(session);
}

static void wake(void *data)
{
    struct session *session = data;
    uint64_t one = 1;
    atomic_store(&session->woken, true);
    (void)!write(session->wake, &one, sizeof(one));
}

static struct session *engage(struct session *session, struct job *job)
{
    session->job = job;
    session->stopped = false;
    session->grace_ns = 0;
    session->row_bytes = 0;
    job->call->ops->on_cancel(job->call, wake, session);
    return session;
}

struct session *pool_acquire(struct backend *backend, struct job *job)
{
    struct session *session;
    if (!wait_for_turn(backend, job, &session))
        return NULL;
    if (session != NULL && !usable(session)) {
        session_close(session); /* its place is ours */
        session = NULL;
    }
    if (session == NULL) {
        struct complaint why = {""};
        enum connect_end end = session_open(backend, job, job->deadline_ns, &session, &why);
        if (end != CONNECT_DONE) {
            complain_of_connecting(backend, job, end, &why);
            give_up_place(backend);
            return NULL;
        }
    }
    return engage(session, job);
}

struct session *pool_take_idle(struct backend *backend, struct job *job)
{
    struct session *session = NULL;
    pthread_mutex_lock(&backend->mutex);
    if (backend->idle != NULL)
        session = take_best(backend, job->sql);
    pthread_mutex_unlock(&backend->mutex);
    if (session == NULL)
        return NULL;
    bool fresh = clock_now() - session->idle_since_ns < FRESH_NS;
    if (session->unread == 0 && (fresh || wire_alive(session)))
        return engage(session, job);
    put_back(backend, session);
    return NULL;
}

void pool_release(struct session *session)
{
    uint64_t times;
    session->job->call->ops->on_cancel(session->job->call, NULL, NULL);
    if (atomic_exchange(&session->woken, false))
        (void)!read(session->wake, &times, sizeof(times));
    session->job = NULL;
    if (session->grace_ns != 0 && !session->broken)
        wire_drain(session, session->grace_ns); /* while nobody waits for it */
    session->grace_ns = 0;
    if (session->broken || session->in_transaction)
        drop(session);
    else
        push(session->backend, session);
}
