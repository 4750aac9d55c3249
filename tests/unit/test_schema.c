/* SPDX-License-Identifier: MIT */
/*
 * core/json/schema: the official JSON Schema Test Suite (tests/vectors), what
 * failures are called, what is refused when a schema is compiled, and the bounds.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/utf8.h"
#include "json/schema.h"
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

static struct json parse(struct bytes text)
{
    struct json json;
    struct json_error err;
    if (!json_parse(&json, text, &json_default_limits, &arena, &err))
        ck_abort_msg("%.*s: %s", BYTES_FMT(text), err.text);
    return json;
}

static struct schema *must_compile_with(const char *text, const struct schema_options *options)
{
    struct json json = parse(bytes_of(text));
    struct error err;
    struct schema *schema = schema_compile(&json, json.root, options, &err);
    if (schema == NULL)
        ck_abort_msg("%s: %s", text, err.text);
    return schema;
}

static struct schema *must_compile(const char *text)
{
    return must_compile_with(text, NULL);
}

/* ---- what failures say ---- */

struct failures {
    struct buf text; /* "INSTANCE KEYWORD TEXT", a line each */
    const struct json *json;
    int count, stop_after;
};

static bool collect(void *context, const struct schema_failure *failure)
{
    struct failures *f = context;
    ck_assert_ptr_nonnull(failure->value);
    ck_assert(failure->value >= f->json->root && failure->value < f->json->root + f->json->nodes);
    buf_addf(&f->text, "%s%s|%s|%s", f->count > 0 ? "\n" : "", failure->instance, failure->keyword,
             failure->text);
    return ++f->count != f->stop_after;
}

static const char *failures_of(const struct schema *schema, const char *instance)
{
    struct json json = parse(bytes_of(instance));
    struct failures f = {.json = &json};
    buf_init(&f.text, 1 << 20);
    bool valid = schema_validate(schema, &json, json.root, collect, &f);
    ck_assert_int_eq(valid, schema_validate(schema, &json, json.root, NULL, NULL));
    ck_assert_int_eq(valid, f.count == 0);
    const char *text = arena_copy(&arena, buf_bytes(&f.text)).data;
    buf_free(&f.text);
    return text;
}

static void check_failures(const char *schema_text, const char *instance, const char *expected,
                           int line)
{
    struct schema *schema = must_compile(schema_text);
    const char *said = failures_of(schema, instance);
    if (strcmp(said, expected) != 0)
        ck_abort_msg("line %d: %s: said\n%s\nand not\n%s", line, instance, said, expected);
    schema_free(schema);
}
#define says(schema, instance, expected) check_failures(schema, instance, expected, __LINE__)
#define valid(schema, instance) check_failures(schema, instance, "", __LINE__)

START_TEST(types_are_named)
{
    says("{\"type\":\"integer\",\"minimum\":1,\"maximum\":65535}", "\"80\"",
         "|/type|expected an integer from 1 to 65535, got \"80\"");
    says("{\"type\":\"integer\",\"minimum\":1,\"maximum\":65535}", "70000",
         "|/maximum|expected an integer from 1 to 65535, got 70000");
    says("{\"type\":\"integer\"}", "1.5", "|/type|expected an integer, got 1.5");
    says("{\"type\":[\"string\",\"null\"],\"minLength\":1}", "7",
         "|/type|expected a string of at least 1 character or null, got 7");
    says("{\"type\":\"boolean\"}", "{\"a\":[1,2]}", "|/type|expected true or false, got an object");
    says("{\"exclusiveMinimum\":0,\"maximum\":1.5}", "0",
         "|/exclusiveMinimum|expected a number greater than 0 and of at most 1.5, got 0");
    says("{\"multipleOf\":0.01}", "0.015",
         "|/multipleOf|expected a number that is a multiple of 0.01, got 0.015");
}
END_TEST

START_TEST(strings_are_described)
{
    says("{\"minLength\":1}", "\"\"",
         "|/minLength|expected a string of at least 1 character, got \"\"");
    says("{\"maxLength\":3}", "\"\\u00e4\\u00f6\\u00fc\\ud83d\\ude00\"",
         "|/maxLength|expected a string of at most 3 characters, got \"\\u00e4\\u00f6\\u00fc"
         "\\ud83d\\ude00\"");
    valid("{\"maxLength\":4,\"minLength\":4}", "\"\\u00e4\\u00f6\\u00fc\\ud83d\\ude00\"");
    valid("{\"maxLength\":4,\"minLength\":4}", "\"\u00e4\u00f6\u00fc\U0001F600\"");
    says("{\"minLength\":2,\"maxLength\":5}", "\"0123456789012345678901234567890123456789012345\"",
         "|/maxLength|expected a string of 2 to 5 characters, got one of 46");
    says("{\"pattern\":\"^a\\\\d$\"}", "\"b\"",
         "|/pattern|expected a string that matches \"^a\\\\d$\", got \"b\"");
    says("{\"enum\":[\"a\",\"b\",{\"x\":null}]}", "\"c\"",
         "|/enum|expected one of \"a\", \"b\", {\"x\":null}, got \"c\"");
    says("{\"const\":\"a\"}", "1", "|/const|expected \"a\", got 1");
}
END_TEST

