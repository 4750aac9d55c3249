/* SPDX-License-Identifier: MIT */
/*
 * YAML and JSON as a tree of values that JSON can say; for the bundled plugins. YAML: one
 * document, read by libyaml, its plain scalars typed by the core schema of YAML 1.2
 * (10.3): "no" is a string, 012 is twelve. JSON: RFC 8259 in UTF-8. Numbers keep every
 * digit in both. What JSON cannot say is refused: .inf and .nan, names that are no
 * scalars, tags of one's own; and so is a name that is there twice.
 */
#ifndef PLUGINS_DOCUMENT_H
#define PLUGINS_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "text.h"

enum value_kind {
    VALUE_NULL,
    VALUE_BOOLEAN,
    VALUE_NUMBER,
    VALUE_STRING,
    VALUE_ARRAY,
    VALUE_OBJECT
};

struct value {
    enum value_kind kind;
    char *text; /* NUL-terminated: of a string its characters, else JSON; NULL: collections */
    size_t size;
    struct value **items; /* elements; of an object, name and value in turn */
    size_t count; /* of them */
    struct value ***sorted; /* of an object with many: where its names are, in order; or NULL */
    bool open; /* being read: an alias to it would have no end */
};

struct document {
    struct value *root;
    struct block *blocks; /* where the values and their texts are */
    unsigned line; /* of a fault, from 1; 0: unknown */
    char fault[200]; /* a clause: "a name is there twice: \"x\"" */
};

/* What may be in a text from elsewhere. */
struct document_limits {
    unsigned values; /* names count, too; what aliases repeat, when it is written */
    int depth;
};
#define DOCUMENT_SMALL (&(const struct document_limits){.values = 20000, .depth = 32})

/* False: document->fault says why not. To be freed in any case. */
bool document_read_yaml(struct document *document, const char *data, size_t size,
                        const struct document_limits *limits);
bool document_read_json(struct document *document, const char *data, size_t size,
                        const struct document_limits *limits);
void document_free(struct document *document);

/* NULL when it is no object, or has no such member. */
const struct value *value_member(const struct value *object, const char *name);

/* As JSON. False: what aliases repeat is too much, or it is nested too deeply. */
bool value_write(struct text *out, const struct value *value, const struct document_limits *limits);

static inline bool value_is(const struct value *value, enum value_kind kind)
{
    return value != NULL && value->kind == kind;
}

/* ---- for the readers ---- */

/* Memory that document_free frees. NULL: there is none. */
void *document_take(struct document *document, size_t size);
/* When all of an object has been read: a name that is there twice, or NULL. */
const struct value *value_complete(struct document *document, struct value *object);

/* ---- yaml_types.c ---- */

/* What a plain scalar is. *json becomes its JSON, for numbers; *fault a clause when
 * JSON has no such number. */
enum value_kind scalar_kind(const char *data, size_t size, struct text *json, const char **fault);

#endif
