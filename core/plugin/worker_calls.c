/* SPDX-License-Identifier: MIT */
/* Calls on their way to a worker and back: the table of those that it has. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/round.h"
#include "base/utf8.h"
#include "plugin/call_private.h"
#include "plugin/deadline.h"
#include "plugin/worker_link.h"

/* Calls inside one worker; beyond, mcpd is busy. */
#define CALLS_MAX 65536
/* How long after its deadline and grace a call may still end. */
#define PATIENCE_NS NS_PER_S
/* How long a retired generation's call may take that was cancelled. */
#define RETIRED_PATIENCE_NS (2 * NS_PER_S)

/* ---- the table ---- */

/* A free place; NULL: none, or no memory. link.mutex held. */
static struct pending *find_place(struct worker *worker)
{
    if (worker->first_free != 0) {
        struct pending *pending = worker->table[worker->first_free - 1];
        worker->first_free = pending->next_free;
        return pending;
    }
    if (worker->places == CALLS_MAX)
        return NULL;
    if (worker->places == worker->capacity) {
        uint32_t capacity = worker->capacity > 0 ? worker->capacity * 2 : 64;
        struct pending **table = realloc(worker->table, capacity * sizeof(struct pending *));
        if (table == NULL)
            return NULL;
        worker->table = table;
        worker->capacity = capacity;
    }
    struct pending *pending = calloc(1, sizeof(*pending));
    if (pending == NULL)
        return NULL;
    pending->worker = worker;
    pending->place = worker->places;
    worker->table[worker->places++] = pending;
    return pending;
}

/* Gives the call a place; NULL: there is none. link.mutex held. */
static struct pending *enter(struct worker *worker, struct call *call, uint64_t *id)
{
    struct pending *pending = find_place(worker);
    if (pending == NULL)
        return NULL;
    if (++worker->sequence == 0) /* an id is never 0 */
        worker->sequence = 1;
    *id = pending->id = (uint64_t)worker->sequence << 32 | pending->place;
    pending->call = call;
    pending->refused = false;
    atomic_store_explicit(&pending->cancelled_ns, 0, memory_order_relaxed);
    worker->inside++;
    return pending;
}

/* By the link's thread, when the call has been ended. */
static void leave(struct pending *pending)
{
    struct worker *worker = pending->worker;
    pthread_mutex_lock(&worker->link->mutex);
    pending->id = 0;
    pending->call = NULL;
    pending->next_free = worker->first_free;
    worker->first_free = pending->place + 1;
    worker->inside--;
    pthread_mutex_unlock(&worker->link->mutex);
}

/* NULL: it does not have such a call. The link's thread. */
static struct pending *find(struct worker *worker, uint64_t id)
{
    const uint32_t place = (uint32_t)id;
    struct pending *found = NULL;
    pthread_mutex_lock(&worker->link->mutex);
    if (place < worker->places && worker->table[place]->id == id)
        found = worker->table[place];
    pthread_mutex_unlock(&worker->link->mutex);
    return found;
}

/* The next one inside from this place on; NULL: no more. The link's thread. */
static struct pending *next_inside(struct worker *worker, uint32_t *place)
{
    struct pending *found = NULL;
    pthread_mutex_lock(&worker->link->mutex);
    while (found == NULL && *place < worker->places) {
        struct pending *pending = worker->table[(*place)++];
        if (pending->id != 0)
            found = pending;
    }
    pthread_mutex_unlock(&worker->link->mutex);
    return found;
}

/* ---- to the worker ---- */

/* Runs on any thread, with the call's cancel_mutex, and not after the call has ended. A
 * second time when nobody waits for the result any more. */
static void pass_cancel(void *data)
{
    struct pending *pending = data;
    struct call *call = pending->call;
    bool unwanted = (atomic_load(&call->state) & CALL_IS_UNWANTED) != 0;

    if (atomic_load_explicit(&pending->cancelled_ns, memory_order_relaxed) == 0)
        atomic_store_explicit(&pending->cancelled_ns, clock_now_coarse(), memory_order_relaxed);
    if (!unwanted) {
        call->on_cancel = pass_cancel;
        call->on_cancel_data = pending;
    }
    const struct frame frame = {.type = FRAME_CANCEL, .id = pending->id, .numbers = {unwanted}};
    if (wire_send(&pending->worker->wire, &frame) == WIRE_KEPT)
        link_wake(pending->worker->link);
}

static struct bytes host_bytes(struct mcp_bytes b)
{
    return (struct bytes){b.data, b.data != NULL ? b.size : 0};
}