START_TEST(members_are_named)
{
    const char *schema = "{\"type\":\"object\",\"properties\":{\"listen\":{\"type\":\"string\"},"
                         "\"path/x\":{}},\"required\":[\"path/x\"],\"additionalProperties\":false}";
    says(schema, "{\"lisen\":1,\"path/x\":2}",
         "/lisen|/additionalProperties|unknown member \"lisen\" (did you mean \"listen\"?)");
    says(schema, "{\"zzzzzz\":1,\"path/x\":2}",
         "/zzzzzz|/additionalProperties|unknown member \"zzzzzz\"");
    says(schema, "{}", "|/required|missing member \"path/x\"");
    says(schema, "{\"listen\":1}",
         "/listen|/properties/listen/type|expected a string, got 1\n"
         "|/required|missing member \"path/x\"");
    says("{\"properties\":{\"a/b~\":{\"items\":{\"type\":\"null\"}}}}", "{\"a/b~\":[null,3]}",
         "/a~1b~0/1|/properties/a~1b~0/items/type|expected null, got 3");
    says("{\"allOf\":[{\"properties\":{\"colour\":true}}],\"unevaluatedProperties\":false}",
         "{\"color\":1}",
         "/color|/unevaluatedProperties|unknown member \"color\" (did you mean \"colour\"?)");
    says("{\"properties\":{\"a\":false}}", "{\"a\":1}",
         "/a|/properties/a|there must be no member \"a\"");
    says("{\"dependentRequired\":{\"a\":[\"b\"]}}", "{\"a\":1}",
         "|/dependentRequired/a|missing member \"b\", which must be there beside \"a\"");
    says("{\"propertyNames\":{\"maxLength\":2}}", "{\"abc\":1}",
         "/abc|/propertyNames/maxLength|the name of a member: expected a string of at most 2 "
         "characters, got \"abc\"");
    says("{\"minProperties\":1}", "{}",
         "|/minProperties|expected an object of at least 1 member, got an empty one");
}
END_TEST

START_TEST(arrays_are_described)
{
    says("{\"minItems\":1,\"maxItems\":2}", "[1,2,3]",
         "|/maxItems|expected an array of 1 to 2 elements, got one of 3");
    says("{\"uniqueItems\":true}", "[1,{\"a\":1,\"b\":2},{\"b\":2.0,\"a\":1e0}]",
         "|/uniqueItems|expected an array without equal elements, got equal ones at 1 and 2");
    says("{\"prefixItems\":[true],\"items\":false}", "[1,2,3]",
         "/1|/items|expected an array of at most 1 element, got one of 3");
    says("{\"contains\":{\"type\":\"integer\"},\"minContains\":2}", "[1,\"a\"]",
         "|/minContains|expected at least 2 elements to be an integer, got 1");
    says("{\"contains\":{\"const\":5}}", "[1]",
         "|/contains|expected at least 1 element to be 5, got none");
}
END_TEST

START_TEST(the_nearest_branch_is_reported)
{
    says("{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"object\",\"properties\":{\"port\":"
         "{\"type\":\"integer\"}}}]}",
         "{\"port\":\"x\"}", "/port|/anyOf/1/properties/port/type|expected an integer, got \"x\"");
    says("{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"integer\",\"minimum\":0},"
         "{\"type\":\"null\"}]}",
         "true", "|/anyOf|expected a string, an integer of at least 0 or null, got true");
    says("{\"oneOf\":[{\"const\":\"a\",\"title\":\"A\"},{\"const\":\"b\"},{\"const\":\"a\"}]}",
         "\"c\"", "|/oneOf|expected one of \"a\", \"b\", got \"c\"");
    const char *tagged =
        "{\"oneOf\":[{\"type\":\"null\"},"
        "{\"properties\":{\"kind\":{\"const\":\"file\"},\"path\":{\"type\":\"string\"}},"
        "\"required\":[\"kind\",\"path\"]},"
        "{\"properties\":{\"kind\":{\"const\":\"web\"},\"url\":{\"type\":\"string\"}},"
        "\"required\":[\"kind\",\"url\"]}]}";
    says(tagged, "{\"kind\":\"web\",\"path\":\"/\"}", "|/oneOf/2/required|missing member \"url\"");
    says(tagged, "{\"kind\":\"wub\",\"path\":\"/\"}",
         "/kind|/oneOf|expected one of \"file\", \"web\", got \"wub\"");
    says("{\"oneOf\":[{\"type\":\"integer\"},{\"minimum\":2}]}", "3",
         "|/oneOf|expected exactly one of the alternatives to match, got two: 0 and 1");
    says("{\"not\":{\"type\":\"null\"}}", "null", "|/not|expected anything but null, got null");
    says("{\"if\":{\"type\":\"string\"},\"then\":{\"minLength\":3}}", "\"a\"",
         "|/then/minLength|expected a string of at least 3 characters, got \"a\"");
    says("{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"type\":\"null\"}}}", "1",
         "|/$defs/a/type|expected null, got 1");
}
END_TEST

START_TEST(a_report_can_stop)
{
    struct schema *schema = must_compile("{\"items\":{\"type\":\"null\"}}");
    struct json json = parse(BYTES("[1,2,3,4]"));
    for (int stop = 1; stop <= 5; stop++) {
        struct failures f = {.json = &json, .stop_after = stop};
        buf_init(&f.text, 1 << 20);
        ck_assert(!schema_validate(schema, &json, json.root, collect, &f));
        ck_assert_int_eq(f.count, stop < 4 ? stop : 4);
        buf_free(&f.text);
    }
    /* A part of a text, with places as seen from there. */
    struct json outer = parse(BYTES("{\"x\":[null,true]}"));
    struct failures f = {.json = &outer};
    buf_init(&f.text, 1 << 20);
    ck_assert(!schema_validate(schema, &outer, json_get(&outer, outer.root, "x"), collect, &f));
    ck_assert_str_eq(f.text.data, "/1|/items/type|expected null, got true");
    buf_free(&f.text);
    schema_free(schema);
}
END_TEST

