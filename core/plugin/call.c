/* SPDX-License-Identifier: MIT */
/* The life of a call: made, started, cancelled, answered, let go. What the
 * plugin may do with it is in call_ops.c. */
#include "plugin/call.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/utf8.h"
#include "plugin/call_private.h"
#include "plugin/canceller.h"
#include "plugin/deadline.h"
#include "plugin/dispatch.h"
#include "plugin/exit_guard.h"

/* ---- made ---- */

static struct mcp_bytes abi_bytes(struct bytes b)
{
    return (struct mcp_bytes){b.data, b.size};
}

static uint32_t shorter(uint32_t a, uint32_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* A call that does not block gets a deadline that may be some milliseconds early:
 * the exact time would cost as much as a small tool. */
static int64_t deadline_of(const struct call *call)
{
    if (call->limit_ms == 0)
        return 0;
    int64_t now = call->nonblocking ? clock_now_coarse() : clock_now();
    return now + call->limit_ms * NS_PER_MS;
}

static void fill_abi(struct call *call, const struct call_request *request)
{
    const struct offer *offer = request->entry->offer;
    struct bytes name = request->name.data != NULL ? request->name : offer->name;
    size_t shown = name.size <= TOOL_NAME_MAX ? name.size : TOOL_NAME_MAX;
    memcpy(call->name, name.data, shown);
    shown = utf8_valid_prefix((struct bytes){call->name, shown});
    call->name[shown] = '\0';
    if (request->name.data == NULL)
        name.data = call->name; /* the offer may go before the call */
    call->abi = (struct mcp_call){
        .struct_size = sizeof(call->abi),
        .ops = &call_ops,
        .host_data = call,
        .name = abi_bytes(name),
        .tag = offer->terms.tag,
        .arguments = MCP_STR("{}"),
        .caller = request->caller,
        .deadline_ns = deadline_of(call),
        .state = abi_bytes(request->state),
        .input_responses = abi_bytes(request->input_responses),
        .client_capabilities = abi_bytes(request->client_capabilities),
    };
    if (request->arguments != NULL)
        call->abi.arguments = abi_bytes(json_raw(request->json, request->arguments));
    if (request->meta != NULL)
        call->abi.meta = abi_bytes(json_raw(request->meta_json, request->meta));
}

struct call *call_new(const struct call_request *request)
{
    const struct registry_entry *entry = request->entry;
    const struct offer_terms *terms = &entry->offer->terms;

    if (!provider_enter(entry->provider))
        return NULL;
    struct call *call = call_allocate();
    if (call == NULL) {
        provider_leave(entry->provider);
        return NULL;
    }
    atomic_store_explicit(&call->references, 2,
                          memory_order_relaxed); /* the host's, the plugin's */
    atomic_store_explicit(&call->state, 0, memory_order_relaxed);
    call->provider = entry->provider;
    size_t id_size = strnlen(call->provider->id, PLUGIN_ID_MAX);
    memcpy(call->provider_id, call->provider->id, id_size);
    call->provider_id[id_size] = '\0';
    call->events = request->events;
    call->owner = request->owner;
    call->release = request->release;
    call->function = request->function;
    call->flags = terms->flags;
    call->json = request->json;
    call->arguments = request->arguments;
    call->log_level = request->log_level;
    call->wants_progress = request->wants_progress;
    call->elsewhere = entry->provider->elsewhere;
    call->trial = false;
    call->awaits_teller = false;
    call->task_waiters = NULL;
    call->can_ask = request->can_ask;
    atomic_store_explicit(&call->client_carries, request->client_carries, memory_order_relaxed);
    call->nonblocking = call->elsewhere || (terms->flags & MCP_TOOL_NONBLOCKING) != 0;
    call->limit_ms = request->is_task ? 0
                                      : shorter(shorter(terms->timeout_ms, entry->timeout_ms),
                                                request->max_time_ms);
    call->gate = entry->gate != NULL ? gate_ref(entry->gate) : NULL;
    fill_abi(call, request);
    return call;
}

struct call *call_ref(struct call *call)
{
    atomic_fetch_add_explicit(&call->references, 1, memory_order_relaxed);
    return call;
}

void call_unref(struct call *call)
{
    if (atomic_fetch_sub(&call->references, 1) != 1)
        return;
    void (*release)(void *) = call->release;
    void *owner = call->owner;
    gate_unref(call->gate);
    call->gate = NULL;
    call_recycle(call);
    if (release != NULL)
        release(owner);
}

void *call_owner(const struct call *call)
{
    return call->owner;
}

enum call_function call_function(const struct call *call)
{
    return call->function;
}

void call_lift_deadline(struct call *call)
{
    deadline_lift(call);
}

struct mcp_call *call_abi(struct call *call)
{
    return &call->abi;
}

struct call *call_from_abi(const struct mcp_call *abi)
{
    return abi->host_data;
}

/* ---- started ---- */

void call_start(struct call *call)
{
    if (call->nonblocking && call->gate == NULL)
        call_enter(call);
    else
        dispatch_run(call);
}

/* False: the provider is out of service, and the call has been turned away. */
static bool pass_breaker(struct call *call)
{
    struct breaker *breaker = &call->provider->breaker;
    char text[BREAKER_TEXT];

    if (breaker_is_closed(breaker))
        return true;
    int64_t now = clock_now();
    /* Whether calls go well again, a call must say. */
    enum breaker_word word = call_counts(call) ? breaker_ask(breaker, now) : BREAKER_REFUSES;
    call->trial = word == BREAKER_ADMITS_TRIAL;
    if (word != BREAKER_REFUSES)
        return true;
    breaker_describe(breaker, now, text);
    call_turn_away(call, CALL_BROKEN, "%s/%s: the provider is %s", call->provider->id, call->name,
                   text);
    return false;
}

void call_unbegun_text(const struct call *call, char *out, size_t size)
{
    if ((atomic_load(&call->state) & CALL_IS_LATE) != 0)
        snprintf(out, size, "%s/%s could not begin within %u ms", call->provider->id, call->name,
                 call->limit_ms);
    else
        snprintf(out, size, "%s/%s was cancelled before it began", call->provider->id, call->name);
}

void call_enter(struct call *call)
{
    struct provider *provider = call->provider;
    unsigned state = atomic_load(&call->state);
    char text[CALL_OVERDUE_TEXT];

    if ((state & (CALL_IS_CANCELLED | CALL_IS_LATE)) != 0) {
        call_unbegun_text(call, text, sizeof(text));
        call_turn_away(call, CALL_TIMEOUT, "%s", text);
        return;
    }
    if (atomic_load_explicit(&provider->broken, memory_order_relaxed)) {
        call_turn_away(call, CALL_BROKEN, "%s/%s: " PROVIDER_BROKEN_TEXT, provider->id, call->name);
        return;
    }
    if (!pass_breaker(call))
        return;
    provider->ops->call(provider, call);
    /* It goes on elsewhere: only now is it worth a place in the watch. */
    if (call->nonblocking && (atomic_load(&call->state) & CALL_IS_DONE) == 0 &&
        !atomic_load_explicit(&call->watched, memory_order_relaxed) && !deadline_add(call))
        log_error("%s/%s: its deadline is not watched: out of memory", provider->id, call->name);
    call_side_done(call, CALL_HAS_RETURNED);
}

void call_side_done(struct call *call, unsigned side)
{
    const unsigned both = CALL_IS_DONE | CALL_HAS_RETURNED;
    unsigned before = atomic_fetch_or(&call->state, side);
    if ((before & both) == both || ((before | side) & both) != both)
        return;
    struct provider *provider = call->provider;
    deadline_remove(call);
    if (call->trial)
        breaker_undecided(&provider->breaker); /* unless it said something */
    if (call->gate != NULL)
        dispatch_ended(call);
    call_unref(call);
    provider_leave(provider);
}

/* ---- answered ---- */

bool call_answer(struct call *call, const struct call_result *result)
{
    pthread_mutex_lock(&call->event_mutex);
    unsigned before = atomic_fetch_or(&call->state, CALL_IS_ANSWERED);
    bool waiting = (before & CALL_IS_ANSWERED) == 0;
    if (waiting) {
        call->events->finished(call, result);
        call_tell_task_waiters(call, MCP_ECANCELLED);
    }
    pthread_mutex_unlock(&call->event_mutex);
    return waiting;
}

static void answer_text(struct call *call, enum call_end end, const char *text)
{
    const struct call_result result = {.end = end, .text = bytes_of(text)};
    call_answer(call, &result);
}

void call_turn_away(struct call *call, enum call_end end, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    atomic_fetch_or(&call->state, CALL_IS_ENDED);
    answer_text(call, end, text);
    call_side_done(call, CALL_IS_DONE);
    call_side_done(call, CALL_HAS_RETURNED);
}

/* ---- cancelled ---- */

/* It is code of the plugin's, which must not end us either. */
static void run_callback(struct call *call, void (*fn)(void *data))
{
    struct exit_guard guard;

    if (exit_guard_enter(&guard, NULL)) {
        fn(call->on_cancel_data);
        exit_guard_leave(&guard);
    } else {
        atomic_store(&call->provider->broken, true);
        log_error("%s: its on_cancel function called %s: the provider is out of service",
                  call->provider->id, guard.function);
    }
}

void call_run_on_cancel(struct call *call)
{
    pthread_mutex_lock(&call->cancel_mutex);
    void (*fn)(void *) = call->on_cancel;
    call->on_cancel = NULL;
    if (fn != NULL)
        run_callback(call, fn);
    pthread_mutex_unlock(&call->cancel_mutex);
}

/* `how`: CALL_IS_CANCELLED, and CALL_IS_UNWANTED or not. */
static void cancel(struct call *call, unsigned how)
{
    unsigned before = atomic_fetch_or(&call->state, how);
    bool first = (before & CALL_IS_CANCELLED) == 0;
    if ((before & how) == how || (before & CALL_IS_DONE) != 0)
        return;
    if (first) {
        if (dispatch_withdraw(call)) {
            call_enter(call); /* turns it away */
            return;
        }
        pthread_mutex_lock(&call->mutex);
        if (call->cancel_fd >= 0)
            eventfd_write(call->cancel_fd, 1);
        pthread_mutex_unlock(&call->mutex);
    }
    if ((atomic_load(&call->state) & CALL_HAS_CALLBACK) == 0)
        return;
    /* A plugin hears of it once. A link to a worker hears each time that there is more to say
     * (pass_cancel), and here, for it does not wait. */
    if (call->elsewhere || (first && !canceller_tell(call)))
        call_run_on_cancel(call);
}

void call_cancel(struct call *call)
{
    cancel(call, CALL_IS_CANCELLED | CALL_IS_UNWANTED);
}

void call_interrupt(struct call *call)
{
    cancel(call, CALL_IS_CANCELLED);
}

bool call_is_cancelled(const struct call *call)
{
    return (atomic_load(&call->state) & CALL_IS_CANCELLED) != 0;
}

void call_late(struct call *call)
{
    atomic_fetch_or(&call->state, CALL_IS_LATE);
    dispatch_count_late();
    call_interrupt(call);
}

void call_overdue_text(const struct call *call, char *out, size_t size)
{
    snprintf(out, size, "%s/%s did not finish within %u ms", call->provider->id, call->name,
             call->limit_ms);
}

bool call_overdue(struct call *call, const char *text)
{
    const struct call_result result = {.end = CALL_TIMEOUT, .text = bytes_of(text)};
    bool waited = call_answer(call, &result);
    if (waited) {
        dispatch_count_overdue();
        call_cancel(call); /* whoever runs it elsewhere has not heard that */
    }
    return waited;
}
