/* SPDX-License-Identifier: MIT */
/* What comes back from clients that were asked, and what plugins ask. The first byte
 * chooses: a requestState as a client sends it; the inside of one, which only we can
 * seal; a state that we seal and open again; a key file; what a client says it can; and
 * questions and, behind a NUL, an answer to each of them. */
#include <stdint.h>
#include <stdlib.h>

#include "mcp/answers.h"
#include "mcp/capabilities.h"
#include "mcp/questions.h"
#include "mcp/request_state.h"
#include "must.h"
#include "plugin/call_private.h"

static const struct seal_key key = {.id = "k", .key = {1, 2, 3}};
static const struct seal_ring ring = {.keys = &key, .count = 1};

/* Nobody else has the key. */
static void open_foreign(struct bytes text, struct arena *arena)
{
    struct request_state state;
    struct error err;

    if (request_state_open(&ring, BYTES("bound"), text, 0, arena, &state, &err))
        abort();
}

static void open_own(struct bytes plain, struct arena *arena)
{
    struct request_state state = {.round = 0};
    struct error err;
    struct buf text;

    unsigned char *sealed = malloc(plain.size + CRYPTO_SEAL_SIZE);
    char *encoded = malloc((plain.size + CRYPTO_SEAL_SIZE) * 2 + 8);
    crypto_seal(key.key, BYTES("bound"), plain, sealed);
    base64url_encode(sealed, plain.size + CRYPTO_SEAL_SIZE, encoded);
    buf_init(&text, REQUEST_STATE_MAX * 4);
    BUF_LIT(&text, "s1.k.");
    buf_add_bytes(&text, bytes_of(encoded));
    if (request_state_open(&ring, BYTES("bound"), buf_bytes(&text), 0, arena, &state, &err) &&
        state.awaited.size + state.state.size > plain.size)
        abort();
    buf_free(&text);
    free(encoded);
    free(sealed);
}

/* What was sealed comes back, while its time lasts, and only for what it was bound to. */
static void seal_and_open(struct bytes text, struct arena *arena)
{
    struct seal_key own;
    const struct seal_ring other = {.own = &own};
    size_t part = text.size / 2;
    const struct request_binding binding = {.method = BYTES("m"), .name = {text.data, part}};
    struct request_state again, state = {.expires_ms = 5,
                                         .round = 2,
                                         .awaited = {text.data, part},
                                         .state = {text.data + part, text.size - part}};
    struct error err;
    struct buf out, bound;

    seal_key_generate(&own);
    buf_init(&out, REQUEST_STATE_MAX);
    buf_init(&bound, SIZE_MAX);
    request_state_bind(&bound, &binding);
    struct bytes whole = buf_bytes(&bound), half = {whole.data, whole.size - 1};
    const struct seal_ring *used = text.size % 2 == 0 ? &ring : &other;
    if (request_state_seal(used, whole, &state, &out, &err)) {
        must(request_state_open(used, whole, buf_bytes(&out), 4, arena, &again, &err));
        must(again.round == 2 && bytes_equal(again.awaited, state.awaited));
        must(bytes_equal(again.state, state.state));
        must(!request_state_open(used, whole, buf_bytes(&out), 5, arena, &again, &err));
        must(!request_state_open(used, half, buf_bytes(&out), 4, arena, &again, &err));
        must(!request_state_open(used == &ring ? &other : &ring, whole, buf_bytes(&out), 4, arena,
                                 &again, &err));
    } else {
        must(text.size > REQUEST_STATE_MAX / 2 && err.text[0] != '\0');
    }
    buf_free(&bound);
    buf_free(&out);
}

