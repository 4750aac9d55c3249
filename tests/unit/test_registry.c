/* SPDX-License-Identifier: MIT */
/* Snapshots: names, prefixes, clashes, order, readers, and when a change is told. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "fake_provider.h"
#include "suite.h"

static struct registry *registry;
static struct registry_reader reader;
static struct error err;
static struct {
    int made, changed;
    bool no_memory; /* for a view */
    atomic_int freed; /* by whoever reads last */
    uint32_t what;
    bool view_first; /* the view was there when `changed` ran */
} told;

static void *make_view(void *context, const struct snapshot *snapshot)
{
    ck_assert_ptr_eq(context, &told);
    if (told.no_memory)
        return NULL;
    told.made++;
    size_t *view = malloc(sizeof(*view));
    *view = snapshot->lists[OFFER_TOOL].count;
    return view;
}

static void free_view(void *view)
{
    told.freed++;
    free(view);
}

static void changed(void *context, uint32_t what)
{
    struct registry_reader own = {NULL};
    ck_assert_ptr_eq(context, &told);
    told.changed++;
    told.what = what;
    const struct snapshot *now = registry_read(registry, &own);
    told.view_first = *(size_t *)now->view == now->lists[OFFER_TOOL].count;
    registry_reader_close(&own);
}

static void set_up(void)
{
    told.made = told.changed = 0;
    atomic_store(&told.freed, 0);
    reader = (struct registry_reader){NULL};
    registry = registry_new();
    registry_set_hooks(registry, &(struct registry_hooks){.context = &told,
                                                          .make_view = make_view,
                                                          .free_view = free_view,
                                                          .changed = changed});
}

static void tear_down(void)
{
    registry_reader_close(&reader);
    registry_free(registry);
    ck_assert_int_eq(told.made, told.freed);
}

static void publish(struct fake_provider *a, struct fake_provider *b)
{
    struct provider *providers[2] = {NULL, NULL};
    size_t count = 0;
    if (a != NULL)
        providers[count++] = &a->provider;
    if (b != NULL)
        providers[count++] = &b->provider;
    ck_assert(registry_publish(registry, providers, count, &err));
}

static const struct registry_entry *find(const char *name)
{
    return snapshot_find(registry_read(registry, &reader), OFFER_TOOL, bytes_of(name));
}

START_TEST(an_empty_snapshot_finds_nothing)
{
    publish(NULL, NULL);
    ck_assert_ptr_nonnull(registry_read(registry, &reader));
    ck_assert_ptr_null(find("x"));
    ck_assert_int_eq(told.changed, 0); /* the first one is no change */
}
END_TEST

START_TEST(tools_are_found_by_prefixed_name)
{
    struct fake_provider *a = fake_new("a", "", 1), *b = fake_new("b", "b_", 2);
    char name[32];
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof(name), "t%d", i);
        fake_add(a, name, 0, 0, 0);
        fake_add(b, name, 0, 0, 0);
    }
    publish(a, b);
    const struct snapshot *snapshot = registry_read(registry, &reader);
    ck_assert_uint_eq(snapshot->lists[OFFER_TOOL].count, 400);
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof(name), "t%d", i);
        ck_assert_ptr_eq(find(name)->provider, &a->provider);
        ck_assert_ptr_eq(find(name), &snapshot->lists[OFFER_TOOL].entries[i]);
        snprintf(name, sizeof(name), "b_t%d", i);
        ck_assert_ptr_eq(find(name)->provider, &b->provider);
        ck_assert_str_eq(find(name)->name.data, name);
        ck_assert(bytes_equal(find(name)->offer->name, bytes_of(name + 2)));
    }
    ck_assert_ptr_null(find("t200"));
    ck_assert_ptr_null(find("T0"));
    ck_assert_ptr_null(find(""));
    provider_unref(&a->provider);
    provider_unref(&b->provider);
}
END_TEST

START_TEST(without_memory_for_its_lists_the_old_snapshot_stays)
{
    struct fake_provider *a = fake_new("a", "", 1);
    fake_add(a, "tool", 0, 0, 0);
    publish(NULL, NULL);
    told.no_memory = true;
    ck_assert(!registry_publish(registry, &(struct provider *){&a->provider}, 1, &err));
    told.no_memory = false;
    ck_assert(err.no_memory);
    ck_assert_ptr_null(find("tool"));
    ck_assert_ptr_nonnull(registry_read(registry, &reader)->view);
    ck_assert_int_eq(told.changed, 0);
    publish(a, NULL);
    ck_assert_ptr_nonnull(find("tool"));
    provider_unref(&a->provider);
}
END_TEST

