/* SPDX-License-Identifier: MIT */
/* One attempt of one request, with libcurl: where it may go, what it takes along. */
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine.h"

#define HEADER_BYTES_MAX 65536
#define TOKEN_ANSWER_MAX 65536

const char *transfer_method(const struct job *job)
{
    return job->as_get ? "GET" : job->request.method;
}

bool transfer_is_idempotent(const struct job *job)
{
    const char *method = transfer_method(job);

    return strcmp(method, "POST") != 0 && strcmp(method, "PATCH") != 0;
}

/* ---- where to ---- */

void url_place_free(struct url_place *place)
{
    curl_free(place->scheme);
    curl_free(place->host);
    curl_free(place->port);
}

bool url_place_read(struct url_place *place, const char *url)
{
    CURLU *parts = curl_url();

    *place = (struct url_place){.scheme = NULL};
    bool good = parts != NULL &&
                curl_url_set(parts, CURLUPART_URL, url, CURLU_PATH_AS_IS | CURLU_DISALLOW_USER) ==
                    CURLUE_OK &&
                curl_url_get(parts, CURLUPART_SCHEME, &place->scheme, 0) == CURLUE_OK &&
                curl_url_get(parts, CURLUPART_HOST, &place->host, 0) == CURLUE_OK &&
                curl_url_get(parts, CURLUPART_PORT, &place->port, CURLU_DEFAULT_PORT) == CURLUE_OK;
    curl_url_cleanup(parts);
    if (!good)
        return false;
    size_t size = strlen(place->host);
    bool bracketed = size > 2 && place->host[0] == '[';
    snprintf(place->bare, sizeof(place->bare), "%.*s", (int)(bracketed ? size - 2 : size),
             place->host + (bracketed ? 1 : 0));
    return size < sizeof(place->bare);
}

static bool is_ascii(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text <= 0x20 || (unsigned char)*text >= 0x7f)
            return false;
    return true;
}

