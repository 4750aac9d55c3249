/* SPDX-License-Identifier: MIT */
/* The host without the daemon. */
#include "fake_host.h"

#include <check.h>
#include <dlfcn.h>
#include <mcp/completion.h>
#include <mcp/resources.h>
#include <mcp/skills.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/utf8.h"

#define ARENA_MAX ((size_t)1 << 30)

/* ---- the host side of an instance ---- */

static struct mcp_bytes abi_bytes(struct bytes b)
{
    return (struct mcp_bytes){b.data, b.size};
}

static struct bytes our_bytes(struct mcp_bytes b)
{
    return (struct bytes){b.data, b.size};
}

static int32_t look_up(const struct json *json, struct arena *arena, pthread_mutex_t *mutex,
                       const char *pointer, int32_t *kind, struct mcp_bytes *value)
{
    const struct json_node *node = json_at(json, json->root, pointer);
    if (node == NULL)
        return MCP_ENOENT;
    *kind = node->type;
    pthread_mutex_lock(mutex);
    *value = abi_bytes(node->type == JSON_STRING ? json_string(json, node, arena)
                                                 : json_raw(json, node));
    pthread_mutex_unlock(mutex);
    ck_assert_ptr_nonnull(value->data);
    return MCP_OK;
}

static void host_log(const struct mcp_host *abi, int32_t level, struct mcp_bytes text)
{
    struct fake_host *host = abi->host_data;
    ck_assert_int_ge(level, MCP_LOG_EMERGENCY);
    ck_assert_int_le(level, MCP_LOG_DEBUG);
    ck_assert_ptr_nonnull(text.data);
    ck_assert_msg(utf8_valid(our_bytes(text)), "log: not UTF-8: %.*s", (int)text.size, text.data);
    pthread_mutex_lock(&host->mutex);
    size_t used = strlen(host->log);
    snprintf(host->log + used, sizeof(host->log) - used, "%.*s\n", (int)text.size, text.data);
    pthread_mutex_unlock(&host->mutex);
}

static void host_fail(const struct mcp_host *abi, struct mcp_bytes pointer, struct mcp_bytes text)
{
    struct fake_host *host = abi->host_data;
    ck_assert_msg(utf8_valid(our_bytes(text)), "fail: not UTF-8: %.*s", (int)text.size, text.data);
    snprintf(host->fail_pointer, sizeof(host->fail_pointer), "%.*s", (int)pointer.size,
             pointer.data);
    snprintf(host->fail_text, sizeof(host->fail_text), "%.*s", (int)text.size, text.data);
}

static int32_t host_config(const struct mcp_host *abi, const char *pointer, int32_t *kind,
                           struct mcp_bytes *value)
{
    struct fake_host *host = abi->host_data;
    return look_up(&host->config, &host->arena, &host->mutex, pointer, kind, value);
}

static void host_notify(const struct mcp_host *abi, uint32_t what)
{
    struct fake_host *host = abi->host_data;
    ck_assert_uint_ne(what, 0);
    atomic_fetch_add(&host->notified, 1);
}

static int32_t resource_updated(const struct mcp_host *abi, struct mcp_bytes uri)
{
    struct fake_host *host = abi->host_data;
    pthread_mutex_lock(&host->mutex);
    size_t used = strlen(host->updated);
    snprintf(host->updated + used, sizeof(host->updated) - used, "%.*s\n", (int)uri.size, uri.data);
    pthread_mutex_unlock(&host->mutex);
    return MCP_OK;
}

static const void *host_extension(const struct mcp_host *abi, const char *id)
{
    static const struct mcp_resources_host resources = {.struct_size = sizeof(resources),
                                                        .updated = resource_updated};
    (void)abi;
    ck_assert_ptr_nonnull(id);
    return strcmp(id, MCP_RESOURCES) == 0 ? &resources : NULL;
}

/* ---- what is offered through extensions ---- */