/* ---- numbers and equality ---- */

START_TEST(numbers_are_exact)
{
    valid("{\"maximum\":9007199254740993}", "9007199254740993");
    says("{\"maximum\":9007199254740992}", "9007199254740993",
         "|/maximum|expected a number of at most 9007199254740992, got 9007199254740993");
    says("{\"minimum\":18446744073709551616}", "18446744073709551615",
         "|/minimum|expected a number of at least 18446744073709551616, got 18446744073709551615");
    valid("{\"maximum\":123456789012345678901234567890}", "123456789012345678901234567889.9999");
    valid("{\"const\":1}", "1.0");
    valid("{\"const\":-0.0}", "0");
    valid("{\"const\":[100,{\"a\":0.001}]}", "[1e2,{\"a\":1E-3}]");
    valid("{\"type\":\"integer\"}", "1.0");
    valid("{\"type\":\"integer\"}", "1.5e1");
    valid("{\"type\":\"integer\"}", "1e400");
    says("{\"type\":\"integer\"}", "15e-2", "|/type|expected an integer, got 15e-2");
    says("{\"const\":9007199254740993}", "9007199254740992",
         "|/const|expected 9007199254740993, got 9007199254740992");
    valid("{\"multipleOf\":0.1}", "1234567890123456789012345678901234567890.3");
    valid("{\"multipleOf\":0.01}", "19.99");
    valid("{\"multipleOf\":123456789}", "1524157875019052100");
    says("{\"multipleOf\":1e3}", "1e2",
         "|/multipleOf|expected a number that is a multiple of 1e3, got 1e2");
    valid("{\"multipleOf\":1e-300}", "1e300");
    valid("{\"multipleOf\":7}", "0");
    valid("{\"minimum\":-1e-999999999999,\"maximum\":1e999999999999999999999}", "0");
}
END_TEST

START_TEST(equality_ignores_the_order_of_members)
{
    valid("{\"const\":{\"a\":[1,2],\"b\":{\"c\":null,\"d\":\"x\"}}}",
          "{\"b\":{\"d\":\"\\u0078\",\"c\":null},\"a\":[1.0,2]}");
    says("{\"const\":{\"a\":1}}", "{\"a\":1,\"b\":2}", "|/const|expected {\"a\":1}, got an object");
    valid("{\"uniqueItems\":true}",
          "[1,true,\"1\",[1],{\"a\":1},{\"a\":2},{\"b\":1},null,0,false]");
    /* Enough elements for the way through hashes. */
    struct buf many;
    buf_init(&many, 1 << 20);
    for (int i = 0; i < 1000; i++)
        buf_addf(&many, "%s{\"a\":%d,\"b\":[%d]}", i > 0 ? "," : "[", i, i);
    BUF_LIT(&many, ",{\"b\":[7e0],\"a\":7.0}]");
    says("{\"uniqueItems\":true}", many.data,
         "|/uniqueItems|expected an array without equal elements, got equal ones at 7 and 1000");
    memcpy(strstr(many.data, ",{\"b\":[7e0]"), ",[\"b\",[7e0]", 11);
    strcpy(strstr(many.data, "\"a\":7.0"), "\"a\",7.0]]");
    valid("{\"uniqueItems\":true}", many.data);
    buf_free(&many);
}
END_TEST

/* ---- patterns and formats ---- */

