/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes the OpenAPI documents of plugins/http, JSON and YAML, and, where there are
 * "tools", its table: any may be refused, with a sentence; of what is accepted, each tool is
 * strict JSON with a legal name of its own, legal names of arguments, and an object for its
 * schema; and what a reader of JSON accepts, is accepted by mcpd's, too.
 */
#include "../../plugins/http/operation.h"
#include "base/utf8.h"
#include "json/json.h"
#include "must.h"

static const struct document_limits limits = {.values = 20000, .depth = 60};

static void left_out(void *context, const char *method, const char *path, const char *why)
{
    ++*(size_t *)context;
    must(method != NULL && path != NULL && why != NULL && *why != '\0');
}

static void check_name(const char *name)
{
    size_t size = strlen(name);

    must(size >= 1 && size <= 80);
    must(strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.") == size);
}

static void check_definition(const struct operation *operation)
{
    struct json json;
    struct arena arena;

    arena_init(&arena, (size_t)64 << 20);
    must(json_parse(&json, (struct bytes){operation->definition.data, operation->definition.size},
                    &json_default_limits, &arena, NULL));
    must(!json.repeated && json_is(&json, json_get(&json, json.root, "name"), operation->name));
    const struct json_node *input = json_get(&json, json.root, "inputSchema");
    must(json_is(&json, json_get(&json, input, "type"), "object"));
    const struct json_node *properties = json_get(&json, input, "properties");
    must(properties != NULL && properties->type == JSON_OBJECT);
    must(properties->count == operation->parameter_count + (operation->body.kind != BODY_NONE));
    const struct json_node *output = json_get(&json, json.root, "outputSchema");
    must((output != NULL) == operation->promises);
    must(output == NULL || json_is(&json, json_get(&json, output, "type"), "object"));
    arena_free(&arena);
}

static void check_operation(const struct api *api, size_t index)
{
    const struct operation *operation = api->operations[index];

    check_name(operation->name);
    must(operation->path[0] == '/');
    for (size_t i = 0; i < index; i++)
        must(strcmp(api->operations[i]->name, operation->name) != 0);
    for (size_t i = 0; i < operation->parameter_count; i++) {
        const struct parameter *parameter = &operation->parameters[i];
        check_name(parameter->argument);
        must(*parameter->name != '\0' && parameter->schema == NULL);
        must(parameter->place != IN_HEADER || strpbrk(parameter->name, ":\r\n ") == NULL);
    }
    must(operation->body.kind == BODY_NONE ||
         (operation->body.type != NULL && strpbrk(operation->body.type, "\r\n") == NULL));
    check_definition(operation);
}

static void read_api(const struct value *root, bool has_base)
{
    static const char *const hidden[] = {"api_key", NULL};
    size_t none = 0, index;
    struct text fault;
    struct api api = {.count = 0};
    struct api_options options = {.include = value_member(root, "x-include"),
                                  .exclude = value_member(root, "x-exclude"),
                                  .methods = value_member(root, "x-methods"),
                                  .hidden = hidden,
                                  .has_base = has_base,
                                  .output_schemas = true,
                                  .left_out = left_out,
                                  .context = &none};

    text_init(&fault, 64 * 1024);
    const struct value *tools = value_member(root, "tools");
    bool good = value_is(tools, VALUE_ARRAY) && has_base
                    ? table_read(&api, tools, &options, &fault, &index)
                    : openapi_read(&api, root, &options, &fault);
    must(good || fault.size > 0);
    for (size_t i = 0; i < api.count; i++)
        check_operation(&api, i);
    text_free(&fault);
    api_free(&api);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct document document;
    const char *text = (const char *)data;

    if (document_read_json(&document, text, size, &limits)) {
        struct json_error error;
        must(json_check((struct bytes){text, size}, &json_default_limits, &error));
        read_api(document.root, true);
        read_api(document.root, false);
    } else {
        must(document.fault[0] != '\0');
        document_free(&document);
        if (document_read_yaml(&document, text, size, &limits))
            read_api(document.root, true);
        else
            must(document.fault[0] != '\0');
    }
    document_free(&document);
    return 0;
}