static int32_t add_offer(const struct mcp_offer_sink *sink, const struct mcp_offer *offer)
{
    struct fake_host *host = ((void **)sink->host_data)[0];
    struct fake_offers *offers = ((void **)sink->host_data)[1];
    struct json_error err;
    ck_assert_uint_lt(offers->count, FAKE_OFFERS_MAX);
    struct bytes copy = arena_copy(&host->arena, our_bytes(offer->definition));
    if (!json_parse(&offers->definitions[offers->count++], copy, &json_default_limits, &host->arena,
                    &err))
        ck_abort_msg("definition: %s at byte %zu of %s", err.text, err.offset, copy.data);
    return MCP_OK;
}

static void ask(struct fake_host *host, enum fake_kind kind,
                int32_t (*get)(void *self, const struct mcp_offer_sink *sink))
{
    void *both[2] = {host, &host->offers[kind]};
    struct mcp_offer_sink sink = {.struct_size = sizeof(sink), .host_data = both, .add = add_offer};
    host->offers[kind].count = 0;
    if (get != NULL)
        ck_assert_int_eq(get(host->instance, &sink), MCP_OK);
}

void fake_host_ask(struct fake_host *host)
{
    const struct mcp_resources *resources =
        host->plugin->get_extension(host->instance, MCP_RESOURCES);
    const struct mcp_skills *skills = host->plugin->get_extension(host->instance, MCP_SKILLS);
    ask(host, FAKE_RESOURCE, resources->get_resources);
    ask(host, FAKE_TEMPLATE, resources->get_resource_templates);
    ask(host, FAKE_SKILL, skills != NULL ? skills->get_skills : NULL);
}

static const char *text_at(const struct json *json, const char *pointer, struct arena *arena)
{
    const struct json_node *node = json->root != NULL ? json_at(json, json->root, pointer) : NULL;
    if (node == NULL)
        return "";
    return arena_copy(arena, node->type == JSON_STRING ? json_string(json, node, arena)
                                                       : json_raw(json, node))
        .data;
}

const char *fake_offer(struct fake_host *host, enum fake_kind kind, size_t index,
                       const char *pointer)
{
    ck_assert_uint_lt(index, host->offers[kind].count);
    return text_at(&host->offers[kind].definitions[index], pointer, &host->arena);
}

bool fake_host_wait(struct fake_host *host, unsigned before)
{
    int64_t end = clock_now() + 5000 * NS_PER_MS;
    while (atomic_load(&host->notified) <= before && clock_now() < end)
        poll(NULL, 0, 5);
    return atomic_load(&host->notified) > before;
}

static int32_t add_tool(const struct mcp_tool_sink *sink, const struct mcp_tool *offer)
{
    struct fake_host *host = sink->host_data;
    ck_assert_uint_lt(host->tool_count, FAKE_TOOLS_MAX);
    struct fake_tool *tool = &host->tools[host->tool_count++];
    arena_init(&tool->arena, ARENA_MAX);
    struct bytes copy = arena_copy(&tool->arena, our_bytes(offer->definition));
    struct json_error err;
    if (!json_parse(&tool->definition, copy, &json_default_limits, &tool->arena, &err))
        ck_abort_msg("definition: %s at %u:%u in %s", err.text, err.line, err.column, copy.data);
    const struct json *json = &tool->definition;
    snprintf(tool->name, sizeof(tool->name), "%s",
             json_cstring(json, json_get(json, json->root, "name"), &tool->arena));
    tool->tag = offer->tag;
    tool->flags = offer->flags;
    const struct json_node *output = json_get(json, json->root, "outputSchema");
    struct error error;
    if (output != NULL && (tool->output = schema_compile(json, output, NULL, &error)) == NULL)
        ck_abort_msg("outputSchema of %s: %s", tool->name, error.text);
    struct schema *input =
        schema_compile(json, json_get(json, json->root, "inputSchema"), NULL, &error);
    if (input == NULL)
        ck_abort_msg("inputSchema of %s: %s", tool->name, error.text);
    schema_free(input);
    return MCP_OK;
}

