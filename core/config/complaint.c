/* SPDX-License-Identifier: MIT */
/* The lines that tell a person what is wrong with the configuration, and where. */
#include "config/reading.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/similar.h"
#include "base/utf8.h"

#define LINE_MAX_BYTES 4096
#define NAME_SHOWN 60 /* bytes of a name */

/* Names of files may hold anything, a line must stay one line. */
static void escape_controls(char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
    }
}

static void send_line(struct reading *r, struct buf *line)
{
    if (r->complaints++ >= COMPLAINTS_MAX) {
        if (r->complaints == COMPLAINTS_MAX + 1)
            r->complain(r->context, "there is more to complain about: correct these first");
    } else if (line->data == NULL || line->failed) {
        r->complain(r->context, "out of memory");
    } else {
        escape_controls(line->data);
        r->complain(r->context, line->data);
    }
    buf_free(line);
}

static void add_text(struct buf *line, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static void add_text(struct buf *line, const char *format, va_list args)
{
    char text[2048];
    int size = vsnprintf(text, sizeof(text), format, args);
    struct bytes all = bytes_of(text);
    if (size >= (int)sizeof(text))
        all.size = utf8_valid_prefix(all); /* not half a character */
    buf_add_bytes(line, all);
}

void complaint(struct reading *r, const char *format, ...)
{
    struct buf line;
    buf_init(&line, LINE_MAX_BYTES);
    va_list args;
    if (r->before != NULL)
        buf_addf(&line, "%s: ", r->before);
    va_start(args, format);
    add_text(&line, format, args);
    va_end(args);
    send_line(r, &line);
}

void complaint_place(struct buf *out, const char *file, const struct json *json, size_t offset)
{
    unsigned line, column;
    json_place(json, offset, &line, &column);
    buf_addf(out, "%s:%u:%u", file, line, column);
}

const char *complaint_place_of(struct reading *r, const struct document *doc, const char *pointer)
{
    const struct json_node *value = json_at(&doc->json, doc->json.root, pointer);
    struct buf place;

    if (value == NULL)
        return NULL;
    buf_init(&place, LINE_MAX_BYTES);
    complaint_place(&place, doc->file, &doc->json, value->start);
    const char *copy = place.failed ? NULL : config_copy_string(r->arena, buf_bytes(&place));
    buf_free(&place);
    return copy;
}

/* ---- paths ---- */

static bool is_word(struct bytes name)
{
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '-' || c == '$'))
            return false;
    }
    return name.size > 0;
}

/* The token of a pointer that starts at its '/', "~0" and "~1" undone. */
static struct bytes pointer_token(const char *pointer, struct buf *out)
{
    buf_clear(out);
    for (const char *p = pointer + 1; *p != '\0' && *p != '/'; p++) {
        if (p[0] == '~' && (p[1] == '0' || p[1] == '1'))
            buf_add_char(out, *++p == '0' ? '~' : '/');
        else
            buf_add_char(out, *p);
    }
    return buf_bytes(out);
}

static const char *pointer_next(const char *pointer)
{
    return pointer + 1 + strcspn(pointer + 1, "/");
}

static void add_step(struct buf *out, bool first, bool in_array, struct bytes token)
{
    if (in_array) {
        buf_addf(out, "[%.*s]", BYTES_FMT(token));
    } else if (is_word(token)) {
        buf_addf(out, "%s%.*s", first ? "" : ".", BYTES_FMT(token));
    } else {
        bool cut = token.size > NAME_SHOWN;
        if (cut) {
            token.size = NAME_SHOWN;
            token.size = utf8_valid_prefix(token);
        }
        buf_add_char(out, '[');
        json_write_string(out, token);
        buf_addf(out, "%s]", cut ? "..." : "");
    }
}

/* "/listen/0/port" as "listen[0].port". */
static void path_write(struct buf *out, const struct json *json, const char *pointer)
{
    const struct json_node *node = json->root;
    struct buf token;
    buf_init(&token, CONFIG_FILE_MAX);
    for (const char *p = pointer; *p == '/'; p = pointer_next(p)) {
        bool in_array = node != NULL && node->type == JSON_ARRAY;
        struct bytes name = pointer_token(p, &token);
        add_step(out, p == pointer, in_array, name);
        if (in_array) {
            const struct json_node *end = node + node->span;
            unsigned long index = strtoul(name.data, NULL, 10);
            node = json_first(node);
            for (; node != NULL && index > 0; index--)
                node = json_next(node, end);
        } else {
            node = json_get_bytes(json, node, name);
        }
    }
    buf_free(&token);
}

