/* SPDX-License-Identifier: MIT */
/* What a plugin may do with a call: struct mcp_call_ops of <mcp/plugin.h>. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/eventfd.h>

#include "base/log.h"
#include "base/utf8.h"
#include "plugin/call_private.h"
#include "plugin/canceller.h"
#include "plugin/mistake.h"

static _Atomic(uint32_t) max_result_bytes = 16u << 20;

void call_set_limits(uint32_t bytes)
{
    atomic_store(&max_result_bytes, bytes);
}

uint32_t call_max_result(void)
{
    return atomic_load(&max_result_bytes);
}

/* What is_nowhere finds stays as it is. */
static struct bytes host_bytes(struct mcp_bytes b)
{
    return b.size > 0 ? (struct bytes){b.data, b.size} : BYTES("");
}

/* ---- mistakes ---- */

/* The host's side of a call; NULL: the plugin gave none. */
static struct call *call_of(const struct mcp_call *abi, const char *function)
{
    if (abi != NULL)
        return call_from_abi(abi);
    mistake_null(function, "call");
    return NULL;
}

/* A call that is done and has returned has let go of its provider. */
static bool has_gone(unsigned state)
{
    const unsigned gone = CALL_IS_DONE | CALL_HAS_RETURNED;
    return (state & gone) == gone;
}

/* A function was given what it must not be given; of each call the log has one of these.
 * Returns `code`. */
__attribute__((format(printf, 3, 4))) static int32_t mistaken(struct call *call, int32_t code,
                                                              const char *format, ...)
{
    unsigned before = atomic_load(&call->state);
    char text[300];
    va_list args;

    if ((before & (CALL_IS_ENDED | CALL_HAS_ERRED)) != 0 ||
        (atomic_fetch_or(&call->state, CALL_HAS_ERRED) & CALL_HAS_ERRED) != 0 ||
        !provider_may_tell(call->provider))
        return code;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    log_warning("%s/%s: the plugin called %s", call->provider->id, call->name, text);
    return code;
}

/* A call has been ended, and now this. */
static int32_t too_late(const struct call *call, unsigned state, const char *function)
{
    static atomic_bool said;

    if (!has_gone(state)) {
        if (provider_may_tell(call->provider))
            log_warning("%s/%s: the plugin called %s for a call that it had ended",
                        call->provider->id, call->name, function);
    } else if (!atomic_exchange(&said, true)) {
        log_warning("a plugin called %s for a call of its tool that it had ended", function);
    }
    return MCP_EINVAL;
}

/* ---- beginning and completing an end ---- */

static void complain_ended_twice(struct call *call, unsigned state)
{
    static atomic_bool said_late;

    if (has_gone(state)) {
        if (!atomic_exchange(&said_late, true))
            log_warning("%s/%s: the plugin has ended a call that had ended before: a call is "
                        "ended exactly once",
                        call->provider_id, call->name);
        return;
    }
    if (provider_may_tell(call->provider))
        log_warning("%s/%s: the plugin has ended a call twice: a call is ended exactly once",
                    call->provider->id, call->name);
}

/* Makes this thread the one that ends the call. False: it was ended before. */
static bool begin_end(struct call *call)
{
    unsigned before = atomic_fetch_or(&call->state, CALL_IS_ENDED);
    if ((before & CALL_IS_ENDED) != 0)
        return false;
    if ((before & CALL_HAS_CALLBACK) != 0) {
        if ((before & CALL_IS_CANCELLED) != 0)
            canceller_forget(call);
        /* Waits for it, if it is running. */
        pthread_mutex_lock(&call->cancel_mutex);
        call->on_cancel = NULL;
        pthread_mutex_unlock(&call->cancel_mutex);
    }
    return true;
}

/* It has been answered for: whatever comes now is not looked at. */
static bool nobody_waits(const struct call *call)
{
    return (atomic_load(&call->state) & CALL_IS_ANSWERED) != 0;
}

static bool is_unwanted(const struct call *call)
{
    return (atomic_load(&call->state) & CALL_IS_UNWANTED) != 0;
}

static int32_t end(struct call *call, const struct call_result *result)
{
    bool wanted = !is_unwanted(call), waiting = call_answer(call, result);
    if (waiting && result->end < CALL_TIMEOUT && call_counts(call))
        provider_call_succeeded(call->provider);
    call_side_done(call, CALL_IS_DONE);
    return waiting && wanted ? MCP_OK : MCP_ECANCELLED;
}

