/* SPDX-License-Identifier: MIT */
/*
 * core/json: what the parser accepts and refuses, reading, writing; all texts of the
 * JSON Parsing Test Suite when they are at hand; and every short text there is, against
 * a second parser that is too simple to be wrong in the same way.
 */
#include <check.h>
#include <dirent.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/utf8.h"
#include "json/json.h"
#include "suite.h"

static struct arena arena;

static void setup(void)
{
    ck_assert(crypto_init());
    arena_init(&arena, (size_t)1 << 30);
}

static void teardown(void)
{
    arena_free(&arena);
}

/* A copy that ends where its memory ends, so that a sanitizer sees every read behind it. */
static struct bytes exact(struct bytes text)
{
    static char *copy;
    free(copy);
    copy = malloc(text.size > 0 ? text.size : 1);
    if (text.size > 0)
        memcpy(copy, text.data, text.size);
    return (struct bytes){copy, text.size};
}

static struct json must_parse_with(struct bytes text, const struct json_limits *limits, int line)
{
    struct json json;
    struct json_error err;
    text = exact(text);
    if (!json_parse(&json, text, limits, &arena, &err))
        ck_abort_msg("line %d: refused: %s at %u:%u", line, err.text, err.line, err.column);
    ck_assert(json_check(text, limits, &err));
    return json;
}
#define must_parse(literal) must_parse_with(BYTES(literal), &json_default_limits, __LINE__)

static struct json_error must_refuse_with(struct bytes text, const struct json_limits *limits,
                                          int line)
{
    struct json json;
    struct json_error err, check_err;
    text = exact(text);
    if (json_parse(&json, text, limits, &arena, &err))
        ck_abort_msg("line %d: accepted: %.*s", line, BYTES_FMT(text));
    ck_assert_ptr_null(json.root);
    ck_assert(!json_parse(&json, text, limits, &arena, NULL));
    ck_assert(!json_check(text, limits, &check_err));
    ck_assert_int_eq(err.kind, check_err.kind);
    ck_assert_str_eq(err.text, check_err.text);
    ck_assert_uint_le(err.offset, text.size);
    return err;
}

static void assert_refused(struct bytes text, size_t offset, const char *why, int line)
{
    struct json_error err = must_refuse_with(text, &json_default_limits, line);
    if (err.kind != JSON_SYNTAX || err.offset != offset || strstr(err.text, why) == NULL)
        ck_abort_msg("line %d: refused at %zu: %s", line, err.offset, err.text);
}
#define refused(literal, offset, why) assert_refused(BYTES(literal), offset, why, __LINE__)

#define assert_bytes(actual, literal) assert_bytes_(actual, BYTES(literal), __LINE__)
static void assert_bytes_(struct bytes actual, struct bytes expected, int line)
{
    if (actual.data == NULL || !bytes_equal(actual, expected))
        ck_abort_msg("line %d: \"%.*s\" instead of \"%.*s\"", line, BYTES_FMT(actual),
                     BYTES_FMT(expected));
}

/* ---- accepting ---- */

START_TEST(scalars_may_stand_alone)
{
    static const struct {
        const char *text;
        enum json_type type;
    } scalars[] = {{"null", JSON_NULL},   {"true", JSON_TRUE},   {"false", JSON_FALSE},
                   {"0", JSON_NUMBER},    {"-0", JSON_NUMBER},   {"-12.5e+3", JSON_NUMBER},
                   {"1E9", JSON_NUMBER},  {"\"\"", JSON_STRING}, {" \t\r\n1\n ", JSON_NUMBER},
                   {"[]", JSON_ARRAY},    {"{}", JSON_OBJECT},   {" [ ] ", JSON_ARRAY},
                   {" { } ", JSON_OBJECT}};
    for (size_t i = 0; i < sizeof(scalars) / sizeof(scalars[0]); i++) {
        struct json json =
            must_parse_with(bytes_of(scalars[i].text), &json_default_limits, __LINE__);
        ck_assert_int_eq(json.root->type, (int)scalars[i].type);
        ck_assert_uint_eq(json.root->span, 1);
        ck_assert_uint_eq(json.root->count, 0);
        ck_assert_uint_eq(json.nodes, 1);
        ck_assert(!json.repeated);
    }
}
END_TEST

START_TEST(index_has_a_node_for_each_value_and_name)
{
    struct json json = must_parse(" {\"a\": [1, {\"b\\n\": null}], \"c\": \"x\"} ");
    static const struct json_node expected[] = {
        {1, 36, 9, 2, JSON_OBJECT, 0, 0},  {2, 5, 1, 0, JSON_STRING, 0, 0},
        {7, 25, 5, 2, JSON_ARRAY, 0, 0},   {8, 9, 1, 0, JSON_NUMBER, 0, 0},
        {11, 24, 3, 1, JSON_OBJECT, 0, 0}, {12, 17, 1, 0, JSON_STRING, 1, 0},
        {19, 23, 1, 0, JSON_NULL, 0, 0},   {27, 30, 1, 0, JSON_STRING, 0, 0},
        {32, 35, 1, 0, JSON_STRING, 0, 0}};
    size_t count = sizeof(expected) / sizeof(expected[0]);
    ck_assert_uint_eq(json.nodes, count);
    for (size_t i = 0; i < count; i++) {
        const struct json_node *node = &json.root[i], *want = &expected[i];
        ck_assert_uint_eq(node->start, want->start);
        ck_assert_uint_eq(node->end, want->end);
        ck_assert_uint_eq(node->span, want->span);
        ck_assert_uint_eq(node->count, want->count);
        ck_assert_uint_eq(node->type, want->type);
        ck_assert_uint_eq(node->escaped, want->escaped);
    }
    assert_bytes(json_raw(&json, json.root + 2), "[1, {\"b\\n\": null}]");
}
END_TEST

START_TEST(nodes_keep_what_was_allocated_behind_them)
{
    /* What was reserved in vain is given back, and no more than that. */
    struct json json = must_parse("[1,2,3]");
    char *behind = arena_alloc(&arena, 100);
    memset(behind, 0xff, 100);
    ck_assert_uint_eq(json.root->count, 3);
    ck_assert_uint_eq(json.root[3].start, 5);
    ck_assert(behind >= (const char *)(json.root + 4));
    ck_assert(behind < (const char *)(json.root + 5));
}
END_TEST

START_TEST(strings_of_every_length_and_fault)
{
    /* The scanner takes eight bytes at a time: a fault or the end at every place. */
    static const unsigned char faults[] = {0x00, 0x01, 0x1f, 0x80, 0xff, 0xc3};
    char text[64];
    for (size_t size = 0; size < 40; size++) {
        text[0] = '"';
        memset(text + 1, 'x', size);
        text[size + 1] = '"';
        struct bytes whole = {text, size + 2};
        struct json json = must_parse_with(whole, &json_default_limits, __LINE__);
        ck_assert_uint_eq(json_string(&json, json.root, &arena).size, size);
        for (size_t at = 1; at <= size; at++) {
            for (size_t i = 0; i < sizeof(faults); i++) {
                text[at] = (char)faults[i];
                assert_refused(whole, at, "", __LINE__);
            }
            text[at] = 0x7f;
            must_parse_with(whole, &json_default_limits, __LINE__);
            text[at] = '"';
            must_refuse_with(whole, &json_default_limits, __LINE__);
            text[at] = 'x';
        }
        assert_refused((struct bytes){text, size + 1}, 0, "has no end", __LINE__);
    }
}
END_TEST