static void add_place(struct buf *line, const struct document *doc, const struct json_node *value,
                      const char *pointer)
{
    complaint_place(line, doc->file, &doc->json, value->start);
    BUF_LIT(line, ": ");
    if (*pointer != '\0') {
        path_write(line, &doc->json, pointer);
        BUF_LIT(line, ": ");
    }
}

void complaint_at(struct reading *r, const struct document *doc, const struct json_node *value,
                  const char *pointer, const char *format, ...)
{
    struct buf line;
    buf_init(&line, LINE_MAX_BYTES);
    add_place(&line, doc, value, pointer);
    va_list args;
    va_start(args, format);
    add_text(&line, format, args);
    va_end(args);
    send_line(r, &line);
}

/* ---- what the schema found ---- */

/* The schema that holds the keyword at `pointer`: its parent. A pointer that
 * goes through "$ref" follows the reference, which is always a local one. */
static const struct json_node *keyword_schema(const struct reading *r, const struct json_node *node,
                                              const char *pointer)
{
    const struct json *json = &r->schema_json;
    struct buf token;
    buf_init(&token, CONFIG_FILE_MAX);
    while (node != NULL && *pointer == '/') {
        const char *next = pointer_next(pointer);
        if (*next == '\0')
            break;
        struct bytes name = pointer_token(pointer, &token);
        node = json_get_bytes(json, node, name);
        if (node != NULL && node->type == JSON_STRING && bytes_equal(name, BYTES("$ref"))) {
            buf_clear(&token);
            buf_add_bytes(&token, json_raw(json, node)); /* "#/$defs/..." with its quotes */
            if (token.data == NULL || token.size < 3)
                break;
            token.data[token.size - 1] = '\0';
            node = json_at(json, json->root, token.data + 2);
        }
        pointer = next;
    }
    buf_free(&token);
    return node;
}

/* The key of the schema that `name` was probably meant to be. */
static struct bytes similar_key(const struct reading *r, const struct json_node *properties,
                                struct bytes name)
{
    struct bytes best = {NULL, 0};
    if (properties == NULL || name.size > SIMILAR_NAME_MAX)
        return best;
    size_t nearest = name.size / 3 + 2; /* from there on it is no slip of the finger */
    const struct json_node *end = properties + properties->span;
    for (const struct json_node *key = json_first(properties); key != NULL;
         key = json_next(key + 1, end)) {
        struct bytes text = json_raw(&r->schema_json, key);
        text = (struct bytes){text.data + 1, text.size - 2};
        if (text.size > SIMILAR_NAME_MAX)
            continue;
        size_t distance = edit_distance(name, text);
        if (distance < nearest && distance < text.size) {
            nearest = distance;
            best = text;
        }
    }
    return best;
}

static void unknown_key(struct reading *r, const struct document *doc,
                        const struct json_node *schema, const struct schema_failure *failure)
{
    const char *last = strrchr(failure->instance, '/');
    struct buf token;
    buf_init(&token, CONFIG_FILE_MAX);
    struct bytes name = last != NULL ? pointer_token(last, &token) : (struct bytes){NULL, 0};
    struct bytes similar = similar_key(r, json_get(&r->schema_json, schema, "properties"), name);
    /* The node before a member's value is its name. */
    const struct json_node *where =
        failure->value > doc->json.root ? failure->value - 1 : failure->value;
    if (similar.data != NULL) {
        complaint_at(r, doc, where, failure->instance, "unknown key; did you mean \"%.*s\"?",
                     BYTES_FMT(similar));
    } else {
        complaint_at(r, doc, where, failure->instance, "unknown key; mcpd.json(5) lists all");
    }
    buf_free(&token);
}

void complaint_failure(struct reading *r, const struct document *doc, const struct json_node *root,
                       const struct schema_failure *failure)
{
    const struct json_node *schema = keyword_schema(r, root, failure->keyword);
    const char *keyword = strrchr(failure->keyword, '/');
    keyword = keyword != NULL ? keyword + 1 : "";
    if (strcmp(keyword, "additionalProperties") == 0) {
        unknown_key(r, doc, schema, failure);
        return;
    }

    struct buf line;
    buf_init(&line, LINE_MAX_BYTES);
    add_place(&line, doc, failure->value, failure->instance);
    /* In place of the pattern, what it means. Editors show it, too. */
    const struct json_node *meaning = NULL;
    if (strcmp(keyword, "pattern") == 0 || strcmp(keyword, "type") == 0)
        meaning = json_get(&r->schema_json, schema, "patternErrorMessage");
    if (meaning != NULL) {
        buf_add_bytes(&line, json_string(&r->schema_json, meaning, &r->scratch));
        BUF_LIT(&line, ", got ");
        json_write_shown(&line, &doc->json, failure->value);
    } else {
        buf_add_bytes(&line, bytes_of(failure->text));
    }
    send_line(r, &line);
}