__attribute__((format(printf, 4, 0))) static void end_broken(struct call *call, bool is_failure,
                                                             bool tell, const char *format,
                                                             va_list args)
{
    char text[1024];
    struct provider *provider = call->provider;
    int size = snprintf(text, sizeof(text), "%s/%s: ", provider->id, call->name);
    vsnprintf(text + size, sizeof(text) - (size_t)size, format, args);
    log_at(tell ? LOG_WARNING : LOG_DEBUG, "%s", text);
    if (is_failure && call_counts(call))
        provider_call_failed(provider, text);
    struct call_result result = {
        .end = CALL_BROKEN, .code = is_failure ? MCP_EFAIL : MCP_ENOMEM, .text = bytes_of(text)};
    result.text.size = utf8_valid_prefix(result.text); /* it may have been cut */
    end(call, &result);
}

void call_end_broken(struct call *call, const char *format, ...)
{
    va_list args;
    if (!begin_end(call))
        return;
    va_start(args, format);
    end_broken(call, false, !atomic_exchange(&call->provider->told_gone, true), format, args);
    va_end(args);
}

void call_end_as(struct call *call, enum call_end how, struct bytes text)
{
    const struct call_result result = {.end = how, .text = text};
    if (begin_end(call))
        end(call, &result);
}

void call_end_faulty(struct call *call, const char *format, ...)
{
    va_list args;
    if (!begin_end(call))
        return;
    va_start(args, format);
    end_broken(call, true, provider_may_tell(call->provider), format, args);
    va_end(args);
}

/* Ends a call whose end the plugin got wrong. */
__attribute__((format(printf, 3, 4))) static int32_t spoilt(struct call *call, int32_t code,
                                                            const char *format, ...)
{
    va_list args;
    va_start(args, format);
    /* It may have been the arguments that made so much of it, or used up the memory. */
    end_broken(call, code != MCP_ENOMEM, provider_may_tell(call->provider), format, args);
    va_end(args);
    return code;
}

/* ---- ending with a text ---- */

static bool fits(size_t size)
{
    return size <= atomic_load_explicit(&max_result_bytes, memory_order_relaxed);
}

static int32_t too_large(struct call *call, size_t size)
{
    return spoilt(call, MCP_ENOMEM,
                  "the provider gave a result of %zu bytes: calls.max_result_bytes is %u", size,
                  atomic_load(&max_result_bytes));
}

/* The functions that end a call, and what they call what is in struct call_result. */
static const struct {
    const char *function, *text, *json;
} ends[] = {
    [CALL_TEXT] = {"finish_text", "text", NULL},
    [CALL_STRUCTURED] = {"finish_structured", "text", "json"},
    [CALL_RESULT] = {"finish_result", NULL, "json"},
    [CALL_FAILURE] = {"finish_failure", "text", NULL},
    [CALL_NEED_INPUT] = {"finish_need_input", "state", "requests"},
    [CALL_ERROR] = {"finish_error", "message", "data"},
};

static int32_t not_utf8(struct call *call, const struct call_result *result)
{
    return spoilt(call, MCP_EINVAL, "the provider gave %s a %s that is not UTF-8 (byte %zu)",
                  ends[result->end].function, ends[result->end].text,
                  utf8_valid_prefix(result->text));
}

/* Bytes that are not there. */
static int32_t nowhere(struct call *call, const struct call_result *result)
{
    bool json = is_nowhere(result->json_text.data, result->json_text.size);
    return spoilt(call, MCP_EINVAL, "the provider gave %s a %s of %zu bytes at NULL",
                  ends[result->end].function,
                  json ? ends[result->end].json : ends[result->end].text,
                  json ? result->json_text.size : result->text.size);
}

/* A failure after the deadline is most likely that of a tool that was
 * interrupted: the truth for the caller is that there was not enough time. */
static int32_t end_late(struct call *call, struct bytes said)
{
    char text[512];
    int shown = said.size < 200 ? (int)said.size : 200;
    shown = (int)utf8_valid_prefix((struct bytes){said.data, (size_t)shown});
    int size = snprintf(text, sizeof(text), "%s/%s did not finish within %u ms (it said: %.*s)",
                        call->provider->id, call->name, call->limit_ms, shown, said.data);
    if (size >= (int)sizeof(text))
        size = (int)utf8_valid_prefix((struct bytes){text, sizeof(text) - 1});
    const struct call_result result = {.end = CALL_TIMEOUT, .text = {text, (size_t)size}};
    text[size] = '\0';
    if (call_counts(call) && !nobody_waits(call))
        provider_call_late(call->provider, text);
    return end(call, &result);
}

