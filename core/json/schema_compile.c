/* SPDX-License-Identifier: MIT */
/* From the JSON of a schema to structs: subschema by subschema, each once, what
 * they refer to after them. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "json/schema_compiler.h"

#define SHOWN 240 /* bytes of a text in an error */
#define PLACE_SHOWN 450

/* ---- maps ---- */

struct map_slot {
    uint64_t hash;
    struct bytes key; /* .data NULL for an empty slot */
    void *value;
};

static struct map_slot *map_slot(const struct map *map, struct bytes key, uint64_t hash)
{
    size_t at = hash & (map->size - 1);
    while (map->slots[at].key.data != NULL &&
           (map->slots[at].hash != hash || !bytes_equal(map->slots[at].key, key)))
        at = (at + 1) & (map->size - 1);
    return &map->slots[at];
}

void *map_get(const struct map *map, struct bytes key)
{
    return map->size > 0 ? map_slot(map, key, bytes_hash(key))->value : NULL;
}

static bool map_grow(struct map *map, struct arena *arena)
{
    struct map larger = {.size = map->size > 0 ? map->size * 2 : 16, .used = map->used};
    larger.slots = arena_calloc(arena, larger.size, sizeof(*larger.slots));
    if (larger.slots == NULL)
        return false;
    for (size_t i = 0; i < map->size; i++) {
        const struct map_slot *slot = &map->slots[i];
        if (slot->key.data != NULL)
            *map_slot(&larger, slot->key, slot->hash) = *slot;
    }
    *map = larger;
    return true;
}

bool map_put(struct map *map, struct arena *arena, struct bytes key, void *value)
{
    if (map->used >= map->size / 2 && !map_grow(map, arena))
        return false;
    uint64_t hash = bytes_hash(key);
    struct map_slot *slot = map_slot(map, key, hash);
    map->used += slot->key.data == NULL;
    *slot = (struct map_slot){hash, key, value};
    return true;
}

/* ---- errors and memory ---- */

bool compiler_no_memory(struct compiler *c)
{
    return error_set(c->err, "the schema is too large: it would take more than %zu MiB",
                     SCHEMA_MAX_MEMORY >> 20);
}

void *compiler_alloc(struct compiler *c, size_t count, size_t size)
{
    void *p = arena_calloc(&c->schema->arena, count, size);
    if (p == NULL)
        compiler_no_memory(c);
    return p;
}

struct bytes compiler_shown(struct bytes text)
{
    if (text.size > SHOWN)
        text.size = SHOWN;
    text.size = utf8_valid_prefix(text);
    return text;
}

bool compiler_refuse(struct compiler *c, const struct place *place, const char *keyword,
                     const char *format, ...)
{
    struct buf text;
    buf_init(&text, SIZE_MAX);
    place_write(&text, place);
    if (keyword != NULL)
        buf_addf(&text, "/%s", keyword);
    char why[sizeof(c->err->text)];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof(why), format, args);
    va_end(args);
    why[utf8_valid_prefix(bytes_of(why))] = '\0'; /* a character may have been cut */

    /* The end of a long pointer says more than its beginning. */
    struct bytes where = buf_bytes(&text);
    size_t left_out = where.size > PLACE_SHOWN ? where.size - PLACE_SHOWN : 0;
    while (left_out > 0 && left_out < where.size && (where.data[left_out] & 0xc0) == 0x80)
        left_out++;
    if (left_out > 0)
        where = (struct bytes){where.data + left_out, where.size - left_out};
    if (text.failed || where.size == 0)
        error_set(c->err, "the schema: %s", why);
    else
        error_set(c->err, "\"%s%.*s\": %s", left_out > 0 ? "..." : "", BYTES_FMT(where), why);
    buf_free(&text);
    return false;
}

const struct place *place_new(struct compiler *c, const struct place *up, const char *keyword,
                              struct bytes name, int64_t index)
{
    struct place *place = compiler_alloc(c, 1, sizeof(*place));
    if (place != NULL)
        *place = (struct place){.up = up, .keyword = keyword, .name = name, .index = index};
    return place;
}

/* ---- subschemas ---- */

