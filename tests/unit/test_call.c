/* SPDX-License-Identifier: MIT */
/* Calls: how they end, what a plugin may do with them, cancelling. */
#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "fake_provider.h"
#include "suite.h"

static struct registry *registry;
static struct fake_provider *fake;
static struct heard heard;
static struct mcp_call *kept; /* a call that run_keep did not end */
static atomic_int cancelled;

/* What was logged. */
static struct {
    pthread_mutex_t mutex;
    char text[8192];
} lines = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void note_line(enum log_level level, struct bytes text)
{
    (void)level;
    pthread_mutex_lock(&lines.mutex);
    size_t used = strlen(lines.text);
    snprintf(lines.text + used, sizeof(lines.text) - used, "%.*s\n", BYTES_FMT(text));
    pthread_mutex_unlock(&lines.mutex);
}

static bool is_logged(const char *text)
{
    bool found = false;
    for (int i = 0; i < 5000 && !found; i++) {
        pthread_mutex_lock(&lines.mutex);
        found = strstr(lines.text, text) != NULL;
        pthread_mutex_unlock(&lines.mutex);
        sleep_ms(1);
    }
    return found;
}

static void set_up(void)
{
    struct error err;
    ck_assert(dispatch_start(4, 16, &err));
    registry = registry_new();
    fake = fake_new("files", "", 1);
    fake_add(fake, "inline", MCP_TOOL_NONBLOCKING, 0, 0);
    fake_add(fake, "worker", MCP_TOOL_THREAD_SAFE, 0, 0);
    fake_add(fake, "short", MCP_TOOL_THREAD_SAFE, 400, 0);
    fake_add(fake, "short_inline", MCP_TOOL_NONBLOCKING, 400, 0);
    struct provider *providers[] = {&fake->provider};
    ck_assert(registry_publish(registry, providers, 1, &err));
    heard_init(&heard);
    call_set_limits(1u << 20);
    kept = NULL;
    atomic_store(&cancelled, 0);
}

static void tear_down(void)
{
    provider_retire(&fake->provider);
    ck_assert(drained(&fake->provider, in_ms(5000)));
    dispatch_stop(in_ms(5000));
    heard_free(&heard);
    provider_unref(&fake->provider);
    registry_free(registry);
}

static void start(const char *tool)
{
    struct call *call = fake_tool_call(registry, tool, &heard, NULL, NULL);
    ck_assert_ptr_nonnull(call);
    call_start(call);
    call_unref(call);
}

/* ---- ends ---- */

START_TEST(inline_call_ends_on_this_thread)
{
    struct call *call = fake_tool_call(registry, "inline", &heard, NULL, NULL);
    call_start(call);
    ck_assert_int_eq(heard.finished, 1);
    ck_assert_int_eq(heard.end, CALL_TEXT);
    ck_assert_str_eq(heard.text, "inline");
    ck_assert(pthread_equal(heard.thread, pthread_self()));
    ck_assert_int_eq(heard.released, 0);
    call_unref(call);
    ck_assert_int_eq(heard.released, 1);
    ck_assert_uint_eq(provider_inside(&fake->provider), 0);
}
END_TEST

START_TEST(worker_call_ends_on_another_thread)
{
    struct call *call = fake_tool_call(registry, "worker", &heard, NULL, NULL);
    call_start(call);
    call_unref(call);
    ck_assert(heard_finished(&heard));
    ck_assert(heard_released(&heard));
    ck_assert(!pthread_equal(heard.thread, pthread_self()));
    ck_assert_str_eq(heard.text, "worker");
}
END_TEST

static int32_t code; /* of the end that a run_ function gave */

static void run_structured(struct fake_provider *f, struct mcp_call *call)
{
    code = call->ops->finish_structured(call, MCP_STR(""), *(struct mcp_bytes *)f->context);
}

static void run_result(struct fake_provider *f, struct mcp_call *call)
{
    code = call->ops->finish_result(call, *(struct mcp_bytes *)f->context);
}

static void run_text(struct fake_provider *f, struct mcp_call *call)
{
    code = call->ops->finish_text(call, *(struct mcp_bytes *)f->context);
}

static void run_need_input(struct fake_provider *f, struct mcp_call *call)
{
    code = call->ops->finish_need_input(call, *(struct mcp_bytes *)f->context, MCP_STR("state 1"));
    if (code == MCP_ENOTSUP)
        call->ops->finish_failure(call, MCP_STR("cannot ask"));
}

static void end_with(void (*run)(struct fake_provider *, struct mcp_call *), const char *text)
{
    static struct mcp_bytes given;
    given = (struct mcp_bytes){text, strlen(text)};
    fake->run = run;
    fake->context = &given;
    heard.finished = heard.released = 0;
    heard.text[0] = heard.json[0] = '\0';
    start("inline");
    ck_assert_int_eq(heard.finished, 1);
    ck_assert_int_eq(heard.released, 1);
}

