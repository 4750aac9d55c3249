/* SPDX-License-Identifier: MIT */
/*
 * SQLite can stop a statement only between two steps of its machine, and one step runs a
 * whole function. Some functions take time that grows with the product of their
 * arguments, or with a number in one: instr() of two long strings takes minutes. They
 * are replaced here with ones that give the same results in linear time, or refuse the
 * arguments that only an attack needs. A row that is computed without a jump may call
 * them thousands of times between two looks at the clock, so they look at it themselves.
 */
#include "sqlite.h"

#include <stdio.h>
#include <string.h>

#define FORMAT_WIDTH_MAX 1000
#define TRIM_CHARACTERS_MAX 100
#define RANDOM_MAX 1024
/* Members of the one object times members of the other. */
#define PATCH_PAIRS_MAX 1000000
/* How many characters are read between two looks at the clock. */
#define WORK_BETWEEN_LOOKS 65536

static bool continues(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* ---- time ---- */

/* False: the call is over. */
static bool spend(struct session *session, size_t work)
{
    session->work += work;
    if (session->work < WORK_BETWEEN_LOOKS)
        return true;
    session->work = 0;
    return session->job == NULL || job_state(session->job) == JOB_RUNS;
}

/* For a function that reads each argument once. False: it has failed. */
static bool spend_values(sqlite3_context *context, int count, sqlite3_value **values)
{
    size_t work = 0;
    for (int i = 0; i < count; i++) {
        int type = sqlite3_value_type(values[i]);
        if (type == SQLITE_TEXT || type == SQLITE_BLOB)
            work += (size_t)sqlite3_value_bytes(values[i]);
    }
    if (spend(sqlite3_user_data(context), work))
        return true;
    sqlite3_result_error_code(context, SQLITE_INTERRUPT);
    return false;
}

/* ---- like(pattern, text, escape) and glob(pattern, text) ---- */

/* Characters that mean something in a pattern; 0 is none. */
struct wildcards {
    unsigned all, one, set, escape;
    bool fold; /* ASCII letters are alike in both cases */
};

/* Reads as SQLite does, also what is no UTF-8. 0: the end. */
static unsigned next_character(const unsigned char **at)
{
    unsigned c = **at;
    if (c == 0)
        return 0;
    ++*at;
    if (c < 0xc0)
        return c;
    c &= c < 0xe0 ? 0x1f : c < 0xf0 ? 0x0f : c < 0xf8 ? 0x07 : c < 0xfc ? 0x03 : c < 0xfe;
    while ((**at & 0xc0) == 0x80)
        c = (c << 6) + (*(*at)++ & 0x3fU);
    return c < 0x80 || (c & 0xfffff800) == 0xd800 || (c & 0xfffffffe) == 0xfffe ? 0xfffd : c;
}

static bool alike(const struct wildcards *w, unsigned a, unsigned b)
{
    if (a == b || !w->fold || a >= 0x80 || b >= 0x80)
        return a == b;
    return sqlite3_strnicmp((char[]){(char)a}, (char[]){(char)b}, 1) == 0;
}

/* "a-z]" or "^a-z]": a ] in front and a - at an end are themselves. */
static bool match_set(const unsigned char **pattern, unsigned c)
{
    bool seen = false, invert = false;
    unsigned before = 0, wanted = next_character(pattern);
    if (wanted == '^') {
        invert = true;
        wanted = next_character(pattern);
    }
    if (wanted == ']') {
        seen = c == ']';
        wanted = next_character(pattern);
    }
    for (; wanted != 0 && wanted != ']'; wanted = next_character(pattern)) {
        if (wanted == '-' && **pattern != ']' && **pattern != '\0' && before > 0) {
            wanted = next_character(pattern);
            seen |= c >= before && c <= wanted;
            before = 0;
        } else {
            seen |= c == wanted;
            before = wanted;
        }
    }
    return wanted != 0 && seen != invert;
}

/* One character of the text; both have more. */
static bool match_one(const struct wildcards *w, const unsigned char **pattern,
                      const unsigned char **text)
{
    unsigned wanted = next_character(pattern), c = next_character(text);
    if (wanted == w->set)
        return match_set(pattern, c);
    if (wanted != w->escape)
        return wanted == w->one || alike(w, wanted, c);
    wanted = next_character(pattern);
    return wanted != 0 && alike(w, wanted, c);
}

/* To where the first character of `rest` may match, if it is ASCII and only itself. */
static const unsigned char *skip(const struct wildcards *w, const unsigned char *rest,
                                 const unsigned char *text)
{
    unsigned c = *rest;
    if (c >= 0x80 || c == w->all || c == w->one || c == w->set || c == w->escape)
        return text;
    bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
    const char stop[] = {(char)c, (char)(w->fold && letter ? c ^ 0x20 : c), '\0'};
    return text + strcspn((const char *)text, stop);
}

/* What stands before an `all` has matched as early as it can, so only what follows the last
 * one is tried again. 1: matches, 0: does not, -1: the call is over. */
static int match_pattern(struct session *session, const struct wildcards *w,
                         const unsigned char *pattern, const unsigned char *text)
{
    const unsigned char *rest = NULL, *from = NULL; /* behind the last `all`, and its text */
    while (*pattern != '\0' || *text != '\0') {
        if (!spend(session, 1))
            return -1;
        if (*pattern != '\0' && *pattern == w->all) {
            rest = ++pattern;
            if (*rest == '\0')
                return 1;
            from = text = skip(w, rest, text);
        } else if (*pattern == '\0' || *text == '\0' || !match_one(w, &pattern, &text)) {
            if (rest == NULL || *text == '\0')
                return 0;
            next_character(&from);
            pattern = rest;
            text = skip(w, rest, from);
            if (!spend(session, (size_t)(text - from)))
                return -1;
            from = text;
        }
    }
    return 1;
}

/* False: it is not one character, and the function has ended. */
static bool take_escape(sqlite3_context *context, sqlite3_value *value, struct wildcards *w)
{
    const unsigned char *text = sqlite3_value_text(value);
    if (text == NULL)
        return false;
    w->escape = next_character(&text);
    if (w->escape == 0 || *text != '\0') {
        sqlite3_result_error(context, "ESCAPE expression must be a single character", -1);
        return false;
    }
    w->all = w->all == w->escape ? 0 : w->all;
    w->one = w->one == w->escape ? 0 : w->one;
    return true;
}

static void match_values(sqlite3_context *context, int count, sqlite3_value **values,
                         struct wildcards *w)
{
    struct session *session = sqlite3_user_data(context);
    if (!session->like_matches_blobs && (sqlite3_value_type(values[0]) == SQLITE_BLOB ||
                                         sqlite3_value_type(values[1]) == SQLITE_BLOB)) {
        sqlite3_result_int(context, 0);
        return;
    }
    if (sqlite3_value_bytes(values[0]) >
        sqlite3_limit(sqlite3_context_db_handle(context), SQLITE_LIMIT_LIKE_PATTERN_LENGTH, -1)) {
        sqlite3_result_error(context, "LIKE or GLOB pattern too complex", -1);
        return;
    }
    if (count == 3 && !take_escape(context, values[2], w))
        return;
    const unsigned char *pattern = sqlite3_value_text(values[0]);
    const unsigned char *text = sqlite3_value_text(values[1]);
    if (pattern == NULL || text == NULL)
        return;
    int matches = match_pattern(session, w, pattern, text);
    if (matches < 0)
        sqlite3_result_error_code(context, SQLITE_INTERRUPT);
    else
        sqlite3_result_int(context, matches);
}

static void like(sqlite3_context *context, int count, sqlite3_value **values)
{
    match_values(context, count, values, &(struct wildcards){'%', '_', 0, 0, true});
}

static void glob(sqlite3_context *context, int count, sqlite3_value **values)
{
    match_values(context, count, values, &(struct wildcards){'*', '?', '[', 0, false});
}

/* ---- instr(haystack, needle) ---- */

static void instr(sqlite3_context *context, int count, sqlite3_value **values)
{
    if (!spend_values(context, count, values))
        return;
    if (sqlite3_value_type(values[0]) == SQLITE_NULL ||
        sqlite3_value_type(values[1]) == SQLITE_NULL)
        return;
    bool blobs = sqlite3_value_type(values[0]) == SQLITE_BLOB &&
                 sqlite3_value_type(values[1]) == SQLITE_BLOB;
    const char *data[2];
    size_t size[2];
    for (int i = 0; i < 2; i++) {
        data[i] =
            blobs ? sqlite3_value_blob(values[i]) : (const char *)sqlite3_value_text(values[i]);
        size[i] = (size_t)sqlite3_value_bytes(values[i]);
        if (data[i] == NULL && (size[i] > 0 || !blobs)) {
            sqlite3_result_error_nomem(context);
            return;
        }
        if (data[i] == NULL)
            data[i] = ""; /* an empty blob */
    }
    if (size[1] == 0) {
        sqlite3_result_int(context, 1);
        return;
    }
    const char *found;
    if (!blobs && continues(data[1][0])) /* no character begins so, but the text may */
        found = size[1] <= size[0] && memcmp(data[0], data[1], size[1]) == 0 ? data[0] : NULL;
    else
        found = memmem(data[0], size[0], data[1], size[1]);
    if (found == NULL) {
        sqlite3_result_int(context, 0);
        return;
    }
    sqlite3_int64 position = 1;
    for (const char *c = data[0]; c < found; c++)
        position += blobs || c == data[0] || !continues(*c);
    /* The bytes between are whole characters, so each has counted once. */
    sqlite3_result_int64(context, position);
}

/* ---- replace(text, pattern, by) ---- */

static void replace(sqlite3_context *context, int count, sqlite3_value **values)
{
    if (!spend_values(context, count, values))
        return;
    const char *text = (const char *)sqlite3_value_text(values[0]);
    size_t text_size = (size_t)sqlite3_value_bytes(values[0]);
    const char *pattern = (const char *)sqlite3_value_text(values[1]);
    size_t pattern_size = (size_t)sqlite3_value_bytes(values[1]);
    if (text == NULL || pattern == NULL)
        return;
    if (pattern[0] == '\0') {
        sqlite3_result_value(context, values[0]);
        return;
    }
    const char *by = (const char *)sqlite3_value_text(values[2]);
    size_t by_size = (size_t)sqlite3_value_bytes(values[2]);
    if (by == NULL)
        return;
    sqlite3_str *result = sqlite3_str_new(sqlite3_context_db_handle(context));
    const char *end = text + text_size;
    while (sqlite3_str_errcode(result) == SQLITE_OK) {
        const char *found = memmem(text, (size_t)(end - text), pattern, pattern_size);
        const char *until = found != NULL ? found : end;
        sqlite3_str_append(result, text, (int)(until - text));
        if (found == NULL)
            break;
        sqlite3_str_append(result, by, (int)by_size);
        text = found + pattern_size;
    }
    int rc = sqlite3_str_errcode(result);
    int size = sqlite3_str_length(result);
    char *replaced = sqlite3_str_finish(result);
    if (rc == SQLITE_OK)
        sqlite3_result_text(context, replaced != NULL ? replaced : "", size,
                            replaced != NULL ? sqlite3_free : SQLITE_STATIC);
    else
        sqlite3_result_error_code(context, rc);
}

/* ---- trim, ltrim, rtrim (text, characters) ---- */

struct character {
    const char *data;
    size_t size;
};

/* False: too many. */
static bool split_characters(const char *text, struct character *out, size_t *count)
{
    *count = 0;
    while (*text != '\0') {
        if (*count == TRIM_CHARACTERS_MAX)
            return false;
        size_t size = 1;
        if ((unsigned char)*text >= 0xc0)
            while (continues(text[size]))
                size++;
        out[(*count)++] = (struct character){text, size};
        text += size;
    }
    return true;
}

/* The size of the listed character that the text begins or ends with; 0: none. */
static size_t match(const char *text, size_t size, bool at_end, const struct character *list,
                    size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *at = at_end ? text + size - list[i].size : text;
        if (list[i].size <= size && memcmp(at, list[i].data, list[i].size) == 0)
            return list[i].size;
    }
    return 0;
}

