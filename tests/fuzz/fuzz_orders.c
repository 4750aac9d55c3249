/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes the other end of the worker's socket: what a worker process does with calls,
 * cancellations and answers that mcpd sends it. It may end the worker ("mcpd would not say
 * it"); each call that was taken is answered by exactly one frame, which mcpd can read.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/log.h"
#include "must.h"
#include "plugin/call.h"
#include "worker/worker.h"

#define FRAME_MAX ((size_t)1 << 20)

struct wire worker_wire; /* core/worker/main.c's, as the two functions below */

static unsigned ended, asked;

/* Whatever the plugin was made to say, mcpd must be able to read it. */
void worker_send(const struct frame *frame)
{
    struct frame again;
    struct buf out;
    const char *fault = NULL;
    size_t size = 0;

    buf_init(&out, SIZE_MAX);
    frame_write(&out, frame);
    must(!out.failed);
    must(frame_read(&again, buf_bytes(&out), FROM_WORKER, SIZE_MAX, &size, &fault) == FRAME_WHOLE);
    must(size == out.size && again.type == frame->type && again.id == frame->id);
    for (size_t i = 0; i < frame_texts(frame->type); i++)
        must(bytes_equal(again.texts[i], frame->texts[i]));
    buf_free(&out);
    ended += frame->type == FRAME_END;
}

void worker_end_broken(const char *why)
{
    fprintf(stderr, "the worker ends: %s\n", why);
    abort();
}

/* ---- a plugin that does what its arguments say ---- */

static struct mcp_bytes argument(struct mcp_call *abi, const char *pointer)
{
    struct mcp_bytes value = MCP_STR("");
    int32_t kind = 0;

    if (abi->ops->argument(abi, pointer, &kind, &value) != MCP_OK)
        value = abi->arguments;
    must(value.size == 0 || value.data != NULL);
    return value;
}

static void provider_call(struct provider *provider, struct call *call)
{
    struct mcp_call *abi = call_abi(call);
    struct mcp_bytes a = argument(abi, "/a"), b = argument(abi, "/b"), part;
    int32_t kind = 0;

    (void)provider;
    for (int i = MCP_PART_ARGUMENTS; i <= MCP_PART_CLIENT_CAPABILITIES; i++)
        abi->ops->read(abi, i, "/a", &kind, &part);
    abi->ops->progress(abi, 1, 2, b);
    abi->ops->log(abi, MCP_LOG_INFO, a);
    must(abi->ops->is_cancelled(abi) == 0);
    abi->ops->close_stream(abi);
    switch (abi->tag % 6) {
    case 0:
        abi->ops->finish_text(abi, a);
        break;
    case 1:
        abi->ops->finish_structured(abi, b, a);
        break;
    case 2:
        abi->ops->finish_result(abi, a);
        break;
    case 3:
        abi->ops->finish_failure(abi, a);
        break;
    case 4:
        if (abi->ops->finish_need_input(abi, a, b) == MCP_ENOTSUP)
            abi->ops->finish_failure(abi, MCP_STR("nobody can be asked"));
        break;
    default:
        abi->ops->finish_error(abi, (int32_t)a.size, b, a);
    }
}

static const struct provider_ops provider_ops = {.call = provider_call};
static struct provider provider;

static void no_line(enum log_level level, struct bytes text)
{
    (void)level;
    (void)text;
}

static void set_up(void)
{
    must(crypto_init());
    log_setup(LOG_DEBUG, LOG_TEXT);
    log_set_sink(no_line);
    call_set_limits(1u << 16);
    provider_init(&provider, &provider_ops);
    provider.id = strdup("fuzz");
    must(calls_init(&provider));
}

/* A frame has one form: what was read, written again, is the same bytes. */
static void check_again(const struct frame *frame, struct bytes text)
{
    struct buf out;

    buf_init(&out, SIZE_MAX);
    frame_write(&out, frame);
    must(bytes_equal(buf_bytes(&out), text) && frame_name(frame->type) != NULL);
    buf_free(&out);
}

/* The table of calls grows to the largest place; mcpd uses them from below. */
static bool is_ours(const struct frame *frame)
{
    return (uint32_t)frame->id < 1024;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes rest = {(const char *)data, size};
    struct frame frame;
    const char *fault = NULL;
    size_t took = 0;

    if (provider.id == NULL)
        set_up();
    ended = asked = 0;
    while (frame_read(&frame, rest, FROM_MCPD, FRAME_MAX, &took, &fault) == FRAME_WHOLE) {
        check_again(&frame, (struct bytes){rest.data, took});
        rest.data += took;
        rest.size -= took;
        if (!is_ours(&frame))
            continue;
        frame.numbers[ASK_FLAGS] &= ~(uint64_t)(MCP_TOOL_TASK_OPTIONAL | MCP_TOOL_TASK_REQUIRED);
        if (frame.type == FRAME_CALL)
            frame.numbers[ASK_FLAGS] |= MCP_TOOL_NONBLOCKING; /* on this thread */
        bool call = frame.type == FRAME_CALL && frame.numbers[ASK_FUNCTION] < CALL_FUNCTIONS;
        if (!calls_take(&frame))
            break;
        asked += call;
        must(ended == asked); /* none is left */
    }
    must(provider_inside(&provider) == 0);
    return 0;
}
