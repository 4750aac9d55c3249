/* SPDX-License-Identifier: MIT */
/* The start and the end of the HTTP transport. */
#include "transport/http.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "transport/exchange.h"

/* Descriptors that are free for what comes later, besides as many as are open when all
 * providers run: while one is replaced, the old and the new one are both open. */
#define SPARE_DESCRIPTORS 192
/* What libmicrohttpd has for a connection besides its memory for the header. */
#define CONNECTION_EXTRA ((size_t)1024)
#define DRAIN_STEP_US 2000
/* For the I/O threads to take what has come already. */
#define LAST_ACCEPT_NS NS_PER_S

/* ---- descriptors ---- */

/* As many as the system lets us have: before providers need them. */
static void raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* Without /proc 0: then SPARE_DESCRIPTORS are all that is left to others. */
static rlim_t open_descriptors(void)
{
    DIR *list = opendir("/proc/self/fd");
    rlim_t count = 0;

    if (list == NULL)
        return 0;
    for (const struct dirent *entry; (entry = readdir(list)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(list);
    return count - 1; /* the list's own */
}

/* What is free, less what others may need, but half of it at least. */
static unsigned possible_connections(unsigned wanted)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return wanted;
    rlim_t used = open_descriptors(), reserve = used + SPARE_DESCRIPTORS;
    rlim_t left = limit.rlim_cur > used ? limit.rlim_cur - used : 0;
    rlim_t possible = left > 2 * reserve ? left - reserve : left / 2;
    if (possible >= wanted)
        return wanted;
    log_warning("http.max_connections is %u, but the limit of open files (%llu, of which %llu are "
                "open) allows %llu: raise LimitNOFILE= or ulimit -n, or lower "
                "http.max_connections",
                wanted, (unsigned long long)limit.rlim_cur, (unsigned long long)used,
                (unsigned long long)possible);
    return (unsigned)possible;
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
    raise_limit();
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

    /* Only now is it known what the providers have open. */
    http->max_connections = possible_connections(http->config->http.max_connections);
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

void http_announce_end(struct http *http)
{
    atomic_store(&http->ending, true);
}

void http_stop_accepting(struct http *http)
{
    int64_t until = clock_now() + LAST_ACCEPT_NS;

    http_announce_end(http);
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
