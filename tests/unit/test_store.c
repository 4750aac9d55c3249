/* SPDX-License-Identifier: MIT */
/* The store: what is kept comes back, in order, after a restart; what cannot be
 * kept is told. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>

#include "files.h"
#include "store/store.h"
#include "suite.h"

static char directory[64];
static char path[96], url[128];
static struct store *store;
static struct error err;

static void set_up(void)
{
    snprintf(directory, sizeof(directory), "/tmp/test-store-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/state.db", directory);
    snprintf(url, sizeof(url), "sqlite://%s", path);
    store = store_open(url, 0, &err);
    ck_assert_msg(store != NULL, "%s", err.text);
}

static void tear_down(void)
{
    store_close(store);
    files_remove(directory);
}

static void open_again(void)
{
    store_close(store);
    store = store_open(url, 0, &err);
    ck_assert_msg(store != NULL, "%s", err.text);
}

/* ---- waiting ---- */

struct answer {
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool done, failed, found;
    struct error failure;
    struct store_task task;
    char text[9][200]; /* of its bytes */
    size_t sizes[9];
    size_t removed;
};

static void answer_done(struct answer *a, const struct error *failure)
{
    pthread_mutex_lock(&a->mutex);
    a->done = true;
    a->failed = failure != NULL;
    if (failure != NULL)
        a->failure = *failure;
    pthread_cond_signal(&a->wake);
    pthread_mutex_unlock(&a->mutex);
}

static void done(void *context, const struct error *failure)
{
    answer_done(context, failure);
}

static void keep(struct answer *a, int which, struct bytes *bytes)
{
    a->sizes[which] = bytes->size;
    size_t size = bytes->size < sizeof(a->text[0]) ? bytes->size : sizeof(a->text[0]);
    if (size > 0)
        memcpy(a->text[which], bytes->data, size);
    *bytes = (struct bytes){a->text[which], size};
}

static void found(void *context, const struct store_task *task, const struct error *failure)
{
    struct answer *a = context;
    if (task != NULL) {
        a->found = true;
        a->task = *task;
        keep(a, 0, &a->task.id);
        keep(a, 1, &a->task.subject);
        keep(a, 2, &a->task.issuer);
        keep(a, 3, &a->task.revision);
        keep(a, 4, &a->task.capabilities);
        keep(a, 5, &a->task.request);
        keep(a, 6, &a->task.payload);
        keep(a, 7, &a->task.inside);
        keep(a, 8, &a->task.message);
    }
    answer_done(a, failure);
}

static void expired(void *context, size_t removed, const struct error *failure)
{
    struct answer *a = context;
    a->removed = removed;
    answer_done(a, failure);
}

#define ANSWER                                                                                     \
    {                                                                                              \
        .mutex = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER                       \
    }

static void wait_for(struct answer *a)
{
    pthread_mutex_lock(&a->mutex);
    while (!a->done)
        pthread_cond_wait(&a->wake, &a->mutex);
    pthread_mutex_unlock(&a->mutex);
}

static bool add(const struct store_task *task)
{
    struct answer a = ANSWER;
    store_add_task(store, task, done, &a);
    wait_for(&a);
    if (a.failed)
        err = a.failure;
    return !a.failed;
}

static bool change(const struct store_task *task)
{
    struct answer a = ANSWER;
    store_change_task(store, task, done, &a);
    wait_for(&a);
    if (a.failed)
        err = a.failure;
    return !a.failed;
}

/* Static, for the row points into it. */
static struct answer *find(struct bytes id)
{
    static struct answer a;
    a = (struct answer)ANSWER;
    store_find_task(store, id, found, &a);
    wait_for(&a);
    ck_assert_msg(!a.failed, "%s", a.failure.text);
    return &a;
}

static const struct store_task sample = {
    .id = {"one", 3},
    .status = TASK_WORKING,
    .created_ms = INT64_C(1790000000123),
    .updated_ms = INT64_C(1790000000124),
    .ttl_ms = 60000,
    .subject = {"some\"body", 9},
    .issuer = {"https://issuer.example", 22},
    .revision = {"2026-07-28", 10},
    .capabilities = {"{}", 2},
    .request = {"{\"method\":\"tools/call\"}", 23},
};

/* ---- what is kept ---- */

