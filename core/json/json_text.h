/* SPDX-License-Identifier: MIT */
/* How strings are spelled in JSON; shared by the files of this folder alone.
 * "Inner" text is what stands between the quotes of a string that json_parse
 * has accepted. */
#ifndef JSON_TEXT_H
#define JSON_TEXT_H

#include "json/json.h"

/* The length of the longest prefix of ASCII characters that stand for themselves
 * in a string: no control character, quote or backslash. */
size_t json_plain_prefix(const char *text, size_t size);

/* The inner text of the string or name `node`. */
static inline struct bytes json_inner(const char *text, const struct json_node *node)
{
    return (struct bytes){text + node->start + 1, (size_t)(node->end - node->start) - 2};
}

/* Decodes an inner text; returns the size. out has room for inner.size bytes. */
size_t json_decode(struct bytes inner, char *out);

/* Equal after decoding those that are marked as escaped. */
bool json_same_text(struct bytes a, bool a_escaped, struct bytes b, bool b_escaped);

#endif