static void trim_ends(sqlite3_context *context, int count, sqlite3_value **values, bool left,
                      bool right)
{
    if (!spend_values(context, count, values))
        return;
    const char *text = (const char *)sqlite3_value_text(values[0]);
    size_t size = (size_t)sqlite3_value_bytes(values[0]);
    const char *set = count == 2 ? (const char *)sqlite3_value_text(values[1]) : " ";
    if (text == NULL || set == NULL)
        return;
    struct character list[TRIM_CHARACTERS_MAX];
    size_t listed;
    if (!split_characters(set, list, &listed)) {
        sqlite3_result_error(context, "trim(): too many characters to remove", -1);
        return;
    }
    size_t some;
    while (left && (some = match(text, size, false, list, listed)) > 0) {
        text += some;
        size -= some;
    }
    while (right && (some = match(text, size, true, list, listed)) > 0)
        size -= some;
    sqlite3_result_text(context, text, (int)size, SQLITE_TRANSIENT);
}

static void ltrim(sqlite3_context *context, int count, sqlite3_value **values)
{
    trim_ends(context, count, values, true, false);
}

static void rtrim(sqlite3_context *context, int count, sqlite3_value **values)
{
    trim_ends(context, count, values, false, true);
}

static void trim(sqlite3_context *context, int count, sqlite3_value **values)
{
    trim_ends(context, count, values, true, true);
}

