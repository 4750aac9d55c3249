/* SPDX-License-Identifier: MIT */
/* Broken: it leaves a pthread key whose destructor is its own. */
#define SAMPLE_ID "bad_key"
#include "sample.h"

#include <pthread.h>

static pthread_key_t key;

static void destroy_value(void *value)
{
    (void)value;
}

static int32_t start(void *self)
{
    (void)self;
    return pthread_key_create(&key, destroy_value) == 0 ? MCP_OK : MCP_ENOMEM;
}

SAMPLE_PLUGIN(.start = start, SAMPLE_TOOLS)
