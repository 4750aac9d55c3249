/* SPDX-License-Identifier: MIT */
/*
 * Calling a provider on behalf of a request, whatever the method: tools/call,
 * resources/read, prompts/get and completion/complete differ in what they look
 * up and in the form of their results, and in nothing else.
 */
#ifndef MCP_INVOKE_H
#define MCP_INVOKE_H

#include "mcp/request.h"
#include "mcp/request_state.h"
#include "plugin/call.h"

struct asking;
struct invocation;

/* Whom to call, and with what. */
struct invoke_target {
    const struct registry_entry *entry;
    struct bytes name; /* what the plugin sees as the name; .data NULL: the offer's own */
    const struct json *json; /* where the arguments are */
    const struct json_node *arguments; /* an object, or NULL */
};

struct invoke_method {
    enum call_function function;
    /* Looks up and checks. False: has been answered. May run again, with a newer
     * snapshot, when the provider was replaced in between. */
    bool (*find)(struct request *request, const struct snapshot *snapshot,
                 struct invoke_target *target);
    /* Answers a call that has a result (CALL_TEXT, CALL_STRUCTURED, CALL_RESULT,
     * CALL_FAILURE or CALL_TIMEOUT). */
    void (*finish)(struct invocation *invocation, const struct call_result *result);
};

/* A request whose provider is at work. Lives in the request's arena, which the
 * exchange keeps until the last call has gone. */
struct invocation {
    struct request *request;
    const struct invoke_method *method;
    /* One reference, which belongs to whoever takes the pointer out: the end of
     * the call, or who cancels it. */
    _Atomic(struct call *) call;
    bool may_be_task; /* or is one */
    int log_level; /* the least urgent MCP_LOG_* the client wants; -1: none */
    struct bytes progress_token; /* raw JSON; .data is NULL: not wanted */
    double progress; /* the last that was sent */
    int64_t progress_ns;
    uint64_t left_out; /* log messages and reports of progress that the client did not read */
    struct mcp_caller caller;
    /* The snapshot, referenced, that keeps the entry; NULL for a tool that
     * promises nothing. */
    const struct snapshot *snapshot;
    const struct registry_entry *entry;
    /* Of the call under way, as long as it is. */
    const struct provider *provider;
    uint32_t flags; /* of the offer */
    /* What a call that comes again brings (input.h); empty the first time. */
    struct bytes state, input_responses;
    uint32_t round; /* of questions that have been answered */
    bool redeemed; /* state_id has been taken, for this request */
    unsigned char state_id[REQUEST_STATE_ID_SIZE];
    struct arena *arena; /* the request's */
    bool takes_stream; /* the client of this request does */
    bool over_channel; /* it came over a channel: who loses it cancels */
    bool counted; /* in mcp->unanswered */
    bool cancelled; /* by its client; guarded by session->mutex */
    struct asking *asking; /* that it goes on from; NULL: the first call */
    struct session *session; /* referenced; NULL: 2026-07-28 */
    struct invocation *next; /* in session->invocations */
};

/* Finds the provider and calls it; the answer comes now or later. */
void invoke(struct request *request, const struct invoke_method *method);

/* Calls the provider again, with what the invocation has got as state and answers;
 * its request->message has a reader of this thread. The answer comes now or
 * later. */
void invoke_again(struct invocation *invocation);

/* `next` takes the place of `invocation` in its session. */
void invocation_replace(struct invocation *invocation, struct invocation *next);
/* It is no longer one of its session's, if it was. */
void invocation_leave(struct invocation *invocation);
void invocation_cancel(struct invocation *invocation);

/* The end of a failed call of a method whose result no model reads: an error. */
void respond_failure(const struct invocation *invocation, const struct call_result *result);

/* notifications/cancelled in a session: cancels the request with this id (raw
 * JSON), if a provider is still at work on it. */
void invoke_cancel(struct session *session, struct bytes id);

/* On whose behalf the request is made. */
void invoke_caller(const struct request *request, struct mcp_caller *caller);

/* The capabilities that the client of this request has declared: an object, raw
 * JSON; .data is NULL when it has declared nothing. */
struct bytes client_capabilities(const struct request *request);

#endif
