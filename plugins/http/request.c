/* SPDX-License-Identifier: MIT */
/*
 * From the arguments of a call to a request. Each value stays where the operation put it:
 * in its segment of the path, in its field, in its part of the body.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "encoding.h"
#include "http.h"
#include "reading.h"

#define TARGET_MAX 65536
#define HEADERS_MAX 65536
#define BODY_MAX ((size_t)64 << 20)

static const struct document_limits limits = {.values = 4000000, .depth = 100};

/* What goes on while a request is made. */
struct maker {
    struct request *request;
    const struct operation *operation;
    struct mcp_call *call;
    const struct value *arguments;
};

static bool fail(struct maker *maker, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool fail(struct maker *maker, const char *format, ...)
{
    char sentence[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(sentence, sizeof(sentence), format, arguments);
    va_end(arguments);
    fail_call(maker->call, "%s", sentence);
    return false;
}

static const struct value *argument(const struct maker *maker, const struct parameter *parameter)
{
    const struct value *value = value_member(maker->arguments, parameter->argument);

    return value_is(value, VALUE_NULL) && parameter->place != IN_PATH ? NULL : value;
}

/* ---- the path ---- */

/* Decodes in place; returns the size. */
static size_t decode(char *data, size_t size)
{
    size_t used = 0;

    for (size_t i = 0; i < size; i++) {
        bool escaped = data[i] == '%' && i + 2 < size && hex_digit(data[i + 1]) >= 0 &&
                       hex_digit(data[i + 2]) >= 0;
        data[used++] =
            escaped ? (char)(hex_digit(data[i + 1]) * 16 + hex_digit(data[i + 2])) : data[i];
        i += escaped ? 2 : 0;
    }
    return used;
}

/* Without its parameters: "..;x" (RFC 3986, 3.3) is ".." for many a server. */
static bool is_dots(const char *segment, size_t size)
{
    const char *end = memchr(segment, ';', size);

    size = end != NULL ? (size_t)(end - segment) : size;
    return (size == 1 || size == 2) && memcmp(segment, "..", size) == 0;
}

static bool has_dots(const char *data, size_t size)
{
    for (size_t from = 0, i = 0; i <= size; i++) {
        if (i < size && data[i] != '/' && data[i] != '\\')
            continue;
        if (is_dots(data + from, i - from))
            return true;
        from = i + 1;
    }
    return false;
}

/* Whether a server that decodes once, or again, and then resolves "..", would end up in
 * another place. */
static bool climbs(const char *data, size_t size)
{
    char *copy = malloc(size + 1);
    bool found = copy == NULL;

    if (!found)
        memcpy(copy, data, size);
    for (int round = 0; round < 4 && !found; round++) {
        found = has_dots(copy, size);
        size = decode(copy, size);
    }
    free(copy);
    return found;
}

static bool has_controls(const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)data[i] < 0x20 || data[i] == 0x7f)
            return true;
    return false;
}

static bool add_path_value(struct maker *maker, const struct parameter *parameter)
{
    const struct value *value = argument(maker, parameter);
    struct text *target = &maker->request->target;
    size_t start = target->size;

    if (value == NULL || value->kind == VALUE_NULL)
        return fail(maker, "The argument \"%s\" is missing.", parameter->argument);
    if (value->kind == VALUE_STRING && has_controls(value->text, value->size))
        return fail(maker,
                    "The argument \"%s\" has a control character in it, which no path may "
                    "have.",
                    parameter->argument);
    serialise(target, parameter, value);
    if (!target->failed && target->size == start)
        return fail(maker, "The argument \"%s\" must not be empty: it is a part of the path.",
                    parameter->argument);
    if (!target->failed && climbs(target->data + start, target->size - start))
        return fail(maker,
                    "The argument \"%s\" must not be or contain a \".\" or \"..\" between "
                    "slashes: it would lead to another place.",
                    parameter->argument);
    return true;
}

static const struct parameter *path_parameter(const struct operation *operation, const char *name,
                                              size_t size)
{
    for (size_t i = 0; i < operation->parameter_count; i++) {
        const struct parameter *p = &operation->parameters[i];
        if (p->place == IN_PATH && strlen(p->name) == size && memcmp(p->name, name, size) == 0)
            return p;
    }
    return NULL;
}

