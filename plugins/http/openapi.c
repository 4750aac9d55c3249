/* SPDX-License-Identifier: MIT */
/* OpenAPI 3.0 and 3.1: from operations to tools. */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "operation.h"

#define OPERATIONS_MAX 4000
#define PARAMETERS_MAX 200
#define DESCRIPTION_MAX 4096
#define NUMBERED_SIZE 58 /* of a tool's name, what stays before a number is added */
#define DEFINITION_MAX ((size_t)256 * 1024)

/* One operation that is being read. */
struct reader {
    struct api *api;
    const struct api_options *options;
    const struct value *root, *item, *object; /* the document, the path's, the operation */
    struct operation *operation;
    struct parameter *scratch; /* room for many, while it is read */
    struct schema_writer writer;
    const char *why; /* it is no tool; NULL: it is one */
};

static bool refuse(struct reader *reader, const char *why)
{
    if (reader->why == NULL)
        reader->why = why;
    return false;
}

static bool refuse_schema(struct reader *reader)
{
    return refuse(reader, reader->writer.fault != NULL ? reader->writer.fault : "out of memory");
}

/* ---- parameters ---- */

static bool one_of(const char *word, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strcasecmp(word, *words) == 0)
            return true;
    return false;
}

/* Fields of which the request itself or its authentication is the owner. */
static bool is_ours(const char *header)
{
    static const char *const ours[] = {"Accept",
                                       "Content-Type",
                                       "Authorization",
                                       "Host",
                                       "Content-Length",
                                       "Transfer-Encoding",
                                       "Connection",
                                       "Proxy-Authorization",
                                       "Expect",
                                       "Upgrade",
                                       "TE",
                                       "Trailer",
                                       "Keep-Alive",
                                       "Cookie",
                                       "Proxy-Connection",
                                       NULL};

    return one_of(header, ours);
}

static bool is_field_name(const char *name)
{
    static const char extra[] = "!#$%&'*+-.^_`|~";

    if (*name == '\0')
        return false;
    for (; *name != '\0'; name++)
        if (!((*name >= '0' && *name <= '9') || ((*name | 0x20) >= 'a' && (*name | 0x20) <= 'z') ||
              strchr(extra, *name) != NULL))
            return false;
    return true;
}

static bool read_place(const char *in, enum place *place)
{
    static const char *const places[] = {"path", "query", "header", "cookie"};

    for (size_t i = 0; in != NULL && i < 4; i++) {
        if (strcmp(in, places[i]) == 0) {
            *place = (enum place)i;
            return true;
        }
    }
    return false;
}

static bool read_style(struct parameter *parameter, const struct value *object)
{
    static const char *const styles[] = {"simple",         "label",         "matrix",    "form",
                                         "spaceDelimited", "pipeDelimited", "deepObject"};
    static const unsigned allowed[] = {
        [IN_PATH] = 1 << STYLE_SIMPLE | 1 << STYLE_LABEL | 1 << STYLE_MATRIX,
        [IN_QUERY] = 1 << STYLE_FORM | 1 << STYLE_SPACE | 1 << STYLE_PIPE | 1 << STYLE_DEEP,
        [IN_HEADER] = 1 << STYLE_SIMPLE,
        [IN_COOKIE] = 1 << STYLE_FORM,
    };
    const char *style = member_string(object, "style");

    parameter->style =
        parameter->place == IN_QUERY || parameter->place == IN_COOKIE ? STYLE_FORM : STYLE_SIMPLE;
    for (size_t i = 0; style != NULL && i < sizeof(styles) / sizeof(styles[0]); i++)
        if (strcmp(styles[i], style) == 0 && (allowed[parameter->place] & 1u << i) != 0)
            parameter->style = (enum style)i;
    parameter->explode = value_member(object, "explode") != NULL
                             ? member_true(object, "explode")
                             : parameter->style == STYLE_FORM || parameter->style == STYLE_DEEP;
    parameter->reserved = parameter->place == IN_QUERY && member_true(object, "allowReserved");
    return true;
}