/* ---- printf and format ---- */

/* One conversion: from its % to its letter. */
struct conversion {
    char format[64]; /* for sqlite3_str_appendf; the letter is still to come */
    char letter; /* NUL: the text ends before it */
    bool precise; /* has a precision */
};

/* Skips the digits of a width or precision. NULL, or what is wrong. */
static const char *skip_number(const char **at)
{
    if (**at == '*')
        return "format(): * is not offered; write the number";
    for (int number = 0; **at >= '0' && **at <= '9'; (*at)++) {
        number = number * 10 + (**at - '0');
        if (number > FORMAT_WIDTH_MAX)
            return "format(): a width or precision is larger than 1000";
    }
    return NULL;
}

/* Reads a conversion at *at, which stands behind the %. NULL, or what is wrong. */
static const char *read_conversion(const char **at, struct conversion *out)
{
    const char *start = *at;
    *at += strspn(*at, "-+ 0#!,");
    const char *wrong = skip_number(at);
    out->precise = wrong == NULL && **at == '.';
    if (out->precise) {
        ++*at;
        wrong = skip_number(at);
    }
    size_t length = (size_t)(*at - start);
    if (wrong == NULL && length > sizeof(out->format) - 8)
        wrong = "format(): a conversion is too long";
    if (wrong != NULL)
        return wrong;
    out->format[0] = '%';
    memcpy(out->format + 1, start, length);
    out->format[length + 1] = '\0';
    for (int i = 0; i < 2 && **at == 'l'; i++) /* all integers are long long */
        ++*at;
    out->letter = **at;
    *at += out->letter != '\0';
    if (out->letter == 'c' && out->precise)
        return "format(): %c takes no precision here";
    return NULL;
}

