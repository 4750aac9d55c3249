/* SPDX-License-Identifier: MIT */
/*
 * Tools that take their time, one for each way a call can go:
 *
 *   sleep {ms}          waits, and heeds cancellation
 *   sleep_serial {ms}   the same, not thread-safe
 *   progress {steps, ms} reports each step
 *   async {ms}          ends the call from a thread of its own
 *   async_alone {ms}    the same, one at a time
 *   log                 logs to the client at each level
 *   ignore_cancel {ms}  waits, whatever happens
 *   blocking_echo {text} gives its text back, handed over to a worker
 *   whoami              what it knows of its caller, as JSON
 */
#include <mcp/plugin.h>

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

MCP_PLUGIN_MANIFEST("{\"id\":\"slow\",\"version\":\"1.0.0\",\"abi\":\"1.0\"}");

enum {
    SLEEP,
    SLEEP_SERIAL,
    PROGRESS,
    ASYNC,
    ASYNC_ALONE,
    LOG,
    IGNORE_CANCEL,
    BLOCKING_ECHO,
    WHOAMI
};

/* A call that goes on after call_tool has returned. */
struct job {
    struct job *next;
    struct instance *owner;
    struct mcp_call *call;
    long ms;
    bool done; /* under the mutex; only to be joined */
    pthread_t thread;
};

struct instance {
    pthread_mutex_t mutex;
    struct job *jobs;
};

/* ---- helpers ---- */

static long integer_argument(struct mcp_call *call, const char *pointer)
{
    int32_t kind;
    struct mcp_bytes value;
    char number[24];
    if (call->ops->argument(call, pointer, &kind, &value) != MCP_OK || kind != MCP_JSON_NUMBER ||
        value.size >= sizeof(number))
        return 0;
    memcpy(number, value.data, value.size);
    number[value.size] = '\0';
    return strtol(number, NULL, 10);
}

/* Waits; false: the call was cancelled meanwhile. */
static bool wait_ms(struct mcp_call *call, long ms)
{
    struct pollfd cancelled = {.fd = call->ops->cancel_fd(call), .events = POLLIN};
    poll(&cancelled, 1, (int)ms);
    return call->ops->is_cancelled(call) == 0;
}

static void finish_after(struct mcp_call *call, const char *word, long ms, bool waited)
{
    char text[64];
    int size = waited ? snprintf(text, sizeof(text), "%s %ld ms", word, ms)
                      : snprintf(text, sizeof(text), "cancelled");
    call->ops->finish_text(call, (struct mcp_bytes){text, (size_t)size});
}

/* ---- the tools ---- */

static void call_progress(struct mcp_call *call)
{
    long steps = integer_argument(call, "/steps"), ms = integer_argument(call, "/ms");
    bool waited = true;
    for (long i = 1; i <= steps && waited; i++) {
        char message[64];
        int size = snprintf(message, sizeof(message), "step %ld of %ld", i, steps);
        waited = wait_ms(call, ms);
        call->ops->progress(call, (double)i, (double)steps,
                            (struct mcp_bytes){message, (size_t)size});
    }
    finish_after(call, "made all steps of", ms, waited);
}

static void call_log(struct mcp_call *call)
{
    for (int32_t level = MCP_LOG_DEBUG; level >= MCP_LOG_EMERGENCY; level--) {
        char data[64];
        int size = snprintf(data, sizeof(data), "{\"level\":%d}", (int)level);
        call->ops->log(call, level, (struct mcp_bytes){data, (size_t)size});
    }
    call->ops->finish_text(call, MCP_STR("logged"));
}

static void call_ignore_cancel(struct mcp_call *call)
{
    long ms = integer_argument(call, "/ms");
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    while (nanosleep(&left, &left) != 0)
        continue;
    finish_after(call, "slept", ms, true);
}

