/* SPDX-License-Identifier: MIT */
/* OpenAPI 3.0 and 3.1: from operations to tools. */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "openapi_reader.h"

#define OPERATIONS_MAX 4000
#define DESCRIPTION_MAX 4096
#define NUMBERED_SIZE 58 /* of a tool's name, what stays before a number is added */
#define DEFINITION_MAX ((size_t)256 * 1024)

bool reader_refuse(struct reader *reader, const char *why)
{
    if (reader->why == NULL)
        reader->why = why;
    return false;
}

bool reader_refuse_schema(struct reader *reader)
{
    return reader_refuse(reader,
                         reader->writer.fault != NULL ? reader->writer.fault : "out of memory");
}

/* ---- the server ---- */

/* "https://{region}.example.com/v1" with the defaults of its variables. */
static const char *fill_in(struct reader *reader, const struct value *server, const char *url)
{
    const struct value *variables = value_member(server, "variables");
    struct text out;

    text_init(&out, 2048);
    while (*url != '\0') {
        size_t plain = strcspn(url, "{");
        text_add(&out, url, plain);
        url += plain;
        const char *end = *url == '{' ? strchr(url, '}') : NULL;
        if (*url == '\0')
            break;
        char name[128];
        snprintf(name, sizeof(name), "%.*s", end != NULL ? (int)(end - url - 1) : 0, url + 1);
        const char *value = member_string(value_member(variables, name), "default");
        if (value == NULL)
            out.failed = true;
        text_adds(&out, value != NULL ? value : "");
        url = end != NULL ? end + 1 : url + strlen(url);
    }
    const char *kept = out.failed || out.size == 0 ? NULL : keep(reader->api, out.data, out.size);
    text_free(&out);
    return kept;
}

static bool read_server(struct reader *reader)
{
    const struct value *levels[] = {reader->object, reader->item, reader->root};

    if (reader->options->has_base)
        return true;
    for (size_t i = 0; i < 3; i++) {
        const struct value *servers = value_member(levels[i], "servers");
        if (!value_is(servers, VALUE_ARRAY) || servers->count == 0)
            continue;
        const char *url = member_string(servers->items[0], "url");
        url = url != NULL ? fill_in(reader, servers->items[0], url) : NULL;
        if (url == NULL || strpbrk(url, "?#@ ") != NULL ||
            (strncasecmp(url, "http://", 7) != 0 && strncasecmp(url, "https://", 8) != 0))
            break;
        reader->operation->server = url;
        return true;
    }
    return reader_refuse(reader,
                         "its document names no server with an absolute http or https URL: set "
                         "\"base_url\"");
}

/* ---- answers ---- */

/* The schema of its JSON, among what an answer may be; NULL: there is none. */
static const struct value *json_content(struct reader *reader, const struct value *response)
{
    const struct value *content =
        value_member(schema_resolve(&reader->writer, response), "content");

    for (size_t i = 0; value_is(content, VALUE_OBJECT) && i < content->count; i += 2)
        if (is_json_type(content->items[i]->text))
            return value_member(content->items[i + 1], "schema");
    return NULL;
}

/* The schema of the only answer that says that all is well, if that is a JSON object. */
static const struct value *answer(struct reader *reader)
{
    const struct value *responses = value_member(reader->object, "responses"), *found = NULL;
    size_t good = 0;

    for (size_t i = 0; value_is(responses, VALUE_OBJECT) && i < responses->count; i += 2) {
        if (responses->items[i]->text[0] != '2')
            continue;
        good++;
        found = json_content(reader, responses->items[i + 1]);
    }
    if (found != NULL)
        reader->operation->accept = "application/json, */*;q=0.1";
    return good == 1 && found != NULL && schema_is_object(&reader->writer, found, 0) ? found : NULL;
}

/* ---- the definition ---- */

static void write_text(struct text *out, const char *text, size_t size)
{
    if (size > DESCRIPTION_MAX)
        size = DESCRIPTION_MAX; /* a character that is cut becomes U+FFFD */
    text_add_string(out, text, size);
}

