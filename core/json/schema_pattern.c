/* SPDX-License-Identifier: MIT */
/*
 * Regular expressions as ECMA-262 writes them (with the flag u), on PCRE2. What
 * the two spell differently is translated first. What only PCRE2 knows, such as
 * \A and (?i), is let through: schemas made from other languages have it.
 *
 * A pattern is somebody else's program. Each match is bounded in its steps, and
 * all matches of a validation together in time.
 */
#include <stdlib.h>

#ifndef PCRE2_CODE_UNIT_WIDTH
#define PCRE2_CODE_UNIT_WIDTH 8
#endif
#include <pcre2.h>

#include "base/clock.h"
#include "json/schema_internal.h"

#define MAX_PATTERN 65536 /* bytes of its text */
#define MAX_TIME (500 * NS_PER_MS) /* of all matches of one validation */
#define MAX_STEPS 1000000
#define MIN_STEPS 1000
#define MAX_HEAP_KIB 16384
#define FIRST_WINDOW 16
#define WINDOW_TIME (20 * NS_PER_MS) /* a window that takes less is made larger */

struct pattern {
    pcre2_code *code;
    bool anchored; /* can only match at the start */
    size_t text_size;
    char text[];
};

/* ---- translation ---- */

struct translation {
    struct bytes text;
    size_t at;
    struct buf out;
    struct error *err;
};

/* White space and its complement, to stand in a class. */
#define SPACE                                                                                      \
    "\\t\\n\\x{b}\\f\\r \\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}"                     \
    "\\x{202f}\\x{205f}\\x{3000}\\x{feff}"
#define NO_SPACE                                                                                   \
    "\\x{0}-\\x{8}\\x{e}-\\x{1f}!-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}"                     \
    "\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}"                 \
    "\\x{3001}-\\x{fefe}\\x{ff00}-\\x{10ffff}"

/* Unicode's general categories by their long names; PCRE2 knows the short ones. */
static const char *const categories[][2] = {{"Cased_Letter", "L&"},
                                            {"Close_Punctuation", "Pe"},
                                            {"Connector_Punctuation", "Pc"},
                                            {"Control", "Cc"},
                                            {"cntrl", "Cc"},
                                            {"Currency_Symbol", "Sc"},
                                            {"Dash_Punctuation", "Pd"},
                                            {"Decimal_Number", "Nd"},
                                            {"digit", "Nd"},
                                            {"Enclosing_Mark", "Me"},
                                            {"Final_Punctuation", "Pf"},
                                            {"Format", "Cf"},
                                            {"Initial_Punctuation", "Pi"},
                                            {"LC", "L&"},
                                            {"Letter", "L"},
                                            {"Letter_Number", "Nl"},
                                            {"Line_Separator", "Zl"},
                                            {"Lowercase_Letter", "Ll"},
                                            {"Mark", "M"},
                                            {"Combining_Mark", "M"},
                                            {"Math_Symbol", "Sm"},
                                            {"Modifier_Letter", "Lm"},
                                            {"Modifier_Symbol", "Sk"},
                                            {"Nonspacing_Mark", "Mn"},
                                            {"Number", "N"},
                                            {"Open_Punctuation", "Ps"},
                                            {"Other", "C"},
                                            {"Other_Letter", "Lo"},
                                            {"Other_Number", "No"},
                                            {"Other_Punctuation", "Po"},
                                            {"Other_Symbol", "So"},
                                            {"Paragraph_Separator", "Zp"},
                                            {"Private_Use", "Co"},
                                            {"Punctuation", "P"},
                                            {"punct", "P"},
                                            {"Separator", "Z"},
                                            {"Space_Separator", "Zs"},
                                            {"Spacing_Mark", "Mc"},
                                            {"Surrogate", "Cs"},
                                            {"Symbol", "S"},
                                            {"Titlecase_Letter", "Lt"},
                                            {"Unassigned", "Cn"},
                                            {"Uppercase_Letter", "Lu"}};

static int peek(const struct translation *t, size_t ahead)
{
    return t->at + ahead < t->text.size ? (unsigned char)t->text.data[t->at + ahead] : -1;
}