START_TEST(every_member_comes_back_also_after_a_restart)
{
    ck_assert(add(&sample));
    for (int life = 0; life < 2; life++) {
        const struct answer *a = find(BYTES("one"));
        ck_assert(a->found);
        ck_assert(a->task.status == TASK_WORKING && !a->task.started);
        ck_assert_int_eq(a->task.created_ms, sample.created_ms);
        ck_assert_int_eq(a->task.updated_ms, sample.updated_ms);
        ck_assert_int_eq(a->task.ttl_ms, sample.ttl_ms);
        ck_assert(bytes_equal(a->task.subject, sample.subject));
        ck_assert(bytes_equal(a->task.issuer, sample.issuer));
        ck_assert(bytes_equal(a->task.revision, sample.revision));
        ck_assert(bytes_equal(a->task.capabilities, sample.capabilities));
        ck_assert(bytes_equal(a->task.request, sample.request));
        ck_assert_uint_eq(a->task.payload.size, 0);
        ck_assert_uint_eq(a->task.inside.size, 0);
        ck_assert_uint_eq(a->task.message.size, 0);
        ck_assert(!find(BYTES("two"))->found);
        open_again();
    }
    ck_assert(store_is_durable(store));
}
END_TEST

START_TEST(a_change_replaces_what_may_change_and_an_end_drops_the_request)
{
    struct store_task task = sample;
    ck_assert(add(&task));
    task.status = TASK_INPUT_REQUIRED;
    task.started = true;
    task.updated_ms++;
    task.ttl_ms = 90000;
    task.payload = BYTES("{\"a\":1}");
    task.inside = BYTES("{\"round\":1}");
    task.message = BYTES("wait\xc3\xa9");
    task.subject = BYTES("another");
    ck_assert(change(&task));
    const struct answer *a = find(BYTES("one"));
    ck_assert(a->task.status == TASK_INPUT_REQUIRED && a->task.started);
    ck_assert_int_eq(a->task.ttl_ms, 90000);
    ck_assert(bytes_equal(a->task.payload, task.payload));
    ck_assert(bytes_equal(a->task.inside, task.inside));
    ck_assert(bytes_equal(a->task.message, task.message));
    ck_assert_msg(bytes_equal(a->task.subject, sample.subject), "the owner does not change");
    ck_assert(bytes_equal(a->task.request, sample.request));
    task.status = TASK_COMPLETED;
    ck_assert(change(&task));
    ck_assert_uint_eq(find(BYTES("one"))->task.request.size, 0);
}
END_TEST

START_TEST(one_id_is_added_once_and_what_is_not_there_cannot_change)
{
    struct store_task other = sample;
    ck_assert(add(&sample));
    ck_assert(!add(&sample));
    other.id = BYTES("two");
    ck_assert(!change(&other));
    ck_assert_ptr_nonnull(strstr(err.text, "not there any more"));
    ck_assert(find(BYTES("one"))->found);
}
END_TEST

/* Among those that wait in line together, one that fails spoils no other. */
START_TEST(work_in_line_is_done_in_order_and_each_for_itself)
{
    enum { COUNT = 300 };
    static struct answer answers[COUNT];
    char ids[COUNT][8];
    for (int i = 0; i < COUNT; i++) {
        struct store_task task = sample;
        answers[i] = (struct answer)ANSWER;
        snprintf(ids[i], sizeof(ids[i]), "t%d", i % 10 == 9 ? i - 1 : i); /* every tenth twice */
        task.id = bytes_of(ids[i]);
        store_add_task(store, &task, done, &answers[i]);
        task.updated_ms = i;
        if (i % 10 != 9)
            store_change_task(store, &task, NULL, NULL);
    }
    for (int i = 0; i < COUNT; i++) {
        wait_for(&answers[i]);
        ck_assert_msg(answers[i].failed == (i % 10 == 9), "%d: %s", i, answers[i].failure.text);
        if (i % 10 != 9)
            ck_assert_int_eq(find(bytes_of(ids[i]))->task.updated_ms, i);
    }
}
END_TEST

START_TEST(expiry_takes_what_has_ended_and_is_over)
{
    static const enum task_status statuses[] = {TASK_WORKING, TASK_INPUT_REQUIRED, TASK_COMPLETED,
                                                TASK_FAILED,  TASK_CANCELLED,      TASK_COMPLETED};
    static const char *const ids[] = {"w", "i", "c", "f", "x", "later"};
    struct answer a = ANSWER;
    for (int i = 0; i < 6; i++) {
        struct store_task task = sample;
        task.id = bytes_of(ids[i]);
        task.status = statuses[i];
        task.ttl_ms = i == 5 ? 1001 : 1000;
        ck_assert(add(&task));
    }
    store_expire_tasks(store, sample.created_ms + 1000, expired, &a);
    wait_for(&a);
    ck_assert(!a.failed);
    ck_assert_uint_eq(a.removed, 3);
    for (int i = 0; i < 6; i++)
        ck_assert_int_eq(find(bytes_of(ids[i]))->found, i < 2 || i == 5);
}
END_TEST

struct visit {
    char ids[100];
    int left; /* false after so many */
};

static bool visit(void *context, const struct store_task *task)
{
    struct visit *v = context;
    size_t size = strlen(v->ids);
    snprintf(v->ids + size, sizeof(v->ids) - size, "%.*s ", BYTES_FMT(task->id));
    return --v->left != 0;
}