/* "summary", and behind it "description" when that says more. */
static void write_description(struct reader *reader, struct text *out)
{
    const char *summary = member_string(reader->object, "summary");
    const char *description = member_string(reader->object, "description");
    struct text text;

    text_init(&text, 1 << 20);
    if (summary != NULL && *summary != '\0')
        text_adds(&text, summary);
    if (description != NULL && *description != '\0' &&
        (summary == NULL || strcmp(summary, description) != 0)) {
        text_adds(&text, text.size > 0 ? "\n\n" : "");
        text_adds(&text, description);
    }
    if (text.size == 0)
        text_addf(&text, "%s %s", reader->operation->method, reader->operation->path);
    if (member_true(reader->object, "deprecated"))
        text_adds(&text, "\n\nDeprecated.");
    write_text(out, text.data, text.size);
    text_free(&text);
}

static bool write_argument(struct reader *reader, bool *first, const char *name,
                           const struct value *schema, const struct value *description)
{
    struct text *out = reader->writer.out;
    bool told = value_is(description, VALUE_STRING) && description->size > 0;
    bool wraps =
        told && value_is(schema, VALUE_OBJECT) &&
        (value_member(schema, "description") != NULL || value_member(schema, "$ref") != NULL);

    text_addf(out, "%s\"%s\":", *first ? "" : ",", name);
    *first = false;
    if (told) {
        text_adds(out, "{\"description\":");
        write_text(out, description->text, description->size);
        text_adds(out, wraps ? ",\"allOf\":[" : "");
    }
    size_t start = out->size;
    if (!value_is(schema, VALUE_OBJECT) && !value_is(schema, VALUE_BOOLEAN))
        text_adds(out, "{}");
    else if (!schema_write(&reader->writer, schema))
        return reader_refuse_schema(reader);
    if (wraps) {
        text_adds(out, "]}");
    } else if (told && !out->failed) {
        /* One object of the two: "{" becomes "," unless nothing is in it. */
        if (out->data[start] != '{') {
            text_cut(out, start);
            text_adds(out, "}");
        } else if (out->data[start + 1] == '}') {
            text_cut(out, start);
            text_adds(out, "}");
        } else {
            out->data[start] = ',';
        }
    }
    return true;
}

/* A string where a schema is not enough to tell what comes. */
static bool write_body_argument(struct reader *reader, bool *first)
{
    const struct body *body = &reader->operation->body;
    struct text *out = reader->writer.out;

    if (body->kind == BODY_JSON || body->kind == BODY_FORM || body->kind == BODY_MULTIPART) {
        if (body->kind == BODY_JSON || value_is(body->schema, VALUE_OBJECT))
            return write_argument(reader, first, body->argument, body->schema, body->description);
        text_addf(out, "%s\"%s\":{\"type\":\"object\"}", *first ? "" : ",", body->argument);
    } else {
        text_addf(out, "%s\"%s\":{\"type\":\"string\",%s\"contentMediaType\":", *first ? "" : ",",
                  body->argument,
                  body->kind == BODY_BYTES ? "\"contentEncoding\":\"base64\"," : "");
        text_add_string(out, body->type, strlen(body->type));
        if (value_is(body->description, VALUE_STRING)) {
            text_adds(out, ",\"description\":");
            write_text(out, body->description->text, body->description->size);
        }
        text_adds(out, "}");
    }
    *first = false;
    return true;
}