START_TEST(every_byte_in_a_string)
{
    for (int c = 0; c < 256; c++) {
        char text[] = {'"', 'a', (char)c, 'b', '"'};
        bool legal = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
        /* As '\b', a backslash makes an escape of what follows. */
        if (legal || c == '\\')
            must_parse_with((struct bytes){text, 5}, &json_default_limits, __LINE__);
        else
            must_refuse_with((struct bytes){text, 5}, &json_default_limits, __LINE__);
        char escape[] = {'"', '\\', (char)c, '"'};
        if (c != 0 && strchr("\"\\/bfnrt", c) != NULL)
            must_parse_with((struct bytes){escape, 4}, &json_default_limits, __LINE__);
        else
            must_refuse_with((struct bytes){escape, 4}, &json_default_limits, __LINE__);
    }
}
END_TEST

/* ---- refusing ---- */

START_TEST(refused_with_reason_and_place)
{
    refused("", 0, "expected a value, found the end of the text");
    refused("   ", 3, "found the end of the text");
    refused("nul", 0, "expected a value");
    refused("nulll", 4, "expected the end of the text after the value, found 'l'");
    refused("{} {}", 3, "expected the end of the text");
    refused("1\0", 1, "found the control character 0x00");
    refused("[1 2]", 3, "expected ',' or ']' after an element, found '2'");
    refused("[1,]", 3, "expected a value, found ']'");
    refused("[,1]", 1, "expected a value, found ','");
    refused("[1}", 2, "expected ',' or ']'");
    refused("{\"a\":1]", 6, "expected ',' or '}' after a member, found ']'");
    refused("{\"a\":1,}", 7, "expected a member name in quotes, found '}'");
    refused("{a:1}", 1, "expected a member name in quotes, found 'a'");
    refused("{\"a\" 1}", 5, "expected ':' after a member name");
    refused("{\"a\":}", 5, "expected a value");
    refused("{\"a\"", 4, "expected ':'");
    refused("[", 1, "expected a value, found the end");
    refused("]", 0, "expected a value, found ']'");
    refused("'a'", 0, "found '''");
    refused("\xc3\xa4", 0, "not ASCII");
    refused("\xef\xbb\xbf{}", 0, "byte order mark");
    refused("// c\n1", 0, "expected a value, found '/'");
    refused("\f1", 0, "0x0c");
}
END_TEST

START_TEST(refused_numbers)
{
    refused("01", 0, "must not begin with 0");
    refused("-01", 1, "must not begin with 0");
    refused("00.5", 0, "must not begin with 0");
    refused("-", 1, "expected a digit");
    refused("-a", 1, "expected a digit");
    refused("+1", 0, "expected a value");
    refused(".5", 0, "expected a value");
    refused("1.", 2, "expected a digit");
    refused("1.e5", 2, "expected a digit");
    refused("1e", 2, "expected a digit");
    refused("1e+", 3, "expected a digit");
    refused("1e+-5", 3, "expected a digit");
    refused("1.5.5", 3, "expected the end");
    refused("0x10", 1, "expected the end");
    refused("NaN", 0, "expected a value");
    refused("Infinity", 0, "expected a value");
    refused("-Infinity", 1, "expected a digit");
    refused("1_000", 1, "expected the end");
}
END_TEST

START_TEST(refused_escapes)
{
    refused("\"\\x41\"", 1, "illegal escape");
    refused("\"\\\"", 0, "has no end");
    refused("\"\\", 2, "ends inside a string");
    refused("\"\\u12\"", 1, "four hexadecimal digits");
    refused("\"\\u12g4\"", 1, "four hexadecimal digits");
    refused("\"\\u123", 1, "four hexadecimal digits");
    refused("\"\\U1234\"", 1, "illegal escape");
    refused("\"\\ud800\"", 1, "surrogate");
    refused("\"\\ud800x\"", 1, "surrogate");
    refused("\"\\ud800\\n\"", 1, "surrogate");
    refused("\"\\ud800\\u0041\"", 1, "surrogate");
    refused("\"\\ud800\\ud800\"", 1, "surrogate");
    refused("\"\\ud800\\ue000\"", 1, "surrogate");
    refused("\"\\ud800\\udc0\"", 1, "surrogate");
    refused("\"\\uDBFF\\uDBFF\"", 1, "surrogate");
    refused("\"\\udc00\"", 1, "surrogate");
    refused("\"\\uDFFF\\uD800\"", 1, "surrogate");
    must_parse("\"\\ud7ff\\ue000\\uD7FF\\uE000\"");
    must_parse("\"\\ud800\\udc00\\uDBFF\\uDFFF\\udAbC\\uDcDe\"");
}
END_TEST

START_TEST(refused_utf8)
{
    refused("\"\xc0\x80\"", 1, "invalid UTF-8"); /* overlong */
    refused("\"\xe0\x80\xaf\"", 1, "invalid UTF-8");
    refused("\"\xed\xa0\x80\"", 1, "invalid UTF-8"); /* a surrogate */
    refused("\"\xf4\x90\x80\x80\"", 1, "invalid UTF-8"); /* above U+10FFFF */
    refused("\"\xf8\x88\x80\x80\x80\"", 1, "invalid UTF-8");
    refused("\"abc\xc3\xa4\xe2\x82\"", 6, "invalid UTF-8"); /* cut off */
    refused("\"\xc3", 1, "invalid UTF-8");
    refused("{\"\xff\":1}", 2, "invalid UTF-8");
    must_parse("\"\xc3\xa4\xe2\x82\xac\xf0\x9d\x84\x9e\xef\xbf\xbf\xf4\x8f\xbf\xbf\"");
}
END_TEST

START_TEST(every_prefix_of_a_text_is_refused)
{
    static const char text[] = "{\"a\\u00e4\\ud834\\udd1e\xc3\xa4\": [true, false, null, -1.5e-3, "
                               "\"x\", {}, [], {\"b\": {\"c\": [[[1]]]}}]}";
    must_parse_with(bytes_of(text), &json_default_limits, __LINE__);
    for (size_t size = 0; size < sizeof(text) - 1; size++) {
        struct json_error err =
            must_refuse_with((struct bytes){text, size}, &json_default_limits, __LINE__);
        ck_assert_int_eq(err.kind, JSON_SYNTAX);
    }
}
END_TEST

