/* SPDX-License-Identifier: MIT */
/*
 * What the files of the schema share. By file:
 *
 *   schema_compile.c   documents and subschemas, from JSON to structs
 *   schema_source.c    resources: "$id", "$schema", anchors
 *   schema_keywords.c  the keywords, and the reading of those of the core
 *   schema_applicators.c, schema_assertions.c  reading the others: is what stands
 *                      there legal, and what it becomes
 *   schema_refs.c      where references lead; loops of them
 *   schema_uri.c       RFC 3986: resolving one reference against another
 *   schema_meta.c      the texts of the meta-schemas
 *   schema_validate.c  the walk over schema and instance
 *   schema_container.c arrays and objects
 *   schema_choice.c    anyOf, oneOf and the other keywords that try a subschema
 *   schema_report.c    what a failure is called, and where it is
 *   schema_describe.c  a subschema in words
 *   schema_equal.c     equality of values; uniqueItems
 *   schema_pattern.c   regular expressions (the only file that knows PCRE2)
 *   schema_format.c    the formats
 */
#ifndef JSON_SCHEMA_INTERNAL_H
#define JSON_SCHEMA_INTERNAL_H

#include "json/json_decimal.h"
#include "json/schema.h"

#define SCHEMA_MAX_DEPTH 64 /* subschemas within each other */
#define SCHEMA_MAX_SUBSCHEMAS 10000
#define SCHEMA_MAX_CHAIN 128 /* subschemas that apply to one value by way of each other */
#define SCHEMA_MAX_MEMORY ((size_t)64 << 20)
#define SCHEMA_MAX_PATTERNS ((size_t)4 << 20) /* bytes of all compiled patterns */
#define SCHEMA_MAX_NESTING 512 /* subschemas applied within each other */

/* ---- patterns (schema_pattern.c) ---- */

struct pattern; /* a compiled regular expression in the dialect of ECMA-262 */

/* NULL: err says why not. *size becomes the memory it takes. */
struct pattern *pattern_new(struct bytes text, size_t *size, struct error *err);
void pattern_free(struct pattern *pattern);
struct bytes pattern_text(const struct pattern *pattern);

enum pattern_verdict { PATTERN_DIFFERS, PATTERN_MATCHES, PATTERN_TOO_MUCH_WORK };

/* What the matches of one validation need and may use up. Begins as zeros. */
struct pattern_run {
    void *match_data;
    int64_t spent; /* ns, of the clock on the wall or, with own_time, of this thread */
    bool own_time;
};
enum pattern_verdict pattern_match(const struct pattern *pattern, struct pattern_run *run,
                                   struct bytes text);
void pattern_run_free(struct pattern_run *run);

/* ---- formats (schema_format.c) ---- */

/* The format of this name, or NULL. */
const struct format *format_find(struct bytes name);
bool format_check(const struct format *format, struct bytes text);
const char *format_description(const struct format *format); /* "a date (RFC 3339)" */

/* ---- URIs (schema_uri.c) ---- */

/* The reference without its fragment; *fragment gets that, without the '#',
 * .data NULL when there is none. */
struct bytes uri_split(struct bytes reference, struct bytes *fragment);
/* RFC 3986, 5.2; both without fragment. .data is NULL when out of memory. */
struct bytes uri_resolve(struct arena *arena, struct bytes base, struct bytes reference);
/* Decodes %XX. .data is NULL when malformed, not UTF-8 or out of memory. */
struct bytes uri_decode(struct arena *arena, struct bytes text);
bool uri_is_absolute(struct bytes uri); /* begins with a scheme */

/* ---- meta-schemas (schema_meta.c) ---- */

/* The text of one of the standard meta-schemas, or .data NULL. */
struct bytes schema_meta(struct bytes uri);

/* ---- what a schema is compiled to ---- */

struct schema_node;

/* Where a subschema is: a step below another one. */
struct place {
    const struct place *up; /* NULL for the root of a document */
    struct bytes uri; /* of a root that is not that of the schema itself */
    const char *keyword; /* as in a JSON Pointer, may hold several tokens; NULL at a root */
    struct bytes name; /* below the keyword; .data NULL when there is none */
    int64_t index; /* likewise; -1 */
};

struct anchor {
    const struct anchor *next;
    struct bytes name;
    const struct schema_node *node;
};

/* A schema with a URI of its own: what has "$id", or a whole document. */
struct resource {
    const struct anchor *dynamic; /* its $dynamicAnchors */
};

struct number_rules {
    const struct decimal *minimum, *maximum, *above, *below, *multiple;
};

struct string_rules {
    uint64_t min, max; /* characters */
    const struct pattern *pattern;
    const struct format *format;
    bool assert_format;
};

struct array_rules {
    uint64_t min, max;
    uint64_t min_contains, max_contains;
    const struct schema_node **prefix;
    uint32_t prefixes;
    bool unique;
    const struct schema_node *items; /* those behind the prefix */
    const struct schema_node *contains;
    const struct schema_node *unevaluated;
};