/* There is room for a few more. */
static void add_letters(struct conversion *conversion, const char *letters)
{
    size_t used = strlen(conversion->format);
    snprintf(conversion->format + used, sizeof(conversion->format) - used, "%s", letters);
}

/* The first character of the text; SQLite takes a NUL for a text that is empty. */
static void append_character(sqlite3_str *out, struct conversion *conversion, const char *text)
{
    char *format = conversion->format;
    char first[5] = "";
    if (text == NULL || text[0] == '\0') {
        add_letters(conversion, "c");
        sqlite3_str_appendf(out, format, 0);
        return;
    }
    size_t size = 1;
    first[0] = text[0];
    while (((unsigned char)text[0] & 0xc0) == 0xc0 && size < 4 && continues(text[size])) {
        first[size] = text[size];
        size++;
    }
    memmove(format + 2, format + 1, strlen(format));
    format[1] = '!'; /* a width counts characters */
    add_letters(conversion, "s");
    sqlite3_str_appendf(out, format, first);
}

/* A missing value counts as NULL, as in SQLite. */
static void append_value(sqlite3_str *out, struct conversion *conversion, sqlite3_value *value)
{
    char *format = conversion->format;
    char letter[2] = {conversion->letter, '\0'};
    if (strchr("dixXopur", letter[0]) != NULL) {
        add_letters(conversion, "ll");
        add_letters(conversion, letter);
        sqlite3_str_appendf(out, format,
                            value != NULL ? sqlite3_value_int64(value) : (sqlite3_int64)0);
        return;
    }
    if (strchr("eEfgG", letter[0]) != NULL) {
        add_letters(conversion, letter);
        sqlite3_str_appendf(out, format, value != NULL ? sqlite3_value_double(value) : 0.0);
        return;
    }
    const char *text = value != NULL ? (const char *)sqlite3_value_text(value) : NULL;
    if (letter[0] == 'c') {
        append_character(out, conversion, text);
        return;
    }
    add_letters(conversion, letter[0] == 'z' ? "s" : letter); /* the C function would free it */
    sqlite3_str_appendf(out, format, text);
}

