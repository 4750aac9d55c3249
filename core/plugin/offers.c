/* SPDX-License-Identifier: MIT */
/* The offers of one generation: reading, adding and keeping definitions. The
 * rules of each kind are in offer_rules.c. */
#include "plugin/offers.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/crypto.h"

/* What all definitions of one provider may take, indexes included. */
#define ARENA_MAX ((size_t)256 << 20)

static const struct {
    const char *name; /* in messages */
    const char *named_by; /* the member that tells one from the other */
} kinds[OFFER_KINDS] = {
    [OFFER_TOOL] = {"tool", "name"},
    [OFFER_RESOURCE] = {"resource", "uri"},
    [OFFER_TEMPLATE] = {"resource template", "uriTemplate"},
    [OFFER_PROMPT] = {"prompt", "name"},
    [OFFER_SKILL] = {"skill", "uri"},
};

const char *offer_kind_name(enum offer_kind kind)
{
    return kinds[kind].name;
}

struct offers *offers_new(void)
{
    struct offers *offers = calloc(1, sizeof(*offers));
    if (offers == NULL)
        return NULL;
    atomic_init(&offers->references, 1);
    arena_init(&offers->arena, ARENA_MAX);
    return offers;
}

struct offers *offers_ref(struct offers *offers)
{
    atomic_fetch_add_explicit(&offers->references, 1, memory_order_relaxed);
    return offers;
}

void offers_unref(struct offers *offers)
{
    if (offers == NULL || atomic_fetch_sub(&offers->references, 1) != 1)
        return;
    for (int kind = 0; kind < OFFER_KINDS; kind++) {
        struct offer_list *list = &offers->lists[kind];
        for (size_t i = 0; i < list->count; i++)
            offer_free_compiled(&list->offers[i]);
        free(list->offers);
    }
    arena_free(&offers->arena);
    free(offers);
}

/* ---- adding ---- */

static bool refuse_json(const char *what, const struct json_error *why, struct error *err)
{
    if (why->kind == JSON_MEMORY)
        return error_no_memory(err);
    return error_set(err, "a %s definition that is not legal JSON: %s at line %u, column %u", what,
                     why->text, why->line, why->column);
}

/* Copies the definition without its white space and indexes the copy. */
static bool read_definition(struct offers *offers, struct offer *offer, struct error *err)
{
    const struct json_limits limits = {
        .max_size = DEFINITION_MAX, .max_depth = 64, .max_nodes = DEFINITION_MAX};
    const char *what = offer_kind_name(offer->kind);
    struct bytes given_text = offer->terms.definition;
    struct json given;
    struct json_error why;
    struct arena scratch;
    struct buf compact;
    bool ok = false;

    if (given_text.size > DEFINITION_MAX)
        return error_set(err, "a %s definition of %zu bytes: at most %d are allowed", what,
                         given_text.size, DEFINITION_MAX);
    arena_init(&scratch, ARENA_MAX);
    buf_init(&compact, DEFINITION_MAX);
    if (!json_parse(&given, given_text, &limits, &scratch, &why)) {
        refuse_json(what, &why, err);
        goto out;
    }
    if (given.root->type != JSON_OBJECT) {
        error_set(err, "a %s definition must be a JSON object", what);
        goto out;
    }
    json_write_compact(&compact, &given, given.root);
    offer->terms.definition = arena_copy(&offers->arena, buf_bytes(&compact));
    if (compact.failed || offer->terms.definition.data == NULL) {
        error_no_memory(err);
        goto out;
    }
    ok = json_parse(&offer->json, offer->terms.definition, &limits, &offers->arena, &why);
    if (!ok)
        refuse_json(what, &why, err);
out:
    buf_free(&compact);
    arena_free(&scratch);
    return ok;
}

