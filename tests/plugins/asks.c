/* SPDX-License-Identifier: MIT */
/*
 * Asks its clients, in every way there is:
 *
 *   ask {requests, state}    asks what it is told to; then gives back, as JSON,
 *                            {"state", "answers"} as it got them
 *   ask_at_once              the same, on the thread of its client
 *   ask_once                 the same, and its state counts once
 *   steps {count}            one question after the other, and gives the answers
 *                            ("step1" {"value"}), joined
 *   late {ms, close}         asks after a while; lets the client hang up before
 *
 * a prompt "asks" and a resource asks://form, which ask for one text ("context"),
 * and the completion of the prompt, which tries to.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mcp/completion.h>
#include <mcp/prompts.h>
#include <mcp/resources.h>

MCP_PLUGIN_MANIFEST("{\"id\":\"asks\",\"version\":\"1.0.0\",\"abi\":\"1.1\",\"extensions\":["
                    "\"mcp.prompts/1\",\"mcp.resources/1\",\"mcp.completion/1\"]}");

enum { ASK, STEPS, LATE };

#define ASK_SCHEMA                                                                                 \
    "\"inputSchema\":{\"type\":\"object\",\"properties\":{\"requests\":{\"type\":\"object\"},"     \
    "\"state\":{\"type\":\"string\"}}}"
#define TEXT_FORM(message, field)                                                                  \
    "{\"method\":\"elicitation/create\",\"params\":{\"message\":\"" message "\","                  \
    "\"requestedSchema\":{\"type\":\"object\",\"properties\":{\"" field                            \
    "\":{\"type\":\"string\",\"maxLength\":40}},\"required\":[\"" field "\"]}}}"
#define CONTEXT "{\"context\":" TEXT_FORM("What about?", "text") "}"

static const struct mcp_tool tools[] = {
    {sizeof(struct mcp_tool), MCP_TOOL_THREAD_SAFE,
     MCP_STR("{\"name\":\"ask\",\"description\":\"Asks.\"," ASK_SCHEMA "}"), ASK, 0, 0},
    {sizeof(struct mcp_tool), MCP_TOOL_NONBLOCKING,
     MCP_STR("{\"name\":\"ask_at_once\",\"description\":\"Asks.\"," ASK_SCHEMA "}"), ASK, 0, 0},
    {sizeof(struct mcp_tool), MCP_TOOL_THREAD_SAFE | MCP_TOOL_STATE_ONCE,
     MCP_STR("{\"name\":\"ask_once\",\"description\":\"Asks.\"," ASK_SCHEMA "}"), ASK, 0, 0},
    {sizeof(struct mcp_tool), MCP_TOOL_NONBLOCKING,
     MCP_STR("{\"name\":\"steps\",\"description\":\"Asks again.\",\"inputSchema\":{\"type\":"
             "\"object\",\"properties\":{\"count\":{\"type\":\"integer\"}}}}"),
     STEPS, 0, 0},
    {sizeof(struct mcp_tool), MCP_TOOL_THREAD_SAFE,
     MCP_STR("{\"name\":\"late\",\"description\":\"Asks after a while.\",\"inputSchema\":{"
             "\"type\":\"object\",\"properties\":{\"ms\":{\"type\":\"integer\"},"
             "\"close\":{\"type\":\"boolean\"}}}}"),
     LATE, 0, 0},
};

/* ---- helpers ---- */

static struct mcp_bytes argument(struct mcp_call *call, const char *pointer)
{
    int32_t kind;
    struct mcp_bytes value;

    if (call->ops->argument(call, pointer, &kind, &value) != MCP_OK)
        return MCP_STR("");
    return value;
}

static long integer_argument(struct mcp_call *call, const char *pointer)
{
    struct mcp_bytes value = argument(call, pointer);
    char number[24] = "";

    if (value.size < sizeof number)
        memcpy(number, value.data, value.size);
    return strtol(number, NULL, 10);
}

static int32_t answer(struct mcp_call *call, const char *pointer, struct mcp_bytes *value)
{
    int32_t kind;

    return call->ops->read(call, MCP_PART_INPUT_RESPONSES, pointer, &kind, value);
}

/* ---- tools ---- */

/* What came back, as the plugin sees it. The states of the tests have no quotes. */
static int32_t tell(struct mcp_call *call)
{
    size_t room = call->state.size + call->input_responses.size + 40;
    char *json = malloc(room);

    if (json == NULL)
        return MCP_ENOMEM;
    int size =
        snprintf(json, room, "{\"state\":\"%.*s\",\"answers\":%.*s}", (int)call->state.size,
                 call->state.data, (int)call->input_responses.size, call->input_responses.data);
    call->ops->finish_text(call, (struct mcp_bytes){json, (size_t)size});
    free(json);
    return MCP_OK;
}

static int32_t ask(struct mcp_call *call)
{
    if (call->input_responses.size > 0)
        return tell(call);
    call->ops->finish_need_input(call, argument(call, "/requests"), argument(call, "/state"));
    return MCP_OK;
}

