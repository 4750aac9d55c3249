/* SPDX-License-Identifier: MIT */
/* Calls that mcpd passes on, from their frame to the frame of their end. */
#include <pthread.h>
#include <stdlib.h>

#include "json/json.h"
#include "plugin/dispatch.h"
#include "worker/worker.h"

/* JSON of a call takes some times its text as an index. */
#define INDEX_MEMORY ((size_t)256 << 20)

struct worker_call {
    uint64_t id;
    struct call *call; /* with the host's reference, until it has finished */
    struct arena arena;
    struct json arguments, meta;
    struct mcp_caller caller;
    size_t size;
    char texts[]; /* of the frame */
};

static struct {
    struct provider *provider;
    struct gate *serial; /* for what is not thread-safe */
    pthread_mutex_t mutex; /* guards the rest; a leaf */
    struct worker_call **table; /* by the lower half of their ids */
    uint32_t places;
} calls = {.mutex = PTHREAD_MUTEX_INITIALIZER};

bool calls_init(struct provider *provider)
{
    calls.provider = provider;
    calls.serial = gate_new_serial();
    return calls.serial != NULL;
}

/* ---- the table ---- */

static bool enter(struct worker_call *call)
{
    const uint32_t place = (uint32_t)call->id;
    bool ok = true;
    pthread_mutex_lock(&calls.mutex);
    if (place >= calls.places) {
        uint32_t places = calls.places > 0 ? calls.places : 64;
        while (places <= place && places < UINT32_MAX / 2)
            places *= 2;
        struct worker_call **table = realloc(calls.table, places * sizeof(struct worker_call *));
        ok = table != NULL;
        for (uint32_t i = calls.places; ok && i < places; i++)
            table[i] = NULL;
        if (ok) {
            calls.table = table;
            calls.places = places;
        }
    }
    if (ok && calls.table[place] != NULL)
        ok = false;
    if (ok)
        calls.table[place] = call;
    pthread_mutex_unlock(&calls.mutex);
    return ok;
}

static void leave(const struct worker_call *call)
{
    pthread_mutex_lock(&calls.mutex);
    calls.table[(uint32_t)call->id] = NULL;
    pthread_mutex_unlock(&calls.mutex);
}

/* Mutex held. */
static struct worker_call *find(uint64_t id)
{
    const uint32_t place = (uint32_t)id;
    struct worker_call *call = place < calls.places ? calls.table[place] : NULL;
    return call != NULL && call->id == id ? call : NULL;
}

/* ---- to mcpd ---- */

static void finished(struct call *call, const struct call_result *result)
{
    struct worker_call *own = call_owner(call);
    const struct frame frame = {
        .type = FRAME_END,
        .id = own->id,
        .numbers = {[END_HOW] = result->end, [END_CODE] = (uint32_t)result->code},
        .texts = {[END_TEXT] = result->text,
                  [END_JSON] = result->json_text.data != NULL ? result->json_text : BYTES("")}};

    /* mcpd may use the place again as soon as it has read the frame. */
    leave(own);
    worker_send(&frame);
    call_unref(call);
}

static void progress(struct call *call, double value, double total, struct bytes message)
{
    const struct worker_call *own = call_owner(call);
    struct frame frame = {.type = FRAME_PROGRESS, .id = own->id, .texts = {message}};
    memcpy(&frame.numbers[0], &value, sizeof(value));
    memcpy(&frame.numbers[1], &total, sizeof(total));
    worker_send(&frame);
}

static void log_message(struct call *call, int level, struct bytes data)
{
    const struct worker_call *own = call_owner(call);
    const struct frame frame = {
        .type = FRAME_CALL_LOG, .id = own->id, .numbers = {(uint64_t)level}, .texts = {data}};
    worker_send(&frame);
}

/* Settled by mcpd's answer. Who waits for that is not the thread that reads, for tools
 * with tasks are not run there. */
static int32_t start_task(struct call *call)
{
    const struct worker_call *own = call_owner(call);
    const struct frame frame = {.type = FRAME_TASK, .id = own->id};
    worker_send(&frame);
    return CALL_TASK_BEGUN;
}

static void close_stream(struct call *call)
{
    const struct worker_call *own = call_owner(call);
    const struct frame frame = {.type = FRAME_CLOSE_STREAM, .id = own->id};
    worker_send(&frame);
}

static const struct call_events events = {
    .finished = finished,
    .progress = progress,
    .log = log_message,
    .start_task = start_task,
    .close_stream = close_stream,
};

/* ---- from mcpd ---- */

static void release(void *owner)
{
    struct worker_call *call = owner;
    arena_free(&call->arena);
    free(call);
}

/* A copy of the frame's texts, which `texts` then names. */
static struct worker_call *copy_frame(const struct frame *frame, struct bytes texts[FRAME_TEXTS])
{
    size_t size = 0;
    for (size_t i = 0; i < FRAME_TEXTS; i++)
        size += frame->texts[i].size + 1;
    struct worker_call *call = malloc(sizeof(*call) + size);
    if (call == NULL)
        return NULL;
    *call = (struct worker_call){.id = frame->id, .size = size};
    arena_init(&call->arena, INDEX_MEMORY);
    char *to = call->texts;
    for (size_t i = 0; i < FRAME_TEXTS; i++) {
        texts[i] = (struct bytes){to, frame->texts[i].size};
        if (texts[i].size > 0)
            memcpy(to, frame->texts[i].data, texts[i].size);
        to[texts[i].size] = '\0';
        to += texts[i].size + 1;
    }
    return call;
}

static struct mcp_bytes abi_bytes(struct bytes b)
{
    return (struct mcp_bytes){b.data, b.size};
}

