/* SPDX-License-Identifier: MIT */
/* URI templates read backwards: RFC 6570's own examples, and URIs that mean no
 * good. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "json/json.h"
#include "plugin/offers.h"
#include "plugin/uri_template.h"
#include "suite.h"

static struct error err;

/* What the variables are; NULL: no match. From malloc. */
static char *variables(const char *template, const char *uri)
{
    struct uri_template *t = uri_template_new(bytes_of(template), &err);
    struct buf out;

    ck_assert_msg(t != NULL, "%s: %s", template, err.text);
    buf_init(&out, 1u << 20);
    bool matches = uri_template_match(t, bytes_of(uri), &out);
    ck_assert(!out.failed);
    ck_assert_msg(matches == (out.size > 0), "%s: %s", template, uri);
    uri_template_free(t);
    if (matches)
        ck_assert_msg(json_check(buf_bytes(&out), &json_default_limits, NULL), "%s", out.data);
    return matches ? buf_detach(&out, &(size_t){0}) : NULL;
}

static void check(const char *template, const char *uri, const char *expected)
{
    char *got = variables(template, uri);

    if (expected == NULL)
        ck_assert_msg(got == NULL, "%s: %s gives %s", template, uri, got);
    else
        ck_assert_msg(got != NULL && strcmp(got, expected) == 0, "%s: %s gives %s, not %s",
                      template, uri, got != NULL ? got : "nothing", expected);
    free(got);
}

struct example {
    const char *template, *uri, *expected;
};

/* Behind "x:", for a template without a literal could be anybody's. */
static void check_examples(const struct example *examples, size_t count)
{
    char template[256], uri[256];

    for (size_t i = 0; i < count; i++) {
        snprintf(template, sizeof template, "x:%s", examples[i].template);
        snprintf(uri, sizeof uri, "x:%s", examples[i].uri);
        check(template, uri, examples[i].expected);
    }
}
#define CHECK_EXAMPLES(examples) check_examples(examples, sizeof(examples) / sizeof *(examples))

/* ---- RFC 6570, 1.2 and 3.2 ---- */

START_TEST(level_1_and_2)
{
    static const struct example examples[] = {
        {"{var}", "value", "{\"var\":\"value\"}"},
        {"{hello}", "Hello%20World%21", "{\"hello\":\"Hello World!\"}"},
        {"{half}", "50%25", "{\"half\":\"50%\"}"},
        {"O{empty}X", "OX", "{}"},
        {"{+var}", "value", "{\"var\":\"value\"}"},
        {"{+hello}", "Hello%20World!", "{\"hello\":\"Hello World!\"}"},
        {"{+path}/here", "/foo/bar/here", "{\"path\":\"/foo/bar\"}"},
        {"here?ref={+path}", "here?ref=/foo/bar", "{\"path\":\"/foo/bar\"}"},
        {"up{+path}{var}/here", "up/foo/barvalue/here", "{\"path\":\"/foo/barvalue\"}"},
        {"X{#var}", "X#value", "{\"var\":\"value\"}"},
        {"X{#hello}", "X#Hello%20World!", "{\"hello\":\"Hello World!\"}"},
        {"X{#undef}", "X", "{}"},
    };
    CHECK_EXAMPLES(examples);
}
END_TEST