/* The schema, or that of the only "content". */
static void read_parameter_schema(struct parameter *parameter, const struct value *object)
{
    const struct value *content = value_member(object, "content");

    parameter->schema = value_member(object, "schema");
    if (parameter->schema == NULL && value_is(content, VALUE_OBJECT) && content->count >= 2) {
        parameter->schema = value_member(content->items[1], "schema");
        parameter->json = strstr(content->items[0]->text, "json") != NULL;
    }
}

/* Whether "{name}" or "{+name}" is in the path. */
static bool path_has(const char *path, const char *name, bool *segments)
{
    size_t size = strlen(name);

    for (const char *at = strchr(path, '{'); at != NULL; at = strchr(at + 1, '{')) {
        *segments = at[1] == '+';
        const char *from = at + 1 + *segments;
        if (strncmp(from, name, size) == 0 && from[size] == '}')
            return true;
    }
    return false;
}

static struct parameter *find_parameter(const struct operation *operation, const char *name,
                                        enum place place)
{
    for (size_t i = 0; i < operation->parameter_count; i++)
        if (operation->parameters[i].place == place &&
            (place == IN_HEADER ? strcasecmp : strcmp)(operation->parameters[i].name, name) == 0)
            return &operation->parameters[i];
    return NULL;
}

static struct parameter *add_parameter(struct reader *reader, const char *name, size_t size,
                                       enum place place)
{
    struct operation *operation = reader->operation;

    if (operation->parameter_count == PARAMETERS_MAX) {
        refuse(reader, "it has too many parameters");
        return NULL;
    }
    struct parameter *made = &operation->parameters[operation->parameter_count];
    *made = (struct parameter){.place = place, .name = keep(reader->api, name, size)};
    if (made->name == NULL) {
        refuse(reader, "out of memory");
        return NULL;
    }
    operation->parameter_count++;
    return made;
}

/* One parameter object; what the operation says comes first, and counts. */
static bool read_parameter(struct reader *reader, const struct value *object)
{
    struct operation *operation = reader->operation;
    enum place place;
    bool segments = false;

    object = schema_resolve(&reader->writer, object);
    const struct value *name = value_member(object, "name");
    if (object == NULL || !value_is(name, VALUE_STRING) || name->size == 0 ||
        strlen(name->text) != name->size || !read_place(member_string(object, "in"), &place))
        return refuse(reader, reader->writer.fault != NULL
                                  ? reader->writer.fault
                                  : "one of its parameters has no name, or no place");
    if (find_parameter(operation, name->text, place) != NULL ||
        (place == IN_HEADER && is_ours(name->text)) ||
        one_of(name->text, reader->options->hidden) ||
        (place == IN_PATH && !path_has(operation->path, name->text, &segments)))
        return true;
    if (place == IN_HEADER && !is_field_name(name->text))
        return refuse(reader, "the name of one of its headers is no legal one");
    struct parameter *made = add_parameter(reader, name->text, name->size, place);
    if (made == NULL)
        return false;
    made->segments = segments;
    made->required = place == IN_PATH || member_true(object, "required");
    made->description = value_member(object, "description");
    read_parameter_schema(made, object);
    return read_style(made, object);
}

/* What is in the path and was not described: a string. */
static bool read_path(struct reader *reader)
{
    const char *at = reader->operation->path, *end;

    for (at = strchr(at, '{'); at != NULL; at = strchr(end, '{')) {
        at += at[1] == '+' ? 2 : 1;
        end = strchr(at, '}');
        if (end == NULL || end == at)
            return refuse(reader, "a { in its path is not closed, or there is no name in it");
        char name[256];
        if ((size_t)(end - at) >= sizeof(name))
            return refuse(reader, "a name in its path is too long");
        memcpy(name, at, (size_t)(end - at));
        name[end - at] = '\0';
        if (find_parameter(reader->operation, name, IN_PATH) != NULL)
            continue;
        struct parameter *made = add_parameter(reader, name, (size_t)(end - at), IN_PATH);
        if (made == NULL)
            return false;
        made->required = true;
        made->segments = at[-1] == '+';
    }
    return true;
}

