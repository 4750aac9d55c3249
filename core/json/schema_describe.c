/* SPDX-License-Identifier: MIT */
/* Subschemas in words, for those who have to put something right. */
#include "base/similar.h"
#include "json/schema_internal.h"

#define SHOWN 60 /* bytes of a constant */
#define PIECES 12
#define DEEPEST 6 /* subschemas by way of each other */
#define NODES_SEARCHED 500

/* ---- each type ---- */

void describe_number(struct buf *out, const struct schema_node *node)
{
    const struct number_rules *r = node->number;
    buf_addf(out, "%s", node->integer ? "an integer" : "a number");
    if (r == NULL)
        return;
    if (r->minimum != NULL && r->maximum != NULL && r->above == NULL && r->below == NULL) {
        BUF_LIT(out, " from ");
        buf_add_bytes(out, r->minimum->text);
        BUF_LIT(out, " to ");
        buf_add_bytes(out, r->maximum->text);
    } else {
        const struct {
            const char *words;
            const struct decimal *bound;
        } bounds[] = {{"of at least", r->minimum},
                      {"greater than", r->above},
                      {"of at most", r->maximum},
                      {"less than", r->below}};
        const char *before = " ";
        for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
            if (bounds[i].bound == NULL)
                continue;
            buf_addf(out, "%s%s ", before, bounds[i].words);
            buf_add_bytes(out, bounds[i].bound->text);
            before = " and ";
        }
    }
    if (r->multiple != NULL) {
        BUF_LIT(out, " that is a multiple of ");
        buf_add_bytes(out, r->multiple->text);
    }
}

static void add_range(struct buf *out, uint64_t min, uint64_t max, const char *unit)
{
    bool bounded = max != UINT64_MAX;
    unsigned long long low = min, high = max;
    if (min == 0 && !bounded)
        return;
    if (bounded && min == max)
        buf_addf(out, " of exactly %llu", low);
    else if (bounded && min > 0)
        buf_addf(out, " of %llu to %llu", low, high);
    else
        buf_addf(out, " of at %s %llu", bounded ? "most" : "least", bounded ? high : low);
    buf_addf(out, " %s%s", unit, (bounded ? high : low) == 1 ? "" : "s");
}

void describe_string(struct buf *out, const struct schema_node *node)
{
    const struct string_rules *r = node->string;
    BUF_LIT(out, "a string");
    if (r == NULL)
        return;
    add_range(out, r->min, r->max, "character");
    if (r->format != NULL)
        buf_addf(out, " that is %s", format_description(r->format));
    if (r->pattern != NULL) {
        struct bytes text = pattern_text(r->pattern);
        BUF_LIT(out, " that matches ");
        if (text.size <= 200)
            json_write_string(out, text);
        else
            BUF_LIT(out, "the pattern of the schema");
    }
}

void describe_array(struct buf *out, const struct schema_node *node)
{
    BUF_LIT(out, "an array");
    if (node->array != NULL)
        add_range(out, node->array->min, node->array->max, "element");
}

void describe_object(struct buf *out, const struct schema_node *node)
{
    BUF_LIT(out, "an object");
    if (node->object != NULL)
        add_range(out, node->object->min, node->object->max, "member");
}

/* ---- alternatives ---- */

/* Pieces to be joined by commas and an "or". */
struct words {
    struct buf text;
    size_t ends[PIECES];
    unsigned count;
    bool more; /* there are others that are not shown */
    bool values; /* all of them are values, no types */
    bool silent; /* one of the nodes says nothing */
};

static struct bytes piece(const struct words *w, unsigned i)
{
    size_t start = i > 0 ? w->ends[i - 1] : 0;
    return (struct bytes){w->text.data + start, w->ends[i] - start};
}

/* What has been added to the text becomes a piece, unless it is there already. */
static void end_piece(struct words *w)
{
    size_t start = w->count > 0 ? w->ends[w->count - 1] : 0;
    if (w->text.failed)
        return;
    struct bytes added = {w->text.data + start, w->text.size - start};
    for (unsigned i = 0; i < w->count; i++) {
        if (bytes_equal(piece(w, i), added)) {
            w->text.size = start;
            return;
        }
    }
    if (w->count == PIECES) {
        w->more = true;
        w->text.size = start;
        return;
    }
    w->ends[w->count++] = w->text.size;
}

static void add_value(struct words *w, const struct json *json, const struct json_node *value)
{
    struct buf compact;
    buf_init(&compact, 4096);
    json_write_compact(&compact, json, value);
    if (compact.failed || compact.size > SHOWN)
        json_write_shown(&w->text, json, value);
    else
        buf_add_bytes(&w->text, buf_bytes(&compact));
    buf_free(&compact);
    end_piece(w);
}

