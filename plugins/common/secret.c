/* SPDX-License-Identifier: MIT */
/* Secrets from the configuration, from files, from the environment. */
#include "secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reading.h"

#define SECRET_MAX ((size_t)64 * 1024)
#define POINTER_MAX 256

void secret_free(char *secret)
{
    if (secret != NULL)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

/* A copy; secrets have no NUL, for the libraries that take them end there. */
static bool keep(const struct mcp_host *host, const char *pointer, const char *data, size_t size,
                 char **out)
{
    *out = NULL;
    if (memchr(data, '\0', size) != NULL)
        config_fail(host, pointer, "there is a NUL character in the secret");
    else if ((*out = strndup(data, size)) == NULL)
        config_fail(host, pointer, "out of memory");
    return *out != NULL;
}

static bool read_whole(int fd, char *data, size_t *size)
{
    for (*size = 0; *size <= SECRET_MAX;) {
        ssize_t n = read(fd, data + *size, SECRET_MAX + 1 - *size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0;
        *size += (size_t)n;
    }
    errno = EFBIG;
    return false;
}

static void warn_if_open(const struct mcp_host *host, const char *path, mode_t mode)
{
    char line[4200];
    if ((mode & S_IROTH) == 0)
        return;
    int size = snprintf(line, sizeof(line),
                        "%s can be read by everybody on this machine: chmod 0640 it", path);
    if (size > 0 && (size_t)size < sizeof(line))
        host->log(host, MCP_LOG_WARNING, (struct mcp_bytes){line, (size_t)size});
}

static bool from_open_file(const struct mcp_host *host, const char *pointer, const char *path,
                           int fd, char **out)
{
    struct stat st;
    size_t size;
    if (fstat(fd, &st) != 0)
        return config_fail(host, pointer, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return config_fail(host, pointer, "%s is not a file", path);
    char *data = malloc(SECRET_MAX + 1);
    if (data == NULL)
        return config_fail(host, pointer, "out of memory");
    bool good =
        read_whole(fd, data, &size) || config_fail(host, pointer, "%s: %s", path, strerror(errno));
    if (good) {
        if (size > 0 && data[size - 1] == '\n')
            size--;
        good = size > 0 ? keep(host, pointer, data, size, out)
                        : config_fail(host, pointer, "%s is empty", path);
        warn_if_open(host, path, st.st_mode);
    }
    explicit_bzero(data, SECRET_MAX + 1);
    free(data);
    return good;
}

static bool from_file(const struct mcp_host *host, const char *pointer, const char *path,
                      char **out)
{
    if (path[0] != '/')
        return config_fail(host, pointer, "expected the absolute path of a file");
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return config_fail(host, pointer, "%s: %s", path, strerror(errno));
    bool good = from_open_file(host, pointer, path, fd, out);
    close(fd);
    return good;
}

static bool from_environment(const struct mcp_host *host, const char *pointer, const char *name,
                             char **out)
{
    const char *value = getenv(name);
    if (value == NULL || value[0] == '\0')
        return config_fail(host, pointer,
                           "the environment variable %s, which it names, is not set for mcpd",
                           name);
    return keep(host, pointer, value, strlen(value), out);
}

typedef bool source_function(const struct mcp_host *host, const char *pointer, const char *name,
                             char **out);

/* Looks for the member. 1: read, 0: there is none, -1: wrong. */
static int try_member(const struct mcp_host *host, const char *pointer, const char *member,
                      source_function *source, char **out)
{
    char place[POINTER_MAX], *name = NULL;
    int32_t kind;
    struct mcp_bytes value;
    snprintf(place, sizeof(place), "%s/%s", pointer, member);
    if (host->config(host, place, &kind, &value) != MCP_OK)
        return 0;
    if (kind != MCP_JSON_STRING || value.size == 0)
        return config_fail(host, place, "expected a string that is not empty") ? 1 : -1;
    if (!keep(host, place, value.data, value.size, &name))
        return -1;
    bool good = source(host, place, name, out);
    free(name);
    return good ? 1 : -1;
}

bool config_secret(const struct mcp_host *host, const char *pointer, char **out)
{
    int32_t kind;
    struct mcp_bytes value;
    *out = NULL;
    if (host->config(host, pointer, &kind, &value) != MCP_OK)
        return true;
    if (kind == MCP_JSON_STRING)
        return keep(host, pointer, value.data, value.size, out);
    int found = 0;
    if (kind == MCP_JSON_OBJECT)
        found = try_member(host, pointer, "file", from_file, out);
    if (kind == MCP_JSON_OBJECT && found == 0)
        found = try_member(host, pointer, "environment", from_environment, out);
    if (found == 0)
        return config_fail(host, pointer,
                           "expected a string, {\"file\": \"/path\"} or "
                           "{\"environment\": \"NAME\"}");
    return found > 0;
}