/* What a client can, said again, is the same. */
static void read_capabilities(struct bytes text)
{
    struct buf out;

    if (!json_check(text, &json_default_limits, NULL))
        return;
    for (int i = 0; i <= REVISION_2026_07_28; i++) {
        unsigned abilities = abilities_declared(&revisions[i], text);
        must((abilities & ~revisions[i].abilities) == 0);
        buf_init(&out, SIZE_MAX);
        abilities_write(&out, abilities);
        must(json_check(buf_bytes(&out), &json_default_limits, NULL));
        must(abilities_declared(&revisions[i], buf_bytes(&out)) == abilities);
        buf_free(&out);
    }
    must(abilities_declared(&revisions[0], (struct bytes){NULL, 0}) == 0);
}

static void read_keys(struct bytes text, struct arena *arena)
{
    struct error err;
    size_t count = 0;
    const struct seal_key *keys = seal_keys_parse("keys", text, arena, &count, &err);

    for (size_t i = 0; i < count; i++)
        if (keys[i].id[0] == '\0' || strlen(keys[i].id) > SEAL_KEY_ID_MAX)
            abort();
}

/* Questions whose form is legal can be asked in every revision, as legal JSON, and
 * what is awaited has a place for each. */
static void ask(const struct json *requests, const struct json *answer, struct arena *arena)
{
    struct json awaited, question;
    struct error err;
    struct buf out;

    buf_init(&out, (size_t)64 << 20);
    awaited_write(&out, requests);
    if (!json_parse(&awaited, arena_copy(arena, buf_bytes(&out)), &json_default_limits, arena,
                    NULL) ||
        awaited.root->count != requests->root->count)
        abort();
    abilities_describe(&out, abilities_needed(requests));
    const struct json_node *what = json_first(awaited.root);
    const struct json_node *end = requests->root + requests->root->span;
    for (const struct json_node *name = json_first(requests->root); name != NULL;
         name = json_next(name + 1, end)) {
        for (int i = 0; i < REVISION_2026_07_28; i++) {
            if (!question_is_known(&revisions[i], requests, name + 1))
                continue;
            buf_clear(&out);
            question_write(&out, &revisions[i], "ask-1", requests, name + 1);
            if (!json_parse(&question, arena_copy(arena, buf_bytes(&out)), &json_default_limits,
                            arena, NULL))
                abort();
        }
        if (answer != NULL)
            answer_fits(&awaited, what + 1, answer, answer->root, &err);
        what = json_next(what + 1, awaited.root + awaited.root->span);
    }
    buf_free(&out);
}

static void ask_and_answer(struct bytes text, struct arena *arena)
{
    const char *middle = memchr(text.data, '\0', text.size);
    struct bytes first = {text.data, middle != NULL ? (size_t)(middle - text.data) : text.size};
    struct json requests, answer;
    struct error err;

    if (!json_parse(&requests, first, &json_default_limits, arena, NULL))
        return;
    bool answered = middle != NULL &&
                    json_parse(&answer, (struct bytes){middle + 1, text.size - first.size - 1},
                               &json_default_limits, arena, NULL);
    if (answered)
        answer_is_legal(&answer, answer.root, &err);
    if (call_requests_fault(NULL, &requests) == NULL)
        ask(&requests, answered ? &answer : NULL, arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    struct arena arena;

    if (!ready && !crypto_init())
        abort();
    ready = true;
    if (size == 0)
        return 0;
    /* A copy of its own, so that reading behind its end is seen. */
    char *copy = malloc(size - 1);
    memcpy(copy, data + 1, size - 1);
    struct bytes text = {copy, size - 1};
    arena_init(&arena, (size_t)256 << 20);
    switch (data[0]) {
    case 's':
        open_foreign(text, &arena);
        break;
    case 'i':
        open_own(text, &arena);
        break;
    case 'r':
        seal_and_open(text, &arena);
        break;
    case 'c':
        read_capabilities(text);
        break;
    case 'k':
        read_keys(text, &arena);
        break;
    default:
        ask_and_answer(text, &arena);
        break;
    }
    arena_free(&arena);
    free(copy);
    return 0;
}