START_TEST(json_ends_carry_their_index)
{
    end_with(run_structured, "{\"a\":1}");
    ck_assert_int_eq(code, MCP_OK);
    ck_assert_int_eq(heard.end, CALL_STRUCTURED);
    ck_assert_str_eq(heard.json, "{\"a\":1}");
    ck_assert_str_eq(heard.text, "{\"a\":1}"); /* an empty text stands for the JSON */
    ck_assert(heard.has_index);
    end_with(run_result, "{\"content\":[{\"type\":\"text\",\"text\":\"x\"}],\"isError\":true}");
    ck_assert_int_eq(code, MCP_OK);
    ck_assert_int_eq(heard.end, CALL_RESULT);
    ck_assert(heard.has_index);
}
END_TEST

static void run_error(struct fake_provider *f, struct mcp_call *call)
{
    code = call->ops->finish_error(call, MCP_ERROR_INVALID_PARAMS, MCP_STR("no"),
                                   *(struct mcp_bytes *)f->context);
}

START_TEST(illegal_ends_tell_the_rule)
{
    static const struct {
        void (*run)(struct fake_provider *, struct mcp_call *);
        const char *text, *said;
    } cases[] = {
        {run_structured, "{\"a\":1,}", "not legal JSON"},
        {run_structured, "", "not legal JSON"},
        {run_structured, "{\"a\":1,\"a\":2}", "not legal JSON"},
        {run_result, "[]", "must be an object"},
        {run_result, "{}", "\"content\""},
        {run_result, "{\"content\":{}}", "\"content\""},
        {run_result, "{\"content\":[1]}", "string \"type\""},
        {run_result, "{\"content\":[{\"type\":\"text\"}]}", "string \"text\""},
        {run_result, "{\"content\":[],\"isError\":1}", "\"isError\""},
        {run_result, "{\"content\":[],\"_meta\":[]}", "\"_meta\""},
        {run_error, "{,}", "gave a value as finish_error's data that is not legal JSON"},
        {run_text, "caf\xe9 au lait", "not UTF-8 (byte 3)"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        end_with(cases[i].run, cases[i].text);
        ck_assert_msg(code == MCP_EINVAL, "case %zu: %d", i, code);
        ck_assert_int_eq(heard.end, CALL_BROKEN);
        ck_assert_msg(strstr(heard.text, cases[i].said) != NULL, "case %zu: %s", i, heard.text);
        ck_assert_msg(strncmp(heard.text, "files/inline: ", 14) == 0, "%s", heard.text);
    }
}
END_TEST

static void run_missing(struct fake_provider *f, struct mcp_call *call)
{
    code = call->ops->finish_error(call, MCP_ERROR_MISSING_CAPABILITY, MCP_STR("It cannot."),
                                   *(struct mcp_bytes *)f->context);
}

START_TEST(a_missing_capability_is_named)
{
    static const char *const broken[] = {"", "null", "[]", "{}", "{\"requiredCapabilities\":[]}"};

    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        end_with(run_missing, broken[i]);
        ck_assert_msg(code == MCP_EINVAL && heard.end == CALL_BROKEN, "%s", broken[i]);
        ck_assert_msg(strstr(heard.text, "finish_error's data") != NULL &&
                          strstr(heard.text, "\"requiredCapabilities\"") != NULL,
                      "%s", heard.text);
    }
    end_with(run_missing, "{\"requiredCapabilities\":{\"sampling\":{}}}");
    ck_assert_int_eq(code, MCP_OK);
    ck_assert_int_eq(heard.end, CALL_ERROR);
}
END_TEST

static void run_nowhere(struct fake_provider *f, struct mcp_call *call)
{
    const struct mcp_bytes nowhere = {NULL, 5};

    (void)f;
    code = call->ops->progress(call, 1, 0, nowhere);
    ck_assert_int_eq(code, MCP_EINVAL);
    ck_assert_int_eq(call->ops->log(call, MCP_LOG_ERROR, nowhere), MCP_EINVAL);
    ck_assert_int_eq(call->ops->finish_text(NULL, MCP_STR("")), MCP_EINVAL);
    code = call->ops->finish_text(call, nowhere);
}

START_TEST(bytes_are_somewhere)
{
    end_with(run_nowhere, "");
    ck_assert_int_eq(code, MCP_EINVAL);
    ck_assert_int_eq(heard.end, CALL_BROKEN);
    ck_assert_ptr_nonnull(strstr(heard.text, "finish_text a text of 5 bytes at NULL"));
}
END_TEST

START_TEST(results_are_limited)
{
    call_set_limits(8);
    end_with(run_text, "123456789");
    ck_assert_int_eq(code, MCP_ENOMEM);
    ck_assert_int_eq(heard.end, CALL_BROKEN);
    ck_assert_ptr_nonnull(strstr(heard.text, "max_result_bytes is 8"));
    end_with(run_text, "12345678");
    ck_assert_int_eq(heard.end, CALL_TEXT);
    end_with(run_structured, "[1,2,3,4]");
    ck_assert_int_eq(heard.end, CALL_BROKEN);
}
END_TEST

static void may_ask(struct call_request *request)
{
    request->can_ask = true;
}

#define FORM(fields) "{\"type\":\"object\",\"properties\":{" fields "}}"
#define ELICIT(schema)                                                                             \
    "{\"who\":{\"method\":\"elicitation/create\",\"params\":{\"message\":\"?\","                   \
    "\"requestedSchema\":" schema "}}}"