static void make_frame(const struct call *call, uint64_t id, struct frame *frame)
{
    const struct mcp_call *abi = &call->abi;
    const struct mcp_caller *caller = abi->caller;
    uint64_t options = (uint64_t)(call->log_level + 1) & ASK_LOG_LEVEL;

    if (call->wants_progress)
        options |= ASK_WANTS_PROGRESS;
    if (call->can_ask)
        options |= ASK_CAN_ASK;
    if (call->client_carries)
        options |= ASK_CLIENT_CARRIES;
    if (caller != NULL && caller->authenticated != 0)
        options |= ASK_AUTHENTICATED;
    *frame = (struct frame){
        .type = FRAME_CALL,
        .id = id,
        .numbers = {[ASK_FUNCTION] = call->function,
                    [ASK_FLAGS] = call->flags,
                    [ASK_TAG] = abi->tag,
                    [ASK_DEADLINE] = (uint64_t)abi->deadline_ns,
                    [ASK_OPTIONS] = options},
        .texts = {[ASK_NAME] = host_bytes(abi->name),
                  [ASK_ARGUMENTS] = host_bytes(abi->arguments),
                  [ASK_META] = host_bytes(abi->meta),
                  [ASK_STATE] = host_bytes(abi->state),
                  [ASK_INPUT_RESPONSES] = host_bytes(abi->input_responses),
                  [ASK_CLIENT_CAPABILITIES] = host_bytes(abi->client_capabilities)},
    };
    if (caller != NULL) {
        frame->texts[ASK_SUBJECT] = host_bytes(caller->subject);
        frame->texts[ASK_ISSUER] = host_bytes(caller->issuer);
        frame->texts[ASK_ROLES] = host_bytes(caller->roles);
        frame->texts[ASK_CLIENT] = host_bytes(caller->client);
    }
}

static void end_busy(struct call *call)
{
    char text[400];
    int size = snprintf(text, sizeof(text),
                        "%s/%s was not started: the provider's worker process has as many calls "
                        "waiting as it may; try again later",
                        call->provider->id, call->name);
    call_end_as(call, CALL_BUSY, (struct bytes){text, (size_t)size});
}

static void refuse(struct pending *pending, uint64_t id)
{
    struct worker_link *link = pending->worker->link;
    pthread_mutex_lock(&link->mutex);
    if (pending->id == id)
        pending->refused = pending->worker->some_refused = true;
    pthread_mutex_unlock(&link->mutex);
    link_wake(link);
}

/* At the end of a round. */
static void flush_gathered(void *data)
{
    struct worker *worker = data;
    struct provider *provider = &worker->link->provider;
    if (wire_flush(&worker->wire) == WIRE_KEPT)
        link_wake(worker->link);
    worker_unref(worker);
    provider_unref(provider);
}

/* The calls that a thread takes in one round of its loop go together, which spares both
 * processes most of their system calls and switches. */
static enum wire_sent gather(struct worker *worker, const struct frame *frame)
{
    enum wire_sent sent = wire_gather(&worker->wire, frame);
    if (sent != WIRE_KEPT)
        return sent;
    if (round_waits(flush_gathered, worker))
        return WIRE_SENT;
    if (!round_later(flush_gathered, worker))
        return WIRE_KEPT;
    worker_ref(worker);
    provider_ref(&worker->link->provider);
    return WIRE_SENT;
}

/* Once the frame is on its way, the call may end on the link's thread at any moment; its
 * struct is there until we return. */
static void give(struct worker *worker, struct pending *pending, uint64_t id, struct call *call)
{
    struct frame frame;
    make_frame(call, id, &frame);
    switch (round_is_on() ? gather(worker, &frame) : wire_send(&worker->wire, &frame)) {
    case WIRE_KEPT:
        link_wake(worker->link);
        break;
    case WIRE_SENT:
        break;
    case WIRE_FULL:
        refuse(pending, id);
        return;
    case WIRE_BROKEN: /* the link's thread sees that too */
        return;
    }
    call->abi.ops->on_cancel(&call->abi, pass_cancel, pending);
}

/* Puts the call in the line for a worker that is about to start. False: there will be
 * none, or not soon; or the line is full. link.mutex held. */
static bool wait_for_worker(struct worker_link *link, struct call *call)
{
    struct call_line *line = &link->waiting;
    bool soon = link->starting == START_AT_ONCE || (link->starting == START_LATER && call->trial);
    if (!soon || link->stopping || line->count == CALLS_MAX)
        return false;
    call->next_waiting = NULL;
    if (line->last != NULL)
        line->last->next_waiting = call;
    else
        line->first = call;
    line->last = call;
    line->count++;
    return true;
}