static bool make_path(struct maker *maker)
{
    const char *at = maker->operation->path;
    struct text *target = &maker->request->target;

    while (*at != '\0' && *at != '#') {
        size_t plain = strcspn(at, "{#");
        for (size_t i = 0; i < plain; i++) {
            bool legal = (unsigned char)at[i] > 0x20 && (unsigned char)at[i] < 0x7f &&
                         strchr("\"<>\\^`|}", at[i]) == NULL;
            if (legal)
                text_add(target, &at[i], 1);
            else
                text_add_percent(target, &at[i], 1, "");
        }
        at += plain;
        if (*at != '{')
            break;
        at += at[1] == '+' ? 2 : 1;
        size_t size = strcspn(at, "}");
        const struct parameter *parameter = path_parameter(maker->operation, at, size);
        if (parameter == NULL)
            return fail(maker, "The path of this tool has a part that nothing fills.");
        if (!add_path_value(maker, parameter))
            return false;
        at += size + 1;
    }
    if (!target->failed && climbs(target->data, strcspn(target->data, "?")))
        return fail(maker, "The path that the arguments make would lead to another place.");
    return true;
}

/* ---- the query, headers, cookies ---- */

static bool add_query(struct maker *maker, const struct parameter *parameter,
                      const struct value *value)
{
    struct text *target = &maker->request->target;
    size_t start = target->size;

    if ((value->kind == VALUE_ARRAY || value->kind == VALUE_OBJECT) && value->count == 0 &&
        !parameter->json)
        return true;
    text_adds(target, target->size > 0 && strchr(target->data, '?') != NULL ? "&" : "?");
    size_t begun = target->size;
    serialise(target, parameter, value);
    if (target->size == begun)
        text_cut(target, start);
    return true;
}

static bool add_header(struct maker *maker, const struct parameter *parameter,
                       const struct value *value)
{
    struct text line;

    text_init(&line, HEADERS_MAX);
    serialise(&line, parameter, value);
    bool good = !line.failed && !has_controls(line.data, line.size);
    if (good) {
        struct text *headers = &maker->request->headers;
        text_adds(headers, parameter->name);
        text_adds(headers, line.size > 0 ? ": " : ";");
        text_add(headers, line.data, line.size);
        text_add(headers, "", 1);
    }
    text_free(&line);
    return good || fail(maker,
                        "The argument \"%s\" is too long for a header, or has a line break "
                        "or another control character in it.",
                        parameter->argument);
}

static bool make_parameters(struct maker *maker)
{
    struct request *request = maker->request;

    for (size_t i = 0; i < maker->operation->parameter_count; i++) {
        const struct parameter *p = &maker->operation->parameters[i];
        const struct value *value = argument(maker, p);
        if (value == NULL && p->required)
            return fail(maker, "The argument \"%s\" is missing.", p->argument);
        if (value == NULL || p->place == IN_PATH)
            continue;
        if (p->place == IN_QUERY && !add_query(maker, p, value))
            return false;
        if (p->place == IN_HEADER && !add_header(maker, p, value))
            return false;
        if (p->place == IN_COOKIE) {
            text_adds(&request->cookies, request->cookies.size > 0 ? "; " : "");
            serialise(&request->cookies, p, value);
        }
    }
    return (!request->target.failed && !request->headers.failed && !request->cookies.failed) ||
           fail(maker, "The arguments are too long for a request.");
}

/* ---- the body ---- */

static const struct part *find_part(const struct body *body, const char *name)
{
    for (size_t i = 0; i < body->part_count; i++)
        if (strcmp(body->parts[i].name, name) == 0)
            return &body->parts[i];
    return NULL;
}

static void make_form(struct maker *maker, const struct value *value)
{
    struct text *out = &maker->request->body;

    for (size_t i = 0; i < value->count; i += 2) {
        const struct value *member = value->items[i + 1];
        const struct part *part = find_part(&maker->operation->body, value->items[i]->text);
        struct parameter like = {.name = value->items[i]->text,
                                 .place = IN_QUERY,
                                 .style = part != NULL ? part->style : STYLE_FORM,
                                 .explode = part == NULL || part->explode};
        if (member->kind == VALUE_NULL ||
            ((member->kind == VALUE_ARRAY || member->kind == VALUE_OBJECT) && member->count == 0))
            continue;
        text_adds(out, out->size > 0 ? "&" : "");
        serialise(out, &like, member);
    }
}

/* As browsers do it: what would end the quotes, or the line, is percent-encoded. */
static void add_quoted(struct text *out, const char *name, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (name[i] == '"' || name[i] == '\r' || name[i] == '\n' || name[i] == '\0')
            text_addf(out, "%%%02X", (unsigned)(unsigned char)name[i]);
        else
            text_add(out, &name[i], 1);
    }
}

static bool add_bytes(struct maker *maker, const struct value *value, const char *name)
{
    struct text *out = &maker->request->body;
    char *bytes = malloc(value->size + 4);
    size_t size = 0;
    bool good = bytes != NULL && value->kind == VALUE_STRING &&
                base64_decode(value->text, value->size, bytes, &size);

    if (good)
        text_add(out, bytes, size);
    free(bytes);
    return good || fail(maker, "\"%s\" must be bytes in Base64.", name);
}