static int32_t finish_plain(struct mcp_call *abi, struct mcp_bytes text, enum call_end how)
{
    struct call *call = call_of(abi, ends[how].function);
    struct call_result result = {.end = how, .text = host_bytes(text)};

    if (call == NULL)
        return MCP_EINVAL;
    if (!begin_end(call)) {
        complain_ended_twice(call, atomic_load(&call->state));
        return MCP_EINVAL;
    }
    if (nobody_waits(call))
        return end(call, &result);
    if (is_nowhere(text.data, text.size))
        return nowhere(call, &result);
    if (!fits(result.text.size))
        return too_large(call, result.text.size);
    if (!utf8_valid(result.text))
        return not_utf8(call, &result);
    if (how == CALL_TEXT && call->function == CALL_COMPLETE)
        return spoilt(call, MCP_EINVAL, "a completion is ended with finish_result");
    if (how == CALL_FAILURE && (atomic_load(&call->state) & CALL_IS_LATE) != 0)
        return end_late(call, result.text);
    return end(call, &result);
}

static int32_t finish_text(struct mcp_call *abi, struct mcp_bytes text)
{
    return finish_plain(abi, text, CALL_TEXT);
}

static int32_t finish_failure(struct mcp_call *abi, struct mcp_bytes text)
{
    return finish_plain(abi, text, CALL_FAILURE);
}

/* ---- ending with JSON ---- */

/* A plugin without a state of its own has nothing carried, but where a state counts once. */
static bool too_much_to_carry(const struct call *call, const struct call_result *result,
                              const struct json *json)
{
    return result->end == CALL_NEED_INPUT && call->client_carries &&
           (result->text.size > 0 || (call->flags & MCP_TOOL_STATE_ONCE) != 0) &&
           result->text.size + call_requests_carried(json) > CALL_CARRIED_MAX;
}

/* Ends the call with `result`, whose json_text and text are set, if they are
 * legal. The call has begun to end. */
static int32_t end_with_json(struct call *call, struct call_result *result, const char *what,
                             const char *(*fault)(const struct call *, const struct json *))
{
    struct json_limits limits = json_default_limits;
    struct json_error why;
    struct json json;
    const char *rule = NULL;

    limits.max_size = atomic_load_explicit(&max_result_bytes, memory_order_relaxed);
    struct arena *scratch = scratch_take();
    if (scratch == NULL)
        return spoilt(call, MCP_ENOMEM, "its %s cannot be read: out of memory", what);
    if (!json_parse(&json, result->json_text, &limits, scratch, &why)) {
        scratch_give_back(scratch);
        return spoilt(call, why.kind == JSON_MEMORY ? MCP_ENOMEM : MCP_EINVAL,
                      "the provider gave a %s that is not legal JSON: %s at byte %zu", what,
                      why.text, why.offset);
    }
    if (fault != NULL)
        rule = fault(call, &json);
    int32_t code;
    if (rule != NULL) {
        code = spoilt(call, MCP_EINVAL, "the provider gave a %s that is not legal: %s", what, rule);
    } else if (too_much_to_carry(call, result, &json)) {
        code = spoilt(call, MCP_ENOMEM,
                      "the provider gave finish_need_input a state that is too large: it has %zu "
                      "bytes and the requests have %zu, of which a client carries %d at most",
                      result->text.size, call_requests_carried(&json), CALL_CARRIED_MAX);
    } else {
        result->json = &json;
        code = end(call, result);
    }
    scratch_give_back(scratch);
    return code;
}

static int32_t finish_json(struct mcp_call *abi, struct call_result *result, const char *what,
                           const char *(*fault)(const struct call *, const struct json *))
{
    struct call *call = call_of(abi, ends[result->end].function);

    if (call == NULL)
        return MCP_EINVAL;
    if (!begin_end(call)) {
        complain_ended_twice(call, atomic_load(&call->state));
        return MCP_EINVAL;
    }
    if (nobody_waits(call))
        return end(call, result);
    if (is_nowhere(result->json_text.data, result->json_text.size) ||
        is_nowhere(result->text.data, result->text.size))
        return nowhere(call, result);
    if (!fits(result->json_text.size) || !fits(result->text.size))
        return too_large(call, result->json_text.size > result->text.size ? result->json_text.size
                                                                          : result->text.size);
    if (!utf8_valid(result->text))
        return not_utf8(call, result);
    return end_with_json(call, result, what, fault);
}

