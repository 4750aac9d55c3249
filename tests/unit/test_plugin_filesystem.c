/* SPDX-License-Identifier: MIT */
/*
 * plugins/filesystem: what it reads, writes and lists, and every known way out of the
 * allowed directory. Works in a temporary directory:
 *
 *     BASE/secret.txt, BASE/project2/secret.txt, ...   must never be seen
 *     BASE/project/                                    the allowed directory
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <linux/filter.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake_host.h"
#include "files.h"
#include "suite.h"

#define SECRET "the secret that must not leak"

static char base[64];
static char root[80];
static struct fake_host *host;

/* ---- the temporary directory ---- */

static void puts_in(const char *name, const char *text)
{
    files_put(files_path(root, name), text, strlen(text));
}

static void make_tree(void)
{
    static const char *const siblings[] = {"project2", "project_backup", "project-old",
                                           "projectile", "project.bak"};
    strcpy(base, "/tmp/mcpd-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(base));
    snprintf(root, sizeof(root), "%s/project", base);
    ck_assert_int_eq(mkdir(root, 0755), 0);
    ck_assert_int_eq(mkdir(files_path(root, "src"), 0755), 0);
    for (size_t i = 0; i < sizeof(siblings) / sizeof(siblings[0]); i++) {
        ck_assert_int_eq(mkdir(files_path(base, siblings[i]), 0755), 0);
        char name[64];
        snprintf(name, sizeof(name), "%s/secret.txt", siblings[i]);
        files_put(files_path(base, name), SECRET, strlen(SECRET));
    }
    files_put(files_path(base, "secret.txt"), SECRET, strlen(SECRET));
    puts_in("a.txt", "hello\n");
    puts_in("src/main.c", "int main;\n");
}

static void setup(void)
{
    make_tree();
    host = fake_host_new("filesystem", "{\"allowed_paths\":[\"%s\"],\"read_only\":false}", root);
    ck_assert_msg(host->running, "%s", host->fail_text);
}

static void teardown(void)
{
    fake_host_free(host);
    files_remove(base);
}

/* ---- asking ---- */

/* A JSON string of any characters; static in each thread. */
static const char *quoted(const char *text)
{
    static _Thread_local char out[65536];
    struct buf buf;
    buf_init(&buf, sizeof(out) - 1);
    json_write_string(&buf, bytes_of(text));
    ck_assert(!buf.failed);
    memcpy(out, buf.data, buf.size);
    out[buf.size] = '\0';
    buf_free(&buf);
    return out;
}

static struct fake_result *read_path(const char *path)
{
    return fake_callf(host, "read_file", "{\"path\":%s}", quoted(path));
}

static void assert_content(const char *path, const char *content)
{
    struct fake_result *r = read_path(path);
    ck_assert_msg(r->end == FAKE_RESULT, "%s: %s", path, r->text);
    ck_assert_str_eq(fake_at(r, "/content"), content);
    ck_assert_str_eq(r->text, content);
    fake_result_free(r);
}

/* The failure says `expected` and does not let the secret out. */
static void assert_failure(struct fake_result *r, const char *expected)
{
    ck_assert_ptr_null(strstr(r->text, SECRET));
    fake_assert_failure(r, expected);
}

/* No tool does anything with this path. */
static void assert_denied_json(const char *path_json)
{
    static const char *const calls[][2] = {
        {"read_file", "{\"path\":%s}"},
        {"list_directory", "{\"path\":%s}"},
        {"write_file", "{\"path\":%s,\"content\":\"overwritten\"}"},
        {"create_directory", "{\"path\":%s}"},
    };
    for (size_t i = 0; i < 4; i++) {
        char arguments[70000];
        const char *hole = strstr(calls[i][1], "%s");
        snprintf(arguments, sizeof(arguments), "%.*s%s%s", (int)(hole - calls[i][1]), calls[i][1],
                 path_json, hole + 2);
        struct fake_result *r = fake_call(host, calls[i][0], NULL, arguments);
        ck_assert_msg(r->end == FAKE_FAILURE, "%s %s: %s", calls[i][0], path_json, r->text);
        ck_assert_msg(strstr(r->text, SECRET) == NULL, "%s %s", calls[i][0], path_json);
        fake_result_free(r);
    }
    ck_assert_str_eq(files_get(files_path(base, "secret.txt")), SECRET);
    ck_assert_str_eq(files_get(files_path(base, "project2/secret.txt")), SECRET);
}

static void assert_denied(const char *path)
{
    assert_denied_json(quoted(path));
}

/* ---- reading ---- */

START_TEST(reads_by_relative_and_absolute_path)
{
    assert_content("a.txt", "hello\n");
    assert_content("src/main.c", "int main;\n");
    assert_content("./src/../a.txt", "hello\n");
    assert_content(files_path(root, "a.txt"), "hello\n");
    assert_content(files_path(root, "//src///main.c"), "int main;\n");
    struct fake_result *r = read_path("a.txt");
    ck_assert_str_eq(fake_at(r, "/path"), "a.txt");
    ck_assert_str_eq(fake_at(r, "/size"), "6");
    ck_assert_str_eq(fake_at(r, "/encoding"), "utf-8");
    ck_assert_str_eq(fake_at(r, "/eof"), "true");
    ck_assert(!fake_has(r, "/next_offset"));
    fake_result_free(r);
}
END_TEST

START_TEST(names_with_dots_are_ordinary)
{
    puts_in("..test", "1");
    puts_in("te..st", "2");
    puts_in("...", "3");
    assert_content("..test", "1");
    assert_content("te..st", "2");
    assert_content("...", "3");
}
END_TEST

START_TEST(empty_and_strange_text_is_exact)
{
    puts_in("empty", "");
    puts_in("strange", "\xef\xbb\xbf\"\\\x01\x7f\r\n\t\xf0\x9f\x98\x80\xc2\x85");
    assert_content("empty", "");
    assert_content("strange", "\xef\xbb\xbf\"\\\x01\x7f\r\n\t\xf0\x9f\x98\x80\xc2\x85");
}
END_TEST

START_TEST(what_is_not_text_is_read_in_base64)
{
    files_put(files_path(root, "binary"), "a\0\xff\xfe", 4);
    files_put(files_path(root, "latin1"), "caf\xe9", 4);
    files_put(files_path(root, "surrogate"), "x\xed\xa0\x80", 4);
    assert_failure(read_path("binary"), "base64");
    assert_failure(read_path("latin1"), "offset 3");
    assert_failure(read_path("surrogate"), "offset 1");
    struct fake_result *r =
        fake_callf(host, "read_file", "{\"path\":\"binary\",\"encoding\":\"base64\"}");
    ck_assert_str_eq(fake_at(r, "/content"), "YQD//g==");
    ck_assert_str_eq(fake_at(r, "/bytes"), "4");
    fake_result_free(r);
}
END_TEST

/* Parts go on where the part before ended, whatever the limit cuts. */
START_TEST(parts_put_together_are_the_file)
{
    static const char text[] = "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z\xc3\xa4";
    puts_in("parts", text);
    for (int limit = 4; limit <= 20; limit++) {
        char whole[64] = "", offset[32] = "0";
        for (int guard = 0; guard < 32; guard++) {
            struct fake_result *r =
                fake_callf(host, "read_file", "{\"path\":\"parts\",\"offset\":%s,\"limit\":%d}",
                           offset, limit);
            ck_assert_msg(r->end == FAKE_RESULT, "%s", r->text);
            strcat(whole, fake_at(r, "/content"));
            bool eof = strcmp(fake_at(r, "/eof"), "true") == 0;
            ck_assert_int_eq(eof, !fake_has(r, "/next_offset"));
            snprintf(offset, sizeof(offset), "%s", fake_at(r, "/next_offset"));
            fake_result_free(r);
            if (eof)
                break;
        }
        ck_assert_str_eq(whole, text);
    }
    assert_failure(fake_callf(host, "read_file", "{\"path\":\"parts\",\"offset\":2}"),
                   "inside a character");
    assert_failure(fake_callf(host, "read_file", "{\"path\":\"parts\",\"offset\":3,\"limit\":1}"),
                   "raise the limit");
    struct fake_result *r =
        fake_callf(host, "read_file", "{\"path\":\"parts\",\"offset\":9223372036854775807}");
    ck_assert_str_eq(fake_at(r, "/bytes"), "0");
    ck_assert_str_eq(fake_at(r, "/eof"), "true");
    fake_result_free(r);
}
END_TEST

START_TEST(large_files_are_read_in_parts)
{
    fake_host_free(host);
    host = fake_host_new("filesystem", "{\"allowed_paths\":[\"%s\"],\"max_file_size\":10}", root);
    puts_in("ten", "0123456789");
    puts_in("eleven", "0123456789x");
    assert_content("ten", "0123456789");
    /* The cap, and the mark. */
    struct fake_result *r = read_path("eleven");
    ck_assert_str_eq(fake_at(r, "/content"), "0123456789");
    ck_assert_str_eq(fake_at(r, "/eof"), "false");
    ck_assert_str_eq(fake_at(r, "/next_offset"), "10");
    ck_assert_str_eq(fake_whole_at(r, "/content/1/text"),
                     "[Bytes 0 to 9 of 11. There is more: go on with offset 10.]");
    fake_result_free(r);
    r = fake_callf(host, "read_file", "{\"path\":\"eleven\",\"offset\":6,\"limit\":10}");
    ck_assert_str_eq(fake_at(r, "/content"), "6789x");
    fake_result_free(r);
    assert_failure(fake_callf(host, "read_file", "{\"path\":\"eleven\",\"limit\":11}"),
                   "from 1 to 10");
}
END_TEST

START_TEST(what_is_no_file_is_named)
{
    assert_failure(read_path("src"), "is a directory");
    assert_failure(read_path("nothing"), "There is no nothing");
    assert_failure(read_path("a.txt/x"), "not a directory");
    ck_assert_int_eq(mkfifo(files_path(root, "fifo"), 0644), 0);
    assert_failure(read_path("fifo"), "a FIFO");
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", root);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    close(fd);
    assert_failure(read_path("socket"), "a socket");
    if (mknod(files_path(root, "null"), S_IFCHR | 0644, (1 << 8) | 3) == 0)
        assert_failure(read_path("null"), "a device");
}
END_TEST

/* ---- ways out ---- */

START_TEST(published_paths_lead_nowhere)
{
    static const char *const suffixes[] = {"2",
                                           "_backup",
                                           "-old",
                                           "ile",
                                           ".bak",
                                           "2/secret.txt",
                                           "/../project2",
                                           "/../project2/secret.txt",
                                           "/../secret.txt",
                                           "/../../../../../../etc/passwd",
                                           "/src/../../project2",
                                           "/src/../../secret.txt",
                                           "/..",
                                           "/../",
                                           "/src/../..",
                                           "/../../../../../../proc/self/root/etc/passwd"};
    static const char *const paths[] = {"/",
                                        "//",
                                        "/etc/passwd",
                                        "//etc/passwd",
                                        "/proc/self/root/etc/passwd",
                                        "/proc/self/environ",
                                        "/dev/stdin",
                                        "~/.ssh/id_rsa",
                                        "~root/.profile",
                                        "..",
                                        "../",
                                        "../secret.txt",
                                        "../project2/secret.txt",
                                        "src/../../secret.txt",
                                        "./../secret.txt",
                                        "",
                                        "file:///etc/passwd",
                                        "FILE:///etc/passwd",
                                        "file://evil/etc/passwd",
                                        "file:///etc%2fpasswd",
                                        "%2e%2e/secret.txt/x",
                                        "%c0%ae%c0%ae/secret.txt",
                                        "....//....//secret.txt",
                                        "..\\secret.txt/x",
                                        "\xe2\x80\xa5/secret.txt"};
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        char path[256];
        snprintf(path, sizeof(path), "%s%s", root, suffixes[i]);
        struct fake_result *r = read_path(path);
        ck_assert_msg(r->end == FAKE_FAILURE, "%s: %s", path, r->text);
        fake_result_free(r);
        assert_denied(path);
    }
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct fake_result *r = read_path(paths[i]);
        ck_assert_msg(r->end == FAKE_FAILURE, "%s: %s", paths[i], r->text);
        fake_result_free(r);
    }
    for (size_t i = 0; i < 16; i++)
        assert_denied(paths[i][0] == '~' ? "/" : paths[i]);
    /* As a URI, escaped once and twice. */
    static const char *const escapes[] = {"/../secret.txt", "/%2e%2e/secret.txt", "/%252e%252e/x"};
    for (int i = 0; i < 3; i++) {
        char path[256];
        snprintf(path, sizeof(path), "file://%s%s", root, escapes[i]);
        assert_denied(path);
    }
}
END_TEST

