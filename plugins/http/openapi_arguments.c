/* SPDX-License-Identifier: MIT */
/* OpenAPI 3.0 and 3.1: what a call of an operation takes - its parameters, its body, and
 * what they are called among the arguments of the tool. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "openapi_reader.h"

#define PARAMETERS_MAX 200

/* ---- parameters ---- */

bool is_one_of(const char *word, const char *const *words)
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

    return is_one_of(header, ours);
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
        reader_refuse(reader, "it has too many parameters");
        return NULL;
    }
    struct parameter *made = &operation->parameters[operation->parameter_count];
    *made = (struct parameter){.place = place, .name = keep(reader->api, name, size)};
    if (made->name == NULL) {
        reader_refuse(reader, "out of memory");
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
        return reader_refuse(reader, reader->writer.fault != NULL
                                         ? reader->writer.fault
                                         : "one of its parameters has no name, or no place");
    if (find_parameter(operation, name->text, place) != NULL ||
        (place == IN_HEADER && is_ours(name->text)) ||
        is_one_of(name->text, reader->options->hidden) ||
        (place == IN_PATH && !path_has(operation->path, name->text, &segments)))
        return true;
    if (place == IN_HEADER && !is_field_name(name->text))
        return reader_refuse(reader, "the name of one of its headers is no legal one");
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
            return reader_refuse(reader,
                                 "a { in its path is not closed, or there is no name in it");
        char name[256];
        if ((size_t)(end - at) >= sizeof(name))
            return reader_refuse(reader, "a name in its path is too long");
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

bool reader_parameters(struct reader *reader)
{
    const struct value *lists[] = {value_member(reader->object, "parameters"),
                                   value_member(reader->item, "parameters")};

    reader->scratch = calloc(PARAMETERS_MAX, sizeof(struct parameter));
    if (reader->scratch == NULL)
        return reader_refuse(reader, "out of memory");
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

bool is_json_type(const char *type)
{
    size_t size = strcspn(type, "; ");

    return type_is(type, "application/json") || type_is(type, "text/json") ||
           type_is(type, "*/*") || type_is(type, "application/*") ||
           (size > 5 && strncasecmp(type + size - 5, "+json", 5) == 0);
}

static enum body_kind kind_of(const char *type)
{
    if (is_json_type(type))
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
        return reader->writer.fault == NULL || reader_refuse_schema(reader);
    body->parts =
        document_take(&reader->api->memory, (properties->count / 2 + 1) * sizeof(struct part));
    if (body->parts == NULL)
        return reader_refuse(reader, "out of memory");
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
            return reader_refuse(reader, "out of memory");
    }
    return true;
}

bool reader_body(struct reader *reader)
{
    const struct value *object =
        schema_resolve(&reader->writer, value_member(reader->object, "requestBody"));
    const struct value *content = value_member(object, "content"), *chosen = NULL;
    struct body *body = &reader->operation->body;

    if (reader->writer.fault != NULL)
        return reader_refuse_schema(reader);
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
        return reader_refuse(reader, "the media type of its body is no legal one");
    body->type = keep(reader->api, body->type, strlen(body->type));
    body->required = member_true(object, "required");
    body->description = value_member(object, "description");
    body->schema = value_member(chosen, "schema");
    if (body->type == NULL)
        return reader_refuse(reader, "out of memory");
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

bool reader_names(struct reader *reader)
{
    struct operation *operation = reader->operation;
    size_t count = operation->parameter_count;

    for (size_t i = 0; i < count; i++) {
        struct parameter *parameter = &operation->parameters[i];
        parameter->argument = argument_name(reader, parameter->name, i);
        if (parameter->argument == NULL)
            return reader_refuse(reader, "out of memory");
    }
    if (operation->body.kind != BODY_NONE)
        operation->body.argument = argument_name(reader, "body", count);
    return operation->body.kind == BODY_NONE || operation->body.argument != NULL ||
           reader_refuse(reader, "out of memory");
}
