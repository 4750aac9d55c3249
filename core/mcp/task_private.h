/* SPDX-License-Identifier: MIT */
/*
 * The inside of tasks:
 *
 *   tasks.c         the life of tasks: made, saved, waiting, over, taken up again
 *   task_run.c      carrying one out: the request issued inside mcpd
 *   task_input.c    what is asked of the client on the way, and the answers
 *   task_watch.c    telling those who listen
 *   task_call.c     a tools/call that becomes a task
 *   task_methods.c  what clients see: tasks/get, tasks/update, tasks/cancel
 *   task_sessions.c the same for sessions of 2025-11-25
 */
#ifndef MCP_TASK_PRIVATE_H
#define MCP_TASK_PRIVATE_H

#include <pthread.h>

#include "base/clock.h"
#include "mcp/tasks.h"

#define TASK_ID_SIZE 43 /* 32 random bytes in base64url */
#define TASK_BUCKETS 4096

enum task_phase {
    PHASE_NEW, /* the store does not have it yet */
    PHASE_TOLD, /* the client is being told of it, and may ask at once */
    PHASE_WAITS, /* for a place */
    PHASE_RUNS, /* has a place; `run` is NULL until the store knows */
    PHASE_ASKS, /* waits for the client's answers */
    PHASE_OVER /* final; here until the store has it, and a while longer */
};

struct waiter;

struct task {
    struct tasks *home;
    atomic_uint references; /* one is the table's */
    const struct revision *revision;
    char id[TASK_ID_SIZE + 1];

    /* Guarded by home->mutex. */
    struct task *next; /* in the bucket */
    struct task *next_waiting;
    bool linked; /* in the table */
    bool unsaved; /* the store has failed to take the last state */
    bool stored; /* over, and the store has it */
    unsigned saving; /* how often it stands in the store's line */
    enum task_phase phase;
    /* What the store has of it. payload, inside and message are from malloc; the rest
     * is behind the struct and does not change. */
    struct store_task row;
    unsigned round; /* how often the client has been asked */
    bool repeatable; /* carrying it out twice does no harm */
    const char *interrupted; /* by what, when it had begun and must begin again; NULL */
    struct task_run *run; /* a reference */
    struct waiter *waiters; /* task_sessions.c: who waits for the result */
    int64_t message_ns; /* when the message was last set by progress */
};

struct tasks {
    struct mcp *mcp;
    atomic_uint max, max_running, ttl_ms, poll_interval_ms;

    pthread_mutex_t mutex;
    pthread_cond_t idle; /* a run has ended */
    struct store *store; /* NULL: closed */
    struct task *buckets[TASK_BUCKETS];
    size_t count; /* of all in the store */
    struct task *first_waiting, **last_waiting;
    unsigned running; /* places taken */
    int64_t not_before_ns; /* nothing is started before: it could not be just now */
    bool stopping;
    bool resumed;
    bool complained; /* of a store that fails */
    unsigned outstanding; /* structs task alive, for tasks_free */
};

/* One carrying out of a task: the way back of its request. */
struct task_run {
    struct reply reply; /* first: a reply is a run */
    atomic_uint references;
    struct task *task; /* a reference */
    /* Guarded by the tasks' mutex. */
    const struct request *origin; /* `request`, or that of the late call */
    bool receiving; /* the request is just being issued */
    bool cancelled; /* by the client, or because its time is over */

    struct reply *exchange; /* late: that of the client, held */

    /* The request, when it was issued inside. */
    struct arena arena;
    struct message message;
    struct request request;
    struct bytes state, answers;
};

/* ---- tasks.c ---- */

/* A new task for the request, which nobody knows yet; a reference, and the
 * table's. NULL: refused, with the reason. */
struct task *task_new(struct tasks *tasks, const struct request *request, struct error *why);
struct task *task_ref(struct task *task);
void task_unref(struct task *task);

/* The rest with home->mutex held. */

struct task *tasks_find(struct tasks *tasks, struct bytes id);
void task_forget(struct task *task); /* takes it from the table */
/* How the store has answered: the operator hears when that changes. */
void tasks_store_failed(struct tasks *tasks, const struct error *failure);
void tasks_store_works(struct tasks *tasks);
/* Takes a text from malloc as payload, inside or message. */
void task_set(struct bytes *text, char *data, size_t size);
/* Puts the state in the store's line; again later when that cannot be. */
void task_save(struct task *task);
/* Those who listen are to be told how it stands. */
void task_changed(const struct task *task);
/* Puts it behind those that wait, and starts what there is room for. */
void task_wait(struct task *task);
/* The same, when it could not begin just now: in a while. */
void task_postpone(struct task *task);
void tasks_pump(struct tasks *tasks);
/* A final status, with its payload from malloc. Its run, if it has one, is
 * returned: task_run_cancel, or task_run_unref, is the caller's, without the mutex. */
struct task_run *task_end(struct task *task, enum task_status status, struct buf *payload,
                          const char *message);

/* ---- task_run.c ---- */

/* Issues the request; the task has a place, and a reference for this. Not with the
 * mutex. */
void task_run_start(struct task *task);
struct task_run *task_run_new(struct task *task);
struct task_run *task_run_ref(struct task_run *run);
void task_run_unref(struct task_run *run);
/* Cancels its call and drops the reference. NULL is allowed. Not with the mutex. */
void task_run_cancel(struct task_run *run);

/* ---- task_input.c ---- */

/* The provider asks. With the mutex held. False: it asks what the client cannot
 * do; *why becomes the error object. */
bool task_ask(struct task *task, const struct call_result *result, struct buf *why);
/* Takes answers; *complete: nothing is outstanding any more. False: one of them is
 * not legal, or no memory. With the mutex held. */
bool task_take_answers(struct task *task, const struct json *json, const struct json_node *answers,
                       bool *changed, bool *complete, struct error *why);
/* How often the client had been asked. */
unsigned task_round(struct bytes inside);
/* What the next call is made with, into the run's arena. */
void task_read_inside(struct task_run *run, struct bytes inside);
/* {"round":...,"state":...,"answers":...} */
void task_write_inside(struct buf *out, unsigned round, struct bytes state, struct bytes answers);

/* ---- task_methods.c ---- */

/* Whether the task is the caller's. */
bool task_is_callers(const struct request *request, const struct store_task *row);

/* The error object of JSON-RPC. */
void task_write_error(struct buf *out, int code, const char *message);
enum task_form {
    TASK_PLAIN, /* the members of a Task */
    TASK_DETAILED, /* and those of its status */
    TASK_OF_SESSION /* those of 2025-11-25 */
};
void task_write(struct buf *out, const struct store_task *row, uint32_t poll_interval_ms,
                enum task_form form);
/* Answers with a result: {"resultType":TYPE, the task, "_meta":...}. */
void task_respond(const struct request *request, const char *type, const struct store_task *row,
                  enum task_form form);

/* What a method does with a task. */
struct task_method {
    /* With one in memory; with the mutex held, which it lets go. */
    void (*live)(struct request *request, struct task *task);
    /* With one that is final. */
    void (*final)(struct request *request, const struct store_task *row);
};
/* Finds the task that params.taskId names, now or after a look into the store. */
void task_dispatch(struct request *request, const struct task_method *method);
/* Answers when the store has what was put in its line before; with the mutex held,
 * which it lets go. */
void task_answer_stored(struct request *request, struct task *task,
                        const struct task_method *method);

/* ---- task_sessions.c ---- */

/* Answers those who wait for the result, if the task is over. Not with the mutex. */
void task_tell_waiters(struct task *task);

#endif
