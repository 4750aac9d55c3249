/* SPDX-License-Identifier: MIT */
/* Prompts and their completion, one for each way in which a prompt can end, and a
 * tool with all kinds of content. "config": {"completes": false} leaves out the
 * completion; the tool "more" brings a further prompt. */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mcp/completion.h>
#include <mcp/prompts.h>

MCP_PLUGIN_MANIFEST("{\"id\":\"prompts\",\"version\":\"1.0.0\",\"abi\":\"1.1\","
                    "\"extensions\":[\"mcp.prompts/1\",\"mcp.completion/1\"]}");

struct instance {
    const struct mcp_host *host;
    atomic_bool more;
};

enum prompt { GREET, PIECES, REFUSE, FAIL, BROKEN, PLAIN, MORE };

static const struct mcp_offer prompts[] = {
    [GREET] = {sizeof(struct mcp_offer), MCP_TOOL_NONBLOCKING,
               MCP_STR("{\"name\":\"greet\",\"title\":\"Greeting\",\"description\":\"Greets.\","
                       "\"arguments\":[{\"name\":\"name\",\"title\":\"Name\",\"description\":"
                       "\"Whom\",\"required\":true},{\"name\":\"time\",\"required\":true},"
                       "{\"name\":\"style\"}],\"icons\":[{\"src\":\"https://example.org/i.png\"}],"
                       "\"_meta\":{\"example.org/a\":1}}"),
               GREET, 0, 0},
    [PIECES] = {sizeof(struct mcp_offer), 0, MCP_STR("{\"name\":\"pieces\"}"), PIECES, 0, 0},
    [REFUSE] = {sizeof(struct mcp_offer), MCP_TOOL_THREAD_SAFE, MCP_STR("{\"name\":\"refuse\"}"),
                REFUSE, 0, 0},
    [FAIL] = {sizeof(struct mcp_offer), 0, MCP_STR("{\"name\":\"fail\"}"), FAIL, 0, 0},
    [BROKEN] = {sizeof(struct mcp_offer), 0, MCP_STR("{\"name\":\"broken\"}"), BROKEN, 0, 0},
    [PLAIN] = {sizeof(struct mcp_offer), 0,
               MCP_STR("{\"name\":\"plain\",\"arguments\":[{\"name\":\"many\"},"
                       "{\"name\":\"few\"}]}"),
               PLAIN, 0, 0},
    [MORE] = {sizeof(struct mcp_offer), 0, MCP_STR("{\"name\":\"more\"}"), MORE, 0, 0},
};

#define ICON "\"icons\":[{\"src\":\"https://example.org/l.png\"}]"
#define NOTES                                                                                      \
    "\"annotations\":{\"audience\":[\"user\"],\"priority\":0.5,\"lastModified\":"                  \
    "\"2025-01-12T15:00:58Z\"},\"_meta\":{\"example.org/b\":2}"
#define IMAGE "{\"type\":\"image\",\"data\":\"iVBORw0KGgo=\",\"mimeType\":\"image/png\"," NOTES "}"
#define AUDIO "{\"type\":\"audio\",\"data\":\"UklGRg==\",\"mimeType\":\"audio/wav\"}"
#define EMBEDDED                                                                                   \
    "{\"type\":\"resource\",\"resource\":{\"uri\":\"test://x\",\"mimeType\":\"text/plain\","       \
    "\"text\":\"inside\",\"_meta\":{\"example.org/c\":3}}," NOTES "}"
#define LINK                                                                                       \
    "{\"type\":\"resource_link\",\"uri\":\"test://far\",\"name\":\"far \\\"one\\\"\",\"title\":"   \
    "\"Far\",\"description\":\"Far away\",\"mimeType\":\"text/html\",\"size\":7," ICON "," NOTES   \
    "}"
#define MESSAGE(role, content) "{\"role\":\"" role "\",\"content\":" content "}"

#define TEXT "{\"type\":\"text\",\"text\":\"one\"," NOTES "}"
#define MESSAGES                                                                                   \
    MESSAGE("user", TEXT)                                                                          \
    "," MESSAGE("assistant", IMAGE) "," MESSAGE("user", AUDIO) "," MESSAGE(                        \
        "user", EMBEDDED) "," MESSAGE("user", LINK)

static const struct mcp_bytes pieces = MCP_STR(
    "{\"description\":\"All pieces\",\"messages\":[" MESSAGES "],\"_meta\":{\"example.org/d\":4}}");
static const struct mcp_bytes content =
    MCP_STR("{\"content\":[" TEXT "," IMAGE "," AUDIO "," EMBEDDED "," LINK "]}");

/* ---- tools ---- */

static int32_t get_tools(void *self, const struct mcp_tool_sink *sink)
{
    static const struct mcp_tool tools[] = {
        {sizeof(struct mcp_tool), MCP_TOOL_NONBLOCKING,
         MCP_STR("{\"name\":\"content\",\"inputSchema\":{\"type\":\"object\"}}"), 0, 0, 0},
        {sizeof(struct mcp_tool), MCP_TOOL_NONBLOCKING,
         MCP_STR("{\"name\":\"more\",\"inputSchema\":{\"type\":\"object\"}}"), 1, 0, 0},
    };
    (void)self;
    for (size_t i = 0; i < sizeof tools / sizeof tools[0]; i++)
        sink->add(sink, &tools[i]);
    return MCP_OK;
}

