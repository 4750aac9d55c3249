/* SPDX-License-Identifier: MIT */
/*
 * The parser: one pass over the text, no recursion. The nodes of containers that
 * are still open are linked through their `span`, which is not needed before
 * they are closed, so that the nodes are the only stack there is.
 */
#include <stdarg.h>
#include <stdio.h>

#include "base/utf8.h"
#include "json/json.h"
#include "json/json_names.h"
#include "json/json_text.h"

const struct json_limits json_default_limits = {
    .max_size = (size_t)64 << 20, .max_depth = 128, .max_nodes = 4000000};

#define NO_NODE UINT32_MAX /* what the outermost value is inside of */
#define FIRST_NODES 1024 /* at most so many to begin with */

struct parser {
    const char *begin, *end;
    const char *at; /* the next byte to look at */
    struct json_node *nodes;
    uint32_t used, capacity;
    uint32_t open; /* the innermost open container */
    uint32_t depth;
    bool in_object; /* the innermost open container is an object */
    bool failed;
    uint32_t repeated; /* the first name that was there before */
    const struct json_limits *limits;
    struct arena *arena;
    struct json_names names;
    struct json_error *err; /* may be NULL */
};

enum step {
    FAILED,
    VALUE_DONE, /* behind a value */
    NEXT_VALUE, /* in front of an element or, in an object, of a name */
    TEXT_DONE
};

/* ---- refusing ---- */

static void place(struct bytes text, size_t offset, unsigned *line, unsigned *column)
{
    *line = 1;
    *column = 1;
    for (size_t i = 0; i < offset && i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c == '\n') {
            ++*line;
            *column = 1;
        } else if ((c & 0xc0) != 0x80) { /* counts characters by their first bytes */
            ++*column;
        }
    }
}

/* The first reason stays. */
static bool __attribute__((cold, format(printf, 4, 5)))
refuse(struct parser *p, enum json_refusal kind, const char *at, const char *format, ...)
{
    if (p->failed)
        return false;
    p->failed = true;
    if (p->err == NULL)
        return false;
    p->err->kind = kind;
    p->err->offset = (size_t)(at - p->begin);
    place((struct bytes){p->begin, (size_t)(p->end - p->begin)}, p->err->offset, &p->err->line,
          &p->err->column);
    va_list args;
    va_start(args, format);
    vsnprintf(p->err->text, sizeof(p->err->text), format, args);
    va_end(args);
    return false;
}

static bool __attribute__((cold)) expected(struct parser *p, const char *what)
{
    if (p->at == p->end)
        return refuse(p, JSON_SYNTAX, p->at, "expected %s, found the end of the text", what);
    unsigned char c = (unsigned char)*p->at;
    if (c > ' ' && c < 0x7f)
        return refuse(p, JSON_SYNTAX, p->at, "expected %s, found '%c'", what, c);
    if (c < 0x80)
        return refuse(p, JSON_SYNTAX, p->at, "expected %s, found the control character 0x%02x",
                      what, c);
    return refuse(p, JSON_SYNTAX, p->at, "expected %s, found a character that is not ASCII", what);
}

/* ---- between tokens ---- */

/* At a '/': skips one comment. False when there is none, or it has no end. */
static bool skip_comment(struct parser *p)
{
    const char *s = p->at + 1;
    if (!p->limits->comments || s == p->end)
        return false;
    if (*s == '/') {
        const char *newline = memchr(s, '\n', (size_t)(p->end - s));
        p->at = newline != NULL ? newline : p->end;
    } else if (*s == '*') {
        const char *close = memmem(s + 1, (size_t)(p->end - s) - 1, "*/", 2);
        if (close == NULL)
            return refuse(p, JSON_SYNTAX, p->at, "the comment that begins here has no end");
        p->at = close + 2;
    } else {
        return false;
    }
    /* Comments, too, are text that editors and logs have to show. */
    struct bytes comment = {s, (size_t)(p->at - s)};
    size_t valid = utf8_valid_prefix(comment);
    if (valid < comment.size)
        return refuse(p, JSON_SYNTAX, s + valid, "invalid UTF-8 in a comment");
    return true;
}