/* BUILD/tests/unit/test_x -> BUILD/plugins/NAME.so */
static void *open_library(const char *plugin)
{
    char path[4096];
    ssize_t size = readlink("/proc/self/exe", path, sizeof(path) - 1);
    ck_assert_int_gt(size, 0);
    path[size] = '\0';
    for (int i = 0; i < 3; i++)
        *strrchr(path, '/') = '\0';
    size_t length = strlen(path);
    snprintf(path + length, sizeof(path) - length, "/plugins/%s.so", plugin);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        ck_abort_msg("%s", dlerror());
    return library;
}

static void run_instance(struct fake_host *host, struct bytes config)
{
    const struct mcp_plugin *plugin = host->plugin;
    if (plugin->create(&host->abi, abi_bytes(config), &host->instance) != MCP_OK)
        return;
    if (plugin->start != NULL && plugin->start(host->instance) != MCP_OK) {
        plugin->destroy(host->instance);
        return;
    }
    struct mcp_tool_sink sink = {.struct_size = sizeof(sink), .host_data = host, .add = add_tool};
    ck_assert_int_eq(plugin->get_tools(host->instance, &sink), MCP_OK);
    host->running = true;
}

struct fake_host *fake_host_new(const char *plugin, const char *format, ...)
{
    struct fake_host *host = calloc(1, sizeof(*host));
    ck_assert_ptr_nonnull(host);
    arena_init(&host->arena, ARENA_MAX);
    pthread_mutex_init(&host->mutex, NULL);
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    ck_assert_int_ge(vasprintf(&text, format, arguments), 0);
    va_end(arguments);
    struct bytes config = arena_copy(&host->arena, bytes_of(text));
    free(text);
    ck_assert(json_parse(&host->config, config, &json_default_limits, &host->arena, NULL));
    host->abi = (struct mcp_host){
        .struct_size = sizeof(host->abi),
        .abi_minor = MCP_ABI_MINOR,
        .host_data = host,
        .provider = "test",
        .server = "mcpd/test",
        .log = host_log,
        .fail = host_fail,
        .config = host_config,
        .notify = host_notify,
        .get_extension = host_extension,
    };
    host->library = open_library(plugin);
    const struct mcp_plugin *(*entry)(void);
    *(void **)&entry = dlsym(host->library, "mcp_plugin_v1");
    ck_assert_ptr_nonnull(*(void **)&entry);
    host->plugin = entry();
    ck_assert_uint_eq(host->plugin->magic, MCP_PLUGIN_MAGIC);
    run_instance(host, config);
    return host;
}

void fake_host_free(struct fake_host *host)
{
    if (host->running) {
        if (host->plugin->stop != NULL)
            host->plugin->stop(host->instance);
        if (host->plugin->destroy != NULL)
            host->plugin->destroy(host->instance);
    }
    for (size_t i = 0; i < host->tool_count; i++) {
        schema_free(host->tools[i].output);
        arena_free(&host->tools[i].arena);
    }
#ifndef MCPD_SANITIZE /* a leak's stack would have no names */
    dlclose(host->library);
#endif
    pthread_mutex_destroy(&host->mutex);
    arena_free(&host->arena);
    free(host);
}

void fake_assert_wrong(const char *plugin, const char *config, const char *pointer,
                       const char *expected)
{
    struct fake_host *host = fake_host_new(plugin, "%s", config);
    ck_assert_msg(!host->running, "%s", config);
    ck_assert_str_eq(host->fail_pointer, pointer);
    ck_assert_msg(strstr(host->fail_text, expected) != NULL, "%s: %s", config, host->fail_text);
    fake_host_free(host);
}

const struct fake_tool *fake_host_tool(const struct fake_host *host, const char *name)
{
    for (size_t i = 0; i < host->tool_count; i++)
        if (strcmp(host->tools[i].name, name) == 0)
            return &host->tools[i];
    return NULL;
}

/* ---- one call ---- */

struct fake {
    struct mcp_call abi;
    const struct fake_tool *tool;
    const char *text_at; /* where the text is in a result: a JSON Pointer */
    struct fake_result *result;
    struct arena arena;
    struct json arguments;
    pthread_mutex_t mutex; /* guards what follows, and arena */
    pthread_cond_t changed;
    bool ended, returned;
    void (*cancel_fn)(void *);
    void *cancel_data;
    atomic_bool cancelled;
    int event_fd;
};