#define ELICIT_URL(url)                                                                            \
    "{\"who\":{\"method\":\"elicitation/create\",\"params\":{\"mode\":\"url\",\"message\":\"?\","  \
    "\"url\":\"" url "\"}}}"
#define SAMPLE(params) "{\"who\":{\"method\":\"sampling/createMessage\",\"params\":{" params "}}}"
#define MESSAGES "\"messages\":[{\"role\":\"user\",\"content\":{\"type\":\"text\",\"text\":\"\"}}]"

/* Ends a call of a client that can be asked with these requests. */
static void ask_with(const char *requests)
{
    static struct mcp_bytes text;

    text = (struct mcp_bytes){requests, strlen(requests)};
    fake->run = run_need_input;
    fake->context = &text;
    heard.finished = 0;
    struct call *call = fake_tool_call(registry, "inline", &heard, NULL, may_ask);
    call_start(call);
    call_unref(call);
}

/* ROOTS is carried as the name alone, with its quotes. */
#define ROOTS "{\"who\":{\"method\":\"roots/list\"}}"

static struct mcp_bytes carried;

static void run_carried(struct fake_provider *f, struct mcp_call *call)
{
    code = call->ops->finish_need_input(call, *(struct mcp_bytes *)f->context, carried);
}

static void client_carries(struct call_request *request)
{
    request->can_ask = request->client_carries = true;
}

static void ask_carried(const char *requests, size_t state_size,
                        void (*change)(struct call_request *request))
{
    static char state[CALL_CARRIED_MAX + 1];
    static struct mcp_bytes text;

    memset(state, 'x', sizeof(state));
    carried = (struct mcp_bytes){state, state_size};
    text = (struct mcp_bytes){requests, strlen(requests)};
    fake->run = run_carried;
    fake->context = &text;
    heard.finished = 0;
    struct call *call = fake_tool_call(registry, "inline", &heard, NULL, change);
    call_start(call);
    call_unref(call);
    ck_assert_int_eq(heard.finished, 1);
}

START_TEST(what_a_client_carries_is_limited)
{
    ask_carried(ROOTS, CALL_CARRIED_MAX - 5, client_carries);
    ck_assert_int_eq(code, MCP_OK);
    ck_assert_int_eq(heard.end, CALL_NEED_INPUT);
    ask_carried(ROOTS, CALL_CARRIED_MAX - 4, client_carries);
    ck_assert_int_eq(code, MCP_ENOMEM);
    ck_assert_int_eq(heard.end, CALL_BROKEN);
    ck_assert_ptr_nonnull(strstr(heard.text, "too large"));
    /* The form of a question counts, its text does not. */
    ask_carried(ELICIT(FORM("")), CALL_CARRIED_MAX - 5 - (sizeof(FORM("")) - 1), client_carries);
    ck_assert_int_eq(code, MCP_OK);
    ask_carried(ELICIT(FORM("")), CALL_CARRIED_MAX - 4 - (sizeof(FORM("")) - 1), client_carries);
    ck_assert_int_eq(code, MCP_ENOMEM);
    /* Where mcpd keeps it itself, there is room. */
    ask_carried(ROOTS, CALL_CARRIED_MAX + 1, may_ask);
    ck_assert_int_eq(code, MCP_OK);
    ck_assert_int_eq(heard.end, CALL_NEED_INPUT);
}
END_TEST

START_TEST(need_input_needs_a_client_that_can_be_asked)
{
    end_with(run_need_input, "{\"who\":{\"method\":\"roots/list\"}}");
    ck_assert_int_eq(code, MCP_ENOTSUP);
    ck_assert_int_eq(heard.end, CALL_FAILURE);
}
END_TEST

