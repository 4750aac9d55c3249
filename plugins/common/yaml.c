/* SPDX-License-Identifier: MIT */
/* From libyaml's events to values. The only file that knows libyaml. */
#include "document.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define MANY 256 /* names in an object; with more, each is not compared with all */

struct anchor {
    char *name;
    struct value *value;
    struct anchor *next;
};

struct reader {
    yaml_parser_t parser;
    struct document *document;
    struct anchor *anchors; /* the newest of a name first */
    const struct document_limits *limits;
    unsigned values;
};

/* ---- faults ---- */

__attribute__((format(printf, 3, 4))) static struct value *refuse(struct reader *reader,
                                                                  const yaml_event_t *event,
                                                                  const char *format, ...)
{
    struct document *document = reader->document;
    va_list arguments;

    if (document->fault[0] != '\0')
        return NULL; /* the first one counts */
    va_start(arguments, format);
    vsnprintf(document->fault, sizeof(document->fault), format, arguments);
    va_end(arguments);
    if (event != NULL)
        document->line = (unsigned)event->start_mark.line + 1;
    return NULL;
}

/* libyaml's own words, with ours where people meet them most. */
static bool next_event(struct reader *reader, yaml_event_t *event)
{
    const yaml_parser_t *parser = &reader->parser;

    if (yaml_parser_parse(&reader->parser, event))
        return true;
    const char *problem = parser->problem != NULL ? parser->problem : "out of memory";
    bool colon = strstr(problem, "mapping values are not allowed") != NULL;
    refuse(reader, NULL, "%s%s", problem, colon ? " (a text with \": \" in it needs quotes)" : "");
    if (parser->error != YAML_READER_ERROR && parser->error != YAML_MEMORY_ERROR)
        reader->document->line = (unsigned)parser->problem_mark.line + 1;
    memset(event, 0, sizeof(*event));
    return false;
}

/* ---- values ---- */

static struct value *new_value(struct reader *reader, enum value_kind kind)
{
    if (++reader->values > reader->limits->values)
        return refuse(reader, NULL, "it has too many values");
    struct value *value = document_take(reader->document, sizeof(*value));
    if (value == NULL)
        return refuse(reader, NULL, "out of memory");
    *value = (struct value){.kind = kind};
    return value;
}

static bool add_item(struct reader *reader, struct value *to, struct value *item)
{
    if ((to->count & (to->count - 1)) == 0) { /* full: 0, 1, 2, 4, ... */
        size_t room = to->count == 0 ? 1 : to->count * 2;
        struct value **items = document_take(reader->document, room * sizeof(*items));
        if (items == NULL)
            return refuse(reader, NULL, "out of memory") != NULL;
        if (to->count > 0)
            memcpy(items, to->items, to->count * sizeof(*items));
        to->items = items;
    }
    to->items[to->count++] = item;
    return true;
}

static bool set_text(struct reader *reader, struct value *value, const char *data, size_t size)
{
    value->text = document_take(reader->document, size + 1);
    if (value->text == NULL)
        return refuse(reader, NULL, "out of memory") != NULL;
    if (size > 0)
        memcpy(value->text, data, size);
    value->text[size] = '\0';
    value->size = size;
    return true;
}

/* The anchor of a value, from before its content is read. */
static bool remember(struct reader *reader, const yaml_char_t *name, struct value *value)
{
    if (name == NULL)
        return true;
    struct anchor *anchor = calloc(1, sizeof(*anchor));
    if (anchor == NULL)
        return refuse(reader, NULL, "out of memory") != NULL;
    anchor->value = value;
    anchor->next = reader->anchors;
    reader->anchors = anchor;
    anchor->name = strdup((const char *)name);
    return anchor->name != NULL || refuse(reader, NULL, "out of memory") != NULL;
}

static struct value *find_anchor(struct reader *reader, const yaml_event_t *event)
{
    const char *name = (const char *)event->data.alias.anchor;

    for (struct anchor *a = reader->anchors; a != NULL; a = a->next) {
        if (strcmp(a->name, name) != 0)
            continue;
        if (a->value->open)
            return refuse(reader, event, "*%s is inside of what it stands for", name);
        return a->value;
    }
    return refuse(reader, event, "there is no &%s before *%s", name, name);
}

/* ---- scalars ---- */

#define TAG(name) "tag:yaml.org,2002:" name

/* What a tag asks for; false: it is none of the core schema's. */
static bool tagged_kind(const char *tag, enum value_kind *kind)
{
    static const struct {
        const char *tag;
        enum value_kind kind;
    } known[] = {
        {"!", VALUE_STRING},          {TAG("str"), VALUE_STRING}, {TAG("null"), VALUE_NULL},
        {TAG("bool"), VALUE_BOOLEAN}, {TAG("int"), VALUE_NUMBER}, {TAG("float"), VALUE_NUMBER},
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(tag, known[i].tag) == 0) {
            *kind = known[i].kind;
            return true;
        }
    }
    return false;
}

static struct value *read_scalar(struct reader *reader, const yaml_event_t *event)
{
    const char *data = (const char *)event->data.scalar.value;
    const char *tag = (const char *)event->data.scalar.tag, *fault = NULL;
    size_t size = event->data.scalar.length;
    enum value_kind kind = VALUE_STRING, wanted = VALUE_STRING;
    struct text json;

