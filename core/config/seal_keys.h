/* SPDX-License-Identifier: MIT */
/*
 * The file of keys that seal what clients carry for us (request_state.key_file):
 * one key a line, "ID BASE64-OF-32-BYTES"; the first seals, all of them open, so
 * that a new key can be put first while states under the old one come back. What
 * follows a # at the start of a line is a comment.
 */
#ifndef CONFIG_SEAL_KEYS_H
#define CONFIG_SEAL_KEYS_H

#include "base/arena.h"
#include "base/crypto.h"
#include "base/error.h"

#define SEAL_KEY_ID_MAX 32
#define SEAL_KEYS_MAX 64

struct seal_key {
    char id[SEAL_KEY_ID_MAX + 1]; /* of A-Z a-z 0-9 _ - */
    unsigned char key[CRYPTO_KEY_SIZE];
};

/* 1 to SEAL_KEY_ID_MAX of A-Z a-z 0-9 _ - */
bool seal_key_id_legal(struct bytes id);

/* Reads the text of such a file into `arena`. NULL: err says which line is wrong,
 * after the name of the file. */
struct seal_key *seal_keys_parse(const char *file, struct bytes text, struct arena *arena,
                                 size_t *count, struct error *err);

#endif
