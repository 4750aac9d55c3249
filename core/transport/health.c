/* SPDX-License-Identifier: MIT */
/* The paths of the server's own, for those who watch over it. Who may ask is what
 * filter.c says, as for /mcp; what plugins said of themselves is for this machine. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "transport/exchange.h"

#define ANSWER_MAX ((size_t)4 << 20)

static bool is_loopback(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_UNIX)
        return true;
    if (address->ss_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) >> 24 ==
               IN_LOOPBACKNET;
    if (address->ss_family != AF_INET6)
        return false;
    const struct in6_addr *six = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(six) ||
           (IN6_IS_ADDR_V4MAPPED(six) && six->s6_addr[12] == IN_LOOPBACKNET);
}

static bool is_of_this_machine(const struct connection *connection)
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t size = sizeof address;

    return getpeername(connection->fd, (struct sockaddr *)&address, &size) == 0 &&
           is_loopback(&address);
}

static void send_text(struct exchange *ex, int status, struct buf *text)
{
    struct answer answer = {.status = status};

    ex->message.takes_stream = false; /* whatever Accept says */
    answer.head = buf_detach(text, &answer.head_size);
    if (answer.head == NULL)
        answer.status = 500;
    ex->reply.ops->send(&ex->reply, &answer);
}

void health_answer(const struct connection *connection, struct exchange *ex)
{
    bool ending = connection->target == TARGET_READYZ && atomic_load(&ex->http->ending);
    int status = ending ? 503 : 200;
    struct buf text;

    buf_init(&text, ANSWER_MAX);
    if (connection->target == TARGET_HEALTH) {
        status = mcp_health(ex->http->mcp, &connection->io->reader, is_of_this_machine(connection),
                            &text);
    } else {
        ex->content_type = "text/plain";
        ex->close |= ending; /* the next one is to look for another server */
        buf_add_bytes(&text, ending ? BYTES("ending\n") : BYTES("ok\n"));
    }
    send_text(ex, status, &text);
}
