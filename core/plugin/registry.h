/* SPDX-License-Identifier: MIT */
/*
 * Everything on offer: an immutable snapshot that is swapped whole when a
 * provider changes.
 *
 * Reading takes no lock: each reading thread keeps a struct registry_reader
 * with a reference to the snapshot it saw last, and compares one atomic number
 * per request. Only the control thread of the plugin layer publishes.
 *
 * Lock order: registry.mutex is a leaf; it is taken by publish and by a reader
 * that finds its snapshot out of date.
 */
#ifndef PLUGIN_REGISTRY_H
#define PLUGIN_REGISTRY_H

#include "plugin/provider.h"

/* An offer as clients see it. */
struct registry_entry {
    struct bytes name; /* the offer's; of a tool or prompt, with the provider's prefix before
                          it; NUL-terminated */
    const struct offer *offer;
    struct provider *provider;
    struct gate *gate; /* plugin/dispatch.c: who may run at once; NULL: everybody */
    uint32_t timeout_ms; /* the operator's limit for this provider; 0: none */
};

/* The offers of one kind. */
struct registry_list {
    struct registry_entry *entries; /* in the order clients see: stable while unchanged */
    size_t count;
    unsigned char hash[32]; /* equal hashes: clients see the same list */
    struct registry_entry **index; /* open addressing by name; index_mask + 1 slots */
    size_t index_mask;
};

struct snapshot {
    atomic_uint references;
    uint64_t version; /* grows with each publish */
    struct arena arena;
    struct provider **providers; /* in the operator's order */
    struct offers **offers; /* theirs, when the snapshot was made */
    size_t provider_count;
    struct registry_list lists[OFFER_KINDS];
    /* What the layer above prepared from this snapshot (ready-made lists). */
    void *view;
    void (*free_view)(void *view);
};

/* What the layer above does when a snapshot is made, on the control thread; a view
 * is freed on the thread of whoever reads its snapshot last. */
struct registry_hooks {
    void *context;
    /* Prepares the lists of a new snapshot, before it is published. NULL: out of memory. */
    void *(*make_view)(void *context, const struct snapshot *snapshot);
    void (*free_view)(void *view);
    /* The snapshot is published, and what clients see differs: MCP_CHANGED_*. */
    void (*changed)(void *context, uint32_t what);
    /* A plugin says that a resource has changed. Any thread. */
    void (*updated)(void *context, struct bytes uri);
    /* The providers that there should be and that nothing runs of, as often as that may
     * have changed: of each its id and why, each with a NUL. On the control thread. */
    void (*missing)(void *context, struct bytes list);
};

struct registry;

/* One for each reading thread; zero it first. */
struct registry_reader {
    struct snapshot *snapshot;
};

/* A thread that has had nothing to read for so long closes its reader: what is replaced
 * meanwhile would stay loaded until the thread reads again. */
#define REGISTRY_IDLE_MS 1000

struct registry *registry_new(void);
void registry_free(struct registry *registry);
/* Once, before the first publish. */
void registry_set_hooks(struct registry *registry, const struct registry_hooks *hooks);

/* Builds a snapshot of these providers, in this order, and publishes it. A name
 * (with prefix) or URI that two providers claim goes to the first; the clash is
 * logged as a warning, once per kind, pair of generations and set of names. Takes
 * references. False: out of memory; the old snapshot stays. */
bool registry_publish(struct registry *registry, struct provider *const *providers, size_t count,
                      struct error *err);

void registry_resource_updated(struct registry *registry, struct bytes uri);
void registry_missing(struct registry *registry, struct bytes list);

/* The newest snapshot; valid until the reader's next registry_read. Never NULL
 * after the first publish. */
const struct snapshot *registry_read(struct registry *registry, struct registry_reader *reader);
/* Lets go of the snapshot; the reader may read again. */
void registry_reader_close(struct registry_reader *reader);

struct snapshot *snapshot_ref(const struct snapshot *snapshot);
void snapshot_unref(const struct snapshot *snapshot);

/* NULL when there is no such offer. */
const struct registry_entry *snapshot_find(const struct snapshot *snapshot, enum offer_kind kind,
                                           struct bytes name);

/* The first template that `uri` can come from, or NULL; appends the values of its
 * variables to `variables`, a JSON object. */
const struct registry_entry *snapshot_match(const struct snapshot *snapshot, struct bytes uri,
                                            struct buf *variables);

#endif