START_TEST(places_count_characters)
{
    struct json_error err =
        must_refuse_with(BYTES("{\n \"\xc3\xa4\xe2\x82\xac\": x}"), &json_default_limits, __LINE__);
    ck_assert_uint_eq(err.line, 2);
    ck_assert_uint_eq(err.column, 8);
    ck_assert_uint_eq(err.offset, 12);

    struct json json = must_parse("[1,\n\n  \"\xc3\xa4\", 2]");
    unsigned line, column;
    json_place(&json, json.root[2].start, &line, &column);
    ck_assert_uint_eq(line, 3);
    ck_assert_uint_eq(column, 3);
    json_place(&json, json.root[3].start, &line, &column);
    ck_assert_uint_eq(column, 8);
    json_place(&json, 0, &line, &column);
    ck_assert_uint_eq(line, 1);
    ck_assert_uint_eq(column, 1);
    json_place(&json, 1000, &line, &column);
    ck_assert_uint_eq(line, 3);
}
END_TEST

/* ---- limits ---- */

static struct bytes nested(size_t depth, char open, char close)
{
    static char text[400000];
    memset(text, open, depth);
    memset(text + depth, close, depth);
    return (struct bytes){text, depth * 2};
}

START_TEST(limit_of_depth)
{
    struct json_limits limits = json_default_limits;
    limits.max_depth = 5;
    must_parse_with(nested(5, '[', ']'), &limits, __LINE__);
    struct json_error err = must_refuse_with(nested(6, '[', ']'), &limits, __LINE__);
    ck_assert_int_eq(err.kind, JSON_LIMIT);
    ck_assert_uint_eq(err.offset, 5);
    ck_assert_str_eq(err.text, "nested more than 5 deep");
    must_parse_with(BYTES("[[[[[]]]],[[{\"a\":[1]}],[]]]"), &limits, __LINE__);
    limits.max_depth = 0;
    must_parse_with(BYTES("1"), &limits, __LINE__);
    must_refuse_with(BYTES("{}"), &limits, __LINE__);
    must_refuse_with(nested(100000, '[', ']'), &json_default_limits, __LINE__);
    /* The stack of this process has nothing to do with it. */
    limits.max_depth = UINT32_MAX;
    struct json json = must_parse_with(nested(200000, '[', ']'), &limits, __LINE__);
    ck_assert_uint_eq(json.nodes, 200000);
    struct buf out;
    buf_init(&out, SIZE_MAX);
    json_write_compact(&out, &json, json.root);
    ck_assert_uint_eq(out.size, 400000);
    buf_free(&out);
}
END_TEST

START_TEST(limit_of_nodes)
{
    struct json_limits limits = json_default_limits;
    limits.max_nodes = 6;
    must_parse_with(BYTES("[1,2,{\"a\":3}]"), &limits, __LINE__);
    struct json_error err = must_refuse_with(BYTES("[1,2,{\"a\":3},4]"), &limits, __LINE__);
    ck_assert_int_eq(err.kind, JSON_LIMIT);
    ck_assert_str_eq(err.text, "more than 6 values and names");
    limits.max_nodes = 0;
    must_refuse_with(BYTES("1"), &limits, __LINE__);
    limits.max_nodes = 10000;
    char text[20001];
    for (size_t i = 0; i < sizeof(text); i += 2)
        memcpy(text + i, i == 0 ? "[0" : ",0", i + 2 > sizeof(text) ? 1 : 2);
    text[sizeof(text) - 3] = ']'; /* 9,999 numbers */
    must_parse_with((struct bytes){text, sizeof(text) - 2}, &limits, __LINE__);
    limits.max_nodes--;
    must_refuse_with((struct bytes){text, sizeof(text) - 2}, &limits, __LINE__);
}
END_TEST

START_TEST(limit_of_size)
{
    struct json_limits limits = json_default_limits;
    limits.max_size = 5;
    must_parse_with(BYTES("[123]"), &limits, __LINE__);
    struct json_error err = must_refuse_with(BYTES("[1234]"), &limits, __LINE__);
    ck_assert_int_eq(err.kind, JSON_LIMIT);
    ck_assert_str_eq(err.text, "larger than 5 bytes");
    /* Never more than offsets can hold; the text itself is not looked at. */
    struct json json;
    limits.max_size = SIZE_MAX;
    struct bytes huge = {"1", (size_t)UINT32_MAX + 5};
    ck_assert(!json_parse(&json, huge, &limits, &arena, &err));
    ck_assert_int_eq(err.kind, JSON_LIMIT);
}
END_TEST

START_TEST(limit_of_memory)
{
    char text[10001];
    memset(text, '0', sizeof(text));
    for (size_t i = 0; i < sizeof(text); i += 2)
        text[i] = ',';
    text[0] = '[';
    text[sizeof(text) - 1] = ']';
    struct json json;
    struct json_error err;
    struct arena small;
    arena_init(&small, 5001 * sizeof(struct json_node) - 1);
    ck_assert(
        !json_parse(&json, (struct bytes){text, sizeof(text)}, &json_default_limits, &small, &err));
    ck_assert_int_eq(err.kind, JSON_MEMORY);
    ck_assert_str_eq(err.text, "out of memory");
    ck_assert_uint_le(small.used, 16); /* what failed holds nothing back */
    arena_free(&small);
}
END_TEST

/* ---- comments ---- */

START_TEST(comments_where_they_are_allowed)
{
    struct json_limits limits = json_default_limits;
    limits.comments = true;
    struct bytes text =
        BYTES("/**/ // one\n{ /* * / ** */ \"a\" // \"x\"\n : /*/*/ [ //\n 1 /**/ , "
              "// ]\r\n 2 ] , /* \xe2\x82\xac */ \"b\":\"/*\" } // end");
    struct json json = must_parse_with(text, &limits, __LINE__);
    struct buf out;
    buf_init(&out, 1000);
    json_write_compact(&out, &json, json.root);
    assert_bytes(buf_bytes(&out), "{\"a\":[1,2],\"b\":\"/*\"}");
    buf_free(&out);
    must_refuse_with(text, &json_default_limits, __LINE__);

    struct json_error err = must_refuse_with(BYTES("1 /* x"), &limits, __LINE__);
    ck_assert_str_eq(err.text, "the comment that begins here has no end");
    ck_assert_uint_eq(err.offset, 2);
    must_refuse_with(BYTES("1 /*/"), &limits, __LINE__);
    must_refuse_with(BYTES("1 /"), &limits, __LINE__);
    must_refuse_with(BYTES("1 /x"), &limits, __LINE__);
    must_refuse_with(BYTES("/* x */"), &limits, __LINE__);
    must_refuse_with(BYTES("// 1"), &limits, __LINE__);
    err = must_refuse_with(BYTES("1 // \xff"), &limits, __LINE__);
    ck_assert_uint_eq(err.offset, 5);
    ck_assert_ptr_nonnull(strstr(err.text, "UTF-8"));
    must_refuse_with(BYTES("1 /* \xc3 */"), &limits, __LINE__);
    must_refuse_with(BYTES("1 # x"), &limits, __LINE__);
}
END_TEST

/* ---- repeated names ---- */

