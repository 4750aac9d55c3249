/* SPDX-License-Identifier: MIT */
/* What comes back from clients that were asked, and what plugins ask. The first byte
 * chooses: a requestState as a client sends it; the inside of one, which only we can
 * seal; a key file; questions and, behind a NUL, an answer to each of them. */
#include <stdint.h>
#include <stdlib.h>

#include "mcp/answers.h"
#include "mcp/capabilities.h"
#include "mcp/questions.h"
#include "mcp/request_state.h"
#include "plugin/call_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
