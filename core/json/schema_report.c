/* SPDX-License-Identifier: MIT */
/* What a failure is called, where it is, and how near it is to no failure. */
#include "json/schema_internal.h"

#define MOST_REPORTS 256
#define MOST_SCORED 64
#define TEXT_MAX 65536

/* ---- places ---- */

static void add_token(struct buf *out, struct bytes token)
{
    buf_add_char(out, '/');
    for (size_t i = 0; i < token.size; i++) {
        if (token.data[i] == '~')
            BUF_LIT(out, "~0");
        else if (token.data[i] == '/')
            BUF_LIT(out, "~1");
        else
            buf_add_char(out, token.data[i]);
    }
}

void place_write(struct buf *out, const struct place *place)
{
    if (place->up == NULL) {
        if (place->uri.size > 0) {
            buf_add_bytes(out, place->uri);
            buf_add_char(out, '#');
        }
        return;
    }
    place_write(out, place->up);
    buf_addf(out, "/%s", place->keyword);
    if (place->name.data != NULL)
        add_token(out, place->name);
    if (place->index >= 0)
        buf_addf(out, "/%lld", (long long)place->index);
}

/* The JSON Pointer of a value or a member's name in the instance; true when it is a
 * name. The nodes of a value stand behind it, so the way down can be seen. */
static bool instance_write(struct run *run, struct buf *out, const struct json_node *target)
{
    const struct json_node *node = run->root;
    while (node != target) {
        const struct json_node *child = node + 1;
        bool object = node->type == JSON_OBJECT;
        uint32_t index = 0;
        while (target >= child + object + child[object].span) {
            child += object + child[object].span;
            index++;
        }
        if (object)
            add_token(out, schema_string(run->json, child, &run->arena));
        else
            buf_addf(out, "/%u", index);
        if (object && child == target)
            return true;
        node = child + object;
    }
    return false;
}

/* ---- keywords ---- */

static const char *const keywords[] = {
    [FAILS_TYPE] = "type",
    [FAILS_CONST] = "const",
    [FAILS_ENUM] = "enum",
    [FAILS_MINIMUM] = "minimum",
    [FAILS_MAXIMUM] = "maximum",
    [FAILS_ABOVE] = "exclusiveMinimum",
    [FAILS_BELOW] = "exclusiveMaximum",
    [FAILS_MULTIPLE] = "multipleOf",
    [FAILS_MIN_LENGTH] = "minLength",
    [FAILS_MAX_LENGTH] = "maxLength",
    [FAILS_PATTERN] = "pattern",
    [FAILS_FORMAT] = "format",
    [FAILS_MIN_ITEMS] = "minItems",
    [FAILS_MAX_ITEMS] = "maxItems",
    [FAILS_UNIQUE] = "uniqueItems",
    [FAILS_CONTAINS] = "contains",
    [FAILS_MIN_CONTAINS] = "minContains",
    [FAILS_MAX_CONTAINS] = "maxContains",
    [FAILS_MIN_MEMBERS] = "minProperties",
    [FAILS_MAX_MEMBERS] = "maxProperties",
    [FAILS_REQUIRED] = "required",
    [FAILS_ANY] = "anyOf",
    [FAILS_ONE_NONE] = "oneOf",
    [FAILS_ONE_SEVERAL] = "oneOf",
    [FAILS_NOT] = "not",
};

static void keyword_write(struct buf *out, const struct failed *f)
{
    const struct schema_node *node = f->node;
    switch (f->why) {
    case FAILS_NEVER:
        place_write(out, node->place);
        break;
    case FAILS_ITEMS:
        place_write(out, node->array->items->place);
        break;
    case FAILS_UNEVALUATED_ITEMS:
        place_write(out, node->array->unevaluated->place);
        break;
    case FAILS_ADDITIONAL:
        place_write(out, node->object->additional->place);
        break;
    case FAILS_UNEVALUATED_MEMBERS:
        place_write(out, node->object->unevaluated->place);
        break;
    case FAILS_DEPENDENT:
        place_write(out, node->place);
        buf_addf(out, "/%s", f->keyword);
        add_token(out, f->asker);
        break;
    default:
        place_write(out, node->place);
        buf_addf(out, "/%s", keywords[f->why]);
    }
}

/* ---- texts ---- */

static void add_got(struct run *run, struct buf *out, const struct json_node *value)
{
    BUF_LIT(out, ", got ");
    json_write_shown(out, run->json, value);
}

