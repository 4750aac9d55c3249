/* SPDX-License-Identifier: MIT */
/* A plugin for the tests of overload: work that takes its time, a tool that holds up
 * the thread it promised not to, and one that says more than its client reads. */
#include <mcp/plugin.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

MCP_PLUGIN_MANIFEST("{\"id\":\"pressure\",\"version\":\"1.0.0\",\"abi\":\"1.0\"}");

enum tag { WORK = 1, HOLD, CHAT, FILL };

#define TEXT_MAX 65536

static long number(struct mcp_call *call, const char *pointer, long otherwise)
{
    int32_t kind;
    struct mcp_bytes value;
    char text[32] = "";

    if (call->ops->argument(call, pointer, &kind, &value) != MCP_OK || kind != MCP_JSON_NUMBER)
        return otherwise;
    memcpy(text, value.data, value.size < sizeof text - 1 ? value.size : sizeof text - 1);
    return strtol(text, NULL, 10);
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* Log messages of `bytes` each, until the client has gone or `count` are said. */
static int32_t chat(struct mcp_call *call)
{
    char *text = malloc(TEXT_MAX + 3);
    long bytes = number(call, "/bytes", 1000), count = number(call, "/count", 1000);
    long ms = number(call, "/ms", 10);

    if (text == NULL)
        return MCP_ENOMEM;
    if (bytes > TEXT_MAX)
        bytes = TEXT_MAX;
    memset(text, 'x', (size_t)bytes + 1);
    text[0] = text[bytes + 1] = '"';
    for (long i = 0; i < count && call->ops->is_cancelled(call) == 0; i++) {
        call->ops->log(call, MCP_LOG_ERROR, (struct mcp_bytes){text, (size_t)bytes + 2});
        pause_ms(ms);
    }
    free(text);
    return call->ops->finish_text(call, MCP_STR("said"));
}

static int32_t fill(struct mcp_call *call)
{
    size_t size = (size_t)number(call, "/bytes", 1000);
    char *text = malloc(size + 1);

    if (text == NULL)
        return MCP_ENOMEM;
    memset(text, 'x', size);
    int32_t result = call->ops->finish_text(call, (struct mcp_bytes){text, size});
    free(text);
    return result;
}

static int32_t call_tool(void *self, struct mcp_call *call)
{
    (void)self;
    switch ((enum tag)call->tag) {
    case WORK:
    case HOLD:
        pause_ms(number(call, "/ms", 20));
        return call->ops->finish_text(call, MCP_STR("worked"));
    case CHAT:
        return chat(call);
    case FILL:
        return fill(call);
    }
    return MCP_ENOENT;
}

#define TOOL(name)                                                                                 \
    "{\"name\":\"" name "\",\"description\":\"A test\",\"inputSchema\":{\"type\":\"object\"}}"

static int32_t get_tools(void *self, const struct mcp_tool_sink *sink)
{
    static const struct {
        enum tag tag;
        uint32_t flags;
        const char *definition;
    } tools[] = {
        {WORK, MCP_TOOL_THREAD_SAFE, TOOL("work")},
        {HOLD, MCP_TOOL_NONBLOCKING, TOOL("hold")},
        {CHAT, MCP_TOOL_THREAD_SAFE, TOOL("chat")},
        {FILL, MCP_TOOL_THREAD_SAFE, TOOL("fill")},
    };

    (void)self;
    for (size_t i = 0; i < sizeof tools / sizeof tools[0]; i++) {
        const struct mcp_tool tool = {
            .struct_size = sizeof tool,
            .flags = tools[i].flags,
            .definition = {tools[i].definition, strlen(tools[i].definition)},
            .tag = tools[i].tag,
        };
        int32_t result = sink->add(sink, &tool);
        if (result != MCP_OK)
            return result;
    }
    return MCP_OK;
}

static int32_t create(const struct mcp_host *host, struct mcp_bytes config, void **out)
{
    (void)host;
    (void)config;
    *out = calloc(1, 1);
    return *out != NULL ? MCP_OK : MCP_ENOMEM;
}

static void destroy(void *self)
{
    free(self);
}

static const struct mcp_plugin plugin = {
    MCP_PLUGIN_HEADER,  .id = "pressure",       .version = "1.0.0",     .create = create,
    .destroy = destroy, .get_tools = get_tools, .call_tool = call_tool,
};

MCP_EXPORT const struct mcp_plugin *mcp_plugin_v1(void)
{
    return &plugin;
}