static void call_blocking_echo(struct mcp_call *call)
{
    int32_t kind;
    struct mcp_bytes text;
    if (call->ops->argument(call, "/text", &kind, &text) == MCP_OK && kind == MCP_JSON_STRING)
        call->ops->finish_text(call, text);
    else
        call->ops->finish_failure(call, MCP_STR("\"text\" must be a string."));
}

/* A JSON string of what has no control characters. */
static size_t quote(char *out, struct mcp_bytes text)
{
    size_t n = 0;
    out[n++] = '"';
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"' || text.data[i] == '\\')
            out[n++] = '\\';
        out[n++] = text.data[i];
    }
    out[n++] = '"';
    return n;
}

static size_t put(char *out, const char *text)
{
    size_t size = strlen(text);
    memcpy(out, text, size);
    return size;
}

static size_t put_json(char *out, struct mcp_bytes json)
{
    if (json.size == 0)
        return put(out, "null");
    memcpy(out, json.data, json.size);
    return json.size;
}

static int32_t call_whoami(struct mcp_call *call)
{
    const struct mcp_caller *caller = call->caller;
    size_t room = 500 + 2 * (caller->subject.size + caller->issuer.size + call->name.size) +
                  caller->roles.size + caller->client.size + call->arguments.size + call->meta.size;
    char *json = malloc(room);
    if (json == NULL)
        return MCP_ENOMEM;
    size_t n =
        put(json, caller->authenticated ? "{\"authenticated\":true" : "{\"authenticated\":false");
    n += put(json + n, ",\"subject\":");
    n += quote(json + n, caller->subject);
    n += put(json + n, ",\"issuer\":");
    n += quote(json + n, caller->issuer);
    n += put(json + n, ",\"roles\":");
    n += put_json(json + n, caller->roles);
    n += put(json + n, ",\"client\":");
    n += put_json(json + n, caller->client);
    n += put(json + n, ",\"name\":");
    n += quote(json + n, call->name);
    n += put(json + n, ",\"arguments\":");
    n += put_json(json + n, call->arguments);
    n += put(json + n, ",\"meta\":");
    n += put_json(json + n, call->meta);
    n += put(json + n, call->deadline_ns != 0 ? ",\"deadline\":true}" : ",\"deadline\":false}");
    call->ops->finish_structured(call, (struct mcp_bytes){NULL, 0}, (struct mcp_bytes){json, n});
    free(json);
    return MCP_OK;
}

/* ---- the asynchronous one ---- */

static void *run_job(void *data)
{
    struct job *job = data;
    bool waited = wait_ms(job->call, job->ms);
    finish_after(job->call, "slept apart", job->ms, waited);
    pthread_mutex_lock(&job->owner->mutex);
    job->done = true;
    pthread_mutex_unlock(&job->owner->mutex);
    return NULL;
}

/* Joins threads: those that are through, or all. */
static void join_jobs(struct instance *self, bool all)
{
    struct job *found = NULL;
    pthread_mutex_lock(&self->mutex);
    for (struct job **link = &self->jobs; *link != NULL;) {
        struct job *job = *link;
        if (!all && !job->done) {
            link = &job->next;
            continue;
        }
        *link = job->next;
        job->next = found;
        found = job;
    }
    pthread_mutex_unlock(&self->mutex);
    while (found != NULL) {
        struct job *next = found->next;
        pthread_join(found->thread, NULL);
        free(found);
        found = next;
    }
}

static int32_t call_async(struct instance *self, struct mcp_call *call)
{
    join_jobs(self, false);
    struct job *job = calloc(1, sizeof(*job));
    if (job == NULL)
        return MCP_ENOMEM;
    job->owner = self;
    job->call = call;
    job->ms = integer_argument(call, "/ms");
    pthread_mutex_lock(&self->mutex);
    int failure = pthread_create(&job->thread, NULL, run_job, job);
    if (failure == 0) {
        job->next = self->jobs;
        self->jobs = job;
    }
    pthread_mutex_unlock(&self->mutex);
    if (failure == 0)
        return MCP_OK;
    free(job);
    return MCP_ENOMEM;
}