static bool write_input(struct reader *reader, struct text *out)
{
    const struct operation *operation = reader->operation;
    bool first = true;

    reader->writer.input = true;
    text_adds(out, "\"inputSchema\":{\"type\":\"object\",\"properties\":{");
    for (size_t i = 0; i < operation->parameter_count; i++) {
        const struct parameter *p = &operation->parameters[i];
        if (!write_argument(reader, &first, p->argument, p->schema, p->description))
            return false;
    }
    if (operation->body.kind != BODY_NONE && !write_body_argument(reader, &first))
        return false;
    text_adds(out, "},\"required\":[");
    first = true;
    for (size_t i = 0; i < operation->parameter_count; i++) {
        if (!operation->parameters[i].required)
            continue;
        text_addf(out, "%s\"%s\"", first ? "" : ",", operation->parameters[i].argument);
        first = false;
    }
    if (operation->body.kind != BODY_NONE && operation->body.required)
        text_addf(out, "%s\"%s\"", first ? "" : ",", operation->body.argument);
    text_adds(out, "],\"additionalProperties\":false");
    if (!schema_write_definitions(&reader->writer))
        return reader_refuse_schema(reader);
    text_adds(out, "}");
    return true;
}

/* Left out when it cannot be told, or would be too large: the tool is one all the same. */
static void write_output(struct reader *reader, struct text *out)
{
    const struct value *schema = answer(reader);
    size_t start = out->size;
    struct schema_writer writer = {.out = out, .root = reader->root, .old = reader->writer.old};

    if (schema == NULL || !reader->options->output_schemas)
        return;
    text_adds(out, ",\"outputSchema\":{");
    bool good = schema_write_object(&writer, schema) && schema_write_definitions(&writer);
    text_adds(out, "}");
    good = good && !out->failed && out->size < DEFINITION_MAX - 1024;
    if (!good)
        text_cut(out, start);
    reader->operation->promises = good;
    schema_writer_free(&writer);
}

static void write_annotations(struct reader *reader, struct text *out)
{
    static const char *const reading[] = {"GET", "HEAD", "OPTIONS", "TRACE", NULL};
    const char *method = reader->operation->method,
               *title = member_string(reader->object, "summary");
    bool reads = is_one_of(method, reading);
    bool repeats = reads || strcmp(method, "PUT") == 0 || strcmp(method, "DELETE") == 0;

    text_adds(out, ",\"annotations\":{");
    if (title != NULL && *title != '\0') {
        text_adds(out, "\"title\":");
        write_text(out, title, strlen(title) < 200 ? strlen(title) : 200);
        text_adds(out, ",");
    }
    text_addf(out, "\"readOnlyHint\":%s,", reads ? "true" : "false");
    if (!reads)
        text_addf(out, "\"destructiveHint\":true,\"idempotentHint\":%s,",
                  repeats ? "true" : "false");
    text_adds(out, "\"openWorldHint\":true}}");
}

static bool write_definition(struct reader *reader)
{
    struct text out;

    text_init(&out, 2 * DEFINITION_MAX);
    reader->writer.out = &out;
    text_addf(&out, "{\"name\":\"%s\",\"description\":", reader->operation->name);
    write_description(reader, &out);
    text_adds(&out, ",");
    bool good = write_input(reader, &out);
    if (good) {
        write_output(reader, &out);
        write_annotations(reader, &out);
        good = !out.failed && out.size <= DEFINITION_MAX;
        if (!good)
            reader_refuse(reader, "its schemas are larger than a definition may be");
    }
    const char *kept = good ? keep(reader->api, out.data, out.size) : NULL;
    reader->operation->definition = (struct mcp_bytes){kept, kept != NULL ? out.size : 0};
    text_free(&out);
    return kept != NULL || reader_refuse(reader, "out of memory");
}

/* ---- one operation ---- */

/* The first whose name has the same `size` characters in front, or is the same. */
static struct operation *named(const struct api *api, const char *name, size_t size)
{
    for (size_t i = 0; i < api->count; i++)
        if (strncmp(api->operations[i]->name, name, size) == 0)
            return api->operations[i];
    return NULL;
}