static void assert_repeats(struct bytes text, size_t offset, const char *name, int line)
{
    struct json_error err = must_refuse_with(text, &json_default_limits, line);
    char expected[200];
    snprintf(expected, sizeof(expected), "the member name \"%s\" occurs twice in an object", name);
    ck_assert_int_eq(err.kind, JSON_REPEATED);
    ck_assert_str_eq(err.text, expected);
    ck_assert_uint_eq(err.offset, offset);
    struct json_limits limits = json_default_limits;
    limits.duplicates = true;
    ck_assert(must_parse_with(text, &limits, line).repeated);
}
#define repeats(literal, offset, name) assert_repeats(BYTES(literal), offset, name, __LINE__)

START_TEST(repeated_names_are_refused)
{
    repeats("{\"a\":1,\"a\":2}", 7, "a");
    repeats("{\"a\":1,\"b\":2,\"c\":3,\"b\":1}", 19, "b");
    repeats("[1,{\"x\":{\"\":1,\"\":2}}]", 14, "");
    repeats("{\"\\u0061\":1,\"a\":2}", 12, "a");
    repeats("{\"a\":1,\"\\u0061\":2}", 7, "\\u0061");
    repeats("{\"a\\u0062\":1,\"\\u0061b\":2}", 13, "\\u0061b");
    repeats("{\"\\/\":1,\"/\":2}", 8, "/");
    repeats("{\"\\ud834\\udd1e\":1,\"\xf0\x9d\x84\x9e\":2}", 18, "\xf0\x9d\x84\x9e");
    repeats("{\"\\u00e4x\":1,\"\xc3\xa4x\":2}", 13, "\xc3\xa4x");
    repeats("{\"a\\u0000\":1,\"a\\u0000\":1}", 13, "a\\u0000");
}
END_TEST

START_TEST(names_that_only_look_alike)
{
    must_parse("{\"a\":1,\"A\":2,\"\":3,\" \":4,\"aa\":5,\"a\\u0000\":6,\"\\\\u0061\":7}");
    must_parse("{\"a\":{\"a\":{\"a\":1}},\"b\":[{\"a\":1},{\"a\":1}]}");
    /* Composed and decomposed characters are different names. */
    must_parse("{\"\xc3\xa4\":1,\"a\xcc\x88\":2}");
    must_parse("{\"a\":\"a\",\"b\":\"a\"}");
    /* Alike in their first byte. */
    must_parse("{\"\\u00e4\":1,\"\xc3\xa5\":1}");
}
END_TEST

START_TEST(a_broken_text_is_not_called_repeated)
{
    refused("{\"a\":1,\"a\":2", 12, "expected ','");
    refused("[{\"a\":1,\"a\":2}}", 14, "expected ','");
    refused("{\"a\":1,\"a\":2} x", 14, "expected the end");
}
END_TEST

START_TEST(long_names_are_cut_in_the_message)
{
    char name[400] = "x", text[1000];
    for (int i = 0; i < 100; i++)
        strcat(name, "\xe2\x82\xac");
    snprintf(text, sizeof(text), "{\"%s\":1,\"%s\":2}", name, name);
    struct json_error err = must_refuse_with(bytes_of(text), &json_default_limits, __LINE__);
    ck_assert_int_eq(err.kind, JSON_REPEATED);
    ck_assert(utf8_valid(bytes_of(err.text)));
    ck_assert_ptr_nonnull(strstr(err.text, "\xe2\x82\xac\" occurs twice"));
}
END_TEST

/* An object with `count` members k0, k1, ... and, unless -1, the name of member `same` a
 * second time in place of member `at`, spelled with an escape. */
static struct bytes object_of(int count, int at, int same)
{
    static struct buf out;
    buf_free(&out);
    buf_init(&out, SIZE_MAX);
    BUF_LIT(&out, "{");
    for (int i = 0; i < count; i++) {
        if (i == at)
            buf_addf(&out, "%s\"\\u006b%d\":%d", i > 0 ? "," : "", same, i);
        else
            buf_addf(&out, "%s\"k%d\":%d", i > 0 ? "," : "", i, i);
    }
    BUF_LIT(&out, "}");
    return buf_bytes(&out);
}

START_TEST(repeated_names_are_found_at_every_place)
{
    /* 16 is where the way of looking changes. */
    for (int count = 2; count <= 40; count++) {
        must_parse_with(object_of(count, -1, -1), &json_default_limits, __LINE__);
        must_parse_with(object_of(count, count / 2, count), &json_default_limits, __LINE__);
        for (int at = 0; at < count; at++) {
            for (int same = 0; same < count; same++) {
                struct bytes text = object_of(count, at, same);
                struct json json;
                struct json_error err;
                bool accepted = json_parse(&json, text, &json_default_limits, &arena, &err);
                ck_assert_int_eq(accepted, at == same);
                if (!accepted)
                    ck_assert_int_eq(err.kind, JSON_REPEATED);
                arena_reset(&arena, 1 << 20);
            }
        }
    }
}
END_TEST

START_TEST(the_last_of_repeated_members_counts)
{
    struct json_limits limits = json_default_limits;
    limits.duplicates = true;
    struct json json = must_parse_with(
        BYTES("{\"a\":1, \"b\":{\"x\":1,\"\\u0078\":[ ]}, \"a\":{\"z\":[2]}, \"a\":3, \"c\":4}"),
        &limits, __LINE__);
    ck_assert(json.repeated);
    ck_assert(json.root->repeated);
    ck_assert_uint_eq(json.root->count, 5);
    assert_bytes(json_raw(&json, json_get(&json, json.root, "a")), "3");
    assert_bytes(json_raw(&json, json_at(&json, json.root, "/b/x")), "[ ]");
    struct buf out;
    buf_init(&out, 1000);
    json_write_compact(&out, &json, json.root);
    assert_bytes(buf_bytes(&out), "{\"b\":{\"\\u0078\":[]},\"a\":3,\"c\":4}");
    must_parse_with(buf_bytes(&out), &json_default_limits, __LINE__);
    buf_free(&out);

    json = must_parse_with(BYTES("{\"a\":{\"b\":1},\"c\":{\"d\":1,\"d\":2}}"), &limits, __LINE__);
    ck_assert(json.repeated);
    ck_assert(!json.root->repeated);
    ck_assert(!json_get(&json, json.root, "a")->repeated);
    ck_assert(json_get(&json, json.root, "c")->repeated);
    json = must_parse_with(BYTES("{\"a\":1}"), &limits, __LINE__);
    ck_assert(!json.repeated);
}
END_TEST

START_TEST(the_last_of_many_repeated_members_counts)
{
    struct json_limits limits = json_default_limits;
    limits.duplicates = true;
    struct buf text, out;
    buf_init(&text, SIZE_MAX);
    buf_init(&out, SIZE_MAX);
    BUF_LIT(&text, "{");
    for (int i = 0; i < 300; i++)
        buf_addf(&text, "%s\"k%d\":%d", i > 0 ? "," : "", i % 100, i);
    BUF_LIT(&text, "}");
    struct json json = must_parse_with(buf_bytes(&text), &limits, __LINE__);
    for (int i = 0; i < 100; i++) {
        char name[16];
        int64_t value;
        snprintf(name, sizeof(name), "k%d", i);
        ck_assert(json_int64(&json, json_get(&json, json.root, name), &value));
        ck_assert_int_eq(value, 200 + i);
    }
    json_write_compact(&out, &json, json.root);
    json = must_parse_with(buf_bytes(&out), &json_default_limits, __LINE__);
    ck_assert_uint_eq(json.root->count, 100);
    buf_free(&text);
    buf_free(&out);
}
END_TEST