static void write_expected(struct run *run, struct buf *out, const struct failed *f)
{
    size_t before = out->size;
    BUF_LIT(out, "expected ");
    bool said = f->branches != NULL ? describe_alternatives(out, f->branches, f->branch_count)
                                    : describe_node(out, f->node);
    if (!said) {
        out->size = before;
        buf_addf(out, "matches none of the alternatives that the schema has in \"%s\"",
                 keywords[f->why]);
    }
    add_got(run, out, f->value);
}

static void write_number(struct run *run, struct buf *out, const struct failed *f)
{
    BUF_LIT(out, "expected ");
    describe_number(out, f->node);
    add_got(run, out, f->value);
}

static void write_string(struct run *run, struct buf *out, const struct failed *f)
{
    BUF_LIT(out, "expected ");
    describe_string(out, f->node);
    bool length = f->why == FAILS_MIN_LENGTH || f->why == FAILS_MAX_LENGTH;
    if (length && f->value->end - f->value->start > 40)
        buf_addf(out, ", got one of %llu", (unsigned long long)f->number);
    else
        add_got(run, out, f->value);
}

static void write_count(struct buf *out, const struct failed *f)
{
    BUF_LIT(out, "expected ");
    if (f->value->type == JSON_ARRAY)
        describe_array(out, f->node);
    else
        describe_object(out, f->node);
    uint32_t count = f->value->type == JSON_ARRAY ? f->value->count : schema_member_count(f->value);
    if (count == 0)
        BUF_LIT(out, ", got an empty one");
    else
        buf_addf(out, ", got one of %u", count);
}

static void write_contains(struct buf *out, const struct failed *f)
{
    const struct array_rules *rules = f->node->array;
    bool most = f->why == FAILS_MAX_CONTAINS;
    unsigned long long wanted = most ? rules->max_contains : rules->min_contains;
    buf_addf(out, "expected at %s %llu element%s ", most ? "most" : "least", wanted,
             wanted == 1 ? "" : "s");
    size_t before = out->size;
    BUF_LIT(out, "to be ");
    if (!describe_node(out, rules->contains)) {
        out->size = before;
        BUF_LIT(out, "to match \"contains\"");
    }
    if (f->number == 0)
        BUF_LIT(out, ", got none");
    else
        buf_addf(out, ", got %llu", (unsigned long long)f->number);
}

static void write_name(struct buf *out, const char *before, struct bytes name)
{
    buf_addf(out, "%s", before);
    json_write_string(out, name);
}

static void write_unknown(struct run *run, struct buf *out, const struct failed *f)
{
    /* The name of a member stands before its value. */
    struct bytes name = schema_string(run->json, f->value - 1, &run->arena);
    write_name(out, "unknown member ", name);
    describe_similar(out, f->node, name);
}

static void write_never(struct run *run, struct buf *out, const struct failed *f)
{
    const struct place *place = f->node->place;
    if (f->value != run->root && place->name.data != NULL &&
        strcmp(place->keyword, "properties") == 0)
        write_name(out, "there must be no member ", place->name);
    else
        BUF_LIT(out, "nothing is allowed here");
}

static void write_not(struct run *run, struct buf *out, const struct failed *f)
{
    size_t before = out->size;
    BUF_LIT(out, "expected anything but ");
    if (!describe_node(out, f->node->value->not )) {
        out->size = before;
        BUF_LIT(out, "expected a value that does not match \"not\"");
    }
    add_got(run, out, f->value);
}