START_TEST(patterns_are_those_of_ecma_262)
{
    static const struct {
        const char *pattern, *matches, *differs;
    } cases[] = {
        {"^\\\\d+$", "42", "\u09ea"},
        {"^\\\\w$", "a", "\u00e9"},
        {"^[\\\\w-]+$", "a-b", "a b"},
        {"^\\\\s$", "\u2003", "x"},
        {"^[^\\\\s]$", "x", "\ufeff"},
        {"^[\\\\S]$", "x", "\ufeff"},
        {"^.$", "\u00e9", "\u2028"},
        {"^\\\\u00e9\\\\x41\\\\u{1F432}\\\\ud83d\\\\udc32$", "\u00e9A\U0001F432\U0001F432", "e"},
        {"^\\\\p{Letter}\\\\p{gc=Nd}\\\\p{Script=Greek}\\\\P{L}$", "x1\u03b1-", "11a-"},
        {"^\\\\cA\\\\0\\\\v$", "\\u0001\\u0000\\u000b", "\\ncA"},
        {"^[[:alpha:]]+$", ":]", "x"},
        {"^a{2}b{1,}c{,3}$", "aabc{,3}", "aabccc"},
        {"^\\\\{x{$", "{x{", "x"},
        {"^[^]$", "\\n", ""},
        {"a$", "a", "a\\n"},
        {"^(?<year>\\\\d{4})-\\\\k<year>$", "1999-1999", "1999-2000"},
        {"^(a)?\\\\1$", "", "a"},
        {"^(?i)abc\\\\Z", "ABC", "x"},
        {"^\\\\/\\\\-\\\\.$", "/-.", "/-x"},
        {"", "anything", NULL},
        {"b", "aaaab", "aaaa"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char schema[300], instance[300];
        snprintf(schema, sizeof(schema), "{\"pattern\":\"%s\"}", cases[i].pattern);
        struct schema *s = must_compile(schema);
        snprintf(instance, sizeof(instance), "\"%s\"", cases[i].matches);
        if (*failures_of(s, instance) != '\0')
            ck_abort_msg("%s does not match %s", cases[i].pattern, instance);
        snprintf(instance, sizeof(instance), "\"%s\"", cases[i].differs);
        if (cases[i].differs != NULL && *failures_of(s, instance) == '\0')
            ck_abort_msg("%s matches %s", cases[i].pattern, instance);
        schema_free(s);
    }
}
END_TEST

START_TEST(long_texts_are_searched)
{
    struct schema *schema = must_compile("{\"pattern\":\"needle\\\\u00e9$\"}");
    size_t size = 300000;
    char *text = malloc(size + 20);
    text[0] = '"';
    for (size_t i = 1; i < size; i += 2)
        memcpy(text + i, "\u00e9", 2);
    strcpy(text + size + 1, "needle\u00e9\"");
    ck_assert_str_eq(failures_of(schema, text), "");
    strcpy(text + size + 1, "needlee\"");
    ck_assert_ptr_nonnull(strstr(failures_of(schema, text), "|/pattern|"));
    free(text);
    schema_free(schema);
}
END_TEST

START_TEST(formats_are_asserted_on_demand)
{
    const struct schema_options assert_format = {.assert_format = true};
    static const struct {
        const char *format, *good, *bad;
    } cases[] = {
        {"date", "2024-02-29", "2023-02-29"},
        {"date-time", "1998-12-31T23:59:60Z", "1998-12-31T22:59:60Z"},
        {"time", "08:30:06.283185+02:00", "08:30:06"},
        {"duration", "P1Y2M3DT4H5M6S", "P1YT"},
        {"duration", "P4W", "P1Y4W"},
        {"email", "joe.bloggs@example.com", "joe..bloggs@example.com"},
        /* Quoted: a backslash escapes the quote, but not when it is escaped itself. */
        {"email", "\\\"a\\\\\\\"b\\\"@example.com", "\\\"a\\\\\\\\\\\"b\\\"@example.com"},
        {"idn-email", "\u00e9@example.com", "example.com"},
        {"hostname", "a-1.example", "-a.example"},
        {"idn-hostname", "\u00e9.example", "a b"},
        {"ipv4", "192.168.0.1", "192.168.00.1"},
        {"ipv6", "::1", "12345::"},
        {"uri", "http://user@[::1]:80/a?b#c", "//no/scheme"},
        {"uri-reference", "../a?b", "a\\\\b"},
        {"iri", "http://\u00e9/", "\u00e9"},
        {"iri-reference", "\u00e9", "<>"},
        {"uri-template", "/a/{b,c*}{?d.e:3}", "/a/{b:0}"},
        {"uuid", "2eb8aa08-aa98-11ea-b4aa-73b441d16380", "2eb8aa08aa9811eab4aa73b441d16380"},
        {"json-pointer", "/a~1b", "a"},
        {"relative-json-pointer", "1/a", "01/a"},
        {"regex", "^a$", "\\\\Z"},
        {"regex", "\\\\(?x", "(?x)"}, /* an escape, and no group of PCRE2 alone */
        {"regex", "\\\\(", "\\\\"}, /* and one that is the last */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char schema[100], instance[100];
        snprintf(schema, sizeof(schema), "{\"format\":\"%s\"}", cases[i].format);
        struct schema *asserting = must_compile_with(schema, &assert_format);
        struct schema *describing = must_compile(schema);
        snprintf(instance, sizeof(instance), "\"%s\"", cases[i].good);
        if (*failures_of(asserting, instance) != '\0')
            ck_abort_msg("%s refused as %s", instance, cases[i].format);
        snprintf(instance, sizeof(instance), "\"%s\"", cases[i].bad);
        if (*failures_of(asserting, instance) == '\0')
            ck_abort_msg("%s accepted as %s", instance, cases[i].format);
        ck_assert_str_eq(failures_of(describing, instance), "");
        ck_assert_str_eq(failures_of(asserting, "12"), "");
        schema_free(asserting);
        schema_free(describing);
    }
}
END_TEST

/* ---- what is no schema ---- */

static void check_refused(const char *text, const char *expected, int line)
{
    struct json json = parse(bytes_of(text));
    struct error err;
    struct schema *schema = schema_compile(&json, json.root, NULL, &err);
    if (schema != NULL || strcmp(err.text, expected) != 0)
        ck_abort_msg("line %d: %s: %s", line, text, schema != NULL ? "accepted" : err.text);
    ck_assert_ptr_null(schema_compile(&json, json.root, NULL, NULL));
}
#define refuses(schema, expected) check_refused(schema, expected, __LINE__)

START_TEST(what_is_no_schema_is_refused)
{
    refuses("[]", "the schema: expected a schema: an object, true or false");
    refuses("{\"properties\":{\"a\":{\"minimum\":\"1\"}}}",
            "\"/properties/a/minimum\": expected a number, got \"1\"");
    refuses("{\"type\":\"int\"}",
            "\"/type\": expected a type (\"object\", \"array\", \"string\", \"number\", "
            "\"integer\", \"boolean\" or \"null\") or an array of types, got \"int\"");
    refuses("{\"items\":[{}]}",
            "\"/items\": expected a schema, got an array; since 2020-12 a schema for each element "
            "stands in \"prefixItems\"");
    refuses("{\"required\":true}", "\"/required\": expected an array of names, got true");
    refuses("{\"minLength\":-1}", "\"/minLength\": expected an integer from 0, got -1");
    refuses("{\"minLength\":1.5}", "\"/minLength\": expected an integer from 0, got 1.5");
    refuses("{\"multipleOf\":0}", "\"/multipleOf\": expected a number above 0, got 0");
    refuses("{\"allOf\":[]}", "\"/allOf\": expected an array of at least one schema, got an array");
    refuses("{\"allOf\":[1]}", "\"/allOf/0\": expected a schema: an object, true or false");
    refuses(
        "{\"pattern\":\"(\"}",
        "\"/pattern\": \"(\" is no regular expression of ECMA-262: missing closing parenthesis");
    refuses("{\"patternProperties\":{\"[\":{}}}",
            "\"/patternProperties/[\": \"[\" is no regular expression of ECMA-262: missing "
            "terminating ] for character class");
    refuses("{\"$schema\":\"http://json-schema.org/draft-04/schema#\"}",
            "\"/$schema\": the dialect \"http://json-schema.org/draft-04/schema#\" is not known; "
            "\"https://json-schema.org/draft/2020-12/schema\" and "
            "\"http://json-schema.org/draft-07/schema#\" are");
    refuses("{\"$ref\":\"#/$defs/a\"}", "\"/$ref\": \"#/$defs/a\" leads nowhere");
    refuses("{\"$ref\":\"#a\"}",
            "\"/$ref\": \"#a\" leads nowhere: nothing there has the \"$anchor\" \"a\"");
    refuses("{\"items\":{\"$ref\":\"https://example.org/x.json\"}}",
            "\"/items/$ref\": \"https://example.org/x.json\" leads out of the schema, to "
            "\"https://example.org/x.json\", and nothing is fetched: put it into \"$defs\" with "
            "this \"$id\"");
    refuses("{\"$id\":\"http://a/b#c\"}",
            "\"/$id\": expected a URI without a fragment; \"$anchor\" names a place");
    refuses("{\"$defs\":{\"a\":{\"$anchor\":\"x\"},\"b\":{\"$anchor\":\"x\"}}}",
            "\"/$defs/b/$anchor\": \"x\" is there twice");
    refuses("{\"$defs\":{\"a\":{\"$id\":\"x:y\"},\"b\":{\"$id\":\"x:y\"}}}",
            "\"/$defs/b/$id\": \"x:y\" is there twice");
    refuses("{\"$ref\":\"#/const\",\"const\":{\"type\":1}}",
            "\"/const/type\": expected a type (\"object\", \"array\", \"string\", \"number\", "
            "\"integer\", \"boolean\" or \"null\") or an array of types, got 1");
}
END_TEST

START_TEST(long_texts_of_a_schema_are_cut)
{
    struct buf text;
    struct error err;
    for (int shift = 0; shift < 4; shift++) {
        buf_init(&text, 1 << 20);
        buf_addf(&text, "{\"properties\":{\"%.*s", shift, "abc");
        for (int i = 0; i < 1000; i++)
            BUF_LIT(&text, "\U0001F600");
        BUF_LIT(&text, "/end\":{\"$ref\":\"x:");
        for (int i = 0; i < 1000; i++)
            BUF_LIT(&text, "\U0001F600");
        BUF_LIT(&text, "\"}}}");
        struct json json = parse(buf_bytes(&text));
        ck_assert_ptr_null(schema_compile(&json, json.root, NULL, &err));
        ck_assert(utf8_valid(bytes_of(err.text)));
        ck_assert_ptr_nonnull(strstr(err.text, "~1end/$ref\": \"x:"));
        ck_assert_ptr_nonnull(strstr(err.text, "leads out of the schema"));
        buf_free(&text);
    }
}
END_TEST

START_TEST(draft_07_is_understood)
{
#define SEVEN "{\"$schema\":\"http://json-schema.org/draft-07/schema#\","
    says(SEVEN "\"definitions\":{\"a\":{\"type\":\"null\"}},\"$ref\":\"#/definitions/a\","
               "\"const\":5}",
         "1", "|/definitions/a/type|expected null, got 1");
    says(SEVEN "\"items\":[{\"type\":\"null\"}],\"additionalItems\":{\"type\":\"string\"}}",
         "[1,2]",
         "/0|/items/0/type|expected null, got 1\n"
         "/1|/additionalItems/type|expected a string, got 2");
    says(SEVEN "\"dependencies\":{\"a\":[\"b\"],\"c\":{\"required\":[\"d\"]}}}",
         "{\"a\":1,\"c\":1}",
         "|/dependencies/a|missing member \"b\", which must be there beside \"a\"\n"
         "|/dependencies/c/required|missing member \"d\"");
    says(SEVEN "\"definitions\":{\"a\":{\"$id\":\"#x\",\"type\":\"null\"}},"
               "\"properties\":{\"p\":{\"$ref\":\"#x\"}}}",
         "{\"p\":1}", "/p|/definitions/a/type|expected null, got 1");
    valid(SEVEN "\"unevaluatedProperties\":false,\"dependentRequired\":{\"a\":[\"b\"]}}",
          "{\"a\":1}");
    valid("{\"$ref\":\"http://json-schema.org/draft-07/schema#\"}", "{\"minLength\":1}");
}
END_TEST

/* ---- bounds ---- */

static const char *repeat(const char *before, const char *middle, const char *behind, int times)
{
    struct buf text;
    buf_init(&text, 1 << 24);
    for (int i = 0; i < times; i++)
        buf_addf(&text, "%s", before);
    buf_addf(&text, "%s", middle);
    for (int i = 0; i < times; i++)
        buf_addf(&text, "%s", behind);
    const char *copy = arena_copy(&arena, buf_bytes(&text)).data;
    buf_free(&text);
    return copy;
}

START_TEST(a_schema_has_bounds)
{
    schema_free(must_compile(repeat("{\"items\":", "{}", "}", 64)));
    struct error err;
    struct json json = parse(bytes_of(repeat("{\"items\":", "{}", "}", 65)));
    ck_assert_ptr_null(schema_compile(&json, json.root, NULL, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "/items\": more than 64 subschemas within each other"));

    struct buf many;
    buf_init(&many, 1 << 24);
    BUF_LIT(&many, "{\"allOf\":[true");
    for (int i = 1; i < 9999; i++)
        BUF_LIT(&many, ",true");
    size_t size = many.size;
    BUF_LIT(&many, "]}");
    schema_free(must_compile(many.data));
    many.size = size;
    BUF_LIT(&many, ",true]}");
    refuses(many.data, "\"/allOf/9999\": the schema has more than 10000 subschemas");
    buf_free(&many);
}
END_TEST

START_TEST(patterns_have_bounds)
{
    struct buf many;
    buf_init(&many, 1 << 24);
    BUF_LIT(&many, "{\"properties\":{\"a\":true");
    for (int i = 0; i < 600; i++)
        buf_addf(&many, ",\"a%d\":{\"pattern\":\"(?:ab){999}\"}", i);
    BUF_LIT(&many, "}}");
    struct json json = parse(buf_bytes(&many));
    struct error err;
    struct schema *schema = schema_compile(&json, json.root, NULL, &err);
    ck_assert_ptr_null(schema);
    ck_assert_ptr_nonnull(strstr(err.text, "all patterns together take more than 4 MiB"));
    buf_free(&many);
}
END_TEST

#define TOO_MUCH "||not checked to the end: it takes too much work to "

START_TEST(no_pattern_hangs)
{
    static const char *const patterns[] = {
        "^(a+)+$",   "(a*)*b",          "^(a|aa)+$", "(.*)*x",
        "a*a*a*a*b", "(?:a?){30}a{30}", "a*[bc]",    "^(([a-z])+.)+[A-Z]([a-z])+$"};
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        char schema[100];
        snprintf(schema, sizeof(schema), "{\"items\":{\"pattern\":\"%s\"}}", patterns[i]);
        struct schema *s = must_compile(schema);
        for (int length = 20; length <= 200000; length *= 10) {
            const char *text = repeat("a", "!\"", "", length);
            struct buf array;
            buf_init(&array, 1 << 24);
            for (int j = 0; j < 5; j++)
                buf_addf(&array, "%s\"%s", j > 0 ? "," : "[", text);
            BUF_LIT(&array, "]");
            struct json json = parse(buf_bytes(&array));
            int64_t start = clock_now();
            schema_validate(s, &json, json.root, NULL, NULL);
            double seconds = (double)(clock_now() - start) / 1e9;
            if (seconds > 4)
                ck_abort_msg("%s on 5 x %d took %.1f s", patterns[i], length, seconds);
            buf_free(&array);
        }
        schema_free(s);
    }
    says("{\"pattern\":\"^(a+)+$\"}", "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\"",
         TOO_MUCH "match a pattern of the schema");
    /* What could not be checked is never taken for valid. */
    says("{\"not\":{\"pattern\":\"^(a+)+$\"}}",
         "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\"",
         TOO_MUCH "match a pattern of the schema");
}
END_TEST

