/* SPDX-License-Identifier: MIT */
/*
 * Cancelling: over one connection that is open for it, or else with PQcancel.
 *
 * PQcancel connects anew each time, and the server makes a process for each: where the
 * processors are taken by the very queries that are to end, those processes wait behind
 * them. A connection that is open already is answered soon, and tells the server of all
 * that are to be cancelled at once.
 *
 * Nobody goes on before the server has passed it on: a session that has been given back
 * meanwhile would have the next call's statement cancelled.
 *
 * PQcancel waits until the server has ended its connection, however long that takes. So a
 * thread of its own calls it, one request after the other; who waits for that in vain for a
 * second goes on without (and closes the session). While one request hangs, there is no
 * further one.
 */
#include "postgres.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How long the server may take to answer there. */
#define TELL_NS INT64_C(1000000000)
#define OPEN_NS INT64_C(5000000000)
#define PIDS_SIZE 1024 /* of max_connections, 64 at most, as text */

/* Of a caller that waits. */
struct errand {
    struct session *session;
    bool done, told;
    struct errand *next;
};

static const char cancel_sql[] = "SELECT pid FROM pg_catalog.unnest($1::pg_catalog.int4[]) pid "
                                 "WHERE pg_catalog.pg_cancel_backend(pid)";

/* Which of them it has passed on. NULL: the connection is of no use. */
static PGresult *ask(struct session *control, const char *pids)
{
    const char *values[] = {pids};
    struct bound bound = {.count = 1, .values = values};
    struct complaint why;
    PGresult *result = wire_run(control, clock_now() + TELL_NS, cancel_sql, &bound, &why);
    if (wire_is_table(result, -1, 1))
        return result;
    PQclear(result);
    return NULL;
}

/* A process's number means something to the server that gave it alone, and there may be
 * several behind one name. False: the connection is of no use. */
static bool tell(struct session *control, struct errand *errands)
{
    char pids[PIDS_SIZE] = "{";
    size_t size = 1;
    for (struct errand *e = errands; e != NULL; e = e->next)
        if (e->session->pid != 0 && strcmp(e->session->server, control->server) == 0 &&
            size + 16 < sizeof(pids))
            size += (size_t)snprintf(pids + size, sizeof(pids) - size, "%s%d", size > 1 ? "," : "",
                                     e->session->pid);
    pids[size] = '}';
    pids[size + 1] = '\0';
    PGresult *result = ask(control, pids);
    for (int i = 0; i < PQntuples(result); i++) {
        int pid = (int)strtol(PQgetvalue(result, i, 0), NULL, 10);
        for (struct errand *e = errands; e != NULL; e = e->next)
            e->told |= e->session->pid == pid;
    }
    PQclear(result);
    return result != NULL;
}

/* With the connection, which is nobody else's meanwhile. Mutex held, but not all the time. */
static void tell_all(struct canceller *canceller, struct errand *errands)
{
    struct session *control = canceller->control;
    canceller->busy = true;
    pthread_mutex_unlock(&canceller->mutex);
    if (!tell(control, errands)) {
        session_close(control);
        control = NULL;
    }
    pthread_mutex_lock(&canceller->mutex);
    canceller->control = control;
    canceller->busy = false;
}

/* For all who wait, if it can be done: the keeper may have taken the connection while they
 * did, and puts it, or another, back. Mutex held. */
static void run_errands(struct canceller *canceller)
{
    struct errand *errands = canceller->waiting;
    canceller->waiting = NULL;
    if (canceller->control != NULL)
        tell_all(canceller, errands);
    while (errands != NULL) {
        struct errand *next = errands->next;
        errands->done = true;
        errands = next;
    }
    pthread_cond_broadcast(&canceller->free);
}

/* False: the server has not been told. */
static bool cancel_together(struct session *session)
{
    struct canceller *canceller = &session->backend->canceller;
    struct errand mine = {.session = session};
    pthread_mutex_lock(&canceller->mutex);
    if (canceller->control != NULL) {
        mine.next = canceller->waiting;
        canceller->waiting = &mine;
        while (!mine.done && canceller->busy)
            pthread_cond_wait(&canceller->free, &canceller->mutex);
        if (!mine.done)
            run_errands(canceller);
    }
    pthread_mutex_unlock(&canceller->mutex);
    return mine.told;
}

/* ---- PQcancel ---- */

/* Ends the request; mutex held. */
static void clear_request(struct canceller *canceller)
{
    if (canceller->left)
        PQfreeCancel(canceller->request);
    canceller->request = NULL;
    canceller->answered = canceller->left = false;
    pthread_cond_broadcast(&canceller->free);
}

/* The address sanitizer does not clean the stack of a thread that is cancelled: its marks must
 * not be there. */
