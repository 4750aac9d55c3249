/* SPDX-License-Identifier: MIT */
/* A provider without a plugin: its calls run a function of the test's. And a
 * host's side of a call that writes down what it hears. */
#ifndef TESTS_FAKE_PROVIDER_H
#define TESTS_FAKE_PROVIDER_H

#include <pthread.h>
#include <stdatomic.h>

#include "plugin/call.h"
#include "plugin/dispatch.h"

struct fake_provider {
    struct provider provider;
    /* What "the plugin" does with a call; it must end it, now or later. */
    void (*run)(struct fake_provider *fake, struct mcp_call *call);
    atomic_uint running, most_running; /* inside ops->call at once */
    atomic_uint calls;
    atomic_bool *freed; /* set when the struct goes; may be NULL */
    void *context;
};

/* Freed with provider_unref(&fake->provider). */
struct fake_provider *fake_new(const char *id, const char *prefix, uint64_t generation);
/* Adds a tool {"name":NAME,...}; the toolset is sealed again each time. */
void fake_add(struct fake_provider *fake, const char *name, uint32_t flags, uint32_t timeout_ms,
              uint32_t concurrency);

/* What a host heard of one call. */
struct heard {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int finished, progress, log, released;
    enum call_end end;
    char text[512];
    char json[512];
    bool has_index;
    double last_progress;
    int last_level;
    pthread_t thread; /* that finished it */
    void (*on_progress)(struct call *call); /* run inside the event; may be NULL */
};

/* For calls that a test makes itself, with the struct heard as owner. */
extern const struct call_events heard_events;
void heard_release(void *owner);

void heard_init(struct heard *heard);
void heard_free(struct heard *heard);
/* Waits up to five seconds. */
bool heard_finished(struct heard *heard);
bool heard_released(struct heard *heard);

/* Makes a call of the tool that a snapshot of this registry offers as `name`,
 * with `arguments` (JSON text that outlives the call, or NULL). `change` may
 * alter the request; NULL. */
struct call *fake_tool_call(struct registry *registry, const char *name, struct heard *heard,
                            const struct json *arguments,
                            void (*change)(struct call_request *request));

/* Ends the call with its name, as finish_text. */
void run_echo_name(struct fake_provider *fake, struct mcp_call *call);

/* Waits until no call is inside; false when `deadline_ns` came first. */
bool drained(const struct provider *provider, int64_t deadline_ns);

int64_t in_ms(int64_t ms); /* that time from now */
void sleep_ms(int ms);

#endif
