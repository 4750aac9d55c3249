/* SPDX-License-Identifier: MIT */
/*
 * The worker pool and the gates. One mutex guards all of it; it is held for a
 * few list operations at a time. At most one worker is on its way to the queue;
 * when it gets there and finds more than it can take, it wakes the next. The one
 * that went to sleep last is woken first, for its stack is still warm.
 */
#include "plugin/dispatch.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "plugin/canceller.h"
#include "plugin/call_private.h"
#include "plugin/deadline.h"

#define GOING_HOME_NS (NS_PER_S / 2) /* for workers that are in no plugin */

struct line {
    struct call *first, *last;
};

struct gate {
    atomic_uint references;
    uint32_t limit; /* 0: none */
    bool serial;
    struct gate *next; /* where its calls go on to; a reference; NULL: to a worker */
    uint32_t inside;
    struct line line;
};

struct worker {
    pthread_t thread;
    pthread_cond_t wake;
    bool woken;
    bool over; /* the thread is about to end */
    struct worker *next_idle;
};

static struct {
    pthread_mutex_t mutex; /* a leaf */
    struct line queue; /* calls that have passed their gates */
    uint32_t ready; /* calls in the queue */
    uint32_t waiting; /* calls in the queue and at gates */
    uint32_t limit; /* of calls that no worker is free for */
    struct worker *workers; /* `maximum` of them, of which `started` have run */
    uint32_t maximum, started, busy;
    uint32_t coming; /* workers woken or starting that have not looked at the queue */
    bool starting; /* a thread is being made */
    struct worker *idle; /* newest first */
    uint32_t idle_count;
    bool stopping;
    uint32_t over; /* workers that have ended */
    pthread_cond_t one_over;
    bool stuck; /* threads of an earlier start are still inside plugins */
    uint64_t calls, refused;
    _Atomic(uint64_t) late, overdue;
} pool = {.mutex = PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP, .stopping = true};

/* ---- lines ---- */

static void line_add(struct line *line, struct call *call)
{
    call->line = line;
    call->next = NULL;
    call->previous = line->last;
    if (line->last != NULL)
        line->last->next = call;
    else
        line->first = call;
    line->last = call;
    pool.waiting++;
    if (line == &pool.queue)
        pool.ready++;
}

static void line_remove(struct call *call)
{
    struct line *line = call->line;
    if (call->previous != NULL)
        call->previous->next = call->next;
    else
        line->first = call->next;
    if (call->next != NULL)
        call->next->previous = call->previous;
    else
        line->last = call->previous;
    call->line = NULL;
    pool.waiting--;
    if (line == &pool.queue)
        pool.ready--;
}

/* ---- gates ---- */

static struct gate *make_gate(uint32_t limit, bool serial, struct gate *next)
{
    struct gate *gate = calloc(1, sizeof(*gate));
    if (gate == NULL)
        return NULL;
    atomic_init(&gate->references, 1);
    gate->limit = limit;
    gate->serial = serial;
    gate->next = next != NULL ? gate_ref(next) : NULL;
    return gate;
}

struct gate *gate_new(uint32_t limit)
{
    return make_gate(limit, false, NULL);
}

struct gate *gate_new_serial(void)
{
    return make_gate(1, true, NULL);
}

struct gate *gate_new_before(struct gate *serial, uint32_t limit)
{
    return make_gate(limit, false, serial);
}

struct gate *gate_ref(struct gate *gate)
{
    atomic_fetch_add_explicit(&gate->references, 1, memory_order_relaxed);
    return gate;
}

void gate_unref(struct gate *gate)
{
    while (gate != NULL && atomic_fetch_sub(&gate->references, 1) == 1) {
        struct gate *next = gate->next;
        free(gate);
        gate = next;
    }
}

static bool has_room(const struct gate *gate)
{
    return gate->limit == 0 || gate->inside < gate->limit;
}

/* Goes on from gate to gate as far as there is room. True: through all of them;
 * false: it waits in a line. */
