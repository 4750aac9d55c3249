/* SPDX-License-Identifier: MIT */
/* The snapshot of everything on offer: building, publishing, reading. */
#include "plugin/registry.h"

#include <pthread.h>
#include <stdlib.h>

#include <mcp/plugin.h>

#include "base/buf.h"
#include "base/crypto.h"
#include "base/log.h"
#include "plugin/dispatch.h"
#include "plugin/uri_template.h"

#define SNAPSHOT_MAX ((size_t)1 << 30)

#define NAMES_SHOWN 10 /* of those that a clash leaves out */

/* A complaint that has been logged: about these two generations (or one and 0), and
 * these names. */
struct complaint {
    enum offer_kind kind;
    uint64_t winner, loser;
    uint64_t names; /* a hash */
};

struct registry {
    pthread_mutex_t mutex; /* guards `newest` */
    struct snapshot *newest;
    /* newest->version; readers compare it with what they have. */
    _Atomic(uint64_t) version;
    struct registry_hooks hooks;
    /* The publisher's own: what has been complained of already. */
    struct complaint *said;
    size_t said_count;
};

struct registry *registry_new(void)
{
    struct registry *registry = calloc(1, sizeof(*registry));
    if (registry == NULL)
        return NULL;
    pthread_mutex_init(&registry->mutex, NULL);
    return registry;
}

void registry_free(struct registry *registry)
{
    if (registry == NULL)
        return;
    snapshot_unref(registry->newest);
    pthread_mutex_destroy(&registry->mutex);
    free(registry->said);
    free(registry);
}

void registry_set_hooks(struct registry *registry, const struct registry_hooks *hooks)
{
    registry->hooks = *hooks;
}

void registry_resource_updated(struct registry *registry, struct bytes uri)
{
    if (registry->hooks.updated != NULL)
        registry->hooks.updated(registry->hooks.context, uri);
}

void registry_missing(struct registry *registry, struct bytes list)
{
    if (registry->hooks.missing != NULL)
        registry->hooks.missing(registry->hooks.context, list);
}

/* ---- reading ---- */

struct snapshot *snapshot_ref(const struct snapshot *snapshot)
{
    struct snapshot *mine = (struct snapshot *)(uintptr_t)snapshot;
    atomic_fetch_add_explicit(&mine->references, 1, memory_order_relaxed);
    return mine;
}

void snapshot_unref(const struct snapshot *snapshot)
{
    struct snapshot *mine = (struct snapshot *)(uintptr_t)snapshot;
    if (mine == NULL || atomic_fetch_sub(&mine->references, 1) != 1)
        return;
    if (mine->free_view != NULL && mine->view != NULL)
        mine->free_view(mine->view);
    for (int kind = 0; kind < OFFER_KINDS; kind++)
        for (size_t i = 0; i < mine->lists[kind].count; i++)
            gate_unref(mine->lists[kind].entries[i].gate);
    for (size_t i = 0; i < mine->provider_count; i++) {
        offers_unref(mine->offers[i]);
        provider_unref(mine->providers[i]);
    }
    arena_free(&mine->arena);
    free(mine);
}

const struct snapshot *registry_read(struct registry *registry, struct registry_reader *reader)
{
    uint64_t version = atomic_load_explicit(&registry->version, memory_order_acquire);
    if (reader->snapshot != NULL && reader->snapshot->version == version)
        return reader->snapshot;

    struct snapshot *old = reader->snapshot;
    pthread_mutex_lock(&registry->mutex);
    reader->snapshot = registry->newest != NULL ? snapshot_ref(registry->newest) : NULL;
    pthread_mutex_unlock(&registry->mutex);
    snapshot_unref(old);
    return reader->snapshot;
}

void registry_reader_close(struct registry_reader *reader)
{
    snapshot_unref(reader->snapshot);
    reader->snapshot = NULL;
}

