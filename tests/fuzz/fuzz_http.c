/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes what mcpd makes of a request's line and header fields, past libmicrohttpd: the
 * first line of the input is "METHOD TARGET VERSION", each other one a field, "name:value".
 * Any request may be refused, with a status that HTTP has for that and a reason; of one
 * that passes, everything that the rest of mcpd relies on is looked at here by other means.
 */
#include <strings.h>

#include "base/crypto.h"
#include "mcp/headers.h"
#include "must.h"
#include "transport/exchange.h"

#define FIELDS_MAX 128

struct field {
    struct bytes name, value;
};

static struct field fields[FIELDS_MAX];
static size_t field_count;

/* In the place of libmicrohttpd's. */
int MHD_get_connection_values_n(struct MHD_Connection *connection, enum MHD_ValueKind kind,
                                MHD_KeyValueIteratorN iterator, void *context)
{
    int seen = 0;

    must(connection == NULL && kind == MHD_HEADER_KIND);
    for (size_t i = 0; i < field_count; i++, seen++)
        if (iterator(context, kind, fields[i].name.data, fields[i].name.size, fields[i].value.data,
                     fields[i].value.size) != MHD_YES)
            break;
    return seen;
}

/* ---- the request ---- */

static struct bytes take_line(struct bytes *rest, char end)
{
    const char *stop = memchr(rest->data, end, rest->size);
    struct bytes line = {rest->data, stop != NULL ? (size_t)(stop - rest->data) : rest->size};

    rest->data += line.size + (stop != NULL);
    rest->size -= line.size + (stop != NULL);
    return line;
}

static void read_fields(struct bytes rest)
{
    field_count = 0;
    while (rest.size > 0 && field_count < FIELDS_MAX) {
        struct bytes line = take_line(&rest, '\n');
        struct field *field = &fields[field_count++];
        field->name = take_line(&line, ':');
        field->value = line;
    }
}

static char *text_of(struct bytes bytes)
{
    char *text = strndup(bytes.data, bytes.size);
    must(text != NULL);
    return text;
}

/* ---- what a request that passed must be ---- */

/* How often a field stands there; *value is the last one's. */
static unsigned count_field(const char *name, struct bytes *value)
{
    unsigned count = 0;

    for (size_t i = 0; i < field_count; i++)
        if (fields[i].name.size == strlen(name) &&
            strncasecmp(fields[i].name.data, name, fields[i].name.size) == 0) {
            *value = bytes_trim(fields[i].value);
            count++;
        }
    return count;
}

static void check_host(struct bytes host)
{
    static const char *const names[] = {"127.0.0.1", "localhost", "[::1]", "a.example"};
    bool known = false;

    for (size_t i = 0; i < 4; i++) {
        size_t size = strlen(names[i]);
        known |= host.size >= size && strncasecmp(host.data, names[i], size) == 0 &&
                 (host.size == size || host.data[size] == ':');
    }
    must(known);
}

static void check_once(const struct message *message)
{
    static const char *const once[] = {"host",
                                       "origin",
                                       "accept",
                                       "content-type",
                                       "content-encoding",
                                       "content-length",
                                       "transfer-encoding",
                                       "authorization",
                                       "mcp-protocol-version",
                                       "mcp-method",
                                       "mcp-name",
                                       "mcp-session-id",
                                       "last-event-id"};
    struct bytes value = {NULL, 0};

    for (size_t i = 0; i < sizeof once / sizeof once[0]; i++)
        must(count_field(once[i], &value) <= 1);
    must(count_field("host", &value) == 1);
    check_host(value);
    if (count_field("transfer-encoding", &value) == 1)
        must(value.size == 7 && strncasecmp(value.data, "chunked", 7) == 0 &&
             count_field("content-length", &value) == 0);
    if (message->verb == MESSAGE_POST || message->verb == MESSAGE_SSE_POST) {
        must(count_field("content-type", &value) == 1);
        must(value.size >= 16 && strncasecmp(value.data, "application/json", 16) == 0);
    }
    if (count_field("last-event-id", &value) == 1)
        must(bytes_equal(message->last_event_id, value));
}

