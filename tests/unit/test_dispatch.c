/* SPDX-License-Identifier: MIT */
/* Workers, their bounded queue, gates, and what reaches calls that wait. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "fake_provider.h"
#include "suite.h"

#define WORKERS 4
#define QUEUE 8
#define MANY 64

static struct registry *registry;
static struct fake_provider *fake, *other;
static struct heard heard[MANY];
static atomic_bool open_door; /* run_wait returns when it is set */

static void run_wait(struct fake_provider *f, struct mcp_call *call)
{
    while (!atomic_load(&open_door) && call->ops->is_cancelled(call) == 0)
        sleep_ms(1);
    run_echo_name(f, call);
}

static void run_briefly(struct fake_provider *f, struct mcp_call *call)
{
    sleep_ms(2);
    run_echo_name(f, call);
}

static void set_up(void)
{
    struct error err;
    ck_assert(dispatch_start(WORKERS, QUEUE, &err));
    registry = registry_new();
    fake = fake_new("files", "", 1);
    fake_add(fake, "serial", 0, 0, 0);
    fake_add(fake, "serial2", 0, 0, 0);
    fake_add(fake, "parallel", MCP_TOOL_THREAD_SAFE, 0, 0);
    fake_add(fake, "pair", MCP_TOOL_THREAD_SAFE, 0, 2);
    fake_add(fake, "both", 0, 0, 2);
    fake_add(fake, "one_inline", MCP_TOOL_NONBLOCKING, 0, 1);
    fake_add(fake, "hasty", 0, 60, 0);
    other = fake_new("other", "", 2);
    fake_add(other, "other_serial", 0, 0, 0);
    struct provider *providers[] = {&fake->provider, &other->provider};
    ck_assert(registry_publish(registry, providers, 2, &err));
    atomic_store(&open_door, false);
    for (int i = 0; i < MANY; i++)
        heard_init(&heard[i]);
}

static void tear_down(void)
{
    atomic_store(&open_door, true);
    provider_retire(&fake->provider);
    provider_retire(&other->provider);
    ck_assert(drained(&fake->provider, in_ms(5000)));
    ck_assert(drained(&other->provider, in_ms(5000)));
    dispatch_stop(in_ms(5000));
    for (int i = 0; i < MANY; i++)
        heard_free(&heard[i]);
    provider_unref(&fake->provider);
    provider_unref(&other->provider);
    registry_free(registry);
}

static struct call *start(const char *tool, int number)
{
    struct call *call = fake_tool_call(registry, tool, &heard[number], NULL, NULL);
    ck_assert_ptr_nonnull(call);
    call_start(call);
    return call;
}

static void start_some(const char *tool, int from, int to)
{
    for (int i = from; i < to; i++)
        call_unref(start(tool, i));
}

static void all_finished(int from, int to, enum call_end end)
{
    for (int i = from; i < to; i++) {
        ck_assert(heard_finished(&heard[i]));
        ck_assert_msg(heard[i].end == end, "call %d ended as %d: %s", i, heard[i].end,
                      heard[i].text);
    }
}

static void all_released(int from, int to)
{
    for (int i = from; i < to; i++)
        ck_assert(heard_released(&heard[i]));
}

static void wait_running(struct fake_provider *f, unsigned count)
{
    for (int i = 0; i < 2000 && atomic_load(&f->running) != count; i++)
        sleep_ms(1);
    ck_assert_uint_eq(atomic_load(&f->running), count);
}

/* ---- workers ---- */

START_TEST(workers_start_when_there_is_work)
{
    struct dispatch_stats stats;
    dispatch_stats(&stats);
    ck_assert_uint_eq(stats.workers, 1);
    fake->run = run_wait;
    start_some("parallel", 0, 3);
    wait_running(fake, 3);
    dispatch_stats(&stats);
    ck_assert_uint_eq(stats.workers, 3);
    ck_assert_uint_eq(stats.busy, 3);
    atomic_store(&open_door, true);
    all_finished(0, 3, CALL_TEXT);
    all_released(0, 3);
}
END_TEST

