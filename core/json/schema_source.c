/* SPDX-License-Identifier: MIT */
/* Resources: parts of a schema with a URI and a dialect of their own, and the
 * names in them that references can lead to. */
#include "json/schema_compiler.h"

const struct dialect dialect_2020 = {
    .applicator = true, .unevaluated = true, .validation = true, .format = true};
const struct dialect dialect_7 = {
    .draft7 = true, .applicator = true, .validation = true, .format = true};

/* ---- "$schema" ---- */

static bool is_uri(struct bytes uri, const char *other)
{
    return bytes_equal(uri, bytes_of(other));
}

/* One entry of "$vocabulary": a vocabulary that is known is used whether it is
 * required or not. */
static bool use_vocabulary(struct dialect *dialect, struct bytes uri)
{
    static const char prefix[] = "https://json-schema.org/draft/2020-12/vocab/";
    size_t size = sizeof(prefix) - 1;
    if (uri.size < size || memcmp(uri.data, prefix, size) != 0)
        return false;
    struct bytes name = {uri.data + size, uri.size - size};
    if (is_uri(name, "applicator"))
        dialect->applicator = true;
    else if (is_uri(name, "unevaluated"))
        dialect->unevaluated = true;
    else if (is_uri(name, "validation"))
        dialect->validation = true;
    else if (is_uri(name, "format-annotation"))
        dialect->format = true;
    else if (is_uri(name, "format-assertion"))
        dialect->format = dialect->assert_format = true;
    else
        return is_uri(name, "core") || is_uri(name, "meta-data") || is_uri(name, "content");
    return true;
}

static bool read_vocabularies(struct compiler *c, const struct where *where,
                              const struct json *meta, struct bytes meta_uri,
                              struct dialect *dialect)
{
    const struct json_node *list = json_get(meta, meta->root, "$vocabulary");
    if (list == NULL || list->type != JSON_OBJECT) {
        *dialect = dialect_2020;
        return true;
    }
    *dialect = (struct dialect){.draft7 = false};
    const struct json_node *end = list + list->span;
    for (const struct json_node *name = json_first(list); name != NULL;
         name = json_next(name + 1, end)) {
        struct bytes uri = schema_string(meta, name, &c->scratch);
        if (!use_vocabulary(dialect, uri) && name[1].type == JSON_TRUE)
            return compiler_refuse(c, where->place, "$schema",
                                   "\"%.*s\" requires the unknown vocabulary \"%.*s\"",
                                   SHOWN_FMT(meta_uri), SHOWN_FMT(uri));
    }
    return true;
}

static bool read_dialect(struct compiler *c, const struct where *where, struct dialect *dialect)
{
    const struct json_node *value = json_get(where->json, where->object, "$schema");
    if (value == NULL)
        return true;
    const char *text = json_cstring(where->json, value, &c->scratch);
    if (text == NULL)
        return compiler_refuse(c, where->place, "$schema", "expected a string, a URI");
    struct bytes fragment, uri = uri_split(bytes_of(text), &fragment);
    if (is_uri(uri, "https://json-schema.org/draft/2020-12/schema")) {
        *dialect = dialect_2020;
        return true;
    }
    if (is_uri(uri, "http://json-schema.org/draft-07/schema") ||
        is_uri(uri, "https://json-schema.org/draft-07/schema")) {
        *dialect = dialect_7;
        return true;
    }
    const struct json *meta =
        c->options->resolve != NULL ? c->options->resolve(c->options->context, text) : NULL;
    if (meta != NULL)
        return read_vocabularies(c, where, meta, uri, dialect);
    return compiler_refuse(c, where->place, "$schema",
                           "the dialect \"%.*s\" is not known; "
                           "\"https://json-schema.org/draft/2020-12/schema\" and "
                           "\"http://json-schema.org/draft-07/schema#\" are",
                           SHOWN_FMT(bytes_of(text)));
}

/* ---- "$id" ---- */

