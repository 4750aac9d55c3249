/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes what a plugin says that it offers. The first byte is the kind, the second the
 * flags, the rest definitions with a NUL between them. Each may be refused, with a
 * sentence; one that is taken is strict JSON that is taken again, and the same offers
 * have the same hash.
 */
#include "base/crypto.h"
#include "base/utf8.h"
#include "must.h"
#include "plugin/offers.h"
#include "plugin/uri_template.h"

/* Each header of a tool has a name of its own that HTTP allows, and a place. */
static void check_headers(const struct offer *offer)
{
    for (size_t i = 0; i < offer->header_count; i++) {
        const struct tool_header *header = &offer->headers[i];
        must(header->name.size > 0 && header->pointer[0] == '/');
        for (size_t at = 0; at < header->name.size; at++)
            must(header->name.data[at] > ' ' && header->name.data[at] < 0x7f &&
                 header->name.data[at] != ':');
        for (size_t other = 0; other < i; other++)
            must(!bytes_equal_nocase(offer->headers[other].name, header->name));
    }
}

static void check_offer(const struct offer *offer)
{
    must(offer->name.size > 0 && offer->name.data[offer->name.size] == '\0');
    must(strlen(offer->name.data) == offer->name.size);
    must(json_check(offer->terms.definition, &json_default_limits, NULL));
    must(offer->json.root->type == JSON_OBJECT && !offer->json.repeated);
    switch (offer->kind) {
    case OFFER_TOOL:
        must(offer->input != NULL && tool_name_is_legal(offer->name));
        check_headers(offer);
        break;
    case OFFER_TEMPLATE:
        must(offer->uri_template != NULL);
        break;
    case OFFER_PROMPT:
        must(tool_name_is_legal(offer->name));
        break;
    case OFFER_SKILL:
        must(skill_name(offer->name).size > 0);
        break;
    default:
        must(offer->name.size <= URI_MAX);
    }
}

static void add(struct offers *offers, enum offer_kind kind, const struct offer_terms *terms)
{
    struct error err = {.text = ""};
    size_t before = offers->lists[kind].count;

    if (!offers_add(offers, kind, terms, &err)) {
        must(err.text[0] != '\0' && offers->lists[kind].count == before);
        must(!utf8_valid(terms->definition) || utf8_valid(bytes_of(err.text)));
        return;
    }
    must(offers->lists[kind].count == before + 1);
    check_offer(&offers->lists[kind].offers[before]);
    /* Twice it is not taken. */
    must(!offers_add(offers, kind, terms, &err) && offers->lists[kind].count == before + 1);
}

/* What was taken, given once more to others, is taken and looks the same. */
static void check_again(struct offers *offers)
{
    struct offers *again = offers_new();
    char count[OFFERS_TEXT], count_again[OFFERS_TEXT];
    struct error err;

    must(again != NULL);
    for (unsigned kind = 0; kind < OFFER_KINDS; kind++)
        for (size_t i = 0; i < offers->lists[kind].count; i++)
            must(offers_add(again, kind, &offers->lists[kind].offers[i].terms, &err));
    offers_seal(offers);
    offers_seal(again);
    must(memcmp(offers->hash, again->hash, sizeof(again->hash)) == 0);
    offers_count(offers, count, sizeof(count));
    offers_count(again, count_again, sizeof(count_again));
    must(strcmp(count, count_again) == 0);
    offers_unref(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    if (!ready)
        must(ready = crypto_init());
    if (size < 2)
        return 0;
    struct offers *offers = offers_new();
    struct offer_terms terms = {.flags = (uint32_t)data[1] % 64, .tag = 1};
    const char *at = (const char *)data + 2, *end = (const char *)data + size;
    unsigned kind = data[0] % OFFER_KINDS;
    must(offers != NULL);
    while (at < end) {
        const char *stop = memchr(at, '\0', (size_t)(end - at));
        terms.definition = (struct bytes){at, (size_t)((stop != NULL ? stop : end) - at)};
        add(offers, kind, &terms);
        at += terms.definition.size + 1;
    }
    check_again(offers);
    offers_unref(offers);
    return 0;
}
