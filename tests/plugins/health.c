/* SPDX-License-Identifier: MIT */
/*
 * Its check answers as it was told last: by the tool `become` {state}, or in the
 * configuration, {"state": ...}. "well", "ill", "stuck" (not before the call is
 * cancelled and half a second more), "silent" (never), "wrong" (a result), "refused"
 * (does not take it). The tool `count` says how many checks there were, and how many
 * at once at most.
 */
#include <mcp/health.h>
#include <mcp/plugin.h>

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

MCP_PLUGIN_MANIFEST("{\"id\":\"health\",\"version\":\"1.0.0\",\"abi\":\"1.1\","
                    "\"extensions\":[\"mcp.health/1\"]}");

enum { BECOME, COUNT };

static const char *const states[] = {"well", "ill", "stuck", "silent", "wrong", "refused"};
enum { WELL, ILL, STUCK, SILENT, WRONG, REFUSED, STATES };

static atomic_int state, checks, inside, most;

static void take_state(struct mcp_bytes name)
{
    for (int i = 0; i < STATES; i++)
        if (strlen(states[i]) == name.size && memcmp(states[i], name.data, name.size) == 0)
            atomic_store(&state, i);
}

static int32_t create(const struct mcp_host *host, struct mcp_bytes config, void **instance)
{
    int32_t kind;
    struct mcp_bytes value;
    (void)config;
    *instance = NULL;
    if (host->config(host, "/state", &kind, &value) == MCP_OK && kind == MCP_JSON_STRING)
        take_state(value);
    return MCP_OK;
}

static int32_t add(const struct mcp_tool_sink *sink, uint64_t tag, struct mcp_bytes definition)
{
    const struct mcp_tool tool = {.struct_size = sizeof(tool),
                                  .flags = MCP_TOOL_THREAD_SAFE,
                                  .definition = definition,
                                  .tag = tag};
    return sink->add(sink, &tool);
}

static int32_t get_tools(void *self, const struct mcp_tool_sink *sink)
{
    (void)self;
    add(sink, BECOME,
        MCP_STR("{\"name\":\"become\",\"inputSchema\":{\"type\":\"object\",\"properties\":"
                "{\"state\":{\"type\":\"string\"}},\"required\":[\"state\"]}}"));
    return add(sink, COUNT, MCP_STR("{\"name\":\"count\",\"inputSchema\":{\"type\":\"object\"}}"));
}

static int32_t call_tool(void *self, struct mcp_call *call)
{
    char text[64];
    int32_t kind;
    struct mcp_bytes value;
    (void)self;
    if (call->tag == BECOME && call->ops->argument(call, "/state", &kind, &value) == MCP_OK)
        take_state(value);
    int size = snprintf(text, sizeof(text), "%d checks, %d at once", atomic_load(&checks),
                        atomic_load(&most));
    call->ops->finish_text(call, (struct mcp_bytes){text, (size_t)size});
    return MCP_OK;
}

static void be_stuck(struct mcp_call *call)
{
    while (!call->ops->is_cancelled(call))
        usleep(10000);
    usleep(500000);
}

static int32_t check(void *self, struct mcp_call *call)
{
    int32_t result = MCP_OK;
    (void)self;
    atomic_fetch_add(&checks, 1);
    int now = atomic_fetch_add(&inside, 1) + 1;
    if (now > atomic_load(&most))
        atomic_store(&most, now);
    switch (atomic_load(&state)) {
    case ILL:
        call->ops->finish_failure(call, MCP_STR("The tea is cold: make new \"tea\"."));
        break;
    case STUCK:
        be_stuck(call);
        call->ops->finish_text(call, MCP_STR("Late."));
        break;
    case SILENT:
        break;
    case WRONG:
        call->ops->finish_result(call, MCP_STR("{\"content\":[]}"));
        break;
    case REFUSED:
        result = MCP_EFAIL;
        break;
    default:
        call->ops->finish_text(call, MCP_STR("The tea is hot."));
        break;
    }
    atomic_fetch_sub(&inside, 1);
    return result;
}

static const void *get_extension(void *self, const char *id)
{
    static const struct mcp_health health = {
        .struct_size = sizeof(health), .flags = MCP_TOOL_THREAD_SAFE, .check = check};
    (void)self;
    return strcmp(id, MCP_HEALTH) == 0 ? &health : NULL;
}

static const struct mcp_plugin plugin = {
    MCP_PLUGIN_HEADER,
    .id = "health",
    .version = "1.0.0",
    .create = create,
    .get_tools = get_tools,
    .call_tool = call_tool,
    .get_extension = get_extension,
};

MCP_EXPORT const struct mcp_plugin *mcp_plugin_v1(void)
{
    return &plugin;
}
