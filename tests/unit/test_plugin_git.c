/* SPDX-License-Identifier: MIT */
/*
 * plugins/git without the daemon: configuration, life, and what a call gets when it is
 * cancelled. What it reads and writes is compared with git in tests/integration/git, and
 * attacked in git_attacks. Works in a temporary directory:
 *
 *     BASE/secret/   a repository that must never be read
 *     BASE/allowed/repo/
 */
#include <check.h>
#include <dirent.h>
#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fake_host.h"
#include "files.h"
#include "suite.h"

static char base[64], allowed[80];
static struct fake_host *host;

/* ---- the temporary directory ---- */

static void shell(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void shell(const char *format, ...)
{
    char command[4096];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof(command), format, arguments);
    va_end(arguments);
    ck_assert_msg(system(command) == 0, "%s", command);
}

static void make_repository(const char *directory)
{
    shell("export HOME=/nonexistent GIT_CONFIG_NOSYSTEM=1 && mkdir -p %s && cd %s && "
          "git init -q -b main && echo hello >a.txt && git add a.txt && "
          "git -c user.name=A -c user.email=a@b commit -qm First",
          directory, directory);
}

static struct fake_host *start_host(void)
{
    return fake_host_new("git",
                         "{\"allowed_paths\":[\"%s\"],\"read_only\":false,\"author_name\":\"R\","
                         "\"author_email\":\"r@b\"}",
                         allowed);
}

static void setup(void)
{
    char directory[128];
    strcpy(base, "/tmp/mcpd-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(base));
    snprintf(allowed, sizeof(allowed), "%s/allowed", base);
    snprintf(directory, sizeof(directory), "%s/repo", allowed);
    make_repository(directory);
    snprintf(directory, sizeof(directory), "%s/secret", base);
    make_repository(directory);
    host = start_host();
    ck_assert_msg(host->running, "%s", host->fail_text);
}

static void teardown(void)
{
    fake_host_free(host);
    files_remove(base);
}

/* ---- configuration ---- */

START_TEST(configurations_that_are_wrong_are_refused_by_name)
{
    fake_assert_wrong("git", "{}", "", "allowed_paths");
    fake_assert_wrong("git", "{\"allowed_paths\":[]}", "", "allowed_paths");
    fake_assert_wrong("git", "{\"allowed_paths\":[\"relative\"]}", "/allowed_paths/0", "absolute");
    fake_assert_wrong("git", "{\"allowed_paths\":[\"/nowhere/at/all\"]}", "/allowed_paths/0",
                      "cannot open the directory /nowhere/at/all");
    fake_assert_wrong("git", "{\"allowed_paths\":[\"/\"],\"max_output\":1}", "/max_output", "1024");
    fake_assert_wrong("git", "{\"allowed_paths\":[\"/\"],\"max_object_size\":\"x\"}",
                      "/max_object_size", "integer");
    fake_assert_wrong("git", "{\"allowed_paths\":[\"/\"],\"read_only\":false}", "", "author_name");
    fake_assert_wrong("git", "{\"allowed_paths\":[\"/\"],\"author_name\":\"a <b>\"}",
                      "/author_name", "control characters");
    fake_assert_wrong("git", "{\"allowed_paths\":[\"/\"],\"author_email\":\"a\\nparent x\"}",
                      "/author_email", "control characters");
}
END_TEST

START_TEST(tools_that_write_are_there_only_when_they_may)
{
    struct fake_host *reader = fake_host_new("git", "{\"allowed_paths\":[\"%s\"]}", allowed);
    ck_assert(reader->running);
    ck_assert_uint_eq(reader->tool_count, 11);
    ck_assert_ptr_null(fake_host_tool(reader, "git_commit"));
    ck_assert_ptr_nonnull(fake_host_tool(host, "git_commit"));
    /* What reads is made at once, what writes one after the other. */
    ck_assert_uint_eq(fake_host_tool(host, "git_log")->flags, MCP_TOOL_THREAD_SAFE);
    ck_assert_uint_eq(fake_host_tool(host, "git_commit")->flags, 0);
    fake_host_free(reader);
}
END_TEST

/* ---- life ---- */

static size_t count_descriptors(void)
{
    size_t count = 0;
    DIR *directory = opendir("/proc/self/fd");
    ck_assert_ptr_nonnull(directory);
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

START_TEST(a_hundred_instances_leave_no_descriptor)
{
    size_t before = 0;
    for (int i = 0; i < 100; i++) {
        struct fake_host *other = start_host();
        struct fake_result *r = fake_callf(other, "git_status", "{\"repo_path\":\"repo\"}");
        ck_assert_str_eq(r->text, "## main\n");
        fake_result_free(r);
        /* A repository that is refused is closed, too. */
        fake_assert_failure(fake_callf(other, "git_status", "{\"repo_path\":\"../secret\"}"),
                            "leads out of the allowed directory");
        fake_host_free(other);
        if (i == 10)
            before = count_descriptors();
    }
    ck_assert_uint_eq(count_descriptors(), before);
    /* The last of the others did not take libgit2 away. */
    struct fake_result *r = fake_callf(host, "git_log", "{\"repo_path\":\"repo\"}");
    ck_assert_str_eq(fake_at(r, "/commits/0/message"), "First");
    fake_result_free(r);
}
END_TEST

static void *ask_often(void *unused)
{
    (void)unused;
    for (int i = 0; i < 50; i++) {
        struct fake_result *r = fake_callf(host, "git_show", "{\"repo_path\":\"repo\"}");
        ck_assert_str_eq(fake_at(r, "/files/0/path"), "a.txt");
        fake_result_free(r);
    }
    return NULL;
}

START_TEST(calls_at_once_do_not_meet)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, ask_often, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}
END_TEST

/* ---- calls ---- */

START_TEST(a_cancelled_call_ends_at_once)
{
    static const char *const calls[][2] = {
        {"git_status", "{\"repo_path\":\"repo\"}"},
        {"git_log", "{\"repo_path\":\"repo\"}"},
        {"git_blame", "{\"repo_path\":\"repo\",\"path\":\"a.txt\"}"},
        {"git_commit", "{\"repo_path\":\"repo\",\"message\":\"x\"}"},
    };
    struct fake_options cancelled = {.cancel_after_ms = -1};
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        fake_assert_failure(fake_call(host, calls[i][0], &cancelled, calls[i][1]), "cancelled");
}
END_TEST

/* libgit2 does not free the entries of an index that it does not make to the end. */
START_TEST(a_reset_that_is_cancelled_in_the_middle_keeps_no_memory)
{
    shell("export HOME=/nonexistent GIT_CONFIG_NOSYSTEM=1 && cd %s/repo && "
          "blob=$(git hash-object a.txt) && "
          "seq 100000 | sed \"s/^/100644 blob $blob\tf/\" | git mktree >../tree && "
          "git -c user.name=A -c user.email=a@b commit-tree -m Many $(cat ../tree) >../commit && "
          "git update-ref HEAD $(cat ../commit)",
          allowed);
    struct fake_result *r = fake_call(host, "git_reset", NULL, "{\"repo_path\":\"repo\"}");
    int64_t whole_ms = r->took_ms;
    fake_result_free(r);
    size_t before = mallinfo2().uordblks;
    for (int i = 1; i <= 40; i++) {
        struct fake_options cancelled = {.cancel_after_ms = 1 + (int)(whole_ms * i / 40)};
        fake_result_free(fake_call(host, "git_reset", &cancelled, "{\"repo_path\":\"repo\"}"));
    }
    size_t after = mallinfo2().uordblks;
    ck_assert_msg(after < before + ((size_t)4 << 20), "%zu bytes more", after - before);
}
END_TEST

START_TEST(the_environment_and_the_users_configuration_count_for_nothing)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/home", base);
    mkdir(path, 0755);
    shell("printf '[core]\\n\\tquotePath = false\\n\\texcludesFile = "
          "%s/ignore\\n[include]\\n\\tpath = "
          "/nonexistent\\n' >%s/.gitconfig && echo '*' >%s/ignore && echo x >%s/repo/ü.txt",
          base, path, base, allowed);
    setenv("HOME", path, 1);
    setenv("XDG_CONFIG_HOME", path, 1);
    setenv("GIT_DIR", "/nonexistent", 1);
    setenv("GIT_OBJECT_DIRECTORY", "/nonexistent", 1);
    setenv("GIT_INDEX_FILE", "/nonexistent", 1);
    struct fake_host *other = start_host();
    struct fake_result *r = fake_callf(other, "git_status", "{\"repo_path\":\"repo\"}");
    ck_assert_str_eq(r->text, "## main\n?? \"\\303\\274.txt\"\n");
    fake_result_free(r);
    fake_host_free(other);
}
END_TEST

