/* SPDX-License-Identifier: MIT */
/* Loading, reconfiguring, replacing and retiring generations. */
#include "plugin/replace.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "plugin/worker_link.h"

#define AGAIN_NS (2 * NS_PER_S) /* after a reason that passes */

static uint64_t last_generation; /* of this process; control thread */

/* ---- what it is at ---- */

static struct {
    pthread_mutex_t mutex; /* a leaf */
    char id[PLUGIN_ID_MAX + 1];
} at = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void be_at(const char *id)
{
    pthread_mutex_lock(&at.mutex);
    snprintf(at.id, sizeof(at.id), "%s", id);
    pthread_mutex_unlock(&at.mutex);
}

void plugins_are_at(char *id, size_t size)
{
    pthread_mutex_lock(&at.mutex);
    snprintf(id, size, "%s", at.id);
    pthread_mutex_unlock(&at.mutex);
}

/* ---- the slots ---- */

static void digest_settings(const struct config_provider *settings, unsigned char out[32])
{
    struct bytes config = settings != NULL ? settings->config : BYTES("{}");
    crypto_digest(out, config.size > 0 ? config.data : "{}", config.size > 0 ? config.size : 2);
}

static struct slot *find_slot(struct slot *slots, const struct planned *planned)
{
    while (slots != NULL && strcmp(slots->id, planned->id) != 0)
        slots = slots->next;
    return slots;
}

static struct slot *make_slot(const struct planned *planned)
{
    struct slot *slot = calloc(1, sizeof(*slot));
    if (slot != NULL)
        memcpy(slot->id, planned->id, strnlen(planned->id, PLUGIN_ID_MAX));
    return slot;
}

static void take_plan(struct slot *slot, const struct planned *planned)
{
    memset(slot->plugin, 0, sizeof(slot->plugin));
    memcpy(slot->plugin, planned->plugin, strnlen(planned->plugin, PLUGIN_ID_MAX));
    slot->settings = planned->settings;
    digest_settings(slot->settings, slot->wanted);
}

/* Hands the generation that serves over to those on their way out. */
static void slot_retire(struct serving *serving, struct slot *slot)
{
    if (slot->current == NULL)
        return;
    struct retiring *out = slot->out;
    out->provider = slot->current;
    out->next = serving->retiring;
    serving->retiring = out;
    slot->current = NULL;
    slot->out = NULL;
    serving->dirty = true;
}

static void slot_remove(struct serving *serving, struct slot *slot)
{
    if (slot->current != NULL)
        log_notice("%s: removed", slot->id);
    slot->news[0] = '\0';
    slot_retire(serving, slot);
}

static void free_slots(struct slot *slots)
{
    while (slots != NULL) {
        struct slot *next = slots->next;
        free(slots);
        slots = next;
    }
}

/* Slots for what is planned and has none yet. False: out of memory. */
static bool make_slots(const struct serving *serving, const struct planned *plan, size_t count,
                       struct slot **made)
{
    *made = NULL;
    for (size_t i = 0; i < count; i++) {
        if (find_slot(serving->slots, &plan[i]) != NULL)
            continue;
        struct slot *slot = make_slot(&plan[i]);
        if (slot == NULL) {
            free_slots(*made);
            return false;
        }
        slot->next = *made;
        *made = slot;
    }
    return true;
}

bool slots_plan(struct serving *serving)
{
    size_t count;
    struct slot *made, *ordered = NULL, **end = &ordered;
    struct planned *plan = scan_plan(&serving->scan, serving->config, &count);
    if (plan == NULL || !make_slots(serving, plan, count, &made)) {
        free(plan);
        return false;
    }
    struct slot **last = &serving->slots;
    while (*last != NULL)
        last = &(*last)->next;
    *last = made;
    for (size_t i = 0; i < count; i++) {
        struct slot **place = &serving->slots;
        while (*place != NULL && strcmp((*place)->id, plan[i].id) != 0)
            place = &(*place)->next;
        struct slot *slot = *place;
        if (slot == NULL)
            continue; /* a name that was planned twice: the first counts */
        *place = slot->next;
        slot->next = NULL;
        take_plan(slot, &plan[i]);
        *end = slot;
        end = &slot->next;
    }
    for (struct slot *slot = serving->slots; slot != NULL; slot = slot->next)
        slot_remove(serving, slot); /* no longer wanted */
    free_slots(serving->slots);
    serving->slots = ordered;
    free(plan);
    return true;
}

void slots_forgive(struct serving *serving)
{
    for (struct slot *slot = serving->slots; slot != NULL; slot = slot->next) {
        slot->refused = false;
        slot->said.text[0] = '\0';
        slot->renew = slot->current != NULL && !breaker_is_closed(&slot->current->breaker);
    }
}

