/* SPDX-License-Identifier: MIT */
/* A plugin that breaks a rule of <mcp/plugin.h> which its caller chooses ({"kind": KIND}) and
 * tells, as the text of its answer, what it was told then. What a finish function told, the
 * next call of {"kind":"last"} answers. "hasty" is "misuse" with a time of its own. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <mcp/resources.h>

#define SAMPLE_ID "misuse"
#include "sample.h"

enum { RUNNING = 1 };

static atomic_int last; /* what the last finish function of a kind returned; or RUNNING */

static const char *name_of(int32_t code)
{
    switch (code) {
    case MCP_OK:
        return "MCP_OK";
    case MCP_EINVAL:
        return "MCP_EINVAL";
    case MCP_ENOMEM:
        return "MCP_ENOMEM";
    case MCP_ENOENT:
        return "MCP_ENOENT";
    case MCP_ENOTSUP:
        return "MCP_ENOTSUP";
    case MCP_ECANCELLED:
        return "MCP_ECANCELLED";
    case RUNNING:
        return "running";
    default:
        return "another";
    }
}

static int32_t tell(struct mcp_call *call, int32_t code)
{
    const char *name = name_of(code);
    return call->ops->finish_text(call, (struct mcp_bytes){name, strlen(name)});
}

static void wait_ms(long ms)
{
    const struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

/* Ends `ms` after it was cancelled. */
static int32_t end_when_cancelled(struct mcp_call *call, long ms)
{
    atomic_store(&last, RUNNING);
    while (call->ops->is_cancelled(call) == 0)
        wait_ms(1);
    wait_ms(ms);
    return call->ops->finish_text(call, MCP_STR("the end"));
}

static int is(struct mcp_bytes text, const char *kind)
{
    return text.size == strlen(kind) && memcmp(text.data, kind, text.size) == 0;
}

static const struct mcp_host *host; /* of the only instance */

static const struct mcp_bytes nowhere = {NULL, 5};

/* Passes on the way what must not be passed. */
static int32_t report(struct mcp_call *call, struct mcp_bytes kind)
{
    const struct mcp_call_ops *ops = call->ops;
    const double zero = 0;
    struct mcp_bytes value;
    int32_t type;

    if (is(kind, "progress-nan"))
        return ops->progress(call, zero / zero, 0, MCP_STR(""));
    if (is(kind, "progress-infinite"))
        return ops->progress(call, 1, 1 / zero, MCP_STR(""));
    if (is(kind, "progress-negative"))
        return ops->progress(call, -1, 0, MCP_STR(""));
    if (is(kind, "progress-nowhere"))
        return ops->progress(call, 1, 0, nowhere);
    if (is(kind, "log-9"))
        return ops->log(call, 9, MCP_STR("1"));
    if (is(kind, "log-nowhere"))
        return ops->log(call, MCP_LOG_ERROR, nowhere);
    if (is(kind, "argument-null"))
        return ops->argument(call, NULL, &type, &value);
    if (is(kind, "read-9"))
        return ops->read(call, 9, "", &type, &value);
    if (is(kind, "read-null"))
        return ops->read(call, MCP_PART_META, "", &type, NULL);
    if (is(kind, "extension-null"))
        return ops->get_extension(call, NULL) == NULL ? MCP_EINVAL : MCP_OK;
    return 2;
}

/* The same of the host. */
static int32_t tell_host(struct mcp_bytes kind)
{
    const struct mcp_resources_host *resources = host->get_extension(host, MCP_RESOURCES);
    struct mcp_bytes value;

    if (is(kind, "host-log-9"))
        host->log(host, 9, MCP_STR("of level 9"));
    else if (is(kind, "host-log-nowhere"))
        host->log(host, MCP_LOG_ERROR, nowhere);
    else if (is(kind, "host-fail-nowhere"))
        host->fail(host, nowhere, MCP_STR("for nothing"));
    else if (is(kind, "host-notify-0"))
        host->notify(host, 0);
    else if (is(kind, "host-config-null"))
        return host->config(host, "", NULL, &value);
    else if (is(kind, "host-updated-nowhere"))
        return resources->updated(host, nowhere);
    else
        return 2;
    return MCP_EINVAL; /* it has no other way to say so */
}

/* Forgets whose functions they are. */
static int32_t call_nobodys(const struct mcp_call_ops *ops)
{
    struct mcp_bytes value = MCP_STR("{}");
    const struct mcp_resources_host *resources = host->get_extension(host, MCP_RESOURCES);
    int32_t type;
    const int32_t codes[] = {
        ops->finish_text(NULL, value),
        ops->finish_structured(NULL, value, value),
        ops->finish_result(NULL, value),
        ops->finish_failure(NULL, value),
        ops->finish_need_input(NULL, value, value),
        ops->finish_error(NULL, MCP_ERROR_INTERNAL, value, value),
        ops->progress(NULL, 1, 0, value),
        ops->log(NULL, MCP_LOG_ERROR, value),
        ops->is_cancelled(NULL),
        ops->cancel_fd(NULL),
        ops->on_cancel(NULL, NULL, NULL),
        ops->argument(NULL, "", &type, &value),
        ops->read(NULL, MCP_PART_META, "", &type, &value),
        ops->start_task(NULL),
        ops->close_stream(NULL),
        host->config(NULL, "", &type, &value),
        resources->updated(NULL, value),
    };

    host->log(NULL, MCP_LOG_ERROR, value);
    host->fail(NULL, value, value);
    host->notify(NULL, MCP_CHANGED_TOOLS);
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (codes[i] != MCP_EINVAL)
            return codes[i];
    return ops->get_extension(NULL, "x") == NULL && host->get_extension(NULL, "x") == NULL
               ? MCP_EINVAL
               : MCP_OK;
}

/* Ends the call as it must not be ended. */
static int32_t break_end(struct mcp_call *call, struct mcp_bytes kind)
{
    const struct mcp_call_ops *ops = call->ops;
    int32_t code = MCP_ENOENT;

    if (is(kind, "text-nowhere"))
        code = ops->finish_text(call, nowhere);
    if (is(kind, "failure-nowhere"))
        code = ops->finish_failure(call, nowhere);
    if (is(kind, "structured-nowhere"))
        code = ops->finish_structured(call, MCP_STR("x"), nowhere);
    if (is(kind, "result-nowhere"))
        code = ops->finish_result(call, nowhere);
    if (is(kind, "requests-nowhere"))
        code = ops->finish_need_input(call, nowhere, MCP_STR(""));
    if (is(kind, "state-nowhere"))
        code =
            ops->finish_need_input(call, MCP_STR("{\"a\":{\"method\":\"roots/list\"}}"), nowhere);
    if (is(kind, "message-nowhere"))
        code = ops->finish_error(call, MCP_ERROR_INTERNAL, nowhere, MCP_STR(""));
    if (is(kind, "data-nowhere"))
        code = ops->finish_error(call, MCP_ERROR_INTERNAL, MCP_STR("x"), nowhere);
    if (is(kind, "missing"))
        code = call->ops->finish_error(call, MCP_ERROR_MISSING_CAPABILITY,
                                       MCP_STR("It lacks something."), MCP_STR("{\"what\":1}"));
    if (is(kind, "state")) {
        static char state[60000];
        memset(state, 'x', sizeof(state));
        code = call->ops->finish_need_input(call, MCP_STR("{\"a\":{\"method\":\"roots/list\"}}"),
                                            (struct mcp_bytes){state, sizeof(state)});
    }
    atomic_store(&last, code);
    return code;
}

static int32_t call_tool(void *self, struct mcp_call *call)
{
    struct mcp_bytes kind = MCP_STR(""), ms = MCP_STR("0");
    int32_t type;

    (void)self;
    call->ops->argument(call, "/kind", &type, &kind);
    call->ops->argument(call, "/ms", &type, &ms);
    int32_t code = is(kind, "nobodys") ? call_nobodys(call->ops) : report(call, kind);
    if (code == 2)
        code = tell_host(kind);
    if (code != 2) {
        report(call, kind); /* of a second one the log says nothing */
        return tell(call, code);
    }
    if (is(kind, "last"))
        return tell(call, atomic_load(&last));
    if (is(kind, "cancelled"))
        atomic_store(&last, end_when_cancelled(call, strtol(ms.data, NULL, 10)));
    else
        return break_end(call, kind);
    return MCP_OK;
}

static int32_t get_tools(void *self, const struct mcp_tool_sink *sink)
{
    const struct mcp_tool hasty = {.struct_size = sizeof(hasty),
                                   .flags = MCP_TOOL_THREAD_SAFE,
                                   .timeout_ms = 300,
                                   .definition = MCP_STR(SAMPLE_DEFINITION("hasty"))};

    (void)self;
    int32_t code = sample_add(sink, MCP_TOOL_THREAD_SAFE, MCP_STR(SAMPLE_DEFINITION("misuse")));
    return code == MCP_OK ? sink->add(sink, &hasty) : code;
}

static int32_t create(const struct mcp_host *given, struct mcp_bytes config, void **instance)
{
    (void)config;
    (void)instance;
    host = given;
    return MCP_OK;
}

SAMPLE_PLUGIN(.create = create, .get_tools = get_tools, .call_tool = call_tool)