START_TEST(nul_characters_are_refused)
{
    char path[512];
    static const char *const forms[] = {"\"\\u0000%s\"", "\"%s\\u0000/etc/passwd\"",
                                        "\"%s/test\\u0000.txt\"", "\"%s/a.txt\\u0000\""};
    for (size_t i = 0; i < 4; i++) {
        const char *hole = strstr(forms[i], "%s");
        snprintf(path, sizeof(path), "%.*s%s%s", (int)(hole - forms[i]), forms[i], root, hole + 2);
        assert_denied_json(path);
    }
}
END_TEST

START_TEST(long_paths_are_refused)
{
    char path[8300];
    memset(path, 'a', sizeof(path));
    path[8299] = '\0';
    assert_denied(path);
    path[4096] = '\0';
    assert_denied(path);
    path[300] = '\0';
    assert_failure(read_path(path), "longer than the file system allows");
    /* 4095 bytes of way to the same directory: works, or says why, but does not fall over. */
    size_t used = 0;
    while (used < 4000)
        used += (size_t)snprintf(path + used, sizeof(path) - used, "src/../");
    strcpy(path + used, "a.txt");
    assert_content(path, "hello\n");
}
END_TEST

static void link_in(const char *target, const char *name)
{
    ck_assert_int_eq(symlink(target, files_path(root, name)), 0);
}

