/* SPDX-License-Identifier: MIT */
/*
 * streams: many clients that cost a server more than they ask.
 *
 *   streams listen PORT COUNT   opens COUNT subscriptions/listen streams and
 *                               prints "open" when all are acknowledged; then,
 *                               each time all have been told of a change,
 *                               "told FIRST LAST": when the first and the last
 *                               one was, in ms of CLOCK_MONOTONIC. Ends with
 *                               standard input.
 *   streams slow PORT COUNT     opens COUNT connections that send one header
 *                               line a second; prints "open", and "gone" when
 *                               the server has closed all of them.
 *
 * Source addresses are 127.0.0.2 and up, a thousand connections each.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct stream {
    int fd;
    unsigned acknowledged, told;
    size_t kept; /* the end of what was read, for words cut in two */
    char tail[512];
};

static struct stream *streams;
static int count, acknowledged, gone;
static int epoll_fd;

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void die(const char *what)
{
    fprintf(stderr, "streams: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void open_one(int i, int port, bool listen)
{
    struct sockaddr_in from = {.sin_family = AF_INET}, to = from;
    char body[600], request[1200];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + (uint32_t)i / 1000);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons((uint16_t)port);
    if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof from) != 0 ||
        connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        die("connect");
    int size =
        snprintf(body, sizeof body,
                 "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"subscriptions/listen\",\"params\":{"
                 "\"notifications\":{\"toolsListChanged\":true},\"_meta\":{"
                 "\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","
                 "\"io.modelcontextprotocol/clientCapabilities\":{}}}}",
                 i);
    if (listen)
        size =
            snprintf(request, sizeof request,
                     "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                     "Accept: application/json, text/event-stream\r\n"
                     "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: subscriptions/listen\r\n"
                     "Content-Length: %d\r\n\r\n%s",
                     size, body);
    else
        size = snprintf(request, sizeof request, "POST /mcp HTTP/1.1\r\nHost: localhost\r\n");
    if (write(fd, request, (size_t)size) != size)
        die("write");
    fcntl(fd, F_SETFL, O_NONBLOCK);
    streams[i].fd = fd;
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.u32 = (uint32_t)i};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

/* How often `word` begins in the new part of `text`. */
static unsigned occurrences(const char *text, const char *word)
{
    unsigned n = 0;
    while ((text = strstr(text, word)) != NULL) {
        n++;
        text += strlen(word);
    }
    return n;
}

static void readable(struct stream *stream)
{
    char text[8192 + sizeof stream->tail];

    memcpy(text, stream->tail, stream->kept);
    ssize_t size = read(stream->fd, text + stream->kept, 8191);
    if (size < 0 && errno == EAGAIN)
        return;
    if (size <= 0) {
        epoll_ctl(epoll_fd, EPOLL_CTL_DEL, stream->fd, NULL);
        close(stream->fd);
        stream->fd = -1;
        gone++;
        return;
    }
    size_t all = stream->kept + (size_t)size;
    text[all] = '\0';
    unsigned acks = occurrences(text, "subscriptions/acknowledged");
    if (acks > 0 && stream->acknowledged == 0) {
        stream->acknowledged = 1;
        acknowledged++;
    }
    unsigned changes = occurrences(text, "tools/list_changed");
    stream->told += changes;
    /* Keep an unfinished line, unless a word in it has been counted. */
    const char *line = memrchr(text, '\n', all);
    line = line == NULL ? text : line + 1;
    size_t rest = (size_t)(text + all - line);
    stream->kept = 0;
    if (rest < sizeof stream->tail && occurrences(line, "acknowledged") == 0 &&
        occurrences(line, "list_changed") == 0) {
        memcpy(stream->tail, line, rest);
        stream->kept = rest;
    }
}

static void listen_all(void)
{
    unsigned round = 1;
    double first = 0;
    bool open = false;
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = UINT32_MAX};
    int told = 0;

    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, 0, &event);
    for (;;) {
        struct epoll_event events[512];
        int ready = epoll_wait(epoll_fd, events, 512, -1);
        for (int i = 0; i < ready; i++) {
            char byte;
            if (events[i].data.u32 == UINT32_MAX) {
                if (read(0, &byte, 1) <= 0)
                    return;
                continue;
            }
            struct stream *stream = &streams[events[i].data.u32];
            unsigned before = stream->told;
            readable(stream);
            if (before < round && stream->told >= round && told++ == 0)
                first = now_ms();
        }
        if (gone > 0) {
            printf("lost %d\n", gone);
            fflush(stdout);
            exit(1);
        }
        if (!open && acknowledged == count) {
            open = true;
            printf("open\n");
            fflush(stdout);
        }
        if (told == count) {
            printf("told %.3f %.3f\n", first, now_ms());
            fflush(stdout);
            round++;
            told = 0;
            for (int i = 0; i < count; i++)
                if (streams[i].told >= round)
                    told++;
        }
    }
}

static void be_slow(void)
{
    double next = now_ms() + 1000;

    printf("open\n");
    fflush(stdout);
    while (gone < count) {
        struct epoll_event events[512];
        int wait = (int)(next - now_ms());
        int ready = epoll_wait(epoll_fd, events, 512, wait > 0 ? wait : 0);
        for (int i = 0; i < ready; i++)
            readable(&streams[events[i].data.u32]);
        if (now_ms() < next)
            continue;
        next += 1000;
        for (int i = 0; i < count; i++)
            if (streams[i].fd >= 0)
                (void)!send(streams[i].fd, "X-Slow: 1\r\n", 11, MSG_NOSIGNAL);
    }
    printf("gone\n");
}

int main(int argc, char **argv)
{
    const struct rlimit files = {65536, 65536};

    if (argc != 4)
        return 2;
    bool listen = strcmp(argv[1], "listen") == 0;
    int port = atoi(argv[2]);
    count = atoi(argv[3]);
    setrlimit(RLIMIT_NOFILE, &files);
    streams = calloc((size_t)count, sizeof *streams);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < count; i++)
        open_one(i, port, listen);
    if (listen)
        listen_all();
    else
        be_slow();
    return 0;
}
