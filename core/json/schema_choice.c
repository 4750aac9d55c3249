/* SPDX-License-Identifier: MIT */
/* The keywords that apply other schemas to the very same value: references, allOf,
 * anyOf, oneOf, not, if; and const and enum. */
#include "json/schema_internal.h"

/* ---- constants ---- */

static bool check_constants(struct run *run, const struct schema_node *node,
                            const struct json_node *value)
{
    const struct value_rules *rules = node->value;
    const struct json *constant = rules->constant, *choices = rules->choices;
    if (constant != NULL && !schema_equal(run->json, value, constant, constant->root, &run->left))
        return run->left > 0 ? run_fail_at(run, FAILS_CONST, node, value) : run_charge(run, 0);
    if (choices == NULL)
        return true;
    const struct json_node *choice = choices->root + 1;
    for (uint32_t i = 0; i < choices->root->count; i++, choice += choice->span) {
        if (!run_charge(run, 1))
            return false;
        if (schema_equal(run->json, value, choices, choice, &run->left))
            return true;
    }
    return run->left > 0 ? run_fail_at(run, FAILS_ENUM, node, value) : run_charge(run, 0);
}

/* ---- references ---- */

/* The outermost resource gone through that has a "$dynamicAnchor" of that name. */
static const struct schema_node *dynamic_target(struct run *run, const struct value_rules *rules)
{
    const struct schema_node *target = rules->dynamic_ref;
    if (rules->dynamic_name.data == NULL)
        return target;
    for (const struct scope *s = run->scope; s != NULL; s = s->outer) {
        if (!run_charge(run, 1))
            return NULL;
        for (const struct anchor *a = s->resource->dynamic; a != NULL; a = a->next) {
            if (bytes_equal(a->name, rules->dynamic_name))
                target = a->node;
        }
    }
    return target;
}

static bool check_references(struct run *run, const struct value_rules *rules,
                             const struct json_node *value, struct marks *marks)
{
    bool ok = true;
    if (rules->ref != NULL) {
        ok = schema_check(run, rules->ref, value, marks);
        if (!ok && run->stop)
            return false;
    }
    if (rules->dynamic_ref != NULL) {
        const struct schema_node *target = dynamic_target(run, rules);
        ok &= target != NULL && schema_check(run, target, value, marks);
    }
    return ok;
}

/* ---- one of several ---- */

/* A branch whose marks only count if it succeeds. */
static bool try_branch(struct run *run, const struct schema_node *branch,
                       const struct json_node *value, struct marks *marks)
{
    struct marks own;
    if (marks == NULL)
        return schema_try(run, branch, value, NULL);
    if (!marks_begin(run, &own, value->count))
        return false;
    bool ok = schema_try(run, branch, value, &own);
    if (ok)
        marks_merge(marks, &own);
    marks_end(run, &own);
    return ok;
}

static struct score score_branch(struct run *run, const struct schema_node *branch,
                                 const struct json_node *value)
{
    struct score outer = run->score;
    enum run_mode mode = run->mode;
    bool stop = run->stop;
    run->score = (struct score){.base = run->depth};
    run->mode = RUN_SCORE;
    run->stop = false;
    schema_check(run, branch, value, NULL);
    struct score score = run->score;
    run->score = outer;
    run->mode = mode;
    run->stop = stop || run->exhausted;
    return score;
}

static bool is_better(const struct score *a, const struct score *b)
{
    if ((a->wrong_value == NULL) != (b->wrong_value == NULL))
        return a->wrong_value == NULL;
    if (a->wrong_depth != b->wrong_depth)
        return a->wrong_depth > b->wrong_depth;
    if (a->depth != b->depth)
        return a->depth > b->depth;
    return a->failures < b->failures;
}

#define MOST_BRANCHES 13 /* one more than are shown */

/* The branches that are wrong at the same value as the best one. */
struct wrong {
    const struct json_node *value;
    const struct schema_node *nodes[MOST_BRANCHES];
    uint32_t count;
};