START_TEST(links_out_are_not_followed)
{
    link_in(files_path(base, "secret.txt"), "absolute");
    link_in("../secret.txt", "relative");
    link_in(base, "directory");
    link_in("..", "dotdot");
    link_in("relative", "chain1");
    link_in("chain1", "chain2");
    link_in("src/../../secret.txt", "winding");
    link_in("/proc/self/root", "procroot");
    link_in("/proc/self/cwd", "proccwd");
    link_in("/proc/self/fd/0", "procfd");
    link_in("loop", "loop");
    static const char *const names[] = {"absolute",
                                        "relative",
                                        "chain1",
                                        "chain2",
                                        "winding",
                                        "directory/secret.txt",
                                        "dotdot/secret.txt",
                                        "dotdot/project2/secret.txt",
                                        "procroot/etc/passwd",
                                        "proccwd/secret",
                                        "procfd",
                                        "loop",
                                        "loop/x"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_denied(names[i]);
    assert_failure(read_path("relative"), "leads out of the allowed directory");
    struct fake_result *r = fake_callf(host, "list_directory", "{\"path\":\"directory\"}");
    assert_failure(r, "leads out");
    r = fake_callf(host, "list_directory", "{\"path\":\".\",\"recursive\":true}");
    ck_assert_ptr_null(strstr(r->text, "secret.txt"));
    fake_result_free(r);
}
END_TEST

START_TEST(links_inside_are_followed)
{
    link_in("a.txt", "here");
    link_in("src", "sources");
    link_in("../a.txt", "src/up");
    assert_content("here", "hello\n");
    assert_content("sources/main.c", "int main;\n");
    assert_content("src/up", "hello\n");
    assert_content("sources/up", "hello\n");
}
END_TEST

START_TEST(writing_through_links_is_refused)
{
    link_in("a.txt", "here");
    link_in("../created-outside", "dangling");
    assert_failure(fake_callf(host, "write_file", "{\"path\":\"here\",\"content\":\"x\"}"),
                   "a symbolic link");
    assert_failure(fake_callf(host, "write_file", "{\"path\":\"dangling\",\"content\":\"x\"}"),
                   "a symbolic link");
    assert_denied("dangling/x");
    struct fake_result *r = fake_callf(host, "create_directory", "{\"path\":\"dangling\"}");
    ck_assert_int_eq(r->end, FAKE_FAILURE);
    fake_result_free(r);
    ck_assert_int_ne(access(files_path(base, "created-outside"), F_OK), 0);
    assert_content("a.txt", "hello\n");
}
END_TEST

START_TEST(hard_links_are_refused_unless_allowed)
{
    ck_assert_int_eq(link(files_path(base, "secret.txt"), files_path(root, "hard")), 0);
    assert_failure(read_path("hard"), "hard links");
    /* Replacing it is harmless: the other name keeps its file. */
    struct fake_result *r = fake_callf(host, "write_file", "{\"path\":\"hard\",\"content\":\"x\"}");
    ck_assert_int_eq(r->end, FAKE_STRUCTURED);
    fake_result_free(r);
    ck_assert_str_eq(files_get(files_path(base, "secret.txt")), SECRET);
    assert_content("hard", "x");
    ck_assert_int_eq(link(files_path(root, "a.txt"), files_path(root, "b.txt")), 0);
    fake_host_free(host);
    host =
        fake_host_new("filesystem", "{\"allowed_paths\":[\"%s\"],\"allow_hard_links\":true}", root);
    assert_content("b.txt", "hello\n");
}
END_TEST

START_TEST(an_allowed_directory_may_be_a_link_itself)
{
    ck_assert_int_eq(symlink(root, files_path(base, "link")), 0);
    fake_host_free(host);
    host = fake_host_new("filesystem", "{\"allowed_paths\":[\"%s/link/\"]}", base);
    ck_assert_msg(host->running, "%s", host->fail_text);
    assert_content("a.txt", "hello\n");
    assert_content(files_path(base, "link/a.txt"), "hello\n");
    assert_failure(read_path(files_path(root, "a.txt")), "not in an allowed directory");
}
END_TEST

START_TEST(several_directories)
{
    ck_assert_int_eq(mkdir(files_path(root, "src/deep"), 0755), 0);
    puts_in("src/deep/x", "deep");
    fake_host_free(host);
    host =
        fake_host_new("filesystem", "{\"allowed_paths\":[\"%s/project2\",\"%s/src\"]}", base, root);
    assert_content("secret.txt", SECRET); /* the first: relative paths */
    assert_content(files_path(root, "src/deep/x"), "deep");
    assert_failure(read_path("deep/x"), "There is no deep/x");
    assert_failure(read_path(files_path(root, "a.txt")), "not in an allowed directory");
    assert_failure(read_path(files_path(root, "src/../a.txt")), "leads out");
}
END_TEST

START_TEST(a_deleted_directory_is_told)
{
    ck_assert_int_eq(mkdir(files_path(base, "gone"), 0755), 0);
    fake_host_free(host);
    host = fake_host_new("filesystem", "{\"allowed_paths\":[\"%s/gone\"]}", base);
    ck_assert_int_eq(rmdir(files_path(base, "gone")), 0);
    assert_failure(read_path("x"), "has been deleted");
}
END_TEST

/* ---- races ---- */

static atomic_bool racing;

/* Exchanges two names in the root, as fast as it can. */
static void *exchange(void *names)
{
    const char *const *pair = names;
    char a[256], b[256];
    snprintf(a, sizeof(a), "%s/%s", root, pair[0]);
    snprintf(b, sizeof(b), "%s/%s", root, pair[1]);
    while (racing)
        syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, 2 /* RENAME_EXCHANGE */);
    return NULL;
}

