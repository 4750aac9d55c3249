/* SPDX-License-Identifier: MIT */
/* A binary heap of calls by the time they are due next. A new call wakes the
 * thread only when it is due before the thread would look again, which is rare:
 * most calls have the same time to live. */
#include "plugin/deadline.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/pulse.h"
#include "base/thread.h"
#include "plugin/canceller.h"
#include "plugin/call_private.h"

#define NEVER INT64_MAX

static struct {
    pthread_mutex_t mutex; /* a leaf */
    pthread_once_t once;
    pthread_cond_t wake, none;
    struct call **heap; /* heap[1] to heap[count] */
    size_t count, capacity;
    int64_t wakes_at; /* when the thread looks again by itself */
    int64_t look_ns; /* when to look at the canceller */
    bool stopping;
    pthread_t thread;
} watch = {.mutex = PTHREAD_MUTEX_INITIALIZER, .once = PTHREAD_ONCE_INIT, .look_ns = NEVER};

static void watch_init(void)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&watch.wake, &attributes);
    pthread_cond_init(&watch.none, &attributes);
    pthread_condattr_destroy(&attributes);
}

/* ---- the heap ---- */

static void place(size_t index, struct call *call)
{
    watch.heap[index] = call;
    call->heap_index = index;
}

/* Puts `call` where it belongs, from the free place `index` on. */
static void sift(size_t index, struct call *call)
{
    while (index > 1 && watch.heap[index / 2]->due_ns > call->due_ns) {
        place(index, watch.heap[index / 2]);
        index /= 2;
    }
    for (;;) {
        size_t child = index * 2;
        if (child > watch.count)
            break;
        if (child < watch.count && watch.heap[child + 1]->due_ns < watch.heap[child]->due_ns)
            child++;
        if (watch.heap[child]->due_ns >= call->due_ns)
            break;
        place(index, watch.heap[child]);
        index = child;
    }
    place(index, call);
}

static bool make_room(void)
{
    if (watch.count + 1 < watch.capacity)
        return true;
    size_t capacity = watch.capacity > 0 ? watch.capacity * 2 : 64;
    struct call **heap = realloc(watch.heap, capacity * sizeof(*heap));
    if (heap == NULL)
        return false;
    watch.heap = heap;
    watch.capacity = capacity;
    return true;
}

bool deadline_add(struct call *call)
{
    bool wake = false;
    pthread_mutex_lock(&watch.mutex);
    bool ok = make_room();
    if (ok) {
        /* A deadline without a limit is somebody else's to watch: mcpd's, in a worker. */
        call->due_ns = call->limit_ms != 0 ? call->abi.deadline_ns : NEVER;
        atomic_store_explicit(&call->watched, true, memory_order_relaxed);
        watch.count++;
        sift(watch.count, call);
        wake = call->due_ns < watch.wakes_at;
        if (wake)
            watch.wakes_at = call->due_ns;
    }
    pthread_mutex_unlock(&watch.mutex);
    if (wake)
        pthread_cond_signal(&watch.wake);
    return ok;
}

static void take_out(struct call *call)
{
    size_t index = call->heap_index;
    struct call *last = watch.heap[watch.count--];

    call->heap_index = 0;
    if (last != call)
        sift(index, last);
}

void deadline_remove(struct call *call)
{
    if (!atomic_load_explicit(&call->watched, memory_order_relaxed))
        return;
    pthread_mutex_lock(&watch.mutex);
    if (call->heap_index != 0) {
        take_out(call);
        if (watch.count == 0)
            pthread_cond_broadcast(&watch.none);
    }
    pthread_mutex_unlock(&watch.mutex);
    atomic_store_explicit(&call->watched, false, memory_order_relaxed);
}

void deadline_lift(struct call *call)
{
    pthread_mutex_lock(&watch.mutex);
    if (call->heap_index != 0) {
        take_out(call);
        call->due_ns = NEVER;
        watch.count++;
        sift(watch.count, call);
    }
    pthread_mutex_unlock(&watch.mutex);
}

void deadline_look_by(int64_t due_ns)
{
    pthread_mutex_lock(&watch.mutex);
    if (due_ns < watch.look_ns)
        watch.look_ns = due_ns;
    bool wake = due_ns < watch.wakes_at;
    if (wake)
        watch.wakes_at = due_ns;
    pthread_mutex_unlock(&watch.mutex);
    if (wake)
        pthread_cond_signal(&watch.wake);
}

/* ---- the thread ---- */

/* The first call is due: moves it to its next time and acts, without the lock. */
static void act(struct call *call)
{
    bool first = (atomic_load(&call->state) & CALL_IS_LATE) == 0;
    char text[CALL_OVERDUE_TEXT];
    call_overdue_text(call, text, sizeof(text));
    call->due_ns = first ? call->abi.deadline_ns + DEADLINE_GRACE_NS : NEVER;
    sift(1, call);
    call_ref(call);
    struct provider *provider = provider_ref(call->provider);
    pthread_mutex_unlock(&watch.mutex);
    if (first) {
        call_late(call);
    } else if (call_overdue(call, text) && call_counts(call)) {
        provider_call_late(provider, text);
        provider_call_failed(provider, text);
    }
    provider_unref(provider);
    call_unref(call);
    pthread_mutex_lock(&watch.mutex);
}

