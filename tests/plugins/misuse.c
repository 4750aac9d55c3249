/* SPDX-License-Identifier: MIT */
/* A plugin that breaks a rule of <mcp/plugin.h> which its caller chooses ({"kind": KIND}) and
 * tells, as the text of its answer, what it was told then. What a finish function told, the
 * next call of {"kind":"last"} answers. "hasty" is "misuse" with a time of its own. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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

/* Ends the call as it must not be ended. */
static int32_t break_end(struct mcp_call *call, struct mcp_bytes kind)
{
    int32_t code = MCP_ENOENT;

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

SAMPLE_PLUGIN(.get_tools = get_tools, .call_tool = call_tool)