/* Not for reading, prompts and completion, whose results have a form of their own. */
static const char *structured_fault(const struct call *call, const struct json *json)
{
    (void)json;
    return call->function == CALL_TOOL ? NULL : "only tools have structured results";
}

static int32_t finish_structured(struct mcp_call *abi, struct mcp_bytes text, struct mcp_bytes json)
{
    struct call_result result = {
        .end = CALL_STRUCTURED, .text = host_bytes(text), .json_text = host_bytes(json)};
    if (result.text.size == 0)
        result.text = result.json_text;
    return finish_json(abi, &result, "structured value", structured_fault);
}

static int32_t finish_result(struct mcp_call *abi, struct mcp_bytes json)
{
    struct call_result result = {.end = CALL_RESULT, .json_text = host_bytes(json)};
    return finish_json(abi, &result,
                       call_result_name(abi != NULL ? call_from_abi(abi)->function : CALL_TOOL),
                       call_result_fault);
}

static int32_t finish_need_input(struct mcp_call *abi, struct mcp_bytes requests,
                                 struct mcp_bytes state)
{
    struct call_result result = {
        .end = CALL_NEED_INPUT, .text = host_bytes(state), .json_text = host_bytes(requests)};
    if (abi != NULL && !call_from_abi(abi)->can_ask)
        return MCP_ENOTSUP;
    return finish_json(abi, &result, "set of input requests", call_requests_fault);
}

static int32_t finish_error(struct mcp_call *abi, int32_t code, struct mcp_bytes message,
                            struct mcp_bytes data)
{
    struct call_result result = {.end = CALL_ERROR,
                                 .code = code,
                                 .text = host_bytes(message),
                                 .json_text = host_bytes(data)};
    if (data.size == 0)
        result.json_text = BYTES("null");
    return finish_json(abi, &result, "value as finish_error's data",
                       code == MCP_ERROR_MISSING_CAPABILITY ? call_missing_fault : NULL);
}

/* ---- on the way ---- */

/* What a report is answered with before anything is looked at. */
static int32_t report_refused(const struct call *call, const char *function)
{
    if (call == NULL)
        return MCP_EINVAL;
    unsigned state = atomic_load(&call->state);
    if ((state & CALL_IS_ENDED) != 0)
        return too_late(call, state, function);
    return (state & (CALL_IS_ANSWERED | CALL_IS_UNWANTED)) != 0 ? MCP_ECANCELLED : MCP_OK;
}

static int32_t op_progress(struct mcp_call *abi, double progress, double total,
                           struct mcp_bytes message)
{
    struct call *call = call_of(abi, "progress");
    struct bytes text = host_bytes(message);
    int32_t code = report_refused(call, "progress");

    if (code != MCP_OK)
        return code;
    if (!isfinite(progress) || !isfinite(total) || progress < 0)
        return mistaken(call, MCP_EINVAL, "progress with a progress of %g and a total of %g",
                        progress, total);
    if (is_nowhere(text.data, text.size))
        return mistaken(call, MCP_EINVAL, "progress with a message of %zu bytes at NULL",
                        text.size);
    if (!call->wants_progress || call->events->progress == NULL)
        return MCP_OK;
    if (!fits(text.size))
        return mistaken(call, MCP_ENOMEM, "progress with a message of %zu bytes", text.size);
    if (!utf8_valid(text))
        return mistaken(call, MCP_EINVAL, "progress with a message that is not UTF-8 (byte %zu)",
                        utf8_valid_prefix(text));
    pthread_mutex_lock(&call->event_mutex);
    if (nobody_waits(call))
        code = MCP_ECANCELLED;
    else
        call->events->progress(call, progress, total, text);
    pthread_mutex_unlock(&call->event_mutex);
    return code;
}

