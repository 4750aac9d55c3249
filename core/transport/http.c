/* SPDX-License-Identifier: MIT */
/* The start and the end of the HTTP transport. */
#include "transport/http.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "transport/exchange.h"

/* Descriptors that are not for connections: plugins, their files, logs. */
#define RESERVED_DESCRIPTORS 256
/* What libmicrohttpd has for a connection besides its memory for the header. */
#define CONNECTION_EXTRA ((size_t)1024)
#define DRAIN_STEP_US 2000
/* For the I/O threads to take what has come already. */
#define LAST_ACCEPT_NS NS_PER_S

/* As many descriptors as the system lets us have, and no more connections. */
static unsigned raise_descriptors(unsigned wanted)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return wanted;
    if (limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
        getrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= (rlim_t)wanted + RESERVED_DESCRIPTORS)
        return wanted;
    unsigned possible = limit.rlim_cur > 2 * RESERVED_DESCRIPTORS
                            ? (unsigned)limit.rlim_cur - RESERVED_DESCRIPTORS
                            : (unsigned)limit.rlim_cur / 2;
    log_warning("http.max_connections is %u, but the limit of open files (%llu) allows %u", wanted,
                (unsigned long long)limit.rlim_cur, possible);
    return possible;
}

/* ---- life ---- */

static unsigned io_threads(const struct config *config)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    if (config->http.threads > 0)
        return config->http.threads;
    return processors < 1 ? 1 : processors > 4 ? 4 : (unsigned)processors;
}

static void http_free(struct http *http)
{
    /* The I/O threads first: they hand sockets to the streams' thread. */
    for (unsigned i = 0; i < http->io_count; i++)
        io_stop(&http->io[i]);
    if (http->streams != NULL)
        streams_stop(http->streams);
    sockets_close(http);
    free(http->io);
    config_unref(http->config);
    free(http);
}

struct http *http_open(struct config *config, struct mcp *mcp, const struct activation *activation,
                       struct error *err)
{
    struct http *http = calloc(1, sizeof *http);

    if (http == NULL) {
        error_no_memory(err);
        return NULL;
    }
    http->config = config_ref(config);
    http->mcp = mcp;
    http->max_connections = raise_descriptors(config->http.max_connections);
    http->connection_cost = config->http.max_header_bytes + sizeof(struct connection) +
                            sizeof(struct exchange) + CONNECTION_EXTRA;
    if (sockets_open(http, activation, err))
        return http;
    http_free(http);
    return NULL;
}

bool http_start(struct http *http, struct error *err)
{
    unsigned count = io_threads(http->config);

    http->streams = streams_start(http, err);
    http->io = calloc(count, sizeof *http->io);
    if (http->streams == NULL || http->io == NULL)
        return false;
    for (unsigned i = 0; i < count; i++) {
        http->io_count++;
        if (!io_open(&http->io[i], http, err) || !io_start(&http->io[i], i, err))
            return false;
    }
    sockets_tell(http);
    return true;
}

void http_stop_accepting(struct http *http)
{
    int64_t until = clock_now() + LAST_ACCEPT_NS;

    atomic_store(&http->draining, true);
    for (unsigned i = 0; i < http->io_count; i++) {
        atomic_store(&http->io[i].accepting, false);
        io_wake(&http->io[i]);
    }
    /* Who has connected is served: only then the door is shut. */
    while (atomic_load(&http->draining_threads) < http->io_count && clock_now() < until)
        usleep(DRAIN_STEP_US);
    sockets_shut(http);
}

bool http_drain(struct http *http, int64_t deadline_ns)
{
    while (atomic_load(&http->working) > 0 || atomic_load(&http->connections) > 0) {
        if (clock_now() >= deadline_ns)
            return false;
        usleep(DRAIN_STEP_US);
    }
    return true;
}

void http_stop(struct http *http)
{
    http_free(http);
}
