/* SPDX-License-Identifier: MIT */
/*
 * A plugin that was written when ABI 1.1 was new, and is built with the headers of
 * then. Today's mcpd must serve it. It uses what 1.1 brought (tests/abi/frozen.c, what
 * there was before):
 *
 *     new_all             looks at every new part of a call and of the host, and answers
 *                         {"failed": [...]} with the names of those that misbehaved
 *     new_error           ends with an error of the protocol
 *     new_ask             asks for a name, once, and greets who has answered
 *     new_task            becomes a task, where the client knows tasks
 *
 * and a resource, a template, a prompt, its completion, and a skill.
 */
#include <stdio.h>
#include <string.h>

#include <mcp/completion.h>
#include <mcp/prompts.h>
#include <mcp/resources.h>
#include <mcp/skills.h>

MCP_PLUGIN_MANIFEST(
    "{\"id\":\"frozen_1_1\",\"version\":\"1.0.0\",\"abi\":\"1.1\",\"extensions\":["
    "\"mcp.resources/1\",\"mcp.prompts/1\",\"mcp.completion/1\",\"mcp.skills/1\"]}");

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define URI "frozen://text"

/* One instance is enough for this test, and keeps the plugin short. */
static const struct mcp_host *the_host;

static int32_t create(const struct mcp_host *host, struct mcp_bytes config, void **instance)
{
    (void)config;
    the_host = host;
    *instance = NULL;
    return MCP_OK;
}

/* ---- tools ---- */

enum { ALL, ERROR, ASK, TASK };

#define TOOL(tag, flags, name)                                                                     \
    {                                                                                              \
        sizeof(struct mcp_tool), flags,                                                            \
            MCP_STR("{\"name\":\"" name "\",\"inputSchema\":{\"type\":\"object\"}}"), tag, 0, 0    \
    }

static int32_t get_tools(void *self, const struct mcp_tool_sink *sink)
{
    static const struct mcp_tool tools[] = {
        TOOL(ALL, MCP_TOOL_THREAD_SAFE, "new_all"),
        TOOL(ERROR, MCP_TOOL_NONBLOCKING, "new_error"),
        TOOL(ASK, MCP_TOOL_STATE_ONCE, "new_ask"),
        TOOL(TASK, MCP_TOOL_TASK_OPTIONAL | MCP_TOOL_TASK_LATE, "new_task"),
    };
    (void)self;
    for (size_t i = 0; i < COUNT(tools); i++)
        sink->add(sink, &tools[i]);
    return MCP_OK;
}

struct failures {
    char json[1024];
    size_t used;
};

static void expect(struct failures *failures, int true_or_not, const char *what)
{
    if (!true_or_not)
        failures->used += (size_t)snprintf(
            failures->json + failures->used, sizeof(failures->json) - 64 - failures->used,
            "%s\"%s\"", failures->json[failures->used - 1] == '[' ? "" : ",", what);
}

static int32_t call_all(struct mcp_call *call)
{
    struct failures failures;
    const struct mcp_call_ops *ops = call->ops;
    const struct mcp_resources_host *resources = the_host->get_extension(the_host, MCP_RESOURCES);
    int32_t kind = -1;
    struct mcp_bytes value = {NULL, 0};

    failures.used =
        (size_t)sprintf(failures.json, "{\"content\":[],\"structuredContent\":{\"failed\":[");
    expect(&failures, the_host->abi_minor >= 1, "host->abi_minor");
    expect(&failures, ops->struct_size >= sizeof(*ops), "ops->struct_size");
    expect(&failures, call->struct_size >= sizeof(*call), "call->struct_size");
    expect(&failures, call->client_capabilities.size >= 2, "client_capabilities");
    expect(&failures,
           ops->read(call, MCP_PART_ARGUMENTS, "/given", &kind, &value) == MCP_OK &&
               kind == MCP_JSON_TRUE,
           "read arguments");
    expect(&failures,
           ops->read(call, MCP_PART_META, "/example.org~1given", &kind, &value) == MCP_OK &&
               kind == MCP_JSON_NUMBER,
           "read _meta");
    expect(&failures,
           ops->read(call, MCP_PART_CLIENT_CAPABILITIES, "/elicitation", &kind, &value) == MCP_OK &&
               kind == MCP_JSON_OBJECT,
           "read client capabilities");
    expect(&failures, ops->read(call, MCP_PART_INPUT_RESPONSES, "", &kind, &value) == MCP_ENOENT,
           "read input responses that are not there");
    expect(&failures, ops->start_task(call) == MCP_ENOTSUP, "start_task without the flags");
    expect(&failures, ops->close_stream(call) == MCP_OK, "close_stream");
    expect(&failures,
           resources != NULL && resources->struct_size >= sizeof(*resources) &&
               resources->updated(the_host, MCP_STR(URI)) == MCP_OK,
           "updated");
    failures.used += (size_t)sprintf(failures.json + failures.used, "]}}");
    return ops->finish_result(call, (struct mcp_bytes){failures.json, failures.used});
}