START_TEST(the_first_by_order_wins_a_clash)
{
    struct fake_provider *a = fake_new("a", "", 1), *b = fake_new("b", "", 2);
    fake_add(a, "same", 0, 0, 0);
    fake_add(b, "same", 0, 0, 0);
    fake_add(b, "only_b", 0, 0, 0);
    publish(a, b);
    ck_assert_ptr_eq(find("same")->provider, &a->provider);
    ck_assert_ptr_eq(find("only_b")->provider, &b->provider);
    ck_assert_uint_eq(registry_read(registry, &reader)->lists[OFFER_TOOL].count, 2);
    publish(b, a);
    ck_assert_ptr_eq(find("same")->provider, &b->provider);
    ck_assert_int_eq(told.changed, 1);
    provider_unref(&a->provider);
    provider_unref(&b->provider);
}
END_TEST

/* Runs `act` with standard error going to a file; returns what was written. */
static char *log_of(void (*act)(void *), void *argument)
{
    static char text[8192];
    FILE *file = tmpfile();
    int before = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    act(argument);
    dup2(before, STDERR_FILENO);
    close(before);
    rewind(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    return text;
}

static struct fake_provider *pair[2];

static void publish_pair(void *unused)
{
    (void)unused;
    publish(pair[0], pair[1]);
}

START_TEST(a_clash_is_told_once_with_the_remedy)
{
    pair[0] = fake_new("alpha", "", 1);
    pair[1] = fake_new("beta", "", 2);
    for (int i = 0; i < 3; i++) {
        char name[8];
        snprintf(name, sizeof(name), "t%d", i);
        fake_add(pair[0], name, 0, 0, 0);
        fake_add(pair[1], name, 0, 0, 0);
    }
    char *text = log_of(publish_pair, NULL);
    ck_assert_msg(strstr(text, "beta: its tools t0, t1, t2 are left out: alpha, which comes before "
                               "it, has tools of these names: set a \"prefix\" for beta in the "
                               "configuration\n") != NULL,
                  "%s", text);
    ck_assert_ptr_eq(strchr(text, '\n') + 1, strchr(text, '\0')); /* one line */
    ck_assert_str_eq(log_of(publish_pair, NULL), "");
    /* It has taken one more. */
    fake_add(pair[0], "t3", 0, 0, 0);
    fake_add(pair[1], "t3", 0, 0, 0);
    ck_assert_ptr_nonnull(strstr(log_of(publish_pair, NULL), "t0, t1, t2, t3 are"));
    /* Another generation is worth another line. */
    provider_unref(&pair[1]->provider);
    pair[1] = fake_new("beta", "", 3);
    fake_add(pair[1], "t2", 0, 0, 0);
    ck_assert_ptr_nonnull(strstr(log_of(publish_pair, NULL), "beta: its tool t2 is left out"));
    provider_unref(&pair[0]->provider);
    provider_unref(&pair[1]->provider);
}
END_TEST

START_TEST(a_prefix_must_leave_the_name_legal)
{
    char longest[TOOL_NAME_MAX + 1];
    memset(longest, 'n', sizeof(longest));
    longest[TOOL_NAME_MAX - 2] = '\0';
    pair[0] = fake_new("alpha", "abc", 1);
    pair[1] = fake_new("beta", "ab", 2);
    fake_add(pair[0], longest, 0, 0, 0);
    fake_add(pair[0], "short", 0, 0, 0);
    fake_add(pair[1], longest, 0, 0, 0);
    char *text = log_of(publish_pair, NULL);
    ck_assert_ptr_nonnull(strstr(text, "alpha: its tool \"nnn"));
    ck_assert_ptr_null(strstr(text, "beta"));
    ck_assert_uint_eq(registry_read(registry, &reader)->lists[OFFER_TOOL].count, 2);
    ck_assert_ptr_nonnull(find("abcshort"));
    provider_unref(&pair[0]->provider);
    provider_unref(&pair[1]->provider);
}
END_TEST

START_TEST(a_change_is_told_only_when_the_list_differs)
{
    struct fake_provider *a = fake_new("a", "", 1), *again = fake_new("a", "", 2),
                         *more = fake_new("a", "", 3), *renamed = fake_new("z", "", 4);
    fake_add(a, "t", 0, 0, 0);
    fake_add(again, "t", MCP_TOOL_THREAD_SAFE, 5, 1); /* what clients do not see */
    fake_add(more, "t", 0, 0, 0);
    fake_add(more, "u", 0, 0, 0);
    fake_add(renamed, "t", 0, 0, 0);
    publish(a, NULL);
    publish(a, NULL);
    publish(again, NULL);
    ck_assert_int_eq(told.changed, 0);
    publish(more, NULL);
    ck_assert_int_eq(told.changed, 1);
    ck_assert_uint_eq(told.what, MCP_CHANGED_TOOLS);
    ck_assert(told.view_first);
    publish(a, NULL);
    ck_assert_int_eq(told.changed, 2);
    publish(renamed, NULL); /* the provider's id is in each tool's _meta */
    ck_assert_int_eq(told.changed, 3);
    publish(NULL, NULL);
    ck_assert_int_eq(told.changed, 4);
    ck_assert_int_eq(told.made, 7);
    provider_unref(&a->provider);
    provider_unref(&again->provider);
    provider_unref(&more->provider);
    provider_unref(&renamed->provider);
}
END_TEST

START_TEST(a_reader_keeps_what_it_sees)
{
    atomic_bool freed = false;
    struct fake_provider *a = fake_new("a", "", 1), *b = fake_new("b", "", 2);
    a->freed = &freed;
    fake_add(a, "old", 0, 0, 0);
    fake_add(b, "new", 0, 0, 0);
    publish(a, NULL);
    const struct registry_entry *old = find("old");
    uint64_t version = reader.snapshot->version;
    struct snapshot *mine = snapshot_ref(reader.snapshot);
    publish(b, NULL);
    provider_unref(&a->provider);
    ck_assert(bytes_equal(old->offer->name, BYTES("old")));
    ck_assert_ptr_null(find("old"));
    ck_assert_uint_gt(reader.snapshot->version, version);
    ck_assert(!freed);
    snapshot_unref(mine);
    ck_assert(freed);
    provider_unref(&b->provider);
}
END_TEST

START_TEST(tools_of_a_provider_may_be_exchanged)
{
    struct fake_provider *a = fake_new("a", "", 1);
    fake_add(a, "before", 0, 0, 0);
    publish(a, NULL);
    const struct registry_entry *before = find("before");
    offers_unref(a->provider.offers); /* as a refresh does */
    a->provider.offers = offers_new();
    fake_add(a, "after", 0, 0, 0);
    ck_assert(bytes_equal(before->offer->name, BYTES("before"))); /* the snapshot keeps it */
    publish(a, NULL);
    ck_assert_ptr_null(find("before"));
    ck_assert_ptr_nonnull(find("after"));
    provider_unref(&a->provider);
}
END_TEST

START_TEST(gates_belong_to_a_generation)
{
    struct fake_provider *a = fake_new("a", "", 1), *b = fake_new("b", "", 2);
    fake_add(a, "serial", 0, 0, 0);
    fake_add(a, "serial2", 0, 0, 0);
    fake_add(a, "free", MCP_TOOL_THREAD_SAFE, 0, 0);
    fake_add(a, "two", MCP_TOOL_THREAD_SAFE, 0, 2);
    fake_add(b, "other", 0, 0, 0);
    publish(a, b);
    struct gate *serial = find("serial")->gate, *two = find("two")->gate;
    ck_assert_ptr_nonnull(serial);
    ck_assert_ptr_eq(serial, find("serial2")->gate);
    ck_assert_ptr_null(find("free")->gate);
    ck_assert_ptr_nonnull(two);
    ck_assert_ptr_ne(two, serial);
    ck_assert_ptr_ne(find("other")->gate, serial);
    publish(b, a);
    ck_assert_ptr_eq(find("serial")->gate, serial);
    ck_assert_ptr_eq(find("two")->gate, two);
    provider_unref(&a->provider);
    provider_unref(&b->provider);
}
END_TEST

/* ---- providers ---- */

START_TEST(a_retired_provider_lets_nobody_in)
{
    struct fake_provider *a = fake_new("a", "", 1);
    ck_assert(provider_enter(&a->provider));
    provider_retire(&a->provider);
    provider_retire(&a->provider);
    ck_assert(!provider_enter(&a->provider));
    ck_assert_uint_eq(provider_inside(&a->provider), 1);
    int64_t began = clock_now();
    ck_assert(!drained(&a->provider, in_ms(30)));
    ck_assert_int_ge(clock_now() - began, 29 * NS_PER_MS);
    provider_leave(&a->provider);
    ck_assert(drained(&a->provider, in_ms(0)));
    provider_unref(&a->provider);
}
END_TEST

static void *leave_later(void *argument)
{
    sleep_ms(30);
    provider_leave(argument);
    return NULL;
}

static atomic_int woken;

static void count_wake(void *context)
{
    ck_assert_ptr_eq(context, &woken);
    atomic_fetch_add(&woken, 1);
}

START_TEST(a_drain_ends_when_the_last_call_leaves)
{
    pthread_t thread;
    struct fake_provider *a = fake_new("a", "", 1);
    provider_on_drained(count_wake, &woken);
    ck_assert(provider_enter(&a->provider));
    provider_leave(&a->provider);
    ck_assert_int_eq(woken, 0); /* it is not retired */
    ck_assert(provider_enter(&a->provider));
    provider_retire(&a->provider);
    pthread_create(&thread, NULL, leave_later, &a->provider);
    int64_t began = clock_now();
    ck_assert(drained(&a->provider, in_ms(5000)));
    ck_assert_int_lt(clock_now() - began, 1000 * NS_PER_MS);
    pthread_join(thread, NULL);
    ck_assert_int_eq(woken, 1);
    provider_on_drained(NULL, NULL);
    provider_unref(&a->provider);
}
END_TEST

/* ---- readers against a publisher ---- */

static atomic_bool stop_reading;

/* Returns how often it read, or NULL if it saw what cannot be. */
static void *read_on(void *argument)
{
    struct registry_reader own = {NULL};
    uint64_t version = 0;
    uintptr_t reads = 1;
    (void)argument;
    while (!atomic_load(&stop_reading)) {
        const struct snapshot *snapshot = registry_read(registry, &own);
        const struct registry_entry *tool = snapshot_find(snapshot, OFFER_TOOL, BYTES("t"));
        if (tool == NULL || snapshot->version < version ||
            *(size_t *)snapshot->view != snapshot->lists[OFFER_TOOL].count)
            return NULL;
        version = snapshot->version;
        if (provider_enter(tool->provider))
            provider_leave(tool->provider);
        reads++;
    }
    registry_reader_close(&own);
    return (void *)reads;
}

START_TEST(readers_see_whole_snapshots)
{
    pthread_t threads[3];
    struct fake_provider *now = fake_new("a", "", 1);
    fake_add(now, "t", 0, 0, 0);
    publish(now, NULL);
    atomic_store(&stop_reading, false);
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, read_on, NULL);
    for (uint64_t i = 2; i < 500; i++) {
        struct fake_provider *next = fake_new("a", "", i);
        fake_add(next, "t", 0, 0, 0);
        if (i % 2 != 0)
            fake_add(next, "u", 0, 0, 0);
        publish(next, NULL);
        provider_retire(&now->provider);
        ck_assert(drained(&now->provider, in_ms(5000)));
        provider_unref(&now->provider);
        now = next;
    }
    atomic_store(&stop_reading, true);
    for (int i = 0; i < 3; i++) {
        void *reads;
        pthread_join(threads[i], &reads);
        ck_assert_ptr_nonnull(reads);
    }
    provider_unref(&now->provider);
}
END_TEST

int main(void)
{
    if (!crypto_init())
        return 1;
    setenv("CK_FORK", "no", 0);
    Suite *suite = suite_create("registry");
    suite_add(suite, &(struct suite_case){
                         "registry", set_up, tear_down, 60,
                         SUITE_TESTS(
                             an_empty_snapshot_finds_nothing, tools_are_found_by_prefixed_name,
                             without_memory_for_its_lists_the_old_snapshot_stays,
                             the_first_by_order_wins_a_clash, a_clash_is_told_once_with_the_remedy,
                             a_prefix_must_leave_the_name_legal,
                             a_change_is_told_only_when_the_list_differs,
                             a_reader_keeps_what_it_sees, tools_of_a_provider_may_be_exchanged,
                             gates_belong_to_a_generation, a_retired_provider_lets_nobody_in,
                             a_drain_ends_when_the_last_call_leaves, readers_see_whole_snapshots)});
    return suite_run(suite);
}