static struct fake *fake_of(const struct mcp_call *call)
{
    return call->host_data;
}

static char *copy_text(struct fake_result *result, struct bytes text)
{
    struct bytes copy = arena_copy(&result->arena, text);
    ck_assert_ptr_nonnull(copy.data);
    result->text_size = copy.size;
    char *out = arena_alloc(&result->arena, copy.size + 1);
    ck_assert_ptr_nonnull(out);
    memcpy(out, copy.data, copy.size + 1);
    return out;
}

static void parse_result(struct fake_result *result, struct json *json, struct bytes text)
{
    struct bytes copy = arena_copy(&result->arena, text);
    struct json_error err;
    if (!json_parse(json, copy, &json_default_limits, &result->arena, &err))
        ck_abort_msg("result: %s at byte %zu", err.text, err.offset);
}

static bool report(void *context, const struct schema_failure *failure)
{
    (void)context;
    ck_abort_msg("outputSchema: at %s (%s): %s", failure->instance, failure->keyword,
                 failure->text);
    return false;
}

static int32_t end(struct mcp_call *call, enum fake_end how, struct mcp_bytes text,
                   struct mcp_bytes json)
{
    struct fake *fake = fake_of(call);
    struct fake_result *result = fake->result;
    pthread_mutex_lock(&fake->mutex);
    ck_assert_msg(!fake->ended, "%s ended twice", fake->tool->name);
    result->end = how;
    if (how == FAKE_RESULT) {
        parse_result(result, &result->whole, our_bytes(json));
        const struct json_node *first = json_at(&result->whole, result->whole.root, fake->text_at);
        if (first != NULL)
            result->text = copy_text(result, json_string(&result->whole, first, &result->arena));
        const struct json_node *structured =
            json_get(&result->whole, result->whole.root, "structuredContent");
        if (structured != NULL)
            parse_result(result, &result->json, json_raw(&result->whole, structured));
    } else {
        result->text = copy_text(result, our_bytes(text.size > 0 ? text : json));
        if (how == FAKE_STRUCTURED)
            parse_result(result, &result->json, our_bytes(json));
    }
    if (result->json.root != NULL && fake->tool->output != NULL)
        ck_assert(
            schema_validate(fake->tool->output, &result->json, result->json.root, report, NULL));
    fake->ended = true;
    pthread_cond_broadcast(&fake->changed);
    pthread_mutex_unlock(&fake->mutex);
    return MCP_OK;
}

static int32_t finish_text(struct mcp_call *call, struct mcp_bytes text)
{
    return end(call, FAKE_TEXT, text, (struct mcp_bytes){NULL, 0});
}

static int32_t finish_structured(struct mcp_call *call, struct mcp_bytes text,
                                 struct mcp_bytes json)
{
    return end(call, FAKE_STRUCTURED, text, json);
}

static int32_t finish_result(struct mcp_call *call, struct mcp_bytes json)
{
    return end(call, FAKE_RESULT, (struct mcp_bytes){NULL, 0}, json);
}

static int32_t finish_failure(struct mcp_call *call, struct mcp_bytes text)
{
    ck_assert_uint_gt(text.size, 0);
    ck_assert_msg(utf8_valid(our_bytes(text)), "not UTF-8: %.*s", (int)text.size, text.data);
    return end(call, FAKE_FAILURE, text, (struct mcp_bytes){NULL, 0});
}

static int32_t finish_error(struct mcp_call *call, int32_t code, struct mcp_bytes message,
                            struct mcp_bytes data)
{
    (void)data;
    ck_assert_uint_gt(message.size, 0);
    fake_of(call)->result->code = code;
    return end(call, FAKE_ERROR, message, (struct mcp_bytes){NULL, 0});
}

static int32_t finish_need_input(struct mcp_call *call, struct mcp_bytes requests,
                                 struct mcp_bytes state)
{
    (void)call;
    (void)requests;
    (void)state;
    return MCP_ENOTSUP;
}