/* operationId, or the method and the path: "get_pets_id". Numbers go on where they were. */
static bool name_operation(struct reader *reader)
{
    struct operation *operation = reader->operation;
    const char *id = member_string(reader->object, "operationId");
    char path[600], base[65], name[80];

    snprintf(path, sizeof(path), "%s%s", operation->method, operation->path);
    for (char *c = path; *c != '\0' && *c != '/'; c++)
        *c = (char)(*c | 0x20);
    if (id == NULL || *id == '\0')
        id = path;
    legal_name(base, id, strlen(id));
    snprintf(name, sizeof(name), "%s", base);
    operation->next = 2;
    struct operation *first = named(reader->api, base, NUMBERED_SIZE);
    unsigned n = first != NULL ? first->next : 0;
    for (; first != NULL && named(reader->api, name, sizeof(name)) != NULL; n++) {
        snprintf(name, sizeof(name), "%.*s_%u", NUMBERED_SIZE, base, n);
        first->next = n; /* not behind it: this one may be left out yet */
    }
    operation->name = keep(reader->api, name, strlen(name));
    return operation->name != NULL || reader_refuse(reader, "out of memory");
}

static bool read_security(struct reader *reader)
{
    const struct value *own = value_member(reader->object, "security");
    const struct value *all = own != NULL ? own : value_member(reader->root, "security");

    reader->operation->open = own != NULL && value_is(all, VALUE_ARRAY) && all->count == 0;
    return true;
}

static bool add_operation(struct reader *reader)
{
    struct api *api = reader->api;

    if (api->count == OPERATIONS_MAX)
        return reader_refuse(reader, "there are too many operations: choose some with \"include\"");
    if ((api->count & (api->count - 1)) == 0) {
        size_t room = api->count == 0 ? 1 : api->count * 2;
        struct operation **more = document_take(&api->memory, room * sizeof(struct operation *));
        if (more == NULL)
            return reader_refuse(reader, "out of memory");
        if (api->count > 0)
            memcpy(more, api->operations, api->count * sizeof(struct operation *));
        api->operations = more;
    }
    api->operations[api->count++] = reader->operation;
    return true;
}

/* The parameters were read where there is room for many; and what pointed into the
 * document, points nowhere when that is gone. */
static bool keep_parameters(struct reader *reader)
{
    struct operation *operation = reader->operation;
    size_t size = operation->parameter_count * sizeof(struct parameter);
    struct parameter *kept = document_take(&reader->api->memory, size);

    if (kept == NULL)
        return reader_refuse(reader, "out of memory");
    if (size > 0)
        memcpy(kept, operation->parameters, size);
    for (size_t i = 0; i < operation->parameter_count; i++)
        kept[i].schema = kept[i].description = NULL;
    operation->body.schema = operation->body.description = NULL;
    operation->parameters = kept;
    return true;
}

static bool read_operation(struct reader *reader, const char *method, const char *path)
{
    struct operation *operation = document_take(&reader->api->memory, sizeof(*operation));

    if (operation == NULL)
        return reader_refuse(reader, "out of memory");
    *operation = (struct operation){.method = keep(reader->api, method, strlen(method)),
                                    .path = keep(reader->api, path, strlen(path)),
                                    .accept = "*/*"};
    reader->operation = operation;
    if (operation->method == NULL || operation->path == NULL)
        return reader_refuse(reader, "out of memory");
    if (path[0] != '/')
        return reader_refuse(reader, "its path does not begin with /");
    bool good = reader_parameters(reader) && reader_body(reader) && reader_names(reader) &&
                read_server(reader) && read_security(reader) && name_operation(reader) &&
                write_definition(reader) && keep_parameters(reader) && add_operation(reader);
    free(reader->scratch);
    return good;
}

bool openapi_add(struct api *api, const struct value *root, const struct api_options *options,
                 const char *method, const char *path, const struct value *object)
{
    const char *version = member_string(root, "openapi");
    struct reader reader = {.api = api, .options = options, .root = root, .object = object};

    reader.writer = (struct schema_writer){
        .root = root, .old = version != NULL && strncmp(version, "3.0", 3) == 0};
    bool good = read_operation(&reader, method, path);
    if (!good)
        options->left_out(options->context, method, path, reader.why);
    schema_writer_free(&reader.writer);
    return good;
}

