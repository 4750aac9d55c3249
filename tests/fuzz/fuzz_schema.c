/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes core/json/schema: the first line of the input is a schema, the rest an
 * instance. Whatever they are, both end soon, and the verdict is the same with
 * and without a report, for the same text written otherwise, and upside down.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/crypto.h"
#include "base/utf8.h"
#include "json/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "must: %s\n", what);
        abort();
    }
}

#define VOCABULARY(name) "\"https://json-schema.org/draft/2020-12/vocab/" name "\""

struct seen {
    const struct json *json;
    unsigned failures;
    bool given_up;
};

static bool on_failure(void *context, const struct schema_failure *failure)
{
    struct seen *seen = context;
    const struct json *json = seen->json;
    seen->failures++;
    seen->given_up |= strncmp(failure->text, "not checked", 11) == 0;
    must(*failure->text != '\0' && strchr(failure->text, '\n') == NULL, "a line of text");
    must(utf8_valid(bytes_of(failure->text)), "text in UTF-8");
    must(failure->value >= json->root && failure->value < json->root + json->nodes, "a value");
    /* The pointer leads to the value, or to the member that has this name; one
     * with a NUL in it is not seen to its end. */
    const struct json_node *found = json_at(json, json->root, failure->instance);
    must(found == failure->value || found == failure->value + 1 || json->repeated ||
             memmem(json->text.data, json->text.size, "\\u0000", 6) != NULL,
         "a pointer to the value");
    return true;
}

/* The documents that a schema may refer to: others, and two meta-schemas. */
static const struct json *resolve(void *context, const char *uri)
{
    static const struct {
        const char *uri, *text;
    } documents[] = {
        {"x:other",
         "{\"$defs\":{\"a\":{\"$anchor\":\"b\",\"type\":\"integer\",\"$ref\":\"#/$defs/c\"},"
         "\"c\":{\"$id\":\"x:inner\",\"maximum\":5}}}"},
        {"x:vocabulary", "{\"$vocabulary\":{" VOCABULARY("core") ":true," VOCABULARY("validation") ":true," VOCABULARY(
                             "applicator") ":false," VOCABULARY("unevaluated") ":true," VOCABULARY("format-annotation") ":true,\"x:y\":false}}"},
        {"x:assertion", "{\"$vocabulary\":{" VOCABULARY("format-assertion") ":true}}"},
        {"x:strange", "{\"$vocabulary\":{\"x:y\":true}}"},
        {"x:plain", "{}"},
    };
    static struct json parsed[sizeof(documents) / sizeof(documents[0])];
    static struct arena arena;
    (void)context;
    if (parsed[0].root == NULL)
        arena_init(&arena, SIZE_MAX);
    for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++) {
        if (parsed[i].root == NULL)
            must(json_parse(&parsed[i], bytes_of(documents[i].text), &json_default_limits, &arena,
                            NULL),
                 "a document");
        if (strcmp(uri, documents[i].uri) == 0)
            return &parsed[i];
    }
    return NULL;
}

static struct schema *compile(const struct json *json, bool assert_format)
{
    const struct schema_options options = {.assert_format = assert_format, .resolve = resolve};
    struct error err = {.text = ""};
    struct schema *schema = schema_compile(json, json->root, &options, &err);
    must((schema == NULL) == (err.text[0] != '\0'), "an error when there is no schema");
    must(utf8_valid(bytes_of(err.text)), "an error in UTF-8");
    return schema;
}

static bool verdict(const struct schema *schema, const struct json *json, bool *given_up)
{
    struct seen seen = {.json = json};
    bool valid = schema_validate(schema, json, json->root, NULL, NULL);
    must(schema_validate(schema, json, json->root, on_failure, &seen) == valid, "one verdict");
    must(valid == (seen.failures == 0), "a reason when it is not valid");
    *given_up = seen.given_up;
    return valid;
}

/* {"not": schema} says the contrary, unless it is given up. */
static void check_contrary(const struct json *schema_json, const struct json *instance, bool valid,
                           struct arena *arena)
{
    struct buf text;
    struct json json;
    bool given_up;
    buf_init(&text, SIZE_MAX);
    BUF_LIT(&text, "{\"not\":");
    json_write_compact(&text, schema_json, schema_json->root);
    BUF_LIT(&text, "}");
    /* References mean something else a level deeper. */
    bool refers = memmem(text.data, text.size, "$", 1) != NULL;
    if (!refers && json_parse(&json, buf_bytes(&text), &json_default_limits, arena, NULL)) {
        struct schema *schema = compile(&json, false);
        if (schema != NULL) {
            bool contrary = verdict(schema, instance, &given_up);
            must(given_up || contrary != valid, "the contrary of not");
        }
        schema_free(schema);
    }
    buf_free(&text);
}

static void check(const struct json *schema_json, struct bytes instance_text, struct arena *arena)
{
    struct json instance, again;
    struct schema *schema = compile(schema_json, false);
    struct schema *strict = compile(schema_json, true);
    struct buf compact;
    bool given_up, again_given_up;
    must((schema == NULL) == (strict == NULL), "a format has no say in legality");
    buf_init(&compact, SIZE_MAX);
    if (schema != NULL && json_parse(&instance, instance_text, &json_default_limits, arena, NULL)) {
        bool valid = verdict(schema, &instance, &given_up);
        json_write_compact(&compact, &instance, instance.root);
        must(json_parse(&again, buf_bytes(&compact), &json_default_limits, arena, NULL),
             "compact text");
        bool same = verdict(schema, &again, &again_given_up) == valid;
        must(same || given_up || again_given_up, "white space has no say");
        if (!given_up)
            check_contrary(schema_json, &instance, valid, arena);
        bool strictly = verdict(strict, &instance, &again_given_up);
        (void)strictly;
    }
    buf_free(&compact);
    schema_free(schema);
    schema_free(strict);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    if (!ready)
        ready = crypto_init();
    const uint8_t *end = size > 0 ? memchr(data, '\n', size) : NULL;
    if (end == NULL)
        return 0;
    struct bytes first = {(const char *)data, (size_t)(end - data)};
    struct bytes rest = {(const char *)end + 1, size - first.size - 1};
    struct json schema_json;
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    if (json_parse(&schema_json, first, &json_default_limits, &arena, NULL))
        check(&schema_json, rest, &arena);
    arena_free(&arena);
    return 0;
}