START_TEST(loading_shows_what_has_not_ended_oldest_first)
{
    struct visit all = {.left = 100}, some = {.left = 1};
    size_t count = 0;
    for (int i = 0; i < 4; i++) {
        static const char *const ids[] = {"c", "b", "ended", "a"};
        struct store_task task = sample;
        task.id = bytes_of(ids[i]);
        task.created_ms -= i;
        task.status = i == 2 ? TASK_FAILED : i == 1 ? TASK_INPUT_REQUIRED : TASK_WORKING;
        ck_assert(add(&task));
    }
    open_again();
    ck_assert(store_load_tasks(store, visit, &all, &count, &err));
    ck_assert_str_eq(all.ids, "a b c ");
    ck_assert_uint_eq(count, 4);
    ck_assert(!store_load_tasks(store, visit, &some, &count, &err));
    ck_assert_str_eq(some.ids, "a ");
}
END_TEST

START_TEST(large_and_strange_texts)
{
    struct store_task task = sample;
    size_t size = (size_t)3 << 20;
    char *large = malloc(size);
    memset(large, 'x', size);
    task.payload = (struct bytes){large, size};
    task.message = (struct bytes){"a\0b", 3}; /* as \u0000 in a message */
    ck_assert(add(&task));
    open_again();
    const struct answer *a = find(BYTES("one"));
    ck_assert_uint_eq(a->sizes[6], size);
    ck_assert_uint_eq(a->sizes[8], 3);
    free(large);
}
END_TEST

START_TEST(closing_does_what_waits_in_line)
{
    static struct answer answers[50];
    char ids[50][8];
    for (int i = 0; i < 50; i++) {
        struct store_task task = sample;
        answers[i] = (struct answer)ANSWER;
        snprintf(ids[i], sizeof(ids[i]), "t%d", i);
        task.id = bytes_of(ids[i]);
        store_add_task(store, &task, done, &answers[i]);
    }
    open_again();
    for (int i = 0; i < 50; i++) {
        ck_assert(answers[i].done && !answers[i].failed);
        ck_assert(find(bytes_of(ids[i]))->found);
    }
}
END_TEST

START_TEST(a_process_that_is_killed_loses_nothing_it_was_told)
{
    int lines[2];
    store_close(store);
    store = NULL;
    ck_assert_int_eq(pipe(lines), 0);
    pid_t child = fork();
    if (child == 0) {
        store = store_open(url, 0, &err);
        for (int i = 0; store != NULL; i++) {
            char id[16];
            struct store_task task = sample;
            snprintf(id, sizeof(id), "t%d", i);
            task.id = bytes_of(id);
            if (!add(&task) || write(lines[1], &i, sizeof(i)) != sizeof(i))
                break;
        }
        _exit(1);
    }
    int last = -1, next;
    while (last < 200 && read(lines[0], &next, sizeof(next)) == sizeof(next))
        last = next;
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    ck_assert_int_eq(last, 200);
    store = store_open(url, 0, &err);
    ck_assert_msg(store != NULL, "%s", err.text);
    for (int i = 0; i <= last; i++) {
        char id[16];
        snprintf(id, sizeof(id), "t%d", i);
        ck_assert_msg(find(bytes_of(id))->found, "%s", id);
    }
    close(lines[0]);
    close(lines[1]);
}
END_TEST

START_TEST(in_memory)
{
    struct store *memory = store_open("memory:", 0, &err);
    struct store *kept = store;
    ck_assert(!store_is_durable(memory));
    store = memory;
    ck_assert(add(&sample));
    ck_assert(find(BYTES("one"))->found);
    store_close(memory);
    store = kept;
    ck_assert(!find(BYTES("one"))->found);
}
END_TEST

/* ---- what cannot be kept ---- */

static void execute(const char *sql)
{
    sqlite3 *db;
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(db));
    sqlite3_close(db);
}

static void assert_refused(const char *what, const char *why)
{
    struct store *refused = store_open(what, 0, &err);
    ck_assert_ptr_null(refused);
    ck_assert_msg(strstr(err.text, why) != NULL, "%s: %s", what, err.text);
}

START_TEST(files_that_are_not_ours)
{
    char other[128];
    store_close(store);
    store = NULL;
    execute("PRAGMA user_version = 99");
    assert_refused(url, "was written by a newer mcpd (schema 99; this one knows");
    execute("PRAGMA user_version = 1; PRAGMA application_id = 7");
    assert_refused(url, "is a database of another program");
    snprintf(other, sizeof(other), "sqlite://%s/none/state.db", directory);
    assert_refused(other, "cannot be written: No such file or directory");
    snprintf(other, sizeof(other), "sqlite://%s", directory);
    assert_refused(other, "cannot be written: Is a directory");
    assert_refused("sqlite://state.db", "expected sqlite:///PATH");
    assert_refused("postgres://host/db", "expected sqlite:///PATH");
    assert_refused("", "expected sqlite:///PATH");
}
END_TEST

