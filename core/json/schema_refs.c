/* SPDX-License-Identifier: MIT */
/* Where references lead, and whether they lead in circles. */
#include "json/schema_compiler.h"

#define MAX_WALKED 50000000

/* ---- documents ---- */

static struct source *add_document(struct compiler *c, const struct pending *p, struct bytes uri,
                                   const struct json *json)
{
    struct place *place = compiler_alloc(c, 1, sizeof(*place));
    struct bytes copy = arena_copy(&c->schema->arena, uri);
    if (place == NULL || copy.data == NULL) {
        compiler_no_memory(c);
        return NULL;
    }
    *place = (struct place){.uri = copy, .index = -1};
    struct where where = {.json = json,
                          .object = json->root,
                          .place = place,
                          .uri = uri,
                          .dialect = &p->source->dialect};
    return compiler_compile(c, &where) != NULL ? map_get(&c->sources, uri) : NULL;
}

static const struct json *find_document(struct compiler *c, struct bytes uri)
{
    struct bytes text = schema_meta(uri);
    if (text.data != NULL) {
        struct json *json = arena_alloc(&c->scratch, sizeof(*json));
        bool parsed =
            json != NULL && json_parse(json, text, &json_default_limits, &c->scratch, NULL);
        return parsed ? json : NULL;
    }
    if (c->options->resolve == NULL || !uri_is_absolute(uri))
        return NULL;
    const char *name = arena_copy(&c->scratch, uri).data;
    return name != NULL ? c->options->resolve(c->options->context, name) : NULL;
}

static struct source *find_source(struct compiler *c, const struct pending *p, struct bytes uri)
{
    struct source *source = map_get(&c->sources, uri);
    if (source != NULL)
        return source;
    const struct json *json = find_document(c, uri);
    if (json != NULL)
        return add_document(c, p, uri, json);
    compiler_refuse(c, p->place, p->dynamic ? "$dynamicRef" : "$ref",
                    "\"%.*s\" leads out of the schema, to \"%.*s\", and nothing is fetched: put "
                    "it into \"$defs\" with this \"$id\"",
                    SHOWN_FMT(p->reference), SHOWN_FMT(uri));
    return NULL;
}

/* ---- pointers ---- */

static const struct compiled *compiled_at(const struct compiler *c, const struct json_node *node)
{
    struct bytes address = {(const char *)&node, sizeof(node)};
    return map_get(&c->compiled, address);
}

/* A place that no keyword makes a subschema becomes one by being referred to.
 * `pointer` leads there from the root of `source`; `around` is what it lies in. */
static struct schema_node *compile_there(struct compiler *c, const struct source *source,
                                         struct source *around, const struct json_node *node,
                                         struct bytes pointer)
{
    struct bytes below = {pointer.data + 1, pointer.size - 1};
    const char *keyword = arena_copy(&c->schema->arena, below).data;
    if (keyword == NULL) {
        compiler_no_memory(c);
        return NULL;
    }
    struct where where = {.json = source->json, .object = node, .source = around};
    where.place = place_new(c, source->place, keyword, (struct bytes){NULL, 0}, -1);
    return where.place != NULL ? compiler_compile(c, &where) : NULL;
}

/* One token of a JSON Pointer further. */
static const struct json_node *step(struct compiler *c, const struct json *json,
                                    const struct json_node *node, struct bytes token)
{
    c->walked += node->count;
    struct bytes copy = arena_copy(&c->scratch, (struct bytes){token.data - 1, token.size + 1});
    return copy.data != NULL ? json_at(json, node, copy.data) : NULL;
}

static struct schema_node *follow_pointer(struct compiler *c, const struct pending *p,
                                          struct source *source, struct bytes pointer)
{
    const char *keyword = p->dynamic ? "$dynamicRef" : "$ref";
    const struct json_node *node = source->root;
    struct source *around = source;
    size_t at = 0;
    while (node != NULL && at < pointer.size) {
        size_t end = at + 1;
        while (end < pointer.size && pointer.data[end] != '/')
            end++;
        node = step(c, source->json, node, (struct bytes){pointer.data + at + 1, end - at - 1});
        const struct compiled *known = node != NULL ? compiled_at(c, node) : NULL;
        if (known != NULL)
            around = known->source;
        at = end;
    }
    if (c->walked > MAX_WALKED) {
        compiler_refuse(c, p->place, keyword, "it takes too long to follow all references");
        return NULL;
    }
    if (node == NULL) {
        compiler_refuse(c, p->place, keyword, "\"%.*s\" leads nowhere", SHOWN_FMT(p->reference));
        return NULL;
    }
    const struct compiled *known = compiled_at(c, node);
    return known != NULL ? known->node : compile_there(c, source, around, node, pointer);
}

/* ---- following ---- */

static bool is_dynamic_anchor(const struct source *source, const struct schema_node *node,
                              struct bytes name)
{
    for (const struct anchor *a = source->resource->dynamic; a != NULL; a = a->next) {
        if (a->node == node && bytes_equal(a->name, name))
            return true;
    }
    return false;
}