START_TEST(loops_of_references_are_found)
{
    const char *loop = "the schema comes back to itself without going into the value; a check "
                       "would never end";
    char expected[300];
    snprintf(expected, sizeof(expected), "the schema: %s", loop);
    refuses("{\"$ref\":\"#\"}", expected);
    refuses("{\"anyOf\":[{\"type\":\"null\"},{\"$ref\":\"#\"}]}", expected);
    refuses("{\"$defs\":{\"a\":{\"$ref\":\"#/$defs/b\"},\"b\":{\"not\":{\"$ref\":\"#/$defs/a\"}}}}",
            "\"/$defs/b\": the schema comes back to itself without going into the value; a "
            "check would never end");
    struct schema *list = must_compile("{\"type\":\"object\",\"properties\":{\"next\":{\"$ref\":"
                                       "\"#\"}},\"additionalProperties\":false}");
    ck_assert_str_eq(failures_of(list, repeat("{\"next\":", "{}", "}", 100)), "");
    ck_assert_ptr_nonnull(strstr(failures_of(list, repeat("{\"next\":", "1", "}", 100)),
                                 "|/type|expected an object, got 1"));
    schema_free(list);
    /* Only going through it tells that this one never ends. */
    says("{\"$id\":\"a:b\",\"$dynamicAnchor\":\"n\",\"$ref\":\"c:d\",\"$defs\":{\"x\":{\"$id\":"
         "\"c:d\",\"anyOf\":[{\"$dynamicRef\":\"#n\"}],\"$defs\":{\"y\":{\"$dynamicAnchor\":\"n\"}"
         "}}}}",
         "1", "||not checked to the end: it is nested too deeply to be checked against the schema");
}
END_TEST

