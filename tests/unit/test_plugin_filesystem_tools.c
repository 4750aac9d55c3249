/* SPDX-License-Identifier: MIT */
/*
 * plugins/filesystem: edits, moves, searches, trees, lines and media, at their edges. The
 * ways out are in test_plugin_filesystem.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fake_host.h"
#include "files.h"
#include "suite.h"

static char root[80];
static struct fake_host *host;

static const char *in(const char *name)
{
    return files_path(root, name);
}

static void put(const char *name, const char *text)
{
    files_put(in(name), text, strlen(text));
}

static void assert_file(const char *name, const char *text)
{
    ck_assert_str_eq(files_get(in(name)), text);
}

static void begin(const char *more)
{
    if (host != NULL)
        fake_host_free(host);
    host = fake_host_new("filesystem", "{\"allowed_paths\":[\"%s\"],\"read_only\":false%s}", root,
                         more);
    ck_assert_msg(host->running, "%s", host->fail_text);
}

static void setup(void)
{
    strcpy(root, "/tmp/mcpd-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    host = NULL;
    begin("");
}

static void teardown(void)
{
    fake_host_free(host);
    host = NULL;
    files_remove(root);
}

static void edit(const char *name, const char *edits, bool dry_run)
{
    struct fake_result *r =
        fake_callf(host, "edit_file", "{\"path\":\"%s\",\"edits\":%s,\"dryRun\":%s}", name, edits,
                   dry_run ? "true" : "false");
    ck_assert_msg(r->end == FAKE_STRUCTURED, "%s", r->text);
    ck_assert_str_eq(fake_at(r, "/written"), dry_run ? "false" : "true");
    fake_result_free(r);
}

static void refuse_edit(const char *name, const char *edits, const char *words)
{
    fake_assert_failure(
        fake_callf(host, "edit_file", "{\"path\":\"%s\",\"edits\":%s}", name, edits), words);
}

/* ---- edit_file ---- */