START_TEST(requests_have_a_form)
{
    static const char *const legal[] = {
        "{\"who\":{\"method\":\"roots/list\"}}",
        "{\"who\":{\"method\":\"roots/list\",\"params\":{}}}",
        ELICIT(FORM("")),
        ELICIT(FORM("\"a\":{\"type\":\"string\",\"format\":\"email\",\"default\":\"x\"},"
                    "\"b\":{\"type\":\"integer\",\"minimum\":1},\"c\":{\"type\":\"boolean\"},"
                    "\"d\":{\"type\":\"string\",\"enum\":[\"x\"],\"enumNames\":[\"X\"]},"
                    "\"e\":{\"type\":\"string\",\"oneOf\":[{\"const\":\"x\",\"title\":\"X\"}]},"
                    "\"f\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"enum\":[\"x\"]}},"
                    "\"g\":{\"type\":\"array\",\"items\":{\"anyOf\":[{\"const\":\"x\","
                    "\"title\":\"X\"}]}},\"h\":{\"type\":\"number\"}")),
        ELICIT_URL("https://example.org/?a=b"),
        SAMPLE(MESSAGES ",\"maxTokens\":1"),
        SAMPLE("\"messages\":[{\"role\":\"assistant\",\"content\":[]}],\"maxTokens\":9"),
    };
    static const char *const broken[] = {
        "[]",
        "{}",
        "{\"who\":1}",
        "{\"who\":{\"method\":\"tools/call\"}}",
        "{\"who\":{\"method\":\"roots/list\",\"params\":[]}}",
        "{\"who\":{\"method\":\"elicitation/create\"}}",
        "{\"who\":{\"method\":\"elicitation/create\",\"params\":{\"message\":\"?\"}}}",
        "{\"who\":{\"method\":\"elicitation/create\",\"params\":{\"requestedSchema\":" FORM(
            "") "}}}",
        ELICIT("{\"type\":\"object\"}"),
        ELICIT("{\"type\":\"array\",\"properties\":{}}"),
        ELICIT(FORM("\"a\":{}")),
        ELICIT(FORM("\"a\":true")),
        ELICIT(FORM("\"a\":{\"type\":\"object\",\"properties\":{}}")),
        ELICIT(FORM("\"a\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}}")),
        ELICIT(FORM("\"a\":{\"type\":\"string\",\"enum\":[1]}")),
        ELICIT(FORM("\"a\":{\"type\":\"string\",\"oneOf\":[{\"const\":\"x\"}]}")),
        ELICIT(FORM("\"a\":{\"type\":\"string\",\"minLength\":-1}")),
        ELICIT_URL("javascript:alert(1)"),
        ELICIT_URL("https://"),
        "{\"who\":{\"method\":\"elicitation/"
        "create\",\"params\":{\"mode\":\"x\",\"message\":\"\"}}}",
        SAMPLE(MESSAGES),
        SAMPLE(MESSAGES ",\"maxTokens\":0"),
        SAMPLE("\"maxTokens\":1"),
        SAMPLE("\"messages\":[{\"role\":\"system\",\"content\":[]}],\"maxTokens\":1"),
        SAMPLE("\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"maxTokens\":1"),
    };

    for (size_t i = 0; i < sizeof legal / sizeof legal[0]; i++) {
        ask_with(legal[i]);
        ck_assert_msg(code == MCP_OK && heard.end == CALL_NEED_INPUT, "%s", legal[i]);
        ck_assert_str_eq(heard.text, "state 1");
    }
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        ask_with(broken[i]);
        ck_assert_msg(code == MCP_EINVAL && heard.end == CALL_BROKEN, "%s", broken[i]);
    }
}
END_TEST

static int32_t codes[3];

static void run_ends_twice(struct fake_provider *f, struct mcp_call *call)
{
    (void)f;
    codes[0] = call->ops->finish_text(call, MCP_STR("first"));
    codes[1] = call->ops->finish_failure(call, MCP_STR("second"));
    codes[2] = call->ops->progress(call, 1, 2, MCP_STR(""));
}

START_TEST(the_second_end_is_refused)
{
    fake->run = run_ends_twice;
    start("inline");
    ck_assert_int_eq(codes[0], MCP_OK);
    ck_assert_int_eq(codes[1], MCP_EINVAL);
    ck_assert_int_eq(codes[2], MCP_EINVAL);
    ck_assert_int_eq(heard.finished, 1);
    ck_assert_str_eq(heard.text, "first");
    ck_assert_int_eq(heard.released, 1);
}
END_TEST

static void run_keep(struct fake_provider *f, struct mcp_call *call)
{
    (void)f;
    __atomic_store_n(&kept, call, __ATOMIC_RELEASE);
}

static void run_keep_and_end(struct fake_provider *f, struct mcp_call *call)
{
    run_keep(f, call);
    run_echo_name(f, call);
}

static struct mcp_call *wait_kept(void)
{
    struct mcp_call *call;
    while ((call = __atomic_load_n(&kept, __ATOMIC_ACQUIRE)) == NULL)
        sleep_ms(1);
    return call;
}

START_TEST(a_late_second_end_hits_no_other_call)
{
    fake->run = run_keep_and_end;
    start("inline");
    struct mcp_call *gone = wait_kept();
    fake->run = run_keep;
    struct heard other;
    heard_init(&other);
    struct call *call = fake_tool_call(registry, "inline", &other, NULL, NULL);
    call_start(call);
    ck_assert_int_eq(gone->ops->finish_text(gone, MCP_STR("late")), MCP_EINVAL);
    ck_assert(is_logged("files/inline: the plugin has ended a call that had ended before"));
    ck_assert_int_eq(other.finished, 0);
    ck_assert_int_eq(kept->ops->finish_text(kept, MCP_STR("right")), MCP_OK);
    ck_assert_str_eq(other.text, "right");
    call_unref(call);
    heard_free(&other);
}
END_TEST

static void *end_later(void *argument)
{
    struct mcp_call *call = argument;
    sleep_ms(10);
    call->ops->finish_text(call, MCP_STR("later"));
    return NULL;
}

static pthread_t later;

static void run_later(struct fake_provider *f, struct mcp_call *call)
{
    (void)f;
    pthread_create(&later, NULL, end_later, call);
}

START_TEST(a_call_may_end_after_call_tool_has_returned)
{
    fake->run = run_later;
    start("inline");
    ck_assert(heard_finished(&heard));
    pthread_join(later, NULL);
    ck_assert(heard_released(&heard));
    ck_assert_str_eq(heard.text, "later");
    ck_assert_uint_eq(provider_inside(&fake->provider), 0);
}
END_TEST

