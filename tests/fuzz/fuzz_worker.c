/* SPDX-License-Identifier: MIT */
/* What a worker process may send: whatever it is, mcpd must come through it, and each of
 * the four calls that the worker has been given must end exactly once - by a frame, or
 * with the worker. The first byte chooses the calls' tool whether they have been
 * cancelled, and into which pieces the rest is cut. */
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/log.h"
#include "plugin/dispatch.h"
#include "plugin/worker_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CALLS 4

struct heard {
    int finished, released;
};

static void finished(struct call *call, const struct call_result *result)
{
    struct heard *heard = call_owner(call);
    if (heard->finished++ > 0)
        abort();
    if (result->text.size > 0 && result->text.data == NULL)
        abort();
}

static void progress(struct call *call, double value, double total, struct bytes message)
{
    const struct heard *heard = call_owner(call);
    (void)value, (void)total, (void)message;
    if (heard->finished > 0)
        abort();
}

static void log_message(struct call *call, int level, struct bytes data)
{
    const struct heard *heard = call_owner(call);
    (void)data;
    if (heard->finished > 0 || level < 0 || level > MCP_LOG_DEBUG)
        abort();
}

static int32_t start_task(struct call *call)
{
    (void)call;
    return MCP_OK;
}

static const struct call_events events = {
    .finished = finished, .progress = progress, .log = log_message, .start_task = start_task};

static void release(void *owner)
{
    ((struct heard *)owner)->released++;
}

static void no_line(enum log_level level, struct bytes text)
{
    (void)level, (void)text;
}

static const struct provider_ops ops = {.call = link_call};
static struct worker_link fixed;

static void set_up(void)
{
    crypto_init();
    log_setup(LOG_DEBUG, LOG_TEXT);
    log_set_sink(no_line);
    call_set_limits(1u << 16);
    provider_init(&fixed.provider, &ops);
    fixed.provider.id = strdup("fuzz");
    fixed.provider.elsewhere = true;
    fixed.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&fixed.mutex, NULL);
    pthread_cond_init(&fixed.answered, NULL);
}

static struct worker *make_worker(int fd)
{
    struct worker *worker = calloc(1, sizeof(*worker));
    if (worker == NULL)
        abort();
    atomic_init(&worker->references, 1);
    worker->link = &fixed;
    worker->process.pid = worker->process.pid_fd = worker->process.output_fd = -1;
    wire_init(&worker->wire, fd, false, FROM_WORKER, 1 << 18);
    return worker;
}

static void begin_calls(struct heard heard[CALLS], uint32_t flags)
{
    const struct offer offer = {.name = BYTES("tool"), .terms = {.flags = flags}};
    const struct registry_entry entry = {.offer = &offer, .provider = &fixed.provider};
    static const struct mcp_caller caller = {.struct_size = sizeof(caller), .roles = {"[]", 2}};
    for (int i = 0; i < CALLS; i++) {
        const struct call_request request = {
            .entry = &entry,
            .function = (enum call_function)i, /* one of each */
            .caller = &caller,
            .wants_progress = true,
            .log_level = MCP_LOG_DEBUG,
            .can_ask = i != CALL_COMPLETE,
            .events = &events,
            .owner = &heard[i],
            .release = release,
        };
        struct call *call = call_new(&request);
        if (call == NULL)
            abort();
        call_start(call);
        call_unref(call);
    }
}

/* A frame that was taken, written again, is taken as the same. */
static void check_again(const struct frame *frame)
{
    struct frame again;
    struct buf out;
    const char *fault;
    size_t size = 0;
    buf_init(&out, SIZE_MAX);
    frame_write(&out, frame);
    if (frame_name(frame->type) == NULL ||
        frame_read(&again, buf_bytes(&out), FROM_WORKER, SIZE_MAX, &size, &fault) != FRAME_WHOLE ||
        size != out.size || again.id != frame->id)
        abort();
    for (size_t i = 0; i < frame_texts(frame->type); i++)
        if (!bytes_equal(again.texts[i], frame->texts[i]))
            abort();
    buf_free(&out);
}

/* As the link's thread does. */
static void hear(struct worker *worker)
{
    struct frame frame;
    const char *fault = NULL;
    enum frame_read read = FRAME_PART;
    if (wire_receive(&worker->wire) != WIRE_SOME)
        return;
    while (!worker->lost && (read = wire_next(&worker->wire, &frame, &fault)) == FRAME_WHOLE) {
        check_again(&frame);
        worker_take_frame(worker, &frame);
    }
    if (read == FRAME_ILLEGAL) {
        if (fault == NULL)
            abort();
        worker->lost = true;
    }
}

/* What mcpd said to the worker. */
static void swallow(int fd)
{
    char piece[4096];
    while (recv(fd, piece, sizeof(piece), MSG_DONTWAIT) > 0)
        continue;
}

/* What the link's thread does besides. */
static void look_around(struct worker *worker)
{
    uint32_t inside = 0;
    worker_end_refused(worker);
    if (worker_count_overdue(worker, &inside) != 0 || inside > CALLS || inside != worker->inside)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct heard heard[CALLS] = {{0, 0}};
    const struct error why = {.text = "was fuzzed"};
    int pair[2];

    if (fixed.provider.id == NULL)
        set_up();
    if (size < 1 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return 0;
    struct worker *worker = make_worker(pair[0]);
    worker->due_ns = data[0] & 1; /* 1: it is still loading */
    worker->load_id = 1;
    fixed.current = worker;
    fixed.request = (struct request){.active = true,
                                     .type = FRAME_GET_OFFERS,
                                     .id = 1,
                                     .worker = worker,
                                     .offers = offers_new()};
    begin_calls(heard, (data[0] & 2) != 0 ? MCP_TOOL_TASK_OPTIONAL : 0);
    if ((data[0] & 4) != 0)
        call_cancel_all(&fixed.provider);
    /* Byte by byte only where there are few, or nothing else would be tried. */
    size_t step = (size_t)1 << (data[0] >> 4);
    if (step < size / 256)
        step = size / 256;
    for (size_t at = 1; at < size && !worker->lost; at += step) {
        size_t piece = size - at < step ? size - at : step;
        if (write(pair[1], data + at, piece) != (ssize_t)piece)
            break;
        hear(worker);
        swallow(pair[1]);
        look_around(worker);
    }
    fixed.current = NULL;
    worker_fail_calls(worker, &why);
    for (int i = 0; i < CALLS; i++)
        if (heard[i].finished != 1 || heard[i].released != 1)
            abort();
    if (provider_inside(&fixed.provider) != 0 || worker->inside != 0)
        abort();
    offers_unref(fixed.request.offers);
    worker_unref(worker);
    close(pair[1]);
    return 0;
}
