/* SPDX-License-Identifier: MIT */
/*
 * What a tool of the http plugin is: a request that is made out of the arguments. Read
 * from an OpenAPI document (openapi.c) or from the table in the configuration (table.c).
 * Nothing here knows libcurl, or the network.
 */
#ifndef HTTP_OPERATION_H
#define HTTP_OPERATION_H

#include "document.h"

enum place { IN_PATH, IN_QUERY, IN_HEADER, IN_COOKIE };
enum style {
    STYLE_SIMPLE,
    STYLE_LABEL,
    STYLE_MATRIX,
    STYLE_FORM,
    STYLE_SPACE,
    STYLE_PIPE,
    STYLE_DEEP
};

struct parameter {
    const char *name; /* in the request */
    const char *argument; /* of the tool */
    const struct value *schema, *description; /* while the document is there */
    enum place place;
    enum style style;
    bool explode, required;
    bool json; /* serialised as JSON: "content", not "schema" */
    bool reserved; /* allowReserved */
    bool segments; /* {+name}: may have slashes */
};

enum body_kind { BODY_NONE, BODY_JSON, BODY_FORM, BODY_MULTIPART, BODY_TEXT, BODY_BYTES };

/* A member of a form. */
struct part {
    const char *name;
    const char *type; /* of its content; NULL: by what it is */
    bool bytes; /* comes in Base64, goes as a file */
    bool explode;
    enum style style;
};

struct body {
    enum body_kind kind;
    bool required;
    const char *type; /* the media type */
    const char *argument;
    const struct value *schema, *description;
    struct part *parts;
    size_t part_count;
};

struct operation {
    const char *name; /* of the tool */
    unsigned next; /* number that may be free, for another tool that would be called so */
    const char *method; /* "GET" */
    const char *path; /* "/pets/{id}" */
    const char *server; /* an absolute URL; NULL: the configured one */
    const char *accept;
    struct parameter *parameters;
    size_t parameter_count;
    struct body body;
    bool open; /* the document says that it needs no authentication */
    bool promises; /* a JSON object, by its outputSchema */
    struct mcp_bytes definition; /* the tool, as JSON */
};

struct api {
    struct document memory;
    struct operation **operations;
    size_t count;
};

struct api_options {
    const struct value *include, *exclude; /* {"tags", "paths", "operations"}, or NULL */
    const struct value *methods; /* ["GET"], or NULL */
    /* Names of parameters that authentication sets; NULL-terminated. */
    const char *const *hidden;
    bool has_base; /* servers of the document do not count */
    bool output_schemas;
    /* Told of each operation that is not to be a tool, with a clause. */
    void (*left_out)(void *context, const char *method, const char *path, const char *why);
    void *context;
};

/* The tools of an OpenAPI document. False: it is none, fault says why. *api may have
 * operations already, and is to be freed in any case. */
bool openapi_read(struct api *api, const struct value *root, const struct api_options *options,
                  struct text *fault);
/* One more, from an operation object. `root` is where its references lead. */
bool openapi_add(struct api *api, const struct value *root, const struct api_options *options,
                 const char *method, const char *path, const struct value *operation);
void api_free(struct api *api);

/* ---- table.c ---- */

/* The tools of a table. False: fault says why, *index which. */
bool table_read(struct api *api, const struct value *table, const struct api_options *options,
                struct text *fault, size_t *index);

/* ---- openapi_schema.c ---- */

/* A JSON Schema 2020-12 out of one or several of the document's. */
struct schema_writer {
    struct text *out;
    const struct value *root;
    bool old; /* of OpenAPI 3.0 */
    bool input; /* read-only members do not count; else write-only ones */
    const char *fault; /* why it has failed: a clause; NULL: it has not */
    struct definition *definitions;
    unsigned *order[2]; /* of them, by reference and by name */
    size_t count, room;
    char text[160];
};

bool schema_write(struct schema_writer *writer, const struct value *schema);
/* As the members behind "type": "object". */
bool schema_write_object(struct schema_writer *writer, const struct value *schema);
/* ,"$defs":{...} of all that was referred to, or nothing. */
bool schema_write_definitions(struct schema_writer *writer);
void schema_writer_free(struct schema_writer *writer);

/* Follows "$ref" from `value`, if it has one, to what has none. NULL: writer->fault says
 * why not. */
const struct value *schema_resolve(struct schema_writer *writer, const struct value *value);
/* Whether a value that fits must be an object. */
bool schema_is_object(struct schema_writer *writer, const struct value *schema, int depth);
/* Whether it is a string of bytes, which comes in Base64. */
bool schema_is_bytes(struct schema_writer *writer, const struct value *schema);

/* ---- words.c ---- */

/* A copy in the memory of the api; NULL: out of memory. */
const char *keep(struct api *api, const char *data, size_t size);
/* Of the characters A-Z a-z 0-9 _ - . and at most 64 of them; others become "_". */
void legal_name(char out[65], const char *data, size_t size);
/* A string member, or NULL. */
const char *member_string(const struct value *object, const char *name);
bool member_true(const struct value *object, const char *name);

#endif