START_TEST(level_3)
{
    static const struct example examples[] = {
        {"map?{x,y}", "map?1024,768", "{\"x\":\"1024\",\"y\":\"768\"}"},
        {"{x,hello,y}", "1024,Hello%20World%21,768",
         "{\"x\":\"1024\",\"hello\":\"Hello World!\",\"y\":\"768\"}"},
        {"?{x,empty}", "?1024,", "{\"x\":\"1024\",\"empty\":\"\"}"},
        {"?{x,undef}", "?1024", "{\"x\":\"1024\"}"},
        {"?{empty,x}", "?,1024", "{\"empty\":\"\",\"x\":\"1024\"}"},
        {"{+x,hello,y}", "1024,Hello%20World!,768",
         "{\"x\":\"1024\",\"hello\":\"Hello World!\",\"y\":\"768\"}"},
        {"{+path,x}/here", "/foo/bar,1024/here", "{\"path\":\"/foo/bar\",\"x\":\"1024\"}"},
        {"{#path,x}/here", "#/foo/bar,1024/here", "{\"path\":\"/foo/bar\",\"x\":\"1024\"}"},
        {"X{.var}", "X.value", "{\"var\":\"value\"}"},
        {"X{.x,y}", "X.1024.768", "{\"x\":\"1024\",\"y\":\"768\"}"},
        {"X{.x}", "X.1024.768", "{\"x\":\"1024.768\"}"},
        {"{/var}", "/value", "{\"var\":\"value\"}"},
        {"{/var,x}/here", "/value/1024/here", "{\"var\":\"value\",\"x\":\"1024\"}"},
        {"{/var,empty}", "/value/", "{\"var\":\"value\",\"empty\":\"\"}"},
        {"{;x,y}", ";x=1024;y=768", "{\"x\":\"1024\",\"y\":\"768\"}"},
        {"{;x,y,empty}", ";x=1024;y=768;empty", "{\"x\":\"1024\",\"y\":\"768\",\"empty\":\"\"}"},
        {"{?x,y}", "?x=1024&y=768", "{\"x\":\"1024\",\"y\":\"768\"}"},
        {"{?x,y,empty}", "?x=1024&y=768&empty=", "{\"x\":\"1024\",\"y\":\"768\",\"empty\":\"\"}"},
        {"{?x,y,undef}", "?x=1024&y=768", "{\"x\":\"1024\",\"y\":\"768\"}"},
        {"{?x,y}", "?y=768", "{\"y\":\"768\"}"},
        {"{?x,y}", "", "{}"},
        {"?fixed=yes{&x}", "?fixed=yes&x=1024", "{\"x\":\"1024\"}"},
        {"{&x,y,empty}", "&x=1024&y=768&empty=", "{\"x\":\"1024\",\"y\":\"768\",\"empty\":\"\"}"},
        /* not expansions */
        {"{?x,y}", "?x=1&z=2", NULL},
        {"{?x}", "?x", NULL},
        {"{;x}", ";x=", NULL},
        {"{/x}", "/a/b", NULL},
        {"{x}/y", "a/z", NULL},
    };
    CHECK_EXAMPLES(examples);
}
END_TEST

START_TEST(level_4_prefixes)
{
    static const struct example examples[] = {
        {"{var:3}", "val", "{\"var\":\"val\"}"},
        {"{var:3}", "value", NULL},
        {"{var:30}", "value", "{\"var\":\"value\"}"},
        {"{+path:6}/here", "/foo/b/here", "{\"path\":\"/foo/b\"}"},
        {"X{.var:3}", "X.val", "{\"var\":\"val\"}"},
        {"{/var:1,var}", "/v/value", "{\"var\":\"value\"}"},
        {"{/var:1,var}", "/w/value", NULL},
        {"{;hello:5}", ";hello=Hello", "{\"hello\":\"Hello\"}"},
        {"{?var:3}", "?var=val", "{\"var\":\"val\"}"},
        {"{&var:3}", "&var=val", "{\"var\":\"val\"}"},
        /* characters count, not bytes and not percent-encodings */
        {"{var:2}", "%C3%A9%E2%82%AC", "{\"var\":\"\xc3\xa9\xe2\x82\xac\"}"},
        {"{var:1}", "%C3%A9%E2%82%AC", NULL},
        {"{/s:1,s}", "/%C3%A9/%C3%A9a",
         "{\"s\":\"\xc3\xa9"
         "a\"}"},
    };
    CHECK_EXAMPLES(examples);
}
END_TEST