const struct registry_entry *snapshot_find(const struct snapshot *snapshot, enum offer_kind kind,
                                           struct bytes name)
{
    const struct registry_list *list = &snapshot->lists[kind];
    if (list->count == 0)
        return NULL;
    size_t slot = (size_t)bytes_hash(name) & list->index_mask;
    while (list->index[slot] != NULL) {
        if (bytes_equal(list->index[slot]->name, name))
            return list->index[slot];
        slot = (slot + 1) & list->index_mask;
    }
    return NULL;
}

const struct registry_entry *snapshot_match(const struct snapshot *snapshot, struct bytes uri,
                                            struct buf *variables)
{
    const struct registry_list *list = &snapshot->lists[OFFER_TEMPLATE];
    for (size_t i = 0; i < list->count; i++) {
        if (uri_template_match(list->entries[i].offer->uri_template, uri, variables))
            return &list->entries[i];
    }
    return NULL;
}

/* ---- complaints, once each ---- */

static bool say_once(struct registry *registry, enum offer_kind kind, uint64_t winner,
                     uint64_t loser, uint64_t names)
{
    for (size_t i = 0; i < registry->said_count; i++) {
        struct complaint *c = &registry->said[i];
        if (c->kind == kind && c->winner == winner && c->loser == loser) {
            bool same = c->names == names;
            c->names = names;
            return !same;
        }
    }
    struct complaint *said = realloc(registry->said, (registry->said_count + 1) * sizeof(*said));
    if (said != NULL) {
        registry->said = said;
        said[registry->said_count++] = (struct complaint){kind, winner, loser, names};
    }
    return true;
}

static bool published(const struct snapshot *snapshot, uint64_t generation)
{
    for (size_t i = 0; i < snapshot->provider_count; i++) {
        if (snapshot->providers[i]->generation == generation)
            return true;
    }
    return false;
}

/* Forgets what was said of generations that have gone. */
static void forget_complaints(struct registry *registry, const struct snapshot *snapshot)
{
    size_t kept = 0;
    for (size_t i = 0; i < registry->said_count; i++) {
        struct complaint *c = &registry->said[i];
        if (published(snapshot, c->loser) && (c->winner == 0 || published(snapshot, c->winner)))
            registry->said[kept++] = *c;
    }
    registry->said_count = kept;
}

static bool has_prefix(enum offer_kind kind)
{
    return kind == OFFER_TOOL || kind == OFFER_PROMPT;
}

/* Offers of one kind and one provider whose names were taken: the entries that
 * have them. */
struct taken {
    const struct registry_entry **entries;
    size_t count;
};

/* Takes those out that `winner` has, and lists them in `names`. */
static size_t list_taken(struct taken *taken, const struct provider *winner, struct buf *names)
{
    size_t count = 0, kept = 0;
    for (size_t i = 0; i < taken->count; i++) {
        const struct registry_entry *entry = taken->entries[i];
        if (entry->provider != winner) {
            taken->entries[kept++] = entry;
            continue;
        }
        if (count < NAMES_SHOWN)
            buf_addf(names, "%s%.*s", count > 0 ? ", " : "", BYTES_FMT(entry->name));
        count++;
    }
    if (count > NAMES_SHOWN)
        buf_addf(names, " and %zu more", count - NAMES_SHOWN);
    taken->count = kept;
    return count;
}

static void complain_clash(const struct provider *loser, const struct provider *winner,
                           enum offer_kind kind, struct bytes names, size_t count)
{
    const char *what = offer_kind_name(kind), *s = count > 1 ? "s" : "";

    if (has_prefix(kind))
        log_warning("%s: its %s%s %.*s %s left out: %s, which comes before it, has %s%s%s of %s: "
                    "set a \"prefix\" for %s in the configuration",
                    loser->id, what, s, BYTES_FMT(names), count > 1 ? "are" : "is", winner->id,
                    count > 1 ? "" : "a ", what, s, count > 1 ? "these names" : "this name",
                    loser->id);
    else if (kind == OFFER_SKILL)
        log_warning("%s: its skill%s with the name%s of %.*s %s left out: %s comes before it: "
                    "rename them, or serve only one",
                    loser->id, s, s, BYTES_FMT(names), count > 1 ? "are" : "is", winner->id);
    else
        log_warning("%s: its %s%s %.*s %s left out: %s, which comes before it, serves %s: "
                    "configure the two so that their URIs differ, or serve only one",
                    loser->id, what, s, BYTES_FMT(names), count > 1 ? "are" : "is", winner->id,
                    count > 1 ? "these URIs" : "this URI");
}

