/* SPDX-License-Identifier: MIT */
/*
 * The configuration: /etc/mcp/mcpd.json and one file for each provider in
 * providers.d beside it (providers.d/NAME.json defines NAME), JSON with
 * comments. It is checked against the published schema (etc/mcpd.schema.json)
 * and by rules a schema cannot say; every complaint names file, line and
 * column and what was expected. The keys are described in mcpd.json(5).
 *
 * A struct config is immutable and reference-counted: a reload makes a new one.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "base/error.h"
#include "config/seal_keys.h"
#include "json/json.h"

struct config_listen {
    const char *address; /* numeric IPv4 or IPv6 */
    uint16_t port; /* 0: the kernel picks one */
    bool allow_remote; /* said to be meant for other machines too */
};

/* Where a provider runs. What the operator does not say is plugins.default_isolation's
 * affair (config_isolation). */
enum isolation { ISOLATION_UNSAID, ISOLATION_INPROC, ISOLATION_PROCESS };

/* What a worker process may reach besides what its plugin's manifest asks for
 * (plugin/sandbox.h). */
struct config_sandbox {
    bool enabled;
    bool network; /* agreed to, if the manifest asks */
    bool unix_sockets; /* likewise */
    const char *const *read;
    size_t read_count;
    const char *const *write;
    size_t write_count;
    uint32_t open_files;
    uint32_t file_size_mib; /* 0: no bound */
};
#define CONFIG_SANDBOX_DEFAULT                                                                     \
    {                                                                                              \
        .enabled = true, .open_files = 256, .file_size_mib = 1024                                  \
    }

/* One provider: an instance of a plugin under a name of the operator's. */
struct config_provider {
    const char *id; /* "files": 1 to 64 of A-Z a-z 0-9 _ - . */
    const char *plugin; /* plugin id: the file PLUGIN.so in the directory */
    const char *prefix; /* goes before each tool name; "" by default */
    enum isolation isolation;
    bool enabled;
    uint32_t timeout_ms; /* longest time of a call; 0: calls.timeout_ms */
    uint32_t memory_mib; /* what its worker process may use; 0: no bound */
    struct config_sandbox sandbox;
    struct bytes config; /* the "config" object as JSON without comments; "{}" */
    /* Where it stands, for complaints. */
    const char *file;
    const struct json *document;
    const struct json_node *node; /* the entry itself */
    const struct json_node *config_node; /* NULL when there is none */
};

struct config {
    const char *file; /* as it was named; NULL when built from defaults */

    struct {
        const char *name; /* "mcpd" */
        const char *title; /* NULL: none */
        const char *instructions; /* NULL: none */
        uint32_t list_ttl_ms; /* how long clients may cache lists */
        uint32_t page_size; /* tools in one page of a list */
        uint32_t max_memory_mib; /* that clients may make us hold; 0: no bound */
        uint32_t shutdown_delay_ms; /* before, for load balancers to see it coming */
        uint32_t shutdown_timeout_ms; /* for calls in flight when mcpd ends */
    } server;

    struct config_listen *listen;
    size_t listens;

    struct {
        /* Host and Origin values accepted besides those of loopback. Host
         * names without port; origins as "scheme://host[:port]". */
        const char **allowed_hosts;
        size_t allowed_host_count;
        const char **allowed_origins;
        size_t allowed_origin_count;
        uint32_t threads; /* I/O threads; 0: as many as processors, at most 4 */
        uint32_t max_connections;
        uint32_t max_header_bytes; /* request line and header fields */
        uint32_t max_body_bytes;
        /* Absolute: from the start of what they name, whatever arrives. */
        uint32_t header_timeout_ms;
        uint32_t body_timeout_ms;
        uint32_t write_timeout_ms; /* without progress of the peer's reading */
        uint32_t idle_timeout_ms; /* a connection between requests */
        uint32_t keepalive_ms; /* comment lines on silent streams */
        uint32_t max_streams; /* open SSE streams */
    } http;

    struct {
        uint32_t max; /* legacy sessions at once */
        uint32_t idle_timeout_ms;
        uint32_t max_calls; /* of all sessions, in flight */
        /* What a session keeps of what its streams said, for a client that lost its
         * connection. */
        uint32_t replay_max_bytes;
        uint32_t replay_max_age_ms;
    } sessions;