static bool read_parameters(struct reader *reader)
{
    const struct value *lists[] = {value_member(reader->object, "parameters"),
                                   value_member(reader->item, "parameters")};

    reader->scratch = calloc(PARAMETERS_MAX, sizeof(struct parameter));
    if (reader->scratch == NULL)
        return refuse(reader, "out of memory");
    reader->operation->parameters = reader->scratch;
    for (size_t i = 0; i < 2; i++)
        for (size_t k = 0; value_is(lists[i], VALUE_ARRAY) && k < lists[i]->count; k++)
            if (!read_parameter(reader, lists[i]->items[k]))
                return false;
    return read_path(reader);
}

/* ---- the body ---- */

static bool type_is(const char *type, const char *wanted)
{
    size_t size = strlen(wanted);

    return strncasecmp(type, wanted, size) == 0 &&
           (type[size] == '\0' || type[size] == ';' || type[size] == ' ');
}

static bool is_json(const char *type)
{
    size_t size = strcspn(type, "; ");

    return type_is(type, "application/json") || type_is(type, "text/json") ||
           type_is(type, "*/*") || type_is(type, "application/*") ||
           (size > 5 && strncasecmp(type + size - 5, "+json", 5) == 0);
}

static enum body_kind kind_of(const char *type)
{
    if (is_json(type))
        return BODY_JSON;
    if (type_is(type, "application/x-www-form-urlencoded"))
        return BODY_FORM;
    if (strncasecmp(type, "multipart/", 10) == 0)
        return BODY_MULTIPART;
    if (strncasecmp(type, "text/", 5) == 0 || strstr(type, "xml") != NULL ||
        strstr(type, "yaml") != NULL)
        return BODY_TEXT;
    return BODY_BYTES;
}

/* A media type goes into a header. */
static bool is_media_type(const char *type)
{
    for (; *type != '\0'; type++)
        if ((unsigned char)*type < 0x20 || (unsigned char)*type > 0x7e)
            return false;
    return true;
}

/* The members of a form, with what "encoding" says of them. */
static bool read_parts(struct reader *reader, const struct value *media)
{
    struct body *body = &reader->operation->body;
    const struct value *schema = schema_resolve(&reader->writer, body->schema);
    const struct value *properties = value_member(schema, "properties");
    const struct value *encodings = value_member(media, "encoding");

    if (!value_is(properties, VALUE_OBJECT))
        return reader->writer.fault == NULL || refuse_schema(reader);
    body->parts =
        document_take(&reader->api->memory, (properties->count / 2 + 1) * sizeof(struct part));
    if (body->parts == NULL)
        return refuse(reader, "out of memory");
    for (size_t i = 0; i < properties->count; i += 2) {
        const struct value *name = properties->items[i];
        const struct value *encoding = value_member(encodings, name->text);
        const char *type = member_string(encoding, "contentType");
        struct parameter like = {.place = IN_QUERY};
        read_style(&like, encoding);
        body->parts[body->part_count] =
            (struct part){.name = keep(reader->api, name->text, name->size),
                          .type = type != NULL && is_media_type(type) && strpbrk(type, ",*") == NULL
                                      ? keep(reader->api, type, strlen(type))
                                      : NULL,
                          .bytes = schema_is_bytes(&reader->writer, properties->items[i + 1]),
                          .style = like.style,
                          .explode = like.explode};
        if (body->parts[body->part_count++].name == NULL)
            return refuse(reader, "out of memory");
    }
    return true;
}