/* NULL, or what is wrong. */
static const char *format_values(sqlite3_str *out, const char *format, int count,
                                 sqlite3_value **values)
{
    int next = 0;
    while (*format != '\0' && sqlite3_str_errcode(out) == SQLITE_OK) {
        size_t plain = strcspn(format, "%");
        sqlite3_str_append(out, format, (int)plain);
        format += plain;
        if (*format == '\0')
            break;
        if (*++format == '\0') {
            sqlite3_str_appendchar(out, 1, '%');
            break;
        }
        struct conversion conversion;
        const char *wrong = read_conversion(&format, &conversion);
        if (wrong != NULL)
            return wrong;
        if (conversion.letter == '%') {
            add_letters(&conversion, "%");
            sqlite3_str_appendf(out, conversion.format);
        } else if (conversion.letter != '\0' &&
                   strchr("dixXopureEfgGszqQwc", conversion.letter) != NULL) {
            append_value(out, &conversion, next < count ? values[next++] : NULL);
        } else if (conversion.letter != 'n') {
            break; /* as SQLite does */
        }
    }
    return NULL;
}

static void format(sqlite3_context *context, int count, sqlite3_value **values)
{
    if (!spend_values(context, count, values))
        return;
    const char *text = count > 0 ? (const char *)sqlite3_value_text(values[0]) : NULL;
    if (text == NULL)
        return;
    sqlite3_str *out = sqlite3_str_new(sqlite3_context_db_handle(context));
    const char *wrong = format_values(out, text, count - 1, values + 1);
    int rc = sqlite3_str_errcode(out);
    int size = sqlite3_str_length(out);
    char *result = sqlite3_str_finish(out);
    if (wrong != NULL || rc != SQLITE_OK) {
        sqlite3_free(result);
        if (wrong != NULL)
            sqlite3_result_error(context, wrong, -1);
        else
            sqlite3_result_error_code(context, rc);
        return;
    }
    sqlite3_result_text(context, result != NULL ? result : "", size,
                        result != NULL ? sqlite3_free : SQLITE_STATIC);
}

/* ---- randomblob(size) ---- */

static void randomblob(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    char bytes[RANDOM_MAX];
    sqlite3_int64 size = sqlite3_value_int64(values[0]);
    if (size > RANDOM_MAX) {
        sqlite3_result_error(context, "randomblob(): more than 1024 bytes", -1);
        return;
    }
    size = size < 1 ? 1 : size;
    sqlite3_randomness((int)size, bytes);
    sqlite3_result_blob(context, bytes, (int)size, SQLITE_TRANSIENT);
}

/* ---- json_patch(object, patch) ---- */

