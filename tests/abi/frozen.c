/* SPDX-License-Identifier: MIT */
/*
 * A plugin that was written when ABI 1.0 was new, and is built with the header of
 * then. Today's mcpd must serve it. It uses everything that 1.0 has:
 *
 *     frozen_echo  {text}  answers {"text": ..., "tag": 7} at once
 *     frozen_later {ms}    answers "later" from a thread of its own, or when cancelled
 *     frozen_all   {...}   calls every function of the host and of the call, and answers
 *                          {"failed": [...]} with the names of those that misbehaved
 */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <mcp/plugin.h>

MCP_PLUGIN_MANIFEST("{\"id\":\"frozen\",\"version\":\"1.0.0\",\"abi\":\"1.0\",\"extensions\":[],"
                    "\"requires\":[],\"some_later_member\":{\"ignored\":true}}");

enum { ECHO = 7, LATER = 8, ALL = 9 };

struct frozen {
    const struct mcp_host *host;
    pthread_mutex_t mutex;
    pthread_cond_t ended;
    int threads; /* that answer later */
};

static int32_t create(const struct mcp_host *host, struct mcp_bytes config, void **instance)
{
    if (host->struct_size < sizeof(*host) || config.size < 2) {
        host->fail(host, MCP_STR(""), MCP_STR("the host is smaller than that of 1.0"));
        return MCP_EFAIL;
    }
    struct frozen *self = calloc(1, sizeof(*self));
    if (self == NULL)
        return MCP_ENOMEM;
    self->host = host;
    pthread_mutex_init(&self->mutex, NULL);
    pthread_cond_init(&self->ended, NULL);
    *instance = self;
    return MCP_OK;
}

static int32_t start(void *instance)
{
    struct frozen *self = instance;
    self->host->log(self->host, MCP_LOG_INFO, MCP_STR("frozen: started"));
    return MCP_OK;
}

static void stop(void *instance)
{
    struct frozen *self = instance;
    pthread_mutex_lock(&self->mutex);
    while (self->threads > 0)
        pthread_cond_wait(&self->ended, &self->mutex);
    pthread_mutex_unlock(&self->mutex);
}

static int32_t reconfigure(void *instance, struct mcp_bytes config)
{
    (void)instance;
    (void)config;
    return MCP_ENOTSUP;
}

static void destroy(void *instance)
{
    struct frozen *self = instance;
    pthread_cond_destroy(&self->ended);
    pthread_mutex_destroy(&self->mutex);
    free(self);
}

static int32_t get_tools(void *instance, const struct mcp_tool_sink *sink)
{
    (void)instance;
    const struct mcp_tool tools[] = {
        {.struct_size = sizeof(tools[0]),
         .flags = MCP_TOOL_NONBLOCKING,
         .definition = MCP_STR("{\"name\":\"frozen_echo\",\"description\":\"Echoes.\","
                               "\"inputSchema\":{\"type\":\"object\",\"properties\":{\"text\":"
                               "{\"type\":\"string\"}},\"required\":[\"text\"]},"
                               "\"outputSchema\":{\"type\":\"object\",\"properties\":{\"text\":"
                               "{\"type\":\"string\"},\"tag\":{\"type\":\"integer\"}},"
                               "\"required\":[\"text\",\"tag\"]}}"),
         .tag = ECHO},
        {.struct_size = sizeof(tools[0]),
         .flags = MCP_TOOL_THREAD_SAFE,
         .definition = MCP_STR("{\"name\":\"frozen_later\",\"description\":\"Answers later.\","
                               "\"inputSchema\":{\"type\":\"object\",\"properties\":{\"ms\":"
                               "{\"type\":\"integer\",\"minimum\":0}}}}"),
         .tag = LATER,
         .timeout_ms = 60000,
         .concurrency = 100},
        {.struct_size = sizeof(tools[0]),
         .definition = MCP_STR("{\"name\":\"frozen_all\",\"description\":\"Uses all of 1.0.\","
                               "\"inputSchema\":{\"type\":\"object\"}}"),
         .tag = ALL},
    };
    for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++) {
        int32_t result = sink->add(sink, &tools[i]);
        if (result != MCP_OK)
            return result;
    }
    return MCP_OK;
}

