/* SPDX-License-Identifier: MIT */
/* References between schemas: RFC 3986, as far as they need it. */
#include "json/schema_internal.h"

#include "base/utf8.h"

struct parts {
    struct bytes scheme, authority, path, query; /* .data NULL when absent; but a path never is */
};

struct bytes uri_split(struct bytes reference, struct bytes *fragment)
{
    const char *mark = reference.size > 0 ? memchr(reference.data, '#', reference.size) : NULL;
    *fragment = (struct bytes){NULL, 0};
    if (mark == NULL)
        return reference;
    size_t size = (size_t)(mark - reference.data);
    *fragment = (struct bytes){mark + 1, reference.size - size - 1};
    return (struct bytes){reference.data, size};
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The size of "scheme" before its colon, 0 when there is none. */
static size_t scheme_size(struct bytes uri)
{
    if (uri.size == 0 || !is_letter(uri.data[0]))
        return 0;
    for (size_t i = 1; i < uri.size; i++) {
        char c = uri.data[i];
        if (c == ':')
            return i;
        if (!is_letter(c) && !(c >= '0' && c <= '9') && c != '+' && c != '-' && c != '.')
            return 0;
    }
    return 0;
}

bool uri_is_absolute(struct bytes uri)
{
    return scheme_size(uri) > 0;
}

/* Takes `size` bytes, and then `skip` more, from the front. */
static struct bytes take(struct bytes *rest, size_t size, size_t skip)
{
    struct bytes taken = {rest->data, size};
    rest->data += size + skip;
    rest->size -= size + skip;
    return taken;
}

static size_t find(struct bytes text, const char *set)
{
    size_t i = 0;
    while (i < text.size && (text.data[i] == '\0' || strchr(set, text.data[i]) == NULL))
        i++;
    return i;
}

static struct parts parse(struct bytes uri)
{
    struct parts p = {{NULL, 0}, {NULL, 0}, {"", 0}, {NULL, 0}};
    size_t scheme = scheme_size(uri);
    if (scheme > 0)
        p.scheme = take(&uri, scheme, 1);
    if (uri.size >= 2 && memcmp(uri.data, "//", 2) == 0) {
        take(&uri, 2, 0);
        p.authority = take(&uri, find(uri, "/?"), 0);
    }
    p.path = take(&uri, find(uri, "?"), 0);
    if (uri.size > 0)
        p.query = (struct bytes){uri.data + 1, uri.size - 1};
    return p;
}

/* The path of the base up to its last slash, and the reference's behind it. */
static struct bytes merge(struct arena *arena, const struct parts *base, struct bytes path)
{
    size_t kept = base->path.size;
    while (kept > 0 && base->path.data[kept - 1] != '/')
        kept--;
    bool slash = base->authority.data != NULL && base->path.size == 0;
    char *merged = arena_alloc(arena, kept + slash + path.size + 1);
    if (merged == NULL)
        return (struct bytes){NULL, 0};
    memcpy(merged, base->path.data, kept);
    if (slash)
        merged[0] = '/';
    if (path.size > 0)
        memcpy(merged + kept + slash, path.data, path.size);
    return (struct bytes){merged, kept + slash + path.size};
}

/* Takes "." and ".." out of a path (5.2.4), in place of `out`; returns the size. */
static size_t remove_dots(struct bytes path, char *out)
{
    size_t size = 0, at = 0;
    bool absolute = path.size > 0 && path.data[0] == '/';
    while (at < path.size) {
        size_t end = at;
        while (end < path.size && path.data[end] != '/')
            end++;
        struct bytes segment = {path.data + at, end - at};
        bool slash = end < path.size;
        at = end + slash;
        if (bytes_equal(segment, BYTES(".")))
            continue;
        if (bytes_equal(segment, BYTES(".."))) {
            size -= size > 0; /* the slash at the end */
            while (size > 0 && out[size - 1] != '/')
                size--;
            if (size == 0 && absolute)
                out[size++] = '/';
            continue;
        }
        memmove(out + size, segment.data, segment.size);
        size += segment.size;
        if (slash)
            out[size++] = '/';
    }
    return size;
}

static void add(char *out, size_t *size, const char *before, struct bytes part, const char *behind)
{
    if (part.data == NULL)
        return;
    memcpy(out + *size, before, strlen(before));
    *size += strlen(before);
    memcpy(out + *size, part.data, part.size);
    *size += part.size;
    memcpy(out + *size, behind, strlen(behind));
    *size += strlen(behind);
}

static struct bytes join(struct arena *arena, const struct parts *p, bool dots)
{
    char *out =
        arena_alloc(arena, p->scheme.size + p->authority.size + p->path.size + p->query.size + 6);
    if (out == NULL)
        return (struct bytes){NULL, 0};
    size_t size = 0;
    add(out, &size, "", p->scheme, ":");
    add(out, &size, "//", p->authority, "");
    if (dots)
        size += remove_dots(p->path, out + size);
    else
        add(out, &size, "", p->path, "");
    add(out, &size, "?", p->query, "");
    return (struct bytes){out, size};
}

struct bytes uri_resolve(struct arena *arena, struct bytes base_uri, struct bytes reference)
{
    struct parts base = parse(base_uri), r = parse(reference);
    bool dots = r.path.size > 0 || r.authority.data != NULL;
    if (r.scheme.data != NULL) /* urn:a:./b keeps its dots */
        return join(arena, &r, r.path.size > 0 && r.path.data[0] == '/');
    r.scheme = base.scheme;
    if (r.authority.data == NULL) {
        r.authority = base.authority;
        if (r.path.size == 0) {
            r.path = base.path;
            if (r.query.data == NULL)
                r.query = base.query;
        } else if (r.path.data[0] != '/') {
            r.path = merge(arena, &base, r.path);
            if (r.path.data == NULL)
                return r.path;
        }
    }
    return join(arena, &r, dots);
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

struct bytes uri_decode(struct arena *arena, struct bytes text)
{
    char *out = arena_alloc(arena, text.size + 1);
    size_t size = 0;
    if (out == NULL)
        return (struct bytes){NULL, 0};
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c == '%') {
            int high = i + 2 < text.size ? hex(text.data[i + 1]) : -1;
            int low = i + 2 < text.size ? hex(text.data[i + 2]) : -1;
            if (high < 0 || low < 0)
                return (struct bytes){NULL, 0};
            c = (char)(high * 16 + low);
            i += 2;
        }
        out[size++] = c;
    }
    struct bytes decoded = {out, size};
    return utf8_valid(decoded) ? decoded : (struct bytes){NULL, 0};
}
