/* SPDX-License-Identifier: MIT */
/*
 * Uses what makes unloading hard, and cleans up after itself: threads of POSIX
 * and C11, keys with destructors, child processes. Its tool `children` makes two, of
 * which the second finds no program to execute, and gives their exit statuses.
 */
#include <mcp/plugin.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <threads.h>
#include <unistd.h>

MCP_PLUGIN_MANIFEST("{\"id\":\"tidy\",\"version\":\"1.0.0\",\"abi\":\"1.0\"}");

struct instance {
    pthread_key_t key;
    tss_t c11_key;
    pthread_t thread;
    thrd_t c11_thread;
    atomic_int destroyed; /* values of the keys */
    atomic_int stopping;
};

static void destroy_value(void *value)
{
    struct instance *self = value;
    atomic_fetch_add(&self->destroyed, 1);
}

static void wait_for_stop(struct instance *self)
{
    pthread_setspecific(self->key, self);
    tss_set(self->c11_key, self);
    while (!atomic_load(&self->stopping))
        usleep(1000);
}

static void *run(void *data)
{
    wait_for_stop(data);
    pthread_exit(data);
}

static int run_c11(void *data)
{
    wait_for_stop(data);
    return 11;
}

static int32_t create(const struct mcp_host *host, struct mcp_bytes config, void **instance)
{
    (void)host, (void)config;
    *instance = calloc(1, sizeof(struct instance));
    return *instance != NULL ? MCP_OK : MCP_ENOMEM;
}

static int32_t start(void *data)
{
    struct instance *self = data;
    if (pthread_key_create(&self->key, destroy_value) != 0 ||
        tss_create(&self->c11_key, destroy_value) != thrd_success ||
        pthread_create(&self->thread, NULL, run, self) != 0 ||
        thrd_create(&self->c11_thread, run_c11, self) != thrd_success)
        return MCP_ENOMEM;
    return MCP_OK;
}

static void stop(void *data)
{
    struct instance *self = data;
    void *result;
    int number;
    atomic_store(&self->stopping, 1);
    pthread_join(self->thread, &result);
    thrd_join(self->c11_thread, &number);
    pthread_key_delete(self->key);
    tss_delete(self->c11_key);
    if (result != self || number != 11 || atomic_load(&self->destroyed) != 4)
        abort();
}

static int32_t get_tools(void *self, const struct mcp_tool_sink *sink)
{
    (void)self;
    const struct mcp_tool tool = {
        .struct_size = sizeof(tool),
        .definition = MCP_STR("{\"name\":\"children\",\"inputSchema\":{\"type\":\"object\"}}"),
    };
    return sink->add(sink, &tool);
}

static int wait_for(pid_t child)
{
    int status = -1;
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

static int32_t call_tool(void *self, struct mcp_call *call)
{
    static const char missing[] = "/there/is/no/such/program";
    char text[64];
    (void)self;
    pid_t forked = fork();
    if (forked == 0) {
        execl("/bin/sh", "sh", "-c", "exit 71", (char *)NULL);
        _exit(70);
    }
    int first = wait_for(forked);
    pid_t vforked = vfork();
    if (vforked == 0) {
        execl(missing, missing, (char *)NULL);
        _exit(72);
    }
    int size = snprintf(text, sizeof(text), "%d %d", first, wait_for(vforked));
    call->ops->finish_text(call, (struct mcp_bytes){text, (size_t)size});
    return MCP_OK;
}

static const struct mcp_plugin plugin = {
    MCP_PLUGIN_HEADER, .id = "tidy",           .version = "1.0.0",
    .create = create,  .start = start,         .stop = stop,
    .destroy = free,   .get_tools = get_tools, .call_tool = call_tool,
};

MCP_EXPORT const struct mcp_plugin *mcp_plugin_v1(void)
{
    return &plugin;
}