START_TEST(ours_is_the_default_repository)
{
    struct fake_host *one = fake_host_new("git", "{\"allowed_paths\":[\"%s/repo\"]}", allowed);
    struct fake_result *r = fake_call(one, "git_show_file", NULL, "{\"path\":\"a.txt\"}");
    ck_assert_str_eq(fake_at(r, "/content"), "hello\n");
    fake_result_free(r);
    /* The allowed directory is its work tree, and nothing above. */
    fake_assert_failure(fake_call(one, "git_status", NULL, "{\"repo_path\":\"..\"}"),
                        "leads out of the allowed directory");
    fake_host_free(one);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plugins/git");
    suite_add(suite,
              &(struct suite_case){"configuration", setup, teardown, 60,
                                   SUITE_TESTS(configurations_that_are_wrong_are_refused_by_name,
                                               tools_that_write_are_there_only_when_they_may)});
    suite_add(suite, &(struct suite_case){"life", setup, teardown, 120,
                                          SUITE_TESTS(a_hundred_instances_leave_no_descriptor,
                                                      calls_at_once_do_not_meet)});
    suite_add(suite,
              &(struct suite_case){
                  "calls", setup, teardown, 60,
                  SUITE_TESTS(a_cancelled_call_ends_at_once,
                              a_reset_that_is_cancelled_in_the_middle_keeps_no_memory,
                              ours_is_the_default_repository,
                              the_environment_and_the_users_configuration_count_for_nothing)});
    return suite_run(suite);
}