START_TEST(a_full_queue_refuses_at_once)
{
    struct dispatch_stats stats;
    fake->run = run_wait;
    start_some("parallel", 0, WORKERS + QUEUE);
    wait_running(fake, WORKERS);
    dispatch_stats(&stats);
    ck_assert_uint_eq(stats.queued, QUEUE);
    call_unref(start("parallel", 20));
    ck_assert_int_eq(heard[20].finished, 1); /* already */
    ck_assert_int_eq(heard[20].end, CALL_BUSY);
    ck_assert_str_eq(heard[20].text, "files/parallel was not started: 8 calls are waiting, as many "
                                     "as may (calls.queue); try again later");
    ck_assert_int_eq(heard[20].released, 1);
    dispatch_stats(&stats);
    ck_assert_uint_eq(stats.refused, 1);
    atomic_store(&open_door, true);
    all_finished(0, WORKERS + QUEUE, CALL_TEXT);
    all_released(0, WORKERS + QUEUE);
    ck_assert_uint_eq(atomic_load(&fake->most_running), WORKERS);
}
END_TEST

START_TEST(waiting_at_a_gate_counts_against_the_queue)
{
    fake->run = run_wait;
    start_some("serial", 0, 1 + QUEUE);
    wait_running(fake, 1);
    call_unref(start("serial", 20));
    ck_assert_int_eq(heard[20].end, CALL_BUSY);
    /* Three workers are free, but a call of this gate may not wait: one of
     * another provider may still run. */
    other->run = run_wait;
    call_unref(start("other_serial", 21));
    wait_running(other, 1);
    atomic_store(&open_door, true);
    all_finished(0, 1 + QUEUE, CALL_TEXT);
    all_released(0, 1 + QUEUE);
    all_released(21, 22);
}
END_TEST

START_TEST(a_queue_of_none_still_uses_free_workers)
{
    struct error err;
    dispatch_stop(in_ms(5000));
    ck_assert(dispatch_start(2, 0, &err));
    fake->run = run_wait;
    start_some("parallel", 0, 2);
    call_unref(start("parallel", 2));
    ck_assert_int_eq(heard[2].end, CALL_BUSY);
    /* Those that a worker is on its way to do not wait. */
    ck_assert_ptr_nonnull(strstr(heard[2].text, ": 0 calls are waiting,"));
    atomic_store(&open_door, true);
    all_finished(0, 2, CALL_TEXT);
    all_released(0, 2);
}
END_TEST

static char order[MANY + 1];
static atomic_uint order_size;

static void run_note(struct fake_provider *f, struct mcp_call *call)
{
    order[atomic_fetch_add(&order_size, 1)] = call->name.data[call->name.size - 1];
    run_briefly(f, call);
}

START_TEST(a_gate_is_first_come_first_served)
{
    atomic_store(&order_size, 0);
    fake->run = run_note;
    for (int i = 0; i < 8; i++)
        call_unref(start(i % 2 != 0 ? "serial2" : "serial", i));
    all_finished(0, 8, CALL_TEXT);
    all_released(0, 8);
    order[8] = '\0';
    ck_assert_str_eq(order, "l2l2l2l2");
}
END_TEST

/* ---- gates ---- */

START_TEST(tools_that_are_not_thread_safe_run_alone)
{
    fake->run = other->run = run_wait;
    start_some("serial", 0, 2);
    start_some("serial2", 2, 4);
    start_some("other_serial", 4, 5);
    wait_running(other, 1);
    wait_running(fake, 1);
    sleep_ms(20);
    ck_assert_uint_eq(atomic_load(&fake->running), 1);
    atomic_store(&open_door, true);
    all_finished(0, 5, CALL_TEXT);
    all_released(0, 5);
    ck_assert_uint_eq(atomic_load(&fake->most_running), 1);
}
END_TEST

static struct mcp_call *kept[MANY];
static atomic_uint kept_count;

/* call_tool returns, the call goes on. */
static void run_keep(struct fake_provider *f, struct mcp_call *call)
{
    (void)f;
    unsigned place = atomic_fetch_add(&kept_count, 1);
    __atomic_store_n(&kept[place], call, __ATOMIC_RELEASE);
}

