/* SPDX-License-Identifier: MIT */
/* The plugin itself: its configuration's schema, its life, and its tools. */
#include "http.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <curl/curl.h>

#include "bundled.h"
#include "health.h"
#include "reading.h"

#define DOCUMENT_MAX ((size_t)32 << 20)
#define COMPLAINTS_MAX 3000 /* characters in a line of the log */

static const struct document_limits limits = {.values = 3000000, .depth = 100};

#define STRING(name, more) "\"" name "\":{\"type\":\"string\",\"minLength\":1" more "}"
#define STRINGS(name, more)                                                                        \
    "\"" name "\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"minLength\":1" more "}}"
#define NUMBER(name, least, most, usual)                                                           \
    "\"" name "\":{\"type\":\"integer\",\"minimum\":" least ",\"maximum\":" most                   \
    ",\"default\":" usual "}"
#define CHOICE(name)                                                                               \
    "\"" name "\":{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{" STRINGS(   \
        "tags", "") "," STRINGS("paths", "") "," STRINGS("operations", "") "}}"
/* It cannot lay out text in pieces. */
/* clang-format off */
#define TOOL                                                                                       \
    "{\"type\":\"object\",\"required\":[\"name\",\"path\"],\"additionalProperties\":false,"        \
    "\"properties\":{\"name\":{\"type\":\"string\",\"pattern\":\"^[A-Za-z0-9_.-]{1,64}$\"},"       \
    STRING("title", "") "," STRING("description", "") ","                                          \
    "\"method\":{\"enum\":[\"GET\",\"HEAD\",\"OPTIONS\",\"POST\",\"PUT\",\"PATCH\",\"DELETE\"],"   \
    "\"default\":\"GET\"},\"path\":{\"type\":\"string\",\"pattern\":\"^/\"},"                      \
    "\"parameters\":{\"type\":\"array\",\"maxItems\":200,\"items\":{\"type\":\"object\","          \
    "\"required\":[\"name\"],\"properties\":{" STRING("name", "") ","                              \
    "\"in\":{\"enum\":[\"path\",\"query\",\"header\",\"cookie\"]},"                                \
    "\"required\":{\"type\":\"boolean\"}}}},"                                                      \
    "\"body\":{\"type\":\"object\",\"description\":\"A JSON Schema\"},"                            \
    STRING("content_type", "") ","                                                                 \
    "\"result\":{\"type\":\"object\",\"description\":\"A JSON Schema\"}}}"
#define SECRET "{\"$ref\":\"#/$defs/secret\"}"
#define AUTH                                                                                       \
    "{\"type\":\"object\",\"required\":[\"type\"],\"additionalProperties\":false,\"properties\":{" \
    "\"type\":{\"enum\":[\"bearer\",\"basic\",\"api_key\",\"oauth2\"]},"                           \
    "\"token\":" SECRET ","                                                                        \
    STRING("username", "") ",\"password\":" SECRET ","                                             \
    STRING("name", "") ",\"in\":{\"enum\":[\"header\",\"query\",\"cookie\"],\"default\":\"header\"}," \
    "\"key\":" SECRET ","                                                                          \
    STRING("token_url", "") "," STRING("client_id", "") ","                                        \
    "\"client_secret\":" SECRET ","                                                                \
    STRING("scope", "") "," STRING("audience", "") ","                                             \
    "\"client_auth\":{\"enum\":[\"basic\",\"body\"],\"default\":\"basic\"}}}"
static const char config_schema[] =
    "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
    STRING("openapi", ",\"pattern\":\"^/\",\"description\":\"The file of an OpenAPI 3.0 or 3.1 "
                      "document, JSON or YAML\"") ","
    STRING("base_url", ",\"pattern\":\"^[Hh][Tt][Tt][Pp][Ss]?://\",\"description\":\"Where the "
                       "paths are, instead of the document's servers\"") ","
    "\"tools\":{\"type\":\"array\",\"maxItems\":1000,\"items\":" TOOL "},"
    CHOICE("include") "," CHOICE("exclude") ","
    "\"methods\":{\"type\":\"array\",\"minItems\":1,\"items\":{\"enum\":[\"GET\",\"HEAD\","
    "\"OPTIONS\",\"POST\",\"PUT\",\"PATCH\",\"DELETE\",\"TRACE\"]}},"
    "\"output_schemas\":{\"type\":\"boolean\",\"default\":true},"
    "\"headers\":{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"}},"
    "\"auth\":{\"anyOf\":[{\"$ref\":\"#/$defs/auth\"},{\"type\":\"array\",\"maxItems\":4,"
    "\"items\":{\"$ref\":\"#/$defs/auth\"}}]},"
    STRINGS("allowed_hosts", "") "," STRINGS("allowed_networks", "") ","
    STRING("ca_file", ",\"pattern\":\"^/\"") "," STRING("proxy", "") ","
    NUMBER("timeout_ms", "1", "3600000", "30000") ","
    NUMBER("connect_timeout_ms", "1", "3600000", "5000") ","
    NUMBER("retries", "0", "10", "2") ","
    NUMBER("max_redirects", "0", "20", "5") ","
    NUMBER("max_response_bytes", "1024", "33554432", "1048576") ","
    NUMBER("max_connections", "1", "256", "16") "},"
    "\"$defs\":{\"secret\":" SECRET_SCHEMA("A secret") ",\"auth\":" AUTH "}}";