void link_call(struct provider *provider, struct call *call)
{
    struct worker_link *link = (struct worker_link *)provider;
    struct pending *pending = NULL;
    struct error why = {.text = ""};
    uint64_t id = 0;
    bool waits = false;

    /* It is in the table before the mutex is let go: from then on who buries the worker ends
     * its calls. */
    pthread_mutex_lock(&link->mutex);
    struct worker *worker = link->current;
    if (worker != NULL) {
        worker_ref(worker);
        pending = enter(worker, call, &id);
    } else {
        waits = wait_for_worker(link, call);
    }
    if (worker == NULL && !waits)
        why = link->unavailable;
    pthread_mutex_unlock(&link->mutex);
    if (waits)
        link_wake(link);
    else if (worker == NULL)
        call_end_broken(call, "%s", why.text);
    else if (pending == NULL)
        end_busy(call);
    else
        give(worker, pending, id, call);
    if (worker != NULL)
        worker_unref(worker);
}

/* The calls in line, of which there are none any more. */
static struct call *take_waiting(struct worker_link *link, struct error *why)
{
    pthread_mutex_lock(&link->mutex);
    struct call *first = link->waiting.first;
    link->waiting = (struct call_line){NULL, NULL, 0};
    *why = link->unavailable;
    pthread_mutex_unlock(&link->mutex);
    return first;
}

void link_give_waiting(struct worker_link *link, struct worker *worker)
{
    struct error why;
    for (struct call *call = take_waiting(link, &why), *next; call != NULL; call = next) {
        uint64_t id;
        next = call->next_waiting; /* it may end before we are back */
        pthread_mutex_lock(&link->mutex);
        struct pending *pending = enter(worker, call, &id);
        pthread_mutex_unlock(&link->mutex);
        if (pending != NULL)
            give(worker, pending, id, call);
        else
            end_busy(call);
    }
}

void link_fail_waiting(struct worker_link *link)
{
    struct error why;
    for (struct call *call = take_waiting(link, &why), *next; call != NULL; call = next) {
        next = call->next_waiting;
        call_end_broken(call, "%s", why.text);
    }
}

/* ---- from the worker ---- */

static struct mcp_bytes abi_bytes(struct bytes b)
{
    return (struct mcp_bytes){b.data, b.size};
}

/* Ends the call as the worker says; the functions check what it gives. False: there is no
 * such end. */
static bool end_call(struct call *call, const struct frame *frame)
{
    struct mcp_call *abi = call_abi(call);
    const struct mcp_bytes text = abi_bytes(frame->texts[END_TEXT]);
    const struct mcp_bytes json = abi_bytes(frame->texts[END_JSON]);
    char why[300];

    switch (frame->numbers[END_HOW]) {
    case CALL_TEXT:
        abi->ops->finish_text(abi, text);
        return true;
    case CALL_STRUCTURED:
        abi->ops->finish_structured(abi, text, json);
        return true;
    case CALL_RESULT:
        abi->ops->finish_result(abi, json);
        return true;
    case CALL_FAILURE:
        abi->ops->finish_failure(abi, text);
        return true;
    case CALL_NEED_INPUT:
        return abi->ops->finish_need_input(abi, json, text) != MCP_ENOTSUP;
    case CALL_ERROR:
        abi->ops->finish_error(abi, (int32_t)(uint32_t)frame->numbers[END_CODE], text, json);
        return true;
    case CALL_TIMEOUT: /* the worker knows that it had not begun, and not why it was cancelled */
        call_unbegun_text(call, why, sizeof(why));
        call_end_as(call, CALL_TIMEOUT, bytes_of(why));
        return true;
    case CALL_BUSY:
    case CALL_BROKEN:
        if (!utf8_valid(frame->texts[END_TEXT]))
            return false;
        if (frame->numbers[END_HOW] == CALL_BROKEN &&
            (int32_t)(uint32_t)frame->numbers[END_CODE] == MCP_EFAIL && call_counts(call)) {
            snprintf(why, sizeof(why), "%.*s", BYTES_FMT(frame->texts[END_TEXT]));
            provider_call_failed(call->provider, why);
        }
        call_end_as(call, (enum call_end)frame->numbers[END_HOW], frame->texts[END_TEXT]);
        return true;
    default:
        return false;
    }
}

static bool take_end(struct worker *worker, const struct frame *frame, const char **fault)
{
    struct pending *pending = find(worker, frame->id);
    if (pending == NULL) {
        *fault = "it ends a call that is not running";
        return false;
    }
    bool legal = end_call(pending->call, frame);
    if (!legal) {
        *fault = "it ends a call as none can end";
        return false; /* the call ends with the worker */
    }
    leave(pending);
    return true;
}

static void answer_task(struct worker *worker, uint64_t id, int32_t code)
{
    const struct frame frame = {
        .type = FRAME_TASK_ANSWER, .id = id, .numbers = {(uint64_t)(uint32_t)code}};
    if (wire_send(&worker->wire, &frame) == WIRE_KEPT)
        link_wake(worker->link);
}

