/* SPDX-License-Identifier: MIT */
/* Who is told that a resource has changed: each watcher, of his own URIs, from a
 * thread that no caller waits for; later, when it is not possible now. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "mcp/watches.h"
#include "plugin/offers.h"
#include "suite.h"

struct owner {
    atomic_int references, told;
    atomic_bool reachable;
    char last[64]; /* written under the mutex, before `told` grows */
    struct watcher *watcher;
};

static struct watches *watches;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void hold(void *owner)
{
    atomic_fetch_add(&((struct owner *)owner)->references, 1);
}

static void release(void *owner)
{
    atomic_fetch_sub(&((struct owner *)owner)->references, 1);
}

static bool tell(void *it, struct bytes uri)
{
    struct owner *owner = it;

    ck_assert_int_gt(atomic_load(&owner->references), 0);
    if (!atomic_load(&owner->reachable))
        return false;
    pthread_mutex_lock(&mutex);
    snprintf(owner->last, sizeof owner->last, "%.*s", BYTES_FMT(uri));
    pthread_mutex_unlock(&mutex);
    atomic_fetch_add(&owner->told, 1);
    return true;
}

static const struct watcher_ops ops = {.hold = hold, .release = release, .tell = tell};

static void set_up(void)
{
    ck_assert(crypto_init());
    watches = watches_new();
    ck_assert_ptr_nonnull(watches);
}

static void tear_down(void)
{
    watches_free(watches);
}

static void open_owner(struct owner *owner)
{
    *owner = (struct owner){.reachable = true};
    owner->watcher = watcher_new(watches, &ops, owner);
    ck_assert_ptr_nonnull(owner->watcher);
}

static void close_owner(struct owner *owner)
{
    watcher_clear(owner->watcher);
    while (atomic_load(&owner->references) > 0)
        usleep(100);
    watcher_free(owner->watcher);
}

static void add(struct owner *owner, const char *uri)
{
    ck_assert_int_eq(watcher_add(owner->watcher, bytes_of(uri)), WATCH_DONE);
}

static void wait_for(struct owner *owner, int count)
{
    int64_t end = clock_now() + 20 * NS_PER_S;

    while (atomic_load(&owner->told) < count && clock_now() < end)
        usleep(100);
    ck_assert_int_eq(atomic_load(&owner->told), count);
}

/* Everything that was said before has been told. */
static void settle(void)
{
    struct owner last;

    open_owner(&last);
    add(&last, "x:settle");
    watches_updated(watches, BYTES("x:settle"));
    wait_for(&last, 1);
    close_owner(&last);
}

START_TEST(each_hears_of_his_own)
{
    struct owner a, b;

    open_owner(&a);
    open_owner(&b);
    add(&a, "x:1");
    add(&a, "x:2");
    add(&a, "x:1");
    add(&b, "x:\"2\"");
    watches_updated(watches, BYTES("x:1"));
    wait_for(&a, 1);
    ck_assert_str_eq(a.last, "\"x:1\"");
    watches_updated(watches, BYTES("x:\"2\""));
    wait_for(&b, 1);
    ck_assert_str_eq(b.last, "\"x:\\\"2\\\"\"");
    watches_updated(watches, BYTES("x:3"));
    settle();
    ck_assert_int_eq(atomic_load(&a.told), 1);
    watcher_remove(a.watcher, BYTES("x:1"));
    watcher_remove(a.watcher, BYTES("x:none"));
    watches_updated(watches, BYTES("x:1"));
    watches_updated(watches, BYTES("x:2"));
    wait_for(&a, 2);
    ck_assert_str_eq(a.last, "\"x:2\"");
    close_owner(&a);
    watches_updated(watches, BYTES("x:2"));
    settle();
    ck_assert_int_eq(atomic_load(&b.told), 1);
    close_owner(&b);
}
END_TEST

START_TEST(who_cannot_be_reached_is_told_later_and_once)
{
    struct owner owner;

    open_owner(&owner);
    atomic_store(&owner.reachable, false);
    add(&owner, "x:1");
    add(&owner, "x:2");
    add(&owner, "x:3");
    for (int i = 0; i < 10; i++) {
        watches_updated(watches, BYTES("x:1"));
        watches_updated(watches, BYTES("x:2"));
    }
    settle();
    watcher_catch_up(owner.watcher); /* still not */
    ck_assert_int_eq(atomic_load(&owner.told), 0);
    watcher_remove(owner.watcher, BYTES("x:2"));
    atomic_store(&owner.reachable, true);
    watcher_catch_up(owner.watcher);
    ck_assert_int_eq(atomic_load(&owner.told), 1);
    ck_assert_str_eq(owner.last, "\"x:1\"");
    watcher_catch_up(owner.watcher);
    watcher_catch_up(NULL);
    ck_assert_int_eq(atomic_load(&owner.told), 1);
    close_owner(&owner);
}
END_TEST