START_TEST(work_is_bounded)
{
    struct buf text;
    buf_init(&text, 1 << 20);
    BUF_LIT(&text, "{\"$ref\":\"#/$defs/a0\",\"$defs\":{\"a40\":true");
    for (int i = 0; i < 40; i++)
        buf_addf(&text,
                 ",\"a%d\":{\"allOf\":[{\"$ref\":\"#/$defs/a%d\"},{\"$ref\":\"#/$defs/a%d\"}]}", i,
                 i + 1, i + 1);
    BUF_LIT(&text, "}}");
    int64_t start = clock_now();
    says(text.data, "1", TOO_MUCH "check it against the schema");
    ck_assert_int_lt(clock_now() - start, 10 * NS_PER_S);
    buf_free(&text);
}
END_TEST

/* ---- threads ---- */

static bool count_failure(void *context, const struct schema_failure *failure)
{
    int *count = context;
    ck_assert(*failure->text != '\0');
    ck_assert(*failure->instance == '\0' || *failure->instance == '/');
    (*count)++;
    return true;
}

struct shared {
    const struct schema *schema;
    const struct json *good, *bad;
    int failures; /* of one thread */
};

static bool ignore(void *context, const struct schema_failure *failure)
{
    (void)context;
    return *failure->text == '\0';
}

