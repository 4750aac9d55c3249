/* SPDX-License-Identifier: MIT */
/* The table in the configuration: each of its lines is written as an operation of
 * OpenAPI 3.1, and goes its way. */
#include <string.h>

#include "operation.h"

#define OPERATION_MAX ((size_t)1 << 20)

static const struct document_limits limits = {.values = 100000, .depth = 60};

static void write_member(struct text *out, const char *name, const struct value *value)
{
    if (value == NULL)
        return;
    text_addf(out, "\"%s\":", name);
    value_write(out, value, &limits);
    text_adds(out, ",");
}

/* {"name", "in", "description", "required", "style", "explode", "allowReserved"}, and
 * "schema", or the schema's keywords beside them. */
static void write_parameter(struct text *out, const struct value *parameter, const char *path)
{
    static const char *const own[] = {"name",          "in",    "required", "style", "explode",
                                      "allowReserved", "schema"};
    const char *name = member_string(parameter, "name");
    struct text braced;

    text_adds(out, "{");
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]) - 1; i++)
        write_member(out, own[i], value_member(parameter, own[i]));
    write_member(out, "description", value_member(parameter, "description"));
    if (value_member(parameter, "in") == NULL) {
        text_init(&braced, 1024);
        text_addf(&braced, "{%s}", name != NULL ? name : "");
        bool in_path = braced.data != NULL && strstr(path, braced.data) != NULL;
        text_cut(&braced, 0);
        text_addf(&braced, "{+%s}", name != NULL ? name : "");
        in_path = in_path || (braced.data != NULL && strstr(path, braced.data) != NULL);
        text_addf(out, "\"in\":\"%s\",", in_path ? "path" : "query");
        text_free(&braced);
    }
    text_adds(out, "\"schema\":");
    if (value_member(parameter, "schema") != NULL) {
        value_write(out, value_member(parameter, "schema"), &limits);
    } else {
        text_adds(out, "{");
        for (size_t i = 0, written = 0; i < parameter->count; i += 2) {
            bool is_own = strcmp(parameter->items[i]->text, "description") == 0;
            for (size_t k = 0; k < sizeof(own) / sizeof(own[0]); k++)
                is_own = is_own || strcmp(parameter->items[i]->text, own[k]) == 0;
            if (is_own)
                continue;
            text_adds(out, written++ > 0 ? "," : "");
            text_add_string(out, parameter->items[i]->text, parameter->items[i]->size);
            text_adds(out, ":");
            value_write(out, parameter->items[i + 1], &limits);
        }
        text_adds(out, "}");
    }
    text_adds(out, "}");
}

static bool is_described(const struct value *parameters, const char *name, size_t size)
{
    for (size_t i = 0; value_is(parameters, VALUE_ARRAY) && i < parameters->count; i++) {
        const char *other = member_string(parameters->items[i], "name");
        if (other != NULL && strlen(other) == size && memcmp(other, name, size) == 0)
            return true;
    }
    return false;
}

/* "{?q,limit}" at the end of the path: further parameters of the query. */
static void write_query(struct text *out, const struct value *parameters, const char *query,
                        bool first)
{
    while (*query != '\0' && *query != '}') {
        size_t size = strcspn(query, ",}");
        size_t bare = size > 0 && query[size - 1] == '*' ? size - 1 : size;
        if (bare > 0 && !is_described(parameters, query, bare)) {
            text_adds(out, first ? "{\"name\":" : ",{\"name\":");
            text_add_string(out, query, bare);
            text_adds(out, ",\"in\":\"query\",\"schema\":{}}");
            first = false;
        }
        query += size + (query[size] == ',');
    }
}

static void write_operation(struct text *out, const struct value *line, const char *path,
                            const char *query)
{
    const struct value *parameters = value_member(line, "parameters");
    const struct value *body = value_member(line, "body"), *result = value_member(line, "result");
    const char *type = member_string(line, "content_type");

    text_adds(out, "{");
    write_member(out, "operationId", value_member(line, "name"));
    write_member(out, "summary", value_member(line, "title"));
    write_member(out, "description", value_member(line, "description"));
    text_adds(out, "\"parameters\":[");
    for (size_t i = 0; value_is(parameters, VALUE_ARRAY) && i < parameters->count; i++) {
        text_adds(out, i > 0 ? "," : "");
        write_parameter(out, parameters->items[i], path);
    }
    write_query(out, parameters, query,
                !value_is(parameters, VALUE_ARRAY) || parameters->count == 0);
    text_adds(out, "]");
    if (body != NULL) {
        text_adds(out, ",\"requestBody\":{\"required\":true,\"content\":{");
        type = type != NULL ? type : "application/json";
        text_add_string(out, type, strlen(type));
        text_adds(out, ":{\"schema\":");
        value_write(out, body, &limits);
        text_adds(out, "}}}");
    }
    text_adds(out, ",\"responses\":{\"200\":{\"content\":{");
    if (result != NULL) {
        text_adds(out, "\"application/json\":{\"schema\":");
        value_write(out, result, &limits);
        text_adds(out, "}");
    }
    text_adds(out, "}}}}");
}

/* Keeps why a line is no tool. */
struct complaint {
    const struct api_options *options;
    struct text *fault;
};

static void note(void *context, const char *method, const char *path, const char *why)
{
    struct complaint *complaint = context;

    text_addf(complaint->fault, "%s %.100s cannot be a tool: %s", method, path, why);
}

/* NULL, or what is wrong with the form of a line. */
static const char *form_fault(const struct value *line)
{
    const struct value *parameters = value_member(line, "parameters");

    if (member_string(line, "path") == NULL)
        return "it has no \"path\"";
    for (size_t i = 0; value_is(parameters, VALUE_ARRAY) && i < parameters->count; i++)
        if (!value_is(parameters->items[i], VALUE_OBJECT))
            return "each of its \"parameters\" must be an object";
    return NULL;
}

static bool read_line(struct api *api, const struct value *line, const struct api_options *options,
                      struct text *fault)
{
    const char *method = member_string(line, "method"), *path = member_string(line, "path");
    const char *wrong = form_fault(line);
    struct complaint complaint = {.options = options, .fault = fault};
    struct api_options own = *options;
    struct document document = {.root = NULL};
    struct text text, plain;

    if (wrong != NULL) {
        text_adds(fault, wrong);
        return false;
    }
    own.left_out = note;
    own.context = &complaint;
    text_init(&text, OPERATION_MAX);
    text_init(&plain, 4096);
    const char *query = strstr(path, "{?");
    text_add(&plain, path, query != NULL ? (size_t)(query - path) : strlen(path));
    write_operation(&text, line, plain.data != NULL ? plain.data : "",
                    query != NULL ? query + 2 : "");
    bool good = !text.failed && !plain.failed && plain.size > 0 &&
                document_read_json(&document, text.data, text.size, &limits);
    if (!good)
        text_addf(fault, "it is too large, or wrong: %s", document.fault);
    else
        good = openapi_add(api, document.root, &own, method != NULL ? method : "GET", plain.data,
                           document.root);
    document_free(&document);
    text_free(&plain);
    text_free(&text);
    return good;
}

bool table_read(struct api *api, const struct value *table, const struct api_options *options,
                struct text *fault, size_t *index)
{
    for (*index = 0; value_is(table, VALUE_ARRAY) && *index < table->count; ++*index)
        if (!read_line(api, table->items[*index], options, fault))
            return false;
    return true;
}