START_TEST(level_4_explode)
{
    static const struct example examples[] = {
        {"{list}", "red,green,blue", "{\"list\":\"red,green,blue\"}"},
        {"{list*}", "red,green,blue", "{\"list\":[\"red\",\"green\",\"blue\"]}"},
        {"{keys*}", "semi=%3B,dot=.,comma=%2C",
         "{\"keys\":{\"semi\":\";\",\"dot\":\".\",\"comma\":\",\"}}"},
        {"{+list*}", "red,green,blue", "{\"list\":[\"red\",\"green\",\"blue\"]}"},
        {"{+keys*}", "semi=;,dot=.,comma=%2C",
         "{\"keys\":{\"semi\":\";\",\"dot\":\".\",\"comma\":\",\"}}"},
        {"{#list*}", "#red,green,blue", "{\"list\":[\"red\",\"green\",\"blue\"]}"},
        {"X{.list*}", "X.red.green.blue", "{\"list\":[\"red\",\"green\",\"blue\"]}"},
        {"X{.keys*}", "X.semi=%3B.comma=%2C", "{\"keys\":{\"semi\":\";\",\"comma\":\",\"}}"},
        {"{/list*}", "/red/green/blue", "{\"list\":[\"red\",\"green\",\"blue\"]}"},
        {"{/list*,path:4}", "/red/green/blue/%2Ffoo",
         "{\"list\":[\"red\",\"green\",\"blue\",\"/foo\"]}"},
        {"{/keys*}", "/semi=%3B/dot=./comma=%2C",
         "{\"keys\":{\"semi\":\";\",\"dot\":\".\",\"comma\":\",\"}}"},
        {"{/list*}/edit", "/a/b/edit", "{\"list\":[\"a\",\"b\"]}"},
        {"{;list*}", ";list=red;list=green;list=blue", "{\"list\":[\"red\",\"green\",\"blue\"]}"},
        {"{;list*}", ";list;list=green", "{\"list\":[\"\",\"green\"]}"},
        {"{;keys*}", ";semi=%3B;dot=.;comma=%2C",
         "{\"keys\":{\"semi\":\";\",\"dot\":\".\",\"comma\":\",\"}}"},
        {"{;keys*}", ";flag;dot=.", "{\"keys\":{\"flag\":\"\",\"dot\":\".\"}}"},
        {"{?list*}", "?list=red&list=green&list=blue", "{\"list\":[\"red\",\"green\",\"blue\"]}"},
        {"{?list*}", "?list=red", "{\"list\":[\"red\"]}"},
        {"{?keys*}", "?semi=%3B&dot=.&comma=%2C",
         "{\"keys\":{\"semi\":\";\",\"dot\":\".\",\"comma\":\",\"}}"},
        {"{&keys*}", "&semi=%3B&dot=.", "{\"keys\":{\"semi\":\";\",\"dot\":\".\"}}"},
        {"{?keys*}", "?empty=", "{\"keys\":{\"empty\":\"\"}}"},
        {"s{/list*}{?q}", "s/a/b?q=1", "{\"list\":[\"a\",\"b\"],\"q\":\"1\"}"},
        {"s{/list*}{?q}", "s", "{}"},
        /* a name may come once in an object, however it is encoded */
        {"{?keys*}", "?a=1&a=2", NULL},
        {"{?keys*}", "?a=1&%61=2", NULL},
        {"{?keys*}", "?a", NULL},
        {"{?keys*}", "?=1", NULL},
        {"{?keys*}", "?", NULL},
        {"{/mixed*}", "/a/b=c", NULL},
        {"{+mixed*}", "a,b=c", "{\"mixed\":[\"a\",\"b=c\"]}"},
        {"{+mixed*}", "b=c,b=d", "{\"mixed\":[\"b=c\",\"b=d\"]}"},
    };
    CHECK_EXAMPLES(examples);
}
END_TEST

/* ---- beyond the RFC's examples ---- */