static struct schema_node *follow_anchor(struct compiler *c, const struct pending *p,
                                         const struct source *source, struct bytes name)
{
    char *key = arena_alloc(&c->scratch, source->uri.size + 1 + name.size);
    if (key == NULL) {
        compiler_no_memory(c);
        return NULL;
    }
    memcpy(key, source->uri.data, source->uri.size);
    key[source->uri.size] = '#';
    memcpy(key + source->uri.size + 1, name.data, name.size);
    struct bytes full = {key, source->uri.size + 1 + name.size};
    struct schema_node *node = map_get(&c->anchors, full);
    if (node == NULL)
        compiler_refuse(c, p->place, p->dynamic ? "$dynamicRef" : "$ref",
                        "\"%.*s\" leads nowhere: nothing there has the \"$anchor\" \"%.*s\"",
                        SHOWN_FMT(p->reference), SHOWN_FMT(name));
    return node;
}

static bool follow(struct compiler *c, const struct pending *p)
{
    struct bytes raw, fragment = {"", 0};
    struct bytes reference = uri_split(p->reference, &raw);
    struct bytes uri = uri_resolve(&c->scratch, p->source->uri, reference);
    if (uri.data == NULL)
        return compiler_no_memory(c);
    struct source *source = reference.size > 0 ? find_source(c, p, uri) : p->source;
    if (source == NULL)
        return false;
    if (raw.data != NULL)
        fragment = uri_decode(&c->scratch, raw);
    if (fragment.data == NULL || memchr(fragment.data, '\0', fragment.size) != NULL)
        return compiler_refuse(c, p->place, p->dynamic ? "$dynamicRef" : "$ref",
                               "\"%.*s\" is no legal reference", SHOWN_FMT(p->reference));
    struct schema_node *node;
    if (fragment.size == 0)
        node = source->node;
    else if (fragment.data[0] == '/')
        node = follow_pointer(c, p, source, fragment);
    else
        node = follow_anchor(c, p, source, fragment);
    if (node == NULL)
        return false;
    if (!p->dynamic) {
        p->rules->ref = node;
        return true;
    }
    p->rules->dynamic_ref = node;
    if (fragment.size > 0 && is_dynamic_anchor(source, node, fragment))
        p->rules->dynamic_name = arena_copy(&c->schema->arena, fragment);
    return true;
}

bool refs_follow(struct compiler *c)
{
    while (c->pending != NULL) {
        struct pending *p = c->pending;
        c->pending = p->next;
        if (c->pending == NULL)
            c->pending_end = &c->pending;
        if (!follow(c, p))
            return false;
    }
    return true;
}

/* ---- loops ---- */

/* A subschema and those that apply to the same value because of it are a chain.
 * node->chain is the length of the longest one that begins there, 0 when it is
 * not known yet. */
#define ON_THE_WAY UINT8_MAX

static bool measure(struct compiler *c, struct schema_node *node, unsigned depth);

static bool measure_next(struct compiler *c, struct schema_node *from,
                         const struct schema_node *next, unsigned depth, uint8_t *longest)
{
    if (next == NULL)
        return true;
    /* It is one of c->all, and not finished before this. */
    struct schema_node *node = (struct schema_node *)(uintptr_t)next;
    if (node->chain == ON_THE_WAY)
        return compiler_refuse(c, from->place, NULL,
                               "the schema comes back to itself without going into the value; "
                               "a check would never end");
    if (!measure(c, node, depth + 1))
        return false;
    if (node->chain > *longest)
        *longest = node->chain;
    return true;
}

static bool measure_list(struct compiler *c, struct schema_node *from, const struct node_list *list,
                         unsigned depth, uint8_t *longest)
{
    for (uint32_t i = 0; i < list->count; i++) {
        if (!measure_next(c, from, list->nodes[i], depth, longest))
            return false;
    }
    return true;
}

static bool measure_all(struct compiler *c, struct schema_node *from, unsigned depth,
                        uint8_t *longest)
{
    const struct value_rules *v = from->value;
    const struct object_rules *o = from->object;
    if (v != NULL) {
        const struct schema_node *const single[] = {v->ref,       v->dynamic_ref, v->not,
                                                    v->condition, v->then,        v->otherwise};
        struct node_list singles = {(const struct schema_node **)(uintptr_t)single,
                                    sizeof(single) / sizeof(single[0])};
        if (!measure_list(c, from, &singles, depth, longest) ||
            !measure_list(c, from, &v->all, depth, longest) ||
            !measure_list(c, from, &v->any, depth, longest) ||
            !measure_list(c, from, &v->one, depth, longest))
            return false;
    }
    for (uint32_t i = 0; o != NULL && i < o->dependency_count; i++) {
        if (!measure_next(c, from, o->dependencies[i].node, depth, longest))
            return false;
    }
    return true;
}

static bool measure(struct compiler *c, struct schema_node *node, unsigned depth)
{
    if (node->chain != 0)
        return true;
    uint8_t longest = 0;
    node->chain = ON_THE_WAY;
    if (depth < SCHEMA_MAX_CHAIN && !measure_all(c, node, depth, &longest))
        return false;
    if (depth >= SCHEMA_MAX_CHAIN || longest >= SCHEMA_MAX_CHAIN)
        return compiler_refuse(c, node->place, NULL,
                               "more than %d subschemas apply to one value by way of each other",
                               SCHEMA_MAX_CHAIN);
    node->chain = (uint8_t)(longest + 1);
    return true;
}

bool refs_check_loops(struct compiler *c)
{
    for (struct schema_node *node = c->all; node != NULL; node = node->next) {
        if (!measure(c, node, 0))
            return false;
    }
    return true;
}
