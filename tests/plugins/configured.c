/* SPDX-License-Identifier: MIT */
/*
 * Uses what the host offers to an instance: the configuration and its schema,
 * reconfigure, notify, log. Tools: `config` {pointer} reads the configuration;
 * `grow` adds a tool called extra and notifies; `chatter` {count} logs so many
 * lines.
 */
#include <mcp/plugin.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

MCP_PLUGIN_MANIFEST("{\"id\":\"configured\",\"version\":\"1.0.0\",\"abi\":\"1.0\"}");

enum { CONFIG, GROW, CHATTER, EXTRA };

struct instance {
    const struct mcp_host *host;
    atomic_int grown;
};

static int32_t check_url(const struct mcp_host *host)
{
    int32_t kind;
    struct mcp_bytes url;
    if (host->config(host, "/url", &kind, &url) == MCP_OK && url.size == 4 &&
        memcmp(url.data, "nope", 4) == 0) {
        host->fail(host, MCP_STR("/url"), MCP_STR("this is not a URL that answers"));
        return MCP_EFAIL;
    }
    return MCP_OK;
}

static int32_t create(const struct mcp_host *host, struct mcp_bytes config, void **instance)
{
    struct instance *self = calloc(1, sizeof(*self));
    (void)config;
    if (self == NULL)
        return MCP_ENOMEM;
    self->host = host;
    *instance = self;
    int32_t result = check_url(host);
    if (result != MCP_OK)
        free(self);
    return result;
}

static int32_t reconfigure(void *data, struct mcp_bytes config)
{
    struct instance *self = data;
    (void)config;
    return check_url(self->host);
}

static int32_t add(const struct mcp_tool_sink *sink, uint64_t tag, struct mcp_bytes definition)
{
    const struct mcp_tool tool = {.struct_size = sizeof(tool),
                                  .flags = MCP_TOOL_THREAD_SAFE,
                                  .definition = definition,
                                  .tag = tag};
    return sink->add(sink, &tool);
}

static int32_t get_tools(void *data, const struct mcp_tool_sink *sink)
{
    struct instance *self = data;
    add(sink, CONFIG,
        MCP_STR("{\"name\":\"config\",\"inputSchema\":{\"type\":\"object\",\"properties\":"
                "{\"pointer\":{\"type\":\"string\"}},\"required\":[\"pointer\"]}}"));
    add(sink, GROW, MCP_STR("{\"name\":\"grow\",\"inputSchema\":{\"type\":\"object\"}}"));
    add(sink, CHATTER,
        MCP_STR("{\"name\":\"chatter\",\"inputSchema\":{\"type\":\"object\",\"properties\":"
                "{\"count\":{\"type\":\"integer\"}},\"required\":[\"count\"]}}"));
    if (atomic_load(&self->grown))
        add(sink, EXTRA, MCP_STR("{\"name\":\"extra\",\"inputSchema\":{\"type\":\"object\"}}"));
    return MCP_OK;
}

static int32_t call_config(struct instance *self, struct mcp_call *call)
{
    char pointer[200];
    int32_t kind;
    struct mcp_bytes value;
    if (call->ops->argument(call, "/pointer", &kind, &value) != MCP_OK || kind != MCP_JSON_STRING ||
        value.size >= sizeof(pointer))
        return call->ops->finish_failure(call, MCP_STR("\"pointer\" must be a short string."));
    memcpy(pointer, value.data, value.size);
    pointer[value.size] = '\0';
    if (self->host->config(self->host, pointer, &kind, &value) != MCP_OK)
        return call->ops->finish_failure(call, MCP_STR("There is nothing."));
    return call->ops->finish_text(call, value);
}

static int32_t call_chatter(struct instance *self, struct mcp_call *call)
{
    int32_t kind;
    struct mcp_bytes value;
    char number[24] = "0";
    if (call->ops->argument(call, "/count", &kind, &value) == MCP_OK &&
        value.size < sizeof(number)) {
        memcpy(number, value.data, value.size);
        number[value.size] = '\0';
    }
    for (long i = 0, count = strtol(number, NULL, 10); i < count; i++) {
        char line[64];
        int size = snprintf(line, sizeof(line), "line number %ld", i);
        self->host->log(self->host, MCP_LOG_INFO, (struct mcp_bytes){line, (size_t)size});
    }
    return call->ops->finish_text(call, MCP_STR("Said."));
}

static int32_t call_tool(void *data, struct mcp_call *call)
{
    struct instance *self = data;
    switch (call->tag) {
    case CONFIG:
        call_config(self, call);
        return MCP_OK;
    case CHATTER:
        call_chatter(self, call);
        return MCP_OK;
    case GROW:
        atomic_store(&self->grown, 1);
        self->host->notify(self->host, MCP_CHANGED_TOOLS);
        call->ops->finish_text(call, MCP_STR("Grown."));
        return MCP_OK;
    default:
        call->ops->finish_text(call, MCP_STR("Here."));
        return MCP_OK;
    }
}

static const struct mcp_plugin plugin = {
    MCP_PLUGIN_HEADER,
    .id = "configured",
    .version = "1.0.0",
    .config_schema = "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
                     "\"url\":{\"type\":\"string\"},"
                     "\"size\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":10},"
                     "\"list\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}}}}",
    .create = create,
    .reconfigure = reconfigure,
    .destroy = free,
    .get_tools = get_tools,
    .call_tool = call_tool,
};

MCP_EXPORT const struct mcp_plugin *mcp_plugin_v1(void)
{
    return &plugin;
}
