/* SPDX-License-Identifier: MIT */
/* The inside of struct call, for call.c, call_ops.c, call_task.c, call_memory.c,
 * dispatch.c, deadline.c, canceller.c and worker_calls.c. */
#ifndef PLUGIN_CALL_PRIVATE_H
#define PLUGIN_CALL_PRIVATE_H

#include <pthread.h>

#include "plugin/call.h"
#include "plugin/scan.h"

/* Bits of call.state. Nobody takes one back. */
enum {
    CALL_IS_CANCELLED = 1,
    CALL_IS_ANSWERED = 2, /* `finished` has run, or is running; no other event runs */
    CALL_IS_ENDED = 4, /* the plugin's side has begun to end it; nobody else may */
    CALL_IS_DONE = 8, /* ... and the function that ends it is through */
    CALL_HAS_RETURNED = 16, /* ops->call has, or was never called */
    CALL_IS_LATE = 32, /* the deadline has passed */
    CALL_HAS_CALLBACK = 64, /* on_cancel was set at some time */
    CALL_IS_UNWANTED = 128, /* nobody waits for its end; cancelled, too */
    CALL_HAS_ERRED = 256 /* the log has a mistake of the plugin's on the way */
};

/* How many MCP_PART_* there are. */
#define CALL_PARTS 4

struct call_cache;

struct call {
    struct mcp_call abi;
    atomic_uint references;
    atomic_uint state;
    struct provider *provider; /* until the plugin's side has let go */
    const struct call_events *events;
    void *owner;
    void (*release)(void *owner);
    enum call_function function;
    uint32_t flags; /* of the offer: MCP_TOOL_* */
    const struct json *json;
    const struct json_node *arguments; /* NULL: none were given */
    int log_level;
    bool wants_progress, can_ask, nonblocking;
    bool elsewhere; /* as its provider */
    atomic_bool client_carries; /* its state, until it is a task */
    bool trial; /* the provider's breaker let it through to see */
    uint32_t limit_ms; /* its time, for the message; 0: none */

    pthread_mutex_t event_mutex; /* recursive, as is cancel_mutex */
    struct call_task_waiter *task_waiters; /* not NULL: a start_task has begun; under that */
    pthread_mutex_t cancel_mutex;
    void (*on_cancel)(void *data);
    void *on_cancel_data;
    pthread_mutex_t mutex; /* guards the next three */
    struct arena arena; /* decoded strings, and the indexes of `parts` */
    struct json parts[CALL_PARTS]; /* what read has looked into; .root is NULL: not yet */
    int cancel_fd; /* -1: none yet */

    /* dispatch.c's, under its mutex. */
    struct gate *gate; /* the first one on its way; a reference; NULL: none */
    struct gate *at; /* the gate it waits at, or has to pass next */
    struct call *previous, *next; /* in `line` */
    struct line *line;
    bool inside_tool; /* holds a place at the gate of its tool */

    /* deadline.c's, under its mutex. */
    int64_t due_ns;
    size_t heap_index; /* from 1; 0: not watched */
    atomic_bool watched;

    /* canceller.c's, under its mutex. */
    struct call *previous_told, *next_told;
    bool awaits_teller;

    struct call *next_waiting; /* for a worker process to start; worker_calls.c's */

    struct call_cache *home; /* of the thread that made it */
    char provider_id[PLUGIN_ID_MAX + 1]; /* that of `provider`, also when it has let go */
    char name[TOOL_NAME_MAX + 1]; /* the plugin's own name of the tool; may be cut for others */
};

/* Whether its end counts for the breaker of its provider: a check says nothing of calls. */
static inline bool call_counts(const struct call *call)
{
    return call->function != CALL_HEALTH;
}

/* Runs the plugin on this thread. */
void call_enter(struct call *call);

/* Ends a call that has not entered the plugin and will not. */
void call_turn_away(struct call *call, enum call_end end, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Calls its on_cancel function, if it is still to be called. */
void call_run_on_cancel(struct call *call);

/* The deadline has passed: cancels. */
void call_late(struct call *call);
/* ... and the plugin has not ended it: answers for it, if nobody has. The text is made while the
 * call is sure to be inside its provider. */
#define CALL_OVERDUE_TEXT 300
void call_overdue_text(const struct call *call, char *out, size_t size);
bool call_overdue(struct call *call, const char *text);
/* What one is told that was cancelled, or was late, before the plugin had it; as long. */
void call_unbegun_text(const struct call *call, char *out, size_t size);

/* One side of the plugin layer is through: CALL_IS_DONE or CALL_HAS_RETURNED.
 * The second one lets go of the call. */
void call_side_done(struct call *call, unsigned side);

/* Tells the host how it ended, if nobody has. False: nobody waits for it. */
bool call_answer(struct call *call, const struct call_result *result);

extern const struct mcp_call_ops call_ops; /* call_ops.c */

/* ---- call_task.c: see there ---- */

/* Whether a start_task of it has begun and is not settled. */
bool call_task_is_begun(struct call *call);
/* start_task for a thread of the plugin's, which waits. */
int32_t call_wait_for_task(struct call *call);
/* Tells those who wait in start_task. event_mutex held. */
void call_tell_task_waiters(struct call *call, int32_t code);

/* ---- call_form.c: what a plugin may give as JSON ---- */

/* "CallToolResult" */
const char *call_result_name(enum call_function function);
/* The rule that a result of the call's function breaks, or NULL. */
const char *call_result_fault(const struct call *call, const struct json *json);
/* The same of an error's data, with MCP_ERROR_MISSING_CAPABILITY. */
const char *call_missing_fault(const struct call *call, const struct json *json);

/* ---- call_requests.c ---- */

/* The rule that InputRequests break, or NULL; a text until the next on this thread. */
const char *call_requests_fault(const struct call *call, const struct json *json);
/* Of legal ones: how much of them a client carries, besides the state. */
size_t call_requests_carried(const struct json *json);

/* ---- call_memory.c ---- */

/* From this thread's cache, or new; NULL: no memory. What the comment of the
 * definition names is initialised. */
struct call *call_allocate(void);
void call_recycle(struct call *call);

/* This thread's arena for the time of one function; NULL: no memory. */
struct arena *scratch_take(void);
void scratch_give_back(struct arena *arena);

#endif
