/* SPDX-License-Identifier: MIT */
/*
 * plugins/skills: YAML as JSON, what makes a skill, what it offers of one, what can be
 * read and what cannot, and changes. Works in a temporary directory; tests/skills has
 * skills as people write them.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crypto.h"
#include "fake_host.h"
#include "files.h"
#include "suite.h"

#define SECRET "the secret that must not leak"

static char base[64], root[80], outside[80];
static struct fake_host *host;

/* ---- the temporary directory ---- */

static const char *in(const char *directory, const char *name)
{
    return files_path(directory, name);
}

static void put(const char *name, const char *data, size_t size)
{
    files_put(in(root, name), data, size);
}

static void puts_in(const char *name, const char *text)
{
    put(name, text, strlen(text));
}

static void make_dir(const char *name)
{
    ck_assert_int_eq(mkdir(in(root, name), 0755), 0);
}

/* A directory with a SKILL.md of this front matter. */
static void make_skill(const char *directory, const char *front)
{
    char path[300], text[70000];
    make_dir(directory);
    snprintf(path, sizeof(path), "%s/SKILL.md", directory);
    snprintf(text, sizeof(text), "---\n%s---\n# Text\n", front);
    puts_in(path, text);
}

#define FRONT(name) "name: " name "\ndescription: D\n"