static int32_t call_tool(void *self, struct mcp_call *call)
{
    struct instance *instance = self;

    if (call->tag == 0)
        return call->ops->finish_result(call, content);
    atomic_store(&instance->more, true);
    instance->host->notify(instance->host, MCP_CHANGED_PROMPTS);
    return call->ops->finish_text(call, MCP_STR("There is one more."));
}

/* ---- prompts ---- */

static int32_t get_prompts(void *self, const struct mcp_offer_sink *sink)
{
    struct instance *instance = self;

    for (size_t i = 0; i < sizeof prompts / sizeof prompts[0]; i++)
        if (i != MORE || atomic_load(&instance->more))
            sink->add(sink, &prompts[i]);
    return MCP_OK;
}

static struct mcp_bytes argument(struct mcp_call *call, const char *pointer)
{
    int32_t kind;
    struct mcp_bytes value;

    if (call->ops->argument(call, pointer, &kind, &value) != MCP_OK || kind != MCP_JSON_STRING)
        return MCP_STR("");
    return value;
}

static int32_t greet(struct mcp_call *call)
{
    struct mcp_bytes name = argument(call, "/name"), time = argument(call, "/time"),
                     style = argument(call, "/style");
    char text[500];
    int size = snprintf(text, sizeof text, "%.*s: good %.*s, %.*s!%.*s", (int)call->name.size,
                        call->name.data, (int)time.size, time.data, (int)name.size, name.data,
                        (int)style.size, style.data);

    return call->ops->finish_text(call, (struct mcp_bytes){text, (size_t)size});
}

static int32_t get_prompt(void *self, struct mcp_call *call)
{
    (void)self;
    switch (call->tag) {
    case GREET:
        return greet(call);
    case PIECES:
        return call->ops->finish_result(call, pieces);
    case REFUSE:
        return call->ops->finish_error(call, MCP_ERROR_INVALID_PARAMS, MCP_STR("Not today."),
                                       MCP_STR("{\"day\":\"Sunday\"}"));
    case FAIL:
        return call->ops->finish_failure(call, MCP_STR("The archive is closed."));
    case BROKEN:
        call->ops->finish_result(call, MCP_STR("{\"messages\":[{\"role\":\"system\",\"content\":"
                                               "{\"type\":\"text\",\"text\":\"\"}}]}"));
        return MCP_OK;
    default:
        return call->ops->finish_text(call, call->name);
    }
}

/* ---- completion ---- */

static int32_t complete_many(struct mcp_call *call)
{
    char *json = malloc(8000);
    int size = snprintf(json, 8000, "{\"values\":[");

    for (int i = 0; i < 250; i++)
        size += snprintf(json + size, 8000 - (size_t)size, "%s\"value %d\"", i > 0 ? "," : "", i);
    size += snprintf(json + size, 8000 - (size_t)size, "],\"hasMore\":false}");
    int32_t code = call->ops->finish_result(call, (struct mcp_bytes){json, (size_t)size});
    free(json);
    return code;
}

/* One value: what has been typed and what has been chosen before. */
static int32_t complete(void *self, struct mcp_call *call)
{
    struct mcp_bytes which = argument(call, "/argument/name"),
                     typed = argument(call, "/argument/value"),
                     before = argument(call, "/context/arguments/name");
    char json[500];

    (void)self;
    if (which.size == 4 && memcmp(which.data, "many", 4) == 0)
        return complete_many(call);
    if (which.size == 3 && memcmp(which.data, "few", 3) == 0)
        return call->ops->finish_result(
            call,
            MCP_STR("{\"values\":[\"a\",\"b\"],\"total\":7,\"_meta\":{\"example.org/e\":5}}"));
    int size =
        snprintf(json, sizeof json, "{\"values\":[\"%.*s|%.*s|%.*s\"]}", (int)call->name.size,
                 call->name.data, (int)typed.size, typed.data, (int)before.size, before.data);
    return call->ops->finish_result(call, (struct mcp_bytes){json, (size_t)size});
}

/* ---- the plugin ---- */

static int32_t create(const struct mcp_host *host, struct mcp_bytes config, void **out)
{
    struct instance *instance = calloc(1, sizeof *instance);

    (void)config;
    if (instance == NULL)
        return MCP_ENOMEM;
    instance->host = host;
    *out = instance;
    return MCP_OK;
}

static void destroy(void *self)
{
    free(self);
}

static const void *get_extension(void *self, const char *id)
{
    static const struct mcp_prompts of_prompts = {
        .struct_size = sizeof of_prompts, .get_prompts = get_prompts, .get_prompt = get_prompt};
    static const struct mcp_completion of_completion = {.struct_size = sizeof of_completion,
                                                        .complete = complete};
    const struct mcp_host *host = ((struct instance *)self)->host;
    int32_t kind;
    struct mcp_bytes value;

    if (strcmp(id, MCP_PROMPTS) == 0)
        return &of_prompts;
    if (strcmp(id, MCP_COMPLETION) == 0 &&
        (host->config(host, "/completes", &kind, &value) != MCP_OK || kind == MCP_JSON_TRUE))
        return &of_completion;
    return NULL;
}

static const struct mcp_plugin plugin = {
    MCP_PLUGIN_HEADER,      .id = "prompts",
    .version = "1.0.0",     .create = create,
    .destroy = destroy,     .get_tools = get_tools,
    .call_tool = call_tool, .get_extension = get_extension,
};

MCP_EXPORT const struct mcp_plugin *mcp_plugin_v1(void)
{
    return &plugin;
}