START_TEST(earlier_variables_take_as_much_as_they_can)
{
    check("f:///{+dir}/{name}", "f:///a/b/c.txt", "{\"dir\":\"a/b\",\"name\":\"c.txt\"}");
    check("f:///{+dir}/{+name}", "f:///a/b/c.txt", "{\"dir\":\"a/b\",\"name\":\"c.txt\"}");
    check("x:{a}-{b}", "x:1-2-3", "{\"a\":\"1-2\",\"b\":\"3\"}");
    check("x:{a}{b}", "x:12", "{\"a\":\"12\"}");
    check("x:{a}b{c}", "x:abbb", "{\"a\":\"abb\"}");
    check("test://template/{id}/data", "test://template/123/data", "{\"id\":\"123\"}");
    check("test://template/{id}/data", "test://template//data", "{}");
    check("test://template/{id}/data", "test://template/1/2/data", NULL);
    check("test://template/{id}/data", "test://template/123/date", NULL);
    check("test://template/{id}/data", "test://template/123/data/", NULL);
}
END_TEST

START_TEST(a_variable_that_comes_twice_has_one_value)
{
    check("x:{a}/{b}/{a}", "x:1/2/1", "{\"a\":\"1\",\"b\":\"2\"}");
    check("x:{a}/{b}/{a}", "x:1/2/3", NULL);
    check("x:{a:1}/{a:2}", "x:v/va", "{\"a\":\"va\"}");
    check("x:{a:1}/{a:2}", "x:v/wa", NULL);
    check("x:{a}{?a}", "x:1", NULL);
    check("x:{a}{?a}", "x:1?a=1", "{\"a\":\"1\"}");
}
END_TEST

START_TEST(percent_encodings)
{
    check("x:caf\xc3\xa9/{a}", "x:caf%C3%A9/1", "{\"a\":\"1\"}");
    check("x:caf\xc3\xa9/{a}", "x:caf%c3%a9/1", "{\"a\":\"1\"}");
    check("x:caf\xc3\xa9/{a}", "x:caf\xc3\xa9/1", "{\"a\":\"1\"}");
    check("x:caf%c3%a9/{a}", "x:caf\xc3\xa9/1", "{\"a\":\"1\"}");
    check("x:{a}", "x:\xe2\x82\xac", "{\"a\":\"\xe2\x82\xac\"}");
    check("x:{a}", "x:a%2Fb", "{\"a\":\"a/b\"}");
    check("x:{a}", "x:%61%22%5C", "{\"a\":\"a\\\"\\\\\"}");
    check("x:{a}", "x:%00", "{\"a\":\"\\u0000\"}");
    check("x:{a.b_c}", "x:1", "{\"a.b_c\":\"1\"}");
    check("x:{a%20b}", "x:1", "{\"a%20b\":\"1\"}");
}
END_TEST

START_TEST(what_people_leave_unencoded)
{
    check("mail://{address}", "mail://me@example.org", "{\"address\":\"me@example.org\"}");
    check("x:{name}.txt", "x:it's(1)!.txt", "{\"name\":\"it's(1)!\"}");
    check("x:{?url}", "x:?url=http://a/b?c", "{\"url\":\"http://a/b?c\"}");
    /* only when there is no strict reading */
    check("x:{a}{;b}", "x:1;b=2", "{\"a\":\"1\",\"b\":\"2\"}");
    check("x:{a}{?b}{&c}", "x:1?b=2&c=3", "{\"a\":\"1\",\"b\":\"2\",\"c\":\"3\"}");
    check("x:{a}:{b}", "x:1:2", "{\"a\":\"1\",\"b\":\"2\"}");
    /* and never what ends a part of a URI */
    check("x:{a}", "x:1/2", NULL);
    check("x:{a}", "x:1?2", NULL);
    check("x:{a}", "x:1#2", NULL);
    check("x:{?a}", "x:?a=1&b=2", NULL);
}
END_TEST

