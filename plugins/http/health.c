/* SPDX-License-Identifier: MIT */
/*
 * Whether the servers of the API can be reached: each is looked up, connected to and, with
 * https, shakes hands with a certificate that is good; nothing is asked of it. The same
 * rules hold for its address as for calls.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine.h"
#include "reading.h"

#define SERVERS_MAX 16 /* of one document */
#define LOOK_US 5000
#define NS_PER_MS 1000000

struct visit {
    const struct engine *engine;
    struct mcp_call *call;
    int64_t deadline_ms;
    char why[600];
};

static bool is_over(struct visit *visit)
{
    return visit->call->ops->is_cancelled(visit->call) || clock_ms() >= visit->deadline_ms;
}

static bool is_literal(const char *host)
{
    unsigned char address[16];
    return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct visit *visit = context;
    const struct settings *settings = visit->engine->settings;
    char text[INET6_ADDRSTRLEN + 1] = "";

    if (purpose == CURLSOCKTYPE_IPCXN &&
        (settings->proxy != NULL || address_allowed(settings, &address->addr)))
        return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    address_write(&address->addr, text, sizeof(text));
    snprintf(visit->why, sizeof(visit->why),
             "its address %s may not be reached; \"allowed_networks\" can allow it", text);
    return CURL_SOCKET_BAD;
}

/* "host:port:address,address" of what was found, for libcurl. NULL: why says it. */
static struct curl_slist *look_up(struct visit *visit, const struct url_place *place)
{
    struct addresses found;
    enum lookup end;
    struct text line;

    while ((end = resolver_ask(visit->engine->resolver, place->bare, &found)) == LOOKUP_PENDING) {
        if (is_over(visit)) {
            snprintf(visit->why, sizeof(visit->why), "no name server has answered in time");
            return NULL;
        }
        usleep(LOOK_US);
    }
    if (end == LOOKUP_FAILED) {
        snprintf(visit->why, sizeof(visit->why), "its name was not found: %s", found.why);
        return NULL;
    }
    text_init(&line, 4096);
    text_addf(&line, "%s:%s:", place->bare, place->port);
    for (size_t i = 0; i < found.count; i++) {
        const struct sockaddr *address = (const struct sockaddr *)(const void *)&found.all[i];
        char text[INET6_ADDRSTRLEN + 1] = "";
        address_write(address, text, sizeof(text));
        text_addf(&line, address->sa_family == AF_INET6 ? "%s[%s]" : "%s%s", i > 0 ? "," : "",
                  text);
    }
    struct curl_slist *resolve = line.failed ? NULL : curl_slist_append(NULL, line.data);
    text_free(&line);
    if (resolve == NULL)
        snprintf(visit->why, sizeof(visit->why), "mcpd is out of memory");
    return resolve;
}

static bool connect_to(struct visit *visit, const char *url, struct curl_slist *resolve)
{
    const struct settings *settings = visit->engine->settings;
    int64_t left = visit->deadline_ms - clock_ms();
    char error[CURL_ERROR_SIZE] = "";
    CURL *easy = curl_easy_init();

    if (easy == NULL) {
        snprintf(visit->why, sizeof(visit->why), "mcpd is out of memory");
        return false;
    }
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(left > 1 ? left : 1));
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, visit);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, settings->proxy != NULL ? settings->proxy : "");
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
    curl_easy_setopt(easy, CURLOPT_RESOLVE, resolve);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error);
    if (settings->ca_file != NULL)
        curl_easy_setopt(easy, CURLOPT_CAINFO, settings->ca_file);
    CURLcode code = curl_easy_perform(easy);
    curl_easy_cleanup(easy);
    if (code != CURLE_OK && visit->why[0] == '\0')
        snprintf(visit->why, sizeof(visit->why), "%s",
                 error[0] != '\0' ? error : curl_easy_strerror(code));
    return code == CURLE_OK;
}

static bool reach(struct visit *visit, const char *url, const struct url_place *place)
{
    struct curl_slist *resolve = NULL;

    visit->why[0] = '\0';
    if (visit->engine->settings->proxy == NULL && !is_literal(place->bare) &&
        (resolve = look_up(visit, place)) == NULL)
        return false;
    bool reached = connect_to(visit, url, resolve);
    curl_slist_free_all(resolve);
    return reached;
}

static const char *server_of(const struct engine *engine, const struct operation *operation)
{
    return operation->server != NULL ? operation->server : engine->settings->base_url;
}

/* One that has been looked at stands before it. */
static bool was_seen(const char *const *seen, size_t count, const char *server)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(seen[i], server) == 0)
            return true;
    return false;
}

int32_t check_reach(const struct engine *engine, const struct api *api, struct mcp_call *call)
{
    struct visit visit = {.engine = engine, .call = call, .deadline_ms = INT64_MAX};
    const char *seen[SERVERS_MAX];
    size_t count = 0;

    visit.deadline_ms = clock_ms() + engine->settings->connect_timeout_ms;
    if (call->deadline_ns != 0 && call->deadline_ns / NS_PER_MS < visit.deadline_ms)
        visit.deadline_ms = call->deadline_ns / NS_PER_MS;
    for (size_t i = 0; i < api->count && count < SERVERS_MAX; i++) {
        const char *server = server_of(engine, api->operations[i]);
        struct url_place place;
        if (server == NULL || was_seen(seen, count, server))
            continue;
        seen[count++] = server;
        bool reached = url_place_read(&place, server);
        if (!reached)
            snprintf(visit.why, sizeof(visit.why), "its URL is no legal one");
        reached = reached && reach(&visit, server, &place);
        if (!reached) {
            engine_wipe(engine, visit.why, strlen(visit.why));
            fail_call(call, "%s cannot be reached: %s.",
                      place.bare[0] != '\0' ? place.bare : "A server", visit.why);
        }
        url_place_free(&place);
        if (!reached)
            return MCP_OK;
    }
    return pass_call(call, "%zu tools; %zu %s reached%s.", api->count, count,
                     count == 1 ? "server was" : "servers were",
                     engine->settings->proxy != NULL ? " through the proxy" : "");
}