#define AUTH_NAMES(at, from)                                                                       \
    "{\"config\":\"" at "/token/" from "\"},{\"config\":\"" at "/password/" from "\"},"            \
    "{\"config\":\"" at "/key/" from "\"},{\"config\":\"" at "/client_secret/" from "\"}"
#define AUTHS_NAME(from)                                                                           \
    AUTH_NAMES("/auth", from) "," AUTH_NAMES("/auth/0", from) "," AUTH_NAMES("/auth/1", from) ","  \
    AUTH_NAMES("/auth/2", from) "," AUTH_NAMES("/auth/3", from)
#define NEEDS                                                                                      \
    "\"needs\":{\"read\":[{\"config\":\"/openapi\"},{\"config\":\"/ca_file\"},"                    \
    AUTHS_NAME("file") "],\"environment\":[" AUTHS_NAME("environment") "],\"network\":true}"
/* clang-format on */

struct http {
    struct settings settings;
    struct api api;
    struct engine *engine;
    bool has_curl;
    struct text complaints; /* why operations are no tools */
    size_t complained;
};

/* ---- the document ---- */

static void log_complaints(struct http *http)
{
    if (http->complaints.size > 0)
        http->settings.host->log(http->settings.host, MCP_LOG_WARNING,
                                 text_bytes(&http->complaints));
    text_cut(&http->complaints, 0);
}

static void note_left_out(void *context, const char *method, const char *path, const char *why)
{
    struct http *http = context;
    struct text line;

    text_init(&line, 2048);
    text_addf(&line, "%s %.300s (%.300s)", method, path, why);
    if (http->complaints.size + line.size > COMPLAINTS_MAX)
        log_complaints(http);
    text_adds(&http->complaints, http->complaints.size > 0 ? "; " : "no tool of ");
    text_add_utf8(&http->complaints, line.data, line.size);
    http->complained++;
    text_free(&line);
}