/* ---- which of them ---- */

static bool matches_one(const struct value *patterns, const char *text)
{
    for (size_t i = 0; text != NULL && value_is(patterns, VALUE_ARRAY) && i < patterns->count; i++)
        if (patterns->items[i]->kind == VALUE_STRING &&
            fnmatch(patterns->items[i]->text, text, FNM_NOESCAPE) == 0)
            return true;
    return false;
}

static bool chosen_by(const struct value *choice, const char *path, const struct value *operation)
{
    const struct value *tags = value_member(operation, "tags");

    if (matches_one(value_member(choice, "paths"), path) ||
        matches_one(value_member(choice, "operations"), member_string(operation, "operationId")))
        return true;
    for (size_t i = 0; value_is(tags, VALUE_ARRAY) && i < tags->count; i++)
        if (tags->items[i]->kind == VALUE_STRING &&
            matches_one(value_member(choice, "tags"), tags->items[i]->text))
            return true;
    return false;
}

static bool is_chosen(const struct api_options *options, const char *method, const char *path,
                      const struct value *operation)
{
    return (options->methods == NULL || matches_one(options->methods, method)) &&
           (options->include == NULL || chosen_by(options->include, path, operation)) &&
           (options->exclude == NULL || !chosen_by(options->exclude, path, operation));
}

/* ---- the document ---- */

static const char *const methods[][2] = {
    {"get", "GET"},         {"put", "PUT"},   {"post", "POST"},   {"delete", "DELETE"},
    {"options", "OPTIONS"}, {"head", "HEAD"}, {"patch", "PATCH"}, {"trace", "TRACE"}};

static void read_item(struct api *api, const struct value *root, const struct api_options *options,
                      const struct value *path, const struct value *item)
{
    struct schema_writer writer = {.root = root};
    const char *version = member_string(root, "openapi");

    item = schema_resolve(&writer, item);
    if (item == NULL || strlen(path->text) != path->size) {
        options->left_out(options->context, "all of", path->text,
                          writer.fault != NULL ? writer.fault : "there is a NUL in its path");
        return;
    }
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        const struct value *object = value_member(item, methods[i][0]);
        if (!value_is(object, VALUE_OBJECT) ||
            !is_chosen(options, methods[i][1], path->text, object))
            continue;
        struct reader reader = {
            .api = api, .options = options, .root = root, .item = item, .object = object};
        reader.writer =
            (struct schema_writer){.root = root, .old = strncmp(version, "3.0", 3) == 0};
        if (!read_operation(&reader, methods[i][1], path->text))
            options->left_out(options->context, methods[i][1], path->text, reader.why);
        schema_writer_free(&reader.writer);
    }
}

bool openapi_read(struct api *api, const struct value *root, const struct api_options *options,
                  struct text *fault)
{
    const char *version = member_string(root, "openapi"), *old = member_string(root, "swagger");
    const struct value *paths = value_member(root, "paths");

    if (version == NULL || (strncmp(version, "3.0", 3) != 0 && strncmp(version, "3.1", 3) != 0)) {
        if (old != NULL)
            text_addf(fault, "it is Swagger %.10s: convert it to OpenAPI 3", old);
        else if (version != NULL)
            text_addf(fault, "it is OpenAPI %.10s, and only 3.0 and 3.1 are known", version);
        else
            text_adds(fault, "it is no OpenAPI document: there is no \"openapi\" in it");
        return false;
    }
    if (!value_is(paths, VALUE_OBJECT)) {
        text_adds(fault, "there are no \"paths\" in it");
        return false;
    }
    for (size_t i = 0; i < paths->count; i += 2)
        if (paths->items[i]->text[0] == '/')
            read_item(api, root, options, paths->items[i], paths->items[i + 1]);
    return true;
}
