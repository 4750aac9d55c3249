/* SPDX-License-Identifier: MIT */
/* PostgreSQL: the configuration, and the functions of backend.h. */
#include "postgres.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reading.h"
#include "secret.h"

/* ---- options of the connection ---- */

/* Takes over `value`; NULL: out of memory. */
static bool add_option(struct backend *backend, const char *keyword, char *value)
{
    if (value == NULL)
        return false;
    if (backend->options == OPTIONS_MAX) {
        secret_free(value);
        return false;
    }
    backend->keywords[backend->options] = keyword;
    backend->values[backend->options++] = value;
    return true;
}

static const char *option(const struct backend *backend, const char *keyword)
{
    for (size_t i = 0; i < backend->options; i++)
        if (strcmp(backend->keywords[i], keyword) == 0)
            return backend->values[i];
    return NULL;
}

/* The options that a URL may have, by libpq's names. */
static const char *const url_options[] = {
    "host",
    "hostaddr",
    "port",
    "user",
    "password",
    "dbname",
    "sslmode",
    "sslcert",
    "sslkey",
    "sslrootcert",
    "sslcrl",
    "passfile",
    "channel_binding",
    "target_session_attrs",
    "application_name",
    "connect_timeout",
};

static const char *known_option(const char *keyword)
{
    for (size_t i = 0; i < sizeof(url_options) / sizeof(url_options[0]); i++)
        if (strcmp(url_options[i], keyword) == 0)
            return url_options[i];
    return NULL;
}

/* What the manifest says of local sockets goes by how a URL begins. */
static bool hides_socket(const char *url, const PQconninfoOption *option)
{
    return strcmp(option->keyword, "host") == 0 && option->val[0] == '/' &&
           strstr(url, ":///") == NULL;
}

/* libpq's own complaints repeat parts of the URL, and with them perhaps a password. */
static bool read_url(struct backend *backend)
{
    const struct mcp_host *host = backend->settings->host;
    char *ignored = NULL;
    PQconninfoOption *list = PQconninfoParse(backend->settings->url, &ignored);
    PQfreemem(ignored);
    if (list == NULL)
        return config_fail(host, "/url",
                           "that is not a URL of PostgreSQL, such as "
                           "\"postgresql://reader@db.example.com:5432/sales?sslmode=verify-full\"; "
                           "in names and passwords, other than letters and digits are written "
                           "as %%XX");
    bool good = true;
    for (PQconninfoOption *o = list; good && o->keyword != NULL; o++) {
        if (o->val == NULL || o->val[0] == '\0')
            continue;
        if (hides_socket(backend->settings->url, o)) {
            good = config_fail(host, "/url",
                               "the directory of a local socket is \"host\", beside \"url\" and "
                               "not in it: so it is seen that the plugin needs local sockets");
            break;
        }
        const char *known = known_option(o->keyword);
        good = known != NULL
                   ? add_option(backend, known, strdup(o->val))
                   : config_fail(host, "/url", "the option %s is not possible here", o->keyword);
    }
    PQconninfoFree(list);
    return good;
}

/* One member of the configuration that is an option of libpq; of `url` and it, one. */
static bool read_member(struct backend *backend, const char *pointer, const char *keyword)
{
    const struct mcp_host *host = backend->settings->host;
    struct mcp_bytes value = {NULL, 0};
    if (!config_string(host, pointer, &value))
        return false;
    if (value.size == 0)
        return true;
    if (memchr(value.data, '\0', value.size) != NULL)
        return config_fail(host, pointer, "there is a NUL character in it");
    if (option(backend, keyword) != NULL)
        return config_fail(host, pointer, "the URL says that already");
    return add_option(backend, keyword, strndup(value.data, value.size));
}

static bool read_port(struct backend *backend)
{
    const struct mcp_host *host = backend->settings->host;
    int64_t port = 0;
    char digits[24];
    if (!config_integer(host, "/port", 1, 65535, &port))
        return false;
    if (port == 0)
        return true;
    if (option(backend, "port") != NULL)
        return config_fail(host, "/port", "the URL says that already");
    snprintf(digits, sizeof(digits), "%" PRId64, port);
    return add_option(backend, "port", strdup(digits));
}