static struct schema_node *node_new(struct compiler *c, const struct where *where)
{
    if (where->depth > SCHEMA_MAX_DEPTH) {
        compiler_refuse(c, where->place, NULL, "more than %d subschemas within each other",
                        SCHEMA_MAX_DEPTH);
        return NULL;
    }
    if (c->count >= SCHEMA_MAX_SUBSCHEMAS) {
        compiler_refuse(c, where->place, NULL, "the schema has more than %d subschemas",
                        SCHEMA_MAX_SUBSCHEMAS);
        return NULL;
    }
    struct schema_node *node = compiler_alloc(c, 1, sizeof(*node));
    if (node == NULL)
        return NULL;
    c->count++;
    node->types = TYPE_ANY;
    node->place = where->place;
    node->next = c->all;
    c->all = node;
    return node;
}

static bool remember(struct compiler *c, const struct json_node *key, struct schema_node *node,
                     struct source *source)
{
    struct compiled *compiled = arena_alloc(&c->scratch, sizeof(*compiled));
    if (compiled == NULL)
        return compiler_no_memory(c);
    *compiled = (struct compiled){key, node, source};
    struct bytes address = {(const char *)&compiled->key, sizeof(compiled->key)};
    return map_put(&c->compiled, &c->scratch, address, compiled) || compiler_no_memory(c);
}

static void finish(struct subschema *s)
{
    struct schema_node *node = s->node;
    node->value = s->value;
    node->number = s->number;
    node->string = s->string;
    node->array = s->array;
    node->object = s->object_rules;
    struct object_rules *o = s->object_rules;
    if (o != NULL)
        o->each = o->member_count > 0 || o->pattern_count > 0 || o->additional != NULL ||
                  o->names != NULL;
    node->plain = node->value == NULL && node->number == NULL && node->string == NULL &&
                  node->array == NULL && node->object == NULL && !node->never;
}

struct schema_node *compiler_compile(struct compiler *c, const struct where *where)
{
    struct bytes address = {(const char *)&where->object, sizeof(where->object)};
    const struct compiled *already = map_get(&c->compiled, address);
    if (already != NULL)
        return already->node;

    uint8_t type = where->object->type;
    if (type != JSON_OBJECT && type != JSON_TRUE && type != JSON_FALSE) {
        compiler_refuse(c, where->place, NULL, "expected a schema: an object, true or false");
        return NULL;
    }
    struct schema_node *node = node_new(c, where);
    struct source *source = node != NULL ? source_enter(c, where, node) : NULL;
    if (source == NULL || !remember(c, where->object, node, source))
        return NULL;
    node->resource = source->resource;
    struct subschema s = {.c = c,
                          .json = where->json,
                          .object = where->object,
                          .node = node,
                          .source = source,
                          .depth = where->depth};
    if (type == JSON_FALSE) {
        node->never = true;
        node->types = 0;
    } else if (type == JSON_OBJECT && !keywords_read(&s)) {
        return NULL;
    }
    finish(&s);
    return node;
}

/* ---- the whole ---- */

struct schema *schema_compile(const struct json *json, const struct json_node *root,
                              const struct schema_options *options, struct error *err)
{
    static const struct schema_options none;
    static const struct place here = {.index = -1};
    struct error unused = {.text = ""};
    struct compiler c = {.options = options != NULL ? options : &none,
                         .err = err != NULL ? err : &unused};
    c.pending_end = &c.pending;
    c.schema = calloc(1, sizeof(*c.schema));
    if (c.schema == NULL) {
        error_no_memory(err);
        return NULL;
    }
    arena_init(&c.schema->arena, SCHEMA_MAX_MEMORY);
    arena_init(&c.scratch, SCHEMA_MAX_MEMORY);
    struct where where = {
        .json = json, .object = root, .place = &here, .uri = BYTES(""), .dialect = &dialect_2020};
    struct schema *schema = c.schema;
    schema->root = compiler_compile(&c, &where);
    if (schema->root == NULL || !refs_follow(&c) || !refs_check_loops(&c)) {
        if (c.no_memory || schema->arena.no_memory || c.scratch.no_memory)
            error_no_memory(err); /* whatever has been made of it on the way */
        schema_free(schema);
        schema = NULL;
    }
    arena_free(&c.scratch);
    return schema;
}

void schema_free(struct schema *schema)
{
    if (schema == NULL)
        return;
    for (struct owned_pattern *p = schema->patterns; p != NULL; p = p->next)
        pattern_free(p->pattern);
    arena_free(&schema->arena);
    free(schema);
}