static bool is_literal(const char *host)
{
    unsigned char address[16];

    return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

/* What a caller is told of an address that may not be reached. */
static void note_refused(struct job *job, const struct sockaddr *address)
{
    char text[INET6_ADDRSTRLEN + 1] = "";
    const char *kind = address_kind(address);

    address_write(address, text, sizeof(text));
    snprintf(job->refused, sizeof(job->refused), "%s is %s", text,
             kind != NULL ? kind : "no address that it may reach");
}

/* The addresses of a name, for libcurl, without those that may not be reached. False: the
 * job has been ended. */
static bool pin_addresses(struct job *job, const struct url_place *place,
                          const struct addresses *found)
{
    struct text line;

    text_init(&line, 4096);
    text_addf(&line, "%s:%s:", place->bare, place->port);
    size_t empty = line.size;
    for (size_t i = 0; i < found->count; i++) {
        const struct sockaddr *address = (const struct sockaddr *)(const void *)&found->all[i];
        char text[INET6_ADDRSTRLEN + 1] = "";
        if (!address_allowed(job->engine->settings, address)) {
            note_refused(job, address);
            continue;
        }
        address_write(address, text, sizeof(text));
        text_addf(&line, address->sa_family == AF_INET6 ? "%s[%s]" : "%s%s",
                  line.size > empty ? "," : "", text);
    }
    bool good = !line.failed && line.size > empty;
    job->resolve = good ? curl_slist_append(NULL, line.data) : NULL;
    text_free(&line);
    if (job->resolve != NULL)
        return true;
    job_fail(job,
             "The host %s may not be reached: %s. The operator can allow that in "
             "\"allowed_networks\".",
             place->bare, job->refused);
    return false;
}

static enum start find_addresses(struct job *job, const struct url_place *place)
{
    struct addresses found;

    if (job->engine->settings->proxy != NULL || is_literal(place->bare))
        return START_RUNS;
    switch (resolver_ask(job->engine->resolver, place->bare, &found)) {
    case LOOKUP_PENDING:
        return START_WAITS;
    case LOOKUP_FAILED:
        job_fail(job, "The host %s was not found: %s.", place->bare, found.why);
        return START_FAILED;
    case LOOKUP_DONE:
        break;
    }
    return pin_addresses(job, place, &found) ? START_RUNS : START_FAILED;
}

/* False: it may not be asked, and the job has been ended. */
static bool check_place(struct job *job, const struct url_place *place)
{
    if (strcmp(place->scheme, "http") != 0 && strcmp(place->scheme, "https") != 0) {
        job_fail(job, "Only http and https URLs are asked, not %.20s.", place->scheme);
        return false;
    }
    if (!is_ascii(place->host)) {
        job_fail(job, "The host has characters beyond ASCII: it is asked only by its xn-- name.");
        return false;
    }
    if (settings_allows(job->engine->settings, place->host,
                        (unsigned)strtoul(place->port, NULL, 10)))
        return true;
    job_fail(job,
             "The host %s, port %s, is none of those that this provider may ask. The operator can "
             "add it to \"allowed_hosts\".",
             place->bare, place->port);
    return false;
}

/* ---- libcurl's questions ---- */

/* The address that is really connected to, whatever led there. */
static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct job *job = context;

    /* With a proxy it is the proxy's, which the operator named. */
    if (purpose != CURLSOCKTYPE_IPCXN ||
        (job->engine->settings->proxy == NULL &&
         !address_allowed(job->engine->settings, &address->addr))) {
        note_refused(job, &address->addr);
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t take_body(char *data, size_t size, size_t count, void *context)
{
    struct job *job = context;

    text_add(&job->response, data, size * count);
    job->too_large = job->response.failed;
    return job->response.failed ? 0 : size * count;
}

static size_t take_header(char *data, size_t size, size_t count, void *context)
{
    struct job *job = context;

    (void)data;
    job->header_size += size * count;
    job->header_too_large = job->header_size > HEADER_BYTES_MAX;
    return job->header_too_large ? 0 : size * count;
}

/* Without a function to seek: libcurl cannot send a body again on its own, as it would on a
 * connection that turned out to be dead, perhaps after the server had acted on it. */
static size_t give_body(char *data, size_t size, size_t count, void *context)
{
    struct job *job = context;
    size_t left = job->request.body.size - job->sent, room = size * count;
    size_t given = left < room ? left : room;

    if (given > 0)
        memcpy(data, job->request.body.data + job->sent, given);
    job->sent += given;
    return given;
}

/* ---- what goes along ---- */

static void add_line(struct job *job, const char *line)
{
    struct curl_slist *more = curl_slist_append(job->headers, line);

    if (more != NULL)
        job->headers = more;
    else
        job->response.failed = true;
}

__attribute__((format(printf, 2, 3))) static void add_linef(struct job *job, const char *format,
                                                            ...)
{
    char *line = NULL;
    va_list arguments;

    va_start(arguments, format);
    int size = vasprintf(&line, format, arguments);
    va_end(arguments);
    if (size < 0) {
        job->response.failed = true;
        return;
    }
    add_line(job, line);
    secret_free(line);
}

static void add_basic(struct job *job, const struct auth *auth)
{
    struct text plain, line;

    text_init(&plain, 65536);
    text_init(&line, 131072);
    text_addf(&plain, "%s:%s", auth->name, auth->secret);
    text_adds(&line, "Authorization: Basic ");
    text_add_base64(&line, plain.data, plain.size);
    if (line.failed || plain.failed)
        job->response.failed = true;
    else
        add_line(job, line.data);
    text_free(&plain);
    text_free(&line);
}

/* Puts the API key into the query. */
static void add_query_key(const struct auth *auth, struct text *url)
{
    text_adds(url, strchr(url->data, '?') != NULL ? "&" : "?");
    text_add_percent(url, auth->name, strlen(auth->name), "");
    text_adds(url, "=");
    text_add_percent(url, auth->secret, strlen(auth->secret), "");
}

static void add_auth(struct job *job, size_t index, struct text *url, struct text *cookies)
{
    const struct auth *auth = &job->engine->settings->auth[index];

    switch (auth->kind) {
    case AUTH_BEARER:
        add_linef(job, "Authorization: Bearer %s", auth->secret);
        break;
    case AUTH_BASIC:
        add_basic(job, auth);
        break;
    case AUTH_OAUTH2:
        add_linef(job, "Authorization: Bearer %s", job->engine->tokens[index].value);
        break;
    case AUTH_API_KEY:
        if (auth->place == IN_QUERY)
            add_query_key(auth, url);
        else if (auth->place == IN_HEADER)
            add_linef(job, "%s: %s", auth->name, auth->secret);
        else
            text_addf(cookies, "%s%s=%s", cookies->size > 0 ? "; " : "", auth->name, auth->secret);
        break;
    }
}

static bool takes_auth(const struct job *job)
{
    return job->operation != NULL && !job->operation->open && !job->elsewhere;
}

/* Headers of the configuration and of the caller may be secrets, too: another origin does
 * not see them. */
static void add_headers(struct job *job, bool has_body)
{
    const struct value *headers = value_member(job->engine->settings->config.root, "headers");
    const struct text *own = &job->request.headers;

    add_linef(job, "Accept: %s",
              job->operation != NULL ? job->operation->accept : "application/json");
    add_line(job, "Expect:");
    if (has_body && job->request.content_type[0] != '\0')
        add_linef(job, "Content-Type: %s", job->request.content_type);
    else if (has_body)
        add_line(job, "Content-Type:");
    if (job->elsewhere)
        return;
    for (size_t i = 0;
         job->operation != NULL && value_is(headers, VALUE_OBJECT) && i < headers->count; i += 2)
        add_linef(job, headers->items[i + 1]->size > 0 ? "%s: %s" : "%s;%s",
                  headers->items[i]->text, headers->items[i + 1]->text);
    for (size_t at = 0; at < own->size; at += strlen(own->data + at) + 1)
        add_line(job, own->data + at);
}

static void set_method(struct job *job, bool has_body)
{
    const char *method = transfer_method(job);
    bool must_have_length =
        strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0;

    if (strcmp(method, "HEAD") == 0) {
        curl_easy_setopt(job->easy, CURLOPT_NOBODY, 1L);
        return;
    }
    if (has_body || must_have_length) {
        curl_easy_setopt(job->easy, CURLOPT_POST, 1L);
        curl_easy_setopt(job->easy, CURLOPT_POSTFIELDSIZE_LARGE,
                         (curl_off_t)(has_body ? job->request.body.size : 0));
        curl_easy_setopt(job->easy, CURLOPT_READFUNCTION, give_body);
        curl_easy_setopt(job->easy, CURLOPT_READDATA, job);
    }
    curl_easy_setopt(job->easy, CURLOPT_CUSTOMREQUEST, method);
}

static void set_limits(struct job *job)
{
    const struct settings *settings = job->engine->settings;
    int64_t left = job->deadline_ms - clock_ms();

    curl_easy_setopt(job->easy, CURLOPT_TIMEOUT_MS, (long)(left > 1 ? left : 1));
    curl_easy_setopt(job->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)settings->connect_timeout_ms);
    curl_easy_setopt(job->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(job->easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(job->easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(job->easy, CURLOPT_OPENSOCKETDATA, job);
    curl_easy_setopt(job->easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(job->easy, CURLOPT_WRITEDATA, job);
    curl_easy_setopt(job->easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(job->easy, CURLOPT_HEADERDATA, job);
    curl_easy_setopt(job->easy, CURLOPT_NOSIGNAL, 1L);
    /* "" is none; what the environment says of proxies does not count. */
    curl_easy_setopt(job->easy, CURLOPT_PROXY, settings->proxy != NULL ? settings->proxy : "");
    curl_easy_setopt(job->easy, CURLOPT_NOPROXY, "");
    curl_easy_setopt(job->easy, CURLOPT_RESOLVE, job->resolve);
    if (settings->ca_file != NULL)
        curl_easy_setopt(job->easy, CURLOPT_CAINFO, settings->ca_file);
}

/* All that is to be sent. False: out of memory. */
static bool set_request(struct job *job)
{
    bool has_body = !job->as_get && job->request.content_type[0] != '\0';
    struct text url, cookies;

    text_init(&url, 1 << 20);
    text_init(&cookies, 1 << 20);
    text_adds(&url, job->url);
    if (!job->elsewhere)
        text_add(&cookies, job->request.cookies.data, job->request.cookies.size);
    add_headers(job, has_body);
    for (size_t i = 0; takes_auth(job) && i < job->engine->settings->auth_count; i++)
        add_auth(job, i, &url, &cookies);
    bool good = !url.failed && !cookies.failed && !job->response.failed;
    if (good) {
        set_method(job, has_body);
        curl_easy_setopt(job->easy, CURLOPT_URL, url.data);
        curl_easy_setopt(job->easy, CURLOPT_PATH_AS_IS, 1L);
        curl_easy_setopt(job->easy, CURLOPT_HTTPHEADER, job->headers);
        curl_easy_setopt(job->easy, CURLOPT_USERAGENT, job->engine->settings->host->server);
        curl_easy_setopt(job->easy, CURLOPT_ACCEPT_ENCODING, "");
        if (cookies.size > 0)
            curl_easy_setopt(job->easy, CURLOPT_COOKIE, cookies.data);
        curl_easy_setopt(job->easy, CURLOPT_ERRORBUFFER, job->error);
        curl_easy_setopt(job->easy, CURLOPT_PRIVATE, job);
    }
    text_free(&url);
    text_free(&cookies);
    return good;
}

/* ---- an attempt ---- */

static enum start start_at(struct job *job, const struct url_place *place)
{
    if (!check_place(job, place))
        return START_FAILED;
    for (size_t i = 0; takes_auth(job) && i < job->engine->settings->auth_count; i++) {
        enum start token =
            job->engine->settings->auth[i].kind == AUTH_OAUTH2 ? token_need(job, i) : START_RUNS;
        if (token != START_RUNS)
            return token;
    }
    enum start found = find_addresses(job, place);
    if (found != START_RUNS)
        return found;
    text_free(&job->response);
    job->header_size = job->sent = 0;
    job->too_large = job->header_too_large = false;
    job->refused[0] = job->error[0] = '\0';
    if (job->call == NULL)
        job->response.max = TOKEN_ANSWER_MAX;
    job->easy = curl_easy_init();
    if (job->easy != NULL)
        set_limits(job);
    if (job->easy == NULL || !set_request(job) ||
        curl_multi_add_handle(job->engine->multi, job->easy) != CURLM_OK) {
        job_fail(job, "mcpd is out of memory.");
        return START_FAILED;
    }
    job->step = STEP_RUNNING;
    return START_RUNS;
}

enum start transfer_start(struct job *job)
{
    struct url_place place;
    enum start result = START_FAILED;

    job->not_before_ms = 0;
    if (url_place_read(&place, job->url))
        result = start_at(job, &place);
    else
        job_fail(job, "The URL that this would go to is no legal one.");
    url_place_free(&place);
    return result;
}

void transfer_clean(struct job *job)
{
    if (job->easy != NULL) {
        curl_multi_remove_handle(job->engine->multi, job->easy);
        curl_easy_cleanup(job->easy);
    }
    job->easy = NULL;
    curl_slist_free_all(job->headers);
    curl_slist_free_all(job->resolve);
    job->headers = job->resolve = NULL;
    job->step = STEP_READY;
}
