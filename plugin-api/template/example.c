/* SPDX-License-Identifier: MIT */
/*
 * A provider plugin for mcpd: one tool, count_words.
 *
 * What everything here means is said in <mcp/plugin.h> and in mcp-plugin(7).
 * Rename it: the id and version stand twice, in the manifest and at the end.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <mcp/plugin.h>

/* Read by mcpd before it runs one instruction of this file. */
MCP_PLUGIN_MANIFEST("{\"id\":\"example\",\"version\":\"0.1.0\",\"abi\":\"1.0\"}");

/* What the operator may write into "config"; mcpd checks it before create. */
static const char config_schema[] =
    "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
    "\"max_bytes\":{\"type\":\"integer\",\"minimum\":1,\"default\":100000}}}";

/* One instance. There may be several, so nothing is kept outside of it. */
struct example {
    const struct mcp_host *host;
    size_t max_bytes;
};

static int32_t create(const struct mcp_host *host, struct mcp_bytes config, void **instance)
{
    (void)config; /* host->config reads it piece by piece */
    struct example *self = calloc(1, sizeof(*self));
    if (self == NULL)
        return MCP_ENOMEM;
    self->host = host;
    self->max_bytes = 100000;
    int32_t kind;
    struct mcp_bytes value;
    if (host->config(host, "/max_bytes", &kind, &value) == MCP_OK) {
        char digits[32];
        snprintf(digits, sizeof(digits), "%.*s", (int)value.size, value.data);
        long bytes = kind == MCP_JSON_NUMBER ? strtol(digits, NULL, 10) : 0;
        if (bytes < 1) {
            host->fail(host, MCP_STR("/max_bytes"), MCP_STR("expected a number above 0"));
            free(self);
            return MCP_EFAIL;
        }
        self->max_bytes = (size_t)bytes;
    }
    *instance = self;
    return MCP_OK;
}

static void destroy(void *self)
{
    free(self);
}

static int32_t get_tools(void *self, const struct mcp_tool_sink *sink)
{
    (void)self;
    const struct mcp_tool count_words = {
        .struct_size = sizeof(count_words),
        /* Quick and without shared state: may be called on any thread at once. */
        .flags = MCP_TOOL_NONBLOCKING,
        .definition = MCP_STR("{\"name\":\"count_words\",\"title\":\"Count words\","
                              "\"description\":\"Counts the words and lines of a text.\","
                              "\"inputSchema\":{\"type\":\"object\",\"properties\":{"
                              "\"text\":{\"type\":\"string\",\"description\":\"The text\"}},"
                              "\"required\":[\"text\"],\"additionalProperties\":false},"
                              "\"outputSchema\":{\"type\":\"object\",\"properties\":{"
                              "\"words\":{\"type\":\"integer\"},\"lines\":{\"type\":\"integer\"}},"
                              "\"required\":[\"words\",\"lines\"]},"
                              "\"annotations\":{\"readOnlyHint\":true,\"openWorldHint\":false}}"),
    };
    return sink->add(sink, &count_words);
}

static int is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Ends every call that it accepts exactly once; here, before it returns. */
static int32_t call_tool(void *instance, struct mcp_call *call)
{
    const struct example *self = instance;
    int32_t kind;
    struct mcp_bytes text;
    /* mcpd has checked the arguments against inputSchema; a plugin looks all the same. */
    if (call->ops->argument(call, "/text", &kind, &text) != MCP_OK || kind != MCP_JSON_STRING)
        return call->ops->finish_failure(call, MCP_STR("The argument \"text\" is missing."));
    char words_text[128], json[128];
    int size;
    if (text.size > self->max_bytes) {
        /* A failure is for the model to read: say what is wrong and what to do. */
        size = snprintf(words_text, sizeof(words_text),
                        "The text has %zu bytes; at most %zu are counted. Send parts of it.",
                        text.size, self->max_bytes);
        return call->ops->finish_failure(call, (struct mcp_bytes){words_text, (size_t)size});
    }
    uint64_t words = 0, lines = 0;
    for (size_t i = 0; i < text.size; i++) {
        words += !is_space(text.data[i]) && (i == 0 || is_space(text.data[i - 1]));
        lines += text.data[i] == '\n' || i + 1 == text.size;
    }
    size = snprintf(words_text, sizeof(words_text), "Words: %" PRIu64 ", lines: %" PRIu64 ".",
                    words, lines);
    int json_size =
        snprintf(json, sizeof(json), "{\"words\":%" PRIu64 ",\"lines\":%" PRIu64 "}", words, lines);
    return call->ops->finish_structured(call, (struct mcp_bytes){words_text, (size_t)size},
                                        (struct mcp_bytes){json, (size_t)json_size});
}

static const struct mcp_plugin plugin = {
    MCP_PLUGIN_HEADER,
    .id = "example",
    .name = "Example",
    .version = "0.1.0",
    .config_schema = config_schema,
    .create = create,
    .destroy = destroy,
    .get_tools = get_tools,
    .call_tool = call_tool,
};

MCP_EXPORT const struct mcp_plugin *mcp_plugin_v1(void)
{
    return &plugin;
}
