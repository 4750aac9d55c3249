/* SPDX-License-Identifier: MIT */
/*
 * Listening sockets: our own, where the configuration says, or those that the
 * service manager holds for us. Where it passes any, they are what is served:
 * they are open already, and opening another beside them would make a restart
 * lose connections after all. `listen` is then only compared with them.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "transport/exchange.h"

/* An address to look at, and as people write it: "[::1]:8080". */
struct place {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_storage room;
    } address;
    socklen_t size;
    char text[INET6_ADDRSTRLEN + 16];
};

static uint16_t port_of(const struct place *place)
{
    return ntohs(place->address.any.sa_family == AF_INET6 ? place->address.v6.sin6_port
                                                          : place->address.v4.sin_port);
}

static const void *binary_of(const struct place *place, size_t *size)
{
    if (place->address.any.sa_family == AF_INET6) {
        *size = sizeof place->address.v6.sin6_addr;
        return &place->address.v6.sin6_addr;
    }
    *size = sizeof place->address.v4.sin_addr;
    return &place->address.v4.sin_addr;
}

static void write_text(struct place *place)
{
    bool v6 = place->address.any.sa_family == AF_INET6;
    char address[INET6_ADDRSTRLEN] = "?";
    size_t size;

    inet_ntop(place->address.any.sa_family, binary_of(place, &size), address, sizeof address);
    snprintf(place->text, sizeof place->text, "%s%s%s:%u", v6 ? "[" : "", address, v6 ? "]" : "",
             port_of(place));
}

/* False: it is not numeric. */
static bool place_of_listen(const struct config_listen *listen, struct place *out)
{
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, listen->address, &out->address.v4.sin_addr) == 1) {
        out->address.v4.sin_family = AF_INET;
        out->address.v4.sin_port = htons(listen->port);
        out->size = sizeof out->address.v4;
    } else if (inet_pton(AF_INET6, listen->address, &out->address.v6.sin6_addr) == 1) {
        out->address.v6.sin6_family = AF_INET6;
        out->address.v6.sin6_port = htons(listen->port);
        out->size = sizeof out->address.v6;
    } else {
        return false;
    }
    write_text(out);
    return true;
}

static bool place_of_socket(int fd, struct place *out)
{
    memset(out, 0, sizeof *out);
    out->size = sizeof out->address;
    if (getsockname(fd, &out->address.any, &out->size) != 0 ||
        (out->address.any.sa_family != AF_INET && out->address.any.sa_family != AF_INET6))
        return false;
    write_text(out);
    return true;
}

/* ---- our own ---- */

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
    struct place place;
    int on = 1;

    if (!place_of_listen(listen_on, &place)) {
        error_set(err, "cannot listen on %s: not a numeric IP address", listen_on->address);
        return -1;
    }
    int fd = socket(place.address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        goto failed;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (place.address.any.sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, &place.address.any, place.size) != 0 || listen(fd, SOMAXCONN) != 0)
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

static bool open_own(struct http *http, struct error *err)
{
    for (size_t i = 0; i < http->config->listens; i++) {
        int fd = open_socket(&http->config->listen[i], err);
        if (fd < 0)
            return false;
        http->listen_fds[http->listen_count++] = fd;
    }
    return true;
}

/* ---- those that are passed ---- */

