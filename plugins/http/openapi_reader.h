/* SPDX-License-Identifier: MIT */
/*
 * One operation of an OpenAPI document that is being read: what openapi.c, which makes a
 * tool of it, shares with openapi_arguments.c, which reads what a call of it takes.
 */
#ifndef HTTP_OPENAPI_READER_H
#define HTTP_OPENAPI_READER_H

#include "operation.h"

struct reader {
    struct api *api;
    const struct api_options *options;
    const struct value *root, *item, *object; /* the document, the path's, the operation */
    struct operation *operation;
    struct parameter *scratch; /* room for many, while it is read */
    struct schema_writer writer;
    const char *why; /* it is no tool; NULL: it is one */
};

/* Both return false. The first reason counts. */
bool reader_refuse(struct reader *reader, const char *why);
bool reader_refuse_schema(struct reader *reader);

/* ---- openapi_arguments.c; false: refused ---- */

/* The parameters, into reader->scratch. */
bool reader_parameters(struct reader *reader);
/* The body, if it has one. */
bool reader_body(struct reader *reader);
/* Each of them its name among the tool's arguments. */
bool reader_names(struct reader *reader);

bool is_json_type(const char *media_type);
/* Whatever the case of its letters; the words end with NULL. */
bool is_one_of(const char *word, const char *const *words);

#endif