/* NULL: the host has been told. */
static char *read_file(const struct settings *settings, size_t *size)
{
    struct stat st;
    char *data = NULL;
    int fd = open(settings->openapi, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    *size = 0;
    if (fd < 0 || fstat(fd, &st) != 0) {
        config_fail(settings->host, "/openapi", "cannot read %s: %s", settings->openapi,
                    strerror(errno));
    } else if (!S_ISREG(st.st_mode) || st.st_size > (off_t)DOCUMENT_MAX) {
        config_fail(settings->host, "/openapi", "%s is no regular file, or larger than %zu bytes",
                    settings->openapi, DOCUMENT_MAX);
    } else if ((data = malloc((size_t)st.st_size + 1)) != NULL) {
        ssize_t got = 1;
        while (got > 0 && *size < (size_t)st.st_size) {
            got = read(fd, data + *size, (size_t)st.st_size - *size);
            *size += got > 0 ? (size_t)got : 0;
        }
    }
    if (fd >= 0)
        close(fd);
    return data;
}

static bool read_document(struct http *http, const struct api_options *options)
{
    const struct settings *settings = &http->settings;
    struct document document;
    struct text fault;
    size_t size, at = 0;
    char *data = read_file(settings, &size);

    if (data == NULL)
        return false;
    while (at < size && strchr(" \t\r\n", data[at]) != NULL && data[at] != '\0')
        at++;
    bool good = at < size && data[at] == '{' ? document_read_json(&document, data, size, &limits)
                                             : document_read_yaml(&document, data, size, &limits);
    free(data);
    text_init(&fault, 1024);
    if (!good)
        config_fail(settings->host, "/openapi", "%s, line %u: %s", settings->openapi, document.line,
                    document.fault);
    else if (!(good = openapi_read(&http->api, document.root, options, &fault)))
        config_fail(settings->host, "/openapi", "%s: %s", settings->openapi, fault.data);
    text_free(&fault);
    document_free(&document);
    return good;
}

/* The parameters that authentication fills in. */
static void find_hidden(const struct settings *settings, const char *hidden[AUTH_MAX + 1])
{
    size_t count = 0;

    for (size_t i = 0; i < settings->auth_count; i++)
        if (settings->auth[i].kind == AUTH_API_KEY)
            hidden[count++] = settings->auth[i].name;
    hidden[count] = NULL;
}

static bool read_table(struct http *http, const struct api_options *options)
{
    const struct value *table = value_member(http->settings.config.root, "tools");
    struct text fault;
    size_t index;
    char pointer[32];

    text_init(&fault, 4096);
    bool good = table_read(&http->api, table, options, &fault, &index);
    if (!good) {
        snprintf(pointer, sizeof(pointer), "/tools/%zu", index);
        config_fail(http->settings.host, pointer, "%s",
                    fault.data != NULL ? fault.data : "out of memory");
    }
    text_free(&fault);
    return good;
}

static bool read_api(struct http *http)
{
    const struct settings *settings = &http->settings;
    const char *hidden[AUTH_MAX + 1];
    struct api_options options = {.include = value_member(settings->config.root, "include"),
                                  .exclude = value_member(settings->config.root, "exclude"),
                                  .methods = value_member(settings->config.root, "methods"),
                                  .hidden = hidden,
                                  .has_base = settings->base_url != NULL,
                                  .output_schemas = settings->output_schemas,
                                  .left_out = note_left_out,
                                  .context = http};

    find_hidden(settings, hidden);
    if ((settings->openapi != NULL && !read_document(http, &options)) ||
        !read_table(http, &options))
        return false;
    for (size_t i = 0; i < http->api.count; i++)
        if (http->api.operations[i]->server != NULL &&
            !settings_allow_url(&http->settings, http->api.operations[i]->server))
            note_left_out(http, "all of", http->api.operations[i]->server, "it is no legal URL");
    log_complaints(http);
    text_addf(&http->complaints, "%zu tools; %zu operations are none", http->api.count,
              http->complained);
    settings->host->log(settings->host, MCP_LOG_INFO, text_bytes(&http->complaints));
    text_cut(&http->complaints, 0);
    return true;
}

/* ---- life ---- */

static void destroy(void *self)
{
    struct http *http = self;

    engine_free(http->engine);
    api_free(&http->api);
    settings_free(&http->settings);
    text_free(&http->complaints);
    if (http->has_curl)
        curl_global_cleanup();
    free(http);
}

static int32_t create(const struct mcp_host *host, struct mcp_bytes config, void **instance)
{
    struct http *http = calloc(1, sizeof(*http));

    if (http == NULL)
        return MCP_ENOMEM;
    text_init(&http->complaints, 65536);
    http->has_curl = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
    if (!http->has_curl || !settings_read(&http->settings, host, config)) {
        destroy(http);
        return MCP_EFAIL;
    }
    *instance = http;
    return MCP_OK;
}

static int32_t start(void *self)
{
    struct http *http = self;

    if (!read_api(http))
        return MCP_EFAIL;
    http->engine = engine_new(&http->settings);
    if (http->engine != NULL && engine_start(http->engine))
        return MCP_OK;
    config_fail(http->settings.host, "", "mcpd is out of memory, threads or descriptors");
    return MCP_EFAIL;
}

static void stop(void *self)
{
    struct http *http = self;

    engine_stop(http->engine);
}

/* ---- tools ---- */

static int32_t get_tools(void *self, const struct mcp_tool_sink *sink)
{
    struct http *http = self;

    for (size_t i = 0; i < http->api.count; i++) {
        const struct mcp_tool tool = {
            .struct_size = sizeof(tool),
            .flags = MCP_TOOL_THREAD_SAFE,
            .definition = http->api.operations[i]->definition,
            .tag = i,
            /* Our own limit comes first, for its sentence says more. */
            .timeout_ms = (uint32_t)http->settings.timeout_ms + 1000,
        };
        int32_t result = sink->add(sink, &tool);
        if (result == MCP_ENOMEM)
            return result;
    }
    return MCP_OK;
}

static int32_t call_tool(void *self, struct mcp_call *call)
{
    struct http *http = self;
    struct request request;

    if (call->tag >= http->api.count)
        return MCP_ENOENT;
    const struct operation *operation = http->api.operations[call->tag];
    if (request_make(&request, operation, call))
        engine_submit(http->engine, operation, &request, call);
    else
        request_free(&request);
    return MCP_OK;
}

static int32_t check(void *self, struct mcp_call *call)
{
    struct http *http = self;

    return check_reach(http->engine, &http->api, call);
}

HEALTH_ALONE(check);

BUNDLED_PLUGIN_WITH("http", "HTTP APIs", HEALTH_MANIFEST "," NEEDS, .get_extension = get_extension);
