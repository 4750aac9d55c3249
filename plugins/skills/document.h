/* SPDX-License-Identifier: MIT */
/*
 * YAML as JSON: one document, read by libyaml, its plain scalars typed by the core
 * schema of YAML 1.2 (10.3): "no" is a string, 012 is twelve, and numbers keep every
 * digit. What JSON cannot say is refused: .inf and .nan, names that are no scalars,
 * tags of one's own; and so is a name that is there twice.
 */
#ifndef SKILLS_DOCUMENT_H
#define SKILLS_DOCUMENT_H

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
    char *text; /* NUL-terminated: of a string its characters, else JSON */
    size_t size;
    struct value **items; /* elements; of an object, name and value in turn */
    size_t count; /* of them */
    bool open; /* being read: an alias to it would have no end */
    struct value *next; /* in document.all */
};

struct document {
    struct value *root;
    struct value *all;
    unsigned line; /* of a fault, from 1; 0: unknown */
    char fault[200]; /* a clause: "a name is there twice: \"x\"" */
};

/* False: document->fault says why not. To be freed in any case. */
bool document_read(struct document *document, const char *data, size_t size);
void document_free(struct document *document);

/* NULL when it is no object, or has no such member. */
const struct value *value_member(const struct value *object, const char *name);

/* As JSON. False: what aliases repeat is too much, or it is nested too deeply. */
bool value_write(struct text *out, const struct value *value);

/* ---- yaml_types.c ---- */

/* What a plain scalar is. *json becomes its JSON, for numbers; *fault a clause when
 * JSON has no such number. */
enum value_kind scalar_kind(const char *data, size_t size, struct text *json, const char **fault);

#endif
