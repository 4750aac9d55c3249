/* SPDX-License-Identifier: MIT */
/*
 * The host side of one instance: what `struct mcp_host` of <mcp/plugin.h>
 * offers, and the memory behind it.
 *
 * Locks: host.mutex guards the failure, the log's bucket and the configuration;
 * a leaf, not held while anything else is called.
 */
#ifndef PLUGIN_HOST_H
#define PLUGIN_HOST_H

#include <mcp/plugin.h>
#include <pthread.h>

#include "plugin/provider.h"

/* Why a control function of a plugin failed. The place in the configuration is
 * a pointer still, for it is named by another process than the one that found
 * it when a plugin is tried. */
struct failure {
    bool in_config;
    char pointer[256]; /* JSON Pointer into "config" */
    struct error why; /* a sentence without the file's name and place */
};

/* The whole sentence: "weather.so: mcpd.json:12:15: config.url: WHY". */
void failure_tell(const struct failure *failure, const char *file_name,
                  const struct config_provider *settings, struct error *err);

/* One version of the instance's configuration, parsed. */
struct host_config {
    struct bytes text; /* a copy in `arena` */
    struct json json;
    struct arena arena; /* also of decoded strings */
    struct host_string *strings; /* decoded so far */
};

struct host {
    struct mcp_host abi; /* host_data points back to this struct */
    struct provider *provider; /* whose; its owner is told of notify */
    pthread_mutex_t mutex;
    struct host_config *config;
    bool failed; /* the plugin has called fail since host_forget_failure */
    struct failure failure;
    struct {
        int64_t time; /* when tokens were last added */
        int64_t tokens; /* lines that may be written, in thousandths */
        uint64_t dropped;
    } log;
};

/* Parses `settings->config` ("{}" without settings). NULL: err says why. */
struct host_config *host_config_new(const struct config_provider *settings, struct error *err);
void host_config_free(struct host_config *config);

/* For provider->id. Takes the configuration. NULL: out of memory. */
struct host *host_new(struct provider *provider, struct host_config *config);
void host_free(struct host *host);

/* Puts another configuration in force; returns the one before, which the plugin
 * may still be reading: free it when its reconfigure has returned. */
struct host_config *host_swap_config(struct host *host, struct host_config *config);

void host_forget_failure(struct host *host);
/* What the plugin gave to fail since then; false: nothing. */
bool host_get_failure(struct host *host, struct failure *failure);

#endif