#define TRIES (suite_is_slow() ? 200 : 2000)
static void race(const char *const pair[2], const char *path, int tries)
{
    pthread_t thread;
    racing = true;
    ck_assert_int_eq(pthread_create(&thread, NULL, exchange, (void *)(uintptr_t)pair), 0);
    int good = 0;
    /* On a busy machine the other one may be ahead of us for long. */
    for (int i = 0; i < tries || (good == 0 && i < 20 * tries); i++) {
        struct fake_result *r = read_path(path);
        ck_assert_msg(strstr(r->text, SECRET) == NULL, "leaked at try %d", i);
        good += r->end == FAKE_RESULT;
        fake_result_free(r);
        if (i % 16 != 0)
            continue;
        r = fake_callf(host, "write_file", "{\"path\":\"%s\",\"content\":\"mine\"}", path);
        fake_result_free(r);
        r = fake_callf(host, "create_directory", "{\"path\":\"%s-new/x\"}", path);
        fake_result_free(r);
    }
    racing = false;
    pthread_join(thread, NULL);
    ck_assert_msg(good > 0, "never won");
    ck_assert_str_eq(files_get(files_path(base, "project2/secret.txt")), SECRET);
    ck_assert_int_eq(files_count(files_path(base, "project2")), 1);
}

START_TEST(a_file_swapped_for_a_link_does_not_leak)
{
    static const char *const pair[2] = {"file", "link"};
    puts_in("file", "mine");
    link_in("../project2/secret.txt", "link");
    race(pair, "file", TRIES);
}
END_TEST