__attribute__((no_sanitize_address)) static void *send_requests(void *data)
{
    struct canceller *canceller = data;
    char message[256];
    int ignored;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &ignored);
    pthread_setname_np(pthread_self(), "postgres-cancel");
    pthread_mutex_lock(&canceller->mutex);
    while (!canceller->ending) {
        PGcancel *request = canceller->request;
        if (request == NULL || canceller->answered) {
            pthread_cond_wait(&canceller->wanted, &canceller->mutex);
            continue;
        }
        pthread_mutex_unlock(&canceller->mutex);
        pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &ignored); /* by cancel_stop */
        bool told = PQcancel(request, message, sizeof(message)) == 1;
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &ignored);
        pthread_mutex_lock(&canceller->mutex);
        canceller->told = told;
        canceller->answered = true;
        pthread_cond_broadcast(&canceller->free);
        if (canceller->left)
            clear_request(canceller);
    }
    pthread_mutex_unlock(&canceller->mutex);
    return NULL;
}

/* Mutex held. */
static bool has_thread(struct canceller *canceller)
{
    sigset_t all, before;
    if (canceller->runs)
        return true;
    sigfillset(&all); /* signals are mcpd's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    canceller->runs = pthread_create(&canceller->thread, NULL, send_requests, canceller) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return canceller->runs;
}

/* False: it is over. */
static bool wait_until(struct canceller *canceller, int64_t ns)
{
    struct timespec until = {.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = ns % 1000000000};
    return pthread_cond_timedwait(&canceller->free, &canceller->mutex, &until) == 0;
}

/* False: the server has not been told. */
static bool cancel_alone(struct session *session)
{
    struct canceller *canceller = &session->backend->canceller;
    int64_t until = clock_now() + TELL_NS;
    bool told = false, waits = true;
    pthread_mutex_lock(&canceller->mutex);
    while (canceller->request != NULL && !canceller->left && waits)
        waits = wait_until(canceller, until);
    if (canceller->request == NULL && session->cancel != NULL && has_thread(canceller)) {
        canceller->request = session->cancel;
        pthread_cond_signal(&canceller->wanted);
        while (!canceller->answered && waits)
            waits = wait_until(canceller, until);
        if (canceller->answered) {
            told = canceller->told;
            clear_request(canceller);
        } else {
            canceller->left = true;
            session->cancel = NULL;
        }
    }
    pthread_mutex_unlock(&canceller->mutex);
    return told;
}

void cancel_stop(struct backend *backend)
{
    struct canceller *canceller = &backend->canceller;
    if (!canceller->runs)
        return;
    pthread_mutex_lock(&canceller->mutex);
    canceller->ending = true;
    pthread_cond_signal(&canceller->wanted);
    pthread_mutex_unlock(&canceller->mutex);
    /* Out of a PQcancel that hangs, whose socket stays open: the one that there can be. */
    pthread_cancel(canceller->thread);
    pthread_join(canceller->thread, NULL);
    clear_request(canceller);
    canceller->runs = canceller->ending = false;
}

bool cancel_statement(struct session *session)
{
    if (session->is_control)
        return false;
    return (session->pid != 0 && cancel_together(session)) || cancel_alone(session);
}

/* ---- the connection, for the keeper ---- */

static struct session *open_control(struct backend *backend)
{
    struct session *control = NULL;
    struct complaint why;
    if (session_open(backend, NULL, clock_now() + OPEN_NS, &control, &why) != CONNECT_DONE)
        return NULL;
    control->is_control = true;
    PGresult *result = ask(control, "{}"); /* whether it may, and so that it is quick later */
    PQclear(result);
    if (result != NULL)
        return control;
    session_close(control);
    return NULL;
}

struct session *cancel_lend(struct backend *backend)
{
    struct canceller *canceller = &backend->canceller;
    struct session *control = NULL;
    pthread_mutex_lock(&canceller->mutex);
    if (!canceller->busy && canceller->control != NULL) {
        control = canceller->control;
        canceller->control = NULL;
        canceller->busy = true;
    }
    pthread_mutex_unlock(&canceller->mutex);
    return control;
}

void cancel_take_back(struct session *control)
{
    struct canceller *canceller = &control->backend->canceller;
    if (control->broken) {
        session_close(control);
        control = NULL;
    }
    pthread_mutex_lock(&canceller->mutex);
    canceller->control = control;
    canceller->busy = false;
    pthread_cond_broadcast(&canceller->free);
    pthread_mutex_unlock(&canceller->mutex);
}

void cancel_keep(struct backend *backend, bool wanted)
{
    struct canceller *canceller = &backend->canceller;
    pthread_mutex_lock(&canceller->mutex);
    struct session *control = canceller->control;
    bool busy = canceller->busy;
    if (!busy)
        canceller->control = NULL; /* who cancels meanwhile does not wait for us */
    pthread_mutex_unlock(&canceller->mutex);
    if (busy)
        return;
    if (control != NULL && (!wanted || !wire_alive(control))) {
        session_close(control);
        control = NULL;
    }
    if (control == NULL && wanted)
        control = open_control(backend);
    pthread_mutex_lock(&canceller->mutex);
    canceller->control = control;
    pthread_mutex_unlock(&canceller->mutex);
}