static void *validate_often(void *arg)
{
    struct shared *shared = arg;
    for (int i = 0; i < 2000; i++) {
        shared->failures +=
            !schema_validate(shared->schema, shared->good, shared->good->root, NULL, NULL);
        shared->failures +=
            schema_validate(shared->schema, shared->bad, shared->bad->root, ignore, NULL);
    }
    return NULL;
}

START_TEST(threads_share_a_schema)
{
    struct schema *schema = must_compile(
        "{\"items\":{\"anyOf\":[{\"pattern\":\"^(a|b)+$\",\"type\":\"string\"},{\"$ref\":\"#\","
        "\"type\":\"array\"}]},\"uniqueItems\":true,\"unevaluatedItems\":false}");
    struct json good = parse(BYTES("[\"abab\",[\"b\"],\"a\\u0062\"]"));
    struct json bad = parse(BYTES("[\"abab\",[\"c\"],1]"));
    struct shared shared[4];
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        shared[i] = (struct shared){schema, &good, &bad, 0};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, validate_often, &shared[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_int_eq(shared[i].failures, 0);
    }
    schema_free(schema);
}
END_TEST

/* A worker of mcpd has a stack of 1 MiB; half of that must do, unless a sanitizer
 * makes frames larger. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__OPTIMIZE__)
#define STACK ((size_t)8 << 20)
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define STACK ((size_t)8 << 20)
#endif
#endif
#ifndef STACK
#define STACK ((size_t)512 << 10)
#endif

static void *validate_deep(void *arg)
{
    const struct shared *shared = arg;
    int reports = 0;
    ck_assert(
        !schema_validate(shared->schema, shared->bad, shared->bad->root, count_failure, &reports));
    ck_assert_int_gt(reports, 0);
    return NULL;
}

START_TEST(a_small_stack_is_enough)
{
    static const char *const schemas[] = {
        "{\"$id\":\"a:b\",\"$dynamicAnchor\":\"n\",\"unevaluatedItems\":false,\"$ref\":\"c:d\","
        "\"$defs\":{\"x\":{\"$id\":\"c:d\",\"oneOf\":[{\"anyOf\":[{\"allOf\":[{"
        "\"$dynamicRef\":\"#n\"}]}]}],\"$defs\":{\"y\":{\"$dynamicAnchor\":\"n\"}}}}}",
        "{\"anyOf\":[{\"type\":\"null\"},{\"allOf\":[{\"oneOf\":[{\"items\":{\"$ref\":\"#\"},"
        "\"unevaluatedItems\":false,\"type\":\"array\"}]}]}]}"};
    struct json bad = parse(bytes_of(repeat("[", "1", "]", 128)));
    for (size_t i = 0; i < sizeof(schemas) / sizeof(schemas[0]); i++) {
        struct schema *schema = must_compile(schemas[i]);
        struct shared shared = {.schema = schema, .bad = &bad};
        pthread_attr_t attributes;
        pthread_t thread;
        pthread_attr_init(&attributes);
        ck_assert_int_eq(pthread_attr_setstacksize(&attributes, STACK), 0);
        ck_assert_int_eq(pthread_create(&thread, &attributes, validate_deep, &shared), 0);
        pthread_join(thread, NULL);
        pthread_attr_destroy(&attributes);
        schema_free(schema);
    }
}
END_TEST

/* ---- the official suite ---- */

#define SUITE "tests/vectors/json-schema-2020-12"

struct tally {
    int groups, tests, failed, files;
};

static struct bytes read_file(const char *path)
{
    struct stat st;
    FILE *file = fopen(path, "rb");
    if (file == NULL || fstat(fileno(file), &st) != 0)
        return (struct bytes){NULL, 0};
    size_t size = (size_t)st.st_size;
    char *data = arena_alloc(&arena, size + 1);
    ck_assert_uint_eq(fread(data, 1, size, file), size);
    fclose(file);
    return (struct bytes){data, size};
}