    if (tag != NULL && !tagged_kind(tag, &wanted))
        return refuse(reader, event, "the tag %.60s is none that JSON has a value for", tag);
    text_init(&json, 64 * 1024);
    if (tag != NULL ? wanted != VALUE_STRING : event->data.scalar.plain_implicit != 0)
        kind = scalar_kind(data, size, &json, &fault);
    struct value *value = NULL;
    if (fault != NULL)
        refuse(reader, event, "%s", fault);
    else if (tag != NULL && kind != wanted)
        refuse(reader, event, "%.60s does not fit its tag %.60s", data, tag);
    else if ((value = new_value(reader, kind)) != NULL &&
             !(kind == VALUE_STRING ? set_text(reader, value, data, size)
                                    : set_text(reader, value, json.data, json.size)))
        value = NULL;
    if (json.failed)
        value = refuse(reader, event, "a number is too long");
    text_free(&json);
    return value;
}

/* ---- collections ---- */

static struct value *read_value(struct reader *reader, yaml_event_t *event, int depth);

/* A member's name is a scalar; one that is no string counts as it is written. */
static bool check_name(struct reader *reader, const yaml_event_t *event, const struct value *object,
                       struct value *name)
{
    if (name->kind == VALUE_ARRAY || name->kind == VALUE_OBJECT || name->kind == VALUE_NULL)
        return refuse(reader, event, "a name must be a text, for JSON has no others") != NULL;
    for (size_t i = 0; i < object->count && object->count < 2 * MANY; i += 2) {
        const struct value *other = object->items[i];
        if (other->size == name->size && memcmp(other->text, name->text, name->size) == 0)
            return refuse(reader, event, "the name %.60s is there twice", name->text) != NULL;
    }
    return true;
}

static bool read_items(struct reader *reader, struct value *value, yaml_event_type_t end, int depth)
{
    for (;;) {
        yaml_event_t event;
        if (!next_event(reader, &event))
            return false;
        bool done = event.type == end;
        bool is_name = value->kind == VALUE_OBJECT && value->count % 2 == 0;
        struct value *item = done ? NULL : read_value(reader, &event, depth + 1);
        bool good =
            done || (item != NULL && (!is_name || check_name(reader, &event, value, item)) &&
                     add_item(reader, value, item));
        yaml_event_delete(&event);
        if (done || !good)
            return good;
    }
}

static struct value *read_collection(struct reader *reader, const yaml_event_t *event, int depth)
{
    bool is_array = event->type == YAML_SEQUENCE_START_EVENT;
    const yaml_char_t *anchor =
        is_array ? event->data.sequence_start.anchor : event->data.mapping_start.anchor;
    const char *tag =
        (const char *)(is_array ? event->data.sequence_start.tag : event->data.mapping_start.tag);

    if (tag != NULL && strcmp(tag, "!") != 0 &&
        strcmp(tag, is_array ? TAG("seq") : TAG("map")) != 0)
        return refuse(reader, event, "the tag %.60s is none that JSON has a value for", tag);
    if (depth >= reader->limits->depth)
        return refuse(reader, event, "it is nested more than %d deep", reader->limits->depth);
    struct value *value = new_value(reader, is_array ? VALUE_ARRAY : VALUE_OBJECT);
    if (value == NULL || !remember(reader, anchor, value))
        return NULL;
    value->open = true;
    bool good = read_items(reader, value,
                           is_array ? YAML_SEQUENCE_END_EVENT : YAML_MAPPING_END_EVENT, depth);
    value->open = false;
    const struct value *twice = good && !is_array ? value_complete(reader->document, value) : NULL;
    if (twice != NULL)
        return refuse(reader, event, "the name %.60s is there twice", twice->text);
    return good ? value : NULL;
}

static struct value *read_value(struct reader *reader, yaml_event_t *event, int depth)
{
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return find_anchor(reader, event);
    case YAML_SCALAR_EVENT: {
        struct value *value = read_scalar(reader, event);
        return value != NULL && remember(reader, event->data.scalar.anchor, value) ? value : NULL;
    }
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        return read_collection(reader, event, depth);
    default:
        return refuse(reader, event, "there is a value missing");
    }
}

/* ---- the document ---- */

/* Takes the next event, which must be of this type. */
static bool expect(struct reader *reader, yaml_event_type_t type)
{
    yaml_event_t event;

    if (!next_event(reader, &event))
        return false;
    bool fits = event.type == type;
    if (!fits)
        refuse(reader, &event, "it must be one document with something in it");
    yaml_event_delete(&event);
    return fits;
}

static bool read_document(struct reader *reader)
{
    yaml_event_t event;

    if (!expect(reader, YAML_STREAM_START_EVENT) || !expect(reader, YAML_DOCUMENT_START_EVENT) ||
        !next_event(reader, &event))
        return false;
    reader->document->root = read_value(reader, &event, 0);
    yaml_event_delete(&event);
    return reader->document->root != NULL && expect(reader, YAML_DOCUMENT_END_EVENT) &&
           expect(reader, YAML_STREAM_END_EVENT);
}

bool document_read_yaml(struct document *document, const char *data, size_t size,
                        const struct document_limits *limits)
{
    struct reader reader = {.document = document, .limits = limits};

    *document = (struct document){.root = NULL};
    if (!yaml_parser_initialize(&reader.parser)) {
        refuse(&reader, NULL, "out of memory");
        return false;
    }
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)data, size);
    bool good = read_document(&reader);
    yaml_parser_delete(&reader.parser);
    while (reader.anchors != NULL) {
        struct anchor *anchor = reader.anchors;
        reader.anchors = anchor->next;
        free(anchor->name);
        free(anchor);
    }
    return good;
}