static int32_t op_log(struct mcp_call *abi, int32_t level, struct mcp_bytes data)
{
    struct call *call = call_of(abi, "log");
    struct bytes text = host_bytes(data);
    int32_t code = report_refused(call, "log");
    struct json_error why;

    if (code != MCP_OK)
        return code;
    if (level < MCP_LOG_EMERGENCY || level > MCP_LOG_DEBUG)
        return mistaken(call, MCP_EINVAL, "log with a level of %d: it is one of MCP_LOG_*",
                        (int)level);
    if (is_nowhere(text.data, text.size))
        return mistaken(call, MCP_EINVAL, "log with data of %zu bytes at NULL", text.size);
    if (level > call->log_level || call->events->log == NULL)
        return MCP_OK;
    if (!fits(text.size))
        return mistaken(call, MCP_ENOMEM, "log with data of %zu bytes", text.size);
    if (!json_check(text, &json_default_limits, &why))
        return mistaken(call, MCP_EINVAL, "log with data that is not legal JSON: %s at byte %zu",
                        why.text, why.offset);
    pthread_mutex_lock(&call->event_mutex);
    if (nobody_waits(call))
        code = MCP_ECANCELLED;
    else
        call->events->log(call, level, text);
    pthread_mutex_unlock(&call->event_mutex);
    return code;
}

static int32_t op_start_task(struct mcp_call *abi)
{
    struct call *call = call_of(abi, "start_task");
    unsigned state = call != NULL ? atomic_load(&call->state) : 0;

    if (call == NULL)
        return MCP_EINVAL;
    return (state & CALL_IS_ENDED) != 0 ? too_late(call, state, "start_task")
                                        : call_wait_for_task(call);
}

static int32_t op_close_stream(struct mcp_call *abi)
{
    struct call *call = call_of(abi, "close_stream");
    int32_t code = report_refused(call, "close_stream");

    if (code != MCP_OK || call->events->close_stream == NULL)
        return code;
    pthread_mutex_lock(&call->event_mutex);
    if (nobody_waits(call))
        code = MCP_ECANCELLED;
    else
        call->events->close_stream(call);
    pthread_mutex_unlock(&call->event_mutex);
    return code;
}

/* ---- cancellation ---- */

static int32_t op_is_cancelled(const struct mcp_call *abi)
{
    const struct call *call = call_of(abi, "is_cancelled");
    if (call == NULL)
        return MCP_EINVAL; /* true, too, for who waits for that */
    return (atomic_load_explicit(&call->state, memory_order_relaxed) & CALL_IS_CANCELLED) != 0;
}

static int32_t op_cancel_fd(struct mcp_call *abi)
{
    struct call *call = call_of(abi, "cancel_fd");
    if (call == NULL)
        return MCP_EINVAL;
    pthread_mutex_lock(&call->mutex);
    if (call->cancel_fd < 0) {
        bool already = (atomic_load(&call->state) & CALL_IS_CANCELLED) != 0;
        call->cancel_fd = eventfd(already ? 1 : 0, EFD_CLOEXEC | EFD_NONBLOCK);
    }
    int32_t fd = call->cancel_fd >= 0 ? call->cancel_fd : MCP_ENOMEM;
    pthread_mutex_unlock(&call->mutex);
    return fd;
}

static int32_t op_on_cancel(struct mcp_call *abi, void (*fn)(void *data), void *data)
{
    struct call *call = call_of(abi, "on_cancel");
    int32_t code = MCP_OK;

    if (call == NULL)
        return MCP_EINVAL;
    pthread_mutex_lock(&call->cancel_mutex);
    unsigned before = atomic_fetch_or(&call->state, CALL_HAS_CALLBACK);
    if ((before & CALL_IS_ENDED) != 0) {
        call->on_cancel = NULL;
        code = MCP_EINVAL;
    } else if (fn != NULL && (before & CALL_IS_CANCELLED) != 0) {
        call->on_cancel = NULL;
        fn(data);
    } else {
        call->on_cancel = fn;
        call->on_cancel_data = data;
    }
    pthread_mutex_unlock(&call->cancel_mutex);
    return code == MCP_OK ? code : too_late(call, before, "on_cancel");
}

/* ---- the rest ---- */