static int32_t progress(struct mcp_call *call, double now, double total, struct mcp_bytes message)
{
    (void)call;
    (void)now;
    (void)total;
    (void)message;
    return MCP_OK;
}

static int32_t call_log(struct mcp_call *call, int32_t level, struct mcp_bytes data)
{
    (void)call;
    (void)level;
    (void)data;
    return MCP_OK;
}

static int32_t is_cancelled(const struct mcp_call *call)
{
    return fake_of(call)->cancelled;
}

static int32_t cancel_fd(struct mcp_call *call)
{
    return fake_of(call)->event_fd;
}

static int32_t on_cancel(struct mcp_call *call, void (*fn)(void *), void *data)
{
    struct fake *fake = fake_of(call);
    pthread_mutex_lock(&fake->mutex);
    fake->cancel_fn = fn;
    fake->cancel_data = data;
    if (fn != NULL && fake->cancelled) {
        fake->cancel_fn = NULL;
        fn(data);
    }
    pthread_mutex_unlock(&fake->mutex);
    return MCP_OK;
}

static int32_t argument(struct mcp_call *call, const char *pointer, int32_t *kind,
                        struct mcp_bytes *value)
{
    struct fake *fake = fake_of(call);
    return look_up(&fake->arguments, &fake->arena, &fake->mutex, pointer, kind, value);
}

static const void *call_extension(const struct mcp_call *call, const char *id)
{
    (void)call;
    (void)id;
    return NULL;
}

static const struct mcp_call_ops ops = {
    .struct_size = sizeof(ops),
    .finish_text = finish_text,
    .finish_structured = finish_structured,
    .finish_result = finish_result,
    .finish_failure = finish_failure,
    .finish_need_input = finish_need_input,
    .progress = progress,
    .log = call_log,
    .is_cancelled = is_cancelled,
    .cancel_fd = cancel_fd,
    .on_cancel = on_cancel,
    .argument = argument,
    .get_extension = call_extension,
    .finish_error = finish_error,
};

static void cancel(struct fake *fake)
{
    pthread_mutex_lock(&fake->mutex);
    fake->cancelled = true;
    eventfd_write(fake->event_fd, 1);
    if (fake->cancel_fn != NULL) {
        fake->result->cancel_heard = true;
        fake->cancel_fn(fake->cancel_data);
    }
    fake->cancel_fn = NULL;
    pthread_mutex_unlock(&fake->mutex);
}

struct cancelling {
    struct fake *fake;
    int after_ms;
};

static void *cancel_later(void *data)
{
    const struct cancelling *c = data;
    poll(NULL, 0, c->after_ms);
    cancel(c->fake);
    return NULL;
}

static void prepare(struct fake *fake, const struct fake_options *options, const char *arguments)
{
    static const struct mcp_caller nobody = {.struct_size = sizeof(nobody)};
    arena_init(&fake->arena, ARENA_MAX);
    pthread_mutex_init(&fake->mutex, NULL);
    pthread_cond_init(&fake->changed, NULL);
    fake->event_fd = eventfd(0, EFD_CLOEXEC);
    struct bytes copy = arena_copy(&fake->arena, bytes_of(arguments));
    struct json_error err;
    if (!json_parse(&fake->arguments, copy, &json_default_limits, &fake->arena, &err))
        ck_abort_msg("arguments: %s at byte %zu of %s", err.text, err.offset, arguments);
    fake->abi = (struct mcp_call){
        .struct_size = sizeof(fake->abi),
        .ops = &ops,
        .host_data = fake,
        .name = abi_bytes(bytes_of(fake->tool->name)),
        .tag = fake->tool->tag,
        .arguments = abi_bytes(copy),
        .caller = &nobody,
    };
    if (options->deadline_ms != 0)
        fake->abi.deadline_ns = clock_now() + options->deadline_ms * NS_PER_MS;
    fake->result = calloc(1, sizeof(*fake->result));
    ck_assert_ptr_nonnull(fake->result);
    arena_init(&fake->result->arena, ARENA_MAX);
}