/* ---- frozen_echo ---- */

/* The argument as it was written: from its opening quote to its end. */
static int32_t echo(struct mcp_call *call)
{
    int32_t kind;
    struct mcp_bytes text;
    if (call->ops->argument(call, "/text", &kind, &text) != MCP_OK || kind != MCP_JSON_STRING)
        return call->ops->finish_failure(call, MCP_STR("There is no text."));
    char *json = malloc(text.size * 6 + 64);
    if (json == NULL)
        return call->ops->finish_failure(call, MCP_STR("Out of memory."));
    size_t used = (size_t)sprintf(json, "{\"text\":\"");
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c < 0x20 || c == '"' || c == '\\')
            used += (size_t)sprintf(json + used, "\\u%04x", c);
        else
            json[used++] = (char)c;
    }
    used += (size_t)sprintf(json + used, "\",\"tag\":%d}", (int)call->tag);
    int32_t result = call->ops->finish_structured(call, text, (struct mcp_bytes){json, used});
    free(json);
    return result == MCP_ECANCELLED ? MCP_OK : result;
}

/* ---- frozen_later ---- */

static void *answer(void *data)
{
    struct mcp_call *call = data;
    struct frozen *self = call->plugin_data;
    int32_t kind;
    struct mcp_bytes ms;
    int wait = 10;
    if (call->ops->argument(call, "/ms", &kind, &ms) == MCP_OK && kind == MCP_JSON_NUMBER)
        wait = atoi(ms.data);
    struct pollfd cancelled = {.fd = call->ops->cancel_fd(call), .events = POLLIN};
    if (poll(&cancelled, 1, wait) == 1)
        call->ops->finish_failure(call, MCP_STR("cancelled"));
    else
        call->ops->finish_text(call, MCP_STR("later"));
    pthread_mutex_lock(&self->mutex);
    self->threads--;
    pthread_cond_signal(&self->ended);
    pthread_mutex_unlock(&self->mutex);
    return NULL;
}

static int32_t later(struct frozen *self, struct mcp_call *call)
{
    pthread_t thread;
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    call->plugin_data = self;
    pthread_mutex_lock(&self->mutex);
    self->threads++;
    pthread_mutex_unlock(&self->mutex);
    int error = pthread_create(&thread, &detached, answer, call);
    pthread_attr_destroy(&detached);
    if (error == 0)
        return MCP_OK;
    pthread_mutex_lock(&self->mutex);
    self->threads--;
    pthread_mutex_unlock(&self->mutex);
    return MCP_ENOMEM;
}

/* ---- frozen_all ---- */

struct failures {
    char json[2048];
    size_t used;
};

static void expect(struct failures *failures, int true_or_not, const char *what)
{
    if (!true_or_not)
        failures->used += (size_t)snprintf(
            failures->json + failures->used, sizeof(failures->json) - 64 - failures->used,
            "%s\"%s\"", failures->json[failures->used - 1] == '[' ? "" : ",", what);
}

static void nothing(void *data)
{
    (void)data;
}

static void try_host(const struct mcp_host *host, struct failures *failures)
{
    int32_t kind = -1;
    struct mcp_bytes value = {NULL, 0};
    host->log(host, MCP_LOG_DEBUG, MCP_STR("frozen: all"));
    expect(failures, host->provider != NULL && host->provider[0] != '\0', "host->provider");
    expect(failures, strncmp(host->server, "mcpd/", 5) == 0, "host->server");
    expect(failures, host->config(host, "/none", &kind, &value) == MCP_ENOENT, "host->config");
    expect(failures, host->config(host, "", &kind, &value) == MCP_OK && kind == MCP_JSON_OBJECT,
           "host->config of the whole");
    expect(failures, host->get_extension(host, "none/1") == NULL, "host->get_extension");
    host->notify(host, MCP_CHANGED_TOOLS);
}