    struct {
        uint32_t workers; /* threads for calls that may block */
        uint32_t queue; /* calls that may wait for one */
        uint32_t timeout_ms; /* default and upper bound of a call's time */
        uint32_t max_result_bytes;
        uint32_t input_timeout_ms; /* how long a session's client may take to answer a question */
    } calls;

    /* What clients carry for us between the rounds of a request. */
    struct {
        const char *key_file; /* NULL: none */
        uint32_t lifetime_ms;
        const struct seal_key *keys; /* of that file; NULL: none */
        size_t key_count;
    } request_state;

    struct {
        const char *url; /* NULL: chosen by mcpd */
        const char *place; /* of the url, "FILE:LINE:COLUMN"; NULL with it */
        uint32_t max_mib; /* the most it may take, in MiB; 0: no bound */
    } store;

    struct {
        uint32_t max; /* tasks that are kept, finished ones among them */
        uint32_t max_running; /* 0: half of calls.workers */
        uint32_t ttl_ms; /* how long one may take, and how long it is kept at its end */
        uint32_t poll_interval_ms; /* what clients are told */
    } tasks;

    struct {
        const char *directory;
        const char *private_directory; /* where running copies live; NULL: chosen by mcpd */
        uint32_t drain_timeout_ms; /* how long an old generation may finish its calls */
        uint32_t start_timeout_ms; /* how long a new one may take to start */
        const char *default_isolation; /* "auto", "inproc" or "process" */
        bool require_sandbox; /* no worker that cannot be wholly confined */
        /* When a provider is out of service: after so many calls in a row that failed by
         * its fault (0: never), or deaths of its worker within a minute. */
        uint32_t max_failed_calls, max_worker_deaths;
        uint32_t trial_after_ms; /* how long, before it is tried again */
    } plugins;

    struct {
        uint32_t interval_ms; /* how often providers are asked; 0: never */
        uint32_t timeout_ms; /* how long one may take to answer */
    } health;

    struct config_provider *providers; /* in order: mcpd.json, then providers.d by name */
    size_t provider_count;

    /* config.c's own. */
    struct config_private *private;
};

/* One complaint about the configuration, as a whole line for a person:
 * "/etc/mcp/mcpd.json:12:15: listen[0].port: expected ..., got ...". */
typedef void config_complain(void *context, const char *line);

/* Reads and checks `path` and its providers.d. NULL: there were complaints,
 * each given to `complain` (all that can be found in one run). A missing file
 * is a complaint. */
struct config *config_load(const char *path, config_complain *complain, void *context);

/* The defaults: what an empty mcpd.json gives. */
struct config *config_default(void);

struct config *config_ref(struct config *config);
void config_unref(struct config *config); /* NULL is allowed */

/* Whether a provider runs in a worker process; `settings` may be NULL, and `bundled` says
 * whether its plugin is one of mcpd's own. */
bool config_is_apart(const struct config *config, const struct config_provider *settings,
                     bool bundled);
/* What to say of a provider in mcpd's own process that has keys for worker processes
 * alone; NULL: nothing. `settings` may be NULL. */
const char *config_unused_inproc(const struct config_provider *settings);

/* What the command line overrides; before the config is shared. `listen` is
 * "ADDRESS:PORT", "[IPv6]:PORT" or "PORT". */
bool config_set_listen(struct config *config, const char *listen, struct error *err);
bool config_set_plugin_directory(struct config *config, const char *directory, struct error *err);

/* Tells of each key that differs between the two and takes effect only after a
 * restart, as "FILE: http.threads has changed: restart mcpd ..."; returns how
 * many. For a reload. */
size_t config_needs_restart(const struct config *running, const struct config *loaded,
                            config_complain *complain, void *context);

/* The place of a JSON Pointer inside a provider's "config" as
 * "FILE:LINE:COLUMN"; the nearest existing parent where there is nothing; the
 * file alone when the provider has no entry. */
void config_place(const struct config_provider *provider, const char *pointer, char *out,
                  size_t size);

#endif