static bool read_password(struct backend *backend)
{
    const struct mcp_host *host = backend->settings->host;
    char *password = NULL;
    if (!config_secret(host, "/password", &password))
        return false;
    if (password == NULL)
        return true;
    if (option(backend, "password") != NULL) {
        secret_free(password);
        return config_fail(host, "/password", "the URL has one already");
    }
    return add_option(backend, "password", password);
}

/* What the server itself is to keep to, should we not. And no compiling (jit): it can take
 * most of a second, in which a query that is cancelled goes on. */
static char *session_settings(const struct settings *settings)
{
    char *text = NULL;
    if (asprintf(&text,
                 "-c statement_timeout=%" PRId64 " -c lock_timeout=%" PRId64
                 " -c idle_in_transaction_session_timeout=%" PRId64
                 " -c default_transaction_read_only=%s -c DateStyle=ISO -c bytea_output=hex"
                 " -c extra_float_digits=1 -c jit=off",
                 settings->timeout_ms + 500, settings->busy_timeout_ms, settings->timeout_ms + 5000,
                 settings->read_only ? "on" : "off") < 0)
        return NULL;
    return text;
}

static bool add_our_options(struct backend *backend)
{
    static const char *const ours[][2] = {
        {"client_encoding", "UTF8"},
        {"gssencmode", "disable"},
        {"keepalives_idle", "30"},
        {"tcp_user_timeout", "15000"},
        {"fallback_application_name", "mcpd"},
    };
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
        if (!add_option(backend, ours[i][0], strdup(ours[i][1])))
            return false;
    return add_option(backend, "options", session_settings(backend->settings));
}

static void name_place(struct backend *backend)
{
    const char *user = option(backend, "user"), *host = option(backend, "host"),
               *port = option(backend, "port");
    snprintf(backend->place, sizeof(backend->place), "%.80s%s%.120s:%.10s/%.70s",
             user != NULL ? user : "", user != NULL ? "@" : "", host != NULL ? host : "localhost",
             port != NULL ? port : "5432", option(backend, "dbname"));
}

static bool read_connection(struct backend *backend)
{
    const struct mcp_host *host = backend->settings->host;
    if (backend->settings->url != NULL && !read_url(backend))
        return false;
    if (!read_member(backend, "/host", "host") || !read_port(backend) ||
        !read_member(backend, "/user", "user") || !read_password(backend) ||
        !read_member(backend, "/database", "dbname") ||
        !read_member(backend, "/sslmode", "sslmode") ||
        !read_member(backend, "/sslrootcert", "sslrootcert"))
        return false;
    if (option(backend, "dbname") == NULL)
        return config_fail(host, backend->settings->url != NULL ? "/url" : "",
                           "the name of the database is missing");
    if (!add_our_options(backend))
        return config_fail(host, "", "out of memory");
    name_place(backend);
    return true;
}

static bool read_limits(struct backend *backend)
{
    const struct mcp_host *host = backend->settings->host;
    backend->min_connections = 1;
    backend->temp_file_limit = INT64_C(1) << 30;
    if (!config_integer(host, "/min_connections", 0, 64, &backend->min_connections) ||
        !config_integer(host, "/temp_file_limit", 0, INT64_C(1) << 40, &backend->temp_file_limit) ||
        !config_bool(host, "/allow_privileged_role", &backend->allow_privileged_role))
        return false;
    return backend->min_connections <= backend->settings->max_connections ||
           config_fail(host, "/min_connections", "that is more than max_connections, %" PRId64,
                       backend->settings->max_connections);
}

/* ---- life ---- */

static void destroy(struct backend *backend)
{
    lane_free(backend->lane);
    types_free(backend->types);
    for (size_t i = 0; i < backend->options; i++)
        secret_free(backend->values[i]);
    pthread_cond_destroy(&backend->canceller.wanted);
    pthread_cond_destroy(&backend->canceller.free);
    pthread_mutex_destroy(&backend->canceller.mutex);
    pthread_cond_destroy(&backend->tick);
    pthread_cond_destroy(&backend->freed);
    pthread_mutex_destroy(&backend->mutex);
    free(backend);
}