/* No name twice, no character that could end a field. */
static void check_params(const struct message *message)
{
    struct arena arena;

    arena_init(&arena, SIZE_MAX);
    for (size_t i = 0; i < message->param_count; i++) {
        struct bytes name = message->params[i].name, value = message->params[i].value;
        must(name.size > 0 && memchr(value.data, '\0', value.size) == NULL);
        must(memchr(value.data, '\r', value.size) == NULL);
        for (size_t other = 0; other < i; other++)
            must(!bytes_equal_nocase(message->params[other].name, name));

        char *coded = malloc(value.size * 2 + 32);
        memcpy(coded, "=?base64?", 9);
        base64_encode(value.data, value.size, coded + 9);
        memcpy(coded + strlen(coded), "?=", 3);
        must(header_matches(bytes_of(coded), value, &arena));
        free(coded);
        /* As it stands, or what it is the Base64 form of. */
        must(header_matches(value, value, &arena) || memcmp(value.data, "=?base64?", 9) == 0);
    }
    arena_free(&arena);
}

static void check_passed(const struct exchange *ex, const char *method, const char *target)
{
    const struct message *message = &ex->message;
    struct bytes value = {NULL, 0};

    must(ex->content_length <= ex->http->config->http.max_body_bytes);
    if (count_field("content-length", &value) == 1) {
        char *digits = text_of(value); /* libmicrohttpd has refused any other form */
        if (value.size < 16 && strspn(digits, "0123456789") == value.size)
            must(ex->content_length == strtoull(digits, NULL, 10));
        free(digits);
    }
    switch (message->verb) {
    case MESSAGE_POST:
        must(strcmp(method, "POST") == 0 && strncmp(target, "/mcp", 4) == 0);
        must(message->takes_json || message->takes_stream);
        break;
    case MESSAGE_SSE_POST:
        must(strcmp(method, "POST") == 0 && strncmp(target, "/messages", 9) == 0);
        must(message->session_id.size < sizeof(ex->connection->target_session));
        break;
    case MESSAGE_DELETE:
        must(strcmp(method, "DELETE") == 0);
        break;
    default:
        must(strcmp(method, "GET") == 0);
    }
    check_once(message);
    check_params(message);
}

static void check_refused(const struct exchange *ex, int status, const char *why)
{
    static const int legal[] = {400, 403, 404, 405, 406, 413, 415};
    bool known = false;

    for (size_t i = 0; i < sizeof legal / sizeof legal[0]; i++)
        known |= status == legal[i];
    must(known && why != NULL && why[0] != '\0');
    must(ex->close == (status == 400));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *hosts[] = {"a.example"}, *origins[] = {"https://b.example"};
    static struct config *config;
    struct bytes rest = {(const char *)data, size};

    if (config == NULL) {
        must(crypto_init());
        config = config_default();
        config->http.allowed_hosts = hosts;
        config->http.allowed_origins = origins;
        config->http.allowed_host_count = config->http.allowed_origin_count = 1;
    }
    if (size == 0)
        return 0;
    struct http http = {.config = config};
    struct connection connection = {.fd = -1};
    struct exchange ex = {.http = &http, .connection = &connection};
    const char *why = NULL;
    struct bytes line = take_line(&rest, '\n');
    char *method = text_of(take_line(&line, ' ')), *target = text_of(take_line(&line, ' '));
    char *version = text_of(line);
    arena_init(&ex.arena, SIZE_MAX);
    read_fields(rest);
    filter_target(&connection, target);
    must(filter_methods(connection.target) != NULL);
    int status = filter_request(&ex, NULL, method, version, &why);
    if (status == 0)
        check_passed(&ex, method, target);
    else
        check_refused(&ex, status, why);
    arena_free(&ex.arena);
    free(method);
    free(target);
    free(version);
    return 0;
}