static struct mcp_call *wait_kept(unsigned place)
{
    struct mcp_call *call;
    for (int i = 0; i < 5000; i++) {
        if ((call = __atomic_load_n(&kept[place], __ATOMIC_ACQUIRE)) != NULL)
            return call;
        sleep_ms(1);
    }
    ck_abort_msg("call %u did not begin", place);
}

static void forget_kept(void)
{
    memset(kept, 0, sizeof(kept));
    atomic_store(&kept_count, 0);
}

static void end_kept(unsigned place)
{
    struct mcp_call *call = wait_kept(place);
    call->ops->finish_text(call, MCP_STR("done"));
}

START_TEST(the_providers_gate_opens_when_call_tool_returns)
{
    forget_kept();
    fake->run = run_keep;
    start_some("serial", 0, 3);
    wait_kept(2); /* all three have begun though none has ended */
    ck_assert_uint_eq(atomic_load(&fake->most_running), 1);
    for (unsigned i = 0; i < 3; i++)
        end_kept(i);
    all_released(0, 3);
}
END_TEST

START_TEST(a_tools_gate_opens_when_the_call_ends)
{
    forget_kept();
    fake->run = run_keep;
    start_some("pair", 0, 4);
    wait_kept(1);
    sleep_ms(20);
    ck_assert_uint_eq(atomic_load(&kept_count), 2);
    end_kept(0);
    wait_kept(2);
    sleep_ms(20);
    ck_assert_uint_eq(atomic_load(&kept_count), 3);
    end_kept(1);
    end_kept(2);
    end_kept(3);
    all_released(0, 4);
}
END_TEST

START_TEST(a_tool_can_have_both_gates)
{
    forget_kept();
    fake->run = run_keep;
    start_some("both", 0, 3);
    start_some("serial", 3, 4);
    wait_kept(2); /* two of "both", and "serial" */
    sleep_ms(20);
    ck_assert_uint_eq(atomic_load(&kept_count), 3);
    ck_assert_uint_eq(atomic_load(&fake->most_running), 1);
    for (unsigned i = 0; i < 4; i++)
        end_kept(i);
    all_released(0, 4);
}
END_TEST

START_TEST(an_inline_tool_with_a_full_gate_runs_later)
{
    forget_kept();
    fake->run = run_keep;
    start_some("one_inline", 0, 2);
    ck_assert_uint_eq(atomic_load(&kept_count), 1); /* the first, on this thread */
    end_kept(0);
    ck_assert_int_eq(heard[0].finished, 1);
    end_kept(1); /* on a worker */
    all_released(0, 2);
}
END_TEST

START_TEST(gates_outlive_a_publish_of_the_same_generation)
{
    struct error err;
    struct provider *providers[] = {&fake->provider, &other->provider};
    fake->run = run_wait;
    start_some("serial", 0, 1);
    wait_running(fake, 1);
    ck_assert(registry_publish(registry, providers, 2, &err));
    start_some("serial", 1, 2);
    start_some("pair", 2, 3);
    wait_running(fake, 2);
    sleep_ms(20);
    ck_assert_uint_eq(atomic_load(&fake->running), 2);
    atomic_store(&open_door, true);
    all_released(0, 3);
}
END_TEST

/* ---- calls that wait ---- */

START_TEST(a_cancelled_call_that_waits_never_enters)
{
    fake->run = run_wait;
    call_unref(start("serial", 0));
    wait_running(fake, 1);
    struct call *second = start("serial", 1);
    call_cancel(second);
    ck_assert_int_eq(heard[1].finished, 1);
    ck_assert_int_eq(heard[1].end, CALL_TIMEOUT);
    call_unref(second);
    ck_assert_int_eq(heard[1].released, 1);
    atomic_store(&open_door, true);
    all_released(0, 1);
    ck_assert_uint_eq(atomic_load(&fake->calls), 1);
}
END_TEST

