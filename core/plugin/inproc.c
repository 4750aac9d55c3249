/* SPDX-License-Identifier: MIT */
/*
 * The link to a plugin that runs in this process: provider_ops by calling the
 * functions of its struct mcp_plugin. How its code is mapped and unmapped is in
 * unmap.c.
 */
#include "plugin/inproc.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "plugin/call.h"
#include "plugin/exit_guard.h"

/* The end of call_tool, the last member that must be there. */
#define DESCRIPTOR_MIN offsetof(struct mcp_plugin, get_extension)
#define DESCRIPTOR_MAX 65536

static struct inproc *inproc_of(struct provider *provider)
{
    return (struct inproc *)provider;
}

/* ---- running its code ---- */

const char *inproc_result_name(int32_t result)
{
    switch (result) {
    case MCP_EINVAL:
        return "MCP_EINVAL";
    case MCP_EFAIL:
        return "MCP_EFAIL";
    case MCP_ENOMEM:
        return "MCP_ENOMEM";
    case MCP_ENOENT:
        return "MCP_ENOENT";
    case MCP_ENOTSUP:
        return "MCP_ENOTSUP";
    case MCP_ECANCELLED:
        return "MCP_ECANCELLED";
    default:
        return "a code that <mcp/plugin.h> does not have";
    }
}

static void describe_exit(const struct exit_guard *guard, const char *step, struct error *err)
{
    if (guard->reason != NULL)
        error_set(err, "%s", guard->reason);
    else
        error_set(err, "called %s(%d) in %s, which a plugin must not", guard->function,
                  guard->status, step);
}

static void (*broken_hook)(const char *why);

void inproc_on_broken(void (*hook)(const char *why))
{
    broken_hook = hook;
}

bool inproc_is_alone(void)
{
    return broken_hook != NULL;
}

/* Its locks and memory are as they were in the middle of something. */
static void mark_broken(struct inproc *link, const struct error *why)
{
    if (broken_hook != NULL)
        broken_hook(why->text);
    if (!atomic_exchange(&link->provider.broken, true) && link->provider.offers != NULL)
        log_error("%s: %s %s; this provider answers no more calls until its file is replaced or "
                  "mcpd is restarted",
                  link->provider.id, link->file_name, why->text);
}

static bool is_broken(struct inproc *link)
{
    if (atomic_load_explicit(&link->code->exited, memory_order_relaxed)) {
        const struct error why = {
            .text = "called exit in a thread of its own, which a plugin must not"};
        mark_broken(link, &why);
    }
    return atomic_load_explicit(&link->provider.broken, memory_order_relaxed);
}

int32_t inproc_enter(struct inproc *link, const char *step, inproc_action *action, void *argument,
                     struct failure *failure)
{
    struct exit_guard guard;
    if (link->step != NULL)
        link->step(link->step_context, step);
    host_forget_failure(link->host);
    if (exit_guard_enter(&guard, link->code)) {
        int32_t result = action(link, argument);
        exit_guard_leave(&guard);
        return result;
    }
    failure->in_config = false;
    describe_exit(&guard, step, &failure->why);
    mark_broken(link, &failure->why);
    return INPROC_EXITED;
}

/* Whether a step succeeded; else the plugin's own words, or what it returned. */
bool inproc_succeeded(struct inproc *link, const char *step, int32_t result,
                      struct failure *failure)
{
    if (result == MCP_OK)
        return true;
    if (result == INPROC_EXITED || host_get_failure(link->host, failure))
        return false;
    failure->in_config = false;
    return error_set(&failure->why, "%s failed (%s) and did not say why with host->fail", step,
                     inproc_result_name(result));
}

/* ---- the descriptor ---- */

static int32_t run_entry(struct inproc *link, void *argument)
{
    const struct mcp_plugin **descriptor = argument;
    const struct mcp_plugin *(*entry)(void);
    void *symbol = dlsym(link->handle, "mcp_plugin_v1");
    if (symbol == NULL)
        return MCP_ENOENT;
    *(void **)&entry = symbol;
    *descriptor = entry();
    return MCP_OK;
}

static bool lies_within(const struct plugin_code *code, const void *start, size_t size)
{
    uintptr_t from = (uintptr_t)start, end = atomic_load(&code->end);
    return from >= atomic_load(&code->start) && from <= end && size <= end - from;
}

