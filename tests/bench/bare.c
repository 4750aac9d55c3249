/* SPDX-License-Identifier: MIT */
/*
 * bare: the least that libmicrohttpd and cJSON can do for a request, as the
 * ceiling that mcpd is measured by. It reads a JSON-RPC request, takes its id
 * and params.arguments.text out with cJSON, and answers the same bytes as mcpd:
 * a template in which @ID@ and @TEXT@ stand for the two. One thread drives
 * MHD's epoll descriptor from a loop of its own, for MHD's own loop stalls with
 * 128 ready connections.
 *
 *   bare inline FILE            answers on the I/O thread
 *   bare worker FILE THREADS    suspends, has a worker make the answer, resumes
 *   bare stored FILE            sends FILE as it is, whatever was asked
 *   bare stored-parsed FILE     the same after reading the request with cJSON
 *
 * Prints "listening on PORT".
 */
#include <cjson/cJSON.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

enum mode { INLINE, WORKER, STORED, STORED_PARSED };

struct exchange {
    struct MHD_Connection *connection;
    size_t size;
    char body[2048]; /* the bench's requests are smaller */
    char *answer; /* made by a worker */
    struct exchange *next;
};

static enum mode mode;
static char *template;
static size_t template_size;
static struct MHD_Response *stored;
static int wake_fd;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static struct exchange *first, **last = &first;

static char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    char *text = malloc(16 << 20);

    if (file == NULL || text == NULL) {
        perror(path);
        exit(1);
    }
    *size = fread(text, 1, 16 << 20, file);
    text[*size] = '\0';
    fclose(file);
    return text;
}

/* The template with the request's id and text in it; NULL: not what we expect. */
static char *make_answer(const struct exchange *exchange)
{
    cJSON *request = cJSON_ParseWithLength(exchange->body, exchange->size);
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(request, "id");
    const cJSON *method = cJSON_GetObjectItemCaseSensitive(request, "method");
    const cJSON *params = cJSON_GetObjectItemCaseSensitive(request, "params");
    const cJSON *arguments = cJSON_GetObjectItemCaseSensitive(params, "arguments");
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(arguments, "text");
    char *answer = NULL;

    if (cJSON_IsNumber(id) && cJSON_IsString(method) && cJSON_IsString(text)) {
        char number[32];
        int digits = snprintf(number, sizeof number, "%.0f", id->valuedouble);
        const char *at_id = strstr(template, "@ID@"), *at_text = strstr(template, "@TEXT@");
        answer = malloc(template_size + (size_t)digits + strlen(text->valuestring));
        if (answer != NULL)
            sprintf(answer, "%.*s%s%.*s%s%s", (int)(at_id - template), template, number,
                    (int)(at_text - at_id - 4), at_id + 4, text->valuestring, at_text + 6);
    }
    cJSON_Delete(request);
    return answer;
}

static enum MHD_Result send_response(struct MHD_Connection *connection, unsigned status,
                                     struct MHD_Response *response, bool ours)
{
    if (ours)
        MHD_add_response_header(response, "Content-Type", "application/json");
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    if (ours)
        MHD_destroy_response(response);
    return result;
}

static enum MHD_Result send_answer(struct MHD_Connection *connection, char *answer)
{
    if (answer == NULL)
        return send_response(
            connection, 400,
            MHD_create_response_from_buffer(2, (void *)"{}", MHD_RESPMEM_PERSISTENT), true);
    return send_response(
        connection, 200,
        MHD_create_response_from_buffer(strlen(answer), answer, MHD_RESPMEM_MUST_FREE), true);
}

static void hand_over(struct exchange *exchange)
{
    MHD_suspend_connection(exchange->connection);
    pthread_mutex_lock(&mutex);
    exchange->next = NULL;
    *last = exchange;
    last = &exchange->next;
    pthread_cond_signal(&more);
    pthread_mutex_unlock(&mutex);
}

