/* SPDX-License-Identifier: MIT */
/*
 * One generation of one provider: a plugin file as it was when it was loaded,
 * with one configuration, able to be called. How it runs - in this process, or
 * later in a worker process - is behind struct provider_ops; nobody above this
 * header knows.
 *
 * Life of a generation: loaded and asked for what it offers (provider_load), then
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
#include "plugin/breaker.h"
#include "plugin/offers.h"

struct call;
struct provider;

/* What calls are told of a provider that is `broken`. */
#define PROVIDER_BROKEN_TEXT "the provider has failed and is not available"

/* Who is told what a plugin says of itself: the plugin layer, or in a worker process
 * what passes it on. Any thread. */
struct provider_owner {
    /* What it offers is to be asked for again (MCP_CHANGED_*). */
    void (*changed)(struct provider_owner *owner, struct provider *provider, uint32_t what);
    /* A resource has changed. */
    void (*updated)(struct provider_owner *owner, struct bytes uri);
};

/* How a generation runs. All functions but `call` and `cancel` are called by
 * the one control thread of the plugin layer. */
struct provider_ops {
    /* Gives a call to the plugin, on this thread (an I/O thread for tools that
     * do not block, else a worker). When it returns, the plugin's call_tool has
     * returned; the call has ended or will be. If the plugin refused it, this
     * has ended it. */
    void (*call)(struct provider *provider, struct call *call);

    /* Asks again for all that it offers. NULL: failed, err says why. */
    struct offers *(*get_offers)(struct provider *provider, struct error *err);

    /* Takes a new configuration in place. 1: done; 0: this plugin cannot, make
     * a new generation; -1: refused, err says why (with file:line:column). */
    int (*reconfigure)(struct provider *provider, const struct config_provider *settings,
                       struct error *err);

    /* After the drain: stop, destroy, and unmap the code if it is proven that
     * nothing of it is left running; otherwise it stays mapped, counted and
     * logged. Returns whether everything has gone. */
    bool (*stop)(struct provider *provider);

    /* Frees what the link itself allocated, the struct provider with it; the
     * last reference has gone, and provider_unref has freed what hangs off the
     * struct (see there). Any thread. */
    void (*free)(struct provider *provider);
};

/* The gate of one offer with a limit on its unfinished calls. */
struct provider_gate {
    struct provider_gate *next;
    struct gate *gate;
    uint32_t limit;
    bool serial; /* it leads on to the provider's own gate */
    enum offer_kind kind;
    char name[]; /* of the offer, NUL-terminated */
};

/* The link allocates it (cleared, perhaps inside a struct of its own), calls
 * provider_init, and fills in the fields up to `offers`. */
struct provider {
    const struct provider_ops *ops;
    char *id; /* the operator's name */
    char *plugin; /* plugin id */
    char *version; /* the plugin's, from its manifest */
    char *prefix; /* control thread only; NULL is "" */
    uint32_t timeout_ms; /* the operator's, for its calls; 0: none; control thread only */
    uint64_t generation; /* unique in this process, growing */
    unsigned char file_hash[32]; /* BLAKE2b of the file it was loaded from */
    struct config *config; /* keeps `settings` alive; control thread only, both */
    const struct config_provider *settings; /* NULL: no entry, defaults */
    struct offers *offers; /* control thread only; readers have a snapshot */
    /* The plugin answers completion/complete. */
    bool completes;
    /* It says whether it works (<mcp/health.h>), and the flags of that. */
    bool checks;
    uint32_t check_flags;

    atomic_uint references;
    atomic_bool broken; /* it called exit or the like: every call is refused */
    /* Calls run in another process: ops->call does not wait, and whoever runs there
     * keeps those apart that are not thread-safe. */
    bool elsewhere;
    int pid; /* then: of the process that it was loaded in first; control thread only */
    _Atomic(struct provider_owner *) owner; /* who is told of notify() */
    /* Of this generation; the next one begins anew. */
    struct breaker breaker;

    /* provider.c's own: calls that have entered and not left, and the mark of
     * retirement in the same word. */
    atomic_uint entered;
    _Atomic int64_t tell_late_ns; /* not before, the log has another late call; also its own */
    _Atomic int64_t told_ns; /* provider_may_tell's own */
    atomic_bool told_gone; /* call_ops.c's own: the log has that calls cannot be run */
    /* registry.c's own: the gates of this generation, made when it is first
     * published. `serial` is for offers that are not thread-safe, and such a check. */
    struct gate *serial;
    struct provider_gate *gates;
};

/* One reference, nobody inside. */
void provider_init(struct provider *provider, const struct provider_ops *ops);
struct image; /* plugin/load.h */
/* Fills in what both links know before anything is loaded: from the image, and from
 * config and settings, which may be NULL. False: out of memory. */
bool provider_describe(struct provider *provider, const struct image *image,
                       const char *provider_id, struct config *config,
                       const struct config_provider *settings);

struct provider *provider_ref(struct provider *provider);
/* The last one frees id, plugin, version and prefix (from malloc), drops offers,
 * config and gates, and then calls ops->free. NULL is allowed. */
void provider_unref(struct provider *provider);

/* Takes what a configuration says of its breaker; NULL: nothing. */
void provider_take_limits(struct provider *provider, const struct config *config);
/* What its breaker is told, and the operator when that changes something. `how`: the
 * failure, as a sentence for the log. */
void provider_call_failed(struct provider *provider, const char *how);
void provider_call_succeeded(struct provider *provider);
/* A call was answered for because its time was up: for the log, which has one of them in
 * a second. */
void provider_call_late(struct provider *provider, const char *how);

/* Whether the log is to have another mistake of the plugin's: so many at once, and then one
 * in a second. NULL: it is not known whose plugin's. */
#define MISTAKES_TOLD 50
bool provider_may_tell(struct provider *provider);

/* How many calls are inside. */
unsigned provider_inside(const struct provider *provider);

/* True: the caller may use ops->call until provider_leave. Any thread; no lock. */
bool provider_enter(struct provider *provider);
void provider_leave(struct provider *provider);

/* No further call enters. */
void provider_retire(struct provider *provider);
bool provider_is_retired(const struct provider *provider);
/* Has `wake(context)` called, on any thread, each time the last call of a
 * retired provider leaves. One listener in a process; NULL takes it back, and
 * when that returns it is not running. */
void provider_on_drained(void (*wake)(void *context), void *context);

#endif