START_TEST(many_members_take_no_longer_than_they_should)
{
    /* Pairwise, these would be 20,000,000,000 comparisons. */
    struct bytes text = object_of(200000, -1, -1);
    struct json json;
    int64_t before = clock_now();
    ck_assert(json_parse(&json, text, &json_default_limits, &arena, NULL));
    ck_assert_int_lt(clock_now() - before, 20 * NS_PER_S);
    ck_assert_uint_eq(json.root->count, 200000);
    ck_assert(!json_check(object_of(200000, 199999, 7), &json_default_limits, NULL));
}
END_TEST

/* ---- reading ---- */

START_TEST(members_are_found_by_their_decoded_name)
{
    struct json json = must_parse("{\"a\":1,\"\\u0062c\":2,\"\":3,\"a\\u0000b\":4,\"A\":5,"
                                  "\"\\\\n\":6,\"\xe2\x82\xac\":7,\"n\\u00e4\":8,\"long name\":9}");
    const struct json_node *root = json.root;
    assert_bytes(json_raw(&json, json_get(&json, root, "a")), "1");
    assert_bytes(json_raw(&json, json_get(&json, root, "bc")), "2");
    assert_bytes(json_raw(&json, json_get(&json, root, "")), "3");
    assert_bytes(json_raw(&json, json_get_bytes(&json, root, BYTES("a\0b"))), "4");
    assert_bytes(json_raw(&json, json_get(&json, root, "A")), "5");
    assert_bytes(json_raw(&json, json_get(&json, root, "\\n")), "6");
    assert_bytes(json_raw(&json, json_get(&json, root, "\xe2\x82\xac")), "7");
    assert_bytes(json_raw(&json, json_get(&json, root, "n\xc3\xa4")), "8");
    assert_bytes(json_raw(&json, json_get(&json, root, "long name")), "9");
    ck_assert_ptr_null(json_get(&json, root, "long nam"));
    ck_assert_ptr_null(json_get(&json, root, "\\u0062c"));
    ck_assert_ptr_null(json_get(&json, root, "b"));
    ck_assert_ptr_null(json_get(&json, root, "bcd"));
    ck_assert_ptr_null(json_get_bytes(&json, root, BYTES("\xe2\x82")));
    ck_assert_ptr_null(json_get(&json, NULL, "a"));
    ck_assert_ptr_null(json_get(&json, json_get(&json, root, "a"), "a"));
    json = must_parse("[{\"a\":1}]");
    ck_assert_ptr_null(json_get(&json, json.root, "a"));
}
END_TEST

START_TEST(pointers_of_rfc_6901)
{
    /* The document of its section 5. */
    struct json json = must_parse("{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/b\":1,\"c%d\":2,\"e^f\":3,"
                                  "\"g|h\":4,\"i\\\\j\":5,\"k\\\"l\":6,\" \":7,\"m~n\":8}");
    static const struct {
        const char *pointer, *value;
    } found[] = {{"/foo", "[\"bar\",\"baz\"]"},
                 {"/foo/0", "\"bar\""},
                 {"/foo/1", "\"baz\""},
                 {"/", "0"},
                 {"/a~1b", "1"},
                 {"/c%d", "2"},
                 {"/e^f", "3"},
                 {"/g|h", "4"},
                 {"/i\\j", "5"},
                 {"/k\"l", "6"},
                 {"/ ", "7"},
                 {"/m~0n", "8"}};
    ck_assert_ptr_eq(json_at(&json, json.root, ""), json.root);
    for (size_t i = 0; i < sizeof(found) / sizeof(found[0]); i++) {
        const struct json_node *value = json_at(&json, json.root, found[i].pointer);
        ck_assert_msg(value != NULL, "nothing at %s", found[i].pointer);
        ck_assert(bytes_equal(json_raw(&json, value), bytes_of(found[i].value)));
    }
    static const char *const missing[] = {"foo",
                                          "/fo",
                                          "/foo/2",
                                          "/foo/-",
                                          "/foo/00",
                                          "/foo/01",
                                          "/foo/",
                                          "/foo/+1",
                                          "/foo/ 1",
                                          "/foo/1x",
                                          "/foo/0/0",
                                          "/foo/4294967296",
                                          "/foo/18446744073709551616",
                                          "//",
                                          "/m~n",
                                          "/m~2n",
                                          "/m~",
                                          "/a/b",
                                          "//x",
                                          "/a~1b/"};
    for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++)
        ck_assert_msg(json_at(&json, json.root, missing[i]) == NULL, "found %s", missing[i]);
    ck_assert_ptr_null(json_at(&json, NULL, "/a"));
    ck_assert_ptr_null(json_at(&json, NULL, ""));
    json = must_parse("{\"~1\":{\"/~\":[[],[1,{\"x\":2}]]}}");
    assert_bytes(json_raw(&json, json_at(&json, json.root, "/~01/~1~0/1/1/x")), "2");
}
END_TEST

START_TEST(walking_sees_each_element_once)
{
    struct json json = must_parse("[[1,[2]],{\"a\":[3]},4,[]]");
    const struct json_node *end = json.root + json.root->span;
    static const char *const elements[] = {"[1,[2]]", "{\"a\":[3]}", "4", "[]"};
    size_t count = 0;
    for (const struct json_node *e = json_first(json.root); e != NULL; e = json_next(e, end)) {
        ck_assert_uint_lt(count, 4);
        ck_assert(bytes_equal(json_raw(&json, e), bytes_of(elements[count++])));
    }
    ck_assert_uint_eq(count, 4);

    json = must_parse("{\"a\":{\"b\":1},\"c\":[1,2],\"d\":3}");
    end = json.root + json.root->span;
    count = 0;
    for (const struct json_node *n = json_first(json.root); n != NULL; n = json_next(n + 1, end)) {
        char name[] = {(char)("acd"[count++]), '\0'};
        ck_assert(json_is(&json, n, name));
        ck_assert_ptr_eq(json_get(&json, json.root, name), n + 1);
    }
    ck_assert_uint_eq(count, 3);
    json = must_parse("[[],{},1]");
    ck_assert_ptr_null(json_first(json.root + 1));
    ck_assert_ptr_null(json_first(json.root + 2));
    ck_assert_ptr_null(json_first(json.root + 3));
    ck_assert_ptr_null(json_first(NULL));
}
END_TEST

