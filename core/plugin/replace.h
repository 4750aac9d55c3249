/* SPDX-License-Identifier: MIT */
/*
 * Inside the plugin layer's control thread: the providers there should be, the
 * generation that serves each, and those on their way out. plugins.c decides
 * when to look, replace.c what to do. All of it belongs to the control thread, but for
 * plugins_are_at.
 */
#ifndef PLUGIN_REPLACE_H
#define PLUGIN_REPLACE_H

#include "plugin/call.h"
#include "plugin/load.h"
#include "plugin/plugins.h"
#include "plugin/scan.h"

/* How long calls may take to end that were cancelled because the drain took too
 * long. */
#define CANCEL_GRACE_NS (INT64_C(1000) * 1000 * 1000)

/* A provider there should be. */
struct slot {
    struct slot *next;
    char id[PLUGIN_ID_MAX + 1];
    char plugin[PLUGIN_ID_MAX + 1];
    const struct config_provider *settings; /* of the configuration in force; NULL: none */
    unsigned char wanted[32]; /* digest of the settings' "config" */

    struct provider *current; /* what serves; a reference; NULL: nothing */
    unsigned char running[32]; /* the digest it runs with */
    struct retiring *out; /* for its way out: that must not fail */

    bool renew; /* an operator asks, and `current` is out of service: another is made */

    /* What did not work and is not tried again. */
    bool refused;
    unsigned char refused_hash[32], refused_config[32];
    struct error said; /* the last thing logged of it */
    char news[512]; /* to be logged when it is true for clients too; "": nothing */
};

/* A generation on its way out. */
struct retiring {
    struct retiring *next;
    struct provider *provider; /* a reference */
    enum { OUT_WAITS, OUT_DRAINS, OUT_CANCELLED, OUT_LEFT_BEHIND } step;
    int64_t until_ns;
};

struct serving {
    struct provider_owner *owner;
    struct registry *registry;
    struct config *config; /* a reference */
    const char *private_directory;
    struct scan scan;
    struct slot *slots; /* in the order of the plan */
    struct retiring *retiring;
    bool dirty; /* the snapshot is to be made anew */
    bool unplanned; /* for want of memory it is not known what is to be served */
    int64_t again_ns; /* when to try what failed for a passing reason; 0: nothing did */
};

/* Makes the slots anew after the configuration or the files have changed. False:
 * out of memory; all is as before. */
bool slots_plan(struct serving *serving);
/* Compares each slot with its file and loads, reconfigures or retires. */
void slots_bring_up(struct serving *serving);
/* A new configuration: what was refused is tried again. */
void slots_forgive(struct serving *serving);
/* Asks one provider for its tools again, if it is still serving. False: there was no
 * memory. */
bool slots_refresh(struct serving *serving, struct provider *provider);

/* Publishes a snapshot if anything changed; only then do generations go that it
 * no longer shows. */
void serving_publish(struct serving *serving);
/* Looks after generations on their way out. Returns when to look again. */
int64_t serving_retire(struct serving *serving);
/* For the end: all slots out, without a snapshot. */
void serving_retire_all(struct serving *serving, int64_t until_ns);
/* Frees all; what still is on its way out is left behind. Returns how many. */
unsigned serving_free(struct serving *serving);

#endif
