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

#define SNAPSHOT_MAX ((size_t)1 << 30)

#define NAMES_SHOWN 10 /* of those that a clash leaves out */

/* A complaint that has been logged: about these two generations (or one and 0), and
 * these tools. */
struct complaint {
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
    for (size_t i = 0; i < mine->tool_count; i++)
        gate_unref(mine->tools[i].gate);
    for (size_t i = 0; i < mine->provider_count; i++) {
        toolset_free(mine->toolsets[i]);
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

const struct registry_tool *snapshot_find_tool(const struct snapshot *snapshot, struct bytes name)
{
    if (snapshot->tool_count == 0 || name.size > TOOL_NAME_MAX)
        return NULL;
    size_t slot = (size_t)bytes_hash(name) & snapshot->index_mask;
    while (snapshot->index[slot] != NULL) {
        if (bytes_equal(snapshot->index[slot]->name, name))
            return snapshot->index[slot];
        slot = (slot + 1) & snapshot->index_mask;
    }
    return NULL;
}

/* ---- complaints, once each ---- */

static bool say_once(struct registry *registry, uint64_t winner, uint64_t loser, uint64_t names)
{
    for (size_t i = 0; i < registry->said_count; i++) {
        struct complaint *c = &registry->said[i];
        if (c->winner == winner && c->loser == loser) {
            bool same = c->names == names;
            c->names = names;
            return !same;
        }
    }
    struct complaint *said = realloc(registry->said, (registry->said_count + 1) * sizeof(*said));
    if (said != NULL) {
        registry->said = said;
        said[registry->said_count++] = (struct complaint){winner, loser, names};
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

/* Tools of one provider whose names were taken: the entries that have them. */
struct taken {
    const struct registry_tool **tools;
    size_t count;
};

/* Takes those out that `winner` has, and lists them in `names`. */
static size_t list_taken(struct taken *taken, const struct provider *winner, struct buf *names)
{
    size_t count = 0, kept = 0;
    for (size_t i = 0; i < taken->count; i++) {
        const struct registry_tool *tool = taken->tools[i];
        if (tool->provider != winner) {
            taken->tools[kept++] = tool;
            continue;
        }
        if (count < NAMES_SHOWN)
            buf_addf(names, "%s%.*s", count > 0 ? ", " : "", BYTES_FMT(tool->name));
        count++;
    }
    if (count > NAMES_SHOWN)
        buf_addf(names, " and %zu more", count - NAMES_SHOWN);
    taken->count = kept;
    return count;
}

/* A line for each provider that has taken names of this one. */
static void complain_taken(struct registry *registry, struct taken *taken,
                           const struct provider *loser)
{
    while (taken->count > 0) {
        const struct provider *winner = taken->tools[0]->provider;
        struct buf names;
        buf_init(&names, (size_t)(NAMES_SHOWN + 1) * (TOOL_NAME_MAX + 2));
        size_t count = list_taken(taken, winner, &names);
        if (say_once(registry, winner->generation, loser->generation,
                     bytes_hash(buf_bytes(&names))))
            log_warning("%s: its tool%s %.*s %s left out: %s, which comes before it, has %s: set a "
                        "\"prefix\" for %s in the configuration",
                        loser->id, count > 1 ? "s" : "", BYTES_FMT(buf_bytes(&names)),
                        count > 1 ? "are" : "is", winner->id,
                        count > 1 ? "tools of these names" : "a tool of this name", loser->id);
        buf_free(&names);
    }
}

static void complain_name(struct registry *registry, const struct provider *provider,
                          const struct tool *tool)
{
    if (!say_once(registry, 0, provider->generation, 0))
        return;
    log_warning("%s: its tool \"%.*s\" is left out: with the prefix \"%s\" the name is longer than "
                "%d characters or has others than A-Z a-z 0-9 _ - .",
                provider->id, BYTES_FMT(tool->name), provider->prefix, TOOL_NAME_MAX);
}

/* ---- building ---- */

/* The gate of a tool, kept from one snapshot to the next, for it knows who is
 * inside. NULL: everybody may enter (*ok), or no memory (not *ok). A new
 * reference. */
static struct gate *tool_gate(struct provider *provider, const struct tool *tool, bool *ok)
{
    bool serial = (tool->flags & (MCP_TOOL_THREAD_SAFE | MCP_TOOL_NONBLOCKING)) == 0;
    *ok = true;
    if (serial && provider->serial == NULL) {
        provider->serial = gate_new_serial();
        if (provider->serial == NULL)
            goto no_memory;
    }
    if (tool->concurrency == 0)
        return serial ? gate_ref(provider->serial) : NULL;

    for (struct provider_gate *g = provider->gates; g != NULL; g = g->next) {
        if (g->limit == tool->concurrency && g->serial == serial &&
            bytes_equal(bytes_of(g->tool), tool->name))
            return gate_ref(g->gate);
    }
    struct provider_gate *made = malloc(sizeof(*made) + tool->name.size + 1);
    if (made == NULL)
        goto no_memory;
    made->gate =
        serial ? gate_new_before(provider->serial, tool->concurrency) : gate_new(tool->concurrency);
    if (made->gate == NULL) {
        free(made);
        goto no_memory;
    }
    made->limit = tool->concurrency;
    made->serial = serial;
    memcpy(made->tool, tool->name.data, tool->name.size);
    made->tool[tool->name.size] = '\0';
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

static void index_add(struct snapshot *snapshot, struct registry_tool *entry)
{
    size_t slot = (size_t)bytes_hash(entry->name) & snapshot->index_mask;
    while (snapshot->index[slot] != NULL)
        slot = (slot + 1) & snapshot->index_mask;
    snapshot->index[slot] = entry;
}

/* Adds one tool, or leaves it out with a warning or in `taken`. False: out of memory. */
static bool add_tool(struct registry *registry, struct snapshot *snapshot,
                     struct provider *provider, const struct tool *tool, struct taken *taken)
{
    struct registry_tool *entry = &snapshot->tools[snapshot->tool_count];
    bool ok;

    if (!join_name(&snapshot->arena, bytes_of(provider->prefix), tool->name, &entry->name))
        return false;
    if (!tool_name_legal(entry->name)) {
        complain_name(registry, provider, tool);
        return true;
    }
    const struct registry_tool *first = snapshot_find_tool(snapshot, entry->name);
    if (first != NULL) {
        taken->tools[taken->count++] = first;
        return true;
    }
    entry->gate = tool_gate(provider, tool, &ok);
    if (!ok)
        return false;
    entry->tool = tool;
    entry->provider = provider;
    entry->timeout_ms = provider->timeout_ms;
    snapshot->tool_count++;
    index_add(snapshot, entry);
    return true;
}

static bool fill(struct registry *registry, struct snapshot *snapshot,
                 struct provider *const *providers, size_t count)
{
    size_t tools = 0, slots = 8;
    struct taken taken = {NULL, 0};
    for (size_t i = 0; i < count; i++)
        tools += providers[i]->tools != NULL ? providers[i]->tools->count : 0;
    while (slots < tools * 2)
        slots *= 2;
    snapshot->providers = arena_calloc(&snapshot->arena, count, sizeof(struct provider *));
    snapshot->toolsets = arena_calloc(&snapshot->arena, count, sizeof(struct toolset *));
    snapshot->tools = arena_calloc(&snapshot->arena, tools, sizeof(struct registry_tool));
    snapshot->index = arena_calloc(&snapshot->arena, slots, sizeof(struct registry_tool *));
    taken.tools = arena_calloc(&snapshot->arena, tools, sizeof(struct registry_tool *));
    if (taken.tools == NULL || snapshot->providers == NULL || snapshot->toolsets == NULL ||
        snapshot->tools == NULL || snapshot->index == NULL)
        return false;
    snapshot->index_mask = slots - 1;
    for (size_t i = 0; i < count; i++) {
        struct toolset *set = providers[i]->tools;
        snapshot->providers[i] = provider_ref(providers[i]);
        snapshot->toolsets[i] = set != NULL ? toolset_ref(set) : NULL;
        snapshot->provider_count++;
        for (size_t t = 0; set != NULL && t < set->count; t++) {
            if (!add_tool(registry, snapshot, providers[i], &set->tools[t], &taken))
                return false;
        }
        complain_taken(registry, &taken, providers[i]);
    }
    return true;
}

/* Names, definitions, whose they are and their order: all that a list shows. */
static bool hash_tools(struct snapshot *snapshot)
{
    struct buf all;
    buf_init(&all, SNAPSHOT_MAX);
    for (size_t i = 0; i < snapshot->tool_count; i++) {
        const struct registry_tool *entry = &snapshot->tools[i];
        uint64_t sizes[3] = {entry->name.size, entry->tool->definition.size,
                             strlen(entry->provider->id)};
        buf_add(&all, sizes, sizeof(sizes));
        buf_add_bytes(&all, entry->name);
        buf_add_bytes(&all, entry->tool->definition);
        buf_add_bytes(&all, bytes_of(entry->provider->id));
    }
    bool ok = !all.failed;
    if (ok)
        crypto_digest(snapshot->tools_hash, all.size > 0 ? all.data : "", all.size);
    buf_free(&all);
    return ok;
}

bool registry_publish(struct registry *registry, struct provider *const *providers, size_t count,
                      struct error *err)
{
    struct snapshot *old = registry->newest; /* only this thread changes it */
    struct snapshot *snapshot = calloc(1, sizeof(*snapshot));
    if (snapshot == NULL)
        return error_set(err, "the list of tools cannot be renewed: out of memory");
    atomic_init(&snapshot->references, 1);
    arena_init(&snapshot->arena, SNAPSHOT_MAX);
    if (!fill(registry, snapshot, providers, count) || !hash_tools(snapshot)) {
        snapshot_unref(snapshot);
        return error_set(err, "the list of tools cannot be renewed: out of memory");
    }
    forget_complaints(registry, snapshot);
    snapshot->version = old != NULL ? old->version + 1 : 1;
    bool differs =
        old != NULL && memcmp(old->tools_hash, snapshot->tools_hash, sizeof(old->tools_hash)) != 0;
    if (registry->hooks.make_view != NULL) {
        snapshot->view = registry->hooks.make_view(registry->hooks.context, snapshot);
        snapshot->free_view = registry->hooks.free_view;
    }

    pthread_mutex_lock(&registry->mutex);
    registry->newest = snapshot;
    atomic_store_explicit(&registry->version, snapshot->version, memory_order_release);
    pthread_mutex_unlock(&registry->mutex);
    snapshot_unref(old);
    if (differs && registry->hooks.changed != NULL)
        registry->hooks.changed(registry->hooks.context, MCP_CHANGED_TOOLS);
    return true;
}
