/* SPDX-License-Identifier: MIT */
/*
 * pressure: clients that ask for more than there is, or do not do their part.
 *
 *   pressure offer PORT RATE SECONDS CONNECTIONS FILE
 *       Sends the request in FILE, RATE times a second, whether or not the ones before
 *       have been answered, over at most CONNECTIONS connections. Prints a line of JSON:
 *       how many were answered, refused (and with what), or never answered; and times
 *       from when a request was due, in ms.
 *   pressure mute PORT COUNT FILE
 *       COUNT connections that send the request in FILE and never read. Prints "open"
 *       when all are sent; "gone FIRST LAST" when the server has ended all, in ms after
 *       "open"; at the end of standard input "left N", if it has not.
 *   pressure half PORT COUNT FILE
 *       COUNT connections that send half of FILE and then nothing. The same lines.
 *   pressure reset PORT COUNT FILE
 *       COUNT times: connects, sends half of FILE, resets the connection. Prints "done".
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MAX 16384
#define SLOTS 20000 /* of a histogram, 1 ms each */

static struct sockaddr_in address;
static char request[8 << 20];
static size_t request_size;
static int epoll_fd;

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void die(const char *what)
{
    fprintf(stderr, "pressure: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void read_request(const char *file)
{
    FILE *in = fopen(file, "rb");

    if (in == NULL)
        die(file);
    request_size = fread(request, 1, sizeof request, in);
    fclose(in);
}

static int connect_one(bool small)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1, size = 4096;

    if (fd < 0)
        die("socket");
    if (small)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static void watch(int fd, uint32_t events, void *what)
{
    struct epoll_event event = {.events = events, .data.ptr = what};

    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
        die("epoll_ctl");
}

/* ---- offer ---- */

struct kind {
    unsigned long count;
    unsigned long histogram[SLOTS];
    double longest;
};

struct client {
    int fd; /* -1: not connected */
    double due; /* 0: it is free */
    size_t size;
    char answer[ANSWER_MAX];
};

static struct kind answered, busy, unavailable; /* 200; 200 with -32000; 503 */
static unsigned long other, lost, refused_connections, untold; /* without when to come back */
static char first_other[200];
static struct client *clients;
static int client_count;

static void count(struct kind *kind, double ms)
{
    size_t slot = ms < 0 ? 0 : (size_t)ms;

    kind->count++;
    kind->histogram[slot < SLOTS ? slot : SLOTS - 1]++;
    if (ms > kind->longest)
        kind->longest = ms;
}

static double percentile(const struct kind *kind, double part)
{
    unsigned long wanted = (unsigned long)((double)kind->count * part), seen = 0;

    for (size_t i = 0; i < SLOTS; i++)
        if ((seen += kind->histogram[i]) > wanted)
            return (double)i;
    return 0;
}

static void drop(struct client *client)
{
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
    client->due = 0;
    client->size = 0;
}

static void judge(const struct client *client)
{
    double ms = now_ms() - client->due;
    bool told = strcasestr(client->answer, "\r\nRetry-After: ") != NULL &&
                strstr(client->answer, "\"retryAfterSeconds\":") != NULL;

    if (strncmp(client->answer, "HTTP/1.1 503 ", 13) == 0) {
        count(&unavailable, ms);
        untold += !told;
    } else if (strncmp(client->answer, "HTTP/1.1 200 ", 13) == 0 &&
               strstr(client->answer, "\"code\":-32000") != NULL) {
        count(&busy, ms);
        untold += !told;
    } else if (strncmp(client->answer, "HTTP/1.1 200 ", 13) == 0 &&
               strstr(client->answer, "\"result\"") != NULL) {
        count(&answered, ms);
    } else if (other++ == 0) {
        snprintf(first_other, sizeof first_other, "%.199s", client->answer);
    }
}

static void readable(struct client *client)
{
    ssize_t size = read(client->fd, client->answer + client->size, ANSWER_MAX - 1 - client->size);

    if (size < 0 && errno == EAGAIN)
        return;
    if (size <= 0) {
        lost += client->due > 0;
        drop(client);
        return;
    }
    client->size += (size_t)size;
    client->answer[client->size] = '\0';
    const char *end = strstr(client->answer, "\r\n\r\n");
    const char *length = strcasestr(client->answer, "\r\nContent-Length:");
    if (end == NULL || length == NULL ||
        client->size - (size_t)(end + 4 - client->answer) < strtoul(length + 17, NULL, 10))
        return;
    judge(client);
    client->due = 0;
    client->size = 0;
    if (strcasestr(client->answer, "\r\nConnection: close\r\n") != NULL)
        drop(client);
}

/* False: all are waiting. */
static bool offer_one(double due)
{
    static int next;
    int i = 0;

    while (i < client_count && clients[next].due > 0) {
        next = (next + 1) % client_count;
        i++;
    }
    if (i == client_count)
        return false;
    struct client *client = &clients[next];
    next = (next + 1) % client_count;
    if (client->fd < 0) {
        client->fd = connect_one(false);
        if (client->fd < 0) {
            refused_connections++;
            return true;
        }
        fcntl(client->fd, F_SETFL, O_NONBLOCK);
        watch(client->fd, EPOLLIN, client);
    }
    client->due = due;
    if (send(client->fd, request, request_size, MSG_NOSIGNAL) != (ssize_t)request_size) {
        lost++;
        drop(client);
    }
    return true;
}

static void print_kind(const char *name, const struct kind *kind)
{
    printf("\"%s\":{\"count\":%lu,\"p50\":%.0f,\"p99\":%.0f,\"max\":%.0f},", name, kind->count,
           percentile(kind, 0.5), percentile(kind, 0.99), kind->longest);
}

static unsigned long waiting(void)
{
    unsigned long n = 0;

    for (int i = 0; i < client_count; i++)
        n += clients[i].due > 0;
    return n;
}

static void offer(double rate, double seconds, int connections)
{
    double start = now_ms(), end = start + seconds * 1e3;
    unsigned long offered = 0;

    clients = calloc((size_t)connections, sizeof *clients);
    client_count = connections;
    for (int i = 0; i < connections; i++)
        clients[i].fd = -1;
    while (now_ms() < end || (waiting() > 0 && now_ms() < end + 20000)) {
        struct epoll_event events[256];
        int got = epoll_wait(epoll_fd, events, 256, 1);
        for (int i = 0; i < got; i++)
            readable(events[i].data.ptr);
        for (double now = now_ms(); now < end && start + (double)offered / rate * 1e3 <= now;
             offered++)
            if (!offer_one(start + (double)offered / rate * 1e3))
                break;
    }
    printf("{\"offered\":%lu,", offered);
    print_kind("answered", &answered);
    print_kind("busy", &busy);
    print_kind("unavailable", &unavailable);
    for (char *c = first_other; *c != '\0'; c++)
        if (*c == '"' || *c == '\\' || (unsigned char)*c < ' ')
            *c = '\'';
    printf("\"other\":%lu,\"first_other\":\"%s\",\"lost\":%lu,\"never\":%lu,\"untold\":%lu,"
           "\"refused_connections\":%lu,\"seconds\":%.1f}\n",
           other, first_other, lost, waiting(), untold, refused_connections,
           (now_ms() - start) / 1e3);
}

/* ---- mute, half, reset ---- */

/* True: the server has ended it. Nothing is read for that. */
static void wait_for_end(int total)
{
    double start = now_ms(), first = 0;
    int left = total;

    printf("open\n");
    fflush(stdout);
    watch(0, EPOLLIN, NULL);
    while (left > 0) {
        struct epoll_event events[256];
        int got = epoll_wait(epoll_fd, events, 256, -1);
        for (int i = 0; i < got; i++) {
            if (events[i].data.ptr == NULL) {
                printf("left %d\n", left);
                return;
            }
            int fd = *(int *)events[i].data.ptr;
            close(fd);
            if (left == total)
                first = now_ms() - start;
            left--;
        }
    }
    printf("gone %.0f %.0f\n", first, now_ms() - start);
}

static void many(int total, size_t size, bool reset)
{
    const struct linger none = {.l_onoff = 1, .l_linger = 0};
    int *fds = calloc((size_t)total, sizeof *fds);

    for (int i = 0; i < total; i++) {
        fds[i] = connect_one(true);
        if (fds[i] < 0 || send(fds[i], request, size, MSG_NOSIGNAL) != (ssize_t)size)
            die("cannot send");
        if (reset) {
            setsockopt(fds[i], SOL_SOCKET, SO_LINGER, &none, sizeof none);
            close(fds[i]);
        } else {
            watch(fds[i], EPOLLRDHUP | EPOLLHUP | EPOLLERR, &fds[i]);
        }
    }
    if (reset)
        printf("done\n");
    else
        wait_for_end(total);
    free(fds);
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";

    if (argc < 5)
        return 2;
    address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[2]))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    read_request(argv[argc - 1]);
    if (strcmp(mode, "offer") == 0 && argc == 7)
        offer(atof(argv[3]), atof(argv[4]), atoi(argv[5]));
    else if (strcmp(mode, "mute") == 0)
        many(atoi(argv[3]), request_size, false);
    else if (strcmp(mode, "half") == 0)
        many(atoi(argv[3]), request_size / 2, false);
    else if (strcmp(mode, "reset") == 0)
        many(atoi(argv[3]), request_size / 2, true);
    else
        return 2;
    return 0;
}
