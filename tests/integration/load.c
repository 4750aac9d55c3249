/* SPDX-License-Identifier: MIT */
/*
 * load: calls a tool over keep-alive connections, one call at a time on each,
 * and checks every answer. Node.js is too slow for this.
 *
 *   load PORT CONNECTIONS PAUSE_MS TOOL ARGUMENTS EXPECTED [...]
 *
 * ARGUMENTS is a JSON object. Connections take the tools in turn. An answer must be 200 and contain
 * EXPECTED. Where EXPECTED is "stamp=", a number follows it: the version of the
 * plugin that answered, which must be neither older than what was known when
 * the call began nor newer than anything that has been installed. What is known
 * comes from two places: any answer with a higher number, and lines on standard
 * input: "floor N" (version N is certainly served), "ceiling N" (version N is
 * about to be installed), "stop". Times count from "record 1" to "record 0" when
 * these are given. At the end it prints one line of JSON.
 *
 * After "retry 1" a call is made again when its connection was kept from an earlier
 * one and was closed without a byte of an answer, as any client may (RFC 9112, 9.3.1):
 * that counts as "retried". On a new connection it is a failure.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MAX 65536
#define TOOLS_MAX 8
#define SLOTS 100000 /* of the histogram, 10 µs each */

struct tool {
    char *request;
    size_t request_size;
    const char *expected;
    bool stamped;
};

struct connection {
    int fd;
    const struct tool *tool;
    long floor; /* what was known when the call began */
    double began; /* seconds; of the call, or when the next one may begin */
    bool waiting; /* for its pause to end */
    bool used; /* it has brought an answer */
    size_t size;
    char answer[ANSWER_MAX];
};

static struct tool tools[TOOLS_MAX];
static size_t tool_count;
static struct connection *connections;
static size_t connection_count;
static struct sockaddr_in address;
static int epoll_fd;

static long known, ceiling = -1; /* versions */
static unsigned long calls, recorded, failed, wrong;
static bool recording = true, retrying;
static unsigned long retried, opened;
static unsigned long histogram[SLOTS];
static double longest;
static char first_error[600];

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

__attribute__((format(printf, 2, 3))) static void fail(unsigned long *counter, const char *format,
                                                       ...)
{
    (*counter)++;
    if (first_error[0] != '\0')
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(first_error, sizeof first_error, format, args);
    va_end(args);
    for (char *c = first_error; *c != '\0'; c++)
        if (*c == '"' || *c == '\\' || (unsigned char)*c < ' ')
            *c = '\'';
}

static void make_tool(const char *name, const char *arguments, const char *expected, int port)
{
    struct tool *tool = &tools[tool_count++];
    char *body;

    tool->expected = expected;
    tool->stamped = strcmp(expected, "stamp=") == 0;
    int body_size = asprintf(
        &body,
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"%s\","
        "\"arguments\":%s,\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","
        "\"io.modelcontextprotocol/clientCapabilities\":{}}}}",
        name, arguments);
    int size = asprintf(&tool->request,
                        "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
                        "Content-Type: application/json\r\nAccept: application/json\r\n"
                        "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\n"
                        "Mcp-Name: %s\r\nContent-Length: %d\r\n\r\n%s",
                        port, name, body_size, body);
    if (body_size < 0 || size < 0)
        exit(2);
    free(body);
    tool->request_size = (size_t)size;
}

static void connect_one(struct connection *c)
{
    const int on = 1;

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address) != 0) {
        fail(&failed, "connect: %s", strerror(errno));
        if (c->fd >= 0)
            close(c->fd);
        c->fd = -1;
        c->waiting = true;
        c->began = now() + 0.05;
        return;
    }
    c->used = false;
    opened++;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event);
}

static void drop(struct connection *c)
{
    close(c->fd);
    c->fd = -1;
    c->waiting = true;
}

/* True: the call is made again. */
static bool retry(struct connection *c)
{
    if (!retrying || !c->used || c->size > 0 || c->waiting)
        return false;
    retried++;
    drop(c);
    c->began = 0;
    return true;
}

static void begin(struct connection *c)
{
    if (c->fd < 0)
        connect_one(c);
    if (c->fd < 0)
        return;
    c->waiting = false;
    c->size = 0;
    c->floor = known;
    c->began = now();
    if (send(c->fd, c->tool->request, c->tool->request_size, MSG_NOSIGNAL) !=
            (ssize_t)c->tool->request_size &&
        !retry(c)) {
        fail(&failed, "write: %s", strerror(errno));
        drop(c);
    }
}

static void check_stamp(const struct connection *c, const char *body)
{
    const char *stamp = strstr(body, "stamp=");
    long version = strtol(stamp + 6, NULL, 10);

    if (version < c->floor)
        fail(&wrong, "an answer from version %ld, but %ld was served before the call began",
             version, c->floor);
    else if (ceiling >= 0 && version > ceiling)
        fail(&wrong, "an answer from version %ld, and only %ld was installed", version, ceiling);
    if (version > known)
        known = version;
}

