/* SPDX-License-Identifier: MIT */
/* A plugin that goes wrong in the way its caller chooses; for worker processes. The tool
 * "faults" takes {"kind": KIND, "ms": N}; "hasty" is the same with a time of its own,
 * "alone" is one that is not thread-safe, and "fine" is one beside them that does not go wrong. */
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SAMPLE_ID "faults"
#include "sample.h"

extern char **environ;

static void *crash(void *unused)
{
    (void)unused;
    sample_crash();
    return NULL;
}

static void crash_in_thread(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, crash, NULL) == 0)
        pthread_join(thread, NULL);
}

/* Touches what it gets, until there is no more. */
static void eat(void)
{
    for (;;) {
        char *piece = malloc((size_t)1 << 20);
        memset(piece, 1, (size_t)1 << 20); /* crashes where there is none */
    }
}

static void corrupt_heap(void)
{
    char *volatile piece = malloc(24);
    char *volatile next = malloc(24);
    memset(piece, 0x41, 64);
    free(next);
    free(piece);
    abort(); /* if nobody has noticed */
}

/* Always true, which compilers do not know. */
static volatile int deeper = 1;

static int overflow_stack(int depth)
{
    volatile char frame[4096];
    frame[0] = (char)depth;
    return deeper ? overflow_stack(depth + 1) + frame[0] : 0;
}

static void wait_ms(long ms)
{
    const struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

/* Writes to the socket what no worker would. */
static void forge(const char *bytes, size_t size)
{
    ssize_t written = write(3, bytes, size);
    (void)written;
    wait_ms(5000);
}

/* A frame that ends a call which there is not: type END, two texts of no bytes. */
static void forge_end(void)
{
    unsigned char frame[72] = {72, 0, 0, 0, 11, 2};
    frame[8] = 99;
    forge((const char *)frame, sizeof(frame));
}

/* What the process has of mcpd's: variables and descriptors. */
static int32_t tell(struct mcp_call *call)
{
    char text[256];
    int variables = 0, descriptors = 0;
    DIR *directory = opendir("/proc/self/fd");
    const struct dirent *entry;
    for (char **v = environ; v != NULL && *v != NULL; v++)
        variables++;
    while (directory != NULL && (entry = readdir(directory)) != NULL)
        descriptors += entry->d_name[0] != '.';
    if (directory != NULL)
        closedir(directory);
    int size = snprintf(text, sizeof(text), "pid=%d variables=%d descriptors=%d", (int)getpid(),
                        variables, descriptors - 1);
    return call->ops->finish_text(call, (struct mcp_bytes){text, (size_t)size});
}

static void block(void *ms)
{
    wait_ms(*(const long *)ms);
}

/* Its on_cancel does what none may. */
static int32_t block_when_cancelled(struct mcp_call *call, long ms)
{
    call->ops->on_cancel(call, block, &ms);
    while (call->ops->is_cancelled(call) == 0)
        wait_ms(1);
    wait_ms(100); /* it has begun */
    return call->ops->finish_failure(call, MCP_STR("cancelled"));
}

static int is(struct mcp_bytes text, const char *kind)
{
    return text.size == strlen(kind) && memcmp(text.data, kind, text.size) == 0;
}

static int32_t go_wrong(struct mcp_call *call, struct mcp_bytes kind, long ms)
{
    if (is(kind, "tell"))
        return tell(call);
    if (is(kind, "crash"))
        sample_crash();
    if (is(kind, "abort"))
        abort();
    if (is(kind, "exit"))
        exit(7);
    if (is(kind, "thread"))
        crash_in_thread();
    if (is(kind, "eat"))
        eat();
    if (is(kind, "heap"))
        corrupt_heap();
    if (is(kind, "stack"))
        overflow_stack(0);
    if (is(kind, "spin"))
        for (;;)
            wait_ms(100);
    if (is(kind, "loop"))
        for (volatile unsigned long n = 0;; n++)
            continue;
    if (is(kind, "block"))
        return block_when_cancelled(call, ms);
    if (is(kind, "refuse"))
        return MCP_EFAIL;
    if (is(kind, "invalid"))
        return call->ops->finish_text(call, MCP_STR("\xff\xfe"));
    if (is(kind, "failure"))
        return call->ops->finish_failure(call, MCP_STR("the arguments are no good"));
    if (is(kind, "garbage"))
        forge("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP", 64);
    if (is(kind, "forge"))
        forge_end();
    if (is(kind, "close"))
        shutdown(3, SHUT_RDWR), wait_ms(5000);
    if (is(kind, "flood"))
        for (int i = 0; i < 20000; i++)
            fprintf(stderr, "line %d of a flood\n", i);
    if (is(kind, "words")) {
        fprintf(stderr, "last words\n");
        abort();
    }
    wait_ms(ms);
    return call->ops->finish_text(call, MCP_STR("survived"));
}

static int32_t call_tool(void *self, struct mcp_call *call)
{
    struct mcp_bytes kind = MCP_STR(""), ms = MCP_STR("0");
    int32_t type;
    (void)self;
    if (call->tag == 1)
        return call->ops->finish_text(call, MCP_STR("fine"));
    call->ops->argument(call, "/kind", &type, &kind);
    call->ops->argument(call, "/ms", &type, &ms);
    return go_wrong(call, kind, strtol(ms.data, NULL, 10));
}

static int32_t get_tools(void *self, const struct mcp_tool_sink *sink)
{
    const struct mcp_tool fine = {.struct_size = sizeof(fine),
                                  .flags = MCP_TOOL_NONBLOCKING,
                                  .tag = 1,
                                  .definition = MCP_STR(SAMPLE_DEFINITION("fine"))};
    (void)self;
    const struct mcp_tool hasty = {.struct_size = sizeof(hasty),
                                   .flags = MCP_TOOL_THREAD_SAFE,
                                   .timeout_ms = 300,
                                   .definition = MCP_STR(SAMPLE_DEFINITION("hasty"))};
    int32_t code = sample_add(sink, MCP_TOOL_THREAD_SAFE, MCP_STR(SAMPLE_DEFINITION("faults")));
    if (code == MCP_OK)
        code = sample_add(sink, 0, MCP_STR(SAMPLE_DEFINITION("alone")));
    if (code == MCP_OK)
        code = sink->add(sink, &hasty);
    return code == MCP_OK ? sink->add(sink, &fine) : code;
}

SAMPLE_PLUGIN(.get_tools = get_tools, .call_tool = call_tool)