/* ---- one slot ---- */

/* Says why a slot is not served from what its file is now; each reason once. */
static void slot_say(struct slot *slot, const struct error *why)
{
    if (strcmp(slot->said.text, why->text) == 0)
        return;
    slot->said = *why;
    if (slot->current != NULL)
        log_error("%s: keeps generation %ju: %s", slot->id, (uintmax_t)slot->current->generation,
                  why->text);
    else
        log_error("%s: not served: %s", slot->id, why->text);
}

/* What was wrong with its file is put right by what runs already. */
static void slot_recovered(struct slot *slot)
{
    if (slot->said.text[0] == '\0')
        return;
    slot->said.text[0] = '\0';
    log_notice("%s: %s.so is as it was again: generation %ju goes on", slot->id, slot->plugin,
               (uintmax_t)slot->current->generation);
}

static void slot_refuse(struct slot *slot, const unsigned char hash[32], const struct error *why)
{
    slot->refused = true;
    memcpy(slot->refused_hash, hash, sizeof(slot->refused_hash));
    memcpy(slot->refused_config, slot->wanted, sizeof(slot->refused_config));
    slot->said.text[0] = '\0'; /* another content: worth a line even if the reason is the same */
    slot_say(slot, why);
}

static bool slot_refused(const struct slot *slot, const unsigned char hash[32])
{
    return slot->refused && memcmp(slot->refused_hash, hash, 32) == 0 &&
           memcmp(slot->refused_config, slot->wanted, 32) == 0;
}

/* Prefix and timeout are mcpd's own affair: no plugin needs to be asked. */
static bool apply_prefix(struct serving *serving, struct slot *slot, struct provider *provider)
{
    const char *wanted =
        slot->settings != NULL && slot->settings->prefix != NULL ? slot->settings->prefix : "";
    uint32_t timeout_ms = slot->settings != NULL ? slot->settings->timeout_ms : 0;
    if (provider->timeout_ms != timeout_ms) {
        provider->timeout_ms = timeout_ms;
        serving->dirty = true;
    }
    if (strcmp(provider->prefix != NULL ? provider->prefix : "", wanted) == 0)
        return true;
    char *copy = strdup(wanted);
    if (copy == NULL)
        return false;
    free(provider->prefix);
    provider->prefix = copy;
    serving->dirty = true;
    return true;
}

/* Whether it runs in a process of its own. */
static bool is_apart(const struct serving *serving, const struct slot *slot,
                     const struct plugin_file *file)
{
    return config_is_apart(serving->config, slot->settings, file->bundled);
}

/* The operator may think it confined. */
static void tell_unused(const struct slot *slot)
{
    const char *unused = config_unused_inproc(slot->settings);
    if (unused != NULL)
        log_warning("%s: %s", slot->id, unused);
}

/* A new generation from the file as it is now. NULL: err says why. `hash` becomes
 * that of what was read. */
static struct provider *load(struct serving *serving, struct slot *slot,
                             const struct plugin_file *file, unsigned char hash[32],
                             struct error *err)
{
    struct image *image = image_open(serving->scan.fd, file->name, serving->private_directory,
                                     ++last_generation, err);
    if (image == NULL)
        return NULL;
    memcpy(hash, image->hash, 32);
    struct provider *provider;
    if (is_apart(serving, slot, file)) {
        provider =
            worker_link_load(image, slot->id, serving->config, slot->settings, serving->owner, err);
    } else if (image_try(image, slot->id, slot->settings, serving->config->plugins.start_timeout_ms,
                         err)) {
        tell_unused(slot);
        provider =
            inproc_load(image, slot->id, serving->config, slot->settings, serving->owner, err);
    } else {
        image_free(image);
        return NULL;
    }
    if (provider != NULL && !apply_prefix(serving, slot, provider))
        log_warning("%s: its prefix is not in force: out of memory", slot->id);
    return provider;
}

static void note_loaded(struct slot *slot, const struct plugin_file *file, bool replaced)
{
    const struct provider *p = slot->current;
    char offers[OFFERS_TEXT], where[64] = "";
    offers_count(p->offers, offers, sizeof(offers));
    if (p->elsewhere)
        snprintf(where, sizeof(where), " in worker process %d", p->pid);
    snprintf(slot->news, sizeof(slot->news), "%s %s %s (generation %ju, %s) from %s%s",
             replaced ? "replaced, now serving" : "serving", p->plugin, p->version,
             (uintmax_t)p->generation, offers, file->name, where);
}