START_TEST(a_directory_swapped_for_a_link_does_not_leak)
{
    static const char *const pair[2] = {"dir", "link"};
    ck_assert_int_eq(mkdir(files_path(root, "dir"), 0755), 0);
    puts_in("dir/secret.txt", "mine");
    link_in("../project2", "link");
    race(pair, "dir/secret.txt", TRIES);
}
END_TEST

START_TEST(a_file_swapped_for_a_fifo_does_not_hang)
{
    static const char *const pair[2] = {"file", "fifo"};
    puts_in("file", "mine");
    ck_assert_int_eq(mkfifo(files_path(root, "fifo"), 0644), 0);
    race(pair, "file", TRIES / 2);
}
END_TEST

/* ---- writing ---- */

static struct fake_result *write_path(const char *path, const char *content)
{
    char arguments[4096];
    snprintf(arguments, sizeof(arguments), "{\"path\":\"%s\",\"content\":\"%s\"}", path, content);
    return fake_call(host, "write_file", NULL, arguments);
}

START_TEST(writes_new_and_old_files)
{
    struct fake_result *r = write_path("src/new.txt", "gr\xc3\xbc\xc3\x9f\\u0000e\\n");
    ck_assert_msg(r->end == FAKE_STRUCTURED, "%s", r->text);
    ck_assert_str_eq(fake_at(r, "/created"), "true");
    ck_assert_str_eq(fake_at(r, "/size"), "9");
    fake_result_free(r);
    struct stat st;
    ck_assert_int_eq(stat(files_path(root, "src/new.txt"), &st), 0);
    ck_assert_int_eq(st.st_size, 9);
    mode_t mask = umask(0);
    umask(mask);
    ck_assert_uint_eq(st.st_mode & 0777, 0666 & ~mask);
    ck_assert_int_eq(chmod(files_path(root, "a.txt"), 0640), 0);
    r = write_path("a.txt", "changed");
    ck_assert_str_eq(fake_at(r, "/created"), "false");
    fake_result_free(r);
    ck_assert_str_eq(files_get(files_path(root, "a.txt")), "changed");
    ck_assert_int_eq(stat(files_path(root, "a.txt"), &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0640);
    ck_assert_int_eq(files_count(root), 2); /* nothing temporary is left */
    ck_assert_int_eq(files_count(files_path(root, "src")), 2);
}
END_TEST

START_TEST(writes_base64)
{
    struct fake_result *r = fake_callf(
        host, "write_file", "{\"path\":\"b\",\"content\":\"AAH/\",\"encoding\":\"base64\"}");
    ck_assert_str_eq(fake_at(r, "/size"), "3");
    fake_result_free(r);
    ck_assert_int_eq(memcmp(files_get(files_path(root, "b")), "\0\1\377", 3), 0);
    static const char *const wrong[] = {"AAH", "AA=A", "A===", "AAH\\n", "AAF=", "AAH/ ", "-_8="};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_failure(fake_callf(host, "write_file",
                                  "{\"path\":\"c\",\"content\":\"%s\",\"encoding\":\"base64\"}",
                                  wrong[i]),
                       "not Base64");
    ck_assert_int_ne(access(files_path(root, "c"), F_OK), 0);
}
END_TEST

START_TEST(refuses_what_cannot_be_written)
{
    assert_failure(write_path("src", "x"), "a directory");
    assert_failure(write_path("src/", "x"), "names a directory");
    assert_failure(write_path(".", "x"), "names a directory");
    assert_failure(write_path("src/..", "x"), "names a directory");
    assert_failure(write_path("missing/x", "x"), "create_directory");
    assert_failure(write_path("a.txt/x", "x"), "not a directory");
    ck_assert_int_eq(mkfifo(files_path(root, "fifo"), 0644), 0);
    assert_failure(write_path("fifo", "x"), "a FIFO");
    fake_host_free(host);
    host = fake_host_new(
        "filesystem", "{\"allowed_paths\":[\"%s\"],\"read_only\":false,\"max_file_size\":4}", root);
    assert_failure(write_path("x", "12345"), "more than the 4");
    ck_assert_int_ne(access(files_path(root, "x"), F_OK), 0);
    fake_result_free(write_path("x", "1234"));
    ck_assert_str_eq(files_get(files_path(root, "x")), "1234");
}
END_TEST

static void *rewrite(void *data)
{
    (void)data;
    for (int i = 0; racing; i++)
        fake_result_free(
            write_path("whole", i % 2 == 0 ? "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" : "bbbbbbbb"));
    return NULL;
}

START_TEST(a_reader_sees_the_old_or_the_new_file)
{
    puts_in("whole", "bbbbbbbb");
    pthread_t threads[2];
    racing = true;
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, rewrite, NULL), 0);
    for (int i = 0; i < 2000; i++) {
        const char *seen = files_get(files_path(root, "whole"));
        ck_assert_msg(strcmp(seen, "bbbbbbbb") == 0 ||
                          strcmp(seen, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa") == 0,
                      "half: %s", seen);
    }
    racing = false;
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(files_count(root), 3);
}
END_TEST