/* The state is what has been answered so far: "a,b". */
static int32_t steps(struct mcp_call *call)
{
    char so_far[500] = "", pointer[64], requests[500];
    long round = 0, count = integer_argument(call, "/count");
    struct mcp_bytes value;

    if (call->state.size > 0 && call->state.size < 300) {
        memcpy(so_far, call->state.data, call->state.size);
        so_far[call->state.size] = '\0';
        for (const char *c = so_far; *c != '\0'; c++)
            round += *c == ',';
    }
    snprintf(pointer, sizeof pointer, "/step%ld/content/value", round + 1);
    if (answer(call, pointer, &value) == MCP_OK && value.size < 40) {
        size_t size = strlen(so_far);
        snprintf(so_far + size, sizeof so_far - size, "%.*s,", (int)value.size, value.data);
        round++;
    }
    struct mcp_bytes state = {so_far, strlen(so_far)};
    if (round >= count)
        return call->ops->finish_text(call, state);
    int size = snprintf(requests, sizeof requests, "{\"step%ld\":" TEXT_FORM("Next?", "value") "}",
                        round + 1);
    call->ops->finish_need_input(call, (struct mcp_bytes){requests, (size_t)size}, state);
    return MCP_OK;
}

static int32_t late(struct mcp_call *call)
{
    struct pollfd cancelled = {.fd = call->ops->cancel_fd(call), .events = POLLIN};

    if (call->input_responses.size > 0)
        return tell(call);
    if (argument(call, "/close").size == 4) /* true */
        call->ops->close_stream(call);
    poll(&cancelled, 1, (int)integer_argument(call, "/ms"));
    call->ops->finish_need_input(call, MCP_STR(CONTEXT), MCP_STR(""));
    return MCP_OK;
}

static int32_t get_tools(void *self, const struct mcp_tool_sink *sink)
{
    (void)self;
    for (size_t i = 0; i < sizeof tools / sizeof tools[0]; i++)
        sink->add(sink, &tools[i]);
    return MCP_OK;
}

static int32_t call_tool(void *self, struct mcp_call *call)
{
    (void)self;
    switch (call->tag) {
    case STEPS:
        return steps(call);
    case LATE:
        return late(call);
    default:
        return ask(call);
    }
}

/* ---- the others ---- */

static int32_t ask_context(void *self, struct mcp_call *call)
{
    struct mcp_bytes value;
    char text[100];

    (void)self;
    if (answer(call, "/context/content/text", &value) != MCP_OK) {
        call->ops->finish_need_input(call, MCP_STR(CONTEXT), MCP_STR("asked"));
        return MCP_OK;
    }
    int size = snprintf(text, sizeof text, "About %.*s (%.*s)", (int)value.size, value.data,
                        (int)call->state.size, call->state.data);
    return call->ops->finish_text(call, (struct mcp_bytes){text, (size_t)size});
}

static int32_t get_prompts(void *self, const struct mcp_offer_sink *sink)
{
    static const struct mcp_offer prompt = {
        sizeof prompt,
        0,
        MCP_STR("{\"name\":\"asks\",\"arguments\":[{\"name\":\"topic\"}]}"),
        0,
        0,
        0};
    (void)self;
    return sink->add(sink, &prompt);
}

static int32_t get_resources(void *self, const struct mcp_offer_sink *sink)
{
    static const struct mcp_offer resource = {
        sizeof resource,
        MCP_TOOL_THREAD_SAFE,
        MCP_STR("{\"uri\":\"asks://form\",\"name\":\"form\",\"mimeType\":\"text/plain\"}"),
        0,
        0,
        0};
    (void)self;
    return sink->add(sink, &resource);
}

static int32_t complete(void *self, struct mcp_call *call)
{
    char json[64];

    (void)self;
    int32_t code = call->ops->finish_need_input(call, MCP_STR(CONTEXT), MCP_STR(""));
    int size = snprintf(json, sizeof json, "{\"values\":[\"%d\"]}", (int)code);
    return call->ops->finish_result(call, (struct mcp_bytes){json, (size_t)size});
}

static const void *get_extension(void *self, const char *id)
{
    static const struct mcp_prompts of_prompts = {
        .struct_size = sizeof of_prompts, .get_prompts = get_prompts, .get_prompt = ask_context};
    static const struct mcp_resources of_resources = {.struct_size = sizeof of_resources,
                                                      .get_resources = get_resources,
                                                      .read_resource = ask_context};
    static const struct mcp_completion of_completion = {.struct_size = sizeof of_completion,
                                                        .complete = complete};
    (void)self;
    if (strcmp(id, MCP_PROMPTS) == 0)
        return &of_prompts;
    if (strcmp(id, MCP_RESOURCES) == 0)
        return &of_resources;
    return strcmp(id, MCP_COMPLETION) == 0 ? &of_completion : NULL;
}

static const struct mcp_plugin plugin = {
    MCP_PLUGIN_HEADER,      .id = "asks",           .version = "1.0.0",
    .get_tools = get_tools, .call_tool = call_tool, .get_extension = get_extension,
};

MCP_EXPORT const struct mcp_plugin *mcp_plugin_v1(void)
{
    return &plugin;
}
