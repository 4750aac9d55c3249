/* SPDX-License-Identifier: MIT */
/*
 * The plugin's test, run by `make check` with the path of the .so: a host of a
 * few lines loads it and calls count_words.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mcp/plugin.h>

static const char *max_bytes; /* the configuration */
static const char *text; /* the argument */
static char answer[256]; /* what the call ended with */

static void expect(int true_or_not, const char *what)
{
    if (true_or_not)
        return;
    fprintf(stderr, "test_example: %s (the answer was \"%s\")\n", what, answer);
    exit(1);
}

static int32_t give(const char *given, int32_t given_kind, int32_t *kind, struct mcp_bytes *value)
{
    if (given == NULL)
        return MCP_ENOENT;
    *kind = given_kind;
    *value = (struct mcp_bytes){given, strlen(given)};
    return MCP_OK;
}

static void host_fail(const struct mcp_host *host, struct mcp_bytes pointer, struct mcp_bytes why)
{
    (void)host;
    snprintf(answer, sizeof(answer), "%.*s: %.*s", (int)pointer.size, pointer.data, (int)why.size,
             why.data);
}

static int32_t host_config(const struct mcp_host *host, const char *pointer, int32_t *kind,
                           struct mcp_bytes *value)
{
    (void)host;
    (void)pointer;
    return give(max_bytes, MCP_JSON_NUMBER, kind, value);
}

static int32_t call_argument(struct mcp_call *call, const char *pointer, int32_t *kind,
                             struct mcp_bytes *value)
{
    (void)call;
    expect(strcmp(pointer, "/text") == 0, "an unknown argument is asked for");
    return give(text, MCP_JSON_STRING, kind, value);
}

static int32_t finish_structured(struct mcp_call *call, struct mcp_bytes words,
                                 struct mcp_bytes json)
{
    (void)call;
    (void)words;
    snprintf(answer, sizeof(answer), "%.*s", (int)json.size, json.data);
    return MCP_OK;
}

static int32_t finish_failure(struct mcp_call *call, struct mcp_bytes why)
{
    (void)call;
    snprintf(answer, sizeof(answer), "failure: %.*s", (int)why.size, why.data);
    return MCP_OK;
}

static int32_t add_tool(const struct mcp_tool_sink *sink, const struct mcp_tool *tool)
{
    (*(int *)sink->host_data)++;
    expect(strstr(tool->definition.data, "\"count_words\"") != NULL, "the tool is not count_words");
    return MCP_OK;
}

/* Calls the tool and looks for `expected` in what it says. */
static void ask(const struct mcp_plugin *plugin, void *self, const char *given,
                const char *expected)
{
    static const struct mcp_call_ops ops = {
        .struct_size = sizeof(ops),
        .finish_structured = finish_structured,
        .finish_failure = finish_failure,
        .argument = call_argument,
    };
    struct mcp_call call = {.struct_size = sizeof(call), .ops = &ops};
    call.name = MCP_STR("count_words");
    text = given;
    answer[0] = '\0';
    expect(plugin->call_tool(self, &call) == MCP_OK, "the call was refused");
    expect(strstr(answer, expected) != NULL, expected);
}

int main(int argc, char **argv)
{
    expect(argc == 2, "give the path of the plugin");
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    expect(library != NULL, "the plugin does not load");
    const struct mcp_plugin *(*entry)(void);
    *(void **)&entry = dlsym(library, "mcp_plugin_v1");
    const struct mcp_plugin *plugin = entry();

    struct mcp_host host = {.struct_size = sizeof(host), .fail = host_fail, .config = host_config};
    void *self = NULL;
    max_bytes = "0";
    expect(plugin->create(&host, MCP_STR("{}"), &self) != MCP_OK, "max_bytes 0 was taken");
    max_bytes = "20";
    expect(plugin->create(&host, MCP_STR("{}"), &self) == MCP_OK, "create failed");
    int tools = 0;
    struct mcp_tool_sink sink = {.struct_size = sizeof(sink), .host_data = &tools, .add = add_tool};
    expect(plugin->get_tools(self, &sink) == MCP_OK && tools == 1, "there is not one tool");

    ask(plugin, self, "", "{\"words\":0,\"lines\":0}");
    ask(plugin, self, "one two\n three", "{\"words\":3,\"lines\":2}");
    ask(plugin, self, "this is longer than 20", "failure: The text has 22 bytes");
    ask(plugin, self, NULL, "failure: The argument");
    plugin->destroy(self);
    dlclose(library);
    puts("test_example: passed");
    return 0;
}
