/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes core/json. Any text may be refused; one that is accepted must be an index that
 * holds together, decode to UTF-8, and mean the same after it has been written again. The
 * first byte of the input chooses the limits.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/crypto.h"
#include "base/utf8.h"
#include "json/json.h"
#include "must.h"

/* ---- one text ---- */

static void check_number(const struct json *json, const struct json_node *node)
{
    int64_t integer;
    char text[64];
    struct bytes raw = json_raw(json, node);
    bool is_integer = json_int64(json, node, &integer);
    if (raw.size >= sizeof(text))
        return;
    memcpy(text, raw.data, raw.size);
    text[raw.size] = '\0';
    double number = strtod(text, NULL);
    if (is_integer)
        must((double)integer == number);
    else if (raw.size < 15 && strpbrk(text, "eE") == NULL)
        must(number != trunc(number)); /* so few digits are exact */
    if (!isfinite(number))
        return;

    struct buf out;
    buf_init(&out, 100);
    json_write_double(&out, number);
    must(json_check(buf_bytes(&out), &json_default_limits, NULL));
    double back = strtod(out.data, NULL);
    must(memcmp(&back, &number, sizeof(back)) == 0);
    buf_free(&out);
}

static void check_string(const struct json *json, const struct json_node *node, struct arena *arena)
{
    struct bytes text = json_string(json, node, arena);
    must(text.data != NULL && utf8_valid(text));
    must(text.size + 2 <= json_raw(json, node).size);
    const char *c_string = json_cstring(json, node, arena);
    must((c_string == NULL) == (memchr(text.data, '\0', text.size) != NULL));
    if (c_string != NULL)
        must(strlen(c_string) == text.size && json_is(json, node, c_string));

    /* Written and read again it is the same. */
    struct buf out;
    struct json again;
    buf_init(&out, SIZE_MAX);
    json_write_string(&out, text);
    must(json_parse(&again, buf_bytes(&out), &json_default_limits, arena, NULL));
    must(bytes_equal(json_string(&again, again.root, arena), text));
    buf_free(&out);
}

static void check_container(const struct json *json, const struct json_node *node)
{
    const struct json_node *end = node + node->span, *last = node;
    uint32_t count = 0;
    bool object = node->type == JSON_OBJECT;
    for (const struct json_node *n = json_first(node); n != NULL; n = json_next(n + object, end)) {
        must(n > last && n + object < end && n->start > node->start);
        must(!object || (n->type == JSON_STRING && n->span == 1 && n[1].start >= n->end));
        must(n[object].end < node->end);
        last = n;
        count++;
    }
    must(count == node->count);
    must(count > 0 || node->span == 1);
    must(json_raw(json, node).data[0] == (object ? '{' : '['));
}

/* Looks each member up; in large objects only some, or it takes for ever. */
static void check_members(const struct json *json, const struct json_node *object,
                          struct arena *arena)
{
    const struct json_node *end = object + object->span;
    uint32_t step = object->count / 50 + 1, i = 0;
    for (const struct json_node *n = json_first(object); n != NULL; n = json_next(n + 1, end)) {
        if (i++ % step != 0)
            continue;
        const struct json_node *found = json_get_bytes(json, object, json_string(json, n, arena));
        must(found != NULL && (found == n + 1) == !n->repeated);
        must(found >= n + 1); /* the later one counts */
    }
}

/* For people: one line of UTF-8, from a place that is in the text. */
static void check_shown(const struct json *json, const struct json_node *node)
{
    struct buf out;
    unsigned line = 0, column = 0;
    buf_init(&out, SIZE_MAX);
    json_write_shown(&out, json, node);
    must(out.size > 0 && out.size < 200 && utf8_valid(buf_bytes(&out)));
    must(memchr(out.data, '\n', out.size) == NULL);
    buf_free(&out);
    json_place(json, node->start, &line, &column);
    must(line >= 1 && column >= 1);
}

/* Each element is found by its index, and none behind the last. */
static void check_elements(const struct json *json, const struct json_node *array)
{
    const struct json_node *element = json_first(array), *end = array + array->span;
    char pointer[40];
    for (uint32_t i = 0; element != NULL && i < 20; i++, element = json_next(element, end)) {
        snprintf(pointer, sizeof(pointer), "/%u", i);
        must(json_at(json, array, pointer) == element);
    }
    snprintf(pointer, sizeof(pointer), "/%u", array->count);
    must(json_at(json, array, pointer) == NULL && json_at(json, array, "/01") == NULL);
    must(json_get(json, array, "0") == NULL && json_get(json, NULL, "0") == NULL);
}