static void slot_load(struct serving *serving, struct slot *slot, const struct plugin_file *file)
{
    struct error err = {.text = ""};
    unsigned char hash[32];
    bool replaced = slot->current != NULL;
    struct retiring *out = calloc(1, sizeof(*out));

    memcpy(hash, file->hash, sizeof(hash));
    struct provider *provider = NULL;
    if (out == NULL)
        error_no_memory_for(&err, "%s", file->name);
    else
        provider = load(serving, slot, file, hash, &err);
    if (provider == NULL && load_is_given_up()) {
        free(out); /* that says nothing of the plugin */
        return;
    }
    if (provider == NULL) {
        free(out);
        if (err.no_memory) { /* of ours, not of the file's */
            slot_say(slot, &err);
            serving->again_ns = clock_now() + AGAIN_NS;
        } else {
            slot_refuse(slot, hash, &err);
        }
        return;
    }
    slot_retire(serving, slot);
    slot->current = provider;
    slot->out = out;
    memcpy(slot->running, slot->wanted, sizeof(slot->running));
    slot->refused = false;
    slot->said.text[0] = '\0';
    serving->dirty = true;
    note_loaded(slot, file, replaced);
}

/* What it runs with stands in another configuration now, perhaps elsewhere. */
static void take_settings(const struct serving *serving, struct slot *slot)
{
    struct config *before = slot->current->config;
    provider_take_limits(slot->current, serving->config);
    slot->current->config = config_ref(serving->config);
    slot->current->settings = slot->settings;
    config_unref(before);
}

/* The file is the same, the configuration is not. False: it takes a new
 * generation. */
static bool slot_reconfigure(const struct serving *serving, struct slot *slot)
{
    struct error err = {.text = ""};
    int done = slot->current->ops->reconfigure(slot->current, slot->settings, &err);
    if (done == 0)
        return false;
    if (done < 0 && load_is_given_up())
        return true;
    if (done < 0) {
        slot_refuse(slot, slot->current->file_hash, &err);
        return true;
    }
    take_settings(serving, slot);
    memcpy(slot->running, slot->wanted, sizeof(slot->running));
    slot->refused = false;
    log_notice("%s: reconfigured (generation %ju)", slot->id, (uintmax_t)slot->current->generation);
    return true;
}

static void slot_bring_up(struct serving *serving, struct slot *slot)
{
    struct error err;
    const struct plugin_file *file = scan_find(&serving->scan, slot->plugin);

    if (file != NULL && file->due_ns != 0)
        return; /* something is happening to it */
    if (file == NULL || !file->present) {
        slot_remove(serving, slot);
        error_set(&err, SCAN_NO_FILE, slot->plugin, serving->scan.path);
        slot_say(slot, &err);
        return;
    }
    struct provider *current = slot->current;
    bool same_plugin = current != NULL && strcmp(current->plugin, slot->plugin) == 0;
    if (same_plugin && !apply_prefix(serving, slot, current))
        log_warning("%s: its new prefix is not in force: out of memory", slot->id);
    if (!file->readable) {
        slot_say(slot, &file->why);
        return;
    }
    if (slot_refused(slot, file->hash))
        return;
    bool works = same_plugin && !atomic_load(&current->broken) && !slot->renew &&
                 current->elsewhere == is_apart(serving, slot, file);
    if (works && current->elsewhere)
        works = worker_link_fits(current, serving->config, slot->settings);
    bool same_file = works && memcmp(current->file_hash, file->hash, 32) == 0;
    bool same_config = same_plugin && memcmp(slot->running, slot->wanted, 32) == 0;
    if (same_file && same_config) {
        slot_recovered(slot);
        take_settings(serving, slot);
        return;
    }
    if (same_file && slot_reconfigure(serving, slot))
        return;
    slot->renew = false;
    slot_load(serving, slot, file);
}

/* One of mcpd's own plugins is there whether anybody wants it or not: if nobody names it,
 * nobody misses it. */
static bool is_missing(const struct serving *serving, const struct slot *slot)
{
    const struct plugin_file *file = scan_find(&serving->scan, slot->plugin);
    return slot->current == NULL && (slot->settings != NULL || file == NULL || !file->bundled);
}

static void tell_missing(const struct serving *serving)
{
    struct buf list;
    buf_init(&list, SIZE_MAX);
    for (const struct slot *slot = serving->slots; slot != NULL; slot = slot->next) {
        if (!is_missing(serving, slot))
            continue;
        buf_add(&list, slot->id, strlen(slot->id) + 1);
        buf_add(&list, slot->said.text, strlen(slot->said.text) + 1);
    }
    if (!list.failed)
        registry_missing(serving->registry, buf_bytes(&list));
    buf_free(&list);
}

void slots_bring_up(struct serving *serving)
{
    for (struct slot *slot = serving->slots; slot != NULL && !load_is_given_up();
         slot = slot->next) {
        be_at(slot->id);
        slot_bring_up(serving, slot);
    }
    be_at("");
    tell_missing(serving);
}