/* A line for each provider that has taken names of this one. */
static void complain_taken(struct registry *registry, struct taken *taken, enum offer_kind kind,
                           const struct provider *loser)
{
    while (taken->count > 0) {
        const struct provider *winner = taken->entries[0]->provider;
        struct buf names;
        buf_init(&names, (size_t)(NAMES_SHOWN + 1) * (URI_MAX + 2));
        size_t count = list_taken(taken, winner, &names);
        if (say_once(registry, kind, winner->generation, loser->generation,
                     bytes_hash(buf_bytes(&names))))
            complain_clash(loser, winner, kind, buf_bytes(&names), count);
        buf_free(&names);
    }
}

static void complain_name(struct registry *registry, const struct provider *provider,
                          const struct offer *offer)
{
    if (!say_once(registry, offer->kind, 0, provider->generation, 0))
        return;
    log_warning("%s: its %s \"%.*s\" is left out: with the prefix \"%s\" the name is longer than "
                "%d characters or has others than A-Z a-z 0-9 _ - .",
                provider->id, offer_kind_name(offer->kind), BYTES_FMT(offer->name),
                provider->prefix, TOOL_NAME_MAX);
}

/* ---- building ---- */

/* The gate of an offer, kept from one snapshot to the next, for it knows who is
 * inside. NULL: everybody may enter (*ok), or no memory (not *ok). A new
 * reference. */
static struct gate *offer_gate(struct provider *provider, const struct offer *offer, bool *ok)
{
    bool serial = !provider->elsewhere &&
                  (offer->terms.flags & (MCP_TOOL_THREAD_SAFE | MCP_TOOL_NONBLOCKING)) == 0;
    uint32_t limit = offer->terms.concurrency;

    *ok = true;
    if (serial && provider->serial == NULL) {
        provider->serial = gate_new_serial();
        if (provider->serial == NULL)
            goto no_memory;
    }
    if (limit == 0)
        return serial ? gate_ref(provider->serial) : NULL;

    for (struct provider_gate *g = provider->gates; g != NULL; g = g->next) {
        if (g->limit == limit && g->serial == serial && g->kind == offer->kind &&
            bytes_equal(bytes_of(g->name), offer->name))
            return gate_ref(g->gate);
    }
    struct provider_gate *made = malloc(sizeof(*made) + offer->name.size + 1);
    if (made == NULL)
        goto no_memory;
    made->gate = serial ? gate_new_before(provider->serial, limit) : gate_new(limit);
    if (made->gate == NULL) {
        free(made);
        goto no_memory;
    }
    made->limit = limit;
    made->serial = serial;
    made->kind = offer->kind;
    memcpy(made->name, offer->name.data, offer->name.size);
    made->name[offer->name.size] = '\0';
    made->next = provider->gates;
    provider->gates = made;
    return gate_ref(made->gate);
no_memory:
    *ok = false;
    return NULL;
}

static bool join_name(struct arena *arena, struct bytes prefix, struct bytes name,
                      struct bytes *out)
{
    char *text = arena_alloc(arena, prefix.size + name.size + 1);
    if (text == NULL)
        return false;
    if (prefix.size > 0)
        memcpy(text, prefix.data, prefix.size);
    memcpy(text + prefix.size, name.data, name.size);
    text[prefix.size + name.size] = '\0';
    *out = (struct bytes){text, prefix.size + name.size};
    return true;
}

static void index_add(struct registry_list *list, struct registry_entry *entry)
{
    size_t slot = (size_t)bytes_hash(entry->name) & list->index_mask;
    while (list->index[slot] != NULL)
        slot = (slot + 1) & list->index_mask;
    list->index[slot] = entry;
}

/* Who has the name already, or, of a skill, the last part of it: NULL: nobody. */
static const struct registry_entry *find_taken(const struct snapshot *snapshot,
                                               enum offer_kind kind, struct bytes name)
{
    const struct registry_list *list = &snapshot->lists[kind];

