/* SPDX-License-Identifier: MIT */
/*
 * Globs of paths: "*" and "?" within a name, "**" for any names, [a-z] and [!a-z], and
 * {a,b}. Matching takes time in proportion to pattern times path at most, whatever the
 * pattern: of every star only the last is tried again.
 */
#include "filesystem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoding.h"
#include "reading.h"

#define PATTERN_MAX 1024
#define BRANCHES_MAX 64

/* One without braces: names with a NUL behind each, and an empty one at the end. */
struct glob {
    size_t count;
    char *branches[BRANCHES_MAX];
};

/* ---- making ---- */

/* The comma or brace that ends the part of a brace group at `at`. */
static const char *part_end(const char *at)
{
    for (int depth = 0; *at != '\0'; at++) {
        if (*at == '\\' && at[1] != '\0')
            at++;
        else if (*at == '{')
            depth++;
        else if (depth == 0 && (*at == ',' || *at == '}'))
            return at;
        else if (*at == '}')
            depth--;
    }
    return NULL;
}

/* The first group with a comma in it; NULL: there is none. */
static const char *find_group(const char *pattern)
{
    for (const char *at = pattern; *at != '\0'; at++) {
        if (*at == '\\' && at[1] != '\0') {
            at++;
        } else if (*at == '{') {
            const char *end = part_end(at + 1);
            if (end != NULL && *end == ',')
                return at;
        }
    }
    return NULL;
}

static bool add_branch(struct glob *glob, const char *pattern)
{
    if (glob->count == BRANCHES_MAX)
        return false;
    char *copy = strdup(pattern);
    if (copy == NULL)
        return false;
    glob->branches[glob->count++] = copy;
    return true;
}

static bool expand(struct glob *glob, const char *pattern)
{
    const char *group = find_group(pattern);
    if (group == NULL)
        return add_branch(glob, pattern);
    const char *close = group + 1;
    for (const char *end = part_end(close); end != NULL && *end == ','; end = part_end(close))
        close = end + 1;
    const char *end = part_end(close);
    if (end == NULL) /* never closed: literal */
        return add_branch(glob, pattern);
    for (const char *part = group + 1; part <= end;) {
        char whole[PATTERN_MAX + 1];
        const char *stop = part_end(part);
        snprintf(whole, sizeof(whole), "%.*s%.*s%s", (int)(group - pattern), pattern,
                 (int)(stop - part), part, end + 1);
        if (!expand(glob, whole))
            return false;
        part = stop + 1;
    }
    return true;
}

struct glob *glob_new(struct mcp_bytes pattern, const char **wrong)
{
    char text[PATTERN_MAX + 1];
    *wrong = NULL;
    if (pattern.size == 0 || pattern.size > PATTERN_MAX)
        *wrong = "a pattern has 1 to 1024 bytes";
    else if (memchr(pattern.data, '\0', pattern.size) != NULL)
        *wrong = "a pattern has no NUL character";
    if (*wrong != NULL)
        return NULL;
    memcpy(text, pattern.data, pattern.size);
    text[pattern.size] = '\0';
    struct glob *glob = calloc(1, sizeof(*glob));
    const char *begin = text;
    while (strncmp(begin, "./", 2) == 0)
        begin += 2;
    if (glob != NULL && expand(glob, begin))
        return glob;
    *wrong = "the braces of a pattern stand for 64 others at most";
    glob_free(glob);
    return NULL;
}

void glob_free(struct glob *glob)
{
    for (size_t i = 0; glob != NULL && i < glob->count; i++)
        free(glob->branches[i]);
    free(glob);
}

/* ---- matching one name ---- */

static size_t character(const char *at)
{
    size_t size = utf8_character(at, strlen(at) < 4 ? strlen(at) : 4);
    return size > 0 ? size : 1;
}

static unsigned value_of(const char *at, size_t size)
{
    unsigned value = (unsigned char)at[0];
    if (size > 1)
        value &= 0x7fU >> size;
    for (size_t i = 1; i < size; i++)
        value = value << 6 | ((unsigned char)at[i] & 0x3f);
    return value;
}

/* The end of "[...]", behind the bracket; NULL: it is none, and stands for itself. */
static const char *class_end(const char *at, const char *end)
{
    at++;
    at += at < end && (*at == '!' || *at == '^');
    for (const char *first = at; at < end; at++)
        if (*at == ']' && at > first)
            return at + 1;
    return NULL;
}

static bool in_class(const char *at, const char *end, unsigned c)
{
    at++;
    bool inverted = *at == '!' || *at == '^';
    at += inverted;
    bool found = false;
    while (at < end - 1) {
        size_t size = character(at);
        unsigned low = value_of(at, size), high = low;
        at += size;
        if (*at == '-' && at + 1 < end - 1) {
            size = character(at + 1);
            high = value_of(at + 1, size);
            at += 1 + size;
        }
        found = found || (c >= low && c <= high);
    }
    return found != inverted;
}