static int hex(int c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* `digits` hexadecimal digits, `ahead` bytes from here; -1 when they are not. */
static int32_t hex_at(const struct translation *t, size_t ahead, int digits)
{
    int32_t value = 0;
    for (int i = 0; i < digits; i++) {
        int digit = hex(peek(t, ahead + (size_t)i));
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

static bool add_code_point(struct translation *t, int64_t code_point)
{
    if (code_point > 0x10ffff || (code_point >= 0xd800 && code_point <= 0xdfff))
        return error_set(t->err, "\\x%llx is no character", (unsigned long long)code_point);
    buf_addf(&t->out, "\\x{%llx}", (unsigned long long)code_point);
    return true;
}

/* \u{1F432}, \u00e9, or a pair of surrogates; `at` is at the u. */
static bool translate_u(struct translation *t)
{
    if (peek(t, 1) == '{') {
        int64_t value = 0;
        size_t ahead = 2;
        for (int digit; (digit = hex(peek(t, ahead))) >= 0; ahead++)
            value = value < 0x110000 ? value * 16 + digit : value;
        if (peek(t, ahead) != '}' || ahead == 2)
            return error_set(t->err, "\"\\u{\" is not followed by hexadecimal digits and \"}\"");
        t->at += ahead + 1;
        return add_code_point(t, value);
    }
    int32_t unit = hex_at(t, 1, 4);
    if (unit < 0)
        return error_set(t->err, "\"\\u\" is not followed by four hexadecimal digits");
    t->at += 5;
    int32_t low = peek(t, 0) == '\\' && peek(t, 1) == 'u' ? hex_at(t, 2, 4) : -1;
    if (unit >= 0xd800 && unit < 0xdc00 && low >= 0xdc00 && low < 0xe000) {
        t->at += 6;
        unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
    }
    return add_code_point(t, unit);
}

static bool translate_x(struct translation *t)
{
    int32_t value = hex_at(t, 1, 2);
    if (value < 0)
        return error_set(t->err, "\"\\x\" is not followed by two hexadecimal digits");
    t->at += 3;
    return add_code_point(t, value);
}

/* \p{Letter}, \p{gc=Lu}, \p{Script=Greek}; `at` is at the p. */
static bool translate_property(struct translation *t)
{
    char kind = t->text.data[t->at];
    const char *name = t->text.data + t->at + 2;
    const char *close = peek(t, 1) == '{' ? memchr(name, '}', t->text.size - t->at - 2) : NULL;
    if (close == NULL)
        return error_set(t->err, "\"\\%c\" is not followed by a property in braces", kind);
    struct bytes value = {name, (size_t)(close - name)};
    t->at += value.size + 3;
    static const struct {
        const char *prefix, *pcre2;
    } kinds[] = {
        {"General_Category=", ""},      {"gc=", ""},     {"Script=", "sc:"}, {"sc=", "sc:"},
        {"Script_Extensions=", "scx:"}, {"scx=", "scx:"}};
    const char *prefix = "";
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t size = strlen(kinds[i].prefix);
        if (value.size > size && memcmp(value.data, kinds[i].prefix, size) == 0) {
            prefix = kinds[i].pcre2;
            value = (struct bytes){value.data + size, value.size - size};
            break;
        }
    }
    for (size_t i = 0; i < sizeof(categories) / sizeof(categories[0]) && *prefix == '\0'; i++) {
        if (bytes_equal(value, bytes_of(categories[i][0])))
            value = bytes_of(categories[i][1]);
    }
    buf_addf(&t->out, "\\%c{%s%.*s}", kind, prefix, BYTES_FMT(value));
    return true;
}

/* `at` is behind the backslash. */
static bool translate_escape(struct translation *t, bool in_class)
{
    int c = peek(t, 0);
    switch (c) {
    case -1:
        return error_set(t->err, "it ends with a backslash");
    case 'u':
        return translate_u(t);
    case 'p':
    case 'P':
        return translate_property(t);
    case 'x':
        return translate_x(t);
    case 'v':
        BUF_LIT(&t->out, "\\x{b}");
        break;
    case '0':
        BUF_LIT(&t->out, "\\x{0}");
        break;
    case 's':
        buf_addf(&t->out, in_class ? "%s" : "[%s]", SPACE);
        break;
    case 'S':
        buf_addf(&t->out, in_class ? "%s" : "[%s]", NO_SPACE);
        break;
    case 'C':
        return error_set(t->err, "\"\\C\" is no escape");
    default:
        buf_add_char(&t->out, '\\');
        buf_add_char(&t->out, (char)c);
    }
    t->at++;
    return true;
}

/* {2}, {2,} or {2,5}: the braces of a quantifier? `at` is at the brace. */
static bool is_quantifier(const struct translation *t)
{
    size_t ahead = 1, digits = 0;
    for (; peek(t, ahead) >= '0' && peek(t, ahead) <= '9'; ahead++)
        digits++;
    if (peek(t, ahead) == ',') {
        ahead++;
        while (peek(t, ahead) >= '0' && peek(t, ahead) <= '9')
            ahead++;
    }
    return digits > 0 && peek(t, ahead) == '}';
}

static void translate_plain(struct translation *t, bool *in_class)
{
    char c = t->text.data[t->at];
    if (*in_class && c == '[') {
        BUF_LIT(&t->out, "\\["); /* never the "[" of "[:alpha:]" */
    } else if (!*in_class && c == '.') {
        BUF_LIT(&t->out, "[^\\n\\r\\x{2028}\\x{2029}]");
    } else if (!*in_class && c == '{' && !is_quantifier(t)) {
        BUF_LIT(&t->out, "\\{");
    } else {
        if (c == '[')
            *in_class = true;
        else if (c == ']')
            *in_class = false;
        buf_add_char(&t->out, c);
    }
    t->at++;
}

static bool translate(struct translation *t)
{
    bool in_class = false;
    /* A leading "(*...)" would set PCRE2's own switches. */
    if (peek(t, 0) == '(' && peek(t, 1) == '*')
        return error_set(t->err, "nothing stands before the \"*\"");
    while (t->at < t->text.size) {
        if (t->text.data[t->at] == '\\') {
            t->at++;
            if (!translate_escape(t, in_class))
                return false;
        } else {
            translate_plain(t, &in_class);
        }
    }
    return !t->out.failed ||
           (t->out.no_memory ? error_no_memory(t->err) : error_set(t->err, "it is too long"));
}

/* ---- compiling ---- */

static pcre2_code *compile(struct bytes translated, struct error *err)
{
    const uint32_t options = PCRE2_UTF | PCRE2_NO_UTF_CHECK | PCRE2_DOLLAR_ENDONLY |
                             PCRE2_ALLOW_EMPTY_CLASS | PCRE2_MATCH_UNSET_BACKREF |
                             PCRE2_NEVER_BACKSLASH_C | PCRE2_USE_OFFSET_LIMIT;
    int code;
    PCRE2_SIZE offset;
    pcre2_code *compiled =
        pcre2_compile((PCRE2_SPTR)(translated.data != NULL ? translated.data : ""), translated.size,
                      options, &code, &offset, NULL);
    if (compiled == NULL) {
        PCRE2_UCHAR why[128];
        pcre2_get_error_message(code, why, sizeof(why));
        error_set(err, "%s", (const char *)why);
    }
    return compiled;
}

struct pattern *pattern_new(struct bytes text, size_t *size, struct error *err)
{
    struct translation t = {.text = text, .err = err};
    struct pattern *pattern = NULL;
    buf_init(&t.out, MAX_PATTERN * (size_t)8);
    if (text.size > MAX_PATTERN) {
        error_set(err, "it is longer than %d bytes", MAX_PATTERN);
        goto out;
    }
    if (!translate(&t))
        goto out;
    pattern = malloc(sizeof(*pattern) + text.size);
    if (pattern == NULL) {
        error_no_memory(err);
        goto out;
    }
    pattern->text_size = text.size;
    memcpy(pattern->text, text.data, text.size);
    pattern->code = compile(buf_bytes(&t.out), err);
    if (pattern->code == NULL) {
        free(pattern);
        pattern = NULL;
        goto out;
    }
    uint32_t options;
    pcre2_pattern_info(pattern->code, PCRE2_INFO_ALLOPTIONS, &options);
    pcre2_pattern_info(pattern->code, PCRE2_INFO_SIZE, size);
    pattern->anchored = (options & PCRE2_ANCHORED) != 0;
out:
    buf_free(&t.out);
    return pattern;
}

void pattern_free(struct pattern *pattern)
{
    if (pattern == NULL)
        return;
    pcre2_code_free(pattern->code);
    free(pattern);
}

struct bytes pattern_text(const struct pattern *pattern)
{
    return (struct bytes){pattern->text, pattern->text_size};
}

/* ---- matching ---- */

struct matching {
    pcre2_match_context *context;
    pcre2_match_data *data;
};

static struct matching *matching_of(struct pattern_run *run)
{
    if (run->match_data != NULL)
        return run->match_data;
    struct matching *m = malloc(sizeof(*m));
    if (m == NULL)
        return NULL;
    m->context = pcre2_match_context_create(NULL);
    m->data = pcre2_match_data_create(1, NULL);
    run->match_data = m;
    if (m->context == NULL || m->data == NULL)
        return NULL;
    pcre2_set_heap_limit(m->context, MAX_HEAP_KIB);
    return m;
}

void pattern_run_free(struct pattern_run *run)
{
    struct matching *m = run->match_data;
    if (m == NULL)
        return;
    pcre2_match_context_free(m->context);
    pcre2_match_data_free(m->data);
    free(m);
    run->match_data = NULL;
}

/* A step may look at the whole of the text, so fewer are allowed for a long one. */
static uint32_t steps_for(size_t size)
{
    size_t steps = (size_t)1000000000 / (size + 1);
    if (steps > MAX_STEPS)
        return MAX_STEPS;
    return steps < MIN_STEPS ? MIN_STEPS : (uint32_t)steps;
}

static int64_t read_clock(const struct pattern_run *run)
{
    return run->own_time ? clock_thread() : clock_now();
}

/* Too much time has been spent. On a busy machine it may have been that of others:
 * so from the first time on only this thread's own counts, from nothing. */
static bool time_is_over(struct pattern_run *run)
{
    if (run->spent <= MAX_TIME)
        return false;
    if (run->own_time)
        return true;
    run->own_time = true;
    run->spent = 0;
    return false;
}

static bool begins_character(struct bytes text, size_t at)
{
    return at >= text.size || ((unsigned char)text.data[at] & 0xc0) != 0x80;
}

/* Looks for a match that begins in the window, `size` bytes from `from` on. */
static int match_window(const struct pattern *pattern, const struct matching *m, struct bytes text,
                        size_t from, size_t size)
{
    pcre2_set_offset_limit(m->context, text.size - from > size ? from + size : text.size);
    return pcre2_match(pattern->code, (PCRE2_SPTR)(text.size > 0 ? text.data : ""), text.size, from,
                       PCRE2_NO_UTF_CHECK, m->data, m->context);
}

/* PCRE2 bounds the steps from each place where a match may begin, not those of all of
 * them; so places in a long text are tried by and by, with looks at the clock. */
enum pattern_verdict pattern_match(const struct pattern *pattern, struct pattern_run *run,
                                   struct bytes text)
{
    struct matching *m = matching_of(run);
    if (m == NULL)
        return PATTERN_TOO_MUCH_WORK;
    pcre2_set_match_limit(m->context, steps_for(text.size));
    size_t window = pattern->anchored ? text.size : FIRST_WINDOW, from = 0;
    int found = PCRE2_ERROR_NOMATCH;
    int64_t start = read_clock(run);
    while (from <= text.size && found == PCRE2_ERROR_NOMATCH) {
        found = match_window(pattern, m, text, from, window);
        if (text.size - from <= window)
            from = text.size;
        else
            from += window;
        from++;
        while (!begins_character(text, from))
            from++;
        int64_t took = read_clock(run) - start;
        run->spent += took;
        if (time_is_over(run))
            return PATTERN_TOO_MUCH_WORK;
        start = read_clock(run);
        if (took < WINDOW_TIME)
            window *= 2;
    }
    if (found == PCRE2_ERROR_NOMATCH)
        return PATTERN_DIFFERS;
    return found >= 0 ? PATTERN_MATCHES : PATTERN_TOO_MUCH_WORK;
}
