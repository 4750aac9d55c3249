/* SPDX-License-Identifier: MIT */
/* Reading "needs". It is a stranger's text, and old ones may hold anything. */
#include "plugin/needs.h"

#include "json/json.h"

/* One reading. */
struct reading_needs {
    struct arena arena;
    struct json needs, config;
};

static bool start(struct reading_needs *r, struct bytes needs, struct bytes config)
{
    arena_init(&r->arena, (size_t)16 << 20);
    return json_parse(&r->needs, needs, &json_default_limits, &r->arena, NULL) &&
           json_parse(&r->config, config, &json_default_limits, &r->arena, NULL) &&
           r->needs.root->type == JSON_OBJECT;
}

static struct bytes member_text(struct reading_needs *r, const struct json_node *object,
                                const char *name)
{
    const struct json_node *value = json_get(&r->needs, object, name);
    if (value == NULL || value->type != JSON_STRING)
        return (struct bytes){NULL, 0};
    return arena_copy(&r->arena, json_string(&r->needs, value, &r->arena)); /* with a NUL */
}

/* What the pointer in the entry's member leads to in the configuration. */
static const struct json_node *follow(struct reading_needs *r, const struct json_node *entry,
                                      const char *name)
{
    struct bytes pointer = member_text(r, entry, name);
    if (pointer.data == NULL || memchr(pointer.data, '\0', pointer.size) != NULL)
        return NULL;
    return json_at(&r->config, r->config.root, pointer.data);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place; the text is in the arena. */
static struct bytes decode_percent(struct bytes text)
{
    char *to = (char *)(uintptr_t)text.data;
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        int high = -1, low = -1;
        if (text.data[i] == '%' && i + 2 < text.size) {
            high = hex_digit(text.data[i + 1]);
            low = hex_digit(text.data[i + 2]);
        }
        to[size++] = high >= 0 && low >= 0 ? (char)(high * 16 + low) : text.data[i];
        i += high >= 0 && low >= 0 ? 2 : 0;
    }
    return (struct bytes){text.data, size};
}

/* The directory that the path is in. */
static struct bytes parent_of(struct bytes path)
{
    while (path.size > 1 && path.data[path.size - 1] != '/')
        path.size--;
    if (path.size > 1)
        path.size--;
    return path;
}

/* "sqlite://", "file:": what follows such a prefix is whole. */
static bool is_scheme(struct bytes prefix)
{
    if (prefix.size > 2 && memcmp(prefix.data + prefix.size - 2, "//", 2) == 0)
        prefix.size -= 2;
    return prefix.size > 0 && memchr(prefix.data, '/', prefix.size) == NULL &&
           memchr(prefix.data, ':', prefix.size) == prefix.data + prefix.size - 1;
}

/* `derived`: it is not what the operator wrote, but something made of it. */
typedef void yields(void *context, struct bytes text, bool derived);

/* One string of the configuration, as the entry wants it. */
static void yield(struct reading_needs *r, const struct json_node *entry,
                  const struct json_node *value, yields *take, void *context)
{
    const struct json_node *parent = json_get(&r->needs, entry, "parent");
    const bool wants_parent = parent != NULL && parent->type == JSON_TRUE;
    struct bytes prefix = member_text(r, entry, "prefix");
    if (value->type != JSON_STRING)
        return;
    struct bytes text = arena_copy(&r->arena, json_string(&r->config, value, &r->arena));
    if (text.data == NULL || text.size < prefix.size ||
        (prefix.size > 0 && memcmp(text.data, prefix.data, prefix.size) != 0))
        return;
    text = (struct bytes){text.data + prefix.size, text.size - prefix.size};
    if (prefix.size >= 3 && memcmp(prefix.data + prefix.size - 3, "://", 3) == 0)
        text = decode_percent(text);
    take(context, wants_parent && text.size > 0 ? parent_of(text) : text,
         wants_parent || (prefix.size > 0 && !is_scheme(prefix)));
}

static void read_pointer(struct reading_needs *r, const struct json_node *entry, yields *take,
                         void *context)
{
    const struct json_node *value = follow(r, entry, "config");
    if (json_get(&r->needs, entry, "if_false") != NULL) {
        const struct json_node *condition = follow(r, entry, "if_false");
        if (condition == NULL || condition->type != JSON_FALSE)
            return;
    }
    if (value == NULL)
        return;
    if (value->type != JSON_ARRAY) {
        yield(r, entry, value, take, context);
        return;
    }
    const struct json_node *end = value + value->span;
    for (const struct json_node *item = json_first(value); item != NULL;
         item = json_next(item, end))
        yield(r, entry, item, take, context);
}

/* ---- paths ---- */

struct path_context {
    const struct needs_reader *reader;
    enum sandbox_access access;
};

static void take_path(void *context, struct bytes path, bool derived)
{
    const struct path_context *p = context;
    if (p->reader->path != NULL && path.size > 0 && path.data[0] == '/')
        p->reader->path(p->reader->context, p->access, path,
                        derived ? NEEDS_DERIVED : NEEDS_CONFIGURED);
}

