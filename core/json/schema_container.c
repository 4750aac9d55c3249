/* SPDX-License-Identifier: MIT */
/* Arrays and objects: what their own keywords say, and down into them. */
#include "json/schema_internal.h"

/* A value below the present one. */
static bool check_child(struct run *run, const struct schema_node *node,
                        const struct json_node *child)
{
    run->depth++;
    bool ok = schema_check(run, node, child, NULL);
    run->depth--;
    return ok;
}

/* ---- arrays ---- */

static bool check_items(struct run *run, const struct schema_node *node,
                        const struct json_node *array, struct marks *marks)
{
    const struct array_rules *rules = node->array;
    const struct json_node *element = array + 1;
    bool ok = true;
    if (rules->prefixes == 0 && rules->items == NULL)
        return true;
    uint32_t count = rules->items != NULL ? array->count : rules->prefixes;
    for (uint32_t i = 0; i < count && i < array->count; i++, element += element->span) {
        const struct schema_node *rule = i < rules->prefixes ? rules->prefix[i] : rules->items;
        mark(marks, i);
        if (rule->never && rule == rules->items) {
            run_fail(run, &(struct failed){.why = FAILS_ITEMS,
                                           .node = node,
                                           .value = element,
                                           .number = rules->prefixes,
                                           .other = array->count});
            return false; /* the others behind it are just as wrong */
        }
        ok &= check_child(run, rule, element);
        if (!ok && run->stop)
            return false;
    }
    return ok;
}

static bool check_contains(struct run *run, const struct schema_node *node,
                           const struct json_node *array, struct marks *marks)
{
    const struct array_rules *rules = node->array;
    const struct json_node *element = array + 1;
    struct failed failed = {.node = node, .value = array};
    for (uint32_t i = 0; i < array->count; i++, element += element->span) {
        run->depth++;
        if (schema_try(run, rules->contains, element, NULL)) {
            mark(marks, i);
            failed.number++;
        }
        run->depth--;
        if (run->exhausted)
            return false;
        bool decided = failed.number >= rules->min_contains && rules->max_contains == UINT64_MAX;
        if (decided && marks == NULL)
            break;
    }
    if (failed.number > rules->max_contains)
        failed.why = FAILS_MAX_CONTAINS;
    else if (failed.number < rules->min_contains)
        failed.why = rules->min_contains == 1 ? FAILS_CONTAINS : FAILS_MIN_CONTAINS;
    else
        return true;
    return run_fail(run, &failed);
}

static bool check_unique(struct run *run, const struct schema_node *node,
                         const struct json_node *array)
{
    uint32_t first = 0, second = 0;
    bool repeats = schema_repeats(run->json, array, &run->left, &run->arena, &first, &second);
    if (run->left == 0)
        return run_charge(run, 0);
    return !repeats || run_fail(run, &(struct failed){.why = FAILS_UNIQUE,
                                                      .node = node,
                                                      .value = array,
                                                      .number = first,
                                                      .other = second});
}

bool container_check_array(struct run *run, const struct schema_node *node,
                           const struct json_node *array, struct marks *marks)
{
    const struct array_rules *rules = node->array;
    bool ok = true;
    if (array->count < rules->min)
        ok = run_fail_at(run, FAILS_MIN_ITEMS, node, array);
    if (array->count > rules->max)
        ok = run_fail_at(run, FAILS_MAX_ITEMS, node, array);
    if (!ok && run->stop)
        return false;
    ok &= check_items(run, node, array, marks);
    if (rules->contains != NULL && !(!ok && run->stop))
        ok &= check_contains(run, node, array, marks);
    if (rules->unique && !(!ok && run->stop))
        ok &= check_unique(run, node, array);
    return ok;
}

bool container_check_other_items(struct run *run, const struct schema_node *node,
                                 const struct json_node *array, struct marks *marks)
{
    const struct schema_node *rule = node->array->unevaluated;
    const struct json_node *element = array + 1;
    bool ok = true;
    for (uint32_t i = 0; i < array->count; i++, element += element->span) {
        if (is_marked(marks, i))
            continue;
        mark(marks, i);
        if (rule->never)
            ok = run_fail_at(run, FAILS_UNEVALUATED_ITEMS, node, element);
        else
            ok &= check_child(run, rule, element);
        if (!ok && run->stop)
            return false;
    }
    return ok;
}

/* ---- objects ---- */

static int compare_name(struct bytes name, const struct member_rule *rule)
{
    if (name.size != rule->name.size)
        return name.size < rule->name.size ? -1 : 1;
    return memcmp(name.data, rule->name.data, name.size);
}