/* How many members the objects in a JSON text have. */
static sqlite3_int64 count_members(sqlite3_value *value)
{
    const char *at = (const char *)sqlite3_value_text(value);
    sqlite3_int64 count = 0;
    bool in_string = false;
    for (; at != NULL && *at != '\0'; at++) {
        if (in_string && *at == '\\' && at[1] != '\0')
            at++;
        else if (*at == '"')
            in_string = !in_string;
        else
            count += !in_string && *at == ':';
    }
    return count;
}

/* SQLite's own function, in a database of its own where nothing hides it. */
static int prepare_original(struct session *session)
{
    if (session->patch != NULL)
        return SQLITE_OK;
    int rc = session->plain != NULL ? SQLITE_OK : sqlite3_open(":memory:", &session->plain);
    return rc == SQLITE_OK ? sqlite3_prepare_v2(session->plain, "SELECT json_patch(?1,?2)", -1,
                                                &session->patch, NULL)
                           : rc;
}

static void run_original(sqlite3_context *context, struct session *session, sqlite3_value **values)
{
    int rc = prepare_original(session);
    for (int i = 0; rc == SQLITE_OK && i < 2; i++)
        rc = sqlite3_bind_value(session->patch, i + 1, values[i]);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(session->patch);
    if (rc != SQLITE_ROW) {
        sqlite3_result_error(context, sqlite3_errmsg(session->plain), -1);
    } else if (sqlite3_column_type(session->patch, 0) == SQLITE_TEXT) {
        const char *text = (const char *)sqlite3_column_text(session->patch, 0);
        sqlite3_result_text(context, text, sqlite3_column_bytes(session->patch, 0),
                            SQLITE_TRANSIENT);
        sqlite3_result_subtype(context, 'J'); /* JSON, for the function around it */
    }
    sqlite3_reset(session->patch);
    sqlite3_clear_bindings(session->patch);
}

/* It looks for each member of the one in all of the other. */
static void json_patch(sqlite3_context *context, int count, sqlite3_value **values)
{
    struct session *session = sqlite3_user_data(context);
    if (!spend_values(context, count, values))
        return;
    sqlite3_int64 members[2] = {count_members(values[0]), count_members(values[1])};
    if (members[0] > 0 && members[1] > PATCH_PAIRS_MAX / members[0])
        sqlite3_result_error(context, "json_patch(): the objects have too many members", -1);
    else if (!spend(session, (size_t)(members[0] * members[1])))
        sqlite3_result_error_code(context, SQLITE_INTERRUPT);
    else
        run_original(context, session, values);
}

int functions_install(struct session *session)
{
    enum { EQUAL = SQLITE_DETERMINISTIC }; /* equal arguments, equal results */
    static const struct {
        const char *name;
        int arguments;
        int flags;
        void (*run)(sqlite3_context *, int, sqlite3_value **);
    } functions[] = {
        {"like", 2, EQUAL, like},         {"like", 3, EQUAL, like},
        {"glob", 2, EQUAL, glob},         {"instr", 2, EQUAL, instr},
        {"replace", 3, EQUAL, replace},   {"ltrim", 1, EQUAL, ltrim},
        {"ltrim", 2, EQUAL, ltrim},       {"rtrim", 1, EQUAL, rtrim},
        {"rtrim", 2, EQUAL, rtrim},       {"trim", 1, EQUAL, trim},
        {"trim", 2, EQUAL, trim},         {"printf", -1, EQUAL, format},
        {"format", -1, EQUAL, format},    {"json_patch", 2, EQUAL, json_patch},
        {"randomblob", 1, 0, randomblob},
    };
    int rc = SQLITE_OK;
    session->like_matches_blobs = !sqlite3_compileoption_used("LIKE_DOESNT_MATCH_BLOBS");
    for (size_t i = 0; rc == SQLITE_OK && i < sizeof(functions) / sizeof(functions[0]); i++)
        rc = sqlite3_create_function_v2(session->db, functions[i].name, functions[i].arguments,
                                        SQLITE_UTF8 | SQLITE_INNOCUOUS | functions[i].flags,
                                        session, functions[i].run, NULL, NULL, NULL);
    return rc;
}

void functions_free(struct session *session)
{
    sqlite3_finalize(session->patch);
    sqlite3_close(session->plain);
}
