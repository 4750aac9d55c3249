/* SPDX-License-Identifier: MIT */
/*
 * A host for one instance of a plugin, without the daemon: loads the .so that
 * was built beside the test program, gives it a configuration, calls its tools
 * and keeps what they answer. Checks on the way what mcpd would: definitions
 * are JSON, failures UTF-8, a call is ended once, structured results match the
 * outputSchema.
 */
#ifndef TESTS_FAKE_HOST_H
#define TESTS_FAKE_HOST_H

#include <mcp/plugin.h>
#include <pthread.h>
#include <stdatomic.h>

#include "json/json.h"
#include "json/schema.h"

#define FAKE_TOOLS_MAX 16

struct fake_tool {
    struct arena arena;
    struct json definition;
    char name[256];
    uint64_t tag;
    uint32_t flags;
    struct schema *output; /* NULL: none */
};

/* What a plugin offers through its extensions, as fake_host_ask found it. */
enum fake_kind { FAKE_RESOURCE, FAKE_TEMPLATE, FAKE_SKILL, FAKE_KINDS };
#define FAKE_OFFERS_MAX 64

struct fake_offers {
    struct json definitions[FAKE_OFFERS_MAX];
    size_t count;
};

struct fake_host {
    struct mcp_host abi;
    void *library;
    const struct mcp_plugin *plugin;
    void *instance;
    struct arena arena;
    pthread_mutex_t mutex; /* guards arena */
    struct json config;
    struct fake_tool tools[FAKE_TOOLS_MAX];
    size_t tool_count;
    struct fake_offers offers[FAKE_KINDS];
    atomic_uint notified; /* how often */
    char log[32768]; /* a line for each; guarded by mutex, as is the next */
    char updated[8192]; /* "URI\n" for each resource that it said has changed */
    bool running; /* create, start and get_tools have succeeded */
    char fail_pointer[256], fail_text[1024]; /* what the plugin said with fail */
};

/* Loads `plugin` ("filesystem") and starts an instance. `format` makes the
 * configuration. host->running says whether it worked. */
struct fake_host *fake_host_new(const char *plugin, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void fake_host_free(struct fake_host *host);
/* Fails the test unless an instance with this configuration is refused, and the plugin
 * names `pointer` and says `expected` among others. */
void fake_assert_wrong(const char *plugin, const char *config, const char *pointer,
                       const char *expected);

const struct fake_tool *fake_host_tool(const struct fake_host *host, const char *name);

/* Asks (again) for resources, templates and skills. */
void fake_host_ask(struct fake_host *host);
/* The value in a definition at a JSON Pointer, strings decoded. "": there is none. */
const char *fake_offer(struct fake_host *host, enum fake_kind kind, size_t index,
                       const char *pointer);
/* Waits, for up to five seconds, until the plugin has called notify more than `before`
 * times. */
bool fake_host_wait(struct fake_host *host, unsigned before);

enum fake_end {
    FAKE_NONE,
    FAKE_TEXT,
    FAKE_STRUCTURED,
    FAKE_RESULT,
    FAKE_FAILURE,
    FAKE_ERROR,
    FAKE_REFUSED
};

/* How a call ended. */
struct fake_result {
    enum fake_end end;
    struct arena arena;
    char *text; /* the first text block, or the failure; NUL-terminated copy */
    size_t text_size;
    struct json whole; /* of FAKE_RESULT: all of it */
    int32_t code; /* of FAKE_ERROR */
    struct json json; /* structuredContent */
    int64_t took_ms;
    bool cancel_heard; /* the plugin had a function for on_cancel, and it was called */
};

struct fake_options {
    int cancel_after_ms; /* 0: never; negative: before the call */
    int deadline_ms; /* 0: none */
};

/* Calls a tool and waits for its end. `arguments` is JSON. */
struct fake_result *fake_call(struct fake_host *host, const char *tool,
                              const struct fake_options *options, const char *arguments);
struct fake_result *fake_callf(struct fake_host *host, const char *tool, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Reads a resource, whose definition need not be listed. */
struct fake_result *fake_read(struct fake_host *host, const char *uri);
/* Completes what is typed for a variable of a template. */
struct fake_result *fake_complete(struct fake_host *host, const char *uri_template,
                                  const char *arguments);
void fake_result_free(struct fake_result *result);
/* Fails the test unless it is a failure that says `expected` among others; frees it. */
void fake_assert_failure(struct fake_result *result, const char *expected);

/* The value in structuredContent at a JSON Pointer, as it is written; for strings,
 * decoded. "" when there is none. Lives as long as the result. */
const char *fake_at(struct fake_result *result, const char *pointer);
/* The same in the whole result of FAKE_RESULT. */
const char *fake_whole_at(struct fake_result *result, const char *pointer);
bool fake_has(const struct fake_result *result, const char *pointer);

#endif
