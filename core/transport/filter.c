/* SPDX-License-Identifier: MIT */
/*
 * libmicrohttpd is a lax parser: it takes the first of two header fields, lets
 * a Content-Length stand beside chunks, and cuts a target at %00. What could
 * make a proxy and this server understand one request differently is refused
 * here, from the raw target and the raw list of fields. (Measured cases, and
 * those that cannot be seen from here: mcpd(8), SECURITY.)
 */
#include <strings.h>

#include "transport/exchange.h"

#define METHOD_MAX 32
#define PARAMS_MAX 64
#define PARAM_PREFIX "mcp-param-"

/* ---- the target ---- */

static const struct {
    const char *path;
    size_t size;
    const char *methods;
} targets[] = {
    [TARGET_MCP] = {"/mcp", 4, "GET, POST, DELETE"},
    [TARGET_SSE] = {"/sse", 4, "GET"}, /* the two endpoints of 2024-11-05 */
    [TARGET_MESSAGES] = {"/messages", 9, "POST"},
    [TARGET_HEALTH] = {"/health", 7, "GET, HEAD"},
    [TARGET_LIVEZ] = {"/livez", 6, "GET, HEAD"},
    [TARGET_READYZ] = {"/readyz", 7, "GET, HEAD"},
};

const char *filter_methods(enum target target)
{
    return targets[target].methods;
}

/* The sessionId of "?a=b&sessionId=...", as far as it fits; one that is ours does,
 * and needs no decoding. */
static void read_session(struct connection *connection, const char *query)
{
    static const char name[] = "sessionId=";
    size_t size = 0;

    while (*query == '?' || *query == '&') {
        query++;
        if (strncmp(query, name, sizeof name - 1) == 0) {
            query += sizeof name - 1;
            size = strcspn(query, "&#");
            break;
        }
        query += strcspn(query, "&");
    }
    if (size >= sizeof connection->target_session)
        size = 0;
    memcpy(connection->target_session, query, size);
    connection->target_session[size] = '\0';
}

void filter_target(struct connection *connection, const char *target)
{
    connection->target_status = 0;
    connection->target_error = NULL;
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        const char *rest = target + targets[i].size;
        if (strncmp(target, targets[i].path, targets[i].size) != 0 ||
            (*rest != '\0' && *rest != '?'))
            continue;
        connection->target = (enum target)i;
        if (connection->target == TARGET_MESSAGES)
            read_session(connection, rest);
        return;
    }
    connection->target = TARGET_MCP;
    connection->target_status = 400;
    if (target[0] != '/') {
        connection->target_error = "the request target must be a path";
    } else if (strcasestr(target, "%00") != NULL || strcasestr(target, "%2e") != NULL ||
               strstr(target, "/./") != NULL || strstr(target, "/../") != NULL) {
        connection->target_error = "the request target must not have dot segments or %00";
    } else {
        connection->target_status = 404;
        connection->target_error = "Not found: the endpoint is /mcp, and /sse for 2024-11-05";
    }
}

/* ---- the fields ---- */

/* Fields that mean something here. Two of a kind are refused. */
enum field {
    FIELD_OTHER,
    FIELD_HOST,
    FIELD_ORIGIN,
    FIELD_ACCEPT,
    FIELD_CONTENT_TYPE,
    FIELD_CONTENT_ENCODING,
    FIELD_CONTENT_LENGTH,
    FIELD_TRANSFER_ENCODING,
    FIELD_AUTHORIZATION,
    FIELD_PROTOCOL_VERSION,
    FIELD_METHOD,
    FIELD_NAME,
    FIELD_SESSION_ID,
    FIELD_LAST_EVENT_ID,
    FIELD_COUNT
};

static const struct {
    const char *name;
    size_t size;
} fields[FIELD_COUNT] = {
    [FIELD_HOST] = {"host", 4},
    [FIELD_ORIGIN] = {"origin", 6},
    [FIELD_ACCEPT] = {"accept", 6},
    [FIELD_CONTENT_TYPE] = {"content-type", 12},
    [FIELD_CONTENT_ENCODING] = {"content-encoding", 16},
    [FIELD_CONTENT_LENGTH] = {"content-length", 14},
    [FIELD_TRANSFER_ENCODING] = {"transfer-encoding", 17},
    [FIELD_AUTHORIZATION] = {"authorization", 13},
    [FIELD_PROTOCOL_VERSION] = {"mcp-protocol-version", 20},
    [FIELD_METHOD] = {"mcp-method", 10},
    [FIELD_NAME] = {"mcp-name", 8},
    [FIELD_SESSION_ID] = {"mcp-session-id", 14},
    [FIELD_LAST_EVENT_ID] = {"last-event-id", 13},
};

struct walk {
    struct exchange *ex;
    struct bytes values[FIELD_COUNT]; /* .data is NULL: absent */
    const char *error;
};