static void *work(void *argument)
{
    for (;;) {
        pthread_mutex_lock(&mutex);
        while (first == NULL)
            pthread_cond_wait(&more, &mutex);
        struct exchange *exchange = first;
        first = exchange->next;
        if (first == NULL)
            last = &first;
        pthread_mutex_unlock(&mutex);
        exchange->answer = make_answer(exchange);
        MHD_resume_connection(exchange->connection);
        if (eventfd_write(wake_fd, 1) != 0)
            perror("eventfd");
    }
    return argument;
}

static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *size, void **state)
{
    struct exchange *exchange = *state;

    (void)context, (void)url, (void)version;
    if (exchange == NULL) {
        if (strcmp(method, "POST") != 0)
            return MHD_NO;
        *state = exchange = malloc(sizeof *exchange);
        if (exchange == NULL)
            return MHD_NO;
        exchange->connection = connection;
        exchange->size = 0;
        exchange->answer = NULL;
        return MHD_YES;
    }
    if (*size > 0) {
        if (exchange->size + *size > sizeof exchange->body)
            return MHD_NO;
        memcpy(exchange->body + exchange->size, data, *size);
        exchange->size += *size;
        *size = 0;
        return MHD_YES;
    }
    switch (mode) {
    case INLINE:
        return send_answer(connection, make_answer(exchange));
    case WORKER:
        if (exchange->answer == NULL) {
            hand_over(exchange);
            return MHD_YES;
        }
        return send_answer(connection, exchange->answer);
    case STORED_PARSED:
        cJSON_Delete(cJSON_ParseWithLength(exchange->body, exchange->size));
        return send_response(connection, 200, stored, false);
    case STORED:
        return send_response(connection, 200, stored, false);
    }
    return MHD_NO;
}

static void completed(void *context, struct MHD_Connection *connection, void **state,
                      enum MHD_RequestTerminationCode code)
{
    (void)context, (void)connection, (void)code;
    free(*state);
}

static void loop(struct MHD_Daemon *daemon)
{
    int mhd_fd = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = mhd_fd};

    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, mhd_fd, &event);
    event.data.fd = wake_fd;
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, wake_fd, &event);
    for (;;) {
        struct epoll_event events[2];
        MHD_UNSIGNED_LONG_LONG wait = 1000;
        /* Connections may be ready already, without a new event. */
        if (MHD_get_timeout(daemon, &wait) != MHD_YES || wait > 1000)
            wait = 1000;
        int count = epoll_wait(epoll_fd, events, 2, (int)wait);
        for (int i = 0; i < count; i++) {
            eventfd_t value;
            if (events[i].data.fd == wake_fd)
                eventfd_read(wake_fd, &value);
        }
        MHD_run(daemon);
    }
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"inline", "worker", "stored", "stored-parsed"};
    struct sockaddr_in address = {.sin_family = AF_INET};
    const struct rlimit files = {65536, 65536};

    if (argc < 3) {
        fprintf(stderr, "usage: bare inline|worker|stored|stored-parsed FILE [THREADS]\n");
        return 2;
    }
    while (strcmp(argv[1], names[mode]) != 0)
        if (++mode > STORED_PARSED)
            return 2;
    template = read_file(argv[2], &template_size);
    stored = MHD_create_response_from_buffer(template_size, template, MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(stored, "Content-Type", "application/json");
    signal(SIGPIPE, SIG_IGN);
    setrlimit(RLIMIT_NOFILE, &files);
    wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_TURBO | MHD_USE_ERROR_LOG |
            (mode == WORKER ? MHD_ALLOW_SUSPEND_RESUME : 0),
        0, NULL, NULL, handle, NULL, MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_NOTIFY_COMPLETED,
        completed, NULL, MHD_OPTION_CONNECTION_LIMIT, 20000u, MHD_OPTION_END);
    if (daemon == NULL)
        return 1;
    for (int i = 0; mode == WORKER && i < (argc > 3 ? atoi(argv[3]) : 1); i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, work, NULL);
    }
    printf("listening on %u\n", MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    fflush(stdout);
    loop(daemon);
    return 0;
}
