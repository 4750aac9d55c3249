/* SPDX-License-Identifier: MIT */
/*
 * A call that becomes a task (start_task). The host begins it as an event and settles it
 * as another when its store has it; in between the call is as free as any other: an end
 * that comes first is its end, and who waits is told so. Thus no thread but that of the
 * plugin waits for the store.
 */
#include "plugin/call_private.h"

static bool is_answered(const struct call *call)
{
    return (atomic_load(&call->state) & CALL_IS_ANSWERED) != 0;
}

void call_tell_task_waiters(struct call *call, int32_t code)
{
    struct call_task_waiter *waiter = call->task_waiters;
    call->task_waiters = NULL;
    while (waiter != NULL) {
        struct call_task_waiter *next = waiter->next; /* it may be gone when it is told */
        waiter->told(waiter, code);
        waiter = next;
    }
}

bool call_task_is_begun(struct call *call)
{
    pthread_mutex_lock(&call->event_mutex);
    bool begun = call->task_waiters != NULL;
    pthread_mutex_unlock(&call->event_mutex);
    return begun;
}

int32_t call_start_task(struct call *call, struct call_task_waiter *waiter)
{
    const uint32_t flags = MCP_TOOL_TASK_OPTIONAL | MCP_TOOL_TASK_REQUIRED;
    const unsigned state = atomic_load(&call->state);
    int32_t code;

    if ((state & CALL_IS_ENDED) != 0)
        return MCP_EINVAL;
    if ((call->flags & flags) == 0 || call->events->start_task == NULL)
        return MCP_ENOTSUP;
    pthread_mutex_lock(&call->event_mutex);
    if (is_answered(call))
        code = MCP_ECANCELLED;
    else if (call->task_waiters != NULL)
        code = CALL_TASK_BEGUN; /* by another thread */
    else
        code = call->events->start_task(call);
    if (code == CALL_TASK_BEGUN) {
        waiter->next = call->task_waiters;
        call->task_waiters = waiter;
    }
    pthread_mutex_unlock(&call->event_mutex);
    return code;
}

void call_task_settle(struct call *call, int32_t (*settle)(void *context, bool waiting),
                      void *context)
{
    pthread_mutex_lock(&call->event_mutex);
    int32_t code = settle(context, !is_answered(call));
    if (code == MCP_OK)
        call->client_carries = false; /* the store does */
    call_tell_task_waiters(call, code);
    pthread_mutex_unlock(&call->event_mutex);
}

/* A thread of the plugin's, which may wait. */
struct thread_waiter {
    struct call_task_waiter waiter; /* first */
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool done;
    int32_t code;
};

static void wake_thread(struct call_task_waiter *waiter, int32_t code)
{
    struct thread_waiter *thread = (struct thread_waiter *)(void *)waiter;
    pthread_mutex_lock(&thread->mutex);
    thread->done = true;
    thread->code = code;
    pthread_cond_signal(&thread->wake);
    pthread_mutex_unlock(&thread->mutex);
}

int32_t call_wait_for_task(struct call *call)
{
    struct thread_waiter thread = {.waiter = {.told = wake_thread},
                                   .mutex = PTHREAD_MUTEX_INITIALIZER,
                                   .wake = PTHREAD_COND_INITIALIZER};
    int32_t code = call_start_task(call, &thread.waiter);
    if (code != CALL_TASK_BEGUN)
        return code;
    pthread_mutex_lock(&thread.mutex);
    while (!thread.done)
        pthread_cond_wait(&thread.wake, &thread.mutex);
    pthread_mutex_unlock(&thread.mutex);
    return thread.code;
}
