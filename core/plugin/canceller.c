/* SPDX-License-Identifier: MIT */
/* A line of cancelled calls, and the threads that take from it what is of no provider that
 * another is inside of. A call in the line has not ended: who ends it takes it out, so that
 * it and its provider are there. */
#include "plugin/canceller.h"

#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "plugin/call_private.h"
#include "plugin/deadline.h"
#include "plugin/dispatch.h"

#define NEVER INT64_MAX

struct teller {
    pthread_t thread;
    const struct provider *provider; /* that it is inside of; NULL: none; compared only */
    int64_t since_ns;
    bool said; /* that it takes long */
    char who[PLUGIN_ID_MAX + TOOL_NAME_MAX + 2]; /* "provider/tool" */
};

static struct {
    pthread_mutex_t mutex;
    pthread_once_t once;
    pthread_cond_t wake, one_over;
    struct call *first, *last;
    struct teller tellers[CANCELLER_THREADS];
    uint32_t started, idle, over;
    bool stopping;
} canceller = {.mutex = PTHREAD_MUTEX_INITIALIZER, .once = PTHREAD_ONCE_INIT};

static void canceller_init(void)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&canceller.wake, &attributes);
    pthread_cond_init(&canceller.one_over, &attributes);
    pthread_condattr_destroy(&attributes);
}

/* ---- the line; mutex held ---- */

static void line_add(struct call *call)
{
    call->awaits_teller = true;
    call->next_told = NULL;
    call->previous_told = canceller.last;
    if (canceller.last != NULL)
        canceller.last->next_told = call;
    else
        canceller.first = call;
    canceller.last = call;
}

static void line_remove(struct call *call)
{
    call->awaits_teller = false;
    if (call->previous_told != NULL)
        call->previous_told->next_told = call->next_told;
    else
        canceller.first = call->next_told;
    if (call->next_told != NULL)
        call->next_told->previous_told = call->previous_told;
    else
        canceller.last = call->previous_told;
}

static bool somebody_is_inside(const struct provider *provider)
{
    for (uint32_t i = 0; i < canceller.started; i++) {
        if (canceller.tellers[i].provider == provider)
            return true;
    }
    return false;
}

/* The first whose provider nobody is inside of; NULL: none. */
static struct call *next_call(void)
{
    struct call *call = canceller.first;
    while (call != NULL && somebody_is_inside(call->provider))
        call = call->next_told;
    return call;
}

/* ---- the threads ---- */

static void *run(void *argument);

/* Sees to it that somebody looks at the line. False: there is nobody. Mutex held. */
static bool call_teller(void)
{
    struct error err; /* without memory for one more, those that there are must do */
    struct teller *teller = &canceller.tellers[canceller.started];

    if (canceller.idle > 0)
        pthread_cond_broadcast(&canceller.wake);
    else if (canceller.started < CANCELLER_THREADS && !canceller.stopping && next_call() != NULL &&
             thread_start_sized(&teller->thread, "mcpd-canceller", DISPATCH_STACK_SIZE, run, teller,
                                &err))
        canceller.started++;
    return canceller.started > 0;
}

static void tell(struct teller *self, struct call *call)
{
    line_remove(call);
    call_ref(call);
    self->provider = call->provider;
    self->since_ns = clock_now();
    self->said = false;
    snprintf(self->who, sizeof(self->who), "%s/%s", call->provider->id, call->name);
    call_teller(); /* for those behind it */
    pthread_mutex_unlock(&canceller.mutex);
    deadline_look_by(self->since_ns + CANCELLER_PATIENCE_NS);
    call_run_on_cancel(call);
    call_unref(call);
    pthread_mutex_lock(&canceller.mutex);
    self->provider = NULL;
    bool said = self->said;
    pthread_mutex_unlock(&canceller.mutex);
    if (said)
        log_notice("%s: its on_cancel function has returned after %.1f s", self->who,
                   (double)(clock_now() - self->since_ns) / NS_PER_S);
    pthread_mutex_lock(&canceller.mutex);
}

static void *run(void *argument)
{
    struct teller *self = argument;
    struct call *call;

    pthread_mutex_lock(&canceller.mutex);
    for (;;) {
        while ((call = next_call()) != NULL)
            tell(self, call);
        if (canceller.stopping)
            break;
        canceller.idle++;
        pthread_cond_wait(&canceller.wake, &canceller.mutex);
        canceller.idle--;
    }
    canceller.over++;
    pthread_cond_broadcast(&canceller.one_over);
    pthread_mutex_unlock(&canceller.mutex);
    return NULL;
}

/* ---- for others ---- */

bool canceller_tell(struct call *call)
{
    bool told = true;
    pthread_mutex_lock(&canceller.mutex);
    if ((atomic_load(&call->state) & CALL_IS_ENDED) == 0) {
        pthread_once(&canceller.once, canceller_init);
        line_add(call);
        told = call_teller();
        if (!told)
            line_remove(call);
    }
    pthread_mutex_unlock(&canceller.mutex);
    return told;
}

void canceller_forget(struct call *call)
{
    pthread_mutex_lock(&canceller.mutex);
    if (call->awaits_teller)
        line_remove(call);
    pthread_mutex_unlock(&canceller.mutex);
}

/* Whether it is to be named now. Mutex held. */
static bool is_stuck(struct teller *teller, int64_t now, int64_t *next_ns)
{
    if (teller->provider == NULL || teller->said)
        return false;
    int64_t due_ns = teller->since_ns + CANCELLER_PATIENCE_NS;
    teller->said = due_ns <= now;
    if (!teller->said && due_ns < *next_ns)
        *next_ns = due_ns;
    return teller->said;
}

int64_t canceller_look(int64_t now)
{
    int64_t next_ns = NEVER;
    for (uint32_t i = 0; i < CANCELLER_THREADS; i++) {
        struct teller *teller = &canceller.tellers[i];
        char who[sizeof(teller->who)];
        pthread_mutex_lock(&canceller.mutex);
        bool stuck = is_stuck(teller, now, &next_ns);
        memcpy(who, teller->who, sizeof(who));
        pthread_mutex_unlock(&canceller.mutex);
        if (stuck)
            log_error("%s: its on_cancel function does not return: it must not block (see "
                      "mcp_plugin(3)); until it does, no other one of this provider is called",
                      who);
    }
    return next_ns;
}

bool canceller_stop(int64_t until_ns)
{
    const struct timespec until = {.tv_sec = until_ns / NS_PER_S, .tv_nsec = until_ns % NS_PER_S};
    int result = 0;

    pthread_once(&canceller.once, canceller_init);
    pthread_mutex_lock(&canceller.mutex);
    canceller.stopping = true;
    pthread_cond_broadcast(&canceller.wake);
    while (canceller.over < canceller.started && result != ETIMEDOUT)
        result = pthread_cond_timedwait(&canceller.one_over, &canceller.mutex, &until);
    bool all = canceller.over == canceller.started;
    pthread_mutex_unlock(&canceller.mutex);
    if (!all) {
        log_error("on_cancel functions of plugins have not returned: their threads are left "
                  "behind");
        return false;
    }
    for (uint32_t i = 0; i < canceller.started; i++) /* no more start */
        pthread_join(canceller.tellers[i].thread, NULL);
    pthread_mutex_lock(&canceller.mutex);
    canceller.started = canceller.over = 0;
    canceller.stopping = false;
    pthread_mutex_unlock(&canceller.mutex);
    return true;
}