START_TEST(a_cancelled_write_leaves_the_old_file)
{
    static const struct fake_options before = {.cancel_after_ms = -1};
    struct fake_result *r =
        fake_call(host, "write_file", &before, "{\"path\":\"a.txt\",\"content\":\"x\"}");
    assert_failure(r, "cancelled");
    ck_assert_str_eq(files_get(files_path(root, "a.txt")), "hello\n");
    ck_assert_int_eq(files_count(root), 2);
}
END_TEST

START_TEST(creates_directories)
{
    struct fake_result *r = fake_callf(host, "create_directory", "{\"path\":\"x/y//z/\"}");
    ck_assert_str_eq(fake_at(r, "/created"), "true");
    fake_result_free(r);
    ck_assert_int_eq(access(files_path(root, "x/y/z"), F_OK), 0);
    r = fake_callf(host, "create_directory", "{\"path\":\"%s/x/y/z\"}", root);
    ck_assert_str_eq(fake_at(r, "/created"), "false");
    fake_result_free(r);
    r = fake_callf(host, "create_directory", "{\"path\":\".\"}");
    ck_assert_str_eq(fake_at(r, "/created"), "false");
    fake_result_free(r);
    link_in("x/y", "inside");
    r = fake_callf(host, "create_directory", "{\"path\":\"inside/../w/./v\"}");
    ck_assert_msg(r->end == FAKE_STRUCTURED, "%s", r->text);
    fake_result_free(r);
    ck_assert_int_eq(access(files_path(root, "x/w/v"), F_OK), 0);
    assert_failure(fake_callf(host, "create_directory", "{\"path\":\"a.txt\"}"), "not a directory");
    assert_failure(fake_callf(host, "create_directory", "{\"path\":\"a.txt/b\"}"),
                   "not a directory");
}
END_TEST

/* ---- listing ---- */

START_TEST(lists_what_there_is)
{
    link_in("/etc/passwd", "link");
    ck_assert_int_eq(mkfifo(files_path(root, "fifo"), 0644), 0);
    struct fake_result *r = fake_callf(host, "list_directory", "{\"path\":\".\"}");
    ck_assert_msg(r->end == FAKE_STRUCTURED, "%s", r->text);
    static const char *const expected[][2] = {
        {"a.txt", "file"}, {"fifo", "other"}, {"link", "symlink"}, {"src", "directory"}};
    ck_assert_str_eq(fake_at(r, "/count"), "4");
    for (int i = 0; i < 4; i++) {
        char pointer[64];
        snprintf(pointer, sizeof(pointer), "/entries/%d/name", i);
        ck_assert_str_eq(fake_at(r, pointer), expected[i][0]);
        snprintf(pointer, sizeof(pointer), "/entries/%d/type", i);
        ck_assert_str_eq(fake_at(r, pointer), expected[i][1]);
    }
    ck_assert_str_eq(fake_at(r, "/entries/0/size"), "6");
    ck_assert_uint_eq(strlen(fake_at(r, "/entries/0/modified")), 20);
    ck_assert_ptr_null(strstr(r->text, "passwd"));
    fake_result_free(r);
    r = fake_callf(host, "list_directory", "{\"path\":\".\",\"recursive\":true}");
    ck_assert_str_eq(fake_at(r, "/count"), "5");
    ck_assert_str_eq(fake_at(r, "/entries/4/name"), "src/main.c");
    fake_result_free(r);
    assert_failure(fake_callf(host, "list_directory", "{\"path\":\"a.txt\"}"), "not a directory");
    assert_failure(fake_callf(host, "list_directory", "{\"path\":\"none\"}"), "There is no none");
    ck_assert_int_eq(mkdir(files_path(root, "void"), 0755), 0);
    r = fake_callf(host, "list_directory", "{\"path\":\"void\"}");
    ck_assert_str_eq(r->text, "The directory is empty.\n");
    fake_result_free(r);
}
END_TEST

