/* SPDX-License-Identifier: MIT */
/* A plugin for the integration tests: one tool for each thing that a plugin
 * may do with a call, so that a test can look at what reaches the client. */
#include <mcp/plugin.h>

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

MCP_PLUGIN_MANIFEST("{\"id\":\"probe\",\"version\":\"1.0.0\",\"abi\":\"1.0\"}");

struct probe {
    const struct mcp_host *host;
    atomic_int threads; /* of `later`, still running */
};

static struct mcp_bytes bytes_of(const char *text)
{
    return (struct mcp_bytes){text, strlen(text)};
}

static long number(struct mcp_call *call, const char *pointer, long otherwise)
{
    int32_t kind;
    struct mcp_bytes value;

    if (call->ops->argument(call, pointer, &kind, &value) != MCP_OK || kind != MCP_JSON_NUMBER)
        return otherwise;
    char text[32] = "";
    memcpy(text, value.data, value.size < sizeof text - 1 ? value.size : sizeof text - 1);
    return strtol(text, NULL, 10);
}

static struct mcp_bytes string(struct mcp_call *call, const char *pointer)
{
    int32_t kind;
    struct mcp_bytes value;

    if (call->ops->argument(call, pointer, &kind, &value) != MCP_OK || kind != MCP_JSON_STRING)
        return MCP_STR("");
    return value;
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits; a cancellation is told to the operator's log, where tests see when. */
static int32_t wait_tool(struct probe *probe, struct mcp_call *call)
{
    long start = now_ms(), ms = number(call, "/ms", 1000);
    struct mcp_bytes label = string(call, "/label");
    struct pollfd cancelled = {.fd = call->ops->cancel_fd(call), .events = POLLIN};
    char line[200];

    snprintf(line, sizeof line, "probe: %.*s started", (int)label.size, label.data);
    probe->host->log(probe->host, MCP_LOG_NOTICE, bytes_of(line));
    if (poll(&cancelled, 1, (int)ms) > 0) {
        snprintf(line, sizeof line, "probe: %.*s cancelled after %ld ms (is_cancelled %d)",
                 (int)label.size, label.data, now_ms() - start, (int)call->ops->is_cancelled(call));
        probe->host->log(probe->host, MCP_LOG_NOTICE, bytes_of(line));
        return call->ops->finish_failure(call, MCP_STR("cancelled"));
    }
    snprintf(line, sizeof line, "probe: %.*s finished", (int)label.size, label.data);
    probe->host->log(probe->host, MCP_LOG_NOTICE, bytes_of(line));
    return call->ops->finish_text(call, MCP_STR("waited"));
}

static int32_t progress_tool(struct mcp_call *call)
{
    long steps = number(call, "/steps", 3), ms = number(call, "/ms", 10);

    for (long i = 1; i <= steps; i++) {
        char text[40];
        int size = snprintf(text, sizeof text, "step %ld", i);
        call->ops->progress(call, (double)i, (double)steps, (struct mcp_bytes){text, (size_t)size});
        pause_ms(ms);
    }
    return call->ops->finish_text(call, MCP_STR("all steps done"));
}

static int32_t say_tool(struct mcp_call *call)
{
    call->ops->log(call, MCP_LOG_DEBUG, MCP_STR("\"a debug message\""));
    call->ops->log(call, MCP_LOG_INFO, MCP_STR("{\"text\":\"an info message\"}"));
    call->ops->log(call, MCP_LOG_ERROR, MCP_STR("\"an error message\""));
    return call->ops->finish_text(call, MCP_STR("said"));
}

static int32_t structure_tool(struct mcp_call *call)
{
    char json[100];
    int size = snprintf(json, sizeof json, "{\"number\":9007199254740993,\"twice\":%ld}",
                        2 * number(call, "/n", 21));
    return call->ops->finish_structured(call, MCP_STR("a number and its double"),
                                        (struct mcp_bytes){json, (size_t)size});
}

static int32_t rich_tool(struct mcp_call *call)
{
    return call->ops->finish_result(
        call,
        MCP_STR("{\"content\":[{\"type\":\"text\",\"text\":\"one\"},"
                "{\"type\":\"image\",\"data\":\"iVBORw0KGgo=\",\"mimeType\":\"image/png\"},"
                "{\"type\":\"resource\",\"resource\":{\"uri\":\"test://x\",\"text\":\"two\"}}],"
                "\"_meta\":{\"example.org/note\":1}}"));
}

/* Text that tries to break out of an event of a stream, and everything else
 * that needs escaping. */
static int32_t hostile_tool(struct mcp_call *call)
{
    call->ops->progress(call, 1, 0, MCP_STR("x\n\ndata: {\"jsonrpc\":\"2.0\"}\n\n\r\n\r"));
    return call->ops->finish_text(
        call,
        MCP_STR("a\n\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"evil\"}\n\nb\r\rc\"\\\xe2\x82\xac"));
}

static int32_t big_tool(struct mcp_call *call)
{
    size_t size = (size_t)number(call, "/bytes", 1000);
    char *text = malloc(size + 1);

    if (text == NULL)
        return MCP_ENOMEM;
    memset(text, 'x', size);
    int32_t result = call->ops->finish_text(call, (struct mcp_bytes){text, size});
    free(text);
    return result == MCP_EINVAL ? MCP_OK : result;
}

static int32_t what_tool(struct mcp_call *call)
{
    char *json = malloc(call->arguments.size + call->meta.size + call->caller->client.size + 200);

    if (json == NULL)
        return MCP_ENOMEM;
    int size = sprintf(json, "{\"arguments\":%.*s,\"meta\":%.*s,\"client\":%.*s}",
                       (int)call->arguments.size, call->arguments.data,
                       call->meta.size ? (int)call->meta.size : 4,
                       call->meta.size ? call->meta.data : "null",
                       call->caller->client.size ? (int)call->caller->client.size : 4,
                       call->caller->client.size ? call->caller->client.data : "null");
    call->ops->finish_text(call, (struct mcp_bytes){json, (size_t)size});
    free(json);
    return MCP_OK;
}

struct later {
    struct probe *probe;
    struct mcp_call *call;
    long ms;
};

static void *later_main(void *argument)
{
    struct later *later = argument;

    pause_ms(later->ms);
    later->call->ops->finish_text(later->call, MCP_STR("later, from another thread"));
    atomic_fetch_sub(&later->probe->threads, 1);
    free(later);
    return NULL;
}

static int32_t later_tool(struct probe *probe, struct mcp_call *call)
{
    struct later *later = malloc(sizeof *later);
    pthread_t thread;

    if (later == NULL)
        return MCP_ENOMEM;
    *later = (struct later){probe, call, number(call, "/ms", 50)};
    atomic_fetch_add(&probe->threads, 1);
    if (pthread_create(&thread, NULL, later_main, later) != 0) {
        atomic_fetch_sub(&probe->threads, 1);
        free(later);
        return MCP_EFAIL;
    }
    pthread_detach(thread);
    return MCP_OK;
}

static int32_t twice_tool(struct mcp_call *call)
{
    call->ops->finish_text(call, MCP_STR("the first end counts"));
    call->ops->finish_text(call, MCP_STR("the second does not"));
    return MCP_OK;
}

enum tag {
    WAIT,
    PROGRESS,
    SAY,
    HEADERS,
    STRUCTURE,
    LIE,
    RICH,
    HOSTILE,
    BIG,
    WHAT,
    LATER,
    TWICE,
    REFUSE,
    FAIL,
    NONSENSE,
    SERIAL,
    DEAF
};

static int32_t call_tool(void *self, struct mcp_call *call)
{
    struct probe *probe = self;

    switch ((enum tag)call->tag) {
    case WAIT:
    case SERIAL:
        return wait_tool(probe, call);
    case DEAF:
        pause_ms(number(call, "/ms", 1000));
        return call->ops->finish_text(call, MCP_STR("slept"));
    case PROGRESS:
        return progress_tool(call);
    case SAY:
        return say_tool(call);
    case HEADERS:
        return call->ops->finish_text(call, call->arguments);
    case STRUCTURE:
        return structure_tool(call);
    case LIE:
        call->ops->finish_structured(call, MCP_STR("n"), MCP_STR("{\"n\":\"not a number\"}"));
        return MCP_OK;
    case RICH:
        return rich_tool(call);
    case HOSTILE:
        return hostile_tool(call);
    case BIG:
        return big_tool(call);
    case WHAT:
        return what_tool(call);
    case LATER:
        return later_tool(probe, call);
    case TWICE:
        return twice_tool(call);
    case REFUSE:
        return MCP_EFAIL;
    case FAIL:
        return call->ops->finish_failure(call, MCP_STR("the model can read this"));
    case NONSENSE:
        call->ops->finish_result(call, MCP_STR("{\"content\":["));
        return MCP_OK;
    }
    return MCP_ENOENT;
}

#define OBJECT(properties) "\"inputSchema\":{\"type\":\"object\",\"properties\":{" properties "}}"
#define TOOL(name) "{\"name\":\"" name "\",\"description\":\"A test\","
#define MS "\"ms\":{\"type\":\"integer\",\"minimum\":0}"

static const struct {
    enum tag tag;
    uint32_t flags;
    uint32_t timeout_ms;
    const char *definition;
} tools[] = {
    {WAIT, MCP_TOOL_THREAD_SAFE, 0, TOOL("wait") OBJECT(MS ",\"label\":{\"type\":\"string\"}") "}"},
    {SERIAL, 0, 0, TOOL("serial") OBJECT(MS ",\"label\":{\"type\":\"string\"}") "}"},
    {DEAF, MCP_TOOL_THREAD_SAFE, 0, TOOL("deaf") OBJECT(MS) "}"},
    {WAIT, MCP_TOOL_THREAD_SAFE, 300,
     TOOL("wait_at_most_300_ms") OBJECT(MS ",\"label\":{\"type\":\"string\"}") "}"},
    {PROGRESS, MCP_TOOL_THREAD_SAFE, 0,
     TOOL("progress") OBJECT(MS ",\"steps\":{\"type\":\"integer\"}") "}"},
    {SAY, MCP_TOOL_NONBLOCKING, 0, TOOL("say") OBJECT("") "}"},
    {HEADERS, MCP_TOOL_NONBLOCKING, 0,
     TOOL("headers") "\"title\":\"Headers\"," OBJECT(
         "\"region\":{\"type\":\"string\",\"x-mcp-header\":\"Region\"},"
         "\"count\":{\"type\":\"integer\",\"x-mcp-header\":\"Count\"},"
         "\"dry\":{\"type\":\"boolean\",\"x-mcp-header\":\"Dry-Run\"},"
         "\"where\":{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\",\"x-mcp-"
         "header\":\"City\"}}},"
         "\"level\":{\"type\":\"integer\"}") ",\"annotations\":{\"readOnlyHint\":true}}"},
    {STRUCTURE, MCP_TOOL_NONBLOCKING, 0,
     TOOL("structure") "\"title\":\"Structure\"," OBJECT(
         "\"n\":{\"type\":\"integer\"}") ",\"outputSchema\":{\"type\":\"object\",\"properties\":{"
                                         "\"number\":{\"type\":\"integer\"},"
                                         "\"twice\":{\"type\":\"integer\"}},\"required\":["
                                         "\"number\",\"twice\"]},"
                                         "\"icons\":[{\"src\":\"data:image/"
                                         "png;base64,iVBORw0KGgo=\",\"mimeType\":\"image/png\"}],"
                                         "\"_meta\":{\"example.org/x\":[1,2]}}"},
    {LIE, MCP_TOOL_NONBLOCKING, 0,
     TOOL("lie") OBJECT("") ",\"outputSchema\":{\"type\":\"object\",\"properties\":{\"n\":{"
                            "\"type\":\"integer\"}},\"required\":[\"n\"]}}"},
    {RICH, MCP_TOOL_NONBLOCKING, 0, TOOL("rich") OBJECT("") "}"},
    {HOSTILE, MCP_TOOL_NONBLOCKING, 0, TOOL("hostile") OBJECT("") "}"},
    {BIG, MCP_TOOL_THREAD_SAFE, 0, TOOL("big") OBJECT("\"bytes\":{\"type\":\"integer\"}") "}"},
    {WHAT, MCP_TOOL_NONBLOCKING, 0, TOOL("what") "\"inputSchema\":{\"type\":\"object\"}}"},
    {LATER, MCP_TOOL_THREAD_SAFE, 0, TOOL("later") OBJECT(MS) "}"},
    {TWICE, MCP_TOOL_NONBLOCKING, 0, TOOL("twice") OBJECT("") "}"},
    {REFUSE, MCP_TOOL_NONBLOCKING, 0, TOOL("refuse") OBJECT("") "}"},
    {FAIL, MCP_TOOL_NONBLOCKING, 0, TOOL("fail") OBJECT("") "}"},
    {NONSENSE, MCP_TOOL_NONBLOCKING, 0, TOOL("nonsense") OBJECT("") "}"},
};

static int32_t get_tools(void *self, const struct mcp_tool_sink *sink)
{
    (void)self;
    for (size_t i = 0; i < sizeof tools / sizeof tools[0]; i++) {
        const struct mcp_tool tool = {
            .struct_size = sizeof tool,
            .flags = tools[i].flags,
            .definition = bytes_of(tools[i].definition),
            .tag = tools[i].tag,
            .timeout_ms = tools[i].timeout_ms,
        };
        int32_t result = sink->add(sink, &tool);
        if (result != MCP_OK)
            return result;
    }
    return MCP_OK;
}

static int32_t create(const struct mcp_host *host, struct mcp_bytes config, void **instance)
{
    struct probe *probe = calloc(1, sizeof *probe);

    (void)config;
    if (probe == NULL)
        return MCP_ENOMEM;
    probe->host = host;
    *instance = probe;
    return MCP_OK;
}

static void stop(void *self)
{
    struct probe *probe = self;

    while (atomic_load(&probe->threads) > 0)
        pause_ms(1);
    pause_ms(20); /* the last thread has a few instructions left */
}

static const struct mcp_plugin plugin = {
    MCP_PLUGIN_HEADER, .id = "probe",   .version = "1.0.0",     .create = create,
    .stop = stop,      .destroy = free, .get_tools = get_tools, .call_tool = call_tool,
};

MCP_EXPORT const struct mcp_plugin *mcp_plugin_v1(void)
{
    return &plugin;
}