static inline bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static void __attribute__((noinline)) skip_some_space(struct parser *p)
{
    do {
        while (p->at < p->end && is_space(*p->at))
            p->at++;
    } while (p->at < p->end && *p->at == '/' && skip_comment(p));
}

/* Mostly there is none: clients send compact texts. */
static inline void skip_space(struct parser *p)
{
    if (p->at < p->end && ((unsigned char)*p->at <= ' ' || *p->at == '/'))
        skip_some_space(p);
}

/* ---- nodes ---- */

static bool __attribute__((cold)) grow_nodes(struct parser *p)
{
    if (p->used >= p->limits->max_nodes)
        return refuse(p, JSON_LIMIT, p->at, "more than %u values and names", p->limits->max_nodes);
    size_t capacity = (size_t)p->capacity * 2;
    if (p->capacity == 0) {
        capacity = (size_t)(p->end - p->begin) / 4 + 8;
        if (capacity > FIRST_NODES)
            capacity = FIRST_NODES;
    }
    if (capacity > p->limits->max_nodes)
        capacity = p->limits->max_nodes;
    struct json_node *nodes =
        arena_resize(p->arena, p->nodes, p->capacity * sizeof(*nodes), capacity * sizeof(*nodes));
    if (nodes == NULL)
        return refuse(p, JSON_MEMORY, p->at, "out of memory");
    p->nodes = nodes;
    p->capacity = (uint32_t)capacity;
    return true;
}

/* Adds a node for what stands between `start` and p->at. */
static inline struct json_node *add_node(struct parser *p, enum json_type type, const char *start)
{
    if (p->used == p->capacity && !grow_nodes(p))
        return NULL;
    struct json_node *node = &p->nodes[p->used++];
    *node = (struct json_node){.start = (uint32_t)(start - p->begin),
                               .end = (uint32_t)(p->at - p->begin),
                               .span = 1,
                               .type = (uint8_t)type};
    return node;
}

/* ---- strings ---- */

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* True when the text at `s` goes on with \uXXXX. */
static bool is_unicode_escape(const struct parser *p, const char *s)
{
    return p->end - s >= 6 && s[0] == '\\' && s[1] == 'u' && is_hex(s[2]) && is_hex(s[3]) &&
           is_hex(s[4]) && is_hex(s[5]);
}

/* True when the third digit of the escape at `s` is at least C: of DC00 to DFFF, the
 * second halves of pairs. Only for escapes that begin with D8 to DF. */
static bool is_low_surrogate(const char *s)
{
    return s[3] != '8' && s[3] != '9' && s[3] != 'a' && s[3] != 'A' && s[3] != 'b' && s[3] != 'B';
}

static bool is_surrogate(const char *s)
{
    return (s[2] == 'd' || s[2] == 'D') && s[3] >= '8';
}

/* The length of the escape at `s`, a pair of surrogates being one; 0: refused. */
static size_t escape_length(struct parser *p, const char *s)
{
    if (p->end - s < 2)
        return refuse(p, JSON_SYNTAX, p->end, "the text ends inside a string");
    if (s[1] != 'u') {
        if (s[1] != '\0' && strchr("\"\\/bfnrt", s[1]) != NULL)
            return 2;
        return refuse(p, JSON_SYNTAX, s, "illegal escape in a string");
    }
    if (!is_unicode_escape(p, s))
        return refuse(p, JSON_SYNTAX, s, "\\u must be followed by four hexadecimal digits");
    if (!is_surrogate(s))
        return 6;
    if (!is_low_surrogate(s) && is_unicode_escape(p, s + 6) && is_surrogate(s + 6) &&
        is_low_surrogate(s + 6))
        return 12;
    return refuse(p, JSON_SYNTAX, s, "half of a surrogate pair stands alone");
}

/* At a character that does not stand for itself in ASCII: moves over it, or over
 * all that follow without ASCII between them. */
static bool skip_special(struct parser *p, bool *escaped)
{
    unsigned char c = (unsigned char)*p->at;
    if (c >= 0x80) {
        struct bytes rest = {p->at, (size_t)(p->end - p->at)};
        size_t size = utf8_multibyte_prefix(rest);
        if (size == 0)
            return refuse(p, JSON_SYNTAX, p->at, "invalid UTF-8 in a string");
        p->at += size;
        return true;
    }
    if (c == '\\') {
        size_t size = escape_length(p, p->at);
        p->at += size;
        *escaped = true;
        return size > 0;
    }
    return refuse(p, JSON_SYNTAX, p->at, "a control character (0x%02x) in a string must be escaped",
                  c);
}

