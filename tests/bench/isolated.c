/* SPDX-License-Identifier: MIT */
/*
 * isolated: what a call into a worker process costs beside the least that it can cost:
 * a round trip of as many bytes between two processes over a bare socketpair, with
 * nothing but read and write on either side. All in one run, in turn.
 *
 *   isolated ECHO.so SIZE [ROUNDS [CALLS]]
 *
 * Prints a line of JSON: microseconds a call and what the worker adds as a part of the
 * bare round trip, of the same round, each the median of the rounds. A call of the
 * worker is one after the other, each begun by the thread that heard the end of the one
 * before, as mcpd's answers are sent by the thread that hears them.
 */
#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "json/json.h"
#include "plugin/dispatch.h"
#include "plugin/worker_link.h"

#define ROUNDS_MAX 499

_Noreturn static void fail(const char *why)
{
    fprintf(stderr, "isolated: %s\n", why);
    exit(1);
}

/* ---- bare ---- */

static void transfer(int fd, char *bytes, size_t size, bool out)
{
    while (size > 0) {
        ssize_t n = out ? write(fd, bytes, size) : read(fd, bytes, size);
        if (n <= 0)
            _exit(1);
        bytes += n;
        size -= (size_t)n;
    }
}

static struct {
    pid_t child;
    int fd;
    char *bytes;
    size_t there, back;
} pair;