static void fill_caller(struct mcp_caller *caller, const struct bytes texts[FRAME_TEXTS],
                        uint64_t options)
{
    *caller = (struct mcp_caller){
        .struct_size = sizeof(*caller),
        .authenticated = (options & ASK_AUTHENTICATED) != 0,
        .subject = abi_bytes(texts[ASK_SUBJECT]),
        .issuer = abi_bytes(texts[ASK_ISSUER]),
        .roles = abi_bytes(texts[ASK_ROLES]),
        .client = abi_bytes(texts[ASK_CLIENT]),
    };
}

static bool read_json(struct worker_call *call, struct json *json, struct bytes text)
{
    return text.size == 0 || json_parse(json, text, &json_default_limits, &call->arena, NULL);
}

static void refuse(uint64_t id, const char *why)
{
    const struct frame frame = {.type = FRAME_END,
                                .id = id,
                                .numbers = {[END_HOW] = CALL_BROKEN},
                                .texts = {bytes_of(why), BYTES("")}};
    worker_send(&frame);
}

/* mcpd watches its time and how many there are of it; what is kept here is that calls
 * that are not thread-safe come one after the other. */
static struct call *make_call(struct worker_call *own, const struct frame *frame,
                              const struct bytes texts[FRAME_TEXTS])
{
    const uint32_t task_flags = MCP_TOOL_TASK_OPTIONAL | MCP_TOOL_TASK_REQUIRED;
    const uint64_t options = frame->numbers[ASK_OPTIONS];
    uint32_t flags = (uint32_t)frame->numbers[ASK_FLAGS];
    bool apart = (flags & (MCP_TOOL_THREAD_SAFE | MCP_TOOL_NONBLOCKING)) == 0;
    if ((flags & task_flags) != 0 && (flags & MCP_TOOL_NONBLOCKING) != 0)
        flags = (flags & ~MCP_TOOL_NONBLOCKING) | MCP_TOOL_THREAD_SAFE;
    const struct offer offer = {.name = BYTES(""),
                                .terms = {.flags = flags, .tag = frame->numbers[ASK_TAG]}};
    const struct registry_entry entry = {
        .offer = &offer, .provider = calls.provider, .gate = apart ? calls.serial : NULL};
    const struct call_request request = {
        .entry = &entry,
        .function = (enum call_function)frame->numbers[ASK_FUNCTION],
        .name = texts[ASK_NAME],
        .json = &own->arguments,
        .arguments = own->arguments.root,
        .meta_json = &own->meta,
        .meta = own->meta.root,
        .caller = &own->caller,
        .wants_progress = (options & ASK_WANTS_PROGRESS) != 0,
        .log_level = (int)(options & ASK_LOG_LEVEL) - 1,
        .can_ask = (options & ASK_CAN_ASK) != 0,
        .client_carries = (options & ASK_CLIENT_CARRIES) != 0,
        .is_task = true, /* mcpd watches the deadline */
        .client_capabilities = texts[ASK_CLIENT_CAPABILITIES],
        .state = texts[ASK_STATE],
        .input_responses = texts[ASK_INPUT_RESPONSES],
        .events = &events,
        .owner = own,
        .release = release,
    };
    struct call *call = call_new(&request);
    if (call != NULL)
        call_abi(call)->deadline_ns = (int64_t)frame->numbers[ASK_DEADLINE];
    return call;
}

static bool take_call(const struct frame *frame)
{
    struct bytes texts[FRAME_TEXTS];

    if (frame->numbers[ASK_FUNCTION] >= CALL_FUNCTIONS)
        return false;
    struct worker_call *own = copy_frame(frame, texts);
    if (own == NULL) {
        refuse(frame->id, "the provider's worker process is out of memory");
        return true;
    }
    fill_caller(&own->caller, texts, frame->numbers[ASK_OPTIONS]);
    if (!read_json(own, &own->arguments, texts[ASK_ARGUMENTS]) ||
        !read_json(own, &own->meta, texts[ASK_META]) ||
        (own->call = make_call(own, frame, texts)) == NULL) {
        release(own);
        refuse(frame->id, "the provider's worker process is out of memory");
        return true;
    }
    if (!enter(own))
        return false;
    call_start(own->call);
    return true;
}

/* A reference to one that has not ended; else NULL. */
static struct call *find_call(uint64_t id)
{
    pthread_mutex_lock(&calls.mutex);
    const struct worker_call *own = find(id);
    struct call *call = own != NULL ? call_ref(own->call) : NULL;
    pthread_mutex_unlock(&calls.mutex);
    return call;
}

static void take_cancel(uint64_t id, bool unwanted)
{
    struct call *call = find_call(id);
    if (call == NULL) /* it has ended meanwhile */
        return;
    if (unwanted)
        call_cancel(call);
    else
        call_interrupt(call);
    call_unref(call);
}

static int32_t as_answered(void *code, bool waiting)
{
    (void)waiting;
    return *(const int32_t *)code;
}

static void take_task_answer(uint64_t id, int32_t code)
{
    struct call *call = find_call(id);
    if (call == NULL)
        return;
    call_task_settle(call, as_answered, &code);
    call_unref(call);
}

bool calls_take(const struct frame *frame)
{
    switch (frame->type) {
    case FRAME_CALL:
        return take_call(frame);
    case FRAME_CANCEL:
        take_cancel(frame->id, frame->numbers[0] != 0);
        return true;
    case FRAME_TASK_ANSWER:
        take_task_answer(frame->id, (int32_t)(uint32_t)frame->numbers[0]);
        return true;
    default:
        return false;
    }
}