/* At an opening quote: moves behind the closing one and adds the node. */
static bool scan_string(struct parser *p)
{
    const char *start = p->at++;
    bool escaped = false;
    for (;;) {
        p->at += json_plain_prefix(p->at, (size_t)(p->end - p->at));
        if (p->at == p->end)
            return refuse(p, JSON_SYNTAX, start, "the string that begins here has no end");
        if (*p->at == '"')
            break;
        if (!skip_special(p, &escaped))
            return false;
    }
    p->at++;
    struct json_node *node = add_node(p, JSON_STRING, start);
    if (node == NULL)
        return false;
    node->escaped = escaped;
    return true;
}

/* ---- other scalars ---- */

/* Skips at least one digit. */
static bool scan_digits(struct parser *p)
{
    const char *start = p->at;
    while (p->at < p->end && *p->at >= '0' && *p->at <= '9')
        p->at++;
    return p->at > start || expected(p, "a digit");
}

static bool scan_number(struct parser *p)
{
    const char *start = p->at;
    if (*p->at == '-')
        p->at++;
    const char *digits = p->at;
    if (!scan_digits(p))
        return false;
    if (*digits == '0' && p->at - digits > 1)
        return refuse(p, JSON_SYNTAX, digits, "a number must not begin with 0");
    if (p->at < p->end && *p->at == '.') {
        p->at++;
        if (!scan_digits(p))
            return false;
    }
    if (p->at < p->end && (*p->at == 'e' || *p->at == 'E')) {
        p->at++;
        if (p->at < p->end && (*p->at == '+' || *p->at == '-'))
            p->at++;
        if (!scan_digits(p))
            return false;
    }
    return add_node(p, JSON_NUMBER, start) != NULL;
}

static bool scan_word(struct parser *p, const char *word, enum json_type type)
{
    const char *start = p->at;
    size_t size = strlen(word);
    if ((size_t)(p->end - start) < size || memcmp(start, word, size) != 0)
        return expected(p, "a value");
    p->at += size;
    return add_node(p, type, start) != NULL;
}

/* ---- containers ---- */

static bool close_container(struct parser *p)
{
    struct json_node *node = &p->nodes[p->open];
    uint32_t parent = node->span;
    node->span = p->used - p->open;
    node->end = (uint32_t)(p->at - p->begin);
    if (node->type == JSON_OBJECT && node->count > 1) {
        const struct json_node *repeated;
        if (!json_names_check(&p->names, p->begin, node, &repeated))
            return refuse(p, JSON_MEMORY, p->at, "out of memory");
        if (repeated != NULL && p->repeated == NO_NODE)
            p->repeated = (uint32_t)(repeated - p->nodes);
    }
    p->open = parent;
    p->in_object = parent != NO_NODE && p->nodes[parent].type == JSON_OBJECT;
    p->depth--;
    return true;
}

static enum step open_container(struct parser *p, enum json_type type)
{
    if (p->depth == p->limits->max_depth) {
        refuse(p, JSON_LIMIT, p->at, "nested more than %u deep", p->limits->max_depth);
        return FAILED;
    }
    struct json_node *node = add_node(p, type, p->at);
    if (node == NULL)
        return FAILED;
    node->span = p->open;
    p->open = p->used - 1;
    p->depth++;
    p->in_object = type == JSON_OBJECT;
    p->at++;
    skip_space(p);
    if (p->at == p->end || *p->at != (p->in_object ? '}' : ']'))
        return NEXT_VALUE;
    p->at++;
    return close_container(p) ? VALUE_DONE : FAILED;
}

static bool scan_name(struct parser *p)
{
    if (p->at == p->end || *p->at != '"')
        return expected(p, "a member name in quotes");
    if (!scan_string(p))
        return false;
    skip_space(p);
    if (p->at == p->end || *p->at != ':')
        return expected(p, "':' after a member name");
    p->at++;
    skip_space(p);
    return true;
}