/* ---- the plugin ---- */

static int32_t create(const struct mcp_host *host, struct mcp_bytes config, void **instance)
{
    struct instance *self = calloc(1, sizeof(*self));
    (void)host, (void)config;
    if (self == NULL)
        return MCP_ENOMEM;
    pthread_mutex_init(&self->mutex, NULL);
    *instance = self;
    return MCP_OK;
}

static void stop(void *self)
{
    join_jobs(self, true);
}

static void destroy(void *data)
{
    struct instance *self = data;
    pthread_mutex_destroy(&self->mutex);
    free(self);
}

static int32_t add(const struct mcp_tool_sink *sink, uint64_t tag, uint32_t flags,
                   uint32_t concurrency, const char *name, const char *properties)
{
    char definition[400];
    int size = snprintf(definition, sizeof(definition),
                        "{\"name\":\"%s\",\"description\":\"For tests.\",\"inputSchema\":{\"type\":"
                        "\"object\",\"properties\":{%s}}}",
                        name, properties);
    const struct mcp_tool tool = {.struct_size = sizeof(tool),
                                  .flags = flags,
                                  .definition = {definition, (size_t)size},
                                  .tag = tag,
                                  .concurrency = concurrency};
    return sink->add(sink, &tool);
}

static int32_t get_tools(void *self, const struct mcp_tool_sink *sink)
{
    static const char ms[] = "\"ms\":{\"type\":\"integer\"}";
    (void)self;
    add(sink, SLEEP, MCP_TOOL_THREAD_SAFE, 0, "sleep", ms);
    add(sink, SLEEP_SERIAL, 0, 0, "sleep_serial", ms);
    add(sink, PROGRESS, MCP_TOOL_THREAD_SAFE, 0, "progress",
        "\"steps\":{\"type\":\"integer\"},\"ms\":{\"type\":\"integer\"}");
    add(sink, ASYNC, MCP_TOOL_THREAD_SAFE, 0, "async", ms);
    add(sink, ASYNC_ALONE, MCP_TOOL_THREAD_SAFE, 1, "async_alone", ms);
    add(sink, LOG, MCP_TOOL_THREAD_SAFE, 0, "log", "");
    add(sink, IGNORE_CANCEL, MCP_TOOL_THREAD_SAFE, 0, "ignore_cancel", ms);
    add(sink, BLOCKING_ECHO, MCP_TOOL_THREAD_SAFE, 0, "blocking_echo",
        "\"text\":{\"type\":\"string\"}");
    return add(sink, WHOAMI, MCP_TOOL_THREAD_SAFE, 0, "whoami", "");
}

static int32_t call_tool(void *self, struct mcp_call *call)
{
    long ms;
    switch (call->tag) {
    case SLEEP:
    case SLEEP_SERIAL:
        ms = integer_argument(call, "/ms");
        finish_after(call, "slept", ms, wait_ms(call, ms));
        return MCP_OK;
    case PROGRESS:
        call_progress(call);
        return MCP_OK;
    case ASYNC:
    case ASYNC_ALONE:
        return call_async(self, call);
    case LOG:
        call_log(call);
        return MCP_OK;
    case IGNORE_CANCEL:
        call_ignore_cancel(call);
        return MCP_OK;
    case BLOCKING_ECHO:
        call_blocking_echo(call);
        return MCP_OK;
    case WHOAMI:
        return call_whoami(call);
    default:
        return MCP_ENOENT;
    }
}

static const struct mcp_plugin plugin = {
    MCP_PLUGIN_HEADER,  .id = "slow",           .name = "Slow",
    .version = "1.0.0", .create = create,       .stop = stop,
    .destroy = destroy, .get_tools = get_tools, .call_tool = call_tool,
};

MCP_EXPORT const struct mcp_plugin *mcp_plugin_v1(void)
{
    return &plugin;
}