static void add_types(struct words *w, const struct schema_node *node)
{
    static const struct {
        unsigned types;
        const char *words;
        void (*describe)(struct buf *out, const struct schema_node *node);
    } kinds[] = {{TYPE_BIT(JSON_OBJECT), NULL, describe_object},
                 {TYPE_BIT(JSON_ARRAY), NULL, describe_array},
                 {TYPE_BIT(JSON_STRING), NULL, describe_string},
                 {TYPE_BIT(JSON_NUMBER), NULL, describe_number},
                 {TYPE_BIT(JSON_TRUE), "true or false", NULL},
                 {TYPE_BIT(JSON_NULL), "null", NULL}};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if ((node->types & kinds[i].types) == 0)
            continue;
        if (kinds[i].describe != NULL)
            kinds[i].describe(&w->text, node);
        else
            buf_addf(&w->text, "%s", kinds[i].words);
        end_piece(w);
    }
    w->values = false;
}

static void add_node(struct words *w, const struct schema_node *node, int depth)
{
    const struct value_rules *v = node->value;
    if (v != NULL && v->constant != NULL) {
        add_value(w, v->constant, v->constant->root);
    } else if (v != NULL && v->choices != NULL) {
        const struct json_node *choice = v->choices->root + 1;
        for (uint32_t i = 0; i < v->choices->root->count && !w->more; i++, choice += choice->span)
            add_value(w, v->choices, choice);
    } else if (node->never) {
        return; /* no alternative at all */
    } else if (node->types != TYPE_ANY) {
        add_types(w, node);
    } else if (v != NULL && depth < DEEPEST && v->ref != NULL) {
        add_node(w, v->ref, depth + 1);
    } else if (v != NULL && depth < DEEPEST && v->any.count + v->one.count > 0) {
        const struct node_list *list = v->any.count > 0 ? &v->any : &v->one;
        for (uint32_t i = 0; i < list->count; i++)
            add_node(w, list->nodes[i], depth + 1);
    } else if (v != NULL && depth < DEEPEST && v->all.count > 0) {
        add_node(w, v->all.nodes[0], depth + 1);
    } else {
        w->silent = true;
    }
}

bool describe_alternatives(struct buf *out, const struct schema_node *const *nodes, uint32_t count)
{
    struct words w = {.values = true};
    buf_init(&w.text, 16384);
    for (uint32_t i = 0; i < count; i++)
        add_node(&w, nodes[i], 0);
    bool said = !w.silent && w.count > 0 && !w.text.failed;
    bool list = w.values && w.count > 1;
    for (unsigned i = 0; said && i < w.count; i++) {
        bool last = i + 1 == w.count && !w.more;
        if (i == 0 && list)
            BUF_LIT(out, "one of ");
        if (i > 0)
            buf_addf(out, "%s", last && !list ? " or " : ", ");
        buf_add_bytes(out, piece(&w, i));
    }
    if (said && w.more)
        BUF_LIT(out, ", ...");
    buf_free(&w.text);
    return said;
}

bool describe_node(struct buf *out, const struct schema_node *node)
{
    return describe_alternatives(out, &node, 1);
}

/* ---- similar names ---- */

struct search {
    struct bytes name, best;
    size_t nearest; /* a distance that is too far */
    unsigned left; /* nodes to look at */
};

static void search_node(struct search *s, const struct schema_node *node, int depth);

static void search_list(struct search *s, const struct node_list *list, int depth)
{
    for (uint32_t i = 0; i < list->count; i++)
        search_node(s, list->nodes[i], depth);
}

static void search_members(struct search *s, const struct object_rules *rules)
{
    for (uint32_t i = 0; i < rules->member_count; i++) {
        struct bytes name = rules->members[i].name;
        if (name.size > SIMILAR_NAME_MAX || rules->members[i].node == NULL)
            continue;
        size_t distance = edit_distance(s->name, name);
        if (distance < s->nearest && distance < name.size) {
            s->nearest = distance;
            s->best = name;
        }
    }
}

/* The node, and all that apply to the same value because of it. */
static void search_node(struct search *s, const struct schema_node *node, int depth)
{
    if (node == NULL || depth > DEEPEST || s->left == 0)
        return;
    s->left--;
    if (node->object != NULL) {
        search_members(s, node->object);
        for (uint32_t i = 0; i < node->object->dependency_count; i++)
            search_node(s, node->object->dependencies[i].node, depth + 1);
    }
    const struct value_rules *v = node->value;
    if (v == NULL)
        return;
    search_node(s, v->ref, depth + 1);
    search_node(s, v->dynamic_ref, depth + 1);
    search_list(s, &v->all, depth + 1);
    search_list(s, &v->any, depth + 1);
    search_list(s, &v->one, depth + 1);
    search_node(s, v->condition, depth + 1);
    search_node(s, v->then, depth + 1);
    search_node(s, v->otherwise, depth + 1);
}

void describe_similar(struct buf *out, const struct schema_node *node, struct bytes name)
{
    if (name.size > SIMILAR_NAME_MAX)
        return;
    /* From a third of the letters on it is no slip of the finger. */
    struct search search = {.name = name, .nearest = name.size / 3 + 2, .left = NODES_SEARCHED};
    search_node(&search, node, 0);
    if (search.best.data == NULL)
        return;
    BUF_LIT(out, " (did you mean ");
    json_write_string(out, search.best);
    BUF_LIT(out, "?)");
}