/* A call that is becoming a task: the store takes its time, the link's thread must not. */
struct task_start {
    struct call_task_waiter waiter; /* first */
    struct worker *worker; /* a reference */
    uint64_t id;
};

static void task_told(struct call_task_waiter *waiter, int32_t code)
{
    struct task_start *start = (struct task_start *)(void *)waiter;
    answer_task(start->worker, start->id, code);
    worker_unref(start->worker);
    free(start);
}

/* False: the worker of ours that it should be waits for the answer before. */
static bool start_task(struct worker *worker, const struct pending *pending)
{
    struct call *call = pending->call;
    const uint64_t id = pending->id;
    struct task_start *start = malloc(sizeof(*start));

    if (call_task_is_begun(call)) {
        free(start);
        return false;
    }
    if (start == NULL) {
        answer_task(worker, id, MCP_EFAIL);
        return true;
    }
    *start = (struct task_start){{.told = task_told}, worker_ref(worker), id};
    int32_t code = call_start_task(call, &start->waiter);
    if (code != CALL_TASK_BEGUN)
        task_told(&start->waiter, code);
    return true;
}

bool worker_take_call_frame(struct worker *worker, const struct frame *frame, const char **fault)
{
    if (frame->type == FRAME_END)
        return take_end(worker, frame, fault);
    const struct pending *pending = find(worker, frame->id);
    if (pending == NULL) {
        *fault = "it reports of a call that is not running";
        return false;
    }
    struct mcp_call *abi = call_abi(pending->call);
    double progress, total;
    switch (frame->type) {
    case FRAME_PROGRESS:
        memcpy(&progress, &frame->numbers[0], sizeof(progress));
        memcpy(&total, &frame->numbers[1], sizeof(total));
        abi->ops->progress(abi, progress, total, abi_bytes(frame->texts[0]));
        break;
    case FRAME_CALL_LOG:
        if (frame->numbers[0] <= MCP_LOG_DEBUG)
            abi->ops->log(abi, (int32_t)frame->numbers[0], abi_bytes(frame->texts[0]));
        break;
    case FRAME_TASK:
        if (!start_task(worker, pending)) {
            *fault = "it wants the same task twice at once";
            return false;
        }
        break;
    default: /* FRAME_CLOSE_STREAM */
        abi->ops->close_stream(abi);
        break;
    }
    return true;
}

/* ---- what does not end by itself ---- */

void worker_fail_calls(struct worker *worker, const struct error *why)
{
    struct pending *pending;
    uint32_t place = 0;
    while ((pending = next_inside(worker, &place)) != NULL) {
        if (pending->refused)
            end_busy(pending->call);
        else
            call_end_broken(pending->call, "the provider's worker process %s", why->text);
        leave(pending);
    }
}

void worker_end_refused(struct worker *worker)
{
    struct pending *pending;
    uint32_t place = 0;

    pthread_mutex_lock(&worker->link->mutex);
    bool some = worker->some_refused;
    worker->some_refused = false;
    pthread_mutex_unlock(&worker->link->mutex);
    while (some && (pending = next_inside(worker, &place)) != NULL) {
        pthread_mutex_lock(&worker->link->mutex);
        bool refused = pending->refused;
        pthread_mutex_unlock(&worker->link->mutex);
        if (!refused)
            continue;
        end_busy(pending->call);
        leave(pending);
    }
}

/* A task has no deadline, whatever its call says: deadline.c marks what is late. What came
 * while the worker was loading has its patience from the end of that on: it could not be read
 * before. */
static bool is_overdue(const struct pending *pending, bool retired, int64_t now)
{
    const struct call *call = pending->call;
    int64_t cancelled = atomic_load_explicit(&pending->cancelled_ns, memory_order_relaxed);
    if ((atomic_load(&call->state) & CALL_IS_LATE) != 0)
        return now > call->abi.deadline_ns + DEADLINE_GRACE_NS + PATIENCE_NS &&
               now > pending->worker->loaded_ns + PATIENCE_NS;
    return retired && cancelled != 0 && now > cancelled + RETIRED_PATIENCE_NS;
}

uint32_t worker_count_overdue(struct worker *worker, uint32_t *inside)
{
    const bool retired = provider_is_retired(&worker->link->provider);
    const struct pending *pending;
    int64_t now = clock_now();
    uint32_t place = 0, overdue = 0;

    *inside = 0;
    while ((pending = next_inside(worker, &place)) != NULL) {
        if (!call_counts(pending->call)) /* a check that hangs is no reason to end calls */
            continue;
        ++*inside;
        overdue += is_overdue(pending, retired, now);
    }
    return overdue;
}