START_TEST(a_cancelled_call_gives_back_the_gates_it_has_passed)
{
    fake->run = run_wait;
    call_unref(start("serial", 0));
    wait_running(fake, 1);
    struct call *a = start("both", 1);
    struct call *b = start("both", 2);
    call_cancel(a);
    call_cancel(b);
    call_unref(a);
    call_unref(b);
    start_some("both", 3, 5);
    atomic_store(&open_door, true);
    all_finished(3, 5, CALL_TEXT);
    all_released(0, 5);
}
END_TEST

static _Atomic(struct call *) raced; /* to be cancelled, while it is started */
static atomic_bool race_over;

static void *cancel_raced(void *unused)
{
    (void)unused;
    while (!atomic_load(&race_over)) {
        struct call *call = atomic_load(&raced);
        if (call == NULL)
            continue;
        call_cancel(call);
        atomic_store(&raced, NULL);
    }
    return NULL;
}

START_TEST(cancelling_reaches_a_call_that_begins_to_wait)
{
    enum { ROUNDS = 20000 };
    pthread_t thread;
    int ended = 0;
    forget_kept();
    fake->run = run_keep;
    start_some("one_inline", 0, 1); /* the gate is full */
    atomic_store(&race_over, false);
    pthread_create(&thread, NULL, cancel_raced, NULL);
    for (int i = 0; i < ROUNDS; i++) {
        heard[1].finished = heard[1].released = 0;
        struct call *call = fake_tool_call(registry, "one_inline", &heard[1], NULL, NULL);
        atomic_store(&raced, call);
        call_start(call);
        while (atomic_load(&raced) != NULL)
            continue;
        ended += heard[1].finished;
        call_unref(call);
        if (heard[1].released == 0) /* it waits at the gate still */
            break;
    }
    atomic_store(&race_over, true);
    pthread_join(thread, NULL);
    end_kept(0);
    all_released(0, 2);
    ck_assert_int_eq(ended, ROUNDS);
}
END_TEST

START_TEST(the_deadline_counts_while_waiting)
{
    fake->run = run_wait;
    call_unref(start("serial", 0));
    wait_running(fake, 1);
    int64_t began = clock_now();
    start_some("hasty", 1, 2);
    all_finished(1, 2, CALL_TIMEOUT);
    int64_t took = clock_now() - began;
    ck_assert_int_ge(took, 55 * NS_PER_MS);
    ck_assert_int_lt(took, 250 * NS_PER_MS); /* no time of grace: it had not begun */
    ck_assert_str_eq(heard[1].text, "files/hasty could not begin within 60 ms");
    all_released(1, 2);
    struct dispatch_stats stats;
    dispatch_stats(&stats);
    ck_assert_uint_eq(stats.timed_out, 1);
    atomic_store(&open_door, true);
    all_released(0, 1);
    ck_assert_uint_eq(atomic_load(&fake->calls), 1);
}
END_TEST

START_TEST(all_calls_of_a_provider_can_be_cancelled)
{
    fake->run = other->run = run_wait;
    start_some("serial", 0, 3);
    start_some("other_serial", 3, 4);
    wait_running(fake, 1);
    wait_running(other, 1);
    call_cancel_all(&fake->provider);
    all_released(0, 3);
    ck_assert_uint_eq(atomic_load(&fake->calls), 1);
    ck_assert_int_eq(heard[3].finished, 0);
    atomic_store(&open_door, true);
    all_released(3, 4);
}
END_TEST

START_TEST(stopping_cancels_what_is_left)
{
    struct error err;
    fake->run = run_wait;
    start_some("parallel", 0, WORKERS + 3);
    wait_running(fake, WORKERS);
    dispatch_stop(in_ms(5000));
    for (int i = 0; i < WORKERS + 3; i++) {
        ck_assert_int_eq(heard[i].finished, 1);
        ck_assert_int_eq(heard[i].released, 1);
    }
    call_unref(start("parallel", 20));
    ck_assert_int_eq(heard[20].end, CALL_BUSY);
    ck_assert_ptr_nonnull(strstr(heard[20].text, "shutting down"));
    ck_assert(dispatch_start(WORKERS, QUEUE, &err));
}
END_TEST

