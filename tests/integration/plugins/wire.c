/* SPDX-License-Identifier: MIT */
/* A plugin for the tests of transports: it prints where it should not, speaks at
 * length, and lets its client hang up. */
#include <mcp/plugin.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

MCP_PLUGIN_MANIFEST("{\"id\":\"wire\",\"version\":\"1.0.0\",\"abi\":\"1.1\"}");

enum tag { PRINT = 1, COUNT };

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

/* On standard output, in both ways, and what there is to read on the input. */
static int32_t print_tool(struct mcp_call *call)
{
    char input[16];
    char answer[64];

    puts("printed by a plugin");
    fflush(stdout);
    if (write(STDOUT_FILENO, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n", 38) != 38)
        return call->ops->finish_failure(call, MCP_STR("standard output is closed"));
    int size = snprintf(answer, sizeof answer, "printed; read %zd bytes",
                        read(STDIN_FILENO, input, sizeof input));
    return call->ops->finish_text(call, (struct mcp_bytes){answer, (size_t)size});
}

/* Log messages 1 to `to`, one each `ms`; the client may hang up after `close_after`
 * of them. */
static int32_t count_tool(struct mcp_call *call)
{
    long to = number(call, "/to", 3), ms = number(call, "/ms", 0);
    long close_after = number(call, "/close_after", -1);
    char text[64];
    int size;

    for (long i = 1; i <= to && call->ops->is_cancelled(call) == 0; i++) {
        if (i - 1 == close_after)
            call->ops->close_stream(call);
        size = snprintf(text, sizeof text, "%ld", i);
        call->ops->log(call, MCP_LOG_INFO, (struct mcp_bytes){text, (size_t)size});
        if (ms > 0)
            pause_ms(ms);
    }
    if (close_after >= to)
        call->ops->close_stream(call);
    pause_ms(number(call, "/then_ms", 0));
    size = snprintf(text, sizeof text, "counted to %ld", to);
    return call->ops->finish_text(call, (struct mcp_bytes){text, (size_t)size});
}

static int32_t call_tool(void *self, struct mcp_call *call)
{
    (void)self;
    return call->tag == PRINT ? print_tool(call) : count_tool(call);
}

#define INTEGER(name) "\"" name "\":{\"type\":\"integer\"}"

static int32_t get_tools(void *self, const struct mcp_tool_sink *sink)
{
    (void)self;
    const struct mcp_tool print = {
        .struct_size = sizeof print,
        .flags = MCP_TOOL_NONBLOCKING,
        .tag = PRINT,
        .definition = MCP_STR("{\"name\":\"print\",\"description\":\"A test\","
                              "\"inputSchema\":{\"type\":\"object\"}}"),
    };
    const struct mcp_tool count = {
        .struct_size = sizeof count,
        .flags = MCP_TOOL_THREAD_SAFE,
        .tag = COUNT,
        .definition = MCP_STR("{\"name\":\"count\",\"description\":\"A test\",\"inputSchema\":{"
                              "\"type\":\"object\",\"properties\":{" INTEGER("to") "," INTEGER(
                                  "ms") "," INTEGER("close_after") "," INTEGER("then_ms") "}}}"),
    };
    int32_t result = sink->add(sink, &print);
    return result == MCP_OK ? sink->add(sink, &count) : result;
}

static const struct mcp_plugin plugin = {MCP_PLUGIN_HEADER, .id = "wire", .version = "1.0.0",
                                         .get_tools = get_tools, .call_tool = call_tool};

MCP_EXPORT const struct mcp_plugin *mcp_plugin_v1(void)
{
    return &plugin;
}
