/* SPDX-License-Identifier: MIT */
/* Sealing and opening. Whatever is wrong with a text - altered, made up, another
 * caller's, another request's - looks the same from outside: it does not open. */
#include "mcp/request_state.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "plugin/call.h"

#define MARK "s1."
#define MARK_SIZE (sizeof(MARK) - 1)
#define BINDING "mcpd request state 1"
/* expires_ms, id, round, the size of `awaited`. */
#define HEAD_SIZE (8 + REQUEST_STATE_ID_SIZE + 4 + 4)

/* ---- numbers, the same on every machine ---- */

static void put(unsigned char *out, uint64_t number, size_t size)
{
    for (size_t i = 0; i < size; i++)
        out[i] = (unsigned char)(number >> (8 * i));
}

static uint64_t get(const unsigned char *in, size_t size)
{
    uint64_t number = 0;

    for (size_t i = size; i-- > 0;)
        number = number << 8 | in[i];
    return number;
}

/* ---- keys ---- */

void seal_key_generate(struct seal_key *key)
{
    unsigned char name[6];

    crypto_random(name, sizeof name);
    crypto_random(key->key, sizeof key->key);
    base64url_encode(name, sizeof name, key->id);
}

static const struct seal_key *find_key(const struct seal_ring *ring, struct bytes id)
{
    for (size_t i = 0; i < ring->count; i++)
        if (bytes_equal(bytes_of(ring->keys[i].id), id))
            return &ring->keys[i];
    return ring->own != NULL && bytes_equal(bytes_of(ring->own->id), id) ? ring->own : NULL;
}

/* ---- binding ---- */

/* With its length, so that no two lists of parts look alike. */
static void add_part(struct buf *out, struct bytes part)
{
    unsigned char size[8];

    put(size, part.size, sizeof size);
    buf_add(out, size, sizeof size);
    buf_add_bytes(out, part);
}

void request_state_bind(struct buf *out, const struct request_binding *binding)
{
    add_part(out, BYTES(BINDING));
    add_part(out, binding->issuer);
    add_part(out, binding->subject);
    add_part(out, binding->method);
    add_part(out, binding->name);
    add_part(out, binding->plugin);
    add_part(out, binding->arguments);
}

/* ---- sealing ---- */

static size_t base64url_size(size_t size)
{
    return (size * 4 + 2) / 3;
}

/* What a plugin may give is never too large. Beside it there is not much: see awaited_write. */
static_assert(MARK_SIZE + SEAL_KEY_ID_MAX + 1 +
                      (HEAD_SIZE + CALL_CARRIED_MAX + CALL_REQUESTS_MAX * 24 + CRYPTO_SEAL_SIZE) *
                          4 / 3 +
                      1 <=
                  REQUEST_STATE_MAX,
              "a state that a plugin may give can be sealed");

bool request_state_seal(const struct seal_ring *ring, struct bytes bound,
                        const struct request_state *state, struct buf *out, struct error *err)
{
    const struct seal_key *key = ring->count > 0 ? &ring->keys[0] : ring->own;
    size_t plain_size = HEAD_SIZE + state->awaited.size + state->state.size;
    size_t sealed_size = plain_size + CRYPTO_SEAL_SIZE;
    size_t size = MARK_SIZE + strlen(key->id) + 1 + base64url_size(sealed_size);

    if (size > REQUEST_STATE_MAX)
        return error_set(err, "a requestState of %zu bytes is too large: at most %zu", size,
                         REQUEST_STATE_MAX);
    unsigned char *plain = malloc(plain_size + sealed_size);
    char *text = malloc(size + 1);
    if (plain == NULL || text == NULL) {
        free(plain);
        free(text);
        return error_no_memory(err);
    }
    put(plain, (uint64_t)state->expires_ms, 8);
    memcpy(plain + 8, state->id, REQUEST_STATE_ID_SIZE);
    put(plain + 8 + REQUEST_STATE_ID_SIZE, state->round, 4);
    put(plain + 12 + REQUEST_STATE_ID_SIZE, state->awaited.size, 4);
    memcpy(plain + HEAD_SIZE, state->awaited.data, state->awaited.size);
    if (state->state.size > 0)
        memcpy(plain + HEAD_SIZE + state->awaited.size, state->state.data, state->state.size);
    unsigned char *sealed = plain + plain_size;
    crypto_seal(key->key, bound, (struct bytes){(char *)plain, plain_size}, sealed);
    int head = snprintf(text, size + 1, MARK "%s.", key->id);
    base64url_encode(sealed, sealed_size, text + head);
    buf_add(out, text, size);
    crypto_wipe(plain, plain_size);
    free(plain);
    free(text);
    return !out->failed || error_no_memory(err);
}

/* ---- opening ---- */

static bool foreign(struct error *err)
{
    return error_set(err, "requestState is not the one that this server gave for this request of "
                          "this caller, or it has been altered");
}

/* Takes "s1.ID.REST" apart. */
static bool split(struct bytes text, struct bytes *id, struct bytes *rest)
{
    if (text.size < MARK_SIZE || text.size > REQUEST_STATE_MAX ||
        memcmp(text.data, MARK, MARK_SIZE) != 0)
        return false;
    const char *start = text.data + MARK_SIZE, *end = text.data + text.size;
    const char *point = memchr(start, '.', (size_t)(end - start));
    if (point == NULL)
        return false;
    *id = (struct bytes){start, (size_t)(point - start)};
    *rest = (struct bytes){point + 1, (size_t)(end - point - 1)};
    return true;
}

static bool read_plain(const unsigned char *plain, size_t size, struct request_state *state)
{
    if (size < HEAD_SIZE)
        return false;
    state->expires_ms = (int64_t)get(plain, 8);
    memcpy(state->id, plain + 8, REQUEST_STATE_ID_SIZE);
    state->round = (uint32_t)get(plain + 8 + REQUEST_STATE_ID_SIZE, 4);
    size_t awaited = (size_t)get(plain + 12 + REQUEST_STATE_ID_SIZE, 4);
    if (awaited > size - HEAD_SIZE)
        return false;
    state->awaited = (struct bytes){(const char *)plain + HEAD_SIZE, awaited};
    state->state =
        (struct bytes){(const char *)plain + HEAD_SIZE + awaited, size - HEAD_SIZE - awaited};
    return true;
}

bool request_state_open(const struct seal_ring *ring, struct bytes bound, struct bytes text,
                        int64_t now_ms, struct arena *arena, struct request_state *state,
                        struct error *err)
{
    struct bytes id, rest;
    size_t size;

    if (!split(text, &id, &rest))
        return foreign(err);
    const struct seal_key *key = find_key(ring, id);
    if (key == NULL)
        return error_set(err, "requestState was sealed with a key that this server does not have "
                              "(any more): begin the request anew");
    char *sealed = arena_alloc(arena, rest.size + 1);
    unsigned char *plain = arena_alloc(arena, rest.size + 1);
    if (sealed == NULL || plain == NULL)
        return error_no_memory(err);
    if (!base64url_decode(rest, sealed, &size) || size < CRYPTO_SEAL_SIZE + HEAD_SIZE ||
        !crypto_open(key->key, bound, (struct bytes){sealed, size}, plain) ||
        !read_plain(plain, size - CRYPTO_SEAL_SIZE, state))
        return foreign(err);
    if (now_ms >= state->expires_ms)
        return error_set(err, "requestState has expired: begin the request anew");
    return true;
}