/* What a schema says of one member by its name. */
struct member_rule {
    struct bytes name;
    const struct schema_node *node; /* of "properties"; or NULL */
    bool required;
};

struct pattern_rule {
    const struct pattern *pattern;
    const struct schema_node *node;
};

struct dependency {
    struct bytes name;
    const struct bytes *required;
    uint32_t requires;
    const char *keyword;
    const struct schema_node *node; /* or NULL */
};

struct object_rules {
    uint64_t min, max;
    struct member_rule *members; /* sorted by size and then by bytes */
    uint32_t member_count;
    uint32_t required_count;
    uint32_t pattern_count;
    uint32_t dependency_count;
    bool each; /* there is something to say of each member */
    const struct pattern_rule *patterns;
    const struct dependency *dependencies;
    const struct schema_node *additional;
    const struct schema_node *names;
    const struct schema_node *unevaluated;
};

struct node_list {
    const struct schema_node **nodes;
    uint32_t count;
};

/* What applies to values of any type: in place, to the very same value. */
struct value_rules {
    const struct json *constant; /* "const" and "enum", copied out of the schema */
    const struct json *choices;
    const struct schema_node *ref;
    const struct schema_node *dynamic_ref; /* where it leads unless the scope says otherwise */
    struct bytes dynamic_name; /* .data NULL: "$dynamicRef" is like "$ref" */
    struct node_list all, any, one;
    const struct schema_node * not, *condition, *then, *otherwise;
};

#define TYPE_BIT(type) (1u << (type))
#define TYPE_ANY 0x7fu

struct schema_node {
    uint8_t types; /* TYPE_BIT(enum json_type) of each type allowed */
    bool integer; /* a number must be an integer */
    bool never; /* the schema false */
    bool plain; /* has nothing but types */
    uint8_t chain; /* for the search for loops: how many follow in place, and one */
    const struct value_rules *value;
    const struct number_rules *number;
    const struct string_rules *string;
    const struct array_rules *array;
    const struct object_rules *object;
    const struct resource *resource;
    const struct place *place;
    struct schema_node *next; /* of all there are */
};

/* Something to be freed with the schema. */
struct owned_pattern {
    struct owned_pattern *next;
    struct pattern *pattern;
};

struct schema {
    struct arena arena;
    const struct schema_node *root;
    struct owned_pattern *patterns;
};

/* ---- values (schema_equal.c) ---- */

/* The members that count of an object, names that are repeated left out. */
uint32_t schema_member_count(const struct json_node *object);

/* Work is counted down from *left, and stops at 0 with a verdict of false. */
bool schema_equal(const struct json *a_json, const struct json_node *a, const struct json *b_json,
                  const struct json_node *b, uint64_t *left);
/* True when two elements are equal: *first and *second are their indices. */
bool schema_repeats(const struct json *json, const struct json_node *array, uint64_t *left,
                    struct arena *arena, uint32_t *first, uint32_t *second);
/* The characters of a string, from the text or decoded into the arena. */
struct bytes schema_string(const struct json *json, const struct json_node *value,
                           struct arena *arena);

/* ---- validation (schema_validate.c, schema_choice.c, schema_report.c) ---- */

/* Why a value fails. */
enum failing {
    FAILS_TYPE, /* the first three: it is the wrong thing altogether */
    FAILS_CONST,
    FAILS_ENUM,
    FAILS_NEVER,
    FAILS_MINIMUM,
    FAILS_MAXIMUM,
    FAILS_ABOVE,
    FAILS_BELOW,
    FAILS_MULTIPLE,
    FAILS_MIN_LENGTH,
    FAILS_MAX_LENGTH,
    FAILS_PATTERN,
    FAILS_FORMAT,
    FAILS_MIN_ITEMS,
    FAILS_MAX_ITEMS,
    FAILS_UNIQUE,
    FAILS_CONTAINS,
    FAILS_MIN_CONTAINS,
    FAILS_MAX_CONTAINS,
    FAILS_ITEMS,
    FAILS_UNEVALUATED_ITEMS,
    FAILS_MIN_MEMBERS,
    FAILS_MAX_MEMBERS,
    FAILS_REQUIRED,
    FAILS_DEPENDENT,
    FAILS_ADDITIONAL,
    FAILS_UNEVALUATED_MEMBERS,
    FAILS_ANY,
    FAILS_ONE_NONE,
    FAILS_ONE_SEVERAL,
    FAILS_NOT
};

struct failed {
    enum failing why;
    const struct schema_node *node;
    const struct json_node *value;
    struct bytes name; /* of the member that is missing */
    struct bytes asker; /* of the one that needs it, by what `keyword` says */
    const char *keyword;
    uint64_t number, other; /* counts, or indices */
    int32_t deeper; /* how far the value is below the present one */
    const struct schema_node *const *branches; /* that would have been right */
    uint32_t branch_count;
};

