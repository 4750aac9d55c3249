/* SPDX-License-Identifier: MIT */
/* What mcpd needs of libsodium. The only file that knows libsodium is crypto.c. */
#ifndef BASE_CRYPTO_H
#define BASE_CRYPTO_H

#include "base/bytes.h"

/* Once, before anything else here and before threads. False: no entropy. */
bool crypto_init(void);

void crypto_random(void *out, size_t size);

/* BLAKE2b of `size` bytes into out[32]. (libsodium owns the name crypto_hash.) */
#define CRYPTO_DIGEST_SIZE 32
void crypto_digest(unsigned char out[CRYPTO_DIGEST_SIZE], const void *data, size_t size);

/* Authenticated encryption (XChaCha20-Poly1305): what is sealed cannot be read, made
 * or altered without the key. `bound` is not in it, but opening needs the same. The
 * nonce is random: two seals of the same bytes differ. */
#define CRYPTO_KEY_SIZE 32
#define CRYPTO_SEAL_SIZE (24 + 16) /* what sealing adds: nonce and tag */
/* out has room for plain.size + CRYPTO_SEAL_SIZE. */
void crypto_seal(const unsigned char key[CRYPTO_KEY_SIZE], struct bytes bound, struct bytes plain,
                 unsigned char *out);
/* out has room for sealed.size - CRYPTO_SEAL_SIZE. False: it was not sealed so. */
bool crypto_open(const unsigned char key[CRYPTO_KEY_SIZE], struct bytes bound, struct bytes sealed,
                 unsigned char *out);

/* Overwrites what was secret, where a compiler would leave it. */
void crypto_wipe(void *data, size_t size);

/* Takes the same time wherever the difference is. */
bool crypto_equal(struct bytes a, struct bytes b);

/* Base64 (RFC 4648, section 4), strict: padding required, no white space, no
 * other alphabet, zero trailing bits. Writes at most text.size / 4 * 3 bytes to
 * out; false when it is not Base64. */
bool base64_decode(struct bytes text, char *out, size_t *size);
/* out has room for (size + 2) / 3 * 4 + 1; NUL-terminated. */
void base64_encode(const void *data, size_t size, char *out);

/* base64url without padding (RFC 4648, section 5); the same contracts, but up to
 * text.size * 3 / 4 bytes to out. */
bool base64url_decode(struct bytes text, char *out, size_t *size);
void base64url_encode(const void *data, size_t size, char *out);

#endif
