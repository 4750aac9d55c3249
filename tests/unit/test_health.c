/* SPDX-License-Identifier: MIT */
/* Asking providers whether they work, and what is told of it. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "fake_provider.h"
#include "plugin/health.h"
#include "suite.h"

static struct registry *registry;
static struct registry_reader reader;
static struct fake_provider *tea, *pot;
static struct config *config;
static struct health *health;
static atomic_bool open_door; /* run_wait returns when it is set */
static const char *_Atomic failure; /* what run_answer says; NULL: all is well */
static atomic_bool serial_inside,
    together; /* a tool that is not thread-safe runs; a check beside it */

static struct mcp_bytes mcp(const char *text)
{
    return (struct mcp_bytes){text, strlen(text)};
}

static bool is_check(const struct mcp_call *call)
{
    return call->name.size == strlen("health") && memcmp(call->name.data, "health", 6) == 0;
}

static void run_answer(struct fake_provider *fake, struct mcp_call *call)
{
    (void)fake;
    if (is_check(call) && atomic_load(&serial_inside))
        atomic_store(&together, true);
    const char *text = failure;
    if (text == NULL)
        call->ops->finish_text(call, MCP_STR("Hot."));
    else
        call->ops->finish_failure(call, mcp(text));
}

static void run_wait(struct fake_provider *fake, struct mcp_call *call)
{
    (void)fake;
    while (!atomic_load(&open_door))
        sleep_ms(1);
    call->ops->finish_text(call, MCP_STR("Late."));
}

static void publish(struct provider *first, struct provider *second)
{
    struct provider *providers[] = {first, second};
    struct error err;
    ck_assert(registry_publish(registry, providers, second != NULL ? 2 : 1, &err));
}

static void set_up(void)
{
    struct error err;
    ck_assert(dispatch_start(4, 8, &err));
    registry = registry_new();
    tea = fake_new("tea", "", 1);
    pot = fake_new("pot", "", 2);
    fake_add(tea, "serial", 0, 0, 0);
    tea->provider.checks = true;
    tea->run = pot->run = run_answer;
    publish(&tea->provider, &pot->provider);
    config = config_default();
    config->health.interval_ms = 1;
    config->health.timeout_ms = 60;
    health = health_new();
    health_configure(health, config);
    failure = NULL;
    atomic_store(&open_door, false);
    atomic_store(&serial_inside, false);
    atomic_store(&together, false);
}

static void tear_down(void)
{
    atomic_store(&open_door, true);
    health_free(health);
    registry_reader_close(&reader);
    provider_retire(&tea->provider);
    provider_retire(&pot->provider);
    ck_assert(drained(&tea->provider, in_ms(5000)));
    ck_assert(drained(&pot->provider, in_ms(5000)));
    dispatch_stop(in_ms(5000));
    provider_unref(&tea->provider);
    provider_unref(&pot->provider);
    registry_free(registry);
    config_unref(config);
}

static const struct snapshot *snapshot(void)
{
    return registry_read(registry, &reader);
}

static enum health_status told(char out[2048], bool messages)
{
    struct buf text;
    buf_init(&text, 2047);
    enum health_status status = health_write(health, snapshot(), messages, &text);
    ck_assert(!text.failed);
    snprintf(out, 2048, "%.*s", BYTES_FMT(buf_bytes(&text)));
    buf_free(&text);
    return status;
}

/* Asks until it is told so. */
static enum health_status ask_until(const char *part, char out[2048])
{
    enum health_status status = HEALTH_OK;
    for (int i = 0; i < 2500; i++) {
        health_tick(health, snapshot());
        status = told(out, true);
        if (strstr(out, part) != NULL)
            return status;
        sleep_ms(2);
    }
    ck_abort_msg("never %s: %s", part, out);
    return status;
}

