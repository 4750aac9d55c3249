/* SPDX-License-Identifier: MIT */
/*
 * The http plugin: operations of HTTP APIs as tools. This header names what its files
 * have for each other.
 *
 *     settings.c   the configuration
 *     secrets.c    what must not be seen: read, and wiped out of what is answered
 *     address.c    which addresses may be connected to
 *     resolver.c   from names to addresses, on threads of its own
 *     serialise.c  arguments as OpenAPI's styles have them
 *     request.c    from a call to a request
 *     engine.c     one thread that carries out all requests
 *     transfer.c   one attempt of one request, with libcurl
 *     token.c      OAuth: access tokens by client credentials
 *     answer.c     from a response to the end of the call
 *     health.c     whether the servers can be reached
 */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "operation.h"
#include "secret.h"

/* ---- settings.c ---- */

#define AUTH_MAX 4
#define HOSTS_MAX 64
#define NETWORKS_MAX 64
#define SECRETS_MAX 8 /* two of each auth: itself, and in Base64 with a name */

enum auth_kind { AUTH_BEARER, AUTH_BASIC, AUTH_API_KEY, AUTH_OAUTH2 };

struct auth {
    enum auth_kind kind;
    enum place place; /* of an API key */
    char *name; /* of an API key; of a user; the client id */
    char *secret;
    char *token_url, *scope, *audience;
    bool in_body; /* OAuth: the client's secret goes into the body */
};

/* A host that may be asked, in lower case. Port 0: 80 and 443. */
struct allowed_host {
    char name[256]; /* "*.example.com": any beneath it */
    unsigned port;
};

/* IPv4 as ::ffff:a.b.c.d. */
struct network {
    struct in6_addr address;
    unsigned bits;
};

struct settings {
    const struct mcp_host *host;
    struct document config;
    char *openapi, *base_url, *ca_file, *proxy;
    bool output_schemas;
    int64_t timeout_ms, connect_timeout_ms, retries, max_redirects, max_response_bytes,
        max_connections;
    struct auth auth[AUTH_MAX];
    size_t auth_count;
    struct allowed_host hosts[HOSTS_MAX];
    size_t host_count;
    struct network networks[NETWORKS_MAX];
    size_t network_count;
    char *secrets[SECRETS_MAX]; /* that might come back */
    size_t secret_count;
};

bool settings_read(struct settings *settings, const struct mcp_host *host, struct mcp_bytes config);
void settings_free(struct settings *settings);
/* A URL whose host may be asked; false: it is none. */
bool settings_allow_url(struct settings *settings, const char *url);
bool settings_allows(const struct settings *settings, const char *host, unsigned port);

/* ---- secrets.c ---- */

/* The secret NAME of the object at `pointer` (secret.h), as headers can carry it. NULL: the
 * host has been told what is wrong. */
char *secret_read(const struct mcp_host *host, const char *pointer, const char *name);
/* Something that is never to be seen. */
bool secret_hide(struct settings *settings, const char *secret);
/* Stars in place of every secret, also of one with escapes of JSON or percent-encoded
 * characters in it. */
void secret_wipe(const struct settings *settings, char *data, size_t size);

/* ---- address.c ---- */

/* NULL: it is a public address; else what it is: "a loopback address". */
const char *address_kind(const struct sockaddr *address);
/* Whether it may be connected to. */
bool address_allowed(const struct settings *settings, const struct sockaddr *address);
/* "10.0.0.0/8", "::1". */
bool network_read(struct network *network, const char *text);
void address_write(const struct sockaddr *address, char *out, socklen_t size);

/* ---- resolver.c ---- */

struct resolver;
struct resolver *resolver_new(void (*wake)(void *context), void *context);
void resolver_free(struct resolver *resolver);

enum lookup { LOOKUP_PENDING, LOOKUP_DONE, LOOKUP_FAILED };
#define ADDRESSES_MAX 16
struct addresses {
    struct sockaddr_storage all[ADDRESSES_MAX];
    size_t count;
    char why[160];
};
/* Never blocks; when what was pending is there, wake is called. */
enum lookup resolver_ask(struct resolver *resolver, const char *host, struct addresses *out);

/* ---- serialise.c ---- */

/* A parameter's value, in its style; of the query with its name. */
void serialise(struct text *out, const struct parameter *parameter, const struct value *value);
/* The characters of a scalar; JSON of anything else. */
void plain_text(struct text *out, const struct value *value);

/* ---- request.c ---- */

struct request {
    const char *method;
    struct text target; /* path and query, behind the server's URL */
    struct text headers; /* lines, each with a NUL behind it */
    struct text cookies;
    struct text body;
    char content_type[200]; /* empty: there is no body */
};

/* False: the call has been ended. To be freed in any case. */
bool request_make(struct request *request, const struct operation *operation,
                  struct mcp_call *call);
void request_free(struct request *request);

/* ---- engine.c ---- */

struct engine;

struct engine *engine_new(const struct settings *settings);
bool engine_start(struct engine *engine);
void engine_stop(struct engine *engine);
void engine_free(struct engine *engine);
/* Takes over the request, and the call, which it ends. */
void engine_submit(struct engine *engine, const struct operation *operation,
                   struct request *request, struct mcp_call *call);

/* ---- health.c ---- */

/* Ends the call: can the servers of these operations be reached? */
int32_t check_reach(const struct engine *engine, const struct api *api, struct mcp_call *call);

int64_t clock_ms(void);

#endif