static void run_refused(struct fake_provider *f, struct mcp_call *call)
{
    (void)f;
    call_end_broken(call_from_abi(call), "did not take the call (%d)", -2);
    call_end_broken(call_from_abi(call), "again");
}

START_TEST(a_link_can_end_a_call)
{
    fake->run = run_refused;
    start("worker");
    ck_assert(heard_finished(&heard));
    ck_assert(heard_released(&heard));
    ck_assert_int_eq(heard.end, CALL_BROKEN);
    ck_assert_str_eq(heard.text, "files/worker: did not take the call (-2)");
}
END_TEST

START_TEST(a_retired_provider_takes_no_call)
{
    provider_retire(&fake->provider);
    ck_assert_ptr_null(fake_tool_call(registry, "inline", &heard, NULL, NULL));
    ck_assert_int_eq(heard.released, 0);
}
END_TEST

/* ---- on the way ---- */

static void run_arguments(struct fake_provider *f, struct mcp_call *call)
{
    static const struct {
        const char *pointer;
        int32_t code, kind;
        const char *value;
    } wanted[] = {
        {"/path", MCP_OK, MCP_JSON_STRING, "a\"b"},
        {"/plain", MCP_OK, MCP_JSON_STRING, "x"},
        {"/list", MCP_OK, MCP_JSON_ARRAY, "[1, 2]"},
        {"/list/1", MCP_OK, MCP_JSON_NUMBER, "2"},
        {"/yes", MCP_OK, MCP_JSON_TRUE, "true"},
        {"/none", MCP_OK, MCP_JSON_NULL, "null"},
        {"/absent", MCP_ENOENT, 0, NULL},
        {"path", MCP_ENOENT, 0, NULL},
    };
    int32_t kind;
    struct mcp_bytes value;
    (void)f;
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        ck_assert_int_eq(call->ops->argument(call, wanted[i].pointer, &kind, &value),
                         wanted[i].code);
        if (wanted[i].value == NULL)
            continue;
        ck_assert_int_eq(kind, wanted[i].kind);
        ck_assert_uint_eq(value.size, strlen(wanted[i].value));
        ck_assert_mem_eq(value.data, wanted[i].value, value.size);
    }
    ck_assert_int_eq(call->ops->argument(call, NULL, &kind, &value), MCP_EINVAL);
    ck_assert_int_eq((int)call->tag, 7);
    run_echo_name(f, call);
}

static void run_no_arguments(struct fake_provider *f, struct mcp_call *call)
{
    int32_t kind;
    struct mcp_bytes value;
    ck_assert_int_eq(call->ops->argument(call, "", &kind, &value), MCP_OK);
    ck_assert_int_eq(kind, MCP_JSON_OBJECT);
    ck_assert_int_eq(call->ops->argument(call, "/x", &kind, &value), MCP_ENOENT);
    ck_assert_uint_eq(call->arguments.size, 2);
    run_echo_name(f, call);
}

START_TEST(arguments_are_read_by_pointer)
{
    struct arena arena;
    struct json json;
    arena_init(&arena, 1u << 20);
    ck_assert(json_parse(&json,
                         BYTES("{\"path\":\"a\\\"b\",\"plain\":\"x\",\"list\":[1, 2],"
                               "\"yes\":true,\"none\":null}"),
                         &json_default_limits, &arena, NULL));
    fake->run = run_arguments;
    struct call *call = fake_tool_call(registry, "inline", &heard, &json, NULL);
    call_start(call);
    call_unref(call);
    ck_assert_int_eq(heard.finished, 1);
    arena_free(&arena);
    heard.finished = 0;
    fake->run = run_no_arguments;
    start("inline");
    ck_assert_int_eq(heard.finished, 1);
}
END_TEST

static void run_reports(struct fake_provider *f, struct mcp_call *call)
{
    codes[0] = call->ops->progress(call, 1, 2, MCP_STR("half"));
    codes[1] = call->ops->log(call, MCP_LOG_WARNING, MCP_STR("{\"a\":1}"));
    codes[2] = call->ops->log(call, MCP_LOG_DEBUG, MCP_STR("1"));
    if (f->context != NULL) {
        double zero = 0;
        ck_assert_int_eq(call->ops->progress(call, 1 / zero, 0, MCP_STR("")), MCP_EINVAL);
        ck_assert_int_eq(call->ops->progress(call, 1, 0, MCP_STR("\xff")), MCP_EINVAL);
        ck_assert_int_eq(call->ops->log(call, MCP_LOG_ERROR, MCP_STR("{")), MCP_EINVAL);
        ck_assert_int_eq(call->ops->log(call, 8, MCP_STR("1")), MCP_EINVAL);
    }
    run_echo_name(f, call);
}

static void wants_reports(struct call_request *request)
{
    request->wants_progress = true;
    request->log_level = MCP_LOG_INFO;
}

