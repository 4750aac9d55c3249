/* SPDX-License-Identifier: MIT */
/*
 * plugins/http without the daemon, against a server of a few lines on loopback: what its
 * tools are, what they send, how calls end, and where they do not go.
 * tests/integration/gateway.test.mjs and ssrf.test.mjs have the rest, through mcpd.
 */
#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake_host.h"
#include "suite.h"

/* ---- a server that answers once on each connection ---- */

static int listener;
static unsigned port;
static pthread_t thread;
static char request[16384]; /* the last one */
static char answer[65536]; /* empty: none ever */
static atomic_uint requests, open_connections;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void serve_one(int fd)
{
    char data[sizeof(request)] = "", reply[sizeof(answer)];
    size_t size = 0;
    ssize_t got = 1;

    while (strstr(data, "\r\n\r\n") == NULL && size + 1 < sizeof(data) && got > 0) {
        got = read(fd, data + size, sizeof(data) - 1 - size);
        size += got > 0 ? (size_t)got : 0;
        data[size] = '\0';
    }
    if (size == 0)
        return;
    pthread_mutex_lock(&mutex);
    strcpy(request, data);
    strcpy(reply, answer);
    pthread_mutex_unlock(&mutex);
    atomic_fetch_add(&requests, 1);
    if (reply[0] != '\0') {
        ck_assert_int_eq(write(fd, reply, strlen(reply)), (ssize_t)strlen(reply));
    } else {
        while (read(fd, data, sizeof(data)) > 0) {
        }
    }
}

static void *serve(void *context)
{
    (void)context;
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            return NULL;
        atomic_fetch_add(&open_connections, 1);
        serve_one(fd);
        close(fd);
        atomic_fetch_sub(&open_connections, 1);
    }
}

static void will_answer(const char *type, const char *status, const char *body)
{
    pthread_mutex_lock(&mutex);
    snprintf(
        answer, sizeof(answer),
        "HTTP/1.1 %s\r\nConnection: close\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n%s",
        status, type, strlen(body), body);
    pthread_mutex_unlock(&mutex);
}

static void setup(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);

    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(listener, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(listen(listener, 64), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    port = ntohs(address.sin_port);
    answer[0] = '\0';
    atomic_store(&requests, 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, serve, NULL), 0);
}

static void teardown(void)
{
    shutdown(listener, SHUT_RDWR);
    close(listener);
    pthread_join(thread, NULL);
}

#define TOOLS                                                                                      \
    "\"tools\":[{\"name\":\"get\",\"path\":\"/items/{id}{?q}\",\"description\":\"One\"},"          \
    "{\"name\":\"add\",\"method\":\"POST\",\"path\":\"/items\",\"body\":{\"type\":\"object\"}},"   \
    "{\"name\":\"sure\",\"path\":\"/sure\",\"result\":{\"type\":\"object\",\"required\":[\"n\"],"  \
    "\"properties\":{\"n\":{\"type\":\"integer\"}}}}]"

static struct fake_host *start(const char *more)
{
    struct fake_host *host =
        fake_host_new("http", "{\"base_url\":\"http://127.0.0.1:%u/v1\",%s" TOOLS "}", port, more);
    ck_assert_msg(host->running, "%s", host->fail_text);
    return host;
}

static struct fake_host *start_allowed(void)
{
    return start("\"allowed_networks\":[\"127.0.0.0/8\"],\"retries\":0,");
}

/* ---- tests ---- */

START_TEST(tools_of_the_table_are_made_into_requests)
{
    struct fake_host *host = start_allowed();

    ck_assert_uint_eq(host->tool_count, 3);
    will_answer("application/json", "200 OK", "{\"a\":[1,2.50],\"b\":\"\\u00e9\"}");
    struct fake_result *r = fake_call(host, "get", NULL, "{\"id\":\"a/b\",\"q\":\"x&y\"}");
    ck_assert_int_eq(r->end, FAKE_STRUCTURED);
    ck_assert_str_eq(fake_at(r, "/a/1"), "2.50");
    ck_assert_ptr_nonnull(strstr(request, "GET /v1/items/a%2Fb?q=x%26y HTTP/1.1\r\n"));
    fake_result_free(r);
    r = fake_call(host, "add", NULL, "{\"body\":{\"n\":12345678901234567890}}");
    ck_assert_int_eq(r->end, FAKE_STRUCTURED);
    ck_assert_ptr_nonnull(strstr(request, "POST /v1/items HTTP/1.1\r\n"));
    ck_assert_ptr_nonnull(strstr(request, "Content-Type: application/json\r\n"));
    fake_result_free(r);
    fake_host_free(host);
}
END_TEST

START_TEST(what_is_not_there_or_wrong_is_told)
{
    struct fake_host *host = start_allowed();

    fake_assert_failure(fake_call(host, "get", NULL, "{}"), "\"id\" is missing");
    fake_assert_failure(fake_call(host, "get", NULL, "{\"id\":null}"), "\"id\" is missing");
    fake_assert_failure(fake_call(host, "get", NULL, "{\"id\":\"..\"}"), "another place");
    fake_assert_failure(fake_call(host, "get", NULL, "{\"id\":\"\\r\\n\"}"), "control character");
    fake_assert_failure(fake_call(host, "add", NULL, "{}"), "\"body\" is missing");
    ck_assert_uint_eq(atomic_load(&requests), 0);
    will_answer("text/plain", "404 Not Found", "none of them");
    fake_assert_failure(fake_call(host, "get", NULL, "{\"id\":1}"),
                        "HTTP 404 Not Found: none of them");
    will_answer("application/json", "200 OK", "[1]");
    fake_assert_failure(fake_call(host, "sure", NULL, "{}"), "it is not the JSON object");
    will_answer("application/json", "200 OK", "{\"n\":1}");
    struct fake_result *r = fake_call(host, "sure", NULL, "{}");
    ck_assert_str_eq(fake_at(r, "/n"), "1");
    fake_result_free(r);
    fake_host_free(host);
}
END_TEST