START_TEST(a_watcher_without_an_owner_is_told_when_it_has_one)
{
    struct owner owner = {.reachable = true};

    owner.watcher = watcher_new(watches, &ops, NULL);
    add(&owner, "x:1");
    watches_updated(watches, BYTES("x:1"));
    settle();
    watcher_catch_up(owner.watcher);
    ck_assert_int_eq(atomic_load(&owner.told), 0);
    watcher_attach(owner.watcher, &owner);
    watcher_catch_up(owner.watcher);
    ck_assert_int_eq(atomic_load(&owner.told), 1);
    close_owner(&owner);
}
END_TEST

START_TEST(there_are_bounds)
{
    static struct owner owners[100];
    char uri[URI_MAX + 1];
    enum watch_result result = WATCH_DONE;
    int full = 0;

    memset(uri, 'x', sizeof uri);
    uri[URI_MAX] = '\0';
    for (int k = 0; k < 100 && result == WATCH_DONE; k++) {
        open_owner(&owners[k]);
        for (int i = 0; i < WATCHES_MAX && result == WATCH_DONE; i++) {
            snprintf(uri, sizeof uri, "x:%d/%d", k, i);
            uri[strlen(uri)] = '/';
            result = watcher_add(owners[k].watcher, bytes_of(uri));
        }
        if (result == WATCH_DONE) {
            full++;
            ck_assert_int_eq(watcher_add(owners[k].watcher, BYTES("x:more")), WATCH_TOO_MANY);
            ck_assert_int_eq(watcher_add(owners[k].watcher, bytes_of(uri)), WATCH_DONE);
        }
    }
    ck_assert_int_eq(result, WATCH_NO_ROOM); /* 64 MiB in all */
    ck_assert_int_ge(full, 25);
    ck_assert_int_le(full, 32);
    watcher_clear(owners[0].watcher);
    ck_assert_int_eq(watcher_add(owners[0].watcher, BYTES("x:1")), WATCH_CLOSED);
    ck_assert_int_eq(watcher_add(owners[full].watcher, BYTES("x:1")), WATCH_DONE);
    for (int k = 0; k <= full; k++)
        close_owner(&owners[k]);
}
END_TEST

#define MANY 1000

START_TEST(many_are_told_of_one)
{
    static struct owner owners[MANY];

    for (int i = 0; i < MANY; i++) {
        open_owner(&owners[i]);
        add(&owners[i], "x:same");
        atomic_store(&owners[i].reachable, i % 3 != 0);
    }
    watches_updated(watches, BYTES("x:same"));
    settle();
    for (int i = 0; i < MANY; i++) {
        ck_assert_int_eq(atomic_load(&owners[i].told), i % 3 != 0);
        atomic_store(&owners[i].reachable, true);
        watcher_catch_up(owners[i].watcher);
        ck_assert_int_eq(atomic_load(&owners[i].told), 1);
        close_owner(&owners[i]);
    }
}
END_TEST

/* ---- all at once ---- */

static atomic_bool stop;

static void *say(void *unused)
{
    char uri[16];

    (void)unused;
    for (unsigned i = 0; !atomic_load(&stop); i++) {
        snprintf(uri, sizeof uri, "x:%u", i % 5);
        watches_updated(watches, bytes_of(uri));
    }
    return NULL;
}

static void *come_and_go(void *unused)
{
    struct owner owner;
    char uri[16];

    (void)unused;
    for (int round = 0; round < 300; round++) {
        open_owner(&owner);
        atomic_store(&owner.reachable, round % 2 == 0);
        for (int i = 0; i < 5; i++) {
            snprintf(uri, sizeof uri, "x:%d", i);
            add(&owner, uri);
        }
        watcher_remove(owner.watcher, BYTES("x:3"));
        atomic_store(&owner.reachable, true);
        watcher_catch_up(owner.watcher);
        close_owner(&owner);
    }
    return NULL;
}

START_TEST(watchers_come_and_go_while_changes_are_told)
{
    pthread_t sayers[2], others[3];

    atomic_store(&stop, false);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&sayers[i], NULL, say, NULL), 0);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&others[i], NULL, come_and_go, NULL), 0);
    for (int i = 0; i < 3; i++)
        pthread_join(others[i], NULL);
    atomic_store(&stop, true);
    for (int i = 0; i < 2; i++)
        pthread_join(sayers[i], NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("watches");

    suite_add(suite, &(struct suite_case){
                         .name = "watches",
                         .setup = set_up,
                         .teardown = tear_down,
                         .seconds = 120,
                         .tests = SUITE_TESTS(
                             each_hears_of_his_own, who_cannot_be_reached_is_told_later_and_once,
                             a_watcher_without_an_owner_is_told_when_it_has_one, there_are_bounds,
                             many_are_told_of_one, watchers_come_and_go_while_changes_are_told)});
    return suite_run(suite);
}