static void try_call(struct mcp_call *call, struct failures *failures)
{
    const struct mcp_call_ops *ops = call->ops;
    int32_t kind = -1;
    struct mcp_bytes value = {NULL, 0};
    expect(failures, ops->struct_size >= sizeof(*ops), "ops->struct_size");
    expect(failures, call->struct_size >= sizeof(*call), "call->struct_size");
    expect(failures, call->name.size == 10 && memcmp(call->name.data, "frozen_all", 10) == 0,
           "call->name");
    expect(failures, call->tag == ALL, "call->tag");
    expect(failures, call->arguments.size >= 2 && call->arguments.data[0] == '{',
           "call->arguments");
    expect(failures, call->caller != NULL && call->caller->struct_size >= sizeof(*call->caller),
           "call->caller");
    expect(failures, call->caller->roles.size >= 2, "call->caller->roles");
    expect(failures, call->state.size == 0 && call->input_responses.size == 0, "call->state");
    expect(failures, call->plugin_data == NULL, "call->plugin_data");
    expect(failures, ops->progress(call, 1, 2, MCP_STR("half")) == MCP_OK, "progress");
    expect(failures, ops->log(call, MCP_LOG_INFO, MCP_STR("\"frozen\"")) == MCP_OK, "log");
    expect(failures, ops->is_cancelled(call) == 0, "is_cancelled");
    expect(failures, ops->cancel_fd(call) >= 0, "cancel_fd");
    expect(failures, ops->on_cancel(call, nothing, NULL) == MCP_OK, "on_cancel");
    expect(failures, ops->on_cancel(call, NULL, NULL) == MCP_OK, "on_cancel taken back");
    expect(failures, ops->argument(call, "", &kind, &value) == MCP_OK && kind == MCP_JSON_OBJECT,
           "argument");
    expect(failures, ops->argument(call, "/none", &kind, &value) == MCP_ENOENT, "argument of none");
    expect(failures, ops->get_extension(call, "none/1") == NULL, "get_extension");
}

static int32_t all(struct frozen *self, struct mcp_call *call)
{
    struct failures failures;
    failures.used =
        (size_t)sprintf(failures.json, "{\"content\":[{\"type\":\"text\",\"text\":\"done\"}],"
                                       "\"structuredContent\":{\"failed\":[");
    try_host(self->host, &failures);
    try_call(call, &failures);
    failures.used += (size_t)sprintf(failures.json + failures.used, "]}}");
    int32_t result =
        call->ops->finish_result(call, (struct mcp_bytes){failures.json, failures.used});
    return result == MCP_ECANCELLED ? MCP_OK : result;
}

static int32_t call_tool(void *instance, struct mcp_call *call)
{
    switch (call->tag) {
    case ECHO:
        return echo(call);
    case LATER:
        return later(instance, call);
    case ALL:
        return all(instance, call);
    default:
        return MCP_ENOENT;
    }
}

static const void *get_extension(void *instance, const char *id)
{
    (void)instance;
    (void)id;
    return NULL;
}

static const struct mcp_plugin plugin = {
    MCP_PLUGIN_HEADER,
    .id = "frozen",
    .name = "Frozen",
    .version = "1.0.0",
    .vendor = "tests",
    .license = "MIT",
    .config_schema = "{\"type\":\"object\"}",
    .create = create,
    .start = start,
    .stop = stop,
    .reconfigure = reconfigure,
    .destroy = destroy,
    .get_tools = get_tools,
    .call_tool = call_tool,
    .get_extension = get_extension,
};

MCP_EXPORT const struct mcp_plugin *mcp_plugin_v1(void)
{
    return &plugin;
}
