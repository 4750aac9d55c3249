/* SPDX-License-Identifier: MIT */
/*
 * Repeated member names. Most objects are small, and a look at a few bytes of
 * each name tells that they differ. Large ones go through a hash table, keyed so
 * that no text can be made slow by its choice of names.
 */
#include "json/json_names.h"

#include <stdlib.h>

#include "json/json_text.h"

#define FEW 16

struct json_name_slot {
    uint32_t hash;
    uint32_t name; /* the name is object[name]; 0 for an empty slot */
};

void json_names_free(struct json_names *names)
{
    free(names->slots);
    free(names->decoded);
    *names = (struct json_names){0};
}

static struct json_node *next_name(struct json_node *name)
{
    return name + 1 + name[1].span;
}

static bool same_name(const char *text, const struct json_node *a, const struct json_node *b)
{
    return json_same_text(json_inner(text, a), a->escaped, json_inner(text, b), b->escaped);
}

static void mark(struct json_node *object, struct json_node *earlier, const struct json_node *later,
                 const struct json_node **repeated)
{
    earlier->repeated = 1;
    object->repeated = 1;
    if (*repeated == NULL)
        *repeated = later;
}

/* One bit of 64, equal for names that are written alike. Looks at the bytes
 * inside the quotes; the quotes themselves when there are none. */
static uint64_t fingerprint(const char *text, const struct json_node *name)
{
    unsigned first = (unsigned char)text[name->start + 1];
    unsigned last = (unsigned char)text[name->end - 2];
    return UINT64_C(1) << ((first + last * 5 + (name->end - name->start) * 11) & 63);
}

static void check_few(const char *text, struct json_node *object, const struct json_node **repeated)
{
    struct json_node *earlier[FEW];
    uint64_t seen = 0;
    struct json_node *name = object + 1;
    for (uint32_t i = 0; i < object->count; i++) {
        uint64_t bit = fingerprint(text, name);
        if (name->escaped)
            seen = bit = UINT64_MAX; /* may equal any other, before it and behind it */
        for (uint32_t j = 0; (seen & bit) != 0 && j < i; j++) {
            if (!earlier[j]->repeated && same_name(text, earlier[j], name))
                mark(object, earlier[j], name, repeated);
        }
        seen |= bit;
        earlier[i] = name;
        name = next_name(name);
    }
}

static bool reserve_slots(struct json_names *names, size_t count)
{
    if (count > names->slot_capacity) {
        free(names->slots);
        names->slot_capacity = 0;
        names->slots = malloc(count * sizeof(*names->slots));
        if (names->slots == NULL)
            return false;
        names->slot_capacity = count;
    }
    memset(names->slots, 0, count * sizeof(*names->slots));
    return true;
}

static bool hash_name(struct json_names *names, const char *text, const struct json_node *name,
                      uint32_t *hash)
{
    struct bytes inner = json_inner(text, name);
    if (name->escaped) {
        if (inner.size > names->decoded_capacity) {
            free(names->decoded);
            names->decoded_capacity = 0;
            names->decoded = malloc(inner.size);
            if (names->decoded == NULL)
                return false;
            names->decoded_capacity = inner.size;
        }
        inner = (struct bytes){names->decoded, json_decode(inner, names->decoded)};
    }
    *hash = (uint32_t)bytes_hash(inner);
    return true;
}

static bool check_many(struct json_names *names, const char *text, struct json_node *object,
                       const struct json_node **repeated)
{
    size_t size = FEW * 2;
    while (size < (size_t)object->count * 2)
        size *= 2;
    if (!reserve_slots(names, size))
        return false;
    struct json_node *name = object + 1;
    for (uint32_t i = 0; i < object->count; i++, name = next_name(name)) {
        uint32_t hash;
        if (!hash_name(names, text, name, &hash))
            return false;
        struct json_name_slot *slot = &names->slots[hash & (size - 1)];
        while (slot->name != 0 &&
               (slot->hash != hash || !same_name(text, object + slot->name, name))) {
            if (++slot == names->slots + size)
                slot = names->slots;
        }
        if (slot->name != 0)
            mark(object, object + slot->name, name, repeated);
        *slot = (struct json_name_slot){hash, (uint32_t)(name - object)};
    }
    return true;
}

bool json_names_check(struct json_names *names, const char *text, struct json_node *object,
                      const struct json_node **repeated)
{
    *repeated = NULL;
    if (object->count > FEW)
        return check_many(names, text, object, repeated);
    check_few(text, object, repeated);
    return true;
}