static void finished(struct connection *c, const char *body)
{
    double took = now() - c->began;
    size_t slot = (size_t)(took * 1e5);

    calls++;
    if (recording) {
        recorded++;
        histogram[slot < SLOTS ? slot : SLOTS - 1]++;
        if (took > longest)
            longest = took;
    }
    if (strncmp(c->answer, "HTTP/1.1 200 ", 13) != 0)
        fail(&failed, "%.12s: %s", c->answer, body);
    else if (strstr(body, c->tool->expected) == NULL || strstr(body, "\"isError\":true") != NULL)
        fail(&failed, "no %s in %s", c->tool->expected, body);
    else if (c->tool->stamped)
        check_stamp(c, body);
    c->waiting = c->used = true;
    if (strcasestr(c->answer, "\r\nConnection: close\r\n") != NULL)
        drop(c);
}

static void readable(struct connection *c)
{
    ssize_t size = read(c->fd, c->answer + c->size, ANSWER_MAX - 1 - c->size);

    if (size < 0 && errno == EAGAIN)
        return;
    if (size <= 0 && retry(c))
        return;
    if (size <= 0) {
        if (!c->waiting)
            fail(&failed, "the connection was closed in place of an answer (%s)",
                 size < 0 ? strerror(errno) : "end");
        close(c->fd);
        c->fd = -1;
        c->waiting = true;
        c->began = now();
        return;
    }
    c->size += (size_t)size;
    c->answer[c->size] = '\0';
    char *end = strstr(c->answer, "\r\n\r\n");
    if (end == NULL)
        return;
    char *length = strcasestr(c->answer, "\r\nContent-Length:");
    if (length == NULL || length > end) {
        fail(&failed, "an answer without Content-Length: %.200s", c->answer);
        close(c->fd);
        c->fd = -1;
        c->waiting = true;
        return;
    }
    if ((size_t)(c->answer + c->size - (end + 4)) >= strtoul(length + 17, NULL, 10))
        finished(c, end + 4);
}

/* Commands; false at "stop" or the end of standard input. */
static bool command(void)
{
    static char line[4096];
    static size_t size;
    ssize_t got = read(0, line + size, sizeof line - 1 - size);

    if (got <= 0)
        return false;
    size += (size_t)got;
    line[size] = '\0';
    for (char *end; (end = strchr(line, '\n')) != NULL;) {
        *end = '\0';
        long number = 0;
        if (strcmp(line, "stop") == 0)
            return false;
        if (sscanf(line, "floor %ld", &number) == 1 && number > known)
            known = number;
        else if (sscanf(line, "ceiling %ld", &number) == 1)
            ceiling = number;
        else if (sscanf(line, "record %ld", &number) == 1)
            recording = number != 0;
        else if (sscanf(line, "retry %ld", &number) == 1)
            retrying = number != 0;
        size -= (size_t)(end + 1 - line);
        memmove(line, end + 1, size + 1);
    }
    return true;
}

static double percentile(double part)
{
    unsigned long wanted = (unsigned long)((double)recorded * part), seen = 0;

    for (size_t i = 0; i < SLOTS; i++)
        if ((seen += histogram[i]) > wanted)
            return (double)i / 100;
    return 1000;
}

int main(int argc, char **argv)
{
    if (argc < 7) {
        fprintf(stderr, "usage: load PORT CONNECTIONS PAUSE_MS TOOL ARGUMENTS EXPECTED...\n");
        return 2;
    }
    int port = atoi(argv[1]);
    double pause = atof(argv[3]) / 1000;

    connection_count = (size_t)atoi(argv[2]);
    for (int i = 4; i + 2 < argc && tool_count < TOOLS_MAX; i += 3)
        make_tool(argv[i], argv[i + 1], argv[i + 2], port);
    address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connections = calloc(connection_count, sizeof *connections);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, 0, &event);

    double start = now();
    for (size_t i = 0; i < connection_count; i++) {
        connections[i].tool = &tools[i % tool_count];
        connections[i].fd = -1;
        begin(&connections[i]);
    }
    for (bool running = true; running;) {
        struct epoll_event events[64];
        int count = epoll_wait(epoll_fd, events, 64, 1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr != NULL)
                readable(events[i].data.ptr);
            else if (!command())
                running = false;
        }
        double time = now();
        for (size_t i = 0; running && i < connection_count; i++) {
            struct connection *c = &connections[i];
            if (c->waiting && time - c->began >= pause)
                begin(c);
            else if (!c->waiting && time - c->began > 60) {
                fail(&failed, "no answer after 60 s");
                close(c->fd);
                c->fd = -1;
                c->waiting = true;
                c->began = time;
            }
        }
    }
    printf("{\"calls\":%lu,\"recorded\":%lu,\"retried\":%lu,\"opened\":%lu,\"failed\":%lu,"
           "\"wrong\":%lu,\"seconds\":%.3f,\"p50_"
           "ms\":%.2f,"
           "\"p99_ms\":%.2f,\"max_ms\":%.2f,\"first_error\":\"%s\"}\n",
           calls, recorded, retried, opened, failed, wrong, now() - start, percentile(0.5),
           percentile(0.99), longest * 1000, first_error);
    return failed || wrong ? 1 : 0;
}