/* From the first fields, which every version has. */
static bool check_header(const struct inproc *link, const struct mcp_plugin *given,
                         struct error *err)
{
    const size_t header_size = offsetof(struct mcp_plugin, id);
    if (given == NULL)
        return error_set(err, "its mcp_plugin_v1 returned NULL");
    if (!lies_within(link->code, given, header_size))
        return error_set(err, "its mcp_plugin_v1 returned something that lies outside of the "
                              "plugin: return a static struct mcp_plugin");
    if (given->magic != MCP_PLUGIN_MAGIC)
        return error_set(err, "its struct mcp_plugin does not begin with MCP_PLUGIN_MAGIC: begin "
                              "it with MCP_PLUGIN_HEADER");
    if (given->abi_major != MCP_ABI_MAJOR)
        return error_set(err,
                         "its struct mcp_plugin says plugin ABI %u.%u, which its manifest does "
                         "not; this mcpd serves %d.%d: rebuild it with this mcpd's header",
                         given->abi_major, given->abi_minor, MCP_ABI_MAJOR, MCP_ABI_MINOR);
    if (given->min_minor > MCP_ABI_MINOR)
        return error_set(err,
                         "needs plugin ABI %d.%u or newer, this mcpd serves %d.%d: use a newer "
                         "mcpd",
                         MCP_ABI_MAJOR, given->min_minor, MCP_ABI_MAJOR, MCP_ABI_MINOR);
    if (given->struct_size < DESCRIPTOR_MIN)
        return error_set(err,
                         "its struct mcp_plugin claims %u bytes, at least %zu are needed: "
                         "begin it with MCP_PLUGIN_HEADER",
                         given->struct_size, DESCRIPTOR_MIN);
    if (given->struct_size > DESCRIPTOR_MAX || !lies_within(link->code, given, given->struct_size))
        return error_set(err,
                         "its struct mcp_plugin claims %u bytes, more than there are: begin "
                         "it with MCP_PLUGIN_HEADER",
                         given->struct_size);
    return true;
}

static bool check_members(const struct inproc *link, struct error *err)
{
    const struct mcp_plugin *plugin = &link->plugin;
    const struct image *image = link->image;
    if (plugin->id == NULL || strcmp(plugin->id, image->id) != 0)
        return error_set(err,
                         "its struct mcp_plugin has the id \"%.64s\", its manifest \"%s\": "
                         "make them equal",
                         plugin->id != NULL ? plugin->id : "", image->id);
    if (plugin->version == NULL || strcmp(plugin->version, image->version) != 0)
        return error_set(err,
                         "its struct mcp_plugin has the version \"%.64s\", its manifest "
                         "\"%s\": make them equal",
                         plugin->version != NULL ? plugin->version : "", image->version);
    if (plugin->get_tools == NULL || plugin->call_tool == NULL)
        return error_set(err, "its struct mcp_plugin lacks %s, which is required",
                         plugin->get_tools == NULL ? "get_tools" : "call_tool");
    return true;
}

static bool get_descriptor(struct inproc *link, struct failure *failure)
{
    const struct mcp_plugin *given = NULL;
    int32_t result = inproc_enter(link, "mcp_plugin_v1", run_entry, &given, failure);
    if (result == MCP_ENOENT)
        return error_set(&failure->why, "does not export mcp_plugin_v1: define it with MCP_EXPORT");
    if (result != MCP_OK || !check_header(link, given, &failure->why))
        return false;
    size_t size = given->struct_size;
    memcpy(&link->plugin, given, size < sizeof(link->plugin) ? size : sizeof(link->plugin));
    return check_members(link, &failure->why);
}

/* ---- its configuration ---- */

static bool first_failure(void *context, const struct schema_failure *found)
{
    struct failure *failure = context;
    failure->in_config = true;
    snprintf(failure->pointer, sizeof(failure->pointer), "%s", found->instance);
    error_set(&failure->why, "%s", found->text);
    return false;
}

