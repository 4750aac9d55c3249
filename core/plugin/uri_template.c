/* SPDX-License-Identifier: MIT */
/*
 * URI templates as lists of literals and variables, and what they are read for.
 * The matching itself is in uri_template_match.c.
 */
#include <stdlib.h>

#include "base/utf8.h"
#include "plugin/offers.h"
#include "plugin/uri_template_private.h"

/* RFC 6570, appendix A. */
static const struct uri_operator operators[] = {
    {.sign = '+', .separator = ',', .reserved = true},
    {.sign = '#', .first = '#', .separator = ',', .reserved = true},
    {.sign = '.', .first = '.', .separator = '.'},
    {.sign = '/', .first = '/', .separator = '/'},
    {.sign = ';', .first = ';', .separator = ';', .named = true},
    {.sign = '?', .first = '?', .separator = '&', .named = true, .equals = true},
    {.sign = '&', .first = '&', .separator = '&', .named = true, .equals = true},
};
static const struct uri_operator simple = {.separator = ','};

/* A template that fits one of these could be anybody's. */
static const struct bytes probes[] = {{"zq0:zq1", 7},
                                      {"zq0://zq1", 9},
                                      {"zq0://zq1/zq2", 13},
                                      {"zq0://zq1/zq2/zq3", 17},
                                      {"zq0://zq1/zq2?zq3=zq4#zq5", 25}};

/* ---- characters ---- */

bool uri_is_hex(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

bool uri_is_unreserved(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
           (c != '\0' && strchr("-._~", c) != NULL);
}

size_t uri_canonical(struct bytes text, char *out, size_t room)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t size = 0;

    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (room - size < 3)
            return SIZE_MAX;
        if (c >= 0x80) {
            out[size++] = '%';
            out[size++] = digits[c >> 4];
            out[size++] = digits[c & 15];
        } else if (c != '%') {
            out[size++] = (char)c;
        } else {
            if (text.size - i < 3 || !uri_is_hex(text.data[i + 1]) || !uri_is_hex(text.data[i + 2]))
                return SIZE_MAX;
            out[size++] = '%';
            for (int k = 0; k < 2; k++) {
                c = (unsigned char)text.data[++i];
                out[size++] = (char)(c >= 'a' ? c - 0x20 : c);
            }
        }
    }
    return size;
}

/* ---- reading a template ---- */

struct reading {
    struct uri_template *template;
    size_t room; /* nodes */
    struct bytes text; /* the template's copy of it */
    size_t at;
    char *literals; /* where the next one goes, and how much room there is */
    size_t literal_room;
};

static bool fault(struct error *err, size_t at, const char *what)
{
    return error_set(err, "at byte %zu: %s", at + 1, what);
}

static struct uri_node *add_node(struct reading *r)
{
    struct uri_template *t = r->template;

    return t->count < r->room ? &t->nodes[t->count++] : NULL;
}

static bool read_literal(struct reading *r, struct error *err)
{
    size_t from = r->at;

    for (; r->at < r->text.size && r->text.data[r->at] != '{'; r->at++) {
        unsigned char c = (unsigned char)r->text.data[r->at];
        if (c == '}')
            return fault(err, r->at, "a \"}\" without a \"{\" before it");
        if (c <= ' ' || c == 0x7f || strchr("\"<>\\^`|", c) != NULL)
            return fault(err, r->at, "this character must be percent-encoded");
    }
    size_t size = uri_canonical((struct bytes){r->text.data + from, r->at - from}, r->literals,
                                r->literal_room);
    if (size == SIZE_MAX)
        return fault(err, from, "a \"%\" that two hexadecimal digits do not follow");
    struct uri_node *node = add_node(r);
    if (node == NULL)
        return fault(err, from, "too many parts");
    *node = (struct uri_node){.text = {r->literals, size}};
    r->literals += size;
    r->literal_room -= size;
    return true;
}

/* varchar or pct-encoded; 0: neither stands here. */
static size_t name_unit(struct bytes text, size_t at, size_t end)
{
    char c = text.data[at];

    if (c == '%')
        return end - at >= 3 && uri_is_hex(text.data[at + 1]) && uri_is_hex(text.data[at + 2]) ? 3
                                                                                               : 0;
    return uri_is_unreserved(c) && c != '-' && c != '.' && c != '~' ? 1 : 0;
}

/* varname: units, with single dots between them. */
static bool read_name(struct reading *r, size_t end, struct bytes *name)
{
    size_t from = r->at, unit;

    for (;; r->at++) {
        size_t part = r->at;
        while (r->at < end && (unit = name_unit(r->text, r->at, end)) > 0)
            r->at += unit;
        if (r->at == part)
            return false;
        if (r->at == end || r->text.data[r->at] != '.')
            break;
    }
    *name = (struct bytes){r->text.data + from, r->at - from};
    return true;
}