START_TEST(reports_reach_only_who_wants_them)
{
    fake->run = run_reports;
    start("inline");
    ck_assert_int_eq(codes[0], MCP_OK);
    ck_assert_int_eq(codes[1], MCP_OK);
    ck_assert_int_eq(heard.progress + heard.log, 0);

    fake->context = &heard;
    heard.finished = 0;
    struct call *call = fake_tool_call(registry, "inline", &heard, NULL, wants_reports);
    call_start(call);
    call_unref(call);
    ck_assert_int_eq(heard.progress, 1);
    ck_assert_int_eq(heard.log, 1); /* debug is less urgent than what it wants */
    ck_assert_int_eq(heard.last_level, MCP_LOG_WARNING);
    ck_assert_str_eq(heard.json, "");
    ck_assert_int_eq(heard.finished, 1);
}
END_TEST

/* ---- cancelling ---- */

START_TEST(cancelling_reaches_the_plugin)
{
    fake->run = run_keep;
    struct call *call = fake_tool_call(registry, "worker", &heard, NULL, NULL);
    call_start(call);
    struct mcp_call *abi = wait_kept();
    int fd = abi->ops->cancel_fd(abi);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(abi->ops->cancel_fd(abi), fd);
    struct pollfd pfd = {.fd = fd, .events = POLLIN};
    ck_assert_int_eq(abi->ops->is_cancelled(abi), 0);
    ck_assert_int_eq(poll(&pfd, 1, 0), 0);
    call_cancel(call);
    call_cancel(call);
    ck_assert_int_eq(abi->ops->is_cancelled(abi), 1);
    ck_assert_int_eq(poll(&pfd, 1, 0), 1);
    ck_assert_int_eq(heard.finished, 0); /* it is still the plugin's to end */
    ck_assert_int_eq(abi->ops->progress(abi, 1, 0, MCP_STR("")), MCP_ECANCELLED);
    ck_assert_int_eq(abi->ops->log(abi, MCP_LOG_ERROR, MCP_STR("1")), MCP_ECANCELLED);
    ck_assert_int_eq(abi->ops->finish_failure(abi, MCP_STR("stopped")), MCP_ECANCELLED);
    ck_assert(heard_finished(&heard));
    call_unref(call);
    ck_assert(heard_released(&heard));
    ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
}
END_TEST

START_TEST(who_is_interrupted_is_still_waited_for)
{
    fake->run = run_keep;
    struct call *call = fake_tool_call(registry, "worker", &heard, NULL, NULL);
    call_start(call);
    struct mcp_call *abi = wait_kept();
    call_interrupt(call);
    ck_assert_int_eq(abi->ops->is_cancelled(abi), 1);
    ck_assert_int_eq(abi->ops->progress(abi, 1, 0, MCP_STR("")), MCP_OK);
    ck_assert_int_eq(abi->ops->finish_text(abi, MCP_STR("half of it")), MCP_OK);
    ck_assert(heard_finished(&heard));
    ck_assert_str_eq(heard.text, "half of it");
    call_unref(call);
    ck_assert(heard_released(&heard));
}
END_TEST

static atomic_bool in_callback, leave_callback;

static void count_cancel(void *data)
{
    ck_assert_ptr_eq(data, &cancelled);
    atomic_fetch_add(&cancelled, 1);
}

static void slow_cancel(void *data)
{
    (void)data;
    atomic_store(&in_callback, true);
    while (!atomic_load(&leave_callback))
        sleep_ms(1);
    atomic_store(&in_callback, false);
}

START_TEST(on_cancel_is_called_once)
{
    fake->run = run_keep;
    struct call *call = fake_tool_call(registry, "worker", &heard, NULL, NULL);
    call_start(call);
    struct mcp_call *abi = wait_kept();
    ck_assert_int_eq(abi->ops->on_cancel(abi, count_cancel, &cancelled), MCP_OK);
    ck_assert_int_eq(abi->ops->on_cancel(abi, NULL, NULL), MCP_OK);
    ck_assert_int_eq(abi->ops->on_cancel(abi, count_cancel, &cancelled), MCP_OK);
    call_cancel(call);
    call_cancel(call);
    for (int i = 0; i < 5000 && atomic_load(&cancelled) == 0; i++)
        sleep_ms(1); /* on a thread for that */
    ck_assert_int_eq(cancelled, 1);
    /* Set when it is cancelled already: runs before the function returns. */
    ck_assert_int_eq(abi->ops->on_cancel(abi, count_cancel, &cancelled), MCP_OK);
    ck_assert_int_eq(cancelled, 2);
    abi->ops->finish_failure(abi, MCP_STR(""));
    call_unref(call);
    ck_assert(heard_released(&heard));
}
END_TEST

static void *cancel_it(void *argument)
{
    call_cancel(argument);
    return NULL;
}

static void *finish_it(void *argument)
{
    struct mcp_call *abi = argument;
    abi->ops->finish_text(abi, MCP_STR("done"));
    ck_assert(!atomic_load(&in_callback)); /* finish returns when the callback has */
    return NULL;
}

START_TEST(finishing_waits_for_a_running_callback)
{
    pthread_t canceller, finisher;
    fake->run = run_keep;
    struct call *call = fake_tool_call(registry, "worker", &heard, NULL, NULL);
    call_start(call);
    struct mcp_call *abi = wait_kept();
    abi->ops->on_cancel(abi, slow_cancel, NULL);
    pthread_create(&canceller, NULL, cancel_it, call);
    while (!atomic_load(&in_callback))
        sleep_ms(1);
    pthread_create(&finisher, NULL, finish_it, abi);
    sleep_ms(20);
    ck_assert_int_eq(heard.finished, 0);
    atomic_store(&leave_callback, true);
    pthread_join(canceller, NULL);
    pthread_join(finisher, NULL);
    ck_assert(heard_finished(&heard));
    call_unref(call);
    ck_assert(heard_released(&heard));
}
END_TEST

