/* SPDX-License-Identifier: MIT */
/*
 * Tools whose calls are tasks, or may become ones:
 *
 *   job {ms, file}      may be one; appends a line to `file`, waits, reports progress
 *   again {ms, file}    the same, and it may be run twice
 *   must                must be one; ends as a failure that the model can read
 *   broken              may be one; ends with an error of the protocol
 *   confirm             asks one question on the way
 *   two                 asks two at once
 *   rounds              asks under the same key three times, one after the other
 *   sample              asks for sampling
 *   late {ms}           must be one; asks for a name first, becomes a task then
 *   perhaps {ms}        becomes a task at once, where that can be
 */
#include <mcp/plugin.h>

#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

MCP_PLUGIN_MANIFEST("{\"id\":\"tasks\",\"version\":\"1.0.0\",\"abi\":\"1.1\"}");

enum { JOB, AGAIN, MUST, BROKEN, CONFIRM, TWO, ROUNDS, SAMPLE, LATE, PERHAPS };

#define QUESTION(text)                                                                             \
    "{\"method\":\"elicitation/create\",\"params\":{\"mode\":\"form\",\"message\":\"" text         \
    "\",\"requestedSchema\":{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},"  \
    "\"confirm\":{\"type\":\"boolean\"}}}}}"

/* ---- helpers ---- */

static long integer_argument(struct mcp_call *call, const char *pointer)
{
    int32_t kind;
    struct mcp_bytes value;
    char number[24];

    if (call->ops->argument(call, pointer, &kind, &value) != MCP_OK || kind != MCP_JSON_NUMBER ||
        value.size >= sizeof(number))
        return 0;
    memcpy(number, value.data, value.size);
    number[value.size] = '\0';
    return strtol(number, NULL, 10);
}

/* One line for each time that the call is carried out. */
static void leave_a_line(struct mcp_call *call)
{
    int32_t kind;
    struct mcp_bytes value;
    char path[1024];

    if (call->ops->argument(call, "/file", &kind, &value) != MCP_OK || kind != MCP_JSON_STRING ||
        value.size >= sizeof(path))
        return;
    memcpy(path, value.data, value.size);
    path[value.size] = '\0';
    FILE *out = fopen(path, "a");
    if (out == NULL)
        return;
    fputs("run\n", out);
    fclose(out);
}

/* Waits in steps and reports each; false: cancelled. */
static bool wait_ms(struct mcp_call *call, long ms)
{
    struct pollfd cancelled = {.fd = call->ops->cancel_fd(call), .events = POLLIN};

    for (long waited = 0; waited < ms && call->ops->is_cancelled(call) == 0;) {
        long step = ms - waited < 50 ? ms - waited : 50;
        char text[64];
        poll(&cancelled, 1, (int)step);
        waited += step;
        int size = snprintf(text, sizeof(text), "%ld of %ld ms", waited, ms);
        call->ops->progress(call, (double)waited, (double)ms,
                            (struct mcp_bytes){text, (size_t)size});
    }
    return call->ops->is_cancelled(call) == 0;
}

static void finish_with(struct mcp_call *call, const char *before, struct mcp_bytes with)
{
    char text[2048];
    int size = snprintf(text, sizeof(text), "%s%.*s", before, (int)with.size, with.data);

    if (size >= (int)sizeof(text))
        size = sizeof(text) - 1;
    call->ops->finish_text(call, (struct mcp_bytes){text, (size_t)size});
}

static void work(struct mcp_call *call)
{
    long ms = integer_argument(call, "/ms");

    leave_a_line(call);
    if (wait_ms(call, ms))
        call->ops->finish_text(call, MCP_STR("worked"));
    else
        call->ops->finish_text(call, MCP_STR("cancelled"));
}

/* ---- asking ---- */

static void ask(struct mcp_call *call, struct mcp_bytes requests, struct mcp_bytes state)
{
    if (call->ops->finish_need_input(call, requests, state) == MCP_ENOTSUP)
        call->ops->finish_failure(call, MCP_STR("the client cannot be asked"));
}

static void call_rounds(struct mcp_call *call)
{
    char state[16];
    int rounds = call->state.size > 0 ? call->state.data[0] - '0' : 0;

    if (rounds == 3) {
        finish_with(call, "at last: ", call->input_responses);
        return;
    }
    snprintf(state, sizeof(state), "%d", rounds + 1);
    ask(call, MCP_STR("{\"again\":" QUESTION("Again?") "}"), (struct mcp_bytes){state, 1});
}