START_TEST(ten_thousand_entries_are_cut_in_order)
{
    ck_assert_int_eq(mkdir(files_path(root, "many"), 0755), 0);
    int directory = open(files_path(root, "many"), O_RDONLY | O_DIRECTORY);
    for (int i = 0; i < 10000; i++) {
        char name[32];
        snprintf(name, sizeof(name), "f%05d", (i * 7919) % 10000);
        int fd = openat(directory, name, O_WRONLY | O_CREAT, 0644);
        ck_assert_int_ge(fd, 0);
        close(fd);
    }
    close(directory);
    struct fake_result *r = fake_callf(host, "list_directory", "{\"path\":\"many\"}");
    ck_assert_str_eq(fake_at(r, "/count"), "10000");
    ck_assert_str_eq(fake_at(r, "/truncated"), "false");
    ck_assert_str_eq(fake_at(r, "/entries/9999/name"), "f09999");
    fake_result_free(r);
    fake_host_free(host);
    host = fake_host_new("filesystem", "{\"allowed_paths\":[\"%s\"],\"max_entries\":100}", root);
    r = fake_callf(host, "list_directory", "{\"path\":\"many\"}");
    ck_assert_str_eq(fake_at(r, "/count"), "100");
    ck_assert_str_eq(fake_at(r, "/truncated"), "true");
    ck_assert_str_eq(fake_at(r, "/entries/0/name"), "f00000");
    ck_assert_str_eq(fake_at(r, "/entries/99/name"), "f00099");
    ck_assert_ptr_nonnull(strstr(r->text, "Not complete"));
    fake_result_free(r);
    r = fake_callf(host, "list_directory", "{\"path\":\".\",\"recursive\":true}");
    ck_assert_str_eq(fake_at(r, "/count"), "100");
    ck_assert_str_eq(fake_at(r, "/truncated"), "true");
    fake_result_free(r);
}
END_TEST

START_TEST(deep_directories_end_somewhere)
{
    files_nest(root, 300);
    struct fake_result *r =
        fake_callf(host, "list_directory", "{\"path\":\".\",\"recursive\":true}");
    ck_assert_str_eq(fake_at(r, "/truncated"), "true");
    ck_assert_ptr_nonnull(strstr(fake_at(r, "/truncated_because"), "nested too deeply"));
    fake_result_free(r);
}
END_TEST

START_TEST(strange_names_do_not_forge_lines)
{
    puts_in("two\nlines", "");
    puts_in("esc\x1b[8m", "");
    puts_in("latin\xe9", "");
    struct fake_result *r = fake_callf(host, "list_directory", "{\"path\":\".\"}");
    ck_assert_ptr_null(strchr(r->text, '\x1b'));
    ck_assert_ptr_nonnull(strstr(r->text, "\"two\\nlines\""));
    int lines = 0;
    for (const char *c = r->text; *c != '\0'; c++)
        lines += *c == '\n';
    ck_assert_int_eq(lines, 5);
    ck_assert_str_eq(fake_at(r, "/entries/1/name"), "esc\x1b[8m");
    ck_assert_str_eq(fake_at(r, "/entries/2/invalid_name"), "true");
    ck_assert(!fake_has(r, "/entries/1/invalid_name"));
    fake_result_free(r);
}
END_TEST

/* ---- life ---- */

START_TEST(read_only_is_the_default)
{
    fake_host_free(host);
    host = fake_host_new("filesystem", "{\"allowed_paths\":[\"%s\"]}", root);
    ck_assert_uint_eq(host->tool_count, 11);
    ck_assert_ptr_nonnull(fake_host_tool(host, "read_file"));
    ck_assert_ptr_nonnull(fake_host_tool(host, "list_directory"));
    /* A call of a tool that is not offered. */
    struct fake_tool *forged = &host->tools[0];
    static const uint64_t writing[] = {1, 3, 13, 14, 15, 99};
    for (size_t i = 0; i < sizeof(writing) / sizeof(writing[0]); i++) {
        forged->tag = writing[i];
        struct fake_result *r =
            fake_callf(host, "read_file", "{\"path\":\"forged\",\"content\":\"x\"}");
        ck_assert_int_eq(r->end, FAKE_REFUSED);
        fake_result_free(r);
    }
    ck_assert_int_eq(files_count(root), 2);
}
END_TEST

