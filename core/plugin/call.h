/* SPDX-License-Identifier: MIT */
/*
 * A call of a tool - or the reading of a resource, the getting of a prompt, the
 * completing of an argument, which are calls too - from the moment the protocol
 * layer has understood it to the moment its result is known.
 *
 * The protocol layer makes it (call_new), starts it, and is told of progress,
 * log messages and, exactly once, the end. Between, it may cancel. The plugin
 * sees the struct mcp_call inside and ends it with one of the finish functions of
 * <mcp/plugin.h>; if it is too late, the deadline ends it.
 *
 * Who holds a reference may call what is here on any thread; only call_start is for
 * the one who made the call, once.
 *
 * References: call_new gives one to the caller. The plugin layer holds its own
 * until the plugin's call_tool has returned and the call has been ended by the
 * plugin.
 *
 * Events of one call never run at the same time, and none runs after `finished`
 * began. An event may call anything here for its own call.
 *
 * Locks of a call: event_mutex is held while an event runs, cancel_mutex while
 * the plugin's on_cancel function runs, which it does on a thread for such functions
 * (plugin/canceller.h); mutex is a leaf.
 */
#ifndef PLUGIN_CALL_H
#define PLUGIN_CALL_H

#include <mcp/plugin.h>

#include "plugin/registry.h"

/* Which function of the plugin takes the call. */
enum call_function {
    CALL_TOOL,
    CALL_READ_RESOURCE,
    CALL_GET_PROMPT,
    CALL_COMPLETE,
    CALL_HEALTH, /* mcpd's own (plugin/health.h) */
    CALL_FUNCTIONS
};

/* How many things a call may ask at once. */
#define CALL_REQUESTS_MAX 32
/* What a client carries for the plugin meanwhile, in bytes: its state, and the names and
 * requestedSchemas of the requests. */
#define CALL_CARRIED_MAX 48000

enum call_end {
    CALL_TEXT, /* text */
    CALL_STRUCTURED, /* text (that of the JSON when the plugin gave none), json */
    CALL_RESULT, /* json: a whole result of the function, its form checked */
    CALL_FAILURE, /* text, to be shown to the model: isError */
    CALL_NEED_INPUT, /* json: InputRequests; text: the plugin's state */
    CALL_ERROR, /* code; text: a sentence; json_text: JSON data, or empty */
    CALL_TIMEOUT, /* text: a sentence; isError */
    CALL_BUSY, /* text: a sentence; nothing was done, try later */
    CALL_BROKEN /* text: a sentence; the provider broke its contract or is gone */
};

/* How a call ended. Everything is valid during the event only. */
struct call_result {
    enum call_end end;
    int code; /* of CALL_ERROR: MCP_ERROR_* or another; of CALL_BROKEN: MCP_EFAIL when it
                 is held against the provider */
    struct bytes text;
    struct bytes json_text;
    const struct json *json; /* index of json_text, for CALL_RESULT and CALL_NEED_INPUT, and
                                for CALL_STRUCTURED; for CALL_ERROR of its data, or NULL */
};

struct call_events {
    /* The end. Runs on any thread, perhaps inside call_start. */
    void (*finished)(struct call *call, const struct call_result *result);
    /* Only when the request wants them; may be NULL. */
    void (*progress)(struct call *call, double progress, double total, struct bytes message);
    void (*log)(struct call *call, int level, struct bytes data);
    /* The plugin wants the call to be a task from now on. Does not wait: what the plugin
     * is told, or CALL_TASK_BEGUN, and call_task_settle comes later, on another thread.
     * NULL: no tasks. */
    int32_t (*start_task)(struct call *call);
    /* The client may hang up meanwhile. May be NULL. */
    void (*close_stream)(struct call *call);
};

/* What call_new needs to know. All bytes, the json and the caller must stay
 * valid until `release(owner)` is called (from any thread; the call has then
 * gone for good). */