START_TEST(hostile_uris_do_not_match)
{
    static const char *const uris[] = {
        "x:%",
        "x:%2",
        "x:%zz",
        "x:%FF",
        "x:%C3",
        "x:%C3%28",
        "x:%ED%A0%80",
        "x:%F4%90%80%80",
        "x:%C0%AF",
        "x:a b",
        "x:a\nb",
        "x:a\x01",
        "x:<a>",
        "x:\"a\"",
        "x:a\\b",
        "x:{a}",
        "x:a|b",
        "x:^",
        "",
        "x",
        "X:1",
        "y:1",
        "x:%E2%82",
    };
    for (size_t i = 0; i < sizeof uris / sizeof *uris; i++) {
        check("x:{a}", uris[i], NULL);
        check("x:{+a}", uris[i], NULL);
        check("x:{+a*}", uris[i], NULL);
    }
    struct uri_template *t = uri_template_new(BYTES("x:{a}"), &err);
    struct buf out;
    buf_init(&out, 4096);
    ck_assert(!uri_template_match(t, (struct bytes){"x:a\0b", 5}, &out));
    ck_assert_uint_eq(out.size, 0);
    uri_template_free(t);
}
END_TEST

/* The worst that a template and a URI can do together. */
static void check_time(const char *template, char c, const char *tail)
{
    struct uri_template *t = uri_template_new(bytes_of(template), &err);
    char uri[URI_MAX + 2];
    struct buf out;

    ck_assert_msg(t != NULL, "%s: %s", template, err.text);
    memset(uri, c, sizeof uri);
    memcpy(uri, "x:", 2);
    for (size_t size = URI_MAX; size <= URI_MAX + 1; size++) {
        memcpy(uri + size - strlen(tail), tail, strlen(tail));
        buf_init(&out, 1u << 20);
        int64_t begun = clock_now();
        ck_assert(!uri_template_match(t, (struct bytes){uri, size}, &out));
        ck_assert_msg(clock_now() - begun < 500 * NS_PER_MS, "%s", template);
        ck_assert_uint_eq(out.size, 0);
        buf_free(&out);
    }
    uri_template_free(t);
}

START_TEST(the_time_is_bounded)
{
    char many[URI_MAX] = "x:";

    check_time("x:{+a}{+b}{+c}{+d}{+e}!", 'a', "?");
    check_time("x:{+a}a{+b}a{+c}a{+d}!", 'a', "?");
    check_time("x:{+a}/{+b}/{+c}/{+d}!", '/', "?");
    check_time("x:{a,b,c,d,e}{f,g,h,i}{j}!", ',', "?");
    check_time("x:{/a*}{/b*}{/c*}{/d*}!", '/', "?");
    for (int i = 0; i < 60; i++)
        snprintf(many + strlen(many), sizeof many - strlen(many), "{+v%d*}", i);
    strcat(many, "!");
    check_time(many, ',', "?");
    check_time(many, '=', "?");
}
END_TEST

START_TEST(the_longest_uri_matches)
{
    struct uri_template *t = uri_template_new(BYTES("x:{+a}/{b}"), &err);
    char uri[URI_MAX];
    struct buf out;

    memset(uri, '/', sizeof uri);
    memcpy(uri, "x:", 2);
    buf_init(&out, 1u << 20);
    ck_assert(uri_template_match(t, (struct bytes){uri, sizeof uri}, &out));
    ck_assert_uint_eq(out.size, strlen("{\"a\":\"\"}") + URI_MAX - 3);
    buf_free(&out);
    uri_template_free(t);
}
END_TEST

/* ---- templates ---- */

