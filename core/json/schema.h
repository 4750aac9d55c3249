/* SPDX-License-Identifier: MIT */
/*
 * JSON Schema 2020-12 (draft-bhutton-json-schema-01 and its validation
 * vocabulary), compiled once and used by many threads. A schema whose "$schema"
 * says draft-07 is read as that: "definitions", "dependencies", "items" as an
 * array with "additionalItems", "$id" with a fragment, nothing beside "$ref".
 * Any other dialect is refused, unless options.resolve knows it and its
 * "$vocabulary" is made of the standard ones.
 *
 * All keywords of the standard vocabularies. "format" only describes, unless it
 * is asked to fail; content keywords only describe. Numbers are compared by
 * their digits, however many; 1.0 is an integer and equal to 1. Patterns are
 * those of ECMA-262 with the flag u; lookbehinds must have a fixed length.
 *
 * Guards the configuration and the arguments of tools. A schema comes from
 * somebody else and must not be a weapon. When it is compiled: at most 64
 * subschemas within each other, 10,000 in all, 4 MiB of compiled patterns; no
 * references in circles; a reference to anything outside the schema is never
 * fetched: it is an error, or comes from schema_options.resolve. When a value is
 * validated: its work is bounded in proportion to its size, and patterns may
 * take half a second in all. Recursion is bounded, too.
 *
 * bytes_hash is used, so crypto_init comes first.
 */
#ifndef JSON_SCHEMA_H
#define JSON_SCHEMA_H

#include "json/json.h"

struct schema; /* immutable once compiled; use from any thread */

struct schema_options {
    bool assert_format; /* "format" fails a value instead of only describing it */
    /* Gives the text of the schema document with this absolute URI (no
     * fragment), or NULL; what it points to must stay until schema_compile
     * returns. May be NULL: nothing outside resolves but the meta-schemas of
     * 2020-12 and draft-07. */
    const struct json *(*resolve)(void *context, const char *uri);
    void *context;
};

/* Compiles the schema that is `root` of `json`; "#" in it is that root.
 * Everything needed is copied. `options` may be NULL. NULL: not a legal schema,
 * or one that refers to what is not there, or past the limits; err says which
 * and where (as a JSON Pointer): `"/properties/a/minimum": expected a number,
 * got "1"`. */
struct schema *schema_compile(const struct json *json, const struct json_node *root,
                              const struct schema_options *options, struct error *err);
void schema_free(struct schema *schema); /* NULL is allowed */

/* One reason why an instance is not valid. */
struct schema_failure {
    /* The value at fault: the object when a member is missing, the member's
     * value when it must not be there, a member's name when that is wrong. */
    const struct json_node *value;
    const char *instance; /* where that is: a JSON Pointer, "" for the whole */
    /* Which keyword of the schema: a JSON Pointer from its root to where the
     * keyword stands ("/$defs/a/type", not "/properties/x/$ref/type"); behind
     * "URI#" when it stands in another document. "" when the check was given up. */
    const char *keyword;
    /* What was expected and what is there, for a person, one line of UTF-8:
     * `expected an integer from 1 to 65535, got "80"`, `missing member "path"`,
     * `unknown member "lisen" (did you mean "listen"?)`. */
    const char *text;
};

/* Called for every reason found, at most 256; the strings are valid during the
 * call. Of anyOf and oneOf, those of the branch that came nearest. Returns false
 * to stop. */
typedef bool schema_report(void *context, const struct schema_failure *failure);

/* True when the instance is valid. `value` is any value of `json`. `report` may
 * be NULL, which is faster. A validation that would exceed its bounds ends with
 * a failure; what could not be checked is never valid. */
bool schema_validate(const struct schema *schema, const struct json *json,
                     const struct json_node *value, schema_report *report, void *context);

/* True when the text is of a format that schemas know, such as "uri" or "date-time". */
bool schema_format_holds(const char *format, struct bytes text);

#endif
