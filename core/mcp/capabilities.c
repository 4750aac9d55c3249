/* SPDX-License-Identifier: MIT */
/* Capabilities of clients, as bits. */
#include "mcp/capabilities.h"

static unsigned needed_by(const struct json *json, const struct json_node *request)
{
    const struct json_node *method = json_get(json, request, "method");
    const struct json_node *params = json_get(json, request, "params");

    if (json_is(json, method, "roots/list"))
        return ABILITY_ROOTS;
    if (json_is(json, method, "elicitation/create"))
        return json_is(json, json_get(json, params, "mode"), "url") ? ABILITY_URL : ABILITY_FORM;
    if (json_get(json, params, "tools") != NULL || json_get(json, params, "toolChoice") != NULL)
        return ABILITY_SAMPLING | ABILITY_SAMPLING_TOOLS;
    return ABILITY_SAMPLING;
}

unsigned abilities_needed(const struct json *requests)
{
    const struct json_node *root = requests->root, *end = root + root->span;
    unsigned needed = 0;

    for (const struct json_node *name = json_first(root); name != NULL;
         name = json_next(name + 1, end))
        needed |= needed_by(requests, name + 1);
    return needed;
}

static const struct json_node *object(const struct json *json, const struct json_node *in,
                                      const char *name)
{
    const struct json_node *value = json_get(json, in, name);

    return value != NULL && value->type == JSON_OBJECT ? value : NULL;
}

/* An elicitation capability that names no mode means forms. */
static unsigned read_abilities(const struct json *json)
{
    const struct json_node *elicitation = object(json, json->root, "elicitation");
    const struct json_node *sampling = object(json, json->root, "sampling");
    bool url = object(json, elicitation, "url") != NULL;
    unsigned found = 0;

    if (url)
        found |= ABILITY_URL;
    if (elicitation != NULL && (!url || object(json, elicitation, "form") != NULL))
        found |= ABILITY_FORM;
    if (sampling != NULL)
        found |= ABILITY_SAMPLING;
    if (object(json, sampling, "tools") != NULL)
        found |= ABILITY_SAMPLING_TOOLS;
    if (object(json, json->root, "roots") != NULL)
        found |= ABILITY_ROOTS;
    return found;
}

unsigned abilities_declared(const struct revision *revision, struct bytes capabilities)
{
    struct arena scratch;
    struct json json;
    unsigned found = 0;

    if (capabilities.data == NULL)
        return 0;
    arena_init(&scratch, SIZE_MAX); /* the text has been parsed before */
    if (json_parse(&json, capabilities, &json_default_limits, &scratch, NULL))
        found = read_abilities(&json) & revision->abilities;
    else if (scratch.no_memory)
        found = ABILITIES_UNREAD;
    arena_free(&scratch);
    return found;
}

void abilities_write(struct buf *out, unsigned abilities)
{
    const char *comma = "";

    BUF_LIT(out, "{");
    if ((abilities & (ABILITY_FORM | ABILITY_URL)) != 0) {
        buf_addf(out, "\"elicitation\":{%s%s%s}",
                 (abilities & ABILITY_FORM) != 0 ? "\"form\":{}" : "",
                 (abilities & ABILITY_FORM) != 0 && (abilities & ABILITY_URL) != 0 ? "," : "",
                 (abilities & ABILITY_URL) != 0 ? "\"url\":{}" : "");
        comma = ",";
    }
    if ((abilities & (ABILITY_SAMPLING | ABILITY_SAMPLING_TOOLS)) != 0) {
        buf_addf(out, "%s\"sampling\":{%s}", comma,
                 (abilities & ABILITY_SAMPLING_TOOLS) != 0 ? "\"tools\":{}" : "");
        comma = ",";
    }
    if ((abilities & ABILITY_ROOTS) != 0)
        buf_addf(out, "%s\"roots\":{}", comma);
    BUF_LIT(out, "}");
}

void abilities_describe(struct buf *out, unsigned abilities)
{
    static const char *const names[] = {"elicitation by form", "elicitation by URL", "sampling",
                                        "sampling with tools", "roots"};
    const char *comma = "";

    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        if ((abilities & 1u << i) != 0) {
            buf_addf(out, "%s%s", comma, names[i]);
            comma = ", ";
        }
}