START_TEST(illegal_templates_are_refused)
{
    static const struct {
        const char *template, *why;
    } cases[] = {
        {"", "it must have 1 to 2048 bytes (it has 0)"},
        {"x:{", "at byte 3: a \"{\" without a \"}\" behind it"},
        {"x:}", "at byte 3: a \"}\" without a \"{\" before it"},
        {"x:{}", "at byte 4: expected the name of a variable (A-Z a-z 0-9 _ .)"},
        {"x:{a,}", "at byte 6: expected the name of a variable (A-Z a-z 0-9 _ .)"},
        {"x:{=a}", "at byte 4: expected the name of a variable (A-Z a-z 0-9 _ .)"},
        {"x:{a b}", "at byte 5: expected \",\" or \"}\" after a variable"},
        {"x:{a.}", "at byte 6: expected the name of a variable (A-Z a-z 0-9 _ .)"},
        {"x:{a:}", "at byte 6: expected a length of 1 to 9999 after \":\""},
        {"x:{a:0}", "at byte 6: expected a length of 1 to 9999 after \":\""},
        {"x:{a:12345}", "at byte 10: expected \",\" or \"}\" after a variable"},
        {"x:{a*:1}", "at byte 6: expected \",\" or \"}\" after a variable"},
        {"x: {a}", "at byte 3: this character must be percent-encoded"},
        {"x:<a>", "at byte 3: this character must be percent-encoded"},
        {"x:%2", "at byte 1: a \"%\" that two hexadecimal digits do not follow"},
        {"{{a}}", "at byte 2: expected the name of a variable (A-Z a-z 0-9 _ .)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_ptr_null(uri_template_new(bytes_of(cases[i].template), &err));
        ck_assert_str_eq(err.text, cases[i].why);
    }
}
END_TEST

START_TEST(a_template_that_fits_any_uri_is_refused)
{
    static const char *const refused[] = {
        "{+uri}",         "{+a}{+b}",      "{+a,b}",     "{+uri*}",    "{scheme}:{+x}",
        "{+s}://{+rest}", "{s}://{h}/{p}", "{+uri}{?q}", "{a}:{b}{c}", "{s}://{h}{/p*}"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        ck_assert_msg(uri_template_new(bytes_of(refused[i]), &err) == NULL, "%s", refused[i]);
        ck_assert_msg(strstr(err.text, "it would fit any URI: begin it with a scheme of its own"),
                      "%s", err.text);
    }
    check("notes:{+uri}", "notes:http://a", "{\"uri\":\"http://a\"}");
    check("file:///{+path}", "file:///etc/passwd", "{\"path\":\"etc/passwd\"}");
}
END_TEST

START_TEST(too_many_variables_are_refused)
{
    char text[1024] = "x:";

    for (int i = 0; i < 65; i++)
        strcat(text, "{a}");
    ck_assert_ptr_null(uri_template_new(bytes_of(text), &err));
    ck_assert_str_eq(err.text, "at byte 196: too many variables");
    text[strlen(text) - 3] = '\0';
    check(text, "x:1", NULL); /* 64 of one name do not agree */
}
END_TEST

START_TEST(variables_are_known_by_name)
{
    struct uri_template *t = uri_template_new(BYTES("x:{a}y{/b*,c:3}"), &err);

    ck_assert_ptr_nonnull(t);
    ck_assert(uri_template_has_variable(t, BYTES("a")));
    ck_assert(uri_template_has_variable(t, BYTES("b")));
    ck_assert(uri_template_has_variable(t, BYTES("c")));
    ck_assert(!uri_template_has_variable(t, BYTES("y")));
    ck_assert(!uri_template_has_variable(t, BYTES("b*")));
    ck_assert(!uri_template_has_variable(t, BYTES("")));
    uri_template_free(t);
    uri_template_free(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("uri_template");

    suite_add(suite,
              &(struct suite_case){
                  .name = "matching",
                  .seconds = 60,
                  .tests = SUITE_TESTS(level_1_and_2, level_3, level_4_prefixes, level_4_explode,
                                       earlier_variables_take_as_much_as_they_can,
                                       a_variable_that_comes_twice_has_one_value, percent_encodings,
                                       what_people_leave_unencoded, hostile_uris_do_not_match,
                                       the_time_is_bounded, the_longest_uri_matches)});
    suite_add(suite, &(struct suite_case){
                         .name = "templates",
                         .seconds = 10,
                         .tests = SUITE_TESTS(
                             illegal_templates_are_refused, a_template_that_fits_any_uri_is_refused,
                             too_many_variables_are_refused, variables_are_known_by_name)});
    return suite_run(suite);
}
