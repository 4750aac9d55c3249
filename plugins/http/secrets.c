/* SPDX-License-Identifier: MIT */
/* Secrets: that they can be sent, and that they do not come back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static bool remember(struct settings *settings, const char *data)
{
    if (strlen(data) < HIDDEN_MIN)
        return true;
    if (settings->secret_count == SECRETS_MAX)
        return false;
    settings->secrets[settings->secret_count] = strdup(data);
    return settings->secrets[settings->secret_count++] != NULL;
}

bool secret_hide(struct settings *settings, const char *secret)
{
    struct text encoded;

    text_init(&encoded, 4 * SECRET_SIZE_MAX);
    text_add_percent(&encoded, secret, strlen(secret), "");
    bool good = !encoded.failed && remember(settings, secret) &&
                (strcmp(encoded.data != NULL ? encoded.data : "", secret) == 0 ||
                 remember(settings, encoded.data != NULL ? encoded.data : ""));
    if (encoded.data != NULL)
        explicit_bzero(encoded.data, encoded.size);
    text_free(&encoded);
    return good;
}

void secret_wipe(const struct settings *settings, char *data, size_t size)
{
    for (size_t i = 0; i < settings->secret_count; i++) {
        const char *secret = settings->secrets[i];
        size_t length = strlen(secret);
        char *at = data;
        while ((at = memmem(at, size - (size_t)(at - data), secret, length)) != NULL) {
            memset(at, '*', length);
            at += length;
        }
    }
}