static bool add_part(struct maker *maker, const char *boundary, const struct value *name,
                     const struct value *value)
{
    const struct part *part = find_part(&maker->operation->body, name->text);
    struct text *out = &maker->request->body;
    bool bytes = part != NULL && part->bytes;
    bool json = value->kind == VALUE_OBJECT || value->kind == VALUE_ARRAY;
    const char *type = part != NULL && part->type != NULL ? part->type
                       : json                             ? "application/json"
                       : bytes                            ? "application/octet-stream"
                                                          : NULL;

    if (value->kind == VALUE_NULL)
        return true;
    text_addf(out, "--%s\r\nContent-Disposition: form-data; name=\"", boundary);
    add_quoted(out, name->text, name->size);
    text_adds(out, "\"");
    if (bytes) {
        text_adds(out, "; filename=\"");
        add_quoted(out, name->text, name->size);
        text_adds(out, "\"");
    }
    if (type != NULL)
        text_addf(out, "\r\nContent-Type: %s", type);
    text_adds(out, "\r\n\r\n");
    if (bytes && !add_bytes(maker, value, name->text))
        return false;
    if (!bytes)
        plain_text(out, value);
    text_adds(out, "\r\n");
    return true;
}

static bool make_multipart(struct maker *maker, const struct value *value)
{
    unsigned char random[16];
    char boundary[48] = "mcpd-";

    if (getrandom(random, sizeof(random), 0) != sizeof(random))
        return fail(maker, "There are no random numbers here.");
    for (size_t i = 0; i < sizeof(random); i++)
        snprintf(boundary + 5 + 2 * i, 3, "%02x", random[i]);
    for (size_t i = 0; i < value->count; i += 2) {
        const struct value *name = value->items[i], *member = value->items[i + 1];
        /* Of an array each element is a part. */
        bool many = member->kind == VALUE_ARRAY;
        for (size_t k = 0; k < (many ? member->count : 1); k++)
            if (!add_part(maker, boundary, name, many ? member->items[k] : member))
                return false;
    }
    text_addf(&maker->request->body, "--%s--\r\n", boundary);
    snprintf(maker->request->content_type, sizeof(maker->request->content_type),
             "%.140s; boundary=%s", maker->operation->body.type, boundary);
    return true;
}

static bool make_body(struct maker *maker)
{
    const struct body *body = &maker->operation->body;
    struct request *request = maker->request;
    const struct value *value =
        body->kind != BODY_NONE ? value_member(maker->arguments, body->argument) : NULL;

    if (value == NULL)
        return body->kind == BODY_NONE || !body->required ||
               fail(maker, "The argument \"%s\" is missing.", body->argument);
    snprintf(request->content_type, sizeof(request->content_type), "%s", body->type);
    if ((body->kind == BODY_FORM || body->kind == BODY_MULTIPART) && value->kind != VALUE_OBJECT)
        return fail(maker, "The argument \"%s\" must be an object.", body->argument);
    if (body->kind == BODY_JSON)
        value_write(&request->body, value, &limits);
    else if (body->kind == BODY_FORM)
        make_form(maker, value);
    else if (body->kind == BODY_TEXT)
        plain_text(&request->body, value);
    else if (body->kind == BODY_BYTES && !add_bytes(maker, value, body->argument))
        return false;
    else if (body->kind == BODY_MULTIPART && !make_multipart(maker, value))
        return false;
    return !request->body.failed || fail(maker, "The body is too large, or nested too deeply.");
}

/* ---- the request ---- */

bool request_make(struct request *request, const struct operation *operation, struct mcp_call *call)
{
    struct document arguments;
    struct maker maker = {.request = request, .operation = operation, .call = call};

    *request = (struct request){.method = operation->method};
    text_init(&request->target, TARGET_MAX);
    text_init(&request->headers, HEADERS_MAX);
    text_init(&request->cookies, HEADERS_MAX);
    text_init(&request->body, BODY_MAX);
    bool good = document_read_json(&arguments, call->arguments.data, call->arguments.size, &limits);
    maker.arguments = arguments.root;
    if (!good)
        fail(&maker, "The arguments cannot be read: %s.", arguments.fault);
    good = good && make_path(&maker) && make_parameters(&maker) && make_body(&maker);
    document_free(&arguments);
    return good;
}

void request_free(struct request *request)
{
    text_free(&request->target);
    text_free(&request->headers);
    text_free(&request->cookies);
    text_free(&request->body);
}