static struct backend *create(const struct settings *settings)
{
    struct backend *backend = calloc(1, sizeof(*backend));
    if (backend == NULL)
        return NULL;
    backend->settings = settings;
    pthread_mutex_init(&backend->mutex, NULL);
    pthread_mutex_init(&backend->canceller.mutex, NULL);
    pthread_cond_init(&backend->canceller.wanted, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&backend->canceller.free, &monotonic);
    pthread_cond_init(&backend->freed, &monotonic);
    pthread_cond_init(&backend->tick, &monotonic);
    pthread_condattr_destroy(&monotonic);
    backend->types = types_new(backend);
    if (settings->read_only)
        backend->lane = lane_new(backend);
    if (backend->types != NULL && (backend->lane != NULL || !settings->read_only) &&
        read_limits(backend) && read_connection(backend))
        return backend;
    destroy(backend);
    return NULL;
}

/* A server that cannot be reached now is no reason not to start: it may be started after
 * mcpd, and each call tries again. What will not get better is one. */
static bool start(struct backend *backend)
{
    const struct mcp_host *host = backend->settings->host;
    struct complaint why = {""};
    struct session *session = NULL;
    int64_t wait_ns = INT64_C(5000000000);
    switch (session_open(backend, NULL, clock_now() + wait_ns, &session, &why)) {
    case CONNECT_DONE:
        session->idle_since_ns = clock_now();
        backend->idle = session;
        backend->sessions = 1;
        break;
    case CONNECT_REFUSED:
        return config_fail(host, backend->settings->url != NULL ? "/url" : "", "%s", why.text);
    default:
        host->log(host, MCP_LOG_ERROR, (struct mcp_bytes){why.text, strlen(why.text)});
    }
    if (pool_start(backend) && (backend->lane == NULL || lane_start(backend->lane)))
        return true;
    pool_stop(backend);
    return config_fail(host, "", "a thread cannot be started");
}

static void stop(struct backend *backend)
{
    if (backend->lane != NULL)
        lane_stop(backend->lane);
    pool_stop(backend);
}

static bool begin(struct session *session)
{
    session->in_transaction = session->begin_first = true;
    return true;
}

/* A round trip; sessions in use besides this one. */
static bool check(struct session *session, struct text *found)
{
    struct backend *backend = session->backend;
    struct complaint why = {""};
    PGresult *result = wire_run(session, session->job->deadline_ns, "SELECT 1", NULL, &why);
    PQclear(result);
    if (result == NULL)
        return complain(&session->job->complaint, "The server does not answer: %s.", why.text);
    const char *version = PQparameterStatus(session->pg, "server_version");
    pthread_mutex_lock(&backend->mutex);
    int64_t used = backend->sessions - 1;
    for (const struct session *idle = backend->idle; idle != NULL; idle = idle->next)
        used--;
    pthread_mutex_unlock(&backend->mutex);
    text_addf(found, "PostgreSQL %.*s, %" PRId64 " of %" PRId64 " connections in use",
              version != NULL ? (int)strcspn(version, " ") : 1, version != NULL ? version : "?",
              used, backend->settings->max_connections);
    return true;
}

const struct backend_ops postgres_backend = {
    .scheme = "postgresql",
    .dialect = "PostgreSQL",
    .numbers_as_text = true,
    .parameters = "Values for $1, $2, ... of the query, in order. Arrays and objects go in as "
                  "JSON, bytes as {\\\"$base64\\\": \\\"...\\\"}.",
    .values = "Integers have all their digits; numeric, dates and times come as strings, bytes "
              "as {\\\"$base64\\\": \\\"...\\\"}.",
    .create = create,
    .start = start,
    .stop = stop,
    .destroy = destroy,
    .acquire = pool_acquire,
    .release = pool_release,
    .execute = postgres_execute,
    .submit = lane_submit,
    .begin = begin,
    .commit = postgres_commit,
    .rollback = postgres_rollback,
    .schema = postgres_schema,
    .check = check,
};