struct call_request {
    const struct registry_entry *entry; /* only used during call_new */
    enum call_function function;
    struct bytes name; /* what the plugin sees as call->name; .data NULL: the offer's own */
    const struct json *json; /* where `arguments` is */
    const struct json_node *arguments; /* an object, or NULL: "{}" */
    const struct json *meta_json; /* where `meta` is */
    const struct json_node *meta; /* an object or NULL */
    const struct mcp_caller *caller;
    uint32_t max_time_ms; /* of the server's configuration; 0: none. The provider's and the
                             tool's own may shorten it. */
    bool wants_progress;
    int log_level; /* the least urgent MCP_LOG_* the client wants; -1: none */
    bool can_ask; /* finish_need_input is possible */
    bool client_carries; /* ... and the state goes to the client: no more than CALL_CARRIED_MAX */
    bool is_task; /* no deadline */
    struct bytes client_capabilities; /* a JSON object, or empty */
    struct bytes state;
    struct bytes input_responses;
    const struct call_events *events;
    void *owner;
    void (*release)(void *owner);
};

/* Enters the provider. NULL: the generation has been retired (look into the
 * newest snapshot and try again), or no memory; `release` is not called. */
struct call *call_new(const struct call_request *request);

/* Runs the call: on this thread when the tool does not block, else by a worker.
 * When the queue is full the call ends at once as CALL_BUSY. */
void call_start(struct call *call);

/* Tells the plugin that nobody needs the result. `finished` still comes. */
void call_cancel(struct call *call);
/* Tells the plugin to come to an end: its result is still wanted. */
void call_interrupt(struct call *call);

/* Whether it has been cancelled, by whomever. */
bool call_is_cancelled(const struct call *call);

/* Its deadline no longer counts: it has become a task. */
void call_lift_deadline(struct call *call);

/* What came of a start_task that had begun. `settle` runs as an event does; what it
 * returns the plugin is told. Not `waiting`: the call has been answered meanwhile, and
 * the plugin has been told MCP_ECANCELLED. */
#define CALL_TASK_BEGUN 1
void call_task_settle(struct call *call, int32_t (*settle)(void *context, bool waiting),
                      void *context);

enum call_function call_function(const struct call *call);
void *call_owner(const struct call *call);
struct call *call_ref(struct call *call);
void call_unref(struct call *call);

/* The longest result a plugin may give, in bytes (calls.max_result_bytes); holds
 * for calls that end from now on. */
void call_set_limits(uint32_t max_result_bytes);
uint32_t call_max_result(void);

/* Cancels every call under way, or those of one provider. Calls that run on the
 * thread of their client are not among them: they are over in a moment. */
void call_cancel_all(const struct provider *provider);
/* mcpd ends: answers for every call under way (CALL_TIMEOUT, with the reason) and cancels
 * it. The plugins may not have noticed yet when this returns. */
void call_give_up_all(void);

/* ---- for the links that run plugins (provider_ops) ---- */

/* The plugin's view of it. */
struct mcp_call *call_abi(struct call *call);
struct call *call_from_abi(const struct mcp_call *abi);

/* mcp_call_ops.start_task for who must not wait: CALL_TASK_BEGUN, and `told` is called
 * once, on any thread and perhaps before this returns; or what the plugin is to be told.
 * `told` runs as an event and must not wait either. */
struct call_task_waiter {
    void (*told)(struct call_task_waiter *waiter, int32_t code);
    struct call_task_waiter *next;
};
int32_t call_start_task(struct call *call, struct call_task_waiter *waiter);

/* Ends the call for the plugin, with a reason of mcpd's own (CALL_BROKEN: call_tool
 * refused it, or exited). Harmless if it has ended. */
void call_end_broken(struct call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The same, and the provider's breaker is told that it was its fault. */
void call_end_faulty(struct call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The same with a text that was made where the plugin runs: CALL_TIMEOUT, CALL_BUSY or
 * CALL_BROKEN. */
void call_end_as(struct call *call, enum call_end end, struct bytes text);

#endif
