/* SPDX-License-Identifier: MIT */
/* Asking a plugin what it offers: its extensions, and the lists it gives by the
 * get_... functions. */
#include <stddef.h>
#include <stdio.h>

#include "base/log.h"
#include "plugin/exit_guard.h"
#include "plugin/inproc.h"
#include "plugin/mistake.h"

/* A get_... function may go on for so long after it was told that there is no room. */
#define REFUSED_MAX 100000
#define LEFT_OUT_LOGGED 20
#define EXTENSION_MAX 65536 /* bytes of a struct that it may claim */

/* ---- extensions ---- */

struct question {
    const char *id;
    const uint32_t *answer; /* a struct that begins with its size */
};

static int32_t run_get_extension(struct inproc *link, void *argument)
{
    struct question *question = argument;
    question->answer = link->plugin.get_extension(link->self, question->id);
    return MCP_OK;
}

/* Copies as much of the extension as both sides know. */
static bool find(struct inproc *link, const char *id, void *out, size_t size, size_t required,
                 struct failure *failure)
{
    struct question question = {.id = id};
    int32_t result = inproc_enter(link, "get_extension", run_get_extension, &question, failure);
    if (!inproc_succeeded(link, "get_extension", result, failure))
        return false;
    if (question.answer == NULL)
        return true;
    uint32_t claimed = *question.answer;
    if (claimed < required || claimed > EXTENSION_MAX)
        return error_set(&failure->why,
                         "its extension %s claims %u bytes, at least %zu are needed: set its "
                         "struct_size",
                         id, claimed, required);
    memcpy(out, question.answer, claimed < size ? claimed : size);
    return true;
}

static bool lacks(struct failure *failure, const char *id, const char *function)
{
    return error_set(&failure->why, "its extension %s lacks %s, which is required", id, function);
}

#define END_OF(type, field) (offsetof(struct type, field) + sizeof(((struct type *)0)->field))

bool inproc_find_extensions(struct inproc *link, struct failure *failure)
{
    if (link->plugin.get_extension == NULL)
        return true;
    if (!find(link, MCP_RESOURCES, &link->resources, sizeof(link->resources),
              END_OF(mcp_resources, read_resource), failure) ||
        !find(link, MCP_PROMPTS, &link->prompts, sizeof(link->prompts),
              END_OF(mcp_prompts, get_prompt), failure) ||
        !find(link, MCP_COMPLETION, &link->completion, sizeof(link->completion),
              END_OF(mcp_completion, complete), failure) ||
        !find(link, MCP_SKILLS, &link->skills, sizeof(link->skills), END_OF(mcp_skills, get_skills),
              failure) ||
        !find(link, MCP_HEALTH, &link->health, sizeof(link->health), END_OF(mcp_health, check),
              failure))
        return false;
    if (link->resources.struct_size != 0 && link->resources.read_resource == NULL)
        return lacks(failure, MCP_RESOURCES, "read_resource");
    if (link->prompts.struct_size != 0 && link->prompts.get_prompt == NULL)
        return lacks(failure, MCP_PROMPTS, "get_prompt");
    if (link->prompts.struct_size != 0 && link->prompts.get_prompts == NULL)
        return lacks(failure, MCP_PROMPTS, "get_prompts");
    if (link->completion.struct_size != 0 && link->completion.complete == NULL)
        return lacks(failure, MCP_COMPLETION, "complete");
    if (link->skills.struct_size != 0 && link->skills.get_skills == NULL)
        return lacks(failure, MCP_SKILLS, "get_skills");
    if (link->skills.struct_size != 0 && link->resources.struct_size == 0)
        return error_set(&failure->why, "its extension %s needs %s beside it: skills are resources",
                         MCP_SKILLS, MCP_RESOURCES);
    if (link->health.struct_size != 0 && link->health.check == NULL)
        return lacks(failure, MCP_HEALTH, "check");
    link->provider.checks = link->health.check != NULL;
    link->provider.check_flags = link->health.flags;
    link->provider.completes = link->completion.complete != NULL;
    return true;
}

/* ---- lists ---- */

struct collection {
    union {
        struct mcp_tool_sink tools;
        struct mcp_offer_sink others;
    } sink; /* host_data points back to this struct */
    int32_t (*get)(void *self, const struct mcp_offer_sink *sink); /* not for tools */
    struct inproc *link;
    struct offers *offers;
    enum offer_kind kind;
    const char *step; /* the function's name */
    size_t left_out; /* illegal ones */
    size_t refused; /* those that came after there was no room */
    bool starved; /* one could not be looked at for want of memory */
};

static int32_t refuse_offer(struct collection *collection)
{
    const char *what = offer_kind_name(collection->kind);

    collection->refused++;
    if (collection->refused == 1)
        log_warning("%s: %s gives more than %d %ss: the others are left out",
                    collection->link->provider.id, collection->step, OFFERS_MAX, what);
    if (collection->refused > REFUSED_MAX) {
        static _Thread_local char text[200];
        snprintf(text, sizeof(text),
                 "its %s does not end: it goes on after mcpd has no room for more %ss (sink->add "
                 "returned MCP_ENOMEM)",
                 collection->step, what);
        exit_guard_abort(text);
    }
    return MCP_ENOMEM;
}

static int32_t leave_out(struct collection *collection, const char *why)
{
    if (collection->left_out++ < LEFT_OUT_LOGGED)
        log_warning("%s: left out: %s", collection->link->provider.id, why);
    return MCP_EINVAL;
}

