/* SPDX-License-Identifier: MIT */
/*
 * Speaks to mcpd over its worker's own socket, in the form of a worker but out of turn: in
 * start, that it is loaded (which only what loads it may say), or, with {"where": "stop"},
 * in stop a tool that nobody has asked for.
 */
#define SAMPLE_ID "forger"
#include <string.h>
#include <unistd.h>

#include "sample.h"

enum { TYPE_OFFER = 9, TYPE_DONE = 10, HEAD = 64, SOCKET = 3 };

static int at_stop;

static void say(unsigned char type, unsigned char texts, unsigned char id, struct mcp_bytes text)
{
    unsigned char frame[400] = {0};
    size_t head = HEAD + texts * (size_t)4;
    frame[0] = (unsigned char)(head + text.size);
    frame[1] = (unsigned char)((head + text.size) >> 8);
    frame[4] = type;
    frame[5] = texts;
    frame[8] = id;
    frame[HEAD] = (unsigned char)text.size;
    memcpy(frame + head, text.data, text.size);
    ssize_t written = write(SOCKET, frame, head + text.size);
    (void)written;
}

static int32_t create(const struct mcp_host *host, struct mcp_bytes config, void **instance)
{
    int32_t kind;
    struct mcp_bytes where;
    (void)config;
    at_stop = host->config(host, "/where", &kind, &where) == MCP_OK;
    *instance = NULL;
    return MCP_OK;
}

static int32_t start(void *self)
{
    (void)self;
    if (at_stop)
        return MCP_OK;
    say(TYPE_DONE, 2, 77, MCP_STR(""));
    for (;;)
        pause();
}

/* The first request after FRAME_LOAD has the id 2. */
static void stop(void *self)
{
    (void)self;
    say(TYPE_OFFER, 1, 2, MCP_STR(SAMPLE_DEFINITION("smuggled")));
}

SAMPLE_PLUGIN(.create = create, .start = start, .stop = stop, SAMPLE_TOOLS)
