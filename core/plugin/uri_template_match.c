/* SPDX-License-Identifier: MIT */
/*
 * Reading a URI backwards through a template: a search with backtracking that
 * remembers where it failed, so that it does nothing twice, and counts its
 * steps, so that nobody can keep it busy. Variables are tried longest first.
 *
 * The URI is brought to canonical form first and divided into units: a
 * character, or the percent-encodings that make one character together.
 */
#include <stdlib.h>

#include "base/utf8.h"
#include "json/json.h"
#include "plugin/uri_template_private.h"

/* A few milliseconds at most. */
#define STEPS_MAX (1u << 16)
#define BROKEN 0x80 /* a unit that is no UTF-8, and so part of no value */
#define UNIT_SIZE 0x7f

struct binding {
    uint16_t start, end; /* in the canonical URI */
    bool bound;
};

struct matching {
    const struct uri_template *template;
    const char *uri;
    size_t size;
    bool lenient;
    unsigned steps;
    unsigned char *failed; /* a bit for each variable, `any` and place; NULL: none yet */
    struct binding bindings[URI_VARIABLES_MAX];
    unsigned char units[URI_CANONICAL_MAX + 1]; /* size of the unit that begins here; 0: none */
};

/* ---- units ---- */

static int hex_value(char c)
{
    return c <= '9' ? c - '0' : c - 'A' + 10;
}

static unsigned char decode_byte(const char *triplet)
{
    return (unsigned char)(hex_value(triplet[1]) << 4 | hex_value(triplet[2]));
}

/* The percent-encodings at `at` that are one character. */
static unsigned char encoded_unit(const struct matching *m, size_t at)
{
    char bytes[4];
    size_t expected, count = 0;
    unsigned char lead = decode_byte(m->uri + at);

    expected = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    while (count < expected && at < m->size && m->uri[at] == '%') {
        bytes[count++] = (char)decode_byte(m->uri + at);
        at += 3;
    }
    if (count < expected || !utf8_valid((struct bytes){bytes, count}))
        return BROKEN | 3;
    return (unsigned char)(count * 3);
}

static void find_units(struct matching *m)
{
    memset(m->units, 0, m->size + 1);
    for (size_t at = 0; at < m->size;) {
        m->units[at] = m->uri[at] == '%' ? encoded_unit(m, at) : 1;
        at += m->units[at] & UNIT_SIZE;
    }
    m->units[m->size] = BROKEN; /* a place to stop at, and not to go on from */
}

/* ---- values ---- */

