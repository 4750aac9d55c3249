/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes URI templates: the input is a template, a line end, and a URI. Any bytes
 * may be refused as a template, with a sentence; one that is taken either does
 * not fit the URI and says nothing, or gives its variables as a strict JSON
 * object of names that the template has.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/crypto.h"
#include "json/json.h"
#include "plugin/uri_template.h"
#include "must.h"

static void check_variables(const struct uri_template *template, struct bytes text)
{
    struct arena arena;
    struct json json;

    arena_init(&arena, 1u << 24);
    must(json_parse(&json, text, &json_default_limits, &arena, NULL));
    must(json.root->type == JSON_OBJECT);
    const struct json_node *end = json.root + json.root->span;
    for (const struct json_node *name = json_first(json.root); name != NULL;
         name = json_next(name + 1, end)) {
        struct bytes plain = json_string(&json, name, &arena);
        must(plain.data != NULL && uri_template_has_variable(template, plain));
        must(name[1].type >= JSON_STRING);
    }
    arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    if (!ready)
        ready = crypto_init();

    const char *text = (const char *)data;
    const char *line = size > 0 ? memchr(text, '\n', size) : NULL;
    if (line == NULL)
        return 0;
    struct bytes first = {text, (size_t)(line - text)};
    struct bytes uri = {line + 1, size - first.size - 1};
    struct error err = {.text = ""};
    struct uri_template *template = uri_template_new(first, &err);
    if (template == NULL) {
        must(err.text[0] != '\0');
        return 0;
    }
    struct buf out;
    buf_init(&out, 1u << 20);
    bool matches = uri_template_match(template, uri, &out);
    must(!out.failed && matches == (out.size > 0));
    if (matches)
        check_variables(template, buf_bytes(&out));
    buf_free(&out);
    uri_template_free(template);
    return 0;
}