/* Against the plugin's config_schema. */
static bool check_config(const struct inproc *link, const struct host_config *config,
                         struct failure *failure)
{
    const char *text = link->plugin.config_schema;
    if (text == NULL)
        return true;
    struct arena arena;
    struct json json;
    struct json_error refusal;
    const struct schema_options options = {.assert_format = false};
    struct schema *schema = NULL;
    bool ok = false;
    arena_init(&arena, 16u << 20);
    if (!json_parse(&json, bytes_of(text), &json_default_limits, &arena, &refusal)) {
        error_set(&failure->why, "its config_schema is not legal JSON (line %u, column %u): %s",
                  refusal.line, refusal.column, refusal.text);
    } else {
        struct error why;
        schema = schema_compile(&json, json.root, &options, &why);
        if (schema == NULL)
            error_set(&failure->why, "its config_schema is not a legal JSON Schema: %s", why.text);
        else
            ok = schema_validate(schema, &config->json, config->json.root, first_failure, failure);
    }
    schema_free(schema);
    arena_free(&arena);
    return ok;
}

static struct mcp_bytes config_bytes(const struct host_config *config)
{
    return (struct mcp_bytes){config->text.data, config->text.size};
}

/* ---- provider_ops ---- */

/* The functions that take calls. */
struct call_taker {
    const char *name;
    int32_t (*take)(void *self, struct mcp_call *call);
};

static struct call_taker call_taker(const struct inproc *link, enum call_function function)
{
    switch (function) {
    case CALL_READ_RESOURCE:
        return (struct call_taker){"read_resource", link->resources.read_resource};
    case CALL_GET_PROMPT:
        return (struct call_taker){"get_prompt", link->prompts.get_prompt};
    case CALL_COMPLETE:
        return (struct call_taker){"complete", link->completion.complete};
    case CALL_HEALTH:
        return (struct call_taker){"check", link->health.check};
    case CALL_TOOL:
    case CALL_FUNCTIONS:
        break;
    }
    return (struct call_taker){"call_tool", link->plugin.call_tool};
}

static void inproc_call(struct provider *provider, struct call *call)
{
    struct inproc *link = inproc_of(provider);
    const struct call_taker taker = call_taker(link, call_function(call));
    struct exit_guard guard;
    if (is_broken(link)) {
        call_end_broken(call, PROVIDER_BROKEN_TEXT);
    } else if (exit_guard_enter(&guard, link->code)) {
        int32_t result = taker.take(link->self, call_abi(call));
        exit_guard_leave(&guard);
        if (result != MCP_OK)
            call_end_faulty(call, "it did not take the call (%s)", inproc_result_name(result));
    } else {
        struct error why;
        describe_exit(&guard, taker.name, &why);
        mark_broken(link, &why);
        call_end_broken(call, PROVIDER_BROKEN_TEXT);
    }
}

static bool refuse_broken(struct inproc *link, struct error *err)
{
    return error_set(err, "%s: has failed before and is not asked again", link->file_name);
}

static struct offers *inproc_get_offers(struct provider *provider, struct error *err)
{
    struct inproc *link = inproc_of(provider);
    struct failure failure = {0};
    if (is_broken(link)) {
        refuse_broken(link, err);
        return NULL;
    }
    struct offers *offers = inproc_collect(link, &failure);
    if (offers == NULL)
        failure_tell(&failure, link->file_name, provider->settings, err);
    return offers;
}

static int32_t run_reconfigure(struct inproc *link, void *argument)
{
    return link->plugin.reconfigure(link->self, config_bytes(argument));
}

int inproc_reconfigure_with(struct inproc *link, const struct config_provider *settings,
                            struct failure *failure)
{
    if (is_broken(link) || link->plugin.reconfigure == NULL)
        return 0;
    struct host_config *config = host_config_new(settings, &failure->why);
    if (config == NULL || !check_config(link, config, failure)) {
        host_config_free(config);
        return -1;
    }
    struct host_config *before = host_swap_config(link->host, config);
    int32_t result = inproc_enter(link, "reconfigure", run_reconfigure, config, failure);
    if (result == MCP_OK) {
        host_config_free(before);
        return 1;
    }
    host_config_free(host_swap_config(link->host, before));
    if (result == MCP_ENOTSUP)
        return 0;
    inproc_succeeded(link, "reconfigure", result, failure);
    return -1;
}

static int inproc_reconfigure(struct provider *provider, const struct config_provider *settings,
                              struct error *err)
{
    struct inproc *link = inproc_of(provider);
    struct failure failure = {0};
    int result = inproc_reconfigure_with(link, settings, &failure);
    if (result < 0)
        failure_tell(&failure, link->file_name, settings, err);
    return result;
}

