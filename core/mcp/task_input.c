/* SPDX-License-Identifier: MIT */
/*
 * What a task asks of its client on the way, and the answers.
 *
 * The requests of a plugin have keys of its own choice; those that the client
 * sees must be unique over the life of the task. The first time a key without a
 * colon is used as it is; else the number of the round goes before it: "2:name".
 *
 * `payload` holds the requests that are outstanding, by the keys the client
 * sees; `inside` the plugin's state and the answers so far, by its own keys.
 */
#include <stdio.h>
#include <stdlib.h>

#include "mcp/answers.h"
#include "mcp/capabilities.h"
#include "mcp/invoke.h"
#include "mcp/task_private.h"

#define INPUT_MAX ((size_t)1 << 28)

/* ---- inside ---- */

void task_write_inside(struct buf *out, unsigned round, struct bytes state, struct bytes answers)
{
    buf_init(out, INPUT_MAX);
    buf_addf(out, "{\"round\":%u,\"state\":", round);
    json_write_string(out, state);
    BUF_LIT(out, ",\"answers\":");
    buf_add_bytes(out, answers.size > 0 ? answers : BYTES("{}"));
    BUF_LIT(out, "}");
}

unsigned task_round(struct bytes inside)
{
    struct arena arena;
    struct json json;
    int64_t round = 0;

    arena_init(&arena, INPUT_MAX);
    if (inside.size > 0 && json_parse(&json, inside, &json_default_limits, &arena, NULL))
        json_int64(&json, json_get(&json, json.root, "round"), &round);
    arena_free(&arena);
    return (unsigned)round;
}

void task_read_inside(struct task_run *run, struct bytes inside)
{
    struct json json;
    /* The row's text may change before the call has ended. */
    struct bytes text = arena_copy(&run->arena, inside);

    run->state = run->answers = (struct bytes){NULL, 0};
    if (inside.size == 0 || text.data == NULL ||
        !json_parse(&json, text, &json_default_limits, &run->arena, NULL))
        return;
    run->state = json_string(&json, json_get(&json, json.root, "state"), &run->arena);
    const struct json_node *answers = json_get(&json, json.root, "answers");
    if (answers != NULL)
        run->answers = json_raw(&json, answers);
}

/* ---- asking ---- */

/* Whether the client has declared all that is asked; else *why becomes the error. */
static bool may_ask(const struct task *task, const struct json *requests, struct buf *why)
{
    unsigned declared = abilities_declared(task->revision, client_capabilities(task->run->origin));
    unsigned missing = abilities_needed(requests) & ~declared;

    if (missing == 0)
        return true;
    if (declared == ABILITIES_UNREAD) {
        task_write_error(why, RPC_INTERNAL_ERROR, "Out of memory");
        return false;
    }
    buf_addf(why,
             "{\"code\":%d,\"message\":\"This needs a capability that the client has not "
             "declared: ",
             RPC_MISSING_CAPABILITY);
    abilities_describe(why, missing);
    BUF_LIT(why, "\",\"data\":{\"requiredCapabilities\":");
    abilities_write(why, missing);
    BUF_LIT(why, "}}");
    return false;
}

/* The key as the client sees it. */
static void write_key(struct buf *out, const struct json *json, const struct json_node *name,
                      unsigned round, struct arena *arena)
{
    struct bytes key = json_string(json, name, arena);
    struct buf full;

    if (round == 1 && key.size > 0 && memchr(key.data, ':', key.size) == NULL) {
        json_write_string(out, key);
        return;
    }
    buf_init(&full, key.size + 16);
    buf_addf(&full, "%u:", round);
    buf_add_bytes(&full, key);
    json_write_string(out, buf_bytes(&full));
    buf_free(&full);
}

bool task_ask(struct task *task, const struct call_result *result, struct buf *why)
{
    const struct json *json = result->json;
    const struct json_node *end = json->root + json->root->span;
    struct buf payload, inside;
    struct arena arena;
    size_t size = 0;

    if (!may_ask(task, json, why))
        return false;
    arena_init(&arena, INPUT_MAX);
    task->round++;
    buf_init(&payload, INPUT_MAX);
    BUF_LIT(&payload, "{");
    for (const struct json_node *name = json_first(json->root); name != NULL;
         name = json_next(name + 1, end)) {
        if (payload.size > 1)
            BUF_LIT(&payload, ",");
        write_key(&payload, json, name, task->round, &arena);
        BUF_LIT(&payload, ":");
        json_write_compact(&payload, json, name + 1);
    }
    BUF_LIT(&payload, "}");
    task_write_inside(&inside, task->round, result->text, (struct bytes){NULL, 0});
    bool made = !payload.failed && !inside.failed;
    if (made) {
        char *text = buf_detach(&payload, &size);
        task_set(&task->row.payload, text, size);
        text = buf_detach(&inside, &size);
        task_set(&task->row.inside, text, size);
    } else {
        task_write_error(why, RPC_INTERNAL_ERROR, "Out of memory");
    }
    buf_free(&payload);
    buf_free(&inside);
    arena_free(&arena);
    return made;
}