START_TEST(edits_follow_each_other)
{
    put("f", "one\ntwo\ntwo\n");
    ck_assert_int_eq(chmod(in("f"), 0640), 0);
    edit("f", "[{\"oldText\":\"two\",\"newText\":\"three\"}]", true);
    assert_file("f", "one\ntwo\ntwo\n");
    edit("f",
         "[{\"oldText\":\"two\",\"newText\":\"three\"},{\"oldText\":\"three\",\"newText\":\"\"}]",
         false);
    assert_file("f", "one\n\ntwo\n");
    struct stat st;
    ck_assert_int_eq(stat(in("f"), &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0640);
    edit("f", "[{\"oldText\":\"\",\"newText\":\"zero\\n\"}]", false);
    assert_file("f", "zero\none\n\ntwo\n");
    ck_assert_int_eq(files_count(root), 1);
}
END_TEST

START_TEST(all_edits_or_none)
{
    put("f", "one\n");
    refuse_edit("f",
                "[{\"oldText\":\"one\",\"newText\":\"1\"},{\"oldText\":\"two\",\"newText\":\"2\"}]",
                "Edit 2: oldText is not in f");
    refuse_edit("f", "[]", "1 to 1000 edits");
    refuse_edit("f", "[{\"oldText\":\"one\"}]", "Edit 1 has no newText");
    refuse_edit("f", "[{\"oldText\":1,\"newText\":\"\"}]", "oldText of edit 1 must be a string");
    assert_file("f", "one\n");
    put("latin", "caf\xe9\n");
    refuse_edit("latin", "[{\"oldText\":\"caf\",\"newText\":\"x\"}]", "not UTF-8");
    ck_assert_int_eq(symlink("f", in("link")), 0);
    refuse_edit("link", "[{\"oldText\":\"one\",\"newText\":\"x\"}]", "symbolic link");
    assert_file("f", "one\n");
    begin(",\"max_file_size\":8");
    refuse_edit("f", "[{\"oldText\":\"one\",\"newText\":\"123456789\"}]", "more than the 8 bytes");
    assert_file("f", "one\n");
}
END_TEST

START_TEST(white_space_at_the_ends_of_lines_does_not_matter)
{
    put("f", "if (a) {\n\tfirst();  \n\tsecond();\n}\n");
    edit("f", "[{\"oldText\":\"first();\\nsecond();\",\"newText\":\"third();\\n  fourth();\"}]",
         false);
    assert_file("f", "if (a) {\n\tthird();\n  fourth();\n}\n");
}
END_TEST

START_TEST(line_ends_stay)
{
    put("crlf", "one\r\ntwo\r\n");
    edit("crlf", "[{\"oldText\":\"one\\ntwo\",\"newText\":\"1\\n2\"}]", false);
    assert_file("crlf", "1\r\n2\r\n");
    edit("crlf", "[{\"oldText\":\"1\\r\\n2\",\"newText\":\"a\\r\\nb\"}]", false);
    assert_file("crlf", "a\r\nb\r\n");
    put("mixed", "one\r\ntwo\nthree\r\n");
    edit("mixed", "[{\"oldText\":\"two\",\"newText\":\"2\"}]", false);
    assert_file("mixed", "one\r\n2\nthree\r\n");
}
END_TEST

static void assert_diff(const char *before, const char *old, const char *with, const char *expected)
{
    put("d", before);
    struct fake_result *r = fake_callf(
        host, "edit_file",
        "{\"path\":\"d\",\"edits\":[{\"oldText\":\"%s\",\"newText\":\"%s\"}],\"dryRun\":true}", old,
        with);
    ck_assert_msg(r->end == FAKE_STRUCTURED, "%s", r->text);
    const char *hunks = strstr(fake_at(r, "/diff"), "\tmodified\n");
    ck_assert_ptr_nonnull(hunks);
    ck_assert_str_eq(hunks + 10, expected);
    fake_result_free(r);
}

START_TEST(diffs_are_exact)
{
    assert_diff("a\nb\nc\n", "b", "x", "@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n");
    assert_diff("", "", "new\\n", "@@ -0,0 +1,1 @@\n+new\n");
    assert_diff("old\n", "old\\n", "", "@@ -1,1 +0,0 @@\n-old\n");
    assert_diff("a", "a", "b",
                "@@ -1,1 +1,1 @@\n-a\n\\ No newline at end of file\n+b\n"
                "\\ No newline at end of file\n");
    assert_diff("same\n", "same", "same", "");
    /* Nine equal lines in between make two hunks, eight one. */
    assert_diff("A\n1\n2\n3\n4\n5\n6\n7\n8\nA\n", "A\\n1\\n2\\n3\\n4\\n5\\n6\\n7\\n8\\nA",
                "B\\n1\\n2\\n3\\n4\\n5\\n6\\n7\\n8\\nB",
                "@@ -1,10 +1,10 @@\n-A\n+B\n 1\n 2\n 3\n 4\n 5\n 6\n 7\n 8\n-A\n+B\n");
    assert_diff("A\n1\n2\n3\n4\n5\n6\n7\n8\n9\nA\n", "A\\n1\\n2\\n3\\n4\\n5\\n6\\n7\\n8\\n9\\nA",
                "B\\n1\\n2\\n3\\n4\\n5\\n6\\n7\\n8\\n9\\nB",
                "@@ -1,5 +1,5 @@\n-A\n+B\n 1\n 2\n 3\n 4\n"
                "@@ -7,5 +7,5 @@\n 6\n 7\n 8\n 9\n-A\n+B\n");
}
END_TEST

START_TEST(a_diff_of_everything_is_bounded)
{
    static char text[4096 * 3], arguments[65536];
    for (int i = 0; i < 4000; i++)
        memcpy(text + 3 * (size_t)i, i % 2 != 0 ? "ab\n" : "cd\n", 3);
    text[12000] = '\0';
    put("d", text);
    size_t used = (size_t)snprintf(arguments, sizeof(arguments),
                                   "{\"path\":\"d\",\"dryRun\":true,"
                                   "\"edits\":[");
    for (int i = 0; i < 999; i++)
        used += (size_t)snprintf(arguments + used, sizeof(arguments) - used,
                                 "{\"oldText\":\"ab\\ncd\",\"newText\":\"%d\\n\"},", i);
    snprintf(arguments + used, sizeof(arguments) - used,
             "{\"oldText\":\"ab\",\"newText\":\"x\"}]}");
    struct fake_result *r = fake_call(host, "edit_file", NULL, arguments);
    ck_assert_msg(r->end == FAKE_STRUCTURED, "%s", r->text);
    ck_assert_ptr_nonnull(strstr(r->text, "@@ -1,"));
    fake_result_free(r);
    begin(",\"max_output\":100");
    r = fake_call(host, "edit_file", NULL, arguments);
    ck_assert_str_eq(fake_at(r, "/truncated"), "true");
    ck_assert_uint_le(strlen(fake_at(r, "/diff")), 100);
    ck_assert_ptr_nonnull(strstr(r->text, "[Not complete: the diff is larger"));
    fake_result_free(r);
}
END_TEST

/* ---- move_file ---- */

static void refuse_move(const char *from, const char *to, const char *words)
{
    fake_assert_failure(
        fake_callf(host, "move_file", "{\"source\":\"%s\",\"destination\":\"%s\"}", from, to),
        words);
}

START_TEST(moves_replace_nothing)
{
    put("a", "a\n");
    put("b", "b\n");
    ck_assert_int_eq(mkdir(in("dir"), 0755), 0);
    refuse_move("a", "b", "exists already");
    refuse_move("a", "dir", "exists already");
    refuse_move("missing", "c", "There is no missing");
    refuse_move("a", "none/c", "no directory for none/c");
    refuse_move("dir", "dir/inner", "inside it");
    refuse_move(".", "c", "allowed directory itself");
    refuse_move("dir/..", "c", "names a directory");
    refuse_move("../a", "c", "leads out");
    refuse_move("a", "../c", "leads out");
    assert_file("a", "a\n");
    fake_result_free(
        fake_callf(host, "move_file", "{\"source\":\"dir/\",\"destination\":\"other/\"}"));
    fake_result_free(
        fake_callf(host, "move_file", "{\"source\":\"a\",\"destination\":\"other/c\"}"));
    assert_file("other/c", "a\n");
    ck_assert_int_ne(access(in("a"), F_OK), 0);
}
END_TEST

/* ---- searches ---- */

static void plant(void)
{
    static const char *const directories[] = {"src", "src/deep", "src/deep/er", "docs", ".dot"};
    static const char *const files[] = {
        "a.txt",     "b.c",      "src/a.c", "src/deep/b.c",        "src/deep/er/c.h",
        "docs/x.md", ".dot/y.c", "[odd].c", "gr\xc3\xbc\xc3\x9f.c"};
    for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++)
        ck_assert_int_eq(mkdir(in(directories[i]), 0755), 0);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        put(files[i], "text of it\n");
}

