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
    bool no_memory; /* for a pattern; the arenas tell of themselves */
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
struct schema_node *compiler_compile(struct compiler *c, const struct where *where);

const struct place *place_new(struct compiler *c, const struct place *up, const char *keyword,
                              struct bytes name, int64_t index);
/* Memory of the schema, cleared; NULL (and the error set) when there is none. */
void *compiler_alloc(struct compiler *c, size_t count, size_t size);
bool compiler_no_memory(struct compiler *c);
/* A text of the schema's author, for an error: its beginning, whole characters. */
struct bytes compiler_shown(struct bytes text);
/* For "%.*s". */
#define SHOWN_FMT(b) BYTES_FMT(compiler_shown(b))
/* "PLACE/keyword: text". Returns false. */
bool compiler_refuse(struct compiler *c, const struct place *place, const char *keyword,
                     const char *format, ...) __attribute__((format(printf, 4, 5)));

/* ---- schema_keywords.c ---- */

enum vocabulary { CORE, APPLICATOR, UNEVALUATED, VALIDATION, FORMAT };

struct keyword;
typedef bool keyword_reader(struct subschema *s, const struct keyword *keyword,
                            const struct json_node *value);
struct keyword {
    const char *name;
    enum vocabulary vocabulary;
    int drafts;
    keyword_reader *read;
    size_t offset; /* in the struct that `read` fills */
};

/* Reads all keywords of a schema that is an object. */
bool keywords_read(struct subschema *s);

/* ---- schema_applicators.c ---- */

keyword_reader keyword_additional_items, keyword_aside, keyword_definitions, keyword_dependencies,
    keyword_for_array, keyword_for_object, keyword_for_value, keyword_items, keyword_items_7,
    keyword_list, keyword_pattern_properties, keyword_prefix, keyword_properties, keyword_required;
/* Once all members have been read. */
void members_finish(struct subschema *s);

/* ---- schema_assertions.c ---- */

keyword_reader keyword_array_count, keyword_bound, keyword_constant, keyword_enum, keyword_format,
    keyword_multiple, keyword_object_count, keyword_pattern, keyword_string_count, keyword_type,
    keyword_unique;

/* "PLACE/keyword: expected ..., got ...". Returns false. */
bool keyword_refuse(struct subschema *s, const struct keyword *keyword, const char *expected,
                    const struct json_node *value);
/* The structs, made when they are first needed; NULL (and the error set) when they cannot. */
struct value_rules *subschema_value(struct subschema *s);
struct number_rules *subschema_number(struct subschema *s);
struct string_rules *subschema_string(struct subschema *s);
struct array_rules *subschema_array(struct subschema *s);
struct object_rules *subschema_object(struct subschema *s);
/* Copies in the memory of the schema; .data NULL or NULL (and the error set). */
struct bytes subschema_copy_string(struct subschema *s, const struct json_node *value);
const struct json *subschema_copy_value(struct subschema *s, const struct json_node *value);
const struct pattern *subschema_pattern(struct subschema *s, const struct place *place,
                                        const char *keyword, const struct json_node *value);
/* Walks the names of the members that count; begins with NULL, ends with NULL. */
const struct json_node *keyword_next_member(const struct json_node *object,
                                            const struct json_node *name);

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