static void add_wrong(struct wrong *wrong, const struct score *score, bool better)
{
    if (better && wrong->value != score->wrong_value) {
        wrong->value = score->wrong_value;
        wrong->count = 0;
    }
    if (score->wrong_value == wrong->value && wrong->count < MOST_BRANCHES)
        wrong->nodes[wrong->count++] = score->wrong_node;
}

/* Tells why no branch matches: with the reasons of the one that came nearest. When
 * even that is something else altogether, with what each of them expected there. */
static bool fail_branches(struct run *run, enum failing why, const struct schema_node *node,
                          const struct node_list *list, const struct json_node *value)
{
    struct score best = {.depth = 0};
    struct wrong wrong = {.count = 0};
    uint32_t nearest = 0;
    if (run->mode == RUN_QUIET)
        return false;
    for (uint32_t i = 0; i < list->count; i++) {
        struct score score = score_branch(run, list->nodes[i], value);
        if (run->exhausted)
            return false;
        bool better = i == 0 || is_better(&score, &best);
        add_wrong(&wrong, &score, better);
        if (better) {
            best = score;
            nearest = i;
        }
    }
    if (best.wrong_value == NULL)
        return schema_check(run, list->nodes[nearest], value, NULL);
    return run_fail(run, &(struct failed){.why = why,
                                          .node = node,
                                          .value = best.wrong_value,
                                          .deeper = best.wrong_depth,
                                          .branches = wrong.nodes,
                                          .branch_count = wrong.count});
}

static bool check_any(struct run *run, const struct schema_node *node,
                      const struct json_node *value, struct marks *marks)
{
    const struct node_list *list = &node->value->any;
    bool matched = false;
    for (uint32_t i = 0; i < list->count; i++) {
        matched |= try_branch(run, list->nodes[i], value, marks);
        if (run->exhausted)
            return false;
        if (matched && marks == NULL)
            return true;
    }
    return matched || fail_branches(run, FAILS_ANY, node, list, value);
}

static bool check_one(struct run *run, const struct schema_node *node,
                      const struct json_node *value, struct marks *marks)
{
    const struct node_list *list = &node->value->one;
    uint32_t matched = 0, first = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        bool ok = try_branch(run, list->nodes[i], value, marks);
        if (run->exhausted)
            return false;
        if (ok && matched++ > 0)
            return run_fail(run, &(struct failed){.why = FAILS_ONE_SEVERAL,
                                                  .node = node,
                                                  .value = value,
                                                  .number = first,
                                                  .other = i});
        if (ok)
            first = i;
    }
    return matched == 1 || fail_branches(run, FAILS_ONE_NONE, node, list, value);
}

static bool check_condition(struct run *run, const struct value_rules *rules,
                            const struct json_node *value, struct marks *marks)
{
    if (rules->then == NULL && rules->otherwise == NULL && marks == NULL)
        return true;
    bool holds = try_branch(run, rules->condition, value, marks);
    if (run->exhausted)
        return false;
    const struct schema_node *next = holds ? rules->then : rules->otherwise;
    return next == NULL || schema_check(run, next, value, marks);
}

bool choice_check(struct run *run, const struct schema_node *node, const struct json_node *value,
                  struct marks *marks)
{
    const struct value_rules *rules = node->value;
    bool ok = true;
    if (rules->constant != NULL || rules->choices != NULL)
        ok = check_constants(run, node, value);
    if ((rules->ref != NULL || rules->dynamic_ref != NULL) && !(!ok && run->stop))
        ok &= check_references(run, rules, value, marks);
    for (uint32_t i = 0; i < rules->all.count && !(!ok && run->stop); i++)
        ok &= schema_check(run, rules->all.nodes[i], value, marks);
    if (rules->any.count > 0 && !(!ok && run->stop))
        ok &= check_any(run, node, value, marks);
    if (rules->one.count > 0 && !(!ok && run->stop))
        ok &= check_one(run, node, value, marks);
    if (rules->condition != NULL && !(!ok && run->stop))
        ok &= check_condition(run, rules, value, marks);
    if (rules->not != NULL && !(!ok && run->stop) && schema_try(run, rules->not, value, NULL))
        ok = run_fail_at(run, FAILS_NOT, node, value);
    return ok;
}
