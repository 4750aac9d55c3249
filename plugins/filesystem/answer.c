/* SPDX-License-Identifier: MIT */
/* How calls end, and a call inside a call. */
#include "filesystem.h"

#include <stddef.h>

#include "reading.h"

int32_t finish_call(struct mcp_call *call, struct text *words, struct text *json)
{
    if (words->failed || json->failed)
        fail_call(call, "The answer is too large for mcpd; ask for less.");
    else
        call->ops->finish_structured(call, text_bytes(words), text_bytes(json));
    text_free(words);
    text_free(json);
    return MCP_OK;
}

void add_truncated(struct text *words, struct text *json, const char *because)
{
    text_addf(json, ",\"truncated\":%s", because != NULL ? "true" : "false");
    if (because == NULL)
        return;
    text_addf(json, ",\"truncated_because\":\"%s\"", because);
    text_addf(words, "%s[Not complete: %s.]\n",
              words->size > 0 && words->data[words->size - 1] != '\n' ? "\n" : "", because);
}

/* ---- a call inside a call ---- */

static struct inner_call *inner_of(struct mcp_call *call)
{
    return (struct inner_call *)(void *)((char *)call - offsetof(struct inner_call, call));
}

static int32_t keep_failure(struct mcp_call *call, struct mcp_bytes text)
{
    struct inner_call *inner = inner_of(call);
    text_cut(&inner->failure, 0);
    text_add(&inner->failure, text.data, text.size);
    return MCP_OK;
}

static int32_t is_cancelled(const struct mcp_call *call)
{
    const struct inner_call *inner =
        (const struct inner_call *)(const void *)((const char *)call -
                                                  offsetof(struct inner_call, call));
    return inner->outer->ops->is_cancelled(inner->outer);
}

void inner_init(struct inner_call *inner, struct mcp_call *outer)
{
    *inner = (struct inner_call){
        .call = {.struct_size = sizeof(inner->call), .ops = &inner->ops},
        .ops = {.struct_size = sizeof(inner->ops),
                .finish_failure = keep_failure,
                .is_cancelled = is_cancelled},
        .outer = outer,
    };
    text_init(&inner->failure, 128 * 1024);
}

void inner_free(struct inner_call *inner)
{
    text_free(&inner->failure);
}