static void cancel_in_event(struct call *call)
{
    call_cancel(call);
}

static void run_progress(struct fake_provider *f, struct mcp_call *call)
{
    (void)f;
    codes[0] = call->ops->progress(call, 1, 2, MCP_STR(""));
    codes[1] = call->ops->is_cancelled(call);
    codes[2] = call->ops->finish_text(call, MCP_STR(""));
}

START_TEST(a_call_may_be_cancelled_inside_its_event)
{
    fake->run = run_progress;
    heard.on_progress = cancel_in_event;
    struct call *call = fake_tool_call(registry, "worker", &heard, NULL, wants_reports);
    call_start(call);
    call_unref(call);
    ck_assert(heard_released(&heard));
    ck_assert_int_eq(codes[0], MCP_OK);
    ck_assert_int_eq(codes[1], 1);
    ck_assert_int_eq(codes[2], MCP_ECANCELLED);
    ck_assert_int_eq(heard.progress, 1);
    ck_assert_int_eq(heard.finished, 1);
}
END_TEST

/* ---- deadlines ---- */

START_TEST(a_call_that_overruns_is_cancelled_then_answered)
{
    fake->run = run_keep;
    int64_t began = clock_now();
    struct call *call = fake_tool_call(registry, "short", &heard, NULL, wants_reports);
    call_start(call);
    struct mcp_call *abi = wait_kept();
    ck_assert_int_gt(abi->deadline_ns, began);
    ck_assert_int_le(abi->deadline_ns, began + 500 * NS_PER_MS);
    ck_assert(heard_finished(&heard));
    int64_t took = clock_now() - began;
    ck_assert_int_ge(took, 640 * NS_PER_MS); /* 400 and a quarter of a second */
    ck_assert_int_lt(took, 10000 * NS_PER_MS);
    ck_assert_int_eq(heard.end, CALL_TIMEOUT);
    ck_assert_str_eq(heard.text, "files/short did not finish within 400 ms");
    ck_assert_int_eq(abi->ops->is_cancelled(abi), 1);
    /* It is inside until the plugin ends it. */
    ck_assert_uint_eq(provider_inside(&fake->provider), 1);
    ck_assert_int_eq(heard.released, 0);
    ck_assert_int_eq(abi->ops->progress(abi, 1, 0, MCP_STR("")), MCP_ECANCELLED);
    ck_assert_int_eq(abi->ops->log(abi, MCP_LOG_ERROR, MCP_STR("1")), MCP_ECANCELLED);
    ck_assert_int_eq(abi->ops->finish_text(abi, MCP_STR("late")), MCP_ECANCELLED);
    call_unref(call);
    ck_assert(heard_released(&heard));
    ck_assert_int_eq(heard.progress + heard.log, 0);
    ck_assert_int_eq(heard.finished, 1);
}
END_TEST

static void fail_when_cancelled(struct fake_provider *f, struct mcp_call *call)
{
    struct pollfd pfd = {.fd = call->ops->cancel_fd(call), .events = POLLIN};
    poll(&pfd, 1, 5000);
    code = call->ops->finish_failure(call, MCP_STR("interrupted"));
    (void)f;
}

START_TEST(a_failure_after_the_deadline_is_a_timeout)
{
    fake->run = fail_when_cancelled;
    start("short");
    ck_assert(heard_finished(&heard));
    ck_assert_int_eq(heard.end, CALL_TIMEOUT);
    ck_assert_str_eq(heard.text, "files/short did not finish within 400 ms (it said: interrupted)");
    ck_assert(heard_released(&heard));
}
END_TEST

START_TEST(an_inline_call_that_goes_on_is_watched)
{
    fake->run = run_keep;
    start("short_inline");
    ck_assert_int_eq(heard.finished, 0);
    ck_assert(heard_finished(&heard));
    ck_assert_int_eq(heard.end, CALL_TIMEOUT);
    kept->ops->finish_text(kept, MCP_STR("late"));
    ck_assert(heard_released(&heard));
}
END_TEST

static void short_time(struct call_request *request)
{
    request->max_time_ms = 250;
}

/* ---- functions that block ---- */

static void run_block(struct fake_provider *f, struct mcp_call *call)
{
    (void)f;
    call->ops->on_cancel(call, slow_cancel, NULL);
    while (atomic_load(&in_callback) || !atomic_load(&leave_callback))
        sleep_ms(1);
    call->ops->finish_text(call, MCP_STR("late"));
}

static void run_until_told(struct fake_provider *f, struct mcp_call *call)
{
    (void)f;
    call->ops->on_cancel(call, count_cancel, &cancelled);
    while (atomic_load(&cancelled) == 0)
        sleep_ms(1);
    call->ops->finish_failure(call, MCP_STR("told"));
}