    if (kind != OFFER_SKILL)
        return snapshot_find(snapshot, kind, name);
    for (size_t i = 0; i < list->count; i++)
        if (bytes_equal(skill_name(list->entries[i].name), skill_name(name)))
            return &list->entries[i];
    return NULL;
}

/* Adds one offer, or leaves it out with a warning or in `taken`. False: out of
 * memory. */
static bool add_offer(struct registry *registry, struct snapshot *snapshot,
                      struct provider *provider, const struct offer *offer, struct taken *taken)
{
    struct registry_list *list = &snapshot->lists[offer->kind];
    struct registry_entry *entry = &list->entries[list->count];
    struct bytes prefix = has_prefix(offer->kind) ? bytes_of(provider->prefix) : BYTES("");
    bool ok;

    if (!join_name(&snapshot->arena, prefix, offer->name, &entry->name))
        return false;
    if (prefix.size > 0 && !tool_name_is_legal(entry->name)) {
        complain_name(registry, provider, offer);
        return true;
    }
    const struct registry_entry *first = find_taken(snapshot, offer->kind, entry->name);
    if (first != NULL) {
        taken->entries[taken->count++] = first;
        return true;
    }
    entry->gate = offer_gate(provider, offer, &ok);
    if (!ok)
        return false;
    entry->offer = offer;
    entry->provider = provider;
    entry->timeout_ms = provider->timeout_ms;
    list->count++;
    index_add(list, entry);
    return true;
}

/* Room for all that the providers offer of one kind. */
static bool make_list(struct snapshot *snapshot, enum offer_kind kind,
                      struct provider *const *providers, size_t count)
{
    struct registry_list *list = &snapshot->lists[kind];
    size_t offers = 0, slots = 8;

    for (size_t i = 0; i < count; i++)
        offers += providers[i]->offers != NULL ? providers[i]->offers->lists[kind].count : 0;
    if (offers == 0)
        return true;
    while (slots < offers * 2)
        slots *= 2;
    list->entries = arena_calloc(&snapshot->arena, offers, sizeof(struct registry_entry));
    list->index = arena_calloc(&snapshot->arena, slots, sizeof(struct registry_entry *));
    list->index_mask = slots - 1;
    return list->entries != NULL && list->index != NULL;
}

/* A check that is not thread-safe waits at the provider's own gate. It is there from the
 * first snapshot on, so that who has one may read the pointer. */
static bool make_check_gate(struct provider *provider)
{
    if (!provider->checks || provider->elsewhere || provider->serial != NULL ||
        (provider->check_flags & MCP_TOOL_THREAD_SAFE) != 0)
        return true;
    provider->serial = gate_new_serial();
    return provider->serial != NULL;
}

static bool fill(struct registry *registry, struct snapshot *snapshot,
                 struct provider *const *providers, size_t count)
{
    size_t most = 0;
    struct taken taken = {NULL, 0};
    for (size_t i = 0; i < count; i++)
        for (int kind = 0; providers[i]->offers != NULL && kind < OFFER_KINDS; kind++)
            if (providers[i]->offers->lists[kind].count > most)
                most = providers[i]->offers->lists[kind].count;
    snapshot->providers = arena_calloc(&snapshot->arena, count, sizeof(struct provider *));
    snapshot->offers = arena_calloc(&snapshot->arena, count, sizeof(struct offers *));
    taken.entries = arena_calloc(&snapshot->arena, most, sizeof(struct registry_entry *));
    if (snapshot->providers == NULL || snapshot->offers == NULL || taken.entries == NULL)
        return false;
    for (int kind = 0; kind < OFFER_KINDS; kind++)
        if (!make_list(snapshot, (enum offer_kind)kind, providers, count))
            return false;
    for (size_t i = 0; i < count; i++) {
        struct offers *offers = providers[i]->offers;
        snapshot->providers[i] = provider_ref(providers[i]);
        snapshot->offers[i] = offers != NULL ? offers_ref(offers) : NULL;
        snapshot->provider_count++;
        if (!make_check_gate(providers[i]))
            return false;
        for (int kind = 0; offers != NULL && kind < OFFER_KINDS; kind++) {
            const struct offer_list *list = &offers->lists[kind];
            for (size_t k = 0; k < list->count; k++)
                if (!add_offer(registry, snapshot, providers[i], &list->offers[k], &taken))
                    return false;
            complain_taken(registry, &taken, (enum offer_kind)kind, providers[i]);
        }
    }
    return true;
}

