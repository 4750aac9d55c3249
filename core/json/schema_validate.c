/* SPDX-License-Identifier: MIT */
/*
 * The walk over a schema and an instance. First without a word: most values are
 * valid, and nothing is allocated for them. When one is not and somebody wants
 * to know why, the walk is done again, and tells.
 */
#include <stddef.h>
#include <stdlib.h>

#include "json/json_text.h"
#include "json/schema_internal.h"

#define WORK_AT_LEAST 1000000
#define WORK_PER_NODE 64

/* ---- the run ---- */

bool run_give_up(struct run *run, const char *why)
{
    if (!run->exhausted)
        run->why = why;
    run->exhausted = true;
    run->stop = true;
    run->left = 0;
    return false;
}

bool run_charge(struct run *run, uint64_t work)
{
    if (run->left <= work)
        return run_give_up(run, "it takes too much work to check it against the schema");
    run->left -= work;
    return true;
}

bool run_fail(struct run *run, const struct failed *failed)
{
    if (run->mode != RUN_QUIET && !run->exhausted)
        report_failure(run, failed);
    return false;
}

bool run_fail_at(struct run *run, enum failing why, const struct schema_node *node,
                 const struct json_node *value)
{
    return run_fail(run, &(struct failed){.why = why, .node = node, .value = value});
}

/* ---- marks ---- */

bool marks_begin(struct run *run, struct marks *marks, uint32_t count)
{
    uint32_t size = count / 64 + 1;
    *marks = (struct marks){NULL, size, false};
    if (!run_charge(run, size))
        return false;
    if (size <= RUN_WORDS - run->words_used) {
        marks->words = run->words + run->words_used;
        run->words_used += size;
        memset(marks->words, 0, size * sizeof(*marks->words));
    } else {
        marks->words = calloc(size, sizeof(*marks->words));
        marks->own = true;
    }
    return marks->words != NULL || run_give_up(run, "out of memory");
}

/* In the order opposite to marks_begin. */
void marks_end(struct run *run, struct marks *marks)
{
    if (marks->own)
        free(marks->words);
    else
        run->words_used -= marks->size;
}

void marks_merge(struct marks *into, const struct marks *from)
{
    for (uint32_t i = 0; i < into->size; i++)
        into->words[i] |= from->words[i];
}

/* ---- numbers and strings ---- */

static bool check_number(struct run *run, const struct schema_node *node,
                         const struct json_node *value)
{
    const struct number_rules *rules = node->number;
    struct decimal d = decimal_read(json_raw(run->json, value));
    bool ok = true;
    if (rules->minimum != NULL && decimal_compare(&d, rules->minimum) < 0)
        ok = run_fail_at(run, FAILS_MINIMUM, node, value);
    if (rules->maximum != NULL && decimal_compare(&d, rules->maximum) > 0)
        ok = run_fail_at(run, FAILS_MAXIMUM, node, value);
    if (rules->above != NULL && decimal_compare(&d, rules->above) <= 0)
        ok = run_fail_at(run, FAILS_ABOVE, node, value);
    if (rules->below != NULL && decimal_compare(&d, rules->below) >= 0)
        ok = run_fail_at(run, FAILS_BELOW, node, value);
    if (rules->multiple != NULL && !decimal_is_multiple(&d, rules->multiple))
        ok = run_fail_at(run, FAILS_MULTIPLE, node, value);
    return ok;
}

struct bytes run_text(struct run *run, const struct json_node *value)
{
    struct bytes text = schema_string(run->json, value, &run->arena);
    if (text.data == NULL)
        run_give_up(run, "out of memory");
    return text;
}

static uint64_t count_characters(struct bytes text)
{
    uint64_t count = 0;
    for (size_t i = 0; i < text.size; i++)
        count += ((unsigned char)text.data[i] & 0xc0) != 0x80;
    return count;
}

static bool check_length(struct run *run, const struct schema_node *node,
                         const struct json_node *value)
{
    const struct string_rules *rules = node->string;
    uint64_t bytes = (uint64_t)(value->end - value->start) - 2;
    uint64_t least = value->escaped ? (bytes + 11) / 12 : (bytes + 3) / 4;
    if (bytes <= rules->max && least >= rules->min)
        return true; /* however many bytes each character takes */
    if (!run_charge(run, bytes / 8))
        return false;
    struct bytes text = run_text(run, value);
    if (text.data == NULL)
        return false;
    struct failed failed = {.node = node, .value = value, .number = count_characters(text)};
    if (failed.number >= rules->min && failed.number <= rules->max)
        return true;
    failed.why = failed.number < rules->min ? FAILS_MIN_LENGTH : FAILS_MAX_LENGTH;
    return run_fail(run, &failed);
}

enum pattern_verdict run_match(struct run *run, const struct pattern *pattern, struct bytes text)
{
    if (!run_charge(run, 8 + text.size / 64))
        return PATTERN_TOO_MUCH_WORK;
    enum pattern_verdict verdict = pattern_match(pattern, &run->patterns, text);
    if (verdict == PATTERN_TOO_MUCH_WORK)
        run_give_up(run, "it takes too much work to match a pattern of the schema");
    return verdict;
}

static bool check_string(struct run *run, const struct schema_node *node,
                         const struct json_node *value)
{
    const struct string_rules *rules = node->string;
    bool ok = check_length(run, node, value);
    if ((!ok && run->stop) || (rules->pattern == NULL && rules->format == NULL))
        return ok;
    struct bytes text = run_text(run, value);
    if (text.data == NULL)
        return false;
    if (rules->pattern != NULL && run_match(run, rules->pattern, text) != PATTERN_MATCHES)
        ok = run_fail_at(run, FAILS_PATTERN, node, value);
    if (rules->format != NULL && !(!ok && run->stop) && run_charge(run, text.size / 8) &&
        !format_check(rules->format, text))
        ok = run_fail_at(run, FAILS_FORMAT, node, value);
    return ok;
}