static void look_at_canceller(void)
{
    watch.look_ns = NEVER;
    pthread_mutex_unlock(&watch.mutex);
    int64_t next_ns = canceller_look(clock_now());
    pthread_mutex_lock(&watch.mutex);
    if (next_ns < watch.look_ns)
        watch.look_ns = next_ns;
}

static void sleep_until(int64_t due_ns)
{
    watch.wakes_at = due_ns;
    if (due_ns == NEVER) {
        pthread_cond_wait(&watch.wake, &watch.mutex);
    } else {
        const struct timespec until = {.tv_sec = due_ns / NS_PER_S, .tv_nsec = due_ns % NS_PER_S};
        pthread_cond_timedwait(&watch.wake, &watch.mutex, &until);
    }
    watch.wakes_at = INT64_MIN; /* awake: no need to wake it */
}

static void wake_for_pulse(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&watch.mutex);
    pthread_cond_broadcast(&watch.wake);
    pthread_mutex_unlock(&watch.mutex);
}

static void *run(void *unused)
{
    struct pulse pulse;
    (void)unused;
    pulse_join(&pulse, "mcpd-deadline", wake_for_pulse, NULL);
    pthread_mutex_lock(&watch.mutex);
    while (!watch.stopping) {
        pulse_beat();
        int64_t due_ns = watch.count > 0 ? watch.heap[1]->due_ns : NEVER;
        int64_t now = clock_now();
        if (due_ns <= now)
            act(watch.heap[1]);
        else if (watch.look_ns <= now)
            look_at_canceller();
        else
            sleep_until(due_ns < watch.look_ns ? due_ns : watch.look_ns);
    }
    pthread_mutex_unlock(&watch.mutex);
    pulse_leave(&pulse);
    return NULL;
}

bool deadline_start(struct error *err)
{
    pthread_once(&watch.once, watch_init);
    watch.stopping = false;
    watch.wakes_at = INT64_MIN;
    return thread_start(&watch.thread, "mcpd-deadline", run, NULL, err);
}

void deadline_stop(void)
{
    pthread_mutex_lock(&watch.mutex);
    watch.stopping = true;
    /* To all, though there is one: glibc before 2.41 loses a signal now and then
     * (its bug 25847), and this one would never be made good. */
    pthread_cond_broadcast(&watch.wake);
    pthread_mutex_unlock(&watch.mutex);
    pthread_join(watch.thread, NULL);
    pthread_mutex_lock(&watch.mutex);
    if (watch.count == 0) {
        free(watch.heap);
        watch.heap = NULL;
        watch.capacity = 0;
    }
    pthread_mutex_unlock(&watch.mutex);
}

bool deadline_wait_none(int64_t until_ns)
{
    const struct timespec until = {.tv_sec = until_ns / NS_PER_S, .tv_nsec = until_ns % NS_PER_S};
    int result = 0;
    pthread_mutex_lock(&watch.mutex);
    while (watch.count > 0 && result != ETIMEDOUT)
        result = pthread_cond_timedwait(&watch.none, &watch.mutex, &until);
    bool none = watch.count == 0;
    pthread_mutex_unlock(&watch.mutex);
    return none;
}

size_t deadline_count(void)
{
    pthread_mutex_lock(&watch.mutex);
    size_t count = watch.count;
    pthread_mutex_unlock(&watch.mutex);
    return count;
}

/* ---- ending many ---- */

/* All calls, or those of one provider, that do not have the bit yet, which `each` gives them. */
static void each_without(unsigned bit, const struct provider *provider,
                         void (*each)(struct call *call))
{
    struct call *some[64];
    size_t count;
    do {
        count = 0;
        pthread_mutex_lock(&watch.mutex);
        /* The latest first: the end of a call that runs lets one in that waits. */
        for (size_t i = watch.count; i > 0 && count < sizeof(some) / sizeof(some[0]); i--) {
            struct call *call = watch.heap[i];
            if ((provider == NULL || call->provider == provider) &&
                (atomic_load(&call->state) & bit) == 0)
                some[count++] = call_ref(call);
        }
        pthread_mutex_unlock(&watch.mutex);
        for (size_t i = 0; i < count; i++) {
            each(some[i]);
            call_unref(some[i]);
        }
    } while (count > 0);
}

void call_cancel_all(const struct provider *provider)
{
    each_without(CALL_IS_CANCELLED, provider, call_interrupt);
}

static void give_up(struct call *call)
{
    const struct call_result result = {
        .end = call_counts(call) ? CALL_TIMEOUT : CALL_BUSY, /* a check then says nothing */
        .text = BYTES("Given up: the server is ending, and the call has not finished in the time "
                      "that was left to it (server.shutdown_timeout_ms). What it has begun may "
                      "have been done, or not.")};
    call_answer(call, &result);
    call_cancel(call);
}

void call_give_up_all(void)
{
    each_without(CALL_IS_ANSWERED, NULL, give_up);
}