static bool inproc_stop(struct provider *provider)
{
    return inproc_unload(inproc_of(provider));
}

/* After inproc_stop, which would have kept a reference if anything was left. */
static void inproc_free(struct provider *provider)
{
    struct inproc *link = inproc_of(provider);
    host_free(link->host);
    plugin_code_free(link->code);
    image_free(link->image);
    free(link);
}

static const struct provider_ops inproc_ops = {
    .call = inproc_call,
    .get_offers = inproc_get_offers,
    .reconfigure = inproc_reconfigure,
    .stop = inproc_stop,
    .free = inproc_free,
};

/* ---- loading ---- */

static int32_t run_create(struct inproc *link, void *argument)
{
    (void)argument;
    return link->plugin.create(&link->host->abi, config_bytes(link->host->config), &link->self);
}

static int32_t run_start(struct inproc *link, void *argument)
{
    (void)argument;
    return link->plugin.start(link->self);
}

static bool run_step(struct inproc *link, const char *step, inproc_action *action,
                     struct failure *failure)
{
    return inproc_succeeded(link, step, inproc_enter(link, step, action, NULL, failure), failure);
}

/* A generation that is made: what of the struct provider is known before. */
static struct inproc *link_new(struct image *image, const char *provider_id, struct config *config,
                               const struct config_provider *settings)
{
    struct inproc *link = calloc(1, sizeof(*link));
    if (link == NULL) {
        image_free(image);
        return NULL;
    }
    struct provider *provider = &link->provider;
    provider_init(provider, &inproc_ops);
    link->image = image;
    const char *slash = strrchr(image->source, '/');
    link->file_name = slash != NULL ? slash + 1 : image->source;
    bool described = provider_describe(provider, image, provider_id, config, settings);
    link->code = plugin_code_new(provider_id);
    if (described && link->code != NULL)
        return link;
    provider_unref(provider);
    return NULL;
}

static bool bring_up(struct inproc *link, struct failure *failure)
{
    struct provider *provider = &link->provider;
    struct host_config *config = host_config_new(provider->settings, &failure->why);
    if (config == NULL)
        return false;
    link->host = host_new(provider, config);
    if (link->host == NULL)
        return error_no_memory(&failure->why);
    if (link->step != NULL)
        link->step(link->step_context, "its constructors");
    if (!inproc_map(link, failure) || !get_descriptor(link, failure))
        return false;
    if (link->step != NULL)
        link->step(link->step_context, "the check of its configuration");
    if (!check_config(link, config, failure))
        return false;
    if (link->plugin.create != NULL && !run_step(link, "create", run_create, failure))
        return false;
    link->created = true;
    if (!inproc_find_extensions(link, failure))
        return false;
    if (link->plugin.start != NULL && !run_step(link, "start", run_start, failure))
        return false;
    link->started = true;
    provider->offers = inproc_collect(link, failure);
    return provider->offers != NULL;
}

struct provider *inproc_run(struct image *image, const char *provider_id, struct config *config,
                            const struct config_provider *settings, struct provider_owner *owner,
                            inproc_step *step, void *context, struct failure *failure)
{
    *failure = (struct failure){0};
    struct inproc *link = link_new(image, provider_id, config, settings);
    if (link == NULL) {
        error_no_memory(&failure->why);
        return NULL;
    }
    link->step = step;
    link->step_context = context;
    atomic_store(&link->provider.owner, owner);
    if (bring_up(link, failure))
        return &link->provider;
    inproc_unload(link);
    provider_unref(&link->provider);
    return NULL;
}

struct provider *inproc_load(struct image *image, const char *provider_id, struct config *config,
                             const struct config_provider *settings, struct provider_owner *owner,
                             struct error *err)
{
    const char *slash = strrchr(image->source, '/');
    char file_name[256];
    struct failure failure;
    snprintf(file_name, sizeof(file_name), "%s", slash != NULL ? slash + 1 : image->source);
    struct provider *provider =
        inproc_run(image, provider_id, config, settings, owner, NULL, NULL, &failure);
    if (provider == NULL)
        failure_tell(&failure, file_name, settings, err);
    return provider;
}