static int32_t call_ask(struct mcp_call *call)
{
    int32_t kind;
    struct mcp_bytes name;
    char text[200];

    if (call->ops->read(call, MCP_PART_INPUT_RESPONSES, "/who/content/name", &kind, &name) !=
        MCP_OK)
        return call->ops->finish_need_input(
            call,
            MCP_STR("{\"who\":{\"method\":\"elicitation/create\",\"params\":{\"message\":"
                    "\"Who?\",\"requestedSchema\":{\"type\":\"object\",\"properties\":{\"name\":"
                    "{\"type\":\"string\"}},\"required\":[\"name\"]}}}}"),
            MCP_STR("asked"));
    int size = snprintf(text, sizeof(text), "%.*s: %.*s", (int)call->state.size, call->state.data,
                        (int)name.size, name.data);
    return call->ops->finish_text(call, (struct mcp_bytes){text, (size_t)size});
}

static int32_t call_tool(void *self, struct mcp_call *call)
{
    (void)self;
    switch (call->tag) {
    case ALL:
        return call_all(call);
    case ERROR:
        return call->ops->finish_error(call, MCP_ERROR_INVALID_PARAMS, MCP_STR("Not so."),
                                       MCP_STR("{\"frozen\":true}"));
    case ASK:
        return call_ask(call);
    default:
        return call->ops->finish_text(
            call, call->ops->start_task(call) == MCP_OK ? MCP_STR("a task") : MCP_STR("no task"));
    }
}

/* ---- the extensions ---- */

#define OFFER(tag, definition)                                                                     \
    {                                                                                              \
        sizeof(struct mcp_offer), MCP_TOOL_NONBLOCKING, MCP_STR(definition), tag, 0, 0             \
    }

static const struct mcp_offer resource = OFFER(1, "{\"uri\":\"" URI "\",\"name\":\"text\"}");
static const struct mcp_offer skill_file =
    OFFER(2, "{\"uri\":\"skill://frozen/SKILL.md\",\"name\":\"SKILL.md\"}");
static const struct mcp_offer template =
    OFFER(3, "{\"uriTemplate\":\"frozen://item/{id}\",\"name\":\"item\"}");
static const struct mcp_offer prompt =
    OFFER(4, "{\"name\":\"new_prompt\",\"arguments\":[{\"name\":\"name\",\"required\":true}]}");
static const struct mcp_offer skill =
    OFFER(5, "{\"uri\":\"skill://frozen/SKILL.md\",\"frontmatter\":{\"name\":\"frozen\","
             "\"description\":\"Of 1.1\"},\"resources\":\"dynamic\"}");

static int32_t get_resources(void *self, const struct mcp_offer_sink *sink)
{
    (void)self;
    sink->add(sink, &skill_file);
    return sink->add(sink, &resource);
}

static int32_t get_resource_templates(void *self, const struct mcp_offer_sink *sink)
{
    (void)self;
    return sink->add(sink, &template);
}

static int32_t get_prompts(void *self, const struct mcp_offer_sink *sink)
{
    (void)self;
    return sink->add(sink, &prompt);
}

static int32_t get_skills(void *self, const struct mcp_offer_sink *sink)
{
    (void)self;
    return sink->add(sink, &skill);
}

/* The tag, the name and the arguments: of a resource read, and of a prompt. */
static int32_t show(void *self, struct mcp_call *call)
{
    char text[500];
    int size = snprintf(text, sizeof(text), "%d %.*s %.*s", (int)call->tag, (int)call->name.size,
                        call->name.data, (int)call->arguments.size, call->arguments.data);

    (void)self;
    return call->ops->finish_text(call, (struct mcp_bytes){text, (size_t)size});
}

static int32_t complete(void *self, struct mcp_call *call)
{
    (void)self;
    return call->ops->finish_result(call, call->tag == 4 ? MCP_STR("{\"values\":[\"Ada\"]}")
                                                         : MCP_STR("{\"values\":[\"1\"]}"));
}

static const void *get_extension(void *self, const char *id)
{
    static const struct mcp_resources resources = {sizeof(resources), 0, get_resources,
                                                   get_resource_templates, show};
    static const struct mcp_prompts prompts = {sizeof(prompts), 0, get_prompts, show};
    static const struct mcp_completion completion = {sizeof(completion), 0, complete};
    static const struct mcp_skills skills = {sizeof(skills), 0, get_skills};

    (void)self;
    return strcmp(id, MCP_RESOURCES) == 0    ? (const void *)&resources
           : strcmp(id, MCP_PROMPTS) == 0    ? (const void *)&prompts
           : strcmp(id, MCP_COMPLETION) == 0 ? (const void *)&completion
           : strcmp(id, MCP_SKILLS) == 0     ? (const void *)&skills
                                             : NULL;
}

static const struct mcp_plugin plugin = {
    MCP_PLUGIN_HEADER,
    .id = "frozen_1_1",
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