START_TEST(wrong_configurations_are_told_with_their_place)
{
    static const char *const wrong[][3] = {
        {"{}", "", "\"allowed_paths\" is missing"},
        {"{\"allowed_paths\":[]}", "", "missing or empty"},
        {"{\"allowed_paths\":[\"/\",\"tmp\"]}", "/allowed_paths/1", "absolute path"},
        {"{\"allowed_paths\":[7]}", "/allowed_paths/0", "absolute path"},
        {"{\"allowed_paths\":[\"/\\u0000\"]}", "/allowed_paths/0", "absolute path"},
        {"{\"allowed_paths\":[\"/nowhere/at/all\"]}", "/allowed_paths/0", "No such file"},
        {"{\"allowed_paths\":[\"/etc/passwd\"]}", "/allowed_paths/0", "Not a directory"},
        {"{\"allowed_paths\":[\"/\"],\"max_file_size\":0}", "/max_file_size", "from 1 to"},
        {"{\"allowed_paths\":[\"/\"],\"max_file_size\":\"1\"}", "/max_file_size", "integer"},
        {"{\"allowed_paths\":[\"/\"],\"read_only\":1}", "/read_only", "true or false"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        fake_assert_wrong("filesystem", wrong[i][0], wrong[i][1], wrong[i][2]);
}
END_TEST

/* 64 directories are allowed, as the schema says, and no more. */
START_TEST(as_many_directories_as_the_schema_says)
{
    for (int count = 64; count <= 65; count++) {
        struct buf paths;
        buf_init(&paths, 1 << 16);
        for (int i = 0; i < count; i++)
            buf_addf(&paths, "%s\"%s\"", i > 0 ? "," : "", root);
        struct fake_host *other =
            fake_host_new("filesystem", "{\"allowed_paths\":[%s]}", paths.data);
        ck_assert_msg(other->running == (count == 64), "%d: %s", count, other->fail_text);
        if (!other->running)
            ck_assert_str_eq(other->fail_pointer, "/allowed_paths");
        fake_host_free(other);
        buf_free(&paths);
    }
}
END_TEST

static bool openat2_is_here;

/* A kernel from before 5.6, as far as openat2 is concerned. */
static bool forbid_openat2(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = 4, .filter = filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

START_TEST(a_kernel_without_openat2_is_told)
{
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        if (openat2_is_here && !forbid_openat2())
            _exit(1);
        struct fake_host *other = fake_host_new("filesystem", "{\"allowed_paths\":[\"/\"]}");
        bool told = !other->running && strstr(other->fail_text, "does not offer openat2") != NULL;
        fake_host_free(other);
        _exit(told ? 0 : 2);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}
END_TEST

/* Without what the thread that watches has open for a moment. */
static int files_settled(void)
{
    int least = files_open();
    for (int i = 0; i < 100; i++) {
        usleep(1000);
        int now = files_open();
        least = now < least ? now : least;
    }
    return least;
}

START_TEST(instances_leave_nothing_open)
{
    int before = files_settled();
    for (int i = 0; i < 100; i++) {
        struct fake_host *other = fake_host_new("filesystem", "{\"allowed_paths\":[\"%s\"]}", root);
        ck_assert(other->running);
        fake_result_free(fake_callf(other, "read_file", "{\"path\":\"a.txt\"}"));
        fake_result_free(fake_callf(other, "read_file", "{\"path\":\"../secret.txt\"}"));
        fake_result_free(fake_callf(other, "list_directory", "{\"path\":\"src\"}"));
        fake_host_free(other);
    }
    ck_assert_int_eq(files_settled(), before);
}
END_TEST

static void *call_much(void *data)
{
    int number = *(int *)data;
    for (int i = 0; i < 200; i++) {
        char name[32];
        snprintf(name, sizeof(name), "t%d-%d", number, i % 7);
        fake_result_free(write_path(name, name));
        struct fake_result *r = read_path("a.txt");
        ck_assert_str_eq(r->text, "hello\n");
        fake_result_free(r);
        fake_result_free(fake_callf(host, "list_directory", "{\"path\":\".\"}"));
        fake_result_free(fake_callf(host, "create_directory", "{\"path\":\"n/%d/%d\"}", number, i));
    }
    return NULL;
}

START_TEST(many_threads_at_once)
{
    pthread_t threads[4];
    int numbers[4] = {0, 1, 2, 3};
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, call_much, &numbers[i]), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(files_count(files_path(root, "n")), 4);
    ck_assert_int_eq(files_count(files_path(root, "n/3")), 200);
}
END_TEST

static void add_cases(Suite *suite)
{
    SUITE_ADD(suite, "read", 60, reads_by_relative_and_absolute_path, names_with_dots_are_ordinary,
              empty_and_strange_text_is_exact, what_is_not_text_is_read_in_base64,
              parts_put_together_are_the_file, large_files_are_read_in_parts,
              what_is_no_file_is_named);
    SUITE_ADD(suite, "ways out", 60, published_paths_lead_nowhere, nul_characters_are_refused,
              long_paths_are_refused, links_out_are_not_followed, links_inside_are_followed,
              writing_through_links_is_refused, hard_links_are_refused_unless_allowed,
              an_allowed_directory_may_be_a_link_itself, several_directories,
              a_deleted_directory_is_told);
    SUITE_ADD(suite, "races", 60, a_file_swapped_for_a_link_does_not_leak,
              a_directory_swapped_for_a_link_does_not_leak,
              a_file_swapped_for_a_fifo_does_not_hang);
    SUITE_ADD(suite, "write", 60, writes_new_and_old_files, writes_base64,
              refuses_what_cannot_be_written, a_reader_sees_the_old_or_the_new_file,
              a_cancelled_write_leaves_the_old_file, creates_directories);
    SUITE_ADD(suite, "list", 60, lists_what_there_is, ten_thousand_entries_are_cut_in_order,
              deep_directories_end_somewhere, strange_names_do_not_forge_lines);
    SUITE_ADD(
        suite, "life", 60, read_only_is_the_default, wrong_configurations_are_told_with_their_place,
        as_many_directories_as_the_schema_says, instances_leave_nothing_open, many_threads_at_once);
}

int main(void)
{
    Suite *suite = suite_create("plugins/filesystem");
    TCase *kernel = tcase_create("kernel");
    tcase_add_test(kernel, a_kernel_without_openat2_is_told);
    suite_add_tcase(suite, kernel);
    openat2_is_here = files_openat2();
    if (openat2_is_here)
        add_cases(suite);
    else
        printf("All other cases are skipped: there is no openat2(2) here\n");
    return suite_run(suite);
}