START_TEST(strings_are_decoded)
{
    struct json json =
        must_parse("[\"plain\",\"\",\"\\\"\\\\\\/"
                   "\\b\\f\\n\\r\\t\",\"a\\u0000b\",\"\\u00e4\\u20AC\\ud834\\uDD1E\","
                   "\"x\xc3\xa4\\n\",\"\\u0041\\u0042\",1]");
    const struct json_node *s = json.root + 1;
    assert_bytes(json_string(&json, &s[0], &arena), "plain");
    ck_assert_ptr_eq(json_string(&json, &s[0], &arena).data, json.text.data + 2);
    assert_bytes(json_string(&json, &s[1], &arena), "");
    assert_bytes(json_string(&json, &s[2], &arena), "\"\\/\b\f\n\r\t");
    assert_bytes(json_string(&json, &s[3], &arena), "a\0b");
    assert_bytes(json_string(&json, &s[4], &arena), "\xc3\xa4\xe2\x82\xac\xf0\x9d\x84\x9e");
    assert_bytes(json_string(&json, &s[5], &arena), "x\xc3\xa4\n");
    assert_bytes(json_string(&json, &s[6], &arena), "AB");
    ck_assert_ptr_null(json_string(&json, &s[7], &arena).data);
    ck_assert_ptr_null(json_string(&json, NULL, &arena).data);
    ck_assert_ptr_null(json_string(&json, json.root, &arena).data);

    ck_assert_str_eq(json_cstring(&json, &s[0], &arena), "plain");
    ck_assert_str_eq(json_cstring(&json, &s[1], &arena), "");
    ck_assert_str_eq(json_cstring(&json, &s[2], &arena), "\"\\/\b\f\n\r\t");
    ck_assert_ptr_null(json_cstring(&json, &s[3], &arena));
    ck_assert_ptr_null(json_cstring(&json, &s[7], &arena));
    ck_assert_ptr_null(json_cstring(&json, NULL, &arena));

    struct arena none;
    arena_init(&none, 0);
    ck_assert_ptr_null(json_string(&json, &s[2], &none).data);
    ck_assert_ptr_null(json_cstring(&json, &s[0], &none));
    ck_assert_ptr_null(json_cstring(&json, &s[2], &none));
    assert_bytes(json_string(&json, &s[0], &none), "plain");
}
END_TEST

START_TEST(every_escape_decodes_to_its_character)
{
    for (uint32_t c = 0; c <= 0x10ffff; c += c < 0x3000 ? 1 : 97) {
        if (c >= 0xd800 && c <= 0xdfff)
            continue;
        char text[32], character[4];
        if (c < 0x10000)
            snprintf(text, sizeof(text), c & 1 ? "\"\\u%04x\"" : "\"\\u%04X\"", c);
        else
            snprintf(text, sizeof(text), "\"\\u%04x\\u%04X\"", 0xd800 + ((c - 0x10000) >> 10),
                     0xdc00 + (c & 0x3ff));
        struct bytes expected = {character, utf8_encode(c, character)};
        struct json json;
        ck_assert(json_parse(&json, bytes_of(text), &json_default_limits, &arena, NULL));
        ck_assert(bytes_equal(json_string(&json, json.root, &arena), expected));
        arena_reset(&arena, 1 << 20);
    }
}
END_TEST

START_TEST(is_compares_decoded_text)
{
    struct json json = must_parse("[\"abc\",\"\\u0061bc\",\"\",\"a\\u0000\",1,\"abcd\"]");
    const struct json_node *s = json.root + 1;
    ck_assert(json_is(&json, &s[0], "abc"));
    ck_assert(json_is(&json, &s[1], "abc"));
    ck_assert(!json_is(&json, &s[1], "\\u0061bc"));
    ck_assert(!json_is(&json, &s[0], "ab"));
    ck_assert(!json_is(&json, &s[0], "abcd"));
    ck_assert(json_is(&json, &s[2], ""));
    ck_assert(!json_is(&json, &s[3], "a"));
    ck_assert(!json_is(&json, &s[4], "1"));
    ck_assert(!json_is(&json, &s[5], "abc"));
    ck_assert(!json_is(&json, NULL, ""));
}
END_TEST

/* ---- numbers ---- */

START_TEST(integers_however_they_are_written)
{
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {{"0", 0},
                {"-0", 0},
                {"-0.0", 0},
                {"0e99999999999999999999", 0},
                {"0.000e-5", 0},
                {"12", 12},
                {"12.0", 12},
                {"1.2e1", 12},
                {"1200e-2", 12},
                {"1200E-2", 12},
                {"0.0012e4", 12},
                {"12.00000000000000000000000000000000000", 12},
                {"-12", -12},
                {"1e0", 1},
                {"1e+3", 1000},
                {"1e18", 1000000000000000000},
                {"10.50e1", 105},
                {"9223372036854775807", INT64_MAX},
                {"-9223372036854775808", INT64_MIN},
                {"-9223372036854775807", -INT64_MAX},
                {"9223372036854775807.0", INT64_MAX},
                {"922337203685477580.7e1", INT64_MAX},
                {"9.223372036854775807e18", INT64_MAX},
                {"92233720368547758070000000000e-10", INT64_MAX},
                {"9007199254740993", 9007199254740993},
                {"100000000000000000000000000000000000000000e-41", 1},
                {"5000000000000000000", 5000000000000000000}};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct json json = must_parse_with(bytes_of(good[i].text), &json_default_limits, __LINE__);
        int64_t value = 77;
        ck_assert_msg(json_int64(&json, json.root, &value), "no integer: %s", good[i].text);
        ck_assert_msg(value == good[i].value, "%s gave %lld", good[i].text, (long long)value);
    }
    static const char *const bad[] = {"9223372036854775808",
                                      "-9223372036854775809",
                                      "1e19",
                                      "18446744073709551616",
                                      "99999999999999999999",
                                      "0.5",
                                      "1.5",
                                      "-1.2e0",
                                      "125e-1",
                                      "1e-1",
                                      "1e-99999999999999999999",
                                      "1e99999999999999999999",
                                      "-1e99999999999999999999",
                                      "1e1000000000",
                                      "12.00000000000000000001",
                                      "123456789012345678901234567890e-10",
                                      "9223372036854775807.1",
                                      "\"1\"",
                                      "true",
                                      "null",
                                      "[]",
                                      "10000000000000000000",
                                      "1.00000000000000000000000000000000000000000000001"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct json json = must_parse_with(bytes_of(bad[i]), &json_default_limits, __LINE__);
        int64_t value = 77;
        ck_assert_msg(!json_int64(&json, json.root, &value), "an integer: %s", bad[i]);
        ck_assert_int_eq(value, 77);
    }
    int64_t value;
    struct json json = must_parse("1");
    ck_assert(!json_int64(&json, NULL, &value));
}
END_TEST

START_TEST(integers_with_thousands_of_zeros)
{
    char text[5100] = "0.";
    memset(text + 2, '0', 5000);
    strcpy(text + 5002, "12e5002");
    struct json json = must_parse_with(bytes_of(text), &json_default_limits, __LINE__);
    int64_t value;
    ck_assert(json_int64(&json, json.root, &value));
    ck_assert_int_eq(value, 12);
    memset(text, '0', 5000);
    text[0] = '7';
    strcpy(text + 5000, "e-4998");
    json = must_parse_with(bytes_of(text), &json_default_limits, __LINE__);
    ck_assert(json_int64(&json, json.root, &value));
    ck_assert_int_eq(value, 70);
}
END_TEST

