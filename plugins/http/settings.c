/* SPDX-License-Identifier: MIT */
/* The configuration of a provider. Its form was checked by the config schema. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <curl/curl.h>

#include "http.h"
#include "reading.h"

static const struct document_limits limits = {.values = 200000, .depth = 64};

/* A copy of a string without a NUL in it; absent: NULL. */
static bool read_string(const struct mcp_host *host, const char *pointer, char **out)
{
    struct mcp_bytes value = {NULL, 0};

    if (!config_string(host, pointer, &value))
        return false;
    if (value.size == 0)
        return true;
    if (memchr(value.data, '\0', value.size) != NULL)
        return config_fail(host, pointer, "there is a NUL character in it");
    *out = strndup(value.data, value.size);
    return *out != NULL;
}

/* ---- hosts and networks ---- */

static void add_host(struct settings *settings, const char *name, size_t size, unsigned port)
{
    struct allowed_host *host = &settings->hosts[settings->host_count];

    if (size > 1 && name[size - 1] == '.')
        size--;
    if (settings->host_count == HOSTS_MAX || size >= sizeof(host->name))
        return;
    for (size_t i = 0; i < size; i++)
        host->name[i] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] | 0x20) : name[i];
    host->name[size] = '\0';
    host->port = port;
    settings->host_count++;
}

bool settings_allow_url(struct settings *settings, const char *url)
{
    CURLU *parts = curl_url();
    char *scheme = NULL, *host = NULL, *port = NULL;
    bool good = parts != NULL && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
                curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
                curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
                (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);

    if (good && !settings_allows(settings, host, (unsigned)strtoul(port, NULL, 10)))
        add_host(settings, host, strlen(host), (unsigned)strtoul(port, NULL, 10));
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(parts);
    return good;
}

static bool name_fits(const char *allowed, const char *host, size_t size)
{
    if (strncmp(allowed, "*.", 2) != 0)
        return strlen(allowed) == size && strncasecmp(allowed, host, size) == 0;
    size_t tail = strlen(allowed + 1);
    return size > tail && strncasecmp(allowed + 1, host + size - tail, tail) == 0;
}

bool settings_allows(const struct settings *settings, const char *host, unsigned port)
{
    size_t size = strlen(host);

    if (size > 1 && host[size - 1] == '.')
        size--;
    for (size_t i = 0; i < settings->host_count; i++) {
        const struct allowed_host *allowed = &settings->hosts[i];
        bool fits = allowed->port != 0 ? port == allowed->port : port == 80 || port == 443;
        if (fits && name_fits(allowed->name, host, size))
            return true;
    }
    return false;
}

/* "api.example.com", "api.example.com:8443", "*.example.com", "[::1]:80". */
static bool read_host(struct settings *settings, const char *text)
{
    const char *colon = strrchr(text, ':');
    unsigned long port = 0;
    char *end;

    if (colon != NULL && strchr(colon, ']') == NULL) {
        port = strtoul(colon + 1, &end, 10);
        if (colon[1] < '0' || colon[1] > '9' || *end != '\0' || port == 0 || port > 65535)
            return false;
    } else {
        colon = text + strlen(text);
    }
    if (colon == text || colon - text > 255 || strpbrk(text, "/@?# ") != NULL)
        return false;
    add_host(settings, text, (size_t)(colon - text), (unsigned)port);
    return true;
}

static bool read_lists(struct settings *settings)
{
    const struct value *hosts = value_member(settings->config.root, "allowed_hosts");
    const struct value *networks = value_member(settings->config.root, "allowed_networks");
    char pointer[64];

    for (size_t i = 0; value_is(hosts, VALUE_ARRAY) && i < hosts->count; i++) {
        snprintf(pointer, sizeof(pointer), "/allowed_hosts/%zu", i);
        if (hosts->items[i]->kind != VALUE_STRING || settings->host_count >= HOSTS_MAX - 4 ||
            !read_host(settings, hosts->items[i]->text))
            return config_fail(settings->host, pointer,
                               "expected a host, such as \"api.example.com\", "
                               "\"api.example.com:8443\" or \"*.example.com\"");
    }
    for (size_t i = 0; value_is(networks, VALUE_ARRAY) && i < networks->count; i++) {
        snprintf(pointer, sizeof(pointer), "/allowed_networks/%zu", i);
        if (networks->items[i]->kind != VALUE_STRING || settings->network_count == NETWORKS_MAX ||
            !network_read(&settings->networks[settings->network_count], networks->items[i]->text))
            return config_fail(settings->host, pointer,
                               "expected addresses, such as \"10.1.0.0/16\", \"127.0.0.1\" or "
                               "\"fd00::/8\"");
        settings->network_count++;
    }
    return true;
}