/* The matches, relative, with spaces between them. */
static void assert_found(const char *pattern, const char *exclude, const char *expected)
{
    char found[4096] = "";
    struct fake_result *r = fake_callf(
        host, "search_files", "{\"path\":\".\",\"pattern\":\"%s\",\"excludePatterns\":[%s]}",
        pattern, exclude);
    ck_assert_msg(r->end == FAKE_STRUCTURED, "%s: %s", pattern, r->text);
    for (int i = 0;; i++) {
        char pointer[40];
        snprintf(pointer, sizeof(pointer), "/matches/%d", i);
        const char *path = fake_at(r, pointer);
        if (path[0] == '\0')
            break;
        strcat(found, found[0] != '\0' ? " " : "");
        strcat(found, path + strlen(root) + 1);
    }
    ck_assert_msg(strcmp(found, expected) == 0, "%s: %s", pattern, found);
    fake_result_free(r);
}

START_TEST(globs_match_what_they_say)
{
    plant();
    assert_found("*.c", "", "[odd].c b.c gr\xc3\xbc\xc3\x9f.c");
    assert_found("**/*.c", "", ".dot/y.c [odd].c b.c gr\xc3\xbc\xc3\x9f.c src/a.c src/deep/b.c");
    assert_found("src/**", "", "src/a.c src/deep src/deep/b.c src/deep/er src/deep/er/c.h");
    assert_found("**/deep/**/*.{c,h}", "", "src/deep/b.c src/deep/er/c.h");
    assert_found("{src,docs}/?.*", "", "docs/x.md src/a.c");
    assert_found("./b.c", "", "b.c");
    assert_found("[ab].*", "", "a.txt b.c");
    assert_found("[!a].c", "", "b.c");
    assert_found("\\\\[odd].c", "", "[odd].c");
    assert_found("gr??.c", "", "gr\xc3\xbc\xc3\x9f.c");
    assert_found("gr[\xc3\xa0-\xc3\xbf]*.c", "", "gr\xc3\xbc\xc3\x9f.c");
    assert_found("**/*.c", "\"src/**\",\".dot\"", "[odd].c b.c gr\xc3\xbc\xc3\x9f.c");
    assert_found("{b,{a,c}}.{c,txt}", "", "a.txt b.c");
    assert_found("{b.c", "", "");
    assert_found("[b.c", "", "");
    assert_found("../*", "", "");
}
END_TEST

