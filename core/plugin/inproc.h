/* SPDX-License-Identifier: MIT */
/* What inproc.c, its halves for offers and for unmapping, and try.c share. load.h
 * is for all others. */
#ifndef PLUGIN_INPROC_H
#define PLUGIN_INPROC_H

#include <mcp/completion.h>
#include <mcp/health.h>
#include <mcp/prompts.h>
#include <mcp/resources.h>
#include <mcp/skills.h>

#include "plugin/host.h"
#include "plugin/load.h"
#include "plugin/plugin_threads.h"

/* Told before each step that runs code of the plugin: "create". */
typedef void inproc_step(void *context, const char *step);

/* The link to an instance in this process. */
struct inproc {
    struct provider provider; /* first */
    struct image *image;
    const char *file_name; /* the end of image->source */
    void *handle; /* of dlopen */
    struct mcp_plugin plugin; /* a copy; what its own lacks is NULL */
    void *self;
    /* Copies of its extensions; all NULL where it has none. */
    struct mcp_resources resources;
    struct mcp_prompts prompts;
    struct mcp_completion completion;
    struct mcp_skills skills;
    struct mcp_health health;
    struct host *host;
    struct plugin_code *code;
    bool created, started;
    char left[300]; /* why inproc_unload kept the code; "": it did not */
    inproc_step *step;
    void *step_context;
    struct inproc *next_leftover;
};

/* inproc_load, with a `step` (or NULL) and the failure in pieces. */
struct provider *inproc_run(struct image *image, const char *provider_id, struct config *config,
                            const struct config_provider *settings, struct provider_owner *owner,
                            inproc_step *step, void *context, struct failure *failure);

/* Has `hook` told why a plugin is broken, instead of the log; it need not return. Before
 * the first plugin; for a process that has only one. */
void inproc_on_broken(void (*hook)(const char *why));
/* Whether it has been told that this is such a process, a worker. */
bool inproc_is_alone(void);

/* Something that runs plugin code; `link->code` is on this thread. */
typedef int32_t inproc_action(struct inproc *link, void *argument);

/* What inproc_enter returns when the plugin exited, and the provider is broken;
 * `failure` says how. */
#define INPROC_EXITED INT32_MIN

/* Runs the action under a guard. */
int32_t inproc_enter(struct inproc *link, const char *step, inproc_action *action, void *argument,
                     struct failure *failure);

/* Whether a step succeeded; else the plugin's own words, or what it returned. */
bool inproc_succeeded(struct inproc *link, const char *step, int32_t result,
                      struct failure *failure);
/* "MCP_EFAIL" */
const char *inproc_result_name(int32_t result);

/* provider_ops.reconfigure, with the failure in pieces. */
int inproc_reconfigure_with(struct inproc *link, const struct config_provider *settings,
                            struct failure *failure);

/* ---- inproc_offers.c ---- */

/* Asks for the extensions, after create. */
bool inproc_find_extensions(struct inproc *link, struct failure *failure);
/* Asks for all that the instance offers. */
struct offers *inproc_collect(struct inproc *link, struct failure *failure);

/* ---- unmap.c ---- */

/* Loads the copy into this process. */
bool inproc_map(struct inproc *link, struct failure *failure);

/* Stops and destroys what was created and started, and unmaps the code. False:
 * something is left (link->left says what); the code stays mapped, logged and
 * counted, and keeps a reference to the provider for ever. */
bool inproc_unload(struct inproc *link);

#endif