static bool one_of(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

/* Whether a character may stand, as it is, where the value of this variable is. */
static bool may_hold(const struct matching *m, const struct uri_node *node, char c)
{
    const struct uri_operator *op = node->op;

    if (c == op->separator && (node->explode || node->shared))
        return node->explode;
    if (c == '%' || uri_is_unreserved(c))
        return true;
    if (op->reserved)
        return one_of(c, ":/?#[]@!$&'()*+,;=");
    if (c == ',' && !node->explode)
        return true; /* a list */
    if (c == '=' && node->explode)
        return true; /* a pair */
    if (!m->lenient || c == op->separator)
        return false;
    return one_of(c, ":@!$&'()*+,;=") || (op->equals && one_of(c, "/?"));
}

/* Where a value that begins at `start` ends at the latest. */
static size_t longest(const struct matching *m, const struct uri_node *node, size_t start)
{
    size_t end = start;

    for (unsigned count = 0; node->max == 0 || count < node->max; count++) {
        unsigned char unit = m->units[end];
        if (unit == 0 || (unit & BROKEN) != 0 || !may_hold(m, node, m->uri[end]))
            break;
        end += unit;
    }
    return end;
}

/* What stands before a value: the operator's sign and the name. Sets where the
 * value begins, and where it ends at the earliest and at the latest. */
static bool find_value(const struct matching *m, const struct uri_node *node, bool any, size_t at,
                       struct binding *earliest, size_t *latest)
{
    char lead = any ? node->op->separator : node->op->first;
    bool empty = false;

    if (lead != '\0' && (at == m->size || m->uri[at++] != lead))
        return false;
    if (node->op->named && !node->explode) {
        if (m->size - at < node->text.size ||
            memcmp(m->uri + at, node->text.data, node->text.size) != 0)
            return false;
        at += node->text.size;
        bool equals = at < m->size && m->uri[at] == '=';
        if (!equals && node->op->equals)
            return false;
        empty = !equals;
        at += equals;
    }
    *latest = empty ? at : longest(m, node, at);
    bool needs_some = node->op->named && (node->explode || (!empty && !node->op->equals));
    if (needs_some && *latest == at)
        return false;
    *earliest = (struct binding){
        (uint16_t)at, (uint16_t)(needs_some ? at + (m->units[at] & UNIT_SIZE) : at), true};
    return true;
}

/* ---- the search ---- */

static bool match_from(struct matching *m, size_t node, bool any, size_t at);

static bool has_failed(struct matching *m, const struct uri_node *node, bool any, size_t at,
                       bool now)
{
    size_t places = m->size + 1;
    size_t bit = (node->variable * (size_t)2 + any) * places + at;

    if (m->failed == NULL && now)
        m->failed = calloc(m->template->variables * (size_t)2 * places / 8 + 1, 1);
    if (m->failed == NULL)
        return false;
    if (now)
        m->failed[bit / 8] |= (unsigned char)(1u << bit % 8);
    return (m->failed[bit / 8] >> bit % 8 & 1) != 0;
}

static bool match_bound(struct matching *m, size_t index, bool any, size_t at)
{
    const struct uri_node *node = &m->template->nodes[index];
    struct binding binding;
    size_t end;

    if (!find_value(m, node, any, at, &binding, &end))
        return false;
    for (;; end--) {
        bool boundary = m->units[end] != 0 && end > at;
        if (boundary && match_from(m, index + 1, !node->last, end)) {
            binding.end = (uint16_t)end;
            m->bindings[node->variable] = binding;
            return true;
        }
        if (end == binding.end || m->steps == 0)
            return false;
    }
}

static bool match_variable(struct matching *m, size_t index, bool any, size_t at)
{
    const struct uri_node *node = &m->template->nodes[index];

    if (has_failed(m, node, any, at, false))
        return false;
    if (match_bound(m, index, any, at))
        return true;
    /* It has no value. */
    m->bindings[node->variable] = (struct binding){.bound = false};
    if (match_from(m, index + 1, node->last ? false : any, at))
        return true;
    /* Or it is empty, and does not show but by the separator behind it. */
    bool shows = any || node->op->first != '\0';
    if (!shows && !node->last && match_from(m, index + 1, true, at)) {
        m->bindings[node->variable] = (struct binding){(uint16_t)at, (uint16_t)at, true};
        return true;
    }
    has_failed(m, node, any, at, true);
    return false;
}

/* Whether what is left of the URI comes from what is left of the template; `any`:
 * a variable of the same expression has a value already. */
static bool match_from(struct matching *m, size_t index, bool any, size_t at)
{
    if (m->steps == 0)
        return false;
    m->steps--;
    if (index == m->template->count)
        return at == m->size;
    const struct uri_node *node = &m->template->nodes[index];
    if (node->op != NULL)
        return match_variable(m, index, any, at);
    return m->size - at >= node->text.size &&
           memcmp(m->uri + at, node->text.data, node->text.size) == 0 &&
           match_from(m, index + 1, false, at + node->text.size);
}

/* ---- the values, decoded ---- */

/* Decodes into out, which has room for `text`. */
static struct bytes decode(struct bytes text, char *out)
{
    size_t size = 0;

    for (size_t i = 0; i < text.size; i++) {
        out[size++] = text.data[i] == '%' ? (char)decode_byte(text.data + i) : text.data[i];
        i += text.data[i] == '%' ? 2 : 0;
    }
    return (struct bytes){out, size};
}

static void write_decoded(struct buf *out, struct bytes text)
{
    char plain[URI_CANONICAL_MAX];

    json_write_string(out, decode(text, plain));
}

/* One element of an exploded value: name and value, where it has a name. */
struct item {
    struct bytes name, value; /* name.data NULL: it has none */
};

static struct bytes bound_text(const struct matching *m, const struct uri_node *node)
{
    const struct binding *b = &m->bindings[node->variable];

    return (struct bytes){m->uri + b->start, (size_t)b->end - b->start};
}

/* The item at *at; moves behind it and its separator. False: there is none left. */
static bool next_item(struct bytes text, char separator, size_t *at, struct item *item)
{
    if (*at > text.size)
        return false;
    const char *from = text.data + *at;
    size_t left = text.size - *at;
    const char *end = memchr(from, separator, left);
    size_t size = end != NULL ? (size_t)(end - from) : left;
    const char *equals = memchr(from, '=', size);

    *item = (struct item){.value = {from, size}};
    if (equals != NULL) {
        item->name = (struct bytes){from, (size_t)(equals - from)};
        item->value = (struct bytes){equals + 1, size - item->name.size - 1};
    }
    *at += size + 1;
    return true;
}

static struct bytes item_name(const struct item *item)
{
    return item->name.data == NULL ? item->value : item->name;
}

/* What an exploded value looks like. */
struct shape {
    size_t count, with_name, named_like_it;
};

static struct shape look(const struct uri_node *node, struct bytes text)
{
    struct shape shape = {0};
    struct item item;

    for (size_t at = 0; next_item(text, node->op->separator, &at, &item); shape.count++) {
        shape.with_name += item.name.data != NULL && item.name.size > 0;
        shape.named_like_it += bytes_equal(item_name(&item), node->text);
    }
    return shape;
}

/* An object may have each name once, however it is encoded. */
static bool repeats_a_name(const struct uri_node *node, struct bytes text)
{
    char a[URI_CANONICAL_MAX], b[URI_CANONICAL_MAX];
    struct item item, earlier;

    for (size_t at = 0, next = 0; next_item(text, node->op->separator, &next, &item); at = next) {
        struct bytes name = decode(item_name(&item), a);
        for (size_t k = 0; k < at;) {
            next_item(text, node->op->separator, &k, &earlier);
            if (bytes_equal(decode(item_name(&earlier), b), name))
                return true;
        }
    }
    return false;
}

/* A pair without "=" is legal only where an empty value loses it. */
static bool pairs_are_legal(const struct uri_node *node, struct bytes text)
{
    struct item item;

    for (size_t at = 0; next_item(text, node->op->separator, &at, &item);) {
        bool equals = item.name.data != NULL;
        if (equals ? item.name.size == 0 : item.value.size == 0)
            return false;
        if (node->op->named &&
            (equals ? !node->op->equals && item.value.size == 0 : node->op->equals))
            return false;
    }
    return true;
}

static void write_items(struct buf *out, const struct uri_node *node, struct bytes text,
                        bool object)
{
    struct item item;
    size_t at = 0;

    buf_add_char(out, object ? '{' : '[');
    for (bool comma = false; next_item(text, node->op->separator, &at, &item); comma = true) {
        bool bare = node->op->named && item.name.data == NULL; /* ";name" */
        if (comma)
            buf_add_char(out, ',');
        if (object) {
            write_decoded(out, bare ? item.value : item.name);
            buf_add_char(out, ':');
        }
        if (bare)
            BUF_LIT(out, "\"\"");
        else if (!object && !node->op->named && item.name.data != NULL)
            write_decoded(out,
                          (struct bytes){item.name.data, item.name.size + 1 + item.value.size});
        else
            write_decoded(out, item.value);
    }
    buf_add_char(out, object ? '}' : ']');
}

/* False: no list and no pairs look like this. */
static bool write_exploded(struct buf *out, const struct uri_node *node, struct bytes text)
{
    struct shape shape = look(node, text);
    bool object;

    if (node->op->named) {
        if (!pairs_are_legal(node, text))
            return false;
        object = shape.named_like_it < shape.count;
    } else {
        object = shape.with_name == shape.count;
        if (!object && shape.with_name > 0 && !node->op->reserved)
            return false;
    }
    if (object && repeats_a_name(node, text)) {
        if (!node->op->reserved)
            return false;
        object = false; /* a list of what happens to have "=" in it */
    }
    write_items(out, node, text, object);
    return true;
}

/* ---- the result ---- */

/* The first characters of a text. */
static struct bytes cut(struct bytes text, uint16_t characters)
{
    size_t size = 0;

    for (; characters > 0 && size < text.size; characters--)
        for (size++; size < text.size && ((unsigned char)text.data[size] & 0xc0) == 0x80;)
            size++;
    return (struct bytes){text.data, size};
}

/* Whether two places where the same variable stands say the same of it: one may
 * be a prefix of the other, if that is what it asks for. */
static bool agree(const struct matching *m, const struct uri_node *a, const struct uri_node *b)
{
    char plain_a[URI_CANONICAL_MAX], plain_b[URI_CANONICAL_MAX];
    struct bytes value_a = bound_text(m, a), value_b = bound_text(m, b);

    if (a->explode || b->explode)
        return a->explode != b->explode || bytes_equal(value_a, value_b);
    value_a = decode(value_a, plain_a);
    value_b = decode(value_b, plain_b);
    if (a->max != 0)
        value_b = cut(value_b, a->max);
    if (b->max != 0)
        value_a = cut(value_a, b->max);
    return bytes_equal(value_a, value_b);
}

/* Where a variable stands in several places, the one that says most of it; NULL:
 * it is not this one. */
static bool says_most(const struct matching *m, const struct uri_node *node, bool *consistent)
{
    const struct uri_template *t = m->template;

    for (size_t i = 0; i < t->count; i++) {
        const struct uri_node *other = &t->nodes[i];
        if (other == node || other->op == NULL || !bytes_equal(other->text, node->text))
            continue;
        if (!agree(m, node, other))
            *consistent = false;
        size_t mine = bound_text(m, node).size, theirs = bound_text(m, other).size;
        bool bound = m->bindings[other->variable].bound;
        if (bound && (theirs > mine || (theirs == mine && other < node)))
            return false;
    }
    return true;
}

static bool write_variables(const struct matching *m, struct buf *out)
{
    bool comma = false, consistent = true;

    BUF_LIT(out, "{");
    for (size_t i = 0; i < m->template->count; i++) {
        const struct uri_node *node = &m->template->nodes[i];
        if (node->op == NULL || !m->bindings[node->variable].bound ||
            !says_most(m, node, &consistent))
            continue;
        if (comma)
            BUF_LIT(out, ",");
        comma = true;
        json_write_string(out, node->text);
        BUF_LIT(out, ":");
        if (!node->explode)
            write_decoded(out, bound_text(m, node));
        else if (!write_exploded(out, node, bound_text(m, node)))
            return false;
    }
    BUF_LIT(out, "}");
    return consistent;
}

static bool match(struct matching *m, bool lenient, struct buf *variables)
{
    struct buf out;

    m->lenient = lenient;
    m->steps = STEPS_MAX;
    bool matches = match_from(m, 0, false, 0);
    free(m->failed);
    m->failed = NULL;
    if (!matches)
        return false;
    buf_init(&out, (size_t)1 << 20);
    matches = write_variables(m, &out);
    if (matches)
        buf_add_bytes(variables, buf_bytes(&out));
    if (out.failed)
        variables->failed = true;
    buf_free(&out);
    return matches;
}

bool uri_template_match(const struct uri_template *uri_template, struct bytes uri,
                        struct buf *variables)
{
    const struct uri_node *first = &uri_template->nodes[0];
    char text[URI_CANONICAL_MAX];
    struct matching m;

    if (uri.size > URI_MAX)
        return false;
    m.size = uri_canonical(uri, text, sizeof text);
    if (m.size == SIZE_MAX ||
        (first->op == NULL &&
         (m.size < first->text.size || memcmp(text, first->text.data, first->text.size) != 0)))
        return false;
    m.template = uri_template;
    m.uri = text;
    m.failed = NULL;
    memset(m.bindings, 0, sizeof m.bindings);
    find_units(&m);
    return match(&m, false, variables) || match(&m, true, variables);
}