static bool read_name(struct offers *offers, struct offer *offer, struct error *err)
{
    const char *what = offer_kind_name(offer->kind), *member = kinds[offer->kind].named_by;
    const struct json_node *name = json_get(&offer->json, offer->json.root, member);
    const struct offer_list *list = &offers->lists[offer->kind];

    if (name == NULL || name->type != JSON_STRING)
        return error_set(err, "a %s without a %s: its definition needs a string \"%s\"", what,
                         member, member);
    offer->name = arena_copy(&offers->arena, json_string(&offer->json, name, &offers->arena));
    if (offer->name.data == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < list->count; i++) {
        if (bytes_equal(list->offers[i].name, offer->name))
            return error_set(err, "%s \"%.*s\": the provider offers a %s of this %s already", what,
                             BYTES_FMT(offer->name), what, member);
    }
    return true;
}

/* Room for one more; the capacity is the power of two from 8 on that fits. */
static bool make_room(struct offer_list *list)
{
    size_t count = list->count;
    if (count != 0 && (count < 8 || (count & (count - 1)) != 0))
        return true;
    struct offer *offers = realloc(list->offers, (count < 8 ? 8 : count * 2) * sizeof(*offers));
    if (offers == NULL)
        return false;
    list->offers = offers;
    return true;
}

/* Skills are known by their names, too, which are the ends of their URIs. */
static bool skill_is_new(const struct offer_list *list, const struct offer *skill,
                         struct error *err)
{
    struct bytes name = skill_name(skill->name);

    for (size_t i = 0; i < list->count; i++)
        if (bytes_equal(skill_name(list->offers[i].name), name))
            return error_set(err,
                             "skill \"%.*s\": the provider offers a skill of this name "
                             "already: %.*s",
                             BYTES_FMT(skill->name), BYTES_FMT(list->offers[i].name));
    return true;
}

bool offers_add(struct offers *offers, enum offer_kind kind, const struct offer_terms *terms,
                struct error *err)
{
    struct offer offer = {.kind = kind, .terms = *terms};
    struct offer_list *list = &offers->lists[kind];
    const char *what = offer_kind_name(kind);

    if (list->count >= OFFERS_MAX)
        return error_set(err, "more than %d %ss in one provider", OFFERS_MAX, what);
    if (!read_definition(offers, &offer, err) || !read_name(offers, &offer, err) ||
        !offer_check(&offers->arena, &offer, err) ||
        (kind == OFFER_SKILL && !skill_is_new(list, &offer, err)))
        goto refuse;
    if (!make_room(list)) {
        error_no_memory(err);
        error_prefix(err, "%s \"%.*s\"", what, BYTES_FMT(offer.name));
        goto refuse;
    }
    list->offers[list->count++] = offer;
    return true;
refuse:
    if (offers->arena.no_memory)
        err->no_memory = true;
    offer_free_compiled(&offer);
    return false;
}

void offers_seal(struct offers *offers)
{
    struct {
        uint64_t tag, size;
        uint32_t flags, timeout_ms, concurrency, kind;
    } facts;
    struct buf all;

    memset(&facts, 0, sizeof(facts));
    buf_init(&all, SIZE_MAX / 2);
    for (uint32_t kind = 0; kind < OFFER_KINDS; kind++) {
        const struct offer_list *list = &offers->lists[kind];
        for (size_t i = 0; i < list->count; i++) {
            const struct offer_terms *terms = &list->offers[i].terms;
            facts.tag = terms->tag;
            facts.size = terms->definition.size;
            facts.flags = terms->flags;
            facts.timeout_ms = terms->timeout_ms;
            facts.concurrency = terms->concurrency;
            facts.kind = kind;
            buf_add(&all, &facts, sizeof(facts));
            buf_add_bytes(&all, terms->definition);
        }
    }
    if (all.failed)
        crypto_random(offers->hash, sizeof(offers->hash)); /* unlike every other */
    else
        crypto_digest(offers->hash, all.data, all.size);
    buf_free(&all);
}

void offers_count(const struct offers *offers, char *out, size_t size)
{
    size_t used = 0;

    snprintf(out, size, "0 tools");
    for (int kind = 0; offers != NULL && kind < OFFER_KINDS; kind++) {
        size_t count = offers->lists[kind].count;
        if (count > 0 && used < size)
            used += (size_t)snprintf(out + used, size - used, "%s%zu %s%s", used > 0 ? ", " : "",
                                     count, kinds[kind].name, count == 1 ? "" : "s");
    }
}