static enum field field_of(struct bytes name)
{
    for (int i = FIELD_OTHER + 1; i < FIELD_COUNT; i++)
        if (fields[i].size == name.size && strncasecmp(fields[i].name, name.data, name.size) == 0)
            return (enum field)i;
    return FIELD_OTHER;
}

/* RFC 9110, 5.6.2: token. */
static bool is_token(struct bytes name)
{
    static const char others[] = "!#$%&'*+-.^_`|~";

    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && (c == '\0' || strchr(others, c) == NULL))
            return false;
    }
    return name.size > 0;
}

static bool has_control(struct bytes value)
{
    for (size_t i = 0; i < value.size; i++)
        if ((unsigned char)value.data[i] < 0x20 ? value.data[i] != '\t' : value.data[i] == 0x7f)
            return true;
    return false;
}

static bool is_ascii(struct bytes value)
{
    for (size_t i = 0; i < value.size; i++)
        if ((unsigned char)value.data[i] > 0x7f)
            return false;
    return true;
}

static bool add_param(struct walk *walk, struct bytes name, struct bytes value)
{
    struct message *message = &walk->ex->message;
    const size_t prefix = sizeof PARAM_PREFIX - 1;
    struct bytes short_name = {name.data + prefix, name.size - prefix};

    if (walk->ex->params == NULL)
        walk->ex->params = arena_alloc(&walk->ex->arena, PARAMS_MAX * sizeof *walk->ex->params);
    if (walk->ex->params == NULL || message->param_count == PARAMS_MAX) {
        walk->error = "too many Mcp-Param-* fields";
        return false;
    }
    for (size_t i = 0; i < message->param_count; i++)
        if (bytes_equal_nocase(walk->ex->params[i].name, short_name)) {
            walk->error = "an Mcp-Param-* field stands twice";
            return false;
        }
    walk->ex->params[message->param_count++] = (struct message_param){short_name, value};
    message->params = walk->ex->params;
    return true;
}

static enum MHD_Result see_field(void *cls, enum MHD_ValueKind kind, const char *key,
                                 size_t key_size, const char *text, size_t text_size)
{
    struct walk *walk = cls;
    struct bytes name = {key, key_size};
    struct bytes value = bytes_trim((struct bytes){text != NULL ? text : "", text_size});

    (void)kind;
    if (!is_token(name)) {
        walk->error = "the name of a header field is not a token";
        return MHD_NO;
    }
    if (has_control(value)) {
        walk->error = "a header field has a control character";
        return MHD_NO;
    }
    if (!is_ascii(value)) {
        if (name.size <= 4 || strncasecmp(name.data, "mcp-", 4) != 0) {
            walk->error = "a header field has a character that is not ASCII";
            return MHD_NO;
        }
        walk->ex->message.header_error = "an Mcp-* field has a character that is not ASCII; the "
                                         "Base64 form can carry it";
    }
    if (name.size > sizeof PARAM_PREFIX - 1 &&
        strncasecmp(name.data, PARAM_PREFIX, sizeof PARAM_PREFIX - 1) == 0)
        return add_param(walk, name, value) ? MHD_YES : MHD_NO;
    enum field field = field_of(name);
    if (field == FIELD_OTHER)
        return MHD_YES;
    if (walk->values[field].data != NULL) {
        walk->error = "a header field that may stand once stands twice";
        return MHD_NO;
    }
    walk->values[field] = value;
    return MHD_YES;
}

/* ---- content negotiation ---- */

/* Whether a media range of Accept (RFC 9110, 12.5.1) covers type/subtype. A
 * range with q=0 excludes. */
static bool accepts(struct bytes accept, struct bytes type, struct bytes any_subtype)
{
    while (accept.size > 0) {
        const char *comma = memchr(accept.data, ',', accept.size);
        size_t size = comma != NULL ? (size_t)(comma - accept.data) : accept.size;
        struct bytes item = {accept.data, size};
        const char *semicolon = memchr(item.data, ';', item.size);
        struct bytes range = bytes_trim(
            (struct bytes){item.data, semicolon ? (size_t)(semicolon - item.data) : item.size});
        bool excluded = memmem(item.data, item.size, "q=0", 3) != NULL &&
                        memmem(item.data, item.size, "q=0.", 4) == NULL;
        if (!excluded &&
            (bytes_equal_nocase(range, type) || bytes_equal_nocase(range, any_subtype) ||
             bytes_equal(range, BYTES("*/*"))))
            return true;
        accept.data += size + (comma != NULL);
        accept.size -= size + (comma != NULL);
    }
    return false;
}

static bool is_json(struct bytes content_type)
{
    const char *semicolon = memchr(content_type.data, ';', content_type.size);
    struct bytes type = {content_type.data, semicolon != NULL
                                                ? (size_t)(semicolon - content_type.data)
                                                : content_type.size};

    return bytes_equal_nocase(bytes_trim(type), BYTES("application/json"));
}