static void text_write(struct run *run, struct buf *out, const struct failed *f)
{
    switch (f->why) {
    case FAILS_TYPE:
    case FAILS_CONST:
    case FAILS_ENUM:
    case FAILS_ANY:
    case FAILS_ONE_NONE:
        write_expected(run, out, f);
        break;
    case FAILS_NEVER:
        write_never(run, out, f);
        break;
    case FAILS_MINIMUM:
    case FAILS_MAXIMUM:
    case FAILS_ABOVE:
    case FAILS_BELOW:
    case FAILS_MULTIPLE:
        write_number(run, out, f);
        break;
    case FAILS_MIN_LENGTH:
    case FAILS_MAX_LENGTH:
    case FAILS_PATTERN:
    case FAILS_FORMAT:
        write_string(run, out, f);
        break;
    case FAILS_MIN_ITEMS:
    case FAILS_MAX_ITEMS:
    case FAILS_MIN_MEMBERS:
    case FAILS_MAX_MEMBERS:
        write_count(out, f);
        break;
    case FAILS_UNIQUE:
        buf_addf(out, "expected an array without equal elements, got equal ones at %llu and %llu",
                 (unsigned long long)f->number, (unsigned long long)f->other);
        break;
    case FAILS_CONTAINS:
    case FAILS_MIN_CONTAINS:
    case FAILS_MAX_CONTAINS:
        write_contains(out, f);
        break;
    case FAILS_ITEMS:
        buf_addf(out, "expected an array of at most %llu element%s, got one of %llu",
                 (unsigned long long)f->number, f->number == 1 ? "" : "s",
                 (unsigned long long)f->other);
        break;
    case FAILS_UNEVALUATED_ITEMS:
        BUF_LIT(out, "nothing allows this element");
        break;
    case FAILS_REQUIRED:
        write_name(out, "missing member ", f->name);
        break;
    case FAILS_DEPENDENT:
        write_name(out, "missing member ", f->name);
        write_name(out, ", which must be there beside ", f->asker);
        break;
    case FAILS_ADDITIONAL:
    case FAILS_UNEVALUATED_MEMBERS:
        write_unknown(run, out, f);
        break;
    case FAILS_ONE_SEVERAL:
        buf_addf(out, "expected exactly one of the alternatives to match, got two: %llu and %llu",
                 (unsigned long long)f->number, (unsigned long long)f->other);
        break;
    case FAILS_NOT:
        write_not(run, out, f);
        break;
    }
}

/* ---- telling ---- */

static void tell(struct run *run, const struct json_node *value, struct buf *instance,
                 struct buf *keyword, struct buf *text)
{
    struct schema_failure failure = {.value = value,
                                     .instance = instance->data != NULL ? instance->data : "",
                                     .keyword = keyword->data != NULL ? keyword->data : "",
                                     .text = text->data != NULL ? text->data : ""};
    run->reported++;
    if (!run->report(run->context, &failure) || run->reported == MOST_REPORTS)
        run->stop = true;
}

static void report(struct run *run, const struct failed *f)
{
    struct buf instance, keyword, text, what;
    buf_init(&instance, SIZE_MAX);
    buf_init(&keyword, SIZE_MAX);
    buf_init(&text, TEXT_MAX);
    buf_init(&what, TEXT_MAX);
    bool name = instance_write(run, &instance, f->value);
    keyword_write(&keyword, f);
    text_write(run, &what, f);
    if (name)
        BUF_LIT(&text, "the name of a member: ");
    buf_add_bytes(&text, buf_bytes(&what));
    if (text.failed || what.failed) {
        buf_clear(&text);
        buf_add_bytes(&text, BYTES("does not match the schema"));
    }
    tell(run, f->value, &instance, &keyword, &text);
    buf_free(&instance);
    buf_free(&keyword);
    buf_free(&text);
    buf_free(&what);
}

void report_given_up(struct run *run)
{
    struct buf text, none;
    buf_init(&text, TEXT_MAX);
    buf_init(&none, 1);
    buf_addf(&text, "not checked to the end: %s", run->why);
    tell(run, run->root, &none, &none, &text);
    buf_free(&text);
}

/* ---- scoring ---- */

static void score(struct run *run, const struct failed *f)
{
    struct score *s = &run->score;
    int32_t below = run->depth + f->deeper - s->base;
    bool wrong = false;
    switch (f->why) {
    case FAILS_TYPE:
    case FAILS_NEVER:
        wrong = below == 0;
        break;
    case FAILS_CONST:
    case FAILS_ENUM:
    case FAILS_ANY:
    case FAILS_ONE_NONE:
        wrong = below <= 1;
        break;
    default:
        break;
    }
    s->failures++;
    if (below > s->depth)
        s->depth = below;
    if (wrong && (s->wrong_value == NULL || below < s->wrong_depth)) {
        s->wrong_value = f->value;
        s->wrong_node = f->node;
        s->wrong_depth = below;
    }
    if (s->failures == MOST_SCORED)
        run->stop = true;
}

void report_failure(struct run *run, const struct failed *f)
{
    if (run->mode == RUN_SCORE)
        score(run, f);
    else if (!run->stop)
        report(run, f);
}