static enum step scan_value(struct parser *p)
{
    char c = p->at < p->end ? *p->at : '\0';
    bool done;
    if (c == '{' || c == '[')
        return open_container(p, c == '{' ? JSON_OBJECT : JSON_ARRAY);
    if (c == '"')
        done = scan_string(p);
    else if (c == '-' || (c >= '0' && c <= '9'))
        done = scan_number(p);
    else if (c == 't')
        done = scan_word(p, "true", JSON_TRUE);
    else if (c == 'f')
        done = scan_word(p, "false", JSON_FALSE);
    else if (c == 'n')
        done = scan_word(p, "null", JSON_NULL);
    else
        done = expected(p, "a value");
    return done ? VALUE_DONE : FAILED;
}

/* Behind a value: on to the next one, out of every container that ends here. */
static enum step after_value(struct parser *p)
{
    while (p->open != NO_NODE) {
        p->nodes[p->open].count++;
        skip_space(p);
        char c = p->at < p->end ? *p->at : '\0';
        if (c == ',') {
            p->at++;
            skip_space(p);
            return NEXT_VALUE;
        }
        if (c != (p->in_object ? '}' : ']')) {
            expected(p, p->in_object ? "',' or '}' after a member" : "',' or ']' after an element");
            return FAILED;
        }
        p->at++;
        if (!close_container(p))
            return FAILED;
    }
    return TEXT_DONE;
}

static bool scan_text(struct parser *p)
{
    skip_space(p);
    for (;;) {
        enum step step = scan_value(p);
        if (step == VALUE_DONE)
            step = after_value(p);
        if (step == FAILED)
            return false;
        if (step == TEXT_DONE)
            break;
        if (p->in_object && !scan_name(p))
            return false;
    }
    skip_space(p);
    if (p->at < p->end)
        return expected(p, "the end of the text after the value");
    return !p->failed;
}

/* ---- the whole ---- */

static bool refuse_repeated(struct parser *p)
{
    struct bytes name = json_inner(p->begin, &p->nodes[p->repeated]);
    if (name.size > 64) {
        name.size = 64;
        name.size = utf8_valid_prefix(name);
    }
    return refuse(p, JSON_REPEATED, p->begin + p->nodes[p->repeated].start,
                  "the member name \"%.*s\" occurs twice in an object", BYTES_FMT(name));
}

/* What can be told without reading. */
static bool check_start(struct parser *p, struct bytes text)
{
    if (text.size > p->limits->max_size || text.size >= UINT32_MAX)
        return refuse(p, JSON_LIMIT, p->begin, "larger than %zu bytes",
                      p->limits->max_size < UINT32_MAX ? p->limits->max_size
                                                       : (size_t)UINT32_MAX - 1);
    if (text.size >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0)
        return refuse(p, JSON_SYNTAX, p->begin, "a byte order mark is not allowed");
    return true;
}

bool json_parse(struct json *json, struct bytes text, const struct json_limits *limits,
                struct arena *arena, struct json_error *err)
{
    if (text.data == NULL)
        text = BYTES("");
    struct parser p = {.begin = text.data,
                       .at = text.data,
                       .end = text.data + text.size,
                       .open = NO_NODE,
                       .repeated = NO_NODE,
                       .limits = limits,
                       .arena = arena,
                       .err = err};
    *json = (struct json){0};

    bool accepted = check_start(&p, text) && scan_text(&p);
    if (accepted && p.repeated != NO_NODE && !limits->duplicates)
        accepted = refuse_repeated(&p);
    json_names_free(&p.names);

    /* Gives back what was reserved in vain. */
    uint32_t kept = accepted ? p.used : 0;
    if (p.nodes != NULL)
        arena_resize(arena, p.nodes, p.capacity * sizeof(*p.nodes), kept * sizeof(*p.nodes));
    if (!accepted)
        return false;
    *json = (struct json){
        .text = text, .root = p.nodes, .nodes = p.used, .repeated = p.repeated != NO_NODE};
    return true;
}

bool json_check(struct bytes text, const struct json_limits *limits, struct json_error *err)
{
    struct json json;
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    bool accepted = json_parse(&json, text, limits, &arena, err);
    arena_free(&arena);
    return accepted;
}

void json_place(const struct json *json, size_t offset, unsigned *line, unsigned *column)
{
    place(json->text, offset, line, column);
}
