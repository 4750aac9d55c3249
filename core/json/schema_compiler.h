/* SPDX-License-Identifier: MIT */
/* What the files that compile a schema share; see schema_internal.h. */
#ifndef JSON_SCHEMA_COMPILER_H
#define JSON_SCHEMA_COMPILER_H

#include "json/schema_internal.h"

/* What "$schema" makes of the keywords: the vocabularies in use. */
struct dialect {
    bool draft7;
    bool applicator, unevaluated, validation, format;
    bool assert_format;
};

extern const struct dialect dialect_2020, dialect_7;

/* A resource while it is compiled: a document, or what has "$id" in one. */
struct source {
    struct resource *resource;
    struct bytes uri; /* "" for a document without one */
    const struct json *json;
    const struct json_node *root;
    struct schema_node *node;
    const struct place *place;
    struct dialect dialect;
};

/* From bytes to pointers. Begins as zeros, lives in an arena. */
struct map {
    struct map_slot *slots;
    size_t size, used;
};
void *map_get(const struct map *map, struct bytes key);
/* False when out of memory. The key must stay. */
bool map_put(struct map *map, struct arena *arena, struct bytes key, void *value);

/* A reference that has not been followed yet. */
struct pending {
    struct pending *next;
    struct value_rules *rules;
    struct source *source;
    const struct place *place;
    struct bytes reference;
    bool dynamic;
};

/* What has become of a subschema. */
struct compiled {
    const struct json_node *key;
    struct schema_node *node;
    struct source *source;
};

struct compiler {
    struct schema *schema;
    const struct schema_options *options;
    struct error *err;
    struct arena scratch;
    struct map compiled; /* by the address of the JSON node */
    struct map sources; /* by URI */
    struct map anchors; /* nodes by URI#NAME */
    struct pending *pending, **pending_end;
    struct schema_node *all;
    uint32_t count;
    uint64_t walked; /* nodes looked at to follow references */
    size_t pattern_bytes;
};

/* A subschema that is being compiled. */
struct subschema {
    struct compiler *c;
    const struct json *json;
    const struct json_node *object;
    struct schema_node *node;
    struct source *source;
    unsigned depth;
    struct value_rules *value;
    struct number_rules *number;
    struct string_rules *string;
    struct array_rules *array;
    struct object_rules *object_rules;
    struct member_rule *members; /* of object_rules, while they are collected */
    struct pattern_rule *patterns;
    struct dependency *dependencies;
};

/* ---- schema_compile.c ---- */

/* Compiles the subschema at `object`, unless that is done already. `source` is
 * what it lies in, NULL for a document that begins here, at `uri`. */
struct where {
    const struct json *json;
    const struct json_node *object;
    const struct place *place;
    struct source *source;
    struct bytes uri;
    const struct dialect *dialect; /* of a document that does not say */
    unsigned depth;
};
struct schema_node *compile(struct compiler *c, const struct where *where);

const struct place *place_new(struct compiler *c, const struct place *up, const char *keyword,
                              struct bytes name, int64_t index);
/* Memory of the schema, cleared; NULL (and the error set) when there is none. */
void *compiler_alloc(struct compiler *c, size_t count, size_t size);
bool compiler_no_memory(struct compiler *c);
/* "PLACE/keyword: text". Returns false. */
bool compiler_refuse(struct compiler *c, const struct place *place, const char *keyword,
                     const char *format, ...) __attribute__((format(printf, 4, 5)));

/* ---- schema_keywords.c ---- */

/* Reads all keywords of a schema that is an object. */
bool keywords_read(struct subschema *s);

/* ---- schema_source.c ---- */

/* The source that begins with this subschema: a document, or one with "$id";
 * else that of the subschema around it. NULL: an error. */
struct source *source_enter(struct compiler *c, const struct where *where,
                            struct schema_node *node);
bool source_anchor(struct subschema *s, const char *keyword, struct bytes name, bool dynamic);

/* ---- schema_refs.c ---- */

bool refs_follow(struct compiler *c);
bool refs_check_loops(struct compiler *c);

#endif
