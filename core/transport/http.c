/* SPDX-License-Identifier: MIT */
/* Listening sockets, and the start and the end of the HTTP transport. */
#include "transport/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "transport/exchange.h"

/* Descriptors that are not for connections: plugins, their files, logs. */
#define RESERVED_DESCRIPTORS 256
#define DRAIN_STEP_US 2000

/* ---- sockets ---- */

static bool to_sockaddr(const struct config_listen *listen, struct sockaddr_storage *out,
                        socklen_t *size)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)out;

    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, listen->address, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(listen->port);
        *size = sizeof *v4;
        return true;
    }
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(listen->port);
    *size = sizeof *v6;
    return inet_pton(AF_INET6, listen->address, &v6->sin6_addr) == 1;
}

static uint16_t bound_port(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address = {.any = {.sa_family = AF_UNSPEC}};
    socklen_t size = sizeof address;

    if (getsockname(fd, &address.any, &size) != 0)
        return 0;
    return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}

static const char *way_out(int error)
{
    switch (error) {
    case EADDRINUSE:
        return "; another program has it (`ss -ltnp` tells which): stop that, or choose another "
               "with --listen";
    case EACCES:
        return "; ports below 1024 need CAP_NET_BIND_SERVICE: choose a higher one";
    case EADDRNOTAVAIL:
        return "; this machine has no such address (`ip address` lists them)";
    default:
        return "";
    }
}

static int open_socket(const struct config_listen *listen_on, struct error *err)
{
    struct sockaddr_storage address;
    socklen_t size;
    int on = 1;

    if (!to_sockaddr(listen_on, &address, &size)) {
        error_set(err, "cannot listen on %s: not a numeric IP address", listen_on->address);
        return -1;
    }
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        goto failed;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address.ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, SOMAXCONN) != 0)
        goto failed;
    return fd;
failed:;
    int error = errno;
    error_set(err, "cannot listen on %s port %u: %s%s", listen_on->address, listen_on->port,
              strerror(error), way_out(error));
    if (fd >= 0)
        close(fd);
    return -1;
}

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
    for (size_t i = 0; i < http->listen_count; i++)
        close(http->listen_fds[i]);
    free(http->listen_fds);
    free(http->io);
    config_unref(http->config);
    free(http);
}

struct http *http_open(struct config *config, struct mcp *mcp, struct error *err)
{
    struct http *http = calloc(1, sizeof *http);

    if (http == NULL) {
        error_set(err, "out of memory");
        return NULL;
    }
    http->config = config_ref(config);
    http->mcp = mcp;
    http->max_connections = raise_descriptors(config->http.max_connections);
    http->listen_fds = calloc(config->listens, sizeof *http->listen_fds);
    if (http->listen_fds == NULL)
        goto failed;
    for (size_t i = 0; i < config->listens; i++) {
        int fd = open_socket(&config->listen[i], err);
        if (fd < 0)
            goto failed;
        http->listen_fds[http->listen_count++] = fd;
    }
    return http;
failed:
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
    for (size_t i = 0; i < http->listen_count; i++) {
        const char *address = http->config->listen[i].address;
        bool v6 = strchr(address, ':') != NULL;
        log_notice("listening on %s%s%s:%u", v6 ? "[" : "", address, v6 ? "]" : "",
                   bound_port(http->listen_fds[i]));
    }
    return true;
}

void http_stop_accepting(struct http *http)
{
    for (unsigned i = 0; i < http->io_count; i++) {
        atomic_store(&http->io[i].accepting, false);
        io_wake(&http->io[i]);
    }
    /* From now on connecting fails at once, instead of waiting in vain. */
    for (size_t i = 0; i < http->listen_count; i++)
        shutdown(http->listen_fds[i], SHUT_RDWR);
}

bool http_drain(struct http *http, int64_t deadline_ns)
{
    while (atomic_load(&http->working) > 0) {
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