/* ---- authentication ---- */

static bool read_client(struct settings *settings, struct auth *auth, const char *pointer)
{
    char at[96];
    char *how = NULL;

    snprintf(at, sizeof(at), "%s/token_url", pointer);
    if (!read_string(settings->host, at, &auth->token_url))
        return false;
    if (auth->token_url == NULL || !settings_allow_url(settings, auth->token_url))
        return config_fail(settings->host, auth->token_url != NULL ? at : pointer,
                           "\"token_url\" must be the https URL that gives access tokens");
    snprintf(at, sizeof(at), "%s/client_id", pointer);
    if (!read_string(settings->host, at, &auth->name))
        return false;
    if (auth->name == NULL)
        return config_fail(settings->host, pointer, "\"client_id\" is missing");
    snprintf(at, sizeof(at), "%s/scope", pointer);
    if (!read_string(settings->host, at, &auth->scope))
        return false;
    snprintf(at, sizeof(at), "%s/audience", pointer);
    if (!read_string(settings->host, at, &auth->audience))
        return false;
    snprintf(at, sizeof(at), "%s/client_auth", pointer);
    if (!read_string(settings->host, at, &how))
        return false;
    auth->in_body = how != NULL && strcmp(how, "body") == 0;
    free(how);
    return true;
}