bool slots_refresh(struct serving *serving, struct provider *provider)
{
    struct error err = {.text = ""};
    struct slot *slot = serving->slots;
    while (slot != NULL && slot->current != provider)
        slot = slot->next;
    if (slot == NULL)
        return true;
    be_at(slot->id);
    struct offers *offers = provider->ops->get_offers(provider, &err);
    be_at("");
    char count[OFFERS_TEXT];
    if (offers == NULL) {
        log_error("%s: keeps what it offers: %s", slot->id, err.text);
        return !err.no_memory;
    }
    if (provider->offers != NULL &&
        memcmp(provider->offers->hash, offers->hash, sizeof(offers->hash)) == 0) {
        offers_unref(offers);
        return true;
    }
    offers_unref(provider->offers);
    provider->offers = offers;
    serving->dirty = true;
    offers_count(offers, count, sizeof(count));
    snprintf(slot->news, sizeof(slot->news), "has %s now", count);
    return true;
}

/* ---- publishing and retiring ---- */

static void tell_news(struct serving *serving)
{
    for (struct slot *slot = serving->slots; slot != NULL; slot = slot->next) {
        if (slot->news[0] != '\0')
            log_notice("%s: %s", slot->id, slot->news);
        slot->news[0] = '\0';
    }
}

void serving_publish(struct serving *serving)
{
    struct error err;
    size_t count = 0;
    if (!serving->dirty)
        return;
    for (struct slot *slot = serving->slots; slot != NULL; slot = slot->next)
        count += slot->current != NULL;
    struct provider **providers = calloc(count + 1, sizeof(*providers));
    if (providers == NULL)
        return;
    count = 0;
    for (struct slot *slot = serving->slots; slot != NULL; slot = slot->next) {
        if (slot->current != NULL)
            providers[count++] = slot->current;
    }
    if (registry_publish(serving->registry, providers, count, &err)) {
        serving->dirty = false;
        tell_news(serving);
        int64_t until_ns = clock_now() + serving->config->plugins.drain_timeout_ms * NS_PER_MS;
        for (struct retiring *out = serving->retiring; out != NULL; out = out->next) {
            if (out->step != OUT_WAITS)
                continue;
            provider_retire(out->provider);
            out->step = OUT_DRAINS;
            out->until_ns = until_ns;
        }
    } else {
        log_error("%s", err.text);
    }
    free(providers);
}

/* Its time is up. */
static void hurry(struct retiring *out)
{
    struct provider *provider = out->provider;
    if (out->step == OUT_DRAINS) {
        log_warning("%s: %u calls of generation %ju are still running: cancelled", provider->id,
                    provider_inside(provider), (uintmax_t)provider->generation);
        call_cancel_all(provider);
        out->step = OUT_CANCELLED;
        out->until_ns = clock_now() + CANCEL_GRACE_NS;
        return;
    }
    log_error("%s: %u calls of generation %ju do not end: %s", provider->id,
              provider_inside(provider), (uintmax_t)provider->generation,
              provider->elsewhere ? "its worker process is killed with them"
                                  : "it stays loaded until they do");
    out->step = OUT_LEFT_BEHIND;
    out->until_ns = INT64_MAX;
}

int64_t serving_retire(struct serving *serving)
{
    int64_t next_ns = INT64_MAX;
    struct retiring **place = &serving->retiring;
    while (*place != NULL) {
        struct retiring *out = *place;
        if (out->step != OUT_WAITS && provider_inside(out->provider) == 0) {
            *place = out->next;
            be_at(out->provider->id);
            out->provider->ops->stop(out->provider);
            be_at("");
            provider_unref(out->provider);
            free(out);
            continue;
        }
        if (out->step != OUT_WAITS && out->until_ns <= clock_now())
            hurry(out);
        if (out->step != OUT_WAITS && out->until_ns < next_ns)
            next_ns = out->until_ns;
        place = &out->next;
    }
    return next_ns;
}

void serving_retire_all(struct serving *serving, int64_t until_ns)
{
    for (struct slot *slot = serving->slots; slot != NULL; slot = slot->next)
        slot_retire(serving, slot);
    for (struct retiring *out = serving->retiring; out != NULL; out = out->next) {
        provider_retire(out->provider);
        if (out->step == OUT_WAITS)
            out->step = OUT_DRAINS;
        if (out->step != OUT_LEFT_BEHIND)
            out->until_ns = until_ns;
    }
}

unsigned serving_free(struct serving *serving)
{
    unsigned left = 0;
    while (serving->retiring != NULL) {
        struct retiring *next = serving->retiring->next;
        free(serving->retiring); /* the reference stays with the calls inside */
        serving->retiring = next;
        left++;
    }
    free_slots(serving->slots);
    scan_free(&serving->scan);
    config_unref(serving->config);
    return left;
}
