/* SPDX-License-Identifier: MIT */
/* Secrets: that they can be sent, and that they do not come back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoding.h"
#include "http.h"
#include "reading.h"

#define SECRET_SIZE_MAX 16384
#define HIDDEN_MIN 4 /* characters; fewer would star out half of every answer */

/* What a header cannot carry. */
static bool has_controls(const char *secret)
{
    for (; *secret != '\0'; secret++)
        if ((unsigned char)*secret < 0x20 || *secret == 0x7f)
            return true;
    return false;
}

char *secret_read(const struct mcp_host *host, const char *pointer, const char *name)
{
    char place[128], *secret;

    snprintf(place, sizeof(place), "%s/%s", pointer, name);
    if (!config_secret(host, place, &secret))
        return NULL;
    if (secret == NULL)
        config_fail(host, pointer, "\"%s\" is missing", name);
    else if (*secret == '\0' || strlen(secret) > SECRET_SIZE_MAX || has_controls(secret))
        config_fail(host, place,
                    "the secret is empty, longer than %d bytes, or has a control character in it",
                    SECRET_SIZE_MAX);
    else
        return secret;
    secret_free(secret);
    return NULL;
}

bool secret_hide(struct settings *settings, const char *secret)
{
    if (strlen(secret) < HIDDEN_MIN)
        return true;
    if (settings->secret_count == SECRETS_MAX)
        return false;
    settings->secrets[settings->secret_count] = strdup(secret);
    return settings->secrets[settings->secret_count++] != NULL;
}

/* ---- wiping ---- */

/* How a text may spell a character, other than as itself. */
enum { ESCAPED = 1, PERCENT_ENCODED = 2 };

/* The first character as it is meant: returns how many bytes that are, and sets *used to
 * those that it takes. */
static size_t read_spelled(const char *data, size_t size, unsigned spelling, char *out,
                           size_t *used)
{
    size_t made = (spelling & ESCAPED) != 0 ? json_unescape(data, size, out, used) : 0;

    if (made > 0)
        return made;
    bool encoded = (spelling & PERCENT_ENCODED) != 0 && data[0] == '%' && size > 2 &&
                   hex_digit(data[1]) >= 0 && hex_digit(data[2]) >= 0;
    *out = encoded ? (char)(hex_digit(data[1]) * 16 + hex_digit(data[2])) : data[0];
    *used = encoded ? 3 : 1;
    return 1;
}

/* Whether there was one. */
static bool wipe(const struct settings *settings, char *data, size_t size)
{
    bool found = false;

    for (size_t i = 0; i < settings->secret_count; i++) {
        const char *secret = settings->secrets[i];
        size_t length = strlen(secret);
        char *at = data;
        while ((at = memmem(at, size - (size_t)(at - data), secret, length)) != NULL) {
            memset(at, '*', length);
            at += length;
            found = true;
        }
    }
    return found;
}

/* Wipes a copy without that spelling, and then each character that is another there. */
static void wipe_spelled(const struct settings *settings, char *data, size_t size,
                         unsigned spelling)
{
    char *plain = malloc(size), character[4];
    size_t made = 0, used;

    if (plain == NULL) {
        memset(data, '*', size); /* what cannot be looked at is not let through */
        return;
    }
    for (size_t at = 0; at < size; at += used)
        made += read_spelled(data + at, size - at, spelling, plain + made, &used);
    bool found = wipe(settings, plain, made);
    const char *now = plain;
    for (size_t at = 0; at < size && found; at += used) {
        made = read_spelled(data + at, size - at, spelling, character, &used);
        if (memcmp(now, character, made) != 0)
            memset(data + at, '*', used);
        now += made;
    }
    free(plain);
}

void secret_wipe(const struct settings *settings, char *data, size_t size)
{
    if (settings->secret_count == 0 || size == 0)
        return;
    unsigned spellings = (memchr(data, '\\', size) != NULL ? ESCAPED : 0) |
                         (memchr(data, '%', size) != NULL ? PERCENT_ENCODED : 0);
    /* Together, and each alone: a "%41" may be three characters of the secret. */
    for (unsigned spelling = spellings; spelling > 0; spelling = (spelling - 1) & spellings)
        wipe_spelled(settings, data, size, spelling);
    wipe(settings, data, size);
}