static void set_up(void)
{
    host = NULL;
    strcpy(base, "/tmp/mcpd-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(base));
    snprintf(root, sizeof(root), "%s/skills", base);
    snprintf(outside, sizeof(outside), "%s/outside", base);
    ck_assert_int_eq(mkdir(root, 0755), 0);
    ck_assert_int_eq(mkdir(outside, 0755), 0);
    int fd = open(in(outside, "secret.txt"), O_WRONLY | O_CREAT, 0644);
    ck_assert_int_eq(write(fd, SECRET, strlen(SECRET)), (ssize_t)strlen(SECRET));
    close(fd);
}

static void tear_down(void)
{
    if (host != NULL)
        fake_host_free(host);
    files_remove(base);
}

static void run(void)
{
    host = fake_host_new("skills", "{\"directories\":[\"%s\"]}", root);
    ck_assert_msg(host->running, "%s", host->fail_text);
    fake_host_ask(host);
}

static size_t skills(void)
{
    return host->offers[FAKE_SKILL].count;
}

static const char *skill_at(size_t index, const char *pointer)
{
    return fake_offer(host, FAKE_SKILL, index, pointer);
}

/* What the log says of what is left out, and how often it said anything. */
static void assert_said(const char *expected)
{
    pthread_mutex_lock(&host->mutex);
    ck_assert_msg(strstr(host->log, expected) != NULL, "no \"%s\" in: %s", expected, host->log);
    pthread_mutex_unlock(&host->mutex);
}

static unsigned lines_said(void)
{
    unsigned lines = 0;
    for (const char *c = host->log; *c != '\0'; c++)
        lines += *c == '\n';
    return lines;
}

/* ---- YAML ---- */

static const struct {
    const char *yaml, *json;
} yaml[] = {
    /* the core schema of YAML 1.2, 10.3.2 */
    {"null", "null"},
    {"Null", "null"},
    {"NULL", "null"},
    {"~", "null"},
    {"", "null"},
    {"nULL", "\"nULL\""},
    {"true", "true"},
    {"True", "true"},
    {"TRUE", "true"},
    {"false", "false"},
    {"False", "false"},
    {"FALSE", "false"},
    {"tRUE", "\"tRUE\""},
    {"yes", "\"yes\""},
    {"no", "\"no\""},
    {"on", "\"on\""},
    {"Off", "\"Off\""},
    {"0", "0"},
    {"12", "12"},
    {"-12", "-12"},
    {"+12", "12"},
    {"012", "12"},
    {"-007", "-7"},
    {"00", "0"},
    {"0o14", "12"},
    {"0xC", "12"},
    {"0xff", "255"},
    {"0o8", "\"0o8\""},
    {"0x", "\"0x\""},
    {"0xFFFFFFFFFFFFFFFF", "18446744073709551615"},
    {"123456789012345678901234567890", "123456789012345678901234567890"},
    {"1_000", "\"1_000\""},
    {"1:30", "\"1:30\""},
    {"0b11", "\"0b11\""},
    {"1.5", "1.5"},
    {"-1.50", "-1.50"},
    {".5", "0.5"},
    {"-.5", "-0.5"},
    {"1.", "1.0"},
    {"+001.5e3", "1.5e3"},
    {"1e3", "1e3"},
    {"1.E-3", "1.0E-3"},
    {"1e", "\"1e\""},
    {"1.2.3", "\"1.2.3\""},
    {".", "\".\""},
    {"e3", "\"e3\""},
    {"2024-01-02", "\"2024-01-02\""},
    {"v1.0", "\"v1.0\""},
    /* styles */
    {"\"12\"", "\"12\""},
    {"'true'", "\"true\""},
    {"\"\"", "\"\""},
    {"''", "\"\""},
    {"\"a\\tb\\u00e9\\x41\\0\"", "\"a\\tb\xc3\xa9"
                                 "A\\u0000\""},
    {"'it''s'", "\"it's\""},
    {"a b # c", "\"a b\""},
    {"|\n    one\n    two\n", "\"one\\ntwo\\n\""},
    {">-\n    one\n    two\n", "\"one two\""},
    {"|+\n    a\n\n", "\"a\\n\\n\\n\""},
    {"\xe2\x82\xac \xf0\x9f\x98\x80", "\"\xe2\x82\xac \xf0\x9f\x98\x80\""},
    /* collections */
    {"[]", "[]"},
    {"{}", "{}"},
    {"[1, a, [2], {b: ~}]", "[1,\"a\",[2],{\"b\":null}]"},
    {"{1: a, true: b, \"\": c}", "{\"1\":\"a\",\"true\":\"b\",\"\":\"c\"}"},
    {"\n    a: 1\n    b:\n      - c\n      - d", "{\"a\":1,\"b\":[\"c\",\"d\"]}"},
    {"{<<: {a: 1}}", "{\"<<\":{\"a\":1}}"},
    {"{on: 1}", "{\"on\":1}"},
    /* anchors and tags */
    {"[&a {b: 1}, *a, *a]", "[{\"b\":1},{\"b\":1},{\"b\":1}]"},
    {"[&a 1, &a 2, *a]", "[1,2,2]"},
    {"!!str 12", "\"12\""},
    {"! 12", "\"12\""},
    {"!!int \"12\"", "12"},
    {"!!float 1.5", "1.5"},
    {"!!bool \"true\"", "true"},
    {"!!null \"\"", "null"},
    {"!!seq [1]", "[1]"},
    {"!!map {}", "{}"},
};

START_TEST(yaml_is_json)
{
    char front[500];
    size_t count = sizeof(yaml) / sizeof(yaml[0]);

    for (size_t i = 0; i < count; i++) {
        char name[20];
        snprintf(name, sizeof(name), "s%03zu", i);
        snprintf(front, sizeof(front), "name: %s\ndescription: D\nx: %s\n", name, yaml[i].yaml);
        make_skill("one", front);
        run();
        ck_assert_msg(skills() == 1, "%s: %s", yaml[i].yaml, host->log);
        char expected[500];
        snprintf(expected, sizeof(expected), "{\"name\":\"%s\",\"description\":\"D\",\"x\":%s}",
                 name, yaml[i].json);
        ck_assert_str_eq(skill_at(0, "/frontmatter"), expected);
        fake_host_free(host);
        host = NULL;
        files_remove(in(root, "one"));
    }
}
END_TEST

START_TEST(yaml_that_is_no_json)
{
    static const struct {
        const char *front, *said;
    } cases[] = {
        {FRONT("s") "x: .inf\n", "line 4: JSON has no infinite"},
        {FRONT("s") "x: -.Inf\n", "JSON has no infinite"},
        {FRONT("s") "x: .nan\n", "none that are no numbers"},
        {FRONT("s") "x: 0x10000000000000000\n", "larger than 64 bits"},
        {FRONT("s") "x: 1\nx: 2\n", "line 5: the name x is there twice"},
        {FRONT("s") "x: {a: 1, 'a': 2}\n", "the name a is there twice"},
        {FRONT("s") "x: {[1]: 2}\n", "a name must be a text"},
        {FRONT("s") "x: {~: 2}\n", "a name must be a text"},
        {FRONT("s") "x: !mine 1\n", "the tag !mine is none"},
        {FRONT("s") "x: !!binary aGk=\n", "is none that JSON has a value for"},
        {FRONT("s") "x: !!int a\n", "does not fit its tag"},
        {FRONT("s") "x: !!seq {}\n", "is none that JSON has a value for"},
        {FRONT("s") "x: *y\n", "there is no &y before *y"},
        {FRONT("s") "x: &y [*y]\n", "*y is inside of what it stands for"},
        {FRONT("s") "x: &y {z: *y}\n", "*y is inside of what it stands for"},
        {FRONT("s") "x: [1\n", "not legal YAML"},
        {FRONT("s") "x: \"\n", "not legal YAML"},
        {FRONT("s") "x: a: b\n", "line 4: mapping values are not allowed in this context (a text"},
        {FRONT("s") "\tx: 1\n", "not legal YAML"},
        {FRONT("s") "x: \x01\n", "not legal YAML"},
        {FRONT("s") "x: \xff\n", "not legal YAML"},
        {FRONT("s") "...\n", NULL},
        {FRONT("s") "...\n{}\n", "not legal YAML in line 5"},
        {FRONT("s") "--- {}\n", "one document"},
        {"", "one document"},
        {"# nothing\n", "one document"},
        {"- a\n", "must be a mapping"},
        {"text\n", "must be a mapping"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        make_skill("one", cases[i].front);
        run();
        ck_assert_msg(skills() == (cases[i].said == NULL), "%s", cases[i].front);
        if (cases[i].said != NULL)
            assert_said(cases[i].said);
        ck_assert_uint_eq(lines_said(), cases[i].said != NULL);
        fake_host_free(host);
        host = NULL;
        files_remove(in(root, "one"));
    }
}
END_TEST

/* Aliases that multiply, and nesting that does not end. */
START_TEST(yaml_bombs)
{
    char front[70000], deep[3000];
    size_t size = (size_t)snprintf(front, sizeof(front), FRONT("s") "a0: &a0 [x, x, x, x, x]\n");

    for (int i = 1; i < 12; i++)
        size += (size_t)snprintf(front + size, sizeof(front) - size,
                                 "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i, i - 1, i - 1,
                                 i - 1, i - 1, i - 1);
    make_skill("laughs", front);
    memset(deep, '[', 1000);
    memset(deep + 1000, ']', 1000);
    deep[2000] = '\0';
    snprintf(front, sizeof(front), FRONT("t") "x: %s\n", deep);
    make_skill("deep", front);
    size = (size_t)snprintf(front, sizeof(front), FRONT("u") "a0: &a0 [[[[[[[[[[[[x]]]]]]]]]]]]\n");
    for (int i = 1; i < 9; i++)
        size += (size_t)snprintf(front + size, sizeof(front) - size,
                                 "a%d: &a%d [[[[[[[[[[[[*a%d]]]]]]]]]]]]\n", i, i, i - 1);
    make_skill("ladder", front);
    size = (size_t)snprintf(front, sizeof(front), FRONT("v") "x: [");
    while (size < 60000)
        size += (size_t)snprintf(front + size, sizeof(front) - size, "1,");
    snprintf(front + size, sizeof(front) - size, "1]\n");
    make_skill("values", front);
    memset(front, '#', 66000);
    strcpy(front + 66000, "\n");
    make_skill("long", front);
    run();
    ck_assert_uint_eq(skills(), 0);
    assert_said("laughs is left out: the front matter of SKILL.md is too large");
    assert_said("deep is left out: the front matter of SKILL.md is not legal YAML in line 4: it is "
                "nested more than");
    assert_said("ladder is left out: the front matter of SKILL.md is too large or nested too "
                "deeply");
    assert_said("it has too many values");
    assert_said("longer than 65536 bytes");
}
END_TEST

/* ---- the front matter ---- */

START_TEST(rules_of_the_front_matter)
{
    char text[5000], long_name[100], description[1100];
    memset(long_name, 'a', 65);
    long_name[65] = '\0';
    struct {
        const char *text, *said;
    } cases[] = {
        {"# Heading\n", "must begin with a line of three dashes"},
        {"", "must begin with a line of three dashes"},
        {" ---\nname: s\n---\n", "must begin with a line of three dashes"},
        {"----\nname: s\n---\n", "must begin with a line of three dashes"},
        {"--", "must begin with a line of three dashes"},
        {"\xef\xbb\xbf---\nname: s\ndescription: D\n---\n", "byte order mark"},
        {"---", "does not end"},
        {"---\nname: s\ndescription: D\n", "does not end"},
        {"---\nname: s\ndescription: D\n --- \n", "does not end"},
        {"---\ndescription: D\n---\n", "\"name\" must be in the front matter"},
        {"---\nname: 5\ndescription: D\n---\n", "\"name\" must be in the front matter"},
        {"---\nname: [s]\ndescription: D\n---\n", "\"name\" must be in the front matter"},
        {"---\nname: \"\"\ndescription: D\n---\n", "1 to 64 of a-z"},
        {"---\nname: Skill\ndescription: D\n---\n", "1 to 64 of a-z"},
        {"---\nname: -s\ndescription: D\n---\n", "1 to 64 of a-z"},
        {"---\nname: s-\ndescription: D\n---\n", "1 to 64 of a-z"},
        {"---\nname: s--t\ndescription: D\n---\n", "1 to 64 of a-z"},
        {"---\nname: s/../t\ndescription: D\n---\n", "1 to 64 of a-z"},
        {"---\nname: s_t\ndescription: D\n---\n", "1 to 64 of a-z"},
        {"---\nname: s\n---\n", "\"description\" must be in the front matter"},
        {"---\nname: s\ndescription:\n---\n", "\"description\" must be in the front matter"},
        {"---\nname: s\ndescription: ''\n---\n", "\"description\" must be in the front matter"},
        {"---\nname: s\ndescription: 5\n---\n", "\"description\" must be in the front matter"},
        {"---\nname: s\ndescription: D\nmetadata: {io.modelcontextprotocol/a: 1}\n---\n",
         "no names that begin with io.modelcontextprotocol/"},
        /* legal ones */
        {"---\nname: s\ndescription: D\n---", NULL},
        {"---\r\nname: s\r\ndescription: D\r\n---\r\ntext", NULL},
        {"--- \t\nname: s\ndescription: D\n---  \ntext", NULL},
        {"---\nname: s\ndescription: |\n  a\n  ---\n  b\n---\n", NULL},
        {"---\nname: a-1-b\ndescription: D\nmetadata: [1]\n---\n", NULL},
        {"---\nname: s\ndescription: D\nmetadata: {io.modelcontextprotocolx: 1}\n---\n", NULL},
    };
    make_dir("one");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        puts_in("one/SKILL.md", cases[i].text);
        run();
        ck_assert_msg(skills() == (cases[i].said == NULL), "%s: %s", cases[i].text, host->log);
        if (cases[i].said != NULL)
            assert_said(cases[i].said);
        fake_host_free(host);
        host = NULL;
    }
    for (int i = 0; i < 1024; i++)
        description[i] = 'd';
    strcpy(description + 1024, "e");
    for (int too_long = 0; too_long < 2; too_long++) {
        description[1024] = too_long ? 'e' : '\0';
        snprintf(text, sizeof(text), "---\nname: s\ndescription: %s\n---\n", description);
        puts_in("one/SKILL.md", text);
        run();
        ck_assert_uint_eq(skills(), !too_long);
        fake_host_free(host);
        host = NULL;
    }
    snprintf(text, sizeof(text), "---\nname: %s\ndescription: D\n---\n", long_name);
    puts_in("one/SKILL.md", text);
    run();
    ck_assert_uint_eq(skills(), 0);
}
END_TEST

/* ---- what is offered ---- */

START_TEST(a_skill_with_files)
{
    make_skill("pdf", FRONT("pdf"));
    make_dir("pdf/sub");
    make_dir("pdf/sub/empty");
    make_dir("pdf/.git");
    puts_in("pdf/.git/config", SECRET);
    puts_in("pdf/.hidden", SECRET);
    puts_in("pdf/sub/a b%\xc3\xa9#?.md", "abc");
    put("pdf/zero.bin", "\0\1", 2);
    puts_in("README.md", "no skill");
    make_dir("no-skill");
    puts_in("no-skill/x", "x");
    make_dir("only");
    puts_in("only/SKILL.md", "---\nname: another-name\ndescription: Other\n---\n");
    run();
    ck_assert_uint_eq(skills(), 2);
    ck_assert_uint_eq(lines_said(), 0);
    ck_assert_str_eq(skill_at(1, "/uri"), "skill://pdf/SKILL.md");
    ck_assert_str_eq(
        skill_at(1, "/resources"),
        "[{\"uri\":\"skill://pdf/SKILL.md\",\"digest\":\"sha256:"
        "5ca91a20f338e0ff7920dfedd5a091bd276dd4165acb0c40df77164e67c61a58\",\"size\":40},"
        "{\"uri\":\"skill://pdf/sub/a%20b%25%C3%A9%23%3F.md\",\"digest\":\"sha256:"
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\",\"size\":3},"
        "{\"uri\":\"skill://pdf/zero.bin\",\"digest\":\"sha256:"
        "b413f47d13ee2fe6c845b2ee141af81de858df4ec549a58b7970bb96645bc8d2\",\"size\":2}]");
    ck_assert_str_eq(skill_at(0, "/uri"), "skill://another-name/SKILL.md");
    ck_assert_uint_eq(host->offers[FAKE_RESOURCE].count, 2);
    ck_assert_str_eq(fake_offer(host, FAKE_RESOURCE, 1, ""),
                     "{\"uri\":\"skill://pdf/SKILL.md\",\"name\":\"pdf\",\"description\":\"D\","
                     "\"mimeType\":\"text/markdown\",\"size\":40}");
    ck_assert_uint_eq(host->offers[FAKE_TEMPLATE].count, 1); /* the other has no more files */
    ck_assert_str_eq(fake_offer(host, FAKE_TEMPLATE, 0, "/uriTemplate"), "skill://pdf/{+path}");
}
END_TEST

START_TEST(real_skills)
{
    char directory[4096];
    ck_assert_ptr_nonnull(realpath("tests/skills", directory));
    host = fake_host_new("skills", "{\"directories\":[\"%s/good\",\"%s/broken\"]}", directory,
                         directory);
    ck_assert_msg(host->running, "%s", host->fail_text);
    fake_host_ask(host);
    ck_assert_uint_eq(skills(), 3);
    ck_assert_str_eq(skill_at(0, "/frontmatter/name"), "pdf-forms");
    ck_assert_str_eq(skill_at(0, "/frontmatter/metadata/version"), "1.2");
    ck_assert_str_eq(skill_at(1, "/frontmatter/name"), "release-notes");
    ck_assert_str_eq(
        skill_at(2, "/frontmatter"),
        "{\"name\":\"sql-review\",\"description\":\"Reviews SQL before it is run: finds missing "
        "WHERE clauses, implicit casts and scans of large tables. Use it for every statement that "
        "changes data.\",\"metadata\":{\"owner\":\"data-platform\",\"reviewed\":\"2025-11-03\","
        "\"dialects\":[\"postgresql\",\"sqlite\",\"no\"],\"limits\":{\"rows\":\"1_000\",\"cost\":"
        "1.50e3,\"octal\":12},\"night\":{\"rows\":\"1_000\",\"cost\":1.50e3,\"octal\":12}},"
        "\"enabled\":\"yes\",\"strict\":true,\"nothing\":null}");
    ck_assert_str_eq(skill_at(2, "/resources/1/uri"),
                     "skill://sql-review/references/dialects/SQLite%20%283.40%29.md");
    ck_assert_uint_eq(lines_said(), 6);
    assert_said("broken/no-name is left out: \"name\" must be");
    assert_said("broken/colon is left out: the front matter of SKILL.md is not legal YAML in line "
                "3: mapping values are not allowed in this context (a text with \": \" in it needs "
                "quotes)");
    assert_said("broken/no-end is left out: the front matter of SKILL.md does not end");
    assert_said("broken/shouting is left out: \"name\" in the front matter");
    assert_said("broken/no-front-matter is left out: SKILL.md must begin");
    assert_said("broken/reserved is left out: \"metadata\"");
}
END_TEST

START_TEST(names_that_are_there_twice)
{
    make_skill("a", FRONT("same"));
    make_skill("b", FRONT("same"));
    run();
    ck_assert_uint_eq(skills(), 1);
    assert_said("skills/b is left out: its name is same, and so is that of a");
}
END_TEST

/* ---- limits ---- */

START_TEST(many_and_large_files)
{
    char name[100];
    make_skill("many", FRONT("many"));
    for (int i = 0; i < 511; i++) {
        snprintf(name, sizeof(name), "many/%03d", i);
        puts_in(name, "");
    }
    make_skill("large", FRONT("large"));
    puts_in("large/data", "");
    ck_assert_int_eq(truncate(in(root, "large/data"), (16 << 20) - 42), 0);
    run();
    ck_assert_msg(skills() == 2, "%s", host->log);
    unsigned before = host->notified;
    puts_in("many/more", "");
    ck_assert(fake_host_wait(host, before));
    fake_host_ask(host);
    ck_assert_uint_eq(skills(), 1);
    assert_said("many is left out: more is more than the 512 files");
    before = host->notified;
    ck_assert_int_eq(truncate(in(root, "large/data"), (16 << 20) - 41), 0);
    ck_assert(fake_host_wait(host, before));
    fake_host_ask(host);
    ck_assert_uint_eq(skills(), 0);
    assert_said("large is left out: data and the files before it have more than 16777216 bytes");
}
END_TEST

START_TEST(what_is_no_file)
{
    make_skill("fifo", FRONT("fifo"));
    ck_assert_int_eq(mkfifo(in(root, "fifo/pipe"), 0644), 0);
    make_skill("null", FRONT("null"));
    ck_assert_int_eq(symlink("/dev/null", in(root, "null/null")), 0);
    make_skill("loop", FRONT("loop"));
    ck_assert_int_eq(symlink(".", in(root, "loop/again")), 0);
    make_skill("dangling", FRONT("dangling"));
    ck_assert_int_eq(symlink("nothing", in(root, "dangling/link")), 0);
    make_dir("manifest");
    make_dir("manifest/SKILL.md");
    make_skill("deep", FRONT("deep"));
    char path[200] = "deep";
    for (int i = 0; i < 20; i++) {
        strcat(path, "/d");
        make_dir(path);
    }
    run();
    ck_assert_uint_eq(skills(), 0);
    assert_said("fifo is left out: pipe is no file and no directory");
    assert_said("null is left out: null is a symbolic link that leads out");
    assert_said("loop is left out: again is a symbolic link that leads back");
    assert_said("dangling is left out: link is a symbolic link to nothing");
    assert_said("manifest is left out: SKILL.md must begin");
    assert_said("deep is left out: d/d/");
    ck_assert_uint_eq(lines_said(), 6);
}
END_TEST

/* ---- containment ---- */

START_TEST(links)
{
    ck_assert_int_eq(symlink("../outside", in(root, "escape")), 0);
    make_skill("file", FRONT("file"));
    ck_assert_int_eq(symlink("../../outside/secret.txt", in(root, "file/secret")), 0);
    make_skill("absolute", FRONT("absolute"));
    ck_assert_int_eq(symlink(in(outside, "secret.txt"), in(root, "absolute/secret")), 0);
    make_skill("directory", FRONT("directory"));
    ck_assert_int_eq(symlink("../../outside", in(root, "directory/out")), 0);
    make_skill("inside", FRONT("inside"));
    puts_in("inside/real", "real");
    ck_assert_int_eq(symlink("real", in(root, "inside/link")), 0);
    make_dir("shared");
    puts_in("shared/text", "shared");
    ck_assert_int_eq(symlink("../shared", in(root, "inside/shared")), 0);
    ck_assert_int_eq(symlink("inside", in(root, "other-name")), 0);
    run();
    ck_assert_uint_eq(skills(), 1);
    ck_assert_str_eq(skill_at(0, "/resources/3/uri"), "skill://inside/shared/text");
    assert_said("/escape is left out: it is a symbolic link that leads out of there; name the");
    assert_said("file is left out: secret is a symbolic link that leads out");
    assert_said("absolute is left out: secret is a symbolic link that leads out");
    assert_said("directory is left out: out is a symbolic link that leads out");
    assert_said("other-name is left out: its name is inside, and so is that of inside");
    ck_assert_ptr_null(strstr(host->log, SECRET));
}
END_TEST

static void expect_nothing(const char *uri)
{
    struct fake_result *result = fake_read(host, uri);
    ck_assert_msg(result->end == FAKE_ERROR && result->code == MCP_ERROR_RESOURCE_NOT_FOUND,
                  "%s: %d", uri, result->end);
    fake_result_free(result);
}

START_TEST(only_files_of_skills_are_read)
{
    static const char *const uris[] = {
        "skill://s/.git/config",
        "skill://s/.hidden",
        "skill://s/../../outside/secret.txt",
        "skill://s/%2e%2e/%2e%2e/outside/secret.txt",
        "skill://s/sub",
        "skill://s/",
        "skill://s",
        "skill://s/sub/",
        "skill://s/sub//a",
        "skill://s/./SKILL.md",
        "skill://s/SKILL.md/",
        "skill://s/SKILL.md%00",
        "skill://s/SKILL.md%",
        "skill://s/SKILL.md%4",
        "skill://s/SKILL.mdx",
        "skill://t/SKILL.md",
        "skill://S/SKILL.md",
        "skill:///SKILL.md",
        "skill://s%2FSKILL.md",
        "skill://plain/x",
        "file:///etc/passwd",
        "",
        "skill://",
        "skill://s/..%2Fplain/x",
        "skill://s/new",
    };
    make_skill("s", FRONT("s"));
    make_dir("s/sub");
    puts_in("s/sub/a", "a");
    make_dir("s/.git");
    puts_in("s/.git/config", SECRET);
    puts_in("s/.hidden", SECRET);
    make_dir("plain");
    puts_in("plain/x", SECRET);
    run();
    for (size_t i = 0; i < sizeof(uris) / sizeof(uris[0]); i++)
        expect_nothing(uris[i]);
    /* What is put in the place of a file is contained, too. */
    unsigned before = host->notified;
    ck_assert_int_eq(unlink(in(root, "s/sub/a")), 0);
    ck_assert_int_eq(symlink("../../../outside/secret.txt", in(root, "s/sub/a")), 0);
    struct fake_result *result = fake_read(host, "skill://s/sub/a");
    ck_assert(result->end == FAKE_FAILURE || result->end == FAKE_ERROR);
    ck_assert_ptr_null(strstr(result->text, SECRET));
    fake_result_free(result);
    ck_assert(fake_host_wait(host, before));
    expect_nothing("skill://s/sub/a");
}
END_TEST

/* ---- reading ---- */

static void expect_content(const char *uri, const char *type, const char *member,
                           const char *content)
{
    char pointer[40];
    struct fake_result *result = fake_read(host, uri);
    ck_assert_msg(result->end == FAKE_RESULT, "%s: %d %s", uri, result->end,
                  result->text != NULL ? result->text : "");
    ck_assert_str_eq(fake_whole_at(result, "/contents/0/uri"), uri);
    ck_assert_str_eq(fake_whole_at(result, "/contents/0/mimeType"), type);
    snprintf(pointer, sizeof(pointer), "/contents/0/%s", member);
    ck_assert_str_eq(fake_whole_at(result, pointer), content);
    fake_result_free(result);
}

START_TEST(reading)
{
    make_skill("s", FRONT("s"));
    puts_in("s/a b.txt", "\xc3\xa4\n");
    put("s/image.PNG", "\x89PNG", 4);
    put("s/nul", "a\0b", 3);
    puts_in("s/Makefile", "all:\n");
    puts_in("s/data.json", "{}");
    puts_in("s/empty", "");
    puts_in("s/latin", "\xe4");
    puts_in("s/\xff", "odd");
    run();
    expect_content("skill://s/SKILL.md", "text/markdown", "text",
                   "---\nname: s\ndescription: D\n---\n# Text\n");
    expect_content("skill://s/a%20b.txt", "text/plain", "text", "\xc3\xa4\n");
    expect_content("skill://s/a b.txt", "text/plain", "text", "\xc3\xa4\n");
    expect_content("skill://s/image.PNG", "image/png", "blob", "iVBORw==");
    expect_content("skill://s/nul", "application/octet-stream", "blob", "YQBi");
    expect_content("skill://s/Makefile", "text/plain", "text", "all:\n");
    expect_content("skill://s/data.json", "application/json", "text", "{}");
    expect_content("skill://s/empty", "text/plain", "text", "");
    expect_content("skill://s/latin", "application/octet-stream", "blob", "5A==");
    expect_content("skill://s/%FF", "text/plain", "text", "odd");
    expect_content("skill://s/%ff", "text/plain", "text", "odd");
}
END_TEST

START_TEST(completing_paths)
{
    make_skill("s", FRONT("s"));
    make_dir("s/sub");
    puts_in("s/sub/a", "");
    puts_in("s/sub/b", "");
    puts_in("s/\xff", "");
    char name[40];
    for (int i = 0; i < 120; i++) {
        snprintf(name, sizeof(name), "s/x%03d", i);
        puts_in(name, "");
    }
    run();
    struct fake_result *result = fake_complete(
        host, "skill://s/{+path}", "{\"argument\":{\"name\":\"path\",\"value\":\"sub/\"}}");
    ck_assert_str_eq(fake_whole_at(result, ""), "{\"values\":[\"sub/a\",\"sub/b\"],\"total\":2}");
    fake_result_free(result);
    result = fake_complete(host, "skill://s/{+path}",
                           "{\"argument\":{\"name\":\"path\",\"value\":\"\"}}");
    ck_assert_str_eq(fake_whole_at(result, "/total"), "123");
    ck_assert_str_eq(fake_whole_at(result, "/values/0"), "SKILL.md");
    ck_assert_str_ne(fake_whole_at(result, "/values/99"), "");
    ck_assert_str_eq(fake_whole_at(result, "/values/100"), "");
    fake_result_free(result);
    result = fake_complete(host, "skill://none/{+path}",
                           "{\"argument\":{\"name\":\"path\",\"value\":\"\"}}");
    ck_assert_str_eq(fake_whole_at(result, ""), "{\"values\":[],\"total\":0}");
    fake_result_free(result);
}
END_TEST

/* ---- changes ---- */

/* Runs a change and waits until mcpd would ask again. */
#define CHANGE(what)                                                                               \
    do {                                                                                           \
        unsigned before_ = atomic_load(&host->notified);                                           \
        what;                                                                                      \
        ck_assert_msg(fake_host_wait(host, before_), "not noticed: %s", #what);                    \
        fake_host_ask(host);                                                                       \
    } while (0)

static bool was_updated(const char *line)
{
    bool found = false;
    for (int i = 0; i < 200 && !found; i++) { /* told just after notify */
        pthread_mutex_lock(&host->mutex);
        found = strstr(host->updated, line) != NULL;
        pthread_mutex_unlock(&host->mutex);
        if (!found)
            poll(NULL, 0, 5);
    }
    return found;
}

START_TEST(changes_are_noticed)
{
    char moved[200], text[100];
    run();
    ck_assert_uint_eq(skills(), 0);
    CHANGE(make_skill("a", FRONT("a")));
    ck_assert_uint_eq(skills(), 1);
    CHANGE((make_dir("a/sub"), puts_in("a/sub/one", "1")));
    ck_assert_str_eq(skill_at(0, "/resources/1/uri"), "skill://a/sub/one");
    snprintf(text, sizeof(text), "%s", skill_at(0, "/resources/1/digest"));
    CHANGE(puts_in("a/sub/one", "2")); /* the same size, perhaps the same time */
    ck_assert_str_ne(text, skill_at(0, "/resources/1/digest"));
    ck_assert(was_updated("skill://a/sub/one\n"));
    ck_assert_ptr_null(strstr(host->updated, "SKILL.md"));
    CHANGE(puts_in("a/SKILL.md", "---\nname: b\ndescription: D\n---\n"));
    ck_assert_str_eq(skill_at(0, "/uri"), "skill://b/SKILL.md");
    ck_assert(was_updated("skill://a/SKILL.md\n"));
    CHANGE(puts_in("a/SKILL.md", "oops"));
    ck_assert_uint_eq(skills(), 0);
    assert_said("a is left out: SKILL.md must begin");
    CHANGE(puts_in("a/SKILL.md", "---\nname: b\ndescription: D\n---\n"));
    ck_assert_int_eq(rename(in(root, "a"), in(root, "c")), 0); /* clients see no difference */
    CHANGE(puts_in("c/sub/one", "3"));
    snprintf(moved, sizeof(moved), "%s/gone", base);
    CHANGE(rename(in(root, "c"), moved));
    ck_assert_uint_eq(skills(), 0);
    ck_assert_int_eq(rename(moved, in(root, "back")), 0);
    ck_assert(fake_host_wait(host, host->notified));
}
END_TEST

START_TEST(a_complaint_is_made_once)
{
    make_skill("bad", FRONT("Bad"));
    make_skill("good", FRONT("good"));
    run();
    ck_assert_uint_eq(lines_said(), 1);
    CHANGE(puts_in("good/x", "1"));
    CHANGE(puts_in("good/y", "1"));
    ck_assert_uint_eq(lines_said(), 3); /* two of how many skills there are */
    CHANGE((puts_in("bad/SKILL.md", "---\nname: fine\ndescription: D\n---\n")));
    ck_assert_uint_eq(skills(), 2);
}
END_TEST

START_TEST(a_directory_that_is_replaced)
{
    char moved[200];
    make_skill("a", FRONT("a"));
    run();
    snprintf(moved, sizeof(moved), "%s/old", base);
    CHANGE(ck_assert_int_eq(rename(root, moved), 0));
    ck_assert_uint_eq(skills(), 0);
    assert_said("cannot be opened: No such file or directory");
    unsigned before = host->notified;
    ck_assert_int_eq(mkdir(root, 0755), 0);
    make_skill("b", FRONT("b"));
    for (int i = 0; i < 3 && host->notified == before; i++)
        fake_host_wait(host, before); /* it looks every five seconds */
    fake_host_ask(host);
    ck_assert_uint_eq(skills(), 1);
    ck_assert_str_eq(skill_at(0, "/uri"), "skill://b/SKILL.md");
    CHANGE(make_skill("c", FRONT("c"))); /* the new one is watched */
}
END_TEST

START_TEST(nothing_is_left_open)
{
    int open_before = files_open();
    make_skill("a", FRONT("a"));
    puts_in("a/x", "x");
    run();
    for (int i = 0; i < 5; i++) {
        char text[10];
        snprintf(text, sizeof(text), "%d", i);
        CHANGE(puts_in("a/x", text));
    }
    fake_result_free(fake_read(host, "skill://a/x"));
    fake_host_free(host);
    host = NULL;
    ck_assert_int_eq(files_open(), open_before);
}
END_TEST

/* ---- configuration ---- */

START_TEST(wrong_configurations)
{
    fake_assert_wrong("skills", "{}", "", "\"directories\" is missing or empty");
    fake_assert_wrong("skills", "{\"directories\":[]}", "", "\"directories\" is missing or empty");
    fake_assert_wrong("skills", "{\"directories\":[\"relative\"]}", "/directories/0",
                      "absolute path");
    fake_assert_wrong("skills", "{\"directories\":[\"/\",5]}", "/directories/1", "absolute path");
    fake_assert_wrong("skills", "{\"directories\":[\"/nowhere/at/all\"]}", "/directories/0",
                      "cannot open the directory /nowhere/at/all: No such file or directory; "
                      "create it, or take it out of directories");
    fake_assert_wrong("skills", "{\"directories\":[\"/etc/passwd\"]}", "/directories/0",
                      "Not a directory");
}
END_TEST

START_TEST(a_directory_that_is_a_skill)
{
    puts_in("SKILL.md", "---\nname: s\ndescription: D\n---\n");
    run();
    ck_assert_uint_eq(skills(), 0);
    assert_said("is a skill itself; name the directory above it");
}
END_TEST

int main(void)
{
    if (!crypto_init())
        return 1;
    Suite *suite = suite_create("plugins/skills");
    suite_add(suite, &(struct suite_case){"yaml", set_up, tear_down, 120,
                                          SUITE_TESTS(yaml_is_json, yaml_that_is_no_json,
                                                      yaml_bombs, rules_of_the_front_matter)});
    suite_add(suite, &(struct suite_case){
                         "skills", set_up, tear_down, 120,
                         SUITE_TESTS(a_skill_with_files, real_skills, names_that_are_there_twice,
                                     many_and_large_files, what_is_no_file, links,
                                     only_files_of_skills_are_read, reading, completing_paths)});
    suite_add(suite, &(struct suite_case){"changes", set_up, tear_down, 120,
                                          SUITE_TESTS(changes_are_noticed, a_complaint_is_made_once,
                                                      a_directory_that_is_replaced,
                                                      nothing_is_left_open)});
    suite_add(suite,
              &(struct suite_case){"configuration", set_up, tear_down, 120,
                                   SUITE_TESTS(wrong_configurations, a_directory_that_is_a_skill)});
    return suite_run(suite);
}