static bool is_loopback(const struct place *place)
{
    if (place->address.any.sa_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&place->address.v6.sin6_addr);
    return ntohl(place->address.v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

static bool allows_remote(const struct config *config)
{
    for (size_t i = 0; i < config->listens; i++)
        if (config->listen[i].allow_remote)
            return true;
    return false;
}

static bool takes_connections(int fd)
{
    int type = 0, listens = 0;
    socklen_t size = sizeof type;

    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM)
        return false;
    size = sizeof listens;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens != 0;
}

static bool take_passed(struct http *http, int fd, const char *name, struct error *err)
{
    struct place place;
    int flags = fcntl(fd, F_GETFL);

    if (!takes_connections(fd) || !place_of_socket(fd, &place))
        return error_set(
            err,
            "descriptor %d, which the service manager passes (LISTEN_FDS, name "
            "\"%s\"), is no TCP socket that listens: mcpd.socket may have ListenStream= "
            "with an address and a port, and nothing else",
            fd, name);
    if (!is_loopback(&place) && !allows_remote(http->config))
        return error_set(
            err,
            "the service manager passes a socket on %s, which other machines can "
            "reach, and mcpd does not ask callers who they are: let mcpd.socket listen "
            "on 127.0.0.1 or ::1, or say so in the configuration, with an entry of "
            "\"listen\" that has this address and \"allow_remote\": true",
            place.text);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
        return error_set(err, "cannot use the socket that the service manager passes on %s: %s",
                         place.text, strerror(errno));
    http->listen_fds[http->listen_count++] = fd;
    return true;
}

/* Port 0 in the configuration means any. */
static bool same_place(const struct place *socket, const struct place *listen)
{
    size_t size, other_size;
    const void *binary = binary_of(socket, &size), *other = binary_of(listen, &other_size);

    return size == other_size && memcmp(binary, other, size) == 0 &&
           (port_of(listen) == 0 || port_of(listen) == port_of(socket));
}

static bool is_in_listen(const struct config *config, const struct place *socket)
{
    struct place place;

    for (size_t i = 0; i < config->listens; i++)
        if (place_of_listen(&config->listen[i], &place) && same_place(socket, &place))
            return true;
    return false;
}

static bool is_passed(const struct http *http, const struct place *listen)
{
    struct place place;

    for (size_t i = 0; i < http->listen_count; i++)
        if (place_of_socket(http->listen_fds[i], &place) && same_place(&place, listen))
            return true;
    return false;
}

/* What is served is what is passed; who expected something else is told. */
static void compare(const struct http *http)
{
    const struct config *config = http->config;
    struct place place;

    for (size_t i = 0; i < http->listen_count; i++)
        if (place_of_socket(http->listen_fds[i], &place) && !is_in_listen(config, &place))
            log_warning("the service manager passes a socket on %s, which \"listen\" does not "
                        "name: it is served, for what is passed counts; make mcpd.socket and "
                        "\"listen\" say the same",
                        place.text);
    for (size_t i = 0; i < config->listens; i++)
        if (place_of_listen(&config->listen[i], &place) && !is_passed(http, &place))
            log_warning("\"listen\" names %s, but the service manager passes no such socket: mcpd "
                        "does not listen there; add ListenStream=%s to mcpd.socket, or take it "
                        "out of \"listen\"",
                        place.text, place.text);
}

static bool use_passed(struct http *http, const struct activation *activation, struct error *err)
{
    for (size_t i = 0; i < activation->count; i++)
        if (!take_passed(http, activation->passed[i].fd, activation->passed[i].name, err))
            return false;
    if (activation->dropped > 0)
        log_warning("the service manager passes %zu sockets more than the %d that mcpd takes",
                    activation->dropped, ACTIVATION_MAX);
    http->passed = true;
    compare(http);
    return true;
}

/* ---- for http.c ---- */

bool sockets_open(struct http *http, const struct activation *activation, struct error *err)
{
    bool pass = activation != NULL && activation->count > 0;

    http->listen_fds =
        calloc(pass ? activation->count : http->config->listens, sizeof *http->listen_fds);
    if (http->listen_fds == NULL)
        return error_no_memory(err);
    return pass ? use_passed(http, activation, err) : open_own(http, err);
}

void sockets_tell(const struct http *http)
{
    struct place place;

    for (size_t i = 0; i < http->listen_count; i++)
        if (place_of_socket(http->listen_fds[i], &place))
            log_notice("listening on %s%s", place.text,
                       http->passed ? " (a socket of the service manager's)" : "");
}

void sockets_shut(const struct http *http)
{
    /* A socket that is passed goes on taking connections, for the next mcpd. */
    if (http->passed)
        return;
    /* From now on connecting fails at once, instead of waiting in vain. */
    for (size_t i = 0; i < http->listen_count; i++)
        shutdown(http->listen_fds[i], SHUT_RDWR);
}

void sockets_close(struct http *http)
{
    for (size_t i = 0; i < http->listen_count; i++)
        close(http->listen_fds[i]);
    free(http->listen_fds);
}
