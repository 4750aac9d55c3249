/* SPDX-License-Identifier: MIT */
/*
 * requestState: what a client of 2026-07-28 carries for us while it answers a
 * question (basic/patterns/mrtr). It comes back from whoever got hold of it,
 * perhaps at another mcpd: so it is sealed, and says itself what it is good for.
 *
 *     s1.KEY-ID.BASE64URL(nonce | ciphertext | tag)
 *
 * In clear is only which key. Inside are when it ends, a random id, the round,
 * what the client was asked (to check its answers) and the provider's own state.
 * Bound to it, and not in it, is whose request it continues: see
 * request_state_bind. Any thread.
 */
#ifndef MCP_REQUEST_STATE_H
#define MCP_REQUEST_STATE_H

#include "base/arena.h"
#include "base/buf.h"
#include "config/seal_keys.h"

/* Of the whole text; clients send it in a body. */
#define REQUEST_STATE_MAX ((size_t)64 * 1024)
#define REQUEST_STATE_ID_SIZE 16

/* The first seals, all of them open; `own`, which may be NULL, is a further one:
 * the last, or the only one. */
struct seal_ring {
    const struct seal_key *keys;
    size_t count;
    const struct seal_key *own;
};

struct request_state {
    int64_t expires_ms; /* of the wall clock, which other machines share */
    unsigned char id[REQUEST_STATE_ID_SIZE]; /* random */
    uint32_t round; /* 1: the first questions */
    struct bytes awaited; /* answers.h */
    struct bytes state; /* the provider's own */
};

/* A fresh key with a random name. */
void seal_key_generate(struct seal_key *key);

/* Whose request of what it continues. */
struct request_binding {
    struct bytes issuer, subject; /* of the caller; empty: nobody in particular */
    struct bytes method, name;
    struct bytes plugin; /* another plugin under the same name does not get it */
    struct bytes arguments; /* a digest */
};

void request_state_bind(struct buf *out, const struct request_binding *binding);

/* Adds the text to `out`. False: out of memory, or larger than
 * REQUEST_STATE_MAX; err says so. */
bool request_state_seal(const struct seal_ring *ring, struct bytes bound,
                        const struct request_state *state, struct buf *out, struct error *err);

/* The parts are in `arena`. `now_ms`: of the wall clock. False: it is none, or none
 * for this request, or its time is over; err says so, in a sentence for the
 * client. */
bool request_state_open(const struct seal_ring *ring, struct bytes bound, struct bytes text,
                        int64_t now_ms, struct arena *arena, struct request_state *state,
                        struct error *err);

#endif