/* ---- any value ---- */

static bool check_rules(struct run *run, const struct schema_node *node,
                        const struct json_node *value, struct marks *marks)
{
    bool ok = true;
    if (node->value != NULL) {
        ok = choice_check(run, node, value, marks);
        if (!ok && run->stop)
            return false;
    }
    switch (value->type) {
    case JSON_NUMBER:
        return node->number == NULL ? ok : ok & check_number(run, node, value);
    case JSON_STRING:
        return node->string == NULL ? ok : ok & check_string(run, node, value);
    case JSON_ARRAY:
        return node->array == NULL ? ok : ok & container_check_array(run, node, value, marks);
    case JSON_OBJECT:
        return node->object == NULL ? ok : ok & container_check_object(run, node, value, marks);
    default:
        return ok;
    }
}

/* For a node with "unevaluated...": it looks at what itself has evaluated, and adds
 * to what is evaluated for those around it. */
static bool check_evaluated(struct run *run, const struct schema_node *node,
                            const struct json_node *value, struct marks *around)
{
    struct marks marks;
    if (!marks_begin(run, &marks, value->count))
        return false;
    bool ok = check_rules(run, node, value, &marks);
    if (ok) /* else it is not known what would have been evaluated */
        ok = value->type == JSON_ARRAY ? container_check_other_items(run, node, value, &marks)
                                       : container_check_other_members(run, node, value, &marks);
    if (around != NULL)
        marks_merge(around, &marks);
    marks_end(run, &marks);
    return ok;
}

static bool has_unevaluated(const struct schema_node *node, const struct json_node *value)
{
    if (value->type == JSON_OBJECT)
        return node->object != NULL && node->object->unevaluated != NULL;
    return value->type == JSON_ARRAY && node->array != NULL && node->array->unevaluated != NULL;
}

static bool is_integer(const struct run *run, const struct json_node *number)
{
    struct bytes text = json_raw(run->json, number);
    size_t plain = text.data[0] == '-';
    while (plain < text.size && text.data[plain] >= '0' && text.data[plain] <= '9')
        plain++;
    if (plain == text.size)
        return true;
    struct decimal d = decimal_read(text);
    return decimal_is_integer(&d);
}

static bool check_further(struct run *run, const struct schema_node *node,
                          const struct json_node *value, struct marks *marks)
{
    if (++run->nesting > SCHEMA_MAX_NESTING)
        return run_give_up(run, "it is nested too deeply to be checked against the schema");
    struct scope scope = {run->scope, node->resource};
    bool entered = run->scope == NULL || run->scope->resource != node->resource;
    if (entered)
        /* cppcheck-suppress autoVariables ; taken back below */
        run->scope = &scope;
    bool ok = has_unevaluated(node, value) ? check_evaluated(run, node, value, marks)
                                           : check_rules(run, node, value, marks);
    if (entered)
        run->scope = scope.outer;
    run->nesting--;
    return ok;
}

bool schema_check(struct run *run, const struct schema_node *node, const struct json_node *value,
                  struct marks *marks)
{
    if (!run_charge(run, 1))
        return false;
    if ((node->types & TYPE_BIT(value->type)) == 0)
        return run_fail_at(run, node->never ? FAILS_NEVER : FAILS_TYPE, node, value);
    if (node->integer && value->type == JSON_NUMBER && !is_integer(run, value))
        return run_fail_at(run, FAILS_TYPE, node, value);
    return node->plain || check_further(run, node, value, marks);
}

bool schema_try(struct run *run, const struct schema_node *node, const struct json_node *value,
                struct marks *marks)
{
    enum run_mode mode = run->mode;
    bool stop = run->stop;
    run->mode = RUN_QUIET;
    run->stop = true;
    bool ok = schema_check(run, node, value, marks);
    run->mode = mode;
    run->stop = stop || run->exhausted;
    return ok;
}

/* ---- the whole ---- */

static bool run_once(struct run *run, const struct schema *schema, const struct json_node *value,
                     enum run_mode mode)
{
    run->mode = mode;
    run->stop = mode == RUN_QUIET;
    run->left = WORK_AT_LEAST + (uint64_t)value->span * WORK_PER_NODE;
    run->nesting = 0;
    run->depth = 0;
    run->scope = NULL;
    run->words_used = 0;
    run->patterns.spent = 0;
    run->patterns.own_time = false;
    bool ok = schema_check(run, schema->root, value, NULL);
    return ok && !run->exhausted;
}

bool schema_validate(const struct schema *schema, const struct json *json,
                     const struct json_node *value, schema_report *report, void *context)
{
    struct run run;
    memset(&run, 0, offsetof(struct run, words));
    run.schema = schema;
    run.json = json;
    run.root = value;
    run.report = report;
    run.context = context;
    arena_init(&run.arena, SIZE_MAX);
    bool ok = run_once(&run, schema, value, RUN_QUIET);
    if (!ok && report != NULL) {
        if (!run.exhausted)
            run_once(&run, schema, value, RUN_REPORT);
        if (run.exhausted && run.reported == 0)
            report_given_up(&run);
    }
    pattern_run_free(&run.patterns);
    arena_free(&run.arena);
    return ok;
}