/* ---- answers ---- */

/* The plugin's own key. */
static struct bytes own_key(struct bytes key, unsigned round)
{
    char prefix[16];
    size_t size = (size_t)snprintf(prefix, sizeof prefix, "%u:", round);

    if (key.size >= size && memcmp(key.data, prefix, size) == 0)
        return (struct bytes){key.data + size, key.size - size};
    return key;
}

/* What is read and written while answers are taken. */
struct taking {
    struct arena arena;
    struct json open; /* the requests that are outstanding */
    struct json awaited; /* what answers to them are checked against */
    struct json inside;
    struct buf text; /* of `awaited` */
    struct buf left, taken; /* what stays outstanding; the answers */
};

static void add_member(struct buf *out, struct bytes key, const struct json *json,
                       const struct json_node *value)
{
    if (out->size > 1)
        BUF_LIT(out, ",");
    json_write_string(out, key);
    BUF_LIT(out, ":");
    json_write_compact(out, json, value);
}

/* Each outstanding request goes to `left` or, with its answer, to `taken`. */
static bool sort_answers(struct taking *t, const struct task *task, const struct json *json,
                         const struct json_node *answers, bool *changed, struct error *why)
{
    const struct json_node *end = t->open.root + t->open.root->span;

    for (const struct json_node *name = json_first(t->open.root); name != NULL;
         name = json_next(name + 1, end)) {
        struct bytes key = json_string(&t->open, name, &t->arena);
        const struct json_node *answer = json_get_bytes(json, answers, key);
        if (answer == NULL) {
            add_member(&t->left, key, &t->open, name + 1);
        } else if (answer->type != JSON_OBJECT) {
            return error_set(why, "inputResponses/%.*s: expected an object", BYTES_FMT(key));
        } else if (!answer_fits(&t->awaited, json_get_bytes(&t->awaited, t->awaited.root, key),
                                json, answer, why)) {
            return error_prefix(why, "inputResponses/%.*s", BYTES_FMT(key));
        } else {
            add_member(&t->taken, own_key(key, task->round), json, answer);
            *changed = true;
        }
    }
    return true;
}

static void copy_members(struct buf *out, const struct json *json, const struct json_node *object)
{
    if (object == NULL || object->type != JSON_OBJECT || object->count == 0)
        return;
    struct bytes raw = json_raw(json, object);
    buf_add(out, raw.data + 1, raw.size - 2);
}

static bool take(struct taking *t, struct task *task, const struct json *json,
                 const struct json_node *answers, bool *changed, struct error *why)
{
    struct buf inside;
    size_t size = 0;

    if (!json_parse(&t->open, task->row.payload, &json_default_limits, &t->arena, NULL) ||
        !json_parse(&t->inside, task->row.inside, &json_default_limits, &t->arena, NULL))
        return error_no_memory(why);
    awaited_write(&t->text, &t->open);
    if (t->text.failed ||
        !json_parse(&t->awaited, buf_bytes(&t->text), &json_default_limits, &t->arena, NULL))
        return error_no_memory(why);
    BUF_LIT(&t->left, "{");
    BUF_LIT(&t->taken, "{");
    copy_members(&t->taken, &t->inside, json_get(&t->inside, t->inside.root, "answers"));
    if (!sort_answers(t, task, json, answers, changed, why))
        return false;
    if (!*changed)
        return true;
    BUF_LIT(&t->left, "}");
    BUF_LIT(&t->taken, "}");
    struct bytes state =
        json_string(&t->inside, json_get(&t->inside, t->inside.root, "state"), &t->arena);
    task_write_inside(&inside, task->round, state, buf_bytes(&t->taken));
    if (t->left.failed || t->taken.failed || inside.failed) {
        buf_free(&inside);
        return error_no_memory(why);
    }
    char *text = buf_detach(&inside, &size);
    task_set(&task->row.inside, text, size);
    text = buf_detach(&t->left, &size);
    task_set(&task->row.payload, text, size);
    return true;
}

bool task_take_answers(struct task *task, const struct json *json, const struct json_node *answers,
                       bool *changed, bool *complete, struct error *why)
{
    struct taking t;

    *changed = false;
    arena_init(&t.arena, INPUT_MAX);
    buf_init(&t.text, INPUT_MAX);
    buf_init(&t.left, INPUT_MAX);
    buf_init(&t.taken, INPUT_MAX);
    bool taken = take(&t, task, json, answers, changed, why);
    *complete = taken && *changed && task->row.payload.size == 2; /* {} */
    buf_free(&t.text);
    buf_free(&t.left);
    buf_free(&t.taken);
    arena_free(&t.arena);
    return taken;
}