/* What to do with a failure. */
enum run_mode { RUN_QUIET, RUN_SCORE, RUN_REPORT };

/* How near a value came to a branch of anyOf or oneOf. */
struct score {
    int32_t base; /* the depth of the value that is tried */
    int32_t depth; /* of the deepest failure below it */
    uint32_t failures;
    /* The failure that tells that this is the wrong branch: of type, const or
     * enum, at the value itself or at a member of it; and how deep that is. */
    const struct json_node *wrong_value;
    const struct schema_node *wrong_node;
    int32_t wrong_depth;
};

/* The resources that evaluation has gone through, for "$dynamicRef". */
struct scope {
    const struct scope *outer;
    const struct resource *resource;
};

/* Which elements or members of a value have been evaluated; for "unevaluated...". */
struct marks {
    uint64_t *words;
    uint32_t size; /* words */
    bool own; /* they were allocated for it */
};

#define RUN_WORDS 64

struct run {
    const struct schema *schema;
    const struct json *json;
    const struct json_node *root; /* of the instance */
    uint64_t left; /* work */
    bool exhausted; /* of work, of depth, of memory: `why` says it */
    bool stop; /* a failure need not be followed by others */
    enum run_mode mode;
    uint32_t nesting;
    int32_t depth; /* of the value in the instance */
    const struct scope *scope;
    struct score score;
    const char *why;
    schema_report *report;
    void *context;
    uint32_t reported;
    struct arena arena;
    struct pattern_run patterns;
    uint32_t words_used;
    uint64_t words[RUN_WORDS]; /* for small marks; not cleared */
};

/* Is the value valid? `marks` may be NULL: nobody asks what was evaluated. */
bool schema_check(struct run *run, const struct schema_node *node, const struct json_node *value,
                  struct marks *marks);
/* The same without a word about failures. */
bool schema_try(struct run *run, const struct schema_node *node, const struct json_node *value,
                struct marks *marks);
/* Takes work off; false when there is none left. */
bool run_charge(struct run *run, uint64_t work);
/* Ends the validation. Returns false. */
bool run_give_up(struct run *run, const char *why);
/* Calls schema_failed when somebody wants to know. Returns false. */
bool run_fail(struct run *run, const struct failed *failed);
bool run_fail_at(struct run *run, enum failing why, const struct schema_node *node,
                 const struct json_node *value);
/* The characters of a string or name; .data NULL when out of memory. */
struct bytes run_text(struct run *run, const struct json_node *value);
enum pattern_verdict run_match(struct run *run, const struct pattern *pattern, struct bytes text);

bool marks_begin(struct run *run, struct marks *marks, uint32_t count);
void marks_end(struct run *run, struct marks *marks);
void marks_merge(struct marks *into, const struct marks *from);

static inline void mark(struct marks *marks, uint32_t index)
{
    if (marks != NULL)
        marks->words[index / 64] |= UINT64_C(1) << (index % 64);
}

static inline bool is_marked(const struct marks *marks, uint32_t index)
{
    return (marks->words[index / 64] >> (index % 64) & 1) != 0;
}

bool container_check_array(struct run *run, const struct schema_node *node,
                           const struct json_node *array, struct marks *marks);
bool container_check_object(struct run *run, const struct schema_node *node,
                            const struct json_node *object, struct marks *marks);
/* Those that are not marked: "unevaluatedItems", "unevaluatedProperties". */
bool container_check_other_items(struct run *run, const struct schema_node *node,
                                 const struct json_node *array, struct marks *marks);
bool container_check_other_members(struct run *run, const struct schema_node *node,
                                   const struct json_node *object, struct marks *marks);

bool choice_check(struct run *run, const struct schema_node *node, const struct json_node *value,
                  struct marks *marks);

/* Tells the run's report of a failure. */
void report_failure(struct run *run, const struct failed *failed);
/* That it was given up. */
void report_given_up(struct run *run);
void place_write(struct buf *out, const struct place *place);

/* ---- words (schema_describe.c) ---- */

/* "an integer from 1 to 65535"; false (and nothing added) when there is nothing
 * to say. */
bool describe_node(struct buf *out, const struct schema_node *node);
/* "a, b or c" of what each node describes; false when one says nothing. */
bool describe_alternatives(struct buf *out, const struct schema_node *const *nodes, uint32_t count);
/* For a value that has the type already. */
void describe_number(struct buf *out, const struct schema_node *node);
void describe_string(struct buf *out, const struct schema_node *node);
void describe_array(struct buf *out, const struct schema_node *node);
void describe_object(struct buf *out, const struct schema_node *node);
/* Adds ` (did you mean "x"?)` when a name that the node knows is near. */
void describe_similar(struct buf *out, const struct schema_node *node, struct bytes name);

#endif
