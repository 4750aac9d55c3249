/* SPDX-License-Identifier: MIT */
/*
 * Inside mcp: the one form every message takes, whatever revision it came in,
 * and the ways to answer it.
 */
#ifndef MCP_REQUEST_H
#define MCP_REQUEST_H

#include <pthread.h>

#include "json/json.h"
#include "mcp/mcp.h"
#include "mcp/revision.h"

/* JSON-RPC and MCP error codes (2026-07-28, basic, "Error Codes"). */
#define RPC_PARSE_ERROR (-32700)
#define RPC_INVALID_REQUEST (-32600)
#define RPC_METHOD_NOT_FOUND (-32601)
#define RPC_INVALID_PARAMS (-32602)
#define RPC_INTERNAL_ERROR (-32603)
#define RPC_SERVER_BUSY (-32000)
#define RPC_RESOURCE_NOT_FOUND (-32002) /* before 2026-07-28 */
#define RPC_HEADER_MISMATCH (-32020)
#define RPC_MISSING_CAPABILITY (-32021)
#define RPC_UNSUPPORTED_VERSION (-32022)
#define RPC_URL_ELICITATION_REQUIRED (-32042) /* 2025-11-25 alone */

struct session;
struct tasks;
struct task_run;
struct view;

/* One request or notification. Lives in the message's arena. */
struct request {
    struct mcp *mcp;
    struct message *message; /* only while mcp_receive runs */
    struct reply *reply;
    const struct revision *revision;
    struct session *session; /* legacy: referenced while mcp_receive runs; else NULL */
    struct json json;
    const struct json_node *root; /* the message: an object */
    const struct json_node *params; /* an object, or NULL */
    const struct json_node *meta; /* params._meta: an object, or NULL */
    struct bytes id; /* as it was written; .data is NULL for a notification */
    struct bytes method; /* decoded */
    struct task_run *run; /* the task it is issued for, or has become; else NULL */
    bool repeatable; /* of one that may become a task: running it twice does no harm */
};

/* What is the same in many answers, written once. Immutable; lives as long as
 * the process, because answers refer to it without counting. */
struct identity {
    const char *server_meta; /* "_meta":{"io.modelcontextprotocol/serverInfo":{...}} */
    struct identity *older;
};

struct askings;
struct redeemed;

/* What MCP methods share: one of these per process. */
struct mcp {
    struct registry *registry;
    pthread_mutex_t mutex; /* a leaf: guards `config` and the replacing of `identity` */
    struct config *config; /* for what is rendered; see mcp_view */
    _Atomic(const struct identity *) identity;
    atomic_uint call_timeout_ms, input_timeout_ms;
    struct sessions *sessions;
    struct listeners *listeners;
    struct sses *sses;
    struct seal_key own_key; /* of this process; also where a file gives others */
    struct redeemed *redeemed;
    struct tasks *tasks; /* NULL: there are none */
    struct watches *watches;
    struct askings *askings;
    atomic_uint max_session_calls;
    struct health *health;
    bool watches_health;
    atomic_uint unanswered; /* invocations of sessions that somebody may wait for */
};

/* ---- methods ---- */

enum { METHOD_MODERN = 1, METHOD_LEGACY = 2 };

struct method {
    const char *name;
    unsigned eras;
    /* The member of params that Mcp-Name repeats; NULL: none. */
    const char *named_by;
    void (*run)(struct request *request);
};

/* NULL when no revision of that era has it. */
const struct method *method_find(struct bytes name, unsigned era);

void lifecycle_discover(struct request *request); /* server/discover */
void lifecycle_initialize(struct request *request); /* initialize */
void lifecycle_ping(struct request *request); /* ping */
void logging_set_level(struct request *request); /* logging/setLevel */
void tools_list(struct request *request); /* tools/list */
void tools_call(struct request *request); /* tools/call */
void resources_list(struct request *request); /* resources/list */
void resources_templates_list(struct request *request); /* resources/templates/list */
void resources_read(struct request *request); /* resources/read */
/* Whether there is a resource of this URI. False: that has been answered. */
bool resource_exists(struct request *request, struct bytes uri);
void prompts_list(struct request *request); /* prompts/list */
void prompts_get(struct request *request); /* prompts/get */
void completion_complete(struct request *request); /* completion/complete */
void skills_list(struct request *request); /* skills/list */
void skills_get(struct request *request); /* skills/get */
void skills_read_directory(struct request *request); /* resources/directory/read */
void tasks_get(struct request *request); /* tasks/get */
void tasks_update(struct request *request); /* tasks/update */
void tasks_cancel(struct request *request); /* tasks/cancel */
void resources_subscribe(struct request *request); /* resources/subscribe */
void resources_unsubscribe(struct request *request); /* resources/unsubscribe */
/* tasks/get, tasks/result, tasks/cancel of 2025-11-25 */
void session_tasks_get(struct request *request);
void session_tasks_result(struct request *request);
void session_tasks_cancel(struct request *request);
void subscriptions_listen(struct request *request); /* subscriptions/listen */
/* Tells a session whose stream has opened of resources that changed before. */
void subscriptions_catch_up(struct session *session);

/* ---- the eras ---- */

/* Whether a POST is meant for 2026-07-28 or later. */
bool modern_claims(const struct request *request);
void modern_receive(struct request *request);
void legacy_receive(struct request *request);
void legacy_receive_batch(struct request *request, const struct json_node *array);
void legacy_get(struct mcp *mcp, struct message *message, struct reply *reply);
void legacy_delete(struct mcp *mcp, struct message *message, struct reply *reply);
/* A response: the answer to a question of ours. */
void legacy_receive_response(struct request *request);

/* Reads one JSON-RPC message at `node` into the request (whose json, mcp,
 * message and reply are set). False: it was no legal message, and has been
 * answered. *is_response: it is a response, with nothing further read. */
bool request_read(struct request *request, const struct json_node *node, bool *is_response);

/* ---- answering ---- */

/* Begins `{"jsonrpc":"2.0","id":ID,"result":` in out (initialised here). */
void respond_begin(const struct request *request, struct buf *out);
/* Sends out + "}" as the answer; frees out. */
void respond_finish(const struct request *request, struct buf *out);
/* Sends a ready-made result; `release(argument)` when it is no longer used. */
void respond_shared(const struct request *request, struct bytes result,
                    void (*release)(void *argument), void *argument);
/* Sends an error. `data` is JSON or empty. */
void respond_error(const struct request *request, int status, int code, struct bytes data,
                   const char *format, ...) __attribute__((format(printf, 5, 6)));
/* We cannot now: an error of code RPC_SERVER_BUSY that says when to come back, in its
 * data and in Retry-After. */
void respond_busy(const struct request *request, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* 202, no body. */
void respond_accepted(struct reply *reply);
/* Sends an error that belongs to no request: no id. */
void refuse(struct reply *reply, int status, int code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The HTTP status for an error that a method finds. Legacy clients expect 200;
 * and so do those modern ones that drop the body of anything else. */
#define STATUS_IN_PROTOCOL 200

/* For every modern result: see struct identity. */
struct bytes server_meta(struct mcp *mcp);

#endif