static const struct member_rule *find_member(const struct object_rules *rules, struct bytes name)
{
    uint32_t low = 0, high = rules->member_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = compare_name(name, &rules->members[middle]);
        if (order == 0)
            return &rules->members[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* A member that "patternProperties" may know; *known becomes true when so. */
static bool check_by_pattern(struct run *run, const struct object_rules *rules,
                             const struct json_node *name, struct bytes text, bool *known)
{
    bool ok = true;
    for (uint32_t i = 0; i < rules->pattern_count; i++) {
        enum pattern_verdict verdict = run_match(run, rules->patterns[i].pattern, text);
        if (verdict == PATTERN_TOO_MUCH_WORK)
            return false;
        if (verdict == PATTERN_MATCHES) {
            *known = true;
            ok &= check_child(run, rules->patterns[i].node, name + 1);
        }
        if (!ok && run->stop)
            return false;
    }
    return ok;
}

/* One member; *known becomes true when a keyword of this node knows it. */
static bool check_member(struct run *run, const struct schema_node *node,
                         const struct json_node *name, struct bytes text,
                         const struct member_rule *rule, bool *known)
{
    const struct object_rules *rules = node->object;
    bool ok = true;
    if (rule != NULL && rule->node != NULL) {
        *known = true;
        ok = check_child(run, rule->node, name + 1);
        if (!ok && run->stop)
            return false;
    }
    if (rules->pattern_count > 0) {
        ok &= check_by_pattern(run, rules, name, text, known);
        if (!ok && run->stop)
            return false;
    }
    if (!*known && rules->additional != NULL) {
        *known = true;
        if (rules->additional->never)
            ok = run_fail_at(run, FAILS_ADDITIONAL, node, name + 1);
        else
            ok &= check_child(run, rules->additional, name + 1);
    }
    if (rules->names != NULL && !(!ok && run->stop))
        ok &= check_child(run, rules->names, name);
    return ok;
}

static bool check_missing(struct run *run, const struct schema_node *node,
                          const struct json_node *object)
{
    const struct object_rules *rules = node->object;
    for (uint32_t i = 0; i < rules->member_count && !run->stop; i++) {
        const struct member_rule *rule = &rules->members[i];
        if (rule->required && run_charge(run, object->count) &&
            json_get_bytes(run->json, object, rule->name) == NULL)
            run_fail(run,
                     &(struct failed){
                         .why = FAILS_REQUIRED, .node = node, .value = object, .name = rule->name});
    }
    return false;
}

static bool check_members(struct run *run, const struct schema_node *node,
                          const struct json_node *object, struct marks *marks)
{
    const struct object_rules *rules = node->object;
    const struct json_node *name = object + 1;
    uint32_t required = 0;
    bool ok = true;
    if (!run_charge(run, object->count))
        return false;
    for (uint32_t i = 0; i < object->count; i++, name += 1 + name[1].span) {
        if (name->repeated)
            continue;
        struct bytes text = run_text(run, name);
        if (text.data == NULL)
            return false;
        const struct member_rule *rule = find_member(rules, text);
        bool known = false;
        required += rule != NULL && rule->required;
        ok &= check_member(run, node, name, text, rule, &known);
        if (!ok && run->stop)
            return false;
        if (known)
            mark(marks, i);
    }
    return required == rules->required_count ? ok : check_missing(run, node, object);
}

static bool check_dependencies(struct run *run, const struct schema_node *node,
                               const struct json_node *object, struct marks *marks)
{
    const struct object_rules *rules = node->object;
    bool ok = true;
    for (uint32_t i = 0; i < rules->dependency_count; i++) {
        const struct dependency *d = &rules->dependencies[i];
        if (!run_charge(run, object->count))
            return false;
        if (json_get_bytes(run->json, object, d->name) == NULL)
            continue;
        for (uint32_t j = 0; j < d->requires; j++) {
            if (!run_charge(run, object->count))
                return false;
            if (json_get_bytes(run->json, object, d->required[j]) == NULL)
                ok = run_fail(run, &(struct failed){.why = FAILS_DEPENDENT,
                                                    .node = node,
                                                    .value = object,
                                                    .name = d->required[j],
                                                    .asker = d->name,
                                                    .keyword = d->keyword});
            if (!ok && run->stop)
                return false;
        }
        if (d->node != NULL)
            ok &= schema_check(run, d->node, object, marks);
        if (!ok && run->stop)
            return false;
    }
    return ok;
}

bool container_check_object(struct run *run, const struct schema_node *node,
                            const struct json_node *object, struct marks *marks)
{
    const struct object_rules *rules = node->object;
    bool ok = true;
    if (rules->min > 0 || rules->max < object->count) {
        uint32_t count = schema_member_count(object);
        if (count < rules->min)
            ok = run_fail_at(run, FAILS_MIN_MEMBERS, node, object);
        if (count > rules->max)
            ok = run_fail_at(run, FAILS_MAX_MEMBERS, node, object);
        if (!ok && run->stop)
            return false;
    }
    if (rules->each)
        ok &= check_members(run, node, object, marks);
    if (rules->dependency_count > 0 && !(!ok && run->stop))
        ok &= check_dependencies(run, node, object, marks);
    return ok;
}

bool container_check_other_members(struct run *run, const struct schema_node *node,
                                   const struct json_node *object, struct marks *marks)
{
    const struct schema_node *rule = node->object->unevaluated;
    const struct json_node *name = object + 1;
    bool ok = true;
    for (uint32_t i = 0; i < object->count; i++, name += 1 + name[1].span) {
        if (name->repeated || is_marked(marks, i))
            continue;
        mark(marks, i);
        if (rule->never)
            ok = run_fail_at(run, FAILS_UNEVALUATED_MEMBERS, node, name + 1);
        else
            ok &= check_child(run, rule, name + 1);
        if (!ok && run->stop)
            return false;
    }
    return ok;
}