static void check_index(const struct json *json, struct arena *arena)
{
    must(json->root->span == json->nodes);
    for (size_t i = 0; i < json->nodes; i++) {
        const struct json_node *node = &json->root[i];
        must(node->start < node->end && node->end <= json->text.size);
        must(node->span >= 1 && i + node->span <= json->nodes);
        must(!node->repeated || json->repeated);
        if (json->nodes < 200)
            check_shown(json, node);
        switch (node->type) {
        case JSON_NUMBER:
            check_number(json, node);
            break;
        case JSON_STRING:
            check_string(json, node, arena);
            break;
        case JSON_OBJECT:
            check_members(json, node, arena); /* fall through */
        case JSON_ARRAY:
            check_container(json, node);
            if (node->type == JSON_ARRAY)
                check_elements(json, node);
            break;
        default:
            must(node->type <= JSON_TRUE && node->span == 1 && node->count == 0);
        }
    }
}

/* ---- two texts ---- */

static void check_same(const struct json *a, const struct json *b, struct arena *arena)
{
    must(a->nodes == b->nodes);
    for (size_t i = 0; i < a->nodes; i++) {
        const struct json_node *x = &a->root[i], *y = &b->root[i];
        must(x->type == y->type && x->span == y->span && x->count == y->count);
        if (x->type == JSON_STRING)
            must(bytes_equal(json_string(a, x, arena), json_string(b, y, arena)));
        else if (x->type != JSON_ARRAY && x->type != JSON_OBJECT)
            must(bytes_equal(json_raw(a, x), json_raw(b, y)));
    }
}

static void check_compact(const struct json *json, struct arena *arena)
{
    struct buf out, twice;
    struct json again;
    struct json_limits limits = json_default_limits;
    limits.max_depth = UINT32_MAX;
    buf_init(&out, json->text.size);
    buf_init(&twice, json->text.size);
    json_write_compact(&out, json, json->root);
    must(!out.failed);
    must(json_parse(&again, buf_bytes(&out), &limits, arena, NULL));
    if (!json->repeated)
        check_same(json, &again, arena);
    json_write_compact(&twice, &again, again.root);
    must(bytes_equal(buf_bytes(&out), buf_bytes(&twice)));
    buf_free(&out);
    buf_free(&twice);
}

/* Any bytes, as a pointer and as the content of a string. */
static void check_as_text(const struct json *json, const uint8_t *data, size_t size,
                          struct arena *arena)
{
    struct bytes pointer = arena_copy(arena, (struct bytes){(const char *)data, size});
    const struct json_node *found = json_at(json, json->root, pointer.data);
    must(found == NULL || (found >= json->root && found < json->root + json->nodes));

    struct buf out;
    struct json string;
    buf_init(&out, SIZE_MAX);
    json_write_string(&out, (struct bytes){(const char *)data, size});
    must(json_parse(&string, buf_bytes(&out), &json_default_limits, arena, NULL));
    must(string.root->type == JSON_STRING);
    buf_free(&out);
}

/* The canonical form is a fixed point. */
static void check_canonical(const struct json *json, struct arena *arena)
{
    struct buf out, twice;
    struct json again;
    struct json_limits limits = json_default_limits;
    limits.max_depth = UINT32_MAX;
    buf_init(&out, SIZE_MAX);
    buf_init(&twice, SIZE_MAX);
    if (!json->repeated && json_write_canonical(&out, json, json->root, arena)) {
        must(json_parse(&again, buf_bytes(&out), &limits, arena, NULL));
        must(again.nodes == json->nodes);
        must(json_write_canonical(&twice, &again, again.root, arena));
        must(bytes_equal(buf_bytes(&out), buf_bytes(&twice)));
    }
    buf_free(&out);
    buf_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    if (!ready)
        ready = crypto_init();
    if (size == 0)
        return 0;
    struct json_limits limits = json_default_limits;
    limits.comments = (data[0] & 1) != 0;
    limits.duplicates = (data[0] & 2) != 0;
    if ((data[0] & 4) != 0)
        limits.max_depth = 4;
    if ((data[0] & 8) != 0)
        limits.max_nodes = 20;

    struct json json;
    struct json_error err, check_err;
    struct arena arena;
    struct bytes text = {(const char *)data + 1, size - 1};
    arena_init(&arena, SIZE_MAX);
    bool accepted = json_parse(&json, text, &limits, &arena, &err);
    must(json_check(text, &limits, &check_err) == accepted);
    if (accepted) {
        must(json.nodes <= limits.max_nodes);
        must(limits.duplicates || !json.repeated);
        check_index(&json, &arena);
        check_compact(&json, &arena);
        check_canonical(&json, &arena);
        check_as_text(&json, data, size < 200 ? size : 200, &arena);
    } else {
        must(err.offset <= text.size && err.line >= 1 && err.column >= 1);
        must(strcmp(err.text, check_err.text) == 0 && err.text[0] != '\0');
        must(utf8_valid(bytes_of(err.text)) && err.kind == check_err.kind);
    }
    arena_free(&arena);
    return 0;
}
