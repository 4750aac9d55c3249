/* SPDX-License-Identifier: MIT */
/* Resources, one for each way in which reading can end, templates, a few illegal
 * definitions between them, and tools that announce changes. "config":
 * {"small": true} leaves two resources, one of which others offer, too. */
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mcp/resources.h>

MCP_PLUGIN_MANIFEST("{\"id\":\"resources\",\"version\":\"1.0.0\",\"abi\":\"1.1\","
                    "\"extensions\":[\"mcp.resources/1\"]}");

struct instance {
    const struct mcp_host *host;
    bool small;
    atomic_bool more;
    atomic_int count; /* of the counter's readings */
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define INLINE MCP_TOOL_NONBLOCKING

/* ---- what is offered ---- */

enum { TEXT, BLOB, PARTS, JSON, GONE, FAIL, BROKEN, SLOW, COUNTER, ILLEGAL, SMALL = 20, MORE };

#define OFFER(tag, flags, definition)                                                              \
    {                                                                                              \
        sizeof(struct mcp_offer), flags, MCP_STR(definition), tag, 0, 0                            \
    }

static const struct mcp_offer resources[] = {
    OFFER(TEXT, INLINE,
          "{\"uri\":\"test://text\",\"name\":\"text\",\"title\":\"Text\",\"description\":"
          "\"A text.\",\"mimeType\":\"text/plain\",\"size\":12,\"annotations\":{\"audience\":"
          "[\"user\"],\"priority\":0.5,\"lastModified\":\"2025-01-12T15:00:58Z\"},\"icons\":[{"
          "\"src\":\"https://example.org/i.png\"}],"
          "\"_meta\":{\"example.org/a\":1}}"),
    OFFER(BLOB, MCP_TOOL_THREAD_SAFE,
          "{\"uri\":\"test://blob\",\"name\":\"blob\",\"mimeType\":\"image/png\"}"),
    OFFER(PARTS, 0, "{\"uri\":\"test://parts\",\"name\":\"parts\"}"),
    OFFER(ILLEGAL, 0, "{\"uri\":\"no-scheme\",\"name\":\"illegal\"}"),
    OFFER(ILLEGAL, 0, "{\"uri\":\"test://\u00fc\",\"name\":\"illegal\"}"),
    OFFER(ILLEGAL, 0, "{\"uri\":\"test://nameless\"}"),
    OFFER(ILLEGAL, 0, "{\"uri\":\"test://text\",\"name\":\"again\"}"),
    OFFER(ILLEGAL, 0, "{\"uri\":\"test://size\",\"name\":\"size\",\"size\":\"12\"}"),
    OFFER(JSON, 0, "{\"uri\":\"test://json\",\"name\":\"json\",\"mimeType\":\"application/json\"}"),
    OFFER(GONE, 0, "{\"uri\":\"test://gone\",\"name\":\"gone\"}"),
    OFFER(FAIL, 0, "{\"uri\":\"test://fail\",\"name\":\"fail\"}"),
    OFFER(BROKEN, 0, "{\"uri\":\"test://broken\",\"name\":\"broken\"}"),
    {sizeof(struct mcp_offer), MCP_TOOL_THREAD_SAFE,
     MCP_STR("{\"uri\":\"test://slow\",\"name\":\"slow\"}"), SLOW, 300, 0},
    OFFER(COUNTER, 0,
          "{\"uri\":\"test://counter\",\"name\":\"counter\",\"description\":"
          "\"version=0000\"}"),
};
static const struct mcp_offer small =
    OFFER(SMALL, 0, "{\"uri\":\"test://small\",\"name\":\"small\"}");
static const struct mcp_offer more = OFFER(MORE, 0, "{\"uri\":\"test://more\",\"name\":\"more\"}");

static const struct mcp_offer templates[] = {
    OFFER(100, INLINE,
          "{\"uriTemplate\":\"test://item/{id}{?verbose,tag*}\",\"name\":\"item\",\"title\":"
          "\"Item\",\"description\":\"An item.\",\"mimeType\":\"application/json\",\"annotations\":"
          "{\"priority\":1,\"lastModified\":\"2025-01-12T15:00:58Z\"},\"icons\":[{\"src\":\"https:/"
          "/example.org/i.png\"}],\"_meta\":"
          "{\"example.org/b\":2}}"),
    OFFER(101, 0, "{\"uriTemplate\":\"{+anything}\",\"name\":\"anything\"}"),
    OFFER(101, 0, "{\"uriTemplate\":\"test://open/{\",\"name\":\"open\"}"),
    OFFER(101, 0, "{\"uriTemplate\":\"test://files/{+path}\",\"name\":\"files\"}"),
};

static int32_t get_resources(void *self, const struct mcp_offer_sink *sink)
{
    struct instance *instance = self;

    if (instance->small) {
        sink->add(sink, &small);
        return sink->add(sink, &resources[TEXT]);
    }
    for (size_t i = 0; i < COUNT(resources); i++)
        sink->add(sink, &resources[i]);
    return atomic_load(&instance->more) ? sink->add(sink, &more) : MCP_OK;
}

static int32_t get_resource_templates(void *self, const struct mcp_offer_sink *sink)
{
    struct instance *instance = self;

    for (size_t i = 0; i < COUNT(templates) && !instance->small; i++)
        sink->add(sink, &templates[i]);
    return MCP_OK;
}

/* ---- reading ---- */

#define CONTENTS(uri, more) "{\"uri\":\"" uri "\"," more "}"

static const struct mcp_bytes blob = MCP_STR("{\"contents\":[" CONTENTS(
    "test://blob",
    "\"mimeType\":\"image/png\",\"blob\":"
    "\"iVBORw0KGgo=\",\"_meta\":{\"example.org/c\":3}") "],\"ttlMs\":60000,\"cacheScope\":"
                                                        "\"public\",\"_meta\":{\"example.org/"
                                                        "d\":4}}");
static const struct mcp_bytes parts =
    MCP_STR("{\"contents\":[" CONTENTS("test://parts/1", "\"text\":\"one\"") "," CONTENTS(
        "test://parts/2", "\"blob\":\"AA==\"") "],\"ttlMs\":-1,\"unknown\":5}");

static int32_t read_slowly(struct mcp_call *call)
{
    struct pollfd cancelled = {.fd = call->ops->cancel_fd(call), .events = POLLIN};

    poll(&cancelled, 1, 60000);
    poll(NULL, 0, 1000); /* longer than it is waited for */
    return call->ops->finish_text(call, MCP_STR("late"));
}

static int32_t count(struct instance *instance, struct mcp_call *call)
{
    char text[20];
    int size = snprintf(text, sizeof text, "%d", atomic_fetch_add(&instance->count, 1) + 1);

    return call->ops->finish_text(call, (struct mcp_bytes){text, (size_t)size});
}

/* The URI and the variables, for the test to see. */
static int32_t show(struct mcp_call *call)
{
    char text[5000];
    int size = snprintf(text, sizeof text, "%.*s %.*s", (int)call->name.size, call->name.data,
                        (int)call->arguments.size, call->arguments.data);

    return call->ops->finish_text(call, (struct mcp_bytes){text, (size_t)size});
}

static int32_t read_resource(void *self, struct mcp_call *call)
{
    switch (call->tag) {
    case TEXT:
        return call->ops->finish_text(call, MCP_STR("\"Text\" \\ \xc3\xbc\n"));
    case BLOB:
        return call->ops->finish_result(call, blob);
    case PARTS:
        return call->ops->finish_result(call, parts);
    case JSON:
        return call->ops->finish_structured(call, MCP_STR(""), MCP_STR("{\"n\": 1}"));
    case GONE:
        return call->ops->finish_error(call, MCP_ERROR_RESOURCE_NOT_FOUND, MCP_STR("It has gone."),
                                       MCP_STR(""));
    case FAIL:
        return call->ops->finish_failure(call, MCP_STR("The disk is on fire."));
    case BROKEN:
        call->ops->finish_result(call, MCP_STR("{\"contents\":[]}"));
        return MCP_OK;
    case SLOW:
        return read_slowly(call);
    case COUNTER:
        return count(self, call);
    default:
        return show(call);
    }
}

/* ---- tools ---- */

static int32_t get_tools(void *self, const struct mcp_tool_sink *sink)
{
    static const struct mcp_tool tools[] = {
        {sizeof(struct mcp_tool), INLINE,
         MCP_STR("{\"name\":\"update\",\"description\":\"Says that a resource has changed.\","
                 "\"inputSchema\":{\"type\":\"object\"}}"),
         0, 0, 0},
        {sizeof(struct mcp_tool), INLINE,
         MCP_STR("{\"name\":\"more\",\"description\":\"Adds a resource.\",\"inputSchema\":"
                 "{\"type\":\"object\"}}"),
         1, 0, 0},
        {sizeof(struct mcp_tool), INLINE,
         MCP_STR("{\"name\":\"less\",\"description\":\"Takes it away again.\",\"inputSchema\":"
                 "{\"type\":\"object\"}}"),
         2, 0, 0},
    };
    (void)self;
    for (size_t i = 0; i < COUNT(tools); i++)
        sink->add(sink, &tools[i]);
    return MCP_OK;
}

static int32_t call_tool(void *self, struct mcp_call *call)
{
    struct instance *instance = self;
    const struct mcp_host *host = instance->host;
    const struct mcp_resources_host *of_resources = host->get_extension(host, MCP_RESOURCES);
    struct mcp_bytes uri;
    int32_t kind;

    if (call->tag == 0) {
        if (call->ops->argument(call, "/uri", &kind, &uri) != MCP_OK ||
            of_resources->updated(host, uri) != MCP_OK)
            return call->ops->finish_failure(call, MCP_STR("That is no URI."));
    } else {
        atomic_store(&instance->more, call->tag == 1);
        host->notify(host, MCP_CHANGED_RESOURCES);
    }
    return call->ops->finish_text(call, MCP_STR("Done."));
}

/* ---- the plugin ---- */

static int32_t create(const struct mcp_host *host, struct mcp_bytes config, void **out)
{
    struct instance *instance = calloc(1, sizeof *instance);
    struct mcp_bytes value;
    int32_t kind;

    (void)config;
    if (instance == NULL)
        return MCP_ENOMEM;
    instance->host = host;
    instance->small =
        host->config(host, "/small", &kind, &value) == MCP_OK && kind == MCP_JSON_TRUE;
    *out = instance;
    return MCP_OK;
}

static void destroy(void *self)
{
    free(self);
}

static const void *get_extension(void *self, const char *id)
{
    static const struct mcp_resources of_resources = {
        .struct_size = sizeof of_resources,
        .get_resources = get_resources,
        .get_resource_templates = get_resource_templates,
        .read_resource = read_resource,
    };
    (void)self;
    return strcmp(id, MCP_RESOURCES) == 0 ? &of_resources : NULL;
}

static const struct mcp_plugin plugin = {
    MCP_PLUGIN_HEADER,      .id = "resources",
    .version = "1.0.0",     .create = create,
    .destroy = destroy,     .get_tools = get_tools,
    .call_tool = call_tool, .get_extension = get_extension,
};

MCP_EXPORT const struct mcp_plugin *mcp_plugin_v1(void)
{
    return &plugin;
}