START_TEST(an_answer_is_told_with_its_time)
{
    char out[2048];
    told(out, true);
    ck_assert_ptr_nonnull(strstr(out, "\"tea\":{\"status\":\"unknown\",\"message\":"));
    ck_assert_int_eq(ask_until("\"tea\":{\"status\":\"ok\",\"checked\":\"20", out), HEALTH_OK);
    ck_assert_ptr_nonnull(strstr(out, "Z\",\"message\":\"Hot.\"}"));
    ck_assert_ptr_nonnull(strstr(out, "\"pot\":{\"status\":\"unknown\""));
    ck_assert_msg(strncmp(out, "{\"status\":\"ok\",\"version\":\"", 25) == 0, "%s", out);
}
END_TEST

START_TEST(a_failure_is_told_escaped_and_messages_not_to_strangers)
{
    char out[2048];
    failure = "the \"tea\"\nis cold";
    ck_assert_int_eq(ask_until("\"status\":\"failing\"", out), HEALTH_DEGRADED);
    ck_assert_ptr_nonnull(strstr(out, "the \\\"tea\\\"\\nis cold"));
    told(out, false);
    ck_assert_ptr_nonnull(strstr(out, "\"status\":\"failing\",\"checked\":"));
    ck_assert_ptr_null(strstr(out, "message"));
    failure = NULL;
    ck_assert_int_eq(ask_until("\"tea\":{\"status\":\"ok\"", out), HEALTH_OK);
}
END_TEST

START_TEST(when_none_works_it_is_unhealthy)
{
    char out[2048];
    pot->provider.checks = true;
    failure = "no";
    ask_until("\"tea\":{\"status\":\"failing\"", out);
    ck_assert_int_eq(ask_until("\"pot\":{\"status\":\"failing\"", out), HEALTH_UNHEALTHY);
}
END_TEST

START_TEST(a_long_sentence_is_cut_between_characters)
{
    static char words[3001];
    char out[2048];
    for (size_t i = 0; i + 3 <= sizeof(words) - 1; i += 3)
        memcpy(words + i, "\xe2\x82\xac", 3);
    failure = words;
    ask_until("\"status\":\"failing\"", out);
    ck_assert_ptr_nonnull(strstr(out, "\xe2\x82\xac\"}"));
    ck_assert_ptr_null(strstr(out, "\xef\xbf\xbd"));
}
END_TEST

START_TEST(a_check_that_hangs_is_failing_and_never_two_at_once)
{
    char out[2048];
    tea->run = run_wait;
    ask_until("did not finish within 60 ms", out);
    for (int i = 0; i < 100; i++) {
        health_tick(health, snapshot());
        sleep_ms(2);
    }
    ck_assert_uint_eq(atomic_load(&tea->calls), 1);
    ck_assert_uint_eq(atomic_load(&tea->provider.breaker.in_row), 0);
    atomic_store(&open_door, true);
    ask_until("\"tea\":{\"status\":\"ok\"", out);
    ck_assert_uint_eq(atomic_load(&tea->most_running), 1);
}
END_TEST

/* The breaker learns of calls only, and while it is open nobody is asked. */
START_TEST(checks_are_no_business_of_the_breaker)
{
    char out[2048];
    breaker_set_limits(&tea->provider.breaker, 2, 0, 60000);
    provider_call_failed(&tea->provider, "it failed");
    ask_until("\"tea\":{\"status\":\"ok\"", out);
    ck_assert_uint_eq(atomic_load(&tea->provider.breaker.in_row), 1);
    provider_call_failed(&tea->provider, "it failed");
    ck_assert_int_eq(ask_until("\"tea\":{\"status\":\"out of service\"", out), HEALTH_DEGRADED);
    unsigned before = atomic_load(&tea->calls);
    for (int i = 0; i < 20; i++) {
        health_tick(health, snapshot());
        sleep_ms(2);
    }
    ck_assert_uint_eq(atomic_load(&tea->calls), before);
}
END_TEST

