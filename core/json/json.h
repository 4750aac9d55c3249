/* SPDX-License-Identifier: MIT */
/*
 * JSON, read strictly (RFC 8259) and without copying.
 *
 * json_parse checks a text and makes an index of it: one small node for every
 * value and every member name, in the order of the text. Nothing is decoded
 * until somebody asks; the raw text of any value can be passed on as it was
 * written, so numbers and ids keep every digit. Refused: invalid UTF-8 (also
 * as \u escapes of lone surrogates), duplicate member names (compared after
 * decoding), NUL bytes or anything else after the value, a byte order mark,
 * and what exceeds the limits. \u0000 in a string is legal JSON and accepted: a
 * decoded string has a length and may contain NUL bytes; json_cstring is for
 * those who need a C string.
 *
 * The index and the text it points into live in memory the caller owns: keep
 * both for as long as nodes are used. Reading an index is thread-safe.
 */
#ifndef JSON_JSON_H
#define JSON_JSON_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

/* In the numbering of the plugin ABI (MCP_JSON_*). */
enum json_type {
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
};

struct json_node {
    uint32_t start; /* offset of the first byte of the value in the text */
    uint32_t end; /* offset behind its last byte */
    uint32_t span; /* nodes it covers, itself included: node + span is what follows */
    uint32_t count; /* elements of an array, members of an object */
    uint8_t type; /* enum json_type; a member name is a JSON_STRING */
    uint8_t escaped; /* a string with a backslash in it */
    /* Only where limits.duplicates let them through: a member name that comes
     * again later in the same object, so that the later member counts; or an
     * object in which that happens. */
    uint8_t repeated;
};

struct json {
    struct bytes text;
    const struct json_node *root; /* nodes[0] */
    size_t nodes;
    bool repeated; /* some object in it repeats a name */
};

struct json_limits {
    size_t max_size; /* bytes of text; also never more than UINT32_MAX */
    uint32_t max_depth; /* nesting of arrays and objects */
    uint32_t max_nodes; /* values and names together */
    bool comments; /* allow // and slash-star comments as white space (configuration) */
    /* Accept objects that repeat a member name, which RFC 8259 calls legal but
     * not interoperable: the last one counts. json_get finds that one and
     * json_write_compact leaves the others out; json_first, json_next and count
     * show all of them. */
    bool duplicates;
};

/* For messages and plugin results: 64 MiB, depth 128, 4 million nodes. */
extern const struct json_limits json_default_limits;

/* What kind of reason. A text with repeated names is JSON_REPEATED only when
 * nothing else is wrong with it. */
enum json_refusal {
    JSON_SYNTAX, /* it is no JSON text */
    JSON_LIMIT, /* too large, too deep, too many nodes */
    JSON_REPEATED, /* well-formed, but an object repeats a member name */
    JSON_MEMORY /* out of memory; nothing is said about the text */
};

/* Why and where a text was refused. */
struct json_error {
    enum json_refusal kind;
    size_t offset; /* byte */
    unsigned line, column; /* from 1; column counts characters */
    char text[200]; /* "expected ',' or '}' after a member", without the place */
};

/* Checks and indexes `text`. Nodes are allocated in `arena`. False: refused,
 * with *err filled (err may be NULL). */
bool json_parse(struct json *json, struct bytes text, const struct json_limits *limits,
                struct arena *arena, struct json_error *err);

/* Only the check: the same verdict as json_parse, without an index for the
 * caller. */
bool json_check(struct bytes text, const struct json_limits *limits, struct json_error *err);

/* The line and column of a byte offset, for complaints. */
void json_place(const struct json *json, size_t offset, unsigned *line, unsigned *column);

/* ---- reading ---- */

/* The text of a value as it was written: `"a\nb"` with its quotes for a string. */
struct bytes json_raw(const struct json *json, const struct json_node *value);

/* The value of a member, or NULL (also when `object` is NULL or no object).
 * `name` is NUL-terminated and matched exactly, after decoding. */
const struct json_node *json_get(const struct json *json, const struct json_node *object,
                                 const char *name);
const struct json_node *json_get_bytes(const struct json *json, const struct json_node *object,
                                       struct bytes name);

/* The value at a JSON Pointer (RFC 6901) below `from`; NULL when there is none. */
const struct json_node *json_at(const struct json *json, const struct json_node *from,
                                const char *pointer);

/* Walking. For an array the first element, for an object the first *name*; NULL
 * when empty. json_next gives the next element of the array that ends at `end`
 * (the node behind the array: array + array->span), or NULL. In an object the
 * value of a name is name + 1, and json_next(name + 1, end) the next name. */
const struct json_node *json_first(const struct json_node *container);
const struct json_node *json_next(const struct json_node *value, const struct json_node *end);

/* True when the value is this string. `text` is NUL-terminated. */
bool json_is(const struct json *json, const struct json_node *value, const char *text);

/* The characters of a string, decoded. Points into the text when nothing is
 * escaped, else into `arena`. .data is NULL when it is no string (or out of
 * memory); an empty string has a .data. */
struct bytes json_string(const struct json *json, const struct json_node *value,
                         struct arena *arena);

/* The same with a NUL behind it, always a copy in `arena`; NULL also when the
 * string has a NUL character in it, for it would be cut short. */
const char *json_cstring(const struct json *json, const struct json_node *value,
                         struct arena *arena);

/* An integer, however it is written (12, 1.2e1, 12.0); false when it is not one
 * or does not fit. */
bool json_int64(const struct json *json, const struct json_node *value, int64_t *out);

/* ---- writing ---- */

/* Adds `text` as a JSON string with its quotes. Invalid UTF-8 becomes U+FFFD. */
void json_write_string(struct buf *out, struct bytes text);
/* The shortest form that reads back as the same double; null when not finite. */
void json_write_double(struct buf *out, double number);
/* Adds a value without the white space between its tokens. */
void json_write_compact(struct buf *out, const struct json *json, const struct json_node *value);
/* For messages to people: a scalar as it was written, or its beginning and "..." when
 * it is long; "an object", "an array". */
void json_write_shown(struct buf *out, const struct json *json, const struct json_node *value);
/* Adds a value in a spelling that equal values share: members in the order of
 * their names, no white space, one form for each string and each number. False:
 * out of memory, or `out` is full. */
bool json_write_canonical(struct buf *out, const struct json *json, const struct json_node *value,
                          struct arena *scratch);

#endif
