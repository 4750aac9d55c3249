/* SPDX-License-Identifier: MIT */
/*
 * One generation of one provider: a plugin file as it was when it was loaded,
 * with one configuration, able to be called. How it runs - in this process, or
 * later in a worker process - is behind struct provider_ops; nobody above this
 * header knows.
 *
 * Life of a generation: loaded and asked for its tools (provider_load), then
 * published in a registry snapshot, then retired (no new call enters), drained
 * (the last call has left), stopped and destroyed. The struct itself lives as
 * long as somebody holds a reference; the plugin's code does not.
 *
 * Calls enter with provider_enter and leave with provider_leave. A reader with
 * an old snapshot may meet a retired generation: provider_enter then says no,
 * and the reader looks into the newest snapshot.
 */
#ifndef PLUGIN_PROVIDER_H
#define PLUGIN_PROVIDER_H

#include <stdatomic.h>

#include "config/config.h"
#include "plugin/toolset.h"

struct call;
struct provider;

/* How a generation runs. All functions but `call` and `cancel` are called by
 * the one control thread of the plugin layer. */
struct provider_ops {
    /* Gives a call to the plugin, on this thread (an I/O thread for tools that
     * do not block, else a worker). When it returns, the plugin's call_tool has
     * returned; the call has ended or will be. If the plugin refused it, this
     * has ended it. */
    void (*call)(struct provider *provider, struct call *call);

    /* Asks again for the tools. NULL: failed, err says why. */
    struct toolset *(*get_tools)(struct provider *provider, struct error *err);

    /* Takes a new configuration in place. 1: done; 0: this plugin cannot, make
     * a new generation; -1: refused, err says why (with file:line:column). */
    int (*reconfigure)(struct provider *provider, const struct config_provider *settings,
                       struct error *err);

    /* After the drain: stop, destroy, and unmap the code if it is proven that
     * nothing of it is left running; otherwise it stays mapped, counted and
     * logged. Returns whether everything has gone. */
    bool (*stop)(struct provider *provider);

    /* Frees what the link itself allocated; the last reference has gone. */
    void (*free)(struct provider *provider);
};

struct provider {
    const struct provider_ops *ops;
    char *id; /* the operator's name */
    char *plugin; /* plugin id */
    char *version; /* the plugin's, from its manifest */
    char *prefix;
    uint64_t generation; /* unique in this process, growing */
    unsigned char file_hash[32]; /* BLAKE2b of the file it was loaded from */
    struct config *config; /* keeps `settings` alive */
    const struct config_provider *settings; /* NULL: no entry, defaults */
    struct toolset *tools;

    atomic_uint references;
    atomic_uint inside; /* calls that have entered and not left */
    atomic_bool retired;
    atomic_bool broken; /* it called exit or the like: every call is refused */
    _Atomic(struct plugins *) owner; /* who is told of notify() */
};

struct provider *provider_ref(struct provider *provider);
void provider_unref(struct provider *provider);

/* True: the caller may use ops->call until provider_leave. Any thread; no lock. */
bool provider_enter(struct provider *provider);
void provider_leave(struct provider *provider);

/* No further call enters. */
void provider_retire(struct provider *provider);
/* Waits until no call is inside; false when `deadline_ns` came first. */
bool provider_drain(struct provider *provider, int64_t deadline_ns);

#endif