START_TEST(a_cancelled_call_ends_at_once_and_lets_go)
{
    struct fake_host *host = start_allowed();
    struct fake_result *r =
        fake_call(host, "get", &(struct fake_options){.cancel_after_ms = 50}, "{\"id\":1}");

    ck_assert(r->cancel_heard);
    ck_assert_int_lt(r->took_ms, 3000);
    fake_assert_failure(r, "cancelled");
    for (int i = 0; i < 500 && atomic_load(&open_connections) > 0; i++)
        usleep(10000);
    ck_assert_uint_eq(atomic_load(&open_connections), 0);
    r = fake_call(host, "get", &(struct fake_options){.cancel_after_ms = -1}, "{\"id\":1}");
    fake_assert_failure(r, "cancelled");
    fake_host_free(host);
}
END_TEST

START_TEST(the_deadline_of_the_call_counts)
{
    struct fake_host *host = start_allowed();
    struct fake_result *r =
        fake_call(host, "get", &(struct fake_options){.deadline_ms = 100}, "{\"id\":1}");

    ck_assert_int_lt(r->took_ms, 3000);
    fake_assert_failure(r, "It took longer than");
    fake_host_free(host);
}
END_TEST

START_TEST(loopback_is_refused_unless_it_is_allowed)
{
    struct fake_host *host = start("");

    fake_assert_failure(fake_call(host, "get", NULL, "{\"id\":1}"),
                        "127.0.0.1 is a loopback address");
    ck_assert_uint_eq(atomic_load(&requests), 0);
    fake_host_free(host);
    host = start("\"allowed_networks\":[\"127.0.0.2\",\"::1\",\"10.0.0.0/8\"],");
    fake_assert_failure(fake_call(host, "get", NULL, "{\"id\":1}"),
                        "127.0.0.1 is a loopback address");
    ck_assert_uint_eq(atomic_load(&requests), 0);
    fake_host_free(host);
    host = start("\"allowed_networks\":[\"::ffff:127.0.0.1\"],");
    will_answer("text/plain", "200 OK", "in");
    struct fake_result *r = fake_call(host, "get", NULL, "{\"id\":1}");
    ck_assert_str_eq(r->text, "in");
    fake_result_free(r);
    fake_host_free(host);
}
END_TEST

START_TEST(configurations_that_cannot_work_are_refused)
{
    fake_assert_wrong("http", "{}", "", "neither");
    fake_assert_wrong("http", "{" TOOLS "}", "", "\"base_url\" is missing");
    fake_assert_wrong("http", "{\"base_url\":\"http://u@h\"," TOOLS "}", "/base_url",
                      "without user");
    fake_assert_wrong("http", "{\"openapi\":\"/nonexistent\"}", "/openapi", "cannot read");
    fake_assert_wrong("http", "{\"openapi\":\"/dev/zero\"}", "/openapi", "no regular file");
    fake_assert_wrong("http",
                      "{\"base_url\":\"http://h\",\"tools\":[{\"name\":\"x\",\"path\":\"/{\"}]}",
                      "/tools/0", "not closed");
    fake_assert_wrong("http",
                      "{\"base_url\":\"http://h\",\"tools\":[{\"name\":\"x\",\"path\":\"/\","
                      "\"parameters\":[1]}]}",
                      "/tools/0", "must be an object");
    fake_assert_wrong("http",
                      "{\"base_url\":\"http://h\",\"auth\":{\"type\":\"bearer\","
                      "\"token\":{\"file\":\"/dev/null\"}}," TOOLS "}",
                      "/auth/token/file", "not a file");
    fake_assert_wrong("http", "{\"base_url\":\"http://h\",\"allowed_networks\":[\"x\"]," TOOLS "}",
                      "/allowed_networks/0", "expected addresses");
    fake_assert_wrong("http", "{\"base_url\":\"http://h\",\"headers\":{\"A\":\"a\\nb\"}," TOOLS "}",
                      "/headers", "no legal header");
}
END_TEST

START_TEST(instances_come_and_go)
{
    for (int i = 0; i < 20; i++) {
        struct fake_host *host = start_allowed();
        will_answer("text/plain", "200 OK", "yes");
        struct fake_result *r = fake_call(host, "get", NULL, "{\"id\":1}");
        ck_assert_str_eq(r->text, "yes");
        fake_result_free(r);
        fake_host_free(host);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plugins/http");
    suite_add(suite, &(struct suite_case){"http", setup, teardown, 60,
                                          SUITE_TESTS(tools_of_the_table_are_made_into_requests,
                                                      what_is_not_there_or_wrong_is_told,
                                                      a_cancelled_call_ends_at_once_and_lets_go,
                                                      the_deadline_of_the_call_counts,
                                                      loopback_is_refused_unless_it_is_allowed,
                                                      configurations_that_cannot_work_are_refused,
                                                      instances_come_and_go)});
    return suite_run(suite);
}