static bool read_body(struct reader *reader)
{
    const struct value *object =
        schema_resolve(&reader->writer, value_member(reader->object, "requestBody"));
    const struct value *content = value_member(object, "content"), *chosen = NULL;
    struct body *body = &reader->operation->body;

    if (reader->writer.fault != NULL)
        return refuse_schema(reader);
    if (!value_is(content, VALUE_OBJECT) || content->count < 2)
        return true;
    for (size_t i = 0; i < content->count; i += 2) {
        const char *type = content->items[i]->text;
        enum body_kind kind = kind_of(type);
        if (is_media_type(type) && (chosen == NULL || kind < body->kind)) {
            chosen = content->items[i + 1];
            body->kind = kind;
            body->type = strchr(type, '*') == NULL ? type
                         : kind == BODY_JSON       ? "application/json"
                         : kind == BODY_TEXT       ? "text/plain"
                                                   : "application/octet-stream";
        }
    }
    if (chosen == NULL)
        return refuse(reader, "the media type of its body is no legal one");
    body->type = keep(reader->api, body->type, strlen(body->type));
    body->required = member_true(object, "required");
    body->description = value_member(object, "description");
    body->schema = value_member(chosen, "schema");
    if (body->type == NULL)
        return refuse(reader, "out of memory");
    return (body->kind != BODY_FORM && body->kind != BODY_MULTIPART) || read_parts(reader, chosen);
}

/* ---- names of arguments ---- */

static bool argument_is_taken(const struct operation *operation, const char *name, size_t before)
{
    for (size_t i = 0; i < before; i++)
        if (strcmp(operation->parameters[i].argument, name) == 0)
            return true;
    return false;
}

/* Legal for every client, and each once. */
static const char *argument_name(struct reader *reader, const char *wanted, size_t before)
{
    char base[65], name[80];

    legal_name(base, wanted, strlen(wanted));
    snprintf(name, sizeof(name), "%s", base);
    for (unsigned n = 2; argument_is_taken(reader->operation, name, before); n++)
        snprintf(name, sizeof(name), "%.58s_%u", base, n);
    return keep(reader->api, name, strlen(name));
}

static bool name_arguments(struct reader *reader)
{
    struct operation *operation = reader->operation;
    size_t count = operation->parameter_count;

    for (size_t i = 0; i < count; i++) {
        struct parameter *parameter = &operation->parameters[i];
        parameter->argument = argument_name(reader, parameter->name, i);
        if (parameter->argument == NULL)
            return refuse(reader, "out of memory");
    }
    if (operation->body.kind != BODY_NONE)
        operation->body.argument = argument_name(reader, "body", count);
    return operation->body.kind == BODY_NONE || operation->body.argument != NULL ||
           refuse(reader, "out of memory");
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
    return refuse(reader, "its document names no server with an absolute http or https URL: set "
                          "\"base_url\"");
}

/* ---- answers ---- */

/* The schema of its JSON, among what an answer may be; NULL: there is none. */
static const struct value *json_content(struct reader *reader, const struct value *response)
{
    const struct value *content =
        value_member(schema_resolve(&reader->writer, response), "content");

    for (size_t i = 0; value_is(content, VALUE_OBJECT) && i < content->count; i += 2)
        if (is_json(content->items[i]->text))
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
        return refuse_schema(reader);
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
        return refuse_schema(reader);
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
    bool reads = one_of(method, reading);
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
            refuse(reader, "its schemas are larger than a definition may be");
    }
    const char *kept = good ? keep(reader->api, out.data, out.size) : NULL;
    reader->operation->definition = (struct mcp_bytes){kept, kept != NULL ? out.size : 0};
    text_free(&out);
    return kept != NULL || refuse(reader, "out of memory");
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
    return operation->name != NULL || refuse(reader, "out of memory");
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
        return refuse(reader, "there are too many operations: choose some with \"include\"");
    if ((api->count & (api->count - 1)) == 0) {
        size_t room = api->count == 0 ? 1 : api->count * 2;
        struct operation **more = document_take(&api->memory, room * sizeof(struct operation *));
        if (more == NULL)
            return refuse(reader, "out of memory");
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
        return refuse(reader, "out of memory");
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
        return refuse(reader, "out of memory");
    *operation = (struct operation){.method = keep(reader->api, method, strlen(method)),
                                    .path = keep(reader->api, path, strlen(path)),
                                    .accept = "*/*"};
    reader->operation = operation;
    if (operation->method == NULL || operation->path == NULL)
        return refuse(reader, "out of memory");
    if (path[0] != '/')
        return refuse(reader, "its path does not begin with /");
    bool good = read_parameters(reader) && read_body(reader) && name_arguments(reader) &&
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