START_TEST(a_damaged_file)
{
    struct store_task task = sample;
    char id[16];
    for (int i = 0; i < 100; i++) {
        snprintf(id, sizeof(id), "t%d", i);
        task.id = bytes_of(id);
        ck_assert(add(&task));
    }
    store_close(store);
    store = NULL;
    int fd = open(path, O_WRONLY);
    ck_assert_int_gt(fd, 0);
    char noise[4096];
    memset(noise, 0x5a, sizeof(noise));
    ck_assert_int_eq(pwrite(fd, noise, sizeof(noise), 0), sizeof(noise));
    close(fd);
    assert_refused(url, "is damaged, or no database");
    ck_assert_int_eq(truncate(path, 700), 0);
    assert_refused(url, "is damaged, or no database");
}
END_TEST

START_TEST(one_process_at_a_time)
{
    assert_refused(url, "is in use by another process");
    ck_assert(add(&sample));
}
END_TEST

START_TEST(nobody_else_can_read_it)
{
    struct stat status;
    char name[128];
    static const char *const ends[] = {"", "-wal"};
    umask(0);
    open_again();
    ck_assert(add(&sample));
    for (size_t i = 0; i < 2; i++) {
        snprintf(name, sizeof(name), "%s%s", path, ends[i]);
        ck_assert_int_eq(stat(name, &status), 0);
        ck_assert_uint_eq(status.st_mode & 077, 0);
    }
}
END_TEST

/* Adds tasks of 64 KiB until that fails; returns how many there are. */
static int fill(void)
{
    static char large[65536];
    int count = 0;
    char id[16];
    struct store_task task = sample;
    memset(large, 'x', sizeof(large));
    for (;; count++) {
        snprintf(id, sizeof(id), "t%d", count);
        task.id = bytes_of(id);
        task.request = (struct bytes){large, sizeof(large)};
        if (!add(&task) || count == 1000)
            return count;
    }
}

static void assert_goes_on(int count)
{
    struct store_task task = sample;
    struct answer a = ANSWER;
    ck_assert_int_gt(count, 3);
    ck_assert_int_lt(count, 1000);
    ck_assert(find(BYTES("t0"))->found);
    /* The end of a task needs less room than it had. */
    task.id = BYTES("t0");
    task.status = TASK_FAILED;
    task.payload = BYTES("{}");
    ck_assert_msg(change(&task), "%s", err.text);
    task.id = BYTES("t1");
    ck_assert_msg(change(&task), "%s", err.text);
    store_expire_tasks(store, INT64_MAX, expired, &a);
    wait_for(&a);
    ck_assert(!a.failed);
    ck_assert_uint_eq(a.removed, 2);
}

START_TEST(a_full_store)
{
    store_close(store);
    store = store_open(url, 1 << 20, &err);
    ck_assert_ptr_nonnull(store);
    int count = fill();
    ck_assert_msg(strstr(err.text, "is full") != NULL, "%s", err.text);
    assert_goes_on(count);
    ck_assert(add(&sample));
}
END_TEST

START_TEST(a_full_disk)
{
    const struct rlimit little = {2 << 20, 2 << 20};
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &little), 0);
    int count = fill();
    ck_assert_int_gt(count, 3);
    ck_assert_int_lt(count, 1000);
    ck_assert_msg(strstr(err.text, "is full") != NULL, "%s", err.text);
    ck_assert(find(BYTES("t0"))->found);
    open_again();
    ck_assert(find(BYTES("t0"))->found);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store");
    suite_add(suite,
              &(struct suite_case){
                  "kept", set_up, tear_down, 60,
                  SUITE_TESTS(every_member_comes_back_also_after_a_restart,
                              a_change_replaces_what_may_change_and_an_end_drops_the_request,
                              one_id_is_added_once_and_what_is_not_there_cannot_change,
                              work_in_line_is_done_in_order_and_each_for_itself,
                              expiry_takes_what_has_ended_and_is_over,
                              loading_shows_what_has_not_ended_oldest_first,
                              large_and_strange_texts, closing_does_what_waits_in_line,
                              a_process_that_is_killed_loses_nothing_it_was_told, in_memory)});
    suite_add(suite, &(struct suite_case){
                         "not kept", set_up, tear_down, 60,
                         SUITE_TESTS(files_that_are_not_ours, a_damaged_file, one_process_at_a_time,
                                     nobody_else_can_read_it, a_full_store, a_full_disk)});
    return suite_run(suite);
}