static bool is_clean(const char *text)
{
    for (; text != NULL && *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return false;
    return true;
}

static bool read_key(struct settings *settings, struct auth *auth, const char *pointer)
{
    char at[96];
    char *place = NULL;

    snprintf(at, sizeof(at), "%s/name", pointer);
    if (!read_string(settings->host, at, &auth->name))
        return false;
    if (auth->name == NULL || !is_clean(auth->name) || strpbrk(auth->name, ":;= ") != NULL)
        return config_fail(settings->host, auth->name != NULL ? at : pointer,
                           "an API key needs the \"name\" of its header, query parameter or "
                           "cookie");
    snprintf(at, sizeof(at), "%s/in", pointer);
    if (!read_string(settings->host, at, &place))
        return false;
    auth->place = place != NULL && strcmp(place, "query") == 0    ? IN_QUERY
                  : place != NULL && strcmp(place, "cookie") == 0 ? IN_COOKIE
                                                                  : IN_HEADER;
    free(place);
    return true;
}

/* user:password in Base64, as it would come back. */
static bool hide_basic(struct settings *settings, const struct auth *auth)
{
    struct text plain, encoded;

    text_init(&plain, 65536);
    text_init(&encoded, 65536);
    text_addf(&plain, "%s:%s", auth->name, auth->secret);
    if (plain.data != NULL)
        text_add_base64(&encoded, plain.data, plain.size);
    bool good = encoded.data != NULL && secret_hide(settings, encoded.data);
    text_free(&plain);
    text_free(&encoded);
    return good;
}

static bool read_auth(struct settings *settings, const char *pointer)
{
    static const char *const kinds[] = {"bearer", "basic", "api_key", "oauth2"};
    static const char *const secrets[] = {"token", "password", "key", "client_secret"};
    struct auth *auth = &settings->auth[settings->auth_count++];
    char at[96];
    char *kind = NULL;
    size_t i = 0;

    snprintf(at, sizeof(at), "%s/type", pointer);
    if (!read_string(settings->host, at, &kind))
        return false;
    while (i < 4 && (kind == NULL || strcmp(kind, kinds[i]) != 0))
        i++;
    free(kind);
    if (i == 4)
        return config_fail(settings->host, pointer,
                           "\"type\" must be \"bearer\", \"basic\", \"api_key\" or \"oauth2\"");
    auth->kind = (enum auth_kind)i;
    if (auth->kind == AUTH_BASIC) {
        snprintf(at, sizeof(at), "%s/username", pointer);
        if (!read_string(settings->host, at, &auth->name))
            return false;
        if (auth->name == NULL || strchr(auth->name, ':') != NULL || !is_clean(auth->name))
            return config_fail(settings->host, auth->name != NULL ? at : pointer,
                               "\"username\" is missing, or has a colon or a control character in "
                               "it");
    }
    if ((auth->kind == AUTH_API_KEY && !read_key(settings, auth, pointer)) ||
        (auth->kind == AUTH_OAUTH2 && !read_client(settings, auth, pointer)))
        return false;
    auth->secret = secret_read(settings->host, pointer, secrets[i]);
    return auth->secret != NULL && secret_hide(settings, auth->secret) &&
           ((auth->kind != AUTH_BASIC && auth->kind != AUTH_OAUTH2) || hide_basic(settings, auth));
}

static bool read_auths(struct settings *settings)
{
    const struct value *auth = value_member(settings->config.root, "auth");
    char pointer[32];

    if (auth == NULL)
        return true;
    if (auth->kind == VALUE_OBJECT)
        return read_auth(settings, "/auth");
    for (size_t i = 0; auth->kind == VALUE_ARRAY && i < auth->count && i < AUTH_MAX; i++) {
        snprintf(pointer, sizeof(pointer), "/auth/%zu", i);
        if (!read_auth(settings, pointer))
            return false;
    }
    return true;
}

/* ---- all of it ---- */

static bool read_headers(const struct settings *settings)
{
    const struct value *headers = value_member(settings->config.root, "headers");

    for (size_t i = 0; value_is(headers, VALUE_OBJECT) && i < headers->count; i += 2) {
        const struct value *name = headers->items[i], *value = headers->items[i + 1];
        if (name->size == 0 || strpbrk(name->text, ":; \t") != NULL || !is_clean(name->text) ||
            strlen(name->text) != name->size || value->kind != VALUE_STRING ||
            !is_clean(value->text) || strlen(value->text) != value->size)
            return config_fail(settings->host, "/headers",
                               "%.100s is no legal header, or its value is none", name->text);
    }
    return true;
}

bool settings_read(struct settings *settings, const struct mcp_host *host, struct mcp_bytes config)
{
    *settings = (struct settings){.host = host,
                                  .output_schemas = true,
                                  .timeout_ms = 30000,
                                  .connect_timeout_ms = 5000,
                                  .retries = 2,
                                  .max_redirects = 5,
                                  .max_response_bytes = 1 << 20,
                                  .max_connections = 16};
    if (!document_read_json(&settings->config, config.data, config.size, &limits))
        return config_fail(host, "", "%s", settings->config.fault);
    if (!read_string(host, "/openapi", &settings->openapi) ||
        !read_string(host, "/base_url", &settings->base_url) ||
        !read_string(host, "/ca_file", &settings->ca_file) ||
        !read_string(host, "/proxy", &settings->proxy) ||
        !config_bool(host, "/output_schemas", &settings->output_schemas) ||
        !config_integer(host, "/timeout_ms", 1, 3600000, &settings->timeout_ms) ||
        !config_integer(host, "/connect_timeout_ms", 1, 3600000, &settings->connect_timeout_ms) ||
        !config_integer(host, "/retries", 0, 10, &settings->retries) ||
        !config_integer(host, "/max_redirects", 0, 20, &settings->max_redirects) ||
        !config_integer(host, "/max_response_bytes", 1024, 32 << 20,
                        &settings->max_response_bytes) ||
        !config_integer(host, "/max_connections", 1, 256, &settings->max_connections))
        return false;
    const struct value *table = value_member(settings->config.root, "tools");
    if (settings->openapi == NULL && table == NULL)
        return config_fail(host, "",
                           "neither \"openapi\" nor \"tools\" is there: name an OpenAPI "
                           "document, or write a table of tools");
    if (table != NULL && settings->base_url == NULL)
        return config_fail(host, "",
                           "\"base_url\" is missing: \"tools\" need to know where their "
                           "paths are");
    if (settings->base_url != NULL && (strpbrk(settings->base_url, "?#@ ") != NULL ||
                                       !settings_allow_url(settings, settings->base_url)))
        return config_fail(host, "/base_url",
                           "expected an http or https URL without user, query and fragment, such "
                           "as \"https://api.example.com/v1\"");
    return read_lists(settings) && read_headers(settings) && read_auths(settings);
}

void settings_free(struct settings *settings)
{
    for (size_t i = 0; i < settings->auth_count; i++) {
        struct auth *auth = &settings->auth[i];
        free(auth->name);
        free(auth->token_url);
        free(auth->scope);
        free(auth->audience);
        secret_free(auth->secret);
    }
    for (size_t i = 0; i < settings->secret_count; i++)
        secret_free(settings->secrets[i]);
    document_free(&settings->config);
    free(settings->openapi);
    free(settings->base_url);
    free(settings->ca_file);
    free(settings->proxy);
}
