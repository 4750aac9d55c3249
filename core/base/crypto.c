/* SPDX-License-Identifier: MIT */
/* libsodium behind our own names, and Base64. */
#include "base/crypto.h"

#include <assert.h>
#include <sodium.h>

static unsigned char hash_key[crypto_shorthash_KEYBYTES]; /* zero until crypto_init */

bool crypto_init(void)
{
    if (sodium_init() < 0)
        return false;
    crypto_shorthash_keygen(hash_key);
    return true;
}

void crypto_random(void *out, size_t size)
{
    randombytes_buf(out, size);
}

void crypto_digest(unsigned char out[CRYPTO_DIGEST_SIZE], const void *data, size_t size)
{
    crypto_generichash(out, CRYPTO_DIGEST_SIZE, data, size, NULL, 0);
}

#define NONCE_SIZE crypto_aead_xchacha20poly1305_ietf_NPUBBYTES

void crypto_seal(const unsigned char key[CRYPTO_KEY_SIZE], struct bytes bound, struct bytes plain,
                 unsigned char *out)
{
    static_assert(CRYPTO_KEY_SIZE == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "key");
    static_assert(CRYPTO_SEAL_SIZE == NONCE_SIZE + crypto_aead_xchacha20poly1305_ietf_ABYTES,
                  "nonce and tag");
    randombytes_buf(out, NONCE_SIZE);
    crypto_aead_xchacha20poly1305_ietf_encrypt(
        out + NONCE_SIZE, NULL, (const unsigned char *)plain.data, plain.size,
        (const unsigned char *)bound.data, bound.size, NULL, out, key);
}

bool crypto_open(const unsigned char key[CRYPTO_KEY_SIZE], struct bytes bound, struct bytes sealed,
                 unsigned char *out)
{
    const unsigned char *in = (const unsigned char *)sealed.data;

    return sealed.size >= CRYPTO_SEAL_SIZE &&
           crypto_aead_xchacha20poly1305_ietf_decrypt(
               out, NULL, NULL, in + NONCE_SIZE, sealed.size - NONCE_SIZE,
               (const unsigned char *)bound.data, bound.size, in, key) == 0;
}

void crypto_wipe(void *data, size_t size)
{
    sodium_memzero(data, size);
}

bool crypto_equal(struct bytes a, struct bytes b)
{
    if (a.size != b.size)
        return false;
    return a.size == 0 || sodium_memcmp(a.data, b.data, a.size) == 0;
}

uint64_t bytes_hash(struct bytes b)
{
    uint64_t hash;
    static_assert(sizeof(hash) == crypto_shorthash_BYTES, "SipHash gives 64 bits");
    crypto_shorthash((unsigned char *)&hash, (const unsigned char *)b.data, b.size, hash_key);
    return hash;
}

/* ---- Base64 ---- */

/* Not libsodium's: that one takes the same time for any content, which costs a
 * factor of four on the large files and images that are sent this way. */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char digits_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

#define BAD 0x80u /* no digit: a bit that no value of a digit has */

static unsigned value_of(char c, bool url)
{
    if (c >= 'A' && c <= 'Z')
        return (unsigned)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (unsigned)(c - 'a') + 26;
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0') + 52;
    if (c == (url ? '-' : '+'))
        return 62;
    if (c == (url ? '_' : '/'))
        return 63;
    return BAD;
}

/* `text` is without padding here. The bits that a shortened last group leaves
 * over must be zero, so that every value has one spelling. */
static bool decode(struct bytes text, bool url, char *out, size_t *size)
{
    size_t tail = text.size % 4;
    if (tail == 1)
        return false;
    const char *s = text.data;
    char *o = out;
    for (size_t n = text.size / 4; n > 0; n--, s += 4) {
        unsigned a = value_of(s[0], url), b = value_of(s[1], url);
        unsigned c = value_of(s[2], url), d = value_of(s[3], url);
        if (((a | b | c | d) & BAD) != 0)
            return false;
        *o++ = (char)(a << 2 | b >> 4);
        *o++ = (char)(b << 4 | c >> 2);
        *o++ = (char)(c << 6 | d);
    }
    if (tail != 0) {
        unsigned a = value_of(s[0], url), b = value_of(s[1], url);
        unsigned c = tail == 3 ? value_of(s[2], url) : 0;
        unsigned left_over = tail == 3 ? c & 0x3 : b & 0xf;
        if (((a | b | c) & BAD) != 0 || left_over != 0)
            return false;
        *o++ = (char)(a << 2 | b >> 4);
        if (tail == 3)
            *o++ = (char)(b << 4 | c >> 2);
    }
    *size = (size_t)(o - out);
    return true;
}

/* Returns where the text ends, without padding. */
static char *encode(const unsigned char *s, size_t size, const char *alphabet, char *out)
{
    for (; size >= 3; size -= 3, s += 3) {
        *out++ = alphabet[s[0] >> 2];
        *out++ = alphabet[(s[0] & 0x3) << 4 | s[1] >> 4];
        *out++ = alphabet[(s[1] & 0xf) << 2 | s[2] >> 6];
        *out++ = alphabet[s[2] & 0x3f];
    }
    if (size > 0) {
        *out++ = alphabet[s[0] >> 2];
        *out++ = alphabet[(s[0] & 0x3) << 4 | (size > 1 ? s[1] >> 4 : 0)];
        if (size > 1)
            *out++ = alphabet[(s[1] & 0xf) << 2];
    }
    return out;
}

bool base64_decode(struct bytes text, char *out, size_t *size)
{
    if (text.size % 4 != 0)
        return false;
    for (int i = 0; i < 2 && text.size > 0 && text.data[text.size - 1] == '='; i++)
        text.size--;
    return decode(text, false, out, size);
}

void base64_encode(const void *data, size_t size, char *out)
{
    char *end = encode(data, size, digits, out);
    for (size_t left_over = size % 3; left_over != 0 && left_over < 3; left_over++)
        *end++ = '=';
    *end = '\0';
}

bool base64url_decode(struct bytes text, char *out, size_t *size)
{
    return decode(text, true, out, size);
}

void base64url_encode(const void *data, size_t size, char *out)
{
    *encode(data, size, digits_url, out) = '\0';
}
