/* SPDX-License-Identifier: MIT */
/*
 * JSON Schema 2020-12 (draft-bhutton-json-schema-01 and its validation
 * vocabulary), compiled once and used by many threads.
 *
 * Guards the configuration and the arguments of tools. A schema comes from
 * somebody else and must not be a weapon: its depth and number of subschemas
 * are bounded when it is compiled, the work of one validation is bounded too,
 * and a reference to anything outside the schema is never fetched: it is an
 * error, or comes from schema_options.resolve.
 */
#ifndef JSON_SCHEMA_H
#define JSON_SCHEMA_H

#include "json/json.h"

struct schema; /* immutable once compiled; use from any thread */

struct schema_options {
    bool assert_format; /* "format" fails a value instead of only describing it */
    /* Gives the text of the schema document with this absolute URI (no
     * fragment), or NULL; what it points to lives as long as the schema. May be
     * NULL: nothing outside resolves but the 2020-12 meta-schemas. */
    const struct json *(*resolve)(void *context, const char *uri);
    void *context;
};

/* Compiles the schema that is `root` of `json`. Everything needed is copied.
 * NULL: not a legal schema, or one that refers to what is not there, or past
 * the limits; err says which and where (as a JSON Pointer). */
struct schema *schema_compile(const struct json *json, const struct json_node *root,
                              const struct schema_options *options, struct error *err);
void schema_free(struct schema *schema); /* NULL is allowed */

/* One reason why an instance is not valid. */
struct schema_failure {
    const struct json_node *value; /* the value at fault */
    const char *instance; /* where it is: a JSON Pointer, "" for the whole */
    const char *keyword; /* which keyword of the schema: a JSON Pointer from its root */
    const char *text; /* what was expected, for a person: "expected an integer from 1 to 65535" */
};

/* Called for every reason found, most telling first where one is nested in
 * another; the strings are valid during the call. Returns false to stop. */
typedef bool schema_report(void *context, const struct schema_failure *failure);

/* True when the instance is valid. `report` may be NULL, which is faster. A
 * validation that would exceed its bound of work is reported as a failure. */
bool schema_validate(const struct schema *schema, const struct json *json,
                     const struct json_node *value, schema_report *report, void *context);

#endif
