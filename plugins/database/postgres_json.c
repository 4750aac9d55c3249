/* SPDX-License-Identifier: MIT */
/*
 * Which JSON of the database can stand in a result as it is. PostgreSQL has checked that
 * it is JSON; but its type json keeps what readers of results refuse or understand each
 * in their own way: one name twice, halves of surrogate pairs, deep nesting.
 */
#include "postgres.h"

#include <string.h>

#define DEPTH_MAX 24
#define NAMES_MAX 64 /* in one object: each is compared with each */

struct reader {
    const char *at, *end;
    int depth;
};

static void skip_space(struct reader *r)
{
    while (r->at < r->end && strchr(" \t\n\r", *r->at) != NULL)
        r->at++;
}

/* A string with its quotes. False when it has a \u escape: such characters may be half of
 * one, and names with them may be equal though they look different. */
static bool read_string(struct reader *r, struct mcp_bytes *out)
{
    const char *start = r->at++;
    while (r->at < r->end && *r->at != '"') {
        if (*r->at == '\\' && (++r->at == r->end || *r->at == 'u'))
            return false;
        r->at++;
    }
    if (r->at >= r->end)
        return false;
    r->at++;
    *out = (struct mcp_bytes){start, (size_t)(r->at - start)};
    return true;
}

static bool read_value(struct reader *r);

/* Behind an element: true at a comma, which is skipped, or before the closing bracket. */
static bool read_comma(struct reader *r, char close)
{
    skip_space(r);
    if (r->at < r->end && *r->at == ',') {
        r->at++;
        skip_space(r);
        return true;
    }
    return r->at < r->end && *r->at == close;
}

static bool read_object(struct reader *r)
{
    struct mcp_bytes names[NAMES_MAX];
    size_t count = 0;
    r->at++;
    skip_space(r);
    while (r->at < r->end && *r->at != '}') {
        struct mcp_bytes name;
        if (count == NAMES_MAX || *r->at != '"' || !read_string(r, &name))
            return false;
        for (size_t i = 0; i < count; i++)
            if (names[i].size == name.size && memcmp(names[i].data, name.data, name.size) == 0)
                return false;
        /* Ours begin so: {"$base64": ...} */
        if (name.size > 2 && name.data[1] == '$')
            return false;
        if (memchr(name.data, '\\', name.size) != NULL)
            return false;
        names[count++] = name;
        skip_space(r);
        r->at++; /* the colon */
        skip_space(r);
        if (!read_value(r) || !read_comma(r, '}'))
            return false;
    }
    r->at++;
    return true;
}

static bool read_array(struct reader *r)
{
    r->at++;
    skip_space(r);
    while (r->at < r->end && *r->at != ']')
        if (!read_value(r) || !read_comma(r, ']'))
            return false;
    r->at++;
    return true;
}

static bool read_value(struct reader *r)
{
    struct mcp_bytes string;
    if (r->at >= r->end)
        return false;
    if (*r->at == '"')
        return read_string(r, &string);
    if (*r->at == '{' || *r->at == '[') {
        if (r->depth == DEPTH_MAX)
            return false;
        r->depth++;
        bool good = *r->at == '{' ? read_object(r) : read_array(r);
        r->depth--;
        return good;
    }
    while (r->at < r->end && strchr(",]} \t\n\r", *r->at) == NULL)
        r->at++;
    return true;
}

bool json_embeddable(const char *data, size_t size)
{
    struct reader r = {data, data + size, 0};
    skip_space(&r);
    /* null would look like a value that is not there. */
    if (size == 0 || (size_t)(r.end - r.at) < 1 || *r.at == 'n')
        return false;
    if (!read_value(&r))
        return false;
    skip_space(&r);
    return r.at == r.end;
}