static void read_paths(struct reading_needs *r, const char *name, enum sandbox_access access,
                       const struct needs_reader *reader)
{
    struct path_context context = {reader, access};
    const struct json_node *array = json_get(&r->needs, r->needs.root, name);
    if (array == NULL || array->type != JSON_ARRAY)
        return;
    const struct json_node *end = array + array->span;
    for (const struct json_node *entry = json_first(array); entry != NULL;
         entry = json_next(entry, end)) {
        if (entry->type == JSON_OBJECT)
            read_pointer(r, entry, take_path, &context);
        if (entry->type != JSON_STRING)
            continue;
        struct bytes path = json_string(&r->needs, entry, &r->arena);
        if (reader->path != NULL && path.size > 0 && path.data[0] == '/' &&
            memchr(path.data, '\0', path.size) == NULL)
            reader->path(reader->context, access, path, NEEDS_NAMED);
    }
}

/* ---- sockets ---- */

static void take_any(void *context, struct bytes text, bool derived)
{
    (void)text;
    (void)derived;
    *(bool *)context = true;
}

static bool asks(struct reading_needs *r, const char *name)
{
    const struct json_node *value = json_get(&r->needs, r->needs.root, name);
    bool any = value != NULL && value->type == JSON_TRUE;
    if (value != NULL && value->type == JSON_OBJECT)
        read_pointer(r, value, take_any, &any);
    if (value == NULL || value->type != JSON_ARRAY)
        return any;
    const struct json_node *end = value + value->span;
    for (const struct json_node *entry = json_first(value); entry != NULL;
         entry = json_next(entry, end))
        read_pointer(r, entry, take_any, &any);
    return any;
}

/* ---- the environment ---- */

static void take_variable(void *context, struct bytes name, bool derived)
{
    (void)derived;
    const struct needs_reader *reader = context;
    if (name.size > 0 && memchr(name.data, '=', name.size) == NULL &&
        memchr(name.data, '\0', name.size) == NULL)
        reader->variable(reader->context, name);
}

static void read_variables(struct reading_needs *r, const struct needs_reader *reader)
{
    const struct json_node *array = json_get(&r->needs, r->needs.root, "environment");
    if (array == NULL || array->type != JSON_ARRAY)
        return;
    const struct json_node *end = array + array->span;
    for (const struct json_node *entry = json_first(array); entry != NULL;
         entry = json_next(entry, end))
        if (entry->type == JSON_OBJECT)
            read_pointer(r, entry, take_variable, (void *)(uintptr_t)reader);
}

bool needs_read(struct bytes needs, struct bytes config, const struct needs_reader *reader)
{
    struct reading_needs r;
    bool ok = start(&r, needs, config);
    if (ok) {
        read_paths(&r, "read", SANDBOX_READ, reader);
        read_paths(&r, "write", SANDBOX_WRITE, reader);
        if (reader->network != NULL && asks(&r, "network"))
            reader->network(reader->context);
        if (reader->unix_sockets != NULL && asks(&r, "unix_sockets"))
            reader->unix_sockets(reader->context);
        if (reader->variable != NULL)
            read_variables(&r, reader);
    }
    arena_free(&r.arena);
    return ok;
}

/* ---- for people ---- */

/* "what config/url names, if it begins with sqlite://" */
static void describe_pointer(struct reading_needs *r, const struct json_node *entry,
                             struct buf *out)
{
    struct bytes prefix = member_text(r, entry, "prefix");
    struct bytes condition = member_text(r, entry, "if_false");
    const struct json_node *parent = json_get(&r->needs, entry, "parent");
    buf_addf(out, "%swhat config%.*s names",
             parent != NULL && parent->type == JSON_TRUE ? "the directory of " : "",
             BYTES_FMT(member_text(r, entry, "config")));
    if (prefix.size > 0)
        buf_addf(out, " behind %.*s", BYTES_FMT(prefix));
    if (condition.size > 0)
        buf_addf(out, ", if config%.*s is false", BYTES_FMT(condition));
}

static void describe(struct reading_needs *r, const char *name, const struct json_node *entry,
                     struct buf *out)
{
    if (entry->type != JSON_STRING && entry->type != JSON_OBJECT && entry->type != JSON_TRUE)
        return;
    buf_addf(out, "needs %s", name);
    if (entry->type != JSON_TRUE)
        BUF_LIT(out, ": ");
    if (entry->type == JSON_STRING)
        json_write_shown(out, &r->needs, entry);
    else if (entry->type == JSON_OBJECT)
        describe_pointer(r, entry, out);
    buf_add_char(out, '\n');
}

void needs_describe(struct bytes needs, struct buf *out)
{
    static const char *const names[] = {"read", "write", "network", "unix_sockets", "environment"};
    struct reading_needs r;
    bool ok = start(&r, needs, BYTES("{}"));
    for (size_t i = 0; ok && i < sizeof(names) / sizeof(names[0]); i++) {
        const struct json_node *value = json_get(&r.needs, r.needs.root, names[i]);
        if (value == NULL)
            continue;
        if (value->type != JSON_ARRAY) {
            describe(&r, names[i], value, out);
            continue;
        }
        const struct json_node *end = value + value->span;
        for (const struct json_node *entry = json_first(value); entry != NULL;
             entry = json_next(entry, end))
            describe(&r, names[i], entry, out);
    }
    arena_free(&r.arena);
}
