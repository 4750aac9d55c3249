/* SPDX-License-Identifier: MIT */
/* When a breaker opens, what it lets through, when it closes; the clock is the test's. */
#include <check.h>

#include "base/clock.h"
#include "plugin/breaker.h"
#include "suite.h"

static struct breaker breaker;
static uint32_t deaths;

#define AT(ms) ((ms)*NS_PER_MS)

static void setup(void)
{
    breaker_init(&breaker);
    breaker_set_limits(&breaker, 3, 5, 1000);
}

static void teardown(void)
{
    breaker_destroy(&breaker);
}

static void open_at(int64_t now)
{
    ck_assert(!breaker_failed(&breaker, now));
    ck_assert(!breaker_failed(&breaker, now));
    ck_assert(breaker_failed(&breaker, now));
}

START_TEST(nothing_opens_without_limits)
{
    struct breaker none;
    breaker_init(&none);
    for (int i = 0; i < 1000; i++) {
        ck_assert(!breaker_failed(&none, AT(i)));
        ck_assert(!breaker_died(&none, AT(i), &deaths));
    }
    ck_assert_uint_eq(deaths, BREAKER_DEATHS); /* as many as it remembers */
    ck_assert_int_eq(breaker_ask(&none, AT(1000)), BREAKER_ADMITS);
    breaker_destroy(&none);
}
END_TEST

START_TEST(failures_in_a_row_open_it)
{
    ck_assert(!breaker_failed(&breaker, AT(0)));
    ck_assert(!breaker_failed(&breaker, AT(1)));
    ck_assert(!breaker_succeeded(&breaker)); /* it was closed */
    ck_assert(!breaker_failed(&breaker, AT(2)));
    ck_assert(!breaker_failed(&breaker, AT(3)));
    ck_assert_int_eq(breaker_ask(&breaker, AT(3)), BREAKER_ADMITS);
    ck_assert(breaker_failed(&breaker, AT(4)));
    ck_assert(!breaker_is_closed(&breaker));
    ck_assert_int_eq(breaker_ask(&breaker, AT(4)), BREAKER_REFUSES);
    ck_assert(!breaker_failed(&breaker, AT(5))); /* those that were inside */
    ck_assert(!breaker_succeeded(&breaker)); /* proves nothing: it began before */
    ck_assert_int_eq(breaker_ask(&breaker, AT(1003)), BREAKER_REFUSES);
}
END_TEST

START_TEST(one_trial_closes_it)
{
    open_at(AT(0));
    ck_assert_int_eq(breaker_ask(&breaker, AT(1000)), BREAKER_ADMITS_TRIAL);
    ck_assert_int_eq(breaker_ask(&breaker, AT(1000)), BREAKER_REFUSES); /* only one */
    ck_assert(breaker_succeeded(&breaker));
    ck_assert(breaker_is_closed(&breaker));
    ck_assert_int_eq(breaker_ask(&breaker, AT(1001)), BREAKER_ADMITS);
    open_at(AT(2000)); /* and it counts anew */
    ck_assert_int_eq(breaker_next_trial(&breaker), AT(3000));
}
END_TEST

START_TEST(a_trial_that_fails_doubles_the_pause)
{
    int64_t now = AT(0), pause = AT(1000);
    open_at(now);
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(breaker_next_trial(&breaker), now + pause);
        now += pause;
        ck_assert_int_eq(breaker_ask(&breaker, now - 1), BREAKER_REFUSES);
        ck_assert_int_eq(breaker_ask(&breaker, now), BREAKER_ADMITS_TRIAL);
        ck_assert(breaker_failed(&breaker, now));
        pause = pause * 2 < AT(16000) ? pause * 2 : AT(16000);
    }
}
END_TEST

START_TEST(a_trial_that_says_nothing)
{
    open_at(AT(0));
    ck_assert_int_eq(breaker_ask(&breaker, AT(1000)), BREAKER_ADMITS_TRIAL);
    breaker_undecided(&breaker); /* the next call is the trial */
    ck_assert_int_eq(breaker_ask(&breaker, AT(1000)), BREAKER_ADMITS_TRIAL);
    /* Not heard of again: another one after the pause. */
    ck_assert_int_eq(breaker_ask(&breaker, AT(1999)), BREAKER_REFUSES);
    ck_assert_int_eq(breaker_ask(&breaker, AT(2000)), BREAKER_ADMITS_TRIAL);
    ck_assert(breaker_succeeded(&breaker));
    breaker_undecided(&breaker); /* the first one, late: no harm */
    ck_assert(breaker_is_closed(&breaker));
}
END_TEST

START_TEST(deaths_within_a_minute_open_it)
{
    for (int i = 0; i < 20; i++) {
        ck_assert(!breaker_died(&breaker, AT(i * 15000), &deaths));
        ck_assert(!breaker_succeeded(&breaker)); /* calls in between make no difference */
        ck_assert_uint_le(deaths, 4);
    }
    ck_assert(breaker_died(&breaker, AT(19 * 15000), &deaths));
    ck_assert_uint_eq(deaths, 5);
    ck_assert_int_eq(breaker_ask(&breaker, AT(19 * 15000)), BREAKER_REFUSES);
}
END_TEST

START_TEST(a_worker_that_dies_before_its_trial)
{
    for (int i = 0; i < 4; i++)
        ck_assert(!breaker_died(&breaker, AT(0), &deaths));
    ck_assert(breaker_died(&breaker, AT(0), &deaths));
    ck_assert(!breaker_died(&breaker, AT(500), &deaths)); /* one that had been replaced */
    ck_assert_int_eq(breaker_next_trial(&breaker), AT(1000));
    ck_assert(breaker_died(&breaker, AT(1010), &deaths));
    ck_assert_int_eq(breaker_next_trial(&breaker), AT(3010));
    ck_assert_int_eq(breaker_ask(&breaker, AT(3010)), BREAKER_ADMITS_TRIAL);
    ck_assert(breaker_died(&breaker, AT(3020), &deaths)); /* with its trial */
    ck_assert_int_eq(breaker_next_trial(&breaker), AT(7020));
    ck_assert_int_eq(breaker_ask(&breaker, AT(7020)), BREAKER_ADMITS_TRIAL);
    ck_assert(breaker_succeeded(&breaker));
    /* What was before is forgotten. */
    ck_assert(!breaker_died(&breaker, AT(7030), &deaths));
    ck_assert_uint_eq(deaths, 1);
}
END_TEST

START_TEST(it_describes_itself)
{
    char text[BREAKER_TEXT];
    open_at(AT(10000));
    breaker_describe(&breaker, AT(10400), text);
    ck_assert_str_eq(text, "out of service for 1 s, the next trial is in 1 s");
    ck_assert_int_eq(breaker_ask(&breaker, AT(12000)), BREAKER_ADMITS_TRIAL);
    breaker_describe(&breaker, AT(12100), text);
    ck_assert_str_eq(text, "out of service for 3 s, a trial is under way");
    breaker_undecided(&breaker);
    breaker_describe(&breaker, AT(12100), text);
    ck_assert_str_eq(text, "out of service for 3 s, the next trial is in 0 s");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("breaker");
    const struct suite_case all = {
        "all", setup, teardown, 20,
        SUITE_TESTS(nothing_opens_without_limits, failures_in_a_row_open_it, one_trial_closes_it,
                    a_trial_that_fails_doubles_the_pause, a_trial_that_says_nothing,
                    deaths_within_a_minute_open_it, a_worker_that_dies_before_its_trial,
                    it_describes_itself)};
    suite_add(suite, &all);
    return suite_run(suite);
}