static int32_t add(struct collection *collection, const struct offer_terms *terms)
{
    struct error err;

    if (terms->definition.data == NULL) {
        error_set(&err, "a %s without a definition", offer_kind_name(collection->kind));
        return leave_out(collection, err.text);
    }
    if (offers_add(collection->offers, collection->kind, terms, &err))
        return MCP_OK;
    if (!err.no_memory)
        return leave_out(collection, err.text);
    collection->starved = true;
    return MCP_ENOMEM;
}

/* What stops before the offer is looked at; MCP_OK: nothing. */
static int32_t check_size(struct collection *collection, const uint32_t *given, size_t required)
{
    struct error err;

    if (collection->offers->lists[collection->kind].count + collection->left_out >= OFFERS_MAX)
        return refuse_offer(collection);
    if (given != NULL && *given >= required)
        return MCP_OK;
    error_set(&err,
              given != NULL ? "a %s whose struct_size is too small for a definition"
                            : "a %s that is NULL",
              offer_kind_name(collection->kind));
    return leave_out(collection, err.text);
}

#define TERMS(given)                                                                               \
    ((struct offer_terms){.definition = {(given).definition.data, (given).definition.size},        \
                          .flags = (given).flags,                                                  \
                          .tag = (given).tag,                                                      \
                          .timeout_ms = (given).timeout_ms,                                        \
                          .concurrency = (given).concurrency})

static int32_t add_tool(const struct mcp_tool_sink *sink, const struct mcp_tool *given)
{
    struct mcp_tool tool = {0};
    if (sink == NULL)
        return mistake_null("sink->add", "sink");
    int32_t code = check_size(sink->host_data, given != NULL ? &given->struct_size : NULL,
                              END_OF(mcp_tool, definition));
    if (code != MCP_OK)
        return code;
    memcpy(&tool, given, given->struct_size < sizeof(tool) ? given->struct_size : sizeof(tool));
    return add(sink->host_data, &TERMS(tool));
}

static int32_t add_offer(const struct mcp_offer_sink *sink, const struct mcp_offer *given)
{
    struct mcp_offer offer = {0};
    if (sink == NULL)
        return mistake_null("sink->add", "sink");
    int32_t code = check_size(sink->host_data, given != NULL ? &given->struct_size : NULL,
                              END_OF(mcp_offer, definition));
    if (code != MCP_OK)
        return code;
    memcpy(&offer, given, given->struct_size < sizeof(offer) ? given->struct_size : sizeof(offer));
    return add(sink->host_data, &TERMS(offer));
}

static int32_t run_get(struct inproc *link, void *argument)
{
    struct collection *collection = argument;

    if (collection->kind == OFFER_TOOL)
        return link->plugin.get_tools(link->self, &collection->sink.tools);
    return collection->get(link->self, &collection->sink.others);
}

/* Many a plugin ends with `return sink->add(...)`. That one offer is left out,
 * which has been logged, must not cost the others. */
static bool only_passes_on(const struct collection *collection, int32_t result,
                           struct failure *failure)
{
    return ((result == MCP_EINVAL && collection->left_out > 0) ||
            (result == MCP_ENOMEM && collection->refused > 0)) &&
           !host_get_failure(collection->link->host, failure);
}

static bool collect(struct inproc *link, struct offers *offers, enum offer_kind kind,
                    const char *step, int32_t (*get)(void *, const struct mcp_offer_sink *),
                    struct failure *failure)
{
    struct collection collection = {
        .link = link, .offers = offers, .kind = kind, .step = step, .get = get};

    if (kind == OFFER_TOOL)
        collection.sink.tools = (struct mcp_tool_sink){
            .struct_size = sizeof(struct mcp_tool_sink), .host_data = &collection, .add = add_tool};
    else if (get == NULL)
        return true;
    else
        collection.sink.others =
            (struct mcp_offer_sink){.struct_size = sizeof(struct mcp_offer_sink),
                                    .host_data = &collection,
                                    .add = add_offer};
    int32_t result = inproc_enter(link, step, run_get, &collection, failure);
    if (collection.starved) /* half a list must not take the place of a whole one */
        return error_no_memory_for(&failure->why, "what its %s gives", step);
    if (only_passes_on(&collection, result, failure))
        result = MCP_OK;
    if (collection.left_out > LEFT_OUT_LOGGED)
        log_warning("%s: %zu more %ss were left out", link->provider.id,
                    collection.left_out - LEFT_OUT_LOGGED, offer_kind_name(kind));
    return inproc_succeeded(link, step, result, failure);
}

struct offers *inproc_collect(struct inproc *link, struct failure *failure)
{
    struct offers *offers = offers_new();

    if (offers == NULL) {
        error_no_memory(&failure->why);
        return NULL;
    }
    if (!collect(link, offers, OFFER_TOOL, "get_tools", NULL, failure) ||
        !collect(link, offers, OFFER_RESOURCE, "get_resources", link->resources.get_resources,
                 failure) ||
        !collect(link, offers, OFFER_TEMPLATE, "get_resource_templates",
                 link->resources.get_resource_templates, failure) ||
        !collect(link, offers, OFFER_PROMPT, "get_prompts", link->prompts.get_prompts, failure) ||
        !collect(link, offers, OFFER_SKILL, "get_skills", link->skills.get_skills, failure)) {
        offers_unref(offers);
        return NULL;
    }
    offers_seal(offers);
    return offers;
}