static bool pass(struct call *call)
{
    while (call->at != NULL) {
        struct gate *gate = call->at;
        if (!has_room(gate)) {
            line_add(&gate->line, call);
            return false;
        }
        gate->inside++;
        if (!gate->serial)
            call->inside_tool = true;
        call->at = gate->next;
    }
    return true;
}

/* Gives a place back; whoever waited for it goes on, perhaps to the queue. */
static void leave(struct gate *gate)
{
    gate->inside--;
    struct call *next = gate->line.first;
    if (next == NULL || !has_room(gate))
        return;
    line_remove(next);
    if (pass(next))
        line_add(&pool.queue, next);
}

static bool all_have_room(const struct gate *gate)
{
    while (gate != NULL && has_room(gate))
        gate = gate->next;
    return gate == NULL;
}

static struct gate *serial_of(struct gate *gate)
{
    if (gate == NULL || gate->serial)
        return gate;
    return gate->next;
}

/* ---- waking workers ---- */

/* What is to be done after the mutex has been unlocked. */
struct errand {
    struct worker *wake;
    struct worker *start;
};

/* Sees to it that enough workers look at the queue. */
static struct errand call_worker(void)
{
    struct errand errand = {NULL, NULL};
    if (pool.ready == 0 || pool.coming > 0)
        return errand;
    if (pool.idle != NULL) {
        errand.wake = pool.idle;
        pool.idle = errand.wake->next_idle;
        pool.idle_count--;
        errand.wake->woken = true;
        pool.coming++;
    } else if (pool.started < pool.maximum) {
        errand.start = &pool.workers[pool.started++];
        pool.starting = true;
        pool.coming++;
    }
    return errand;
}

static void *work(void *argument);

static bool start_worker(struct worker *worker, struct error *err)
{
    return thread_start_sized(&worker->thread, "mcpd-worker", DISPATCH_STACK_SIZE, work, worker,
                              err);
}

/* Unlocks and does it. */
static void unlock(struct errand errand)
{
    struct error err;
    pthread_mutex_unlock(&pool.mutex);
    if (errand.wake != NULL)
        pthread_cond_signal(&errand.wake->wake);
    if (errand.start == NULL)
        return;
    bool started = start_worker(errand.start, &err);
    pthread_mutex_lock(&pool.mutex);
    pool.starting = false;
    if (pool.stopping)
        pthread_cond_signal(&pool.one_over);
    if (!started) {
        /* The others go on without it, for good: there is at least one. */
        log_warning("%s: going on with %u worker threads", err.text, pool.started - 1);
        pool.coming--;
        pool.started--;
        pool.maximum = pool.started;
    }
    pthread_mutex_unlock(&pool.mutex);
}

/* ---- the worker ---- */

/* Sleeps until there is a call; NULL: the pool stops. Mutex held. */
static struct call *next_call(struct worker *self)
{
    while (pool.queue.first == NULL) {
        if (pool.stopping)
            return NULL;
        self->woken = false;
        self->next_idle = pool.idle;
        pool.idle = self;
        pool.idle_count++;
        while (!self->woken)
            pthread_cond_wait(&self->wake, &pool.mutex);
        pool.coming--;
    }
    struct call *call = pool.queue.first;
    line_remove(call);
    return call;
}

static void *work(void *argument)
{
    struct worker *self = argument;
    struct call *call;

    pthread_mutex_lock(&pool.mutex);
    pool.coming--;
    while ((call = next_call(self)) != NULL) {
        struct gate *serial = serial_of(call->gate);
        if (serial != NULL)
            gate_ref(serial);
        pool.busy++;
        pool.calls++;
        unlock(call_worker());
        call_enter(call);
        pthread_mutex_lock(&pool.mutex);
        pool.busy--;
        if (serial != NULL)
            leave(serial); /* to the queue, where this thread looks next */
        gate_unref(serial);
    }
    self->over = true;
    pool.over++;
    pthread_cond_signal(&pool.one_over);
    pthread_mutex_unlock(&pool.mutex);
    return NULL;
}

