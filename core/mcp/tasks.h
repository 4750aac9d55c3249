/* SPDX-License-Identifier: MIT */
/*
 * Tasks (extensions/tasks of 2026-07-28): calls whose clients do not wait, but
 * have a handle and come back for the result, also after a restart.
 *
 * A task keeps the request that it was made for. To carry it out, the request is
 * issued again inside mcpd, as if it had just arrived, with a reply of the
 * task's own (struct task_run): the way through tools/call is the ordinary one,
 * and what comes back is stored instead of sent. A call that becomes a task on
 * its way (MCP_TOOL_TASK_LATE) has its reply exchanged for such a one.
 *
 * Life: made durable, then told to the client, then run - by the store's thread,
 * which calls back when it has been written down that the provider is about to
 * be entered. What the client must be able to rely on is answered when the store
 * has it.
 *
 * Lock: tasks.mutex guards all tasks. Held while work is put in the store's
 * line, so that it stands there in the order of the states; never while
 * anything is sent or called.
 */
#ifndef MCP_TASKS_H
#define MCP_TASKS_H

#include "mcp/request.h"
#include "plugin/call.h"
#include "store/store.h"

#define TASKS_EXTENSION "io.modelcontextprotocol/tasks"

struct listener;
struct tasks;
struct task_run;

/* Takes up the tasks that an earlier life has left in the store, not yet running
 * anything. */
struct tasks *tasks_new(struct mcp *mcp, struct store *store, struct error *err);
void tasks_free(struct tasks *tasks); /* NULL is allowed */
void tasks_configure(struct tasks *tasks, const struct config *config);

/* The providers are there: goes on with what was taken up. */
void tasks_resume(struct tasks *tasks);
/* Starts nothing more, and waits for those that a restart would fail. */
void tasks_stop(struct tasks *tasks, int64_t deadline_ns);
/* Lets go of the requests of sessions that wait for the end of a task. */
void tasks_end_waits(struct tasks *tasks);
/* The store is not used from now on. */
void tasks_close(struct tasks *tasks);
/* Now and then: forgets, fails those that took too long, tries again. */
void tasks_tick(struct tasks *tasks);

/* ---- for tools/call ---- */

/* A tool has been found, and its arguments are right. True: the call is made now.
 * False: it has become a task, or been refused. */
bool tasks_admit(struct request *request, const struct registry_entry *entry);

/* Whether a call, once made, may become a task (start_task). */
bool tasks_may_start(const struct request *request, const struct registry_entry *entry);
/* Makes the request of a call a task. As call_events.start_task: CALL_TASK_BEGUN, and
 * when the store has it, request->run is set and the client told; `became` is then
 * called, as part of that event. MCP_OK: it is one already. */
int32_t tasks_start(struct request *request, struct call *call, void (*became)(struct call *call));

/* The end of a call that was made for a task. True: that was all; false: it is
 * answered as usual, to the run. */
bool task_run_ended(struct task_run *run, struct call *call, const struct call_result *result);
/* The call could not be made now: later. */
void task_run_postpone(struct task_run *run);
void task_run_progress(struct task_run *run, double done, double total, struct bytes message);

/* What the provider is entered with: of the call before it in this task. */
struct bytes task_run_state(const struct task_run *run);
struct bytes task_run_answers(const struct task_run *run);
struct bytes task_run_capabilities(const struct task_run *run); /* of a session */
void task_run_caller(const struct task_run *run, struct mcp_caller *caller);

/* ---- for subscriptions/listen ---- */

/* What the watches know a task by: no URI, for these have no line feed. */
#define TASK_WATCH_SIZE 64
struct bytes tasks_watch_key(struct bytes id, char key[TASK_WATCH_SIZE]);

/* Whether this very request declares the extension. */
bool tasks_declared(const struct request *request);
/* Refuses one that does not, but would have to. */
void tasks_refuse(const struct request *request, const char *what);
/* Whether the caller may be told of this task: it is his, and of late. */
bool tasks_may_watch(const struct request *request, struct bytes id);
/* Tells how the task stands. */
bool tasks_tell(struct tasks *tasks, struct bytes id, struct listener *listener);

#endif
