/* SPDX-License-Identifier: MIT */
/* A plugin in a worker process, through provider_ops: it must be all that it is in this
 * process, and its death be the worker's alone. */
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/round.h"
#include "fake_provider.h"
#include "files.h"
#include "plugin/worker_link.h"
#include "samples.h"
#include "suite.h"

static char directory[] = "/tmp/test-worker-XXXXXX";
static char private_directory[64];
static int directory_fd;
static struct registry *registry;
static struct provider *provider;
static struct heard heard;
static atomic_uint changes, updates;
static int fds_before;

static void on_changed(struct provider_owner *owner, struct provider *whose, uint32_t what)
{
    (void)owner, (void)whose, (void)what;
    atomic_fetch_add(&changes, 1);
}

static void on_updated(struct provider_owner *owner, struct bytes uri)
{
    (void)owner, (void)uri;
    atomic_fetch_add(&updates, 1);
}

static struct provider_owner owner = {.changed = on_changed, .updated = on_updated};

static int count_fds(void)
{
    DIR *fds = opendir("/proc/self/fd");
    int count = 0;
    while (readdir(fds) != NULL)
        count++;
    closedir(fds);
    return count;
}

static struct arena texts; /* of calls */

static void setup(void)
{
    struct error err;
    strcpy(directory, "/tmp/test-worker-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(private_directory, sizeof(private_directory), "%s/private", directory);
    directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert(dispatch_start(4, 64, &err));
    registry = registry_new();
    heard_init(&heard);
    arena_init(&texts, (size_t)64 << 20);
    call_set_limits(8u << 20);
    atomic_store(&changes, 0);
    atomic_store(&updates, 0);
    provider = NULL;
    fds_before = 0;
}

/* Nothing of the worker may be left: no child, dead or alive, and no descriptor. */
static void teardown(void)
{
    round_join(NULL);
    if (provider != NULL) {
        provider_retire(provider);
        ck_assert(drained(provider, in_ms(10000)));
        ck_assert(provider->ops->stop(provider));
        provider_unref(provider);
    }
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
    dispatch_stop(in_ms(5000));
    registry_free(registry); /* the last reference to the link */
    if (fds_before != 0)
        ck_assert_int_eq(count_fds(), fds_before);
    heard_free(&heard);
    arena_free(&texts);
    close(directory_fd);
    files_remove(directory);
}

static struct image *open_sample(const char *sample)
{
    static uint64_t generation;
    char name[100];
    struct error err = {.text = ""};
    struct buf content = sample_read(sample);
    snprintf(name, sizeof(name), "%s.so", sample);
    int fd = openat(directory_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    ck_assert_int_eq(write(fd, content.data, content.size), (ssize_t)content.size);
    ck_assert_int_eq(fchmod(fd, 0644), 0);
    close(fd);
    buf_free(&content);
    struct image *image = image_open(directory_fd, name, private_directory, ++generation, &err);
    ck_assert_msg(image != NULL, "%s", err.text);
    return image;
}

static void load_with(const char *sample, const struct config_provider *settings)
{
    struct error err = {.text = ""};
    /* What is opened once for all workers is no loss. */
    struct error ignored;
    struct provider *first =
        worker_link_load(open_sample("bad_create"), "first", NULL, NULL, NULL, &ignored);
    ck_assert_ptr_null(first);
    fds_before = count_fds();
    provider = worker_link_load(open_sample(sample), sample, NULL, settings, &owner, &err);
    ck_assert_msg(provider != NULL, "%s", err.text);
    ck_assert(registry_publish(registry, &provider, 1, &err));
}

static void load(const char *sample)
{
    load_with(sample, NULL);
}

/* Arguments of a call that outlive it. */
static const struct json *arguments(const char *text)
{
    struct json *json = arena_alloc(&texts, sizeof(*json));
    ck_assert_ptr_nonnull(json);
    ck_assert(json_parse(json, bytes_of(text), &json_default_limits, &texts, NULL));
    return json;
}

static struct call *begin(const char *tool, const char *text)
{
    struct call *call =
        fake_tool_call(registry, tool, &heard, text != NULL ? arguments(text) : NULL, NULL);
    ck_assert_ptr_nonnull(call);
    call_start(call);
    return call;
}

static int how_many_finished(void)
{
    pthread_mutex_lock(&heard.mutex);
    int finished = heard.finished;
    pthread_mutex_unlock(&heard.mutex);
    return finished;
}

static void call(const char *tool, const char *text)
{
    heard_free(&heard);
    heard_init(&heard);
    call_unref(begin(tool, text));
    ck_assert(heard_finished(&heard));
    ck_assert(heard_released(&heard));
}

static pid_t worker_pid(void)
{
    int pid = 0;
    call("faults", "{\"kind\":\"tell\"}");
    ck_assert_int_eq(sscanf(heard.text, "pid=%d", &pid), 1);
    return pid;
}

/* ---- what works ---- */

START_TEST(offers_and_calls)
{
    load("echo");
    ck_assert(provider->elsewhere);
    ck_assert_uint_eq(provider->offers->lists[OFFER_TOOL].count, 1);
    for (int i = 0; i < 100; i++) {
        call("echo", "{\"text\":\"Gr\\u00fc\\u00dfe\"}");
        ck_assert_int_eq(heard.end, CALL_TEXT);
        ck_assert_str_eq(heard.text, "Grüße");
    }
    struct error err = {.text = ""};
    struct offers *offers = provider->ops->get_offers(provider, &err);
    ck_assert_msg(offers != NULL, "%s", err.text);
    ck_assert_int_eq(memcmp(offers->hash, provider->offers->hash, sizeof(offers->hash)), 0);
    offers_unref(offers);
}
END_TEST

/* A thread that has rounds sends the calls of each together, at its end. */
START_TEST(calls_of_one_round_go_together)
{
    static struct round round;
    struct call *calls[20];
    int waited_for_the_end = 0;
    load("echo");
    round_join(&round);
    for (int times = 0; times < 10; times++) {
        heard_free(&heard);
        heard_init(&heard);
        for (size_t i = 0; i < 20; i++)
            calls[i] = begin("echo", "{\"text\":\"together\"}");
        sleep_ms(5);
        /* Now and then the link's thread comes round, and sends them before. */
        waited_for_the_end += how_many_finished() == 0;
        round_end(&round);
        for (int waited = 0; how_many_finished() < 20 && waited < 5000; waited++)
            sleep_ms(1);
        ck_assert_int_eq(how_many_finished(), 20);
        for (size_t i = 0; i < 20; i++)
            call_unref(calls[i]);
    }
    ck_assert_int_gt(waited_for_the_end, 0);
    /* A worker that goes meanwhile does not take the end of the round with it. */
    heard_free(&heard);
    heard_init(&heard);
    struct call *last = begin("echo", "{\"text\":\"too late\"}");
    call_cancel_all(provider);
    ck_assert(heard_finished(&heard));
    call_unref(last);
    provider_retire(provider);
    ck_assert(drained(provider, in_ms(10000)));
    ck_assert(provider->ops->stop(provider));
    provider_unref(provider);
    provider = NULL;
    ck_assert(registry_publish(registry, NULL, 0, &(struct error){.text = ""}));
    round_end(&round);
}
END_TEST

START_TEST(reconfigured)
{
    struct error err = {.text = ""};
    struct config_provider settings = {.id = "configured", .config = BYTES("{\"url\":\"one\"}")};
    load_with("configured", &settings);
    settings.config = BYTES("{\"url\":\"two\"}");
    ck_assert_int_eq(provider->ops->reconfigure(provider, &settings, &err), 1);
    settings.config = BYTES("{\"url\":\"nope\"}");
    ck_assert_int_eq(provider->ops->reconfigure(provider, &settings, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.text, "this is not a URL that answers"));
    provider->settings = NULL;
}
END_TEST

START_TEST(cancelled)
{
    load("slow");
    struct call *c = begin("sleep", "{\"ms\":20000}");
    sleep_ms(50);
    call_cancel(c);
    ck_assert(heard_finished(&heard));
    call_unref(c);
    ck_assert(heard_released(&heard));
}
END_TEST

START_TEST(cancelled_before_it_is_read)
{
    load("slow");
    for (int i = 0; i < 50; i++) {
        heard_free(&heard);
        heard_init(&heard);
        struct call *c =
            fake_tool_call(registry, "sleep", &heard, arguments("{\"ms\":20000}"), NULL);
        call_start(c);
        call_cancel(c);
        call_unref(c);
        ck_assert(heard_finished(&heard));
        ck_assert(heard_released(&heard));
    }
}
END_TEST

/* ---- what does not load ---- */

static const struct {
    const char *sample, *sentence;
} refused[] = {
    {"bad_create", "bad_create.so: "},
    {"bad_create_crash", "crashed (SIGSEGV, Segmentation fault) in create"},
    {"bad_constructor_crash", "crashed (SIGSEGV, Segmentation fault) in its constructors"},
    {"bad_start", "bad_start.so: "},
#ifndef MCPD_SANITIZE
    {"bad_exit_create", "in create, which a plugin must not"},
    {"bad_tools_endless", "its get_tools does not end"},
#endif
    {"bad_null", "its mcp_plugin_v1 returned NULL"},
    {"forger", "answered something else before what it was to load"},
};

START_TEST(refused_at_the_start)
{
    struct error err = {.text = ""};
    ck_assert_ptr_null(
        worker_link_load(open_sample(refused[_i].sample), "p", NULL, NULL, NULL, &err));
    ck_assert_msg(strstr(err.text, refused[_i].sentence) != NULL, "%s", err.text);
    ck_assert_int_eq(strncmp(err.text, refused[_i].sample, strlen(refused[_i].sample)), 0);
}
END_TEST

START_TEST(hangs_at_the_start)
{
    struct error err = {.text = ""};
    struct config *config = config_default();
    config->plugins.start_timeout_ms = 300;
    int64_t before = clock_now();
    ck_assert_ptr_null(
        worker_link_load(open_sample("bad_tools_hang"), "p", config, NULL, NULL, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "had not returned from get_tools after 0.300 s"));
    ck_assert(clock_now() - before < 5 * NS_PER_S || suite_is_slow());
    config_unref(config);
}
END_TEST

/* ---- death ---- */

START_TEST(a_crash_ends_its_calls_and_another_takes_over)
{
    load("faults");
    pid_t first = worker_pid();
    call("faults", "{\"kind\":\"crash\"}");
    ck_assert_int_eq(heard.end, CALL_BROKEN);
    ck_assert_ptr_nonnull(strstr(heard.text, "crashed (SIGSEGV"));
    ck_assert_int_ne(worker_pid(), first);
    sleep_ms(50);
    ck_assert_uint_ge(atomic_load(&changes), 1); /* its offers are asked for again */
}
END_TEST

START_TEST(killed_with_many_calls_inside)
{
    enum { CALLS = 100 };
    static struct heard each[CALLS];
    load("faults");
    pid_t pid = worker_pid();
    const struct json *json = arguments("{\"kind\":\"\",\"ms\":20000}");
    for (int i = 0; i < CALLS; i++) {
        heard_init(&each[i]);
        struct call *c = fake_tool_call(registry, "faults", &each[i], json, NULL);
        call_start(c);
        call_unref(c);
    }
    kill(pid, SIGKILL);
    for (int i = 0; i < CALLS; i++) {
        ck_assert(heard_finished(&each[i]));
        ck_assert(heard_released(&each[i]));
        ck_assert_int_eq(each[i].finished, 1);
        /* Those that found the pool full are told so. */
        ck_assert(each[i].end == CALL_BROKEN || each[i].end == CALL_BUSY);
        heard_free(&each[i]);
    }
    call("fine", NULL);
    ck_assert_str_eq(heard.text, "fine");
}
END_TEST

START_TEST(forged_frames_are_its_death)
{
    static const char *const kinds[][2] = {
        {"{\"kind\":\"garbage\"}", "sent a frame that is not legal"},
        {"{\"kind\":\"forge\"}", "it ends a call that is not running"},
    };
    load("faults");
    for (int i = 0; i < 2; i++) {
        call("faults", kinds[i][0]);
        ck_assert_int_eq(heard.end, CALL_BROKEN);
        ck_assert_msg(strstr(heard.text, kinds[i][1]) != NULL, "%s", heard.text);
        sleep_ms(150);
        call("fine", NULL);
        ck_assert_str_eq(heard.text, "fine");
    }
}
END_TEST

/* What is published is read by all threads: nothing is added to it, nor to what is freed. */
START_TEST(an_offer_that_nobody_asked_for_is_not_taken)
{
    struct config_provider settings = {.id = "forger", .config = BYTES("{\"where\":\"stop\"}")};
    load_with("forger", &settings);
    ck_assert_uint_eq(provider->offers->lists[OFFER_TOOL].count, 1);
    provider->settings = NULL;
    provider_retire(provider);
    ck_assert(drained(provider, in_ms(10000)));
    ck_assert(provider->ops->stop(provider));
    ck_assert_uint_eq(provider->offers->lists[OFFER_TOOL].count, 1);
    provider_unref(provider);
    provider = NULL;
}
END_TEST

START_TEST(too_many_deaths)
{
    load("faults");
    for (int i = 0; i < 10; i++) {
        int64_t until = in_ms(20000);
        do {
            call("faults", "{\"kind\":\"crash\"}");
            ck_assert_int_eq(heard.end, CALL_BROKEN);
        } while (strstr(heard.text, "has not started again") != NULL && clock_now() < until);
    }
    int64_t until = in_ms(5000);
    while (breaker_is_closed(&provider->breaker) && clock_now() < until)
        sleep_ms(5);
    ck_assert(!breaker_is_closed(&provider->breaker));
    call("fine", NULL);
    ck_assert_int_eq(heard.end, CALL_BROKEN);
    ck_assert_msg(strstr(heard.text, "out of service for") != NULL, "%s", heard.text);
}
END_TEST

/* Of the three limits that matter: none but that of deaths. */
static void crash_until_open(uint32_t deaths)
{
    breaker_set_limits(&provider->breaker, 0, deaths, 300);
    int64_t until = in_ms(20000);
    while (breaker_is_closed(&provider->breaker) && clock_now() < until) {
        call("faults", "{\"kind\":\"crash\"}");
        sleep_ms(30);
    }
    ck_assert(!breaker_is_closed(&provider->breaker));
}

START_TEST(a_trial_brings_it_back)
{
    load("faults");
    crash_until_open(2);
    int64_t until = in_ms(10000);
    do {
        sleep_ms(20);
        call("fine", NULL);
    } while (heard.end == CALL_BROKEN && clock_now() < until);
    ck_assert_str_eq(heard.text, "fine");
    ck_assert(breaker_is_closed(&provider->breaker));
    call("fine", NULL);
    ck_assert_str_eq(heard.text, "fine");
}
END_TEST

/* It came into a worker, and crashed it. */
static bool was_the_trial(void)
{
    return strstr(heard.text, "SIGSEGV") != NULL && strstr(heard.text, "not started") == NULL;
}

START_TEST(a_trial_that_dies)
{
    load("faults");
    crash_until_open(2);
    int64_t opened = breaker_next_trial(&provider->breaker);
    int64_t until = in_ms(10000);
    do {
        sleep_ms(20);
        call("faults", "{\"kind\":\"crash\"}");
    } while (!was_the_trial() && clock_now() < until);
    ck_assert(was_the_trial());
    ck_assert(!breaker_is_closed(&provider->breaker));
    /* The next pause is twice as long. */
    ck_assert_int_ge(breaker_next_trial(&provider->breaker), opened + 600 * NS_PER_MS);
}
END_TEST

START_TEST(stopped_after_a_crash)
{
    load("faults");
    struct call *c = begin("faults", "{\"kind\":\"crash\"}");
    ck_assert(heard_finished(&heard));
    call_unref(c);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("worker");
    TCase *loops = tcase_create("refused");
    if (!crypto_init())
        return 1;
    log_setup(LOG_ERROR, LOG_TEXT);
    tcase_add_checked_fixture(loops, setup, teardown);
    tcase_set_timeout(loops, 60);
    tcase_add_loop_test(loops, refused_at_the_start, 0,
                        (int)(sizeof(refused) / sizeof(refused[0])));
    suite_add_tcase(suite, loops);
    const struct suite_case cases[] = {
        {"served", setup, teardown, 60,
         SUITE_TESTS(offers_and_calls, calls_of_one_round_go_together, reconfigured, cancelled,
                     cancelled_before_it_is_read)},
        {"start", setup, teardown, 60, SUITE_TESTS(hangs_at_the_start)},
        {"death", setup, teardown, 120,
         SUITE_TESTS(a_crash_ends_its_calls_and_another_takes_over, killed_with_many_calls_inside,
                     forged_frames_are_its_death, an_offer_that_nobody_asked_for_is_not_taken,
                     too_many_deaths, a_trial_brings_it_back, a_trial_that_dies,
                     stopped_after_a_crash)},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        suite_add(suite, &cases[i]);
    return suite_run(suite);
}
