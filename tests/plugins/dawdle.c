/* SPDX-License-Identifier: MIT */
/*
 * Takes its time where mcpd waits for it, as its configuration says: "create" and
 * "reconfigure" are milliseconds; "from" names a file, whose second creation does not
 * return: the first is the trial's.
 */
#define SAMPLE_ID "dawdle"
#include "sample.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct instance {
    const struct mcp_host *host;
};

static void wait_as(const struct mcp_host *host, const char *pointer)
{
    int32_t kind;
    struct mcp_bytes value;
    char number[24] = "";

    if (host->config(host, pointer, &kind, &value) != MCP_OK || kind != MCP_JSON_NUMBER ||
        value.size >= sizeof(number))
        return;
    memcpy(number, value.data, value.size);
    host->log(host, MCP_LOG_NOTICE, MCP_STR("dawdles"));
    usleep((useconds_t)strtoul(number, NULL, 10) * 1000);
}

static void hang_the_second_time(const struct mcp_host *host)
{
    int32_t kind;
    struct mcp_bytes value;
    char path[512] = "";

    if (host->config(host, "/from", &kind, &value) != MCP_OK || kind != MCP_JSON_STRING ||
        value.size >= sizeof(path))
        return;
    memcpy(path, value.data, value.size);
    int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (fd >= 0) {
        close(fd);
        return;
    }
    host->log(host, MCP_LOG_NOTICE, MCP_STR("hangs"));
    for (;;)
        pause();
}

static int32_t create(const struct mcp_host *host, struct mcp_bytes config, void **instance)
{
    struct instance *self = calloc(1, sizeof(*self));

    (void)config;
    if (self == NULL)
        return MCP_ENOMEM;
    self->host = host;
    wait_as(host, "/create");
    hang_the_second_time(host);
    *instance = self;
    return MCP_OK;
}

static int32_t reconfigure(void *data, struct mcp_bytes config)
{
    const struct instance *self = data;

    (void)config;
    wait_as(self->host, "/reconfigure");
    return MCP_OK;
}

static void destroy(void *data)
{
    free(data);
}

SAMPLE_PLUGIN(.create = create, .destroy = destroy, .reconfigure = reconfigure, SAMPLE_TOOLS)