/* The value at a place, decoded; valid until the call has been ended. */
static int32_t read_at(struct call *call, const struct json *json, const struct json_node *root,
                       const char *pointer, int32_t *kind, struct mcp_bytes *value)
{
    const struct json_node *node = json_at(json, root, pointer);
    struct bytes text;

    if (node == NULL)
        return MCP_ENOENT;
    *kind = node->type; /* the two count alike */
    if (node->type != JSON_STRING) {
        text = json_raw(json, node);
    } else if (!node->escaped) {
        text = json_string(json, node, &call->arena); /* takes nothing from the arena */
    } else {
        pthread_mutex_lock(&call->mutex);
        text = json_string(json, node, &call->arena);
        pthread_mutex_unlock(&call->mutex);
        if (text.data == NULL)
            return MCP_ENOMEM;
    }
    *value = (struct mcp_bytes){text.data, text.size};
    return MCP_OK;
}

static int32_t reads_nowhere(struct call *call, const char *function, const char *pointer,
                             const int32_t *kind)
{
    return mistaken(call, MCP_EINVAL, "%s with a %s that is NULL", function,
                    pointer == NULL ? "pointer"
                    : kind == NULL  ? "kind"
                                    : "value");
}

static int32_t op_argument(struct mcp_call *abi, const char *pointer, int32_t *kind,
                           struct mcp_bytes *value)
{
    struct call *call = call_of(abi, "argument");

    if (call == NULL)
        return MCP_EINVAL;
    if (pointer == NULL || kind == NULL || value == NULL)
        return reads_nowhere(call, "argument", pointer, kind);
    if (call->arguments == NULL) {
        if (pointer[0] != '\0')
            return MCP_ENOENT;
        *kind = MCP_JSON_OBJECT;
        *value = MCP_STR("{}");
        return MCP_OK;
    }
    return read_at(call, call->json, call->arguments, pointer, kind, value);
}

/* The part's index, made when it is first asked for; NULL: no such part, or no
 * memory (*code). */
static const struct json *find_part(struct call *call, int32_t part, int32_t *code)
{
    const struct mcp_bytes texts[CALL_PARTS] = {
        [MCP_PART_META] = call->abi.meta,
        [MCP_PART_INPUT_RESPONSES] = call->abi.input_responses,
        [MCP_PART_CLIENT_CAPABILITIES] = call->abi.client_capabilities,
    };
    struct json *json = &call->parts[part];

    *code = MCP_ENOENT;
    if (texts[part].size == 0)
        return NULL;
    pthread_mutex_lock(&call->mutex);
    if (json->root == NULL &&
        !json_parse(json, host_bytes(texts[part]), &json_default_limits, &call->arena, NULL)) {
        json->root = NULL;
        *code = MCP_ENOMEM;
    }
    pthread_mutex_unlock(&call->mutex);
    return json->root != NULL ? json : NULL;
}

static int32_t op_read(struct mcp_call *abi, int32_t part, const char *pointer, int32_t *kind,
                       struct mcp_bytes *value)
{
    struct call *call = call_of(abi, "read");
    int32_t code;

    if (call == NULL)
        return MCP_EINVAL;
    if (part < 0 || part >= CALL_PARTS)
        return mistaken(call, MCP_EINVAL, "read with a part of %d: it is one of MCP_PART_*",
                        (int)part);
    if (pointer == NULL || kind == NULL || value == NULL)
        return reads_nowhere(call, "read", pointer, kind);
    if (part == MCP_PART_ARGUMENTS)
        return op_argument(abi, pointer, kind, value);
    const struct json *json = find_part(call, part, &code);
    return json != NULL ? read_at(call, json, json->root, pointer, kind, value) : code;
}

static const void *op_get_extension(const struct mcp_call *abi, const char *id)
{
    struct call *call = call_of(abi, "get_extension");

    if (call != NULL && id == NULL)
        mistaken(call, MCP_EINVAL, "get_extension with an id that is NULL");
    return NULL;
}

const struct mcp_call_ops call_ops = {
    .struct_size = sizeof(struct mcp_call_ops),
    .finish_text = finish_text,
    .finish_structured = finish_structured,
    .finish_result = finish_result,
    .finish_failure = finish_failure,
    .finish_need_input = finish_need_input,
    .progress = op_progress,
    .log = op_log,
    .is_cancelled = op_is_cancelled,
    .cancel_fd = op_cancel_fd,
    .on_cancel = op_on_cancel,
    .argument = op_argument,
    .get_extension = op_get_extension,
    .finish_error = finish_error,
    .start_task = op_start_task,
    .close_stream = op_close_stream,
    .read = op_read,
};