/* The URI and fragment of "$id"; false: an error. *uri has .data NULL when there is none. */
static bool read_id(struct compiler *c, const struct where *where, const struct dialect *dialect,
                    struct bytes base, struct bytes *uri)
{
    *uri = (struct bytes){NULL, 0};
    const struct json_node *value = json_get(where->json, where->object, "$id");
    bool hidden = dialect->draft7 && json_get(where->json, where->object, "$ref") != NULL;
    if (value == NULL || hidden)
        return true;
    struct bytes fragment, id = json_string(where->json, value, &c->scratch);
    if (id.data == NULL)
        return compiler_refuse(c, where->place, "$id", "expected a string, a URI");
    id = uri_split(id, &fragment);
    if (fragment.size > 0 && !dialect->draft7)
        return compiler_refuse(c, where->place, "$id",
                               "expected a URI without a fragment; \"$anchor\" names a place");
    if (id.size == 0)
        return true;
    *uri = uri_resolve(&c->scratch, base, id);
    return uri->data != NULL || compiler_no_memory(c);
}

static bool name_source(struct compiler *c, const struct where *where, struct source *source,
                        struct bytes uri)
{
    const struct source *other = map_get(&c->sources, uri);
    if (other == NULL)
        return map_put(&c->sources, &c->scratch, uri, source) || compiler_no_memory(c);
    if (other->json == source->json)
        return compiler_refuse(c, where->place, "$id", "\"%.*s\" is there twice", SHOWN_FMT(uri));
    return true; /* that of the document that refers to this one counts */
}

/* Is this a schema that the "$id" in it, or its being a document, makes a resource? */
struct source *source_enter(struct compiler *c, const struct where *where, struct schema_node *node)
{
    bool document = where->source == NULL;
    struct dialect dialect = document ? *where->dialect : where->source->dialect;
    struct bytes base = document ? where->uri : where->source->uri, uri;
    bool has_id = json_get(where->json, where->object, "$id") != NULL;
    if ((document || has_id) && !read_dialect(c, where, &dialect))
        return NULL;
    if (!read_id(c, where, &dialect, base, &uri))
        return NULL;
    if (!document && uri.data == NULL)
        return where->source;

    struct source *source = arena_calloc(&c->scratch, 1, sizeof(*source));
    struct resource *resource = compiler_alloc(c, 1, sizeof(*resource));
    if (source == NULL || resource == NULL) {
        compiler_no_memory(c);
        return NULL;
    }
    *source = (struct source){.resource = resource,
                              .uri = uri.data != NULL ? uri : base,
                              .json = where->json,
                              .root = where->object,
                              .node = node,
                              .place = where->place,
                              .dialect = dialect};
    if (document && !map_put(&c->sources, &c->scratch, where->uri, source)) {
        compiler_no_memory(c);
        return NULL;
    }
    bool named =
        uri.data == NULL || bytes_equal(uri, where->uri) || name_source(c, where, source, uri);
    return named ? source : NULL;
}

/* ---- anchors ---- */

static bool is_anchor_name(struct bytes name)
{
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        bool other = (c >= '0' && c <= '9') || c == '-' || c == '.';
        if (!letter && (i == 0 || !other))
            return false;
    }
    return name.size > 0;
}

bool source_anchor(struct subschema *s, const char *keyword, struct bytes name, bool dynamic)
{
    struct compiler *c = s->c;
    struct bytes uri = s->source->uri;
    if (!s->source->dialect.draft7 && !is_anchor_name(name))
        return compiler_refuse(c, s->node->place, keyword,
                               "expected a name: a letter or \"_\", then letters, digits and any "
                               "of \"-._\"");
    struct anchor *anchor = compiler_alloc(c, 1, sizeof(*anchor));
    char *key = arena_alloc(&c->scratch, uri.size + 1 + name.size);
    struct bytes copy = arena_copy(&c->schema->arena, name);
    if (anchor == NULL || key == NULL || copy.data == NULL)
        return compiler_no_memory(c);
    memcpy(key, uri.data, uri.size);
    key[uri.size] = '#';
    memcpy(key + uri.size + 1, name.data, name.size);
    struct bytes full = {key, uri.size + 1 + name.size};
    const struct schema_node *other = map_get(&c->anchors, full);
    if (other != NULL && other != s->node)
        return compiler_refuse(c, s->node->place, keyword, "\"%.*s\" is there twice",
                               SHOWN_FMT(name));
    if (!map_put(&c->anchors, &c->scratch, full, s->node))
        return compiler_no_memory(c);
    if (dynamic) {
        *anchor = (struct anchor){s->source->resource->dynamic, copy, s->node};
        s->source->resource->dynamic = anchor;
    }
    return true;
}