/* One element of the pattern against one character: the size of both. */
static bool match_one(const char **p, const char *end, const char **n)
{
    size_t size = character(*n);
    if (**p == '?') {
        (*p)++;
    } else if (**p == '[' && class_end(*p, end) != NULL) {
        const char *behind = class_end(*p, end);
        if (!in_class(*p, behind, value_of(*n, size)))
            return false;
        *p = behind;
    } else {
        if (**p == '\\' && *p + 1 < end)
            (*p)++;
        if (**p != **n)
            return false;
        (*p)++;
        size = 1;
    }
    *n += size;
    return true;
}

/* The name from n to n_end, which is not empty, against the pattern from p to p_end. */
static bool match_name(const char *p, const char *p_end, const char *n, const char *n_end)
{
    const char *star = NULL, *star_at = NULL;
    while (n < n_end) {
        if (p < p_end && *p == '*') {
            star = ++p;
            star_at = n;
            continue;
        }
        const char *p_next = p, *n_next = n;
        if (p < p_end && match_one(&p_next, p_end, &n_next)) {
            p = p_next;
            n = n_next;
            continue;
        }
        if (star == NULL)
            return false;
        p = star;
        star_at += character(star_at);
        n = star_at;
    }
    while (p < p_end && *p == '*')
        p++;
    return p == p_end;
}

/* ---- matching a path ---- */

static bool is_double(const char *p, const char *end)
{
    return end - p == 2 && p[0] == '*' && p[1] == '*';
}

static const char *next_of(const char *end)
{
    return *end == '/' ? end + 1 : end;
}

/* "**" at the end stands for one name or more, elsewhere for none or more. */
static bool match_path(const char *p, const char *n)
{
    const char *star = NULL, *star_at = NULL;
    while (*n != '\0') {
        const char *p_end = p + strcspn(p, "/"), *n_end = n + strcspn(n, "/");
        if (*p != '\0' && is_double(p, p_end)) {
            p = next_of(p_end);
            if (*p == '\0')
                return true;
            star = p;
            star_at = n;
        } else if (*p != '\0' && match_name(p, p_end, n, n_end)) {
            p = next_of(p_end);
            n = next_of(n_end);
        } else if (star != NULL) {
            star_at = next_of(star_at + strcspn(star_at, "/"));
            p = star;
            n = star_at;
        } else {
            return false;
        }
    }
    return *p == '\0';
}

bool glob_match(const struct glob *glob, const char *path)
{
    for (size_t i = 0; i < glob->count; i++)
        if (match_path(glob->branches[i], path))
            return true;
    return false;
}

/* ---- several ---- */

static bool add_glob(struct globs *globs, struct mcp_call *call, struct mcp_bytes pattern)
{
    const char *wrong;
    struct glob *glob = glob_new(pattern, &wrong);
    if (glob == NULL) {
        fail_call(call, "The pattern %.*s is wrong: %s.", SHOW(pattern), wrong);
        return false;
    }
    globs->items[globs->count++] = glob;
    return true;
}

/* x: also ** / x and ** / x / ** . */
static bool add_anywhere(struct globs *globs, struct mcp_call *call, struct mcp_bytes pattern)
{
    char whole[PATTERN_MAX + 8];
    if (!add_glob(globs, call, pattern))
        return false;
    if (memchr(pattern.data, '*', pattern.size) != NULL || pattern.size > PATTERN_MAX - 6)
        return true;
    for (int i = 0; i < 2; i++) {
        int size = snprintf(whole, sizeof(whole), "**/%.*s%s", SHOW(pattern), i == 0 ? "" : "/**");
        if (!add_glob(globs, call, (struct mcp_bytes){whole, (size_t)size}))
            return false;
    }
    return true;
}

bool globs_read(struct globs *globs, struct mcp_call *call, const char *argument, bool anywhere)
{
    for (size_t i = 0;; i++) {
        char pointer[64];
        struct mcp_bytes pattern;
        int32_t kind;
        snprintf(pointer, sizeof(pointer), "%s/%zu", argument, i);
        if (call->ops->argument(call, pointer, &kind, &pattern) != MCP_OK)
            return true;
        if (kind != MCP_JSON_STRING || i == GLOBS_MAX) {
            fail_call(call, "The argument \"%s\" must be an array of %d strings at most.",
                      argument + 1, GLOBS_MAX);
            return false;
        }
        if (!(anywhere ? add_anywhere : add_glob)(globs, call, pattern))
            return false;
    }
}

void globs_free(struct globs *globs)
{
    for (size_t i = 0; i < globs->count; i++)
        glob_free(globs->items[i]);
    globs->count = 0;
}

bool globs_match(const struct globs *globs, const char *path)
{
    for (size_t i = 0; i < globs->count; i++)
        if (glob_match(globs->items[i], path))
            return true;
    return false;
}