static bool read_modifier(struct reading *r, size_t end, struct uri_node *node, struct error *err)
{
    const char *text = r->text.data;

    if (r->at < end && text[r->at] == '*') {
        node->explode = true;
        r->at++;
    } else if (r->at < end && text[r->at] == ':') {
        size_t from = ++r->at;
        for (; r->at < end && text[r->at] >= '0' && text[r->at] <= '9' && r->at - from < 4; r->at++)
            node->max = (uint16_t)(node->max * 10 + (text[r->at] - '0'));
        if (r->at == from || text[from] == '0')
            return fault(err, from, "expected a length of 1 to 9999 after \":\"");
    }
    return true;
}

static bool read_variable(struct reading *r, size_t end, const struct uri_operator *op,
                          struct error *err)
{
    struct uri_template *t = r->template;
    struct uri_node *node = t->variables < URI_VARIABLES_MAX ? add_node(r) : NULL;

    if (node == NULL)
        return fault(err, r->at, "too many variables");
    *node = (struct uri_node){.op = op, .variable = t->variables++};
    if (!read_name(r, end, &node->text))
        return fault(err, r->at, "expected the name of a variable (A-Z a-z 0-9 _ .)");
    if (!read_modifier(r, end, node, err))
        return false;
    if (r->at < end && r->text.data[r->at] != ',')
        return fault(err, r->at, "expected \",\" or \"}\" after a variable");
    return true;
}

static const struct uri_operator *read_operator(struct reading *r)
{
    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++)
        if (r->text.data[r->at] == operators[i].sign) {
            r->at++;
            return &operators[i];
        }
    return &simple;
}

static bool read_expression(struct reading *r, struct error *err)
{
    struct uri_template *t = r->template;
    size_t open = r->at, first = t->count;
    const char *close = memchr(r->text.data + open, '}', r->text.size - open);

    if (close == NULL)
        return fault(err, open, "a \"{\" without a \"}\" behind it");
    size_t end = (size_t)(close - r->text.data);
    r->at++;
    const struct uri_operator *op = read_operator(r);
    for (;;) {
        if (!read_variable(r, end, op, err))
            return false;
        if (r->at == end)
            break;
        r->at++; /* the comma */
    }
    r->at++;
    for (size_t i = first; i < t->count; i++) {
        t->nodes[i].shared = t->count - first > 1;
        t->nodes[i].last = i + 1 == t->count;
    }
    return true;
}

static bool fits_anything(const struct uri_template *t)
{
    struct buf ignored;
    bool fits = false;

    buf_init(&ignored, 4096);
    for (size_t i = 0; i < sizeof probes / sizeof probes[0] && !fits; i++)
        fits = uri_template_match(t, probes[i], &ignored);
    buf_free(&ignored);
    return fits;
}

/* One allocation for the template, its copy of the text and the literals. */
static bool make_room(struct reading *r, struct bytes text)
{
    size_t nodes = text.size < URI_NODES_MAX ? text.size : URI_NODES_MAX;
    size_t head = sizeof(struct uri_template) + nodes * sizeof(struct uri_node);
    char *memory = malloc(head + text.size + 3 * text.size + 3);

    if (memory == NULL)
        return false;
    memcpy(memory + head, text.data, text.size);
    *r = (struct reading){.template = (struct uri_template *)(void *)memory,
                          .room = nodes,
                          .text = {memory + head, text.size},
                          .literals = memory + head + text.size,
                          .literal_room = 3 * text.size + 3};
    *r->template = (struct uri_template){.count = 0};
    return true;
}

struct uri_template *uri_template_new(struct bytes text, struct error *err)
{
    struct reading r;

    if (text.size == 0 || text.size > URI_MAX) {
        error_set(err, "it must have 1 to %d bytes (it has %zu)", URI_MAX, text.size);
        return NULL;
    }
    if (!make_room(&r, text)) {
        error_no_memory(err);
        return NULL;
    }
    while (r.at < text.size) {
        bool expression = r.text.data[r.at] == '{';
        if (expression ? !read_expression(&r, err) : !read_literal(&r, err))
            goto refuse;
    }
    if (fits_anything(r.template)) {
        error_set(err, "at byte 1: it would fit any URI: begin it with a scheme of its own, as in "
                       "\"notes:///{+path}\"");
        goto refuse;
    }
    return r.template;
refuse:
    free(r.template);
    return NULL;
}

void uri_template_free(struct uri_template *uri_template)
{
    free(uri_template);
}

bool uri_template_has_variable(const struct uri_template *uri_template, struct bytes name)
{
    for (size_t i = 0; i < uri_template->count; i++) {
        const struct uri_node *node = &uri_template->nodes[i];
        if (node->op != NULL && bytes_equal(node->text, name))
            return true;
    }
    return false;
}