static void call_late(struct mcp_call *call)
{
    if (call->input_responses.size == 0) {
        ask(call, MCP_STR("{\"name\":" QUESTION("What is your name?") "}"), MCP_STR("asked"));
        return;
    }
    int32_t code = call->ops->start_task(call);
    if (code != MCP_OK || call->ops->start_task(call) != MCP_OK) {
        call->ops->finish_failure(call, MCP_STR("it cannot become a task"));
        return;
    }
    if (wait_ms(call, integer_argument(call, "/ms")))
        finish_with(call, "late for ", call->input_responses);
    else
        call->ops->finish_text(call, MCP_STR("cancelled"));
}

static void call_perhaps(struct mcp_call *call)
{
    int32_t code = call->ops->start_task(call);
    bool waited = wait_ms(call, integer_argument(call, "/ms"));

    finish_with(call, "",
                !waited          ? MCP_STR("cancelled")
                : code == MCP_OK ? MCP_STR("as a task")
                                 : MCP_STR("as a call"));
}

/* ---- the plugin ---- */

static int32_t add(const struct mcp_tool_sink *sink, uint64_t tag, uint32_t flags, const char *name,
                   const char *annotations)
{
    char definition[500];
    int size = snprintf(definition, sizeof(definition),
                        "{\"name\":\"%s\",\"description\":\"For tests.\",\"annotations\":{%s},"
                        "\"inputSchema\":{\"type\":\"object\",\"properties\":{\"ms\":{\"type\":"
                        "\"integer\"},\"file\":{\"type\":\"string\"}}}}",
                        name, annotations);
    const struct mcp_tool tool = {.struct_size = sizeof(tool),
                                  .flags = MCP_TOOL_THREAD_SAFE | flags,
                                  .definition = {definition, (size_t)size},
                                  .tag = tag};

    return sink->add(sink, &tool);
}

static int32_t get_tools(void *self, const struct mcp_tool_sink *sink)
{
    const uint32_t optional = MCP_TOOL_TASK_OPTIONAL, required = MCP_TOOL_TASK_REQUIRED;

    (void)self;
    add(sink, JOB, optional, "job", "");
    add(sink, AGAIN, optional, "again", "\"idempotentHint\":true");
    add(sink, MUST, required, "must", "");
    add(sink, BROKEN, optional, "broken", "");
    add(sink, CONFIRM, optional, "confirm", "");
    add(sink, TWO, optional, "two", "");
    add(sink, ROUNDS, optional, "rounds", "");
    add(sink, SAMPLE, optional, "sample", "");
    add(sink, LATE, required | MCP_TOOL_TASK_LATE, "late", "\"readOnlyHint\":true");
    return add(sink, PERHAPS, optional | MCP_TOOL_TASK_LATE, "perhaps", "");
}

static int32_t call_tool(void *self, struct mcp_call *call)
{
    (void)self;
    bool first = call->input_responses.size == 0;
    switch (call->tag) {
    case JOB:
    case AGAIN:
        work(call);
        break;
    case MUST:
        call->ops->finish_failure(call, MCP_STR("it must fail"));
        break;
    case BROKEN:
        call->ops->finish_error(call, MCP_ERROR_INTERNAL, MCP_STR("broken inside"),
                                MCP_STR("{\"detail\":7}"));
        break;
    case CONFIRM:
        if (first)
            ask(call, MCP_STR("{\"sure\":" QUESTION("Are you sure?") "}"), MCP_STR("st\"ate"));
        else
            finish_with(call, "answered: ", call->input_responses);
        break;
    case TWO:
        if (first)
            ask(call, MCP_STR("{\"a\":" QUESTION("First?") ",\"b:c\":" QUESTION("Second?") "}"),
                MCP_STR(""));
        else
            finish_with(call, "answered: ", call->input_responses);
        break;
    case ROUNDS:
        call_rounds(call);
        break;
    case SAMPLE:
        ask(call,
            MCP_STR("{\"s\":{\"method\":\"sampling/createMessage\",\"params\":{\"messages\":[],"
                    "\"maxTokens\":1}}}"),
            MCP_STR(""));
        break;
    case LATE:
        call_late(call);
        break;
    case PERHAPS:
        call_perhaps(call);
        break;
    default:
        return MCP_ENOENT;
    }
    return MCP_OK;
}

static const struct mcp_plugin plugin = {
    MCP_PLUGIN_HEADER,  .id = "tasks",          .name = "Tasks",
    .version = "1.0.0", .get_tools = get_tools, .call_tool = call_tool,
};

MCP_EXPORT const struct mcp_plugin *mcp_plugin_v1(void)
{
    return &plugin;
}