START_TEST(an_on_cancel_that_blocks_holds_up_no_other_call)
{
    static struct heard behind, beside;
    struct error err;
    struct fake_provider *other = fake_new("other", "", 2);
    fake_add(other, "other", MCP_TOOL_THREAD_SAFE, 400, 0);
    struct provider *providers[] = {&fake->provider, &other->provider};
    ck_assert(registry_publish(registry, providers, 2, &err));
    heard_init(&behind);
    heard_init(&beside);
    atomic_store(&leave_callback, false);
    fake->run = run_block;
    other->run = run_until_told;
    start("short");
    for (int i = 0; i < 5000 && !atomic_load(&in_callback); i++)
        sleep_ms(1);
    ck_assert(atomic_load(&in_callback));
    struct call *call = fake_tool_call(registry, "short", &behind, NULL, NULL);
    call_start(call);
    call_unref(call);
    call = fake_tool_call(registry, "other", &beside, NULL, NULL);
    call_start(call);
    call_unref(call);
    /* Its own call, one of the same provider, and one of another, whose function is called. */
    ck_assert(heard_finished(&heard));
    ck_assert_int_eq(heard.end, CALL_TIMEOUT);
    ck_assert(heard_finished(&behind));
    ck_assert_int_eq(behind.end, CALL_TIMEOUT);
    ck_assert(heard_finished(&beside));
    ck_assert_str_eq(beside.text, "other/other did not finish within 400 ms (it said: told)");
    ck_assert(atomic_load(&in_callback));
    ck_assert(is_logged("files/short: its on_cancel function does not return"));
    atomic_store(&leave_callback, true);
    ck_assert(heard_released(&heard));
    ck_assert(heard_released(&behind));
    ck_assert(heard_released(&beside));
    ck_assert(is_logged("files/short: its on_cancel function has returned after"));
    heard_free(&behind);
    heard_free(&beside);
    provider_retire(&other->provider);
    ck_assert(drained(&other->provider, in_ms(5000)));
    registry_publish(registry, providers, 1, &err);
    provider_unref(&other->provider);
}
END_TEST

START_TEST(the_shorter_limit_counts)
{
    fake->run = fail_when_cancelled;
    struct call *call = fake_tool_call(registry, "short", &heard, NULL, short_time);
    call_start(call);
    call_unref(call);
    ck_assert(heard_finished(&heard));
    ck_assert_str_eq(heard.text, "files/short did not finish within 250 ms (it said: interrupted)");
    ck_assert(heard_released(&heard));
}
END_TEST

/* ---- many at once ---- */

#define RACERS 400

static atomic_int left;

static void *racing_end(void *argument)
{
    struct mcp_call *call = argument;
    call->ops->finish_text(call, MCP_STR("end"));
    return NULL;
}

static void run_race(struct fake_provider *f, struct mcp_call *call)
{
    pthread_t thread;
    (void)f;
    call->ops->on_cancel(call, count_cancel, &cancelled);
    if (pthread_create(&thread, NULL, racing_end, call) == 0)
        pthread_detach(thread);
    else
        racing_end(call);
    atomic_fetch_sub(&left, 1);
}

START_TEST(ends_and_cancels_race)
{
    static struct heard many[RACERS];
    fake->run = run_race;
    for (int i = 0; i < RACERS; i++) {
        heard_init(&many[i]);
        struct call *call =
            fake_tool_call(registry, i % 2 != 0 ? "inline" : "worker", &many[i], NULL, NULL);
        call_start(call);
        if (i % 3 == 0)
            call_cancel(call);
        call_unref(call);
        ck_assert(heard_released(&many[i]));
        ck_assert_int_eq(many[i].finished, 1);
        heard_free(&many[i]);
    }
}
END_TEST

int main(void)
{
    if (!crypto_init())
        return 1;
    setenv("CK_FORK", "no", 0);
    log_set_sink(note_line);
    Suite *suite = suite_create("call");
    suite_add(suite,
              &(struct suite_case){
                  "call", set_up, tear_down, 60,
                  SUITE_TESTS(inline_call_ends_on_this_thread, worker_call_ends_on_another_thread,
                              json_ends_carry_their_index, illegal_ends_tell_the_rule,
                              a_missing_capability_is_named, bytes_are_somewhere,
                              results_are_limited, need_input_needs_a_client_that_can_be_asked,
                              what_a_client_carries_is_limited, requests_have_a_form,
                              the_second_end_is_refused, a_late_second_end_hits_no_other_call,
                              a_call_may_end_after_call_tool_has_returned, a_link_can_end_a_call,
                              a_retired_provider_takes_no_call, arguments_are_read_by_pointer,
                              reports_reach_only_who_wants_them, cancelling_reaches_the_plugin,
                              who_is_interrupted_is_still_waited_for, on_cancel_is_called_once,
                              finishing_waits_for_a_running_callback,
                              a_call_may_be_cancelled_inside_its_event,
                              a_call_that_overruns_is_cancelled_then_answered,
                              a_failure_after_the_deadline_is_a_timeout,
                              an_inline_call_that_goes_on_is_watched,
                              an_on_cancel_that_blocks_holds_up_no_other_call,
                              the_shorter_limit_counts, ends_and_cancels_race)});
    return suite_run(suite);
}