/* ---- for call.c ---- */

/* Workers that are free for a call in the queue: asleep, on their way, or not
 * started yet. Mutex held. */
static uint32_t spare_workers(void)
{
    return pool.idle_count + pool.coming + pool.maximum - pool.started;
}

/* Calls at gates, and those in the queue that no worker is free for. Mutex held. */
static uint32_t waiting_calls(void)
{
    uint32_t spare = spare_workers();
    return pool.waiting - (pool.ready < spare ? pool.ready : spare);
}

/* Whether a call may come in. Mutex held. */
static bool may_wait(const struct call *call)
{
    return waiting_calls() < pool.limit ||
           (pool.ready < spare_workers() && all_have_room(call->gate));
}

/* Unlocks. */
static void refuse(struct call *call, bool watched)
{
    bool stopping = pool.stopping;
    uint32_t waiting = waiting_calls();
    pool.refused++;
    pthread_mutex_unlock(&pool.mutex);
    if (stopping)
        call_turn_away(call, CALL_BUSY, "%s/%s was not started: mcpd is shutting down",
                       call->provider->id, call->name);
    else if (!watched)
        call_turn_away(call, CALL_BUSY, "%s/%s was not started: mcpd is out of memory",
                       call->provider->id, call->name);
    else
        call_turn_away(call, CALL_BUSY,
                       "%s/%s was not started: %u calls are waiting, as many as may "
                       "(calls.queue); try again later",
                       call->provider->id, call->name, waiting);
}

/* Whether it need not wait: it has been cancelled, or does not block and has passed
 * its gate. Mutex held. */
static bool enters_at_once(struct call *call)
{
    if ((atomic_load(&call->state) & CALL_IS_CANCELLED) != 0)
        return true;
    return !pool.stopping && call->nonblocking && all_have_room(call->gate) && pass(call);
}

void dispatch_run(struct call *call)
{
    bool watched = !call->nonblocking && deadline_add(call);

    call->at = call->gate;
    call->inside_tool = false;
    pthread_mutex_lock(&pool.mutex);
    bool enters = enters_at_once(call);
    if (!enters && call->nonblocking) {
        /* Only now is it worth a place in the watch. Who cancels it meanwhile does not
         * find it in a line: it is looked at again. */
        pthread_mutex_unlock(&pool.mutex);
        watched = deadline_add(call);
        pthread_mutex_lock(&pool.mutex);
        enters = enters_at_once(call);
    }
    if (enters) {
        pthread_mutex_unlock(&pool.mutex);
        call_enter(call);
        return;
    }
    if (pool.stopping || !watched || !may_wait(call)) {
        refuse(call, watched);
        return;
    }
    if (pass(call))
        line_add(&pool.queue, call);
    unlock(call_worker());
}

bool dispatch_withdraw(struct call *call)
{
    pthread_mutex_lock(&pool.mutex);
    if (call->line == NULL) {
        pthread_mutex_unlock(&pool.mutex);
        return false;
    }
    line_remove(call);
    call->inside_tool = false;
    for (struct gate *gate = call->gate; gate != call->at; gate = gate->next)
        leave(gate);
    unlock(call_worker());
    return true;
}

void dispatch_ended(struct call *call)
{
    if (!call->inside_tool)
        return;
    pthread_mutex_lock(&pool.mutex);
    call->inside_tool = false;
    leave(call->gate);
    unlock(call_worker());
}

void dispatch_count_late(void)
{
    atomic_fetch_add_explicit(&pool.late, 1, memory_order_relaxed);
}

void dispatch_count_overdue(void)
{
    atomic_fetch_add_explicit(&pool.overdue, 1, memory_order_relaxed);
}

/* ---- start and stop ---- */