static struct fake_result *run(struct fake fake, struct fake_host *host,
                               int32_t (*function)(void *self, struct mcp_call *call),
                               const struct fake_options *options, const char *arguments)
{
    static const struct fake_options none = {0, 0};
    options = options != NULL ? options : &none;
    prepare(&fake, options, arguments);
    pthread_t canceller;
    struct cancelling later = {&fake, options->cancel_after_ms};
    if (options->cancel_after_ms < 0)
        cancel(&fake);
    else if (options->cancel_after_ms > 0)
        ck_assert_int_eq(pthread_create(&canceller, NULL, cancel_later, &later), 0);
    int64_t began = clock_now();
    int32_t accepted = function(host->instance, &fake.abi);
    pthread_mutex_lock(&fake.mutex);
    if (accepted != MCP_OK) {
        ck_assert(!fake.ended);
        fake.result->end = FAKE_REFUSED;
    }
    while (accepted == MCP_OK && !fake.ended)
        pthread_cond_wait(&fake.changed, &fake.mutex);
    pthread_mutex_unlock(&fake.mutex);
    fake.result->took_ms = (clock_now() - began) / NS_PER_MS;
    if (options->cancel_after_ms > 0)
        pthread_join(canceller, NULL);
    close(fake.event_fd);
    pthread_cond_destroy(&fake.changed);
    pthread_mutex_destroy(&fake.mutex);
    arena_free(&fake.arena);
    return fake.result;
}

struct fake_result *fake_call(struct fake_host *host, const char *tool,
                              const struct fake_options *options, const char *arguments)
{
    const struct fake_tool *found = fake_host_tool(host, tool);
    ck_assert_msg(found != NULL, "no tool %s", tool);
    return run((struct fake){.tool = found, .text_at = "/content/0/text"}, host,
               host->plugin->call_tool, options, arguments);
}

struct fake_result *fake_read(struct fake_host *host, const char *uri)
{
    const struct mcp_resources *resources =
        host->plugin->get_extension(host->instance, MCP_RESOURCES);
    struct fake_tool resource = {.tag = 0};
    ck_assert_uint_lt(strlen(uri), sizeof(resource.name));
    strcpy(resource.name, uri);
    return run((struct fake){.tool = &resource, .text_at = "/contents/0/text"}, host,
               resources->read_resource, NULL, "{}");
}

struct fake_result *fake_complete(struct fake_host *host, const char *uri_template,
                                  const char *arguments)
{
    const struct mcp_completion *completion =
        host->plugin->get_extension(host->instance, MCP_COMPLETION);
    struct fake_tool offer = {.tag = 0};
    ck_assert_uint_lt(strlen(uri_template), sizeof(offer.name));
    strcpy(offer.name, uri_template);
    return run((struct fake){.tool = &offer, .text_at = "/values/0"}, host, completion->complete,
               NULL, arguments);
}

struct fake_result *fake_callf(struct fake_host *host, const char *tool, const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    ck_assert_int_ge(vasprintf(&text, format, arguments), 0);
    va_end(arguments);
    struct fake_result *result = fake_call(host, tool, NULL, text);
    free(text);
    return result;
}

void fake_result_free(struct fake_result *result)
{
    arena_free(&result->arena);
    free(result);
}

void fake_assert_failure(struct fake_result *result, const char *expected)
{
    ck_assert_msg(result->end == FAKE_FAILURE, "expected a failure with \"%s\", got %.200s",
                  expected, result->text);
    ck_assert_msg(strstr(result->text, expected) != NULL, "\"%s\" has no \"%s\"", result->text,
                  expected);
    fake_result_free(result);
}

const char *fake_at(struct fake_result *result, const char *pointer)
{
    return text_at(&result->json, pointer, &result->arena);
}

const char *fake_whole_at(struct fake_result *result, const char *pointer)
{
    return text_at(&result->whole, pointer, &result->arena);
}

bool fake_has(const struct fake_result *result, const char *pointer)
{
    return result->json.root != NULL && json_at(&result->json, result->json.root, pointer) != NULL;
}