static void pair_open(size_t there, size_t back)
{
    int fds[2];
    pair.there = there;
    pair.back = back;
    pair.bytes = calloc(1, there > back ? there : back);
    if (pair.bytes == NULL || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
        fail("no socketpair");
    pair.child = fork();
    if (pair.child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(fds[0]);
        for (;;) {
            transfer(fds[1], pair.bytes, there, false);
            transfer(fds[1], pair.bytes, back, true);
        }
    }
    close(fds[1]);
    pair.fd = fds[0];
}

static void run_bare(unsigned calls)
{
    for (unsigned i = 0; i < calls; i++) {
        transfer(pair.fd, pair.bytes, pair.there, true);
        transfer(pair.fd, pair.bytes, pair.back, false);
    }
}

/* ---- calls ---- */

static struct {
    struct arena arena;
    struct json json;
    size_t text;
    struct registry *registry;
    unsigned left;
    sem_t done;
    bool chained;
} calls;

static void start_one(void);

static void finished(struct call *call, const struct call_result *result)
{
    (void)call;
    if (result->end != CALL_TEXT || result->text.size != calls.text)
        fail("a call did not end as it should");
    if (--calls.left == 0)
        sem_post(&calls.done);
    else if (calls.chained)
        start_one();
}

static void start_one(void)
{
    static const struct mcp_caller caller = {.struct_size = sizeof(caller), .roles = {"[]", 2}};
    static const struct call_events events = {.finished = finished};
    static _Thread_local struct registry_reader reader;
    const struct snapshot *snapshot = registry_read(calls.registry, &reader);
    const struct call_request request = {.entry =
                                             snapshot_find(snapshot, OFFER_TOOL, BYTES("echo")),
                                         .json = &calls.json,
                                         .arguments = calls.json.root,
                                         .caller = &caller,
                                         .max_time_ms = 30000,
                                         .log_level = -1,
                                         .events = &events};
    struct call *call = call_new(&request);
    if (call == NULL)
        fail("no call");
    call_start(call);
    call_unref(call);
}

static void make_arguments(size_t size)
{
    char *text = malloc(size + 16);
    if (text == NULL)
        fail("no memory");
    int begin = sprintf(text, "{\"text\":\"");
    memset(text + begin, 'x', size);
    sprintf(text + begin + size, "\"}");
    calls.text = size;
    arena_init(&calls.arena, 64u << 20);
    if (!json_parse(&calls.json, bytes_of(text), &json_default_limits, &calls.arena, NULL))
        fail("no arguments");
}

static struct provider *inproc, *apart;

static void run_calls(struct provider *provider, unsigned count, bool chained)
{
    struct error err;
    static struct provider *published;
    if (published != provider && !registry_publish(calls.registry, &provider, 1, &err))
        fail(err.text);
    published = provider;
    calls.left = count;
    calls.chained = chained;
    for (unsigned i = 0; i < (chained ? 1 : count); i++)
        start_one();
    sem_wait(&calls.done);
}

/* ---- loading ---- */

static struct image *open_plugin(const char *file, uint64_t generation)
{
    static char directory[] = "/tmp/mcpd-isolated-XXXXXX";
    static int fd = -1;
    struct error err;
    char path[4096];
    if (fd < 0 && mkdtemp(directory) == NULL)
        fail("no directory");
    snprintf(path, sizeof(path), "cp %s %s/echo.so && chmod 644 %s/echo.so", file, directory,
             directory);
    if (system(path) != 0) /* NOLINT(cert-env33-c): of our own making */
        fail("no plugin");
    fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    snprintf(path, sizeof(path), "%s/private", directory);
    struct image *image = image_open(fd, "echo.so", path, generation, &err);
    if (image == NULL)
        fail(err.text);
    snprintf(path, sizeof(path), "rm -rf %s/echo.so", directory);
    if (system(path) != 0) /* NOLINT(cert-env33-c) */
        fail("the copy stays");
    close(fd);
    return image;
}

static void load(const char *file)
{
    struct error err = {.text = ""};
    if (!crypto_init() || !dispatch_start(2, 64, &err))
        fail("no threads");
    call_set_limits(16u << 20);
    inproc = inproc_load(open_plugin(file, 1), "echo", NULL, NULL, NULL, &err);
    if (inproc == NULL)
        fail(err.text);
    apart = worker_link_load(open_plugin(file, 2), "echo", NULL, NULL, NULL, &err);
    if (apart == NULL)
        fail(err.text);
    calls.registry = registry_new();
}

/* ---- measuring ---- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *all, unsigned count)
{
    qsort(all, count, sizeof(*all), compare);
    return all[count / 2];
}

static double since(int64_t start, unsigned count)
{
    return (double)(clock_now() - start) / 1000 / count;
}

int main(int argc, char **argv)
{
    if (argc < 3)
        fail("isolated ECHO.so SIZE [ROUNDS [CALLS]]");
    const size_t size = strtoul(argv[2], NULL, 10);
    const unsigned rounds = argc > 3 ? (unsigned)atoi(argv[3]) : 9;
    const unsigned count = argc > 4 ? (unsigned)atoi(argv[4]) : 5000;
    static double bare[ROUNDS_MAX], inside[ROUNDS_MAX], worker[ROUNDS_MAX], ratio[ROUNDS_MAX];

    if (rounds == 0 || rounds > ROUNDS_MAX || count == 0)
        fail("so many rounds are not done");
    /* As large as the frames of the link are. */
    pair_open(FRAME_HEAD + 10 * 4 + size + 30, FRAME_HEAD + 2 * 4 + size);
    sem_init(&calls.done, 0, 0);
    make_arguments(size);
    load(argv[1]);
    for (unsigned round = 0; round < rounds; round++) {
        int64_t start = clock_now();
        run_bare(count);
        bare[round] = since(start, count);
        run_calls(inproc, 1, false);
        start = clock_now();
        run_calls(inproc, count, false);
        inside[round] = since(start, count);
        run_calls(apart, 10, true);
        start = clock_now();
        run_calls(apart, count, true);
        worker[round] = since(start, count);
        ratio[round] = (worker[round] - inside[round]) / bare[round];
    }
    printf("{\"size\":%zu,\"bare_us\":%.2f,\"inproc_us\":%.2f,\"worker_us\":%.2f,\"ratio\":%.3f}\n",
           size, median(bare, rounds), median(inside, rounds), median(worker, rounds),
           median(ratio, rounds));
    kill(pair.child, SIGKILL);
    waitpid(pair.child, NULL, 0);
    provider_retire(apart);
    apart->ops->stop(apart);
    return 0;
}