static bool make_workers(uint32_t maximum)
{
    pthread_condattr_t attributes;
    pool.workers = calloc(maximum, sizeof(*pool.workers));
    if (pool.workers == NULL)
        return false;
    for (uint32_t i = 0; i < maximum; i++)
        pthread_cond_init(&pool.workers[i].wake, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&pool.one_over, &attributes);
    pthread_condattr_destroy(&attributes);
    pool.maximum = maximum;
    return true;
}

static void free_workers(void)
{
    for (uint32_t i = 0; i < pool.maximum; i++)
        pthread_cond_destroy(&pool.workers[i].wake);
    pthread_cond_destroy(&pool.one_over);
    free(pool.workers);
    pool.workers = NULL;
    pool.started = pool.coming = pool.over = 0;
}

bool dispatch_start(uint32_t workers, uint32_t queue, struct error *err)
{
    if (pool.stuck)
        return error_set(err, "the workers cannot start again: threads of before are still inside "
                              "plugins");
    if (!make_workers(workers > 0 ? workers : 1))
        return error_no_memory_for(err, "cannot start the workers");
    pool.limit = queue;
    pool.calls = pool.refused = 0;
    atomic_store(&pool.late, 0);
    if (!deadline_start(err)) {
        free_workers();
        return false;
    }
    pool.stopping = false;
    pool.started = pool.coming = 1;
    if (start_worker(&pool.workers[0], err))
        return true;
    pool.stopping = true;
    deadline_stop();
    free_workers();
    return false;
}

/* Wakes all that sleep and waits until all have ended. Mutex held. */
static void send_home(int64_t deadline_ns)
{
    const struct timespec until = {.tv_sec = deadline_ns / NS_PER_S,
                                   .tv_nsec = deadline_ns % NS_PER_S};
    int result = 0;
    for (struct worker *worker = pool.idle; worker != NULL; worker = worker->next_idle) {
        worker->woken = true;
        pool.coming++;
        pthread_cond_signal(&worker->wake);
    }
    pool.idle = NULL;
    pool.idle_count = 0;
    /* One may be starting, by a client's thread that came just before the end. */
    while ((pool.starting || pool.over < pool.started) && result != ETIMEDOUT)
        result = pthread_cond_timedwait(&pool.one_over, &pool.mutex, &until);
}

static void stop_workers(int64_t deadline_ns)
{
    pthread_mutex_lock(&pool.mutex);
    send_home(deadline_ns);
    uint32_t stuck = pool.started - pool.over;
    pool.stuck = stuck > 0;
    pthread_mutex_unlock(&pool.mutex);
    if (stuck > 0) { /* they still use pool.workers */
        log_error("%u worker threads are still inside plugins and are left behind", stuck);
        return;
    }
    for (uint32_t i = 0; i < pool.started; i++)
        pthread_join(pool.workers[i].thread, NULL);
    free_workers();
}

void dispatch_stop(int64_t deadline_ns)
{
    pthread_mutex_lock(&pool.mutex);
    bool running = !pool.stopping;
    pool.stopping = true;
    pthread_mutex_unlock(&pool.mutex);
    if (!running)
        return;
    call_cancel_all(NULL);
    if (!deadline_wait_none(deadline_ns))
        log_warning("%zu calls have not ended although they were cancelled", deadline_count());
    /* Whoever sleeps needs a moment to go, however long the calls took. */
    int64_t moment_ns = clock_now() + GOING_HOME_NS;
    if (deadline_ns > moment_ns)
        moment_ns = deadline_ns;
    stop_workers(moment_ns);
    if (!canceller_stop(moment_ns))
        pool.stuck = true;
    deadline_stop();
}

void dispatch_stats(struct dispatch_stats *out)
{
    pthread_mutex_lock(&pool.mutex);
    *out = (struct dispatch_stats){.workers = pool.started,
                                   .busy = pool.busy,
                                   .queued = pool.waiting,
                                   .started = pool.calls,
                                   .refused = pool.refused,
                                   .timed_out = atomic_load(&pool.late),
                                   .overdue = atomic_load(&pool.overdue)};
    pthread_mutex_unlock(&pool.mutex);
}
