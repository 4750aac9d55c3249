/* SPDX-License-Identifier: MIT */
/* notifications/tasks, for those who listen (extensions/tasks, "Task Status
 * Notifications"). The watches of resources carry them: whoever falls behind is
 * told how the task stands then, and never of every step. */
#include <stdio.h>
#include <stdlib.h>

#include "mcp/listeners.h"
#include "mcp/task_private.h"

struct bytes tasks_watch_key(struct bytes id, char key[TASK_WATCH_SIZE])
{
    int size = snprintf(key, TASK_WATCH_SIZE, "\n%.*s",
                        (int)(id.size > TASK_ID_SIZE ? TASK_ID_SIZE : id.size), id.data);

    return (struct bytes){key, (size_t)size};
}

void task_changed(const struct task *task)
{
    char key[TASK_WATCH_SIZE];

    watches_updated(task->home->mcp->watches, tasks_watch_key(task->row.id, key));
}

bool tasks_may_watch(const struct request *request, struct bytes id)
{
    struct tasks *tasks = request->mcp->tasks;

    pthread_mutex_lock(&tasks->mutex);
    const struct task *task = tasks_find(tasks, id);
    bool may = task != NULL && task->phase != PHASE_NEW && task_is_callers(request, &task->row);
    pthread_mutex_unlock(&tasks->mutex);
    return may;
}

/* One who waits for the store. */
struct telling {
    struct tasks *tasks;
    struct listener *listener; /* a reference */
};

static bool tell(struct tasks *tasks, const struct store_task *row, struct listener *listener,
                 bool locked)
{
    struct buf out;

    buf_init(&out, (size_t)1 << 30);
    task_write(&out, row, atomic_load(&tasks->poll_interval_ms), TASK_DETAILED);
    if (locked)
        pthread_mutex_unlock(&tasks->mutex);
    bool told = !out.failed && listener_tell_task(listener, buf_bytes(&out));
    buf_free(&out);
    return told;
}

static void found(void *context, const struct store_task *row, const struct error *failure)
{
    struct telling *telling = context;

    if (failure == NULL && row != NULL)
        tell(telling->tasks, row, telling->listener, false);
    listener_unref(telling->listener);
    free(telling);
}

bool tasks_tell(struct tasks *tasks, struct bytes id, struct listener *listener)
{
    pthread_mutex_lock(&tasks->mutex);
    const struct task *task = tasks_find(tasks, id);
    if (task != NULL)
        return tell(tasks, &task->row, listener, true);
    struct telling *telling = tasks->store != NULL ? malloc(sizeof *telling) : NULL;
    if (telling != NULL) {
        *telling = (struct telling){tasks, listener_ref(listener)};
        if (!store_find_task(tasks->store, id, found, telling)) {
            listener_unref(listener); /* the caller has another reference */
            free(telling);
        }
    }
    pthread_mutex_unlock(&tasks->mutex);
    return true;
}