static void run_serial(struct fake_provider *fake, struct mcp_call *call)
{
    if (is_check(call)) {
        run_answer(fake, call);
        return;
    }
    atomic_store(&serial_inside, true);
    while (!atomic_load(&open_door))
        sleep_ms(1);
    atomic_store(&serial_inside, false);
    call->ops->finish_text(call, MCP_STR("Done."));
}

START_TEST(a_check_that_is_not_thread_safe_waits_for_the_tool)
{
    struct heard heard;
    char out[2048];
    heard_init(&heard);
    config->health.timeout_ms = 5000;
    tea->run = run_serial;
    struct call *call = fake_tool_call(registry, "serial", &heard, NULL, NULL);
    call_start(call);
    call_unref(call);
    for (int i = 0; i < 2000 && !atomic_load(&serial_inside); i++)
        sleep_ms(1);
    health_tick(health, snapshot());
    sleep_ms(50);
    ck_assert_uint_eq(atomic_load(&tea->calls), 1);
    atomic_store(&open_door, true);
    ask_until("\"tea\":{\"status\":\"ok\"", out);
    ck_assert(!atomic_load(&together));
    ck_assert(heard_finished(&heard));
    ck_assert(heard_released(&heard));
    heard_free(&heard);
}
END_TEST

START_TEST(another_generation_is_asked_anew)
{
    char out[2048];
    ask_until("\"tea\":{\"status\":\"ok\"", out);
    struct fake_provider *next = fake_new("tea", "", 3);
    next->provider.checks = true;
    next->run = run_answer;
    publish(&next->provider, NULL);
    told(out, true);
    ck_assert_ptr_nonnull(strstr(out, "\"tea\":{\"status\":\"unknown\""));
    failure = "other tea";
    ck_assert_int_eq(ask_until("other tea", out), HEALTH_UNHEALTHY);
    publish(&pot->provider, NULL);
    health_tick(health, snapshot());
    provider_retire(&next->provider);
    ck_assert(drained(&next->provider, in_ms(5000)));
    registry_read(registry, &reader);
    provider_unref(&next->provider);
}
END_TEST

START_TEST(stopped_it_cancels_and_asks_nobody)
{
    tea->run = run_wait;
    config->health.timeout_ms = 60000;
    health_tick(health, snapshot());
    for (int i = 0; i < 2000 && atomic_load(&tea->running) == 0; i++)
        sleep_ms(1);
    health_stop(health);
    atomic_store(&open_door, true);
    for (int i = 0; i < 2000 && atomic_load(&tea->running) > 0; i++)
        sleep_ms(1);
    health_tick(health, snapshot());
    sleep_ms(20);
    ck_assert_uint_eq(atomic_load(&tea->calls), 1);
}
END_TEST

START_TEST(asked_directly_it_waits_for_the_answer)
{
    char text[HEALTH_TEXT];
    ck_assert(health_ask(&tea->provider, 5000, text));
    ck_assert_str_eq(text, "Hot.");
    failure = "cold";
    ck_assert(!health_ask(&tea->provider, 5000, text));
    ck_assert_str_eq(text, "cold");
    tea->run = run_wait;
    ck_assert(!health_ask(&tea->provider, 20, text));
    ck_assert_str_eq(text, "tea/health did not finish within 20 ms");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("health");
    suite_add(
        suite,
        &(struct suite_case){
            "health", set_up, tear_down, 30,
            SUITE_TESTS(an_answer_is_told_with_its_time,
                        a_failure_is_told_escaped_and_messages_not_to_strangers,
                        when_none_works_it_is_unhealthy, a_long_sentence_is_cut_between_characters,
                        a_check_that_hangs_is_failing_and_never_two_at_once,
                        checks_are_no_business_of_the_breaker,
                        a_check_that_is_not_thread_safe_waits_for_the_tool,
                        another_generation_is_asked_anew, stopped_it_cancels_and_asks_nobody,
                        asked_directly_it_waits_for_the_answer)});
    return suite_run(suite);
}