static struct bytes write_double(double number)
{
    static struct buf out;
    buf_free(&out);
    buf_init(&out, 100);
    json_write_double(&out, number);
    return buf_bytes(&out);
}

START_TEST(doubles_are_written_short)
{
    assert_bytes(write_double(0), "0");
    assert_bytes(write_double(-0.0), "-0");
    assert_bytes(write_double(5), "5");
    assert_bytes(write_double(0.1), "0.1");
    assert_bytes(write_double(-1.5), "-1.5");
    assert_bytes(write_double(100), "100");
    assert_bytes(write_double(1e20), "1e+20");
    assert_bytes(write_double(0.1 + 0.2), "0.30000000000000004");
    assert_bytes(write_double(9007199254740991), "9007199254740991");
    assert_bytes(write_double(INFINITY), "null");
    assert_bytes(write_double(-INFINITY), "null");
    assert_bytes(write_double(NAN), "null");
}
END_TEST

START_TEST(doubles_come_back_bit_for_bit)
{
    uint64_t state = 88172645463325252;
    for (int i = 0; i < 20000; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        double number;
        memcpy(&number, &state, sizeof(number));
        if (!isfinite(number))
            continue;
        struct bytes text = write_double(number);
        ck_assert(json_check(text, &json_default_limits, NULL));
        double back = strtod(text.data, NULL);
        ck_assert_mem_eq(&back, &number, sizeof(back));
    }
}
END_TEST

START_TEST(numbers_do_not_follow_the_locale)
{
    static const char *const with_comma[] = {"de_DE.UTF-8", "de_DE.utf8",  "fr_FR.UTF-8",
                                             "de_DE",       "nl_NL.UTF-8", "ru_RU.UTF-8"};
    const char *set = NULL;
    for (size_t i = 0; set == NULL && i < sizeof(with_comma) / sizeof(with_comma[0]); i++)
        set = setlocale(LC_NUMERIC, with_comma[i]);
    if (set == NULL)
        printf("numbers_do_not_follow_the_locale: no locale with a comma here, C it is\n"
               "1 skipped\n");
    assert_bytes(write_double(1.5), "1.5");
}
END_TEST

/* ---- writing ---- */

static struct bytes write_string(struct bytes text)
{
    static struct buf out;
    buf_free(&out);
    buf_init(&out, SIZE_MAX);
    json_write_string(&out, text);
    return buf_bytes(&out);
}

START_TEST(strings_are_written_escaped)
{
    assert_bytes(write_string(BYTES("")), "\"\"");
    assert_bytes(write_string((struct bytes){NULL, 0}), "\"\"");
    assert_bytes(write_string(BYTES("a/b")), "\"a/b\"");
    assert_bytes(write_string(BYTES("\"\\\b\f\n\r\t")), "\"\\\"\\\\\\b\\f\\n\\r\\t\"");
    assert_bytes(write_string(BYTES("\0\x01\x1f\x7f")), "\"\\u0000\\u0001\\u001f\x7f\"");
    assert_bytes(write_string(BYTES("\xc3\xa4\xe2\x82\xac\xf0\x9d\x84\x9e")),
                 "\"\xc3\xa4\xe2\x82\xac\xf0\x9d\x84\x9e\"");
    assert_bytes(write_string(BYTES("a\xff"
                                    "b\xc3\"\xe2\x82")),
                 "\"a\xef\xbf\xbd"
                 "b\xef\xbf\xbd\\\"\xef\xbf\xbd\xef\xbf\xbd\"");
    assert_bytes(write_string(BYTES("\xed\xa0\x80")), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}
END_TEST

START_TEST(any_bytes_become_a_string_and_come_back)
{
    uint32_t state = 12345;
    for (int i = 0; i < 5000; i++) {
        char text[80];
        size_t size = (size_t)i % sizeof(text);
        for (size_t j = 0; j < size; j++) {
            state = state * 1664525 + 1013904223;
            /* One in sixteen anything, the rest ASCII. */
            text[j] = (char)((state >> 16 & 15) == 0 ? state >> 24 : state >> 24 & 0x7f);
        }
        struct bytes bytes = {text, size};
        struct json json;
        ck_assert(json_parse(&json, write_string(bytes), &json_default_limits, &arena, NULL));
        struct bytes back = json_string(&json, json.root, &arena);
        ck_assert(utf8_valid(back));
        if (utf8_valid(bytes))
            ck_assert(bytes_equal(back, bytes));
        arena_reset(&arena, 1 << 20);
    }
}
END_TEST

START_TEST(writing_ends_at_the_cap_of_the_buffer)
{
    struct buf out;
    buf_init(&out, 10);
    json_write_string(&out, BYTES("12345678"));
    assert_bytes(buf_bytes(&out), "\"12345678\"");
    ck_assert(!out.failed);
    buf_clear(&out);
    json_write_string(&out, BYTES("123456789"));
    ck_assert(out.failed);
    buf_clear(&out);
    json_write_string(&out, BYTES("\n\n\n\n\n"));
    ck_assert(out.failed);
    buf_clear(&out);
    struct json json = must_parse("[1,2,3,4,5,6]");
    json_write_compact(&out, &json, json.root);
    ck_assert(out.failed);
    /* Wherever it ends; what is left may look like anything. */
    json = must_parse("[\"/*\",\"//\",{\"/x\":\"/\"},\"[\",\"/*/\"]");
    for (size_t max = 0; max < json.text.size; max++) {
        buf_free(&out);
        buf_init(&out, max);
        json_write_compact(&out, &json, json.root);
        ck_assert(out.failed);
        json_write_compact(&out, &json, json.root);
        ck_assert(memcmp(out.data != NULL ? out.data : "", json.text.data, out.size) == 0);
    }
    buf_free(&out);
}
END_TEST

START_TEST(compact_leaves_out_white_space_only)
{
    struct json json = must_parse(" { \"a b\" : [ 1 , -2.50e+1 , \"x \\n y\" , { } , [ ] ] ,\n"
                                  "\t\"c\" : { \"d\" : null , \"e\" : [ [ true ] , false ] } } ");
    struct buf out;
    buf_init(&out, 1000);
    json_write_compact(&out, &json, json.root);
    assert_bytes(buf_bytes(&out), "{\"a b\":[1,-2.50e+1,\"x \\n y\",{},[]],"
                                  "\"c\":{\"d\":null,\"e\":[[true],false]}}");
    buf_clear(&out);
    json_write_compact(&out, &json, json_get(&json, json.root, "c"));
    assert_bytes(buf_bytes(&out), "{\"d\":null,\"e\":[[true],false]}");
    buf_clear(&out);
    json_write_compact(&out, &json, json_at(&json, json.root, "/a b/1"));
    json_write_compact(&out, &json, json_at(&json, json.root, "/a b/3"));
    assert_bytes(buf_bytes(&out), "-2.50e+1{}");
    buf_free(&out);
}
END_TEST

/* ---- the JSON Parsing Test Suite ---- */

#define VECTORS "tests/vectors/json-parsing"

static struct bytes read_vector(const char *name)
{
    static char content[1 << 20];
    char path[PATH_MAX];
    snprintf(path, sizeof(path), VECTORS "/%s", name);
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "cannot open %s", path);
    size_t size = fread(content, 1, sizeof(content), file);
    ck_assert_uint_lt(size, sizeof(content));
    fclose(file);
    return exact((struct bytes){content, size});
}

