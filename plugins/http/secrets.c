/* SPDX-License-Identifier: MIT */
/* Secrets: where they come from, and that they do not come back. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http.h"
#include "reading.h"

#define SECRET_SIZE_MAX 16384
#define HIDDEN_MIN 4 /* characters; fewer would star out half of every answer */

/* A header cannot carry these, and a file that was edited by hand ends with them. */
static void trim(char *secret)
{
    size_t size = strlen(secret);

    while (size > 0 && (secret[size - 1] == '\n' || secret[size - 1] == '\r'))
        secret[--size] = '\0';
}

static char *from_file(const struct mcp_host *host, const char *pointer, const char *path)
{
    char buffer[SECRET_SIZE_MAX + 1];
    struct stat st;
    char *secret = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        config_fail(host, pointer, "cannot read %s: %s", path,
                    fd < 0 ? strerror(errno) : "it is no regular file");
    } else {
        ssize_t size = read(fd, buffer, sizeof(buffer));
        if (size <= 0 || size > SECRET_SIZE_MAX || memchr(buffer, '\0', (size_t)size) != NULL)
            config_fail(host, pointer,
                        "%s is no secret: it is empty, larger than %d bytes, or has "
                        "a NUL in it",
                        path, SECRET_SIZE_MAX);
        else
            secret = strndup(buffer, (size_t)size);
        explicit_bzero(buffer, sizeof(buffer));
    }
    if (fd >= 0)
        close(fd);
    return secret;
}

static bool has_controls(const char *secret)
{
    for (; *secret != '\0'; secret++)
        if ((unsigned char)*secret < 0x20 || *secret == 0x7f)
            return true;
    return false;
}

char *secret_read(const struct mcp_host *host, const char *pointer, const char *name)
{
    char file[128], variable[128];
    struct mcp_bytes path = {NULL, 0}, environment = {NULL, 0};
    char *secret = NULL;

    snprintf(file, sizeof(file), "%s/%s_file", pointer, name);
    snprintf(variable, sizeof(variable), "%s/%s_env", pointer, name);
    if (!config_string(host, file, &path) || !config_string(host, variable, &environment))
        return NULL;
    if ((path.size > 0) == (environment.size > 0)) {
        config_fail(host, pointer, "expected either \"%s_file\" or \"%s_env\"", name, name);
        return NULL;
    }
    char *text =
        path.size > 0 ? strndup(path.data, path.size) : strndup(environment.data, environment.size);
    if (text != NULL && path.size > 0) {
        secret = from_file(host, file, text);
    } else if (text != NULL) {
        /* Not there: it may be the process that mcpd tries a plugin in, which has no
         * environment. The calls tell. */
        const char *value = getenv(text);
        free(text);
        return strdup(value != NULL && !has_controls(value) ? value : "");
    }
    free(text);
    if (secret == NULL)
        return NULL;
    trim(secret);
    if (*secret != '\0' && !has_controls(secret))
        return secret;
    config_fail(host, path.size > 0 ? file : variable,
                "the secret is empty, or has a control character in it");
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
    encode(&encoded, secret, strlen(secret), "");
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

void secret_free(char *secret)
{
    if (secret != NULL)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}