/* Names, definitions, whose they are and their order: all that a list shows. */
static bool hash_list(struct registry_list *list)
{
    struct buf all;
    buf_init(&all, SNAPSHOT_MAX);
    for (size_t i = 0; i < list->count; i++) {
        const struct registry_entry *entry = &list->entries[i];
        struct bytes definition = entry->offer->terms.definition;
        uint64_t sizes[3] = {entry->name.size, definition.size, strlen(entry->provider->id)};
        buf_add(&all, sizes, sizeof(sizes));
        buf_add_bytes(&all, entry->name);
        buf_add_bytes(&all, definition);
        buf_add_bytes(&all, bytes_of(entry->provider->id));
    }
    bool ok = !all.failed;
    if (ok)
        crypto_digest(list->hash, all.size > 0 ? all.data : "", all.size);
    buf_free(&all);
    return ok;
}

static bool hash_lists(struct snapshot *snapshot)
{
    for (int kind = 0; kind < OFFER_KINDS; kind++)
        if (!hash_list(&snapshot->lists[kind]))
            return false;
    return true;
}

/* MCP_CHANGED_* of the lists that differ. */
static uint32_t difference(const struct snapshot *old, const struct snapshot *new)
{
    static const uint32_t names[OFFER_KINDS] = {
        [OFFER_TOOL] = MCP_CHANGED_TOOLS,         [OFFER_RESOURCE] = MCP_CHANGED_RESOURCES,
        [OFFER_TEMPLATE] = MCP_CHANGED_RESOURCES, [OFFER_PROMPT] = MCP_CHANGED_PROMPTS,
        [OFFER_SKILL] = MCP_CHANGED_RESOURCES,
    };
    uint32_t what = 0;

    for (int kind = 0; old != NULL && kind < OFFER_KINDS; kind++)
        if (memcmp(old->lists[kind].hash, new->lists[kind].hash, sizeof(old->lists[kind].hash)) !=
            0)
            what |= names[kind];
    return what;
}

bool registry_publish(struct registry *registry, struct provider *const *providers, size_t count,
                      struct error *err)
{
    struct snapshot *old = registry->newest; /* only this thread changes it */
    struct snapshot *snapshot = calloc(1, sizeof(*snapshot));
    if (snapshot == NULL)
        return error_no_memory_for(err, "what is on offer cannot be renewed");
    atomic_init(&snapshot->references, 1);
    arena_init(&snapshot->arena, SNAPSHOT_MAX);
    if (!fill(registry, snapshot, providers, count) || !hash_lists(snapshot)) {
        snapshot_unref(snapshot);
        return error_no_memory_for(err, "what is on offer cannot be renewed");
    }
    snapshot->version = old != NULL ? old->version + 1 : 1;
    if (registry->hooks.make_view != NULL) {
        snapshot->free_view = registry->hooks.free_view;
        snapshot->view = registry->hooks.make_view(registry->hooks.context, snapshot);
        if (snapshot->view == NULL) {
            snapshot_unref(snapshot);
            return error_no_memory_for(err, "what is on offer cannot be renewed");
        }
    }
    forget_complaints(registry, snapshot);
    uint32_t changed = difference(old, snapshot);

    pthread_mutex_lock(&registry->mutex);
    registry->newest = snapshot;
    atomic_store_explicit(&registry->version, snapshot->version, memory_order_release);
    pthread_mutex_unlock(&registry->mutex);
    snapshot_unref(old);
    if (changed != 0 && registry->hooks.changed != NULL)
        registry->hooks.changed(registry->hooks.context, changed);
    return true;
}