START_TEST(vectors_of_the_json_parsing_test_suite)
{
    DIR *dir = opendir(VECTORS);
    ck_assert_msg(dir != NULL, VECTORS " cannot be opened");
    int accepted = 0, repeated = 0, refused = 0, either = 0;
    struct json_limits limits = json_default_limits;
    limits.duplicates = true;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        const char *name = entry->d_name;
        if (strlen(name) < 2 || name[1] != '_')
            continue;
        struct bytes text = read_vector(name);
        struct json json;
        struct json_error err;
        bool ok = json_parse(&json, text, &json_default_limits, &arena, &err);
        ck_assert_int_eq(json_check(text, &json_default_limits, NULL), ok);
        if (name[0] == 'y' && !ok) {
            /* Two are legal, if unwise, for repeating a name: not by default, then. */
            ck_assert_msg(err.kind == JSON_REPEATED, "%s refused: %s", name, err.text);
            ck_assert_msg(json_parse(&json, text, &limits, &arena, &err), "%s refused", name);
            repeated++;
        } else if (name[0] == 'n') {
            ck_assert_msg(!ok && !json_check(text, &limits, NULL), "%s accepted", name);
            ck_assert_msg(err.kind == JSON_SYNTAX || err.kind == JSON_LIMIT, "%s: %s", name,
                          err.text);
        }
        accepted += name[0] == 'y';
        refused += name[0] == 'n';
        either += name[0] == 'i';
        arena_reset(&arena, 1 << 20);
    }
    closedir(dir);
    ck_assert_int_le(repeated, 2);
    ck_assert_int_ge(accepted, 48);
    ck_assert_int_ge(refused, 127);
    printf("json vectors: %d accepted (%d of them with repeated names, where those are allowed), "
           "%d refused, %d either\n",
           accepted, repeated, refused, either);
}
END_TEST

/* ---- a second opinion ---- */

/* The grammar of RFC 8259 written down once more, for the few characters used below. Each
 * function returns where its piece ends, or NULL. */
static const char *ref_value(const char *s);

static const char *ref_space(const char *s)
{
    return s + strspn(s, " ");
}

static const char *ref_digits(const char *s)
{
    size_t size = strspn(s, "01");
    return size > 0 ? s + size : NULL;
}

static const char *ref_number(const char *s)
{
    s += *s == '-';
    s = *s == '0' ? s + 1 : ref_digits(s);
    if (s != NULL && *s == '.')
        s = ref_digits(s + 1);
    if (s != NULL && *s == 'e')
        s = ref_digits(s + 1 + (s[1] == '-'));
    return s;
}

static const char *ref_string(const char *s)
{
    for (s++; *s != '"'; s++) {
        if (*s == '\0')
            return NULL;
        if (*s == '\\' && *++s != '"' && *s != '\\')
            return NULL;
    }
    return s + 1;
}

static const char *ref_container(const char *s, bool object)
{
    char close = object ? '}' : ']';
    s = ref_space(s + 1);
    if (*s == close)
        return s + 1;
    for (;;) {
        if (object) {
            s = *s == '"' ? ref_string(s) : NULL;
            if (s == NULL || *ref_space(s) != ':')
                return NULL;
            s = ref_space(s) + 1;
        }
        s = ref_value(s);
        if (s == NULL || *s == close)
            return s != NULL ? s + 1 : NULL;
        if (*s != ',')
            return NULL;
        s = ref_space(s + 1);
    }
}

/* With white space before and behind it. */
static const char *ref_value(const char *s)
{
    s = ref_space(s);
    s = *s == '"'                         ? ref_string(s)
        : *s == '{' || *s == '['          ? ref_container(s, *s == '{')
        : *s != '\0' && strchr("-01", *s) ? ref_number(s)
                                          : NULL;
    return s != NULL ? ref_space(s) : NULL;
}

START_TEST(every_short_text_gets_the_right_verdict)
{
    static const char alphabet[] = "{}[]\",:01-.e\\ ";
    enum { LETTERS = sizeof(alphabet) - 1, LONGEST = 5 };
    struct json_limits limits = json_default_limits;
    limits.duplicates = true;
    long accepted = 0;
    for (int length = 1; length <= LONGEST; length++) {
        long texts = 1;
        for (int i = 0; i < length; i++)
            texts *= LETTERS;
        for (long n = 0; n < texts; n++) {
            char text[LONGEST + 1] = "";
            long rest = n;
            for (int i = 0; i < length; i++, rest /= LETTERS)
                text[i] = alphabet[rest % LETTERS];
            const char *end = ref_value(text);
            bool legal = end != NULL && *end == '\0';
            struct json json;
            if (json_parse(&json, (struct bytes){text, (size_t)length}, &limits, &arena, NULL) !=
                legal)
                ck_abort_msg("wrong verdict on %s", text);
            accepted += legal;
            arena_reset(&arena, 4096);
        }
    }
    ck_assert_int_gt(accepted, 1000);
}
END_TEST

/* ---- */

int main(void)
{
    Suite *suite = suite_create("json");
    SUITE_ADD(suite, "accept", 240, scalars_may_stand_alone,
              index_has_a_node_for_each_value_and_name, nodes_keep_what_was_allocated_behind_them,
              strings_of_every_length_and_fault, every_byte_in_a_string,
              vectors_of_the_json_parsing_test_suite, every_short_text_gets_the_right_verdict);
    SUITE_ADD(suite, "refuse", 240, refused_with_reason_and_place, refused_numbers, refused_escapes,
              refused_utf8, every_prefix_of_a_text_is_refused, places_count_characters);
    SUITE_ADD(suite, "limits", 240, limit_of_depth, limit_of_nodes, limit_of_size, limit_of_memory,
              comments_where_they_are_allowed);
    SUITE_ADD(suite, "names", 240, repeated_names_are_refused, names_that_only_look_alike,
              a_broken_text_is_not_called_repeated, long_names_are_cut_in_the_message,
              repeated_names_are_found_at_every_place, the_last_of_repeated_members_counts,
              the_last_of_many_repeated_members_counts,
              many_members_take_no_longer_than_they_should);
    SUITE_ADD(suite, "read", 240, members_are_found_by_their_decoded_name, pointers_of_rfc_6901,
              walking_sees_each_element_once, strings_are_decoded,
              every_escape_decodes_to_its_character, is_compares_decoded_text);
    SUITE_ADD(suite, "numbers", 240, integers_however_they_are_written,
              integers_with_thousands_of_zeros, doubles_are_written_short,
              doubles_come_back_bit_for_bit, numbers_do_not_follow_the_locale);
    SUITE_ADD(suite, "write", 240, strings_are_written_escaped,
              any_bytes_become_a_string_and_come_back, writing_ends_at_the_cap_of_the_buffer,
              compact_leaves_out_white_space_only);

    return suite_run(suite);
}