START_TEST(patterns_are_bounded)
{
    plant();
    put("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "");
    assert_found("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", "", "");
    assert_found("**/**/**/**/**/**/**/**/**/**/**/**/**/**/x", "", "");
    fake_assert_failure(
        fake_callf(host, "search_files",
                   "{\"path\":\".\",\"pattern\":\"{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}\"}"),
        "64 others at most");
    fake_assert_failure(fake_callf(host, "search_files", "{\"path\":\".\",\"pattern\":\"\"}"),
                        "1 to 1024 bytes");
    fake_assert_failure(fake_callf(host, "search_files", "{\"path\":\"a.txt\",\"pattern\":\"*\"}"),
                        "not a directory");
    begin(",\"max_entries\":3");
    struct fake_result *r = fake_callf(host, "search_files", "{\"path\":\".\",\"pattern\":\"**\"}");
    ck_assert_str_eq(fake_at(r, "/truncated"), "true");
    ck_assert_ptr_nonnull(strstr(r->text, "[Not complete: there are more matches"));
    fake_result_free(r);
    r = fake_callf(host, "directory_tree", "{\"path\":\".\"}");
    ck_assert_str_eq(fake_at(r, "/truncated"), "true");
    fake_result_free(r);
}
END_TEST

START_TEST(content_is_searched_in_lines)
{
    static char text[600000];
    memset(text, 'x', sizeof(text) - 1);
    memcpy(text + 300000, "needle", 6);
    text[100] = text[200] = '\n';
    put("long", text);
    put("latin", "caf\xe9 needle\n");
    ck_assert_int_eq(link(in("latin"), in("twice")), 0);
    put("b", "a\nthe needle \r\n\nneedle at the end");
    struct fake_result *r =
        fake_callf(host, "search_content", "{\"path\":\".\",\"pattern\":\"needle\"}");
    ck_assert_msg(r->end == FAKE_STRUCTURED, "%s", r->text);
    ck_assert_str_eq(fake_at(r, "/matches/0/path"), "b");
    ck_assert_str_eq(fake_at(r, "/matches/0/line"), "2");
    ck_assert_str_eq(fake_at(r, "/matches/0/text"), "the needle ");
    ck_assert_str_eq(fake_at(r, "/matches/1/line"), "4");
    ck_assert_str_eq(fake_at(r, "/matches/2/path"), "long");
    ck_assert_str_eq(fake_at(r, "/matches/2/line"), "3");
    ck_assert_str_eq(fake_at(r, "/matches/2/cut"), "true");
    ck_assert(!fake_has(r, "/matches/3"));
    ck_assert_str_eq(fake_at(r, "/skipped"), "2"); /* of several names */
    fake_result_free(r);
    ck_assert_int_eq(unlink(in("twice")), 0);
    r = fake_callf(host, "search_content",
                   "{\"path\":\".\",\"pattern\":\"^caf. N\","
                   "\"regex\":true,\"ignoreCase\":true}");
    ck_assert_msg(r->end == FAKE_STRUCTURED, "%s", r->text);
    fake_result_free(r);
    fake_assert_failure(
        fake_callf(host, "search_content", "{\"path\":\".\",\"pattern\":\"(?<x\",\"regex\":true}"),
        "The pattern is wrong at");
}
END_TEST

/* ---- lines ---- */

static void assert_lines(const char *name, const char *which, int count, const char *expected)
{
    struct fake_result *r =
        fake_callf(host, "read_text_file", "{\"path\":\"%s\",\"%s\":%d}", name, which, count);
    ck_assert_msg(r->end == FAKE_RESULT, "%s", r->text);
    ck_assert_str_eq(fake_at(r, "/content"), expected);
    ck_assert_str_eq(fake_at(r, "/truncated"), "false");
    fake_result_free(r);
}

START_TEST(heads_and_tails)
{
    put("f", "a\nb\n\nc\n");
    assert_lines("f", "head", 1, "a");
    assert_lines("f", "head", 3, "a\nb\n");
    assert_lines("f", "head", 9, "a\nb\n\nc");
    assert_lines("f", "tail", 1, "c");
    assert_lines("f", "tail", 3, "b\n\nc");
    assert_lines("f", "tail", 9, "a\nb\n\nc");
    put("g", "\n");
    assert_lines("g", "head", 1, "");
    assert_lines("g", "tail", 1, "");
    put("e", "");
    assert_lines("e", "head", 1, "");
    assert_lines("e", "tail", 1, "");
}
END_TEST

START_TEST(what_is_cut_is_whole_characters_and_marked)
{
    put("f", "gr\xc3\xbc\xc3\x9f\xc3\xbc\xc3\x9f");
    begin(",\"max_output\":5");
    struct fake_result *r = fake_callf(host, "read_text_file", "{\"path\":\"f\"}");
    ck_assert_str_eq(fake_at(r, "/content"), "gr\xc3\xbc");
    ck_assert_str_eq(fake_at(r, "/truncated"), "true");
    ck_assert_ptr_nonnull(strstr(fake_whole_at(r, "/content/1/text"), "[Not complete: 4 of 10"));
    fake_result_free(r);
    r = fake_callf(host, "read_text_file", "{\"path\":\"f\",\"tail\":1}");
    ck_assert_str_eq(fake_at(r, "/content"), "\xc3\xbc\xc3\x9f");
    ck_assert_str_eq(fake_at(r, "/truncated"), "true");
    fake_result_free(r);
    r = fake_callf(host, "read_multiple_files", "{\"paths\":[\"f\",\"f\",\"none\"]}");
    ck_assert_str_eq(fake_at(r, "/files/0/content"), "gr\xc3\xbc");
    ck_assert_str_eq(fake_at(r, "/files/1/content"), "g");
    ck_assert_str_eq(fake_at(r, "/files/2/error"), "There is no none.");
    ck_assert_str_eq(fake_at(r, "/truncated"), "true");
    fake_result_free(r);
    r = fake_callf(host, "read_multiple_files", "{\"paths\":[]}");
    fake_assert_failure(r, "1 to 1000 files");
}
END_TEST

/* ---- completion ---- */

static void complete(const char *typed, const char *expected)
{
    char uri_template[128], arguments[512];
    snprintf(uri_template, sizeof(uri_template), "file://%s/{+path}", root);
    snprintf(arguments, sizeof(arguments), "{\"argument\":{\"name\":\"path\",\"value\":\"%s\"}}",
             typed);
    struct fake_result *r = fake_complete(host, uri_template, arguments);
    ck_assert_msg(r->end == FAKE_RESULT, "%s: %s", typed, r->text);
    ck_assert_str_eq(fake_whole_at(r, ""), expected);
    fake_result_free(r);
}

#define NOTHING "{\"values\":[],\"hasMore\":false}"

START_TEST(paths_are_completed)
{
    static const char *const nothing[] = {
        "x",        "none/", "../",     "..",     "sub/../../", "%2e%2e/", "%2e%2e%2f",
        "/etc/pas", "out/",  "out/pas", "linked", "fifo",       "latin",   "a.txt/",
        "%zz",      "%00/",  "sub%2fa", "a%00",   "outside"};
    ck_assert_int_eq(mkdir(in("sub"), 0755), 0);
    put("sub/a", "1");
    put("sub/b", "2");
    put("a b", "3");
    put("100%?#.txt", "4");
    put("linked", "5");
    put("latin\xe9", "6");
    ck_assert_int_eq(link(in("linked"), in("linked2")), 0);
    ck_assert_int_eq(symlink("/etc", in("out")), 0);
    ck_assert_int_eq(symlink("../..", in("outside")), 0);
    ck_assert_int_eq(symlink("sub", in("slink")), 0);
    ck_assert_int_eq(symlink("../a b", in("sub/up")), 0);
    ck_assert_int_eq(mkfifo(in("fifo"), 0644), 0);
    complete("",
             "{\"values\":[\"100%25%3F%23.txt\",\"a b\",\"slink/\",\"sub/\"],\"hasMore\":false}");
    complete("s", "{\"values\":[\"slink/\",\"sub/\"],\"hasMore\":false}");
    complete("sub/", "{\"values\":[\"sub/a\",\"sub/b\",\"sub/up\"],\"hasMore\":false}");
    complete("slink/b", "{\"values\":[\"slink/b\"],\"hasMore\":false}");
    complete("sub/../a", "{\"values\":[\"sub/../a b\"],\"hasMore\":false}");
    complete("/sub/a", "{\"values\":[\"/sub/a\"],\"hasMore\":false}");
    complete("a%20", "{\"values\":[\"a b\"],\"hasMore\":false}");
    for (size_t i = 0; i < 3; i++)
        complete(((const char *const[]){"100%", "100%2", "100%25"})[i],
                 "{\"values\":[\"100%25%3F%23.txt\"],\"hasMore\":false}");
    for (size_t i = 0; i < sizeof(nothing) / sizeof(nothing[0]); i++)
        complete(nothing[i], NOTHING);
    struct fake_result *r = fake_complete(host, "file:///etc/{+path}",
                                          "{\"argument\":{\"name\":\"path\",\"value\":\"\"}}");
    ck_assert_str_eq(fake_whole_at(r, ""), NOTHING);
    fake_result_free(r);
    begin(",\"allow_hard_links\":true");
    complete("li", "{\"values\":[\"linked\",\"linked2\"],\"hasMore\":false}");
}
END_TEST

START_TEST(a_hundred_paths_are_offered)
{
    char name[40];
    for (int i = 0; i < 1200; i++) {
        snprintf(name, sizeof(name), "%c%04d", i % 12 == 0 ? 'x' : 'y', i);
        put(name, "");
    }
    char uri_template[128];
    snprintf(uri_template, sizeof(uri_template), "file://%s/{+path}", root);
    struct fake_result *r =
        fake_complete(host, uri_template, "{\"argument\":{\"name\":\"path\",\"value\":\"x\"}}");
    ck_assert_str_eq(fake_whole_at(r, "/values/0"), "x0000");
    ck_assert_str_eq(fake_whole_at(r, "/values/99"), "x1188");
    ck_assert_str_eq(fake_whole_at(r, "/hasMore"), "false");
    fake_result_free(r);
    r = fake_complete(host, uri_template, "{\"argument\":{\"name\":\"path\",\"value\":\"\"}}");
    ck_assert_str_eq(fake_whole_at(r, "/values/99"), "x1188");
    ck_assert_str_eq(fake_whole_at(r, "/values/100"), "");
    ck_assert_str_eq(fake_whole_at(r, "/hasMore"), "true");
    fake_result_free(r);
}
END_TEST

/* ---- trees ---- */

START_TEST(a_deep_tree_ends_somewhere)
{
    files_nest(root, 100);
    struct fake_result *r = fake_callf(host, "directory_tree", "{\"path\":\".\"}");
    ck_assert_msg(r->end == FAKE_STRUCTURED, "%s", r->text);
    ck_assert_str_eq(fake_at(r, "/truncated"), "true");
    ck_assert_ptr_nonnull(strstr(r->text, "nested too deeply"));
    fake_result_free(r);
}
END_TEST

START_TEST(cancelled_calls_end)
{
    static const struct fake_options before = {.cancel_after_ms = -1};
    static const char *const tools[] = {"directory_tree", "search_files", "search_content",
                                        "edit_file", "read_multiple_files"};
    plant();
    for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++)
        fake_assert_failure(fake_call(host, tools[i], &before,
                                      "{\"path\":\"a.txt\",\"pattern\":\"*\",\"paths\":[\"a.txt\"],"
                                      "\"edits\":[{\"oldText\":\"t\",\"newText\":\"x\"}]}"),
                            "cancelled");
    assert_file("a.txt", "text of it\n");
}
END_TEST

static void add_cases(Suite *suite)
{
    SUITE_ADD(suite, "edit", 60, edits_follow_each_other, all_edits_or_none,
              white_space_at_the_ends_of_lines_does_not_matter, line_ends_stay, diffs_are_exact,
              a_diff_of_everything_is_bounded);
    SUITE_ADD(suite, "move", 60, moves_replace_nothing);
    SUITE_ADD(suite, "search", 60, globs_match_what_they_say, patterns_are_bounded,
              content_is_searched_in_lines);
    SUITE_ADD(suite, "read", 60, heads_and_tails, what_is_cut_is_whole_characters_and_marked);
    SUITE_ADD(suite, "completion", 60, paths_are_completed, a_hundred_paths_are_offered);
    SUITE_ADD(suite, "trees", 60, a_deep_tree_ends_somewhere, cancelled_calls_end);
}

int main(void)
{
    Suite *suite = suite_create("plugins/filesystem: tools");
    if (files_openat2())
        add_cases(suite);
    else
        printf("All cases are skipped: there is no openat2(2) here\n");
    return suite_run(suite);
}