static const struct json *serve_remote(void *context, const char *uri)
{
    static const char host[] = "http://localhost:1234/";
    (void)context;
    char path[1000];
    if (strncmp(uri, host, sizeof(host) - 1) != 0)
        return NULL;
    snprintf(path, sizeof(path), SUITE "/remotes/%s", uri + sizeof(host) - 1);
    struct bytes text = read_file(path);
    if (text.data == NULL)
        return NULL;
    struct json *json = arena_alloc(&arena, sizeof(*json));
    *json = parse(text);
    return json;
}

static void run_group(struct tally *tally, const char *file, const struct json *json,
                      const struct json_node *group)
{
    const struct schema_options options = {.resolve = serve_remote};
    struct error err;
    const char *title = json_cstring(json, json_get(json, group, "description"), &arena);
    struct schema *schema = schema_compile(json, json_get(json, group, "schema"), &options, &err);
    tally->groups++;
    if (schema == NULL)
        printf("%s: %s: %s\n", file, title, err.text);
    const struct json_node *tests = json_get(json, group, "tests");
    const struct json_node *end = tests + tests->span;
    for (const struct json_node *t = json_first(tests); t != NULL; t = json_next(t, end)) {
        const struct json_node *data = json_get(json, t, "data");
        bool expected = json_get(json, t, "valid")->type == JSON_TRUE;
        int reported = 0;
        tally->tests++;
        if (schema != NULL && schema_validate(schema, json, data, NULL, NULL) == expected) {
            /* What reports why comes to the same verdict. */
            ck_assert_int_eq(schema_validate(schema, json, data, count_failure, &reported),
                             expected);
            ck_assert_int_eq(reported == 0, expected);
            continue;
        }
        tally->failed++;
        printf("%s: %s: %s: not %s\n", file, title,
               json_cstring(json, json_get(json, t, "description"), &arena),
               expected ? "valid" : "invalid");
    }
    schema_free(schema);
}

static void run_file(struct tally *tally, const char *path)
{
    struct json json = parse(read_file(path));
    const struct json_node *end = json.root + json.root->span;
    tally->files++;
    for (const struct json_node *g = json_first(json.root); g != NULL; g = json_next(g, end))
        run_group(tally, path, &json, g);
}

/* Not optional/format/, and what needs a dialect that mcpd refuses. */
static void run_folder(struct tally *tally, const char *folder)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, alphasort);
    ck_assert_msg(count >= 0, "%s: %s", folder, strerror(errno));
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name, *dot = strrchr(name, '.');
        char path[1000];
        snprintf(path, sizeof(path), "%s/%s", folder, name);
        if (dot != NULL && strcmp(dot, ".json") == 0 && strcmp(name, "cross-draft.json") != 0)
            run_file(tally, path);
        free(entries[i]);
    }
    free(entries);
}

START_TEST(the_official_suite_passes)
{
    struct tally tally = {.files = 0};
    run_folder(&tally, SUITE);
    struct tally mandatory = tally;
    run_folder(&tally, SUITE "/optional");
    printf("JSON Schema Test Suite: %d files, %d groups, %d tests (%d of them optional), %d "
           "failed\n",
           tally.files, tally.groups, tally.tests, tally.tests - mandatory.tests, tally.failed);
    ck_assert_int_ge(mandatory.tests, 900);
    ck_assert_int_ge(tally.tests - mandatory.tests, 100);
    ck_assert_int_eq(tally.failed, 0);
}
END_TEST

/* ---- speed ---- */

START_TEST(a_small_object_takes_no_memory_and_no_time)
{
    struct schema *schema =
        must_compile("{\"type\":\"object\",\"properties\":{\"text\":{\"type\":\"string\"}},"
                     "\"required\":[\"text\"],\"additionalProperties\":false}");
    struct json json = parse(BYTES("{\"text\":\"hello, world\"}"));
    int64_t best = INT64_MAX;
    for (int round = 0; round < 20; round++) {
        int64_t start = clock_now();
        int good = 0;
        for (int i = 0; i < 1000; i++)
            good += schema_validate(schema, &json, json.root, NULL, NULL);
        int64_t took = clock_now() - start;
        ck_assert_int_eq(good, 1000);
        best = took < best ? took : best;
    }
    printf("a small object is validated in %lld ns\n", (long long)best / 1000);
    schema_free(schema);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("schema");
    const struct suite_case all = {
        .name = "schema",
        .setup = setup,
        .teardown = teardown,
        .seconds = 300,
        .tests = SUITE_TESTS(
            types_are_named, strings_are_described, members_are_named, arrays_are_described,
            the_nearest_branch_is_reported, a_report_can_stop, numbers_are_exact,
            equality_ignores_the_order_of_members, patterns_are_those_of_ecma_262,
            long_texts_are_searched, formats_are_asserted_on_demand, what_is_no_schema_is_refused,
            long_texts_of_a_schema_are_cut, draft_07_is_understood, a_schema_has_bounds,
            patterns_have_bounds, no_pattern_hangs, loops_of_references_are_found, work_is_bounded,
            threads_share_a_schema, a_small_stack_is_enough, the_official_suite_passes,
            a_small_object_takes_no_memory_and_no_time),
    };
    suite_add(suite, &all);
    return suite_run(suite);
}