static int negotiate(struct message *message, const struct walk *walk, const char **why)
{
    struct bytes accept = walk->values[FIELD_ACCEPT];
    struct bytes type = walk->values[FIELD_CONTENT_TYPE];

    message->takes_json =
        accept.data == NULL || accepts(accept, BYTES("application/json"), BYTES("application/*"));
    message->takes_stream =
        accept.data == NULL || accepts(accept, BYTES("text/event-stream"), BYTES("text/*"));
    if (message->verb != MESSAGE_POST && message->verb != MESSAGE_SSE_POST)
        return 0;
    if (type.data == NULL || !is_json(type)) {
        *why = "Content-Type must be application/json";
        return 415;
    }
    if (walk->values[FIELD_CONTENT_ENCODING].data != NULL &&
        !bytes_equal_nocase(walk->values[FIELD_CONTENT_ENCODING], BYTES("identity"))) {
        *why = "Content-Encoding is not understood: send the body as it is";
        return 415;
    }
    if (message->verb == MESSAGE_POST && !message->takes_json && !message->takes_stream) {
        *why = "Accept must allow application/json or text/event-stream";
        return 406;
    }
    return 0;
}

/* ---- all together ---- */

static int check_method(struct message *message, enum target target, const char *method)
{
    static const struct {
        enum target target;
        const char *method;
        enum message_verb verb;
    } verbs[] = {{TARGET_MCP, "POST", MESSAGE_POST},
                 {TARGET_MCP, "GET", MESSAGE_GET},
                 {TARGET_MCP, "DELETE", MESSAGE_DELETE},
                 {TARGET_SSE, "GET", MESSAGE_SSE_GET},
                 {TARGET_MESSAGES, "POST", MESSAGE_SSE_POST}};

    if (target >= TARGET_HEALTH) {
        message->verb = MESSAGE_GET;
        return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 ? 0 : 405;
    }
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (verbs[i].target == target && strcmp(verbs[i].method, method) == 0) {
            message->verb = verbs[i].verb;
            return 0;
        }
    return 405;
}

/* Whether the framing and the line of the request can be trusted. */
static const char *check_framing(const struct walk *walk, const char *method, const char *version)
{
    if (walk->error != NULL)
        return walk->error;
    if (strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0)
        return "the version must be HTTP/1.1 or HTTP/1.0";
    if (strlen(method) > METHOD_MAX)
        return "the method is too long";
    if (walk->values[FIELD_CONTENT_LENGTH].data != NULL &&
        walk->values[FIELD_TRANSFER_ENCODING].data != NULL)
        return "Content-Length and Transfer-Encoding must not stand together";
    if (walk->values[FIELD_TRANSFER_ENCODING].data != NULL &&
        !bytes_equal_nocase(walk->values[FIELD_TRANSFER_ENCODING], BYTES("chunked")))
        return "Transfer-Encoding must be chunked";
    if (walk->values[FIELD_HOST].data == NULL)
        return "Host is missing";
    return NULL;
}

static uint64_t read_length(struct bytes digits)
{
    uint64_t length = 0;

    for (size_t i = 0; i < digits.size && length < UINT64_MAX / 16; i++)
        length = length * 10 + (uint64_t)(digits.data[i] - '0');
    return length;
}

int filter_request(struct exchange *ex, struct MHD_Connection *mhd, const char *method,
                   const char *version, const char **why)
{
    const struct config *config = ex->http->config;
    struct message *message = &ex->message;
    struct connection *connection = ex->connection;
    struct walk walk = {.ex = ex};

    MHD_get_connection_values_n(mhd, MHD_HEADER_KIND, see_field, &walk);
    *why = check_framing(&walk, method, version);
    if (*why == NULL && connection->target_status == 400)
        *why = connection->target_error;
    if (*why != NULL) {
        ex->close = true;
        return 400;
    }
    ex->plain = strcmp(version, "HTTP/1.0") == 0;
    ex->content_length = read_length(walk.values[FIELD_CONTENT_LENGTH]);
    *why = "Forbidden: this Host is not one of this server's names (http.allowed_hosts)";
    if (!host_is_allowed(config, walk.values[FIELD_HOST]))
        return 403;
    *why = "Forbidden: this Origin is not allowed (http.allowed_origins)";
    if (walk.values[FIELD_ORIGIN].data != NULL &&
        !origin_is_allowed(config, walk.values[FIELD_ORIGIN]))
        return 403;
    *why = connection->target_error;
    if (connection->target_status != 0)
        return connection->target_status;
    *why = "Method not allowed";
    if (check_method(message, connection->target, method) != 0)
        return 405;
    message->protocol_version = walk.values[FIELD_PROTOCOL_VERSION];
    message->method = walk.values[FIELD_METHOD];
    message->name = walk.values[FIELD_NAME];
    message->session_id = connection->target == TARGET_MESSAGES
                              ? bytes_of(connection->target_session)
                              : walk.values[FIELD_SESSION_ID];
    message->last_event_id = walk.values[FIELD_LAST_EVENT_ID];
    *why = "Content too large (http.max_body_bytes)";
    if (ex->content_length > config->http.max_body_bytes)
        return 413;
    return negotiate(message, &walk, why);
}
