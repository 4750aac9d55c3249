/* SPDX-License-Identifier: MIT */
/* What uri_template.c makes of a template and uri_template_match.c reads. */
#ifndef PLUGIN_URI_TEMPLATE_PRIVATE_H
#define PLUGIN_URI_TEMPLATE_PRIVATE_H

#include "plugin/offers.h"
#include "plugin/uri_template.h"

#define URI_VARIABLES_MAX 64
#define URI_NODES_MAX (2 * URI_VARIABLES_MAX + 1)
#define URI_CANONICAL_MAX (3 * URI_MAX + 3)

/* How the variables of an expression are written (RFC 6570, appendix A). */
struct uri_operator {
    char sign; /* behind the "{"; NUL: none */
    char first; /* before the first variable that has a value; NUL: nothing */
    char separator; /* before the others */
    bool named; /* name=value */
    bool equals; /* the "=" stands also before an empty value */
    bool reserved; /* reserved characters are not encoded */
};

/* A literal, or one variable of an expression. */
struct uri_node {
    const struct uri_operator *op; /* NULL: a literal */
    struct bytes text; /* of a literal, canonical; or the variable's name */
    uint16_t max; /* characters of the value; 0: no limit */
    uint16_t variable; /* which one, from 0 */
    bool explode;
    bool shared; /* there are others in its expression */
    bool last; /* of its expression */
};

struct uri_template {
    size_t count;
    uint16_t variables;
    struct uri_node nodes[]; /* and behind them, in the same allocation, their texts */
};

bool uri_is_hex(char c);
bool uri_is_unreserved(char c);

/* Writes the text with everything outside ASCII percent-encoded and all
 * percent-encodings in capitals; returns its size. SIZE_MAX: a "%" that is not
 * one, or no room (3 more than the result needs). */
size_t uri_canonical(struct bytes text, char *out, size_t room);

#endif
