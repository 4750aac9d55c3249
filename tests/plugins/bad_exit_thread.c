/* SPDX-License-Identifier: MIT */
/* Broken: a thread of its own ends the process. */
#define SAMPLE_ID "bad_exit_thread"
#include "sample.h"

#include <pthread.h>
#include <stdlib.h>

static void *leave(void *data)
{
    (void)data;
    exit(3);
}

static int32_t call_tool(void *self, struct mcp_call *call)
{
    pthread_t thread;
    (void)self;
    if (pthread_create(&thread, NULL, leave, NULL) != 0)
        return MCP_ENOMEM;
    pthread_join(thread, NULL);
    return call->ops->finish_text(call, MCP_STR("Here."));
}

SAMPLE_PLUGIN(.get_tools = sample_get_tools, .call_tool = call_tool)