START_TEST(workers_that_sleep_are_not_left_behind)
{
    struct error err;
    fake->run = run_briefly;
    for (int i = 0; i < 20; i++) {
        start_some("parallel", 0, 2);
        all_released(0, 2);
        heard_free(&heard[0]);
        heard_free(&heard[1]);
        heard_init(&heard[0]);
        heard_init(&heard[1]);
        dispatch_stop(clock_now()); /* no time at all for calls */
        ck_assert_msg(dispatch_start(WORKERS, QUEUE, &err), "%s", err.text);
    }
}
END_TEST

/* ---- under load ---- */

struct client {
    pthread_t thread;
    struct heard heard;
    int busy, ended;
};

static void *run_client(void *argument)
{
    static const char *const tools[] = {"serial", "parallel",   "pair",
                                        "both",   "one_inline", "other_serial"};
    struct client *client = argument;
    for (int i = 0; i < 300; i++) {
        heard_init(&client->heard);
        struct call *call = fake_tool_call(registry, tools[i % 6], &client->heard, NULL, NULL);
        call_start(call);
        if (i % 7 == 0)
            call_cancel(call);
        call_unref(call);
        if (!heard_released(&client->heard) || client->heard.finished != 1)
            return NULL;
        client->busy += client->heard.end == CALL_BUSY;
        client->ended++;
        heard_free(&client->heard);
    }
    return NULL;
}

START_TEST(many_clients_at_once)
{
    enum { CLIENTS = 12 };
    static struct client clients[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){.busy = 0};
        pthread_create(&clients[i].thread, NULL, run_client, &clients[i]);
    }
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(clients[i].thread, NULL);
        ck_assert_int_eq(clients[i].ended, 300);
    }
    /* A call leaves its provider just after it has been released. */
    for (int i = 0; i < 1000 && provider_inside(&fake->provider) > 0; i++)
        usleep(10000);
    ck_assert_uint_eq(provider_inside(&fake->provider), 0);
    struct dispatch_stats stats;
    dispatch_stats(&stats);
    ck_assert_uint_eq(stats.queued, 0);
}
END_TEST

/* Not a check but a figure: what a hand-over costs when nobody else is there. */
START_TEST(a_hand_over_is_measured)
{
    enum { N = 5000 };
    int64_t began = clock_now();
    for (int i = 0; i < N; i++) {
        heard[0].finished = heard[0].released = 0;
        call_unref(start("parallel", 0));
        ck_assert(heard_released(&heard[0]));
    }
    printf("a call on a worker, waited for: %d ns\n", (int)((clock_now() - began) / N));
}
END_TEST

int main(void)
{
    if (!crypto_init())
        return 1;
    setenv("CK_FORK", "no", 0);
    Suite *suite = suite_create("dispatch");
    suite_add(
        suite,
        &(struct suite_case){
            "dispatch", set_up, tear_down, 120,
            SUITE_TESTS(workers_start_when_there_is_work, a_full_queue_refuses_at_once,
                        waiting_at_a_gate_counts_against_the_queue,
                        a_queue_of_none_still_uses_free_workers, a_gate_is_first_come_first_served,
                        tools_that_are_not_thread_safe_run_alone,
                        the_providers_gate_opens_when_call_tool_returns,
                        a_tools_gate_opens_when_the_call_ends, a_tool_can_have_both_gates,
                        an_inline_tool_with_a_full_gate_runs_later,
                        gates_outlive_a_publish_of_the_same_generation,
                        a_cancelled_call_that_waits_never_enters,
                        a_cancelled_call_gives_back_the_gates_it_has_passed,
                        cancelling_reaches_a_call_that_begins_to_wait,
                        the_deadline_counts_while_waiting, all_calls_of_a_provider_can_be_cancelled,
                        stopping_cancels_what_is_left, workers_that_sleep_are_not_left_behind,
                        many_clients_at_once, a_hand_over_is_measured)});
    return suite_run(suite);
}
